"""What the loop works on: the concept's parameters by name, and who trains which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.errors import TrainingError
from setseq.lora.inject import Injection
from setseq.models.base import VideoModel
from setseq.models.self_conditioning import SelfConditioning
from setseq.models.tokens import TokenRows
from setseq.processes import ALONE, Processes
from setseq.training.checkpoint import Snapshot

TOKENS = "tokens"
PROJECTION = "self_conditioning"
ROWS = f"{TOKENS}/rows"


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What happened in one step.

    Attributes:
        stage: its name.
        step: steps of the stage done, counted from 1.
        steps: steps that the stage has.
        loss: weighted mean over the samples of the squared error of the velocity, and of its
            changes from frame to frame where the stage asks for that.
        gradient_norm: before clipping.
        losses: the mean of each group's samples, without their weight; a group that had none in
            this step is not there.
        concept: makes a copy of the concept as it is after the step, while ``on_step`` runs; None
            where the loop runs by itself.
    """

    stage: str
    step: int
    steps: int
    loss: float
    gradient_norm: float
    losses: Mapping[str, float]
    concept: Callable[[], Concept] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """Everything that the loop works on.

    Attributes:
        model: the frozen base model that carries ``injection``.
        injection: the concept's layers.
        tokens: learned token rows, None in literal mode.
        words: placeholder to word.
        settings: of the optimizer, the precision and the checkpoints.
        run: what the training is about, for its checkpoints.
        self_conditioning: probability that a sample is seen with an estimate of itself.
        projection: of the estimate, where the concept has one of its own.
        processes: those that compute each step together, this one among them.
        on_step: called after every step.
        save: called with the state at intervals, after each stage, on Ctrl-C and before a failure
            is raised; returns the file that it is in, None when it keeps none.
    """

    model: VideoModel
    injection: Injection
    tokens: TokenRows | None
    words: Mapping[str, str]
    settings: LearnSettings
    run: Mapping[str, Any]
    self_conditioning: float = 0.0
    projection: SelfConditioning | None = None
    processes: Processes = ALONE
    on_step: Callable[[StepReport], None] = lambda report: None
    save: Callable[[Snapshot], Path | None] = lambda snapshot: None


def all_parameters(training: Training) -> dict[str, nn.Parameter]:
    """Every parameter of the concept: "basis/<layer>" and so on, and "tokens/rows"."""
    named = {
        f"{part}/{layer}": value
        for part in training.injection.parts
        for layer, value in training.injection.parameters(part).items()
    }
    if training.tokens is not None:
        named[ROWS] = training.tokens.rows
    if training.projection is not None:
        named[f"{PROJECTION}/projection"] = training.projection.weight
    return named


def select_trained(training: Training, trains: frozenset[str]) -> dict[str, nn.Parameter]:
    """Let exactly these parts require gradients, and return their parameters by name."""
    trained = {}
    for name, value in all_parameters(training).items():
        chosen = name.partition("/")[0] in trains
        value.requires_grad_(chosen)
        value.grad = None
        if chosen:
            trained[name] = value
    return trained


def make_optimizer(
    trained: Mapping[str, nn.Parameter], settings: LearnSettings, *, rate: float = 1.0
) -> torch.optim.Optimizer:
    """AdamW with a learning rate of its own, and no decay, for token rows.

    Args:
        trained: parameters by name.
        settings: of the training.
        rate: factor of the layers' learning rate.
    """
    layers = [value for name, value in trained.items() if name != ROWS]
    groups: list[dict[str, Any]] = []
    if layers:
        groups.append({"params": layers, "weight_decay": settings.weight_decay})
    if ROWS in trained:
        rows = [trained[ROWS]]
        groups.append({"params": rows, "weight_decay": 0.0, "lr": settings.token_learning_rate})
    betas = (settings.beta1, settings.beta2)
    if settings.optimizer == "adamw8bit":
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]

        return AdamW8bit(groups, lr=rate * settings.learning_rate, betas=betas)
    return torch.optim.AdamW(groups, lr=rate * settings.learning_rate, betas=betas, fused=True)


def clip_gradients(optimizer: torch.optim.Optimizer, limit: float) -> Tensor:
    """Clip the gradients of the layers and those of the token rows, each to a norm of their own.

    The rows' gradients are hundreds of times larger than the layers': under one norm for both,
    next to nothing would be left of the layers'.

    Args:
        optimizer: as ``make_optimizer`` makes it, with gradients.
        limit: largest norm of either.

    Returns:
        The norm of all gradients before clipping. Source: our choice; the paper gives one figure.
    """
    norms = [nn.utils.clip_grad_norm_(group["params"], limit) for group in optimizer.param_groups]
    return torch.linalg.vector_norm(torch.stack(norms))


@torch.no_grad()
def restore_values(training: Training, resume: Snapshot) -> None:
    """Copy a checkpoint's values into the concept.

    Raises:
        TrainingError: it has other parameters.
    """
    own = all_parameters(training)
    if own.keys() != resume.values.keys():
        raise TrainingError("the checkpoint has other layers than the model; delete it")
    for name, value in own.items():
        value.copy_(resume.values[name])
