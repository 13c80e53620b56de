"""The velocity of CogVideoX on our straight path, against an oracle."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from setseq.errors import SettingsError
from setseq.flow import noised
from setseq.models.registry import load_model
from tests.models import tiny_cogvideox


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cogvideox.FAMILY.save(tmp_path_factory.mktemp("cogvideox") / "base")


class Oracle:
    """A network that knows data and noise, and predicts CogVideoX's v at the step it is given."""

    config = SimpleNamespace(use_rotary_positional_embeddings=False)

    def __init__(self, data: torch.Tensor, noise: torch.Tensor, alphas: torch.Tensor):
        self.data, self.noise, self.alphas = data, noise, alphas
        self.seen: list[torch.Tensor] = []

    def __call__(self, hidden_states: torch.Tensor, timestep: torch.Tensor, **_: Any):
        alpha = self.alphas[timestep.long()].view(-1, 1, 1, 1, 1)
        expected = alpha.sqrt() * self.data + (1 - alpha).sqrt() * self.noise
        torch.testing.assert_close(hidden_states.transpose(1, 2), expected, atol=1e-4, rtol=0)
        self.seen.append(timestep)
        return ((alpha.sqrt() * self.noise - (1 - alpha).sqrt() * self.data).transpose(1, 2),)


def test_an_oracle_gives_the_straight_velocity_at_every_step(folder: Path):
    model: Any = load_model(folder)
    generator = torch.Generator().manual_seed(0)
    data, noise = torch.randn(2, 5, 4, 2, 4, 4, generator=generator)
    steps = torch.tensor([0, 250, 499, 731, 999])
    time = model._table[steps].float()
    oracle = Oracle(data, noise, model._scheduler.alphas_cumprod.float())
    model.denoiser = oracle
    text = model.encode_prompts(["a red character"])
    velocity = model.velocity(noised(data, noise, time), time, text)
    torch.testing.assert_close(velocity, noise - data, atol=1e-4, rtol=1e-4)
    assert torch.equal(oracle.seen[0], steps.float())


def test_between_the_steps_the_networks_time_lies_between_them(folder: Path):
    model: Any = load_model(folder)
    between = ((model._table[100] + model._table[101]) / 2).float()
    (step,) = model._step(between.view(1))
    assert 100.4 < step < 100.6
    ends = model._step(torch.tensor([0.0, 1.0]))
    assert ends.tolist() == [0, 999]


def test_the_sampling_times_start_at_noise_and_the_shift_is_the_trainings_own(folder: Path):
    model: Any = load_model(folder)
    sigmas = model.sigmas(5)
    assert sigmas[0] == 1
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()
    middle = model.timestep_shift / (1 + model.timestep_shift)
    assert middle == pytest.approx(model._table[500].item())


def test_version_15_refuses_a_picture_beyond_its_table_of_positions(tmp_path: Path):
    """Its tiny table holds 2 x 2 tokens of 16 pixels; the other version stretches its own."""
    model = load_model(tiny_cogvideox.FAMILY_15.save(tmp_path / "base"))
    assert model.geometry.latent_shape(9, 32, 32) == (4, 4, 4, 4)
    for height, width, said in ((48, 32, "height"), (32, 48, "width")):
        with pytest.raises(SettingsError, match=f"a {said} of 48 pixels cannot be: .* for 32"):
            model.geometry.latent_shape(9, height, width)


def test_the_first_version_makes_pictures_of_any_size(folder: Path):
    model = load_model(folder)
    latents = torch.zeros(1, *model.geometry.latent_shape(9, 48, 80))
    prompt = model.encode_prompts(["a red character"])
    assert model.velocity(latents, torch.tensor([0.5]), prompt).shape == latents.shape
