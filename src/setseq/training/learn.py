"""Learning a concept: all stages over one or several clips, from a base model to a Concept."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch

from setseq.concept import Concept, Provenance
from setseq.config import LearnSettings
from setseq.errors import SettingsError
from setseq.lora.inject import Injection, inject, target_layers
from setseq.models.base import VideoModel
from setseq.models.quantize import check_package
from setseq.models.self_conditioning import SelfConditioning
from setseq.models.tokens import TokenRows
from setseq.processes import Processes, this_process
from setseq.prompts import filled
from setseq.training.checkpoint import Snapshot, load_snapshot, save_snapshot
from setseq.training.encodings import Encodings
from setseq.training.loop import precision_of, train
from setseq.training.origin import provenance, run_of
from setseq.training.prior import PRIOR, OnPrior, check_prior, make_prior
from setseq.training.recipe import SET_AND_SEQUENCE, Materials, Recipe
from setseq.training.shares import refuse_idle
from setseq.training.stages import Stage, TrainingClip, left_over
from setseq.training.starting import check_start, injected_start, start_hash
from setseq.training.state import StepReport, Training
from setseq.training.stitched import NOT_STITCHED, Stitched

AUTO_SELF_CONDITIONING = 0.9  # as in the paper, on bases that were trained with it


def learn_concept(
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    *,
    recipe: Recipe = SET_AND_SEQUENCE,
    stitched: Stitched = NOT_STITCHED,
    start: Concept | None = None,
    checkpoint: Path | None = None,
    resume: bool = True,
    on_checked: Callable[[bool], None] = lambda resumed: None,
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
        start: a concept whose basis and identity are kept, bit by bit, and whose motion is learned
            anew; of the settings, its rank and ``start_settings`` must be as there.
        checkpoint: where the state goes at intervals and on Ctrl-C. When the file is there, the
            training goes on from it, exactly (only learning rates, clipping and the interval of
            checkpoints may differ). It stays there at the end.
        resume: False begins anew; what lies at ``checkpoint`` stays until the first new state.
        on_checked: called when nothing that was given can be refused any more, before any work,
            with whether it goes on from ``checkpoint``.
        on_prior: called with prior videos done and in all, before the first step.
        on_step: called after every step; while it runs, the model carries the concept so far, of
            which the report makes a copy.

    Raises:
        SettingsError: a step has fewer samples than there are processes.
        TrainingError: the loss is not finite, or the checkpoint belongs to another training.
        Interrupted: Ctrl-C; the message says how to go on.
        PromptError: a prompt cannot be used.
        ConceptFileError: ``start`` belongs to another base.
        SettingsError: a setting would change what ``start`` keeps.
    """
    processes = this_process()
    refuse_idle(settings, processes)
    if settings.optimizer == "adamw8bit":
        check_package("optimizer", settings.optimizer, "bitsandbytes")
    origin = provenance(model, clips, settings)
    words = dict(origin.words)
    run = run_of(model, clips, settings, recipe=recipe, stitched=stitched)
    if start is not None:
        check_start(start, model, settings, recipe, words)
        run["start"] = start_hash(start)
    snapshot = None
    if resume and checkpoint is not None and checkpoint.exists():
        snapshot = load_snapshot(checkpoint, run)
    at = None if snapshot is None else (snapshot.stage, snapshot.step)
    processes.agree(json.dumps([run, at]))
    precision = precision_of(model, settings, snapshot)
    with ExitStack() as undo:
        tokens = _token_rows(model, settings, words, start, undo)
        # What cannot be used shows before the long work starts.
        for clip in (*clips, *stitched.clips):
            model.encode_prompts([filled(clip.prompt.full, words)])
        if settings.prior != "none":
            check_prior(model, settings)
            left_over([("stitched", stitched.share), (PRIOR, settings.prior_share)])
        if start is None:
            target_layers(model.linear_layers(), settings.targets or model.lora_targets)
        on_checked(snapshot is not None)
        projection = _projection(model, settings, start, undo)
        with nullcontext() if projection is None else projection.off():  # it is the base's
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
        encodings = _encoded(model, stages, tokens, words, settings)
        model.release()  # from here on it is the denoiser's memory
        training = Training(
            model=model,
            injection=_injected(model, settings, recipe, start, undo),
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
        if start is not None:
            ran["started from"] = dataclasses.asdict(start.provenance)

        def so_far() -> Concept:
            return _collect(training, origin, ran)

        train(training, stages, resume=snapshot, encodings=encodings)
        return so_far()


def probability(model: VideoModel, settings: LearnSettings) -> float:
    """That a sample is learned with an estimate of itself: what "auto" means for this base."""
    if settings.self_conditioning == "auto":
        return AUTO_SELF_CONDITIONING if model.self_conditioned else 0.0
    return settings.self_conditioning


def _token_rows(
    model: VideoModel,
    settings: LearnSettings,
    words: Mapping[str, str],
    start: Concept | None,
    undo: ExitStack,
) -> TokenRows | None:
    """Rows of their own for the words, where the settings want them learned."""
    if settings.token_mode != "learned":
        return None
    if model.hardware.settings.text_on_cpu and model.device.type != "cpu":
        raise SettingsError(
            "setting text_on_cpu is True, and learned tokens train through the text encoder; set"
            " token_mode = 'literal', or text_on_cpu = false"
        )
    tokens = model.add_tokens(list(words.values()))
    undo.callback(tokens.remove)
    if start is not None:
        tokens.load(start.tokens)
    elif settings.token_start == "mean":
        tokens.start_at_mean()
    return tokens


def _encoded(
    model: VideoModel,
    stages: Sequence[Stage],
    tokens: TokenRows | None,
    words: Mapping[str, str],
    settings: LearnSettings,
) -> dict[str, Encodings]:
    """Each stage's prompts, where none of them waits for rows that are still to be learned."""
    if tokens is not None:
        return {}
    return {
        stage.name: Encodings(model, stage, words, settings, rows_are_trained=False)
        for stage in stages
    }


def _injected(
    model: VideoModel,
    settings: LearnSettings,
    recipe: Recipe,
    start: Concept | None,
    undo: ExitStack,
) -> Injection:
    if start is not None:
        injection = injected_start(model, start)
    else:
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
    model: VideoModel, settings: LearnSettings, start: Concept | None, undo: ExitStack
) -> SelfConditioning | None:
    """A projection of the concept's own, where the base has none and the settings want one."""
    given = None if start is None else start.self_conditioning
    if model.self_conditioned or (probability(model, settings) == 0 and given is None):
        return None
    projection = model.add_self_conditioning()
    undo.callback(projection.remove)
    if given is not None:
        projection.load(given)
    return projection


def _saver(checkpoint: Path | None, processes: Processes) -> Callable[[Snapshot], Path | None]:
    """The first process writes; the others know where."""

    def save(snapshot: Snapshot) -> Path | None:
        if checkpoint is not None and processes.is_first:
            save_snapshot(snapshot, checkpoint)
        return checkpoint

    return save


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
        tokens={word: row.to("cpu", copy=True) for word, row in rows.items()},
        provenance=dataclasses.replace(origin, settings={**origin.settings, **known, **ran}),
        self_conditioning=None
        if projection is None
        else projection.weight.detach().to("cpu", copy=True),
    )
