"""Measures the toybox's encoders on what they were never trained on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from setseq.evaluation.encoders import (
    ClipEncoder,
    ThingEncoder,
    load_clip_encoder,
    load_thing_encoder,
)
from setseq.evaluation.identity import likeness
from setseq.toybox.captions import caption
from setseq.toybox.draw import draw_scene
from setseq.toybox.encoders import look_pictures
from setseq.toybox.evaluate import HELD_OUT_SEED
from setseq.toybox.unseen import UNSEEN, draw_unseen
from setseq.toybox.world import LIGHTS, NUM_FRAMES, PLACES, random_scene

HELD_OUT_LOOKS = 750_000_000  # the training draws its looks from a million seeds below
_FRAMES = range(0, NUM_FRAMES, 4)
_CONCEPT_HEAD = "| concept | other scene, mean | least | other concept, mean | most | nearest |"

# What good encoders reach: our choice, far above chance and below what would need hours.
BARS = {"words": 0.7, "looks": 0.7, "concepts": 0.95}


@dataclass(frozen=True, kw_only=True)
class ConceptReading:
    """Identity (evaluation/identity.py) of a shipped concept's clip with videos in other scenes.

    Scenes are all places by all lights of the grammar, less that of its clip. With itself in the
    scene of its clip the identity is 1.

    Attributes:
        own: Mean with the same concept in the other scenes.
        own_least: The least of them.
        other: Mean with the other concepts in the same scenes.
        other_most: The most of them.
        nearest: Share of the scenes in which no other concept is as near as itself, [0, 1].
    """

    name: str
    own: float
    own_least: float
    other: float
    other_most: float
    nearest: float


@dataclass(frozen=True, kw_only=True)
class EncoderReport:
    """Shares of right answers, [0, 1].

    Attributes:
        words: Held-out pictures for which CLIP finds the caption among 32; chance is 0.03.
        pictures: Captions for which it finds the picture among 32.
        looks: Held-out looks that the identity encoder finds again among 200 others, in other
            scenery and stance; chance is 0.005.
        readings: Of the shipped concepts, one by one.
    """

    words: float
    pictures: float
    looks: float
    readings: tuple[ConceptReading, ...]

    @property
    def concepts(self) -> float:
        """Scenes in which a concept is nearest to its own clip, over all concepts; chance 1/12."""
        return fmean(reading.nearest for reading in self.readings)

    @property
    def is_good(self) -> bool:
        """Whether every bar is reached."""
        return all(getattr(self, name) >= bar for name, bar in BARS.items())

    def markdown(self) -> str:
        """Two tables: all shares with the bars that there are, and the concepts one by one."""
        rows = {
            "CLIP: caption found among 32": ("words", self.words),
            "CLIP: picture found among 32": ("pictures", self.pictures),
            "identity: look found again among 200": ("looks", self.looks),
            "identity: concept nearest to itself in another scene": ("concepts", self.concepts),
        }
        lines = ["| what | measured | bar |", "|---|---|---|"]
        for what, (name, value) in rows.items():
            lines.append(f"| {what} | {value:.2f} | {BARS.get(name, '')} |")
        lines += ["", _CONCEPT_HEAD, "|" + "---|" * _CONCEPT_HEAD.count(" | ") + "---|"]
        for r in self.readings:
            values = (r.own, r.own_least, r.other, r.other_most, r.nearest)
            lines.append(f"| {r.name} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
        return "\n".join(lines) + "\n"


def _frames(pixels: Tensor) -> np.ndarray:
    """Pixels (n, 3, h, w) in [0, 1] as uint8 (n, h, w, 3)."""
    return (pixels.movedim(1, -1) * 255).round().byte().numpy()


def measure_encoders(folder: Path, *, looks: int = 200, groups: int = 8) -> EncoderReport:
    """Measures both encoders of a run.

    Args:
        folder: With the folders ``clip`` and ``identity``.
        looks: Held-out looks that one is looked for among.
        groups: Groups of 32 held-out captions.

    Raises:
        EncoderError: One of them is missing or damaged.
    """
    things = load_thing_encoder(folder / "identity")
    words, pictures = _retrieval(load_clip_encoder(folder / "clip"), groups)
    return EncoderReport(
        words=words,
        pictures=pictures,
        looks=_found_again(things, looks),
        readings=_concepts(things),
    )


def _retrieval(clip: ClipEncoder, groups: int, size: int = 32) -> tuple[float, float]:
    rng = random.Random(0)
    right = [0, 0]
    for group in range(groups):
        scenes = [random_scene(HELD_OUT_SEED + group * size + k) for k in range(size)]
        drawn = torch.cat([draw_scene(scene, [NUM_FRAMES // 2]) for scene in scenes])
        said = clip.words([caption(scene, rng, drop=0.0).look for scene in scenes])
        likeness = clip.pictures(_frames(drawn)) @ said.T
        for way in (0, 1):
            found = likeness.argmax(1 - way)
            right[way] += int((found == torch.arange(size)).sum())
    return right[0] / (groups * size), right[1] / (groups * size)


def _found_again(things: ThingEncoder, count: int) -> float:
    seeds = [HELD_OUT_LOOKS + k for k in range(count)]
    pair = look_pictures(seeds, random.Random(1)) / 2 + 0.5
    one, other = (things.pictures(_frames(pictures)) for pictures in pair)
    return float(((one @ other.T).argmax(1) == torch.arange(count)).float().mean())


def _concepts(things: ThingEncoder) -> tuple[ConceptReading, ...]:
    def video(name: str, place: str | None, light: str | None) -> Tensor:
        drawn = draw_unseen(name, frames=_FRAMES, place=place, light=light)
        return things.pictures(_frames(drawn))

    scenes: list[tuple[str, str]] = list(product(PLACES, LIGHTS))
    there = {(name, scene): video(name, *scene) for name in UNSEEN for scene in scenes}
    return tuple(_reading(name, video(name, None, None), there) for name in UNSEEN)


def _reading(
    name: str, clip: Tensor, there: dict[tuple[str, tuple[str, str]], Tensor]
) -> ConceptReading:
    concept = UNSEEN[name]
    own, others = [], []
    for scene in dict.fromkeys(scene for _, scene in there):
        if scene != (concept.place, concept.light):
            own.append(likeness(clip, there[name, scene]))
            others.append([likeness(clip, there[n, scene]) for n in UNSEEN if n != name])
    return ConceptReading(
        name=name,
        own=fmean(own),
        own_least=min(own),
        other=fmean(value for row in others for value in row),
        other_most=max(value for row in others for value in row),
        nearest=fmean(value > max(row) for value, row in zip(own, others, strict=True)),
    )
