"""Several concepts that were learned apart as one, for those who cannot learn them together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from setseq.concept import ClipRecord, Concept, Provenance
from setseq.errors import ConceptFileError
from setseq.prompts import MAX_CONCEPTS, moved, renumbered
from setseq.version import __version__

# Our choice, beyond any use: strengths go from -4 to 4, and a coefficient must stay finite.
MAX_WEIGHT = 100.0


def combine(concepts: Sequence[Concept], *, weights: Sequence[float] | None = None) -> Concept:
    """One concept whose update of every layer is the exact sum of those of its parts.

    The ranks stand side by side: the bases A1 are stacked, the coefficients B1 and B2 are blocks of
    columns, so that ``s_i B1 + s_m B2`` on the stacked basis is the sum, at any strengths. Tokens
    are renumbered in order: the first one's [v1] stays, the second one's becomes [v2].

    Literal words stay those that each part was learned with: another word would be one that the
    part never saw. Two parts learned with the same words are therefore told apart by the rest of
    a prompt alone: see ``prompts.shared_words``.

    Args:
        concepts: 2 or more, with at most 6 pairs of tokens in all.
        weights: factor on each part's coefficients, -MAX_WEIGHT to MAX_WEIGHT; 1 each by default.

    Raises:
        ConceptFileError: there are too few or too many, a weight is out of range, or they do not
            belong to one base, have other layers, or other kinds of tokens.
    """
    weights = [1.0] * len(concepts) if weights is None else weights
    if len(weights) != len(concepts):
        raise ConceptFileError(
            f"{len(concepts)} concepts have {len(weights)} weights; give one for each, or none"
        )
    for number, weight in enumerate(weights, 1):
        if not abs(weight) <= MAX_WEIGHT:
            raise ConceptFileError(
                f"weight {number} is {weight:g}; give a number from {-MAX_WEIGHT:g} to"
                f" {MAX_WEIGHT:g}"
            )
    _check(concepts)
    words: dict[str, str] = {}
    tokens: dict[str, Tensor] = {}
    clips: list[ClipRecord] = []
    for concept in concepts:
        offset, origin = len(words) // 2, concept.provenance
        clips += [
            replace(
                clip, look=renumbered(clip.look, offset), motion=renumbered(clip.motion, offset)
            )
            for clip in origin.clips
        ]
        learned = origin.token_mode == "learned"
        words |= {
            moved(name, offset): renumbered(word, offset) if learned else word
            for name, word in origin.words.items()
        }
        tokens |= {renumbered(word, offset): row.clone() for word, row in concept.tokens.items()}
    return Concept(
        basis={name: torch.cat([c.basis[name] for c in concepts]) for name in concepts[0].basis},
        identity=_blocks([c.identity for c in concepts], weights),
        motion=_blocks([c.motion for c in concepts], weights),
        tokens=tokens,
        self_conditioning=_projection(concepts, weights),
        provenance=_origin(concepts, tuple(clips), words),
    )


def _check(concepts: Sequence[Concept]) -> None:
    if len(concepts) < 2:
        raise ConceptFileError(f"cannot combine {len(concepts)} concept; give two or more")
    pairs = sum(len(concept.provenance.words) // 2 for concept in concepts)
    if pairs > MAX_CONCEPTS:
        raise ConceptFileError(
            f"together they have {pairs} pairs of tokens, at most {MAX_CONCEPTS} can be told"
            " apart; combine fewer"
        )
    first = concepts[0]
    for number, other in enumerate(concepts[1:], 2):
        ours, theirs = first.provenance, other.provenance
        if ours.fingerprint != theirs.fingerprint:
            raise ConceptFileError(
                f"concept 1 was learned on {ours.base!r} with weights {ours.fingerprint[:12]},"
                f" concept {number} on {theirs.base!r} with weights {theirs.fingerprint[:12]};"
                " only concepts of the very same base can be combined"
            )
        if ours.token_mode != theirs.token_mode:
            raise ConceptFileError(
                f"concept 1 has {ours.token_mode} tokens, concept {number} has"
                f" {theirs.token_mode} ones; learn both with the same kind"
            )
        if odd := sorted(first.basis.keys() ^ other.basis.keys()):
            raise ConceptFileError(
                f"concepts 1 and {number} differ in layers, as {odd[0]!r}; learn both with the"
                " same target layers"
            )


def _blocks(parts: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """Coefficients (out, ranks) of each layer: the parts' own side by side."""
    return {
        name: torch.cat([w * part[name] for part, w in zip(parts, weights, strict=True)], dim=1)
        for name in parts[0]
    }


def _projection(concepts: Sequence[Concept], weights: Sequence[float]) -> Tensor | None:
    """The sum of their projections of the estimate, in which the network's input is linear."""
    own = [
        w * concept.self_conditioning
        for concept, w in zip(concepts, weights, strict=True)
        if concept.self_conditioning is not None
    ]
    return sum(own[1:], own[0]) if own else None


def _origin(
    concepts: Sequence[Concept], clips: tuple[ClipRecord, ...], words: dict[str, str]
) -> Provenance:
    settings = [
        own
        for concept in concepts
        for own in concept.provenance.settings.get("combined", [dict(concept.provenance.settings)])
    ]
    return replace(
        concepts[0].provenance,
        clips=clips,
        words=words,
        settings={"combined": settings},
        version=__version__,
    )
