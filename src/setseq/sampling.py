"""Euler sampling of the flow with classifier-free guidance: the one sampler of the package."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from setseq.concept import Concept
from setseq.config import GenerateSettings
from setseq.errors import ConceptFileError, SettingsError
from setseq.flow import clean_estimate
from setseq.lora.inject import Injection, inject_concept
from setseq.models.base import Conditioning, VideoModel
from setseq.precision import Precision, autocast, resolved
from setseq.strengths import Schedule, parse_strength
from setseq.video.views import to_frames


def draw_noise(shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """Start noise (len(seeds), *shape): one generator a video, so that no other changes it."""
    return torch.stack(
        [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


@dataclass(frozen=True)
class Schedules:
    """The strengths of a concept in a model, as they change while a video is sampled."""

    injection: Injection
    identity: Schedule
    motion: Schedule

    def set(self, step: int, num_steps: int, tokens: tuple[int, int]) -> None:
        """Set the strengths of one step; ``tokens`` are (latent frames, tokens of each)."""
        frames, of_each = tokens
        device = next(self.injection.model.parameters()).device
        now = [s.at(step, num_steps, frames) for s in (self.identity, self.motion)]
        identity, motion = (
            values[0] if len(values) == 1 else torch.tensor(values, device=device) for values in now
        )
        self.injection.set_strengths(
            identity=identity, motion=motion, video_tokens=frames * of_each
        )


def _tokens(model: VideoModel, latents: Tensor) -> tuple[int, int]:
    """Latent frames, and the tokens that the denoiser makes of each."""
    frames, high, wide = latents.shape[2:]
    patch = model.geometry.size_multiple // model.geometry.spatial_factor
    return frames, (high // patch) * (wide // patch)


@torch.no_grad()
def sample(
    model: VideoModel,
    prompts: Sequence[str],
    noise: Tensor,
    *,
    num_steps: int,
    guidance: float,
    negative_prompt: str = "",
    precision: Precision = "fp32",
    strengths: Schedules | None = None,
    self_conditioning: bool = True,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Follow the velocity from noise to data, as diffusers' pipeline does with its Euler scheduler.

    Args:
        model: the model, with or without a concept in it.
        prompts: b prompts as the model reads them, or one for all.
        noise: (b, c, f, h, w), standard normal.
        num_steps: Euler steps, at least 1.
        guidance: 1 is none; above, ``v_negative + guidance (v - v_negative)``.
        negative_prompt: shared by all.
        precision: of the network; the latents stay float32.
        strengths: set anew before each step; None leaves them as they are in the model.
        self_conditioning: feed each step the clean latents as the last one saw them, where the
            model can read them.
        on_step: called with (steps done, num_steps) after each.

    Returns:
        Latents (b, c, f, h, w), to be given to ``model.decode_video``.
    """
    positive = model.encode_prompts(prompts)
    if model.embeds_guidance:
        positive, guidance = positive.guided(guidance), 1.0
    negative = model.encode_prompts([negative_prompt]) if guidance > 1 else None
    latents = noise.to(model.device, torch.float32)
    sigmas = model.sigmas(num_steps, latents.shape).to(model.device)
    precision = resolved(precision, model.device)
    fed = self_conditioning and model.self_conditioned
    estimate = None
    for step in range(num_steps):
        if strengths is not None:
            strengths.set(step, num_steps, _tokens(model, latents))
        with autocast(precision, model.device):
            velocity = _guided(model, latents, sigmas[step], positive, negative, guidance, estimate)
        if fed:
            estimate = clean_estimate(latents, velocity, sigmas[step].expand(len(latents)))
        latents = latents + (sigmas[step + 1] - sigmas[step]) * velocity
        if on_step is not None:
            on_step(step + 1, num_steps)
    return latents


def sampled_frames(
    model: VideoModel,
    prompts: Sequence[str],
    settings: GenerateSettings,
    *,
    injection: Injection | None = None,
    at_once: int = 1,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """A video for each prompt, as the settings say, from a model as it is now.

    Args:
        model: the model, with or without a concept in it.
        prompts: as the model reads them.
        settings: of the sampling.
        injection: the concept in the model, to have the strengths of the settings; None leaves
            them as they are.
        at_once: prompts that are sampled together, at least 1: the videos differ by rounding.
        on_step: called with sampling steps done and in all, over all prompts.

    Returns:
        Videos, uint8 (f, h, w, 3), each from the same start noise.

    Raises:
        SettingsError: the model cannot make such a video, or have strengths over frames.
    """
    shape = model.geometry.latent_shape(settings.num_frames, settings.height, settings.width)
    schedules = parse_strength(settings.identity), parse_strength(settings.motion)
    if not model.frame_strengths and any(schedule.over == "frames" for schedule in schedules):
        raise SettingsError(
            f"{model.id!r} is a {model.family} model, whose layers see text and video joined, so"
            " that strengths cannot follow the frames; let them follow the sampling steps, as"
            " '1.0 to 0.4'"
        )
    strengths = None if injection is None else Schedules(injection, *schedules)
    videos: list[np.ndarray] = []
    for start in range(0, len(prompts), at_once):
        some = prompts[start : start + at_once]
        latents = sample(
            model,
            some,
            draw_noise(shape, [settings.seed] * len(some)),
            num_steps=settings.num_steps,
            guidance=settings.guidance,
            negative_prompt=settings.negative_prompt,
            precision=settings.precision,
            strengths=strengths,
            self_conditioning=settings.self_conditioning,
            on_step=lambda done, total, before=start, some=some: on_step(
                before * total + len(some) * done, total * len(prompts)
            ),
        )
        videos.extend(to_frames(model.decode_video(latents)))
    return videos


def _guided(
    model: VideoModel,
    latents: Tensor,
    sigma: Tensor,
    positive: Conditioning,
    negative: Conditioning | None,
    guidance: float,
    estimate: Tensor | None,
) -> Tensor:
    time = sigma.expand(len(latents))
    velocity = model.velocity(latents, time, positive, estimate)
    if negative is None:
        return velocity
    away = model.velocity(latents, time, negative, estimate)
    return away + guidance * (velocity - away)


def check_base(model: VideoModel, concept: Concept) -> None:
    """Make sure that a model is the very one that a concept was learned on.

    Raises:
        ConceptFileError: it has other weights.
    """
    origin = concept.provenance
    if origin.fingerprint != model.fingerprint:
        raise ConceptFileError(
            f"the concept was learned on {origin.base!r} with weights {origin.fingerprint[:12]},"
            f" this is {model.id!r} with weights {model.fingerprint[:12]}; give that base with"
            f" --base{' ' + origin.hub if origin.hub else ''}, or learn the concept on this one"
        )


def own_settings(model: VideoModel, concept: Concept) -> dict[str, Any]:
    """The base's own settings of the sampling, with what the concept brings along over them."""
    return {**model.defaults.generate, **concept.shown_with}


@contextmanager
def with_concept(
    model: VideoModel, concept: Concept, *, identity: float = 1.0, motion: float = 1.0
) -> Iterator[Injection]:
    """Put a concept into a model for the time of a ``with`` block; afterwards it is as before.

    Args:
        model: the base model that the concept was learned on.
        concept: what to put in, with its token rows.
        identity: identity strength; both can be changed inside the block.
        motion: motion strength. While both are 0 the model is as before, to the bit: then a
            projection of the concept's own is off too.

    Raises:
        ConceptFileError: the concept belongs to other weights.
    """
    check_base(model, concept)
    injection = inject_concept(model.denoiser, concept)
    tokens = projection = None
    try:
        if concept.self_conditioning is not None:
            projection = injection.projection = model.add_self_conditioning()
            projection.load(concept.self_conditioning)
        injection.set_strengths(identity=identity, motion=motion)
        if concept.tokens:
            tokens = model.add_tokens(list(concept.tokens))
            tokens.load(concept.tokens)
        yield injection
    finally:
        injection.remove()
        for added in (tokens, projection):
            if added is not None:
                added.remove()
