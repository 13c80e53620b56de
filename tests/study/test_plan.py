"""Which pairs a participant sees, in which order, and who is shown on which side."""

from collections import Counter
from pathlib import Path

import pytest

from setseq.errors import StudyError
from setseq.study.bench import read_bench
from setseq.study.plan import Comparison, Pair, deal, find_pairs, make_plan
from tests.study.folders import make_bench

OURS = "set-and-sequence"


@pytest.fixture
def deck(tmp_path: Path) -> list[Pair]:
    """3 rivals x 3 concepts x 2 edits x 2 seeds = 36 pairs."""
    bench = read_bench(make_bench(tmp_path, concepts=("dancer", "robot", "bee")))
    pairs, missing = find_pairs(bench, OURS)
    assert not missing
    return deal(pairs, seed=0)


def _plan(deck: list[Pair], number: int, *, count: int = 12, seed: int = 0) -> list[Comparison]:
    return make_plan(deck, method=OURS, number=number, count=count, seed=seed)


def _rival(trial: Comparison) -> str:
    (rival,) = {trial.a, trial.b} - {OURS}
    return rival


def test_the_deck_has_every_pair_once(deck: list[Pair]):
    assert len(deck) == len(set(deck)) == 36


def test_a_seed_and_a_participant_always_give_the_same_plan(deck: list[Pair]):
    assert _plan(deck, 3) == _plan(deck, 3)


def test_another_participant_or_seed_gives_another_order(deck: list[Pair]):
    first = _plan(deck, 0)
    assert _plan(deck, 3) != first  # the same pairs again
    assert _plan(deck, 3, seed=1) != _plan(deck, 3)
    assert set(map(_rival, first)) == set(map(_rival, _plan(deck, 1)))


def test_the_seed_of_the_deck_changes_which_pairs_come_first(tmp_path: Path):
    pairs, _ = find_pairs(read_bench(make_bench(tmp_path)), OURS)
    assert deal(pairs, 0) == deal(pairs, 0) != deal(pairs, 1)


@pytest.mark.parametrize("number", range(6))
def test_a_participant_sees_all_rivals_equally_often_and_none_twice(deck: list[Pair], number: int):
    plan = _plan(deck, number)
    assert set(Counter(map(_rival, plan)).values()) == {4}
    assert len({(trial.cell, _rival(trial)) for trial in plan}) == 12


@pytest.mark.parametrize("number", range(6))
def test_with_each_rival_a_method_is_as_often_left_as_right(deck: list[Pair], number: int):
    lefts = Counter(_rival(trial) for trial in _plan(deck, number) if trial.a == OURS)
    assert set(lefts.values()) == {2}
    assert len(lefts) == 3


@pytest.mark.parametrize("count", range(1, 37))
def test_odd_numbers_of_pairs_are_off_balance_by_one_at_most(deck: list[Pair], count: int):
    for number in range(4):
        plan = _plan(deck, number, count=count)
        rivals = Counter(map(_rival, plan))
        assert max(rivals.values()) - min(rivals.values()) <= 1
        assert abs(2 * sum(trial.a == OURS for trial in plan) - count) <= 1


def test_sides_cannot_be_guessed_from_the_place(deck: list[Pair]):
    sides = {tuple(trial.a == OURS for trial in _plan(deck, number)) for number in range(8)}
    assert len(sides) == 8


@pytest.mark.parametrize("number", range(6))
def test_nobody_sees_one_video_of_the_method_in_two_pairs(deck: list[Pair], number: int):
    assert len({trial.cell for trial in _plan(deck, number)}) == 12


def test_together_participants_see_all_pairs_equally_often(deck: list[Pair]):
    seen = Counter(
        (trial.cell, _rival(trial)) for number in range(6) for trial in _plan(deck, number)
    )
    assert len(seen) == 36
    assert set(seen.values()) == {2}


def test_a_participants_pairs_are_of_all_concepts_evenly(deck: list[Pair]):
    for number in range(3):
        counts = Counter((t.cell.concept, _rival(t)) for t in _plan(deck, number, count=9))
        assert set(counts.values()) == {1}


def test_a_pair_needs_both_videos_and_the_reference(tmp_path: Path):
    folder = make_bench(tmp_path)
    (folder / "videos/lora-8/robot/1-0.mp4").unlink()
    (folder / "videos/dreamix/robot/0-0.mp4").write_bytes(b"")
    (folder / "references/dancer.mp4").unlink()
    pairs, missing = find_pairs(read_bench(folder), OURS)
    assert {name: len(found) for name, found in pairs.items()} == {
        "lora-8": 3,
        "dreamix": 3,
        "two-stage": 4,
    }
    assert len(missing) == 3


def test_a_rival_with_few_videos_does_not_end_the_deck(tmp_path: Path):
    folder = make_bench(tmp_path)
    for path in list((folder / "videos/lora-8").glob("*/*.mp4"))[:7]:
        path.unlink()
    pairs, _ = find_pairs(read_bench(folder), OURS)
    assert len(deal(pairs, 0)) == 1 + 8 + 8


def test_a_method_alone_cannot_be_compared(tmp_path: Path):
    bench = read_bench(make_bench(tmp_path, methods=(OURS,)))
    with pytest.raises(StudyError, match="nothing to compare"):
        find_pairs(bench, OURS)


def test_an_unknown_method_is_named_with_the_known_ones(tmp_path: Path):
    with pytest.raises(StudyError, match=r"no method 'ours'.*set-and-sequence, lora-8"):
        find_pairs(read_bench(make_bench(tmp_path)), "ours")
