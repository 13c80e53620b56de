"""``setseq learn`` with a mask and with a prior, as a user meets them."""

from pathlib import Path

import numpy as np
import pytest

from setseq import api
from setseq.video.io import write_video
from tests.surface import error, learn, run


def _mask(path: Path, value: int, *, num_frames: int = 5, width: int = 32) -> Path:
    frames = np.zeros((num_frames, 32, width, 3), np.uint8)
    frames[:, 8:24, 8:24] = value
    return write_video(path, frames, fps=8)


def test_a_mask_changes_what_is_learned(base: Path, here: Path):
    _mask(here / "mask.mp4", 255)
    assert learn(base, "--no-report", "-o", "plain.safetensors").exit_code == 0
    result = learn(base, "--no-report", "--mask", "mask.mp4")
    assert result.exit_code == 0, result.stderr
    assert "clip.mp4: 25% of the picture is learned, by its mask" in result.stdout
    plain, own = (api.load_concept(f"{name}.safetensors") for name in ("plain", "concept"))
    assert any((plain.identity[name] != own.identity[name]).any() for name in own.identity)


def test_a_mask_that_does_not_fit_its_clip_is_one_line(base: Path, here: Path):
    _mask(here / "long.mp4", 255, num_frames=7)
    _mask(here / "black.mp4", 0)
    _mask(here / "wide.mp4", 255, width=48)
    for name, expected in (
        ("long.mp4", "has 7 frames, its clip clip.mp4 has 5"),
        ("black.mp4", "has nothing white"),
        ("wide.mp4", "is 48x32, its clip clip.mp4 is 32x32"),
        ("short.mp4", "short.mp4"),
        ("clip.mp4", "of it is coloured"),
        ("absent.mp4", "no such file"),
    ):
        assert expected in error(learn(base, "--mask", name))


def test_a_prior_is_shown_while_it_is_made_and_its_wrong_prompts_are_one_line(
    base: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SETSEQ_CACHE", str(here / "cache"))
    table = "[learn]\nprior = 'videos'\nprior_count = 2\nprior_prompts = '{}'\n"
    (here / "p.toml").write_text(table.format("animals"))
    result = learn(base, "--no-report", "--config", "p.toml")
    assert result.exit_code == 0, result.stderr
    assert "Prior: 2 of 2" in result.stdout
    assert len(list((here / "cache" / "prior").iterdir())) == 1
    assert run("preflight", "clip.mp4", "--base", base, "--config", "p.toml").exit_code == 0
    (here / "p.toml").write_text(table.format("notes.txt"))
    losses = (here / "concept.run/losses.jsonl").read_text()
    assert "has not two parts" in error(learn(base, "--config", "p.toml"))
    assert (here / "concept.run/losses.jsonl").read_text() == losses  # of the learning before
    (here / "p.toml").write_text(table.format("animals"))
    monkeypatch.setenv("SETSEQ_CACHE", str(here / "notes.txt"))
    assert "cannot be a folder of results" in error(learn(base, "--config", "p.toml"))


def test_the_example_with_the_prior_learns_words_and_shows_them(base: Path, here: Path):
    example = Path(__file__).parents[2] / "examples" / "prior.toml"
    few = ("--set-steps", "2", "--sequence-steps", "2")
    result = learn(base, "--no-report", "--config", example, *few)
    assert result.exit_code == 0, result.stderr
    concept = api.load_concept("concept.safetensors")
    assert sorted(concept.tokens) == ["[u1]", "[v1]"]
    assert concept.provenance.settings["sequence_rate"] == 2.0
    prompt = "a [v] character in a meadow. it is [u] bouncing"
    shown = ("generate", "concept.safetensors", prompt, "--base", base)
    assert run(*shown, "-o", "own.mp4").exit_code == 0
    for rows in concept.tokens.values():
        rows.zero_()
    api.save_concept(concept, "concept.safetensors")
    assert run(*shown, "-o", "other.mp4").exit_code == 0
    assert (here / "own.mp4").read_bytes() != (here / "other.mp4").read_bytes()
