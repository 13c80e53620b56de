"""What docs/watching.md says works as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from tests.surface import make_base, make_clip, run

PAGE = Path(__file__).parents[2] / "docs" / "watching.md"


@pytest.fixture
def base(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "dancer.mp4")
    return make_base(tiny_folder, tmp_path / "tiny")


def _block(language: str) -> str:
    [block] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return block


def test_the_command_of_the_page_leaves_every_file_that_the_page_names(base: Path):
    command = shlex.split(_block("sh").replace("\\\n", " "))[1:]
    result = run(*command, "--base", base)
    assert result.exit_code == 0, result.stderr
    found = {path.name for path in Path("dancer.run").iterdir()}
    files = {"report.html", "the-clip.mp4", "reconstruction.mp4", "sheet.png", "losses.jsonl"}
    assert found >= files | {"previews", "tensorboard"}
    assert "open dancer.run/report.html" in result.stdout


def test_the_program_of_the_page_runs(base: Path):
    program = _block("python")
    assert '"dancer.mp4",' in program
    exec(program.replace('"dancer.mp4",', f'"dancer.mp4", base={str(base)!r},'), {})
    assert Path("dancer.run/report.html").exists()
