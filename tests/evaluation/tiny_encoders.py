"""Tiny random encoders of the metrics, in the formats of the published ones."""

from pathlib import Path

import pytest
import torch
from torch import nn

from setseq.toybox.encoders import build_clip, build_identity, save_encoder


def save_tiny_clip(folder: Path) -> Path:
    """A CLIP folder of width 32 with random weights, and the toybox's tokenizer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, tokenizer = build_clip(width=32, layers=1, text_width=32, text_layers=1)
    save_encoder(model, folder, tokenizer)
    return folder


def tiny_things() -> nn.Module:
    """A convolutional encoder of pictures with the weights of torch's seed."""
    return build_identity(widths=(8, 16), depth=1)


def save_tiny_things(folder: Path) -> Path:
    """A folder of an encoder of things with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_encoder(tiny_things(), folder)
    return folder


def cut_off_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is in the hub's cache, and none can be fetched."""

    def absent(repo: str, **_: object) -> str:
        raise OSError(f"{repo}: no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", absent)
