"""The methods that a bench compares: the one door to ``setseq.baselines``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from setseq.concept import Concept
    from setseq.config import LearnSettings
    from setseq.models.base import VideoModel
    from setseq.training.loop import StepReport
    from setseq.training.stages import TrainingClip


class MethodCard(Protocol):
    """What a page says of a method; the fields are those of ``setseq.baselines.Method``."""

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def original(self) -> str: ...  # noqa: D102
    @property
    def keeps(self) -> str: ...  # noqa: D102
    @property
    def changes(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102


class LearnMethod(Protocol):
    """Learns a concept by a method, named by its key."""

    def __call__(  # noqa: D102
        self,
        method: str,
        model: VideoModel,
        clips: Sequence[TrainingClip],
        settings: LearnSettings,
        *,
        checkpoint: Path | None,
        on_step: Callable[[StepReport], None],
    ) -> Concept: ...


@dataclass(frozen=True, kw_only=True)
class Methods:
    """All methods that there are.

    Attributes:
        cards: Key to what a page says of it.
        learn: Learns by one of them.
    """

    cards: Mapping[str, MethodCard]
    learn: LearnMethod


def installed() -> Methods:
    """The package's own methods; imported late, as learning needs torch."""
    # By its name, as that package is made at the same time; a plain import does once it is there.
    baselines = importlib.import_module("setseq.baselines")

    def learn(
        method: str,
        model: VideoModel,
        clips: Sequence[TrainingClip],
        settings: LearnSettings,
        *,
        checkpoint: Path | None,
        on_step: Callable[[StepReport], None],
    ) -> Concept:
        return baselines.learn_method(
            baselines.METHODS[method],
            model,
            clips,
            settings,
            checkpoint=checkpoint,
            on_step=on_step,
        )

    return Methods(cards=baselines.METHODS, learn=learn)
