import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from setseq import api
from setseq.cli import app
from setseq.terminal import Bars, duration
from setseq.video.io import read_clip
from tests.surface import LOOK, MOTION, SCENE, make_base, make_clip
from tests.tiny import save_tiny_pipeline


@pytest.fixture(scope="module")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def learned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    concept = api.learn(make_clip(folder / "clip.mp4"), look=LOOK, motion=MOTION, base=base)
    api.save_concept(concept, folder / "concept.safetensors")
    return folder / "concept.safetensors"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a good clip and several bad things in it."""
    monkeypatch.chdir(tmp_path)
    clip = make_clip(tmp_path / "clip.mp4").read_bytes()
    make_clip(tmp_path / "short.mp4", num_frames=2)
    (tmp_path / "cut.mp4").write_bytes(clip[: len(clip) // 2])
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "notes.txt").write_text("this is no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xff")
    return tmp_path


def _run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def _learn(base: Path, *args: str | Path, clip: str = "clip.mp4") -> Result:
    return _run("learn", clip, "--look", LOOK, "--motion", MOTION, "--base", base, *args)


def _error(result: Result) -> str:
    """The one line of a user's error."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("setseq: ")
    return result.stderr


def test_the_commands_are_these():
    command = get_command(app)
    assert list(command.commands) == [  # pyright: ignore[reportAttributeAccessIssue]
        "learn",
        "generate",
        "inspect",
        "preflight",
        "export",
        "demo",
        "toybox",
    ]
    result = _run("--help")
    assert result.exit_code == 0
    for name in ("learn", "generate", "inspect", "preflight", "export", "demo", "toybox"):
        assert f" {name} " in result.stdout


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "learn",
            "base help look motion no-resume out rank resume seed sequence-steps set-steps settings"
            " start tokens",
        ),
        (
            "generate",
            "base guidance help identity motion num-frames out prompts scale seed settings steps",
        ),
        ("inspect", "help"),
        ("preflight", "base help settings start"),
        ("export", "help identity motion out without-tokens"),
        ("demo", "base help out seed settings"),
    ],
)
def test_the_options_are_these(command: str, options: str):
    found = get_command(app).commands[command]  # pyright: ignore[reportAttributeAccessIssue]
    names = {"help"}
    for parameter in found.params:
        if parameter.param_type_name == "option":
            names |= {
                flag.removeprefix("--")
                for flag in (*parameter.opts, *parameter.secondary_opts)
                if flag.startswith("--")
            }
    assert sorted(names) == options.split()
    assert _run(command, "--help").exit_code == 0


def test_a_clip_becomes_a_concept_and_the_concept_videos(base: Path, here: Path):
    result = _learn(base, "-o", "concept.safetensors")
    assert result.exit_code == 0, result.stderr
    assert "5 of 5 frames used" in result.stdout
    assert "Sequence: 3 of 3 loss" in result.stdout
    assert not (here / "concept.checkpoint").exists()
    result = _run("generate", "concept.safetensors", SCENE, "--base", base, "-o", "out.mp4")
    assert result.exit_code == 0, result.stderr
    assert read_clip("out.mp4").frames.shape == (5, 32, 32, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_several_prompts_make_numbered_videos(base: Path, learned: Path, here: Path, suffix: str):
    (here / "more.txt").write_text(f"{SCENE}\n\n{LOOK}\n")
    options = ("--prompts", "more.txt", "--base", base, "-o", f"out{suffix}", "--scale", 2)
    result = _run("generate", learned, SCENE, *map(str, options))
    assert result.exit_code == 0, result.stderr
    for number in (1, 2, 3):
        assert read_clip(f"out-{number}{suffix}").frames.shape == (5, 64, 64, 3)


def test_several_prompts_make_one_contact_sheet(base: Path, learned: Path, here: Path):
    result = _run("generate", learned, SCENE, LOOK, "--base", base, "-o", "sheet.png")
    assert result.exit_code == 0, result.stderr
    assert (here / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_strengths_change_the_video(base: Path, learned: Path, here: Path):
    for name, strength in (("full", "1"), ("none", "0")):
        _run(
            "generate", learned, SCENE, "--identity", strength, "--base", base, "-o", f"{name}.gif"
        )
    assert (here / "full.gif").read_bytes() != (here / "none.gif").read_bytes()


def test_generate_takes_the_settings_file_and_options_win_over_it(
    base: Path, learned: Path, here: Path
):
    (here / "s.toml").write_text("[generate]\nidentity = 0.0\nseed = 4\nnum_steps = 1\n")

    def video(*options: str) -> bytes:
        result = _run("generate", learned, SCENE, "--base", base, "-o", "out.gif", *options)
        assert result.exit_code == 0, result.stderr
        return (here / "out.gif").read_bytes()

    file = ("--settings", "s.toml")
    assert video(*file) == video("--identity", "0", "--seed", "4", "--steps", "1") != video()
    all_three = ("--identity", "1", "--seed", "0", "--steps", "2")
    assert video(*file, *all_three) == video()


def test_inspect_shows_the_prompts(learned: Path):
    result = _run("inspect", learned)
    assert result.exit_code == 0
    assert "a [v1] character in the snow" in result.stdout


def test_preflight_shows_time_memory_and_a_warning(base: Path, here: Path):
    result = _run("preflight", "clip.mp4", "--base", base)
    assert result.exit_code == 0, result.stderr
    for part in ("5 frames of 32x32", "to learn", "GiB", "dB PSNR", "WARNING"):
        assert part in result.stdout


def test_options_win_over_the_settings_file_and_that_over_the_base(base: Path, here: Path):
    (here / "s.toml").write_text("[learn]\nrank = 3\nset_steps = 1\nseed = 9\n")
    result = _learn(base, "--settings", "s.toml", "--set-steps", "2")
    assert result.exit_code == 0, result.stderr
    settings = api.load_concept("concept.safetensors").provenance.settings
    found = [settings[name] for name in ("rank", "set_steps", "sequence_steps", "seed")]
    assert found == [3, 2, 3, 9]


def test_export_writes_a_plain_lora(learned: Path, here: Path):
    assert _run("export", learned, "-o", "lora.safetensors").exit_code == 0
    assert (here / "lora.safetensors").exists()


def test_export_can_leave_learned_tokens_out(base: Path, here: Path):
    _learn(base, "--tokens", "learned", "-o", "concept.safetensors")
    export = ("export", "concept.safetensors", "-o", "lora.safetensors")
    assert "--without-tokens" in _error(_run(*export))
    assert _run(*export, "--without-tokens").exit_code == 0
    assert (here / "lora.safetensors").exists()


LEARN_ERRORS: dict[str, tuple[Callable[[Path], list[str | Path]], str]] = {
    "missing file": (lambda base: ["absent.mp4"], "no such file"),
    "not a video by name": (lambda base: ["notes.txt"], "allowed: .mp4"),
    "not a video inside": (lambda base: ["text.mp4"], "not a readable video"),
    "corrupt video": (lambda base: ["cut.mp4"], "convert it"),
    "folder without images": (lambda base: ["empty"], "empty"),
    "clip too short": (lambda base: ["short.mp4"], "too short"),
    "empty look": (lambda base: ["clip.mp4", "--look", " "], "[v]"),
    "look without [v]": (lambda base: ["clip.mp4", "--look", "a character"], "lacks [v]"),
    "motion without [u]": (lambda base: ["clip.mp4", "--motion", "it moves"], "lacks [u]"),
    "missing base": (lambda base: ["clip.mp4", "--base", "absent"], "no base model"),
    "wrong base": (lambda base: ["clip.mp4", "--base", "empty"], "model_index.json"),
    "rank out of range": (lambda base: ["clip.mp4", "--rank", "0"], "rank"),
    "missing settings": (lambda base: ["clip.mp4", "--settings", "absent.toml"], "settings file"),
    "broken settings": (lambda base: ["clip.mp4", "--settings", "notes.txt"], "TOML"),
    "output of another kind": (lambda base: ["clip.mp4", "-o", "out.mp4"], ".safetensors"),
    "output without folder": (lambda base: ["clip.mp4", "-o", "no/out.safetensors"], "no folder"),
    "output in a file": (lambda base: ["clip.mp4", "-o", "text.mp4/o.safetensors"], "no folder"),
}


@pytest.mark.parametrize("case", LEARN_ERRORS)
def test_what_learn_cannot_use_is_one_line(case: str, base: Path, here: Path):
    arguments, expected = LEARN_ERRORS[case]
    given = ["--look", LOOK, "--motion", MOTION, "--base", base]
    assert expected in _error(_run("learn", *given, *arguments(base)))


GENERATE_ERRORS: dict[str, tuple[list[str], str]] = {
    "empty prompt": ([""], "the prompt is empty"),
    "prompt without token": (["a red character"], "no concept token"),
    "unknown token": (["a [w] character"], "[w]"),
    "missing prompts file": (["--prompts", "absent.txt"], "absent.txt"),
    "empty prompts file": (["--prompts", "empty.txt"], "no prompt"),
    "prompts file of bytes": (["--prompts", "binary.txt"], "UTF-8"),
    "guidance out of range": ([SCENE, "--guidance", "0.5"], "guidance"),
    "unknown setting": ([SCENE, "--settings", "s.toml"], "unknown setting 'colour'"),
    "impossible length": ([SCENE, "--num-frames", "4"], "4 frames"),
    "output of another kind": ([SCENE, "-o", "out.avi"], ".mp4 or .webm"),
    "output that is a folder": ([SCENE, "-o", "empty.mp4"], "is a folder"),
    "missing base": ([SCENE, "--base", "absent"], "no base model"),
}


@pytest.mark.parametrize("case", GENERATE_ERRORS)
def test_what_generate_cannot_use_is_one_line(case: str, base: Path, learned: Path, here: Path):
    (here / "empty.mp4").mkdir()
    (here / "s.toml").write_text("[generate]\ncolour = 1\n")
    arguments, expected = GENERATE_ERRORS[case]
    assert expected in _error(_run("generate", learned, "--base", base, *arguments))


def test_the_wrong_base_is_one_line(learned: Path, here: Path):
    other = make_base(save_tiny_pipeline(here / "other", seed=1), here / "tiny")
    assert "with weights" in _error(_run("generate", learned, SCENE, "--base", other))
    assert "--base" in _error(_run("generate", learned, SCENE))


@pytest.mark.parametrize("command", ["generate", "inspect", "export"])
def test_a_bad_concept_file_is_one_line(command: str, learned: Path, here: Path):
    content = learned.read_bytes()
    (here / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (here / "text.safetensors").write_text("this is no concept")
    _run("export", learned, "-o", "lora.safetensors")
    prompt = [SCENE] if command == "generate" else []
    for name in ("absent", "cut", "text", "lora"):
        assert f"{name}.safetensors" in _error(_run(command, f"{name}.safetensors", *prompt))


def test_export_does_not_replace_the_concept_itself(learned: Path):
    before = learned.read_bytes()
    assert "itself" in _error(_run("export", learned, "-o", learned))
    assert learned.read_bytes() == before


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    base: Path, learned: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(here.iterdir())
    monkeypatch.setattr("os.fsync", full)
    assert "No space left" in _error(_learn(base))
    assert "No space left" in _error(_run("generate", learned, SCENE, "--base", base))
    monkeypatch.setattr("setseq.cli.check_output", full)
    assert "disk is full" in _error(_learn(base))
    assert sorted(here.iterdir()) == before


def test_too_little_memory_is_one_line(here: Path, monkeypatch: pytest.MonkeyPatch):
    def large(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GB")

    monkeypatch.setattr(api, "inspect", large)
    assert "not enough memory" in _error(_run("inspect", "any"))


def test_our_own_mistakes_keep_their_traceback(monkeypatch: pytest.MonkeyPatch):
    def wrong(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(api, "inspect", wrong)
    assert isinstance(_run("inspect", "any").exception, RuntimeError)


@pytest.mark.parametrize(
    "arguments",
    [
        ["learn", "clip.mp4"],
        ["learn", "clip.mp4", "--look", LOOK, "--motion", MOTION, "--seed", "one"],
        ["learn", "clip.mp4", "--look", LOOK, "--motion", MOTION, "--colour", "red"],
        ["generate", "concept.safetensors"],
        ["generate"],
        ["fly"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]):
    assert _run(*arguments).exit_code == 2


def test_ctrl_c_keeps_the_state_and_the_same_command_goes_on_to_the_same_result(
    base: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    _learn(base, "-o", "whole.safetensors")
    show = Bars.step

    def stop(self: Bars, name: str, done: int, total: int, note: str = "") -> None:
        if (name, done) == ("Sequence", 2):
            raise KeyboardInterrupt
        show(self, name, done, total, note)

    with monkeypatch.context() as patched:
        patched.setattr(Bars, "step", stop)
        message = _error(_learn(base, "-o", "broken.safetensors"))
    assert "stopped after step 2 of 3 of the sequence stage" in message
    assert "the same command goes on" in message
    assert (here / "broken.checkpoint").exists()
    assert not (here / "broken.safetensors").exists()
    result = _learn(base, "-o", "broken.safetensors")
    assert "going on from broken.checkpoint" in result.stdout
    assert "Set:" not in result.stdout
    assert (here / "broken.safetensors").read_bytes() == (here / "whole.safetensors").read_bytes()
    assert not (here / "broken.checkpoint").exists()


def test_no_resume_starts_anew(base: Path, here: Path):
    (here / "concept.checkpoint").write_text("a state of something else")
    assert "concept.checkpoint is damaged" in _error(_learn(base))
    result = _learn(base, "--no-resume")
    assert result.exit_code == 0, result.stderr
    assert "Set: 3 of 3" in result.stdout


def test_a_real_ctrl_c_ends_in_one_line(base: Path, here: Path):
    command = [sys.executable, "-c", "from setseq.cli import main; main()", "learn", "clip.mp4"]
    options = ["--look", LOOK, "--motion", MOTION, "--base", str(base), "--set-steps", "1000000"]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    _wait_for(here / "concept.checkpoint", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "the same command goes on" in errors


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (4200, "1 h 10 min")],
)
def test_durations_read_like_speech(seconds: float, words: str):
    assert duration(seconds) == words
