"""Which encoders measure: those that were asked for, else a base's natural ones; opened here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

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
from setseq.evaluation.tracks import Tracker, cotracker, follow_points
from setseq.evaluation.vision import opencv
from setseq.toybox.shipped import asset

if TYPE_CHECKING:
    from setseq.toybox.judge import Judge

E = TypeVar("E")
Source = str | Path
OPENCV = "opencv"
NONE = "none"
_PUBLISHED = {"clip": CLIP_ID, "identity": THINGS_ID}
_MEASURES = {
    "clip": "C-T, TC, edit margin",
    "things": "identity, leakage",
    "faces": "faces",
    "points": "motion, speed",
}
_ADVICE = {"clip": ", with --clip-model", "things": ", with --identity-model"}


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
        "toybox" for the toybox, which ships with both; else the id of a published model.
    """
    return TOYBOX if base == TOYBOX else _PUBLISHED[part]


def open_encoders(
    *,
    clip: Source | None = None,
    things: Source | None = None,
    faces: Source | None = None,
    judge: Source | None = None,
    points: Source | None = OPENCV,
    needed: Collection[str] = (),
    fetch: bool = False,
    device: str = "cpu",
) -> tuple[Encoders, dict[str, str]]:
    """Opens what is to be had of some encoders; of each, None does not want it.

    Args:
        clip: "toybox", a folder, or a model id.
        things: Likewise.
        faces: A folder with a detector and a recognizer in ONNX.
        judge: "toybox", or the weights of another judge of the toybox.
        points: "opencv", or a file of CoTracker 3's weights: what follows points.
        needed: Names of arguments above that are an error where they are not to be had.
        fetch: Whether one that is not on this machine may be fetched.
        device: Where CLIP and the encoder of things run.

    Returns:
        The encoders; and what is not to be had, by argument, to the reason.

    Raises:
        EncoderError: One that is needed is missing or damaged.
    """
    missing: dict[str, str] = {}

    def opened(name: str, source: Source | None, load: Callable[[Source], E]) -> E | None:
        if source is None:
            return None
        try:
            return load(source)
        except EncoderError as error:
            if name in needed:
                raise
            missing[name] = str(error)
            return None

    encoders = Encoders(
        clip=opened("clip", clip, partial(load_clip_encoder, device=device, fetch=fetch)),
        things=opened("things", things, partial(load_thing_encoder, device=device, fetch=fetch)),
        faces=opened("faces", faces, load_face_encoder),
        judge=opened("judge", judge, _load_judge),
        tracker=opened("points", points, _load_tracker),
    )
    return encoders, missing


def choose_encoders(
    base: str,
    *,
    clip: Source | None = None,
    things: Source | None = None,
    faces: Source | None = None,
    points: Source | None = None,
    fetch: bool = False,
    device: str = "cpu",
) -> Choice:
    """Opens the encoders that a concept is measured with.

    Args:
        base: The id of the base model that it was learned on.
        clip: "toybox", a folder, a model id, or "none"; None is the natural one, where that is to
            be had.
        things: Likewise, for identity.
        faces: Folder of a face encoder; None measures no faces.
        points: File of CoTracker 3's weights; None is OpenCV's tracker.
        fetch: As for ``open_encoders``.
        device: Where they run.

    Raises:
        EncoderError: One that was asked for is missing or damaged.
    """
    asked = {"clip": clip, "things": things, "faces": faces, "points": points}
    natural = {
        "clip": natural_encoder(base, "clip"),
        "things": natural_encoder(base, "identity"),
        "points": OPENCV,
    }
    wanted = {name: source or natural.get(name) for name, source in asked.items()}
    sources = {name: None if source == NONE else source for name, source in wanted.items()}
    encoders, missing = open_encoders(
        **sources,
        needed=[name for name, source in asked.items() if source],
        fetch=fetch,
        device=device,
    )
    names = {name: str(source) for name, source in sources.items() if source}
    if names.get("points") == OPENCV:
        names["points"] = "Lucas-Kanade (OpenCV)"
    reasons = {name: reason + _ADVICE.get(name, "") for name, reason in missing.items()}
    return Choice(
        encoders=encoders,
        names={_MEASURES[name]: where for name, where in names.items() if name not in missing},
        left_out=tuple(left_out(reasons, _MEASURES)),
    )


def left_out(missing: Mapping[str, str], measures: Mapping[str, str]) -> list[str]:
    """A line for each encoder that is not to be had: which numbers are left out, and why.

    Args:
        missing: As ``open_encoders`` returns it.
        measures: The same names to what is measured with each.
    """
    return [f"left out: {measures[name]} ({reason})" for name, reason in missing.items()]


def _load_tracker(source: Source) -> Tracker:
    if source == OPENCV:
        opencv()
        return follow_points
    return cotracker(source)


def _load_judge(source: Source) -> Judge:
    from setseq.toybox.judge import load_judge

    path = asset("judge.safetensors") if source == TOYBOX else Path(source).expanduser()
    return load_judge(path)
