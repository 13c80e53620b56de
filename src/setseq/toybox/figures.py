"""The bodies of the unseen concepts, drawn part by part and moved along their own paths."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from setseq.toybox.canvas import Canvas
from setseq.toybox.figure import BLACK, WHITE, Figure, limb_end, phase


def robot(canvas: Canvas, t: Tensor) -> None:
    """A two-coloured robot that marches: legs and arms swing, the body rocks."""
    step = torch.sin(phase(t, 1.0))
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
    path = phase(t, 2.2)
    bird = Figure(
        canvas,
        x=0.42 * torch.sin(path),
        y=-0.15 + 0.26 * torch.sin(2 * path),
        angle=0.35 * torch.cos(path),
        size=0.30,
    )
    beat = 1.1 * torch.sin(phase(t, 0.5))
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
    side = torch.sin(phase(t, 2.2))
    man = Figure(canvas, x=0.34 * side, y=0.12 - 0.42 * lift, angle=2 * math.pi * hop, size=0.27)
    man.disc(0.0, 0.62, 0.8, (0.30, 0.75, 0.35))
    man.disc(0.0, 0.62, 0.36, (1.0, 0.85, 0.2))
    man.disc(0.0, -0.55, 0.66, (0.95, 0.35, 0.6))
    man.eyes(x=0.26, y=-0.62, radius=0.22)


def octopus(canvas: Canvas, t: Tensor) -> None:
    """A purple head on four orange arms that wave in turn while it bobs."""
    bob = torch.sin(phase(t, 1.2))
    head = Figure(canvas, x=0.0, y=-0.12 + 0.10 * bob, angle=0.0, size=0.36)
    for k in range(4):
        wave = 0.7 * torch.sin(phase(t, 1.2) + 1.5 * k)
        head.limb(-0.66 + 0.44 * k, 0.45, wave, 0.85, (1.0, 0.55, 0.12), 0.16)
    head.disc(0.0, -0.1, 0.85, (0.55, 0.22, 0.8))
    head.disc(0.0, -0.72, 0.24, (1.0, 0.55, 0.12), flat=0.7)
    head.eyes(y=-0.1, radius=0.28)


def crab(canvas: Canvas, t: Tensor) -> None:
    """A flat red crab that scuttles in fast zigzags, claws snapping: erratic."""
    x = 0.42 * (2 / math.pi) * torch.asin(torch.sin(phase(t, 1.3)))
    y = 0.10 + 0.22 * torch.sin(phase(t, 0.47) + 1.7 * torch.sin(phase(t, 1.9)))
    crab = Figure(canvas, x=x, y=y, angle=0.25 * torch.sin(phase(t, 0.5)), size=0.36)
    snap = 0.5 * torch.sin(phase(t, 0.4))
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
    path = phase(t, 1.6)
    reach = 0.12 + 0.2 * (1 - torch.cos(phase(t, 2.1)))
    flower = Figure(
        canvas,
        x=reach * torch.cos(path),
        y=-0.02 + reach * torch.sin(path),
        angle=1.3 * torch.sin(phase(t, 1.05)),
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
    beat = torch.sin(phase(t, 0.9))
    dip = 0.06 * (1 - torch.cos(phase(t, 0.45)))
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
    a, b = phase(t, 1.7), phase(t, 0.61)
    x = 0.34 * torch.sin(a) + 0.16 * torch.sin(b + 1.0)
    y = -0.12 + 0.22 * torch.cos(1.31 * a) + 0.12 * torch.sin(1.7 * b)
    bee = Figure(canvas, x=x, y=y, angle=0.4 * torch.sin(b), size=0.31)
    for side in (-1, 1):
        flap = 0.5 * torch.sin(phase(t, 0.3))
        bee.limb(0.35 * side, -0.5, math.pi + side * (0.7 + flap), 0.6, (0.8, 0.93, 1.0), 0.25)
    oval = torch.hypot(bee.u / 1.1, bee.v) - 0.8
    bee.paint(oval, (1.0, 0.82, 0.12))
    bee.paint(torch.maximum(oval, (bee.v - 0.28).abs() - 0.12), BLACK)
    bee.paint(torch.maximum(oval, (bee.v - 0.66).abs() - 0.1), BLACK)
    bee.eyes(y=-0.2)


def jester(canvas: Canvas, t: Tensor) -> None:
    """A jester, half red and half blue, that does jumping jacks: arms and legs open and close."""
    beat = phase(t, 1.0)
    opened = 0.5 - 0.5 * torch.cos(beat)
    lift = 0.13 * torch.sin(beat) ** 2
    jester = Figure(canvas, x=0.0, y=0.08 - lift, angle=0.0, size=0.40)
    halves = {-1: (0.9, 0.15, 0.2), 1: (0.15, 0.6, 0.95)}
    for side, color in halves.items():
        arm, leg = -side * (0.35 + 2.2 * opened), -side * (0.05 + 0.75 * opened)
        jester.limb(0.24 * side, 0.5, leg, 0.6, color, 0.18)
        jester.disc(*limb_end(0.24 * side, 0.5, leg, 0.62), 0.22, (0.98, 0.85, 0.3))
        jester.limb(0.36 * side, -0.2, arm, 0.7, color, 0.17)
        jester.disc(*limb_end(0.36 * side, -0.2, arm, 0.75), 0.22, (0.98, 0.85, 0.3))
    torso = torch.maximum(jester.u.abs() - 0.46 - 0.1 * jester.v, (jester.v - 0.15).abs() - 0.5)
    for side, color in halves.items():
        jester.paint(torch.maximum(torso, -side * jester.u), color)
        jester.limb(0.2 * side, -1.0, -2.3 * side, 0.45, color, 0.17)  # a point of the cap
    jester.disc(0.0, -0.72, 0.52, (1.0, 0.86, 0.7))
    jester.eyes(x=0.22, y=-0.76, radius=0.2)


def fish(canvas: Canvas, t: Tensor) -> None:
    """A banded fish, seen from the side, that loops the loop nose first and beats its tail."""
    path = phase(t, 2.1) - 0.7
    fish = Figure(
        canvas,
        x=0.36 * torch.sin(path),
        y=-0.08 + 0.34 * torch.cos(path),
        angle=torch.atan2(-0.34 * torch.sin(path), 0.36 * torch.cos(path)),
        size=0.40,
    )
    orange, white, fin = (1.0, 0.5, 0.1), (1.0, 0.97, 0.92), (0.35, 0.1, 0.45)
    beat = 0.45 * torch.sin(phase(t, 0.5))
    for side in (-1, 1):
        fish.limb(-0.8, 0.0, math.pi / 2 + 0.55 * side + beat, 0.55, fin, 0.17)
    fish.disc(-0.05, -0.5, 0.42, fin, flat=0.7)
    oval = (torch.hypot(fish.u, fish.v / 0.64) - 0.98) * 0.64
    fish.paint(oval, orange)
    fish.paint(torch.maximum(oval, (fish.u + 0.12).abs() - 0.3), white)
    fish.limb(0.0, 0.2, 0.9 - beat, 0.35, fin, 0.15)
    fish.disc(0.6, -0.12, 0.22, WHITE)
    fish.disc(0.64, -0.12, 0.11, BLACK)


def worm(canvas: Canvas, t: Tensor) -> None:
    """A worm of two colours that inches along: its head stretches ahead, then its back arches."""
    beat = torch.sin(phase(t, 1.25))
    way = -0.3 + 0.28 * t
    head, tail = way + 0.33 + 0.14 * beat, way - 0.31 - 0.14 * beat
    arch = 0.34 - 0.24 * beat
    worm = Figure(canvas, x=0.0, y=0.22, angle=0.0, size=1.0)
    for k in range(4):
        x = torch.lerp(tail, head, torch.tensor(k / 4))
        color = (0.95, 0.35, 0.6) if k % 2 else (0.35, 0.8, 0.95)
        worm.disc(x, -arch * math.sin(math.pi * k / 4), 0.22, color)
    worm.disc(head, -0.06, 0.27, (0.35, 0.8, 0.95))
    for side in (-1, 1):
        worm.disc(head + 0.11 * side, -0.11, 0.09, WHITE)
        worm.disc(head + 0.11 * side, -0.11, 0.045, BLACK)


def giraffe(canvas: Canvas, t: Tensor) -> None:
    """A spotted giraffe, seen from the side, that gallops past, its neck nodding with its legs."""
    stride = phase(t, 0.75)
    swing = torch.sin(stride)
    body = Figure(
        canvas,
        x=-0.46 + 0.36 * t,
        y=0.14 - 0.08 * torch.cos(stride),
        angle=0.14 * torch.cos(stride),
        size=0.36,
    )
    yellow, brown = (1.0, 0.8, 0.25), (0.5, 0.24, 0.1)
    for k, x in enumerate((-0.62, 0.5, -0.45, 0.62)):  # the far pair first
        way = swing if k % 2 else -swing
        body.limb(x, 0.25, 0.75 * way, 0.65, brown if k < 2 else yellow, 0.13)
    body.limb(-0.75, -0.1, 1.2 + 0.5 * swing, 0.45, brown, 0.08)
    neck = -2.65 + 0.25 * swing
    body.limb(0.6, -0.1, neck, 1.05, yellow, 0.19)
    x, y = limb_end(0.6, -0.1, neck, 1.1)
    body.disc(0.0, 0.0, 0.82, yellow, flat=0.52)
    for place in ((-0.45, -0.1), (0.0, 0.12), (0.4, -0.12)):
        body.disc(*place, 0.19, brown)
    body.limb(x - 0.1, y, math.pi, 0.38, brown, 0.08)
    body.disc(x + 0.14, y + 0.02, 0.36, yellow, flat=0.68)
    body.disc(x + 0.12, y - 0.06, 0.13, WHITE)
    body.disc(x + 0.14, y - 0.06, 0.075, BLACK)
