"""THE loop: every stage, baseline and ablation is a description that it runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from setseq.config import LearnSettings
from setseq.errors import Interrupted, TrainingError
from setseq.flow import draw_times, noised, velocity_target
from setseq.lora.inject import PARTS, Injection
from setseq.models.base import Conditioning, VideoModel
from setseq.models.tokens import TokenRows
from setseq.precision import Precision, autocast, resolved
from setseq.prompts import filled
from setseq.training.checkpoint import Snapshot, moments_of, restore_moments
from setseq.training.interrupts import InterruptFlag, interrupts_held
from setseq.training.stages import TOKENS, Stage


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What happened in one step.

    Attributes:
        stage: its name.
        step: steps of the stage done, counted from 1.
        steps: steps that the stage has.
        loss: mean squared error of the velocity.
        gradient_norm: before clipping.
        losses: the same for each part of the batch alone, as "concept" and "prior".
    """

    stage: str
    step: int
    steps: int
    loss: float
    gradient_norm: float
    losses: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """Everything that the loop works on.

    Attributes:
        model: the frozen base model that carries ``injection``.
        injection: the concept's layers.
        tokens: learned token rows, None in literal mode.
        words: placeholder to word.
        settings: of the optimizer, the times, the precision and the checkpoints.
        run: what the training is about, for its checkpoints.
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
    on_step: Callable[[StepReport], None] = lambda report: None
    save: Callable[[Snapshot], Path | None] = lambda snapshot: None


def flow_loss(
    model: VideoModel, data: Tensor, noise: Tensor, time: Tensor, conditioning: Conditioning
) -> Tensor:
    """Mean squared error of the predicted velocity; draws nothing. Source: Eq. 1, 5, 9."""
    velocity = model.velocity(noised(data, noise, time), time, conditioning)
    return F.mse_loss(velocity, velocity_target(data, noise))


def train(
    training: Training, stages: Sequence[Stage], *, resume: Snapshot | None = None
) -> Precision:
    """Run the stages one after the other.

    Args:
        training: what to train, in place.
        stages: in their order.
        resume: the state to go on from; the result is bit-equal to that of an unbroken run.

    Returns:
        The precision that the networks ran in.

    Raises:
        TrainingError: the loss is not finite; the parameters keep their last good values.
        Interrupted: the user stopped it; the state is saved.
    """
    generator = torch.Generator().manual_seed(training.settings.seed)
    device = training.model.device
    precision = resolved(training.settings.precision, device)
    if resume is not None:
        generator.set_state(resume.generator)
        precision: Precision = "bf16" if resume.precision == "bf16" else "fp32"
        _restore_values(training, resume)
    names = [stage.name for stage in stages]
    first = 0 if resume is None else names.index(resume.stage)
    with interrupts_held() as interrupt:
        for stage in stages[first:]:
            state = resume if resume is not None and stage.name == resume.stage else None
            _StageRun(training, stage, generator, precision, state).go(interrupt)
    return precision


class _StageRun:
    """One stage's run: its optimizer, its cached prompts, its place."""

    def __init__(
        self,
        training: Training,
        stage: Stage,
        generator: torch.Generator,
        precision: Precision,
        resume: Snapshot | None,
    ) -> None:
        self.training, self.stage = training, stage
        self.generator = generator
        self.precision: Precision = precision
        training.injection.set_strengths(identity=1.0, motion=stage.motion_strength)
        self.trained = select_trained(training, stage.trains)
        self.optimizer = _make_optimizer(self.trained, training.settings)
        self.done = 0
        if resume is not None:
            self.done = resume.step
            restore_moments(self.optimizer, self.trained, resume.moments)
        self.latents = stage.latents.to(training.model.device)
        self.texts = list(dict.fromkeys(filled(p, training.words) for p in stage.prompts))
        self.text_of = torch.tensor(
            [self.texts.index(filled(p, training.words)) for p in stage.prompts]
        )
        self.cached = None if _token_name() in self.trained else self._encode()

    def go(self, interrupt: InterruptFlag) -> None:
        every = self.training.settings.checkpoint_every
        while self.done < self.stage.steps:
            report = self._step()
            try:
                self.training.on_step(report)
            except KeyboardInterrupt:
                interrupt.raised = True
            if interrupt.raised:
                raise Interrupted(
                    f"stopped after step {self.done} of {self.stage.steps} of the"
                    f" {self.stage.name} stage; {self._saved('the same command goes on')}"
                )
            if every and (self.done % every == 0 or self.done == self.stage.steps):
                self.training.save(self._snapshot())

    def _step(self) -> StepReport:
        settings, before = self.training.settings, self.generator.get_state()
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.latents.device)
        for _ in range(settings.accumulation):
            loss = self._loss() / settings.accumulation
            loss.backward()
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.trained.values(), settings.clip_norm)
        loss_value, norm_value = torch.stack([total, norm]).tolist()
        if not (math.isfinite(loss_value) and math.isfinite(norm_value)):
            self.generator.set_state(before)
            raise TrainingError(
                f"the loss is {loss_value} with a gradient of norm {norm_value} in step"
                f" {self.done + 1} of the {self.stage.name} stage;"
                f" {self._saved('go on with a smaller learning rate')}"
            )
        self.optimizer.step()
        self.done += 1
        return StepReport(
            stage=self.stage.name,
            step=self.done,
            steps=self.stage.steps,
            loss=loss_value,
            gradient_norm=norm_value,
            losses={"concept": loss_value},
        )

    def _loss(self) -> Tensor:
        settings, device = self.training.settings, self.latents.device
        places = draw_places(len(self.latents), self.stage.batch, self.generator)
        data = self.latents[places.to(device)]
        noise = torch.randn(data.shape, generator=self.generator).to(device)
        time = draw_times(
            len(data),
            shift=self.training.model.timestep_shift,
            generator=self.generator,
            mean=settings.time_mean,
            std=settings.time_std,
        ).to(device)
        conditioning = self.cached or self._encode()
        if len(self.texts) > 1:  # a single prompt serves the whole batch
            conditioning = conditioning.select(self.text_of[places])
        with autocast(self.precision, device):
            return flow_loss(self.training.model, data, noise, time, conditioning)

    def _encode(self) -> Conditioning:
        """The stage's prompts; with gradients only while token rows are trained."""
        with torch.set_grad_enabled(_token_name() in self.trained):
            return self.training.model.encode_prompts(self.texts)

    def _saved(self, way_on: str) -> str:
        """Save the last whole state, and say where it is and what to do."""
        path = self.training.save(self._snapshot())
        if path is None:
            return "nothing was saved, for no checkpoint file was given"
        return f"the state is in {path}: {way_on} from there"

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            stage=self.stage.name,
            step=self.done,
            values={k: v.detach().clone() for k, v in all_parameters(self.training).items()},
            moments=moments_of(self.optimizer, self.trained),
            generator=self.generator.get_state(),
            precision=self.precision,
            run=self.training.run,
        )


def draw_places(count: int, batch: int, generator: torch.Generator) -> Tensor:
    """Draw ``batch`` of ``count`` places; none comes twice before all have come once."""
    rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(batch / count))]
    return torch.cat(rounds)[:batch]


def all_parameters(training: Training) -> dict[str, nn.Parameter]:
    """Every parameter of the concept: "basis/<layer>" and so on, and "tokens/rows"."""
    named = {
        f"{part}/{layer}": value
        for part in PARTS
        for layer, value in training.injection.parameters(part).items()
    }
    return named | ({} if training.tokens is None else {_token_name(): training.tokens.rows})


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


def _token_name() -> str:
    return f"{TOKENS}/rows"


def _make_optimizer(
    trained: Mapping[str, nn.Parameter], settings: LearnSettings
) -> torch.optim.AdamW:
    layers = [value for name, value in trained.items() if name != _token_name()]
    groups: list[dict[str, Any]] = [{"params": layers, "weight_decay": settings.weight_decay}]
    if _token_name() in trained:
        rows = [trained[_token_name()]]
        groups.append({"params": rows, "weight_decay": 0.0, "lr": settings.token_learning_rate})
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, fused=True)


@torch.no_grad()
def _restore_values(training: Training, resume: Snapshot) -> None:
    own = all_parameters(training)
    if own.keys() != resume.values.keys():
        raise TrainingError("the checkpoint has other layers than the model; delete it")
    for name, value in own.items():
        value.copy_(resume.values[name])
