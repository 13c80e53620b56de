"""What looks at a bench's videos: whatever there is of encoders, and what is left out for want."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from setseq.bench.settings import BenchSettings, EncoderChoice
from setseq.config import GenerateSettings
from setseq.errors import EncoderError, PromptError, SettingsError
from setseq.evaluation import choice as choosing
from setseq.evaluation.choice import NONE, natural_encoder, open_encoders
from setseq.evaluation.encoders import TOYBOX
from setseq.evaluation.footage import Footage
from setseq.evaluation.measure import Asked, Encoders, evaluate
from setseq.evaluation.vision import opencv
from setseq.models.base import Geometry
from setseq.video.views import to_pixels

if TYPE_CHECKING:
    from setseq.toybox.judge import Judge

Row = dict[str, float]

_MEASURES = {
    "clip": "C-T, TC and edit success",
    "things": "identity",
    "faces": "ID of faces",
    "judge": "the judge's reading",
    "points": "motion fidelity and dynamic degree",
}


def measure(encoders: Encoders, reference: Footage, generated: Footage, asked: Asked) -> Row:
    """All numbers of one video; definitions in ``setseq.evaluation`` and ``toybox.likeness``.

    Beside those of ``measure.evaluate``: "edit_done" (1 where the edit margin is above 0),
    "dynamic_ratio" (the dynamic degree over the clip's), and of the toybox's judge
    "judged_identity" (without the looks that the edit itself changes) and "judged_motion". Wanted
    attributes that the judge reads in the clip already do not count.

    Returns:
        Name to value; what nothing here measures, and what cannot be said of this video, is not
        in it.
    """
    wanted = asked.attributes
    if encoders.judge is not None and wanted:
        asked = replace(asked, attributes=_unlike(encoders.judge, reference, wanted))
    scores = evaluate(reference, generated, asked, encoders)
    row = {name: value for name, value in scores.as_row().items() if value is not None}
    if scores.edit_margin is not None:
        row["edit_done"] = float(scores.edit_margin > 0)
    if scores.dynamic_degree is not None and scores.reference_dynamic_degree:
        row["dynamic_ratio"] = scores.dynamic_degree / scores.reference_dynamic_degree
    if encoders.judge is not None:
        row |= _by_judge(encoders.judge, reference, generated, wanted)
    return row


def _unlike(judge: Judge, reference: Footage, wanted: Mapping[str, str]) -> dict[str, str]:
    """What the judge does not read in the clip already, which giving it back would show too."""
    seen = judge.read(to_pixels(reference.frames)[None])[0]
    return {name: value for name, value in wanted.items() if seen.get(name) != value}


def _by_judge(
    judge: Judge, reference: Footage, generated: Footage, wanted: Mapping[str, str]
) -> Row:
    from setseq.toybox.likeness import identity_likeness, motion_likeness

    first, second = (to_pixels(video.frames)[None] for video in (reference, generated))
    return {
        "judged_identity": float(identity_likeness(judge, first, second, changed=wanted)),
        "judged_motion": float(motion_likeness(first, second)),
    }


def opened(
    choice: EncoderChoice, *, needed: Collection[str] = (), fetch: bool = False
) -> tuple[Encoders, dict[str, str]]:
    """Opens the encoders of a resolved choice.

    Args:
        choice: Each by name, or "none".
        needed: Names of those that must be there.
        fetch: Whether what is not on this machine may be fetched.

    Returns:
        The encoders, and name to the reason why it is left out.

    Raises:
        EncoderError: One that is needed is missing.
    """
    names = choice.model_dump()
    sources = {name: source for name, source in names.items() if source != NONE}
    if "judge" in sources:
        sources["judge"] = TOYBOX
    encoders, missing = open_encoders(
        clip=sources.get("clip"),
        things=sources.get("things"),
        faces=sources.get("faces"),
        judge=sources.get("judge"),
        points=sources.get("points"),
        needed=needed,
        fetch=fetch,
    )
    unwanted = {name: "the settings say none" for name in names if name not in sources}
    found = missing | unwanted
    return encoders, {name: found[name] for name in _MEASURES if name in found}


def asked_for(settings: BenchSettings) -> list[str]:
    """The encoders that the settings name themselves: a wrong name must not cost a column."""
    given, usual = settings.encoders.model_dump(), EncoderChoice().model_dump()
    return [name for name, source in given.items() if source not in (NONE, usual[name])]


def resolved_choice(settings: BenchSettings, *, base: str) -> EncoderChoice:
    """The encoders by name: what "auto" means for a base of this id."""
    choice = settings.encoders
    clip, things = choice.clip, choice.things
    return EncoderChoice(
        clip=natural_encoder(base, "clip") if clip == "auto" else clip,
        things=natural_encoder(base, "identity") if things == "auto" else things,
        faces=choice.faces,
        points=choice.points,
        judge=choice.judge if base == TOYBOX else NONE,
    )


def without(choice: EncoderChoice, missing: Mapping[str, str]) -> EncoderChoice:
    """A choice less what could not be opened, so that no other process tries it again."""
    return choice.model_copy(update=dict.fromkeys(missing, NONE))


def left_out(missing: Mapping[str, str]) -> list[str]:
    """A line for each of the missing: which numbers are left out, and why."""
    return choosing.left_out(missing, _MEASURES)


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


def check_readable(own: Geometry, shown: GenerateSettings) -> None:
    """Makes sure that the judge, which reads the toybox's own size and length, can read the videos.

    Raises:
        SettingsError: It cannot.
    """
    for name in ("num_frames", "width", "height"):
        given = getattr(shown, name)
        if given not in (None, getattr(own, name)):
            raise SettingsError(
                f"[generate] {name} is {given}, and the toybox's judge reads {getattr(own, name)};"
                " leave it out, or set judge = 'none' in [encoders]"
            )


@contextmanager
def one_thread() -> Iterator[None]:
    """Keeps this process to one thread: sums of several are rounded otherwise.

    So a cell is the same to the bit however many learnings are done beside each other.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _one_of_opencv():
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _one_of_opencv() -> Iterator[None]:
    try:
        library = opencv()
    except EncoderError:  # not installed: nothing to keep
        yield
        return
    before = library.getNumThreads()
    library.setNumThreads(1)
    try:
        yield
    finally:
        library.setNumThreads(before)
