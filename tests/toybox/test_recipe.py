from pathlib import Path

import pytest
import torch

from setseq.errors import SettingsError
from setseq.models.registry import load_model
from setseq.sampling import draw_noise, sample
from setseq.toybox.judge import load_judge
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
