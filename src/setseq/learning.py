"""Learning as a user asks for it: everything is checked first, then the base, then the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.models.registry import TOYBOX, load_model
from setseq.presets import layered
from setseq.prompts import ConceptPrompt, concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.loop import StepReport
from setseq.training.stages import TrainingClip
from setseq.video.io import read_clip
from setseq.video.views import FittedClip, load_clip

Base = str | Path | VideoModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Started:
    """What a learning is about, when it starts.

    Attributes:
        model: The base; while ``on_step`` runs, it carries the concept so far.
        clips: As the base sees them, with notes on what happened to them.
        prompts: Theirs, in the same order.
        settings: Of the training, all layers together.
        resumed: Whether it goes on from a checkpoint.
    """

    model: VideoModel
    clips: tuple[FittedClip, ...]
    prompts: tuple[ConceptPrompt, ...]
    settings: LearnSettings
    resumed: bool


def learn(
    clip: str | Path,
    *,
    look: str,
    motion: str,
    base: Base = TOYBOX,
    preset: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    start_s: float = 0.0,
    checkpoint: str | Path | None = None,
    on_start: Callable[[Started], None] = lambda started: None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learn the look and the movement of what one clip shows.

    Args:
        clip: A video file or a folder of images; as many seconds are used as the base makes.
        look: What is seen, with [v] for the entity: "a [v] creature in a meadow".
        motion: How it moves, with [u] for the movement: "it is [u] dancing".
        base: "toybox", a local diffusers pipeline folder, or a loaded model.
        preset: "paper", "fast" or "quality"; its values win over the base's own.
        seed: Of every random draw, at least 0; None is that of the settings, 0 by default.
        settings: Names of LearnSettings to values, over the base's own and the preset's.
        start_s: Where the clip starts, in seconds, at least 0.
        checkpoint: Where the state goes while learning; where it lies there, learning goes on.
        on_start: Called before the training with what it is about.
        on_step: Called after every step.

    Returns:
        The concept, for ``generate`` and ``save_concept``.

    Raises:
        SetSeqError: The clip, a prompt, a setting or the base cannot be used, or Ctrl-C.
    """
    prompt = concept_prompt(look, motion)
    overrides = (settings or {}, {"seed": seed})
    layered(LearnSettings, {}, preset, *overrides)  # what is wrong shows before the base is loaded
    read_clip(clip, num_frames=1)
    model = as_model(base)
    fitted = fitted_clip(model, clip, start_s=start_s)
    chosen = layered(LearnSettings, model.defaults.learn, preset, *overrides)
    state = None if checkpoint is None else Path(checkpoint)
    resumed = state is not None and state.exists()
    on_start(
        Started(model=model, clips=(fitted,), prompts=(prompt,), settings=chosen, resumed=resumed)
    )
    return learn_concept(
        model,
        [TrainingClip(pixels=fitted.pixels[0], prompt=prompt, sha256=fitted.source.sha256)],
        chosen,
        checkpoint=state,
        on_step=on_step,
    )


def fitted_clip(model: VideoModel, clip: str | Path, *, start_s: float = 0.0) -> FittedClip:
    """A clip at the size, rate and length of a base model, with notes on what happened to it."""
    geometry = model.geometry
    return load_clip(
        clip,
        num_frames=geometry.num_frames,
        width=geometry.width,
        height=geometry.height,
        fps=geometry.fps,
        frame_step=geometry.frame_step,
        start_s=start_s,
    )


def as_model(base: Base) -> VideoModel:
    """The model itself, loaded where only its name is given."""
    return load_model(base) if isinstance(base, str | Path) else base
