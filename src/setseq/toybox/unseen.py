"""Unseen concepts: looks and motions that the grammar can neither draw nor name.

Each has a body of several parts with limbs or layouts of several colours, and a motion along a path
or with moving limbs. The base model never trains on any. They share the grammar's scenery, so that
only the concept is new.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from setseq.toybox import figures
from setseq.toybox.backdrop import LIGHT_TINT, draw_place, draw_weather
from setseq.toybox.canvas import Canvas, Frames, times_s
from setseq.toybox.shipped import asset
from setseq.toybox.world import NUM_FRAMES, Scene

# The one copy of the prompts lies beside the clips, where a user looks for it.
_PROMPTS: dict[str, dict[str, str]] = tomllib.loads(
    asset("clips/prompts.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """One unseen concept in the scene of its clip.

    Attributes:
        look: The static prompt.
        motion: The dynamic prompt.
        paint: Draws the concept at times (frames, 1, 1) in seconds.
    """

    name: str
    look: str
    motion: str
    place: str
    light: str
    paint: Callable[[Canvas, Tensor], None]


_SCENES: dict[str, tuple[str, str, Callable[[Canvas, Tensor], None]]] = {
    "robot": ("city", "day", figures.robot),
    "bird": ("sea", "dusk", figures.bird),
    "snowman": ("desert", "day", figures.snowman),
    "octopus": ("sea", "day", figures.octopus),
    "crab": ("desert", "dusk", figures.crab),
    "flower": ("forest", "night", figures.flower),
    "dancer": ("meadow", "day", figures.dancer),
    "bee": ("meadow", "rain", figures.bee),
    "jester": ("city", "dusk", figures.jester),
    "fish": ("sea", "snowfall", figures.fish),
    "worm": ("forest", "day", figures.worm),
    "giraffe": ("snowfield", "night", figures.giraffe),
}
UNSEEN: dict[str, Unseen] = {
    name: Unseen(name=name, **_PROMPTS[name], place=place, light=light, paint=paint)
    for name, (place, light, paint) in _SCENES.items()
}


def draw_unseen(
    name: str,
    *,
    frames: Frames = None,
    place: str | None = None,
    light: str | None = None,
    style: str = "plain",
) -> Tensor:
    """Renders an unseen concept, in the scene of its clip or in another one.

    Args:
        name: A key of UNSEEN.
        frames: Frame numbers to draw, all of NUM_FRAMES by default.
        place: A place of the grammar, that of the clip by default.
        light: A light of the grammar, that of the clip by default.
        style: A style of the grammar.

    Returns:
        Pixels (frames, 3, SIZE, SIZE), float32 in [0, 1].
    """
    concept = UNSEEN[name]
    t = times_s(range(NUM_FRAMES) if frames is None else frames)
    light = light or concept.light
    scene = Scene(
        characters=(),
        place=place or concept.place,
        light=light,
        style=style,
        camera="still",
        element="none",
        shift=0.9,
        phase=0.2,
        element_side=1,
    )
    canvas = Canvas(num_frames=t.shape[0], style=style, tint=LIGHT_TINT[light])
    draw_place(canvas, scene, t)
    draw_weather(canvas, scene, t)
    concept.paint(canvas, t)
    return canvas.pixels.clamp(0, 1)


def draw_mask(name: str, *, frames: Frames = None) -> Tensor:
    """Where an unseen concept is in its clip, for a loss that leaves the background out.

    Args:
        name: A key of UNSEEN.
        frames: Frame numbers, all of NUM_FRAMES by default.

    Returns:
        Its share of each pixel, (frames, 1, SIZE, SIZE), float32 in [0, 1]: what differs between
        the concept painted on black and on white is what it lets through.
    """
    t = times_s(range(NUM_FRAMES) if frames is None else frames)
    on_black, on_white = Canvas(num_frames=t.shape[0]), Canvas(num_frames=t.shape[0])
    on_white.backdrop(torch.ones(3, 1, 1))
    for canvas in (on_black, on_white):
        UNSEEN[name].paint(canvas, t)
    return 1 - (on_white.pixels - on_black.pixels).mean(1, keepdim=True)
