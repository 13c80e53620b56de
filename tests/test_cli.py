"""The command line as a whole: its names, its options, its errors."""

import errno

import pytest
from typer.main import get_command

from setseq import api
from setseq.cli import app
from setseq.terminal import duration
from tests.surface import LOOK, MOTION, error, run


def test_the_commands_are_these():
    command = get_command(app)
    assert list(command.commands) == [  # pyright: ignore[reportAttributeAccessIssue]
        "learn",
        "generate",
        "edit",
        "restyle",
        "evaluate",
        "inspect",
        "preflight",
        "export",
        "import",
        "combine",
        "bench",
        "demo",
        "settings",
        "models",
        "toybox",
        "study",
    ]
    result = run("--help")
    assert result.exit_code == 0
    for name in (
        "learn",
        "generate",
        "edit",
        "restyle",
        "evaluate",
        "inspect",
        "preflight",
        "export",
        "import",
        "combine",
        "bench",
        "demo",
        "settings",
        "models",
        "toybox",
        "study",
    ):
        assert f" {name} " in result.stdout


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "learn",
            "base clip-model config fetch from gpus help look mask motion no-report no-resume out"
            " preset preview-every preview-prompt rank report resume seed select select-checks"
            " sequence-steps set-steps shard start tokens tracker",
        ),
        (
            "generate",
            "base config guidance help identity motion num-frames out preset prompts scale seed"
            " steps",
        ),
        (
            "edit",
            "base clip config dry-run help identity motion original out preset replace seeds",
        ),
        ("restyle", "base clip config dry-run help identity motion out preset seeds"),
        (
            "evaluate",
            "base clip clip-model config faces fetch help identity-model out points preset prompts"
            " seeds start",
        ),
        ("inspect", "help"),
        (
            "preflight",
            "base config help memory-gb num-frames preset rank sequence-steps set-steps start"
            " tokens",
        ),
        ("export", "for help identity motion out tokens"),
        ("import", "base help look motion out trigger"),
        ("combine", "help out weight"),
        ("bench", "fetch help out processes quick"),
        ("demo", "base config help out preset seed"),
        ("settings", "base config help markdown preset"),
        ("models", "help"),
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
    assert run(command, "--help").exit_code == 0


def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch):
    def large(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GB")

    monkeypatch.setattr(api, "inspect", large)
    assert "not enough memory" in error(run("inspect", "any"))


def test_our_own_mistakes_keep_their_traceback(monkeypatch: pytest.MonkeyPatch):
    def wrong(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(api, "inspect", wrong)
    assert isinstance(run("inspect", "any").exception, RuntimeError)


def test_a_reader_that_has_read_enough_is_no_error(monkeypatch: pytest.MonkeyPatch):
    def closed(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(api, "inspect", closed)
    assert run("inspect", "any").stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["learn", "clip.mp4"],
        ["learn", "clip.mp4", "--look", LOOK, "--motion", MOTION, "--seed", "one"],
        ["learn", "clip.mp4", "--look", LOOK, "--motion", MOTION, "--colour", "red"],
        ["generate", "concept.safetensors"],
        ["evaluate", "concept.safetensors", "--clip", "clip.mp4"],
        ["generate"],
        ["fly"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (4200, "1 h 10 min")],
)
def test_durations_read_like_speech(seconds: float, words: str):
    assert duration(seconds) == words


@pytest.mark.parametrize("command", ["learn", "generate", "edit", "combine", "import"])
def test_the_help_shows_the_tokens_as_a_user_writes_them(command: str):
    assert "[v" in run(command, "--help").output
