"""The methods that need more of a base than its layers work on every family of bases."""

import re

import pytest
import torch

from setseq.baselines import METHODS, learn_method
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.training.stages import TrainingClip
from tests.baselines.runs import SETTINGS, quick_prior
from tests.models.test_matrix import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_newmove_tunes_the_keys_and_values_of_every_attention(family, tmp_path, monkeypatch):
    quick_prior(monkeypatch, tmp_path / "cache")
    model = load_model(family.save(tmp_path / "base"))
    generator = torch.Generator().manual_seed(5)
    pixels = torch.rand(3, family.frames, family.size, family.size, generator=generator) * 2 - 1
    clip = TrainingClip(pixels=pixels, prompt=concept_prompt("a [v] character", "it is [u]"))
    short = {"set_steps": 0, "sequence_steps": 1, "sequence_batch": 1, "prior_count": 1}
    settings = SETTINGS.model_copy(update=short)
    concept = learn_method(METHODS["newmove"], model, [clip], settings)
    attention = {name for name in concept.basis if re.search(r"\.attn[12]?\.", name)}
    assert concept.basis.keys() == attention
    assert {name.rpartition(".")[2] for name in concept.basis} <= {
        "to_k",
        "to_v",
        "add_k_proj",
        "add_v_proj",
    }
    of_all = [
        name for name, _ in model.denoiser.named_modules() if re.fullmatch(model.lora_targets, name)
    ]
    assert len(attention) == sum(
        name.endswith(("_k", "_v", "_k_proj", "_v_proj")) for name in of_all
    )
    assert any(value.any() for value in concept.identity.values())
