"""Settings survive a TOML file, which says what each of them is."""

from pathlib import Path

import pytest

from setseq.config import GenerateSettings, HardwareSettings, LearnSettings, WatchSettings
from setseq.errors import SettingsError
from setseq.settings_file import read_toml, to_markdown, to_toml


def test_toml_gives_the_settings_back(tmp_path: Path):
    learn = LearnSettings(
        rank=3, words={"v": "s k\n's", "u": '"'}, targets=r"blocks\.\d+", seed=2**62
    )
    generate = GenerateSettings(guidance=2.5, num_frames=9)
    hardware = HardwareSettings(device="cuda:1", weights="bf16", gradient_checkpointing=True)
    path = tmp_path / "settings.toml"
    path.write_text(to_toml([learn, generate, WatchSettings(), hardware], title="Two\nlines"))
    tables = read_toml(path)
    assert LearnSettings.resolve(tables["learn"]) == learn
    assert GenerateSettings.resolve(tables["generate"]) == generate
    assert WatchSettings.resolve(tables["watch"]) == WatchSettings()
    assert HardwareSettings.resolve(tables["hardware"]) == hardware


def test_toml_says_what_a_setting_is_and_what_it_may_be():
    text = to_toml([LearnSettings(), GenerateSettings()])
    assert "# columns of the basis [1 to 256]\nrank = 8\n" in text
    assert '["literal", "learned"]' in text
    assert "# num_frames =\n" in text  # None is only mentioned
    assert max(len(line) for line in text.splitlines()) <= 100


def test_a_markdown_cell_is_empty_where_nothing_changes():
    columns = {
        "base": LearnSettings(rank=3),
        "a": LearnSettings(rank=3),
        "b": LearnSettings(rank=8),
    }
    [row] = [row for row in to_markdown(LearnSettings, columns).splitlines() if "`rank`" in row]
    assert row.startswith("| `rank` | `8` | `3` |  | `8` |")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rank = ", "TOML"),
        ("[lern]\nrank = 8", "'lern'"),
        ("rank = 8", "'rank'"),
        ("[learn]\nrnak = 8", "unknown setting 'rnak'"),
        ("[learn]\nrank = 0", "rank is 0"),
        ("[hardware]\ndevice = 'gpu'", "device is 'gpu'; give cpu, cuda"),
        ("[generate]\nguidance = 'much'", "guidance is 'much'"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_toml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="no settings file"):
        read_toml(tmp_path / "missing.toml")
