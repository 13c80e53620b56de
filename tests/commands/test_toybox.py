"""``setseq toybox``, as far as it ends before it trains or measures anything."""

from pathlib import Path

import pytest

from setseq.toybox import concepts, evaluate
from tests.surface import error, run


@pytest.mark.parametrize("command", [("evaluate",), ("concepts", "dancer")])
@pytest.mark.parametrize(
    ("option", "place", "expected"),
    [
        ("--table", "no/table.md", "there is no folder no"),
        ("--table", "table.png", "use .md"),
        ("--sheet", "no/sheet.png", "there is no folder no"),
        ("--sheet", "sheet.md", "use .png"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(
    command: tuple[str, ...],
    option: str,
    place: str,
    expected: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    def worked(*_: object, **__: object) -> None:
        raise RuntimeError("the work began")

    monkeypatch.setattr(evaluate, "evaluate_base", worked)
    monkeypatch.setattr(concepts, "learn_unseen", worked)
    assert expected in error(run("toybox", *command, option, place))


def test_a_start_that_is_no_base_is_one_line_and_begins_no_run(here: Path):
    for start in ("absent", "empty"):
        assert f"{start}: is no base" in error(run("toybox", "train", "--start", start))
    assert not (here / "runs").exists()
