"""``setseq preflight``: what learning a clip would take."""

from __future__ import annotations

from setseq.commands.options import Base, Clip, Settings, Start, table
from setseq.terminal import show_forecast


def preflight(
    clip: Clip,
    base: Base = "toybox",
    settings: Settings = None,
    start: Start = 0.0,
) -> None:
    """Say what learning a clip would see, take and need, before it starts."""
    from setseq import api

    overrides = table(settings, "learn")
    show_forecast(api.preflight(clip, base=base, settings=overrides, start_s=start))
