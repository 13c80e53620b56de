"""Muon for many matrices of few shapes: matrices of one shape take their step together.

Source: torch.optim.Muon: its settings, its state and its arithmetic (tests/toybox/test_muon.py).
One by one, eighty small matrices took a fifth of a training step on a CPU.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class StackedMuon(torch.optim.Muon):
    """torch.optim.Muon as its defaults are, but for stacks of matrices at once."""

    def __init__(
        self, params: Iterable[nn.Parameter], *, lr: float, weight_decay: float, ns_steps: int
    ) -> None:
        """Steps matrices with Nesterov momentum and torch's original scale, its defaults."""
        super().__init__(params, lr=lr, weight_decay=weight_decay, ns_steps=ns_steps)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Takes one step with every matrix that has a gradient."""
        for group in self.param_groups:
            stacks: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    stacks[parameter.shape].append(parameter)
            for parameters in stacks.values():
                self._step_of(parameters, group)

    def _step_of(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        moments = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(moments, gradients, 1 - group["momentum"])  # pyright: ignore[reportPrivateImportUsage]
        aim = torch.stack(gradients).lerp_(torch.stack(moments), group["momentum"])
        turned = _orthogonal(aim, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = parameters[0].shape
        scale = math.sqrt(max(1, rows / columns))
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_add_(parameters, list(turned.float().unbind()), alpha=-group["lr"] * scale)  # pyright: ignore[reportPrivateImportUsage]


def _orthogonal(
    stack: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Matrices (n, a, b) with about the same singular vectors and singular values near 1."""
    first, second, third = coefficients
    is_tall = stack.shape[1] > stack.shape[2]
    x = (stack.mT if is_tall else stack).bfloat16()
    x = x / x.flatten(1).norm(dim=1).clamp(min=eps)[:, None, None]
    for _ in range(steps):
        gram = x @ x.mT
        change = torch.baddbmm(gram, gram, gram, beta=second, alpha=third)
        x = torch.baddbmm(x, change, x, beta=first)
    return x.mT if is_tall else x
