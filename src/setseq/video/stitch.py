"""Two clips side by side in one: shows a model two concepts at once, each on its own side.

Against leaking identities between concepts that are learned together. Source: the section on
composition of arXiv:2502.14844, which stitches videos and removes their backgrounds; how is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.errors import ClipError
from setseq.video.matte import difference_matte, still_background

Onto = Literal["left", "right", "plain", "own"]
# Our choice, by looking at the toybox: at 1 limbs are cut off at the seam, at 0.7 details get lost.
SCALE = 0.85
PLAIN = 0.5  # light grey, in [-1, 1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One side of a stitched clip.

    Attributes:
        pixels: (3, f, h, w) in [-1, 1], the whole clip at the base's size.
        mask: (1, f, h, w) in [0, 1], where its subject is; None where that is not known.
    """

    pixels: Tensor
    mask: Tensor | None = None


def stitch(left: Side, right: Side, *, scale: float = SCALE, onto: Onto = "own") -> Side:
    """One clip of the same size that shows the left one's subject left, the right one's right.

    Each on its own background, a half shows the part of its clip where its subject is, or without
    a mask where things move most: as much wider than half the picture as the clip is made smaller,
    its upper and lower edge continued. Else the subjects alone are moved, whole, onto one
    background.

    Args:
        left: What is to be on the left.
        right: What is to be on the right, of the same size and length.
        scale: Of the subjects, in (0.5, 1].
        onto: Each its own background, that of either clip, or a plain one; but for "own" it
            needs masks.

    Returns:
        The clip, with a mask of both subjects where they had masks.

    Raises:
        ClipError: The clips differ in size or length, or there are masks to lack.
    """
    if left.pixels.shape != right.pixels.shape:
        shapes = " and ".join("x".join(map(str, s.pixels.shape[1:])) for s in (left, right))
        raise ClipError(f"clips of {shapes} (f x h x w) cannot be stitched; fit them to one size")
    if onto == "own":
        return _halves(left, right, scale)
    if left.mask is None or right.mask is None:
        raise ClipError("a clip to be stitched without its background has no mask; give it one")
    width = left.pixels.shape[-1]
    canvas = torch.full_like(left.pixels, PLAIN)
    if onto == "left":
        canvas = still_background(left.pixels, left.mask).expand_as(canvas)
    elif onto == "right":
        canvas = still_background(right.pixels, right.mask).expand_as(canvas)
    mask = torch.zeros_like(left.mask)
    for pixels, own, place in (
        (left.pixels, left.mask, width / 4),
        (right.pixels, right.mask, 3 * width / 4),
    ):
        moved = _moved(torch.cat([pixels * own, own]), place, scale)
        canvas = canvas * (1 - moved[3:]) + moved[:3]
        mask = torch.maximum(mask, moved[3:])
    return Side(pixels=canvas, mask=mask)


def _halves(left: Side, right: Side, scale: float) -> Side:
    first, second = (_half(side, scale) for side in (left, right))
    masks = [half.mask for half in (first, second) if half.mask is not None]
    return Side(
        pixels=torch.cat([first.pixels, second.pixels], dim=-1),
        mask=torch.cat(masks, dim=-1) if len(masks) == 2 else None,
    )


def _half(side: Side, scale: float) -> Side:
    """The part with its subject, half as wide."""
    height, width = side.pixels.shape[2:]
    half, wanted = width // 2, min(round(width / 2 / scale), width)
    matte = difference_matte(side.pixels, is_filled=False) if side.mask is None else side.mask
    start = min(max(round(_centre(matte, dim=-1) - wanted / 2), 0), width - wanted)
    channels = side.pixels if side.mask is None else torch.cat([side.pixels, side.mask])
    part = channels[..., start : start + wanted].transpose(0, 1)
    high = round(height * half / wanted)
    part = F.interpolate(part, (high, half), mode="bicubic", antialias=True).clamp(-1, 1)
    above = (height - high) // 2
    part = F.pad(part, (0, 0, above, height - high - above), mode="replicate").transpose(0, 1)
    return Side(pixels=part[:3], mask=None if side.mask is None else part[3:].clamp(min=0))


def _moved(cut: Tensor, place: float, scale: float) -> Tensor:
    """A subject with its mask (4, f, h, w), smaller, its mean place moved to a column."""
    frames, height, width = cut.shape[1:]
    x, y = _centre(cut[3:], dim=-1), _centre(cut[3:], dim=-2)
    # From a place in the result to one in the clip, both in [-1, 1].
    across = (2 * x - 2 * place / scale) / width + 1 / scale - 1
    down = (2 * y / height - 1) * (1 - 1 / scale)
    to_source = cut.new_tensor([[1 / scale, 0, across], [0, 1 / scale, down]])
    grid = F.affine_grid(
        to_source.expand(frames, 2, 3), [frames, 4, height, width], align_corners=False
    )
    return F.grid_sample(cut.transpose(0, 1), grid, align_corners=False).transpose(0, 1)


def _centre(mask: Tensor, *, dim: int) -> float:
    """Mean place along a dimension, in pixels; the middle where nothing is."""
    weights = mask.movedim(dim, 0).flatten(1).sum(1)
    places = torch.arange(len(weights), device=mask.device) + 0.5
    total = float(weights.sum())
    return float((weights * places).sum()) / total if total > 0 else len(weights) / 2
