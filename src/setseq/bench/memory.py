"""The most memory that a piece of work takes, where the system can say it."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import torch

_SELF = Path("/proc/self")
_FORGET_PEAK = "5"  # of clear_refs, see proc(5)


class PeakMemory:
    """Most memory from its making to ``read``: of the GPU, or else of this whole process.

    Of a process it counts Python, the libraries, the base model and the encoders too, as the
    machine must hold them; it is known on Linux alone, where a peak can be forgotten.
    """

    def __init__(self, device: torch.device) -> None:
        """Forget the peak so far.

        Args:
            device: Where the work is done.
        """
        self._device = device
        self._is_known = self._forget()

    def read(self) -> int | None:
        """Bytes; None where the system does not say."""
        if not self._is_known:
            return None
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        for line in (_SELF / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None

    def _forget(self) -> bool:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return True
        try:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # what work before left lying would count otherwise
            (_SELF / "clear_refs").write_text(_FORGET_PEAK)
        except (OSError, AttributeError, TypeError):  # another system, or another C library
            return False
        return True
