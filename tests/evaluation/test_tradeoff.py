import pytest

from setseq.evaluation.tradeoff import (
    Check,
    Measured,
    best,
    check_steps,
    overfitting,
    placed,
    visible,
)

BASE = Measured(mse=0.1, margins=(0.04, 0.06))


def _checks(*pairs: tuple[float, float]) -> list[Check]:
    """Of reconstruction and adherence, ten steps apart."""
    return [
        Check(step=10 * k, reconstruction=reconstruction, adherence=adherence)
        for k, (reconstruction, adherence) in enumerate(pairs, 1)
    ]


def test_the_base_itself_gives_nothing_back_and_follows_everything():
    alone = placed(1, BASE, BASE)
    assert (alone.reconstruction, alone.adherence, alone.score) == (0, 1, 0)


def test_a_clip_given_back_exactly_under_every_prompt_scores_nought():
    assert placed(1, Measured(mse=0, margins=(-0.02, 0.0)), BASE).score == 0


def test_both_sides_are_shares_of_what_the_base_does():
    check = placed(7, Measured(mse=0.02, margins=(0.01, 0.04)), BASE)
    assert check.step == 7
    assert check.reconstruction == pytest.approx(0.8)
    assert check.adherence == pytest.approx(0.5)
    assert check.score == pytest.approx(2 * 0.8 * 0.5 / 1.3)


def test_the_scale_of_the_encoder_does_not_matter():
    measured = Measured(mse=0.02, margins=(0.01, 0.04))
    tenfold = [
        Measured(mse=m.mse, margins=tuple(10 * v for v in m.margins)) for m in (measured, BASE)
    ]
    assert placed(1, *tenfold).score == pytest.approx(placed(1, measured, BASE).score)


def test_an_edit_that_the_base_does_not_show_does_not_count():
    base = Measured(mse=0.1, margins=(0.04, -0.5))
    assert visible(base) == (True, False)
    assert placed(1, Measured(mse=0.05, margins=(0.02, 0.5)), base).adherence == pytest.approx(0.5)


def test_the_best_is_the_balanced_one_and_of_equals_the_first():
    checks = _checks((0.2, 1.0), (0.7, 0.7), (0.7, 0.7), (1.0, 0.3))
    assert best(checks).step == 20
    assert best(checks[::-1]).step == 20


def test_where_nothing_is_given_back_at_all_the_last_is_kept():
    assert best(_checks((0, 1.0), (0, 0.9), (0, 0.8))).step == 30


def test_learning_by_heart_is_noticed_where_it_begins():
    checks = _checks((0.3, 0.9), (0.5, 0.95), (0.6, 0.9), (0.7, 0.8), (0.8, 0.6))
    turn = overfitting(checks)
    assert turn is not None
    assert turn.step == 20
    assert overfitting(checks[:3]) is None  # one fall may be chance


@pytest.mark.parametrize(
    ("pairs", "step"),
    [
        ([(0.3, 0.9), (0.5, 0), (0.7, 0)], 10),
        ([(0.3, 0.9), (0.5, 0)], 10),
        ([(0.3, 0.9), (0.5, 0.4), (0.7, 0.4), (0.9, 0.41)], 10),
        ([(0.3, 0.9), (0.5, 0.5), (0.7, 0.51), (0.9, 0.3)], 10),
        ([(0.3, 0.8), (0.5, 0.9), (0.6, 0.89), (0.7, 0.88), (0.8, 0.87)], 20),
    ],
    ids=["all lost", "all lost at the end", "stays low", "low with ups", "slowly"],
)
def test_however_adherence_is_lost_it_is_noticed(pairs: list[tuple[float, float]], step: int):
    turn = overfitting(_checks(*pairs))
    assert turn is not None
    assert turn.step == step


@pytest.mark.parametrize(
    "pairs",
    [
        [(0.3, 0.9), (0.5, 0.9), (0.6, 0.9), (0.7, 0.9)],
        [(0.3, 0.7), (0.5, 0.8), (0.6, 0.9), (0.7, 1.0)],
        [(0.3, 0.9), (0.5, 0.8), (0.6, 0.9), (0.7, 0.8)],
        [(0.7, 0.9), (0.6, 0.8), (0.5, 0.7), (0.4, 0.6)],
        [(0.3, 0.9), (0.5, 0.895), (0.6, 0.89), (0.7, 0.895)],
        [(0.3, 0.9), (0.5, 0.5)],
        [],
    ],
    ids=["steady", "rising", "to and fro", "both fall", "hardly", "two checks", "none"],
)
def test_a_healthy_learning_is_not_warned_of(pairs: list[tuple[float, float]]):
    assert overfitting(_checks(*pairs)) is None


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [
        (360, 6, (60, 120, 180, 240, 300, 360)),
        (10, 3, (3, 7, 10)),
        (3, 6, (1, 2, 3)),
        (5, 1, (5,)),
        (0, 4, ()),
    ],
)
def test_checks_are_evenly_spaced_and_end_with_the_stage(
    steps: int, count: int, expected: tuple[int, ...]
):
    assert check_steps(steps, count) == expected
