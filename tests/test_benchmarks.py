"""The benchmarks go on where they stopped, and show what they say."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.measuring import Job, run_jobs
from setseq.baselines import settings_of
from setseq.baselines.methods import UNREGULARIZED
from setseq.bench.settings import BenchSettings
from setseq.config import LearnSettings
from setseq.models.base import BaseDefaults, VideoModel
from setseq.toybox.judge import load_judge
from setseq.toybox.shipped import asset
from setseq.video.encode import write_video

ABOUT = {"base": "ab", "seeds": 2}


def _jobs(done: list[str], *variants: str) -> list[Job]:
    def measure(variant: str) -> dict[str, float]:
        done.append(variant)
        return {"motion": 0.25 * len(done), "mse": 0.01}

    return [
        Job(variant=v, name=name, measure=lambda v=v: measure(v))
        for name in ("crab", "bee")
        for v in variants
    ]


def test_choosing_can_resolve_all_its_variants_and_changes_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tiny_model: VideoModel
):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    choosing = importlib.import_module("choosing")
    known = choosing.variants().known
    own = {name: settings_of(each, tiny_model, LearnSettings()) for name, each in known.items()}
    assert own["prior-plain-words"].token_mode == "literal"
    assert own["prior-1"].model_copy(update={"sequence_rate": 1.0}) == own["prior-rate-1"]
    assert (
        own["prior-1"].model_copy(update={"temporal_difference": 0.0})
        == (own["prior-no-difference"])
    )
    assert known["prior-1.15"].generate["identity"] == 1.15
    base = LearnSettings(set_steps=140, sequence_steps=260)
    assert known["prior-1"].steps_of(base) == (140, 260)
    assert known["prior-set-30"].steps_of(base) == (30, 370)
    assert known["prior-longer"].steps_of(base) == (210, 585)
    assert len({each.digest for each in known.values()}) == len(known)


def test_erratic_chooses_by_no_concept_of_the_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    erratic = importlib.import_module("erratic")
    assert set(erratic.CONCEPTS) <= set(BenchSettings().choosing)


def test_a_regularizer_is_measured_against_none_whatever_the_base_has_on(
    tiny_model: VideoModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    regularizers = importlib.import_module("regularizers")
    assert set(regularizers.CONCEPTS) <= set(BenchSettings().choosing)
    own = BaseDefaults(learn={"identity_dropout": 0.3, "prior": "videos"}, generate={})
    monkeypatch.setattr(tiny_model, "defaults", own)
    none = regularizers.settings_of(tiny_model, "none", seed=2)
    assert none.seed == 2
    assert UNREGULARIZED.items() <= none.model_dump().items()
    masking = regularizers.settings_of(tiny_model, "token masking", seed=2).model_dump()
    changed = {name for name, value in none.model_dump().items() if masking[name] != value}
    assert changed == {"token_masking", "mask_special_tokens"}


def test_the_measured_step_draws_the_dropout_of_the_base(
    tiny_model: VideoModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    training_step = importlib.import_module("training_step")
    own = BaseDefaults(learn={"identity_dropout": 0.3, "motion_dropout": 0.2}, generate={})
    monkeypatch.setattr(tiny_model, "defaults", own)
    latents, args = torch.zeros(1, 4, 2, 4, 4), SimpleNamespace(steps=2, batch=1)
    stages = [training_step.stage(tiny_model, name, latents, args) for name in ("set", "sequence")]
    assert [stage.dropout for stage in stages] == [{"identity": 0.3}, {"motion": 0.2}]


def test_what_was_measured_is_not_measured_again(tmp_path: Path):
    done: list[str] = []
    run_jobs(tmp_path / "new", "erratic", _jobs(done, "off")[:1], ABOUT)
    results = run_jobs(tmp_path / "new", "erratic", _jobs(done, "off", "all"), ABOUT)
    assert done == ["off", "all", "off", "all"]
    assert results["off"]["bee"] == {"motion": 0.75, "mse": 0.01}
    assert run_jobs(tmp_path / "new", "erratic", _jobs(done, "off", "all"), ABOUT) == results
    assert len(done) == 4
    assert (tmp_path / "new" / "erratic.md").read_text().splitlines()[2:] == [
        "| off | 2 | 0.50 | 0.0100 |",
        "| all | 2 | 0.75 | 0.0100 |",
    ]


def test_rows_of_another_base_do_not_get_into_one_table(tmp_path: Path):
    run_jobs(tmp_path, "erratic", _jobs([], "off"), ABOUT)
    with pytest.raises(SystemExit, match="give another folder"):
        run_jobs(tmp_path, "erratic", [], {**ABOUT, "base": "cd"})


def test_both_sides_are_right_only_where_each_concept_stands_on_its_own(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    composition = importlib.import_module("composition")
    judge, pair = load_judge(asset("judge.safetensors")), ("dancer", "crab")
    where = {"place": "snowfield", "light": "day"}
    good, swapped = (composition.ideal(names, **where)[0][None] for names in (pair, pair[::-1]))
    still = good[:, :, :1].expand_as(good)
    shares = {
        name: composition.row(composition.read(judge, pair, clips, **where))
        for name, clips in {"good": good, "swapped": swapped, "still": still}.items()
    }
    assert shares["good"]["looks and motion right"] == 1
    assert shares["swapped"]["looks right on both sides"] == 0
    assert shares["still"]["looks right on both sides"] == 1
    assert shares["still"]["looks and motion right"] == 0


def test_side_by_side_has_a_row_a_method_and_a_column_an_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    side_by_side = importlib.import_module("side_by_side")
    about = {"methods": {"plain": "Plain", "full": "Full"}, "training_seeds": [0]}
    manifest = json.dumps(about | {"edits": [{"name": "a hat"}]})
    (tmp_path / "manifest.json").write_text(manifest)
    for place, level in (
        ("references/robot", 40),
        ("videos/plain/robot/own-1", 80),
        ("videos/full/robot/own-1", 120),
        ("videos/full/robot/0-1", 160),
    ):
        path = tmp_path / f"{place}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, np.full((3, 64, 64, 3), level, np.uint8), fps=8)
    out = tmp_path / "robot.png"
    side_by_side.draw(tmp_path, "robot", out, seed=1, frames=2)
    picture = np.asarray(Image.open(out)).astype(int)[..., 0]
    # Each video is the only place where its grey covers many pixels: where they lie, in order.
    middles = {
        level: [int(places.mean()) for places in np.nonzero(abs(picture - level) <= 3)]
        for level in (40, 80, 120, 160, side_by_side.GREY)
    }
    rows = [middles[level][0] for level in (40, 80, 120)]
    assert rows == sorted(rows)
    assert rows[1] - rows[0] == pytest.approx(rows[2] - rows[1], abs=4)
    assert rows[1] - rows[0] > 64
    assert middles[160][0] == pytest.approx(middles[120][0], abs=4)
    assert middles[160][1] > middles[120][1] + 128
    assert middles[side_by_side.GREY][1] > middles[80][1] + 128
