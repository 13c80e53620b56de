"""``setseq preflight``: what learning a clip would take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from setseq.commands.options import (
    Base,
    Config,
    Preset,
    Rank,
    SequenceSteps,
    SetSteps,
    Start,
    Tokens,
    config_tables,
    given,
)
from setseq.terminal import say, show_forecast, show_table

if TYPE_CHECKING:
    from setseq.api import Option


def preflight(
    clip: Annotated[
        Path | None,
        typer.Argument(help="A .mp4, .mov, .webm, .mkv, .gif or image folder; none: memory alone."),
    ] = None,
    base: Base = "toybox",
    rank: Rank = None,
    set_steps: SetSteps = None,
    sequence_steps: SequenceSteps = None,
    tokens: Tokens = None,
    preset: Preset = None,
    config: Config = None,
    start: Start = 0.0,
    memory_gb: Annotated[
        float | None,
        typer.Option(min=1, help="Of a card: predict what fits it, before anything is loaded."),
    ] = None,
    num_frames: Annotated[
        int | None, typer.Option(help="Length of the clip for --memory-gb; else the base's own.")
    ] = None,
) -> None:
    """Say what learning a clip would see, take and need, before it starts."""
    from setseq import api

    tables = config_tables(config)
    tables["learn"] |= given(
        rank=rank, set_steps=set_steps, sequence_steps=sequence_steps, token_mode=tokens
    )
    if memory_gb is not None:
        if clip is not None:
            raise typer.BadParameter(
                "--memory-gb predicts before a clip is read: leave CLIP out, and give --num-frames."
            )
        _show_options(
            api.hardware_options(
                base,
                memory_gb=memory_gb,
                num_frames=num_frames,
                preset=preset,
                settings=tables["learn"],
            ),
            memory_gb,
        )
        return
    if clip is None:
        raise typer.BadParameter("Missing argument 'CLIP'; or give --memory-gb for memory alone.")
    show_forecast(
        api.preflight(
            clip,
            base=base,
            preset=preset,
            settings=tables["learn"],
            start_s=start,
            hardware=tables["hardware"],
        )
    )


def _show_options(options: Iterable[Option], memory_gb: float) -> None:
    rows, proposed = [], None
    frames = height = width = 0
    for option in options:
        found = option.footprint
        phases = (found.encoding, found.set, found.sequence, found.on_card)
        proposed = proposed or (option if option.fits else None)
        mark = "fits" if option.fits else ""
        rows.append((option.name, *(f"{x / 1e9:.1f}" for x in phases), mark))
        frames, height, width = found.size
    show_table(("GB, predicted", "encoding", "Set", "Sequence", "on the card", ""), rows)
    say(
        f"for {frames} frames of {width}x{height}; on the card: 10% and 1 GB more, a reserve of our"
    )
    say("choice. On one GPU a Wan took what is predicted within 2%, without checkpointing 8 to 10%")
    say("less (docs/models.md); other families were not measured.")
    if proposed is None:
        say(f"nothing fits {memory_gb:g} GB: give a smaller base, or fewer and smaller frames")
    else:
        say(f"fits {memory_gb:g} GB, for --config: {proposed.line}")
