"""``setseq learn`` and ``setseq preflight``, as a user meets them."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from setseq import api
from setseq.video.io import read_clip
from tests.surface import LOOK, MOTION, SCENE, error, learn, run


def test_a_clip_becomes_a_concept_and_the_concept_videos(base: Path, here: Path):
    result = learn(base, "-o", "concept.safetensors")
    assert result.exit_code == 0, result.stderr
    assert "5 of 5 frames used" in result.stdout
    assert "Sequence: 3 of 3 loss" in result.stdout
    assert not (here / "concept.checkpoint").exists()
    result = run("generate", "concept.safetensors", SCENE, "--base", base, "-o", "out.mp4")
    assert result.exit_code == 0, result.stderr
    assert read_clip("out.mp4").frames.shape == (5, 32, 32, 3)


def test_preflight_shows_time_memory_and_a_warning(base: Path, here: Path):
    result = run("preflight", "clip.mp4", "--base", base)
    assert result.exit_code == 0, result.stderr
    for part in ("5 frames of 32x32", "to learn", "GiB", "dB PSNR", "WARNING"):
        assert part in result.stdout


def test_preflight_takes_the_options_of_learn(base: Path, here: Path):
    options = ("--set-steps", "70", "--sequence-steps", "90", "--rank", "4", "--tokens", "learned")
    (here / "s.toml").write_text("[learn]\nset_steps = 1\n")
    result = run("preflight", "clip.mp4", "--base", base, "--config", "s.toml", *options)
    assert result.exit_code == 0, result.stderr
    assert "in no order; 70 steps" in " ".join(result.stdout.split())
    assert "90 steps" in result.stdout
    assert "rank" in error(run("preflight", "clip.mp4", "--base", base, "--rank", "0"))
    none = ("--set-steps", "0", "--sequence-steps", "0")
    assert "nothing would be learned" in error(run("preflight", "clip.mp4", "--base", base, *none))


def test_options_win_over_the_settings_file_and_that_over_the_base(base: Path, here: Path):
    (here / "s.toml").write_text("[learn]\nrank = 3\nset_steps = 1\nseed = 9\n")
    result = learn(base, "--config", "s.toml", "--set-steps", "2")
    assert result.exit_code == 0, result.stderr
    settings = api.load_concept("concept.safetensors").provenance.settings
    found = [settings[name] for name in ("rank", "set_steps", "sequence_steps", "seed")]
    assert found == [3, 2, 3, 9]


def test_a_preset_stands_between_the_base_and_the_config_file(base: Path, here: Path):
    (here / "c.toml").write_text("[learn]\nset_steps = 1\n")
    result = learn(base, "--preset", "quality", "--config", "c.toml", "--sequence-steps", "2")
    assert result.exit_code == 0, result.stderr
    settings = api.load_concept("concept.safetensors").provenance.settings
    assert [settings[name] for name in ("rank", "set_steps", "sequence_steps")] == [2, 1, 2]
    assert learn(base, "--preset", "quality").exit_code == 0
    settings = api.load_concept("concept.safetensors").provenance.settings
    assert settings["set_steps"] == 6  # twice the base's own


LEARN_ERRORS: dict[str, tuple[Callable[[Path], list[str | Path]], str]] = {
    "missing file": (lambda base: ["absent.mp4"], "no such file"),
    "not a video by name": (lambda base: ["notes.txt"], "allowed: .mp4"),
    "not a video inside": (lambda base: ["text.mp4"], "not a readable video"),
    "corrupt video": (lambda base: ["cut.mp4"], "convert it"),
    "folder without images": (lambda base: ["empty"], "empty"),
    "clip too short": (lambda base: ["short.mp4"], "too short"),
    "empty look": (lambda base: ["clip.mp4", "--look", " "], "[v]"),
    "look without [v]": (lambda base: ["clip.mp4", "--look", "a character"], "lacks [v]"),
    "motion without [u]": (lambda base: ["clip.mp4", "--motion", "it moves"], "lacks [u]"),
    "missing base": (lambda base: ["clip.mp4", "--base", "absent"], "no base model"),
    "wrong base": (lambda base: ["clip.mp4", "--base", "empty"], "model_index.json"),
    "unknown preset": (lambda base: ["clip.mp4", "--preset", "best"], "fast, paper, quality"),
    "unknown name in config": (lambda base: ["clip.mp4", "--config", "u.toml"], "'rnak'"),
    "unknown table in config": (lambda base: ["clip.mp4", "--config", "t.toml"], "[watch]"),
    "rank out of range": (lambda base: ["clip.mp4", "--rank", "0"], "rank"),
    "no steps": (
        lambda base: ["clip.mp4", "--set-steps", "0", "--sequence-steps", "0"],
        "nothing would be learned",
    ),
    "missing config": (lambda base: ["clip.mp4", "--config", "absent.toml"], "settings file"),
    "broken config": (lambda base: ["clip.mp4", "--config", "notes.txt"], "TOML"),
    "output of another kind": (lambda base: ["clip.mp4", "-o", "out.mp4"], ".safetensors"),
    "output without folder": (lambda base: ["clip.mp4", "-o", "no/out.safetensors"], "no folder"),
    "output in a file": (lambda base: ["clip.mp4", "-o", "text.mp4/o.safetensors"], "no folder"),
}


@pytest.mark.parametrize("case", LEARN_ERRORS)
def test_what_learn_cannot_use_is_one_line(case: str, base: Path, here: Path):
    (here / "u.toml").write_text("[learn]\nrnak = 1\n")
    (here / "t.toml").write_text("[lern]\nrank = 1\n")
    arguments, expected = LEARN_ERRORS[case]
    given = ["--look", LOOK, "--motion", MOTION, "--base", base]
    assert expected in error(run("learn", *given, *arguments(base)))


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    base: Path, learned: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(here.iterdir())
    monkeypatch.setattr("os.fsync", full)
    assert "No space left" in error(learn(base))
    assert "No space left" in error(run("generate", learned, SCENE, "--base", base))
    monkeypatch.setattr("setseq.commands.learn.check_output", full)
    assert "disk is full" in error(learn(base))
    left = [path for path in sorted(here.iterdir()) if path not in before]
    assert [path.name for path in left] == ["concept.run"]  # the losses of the steps that ran


SCENE_TOML = """
[[concept]]
clip = "clip.mp4"
look = "a [v1] red character in the snow"
motion = "it is [u1]"

[[concept]]
clip = "clip.mp4"
look = "a [v2] blue character in the snow"
motion = "it is [u2]"
"""


def test_a_scene_becomes_one_file_that_shows_both(base: Path, here: Path):
    (here / "scene.toml").write_text(SCENE_TOML)
    result = run("learn", "scene.toml", "--base", base, "-o", "scene.safetensors")
    assert result.exit_code == 0, result.stderr
    assert "Sequence: 4 of 4 loss" in result.stdout
    assert "a [v2] blue character in the snow" in run("inspect", "scene.safetensors").stdout
    pair = "[v1] character on the left, [v2] character on the right. it is [u1]"
    made = run("generate", "scene.safetensors", pair, "--base", base, "-o", "out.mp4")
    assert made.exit_code == 0, made.stderr
    wrong = run("generate", "scene.safetensors", "a [v3] character", "--base", base)
    assert "[v3]" in error(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--look", LOOK], "leave --look out"),
        (["--motion", MOTION], "leave --motion out"),
        (["--start", "1"], "leave --start out"),
    ],
)
def test_a_scene_refuses_what_it_says_itself(here: Path, options: list[str], message: str):
    (here / "scene.toml").write_text(SCENE_TOML)
    assert message in error(run("learn", "scene.toml", *options))


def test_a_wrong_scene_is_one_line_that_names_table_and_key(here: Path):
    (here / "scene.toml").write_text(SCENE_TOML.replace("[u2]", "[u1]"))
    assert "[[concept]] 2: key 'motion'" in error(run("learn", "scene.toml"))
    assert "no scene file" in error(run("learn", "absent.toml"))


def test_a_scene_without_steps_is_one_line(here: Path):
    (here / "scene.toml").write_text(SCENE_TOML)
    steps = ("--set-steps", "0", "--sequence-steps", "0")
    assert "nothing would be learned" in error(run("learn", "scene.toml", *steps))


def test_a_clip_without_its_prompts_is_wrong_usage(here: Path):
    assert run("learn", "clip.mp4", "--look", LOOK).exit_code == 2
