"""``setseq restyle``: a concept in another style, under several identity strengths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setseq.commands.grids import (
    DryRun,
    Identity,
    Motion,
    OfClip,
    Out,
    OwnBase,
    Seeds,
    run_grid,
    split_seeds,
    split_values,
)
from setseq.commands.options import ConceptFile, Config, Preset, config_tables


def restyle(
    concept: ConceptFile,
    styles: Annotated[
        list[str], typer.Argument(metavar="STYLE...", help="As 'pencil sketch', one or several.")
    ],
    out: Out = Path("restyled"),
    seeds: Seeds = None,
    identity: Identity = None,
    motion: Motion = None,
    clip: OfClip = 1,
    dry_run: DryRun = False,
    preset: Preset = None,
    config: Config = None,
    base: OwnBase = None,
) -> None:
    """Restyle a concept: a grid, styles down, identity strengths across, 1 to 0.4 by default."""
    from setseq import api

    tables = config_tables(config)
    loaded = api.load_concept(concept)
    rows = api.plan_rows(loaded, api.as_styles(styles), clip=clip)
    across = {
        "seeds": split_seeds(seeds),
        "identity": split_values(identity) or api.RESTYLE_STRENGTHS,
        "motion": split_values(motion),
    }
    run_grid(
        rows,
        across,
        lambda on_step: api.edit(
            loaded,
            rows,
            **across,
            preset=preset,
            settings=tables["generate"],
            base=api.base_of(loaded, base, tables["hardware"]),
            on_step=on_step,
        ),
        out,
        dry_run=dry_run,
    )
