"""A concept in words and numbers, for a table."""

from collections.abc import Mapping
from typing import Any

import torch

from setseq.concept import ClipRecord, Concept
from setseq.prompts import shared_words, shown_prompt


def describe(concept: Concept) -> dict[str, str]:
    """What is in a concept, label to value, in an order to be read."""
    origin = concept.provenance
    facts = {"base model": f"{origin.base} ({origin.family}, {origin.fingerprint[:12]})"}
    for number, clip in enumerate(origin.clips, 1):
        suffix = f" {number}" if len(origin.clips) > 1 else ""
        facts |= {
            f"look{suffix}": shown_prompt(clip.look, len(origin.clips)),
            f"motion{suffix}": shown_prompt(clip.motion, len(origin.clips)),
            f"clip{suffix}": _clip(clip),
        }
    settings = origin.settings.get("combined", [origin.settings])
    if "combined" in origin.settings:
        facts["combined"] = f"{len(settings)} concepts learned apart, ranks side by side"
    words = ", ".join(f"[{name}] = {word}" for name, word in origin.words.items())
    if shared := shared_words(origin.words):
        facts["warning"] = shared
    parts = (concept.basis, concept.identity, concept.motion, concept.tokens)
    count = sum(value.numel() for part in parts for value in part.values())
    if methods := [own["method"] for own in settings if "method" in own]:
        facts["method"] = ", ".join(methods)
    if files := [file for own in settings for file in own.get("imported", [])]:
        facts["imported"] = ", ".join(f"{f['file']} (sha256 {f['sha256'][:12]})" for f in files)
    if starts := [own["started from"] for own in settings if "started from" in own]:
        facts["look kept from"] = "; ".join(_start(origin) for origin in starts)
    if origin.hub:
        facts["from the hub"] = origin.hub
    if concept.self_conditioning is not None:
        facts["self-conditioning"] = "a projection of its own; exported LoRAs go without it"
    elif concept.shown_with.get("self_conditioning"):
        facts["self-conditioning"] = "learned and shown with it; exported LoRAs go without it"
    return facts | {
        "tokens": f"{origin.token_mode}: {words}",
        "rank": str(concept.rank),
        "layers": str(len(concept.basis)),
        "numbers": f"{count:,} ({4 * count / 2**20:.1f} MiB in float32)",
        "identity": f"norm {_norm(concept, identity=1, motion=0):.4g}",
        "movement": f"norm {_norm(concept, identity=0, motion=1):.4g}",
        "steps": "; ".join(_steps(own) for own in settings),
        "seed": str(origin.seed),
        "setseq": origin.version,
    }


def _steps(settings: Mapping[str, Any]) -> str:
    if "set_steps" not in settings:
        return "none: imported"
    ours = {"Set": settings["set_steps"], "Sequence": settings["sequence_steps"]}
    ran = ", ".join(f"{count} of {stage}" for stage, count in settings.get("stages", ours).items())
    return ran + (
        f", of which step {settings['kept_step']} was kept" if "kept_step" in settings else ""
    )


def _start(origin: Mapping[str, Any]) -> str:
    """Where the look of a concept comes from that only learned its movement."""
    if files := origin["settings"].get("imported"):
        return ", ".join(f"{file['file']} (sha256 {file['sha256'][:12]})" for file in files)
    return ", ".join(f"{clip['look']!r} (sha256 {clip['sha256'][:12]})" for clip in origin["clips"])


def _norm(concept: Concept, *, identity: float, motion: float) -> float:
    """Frobenius norm of the whole update at these strengths."""
    updates = [b @ a for a, b in concept.merged(identity, motion).values()]
    return sum(float(torch.linalg.matrix_norm(update)) ** 2 for update in updates) ** 0.5


def _clip(clip: ClipRecord) -> str:
    if not clip.sha256:
        return "not recorded"
    return f"sha256 {clip.sha256[:12]}" + (f", from {clip.start_s:g} s" if clip.start_s else "")
