"""Our sampler equals diffusers' pipeline."""

import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline

from setseq.sampling import draw_noise, sample

PROMPTS = ["a red character in the snow", "a blue character ."]


def _pipeline_videos(folder, noise: torch.Tensor, guidance: float, output: str) -> torch.Tensor:
    pipeline = WanPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt=PROMPTS,
        negative_prompt="",
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=4,
        guidance_scale=guidance,
        latents=noise.clone(),
        output_type=output,
        return_dict=False,
    )[0]


def test_latents_and_pixels_equal_the_pipelines(tiny_folder, tiny_model):
    noise = draw_noise(tiny_model.geometry.latent_shape(5, 32, 32), [1, 2])
    ours = sample(tiny_model, PROMPTS, noise, num_steps=4, guidance=5.0)
    theirs = _pipeline_videos(tiny_folder, noise, 5.0, "latent")
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    pixels = _pipeline_videos(tiny_folder, noise, 5.0, "pt").transpose(1, 2) * 2 - 1
    torch.testing.assert_close(tiny_model.decode_video(ours), pixels, atol=1e-4, rtol=0)


def test_without_guidance_too(tiny_folder, tiny_model):
    noise = draw_noise(tiny_model.geometry.latent_shape(5, 32, 32), [1, 2])
    ours = sample(tiny_model, PROMPTS, noise, num_steps=4, guidance=1.0)
    theirs = _pipeline_videos(tiny_folder, noise, 1.0, "latent")
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_a_video_does_not_depend_on_the_others_of_its_batch(tiny_model):
    shape = tiny_model.geometry.latent_shape(1, 32, 32)
    both = sample(tiny_model, PROMPTS, draw_noise(shape, [1, 2]), num_steps=2, guidance=3.0)
    alone = sample(tiny_model, PROMPTS[1:], draw_noise(shape, [2]), num_steps=2, guidance=3.0)
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)


def test_each_step_is_reported(tiny_model):
    seen: list[tuple[int, int]] = []
    noise = draw_noise(tiny_model.geometry.latent_shape(1, 16, 16), [0])
    sample(
        tiny_model,
        ["a"],
        noise,
        num_steps=3,
        guidance=1.0,
        on_step=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
