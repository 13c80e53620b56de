"""Random looks for the identity encoder: bodies of several colours with limbs, beyond all words.

The encoder must tell apart looks that the grammar cannot name, so it learns on a generator that is
wider than the grammar: bodies of the grammar and others, in any colours, with a second colour, a
head, petals, limbs, something on top, and eyes of their own. None of the shipped concepts is among
them: those were drawn by hand, and every part here is drawn at random.
"""

from __future__ import annotations

import colorsys
import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from setseq.toybox.backdrop import LIGHT_TINT, draw_place, draw_weather
from setseq.toybox.bodies import BODIES
from setseq.toybox.canvas import Canvas, Color, times_s
from setseq.toybox.draw import draw_accessory
from setseq.toybox.figure import Figure
from setseq.toybox.world import NUM_FRAMES, Scene

MARKINGS = ("none", "lower half", "upper half", "belly", "bands", "spots")
TOPS = ("none", "antenna", "ears", "horns", "tuft")


@dataclass(frozen=True, kw_only=True)
class Limb:
    """A pair of strokes, one on each side, in body units.

    Attributes:
        x: Where it starts, to the side.
        y: Where it starts, down.
        angle: Direction at rest in radians, 0 is down, positive outwards.
        length: Length of the stroke.
        thick: Half its width.
        swing: How far it swings, in radians.
    """

    x: float
    y: float
    angle: float
    length: float
    thick: float
    swing: float
    color: Color


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a random creature looks, whatever it does and wherever it is.

    Attributes:
        body: "oval" or a body of the grammar.
        flat: Height of an oval over its width.
        marking: Where the second colour is, of MARKINGS.
        head: Radius of a ball on top of the body, 0 for none.
        petals: Discs around the body, 0 for none.
        top: What it has on its head, of TOPS.
        eyes: Half distance, height and radius.
    """

    body: str
    flat: float
    marking: str
    head: float
    petals: int
    top: str
    limbs: tuple[Limb, ...]
    eyes: tuple[float, float, float]
    color: Color
    second: Color
    third: Color


@dataclass(frozen=True, kw_only=True)
class Stance:
    """Where a creature is in each frame, every field (frames, 1, 1).

    Attributes:
        x: Horizontal centre in the picture.
        y: Vertical centre.
        angle: Rotation in radians.
        size: Length of its unit in the picture.
        swing: Where its limbs are in their swing, in radians.
    """

    x: Tensor
    y: Tensor
    angle: Tensor
    size: Tensor
    swing: Tensor


def _random_color(rng: random.Random) -> Color:
    kind = rng.random()
    if kind < 0.12:
        grey = rng.uniform(0.1, 1.0)
        return (grey, grey, grey)
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.45, 1.0), rng.uniform(0.45, 1.0))


def _random_limb(rng: random.Random, colors: tuple[Color, ...]) -> Limb:
    return Limb(
        x=rng.uniform(0.2, 0.85),
        y=rng.uniform(-0.5, 0.8),
        angle=rng.uniform(0.0, 2.8),
        length=rng.uniform(0.4, 0.95),
        thick=rng.uniform(0.1, 0.27),
        swing=rng.uniform(0.0, 1.1),
        color=rng.choice(colors),
    )


def random_look(seed: int) -> Look:
    """Draws a look, the same for the same seed.

    Args:
        seed: Any integer; as good as a name for the look.
    """
    rng = random.Random(seed)
    colors = (_random_color(rng), _random_color(rng), _random_color(rng))
    head = rng.uniform(0.4, 0.75) if rng.random() < 0.25 else 0.0
    eyes_y = -0.55 - 0.5 * head if head else rng.uniform(-0.4, 0.05)
    return Look(
        body=rng.choice(("oval", "oval", "oval", *BODIES)),
        flat=rng.uniform(0.55, 1.45),
        marking=rng.choice(MARKINGS),
        head=head,
        petals=rng.choice((4, 5, 6, 7, 8)) if rng.random() < 0.15 else 0,
        top=rng.choice(TOPS),
        limbs=tuple(_random_limb(rng, colors) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))),
        eyes=(rng.uniform(0.22, 0.45), eyes_y, rng.uniform(0.18, 0.3)),
        color=colors[0],
        second=colors[1],
        third=colors[2],
    )


def _paint_body(figure: Figure, look: Look) -> None:
    u, v = figure.u, figure.v
    if look.body == "oval":
        body = (torch.hypot(u, v / look.flat) - 0.8) * min(1.0, look.flat)
    else:
        body = BODIES[look.body](u, v)
    figure.paint(body, look.color)
    match look.marking:
        case "lower half":
            marked = 0.25 - v
        case "upper half":
            marked = v + 0.1
        case "belly":
            marked = torch.hypot(u, v - 0.35) - 0.45
        case "bands":
            marked = 0.12 - 0.25 * torch.sin(6.5 * v)
        case "spots":
            marked = 0.25 * (0.3 - torch.cos(5.0 * u) * torch.cos(5.0 * v))
        case _:
            return
    figure.paint(torch.maximum(body, marked), look.second)


def _paint_top(figure: Figure, look: Look, height: float) -> None:
    match look.top:
        case "antenna":
            figure.limb(0.0, height + 0.1, math.pi, 0.45, look.second, 0.08)
            figure.disc(0.0, height - 0.4, 0.17, look.third)
        case "ears":
            for side in (-1, 1):
                figure.disc(0.5 * side, height + 0.1, 0.3, look.third)
        case "horns":
            for side in (-1, 1):
                figure.limb(0.4 * side, height + 0.2, math.pi + 0.5 * side, 0.5, look.third, 0.1)
        case "tuft":
            for k in (-1, 0, 1):
                figure.limb(0.0, height + 0.1, math.pi + 0.6 * k, 0.35, look.second, 0.1)


def paint_look(canvas: Canvas, look: Look, stance: Stance) -> Figure:
    """Paints a creature on every frame of a canvas, and gives its body coordinates."""
    figure = Figure(canvas, x=stance.x, y=stance.y, angle=stance.angle, size=stance.size)
    for limb in look.limbs:
        for side in (-1, 1):
            angle = -side * (limb.angle + limb.swing * torch.sin(stance.swing + 1.5 * side))
            figure.limb(side * limb.x, limb.y, angle, limb.length, limb.color, limb.thick)
    for k in range(look.petals):
        turn = 2 * math.pi * k / look.petals
        color = look.third if k % 2 else look.second
        figure.disc(0.75 * math.cos(turn), 0.75 * math.sin(turn), 0.38, color)
    _paint_body(figure, look)
    if look.head:
        figure.disc(0.0, -0.6 - 0.5 * look.head, look.head, look.third)
    _paint_top(figure, look, -0.75 - 1.3 * look.head)
    figure.eyes(*look.eyes)
    return figure


def random_stance(rng: random.Random, count: int) -> Stance:
    """Draws where a creature is in each of some frames that need not follow one another."""

    def draw(low: float, high: float) -> Tensor:
        return torch.tensor([rng.uniform(low, high) for _ in range(count)]).view(-1, 1, 1)

    turn = math.pi if rng.random() < 0.2 else 0.45
    return Stance(
        x=draw(-0.45, 0.45),
        y=draw(-0.3, 0.3),
        angle=draw(-turn, turn),
        size=draw(0.24, 0.38),
        swing=draw(-math.pi, math.pi),
    )


def draw_look(
    look: Look, scene: Scene, rng: random.Random, *, accessory: str = "none", count: int = 2
) -> Tensor:
    """Renders a creature in a scene instead of the scene's characters, in random stances.

    Args:
        look: Who is drawn.
        scene: Gives place, light, style and element.
        rng: Draws times and stances.
        accessory: What it wears, a value of world.ACCESSORIES.
        count: Frames; they share the scenery and need not follow one another.

    Returns:
        Pixels (count, 3, SIZE, SIZE), float32 in [0, 1].
    """
    t = times_s(rng.uniform(0, NUM_FRAMES) for _ in range(count))
    canvas = Canvas(num_frames=count, style=scene.style, tint=LIGHT_TINT[scene.light])
    draw_place(canvas, scene, t)
    draw_weather(canvas, scene, t)
    figure = paint_look(canvas, look, random_stance(rng, count))
    above_eyes = figure.v - look.eyes[1] - 0.14
    draw_accessory(canvas, accessory, figure.u, above_eyes, figure.unit)
    return canvas.pixels.clamp(0, 1)
