"""``setseq preflight``: what learning a clip would take."""

from __future__ import annotations

from setseq.commands.options import Base, Clip, Config, Preset, Start, config_tables
from setseq.terminal import show_forecast


def preflight(
    clip: Clip,
    base: Base = "toybox",
    preset: Preset = None,
    config: Config = None,
    start: Start = 0.0,
) -> None:
    """Say what learning a clip would see, take and need, before it starts."""
    from setseq import api

    tables = config_tables(config)
    show_forecast(
        api.preflight(
            clip,
            base=base,
            preset=preset,
            settings=tables["learn"],
            start_s=start,
            hardware=tables["hardware"],
        )
    )
