"""Trains the base model's transformer: frames first, then mostly clips.

What a step sees depends on its number alone (lessons.py), so a run that is stopped and resumed is
the run that was never stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from setseq.flow import clean_estimate, noised, velocity_target
from setseq.toybox.components import Networks
from setseq.toybox.lessons import Lesson, Lessons
from setseq.toybox.muon import StackedMuon
from setseq.toybox.resume import OnStep, load_state, rate_at, save_state, set_rate
from setseq.toybox.scene_map import SceneMap, SceneReader
from setseq.toybox.settings import PretrainSettings
from setseq.toybox.shards import Shards
from setseq.training.interrupts import interrupts_held


class Pretraining:
    """The networks, their averages and their optimizers at one step of the run.

    Attributes:
        device: Where the networks are, and with them the run.
        step: Steps taken so far.
    """

    def __init__(self, networks: Networks, settings: PretrainSettings) -> None:
        """Starts a run at step 0 with these networks; the text encoder stays as it is."""
        self.networks = networks
        self.device = next(networks.transformer.parameters()).device
        self.settings = settings
        self.step = 0
        self._reader = SceneReader(_width(networks)).to(self.device)
        self._hidden: Tensor | None = None
        block = networks.transformer.blocks[self._reading_block()]
        block.register_forward_hook(self._keep_hidden)
        self._trained = _trained(networks)
        self._trained["reader"] = self._reader
        named = dict(self._trained.named_parameters())
        self._average = {name: tensor.detach().clone() for name, tensor in named.items()}
        matrices = [p for n, p in named.items() if p.ndim == 2 and "transformer.blocks." in n]
        others = [p for n, p in named.items() if not (p.ndim == 2 and "transformer.blocks." in n)]
        self._matrices = StackedMuon(matrices, lr=settings.matrix_lr, weight_decay=0.01, ns_steps=4)
        self._others = torch.optim.AdamW(
            others, lr=settings.other_lr, betas=(0.9, 0.98), weight_decay=0.01
        )
        self._optimizers = {"matrices": self._matrices, "others": self._others}

    def advance(self, lesson: Lesson) -> float:
        """Takes one step and returns its loss."""
        seen = lesson.to(self.device)
        point = noised(seen.latents, seen.noise, seen.times)
        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.no_grad():
                prompt, bias = self.networks.encode(seen.ids, seen.mask)
            estimate = self._estimate(point, seen.times, prompt, bias, seen.fed)
            predicted = self.networks.velocity(point, seen.times, prompt, bias, estimate)
        errors = (predicted.float() - velocity_target(seen.latents, seen.noise)).square()
        loss = self._weighted(errors, seen.truth.shown)
        (loss + self._misread(seen.truth)).backward()
        self._update()
        self.step += 1
        return loss.item()

    def _weighted(self, errors: Tensor, shown: Tensor) -> Tensor:
        """The mean error, of characters' places more than of the scenery's."""
        weights = 1 + (self.settings.character_weight - 1) * shown.unsqueeze(1)
        return (errors * weights).mean() / weights.mean()

    def _misread(self, truth: SceneMap) -> Tensor | float:
        """The weighted loss of the scene reader on the hidden tokens of the last pass."""
        if self.settings.reading_weight == 0 or self._hidden is None:
            return 0.0
        return self.settings.reading_weight * self._reader.loss(self._hidden, truth)

    def _keep_hidden(self, _block: nn.Module, _args: tuple, output: Tensor) -> None:
        self._hidden = output

    def _reading_block(self) -> int:
        return min(self.settings.reading_block, len(self.networks.transformer.blocks)) - 1

    @torch.no_grad()
    def _estimate(
        self, point: Tensor, times: Tensor, prompt: Tensor, bias: Tensor, fed: Tensor
    ) -> Tensor:
        """The clean latents as a first pass sees them in the rows ``fed``, zeros in the others."""
        estimate = torch.zeros_like(point)
        if len(fed):
            seen = self.networks.velocity(point[fed], times[fed], prompt[fed], bias[fed])
            estimate[fed] = clean_estimate(point[fed], seen.float(), times[fed])
        return estimate

    @torch.no_grad()
    def _update(self) -> None:
        s = self.settings
        factor = rate_at(self.step, s.steps, warmup=s.warmup, cooldown=s.cooldown)
        set_rate(self._matrices, s.matrix_lr * factor)
        set_rate(self._others, s.other_lr * factor)
        nn.utils.clip_grad_norm_(self._others.param_groups[0]["params"], 1.0)
        for optimizer in self._optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        named = dict(self._trained.named_parameters())
        decay = min(s.ema, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            list(self._average.values()), [named[name] for name in self._average], 1 - decay
        )

    def averaged_into(self, networks: Networks) -> None:
        """Copies the averaged weights, and the text encoder, into networks of the same shape."""
        _trained(networks).load_state_dict(self._average, strict=False)
        networks.text_encoder.load_state_dict(self.networks.text_encoder.state_dict())

    def save(self, path: Path) -> None:
        """Writes everything that a resumed run needs, beside and then in place."""
        tensors = {f"weights/{name}": p for name, p in self._trained.named_parameters()}
        tensors |= {f"average/{name}": tensor for name, tensor in self._average.items()}
        save_state(path, self.step, tensors, self._optimizers)

    def load(self, path: Path) -> None:
        """Goes on where save left off."""
        self.step, tensors = load_state(path, self._optimizers)
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "average": {}}
        for name, tensor in tensors.items():
            label, rest = name.split("/", 1)
            parts[label][rest] = tensor
        self._trained.load_state_dict(parts["weights"])
        self._average |= {name: t.to(self.device) for name, t in parts["average"].items()}


def _trained(networks: Networks) -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "transformer": networks.transformer,
            "self_conditioning": networks.self_conditioning,
        }
    )


def _width(networks: Networks) -> int:
    config = networks.transformer.config
    return config["num_attention_heads"] * config["attention_head_dim"]


def pretrain(
    run: Pretraining,
    shards: Shards,
    folder: Path,
    *,
    save_every: int = 200,
    workers: int = 0,
    on_step: OnStep = lambda step, loss: None,
    on_saved: Callable[[int], None] = lambda step: None,
) -> None:
    """Runs to the end of the settings' steps, saving as it goes.

    Args:
        run: A new run; it continues from ``folder`` where that holds one.
        shards: The training set.
        folder: Where ``base.safetensors`` (the state) and ``base.jsonl`` (the log) are kept.
        save_every: Steps between two saves.
        workers: Processes that draw the batches ahead; 0 draws them between the steps.
        on_step: Called after each step with its number and loss.
        on_saved: Called with the step after each save.

    Raises:
        KeyboardInterrupt: The user stopped it; the state after the last step is saved.
    """
    state = folder / "base.safetensors"
    if state.exists():
        run.load(state)
    started = time.perf_counter()
    lessons = Lessons(shards, run.networks, run.settings).from_step(run.step, workers=workers)
    with (folder / "base.jsonl").open("a") as log, interrupts_held() as interrupt:
        for lesson in lessons:
            loss = run.advance(lesson)
            on_step(run.step, loss)
            row = {"step": run.step, "loss": round(loss, 5)}
            row["s"] = round(time.perf_counter() - started, 1)
            log.write(json.dumps(row) + "\n")
            log.flush()
            is_due = run.step % save_every == 0 or run.step == run.settings.steps
            if is_due or interrupt.raised:
                run.save(state)
            if interrupt.raised:
                raise KeyboardInterrupt
            if is_due:
                on_saved(run.step)
