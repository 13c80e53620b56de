"""The predicted memory is the measured one, on the CPU; at real scale it moves as it should."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq import footprint
from setseq.config import HardwareSettings, LearnSettings
from setseq.errors import BaseModelError, SettingsError
from setseq.footprint import Footprint, Size, predict
from setseq.lora.inject import inject
from setseq.models import catalog
from setseq.models.registry import load_model
from tests.tiny import save_tiny_pipeline, tiny_transformer

GB = 10**9
SETTINGS: dict[str, Any] = {"rank": 4, "set_batch": 24, "sequence_batch": 4, "precision": "fp32"}
PLAIN, THRIFTY = {"weights": "fp32"}, {"weights": "fp32", "gradient_checkpointing": True}
CASES = [(stage, given) for stage in ("set", "sequence") for given in (PLAIN, THRIFTY)]
SMALL = Size(num_frames=17, height=480, width=832)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose steps take tens of MB, so that the allocator's habits do not count."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    made = save_tiny_pipeline(tmp_path_factory.mktemp("base") / "base")
    config = dict(tiny_transformer().config)
    wide = {"num_attention_heads": 4, "attention_head_dim": 32, "ffn_dim": 512, "num_layers": 8}
    network: Any = WanTransformer3DModel.from_config({**config, **wide})
    network.save_pretrained(made / "transformer")
    (made / "setseq.json").write_text(
        json.dumps({"id": "tiny", "fps": 8, "width": 128, "height": 128, "num_frames": 13})
    )
    return made


@pytest.fixture(scope="module")
def measured(folder: Path) -> list[int]:
    """What a step of each of the cases adds to what there is between steps."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells the most memory of one step")
    command = [sys.executable, "-m", "tests.measured_steps", str(folder)]
    done = subprocess.run(
        [*command, json.dumps(SETTINGS), json.dumps(CASES)],
        capture_output=True,
        text=True,
        check=True,
        # Freed memory goes back to the system at once, so that what is in use is what is seen.
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{s}-{len(g)}" for s, g in CASES])
def test_a_steps_predicted_memory_is_the_measured_one(folder: Path, measured: list[int], case: int):
    stage, given = CASES[case]
    settings = LearnSettings.model_validate(SETTINGS)
    found = predict(folder, settings, HardwareSettings.model_validate(given), precision="fp32")
    predicted = getattr(found, stage) - found.at_rest
    assert predicted > 20 * 2**20
    assert measured[case] == pytest.approx(predicted, rel=0.2)


def test_what_is_there_between_steps_is_counted_to_the_byte(folder: Path):

    model = load_model(folder)
    found = predict(
        folder,
        LearnSettings.model_validate(SETTINGS),
        HardwareSettings.model_validate(PLAIN),
        precision="fp32",
    )
    generator = torch.Generator().manual_seed(0)
    injection = inject(model.denoiser, model.lora_targets, rank=4, generator=generator)
    values = [*model.denoiser.parameters(), *model.denoiser.buffers()]
    moments = sum(8 * value.numel() for value in injection.parameters("motion").values())
    between = sum(value.numel() * value.element_size() for value in values) + moments
    extra = found.at_rest - between  # latents, noise, times and a prompt of the sequence stage
    assert 0 < extra < 2 * 4 * (4 * 4 * 4 * 16 * 16) + 4 * 512 * 20
    injection.remove()


@cache
def _predicted(name: str, rank: int = 16, size: Size = SMALL, **hardware: Any) -> Footprint:
    settings = LearnSettings(rank=rank)
    return predict(name, settings, HardwareSettings(**hardware), size=size)


@pytest.mark.parametrize("model", catalog.KNOWN, ids=lambda model: model.name)
def test_a_published_models_rest_is_its_weights_and_little_more(model: catalog.KnownModel):
    given = HardwareSettings(gradient_checkpointing=True, weights="bf16")
    size = Size(num_frames=25, height=model.size[1], width=model.size[0])
    rest, peak = footprint.Plan(model.name, LearnSettings(), given, size, "bf16").step("sequence")
    assert 0.95 * 2 * model.billions < rest / GB < 1.1 * 2 * model.billions + 1.5
    assert peak > rest


def test_checkpointing_lowers_the_peak_and_not_the_rest():
    plain = _predicted("wan2.1-14b")
    thrifty = _predicted("wan2.1-14b", gradient_checkpointing=True)
    assert thrifty.sequence < plain.sequence
    assert thrifty.set < plain.set
    assert thrifty.at_rest == plain.at_rest


def test_rank_16_on_wan_14b_takes_what_its_layers_say():
    """76.7M numbers a factor pair; basis, identity and motion stay, motion has two moments."""
    more = _predicted("wan2.1-14b").at_rest - _predicted("wan2.1-14b", rank=8).at_rest
    basis, coefficients = 40 * 8 * (9 * 5120 + 13824), 40 * 8 * (9 * 5120 + 13824)
    assert more == 4 * (basis + 2 * coefficients) + 8 * coefficients


def test_each_block_beyond_the_run_ones_adds_the_same(folder: Path):
    """The straight line through a few blocks hits all eight of them."""
    settings = LearnSettings.model_validate(SETTINGS)
    given = HardwareSettings.model_validate(THRIFTY)
    lined = footprint.Plan(folder, settings, given, Size(), "fp32")
    assert lined.lists == {"blocks": 8}
    whole = footprint.Plan(folder, settings, given, Size(), "fp32")
    whole.lists = {}
    for stage in ("set", "sequence"):
        assert lined.step(stage) == pytest.approx(whole.step(stage), rel=0.01)


def test_a_longer_clip_takes_more_in_sequence_alone():
    short, long = _predicted("wan2.1-1.3b"), _predicted("wan2.1-1.3b", size=Size(num_frames=81))
    assert long.sequence > 2 * short.sequence
    assert long.set == short.set


def test_tiles_lower_the_memory_of_encoding():
    big = Size(num_frames=17, height=704, width=1280)
    whole = _predicted("hunyuan", size=big)
    assert _predicted("hunyuan", size=big, tiled_autoencoder=True).encoding < whole.encoding


def test_encoding_a_clip_takes_what_it_took_on_a_gpu():
    """5.57 GB, measured by benchmarks/gpu.py on an H200, with a text encoder of a megabyte."""
    given = HardwareSettings(text_on_cpu=True)
    size = Size(num_frames=33, height=320, width=480)
    found = footprint.encoding_bytes("wan2.1-1.3b", LearnSettings(), given, size)
    assert found == pytest.approx(5.57 * GB, rel=0.02)


def test_a_base_that_is_nowhere_and_a_size_that_does_not_fit_are_refused():
    with pytest.raises(BaseModelError, match="is not on this computer"):
        _predicted("nobody/nothing")
    with pytest.raises(SettingsError, match="16 frames do not fit the model"):
        _predicted("wan2.1-1.3b", size=Size(num_frames=16))
