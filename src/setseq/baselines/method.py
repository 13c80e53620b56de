"""One method of the comparison as data, and learning with it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.training.learn import learn_concept
from setseq.training.prior import OnPrior
from setseq.training.recipe import SET_AND_SEQUENCE, Recipe
from setseq.training.stages import TrainingClip
from setseq.training.state import StepReport


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """One method of the comparison.

    Attributes:
        name: Its key, as "lora-8".
        title: In tables.
        original: What the original does.
        keeps: What our adaptation keeps of it.
        changes: What it changes, and why.
        source: The paper, by its arXiv number.
        recipe: The stages, and what of a layer they train; it gets this name.
        settings: What it sets, over the base's own settings.
        generate: Names of GenerateSettings to the values that its concepts are to be shown with,
            over the base's own.
        rate: Factor of the base's learning rate, above 0.
        token_rate: Learning rate of token rows in units of the text encoder's own rows (their root
            mean square); None is that of the settings.
        steps: Factors, at least 0, of the settings' steps of Set and of Sequence, in this order.
        layers: Regular expression that a layer's whole name must match beside the base's own; "" is
            all of the base's.
    """

    name: str
    title: str
    original: str
    keeps: str
    changes: str
    source: str
    recipe: Recipe = SET_AND_SEQUENCE
    settings: Mapping[str, Any] = field(default_factory=dict)
    generate: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 1.0
    token_rate: float | None = None
    steps: tuple[float, float] = (1.0, 1.0)
    layers: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of what decides what is learned and how it is shown, but for the stages' code."""
        recipe = self.recipe
        about = {
            "settings": dict(self.settings),
            "generate": dict(self.generate),
            "rates": [self.rate, self.token_rate],
            "steps": list(self.steps),
            "layers": self.layers,
            "stages": [_described(stage) for stage in recipe.stages],
            "recipe": [recipe.full_rank, recipe.own_motion_basis],
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    @property
    def decides(self) -> frozenset[str]:
        """Names of the learning's settings that it leaves to nobody."""
        own_steps = {"set_steps", "sequence_steps"} if self.steps != (1.0, 1.0) else set[str]()
        return frozenset({*self.settings, *own_steps})

    def steps_of(self, settings: LearnSettings) -> tuple[int, int]:
        """Steps of Set and of Sequence that it makes of these; with one stage it runs their sum."""
        of_set, of_sequence = self.steps
        return round(of_set * settings.set_steps), round(of_sequence * settings.sequence_steps)


def _described(stage: Callable[..., object]) -> list[Any]:
    """A stage's maker by name, with what it was given."""
    if isinstance(stage, partial):
        given = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in stage.keywords.items()}
        return [*_described(stage.func), given]
    return [f"{stage.__module__}.{stage.__qualname__}"]


def learn_method(
    method: Method,
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    *,
    checkpoint: Path | None = None,
    on_prior: OnPrior = lambda done, total: None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Concept:
    """Learn a concept with one of the methods, through the one loop.

    Args:
        method: One of ``METHODS``, or one of your own.
        model: The base model; bit-equal to before when this returns or raises.
        clips: As for ``learn_concept``.
        settings: The base's own, or a user's; the method derives its own from them
            (``settings_of``), and runs as many optimizer steps as both stages have in them.
        checkpoint: As for ``learn_concept``: a stopped training goes on from it, bit by bit.
        on_prior: As for ``learn_concept``.
        on_step: As for ``learn_concept``.

    Returns:
        An ordinary concept. The identity strength acts on all that a one-stage method learns in
        layers, the motion strength on nothing of it; neither acts on token rows.

    Raises:
        SetSeqError: As for ``learn_concept``.
    """
    return learn_concept(
        model,
        clips,
        settings_of(method, model, settings),
        recipe=replace(method.recipe, name=method.name),
        checkpoint=checkpoint,
        on_prior=on_prior,
        on_step=on_step,
    )


def settings_of(method: Method, model: VideoModel, settings: LearnSettings) -> LearnSettings:
    """The settings that a method learns with.

    Args:
        method: The method.
        model: The base model, whose layers and token rows count.
        settings: The base's own, or a user's.

    Raises:
        SettingsError: They do not fit the method.
    """
    set_steps, sequence_steps = method.steps_of(settings)
    own: dict[str, Any] = {
        **method.settings,
        "learning_rate": settings.learning_rate * method.rate,
        "set_steps": set_steps,
        "sequence_steps": sequence_steps,
    }
    if method.layers:
        own["targets"] = rf"(?=(?:{method.layers})\Z)(?:{settings.targets or model.lora_targets})"
    if method.token_rate is not None:
        own["token_learning_rate"] = min(1.0, method.token_rate * _row_scale(model))
    return LearnSettings.resolve(settings.model_dump(), own)


def _row_scale(model: VideoModel) -> float:
    rows = model.add_tokens(["[v1]"])
    try:
        return rows.scale
    finally:
        rows.remove()
