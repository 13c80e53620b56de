"""A tiny random LTX-2 pipeline, with its sound."""

from pathlib import Path
from typing import Any

import torch

from setseq.models.base import Geometry
from tests.models.families import Family
from tests.models.tiny_text import WIDTH, diffusers, word_tokenizer

MEAN, STD = torch.linspace(-1, 1, 8), torch.linspace(0.5, 2, 8)  # of the latents' channels
_GEMMA_LAYERS = 3
# What makes the pipeline's call sample the picture as if there were no sound, by its own arguments:
# its last pass is the isolated one, and a weight of 0 puts it in place of the joint one.
ISOLATED = {
    "modality_scale": 0.0,
    "audio_modality_scale": 2.0,  # above 1, or there is no such pass
    "audio_guidance_scale": 1.0,
    "stg_scale": 0.0,
    "audio_stg_scale": 0.0,
    "guidance_rescale": 0.0,
}
_LTX_23 = {  # what differs in version 2.3's network
    "gated_attn": True,
    "audio_gated_attn": True,
    "cross_attn_mod": True,
    "audio_cross_attn_mod": True,
    "perturbed_attn": True,
    "use_prompt_embeddings": False,
}


def pipeline() -> Any:
    """The real pipeline's class."""
    return diffusers.LTX2Pipeline


def _text_encoder(vocabulary: int) -> Any:
    """A Gemma 3 of width 16, with eyes that nothing looks through."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    layers = {"num_hidden_layers": _GEMMA_LAYERS, "num_attention_heads": 2}
    vision = {"hidden_size": 8, "intermediate_size": 8, "image_size": 16, "patch_size": 8}
    text = {"hidden_size": WIDTH, "intermediate_size": 16, "head_dim": 8, "num_key_value_heads": 1}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "vocab_size": vocabulary + 5}
    config = Gemma3Config(
        text_config=text | layers | ids,
        vision_config=vision | layers | {"num_hidden_layers": 1},
        mm_tokens_per_image=1,
    )
    return Gemma3ForConditionalGeneration(config).eval()


def _transformer(version: dict[str, Any]) -> Any:
    """A network of 2 blocks, of width 16 for the picture and 8 for the sound."""
    return diffusers.LTX2VideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        vae_scale_factors=(4, 4, 4),
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=2,
        caption_channels=WIDTH,
        rope_type="split",
        **version,
    )


def _connectors(version: dict[str, Any]) -> Any:
    """What stands between Gemma and the network."""
    own = 8 if version else WIDTH
    return diffusers.pipelines.ltx2.connectors.LTX2TextConnectors(
        caption_channels=WIDTH,
        text_proj_in_factor=_GEMMA_LAYERS + 1,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=own // 2,
        audio_connector_num_layers=1,
        rope_type="split",
        per_modality_projections=bool(version),
        video_hidden_dim=WIDTH,
        audio_hidden_dim=own,
    )


def _autoencoder() -> Any:
    """The picture's: latents of 4 x 4 x 4 pixels with 8 channels."""
    vae = diffusers.AutoencoderKLLTX2Video(
        latent_channels=8,
        block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        spatio_temporal_scaling=(True, True),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(False, False, False),
        downsample_type=("spatiotemporal", "spatiotemporal"),
        upsample_type=("spatiotemporal", "spatiotemporal"),
        upsample_residual=(False, False),
        upsample_factor=(1, 1),
        down_block_types=("LTX2VideoDownBlock3D", "LTX2VideoDownBlock3D"),
        patch_size=1,
        decoder_causal=False,
    )
    vae.latents_mean.copy_(MEAN)
    vae.latents_std.copy_(STD)
    return vae


def _sound() -> dict[str, Any]:
    """The sound's autoencoder and the vocoder behind it."""
    audio_vae = diffusers.AutoencoderKLLTX2Audio(
        base_channels=4,
        ch_mult=(1,),
        num_res_blocks=1,
        resolution=32,
        latent_channels=2,
        mel_bins=8,
    )
    vocoder = diffusers.pipelines.ltx2.vocoder.LTX2Vocoder(
        in_channels=16,
        hidden_channels=8,
        upsample_kernel_sizes=[4],
        upsample_factors=[2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
    )
    return {"audio_vae": audio_vae, "vocoder": vocoder}


def save(folder: Path, version: dict[str, Any] | None = None) -> Path:
    """Save it; both streams hear each other from the start, as in a trained model."""
    tokenizer = word_tokenizer("", start=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {
            "transformer": _transformer(version or {}),
            "connectors": _connectors(version or {}),
            "vae": _autoencoder(),
            "text_encoder": _text_encoder(len(tokenizer)),
            **_sound(),
        }
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=2**20,  # the tiny autoencoder leaves many tokens to the default size
        shift_terminal=0.1,
    )
    pipeline()(tokenizer=tokenizer, scheduler=scheduler, **parts).save_pretrained(folder)
    return folder


def save_23(folder: Path) -> Path:
    """Save one as of version 2.3."""
    return save(folder, _LTX_23)


def normalised(latents: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """The pipeline's latents, which it gives back as the autoencoder has them."""
    mean, std = (x.view(1, -1, 1, 1, 1) for x in (MEAN, STD))
    return (latents - mean) / std


FAMILY = Family(
    name="ltx2",
    save=save,
    pipeline=pipeline,
    layers=2 * 10,
    call={"frame_rate": 24, **ISOLATED},
    guidance=1.0,
    packed=lambda latents: latents.flatten(2).transpose(1, 2),
    unpacked=normalised,
)
