"""Candidates of ``--select best``: exact, kept over a stop, and never those of another learning."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from setseq import api
from setseq.errors import Interrupted, TrainingError
from setseq.models.base import VideoModel
from setseq.video.io import write_video
from tests.watch.selecting import HEALTHY, equal, learning, watching


def test_a_candidate_is_the_concept_as_it_was_after_that_step(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    fabricated(HEALTHY)
    with watching(folder, tmp_path) as watch:
        kept = watch.choose(learning(base, folder, watch))
    assert equal(kept, learning(base, folder, settings={"sequence_steps": 6}))
    assert api.inspect(kept)["steps"] == "3 of Set, 8 of Sequence, of which step 6 was kept"


def test_a_learning_that_was_stopped_keeps_its_candidates(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    state = tmp_path / "state"
    fabricated(HEALTHY)
    with watching(folder, tmp_path / "whole") as watch:
        whole = watch.choose(learning(base, folder, watch))

    measured = fabricated(HEALTHY)
    with watching(folder, tmp_path / "broken") as watch:

        def stop(report: api.StepReport) -> None:
            watch.step(report)
            if (report.stage, report.step) == ("sequence", 7):
                raise KeyboardInterrupt

        with pytest.raises(Interrupted):
            learning(base, folder, watch, checkpoint=state, on_step=stop)
    assert measured == ["base", "concept", "concept", "concept"]
    measured = fabricated(HEALTHY[3:])
    with watching(folder, tmp_path / "broken") as watch:
        resumed = watch.choose(learning(base, folder, watch, checkpoint=state))
    assert measured == ["concept"]
    assert equal(resumed, whole)
    scores = [
        (tmp_path / run / "candidates/scores.json").read_text() for run in ("whole", "broken")
    ]
    assert scores[0] == scores[1]


def test_what_was_checked_beyond_the_checkpoint_is_checked_again(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    class Killed(Exception):
        pass

    def killed(report: api.StepReport) -> None:
        watch.step(report)
        if (report.stage, report.step) == ("sequence", 7):
            raise Killed

    fabricated(HEALTHY)
    given = {"checkpoint": tmp_path / "state", "settings": {"checkpoint_every": 5}}
    with watching(folder, tmp_path / "run") as watch, pytest.raises(Killed):
        learning(base, folder, watch, on_step=killed, **given)
    measured = fabricated(HEALTHY[2:])
    with watching(folder, tmp_path / "run") as watch:
        kept = watch.choose(learning(base, folder, watch, **given))
    assert measured == ["concept", "concept"]  # steps 6 and 8, for the state was of step 5
    assert kept.provenance.settings["kept_step"] == 6


def test_a_learning_that_starts_anew_forgets_older_candidates(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    for checks in (4, 2):
        fabricated(HEALTHY)
        with watching(folder, tmp_path, select_checks=checks) as watch:
            learning(base, folder, watch)
    names = {path.name for path in (tmp_path / "candidates").iterdir()}
    assert names == {"scores.json", "sequence-4.safetensors", "sequence-8.safetensors"}


@pytest.fixture
def stopped(base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any) -> Path:
    """The run's folder of a learning that was stopped; its state is in "state" there."""

    def stop(report: api.StepReport) -> None:
        watch.step(report)
        if (report.stage, report.step) == ("sequence", 3):
            raise KeyboardInterrupt

    fabricated(HEALTHY)
    with watching(folder, tmp_path) as watch, pytest.raises(Interrupted):
        learning(base, folder, watch, checkpoint=tmp_path / "state", on_step=stop)
    return tmp_path


def _state_of(base: VideoModel, folder: Path, state: Path, **given: Any) -> Path:
    """The state of a learning that was stopped, without anything beside it."""

    def stop(report: api.StepReport) -> None:
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        learning(base, folder, checkpoint=state, on_step=stop, **given)
    return state


def test_candidates_that_were_measured_otherwise_are_not_compared(
    base: VideoModel, folder: Path, stopped: Path
):
    with (
        watching(folder, stopped, edits=["in the rain"]) as watch,
        pytest.raises(TrainingError, match="its prompts was"),
    ):
        learning(base, folder, watch, checkpoint=stopped / "state")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": {"rank": 3}}, "its rank was 2 and is now 3"),
        ({"seed": 1}, "its seed was 0 and is now 1"),
        ({"mask": "mask.mp4"}, "its hash of the masks was"),
        ({"start_s": 0.125}, "its hash of the frames was"),
    ],
    ids=["settings", "seed", "mask", "start"],
)
def test_candidates_of_another_learning_are_not_taken_over(
    base: VideoModel, folder: Path, stopped: Path, changed: dict[str, Any], said: str
):
    if "mask" in changed:
        frames = np.zeros((6, 32, 32, 3), np.uint8)
        frames[:, 8:20] = 255
        changed = {"mask": write_video(stopped / changed["mask"], frames, fps=8)}
    state = _state_of(base, folder, stopped / "elsewhere", **changed)
    with (
        watching(folder, stopped) as watch,
        pytest.raises(TrainingError, match=f"of another learning.*{said}.*away to go on without"),
    ):
        learning(base, folder, watch, checkpoint=state, **changed)
    assert (stopped / "candidates" / "scores.json").exists()


def test_candidates_that_started_from_another_concept_are_not_taken_over(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    one, other = (learning(base, folder, seed=seed) for seed in (0, 1))

    def stop(report: api.StepReport) -> None:
        watch.step(report)
        if report.step == 3:
            raise KeyboardInterrupt

    fabricated(HEALTHY)
    state = tmp_path / "state"
    with watching(folder, tmp_path) as watch, pytest.raises(Interrupted):
        learning(base, folder, watch, checkpoint=state, start=one, on_step=stop)
    elsewhere = _state_of(base, folder, tmp_path / "elsewhere", start=other)
    with (
        watching(folder, tmp_path) as watch,
        pytest.raises(TrainingError, match=r"of another learning.*its start was"),
    ):
        learning(base, folder, watch, checkpoint=elsewhere, start=other)
    measured = fabricated(HEALTHY[1:])
    with watching(folder, tmp_path) as watch:
        learning(base, folder, watch, checkpoint=state, start=one)
    assert measured == ["concept"] * 3


def test_what_a_resumed_training_may_change_keeps_its_candidates(
    base: VideoModel, folder: Path, stopped: Path, fabricated: Any
):
    measured = fabricated(HEALTHY[1:])
    given = {"checkpoint": stopped / "state", "settings": {"learning_rate": 0.02}}
    with watching(folder, stopped) as watch:
        learning(base, folder, watch, **given)
    assert measured == ["concept"] * 3


def test_a_learning_without_checks_leaves_no_candidates_for_one_that_goes_on_with_them(
    base: VideoModel, folder: Path, stopped: Path, fabricated: Any
):
    def stop(report: api.StepReport) -> None:
        watch.step(report)
        if (report.stage, report.step) == ("sequence", 3):
            raise KeyboardInterrupt

    state = stopped / "another"
    with watching(folder, stopped, select="last") as watch, pytest.raises(Interrupted):
        learning(base, folder, watch, checkpoint=state, on_step=stop)
    measured = fabricated(HEALTHY[1:])
    with watching(folder, stopped) as watch:
        learning(base, folder, watch, checkpoint=state)
    assert measured == ["base", "concept", "concept", "concept"]


def test_damaged_scores_are_one_line(base: VideoModel, folder: Path, stopped: Path):
    (stopped / "candidates" / "scores.json").write_text("{")
    with watching(folder, stopped) as watch, pytest.raises(TrainingError, match="is damaged"):
        learning(base, folder, watch, checkpoint=stopped / "state")
