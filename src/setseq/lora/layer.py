"""The frozen linear map with one basis and two sets of coefficients."""

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from setseq.lora.fetched import FetchedLinear

COEFFICIENTS = ("identity", "motion")
PARTS = ("basis", *COEFFICIENTS)
MOTION_BASIS = "motion_basis"


class ConceptLinear(nn.Module):
    """``y = W x + (s_i B1 + s_m B2) A1 x``: W frozen, the rest float32 and small.

    The paper's row-vector factors are stored transposed, as PEFT does: ``basis`` A1 (rank, in),
    ``identity`` B1 and ``motion`` B2 (out, rank). Both coefficients start at zero, so a new layer
    returns what its base returns. Source: Eq. 2, 3 and 6, arXiv:2502.14844.

    Attributes:
        motion_basis: A2 (rank, in), where motion has a basis of its own and ``B2 A2`` takes the
            place of ``B2 A1``; None in the method itself, whose point is that they share one.
        identity_strength: s_i, any real number: 1 as learned, 0 off. Or one a latent frame, (f,):
            a video's tokens, ordered by frame, each take their frame's, other inputs (the text's
            keys and values, which belong to no frame) the mean.
        motion_strength: s_m, likewise.
        video_tokens: tokens of the whole video, which tell them from other inputs.
        masks: M by coefficients ("identity", "motion"), each (out, rank); empty but for the steps
            of a training with dropout. The basis never has one.
    """

    def __init__(
        self,
        base: nn.Linear,
        *,
        rank: int,
        generator: torch.Generator,
        own_motion_basis: bool = False,
    ) -> None:
        """Wrap ``base`` (frozen from now on); a basis is Kaiming uniform as in LoRA."""
        super().__init__()
        self.base = base.requires_grad_(False)
        device = _place(base)
        self.basis = _drawn_basis(base, rank, generator)
        self.motion_basis = _drawn_basis(base, rank, generator) if own_motion_basis else None
        self.identity = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        self.motion = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        self.identity_strength: float | Tensor = 1.0
        self.motion_strength: float | Tensor = 1.0
        self.video_tokens = 0
        self.masks: dict[str, Tensor] = {}
        self._is_sharded = hasattr(base.weight, "placements")  # as of a DTensor
        self._is_plain = type(base) is nn.Linear  # whose weight is what it computes with
        self._cast: tuple[object, Tensor, Tensor | None] | None = None

    def kept(self, generator: torch.Generator, dropout: Mapping[str, float]) -> dict[str, Tensor]:
        """Draw which entries of the named coefficients stay; ``masks`` are made of it.

        They are on the weights, so that every sample of a batch sees the same.

        Args:
            generator: draws them, on the CPU; a rate of 0 draws nothing and masks nothing.
            dropout: rates in [0, 1), of "identity" or "motion".

        Returns:
            Part to booleans (out, rank) on the CPU, of the parts that have a rate above 0.

        Raises:
            ValueError: another part (the basis is never dropped), or a rate out of its range.

        Source: Eq. 10, arXiv:2502.14844.
        """
        found = {}
        for part, rate in dropout.items():
            if part not in COEFFICIENTS or not 0 <= rate < 1:
                raise ValueError(f"cannot drop {rate} of {part!r}; rates of {COEFFICIENTS} < 1")
            if rate > 0:
                term: nn.Parameter = getattr(self, part)
                found[part] = torch.rand(term.shape, generator=generator) >= rate
        return found

    def coefficients(self) -> Tensor | None:
        """``s_i B1 + s_m B2`` (out, rank), masked in training; None when both strengths are 0."""
        total = None
        for strength, term in self._terms():
            strength = strength.mean().item() if isinstance(strength, Tensor) else strength
            if strength != 0:
                term = term if strength == 1 else strength * term
                total = term if total is None else total + term
        return total

    def _terms(self) -> Iterator[tuple[float | Tensor, Tensor]]:
        """Each strength with its coefficients, masked where they are."""
        strengths = (self.identity_strength, self.motion_strength)
        for part, strength in zip(COEFFICIENTS, strengths, strict=True):
            yield strength, self.factor(part, masked=True)

    def factor(self, part: str, *, masked: bool = False) -> Tensor:
        """One of ``PARTS``, all on one common basis, with its mask if it has one and is to.

        That is the parameter itself, but where motion has a basis of its own: there the ranks stand
        side by side, ``[A1; A2]``, ``[B1, 0]`` and ``[0, B2]``.
        """
        value: Tensor = getattr(self, part)
        if masked and part in self.masks:
            value = value * self.masks[part]
        if self.motion_basis is None:
            return value
        if part == "basis":
            return torch.cat([value, self.motion_basis])
        none = torch.zeros_like(value)
        return torch.cat([value, none] if part == "identity" else [none, value], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out), in the base's type (or autocast's)."""
        if self._is_plain and torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))  # once, not in each product
            y = F.linear(x, *self._base_in(x.dtype))
        else:
            y = self.base(x)
            is_cast = torch.is_autocast_enabled(x.device.type)
            x = x.to(y.dtype if is_cast else self.basis.dtype)
        if self._differs_by_frame(x):
            return y + self._change_by_frame(F.linear(x, self.factor("basis"))).to(y.dtype)
        coefficients = self.coefficients()
        if coefficients is None:
            return y
        return y + F.linear(F.linear(x, self.factor("basis")), coefficients).to(y.dtype)

    def _differs_by_frame(self, x: Tensor) -> bool:
        strengths = (self.identity_strength, self.motion_strength)
        return (
            x.ndim == 3
            and x.shape[1] == self.video_tokens
            and any(isinstance(strength, Tensor) for strength in strengths)
        )

    def _change_by_frame(self, projected: Tensor) -> Tensor:
        """What is added for ``A1 x`` (b, tokens, rank) under strengths that follow the frames."""
        total = projected.new_zeros(())
        for strength, term in self._terms():
            if isinstance(strength, Tensor):
                strength = strength.repeat_interleave(self.video_tokens // len(strength))[:, None]
            total = total + F.linear(strength * projected, term)
        return total

    def _base_in(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """The frozen weight and bias in another type, cast once: autocast would do so each call."""
        weight, bias = self.base.weight, self.base.bias
        if weight.dtype == dtype:
            return weight, bias
        key = (weight.data_ptr(), weight._version, dtype)
        if self._cast is None or self._cast[0] != key:
            with torch.no_grad():
                cast = (key, weight.to(dtype), None if bias is None else bias.to(dtype))
            if self._is_sharded:  # a copy that stays would make the whole base stay
                return cast[1:]
            self._cast = cast
        return self._cast[1:]


def _drawn_basis(base: nn.Linear, rank: int, generator: torch.Generator) -> nn.Parameter:
    bound = 1 / math.sqrt(base.in_features)  # Kaiming uniform with a = sqrt(5)
    drawn = torch.rand(rank, base.in_features, generator=generator)
    return nn.Parameter(((2 * drawn - 1) * bound).to(_place(base)))


def _place(base: nn.Linear) -> torch.device:
    """Where a layer computes, which need not be where its weight is kept."""
    return base.device if isinstance(base, FetchedLinear) else base.weight.device
