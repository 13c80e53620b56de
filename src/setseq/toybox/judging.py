"""Trains the judge on renders, half of them as the autoencoder shows them, all with some grain."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.toybox.autoencoder import ToyAutoencoder
from setseq.toybox.judge import Judge, grown_judge, heads, labels
from setseq.toybox.resume import OnStep, Resumable
from setseq.toybox.shards import Shards, clip_pixels
from setseq.toybox.world import random_scene

JUDGE_SEED = 600_000_000  # scenes that nothing else sees


def judge_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Mean cross entropy over all questions; target (b, questions), -100 where none is asked."""
    parts = scores.split([len(values) for values in heads().values()], 1)
    sums = [F.cross_entropy(p, target[:, k], reduction="sum") for k, p in enumerate(parts)]
    return (torch.stack(sums) / (target >= 0).sum(0).clamp_min(1)).mean()


def train_judge(
    autoencoder: ToyAutoencoder,
    shards: Shards,
    state: Path,
    *,
    steps: int,
    batch: int = 32,
    seed: int = 0,
    start: Path | None = None,
    on_step: OnStep = lambda step, loss: None,
) -> Judge:
    """Trains a judge; every clean clip is rendered anew, so that none is seen twice.

    Args:
        autoencoder: Gives the shards' latents back as pictures, with its trained decoder.
        shards: Latents with their scenes.
        state: File of the run's state; the run resumes from it.
        steps: Optimizer steps.
        batch: Clips in a step, an even number.
        seed: Of everything random.
        start: A judge to go on from, also of a smaller grammar; None starts from nothing.
        on_step: Called after each step with its number and loss.

    Returns:
        The trained judge, in eval mode.
    """
    torch.manual_seed(seed)
    judge = Judge() if start is None else grown_judge(start)
    run = Resumable(judge.to(autoencoder.device), state, steps=steps, rate=1.5e-3)
    lessons = _Lessons(autoencoder, shards, batch // 2)

    def loss_at(generator: torch.Generator) -> Tensor:
        pixels, target = lessons.draw(generator)
        with torch.autocast(run.device.type, torch.bfloat16):
            scores = judge(pixels.to(run.device))
        return judge_loss(scores.float(), target.to(run.device))

    run.run(loss_at, seed=seed, on_step=on_step)
    return judge.cpu().eval().requires_grad_(False)


class _Lessons:
    """Draws what the judge learns from: clips through the code, and as many clean ones."""

    def __init__(self, autoencoder: ToyAutoencoder, shards: Shards, half: int) -> None:
        self._autoencoder, self._clips, self._half = autoencoder, shards.clips, half
        self._targets = torch.tensor([labels(scene) for scene in shards.scenes])
        self._std = torch.tensor(autoencoder.config["latents_std"]).view(1, -1, 1, 1, 1)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Grainy pixels (2 half, 3, f, h, w), about [-1, 1]; the answers (2 half, questions)."""
        half = self._half
        first = int(torch.randint(2**40, (1,), generator=generator)) * half
        scenes = [random_scene(JUDGE_SEED + first + k) for k in range(half)]
        clean = torch.stack([clip_pixels(scene) for scene in scenes])
        rows = torch.randint(len(self._clips), (half,), generator=generator)
        pixels = torch.cat([self._coded(rows, generator), clean])
        grain = 0.06 * torch.rand(2 * half, 1, 1, 1, 1, generator=generator)
        pixels = pixels + grain * torch.randn(pixels.shape, generator=generator)
        own = torch.tensor([labels(scene) for scene in scenes])
        return pixels, torch.cat([self._targets[rows], own])

    def _coded(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Clips as the code gives them back: what a base generates is never quite right either."""
        code = self._clips[rows].float()
        spread = 0.15 * torch.rand(len(rows), 1, 1, 1, 1, generator=generator)
        code = (code + spread * torch.randn(code.shape, generator=generator)) * self._std
        device = self._autoencoder.device
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            return self._autoencoder.picture(code.to(device)).float().clamp(-1, 1).cpu()
