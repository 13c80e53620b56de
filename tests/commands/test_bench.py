"""``setseq bench`` as a user calls it."""

from pathlib import Path

import pytest

from setseq.bench import registry
from setseq.bench.example import bench_toml
from tests.bench import fake
from tests.surface import error, run


@pytest.fixture
def toml(base: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "installed", fake.methods)
    path = here / "bench.toml"
    path.write_text(bench_toml(fake.settings(base, Path("clip.mp4"))))
    return path


def test_a_bench_says_how_far_it_is_and_what_to_open(toml: Path, here: Path):
    result = run("bench", toml, "-o", "out", "--processes", "1", "--quick")
    assert result.exit_code == 0, result.output
    assert "quick: few methods" in result.stdout
    assert "left out: C-T" in result.stdout
    assert "square by set-and-sequence is learned: 2 of 2 learned, 3 of 6 shown" in result.stdout
    assert "open out/report.html" in result.stdout
    assert "a first look, no result" in (here / "out" / "report.html").read_text()
    again = run("bench", toml, "-o", "out", "--quick")
    assert again.exit_code == 0
    assert "is learned" not in again.stdout
    assert "was made with settings" in error(run("bench", toml, "-o", "out"))


def test_errors_are_one_line(toml: Path, here: Path):
    assert "no bench settings at none.toml" in error(run("bench", "none.toml"))
    toml.write_text(toml.read_text().replace('"lora-1"', '"dreamboot"'))
    assert "no method 'dreamboot'" in error(run("bench", toml, "-o", "out"))
    toml.write_text('reference = "nothing"\n')
    assert "reference 'nothing' is none of methods" in error(run("bench", toml, "-o", "out"))
    (here / "file").touch()
    toml.write_text("")
    assert run("bench", toml, "--processes", "0").exit_code == 2
