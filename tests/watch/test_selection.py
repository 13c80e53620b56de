"""``--select best``: the right step is kept, and what is learned stays the very same."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq import api
from setseq.concept import Concept
from setseq.errors import EncoderError, Interrupted, SettingsError, TrainingError
from setseq.evaluation.tradeoff import Measured
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.watch import selection
from setseq.watch.run import Watch
from tests.evaluation.tiny_encoders import cut_off_hub, save_tiny_clip
from tests.surface import LOOK, MOTION, error, learn, make_base, make_clip, run

PARTS = ("basis", "identity", "motion", "tokens")
BASE = Measured(mse=0.1, margins=(0.1, 0.1))
# Reconstruction and adherence of four checks; the third is the best.
HEALTHY = ((0.3, 0.6), (0.5, 0.7), (0.7, 0.8), (0.4, 0.8))
OVERFIT = ((0.3, 0.9), (0.6, 0.8), (0.7, 0.5), (0.8, 0.3))
REGULARIZED = {
    "identity_dropout": 0.5,
    "motion_dropout": 0.5,
    "token_masking": 0.3,
    "self_conditioning": 0.5,
    "token_mode": "learned",
}


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a base, a clip, and a CLIP."""
    found = tmp_path_factory.mktemp("base")
    make_base(tiny_folder, found / "tiny")
    make_clip(found / "clip.mp4")
    save_tiny_clip(found / "encoder")
    return found


@pytest.fixture(scope="module")
def base(folder: Path) -> VideoModel:
    return load_model(folder / "tiny")


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off_hub(monkeypatch)


def _watch(
    folder: Path, run: Path, *, on_note: Callable[[str], None] = lambda line: None, **settings: Any
) -> Watch:
    best = {"select": "best", "clip_model": str(folder / "encoder"), "tracker": "none"}
    return Watch(run, settings={**best, "select_checks": 4, **settings}, on_note=on_note)


def _learn(base: VideoModel, folder: Path, watch: Watch | None = None, **given: Any) -> Concept:
    settings = {"sequence_steps": 8, **given.pop("settings", {})}
    return api.learn(
        folder / "clip.mp4",
        look=LOOK,
        motion=MOTION,
        base=base,
        settings=settings,
        on_start=watch.start if watch else lambda started: None,
        on_step=given.pop("on_step", watch.step if watch else lambda report: None),
        **given,
    )


@pytest.fixture
def fabricated(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets checks come out as it is told, and counts how often the base itself was measured."""

    def tell(pairs: Sequence[tuple[float, float]]) -> list[str]:
        measured: list[str] = []
        coming: Iterator[Measured] = (
            Measured(mse=0.1 * (1 - r), margins=(0.1 * a, 0.1 * a)) for r, a in pairs
        )

        def measure(*_: object, read: Any, **__: object) -> Measured:
            of_base = "zor" not in read("a [v1] character")
            measured.append("base" if of_base else "concept")
            return BASE if of_base else next(coming)

        monkeypatch.setattr(selection, "measure_held_out", measure)
        return measured

    return tell


def _equal(one: Concept, other: Concept) -> bool:
    return all(
        getattr(one, part).keys() == getattr(other, part).keys()
        and all(torch.equal(v, getattr(other, part)[k]) for k, v in getattr(one, part).items())
        for part in PARTS
    )


@pytest.mark.parametrize("settings", [{}, REGULARIZED], ids=["plain", "regularized"])
def test_checks_change_no_bit_of_what_is_learned(
    base: VideoModel, folder: Path, tmp_path: Path, settings: dict[str, Any]
):
    plain = _learn(base, folder, settings=settings)
    with _watch(folder, tmp_path, edits=EDITS) as watch:
        watched = _learn(base, folder, watch, settings=settings)
    assert _equal(plain, watched)
    candidates = tmp_path / "candidates"
    assert _equal(api.load_concept(candidates / "sequence-8.safetensors"), plain)
    names = {path.name for path in candidates.iterdir()}
    assert names == {"scores.json", *(f"sequence-{k}.safetensors" for k in (2, 4, 6, 8))}
    checks = json.loads((candidates / "scores.json").read_text())["checks"]
    assert [check["step"] for check in checks] == [2, 4, 6, 8]
    assert all(0 <= check["score"] <= 1 for check in checks)


EDITS = ["in the red desert at night", "with a blue hat", "in a city street in the rain"]


def test_a_candidate_is_the_concept_as_it_was_after_that_step(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    fabricated(HEALTHY)
    with _watch(folder, tmp_path) as watch:
        kept = watch.choose(_learn(base, folder, watch))
    assert _equal(kept, _learn(base, folder, settings={"sequence_steps": 6}))
    assert api.inspect(kept)["steps"] == "3 of Set, 8 of Sequence, of which step 6 was kept"


def test_the_step_of_the_best_trade_off_is_kept_and_shown(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    fabricated(HEALTHY)
    notes: list[str] = []
    with _watch(folder, tmp_path, on_note=notes.append) as watch:
        last = _learn(base, folder, watch)
        kept = watch.choose(last)
        page = watch.report(kept).read_text()
    assert kept.provenance.settings["kept_step"] == 6
    assert not _equal(kept, last)
    assert "6 (kept)" in page
    assert "<td>0.747</td>" in page  # 2 x 0.7 x 0.8 / 1.5
    assert page.count("<svg ") == 3
    assert notes[-1].startswith("kept: step 6 of 8")
    assert "overfitting" not in page + " ".join(notes)


def test_overfitting_is_said_once_in_the_terminal_and_in_the_report(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    fabricated(OVERFIT)
    notes: list[str] = []
    with _watch(folder, tmp_path, on_note=notes.append) as watch:
        page = watch.report(watch.choose(_learn(base, folder, watch))).read_text()
    warnings = [note for note in notes if "WARNING" in note]
    assert len(warnings) == 1
    assert "overfitting after step 2 of 8" in warnings[0]
    assert "overfitting after step 2 of 8" in page


def test_a_learning_that_was_stopped_keeps_its_candidates(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    state = tmp_path / "state"
    fabricated(HEALTHY)
    with _watch(folder, tmp_path / "whole") as watch:
        whole = watch.choose(_learn(base, folder, watch))

    measured = fabricated(HEALTHY)
    with _watch(folder, tmp_path / "broken") as watch:

        def stop(report: api.StepReport) -> None:
            watch.step(report)
            if (report.stage, report.step) == ("sequence", 7):
                raise KeyboardInterrupt

        with pytest.raises(Interrupted):
            _learn(base, folder, watch, checkpoint=state, on_step=stop)
    assert measured == ["base", "concept", "concept", "concept"]
    measured = fabricated(HEALTHY[3:])
    with _watch(folder, tmp_path / "broken") as watch:
        resumed = watch.choose(_learn(base, folder, watch, checkpoint=state))
    assert measured == ["concept"]
    assert _equal(resumed, whole)
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
    with _watch(folder, tmp_path / "run") as watch, pytest.raises(Killed):
        _learn(base, folder, watch, on_step=killed, **given)
    measured = fabricated(HEALTHY[2:])
    with _watch(folder, tmp_path / "run") as watch:
        kept = watch.choose(_learn(base, folder, watch, **given))
    assert measured == ["concept", "concept"]  # steps 6 and 8, for the state was of step 5
    assert kept.provenance.settings["kept_step"] == 6


def test_a_learning_that_starts_anew_forgets_older_candidates(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    for checks in (4, 2):
        fabricated(HEALTHY)
        with _watch(folder, tmp_path, select_checks=checks) as watch:
            _learn(base, folder, watch)
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
    with _watch(folder, tmp_path) as watch, pytest.raises(Interrupted):
        _learn(base, folder, watch, checkpoint=tmp_path / "state", on_step=stop)
    return tmp_path


def test_candidates_that_were_measured_otherwise_are_not_compared(
    base: VideoModel, folder: Path, stopped: Path
):
    with (
        _watch(folder, stopped, edits=["in the rain"]) as watch,
        pytest.raises(TrainingError, match="other prompts"),
    ):
        _learn(base, folder, watch, checkpoint=stopped / "state")


def test_damaged_scores_are_one_line(base: VideoModel, folder: Path, stopped: Path):
    (stopped / "candidates" / "scores.json").write_text("{")
    with _watch(folder, stopped) as watch, pytest.raises(TrainingError, match="is damaged"):
        _learn(base, folder, watch, checkpoint=stopped / "state")


def test_of_several_concepts_every_prompt_is_checked(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    fabricated([(0.9, 0.9), (0.5, 0.5)])
    tables = (
        f'[[concept]]\nclip = "{folder / "clip.mp4"}"\nlook = "a [v{k}] character in the snow"\n'
        f'motion = "it is [u{k}]"\n'
        for k in (1, 2)
    )
    (tmp_path / "scene.toml").write_text("".join(tables))
    with _watch(folder, tmp_path, select_checks=2) as watch:
        last = api.learn_scene(
            tmp_path / "scene.toml", base=base, on_start=watch.start, on_step=watch.step
        )
        kept = watch.choose(last)
    about = json.loads((tmp_path / "candidates" / "scores.json").read_text())["about"]
    assert [prompt[:6] for prompt in about["prompts"]] == ["a [v1]"] * 3 + ["a [v2]"] * 3
    assert (about["steps"], kept.provenance.settings["kept_step"]) == (4, 2)


def test_without_checks_there_is_nothing_of_it(base: VideoModel, folder: Path, tmp_path: Path):
    with Watch(tmp_path, settings={"tracker": "none"}) as watch:
        last = _learn(base, folder, watch)
    assert watch.choose(last) is last
    assert {path.name for path in tmp_path.iterdir()} == {"losses.jsonl"}


@pytest.mark.parametrize(
    ("watching", "learning", "message"),
    [
        ({"edits": []}, {}, "edits in .watch. is empty"),
        ({}, {"sequence_steps": 0}, "sequence_steps is 0"),
    ],
)
def test_where_there_is_nothing_to_choose_best_is_refused_before_the_training(
    base: VideoModel,
    folder: Path,
    tmp_path: Path,
    watching: dict[str, Any],
    learning: dict[str, Any],
    message: str,
):
    with (
        _watch(folder, tmp_path, **watching) as watch,
        pytest.raises(SettingsError, match=message),
    ):
        _learn(base, folder, watch, settings=learning)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_edits_that_the_base_does_not_show_cannot_be_held_against_the_concept(
    base: VideoModel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    nowhere = Measured(mse=0.1, margins=(-0.01, 0.0))
    monkeypatch.setattr(selection, "measure_held_out", lambda *_, **__: nowhere)
    with (
        _watch(folder, tmp_path) as watch,
        pytest.raises(SettingsError, match="CLIP sees none of the edits"),
    ):
        _learn(base, folder, watch)


def test_without_a_clip_best_is_refused_in_a_line_that_says_what_to_give(
    base: VideoModel, folder: Path, tmp_path: Path
):
    with (
        _watch(folder, tmp_path, clip_model="") as watch,
        pytest.raises(EncoderError, match=r"--local-dir FOLDER.*--clip-model") as caught,
    ):
        _learn(base, folder, watch)
    assert "\n" not in str(caught.value)


def test_the_command_keeps_the_best_and_its_file_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fabricated: Any
):
    monkeypatch.chdir(tmp_path)
    best = ["--select", "best", "--select-checks", "4", "--clip-model", folder / "encoder"]
    base, clip = folder / "tiny", str(folder / "clip.mp4")
    assert "select last" in error(learn(base, "--select", "best", clip=clip))
    fabricated(OVERFIT)
    result = learn(base, *best, "--sequence-steps", "8", "-o", "c.safetensors", clip=clip)
    assert result.exit_code == 0, result.stderr
    assert "WARNING: overfitting after step 2 of 8" in result.stdout
    assert "kept: step 4 of 8 of Sequence: reconstruction 0.600" in result.stdout
    assert "of which step 4 was kept" in run("inspect", "c.safetensors").stdout
    assert "4 (kept)" in (tmp_path / "c.run" / "report.html").read_text()
