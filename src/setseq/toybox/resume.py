"""Training states of the recipe on disk: tensors only, written beside and renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from setseq.outputs import write_bytes
from setseq.training.interrupts import interrupts_held

OnStep = Callable[[int, float], None]


def rate_at(step: int, steps: int, *, warmup: int, cooldown: float) -> float:
    """The learning rate's factor: a short rise, a plateau, a straight fall to nothing.

    Args:
        step: Steps taken so far.
        steps: Steps in all.
        warmup: Steps of the rise.
        cooldown: Share of all steps that the fall takes, (0, 1].

    Returns:
        The factor in [0, 1].
    """
    rise = min(1.0, (step + 1) / warmup)
    fall = min(1.0, (steps - step) / max(1.0, cooldown * steps))
    return rise * max(fall, 0.0)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Gives every parameter group of an optimizer the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def save_state(
    path: Path, step: int, tensors: Mapping[str, Tensor], optimizers: Mapping[str, Optimizer]
) -> None:
    """Writes tensors and optimizers as one safetensors file.

    Args:
        path: The file; it is replaced as a whole or not at all.
        step: How many steps were taken.
        tensors: Weights and averages by name; names must not start with an optimizer's name.
        optimizers: Optimizers by name.
    """
    content = dict(tensors)
    for label, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            content |= {f"{label}/{index}/{key}": value for key, value in state.items()}
    content = {name: tensor.detach().clone().contiguous() for name, tensor in content.items()}
    write_bytes(path, save(content, metadata={"step": str(step)}))


def load_state(path: Path, optimizers: Mapping[str, Optimizer]) -> tuple[int, dict[str, Tensor]]:
    """Reads what save_state wrote, filling the optimizers.

    Returns:
        The step, and the tensors by name without those of the optimizers.
    """
    with safe_open(path, "pt") as file:
        step = int((file.metadata() or {})["step"])
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for label, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for name in [name for name in tensors if name.startswith(f"{label}/")]:
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensors.pop(name)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    return step, tensors


class Resumable:
    """One network under AdamW, with everything that a resumed run needs.

    Every step of a run draws from ``generator(step)``, so a run that is stopped and resumed is the
    run that was never stopped.

    Attributes:
        step: Steps taken so far.
        device: Where the network is, and with it the run.
    """

    def __init__(self, network: torch.nn.Module, path: Path, *, steps: int, rate: float) -> None:
        """Starts or resumes a run.

        Args:
            network: What is trained; its weights are replaced where the file exists.
            path: The state's file.
            steps: Steps in all.
            rate: Highest learning rate.
        """
        self._network = network
        self._path = path
        self._steps = steps
        self._rate = rate
        self.device = next(network.parameters()).device
        self._learned = [p for p in network.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(self._learned, betas=(0.9, 0.98), weight_decay=0.01)
        self.step = 0
        if path.exists():
            self.step, tensors = load_state(path, {"adamw": self._optimizer})
            network.load_state_dict(tensors)

    def run(
        self,
        loss_at: Callable[[torch.Generator], Tensor],
        *,
        seed: int,
        on_step: OnStep,
        save_every: int = 250,
    ) -> None:
        """Takes all steps that are left.

        Args:
            loss_at: Draws a batch from a generator and gives its loss.
            seed: Of everything random.
            on_step: Called after each step with its number and loss.
            save_every: Steps between two saves.

        Raises:
            KeyboardInterrupt: The user stopped it; the state after the last step is saved.
        """
        with interrupts_held() as interrupt:
            while self.step < self._steps:
                generator = torch.Generator().manual_seed(seed * 1_000_003 + self.step)
                on_step(self.step + 1, self._advance(loss_at(generator)))
                self.step += 1
                is_due = self.step % save_every == 0 or self.step == self._steps
                if is_due or interrupt.raised:
                    tensors = self._network.state_dict()
                    save_state(self._path, self.step, tensors, {"adamw": self._optimizer})
                if interrupt.raised:
                    raise KeyboardInterrupt

    def _advance(self, loss: Tensor) -> float:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learned, 1.0)
        factor = rate_at(self.step, self._steps, warmup=50, cooldown=0.7)
        set_rate(self._optimizer, self._rate * factor)
        self._optimizer.step()
        return loss.item()
