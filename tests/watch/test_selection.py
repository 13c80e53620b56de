"""``--select best``: the right step is kept, and what is learned stays the very same."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from setseq import api
from setseq.errors import EncoderError, SettingsError
from setseq.evaluation.tradeoff import Measured
from setseq.models.base import VideoModel
from setseq.watch import selection
from setseq.watch.run import Watch
from tests.evaluation.tiny_encoders import cut_off_hub
from tests.surface import error, learn, run
from tests.watch.selecting import HEALTHY, OVERFIT, equal, learning, watching

REGULARIZED = {
    "identity_dropout": 0.5,
    "motion_dropout": 0.5,
    "token_masking": 0.3,
    "self_conditioning": 0.5,
    "token_mode": "learned",
}


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off_hub(monkeypatch)


@pytest.mark.parametrize("settings", [{}, REGULARIZED], ids=["plain", "regularized"])
def test_checks_change_no_bit_of_what_is_learned(
    base: VideoModel, folder: Path, tmp_path: Path, settings: dict[str, Any]
):
    plain = learning(base, folder, settings=settings)
    with watching(folder, tmp_path, edits=EDITS) as watch:
        watched = learning(base, folder, watch, settings=settings)
    assert equal(plain, watched)
    candidates = tmp_path / "candidates"
    assert equal(api.load_concept(candidates / "sequence-8.safetensors"), plain)
    names = {path.name for path in candidates.iterdir()}
    assert names == {"scores.json", *(f"sequence-{k}.safetensors" for k in (2, 4, 6, 8))}
    checks = json.loads((candidates / "scores.json").read_text())["checks"]
    assert [check["step"] for check in checks] == [2, 4, 6, 8]
    assert all(0 <= check["score"] <= 1 for check in checks)


EDITS = ["in the red desert at night", "with a blue hat", "in a city street in the rain"]


def test_the_step_of_the_best_trade_off_is_kept_and_shown(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    fabricated(HEALTHY)
    notes: list[str] = []
    with watching(folder, tmp_path, on_note=notes.append) as watch:
        last = learning(base, folder, watch)
        kept = watch.choose(last)
        page = watch.report(kept).read_text()
    assert kept.provenance.settings["kept_step"] == 6
    assert not equal(kept, last)
    assert "6 (kept)" in page
    assert "<td>0.747</td>" in page  # 2 x 0.7 x 0.8 / 1.5
    assert page.count("<svg ") == 3
    assert notes[-1].startswith("kept: step 6 of 8")
    assert "overfitting" not in page + " ".join(notes)


def test_checks_show_how_far_they_are_and_are_no_learning_time(
    base: VideoModel, folder: Path, tmp_path: Path
):
    seen: list[tuple[int, int]] = []
    checks = {"edits": EDITS[:1], "select_checks": 1}
    add = lambda done, total: seen.append((done, total))  # noqa: E731
    begun = time.perf_counter()
    with watching(folder, tmp_path, on_check=add, **checks) as watch:
        concept = learning(base, folder, watch)
    whole = time.perf_counter() - begun
    steps = watch.sampling.num_steps * 2 * 2  # two prompts, two seeds
    assert seen == [(done, steps) for done in range(1, steps + 1)] * 2  # the base, and one check
    assert 0 < watch.checking_s < whole
    assert ">checking<" in watch.report(concept).read_text()


def test_overfitting_is_said_once_in_the_terminal_and_in_the_report(
    base: VideoModel, folder: Path, tmp_path: Path, fabricated: Any
):
    fabricated(OVERFIT)
    notes: list[str] = []
    with watching(folder, tmp_path, on_note=notes.append) as watch:
        page = watch.report(watch.choose(learning(base, folder, watch))).read_text()
    warnings = [note for note in notes if "WARNING" in note]
    assert len(warnings) == 1
    assert "overfitting after step 2 of 8" in warnings[0]
    assert "overfitting after step 2 of 8" in page


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
    with watching(folder, tmp_path, select_checks=2) as watch:
        last = api.learn_scene(
            tmp_path / "scene.toml", base=base, on_start=watch.start, on_step=watch.step
        )
        kept = watch.choose(last)
    about = json.loads((tmp_path / "candidates" / "scores.json").read_text())["about"]
    assert [prompt[:6] for prompt in about["prompts"]] == ["a [v1]"] * 3 + ["a [v2]"] * 3
    learned = about["learning"]["settings"]["sequence_steps"]
    assert (learned, kept.provenance.settings["kept_step"]) == (4, 2)


def test_without_checks_there_is_nothing_of_it(base: VideoModel, folder: Path, tmp_path: Path):
    with Watch(tmp_path, settings={"tracker": "none"}) as watch:
        last = learning(base, folder, watch)
    assert watch.choose(last) is last
    assert {path.name for path in tmp_path.iterdir()} == {"losses.jsonl"}


@pytest.mark.parametrize(
    ("watched", "learned", "message"),
    [
        ({"edits": []}, {}, "edits in .watch. is empty"),
        ({}, {"sequence_steps": 0}, "sequence_steps is 0"),
    ],
)
def test_where_there_is_nothing_to_choose_best_is_refused_before_the_training(
    base: VideoModel,
    folder: Path,
    tmp_path: Path,
    watched: dict[str, Any],
    learned: dict[str, Any],
    message: str,
):
    with (
        watching(folder, tmp_path, **watched) as watch,
        pytest.raises(SettingsError, match=message),
    ):
        learning(base, folder, watch, settings=learned)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_edits_that_the_base_does_not_show_cannot_be_held_against_the_concept(
    base: VideoModel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    nowhere = Measured(mse=0.1, margins=(-0.01, 0.0))
    monkeypatch.setattr(selection, "measure_held_out", lambda *_, **__: nowhere)
    with (
        watching(folder, tmp_path) as watch,
        pytest.raises(SettingsError, match="CLIP sees none of the edits"),
    ):
        learning(base, folder, watch)


def test_without_a_clip_best_is_refused_in_a_line_that_says_what_to_give(
    base: VideoModel, folder: Path, tmp_path: Path
):
    with (
        watching(folder, tmp_path, clip_model="") as watch,
        pytest.raises(EncoderError, match=r"--local-dir FOLDER.*--clip-model") as caught,
    ):
        learning(base, folder, watch)
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
    assert ", checked in " in result.stdout
    assert "kept: step 4 of 8 of Sequence: reconstruction 0.600" in result.stdout
    assert "of which step 4 was kept" in run("inspect", "c.safetensors").stdout
    assert "4 (kept)" in (tmp_path / "c.run" / "report.html").read_text()
