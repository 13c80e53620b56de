"""``setseq edit``: a learned prompt rewritten in a few words each, as a grid."""

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
from setseq.errors import PromptError


def edit(
    concept: ConceptFile,
    edits: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EDIT]...", help="As 'in the desert at night', or a whole prompt with [v]."
        ),
    ] = None,
    replacements: Annotated[
        list[str] | None,
        typer.Option("--replace", help="Very words, as 'in a meadow=>in the desert'; repeatable."),
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="Begin with the learned prompt itself.")
    ] = False,
    out: Out = Path("edits"),
    seeds: Seeds = None,
    identity: Identity = None,
    motion: Motion = None,
    clip: OfClip = 1,
    dry_run: DryRun = False,
    preset: Preset = None,
    config: Config = None,
    base: OwnBase = None,
) -> None:
    """Edit a concept in a few words: a grid, edits down, seeds or strengths across."""
    from setseq import api

    for text in replacements or ():
        if "=>" not in text:
            raise PromptError(f"--replace {text!r} lacks '=>'; write it as OLD=>NEW")
    texts = [*(edits or ()), *(replacements or ())]
    tables = config_tables(config)
    loaded = api.load_concept(concept)
    rows = api.plan_rows(loaded, texts, clip=clip, original=original)
    across = {
        "seeds": split_seeds(seeds),
        "identity": split_values(identity),
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
