"""The file of losses survives a stop, and holds one learning only."""

import json
import math
from pathlib import Path

import pytest

from setseq.errors import OutputError
from setseq.training.loop import StepReport
from setseq.watch.losses import LossLog, read_losses


def _report(stage: str, step: int, **losses: float) -> StepReport:
    losses = losses or {"concept": 0.5 / step}
    loss = sum(losses.values()) / len(losses)
    return StepReport(stage=stage, step=step, steps=3, loss=loss, gradient_norm=1.0, losses=losses)


def _filled(path: Path, *, resumed: bool = False, first: tuple[str, int] = ("set", 1)) -> LossLog:
    """Both stages of three steps each, from some step on."""
    log = LossLog(path, resumed=resumed)
    steps = [(stage, step) for stage in ("set", "sequence") for step in (1, 2, 3)]
    for stage, step in steps[steps.index(first) :]:
        log.add(_report(stage, step))
    return log


def test_every_step_is_a_line_of_json(tmp_path: Path):
    log = _filled(tmp_path / "run" / "losses.jsonl")
    lines = log.path.read_text().splitlines()
    assert len(lines) == 6
    assert json.loads(lines[1]) == {
        "stage": "set",
        "step": 2,
        "steps": 3,
        "loss": 0.25,
        "gradient_norm": 1.0,
        "losses": {"concept": 0.25},
    }


def test_a_learning_that_goes_on_repeats_no_step(tmp_path: Path):
    whole = _filled(tmp_path / "whole.jsonl").path.read_text()
    for first in (("set", 2), ("set", 3), ("sequence", 1), ("sequence", 3)):
        path = tmp_path / f"{first[0]}-{first[1]}.jsonl"
        path.write_text(whole + '{"stage": "seq')  # cut off while it was written
        _filled(path, resumed=True, first=first)
        assert path.read_text() == whole


def test_a_new_learning_keeps_nothing_of_an_old_one(tmp_path: Path):
    path = _filled(tmp_path / "losses.jsonl").path
    log = LossLog(path, resumed=False)
    log.add(_report("sequence", 1))
    assert [(r["stage"], r["step"]) for r in read_losses(path)] == [("sequence", 1)]


def test_steps_are_counted_over_all_stages_also_when_going_on(tmp_path: Path):
    path = _filled(tmp_path / "losses.jsonl").path
    log = LossLog(path, resumed=True)
    log.add(_report("sequence", 2))
    assert log.steps_before("sequence") == 3
    assert log.steps_before("set") == 0 or "sequence" in log.curves()


def test_a_part_has_gaps_where_a_step_had_nothing_of_it(tmp_path: Path):
    log = LossLog(tmp_path / "losses.jsonl", resumed=False)
    log.add(_report("set", 1, concept=1.0, prior=3.0))
    log.add(_report("set", 2, concept=0.5))
    curves = log.curves()["set"]
    assert list(curves) == ["all", "concept", "prior"]
    assert curves["all"] == [2.0, 0.5]
    assert curves["concept"] == [1.0, 0.5]
    assert curves["prior"][0] == 3.0
    assert math.isnan(curves["prior"][1])


def test_a_single_part_is_one_curve(tmp_path: Path):
    assert list(_filled(tmp_path / "losses.jsonl").curves()["set"]) == ["concept"]


def test_a_file_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path):
    log = _filled(tmp_path / "losses.jsonl")
    log.path.unlink()
    log.path.mkdir()
    with pytest.raises(OutputError, match=r"losses.jsonl: cannot be written .* same command again"):
        log.add(_report("sequence", 3))
