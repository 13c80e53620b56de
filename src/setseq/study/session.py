"""A study in progress: what it was begun with, and what its participants see and say."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from setseq.errors import StudyError
from setseq.prompts import without_tokens
from setseq.study.answers import Answers, Deck
from setseq.study.bench import BenchFolder, read_bench
from setseq.study.plan import (
    Comparison,
    Pair,
    complete_pairs,
    deal,
    files,
    find_pairs,
    has_content,
    make_plan,
)
from setseq.study.settings import PAIRS_PER_RIVAL, StudySettings
from setseq.study.table import Results

ANSWERS_FILE = "study.sqlite"
_LETTERS = "23456789bcdfghjkmnpqrstvwxyz"  # none looks like another, and they make no words
_SHOWN_MISSING = 3


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study that can be shown.

    Attributes:
        bench: The folder of videos.
        settings: What the study was begun with.
        answers: Its memory.
        deck: All pairs, in the order in which they are dealt, with what is shown as their text: the
            prompts that the videos were made from, without their tokens.
        notes: What whoever holds it should know, a line each.
    """

    bench: BenchFolder
    settings: StudySettings
    answers: Answers
    deck: Sequence[tuple[Pair, str]]
    notes: tuple[str, ...] = ()

    def join(self, participant: str) -> None:
        """Take in a participant, once.

        Raises:
            StudyError: A video is another one than somebody was shown before.
        """
        known = self.answers.videos()
        shown: dict[str, str] = {}

        def dealt(number: int) -> list[tuple[Comparison, str]]:
            trials = self._deal(number)
            files = {path for trial, _ in trials for path in self.files(trial).values()}
            shown.update(_digests(self.bench, files))
            _check_videos(self.answers, known, shown)
            return trials

        self.answers.join(participant, dealt)
        self.answers.remember_videos(shown)

    def files(self, trial: Comparison) -> dict[str, Path]:
        """What is shown for a pair: "reference", "a" and "b" to the video."""
        return {
            "reference": self.bench.reference(trial.cell.concept),
            "a": self.bench.video(trial.a, trial.cell),
            "b": self.bench.video(trial.b, trial.cell),
        }

    def first_open(self, participant: str) -> int | None:
        """The first pair with a question that is not answered; None where all are."""
        return self.answers.first_open(participant, len(self.settings.questions))

    def _deal(self, number: int) -> list[tuple[Comparison, str]]:
        trials = make_plan(
            [pair for pair, _ in self.deck],
            method=self.settings.reference_method,
            number=number,
            count=self.settings.pairs,
            seed=self.settings.seed,
        )
        texts = {pair.cell: text for pair, text in self.deck}
        return [(trial, texts[trial.cell]) for trial in trials]


def new_participant() -> str:
    """A name for a participant that is easy to copy by hand, as "k7m3-9qxt"."""
    letters = [secrets.choice(_LETTERS) for _ in range(8)]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def open_study(folder: Path, given: Mapping[str, Any], *, allow_missing: bool = False) -> Study:
    """Begin a study, or go on with the one whose answers lie in the folder.

    Args:
        folder: A bench folder.
        given: Names of ``StudySettings`` to values; None for what is not given.
        allow_missing: Go on with the pairs that are left where videos are missing.

    Raises:
        StudyError: The folder cannot be used, or the study in it was begun with other settings.
        SettingsError: A setting is out of its range.
    """
    bench = read_bench(folder)
    answers = Answers(folder / ANSWERS_FILE)
    begun = answers.settings()
    wanted = StudySettings.resolve({"pairs": 1}, begun.model_dump() if begun else {}, given)
    if begun is None:
        return _begun(bench, answers, wanted, given, allow_missing=allow_missing)
    _check_same(answers.path, begun, wanted)
    kept = answers.deck()
    bench = replace(bench, training_seed=kept.training_seed)
    known = answers.videos()
    _check_videos(answers, known, _digests(bench, {folder / path for path in known}))
    pairs = [pair for pair, _ in kept.pairs]
    _check_there(bench, wanted.reference_method, pairs)
    notes = _changes(bench, wanted.reference_method, pairs)
    return Study(bench=bench, settings=wanted, answers=answers, deck=kept.pairs, notes=notes)


def _begun(
    bench: BenchFolder,
    answers: Answers,
    wanted: StudySettings,
    given: Mapping[str, Any],
    *,
    allow_missing: bool,
) -> Study:
    """A new study: its deck is dealt and kept, so that a bench that grows does not change it."""
    pairs, missing = find_pairs(bench, wanted.reference_method)
    _check_missing(bench, pairs, missing, is_allowed=allow_missing)
    deck = deal(pairs, wanted.seed)
    if given.get("pairs") is None:
        fitting = min(PAIRS_PER_RIVAL * sum(map(bool, pairs.values())), len(deck))
        wanted = wanted.model_copy(update={"pairs": fitting})
    if wanted.pairs > len(deck):
        raise StudyError(
            f"{bench.folder}: {wanted.pairs} pairs for each participant, but there are {len(deck)};"
            f" give --pairs {len(deck)} or fewer"
        )
    kept = Deck(
        pairs=[
            (pair, without_tokens(bench.prompts[pair.cell.concept][pair.cell.edit]))
            for pair in deck
        ],
        titles=bench.methods,
        training_seed=bench.training_seed,
    )
    try:
        answers.begin(wanted, kept)
    except sqlite3.Error as error:
        raise StudyError(
            f"{answers.path}: cannot be written ({error}); check the folder's rights and space"
        ) from error
    left = f"videos that are missing: {len(missing)}; {len(deck)} pairs remain"
    return Study(
        bench=bench,
        settings=wanted,
        answers=answers,
        deck=kept.pairs,
        notes=(left,) if missing else (),
    )


def read_results(folder: Path) -> Results:
    """Read what a study has come to so far; it may be in progress.

    Raises:
        StudyError: There is no study in the folder.
    """
    if not (folder / ANSWERS_FILE).exists():
        read_bench(folder)  # says what is wrong with the folder
    answers = Answers(folder / ANSWERS_FILE)
    settings = answers.settings()
    if settings is None:
        raise StudyError(f"{folder}: has no study yet; hold one with `setseq study serve {folder}`")
    found = answers.all()
    finished = [
        name
        for name in answers.participants()
        if answers.first_open(name, len(settings.questions)) is None
    ]
    return Results(
        settings=settings,
        titles=answers.deck().titles,
        num_participants=len({answer.participant for answer in found}),
        num_finished=len(finished),
        answers=found,
    )


def _check_missing(
    bench: BenchFolder,
    pairs: Mapping[str, Sequence[Pair]],
    missing: Sequence[Path],
    *,
    is_allowed: bool,
) -> None:
    left = sum(map(len, pairs.values()))
    if not missing or (left and is_allowed):
        return
    names = [str(path.relative_to(bench.folder)) for path in missing[:_SHOWN_MISSING]]
    more = len(missing) - len(names)
    advice = ", or give --allow-missing to use those" if left else ""
    raise StudyError(
        f"{bench.folder}: missing are {', '.join(names)}"
        f"{f' and {more} more' if more else ''}; {left} of"
        f" {len(pairs) * len(list(bench.cells()))} pairs remain; run `setseq bench` to its end"
        f"{advice}"
    )


def _check_there(bench: BenchFolder, method: str, pairs: Sequence[Pair]) -> None:
    """Make sure that all that may yet be shown is there."""
    needed = dict.fromkeys(path for pair in pairs for path in files(bench, method, pair))
    if missing := [path for path in needed if not has_content(path)]:
        raise StudyError(
            f"{bench.folder}: {missing[0].relative_to(bench.folder)} is missing, of"
            f" {len(missing)} in all that the study was begun with; put them back, or move"
            f" {ANSWERS_FILE} away to begin anew"
        )


def _changes(bench: BenchFolder, method: str, kept: Sequence[Pair]) -> tuple[str, ...]:
    """A line where the bench could now show other pairs than the study was begun with."""
    found = {pair for own in complete_pairs(bench, method).values() for pair in own}
    more, fewer = len(found - set(kept)), len(set(kept) - found)
    if not more and not fewer:
        return ()
    return (
        f"the bench has changed since the study was begun ({more} pairs more, {fewer} fewer); the"
        f" study keeps its {len(kept)}",
    )


def _check_same(path: Path, begun: StudySettings, wanted: StudySettings) -> None:
    for name, value in begun.model_dump().items():
        if getattr(wanted, name) != value:
            said = ",".join(value) if isinstance(value, tuple) else value
            raise StudyError(
                f"{path}: the study was begun with {name.replace('_', ' ')} {said}; leave that"
                " option out, or move the file away to begin anew"
            )


def _check_videos(answers: Answers, known: Mapping[str, str], now: Mapping[str, str]) -> None:
    for path, digest in now.items():
        if known.get(path, digest) != digest:
            raise StudyError(
                f"{path}: is missing or another video than was shown in this study before; put the"
                f" old one back, or move {answers.path} away to begin anew"
            )


def _digests(bench: BenchFolder, paths: set[Path]) -> dict[str, str]:
    """SHA-256 by the path inside the bench folder; empty for a file that is not there."""
    found = {}
    for path in sorted(paths):
        digest = ""
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(bench.folder).as_posix()] = digest
    return found
