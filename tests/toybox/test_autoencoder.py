import torch

from setseq.toybox.autoencoder import ToyAutoencoder, fit_basis, from_blocks, to_blocks, truncated
from setseq.toybox.decoder import psnr_by_frame
from setseq.toybox.shards import clip_pixels
from setseq.toybox.world import random_scene


def _clips(count: int) -> torch.Tensor:
    return torch.stack([clip_pixels(random_scene(90_000 + k)) for k in range(count)])


def test_blocks_put_a_clip_back_together():
    pixels = torch.randn(2, 3, 5, 16, 16)
    assert torch.equal(from_blocks(to_blocks(pixels, 8, 2), 8, 2), pixels)


def test_a_lone_frame_has_the_code_of_a_clips_first_frame():
    clips = _clips(12)
    model = fit_basis(clips, z_dim=16, patch=8, group=2)
    whole = model.code(clips[:2])
    lone = model.code(clips[:2, :, :1])
    torch.testing.assert_close(whole[:, :, :1], lone)


def test_a_fitted_code_has_scaled_latents_of_unit_size():
    clips = _clips(24)
    model = fit_basis(clips, z_dim=16, patch=8, group=2)
    scaled = model.scaled(model.code(clips))
    assert 0.8 < scaled.std() < 1.2


def test_more_components_show_a_clip_better():
    clips = _clips(24)
    small, large = (fit_basis(clips, z_dim=n, patch=8, group=2) for n in (4, 32))
    assert psnr_by_frame(large, clips).mean() > psnr_by_frame(small, clips).mean() + 3


def test_an_autoencoder_reloads_as_it_was_saved(tmp_path):
    clips = _clips(4)
    model = fit_basis(clips, z_dim=8, patch=8, group=2)
    model.save_pretrained(tmp_path)
    code = model.code(clips)
    again = ToyAutoencoder.from_pretrained(tmp_path)
    assert torch.equal(again.picture(code), model.picture(code))


def test_a_truncated_code_is_the_start_of_the_longer_one():
    clips = _clips(8)
    long = fit_basis(clips, z_dim=24, patch=8, group=2)
    short = truncated(long, 10)
    first = long.scaled(long.code(clips))[:, :10]
    torch.testing.assert_close(short.scaled(short.code(clips)), first)


def test_a_truncated_decoder_sees_of_each_group_what_is_left_of_it():
    torch.manual_seed(0)
    clips = _clips(4)
    long = fit_basis(clips, z_dim=12, patch=8, group=2)
    torch.nn.init.normal_(long.leave.weight, std=0.1)  # a decoder that does something
    code = long.code(clips)
    code[:, 8:] = 0
    torch.testing.assert_close(truncated(long, 8).picture(code[:, :8]), long.picture(code))
