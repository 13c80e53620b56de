"""Base models load, or say in one line why not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from setseq.config import HardwareSettings
from setseq.errors import BaseModelError
from setseq.models.registry import load_model

NETWORKS = {
    "transformer": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "base"))


def _load_all(folder: Path) -> None:
    model = load_model(folder)  # networks are read when they are first needed
    assert model.denoiser
    model.encode_prompts(["a character"])
    model.encode_video(torch.zeros(1, 3, 1, 16, 16))


def _refused(folder: Path, match: str) -> None:
    with pytest.raises(BaseModelError, match=match) as caught:
        _load_all(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_says_what_to_give(tmp_path: Path):
    _refused(tmp_path / "nowhere", "no base model at .*'toybox'")


def test_a_folder_without_an_index_is_refused(tmp_path: Path):
    _refused(tmp_path, r"model_index\.json is missing")


def test_an_unknown_pipeline_class_is_refused(copied: Path):
    (copied / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    _refused(copied, "FluxPipeline; known pipelines: WanPipeline")


def test_an_unknown_component_class_is_never_imported(copied: Path):
    index = json.loads((copied / "model_index.json").read_text())
    index["vae"] = ["os", "system"]
    (copied / "model_index.json").write_text(json.dumps(index))
    _refused(copied, "vae is a system, which is no known class")


@pytest.mark.parametrize("entry", ["x", ["diffusers"], 7, {"a": 1}, ["diffusers", ["x"]]])
def test_an_index_of_another_form_is_refused(copied: Path, entry: object):
    index = json.loads((copied / "model_index.json").read_text())
    for component in ("vae", "scheduler"):
        changed = json.dumps({**index, component: entry})
        (copied / "model_index.json").write_text(changed)
        _refused(copied, f"{component} is a .*, which is no known class")


@pytest.mark.parametrize(
    "component", ["transformer", "text_encoder", "tokenizer", "vae", "scheduler"]
)
def test_a_missing_component_is_named(copied: Path, component: str):
    shutil.rmtree(copied / component)
    _refused(copied, f"lacks its {component}")


def test_a_network_that_reads_more_than_latents_is_refused(copied: Path):
    """As one that starts from an image does, under the class of one that does not."""
    path = copied / "transformer" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "in_channels": 9}))
    _refused(copied, "latents of 9 channels and an autoencoder that makes 4, .* text-to-video")


def test_a_network_without_its_description_is_refused(copied: Path):
    (copied / "transformer" / "config.json").unlink()
    _refused(copied, "config.json is missing; it describes the network; download the model again")


@pytest.mark.parametrize("component", NETWORKS)
def test_damaged_weights_are_refused(copied: Path, component: str):
    (copied / component / NETWORKS[component]).write_bytes(b"damaged")
    _refused(copied, f"{component} cannot be loaded")


@pytest.mark.parametrize("component", NETWORKS)
def test_a_missing_weight_is_an_error_and_no_warning(copied: Path, component: str):
    path = copied / component / NETWORKS[component]
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path, metadata={"format": "pt"})
    _refused(copied, component)


def test_the_card_sets_geometry_id_and_defaults(copied: Path):
    card = {"id": "small", "fps": 8, "width": 32, "height": 32, "num_frames": 5}
    (copied / "setseq.json").write_text(json.dumps({**card, "learn": {"rank": 4}}))
    model = load_model(copied)
    assert model.id == "small"
    assert model.geometry.latent_shape() == (4, 2, 4, 4)
    assert model.defaults.learn == {"rank": 4}


def test_a_wrong_card_names_the_field(copied: Path):
    (copied / "setseq.json").write_text('{"fps": -1}')
    _refused(copied, r"setseq\.json: fps: ")


def test_the_fingerprint_follows_weights_and_configs_and_nothing_else(
    tiny_folder: Path, copied: Path
):
    (copied / "setseq.json").write_text('{"id": "renamed"}')
    same = load_model(copied).fingerprint
    assert same == load_model(tiny_folder).fingerprint
    path = copied / "transformer" / NETWORKS["transformer"]
    tensors = load_file(path)
    tensors["proj_out.bias"] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    other = load_model(copied).fingerprint
    assert other != same
    config = copied / "transformer" / "config.json"
    config.write_text(config.read_text().replace('"eps": 1e-06', '"eps": 1e-05'))
    assert load_model(copied).fingerprint not in (same, other)


def test_loading_prints_no_progress_bars(tiny_folder: Path, capfd: pytest.CaptureFixture[str]):
    load_model(tiny_folder)
    out, err = capfd.readouterr()
    assert out + err == ""


@torch.no_grad()
def test_weights_take_the_wanted_type_and_results_stay_float32(tiny_folder: Path):
    model = load_model(tiny_folder, hardware=HardwareSettings(weights="bf16"))
    assert model.denoiser.get_parameter("proj_out.weight").dtype == torch.bfloat16
    prompt = model.encode_prompts(["a character"])
    latents = torch.zeros(1, 4, 1, 4, 4)
    assert model.velocity(latents, torch.ones(1), prompt).dtype == torch.float32
    assert model.encode_video(torch.zeros(1, 3, 1, 16, 16)).dtype == torch.float32
    assert model.decode_video(latents).dtype == torch.float32
