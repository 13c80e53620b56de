"""Stitched clips as groups: several concepts at once, seen less often than each alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from setseq.models.base import VideoModel
from setseq.training.masks import clip_weights, frame_weights
from setseq.training.stages import Group, TrainingClip, encode_frames


@dataclass(frozen=True, kw_only=True, eq=False)
class Stitched:
    """Clips that show several concepts side by side.

    Attributes:
        clips: with prompts that name all that they show; all have masks or none has.
        share: of each step's samples, in [0, 1).
    """

    clips: Sequence[TrainingClip] = ()
    share: float = 0.0

    def frames(self, model: VideoModel) -> list[Group]:
        """Their single frames with the static prompts, for the Set stage; none without clips."""
        latents = [encode_frames(model, clip.pixels) for clip in self.clips]
        prompts = [
            clip.prompt.look for clip, own in zip(self.clips, latents, strict=True) for _ in own
        ]
        masks = [
            frame_weights(clip.mask, own.shape[-2:])
            for clip, own in zip(self.clips, latents, strict=True)
            if clip.mask is not None
        ]
        return self._groups(latents, prompts, masks)

    def videos(self, model: VideoModel) -> list[Group]:
        """The whole clips with their whole prompts, for the Sequence stage; none without clips."""
        latents = [model.encode_video(clip.pixels[None]) for clip in self.clips]
        masks = [
            clip_weights(clip.mask, own.shape[-3:], model.geometry.temporal_factor)
            for clip, own in zip(self.clips, latents, strict=True)
            if clip.mask is not None
        ]
        return self._groups(latents, [clip.prompt.full for clip in self.clips], masks)

    def _groups(
        self, latents: Sequence[Tensor], prompts: Sequence[str], masks: Sequence[Tensor]
    ) -> list[Group]:
        if not latents:
            return []
        group = Group(
            name="stitched",
            latents=torch.cat(list(latents)),
            prompts=tuple(prompts),
            share=self.share,
            masks=torch.cat(list(masks)) if masks else None,
        )
        return [group]


NOT_STITCHED = Stitched()
