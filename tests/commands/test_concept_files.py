"""Concept files on the command line: looked into, exported, refused."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.surface import SCENE, error, learn, run


def test_inspect_shows_the_prompts(learned: Path):
    result = run("inspect", learned)
    assert result.exit_code == 0
    assert "a [v] character in the snow" in result.stdout


@pytest.mark.parametrize("program", ["both", "diffusers", "comfyui", "kohya"])
def test_export_writes_a_plain_lora(learned: Path, here: Path, program: str):
    result = run("export", learned, "-o", "lora.safetensors", "--for", program)
    assert result.exit_code == 0
    prefix = "lora_unet_blocks_" if program == "kohya" else "diffusion_model.blocks."
    assert all(key.startswith(prefix) for key in load_file(here / "lora.safetensors"))


def test_export_says_what_becomes_of_learned_tokens_before_it_writes(base: Path, here: Path):
    learn(base, "--tokens", "learned", "-o", "concept.safetensors")
    export = ("export", "concept.safetensors", "-o", "lora.safetensors", "--for", "comfyui")
    refused = error(run(*export))
    assert "only literal tokens carry over" in refused
    assert "--tokens file" in refused
    assert not (here / "lora.safetensors").exists()
    result = run(*export, "--tokens", "drop")
    assert result.exit_code == 0
    assert sorted(path.name for path in here.glob("lora*")) == ["lora.safetensors"]
    result = run(*export, "--tokens", "file")
    assert "load_textual_inversion, which its video pipelines do not have" in result.stdout
    assert sorted(path.name for path in here.glob("lora*")) == [
        "lora.safetensors",
        "lora.token-u1.safetensors",
        "lora.token-v1.safetensors",
    ]


@pytest.mark.parametrize("command", ["generate", "inspect", "export"])
def test_a_bad_concept_file_is_one_line(command: str, learned: Path, here: Path):
    content = learned.read_bytes()
    (here / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (here / "text.safetensors").write_text("this is no concept")
    run("export", learned, "-o", "lora.safetensors")
    prompt = [SCENE] if command == "generate" else []
    for name in ("absent", "cut", "text", "lora"):
        assert f"{name}.safetensors" in error(run(command, f"{name}.safetensors", *prompt))


def test_export_refuses_a_schedule_and_a_broken_one(learned: Path, here: Path):
    for strength, message in (("1.0 to 0.4", "not a schedule"), ("1.0 to", "write a number")):
        assert message in error(run("export", learned, "--identity", strength))
    assert run("export", learned, "--identity", "0.7 to 0.7").exit_code == 0


def test_export_does_not_replace_the_concept_itself(learned: Path):
    before = learned.read_bytes()
    assert "itself" in error(run("export", learned, "-o", learned))
    assert learned.read_bytes() == before


def test_combined_concepts_are_numbered_anew_and_it_is_said_where_they_share_a_word(
    learned: Path, base: Path, here: Path
):
    result = run("combine", learned, learned, "-o", "both.safetensors")
    assert result.exit_code == 0
    assert "[v2] = zor" in result.stdout + result.stderr
    shared = "stand for the same word ([v1] and [v2] for 'zor', [u1] and [u2] for 'dax')"
    assert f"WARNING: tokens {shared}" in result.stdout
    assert "words = { v = 'mip', u = 'wug' } in its table [learn]" in result.stdout
    inspected = " ".join(run("inspect", "both.safetensors").stdout.split())
    assert "a [v2] character in the snow" in inspected
    assert "tokens stand for the same word" in inspected
    prompt = "a [v1] character on the left and a [v2] character on the right"
    made = run("generate", "both.safetensors", prompt, "--base", base, "-o", "both.mp4")
    assert made.exit_code == 0
    assert shared in made.stdout
    assert (here / "both.mp4").exists()


def test_what_the_warning_of_shared_words_says_to_do_makes_it_go(
    learned: Path, base: Path, here: Path
):
    (here / "own.toml").write_text("[learn]\nwords = { v = 'mip', u = 'wug' }\n")
    assert learn(base, "--config", "own.toml", "-o", "own.safetensors").exit_code == 0
    result = run("combine", learned, "own.safetensors", "-o", "both.safetensors")
    assert "[v2] = mip" in result.stdout
    assert "same word" not in result.stdout
    for name in ("a", "b"):
        made = learn(base, "--tokens", "learned", "-o", f"{name}.safetensors")
        assert made.exit_code == 0
    result = run("combine", "a.safetensors", "b.safetensors", "-o", "both.safetensors")
    assert "[u2] = [u2]" in result.stdout
    assert "same word" not in result.stdout


def test_combining_refuses_what_cannot_be_combined_in_one_line(learned: Path, here: Path):
    assert "two or more" in error(run("combine", learned))
    assert "itself" in error(run("combine", learned, learned, "-o", learned))
    assert "1 weights" in error(run("combine", learned, learned, "--weight", "0.7"))
    assert "absent.safetensors" in error(run("combine", learned, "absent.safetensors"))
