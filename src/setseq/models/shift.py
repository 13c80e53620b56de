"""Timestep shifts that follow the number of tokens, as diffusers' schedulers compute them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def log_shift(config: Mapping[str, Any], tokens: int) -> float:
    """The logarithm of the shift for a video of so many tokens, which diffusers calls mu.

    Args:
        config: a scheduler's configuration: ``base_shift`` belongs to ``base_image_seq_len``
            tokens and ``max_shift`` to ``max_image_seq_len``, with a line through both.
        tokens: of the video, at least 1.
    """
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return low + (tokens - few) * (high - low) / (many - few)


def shift_of(config: Mapping[str, Any], tokens: int) -> float:
    """The shift of a scheduler, fixed or for a video of so many tokens."""
    if config.get("use_dynamic_shifting"):
        return math.exp(log_shift(config, tokens))
    return float(config["shift"])


def shifted_sigmas(scheduler: Any, num_steps: int, tokens: int) -> Tensor:
    """A scheduler's sampling times for a video of so many tokens, (num_steps + 1,), from 1 to 0."""
    if num_steps == 1:  # diffusers divides by zero where a schedule is stretched to an end
        return torch.tensor([1.0, 0.0])
    even = np.linspace(1.0, 1 / num_steps, num_steps)
    dynamic = scheduler.config.get("use_dynamic_shifting")
    mu = log_shift(scheduler.config, tokens) if dynamic else None
    scheduler.set_timesteps(sigmas=even, mu=mu)
    return torch.as_tensor(scheduler.sigmas).clone()
