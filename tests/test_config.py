"""Settings are checked, frozen, and survive a TOML file."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from setseq.config import GenerateSettings, LearnSettings, read_toml, to_toml
from setseq.errors import SettingsError


def test_toml_gives_the_settings_back(tmp_path: Path):
    learn = LearnSettings(rank=3, words={"v": "sks"})
    generate = GenerateSettings(guidance=2.5)
    path = tmp_path / "settings.toml"
    path.write_text(to_toml(learn=learn, generate=generate))
    tables = read_toml(path)
    assert LearnSettings.resolve(tables["learn"]) == learn
    assert GenerateSettings.resolve(tables["generate"]) == generate


def test_later_layers_win_and_none_means_not_given():
    settings = LearnSettings.resolve({"rank": 3, "seed": 1}, {"rank": 4, "seed": None})
    assert (settings.rank, settings.seed) == (4, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rank": 0}, "setting rank is 0; .*greater than or equal to 1"),
        ({"rnak": 8}, "unknown setting 'rnak'; known: .*rank"),
        ({"precision": "int8"}, "setting precision is 'int8'"),
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


@pytest.mark.parametrize("text", ["rank = ", "[lern]\nrank = 8", "rank = 8"])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        read_toml(path)
    with pytest.raises(SettingsError, match="no settings file"):
        read_toml(tmp_path / "missing.toml")
