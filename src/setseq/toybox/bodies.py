"""Signed distances of the grammar's bodies in body coordinates (edge near length 1, v down)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]

EXTENT = 1.16  # how far from its centre a body reaches at most


def ball(u: Tensor, v: Tensor) -> Tensor:
    """A disc."""
    return torch.hypot(u, v) - 1.0


def box(u: Tensor, v: Tensor) -> Tensor:
    """A brick, wider than high, so that it is told from the disc also where corners blur."""
    return torch.maximum(0.8 * u.abs(), 1.25 * v.abs()) - 0.86


def triangle(u: Tensor, v: Tensor) -> Tensor:
    """An upright triangle, wide enough for two eyes."""
    return torch.maximum(0.88 * u.abs() - 0.475 * v - 0.55, v - 0.75)


def star(u: Tensor, v: Tensor) -> Tensor:
    """A soft star of five points, one of them up."""
    angle = torch.atan2(u, -v)
    return (torch.hypot(u, v) - 0.80 - 0.36 * torch.cos(5 * angle)) * 0.72


def heart(u: Tensor, v: Tensor) -> Tensor:
    """A heart: two discs above, a wedge below."""
    a = u.abs()
    lobes = torch.hypot(a - 0.52, v + 0.42) - 0.56
    wedge = torch.maximum((a + 0.92 * v) / math.hypot(1, 0.92) - 0.66, -v - 0.3)
    return torch.minimum(lobes, wedge)


def cross(u: Tensor, v: Tensor) -> Tensor:
    """A plus sign."""
    a, b = u.abs(), v.abs()
    upright = torch.maximum(a - 0.42, b - 1.12)
    level = torch.maximum(a - 1.12, b - 0.42)
    return torch.minimum(upright, level)


BODIES: dict[str, Distance] = {
    "ball": ball,
    "box": box,
    "triangle": triangle,
    "star": star,
    "heart": heart,
    "cross": cross,
}
