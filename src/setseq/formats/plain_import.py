"""A plain LoRA as a concept that has no motion yet: its basis is A, its identity B.

The layers of the base say which names a file may have for them: diffusers' own, those of ComfyUI
and those of kohya's trainers. A name that is none of these is an error, so that nothing is lost.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from setseq.concept import Concept, Provenance
from setseq.errors import LoraFileError
from setseq.formats.layer_names import Place, known_places
from setseq.formats.peft_keys import EXPERTS, KOHYA
from setseq.formats.plain_keys import SUPPORTED, Factors, foreign_keys, read_factors

_PREFIXES = ("diffusion_model.", "transformer.")
_FIRST, _SECOND = (f"{expert}." for expert in EXPERTS)
_Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class _Member:
    """One of the layers that a name in a file stands for, and its place there."""

    layer: str
    place: Place


def import_concept(
    paths: Sequence[Path],
    sizes: Mapping[str, tuple[int, int]],
    origin: Provenance,
) -> Concept:
    """A concept whose identity at strength 1 is a plain LoRA; its motion is zero.

    Layers of a lower rank than the highest are filled up with zero rows. The scale of a file is
    multiplied into the identity.

    Args:
        paths: one file; of a base with two experts two, that of the high-noise one first, or one
            that has both.
        sizes: inputs and outputs of every linear layer of the base, by diffusers' name.
        origin: of the concept; the files' names and hashes are added to its settings.

    Raises:
        LoraFileError: a file cannot be read, or has anything that is no layer of the base.
    """
    experts = list(EXPERTS) if any(name.startswith(_SECOND) for name in sizes) else [""]
    if len(paths) > len(experts):
        raise LoraFileError(
            f"{len(paths)} LoRA files were given, and {origin.base!r} has {len(experts)} network;"
            " give one file for each"
        )
    names = {expert: _names(origin.family, expert, sizes) for expert in experts}
    layers: dict[str, _Pair] = {}
    for path, expert in zip(paths, experts, strict=False):
        factors = read_factors(path)
        found = {name: _members(names, expert, name) for name in factors}
        _check_known(path, found, origin)
        for name, members in found.items():
            parts = _taken_apart(path, factors[name], members, sizes)
            if twice := parts.keys() & layers.keys():
                raise LoraFileError(f"{path}: it has {min(twice)!r} twice; give a whole file")
            layers |= parts
    if missing := [e for e in experts if not any(name.startswith(e) for name in layers)]:
        raise LoraFileError(
            f"{origin.base!r} has two experts, and {paths[0]} is of one; give two files, that of"
            f" the {EXPERTS[_FIRST[:-1]]} one first (there are no layers for {missing[0]!r})"
        )
    return _concept(layers, paths, origin)


def _concept(layers: Mapping[str, _Pair], paths: Sequence[Path], origin: Provenance) -> Concept:
    rank = max(len(basis) for basis, _ in layers.values())
    files = [{"file": path.name, "sha256": _hash(path)} for path in paths]
    settings = {**origin.settings, "imported": files, "rank": rank}
    return Concept(
        basis={name: _filled(a, rank, a.shape[1]) for name, (a, _) in layers.items()},
        identity={name: _filled(b, len(b), rank) for name, (_, b) in layers.items()},
        motion={name: torch.zeros(len(b), rank) for name, (_, b) in layers.items()},
        provenance=replace(origin, settings=settings),
    )


def _names(
    family: str, expert: str, sizes: Mapping[str, tuple[int, int]]
) -> dict[str, list[_Member]]:
    """Every name that a file may have, without prefix, for layers of the base or of one expert."""
    prefix = f"{expert}." if expert else ""
    names: dict[str, list[_Member]] = {}
    for full in sizes:
        if full.startswith(prefix):
            layer = full.removeprefix(prefix)
            for place in dict.fromkeys([Place(layer), *known_places(family, layer)]):
                names.setdefault(place.name, []).append(_Member(full, place))
    whole = {
        name: sorted(members, key=lambda member: member.place.slot)
        for name, members in names.items()
        if len(members) == members[0].place.slots
    }
    return whole | {KOHYA + name.replace(".", "_"): members for name, members in whole.items()}


def _members(
    names: Mapping[str, Mapping[str, list[_Member]]], expert: str, name: str
) -> list[_Member]:
    """The layers that a name stands for, in order of their outputs; none where it is unknown."""
    if len(names) > 1 and name.startswith(_SECOND):
        expert, name = _SECOND[:-1], name.removeprefix(_SECOND)
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return names[expert].get(name.removeprefix(prefix), [])
    return names[expert].get(name, [])


def _check_known(path: Path, found: Mapping[str, list[_Member]], origin: Provenance) -> None:
    odd = [name for name, members in found.items() if not members]
    if odd:
        other = ": it was made for another model" if len(odd) == len(found) else ""
        raise foreign_keys(
            path, odd, f"{len(found)} layers", f"none of {origin.base!r} ({origin.family}){other}"
        )


def _taken_apart(
    path: Path,
    factors: Factors,
    members: Sequence[_Member],
    sizes: Mapping[str, tuple[int, int]],
) -> dict[str, _Pair]:
    """The factors of each of the layers that one name of a file stands for.

    All have the same A, and their own rows of B; but where B has a block for each of them, as
    ``peft_keys`` joins them, each has its own rank again.
    """
    outputs = [sizes[member.layer][1] for member in members]
    ours = (sizes[members[0].layer][0], sum(outputs))
    theirs = (factors.down.shape[1], len(factors.up))
    if ours != theirs:
        raise LoraFileError(
            f"{path}: {factors.name!r} maps {theirs[0]} numbers to {theirs[1]}, and that layer of"
            f" the base maps {ours[0]} to {ours[1]}: it was made for a model of another size;"
            f" {SUPPORTED}"
        )
    ups = factors.up.split(outputs)
    rank = len(factors.down) // len(ups)
    blocks = [slice(number * rank, (number + 1) * rank) for number in range(len(ups))]
    diagonal = [up[:, block] for up, block in zip(ups, blocks, strict=True)]
    if not torch.equal(factors.up, torch.block_diag(*diagonal)):
        blocks = [slice(None)] * len(ups)
    return {
        member.layer: (factors.down[block], _turned(up[:, block], member.place))
        for member, up, block in zip(members, ups, blocks, strict=True)
    }


def _turned(up: Tensor, place: Place) -> Tensor:
    return torch.cat(up.chunk(2)[::-1]) if place.swapped else up


def _filled(value: Tensor, rows: int, columns: int) -> Tensor:
    """A value in the upper left corner of zeros."""
    filled = torch.zeros(rows, columns)
    filled[: value.shape[0], : value.shape[1]] = value
    return filled


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
