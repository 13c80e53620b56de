"""What the settings of the hardware do to a base model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq.config import HardwareSettings, LearnSettings
from setseq.errors import SettingsError, TrainingError
from setseq.learning import as_model
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.training.checkpoint import load_snapshot
from setseq.training.learn import learn_concept
from setseq.training.origin import run_of
from setseq.training.stages import TrainingClip

SETTINGS = LearnSettings(
    rank=2,
    set_steps=2,
    sequence_steps=2,
    set_batch=2,
    sequence_batch=2,
    learning_rate=1e-2,
    clip_norm=1.0,
    precision="fp32",
)


def _clip() -> TrainingClip:
    pixels = torch.rand(3, 5, 32, 32, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return TrainingClip(pixels=pixels, prompt=concept_prompt("a [v] character", "it is [u]"))


def _model(folder: Path, **hardware: Any) -> VideoModel:
    return load_model(folder, hardware=HardwareSettings(**hardware))


def _learned(model: VideoModel, checkpoint: Path | None = None, **changes: Any):
    settings = SETTINGS.model_copy(update=changes)
    return learn_concept(model, [_clip()], settings, checkpoint=checkpoint)


def test_checkpointed_blocks_keep_the_prompt_of_their_own_pass(tiny_folder: Path):
    """Two passes with prompts of different lengths, then the way back through both."""

    def gradient(model: VideoModel) -> torch.Tensor:
        latents = torch.rand(1, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        latents.requires_grad_(True)
        time = torch.full((1,), 0.5)
        with torch.no_grad():
            prompts = [model.encode_prompts([text]) for text in ("a", "a red character in snow")]
        total = sum(model.velocity(latents, time, one).square().sum() for one in prompts)
        assert isinstance(total, torch.Tensor)
        total.backward()
        assert latents.grad is not None
        return latents.grad

    plain = gradient(_model(tiny_folder))
    assert torch.equal(gradient(_model(tiny_folder, gradient_checkpointing=True)), plain)


def test_checkpointed_blocks_run_again_on_the_way_back(tiny_folder: Path):
    calls = []
    model = _model(tiny_folder, gradient_checkpointing=True)
    block = model.denoiser.get_submodule("blocks.0.ffn")
    handle = block.register_forward_hook(lambda *given: calls.append(torch.is_grad_enabled()))
    _learned(model, set_steps=0, sequence_steps=1)
    handle.remove()
    assert calls == [True, True]


def test_a_tiled_autoencoder_encodes_a_large_picture_nearly_as_it_is_whole(tiny_folder: Path):
    picture = torch.rand(1, 3, 1, 288, 288, generator=torch.Generator().manual_seed(3)) * 2 - 1
    whole, tiled = _model(tiny_folder), _model(tiny_folder, tiled_autoencoder=True)
    one, other = whole.encode_video(picture), tiled.encode_video(picture)
    assert one.shape == other.shape
    assert not torch.equal(one, other)
    assert (one - other).abs().mean() < 0.1 * one.abs().mean()


@pytest.mark.parametrize("weights", ["bf16"])
def test_a_concept_says_with_which_weights_it_was_learned(tiny_folder: Path, weights: str):
    concept = _learned(_model(tiny_folder, weights=weights))
    assert concept.provenance.settings["weights"] == weights
    assert "weights" not in _learned(_model(tiny_folder)).provenance.settings
    assert all(value.dtype == torch.float32 for value in concept.motion.values())


def test_a_training_does_not_go_on_with_other_weights(tiny_folder: Path, tmp_path: Path):
    path = tmp_path / "run.ckpt"
    _learned(_model(tiny_folder), path)
    changed = run_of(_model(tiny_folder, weights="bf16"), [_clip()], SETTINGS)
    with pytest.raises(TrainingError, match="its weights was None and is now 'bf16'"):
        load_snapshot(path, changed)


def test_text_encoders_can_stay_on_the_cpu(tiny_folder: Path):
    model = _model(tiny_folder, text_on_cpu=True)
    assert model.hardware.text_device.type == "cpu"
    one, other = _learned(model), _learned(_model(tiny_folder))
    assert all(torch.equal(value, other.motion[name]) for name, value in one.motion.items())


def test_the_autoencoder_stays_float32(tiny_folder: Path):
    model: Any = _model(tiny_folder, weights="bf16")
    assert model.components["vae"].dtype == torch.float32
    assert model.components["text_encoder"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "sees 0 GPUs"), ("cuda:3", "sees 0 GPUs"), ("mps", "no Apple GPU")],
)
def test_a_device_that_is_not_there_is_refused(tiny_folder: Path, device: str, message: str):
    with pytest.raises(SettingsError, match=message):
        _model(tiny_folder, device=device)


def test_auto_is_float32_on_the_cpu_where_there_is_no_gpu(tiny_folder: Path):
    hardware = _model(tiny_folder).hardware
    assert (hardware.device.type, hardware.weights) == ("cpu", "fp32")


def test_a_wrong_hardware_setting_shows_before_a_base_is_looked_for():
    with pytest.raises(SettingsError, match="unknown setting 'wieghts'"):
        as_model("nowhere", {"wieghts": "bf16"})


def test_each_of_several_processes_has_a_device_of_its_own(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    from setseq import learning
    from setseq.processes import ALONE

    monkeypatch.setattr(learning, "this_process", lambda: replace(ALONE, count=2))
    assert as_model(tiny_folder, {"device": "cpu"}).device.type == "cpu"
    with pytest.raises(SettingsError, match="this process of 2 has cpu; leave device out"):
        as_model(tiny_folder, {"device": "cuda:1"})
