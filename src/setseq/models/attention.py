"""Wan's attention, computed so that short sequences are fast on a CPU.

The same arithmetic as diffusers' own processor (equal to 1e-6), with three differences that cost
nothing: the folded padding's bias (folding.py); one prompt may serve a whole batch of latents; and
on a CPU everything between the projections stays in float32 under autocast, for its fused kernels
are slow in half precision (our choice: a training step in bf16 takes 25 to 33% less time).
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

_MATMUL_LIMIT = 2**24  # logits that may be held at once: 64 MiB
_SHORT = 256  # rows up to which plain products are faster than the fused kernel, forth and back


class HoldsBias(Protocol):
    """What carries the attention bias of the current call, (b or 1, rows), or None."""

    bias: Tensor | None


@dataclass(eq=False)
class WanProcessor:
    """An attention processor for diffusers' WanAttention without image keys.

    Attributes:
        source: carries the bias of the text rows; used by cross-attention alone.
        _attention_backend: one of diffusers', under the name that its ``set_attention_backend``
            looks for; None is the choice below. It serves where there is no bias: the flash kernels
            take none, and the text rows that have one are few.
    """

    source: HoldsBias
    _attention_backend: Any = None

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend from (b, n, d) to itself, or to text rows (b or 1, rows, d)."""
        text = encoder_hidden_states
        keys_from = hidden_states if text is None else text
        if text is not None and self.source.bias is not None:
            attention_mask = self.source.bias[:, None, None, :]
        query, key, value = attn.to_q(hidden_states), attn.to_k(keys_from), attn.to_v(keys_from)
        with torch.autocast("cpu", enabled=False):  # other devices keep the format they were given
            if hidden_states.device.type == "cpu":
                query, key, value = (x.to(attn.norm_q.weight.dtype) for x in (query, key, value))
            query = attn.norm_q(query).to(value.dtype).unflatten(2, (attn.heads, -1))
            key = attn.norm_k(key).to(value.dtype).unflatten(2, (attn.heads, -1))
            if rotary_emb is not None:
                turn = _rotation(*rotary_emb)
                query, key = _rotated(query, turn), _rotated(key, turn)
            value = value.unflatten(2, (attn.heads, -1))
            mixed = self._attend(query, key, value, attention_mask)
        mixed = mixed.flatten(2, 3).to(hidden_states.dtype)
        return attn.to_out[1](attn.to_out[0](mixed))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """Softmax attention of (b, n, heads, d) over keys and values (b or 1, rows, heads, d)."""
        if self._attention_backend is None or bias is not None:
            mixed = _attend(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), bias)
            return mixed.transpose(1, 2)
        from diffusers.models.attention_dispatch import dispatch_attention_fn

        count = len(query)
        return dispatch_attention_fn(
            query,
            key.expand(count, -1, -1, -1),
            value.expand(count, -1, -1, -1),
            backend=self._attention_backend,
        )


def _rotation(cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary tables (1, n, 1, d), each number twice, as unit complex numbers (1, n, 1, d / 2)."""
    return torch.complex(cosines[..., 0::2].float(), sines[..., 1::2].float())


def _rotated(x: Tensor, turn: Tensor) -> Tensor:
    """Turn neighbouring pairs of (b, n, heads, d) in the plane."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Softmax attention of (b, heads, n, d) over keys and values (b or 1, heads, rows, d)."""
    logits_held = query.shape[:-1].numel() * key.shape[-2]
    long = key.shape[-2] > _SHORT or logits_held > _MATMUL_LIMIT
    if long or query.device.type != "cpu":
        batch = len(query)
        mask = None if bias is None else bias.to(query.dtype)
        return F.scaled_dot_product_attention(
            query, key.expand(batch, -1, -1, -1), value.expand(batch, -1, -1, -1), mask
        )
    logits = (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2)
    if bias is not None:
        logits = logits + bias
    return torch.softmax(logits, dim=-1, dtype=torch.float32).to(value.dtype) @ value
