"""Learned tokens: embedding rows of their own, beside a text encoder that stays bit-identical."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from setseq.errors import ConceptFileError


class TokenRows:
    """The embedding rows of new words, looked up in place of the text encoder's own.

    The rows are no part of the text encoder: forward hooks put them in, so that its weights and
    key set do not change and removal leaves no trace.

    Attributes:
        words: the new words, as they stand in prompts.
        rows: (words, width), float32, zero at first. Source: section on prompts of
            arXiv:2502.14844, where [v] starts at zeros.
    """

    def __init__(
        self,
        words: Sequence[str],
        ids: Sequence[int],
        text_encoder: nn.Module,
        on_remove: Callable[[], None],
    ) -> None:
        """Hook every embedding that is or shares the encoder's input embedding."""
        weight: Tensor = text_encoder.get_input_embeddings().weight  # pyright: ignore
        self._own = weight
        self.words = tuple(words)
        self.rows = nn.Parameter(torch.zeros(len(words), weight.shape[1], device=weight.device))
        self._ids = tuple(ids)
        self._on_remove = on_remove
        self._seen: Tensor | None = None
        self._handles = []
        for module in text_encoder.modules():
            if isinstance(module, nn.Embedding) and module.weight is weight:
                self._handles.append(module.register_forward_pre_hook(self._hide))
                self._handles.append(module.register_forward_hook(self._put_in))

    def _hide(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Look up row 0 for the new words: their ids may lie beyond the matrix."""
        self._seen = args[0]
        new = torch.isin(args[0], torch.tensor(self._ids, device=args[0].device))
        return (args[0].masked_fill(new, 0), *args[1:])

    def _put_in(self, module: nn.Module, _args: tuple[Any, ...], output: Tensor) -> Tensor:
        assert self._seen is not None
        factor = getattr(module, "embed_scale", 1.0)  # Gemma's embedding multiplies its own rows
        for row, token in zip(self.rows * factor, self._ids, strict=True):
            output = torch.where((self._seen == token)[..., None], row.to(output.dtype), output)
        return output

    @property
    def scale(self) -> float:
        """Root mean square of the numbers in the text encoder's own rows."""
        norm = torch.linalg.vector_norm(self._own, dtype=torch.float32)
        return float(norm) / self._own.numel() ** 0.5

    @torch.no_grad()
    def start_at_mean(self) -> None:
        """Set all rows to the mean of the encoder's own: a word that means nothing in particular.

        At zeros the encoder's first norm passes gradients on a thousandfold, which fills AdamW's
        second moment for hundreds of steps: fine for rows that hardly move, but not where they are
        to move far.
        """
        self.rows.copy_(self._own.mean(dim=0, dtype=torch.float32).expand_as(self.rows))

    @torch.no_grad()
    def load(self, rows: Mapping[str, Tensor]) -> None:
        """Copy values into the rows, by word.

        Raises:
            ConceptFileError: a row's width is not the text encoder's.
        """
        for place, word in enumerate(self.words):
            if rows[word].shape != self.rows[place].shape:
                raise ConceptFileError(
                    f"token {word!r} has shape {tuple(rows[word].shape)}, the model wants"
                    f" {tuple(self.rows[place].shape)}; use the base model it was learned on"
                )
            self.rows[place].copy_(rows[word])

    def remove(self) -> None:
        """Take the words out again; the text encoder and its tokenizer are as before."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._on_remove()


def with_words(tokenizer: Any, words: Sequence[str]) -> tuple[Any, list[int]]:
    """A copy of a tokenizer that reads each word as one token, and the ids of the words.

    Args:
        tokenizer: a transformers tokenizer.
        words: new words, as "[v1]"; a space before a word belongs to it.
    """
    from tokenizers import AddedToken

    extended = copy.deepcopy(tokenizer)
    extended.add_tokens([AddedToken(word, lstrip=True, normalized=False) for word in words])
    return extended, [extended.convert_tokens_to_ids(word) for word in words]
