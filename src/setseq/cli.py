"""``setseq``: the commands. What is heavy is imported by the command that needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from setseq.errors import PromptError
from setseq.outputs import check_output, numbered
from setseq.terminal import (
    STAGES,
    Bars,
    OneLineErrors,
    duration,
    fail,
    say,
    show_facts,
    show_forecast,
)
from setseq.toybox.cli import app as toybox_app
from setseq.version import __version__

app = typer.Typer(
    cls=OneLineErrors,
    help="Learn how an entity looks and moves from one video, then show it in new scenes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(toybox_app, name="toybox")

Clip = Annotated[Path, typer.Argument(help="A .mp4, .mov, .webm, .mkv, .gif or image folder.")]
ConceptFile = Annotated[Path, typer.Argument(help="A file that `setseq learn` wrote.")]
Base = Annotated[str, typer.Option(help="toybox, or a local diffusers pipeline folder.")]
Seed = Annotated[int, typer.Option(help="Of every random draw.")]
Identity = Annotated[float, typer.Option(help="Identity strength; 1 as learned, 0 off.")]
Motion = Annotated[float, typer.Option(help="Motion strength; 1 as learned, 0 off.")]
Start = Annotated[float, typer.Option(min=0, help="Where the clip starts, in seconds.")]
Settings = Annotated[
    Path | None,
    typer.Option(help="A .toml file; its tables [learn] and [generate] win over the base's own."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"setseq {__version__}")
        raise typer.Exit


@app.callback()
def prepare(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Learn how an entity looks and moves from one video, then show it in new scenes."""
    # Idle threads spin for some 10 us only: spinning long makes two busy processes ten times
    # slower, not spinning at all (OMP_WAIT_POLICY=PASSIVE) makes one alone twice as slow.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")


@app.command()
def learn(
    clip: Clip,
    look: Annotated[str, typer.Option(help='What is seen: "a [v] creature in a meadow".')],
    motion: Annotated[str, typer.Option(help='How it moves: "it is [u] dancing".')],
    out: Annotated[Path, typer.Option("--out", "-o", help="The concept file.")] = Path(
        "concept.safetensors"
    ),
    base: Base = "toybox",
    seed: Annotated[int | None, typer.Option(help="Of every random draw; 0 by default.")] = None,
    rank: Annotated[int | None, typer.Option(help="Columns of the basis.")] = None,
    set_steps: Annotated[int | None, typer.Option(help="Steps on single frames.")] = None,
    sequence_steps: Annotated[int | None, typer.Option(help="Steps on the clip.")] = None,
    tokens: Annotated[
        Literal["literal", "learned"] | None, typer.Option(help="What [v] and [u] become.")
    ] = None,
    settings: Settings = None,
    start: Start = 0.0,
    resume: Annotated[
        bool, typer.Option(help="Go on from the state of a stopped run, if there is one.")
    ] = True,
) -> None:
    """Learn a concept from one clip."""
    check_output(out, (".safetensors",))
    from time import perf_counter

    from setseq import api

    given = {
        "seed": seed,
        "rank": rank,
        "set_steps": set_steps,
        "sequence_steps": sequence_steps,
        "token_mode": tokens,
    }
    overrides = _table(settings, "learn")
    overrides |= {name: value for name, value in given.items() if value is not None}
    checkpoint = out.with_suffix(".checkpoint")
    if not resume:
        checkpoint.unlink(missing_ok=True)
    elif checkpoint.exists():
        say(f"going on from {checkpoint}")
    begun = perf_counter()
    with Bars() as bars:
        concept = api.learn(
            clip,
            look=look,
            motion=motion,
            base=base,
            settings=overrides,
            start_s=start,
            checkpoint=checkpoint,
            on_clip=lambda fitted: _say_notes(clip, fitted.notes),
            on_step=lambda r: bars.step(STAGES[r.stage], r.step, r.steps, f"loss {r.loss:.4f}"),
        )
    size = api.save_concept(concept, out)
    checkpoint.unlink(missing_ok=True)
    say(f"{out}: {size / 2**20:.1f} MiB, learned in {duration(perf_counter() - begun)}")


@app.command()
def generate(
    concept: ConceptFile,
    prompts: Annotated[
        list[str] | None, typer.Argument(metavar="[PROMPT]...", help="Scenes with [v] and [u].")
    ] = None,
    prompts_file: Annotated[
        Path | None, typer.Option("--prompts", help="A text file, one prompt a line.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help=".mp4, .webm, .gif, or .png for a contact sheet.")
    ] = Path("out.mp4"),
    identity: Annotated[
        float | None, typer.Option(help="Identity strength; 1 as learned, 0 off; 1 by default.")
    ] = None,
    motion: Annotated[
        float | None, typer.Option(help="Motion strength; 1 as learned, 0 off; 1 by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the start noise; 0 by default.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How closely to follow the prompt.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Sampling steps.")] = None,
    num_frames: Annotated[int | None, typer.Option(help="Length in frames.")] = None,
    scale: Annotated[int, typer.Option(min=1, help="Whole-number enlargement of videos.")] = 1,
    settings: Settings = None,
    base: Annotated[
        str | None, typer.Option(help="What it was learned on, if that is not the toybox.")
    ] = None,
) -> None:
    """Show a concept in new scenes: several prompts make out-1.mp4, out-2.mp4 and so on."""
    texts = [*(prompts or []), *_read_prompts(prompts_file)]
    if not texts:
        raise typer.BadParameter("give a prompt, or a file of them with --prompts")
    is_sheet = out.suffix.lower() == ".png"
    paths = [out] if is_sheet else numbered(out, len(texts))
    for path in paths:
        check_output(path, (".mp4", ".webm", ".gif", ".png"))
    from setseq import api
    from setseq.video.encode import write_video
    from setseq.video.sheet import write_sheet

    overrides = _table(settings, "generate")
    loaded = api.load_concept(concept)
    api.checked_prompts(loaded, texts)
    model = api.base_of(loaded, base)
    with Bars() as bars:
        videos = api.generate(
            loaded,
            texts,
            identity=identity,
            motion=motion,
            seed=seed,
            guidance=guidance,
            steps=steps,
            num_frames=num_frames,
            settings=overrides,
            base=model,
            on_step=lambda done, total: bars.step("Generate", done, total),
        )
    if is_sheet:
        write_sheet(out, list(zip(texts, videos, strict=True)))
    else:
        for path, video in zip(paths, videos, strict=True):
            write_video(path, video, fps=model.geometry.fps, scale=scale)
    for path in paths:
        say(str(path))


@app.command()
def inspect(concept: ConceptFile) -> None:
    """Show what is in a concept file."""
    from setseq import api

    show_facts(api.inspect(concept))


@app.command()
def preflight(
    clip: Clip,
    base: Base = "toybox",
    settings: Settings = None,
    start: Start = 0.0,
) -> None:
    """Say what learning a clip would see, take and need, before it starts."""
    from setseq import api

    overrides = _table(settings, "learn")
    show_forecast(api.preflight(clip, base=base, settings=overrides, start_s=start))


@app.command()
def export(
    concept: ConceptFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The LoRA file.")] = Path(
        "lora.safetensors"
    ),
    identity: Identity = 1.0,
    motion: Motion = 1.0,
    without_tokens: Annotated[
        bool, typer.Option("--without-tokens", help="Leave learned tokens out: a weaker likeness.")
    ] = False,
) -> None:
    """Write a concept as one plain LoRA that diffusers and ComfyUI load."""
    check_output(out, (".safetensors",))
    if out.exists() and out.samefile(concept):
        fail(f"{out}: is the concept file itself; give another name with -o")
    from setseq import api

    size = api.export(concept, out, identity=identity, motion=motion, without_tokens=without_tokens)
    say(f"{out}: {size / 2**20:.1f} MiB")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "runs/demo"
    ),
    base: Base = "toybox",
    seed: Seed = 0,
    settings: Settings = None,
) -> None:
    """Learn a clip that the package ships, show it in new scenes, write a report."""
    from setseq.demo import run_demo

    with Bars() as bars:
        report = run_demo(
            out,
            base=base,
            seed=seed,
            settings=_table(settings, "learn"),
            sampling=_table(settings, "generate"),
            on_progress=bars.step,
        )
    say(f"open {report}")


def _table(path: Path | None, name: Literal["learn", "generate"]) -> dict[str, object]:
    if path is None:
        return {}
    from setseq.config import read_toml

    return dict(read_toml(path)[name])


def _read_prompts(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise PromptError(f"{path}: cannot be read ({reason}); give a text file") from error
    if not any(lines):
        raise PromptError(f"{path}: has no prompt in it; write one a line")
    return [line for line in lines if line]


def _say_notes(clip: Path, notes: tuple[str, ...]) -> None:
    for note in notes:
        say(f"{clip}: {note}")


def main() -> None:
    """Run the command line."""
    app()
