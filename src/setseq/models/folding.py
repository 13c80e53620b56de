"""Folded text padding: the zero rows that Wan appends to a prompt, attended to as one row.

Wan pads every prompt with zero rows up to 512 and attends to them without a mask. Identical rows
give identical keys and values, and a softmax over ``m`` equal logits ``s`` weighs their value like
one logit ``s + log(m)``. So one zero row with the bias ``log(m)`` replaces ``m`` of them, exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from setseq.models.attention import WanProcessor

TEXT_ROWS = 512  # what WanPipeline.__call__ pads every prompt to


def fold_padding(
    embeds: Tensor | Sequence[Tensor], lengths: Sequence[int] | Tensor, total: int = TEXT_ROWS
) -> tuple[Tensor, Tensor]:
    """Trim prompts to the longest one and fold all padding after it into one row.

    Args:
        embeds: prompt rows, (b, >= longest, d) or b tensors of (>= length, d).
        lengths: real rows of each prompt, each in [0, total].
        total: rows that the plain pipeline pads to.

    Returns:
        rows (b, n + 1, d), n the longest length (n rows if n == total); bias (b, rows), float32,
        to be added to the attention logits: 0, and log(total - n) for the last row. A shorter
        prompt's own zero rows before it count one each.
    """
    sizes = [int(length) for length in lengths]
    longest = max(sizes)
    if longest > total:
        raise ValueError(f"a prompt has {longest} rows, more than the {total} that are padded to")
    count = total - longest
    num_rows = longest + (1 if count else 0)
    rows = embeds[0].new_zeros(len(sizes), num_rows, embeds[0].shape[-1])
    if isinstance(embeds, Tensor) and min(sizes) == longest:
        rows[:, :longest] = embeds[:, :longest]
    else:
        for place, size in enumerate(sizes):
            rows[place, :size] = embeds[place][:size]
    bias = torch.zeros(len(sizes), num_rows, device=rows.device)
    if count:
        bias[:, -1] = math.log(count)
    return rows, bias


@dataclass(eq=False)
class FoldedPadding:
    """Carries the bias of the current call to the cross-attentions of one transformer.

    Set ``bias`` (b or 1, rows) before each forward pass; None means plain, unfolded rows. A block
    that is checkpointed keeps that of its own pass (``checkpointed``), whatever came after.
    """

    bias: Tensor | None = None
    _replaced: list[tuple[Any, Any]] = field(default_factory=list)

    def checkpointed(self, block: nn.Module, *given: Any) -> Any:
        """Run a block, and when gradients come back run it again, with the bias that it had."""
        own = self.bias

        def run(*inputs: Any) -> Any:
            now, self.bias = self.bias, own
            try:
                return block(*inputs)
            finally:
                self.bias = now

        return checkpoint(run, *given, use_reentrant=False)

    def remove(self) -> None:
        """Put the transformer's own attention processors back."""
        for attention, processor in self._replaced:
            attention.set_processor(processor)
        self._replaced.clear()


def install_folded_padding(transformer: nn.Module) -> FoldedPadding:
    """Let every cross-attention (``blocks.N.attn2``) of a Wan transformer read folded rows.

    The self-attentions get the same fast processor (attention.py), with the backend that was set.
    One prompt (1, rows, d) may then serve a whole batch of latents.

    Args:
        transformer: a diffusers WanTransformer3DModel; its weights and key set do not change.

    Returns:
        The holder of the bias: ``folding.bias = bias`` and then ``transformer(..., rows)``.
    """
    folding = FoldedPadding()
    processor = WanProcessor(folding)
    for name, module in transformer.named_modules():
        if name.split(".")[-1] in ("attn1", "attn2"):
            attention: Any = module
            folding._replaced.append((attention, attention.processor))
            processor._attention_backend = getattr(attention.processor, "_attention_backend", None)
            attention.set_processor(processor)
    network: Any = transformer
    if network.is_gradient_checkpointing:
        network.enable_gradient_checkpointing(folding.checkpointed)
    return folding
