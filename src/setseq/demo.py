"""``setseq demo``: a clip that the package ships, learned and shown in scenes that it never had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from setseq import api
from setseq.models.registry import TOYBOX
from setseq.outputs import check_output, new_folder
from setseq.terminal import STAGES
from setseq.toybox.shipped import asset
from setseq.toybox.unseen import UNSEEN
from setseq.watch.results import Scene
from setseq.watch.run import Watch

OnProgress = Callable[[str, int, int, str], None]

SCENES = tuple(
    Scene(title=title, prompt=f"{look}. it is [u] dancing.")
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
    watch: Mapping[str, Any] | None = None,
    hardware: Mapping[str, Any] | None = None,
    on_progress: OnProgress = lambda name, done, total, note: None,
    on_note: Callable[[str], None] = lambda line: None,
) -> Path:
    """Learn the dancer, generate it in its own scene and in others, and write a report.

    Args:
        out: Folder of the results; made where it is missing.
        base: As for ``api.learn``.
        seed: Of the learning and of the start noise.
        preset: As for ``api.learn``.
        settings: As for ``api.learn``.
        sampling: The settings of ``api.generate``.
        watch: Names of WatchSettings to values.
        hardware: As for ``api.learn``.
        on_progress: Called with stage, steps done, steps in all and a note.
        on_note: As for ``Watch``.

    Returns:
        The report. Beside it lie concept.safetensors, the .mp4 files and sheet.png.

    Raises:
        SetSeqError: The base is missing or does not fit, a result cannot be written, or Ctrl-C;
            the same call then goes on where it stopped.
    """
    concept_file = out / "concept.safetensors"
    checkpoint = out / "concept.checkpoint"
    dancer = UNSEEN["dancer"]
    start_noise = {**(sampling or {}), "seed": seed}
    with (
        new_folder(out),
        Watch(
            out,
            settings=watch,
            preset=preset,
            sampling=start_noise,
            on_note=on_note,
            on_check=lambda done, total: on_progress("Check", done, total, ""),
        ) as watching,
    ):
        check_output(concept_file, (".safetensors",))

        def on_step(report: api.StepReport) -> None:
            watching.step(report)
            stage = STAGES[report.stage]
            on_progress(stage, report.step, report.steps, f"loss {report.loss:.4f}")

        concept = api.learn(
            asset("clips/dancer.mp4"),
            look=dancer.look,
            motion=dancer.motion,
            base=base,
            seed=seed,
            preset=preset,
            settings=settings,
            checkpoint=checkpoint,
            hardware=hardware,
            on_start=watching.start,
            on_prior=lambda done, total: on_progress("Prior", done, total, ""),
            on_step=on_step,
        )
    concept = watching.choose(concept)
    api.save_concept(concept, concept_file)
    checkpoint.unlink(missing_ok=True)
    return watching.report(
        concept,
        title="A dancer, learned from one clip",
        scenes=SCENES,
        on_progress=lambda done, total: on_progress("Generate", done, total, ""),
    )
