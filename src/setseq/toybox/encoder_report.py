"""Measures the toybox's encoders on what they were never trained on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.evaluation.encoders import (
    ClipEncoder,
    ThingEncoder,
    load_clip_encoder,
    load_thing_encoder,
)
from setseq.toybox.captions import caption
from setseq.toybox.draw import draw_scene
from setseq.toybox.encoders import look_pictures
from setseq.toybox.evaluate import HELD_OUT_SEED
from setseq.toybox.unseen import UNSEEN, draw_unseen
from setseq.toybox.world import LIGHTS, NUM_FRAMES, PLACES, random_scene

HELD_OUT_LOOKS = 750_000_000  # the training draws its looks from a million seeds far below
_FRAMES = range(0, NUM_FRAMES, 4)

# What good encoders reach: our choice, far above chance and below what would need hours.
BARS = {"words": 0.7, "looks": 0.7, "concepts": 0.95}


@dataclass(frozen=True, kw_only=True)
class EncoderReport:
    """Shares of right answers, [0, 1].

    Attributes:
        words: Held-out pictures for which CLIP finds the caption among 32; chance is 0.03.
        pictures: Captions for which it finds the picture among 32.
        looks: Held-out looks that the identity encoder finds again among 200 others, in other
            scenery and stance; chance is 0.005.
        concepts: Scenes (place and light) in which a shipped concept is nearer to its own clip than
            all the others in that scene are, over all concepts; chance is 0.125.
        same: Mean identity of a concept's clip with itself in all scenes.
        other: Mean identity of a concept's clip with the others in all scenes.
    """

    words: float
    pictures: float
    looks: float
    concepts: float
    same: float
    other: float

    @property
    def is_good(self) -> bool:
        """Whether every bar is reached."""
        return all(getattr(self, name) >= bar for name, bar in BARS.items())

    def markdown(self) -> str:
        """A table of all shares, with the bars that there are."""
        rows = {
            "CLIP: caption found among 32": ("words", self.words),
            "CLIP: picture found among 32": ("pictures", self.pictures),
            "identity: look found again among 200": ("looks", self.looks),
            "identity: concept nearest to itself in another scene": ("concepts", self.concepts),
            "identity with itself in other scenes, mean": ("same", self.same),
            "identity with other concepts, mean": ("other", self.other),
        }
        lines = ["| what | measured | bar |", "|---|---|---|"]
        for what, (name, value) in rows.items():
            lines.append(f"| {what} | {value:.2f} | {BARS.get(name, '')} |")
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
    concepts, same, other = _concepts(things)
    return EncoderReport(
        words=words,
        pictures=pictures,
        looks=_found_again(things, looks),
        concepts=concepts,
        same=same,
        other=other,
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


def _concepts(things: ThingEncoder) -> tuple[float, float, float]:
    def mean(name: str, place: str | None, light: str | None) -> Tensor:
        drawn = draw_unseen(name, frames=_FRAMES, place=place, light=light)
        return F.normalize(things.pictures(_frames(drawn)).mean(0), dim=0)

    names = tuple(UNSEEN)
    clips = torch.stack([mean(name, None, None) for name in names])
    scenes = [(place, light) for place in PLACES for light in LIGHTS]
    drawn = [torch.stack([mean(name, *scene) for name in names]) for scene in scenes]
    likeness = torch.stack([clips @ there.T for there in drawn])  # (scenes, clips, there)
    nearest = likeness.argmax(2) == torch.arange(len(names))
    own = torch.eye(len(names), dtype=torch.bool).expand_as(likeness)
    return (
        float(nearest.float().mean()),
        float(likeness[own].mean()),
        float(likeness[~own].mean()),
    )
