"""Where each layer of a family stands in the networks of ComfyUI and of trainers.

Both have the names of the original checkpoints. Some of these join layers that diffusers has apart
(``qkv``), and Mochi's gated MLP has the two halves of its first layer the other way round; a
``Place`` says both. HunyuanVideo 1.5 has ``img_attn_q``, ``img_attn_k`` and so on in the original
and in trainers, and joined as ``img_attn_qkv`` in ComfyUI.
"""

import re
from dataclasses import dataclass

from setseq.errors import OutputError


@dataclass(frozen=True)
class Place:
    """A layer's place in the original checkpoint.

    Attributes:
        name: the original layer.
        slot: which of the layers that are joined in it, in order of its output rows.
        slots: how many layers are joined in it.
        swapped: whether the halves of its output rows are the other way round.
    """

    name: str
    slot: int = 0
    slots: int = 1
    swapped: bool = False


_Rule = tuple[str, Place]


def _joined(pattern: str, name: str, layers: tuple[str, ...]) -> tuple[_Rule, ...]:
    """Rules of layers that the original joins in one."""
    return tuple(
        (pattern + re.escape(layer), Place(name, slot, len(layers)))
        for slot, layer in enumerate(layers)
    )


_WAN = (
    (r"(blocks\.\d+)\.attn1\.to_([qkv])", Place(r"\1.self_attn.\2")),
    (r"(blocks\.\d+)\.attn1\.to_out\.0", Place(r"\1.self_attn.o")),
    (r"(blocks\.\d+)\.attn2\.to_([qkv])", Place(r"\1.cross_attn.\2")),
    (r"(blocks\.\d+)\.attn2\.to_out\.0", Place(r"\1.cross_attn.o")),
    (r"(blocks\.\d+)\.ffn\.net\.0\.proj", Place(r"\1.ffn.0")),
    (r"(blocks\.\d+)\.ffn\.net\.2", Place(r"\1.ffn.2")),
)
_LTX = ((r"(transformer_blocks\.\d+\.(?:attn[12]|ff)\..+)", Place(r"\1")),)
_COGVIDEOX = (
    (r"transformer_(blocks\.\d+)\.attn1\.to_([qkv])", Place(r"\1.\2")),
    (r"transformer_(blocks\.\d+)\.attn1\.to_out\.0", Place(r"\1.attn_out")),
    (r"transformer_(blocks\.\d+)\.ff\.net\.0\.proj", Place(r"\1.ff_proj")),
    (r"transformer_(blocks\.\d+)\.ff\.net\.2", Place(r"\1.ff_out")),
)
_DOUBLE, _SINGLE = r"transformer_blocks\.(\d+)\.", r"single_transformer_blocks\.(\d+)\."
_QKV, _ADDED = ("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")
_HUNYUAN = (
    *_joined(_DOUBLE + r"attn\.", r"double_blocks.\1.img_attn_qkv", _QKV),
    *_joined(_DOUBLE + r"attn\.", r"double_blocks.\1.txt_attn_qkv", _ADDED),
    (_DOUBLE + r"attn\.to_out\.0", Place(r"double_blocks.\1.img_attn_proj")),
    (_DOUBLE + r"attn\.to_add_out", Place(r"double_blocks.\1.txt_attn_proj")),
    (_DOUBLE + r"ff\.net\.0\.proj", Place(r"double_blocks.\1.img_mlp.fc1")),
    (_DOUBLE + r"ff\.net\.2", Place(r"double_blocks.\1.img_mlp.fc2")),
    (_DOUBLE + r"ff_context\.net\.0\.proj", Place(r"double_blocks.\1.txt_mlp.fc1")),
    (_DOUBLE + r"ff_context\.net\.2", Place(r"double_blocks.\1.txt_mlp.fc2")),
    *_joined(
        _SINGLE,
        r"single_blocks.\1.linear1",
        ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    ),
    (_SINGLE + "proj_out", Place(r"single_blocks.\1.linear2")),
)
_MOCHI = (
    *_joined(_DOUBLE + r"attn1\.", r"blocks.\1.attn.qkv_x", _QKV),
    *_joined(_DOUBLE + r"attn1\.", r"blocks.\1.attn.qkv_y", _ADDED),
    (_DOUBLE + r"attn1\.to_out\.0", Place(r"blocks.\1.attn.proj_x")),
    (_DOUBLE + r"attn1\.to_add_out", Place(r"blocks.\1.attn.proj_y")),
    (_DOUBLE + r"ff\.net\.0\.proj", Place(r"blocks.\1.mlp_x.w1", swapped=True)),
    (_DOUBLE + r"ff\.net\.2", Place(r"blocks.\1.mlp_x.w2")),
    (_DOUBLE + r"ff_context\.net\.0\.proj", Place(r"blocks.\1.mlp_y.w1", swapped=True)),
    (_DOUBLE + r"ff_context\.net\.2", Place(r"blocks.\1.mlp_y.w2")),
)
_APART = (
    (_DOUBLE + r"attn\.to_([qkv])", Place(r"double_blocks.\1.img_attn_\2")),
    (_DOUBLE + r"attn\.add_([qkv])_proj", Place(r"double_blocks.\1.txt_attn_\2")),
    *(rule for rule in _HUNYUAN if rule[1].slots == 1),
)
_RULES: dict[str, tuple[_Rule, ...]] = {
    "wan": _WAN,
    "ltx": _LTX,
    "ltx2": _LTX,
    "cogvideox": _COGVIDEOX,
    "hunyuan": _HUNYUAN,
    "hunyuan15": _HUNYUAN,
    "mochi": _MOCHI,
}
_TRAINER_RULES = {**_RULES, "hunyuan15": _APART}


def known_places(family: str, layer: str) -> list[Place]:
    """A layer's places in ComfyUI and in trainers; none where it has no name there."""
    found = (_place(rules[family], layer) for rules in (_RULES, _TRAINER_RULES) if family in rules)
    return list(dict.fromkeys(place for place in found if place))


def original_place(family: str, layer: str, *, trainer: bool = False) -> Place:
    """A layer's place in its family's network.

    Args:
        family: of the model.
        layer: by diffusers' name.
        trainer: as trainers have it; as ComfyUI has it otherwise.

    Raises:
        OutputError: the family or the layer has no known place.
    """
    if place := _place((_TRAINER_RULES if trainer else _RULES).get(family, ()), layer):
        return place
    raise OutputError(
        f"layer {layer!r} of a {family!r} model has no name in other programs;"
        f" known families: {', '.join(_RULES)}; learn with the default target layers"
    )


def _place(rules: tuple[_Rule, ...], layer: str) -> Place | None:
    for pattern, place in rules:
        if match := re.fullmatch(pattern, layer):
            return Place(match.expand(place.name), place.slot, place.slots, place.swapped)
    return None
