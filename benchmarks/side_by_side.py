"""One concept in all methods of a bench, as a picture: a row a method, a column an edit.

    python benchmarks/side_by_side.py BENCH CONCEPT OUT.png [--seed 0] [--frames 3]

BENCH is a folder of `setseq bench`. The clip is the first row, under its own scene. What is not
there yet stays grey.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from setseq.bench.folder import Folder
from setseq.bench.plan import Cell, Learning
from setseq.video.io import read_clip
from setseq.video.sheet import write_grid

GREY = 225


def draw(bench: Path, concept: str, out: Path, *, seed: int, frames: int) -> None:
    """Write the picture."""
    folder = Folder(bench)
    manifest: dict[str, Any] = json.loads(folder.manifest.read_text())
    clip = read_clip(folder.reference(concept)).frames
    nothing = np.full_like(clip, GREY)
    edits: list[int | None] = [None, *range(len(manifest["edits"]))]

    def video(method: str, edit: int | None) -> np.ndarray:
        training_seed = manifest["training_seeds"][0]
        path = folder.video(Cell(Learning(method, concept, training_seed), edit, seed))
        return read_clip(path).frames if path.exists() else nothing

    rows = [[clip, *[nothing] * (len(edits) - 1)]]
    rows += [[video(method, edit) for edit in edits] for method in manifest["methods"]]
    write_grid(
        out,
        ["The clip", *manifest["methods"].values()],
        ["own scene", *(edit["name"] for edit in manifest["edits"])],
        rows,
        frames=frames,
        cell_height=clip.shape[1],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="One concept in all methods of a bench, as a picture."
    )
    parser.add_argument("bench", type=Path)
    parser.add_argument("concept")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=3)
    given = parser.parse_args()
    draw(given.bench, given.concept, given.out, seed=given.seed, frames=given.frames)
