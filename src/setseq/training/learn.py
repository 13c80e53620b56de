"""Learning a concept: both stages over one or several clips, from a base model to a Concept."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from setseq.concept import ClipRecord, Concept, Provenance
from setseq.config import LearnSettings
from setseq.lora.inject import Injection, inject
from setseq.models.base import VideoModel
from setseq.models.tokens import TokenRows
from setseq.prompts import choose_words, filled
from setseq.training.checkpoint import Snapshot, load_snapshot, save_snapshot
from setseq.training.loop import train
from setseq.training.stages import TrainingClip, sequence_stage, set_stage
from setseq.training.state import StepReport, Training
from setseq.training.stitched import NOT_STITCHED, Stitched
from setseq.version import __version__

# Settings that a resumed training may change: they take effect from there on.
_MAY_CHANGE = ("learning_rate", "token_learning_rate", "clip_norm", "checkpoint_every")


def learn_concept(
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    *,
    stitched: Stitched = NOT_STITCHED,
    checkpoint: Path | None = None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learn a concept; the model is bit-equal to before when this returns or raises.

    Args:
        model: the base model.
        clips: one, or several that become one concept with a pair of tokens each.
        settings: of the training.
        stitched: clips that show several of them side by side, learned beside them.
        checkpoint: where the state goes at intervals and on Ctrl-C. When the file is there, the
            training goes on from it, exactly (only learning rates, clipping and the interval of
            checkpoints may differ). It stays there at the end.
        on_step: called after every step; while it runs, the model carries the concept so far.

    Raises:
        TrainingError: the loss is not finite, or the checkpoint belongs to another training.
        Interrupted: Ctrl-C; the message says how to go on.
        PromptError: a prompt cannot be used.
    """
    words = choose_words(settings.token_mode, concepts=len(clips), words=settings.words)
    origin = _provenance(model, clips, settings, words)
    run = _identity(origin, [*clips, *stitched.clips])
    run["stitched share"] = stitched.share
    resume = load_snapshot(checkpoint, run) if checkpoint and checkpoint.exists() else None
    tokens = model.add_tokens(list(words.values())) if settings.token_mode == "learned" else None
    injection = None
    try:
        # Prompts are checked before the long work starts.
        for clip in (*clips, *stitched.clips):
            model.encode_prompts([filled(clip.prompt.full, words)])
        injection = inject(
            model.denoiser,
            settings.targets or model.lora_targets,
            rank=settings.rank,
            generator=torch.Generator().manual_seed(settings.seed),
        )
        stages = [
            set_stage(model, clips, settings, stitched.frames(model)),
            sequence_stage(model, clips, settings, stitched.videos(model)),
        ]
        training = Training(
            model=model,
            injection=injection,
            tokens=tokens,
            words=words,
            settings=settings,
            run=run,
            on_step=on_step,
            save=_saver(checkpoint),
        )
        precision = train(training, stages, resume=resume)
        ran = dataclasses.replace(origin, settings={**origin.settings, "precision": precision})
        return _collect(injection, tokens, ran)
    finally:
        if injection is not None:
            injection.remove()
        if tokens is not None:
            tokens.remove()


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


def _saver(checkpoint: Path | None) -> Callable[[Snapshot], Path | None]:
    def save(snapshot: Snapshot) -> Path | None:
        if checkpoint is not None:
            save_snapshot(snapshot, checkpoint)
        return checkpoint

    return save


def _identity(origin: Provenance, clips: Sequence[TrainingClip]) -> dict[str, Any]:
    """What a checkpoint must agree on: the provenance without what may change on the way.

    The frames count beside their file: another start in the same file gives other ones.
    """
    about = dataclasses.asdict(origin)
    about["hash of the frames"] = [_hash(clip.pixels) for clip in clips]
    about["settings"] = {k: v for k, v in about["settings"].items() if k not in _MAY_CHANGE}
    return about


def _hash(pixels: Tensor) -> str:
    return hashlib.sha256(pixels.cpu().contiguous().numpy().tobytes()).hexdigest()


def _collect(injection: Injection, tokens: TokenRows | None, origin: Provenance) -> Concept:
    rows = {} if tokens is None else dict(zip(tokens.words, tokens.rows.detach(), strict=True))
    return Concept(
        basis=injection.tensors("basis"),
        identity=injection.tensors("identity"),
        motion=injection.tensors("motion"),
        tokens={word: row.clone() for word, row in rows.items()},
        provenance=origin,
    )
