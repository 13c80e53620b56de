"""The table of preferences, from answers that are known."""

import csv
import io
import json
from pathlib import Path

import pytest

from setseq.study.session import Study, read_results
from setseq.study.table import to_csv, to_json, to_markdown
from tests.study.folders import held, make_bench


def _answer(study: Study, participant: str, question: str, preferred: dict[str, str]) -> None:
    """Answers every pair: rival to "ours", "theirs" or "same"."""
    study.join(participant)
    for position in range(1, study.settings.pairs + 1):
        found = study.answers.trial(participant, position)
        assert found is not None
        is_ours_a = found[0].a == study.settings.reference_method
        rival = found[0].b if is_ours_a else found[0].a
        ours, theirs = ("a", "b") if is_ours_a else ("b", "a")
        choice = {"ours": ours, "theirs": theirs, "same": "same"}[preferred[rival]]
        study.answers.record(participant, position, {question: choice})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two participants; LoRA-8 loses all 8 times, Dreamix half, two stages wins or is equal."""
    folder = make_bench(tmp_path / "bench")
    study = held(folder, ties=True)
    first = {"lora-8": "ours", "dreamix": "ours", "two-stage": "theirs"}
    second = {"lora-8": "ours", "dreamix": "theirs", "two-stage": "same"}
    _answer(study, "aaaa-bbbb", "motion", first)
    _answer(study, "cccc-dddd", "motion", second)
    return folder


def test_the_table_has_shares_intervals_and_counts(folder: Path):
    table = to_markdown(read_results(folder))
    assert "| preferred over | identity | motion | prompt | overall |" in table
    assert "| LoRA-8 | no answers | 100 [63, 100] 8/8 | no answers | no answers |" in table
    assert "| Dreamix | no answers | 50 [16, 84] 4/8 |" in table
    assert "| Two stages | no answers | 25 [3, 65] 2/8 |" in table
    assert "how often Set-and-Sequence is preferred" in table
    assert "counts half for either method (4 in all)" in table
    assert "2 participants, 0 of whom answered everything; 24 answers" in table


def test_where_ties_are_not_offered_none_are_spoken_of(tmp_path: Path):
    folder = make_bench(tmp_path)
    held(folder)
    assert "no difference" not in to_markdown(read_results(folder))


def test_the_numbers_are_those_of_the_table(folder: Path):
    content = json.loads(to_json(read_results(folder)))
    assert len(content["preferences"]) == 12
    [found] = [
        row
        for row in content["preferences"]
        if (row["rival"], row["question"]) == ("two-stage", "motion")
    ]
    assert (found["wins"], found["ties"], found["losses"], found["total"]) == (0, 4, 4, 8)
    assert (found["share"], found["low"]) == (0.25, pytest.approx(0.0319, abs=1e-4))
    assert found["high"] == pytest.approx(0.6509, abs=1e-4)
    assert content["interval"] == {"kind": "Clopper-Pearson", "confidence": 0.95}
    assert content["settings"]["ties"] is True


def test_every_answer_is_a_row_that_tells_what_was_seen(folder: Path):
    rows = list(csv.DictReader(io.StringIO(to_csv(read_results(folder).answers))))
    assert len(rows) == 24
    for row in rows:
        assert row["preferred"] == ("" if row["choice"] == "same" else row[row["choice"]])
        assert "set-and-sequence" in (row["a"], row["b"])
        assert row["prompt"].startswith("a creature")
        assert row["answered_at"].endswith("+00:00")
    assert {row["participant"] for row in rows} == {"aaaa-bbbb", "cccc-dddd"}


def test_a_rival_that_left_the_bench_keeps_its_answers(folder: Path):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    del content["methods"]["dreamix"]
    path.write_text(json.dumps(content))
    assert "| Dreamix | no answers | 50 [16, 84] 4/8 |" in to_markdown(read_results(folder))
