"""What a learning came to: videos of the concept, a contact sheet, and the page with everything."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from setseq import api
from setseq.concept import Concept
from setseq.config import GenerateSettings, WatchSettings
from setseq.evaluation.report import Report, Shown, write_report
from setseq.learning import Started
from setseq.prompts import ConceptPrompt, shown_prompt
from setseq.rewriting.rewrite import rewrite
from setseq.rewriting.scenery import split_scenery
from setseq.scene import side_by_side
from setseq.settings_file import toml_value
from setseq.terminal import STAGES, duration
from setseq.video.encode import write_video
from setseq.video.sheet import write_sheet
from setseq.video.views import FittedClip
from setseq.watch.outcome import Outcome

_SHOWN_HEIGHT = 384  # smaller videos are enlarged by a whole number


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A scene for a concept: its title, also the file's name, and its prompt."""

    title: str
    prompt: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """What a learning leaves behind.

    Attributes:
        started: What it was about.
        concept: What was learned.
        curves: Stage to part to its loss at each step.
        learning_s: Seconds that it took since it was started last, without the checks.
        checking_s: Seconds that the checks for the best step took.
        watch: Settings of the report.
        sampling: Settings of the videos in it.
        outcome: Of the selection of a step.
    """

    started: Started
    concept: Concept
    curves: Mapping[str, Mapping[str, Sequence[float]]]
    learning_s: float
    checking_s: float
    watch: WatchSettings
    sampling: GenerateSettings
    outcome: Outcome


def write_results(
    folder: Path,
    results: Results,
    *,
    title: str,
    scenes: Sequence[Scene],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Generate all videos, and write them, their contact sheet and the page into a folder.

    Args:
        folder: Where to.
        results: What to show.
        title: Of the page.
        scenes: What to show the concept in, beside its own scene.
        on_progress: Called with sampling steps done and in all.

    Returns:
        The page.

    Raises:
        SetSeqError: A scene cannot be used, or a file not be written.
    """
    started = results.started
    own = [shown_prompt(prompt.full, len(started.prompts)) for prompt in started.prompts]
    begun = time.perf_counter()
    videos = api.generate(
        results.concept,
        [*own, *(scene.prompt for scene in scenes)],
        settings=results.sampling.model_dump(),
        base=started.model,
        on_step=on_progress,
    )
    facts = _facts(results, generating_s=time.perf_counter() - begun)
    pairs = _pairs(own, started.clips, videos[: len(own)])
    others = tuple(
        Shown(title=scene.title, prompt=scene.prompt, frames=video)
        for scene, video in zip(scenes, videos[len(own) :], strict=True)
    )
    fps = started.model.geometry.fps
    _write_videos(folder, (*(shown for pair in pairs for shown in pair), *others), fps=fps)
    report = Report(
        title=title,
        pairs=pairs,
        edits=others,
        fps=fps,
        losses={STAGES.get(stage, stage): parts for stage, parts in results.curves.items()},
        facts=facts,
        settings=_settings(results),
        notes=tuple(note for clip in started.clips for note in clip.notes),
        warnings=results.outcome.warnings,
        checks=results.outcome.curves(),
        tables=results.outcome.tables(),
    )
    return write_report(folder / "report.html", report)


def _pairs(
    prompts: Sequence[str], clips: Sequence[FittedClip], videos: Sequence[np.ndarray]
) -> tuple[tuple[Shown, Shown], ...]:
    """Each clip beside what the concept makes of its own prompt."""
    each = enumerate(zip(prompts, clips, videos, strict=True), 1)
    return tuple(
        (
            Shown(title=_numbered("The clip", k, prompts), prompt=prompt, frames=clip.frames),
            Shown(title=_numbered("Reconstruction", k, prompts), prompt=prompt, frames=video),
        )
        for k, (prompt, clip, video) in each
    )


def _settings(results: Results) -> dict[str, dict[str, str]]:
    """All settings by table, as they stand in a settings file."""
    tables = {
        "learn": results.concept.provenance.settings,
        "generate": results.sampling.model_dump(),
        "watch": results.watch.model_dump(),
    }
    return {
        name: {k: toml_value(value) for k, value in table.items() if value is not None}
        for name, table in tables.items()
    }


def default_scenes(prompts: Sequence[ConceptPrompt], watch: WatchSettings) -> list[Scene]:
    """The settings' edits of every clip's own prompt, the first two as a pair, the user's scene.

    Raises:
        PromptError: It cannot be told what an edit changes.
    """
    scenes = [
        Scene(
            title=_numbered(edit[:1].upper() + edit[1:], k, prompts),
            prompt=shown_prompt(rewrite(prompt, edit).prompt, len(prompts)),
        )
        for edit in watch.edits
        for k, prompt in enumerate(prompts, 1)
    ]
    if len(prompts) > 1:
        scenery = split_scenery(prompts[0].look)[1]
        both = side_by_side(prompts[0], prompts[1], scenery=scenery)
        scenes.append(Scene(title="Side by side", prompt=both.full))
    if watch.preview_prompt:
        scenes.append(Scene(title="Your scene", prompt=watch.preview_prompt))
    return scenes


def _numbered(title: str, number: int, among: Sequence[object]) -> str:
    return f"{title} {number}" if len(among) > 1 else title


def _write_videos(folder: Path, videos: Sequence[Shown], *, fps: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for video in videos:
        name = "-".join(re.findall(r"[a-z0-9]+", video.title.lower()))
        write_video(folder / f"{name}.mp4", video.frames, fps=fps, scale=_scale(video.frames))
    write_sheet(folder / "sheet.png", [(f"{v.title}: {v.prompt}", v.frames) for v in videos])


def _scale(frames: np.ndarray) -> int:
    return max(1, _SHOWN_HEIGHT // frames.shape[1])


def _facts(results: Results, *, generating_s: float) -> dict[str, str]:
    model, concept, sampling = results.started.model, results.concept, results.sampling
    geometry = model.geometry
    learning = "learning, since it went on" if results.started.resumed else "learning"
    return {
        "base model": f"{model.id} ({model.fingerprint[:12]})",
        "videos": f"{geometry.num_frames} frames of {geometry.width}x{geometry.height}"
        f" at {geometry.fps:g} fps",
        learning: duration(results.learning_s),
        **({"checking": duration(results.checking_s)} if results.checking_s else {}),
        "generating": duration(generating_s),
        "sampling": f"{sampling.num_steps} steps, guidance {sampling.guidance:g}",
        "seed": str(concept.provenance.seed),
        "setseq": concept.provenance.version,
    }
