"""Euler sampling of the flow with classifier-free guidance: the one sampler of the package."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from setseq.models.base import Conditioning, VideoModel
from setseq.precision import Precision, autocast, resolved


def draw_noise(shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """Start noise (len(seeds), *shape): one generator a video, so that no other changes it."""
    return torch.stack(
        [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


@torch.no_grad()
def sample(
    model: VideoModel,
    prompts: Sequence[str],
    noise: Tensor,
    *,
    num_steps: int,
    guidance: float,
    negative_prompt: str = "",
    precision: Precision = "fp32",
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Follow the velocity from noise to data, as diffusers' pipeline does with its Euler scheduler.

    Args:
        model: the model, with or without a concept in it.
        prompts: b prompts as the model reads them, or one for all.
        noise: (b, c, f, h, w), standard normal.
        num_steps: Euler steps, at least 1.
        guidance: 1 is none; above, ``v_negative + guidance (v - v_negative)``.
        negative_prompt: shared by all.
        precision: of the network; the latents stay float32.
        on_step: called with (steps done, num_steps) after each.

    Returns:
        Latents (b, c, f, h, w), to be given to ``model.decode_video``.
    """
    positive = model.encode_prompts(prompts)
    negative = model.encode_prompts([negative_prompt]) if guidance > 1 else None
    latents = noise.to(model.device, torch.float32)
    sigmas = model.sigmas(num_steps).to(model.device)
    precision = resolved(precision, model.device)
    for step in range(num_steps):
        with autocast(precision, model.device):
            velocity = _guided(model, latents, sigmas[step], positive, negative, guidance)
        latents = latents + (sigmas[step + 1] - sigmas[step]) * velocity
        if on_step is not None:
            on_step(step + 1, num_steps)
    return latents


def _guided(
    model: VideoModel,
    latents: Tensor,
    sigma: Tensor,
    positive: Conditioning,
    negative: Conditioning | None,
    guidance: float,
) -> Tensor:
    time = sigma.expand(len(latents))
    velocity = model.velocity(latents, time, positive)
    if negative is None:
        return velocity
    away = model.velocity(latents, time, negative)
    return away + guidance * (velocity - away)
