"""The folder that ``setseq bench`` writes, as far as a study needs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from setseq.bench import plan
from setseq.bench.folder import FORMAT, Folder
from setseq.errors import StudyError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # a part of a path that stays where it is


class _Concept(BaseModel):
    """Of a concept: the whole prompt of each edit, with its tokens, as its videos were made."""

    prompts: list[str] = Field(min_length=1)


class _Manifest(BaseModel):
    """Of what the bench writes there may be more: a study reads these."""

    methods: dict[str, str]
    concepts: dict[str, _Concept]
    seeds: list[int] = Field(min_length=1)
    training_seeds: list[int] = Field(min_length=1)


@dataclass(frozen=True, order=True)
class Cell:
    """What all methods were asked for alike: a concept, the number of an edit, and a seed."""

    concept: str
    edit: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class BenchFolder:
    """A folder of videos that several methods made.

    Attributes:
        folder: Where it lies.
        methods: Each method's name to its title.
        prompts: Concept to the prompts that its videos were made from, one for each edit.
        seeds: Seeds of the videos.
        training_seed: The learning that is shown: the first of the bench's.
    """

    folder: Path
    methods: Mapping[str, str]
    prompts: Mapping[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    training_seed: int = 0

    def cells(self) -> Iterator[Cell]:
        """Everything that each method was asked for."""
        for concept, prompts in self.prompts.items():
            for edit, seed in product(range(len(prompts)), self.seeds):
                yield Cell(concept, edit, seed)

    def video(self, method: str, cell: Cell) -> Path:
        """Where the video of a method lies."""
        learning = plan.Learning(method, cell.concept, self.training_seed)
        return Folder(self.folder).video(plan.Cell(learning, cell.edit, cell.seed))

    def reference(self, concept: str) -> Path:
        """Where the clip lies that a concept was learned from."""
        return Folder(self.folder).reference(concept)


def read_bench(folder: Path) -> BenchFolder:
    """Read what a bench folder is made of; its videos are not looked at.

    Raises:
        StudyError: There is no manifest, or one that is damaged or of another format.
    """
    path = Folder(folder).manifest
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise StudyError(
            f"{folder}: is no bench folder, it has no manifest.json; give the folder that"
            " `setseq bench` wrote"
        ) from None
    except ValueError as error:
        raise StudyError(f"{path}: is no JSON ({error}); let `setseq bench` write it") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise StudyError(
            f"{path}: is of format {found!r}; this version reads {FORMAT}, so make the bench again"
        )
    try:
        manifest = _Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StudyError(f"{path}: {place}: {first['msg']}; make the bench again") from None
    for name in (*manifest.methods, *manifest.concepts):
        if not _NAME.fullmatch(name):
            raise StudyError(
                f"{path}: {name!r} cannot be the name of a folder; allowed are letters, digits"
                " and . _ - inside"
            )
    return BenchFolder(
        folder=folder,
        methods=manifest.methods,
        prompts={name: tuple(each.prompts) for name, each in manifest.concepts.items()},
        seeds=tuple(manifest.seeds),
        training_seed=manifest.training_seeds[0],
    )
