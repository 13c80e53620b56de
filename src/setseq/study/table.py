"""What the answers come to: the paper's table of preferences, with counts and intervals."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from setseq.study.answers import Answer
from setseq.study.intervals import clopper_pearson
from setseq.study.settings import QUESTIONS, StudySettings

CONFIDENCE = 0.95
_COLUMNS = (
    *("participant", "position", "concept", "edit", "seed", "prompt", "a", "b"),
    *("question", "choice", "preferred", "answered_at"),
)
_NOTE = (
    "Percent of answers that prefer {title}, [ends of the {confidence:.0%} interval], answers for"
    " it of answers in all. The interval is Clopper and Pearson's exact one; it takes answers as"
    " independent, which those of one participant, or about one pair, are not quite."
)
_TIES = (
    'An answer "no difference" counts half for either method ({count} in all); the interval is then'
    " of the count rounded away from the share, so it is rather too wide than too narrow."
)


@dataclass(frozen=True, kw_only=True)
class Preference:
    """How often a method was preferred over a rival, by one question.

    Attributes:
        rival: The rival's name.
        question: The question's name.
        wins: Answers for the method.
        ties: Answers "no difference", which count half.
        losses: Answers for the rival.
        share: Of the answers, 0 to 1; None where there are none.
        low: Lower end of the share's interval.
        high: Upper end.
    """

    rival: str
    question: str
    wins: int
    ties: int
    losses: int
    share: float | None
    low: float
    high: float

    @property
    def total(self) -> int:
        """All answers."""
        return self.wins + self.ties + self.losses


@dataclass(frozen=True, kw_only=True)
class Results:
    """A study as it stands.

    Attributes:
        settings: What it was held with.
        titles: Each method's name to its title.
        num_participants: How many gave an answer.
        num_finished: How many gave all of them.
        answers: Every answer.
    """

    settings: StudySettings
    titles: Mapping[str, str]
    num_participants: int
    num_finished: int
    answers: Sequence[Answer]

    @property
    def rivals(self) -> list[str]:
        """The methods that the study compares its own with, in the bench's order."""
        return [name for name in self.titles if name != self.settings.reference_method]

    def title(self, method: str) -> str:
        """A method's title."""
        return self.titles[method]

    def preference(self, rival: str, question: str) -> Preference:
        """Count the answers to a question where a rival was shown."""
        found = [
            answer.preferred
            for answer in self.answers
            if answer.question == question and rival in (answer.trial.a, answer.trial.b)
        ]
        ties, losses = found.count(None), found.count(rival)
        wins = len(found) - ties - losses
        low, high = clopper_pearson(wins + ties / 2, len(found), confidence=CONFIDENCE)
        return Preference(
            rival=rival,
            question=question,
            wins=wins,
            ties=ties,
            losses=losses,
            share=(wins + ties / 2) / len(found) if found else None,
            low=low,
            high=high,
        )


def to_markdown(results: Results) -> str:
    """The table of preferences, with what it rests on."""
    questions = results.settings.questions
    title = results.title(results.settings.reference_method)
    lines = [
        f"# User study: how often {title} is preferred",
        "",
        " | ".join(["| preferred over", *questions]) + " |",
        "|---" * (len(questions) + 1) + "|",
    ]
    for rival in results.rivals:
        cells = [_cell(results.preference(rival, question)) for question in questions]
        lines.append(" | ".join([f"| {_plain(results.title(rival))}", *cells]) + " |")
    lines += ["", _NOTE.format(title=title, confidence=CONFIDENCE)]
    if results.settings.ties:
        ties = sum(answer.choice == "same" for answer in results.answers)
        lines.append(_TIES.format(count=ties))
    lines += ["", *(f"- {name}: {QUESTIONS[name]}" for name in questions), ""]
    lines.append(
        f"{results.num_participants} participants, {results.num_finished} of whom answered"
        f" everything; {len(results.answers)} answers{_left(results.answers)}. Pairs for each:"
        f" {results.settings.pairs}. Seed: {results.settings.seed}."
    )
    return "\n".join(lines) + "\n"


def to_json(results: Results) -> str:
    """The same in numbers."""
    settings = results.settings
    content = {
        "settings": settings.model_dump(mode="json"),
        "titles": dict(results.titles),
        "participants": results.num_participants,
        "finished": results.num_finished,
        "answers": len(results.answers),
        "interval": {"kind": "Clopper-Pearson", "confidence": CONFIDENCE},
        "preferences": [
            asdict(found) | {"total": found.total}
            for rival in results.rivals
            for question in settings.questions
            for found in [results.preference(rival, question)]
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def to_csv(answers: Sequence[Answer]) -> str:
    """Every answer as a row."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for answer in answers:
        row = asdict(answer) | asdict(answer.trial) | asdict(answer.trial.cell)
        row["preferred"] = answer.preferred or ""
        writer.writerow({name: row[name] for name in _COLUMNS})
    return buffer.getvalue()


def _cell(found: Preference) -> str:
    if found.share is None:
        return "no answers"
    return (
        f"{100 * found.share:.0f} [{100 * found.low:.0f}, {100 * found.high:.0f}]"
        f" {found.wins + found.ties / 2:g}/{found.total}"
    )


def _left(answers: Sequence[Answer]) -> str:
    """How often the left side was chosen; sides are balanced."""
    decided = [answer.choice for answer in answers if answer.choice != "same"]
    whose = "them" if len(decided) == len(answers) else "the decided ones"
    return f", {decided.count('a') / len(decided):.0%} of {whose} for A" if decided else ""


def _plain(title: str) -> str:
    return title.replace("|", "\\|")
