"""Trains the autoencoder's decoder to refine what its linear code shows."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from setseq.toybox.autoencoder import ToyAutoencoder
from setseq.toybox.shards import normalised


def psnr_by_frame(autoencoder: ToyAutoencoder, pixels: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each frame number over all clips.

    Args:
        autoencoder: What codes and decodes.
        pixels: (n, 3, f, h, w) in [-1, 1].

    Returns:
        (f,), from the mean squared error over clips.
    """
    with torch.no_grad():
        parts = [
            (
                (
                    autoencoder.decode(autoencoder.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
                    - x
                )
                / 2
            )
            .square()
            .mean((1, 3, 4))
            for x in pixels.split(8)
        ]
    return -10 * torch.cat(parts).mean(0).log10()


def train_decoder(
    autoencoder: ToyAutoencoder,
    renders: Tensor,
    *,
    steps: int,
    batch: int = 8,
    seed: int = 0,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Trains the decoder in place; the code stays what it is.

    Args:
        autoencoder: As fit_basis made it, or trained further.
        renders: uint8 (n, 3, f, h, w).
        steps: Optimizer steps.
        batch: Clips in a step; every third step sees their single frames instead.
        seed: Of everything random.
        on_step: Called after each step with its number and loss.
    """
    learned = [p for p in autoencoder.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-3, total_steps=steps, pct_start=0.05
    )
    std = torch.tensor(autoencoder.config["latents_std"]).view(1, -1, 1, 1, 1)
    generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    for step in range(steps):
        rows = torch.randint(len(renders), (batch,), generator=generator)
        pixels = renders[rows].float() / 127.5 - 1
        if step % 6 == 5:
            first = rng.randrange(17)
            pixels = pixels[:, :, first : first + 1]
        code = normalised(autoencoder, pixels)
        # The denoiser's latents are never quite right: the decoder should not amplify that.
        spread = 0.12 * torch.rand(len(code), 1, 1, 1, 1, generator=generator).square()
        code = code + spread * torch.randn(code.shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            decoded = autoencoder.decode(code * std).sample
        error = decoded.float() - pixels
        loss = error.abs().mean() + 4 * error.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        on_step(step + 1, loss.item())
