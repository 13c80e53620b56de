import dataclasses

import pytest
import torch

from setseq.toybox.judge import Judge, load_judge
from setseq.toybox.likeness import identity_likeness, motion_likeness
from setseq.toybox.shipped import asset
from setseq.toybox.unseen import UNSEEN, draw_unseen

NAMES = ("dancer", "octopus", "robot")


def _clip(name: str, place: str | None = None, light: str | None = None) -> torch.Tensor:
    return draw_unseen(name, place=place, light=light).movedim(1, 0)[None] * 2 - 1


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge(asset("judge.safetensors"))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_creature_elsewhere_is_more_alike_than_another_one_there(name: str, judge: Judge):
    clip, concept = _clip(name), UNSEEN[name]
    elsewhere = _clip(name, place="snowfield")
    another = _clip("crab", place=concept.place, light=concept.light)
    likeness = identity_likeness(judge, clip, torch.cat([elsewhere, another]))
    assert likeness[0] > likeness[1] + 0.2


@pytest.mark.parametrize("name", NAMES)
def test_the_same_movement_elsewhere_is_more_alike_than_another_one_there(name: str):
    clip, concept = _clip(name), UNSEEN[name]
    elsewhere = _clip(name, place="snowfield")
    another = _clip("bird", place=concept.place, light=concept.light)
    likeness = motion_likeness(clip, torch.cat([elsewhere, another]))
    assert likeness[0] > likeness[1] + 0.3


def test_a_still_picture_has_no_motion():
    clip = _clip("dancer")
    assert motion_likeness(clip, clip[:, :, :1].expand_as(clip)).abs().max() < 1e-6


def test_a_shuffled_clip_loses_its_motion():
    clip = _clip("dancer")
    order = torch.randperm(clip.shape[2], generator=torch.Generator().manual_seed(0))
    assert motion_likeness(clip, clip[:, :, order]) < 0.5


def test_a_clip_is_like_itself(judge: Judge):
    clip = _clip("robot")
    assert identity_likeness(judge, clip, clip) > 0.999
    assert motion_likeness(clip, clip) > 0.999


def test_an_empty_scene_is_less_alike_than_the_creature(judge: Judge, monkeypatch):
    concept = dataclasses.replace(UNSEEN["dancer"], paint=lambda canvas, t: None)
    monkeypatch.setitem(UNSEEN, "nobody", concept)
    empty = _clip("nobody")
    assert identity_likeness(judge, _clip("dancer"), empty) < 0.6
