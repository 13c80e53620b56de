"""A tiny random Mochi pipeline."""

from pathlib import Path
from typing import Any

import torch

from tests.models.families import Family
from tests.models.tiny_text import WIDTH, diffusers, t5_encoder, t5_tokenizer


def save(folder: Path) -> Path:
    """Save it: latents of 6 x 8 x 8 pixels with 12 channels, 2 blocks of width 16."""
    widths = (32, 32, 32, 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = diffusers.MochiTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            num_layers=2,
            pooled_projection_dim=16,
            in_channels=12,
            text_embed_dim=WIDTH,
            time_embed_dim=8,
        )
        torch.nn.init.normal_(transformer.pos_frequencies)
        vae = diffusers.AutoencoderKLMochi(
            encoder_block_out_channels=widths,
            decoder_block_out_channels=widths,
            layers_per_block=(1, 1, 1, 1, 1),
        )
    pipeline()(
        transformer=transformer,
        vae=vae,
        text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
        force_zeros_for_empty_prompt=True,
    ).save_pretrained(folder)
    return folder


def pipeline() -> Any:
    """The real pipeline's class."""
    return diffusers.MochiPipeline


FAMILY = Family(
    name="mochi",
    backends=(),
    save=save,
    pipeline=pipeline,
    layers=12 + 9,
    idle=("transformer_blocks.1.attn1.add_q_proj",),  # the last block returns no text
    frames=7,
)
