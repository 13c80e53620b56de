"""A tiny random LTX-Video pipeline."""

from pathlib import Path
from typing import Any

import torch

from setseq.models.base import Geometry
from tests.models.families import Family
from tests.models.tiny_text import WIDTH, diffusers, t5_encoder, t5_tokenizer


def save(folder: Path) -> Path:
    """Save it: latents of 4 x 4 x 4 pixels with 8 channels, 2 blocks of width 16."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = diffusers.LTXVideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=16,
            num_layers=2,
            caption_channels=WIDTH,
        )
        vae = diffusers.AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
            spatio_temporal_scaling=(True, True, False, False),
            decoder_spatio_temporal_scaling=(True, True, False, False),
            patch_size=1,
        )
        vae.latents_mean.normal_()
        vae.latents_std.uniform_(0.5, 2)
    pipeline()(
        transformer=transformer,
        vae=vae,
        text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.95,
            max_shift=2.05,
            base_image_seq_len=1024,
            max_image_seq_len=2**20,  # the tiny autoencoder leaves many tokens to the default size
            shift_terminal=0.1,
        ),
    ).save_pretrained(folder)
    return folder


def pipeline() -> Any:
    """The real pipeline's class."""
    return diffusers.LTXPipeline


def unpacked(tokens: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """The pipeline's tokens (b, n, c) as latents."""
    return tokens.transpose(1, 2).unflatten(2, geometry.latent_shape(5, 32, 32)[1:])


FAMILY = Family(
    name="ltx",
    save=save,
    pipeline=pipeline,
    layers=2 * 10,
    programs=("both",),
    call={"frame_rate": 25},
    packed=lambda latents: latents.flatten(2).transpose(1, 2),
    unpacked=unpacked,
)
