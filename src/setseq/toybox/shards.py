"""The training set: rendered clips as latents on disk, captions drawn anew each time.

A shard is a file of latents of n scenes. Scene k of shard s is random_scene(s * n + k), so only the
latents are stored; the words come from the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from setseq.outputs import write_bytes
from setseq.toybox.autoencoder import ToyAutoencoder
from setseq.toybox.captions import caption
from setseq.toybox.draw import draw_scene
from setseq.toybox.world import FPS, NUM_FRAMES, Scene, random_scene

FRAMES_PER_CLIP = 2


def clip_pixels(scene: Scene) -> Tensor:
    """A rendered scene as a model sees it: (3, f, h, w) in [-1, 1]."""
    return draw_scene(scene).movedim(1, 0) * 2 - 1


def normalised(autoencoder: ToyAutoencoder, pixels: Tensor) -> Tensor:
    """Latents of pixels (b, 3, f, h, w), scaled as WanPipeline scales them."""
    return autoencoder.scaled(autoencoder.code(pixels))


def shard_path(folder: Path, index: int) -> Path:
    """Where a shard lies."""
    return folder / f"shard-{index:05d}.safetensors"


@torch.no_grad()
def write_shard(autoencoder: ToyAutoencoder, folder: Path, index: int, count: int) -> Path:
    """Renders and encodes one shard; does nothing where it already lies.

    Args:
        autoencoder: Its linear code is used; the decoder does not matter.
        folder: Where shards are kept.
        index: Number of the shard.
        count: Clips in every shard of the folder.

    Returns:
        The file: ``clips`` (n, c, f, h, w) and ``frames`` (n, FRAMES_PER_CLIP, c, h, w), float16.
    """
    path = shard_path(folder, index)
    if path.exists():
        return path
    clips, frames = [], []
    for seed in range(index * count, (index + 1) * count):
        pixels = clip_pixels(random_scene(seed))
        lone = torch.stack([pixels[:, k : k + 1] for k in _picked_frames(seed)])
        clips.append(normalised(autoencoder, pixels[None])[0].half())
        frames.append(normalised(autoencoder, lone)[:, :, 0].half())
    tensors = {"clips": torch.stack(clips), "frames": torch.stack(frames)}
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    return path


def _picked_frames(seed: int) -> list[int]:
    """The frames of a scene that a shard keeps as lone ones."""
    return random.Random(seed).sample(range(NUM_FRAMES), FRAMES_PER_CLIP)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What a step of the base's training sees.

    Attributes:
        latents: (b, c, f, h, w), float32; f is 1 for lone frames.
        words: b captions.
        scenes: b scenes.
        times_s: (b, f), where in its clip each latent frame is, in seconds.
    """

    latents: Tensor
    words: list[str]
    scenes: list[Scene]
    times_s: Tensor


class Shards:
    """All shards in memory, handing out batches of latents with fresh captions.

    Attributes:
        clips: (n, c, f, h, w), float16.
        frames: (n, FRAMES_PER_CLIP, c, h, w), float16.
    """

    def __init__(self, folder: Path, count: int) -> None:
        """Reads the first ``count`` shards of a folder."""
        loaded = [load_file(shard_path(folder, index)) for index in range(count)]
        self.clips = torch.cat([shard["clips"] for shard in loaded])
        self.frames = torch.cat([shard["frames"] for shard in loaded])
        self.scenes = [random_scene(seed) for seed in range(len(self.clips))]

    def batch(self, rows: Tensor, rng: random.Random, *, lone: bool) -> Batch:
        """Latents and captions of some scenes.

        Args:
            rows: Which scenes, (b,).
            rng: Draws the wording and, for lone frames, which frame.
            lone: Whether to give single frames instead of clips.

        Returns:
            The batch; one in ten captions is empty, for guidance without a prompt. Captions of lone
            frames name no motion three times in four.
        """
        words = []
        for row in rows.tolist():
            said = caption(self.scenes[row], rng)
            text = said.look if lone and rng.random() < 0.75 else said.text
            words.append("" if rng.random() < 0.1 else text)
        scenes = [self.scenes[row] for row in rows.tolist()]
        if not lone:
            times = latent_times_s(self.clips.shape[2]).expand(len(rows), -1)
            latents = self.clips[rows].float()
            return Batch(latents=latents, words=words, scenes=scenes, times_s=times)
        picked = torch.tensor([rng.randrange(self.frames.shape[1]) for _ in words])
        places = zip(rows.tolist(), picked.tolist(), strict=True)
        frames = torch.tensor([_picked_frames(row)[k] for row, k in places])
        return Batch(
            latents=self.frames[rows, picked].float().unsqueeze(2),
            words=words,
            scenes=scenes,
            times_s=(frames / FPS).unsqueeze(1),
        )


def latent_times_s(count: int) -> Tensor:
    """The middles of the groups of frames that latent frames stand for, (count,), in seconds.

    The first stands for the first frame alone, every other one for the next two.
    """
    return (2.0 * torch.arange(count) - 0.5).clamp_min(0) / FPS
