import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from setseq.cli import app
from setseq.demo import SCENES, run_demo
from setseq.errors import Interrupted
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.prompts import placeholders
from setseq.video.io import read_clip
from tests.surface import error, make_base, run


@pytest.fixture(scope="module")
def tiny_base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> VideoModel:
    return load_model(tiny_base)


@pytest.fixture(scope="module")
def demo(base: VideoModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demo."""
    return run_demo(
        tmp_path_factory.mktemp("runs") / "demo", base=base, watch={"tracker": "none"}
    ).parent


def test_the_demo_leaves_concept_videos_sheet_and_report_and_nothing_else(demo: Path):
    videos = {"the-clip", "reconstruction"}
    videos |= {scene.title.lower().replace(" ", "-") for scene in SCENES}
    expected = {"concept.safetensors", "losses.jsonl", "sheet.png", "report.html"}
    assert {path.name for path in demo.iterdir()} == expected | {f"{v}.mp4" for v in videos}


def test_the_videos_of_the_demo_are_large_enough_to_look_at(demo: Path):
    clip = read_clip(demo / "at-night.mp4")
    assert clip.frames.shape == (5, 384, 384, 3)
    assert clip.fps == pytest.approx(8)


def test_the_report_of_the_demo_shows_every_video_and_both_stages(demo: Path):
    page = (demo / "report.html").read_text()
    assert page.count("<video ") == 2 + len(SCENES)
    assert page.count("<svg ") == 2
    assert re.search(r"<b>\[v\]</b> creature in a meadow", page)


def test_the_command_runs_the_demo_again_in_the_same_folder(demo: Path, tiny_base: Path):
    before = (demo / "concept.safetensors").read_bytes()
    result = CliRunner().invoke(app, ["demo", "--base", str(tiny_base), "-o", str(demo)])
    assert result.exit_code == 0, result.stderr
    assert f"open {demo / 'report.html'}" in result.stdout
    assert (demo / "concept.safetensors").read_bytes() == before


def test_the_demo_generates_by_its_sampling_settings(base: VideoModel, demo: Path, tmp_path: Path):
    run_demo(tmp_path, base=base, sampling={"num_steps": 1})
    assert "1 steps, guidance 5" in (tmp_path / "report.html").read_text()
    assert "2 steps, guidance 5" in (demo / "report.html").read_text()


def test_a_stopped_demo_goes_on_where_it_stopped(base: VideoModel, demo: Path, tmp_path: Path):
    seen: list[tuple[str, int]] = []

    def stop(name: str, done: int, total: int, note: str) -> None:
        if name == "Set" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        run_demo(tmp_path, base=base, on_progress=stop)
    run_demo(tmp_path, base=base, on_progress=lambda name, done, *_: seen.append((name, done)))
    assert seen[0] == ("Set", 3)
    whole = (demo / "concept.safetensors").read_bytes()
    assert (tmp_path / "concept.safetensors").read_bytes() == whole


def test_the_demo_shows_at_least_four_new_scenes_with_both_tokens():
    assert len(SCENES) >= 4
    assert all(placeholders(scene.prompt) == ["v1", "u1"] for scene in SCENES)


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path):
    file = tmp_path / "notes.txt"
    file.touch()
    assert "notes.txt: is a file; give the name of a folder" in error(run("demo", "--out", file))
