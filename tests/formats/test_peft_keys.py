"""Exported files load in the real diffusers pipeline, with our result."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from diffusers.loaders.textual_inversion import TextualInversionLoaderMixin
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from safetensors.torch import load_file

from setseq.concept import Concept
from setseq.errors import OutputError
from setseq.formats.layer_names import original_place
from setseq.formats.peft_keys import export_lora, token_path
from setseq.lora.inject import inject
from setseq.sampling import draw_noise, sample, with_concept
from tests.formats.test_native import ORIGIN, a_concept, learned_concept

PROMPTS = ["a zor character in the snow"]


KINDS = {  # of concepts: the method's, and those of two baselines
    "one basis": {"rank": 3},
    "full rank": {"rank": None},
    "ranks side by side": {"rank": 3, "own_motion_basis": True},
}


def _concept(tiny_model, kind: str) -> Concept:
    """A strong random concept on every layer of the tiny model."""
    generator = torch.Generator().manual_seed(1)
    injection = inject(
        tiny_model.denoiser, tiny_model.lora_targets, generator=generator, **KINDS[kind]
    )
    with torch.no_grad():
        for part in ("identity", "motion"):
            for value in injection.parameters(part).values():
                value.normal_(generator=generator).mul_(0.3)
    made = Concept(
        basis=injection.tensors("basis"),
        identity=injection.tensors("identity"),
        motion=injection.tensors("motion"),
        provenance=replace(ORIGIN, fingerprint=tiny_model.fingerprint),
    )
    injection.remove()
    return made


@pytest.fixture
def concept(tiny_model) -> Concept:
    return _concept(tiny_model, "one basis")


def _pipeline_latents(folder: Path, noise: torch.Tensor, lora: Path | None) -> torch.Tensor:
    pipeline = WanPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if lora is not None:
        pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
    return pipeline(
        prompt=PROMPTS,
        negative_prompt="",
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=4,
        guidance_scale=4.0,
        latents=noise.clone(),
        output_type="latent",
        return_dict=False,
    )[0]


@pytest.mark.parametrize(("identity", "motion"), [(1.0, 1.0), (0.5, 1.5), (1.0, 0.0)])
def test_the_pipeline_with_the_exported_file_equals_our_sampler_with_the_concept(
    tiny_folder, tiny_model, tmp_path, concept, identity, motion
):
    path = tmp_path / "lora.safetensors"
    export_lora(concept, path, identity=identity, motion=motion)
    noise = draw_noise(tiny_model.geometry.latent_shape(5, 32, 32), [0])
    with with_concept(tiny_model, concept, identity=identity, motion=motion):
        ours = sample(tiny_model, PROMPTS, noise, num_steps=4, guidance=4.0)
    theirs = _pipeline_latents(tiny_folder, noise, path)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    plain = _pipeline_latents(tiny_folder, noise, None)
    assert (ours - plain).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["full rank", "ranks side by side"])
def test_the_baselines_concepts_export_as_exactly(tiny_folder, tiny_model, tmp_path, kind):
    concept = _concept(tiny_model, kind)
    assert concept.rank == {"full rank": 32, "ranks side by side": 6}[kind]
    path = tmp_path / "lora.safetensors"
    export_lora(concept, path, motion=0.5)
    noise = draw_noise(tiny_model.geometry.latent_shape(5, 32, 32), [0])
    with with_concept(tiny_model, concept, motion=0.5):
        ours = sample(tiny_model, PROMPTS, noise, num_steps=4, guidance=4.0)
    theirs = _pipeline_latents(tiny_folder, noise, path)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_the_key_set_is_that_of_the_original_checkpoints(tmp_path, concept):
    path = tmp_path / "lora.safetensors"
    export_lora(concept, path)
    layers = [f"{a}.{p}" for a in ("self_attn", "cross_attn") for p in "qkvo"] + ["ffn.0", "ffn.2"]
    expected = {
        f"diffusion_model.blocks.{block}.{layer}.lora_{side}.weight"
        for block in range(2)
        for layer in layers
        for side in "AB"
    }
    assert load_file(path).keys() == expected


def test_a_layer_without_a_name_elsewhere_is_refused():
    with pytest.raises(OutputError, match="'proj_out' of a 'wan' model has no name"):
        original_place("wan", "proj_out")
    with pytest.raises(OutputError, match=r"'other' model has no name .* known families: wan"):
        original_place("other", "blocks.0.attn1.to_q")


def test_learned_tokens_are_never_lost_in_silence(tmp_path):
    with pytest.raises(
        OutputError, match=r"cannot hold: only literal tokens carry over .* --tokens"
    ):
        export_lora(learned_concept(), tmp_path / "lora.safetensors")
    assert list(tmp_path.iterdir()) == []
    written = export_lora(learned_concept(), tmp_path / "lora.safetensors", tokens="drop")
    assert written.keys() == {tmp_path / "lora.safetensors"}


class _Reader(TextualInversionLoaderMixin):
    """A pipeline with the loader: no video pipeline of diffusers has it."""

    hf_device_map = None
    components: ClassVar = {}


def test_token_files_are_read_by_diffusers_own_loader_of_textual_inversions(tmp_path, tiny_model):
    generator = torch.Generator().manual_seed(0)
    rows = {word: torch.randn(16, generator=generator) for word in ("[v1]", "[u1]")}
    concept = replace(learned_concept(), tokens=rows)
    lora = tmp_path / "lora.safetensors"
    written = export_lora(concept, lora, tokens="file")
    files = [token_path(lora, word) for word in rows]
    assert written.keys() == {lora, *files}
    components = tiny_model.components
    tokenizer, encoder = copy.deepcopy(components["tokenizer"]), components["text_encoder"]
    _Reader().load_textual_inversion(
        [str(path) for path in files], tokenizer=tokenizer, text_encoder=encoder
    )
    for word, row in rows.items():
        (token,) = tokenizer(word, add_special_tokens=False).input_ids
        assert torch.equal(encoder.get_input_embeddings().weight[token], row)


def test_the_returned_size_is_the_files(tmp_path):
    path = tmp_path / "lora.safetensors"
    written = export_lora(a_concept(), path, dtype=torch.bfloat16)
    assert written == {path: path.stat().st_size}
