"""The tables of a bench, for Markdown and HTML alike: methods down, metrics across."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from setseq.bench.metrics import METRICS, PAPER, PAPER_COLUMNS, PAPER_NOTE, WAYS, Metric, Where
from setseq.bench.results import NOT_NOTED, CellResult, LearningResult, Results
from setseq.bench.statistics import Estimate, bootstrap_mean, compare

_DRAWS_SEED = 0  # of the bootstrap: the same results give the same intervals
_ABOUT: Mapping[Where, tuple[str, str]] = {
    "own": (
        "Reconstruction",
        "Each concept under the prompt that it was learned with.",
    ),
    "edits": (
        "Edits",
        "Each concept in scenes that its clip never contained. TC and the dynamic degree have no"
        " winner: a frozen video has the highest TC and moves least. Edit success is nearer to the"
        " edited prompt than to the clip's, so that half an edit may count.",
    ),
    "learning": (
        "Learning",
        "Time and memory of one learning. Time is without the prior's videos, which are made once"
        " for all; on a CPU it is what the processor worked. Memory is the most that the process"
        " held, with base and encoders.",
    ),
}

Key = tuple[str, int | None, int, int]


@dataclass(frozen=True, kw_only=True)
class Value:
    """What stands in one place of a table.

    Attributes:
        text: The number.
        note: Below it, smaller: its interval.
        count: Below that: what it counts over.
        is_best: Whether it is the best of its column.
    """

    text: str
    note: str = ""
    count: str = ""
    is_best: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Attributes:
        title: Its heading.
        about: What it shows, in a sentence or two.
        headings: Of the columns, without that of the rows.
        rows: A row's name and its values.
    """

    title: str
    about: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Value, ...]], ...]


def tables(results: Results) -> list[Table]:
    """All tables that there are values for: means, comparisons, and the paper's own."""
    found: list[Table | None] = [summary(results, "own"), summary(results, "edits"), paper()]
    found += [comparison(results, "own"), comparison(results, "edits")]
    found += [summary(results, "learning"), ways(results)]
    return [table for table in found if table is not None]


def ways(results: Results) -> Table | None:
    """What each method was learned and is shown with; None where no record says it."""
    known = {each.method: each.way for each in reversed(results.learnings) if each.way}
    if not known:
        return None
    rows = [
        (title, tuple(Value(text=_said(known[method].get(name))) for name in WAYS))
        for method, title in results.manifest["methods"].items()
        if method in known
    ]
    return Table(
        title="How each method was learned",
        about="Its rank and its regularizers, as its first concept's record has them: dropout on"
        " the coefficients, prior, share of masked words, and the probability of self-conditioning;"
        " then whether its videos are sampled with self-conditioning.",
        headings=tuple(WAYS.values()),
        rows=tuple(rows),
    )


def _said(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}"
    words = {None: "not recorded", "none": "no", True: "yes", False: "no"}
    return words.get(value, str(value))


def values_of(results: Results, method: str, metric: Metric) -> dict[Key, float]:
    """A method's values of a metric: concept, edit, seed and training seed to value.

    Time and memory are those of one device, that of most learnings.
    """
    cells: Sequence[CellResult | LearningResult] = results.cells
    if metric.where == "learning":
        device = main_device(results)
        cells = [each for each in results.learnings if each.device == device]
    found = {}
    for each in cells:
        edit, seed = (each.edit, each.seed) if isinstance(each, CellResult) else (None, 0)
        is_there = metric.where == "learning" or (edit is None) == (metric.where == "own")
        value = each.values.get(metric.key)
        if each.method == method and is_there and value is not None:
            found[each.concept, edit, seed, each.training_seed] = value / metric.unit
    return found


def main_device(results: Results) -> str:
    """The device that most learnings were done on."""
    counts = Counter(each.device for each in results.learnings)
    return max(counts, key=lambda device: (counts[device], device), default="")


def columns(results: Results, where: Where) -> list[Metric]:
    """The metrics that something was measured by."""
    methods = results.manifest["methods"]
    return [
        metric
        for metric in METRICS
        if metric.where == where and any(values_of(results, method, metric) for method in methods)
    ]


def summary(results: Results, where: Where) -> Table | None:
    """Means of every method with their intervals; None where nothing was measured."""
    chosen = columns(results, where)
    methods: Mapping[str, str] = results.manifest["methods"]
    by_metric = [_summed(results, list(methods), metric) for metric in chosen]
    if not by_metric:
        return None
    title, about = _ABOUT[where]
    if where == "learning":
        about = f"{about} {_on_one_device(results)}"
    return Table(
        title=title,
        about=f"{about} Means, with 95 % bootstrap intervals over concepts"
        f"{'' if where == 'learning' else ', edits' if where == 'edits' else ''} and seeds.",
        headings=tuple(metric.heading for metric in chosen),
        rows=tuple(
            (name, tuple(column[method] for column in by_metric))
            for method, name in methods.items()
        ),
    )


def _on_one_device(results: Results) -> str:
    """Which device the times are of, and how many learnings are left out for another."""
    device = main_device(results)
    count = sum(each.device != device for each in results.learnings)
    left_out = f"; left out are those on another: {count}" if count else ""
    return f"All on {device or NOT_NOTED}{left_out}."


def _summed(results: Results, methods: Sequence[str], metric: Metric) -> dict[str, Value]:
    """A column: method to its mean, the best one marked."""
    found: dict[str, Estimate] = {}
    for method in methods:
        values = values_of(results, method, metric)
        if values:
            found[method] = bootstrap_mean(
                list(values.values()), list(values), generator=np.random.default_rng(_DRAWS_SEED)
            )
    most = max(estimate.count for estimate in found.values())
    best = ""  # as it is shown, so that what looks equal is
    if metric.better is not None and len(found) > 1:
        choose = max if metric.better == "higher" else min
        best = f"{choose(estimate.mean for estimate in found.values()):.{metric.digits}f}"
    column = {}
    for method in methods:
        if method not in found:
            column[method] = Value(text="not measured")
            continue
        estimate = found[method]
        text = f"{estimate.mean:.{metric.digits}f}"
        column[method] = Value(
            text=text,
            note=_interval(estimate, metric),
            count=f"{estimate.count} of {most}" if estimate.count < most else "",
            is_best=text == best,
        )
    return column


def comparison(results: Results, where: Where) -> Table | None:
    """Every method against the reference, cell by cell; None where there is nothing to compare."""
    reference = results.manifest["reference"]
    others = {k: v for k, v in results.manifest["methods"].items() if k != reference}
    chosen = [metric for metric in columns(results, where) if metric.better is not None]
    if not others or not chosen:
        return None
    name = results.manifest["methods"][reference]
    return Table(
        title=f"{_ABOUT[where][0]}: each method less {name}",
        about=f"On the same concept, edit and seed: mean difference from {name} with its 95 %"
        " bootstrap interval, and in how many of the pairs the method is better (wins) and worse"
        " (losses).",
        headings=tuple(metric.heading for metric in chosen),
        rows=tuple(
            (title, tuple(_compared(results, method, reference, metric) for metric in chosen))
            for method, title in others.items()
        ),
    )


def _compared(results: Results, method: str, reference: str, metric: Metric) -> Value:
    first, second = (values_of(results, name, metric) for name in (method, reference))
    keys = [key for key in first if key in second]
    if not keys:
        return Value(text="no pairs")
    found = compare(
        [first[key] for key in keys],
        [second[key] for key in keys],
        keys,
        better=metric.better or "higher",
        generator=np.random.default_rng(_DRAWS_SEED),
    )
    mean = round(found.difference.mean, metric.digits) + 0.0  # no -0.000
    text = f"{mean:+.{metric.digits}f}"
    return Value(
        text=text,
        note=_interval(found.difference, metric),
        count=f"{found.wins} wins, {found.losses} losses",
    )


def paper() -> Table:
    """The paper's own table, as it stands beside ours."""
    return Table(
        title="The paper's Table 2, on other data",
        about=PAPER_NOTE,
        headings=PAPER_COLUMNS,
        rows=tuple((name, tuple(Value(text=t) for t in row)) for name, row in PAPER.items()),
    )


def to_markdown(table: Table) -> str:
    """A table under its heading and its sentence."""
    lines = [f"## {table.title}", "", table.about, ""]
    lines.append(f"| method | {' | '.join(table.headings)} |")
    lines.append("|---" * (len(table.headings) + 1) + "|")
    for name, values in table.rows:
        cells = [
            " ".join(
                part for part in (f"**{v.text}**" if v.is_best else v.text, v.note, v.count) if part
            )
            for v in values
        ]
        lines.append(f"| {' | '.join([name.replace('|', '/'), *cells])} |")
    return "\n".join(lines) + "\n"


def _interval(estimate: Estimate, metric: Metric) -> str:
    if estimate.count == 1:
        return ""  # one cell says nothing of others
    low, high = (f"{value:.{metric.digits}f}" for value in (estimate.low, estimate.high))
    return f"[{low}, {high}]"
