"""What looks at a bench's videos: whatever there is of encoders, and what is left out for want."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import torch

from setseq.bench.settings import BenchSettings, EncoderChoice
from setseq.errors import EncoderError, PromptError
from setseq.evaluation.adherence import edit_margin, judged_edit, text_agreement, without_tokens
from setseq.evaluation.consistency import dynamic_degree, temporal_consistency
from setseq.evaluation.encoders import (
    CLIP_ID,
    THINGS_ID,
    TOYBOX,
    ClipEncoder,
    ThingEncoder,
    load_clip_encoder,
    load_thing_encoder,
)
from setseq.evaluation.faces import FaceEncoder, load_face_encoder
from setseq.evaluation.footage import Footage
from setseq.evaluation.identity import face_identity, thing_identity
from setseq.evaluation.motion import motion_fidelity
from setseq.evaluation.reconstruction import mse
from setseq.evaluation.vision import opencv
from setseq.video.views import to_pixels

if TYPE_CHECKING:
    from setseq.toybox.judge import Judge

Row = dict[str, float | None]
T = TypeVar("T")

NONE = "none"
_MEASURES = {
    "clip": "C-T, TC and edit success",
    "things": "identity",
    "faces": "ID of faces",
    "judge": "the judge's reading",
    "points": "motion fidelity and dynamic degree",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a video was asked to show.

    Attributes:
        prompt: What it was generated from, with its tokens.
        source: The clip's own prompt; None where the video is under that.
        wanted: What the judge should read, question to answer.
    """

    prompt: str
    source: str | None = None
    wanted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """What looks at the videos; None of an encoder leaves its numbers out.

    Attributes:
        points: Whether OpenCV is there, which follows points.
    """

    clip: ClipEncoder | None = None
    things: ThingEncoder | None = None
    faces: FaceEncoder | None = None
    judge: Judge | None = None
    points: bool = True

    def measure(self, reference: Footage, generated: Footage, asked: Asked) -> Row:
        """All numbers of one video; definitions in ``setseq.evaluation`` and ``toybox.likeness``.

        What nothing here can measure is not in the row; None is what cannot be said of this video.
        """
        row: Row = {"mse": mse(reference, generated)}
        if self.things:
            row["identity"] = thing_identity(self.things, reference, generated)
        if self.faces:
            face = face_identity(self.faces, reference, generated)
            row |= {"face_identity": face.similarity, "face_share": face.share}
        if self.clip:
            row |= _by_clip(self.clip, generated, asked)
        if self.points:
            row |= _by_points(reference, generated)
        if self.judge:
            row |= _by_judge(self.judge, reference, generated, asked)
        return row


def _by_clip(clip: ClipEncoder, generated: Footage, asked: Asked) -> Row:
    frames = clip.pictures(generated.frames)
    texts = [asked.prompt] if asked.source is None else [asked.prompt, asked.source]
    words = clip.words([without_tokens(text) for text in texts])
    row: Row = {
        "clip_text": text_agreement(frames, words[0]),
        "temporal_consistency": temporal_consistency(frames),
    }
    if asked.source is not None:
        row["edit_margin"] = margin = edit_margin(frames, words[0], words[1])
        row["edit_done"] = float(margin > 0)
    return row


def _by_points(reference: Footage, generated: Footage) -> Row:
    moves = motion_fidelity(reference, generated)
    speed, own_speed = dynamic_degree(generated), dynamic_degree(reference)
    return {
        "motion": moves.mean,
        "motion_global": moves.overall,
        "motion_local": moves.local,
        "dynamic_degree": speed,
        "dynamic_ratio": speed / own_speed if speed is not None and own_speed else None,
    }


def _by_judge(judge: Judge, reference: Footage, generated: Footage, asked: Asked) -> Row:
    from setseq.toybox.likeness import identity_likeness, motion_likeness

    first, second = (to_pixels(video.frames)[None] for video in (reference, generated))
    row: Row = {
        "judged_identity": float(identity_likeness(judge, first, second)),
        "judged_motion": float(motion_likeness(first, second)),
    }
    if asked.wanted:
        row["judged_edit"] = judged_edit(judge, generated, asked.wanted)
    return row


def open_eyes(choice: EncoderChoice) -> tuple[Eyes, dict[str, str]]:
    """Opens the encoders of a resolved choice.

    Returns:
        The eyes, and name to the reason why it is left out.
    """
    missing: dict[str, str] = {}

    def opened(name: str, source: str, load: Callable[[str], T]) -> T | None:
        if source == NONE:
            missing[name] = "the settings say none"
            return None
        try:
            return load(source)
        except EncoderError as error:
            missing[name] = str(error)
            return None

    eyes = Eyes(
        clip=opened("clip", choice.clip, load_clip_encoder),
        things=opened("things", choice.things, load_thing_encoder),
        faces=opened("faces", choice.faces, load_face_encoder),
        judge=opened("judge", choice.judge, _load_judge),
        points=opened("points", "opencv", lambda _: opencv()) is not None,
    )
    return eyes, missing


def _load_judge(_: str) -> Judge:
    from setseq.toybox.evaluate import asset
    from setseq.toybox.judge import load_judge

    return load_judge(asset("judge.safetensors"))


def resolved_choice(settings: BenchSettings, *, base: str) -> EncoderChoice:
    """The encoders by name: what "auto" means for a base of this id."""
    choice, on_toybox = settings.encoders, base == TOYBOX
    clip, things = (TOYBOX, TOYBOX) if on_toybox else (CLIP_ID, THINGS_ID)
    return EncoderChoice(
        clip=clip if choice.clip == "auto" else choice.clip,
        things=things if choice.things == "auto" else choice.things,
        faces=choice.faces,
        judge=choice.judge if on_toybox else NONE,
    )


def without(choice: EncoderChoice, missing: Mapping[str, str]) -> EncoderChoice:
    """A choice less what could not be opened, so that no other process tries it again."""
    gone = {name: NONE for name in missing if name != "points"}
    return choice.model_copy(update=gone)


def left_out(missing: Mapping[str, str]) -> list[str]:
    """A line for each of the missing: which numbers are left out, and why."""
    return [f"left out: {_MEASURES[name]} ({reason})" for name, reason in missing.items()]


def check_wanted(settings: BenchSettings) -> None:
    """Makes sure that the judge can be asked for what the edits want.

    Raises:
        PromptError: It knows no such question or answer.
    """
    from setseq.toybox.judge import heads

    questions = heads()
    for edit in settings.edit:
        for name, value in edit.wanted.items():
            if value not in questions.get(name, ()):
                known = ", ".join(questions.get(name, tuple(questions)))
                raise PromptError(
                    f"edit {edit.name!r}: the judge cannot be asked for {name} = {value!r}; known:"
                    f" {known}"
                )


def one_thread() -> None:
    """Keeps this process to one thread, as there is one process for each core."""
    torch.set_num_threads(1)
    try:
        opencv().setNumThreads(1)
    except EncoderError:  # not installed: nothing to keep
        return
