"""The bodies of the unseen concepts, drawn part by part and moved along their own paths."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from setseq.toybox.canvas import Canvas, Color, coverage

_BLACK = (0.07, 0.06, 0.08)
_WHITE = (1.0, 1.0, 1.0)
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
        self.paint(distance - radius, _WHITE)
        self.paint(distance - 0.5 * radius, _BLACK)


def _turn(t: Tensor, period_s: float) -> Tensor:
    return 2 * math.pi * t / period_s


def robot(canvas: Canvas, t: Tensor) -> None:
    """A two-coloured robot that marches: legs and arms swing, the body rocks."""
    step = torch.sin(_turn(t, 1.0))
    body = Figure(canvas, x=0.12 * step, y=-0.02 - 0.05 * step.abs(), angle=0.12 * step, size=0.34)
    for side in (-1, 1):
        body.limb(0.4 * side, 0.7, 0.7 * side * step, 0.55, (0.25, 0.3, 0.4), 0.18)
        body.limb(0.8 * side, 0.0, -side * (0.9 + 0.7 * side * step), 0.55, (1.0, 0.6, 0.1))
    box = torch.maximum(body.u.abs() - 0.8, body.v.abs() - 0.85)
    body.paint(box, (0.2, 0.75, 0.75))
    body.paint(torch.maximum(box, 0.25 - body.v), (1.0, 0.6, 0.1))
    body.limb(0.0, -0.85, math.pi, 0.35, (0.25, 0.3, 0.4), 0.09)
    body.disc(0.0, -1.3, 0.18, (0.95, 0.2, 0.25))
    body.eyes(y=-0.3)


def bird(canvas: Canvas, t: Tensor) -> None:
    """A bird with a yellow belly that flies a figure eight, beating its wings."""
    path = _turn(t, 2.2)
    bird = Figure(
        canvas,
        x=0.42 * torch.sin(path),
        y=-0.15 + 0.26 * torch.sin(2 * path),
        angle=0.35 * torch.cos(path),
        size=0.30,
    )
    beat = 1.1 * torch.sin(_turn(t, 0.5))
    for side in (-1, 1):
        bird.limb(0.75 * side, 0.0, -side * (1.57 + beat), 0.75, (0.15, 0.35, 0.9), 0.24)
    bird.disc(0.0, 0.0, 0.95, (0.15, 0.35, 0.9))
    bird.disc(0.0, 0.42, 0.55, (1.0, 0.88, 0.3))
    bird.eyes(y=-0.25)
    bird.paint(torch.maximum((bird.u.abs() + bird.v - 0.42) * 0.7, 0.05 - bird.v), (1.0, 0.5, 0.1))


def snowman(canvas: Canvas, t: Tensor) -> None:
    """A figure of two balls that hops sideways and somersaults in the air."""
    hop = torch.remainder(t / 1.1, 1.0)
    lift = 4 * hop * (1 - hop)
    side = torch.sin(_turn(t, 2.2))
    man = Figure(canvas, x=0.34 * side, y=0.12 - 0.42 * lift, angle=2 * math.pi * hop, size=0.27)
    man.disc(0.0, 0.62, 0.8, (0.30, 0.75, 0.35))
    man.disc(0.0, 0.62, 0.36, (1.0, 0.85, 0.2))
    man.disc(0.0, -0.55, 0.66, (0.95, 0.35, 0.6))
    man.eyes(x=0.26, y=-0.62, radius=0.22)


def octopus(canvas: Canvas, t: Tensor) -> None:
    """A purple head on four orange arms that wave in turn while it bobs."""
    bob = torch.sin(_turn(t, 1.2))
    head = Figure(canvas, x=0.0, y=-0.12 + 0.10 * bob, angle=0.0, size=0.36)
    for k in range(4):
        wave = 0.7 * torch.sin(_turn(t, 1.2) + 1.5 * k)
        head.limb(-0.66 + 0.44 * k, 0.45, wave, 0.85, (1.0, 0.55, 0.12), 0.16)
    head.disc(0.0, -0.1, 0.85, (0.55, 0.22, 0.8))
    head.disc(0.0, -0.72, 0.24, (1.0, 0.55, 0.12), flat=0.7)
    head.eyes(y=-0.1, radius=0.28)


def crab(canvas: Canvas, t: Tensor) -> None:
    """A flat red crab that scuttles in fast zigzags, claws snapping: erratic."""
    x = 0.42 * (2 / math.pi) * torch.asin(torch.sin(_turn(t, 1.3)))
    y = 0.10 + 0.22 * torch.sin(_turn(t, 0.47) + 1.7 * torch.sin(_turn(t, 1.9)))
    crab = Figure(canvas, x=x, y=y, angle=0.25 * torch.sin(_turn(t, 0.5)), size=0.36)
    snap = 0.5 * torch.sin(_turn(t, 0.4))
    for side in (-1, 1):
        for k in (0, 1):
            crab.limb(
                side * (0.45 + 0.35 * k),
                0.35,
                -side * (0.5 + 0.3 * k),
                0.45,
                (0.65, 0.1, 0.1),
                0.12,
            )
        crab.limb(0.8 * side, -0.1, -side * (2.5 + snap), 0.6, (0.9, 0.2, 0.15), 0.16)
    crab.disc(0.0, 0.05, 0.95, (0.9, 0.2, 0.15), flat=0.62)
    crab.disc(0.0, 0.30, 0.55, (1.0, 0.8, 0.5), flat=0.42)
    crab.eyes(y=-0.35)


def flower(canvas: Canvas, t: Tensor) -> None:
    """A flower of six petals that spirals in and out while turning back and forth."""
    path = _turn(t, 1.6)
    reach = 0.12 + 0.2 * (1 - torch.cos(_turn(t, 2.1)))
    flower = Figure(
        canvas,
        x=reach * torch.cos(path),
        y=-0.02 + reach * torch.sin(path),
        angle=1.3 * torch.sin(_turn(t, 1.05)),
        size=0.32,
    )
    for k in range(6):
        angle = math.pi * k / 3
        color = (1.0, 0.45, 0.7) if k % 2 else (0.98, 0.95, 0.95)
        flower.disc(0.72 * math.cos(angle), 0.72 * math.sin(angle), 0.4, color)
    flower.disc(0.0, 0.0, 0.66, (1.0, 0.8, 0.15))
    flower.eyes(x=0.28, y=-0.05, radius=0.22)


def dancer(canvas: Canvas, t: Tensor) -> None:
    """A green bean with arms and legs that dances: hips sway, arms go up in turn, knees bend."""
    beat = torch.sin(_turn(t, 0.9))
    dip = 0.06 * (1 - torch.cos(_turn(t, 0.45)))
    bean = Figure(canvas, x=0.16 * beat, y=-0.06 + dip, angle=-0.3 * beat, size=0.33)
    for side in (-1, 1):
        bean.limb(0.35 * side, 0.8, -0.3 * side + 0.4 * beat, 0.62, (0.15, 0.25, 0.6), 0.16)
        bean.limb(0.62 * side, 0.0, -side * (1.5 + 1.1 * side * beat), 0.75, (0.2, 0.7, 0.25))
    bean.disc(0.0, 0.0, 0.72, (0.2, 0.7, 0.25), flat=1.35)
    bean.paint(
        torch.maximum(torch.hypot(bean.u, bean.v / 1.35) - 0.72, 0.3 - bean.v), (0.15, 0.25, 0.6)
    )
    bean.eyes(y=-0.35)


def bee(canvas: Canvas, t: Tensor) -> None:
    """A striped bee with pale wings that darts between points and trembles: fast and erratic."""
    a, b = _turn(t, 1.7), _turn(t, 0.61)
    x = 0.34 * torch.sin(a) + 0.16 * torch.sin(b + 1.0)
    y = -0.12 + 0.22 * torch.cos(1.31 * a) + 0.12 * torch.sin(1.7 * b)
    bee = Figure(canvas, x=x, y=y, angle=0.4 * torch.sin(b), size=0.31)
    for side in (-1, 1):
        flap = 0.5 * torch.sin(_turn(t, 0.3))
        bee.limb(0.35 * side, -0.5, math.pi + side * (0.7 + flap), 0.6, (0.8, 0.93, 1.0), 0.25)
    oval = torch.hypot(bee.u / 1.1, bee.v) - 0.8
    bee.paint(oval, (1.0, 0.82, 0.12))
    bee.paint(torch.maximum(oval, (bee.v - 0.28).abs() - 0.12), _BLACK)
    bee.paint(torch.maximum(oval, (bee.v - 0.66).abs() - 0.1), _BLACK)
    bee.eyes(y=-0.2)
