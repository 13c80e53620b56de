"""The whole method on the real toybox: minutes, not seconds."""

import pytest

from setseq.config import LearnSettings
from setseq.models.registry import load_model
from setseq.toybox.concepts import Reading, learn_unseen, read_states
from setseq.toybox.judge import load_judge
from setseq.toybox.shipped import asset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def states() -> dict[str, Reading]:
    model = load_model("toybox")
    concept = learn_unseen(model, "dancer", LearnSettings.resolve(model.defaults.learn))
    judge = load_judge(asset("judge.safetensors"))
    return {r.state: r for r in read_states(model, judge, concept, "dancer", 3)}


def test_stage_1_raises_identity(states: dict[str, Reading]):
    assert states["after Set"].identity > states["before"].identity + 0.1


def test_stage_2_raises_motion(states: dict[str, Reading]):
    assert states["after Sequence"].motion > states["after Set"].motion + 0.1


def test_stage_2_keeps_identity(states: dict[str, Reading]):
    assert states["after Sequence"].identity > states["after Set"].identity - 0.05


def test_the_result_is_nearer_to_the_clip_than_either_stage_before(states: dict[str, Reading]):
    assert states["after Sequence"].mse < states["after Set"].mse
    assert states["after Sequence"].mse < states["before"].mse
