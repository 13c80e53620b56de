"""Means with bootstrap intervals, and paired comparisons: plain numbers in, plain numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and the interval that the bootstrap gives it.

    Attributes:
        mean: Of all values.
        low: Lower end of the 95 % interval.
        high: Upper end.
        count: Values.
    """

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One method against another on the same cells.

    Attributes:
        difference: Mean of (method less reference), with its interval.
        wins: Cells in which the method is better.
        losses: Cells in which the reference is; the rest are ties.
    """

    difference: Estimate
    wins: int
    losses: int


def bootstrap_mean(
    values: Sequence[float],
    factors: Sequence[Sequence[object]],
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The mean of values of a crossed design, with a percentile interval.

    Definition: each resample draws the levels of every factor (concepts, edits, seeds) anew with
    replacement, apart from each other, and weighs a value by how often all its levels were drawn:
    so the interval speaks for other concepts, edits and seeds, and not only for other cells of
    these. With one factor of as many levels as values it is the ordinary bootstrap.
    Source: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007; percentiles of
    2.5 and 97.5 %.
    Blind to: a factor of one level, which cannot vary; with few levels (six concepts) intervals
    are rough and rather short.

    Args:
        values: At least one.
        factors: For each value its level of every factor, as ("robot", 2, 0).
        generator: Of the draws.
        resamples: How many, at least 1.
    """
    data = np.asarray(values, dtype=np.float64)
    weights = np.ones((resamples, len(data)))
    for levels in zip(*factors, strict=True):
        names = {name: k for k, name in enumerate(dict.fromkeys(levels))}
        places = np.array([names[name] for name in levels])
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
        weights *= drawn[:, places]
    total = weights.sum(axis=1)
    kept = total > 0  # where cells are missing, a resample can have none
    means = (weights[kept] @ data) / total[kept]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean=float(data.mean()), low=float(low), high=float(high), count=len(data))


def compare(
    method: Sequence[float],
    reference: Sequence[float],
    factors: Sequence[Sequence[object]],
    *,
    better: Literal["higher", "lower"],
    generator: np.random.Generator,
) -> Comparison:
    """Two methods on the same cells, pair by pair: what cells have in common falls out.

    Args:
        method: Its values, at least one.
        reference: The other's, in the same order.
        factors: As for ``bootstrap_mean``.
        better: Which way is better.
        generator: Of the draws.
    """
    differences = np.asarray(method, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    gains = differences if better == "higher" else -differences
    return Comparison(
        difference=bootstrap_mean(differences.tolist(), factors, generator=generator),
        wins=int((gains > 0).sum()),
        losses=int((gains < 0).sum()),
    )
