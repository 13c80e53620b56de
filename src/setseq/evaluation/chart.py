"""A line chart as plain numbers that a template draws: no plotting library, no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 10, 26


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One labelled place on an axis, in pixels."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A curve in the picture's pixels.

    Attributes:
        raw: SVG points of the values themselves.
        smooth: SVG points of their running mean.
        x_ticks: Places on the step axis.
        y_ticks: Places on the value axis.
    """

    raw: str
    smooth: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM


def draw_chart(values: Sequence[float], *, smoothing: int = 0) -> Chart:
    """Lays out one value a step, steps counted from 1.

    Args:
        values: At least one; what is not finite is left out.
        smoothing: Steps of the running mean; 0 takes an eighth of them all.

    Returns:
        The chart, 460 x 190 pixels.
    """
    points = [(step, value) for step, value in enumerate(values, 1) if math.isfinite(value)]
    points = points or [(1, 0.0)]
    window = smoothing or max(1, len(points) // 8)
    means = [
        sum(value for _, value in points[max(0, k - window + 1) : k + 1]) / min(k + 1, window)
        for k in range(len(points))
    ]
    y_values = _round_values(min(value for _, value in points), max(value for _, value in points))
    low, high = y_values[0], y_values[-1]
    last = max(step for step, _ in points)

    def x_at(step: float) -> float:
        return round(_LEFT + (step - 1) / max(last - 1, 1) * (WIDTH - _LEFT - _RIGHT), 1)

    def y_at(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    return Chart(
        raw=" ".join(f"{x_at(step)},{y_at(value)}" for step, value in points),
        smooth=" ".join(
            f"{x_at(step)},{y_at(mean)}" for (step, _), mean in zip(points, means, strict=True)
        ),
        x_ticks=tuple(Tick(at=x_at(step), label=str(step)) for step in sorted({1, last})),
        y_ticks=tuple(Tick(at=y_at(value), label=f"{value:.4g}") for value in y_values),
    )


def _round_values(low: float, high: float) -> list[float]:
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
