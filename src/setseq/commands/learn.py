"""``setseq learn``: from one clip, or a scene of several, to a concept file and a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from setseq.commands.options import (
    Base,
    ClipModel,
    Config,
    Fetch,
    Preset,
    Rank,
    SequenceSteps,
    SetSteps,
    Start,
    Tokens,
    config_tables,
    given,
)
from setseq.launching import launch, missing
from setseq.outputs import check_output
from setseq.terminal import STAGES, Bars, duration, fail, say

if TYPE_CHECKING:
    from setseq.api import Concept, Started, StepReport
    from setseq.watch.run import Watch


def learn(
    clip: Annotated[
        Path, typer.Argument(help="A .mp4, .mov, .webm, .mkv, .gif or image folder; or scene.toml.")
    ],
    look: Annotated[
        str | None, typer.Option(help='What is seen: "a [v] creature in a meadow".')
    ] = None,
    motion: Annotated[str | None, typer.Option(help='How it moves: "it is [u] dancing".')] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The concept file.")] = Path(
        "concept.safetensors"
    ),
    base: Base = "toybox",
    seed: Annotated[int | None, typer.Option(help="Of every random draw; 0 by default.")] = None,
    rank: Rank = None,
    set_steps: SetSteps = None,
    sequence_steps: SequenceSteps = None,
    tokens: Tokens = None,
    preset: Preset = None,
    config: Config = None,
    start: Start = 0.0,
    mask: Annotated[
        Path | None, typer.Option(help="A video as long as the clip, white where to learn.")
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="A concept; its look is kept, only movement is learned."),
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on from the state of a stopped run, if there is one.")
    ] = True,
    preview_every: Annotated[
        int | None, typer.Option(help="Steps between previews in OUT.run/previews; 0 for none.")
    ] = None,
    preview_prompt: Annotated[
        str | None, typer.Option(help="A scene of your own for previews and report.")
    ] = None,
    tracker: Annotated[
        Literal["auto", "tensorboard", "wandb", "none"] | None,
        typer.Option(help="Where losses go too; auto: TensorBoard where it is installed."),
    ] = None,
    report: Annotated[
        bool | None, typer.Option("--report/--no-report", help="Write OUT.run/report.html.")
    ] = None,
    select: Annotated[
        Literal["last", "best"] | None,
        typer.Option(help="Keep the last step's concept, or the best trade-off's."),
    ] = None,
    select_checks: Annotated[
        int | None, typer.Option(help="Steps of Sequence that are measured for the best.")
    ] = None,
    clip_model: ClipModel = None,
    fetch: Fetch = False,
    gpus: Annotated[
        int | None, typer.Option(min=1, help="Share each step among as many GPUs of this machine.")
    ] = None,
    shard: Annotated[
        bool, typer.Option("--shard", help="Spread the base over them, where one is too small.")
    ] = False,
) -> None:
    """Learn a concept from one clip, or several together; OUT.run gets losses and a report."""
    _check_prompts(clip, look, motion, start, mask)
    _check_start(clip, start_from, out)
    check_output(out, (".safetensors",))
    if count := missing(gpus, shard=shard):
        raise typer.Exit(launch(count, sys.argv[1:], shard=shard))
    tables = config_tables(config)
    tables["learn"] |= given(
        seed=seed,
        rank=rank,
        set_steps=set_steps,
        sequence_steps=sequence_steps,
        token_mode=tokens,
    )
    tables["watch"] |= given(
        preview_every=preview_every,
        preview_prompt=preview_prompt,
        tracker=tracker,
        report=report,
        select=select,
        select_checks=select_checks,
        clip_model=clip_model,
    )
    _run(
        clip,
        look,
        motion,
        out,
        base,
        preset,
        tables,
        start_s=start,
        mask=mask,
        start_from=start_from,
        resume=resume,
        fetch=fetch,
    )


def _run(
    clip: Path,
    look: str | None,
    motion: str | None,
    out: Path,
    base: str,
    preset: str | None,
    tables: dict[str, dict[str, Any]],
    *,
    start_s: float,
    mask: Path | None,
    start_from: Path | None,
    resume: bool,
    fetch: bool,
) -> None:
    from time import perf_counter

    from setseq import api
    from setseq.commands.together import joined
    from setseq.watch.run import Watch

    checkpoint = out.with_suffix(".checkpoint")
    begun = perf_counter()
    with (
        joined(out.with_suffix(".run"), tables["watch"]) as (own, folder, watched),
        Bars() as bars,
        Watch(
            folder,
            settings=watched,
            preset=preset,
            sampling=tables["generate"],
            fetch=fetch,
            on_note=say,
            on_check=lambda done, total: bars.step("Check", done, total),
        ) as watch,
    ):
        if resume and checkpoint.exists():
            say(f"going on from {checkpoint}")

        def on_start(started: Started) -> None:
            _say_notes(started)
            watch.start(started)

        def on_step(report: StepReport) -> None:
            watch.step(report)
            bars.step(STAGES[report.stage], report.step, report.steps, f"loss {report.loss:.4f}")

        def on_prior(done: int, total: int) -> None:
            bars.step("Prior", done, total)

        if look is None or motion is None:  # a scene, which has its own
            concept = api.learn_scene(
                clip,
                base=base,
                preset=preset,
                settings=tables["learn"],
                hardware=tables["hardware"],
                checkpoint=checkpoint,
                resume=resume,
                on_start=on_start,
                on_prior=on_prior,
                on_step=on_step,
            )
        else:
            concept = api.learn(
                clip,
                look=look,
                motion=motion,
                base=base,
                preset=preset,
                settings=tables["learn"],
                hardware=tables["hardware"],
                start_s=start_s,
                mask=mask,
                start=start_from,
                checkpoint=checkpoint,
                resume=resume,
                on_start=on_start,
                on_prior=on_prior,
                on_step=on_step,
            )
        concept = watch.choose(concept)
        if own.is_first:
            size = api.save_concept(concept, out)
            checkpoint.unlink(missing_ok=True)
            took = _took(perf_counter() - begun, watch.checking_s)
            say(f"{out}: {size / 2**20:.1f} MiB, {took}")
        if watch.settings.report:
            _report(watch, concept, bars, out)


def _report(watch: Watch, concept: Concept, bars: Bars, out: Path) -> None:
    """The page; Ctrl-C while it is written leaves a concept that needs no second learning."""
    try:
        page = watch.report(
            concept, on_progress=lambda done, total: bars.step("Report", done, total)
        )
    except KeyboardInterrupt:
        fail(f"stopped while the report was written; the concept is whole, in {out}")
    say(f"open {page}")


def _took(seconds: float, checking_s: float) -> str:
    checks = f", checked in {duration(checking_s)}" if checking_s else ""
    return f"learned in {duration(seconds - checking_s)}{checks}"


def _check_prompts(
    clip: Path, look: str | None, motion: str | None, start_s: float, mask: Path | None
) -> None:
    """A clip needs both parts of its prompt; a scene file has them, starts and masks inside."""
    are_given = {"--look": look is not None, "--motion": motion is not None}
    if clip.suffix.lower() != ".toml":
        if missing := [name for name, is_given in are_given.items() if not is_given]:
            raise typer.BadParameter(f"Missing option {missing[0]!r}.")
        return
    are_given |= {"--start": start_s > 0, "--mask": mask is not None}
    if unwanted := [name for name, is_given in are_given.items() if is_given]:
        fail(
            f"{clip}: a scene says {unwanted[0][2:]} itself, in each [[concept]] table; leave"
            f" {unwanted[0]} out"
        )


def _check_start(clip: Path, start_from: Path | None, out: Path) -> None:
    if start_from is None:
        return
    if clip.suffix.lower() == ".toml":
        fail(f"{clip}: a scene is learned as a whole; --from is for one clip")
    if out.exists() and start_from.exists() and out.samefile(start_from):
        fail(f"{out}: is the concept to start from; give another name with -o")


def _say_notes(started: Started) -> None:
    for clip, learned in zip(started.clips, started.learned, strict=True):
        for note in clip.notes:
            say(f"{clip.source.path}: {note}")
        if learned.mask is not None:
            share = float(learned.mask.mean())
            say(f"{clip.source.path}: {share:.0%} of the picture is learned, by its mask")
    if beside := started.stitched.clips:
        say(f"{len(beside)} stitched clips, the first as: {beside[0].prompt.full}")
