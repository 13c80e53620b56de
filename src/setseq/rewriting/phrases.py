"""Reading prompts and edits as phrases: who it is, and what begins with words like "in".

A phrase's kind is told by its first and last words (vocabulary.py). What has no such words in an
edit is an error, never a guess.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from setseq.errors import PromptError
from setseq.rewriting.vocabulary import (
    ACCESSORY_STARTS,
    ATTRIBUTES,
    BODY,
    CAMERA,
    INSTRUCTIONS,
    KINDS,
    LIGHTS,
    MERGED,
    OBJECT_STARTS,
    PLACE_STARTS,
    PLACES,
    POLITE,
    SPEEDS,
    STARTS,
    STYLE_STARTS,
    STYLES,
    TIME_STARTS,
    WEARABLE,
)

_JOINED_IN_EDITS = ("place", "object", "light", "style")
_STARTS = sorted(
    (*STYLE_STARTS, *ACCESSORY_STARTS, *OBJECT_STARTS, *TIME_STARTS, *PLACE_STARTS, "with"),
    key=len,
    reverse=True,
)
_START = re.compile(rf"({'|'.join(_STARTS)})\b", re.IGNORECASE)
_BREAK = re.compile(rf"[,;]\s*|\s+(?=(?:{'|'.join(_STARTS)})\b)", re.IGNORECASE)
_AND = re.compile(r"(\s*,\s*(?:and\s+)?|\s+and\s+)", re.IGNORECASE)
_MERGED = re.compile(rf"\b({'|'.join(MERGED)})\b", re.IGNORECASE)
_LOOK_TOKEN = re.compile(r"\[v\d?\]")
SENTENCE = re.compile(r"(it|he|she|they)\b|the\b.*\b(is|are)\b", re.IGNORECASE)

# A sentence that tells nothing of the entity.
_WEATHER = re.compile(
    r"it('s| is)? (rain|snow|storm|hail)(s|ing)?\b|the (sun|moon|wind|rain|snow) ", re.IGNORECASE
)

_LOOKING = re.compile(r"(?:looking|feeling|being)\s+(.+)", re.IGNORECASE)  # sad, not around

# A verb that tells somebody to do something, at the start of a phrase.
_INSTRUCTION = re.compile(
    rf"(?:^|[,;]|\band\b)\s*(?:(?:{'|'.join(POLITE)}),?\s+)*({'|'.join(INSTRUCTIONS)})(?![\w-])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Chunk:
    """A phrase of a prompt or an edit: its words, their kind, and whether a comma precedes."""

    kind: str
    text: str
    comma: bool = False

    @property
    def start(self) -> str:
        """The word or words that begin it, if they are of those that begin a phrase."""
        found = _START.match(self.text)
        return found[1].lower() if found else ""

    @property
    def head(self) -> str:
        """The last word, before where it is: "hat" of "a hat on its head"."""
        words = words_of(_MERGED.split(self.text)[0]) or words_of(self.text)
        return words[-1] if words else ""

    @property
    def things(self) -> list[str]:
        """What it lists: "a red shirt", "cap" of "in a red shirt, cap"."""
        first, *others = _AND.split(self.text[len(self.start) :].strip())
        found = [first]
        for sign, thing in zip(others[::2], others[1::2], strict=True):
            if _is_attribute(found[-1]):  # "black and white scarf"
                found[-1] += sign + thing
            else:
                found.append(thing)
        return found


def read_edit(edit: str) -> list[Chunk]:
    """The phrases of an edit; a kind in front, as "place: ...", holds for all of it.

    Raises:
        PromptError: It tells somebody to do something, or what it changes does not show.
    """
    named, colon, rest = (part.strip() for part in edit.partition(":"))
    if colon and named.lower() in KINDS:
        if not rest:
            raise PromptError(f"the edit {edit!r} is empty after its kind; say what changes")
        kind = named.lower()
        if kind == "style":  # which restyle puts in front of any words
            _refuse_instruction(rest)
        start = "" if _START.match(rest) else STARTS.get(kind, "")
        return [Chunk(kind, f"{start} {rest}".strip())]
    _refuse_instruction(edit)
    if (looks := _LOOKING.fullmatch(edit)) and _is_attribute(looks[1]):
        edit = looks[1]
    parts = [part.strip() for part in re.split("[,;]", edit) if part.strip()]
    if len(parts) > 1 and any(CAMERA & set(words_of(p)) or _WEATHER.match(p) for p in parts):
        return [chunk for part in parts for chunk in read_edit(part)]
    if _WEATHER.match(edit):
        return [Chunk("light", f"while {edit}")]
    if kind := _kind_of_sentence(edit):
        return [Chunk(kind, edit)]
    chunks: list[Chunk] = []
    for chunk in chunks_of(edit, lambda text: kind_of(text) or _kind_without_start(text)):
        if chunks and chunk.kind == chunks[-1].kind and chunk.kind in _JOINED_IN_EDITS:
            chunks[-1] = replace(chunks[-1], text=joined((chunks[-1], chunk)))
        else:
            chunks.append(replace(chunk, comma=False))
    return chunks


def _refuse_instruction(edit: str) -> None:
    is_told = SENTENCE.match(edit) or "[u" in edit  # "they jump and turn"
    if not is_told and (found := _INSTRUCTION.search(edit)):
        raise PromptError(
            f"the edit {edit!r} tells somebody to {found[1].lower()} something; say what is seen"
            " then, as 'in the rain', 'wearing a hat' or 'without the cap', or write OLD=>NEW"
        )


def _kind_of_sentence(text: str) -> str:
    """Of what goes into the dynamic part whole: a movement of the camera, or of the entity."""
    words = set(words_of(text))
    if CAMERA & words:
        return "camera"
    is_speed = bool(words) and words <= SPEEDS
    return "motion" if is_speed or SENTENCE.match(text) or "[u" in text else ""


def _kind_without_start(text: str) -> str:
    words = words_of(text)
    if kind := _kind_of_sentence(text):
        return kind
    known = [any(word in group for group in ATTRIBUTES.values()) for word in words]
    if words and (all(known) or words[0] in ATTRIBUTES["expression"]):
        return "attribute"
    is_thing = len(words) > 1 and not known[-1] and not _START.match(text)
    if is_thing and (words[-1] in WEARABLE or any(known)):
        return "part"
    if words and words[0].endswith("ing"):
        return "motion"
    raise PromptError(
        f"cannot tell what {text!r} changes; put its kind in front ({', '.join(KINDS)}), as"
        f" '{KINDS[0]}: {text}', or write OLD=>NEW, or give the whole prompt with [v]"
    )


def kind_of(text: str) -> str:
    """The kind of a phrase by its first and last words; "" where neither tells."""
    start = found[1].lower() if (found := _START.match(text)) else ""
    words = words_of(text)
    is_style = _ends(words, STYLES)
    if start in ("as a", "as an"):  # "as an oil painting"; not "as an old man"
        return "style" if is_style else ""
    if start in STYLE_STARTS or is_style:
        return "style"
    if text.lower() in PLACES:
        return "place"
    if start in TIME_STARTS or _ends(words, LIGHTS):
        return "light"
    if start in OBJECT_STARTS:
        return "object"
    if start == "with" and BODY & set(words):
        return "pose"
    if start and (start in ACCESSORY_STARTS or start == "with" or WEARABLE & set(words)):
        return "accessory"
    return "place" if start else ""


def chunks_of(text: str, classify: Callable[[str], str]) -> list[Chunk]:
    """Cut where a comma stands or a phrase begins; what has no kind goes on with the one before."""
    chunks: list[Chunk] = []
    place = 0
    for found in [*_BREAK.finditer(text), None]:
        piece = text[place : found.start() if found else len(text)].strip()
        comma = "," in text[max(0, place - 2) : place] and bool(chunks)
        place = found.end() if found else place
        if not piece:
            continue
        kind = "subject" if _LOOK_TOKEN.search(piece) else classify(piece)
        if chunks and _goes_on(piece, kind, chunks[-1]):
            last = chunks[-1]
            joined = f"{last.text}{', ' if comma else ' '}{piece}"
            chunks[-1] = replace(last, text=joined, kind=kind if kind == "subject" else last.kind)
        else:
            chunks.append(Chunk(kind, piece, comma))
    return chunks


def _is_attribute(text: str) -> bool:
    """Whether there is no thing in it, but for an article: "a red"."""
    words = [word for word in words_of(text) if word not in ("a", "an", "the")]
    return all(any(word in group for group in ATTRIBUTES.values()) for word in words)


def _goes_on(piece: str, kind: str, last: Chunk) -> bool:
    """Whether a piece belongs to the phrase before: "on its head", "by the sea | with waves"."""
    if not kind or _MERGED.match(piece) or _START.fullmatch(piece):
        return True
    of_scenery = last.kind in ("place", "light", "object")
    worn = bool(WEARABLE & set(words_of(piece)))
    return of_scenery and kind != "pose" and piece.lower().startswith("with ") and not worn


def joined(chunks: Iterable[Chunk]) -> str:
    """The text of phrases one after the other."""
    text = ""
    for chunk in chunks:
        text += ("" if not text else ", " if chunk.comma else " ") + chunk.text
    return text


def _ends(words: Sequence[str], endings: Iterable[str]) -> bool:
    """Whether the last words are one of these."""
    text = f" {' '.join(words)}"
    return any(text.endswith(f" {ending}") for ending in endings)


def words_of(text: str) -> list[str]:
    """Words in lower case, without numbers and signs."""
    return re.findall(r"[^\W\d_][\w'-]*", text.lower())
