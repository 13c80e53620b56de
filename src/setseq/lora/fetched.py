"""A frozen linear map whose weight is made when it is needed, and not kept for the way back.

An ordinary layer keeps its weight for the gradient of its input. Where the weight in use is a copy
(of a quantized one, or of one in main memory), that would keep a copy of every layer until the way
back is done, and nothing would be saved. So the copy is thrown away, and made again.
"""

from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Fetch = Callable[[Tensor, torch.dtype], Tensor]


class FetchedLinear(nn.Linear):
    """``y = W x + b`` with a stored form of W that ``fetch`` makes W of.

    Attributes:
        weight: the stored form, on whatever device it stays; frozen.
        device: where the layer computes.
        dtype: that it computes in, where autocast does not say another.
        fetch: makes W (out, in) of ``weight`` in a format, on ``device``.
    """

    def __init__(
        self,
        linear: nn.Linear,
        stored: Tensor,
        fetch: Fetch,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Take the place of ``linear``, whose own weight is not kept."""
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight = nn.Parameter(stored, requires_grad=False)
        bias = None if linear.bias is None else linear.bias.detach().to(device)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.fetch, self.device, self.dtype = fetch, device, dtype

    def fetched(self, dtype: torch.dtype) -> Tensor:
        """W (out, in)."""
        with torch.no_grad():
            return self.fetch(self.weight, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        kind = input.device.type
        is_cast = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if is_cast else self.dtype
        mapped: Tensor = _Fetched.apply(input.to(dtype), self)  # pyright: ignore
        return mapped

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Stay where and what it is when a network is moved or cast."""
        return self


class _Fetched(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FetchedLinear) -> Tensor:
        ctx.layer = layer
        bias = None if layer.bias is None else layer.bias.to(x.dtype)
        return F.linear(x, layer.fetched(x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return gradient @ ctx.layer.fetched(gradient.dtype), None
