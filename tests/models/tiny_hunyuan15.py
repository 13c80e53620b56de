"""A tiny random HunyuanVideo 1.5 pipeline."""

import inspect
from pathlib import Path
from typing import Any

import torch

from tests.models.families import Family
from tests.models.tiny_text import WIDTH, diffusers, t5_encoder, word_tokenizer

_START = 108  # tokens before the prompt in the published tokenizer's chat template


def _tokenizer() -> Any:
    """A tokenizer whose chat template puts 108 tokens before the prompt, as the published one."""
    arguments = inspect.signature(pipeline()._get_mllm_prompt_embeds).parameters
    tokenizer = word_tokenizer(arguments["system_message"].default)
    own = len(tokenizer(arguments["system_message"].default).input_ids)
    tokenizer.chat_template = (
        "{{ 'a ' * " + str(_START - own) + " }}{{ messages[0].content }} {{ messages[1].content }}"
    )
    return tokenizer


def save(folder: Path) -> Path:
    """Save it: latents of 4 x 16 x 16 pixels with 4 channels, 2 blocks of width 20."""
    from transformers import ByT5Tokenizer, Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

    tokenizer = _tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = diffusers.HunyuanVideo15Transformer3DModel(
            in_channels=9,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=10,
            num_layers=2,
            num_refiner_layers=1,
            text_embed_dim=WIDTH,
            text_embed_2_dim=WIDTH,
            image_embed_dim=8,
            rope_axes_dim=(2, 4, 4),
            task_type="t2v",
        )
        vae = diffusers.AutoencoderKLHunyuanVideo15(
            latent_channels=4,
            block_out_channels=(32, 32, 32, 32, 32),
            layers_per_block=1,
        )
        text_encoder = Qwen2_5_VLTextModel(
            Qwen2_5_VLTextConfig(
                vocab_size=len(tokenizer) + 5,
                hidden_size=WIDTH,
                intermediate_size=16,
                num_hidden_layers=3,  # the last two are not read
                num_attention_heads=2,
                num_key_value_heads=2,
                bos_token_id=1,
                eos_token_id=2,
                rope_parameters={
                    "rope_type": "default",
                    "rope_theta": 1e6,
                    "mrope_section": [1, 1, 2],
                },
            )
        )
    pipeline()(
        transformer=transformer,
        vae=vae,
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        text_encoder_2=t5_encoder(vocabulary=400),
        tokenizer_2=ByT5Tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0),
        guider=diffusers.ClassifierFreeGuidance(guidance_scale=4.0),
    ).save_pretrained(folder)
    return folder


def pipeline() -> Any:
    """The real pipeline's class."""
    return diffusers.HunyuanVideo15Pipeline


def _load(made: Any, folder: Path) -> None:
    """The pipeline has no loader of its own; its transformer has."""
    made.transformer.load_lora_adapter(
        str(folder), weight_name="lora.safetensors", prefix="transformer"
    )


FAMILY = Family(
    name="hunyuan-1.5",
    save=save,
    pipeline=pipeline,
    layers=2 * 12,
    idle=tuple(  # the last block's text goes nowhere
        f"transformer_blocks.1.{layer}"
        for layer in (
            "attn.add_q_proj",
            "attn.to_add_out",
            "ff_context.net.0.proj",
            "ff_context.net.2",
        )
    ),
    guided=lambda made, guidance: {},
    load_lora=_load,
    unload_lora=lambda made: made.transformer.unload_lora(),
)
