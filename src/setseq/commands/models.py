"""``setseq models``: the base models that are known by a short name."""

from __future__ import annotations

from rich.table import Table

from setseq.terminal import console, say

_COLUMNS = ("name", "size", "GB*", "video @ fps", "lengths", "sides", "licence", "here")


def models() -> None:
    """List the base models that --base takes by a short name."""
    from setseq import api

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for column in _COLUMNS:
        table.add_column(column, no_wrap=True)
    for model, downloaded in api.known_models().items():
        width, height, num_frames, fps = model.size
        table.add_row(
            model.name,
            f"{model.billions:g}B",
            f"{model.memory_gb}",
            f"{width}x{height}x{num_frames} @{fps}",
            model.frames,
            f"x {model.multiple}",
            model.licence,
            "yes" if downloaded else "no",
        )
    console.print(table)
    say("* of memory to learn a short, small clip with, an estimate that nobody has measured:")
    say("`setseq preflight --memory-gb N --base NAME` predicts for its own size. docs/models.md")
    say("says what is proven of each; none was run here on its real weights. Licences that are not")
    say("Apache-2.0 have conditions: Tencent's does not apply in the EU, the UK and South Korea.")
