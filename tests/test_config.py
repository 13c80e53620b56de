"""Settings are checked and frozen."""

import pytest
from pydantic import ValidationError

from setseq.config import LearnSettings
from setseq.errors import SettingsError


def test_later_layers_win_and_none_means_not_given():
    settings = LearnSettings.resolve({"rank": 3, "seed": 1}, {"rank": 4, "seed": None})
    assert (settings.rank, settings.seed) == (4, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rank": 0}, "setting rank is 0; .*greater than or equal to 1"),
        ({"rnak": 8}, "unknown setting 'rnak'; known: .*rank"),
        ({"precision": "int8"}, "setting precision is 'int8'"),
        ({"motion_dropout": 1.0}, "setting motion_dropout is 1.0; .*less than 1"),
        ({"self_conditioning": 1.5}, "self_conditioning is 1.5; give a probability from 0 to 1"),
        ({"self_conditioning": "yes"}, "setting self_conditioning is 'yes'; give a probability"),
        ({"sequence_time_std": float("inf")}, "sequence_time_std is inf; .*finite number"),
        ({"targets": "("}, r"setting targets is '\('; it is no regular expression .missing \)"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_is_allowed(given: dict, message: str):
    with pytest.raises(SettingsError, match=message) as caught:
        LearnSettings.resolve(given)
    assert "\n" not in str(caught.value)


def test_settings_cannot_be_changed():
    settings = LearnSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.rank = 2  # pyright: ignore[reportAttributeAccessIssue]
