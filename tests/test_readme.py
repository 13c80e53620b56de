import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from setseq import api
from setseq.cli import app
from tests.surface import LOOK, MOTION, make_base, make_clip

ROOT = Path(__file__).parents[1]
WITH_BASE = ("learn", "generate", "preflight", "edit", "restyle")


@pytest.fixture(scope="module")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "dancer.mp4")
    (tmp_path / "scenes.txt").write_text("a [v] character in the snow\n")
    return tmp_path


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_python_of_the_readme_runs(base: Path, here: Path):
    [program] = _blocks("python")
    assert '"toybox"' in program
    assert len(program.splitlines()) <= 10
    exec(program.replace('"toybox"', repr(str(base))), {})
    assert {path.name for path in here.iterdir()} >= {
        "dancer.safetensors",
        "scene-0.mp4",
        "scene-1.mp4",
    }


def test_the_commands_of_the_readme_run(base: Path, here: Path):
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("setseq ")]
    assert len(commands) == 8
    for command in commands:
        extra = ["--base", str(base)] if command[0] in WITH_BASE else []
        result = CliRunner().invoke(app, [*command, *extra])
        assert result.exit_code == 0, (command, result.output)
    assert {path.name for path in here.iterdir()} >= {
        "snow.mp4",
        "sheet.png",
        "edits",
        "styles.png",
        "lora.safetensors",
    }


def test_the_make_commands_of_the_readme_exist():
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    targets = [line.split()[1] for line in lines if line.startswith("make ")]
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["demo", "test"]
    assert all(f"\n{target}: " in makefile for target in targets)


def test_every_example_runs(base: Path, here: Path, monkeypatch: pytest.MonkeyPatch):
    concept = api.learn("dancer.mp4", look=LOOK, motion=MOTION, base=base)
    api.save_concept(concept, here / "concept.safetensors")
    arguments = {
        "new_scenes.py": ["dancer.mp4", "out"],
        "strengths.py": ["concept.safetensors", "strengths.png"],
    }
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == arguments.keys()
    for name, given in arguments.items():
        monkeypatch.setattr(sys, "argv", [name, *given, str(base)])
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    assert (here / "out" / "scene-3.mp4").exists()
    assert (here / "strengths.png").exists()
