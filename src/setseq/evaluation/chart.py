"""A line chart as plain numbers that a template draws: no plotting library, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 10, 26


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One labelled place on an axis, in pixels."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One curve in the picture's pixels.

    Attributes:
        name: Of the legend.
        raw: SVG points of the values themselves.
        smooth: SVG points of their running mean.
    """

    name: str
    raw: str
    smooth: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves over the same steps.

    Attributes:
        curves: In their order, the first one the most important.
        x_ticks: Places on the step axis.
        y_ticks: Places on the value axis.
    """

    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM


def draw_chart(values: Mapping[str, Sequence[float]], *, smoothing: int = 0) -> Chart:
    """Lays out curves of one value a step, steps counted from 1.

    Args:
        values: Name to curve, at least one; what is not finite is left out.
        smoothing: Values of the running mean; 0 takes an eighth of them all.

    Returns:
        The chart, 460 x 190 pixels.
    """
    points = {
        name: [(step, value) for step, value in enumerate(curve, 1) if math.isfinite(value)]
        for name, curve in values.items()
    }
    found = [point for curve in points.values() for point in curve] or [(1, 0.0)]
    y_values = round_values(min(value for _, value in found), max(value for _, value in found))
    low, high = y_values[0], y_values[-1]
    last = max(step for step, _ in found)

    def x_at(step: float) -> float:
        return round(_LEFT + (step - 1) / max(last - 1, 1) * (WIDTH - _LEFT - _RIGHT), 1)

    def y_at(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    def drawn(curve: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{x_at(step)},{y_at(value)}" for step, value in curve)

    return Chart(
        curves=tuple(
            Curve(name=name, raw=drawn(curve), smooth=drawn(_smoothed(curve, smoothing)))
            for name, curve in points.items()
        ),
        x_ticks=tuple(Tick(at=x_at(step), label=str(step)) for step in sorted({1, last})),
        y_ticks=tuple(Tick(at=y_at(value), label=f"{value:.4g}") for value in y_values),
    )


def _smoothed(curve: Sequence[tuple[int, float]], smoothing: int) -> list[tuple[int, float]]:
    """Means over the values up to each step, as many as ``smoothing`` says."""
    window = smoothing or max(1, len(curve) // 8)
    return [
        (step, sum(v for _, v in curve[max(0, k - window + 1) : k + 1]) / min(k + 1, window))
        for k, (step, _) in enumerate(curve)
    ]


def round_values(low: float, high: float) -> list[float]:
    """Round numbers, evenly spaced, that enclose a range: three to seven of them."""
    span = (high - low) or abs(high) or 1.0
    exponent = math.floor(math.log10(span))
    unit = next(
        factor * 10.0**exponent
        for factor in (0.2, 0.25, 0.5, 1, 2)
        if span / 10**exponent <= 5 * factor
    )
    first = math.floor(low / unit)
    last = max(math.ceil(high / unit), first + 1)
    return [number * unit for number in range(first, last + 1)]
