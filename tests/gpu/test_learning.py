"""A concept is learned and shown on a GPU as it is on a CPU, whatever makes it fast there."""

from pathlib import Path
from typing import Any

import pytest
import torch

from setseq import api
from setseq.config import GenerateSettings, HardwareSettings
from setseq.demo import run_demo
from setseq.errors import Interrupted, SettingsError
from setseq.models.base import VideoModel
from setseq.sampling import draw_noise, sample, sampled_frames, with_concept
from setseq.toybox.shipped import asset
from setseq.training.state import StepReport
from tests.evaluation.tiny_encoders import save_tiny_clip, save_tiny_things
from tests.gpu.on_gpu import (
    DEVICE,
    MARKS,
    PROMPT,
    difference,
    figures,
    learned,
    model_of,
)
from tests.optional import needs
from tests.processes import EVERYTHING, tensors

pytestmark = MARKS
DEMO_CLIP = asset("clips") / "dancer.mp4"
BACKENDS = {"flash": "flash_attn", "_flash_3": "flash_attn_interface", "xformers": "xformers"}
NATIVE = ["native", "_native_efficient", "_native_flash", "_native_math", "_native_cudnn", "flex"]


def _drawn(model: VideoModel, **options: Any) -> torch.Tensor:
    noise = draw_noise(model.geometry.latent_shape(), [3])
    return sample(model, [PROMPT], noise, num_steps=4, guidance=3.0, **options)


def test_auto_is_bf16_on_a_gpu_and_learns_there(wide_folder: Path):
    model = model_of(wide_folder, device="auto", gradient_checkpointing=True)
    expected = ("cuda", "bf16") if DEVICE.type == "cuda" else ("cpu", "fp32")
    assert (model.device.type, model.hardware.weights) == expected
    assert next(model.denoiser.parameters()).device.type == DEVICE.type
    concept, _ = learned(model)
    assert any(value.any() for value in concept.motion.values())
    assert {value.device.type for value in tensors(concept).values()} == {"cpu"}


def test_float32_samples_as_on_the_cpu(wide_folder: Path):
    there = _drawn(model_of(wide_folder, weights="fp32"))
    assert difference(there, _drawn(model_of(wide_folder, device="cpu"))) < 0.01


def test_bf16_samples_nearly_as_float32(wide_folder: Path):
    plain = _drawn(model_of(wide_folder, weights="fp32"))
    half = _drawn(model_of(wide_folder, weights="bf16"), precision="bf16")
    assert 0 < difference(half, plain) < 0.1


@pytest.mark.parametrize(("weights", "tolerance"), [("fp32", 0.01), ("bf16", 0.05)])
def test_the_losses_and_gradients_are_those_of_the_cpu(
    wide_folder: Path, weights: str, tolerance: float
):
    _, there = learned(model_of(wide_folder, weights=weights), {"precision": weights})
    _, here = learned(model_of(wide_folder, device="cpu"), {"precision": "fp32"})
    torch.testing.assert_close(figures(there), figures(here), rtol=tolerance, atol=1e-4)


def test_a_concept_of_bf16_changes_what_is_generated(wide_folder: Path):
    model = model_of(wide_folder, weights="bf16")
    concept, _ = learned(model, {"set_steps": 4, "sequence_steps": 4, "learning_rate": 1e-2})
    settings = GenerateSettings(num_steps=4, num_frames=9, width=128, height=128)
    (plain,) = sampled_frames(model, [PROMPT], settings)
    with with_concept(model, concept) as injection:
        (own,) = sampled_frames(model, [PROMPT], settings, injection=injection)
        over_frames = settings.model_copy(update={"motion": "1 to 0 over frames"})
        (scheduled,) = sampled_frames(model, [PROMPT], over_frames, injection=injection)
    (after,) = sampled_frames(model, [PROMPT], settings)
    assert own.shape == (9, 128, 128, 3)
    assert (own != plain).mean() > 0.1
    assert (own != scheduled).any()
    assert abs(after.astype(int) - plain.astype(int)).mean() < 1


def test_every_way_to_learn_runs(wide_folder: Path, tmp_path: Path, monkeypatch: Any):
    """Learned tokens, a prior's videos, dropout, masked words and estimates, all at once."""
    monkeypatch.setenv("SETSEQ_CACHE", str(tmp_path))
    more = {"set_steps": 2, "sequence_steps": 2, "prior_count": 2, "masked_encodings": 5}
    model = model_of(wide_folder)
    concept, _ = learned(model, {**EVERYTHING, **more})
    assert all(row.any() for row in concept.tokens.values())
    assert {value.device.type for value in tensors(concept).values()} == {"cpu"}
    with with_concept(model, concept):
        assert _drawn(model).isfinite().all()
    _, reports = learned(model, {"prior": "velocity", **more})
    assert len(reports) == 4


def test_a_clip_with_learned_tokens_wants_its_text_encoder_on_the_gpu(wide_folder: Path):
    model: Any = model_of(wide_folder, text_on_cpu=True)
    assert next(model.components["text_encoder"].parameters()).device.type == "cpu"
    concept, _ = learned(model)
    assert any(value.any() for value in concept.motion.values())
    if DEVICE.type == "cuda":
        with pytest.raises(SettingsError, match="learned tokens train through the text encoder"):
            learned(model, {"token_mode": "learned"})


@pytest.mark.parametrize("weights", ["fp32", "bf16"])
def test_checkpointed_blocks_give_the_same_gradients(wide_folder: Path, weights: str):
    given = {"weights": weights}
    plain = _gradient(model_of(wide_folder, **given))
    thrifty = _gradient(model_of(wide_folder, gradient_checkpointing=True, **given))
    assert difference(thrifty, plain) < (1e-4 if weights == "fp32" else 0.02)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiled_blocks_learn_the_same(wide_folder: Path, checkpointing: bool):
    changes = {"precision": "bf16", "sequence_steps": 2}
    _, plain = learned(model_of(wide_folder, weights="bf16"), changes)
    compiled = model_of(
        wide_folder, weights="bf16", compile=True, gradient_checkpointing=checkpointing
    )
    _, found = learned(compiled, changes)
    torch.testing.assert_close(figures(found), figures(plain), rtol=0.05, atol=1e-4)


@pytest.mark.parametrize(
    "backend",
    [*NATIVE, *(pytest.param(name, marks=needs(package)) for name, package in BACKENDS.items())],
)
def test_every_attention_backend_learns_the_same(wide_folder: Path, backend: str):
    if DEVICE.type == "cpu" and backend in ("_native_efficient", "_native_cudnn"):
        pytest.skip("a kernel of GPUs")
    changes = {"precision": "bf16", "sequence_steps": 2}
    _, plain = learned(model_of(wide_folder, weights="bf16"), changes)
    _, found = learned(model_of(wide_folder, weights="bf16", attention=backend), changes)
    torch.testing.assert_close(figures(found), figures(plain), rtol=0.05, atol=1e-4)


@needs("bitsandbytes")
def test_adamw_of_8_bits_learns_nearly_as_that_of_32(wide_folder: Path):
    changes = {"sequence_steps": 4, "rank": 16}  # tensors of 4,096 numbers and more have 8 bits
    one, _ = learned(model_of(wide_folder), changes)
    other, _ = learned(model_of(wide_folder), {**changes, "optimizer": "adamw8bit"})
    a, b = (torch.cat([x.flatten() for x in each.motion.values()]) for each in (one, other))
    assert not torch.equal(a, b)
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.9


@pytest.mark.parametrize(
    "optimizer", ["adamw", pytest.param("adamw8bit", marks=needs("bitsandbytes"))]
)
@pytest.mark.usefixtures("exact_kernels")
def test_a_stopped_training_goes_on_bitwise(wide_folder: Path, tmp_path: Path, optimizer: str):
    """With PyTorch's deterministic algorithms: without them no two runs need be the same."""
    changes = {"set_steps": 2, "sequence_steps": 3, "rank": 16, "optimizer": optimizer}
    whole, _ = learned(model_of(wide_folder), changes)
    path = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        _stopped(model_of(wide_folder), changes, path)
    resumed, reports = learned(model_of(wide_folder), changes, checkpoint=path)
    assert [(report.stage, report.step) for report in reports] == [("sequence", 3)]
    assert all(torch.equal(value, tensors(whole)[n]) for n, value in tensors(resumed).items())


def test_the_toybox_is_learned_watched_chosen_and_measured(tmp_path: Path):
    settings = {"set_steps": 3, "sequence_steps": 3}
    reader = save_tiny_clip(tmp_path / "reader")
    watch = {
        "preview_every": 3,
        "select": "best",
        "select_checks": 1,
        "clip_model": str(reader),
        "tracker": "none",
    }
    page = run_demo(
        tmp_path / "demo",
        settings=settings,
        sampling={"num_steps": 2},
        watch=watch,
        hardware={"device": DEVICE.type},
    )
    assert page.exists()
    trial = api.evaluate(
        tmp_path / "demo" / "concept.safetensors",
        DEMO_CLIP,
        ["a [v] creature in the city at night. it is [u]"],
        base=api.load_model("toybox", hardware=HardwareSettings(device=DEVICE.type)),
        settings={"num_steps": 2},
        clip_model=reader,
        identity_model=save_tiny_things(tmp_path / "things"),
    )
    assert len(trial.rows) == 2


def _gradient(model: VideoModel) -> torch.Tensor:
    shape = model.geometry.latent_shape()
    latents = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(model.device)
    latents.requires_grad_(True)
    with torch.no_grad():
        prompt = model.encode_prompts([PROMPT])
    time = torch.full((1,), 0.5, device=model.device)
    model.velocity(latents, time, prompt).square().sum().backward()
    assert latents.grad is not None
    return latents.grad


def _stopped(model: VideoModel, changes: dict[str, Any], path: Path) -> None:
    """Learn until the second step of Sequence, where Ctrl-C is pressed."""

    def press(report: StepReport) -> None:
        if (report.stage, report.step) == ("sequence", 2):
            raise KeyboardInterrupt

    learned(model, changes, checkpoint=path, on_step=press)
