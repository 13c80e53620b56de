"""The published sizes without their weights: layers, adapters and parameters on the meta device."""

from dataclasses import dataclass

import pytest
import torch

from setseq.lora.inject import inject
from setseq.models import catalog
from setseq.models.cogvideox import CogVideoXModel
from setseq.models.frozen import FrozenModel
from setseq.models.hunyuan import HunyuanModel
from setseq.models.hunyuan15 import Hunyuan15Model
from setseq.models.ltx import LtxModel
from setseq.models.ltx2 import Ltx2Model
from setseq.models.mochi import MochiModel
from setseq.models.published import PUBLISHED
from setseq.models.wan import WanModel
from tests.models.tiny_text import diffusers

RANK = 16


@dataclass(frozen=True)
class Real:
    """A published denoiser.

    Attributes:
        name: in the catalog.
        layers: linear layers that carry a concept.
        millions: parameters of a plain LoRA of rank 16, counted by hand from the widths.
    """

    name: str
    model: type[FrozenModel]
    layers: int
    millions: float

    def __str__(self) -> str:
        return self.name


def _lora(*layers: tuple[int, int, int]) -> float:
    """Millions of parameters of so many (count, in, out) layers."""
    return sum(count * RANK * (inputs + outputs) for count, inputs, outputs in layers) / 1e6


REAL = [
    Real(
        "wan2.1-1.3b",
        WanModel,
        30 * 10,
        30 * _lora((8, 1536, 1536), (2, 1536, 8960)),
    ),
    Real(
        "wan2.1-14b",
        WanModel,
        40 * 10,
        76.67712,
    ),
    Real(
        "wan2.2-5b",
        WanModel,
        30 * 10,
        30 * _lora((8, 3072, 3072), (2, 3072, 14336)),
    ),
    Real(
        "ltx-2b",
        LtxModel,
        28 * 10,
        28 * _lora((8, 2048, 2048), (2, 2048, 8192)),
    ),
    Real(
        "ltx-2",
        Ltx2Model,
        48 * 10,
        48 * _lora((8, 4096, 4096), (2, 4096, 16384)),
    ),
    Real(
        "cogvideox-2b",
        CogVideoXModel,
        30 * 6,
        30 * _lora((4, 1920, 1920), (2, 1920, 7680)),
    ),
    Real(
        "cogvideox-5b",
        CogVideoXModel,
        42 * 6,
        42 * _lora((4, 3072, 3072), (2, 3072, 12288)),
    ),
    Real(
        "cogvideox1.5-5b",
        CogVideoXModel,
        42 * 6,
        42 * _lora((4, 3072, 3072), (2, 3072, 12288)),
    ),
    Real(
        "hunyuan",
        HunyuanModel,
        20 * 12 + 40 * 5,
        20 * _lora((8, 3072, 3072), (4, 3072, 12288))
        + 40 * _lora((3, 3072, 3072), (1, 3072, 12288), (1, 15360, 3072)),
    ),
    Real(
        "hunyuan1.5",
        Hunyuan15Model,
        54 * 12,
        54 * _lora((8, 2048, 2048), (4, 2048, 8192)),
    ),
    Real(
        "mochi",
        MochiModel,
        47 * 12 + 9,
        47
        * _lora(
            (4, 3072, 3072),
            (3, 1536, 3072),
            (1, 3072, 1536),
            (1, 3072, 16384),
            (1, 8192, 3072),
            (1, 1536, 8192),
            (1, 4096, 1536),
        )
        + _lora((4, 3072, 3072), (3, 1536, 3072), (1, 3072, 16384), (1, 8192, 3072)),
    ),
]


@pytest.mark.parametrize("real", REAL, ids=str)
def test_layers_adapter_and_size_are_those_of_the_published_model(real: Real):
    plan = PUBLISHED[real.name]
    with torch.device("meta"):
        network = getattr(diffusers, plan.transformer)(**plan.transformer_config)
    published = catalog.known(real.name)
    assert published is not None
    parameters = sum(value.numel() for value in network.parameters()) / 1e9
    assert parameters == pytest.approx(published.billions, rel=0.05)
    generator = torch.Generator().manual_seed(0)
    injection = inject(network, real.model.lora_targets, rank=RANK, generator=generator)
    assert len(injection.layers) == real.layers
    lora = [*injection.parameters("basis").values(), *injection.parameters("identity").values()]
    assert sum(value.numel() for value in lora) / 1e6 == pytest.approx(real.millions)


def test_every_known_model_is_checked():
    names = {m.name for m in catalog.KNOWN}
    assert {real.name for real in REAL} | {"wan2.2-a14b"} == names
    assert PUBLISHED.keys() == names
