"""Frozen weights in fewer bytes or in main memory: what is learned over them, and what stays."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from setseq.config import HardwareSettings, LearnSettings
from setseq.errors import Interrupted, SettingsError
from setseq.lora.fetched import FetchedLinear
from setseq.lora.inject import PARTS
from setseq.models.hardware import hardware_of
from setseq.models.quantize import in_main_memory, quantized, sketched, store_blocks
from setseq.models.registry import load_model
from setseq.training.learn import learn_concept
from tests.models.test_hardware import SETTINGS, _clip, _learned, _model
from tests.optional import needs

CPU = torch.device("cpu")
# The packages are extras of their own, and warn of GPU libraries that are not there.
pytestmark = pytest.mark.filterwarnings("ignore")


FORMATS = [
    pytest.param("int8", 0.02, marks=needs("torchao")),
    pytest.param("fp8", 0.06, marks=needs("torchao")),
    pytest.param("nf4", 0.2, marks=needs("bitsandbytes")),
]


def _linear() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(256, 128).requires_grad_(False)


def _same(one: Any, other: Any) -> bool:
    return all(
        torch.equal(value, getattr(other, part)[name])
        for part in PARTS
        for name, value in getattr(one, part).items()
    )


def test_a_fetched_layer_gives_and_hands_back_what_the_layer_does():
    linear = _linear()
    stored, fetch = in_main_memory(CPU)(linear.weight.detach())
    fetched = FetchedLinear(linear, stored, fetch, device=CPU, dtype=torch.float32)
    x = torch.randn(3, 5, 256, generator=torch.Generator().manual_seed(1), requires_grad=True)
    ours, theirs = fetched(x), linear(x)
    assert torch.equal(ours, theirs)
    factor = torch.randn(ours.shape, generator=torch.Generator().manual_seed(2))
    (one,) = torch.autograd.grad((ours * factor).sum(), x)
    (other,) = torch.autograd.grad((theirs * factor).sum(), x)
    torch.testing.assert_close(one, other)


def test_a_fetched_layer_computes_in_what_autocast_says():
    linear = _linear()
    stored, fetch = in_main_memory(CPU)(linear.weight.detach())
    fetched = FetchedLinear(linear, stored, fetch, device=CPU, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert fetched(torch.zeros(1, 256)).dtype == torch.bfloat16


def test_the_way_back_keeps_no_copy_of_a_weight():
    linear = _linear()
    made: list[torch.Tensor] = []

    def fetch(kept: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        made.append(kept.clone())
        return made[-1]

    fetched = FetchedLinear(linear, linear.weight, fetch, device=CPU, dtype=torch.float32)
    kept: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = fetched(torch.zeros(2, 256, requires_grad=True))
    assert not any(tensor.shape == linear.weight.shape for tensor in kept)
    y.sum().backward()
    assert len(made) == 2


def test_an_offloaded_base_learns_the_same_and_keeps_its_weights(tiny_folder: Path):
    plain = _learned(_model(tiny_folder))
    model = _model(tiny_folder, offload=True)
    layers = [m for m in model.denoiser.modules() if isinstance(m, FetchedLinear)]
    assert len(layers) == 20
    before = [layer.weight.clone() for layer in layers]
    learned = _learned(model)
    for part in PARTS:
        for name, value in getattr(plain, part).items():
            torch.testing.assert_close(getattr(learned, part)[name], value)
    after = [m for m in model.denoiser.modules() if isinstance(m, FetchedLinear)]
    assert after == layers
    assert all(torch.equal(a, b.weight) for a, b in zip(before, layers, strict=True))


def test_what_is_around_the_blocks_stays_an_ordinary_layer(tiny_folder: Path):
    model = _model(tiny_folder, offload=True)
    assert type(model.denoiser.get_submodule("proj_out")) is nn.Linear
    assert type(model.denoiser.get_submodule("blocks.0.attn1.to_q")) is FetchedLinear


def test_moving_a_network_passes_by_what_is_kept_elsewhere():
    linear = _linear()
    stored, fetch = in_main_memory(CPU)(linear.weight.detach())
    fetched = FetchedLinear(linear, stored, fetch, device=CPU, dtype=torch.float32)
    assert nn.Sequential(fetched).to(torch.float64)[0].weight.dtype == torch.float32


@pytest.mark.parametrize(("weights", "tolerance"), FORMATS)
def test_a_quantized_layer_is_close_to_the_layer(weights: str, tolerance: float):
    linear = _linear().to(torch.bfloat16)
    stored, fetch = quantized(weights, CPU)(linear.weight.detach())
    back = fetch(stored, torch.float32)
    error = (back - linear.weight.float()).abs().max() / linear.weight.float().abs().max()
    assert 0 < error < tolerance


@pytest.mark.parametrize(("weights", "tolerance"), FORMATS)
def test_a_concept_is_learned_over_quantized_weights_that_stay_as_they_are(
    tiny_folder: Path, weights: str, tolerance: float
):
    model = _model(tiny_folder, weights=weights)
    layer: Any = model.denoiser.get_submodule("blocks.0.ffn.net.2")
    before = layer.fetched(torch.float32)
    concept = _learned(model)
    assert any(value.any() for value in concept.motion.values())
    assert concept.provenance.settings["weights"] == weights
    assert model.denoiser.get_submodule("blocks.0.ffn.net.2") is layer
    assert torch.equal(layer.fetched(torch.float32), before)
    thrifty = _learned(_model(tiny_folder, weights=weights, gradient_checkpointing=True))
    assert _same(concept, thrifty)


@pytest.mark.parametrize(("weights", "tolerance"), FORMATS)
def test_a_format_takes_the_bytes_that_are_predicted(weights: str, tolerance: float):
    weight = _linear().weight.detach().to(torch.bfloat16)
    stored, _ = quantized(weights, CPU)(weight)
    tensors = [stored]
    if weights != "nf4":
        tensors = [x for x in vars(stored).values() if isinstance(x, torch.Tensor)]
    found = sum(x.numel() * x.element_size() for x in tensors)
    if weights == "nf4":
        found += 4 * weight.numel() // 64  # the scales, which the package keeps beside it
    assert sketched(weights)(weight)[0].numel() == pytest.approx(found, rel=0.01)


@needs("bitsandbytes")
def test_adamw_of_8_bits_learns_and_goes_on_bitwise(tiny_folder: Path, tmp_path: Path):
    settings = SETTINGS.model_copy(update={"optimizer": "adamw8bit", "checkpoint_every": 1})

    def stop(report: Any) -> None:
        if (report.stage, report.step) == ("sequence", 1):
            raise KeyboardInterrupt

    whole = learn_concept(_model(tiny_folder), [_clip()], settings)
    assert any(value.any() for value in whole.motion.values())
    path = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        learn_concept(_model(tiny_folder), [_clip()], settings, checkpoint=path, on_step=stop)
    assert _same(learn_concept(_model(tiny_folder), [_clip()], settings, checkpoint=path), whole)


@pytest.mark.parametrize(
    ("weights", "package"), [("int8", "torchao"), ("fp8", "torchao"), ("nf4", "bitsandbytes")]
)
def test_a_missing_package_is_named_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch, weights: Any, package: str
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=rf"needs the package {package}; install it with `pip"):
        hardware_of(HardwareSettings(weights=weights))


def test_a_missing_package_of_the_optimizer_shows_before_anything_is_encoded(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
):
    model: Any = _model(tiny_folder)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    settings = LearnSettings(optimizer="adamw8bit")
    with pytest.raises(SettingsError, match="optimizer is 'adamw8bit', which needs the package"):
        learn_concept(model, [_clip()], settings)
    assert "text_encoder" not in model.components._loaded


@pytest.mark.parametrize(
    "given",
    [
        {"weights": "int8", "offload": True},
        {"weights": "nf4", "compile": True},
        {"offload": True, "compile": True},
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, Any]):
    with pytest.raises(SettingsError, match="it does not go with"):
        HardwareSettings(**given)


def test_a_sharded_base_keeps_plain_weights(tiny_folder: Path):
    with pytest.raises(SettingsError, match="leave --shard out"):
        load_model(tiny_folder, hardware=HardwareSettings(offload=True), sharded=True)


@pytest.mark.parametrize("backend", ["native", "_native_math", "_native_flash"])
def test_an_attention_backend_changes_a_result_by_rounding_alone(tiny_folder: Path, backend: str):
    plain = _learned(_model(tiny_folder), set_steps=0, sequence_steps=1)
    chosen = _learned(_model(tiny_folder, attention=backend), set_steps=0, sequence_steps=1)
    for name, value in plain.motion.items():
        torch.testing.assert_close(chosen.motion[name], value, atol=2e-3, rtol=0)


def test_the_video_attends_to_itself_by_the_chosen_backend(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    from diffusers.models import attention_dispatch

    model, used = _model(tiny_folder, attention="_native_math"), []
    plain = attention_dispatch.dispatch_attention_fn

    def dispatch(*given: Any, **options: Any) -> Any:
        used.append(options["backend"])
        return plain(*given, **options)

    monkeypatch.setattr(attention_dispatch, "dispatch_attention_fn", dispatch)
    _learned(model, set_steps=0, sequence_steps=1)
    assert used == ["_native_math"] * 2  # once in each block


def test_an_attention_backend_without_its_package_is_refused(tiny_folder: Path):
    if importlib.util.find_spec("flash_attn") is not None:
        pytest.skip("flash_attn is installed")
    with pytest.raises(SettingsError, match="attention is 'flash', which cannot be used here"):
        _ = _model(tiny_folder, attention="flash").denoiser


def test_every_block_is_compiled_where_that_is_asked_for(tiny_folder: Path):
    blocks: Any = _model(tiny_folder, compile=True).denoiser.get_submodule("blocks")
    assert all(block._compiled_call_impl is not None for block in blocks)
    plain: Any = _model(tiny_folder).denoiser.get_submodule("blocks")
    assert all(block._compiled_call_impl is None for block in plain)


@pytest.mark.slow
def test_compiled_blocks_learn_the_same(tiny_folder: Path):
    plain, compiled = _learned(_model(tiny_folder)), _learned(_model(tiny_folder, compile=True))
    for name, value in plain.motion.items():
        torch.testing.assert_close(compiled.motion[name], value, atol=2e-3, rtol=0)


def test_blocks_alone_are_stored_otherwise():
    network = nn.ModuleDict({"blocks": nn.ModuleList([_linear()]), "head": _linear()})
    store_blocks(network, in_main_memory(CPU), device=CPU, dtype=torch.float32)
    assert type(network.get_submodule("blocks.0")) is FetchedLinear
    assert type(network.get_submodule("head")) is nn.Linear
