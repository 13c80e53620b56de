"""Tiny random CogVideoX pipelines: as 5B, and as 1.5-5B."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.models.families import Family
from tests.models.tiny_text import WIDTH, diffusers, t5_encoder, t5_tokenizer


def saver(patch_size_t: int | None) -> Callable[[Path], Path]:
    """A function that saves one: latents of 4 x 8 x 8 pixels, 2 blocks of width 32."""

    def save(folder: Path) -> Path:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            transformer = diffusers.CogVideoXTransformer3DModel(
                num_attention_heads=2,
                attention_head_dim=16,
                in_channels=4,
                out_channels=4,
                time_embed_dim=8,
                text_embed_dim=WIDTH,
                num_layers=2,
                sample_width=4,
                sample_height=4,
                sample_frames=9,
                patch_size_t=patch_size_t,
                patch_bias=patch_size_t is None,
                use_rotary_positional_embeddings=True,
            )
            vae = diffusers.AutoencoderKLCogVideoX(
                block_out_channels=(8, 8, 8, 8),
                latent_channels=4,
                layers_per_block=1,
                norm_num_groups=2,
                temporal_compression_ratio=4,
                scaling_factor=0.7,
                invert_scale_latents=patch_size_t is not None,
            )
        pipeline()(
            transformer=transformer,
            vae=vae,
            text_encoder=t5_encoder(),
            tokenizer=t5_tokenizer(),
            scheduler=diffusers.CogVideoXDDIMScheduler(
                prediction_type="v_prediction",
                timestep_spacing="trailing",
                rescale_betas_zero_snr=True,
                snr_shift_scale=1.0,
                clip_sample=False,
            ),
        ).save_pretrained(folder)
        return folder

    return save


def pipeline() -> Any:
    """The real pipeline's class."""
    return diffusers.CogVideoXPipeline


def _turned(latents: torch.Tensor, *_: Any) -> torch.Tensor:
    return latents.transpose(1, 2)


FAMILY = Family(
    name="cogvideox",
    backends=(),
    save=saver(None),
    pipeline=pipeline,
    layers=2 * 6,
    frames=9,
    packed=_turned,
    unpacked=_turned,
)
FAMILY_15 = Family(
    name="cogvideox-1.5",
    backends=(),
    save=saver(2),
    pipeline=pipeline,
    layers=2 * 6,
    frames=9,
    packed=_turned,
    unpacked=_turned,
)
