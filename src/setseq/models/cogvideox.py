"""CogVideoX text-to-video models (2B, 5B, 1.5-5B), whose networks predict another velocity.

Theirs and ours, exactly. CogVideoX follows the path ``z = a data + s noise``, ``a^2 + s^2 = 1``,
where ``a^2`` is the scheduler's ``alphas_cumprod`` at its step, and predicts
``v = a noise - s data``. Our path is ``x = (1 - t) data + t noise``. Choose ``t = s / (a + s)``:

    1 - t = a / (a + s),   z = (a + s) x,   a + s = 1 / sqrt((1 - t)^2 + t^2) = w,
    a = (1 - t) w,   s = t w,

so that each point of one path is a scaled point of the other, with the same data and noise.
From ``data = a z - s v`` and ``noise = s z + a v`` our velocity is

    u = noise - data = (s - a) z + (a + s) v = w ((2 t - 1) z + v).

A deterministic DDIM step keeps data and noise and changes ``a`` and ``s``: on our path that is an
Euler step of ``u`` from t to t', exactly. So the one sampler gives what the pipeline gives, and the
one loss is that of CogVideoX times ``w^2``, between 1 and 2.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from setseq.models.base import Conditioning, Geometry
from setseq.models.card import BaseCard
from setseq.models.components import Components
from setseq.models.frozen import FrozenModel, served

TEXT_ROWS = 226
_DECODED_TOGETHER = 2  # by diffusers' autoencoder: it makes no other lengths than 8 k + 1
_SNAP = 1e-3  # of a scheduler's step: what float32 makes of a whole one


class CogVideoXModel(FrozenModel):
    """CogVideoX: latents of 4 x 8 x 8 pixels with 16 channels; videos of 8 k + 1 frames.

    Version 1.5 joins two latent frames in a token, and such videos have 2 k + 1. As in its
    pipeline, the odd one out stands in front: a copy of the first one (our choice of what stands
    there), which decoding drops.
    """

    family = "cogvideox"
    attention = "fixed"
    lora_targets = r"transformer_blocks\.\d+\.(attn1\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    frame_strengths = False
    card = BaseCard(
        fps=8,
        width=720,
        height=480,
        num_frames=49,
        generate={"num_steps": 50, "guidance": 6.0},
    )
    card_15 = card.model_copy(update={"fps": 16, "width": 1360, "height": 768, "num_frames": 81})

    @classmethod
    def family_card(cls, components: Components) -> BaseCard:
        """Version 1.5 has sizes of its own."""
        return cls.card_15 if components.config("transformer")["patch_size_t"] else cls.card

    def _geometry(self, card: BaseCard) -> Geometry:
        autoencoder = self.components.config("vae")
        network = self.components.config("transformer")
        space = 2 ** (len(autoencoder["block_out_channels"]) - 1)
        depth = network["patch_size_t"] or 1
        # Version 1.5 cuts its positions out of a table; the others stretch theirs to any size.
        high, wide = network["sample_height"], network["sample_width"]
        table = None, high // network["patch_size"], wide // network["patch_size"]
        self._scaling: float = autoencoder["scaling_factor"]
        self._table = _straight_times(self._scheduler.alphas_cumprod)
        return card.geometry(
            temporal_factor=int(autoencoder["temporal_compression_ratio"]),
            spatial_factor=space,
            size_multiple=space * network["patch_size"],
            latent_channels=autoencoder["latent_channels"],
            latent_depth=depth,
            decoded_together=_DECODED_TOGETHER,
            places=table if network["patch_size_t"] else (None, None, None),
        )

    @property
    def timestep_shift(self) -> float:
        """The shift whose median time is that of the model's own training, on the straight path."""
        middle = self._table[len(self._table) // 2]
        return float(middle / (1 - middle))

    def sigmas(self, num_steps: int, shape: Sequence[int] | None = None) -> Tensor:
        """The scheduler's steps as times of the straight path, and 0."""
        self._scheduler.set_timesteps(num_steps)
        times = self._table[self._scheduler.timesteps.long()]
        return torch.cat([times, times.new_zeros(1)]).float()

    def _normalised(self, latents: Tensor) -> Tensor:
        missing = -latents.shape[2] % self.geometry.latent_depth
        front = latents[:, :, :1].expand(-1, -1, missing, -1, -1)
        return torch.cat([front, latents], dim=2) * self._scaling

    def _raw(self, latents: Tensor) -> Tensor:
        return latents[:, :, self.geometry.latent_depth - 1 :] / self._scaling

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts; nothing masks the padding, neither here nor in the network.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        ids, _ = self._tokenised(prompts, TEXT_ROWS)
        return Conditioning({"text": self._text_encoder(ids)[0]})

    def blank_prompt(self) -> Conditioning:
        """A prompt of zeros; see ``FrozenModel``."""
        width = self.components.config("transformer")["text_embed_dim"]
        return Conditioning({"text": torch.zeros(1, TEXT_ROWS, width)})

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The predicted velocity of the straight path, float32; see the module."""
        network: Any = self.denoiser
        t = time.view(-1, 1, 1, 1, 1)
        scale = 1 / torch.sqrt((1 - t) ** 2 + t**2)
        point = scale * latents
        predicted = network(
            hidden_states=point.transpose(1, 2).to(self._dtype),
            encoder_hidden_states=served(conditioning, len(latents))["text"].to(self._dtype),
            timestep=self._step(time),
            image_rotary_emb=self._rotation(latents.shape, network.config),
            return_dict=False,
        )[0]
        return scale * ((2 * t - 1) * point + predicted.float().transpose(1, 2))

    def _step(self, time: Tensor) -> Tensor:
        """The scheduler's step, between its whole ones where need be, of times (b,)."""
        table = self._table.to(time.device)
        wanted = time.to(table.dtype)
        above = torch.searchsorted(table, wanted).clamp(1, len(table) - 1)
        low, high = table[above - 1], table[above]
        step = above - 1 + ((wanted - low) / (high - low)).clamp(0, 1)
        whole = step.round()
        return torch.where((step - whole).abs() < _SNAP, whole, step).float()

    def _rotation(self, shape: Sequence[int], config: Any) -> tuple[Tensor, Tensor] | None:
        """The rotary tables of the pipeline for latents (b, c, f, h, w)."""
        if not config.use_rotary_positional_embeddings:
            return None
        from diffusers.models.embeddings import get_3d_rotary_pos_embed
        from diffusers.pipelines.cogvideo.pipeline_cogvideox import (
            get_resize_crop_region_for_grid,
        )

        patch, depth = config.patch_size, config.patch_size_t
        frames, height, width = shape[2], shape[3] // patch, shape[4] // patch
        whole = config.sample_height // patch, config.sample_width // patch
        if depth is None:
            crops = get_resize_crop_region_for_grid((height, width), whole[1], whole[0])
            tables = get_3d_rotary_pos_embed(
                config.attention_head_dim, crops, (height, width), frames, device=self.device
            )
        else:
            tables = get_3d_rotary_pos_embed(
                config.attention_head_dim,
                None,
                (height, width),
                frames // depth,
                grid_type="slice",
                max_size=whole,
                device=self.device,
            )
        return tables[0], tables[1]


def _straight_times(alphas_cumprod: Tensor) -> Tensor:
    """``s / (a + s)`` of each step, (steps,), float64, growing."""
    a, s = alphas_cumprod.double().sqrt(), (1 - alphas_cumprod.double()).sqrt()
    return s / (a + s)
