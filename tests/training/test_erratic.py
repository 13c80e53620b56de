"""What is for fast, erratic movements: each option alone, in the one loop, and nothing when off."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from setseq import api
from setseq.config import LearnSettings
from setseq.errors import ClipError, Interrupted, TrainingError
from setseq.flow import noised, velocity_target
from setseq.learning import fitted_clip, training_clip
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.objective import flow_losses
from setseq.training.stages import TrainingClip, sequence_stage, set_stage
from setseq.video.io import write_video
from tests.surface import LOOK, MOTION, make_base, run
from tests.times import noted_times

SETTINGS = {
    "rank": 2,
    "set_steps": 3,
    "sequence_steps": 4,
    "set_batch": 3,
    "learning_rate": 1e-2,
    "precision": "fp32",
    "checkpoint_every": 0,
}
PROMPT = concept_prompt("a red [v] character", "it is [u] bouncing")


def _clip(*, views: int = 3, mask: bool = False, seed: int = 5) -> TrainingClip:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(views, 3, 5, 16, 16, generator=generator) * 2 - 1
    masks = torch.rand(views, 1, 5, 16, 16, generator=generator)
    return TrainingClip(
        pixels=pixels[0],
        prompt=PROMPT,
        mask=masks[0] if mask else None,
        between=pixels[1:] if views > 1 else None,
        between_masks=masks[1:] if mask and views > 1 else None,
    )


def _learn(model: VideoModel, clip: TrainingClip, checkpoint=None, stop_at=None, **given):
    def on_step(report) -> None:
        if (report.stage, report.step) == stop_at:
            raise KeyboardInterrupt

    settings = LearnSettings.resolve(SETTINGS, given)
    return learn_concept(model, [clip], settings, checkpoint=checkpoint, on_step=on_step)


def _are_equal(first, second) -> bool:
    return all(
        torch.equal(value, getattr(second, part)[name])
        for part in ("basis", "identity", "motion")
        for name, value in getattr(first, part).items()
    )


def _times_seen(model: VideoModel, monkeypatch: pytest.MonkeyPatch, **given):
    """Logits of the times before the shift, by the number of latent frames."""
    seen = noted_times(model, monkeypatch)
    batches = {"set_batch": 64, "sequence_batch": 64, "set_steps": 2, "sequence_steps": 2}
    _learn(model, _clip(views=1), **batches, **given)
    return {frames: torch.cat(logits) for frames, logits in seen.items()}


def test_each_stage_draws_its_times_from_a_density_of_its_own(tiny_model, monkeypatch):
    given = {"set_time_mean": -1.0, "sequence_time_mean": 1.5, "sequence_time_std": 0.25}
    seen = _times_seen(tiny_model, monkeypatch, **given)
    assert float(seen[1].mean()) == pytest.approx(-1.0, abs=0.1)
    assert float(seen[1].std()) == pytest.approx(1.0, abs=0.15)
    assert float(seen[2].mean()) == pytest.approx(1.5, abs=0.05)
    assert float(seen[2].std()) == pytest.approx(0.25, abs=0.05)


def _errors(model: VideoModel, *, frames: int = 3):
    """Latents, noise, times, a prompt, and the model's error of the velocity."""
    generator = torch.Generator().manual_seed(0)
    data, noise = torch.randn(2, 2, 4, frames, 2, 2, generator=generator)
    time, prompt = torch.tensor([0.3, 0.6]), model.encode_prompts(["a character"])
    errors = model.velocity(noised(data, noise, time), time, prompt)
    return (data, noise, time, prompt), errors - velocity_target(data, noise)


@torch.no_grad()
def test_the_temporal_difference_is_the_squared_change_of_the_error_under_both_frames_masks(
    tiny_model,
):
    given, errors = _errors(tiny_model)
    masks = torch.rand(2, 1, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    changes = (errors[:, :, 1:] - errors[:, :, :-1]).square()
    lighter = torch.minimum(masks[:, :, 1:], masks[:, :, :-1])
    for own, first, second in (
        (None, errors.square(), changes),
        (masks, errors.square() * masks, changes * lighter),
    ):
        expected = first.mean(dim=(1, 2, 3, 4)) + 0.7 * second.mean(dim=(1, 2, 3, 4))
        found = flow_losses(tiny_model, *given, masks=own, temporal_difference=0.7)
        torch.testing.assert_close(found, expected)
        assert torch.equal(
            flow_losses(tiny_model, *given, masks=own, temporal_difference=0.0),
            flow_losses(tiny_model, *given, masks=own),
        )


@torch.no_grad()
def test_an_error_that_all_frames_share_has_no_temporal_difference(tiny_model):
    given, errors = _errors(tiny_model)
    data, noise = given[:2]
    target = velocity_target(data, noise) + errors - torch.full_like(errors, 0.5)
    plain, both = (
        flow_losses(tiny_model, *given, target=target, temporal_difference=weight)
        for weight in (0.0, 5.0)
    )
    torch.testing.assert_close(plain, torch.full((2,), 0.25))
    torch.testing.assert_close(both, plain)


def test_what_a_mask_hides_in_one_frame_is_not_learned_by_its_difference_to_the_next(tiny_model):
    given, errors = _errors(tiny_model)
    hidden = (slice(None), slice(None), 1, 0, 1)
    masks = torch.ones(2, 1, 3, 2, 2)
    masks[hidden] = 0
    target = (velocity_target(*given[:2]) + 0 * errors.detach()).requires_grad_()
    losses = flow_losses(tiny_model, *given, target=target, masks=masks, temporal_difference=1.0)
    losses.sum().backward()
    assert target.grad is not None
    assert not target.grad[hidden].any()
    assert target.grad.count_nonzero() == target.grad.numel() - 2 * 4


@torch.no_grad()
def test_samples_of_one_frame_and_the_set_stage_know_no_temporal_difference(tiny_model):
    given, _ = _errors(tiny_model, frames=1)
    assert torch.equal(
        flow_losses(tiny_model, *given, temporal_difference=9.0), flow_losses(tiny_model, *given)
    )
    settings = LearnSettings.resolve(SETTINGS, {"temporal_difference": 9.0})
    # Some bases encode a lone frame as several latent frames, so the stage itself has to know.
    assert set_stage(tiny_model, [_clip()], settings).temporal_difference == 0
    assert sequence_stage(tiny_model, [_clip()], settings).temporal_difference == 9


def test_both_stages_see_all_resamplings_with_their_own_masks(tiny_model):
    settings, clip = LearnSettings.resolve(SETTINGS), _clip(mask=True)
    (frames,) = set_stage(tiny_model, [clip], settings).groups
    (videos,) = sequence_stage(tiny_model, [clip], settings).groups
    assert frames.latents.shape == (3 * 5, 4, 1, 2, 2)
    assert videos.latents.shape == (3, 4, 2, 2, 2)
    assert len(frames.prompts) == 15
    assert len(videos.prompts) == 3
    assert frames.masks is not None
    assert videos.masks is not None
    assert frames.masks.mean() == pytest.approx(1)
    for number in range(3):
        alone = replace(
            clip,
            pixels=clip.videos[number],
            mask=None if clip.masks is None else clip.masks[number],
            between=None,
            between_masks=None,
        )
        (one,) = sequence_stage(tiny_model, [alone], settings).groups
        assert one.masks is not None
        assert torch.equal(one.latents[0], videos.latents[number])
        assert torch.equal(one.masks[0], videos.masks[number])


def test_with_resamplings_a_stopped_training_goes_on_bitwise_and_differs_from_one_without(
    tiny_folder, tmp_path
):
    given = {"temporal_difference": 1.0, "sequence_time_mean": 1.0, "sequence_batch": 2}
    whole = _learn(load_model(tiny_folder), _clip(), **given)
    alone = _learn(load_model(tiny_folder), _clip(views=1), **given)
    assert not _are_equal(whole, alone)
    for stop_at in (("set", 2), ("sequence", 3)):
        checkpoint = tmp_path / f"{stop_at[0]}.ckpt"
        with pytest.raises(Interrupted):
            _learn(load_model(tiny_folder), _clip(), checkpoint, stop_at, **given)
        assert _are_equal(whole, _learn(load_model(tiny_folder), _clip(), checkpoint, **given))
    other = replace(_clip(), between=_clip(seed=6).between)
    with pytest.raises(TrainingError, match="another training: its hash of the frames was"):
        _learn(load_model(tiny_folder), other, checkpoint, **given)


@pytest.fixture(scope="module")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny")  # 5 frames at 8 fps


@pytest.fixture
def fast_clip(tmp_path: Path) -> Path:
    """15 frames at 24 fps: in the base's 5 frames the square only ever stands at the left."""
    frames = np.full((15, 32, 32, 3), 60, np.uint8)
    for number in range(15):
        left = 10 * (number % 3)
        frames[number, 8:20, left : left + 10] = (220, 180, 40)
    return write_video(tmp_path / "fast.mp4", frames, fps=24, lossless=True)


def _square_at(pixels: torch.Tensor) -> int:
    """The left edge of the square in the first frame of (3, f, h, w)."""
    return int((pixels[0, 0, 12] > 0).nonzero()[0])


def test_a_clip_and_its_mask_are_resampled_at_the_same_times(base, fast_clip, tmp_path):
    model = load_model(base)
    where = np.zeros((15, 32, 32, 3), np.uint8)
    for number in range(15):
        where[number, 8:20, 10 * (number % 3) : 10 * (number % 3) + 10] = 255
    mask = write_video(tmp_path / "mask.mp4", where, fps=24, lossless=True)
    clip = training_clip(model, fitted_clip(model, fast_clip, dense=True), PROMPT, mask=mask)
    assert [_square_at(pixels) for pixels in clip.videos] == [0, 10, 20]
    assert clip.masks is not None
    for pixels, own in zip(clip.videos, clip.masks, strict=True):
        assert torch.equal(own[0] > 0.5, pixels[0] > 0)
    plain = training_clip(model, fitted_clip(model, fast_clip), PROMPT, mask=mask)
    assert plain.between is None
    assert plain.between_masks is None
    assert torch.equal(plain.pixels, clip.pixels)
    nothing = write_video(tmp_path / "nothing.mp4", where * (where < 0), fps=24, lossless=True)
    with pytest.raises(ClipError, match="nothing white"):
        training_clip(model, fitted_clip(model, fast_clip, dense=True), PROMPT, mask=nothing)


def test_learning_and_preflight_say_what_frame_dense_sampling_does(base, fast_clip, tmp_path):
    notes: list[str] = []
    learned = [
        api.learn(
            fast_clip,
            look=LOOK,
            motion=MOTION,
            base=str(base),
            settings={"frame_dense": dense},
            on_start=lambda started: notes.append(started.clips[0].notes[-1]),
        )
        for dense in (False, True)
    ]
    assert not _are_equal(*learned)
    assert not notes[0].startswith("frame-dense")
    assert "15 of the 15 frames of that time are seen, instead of 5" in notes[1]
    (tmp_path / "dense.toml").write_text("[learn]\nframe_dense = true\n")
    result = run("preflight", fast_clip, "--base", base, "--config", tmp_path / "dense.toml")
    said = " ".join(result.stdout.split())
    assert "single frames of 15" in said
    assert "each time one of its 3 resamplings" in said
    assert notes[1] in said
    plain = " ".join(run("preflight", fast_clip, "--base", base).stdout.split())
    assert "single frames of 5" in plain
    assert "resamplings" not in plain
