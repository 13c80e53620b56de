"""All that the command line and other programs may call: learn, generate, look inside, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from setseq import combine as combining
from setseq.composition import learn_scene
from setseq.concept import Concept
from setseq.config import GenerateSettings, LearnSettings
from setseq.describe import describe
from setseq.editing import (
    RESTYLE_STRENGTHS,
    Grid,
    OnStep,
    Row,
    Strengths,
    as_styles,
    fill_grid,
    plan_columns,
    plan_rows,
    save_grid,
)
from setseq.errors import PromptError
from setseq.evaluating import evaluate, trial_prompts
from setseq.evaluation.trial import Trial
from setseq.evaluation.trial_files import save_trial, score_table
from setseq.footprint import Size
from setseq.forecast import PreflightReport, forecast
from setseq.formats import native
from setseq.formats.peft_keys import Program, Tokens, export_lora
from setseq.importing import import_lora
from setseq.learning import Base, Started, as_model, base_of, check_steps, fitted_clip, learn
from setseq.models.catalog import KNOWN, KnownModel
from setseq.models.registry import TOYBOX, blueprint_defaults, is_downloaded, load_model
from setseq.presets import layered
from setseq.prompts import check_prompt
from setseq.proposal import Ladder, Option
from setseq.sampling import own_settings, sampled_frames, with_concept
from setseq.strengths import single_strength
from setseq.training.loop import StepReport
from setseq.video.io import read_clip
from setseq.video.views import FittedClip

__all__ = [
    "RESTYLE_STRENGTHS",
    "FittedClip",
    "Grid",
    "OnStep",
    "Option",
    "PreflightReport",
    "Row",
    "Started",
    "StepReport",
    "Trial",
    "as_styles",
    "base_of",
    "checked_prompts",
    "combine",
    "edit",
    "evaluate",
    "export",
    "fitted_clip",
    "generate",
    "hardware_options",
    "import_lora",
    "inspect",
    "known_models",
    "learn",
    "learn_scene",
    "load_concept",
    "load_model",
    "plan_rows",
    "preflight",
    "restyle",
    "save_concept",
    "save_grid",
    "save_trial",
    "score_table",
    "trial_prompts",
]


def generate(
    concept: Concept | str | Path,
    prompts: str | Sequence[str],
    *,
    identity: float | str | None = None,
    motion: float | str | None = None,
    seed: int | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    num_frames: int | None = None,
    width: int | None = None,
    height: int | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    base: Base | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """Show a concept in scenes.

    Args:
        concept: A concept, or the path of its file.
        prompts: One scene or several, with the concept's tokens, as "a [v] creature, it is [u]".
        identity: Identity strength; 1 as learned, 0 off, below 1 to restyle; or a schedule, "1.0
            to 0.4" over the sampling steps or "1.0 to 0.4 over frames". None, here and below, is
            the value of ``settings``, or else the base's own.
        motion: Motion strength, likewise.
        seed: Of the start noise, the same for every prompt: a scene comes out the same alone.
        guidance: Classifier-free guidance, at least 1.
        steps: Sampling steps, at least 1.
        num_frames: Length.
        width: Pixels.
        height: Pixels.
        preset: As for ``learn``.
        settings: Names of GenerateSettings to values, over the base's own and the preset's.
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
    layered(GenerateSettings, {}, preset, settings or {}, overrides)
    model = base_of(concept, base)
    layers = (settings or {}, overrides)
    chosen = layered(GenerateSettings, own_settings(model, concept), preset, *layers)
    with with_concept(model, concept) as injection:
        return sampled_frames(model, texts, chosen, injection=injection, on_step=on_step)


def edit(
    concept: Concept | str | Path,
    edits: str | Sequence[str | Row],
    *,
    seeds: int | Sequence[int] = (),
    identity: Strengths = (),
    motion: Strengths = (),
    clip: int = 1,
    original: bool = False,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    base: Base | None = None,
    on_step: OnStep = lambda done, total: None,
) -> Grid:
    """Show a concept after edits of its learned prompt, in a grid: edits down, one of these across.

    Args:
        concept: A concept, or the path of its file.
        edits: A few words each, as "in the desert at night" or "wearing a hat"; "OLD=>NEW" for a
            replacement of the very words; "KIND: words" where the kind does not show; or a whole
            prompt with [v]. Or rows of ``plan_rows``.
        seeds: Of the start noise.
        identity: Identity strengths or schedules.
        motion: Motion strengths or schedules; at most one of the three has several values.
        clip: Whose prompt is edited, where the concept has several, from 1.
        original: Begin with the learned prompt itself.
        preset: As for ``learn``.
        settings: As for ``generate``.
        base: As for ``generate``.
        on_step: Called with sampling steps done and in all.

    Returns:
        The prompts and videos, for ``save_grid``.

    Raises:
        SetSeqError: It cannot be told what an edit changes, or a setting, the concept or the base
            cannot be used.
    """
    concept = _loaded(concept)
    texts = [edits] if isinstance(edits, str) else edits
    rows = plan_rows(concept, texts, clip=clip, original=original)
    columns = plan_columns(seeds=seeds, identity=identity, motion=motion)
    layered(GenerateSettings, {}, preset, settings or {})
    model = base_of(concept, base)
    return fill_grid(
        model, concept, rows, columns, preset=preset, settings=settings, on_step=on_step
    )


def restyle(
    concept: Concept | str | Path,
    styles: str | Sequence[str],
    *,
    identity: Strengths = RESTYLE_STRENGTHS,
    seeds: int | Sequence[int] = (),
    motion: Strengths = (),
    clip: int = 1,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    base: Base | None = None,
    on_step: OnStep = lambda done, total: None,
) -> Grid:
    """Show a concept in other styles under several identity strengths: ``edit`` with styles.

    Args:
        concept: As for ``edit``, and likewise all that is not named here.
        styles: As "pencil sketch" or "an oil painting".
        identity: Identity strengths or schedules; the lower, the freer the style.
        seeds: As for ``edit``.
        motion: As for ``edit``.
        clip: As for ``edit``.
        preset: As for ``edit``.
        settings: As for ``edit``.
        base: As for ``edit``.
        on_step: As for ``edit``.

    Raises:
        SetSeqError: As for ``edit``.
    """
    return edit(
        concept,
        as_styles(styles),
        seeds=seeds,
        identity=identity,
        motion=motion,
        clip=clip,
        preset=preset,
        settings=settings,
        base=base,
        on_step=on_step,
    )


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


def known_models() -> dict[KnownModel, bool]:
    """The base models that have a short name, and whether they are on this computer."""
    return {model: is_downloaded(model.hub_id) for model in KNOWN}


def combine(
    concepts: Sequence[Concept | str | Path], *, weights: Sequence[float] | None = None
) -> Concept:
    """One concept from several that were learned apart on the same base, ranks side by side.

    Args:
        concepts: Concepts or paths of their files; their tokens are renumbered in this order.
        weights: Factor on each; 1 by default.

    Raises:
        ConceptFileError: A file cannot be read, or they cannot be combined.
    """
    return combining.combine([_loaded(concept) for concept in concepts], weights=weights)


def preflight(
    clip: str | Path,
    *,
    base: Base = TOYBOX,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    start_s: float = 0.0,
    hardware: Mapping[str, Any] | None = None,
) -> PreflightReport:
    """Say what learning a clip would see, take and need, by some real steps of each stage.

    Args:
        clip: As for ``learn``.
        base: As for ``learn``.
        preset: As for ``learn``.
        settings: As for ``learn``.
        start_s: As for ``learn``.
        hardware: As for ``learn``.

    Raises:
        SetSeqError: The clip, a setting or the base cannot be used.
    """
    check_steps(layered(LearnSettings, {}, preset, settings or {}))
    read_clip(clip, num_frames=1)
    model = as_model(base, hardware)
    resolved = layered(LearnSettings, model.defaults.learn, preset, settings or {})
    check_steps(resolved)
    fitted = fitted_clip(model, clip, start_s=start_s, dense=resolved.frame_dense)
    return forecast(model, fitted, resolved)


def hardware_options(
    base: str | Path,
    *,
    memory_gb: float,
    num_frames: int | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Option]:
    """Ways to hold a base for learning, from the fastest on, each with its predicted memory.

    Nothing is loaded; a short name need not be on this computer.

    Args:
        base: As for ``learn``.
        memory_gb: Of the card, in 10^9 bytes.
        num_frames: Length of the clip; None is the base's own, and so is the picture's size.
        preset: As for ``learn``.
        settings: As for ``learn``.

    Raises:
        SetSeqError: A setting or the base cannot be used.
    """
    own = layered(LearnSettings, blueprint_defaults(base), preset, settings or {})
    return Ladder(base, own, size=Size(num_frames=num_frames)).options(memory_gb)


def export(
    concept: Concept | str | Path,
    path: str | Path,
    *,
    identity: float | str = 1.0,
    motion: float | str = 1.0,
    program: Program = "both",
    tokens: Tokens | None = None,
) -> dict[Path, int]:
    """Write a concept as a plain LoRA that diffusers and ComfyUI load unchanged.

    Args:
        concept: A concept, or the path of its file.
        path: A .safetensors file.
        identity: Identity strength, baked in: one number, as a plain LoRA holds no schedule.
        motion: Motion strength, likewise.
        program: "diffusers" or "comfyui" where no one file serves "both"; or "kohya".
        tokens: What becomes of learned tokens, which a plain LoRA cannot hold: "file" writes each
            beside it as a textual inversion, "drop" leaves them out.

    Returns:
        The files and their sizes in bytes: one, or one for each expert of Wan 2.2 A14B.

    Raises:
        SetSeqError: The concept cannot be read or has no plain form, or the file not be written.
    """
    return export_lora(
        _loaded(concept),
        Path(path),
        identity=single_strength("identity", identity),
        motion=single_strength("motion", motion),
        program=program,
        tokens=tokens,
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


def _loaded(concept: Concept | str | Path) -> Concept:
    return concept if isinstance(concept, Concept) else load_concept(concept)
