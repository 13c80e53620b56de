"""``setseq settings``, and the page that it prints for the documentation."""

from pathlib import Path

from setseq.config import TABLES
from setseq.settings_file import read_toml
from tests.surface import error, run

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_what_settings_prints_is_read_back_and_prints_the_same(base: Path, here: Path):
    printed = run("settings", "--base", base, "--preset", "fast").stdout
    (here / "all.toml").write_text(printed)
    tables = read_toml(here / "all.toml")
    for name, kind in TABLES.items():
        known = {
            field for field in kind.model_fields if kind.resolve({}).model_dump()[field] is not None
        }
        assert tables[name].keys() == known
    assert tables["learn"]["set_steps"] == 2  # half of the base's own 3, rounded
    again = run("settings", "--base", base, "--preset", "fast", "--config", "all.toml")
    assert again.stdout == printed


def test_every_setting_says_what_it_is():
    for kind in TABLES.values():
        for name, field in kind.model_fields.items():
            assert field.description, name


def test_settings_of_a_folder_that_is_no_base_is_one_line(here: Path):
    message = error(run("settings", "--base", "empty"))
    assert "model_index.json is missing" in message
    assert "hf download" in message


def test_the_settings_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == run("settings", "--markdown").stdout, (
        "run `setseq settings --markdown > docs/settings.md`"
    )
