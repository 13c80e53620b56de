"""Tiny random Wan pipelines: 2.1, 2.2 with two experts, and 2.2 TI2V."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.models.families import Family
from tests.models.tiny_text import diffusers
from tests.tiny import euler_scheduler, save_tiny_pipeline, tiny_transformer


def pipeline() -> Any:
    """The real pipeline's class."""
    return diffusers.WanPipeline


def _changed(change: Callable[[Any], None]) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        made = pipeline().from_pretrained(save_tiny_pipeline(folder / "plain"))
        change(made)
        made.save_pretrained(folder / "base")
        return folder / "base"

    return save


def _two_experts(made: Any) -> None:
    made.register_modules(transformer_2=tiny_transformer(seed=1))
    made.register_to_config(boundary_ratio=0.875)


def _of_its_own_autoencoder(made: Any) -> None:
    """TI2V: latents of 4 x 16 x 16 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = diffusers.AutoencoderKLWan(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[1.5, 0.5, 2.0, 1.0],
            is_residual=True,
            in_channels=12,
            out_channels=12,
            patch_size=2,
            scale_factor_spatial=16,
        )
    made.register_modules(vae=vae, scheduler=euler_scheduler())
    made.register_to_config(expand_timesteps=True)


def _load_both(made: Any, folder: Path) -> None:
    made.load_lora_weights(str(folder), weight_name="lora.high-noise.safetensors")
    made.load_lora_weights(
        str(folder), weight_name="lora.low-noise.safetensors", load_into_transformer_2=True
    )


FAMILY = Family(
    name="wan",
    backends=("_native_math", "_native_flash"),
    save=save_tiny_pipeline,
    pipeline=pipeline,
    layers=20,
    programs=("both", "kohya"),
)
FAMILY_A14B = Family(
    name="wan-2.2-a14b",
    backends=("_native_math", "_native_flash"),
    save=_changed(_two_experts),
    pipeline=pipeline,
    layers=40,
    batch=6,  # times from six parts of the density: the noisy expert's are a fifth of it
    load_lora=_load_both,
    programs=("both", "kohya"),
)
FAMILY_TI2V = Family(
    name="wan-2.2-ti2v",
    backends=("_native_math", "_native_flash"),
    save=_changed(_of_its_own_autoencoder),
    pipeline=pipeline,
    layers=20,
    size=64,  # a frame of one token learns nothing by attention
)
