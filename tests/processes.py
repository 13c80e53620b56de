"""What one of two processes does in the tests of several processes: ``python -m tests.processes``.

Each job learns on the tiny base and leaves what came of it in a file of its own, or the message of
its error. All jobs run in the same two processes, for starting them takes longer than the jobs.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

from setseq import processes
from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.errors import OutputError, SetSeqError
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.terminal import fail
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip

ROOT = Path(__file__).parents[1]
SETTINGS = {
    "rank": 2,
    "set_steps": 3,
    "sequence_steps": 3,
    "set_batch": 5,  # uneven over two processes
    "sequence_batch": 3,
    "learning_rate": 1e-3,
    "precision": "fp32",
    "checkpoint_every": 0,
    "prior_count": 2,
    "prior_share": 0.4,
    "masked_encodings": 5,
}
EVERYTHING = {
    "identity_dropout": 0.8,
    "motion_dropout": 0.5,
    "prior": "videos",
    "token_masking": 0.3,
    "token_mode": "learned",
    "self_conditioning": 0.6,
    "temporal_difference": 1.0,
}
JOBS: dict[str, dict[str, Any]] = {
    "everything": EVERYTHING,
    "velocity prior": {"prior": "velocity", "self_conditioning": 0.6, "token_masking": 0.3},
    "accumulation": {"sequence_batch": 1, "accumulation": 2},
    "one sample a step": {"sequence_batch": 1},
}
STOPS = {"set": 2, "sequence": 1}


def clip(*, broken: bool = False) -> TrainingClip:
    """A clip of noise, of 16 x 16; broken, it has no finite values."""
    pixels = torch.rand(3, 5, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1
    prompt = concept_prompt("a red [v] character in the snow", "it is [u] bouncing")
    return TrainingClip(pixels=pixels.fill_(torch.nan) if broken else pixels, prompt=prompt)


def learned(
    base: Path,
    given: Mapping[str, Any],
    *,
    checkpoint: Path | None = None,
    stop_at: tuple[str, int] | None = None,
    broken: bool = False,
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Learns, and returns what was learned by name, and every loss that was reported."""
    losses = []

    def on_step(report) -> None:
        losses.extend([report.loss, report.gradient_norm, *report.losses.values()])
        if (report.stage, report.step) == stop_at:
            raise KeyboardInterrupt

    own = processes.this_process()
    concept = learn_concept(
        load_model(base, sharded=own.is_sharded),
        [clip(broken=broken)],
        LearnSettings.resolve(SETTINGS, given),
        checkpoint=checkpoint,
        on_step=on_step,
    )
    return tensors(concept), losses


def tensors(concept: Concept) -> dict[str, torch.Tensor]:
    found = {
        f"{part}/{name}": value
        for part in ("basis", "identity", "motion", "tokens")
        for name, value in getattr(concept, part).items()
    }
    if concept.self_conditioning is not None:
        found["projection"] = concept.self_conditioning
    return found


def run_both(base: Path, folder: Path, cache: Path, port: int) -> None:
    """Runs all jobs in two processes; what they leave is named by job and rank."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "SETSEQ_CACHE": str(cache),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        processes.CPU_SWITCH: "1",
    }
    command = [sys.executable, "-m", "tests.processes", str(base), str(folder)]
    command[1:1] = ["-W", "error::UserWarning:torch.distributed"]
    both = [
        subprocess.Popen(
            command,
            env=environment | {"RANK": rank, "LOCAL_RANK": rank},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    errors = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(errors)
    (folder / "errors.txt").write_text("".join(errors))


def _run_all(base: Path, folder: Path) -> None:
    rank = processes.this_process().rank
    for name, given in JOBS.items():
        _leave(folder / f"{name} {rank}", base, given)
    for stage, step in STOPS.items():
        # Only one of them is told to stop, and only one of them writes.
        checkpoint = folder / f"stopped by two {stage}"
        stop_at = (stage, step) if rank == 1 else None
        name = f"stopping {stage} {rank}"
        _leave(folder / name, base, EVERYTHING, checkpoint=checkpoint, stop_at=stop_at)
        checkpoint = folder / f"stopped by one {stage}"
        _leave(folder / f"resumed {stage} {rank}", base, EVERYTHING, checkpoint=checkpoint)
    _leave(folder / f"broken {rank}", base, {}, broken=True, checkpoint=folder / "broken")
    _leave(folder / f"different {rank}", base, {"seed": rank})
    os.environ.update(processes.SHARD_SWITCHES)
    processes._joined.cache_clear()
    for name in ("everything", "velocity prior"):
        _leave(folder / f"sharded {name} {rank}", base, JOBS[name])
    save_file(_shares(base), folder / f"shares {rank}.safetensors")
    _fail_alone(base, rank)


def _shares(base: Path) -> dict[str, torch.Tensor]:
    """Of each weight of a sharded network, this process's part."""
    network = load_model(base, sharded=True).denoiser
    return {
        name: (value.to_local() if isinstance(value, DTensor) else value).detach().contiguous()
        for name, value in network.named_parameters()
    }


def _fail_alone(base: Path, rank: int) -> None:
    """One process cannot write what it is to, while the other computes with it."""

    def on_step(report) -> None:
        if rank == 1 and report.step == 2:
            raise OutputError("losses.jsonl: cannot be written")

    try:
        learn_concept(load_model(base), [clip()], LearnSettings.resolve(SETTINGS), on_step=on_step)
    except SetSeqError as error:
        with pytest.raises(typer.Exit):
            fail(str(error))


def _leave(path: Path, base: Path, given: Mapping[str, Any], **options: Any) -> None:
    try:
        found, losses = learned(base, given, **options)
    except SetSeqError as error:
        path.with_suffix(".txt").write_text(f"{type(error).__name__}: {error}")
        return
    save_file(found | {"losses": torch.tensor(losses)}, path.with_suffix(".safetensors"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    _run_all(Path(sys.argv[1]), Path(sys.argv[2]))
