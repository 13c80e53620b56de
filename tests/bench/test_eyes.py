from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.bench.eyes import left_out, measure, opened, resolved_choice, without
from setseq.bench.settings import BenchSettings, EncoderChoice
from setseq.evaluation.choice import natural_encoder
from setseq.evaluation.footage import Footage
from setseq.evaluation.measure import Asked, Encoders
from setseq.evaluation.tracks import follow_points
from setseq.toybox.judge import Judge, load_judge
from setseq.toybox.shards import clip_pixels
from setseq.toybox.shipped import asset
from setseq.toybox.world import FPS, random_scene
from setseq.video.views import to_frames
from tests.evaluation.films import drawn, frozen
from tests.evaluation.tiny_encoders import cut_off_hub


@dataclass(frozen=True)
class _Brightness:
    """An encoder that sees how bright a picture is, and reads "dark" and "bright"."""

    def pictures(self, frames: np.ndarray) -> Tensor:
        light = torch.from_numpy(frames.mean((1, 2, 3)) / 255).float()
        return F.normalize(torch.stack([light, 1 - light], 1), dim=1)

    def words(self, prompts: list[str]) -> Tensor:
        return torch.tensor([[1.0, 0.0] if "bright" in text else [0.0, 1.0] for text in prompts])


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge(asset("judge.safetensors"))


def _with_brightness() -> Encoders:
    encoder: Any = _Brightness()
    return Encoders(clip=encoder, things=encoder, tracker=None)


def test_a_clip_against_itself_has_the_best_of_everything(judge: Judge):
    robot = drawn("robot")
    asked = Asked(prompt="a [v] thing", source="a [v] thing")
    row = measure(Encoders(clip=None, things=None, judge=judge), robot, robot, asked)
    assert row["mse"] == 0
    assert row["judged_identity"] == pytest.approx(1, abs=1e-4)
    assert row["judged_motion"] == pytest.approx(1, abs=1e-4)
    assert row["motion"] == pytest.approx(1, abs=1e-3)
    assert row["dynamic_ratio"] == pytest.approx(1)


def test_an_edit_is_judged_by_what_the_clip_did_not_show(judge: Judge):
    robot, night = drawn("robot"), drawn("robot", light="night")  # in the city, as its clip is
    asked = Asked(prompt="a [v] thing", attributes={"place": "city", "light": "night"})
    eyes = Encoders(clip=None, things=None, judge=judge)
    assert measure(eyes, robot, robot, asked)["judged_edit"] == 0
    assert measure(eyes, robot, night, asked)["judged_edit"] == 1
    nothing_new = Asked(prompt="a [v] thing", attributes={"place": "city"})
    assert "judged_edit" not in measure(eyes, robot, robot, nothing_new)


def test_a_hat_that_was_asked_for_is_no_loss_of_identity(judge: Judge):
    scene = random_scene(3, num_characters=1)
    robot, hat = (
        Footage(
            frames=to_frames(clip_pixels(replace(scene, characters=(someone,)))[None])[0], fps=FPS
        )
        for worn in ("none", "hat")
        for someone in [replace(scene.characters[0], accessory=worn)]
    )
    eyes = Encoders(clip=None, things=None, judge=judge)
    seen = {
        attributes: measure(
            eyes, robot, hat, Asked(prompt="a [v] thing", attributes=dict(attributes))
        )["judged_identity"]
        for attributes in ((), (("left_accessory", "hat"),))
    }
    assert seen[(("left_accessory", "hat"),)] > 0.9
    assert seen[()] < seen[(("left_accessory", "hat"),)] - 0.1


def test_a_frozen_clip_keeps_the_identity_and_loses_all_motion(judge: Judge):
    robot = drawn("robot")
    row = measure(
        Encoders(clip=None, things=None, judge=judge),
        robot,
        frozen(robot),
        Asked(prompt="a [v] thing"),
    )
    assert row["judged_motion"] == pytest.approx(0, abs=1e-6)
    assert (row["motion"], row["dynamic_degree"], row["dynamic_ratio"]) == (0, 0, 0)
    assert "judged_edit" not in row


def test_without_encoders_there_are_no_columns_of_theirs():
    robot = drawn("robot")
    asked = Asked(prompt="a [v] thing", source="a [v] thing", attributes={"place": "city"})
    assert measure(Encoders(clip=None, things=None, tracker=None), robot, robot, asked) == {
        "mse": 0
    }


def test_an_edit_is_done_where_the_video_is_nearer_to_it_than_to_the_source():
    day, night = drawn("robot", light="day"), drawn("robot", light="night")
    for generated, done in ((day, 0), (night, 1)):
        asked = Asked(prompt="a dark [v] thing", source="a bright [v] thing")
        row = measure(_with_brightness(), day, generated, asked)
        assert row["edit_done"] == done
        assert (row["edit_margin"] > 0) == bool(done)
    own = measure(_with_brightness(), day, day, Asked(prompt="a bright [v] thing"))
    assert "edit_done" not in own
    assert own["identity"] == pytest.approx(1)
    assert own["temporal_consistency"] == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_opened_is_left_out_and_not_tried_again(monkeypatch: pytest.MonkeyPatch):
    cut_off_hub(monkeypatch)
    choice = EncoderChoice(clip="some/clip", things="some/things", judge="none")
    found, reasons = opened(choice)
    assert (found.clip, found.things, found.faces, found.judge) == (None, None, None, None)
    lines = left_out(reasons)
    assert [line.split(" (")[0] for line in lines] == [
        "left out: C-T, TC and edit success",
        "left out: identity",
        "left out: ID of faces",
        "left out: the judge's reading",
    ]
    assert "add --fetch" in lines[0]
    assert "hf download some/things" in lines[1]
    assert not any("\n" in line for line in lines)
    assert without(choice, reasons) == EncoderChoice(
        clip="none", things="none", faces="none", judge="none"
    )


def test_points_are_followed_by_opencv_or_not_at_all_or_by_what_is_there(tmp_path: Path):
    unseen = EncoderChoice(clip="none", things="none", judge="none")
    found, _ = opened(unseen)
    assert found.tracker is follow_points
    for source, reason in (("none", "say none"), (str(tmp_path / "x.pth"), "no CoTracker weights")):
        found, reasons = opened(unseen.model_copy(update={"points": source}))
        assert found.tracker is None
        assert reason in reasons["points"]


def test_auto_is_what_fits_the_base_and_the_judge_reads_the_toybox_alone():
    settings = BenchSettings()
    toybox = resolved_choice(settings, base="toybox")
    assert toybox.clip == natural_encoder("toybox", "clip")
    assert toybox.judge == "auto"
    other = resolved_choice(settings, base="wan2.1-1.3b")
    assert (other.clip, other.things) == ("openai/clip-vit-large-patch14", "facebook/dinov2-base")
    assert other.judge == "none"
