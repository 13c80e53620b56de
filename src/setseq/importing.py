"""A plain LoRA as a user brings it: its base is opened, and it becomes a concept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from setseq.concept import ClipRecord, Concept, Provenance
from setseq.errors import PromptError
from setseq.formats.plain_import import import_concept
from setseq.learning import Base, as_model
from setseq.models.registry import TOYBOX
from setseq.prompts import choose_words, concept_prompt
from setseq.version import __version__


def import_lora(
    lora: str | Path | Sequence[str | Path],
    *,
    base: Base = TOYBOX,
    look: str | None = None,
    motion: str | None = None,
    trigger: str | None = None,
) -> Concept:
    """Make a concept of a plain LoRA: it is the identity, and movement can be added to it.

    Args:
        lora: A .safetensors file with the names of diffusers, ComfyUI or kohya's trainers; of a
            base with two experts two, that of the high-noise one first. It may cover a part of the
            layers.
        base: The model that it was made for, as for ``learn``. Its weights are not loaded.
        look: The prompt that it was trained with, with [v]; for ``edit``. None where not known.
        motion: Its movement, with [u]; given with ``look`` or not at all.
        trigger: The word that calls it, which [v] becomes; None for the package's own.

    Returns:
        A concept without motion, for ``learn`` to start from.

    Raises:
        SetSeqError: A file cannot be used or belongs to another model, a prompt cannot be used, or
            the base is not there.
    """
    if (look is None) != (motion is None):
        raise PromptError("give the prompt's look and motion both, or neither")
    clips: tuple[ClipRecord, ...] = ()
    if look is not None and motion is not None:
        prompt = concept_prompt(look, motion)
        clips = (ClipRecord(look=prompt.look, motion=prompt.motion),)
    words = choose_words("literal", words={} if trigger is None else {"v": trigger})
    paths = [Path(lora)] if isinstance(lora, str | Path) else [Path(path) for path in lora]
    model = as_model(base)
    origin = Provenance(
        base=model.id,
        family=model.family,
        fingerprint=model.fingerprint,
        clips=clips,
        token_mode="literal",
        words=words,
        settings={},
        seed=0,
        version=__version__,
        hub=model.hub,
    )
    sizes = model.linear_layers()
    concept = import_concept(paths, sizes, origin)
    usual = sum(re.fullmatch(model.lora_targets, name) is not None for name in sizes)
    layers = {"imported": len(concept.basis), "of": usual}
    settings = {**concept.provenance.settings, "layers": layers}
    return replace(concept, provenance=replace(concept.provenance, settings=settings))
