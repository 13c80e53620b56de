"""The scene grammar: what a toybox scene can contain, and how scenes are drawn at random."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

SIZE = 64
NUM_FRAMES = 17
FPS = 8.0

# Half sizes of a body, in half pictures, alone and beside another: large, because a small model
# learns first what covers many pixels.
LONE_RADIUS = 0.46
PAIR_RADIUS = 0.34

SHAPES = ("ball", "box", "triangle", "star", "heart", "cross")
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
PATTERNS = ("plain", "striped", "spotted")
ACCESSORIES = ("none", "hat", "glasses", "bow tie")
MOTIONS = (
    "standing",
    "bouncing",
    "sliding",
    "spinning",
    "circling",
    "pulsing",
    "shaking",
    "swinging",
)
PLACES = ("meadow", "desert", "snowfield", "sea", "city", "forest")
LIGHTS = ("day", "night", "dusk", "rain", "snowfall")
STYLES = ("plain", "pencil", "neon")
CAMERAS = ("still", "zooming")
ELEMENTS = ("none", "bonfire")

# What the judge reads and the tables report, with the values of each.
SCENE_ATTRIBUTES = {"place": PLACES, "light": LIGHTS, "style": STYLES}
CHARACTER_ATTRIBUTES = {
    "shape": SHAPES,
    "color": COLORS,
    "pattern": PATTERNS,
    "accessory": ACCESSORIES,
    "motion": MOTIONS,
}

# All that a scene can contain: a run of the recipe belongs to one grammar.
GRAMMAR = (*SCENE_ATTRIBUTES.values(), *CHARACTER_ATTRIBUTES.values(), CAMERAS, ELEMENTS)


@dataclass(frozen=True, kw_only=True)
class Character:
    """One character of the grammar.

    Attributes:
        phase: Where in its cycle the motion starts, in turns, [0, 1).
        period_s: Length of one cycle of the motion in seconds.
        reach: Amplitude of the motion as a factor, about 0.85 to 1.15.
        x: Horizontal place in the picture, [-1, 1].
        y: Vertical place of the centre at rest, [-1, 1], down is positive.
        radius: Half size of the body in the same units.
    """

    shape: str
    color: str
    pattern: str
    accessory: str
    motion: str
    phase: float
    period_s: float
    reach: float
    x: float
    y: float
    radius: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A whole scene: one or two characters (left first) in a place.

    Attributes:
        shift: Horizontal offset of the scenery, so that no two backgrounds are the same.
        phase: Where moving scenery (waves, flames, rain) starts, in turns.
        element_side: -1 or 1, the side on which the dynamic element stands.
    """

    characters: tuple[Character, ...]
    place: str
    light: str
    style: str
    camera: str
    element: str
    shift: float
    phase: float
    element_side: int


_PERIODS_S = {
    "standing": (1.0, 1.0),
    "bouncing": (0.85, 1.15),
    "sliding": (1.7, 2.3),
    "spinning": (1.4, 2.1),
    "circling": (1.4, 2.0),
    "pulsing": (0.9, 1.2),
    "shaking": (0.36, 0.4),
    "swinging": (1.0, 1.4),
}


def _random_character(rng: random.Random, *, slot: float, radius: float) -> Character:
    motion = rng.choice(MOTIONS)
    return Character(
        shape=rng.choice(SHAPES),
        color=rng.choice(COLORS),
        pattern=rng.choices(PATTERNS, (0.5, 0.25, 0.25))[0],
        accessory=rng.choices(ACCESSORIES, (0.34, 0.22, 0.22, 0.22))[0],
        motion=motion,
        phase=rng.random(),
        period_s=rng.uniform(*_PERIODS_S[motion]),
        reach=rng.uniform(0.85, 1.15),
        x=slot + rng.uniform(-0.06, 0.06),
        y=rng.uniform(0.12, 0.26),
        radius=radius * rng.uniform(0.93, 1.07),
    )


def random_scene(seed: int, *, num_characters: int | None = None) -> Scene:
    """Draws a scene from the grammar, the same for the same seed.

    Args:
        seed: Any integer; also the identity of the scene in the training set.
        num_characters: 1 or 2; by default two in every third scene.

    Returns:
        The scene.
    """
    rng = random.Random(seed)
    count = num_characters or (2 if rng.random() < 0.34 else 1)
    slots = (rng.uniform(-0.18, 0.18),) if count == 1 else (-0.52, 0.52)
    radius = LONE_RADIUS if count == 1 else PAIR_RADIUS
    return Scene(
        characters=tuple(_random_character(rng, slot=slot, radius=radius) for slot in slots),
        place=rng.choice(PLACES),
        light=rng.choices(LIGHTS, (0.36, 0.16, 0.16, 0.16, 0.16))[0],
        style=rng.choices(STYLES, (0.68, 0.16, 0.16))[0],
        camera=rng.choices(CAMERAS, (0.88, 0.12))[0],
        element="bonfire" if count == 1 and rng.random() < 0.14 else "none",
        shift=rng.uniform(-math.pi, math.pi),
        phase=rng.random(),
        element_side=rng.choice((-1, 1)),
    )
