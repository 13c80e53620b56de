"""A bench from its settings to its pages: what is done is not done again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from setseq.bench import registry
from setseq.bench.devices import formats_of, load_base
from setseq.bench.eyes import (
    NONE,
    asked_for,
    check_readable,
    check_wanted,
    left_out,
    one_thread,
    opened,
    resolved_choice,
    without,
)
from setseq.bench.folder import Folder, make_manifest, open_folder
from setseq.bench.pace import OnProgress, Tally
from setseq.bench.pages import write_pages
from setseq.bench.plan import Learning, Plan, make_plan
from setseq.bench.processes import Failed, Job, ended_as_by_ctrl_c, in_processes
from setseq.bench.registry import Methods
from setseq.bench.results import gather, write_results
from setseq.bench.settings import BenchSettings, EncoderChoice
from setseq.bench.settings import quick as made_quick
from setseq.bench.work import Bench
from setseq.errors import BenchError, Interrupted, SetSeqError, SettingsError
from setseq.evaluation.encoders import digest
from setseq.evaluation.footage import Footage, alignment
from setseq.evaluation.measure import DEFINITIONS, Encoders
from setseq.evaluation.vision import opencv
from setseq.precision import Precision
from setseq.prompts import without_tokens
from setseq.video.encode import write_video

OnNote = Callable[[str], None]


def run_bench(
    settings: BenchSettings,
    root: Path,
    *,
    quick: bool = False,
    processes: int | None = None,
    fetch: bool = False,
    methods: Callable[[], Methods] | None = None,
    on_progress: OnProgress = lambda progress: None,
    on_note: OnNote = lambda line: None,
) -> Path:
    """Learn, show, measure and compare, and write the pages; the same call goes on.

    Every learning has one thread, so that no cell depends on ``processes``.

    Args:
        settings: What to run over.
        root: The folder; new, or that of the same bench.
        quick: Make it small.
        processes: Learnings beside each other, at least 1; None is one for each core.
        fetch: Fetch encoders that are not on this machine; else they are left out.
        methods: Gives the methods, a function of a module; None is the package's own.
        on_progress: Called as it goes.
        on_note: Called with a line on what a reader should know.

    Returns:
        The report.

    Raises:
        SetSeqError: A setting, a clip or the base cannot be used, the folder is of another bench,
            some learnings failed, or Ctrl-C.
    """
    settings = made_quick(settings) if quick else settings
    methods = methods or registry.installed
    found = methods()
    if odd := [name for name in settings.methods if name not in found.known]:
        raise SettingsError(f"no method {odd[0]!r}; known: {', '.join(found.known)}")
    for name, values in settings.method.items():
        if fixed := [key for key in values if key in found.known[name].decides]:
            raise SettingsError(
                f"[method.{name}] sets {fixed[0]}, which the method itself decides; leave it out"
            )
    with one_thread():
        bench, choice = _prepared(settings, root, found, quick=quick, fetch=fetch, on_note=on_note)
        try:
            failed = _done(bench, choice, methods, processes or _cores(), on_progress)
        except Interrupted:
            _written(bench, found)
            raise
        return _finish(bench, found, failed, on_note)


def _done(
    bench: Bench,
    choice: EncoderChoice,
    methods: Callable[[], Methods],
    processes: int,
    on_progress: OnProgress,
) -> list[Failed]:
    """Do what is not there yet.

    Returns:
        What could not be done.

    Raises:
        Interrupted: Ctrl-C, or a polite end (SIGTERM), as `timeout` asks for.
    """
    plan, folder = bench.plan, bench.folder
    pending = [each for each in plan.learnings() if _is_open(plan, folder, each)]
    count = max(1, min(processes, len(pending)))
    tally = _tally(bench, pending, count, on_progress)
    on_progress(tally.state())
    failed: list[Failed] = []
    try:
        with ended_as_by_ctrl_c():
            if count == 1:
                _in_turn(bench, pending, tally, failed.append)
            else:
                job = Job(plan=plan, folder=folder, choice=choice, methods=methods, processes=count)
                in_processes(job, pending, tally.take, failed.append)
    except (KeyboardInterrupt, Interrupted):
        state = tally.state()
        raise Interrupted(
            f"stopped; {state.shown} of {state.cells} cells are in {folder.root} and its pages, and"
            " the same command goes on"
        ) from None
    return failed


def _prepared(
    settings: BenchSettings,
    root: Path,
    found: Methods,
    *,
    quick: bool,
    fetch: bool,
    on_note: OnNote,
) -> tuple[Bench, EncoderChoice]:
    """Checks everything before the work starts, and opens the folder."""
    plan = make_plan(settings)
    model = load_base(settings)
    choice = resolved_choice(settings, base=model.id)
    if choice.judge != NONE:
        check_wanted(settings)
    encoders, missing = opened(choice, needed=asked_for(settings), fetch=fetch)
    if encoders.clip is not None:  # a prompt that it does not read to its end is refused
        encoders.clip.words(sorted({without_tokens(text) for text in _texts(plan)}))
    for line in left_out(missing):
        on_note(line)
    choice = without(choice, missing)
    bench = Bench(plan=plan, folder=Folder(root), model=model, encoders=encoders, methods=found)
    precisions: set[Precision] = set()
    for learning in plan.learnings():
        precisions.add(bench.learn_settings(learning).precision)
        shown = bench.generate_settings(learning.method, settings.seeds[0])
        model.geometry.latent_shape(shown.num_frames, shown.height, shown.width)
        if encoders.judge is not None:
            check_readable(model.geometry, shown)
        precisions.add(shown.precision)
    manifest = make_manifest(
        plan,
        titles={name: found.known[name].title for name in settings.methods},
        clips={name: _content_of(bench, name) for name in plan.cases},
        fingerprint=model.fingerprint,
        formats=formats_of(model, precisions),
        encoders=_measures(choice, encoders),
        fps=model.geometry.fps,
        quick=quick,
    )
    bench.folder = open_folder(root, manifest)
    for learning in plan.learnings():
        values = bench.learn_settings(learning).model_dump(mode="json")
        bench.folder.check_learned(learning, values, found.known[learning.method].digest)
    for name in plan.cases:
        if not bench.folder.reference(name).exists():
            clip = bench.clip(name)
            write_video(bench.folder.reference(name), clip.frames, fps=clip.fps)
    if note := _alignment(bench):
        on_note(note)
    return bench, choice


def _texts(plan: Plan) -> list[str]:
    """All prompts of a bench."""
    return [
        case.text(edit) for case in plan.cases.values() for edit in (None, *range(len(case.edits)))
    ]


def _alignment(bench: Bench) -> str:
    """How videos are compared with the clips, which are all as the base sees them."""
    settings, own = bench.plan.settings, bench.model.geometry
    shown = bench.generate_settings(settings.methods[0], settings.seeds[0])
    frames, height, width = (
        shown.num_frames or own.num_frames,
        shown.height or own.height,
        shown.width or own.width,
    )
    video = np.broadcast_to(np.uint8(0), (frames, height, width, 3))
    clip = bench.clip(next(iter(bench.plan.cases)))
    return alignment(Footage(frames=clip.frames, fps=clip.fps), Footage(frames=video, fps=own.fps))


def _content_of(bench: Bench, name: str) -> str:
    """The hash of a concept's clip, with that of its mask, which is then known to fit."""
    clip, case = bench.clip(name), bench.plan.cases[name]
    if case.mask is None:
        return clip.source.sha256
    from setseq.learning import fitted_clip, fitted_mask

    fitted_mask(bench.model, case.mask, clip)
    mask = fitted_clip(bench.model, case.mask, start_s=case.start_s)
    return f"{clip.source.sha256}+{mask.source.sha256}"


def _measures(choice: EncoderChoice, encoders: Encoders) -> dict[str, str]:
    """What measures, as the manifest keeps it."""
    networks = {
        "clip": encoders.clip and encoders.clip.network,
        "things": encoders.things and encoders.things.network,
        "judge": encoders.judge,
    }
    names = choice.model_dump()
    for name, network in networks.items():
        if network is not None:
            names[name] = f"{names[name]} ({digest(network)[:12]})"
    if choice.points != NONE:
        names["points"] = f"{names['points']} (OpenCV {opencv().__version__})"
    return names | {"definitions": DEFINITIONS}


def _is_open(plan: Plan, folder: Folder, learning: Learning) -> bool:
    done = folder.record(learning).exists()
    return not (done and all(folder.cell(cell).exists() for cell in plan.cells(learning)))


def _is_to_be_learned(plan: Plan, folder: Folder, learning: Learning) -> bool:
    if folder.is_learned(learning):
        return False
    return not folder.record(learning).exists() or bool(folder.unseen(plan.cells(learning)))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tally(
    bench: Bench, pending: Sequence[Learning], processes: int, on_progress: OnProgress
) -> Tally:
    plan, folder = bench.plan, bench.folder
    every = plan.learnings()
    cells = [cell for learning in every for cell in plan.cells(learning)]
    return Tally(
        steps_each={each.method: bench.num_steps(each) for each in every},
        processes=processes,
        learnings={each for each in pending if _is_to_be_learned(plan, folder, each)},
        cells={cell for cell in cells if not folder.cell(cell).exists()},
        on_progress=on_progress,
        num_learnings=len(every),
        num_cells=len(cells),
    )


def _in_turn(
    bench: Bench,
    pending: Sequence[Learning],
    tally: Tally,
    on_failed: Callable[[Failed], None],
) -> None:
    """Do learnings one after the other in this process."""
    for learning in pending:
        try:
            bench.do(learning, tally.take)
        except Interrupted:
            raise
        except SetSeqError as error:
            on_failed(Failed(learning, str(error)))


def _written(bench: Bench, found: Methods) -> Path | None:
    """Writes what there is; the report, or None where there is nothing to report."""
    results = gather(bench.plan, bench.folder)
    write_results(results, bench.folder)
    return write_pages(results, bench.folder, found.known) if results.cells else None


def _finish(bench: Bench, found: Methods, failed: Sequence[Failed], on_note: OnNote) -> Path:
    report = _written(bench, found)
    if failed:
        for each in failed:
            on_note(f"{each.learning.concept} by {each.learning.method} failed: {each.reason}")
        raise BenchError(
            f"{len(failed)} of the learnings failed, as {failed[0].learning.concept} by"
            f" {failed[0].learning.method} ({failed[0].reason}); {report or 'no page'} shows the"
            " others, and the same command tries the failed ones again"
        )
    assert report is not None
    return report
