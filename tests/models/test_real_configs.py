"""The published sizes without their weights: layers, adapters and parameters on the meta device."""

from dataclasses import dataclass, field
from typing import Any

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
from setseq.models.wan import WanModel
from tests.models.tiny_text import diffusers

RANK = 16


@dataclass(frozen=True)
class Real:
    """A published denoiser.

    Attributes:
        name: in the catalog.
        network: its class; ``config`` is what differs from the class's defaults.
        layers: linear layers that carry a concept.
        millions: parameters of a plain LoRA of rank 16, counted by hand from the widths.
    """

    name: str
    model: type[FrozenModel]
    network: str
    layers: int
    millions: float
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def _lora(*layers: tuple[int, int, int]) -> float:
    """Millions of parameters of so many (count, in, out) layers."""
    return sum(count * RANK * (inputs + outputs) for count, inputs, outputs in layers) / 1e6


_COG_5B: dict[str, Any] = {
    "num_attention_heads": 48,
    "num_layers": 42,
    "use_rotary_positional_embeddings": True,
}
REAL = [
    Real(
        "wan2.1-1.3b",
        WanModel,
        "WanTransformer3DModel",
        30 * 10,
        30 * _lora((8, 1536, 1536), (2, 1536, 8960)),
        {"num_attention_heads": 12, "num_layers": 30, "ffn_dim": 8960},
    ),
    Real(
        "wan2.1-14b",
        WanModel,
        "WanTransformer3DModel",
        40 * 10,
        76.67712,
    ),
    Real(
        "wan2.2-5b",
        WanModel,
        "WanTransformer3DModel",
        30 * 10,
        30 * _lora((8, 3072, 3072), (2, 3072, 14336)),
        {
            "num_attention_heads": 24,
            "num_layers": 30,
            "ffn_dim": 14336,
            "in_channels": 48,
            "out_channels": 48,
        },
    ),
    Real(
        "ltx-2b",
        LtxModel,
        "LTXVideoTransformer3DModel",
        28 * 10,
        28 * _lora((8, 2048, 2048), (2, 2048, 8192)),
    ),
    Real(  # the class's defaults are what diffusers' own conversion of the published weights sets
        "ltx-2",
        Ltx2Model,
        "LTX2VideoTransformer3DModel",
        48 * 10,
        48 * _lora((8, 4096, 4096), (2, 4096, 16384)),
    ),
    Real(
        "cogvideox-2b",
        CogVideoXModel,
        "CogVideoXTransformer3DModel",
        30 * 6,
        30 * _lora((4, 1920, 1920), (2, 1920, 7680)),
    ),
    Real(
        "cogvideox-5b",
        CogVideoXModel,
        "CogVideoXTransformer3DModel",
        42 * 6,
        42 * _lora((4, 3072, 3072), (2, 3072, 12288)),
        _COG_5B,
    ),
    Real(
        "cogvideox1.5-5b",
        CogVideoXModel,
        "CogVideoXTransformer3DModel",
        42 * 6,
        42 * _lora((4, 3072, 3072), (2, 3072, 12288)),
        {**_COG_5B, "patch_size_t": 2, "patch_bias": False},
    ),
    Real(
        "hunyuan",
        HunyuanModel,
        "HunyuanVideoTransformer3DModel",
        20 * 12 + 40 * 5,
        20 * _lora((8, 3072, 3072), (4, 3072, 12288))
        + 40 * _lora((3, 3072, 3072), (1, 3072, 12288), (1, 15360, 3072)),
    ),
    Real(
        "hunyuan1.5",
        Hunyuan15Model,
        "HunyuanVideo15Transformer3DModel",
        54 * 12,
        54 * _lora((8, 2048, 2048), (4, 2048, 8192)),
    ),
    Real(
        "mochi",
        MochiModel,
        "MochiTransformer3DModel",
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
    with torch.device("meta"):
        network = getattr(diffusers, real.network)(**real.config)
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
    assert {real.name for real in REAL} | {"wan2.2-a14b"} == {m.name for m in catalog.KNOWN}
