"""``setseq edit`` and ``setseq restyle``, as a user meets them."""

from pathlib import Path

import pytest

from setseq import editing
from setseq.rewriting.rewrite import rewrite
from tests.surface import error, run

EDITED = "a [v] character in the red snow. it is [u] bouncing"


def test_edit_says_every_prompt_and_writes_a_grid(base: Path, learned: Path, here: Path):
    options = ("--base", base, "--identity", "0.4", "1.0 to 0.4", "-o", "grid")
    result = run("edit", learned, "in the red snow", "blue", *options)
    assert result.exit_code == 0, result.stderr
    assert f"in the red snow: {EDITED}" in result.stdout
    assert "place: 'in the snow' -> 'in the red snow'" in result.stdout
    names = {path.name for path in (here / "grid").iterdir()}
    assert {"grid.png", "grid.mp4", "prompts.txt", "2-blue-identity-0.4.mp4"} < names
    assert len(names) == 3 + 4


@pytest.mark.parametrize(("command", "text"), [("edit", "red"), ("restyle", "pencil sketch")])
def test_a_row_is_planned_once_and_made_as_it_was_shown(
    command: str, text: str, base: Path, learned: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    planned: list[str] = []

    def counted(prompt, edit: str):
        planned.append(edit)
        return rewrite(prompt, edit)

    monkeypatch.setattr(editing, "rewrite", counted)
    result = run(command, learned, text, "--base", base, "--identity", "0.5", "-o", "grid")
    assert result.exit_code == 0, result.stderr
    assert len(planned) == 1
    assert (here / "grid" / "prompts.txt").read_text().strip() in result.stdout


def test_edits_may_follow_the_values_of_an_option(base: Path, learned: Path, here: Path):
    """``--seeds 0 1 red``: numbers are seeds, what is none is an edit."""
    result = run("edit", learned, "--seeds", "0", "1", "red", "--base", base, "-o", "grid.png")
    assert result.exit_code == 0, result.stderr
    assert "red: a [v] red character" in result.stdout
    assert [path.name for path in here.glob("grid*")] == ["grid.png"]


def test_values_may_stand_between_commas_and_be_negative(learned: Path, here: Path):
    for values in (("0.5,-0.5",), ("0.5", "-0.5")):
        result = run("edit", learned, "red", "--motion", *values, "--dry-run")
        assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("options", "message"), [(["--seeds", "a"], "whole numbers"), (["--identity", "9"], "identity")]
)
def test_a_dry_run_refuses_what_the_run_itself_would(
    learned: Path, options: list[str], message: str
):
    assert message in error(run("edit", learned, "red", *options, "--dry-run"))


def test_a_dry_run_only_says_the_prompts(learned: Path, here: Path):
    before = set(here.iterdir())
    replacement = ("--replace", "in the snow=>in the red snow")
    result = run("edit", learned, "red", *replacement, "--original", "--dry-run")
    assert result.exit_code == 0, result.stderr
    prompts = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert len(prompts) == 3
    assert prompts[0].startswith("as learned: ")
    assert prompts[2].endswith(EDITED)
    assert set(here.iterdir()) == before


def test_restyle_sweeps_the_identity(base: Path, learned: Path, here: Path):
    result = run("restyle", learned, "pencil sketch", "--base", base, "-o", "styles")
    assert result.exit_code == 0, result.stderr
    assert "in the snow, pencil sketch. it is [u] bouncing" in result.stdout
    clips = {path.stem.rpartition("-")[2] for path in (here / "styles").glob("1-*.mp4")}
    assert clips == {"1.0", "0.8", "0.6", "0.4"}


ERRORS: dict[str, tuple[list[str], str]] = {
    "no edit": ([], "there is no edit"),
    "empty edit": ([""], "the edit is empty"),
    "edit of no kind": (["weird"], "cannot tell what 'weird' changes"),
    "unknown token": (["in the [w]"], "has [w], which this concept does not know"),
    "replacement without an arrow": (["--replace", "red"], "lacks '=>'"),
    "replacement of what is not there": (["--replace", "sea=>red"], "does not have"),
    "clip that is not there": (["red", "--clip", "2"], "there is no clip 2"),
    "broken schedule": (["red", "--identity", "1.0 to"], "setting identity is '1.0 to'"),
    "strength out of range": (["red", "--motion", "0.5,9"], "setting motion is '9'"),
    "seeds that are none": (["red", "--seeds", "0,x"], "seeds are '0,x'"),
    "two things across": (["red", "--seeds", "0,1", "--motion", "0,1"], "several values"),
    "no such strength": (["red", "-o", "new", "--identity", "5"], "setting identity is '5'"),
    "output of another kind": (["red", "-o", "out.mp4"], "give a folder, or a .png"),
    "output below a file": (["red", "-o", "notes.txt/x"], "cannot be a folder"),
    "picture in no folder": (["red", "-o", "none/grid.png"], "there is no folder none"),
    "missing base": (["red", "--base", "absent"], "no base model"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_edit_cannot_use_is_one_line(case: str, base: Path, learned: Path, here: Path):
    arguments, expected = ERRORS[case]
    before = set(here.iterdir())
    assert expected in error(run("edit", learned, "--base", base, *arguments))
    assert set(here.iterdir()) == before


@pytest.mark.parametrize("command", ["edit", "restyle"])
@pytest.mark.parametrize("name", ["x.avi", "x.MKV", "x.webp"])
def test_no_folder_gets_the_name_of_a_video(command: str, name: str, learned: Path, here: Path):
    assert "give a folder, or a .png" in error(run(command, learned, "pencil sketch", "-o", name))
    assert not (here / name).exists()


def test_an_empty_style_is_one_line(learned: Path, here: Path):
    assert "the edit is empty" in error(run("restyle", learned, ""))
