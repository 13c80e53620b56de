import json
import re
from dataclasses import replace
from pathlib import Path

from setseq.bench.folder import Folder
from setseq.bench.pages import render_gallery, render_report, write_pages
from setseq.bench.results import write_results
from tests.bench import made
from tests.bench.fake import method

KNOWN = {name: method(name, title) for name, title in made.METHODS.items()}


def _links(page: str) -> list[str]:
    return re.findall(r'(?:src|href|action|data|poster|srcset)\s*=\s*["\']?([^"\'\s>]+)', page)


def _folder(root: Path) -> Folder:
    folder = Folder(root)
    places = ["references/robot.mp4", "videos/plain/robot/own-0.mp4", "videos/full/robot/0-0.mp4"]
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()
    return folder


def test_no_page_asks_for_anything_from_outside(tmp_path: Path):
    folder = _folder(tmp_path)
    report = render_report(made.small(), KNOWN)
    gallery = render_gallery(made.small(), folder)
    assert _links(report) == ["gallery.html"]
    for link in _links(gallery):
        assert link == "report.html" or (folder.root / link).is_file()
    for page in (report, gallery):
        assert "<script" not in page
        assert "url(" not in page
        assert "@import" not in page
        assert "//" not in page.replace("https://arxiv", "")
        assert "default-src 'none'" in page


def test_the_gallery_has_every_method_side_by_side_and_says_what_is_not_there(tmp_path: Path):
    gallery = render_gallery(made.small(), _folder(tmp_path))
    videos = re.findall(r'<video src="([^"]+)" autoplay loop muted playsinline', gallery)
    assert videos == [
        "references/robot.mp4",
        "videos/plain/robot/own-0.mp4",
        "references/robot.mp4",
        "videos/full/robot/0-0.mp4",
    ]
    strips = gallery.count('<div class="strip">')
    assert strips == 2 * 2
    assert gallery.count("not made") == strips * 3 - len(videos)
    assert "a [v] hat" in gallery


def test_texts_from_outside_are_escaped(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    results = made.results(
        [("plain", evil, 0, 0, {"identity": 0.5, "clip_text": 0.2})],
        methods={"plain": evil},
        edits=[{"name": evil, "prompt": evil}],
        reference="plain",
    )
    parts = dict.fromkeys(("title", "original", "keeps", "changes", "source"), evil)
    card = replace(method("plain", evil), **parts)
    for page in (
        render_report(results, {"plain": card}),
        render_gallery(results, Folder(tmp_path)),
    ):
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_the_report_has_a_plot_with_error_bars_and_says_what_they_are():
    report = render_report(made.small(), KNOWN)
    assert report.count("<svg") == 1
    assert report.count('<line class="bar"') == 2 * 2
    assert "one standard deviation of the means of the 2 seeds" in report


def test_the_report_says_what_each_method_is():
    report = render_report(made.small(), KNOWN)
    for words in ("The original: what it was", "Kept: what stays", "Changed: what is new"):
        assert report.count(words) == 2


def test_a_quick_bench_is_said_to_be_no_result():
    results = made.results([("full", "robot", 0, 0, {"mse": 0.1})], quick=True)
    page = render_report(results, KNOWN)
    assert "a first look, no result" in page


def test_all_files_are_written_and_the_rows_are_readable(tmp_path: Path):
    folder = _folder(tmp_path)
    write_results(made.small(), folder)
    assert write_pages(made.small(), folder, KNOWN) == tmp_path / "report.html"
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "results.json",
        "tables.md",
        "report.html",
        "gallery.html",
    }
    rows = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert rows[1] == {
        "method": "plain",
        "concept": "robot",
        "edit": "a hat",
        "edit_index": 0,
        "seed": 0,
        "training_seed": 0,
        "device": "a card",
        "mse": 0.5,
        "judged_identity": 0.4,
        "judged_edit": 0.4,
    }
