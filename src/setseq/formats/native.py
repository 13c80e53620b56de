"""The concept file: one .safetensors with the tensors, and everything else as JSON metadata.

Tensors: ``basis/<layer>`` (rank, in), ``identity/<layer>`` and ``motion/<layer>`` (out, rank),
``token/<word>`` (width,), and ``self_conditioning/projection`` where the concept was trained with
self-conditioning on a base that was not. Metadata: one JSON text under ``setseq_concept`` with
``format_version`` and ``provenance`` (one, because safetensors keeps no order of several, and equal
concepts are to give equal files). Loading reads numbers and text; it never runs code. Version 2 of
the format added ``hub`` to the provenance; files of version 1 are read as without it.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save
from torch import Tensor

from setseq.concept import ClipRecord, Concept, Provenance
from setseq.errors import ConceptFileError
from setseq.formats.tensor_file import TensorFileError, read_tensors
from setseq.outputs import write_bytes

METADATA_KEY = "setseq_concept"
FORMAT_VERSION = 2
_READABLE = (1, FORMAT_VERSION)
_PARTS = ("basis", "identity", "motion")
_PROJECTION = "self_conditioning/projection"
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_PROVENANCE = TypeAdapter(Provenance)

StoredType = Literal["fp32", "bf16", "fp16"]


def save_concept(concept: Concept, path: Path, *, dtype: StoredType = "fp32") -> int:
    """Write a concept file, whole or not at all.

    Args:
        concept: what to save.
        path: where; an existing file is replaced.
        dtype: of the stored numbers; half the size, and rounded, in "bf16" or "fp16".

    Returns:
        The file's size in bytes: 4 rank (in + 2 out) a layer in fp32, and little more.

    Raises:
        OutputError: it cannot be written.
    """
    tensors = {
        f"{part}/{name}": value
        for part in (*_PARTS, "token")
        for name, value in getattr(concept, "tokens" if part == "token" else part).items()
    }
    if concept.self_conditioning is not None:
        tensors[_PROJECTION] = concept.self_conditioning
    stored = {
        key: tensors[key].detach().to("cpu", _DTYPES[dtype]).contiguous() for key in sorted(tensors)
    }
    about = {"format_version": FORMAT_VERSION, "provenance": asdict(concept.provenance)}
    content = save(stored, {METADATA_KEY: json.dumps(about, sort_keys=True)})
    write_bytes(path, content)
    return len(content)


def load_concept(path: Path) -> Concept:
    """Read a concept file and check everything in it; the numbers come back as float32.

    Raises:
        ConceptFileError: the file is missing, damaged, foreign, or of a newer format.
    """
    metadata, tensors = _read(path)
    provenance = _provenance(path, metadata)
    parts: dict[str, dict[str, Tensor]] = {
        part: {} for part in (*_PARTS, "token", "self_conditioning")
    }
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        if part not in parts or not name or (part == "self_conditioning" and key != _PROJECTION):
            raise _damaged(path, f"unknown tensor {key!r}")
        parts[part][name] = value.float()
    tokens, projection = parts.pop("token"), parts.pop("self_conditioning").get("projection")
    _check_layers(path, parts)
    _check_tokens(path, tokens, provenance)
    return Concept(**parts, tokens=tokens, provenance=provenance, self_conditioning=projection)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise ConceptFileError(f"no concept file at {path}; `setseq learn` makes one")
    try:
        return read_tensors(path)
    except TensorFileError as error:
        if error.way_out:
            raise ConceptFileError(f"{path}: {error}; {error.way_out}") from error
        raise _damaged(path, str(error)) from error


def _provenance(path: Path, metadata: Mapping[str, str]) -> Provenance:
    if METADATA_KEY not in metadata:
        raise ConceptFileError(
            f"{path} is no concept file; give a file that `setseq learn` wrote (of a plain LoRA"
            " `setseq import` makes one)"
        )
    try:
        about: Any = json.loads(metadata[METADATA_KEY])
        if about["format_version"] not in _READABLE:
            raise ConceptFileError(
                f"{path} has format version {about['format_version']!r}, this package reads"
                f" {' and '.join(map(str, _READABLE))}; upgrade setseq"
            )
        content = about["provenance"]
        for record, kind in [(content, Provenance), *((c, ClipRecord) for c in content["clips"])]:
            known = {field.name for field in fields(kind)}
            needed = {field.name for field in fields(kind) if field.default is MISSING}
            if odd := (set(record) - known) | (needed - set(record)):
                raise _damaged(path, f"its provenance lacks or does not know {sorted(odd)[0]!r}")
        return _PROVENANCE.validate_python(content)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _damaged(path, f"its provenance has a wrong {place}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its provenance cannot be read") from error


def _check_layers(path: Path, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    names = parts["basis"].keys()
    if not names:
        raise _damaged(path, "it has no layers")
    for part in ("identity", "motion"):
        odd = sorted(names ^ parts[part].keys())
        if odd:
            raise _damaged(path, f"basis and {part} differ in layers, as {odd[0]!r}")
    rank = next(iter(parts["basis"].values())).shape[:1]
    for name in names:
        basis, identity, motion = (parts[part][name].shape for part in _PARTS)
        if not (len(basis) == len(identity) == 2 and identity == motion):
            raise _damaged(path, f"layer {name!r} has shapes that do not fit each other")
        if not (basis[:1] == identity[1:] == rank and rank[0] > 0):
            raise _damaged(path, f"layer {name!r} has another rank than the first layer")


def _check_tokens(path: Path, tokens: Mapping[str, Tensor], provenance: Provenance) -> None:
    expected = set(provenance.words.values()) if provenance.token_mode == "learned" else set()
    odd = sorted(expected ^ tokens.keys())
    if odd:
        raise _damaged(path, f"its tokens and its prompts differ, as {odd[0]!r}")
    for word, row in tokens.items():
        if row.ndim != 1:
            raise _damaged(path, f"token {word!r} is no single row")


def _damaged(path: Path, reason: str) -> ConceptFileError:
    return ConceptFileError(f"{path} is damaged or foreign: {reason}; learn or copy it again")
