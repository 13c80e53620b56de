"""``setseq bench``: methods compared on unseen concepts, in one folder with tables and pages."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from setseq.commands.options import Fetch
from setseq.terminal import console, duration, say

if TYPE_CHECKING:
    from setseq.bench.pace import Progress


def bench(
    settings: Annotated[
        Path | None,
        typer.Argument(help="A .toml as examples/bench.toml, which has the defaults; or nothing."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the results; the same one goes on.")
    ] = Path("runs/bench"),
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Few cells, half the learning: about 10 minutes on 2 cores."),
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Learnings beside each other; one for each core.")
    ] = None,
    fetch: Fetch = False,
) -> None:
    """Compare methods: learn, show and measure every concept, and write tables and pages."""
    from setseq.bench.run import run_bench
    from setseq.bench.settings import BenchSettings, read_bench

    chosen = BenchSettings() if settings is None else read_bench(settings)
    if quick:
        say("quick: few methods, concepts and edits, half the learning; a first look, no result")
    with _Bar() as bar:
        report = run_bench(
            chosen,
            out,
            quick=quick,
            processes=processes,
            fetch=fetch,
            on_progress=bar.show,
            on_note=say,
        )
    say(f"open {report}, and gallery.html beside it; tables.md has the tables")


class _Bar:
    """One bar over all the work, with the time left; lines where no one looks on."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            BarColumn(bar_width=28),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show how far it is; a line for each learning that is done."""
        left = "" if progress.left_s is None else f", about {duration(progress.left_s)} left"
        counts = (
            f"{progress.learned} of {progress.learnings} learned,"
            f" {progress.shown} of {progress.cells} shown"
        )
        self._bar.update(self._task, completed=progress.share, description=f"{counts}{left}")
        if progress.latest:
            say(f"{progress.latest}: {counts}{left}")
