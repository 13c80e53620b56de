"""Grids of edits: what is planned, that each cell is what generate makes, and what is written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setseq import api
from setseq.concept import Concept
from setseq.editing import RESTYLE_STRENGTHS, plan_columns, plan_rows
from setseq.errors import PromptError, SettingsError
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.video.io import read_clip
from setseq.video.sheet import draw_grid
from tests.surface import LOOK, MOTION, make_base, make_clip


@pytest.fixture(scope="module")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> VideoModel:
    return load_model(make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture(scope="module")
def concept(base: VideoModel, tmp_path_factory: pytest.TempPathFactory) -> Concept:
    clip = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")
    return api.learn(clip, look=LOOK, motion=MOTION, base=base)


def test_each_cell_is_what_generate_makes(base: VideoModel, concept: Concept):
    grid = api.edit(
        concept, ["in a blue snow", "red"], identity=[0.5, "1.0 to 0.5"], seeds=3, base=base
    )
    assert [row.prompt for row in grid.rows] == [
        "a [v] character in a blue snow. it is [u] bouncing",
        "a [v] red character in the snow. it is [u] bouncing",
    ]
    assert [column.title for column in grid.columns] == [
        "identity 0.5, seed 3",
        "identity 1.0 to 0.5, seed 3",
    ]
    for row, cells in zip(grid.rows, grid.videos, strict=True):
        for strength, video in zip((0.5, "1.0 to 0.5"), cells, strict=True):
            [alone] = api.generate(concept, row.prompt, identity=strength, seed=3, base=base)
            assert np.array_equal(video, alone)


def test_restyle_is_an_edit_of_the_style_under_falling_strengths(
    base: VideoModel, concept: Concept
):
    grid = api.restyle(concept, "in the snow", base=base)
    assert [row.prompt for row in grid.rows] == [
        "a [v] character in the snow, in the snow. it is [u] bouncing"
    ]
    assert [column.settings["identity"] for column in grid.columns] == list(RESTYLE_STRENGTHS)
    assert len({video.tobytes() for video in grid.videos[0]}) == len(RESTYLE_STRENGTHS)


def test_steps_are_counted_over_all_cells(base: VideoModel, concept: Concept):
    seen: list[tuple[int, int]] = []
    api.edit(
        concept,
        ["red", "blue"],
        seeds=[0, 1],
        base=base,
        on_step=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 8) for done in range(1, 9)]  # two steps a cell


def test_the_learned_prompt_may_come_first(concept: Concept):
    rows = plan_rows(concept, ["red"], original=True)
    assert [row.edit for row in rows] == ["as learned", "red"]
    assert rows[0].prompt == "a [v] character in the snow. it is [u] bouncing"


@pytest.mark.parametrize(
    ("edits", "clip", "message"),
    [
        ([], 1, "there is no edit"),
        ([""], 1, "the edit is empty"),
        (["in the [w]"], 1, r"has \[w\], which this concept does not know"),
        (["a [v2] character"], 1, r"has \[v2\], which this concept does not know"),
        (["red"], 2, "no clip 2; the concept has 1 to 1"),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    concept: Concept, edits: list[str], clip: int, message: str
):
    with pytest.raises(PromptError, match=message):
        plan_rows(concept, edits, clip=clip)


def test_only_one_thing_differs_across():
    with pytest.raises(SettingsError, match="seed and motion have several values"):
        plan_columns(seeds=[1, 2], motion=[0.5, 1.0])
    with pytest.raises(SettingsError, match="setting identity is 'strong'"):
        plan_columns(identity=["0.5", "strong"])
    assert [column.settings for column in plan_columns()] == [{"seed": None}]
    assert [column.settings for column in plan_columns(motion="1.0 to 0")] == [
        {"motion": "1.0 to 0"}
    ]


def test_a_folder_gets_the_grid_every_clip_and_the_prompts(
    base: VideoModel, concept: Concept, tmp_path: Path
):
    grid = api.edit(concept, ["in a snow / red!", "blue"], seeds=[0, 1], base=base)
    files = api.save_grid(grid, tmp_path / "out")
    assert {path.name for path in files} == {
        "grid.png",
        "grid.mp4",
        "prompts.txt",
        "1-in-a-snow-red-seed-0.mp4",
        "1-in-a-snow-red-seed-1.mp4",
        "2-blue-seed-0.mp4",
        "2-blue-seed-1.mp4",
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in files}
    assert len(read_clip(tmp_path / "out" / "grid.mp4").frames) == 5
    lines = (tmp_path / "out" / "prompts.txt").read_text().splitlines()
    assert lines == [row.prompt for row in grid.rows]


def test_a_png_is_the_labelled_picture_alone(base: VideoModel, concept: Concept, tmp_path: Path):
    grid = api.edit(concept, "red", base=base)
    assert api.save_grid(grid, tmp_path / "grid.png") == [tmp_path / "grid.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width >= 3 * 128


def test_a_grid_has_each_video_in_its_row_and_column():
    cells = [
        [np.full((3, 32, 32, 3), 40 * row + 20 * column, np.uint8) for column in range(2)]
        for row in range(3)
    ]
    sheet = draw_grid(["a", "b", "c"], ["x", "y"], cells, frames=2, cell_height=32)
    found = [int(sheet[top, left, 0]) for top in _middles(sheet, 3) for left in (20, 20 + 84)]
    assert found == [0, 20, 40, 60, 80, 100]


def _middles(sheet: np.ndarray, rows: int) -> list[int]:
    """Lines through the middle of each row of cells, each of 32 lines, from below."""
    bottom = sheet.shape[0] - 8
    return [bottom - 16 - (32 + 20 + 8) * row for row in reversed(range(rows))]
