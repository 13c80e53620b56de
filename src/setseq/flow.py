"""The path, the velocity target and the timestep density, as pure functions.

Convention, for the whole package: t = 0 is data and t = 1 is noise, on the straight path
``x_t = (1 - t) * data + t * noise``, whose velocity is ``d x_t / d t = noise - data``.
"""

import torch
from torch import Tensor


def _per_sample(time: Tensor, like: Tensor) -> Tensor:
    return time.view(-1, *[1] * (like.ndim - 1))


def noised(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """The point x_t of the path. ``data`` and ``noise`` (b, ...), ``time`` (b,) in [0, 1]."""
    return torch.lerp(data, noise, _per_sample(time, data))


def velocity_target(data: Tensor, noise: Tensor) -> Tensor:
    """The path's velocity, what the network learns. Source: Eq. 1, arXiv:2502.14844."""
    return noise - data


def clean_estimate(point: Tensor, velocity: Tensor, time: Tensor) -> Tensor:
    """The data that a point x_t and its velocity imply: ``x_t - t * v``."""
    return point - _per_sample(time, point) * velocity


def shifted(time: Tensor, shift: float) -> Tensor:
    """Move times towards noise as flow-matching schedulers do: ``s t / (1 + (s - 1) t)``."""
    return shift * time / (1 + (shift - 1) * time)


def draw_times(
    count: int,
    *,
    shift: float,
    generator: torch.Generator,
    mean: float | Tensor = 0.0,
    std: float | Tensor = 1.0,
) -> Tensor:
    """Draw training times from a shifted logit-normal density, one from each of its quantile bins.

    Args:
        count: number of times, at least 1.
        shift: the base model's timestep shift, > 0; 1 is none.
        generator: the source of randomness.
        mean: mean of the normal under the logistic; or (count,), one of each.
        std: its standard deviation, > 0, likewise.

    Returns:
        (count,) in (0, 1), in no order. Each one alone has exactly the density.

    Source: our choice: stratified, because it lowers the variance of a batch's loss at no cost.
    """
    bins = torch.randperm(count, generator=generator)
    uniform = (bins + torch.rand(count, generator=generator, dtype=torch.float64)) / count
    normal = mean + std * torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
    return shifted(torch.sigmoid(normal), shift).float()
