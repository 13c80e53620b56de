"""Clopper and Pearson's interval against published numbers, closed forms and its own promise."""

import itertools
import math

import pytest

from setseq.study.intervals import clopper_pearson


@pytest.mark.parametrize(
    ("wins", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17, 1998, table I, method 5
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
        (8, 10, 0.4439, 0.9748),
        (5, 10, 0.1871, 0.8129),
    ],
)
def test_published_intervals(wins: int, total: int, low: float, high: float):
    assert clopper_pearson(wins, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("total", [1, 7, 400])
def test_ends_that_have_a_closed_form(total: int):
    assert clopper_pearson(0, total) == pytest.approx((0, 1 - 0.025 ** (1 / total)))
    assert clopper_pearson(total, total) == pytest.approx((0.025 ** (1 / total), 1))


def test_without_answers_every_share_is_possible():
    assert clopper_pearson(0, 0) == (0, 1)


def test_both_sides_are_treated_alike():
    low, high = clopper_pearson(3.5, 11)
    assert clopper_pearson(7.5, 11) == pytest.approx((1 - high, 1 - low))


def test_more_confidence_is_a_wider_interval():
    low, high = clopper_pearson(6, 9)
    wide_low, wide_high = clopper_pearson(6, 9, confidence=0.99)
    assert wide_low < low < 6 / 9 < high < wide_high


def test_halves_are_rounded_away_from_the_share():
    assert clopper_pearson(4.5, 10)[0] == clopper_pearson(4, 10)[0]
    assert clopper_pearson(4.5, 10)[1] == pytest.approx(clopper_pearson(5, 10)[1])


@pytest.mark.parametrize("ties", [0.0, 0.2, 0.6])
def test_the_truth_is_covered_as_often_as_promised_with_and_without_ties(ties: float):
    total = 12
    intervals = {halves: clopper_pearson(halves / 2, total) for halves in range(0, 2 * total + 1)}
    for step in range(21):
        win = (1 - ties) * step / 20
        share, covered = win + ties / 2, 0.0
        for wins, even in itertools.product(range(total + 1), repeat=2):
            lost = total - wins - even
            if lost < 0:
                continue
            ways = math.comb(total, wins) * math.comb(total - wins, even)
            chance = ways * win**wins * ties**even * (1 - win - ties + 1e-300) ** lost
            low, high = intervals[2 * wins + even]
            covered += chance * (low - 1e-9 <= share <= high + 1e-9)
        assert covered >= 0.95
