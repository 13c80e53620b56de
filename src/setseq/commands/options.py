"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

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


def table(path: Path | None, name: Literal["learn", "generate"]) -> dict[str, object]:
    """One table of a settings file; empty where no file is given.

    Raises:
        SettingsError: The file is missing, is no TOML, or has another table.
    """
    if path is None:
        return {}
    from setseq.config import read_toml

    return dict(read_toml(path)[name])
