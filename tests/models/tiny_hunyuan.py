"""A tiny random HunyuanVideo pipeline."""

from pathlib import Path
from typing import Any

import torch

from tests.models.families import Family
from tests.models.tiny_text import WIDTH, diffusers, word_tokenizer


def save(folder: Path) -> Path:
    """Save it: latents of 4 x 8 x 8 pixels, a block of either kind, of width 20."""
    from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
    from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaModel

    instruction, _, _ = DEFAULT_PROMPT_TEMPLATE["template"].partition("{}")
    tokenizer = word_tokenizer(instruction, DEFAULT_PROMPT_TEMPLATE["crop_start"])
    tokenizer_2 = word_tokenizer("", 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = diffusers.HunyuanVideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=10,
            num_layers=1,
            num_single_layers=1,
            num_refiner_layers=1,
            text_embed_dim=WIDTH,
            pooled_projection_dim=8,
            rope_axes_dim=(2, 4, 4),
        )
        vae = diffusers.AutoencoderKLHunyuanVideo(
            latent_channels=4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=4,
        )
        text_encoder = LlamaModel(
            LlamaConfig(
                vocab_size=len(tokenizer) + 5,
                hidden_size=WIDTH,
                intermediate_size=16,
                num_hidden_layers=3,  # the last two are not read
                num_attention_heads=2,
                max_position_embeddings=512,
                pad_token_id=0,
            )
        )
        text_encoder_2 = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer_2),
                hidden_size=8,
                intermediate_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                bos_token_id=1,
                eos_token_id=2,
                pad_token_id=0,
            )
        )
    pipeline()(
        transformer=transformer,
        vae=vae,
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2.eval(),
        tokenizer_2=tokenizer_2,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
    ).save_pretrained(folder)
    return folder


def pipeline() -> Any:
    """The real pipeline's class."""
    return diffusers.HunyuanVideoPipeline


FAMILY = Family(name="hunyuan", save=save, pipeline=pipeline, layers=12 + 5)
