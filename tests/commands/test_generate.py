"""``setseq generate``, as a user meets it."""

from pathlib import Path

import pytest

from setseq.video.io import read_clip
from tests.surface import LOOK, SCENE, error, make_base, run
from tests.tiny import save_tiny_pipeline


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_several_prompts_make_numbered_videos(base: Path, learned: Path, here: Path, suffix: str):
    (here / "more.txt").write_text(f"{SCENE}\n\n{LOOK}\n")
    options = ("--prompts", "more.txt", "--base", base, "-o", f"out{suffix}", "--scale", 2)
    result = run("generate", learned, SCENE, *map(str, options))
    assert result.exit_code == 0, result.stderr
    for number in (1, 2, 3):
        assert read_clip(f"out-{number}{suffix}").frames.shape == (5, 64, 64, 3)


def test_several_prompts_make_one_contact_sheet(base: Path, learned: Path, here: Path):
    result = run("generate", learned, SCENE, LOOK, "--base", base, "-o", "sheet.png")
    assert result.exit_code == 0, result.stderr
    assert (here / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_strengths_change_the_video(base: Path, learned: Path, here: Path):
    for name, strength in (("full", "1"), ("none", "0")):
        run("generate", learned, SCENE, "--identity", strength, "--base", base, "-o", f"{name}.gif")
    assert (here / "full.gif").read_bytes() != (here / "none.gif").read_bytes()


def test_a_schedule_makes_a_video_of_its_own(base: Path, learned: Path, here: Path):
    for name, strength in (("low", "0.4"), ("high", "1"), ("both", "1.0 to 0.4 over frames")):
        options = ("--identity", strength, "--base", base, "-o", f"{name}.gif")
        assert run("generate", learned, SCENE, *options).exit_code == 0
    assert len({(here / f"{name}.gif").read_bytes() for name in ("low", "high", "both")}) == 3


def test_generate_takes_the_settings_file_and_options_win_over_it(
    base: Path, learned: Path, here: Path
):
    (here / "s.toml").write_text("[generate]\nidentity = 0.0\nseed = 4\nnum_steps = 1\n")

    def video(*options: str) -> bytes:
        result = run("generate", learned, SCENE, "--base", base, "-o", "out.gif", *options)
        assert result.exit_code == 0, result.stderr
        return (here / "out.gif").read_bytes()

    file = ("--config", "s.toml")
    assert video(*file) == video("--identity", "0", "--seed", "4", "--steps", "1") != video()
    all_three = ("--identity", "1", "--seed", "0", "--steps", "2")
    assert video(*file, *all_three) == video()


GENERATE_ERRORS: dict[str, tuple[list[str], str]] = {
    "empty prompt": ([""], "the prompt is empty"),
    "prompt without token": (["a red character"], "no concept token"),
    "unknown token": (["a [w] character"], "[w]"),
    "missing prompts file": (["--prompts", "absent.txt"], "absent.txt"),
    "empty prompts file": (["--prompts", "empty.txt"], "no prompt"),
    "prompts file of bytes": (["--prompts", "binary.txt"], "UTF-8"),
    "guidance out of range": ([SCENE, "--guidance", "0.5"], "guidance"),
    "broken schedule": ([SCENE, "--identity", "1.0 to"], "setting identity is '1.0 to'; write"),
    "strength out of range": ([SCENE, "--motion", "5"], "-4 to 4"),
    "unknown setting": ([SCENE, "--config", "s.toml"], "unknown setting 'colour'"),
    "impossible length": ([SCENE, "--num-frames", "4"], "4 frames"),
    "too long": ([SCENE, "--num-frames", "4101"], "4101 frames cannot be"),
    "scale out of range": ([SCENE, "--scale", "100000"], "scale is 100000; allowed for"),
    "output of another kind": ([SCENE, "-o", "out.avi"], ".mp4 or .webm"),
    "output that is a folder": ([SCENE, "-o", "empty.mp4"], "is a folder"),
    "missing base": ([SCENE, "--base", "absent"], "no base model"),
}


@pytest.mark.parametrize("case", GENERATE_ERRORS)
def test_what_generate_cannot_use_is_one_line(case: str, base: Path, learned: Path, here: Path):
    (here / "empty.mp4").mkdir()
    (here / "s.toml").write_text("[generate]\ncolour = 1\n")
    arguments, expected = GENERATE_ERRORS[case]
    assert expected in error(run("generate", learned, "--base", base, *arguments))


def test_the_wrong_base_is_one_line(learned: Path, here: Path):
    other = make_base(save_tiny_pipeline(here / "other", seed=1), here / "tiny")
    assert "with weights" in error(run("generate", learned, SCENE, "--base", other))
    assert "--base" in error(run("generate", learned, SCENE))
