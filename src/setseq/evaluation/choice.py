"""Which encoders measure a concept: those that were asked for, else its base's natural ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from setseq.errors import EncoderError
from setseq.evaluation.encoders import (
    CLIP_ID,
    THINGS_ID,
    TOYBOX,
    load_clip_encoder,
    load_thing_encoder,
)
from setseq.evaluation.faces import load_face_encoder
from setseq.evaluation.measure import Encoders
from setseq.evaluation.tracks import follow_points
from setseq.evaluation.vision import opencv
from setseq.toybox.evaluate import asset

E = TypeVar("E")
_PUBLISHED = {"clip": CLIP_ID, "identity": THINGS_ID}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The encoders of a measurement, and what is said about them.

    Attributes:
        encoders: Those that could be had.
        names: What each one measures to where it is from: "toybox", a folder, or a model id.
        left_out: A line for each one that is not to be had: what is left out, and what to give.
    """

    encoders: Encoders
    names: dict[str, str]
    left_out: tuple[str, ...]


def natural_encoder(base: str, part: str) -> str:
    """The encoder that fits what a base makes, where none is asked for.

    Args:
        base: The base model's id.
        part: "clip" or "identity".

    Returns:
        "toybox" for the toybox, where it ships with that encoder; else the id of a published model.
    """
    return TOYBOX if base == TOYBOX and asset(part).is_dir() else _PUBLISHED[part]


def choose_encoders(
    base: str,
    *,
    clip: str | Path | None = None,
    things: str | Path | None = None,
    faces: str | Path | None = None,
    device: str = "cpu",
) -> Choice:
    """Loads the encoders that a concept is measured with.

    Args:
        base: The id of the base model that it was learned on.
        clip: "toybox", a folder, or a model id; None is the natural one, or none where that is not
            to be had.
        things: Likewise, for identity.
        faces: Folder of a face encoder; None measures no faces.
        device: Where they run.

    Raises:
        EncoderError: One that was asked for is missing or damaged.
    """
    chosen = {
        "clip": str(clip or natural_encoder(base, "clip")),
        "identity": str(things or natural_encoder(base, "identity")),
    }
    left_out: list[str] = []

    def had(columns: str, load: Callable[[], E], asked: bool, advice: str = "") -> E | None:
        try:
            return load()
        except EncoderError as error:
            if asked:
                raise
            left_out.append(f"{columns} left out: {error}{advice}")
            return None

    encoders = Encoders(
        clip=had(
            "C-T, TC and the edit margin are",
            lambda: load_clip_encoder(chosen["clip"], device=device),
            clip is not None,
            ", with --clip-model",
        ),
        things=had(
            "identity and leakage are",
            lambda: load_thing_encoder(chosen["identity"], device=device),
            things is not None,
            ", with --identity-model",
        ),
        faces=None if faces is None else load_face_encoder(faces),
        tracker=follow_points if had("motion and its speed are", opencv, False) else None,
    )
    names = {
        "C-T, TC, edit margin": chosen["clip"] if encoders.clip else "",
        "identity, leakage": chosen["identity"] if encoders.things else "",
        "faces": "" if faces is None else str(faces),
        "motion": "Lucas-Kanade (OpenCV)" if encoders.tracker else "",
    }
    return Choice(
        encoders=encoders,
        names={what: name for what, name in names.items() if name},
        left_out=tuple(left_out),
    )
