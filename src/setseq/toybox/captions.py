"""Captions of scenes in the paper's two parts, look then motion, in varied words.

Parts are left out at random, so that the base model also knows partial prompts, and some captions
carry a name that means nothing ("a zor ball"), so that an unknown name does not disturb it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from setseq.toybox.world import Character, Scene

LOOK_NAMES = ("zor", "mip", "lun", "tak", "vex", "pob")
MOTION_NAMES = ("dax", "wug", "fep", "kiv", "rul", "gim")

_NOUNS = {
    "ball": ("ball", "ball", "circle"),
    "box": ("box", "box", "brick"),
    "triangle": ("triangle",),
    "star": ("star",),
    "heart": ("heart",),
    "cross": ("cross", "cross", "plus"),
}
_UNNAMED = ("creature", "creature", "character")
_ACCESSORIES = {
    "hat": ("with a hat", "wearing a hat"),
    "glasses": ("with glasses", "wearing glasses"),
    "bow tie": ("with a bow tie", "wearing a bow tie"),
}
_PLACES = {
    "meadow": ("in a green meadow", "in a meadow", "on the grass"),
    "desert": ("in the desert", "on the sand", "in the desert"),
    "snowfield": ("in a snowy field", "on the snow", "in the snow"),
    "sea": ("at the sea", "by the sea with waves", "on the water"),
    "city": ("in the city", "in a city street", "between tall buildings"),
    "forest": ("in the forest", "in a forest", "between dark trees"),
}
_LIGHTS = {
    "day": ("", "", "by day", "on a sunny day"),
    "night": ("at night", "at night under the moon"),
    "dusk": ("at dusk", "at sunset"),
    "rain": ("in the rain", "while it rains", "on a rainy day"),
    "snowfall": ("in falling snow", "while snow falls", "with snowflakes"),
}
_STYLES = {
    "plain": (("", ""), ("", ""), ("", ""), ("", ", plain cartoon")),
    "pencil": (("a pencil sketch of ", ""), ("", ", pencil sketch"), ("", ", pencil drawing")),
    "neon": (("a neon picture of ", ""), ("", ", neon style"), ("", ", neon lights")),
}
_ELEMENTS = {"bonfire": ("next to a bonfire", "with a bonfire", "beside a burning bonfire")}
_MOTIONS = {
    "standing": ("is standing still", "stands still", "does not move"),
    "bouncing": ("is bouncing", "bounces up and down", "is bouncing up and down"),
    "sliding": ("is sliding", "slides left and right", "is sliding from side to side"),
    "spinning": ("is spinning", "spins around", "is spinning around"),
    "circling": ("is circling", "moves in a circle", "is circling around"),
    "pulsing": ("is pulsing", "grows and shrinks", "is growing and shrinking"),
    "shaking": ("is shaking", "trembles", "is shaking quickly"),
    "swinging": ("is swinging", "swings like a pendulum", "is swinging and tilting"),
}
_CAMERAS = {"still": ("", "", "", "the camera is still."), "zooming": ("the camera zooms in.",)}


@dataclass(frozen=True)
class Caption:
    """A prompt in two parts.

    Attributes:
        look: Who is there, where, in what light and style; ends without a full stop.
        motion: How it moves, with the camera; may be empty.
        phrases: What is said of each character in the look, left first, as it stands there.
        moves: What is said of each character in the motion, left first; empty like it.
    """

    look: str
    motion: str
    phrases: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Both parts as one prompt."""
        return f"{self.look}. {self.motion}" if self.motion else self.look

    def spans(self) -> list[tuple[int, int, int]]:
        """Which characters of ``text`` tell of whom: (start, end, who), in their order."""
        found, place = [], 0
        for said in (self.phrases, self.moves):
            for who, words in enumerate(said):
                start = self.text.index(words, place)
                place = start + len(words)
                found.append((start, place, who))
        return found


def _character_words(character: Character, rng: random.Random, drop: float) -> tuple[str, str]:
    """The noun phrase of a character, and the noun alone for the motion part."""
    keep = lambda: rng.random() >= drop  # noqa: E731
    noun = rng.choice(_NOUNS[character.shape] if keep() else _UNNAMED)
    words = [character.color] if keep() else []
    if character.pattern != "plain" and keep():
        words.append(character.pattern)
    elif character.pattern == "plain" and rng.random() < 0.2:
        words.append("plain")
    if drop and rng.random() < 0.08:
        words.insert(0, rng.choice(LOOK_NAMES))
    phrase = " ".join(["a", *words, noun])
    if character.accessory != "none" and keep():
        phrase += " " + rng.choice(_ACCESSORIES[character.accessory])
    return phrase.replace("a orange", "an orange"), noun


def _motion_words(character: Character, rng: random.Random, drop: float) -> str:
    words = rng.choice(_MOTIONS[character.motion])
    if drop and rng.random() < 0.08:
        words = f"{words} in {rng.choice(MOTION_NAMES)} style"
    return words


def _scene_words(scene: Scene, rng: random.Random, drop: float) -> str:
    parts: list[str] = []
    for table, value in ((_PLACES, scene.place), (_ELEMENTS, scene.element)):
        if value in table and rng.random() >= drop:
            parts.append(rng.choice(table[value]))
    if rng.random() >= drop:
        light = rng.choice(_LIGHTS[scene.light])
        parts.insert(len(parts) if rng.random() < 0.8 else 0, light)
    return " ".join(part for part in parts if part)


def caption(scene: Scene, rng: random.Random, *, drop: float = 0.1) -> Caption:
    """Describes a scene in words drawn at random.

    Args:
        scene: What is to be described.
        rng: Draws the wording and what is left out.
        drop: Probability that a part is left out, [0, 1]; 0 names everything.

    Returns:
        The two parts of the caption.
    """
    phrases, nouns = zip(
        *(_character_words(character, rng, drop) for character in scene.characters), strict=True
    )
    before, after = rng.choice(_STYLES[scene.style]) if rng.random() >= drop else ("", "")
    if len(phrases) == 1:
        who = phrases[0]
        subject = rng.choice(("it", "it", f"the {nouns[0]}"))
        moves = [f"{subject} {_motion_words(scene.characters[0], rng, drop)}"]
    else:
        who = f"{phrases[0]} on the left and {phrases[1]} on the right"
        subjects = rng.choice(
            (
                tuple(
                    f"the {noun} on the {side}"
                    for noun, side in zip(nouns, ("left", "right"), strict=True)
                ),
                ("the left one", "the right one"),
            )
        )
        moves = [
            f"{subject} {_motion_words(character, rng, drop)}"
            for subject, character in zip(subjects, scene.characters, strict=True)
        ]
    look = " ".join(part for part in (before + who, _scene_words(scene, rng, drop)) if part) + after
    if rng.random() < drop:
        moves = []
    motion = f"{' and '.join(moves)}." if moves else ""
    camera = rng.choice(_CAMERAS[scene.camera]) if rng.random() >= drop else ""
    motion = " ".join(part for part in (motion, camera) if part)
    return Caption(look, motion, phrases, tuple(moves))


def unnamed_caption(scene: Scene, rng: random.Random, accessory: str, *, drop: float = 0.1) -> str:
    """Describes a scene around something that no word of the grammar names.

    Args:
        scene: Where it is; its characters are not mentioned.
        rng: Draws the wording and what is left out.
        accessory: What it wears, a value of world.ACCESSORIES.
        drop: Probability that a part is left out, [0, 1].
    """
    before, after = rng.choice(_STYLES[scene.style]) if rng.random() >= drop else ("", "")
    who = f"a {rng.choice(_UNNAMED)}"
    if accessory != "none" and rng.random() >= drop:
        who += " " + rng.choice(_ACCESSORIES[accessory])
    return " ".join(part for part in (before + who, _scene_words(scene, rng, drop)) if part) + after
