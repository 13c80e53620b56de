"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from setseq.errors import PromptError

Clip = Annotated[Path, typer.Argument(help="A .mp4, .mov, .webm, .mkv, .gif or image folder.")]
ConceptFile = Annotated[Path, typer.Argument(help="A file that `setseq learn` wrote.")]
Base = Annotated[
    str, typer.Option(help="toybox, a name of `setseq models`, a hub id, or a folder.")
]
Seed = Annotated[int, typer.Option(help="Of every random draw.")]
Identity = Annotated[str, typer.Option(help="Identity strength; 1 as learned, 0 off.")]
Motion = Annotated[str, typer.Option(help="Motion strength; 1 as learned, 0 off.")]
Start = Annotated[float, typer.Option(min=0, help="Where the clip starts, in seconds.")]
Preset = Annotated[
    str | None, typer.Option(help="paper, fast or quality; wins over the base's own settings.")
]
Config = Annotated[
    Path | None,
    typer.Option(help="A .toml file, as `setseq settings` prints it; wins over base and preset."),
]
Rank = Annotated[int | None, typer.Option(help="Columns of the basis.")]
SetSteps = Annotated[int | None, typer.Option(help="Steps on single frames.")]
SequenceSteps = Annotated[int | None, typer.Option(help="Steps on the clip.")]
Tokens = Annotated[
    Literal["literal", "learned"] | None, typer.Option(help="What [v] and [u] become.")
]
ClipModel = Annotated[
    str | None,
    typer.Option(help="Of prompt adherence: toybox, a folder, or a model id (CLIP)."),
]
Fetch = Annotated[
    bool,
    typer.Option("--fetch", help="Fetch encoders that are not on this machine (about 2 GB)."),
]


def given(**values: Any) -> dict[str, Any]:
    """Settings by the options that were given; None means not."""
    return {name: value for name, value in values.items() if value is not None}


def config_tables(path: Path | None) -> dict[str, dict[str, Any]]:
    """The tables of a settings file; all empty where no file is given.

    Raises:
        SettingsError: The file is missing, is no TOML, or has something unknown in it.
    """
    from setseq.config import TABLES
    from setseq.settings_file import read_toml

    return {name: {} for name in TABLES} if path is None else read_toml(path)


def read_prompts(path: Path | None) -> list[str]:
    """The lines of a text file that have something in them; none where no file is given.

    Raises:
        PromptError: It cannot be read, or is empty.
    """
    if path is None:
        return []
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise PromptError(f"{path}: cannot be read ({reason}); give a text file") from error
    if not any(lines):
        raise PromptError(f"{path}: has no prompt in it; write one a line")
    return [line for line in lines if line]
