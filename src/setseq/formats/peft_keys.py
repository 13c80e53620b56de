"""Plain LoRA files that load unchanged in diffusers, in ComfyUI and in kohya's trainers.

The first two read ``<prefix>.<layer>.lora_A.weight`` and ``lora_B``; the strengths are baked into
B, so no alpha and no adapter metadata are needed, which either program would read in its own way.
ComfyUI has the original checkpoints' layers after ``diffusion_model.``. Of some families diffusers
reads these too, so that one file serves both; of the others it wants its own names, after
``transformer.``.

kohya's trainers (sd-scripts, musubi-tuner) name a layer ``lora_unet_<original_name>``, with
underscores for dots, and scale ``lora_up @ lora_down`` by ``alpha / rank``; so alpha is the rank.
Source: networks/lora.py of kohya-ss/musubi-tuner; comfy/lora.py reads the same names.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save
from torch import Tensor

from setseq.concept import Concept
from setseq.errors import OutputError
from setseq.formats.layer_names import Place, original_place
from setseq.outputs import write_bytes

Program = Literal["both", "diffusers", "comfyui", "kohya"]
Tokens = Literal["drop", "file"]
# Families whose original names diffusers reads too. HunyuanVideo's originals join layers, which
# costs three to four times the rank, so that diffusers has a smaller form of its own as well.
_READ_BY_BOTH = ("wan", "ltx", "ltx2", "hunyuan")
_SAME_FORM = ("wan", "ltx", "ltx2")
EXPERTS = {"transformer": "high-noise", "transformer_2": "low-noise"}  # of Wan 2.2 A14B
KOHYA = "lora_unet_"
_Pair = tuple[Tensor, Tensor]


def plain_lora(
    concept: Concept, *, identity: float = 1.0, motion: float = 1.0, program: Program = "both"
) -> dict[str, dict[str, Tensor]]:
    """The tensors of plain LoRAs that equal the concept at these strengths.

    Returns:
        By expert ("" where the model is one network) the tensors of a file.

    Raises:
        OutputError: a layer has no name in that program, or no file serves both.
    """
    family = concept.provenance.family
    if program == "both" and family not in _READ_BY_BOTH:
        raise OutputError(
            f"no one LoRA file of a {family} model loads in diffusers and in ComfyUI; say which"
            " with --for diffusers or --for comfyui"
        )
    experts: dict[str, dict[str, _Pair]] = defaultdict(dict)
    for layer, pair in concept.merged(identity, motion).items():
        first, _, rest = layer.partition(".")
        expert = EXPERTS.get(first, "")
        experts[expert][rest if expert else layer] = pair
    return {expert: _form(program, family, layers) for expert, layers in experts.items()}


def lora_path(path: Path, expert: str) -> Path:
    """The file of one expert beside ``path``: "lora.high-noise.safetensors"; ``path`` for none."""
    return path.with_suffix(f".{expert}{path.suffix}") if expert else path


def export_lora(
    concept: Concept,
    path: Path,
    *,
    identity: float = 1.0,
    motion: float = 1.0,
    program: Program = "both",
    dtype: torch.dtype = torch.float32,
    tokens: Tokens | None = None,
) -> dict[Path, int]:
    """Write a concept as one plain LoRA file, or one for each expert of its model.

    Learned tokens go into files beside it, one each, in the form of diffusers' textual inversion.

    Args:
        concept: what to export.
        path: a .safetensors file; see ``lora_path`` for two experts.
        identity: identity strength, baked in.
        motion: motion strength, baked in.
        program: what is to read it.
        dtype: of the stored numbers.
        tokens: what becomes of learned tokens, which a plain LoRA cannot hold: "file" writes them
            beside it (``token_path``), "drop" leaves them out.

    Returns:
        The files and their sizes in bytes.

    Raises:
        OutputError: a file cannot be written, a layer has no name elsewhere, no one file serves
            both programs, or the concept has learned tokens and ``tokens`` does not say what
            becomes of them.
    """
    if concept.tokens and tokens is None:
        raise OutputError(
            "the concept has learned tokens, which a plain LoRA cannot hold: only literal tokens"
            " carry over to other programs; learn it with them, or say --tokens file (a textual"
            " inversion beside the LoRA) or --tokens drop (a weaker likeness)"
        )
    loras = plain_lora(concept, identity=identity, motion=motion, program=program)
    files = {lora_path(path, expert): _stored(tensors, dtype) for expert, tensors in loras.items()}
    if tokens == "file":
        for word, row in concept.tokens.items():
            files[token_path(path, word)] = {word: row.cpu()[None].contiguous()}
    contents = {place: save(tensors, {"format": "pt"}) for place, tensors in files.items()}
    for place, content in contents.items():
        write_bytes(place, content)
    return {place: len(content) for place, content in contents.items()}


def token_path(path: Path, word: str) -> Path:
    """The file of one learned token beside ``path``: "lora.token-v1.safetensors" of "[v1]"."""
    return path.with_suffix(f".token-{word.strip('[]')}{path.suffix}")


def _stored(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """In the order and the type of the file; alphas stay float32, as bfloat16 lacks most ranks."""
    return {
        key: tensors[key].to("cpu", dtype if tensors[key].ndim else torch.float32).contiguous()
        for key in sorted(tensors)
    }


def _form(program: Program, family: str, layers: Mapping[str, _Pair]) -> dict[str, Tensor]:
    if program == "kohya":
        return _kohya_keyed(_original(family, layers, trainer=True))
    if program == "diffusers" and family not in _SAME_FORM:
        return _keyed("transformer", layers)
    return _keyed("diffusion_model", _original(family, layers))


def _kohya_keyed(layers: Mapping[str, _Pair]) -> dict[str, Tensor]:
    tensors = {}
    for layer, (basis, coefficients) in layers.items():
        name = KOHYA + layer.replace(".", "_")
        tensors[f"{name}.lora_down.weight"] = basis
        tensors[f"{name}.lora_up.weight"] = coefficients
        tensors[f"{name}.alpha"] = torch.tensor(float(len(basis)))
    return tensors


def _keyed(prefix: str, layers: Mapping[str, _Pair]) -> dict[str, Tensor]:
    tensors = {}
    for layer, (basis, coefficients) in layers.items():
        tensors[f"{prefix}.{layer}.lora_A.weight"] = basis
        tensors[f"{prefix}.{layer}.lora_B.weight"] = coefficients
    return tensors


def _original(
    family: str, layers: Mapping[str, _Pair], *, trainer: bool = False
) -> dict[str, _Pair]:
    """The layers under their original names, joined where the original joins them."""
    found: dict[str, list[tuple[Place, str]]] = defaultdict(list)
    for layer in layers:
        place = original_place(family, layer, trainer=trainer)
        found[place.name].append((place, layer))
    joined = {}
    for name, members in found.items():
        members.sort(key=lambda member: member[0].slot)
        place, layer = members[0]
        if len(members) != place.slots:
            raise OutputError(
                f"the original {name!r} joins {place.slots} layers and the concept has"
                f" {len(members)} of them, as {layer!r}; learn with the default target layers, or"
                " export it with --for diffusers"
            )
        joined[name] = _join([_turned(layers[layer], place) for place, layer in members])
    return joined


def _turned(pair: _Pair, place: Place) -> _Pair:
    basis, coefficients = pair
    if place.swapped:
        coefficients = torch.cat(coefficients.chunk(2)[::-1])
    return basis, coefficients


def _join(pairs: list[_Pair]) -> _Pair:
    """Layers over the same input as one, exactly: bases stacked, coefficients in blocks."""
    if len(pairs) == 1:
        return pairs[0]
    return torch.cat([a for a, _ in pairs]), torch.block_diag(*[b for _, b in pairs])
