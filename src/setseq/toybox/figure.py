"""A body made of parts: what the unseen concepts and the random looks are painted with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from setseq.toybox.canvas import Canvas, Color, coverage

BLACK = (0.07, 0.06, 0.08)
WHITE = (1.0, 1.0, 1.0)
Angle = Tensor | float


class Figure:
    """A body being painted part by part, in coordinates of its own (edge near length 1, v down)."""

    def __init__(self, canvas: Canvas, *, x: Angle, y: Angle, angle: Angle, size: Angle) -> None:
        """A figure centred at (x, y), turned by an angle, its unit ``size`` long in the picture."""
        turn = torch.as_tensor(angle, dtype=torch.float32)
        dx, dy = canvas.x - x, canvas.y - y
        c, s = torch.cos(turn), torch.sin(turn)
        self.u = (c * dx + s * dy) / size
        self.v = (c * dy - s * dx) / size
        self._canvas = canvas
        self.unit = canvas.pixels_per_unit * size

    def paint(self, distance: Tensor, color: Color) -> None:
        """Paints where a signed distance is negative."""
        self._canvas.paint(coverage(distance, self.unit), color)

    def disc(self, x: Angle, y: Angle, radius: float, color: Color, *, flat: float = 1.0) -> None:
        """Paints an ellipse, ``flat`` times as high as wide."""
        self.paint((torch.hypot(self.u - x, (self.v - y) / flat) - radius) * min(1.0, flat), color)

    def limb(
        self, x: Angle, y: Angle, angle: Angle, length: float, color: Color, thick: float = 0.15
    ) -> None:
        """Paints a round-ended stroke from (x, y); angle 0 points down, positive to the left."""
        turn = torch.as_tensor(angle, dtype=torch.float32)
        du, dv = self.u - x, self.v - y
        along = (dv * torch.cos(turn) - du * torch.sin(turn)).clamp(0, length)
        self.paint(
            torch.hypot(du + along * torch.sin(turn), dv - along * torch.cos(turn)) - thick, color
        )

    def eyes(self, x: float = 0.34, y: float = -0.15, radius: float = 0.25) -> None:
        """Paints two eyes at (-x, y) and (x, y)."""
        distance = torch.hypot(self.u.abs() - x, self.v - y)
        self.paint(distance - radius, WHITE)
        self.paint(distance - 0.5 * radius, BLACK)


def limb_end(x: float, y: float, angle: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """Where a limb ends that Figure.limb paints from (x, y), for what is at its end."""
    return x - length * torch.sin(angle), y + length * torch.cos(angle)


def phase(t: Tensor, period_s: float) -> Tensor:
    """Where a cycle of ``period_s`` seconds is at times ``t``, in radians."""
    return 2 * math.pi * t / period_s
