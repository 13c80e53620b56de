"""How alike a clip is to a reference, in who is seen and in how it moves, whatever the scenery.

``identity`` compares what the judge says of the character: its scores for shape, colour, pattern
and accessory, which it was trained to give in any place, light and style. It is blind to what the
grammar has no words for: the dancer and the bird, both partly blue, look alike to it.
``motion`` compares what changes from frame to frame at the same place and time; a still picture has
none. It is blind to the same movement elsewhere in the picture or started at another moment, and it
counts moving scenery, as rain.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.toybox.judge import Judge, heads
from setseq.toybox.shards import clip_pixels
from setseq.toybox.world import random_scene

_LOOK = ("left_shape", "left_color", "left_pattern", "left_accessory")
_ORDINARY_SEED = 450_000_000


def _look_scores(judge: Judge, clips: Tensor, changed: frozenset[str] = frozenset()) -> Tensor:
    """Log probabilities of the first character's looks, (n, answers)."""
    parts = judge(clips).split([len(values) for values in heads().values()], 1)
    looks = set(_LOOK) - changed
    chosen = [part for name, part in zip(heads(), parts, strict=True) if name in looks]
    return torch.cat([F.log_softmax(part.float(), 1).clamp_min(-8) for part in chosen], 1)


@functools.cache
def _ordinary(judge: Judge, changed: frozenset[str]) -> Tensor:
    """The mean look of random single characters, (1, answers)."""
    scenes = [random_scene(_ORDINARY_SEED + k, num_characters=1) for k in range(64)]
    with torch.no_grad():
        return _look_scores(judge, torch.stack([clip_pixels(s) for s in scenes]), changed).mean(
            0, True
        )


def identity_likeness(
    judge: Judge, reference: Tensor, clips: Tensor, *, changed: Collection[str] = ()
) -> Tensor:
    """Cosine of the judge's opinions of who is seen, less those of random characters.

    Args:
        judge: A trained judge.
        reference: (1, 3, f, h, w) in [-1, 1].
        clips: (n, 3, f, h, w) in [-1, 1].
        changed: Looks that the prompt itself changes, as "left_accessory": they are left out.

    Returns:
        (n,) in [-1, 1]; 1 for the very clip.
    """
    names = frozenset(changed)
    with torch.no_grad():
        usual = _ordinary(judge, names)
        wanted, found = (_look_scores(judge, x, names) - usual for x in (reference, clips))
    return torch.cosine_similarity(found, wanted)


def motion_likeness(reference: Tensor, clips: Tensor) -> Tensor:
    """Cosine of the changes from frame to frame, in brightness and colour.

    Args:
        reference: (1, 3, f, h, w) in [-1, 1].
        clips: (n, 3, f, h, w) in [-1, 1].

    Returns:
        (n,) in [-1, 1]; 1 for the very clip, 0 for a still picture.
    """
    wanted, found = (x.diff(dim=2).flatten(1) for x in (reference, clips))
    return torch.cosine_similarity(found, wanted)
