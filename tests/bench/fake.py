"""A few methods for the bench's tests: the full one at two ranks, and one that fails."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from setseq.baselines import Method, learn_method
from setseq.bench.registry import Methods
from setseq.bench.settings import BenchSettings
from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.errors import TrainingError
from setseq.models.base import VideoModel
from setseq.training.loop import StepReport
from setseq.training.stages import TrainingClip
from tests.surface import LOOK, MOTION

CALLS: list[tuple[str, int]] = []  # method and seed of every learning in this process


def method(name: str, title: str, **settings: Any) -> Method:
    """A method of that name, with words for pages."""
    return Method(
        name=name,
        title=title,
        original="what it was",
        keeps="what stays",
        changes="what is new",
        source="arXiv:0000.00000",
        settings=settings,
    )


KNOWN = {
    "lora-8": method("lora-8", "LoRA-8"),
    "lora-1": method("lora-1", "LoRA-1", rank=1),
    "broken": method("broken", "Broken"),
    "set-and-sequence": method("set-and-sequence", "Set-and-Sequence"),
}


def _learn(
    method: Method,
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    *,
    checkpoint: Path | None,
    on_prior: Callable[[int, int], None],
    on_step: Callable[[StepReport], None],
) -> Concept:
    CALLS.append((method.name, settings.seed))
    if method.name == "broken":
        raise TrainingError("the loss is not finite")
    return learn_method(
        method, model, clips, settings, checkpoint=checkpoint, on_prior=on_prior, on_step=on_step
    )


def methods() -> Methods:
    return Methods(known=KNOWN, learn=_learn)


def slow_methods() -> Methods:
    """The same, with a pause after each step."""

    def learn(*args: Any, on_step: Callable[[StepReport], None], **kwargs: Any) -> Concept:
        def waits(report: StepReport) -> None:
            time.sleep(0.05)
            on_step(report)

        return _learn(*args, on_step=waits, **kwargs)

    return Methods(known=KNOWN, learn=learn)


def settings(base: Path, clip: Path, **changes: Any) -> BenchSettings:
    """A bench of two methods, one concept, two edits and one seed, without encoders."""
    values = {
        "base": str(base),
        "methods": ["lora-1", "set-and-sequence"],
        "table": ["square"],
        "choosing": [],
        "seeds": [0],
        "encoders": {"clip": "none", "things": "none"},
        "edit": [
            {"name": "red snow", "prompt": "a red [v] character in the snow"},
            {"name": "blue", "prompt": "a blue [v] character, it is [u]"},
        ],
        "concept": [{"name": "square", "clip": str(clip), "look": LOOK, "motion": MOTION}],
    }
    return BenchSettings.model_validate({**values, **changes})
