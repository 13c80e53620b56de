"""Plain LoRA files that load unchanged in diffusers and in ComfyUI.

Both read ``diffusion_model.<name in the original checkpoint>.lora_A.weight`` and ``lora_B``; the
strengths are baked into B, so no alpha and no adapter metadata are needed, which either program
would read in its own way.
"""

import re
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from setseq.concept import Concept
from setseq.errors import OutputError
from setseq.outputs import write_bytes

# One map a family: our (diffusers') layer names to those of the original checkpoints.
_ORIGINAL_NAMES = {
    "wan": (
        (r"(blocks\.\d+)\.attn1\.to_([qkv])", r"\1.self_attn.\2"),
        (r"(blocks\.\d+)\.attn1\.to_out\.0", r"\1.self_attn.o"),
        (r"(blocks\.\d+)\.attn2\.to_([qkv])", r"\1.cross_attn.\2"),
        (r"(blocks\.\d+)\.attn2\.to_out\.0", r"\1.cross_attn.o"),
        (r"(blocks\.\d+)\.ffn\.net\.0\.proj", r"\1.ffn.0"),
        (r"(blocks\.\d+)\.ffn\.net\.2", r"\1.ffn.2"),
    ),
}


def original_name(family: str, layer: str) -> str:
    """A layer's name in the original checkpoints of its family.

    Raises:
        OutputError: the family or the layer has no known name.
    """
    for pattern, name in _ORIGINAL_NAMES.get(family, ()):
        if match := re.fullmatch(pattern, layer):
            return match.expand(name)
    raise OutputError(
        f"layer {layer!r} of a {family!r} model has no name in other programs;"
        f" known families: {', '.join(_ORIGINAL_NAMES)}; learn with the default target layers"
    )


def plain_lora(
    concept: Concept, *, identity: float = 1.0, motion: float = 1.0
) -> dict[str, Tensor]:
    """The tensors of a plain LoRA that equals the concept at these strengths."""
    tensors = {}
    for layer, (basis, coefficients) in concept.merged(identity, motion).items():
        name = "diffusion_model." + original_name(concept.provenance.family, layer)
        tensors[f"{name}.lora_A.weight"] = basis
        tensors[f"{name}.lora_B.weight"] = coefficients
    return tensors


def export_lora(
    concept: Concept,
    path: Path,
    *,
    identity: float = 1.0,
    motion: float = 1.0,
    dtype: torch.dtype = torch.float32,
    without_tokens: bool = False,
) -> int:
    """Write a concept as one plain LoRA file.

    Args:
        concept: what to export.
        path: a .safetensors file.
        identity: identity strength, baked in.
        motion: motion strength, baked in.
        dtype: of the stored numbers.
        without_tokens: leave learned tokens out, which a plain LoRA cannot hold.

    Returns:
        The file's size in bytes.

    Raises:
        OutputError: the file cannot be written, a layer has no name elsewhere, or the concept
            has learned tokens and ``without_tokens`` is False.
    """
    if concept.tokens and not without_tokens:
        raise OutputError(
            "the concept has learned tokens, which a plain LoRA cannot hold; learn it with literal"
            " tokens, or export it with --without-tokens and expect a weaker likeness"
        )
    tensors = plain_lora(concept, identity=identity, motion=motion)
    stored = {key: tensors[key].to("cpu", dtype).contiguous() for key in sorted(tensors)}
    content = save(stored, {"format": "pt"})
    write_bytes(path, content)
    return len(content)
