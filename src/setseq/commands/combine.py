"""``setseq combine``: concepts that were learned apart, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setseq.outputs import check_output
from setseq.prompts import shared_words
from setseq.terminal import fail, say


def combine(
    concepts: Annotated[
        list[Path], typer.Argument(help="Two or more files that `setseq learn` wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The concept file.")] = Path(
        "combined.safetensors"
    ),
    weight: Annotated[
        list[float] | None, typer.Option(help="Factor on a concept; once for each, in order.")
    ] = None,
) -> None:
    """Put concepts that were learned apart into one file: [v1] [u1], [v2] [u2] and so on."""
    check_output(out, (".safetensors",))
    if out.exists() and any(path.exists() and out.samefile(path) for path in concepts):
        fail(f"{out}: is one of the concept files itself; give another name with -o")
    from setseq import api

    both = api.combine(concepts, weights=weight or None)
    size = api.save_concept(both, out)
    say(f"{out}: {size / 2**20:.1f} MiB, rank {both.rank}")
    for name, word in both.provenance.words.items():
        say(f"[{name}] = {word}")
    if shared := shared_words(both.provenance.words):
        say(f"WARNING: {shared}")
