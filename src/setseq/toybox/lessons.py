"""What each step of the base's training sees, drawn from a generator seeded with its own number.

So a run that is stopped and resumed is the run that was never stopped, and processes beside the
training may draw ahead of it without changing anything.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from setseq.flow import draw_times
from setseq.toybox.components import TIMESTEP_SHIFT, Networks, tokens_of_captions
from setseq.toybox.scene_map import SceneMap, scene_map
from setseq.toybox.settings import PretrainSettings
from setseq.toybox.shards import Shards


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """What one step sees.

    Attributes:
        latents: (b, c, f, h, w), float32; f is 1 for lone frames.
        noise: Of the same shape.
        times: (b,), in (0, 1).
        fed: (n,), the numbers of the rows that see an estimate of the clean latents.
        ids: (b, rows), captions as the text encoder reads them.
        mask: (b, rows), 1 where a row is a word.
        truth: What the latents' places show, (b, f, h, w, ...); a token is one latent.
    """

    latents: Tensor
    noise: Tensor
    times: Tensor
    fed: Tensor
    ids: Tensor
    mask: Tensor
    truth: SceneMap

    def to(self, device: torch.device) -> Lesson:
        """The lesson on a device."""
        moved = {field.name: getattr(self, field.name).to(device) for field in fields(self)}
        return replace(self, **moved)


class Lessons(Dataset[Lesson]):
    """The lesson of every step of a run, by its number."""

    def __init__(self, shards: Shards, networks: Networks, settings: PretrainSettings) -> None:
        """Lessons from these shards, in the words of these networks' tokenizer."""
        self._shards = shards
        self._tokenizer = networks.tokenizer  # alone: the networks need not reach other processes
        self._settings = settings

    def __getitem__(self, step: int) -> Lesson:
        s = self._settings
        generator = torch.Generator().manual_seed(s.seed * 1_000_003 + step)
        rng = random.Random(s.seed * 1_000_003 + step)
        lone = step < s.frame_steps or rng.random() >= s.clip_share
        rows = torch.randint(
            len(self._shards.clips), (s.frames if lone else s.clips,), generator=generator
        )
        batch = self._shards.batch(rows, rng, lone=lone)
        count = len(rows)
        ids, mask = tokens_of_captions(self._tokenizer, batch.words, short=lone)
        return Lesson(
            latents=batch.latents,
            times=draw_times(count, shift=TIMESTEP_SHIFT, generator=generator),
            noise=torch.randn(batch.latents.shape, generator=generator),
            fed=torch.randperm(count, generator=generator)[: round(s.self_conditioning * count)],
            ids=ids,
            mask=mask,
            truth=scene_map(batch.scenes, batch.times_s, batch.latents.shape[-1]),
        )

    def from_step(self, first: int, *, workers: int = 0) -> Iterator[Lesson]:
        """The lessons of the steps from ``first`` to the run's last.

        Args:
            first: Steps that were taken before.
            workers: Processes that draw ahead; 0 draws in this one.
        """
        steps = range(first, self._settings.steps)
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_alone if workers else None,
        )
        return iter(loader)


def _alone(_number: int) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training ends its step first
