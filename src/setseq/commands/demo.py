"""``setseq demo``: the shipped clip, learned and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setseq.commands.options import Base, Config, Preset, Seed, config_tables
from setseq.terminal import Bars, say


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "runs/demo"
    ),
    base: Base = "toybox",
    seed: Seed = 0,
    preset: Preset = None,
    config: Config = None,
) -> None:
    """Learn a clip that the package ships, show it in new scenes, write a report."""
    from setseq.demo import run_demo

    tables = config_tables(config)
    with Bars() as bars:
        report = run_demo(
            out,
            base=base,
            seed=seed,
            preset=preset,
            settings=tables["learn"],
            hardware=tables["hardware"],
            sampling=tables["generate"],
            watch=tables["watch"],
            on_progress=bars.step,
            on_note=say,
        )
    say(f"open {report}")
