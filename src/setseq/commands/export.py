"""``setseq export``: a concept as a plain LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from setseq.commands.options import ConceptFile, Identity, Motion
from setseq.outputs import check_output
from setseq.terminal import fail, say


def export(
    concept: ConceptFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The LoRA file.")] = Path(
        "lora.safetensors"
    ),
    identity: Identity = "1",
    motion: Motion = "1",
    program: Annotated[
        Literal["both", "diffusers", "comfyui", "kohya"],
        typer.Option("--for", help="What is to read it; both is diffusers and ComfyUI."),
    ] = "both",
    tokens: Annotated[
        Literal["drop", "file"] | None,
        typer.Option(help="Learned tokens: left out, or in files beside (textual inversion)."),
    ] = None,
) -> None:
    """Write a concept as a plain LoRA that diffusers and ComfyUI load."""
    check_output(out, (".safetensors",))
    if out.exists() and out.samefile(concept):
        fail(f"{out}: is the concept file itself; give another name with -o")
    from setseq import api

    written = api.export(
        concept,
        out,
        identity=identity,
        motion=motion,
        program=program,
        tokens=tokens,
    )
    for path, size in written.items():
        say(f"{path}: {size / 2**20:.1f} MiB")
    if any(".token-" in path.name for path in written):
        say(
            "tokens are in the form of diffusers' load_textual_inversion, which its video"
            " pipelines do not have: put the rows into the text encoder yourself"
        )
