"""Which samples of a batch a process computes, and what its losses are of the whole batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from setseq.config import LearnSettings
from setseq.errors import SettingsError
from setseq.processes import Processes
from setseq.training.batches import Bundle


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A process's samples of a bundle: one forward pass.

    Attributes:
        bundle: its own samples; one of weight 0 where it has none and the pass must be made.
        places: of its own samples in the whole batch.
    """

    bundle: Bundle
    places: tuple[int, ...]


def own_parts(bundles: Sequence[Bundle], processes: Processes, *, before: int) -> list[Part]:
    """What of a batch this process computes; alone, the bundles as they are.

    Args:
        bundles: the whole batch, the same on every process.
        processes: this one among the others.
        before: samples of the step before this batch.
    """
    parts, start = [], 0
    for bundle in bundles:
        count = len(bundle.owners)
        mine = processes.mine(before + start, count)
        own = bundle if len(mine) == count else _own(bundle, mine, processes)
        if own is not None:
            parts.append(Part(bundle=own, places=tuple(start + place for place in mine)))
        start += count
    return parts


def _own(bundle: Bundle, mine: Sequence[int], processes: Processes) -> Bundle | None:
    if processes.is_sharded:  # every process makes every pass
        own = bundle.select(mine or [0])
        return own if mine else replace(own, weights=torch.zeros_like(own.weights))
    if not mine:
        return None
    own = bundle.select(mine)
    if own.estimated is not None and not bool(own.estimated.any()):
        return replace(own, estimated=None)
    return own


def scattered(
    parts: Sequence[Part], losses: Sequence[Tensor], batch: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """This process's losses at their places in the whole batch, and their weighted sum.

    Args:
        parts: its own.
        losses: of their samples, one tensor each.
        batch: samples of the whole batch.
        device: of the losses.

    Returns:
        (batch,), zero where other processes have theirs, without gradients; and a number with.
    """
    each = torch.zeros(batch, device=device)
    if not parts:
        return each, torch.zeros((), device=device)
    for part, own in zip(parts, losses, strict=True):
        if part.places:
            each[torch.tensor(part.places, device=device)] = own.detach()
    weights = torch.cat([part.bundle.weights for part in parts])
    return each, (torch.cat(list(losses)) * weights).sum()


def sum_gradients(values: Sequence[nn.Parameter], losses: Tensor, processes: Processes) -> Tensor:
    """Make gradients and losses those of all processes together, in one message.

    A parameter has no gradient afterwards only where it has none in any of them, so that the
    optimizer leaves alone what it would leave alone with one process.

    Args:
        values: of float32, in the same order everywhere.
        losses: (n,), of this process.
        processes: this one among the others.

    Returns:
        The losses' sum, (n,).
    """
    if processes.count == 1:
        return losses
    found = torch.tensor([float(value.grad is not None) for value in values]).to(losses)
    own = [torch.zeros_like(value) if value.grad is None else value.grad for value in values]
    losses, found, *whole = processes.summed([losses, found, *own])
    for value, gradient, count in zip(values, whole, found.tolist(), strict=True):
        value.grad = gradient if count else None
    return losses


def refuse_idle(settings: LearnSettings, processes: Processes) -> None:
    """See to it that every process has a sample in every step.

    Raises:
        SettingsError: a stage has fewer samples a step than there are processes.
    """
    stages = (
        ("set", settings.set_steps, settings.set_batch),
        ("sequence", settings.sequence_steps, settings.sequence_batch),
    )
    for name, steps, batch in stages:
        samples = batch if processes.is_sharded else batch * settings.accumulation
        if steps and samples < processes.count:
            way_out = "" if processes.is_sharded else f" (or {name}_batch times accumulation)"
            raise SettingsError(
                f"a step of the {name} stage has {samples} samples for {processes.count} processes,"
                f" some of which would do nothing; set {name}_batch{way_out} to"
                f" {processes.count} at least, or start fewer processes"
            )
