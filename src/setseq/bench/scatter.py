"""The trade-off as a picture: what is kept against what is obeyed, with error bars over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from setseq.bench.metrics import KEPT, Metric
from setseq.bench.results import Results
from setseq.bench.tables import Key, columns, values_of
from setseq.evaluation.chart import Tick, round_values

WIDTH, HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 14, 14, 44
_CHAR, _LINE = 6.6, 14  # pixels that a label takes
_OFFSETS = (-7, 16, -21, 30, -35, 44, -49, 58)  # of a label from its point, down; none on its bar

Place = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One method, in the picture's pixels.

    Attributes:
        name: Its label.
        number: Its place among the methods, for its colour.
        x: Of the point; ``left`` and ``right`` of its error bar.
        y: Of the point; ``top`` and ``bottom`` of its error bar.
        label_x: Where the label starts, or ends where ``anchor`` is "end".
        label_y: Its line.
    """

    name: str
    number: int
    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """A picture of one trade-off.

    Attributes:
        x_title: Under the picture: what is obeyed.
        y_title: What is kept.
        has_bars: Whether there are seeds enough for error bars.
    """

    x_title: str
    y_title: str
    has_bars: bool
    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


@dataclass(frozen=True)
class Spread:
    """A mean over all cells, and the standard deviation of the seeds' means; 0 of one seed."""

    mean: float
    deviation: float


def scatters(results: Results) -> list[Scatter]:
    """The trade-offs that were measured: identity and motion against prompt adherence."""
    there = {metric.key: metric for metric in columns(results, "edits")}
    found = []
    for kept, candidates in KEPT:
        obeyed = next((key for key in candidates if key in there), None)
        if kept in there and obeyed is not None:
            found.append(draw_scatter(results, there[obeyed], there[kept]))
    return found


def spread_over_seeds(values: Mapping[Key, float]) -> Spread:
    """How a mean varies with the seeds: of start noise and of learning.

    Args:
        values: Concept, edit, seed and training seed to value, at least one.
    """
    by_seed: dict[tuple[int, int], list[float]] = {}
    for (_, _, seed, training_seed), value in values.items():
        by_seed.setdefault((seed, training_seed), []).append(value)
    means = [fmean(group) for group in by_seed.values()]
    return Spread(fmean(values.values()), stdev(means) if len(means) > 1 else 0.0)


def draw_scatter(results: Results, obeyed: Metric, kept: Metric) -> Scatter:
    """Lays out one trade-off; methods that lack a value are left out."""
    points: list[tuple[int, str, Spread, Spread]] = []
    for number, (method, title) in enumerate(results.manifest["methods"].items()):
        across, up = (values_of(results, method, metric) for metric in (obeyed, kept))
        if across and up:
            points.append((number, title, spread_over_seeds(across), spread_over_seeds(up)))
    x_values = _axis([point[2] for point in points])
    y_values = _axis([point[3] for point in points])

    def x_at(value: float) -> float:
        share = (value - x_values[0]) / (x_values[-1] - x_values[0])
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y_at(value: float) -> float:
        share = (value - y_values[0]) / (y_values[-1] - y_values[0])
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)

    places = [(x_at(across.mean), y_at(up.mean)) for _, _, across, up in points]
    marks: list[Mark] = []
    for (number, title, across, up), (x, y) in zip(points, places, strict=True):
        label_x, label_y, anchor = _label(title, (x, y), places, marks)
        marks.append(
            Mark(
                name=title,
                number=number,
                x=x,
                y=y,
                left=x_at(across.mean - across.deviation),
                right=x_at(across.mean + across.deviation),
                top=y_at(up.mean + up.deviation),
                bottom=y_at(up.mean - up.deviation),
                label_x=label_x,
                label_y=label_y,
                anchor=anchor,
            )
        )
    return Scatter(
        x_title=obeyed.title,
        y_title=kept.title,
        has_bars=any(point[2].deviation or point[3].deviation for point in points),
        marks=tuple(marks),
        x_ticks=tuple(Tick(at=x_at(value), label=f"{value:.4g}") for value in x_values),
        y_ticks=tuple(Tick(at=y_at(value), label=f"{value:.4g}") for value in y_values),
    )


def _axis(spreads: Sequence[Spread]) -> list[float]:
    return round_values(
        min(spread.mean - spread.deviation for spread in spreads),
        max(spread.mean + spread.deviation for spread in spreads),
    )


def _label(
    title: str, point: Place, points: Sequence[Place], marks: Sequence[Mark]
) -> tuple[float, float, str]:
    """Where a label starts or ends, its line, and which of both: beside its point, and free."""
    width = _CHAR * len(title)
    taken = [(x - 5, x + 5, y + 4) for x, y in points if (x, y) != point]
    for mark in marks:
        other = _CHAR * len(mark.name)
        start = mark.label_x if mark.anchor == "start" else mark.label_x - other
        taken.append((start, start + other, mark.label_y))
    beside = [("start", point[0] + 9), ("end", point[0] - 9)]
    choices = [
        (label_x, point[1] + offset, anchor)
        for sides in (beside, [("end", WIDTH - _RIGHT)])  # or as far right as there is room
        for offset in _OFFSETS
        for anchor, label_x in sides
        if _TOP <= point[1] + offset <= HEIGHT - _BOTTOM
        and (label_x + width < WIDTH if anchor == "start" else label_x - width > _LEFT)
    ]
    for label_x, line, anchor in choices:
        start = label_x if anchor == "start" else label_x - width
        if not any(
            abs(line - other_line) < _LINE and start < right and left < start + width
            for left, right, other_line in taken
        ):
            return label_x, line, anchor
    return choices[0] if choices else (point[0] + 9, point[1] + 4, "start")
