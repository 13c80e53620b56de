"""What only a GPU can show: ``make test-gpu`` lets the tests see it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import save_tiny_pipeline, tiny_transformer

# Read when the first product is computed: what PyTorch's deterministic algorithms need.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="session")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan pipeline of 6 million parameters, with heads of 64 numbers, as fast kernels want."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    made = save_tiny_pipeline(tmp_path_factory.mktemp("base") / "wide")
    config = dict(tiny_transformer().config)
    wide = {"num_attention_heads": 4, "attention_head_dim": 64, "ffn_dim": 1024, "num_layers": 6}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: Any = WanTransformer3DModel.from_config({**config, **wide})
    network.save_pretrained(made / "transformer")
    card = {"id": "wide", "fps": 8, "width": 128, "height": 128, "num_frames": 9}
    (made / "setseq.json").write_text(json.dumps(card))
    return made


@pytest.fixture
def exact_kernels() -> Iterator[None]:
    """Let every kernel give the same result each time."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
