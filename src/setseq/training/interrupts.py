"""Ctrl-C waits for the end of a step, so that the state is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InterruptFlag:
    """Whether the user has asked to stop."""

    raised = False


@contextmanager
def interrupts_held() -> Iterator[InterruptFlag]:
    """Collect a first Ctrl-C in a flag; a second one stops at once, as Python does.

    Outside of the main thread, where no handler may be set, nothing changes.
    """
    flag = InterruptFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def hold(number: int, frame: FrameType | None) -> None:
        if flag.raised:
            signal.default_int_handler(number, frame)
        flag.raised = True

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
