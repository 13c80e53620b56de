import itertools

import numpy as np
import pytest

from setseq.bench.statistics import bootstrap_mean, compare


def _generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_equal_values_have_no_interval():
    found = bootstrap_mean([0.3] * 6, [(k,) for k in range(6)], generator=_generator())
    assert (found.mean, found.count) == (pytest.approx(0.3), 6)
    assert found.low == pytest.approx(0.3)
    assert found.high == pytest.approx(0.3)


def test_of_two_values_a_quarter_of_the_resamples_has_only_one_of_them():
    """0 and 1: means 0, 1/2 and 1 with chances 1/4, 1/2, 1/4, so 2.5 % lies at an end."""
    found = bootstrap_mean([0.0, 1.0], [(0,), (1,)], generator=_generator())
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)


def test_the_interval_is_that_of_the_ordinary_bootstrap_where_there_is_one_factor():
    values = _generator(5).normal(size=200)
    found = bootstrap_mean(values.tolist(), [(k,) for k in range(200)], generator=_generator())
    error = values.std() / np.sqrt(200)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    draws, held = _generator(1), 0
    for _ in range(300):
        values = draws.normal(2.0, 1.0, 40).tolist()
        places = [(k,) for k in range(40)]
        found = bootstrap_mean(values, places, generator=draws, resamples=200)
        held += found.low <= 2.0 <= found.high
    assert 0.90 <= held / 300 <= 0.98


def test_cells_of_one_concept_are_no_more_than_one_concept():
    """Ten copies of each of four values: the interval is that of four, not of forty."""
    values = [0.0, 0.2, 0.7, 1.0]
    four = bootstrap_mean(values, [(k,) for k in range(4)], generator=_generator())
    factors = list(itertools.product(range(4), range(10)))
    forty = bootstrap_mean(
        [values[concept] for concept, _ in factors], factors, generator=_generator()
    )
    assert forty.high - forty.low == pytest.approx(four.high - four.low, abs=0.06)


def test_the_same_generator_gives_the_same_interval():
    values, places = [0.1, 0.5, 0.2, 0.9], [(k,) for k in range(4)]
    first, second = (bootstrap_mean(values, places, generator=_generator(3)) for _ in range(2))
    assert first == second


def test_missing_cells_do_not_break_the_mean():
    found = bootstrap_mean([1.0, 3.0], [("a", 0), ("b", 1)], generator=_generator())
    assert (found.mean, found.low, found.high) == (2.0, 1.0, 3.0)


def test_pairs_take_out_what_cells_have_in_common():
    reference = [0.1, 0.9, 0.5, 0.3]
    method = [value + 0.05 for value in reference]
    places = [(k,) for k in range(4)]
    found = compare(method, reference, places, better="higher", generator=_generator())
    assert found.difference.low == pytest.approx(0.05)
    assert found.difference.high == pytest.approx(0.05)
    assert (found.wins, found.losses) == (4, 0)


def test_wins_follow_the_way_that_is_better_and_ties_are_neither():
    places = [(k,) for k in range(3)]
    found = compare([1, 2, 3], [2, 2, 2], places, better="lower", generator=_generator())
    assert (found.wins, found.losses) == (1, 1)
    assert found.difference.mean == 0
