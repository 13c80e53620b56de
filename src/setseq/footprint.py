"""How much memory learning will take, from a base's configuration alone, before anything is read.

The real code runs on tensors without numbers (models/dry_run.py): the very network in its real
shapes, with concept layers, checkpointing, autocast, the loss and its way back. Of a long list of
equal blocks a few are run, and the rest is a straight line: each further block adds the same.

What a GPU has beside the tensors is not in these bytes: see ``on_card``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from setseq.config import HardwareSettings, LearnSettings
from setseq.lora.inject import Injection, inject
from setseq.models.dry_run import DryRun, block_lists, fake_tensors
from setseq.models.registry import load_blueprint
from setseq.precision import Precision, autocast
from setseq.training.objective import flow_losses
from setseq.training.stages import SEQUENCE_TRAINS, SET_TRAINS, frames_at_once

_CPU = torch.device("cpu")
_FEW = 6  # blocks of a list that are all run
_SHORT, _STEP = 3, 2  # blocks of a longer list that are run, and how many more to see the slope
_TRAINS = {"set": SET_TRAINS, "sequence": SEQUENCE_TRAINS}
# Bytes a trained number: two of float32, or two of a byte and their scales, one for 256.
_MOMENTS = {"adamw": 8.0, "adamw8bit": 2 + 8 / 256}
# Our choice: a GPU's driver, its libraries and the gaps between tensors. What was measured on a GPU
# (docs/models.md) are tensors and working memory alone, without these.
_SPARE_FACTOR, _SPARE_BYTES = 1.1, 10**9


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of the clip, as the base is to see it; None is the base's own."""

    num_frames: int | None = None
    height: int | None = None
    width: int | None = None


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Predicted bytes of the tensors of learning, at most, in each of its phases.

    Attributes:
        encoding: text encoders, autoencoder, and what encoding the clip takes.
        set: a step on single frames, the denoiser's weights in it.
        sequence: a step on the clip, likewise.
        at_rest: of the denoiser with the concept and its optimizer, between steps of Sequence.
        size: frames, height and width of the clip.
    """

    encoding: int
    set: int
    sequence: int
    at_rest: int
    size: tuple[int, int, int]

    @property
    def peak(self) -> int:
        """The largest phase."""
        return max(self.encoding, self.set, self.sequence)

    def with_encoding(self, encoding: int) -> "Footprint":
        """The same with another phase of encoding."""
        return replace(self, encoding=encoding)

    @property
    def on_card(self) -> int:
        """The peak with what a GPU has beside it: 10% and 1 GB, our choice."""
        return round(self.peak * _SPARE_FACTOR) + _SPARE_BYTES


def encoding_bytes(
    base: str | Path, settings: LearnSettings, hardware: HardwareSettings, size: Size
) -> int:
    """Predict the phase of encoding alone; arguments as for ``predict``."""
    return Plan(base, settings, hardware, size, "fp32").encoding()


def predict(
    base: str | Path,
    settings: LearnSettings,
    hardware: HardwareSettings,
    *,
    size: Size = Size(),
    precision: Precision = "bf16",
    encoding: int | None = None,
) -> Footprint:
    """Predict the memory of a learning.

    Args:
        base: as for ``load_model``; of a short name the files need not be here.
        settings: rank, targets and batches.
        hardware: how the base is held; "auto" weights are those of a GPU, bf16.
        size: of the clip.
        precision: that the networks compute in.
        encoding: the bytes of that phase, where they are known; None predicts them.

    Raises:
        BaseModelError: the base is unknown, or the pattern of its layers matches none.
        SettingsError: the base makes no clip of this size.
    """
    if hardware.weights == "auto":
        hardware = hardware.model_copy(update={"weights": "bf16"})
    plan = Plan(base, settings, hardware, size, precision)
    at_rest, sequence = plan.step("sequence")
    return Footprint(
        encoding=plan.encoding() if encoding is None else encoding,
        set=plan.step("set")[1],
        sequence=sequence,
        at_rest=at_rest,
        size=plan.size,
    )


class Plan:
    """One base with settings, of which steps are run without their memory."""

    def __init__(
        self,
        base: str | Path,
        settings: LearnSettings,
        hardware: HardwareSettings,
        size: Size,
        precision: Precision,
    ) -> None:
        self.settings = settings
        self.precision: Precision = precision
        self.kind, self.blueprint, self.card = load_blueprint(base, hardware)
        self.alone = self.kind.alone or self.kind
        with fake_tensors():
            geometry = self._model({}).geometry
        asked = (size.num_frames, size.height, size.width)
        own = (geometry.num_frames, geometry.height, geometry.width)
        frames, height, width = (a or b for a, b in zip(asked, own, strict=True))
        self.size = (frames, height, width)
        self.latents = {
            "set": (settings.set_batch, *geometry.latent_shape(1, height, width)),
            "sequence": (settings.sequence_batch, *geometry.latent_shape(*self.size)),
        }
        skeleton = self.blueprint.skeleton("transformer")
        self.lists = {n: count for n, count in block_lists(skeleton).items() if count > _FEW}

    def _model(self, kept: Mapping[str, int]) -> Any:
        blueprint = self.blueprint.with_kept(kept)
        return self.alone(blueprint, self.card, id="blueprint")

    def step(self, stage: str) -> tuple[int, int]:
        """Bytes at rest and at most of a stage's step."""
        short = dict.fromkeys(self.lists, _SHORT)
        rest, peak = first = self._run(stage, short)
        for name, count in self.lists.items():
            longer = self._run(stage, {**short, name: _SHORT + _STEP})
            more = (count - _SHORT) / _STEP
            rest += round((longer[0] - first[0]) * more)
            peak += round((longer[1] - first[1]) * more)
        others = len(self.kind.networks) - 1  # experts that wait while one computes
        return rest * (1 + others), peak + rest * others

    def _run(self, stage: str, kept: Mapping[str, int]) -> tuple[int, int]:
        with fake_tensors():
            model = self._model(kept)
            injection, moments = self._concept(model, stage)
            data = torch.zeros(self.latents[stage])
            noise, time = torch.zeros_like(data), torch.full((len(data),), 0.5)
            prompt = model.blank_prompt()
            with DryRun() as dry:
                dry.hold([*model.denoiser.parameters(), *model.denoiser.buffers()])
                dry.hold([data, noise, time, *prompt.tensors.values()])
                rest = dry.live + moments
                with autocast(self.precision, _CPU):
                    losses = flow_losses(model, data, noise, time, prompt)
                losses.mean().backward()
                del losses
            injection.remove()
            return rest, dry.peak + moments

    def _concept(self, model: Any, stage: str) -> tuple[Injection, int]:
        """The concept's layers as a stage trains them, and the bytes of the optimizer's state."""
        injection = inject(
            model.denoiser,
            self._targets(),
            rank=self.settings.rank,
            generator=torch.Generator().manual_seed(0),
        )
        injection.set_strengths(identity=1.0, motion=float(stage == "sequence"))
        trained = 0
        for part in injection.parts:
            chosen = part in _TRAINS[stage]
            for value in injection.parameters(part).values():
                value.requires_grad_(chosen)
                trained += value.numel() * chosen
        return injection, round(trained * _MOMENTS[self.settings.optimizer])

    def _targets(self) -> str:
        return self.settings.targets or self.alone.lora_targets

    @torch.no_grad()
    def encoding(self) -> int:
        """Bytes while prompts and clip are encoded: both encoders stay until both are done."""
        frames, height, width = self.size
        together = min(frames, frames_at_once(height, width))
        peaks = []
        for count, length in ((1, frames), (together, 1)):
            with fake_tensors():
                model = self._model({})
                autoencoder: Any = model.components["vae"]
                pixels = torch.zeros(count, 3, length, height, width)
                part = pixels
                if getattr(autoencoder, "use_tiling", False):  # one tile after the other
                    high, wide = (
                        autoencoder.tile_sample_min_height,
                        autoencoder.tile_sample_min_width,
                    )
                    part = pixels[..., :high, :wide].clone()
                with DryRun() as dry:
                    dry.hold([*autoencoder.parameters(), *autoencoder.buffers(), pixels])
                    model.encode_video(part)
                peaks.append(dry.peak)
        text = 0 if self.blueprint.hardware.settings.text_on_cpu else self.blueprint.text_bytes()
        return text + max(peaks)
