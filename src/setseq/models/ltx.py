"""LTX-Video text-to-video models (2B; the published 13B is refused, see docs/models.md)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from setseq.models.base import Conditioning, Geometry
from setseq.models.card import BaseCard
from setseq.models.frozen import FrozenModel, per_channel, served
from setseq.models.shift import shift_of, shifted_sigmas

TEXT_ROWS = 128


class LtxModel(FrozenModel):
    """LTX-Video: latents of 8 x 32 x 32 pixels with 128 channels, each one token.

    Its network predicts noise - data, as ours. Its times are shifted by the number of tokens; for
    training, the shift is that of a video of the default size in both stages, so that single frames
    and clips see the same noise (our choice).
    """

    family = "ltx"
    lora_targets = r"transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    card = BaseCard(
        fps=25,
        width=704,
        height=480,
        num_frames=121,
        generate={"num_steps": 50, "guidance": 3.0},
    )

    def _geometry(self, card: BaseCard) -> Geometry:
        autoencoder = self.components.config("vae")
        halvings = 2 ** sum(autoencoder["spatio_temporal_scaling"])
        space = autoencoder["spatial_compression_ratio"] or autoencoder["patch_size"] * halvings
        time = autoencoder["temporal_compression_ratio"] or autoencoder["patch_size_t"] * halvings
        self._scaling: float = autoencoder["scaling_factor"]
        return card.geometry(
            temporal_factor=time,
            spatial_factor=space,
            size_multiple=space,
            latent_channels=autoencoder["latent_channels"],
        )

    @property
    def timestep_shift(self) -> float:
        """The shift for a video of the default size."""
        return shift_of(self._scheduler.config, _tokens(self.geometry.latent_shape()))

    def sigmas(self, num_steps: int, shape: Sequence[int] | None = None) -> Tensor:
        """The pipeline's sampling times for latents of this shape (c, f, h, w)."""
        tokens = _tokens(shape or self.geometry.latent_shape())
        return shifted_sigmas(self._scheduler, num_steps, tokens)

    def _normalised(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents)
        return (latents - mean) * self._scaling / std

    def _raw(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents)
        return latents * std / self._scaling + mean

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        autoencoder = self._autoencoder
        return per_channel(autoencoder.latents_mean, like), per_channel(
            autoencoder.latents_std, like
        )

    def _decoded(self, raw: Tensor) -> Tensor:
        """Some LTX decoders read a time, 0 for clean latents, as in the pipeline's default call."""
        autoencoder = self._autoencoder
        timed = autoencoder.config.timestep_conditioning
        time = raw.new_zeros(len(raw)) if timed else None
        return autoencoder.decode(raw, time, return_dict=False)[0]

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts; the text encoder sees the padding, the network's attention does not.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        ids, mask = self._tokenised(prompts, TEXT_ROWS)
        return Conditioning({"text": self._text_encoder(ids)[0], "mask": mask})

    def blank_prompt(self) -> Conditioning:
        """A prompt of zeros; see ``FrozenModel``."""
        width = self.components.config("transformer")["caption_channels"]
        return Conditioning(
            {"text": torch.zeros(1, TEXT_ROWS, width), "mask": torch.ones(1, TEXT_ROWS)}
        )

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The predicted velocity, float32."""
        text = served(conditioning, len(latents))
        frames, height, width = latents.shape[2:]
        geometry = self.geometry
        network: Any = self.denoiser
        predicted = network(
            hidden_states=latents.flatten(2).transpose(1, 2).to(self._dtype),
            encoder_hidden_states=text["text"].to(self._dtype),
            timestep=time * 1000,
            encoder_attention_mask=text["mask"],
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(
                geometry.temporal_factor / geometry.fps,
                geometry.spatial_factor,
                geometry.spatial_factor,
            ),
            return_dict=False,
        )[0]
        return predicted.float().transpose(1, 2).unflatten(2, (frames, height, width))


def _tokens(shape: Sequence[int]) -> int:
    """Tokens of latents (..., f, h, w)."""
    frames, height, width = shape[-3:]
    return frames * height * width
