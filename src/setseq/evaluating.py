"""Measuring a concept as a user asks for it: its own prompt, and prompts that were held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from setseq.concept import ClipRecord, Concept
from setseq.config import GenerateSettings
from setseq.editing import plan_rows
from setseq.errors import ClipError
from setseq.evaluation.choice import choose_encoders
from setseq.evaluation.footage import Footage
from setseq.evaluation.trial import Trial, TrialPrompt, run_trial
from setseq.formats.native import load_concept
from setseq.learning import Base, base_of, fitted_clip
from setseq.presets import layered
from setseq.sampling import own_settings
from setseq.video.clip import ClipSource
from setseq.video.io import read_clip


def evaluate(
    concept: Concept | str | Path,
    clip: str | Path,
    prompts: str | Sequence[str],
    *,
    seeds: Sequence[int] = (),
    clip_model: str | Path | None = None,
    identity_model: str | Path | None = None,
    faces: str | Path | None = None,
    points: str | Path | None = None,
    fetch: bool = False,
    start_s: float | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    base: Base | None = None,
    on_prompts: Callable[[Sequence[TrialPrompt]], None] = lambda prompts: None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Trial:
    """Measure a concept under its own prompt and under held-out ones; see docs/metrics.md.

    Args:
        concept: A concept, or the path of its file.
        clip: What it was learned from, which its videos are compared with.
        prompts: As for ``trial_prompts``.
        seeds: Of the start noise, each of them for every prompt; that of the settings where there
            is none.
        clip_model: "toybox", a folder or a model id: of C-T, TC and the edit margin; "none" leaves
            them out. None takes the base's natural one, where that is to be had.
        identity_model: Likewise, of identity and leakage.
        faces: Folder of a face encoder, for ID; None measures no faces.
        points: File of CoTracker 3's weights, to follow points with; None is OpenCV's tracker.
        fetch: Fetch an encoder that is not on this machine; else it counts as not to be had.
        start_s: Where the clip starts, in seconds; None is where it did when it was learned.
        preset: As for ``generate``.
        settings: As for ``generate``.
        base: As for ``generate``.
        on_prompts: Called with the whole prompts, the own one first, before any work.
        on_step: Called with sampling steps done and in all.

    Returns:
        The scores of every prompt and seed, for ``score_table`` and ``save_trial``.

    Raises:
        SetSeqError: A prompt, the clip, an encoder that was asked for, a setting, the concept or
            the base cannot be used.
    """
    concept = concept if isinstance(concept, Concept) else load_concept(Path(concept))
    asked = trial_prompts(concept, clip, prompts)
    on_prompts(asked)
    for seed in seeds:
        GenerateSettings.resolve({"seed": seed})
    layered(GenerateSettings, {}, preset, settings or {})
    model = base_of(concept, base)
    own = own_settings(model, concept)
    sampling = layered(GenerateSettings, own, preset, settings or {})
    if start_s is None:
        start_s = _start(concept, clip)
    fitted = fitted_clip(model, clip, start_s=start_s)
    choice = choose_encoders(
        model.id,
        clip=clip_model,
        things=identity_model,
        faces=faces,
        points=points,
        fetch=fetch,
        device=str(model.device),
    )
    return run_trial(
        model,
        concept,
        Footage(frames=fitted.frames, fps=fitted.fps),
        asked,
        choice,
        sampling,
        seeds=seeds or [sampling.seed],
        notes=[*fitted.notes, *_origin_notes(concept, fitted.source)],
        on_step=on_step,
    )


def trial_prompts(
    concept: Concept, clip: str | Path, prompts: str | Sequence[str]
) -> tuple[TrialPrompt, ...]:
    """The prompts of a trial: the concept's own, of this clip, and the held-out ones.

    Args:
        concept: What is on trial.
        clip: One of the files that it was learned from.
        prompts: Whole prompts with [v]; or edits of the own one in a few words, as for ``edit``.

    Raises:
        ClipError: The clip cannot be read; or there are several, and it is none of them.
        PromptError: There is no prompt, it cannot be told what one changes, or a token is unknown.
    """
    texts = [prompts] if isinstance(prompts, str) else prompts
    source = read_clip(clip, num_frames=1).source
    rows = plan_rows(concept, texts, clip=_number(concept, source), original=True)
    return tuple(TrialPrompt(title=row.edit, prompt=row.prompt) for row in rows)


def _start(concept: Concept, clip: str | Path) -> float:
    """Where a clip started when it was learned, in seconds; 0 where that is not known."""
    source = read_clip(clip, num_frames=1).source
    record = _record(concept, source)
    return (record.start_s or 0.0) if record.sha256 == source.sha256 else 0.0


def _number(concept: Concept, source: ClipSource) -> int:
    """Which of the concept's clips a file is, from 1."""
    hashes = [record.sha256 for record in concept.provenance.clips]
    if source.sha256 in hashes:
        return hashes.index(source.sha256) + 1
    if len(hashes) == 1:
        return 1
    raise ClipError(
        f"{source.path}: is none of the {len(hashes)} clips that the concept was learned from"
        f" (sha256 {', '.join(known[:12] or 'not recorded' for known in hashes)}), so its own"
        " prompt is not known; give one of the very files"
    )


def _record(concept: Concept, source: ClipSource) -> ClipRecord:
    return concept.provenance.clips[_number(concept, source) - 1]


def _origin_notes(concept: Concept, source: ClipSource) -> list[str]:
    known = _record(concept, source).sha256
    if not known or known == source.sha256:
        return []
    return [
        f"it is not the very file that the concept was learned from (sha256 {known[:12]}, this is"
        f" {source.sha256[:12]}), so that MSE and motion are those against another video"
    ]
