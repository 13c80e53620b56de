"""How the published pipelines of the catalog are built: classes and configurations, no weights.

What is not said is the default of the class, which is the published model's. Compared, as far as
layers and parameters go, with the published sizes (tests/models/test_real_configs.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_Config = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A pipeline's parts.

    Attributes:
        pipeline: its class.
        transformer: class of the denoiser; ``transformer_config`` is what differs from its
            defaults.
        vae: class of the autoencoder; ``vae_config`` likewise.
        scheduler: class, with its defaults.
        text_billions: parameters of all text encoders together.
        index: what else ``model_index.json`` says.
    """

    pipeline: str
    transformer: str
    vae: str
    text_billions: float
    transformer_config: _Config = field(default_factory=dict)
    vae_config: _Config = field(default_factory=dict)
    scheduler: str = "FlowMatchEulerDiscreteScheduler"
    index: _Config = field(default_factory=dict)


_UMT5, _T5, _LLAMA_CLIP, _QWEN_BYT5, _GEMMA = 5.7, 4.8, 7.6, 7.3, 12.2


def _wan(transformer_config: _Config, **more: Any) -> Published:
    return Published(
        **{
            "pipeline": "WanPipeline",
            "transformer": "WanTransformer3DModel",
            "vae": "AutoencoderKLWan",
            "text_billions": _UMT5,
            "transformer_config": transformer_config,
            **more,
        }
    )


def _cogvideox(transformer_config: _Config) -> Published:
    return Published(
        pipeline="CogVideoXPipeline",
        transformer="CogVideoXTransformer3DModel",
        vae="AutoencoderKLCogVideoX",
        text_billions=_T5,
        transformer_config=transformer_config,
        scheduler="CogVideoXDDIMScheduler",
    )


_COG_5B: _Config = {
    "num_attention_heads": 48,
    "num_layers": 42,
    "use_rotary_positional_embeddings": True,
}
_VAE_22: _Config = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 48,  # the numbers themselves take no memory
    "latents_std": [1.0] * 48,
}
PUBLISHED: Mapping[str, Published] = {
    "wan2.1-1.3b": _wan({"num_attention_heads": 12, "num_layers": 30, "ffn_dim": 8960}),
    "wan2.1-14b": _wan({}),
    "wan2.2-5b": _wan(
        {
            "num_attention_heads": 24,
            "num_layers": 30,
            "ffn_dim": 14336,
            "in_channels": 48,
            "out_channels": 48,
        },
        vae_config=_VAE_22,
        index={"expand_timesteps": True},
    ),
    "wan2.2-a14b": _wan({}, index={"boundary_ratio": 0.875}),
    "ltx-2b": Published(
        pipeline="LTXPipeline",
        transformer="LTXVideoTransformer3DModel",
        vae="AutoencoderKLLTXVideo",
        text_billions=_T5,
    ),
    # The class's defaults are what diffusers' own conversion of the published weights sets.
    "ltx-2": Published(
        pipeline="LTX2Pipeline",
        transformer="LTX2VideoTransformer3DModel",
        vae="AutoencoderKLLTX2Video",
        vae_config={"spatial_compression_ratio": 32, "temporal_compression_ratio": 8},
        text_billions=_GEMMA + 1.4,  # with the connectors
    ),
    "hunyuan": Published(
        pipeline="HunyuanVideoPipeline",
        transformer="HunyuanVideoTransformer3DModel",
        vae="AutoencoderKLHunyuanVideo",
        text_billions=_LLAMA_CLIP,
        transformer_config={"guidance_embeds": True},
    ),
    "hunyuan1.5": Published(
        pipeline="HunyuanVideo15Pipeline",
        transformer="HunyuanVideo15Transformer3DModel",
        vae="AutoencoderKLHunyuanVideo15",
        text_billions=_QWEN_BYT5,
    ),
    "cogvideox-2b": _cogvideox({}),
    "cogvideox-5b": _cogvideox(_COG_5B),
    "cogvideox1.5-5b": _cogvideox(
        {
            **_COG_5B,
            "patch_size_t": 2,
            "patch_bias": False,
            "sample_height": 96,  # in latents: its largest picture
            "sample_width": 170,
        }
    ),
    "mochi": Published(
        pipeline="MochiPipeline",
        transformer="MochiTransformer3DModel",
        vae="AutoencoderKLMochi",
        text_billions=_T5,
    ),
}
