"""Mochi 1, a text-to-video model (10B)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from setseq.models.base import Conditioning, Geometry
from setseq.models.card import BaseCard
from setseq.models.frozen import FrozenModel, per_channel, served

TEXT_ROWS = 256
_THRESHOLD_NOISE = 0.025  # of the pipeline's schedule: half of the steps are spent on it


class MochiModel(FrozenModel):
    """Mochi: latents of 6 x 8 x 8 pixels with 12 channels.

    Its network counts time from noise to data and predicts data - noise, so both are turned round:
    its time is ``1 - t`` and our velocity the negative of what it predicts.
    """

    family = "mochi"
    attention = "fixed"
    lora_targets = (
        r"transformer_blocks\.\d+\.(attn1\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)"
        r"|ff(_context)?\.net\.(0\.proj|2))"
    )
    card = BaseCard(
        fps=30,
        width=848,
        height=480,
        num_frames=85,
        generate={"num_steps": 64, "guidance": 4.5},
    )

    def _geometry(self, card: BaseCard) -> Geometry:
        autoencoder = self.components.config("vae")
        patch = self.components.config("transformer")["patch_size"]
        space = int(np.prod(autoencoder["spatial_expansions"]))
        self._mean, self._std = autoencoder["latents_mean"], autoencoder["latents_std"]
        self._scaling: float = autoencoder["scaling_factor"]
        return card.geometry(
            temporal_factor=int(np.prod(autoencoder["temporal_expansions"])),
            spatial_factor=space,
            size_multiple=space * patch,
            latent_channels=autoencoder["latent_channels"],
        )

    def sigmas(self, num_steps: int, shape: Sequence[int] | None = None) -> Tensor:
        """The pipeline's sampling times: small steps at first, ever larger ones in the end."""
        from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule

        if num_steps == 1:
            return torch.tensor([1.0, 0.0])
        even = np.array(linear_quadratic_schedule(num_steps, _THRESHOLD_NOISE))
        self._scheduler.set_timesteps(sigmas=even)
        inverted = self._scheduler.config["invert_sigmas"]
        return (1 - self._scheduler.sigmas if inverted else self._scheduler.sigmas).clone()

    def _normalised(self, latents: Tensor) -> Tensor:
        centred = latents - per_channel(self._mean, latents)
        return centred * self._scaling / per_channel(self._std, latents)

    def _raw(self, latents: Tensor) -> Tensor:
        spread = latents * per_channel(self._std, latents)
        return spread / self._scaling + per_channel(self._mean, latents)

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts; where the pipeline blanks empty ones, so do we, each on its own.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        ids, mask = self._tokenised(prompts, TEXT_ROWS)
        if self.components.index.get("force_zeros_for_empty_prompt"):
            kept = torch.tensor([bool(prompt) for prompt in prompts], device=ids.device)[:, None]
            ids, mask = ids * kept, mask * kept
        mask = mask.bool()
        text = self._text_encoder(ids, attention_mask=mask)[0]
        return Conditioning({"text": text, "mask": mask})

    def blank_prompt(self) -> Conditioning:
        """A prompt of zeros; see ``FrozenModel``."""
        width = self.components.config("transformer")["text_embed_dim"]
        mask = torch.ones(1, TEXT_ROWS, dtype=torch.bool)
        return Conditioning({"text": torch.zeros(1, TEXT_ROWS, width), "mask": mask})

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The predicted velocity, float32."""
        text = served(conditioning, len(latents))
        network: Any = self.denoiser
        return -network(
            hidden_states=latents.to(self._dtype),
            encoder_hidden_states=text["text"].to(self._dtype),
            timestep=(1 - time) * 1000,
            encoder_attention_mask=text["mask"],
            return_dict=False,
        )[0].float()
