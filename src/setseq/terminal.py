"""What the commands show: progress with the time left, tables, and errors of one line."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from setseq.errors import SetSeqError
from setseq.processes import sole_speaker

if TYPE_CHECKING:
    from setseq.forecast import PreflightReport

STAGES = {"set": "Set", "sequence": "Sequence"}

console = Console(highlight=False)


class OneLineErrors(TyperGroup):
    """Commands whose errors, where a user can cause them, are one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SetSeqError as error:
            fail(str(error))
        except KeyboardInterrupt:
            fail("stopped; give the same command again to go on or start over")
        except BrokenPipeError:
            raise  # whoever reads has read enough, as `head`; click ends in silence
        except OSError as error:
            fail(_os_error(error))
        except (MemoryError, RuntimeError) as error:
            text = str(error)
            if isinstance(error, MemoryError) or ("memory" in text and "alloc" in text):
                fail("not enough memory; close other programs, or take fewer or smaller frames")
            raise


def fail(message: str) -> NoReturn:
    """Say what is wrong in one line on stderr, of all processes in one, and exit with code 1."""
    with sole_speaker() as speaks:
        if speaks:
            typer.echo(f"setseq: {' '.join(message.split())}", err=True)
    raise typer.Exit(1)


def _os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and give the same command again"
    return f"{error.filename or 'a file'}: {error.strerror or error}; check the path and its rights"


class Bars:
    """Progress bars with the time left, one for each stage; plain lines where no one looks on."""

    def __init__(self) -> None:
        """Bars that start with their first steps."""
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Bars:
        """Start to show."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def step(self, name: str, done: int, total: int, note: str = "") -> None:
        """Move one bar: steps done of a total, and a short note as "loss 0.12"."""
        if console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total, note=note)
            self._progress.update(self._tasks[name], completed=done, note=note)
        elif done == total or done % max(1, total // 5) == 0:
            say(f"{name}: {done} of {total} {note}".rstrip())


def hush() -> None:
    """Show nothing from here on but errors: another process shows it all."""
    console.quiet = True


def say(text: str) -> None:
    """One line for the user, exactly as it is: no markup, no wrapping."""
    console.print(Text(text), soft_wrap=True)


def show_facts(facts: Mapping[str, str]) -> None:
    """Show labels and values as a table of two columns."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in facts.items():
        table.add_row(label, Text(value))
    console.print(table)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show numbers under headings; the first column holds the rows' names."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def show_forecast(report: PreflightReport) -> None:
    """Show what a learning would see, take and need."""
    source = report.source
    frames, height, width = report.fitted
    facts = {
        "clip": f"{source.num_frames} frames of {source.width}x{source.height}"
        f" at {source.fps:.4g} fps, {source.duration_s:.1f} s",
        "the base sees": f"{frames} frames of {width}x{height} at {report.fps:g} fps",
    }
    for stage in report.stages:
        facts[f"stage {stage.name}"] = (
            f"sees {stage.sees}; {stage.steps} steps of {stage.step_s:.2g} s (measured)"
        )
    facts |= {
        "time": f"about {duration(report.duration_s)} to learn (predicted from measured steps)",
        "memory": f"{report.peak_bytes / 2**30:.1f} GiB at most (measured over the trial steps)",
        "autoencoder": f"{report.psnr_db:.1f} dB PSNR (worst frame {report.worst_psnr_db:.1f} dB),"
        f" {report.lost:.0%} of the clip's variation lost",
    }
    show_facts(facts)
    for note in report.notes:
        say(f"note: {note}")
    for warning in report.warnings:
        say(f"WARNING: {warning}")


def duration(seconds: float) -> str:
    """Seconds as people say them: "42 s", "2 min 5 s", "1 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
