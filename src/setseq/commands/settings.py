"""``setseq settings``: every setting, with what it is."""

from __future__ import annotations

from typing import Annotated

import typer

from setseq.commands.options import Base, Config, Preset, config_tables


def settings(
    base: Base = "toybox",
    preset: Preset = None,
    config: Config = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The tables of docs/settings.md instead.")
    ] = False,
) -> None:
    """Print every setting as a file for --config, or as tables."""
    from setseq import settings_page

    if markdown:
        typer.echo(settings_page.markdown(), nl=False)
    else:
        typer.echo(settings_page.toml(base, preset, config_tables(config)), nl=False)
