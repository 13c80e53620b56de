"""A learned concept: the tensors and where they came from. No input or output."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """One clip that a concept was learned from.

    Attributes:
        look: its static prompt, with placeholders, as "a [v1] creature on a beach".
        motion: its dynamic prompt, with placeholders, as "it is [u1]".
        sha256: hash of the clip's file, or "" when there was none.
        start_s: where in the file it starts, in seconds; None where that is not known.
    """

    look: str
    motion: str
    sha256: str = ""
    start_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a concept came from: all that is needed to use it rightly and to learn it again.

    Attributes:
        base: id of the base model; ``family`` is its architecture ("wan").
        fingerprint: SHA-256 of the base model's weights and configs; a concept fits no others.
        clips: what it was learned from.
        token_mode: "literal" (plain words) or "learned" (rows of their own).
        words: placeholder name to word, as {"v1": "zor", "u1": "dax"}.
        settings: of the training, plain JSON values; the precision is the one that it ran in,
            and the probability of self-conditioning a number.
        seed: of the training.
        version: of the package.
        hub: where the base comes from, "owner/name@revision", which ``--base`` takes; "" where it
            is not known.
    """

    base: str
    family: str
    fingerprint: str
    clips: tuple[ClipRecord, ...]
    token_mode: str
    words: Mapping[str, str]
    settings: Mapping[str, Any]
    seed: int
    version: str
    hub: str = ""


@dataclass(frozen=True, kw_only=True)
class Concept:
    """A shared basis with identity and motion coefficients for each layer, and token rows.

    Attributes:
        basis: layer name to A1, (rank, in_features).
        identity: layer name to B1, (out_features, rank).
        motion: layer name to B2, (out_features, rank).
        tokens: word to embedding row, (text_dim,); empty in literal mode.
        provenance: where it came from.
        self_conditioning: projection of the estimate (width, c, *patch), where the concept was
            trained with self-conditioning on a base that was not; None otherwise.
    """

    basis: Mapping[str, Tensor]
    identity: Mapping[str, Tensor]
    motion: Mapping[str, Tensor]
    provenance: Provenance
    tokens: Mapping[str, Tensor] = field(default_factory=dict)
    self_conditioning: Tensor | None = None

    @property
    def rank(self) -> int:
        """Columns of the basis, the same in every layer."""
        return next(iter(self.basis.values())).shape[0]

    @property
    def shown_with(self) -> dict[str, bool]:
        """Settings of the sampling that fit how it was learned, over a base's own ones.

        Returns:
            ``self_conditioning``: whether it was learned with estimates of itself; nothing where
            its provenance does not say, as of an imported LoRA.
        """
        origin = self.provenance.settings
        shares = [own.get("self_conditioning") for own in origin.get("combined", [origin])]
        if self.self_conditioning is not None or any(shares):
            return {"self_conditioning": True}
        return {"self_conditioning": False} if all(share == 0 for share in shares) else {}

    def merged(
        self, identity_strength: float = 1.0, motion_strength: float = 1.0
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """One ordinary LoRA of the same rank that equals the concept at these strengths.

        Returns:
            layer name to (A, B) with ``dW = B @ A``, A (rank, in) and B (out, rank), in PEFT's
            order: the paper's ``A1 (s_i B1 + s_m B2)``. Source: Eq. 6, arXiv:2502.14844.
        """
        return {
            name: (
                basis,
                identity_strength * self.identity[name] + motion_strength * self.motion[name],
            )
            for name, basis in self.basis.items()
        }
