"""Original names and joined layers, for ComfyUI and trainers, by published rules and by values.

ComfyUI patches ``<layer>.weight`` of its network for each ``diffusion_model.<layer>`` with lora_A
and lora_B, and for each ``lora_unet_<layer>``, dots as underscores, with lora_down, lora_up and
alpha; of HunyuanVideo it reads ``img_attn_qkv``, ``img_mlp.fc1`` and the like for its own
``img_attn.qkv`` and ``img_mlp.0``. Source: comfy/lora.py of comfyanonymous/ComfyUI. The names of
trainers: networks/lora.py and convert_lora.py of kohya-ss/musubi-tuner.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from diffusers.loaders.lora_conversion_utils import _convert_hunyuan_video_lora_to_diffusers
from diffusers.models.attention import FeedForward
from safetensors.torch import load_file

from setseq.concept import Concept
from setseq.errors import OutputError
from setseq.formats.peft_keys import export_lora, plain_lora
from tests.formats.test_native import ORIGIN

MLP = ("net.0.proj", "net.2")
QKV, ADDED = ("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")
DOUBLE = [
    *(f"attn.{name}" for name in (*QKV, "to_out.0", *ADDED, "to_add_out")),
    *(f"{part}.{name}" for part in ("ff", "ff_context") for name in MLP),
]
LAYERS = {
    "wan": [f"blocks.0.attn{k}.{n}" for k in (1, 2) for n in (*QKV, "to_out.0")]
    + [f"blocks.0.ffn.{name}" for name in MLP],
    "ltx": [f"transformer_blocks.0.attn{k}.{n}" for k in (1, 2) for n in (*QKV, "to_out.0")]
    + [f"transformer_blocks.0.ff.{name}" for name in MLP],
    "ltx2": [f"transformer_blocks.0.attn{k}.{n}" for k in (1, 2) for n in (*QKV, "to_out.0")]
    + [f"transformer_blocks.0.ff.{name}" for name in MLP],
    "cogvideox": [f"transformer_blocks.0.attn1.{n}" for n in (*QKV, "to_out.0")]
    + [f"transformer_blocks.0.ff.{name}" for name in MLP],
    "hunyuan": [f"transformer_blocks.0.{name}" for name in DOUBLE]
    + [
        f"single_transformer_blocks.0.{name}"
        for name in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp", "proj_out")
    ],
    "hunyuan15": [f"transformer_blocks.0.{name}" for name in DOUBLE],
    "mochi": [f"transformer_blocks.0.{name.replace('attn.', 'attn1.')}" for name in DOUBLE],
}
_MMDIT = {
    *(f"{s}_{n}" for s in ("img", "txt") for n in ("attn_qkv", "attn_proj", "mlp.fc1", "mlp.fc2"))
}
ORIGINALS = {
    "wan": {f"blocks.0.{a}_attn.{n}" for a in ("self", "cross") for n in "qkvo"}
    | {"blocks.0.ffn.0", "blocks.0.ffn.2"},
    "ltx": set(LAYERS["ltx"]),
    "ltx2": set(LAYERS["ltx2"]),
    "cogvideox": {f"blocks.0.{n}" for n in ("q", "k", "v", "attn_out", "ff_proj", "ff_out")},
    "hunyuan": {f"double_blocks.0.{n}" for n in _MMDIT}
    | {"single_blocks.0.linear1", "single_blocks.0.linear2"},
    "hunyuan15": {f"double_blocks.0.{n}" for n in _MMDIT},
    "mochi": {
        f"blocks.0.{n}"
        for n in [f"attn.{n}_{s}" for n in ("qkv", "proj") for s in "xy"]
        + [f"mlp_{s}.w{k}" for s in "xy" for k in (1, 2)]
    },
}
# The linear layers of ComfyUI's own networks, where their names are not those of the originals.
COMFY = {
    **ORIGINALS,
    **{
        family: {
            name.replace("_attn_", "_attn.").replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.2")
            for name in ORIGINALS[family]
        }
        for family in ("hunyuan", "hunyuan15")
    },
}
TRAINERS = {
    **ORIGINALS,
    "hunyuan15": {f"double_blocks.0.{s}_attn_{n}" for s in ("img", "txt") for n in "qkv"}
    | {name for name in ORIGINALS["hunyuan15"] if "qkv" not in name},
}


def _comfy_keys(family: str) -> dict[str, str]:
    """What a file may call each layer of ComfyUI's network, by its published rules."""
    keys = {}
    for layer in COMFY[family]:
        keys[f"diffusion_model.{layer}"] = layer
        keys["lora_unet_" + layer.replace(".", "_")] = layer
        if family.startswith("hunyuan"):
            old = layer.replace("_attn.qkv", "_attn_qkv").replace("_attn.proj", "_attn_proj")
            old = old.replace("mlp.0", "mlp.fc1").replace("mlp.2", "mlp.fc2")
            keys[f"diffusion_model.{old}"] = layer
    return keys


def a_concept(family: str, outputs: int = 6, layers: list[str] | None = None) -> Concept:
    """A random concept of rank 2 on these layers, of 4 inputs each."""
    generator = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> dict[str, torch.Tensor]:
        return {name: torch.randn(*shape, generator=generator) for name in layers or LAYERS[family]}

    return Concept(
        basis=draw(2, 4),
        identity=draw(outputs, 2),
        motion=draw(outputs, 2),
        provenance=replace(ORIGIN, family=family),
    )


def _changes(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The dense change of each layer."""
    ends = re.compile(rf"{prefix}\.(.*)\.lora_A\.weight")
    return {
        match[1]: tensors[f"{prefix}.{match[1]}.lora_B.weight"] @ value
        for name, value in tensors.items()
        if (match := ends.fullmatch(name))
    }


@pytest.mark.parametrize("family", LAYERS)
def test_comfy_files_have_the_original_layers_and_nothing_else(family: str):
    (tensors,) = plain_lora(a_concept(family), program="comfyui").values()
    assert tensors.keys() == {
        f"diffusion_model.{name}.lora_{side}.weight" for name in ORIGINALS[family] for side in "AB"
    }


@pytest.mark.parametrize("family", LAYERS)
def test_comfy_finds_every_layer_of_a_comfy_file_and_each_of_its_own_is_meant_once(family: str):
    (tensors,) = plain_lora(a_concept(family), program="comfyui").values()
    keys = _comfy_keys(family)
    found = [keys[name.partition(".lora_A")[0]] for name in tensors if ".lora_A." in name]
    assert sorted(found) == sorted(COMFY[family])


@pytest.mark.parametrize("family", LAYERS)
def test_kohya_files_have_the_trainers_layers_and_nothing_else(family: str):
    (tensors,) = plain_lora(a_concept(family), program="kohya").values()
    assert tensors.keys() == {
        f"lora_unet_{name.replace('.', '_')}.{end}"
        for name in TRAINERS[family]
        for end in ("lora_down.weight", "lora_up.weight", "alpha")
    }


@pytest.mark.parametrize("family", LAYERS)
def test_comfy_finds_every_layer_of_a_kohya_file_too_but_of_hunyuan_video(family: str):
    (tensors,) = plain_lora(a_concept(family), program="kohya").values()
    names = {name.partition(".")[0] for name in tensors}
    assert (names <= _comfy_keys(family).keys()) == (not family.startswith("hunyuan"))


@pytest.mark.parametrize("family", LAYERS)
def test_a_kohya_file_has_the_changes_of_a_comfy_file_with_alpha_as_the_rank(family: str):
    concept = a_concept(family)
    (kohya,) = plain_lora(concept, program="kohya").values()
    for name in {key.partition(".")[0] for key in kohya}:
        down, up, alpha = (
            kohya[f"{name}.{end}"] for end in ("lora_down.weight", "lora_up.weight", "alpha")
        )
        assert alpha.item() == len(down) == up.shape[1]
    if family != "hunyuan15":
        (comfy,) = plain_lora(concept, program="comfyui").values()
        for name in TRAINERS[family]:
            stem = "lora_unet_" + name.replace(".", "_")
            assert torch.equal(
                kohya[f"{stem}.lora_down.weight"], comfy[f"diffusion_model.{name}.lora_A.weight"]
            )
            assert torch.equal(
                kohya[f"{stem}.lora_up.weight"], comfy[f"diffusion_model.{name}.lora_B.weight"]
            )


def test_the_alpha_of_a_file_in_half_precision_is_still_the_rank(tmp_path: Path):
    generator = torch.Generator().manual_seed(0)
    layer = LAYERS["wan"][0]
    concept = Concept(
        basis={layer: torch.randn(257, 4, generator=generator)},
        identity={layer: torch.randn(6, 257, generator=generator)},
        motion={layer: torch.zeros(6, 257)},
        provenance=ORIGIN,
    )
    path = tmp_path / "lora.safetensors"
    export_lora(concept, path, program="kohya", dtype=torch.bfloat16)
    tensors = load_file(path)
    assert tensors["lora_unet_blocks_0_self_attn_q.alpha"].item() == 257
    assert tensors["lora_unet_blocks_0_self_attn_q.lora_down.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize("family", LAYERS)
def test_diffusers_files_have_diffusers_layers(family: str):
    (tensors,) = plain_lora(a_concept(family), program="diffusers").values()
    same = family in ("wan", "ltx", "ltx2")
    prefix, names = ("diffusion_model", ORIGINALS) if same else ("transformer", LAYERS)
    assert _changes(tensors, prefix).keys() == set(names[family])


def _dense(concept: Concept, layer: str) -> torch.Tensor:
    return (concept.identity[layer] + concept.motion[layer]) @ concept.basis[layer]


def test_joined_layers_change_as_the_single_ones_do():
    concept = a_concept("hunyuan")
    (tensors,) = plain_lora(concept, program="comfyui").values()
    changes = _changes(tensors, "diffusion_model")
    for name, layers in {
        "double_blocks.0.txt_attn_qkv": [f"transformer_blocks.0.attn.{n}" for n in ADDED],
        "single_blocks.0.linear1": [
            *(f"single_transformer_blocks.0.attn.{n}" for n in QKV),
            "single_transformer_blocks.0.proj_mlp",
        ],
    }.items():
        expected = torch.cat([_dense(concept, layer) for layer in layers])
        torch.testing.assert_close(changes[name], expected)


def test_diffusers_reads_the_original_form_of_hunyuan_video_back_exactly():
    """Its converter knows the published width only, so that the concept has that width."""
    concept = a_concept("hunyuan", outputs=3072)
    (tensors,) = plain_lora(concept).values()
    changes = _changes(_convert_hunyuan_video_lora_to_diffusers(dict(tensors)), "transformer")
    assert changes.keys() == set(LAYERS["hunyuan"])
    for layer, change in changes.items():
        torch.testing.assert_close(change, _dense(concept, layer), atol=1e-5, rtol=1e-5)


def test_mochis_gated_layer_has_its_halves_where_the_original_has_them():
    """The original computes ``w2(silu(first half) * second half)`` of w1."""
    concept = a_concept("mochi")
    (tensors,) = plain_lora(concept, program="comfyui").values()
    first = _changes(tensors, "diffusion_model")["blocks.0.mlp_x.w1"]
    layer: Any = FeedForward(4, inner_dim=3, activation_fn="swiglu", bias=False)
    with torch.no_grad():
        layer.net[0].proj.weight.copy_(_dense(concept, "transformer_blocks.0.ff.net.0.proj"))
    x = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    half, gate = F.linear(x, first).chunk(2, dim=-1)
    torch.testing.assert_close(F.silu(half) * gate, layer.net[0](x))


def test_two_experts_are_two_files_of_the_same_layers():
    layers = [f"{expert}.{n}" for expert in ("transformer", "transformer_2") for n in LAYERS["wan"]]
    files = plain_lora(a_concept("wan", layers=layers))
    assert files.keys() == {"high-noise", "low-noise"}
    assert files["high-noise"].keys() == files["low-noise"].keys()
    (plain,) = plain_lora(a_concept("wan")).values()
    assert files["low-noise"].keys() == plain.keys()


def test_a_family_without_one_file_for_both_says_so():
    with pytest.raises(OutputError, match=r"of a mochi model .* --for diffusers or --for comfyui"):
        plain_lora(a_concept("mochi"))


def test_a_joined_layer_that_was_learned_in_part_is_refused():
    concept = a_concept("mochi", layers=["transformer_blocks.0.attn1.to_q"])
    with pytest.raises(OutputError, match=r"'blocks.0.attn.qkv_x' joins 3 layers .* has 1 of them"):
        plain_lora(concept, program="comfyui")
