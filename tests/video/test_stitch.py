"""Clips side by side: each subject on its own side, whole, with or without its background."""

import sys
import types

import numpy as np
import pytest
import torch
from torch import Tensor

from setseq.errors import ClipError
from setseq.toybox.concepts import shipped_clip
from setseq.toybox.unseen import draw_mask
from setseq.video.matte import checked_matte, difference_matte, rembg_matte, still_background
from setseq.video.stitch import PLAIN, Onto, Side, stitch

HEIGHT, WIDTH = 24, 32


def _clip(color: tuple[float, float, float], *, reach: int = 6) -> tuple[Tensor, Tensor]:
    """A 4 x 4 square of a colour that moves to and fro in the middle of a dark picture."""
    pixels = torch.full((3, 9, HEIGHT, WIDTH), -0.6)
    mask = torch.zeros(1, 9, HEIGHT, WIDTH)
    for frame in range(9):
        x = 14 + round(reach * np.sin(frame * 2.4))
        mask[:, frame, 10:14, x : x + 4] = 1
    return torch.where(mask > 0, torch.tensor(color).view(3, 1, 1, 1), pixels), mask


RED, BLUE = (0.9, -0.8, -0.8), (-0.8, -0.8, 0.9)


def _share(clip: Tensor, color: tuple[float, float, float]) -> tuple[float, float]:
    """Pixels near a colour on the left and on the right half, a frame."""
    near = ((clip - torch.tensor(color).view(3, 1, 1, 1)).abs().amax(0) < 0.5).float()
    half = WIDTH // 2
    return float(near[..., :half].sum()) / 9, float(near[..., half:].sum()) / 9


@pytest.mark.parametrize(
    ("has_masks", "onto"), [(False, "own"), (True, "own"), (True, "left"), (True, "right")]
)
def test_each_subject_is_on_its_own_side_and_nowhere_else(has_masks: bool, onto: Onto):
    sides = [
        Side(pixels=pixels, mask=mask if has_masks else None)
        for pixels, mask in (_clip(RED, reach=3), _clip(BLUE, reach=3))
    ]
    stitched = stitch(*sides, onto=onto)
    both = stitched.pixels
    assert both.shape == (3, 9, HEIGHT, WIDTH)
    assert (stitched.mask is not None) == has_masks
    if stitched.mask is not None:
        outside = (stitched.mask == 0).expand_as(both)
        assert max(_share(torch.where(outside, both, -0.2), RED)) == 0
    assert float(both.abs().max()) <= 1
    (red_left, red_right), (blue_left, blue_right) = _share(both, RED), _share(both, BLUE)
    assert min(red_left, blue_right) > 16 * 0.85**2 * 0.6
    assert max(red_right, blue_left) == 0


def test_the_order_is_kept():
    red, blue = (Side(pixels=_clip(color)[0]) for color in (RED, BLUE))
    first, second = stitch(red, blue).pixels, stitch(blue, red).pixels
    half = WIDTH // 2
    assert torch.equal(first[..., :half], second[..., half:])
    assert torch.equal(first[..., half:], second[..., :half])


def test_a_subject_far_from_the_middle_is_found():
    pixels = torch.roll(_clip(RED, reach=3)[0], -10, dims=-1)
    left, _ = _share(stitch(Side(pixels=pixels), Side(pixels=_clip(BLUE)[0])).pixels, RED)
    assert left > 16 * 0.85**2 * 0.6


def test_without_backgrounds_the_subjects_stand_on_one():
    (red, red_mask), (blue, blue_mask) = _clip(RED), _clip(BLUE)
    lighter = torch.where(blue_mask > 0, blue, torch.tensor(-0.2))
    sides = Side(pixels=red, mask=red_mask), Side(pixels=lighter, mask=blue_mask)
    first, second, plain = (stitch(*sides, onto=onto) for onto in ("left", "right", "plain"))
    torch.testing.assert_close(first.pixels[:, :, :4], torch.full((3, 9, 4, WIDTH), -0.6))
    torch.testing.assert_close(second.pixels[:, :, :4], torch.full((3, 9, 4, WIDTH), -0.2))
    torch.testing.assert_close(plain.pixels[:, :, :4], torch.full((3, 9, 4, WIDTH), PLAIN))
    assert first.mask is not None
    outside = (first.mask == 0).expand_as(plain.pixels)
    assert bool((plain.pixels[outside] == PLAIN).all())


def test_the_difference_matte_finds_a_moving_subject():
    pixels, mask = _clip(RED)
    assert torch.equal(difference_matte(pixels), mask)


@pytest.mark.parametrize(("name", "bar"), [("dancer", 0.8), ("crab", 0.7), ("snowman", 0.85)])
def test_the_difference_matte_agrees_with_the_renderer_on_plain_places(name: str, bar: float):
    found, true = difference_matte(shipped_clip(name)), draw_mask(name).transpose(0, 1)
    overlap = torch.minimum(found, true).sum() / torch.maximum(found, true).sum()
    assert float(overlap) > bar


def test_the_background_comes_back_from_behind_the_subject():
    pixels, mask = _clip(RED, reach=1)  # its middle is never seen
    background = still_background(pixels, mask)
    torch.testing.assert_close(background, torch.full((3, 1, HEIGHT, WIDTH), -0.6))


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.zeros(3, 5, 8, 8), "clip.mp4: .*nothing moves"),
        (
            torch.rand(3, 5, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1,
            "of the picture moves.*mask",
        ),
    ],
)
def test_a_background_that_cannot_be_removed_is_refused(pixels: Tensor, message: str):
    with pytest.raises(ClipError, match=message):
        checked_matte(pixels, "clip.mp4")


def test_rembg_that_is_not_installed_is_one_line_with_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ClipError, match=r"pip install 'rembg\[cpu\]'"):
        rembg_matte(torch.zeros(3, 1, 8, 8))


def test_rembg_is_asked_frame_by_frame_for_the_mask_alone(monkeypatch):
    def remove(frame: np.ndarray, *, session: str, only_mask: bool) -> np.ndarray:
        assert frame.dtype == np.uint8
        assert (frame.shape, session, only_mask) == ((8, 6, 3), "session", True)
        return np.where(frame[..., 0] > 128, 255, 0).astype(np.uint8)

    rembg = types.ModuleType("rembg")
    rembg.__spec__ = types.SimpleNamespace(name="rembg")  # pyright: ignore[reportAttributeAccessIssue]
    vars(rembg).update(remove=remove, new_session=lambda: "session")
    monkeypatch.setitem(sys.modules, "rembg", rembg)
    pixels = torch.full((3, 2, 8, 6), -1.0)
    pixels[:, 1, :4] = 1
    matte = rembg_matte(pixels)
    assert matte.shape == (1, 2, 8, 6)
    assert torch.equal(matte[0], (pixels[0] > 0).float())


def test_clips_that_do_not_fit_are_refused_in_one_line():
    pixels, mask = _clip(RED)
    with pytest.raises(ClipError, match=r"9x24x32 and 4x24x32.*one size"):
        stitch(Side(pixels=pixels), Side(pixels=pixels[:, :4]))
    with pytest.raises(ClipError, match="has no mask; give it one"):
        stitch(Side(pixels=pixels, mask=mask), Side(pixels=pixels), onto="left")
