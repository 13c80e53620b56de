"""A watched learning: its files are there, and it learns the very same."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from setseq import api
from setseq.concept import Concept
from setseq.errors import PromptError, SettingsError
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.video.io import read_clip
from setseq.watch.run import Watch
from tests.surface import LOOK, MOTION, SCENE, make_base, make_clip


@pytest.fixture(scope="module")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> VideoModel:
    return load_model(make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def _learn(base: VideoModel, clip: Path, watch: Watch | None = None, **settings: Any) -> Concept:
    if watch is None:
        return api.learn(clip, look=LOOK, motion=MOTION, base=base, settings=settings)
    return api.learn(
        clip,
        look=LOOK,
        motion=MOTION,
        base=base,
        settings=settings,
        on_start=watch.start,
        on_step=watch.step,
    )


REGULARIZED = {
    "identity_dropout": 0.5,
    "motion_dropout": 0.5,
    "token_masking": 0.3,
    "self_conditioning": 0.5,
}


@pytest.mark.parametrize(
    "settings",
    [{}, {"token_mode": "learned"}, REGULARIZED],
    ids=["plain", "learned", "regularized"],
)
def test_previews_change_no_bit_of_what_is_learned(
    base: VideoModel, clip: Path, tmp_path: Path, settings: dict[str, Any]
):
    plain = _learn(base, clip, **settings)
    watching = {"preview_every": 1, "preview_prompt": SCENE, "tracker": "none"}
    with Watch(tmp_path / "run", settings=watching) as watch:
        watched = _learn(base, clip, watch, **settings)
    assert len(list((tmp_path / "run" / "previews").glob("*.png"))) == 6
    for part in ("basis", "identity", "motion", "tokens"):
        before, after = getattr(plain, part), getattr(watched, part)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_preview_is_what_the_sampler_makes_of_the_concept_at_that_step(
    base: VideoModel, clip: Path, tmp_path: Path
):
    settings = {"preview_every": 2, "preview_prompt": "a [v] character, red", "tracker": "none"}
    with Watch(tmp_path, settings=settings, sampling={"seed": 3}) as watch:
        concept = _learn(base, clip, watch, **REGULARIZED)
    names = {path.name for path in (tmp_path / "previews").iterdir()}
    steps = [f"{stage}-{step}" for stage in ("set", "sequence") for step in (2, 3)]
    assert names == {f"{step}.{ending}" for step in steps for ending in ("png", "mp4")}
    last = read_clip(tmp_path / "previews" / "sequence-3.mp4").frames
    assert last.shape == (5, 64, 128, 3)  # two prompts side by side, twice as large

    def distance(seed: int) -> float:
        """Of the last preview to what the finished concept makes; the video is compressed."""
        videos = api.generate(concept, [SCENE, "a [v] character, red"], seed=seed, base=base)
        made = np.concatenate(videos, axis=2).astype(float)
        return float(abs(last[:, ::2, ::2] - made).mean())

    assert distance(3) < distance(4) / 3


def test_losses_are_written_for_every_step_and_part(base: VideoModel, clip: Path, tmp_path: Path):
    reports: list[api.StepReport] = []
    with Watch(tmp_path, settings={"tracker": "none"}) as watch:
        step = watch.step
        watch.step = lambda report: (reports.append(report), step(report))[1]
        _learn(base, clip, watch)
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [line["losses"] for line in lines] == [dict(report.losses) for report in reports]
    assert [line["stage"] for line in lines] == ["set"] * 3 + ["sequence"] * 3


def test_the_report_shows_clip_reconstruction_edits_curves_and_all_settings(
    base: VideoModel, clip: Path, tmp_path: Path
):
    with Watch(tmp_path, settings={"tracker": "none", "preview_prompt": SCENE}) as watch:
        page = watch.report(_learn(base, clip, watch)).read_text()
    for title in ("The clip", "Reconstruction", "In the desert at dusk", "Your scene"):
        assert f"<strong>{title}</strong>" in page
    assert page.count("<video ") == 5
    assert page.count("<svg ") == 2
    for name in ("learning_rate", "guidance", "preview_every"):
        assert f">{name}</th>" in page
    assert "http" not in page.replace("http-equiv", "")


def test_tensorboard_gets_the_losses_of_both_stages(base: VideoModel, clip: Path, tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {"tracker": "tensorboard", "preview_every": 3}
    with Watch(tmp_path, settings=settings) as watch:
        _learn(base, clip, watch)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("set/concept")] == [1, 2, 3]
    assert [event.step for event in events.Scalars("sequence/loss")] == [4, 5, 6]
    assert [event.step for event in events.Images("preview")] == [3, 6]


def test_without_tensorboard_the_default_goes_on_and_what_is_asked_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    Watch(tmp_path)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(SettingsError, match=f"tracker {name} is not installed; run `pip"):
            Watch(tmp_path, settings={"tracker": name})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preview_prompt": "a [v7] character"}, r"\[v7\]"),
        ({"preview_prompt": "a character"}, "no concept token"),
        ({"edits": ["zzz"]}, "cannot tell what 'zzz' changes"),
        ({"edits": ["a [v7] character in the snow"]}, r"\[v7\]"),
    ],
)
def test_a_bad_preview_prompt_or_edit_is_refused_before_the_training(
    base: VideoModel, clip: Path, tmp_path: Path, settings: dict[str, Any], message: str
):
    with Watch(tmp_path, settings=settings) as watch, pytest.raises(PromptError, match=message):
        _learn(base, clip, watch)
    assert not list(tmp_path.iterdir())
