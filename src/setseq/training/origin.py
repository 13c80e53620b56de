"""What a training is about: where its concept comes from, and what tells it from all others."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from setseq.concept import ClipRecord, Provenance
from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.prompts import choose_words
from setseq.training.prior_prompts import prior_prompts
from setseq.training.recipe import SET_AND_SEQUENCE, Recipe
from setseq.training.stages import TrainingClip
from setseq.training.stitched import NOT_STITCHED, Stitched
from setseq.version import __version__

# Settings that a resumed training may change: they take effect from there on.
_MAY_CHANGE = (
    "learning_rate",
    "sequence_rate",
    "token_learning_rate",
    "clip_norm",
    "checkpoint_every",
)


def provenance(
    model: VideoModel, clips: Sequence[TrainingClip], settings: LearnSettings
) -> Provenance:
    """Where a concept comes from, as far as it is known before the training."""
    records = [
        ClipRecord(
            look=clip.prompt.look,
            motion=clip.prompt.motion,
            sha256=clip.sha256,
            start_s=clip.start_s,
        )
        for clip in clips
    ]
    return Provenance(
        base=model.id,
        family=model.family,
        fingerprint=model.fingerprint,
        clips=tuple(records),
        token_mode=settings.token_mode,
        words=choose_words(settings.token_mode, concepts=len(clips), words=settings.words),
        settings=settings.model_dump() | model.hardware.differs,
        seed=settings.seed,
        version=__version__,
        hub=model.hub,
    )


def run_of(
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    *,
    recipe: Recipe = SET_AND_SEQUENCE,
    stitched: Stitched = NOT_STITCHED,
) -> dict[str, Any]:
    """What tells a training from all others, less the settings that may change on the way.

    The frames count beside their file: another start in the same file gives other ones.

    Args:
        model: the base model.
        clips: of the concept or concepts.
        settings: of the training.
        recipe: its stages.
        stitched: what is learned beside the clips.

    Returns:
        plain values, which what is kept for the training (a checkpoint, a candidate) must agree on.

    Raises:
        PromptError: the prior's prompts or the words cannot be used.
    """
    about = dataclasses.asdict(provenance(model, clips, settings))
    for clip in about["clips"]:
        del clip["start_s"]  # the hash of the frames says it
    seen = [*clips, *stitched.clips]
    about["hash of the frames"] = [_hash(clip.videos) for clip in seen]
    masks = [clip.masks for clip in seen]
    about["hash of the masks"] = [_hash(mask) if mask is not None else "" for mask in masks]
    about["settings"] = {k: v for k, v in about["settings"].items() if k not in _MAY_CHANGE}
    about["stitched share"] = stitched.share
    if recipe.name:
        about["method"] = recipe.name
    if settings.prior != "none":
        found = prior_prompts(settings.prior_prompts, base=model.id, count=settings.prior_count)
        about["prior prompts"] = [prompt.full for prompt in found]
    return about


def _hash(pixels: Tensor) -> str:
    return hashlib.sha256(pixels.cpu().contiguous().numpy().tobytes()).hexdigest()
