from typing import Any

import torch
from torch import nn

from setseq.toybox.muon import StackedMuon

SHAPES = [(8, 8), (16, 8), (8, 8), (8, 16), (16, 8)]


def _run(kind: Any, steps: int = 4) -> tuple[list[nn.Parameter], Any]:
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    optimizer = kind(parameters, lr=0.1, weight_decay=0.05, ns_steps=4)
    for _ in range(steps):
        for parameter in parameters[:-1]:  # the last one has no gradient
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return parameters, optimizer


def test_stacked_matrices_step_as_those_of_torch_one_by_one():
    (ours, stacked), (theirs, plain) = _run(StackedMuon), _run(torch.optim.Muon)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=5e-3, rtol=0)  # bfloat16 within the step
    for mine, other in zip(ours[:-1], theirs[:-1], strict=True):
        torch.testing.assert_close(
            stacked.state[mine]["momentum_buffer"], plain.state[other]["momentum_buffer"]
        )
