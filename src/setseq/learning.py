"""Learning as a user asks for it: everything is checked first, then the base, then the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from setseq.concept import Concept
from setseq.config import HardwareSettings, LearnSettings
from setseq.errors import BaseModelError, ClipError, SettingsError
from setseq.formats.native import load_concept
from setseq.models.base import VideoModel
from setseq.models.registry import TOYBOX, load_model
from setseq.presets import layered
from setseq.processes import this_process
from setseq.prompts import ConceptPrompt, concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.loop import StepReport
from setseq.training.origin import run_of
from setseq.training.recipe import SET_AND_SEQUENCE, Recipe
from setseq.training.stages import TrainingClip
from setseq.training.starting import ADD_MOTION, start_hash, start_settings
from setseq.training.stitched import NOT_STITCHED, Stitched
from setseq.video.dense import load_dense_clip
from setseq.video.io import read_clip
from setseq.video.views import FittedClip, load_clip

Base = str | Path | VideoModel

_COLOURED = 0.3  # between the channels of a pixel in [-1, 1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Started:
    """What a learning is about, when it starts.

    Attributes:
        model: The base; while ``on_step`` runs, it carries the concept so far.
        clips: As the base sees them, with notes on what happened to them.
        prompts: Theirs, in the same order.
        settings: Of the training, all layers together.
        learned: The clips as the stages see them, with their masks.
        stitched: What is learned beside them.
        recipe: The stages.
        start: The concept whose look is kept; None for none.
        resumed: Whether it goes on from a checkpoint.
    """

    model: VideoModel
    clips: tuple[FittedClip, ...]
    prompts: tuple[ConceptPrompt, ...]
    settings: LearnSettings
    learned: tuple[TrainingClip, ...]
    resumed: bool
    stitched: Stitched = NOT_STITCHED
    recipe: Recipe = SET_AND_SEQUENCE
    start: Concept | None = None

    def run(self) -> dict[str, Any]:
        """What tells this learning from all others, whether it goes on or starts anew."""
        about = run_of(
            self.model, self.learned, self.settings, recipe=self.recipe, stitched=self.stitched
        )
        return about if self.start is None else about | {"start": start_hash(self.start)}


def learn(
    clip: str | Path,
    *,
    look: str,
    motion: str,
    base: Base = TOYBOX,
    preset: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    start_s: float = 0.0,
    mask: str | Path | None = None,
    start: Concept | str | Path | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = True,
    hardware: Mapping[str, Any] | None = None,
    on_start: Callable[[Started], None] = lambda started: None,
    on_prior: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learn the look and the movement of what one clip shows.

    Args:
        clip: A video file or a folder of images; as many seconds are used as the base makes.
        look: What is seen, with [v] for the entity: "a [v] creature in a meadow".
        motion: How it moves, with [u] for the movement: "it is [u] dancing".
        base: "toybox", a name of `setseq models`, a hub id or a folder, or a loaded model.
        preset: "paper", "fast" or "quality"; its values win over the base's own.
        seed: Of every random draw, at least 0; None is that of the settings, 0 by default.
        settings: Names of LearnSettings to values, over the base's own and the preset's.
        start_s: Where the clip starts, in seconds, at least 0.
        mask: A video as long as the clip, white where to learn; what is black is not learned.
        start: A concept or its file, whose basis and identity are kept bit by bit; only motion is
            learned, in the Sequence stage alone. Its own motion is not taken over.
        checkpoint: Where the state goes while learning; where it lies there, learning goes on.
        resume: False begins anew; what lies at ``checkpoint`` stays until the first new state.
        hardware: Names of HardwareSettings to values, for a base that is not loaded yet.
        on_start: Called with what it is about when all is checked, before the first work.
        on_prior: Called with prior videos done and in all, where the settings ask for a prior.
        on_step: Called after every step.

    Returns:
        The concept, for ``generate`` and ``save_concept``.

    Raises:
        SetSeqError: The clip, a prompt, a setting or the base cannot be used, or Ctrl-C.
    """
    prompt = concept_prompt(look, motion)
    kept = load_concept(Path(start)) if isinstance(start, str | Path) else start
    overrides = (
        {} if kept is None else start_settings(kept),
        settings or {},
        {"seed": seed},
    )
    early = layered(LearnSettings, {}, preset, *overrides)  # shows before the base is loaded
    check_steps(early, is_set=kept is None)
    for path in (clip, mask):
        if path is not None:
            read_clip(path, num_frames=1)
    model = as_model(base, hardware)
    chosen = layered(LearnSettings, model.defaults.learn, preset, *overrides)
    check_steps(chosen, is_set=kept is None)
    if kept is not None:
        chosen = chosen.model_copy(update={"rank": _rank_of(kept, settings or {})})
    fitted = fitted_clip(model, clip, start_s=start_s, dense=chosen.frame_dense)
    to_learn = training_clip(model, fitted, prompt, mask=mask)
    recipe = SET_AND_SEQUENCE if kept is None else ADD_MOTION

    def checked(resumed: bool) -> None:
        on_start(
            Started(
                model=model,
                clips=(fitted,),
                prompts=(prompt,),
                settings=chosen,
                learned=(to_learn,),
                resumed=resumed,
                recipe=recipe,
                start=kept,
            )
        )

    return learn_concept(
        model,
        [to_learn],
        chosen,
        recipe=recipe,
        start=kept,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        resume=resume,
        on_checked=checked,
        on_prior=on_prior,
        on_step=on_step,
    )


def check_steps(settings: LearnSettings, *, is_set: bool = True) -> None:
    """Make sure that there is something to learn.

    Args:
        settings: Of the training.
        is_set: Whether it has the stage Set.

    Raises:
        SettingsError: No stage has a step, so that the concept would change nothing.
    """
    if not is_set and settings.sequence_steps == 0:
        raise SettingsError(
            "setting sequence_steps is 0, and only that stage learns movement for a kept look; give"
            " it steps"
        )
    if settings.set_steps == settings.sequence_steps == 0:
        raise SettingsError(
            "settings set_steps and sequence_steps are both 0, so nothing would be learned; give"
            " one of them steps"
        )


def _rank_of(start: Concept, settings: Mapping[str, Any]) -> int:
    """The rank of a starting concept, whatever the base's own; a user who wants another is told."""
    rank = settings.get("rank")
    if rank not in (None, start.rank):
        raise SettingsError(
            f"setting rank is {rank}, and the concept to start from has {start.rank}; leave it out"
        )
    return start.rank


def fitted_clip(
    model: VideoModel, clip: str | Path, *, start_s: float = 0.0, dense: bool = False
) -> FittedClip:
    """A clip at the size, rate and length of a base model, with notes on what happened to it.

    With ``dense``, also what the file has between the frames that the base's rate takes.
    """
    geometry = model.geometry
    load = load_dense_clip if dense else load_clip
    return load(
        clip,
        num_frames=geometry.num_frames,
        width=geometry.width,
        height=geometry.height,
        fps=geometry.fps,
        frame_step=geometry.frame_step,
        start_s=start_s,
    )


def training_clip(
    model: VideoModel, clip: FittedClip, prompt: ConceptPrompt, *, mask: str | Path | None = None
) -> TrainingClip:
    """A clip as the stages see it, with its mask where it has one.

    Raises:
        ClipError: As for ``fitted_mask``.
    """
    masks = None
    if mask is not None:
        masks = torch.stack([fitted_mask(model, mask, each) for each in (clip, *clip.between)])
    return TrainingClip(
        pixels=clip.pixels[0],
        prompt=prompt,
        sha256=clip.source.sha256,
        start_s=clip.start_s,
        mask=None if masks is None else masks[0],
        between=clip.between_pixels,
        between_masks=None if masks is None or not clip.between else masks[1:],
    )


def fitted_mask(model: VideoModel, mask: str | Path, clip: FittedClip) -> Tensor:
    """A clip's mask at its size and frames, (1, f, h, w) in [0, 1].

    Raises:
        ClipError: It cannot be read, has another length, rate or shape than its clip, is coloured
            (our choice: 1% of it, so that no other clip is taken for a mask), or nothing white.
    """
    found = fitted_clip(model, mask, start_s=clip.start_s)
    ours, theirs = found.source, clip.source
    if ours.num_frames != theirs.num_frames or abs(ours.fps / theirs.fps - 1) > 0.01:
        raise ClipError(
            f"{mask}: has {ours.num_frames} frames, its clip {theirs.path} has {theirs.num_frames}"
            f" (at {ours.fps:.4g} and {theirs.fps:.4g} fps); make the mask from the very clip"
        )
    if abs(ours.width * theirs.height / (ours.height * theirs.width) - 1) > 0.01:
        raise ClipError(
            f"{mask}: is {ours.width}x{ours.height}, its clip {theirs.path} is"
            f" {theirs.width}x{theirs.height}, so that they would be cropped differently; make the"
            " mask from the very clip"
        )
    weights = (found.pixels[0].mean(0, keepdim=True) + 1) / 2
    spread = found.pixels[0].amax(0) - found.pixels[0].amin(0)
    coloured = float((spread > _COLOURED).float().mean())
    if coloured > 0.01:
        raise ClipError(
            f"{mask}: is no mask, {coloured:.0%} of it is coloured; give one in black and white"
        )
    if float(weights.max()) < 0.5:
        raise ClipError(f"{mask}: has nothing white, so nothing would be learned; white is learned")
    return weights


def as_model(base: Base, hardware: Mapping[str, Any] | None = None) -> VideoModel:
    """The model itself, loaded where only its name is given: in each process its own.

    Raises:
        BaseModelError: It cannot be loaded.
        SettingsError: The hardware's settings cannot be used here.
    """
    chosen = HardwareSettings.resolve(hardware or {})
    if not isinstance(base, str | Path):
        return base
    own = this_process()
    if own.count > 1:
        if chosen.device not in ("auto", own.device.partition(":")[0], own.device):
            raise SettingsError(
                f"setting device is {chosen.device!r}, and this process of {own.count} has"
                f" {own.device}; leave device out"
            )
        chosen = chosen.model_copy(update={"device": own.device})
    return load_model(base, hardware=chosen, sharded=own.is_sharded)


def base_of(
    concept: Concept, base: Base | None = None, hardware: Mapping[str, Any] | None = None
) -> VideoModel:
    """The model that a concept was learned on; ``with_concept`` checks that it is that very one.

    Args:
        concept: The concept.
        base: Where that model is; None where it is the toybox.
        hardware: As for ``learn``.

    Raises:
        BaseModelError: The model cannot be loaded, or must be named.
    """
    origin = concept.provenance.base
    if base is None and origin != TOYBOX:
        raise BaseModelError(
            f"the concept was learned on {origin!r}, which is not inside the package; name"
            f" {concept.provenance.hub or 'its folder'} with --base"
        )
    return as_model(TOYBOX if base is None else base, hardware)
