"""What the commands that make grids share: their options, and the way from a plan to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from setseq.errors import OutputError, SettingsError
from setseq.outputs import check_output, new_folder
from setseq.strengths import parse_strength
from setseq.terminal import Bars, say

if TYPE_CHECKING:
    from setseq.api import Grid, OnStep, Row

_SEVERAL = ("--seeds", "--identity", "--motion")
_OTHER_VIDEOS = (".mp4", ".m4v", ".webm", ".gif", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".wmv")
_OTHER_PICTURES = (".jpg", ".jpeg", ".webp", ".apng", ".bmp", ".tif", ".tiff")
_OTHER_KINDS = (*_OTHER_VIDEOS, *_OTHER_PICTURES, ".html", ".txt", ".safetensors")

Out = Annotated[
    Path, typer.Option("--out", "-o", help="A folder for the grid and every clip, or a .png.")
]
Seeds = Annotated[str | None, typer.Option(help="Seeds across, as 0 1 2.")]
Identity = Annotated[
    str | None, typer.Option(help="Identity strengths across, as 0.4 0.7 '1.0 to 0.4'.")
]
Motion = Annotated[str | None, typer.Option(help="Motion strengths across, likewise.")]
OfClip = Annotated[int, typer.Option(help="Whose prompt is edited, where there are several.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show the prompts.")]
OwnBase = Annotated[
    str | None, typer.Option(help="What it was learned on, if that is not the toybox.")
]


class SeveralValues(TyperCommand):
    """A command whose seeds and strengths take several values: ``--identity 0.4 0.7 1.0``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the values after such an option with commas, as far as they are numbers."""
        joined: list[str] = []
        values = -1  # how many the option before has so far; -1 where there is none
        for arg in args:
            if values > 0 and _is_strength(arg):
                joined[-1] += f", {arg}"
                continue
            values = 0 if arg in _SEVERAL else 1 if values == 0 else -1
            joined.append(arg)
        return super().parse_args(ctx, joined)


def split_values(text: str | None) -> list[str]:
    """Values as they come from an option: split at commas."""
    return [] if text is None else [part.strip() for part in text.split(",")]


def split_seeds(text: str | None) -> list[int]:
    """Seeds as they come from an option.

    Raises:
        SettingsError: One is no whole number.
    """
    try:
        return [int(part) for part in split_values(text)]
    except ValueError:
        raise SettingsError(f"seeds are {text!r}; give whole numbers, as 0 1 2") from None


def run_grid(
    rows: Sequence[Row],
    across: Mapping[str, Any],
    make: Callable[[OnStep], Grid],
    out: Path,
    *,
    dry_run: bool,
) -> None:
    """Show every prompt, generate the cells, and write them.

    Args:
        rows: What will be made.
        across: Seeds and strengths, as for ``api.plan_columns``.
        make: Makes it, and reports its steps.
        out: A folder, or a .png for the labelled picture alone.
        dry_run: End after the prompts.

    Raises:
        OutputError: The place cannot be written to, which shows before any cell is made.
        SettingsError: A seed or a strength cannot be used, which shows in a dry run too.
    """
    from setseq import api

    api.plan_columns(**across)
    with nullcontext() if dry_run else _checked(out):
        for row in rows:
            say(f"{row.edit}: {row.prompt}")
            for change in row.changes:
                say(f"  {change}")
        if dry_run:
            return
        with Bars() as bars:
            grid = make(lambda done, total: bars.step("Generate", done, total))
        files = api.save_grid(grid, out)
    say(f"{files[0]}" if len(files) == 1 else f"{files[0]} and {len(files) - 1} files beside it")


def _checked(out: Path) -> AbstractContextManager[object]:
    suffix = out.suffix.lower()
    if suffix == ".png":
        return nullcontext(check_output(out, (".png",)))
    if suffix in _OTHER_KINDS:
        raise OutputError(f"{out}: give a folder, or a .png for the labelled picture alone")
    return new_folder(out)


def _is_strength(text: str) -> bool:
    try:
        parse_strength(text)
    except ValueError:
        return False
    return True
