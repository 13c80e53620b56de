"""Parts of a pipeline are read when they are needed, and let go when asked."""

from pathlib import Path

import pytest
import torch

from setseq.errors import BaseModelError, ConceptFileError
from setseq.models.registry import load_model
from setseq.sampling import with_concept
from tests.formats.test_native import a_concept

PIXELS = torch.zeros(1, 3, 1, 16, 16)


def _in_memory(model) -> set[str]:
    return {name for name in model.components._loaded if name not in ("tokenizer", "scheduler")}


@torch.no_grad()
def test_nothing_is_read_before_it_is_needed_and_release_lets_go(tiny_folder: Path):
    model = load_model(tiny_folder)
    assert model.geometry.latent_shape(5, 32, 32) == (4, 2, 4, 4)
    assert _in_memory(model) == set()
    latents, prompts = model.encode_video(PIXELS), model.encode_prompts(["a character"])
    assert _in_memory(model) == {"vae", "text_encoder"}
    model.release()
    assert _in_memory(model) == set()
    model.velocity(latents, torch.ones(1), prompts)
    assert _in_memory(model) == {"transformer"}
    assert torch.equal(model.encode_video(PIXELS), latents)
    assert _in_memory(model) == {"transformer", "vae"}


def test_a_text_encoder_with_learned_rows_stays(tiny_folder: Path):
    model = load_model(tiny_folder)
    tokens = model.add_tokens(["[v1]"])
    model.release()
    assert _in_memory(model) == {"text_encoder"}
    tokens.remove()
    model.release()
    assert _in_memory(model) == set()


def _index(folder: Path, content: str) -> Path:
    (folder / "model_index.json").write_text(content)
    return folder


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '{"_class_name": "WanImageToVideoPipeline"}',
            "a WanImageToVideoPipeline, which starts from an image; .* known pipelines: WanP",
        ),
        (
            '{"_class_name": "TextToVideoSDPipeline", "unet": ["diffusers", "UNet"]}',
            "a TextToVideoSDPipeline, a U-Net, .* known pipelines: WanPipeline, LTXPipeline",
        ),
        (
            '{"_class_name": "LTX2ImageToVideoPipeline"}',
            "a LTX2ImageToVideoPipeline, which starts from an image; ",
        ),
        ('{"_class_name": "LTXConditionPipeline"}', "a LTXConditionPipeline; known pipelines: "),
        ('{"_class_name": 7}', "holds a 7; known pipelines: "),
        ('{"_class_name": "HunyuanVideoPipeline"}', "lacks its transformer; download"),
    ],
)
def test_what_cannot_be_used_says_why_in_one_line(tmp_path: Path, content: str, said: str):
    with pytest.raises(BaseModelError, match=said) as caught:
        load_model(_index(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_never_read(tiny_folder: Path, tmp_path: Path):
    for source in tiny_folder.rglob("*"):
        copy = tmp_path / source.relative_to(tiny_folder)
        if source.is_dir():
            copy.mkdir()
        elif source.name != "model.safetensors":
            copy.write_bytes(source.read_bytes())
    (tmp_path / "text_encoder" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(BaseModelError, match=r"text_encoder has no \.safetensors file; .* never"):
        load_model(tmp_path)


def test_a_concept_of_another_family_is_refused(tiny_folder: Path):
    model = load_model(tiny_folder)
    with (
        pytest.raises(ConceptFileError, match=r"was learned on .* give that base with --base"),
        with_concept(model, a_concept()),
    ):
        pass
