"""The model equals the diffusers pipeline that it was loaded from."""

import pytest
import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline

from setseq.errors import PromptError, SettingsError
from setseq.models.base import VideoModel
from setseq.models.registry import TOYBOX, load_model
from tests.tiny import save_tiny_pipeline, unipc_scheduler

PROMPTS = ["a red  character\nin the snow", "", "it is &amp; bouncing."]


@pytest.fixture(scope="session")
def pipeline(tiny_folder) -> WanPipeline:
    pipe = WanPipeline.from_pretrained(tiny_folder)
    pipe.text_encoder.eval()
    return pipe


@torch.no_grad()
def test_encoded_prompts_equal_the_pipelines(tiny_model: VideoModel, pipeline):
    expected, _ = pipeline.encode_prompt(PROMPTS, None, False, max_sequence_length=512)
    rows = tiny_model.encode_prompts(PROMPTS).tensors["text"]
    torch.testing.assert_close(rows, expected[:, : rows.shape[1]])
    assert not expected[:, rows.shape[1] :].any()


@torch.no_grad()
def test_the_velocity_equals_the_plain_transformers_at_512_rows(tiny_model, pipeline):
    expected, _ = pipeline.encode_prompt(PROMPTS, None, False, max_sequence_length=512)
    latents = torch.randn(3, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    time = torch.tensor([0.1, 0.5, 0.9])
    plain = pipeline.transformer(latents, time * 1000, expected, return_dict=False)[0]
    folded = tiny_model.velocity(latents, time, tiny_model.encode_prompts(PROMPTS))
    torch.testing.assert_close(folded, plain, atol=1e-5, rtol=0)


def test_selected_prompts_repeat_in_order(tiny_model):
    text = tiny_model.encode_prompts(PROMPTS).select([2, 0, 2]).tensors["text"]
    assert torch.equal(text[0], text[2])
    assert not torch.equal(text[0], text[1])


def test_the_sampling_times_are_the_schedulers_own(tiny_model, pipeline):
    pipeline.scheduler.set_timesteps(7)
    assert torch.equal(tiny_model.sigmas(7), pipeline.scheduler.sigmas)
    assert tiny_model.timestep_shift == 3.0


def test_the_scheduler_of_published_wan_models_gives_the_same_kind_of_times(tmp_path):
    model = load_model(save_tiny_pipeline(tmp_path / "tiny", scheduler=unipc_scheduler()))
    assert model.timestep_shift == 3.0
    sigmas = model.sigmas(8)
    assert sigmas.shape == (9,)
    assert sigmas[0] == pytest.approx(1, abs=2e-3)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()
    scheduler = unipc_scheduler()
    scheduler.set_timesteps(8)
    assert torch.equal(sigmas, scheduler.sigmas)
    assert (scheduler.timesteps - 1000 * sigmas[:-1]).abs().max() < 1  # it cuts them to integers


def test_latents_are_normalised_and_decode_back_as_in_the_pipeline(tiny_model, pipeline):
    pixels = torch.rand(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = tiny_model.encode_video(pixels)
    assert latents.shape[1:] == tiny_model.geometry.latent_shape(5, 32, 32)
    mean, std = (
        torch.tensor(getattr(pipeline.vae.config, name)).view(1, -1, 1, 1, 1)
        for name in ("latents_mean", "latents_std")
    )
    with torch.no_grad():
        raw = pipeline.vae.encode(pixels).latent_dist.mode()
        decoded = pipeline.vae.decode(raw, return_dict=False)[0]
    torch.testing.assert_close(latents * std + mean, raw)
    torch.testing.assert_close(tiny_model.decode_video(latents), decoded)


def test_a_lone_frame_is_the_clips_first_latent(tiny_model):
    pixels = torch.rand(1, 3, 5, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    clip = tiny_model.encode_video(pixels)
    torch.testing.assert_close(tiny_model.encode_video(pixels[:, :, :1]), clip[:, :, :1])


def test_a_prompt_beyond_the_limit_is_refused_with_what_is_cut(tiny_model):
    tiny_model.encode_prompts(["red " * 511])  # and the end token
    with pytest.raises(PromptError, match=r"has 513 tokens .* reads 512; .*: 'bouncing'$"):
        tiny_model.encode_prompts(["red " * 511 + "bouncing"])


def test_sizes_that_the_model_cannot_make_are_refused(tiny_model):
    with pytest.raises(SettingsError, match=r"6 frames do not fit .* 5 or 9"):
        tiny_model.geometry.latent_shape(6, 32, 32)
    with pytest.raises(SettingsError, match="multiple of 16"):
        tiny_model.geometry.latent_shape(5, 40, 32)


@torch.no_grad()
def test_the_longest_video_is_the_one_that_the_network_still_has_positions_for(tiny_model):
    conditioning = tiny_model.encode_prompts(["red"])
    longest = torch.zeros(1, *tiny_model.geometry.latent_shape(4093, 16, 16))
    longer = torch.zeros(1, 4, longest.shape[2] + 1, *longest.shape[3:])
    tiny_model.velocity(longest, torch.tensor([0.5]), conditioning)
    with pytest.raises(RuntimeError, match=r"size|shape"):
        tiny_model.velocity(longer, torch.tensor([0.5]), conditioning)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((4097, 16, 16), "4097 frames cannot be: the model has positions for 4093 at most"),
        ((5, 16400, 16), "a height of 16400 pixels cannot be: .* for 16384 at most; give less"),
        ((5, 16, 16400), "a width of 16400 pixels cannot be: .* for 16384 at most; give less"),
    ],
)
def test_sizes_beyond_the_positions_of_the_network_are_refused(tiny_model, size, message):
    with pytest.raises(SettingsError, match=message):
        tiny_model.geometry.latent_shape(*size)


def test_the_toybox_says_its_own_longest_video():
    geometry = load_model(TOYBOX).geometry
    assert geometry.places == (64, 64, 64)
    with pytest.raises(SettingsError, match=r"4001 frames cannot be: .* at most; give less"):
        geometry.latent_shape(4001)


def test_everything_is_frozen_and_in_eval_mode(tiny_model):
    for network in (tiny_model.denoiser, tiny_model._text_encoder, tiny_model._autoencoder):
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
