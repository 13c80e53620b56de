import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from setseq.errors import BaseModelError, EncoderError, SettingsError
from setseq.models.registry import load_model
from setseq.sampling import draw_noise, sample
from setseq.toybox.judge import grown_judge, load_judge
from setseq.toybox.recipe import train
from setseq.toybox.settings import PretrainSettings, Recipe


def _recipe(steps: int, seed: int = 0) -> Recipe:
    return Recipe(
        shards=2,
        clips_per_shard=6,
        basis_clips=24,
        renders=8,
        decoder_steps=1,
        judge_steps=1,
        words_steps=1,
        width=64,
        layers=1,
        pretrain=PretrainSettings(steps=steps, frame_steps=1, clips=2, frames=2, seed=seed),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(_recipe(2), folder, workers=1, compile_blocks=False)
    return folder


def test_the_recipe_makes_a_base_that_generates(run: Path):
    model = load_model(str(run / "base"))
    noise = draw_noise(model.geometry.latent_shape(), [0])
    latents = sample(model, ["a red ball"], noise, num_steps=1, guidance=2.0)
    assert model.decode_video(latents).shape == (1, 3, 17, 64, 64)


def test_the_recipe_makes_a_judge_that_answers(run: Path):
    reading = load_judge(run / "judge.safetensors").read(torch.zeros(1, 3, 17, 64, 64))
    assert {"place", "left_shape", "left_motion"} <= reading[0].keys()


def test_the_same_command_goes_on_from_where_it_stopped(run: Path, tmp_path: Path):
    steps: list[tuple[str, int]] = []
    train(
        _recipe(3),
        run,
        workers=1,
        compile_blocks=False,
        on_progress=lambda part, done, total, loss: steps.append((part, done)),
    )
    assert steps == [("base", 3)]


def test_a_folder_of_another_run_is_refused(run: Path):
    with pytest.raises(SettingsError, match="another seed"):
        train(_recipe(3, seed=1), run, workers=1, compile_blocks=False)


def test_a_damaged_record_is_one_line(tmp_path: Path):
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(SettingsError, match=r"recipe\.json is damaged; choose another folder"):
        train(_recipe(1), tmp_path, workers=1, compile_blocks=False)


def test_a_damaged_base_to_go_on_from_is_refused_before_the_work(run: Path, tmp_path: Path):
    start = tmp_path / "start"
    shutil.copytree(run / "base", start)
    weights = start / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(BaseModelError, match="start: is damaged"):
        train(_recipe(1), tmp_path / "run", start=start, workers=1, compile_blocks=False)
    assert not (tmp_path / "run").exists()


def test_a_text_encoder_that_would_never_read_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="of at least 1, or a base to go on from"):
        train(replace(_recipe(1), words_steps=0), tmp_path / "run")


def test_an_unknown_device_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="'gpu'; give cpu, cuda, cuda:1, mps or auto"):
        train(_recipe(1), tmp_path / "run", device="gpu")


def test_a_judge_of_a_smaller_grammar_goes_on_with_all_that_it_knows(run: Path, tmp_path: Path):
    known = load_file(run / "judge.safetensors")
    name = "answers.0.weight"
    save_file({**known, name: known[name][:-1].clone()}, tmp_path / "judge.safetensors")
    grown = grown_judge(tmp_path / "judge.safetensors").state_dict()
    assert grown[name].shape == known[name].shape
    for other in known.keys() - {name}:
        assert torch.equal(grown[other], known[other].float())
    with pytest.raises(EncoderError, match="is no judge of the toybox"):
        load_judge(tmp_path / "judge.safetensors")


@pytest.mark.parametrize("content", [None, b"words"])
def test_what_is_no_judge_is_said_in_one_line(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "judge.safetensors").write_bytes(content)
    with pytest.raises(EncoderError, match=r"is no judge of the toybox.*leave it out"):
        load_judge(tmp_path / "judge.safetensors")
