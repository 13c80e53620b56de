"""A tiny base model and clip that the commands can run on in no time."""

import json
import shutil
from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

from setseq.cli import app
from setseq.video.io import write_video

CARD = {
    "id": "tiny",
    "fps": 8,
    "width": 32,
    "height": 32,
    "num_frames": 5,
    "learn": {
        "rank": 2,
        "set_steps": 3,
        "sequence_steps": 3,
        "set_batch": 2,
        "precision": "fp32",
        "learning_rate": 0.01,
    },
    "generate": {"num_steps": 2, "precision": "fp32"},
}
LOOK, MOTION = "a [v] character in the snow", "it is [u] bouncing"
SCENE = f"{LOOK}. {MOTION}"


def make_base(tiny_folder: Path, folder: Path) -> Path:
    """Copies a tiny pipeline folder and gives it sizes and defaults of its own."""
    shutil.copytree(tiny_folder, folder)
    (folder / "setseq.json").write_text(json.dumps(CARD))
    return folder


def make_clip(path: Path, *, num_frames: int = 5, side: int = 32) -> Path:
    """Writes a clip of a bright square that moves to the right, at 8 fps."""
    frames = np.full((num_frames, side, side, 3), 60, np.uint8)
    for number in range(num_frames):
        frames[number, 8:20, 4 * number % side : 4 * number % side + 12] = (220, 180, 40)
    return write_video(path, frames, fps=8)


def run(*args: str | Path) -> Result:
    """Runs a command."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def learn(base: Path, *args: str | Path, clip: str = "clip.mp4") -> Result:
    """Runs ``setseq learn`` with good prompts."""
    return run("learn", clip, "--look", LOOK, "--motion", MOTION, "--base", base, *args)


def error(result: Result) -> str:
    """The one line of a user's error."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("setseq: ")
    return result.stderr
