"""Two experts, each at its own times."""

from pathlib import Path
from typing import Any

import pytest
import torch

from setseq.errors import BaseModelError
from setseq.lora.inject import inject
from setseq.models.registry import load_model
from tests.models import tiny_wan

TIME = torch.tensor([0.9, 0.5, 0.875, 0.2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_wan.FAMILY_A14B.save(tmp_path_factory.mktemp("wan22"))


def _latents() -> torch.Tensor:
    return torch.randn(4, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0))


def test_two_experts_are_not_sharded(folder: Path):
    with pytest.raises(BaseModelError, match="leave --shard out"):
        load_model(folder, sharded=True)


@torch.no_grad()
def test_each_sample_of_a_batch_is_predicted_by_the_expert_of_its_time(folder: Path):
    model: Any = load_model(folder)
    prompts = model.encode_prompts(["a red character", "", "it is blue", "snow"])
    velocity = model.velocity(_latents(), TIME, prompts)
    for place, expert in enumerate(
        ["transformer", "transformer_2", "transformer", "transformer_2"]
    ):
        own = prompts.select([place])
        model._foldings[expert].bias = own.tensors["bias"]
        alone = model.denoiser[expert](
            _latents()[[place]], TIME[[place]] * 1000, own.tensors["text"], return_dict=False
        )[0]
        torch.testing.assert_close(velocity[[place]], alone)


def test_an_expert_learns_from_its_own_times_alone(folder: Path):
    model: Any = load_model(folder)
    generator = torch.Generator().manual_seed(0)
    injection = inject(model.denoiser, model.lora_targets, rank=2, generator=generator)
    prompts = model.encode_prompts(["a red character"]).detach()
    model.velocity(_latents()[:1], TIME[:1], prompts).square().sum().backward()
    for name, value in injection.parameters("identity").items():
        assert (value.grad is not None) == name.startswith("transformer.")


def test_self_conditioning_is_refused(folder: Path):
    with pytest.raises(BaseModelError, match="two experts"):
        load_model(folder).add_self_conditioning()
