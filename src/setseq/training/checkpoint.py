"""The state of a training between two steps, in one file, so that resuming is exact."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from setseq.errors import TrainingError
from setseq.outputs import write_bytes

_FORMAT = "setseq-checkpoint-1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """Everything that the rest of a training depends on.

    Attributes:
        stage: name of the stage that it stands in.
        step: steps of that stage that are done.
        values: every parameter of the concept by name, trained in this stage or not.
        moments: the optimizer's state, "<kind>/<parameter>".
        generator: the state of the random generator.
        precision: of the networks, as resolved at the start.
        run: what the training is about (settings, prompts, clips, base): it must not change.
    """

    stage: str
    step: int
    values: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    generator: Tensor
    precision: str
    run: Mapping[str, Any]


def moments_of(
    optimizer: torch.optim.Optimizer, trained: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """Copies of the optimizer's state by kind and parameter name; empty before its first step.

    What is a plain number there (8-bit AdamW's step) is a tensor of int64 here.
    """
    return {
        f"{kind}/{name}": torch.as_tensor(kept).detach().clone()
        for name, value in trained.items()
        for kind, kept in optimizer.state.get(value, {}).items()
    }


def restore_moments(
    optimizer: torch.optim.Optimizer,
    trained: Mapping[str, nn.Parameter],
    moments: Mapping[str, Tensor],
) -> None:
    """Give the optimizer its state back, where its parameters are."""
    for name, value in trained.items():
        own = {
            key.partition("/")[0]: _number(kept, value.device)
            for key, kept in moments.items()
            if key.partition("/")[2] == name
        }
        if own:
            optimizer.state[value] = own


def _number(kept: Tensor, device: torch.device) -> Tensor | int:
    is_plain = kept.ndim == 0 and kept.dtype == torch.int64
    return int(kept) if is_plain else kept.to(device, copy=True)


def save_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    tensors = {f"value/{name}": value for name, value in snapshot.values.items()}
    tensors |= {f"moment/{name}": value for name, value in snapshot.moments.items()}
    tensors["generator"] = snapshot.generator
    about = {
        "stage": snapshot.stage,
        "step": snapshot.step,
        "precision": snapshot.precision,
        "run": snapshot.run,
    }
    stored = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_bytes(path, save(stored, {"format": _FORMAT, "about": json.dumps(about)}))


def load_snapshot(path: Path, run: Mapping[str, Any]) -> Snapshot:
    """Read a checkpoint of this very training.

    Args:
        path: the file.
        run: what the training is about now; compared with what it was about then.

    Raises:
        TrainingError: the file is damaged, or belongs to another training.
    """
    way_out = "delete it to start anew"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata.get("format") != _FORMAT:
            raise TrainingError(f"{path} is no checkpoint of this package version; {way_out}")
        about = json.loads(metadata["about"])
        snapshot = Snapshot(
            stage=about["stage"],
            step=about["step"],
            values=_under("value/", tensors),
            moments=_under("moment/", tensors),
            generator=tensors["generator"],
            precision=about["precision"],
            run=about["run"],
        )
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(f"the checkpoint {path} is damaged; {way_out}") from error
    now = json.loads(json.dumps(run))
    if difference := first_difference(snapshot.run, now):
        raise TrainingError(
            f"the checkpoint {path} belongs to another training: {difference}; {way_out}, or go"
            " back to what it was"
        )
    return snapshot


def first_difference(then: Any, now: Any, *, name: str = "") -> str:
    """The first value of two nested dicts that is not the same, in words; "" where all are."""
    if isinstance(then, dict) and isinstance(now, dict):
        found = (first_difference(then.get(k), now.get(k), name=k) for k in sorted(then | now))
        return next((text for text in found if text), "")
    return "" if then == now else f"its {name} was {_short(then)} and is now {_short(now)}"


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
