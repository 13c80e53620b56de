"""One short learning of each method on a tiny model, and what was seen of it on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from setseq.baselines import Method, learn_method
from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.prompts import concept_prompt, filled
from setseq.sampling import with_concept
from setseq.training import learn as learning
from setseq.training import prior
from setseq.training.encodings import Encodings
from setseq.training.loop import train
from setseq.training.stages import Stage, TrainingClip
from setseq.training.state import StepReport, Training, all_parameters

SETTINGS = LearnSettings(
    rank=2,
    set_steps=3,
    sequence_steps=2,
    set_batch=3,
    sequence_batch=2,
    learning_rate=1e-2,
    precision="fp32",
    checkpoint_every=0,
    prior_count=2,
    masked_encodings=3,
    identity_dropout=0.3,
    motion_dropout=0.2,
    token_masking=0.1,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class StageSeen:
    """A stage, every number of model and concept before and after it, and what it trained."""

    stage: Stage
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    trained: set[str]

    @property
    def changed(self) -> set[str]:
        assert self.before.keys() == self.after.keys()
        return {k for k, value in self.after.items() if not torch.equal(self.before[k], value)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A concept, the reports and stages of its learning, and its prediction at the end of that."""

    concept: Concept
    reports: list[StepReport]
    stages: list[StageSeen]
    at_the_end: Tensor


def clip() -> TrainingClip:
    pixels = torch.rand(3, 5, 32, 32, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return TrainingClip(pixels=pixels, prompt=concept_prompt("a [v] character", "it is [u]"))


def learn(
    method: Method,
    model: VideoModel,
    checkpoint: Path | None = None,
    stop_at: int = 0,
    on_step: Callable[[StepReport], None] = lambda report: None,
    **given: Any,
) -> Concept:
    """Learns a few steps, stopped as by a user after ``stop_at`` of them."""
    done = []

    def step(report: StepReport) -> None:
        on_step(report)
        done.append(report)
        if len(done) == stop_at:
            raise KeyboardInterrupt

    settings = LearnSettings.resolve(SETTINGS.model_dump(), given)
    return learn_method(method, model, [clip()], settings, checkpoint=checkpoint, on_step=step)


def watched(method: Method, model: VideoModel, **given: Any) -> Run:
    """Learns with a look at every stage."""
    reports: list[StepReport] = []
    stages: list[StageSeen] = []
    ends: list[Tensor] = []

    def look_on(
        training: Training,
        own: Sequence[Stage],
        *,
        resume: None = None,
        encodings: Mapping[str, Encodings],
    ) -> None:
        for stage in own:
            before = _values(training)
            train(training, [stage], encodings=encodings)
            named = all_parameters(training)
            stages.append(
                StageSeen(
                    stage=stage,
                    before=before,
                    after=_values(training),
                    trained={name for name, value in named.items() if value.requires_grad},
                )
            )
        training.injection.set_strengths(identity=1.0, motion=1.0)
        ends.append(predicted(training.model, training.words))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "train", look_on)
        concept = learn(method, model, on_step=reports.append, **given)
    return Run(concept=concept, reports=reports, stages=stages, at_the_end=ends[0])


def _values(training: Training) -> dict[str, Tensor]:
    """Copies of all parameters of the base and the concept, by name."""
    named = all_parameters(training)
    own = {id(value) for value in named.values()}
    base = {
        f"base/{name}": value
        for name, value in training.model.denoiser.named_parameters()
        if id(value) not in own
    }
    return {name: value.detach().clone() for name, value in (base | named).items()}


@torch.no_grad()
def predicted(model: VideoModel, words: Any) -> Tensor:
    """What the model predicts, as it is, of some noise for the concept's prompt."""
    latents = torch.randn(1, 4, 2, 4, 4, generator=torch.Generator().manual_seed(3))
    text = filled("a [v] character. it is [u]", words)
    return model.velocity(latents, torch.tensor([0.6]), model.encode_prompts([text]))


def velocity(model: VideoModel, concept: Concept, **strengths: float) -> Tensor:
    """``predicted`` with a concept in the model."""
    with with_concept(model, concept, **strengths):
        return predicted(model, concept.provenance.words)


def tensors(concept: Concept) -> dict[str, Tensor]:
    """All numbers of a concept by name."""
    return {
        f"{part}/{name}": value
        for part in ("basis", "identity", "motion", "tokens")
        for name, value in getattr(concept, part).items()
    }


def assert_equal(first: Concept, second: Concept) -> None:
    """To the bit."""
    ours, theirs = tensors(first), tensors(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def quick_prior(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Videos of the prior in two steps, in a cache of their own."""
    patch.setenv("SETSEQ_CACHE", str(folder))
    read = prior.GenerateSettings.resolve
    patch.setattr(
        prior.GenerateSettings, "resolve", lambda *layers: read(*layers, {"num_steps": 2})
    )
