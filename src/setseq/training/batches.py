"""What a step sees: samples of all groups by their shares, bundled into as few passes as can be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from setseq.flow import draw_times
from setseq.training.stages import Group, Target


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """Samples of one shape and target: one forward pass.

    Attributes:
        data: latents (b, c, f, h, w).
        noise: as ``data``.
        time: (b,).
        texts: (b,), places of their prompts among all of the stage.
        owners: b names of groups.
        weights: (b,), factors of their losses.
        masks: (b, 1, f, h, w) or None.
        target: as of their groups.
        estimated: (b,), which of them are seen with an estimate of themselves, on the CPU; None
            where none is.
    """

    data: Tensor
    noise: Tensor
    time: Tensor
    texts: Tensor
    owners: tuple[str, ...]
    weights: Tensor
    masks: Tensor | None
    target: Target
    estimated: Tensor | None = None

    def select(self, places: Sequence[int]) -> "Bundle":
        """The samples at these places, in this order."""
        index = torch.tensor(places, dtype=torch.long)
        here = index.to(self.data.device)
        return replace(
            self,
            data=self.data[here],
            noise=self.noise[here],
            time=self.time[here],
            texts=self.texts[index],
            owners=tuple(self.owners[place] for place in places),
            weights=self.weights[here],
            masks=None if self.masks is None else self.masks[here],
            estimated=None if self.estimated is None else self.estimated[index],
        )


def draw_bundles(
    groups: Sequence[Group],
    texts: Sequence[Tensor],
    batch: int,
    *,
    shift: float,
    generator: torch.Generator,
    time_mean: float = 0.0,
    time_std: float = 1.0,
) -> list[Bundle]:
    """Draw one batch: places, noise and times.

    Args:
        groups: of the stage.
        texts: of each group the places of its prompts.
        batch: samples in all.
        shift: the base model's timestep shift.
        generator: the source of all that is drawn, on the CPU.
        time_mean: mean of the times' logits, before the shift, of groups that have none.
        time_std: its standard deviation, above 0, likewise.
    """
    counts = split_batch([group.share for group in groups], batch, generator)
    drawn: dict[tuple[torch.Size, Target], list[Bundle]] = {}
    densities: dict[str, tuple[float, float]] = {}
    for group, own_texts, count in zip(groups, texts, counts, strict=True):
        if count:
            bundle = _of_group(group, own_texts, count, generator)
            drawn.setdefault((group.latents.shape[1:], group.target), []).append(bundle)
            densities[group.name] = group.times or (time_mean, time_std)
    bundles = [_joined(parts) for parts in drawn.values()]
    owners = [owner for bundle in bundles for owner in bundle.owners]
    means, stds = torch.tensor([densities[owner] for owner in owners], dtype=torch.float64).T
    times = draw_times(batch, shift=shift, generator=generator, mean=means, std=stds)
    parts = times.split([len(bundle.data) for bundle in bundles])
    for bundle, time in zip(bundles, parts, strict=True):
        bundle.time.copy_(time)
    return bundles


def draw_estimated(bundle: Bundle, probability: float, generator: torch.Generator) -> Bundle:
    """Draw which samples are seen with an estimate of themselves; at 0, nothing is drawn."""
    if probability == 0:
        return bundle
    estimated = torch.rand(len(bundle.time), generator=generator) < probability
    return replace(bundle, estimated=estimated if bool(estimated.any()) else None)


def split_batch(shares: Sequence[float], batch: int, generator: torch.Generator) -> list[int]:
    """How many of a batch's samples come from each group.

    By systematic sampling: a group gets its share of the batch, rounded up or down so that the
    mean over many steps is exact, and the batch is always full, so that a step always costs the
    same. One group draws nothing.

    Source: our choice.
    """
    if len(shares) == 1:
        return [batch]
    offset = float(torch.rand((), generator=generator, dtype=torch.float64))
    total, before, ends = sum(shares), 0.0, []
    for share in shares:
        before += share
        ends.append(math.floor(before / total * batch + offset))
    ends[-1] = batch  # whatever the sums were rounded to
    return [max(0, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def draw_places(count: int, batch: int, generator: torch.Generator) -> Tensor:
    """Draw ``batch`` of ``count`` places; none comes twice before all have come once."""
    rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(batch / count))]
    return torch.cat(rounds)[:batch]


def _of_group(group: Group, texts: Tensor, count: int, generator: torch.Generator) -> Bundle:
    device = group.latents.device
    places = draw_places(len(group.latents), count, generator)
    data = group.latents[places.to(device)]
    return Bundle(
        data=data,
        noise=torch.randn(data.shape, generator=generator).to(device),
        time=torch.zeros(count, device=device),
        texts=texts[places],
        owners=(group.name,) * count,
        weights=torch.full((count,), group.weight, device=device),
        masks=None if group.masks is None else group.masks[places.to(device)],
        target=group.target,
    )


def _joined(parts: Sequence[Bundle]) -> Bundle:
    if len(parts) == 1:
        return parts[0]
    masks = None
    if any(part.masks is not None for part in parts):
        shown = [(p.masks, p.data) for p in parts]
        masks = torch.cat([torch.ones_like(x[:, :1]) if m is None else m for m, x in shown])
    return Bundle(
        data=torch.cat([part.data for part in parts]),
        noise=torch.cat([part.noise for part in parts]),
        time=torch.cat([part.time for part in parts]),
        texts=torch.cat([part.texts for part in parts]),
        owners=tuple(name for part in parts for name in part.owners),
        weights=torch.cat([part.weights for part in parts]),
        masks=masks,
        target=parts[0].target,
    )
