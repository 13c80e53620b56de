"""THE loop: every stage, baseline and ablation is a description that it runs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor

from setseq.config import LearnSettings
from setseq.errors import Interrupted, TrainingError
from setseq.models.base import VideoModel
from setseq.precision import Precision, autocast, resolved
from setseq.training.batches import draw_bundles, draw_estimated
from setseq.training.checkpoint import Snapshot, moments_of, restore_moments
from setseq.training.encodings import Encodings
from setseq.training.interrupts import InterruptFlag, interrupts_held
from setseq.training.objective import bundle_losses
from setseq.training.shares import own_parts, scattered, sum_gradients
from setseq.training.stages import Group, Stage
from setseq.training.state import (
    ROWS,
    StepReport,
    Training,
    all_parameters,
    clip_gradients,
    make_optimizer,
    restore_values,
    select_trained,
)


def train(
    training: Training,
    stages: Sequence[Stage],
    *,
    resume: Snapshot | None = None,
    encodings: Mapping[str, Encodings] | None = None,
) -> Precision:
    """Run the stages one after the other.

    Args:
        training: what to train, in place.
        stages: in their order.
        resume: the state to go on from; the result is bit-equal to that of an unbroken run.
        encodings: by stage its prompts, where they were encoded before; else the stage does so.

    Returns:
        The precision that the networks ran in.

    Raises:
        TrainingError: the loss is not finite; the parameters keep their last good values.
        Interrupted: the user stopped it, in any of the processes; the state is saved.
    """
    generator = torch.Generator().manual_seed(training.settings.seed)
    precision = precision_of(training.model, training.settings, resume)
    if resume is not None:
        generator.set_state(resume.generator)
        restore_values(training, resume)
    names = [stage.name for stage in stages]
    first = 0 if resume is None else names.index(resume.stage)
    with interrupts_held() as interrupt:
        for stage in stages[first:]:
            if training.model.hardware.settings.compile:
                torch.compiler.reset()  # what trains is another part: all is compiled anew
            state = resume if resume is not None and stage.name == resume.stage else None
            prompts = (encodings or {}).get(stage.name)
            _StageRun(training, stage, generator, precision, state, prompts).go(interrupt)
    return precision


def precision_of(model: VideoModel, settings: LearnSettings, resume: Snapshot | None) -> Precision:
    """That of the stopped training, on whatever machine it ran; else what the settings mean."""
    if resume is None:
        return resolved(settings.precision, model.device)
    return "bf16" if resume.precision == "bf16" else "fp32"


def rate_factor(done: int, steps: int, decay: float) -> float:
    """What the learning rates of the next step are multiplied by.

    Args:
        done: steps of the stage taken so far, below ``steps``.
        steps: of the stage.
        decay: its last share in which the rates fall, [0, 1].

    Returns:
        1 up to that share, then a straight line that would reach 0 one step after the last.
    """
    falling = decay * steps
    return 1.0 if steps - done > falling else (steps - done) / (falling + 1)


class _StageRun:
    """One stage's run: its optimizer, its cached prompts, its place."""

    def __init__(
        self,
        training: Training,
        stage: Stage,
        generator: torch.Generator,
        precision: Precision,
        resume: Snapshot | None,
        encodings: Encodings | None,
    ) -> None:
        device = training.model.device
        groups = tuple(_on_device(group, device) for group in stage.groups)
        self.training, self.stage = training, replace(stage, groups=groups)
        self.generator = generator
        self.precision: Precision = precision
        training.injection.set_strengths(identity=1.0, motion=stage.motion_strength)
        self.trained = select_trained(training, stage.trains)
        self.optimizer = make_optimizer(self.trained, training.settings, rate=stage.rate)
        self.rates: list[float] = [group["lr"] for group in self.optimizer.param_groups]
        self.done = 0
        if resume is not None:
            self.done = resume.step
            restore_moments(self.optimizer, self.trained, resume.moments)
        self.encodings = encodings or Encodings(
            training.model,
            self.stage,
            training.words,
            training.settings,
            rows_are_trained=ROWS in self.trained,
        )

    def go(self, interrupt: InterruptFlag) -> None:
        every = self.training.settings.checkpoint_every
        while self.done < self.stage.steps:
            report = self._step()
            try:
                self.training.on_step(report)
            except KeyboardInterrupt:
                interrupt.raised = True
            if self.training.processes.any(interrupt.raised):
                raise Interrupted(
                    f"stopped after step {self.done} of {self.stage.steps} of the"
                    f" {self.stage.name} stage; {self._saved('the same command goes on')}"
                )
            if every and (self.done % every == 0 or self.done == self.stage.steps):
                self.training.save(self._snapshot())

    def _step(self) -> StepReport:
        settings, before = self.training.settings, self.generator.get_state()
        self.optimizer.zero_grad(set_to_none=True)
        with self._dropout():
            batches = [self._accumulate(number) for number in range(settings.accumulation)]
        own = torch.stack([loss for _, _, loss in batches]).sum()
        losses = torch.cat([own[None], *(each for _, each, _ in batches)])
        losses = sum_gradients([*self.trained.values()], losses, self.training.processes)
        norm = clip_gradients(self.optimizer, settings.clip_norm)
        norm_value, loss, *each = torch.cat([norm[None], losses]).tolist()
        if not (math.isfinite(loss) and math.isfinite(norm_value)):
            self.generator.set_state(before)
            raise TrainingError(
                f"the loss is {loss} with a gradient of norm {norm_value} in step"
                f" {self.done + 1} of the {self.stage.name} stage;"
                f" {self._saved('go on with a smaller learning rate')}"
            )
        factor = rate_factor(self.done, self.stage.steps, settings.learning_rate_decay)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        self.done += 1
        owners = [name for own, _, _ in batches for name in own]
        return StepReport(
            stage=self.stage.name,
            step=self.done,
            steps=self.stage.steps,
            loss=loss,
            gradient_norm=norm_value,
            losses=_means(owners, each),
        )

    def _accumulate(self, number: int) -> tuple[list[str], Tensor, Tensor]:
        """Add the gradients of one batch, or of this process's samples of it.

        Args:
            number: of the batch in its step, from 0.

        Returns:
            The owners of all samples; their losses, zero for those of other processes; this
            process's part of the loss.
        """
        training, settings = self.training, self.training.settings
        bundles = draw_bundles(
            self.stage.groups,
            self.encodings.texts,
            self.stage.batch,
            shift=training.model.timestep_shift,
            generator=self.generator,
            time_mean=self.stage.time_mean,
            time_std=self.stage.time_std,
        )
        encoded = self.encodings.draw([bundle.texts for bundle in bundles], self.generator)
        chance = training.self_conditioning
        bundles = [draw_estimated(bundle, chance, self.generator) for bundle in bundles]
        parts = own_parts(bundles, training.processes, before=number * self.stage.batch)
        with autocast(self.precision, training.model.device):
            losses = [
                bundle_losses(
                    training,
                    part.bundle,
                    encoded.of(part.bundle.texts),
                    temporal_difference=self.stage.temporal_difference,
                )
                for part in parts
            ]
        each, total = scattered(parts, losses, self.stage.batch, training.model.device)
        loss = total / (self.stage.batch * settings.accumulation)
        if parts:
            loss.backward()
        return [name for bundle in bundles for name in bundle.owners], each, loss.detach()

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """Masks on the coefficients, one for the whole step; nothing else ever sees them."""
        injection = self.training.injection
        if any(self.stage.dropout.values()):
            rescale = self.training.settings.rescale_dropout
            injection.draw_masks(self.generator, self.stage.dropout, rescale)
        try:
            yield
        finally:
            injection.clear_masks()

    def _saved(self, way_on: str) -> str:
        """Save the last whole state, and say where it is and what to do."""
        path = self.training.save(self._snapshot())
        self.training.processes.wait()  # who ends first would end the one that writes
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


def _on_device(group: Group, device: torch.device) -> Group:
    masks = None if group.masks is None else group.masks.to(device)
    return replace(group, latents=group.latents.to(device), masks=masks)


def _means(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """The mean value of each name."""
    return {
        name: fmean(value for own, value in zip(names, values, strict=True) if own == name)
        for name in dict.fromkeys(names)
    }
