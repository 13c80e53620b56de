"""Who is asked about which pairs, in which order, and which method is shown on which side."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from setseq.errors import StudyError
from setseq.study.bench import BenchFolder, Cell

_T = TypeVar("_T")


@dataclass(frozen=True)
class Pair:
    """A rival's video of a cell, to be compared with that of the method whose study it is."""

    rival: str
    cell: Cell


@dataclass(frozen=True)
class Comparison:
    """A pair with its sides: the methods that are shown as A and as B."""

    cell: Cell
    a: str
    b: str


def find_pairs(bench: BenchFolder, method: str) -> tuple[dict[str, list[Pair]], list[Path]]:
    """Look for everything that can be compared with a method.

    Args:
        bench: The folder.
        method: The method that is compared with every other one.

    Returns:
        The pairs of each rival whose two videos and reference are there, and what is missing.

    Raises:
        StudyError: The folder has no such method, or no other one.
    """
    _check_methods(bench, method)
    wanted = [bench.reference(concept) for concept in bench.prompts]
    wanted += [bench.video(name, cell) for name in bench.methods for cell in bench.cells()]
    missing = [path for path in wanted if not has_content(path)]
    return complete_pairs(bench, method), missing


def complete_pairs(bench: BenchFolder, method: str) -> dict[str, list[Pair]]:
    """The pairs of each rival of a method of which everything is there."""
    rivals = [name for name in bench.methods if name != method]
    pairs = {rival: [Pair(rival, cell) for cell in bench.cells()] for rival in rivals}
    return {
        rival: [pair for pair in own if all(map(has_content, files(bench, method, pair)))]
        for rival, own in pairs.items()
    }


def files(bench: BenchFolder, method: str, pair: Pair) -> tuple[Path, Path, Path]:
    """What a pair is made of: the method's video, the rival's, and the clip."""
    cell = pair.cell
    return (
        bench.video(method, cell),
        bench.video(pair.rival, cell),
        bench.reference(cell.concept),
    )


def _check_methods(bench: BenchFolder, method: str) -> None:
    if method not in bench.methods:
        raise StudyError(
            f"{bench.folder}: has no method {method!r}; give --reference-method one of"
            f" {', '.join(bench.methods) or 'none'}"
        )
    if len(bench.methods) == 1:
        raise StudyError(
            f"{bench.folder}: has {method!r} alone, so there is nothing to compare it with;"
            " run `setseq bench` with another method"
        )


def deal(pairs: Mapping[str, Sequence[Pair]], seed: int) -> list[Pair]:
    """Put all pairs into one order in which every stretch has rivals and concepts evenly.

    Cells are shuffled and dealt one concept after the other. Every rival goes through them from
    another place on, and the rivals take turns: so the same video of the method comes again as
    late as can be, for who saw it twice would know whose it is.

    Args:
        pairs: The pairs of each rival.
        seed: Of the order.
    """
    rng = random.Random(f"setseq study, deck, {seed}")
    concepts: dict[str, list[Cell]] = {}
    for cell in _shuffled(list(dict.fromkeys(p.cell for row in pairs.values() for p in row)), rng):
        concepts.setdefault(cell.concept, []).append(cell)
    cells = _in_turns(_shuffled(list(concepts.values()), rng))
    rows = []
    for number, rival in enumerate(_shuffled(list(pairs), rng)):
        own = {pair.cell: pair for pair in pairs[rival]}
        start = number * len(cells) // len(pairs)
        rows.append([own[cell] for cell in [*cells[start:], *cells[:start]] if cell in own])
    return _in_turns(rows)


def make_plan(
    deck: Sequence[Pair], *, method: str, number: int, count: int, seed: int
) -> list[Comparison]:
    """The trials of one participant, in the order of showing.

    Participant after participant takes the next pairs of the deck, which begins anew at its end,
    so that all pairs are seen equally often. Half of a rival's pairs, or all but one, have the
    method on either side; where a rival has an odd one, the next rival has it on the other side.

    Args:
        deck: All pairs, as ``deal`` put them.
        method: The method that is compared with every other one.
        number: Which participant this is, 0 for the first.
        count: Pairs to show, at most the deck's.
        seed: Of the order and the sides, together with the number.
    """
    rng = random.Random(f"setseq study, participant {number}, {seed}")
    window = [deck[(number * count + place) % len(deck)] for place in range(count)]
    trials: list[Comparison] = []
    odd = number % 2
    for rival in sorted({pair.rival for pair in window}):
        cells = [pair.cell for pair in window if pair.rival == rival]
        sides = _shuffled([(odd + place) % 2 == 0 for place in range(len(cells))], rng)
        odd = (odd + len(cells)) % 2
        for cell, is_a in zip(cells, sides, strict=True):
            trials.append(
                Comparison(cell, method, rival) if is_a else Comparison(cell, rival, method)
            )
    return _shuffled(trials, rng)


def has_content(path: Path) -> bool:
    """Whether a file is there and not empty."""
    return path.is_file() and path.stat().st_size > 0


def _shuffled(items: Sequence[_T], rng: random.Random) -> list[_T]:
    return rng.sample(items, len(items))


def _in_turns(rows: Sequence[Sequence[_T]]) -> list[_T]:
    """The first of each row, then the second of each that has one, and so on."""
    longest = max(map(len, rows), default=0)
    return [row[place] for place in range(longest) for row in rows if place < len(row)]
