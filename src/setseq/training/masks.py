"""Moving loss masks: what of each frame is to be learned, as weights on latents."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def frame_weights(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Weights of a clip's frames, each a video of its own.

    Args:
        mask: (1, f, h, w) in [0, 1], 1 where to learn.
        size: the latents' (h', w').

    Returns:
        (f, 1, 1, h', w'), of mean 1 over all frames, so that the loss keeps its scale.
    """
    return _of_mean_one(_smaller(mask, size).transpose(0, 1).unsqueeze(2))


def clip_weights(mask: Tensor, size: Sequence[int], temporal_factor: int) -> Tensor:
    """Weights of a whole clip's latents.

    Args:
        mask: (1, f, h, w) in [0, 1], 1 where to learn.
        size: the latents' (f', h', w'): what they have beyond the clip's own are copies of the
            first, in front.
        temporal_factor: frames of each latent frame but the first, which holds one.

    Returns:
        (1, 1, f', h', w'), of mean 1. A latent frame weighs what any of its frames shows, at the
        area's mean: what moves through it is seen for a part of its time only.
    """
    small = _smaller(mask, size[1:])
    frames = [small[:, :1]]
    if small.shape[1] > 1:
        frames.append(small[:, 1:].unflatten(1, (-1, temporal_factor)).amax(dim=2))
    copies = size[0] - sum(part.shape[1] for part in frames)
    frames = [small[:, :1]] * copies + frames
    return _of_mean_one(torch.cat(frames, dim=1).unsqueeze(0))


def _smaller(mask: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(mask, size=tuple(size), mode="area")


def _of_mean_one(weights: Tensor) -> Tensor:
    return weights / weights.mean()
