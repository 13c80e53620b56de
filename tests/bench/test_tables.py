from dataclasses import replace

import pytest

from setseq.bench.metrics import PAPER
from setseq.bench.pages import markdown
from setseq.bench.scatter import scatters, spread_over_seeds
from setseq.bench.tables import Key, Table, comparison, summary, tables, to_markdown
from tests.bench import made


def _column(table: Table | None, heading: str) -> dict[str, str]:
    assert table is not None
    place = table.headings.index(heading)
    return {name: values[place].text for name, values in table.rows}


def test_means_are_over_all_cells_of_a_method():
    edits = summary(made.small(), "edits")
    assert _column(edits, "Identity, judged ↑") == {"Plain": "0.500", "Full": "0.700"}
    assert _column(edits, "Edit success, judged ↑") == {"Plain": "0.500", "Full": "0.500"}


def test_reconstruction_counts_under_the_own_prompt_alone():
    own = summary(made.small(), "own")
    assert own is not None
    assert own.headings == ("MSE ↓",)
    assert _column(own, "MSE ↓") == {"Plain": "0.0100", "Full": "0.0300"}


def test_learning_is_in_minutes_and_gibibytes():
    learning = summary(made.small(), "learning")
    assert _column(learning, "Minutes ↓") == {"Plain": "1.0", "Full": "2.5"}
    assert _column(learning, "Peak GiB ↓") == {"Plain": "1.00", "Full": "1.00"}


def test_times_are_of_the_device_that_learned_most():
    results = made.small()
    first, second = results.learnings
    other = replace(second, concept="bee", device="a processor")
    learning = summary(replace(results, learnings=(first, second, other)), "learning")
    assert learning is not None
    assert _column(learning, "Minutes ↓") == {"Plain": "1.0", "Full": "2.5"}
    assert "All on a card; left out are those on another: 1." in learning.about


def test_the_best_of_a_column_stands_out_whichever_way_is_better():
    page = markdown(made.small())
    assert "| Plain | **0.0100** [0.0100, 0.0100] |" in page
    assert "| Full | **0.700** [0.600, 0.800]" in page


def test_equal_means_are_both_the_best():
    edits = summary(made.small(), "edits")
    assert edits is not None
    place = edits.headings.index("Edit success, judged ↑")
    assert [values[place].is_best for _, values in edits.rows] == [True, True]


def test_a_lone_cell_has_no_interval():
    learning = summary(made.small(), "learning")
    assert learning is not None
    assert [values[0].note for _, values in learning.rows] == ["", ""]


def test_a_comparison_is_cell_by_cell_with_wins_and_losses():
    table = comparison(made.small(), "edits")
    assert table is not None
    assert table.title == "Edits: each method less Full"
    [(name, values)] = table.rows
    assert name == "Plain"
    by_heading = dict(zip(table.headings, values, strict=True))
    assert by_heading["Identity, judged ↑"].text == "-0.200"
    assert by_heading["Identity, judged ↑"].note == "[-0.200, -0.200]"
    assert by_heading["Identity, judged ↑"].count == "0 wins, 4 losses"
    assert by_heading["Edit success, judged ↑"].text == "+0.000"
    assert by_heading["Edit success, judged ↑"].note == "[-0.200, 0.200]"
    assert by_heading["Edit success, judged ↑"].count == "2 wins, 2 losses"


def test_only_cells_that_both_have_are_compared():
    cells = [
        ("plain", "robot", 0, 0, {"identity": 0.5}),
        ("plain", "bee", 0, 0, {"identity": 0.1}),
        ("full", "robot", 0, 0, {"identity": 0.7}),
        ("full", "bee", 0, 0, {"identity": None}),
    ]
    results = made.results([(m, c, e, s, dict(v)) for m, c, e, s, v in cells])
    table = comparison(results, "edits")
    assert table is not None
    assert table.rows[0][1][0].count == "0 wins, 1 losses"
    edits = summary(results, "edits")
    assert edits is not None
    assert edits.rows[1][1][0].count == "1 of 2"


def test_what_nothing_measured_is_no_column_and_never_a_zero():
    page = markdown(made.small()).split("## The paper's")[0]
    for title in ("C-T", "TC", "ID (face)", "Motion fidelity"):
        assert f"| {title}" not in page


def test_a_method_without_cells_is_not_measured():
    results = made.results([("full", "robot", 0, 0, {"identity": 0.5})])
    assert _column(summary(results, "edits"), "Identity ↑")["Plain"] == "not measured"
    table = comparison(results, "edits")
    assert table is not None
    assert table.rows[0][1][0].text == "no pairs"


def test_the_papers_numbers_stand_apart_and_are_said_to_be_of_other_data():
    [paper] = [table for table in tables(made.small()) if "paper" in table.title]
    assert "other data" in paper.title
    assert "never a number" in paper.about
    assert len(PAPER) == 8
    assert "| Set-and-Sequence | 0.0221 | 0.680 | 0.239 | 0.9972 |" in to_markdown(paper)


def test_the_page_says_which_concepts_were_for_choosing():
    page = markdown(made.small())
    assert "- for choosing settings: dancer" in page
    assert "- for the table: robot, bee" in page
    chosen = markdown(made.results([("full", "robot", 0, 0, {"mse": 0.1})], use="choosing"))
    assert "what stands here is no result" in chosen


def test_error_bars_are_the_deviation_of_the_seeds_means():
    values: dict[Key, float] = {
        ("robot", 0, 0, 0): 0.2,
        ("bee", 0, 0, 0): 0.4,
        ("robot", 0, 1, 0): 0.6,
        ("bee", 0, 1, 0): 0.8,
    }
    spread = spread_over_seeds(values)
    assert spread.mean == pytest.approx(0.5)
    assert spread.deviation == pytest.approx(0.4 / 2**0.5)


def test_one_seed_has_no_error_bar():
    assert spread_over_seeds({("robot", 0, 3, 0): 0.2, ("bee", 0, 3, 0): 0.8}).deviation == 0


def test_a_trade_off_has_a_mark_a_method_inside_of_its_axes():
    [plot] = scatters(made.small())
    assert (plot.y_title, plot.x_title) == ("Identity, judged", "Edit success, judged")
    assert [mark.name for mark in plot.marks] == ["Plain", "Full"]
    assert plot.has_bars
    for mark in plot.marks:
        assert plot.left <= mark.left <= mark.x <= mark.right <= plot.right
        assert plot.top <= mark.top <= mark.y <= mark.bottom <= plot.bottom
    plain, full = plot.marks
    assert full.y < plain.y
    assert full.x == plain.x
    assert full.right - full.left > plain.right - plain.left == 0


def test_labels_do_not_lie_on_each_other():
    cells = [
        (f"m{k}", "robot", 0, 0, {"identity": 0.5 + k / 1e4, "clip_text": 0.2}) for k in range(4)
    ]
    results = made.results(
        [(m, c, e, s, dict(v)) for m, c, e, s, v in cells],
        methods={f"m{k}": f"A method {k}" for k in range(4)},
        reference="m0",
    )
    [plot] = scatters(results)
    places = {(mark.label_x, mark.label_y) for mark in plot.marks}
    assert len(places) == 4
