"""What is proposed for a card fits it, by the predictions, and nothing faster does."""

from typing import Any

import pytest

from setseq import proposal
from setseq.config import HardwareSettings, LearnSettings
from setseq.footprint import Footprint
from setseq.proposal import Ladder
from setseq.settings_file import read_toml
from tests.surface import run

GB = 10**9
TEXT, WHOLE, TILES = 11 * GB, 6 * GB, 1 * GB
WEIGHTS = {"fp32": 56, "bf16": 28, "int8": 14, "nf4": 8}


@pytest.fixture
def ladder(monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """Predictions by plain sums, so that what is proposed can be told by hand."""

    def encoding_bytes(base: Any, settings: Any, hardware: HardwareSettings, size: Any) -> int:
        picture = TILES if hardware.tiled_autoencoder else WHOLE
        return picture + (0 if hardware.text_on_cpu else TEXT)

    def predict(base: Any, settings: Any, hardware: HardwareSettings, **more: Any) -> Footprint:
        rest = (0 if hardware.offload else WEIGHTS[hardware.weights]) * GB
        step = rest + (5 if hardware.gradient_checkpointing else 50) * GB
        return Footprint(
            encoding=more["encoding"], set=step, sequence=step, at_rest=rest, size=(81, 480, 832)
        )

    monkeypatch.setattr(proposal, "predict", predict)
    monkeypatch.setattr(proposal, "encoding_bytes", encoding_bytes)
    return Ladder("wan2.1-14b", LearnSettings())


@pytest.mark.parametrize(
    ("memory_gb", "expected"),
    [
        (100, {"weights": "bf16"}),
        (48, {"weights": "bf16", "gradient_checkpointing": True}),
        (24, {"weights": "int8", "gradient_checkpointing": True}),
        (16, {"weights": "nf4", "gradient_checkpointing": True, "tiled_autoencoder": True}),
        (
            12,
            {
                "weights": "bf16",
                "gradient_checkpointing": True,
                "offload": True,
                "text_on_cpu": True,
            },
        ),
    ],
)
def test_the_fastest_way_that_fits_is_proposed_with_no_more_than_it_needs(
    ladder: Ladder, memory_gb: float, expected: dict[str, Any]
):
    option = ladder.proposed(memory_gb)
    assert option is not None
    assert option.hardware == expected
    assert option.footprint.on_card <= memory_gb * GB


def test_nothing_is_proposed_for_a_card_that_nothing_fits(ladder: Ladder):
    assert ladder.proposed(5) is None
    assert not any(option.fits for option in ladder.options(5))


def test_the_smallest_card_is_one_that_something_fits_and_none_below_it_is(ladder: Ladder):
    least = ladder.least() / GB
    assert ladder.proposed(least) is not None
    assert ladder.proposed(least - 0.01) is None


def test_the_proposed_line_is_that_of_a_settings_file(ladder: Ladder, tmp_path):
    option = ladder.proposed(12)
    assert option is not None
    path = tmp_path / "card.toml"
    path.write_text(option.line)
    assert read_toml(path)["hardware"] == option.hardware


def test_preflight_predicts_for_a_short_name_that_is_not_here_and_loads_nothing():
    result = run("preflight", "--memory-gb", "24", "--base", "ltx-2b")
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "for 121 frames of 704x480" in text
    assert 'fits 24 GB, for --config: hardware = { weights = "bf16"' in text


def test_preflight_says_in_one_line_that_it_cannot_tell():
    result = run("preflight", "--memory-gb", "24", "--base", "nobody/nothing")
    assert result.exit_code == 1
    assert "is not on this computer; download it with" in " ".join(result.output.split())


def test_preflight_without_a_clip_wants_a_card():
    result = run("preflight", "--base", "ltx-2b")
    assert result.exit_code == 2
    assert "--memory-gb" in result.output


def test_preflight_predicts_for_the_toybox_which_has_a_projection_of_its_own():
    result = run("preflight", "--memory-gb", "24")
    assert result.exit_code == 0, result.output
    assert "for 17 frames of 64x64" in " ".join(result.stdout.split())


def test_a_clip_is_not_silently_left_unread_where_a_card_is_predicted():
    result = run("preflight", "absent.mp4", "--memory-gb", "24")
    assert result.exit_code == 2
    assert "leave CLIP out" in " ".join(result.output.split())
