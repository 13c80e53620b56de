"""Learnings beside each other, one thread and one model a process; Ctrl-C ends at a whole step.

Light to import: a new process must be able to catch Ctrl-C before it loads torch.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any

from setseq.bench.folder import Folder
from setseq.bench.plan import Learning, Plan
from setseq.bench.settings import EncoderChoice
from setseq.errors import BenchError, Interrupted, SetSeqError

if TYPE_CHECKING:
    from setseq.bench.registry import Methods
    from setseq.bench.work import Bench, Tell

_LOOK_S = 0.5  # how often processes are looked after


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process needs to know; all of it can be sent there.

    Attributes:
        plan: What there is to do.
        folder: Where it goes.
        choice: The encoders, each by name or "none".
        methods: Gives what learns; a function of a module, called in the process.
        processes: How many there are.
    """

    plan: Plan
    folder: Folder
    choice: EncoderChoice
    methods: Callable[[], Methods]
    processes: int


@dataclass(frozen=True)
class Failed:
    """A learning that could not be done, and the one line that says why."""

    learning: Learning
    reason: str


@dataclass(frozen=True)
class _Crashed:
    """A mistake of ours in a process, with its traceback."""

    text: str


def in_processes(
    job: Job, learnings: Sequence[Learning], on_event: Tell, on_failed: Callable[[Failed], None]
) -> None:
    """Do learnings in ``job.processes`` new processes.

    Args:
        job: What they need.
        learnings: What to do, in this order.
        on_event: Called in this process with what is done.
        on_failed: Called with what cannot be done; the rest goes on.

    Raises:
        KeyboardInterrupt: Ctrl-C; the processes have ended, each at the end of a step.
        BenchError: The system ended a process.
        RuntimeError: A mistake of ours.
    """
    context = mp.get_context("spawn")
    tasks, events, stop = context.Queue(), context.Queue(), context.Event()
    for task in [*learnings, *[None] * job.processes]:
        tasks.put(task)
    # Started deaf to Ctrl-C, which would end them with a traceback while they load.
    with _deaf():
        workers = [
            context.Process(target=_work, args=(job, tasks, events, stop), daemon=True)
            for _ in range(job.processes)
        ]
        for worker in workers:
            worker.start()
    try:
        for event in _events(workers, events):
            if isinstance(event, _Crashed):
                raise RuntimeError(event.text)
            if isinstance(event, Failed):
                on_failed(event)
            else:
                on_event(event)
    except KeyboardInterrupt:
        _stop(workers, stop)
        raise
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()


def _events(workers: Sequence[SpawnProcess], events: Any) -> Iterator[Any]:
    """What the processes tell, until all have ended."""
    while True:
        ended = not any(worker.is_alive() for worker in workers)
        try:
            yield events.get(timeout=0 if ended else _LOOK_S)
            continue
        except queue.Empty:
            pass
        for code in (worker.exitcode or 0 for worker in workers):
            if code < 0:
                raise BenchError(
                    f"the system ended a process (signal {-code}), most likely for want of memory;"
                    " the same command with fewer --processes goes on"
                )
            if code > 0:
                raise RuntimeError("a process of the bench failed; its traceback is above")
        if ended:
            return


def _stop(workers: Sequence[SpawnProcess], stop: Any) -> None:
    """Lets every process finish its step; a second Ctrl-C ends them at once."""
    stop.set()
    for worker in workers:
        if worker.is_alive() and worker.pid is not None:
            os.kill(worker.pid, signal.SIGINT)
    for worker in workers:
        worker.join()


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Takes SIGTERM for Ctrl-C, so that `timeout` or a batch system loses no finished step."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as behind `nohup ... &`
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _deaf() -> Iterator[None]:
    """Ignores Ctrl-C; processes that are started inside ignore it too, until they say otherwise."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(job: Job, tasks: Any, events: Any, stop: Any) -> None:
    """What a process does."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C goes to the parent, which passes it on once
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _do_all(job, tasks, events, stop)
    except (KeyboardInterrupt, Interrupted):
        return
    except Exception:
        events.put(_Crashed(traceback.format_exc()))
        events.close()
        events.join_thread()
        sys.exit(1)


def _do_all(job: Job, tasks: Any, events: Any, stop: Any) -> None:
    from setseq.bench.eyes import one_thread
    from setseq.bench.work import open_bench

    with one_thread():
        bench = open_bench(job.plan, job.folder, job.choice, job.methods(), processes=job.processes)
        _do_each(bench, tasks, events, stop)


def _do_each(bench: Bench, tasks: Any, events: Any, stop: Any) -> None:
    def tell(event: Any) -> None:
        parent = mp.parent_process()
        if parent is not None and not parent.is_alive():
            sys.exit(1)  # no one is there any more
        if stop.is_set():  # it was asked while this process was loading, and deaf
            raise KeyboardInterrupt
        events.put(event)

    while not stop.is_set() and (task := tasks.get()) is not None:
        try:
            bench.do(task, tell)
        except Interrupted:
            raise
        except SetSeqError as error:
            events.put(Failed(task, str(error)))
