"""LTX-2's picture without its sound: equal to the pipeline where that isolates them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq.errors import BaseModelError
from setseq.models.registry import load_model
from setseq.sampling import draw_noise, sample
from tests.models import tiny_ltx2

PROMPT = "a red character in the snow"
PLAIN = {**tiny_ltx2.ISOLATED, "modality_scale": 1.0, "audio_modality_scale": 1.0}  # no third pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ltx2.save(tmp_path_factory.mktemp("ltx2") / "base")


def _pipeline(folder: Path) -> Any:
    made = tiny_ltx2.pipeline().from_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    return made


def _theirs(pipeline: Any, model: Any, guidance: float, **how: float) -> torch.Tensor:
    noise = draw_noise(model.geometry.latent_shape(5, 32, 32), [0])
    latents = pipeline(
        prompt=[PROMPT],
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=3,
        latents=noise.flatten(2).transpose(1, 2),
        frame_rate=24,
        guidance_scale=guidance,
        output_type="latent",
        return_dict=False,
        **how,
    )[0]
    return tiny_ltx2.normalised(latents, model.geometry)


def _ours(model: Any, guidance: float) -> torch.Tensor:
    noise = draw_noise(model.geometry.latent_shape(5, 32, 32), [0])
    return sample(model, [PROMPT], noise, num_steps=3, guidance=guidance)


def test_guidance_equals_that_of_a_pipeline_whose_picture_does_not_hear(folder: Path):
    model, pipeline = load_model(folder), _pipeline(folder)
    with torch.no_grad():
        for block in pipeline.transformer.transformer_blocks:
            for value in block.audio_to_video_attn.to_out.parameters():
                value.zero_()
    theirs = _theirs(pipeline, model, 4.0, **PLAIN)
    torch.testing.assert_close(_ours(model, 4.0), theirs, atol=1e-4, rtol=0)
    assert (_ours(model, 1.0) - theirs).abs().max() > 2e-3


def test_the_pipelines_joint_mode_is_another_one(folder: Path):
    model, pipeline = load_model(folder), _pipeline(folder)
    joint = _theirs(pipeline, model, 1.0, **PLAIN)
    assert (_ours(model, 1.0) - joint).abs().max() > 2e-3


def test_version_2_3_equals_its_pipeline_too(tmp_path: Path):
    folder = tiny_ltx2.save_23(tmp_path / "base")
    model = load_model(folder)
    theirs = _theirs(_pipeline(folder), model, 1.0, **tiny_ltx2.ISOLATED)
    torch.testing.assert_close(_ours(model, 1.0), theirs, atol=1e-4, rtol=0)


def test_concepts_stand_in_the_pictures_layers_alone(folder: Path):
    model = load_model(folder)
    names = [
        name for name, _ in model.denoiser.named_modules() if re.fullmatch(model.lora_targets, name)
    ]
    layers = ["ff.net.0.proj", "ff.net.2"]
    layers += [f"attn{k}.{n}" for k in (1, 2) for n in ("to_q", "to_k", "to_v", "to_out.0")]
    assert set(names) == {f"transformer_blocks.{n}.{layer}" for n in (0, 1) for layer in layers}


@torch.no_grad()
def test_a_learned_row_with_a_known_words_values_encodes_as_that_word(folder: Path):
    """Gemma multiplies its rows, and so ours."""
    model: Any = load_model(folder)
    word = model.encode_prompts([PROMPT]).tensors["text"]
    tokens = model.add_tokens(["[v1]"])
    index = model.tokenizer.convert_tokens_to_ids("red")
    own = model._text_encoder.get_input_embeddings().weight
    tokens.rows.copy_(own[index : index + 1])
    row = model.encode_prompts([PROMPT.replace("red", "[v1]")]).tensors["text"]
    torch.testing.assert_close(row, word)


@torch.no_grad()
def test_the_connectors_leave_memory_with_the_text_encoder(folder: Path):
    model: Any = load_model(folder)
    model.encode_prompts([PROMPT])
    assert {"text_encoder", "connectors"} <= model.components._loaded.keys()
    model.release()
    assert not {"text_encoder", "connectors"} & model.components._loaded.keys()


def test_missing_connectors_are_named(folder: Path, tmp_path: Path):
    copy = Path(shutil.copytree(folder, tmp_path / "base"))
    shutil.rmtree(copy / "connectors")
    with pytest.raises(BaseModelError, match="lacks its connectors; download the model again"):
        load_model(copy)


def test_a_text_encoder_of_a_later_version_is_refused(folder: Path, tmp_path: Path):
    copy = Path(shutil.copytree(folder, tmp_path / "base"))
    index = json.loads((copy / "model_index.json").read_text())
    index["text_encoder"] = ["transformers", "Gemma4UnifiedForConditionalGeneration"]
    (copy / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(BaseModelError, match=r"text_encoder is a Gemma4\w+, which is no known"):
        load_model(copy)
