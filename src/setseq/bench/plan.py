"""What a bench has to do: its concepts with all their prompts, its learnings, its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from setseq.bench.settings import BenchSettings, Edit
from setseq.errors import PromptError, SettingsError
from setseq.prompts import ConceptPrompt, concept_prompt, placeholders, renumbered
from setseq.rewriting.rewrite import rewrite

OWN = "own"  # stands for an edit's number where a concept is shown under its own prompt


@dataclass(frozen=True, kw_only=True)
class Case:
    """One concept of a bench.

    Attributes:
        name: A shipped one, or the settings' own.
        clip: Its video.
        prompt: Its own two parts.
        edits: The whole prompt of each edit.
        mask: A video, white where to learn; None for none.
        start_s: Where the clip starts, in seconds.
    """

    name: str
    clip: Path
    prompt: ConceptPrompt
    edits: tuple[str, ...]
    mask: Path | None = None
    start_s: float = 0.0

    def text(self, edit: int | None) -> str:
        """The whole prompt of an edit; of None, the concept's own."""
        return self.prompt.full if edit is None else self.edits[edit]


@dataclass(frozen=True)
class Learning:
    """One concept, learned by one method from one seed."""

    method: str
    concept: str
    training_seed: int


@dataclass(frozen=True)
class Cell:
    """One video to generate and measure.

    Attributes:
        learning: What is shown.
        edit: Its number, from 0; None is the concept's own prompt.
        seed: Of the start noise.
    """

    learning: Learning
    edit: int | None
    seed: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All of a bench, in the order in which it is done."""

    settings: BenchSettings
    cases: dict[str, Case]

    def learnings(self) -> list[Learning]:
        """Concept by concept, so that a stopped bench has whole comparisons first."""
        return [
            Learning(method, concept, seed)
            for seed in self.settings.training_seeds
            for concept in self.settings.concepts
            for method in self.settings.methods
        ]

    def cells(self, learning: Learning) -> list[Cell]:
        """The videos of a learning, seed by seed: its own prompt first, then the edits."""
        edits: list[int | None] = [None, *range(len(self.settings.edit))]
        return [Cell(learning, edit, seed) for seed in self.settings.seeds for edit in edits]


def make_plan(settings: BenchSettings) -> Plan:
    """The plan of a bench.

    Raises:
        SettingsError: A concept is neither shipped nor defined.
        PromptError: It cannot be told what an edit changes in a concept's prompt.
    """
    return Plan(
        settings=settings,
        cases={name: _case(name, settings) for name in settings.concepts},
    )


def _case(name: str, settings: BenchSettings) -> Case:
    for own in settings.concept:
        if own.name == name:
            prompt = concept_prompt(own.look, own.motion)
            return Case(
                name=name,
                clip=Path(own.clip),
                prompt=prompt,
                edits=_prompts(name, prompt, settings.edit),
                mask=Path(own.mask) if own.mask else None,
                start_s=own.start,
            )
    from setseq.toybox.shipped import asset
    from setseq.toybox.unseen import UNSEEN

    if name not in UNSEEN:
        own_names = [own.name for own in settings.concept]
        raise SettingsError(
            f"no concept is named {name!r}; there are {', '.join([*UNSEEN, *own_names])}, and a"
            " clip of your own goes into a [[concept]] table"
        )
    prompt = concept_prompt(UNSEEN[name].look, UNSEEN[name].motion)
    return Case(
        name=name,
        clip=asset("clips") / f"{name}.mp4",
        prompt=prompt,
        edits=_prompts(name, prompt, settings.edit),
    )


def _prompts(name: str, prompt: ConceptPrompt, edits: Sequence[Edit]) -> tuple[str, ...]:
    return tuple(_prompt(name, prompt, edit) for edit in edits)


def _prompt(name: str, prompt: ConceptPrompt, edit: Edit) -> str:
    tokens = placeholders(edit.prompt)
    if "v1" in tokens:
        text = renumbered(" ".join(edit.prompt.split()))
        return text if "u1" in tokens else ConceptPrompt(text, prompt.motion).full
    try:
        return rewrite(prompt, edit.prompt).prompt
    except PromptError as error:
        raise PromptError(f"edit {edit.name!r} of concept {name!r}: {error}") from None
