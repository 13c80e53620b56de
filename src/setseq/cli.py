"""``setseq``: the app that the commands are registered in, in the order of its help."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from setseq.commands.bench import bench
from setseq.commands.combine import combine
from setseq.commands.demo import demo
from setseq.commands.edit import edit
from setseq.commands.evaluate import evaluate
from setseq.commands.export import export
from setseq.commands.generate import generate
from setseq.commands.grids import SeveralValues
from setseq.commands.import_lora import import_lora
from setseq.commands.inspect import inspect
from setseq.commands.learn import learn
from setseq.commands.models import models
from setseq.commands.preflight import preflight
from setseq.commands.restyle import restyle
from setseq.commands.settings import settings
from setseq.commands.study import app as study_app
from setseq.terminal import OneLineErrors, say
from setseq.toybox.cli import app as toybox_app
from setseq.version import __version__

app = typer.Typer(
    cls=OneLineErrors,
    help="Learn how an entity looks and moves from one video, then show it in new scenes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",  # as markup, [v] in a help text would vanish
)
app.command()(learn)
app.command()(generate)
app.command(cls=SeveralValues)(edit)
app.command(cls=SeveralValues)(restyle)
app.command(cls=SeveralValues)(evaluate)
app.command()(inspect)
app.command()(preflight)
app.command()(export)
app.command("import")(import_lora)
app.command()(combine)
app.command()(bench)
app.command()(demo)
app.command()(settings)
app.command()(models)
app.add_typer(toybox_app, name="toybox")
app.add_typer(study_app, name="study")


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"setseq {__version__}")
        raise typer.Exit


@app.callback()
def prepare(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Learn how an entity looks and moves from one video, then show it in new scenes."""
    # Idle threads spin for some 10 us only: spinning long makes two busy processes ten times
    # slower, not spinning at all (OMP_WAIT_POLICY=PASSIVE) makes one alone twice as slow.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")


def main() -> None:
    """Run the command line."""
    app()
