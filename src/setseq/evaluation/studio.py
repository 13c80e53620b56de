"""Videos to measure: each text with each seed, with a count of all sampling steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from setseq.config import GenerateSettings
from setseq.evaluation.footage import Footage
from setseq.lora.inject import Injection
from setseq.models.base import VideoModel
from setseq.sampling import sampled_frames


@dataclass(kw_only=True, eq=False)
class Studio:
    """Generates each text with each seed, and counts the steps of all of them.

    Attributes:
        model: With or without a concept in it.
        sampling: Of the videos; nothing but its own seeds decides their noise.
        seeds: Of the start noise.
        on_step: Called with sampling steps done and in all.
        videos: All that there are to be, for the count.
    """

    model: VideoModel
    sampling: GenerateSettings
    seeds: tuple[int, ...]
    on_step: Callable[[int, int], None]
    videos: int
    _done: int = 0

    def film(self, texts: Sequence[str], injection: Injection | None = None) -> list[list[Footage]]:
        """Videos by text and seed, from the model as it is now.

        Args:
            texts: As the model reads them.
            injection: The concept in the model, to have the strengths of the sampling; None leaves
                them as they are.
        """
        return [[self._one(text, seed, injection) for seed in self.seeds] for text in texts]

    def _one(self, text: str, seed: int, injection: Injection | None) -> Footage:
        steps = self.sampling.num_steps
        [frames] = sampled_frames(
            self.model,
            [text],
            self.sampling.model_copy(update={"seed": seed}),
            injection=injection,
            on_step=lambda step, _: self.on_step(self._done + step, self.videos * steps),
        )
        self._done += steps
        return Footage(frames=frames, fps=self.model.geometry.fps)
