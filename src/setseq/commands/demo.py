"""``setseq demo``: the shipped clip, learned and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setseq.commands.options import Base, Seed, Settings, table
from setseq.terminal import Bars, say


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
            settings=table(settings, "learn"),
            sampling=table(settings, "generate"),
            on_progress=bars.step,
        )
    say(f"open {report}")
