import sys

import pytest
import torch

from setseq.bench.memory import PeakMemory

MB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="a peak is known on Linux alone")
def test_a_peak_counts_what_was_freed_and_forgets_what_was_before():
    big = torch.ones(200 * MB, dtype=torch.uint8)
    del big
    memory = PeakMemory(torch.device("cpu"))
    before = memory.read()
    assert before is not None
    middle = torch.ones(100 * MB, dtype=torch.uint8)
    del middle
    after = memory.read()
    assert after is not None
    assert 90 * MB < after - before < 150 * MB
