"""All that the command line and other programs may call: learn, generate, look inside, export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from setseq.concept import Concept
from setseq.config import GenerateSettings, LearnSettings
from setseq.describe import describe
from setseq.errors import BaseModelError, PromptError
from setseq.forecast import PreflightReport, forecast
from setseq.formats import native
from setseq.formats.peft_keys import export_lora
from setseq.models.base import VideoModel
from setseq.models.registry import TOYBOX, load_model
from setseq.prompts import check_prompt, concept_prompt
from setseq.sampling import draw_noise, sample, with_concept
from setseq.training.learn import learn_concept
from setseq.training.loop import StepReport
from setseq.training.stages import TrainingClip
from setseq.video.io import read_clip
from setseq.video.views import FittedClip, load_clip, to_frames

__all__ = [
    "FittedClip",
    "PreflightReport",
    "StepReport",
    "base_of",
    "checked_prompts",
    "export",
    "fitted_clip",
    "generate",
    "inspect",
    "learn",
    "load_concept",
    "load_model",
    "preflight",
    "save_concept",
]

Base = str | Path | VideoModel


def learn(
    clip: str | Path,
    *,
    look: str,
    motion: str,
    base: Base = TOYBOX,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    start_s: float = 0.0,
    checkpoint: str | Path | None = None,
    on_clip: Callable[[FittedClip], None] = lambda fitted: None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learn the look and the movement of what one clip shows.

    Args:
        clip: A video file or a folder of images; as many seconds are used as the base makes.
        look: What is seen, with [v] for the entity: "a [v] creature in a meadow".
        motion: How it moves, with [u] for the movement: "it is [u] dancing".
        base: "toybox", a local diffusers pipeline folder, or a loaded model.
        seed: Of every random draw, at least 0; None is that of the settings, 0 by default.
        settings: Names of LearnSettings to values, over the base's own defaults.
        start_s: Where the clip starts, in seconds, at least 0.
        checkpoint: Where the state goes while learning; where it lies there, learning goes on.
        on_clip: Called with the clip as the base sees it, and notes on what happened to it.
        on_step: Called after every step.

    Returns:
        The concept, for ``generate`` and ``save_concept``.

    Raises:
        SetSeqError: The clip, a prompt, a setting or the base cannot be used, or Ctrl-C.
    """
    prompt = concept_prompt(look, motion)
    overrides = (settings or {}, {"seed": seed})
    LearnSettings.resolve(*overrides)  # what is wrong shows before the base is loaded
    read_clip(clip, num_frames=1)
    model = _model(base)
    fitted = fitted_clip(model, clip, start_s=start_s)
    on_clip(fitted)
    return learn_concept(
        model,
        [TrainingClip(pixels=fitted.pixels[0], prompt=prompt, sha256=fitted.source.sha256)],
        LearnSettings.resolve(model.defaults.learn, *overrides),
        checkpoint=None if checkpoint is None else Path(checkpoint),
        on_step=on_step,
    )


def generate(
    concept: Concept | str | Path,
    prompts: str | Sequence[str],
    *,
    identity: float | None = None,
    motion: float | None = None,
    seed: int | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    num_frames: int | None = None,
    width: int | None = None,
    height: int | None = None,
    settings: Mapping[str, Any] | None = None,
    base: Base | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """Show a concept in scenes.

    Args:
        concept: A concept, or the path of its file.
        prompts: One scene or several, with the concept's tokens, as "a [v] creature, it is [u]".
        identity: Identity strength; 1 as learned, 0 off, below 1 to restyle. None, here and
            below, is the value of ``settings``, or else the base's own.
        motion: Motion strength, likewise.
        seed: Of the start noise, the same for every prompt: a scene comes out the same alone.
        guidance: Classifier-free guidance, at least 1.
        steps: Sampling steps, at least 1.
        num_frames: Length.
        width: Pixels.
        height: Pixels.
        settings: Names of GenerateSettings to values, over the base's own defaults.
        base: What the concept was learned on; None where that is the toybox.
        on_step: Called with sampling steps done and in all, over all prompts.

    Returns:
        For each prompt a video, uint8 (f, h, w, 3), at the base's frame rate.

    Raises:
        SetSeqError: A prompt, a setting, the concept or the base cannot be used.
    """
    concept = _loaded(concept)
    texts = checked_prompts(concept, prompts)
    overrides = {
        "identity": identity,
        "motion": motion,
        "seed": seed,
        "guidance": guidance,
        "num_steps": steps,
        "num_frames": num_frames,
        "width": width,
        "height": height,
    }
    GenerateSettings.resolve(settings or {}, overrides)
    model = base_of(concept, base)
    chosen = GenerateSettings.resolve(model.defaults.generate, settings or {}, overrides)
    shape = model.geometry.latent_shape(chosen.num_frames, chosen.height, chosen.width)
    videos = []
    with with_concept(model, concept, identity=chosen.identity, motion=chosen.motion):
        for number, text in enumerate(texts):
            latents = sample(
                model,
                [text],
                draw_noise(shape, [chosen.seed]),
                num_steps=chosen.num_steps,
                guidance=chosen.guidance,
                negative_prompt=chosen.negative_prompt,
                precision=chosen.precision,
                on_step=lambda done, total, n=number: on_step(n * total + done, total * len(texts)),
            )
            videos.append(to_frames(model.decode_video(latents))[0])
    return videos


def save_concept(concept: Concept, path: str | Path) -> int:
    """Write a concept file, whole or not at all, and return its size in bytes.

    Raises:
        OutputError: It cannot be written.
    """
    return native.save_concept(concept, Path(path))


def load_concept(path: str | Path) -> Concept:
    """Read a concept file and check everything in it; no code is run.

    Raises:
        ConceptFileError: It is missing, damaged, or something else.
    """
    return native.load_concept(Path(path))


def inspect(concept: Concept | str | Path) -> dict[str, str]:
    """What is in a concept, label to value, in an order to be read."""
    return describe(_loaded(concept))


def preflight(
    clip: str | Path,
    *,
    base: Base = TOYBOX,
    settings: Mapping[str, Any] | None = None,
    start_s: float = 0.0,
) -> PreflightReport:
    """Say what learning a clip would see, take and need, by some real steps of each stage.

    Args:
        clip: As for ``learn``.
        base: As for ``learn``.
        settings: As for ``learn``.
        start_s: As for ``learn``.

    Raises:
        SetSeqError: The clip, a setting or the base cannot be used.
    """
    LearnSettings.resolve(settings or {})
    read_clip(clip, num_frames=1)
    model = _model(base)
    resolved = LearnSettings.resolve(model.defaults.learn, settings or {})
    return forecast(model, fitted_clip(model, clip, start_s=start_s), resolved)


def export(
    concept: Concept | str | Path,
    path: str | Path,
    *,
    identity: float = 1.0,
    motion: float = 1.0,
    without_tokens: bool = False,
) -> int:
    """Write a concept as one plain LoRA file that diffusers and ComfyUI load unchanged.

    Args:
        concept: A concept, or the path of its file.
        path: A .safetensors file.
        identity: Identity strength, baked in.
        motion: Motion strength, baked in.
        without_tokens: Leave learned tokens out, which a plain LoRA cannot hold.

    Returns:
        The file's size in bytes.

    Raises:
        SetSeqError: The concept cannot be read or has no plain form, or the file not be written.
    """
    return export_lora(
        _loaded(concept),
        Path(path),
        identity=identity,
        motion=motion,
        without_tokens=without_tokens,
    )


def checked_prompts(concept: Concept, prompts: str | Sequence[str]) -> list[str]:
    """Prompts as the base reads them, each of them with a token of the concept.

    Raises:
        PromptError: There is none, or one is empty or has no token or an unknown one.
    """
    prompts = [prompts] if isinstance(prompts, str) else prompts
    if not prompts:
        raise PromptError("there is no prompt; give at least one scene to generate")
    return [check_prompt(prompt, concept.provenance.words) for prompt in prompts]


def base_of(concept: Concept, base: Base | None = None) -> VideoModel:
    """The model that a concept was learned on; ``with_concept`` checks that it is that very one.

    Args:
        concept: The concept.
        base: Where that model is; None where it is the toybox.

    Raises:
        BaseModelError: The model cannot be loaded, or must be named.
    """
    origin = concept.provenance.base
    if base is None and origin != TOYBOX:
        raise BaseModelError(
            f"the concept was learned on {origin!r}, which is not inside the package;"
            " name its folder with --base"
        )
    return _model(TOYBOX if base is None else base)


def fitted_clip(model: VideoModel, clip: str | Path, *, start_s: float = 0.0) -> FittedClip:
    """A clip at the size, rate and length of a base model, with notes on what happened to it."""
    geometry = model.geometry
    return load_clip(
        clip,
        num_frames=geometry.num_frames,
        width=geometry.width,
        height=geometry.height,
        fps=geometry.fps,
        frame_step=geometry.temporal_factor,
        start_s=start_s,
    )


def _model(base: Base) -> VideoModel:
    return load_model(base) if isinstance(base, str | Path) else base


def _loaded(concept: Concept | str | Path) -> Concept:
    return concept if isinstance(concept, Concept) else load_concept(concept)
