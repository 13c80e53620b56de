"""A base model that carries a concept for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from setseq.concept import Concept
from setseq.lora.inject import inject_concept
from setseq.models.base import VideoModel


@contextmanager
def carried(
    model: VideoModel, concept: Concept, *, identity: float = 1.0, motion: float = 1.0
) -> Iterator[None]:
    """A model that carries a concept at these strengths; bit-equal to before afterwards."""
    injection = inject_concept(model.denoiser, concept)
    tokens = model.add_tokens(list(concept.tokens)) if concept.tokens else None
    try:
        injection.set_strengths(identity=identity, motion=motion)
        if tokens is not None:
            with torch.no_grad():
                for row, value in zip(tokens.rows, concept.tokens.values(), strict=True):
                    row.copy_(value)
        yield
    finally:
        injection.remove()
        if tokens is not None:
            tokens.remove()
