"""Plain LoRA files that load unchanged in diffusers and in ComfyUI.

Both read ``<prefix>.<layer>.lora_A.weight`` and ``lora_B``; the strengths are baked into B, so no
alpha and no adapter metadata are needed, which either program would read in its own way. ComfyUI
has the original checkpoints' layers after ``diffusion_model.``. Of some families diffusers reads
these too, so that one file serves both; of the others it wants its own names, after
``transformer.``.
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

Program = Literal["both", "diffusers", "comfyui"]
PROGRAMS: tuple[Program, ...] = ("both", "diffusers", "comfyui")
# Families whose original names diffusers reads too. HunyuanVideo's originals join layers, which
# costs three to four times the rank, so that diffusers has a smaller form of its own as well.
_READ_BY_BOTH = ("wan", "ltx", "ltx2", "hunyuan")
_SAME_FORM = ("wan", "ltx", "ltx2")
_EXPERTS = {"transformer": "high-noise", "transformer_2": "low-noise"}  # of Wan 2.2 A14B
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
        expert = _EXPERTS.get(first, "")
        experts[expert][rest if expert else layer] = pair
    own_names = program == "diffusers" and family not in _SAME_FORM
    return {
        expert: _diffusers_form(layers) if own_names else _original_form(family, layers)
        for expert, layers in experts.items()
    }


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
    without_tokens: bool = False,
) -> dict[Path, int]:
    """Write a concept as one plain LoRA file, or one for each expert of its model.

    Args:
        concept: what to export.
        path: a .safetensors file; see ``lora_path`` for two experts.
        identity: identity strength, baked in.
        motion: motion strength, baked in.
        program: what is to read it.
        dtype: of the stored numbers.
        without_tokens: leave learned tokens out, which a plain LoRA cannot hold.

    Returns:
        The files and their sizes in bytes.

    Raises:
        OutputError: a file cannot be written, a layer has no name elsewhere, no one file serves
            both programs, or the concept has learned tokens and ``without_tokens`` is False.
    """
    if concept.tokens and not without_tokens:
        raise OutputError(
            "the concept has learned tokens, which a plain LoRA cannot hold; learn it with literal"
            " tokens, or export it with --without-tokens and expect a weaker likeness"
        )
    written = {}
    loras = plain_lora(concept, identity=identity, motion=motion, program=program)
    for expert, tensors in loras.items():
        stored = {key: tensors[key].to("cpu", dtype).contiguous() for key in sorted(tensors)}
        content = save(stored, {"format": "pt"})
        write_bytes(lora_path(path, expert), content)
        written[lora_path(path, expert)] = len(content)
    return written


def _keyed(prefix: str, layers: Mapping[str, _Pair]) -> dict[str, Tensor]:
    tensors = {}
    for layer, (basis, coefficients) in layers.items():
        tensors[f"{prefix}.{layer}.lora_A.weight"] = basis
        tensors[f"{prefix}.{layer}.lora_B.weight"] = coefficients
    return tensors


def _diffusers_form(layers: Mapping[str, _Pair]) -> dict[str, Tensor]:
    return _keyed("transformer", layers)


def _original_form(family: str, layers: Mapping[str, _Pair]) -> dict[str, Tensor]:
    """The layers under their original names, joined where the original joins them."""
    found: dict[str, list[tuple[Place, str]]] = defaultdict(list)
    for layer in layers:
        place = original_place(family, layer)
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
    return _keyed("diffusion_model", joined)


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
