"""Which times a model is asked about while it is trained."""

import pytest
import torch
from torch import Tensor

from setseq.models.base import VideoModel


def noted_times(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> dict[int, list[Tensor]]:
    """Logits of the times before the shift, by the number of latent frames, noted from now on."""
    seen: dict[int, list[Tensor]] = {}
    velocity = model.velocity

    def spy(latents, time, *others):
        unshifted = time / (time + (1 - time) * model.timestep_shift)
        seen.setdefault(latents.shape[2], []).append(torch.logit(unshifted))
        return velocity(latents, time, *others)

    monkeypatch.setattr(model, "velocity", spy)
    return seen
