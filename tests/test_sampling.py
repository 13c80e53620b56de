"""Our sampler equals diffusers' pipeline, and sets strengths anew for each step."""

import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline

from setseq.lora.inject import inject
from setseq.lora.layer import ConceptLinear
from setseq.models.registry import load_model
from setseq.sampling import Schedules, draw_noise, sample
from setseq.strengths import Schedule, parse_strength
from setseq.toybox.shipped import asset

PROMPTS = ["a red character in the snow", "a blue character ."]


def _pipeline_videos(
    folder,
    noise: torch.Tensor,
    guidance: float,
    output: str,
    *,
    prompts=PROMPTS,
    side: int = 32,
    num_frames: int = 5,
    num_steps: int = 4,
) -> torch.Tensor:
    pipeline = WanPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt=prompts,
        negative_prompt="",
        height=side,
        width=side,
        num_frames=num_frames,
        num_inference_steps=num_steps,
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


def test_the_shipped_base_shows_the_same_in_plain_diffusers():
    model, guidance = load_model("toybox"), 3.0
    noise = draw_noise(model.geometry.latent_shape(9), [1])
    ours = sample(model, PROMPTS[:1], noise, num_steps=2, guidance=guidance)
    sizes = {"side": 64, "num_frames": 9, "num_steps": 2}
    theirs = _pipeline_videos(asset("base"), noise, guidance, "pt", prompts=PROMPTS[:1], **sizes)
    pixels = theirs.transpose(1, 2) * 2 - 1
    torch.testing.assert_close(model.decode_video(ours).clamp(-1, 1), pixels, atol=1e-3, rtol=0)


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


def _with_strengths(model, identity: float | str, motion: float | str) -> torch.Tensor:
    """Latents of a concept with large random coefficients, sampled under these strengths."""
    generator = torch.Generator().manual_seed(3)
    injection = inject(model.denoiser, model.lora_targets, rank=2, generator=generator)
    try:
        with torch.no_grad():
            for layer in injection.layers.values():
                layer.identity.normal_(generator=generator)
                layer.motion.normal_(generator=generator)
        strengths = Schedules(injection, parse_strength(identity), parse_strength(motion))
        noise = draw_noise(model.geometry.latent_shape(9, 32, 32), [1])
        return sample(model, PROMPTS[:1], noise, num_steps=3, guidance=2.0, strengths=strengths)
    finally:
        injection.remove()


def test_a_constant_schedule_is_bit_equal_to_the_number(tiny_model):
    number = _with_strengths(tiny_model, 0.7, 1.0)
    for form in ("0.7 to 0.7", "0.7 to 0.7 over frames"):
        assert torch.equal(_with_strengths(tiny_model, form, "1 to 1 over frames"), number)


def test_schedules_change_the_video_over_steps_and_over_frames_in_their_own_ways(tiny_model):
    forms = (1.0, 0.4, "1.0 to 0.4", "1.0 to 0.4 over frames", "0.4 to 1.0 over frames")
    videos = [_with_strengths(tiny_model, form, 1.0) for form in forms]
    for place, video in enumerate(videos):
        assert torch.isfinite(video).all()
        for other in videos[:place]:
            assert not torch.allclose(video, other, atol=1e-3)


def test_each_step_takes_its_own_strength(tiny_model, monkeypatch):
    seen: list[object] = []
    velocity = tiny_model.velocity

    def spy(*args, **kwargs):
        layers = [m for m in tiny_model.denoiser.modules() if isinstance(m, ConceptLinear)]
        assert len({layer.identity_strength for layer in layers}) == 1
        seen.append(layers[0].identity_strength)
        return velocity(*args, **kwargs)

    monkeypatch.setattr(tiny_model, "velocity", spy)
    _with_strengths(tiny_model, "1.0 to 0.5", 1.0)
    assert seen == [1.0, 1.0, 0.75, 0.75, 0.5, 0.5]  # with guidance each step has two passes


def test_the_tokens_of_a_video_are_told_from_the_text(tiny_model):
    """Strengths over frames reach self-attention by the frame, and the text's keys by the mean."""
    seen: dict[str, int] = {}
    generator = torch.Generator().manual_seed(3)
    injection = inject(tiny_model.denoiser, tiny_model.lora_targets, rank=2, generator=generator)

    def watch(name: str, layer: ConceptLinear) -> None:
        def note(_: object, inputs: tuple[torch.Tensor]) -> None:
            seen[name] = inputs[0].shape[1] - layer.video_tokens

        layer.register_forward_pre_hook(note)

    for name, layer in injection.layers.items():
        watch(name, layer)
    try:
        schedule = Schedule((1.0, 0.0), "frames")
        noise = draw_noise(tiny_model.geometry.latent_shape(9, 32, 32), [1])
        strengths = Schedules(injection, schedule, schedule)
        sample(tiny_model, PROMPTS[:1], noise, num_steps=1, guidance=1.0, strengths=strengths)
    finally:
        injection.remove()
    of_text = {name for name in seen if name.endswith(("attn2.to_k", "attn2.to_v"))}
    assert of_text == {name for name, rest in seen.items() if rest != 0}
    assert of_text


def test_each_step_is_fed_the_last_ones_guided_estimate_where_the_model_reads_it(
    tiny_model, monkeypatch
):
    added = tiny_model.add_self_conditioning()
    with torch.no_grad():
        added.projection.weight.normal_(generator=torch.Generator().manual_seed(0))
    seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor]] = []
    velocity = tiny_model.velocity

    def spy(latents, time, conditioning, estimate=None):
        predicted = velocity(latents, time, conditioning, estimate)
        seen.append((latents, time, estimate, predicted))
        return predicted

    monkeypatch.setattr(tiny_model, "velocity", spy)
    noise = draw_noise(tiny_model.geometry.latent_shape(1, 32, 32), [1])
    fed = sample(tiny_model, PROMPTS[:1], noise, num_steps=2, guidance=3.0)
    (latents, time, first, to), (_, _, also_first, away), *later = seen
    assert first is None
    assert also_first is None
    guided = away + 3.0 * (to - away)
    for _, _, estimate, _ in later:
        assert estimate is not None
        torch.testing.assert_close(estimate, latents - time * guided)
    seen.clear()
    alone = sample(
        tiny_model, PROMPTS[:1], noise, num_steps=2, guidance=3.0, self_conditioning=False
    )
    assert all(estimate is None for _, _, estimate, _ in seen)
    assert not torch.allclose(fed, alone, atol=1e-3)
