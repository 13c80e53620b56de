"""``--gpus N``: the same command in N processes, one a GPU, by PyTorch's launcher."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from setseq.errors import SettingsError, TrainingError
from setseq.processes import CPU_SWITCH, SHARD_SWITCHES, launched_count

_STARTED = "SETSEQ_GPUS"  # set in the processes that were started here
_STEP_S = 600  # after a Ctrl-C, which is passed on to them, for the step that they are in


def missing(gpus: int | None, *, shard: bool) -> int:
    """How many processes must be started yet to run a command with these options.

    Args:
        gpus: how many, None where the user did not say.
        shard: whether the base is to be spread over them.

    Returns:
        The number, or 0 where this process can run it, alone or among those that there are.

    Raises:
        SettingsError: the options do not fit each other, or what has been started.
    """
    started = launched_count()
    if started > 1 or _STARTED in os.environ:
        if os.environ.get(_STARTED) != str(gpus) and (gpus is not None or shard):
            raise SettingsError(
                f"a launcher has started {started} processes already; leave --gpus and --shard"
                " out (accelerate has --num_processes and --use_fsdp --fsdp_version 2)"
            )
        return 0
    if shard and (gpus is None or gpus < 2):
        raise SettingsError("--shard spreads the base over several GPUs; give --gpus 2 or more")
    return 0 if gpus is None or gpus == 1 else gpus


def launch(gpus: int, arguments: Sequence[str], *, shard: bool) -> int:
    """Run ``setseq`` in processes of its own until all are done.

    Args:
        gpus: how many, at least 2.
        arguments: of the command line.
        shard: spread the base over them.

    Returns:
        The exit code: 0, or that of the process that failed first, which has said why.

    Raises:
        SettingsError: there are not that many GPUs.
        TrainingError: the system ended one, which could not say why.
    """
    on_cpu = os.environ.get(CPU_SWITCH, "").lower() in ("1", "true", "yes")
    _check_devices(gpus, on_cpu=on_cpu)
    os.environ[_STARTED] = str(gpus)
    os.environ.update(SHARD_SWITCHES if shard else {})
    threads = max(1, (os.cpu_count() or 1) // gpus)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    logging.disable(logging.CRITICAL)  # the processes say themselves what there is to say
    try:
        with tempfile.TemporaryDirectory() as logs:
            return _run([sys.executable, "-m", "setseq", *arguments], gpus, logs)
    finally:
        logging.disable(logging.NOTSET)


def _run(command: Sequence[str], count: int, logs: str) -> int:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="setseq",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=logs),
        shutdown_timeout=_STEP_S,
    )
    run: Any = elastic_launch(config, command[0])
    try:
        run(*command[1:])
    except SignalException as stop:  # passed on to them, who said where they stopped
        # Its frames hold a timer that must not be collected by its own thread.
        atexit.register(str, stop)
        return 1
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        if said := [code for code in codes if code > 0]:
            return said[0]
        raise TrainingError(
            f"the system ended a process by signal {-codes[0]}, as it does when memory runs out;"
            " the same command goes on from the last checkpoint"
        ) from None
    return 0


def _check_devices(gpus: int, *, on_cpu: bool) -> None:
    import torch

    if not on_cpu and (found := torch.cuda.device_count()) < gpus:
        raise SettingsError(
            f"--gpus {gpus}: this machine has {found} GPUs that PyTorch can use; give as many at"
            f" most, or set {CPU_SWITCH}=1 to learn in {gpus} processes on the CPU"
        )
