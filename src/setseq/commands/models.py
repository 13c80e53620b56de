"""``setseq models``: the base models that are known by a short name."""

from __future__ import annotations

from rich.table import Table

from setseq.terminal import console, say

_COLUMNS = ("name", "size", "memory*", "video", "frames", "licence", "on this computer")


def models() -> None:
    """List the base models that --base takes by a short name."""
    from setseq import api

    table = Table(*_COLUMNS, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for model, downloaded in api.known_models().items():
        width, height, num_frames, fps = model.size
        table.add_row(
            model.name,
            f"{model.billions:g}B",
            f"{model.memory_gb} GB",
            f"{width}x{height}, {num_frames} frames at {fps} fps, sides in steps of"
            f" {model.multiple}",
            model.frames,
            model.licence,
            "yes" if downloaded else f"no: hf download {model.hub_id}",
        )
    console.print(table)
    say("* for learning, an estimate: nobody has measured it. None of them was run by the authors")
    say("on its real weights; docs/models.md says what is proven. toybox is inside the package.")
