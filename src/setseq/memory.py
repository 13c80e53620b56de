"""How much memory something takes: measured, on whatever device it runs."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """What was measured, in bytes.

    Attributes:
        before: in use at the start.
        most: in use at most.
    """

    before: int
    most: int = 0

    @property
    def grown(self) -> int:
        """What came on top of what was there before."""
        return self.most - self.before


@contextmanager
def measured_peak(device: torch.device) -> Iterator[Peak]:
    """Measure the most memory in use during a block: of the GPU, or of this process.

    On a GPU that is what PyTorch's tensors take; its cache and the driver are not in it. Elsewhere
    than on a GPU of CUDA and on Linux, the most that this process ever had is all that is known.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        peak = Peak(before=torch.cuda.memory_allocated(device))
        yield peak
        peak.most = torch.cuda.max_memory_allocated(device)
        return
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # the highest mark falls to what is in use now
    peak = Peak(before=_status("VmRSS") if _STATUS.exists() else 0)
    yield peak
    peak.most = peak_bytes(device)


def peak_bytes(device: torch.device) -> int:
    """The most memory in use since the last mark, or since the start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(name: str) -> int:
    line = next(x for x in _STATUS.read_text().splitlines() if x.startswith(name + ":"))
    return int(line.split()[1]) * 1024
