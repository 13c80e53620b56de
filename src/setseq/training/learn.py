"""Learning a concept: all stages over one or several clips, from a base model to a Concept."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from setseq.concept import ClipRecord, Concept, Provenance
from setseq.config import LearnSettings
from setseq.lora.inject import Injection, inject
from setseq.models.base import VideoModel
from setseq.models.self_conditioning import SelfConditioning
from setseq.models.tokens import TokenRows
from setseq.processes import Processes, this_process
from setseq.prompts import choose_words, filled
from setseq.training.checkpoint import Snapshot, load_snapshot, save_snapshot
from setseq.training.loop import precision_of, train
from setseq.training.prior import PRIOR, OnPrior, make_prior
from setseq.training.prior_prompts import prior_prompts
from setseq.training.recipe import SET_AND_SEQUENCE, Materials, Recipe
from setseq.training.shares import refuse_idle
from setseq.training.stages import TrainingClip, left_over
from setseq.training.state import StepReport, Training
from setseq.training.stitched import NOT_STITCHED, Stitched
from setseq.version import __version__

AUTO_SELF_CONDITIONING = 0.9  # as in the paper, on bases that were trained with it
# Settings that a resumed training may change: they take effect from there on.
_MAY_CHANGE = ("learning_rate", "token_learning_rate", "clip_norm", "checkpoint_every")


def learn_concept(
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    *,
    recipe: Recipe = SET_AND_SEQUENCE,
    stitched: Stitched = NOT_STITCHED,
    checkpoint: Path | None = None,
    on_prior: OnPrior = lambda done, total: None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learn a concept; the model is bit-equal to before when this returns or raises.

    Where a launcher started several processes (processes.py), all of them call this with the same,
    each with a model of its own, and each returns the same concept.

    Args:
        model: the base model.
        clips: one, or several that become one concept with a pair of tokens each.
        settings: of the training.
        recipe: the stages, and what of a layer they train.
        stitched: clips that show several of them side by side, learned beside them.
        checkpoint: where the state goes at intervals and on Ctrl-C. When the file is there, the
            training goes on from it, exactly (only learning rates, clipping and the interval of
            checkpoints may differ). It stays there at the end.
        on_prior: called with prior videos done and in all, before the first step.
        on_step: called after every step; while it runs, the model carries the concept so far, of
            which the report makes a copy.

    Raises:
        SettingsError: a step has fewer samples than there are processes.
        TrainingError: the loss is not finite, or the checkpoint belongs to another training.
        Interrupted: Ctrl-C; the message says how to go on.
        PromptError: a prompt cannot be used.
    """
    processes = this_process()
    refuse_idle(settings, processes)
    words = choose_words(settings.token_mode, concepts=len(clips), words=settings.words)
    origin = _provenance(model, clips, settings, words)
    run = _identity(origin, [*clips, *stitched.clips])
    run["stitched share"] = stitched.share
    if recipe.name:
        run["method"] = recipe.name
    if settings.prior != "none":
        run["prior prompts"] = _prior_texts(model, settings)
    resume = load_snapshot(checkpoint, run) if checkpoint and checkpoint.exists() else None
    at = None if resume is None else (resume.stage, resume.step)
    processes.agree(json.dumps([run, at]))
    precision = precision_of(model, settings, resume)
    with ExitStack() as undo:
        tokens = _token_rows(model, settings, recipe, words, undo)
        # What cannot be used shows before the long work starts.
        for clip in (*clips, *stitched.clips):
            model.encode_prompts([filled(clip.prompt.full, words)])
        if settings.prior != "none":
            left_over([("stitched", stitched.share), (PRIOR, settings.prior_share)])
        projection = _projection(model, settings, undo)
        prior = make_prior(
            model, clips[0].pixels.shape[1:], settings, precision=precision, on_prior=on_prior
        )
        given = Materials(
            model=model,
            clips=clips,
            settings=settings,
            frames=[*stitched.frames(model), *prior.frames],
            videos=[*stitched.videos(model), *prior.videos],
        )
        stages = [make(given) for make in recipe.stages]
        training = Training(
            model=model,
            injection=_injected(model, settings, recipe, undo),
            tokens=tokens,
            words=words,
            settings=settings,
            run=run,
            self_conditioning=probability(model, settings),
            projection=projection,
            processes=processes,
            on_step=lambda report: on_step(dataclasses.replace(report, concept=so_far)),
            save=_saver(checkpoint, processes),
        )
        ran: dict[str, Any] = {"precision": precision}
        if recipe.name:
            ran |= {"method": recipe.name, "stages": {stage.name: stage.steps for stage in stages}}

        def so_far() -> Concept:
            return _collect(training, origin, ran)

        train(training, stages, resume=resume)
        return so_far()


def probability(model: VideoModel, settings: LearnSettings) -> float:
    """That a sample is learned with an estimate of itself: what "auto" means for this base."""
    if settings.self_conditioning == "auto":
        return AUTO_SELF_CONDITIONING if model.self_conditioned else 0.0
    return settings.self_conditioning


def _token_rows(
    model: VideoModel,
    settings: LearnSettings,
    recipe: Recipe,
    words: Mapping[str, str],
    undo: ExitStack,
) -> TokenRows | None:
    """Rows of their own for the words, where the settings want them learned."""
    if settings.token_mode != "learned":
        return None
    tokens = model.add_tokens(list(words.values()))
    undo.callback(tokens.remove)
    if recipe.rows == "mean":
        tokens.start_at_mean()
    return tokens


def _injected(
    model: VideoModel, settings: LearnSettings, recipe: Recipe, undo: ExitStack
) -> Injection:
    injection = inject(
        model.denoiser,
        settings.targets or model.lora_targets,
        rank=None if recipe.full_rank else settings.rank,
        generator=torch.Generator().manual_seed(settings.seed),
        own_motion_basis=recipe.own_motion_basis,
    )
    undo.callback(injection.remove)
    return injection


def _projection(
    model: VideoModel, settings: LearnSettings, undo: ExitStack
) -> SelfConditioning | None:
    """A projection of the concept's own, where the base has none and the settings want one."""
    if model.self_conditioned or probability(model, settings) == 0:
        return None
    projection = model.add_self_conditioning()
    undo.callback(projection.remove)
    return projection


def _prior_texts(model: VideoModel, settings: LearnSettings) -> list[str]:
    found = prior_prompts(settings.prior_prompts, base=model.id, count=settings.prior_count)
    return [prompt.full for prompt in found]


def _provenance(
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    words: dict[str, str],
) -> Provenance:
    records = [
        ClipRecord(look=clip.prompt.look, motion=clip.prompt.motion, sha256=clip.sha256)
        for clip in clips
    ]
    return Provenance(
        base=model.id,
        family=model.family,
        fingerprint=model.fingerprint,
        clips=tuple(records),
        token_mode=settings.token_mode,
        words=words,
        settings=settings.model_dump(),
        seed=settings.seed,
        version=__version__,
    )


def _saver(checkpoint: Path | None, processes: Processes) -> Callable[[Snapshot], Path | None]:
    """The first process writes; the others know where."""

    def save(snapshot: Snapshot) -> Path | None:
        if checkpoint is not None and processes.is_first:
            save_snapshot(snapshot, checkpoint)
        return checkpoint

    return save


def _identity(origin: Provenance, clips: Sequence[TrainingClip]) -> dict[str, Any]:
    """What a checkpoint must agree on: the provenance without what may change on the way.

    The frames count beside their file: another start in the same file gives other ones.
    """
    about = dataclasses.asdict(origin)
    about["hash of the frames"] = [_hash(clip.videos) for clip in clips]
    masks = [clip.masks for clip in clips]
    about["hash of the masks"] = [_hash(mask) if mask is not None else "" for mask in masks]
    about["settings"] = {k: v for k, v in about["settings"].items() if k not in _MAY_CHANGE}
    return about


def _hash(pixels: Tensor) -> str:
    return hashlib.sha256(pixels.cpu().contiguous().numpy().tobytes()).hexdigest()


def _collect(training: Training, origin: Provenance, ran: Mapping[str, Any]) -> Concept:
    injection, tokens, projection = training.injection, training.tokens, training.projection
    rows = {} if tokens is None else dict(zip(tokens.words, tokens.rows.detach(), strict=True))
    basis = injection.tensors("basis")
    # What "auto" came to, and the rank where the recipe decides it.
    known = {
        "self_conditioning": training.self_conditioning,
        "rank": next(iter(basis.values())).shape[0],
    }
    return Concept(
        basis=basis,
        identity=injection.tensors("identity"),
        motion=injection.tensors("motion"),
        tokens={word: row.clone() for word, row in rows.items()},
        provenance=dataclasses.replace(origin, settings={**origin.settings, **known, **ran}),
        self_conditioning=None if projection is None else projection.weight.detach().clone(),
    )
