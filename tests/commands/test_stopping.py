"""Ctrl-C while learning keeps the state, and the same command goes on."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from setseq.terminal import Bars
from tests.surface import LOOK, MOTION, error, learn, run


@contextmanager
def _stopped_at(where: tuple[str, int | None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ctrl-C when a bar gets to a step, or is there at all."""
    show, (bar, step) = Bars.step, where

    def stop(self: Bars, name: str, done: int, total: int, note: str = "") -> None:
        if name == bar and step in (None, done):
            raise KeyboardInterrupt
        show(self, name, done, total, note)

    with monkeypatch.context() as patched:
        patched.setattr(Bars, "step", stop)
        yield


def test_ctrl_c_keeps_the_state_and_the_same_command_goes_on_to_the_same_result(
    base: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    learn(base, "-o", "whole.safetensors")
    with _stopped_at(("Sequence", 2), monkeypatch):
        message = error(learn(base, "-o", "broken.safetensors"))
    assert "stopped after step 2 of 3 of the sequence stage" in message
    assert "the same command goes on" in message
    assert (here / "broken.checkpoint").exists()
    assert not (here / "broken.safetensors").exists()
    result = learn(base, "-o", "broken.safetensors")
    assert "going on from broken.checkpoint" in result.stdout
    assert "Set:" not in result.stdout
    assert (here / "broken.safetensors").read_bytes() == (here / "whole.safetensors").read_bytes()
    assert not (here / "broken.checkpoint").exists()


def test_ctrl_c_while_the_report_is_written_says_that_the_concept_is_whole(
    base: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    with _stopped_at(("Report", None), monkeypatch):
        message = error(learn(base, "-o", "own.safetensors"))
    assert "the concept is whole, in own.safetensors" in message
    assert "again" not in message
    assert not (here / "own.checkpoint").exists()
    assert run("inspect", "own.safetensors").exit_code == 0


def test_no_resume_starts_anew(base: Path, here: Path):
    (here / "concept.checkpoint").write_text("a state of something else")
    assert "concept.checkpoint is damaged" in error(learn(base))
    assert "no such file" in error(learn(base, "--no-resume", clip="absent.mp4"))
    assert (here / "concept.checkpoint").exists()  # nothing took its place yet
    result = learn(base, "--no-resume")
    assert result.exit_code == 0, result.stderr
    assert "Set: 3 of 3" in result.stdout


def test_a_real_ctrl_c_ends_in_one_line(base: Path, here: Path):
    command = [sys.executable, "-c", "from setseq.cli import main; main()", "learn", "clip.mp4"]
    options = ["--look", LOOK, "--motion", MOTION, "--base", str(base), "--set-steps", "1000000"]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    _wait_for(here / "concept.checkpoint", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "the same command goes on" in errors


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
