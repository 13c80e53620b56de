"""``setseq toybox``: train, measure and look at the embedded world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from setseq.outputs import check_output, write_bytes
from setseq.toybox.settings import EncoderSettings, PretrainSettings, Recipe

_RECIPE, _ENCODERS = Recipe(), EncoderSettings()

app = typer.Typer(help="The embedded world and the recipe of its base model.", no_args_is_help=True)
_console = Console()


def _check_outputs(table: Path | None, sheet: Path | None) -> None:
    """Before the work, not after it."""
    for path, suffix in ((table, ".md"), (sheet, ".png")):
        if path is not None:
            check_output(path, (suffix,))


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
        console=_console,
    )


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path(
        "runs/toybox"
    ),
    steps: Annotated[
        int, typer.Option(min=1, help="Steps of the transformer.")
    ] = _RECIPE.pretrain.steps,
    frame_steps: Annotated[
        int, typer.Option(min=0, help="First steps on single frames.")
    ] = _RECIPE.pretrain.frame_steps,
    shards: Annotated[
        int, typer.Option(min=1, help="Shards of 1,024 clips, 35 MB each.")
    ] = _RECIPE.shards,
    renders: Annotated[
        int, typer.Option(min=64, help="Clean clips, 0.2 MB each.")
    ] = _RECIPE.renders,
    decoder_steps: Annotated[
        int, typer.Option(min=1, help="Steps of the decoder.")
    ] = _RECIPE.decoder_steps,
    judge_steps: Annotated[
        int, typer.Option(min=1, help="Steps of the judge.")
    ] = _RECIPE.judge_steps,
    words_steps: Annotated[
        int, typer.Option(min=0, help="Steps of the text encoder.")
    ] = _RECIPE.words_steps,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    start: Annotated[Path | None, typer.Option(help="Base folder to go on from.")] = None,
    clip_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of clip steps after the first ones.")
    ] = _RECIPE.pretrain.clip_share,
    clips: Annotated[int, typer.Option(min=1, help="Clips in a step.")] = _RECIPE.pretrain.clips,
    frames: Annotated[
        int, typer.Option(min=1, help="Single frames in a step.")
    ] = _RECIPE.pretrain.frames,
    cooldown: Annotated[
        float, typer.Option(min=0, max=1, help="Last share of the steps, in which rates fall.")
    ] = _RECIPE.pretrain.cooldown,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto: the GPU, if any.")] = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that render and, beside a GPU, draw batches.")
    ] = 2,
) -> None:
    """Trains the base model from nothing; run it again to go on where it stopped."""
    from setseq.toybox.preview import write_preview
    from setseq.toybox.recipe import train as run

    recipe = Recipe(
        shards=shards,
        renders=renders,
        decoder_steps=decoder_steps,
        judge_steps=judge_steps,
        words_steps=words_steps,
        pretrain=PretrainSettings(
            steps=steps,
            frame_steps=frame_steps,
            clip_share=clip_share,
            clips=clips,
            frames=frames,
            cooldown=cooldown,
            seed=seed,
        ),
    )
    with _progress() as progress:
        tasks: dict[str, TaskID] = {}

        def on_progress(part: str, done: int, total: int, loss: float) -> None:
            if part not in tasks:
                tasks[part] = progress.add_task(part, total=total, loss="")
            progress.update(tasks[part], completed=done, loss=f"loss {loss:.4f}" if loss else "")

        def on_saved(base: Path, step: int) -> None:
            write_preview(base, out / f"preview-{step:06d}.png")

        try:
            base = run(
                recipe,
                out,
                start=start,
                device=device,
                workers=workers,
                on_progress=on_progress,
                on_saved=on_saved,
            )
        except KeyboardInterrupt:
            _console.print(f"stopped; the same command goes on from what lies in {out}")
            raise typer.Exit(1) from None
    _console.print(f"the base model is in {base}: setseq learn CLIP --base {base} ...")


@app.command()
def evaluate(
    base: Annotated[
        str, typer.Option(help="toybox, or a folder of setseq toybox train.")
    ] = "toybox",
    judge: Annotated[Path | None, typer.Option(help="Another judge's weights.")] = None,
    prompts: Annotated[int, typer.Option(min=1, help="Random prompts to generate.")] = 256,
    seed: Annotated[int, typer.Option(help="First seed of prompts and noise.")] = 500_000_000,
    guidance: Annotated[float, typer.Option(min=1, help="Of the sampling.")] = 5.0,
    self_conditioning: Annotated[
        bool, typer.Option(help="Feed each step the last one's estimate.")
    ] = True,
    table: Annotated[Path | None, typer.Option(help="Also write the table, as .md.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Also write 24 clips, as .png.")] = None,
) -> None:
    """Measures the autoencoder, the judge and the base, and prints the table."""
    _check_outputs(table, sheet)
    from setseq.toybox.evaluate import evaluate_base
    from setseq.toybox.preview import write_clips
    from setseq.toybox.shipped import asset

    with _progress() as progress:
        task = progress.add_task("clips", total=prompts, loss="")
        report, clips, words = evaluate_base(
            base,
            judge or asset("judge.safetensors"),
            num_prompts=prompts,
            seed=seed,
            guidance=guidance,
            self_conditioning=self_conditioning,
            on_clip=lambda done: progress.update(task, completed=done),
        )
    grid = Table("what", "measured", "bar", "reached")
    for row in report.rows():
        grid.add_row(*row)
    _console.print(grid)
    if table is not None:
        write_bytes(table, report.markdown().encode())
    if sheet is not None:
        write_clips(clips[:24], words[:24], sheet)


@app.command()
def clips(
    out: Annotated[Path, typer.Argument(help="Folder for the clips.")] = Path("runs/clips"),
    masks: Annotated[
        bool, typer.Option("--masks", help="Also write NAME-mask.mp4, white where the concept is.")
    ] = False,
) -> None:
    """Renders the clips of the unseen concepts, as the package ships them."""
    from setseq.toybox.preview import write_unseen

    for path in write_unseen(out, masks=masks):
        _console.print(str(path))


@app.command()
def concepts(
    names: Annotated[
        list[str] | None, typer.Argument(help="Some of those shipped; all if none.")
    ] = None,
    base: Annotated[str, typer.Option(help="toybox, or another base folder.")] = "toybox",
    judge: Annotated[Path | None, typer.Option(help="Another judge's weights.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Clips in each state.")] = 3,
    table: Annotated[Path | None, typer.Option(help="Also write the table, as .md.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Also write clips, as .png.")] = None,
) -> None:
    """Learns unseen concepts; reads identity and motion before and after each stage."""
    _check_outputs(table, sheet)
    from setseq.config import LearnSettings
    from setseq.models.registry import load_model
    from setseq.toybox.concepts import learn_unseen, markdown, read_states, regenerate, shipped_clip
    from setseq.toybox.judge import load_judge
    from setseq.toybox.preview import write_clips
    from setseq.toybox.shipped import asset
    from setseq.toybox.unseen import UNSEEN

    unknown = [name for name in names or [] if name not in UNSEEN]
    if unknown:
        raise typer.BadParameter(f"no concept {unknown[0]!r}; there are {', '.join(UNSEEN)}")
    model, reader = load_model(base), load_judge(judge or asset("judge.safetensors"))
    settings = LearnSettings.resolve(model.defaults.learn)
    total = settings.set_steps + settings.sequence_steps
    readings, clips, labels = [], [], []
    with _progress() as progress:
        for name in names or UNSEEN:
            task = progress.add_task(name, total=total, loss="")
            concept = learn_unseen(
                model,
                name,
                settings,
                lambda report, task=task: progress.update(
                    task, advance=1, loss=f"loss {report.loss:.3f}"
                ),
            )
            readings += read_states(model, reader, concept, name, seeds)
            clips += [shipped_clip(name), regenerate(model, concept, name, (1.0, 1.0), 1)[0]]
            labels += [f"{name}: the clip", f"{name}: regenerated"]
    text = markdown(readings)
    _console.print(text)
    if table is not None:
        write_bytes(table, text.encode())
    if sheet is not None:
        import torch

        write_clips(torch.stack(clips), labels, sheet)


@app.command()
def encoders(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")] = Path(
        "runs/toybox-encoders"
    ),
    clip_steps: Annotated[int, typer.Option(min=1, help="Steps of CLIP.")] = _ENCODERS.clip_steps,
    identity_steps: Annotated[
        int, typer.Option(min=1, help="Steps of the identity encoder.")
    ] = _ENCODERS.identity_steps,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Trains the metrics' own encoders and measures them; run it again to go on."""
    from setseq.toybox.encoder_report import measure_encoders
    from setseq.toybox.encoders import train_encoders

    settings = EncoderSettings(clip_steps=clip_steps, identity_steps=identity_steps, seed=seed)
    with _progress() as progress:
        tasks = {
            "identity": progress.add_task("identity", total=identity_steps, loss=""),
            "clip": progress.add_task("clip", total=clip_steps, loss=""),
        }

        def on_progress(part: str, done: int, total: int, loss: float) -> None:
            progress.update(tasks[part], completed=done, loss=f"loss {loss:.4f}")

        try:
            folders = train_encoders(out, settings, on_progress=on_progress)
        except KeyboardInterrupt:
            _console.print(f"stopped; the same command goes on from what lies in {out}")
            raise typer.Exit(1) from None
    _console.print(f"the encoders are in {folders[0]} and {folders[1]}")
    _console.print(measure_encoders(out).markdown())
