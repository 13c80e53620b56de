"""Methods that stand in for setseq.baselines: the full method at two ranks, and one that fails."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from setseq.bench.registry import Methods
from setseq.bench.settings import BenchSettings
from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.errors import TrainingError
from setseq.models.base import VideoModel
from setseq.training.learn import learn_concept
from setseq.training.loop import StepReport
from setseq.training.stages import TrainingClip
from tests.surface import LOOK, MOTION

CALLS: list[tuple[str, int]] = []  # method and seed of every learning in this process
ENDLESS = 10**6


@dataclass(frozen=True, kw_only=True)
class Card:
    title: str
    original: str = "what it was"
    keeps: str = "what stays"
    changes: str = "what is new"
    source: str = "arXiv:0000.00000"
    settings: Mapping[str, Any] = field(default_factory=dict)


CARDS = {
    "lora-8": Card(title="LoRA-8"),
    "lora-1": Card(title="LoRA-1", settings={"rank": 1}),
    "broken": Card(title="Broken"),
    "set-and-sequence": Card(title="Set-and-Sequence"),
}


def _learn(
    method: str,
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    *,
    checkpoint: Path | None,
    on_step: Callable[[StepReport], None],
) -> Concept:
    CALLS.append((method, settings.seed))
    if method == "broken":
        raise TrainingError("the loss is not finite")
    own = {"rank": 1} if method == "lora-1" else {}
    chosen = LearnSettings.resolve(settings.model_dump(), own)
    return learn_concept(model, clips, chosen, checkpoint=checkpoint, on_step=on_step)


def methods() -> Methods:
    return Methods(cards=CARDS, learn=_learn)


def slow_methods() -> Methods:
    """The same, with a pause after each step."""

    def learn(*args: Any, on_step: Callable[[StepReport], None], **kwargs: Any) -> Concept:
        def waits(report: StepReport) -> None:
            time.sleep(0.05)
            on_step(report)

        return _learn(*args, on_step=waits, **kwargs)

    return Methods(cards=CARDS, learn=learn)


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
