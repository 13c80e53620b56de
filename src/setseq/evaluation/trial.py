"""A concept on trial: its own prompt and held-out ones, generated and measured, a row a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from setseq.concept import Concept
from setseq.config import GenerateSettings
from setseq.errors import PromptError
from setseq.evaluation.choice import Choice
from setseq.evaluation.footage import Footage, alignment
from setseq.evaluation.measure import Asked, Controls, Encoders, Scores, evaluate
from setseq.evaluation.studio import Studio
from setseq.models.base import VideoModel
from setseq.prompts import check_prompt, without_tokens
from setseq.sampling import with_concept

Means = dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class TrialPrompt:
    """One prompt of a trial.

    Attributes:
        title: A few words, as the edit that made it.
        prompt: The whole prompt, with the concept's tokens.
    """

    title: str
    prompt: str


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialRow:
    """What one prompt came to.

    Attributes:
        asked: The prompt.
        is_own: Whether it is the concept's own, so that the clip is to be given back.
        scores: Of the video of each seed.
        video: That of the first seed, uint8 (f, h, w, 3).
    """

    asked: TrialPrompt
    is_own: bool
    scores: tuple[Scores, ...]
    video: np.ndarray

    @property
    def means(self) -> Means:
        """Means over the seeds; MSE is of the own prompt alone: it punishes every edit."""
        found = mean_scores([scores.as_row() for scores in self.scores])
        return found if self.is_own else {**found, "mse": None}


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A concept's scores.

    Attributes:
        concept: What was on trial.
        rows: The own prompt first, then the held-out ones.
        seeds: Of the start noise.
        reference: The clip that was measured against.
        choice: What looked at the videos.
        sampling: Settings of the videos.
        alignment: How videos and clip were brought together; empty where they are alike.
        notes: What happened to the clip on the way, in plain words.
    """

    concept: Concept
    rows: tuple[TrialRow, ...]
    seeds: tuple[int, ...]
    reference: Footage
    choice: Choice
    sampling: GenerateSettings
    alignment: str
    notes: tuple[str, ...] = ()

    @property
    def said(self) -> list[str]:
        """What happened to the clip, and how it and the videos were brought together."""
        return [*self.notes, *([self.alignment] if self.alignment else [])]

    @property
    def means(self) -> Means:
        """Means over the held-out prompts, each of them counting the same."""
        return mean_scores([row.means for row in self.rows if not row.is_own])


def mean_scores(rows: Sequence[Mapping[str, float | None]]) -> Means:
    """The mean of each metric over the rows that have it; None where none has."""
    found = {name: [v for row in rows if (v := row[name]) is not None] for name in rows[0]}
    return {name: fmean(values) if values else None for name, values in found.items()}


def check_readable(choice: Choice, prompts: Sequence[TrialPrompt]) -> None:
    """Make sure that CLIP reads every prompt to its end, before anything is generated.

    Raises:
        PromptError: One is too long, or has nothing besides its tokens.
    """
    words = [without_tokens(asked.prompt) for asked in prompts]
    if choice.encoders.clip is not None:
        choice.encoders.clip.words(words)


def run_trial(
    model: VideoModel,
    concept: Concept,
    reference: Footage,
    prompts: Sequence[TrialPrompt],
    choice: Choice,
    sampling: GenerateSettings,
    *,
    seeds: Sequence[int],
    notes: Sequence[str] = (),
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Trial:
    """Generates every prompt with every seed, and measures the videos.

    Leakage is measured at the own prompt: with the concept and without it, its tokens left out.

    Args:
        model: The base that the concept was learned on.
        concept: What is on trial.
        reference: Its clip.
        prompts: The own prompt first, then at least one that it was not learned with.
        choice: What looks at the videos.
        sampling: Of the videos.
        seeds: Of the start noise, at least one, each of them for every prompt.
        notes: What happened to the clip on the way.
        on_step: Called with sampling steps done and in all.

    Raises:
        SetSeqError: A prompt, a setting or the concept cannot be used.
    """
    if len(prompts) < 2:
        raise PromptError("there is no held-out prompt; give at least one scene of your own")
    check_readable(choice, prompts)
    texts = [check_prompt(asked.prompt, concept.provenance.words) for asked in prompts]
    # Without its tokens the prompt says "a creature" where it said "a [v] creature".
    plain = [without_tokens(prompts[0].prompt)] if choice.encoders.things else []
    count = len(seeds) * (len(texts) + 2 * len(plain))
    studio = Studio(
        model=model, sampling=sampling, seeds=tuple(seeds), on_step=on_step, videos=count
    )
    videos, controls = _filmed(studio, concept, texts, plain)
    eyes, (own, *others) = choice.encoders, zip(prompts, videos, strict=True)
    rows = [_row(reference, *own, eyes, controls=controls)]
    rows += [_row(reference, *each, eyes, source=prompts[0].prompt) for each in others]
    return Trial(
        concept=concept,
        rows=tuple(rows),
        seeds=tuple(seeds),
        reference=reference,
        choice=choice,
        sampling=sampling,
        alignment=alignment(reference, videos[0][0]),
        notes=tuple(notes),
    )


def _filmed(
    studio: Studio, concept: Concept, texts: Sequence[str], plain: Sequence[str]
) -> tuple[list[list[Footage]], list[Controls]]:
    """Videos of each text, by seed; and by seed the controls of a plain one, if there is one."""
    with with_concept(studio.model, concept) as injection:
        videos = studio.film(texts, injection)
        leaking = studio.film(plain, injection)
    pairs = zip(*leaking, *studio.film(plain), strict=True)
    return videos, [Controls(without_tokens=with_it, base=base) for with_it, base in pairs]


def _row(
    reference: Footage,
    asked: TrialPrompt,
    videos: Sequence[Footage],
    encoders: Encoders,
    *,
    source: str = "",
    controls: Sequence[Controls] = (),
) -> TrialRow:
    """Measures the videos of one prompt: the concept's own, or one beside it as ``source``."""
    scores = [
        evaluate(reference, video, Asked(prompt=asked.prompt, source=source), encoders, control)
        for video, control in zip(videos, controls or [None] * len(videos), strict=True)
    ]
    return TrialRow(asked=asked, is_own=not source, scores=tuple(scores), video=videos[0].frames)
