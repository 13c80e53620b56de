"""Concept tokens and the two parts of a prompt: what it looks like, and how it moves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from setseq.errors import PromptError

TokenMode = Literal["literal", "learned"]
LOOK_WORDS = ("zor", "mip", "lun", "tak", "vex", "pob")  # [v1] to [v6] in literal mode
MOTION_WORDS = ("dax", "wug", "fep", "kiv", "rul", "gim")  # [u1] to [u6]
MAX_CONCEPTS = len(LOOK_WORDS)
_PLACEHOLDER = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class ConceptPrompt:
    """The prompt of one clip, with placeholders in their numbered form.

    Attributes:
        look: the static part, as "a [v1] creature on a beach".
        motion: the dynamic part, as "it is [u1]".
    """

    look: str
    motion: str

    @property
    def full(self) -> str:
        """Both parts: what the Sequence stage reads after the Set stage read ``look`` alone."""
        end = "" if self.look.endswith((".", "!", "?", ",", ";", ":")) else "."
        return f"{self.look}{end} {self.motion}"


def without_tokens(prompt: str) -> str:
    """A prompt without its concept tokens, which no encoder knows: "a [v] man" is "a man".

    Raises:
        PromptError: nothing is left.
    """
    words = " ".join(re.sub(r"\[[vu]\d?\]", " ", prompt).split())
    words = re.sub(r"\s+([.,;:!?])", r"\1", words)
    if not words:
        raise PromptError(
            f"the prompt {prompt!r} says nothing besides its tokens; describe a scene"
        )
    return words


def placeholders(text: str) -> list[str]:
    """The names in square brackets, in order and numbered: "[v]" is "v1"."""
    return [_numbered(name) for name in _PLACEHOLDER.findall(text)]


def concept_prompt(look: str, motion: str, *, number: int = 1) -> ConceptPrompt:
    """Check the two parts of a clip's prompt.

    Args:
        look: appearance, background, expression; must name its look token, [v] or [v1].
        motion: coarse action and camera; must name its motion token, [u] or [u1].
        number: which of several concepts this clip shows, 1 to 6.

    Raises:
        PromptError: a part is empty, lacks its token, or has one that belongs elsewhere.
    """
    look, motion = _tidy(look), _tidy(motion)
    for part, text, letter, other in (
        ("look", look, "v", "motion"),
        ("motion", motion, "u", "look"),
    ):
        shown = f"[{letter}]" if number == 1 else f"[{letter}{number}]"
        if not text:
            raise PromptError(f"the {part} prompt is empty; describe the {part} and use {shown}")
        names = placeholders(text)
        if f"{letter}{number}" not in names:
            raise PromptError(
                f"the {part} prompt {text!r} lacks {shown}, the token that stands for the {part};"
                " put it where a word for it would stand"
            )
        allowed = {f"{letter}{number}"} | ({f"v{number}"} if part == "motion" else set())
        for name in names:
            if name not in allowed:
                raise PromptError(
                    f"the {part} prompt {text!r} has [{name}], which is not its token; use {shown}"
                    f" here and put other tokens into the {other} prompt of their clip"
                )
    return ConceptPrompt(renumbered(look), renumbered(motion))


def renumbered(text: str, offset: int = 0) -> str:
    """A text with its placeholders numbered, and moved on: "[v]" by 1 is "[v2]"."""
    return _PLACEHOLDER.sub(lambda match: f"[{moved(match[1], offset)}]", text)


def moved(name: str, offset: int) -> str:
    """A placeholder's name, numbered and moved on: "v" by 1 is "v2"; other names stay."""
    letter, number = _numbered(name)[:1], _numbered(name)[1:]
    known = letter in ("v", "u") and number.isdecimal()
    return f"{letter}{int(number) + offset}" if known else name


def choose_words(
    mode: TokenMode, *, concepts: int = 1, words: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The word that stands in for each placeholder: {"v1": "zor", "u1": "dax"}.

    Args:
        mode: "literal", plain words of the vocabulary; "learned", words with rows of their own.
        concepts: pairs of tokens, 1 to 6.
        words: own words by placeholder, literal mode only, as {"v": "sks"}.

    Raises:
        PromptError: too many concepts, an unknown placeholder, an unusable word, or the same word
            twice.
    """
    if not 1 <= concepts <= MAX_CONCEPTS:
        raise PromptError(f"{concepts} concepts cannot be told apart; use 1 to {MAX_CONCEPTS}")
    names = [f"{letter}{k}" for k in range(1, concepts + 1) for letter in "vu"]
    if mode == "learned":
        if words:
            raise PromptError("learned tokens have no words to choose; use literal tokens for that")
        return {name: f"[{name}]" for name in names}
    defaults = {"v": LOOK_WORDS, "u": MOTION_WORDS}
    chosen = {name: defaults[name[0]][int(name[1:]) - 1] for name in names}
    for given, word in (words or {}).items():
        name = _numbered(given.strip("[]"))
        if name not in chosen:
            raise PromptError(f"[{given}] is no token; known: {_listed(names)}")
        if not _tidy(word) or "[" in word or "]" in word:
            raise PromptError(f"{word!r} cannot stand for [{name}]; use a plain word")
        chosen[name] = _tidy(word)
    if len(set(chosen.values())) < len(chosen):
        raise PromptError(f"tokens need different words, found {', '.join(chosen.values())}")
    return chosen


def shared_words(words: Mapping[str, str]) -> str:
    """Which tokens stand for the same word, and what to do about it; "" where none do.

    Concepts that were learned together never share one; those learned apart and combined may.
    """
    names: dict[str, list[str]] = {}
    for name in sorted(words, key=lambda name: (name[0] != "v", name)):
        names.setdefault(words[name], []).append(f"[{name}]")
    said = ", ".join(f"{' and '.join(own)} for {word!r}" for word, own in names.items() if own[1:])
    if not said:
        return ""
    free = [
        next((word for word in known if word not in words.values()), "sks")
        for known in (LOOK_WORDS, MOTION_WORDS)
    ]
    return (
        f"tokens stand for the same word ({said}), so that a prompt that calls one calls the other"
        " too; to tell them apart, learn all but one again with words of their own (--config FILE"
        f" with words = {{ v = '{free[0]}', u = '{free[1]}' }} in its table [learn]), or all with"
        " --tokens learned, and combine those"
    )


def filled(prompt: str, words: Mapping[str, str]) -> str:
    """A prompt as the model reads it, each placeholder replaced by its word.

    Raises:
        PromptError: the prompt is empty or has a token that the concept does not know.
    """
    if not _tidy(prompt):
        raise PromptError("the prompt is empty; describe the scene")
    for name in placeholders(prompt):
        if name not in words:
            raise PromptError(
                f"the prompt has [{name}], which this concept does not know;"
                f" known: {_listed(list(words))}"
            )
    return _PLACEHOLDER.sub(lambda match: words[_numbered(match[1])], _tidy(prompt))


def shown_prompt(prompt: str, concepts: int) -> str:
    """A prompt as its user would write it: a single concept's tokens are [v] and [u]."""
    return re.sub(r"\[([vu])1\]", r"[\1]", prompt) if concepts == 1 else prompt


def check_prompt(prompt: str, words: Mapping[str, str]) -> str:
    """``filled``, for a prompt that is to show the concept.

    Raises:
        PromptError: as ``filled``, or the prompt has no token at all.
    """
    text = filled(prompt, words)
    if not placeholders(prompt):
        raise PromptError(f"the prompt {prompt!r} has no concept token; use {_listed(list(words))}")
    return text


def _numbered(name: str) -> str:
    return name + "1" if name in ("v", "u") else name


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _listed(names: Sequence[str]) -> str:
    single = {"v1": "[v]", "u1": "[u]"} if len(names) == 2 else {}
    return ", ".join(single.get(name, f"[{name}]") for name in names)
