"""A study's memory, one SQLite file: settings, deck, each participant's plan, and every answer.

Deck and plans are kept as they were dealt, so that a bench that grows changes nothing, and answers
can be read whatever becomes of the bench folder.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from setseq.errors import StudyError
from setseq.study.bench import Cell
from setseq.study.plan import Comparison, Pair
from setseq.study.settings import StudySettings

FORMAT = 2
_SCHEMA = """
CREATE TABLE study (settings TEXT NOT NULL, training_seed INTEGER NOT NULL);
CREATE TABLE methods (name TEXT PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE deck (
    place INTEGER PRIMARY KEY, rival TEXT NOT NULL REFERENCES methods,
    concept TEXT NOT NULL, edit INTEGER NOT NULL, seed INTEGER NOT NULL, prompt TEXT NOT NULL
);
CREATE TABLE participants (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, joined_at TEXT NOT NULL
);
CREATE TABLE trials (
    participant TEXT NOT NULL REFERENCES participants, position INTEGER NOT NULL,
    concept TEXT NOT NULL, edit INTEGER NOT NULL, seed INTEGER NOT NULL, prompt TEXT NOT NULL,
    a TEXT NOT NULL, b TEXT NOT NULL,
    PRIMARY KEY (participant, position)
);
CREATE TABLE answers (
    participant TEXT NOT NULL, position INTEGER NOT NULL, question TEXT NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('a', 'b', 'same')), answered_at TEXT NOT NULL,
    PRIMARY KEY (participant, position, question),
    FOREIGN KEY (participant, position) REFERENCES trials
);
CREATE TABLE videos (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class Deck:
    """What there is to show, kept from the study's beginning.

    Attributes:
        pairs: All pairs in the order in which they are dealt, each with what is shown as its text.
        titles: Each method's name to its title, the bench's order.
        training_seed: Of the learnings that are shown.
    """

    pairs: Sequence[tuple[Pair, str]]
    titles: Mapping[str, str]
    training_seed: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, with what it was about.

    Attributes:
        participant: Who gave it.
        position: The participant's how manieth pair it was, from 1.
        trial: What was shown as A and as B.
        prompt: What was shown as the text.
        question: What was asked.
        choice: "a", "b" or "same".
        answered_at: When, in UTC.
    """

    participant: str
    position: int
    trial: Comparison
    prompt: str
    question: str
    choice: str
    answered_at: str

    @property
    def preferred(self) -> str | None:
        """The method that was chosen; None for "no difference"."""
        return {"a": self.trial.a, "b": self.trial.b}.get(self.choice)


class Answers:
    """The file of a study. Each call is one transaction, so that nothing is lost or half there."""

    def __init__(self, path: Path) -> None:
        """The file; it need not be there yet."""
        self.path = path

    def begin(self, settings: StudySettings, deck: Deck) -> None:
        """Make the file, unless there is one."""
        with self._write() as base:
            if _format(base) != 0:
                return
            for statement in _SCHEMA.split(";"):
                base.execute(statement)
            about = settings.model_dump_json(), deck.training_seed
            base.execute("INSERT INTO study VALUES (?, ?)", about)
            base.executemany("INSERT INTO methods VALUES (?, ?)", list(deck.titles.items()))
            base.executemany(
                "INSERT INTO deck VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (place, pair.rival, *_key(pair.cell), prompt)
                    for place, (pair, prompt) in enumerate(deck.pairs)
                ],
            )
            base.execute(f"PRAGMA user_version = {FORMAT}")

    def deck(self) -> Deck:
        """What the study was begun with."""
        with self._read() as base:
            rows = base.execute(
                "SELECT rival, concept, edit, seed, prompt FROM deck ORDER BY place"
            ).fetchall()
            (training_seed,) = base.execute("SELECT training_seed FROM study").fetchone()
            titles = dict(base.execute("SELECT name, title FROM methods ORDER BY rowid"))
        return Deck(
            pairs=tuple((Pair(row[0], Cell(*row[1:4])), row[4]) for row in rows),
            titles=titles,
            training_seed=training_seed,
        )

    def settings(self) -> StudySettings | None:
        """What the study was begun with; None where it was not begun.

        Raises:
            StudyError: The file is no study, or one of another version.
        """
        if not self.path.exists():
            return None
        try:
            with self._read() as base:
                found = _format(base)
                if found == 0 and not base.execute("SELECT 1 FROM sqlite_master").fetchone():
                    return None
                if found != FORMAT:
                    raise StudyError(
                        f"{self.path}: is a study of format {found}; this version reads {FORMAT},"
                        " so move the file away to begin anew"
                    )
                (text,) = base.execute("SELECT settings FROM study").fetchone()
        except sqlite3.Error as error:
            raise StudyError(
                f"{self.path}: cannot be read as a study ({error}); move the file away to begin"
                " anew"
            ) from error
        return StudySettings.model_validate(json.loads(text))

    def join(
        self, participant: str, deal: Callable[[int], Sequence[tuple[Comparison, str]]]
    ) -> Sequence[tuple[Comparison, str]]:
        """Take in a participant, once; a second call with the same name changes nothing.

        Args:
            participant: The name.
            deal: From the participant's number to the trials and what each shows as its text.

        Returns:
            What was dealt; nothing for who was there before.
        """
        with self._write() as base:
            if base.execute("SELECT 1 FROM participants WHERE id = ?", [participant]).fetchone():
                return ()
            (number,) = base.execute("SELECT count(*) FROM participants").fetchone()
            base.execute("INSERT INTO participants VALUES (?, ?, ?)", [participant, number, _now()])
            dealt = deal(number)
            base.executemany(
                "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (participant, place, *_key(trial.cell), prompt, trial.a, trial.b)
                    for place, (trial, prompt) in enumerate(dealt, 1)
                ],
            )
            return dealt

    def count(self, participant: str) -> int:
        """How many pairs a participant sees; 0 for somebody unknown."""
        with self._read() as base:
            return base.execute(
                "SELECT count(*) FROM trials WHERE participant = ?", [participant]
            ).fetchone()[0]

    def trial(self, participant: str, position: int) -> tuple[Comparison, str] | None:
        """A participant's pair and its text; None where there is no such one."""
        with self._read() as base:
            row = base.execute(
                "SELECT concept, edit, seed, prompt, a, b FROM trials"
                " WHERE participant = ? AND position = ?",
                [participant, position],
            ).fetchone()
        return row and (Comparison(Cell(*row[:3]), row[4], row[5]), row[3])

    def record(self, participant: str, position: int, choices: Mapping[str, str]) -> None:
        """Keep answers: question to choice. The last word on a question counts."""
        with self._write() as base:
            base.executemany(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (participant, position, question) DO UPDATE"
                " SET choice = excluded.choice, answered_at = excluded.answered_at"
                " WHERE choice != excluded.choice",
                [(participant, position, *choice, _now()) for choice in choices.items()],
            )

    def chosen(self, participant: str, position: int) -> dict[str, str]:
        """A participant's answers about a pair: question to choice."""
        with self._read() as base:
            return dict(
                base.execute(
                    "SELECT question, choice FROM answers WHERE participant = ? AND position = ?",
                    [participant, position],
                )
            )

    def first_open(self, participant: str, num_questions: int) -> int | None:
        """The first pair with a question that is not answered; None where all are."""
        with self._read() as base:
            return base.execute(
                "SELECT min(position) FROM trials WHERE participant = ? AND (SELECT count(*)"
                " FROM answers WHERE answers.participant = trials.participant"
                " AND answers.position = trials.position) < ?",
                [participant, num_questions],
            ).fetchone()[0]

    def participants(self) -> list[str]:
        """All participants, as they came."""
        with self._read() as base:
            return [name for (name,) in base.execute("SELECT id FROM participants ORDER BY number")]

    def all(self) -> list[Answer]:
        """Every answer, by participant and pair."""
        with self._read() as base:
            rows = base.execute(
                "SELECT participant, position, concept, edit, trials.seed, a, b, prompt, question,"
                " choice, answered_at FROM answers JOIN trials USING (participant, position)"
                " JOIN participants ON participants.id = participant"
                " ORDER BY number, position, answers.rowid"
            ).fetchall()
        return [
            Answer(
                participant=row[0],
                position=row[1],
                trial=Comparison(Cell(*row[2:5]), row[5], row[6]),
                prompt=row[7],
                question=row[8],
                choice=row[9],
                answered_at=row[10],
            )
            for row in rows
        ]

    def remember_videos(self, digests: Mapping[str, str]) -> None:
        """Keep what the videos that are shown contain: path to SHA-256."""
        with self._write() as base:
            base.executemany("INSERT OR IGNORE INTO videos VALUES (?, ?)", list(digests.items()))

    def videos(self) -> dict[str, str]:
        """The videos that were dealt to anybody: path to SHA-256."""
        with self._read() as base:
            return dict(base.execute("SELECT path, sha256 FROM videos"))

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as base:
            yield base

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._read() as base:
            base.execute("PRAGMA foreign_keys = ON")
            base.execute("BEGIN IMMEDIATE")
            with base:  # commits, or rolls back
                yield base


def _format(base: sqlite3.Connection) -> int:
    return base.execute("PRAGMA user_version").fetchone()[0]


def _key(cell: Cell) -> tuple[str, int, int]:
    return cell.concept, cell.edit, cell.seed


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
