"""Reads the unseen concepts with the judge before learning and after each of the two stages.

Stage 2 freezes what stage 1 learned, so one learned concept shows all three states exactly: nothing
is strength (0, 0), after Set is (1, 0), after Sequence is (1, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.prompts import concept_prompt, filled
from setseq.sampling import with_concept
from setseq.toybox.evaluate import generate_clips
from setseq.toybox.judge import Judge
from setseq.toybox.likeness import identity_likeness, motion_likeness
from setseq.toybox.shipped import asset
from setseq.toybox.unseen import UNSEEN
from setseq.training.learn import learn_concept
from setseq.training.loop import StepReport
from setseq.training.stages import TrainingClip
from setseq.video.io import read_clip
from setseq.video.views import to_pixels

STATES = {"before": (0.0, 0.0), "after Set": (1.0, 0.0), "after Sequence": (1.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How alike the regenerated clip is to the reference, in one state.

    Attributes:
        identity: likeness.identity_likeness, how alike the judge reads them; mean over seeds.
        motion: likeness.motion_likeness, how alike pixels change, without the judge; likewise.
        mse: Mean squared error of pixels in [0, 1] between corresponding frames, as the paper's.
    """

    concept: str
    state: str
    identity: float
    motion: float
    mse: float


def shipped_clip(name: str) -> Tensor:
    """The pixels (3, f, h, w) in [-1, 1] of a shipped clip of an unseen concept."""
    return to_pixels(read_clip(asset("clips") / f"{name}.mp4").frames)


def learn_unseen(
    model: VideoModel,
    name: str,
    settings: LearnSettings,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learns an unseen concept from its shipped clip and its shipped prompts."""
    prompt = concept_prompt(UNSEEN[name].look, UNSEEN[name].motion)
    clip = TrainingClip(pixels=shipped_clip(name), prompt=prompt)
    return learn_concept(model, [clip], settings, on_step=on_step)


def regenerate(
    model: VideoModel,
    concept: Concept,
    name: str,
    strengths: tuple[float, float],
    count: int,
) -> Tensor:
    """Generates a concept's own scene.

    Args:
        model: The base that the concept was learned on.
        concept: The concept.
        name: A key of UNSEEN, whose prompts are used.
        strengths: Identity and motion.
        count: Clips, of seeds 0, 1 and so on.

    Returns:
        Pixels (count, 3, f, h, w) in [-1, 1].
    """
    prompt = concept_prompt(UNSEEN[name].look, UNSEEN[name].motion).full
    text = filled(prompt, concept.provenance.words)
    with with_concept(model, concept, identity=strengths[0], motion=strengths[1]):
        return generate_clips(model, [text] * count, seeds=range(count))


def read_states(
    model: VideoModel, judge: Judge, concept: Concept, name: str, count: int
) -> list[Reading]:
    """Reads one concept in its three states."""
    reference = shipped_clip(name)[None]
    readings = []
    for state, strengths in STATES.items():
        clips = regenerate(model, concept, name, strengths, count)
        looks = identity_likeness(judge, reference, clips)
        motions = motion_likeness(reference, clips)
        mse = float(((clips - reference) / 2).square().mean())
        reading = Reading(
            concept=name,
            state=state,
            identity=float(looks.mean()),
            motion=float(motions.mean()),
            mse=mse,
        )
        readings.append(reading)
    return readings


def markdown(readings: Sequence[Reading]) -> str:
    """A table with a row a concept, and the means below."""
    head = " | ".join(
        f"{what}, {state}" for what in ("identity", "motion", "MSE") for state in STATES
    )
    lines = [f"| concept | {head} |", "|---" * (1 + 3 * len(STATES)) + "|"]
    names = list(dict.fromkeys(reading.concept for reading in readings))
    columns: list[list[float]] = []
    for name in names:
        own = [reading for reading in readings if reading.concept == name]
        columns.append([getattr(r, what) for what in ("identity", "motion", "mse") for r in own])
    rows = [*zip(names, columns, strict=True)]
    rows.append(("mean", torch.tensor(columns).mean(0).tolist()))
    for name, values in rows:
        shown = [f"{v:.2f}" if k < 6 else f"{v:.4f}" for k, v in enumerate(values)]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"
