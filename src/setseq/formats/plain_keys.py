"""What is in a plain LoRA file: pairs of factors by the names that the file has for layers.

Read are the forms of diffusers and PEFT (``lora_A``, ``lora_B``), of ComfyUI and of kohya's
trainers (``lora_down``, ``lora_up``, ``alpha``). Everything else in a file is an error.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from setseq.errors import LoraFileError
from setseq.formats.tensor_file import TensorFileError, read_tensors

_FACTOR = re.compile(r"(.+)\.lora[._](?:(A|down)|(B|up))(?:\.default)?\.weight")
_ALPHA = re.compile(r"(.+)\.alpha")
_ADAPTER = "lora_adapter_metadata"  # of files that diffusers wrote
_OTHER_KINDS = {  # what a foreign key is, by a part of it
    "dora_scale": "of a DoRA",
    "lora_magnitude_vector": "of a DoRA",
    "hada_w": "of a LoHa",
    "lokr_w": "of a LoKr",
    ".diff": "a change of a whole weight or bias",
    ".bias": "a change of a bias",
    "norm": "of a norm",
    "lora_te": "of a text encoder",
    "text_encoder": "of a text encoder",
    "conv": "of a convolution",
}
SUPPORTED = (
    "supported are LoRAs of linear layers of the base's video transformer, with the names of"
    " diffusers, ComfyUI or kohya's trainers"
)


@dataclass(frozen=True, eq=False)
class Factors:
    """One layer of a LoRA file: its change is ``up @ down``.

    Attributes:
        name: of the layer in the file, with its prefix.
        down: A, (rank, in), float32.
        up: B, (out, rank), float32, with the file's scale in it.
    """

    name: str
    down: Tensor
    up: Tensor


def read_factors(path: Path) -> dict[str, Factors]:
    """The layers of a LoRA file by the names that it has for them, prefixes and all.

    Raises:
        LoraFileError: it is missing, a pickle or damaged, or has something else than plain pairs
            of factors.
    """
    if not path.is_file():
        raise LoraFileError(f"there is no LoRA file at {path}; give a .safetensors file")
    try:
        metadata, tensors = read_tensors(path)
    except TensorFileError as error:
        way_out = error.way_out or "give another file, or get it again"
        raise LoraFileError(f"{path}: {error}; {way_out}") from error
    if not tensors:
        raise LoraFileError(f"{path}: it has no layers; give another file")
    sides: dict[str, dict[str, str]] = {}
    for key in tensors:
        if match := _FACTOR.fullmatch(key):
            sides.setdefault(match[1], {})["down" if match[2] else "up"] = key
        elif match := _ALPHA.fullmatch(key):
            sides.setdefault(match[1], {})["alpha"] = key
    known = {key for own in sides.values() if own.keys() >= {"down", "up"} for key in own.values()}
    if odd := [key for key in tensors if key not in known]:
        raise foreign_keys(path, odd, f"{len(tensors)} keys", "no factors of a linear layer")
    adapters = _adapters(path, metadata)
    if adapters and (key := next((own["alpha"] for own in sides.values() if "alpha" in own), "")):
        raise LoraFileError(
            f"{path}: its metadata has a scale and so has {key!r}, and programs differ in which"
            " they follow; save it anew in the program that made it"
        )
    return {
        name: _factors(path, {side: tensors[key] for side, key in own.items()}, name, adapters)
        for name, own in sides.items()
    }


def foreign_keys(path: Path, odd: Sequence[str], of: str, what: str) -> LoraFileError:
    """The error of keys that cannot be used: how many, the first one, and what is supported.

    Args:
        path: the file.
        odd: at least one key.
        of: all that it has, as "12 keys".
        what: they are, as "no factors of a linear layer".
    """
    kind = next((kind for part, kind in _OTHER_KINDS.items() if part in odd[0]), "")
    return LoraFileError(
        f"{path}: {len(odd)} of its {of} are {what}, the first one {odd[0]!r}"
        f"{f' ({kind})' if kind else ''}; {SUPPORTED}"
    )


def _factors(
    path: Path, own: Mapping[str, Tensor], name: str, adapters: Mapping[str, dict[str, Any]]
) -> Factors:
    down, up = own["down"].float(), own["up"].float()
    if not (down.ndim == up.ndim == 2 and len(down) == up.shape[1]):
        raise LoraFileError(
            f"{path}: {name!r} has factors of shapes {tuple(down.shape)} and {tuple(up.shape)},"
            f" which are no factors of a linear layer; {SUPPORTED}"
        )
    rank = len(down)
    try:
        scale = own["alpha"].item() / rank if "alpha" in own else _scale(adapters, name, rank)
        usable = math.isfinite(scale) and scale != 0
    except (AttributeError, RuntimeError, TypeError):  # not one number, or no number at all
        usable, scale = False, 1.0
    if not usable:
        raise LoraFileError(
            f"{path}: the alpha of {name!r} is no number other than 0; save it anew in the program"
            " that made it"
        )
    return Factors(name, down, up if scale == 1 else scale * up)


def _adapters(path: Path, metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What diffusers wrote of each network's adapter, by the prefix of the network's layers."""
    adapters: dict[str, dict[str, Any]] = {}
    try:
        for key, value in json.loads(metadata.get(_ADAPTER, "{}")).items():
            prefix, dot, name = key.rpartition(".")
            adapters.setdefault(prefix + dot, {})[name] = value
    except (ValueError, AttributeError) as error:
        raise LoraFileError(
            f"{path}: its metadata {_ADAPTER!r} cannot be read; get the file again"
        ) from error
    return adapters


def _scale(adapters: Mapping[str, dict[str, Any]], name: str, rank: int) -> float:
    """What the metadata makes of alpha and rank, as PEFT does; 1 without any."""
    for prefix, adapter in adapters.items():
        if name.startswith(prefix):
            layer = "." + name.removeprefix(prefix)
            patterns: dict[str, float] = adapter.get("alpha_pattern") or {}
            own = (alpha for part, alpha in patterns.items() if layer.endswith("." + part))
            alpha = next(own, adapter.get("lora_alpha", rank))
            return alpha / (math.sqrt(rank) if adapter.get("use_rslora") else rank)
    return 1.0
