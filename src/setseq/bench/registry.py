"""The methods that a bench compares: the one door to ``setseq.baselines``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from setseq.baselines import Method
    from setseq.concept import Concept
    from setseq.config import LearnSettings
    from setseq.models.base import VideoModel
    from setseq.training.loop import StepReport
    from setseq.training.stages import TrainingClip


class LearnMethod(Protocol):
    """Learns a concept by a method, as ``setseq.baselines.learn_method`` does."""

    def __call__(  # noqa: D102
        self,
        method: Method,
        model: VideoModel,
        clips: Sequence[TrainingClip],
        settings: LearnSettings,
        *,
        checkpoint: Path | None,
        on_prior: Callable[[int, int], None],
        on_step: Callable[[StepReport], None],
    ) -> Concept: ...


@dataclass(frozen=True, kw_only=True)
class Methods:
    """All methods that there are.

    Attributes:
        known: By their keys.
        learn: Learns by one of them.
    """

    known: Mapping[str, Method]
    learn: LearnMethod


def installed() -> Methods:
    """The package's own methods; imported late, as learning needs torch."""
    from setseq.baselines import METHODS, learn_method

    return Methods(known=METHODS, learn=learn_method)
