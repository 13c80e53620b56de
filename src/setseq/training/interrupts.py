"""Ctrl-C waits for the end of a step, so that the state is whole."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InterruptFlag:
    """Whether the user has asked to stop."""

    raised = False


_SAME_S = 2.0  # within which launchers of several processes pass a Ctrl-C on once more


@contextmanager
def interrupts_held(*, passed_on: bool = False) -> Iterator[InterruptFlag]:
    """Collect a first Ctrl-C in a flag; a second one stops at once, as Python does.

    Outside of the main thread, where no handler may be set, nothing changes.

    Args:
        passed_on: whether a launcher passes it on, to a process that has got it from the terminal
            already: then a second one that comes at once is the first one.
    """
    flag, since = InterruptFlag(), [0.0]
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def hold(number: int, frame: FrameType | None) -> None:
        if flag.raised and not (passed_on and time.monotonic() - since[0] < _SAME_S):
            signal.default_int_handler(number, frame)
        if not flag.raised:
            since[0] = time.monotonic()
        flag.raised = True

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
