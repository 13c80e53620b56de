"""A training that goes on from a concept: basis and identity stay as they are, motion is learned.

That is the Sequence stage by itself (Eq. 6 to 9, arXiv:2502.14844), on whatever frozen basis there
is: that of a concept learned before, or of an imported LoRA.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.errors import SettingsError
from setseq.lora.inject import Injection, inject_concept
from setseq.models.base import VideoModel
from setseq.sampling import check_base
from setseq.training.recipe import Recipe, sequence_of

ADD_MOTION = Recipe(stages=(sequence_of,))


def start_settings(start: Concept) -> dict[str, Any]:
    """What a training from a concept has where nobody says otherwise, beside its rank."""
    origin = start.provenance
    own: dict[str, Any] = {"set_steps": 0, "token_mode": origin.token_mode}
    if origin.token_mode == "literal":
        own["words"] = dict(origin.words)
    if start.self_conditioning is not None:
        own["self_conditioning"] = origin.settings.get("self_conditioning", 0.0)
    return own


def check_start(
    start: Concept,
    model: VideoModel,
    settings: LearnSettings,
    recipe: Recipe,
    words: Mapping[str, str],
) -> None:
    """Make sure that motion can be added to a concept with these settings.

    Raises:
        ConceptFileError: it was learned on another base.
        SettingsError: a setting would change what must stay.
    """
    check_base(model, start)
    origin = start.provenance
    if recipe.full_rank or recipe.own_motion_basis:
        raise SettingsError("a method with bases of its own cannot go on from a concept")
    for name, given, kept in (
        ("set_steps", settings.set_steps, 0),
        ("targets", settings.targets, ""),
        ("rank", settings.rank, start.rank),
        ("token_mode", settings.token_mode, origin.token_mode),
        ("words", _looks(words), _looks(origin.words)),
    ):
        if given != kept:
            raise SettingsError(
                f"setting {name} is {given!r}, and a training that goes on from a concept keeps its"
                f" basis and identity, for which it is {kept!r}; leave it out"
            )


def injected_start(model: VideoModel, start: Concept) -> Injection:
    """The concept's layers in the model, with its basis and identity and a motion of zero."""
    injection = inject_concept(model.denoiser, start)
    with torch.no_grad():
        for value in injection.parameters("motion").values():
            value.zero_()
    return injection


def start_hash(start: Concept) -> str:
    """SHA-256 of what is kept of a concept, for checkpoints."""
    digest = hashlib.sha256()
    for part in (start.basis, start.identity, start.tokens):
        for name in sorted(part):
            digest.update(name.encode())
            digest.update(part[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _looks(words: Mapping[str, str]) -> dict[str, str]:
    """The words of looks alone: a movement may get another, as it is learned anew."""
    return {name: word for name, word in words.items() if name.startswith("v")}
