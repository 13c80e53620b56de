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
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


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
    """Copies of AdamW's state by kind and parameter name; empty before its first step."""
    return {
        f"{kind}/{name}": optimizer.state[value][kind].detach().clone()
        for name, value in trained.items()
        if value in optimizer.state
        for kind in _MOMENTS
    }


def restore_moments(
    optimizer: torch.optim.Optimizer,
    trained: Mapping[str, nn.Parameter],
    moments: Mapping[str, Tensor],
) -> None:
    """Give AdamW its state back, where its parameters are."""
    for name, value in trained.items():
        if f"step/{name}" in moments:
            optimizer.state[value] = {
                kind: moments[f"{kind}/{name}"].to(value.device, copy=True) for kind in _MOMENTS
            }


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
