import re
from pathlib import Path

import numpy as np
import pytest

from setseq.errors import OutputError
from setseq.evaluation.chart import draw_chart
from setseq.evaluation.report import Report, Shown, render_report, write_report


def _shown(title: str, prompt: str = "a [v] creature. it is [u].") -> Shown:
    frames = np.zeros((3, 16, 16, 3), np.uint8)
    frames[1:, 4:8] = 200
    return Shown(title=title, prompt=prompt, frames=frames)


def _report(**changes: object) -> Report:
    content = {
        "title": "dancer",
        "pairs": ((_shown("The clip"), _shown("Reconstruction")),),
        "edits": (_shown("At night"), _shown("In the snow")),
        "fps": 8.0,
        "losses": {"Set": {"concept": [1.0, 0.5, 0.25]}, "Sequence": {"concept": [0.4, 0.3]}},
        "facts": {"seed": "7"},
        "settings": {"learn": {"rank": 8}},
        "notes": ("resized from 20x20 to 16x16",),
    }
    return Report(**{**content, **changes})  # pyright: ignore[reportArgumentType]


def test_the_page_needs_nothing_but_itself():
    page = render_report(_report())
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 4
    assert all(source.startswith("data:video/mp4;base64,") for source in sources)
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_every_video_plays_by_itself_without_sound():
    tags = re.findall(r"<video [^>]*>", render_report(_report()))
    assert len(tags) == 4
    for tag in tags:
        for attribute in ("autoplay", "loop", "muted", "playsinline"):
            assert f" {attribute}" in tag


def test_texts_from_outside_are_escaped():
    evil = '<script>alert("x")</script> [v]'
    page = render_report(
        _report(
            title=evil,
            pairs=((_shown(evil, evil), _shown(evil)),),
            facts={evil: evil},
            settings={evil: {evil: evil}},
            losses={evil: {evil: [1.0], "prior": [2.0]}},
            notes=(evil,),
        )
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_tokens_stand_out_in_prompts():
    assert "a <b>[v]</b> creature. it is <b>[u]</b>." in render_report(_report())


def test_there_is_one_chart_for_each_stage_that_has_losses():
    page = render_report(_report(losses={"Set": {"concept": [1.0, 0.5]}, "Sequence": {}}))
    assert page.count("<svg") == 1


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path):
    path = write_report(tmp_path / "new" / "report.html", _report())
    assert path.read_text().endswith("</html>")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_report(tmp_path / "file" / "report.html", _report())


def test_a_chart_encloses_its_values_between_round_numbers():
    chart = draw_chart({"concept": [0.31, 0.12, 0.47]})
    assert [tick.label for tick in chart.y_ticks] == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    heights = [float(point.split(",")[1]) for point in chart.curves[0].raw.split()]
    assert all(chart.y_ticks[-1].at <= y <= chart.y_ticks[0].at for y in heights)


def test_the_parts_of_a_stage_are_curves_of_one_chart_with_a_legend():
    parts = {"all": [1.0, 0.5, 0.4], "concept": [0.9, 0.4, 0.3], "prior": [1.2, float("nan"), 0.9]}
    page = render_report(_report(losses={"Set": parts}))
    assert page.count("<svg") == 1
    assert page.count('<polyline class="smooth') == 3
    assert re.findall(r'class="key curve(\d)"></i>(\w+)', page) == [
        ("0", "all"),
        ("1", "concept"),
        ("2", "prior"),
    ]


def test_a_curve_leaves_out_the_steps_that_have_no_value():
    chart = draw_chart({"prior": [1.0, float("nan"), 0.5]}, smoothing=1)
    places = [point.split(",")[0] for point in chart.curves[0].smooth.split()]
    assert places == [str(float(tick.at)) for tick in chart.x_ticks]


@pytest.mark.parametrize("values", [[], [0.0], [2.5, 2.5], [float("nan")], [1e-9, 1e9]])
def test_a_chart_of_odd_values_is_still_a_chart(values: list[float]):
    chart = draw_chart({"concept": values})
    assert len(chart.y_ticks) >= 2
    assert "nan" not in chart.curves[0].raw
