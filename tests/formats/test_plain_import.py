"""Plain LoRAs of all three forms become concepts, whole and exactly, or are refused in one line."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from setseq.errors import LoraFileError
from setseq.formats.peft_keys import Program, export_lora
from setseq.formats.plain_import import import_concept
from tests.formats.test_layer_names import LAYERS, a_concept
from tests.formats.test_native import ORIGIN

PROGRAMS: tuple[Program, ...] = ("diffusers", "comfyui", "kohya")
WAN = replace(ORIGIN, settings={})
LAYER = "blocks.0.attn1.to_q"


def _sizes(layers: list[str]) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(layers, (4, 6))


def _saved(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> Path:
    save_file(tensors, path, metadata or None)
    return path


def _pair(rank: int = 2, seed: int = 0, outs: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    down, up = (
        torch.randn(rank, 4, generator=generator),
        torch.randn(outs, rank, generator=generator),
    )
    return down, up


def _lora(name: str, rank: int = 2, sides: tuple[str, str] = ("lora_A", "lora_B"), **given: int):
    down, up = _pair(rank, **given)
    return {f"{name}.{sides[0]}.weight": down, f"{name}.{sides[1]}.weight": up}


def _import(path: Path, *more: Path):
    return import_concept([path, *more], _sizes(LAYERS["wan"]), WAN)


@pytest.mark.parametrize("family", LAYERS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_was_exported_comes_back_and_goes_out_again_the_same(tmp_path, family, program):
    concept = a_concept(family)
    (first,) = export_lora(concept, tmp_path / "1.safetensors", motion=0.5, program=program)
    origin = replace(WAN, family=family)
    back = import_concept([first], _sizes(LAYERS[family]), origin)
    assert back.basis.keys() == concept.basis.keys()
    assert back.rank == concept.rank
    for name, (a, b) in concept.merged(1.0, 0.5).items():
        assert torch.equal(back.basis[name], a)
        assert torch.equal(back.identity[name], b)
        assert not back.motion[name].any()
    (second,) = export_lora(back, tmp_path / "2.safetensors", program=program)
    assert first.read_bytes() == second.read_bytes()


def test_a_joined_layer_of_one_rank_is_given_to_each_of_its_layers(tmp_path):
    down, up = _pair(rank=3, outs=18)
    name = "diffusion_model.double_blocks.0.img_attn_qkv"
    path = _saved(
        tmp_path / "l.safetensors",
        {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up},
    )
    sizes, origin = _sizes(LAYERS["hunyuan"]), replace(WAN, family="hunyuan")
    concept = import_concept([path], sizes, origin)
    layers = [f"transformer_blocks.0.attn.to_{letter}" for letter in "qkv"]
    assert concept.basis.keys() == set(layers)
    change = torch.cat([concept.identity[layer] @ concept.basis[layer] for layer in layers])
    torch.testing.assert_close(change, up @ down)


def test_ranks_that_differ_are_filled_up_with_zero_rows(tmp_path):
    other = "blocks.0.ffn.net.2"
    lora = _lora(f"transformer.{LAYER}", 1) | _lora(f"transformer.{other}", 3)
    concept = _import(_saved(tmp_path / "l.safetensors", lora))
    assert concept.rank == 3
    assert not concept.basis[LAYER][1:].any()
    assert not concept.identity[LAYER][:, 1:].any()
    for layer, rank in ((LAYER, 1), (other, 3)):
        down, up = _pair(rank)
        torch.testing.assert_close(concept.identity[layer] @ concept.basis[layer], up @ down)


KOHYA = "lora_unet_blocks_0_self_attn_q"
SIDES = ("lora_down", "lora_up")


@pytest.mark.parametrize("alpha", [1.0, 2.0, -8.0])
def test_an_alpha_scales_by_its_share_of_the_rank(tmp_path, alpha):
    lora = _lora(KOHYA, 2, SIDES) | {f"{KOHYA}.alpha": torch.tensor(alpha)}
    concept = _import(_saved(tmp_path / "l.safetensors", lora))
    down, up = _pair()
    assert torch.equal(concept.basis[LAYER], down)
    torch.testing.assert_close(concept.identity[LAYER], alpha / 2 * up)


@pytest.mark.parametrize(
    ("adapter", "scale"),
    [
        ({"transformer.lora_alpha": 8}, 4.0),
        ({"lora_alpha": 8, "use_rslora": True}, 8 / 2**0.5),
        ({"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"attn1.to_q": 1}}, 0.5),
        ({"transformer_2.lora_alpha": 8}, 1.0),
    ],
)
def test_the_scale_in_diffusers_metadata_counts(tmp_path, adapter, scale):
    metadata = {"lora_adapter_metadata": json.dumps(adapter)}
    lora = _lora(f"transformer.{LAYER}")
    concept = _import(_saved(tmp_path / "l.safetensors", lora, **metadata))
    torch.testing.assert_close(concept.identity[LAYER], scale * _pair()[1])


def test_a_file_that_diffusers_saved_has_the_change_that_diffusers_makes_of_it(
    tiny_folder, tiny_model, tmp_path
):
    made = WanPipeline.from_pretrained(tiny_folder).transformer
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=["to_q", "to_k"],
        rank_pattern={"blocks.0.attn1.to_q": 2},
        alpha_pattern={"blocks.0.attn1.to_q": 1, "blocks.1.attn2.to_k": 5},
        init_lora_weights=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made.add_adapter(config)
    layers: Any = get_peft_model_state_dict(made)
    metadata = _collate_lora_metadata({"transformer": made})
    WanPipeline.save_lora_weights(tmp_path, transformer_lora_layers=layers, **metadata)
    (path,) = tmp_path.glob("*.safetensors")
    pipeline = WanPipeline.from_pretrained(tiny_folder)
    pipeline.load_lora_weights(str(tmp_path), weight_name=path.name, adapter_name="one")
    back = import_concept([path], tiny_model.linear_layers(), WAN)
    assert len(back.basis) == 8
    assert back.rank == 4
    for name, basis in back.basis.items():
        layer: Any = pipeline.transformer.get_submodule(name)
        torch.testing.assert_close(back.identity[name] @ basis, layer.get_delta_weight("one"))


def test_half_precision_is_read_as_it_is(tmp_path):
    lora = {key: value.bfloat16() for key, value in _lora(f"transformer.{LAYER}").items()}
    concept = _import(_saved(tmp_path / "l.safetensors", lora))
    assert concept.basis[LAYER].dtype == torch.float32
    assert torch.equal(concept.basis[LAYER], _pair()[0].bfloat16().float())


def test_the_file_is_named_with_its_hash(tmp_path):
    path = _saved(tmp_path / "l.safetensors", _lora(f"transformer.{LAYER}"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    settings = _import(path).provenance.settings
    assert settings["imported"] == [{"file": "l.safetensors", "sha256": sha256}]
    assert settings["rank"] == 2


EXPERTS = [
    f"{expert}.{name}" for expert in ("transformer", "transformer_2") for name in LAYERS["wan"]
]


def test_two_experts_come_from_two_files_or_from_one_with_both(tmp_path):
    concept = a_concept("wan", layers=EXPERTS)
    files = list(export_lora(concept, tmp_path / "lora.safetensors"))
    two = import_concept(files, _sizes(EXPERTS), WAN)
    lora = {f"{name}.lora_A.weight": concept.basis[name] for name in EXPERTS}
    lora |= {f"{name}.lora_B.weight": b for name, (_, b) in concept.merged().items()}
    one = import_concept([_saved(tmp_path / "1.safetensors", lora)], _sizes(EXPERTS), WAN)
    for back in (two, one):
        assert back.basis.keys() == set(EXPERTS)
        for name, (a, b) in concept.merged().items():
            assert torch.equal(back.basis[name], a)
            assert torch.equal(back.identity[name], b)
    with pytest.raises(LoraFileError, match=r"two experts, .* give two files, that of the high-no"):
        import_concept(files[:1], _sizes(EXPERTS), WAN)
    with pytest.raises(LoraFileError, match=r"2 LoRA files were given, and 'toybox' has 1 network"):
        import_concept(files, _sizes(LAYERS["wan"]), WAN)


GOOD = _lora(f"transformer.{LAYER}")
REFUSED = {
    "a norm": (
        {"diffusion_model.blocks.0.norm3.diff": torch.ones(6)},
        r"1 of its 3 keys are no factors of a linear layer, the first one 'diffusion_model\.blocks"
        r"\.0\.norm3\.diff' \(a change of a whole weight or bias\); supported are LoRAs of linear",
    ),
    "a text encoder": (
        _lora("lora_te_text_model_encoder_layers_0_mlp_fc1", 2, SIDES),
        r"1 of its 2 layers are none of 'toybox' \(wan\), .*fc1' \(of a text encoder\); supported",
    ),
    "a convolution": (
        {
            "transformer.patch_embedding.lora_A.weight": torch.ones(2, 4, 1, 2, 2),
            "transformer.patch_embedding.lora_B.weight": torch.ones(6, 2, 1, 1, 1),
        },
        r"'transformer\.patch_embedding' has factors of shapes \(2, 4, 1, 2, 2\)",
    ),
    "a DoRA": ({f"transformer.{LAYER}.dora_scale": torch.ones(6)}, r"dora_scale' \(of a DoRA\)"),
    "a LoKr": ({"lora_unet_blocks_0_ffn_0.lokr_w1": torch.ones(2, 2)}, r"\(of a LoKr\)"),
    "half a pair": (
        {"transformer.blocks.0.attn1.to_k.lora_A.weight": torch.ones(2, 4)},
        r"1 of its 3 keys .* 'transformer\.blocks\.0\.attn1\.to_k\.lora_A\.weight'",
    ),
    "a layer that is not there": (_lora("transformer.blocks.9.attn1.to_q"), r"blocks\.9\.attn1"),
    "another size": (
        _lora("transformer.blocks.0.attn1.to_k", outs=8),
        "maps 4 numbers to 8, and that layer of the base maps 4 to 6: .* model of another size",
    ),
    "factors that do not fit": (
        {
            "transformer.blocks.0.attn1.to_k.lora_A.weight": torch.ones(2, 4),
            "transformer.blocks.0.attn1.to_k.lora_B.weight": torch.ones(6, 3),
        },
        r"factors of shapes \(2, 4\) and \(6, 3\)",
    ),
    "a layer twice": (_lora(KOHYA, 2, SIDES), f"it has '{LAYER}' twice"),
    "an alpha of 0": ({f"transformer.{LAYER}.alpha": torch.tensor(0.0)}, "is no number other than"),
    "an alpha of two": ({f"transformer.{LAYER}.alpha": torch.ones(2)}, "is no number other than"),
    "nothing finite": (
        {"transformer.blocks.0.attn1.to_k.lora_A.weight": torch.full((2, 4), float("nan"))},
        "has numbers that are not finite",
    ),
    "whole numbers": ({f"transformer.{LAYER}.alpha": torch.tensor(2)}, "has type I64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_plain_lora_of_the_base_is_refused_whole_in_one_line(tmp_path, case):
    tensors, message = REFUSED[case]
    path = _saved(tmp_path / "l.safetensors", GOOD | tensors)
    with pytest.raises(LoraFileError, match=message) as caught:
        _import(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("family", ["ltx", "cogvideox", "hunyuan", "mochi"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_lora_of_another_family_says_that_it_is(tmp_path, family, program):
    (path,) = export_lora(a_concept(family), tmp_path / "l.safetensors", program=program)
    layers = len({key.rpartition(".lora")[0] for key in load_file(path) if ".lora" in key})
    message = rf"{layers} of its {layers} layers are none of 'toybox' \(wan\): it was made for anot"
    with pytest.raises(LoraFileError, match=message):
        _import(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("{", "metadata 'lora_adapter_metadata' cannot be read"),
        ("[1]", "metadata 'lora_adapter_metadata' cannot be read"),
        ('{"transformer.lora_alpha": "x"}', "is no number other than 0"),
        ('{"transformer.alpha_pattern": 3}', "is no number other than 0"),
    ],
)
def test_wrong_metadata_is_refused(tmp_path, metadata, message):
    path = _saved(tmp_path / "l.safetensors", GOOD, lora_adapter_metadata=metadata)
    with pytest.raises(LoraFileError, match=message):
        _import(path)


def test_two_scales_in_one_file_are_refused(tmp_path):
    alpha = {f"transformer.{LAYER}.alpha": torch.tensor(2.0)}
    metadata = '{"transformer.lora_alpha": 8}'
    path = _saved(tmp_path / "l.safetensors", GOOD | alpha, lora_adapter_metadata=metadata)
    with pytest.raises(LoraFileError, match="its metadata has a scale and so has"):
        _import(path)


@pytest.mark.parametrize("name", ["l.pt", "l.ckpt", "l.bin", "l.pth", "l.safetensors"])
def test_a_pickled_lora_is_refused_and_never_opened(tmp_path, name):
    torch.save(GOOD, tmp_path / name)
    with pytest.raises(LoraFileError, match=r"it is a pickle, .*; save it as \.safetensors in the"):
        _import(tmp_path / name)


def test_an_empty_a_cut_and_a_missing_file_are_refused(tmp_path):
    whole = _saved(tmp_path / "l.safetensors", GOOD).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.safetensors").write_bytes(b"")
    _saved(tmp_path / "empty.safetensors", {})
    for name, message in (
        ("cut", "get it again"),
        ("none", "get it again"),
        ("empty", "it has no layers"),
        ("absent", "there is no LoRA file at"),
    ):
        with pytest.raises(LoraFileError, match=message):
            _import(tmp_path / f"{name}.safetensors")
