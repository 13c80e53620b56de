"""The frozen linear map with one basis and two sets of coefficients."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConceptLinear(nn.Module):
    """``y = W x + (s_i B1 + s_m B2) A1 x``: W frozen, the rest float32 and small.

    The paper's row-vector factors are stored transposed, as PEFT does: ``basis`` A1 (rank, in),
    ``identity`` B1 and ``motion`` B2 (out, rank). Both coefficients start at zero, so a new layer
    returns what its base returns. Source: Eq. 2, 3 and 6, arXiv:2502.14844.

    Attributes:
        identity_strength: s_i, any real number; 1 as learned, 0 off.
        motion_strength: s_m, likewise.
    """

    def __init__(self, base: nn.Linear, *, rank: int, generator: torch.Generator) -> None:
        """Wrap ``base`` (frozen from now on); the basis is Kaiming uniform as in LoRA."""
        super().__init__()
        self.base = base.requires_grad_(False)
        bound = 1 / math.sqrt(base.in_features)  # Kaiming uniform with a = sqrt(5)
        drawn = torch.rand(rank, base.in_features, generator=generator)
        device = base.weight.device
        self.basis = nn.Parameter(((2 * drawn - 1) * bound).to(device))
        self.identity = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        self.motion = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        self.identity_strength = 1.0
        self.motion_strength = 1.0
        self._cast: tuple[object, Tensor, Tensor | None] | None = None

    def coefficients(self) -> Tensor | None:
        """``s_i B1 + s_m B2`` (out, rank), None when both strengths are 0."""
        total = None
        for strength, term in (
            (self.identity_strength, self.identity),
            (self.motion_strength, self.motion),
        ):
            if strength != 0:
                term = term if strength == 1 else strength * term
                total = term if total is None else total + term
        return total

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out), in the base's type (or autocast's)."""
        coefficients = self.coefficients()
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))  # once, not in each product
            y = F.linear(x, *self._base_in(x.dtype))
        else:
            y = self.base(x)
            x = x.to(self.basis.dtype)
        if coefficients is None:
            return y
        return y + F.linear(F.linear(x, self.basis), coefficients).to(y.dtype)

    def _base_in(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """The frozen weight and bias in another type, cast once: autocast would do so each call."""
        weight, bias = self.base.weight, self.base.bias
        key = (weight.data_ptr(), weight._version, dtype)
        if self._cast is None or self._cast[0] != key:
            with torch.no_grad():
                self._cast = (key, weight.to(dtype), None if bias is None else bias.to(dtype))
        return self._cast[1:]
