import queue
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from setseq.bench import processes
from setseq.errors import BenchError


def _worker(exitcode: int | None) -> Any:
    return SimpleNamespace(exitcode=exitcode, is_alive=lambda: exitcode is None)


def _told(*events: object) -> Any:
    found: queue.Queue[object] = queue.Queue()
    for event in events:
        found.put(event)
    return found


def test_all_that_was_told_is_heard_before_the_end():
    workers = [_worker(0), _worker(0)]
    assert list(processes._events(workers, _told("first", "last"))) == ["first", "last"]


def test_a_process_that_the_system_ends_is_an_error_with_a_way_out():
    with pytest.raises(BenchError, match=r"signal 9.* fewer --processes"):
        list(processes._events([_worker(None), _worker(-9)], _told()))


def test_a_process_that_fails_is_never_taken_for_one_that_is_done():
    with pytest.raises(RuntimeError, match="a process of the bench failed"):
        list(processes._events([_worker(0), _worker(1)], _told()))


@pytest.mark.parametrize("interrupt", [signal.SIG_IGN, signal.default_int_handler])
def test_a_polite_end_is_heard_even_where_the_shell_made_us_deaf_to_ctrl_c(interrupt: Any):
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), processes.ended_as_by_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)
