"""``setseq import`` and ``setseq learn --from``, as a user meets them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from setseq import api
from tests.surface import LOOK, MOTION, SCENE, error, learn, run


@pytest.fixture
def lora(learned: Path, here: Path) -> Path:
    """A plain LoRA of the tiny base: the look of a concept."""
    assert run("export", learned, "-o", "lora.safetensors", "--motion", "0").exit_code == 0
    return here / "lora.safetensors"


def test_a_lora_becomes_a_concept_gets_movement_and_is_generated(base: Path, lora: Path):
    made = run("import", lora, "--base", base, "--trigger", "sks", "-o", "look.safetensors")
    assert made.exit_code == 0, made.stderr
    for part in ("rank 2, 20 layers (a concept of this base has 20)", "[v] = sks", "--from look"):
        assert part in made.stdout
    result = learn(base, "--from", "look.safetensors", "-o", "both.safetensors")
    assert result.exit_code == 0, result.stderr
    assert "Sequence: 3 of 3 loss" in result.stdout
    assert "Set:" not in result.stdout
    look, both = (api.load_concept(f"{name}.safetensors") for name in ("look", "both"))
    for part in ("basis", "identity"):
        before, after = getattr(look, part), getattr(both, part)
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(value.any() for value in both.motion.values())
    shown = run("inspect", "both.safetensors").stdout
    assert "look kept from" in shown
    assert "lora.safetensors (sha256 " in shown
    assert "0 of Set, 3 of Sequence" in shown
    made = run("generate", "both.safetensors", SCENE, "--base", base, "-o", "out.mp4")
    assert made.exit_code == 0, made.stderr


def test_an_import_alone_can_be_looked_into_and_generated(base: Path, lora: Path):
    prompts = ("--look", LOOK, "--motion", MOTION)
    assert run("import", lora, "--base", base, *prompts, "-o", "look.safetensors").exit_code == 0
    assert run("edit", "look.safetensors", "in the desert", "--dry-run").exit_code == 0
    shown = run("inspect", "look.safetensors").stdout
    assert "none: imported" in shown
    assert "a [v] character in the snow" in shown
    made = run("generate", "look.safetensors", SCENE, "--base", base, "-o", "out.mp4")
    assert made.exit_code == 0, made.stderr


def test_an_import_without_a_prompt_says_so_when_it_is_to_be_edited(base: Path, lora: Path):
    run("import", lora, "--base", base, "-o", "look.safetensors")
    refused = error(run("edit", "look.safetensors", "at night", "--base", base))
    assert "import it with --look and --motion" in refused


def test_a_lora_of_a_part_of_the_layers_says_how_many(base: Path, lora: Path):
    part = {name: value for name, value in load_file(lora).items() if ".ffn." in name}
    save_file(part, lora)
    made = run("import", lora, "--base", base, "-o", "look.safetensors")
    assert "4 layers (a concept of this base has 20)" in made.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.safetensors"], "no LoRA file at absent.safetensors"),
        (["lora.pt"], "it is a pickle"),
        (["other.safetensors"], "none of 'tiny' (wan): it was made for another model"),
        (["lora.safetensors", "lora.safetensors"], "'tiny' has 1 network"),
        (["lora.safetensors", "--look", LOOK], "both, or neither"),
        (["lora.safetensors", "--look", "a dog", "--motion", MOTION], "lacks [v]"),
        (["lora.safetensors", "--trigger", "dax"], "tokens need different words"),
        (["lora.safetensors", "-o", "lora.safetensors"], "is the LoRA itself"),
        (["lora.safetensors", "-o", "out.mp4"], ".safetensors"),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    base: Path, lora: Path, here: Path, arguments: list[str], message: str
):
    torch.save({"a": torch.ones(1)}, here / "lora.pt")
    down, up = torch.ones(1, 4), torch.ones(4, 1)
    name = "diffusion_model.double_blocks.0.img_attn_proj"
    tensors = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    save_file(tensors, here / "other.safetensors")
    assert message in error(run("import", *arguments, "--base", base))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set-steps", "3"], "setting set_steps is 3"),
        (["--sequence-steps", "0"], "sequence_steps is 0"),
        (["--rank", "5"], "setting rank is 5, and the concept to start from has 2"),
        (["--from", "absent.safetensors"], "no concept file at absent.safetensors"),
        (["--from", "lora.safetensors"], "`setseq import` makes one"),
        (["-o", "look.safetensors"], "is the concept to start from"),
    ],
)
def test_what_learn_cannot_start_from_is_one_line(
    base: Path, lora: Path, options: list[str], message: str
):
    run("import", lora, "--base", base, "-o", "look.safetensors")
    assert message in error(learn(base, "--from", "look.safetensors", *options))


def test_what_the_start_decides_wins_over_a_preset(base: Path, lora: Path, here: Path):
    run("import", lora, "--base", base, "-o", "look.safetensors")
    (here / "c.toml").write_text('[learn]\nprior = "none"\nsequence_steps = 1\n')
    start = ("--from", "look.safetensors", "--preset", "paper", "--config", "c.toml")
    result = learn(base, *start, "--no-report", "-o", "both.safetensors")
    assert result.exit_code == 0, result.stderr
    settings = api.load_concept("both.safetensors").provenance.settings
    kept = {name: settings[name] for name in ("rank", "set_steps", "token_mode")}
    assert kept == {"rank": 2, "set_steps": 0, "token_mode": "literal"}
    assert settings["motion_dropout"] == 0.5  # the rest is the preset's


def test_a_scene_does_not_start_from_a_concept(here: Path):
    (here / "scene.toml").write_text("")
    assert "--from is for one clip" in error(run("learn", "scene.toml", "--from", "a.safetensors"))
