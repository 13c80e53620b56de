"""Where the subject of a clip is: by its difference from a still background, or by rembg."""

from __future__ import annotations

import importlib
import importlib.util

import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.errors import ClipError
from setseq.video.views import to_frames

# Differences in [-1, 1] units: below the first is noise of a video codec, above the second subject.
_NOISE, _SUBJECT = 0.09, 0.28
_PLAIN = 0.15  # largest difference, in the same units, between places of the same colour
_FEWEST, _MOST = 0.002, 0.5  # shares of the picture that a subject can plausibly be


def difference_matte(pixels: Tensor, *, is_filled: bool = True) -> Tensor:
    """Where a clip differs from its still background.

    The background is the median over time of each pixel. Where the subject stands at one place for
    most of the clip, the median shows it instead; so where things move between still places of the
    same colour in a row of the picture, that colour is taken. Before a background with much in it,
    such a clip needs a mask, or rembg.

    Args:
        pixels: (3, f, h, w) in [-1, 1].
        is_filled: Whether what the subject encloses belongs to it.

    Returns:
        (1, f, h, w) in [0, 1].
    """
    background = pixels.median(dim=1, keepdim=True).values
    still = (_change(pixels, background) == 0).all(1, keepdim=True)
    across, gap = _bridged(background, still)
    matte = _change(pixels, torch.where(~still & (gap < _PLAIN), across, background))
    return torch.maximum(matte, _enclosed(matte)) if is_filled else matte


def checked_matte(pixels: Tensor, name: str) -> Tensor:
    """``difference_matte``, refused where it cannot be a subject's.

    Args:
        pixels: (3, f, h, w) in [-1, 1].
        name: Of the clip, for the error.

    Raises:
        ClipError: Nothing moves, or nearly everything does.
    """
    matte = difference_matte(pixels)
    share = float(matte.mean())
    if not _FEWEST <= share <= _MOST:
        found = "nothing moves" if share < _FEWEST else f"{share:.0%} of the picture moves"
        raise ClipError(
            f"{name}: its background cannot be removed by difference, {found}; give the clip a"
            " mask, use background = 'rembg', or keep the background"
        )
    return matte


def check_rembg() -> None:
    """Make sure that ``rembg_matte`` can work.

    Raises:
        ClipError: rembg is not installed.
    """
    if importlib.util.find_spec("rembg") is None:
        raise ClipError(
            "removing backgrounds with rembg needs the package: pip install 'rembg[cpu]'; or use"
            " background = 'difference' for still backgrounds"
        )


def rembg_matte(pixels: Tensor) -> Tensor:
    """Where the subject is in each frame, by the segmentation model of the rembg package.

    Args:
        pixels: (3, f, h, w) in [-1, 1].

    Returns:
        (1, f, h, w) in [0, 1].

    Raises:
        ClipError: rembg is not installed.
    """
    check_rembg()
    rembg = importlib.import_module("rembg")
    session = rembg.new_session()
    masks = [
        torch.from_numpy(rembg.remove(frame, session=session, only_mask=True).copy())
        for frame in to_frames(pixels)
    ]
    return (torch.stack(masks).float() / 255)[None].to(pixels.device)


def still_background(pixels: Tensor, mask: Tensor) -> Tensor:
    """A clip's background without its subject, (3, 1, h, w).

    Each pixel is the mean over the frames that show it; where none does, it blends what its row
    shows left and right of it.

    Args:
        pixels: (3, f, h, w) in [-1, 1].
        mask: (1, f, h, w) in [0, 1], where the subject is.
    """
    seen = F.max_pool2d(mask.transpose(0, 1), 3, 1, 1).transpose(0, 1) < 0.05
    mean = (pixels * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp_min(1)
    known = seen.any(1, keepdim=True)
    return torch.where(known, mean, _bridged(mean, known)[0])


def _change(pixels: Tensor, background: Tensor) -> Tensor:
    """How surely each pixel is none of the background's, (1, f, h, w) in [0, 1]."""
    change = (pixels - background).abs().amax(0, keepdim=True)
    return ((change - _NOISE) / (_SUBJECT - _NOISE)).clamp(0, 1)


def _bridged(picture: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """A picture (3, 1, h, w) whose unknown pixels blend the nearest known ones of their row.

    Returns:
        That picture, and how much the two blended ones differ, (1, 1, h, w); both are 0 in a row
        without any known pixel, beside an endless difference.
    """
    width = picture.shape[-1]
    places = torch.arange(width, device=picture.device).expand_as(known)
    left = torch.where(known, places, -1).cummax(-1).values
    right = torch.where(known, places, width).flip(-1).cummin(-1).values.flip(-1)
    nearest = torch.where(left < 0, right, left), torch.where(right == width, left, right)
    before, after = (
        picture.gather(-1, place.clamp(0, width - 1).expand_as(picture)) for place in nearest
    )
    share = (places - left) / (right - left).clamp_min(1)
    blended = before + share * (after - before)
    gap = (after - before).abs().amax(0, keepdim=True)
    is_known_row = known.any(-1, keepdim=True)
    return blended * is_known_row, torch.where(is_known_row, gap, torch.inf)


def _enclosed(matte: Tensor) -> Tensor:
    """1 where the picture's edge cannot be reached without crossing the matte, else 0."""
    open_ = (matte < 0.5).to(matte)
    reached = torch.zeros_like(open_)
    reached[..., 0, :] = reached[..., -1, :] = reached[..., 0] = reached[..., -1] = 1
    reached = reached * open_
    while True:
        wider = torch.maximum(
            F.max_pool2d(reached[0], (3, 1), 1, (1, 0)),
            F.max_pool2d(reached[0], (1, 3), 1, (0, 1)),
        )
        wider = wider[None] * open_
        if torch.equal(wider, reached):
            return 1 - torch.maximum(reached, matte)
        reached = wider
