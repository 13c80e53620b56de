"""Trains the autoencoder's decoder to refine what its linear code shows."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from setseq.toybox.autoencoder import ToyAutoencoder
from setseq.toybox.resume import OnStep, Resumable
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
            ((autoencoder.picture(autoencoder.code(x)).clamp(-1, 1) - x) / 2)
            .square()
            .mean((1, 3, 4))
            for x in pixels.split(8)
        ]
    return -10 * torch.cat(parts).mean(0).log10()


def train_decoder(
    autoencoder: ToyAutoencoder,
    renders: Tensor,
    state: Path,
    *,
    steps: int,
    batch: int = 8,
    seed: int = 0,
    on_step: OnStep = lambda step, loss: None,
) -> None:
    """Trains the decoder in place; the code stays what it is.

    Args:
        autoencoder: As fit_basis made it.
        renders: uint8 (n, 3, f, h, w).
        state: File of the run's state; the run resumes from it.
        steps: Optimizer steps.
        batch: Clips in a step; every sixth step sees lone frames instead.
        seed: Of everything random.
        on_step: Called after each step with its number and loss.
    """
    run = Resumable(autoencoder, state, steps=steps, rate=1e-3)
    std = torch.tensor(autoencoder.config["latents_std"], device=run.device).view(1, -1, 1, 1, 1)

    def loss_at(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(renders), (batch,), generator=generator)
        pixels = renders[rows].to(run.device).float() / 127.5 - 1
        first = int(torch.randint(6 * pixels.shape[2], (1,), generator=generator))
        if first < pixels.shape[2]:
            pixels = pixels[:, :, first : first + 1]
        code = normalised(autoencoder, pixels)
        # The denoiser's latents are never quite right: the decoder should not amplify that.
        spread = 0.3 * torch.rand(len(code), 1, 1, 1, 1, generator=generator).square()
        grain = spread * torch.randn(code.shape, generator=generator)
        code = code + grain.to(run.device)
        with torch.autocast(run.device.type, torch.bfloat16):
            decoded = autoencoder.picture(code * std)
        error = decoded.float() - pixels
        return error.abs().mean() + 4 * error.square().mean()

    run.run(loss_at, seed=seed, on_step=on_step)
