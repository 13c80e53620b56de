"""A concept's own prompts and held-out ones, generated and measured in the cheapest way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from setseq.config import GenerateSettings
from setseq.evaluation.adherence import edit_margin
from setseq.evaluation.encoders import ClipEncoder
from setseq.evaluation.footage import Footage
from setseq.evaluation.reconstruction import mse
from setseq.evaluation.studio import Studio
from setseq.evaluation.tradeoff import Measured
from setseq.models.base import VideoModel
from setseq.prompts import without_tokens


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """What is asked of one clip's concept.

    Attributes:
        reference: The clip, as the base saw it.
        own: Its prompt.
        edits: Prompts that it was not learned with.
    """

    reference: Footage
    own: str
    edits: tuple[str, ...]


def measure_held_out(
    model: VideoModel,
    asked: Sequence[HeldOut],
    clip: ClipEncoder,
    sampling: GenerateSettings,
    *,
    seeds: Sequence[int],
    read: Callable[[str], str],
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Measured:
    """Generates every prompt with every seed from a model as it is now, and measures the videos.

    Args:
        model: With or without a concept in it.
        asked: Of each clip of the concept.
        clip: Judges the edits.
        sampling: Of the videos; nothing but its own seeds decides their noise.
        seeds: Of the start noise.
        read: From a prompt with tokens to one that the model reads.
        on_step: Called with sampling steps done and in all.

    Raises:
        PromptError: A prompt is longer than CLIP reads.
    """
    studio = Studio(
        model=model,
        sampling=sampling,
        seeds=tuple(seeds),
        on_step=on_step,
        videos=len(seeds) * sum(1 + len(each.edits) for each in asked),
    )
    errors, margins = [], []
    for each in asked:
        [videos] = studio.film([read(each.own)])
        errors += [mse(each.reference, video) for video in videos]
        for edit in each.edits:
            words = clip.words([without_tokens(edit), without_tokens(each.own)])
            [videos] = studio.film([read(edit)])
            margins.append(
                fmean(edit_margin(clip.pictures(video.frames), *words) for video in videos)
            )
    return Measured(mse=fmean(errors), margins=tuple(margins))
