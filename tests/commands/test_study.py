"""``setseq study``: its options, its files, its errors."""

from pathlib import Path

import pytest
from typer.main import get_command

from setseq.cli import app
from setseq.study.server import StudyServer
from tests.study.folders import held, make_bench
from tests.surface import error, run


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is stopped by Ctrl-C as soon as it serves."""

    def stop(_: StudyServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(StudyServer, "serve_forever", stop)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("serve", "allow-missing pairs port questions reference-method seed ties"),
        ("export", "out"),
    ],
)
def test_the_options_of_study_are_these(command: str, options: str):
    study = get_command(app).commands["study"]  # pyright: ignore[reportAttributeAccessIssue]
    flags = [flag for found in study.commands[command].params for flag in found.opts]
    assert sorted(flag[2:] for flag in flags if flag.startswith("--")) == options.split()
    assert run("study", command, "--help").exit_code == 0


@pytest.mark.usefixtures("stopped")
def test_serve_says_where_to_look_and_ends_well(tmp_path: Path):
    folder = make_bench(tmp_path / "bench")
    result = run("study", "serve", folder, "--questions", "motion, overall", "--seed", "4")
    assert result.exit_code == 0, result.output
    assert "12 of 24 pairs" in result.stdout
    assert "open http://127.0.0.1:" in result.stdout
    settings = held(folder).settings
    assert (settings.questions, settings.seed) == (("motion", "overall"), 4)


@pytest.mark.usefixtures("stopped")
def test_serve_says_what_is_missing_where_that_is_allowed(tmp_path: Path):
    folder = make_bench(tmp_path / "bench")
    (folder / "videos/lora-8/robot/1-0.mp4").unlink()
    assert "23 of 24 pairs remain" in error(run("study", "serve", folder))
    result = run("study", "serve", folder, "--allow-missing")
    assert "missing: 1; 23 pairs remain" in result.stdout


def test_export_writes_the_table_its_numbers_and_the_answers(tmp_path: Path):
    folder = make_bench(tmp_path / "bench")
    held(folder)
    result = run("study", "export", folder, "-o", tmp_path / "table.md")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "table.md").read_text() in result.stdout
    assert (tmp_path / "table.json").exists()
    assert (tmp_path / "table.csv").read_text().startswith("participant,position,")


@pytest.mark.parametrize("name", ["manifest.md", "results.md", "tables.md", "videos/lora-8/x.md"])
def test_export_overwrites_nothing_of_the_bench(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    folder = make_bench(tmp_path / "bench")
    held(folder)
    (folder / "results.json").write_text("{}")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "a place of the bench itself" in error(
        run("study", "export", folder, "-o", folder / name)
    )
    monkeypatch.chdir(folder)
    assert "a place of the bench itself" in error(run("study", "export", folder, "-o", name))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["serve", "export"])
def test_a_folder_that_is_no_bench_is_one_line(tmp_path: Path, command: str):
    assert "has no manifest.json" in error(run("study", command, tmp_path))
    assert "has no manifest.json" in error(run("study", command, tmp_path / "nowhere"))


def test_export_needs_a_study(tmp_path: Path):
    assert "has no study yet" in error(run("study", "export", make_bench(tmp_path)))
    assert not (tmp_path / "study.sqlite").exists()


def test_a_port_in_use_is_one_line(tmp_path: Path):
    folder = make_bench(tmp_path)
    with StudyServer(held(folder)) as server:
        assert "is in use" in error(
            run("study", "serve", folder, "--port", str(server.server_port))
        )


def test_one_method_alone_is_one_line(tmp_path: Path):
    folder = make_bench(tmp_path, methods=("set-and-sequence",))
    assert "nothing to compare" in error(run("study", "serve", folder))
