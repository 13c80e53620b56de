"""Tiny random Wan pipelines, of the standard classes, for tests."""

from pathlib import Path
from typing import Any

import torch

WORDS = (
    "a",
    "character",
    "in",
    "the",
    "snow",
    "it",
    "is",
    "red",
    "blue",
    ".",
    "bouncing",
    "zor",
    "dax",
)


def tiny_transformer(seed: int = 0, num_layers: int = 2):
    """A WanTransformer3DModel of width 24 with random weights, in eval mode."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=4,
            out_channels=4,
            text_dim=16,
            freq_dim=16,
            ffn_dim=32,
            num_layers=num_layers,
        )
    return model.eval()


def euler_scheduler() -> Any:
    """The scheduler of the toybox's base."""
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
        FlowMatchEulerDiscreteScheduler,
    )

    return FlowMatchEulerDiscreteScheduler(shift=3.0)


def unipc_scheduler() -> Any:
    """The scheduler that the published Wan models come with."""
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )


def save_tiny_pipeline(folder: Path, seed: int = 0, scheduler: Any = None) -> Path:
    """Save a complete tiny Wan pipeline folder (standard autoencoder, 4 x 8 compression)."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline
    from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -9.0)]
    vocabulary += [("▁" + word, -2.0) for word in WORDS]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_encoder = UMT5EncoderModel(
            UMT5Config(
                vocab_size=len(vocabulary) + 3,  # spare rows, as real T5 matrices have
                d_model=16,
                d_kv=8,
                d_ff=32,
                num_layers=2,
                num_heads=2,
                dropout_rate=0.0,
            )
        )
        vae = AutoencoderKLWan(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[1.5, 0.5, 2.0, 1.0],
        )
    WanPipeline(
        tokenizer=T5Tokenizer(vocab=vocabulary, extra_ids=0),  # pyright: ignore[reportArgumentType]
        text_encoder=text_encoder,
        vae=vae,
        transformer=tiny_transformer(seed),
        scheduler=scheduler or euler_scheduler(),
    ).save_pretrained(folder)
    return folder
