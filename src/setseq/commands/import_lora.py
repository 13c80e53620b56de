"""``setseq import``: a plain LoRA as a concept that movement can be added to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setseq.commands.options import Base
from setseq.outputs import check_output
from setseq.terminal import fail, say


def import_lora(
    lora: Annotated[
        list[Path],
        typer.Argument(help="A plain LoRA; two for Wan 2.2 A14B, the high-noise one first."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The concept file.")] = Path(
        "concept.safetensors"
    ),
    base: Base = "toybox",
    look: Annotated[
        str | None, typer.Option(help='What it shows, for `edit`: "a [v] creature in a meadow".')
    ] = None,
    motion: Annotated[str | None, typer.Option(help='How that moves: "it is [u] dancing".')] = None,
    trigger: Annotated[
        str | None, typer.Option(help="The word that calls it, which [v] stands for.")
    ] = None,
) -> None:
    """Make a concept of a plain LoRA; `learn --from` then adds movement to it."""
    check_output(out, (".safetensors",))
    if out.exists() and any(path.exists() and out.samefile(path) for path in lora):
        fail(f"{out}: is the LoRA itself; give another name with -o")
    from setseq import api

    concept = api.import_lora(lora, base=base, look=look, motion=motion, trigger=trigger)
    size = api.save_concept(concept, out)
    covered = concept.provenance.settings["layers"]
    say(
        f"{out}: {size / 2**20:.1f} MiB, rank {concept.rank}, {covered['imported']} layers (a"
        f" concept of this base has {covered['of']})"
    )
    say(f"[v] = {concept.provenance.words['v1']}")
    say(f"add movement with `setseq learn CLIP --from {out} --look ... --motion ... -o OUT`")
