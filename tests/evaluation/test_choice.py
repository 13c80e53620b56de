"""Which encoders measure a concept, and what is said of those that are not to be had."""

from pathlib import Path

import pytest

from setseq.errors import EncoderError
from setseq.evaluation import choice
from setseq.evaluation.choice import choose_encoders, natural_encoder
from setseq.evaluation.encoders import CLIP_ID, THINGS_ID
from tests.evaluation.tiny_encoders import cut_off_hub, save_tiny_clip, save_tiny_things


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off_hub(monkeypatch)


def test_what_was_asked_for_is_loaded_and_named(tmp_path: Path):
    clip, things = save_tiny_clip(tmp_path / "c"), save_tiny_things(tmp_path / "t")
    found = choose_encoders("any", clip=clip, things=things)
    assert found.encoders.clip is not None
    assert found.encoders.things is not None
    assert found.names["C-T, TC, edit margin"] == str(clip)
    assert found.names["identity, leakage"] == str(things)
    assert found.left_out == ()


def test_what_nobody_asked_for_is_left_out_with_a_line_that_says_what_to_give():
    found = choose_encoders("any")
    assert found.encoders.clip is None
    assert found.encoders.things is None
    assert len(found.left_out) == 2
    for line, model, option in zip(
        found.left_out, (CLIP_ID, THINGS_ID), ("--clip-model", "--identity-model"), strict=True
    ):
        assert f"hf download {model} --local-dir FOLDER" in line
        assert line.endswith(f"with {option})")
        assert "\n" not in line


@pytest.mark.parametrize("part", ["clip", "things", "faces", "points"])
def test_what_was_asked_for_and_is_not_there_is_an_error(part: str, tmp_path: Path):
    with pytest.raises(EncoderError, match="give"):
        choose_encoders("any", **{part: tmp_path / "absent"})  # pyright: ignore[reportArgumentType]


def test_motion_is_left_out_without_opencv(monkeypatch: pytest.MonkeyPatch):
    def absent() -> None:
        raise EncoderError("OpenCV is not installed; pip install 'setseq[metrics]'")

    monkeypatch.setattr(choice, "opencv", absent)
    found = choose_encoders("any")
    assert found.encoders.tracker is None
    assert any("pip install" in line for line in found.left_out)


def test_the_toybox_has_encoders_of_its_own_and_needs_no_settings():
    assert natural_encoder("toybox", "clip") == natural_encoder("toybox", "identity") == "toybox"
    assert natural_encoder("another", "clip") == CLIP_ID
    assert natural_encoder("another", "identity") == THINGS_ID
    found = choose_encoders("toybox")
    assert found.encoders.clip is not None
    assert found.encoders.things is not None
    assert found.left_out == ()
    assert found.names["identity, leakage"] == "toybox"
