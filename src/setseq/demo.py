"""``setseq demo``: a clip that the package ships, learned and shown in scenes that it never had."""

from __future__ import annotations

import importlib.resources
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from setseq import api
from setseq.concept import Concept
from setseq.config import GenerateSettings
from setseq.evaluation.report import Report, Shown, write_report
from setseq.models.base import VideoModel
from setseq.models.registry import TOYBOX
from setseq.outputs import check_output
from setseq.presets import layered
from setseq.prompts import concept_prompt
from setseq.terminal import STAGES, duration
from setseq.toybox.unseen import UNSEEN
from setseq.video.encode import write_video
from setseq.video.sheet import write_sheet

_SHOWN_HEIGHT = 384  # smaller videos are enlarged by a whole number

OnProgress = Callable[[str, int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A scene for the dancer: its title, also the file's name, and its prompt."""

    title: str
    prompt: str


EDITS = tuple(
    Edit(title=title, prompt=f"{look}. it is [u] dancing.")
    for title, look in (
        ("Snow field", "a [v] creature in a snowy field in falling snow"),
        ("At night", "a [v] creature in a meadow at night"),
        ("City in the rain", "a [v] creature in a city street in the rain"),
        ("Desert at dusk", "a [v] creature in the desert at dusk"),
        ("By the sea", "a [v] creature by the sea with waves on a sunny day"),
        ("Pencil sketch", "a pencil sketch of a [v] creature in a meadow by day"),
    )
)


def run_demo(
    out: Path,
    *,
    base: api.Base = TOYBOX,
    seed: int = 0,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    on_progress: OnProgress = lambda name, done, total, note: None,
) -> Path:
    """Learn the dancer, generate it in its own scene and in others, and write a report.

    Args:
        out: Folder of the results; made where it is missing.
        base: As for ``api.learn``.
        seed: Of the learning and of the start noise.
        preset: As for ``api.learn``.
        settings: As for ``api.learn``.
        sampling: The settings of ``api.generate``.
        on_progress: Called with stage, steps done, steps in all and a note.

    Returns:
        The report. Beside it lie concept.safetensors, the .mp4 files and sheet.png.

    Raises:
        SetSeqError: The base is missing or does not fit, a result cannot be written, or Ctrl-C;
            the same call then goes on where it stopped.
    """
    out.mkdir(parents=True, exist_ok=True)
    concept_file = check_output(out / "concept.safetensors", (".safetensors",))
    dancer = UNSEEN["dancer"]
    prompt = concept_prompt(dancer.look, dancer.motion)
    scene = prompt.full.replace("[v1]", "[v]").replace("[u1]", "[u]")
    losses: dict[str, list[float]] = {title: [] for title in STAGES.values()}

    def on_step(report: api.StepReport) -> None:
        losses[STAGES[report.stage]].append(report.loss)
        on_progress(STAGES[report.stage], report.step, report.steps, f"loss {report.loss:.4f}")

    with importlib.resources.as_file(
        importlib.resources.files("setseq") / "toybox" / "assets" / "clips" / "dancer.mp4"
    ) as clip:
        model = api.load_model(base) if isinstance(base, str | Path) else base
        fitted = api.fitted_clip(model, clip)
        start = time.perf_counter()
        checkpoint = out / "concept.checkpoint"
        concept = api.learn(
            clip,
            look=dancer.look,
            motion=dancer.motion,
            base=model,
            seed=seed,
            preset=preset,
            settings=settings,
            checkpoint=checkpoint,
            on_step=on_step,
        )
    learned = time.perf_counter()
    api.save_concept(concept, concept_file)
    checkpoint.unlink(missing_ok=True)
    videos = api.generate(
        concept,
        [scene, *(edit.prompt for edit in EDITS)],
        seed=seed,
        preset=preset,
        settings=sampling,
        base=model,
        on_step=lambda done, total: on_progress("Generate", done, total, ""),
    )
    generated = time.perf_counter()
    reference = Shown(title="The clip", prompt=scene, frames=fitted.frames)
    reconstruction = Shown(title="Reconstruction", prompt=scene, frames=videos[0])
    edits = [
        Shown(title=edit.title, prompt=edit.prompt, frames=video)
        for edit, video in zip(EDITS, videos[1:], strict=True)
    ]
    _write_videos(out, (reference, reconstruction, *edits), fps=fitted.fps)
    return write_report(
        out / "report.html",
        Report(
            title="A dancer, learned from one clip",
            reference=reference,
            reconstruction=reconstruction,
            edits=edits,
            fps=fitted.fps,
            losses=losses,
            facts=_facts(model, concept, concept_file, learned - start, generated - learned)
            | _sampling_facts(model, preset, sampling),
            settings=concept.provenance.settings,
            notes=fitted.notes,
        ),
    )


def _write_videos(out: Path, shown: tuple[Shown, ...], *, fps: float) -> None:
    for video in shown:
        name = video.title.lower().replace(" ", "-")
        write_video(out / f"{name}.mp4", video.frames, fps=fps, scale=_scale(video.frames))
    write_sheet(out / "sheet.png", [(f"{v.title}: {v.prompt}", v.frames) for v in shown])


def _scale(frames: np.ndarray) -> int:
    return max(1, _SHOWN_HEIGHT // frames.shape[1])


def _facts(
    model: VideoModel, concept: Concept, file: Path, learning_s: float, generating_s: float
) -> dict[str, str]:
    geometry = model.geometry
    return {
        "base model": f"{model.id} ({model.fingerprint[:12]})",
        "videos": f"{geometry.num_frames} frames of {geometry.width}x{geometry.height}"
        f" at {geometry.fps:g} fps",
        "concept file": f"{file.stat().st_size / 2**20:.1f} MiB",
        "learning": duration(learning_s),
        "generating": duration(generating_s),
        "seed": str(concept.provenance.seed),
        "setseq": concept.provenance.version,
    }


def _sampling_facts(
    model: VideoModel, preset: str | None, sampling: Mapping[str, Any] | None
) -> dict[str, str]:
    chosen = layered(GenerateSettings, model.defaults.generate, preset, sampling or {})
    return {"sampling": f"{chosen.num_steps} steps, guidance {chosen.guidance:g}"}
