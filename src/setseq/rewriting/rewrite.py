"""Edits of a learned prompt: which part of it a few words change, by an explicit grammar of kinds.

A phrase of the edit takes the place of what the prompt has of its kind (place, light, style,
accessory, ...), or is added where its kind belongs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from setseq.errors import PromptError
from setseq.prompts import ConceptPrompt, placeholders
from setseq.rewriting.phrases import (
    SENTENCE,
    Chunk,
    chunks_of,
    joined,
    kind_of,
    read_edit,
    words_of,
)
from setseq.rewriting.vocabulary import ATTRIBUTES, CAMERA, SPEEDS, STYLES, WEARABLE

_ORDER = ("subject", "accessory", "pose", "place", "object", "light", "style")
_STYLE_OF = re.compile(rf"^(an? (?:[\w-]+ )*(?:{'|'.join(STYLES)}) of )(?=.*\[v)", re.IGNORECASE)
_SPEED_AT_END = re.compile(r" ((?:very |more )?(?:in slow motion|\w+ly|faster|fast|slower))$")
_ARTICLE = r"(?:an?|the|its|his|her|their) "


@dataclass(frozen=True)
class Edited:
    """A prompt after an edit.

    Attributes:
        prompt: all of it, with numbered placeholders.
        changes: what was done, as "place: 'in a meadow' -> 'in the desert'".
    """

    prompt: str
    changes: tuple[str, ...]


def rewrite(prompt: ConceptPrompt, edit: str) -> Edited:
    """A learned prompt, changed as a few words say.

    Args:
        prompt: the learned one.
        edit: phrases as "in the desert at night, wearing a hat"; "OLD=>NEW" for a replacement of
            the very words; "KIND: words" where the kind does not show; or a whole prompt, which
            names the look's token.

    Raises:
        PromptError: the edit is empty, or the grammar cannot tell what it changes.
    """
    edit = re.sub(r"\[([vu])\]", r"[\g<1>1]", " ".join(edit.split()))
    if not edit.strip(" ,;."):
        raise PromptError("the edit is empty; say what changes, as 'in the desert at night'")
    if "=>" in edit:
        return _substituted(prompt, edit)
    if any(name.startswith("v") for name in placeholders(edit)):
        return Edited(edit, ("the whole prompt is given",))
    changes: list[str] = []
    for chunk in read_edit(edit):
        prompt, change = _apply(prompt, chunk)
        changes.append(f"{chunk.kind}: {change}")
    return Edited(prompt.full, tuple(changes))


def _substituted(prompt: ConceptPrompt, edit: str) -> Edited:
    old, _, new = (part.strip() for part in edit.partition("=>"))
    full = prompt.full
    very_words = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
    if not old or not very_words.search(full):
        raise PromptError(
            f"the replacement {edit!r} looks for {old!r}, which the prompt {full!r} does not have;"
            " write OLD=>NEW with words of the prompt"
        )
    text = very_words.sub(lambda _: new, full)
    return Edited(" ".join(text.split()), (f"{old!r} -> {new!r}",))


def _apply(prompt: ConceptPrompt, edit: Chunk) -> tuple[ConceptPrompt, str]:
    """The prompt after one phrase of an edit, and what was done."""
    if edit.kind in ("camera", "motion"):
        change = _with_camera if edit.kind == "camera" else _with_motion
        motion, done = change(prompt.motion, edit.text)
        return replace(prompt, motion=motion), done
    look = prompt.look.rstrip(".")
    end = prompt.look[len(look) :]
    opening = found[1] if (found := _STYLE_OF.match(look)) else ""
    chunks = chunks_of(look[len(opening) :], kind_of)
    if edit.kind == "style":
        return replace(prompt, look=_with_style(opening, chunks, edit) + end), _said(
            [opening.strip().removesuffix(" of")] if opening else _texts(chunks, "style"), edit.text
        )
    if edit.kind == "attribute":
        chunks, done = _with_attribute(chunks, edit)
    elif edit.kind == "part":
        chunks, done = _with_part(chunks, edit)
    else:
        chunks, done = _with_phrase(chunks, edit)
    return replace(prompt, look=opening + joined(chunks) + end), done


def _with_phrase(chunks: Sequence[Chunk], edit: Chunk) -> tuple[list[Chunk], str]:
    """A phrase in place of all of its kind, or after the last of those that come before it."""
    if edit.kind == "accessory":
        changed, taken = _with_thing(chunks, edit)
        if taken:
            return changed, _said(taken, edit.text)
    olds = [chunk for chunk in chunks if _is_replaced(chunk, edit)]
    if not olds:
        return _with_added(chunks, edit), _said([], edit.text)
    at, kept = chunks.index(olds[0]), [chunk for chunk in chunks if chunk not in olds]
    new = replace(edit, comma=not edit.start)
    return [*kept[:at], new, *kept[at:]], _said([old.text for old in olds], edit.text)


def _with_thing(chunks: Sequence[Chunk], edit: Chunk) -> tuple[list[Chunk], list[str]]:
    """A phrase behind those that it takes a thing from, one of several; and that thing.

    "without the cap" takes the cap of "gray shirt and cap", and leaves the shirt.
    """
    for at, chunk in enumerate(chunks):
        things = chunk.things if chunk.kind == "accessory" else []
        own = [thing for thing in things if Chunk("", thing).head == edit.head]
        rest = [thing for thing in things if thing not in own]
        if own and rest:
            listed = ", ".join(rest[:-1]) + (" and " if rest[1:] else "") + rest[-1]
            left = replace(chunk, text=f"{chunk.start} {listed}".strip())
            return [*chunks[:at], left, edit, *chunks[at + 1 :]], own
    return [*chunks], []


def _with_added(chunks: Sequence[Chunk], edit: Chunk) -> list[Chunk]:
    """A phrase before the first that belongs behind it."""
    subject = next(n for n, chunk in enumerate(chunks) if chunk.kind == "subject")
    rank = _ORDER.index(edit.kind)
    behind = [n for n, chunk in enumerate(chunks) if _ORDER.index(chunk.kind) > rank]
    at = next((n for n in behind if n > subject), len(chunks))
    return [*chunks[:at], replace(edit, comma=not edit.start), *chunks[at:]]


def _is_replaced(chunk: Chunk, edit: Chunk) -> bool:
    """Whether an edit drives a phrase out: one is in but one place, and can wear two things.

    An accessory goes for one with the same noun or the same first word, as "holding"; but what is
    without one thing may be without another.
    """
    if chunk.kind != edit.kind:
        return False
    both_worn = all(WEARABLE & set(words_of(text)) for text in (chunk.text, edit.text))
    same_start = edit.start == chunk.start and (
        both_worn if edit.start == "with" else edit.start != "without"
    )
    return edit.kind != "accessory" or edit.head == chunk.head or same_start


def _with_attribute(chunks: Sequence[Chunk], edit: Chunk) -> tuple[list[Chunk], str]:
    """Words right after the look's token, in place of words of their group ("red", "blue")."""
    groups = [group for group in ATTRIBUTES.values() if group & set(words_of(edit.text))]
    at = next(n for n, chunk in enumerate(chunks) if chunk.kind == "subject")
    before, token, after = re.split(r"(\[v\d?\])", chunks[at].text, maxsplit=1)
    olds = [word for word in after.split() if any(word.lower() in group for group in groups)]
    words = [word for word in after.split() if word not in olds]
    text = before + " ".join([token, edit.text, *words])
    return [*chunks[:at], replace(chunks[at], text=text), *chunks[at + 1 :]], _said(olds, edit.text)


def _with_part(chunks: Sequence[Chunk], edit: Chunk) -> tuple[list[Chunk], str]:
    """A thing with its colour: in place of that thing, or added with "with"."""
    own_article = re.match(_ARTICLE, edit.text, re.IGNORECASE)
    thing = re.compile(
        rf"\b({_ARTICLE})?(?:(?!{_ARTICLE}|(?:in|with|and|wearing|holding) )[\w-]+ )?"
        rf"{re.escape(edit.head)}\b",
        re.IGNORECASE,
    )
    for at, chunk in enumerate(chunks):
        if chunk.kind == "subject" or not (found := thing.search(chunk.text)):
            continue
        new = edit.text if own_article or not found[1] else _article(found[1], edit.text)
        text = chunk.text[: found.start()] + new + chunk.text[found.end() :]
        return [*chunks[:at], replace(chunk, text=text), *chunks[at + 1 :]], _said([found[0]], new)
    is_plural = edit.head.endswith("s") and not edit.head.endswith("ss")
    text = edit.text if own_article or is_plural else _article("a", edit.text)
    return _with_added(chunks, Chunk("accessory", f"with {text}")), _said([], f"with {text}")


def _article(old: str, text: str) -> str:
    if old.strip().lower() not in ("a", "an"):
        return f"{old.strip()} {text}"
    return f"{'an' if text[0].lower() in 'aeiou' else 'a'} {text}"


def _with_style(opening: str, chunks: Sequence[Chunk], edit: Chunk) -> str:
    """A style in front ("a pencil sketch of ...") where it has an article, else at the end."""
    text = re.sub(r"^as (?=an? )", "", edit.text, flags=re.IGNORECASE).removesuffix(" of")
    rest = joined(chunk for chunk in chunks if chunk.kind != "style")
    if re.match(r"an? ", text, re.IGNORECASE):
        if (opening or rest)[0].isupper():
            text, rest = text[0].upper() + text[1:], rest[0].lower() + rest[1:]
        return f"{text} of {rest}"
    return f"{rest}, {text}"


def _with_camera(motion: str, text: str) -> tuple[str, str]:
    """A sentence for the camera, in place of the one there is."""
    sentences = _sentences(motion)
    olds = [sentence for sentence in sentences if CAMERA & set(words_of(sentence))]
    kept = [sentence for sentence in sentences if sentence not in olds]
    return " ".join([*kept, text.rstrip(".") + "."]), _said([o.rstrip(".") for o in olds], text)


def _with_motion(motion: str, text: str) -> tuple[str, str]:
    """The sentence of the movement anew, or its words after [u], or how fast it goes."""
    sentences = _sentences(motion)
    at = next(n for n, sentence in enumerate(sentences) if "[u" in sentence)
    old = sentences[at].rstrip(".")
    before, token, after = re.split(r"(\[u\d?\])", old, maxsplit=1)
    if SENTENCE.match(text):
        new, said = text, old
    elif "[u" in text:
        new, said = before + text, token + after
    elif set(words_of(text)) <= SPEEDS:
        found = _SPEED_AT_END.search(after)
        said = found[1] if found else ""
        new = f"{old.removesuffix(said).rstrip()} {text}"
    else:
        new, said = f"{before}{token} {text}", after.strip()
    sentences[at] = new.rstrip(".") + "."
    return " ".join(sentences), _said([said] if said else [], text)


def _sentences(text: str) -> list[str]:
    return [s if s.endswith(".") else s + "." for s in re.split(r"(?<=\.)\s+", text.strip()) if s]


def _texts(chunks: Iterable[Chunk], kind: str) -> list[str]:
    return [chunk.text for chunk in chunks if chunk.kind == kind]


def _said(olds: Sequence[str], new: str) -> str:
    return f"{' '.join(olds)!r} -> {new!r}" if olds else f"{new!r} added"
