"""How sure a share is, from the answers alone: exact binomial intervals."""

from __future__ import annotations

import math


def clopper_pearson(wins: float, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share: all shares under which the count is not too unlikely.

    The lower end is the share under which ``wins`` or more come up with probability
    (1 - confidence) / 2, the upper end the one under which ``wins`` or fewer do. It covers the
    truth at least as often as it says, for every total. Where answers count half, the lower end is
    of the count rounded down and the upper one of it rounded up.

    Args:
        wins: Answers for it, 0 to ``total``, in halves.
        total: Answers in all, at least 0.
        confidence: How often the interval covers the truth, at least; above 0, below 1.

    Returns:
        Its ends, 0 to 1; both 0 and 1 where there are no answers.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26 (4), 1934.
    """
    tail = (1 - confidence) / 2
    return (
        _lower(math.floor(wins), total, tail),
        1 - _lower(math.floor(total - wins), total, tail),
    )


def _lower(wins: int, total: int, tail: float) -> float:
    """The share under which ``wins`` or more come up with the probability ``tail``."""
    if wins == 0:
        return 0.0
    ways = [_log_ways(total, count) for count in range(wins, total + 1)]
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        chance = math.fsum(
            math.exp(way + count * math.log(middle) + (total - count) * math.log1p(-middle))
            for count, way in enumerate(ways, wins)
        )
        low, high = (middle, high) if chance < tail else (low, middle)
    return (low + high) / 2


def _log_ways(total: int, count: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
