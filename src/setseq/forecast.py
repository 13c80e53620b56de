"""What learning a clip would see, take and need, before it starts: by trying a few steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from setseq.config import LearnSettings
from setseq.memory import peak_bytes
from setseq.models.base import VideoModel
from setseq.prompts import concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.loop import StepReport
from setseq.training.stages import TrainingClip
from setseq.video.clip import ClipSource
from setseq.video.views import FittedClip

# Our choice, measured on the toybox: its twelve unseen characters keep 26.0 dB and lose at most
# 10.0% of their variation; photographs lost 17% and more (pale ones at a PSNR that looks good),
# with the decoder of two bases before.
FAITHFUL_DB = 24.0
FAITHFUL_LOSS = 0.12
_TRIED_STEPS = 4  # of each stage; the first one warms up


@dataclass(frozen=True, kw_only=True)
class StageForecast:
    """One stage before it runs.

    Attributes:
        name: "set" or "sequence".
        sees: What is in a step, in plain words.
        steps: How many it will run.
        step_s: Seconds a step, the median of some measured ones.
    """

    name: str
    sees: str
    steps: int
    step_s: float

    @property
    def duration_s(self) -> float:
        """Seconds for the stage, without encoding."""
        return self.steps * self.step_s


@dataclass(frozen=True, kw_only=True)
class PreflightReport:
    """What learning a clip would see, take and need.

    Attributes:
        source: Facts about the clip's file.
        notes: What happens to the clip on the way to the base, in plain words.
        fitted: Frames, height and width as the base sees them.
        fps: Frames a second as the base sees them.
        stages: Both stages.
        overhead_s: Seconds for encoding and preparation, measured.
        peak_bytes: Most memory, measured over the trial steps: of this process, or of the GPU.
        psnr_db: How like the clip is after the base's autoencoder, mean over frames, in dB.
        worst_psnr_db: The same for the worst frame.
        lost: Share of the clip's variation (its variance) that the autoencoder loses.
        warnings: What speaks against learning this clip on this base.
    """

    source: ClipSource
    notes: tuple[str, ...]
    fitted: tuple[int, int, int]
    fps: float
    stages: tuple[StageForecast, ...]
    overhead_s: float
    peak_bytes: int
    psnr_db: float
    worst_psnr_db: float
    lost: float
    warnings: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Predicted seconds of the whole learning on this machine."""
        return self.overhead_s + sum(stage.duration_s for stage in self.stages)


def forecast(model: VideoModel, clip: FittedClip, settings: LearnSettings) -> PreflightReport:
    """Run a few steps of each stage for real, throw their result away, and extrapolate.

    Args:
        model: The base model; bit-equal to before afterwards.
        clip: The clip, fitted to it.
        settings: Of the learning that is to be forecast.

    Returns:
        The forecast for this machine as it is now.
    """
    ends: dict[str, list[float]] = {"set": [], "sequence": []}

    def on_step(report: StepReport) -> None:
        ends[report.stage].append(time.perf_counter())

    def on_prior(done: int, total: int) -> None:
        ends["prior"] = [start, time.perf_counter()]

    fidelity = autoencoder_fidelity(model, clip.pixels)
    prompt = concept_prompt("a [v] creature", "it is [u]")
    tried = settings.model_copy(
        update={
            "set_steps": _TRIED_STEPS,
            "sequence_steps": _TRIED_STEPS,
            "checkpoint_every": 0,
            "prior_count": 1,
        }
    )
    start = time.perf_counter()
    learn_concept(
        model,
        [TrainingClip(pixels=clip.pixels[0], prompt=prompt, between=clip.between_pixels)],
        tried,
        on_prior=on_prior,
        on_step=on_step,
    )
    total_s = time.perf_counter() - start
    prior_s = _median_gap(ends.pop("prior")) * (settings.prior_count - 1) if "prior" in ends else 0
    step_s = {name: _median_gap(times) for name, times in ends.items()}
    frames, height, width = clip.frames.shape[:3]
    views = 1 + len(clip.between)
    stages = (
        StageForecast(
            name="set",
            sees=f"{settings.set_batch} single frames of {views * frames}, in no order",
            steps=settings.set_steps,
            step_s=step_s["set"],
        ),
        StageForecast(
            name="sequence",
            sees=f"the whole clip, {settings.sequence_batch} x with noise of its own"
            + (f", each time one of its {views} resamplings" if clip.between else ""),
            steps=settings.sequence_steps,
            step_s=step_s["sequence"],
        ),
    )
    return PreflightReport(
        source=clip.source,
        notes=clip.notes,
        fitted=(frames, height, width),
        fps=clip.fps,
        stages=stages,
        overhead_s=prior_s + max(0.0, total_s - _TRIED_STEPS * sum(step_s.values())),
        peak_bytes=peak_bytes(model.device),
        psnr_db=fidelity.psnr_db,
        worst_psnr_db=fidelity.worst_psnr_db,
        lost=fidelity.lost,
        warnings=_warnings(model, fidelity),
    )


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How like a clip is to itself after an autoencoder; the fields are PreflightReport's."""

    psnr_db: float
    worst_psnr_db: float
    lost: float


def autoencoder_fidelity(model: VideoModel, pixels: Tensor) -> Fidelity:
    """Encode and decode a clip, and compare.

    Args:
        model: The base model.
        pixels: (1, 3, f, h, w) in [-1, 1].

    Returns:
        PSNR over the clip and that of the worst frame, at most 99 dB, and the variation lost.
    """
    decoded = model.decode_video(model.encode_video(pixels)).cpu()
    errors = (decoded - pixels).square().mean(dim=(0, 1, 3, 4))
    variance = float(pixels.var(dim=(0, 2, 3, 4), correction=0).mean())
    return Fidelity(
        psnr_db=_decibels(float(errors.mean())),
        worst_psnr_db=_decibels(float(errors.max())),
        lost=min(1.0, float(errors.mean()) / max(variance, 1e-4)),
    )


def _decibels(error: float) -> float:
    return -10 * math.log10(max(error / 4, 10**-9.9))  # pixels span 2


def _median_gap(times: list[float]) -> float:
    return sorted(after - before for before, after in pairwise(times))[(len(times) - 1) // 2]


def _warnings(model: VideoModel, fidelity: Fidelity) -> tuple[str, ...]:
    if fidelity.psnr_db >= FAITHFUL_DB and fidelity.lost <= FAITHFUL_LOSS:
        return ()
    return (
        f"the autoencoder of {model.id!r} cannot show this clip: it keeps {fidelity.psnr_db:.1f} dB"
        f" and loses {fidelity.lost:.0%} of its variation ({FAITHFUL_DB:g} dB or more and"
        f" {FAITHFUL_LOSS:.0%} or less are needed for a likeness), so that what is learned will not"
        " look like it; a real-world video needs a base model of the real world (--base FOLDER)",
    )
