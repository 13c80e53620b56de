"""The estimate reaches the network by a projection that stands beside it."""

import shutil
from pathlib import Path

import pytest
import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from safetensors.torch import save_file

from setseq.errors import BaseModelError
from setseq.models.frozen import FrozenModel
from setseq.models.registry import load_model
from setseq.models.self_conditioning import FILE, save_projection

LATENTS = torch.randn(2, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
ESTIMATE = torch.randn(2, 4, 2, 4, 4, generator=torch.Generator().manual_seed(1))
TIME = torch.tensor([0.3, 0.8])


@pytest.fixture
def conditioned(tiny_folder: Path, tmp_path: Path) -> Path:
    """A tiny base folder with a random projection, as one that was trained with it has."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "base"))
    generator = torch.Generator().manual_seed(2)
    save_projection(torch.randn(24, 4, 1, 2, 2, generator=generator), folder)
    return folder


@torch.no_grad()
def _velocity(model, estimate: torch.Tensor | None) -> torch.Tensor:
    return model.velocity(LATENTS, TIME, model.encode_prompts(["a red character"]), estimate)


def test_a_trained_projection_is_read_and_no_estimate_equals_zeros(conditioned, tiny_model):
    model = load_model(conditioned)
    assert model.self_conditioned
    assert isinstance(model, FrozenModel)
    assert "transformer" not in model.components._loaded
    plain = _velocity(tiny_model, None)
    assert torch.equal(_velocity(model, None), plain)
    assert torch.equal(_velocity(model, torch.zeros_like(ESTIMATE)), plain)
    assert not torch.allclose(_velocity(model, ESTIMATE), plain, atol=1e-3)
    assert torch.equal(_velocity(model, None), plain)


def test_each_sample_sees_its_own_estimate(conditioned):
    model = load_model(conditioned)
    both = _velocity(model, ESTIMATE)
    half = _velocity(model, ESTIMATE * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1, 1))
    torch.testing.assert_close(half[0], both[0])
    torch.testing.assert_close(half[1], _velocity(model, None)[1])


def test_plain_diffusers_loads_the_folder_with_the_same_weights(conditioned, tiny_model):
    pipeline = WanPipeline.from_pretrained(conditioned)
    weights = pipeline.transformer.state_dict()
    ours = tiny_model.denoiser.state_dict()
    assert weights.keys() == ours.keys()
    assert all(torch.equal(weights[name], ours[name]) for name in ours)


def test_the_projection_is_part_of_the_fingerprint(conditioned, tiny_model):
    assert load_model(conditioned).fingerprint != tiny_model.fingerprint
    (conditioned / FILE).unlink()
    assert load_model(conditioned).fingerprint == tiny_model.fingerprint


def test_a_new_projection_changes_nothing_until_it_is_trained_and_leaves_no_trace(tiny_model):
    plain = _velocity(tiny_model, None)
    keys = tiny_model.denoiser.state_dict().keys()
    added = tiny_model.add_self_conditioning()
    assert tiny_model.self_conditioned
    assert torch.equal(_velocity(tiny_model, ESTIMATE), plain)
    with torch.no_grad():
        added.projection.weight.fill_(0.1)
    assert not torch.equal(_velocity(tiny_model, ESTIMATE), plain)
    assert tiny_model.denoiser.state_dict().keys() == keys
    added.remove()
    assert not tiny_model.self_conditioned
    assert torch.equal(_velocity(tiny_model, None), plain)


def test_an_estimate_for_a_model_that_cannot_read_it_is_no_silence(tiny_model):
    with pytest.raises(ValueError, match="not trained with an estimate"):
        _velocity(tiny_model, ESTIMATE)


def test_a_second_projection_is_refused(conditioned):
    with pytest.raises(BaseModelError, match="already; it cannot have two"):
        load_model(conditioned).add_self_conditioning()


def test_a_projection_of_another_network_is_refused(conditioned):
    save_file({"projection.weight": torch.zeros(8, 4, 1, 2, 2)}, conditioned / FILE)
    with pytest.raises(BaseModelError, match=r"\(8, 4, 1, 2, 2\).* wants .*\(24, 4, 1, 2, 2\)"):
        load_model(conditioned)


def test_a_damaged_projection_is_refused(conditioned):
    (conditioned / FILE).write_bytes(b"damaged")
    with pytest.raises(BaseModelError, match=r"is damaged: .*; download or make"):
        load_model(conditioned)


def test_a_projection_with_numbers_that_are_not_finite_is_refused(conditioned):
    save_projection(torch.full((24, 4, 1, 2, 2), float("nan")), conditioned)
    with pytest.raises(BaseModelError, match=r"projection\.weight has numbers that are not finite"):
        load_model(conditioned)
