"""Prior preservation: what the base knows, learned beside the concept and without its tokens.

Two forms of the same regularizer, which end as groups beside the concept's own:

``videos`` (the paper's): the base makes a video for each of some generic prompts, once, by the
project's own sampler; they are learned as data, as single frames in stage 1, whole in stage 2.

``velocity`` (ours, cheaper): the concept's network is to predict what the frozen base predicts at
the same point, for the same prompts. That needs points, not videos. They are made by noising rough
latents that the base reaches in a few Euler steps without guidance, held in memory: one fifteenth
of the passes that a video takes, no decoding and no file. The concept's own latents would cost
nothing, but would hold the network to the base where it is to change; pure noise would hold it at
t = 1 alone. How rough the latents are does not matter: nothing is learned from them, they only say
where on the base's own trajectory the two networks are compared.

Source: section on prior preservation of arXiv:2502.14844.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from setseq.config import GenerateSettings, LearnSettings
from setseq.models.base import VideoModel
from setseq.outputs import check_folder
from setseq.precision import Precision
from setseq.prompts import ConceptPrompt
from setseq.sampling import draw_noise, sample
from setseq.training.prior_cache import cached_frames, prior_folder
from setseq.training.prior_prompts import prior_prompts
from setseq.training.stages import Group, Target, encode_frames
from setseq.video.views import to_frames, to_pixels

PRIOR = "prior"
_AT_ONCE = 4  # videos that are sampled together, and share a file of the cache
_ROUGH_STEPS = 4
_FORM = 2  # of the cache's files; those of form 1 may show a concept that a learning went on from

OnPrior = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """What is learned beside the concept.

    Attributes:
        frames: groups of single frames, for the Set stage; none without a prior.
        videos: groups of clips, for the Sequence stage.
    """

    frames: tuple[Group, ...] = ()
    videos: tuple[Group, ...] = ()


def check_prior(model: VideoModel, settings: LearnSettings) -> None:
    """Make sure that the prior which the settings ask for can be made.

    Raises:
        PromptError: the prompts cannot be used.
        OutputError: its videos cannot be kept.
    """
    prior_prompts(settings.prior_prompts, base=model.id, count=settings.prior_count)
    if settings.prior == "videos":
        check_folder(prior_folder())


def make_prior(
    model: VideoModel,
    size: Sequence[int],
    settings: LearnSettings,
    *,
    precision: Precision,
    on_prior: OnPrior = lambda done, total: None,
) -> Prior:
    """Make the prior that the settings ask for, or none.

    Args:
        model: the base, without a concept in it; a concept's own projection is off.
        size: frames, height and width of the concept's clip, which the prior's videos get too, so
            that both share a pass.
        settings: which form, which prompts, how many, their share and weight.
        precision: of the network.
        on_prior: called with (videos done, videos in all).

    Raises:
        PromptError: the prompts cannot be used.
        TrainingError: a file of the cache is damaged, or of another base.
    """
    if settings.prior == "none":
        return Prior()
    prompts = prior_prompts(settings.prior_prompts, base=model.id, count=settings.prior_count)
    if settings.prior == "videos":
        return _of_videos(model, prompts, size, settings, precision, on_prior)
    return _of_velocity(model, prompts, size, settings, precision, on_prior)


def _of_videos(
    model: VideoModel,
    prompts: Sequence[ConceptPrompt],
    size: Sequence[int],
    settings: LearnSettings,
    precision: Precision,
    on_prior: OnPrior,
) -> Prior:
    sampler = GenerateSettings.resolve(model.defaults.generate, {"precision": precision})
    frames, videos, looks = [], [], []
    for start in range(0, len(prompts), _AT_ONCE):
        some = prompts[start : start + _AT_ONCE]
        seeds = list(range(start, start + len(some)))
        for prompt, shown in zip(some, _videos(model, some, seeds, size, sampler), strict=True):
            pixels = to_pixels(shown.numpy())
            videos.append(model.encode_video(pixels[None]))
            # A frame for each latent frame: its neighbours show the same thing.
            lone = encode_frames(model, pixels[:, :: model.geometry.temporal_factor])
            frames.append(lone)
            looks += [prompt.look] * len(lone)
        on_prior(start + len(some), len(prompts))
    motions = [prompt.full for prompt in prompts]
    return Prior(
        frames=(_group(torch.cat(frames), looks, settings, "data"),),
        videos=(_group(torch.cat(videos), motions, settings, "data"),),
    )


def _videos(
    model: VideoModel,
    prompts: Sequence[ConceptPrompt],
    seeds: Sequence[int],
    size: Sequence[int],
    sampler: GenerateSettings,
) -> Tensor:
    """Videos, uint8 (n, f, h, w, 3), from the cache, or made for it."""
    texts = [prompt.full for prompt in prompts]
    options: dict[str, Any] = {
        "num_steps": sampler.num_steps,
        "guidance": sampler.guidance,
        "negative_prompt": sampler.negative_prompt,
        "precision": sampler.precision,
        "self_conditioning": sampler.self_conditioning,
    }
    about = {
        "form": _FORM,
        "base": model.fingerprint,
        "prompts": texts,
        "seeds": list(seeds),
        "size": list(size),
        "sampler": options,
    }

    def make() -> Tensor:
        noise = draw_noise(model.geometry.latent_shape(*size), seeds)
        pixels = model.decode_video(sample(model, texts, noise, **options))
        return torch.stack([torch.from_numpy(video) for video in to_frames(pixels)])

    return cached_frames(about, make)


def _of_velocity(
    model: VideoModel,
    prompts: Sequence[ConceptPrompt],
    size: Sequence[int],
    settings: LearnSettings,
    precision: Precision,
    on_prior: OnPrior,
) -> Prior:
    looks, motions = [p.look for p in prompts], [p.full for p in prompts]
    kinds = [(looks, (1, *size[1:])), (motions, tuple(size))]
    groups = []
    for place, (texts, own_size) in enumerate(kinds):
        shape, rough = model.geometry.latent_shape(*own_size), []
        for start in range(0, len(texts), _AT_ONCE):
            some = texts[start : start + _AT_ONCE]
            noise = draw_noise(shape, range(start, start + len(some)))
            rough.append(
                sample(
                    model, some, noise, num_steps=_ROUGH_STEPS, guidance=1.0, precision=precision
                )
            )
            on_prior(place * len(texts) + start + len(some), 2 * len(texts))
        groups.append(_group(torch.cat(rough), texts, settings, "base"))
    return Prior(frames=(groups[0],), videos=(groups[1],))


def _group(
    latents: Tensor, prompts: Sequence[str], settings: LearnSettings, target: Target
) -> Group:
    return Group(
        name=PRIOR,
        latents=latents,
        prompts=tuple(prompts),
        share=settings.prior_share,
        weight=settings.prior_weight,
        target=target,
    )
