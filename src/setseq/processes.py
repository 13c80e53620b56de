"""The processes that learn together, one a GPU: who this one is, and what it shares with them.

They are started by ``setseq learn --gpus N`` or ``accelerate launch``, and found through
accelerate. Every process draws the whole batch from the same generator and computes its own
samples of it; ``summed`` then makes the gradients those of the whole batch. What is trained is
small (a few million numbers), so that one sum a step over all of it in one piece costs less than
the hooks of DDP, which would send it in parts while the large, frozen base computes nothing to
hide them behind.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from setseq.errors import SettingsError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

CPU_SWITCH = "ACCELERATE_USE_CPU"
SHARD_SWITCHES = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
_WAIT = timedelta(days=1)  # the first process may make previews; a lost one is seen by the launcher
_SPEAKING_S = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Processes:
    """This process among those that learn together.

    Attributes:
        rank: its number, from 0; the first one writes and speaks.
        count: how many there are.
        device: its own, as "cuda:1".
        is_sharded: whether the base's blocks are spread over them (FSDP2), so that every pass is
            made by all of them together.
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"
    is_sharded: bool = False
    _sum: Callable[[Tensor], Tensor] = field(default=lambda values: values, repr=False)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def mine(self, start: int, count: int) -> list[int]:
        """Places among ``count`` samples of those that this process computes.

        Args:
            start: samples of the step before these: they are dealt one by one over all of a step,
                so that no process gets more than one more than another.
            count: of samples.
        """
        return list(range((self.rank - start) % self.count, count, self.count))

    def summed(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Sums over the processes of float32 tensors on one device, sent in one piece.

        Raises:
            TrainingError: another process is gone.
        """
        if self.count == 1:
            return list(parts)
        import torch

        flat = torch.cat([part.reshape(-1) for part in parts])
        with _others_there():
            flat = self._sum(flat)
        pieces = flat.split([part.numel() for part in parts])
        return [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]

    def any(self, flag: bool) -> bool:
        """Whether it holds in one of the processes; all wait for each other here."""
        if self.count == 1:
            return flag
        import torch

        return bool(self.summed([torch.tensor([float(flag)], device=self.device)])[0] > 0)

    def wait(self) -> None:
        """Go on when all have come here."""
        self.any(False)

    def agree(self, text: str) -> None:
        """Make sure that all are about to do the same.

        Args:
            text: what that is.

        Raises:
            TrainingError: in all of them, where another one has another text.
        """
        if self.count == 1:
            return
        import torch

        digest = hashlib.sha256(text.encode()).digest()[:16]
        table = torch.zeros(self.count, len(digest), device=self.device)
        table[self.rank] = torch.tensor(list(digest), dtype=torch.float32)
        (table,) = self.summed([table])
        if bool((table != table[0]).any()):
            raise TrainingError(
                f"the {self.count} processes are not about to learn the same; give all of them the"
                " same clip, base, settings and checkpoint"
            )


ALONE = Processes()


def launched_count() -> int:
    """How many processes a launcher started, this one among them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def this_process() -> Processes:
    """This process among those that a launcher started; it waits for them the first time.

    Raises:
        SettingsError: they cannot work together here.
    """
    return _joined() if launched_count() > 1 else ALONE


@cache
def _joined() -> Processes:
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env, reduce

    is_sharded = asks_for_shards(os.environ)
    count = launched_count()
    state = PartialState(cpu=parse_flag_from_env(CPU_SWITCH), timeout=_WAIT)
    if state.num_processes != count:
        raise SettingsError(
            f"{count} processes were started and there is no GPU for them; set {CPU_SWITCH}=1 to"
            " learn on the CPU"
        )

    def added(values: Tensor) -> Tensor:
        summed: Any = reduce(values, reduction="sum")
        return summed

    return Processes(
        rank=state.process_index,
        count=count,
        device=str(state.device),
        is_sharded=is_sharded,
        _sum=added,
    )


def asks_for_shards(environment: Mapping[str, str]) -> bool:
    """Whether a launcher asks for FSDP2.

    Raises:
        SettingsError: it asks for the first FSDP.
    """
    switch, version = SHARD_SWITCHES
    if environment.get(switch, "").lower() not in ("1", "true", "yes"):
        return False
    if environment.get(version, "1") != SHARD_SWITCHES[version]:
        raise SettingsError(
            "the launcher asks for FSDP version 1, and bases are sharded with version 2; give"
            " `accelerate launch --use_fsdp --fsdp_version 2`"
        )
    return True


def leave() -> None:
    """Part from the other processes, when all that they do together is done."""
    if launched_count() > 1:
        from accelerate import PartialState

        PartialState().destroy_process_group()


@contextmanager
def sole_speaker() -> Iterator[bool]:
    """Whether this process is to say why they all stop: the one that stops first.

    Inside, it speaks where it is to. The others wait until it has spoken, for the first process
    that ends makes the launcher end the others.
    """
    store = _store() if launched_count() > 1 else None
    if store is None:
        yield True
        return
    is_first = store.add("setseq/stopped", 1) == 1
    try:
        yield is_first
    finally:
        if is_first:
            store.set("setseq/spoken", "yes")
        else:
            _wait_for_speaker(store)


def _store() -> Any:
    """The launcher's table of words that all processes see; None where it is gone."""
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        wait = timedelta(seconds=_SPEAKING_S)
        return TCPStore(address, port, is_master=False, timeout=wait)
    except (KeyError, ValueError, RuntimeError):
        return None


def _wait_for_speaker(store: Any) -> None:
    end = time.monotonic() + _SPEAKING_S
    while time.monotonic() < end:
        try:
            if store.check(["setseq/spoken"]):
                return
        except RuntimeError:
            return
        time.sleep(0.05)


@contextmanager
def _others_there() -> Iterator[None]:
    """Say in one line that another process is gone, where its absence shows."""
    try:
        yield
    except RuntimeError as error:
        if "memory" in str(error):
            raise
        raise TrainingError(
            "another of the processes that learn together is gone; see what it said, and give the"
            " same command again to go on"
        ) from error
