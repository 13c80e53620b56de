"""Two processes learn what one does at the same batch, stop together and speak once."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors.torch import load_file

from setseq.errors import Interrupted
from setseq.models.registry import load_model
from setseq.processes import Processes
from tests.processes import EVERYTHING, JOBS, STOPS, learned, run_both
from tests.surface import LOOK, MOTION, error, learn, make_base, make_clip

Found = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def work(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the base, what one process learned, and what two did."""
    folder = tmp_path_factory.mktemp("processes")
    base = make_base(tiny_folder, folder / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SETSEQ_CACHE", str(folder / "cache"))
        for stage, step in STOPS.items():
            checkpoint = folder / f"stopped by one {stage}"
            with pytest.raises(Interrupted):
                learned(base, EVERYTHING, checkpoint=checkpoint, stop_at=(stage, step))
    run_both(base, folder, folder / "cache", _free_port())
    return folder


@pytest.fixture
def base(work: Path) -> Path:
    return work / "base"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_clip(tmp_path / "clip.mp4").parent


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _alone(work: Path, name: str, checkpoint: Path | None = None) -> Found:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SETSEQ_CACHE", str(work / "cache"))
        found, losses = learned(work / "base", JOBS[name], checkpoint=checkpoint)
    return found | {"losses": torch.tensor(losses)}


def _both(work: Path, name: str) -> list[Found]:
    return [load_file(work / f"{name} {rank}.safetensors") for rank in (0, 1)]


def _assert_close(found: Found, expected: Found) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("name", ["everything", "velocity prior", "accumulation"])
def test_two_processes_learn_what_one_does_at_the_same_batch(work: Path, name: str):
    expected = _alone(work, name)
    for part in ("identity", "motion"):  # a hundred times the tolerance: a difference would show
        assert max(float(v.abs().max()) for k, v in expected.items() if k.startswith(part)) > 1e-3
    first, second = _both(work, name)
    assert all(torch.equal(first[key], second[key]) for key in expected)
    _assert_close(first, expected)


@pytest.mark.parametrize("name", ["everything", "velocity prior"])
def test_with_a_sharded_base_they_learn_the_same_too(work: Path, name: str):
    expected = _alone(work, name)
    for found in _both(work, f"sharded {name}"):
        _assert_close(found, expected)


def test_of_a_sharded_base_each_process_holds_half_of_the_blocks(work: Path):
    first, second = _both(work, "shares")
    whole = dict(load_model(work / "base").denoiser.named_parameters())
    assert first.keys() == second.keys() == whole.keys()
    for name, value in whole.items():
        parts = [first[name], second[name]]
        if name.startswith("blocks."):
            assert torch.equal(torch.cat(parts), value)
            assert parts[0].numel() < value.numel() or len(value) == 1
        else:
            assert all(torch.equal(part, value) for part in parts)


@pytest.mark.parametrize("stage", STOPS)
def test_what_one_process_began_two_finish_as_if_there_had_been_no_stop(work: Path, stage: str):
    expected = {k: v for k, v in _alone(work, "everything").items() if k != "losses"}
    for found in _both(work, f"resumed {stage}"):
        _assert_close({k: found[k] for k in expected}, expected)


@pytest.mark.parametrize("stage", STOPS)
def test_what_two_began_one_finishes_and_a_stop_of_one_stops_both(work: Path, stage: str):
    said = [(work / f"stopping {stage} {rank}.txt").read_text() for rank in (0, 1)]
    assert said[0] == said[1]
    assert f"stopped after step {STOPS[stage]} of 3 of the {stage} stage" in said[0]
    checkpoint = shutil.copy(work / f"stopped by two {stage}", work / f"{stage} to go on")
    expected = {k: v for k, v in _alone(work, "everything").items() if k != "losses"}
    found = _alone(work, "everything", checkpoint=Path(checkpoint))
    _assert_close({k: found[k] for k in expected}, expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "TrainingError: the loss is nan"),
        ("different", "not about to learn the same"),
        ("one sample a step", "set sequence_batch (or sequence_batch times accumulation) to 2"),
    ],
)
def test_what_stops_one_process_stops_both(work: Path, name: str, message: str):
    for rank in (0, 1):
        assert message in (work / f"{name} {rank}.txt").read_text()


def test_where_one_process_fails_both_end_with_its_one_message(work: Path):
    said = (work / "errors.txt").read_text()
    assert [line for line in said.splitlines() if line.startswith("setseq: ")] == [
        "setseq: losses.jsonl: cannot be written"
    ]


def test_samples_are_dealt_evenly_over_all_batches_of_a_step():
    three = [Processes(rank=rank, count=3) for rank in range(3)]
    batches = [(0, 4), (4, 1), (5, 2)]  # start, count
    dealt = [[start + place for start, n in batches for place in p.mine(start, n)] for p in three]
    assert sorted(place for own in dealt for place in own) == list(range(7))
    assert [len(own) for own in dealt] == [3, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--gpus", "2"], {}, "this machine has 0 GPUs"),
        (["--shard"], {}, "give --gpus 2 or more"),
        (["--shard", "--gpus", "1"], {}, "give --gpus 2 or more"),
        (["--gpus", "3"], {"RANK": "0", "WORLD_SIZE": "2"}, "leave --gpus and --shard out"),
        ([], {"RANK": "0", "WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true"}, "fsdp_version 2"),
    ],
)
def test_processes_that_cannot_be_are_one_line(
    here: Path,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    message: str,
):
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert message in error(learn(base, *arguments))


def test_a_ctrl_c_stops_all_that_gpus_started_and_the_state_is_whole(work: Path, tmp_path: Path):
    make_clip(tmp_path / "clip.mp4")
    settings = "[learn]\nset_steps = 1000000\nsequence_batch = 2\ncheckpoint_every = 1\n"
    (tmp_path / "settings.toml").write_text(settings)
    command = [sys.executable, "-m", "setseq", "learn", "clip.mp4", "--gpus", "2"]
    options = ["--look", LOOK, "--motion", MOTION, "--base", str(work / "base")]
    process = subprocess.Popen(
        [*command, *options, "--config", "settings.toml"],
        cwd=tmp_path,
        env=os.environ | {"ACCELERATE_USE_CPU": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoint, end = tmp_path / "concept.checkpoint", time.monotonic() + 300
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)  # the others have sessions of their own
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert output.count("5 of 5 frames used") == 1  # only the first one speaks
    assert errors.count("\n") == 1, errors
    assert "the same command goes on" in errors
    losses = (tmp_path / "concept.run" / "losses.jsonl").read_text().splitlines()
    with safetensors.safe_open(checkpoint, framework="pt") as file:
        assert json.loads(file.metadata()["about"])["step"] == len(losses)
