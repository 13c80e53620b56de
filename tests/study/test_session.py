"""A study is begun once, goes on with what it was begun with, and forgets nothing."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from setseq.errors import SetSeqError, SettingsError, StudyError
from setseq.study.session import Study, new_participant, open_study, read_results
from tests.study.folders import held, make_bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bench(tmp_path / "bench")


def test_by_default_each_rival_is_seen_four_times(folder: Path):
    assert held(folder).settings.pairs == 12


def test_by_default_a_small_bench_is_seen_whole(tmp_path: Path):
    folder = make_bench(tmp_path, methods=("set-and-sequence", "lora-8"), seeds=(0,))
    (folder / "videos/lora-8/robot/0-0.mp4").unlink()
    assert open_study(folder, {}, allow_missing=True).settings.pairs == 3


def test_the_plan_of_a_participant_stays_when_the_study_is_opened_again(folder: Path):
    first = held(folder, pairs=5, seed=3)
    first.join("aaaa-bbbb")
    before = [first.answers.trial("aaaa-bbbb", place) for place in range(1, 6)]
    again = held(folder)
    assert (again.settings.pairs, again.settings.seed) == (5, 3)
    again.join("aaaa-bbbb")
    assert [again.answers.trial("aaaa-bbbb", place) for place in range(1, 6)] == before
    assert again.answers.participants() == ["aaaa-bbbb"]
    assert again.answers.trial("aaaa-bbbb", 6) is None


def test_two_participants_have_plans_of_their_own(folder: Path):
    study = held(folder)
    study.join("aaaa-bbbb")
    study.join("cccc-dddd")
    first, second = (
        [study.answers.trial(name, place) for place in range(1, 13)]
        for name in ("aaaa-bbbb", "cccc-dddd")
    )
    assert first != second


def test_the_text_is_what_the_videos_were_made_from_without_tokens(folder: Path):
    study = held(folder, pairs=24)
    study.join("aaaa-bbbb")
    found = [study.answers.trial("aaaa-bbbb", place) for place in range(1, 25)]
    texts = {(each[0].cell.concept, each[0].cell.edit): each[1] for each in found if each}
    assert texts == {
        ("dancer", 0): "a creature in the snow. it is dancing.",
        ("dancer", 1): "a creature at night. it is dancing.",
        ("robot", 0): "a creature in the snow. it is walking.",
        ("robot", 1): "a creature at night. it is walking.",
    }


def test_a_study_goes_on_at_the_first_pair_that_is_open(folder: Path):
    study = held(folder, pairs=2, questions=("motion", "overall"))
    study.join("aaaa-bbbb")
    assert study.first_open("aaaa-bbbb") == 1
    study.answers.record("aaaa-bbbb", 1, {"motion": "a"})
    assert held(folder).first_open("aaaa-bbbb") == 1
    study.answers.record("aaaa-bbbb", 1, {"overall": "b"})
    assert held(folder).first_open("aaaa-bbbb") == 2
    study.answers.record("aaaa-bbbb", 2, {"motion": "a", "overall": "a"})
    assert held(folder).first_open("aaaa-bbbb") is None


def test_an_answer_that_comes_twice_is_there_once(folder: Path):
    study = held(folder)
    study.join("aaaa-bbbb")
    study.answers.record("aaaa-bbbb", 1, {"motion": "a"})
    once = study.answers.all()
    study.answers.record("aaaa-bbbb", 1, {"motion": "a"})
    assert study.answers.all() == once


def test_the_last_word_counts(folder: Path):
    study = held(folder)
    study.join("aaaa-bbbb")
    study.answers.record("aaaa-bbbb", 1, {"motion": "a"})
    study.answers.record("aaaa-bbbb", 1, {"motion": "b"})
    [answer] = study.answers.all()
    assert answer.choice == "b"
    assert answer.preferred == answer.trial.b


def test_what_goes_wrong_leaves_nothing_half_there(folder: Path):
    study = held(folder)
    study.join("aaaa-bbbb")
    with pytest.raises(sqlite3.Error):
        study.answers.record("aaaa-bbbb", 1, {"motion": "a", "overall": "c"})
    with pytest.raises(sqlite3.Error):
        study.answers.record("aaaa-bbbb", 99, {"motion": "a"})
    assert study.answers.all() == []


def test_participants_are_counted_as_begun_and_as_finished(folder: Path):
    study = held(folder, pairs=1, questions=("overall",))
    for name in ("aaaa-bbbb", "cccc-dddd", "ffff-gggg"):
        study.join(name)
    study.answers.record("cccc-dddd", 1, {"overall": "a"})
    results = read_results(folder)
    assert (results.num_participants, results.num_finished) == (1, 1)


def test_the_codes_of_participants_differ():
    assert len({new_participant() for _ in range(200)}) == 200


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pairs": 3}, "begun with pairs 12"),
        ({"seed": 1}, "begun with seed 0"),
        ({"questions": ["motion"]}, "begun with questions identity,motion,prompt,overall"),
        ({"reference_method": "lora-8"}, "begun with reference method set-and-sequence"),
        ({"ties": True}, "begun with ties False"),
    ],
)
def test_a_study_is_not_gone_on_with_in_another_way(folder: Path, given: dict, said: str):
    held(folder)
    with pytest.raises(StudyError, match=said):
        open_study(folder, given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pairs": 0}, "pairs"),
        ({"questions": ["colour"]}, "no question 'colour'"),
        ({"questions": ["motion", "motion"]}, "twice"),
        ({"questions": []}, "questions"),
    ],
)
def test_settings_out_of_range_are_refused_and_nothing_is_begun(
    folder: Path, given: dict, said: str
):
    with pytest.raises(SettingsError, match=said):
        open_study(folder, given)
    assert not (folder / "study.sqlite").exists()


def test_more_pairs_than_there_are_cannot_be_shown(folder: Path):
    with pytest.raises(StudyError, match="there are 24; give --pairs 24 or fewer"):
        held(folder, pairs=25)


def test_missing_videos_are_named_with_the_pairs_that_remain(folder: Path):
    (folder / "videos/lora-8/robot/1-0.mp4").unlink()
    with pytest.raises(
        StudyError, match=r"missing are videos/lora-8/robot/1-0\.mp4; 23 of 24 pairs remain"
    ):
        held(folder)
    study = open_study(folder, {}, allow_missing=True)
    assert study.notes == ("videos that are missing: 1; 23 pairs remain",)
    assert len(study.deck) == 23


def _plans(study: Study, *names: str) -> list[object]:
    for name in names:
        study.join(name)
    return [study.answers.trial(name, place) for name in names for place in range(1, 7)]


def test_a_bench_that_grows_changes_nothing_of_the_study_and_that_is_said(tmp_path: Path):
    names = ("aaaa-bbbb", "cccc-dddd", "ffff-gggg", "hhhh-jjjj")
    small = {"methods": ("set-and-sequence", "lora-8", "dreamix"), "seeds": (0,)}
    other = held(make_bench(tmp_path / "other", **small), pairs=6)
    expected = _plans(other, *names)
    folder = make_bench(tmp_path / "bench", **small)
    first = held(folder, pairs=6)
    assert _plans(first, *names[:2]) == expected[:12]
    make_bench(folder)
    second = held(folder)
    assert second.notes == (
        "the bench has changed since the study was begun (16 pairs more, 0 fewer); the study keeps"
        " its 8",
    )
    assert _plans(second, *names) == expected
    assert read_results(folder).rivals == ["lora-8", "dreamix"]


def test_a_bench_that_names_fewer_methods_now_keeps_its_study(folder: Path):
    held(folder)
    make_bench(folder, methods=("two-stage",))
    study = held(folder)
    assert study.notes[0].startswith("the bench has changed since the study was begun")
    assert len(study.deck) == 24
    assert read_results(folder).title("dreamix") == "Dreamix"


def test_an_unchanged_bench_is_not_remarked_on(folder: Path):
    held(folder)
    assert held(folder).notes == ()


def test_a_video_that_vanished_before_it_was_shown_is_named(folder: Path):
    held(folder)
    (folder / "videos/lora-8/robot/1-0.mp4").unlink()
    with pytest.raises(StudyError, match=r"lora-8/robot/1-0\.mp4 is missing, of 1 in all"):
        open_study(folder, {}, allow_missing=True)


def test_of_several_training_seeds_the_first_is_shown(tmp_path: Path):
    folder = make_bench(tmp_path, training_seeds=(2, 5))
    study = held(folder)
    study.join("aaaa-bbbb")
    found = study.answers.trial("aaaa-bbbb", 1)
    assert found is not None
    assert [path.name.endswith(".t2.mp4") for path in study.files(found[0]).values()] == [
        False,
        True,
        True,
    ]


def test_a_bench_without_a_pair_is_refused_even_where_videos_may_miss(folder: Path):
    for path in folder.glob("videos/set-and-sequence/*/*.mp4"):
        path.unlink()
    with pytest.raises(
        StudyError, match=r"missing are videos/set-and-sequence/.* and 5 more; 0 of 24"
    ):
        open_study(folder, {}, allow_missing=True)


def test_a_video_that_was_made_anew_is_not_mixed_with_the_old_one(folder: Path):
    study = held(folder, pairs=24)
    study.join("aaaa-bbbb")
    (folder / "videos/lora-8/robot/1-0.mp4").write_bytes(b"another")
    with pytest.raises(StudyError, match="another video than was shown"):
        study.join("cccc-dddd")
    assert study.answers.participants() == ["aaaa-bbbb"]
    with pytest.raises(StudyError, match=r"lora-8/robot/1-0\.mp4: is missing or another video"):
        held(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "has no manifest.json"),
        ("{", "is no JSON"),
        ("[]", "format None"),
        ('{"format": 2}', "format 2; this version reads 1"),
        ('{"format": 1}', "methods: Field required"),
        (
            '{"format": 1, "methods": {}, "concepts": {"x": {"look": "x"}}, "seeds": [0],'
            ' "training_seeds": [0]}',
            "concepts.x.prompts: Field required",
        ),
        (
            '{"format": 1, "methods": {"../up": "x"}, "concepts": {}, "seeds": [0],'
            ' "training_seeds": [0]}',
            "'../up' cannot be the name of a folder",
        ),
    ],
)
def test_a_folder_that_is_no_bench_is_refused(folder: Path, text: str | None, said: str):
    path = folder / "manifest.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(StudyError, match=said) as caught:
        held(folder)
    assert "\n" not in str(caught.value)


def test_a_file_of_answers_that_is_none_is_refused(folder: Path):
    (folder / "study.sqlite").write_text("these are no answers, but they are long enough" * 9)
    with pytest.raises(StudyError, match="cannot be read as a study"):
        held(folder)


def test_a_study_of_another_version_is_refused(folder: Path):
    held(folder)
    base = sqlite3.connect(folder / "study.sqlite")
    base.execute("PRAGMA user_version = 9")
    base.close()
    with pytest.raises(StudyError, match="format 9; this version reads 2"):
        held(folder)


def test_a_prompt_of_tokens_alone_cannot_be_shown(folder: Path):
    path = folder / "manifest.json"
    path.write_text(
        path.read_text().replace("a [v1] creature at night. it is [u1] dancing.", "[v1]")
    )
    with pytest.raises(SetSeqError, match="nothing besides its tokens"):
        held(folder)


def test_a_study_needs_no_torch():
    program = "import setseq.study.server, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_answers_are_read_whatever_becomes_of_the_bench(folder: Path):
    held(folder)
    (folder / "manifest.json").unlink()
    assert read_results(folder).title("dreamix") == "Dreamix"
