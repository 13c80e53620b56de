"""``setseq learn``: from one clip to a concept file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from setseq.commands.options import Base, Clip, Config, Preset, Start, config_tables
from setseq.outputs import check_output
from setseq.terminal import STAGES, Bars, duration, say

if TYPE_CHECKING:
    from setseq.api import Started


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
    preset: Preset = None,
    config: Config = None,
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
    overrides = config_tables(config)["learn"]
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
            preset=preset,
            settings=overrides,
            start_s=start,
            checkpoint=checkpoint,
            on_start=_say_notes,
            on_step=lambda r: bars.step(STAGES[r.stage], r.step, r.steps, f"loss {r.loss:.4f}"),
        )
    size = api.save_concept(concept, out)
    checkpoint.unlink(missing_ok=True)
    say(f"{out}: {size / 2**20:.1f} MiB, learned in {duration(perf_counter() - begun)}")


def _say_notes(started: Started) -> None:
    for clip in started.clips:
        for note in clip.notes:
            say(f"{clip.source.path}: {note}")
