"""A stage's prompts as its steps read them: encoded once, or masked, or with rows in training."""

import functools
import re
import sys
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from setseq.config import LearnSettings
from setseq.models.base import Conditioning, VideoModel
from setseq.prompts import filled, placeholders
from setseq.training.stages import Stage

# All maskings of all prompts at once would need more memory than a large text encoder leaves.
_TEXTS_AT_ONCE = 8
# Writings without spaces: kana, Chinese, Hangul; Thai, Lao, Burmese, Khmer.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# Vowels of Thai and Lao that are letters to Unicode, before and behind their consonant; and what
# makes the next letter of Burmese and Khmer a part of the one before.
_LEADING, _TRAILING = "\u0e40-\u0e44\u0ec0-\u0ec4", "\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3"
_STACKING = "\u1039\u17d2"


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    r"""A placeholder; a sign of a writing without spaces; or a word, with what joins its parts.

    Vowel signs and accents are marks, which ``\w`` is without: they belong to the letter before.
    """
    every = map(chr, range(sys.maxunicode + 1))
    marks = "".join(char for char in every if unicodedata.category(char).startswith("M"))
    mark = rf"[{marks}\u200c\u200d]"  # and what joins and parts letters within a word
    letter = rf"[^\W{_UNSPACED}]"
    word = f"{letter}(?:{letter}|{mark})*"
    stacked = rf"(?<=[{_STACKING}])\w"
    sign = rf"[{_LEADING}]?(?=\w)[{_UNSPACED}](?:{mark}|[{_TRAILING}]|{stacked})*"
    return re.compile(rf"\s*(\[[^\[\]]*\]|{sign}|{word}(?:['\u2019-]{word})*)")


def masked(
    prompt: str, probability: float, generator: torch.Generator, *, spare_tokens: bool = True
) -> str:
    """A prompt without some of its words, each left out with a probability of its own draw.

    Words are left out of the text, not replaced by a mark (our choice: the paper drops them): what
    is left is a prompt as people write them, only shorter, for which encoder and video model were
    made; a pad or an unknown piece in its place would be an input that neither has seen, which the
    coefficients could learn to lean on, and one mark a piece would tell how long the word was.
    Whole words are drawn, not pieces of them, which would betray the rest; no punctuation, which
    says nothing.

    Args:
        prompt: with placeholders.
        probability: in [0, 1].
        generator: draws one number a word.
        spare_tokens: keep every placeholder.

    Returns:
        The prompt, "" where nothing is left.
    """
    words = _word_pattern()
    drawn = iter(torch.rand(len(words.findall(prompt)), generator=generator).tolist())

    def kept(word: re.Match[str]) -> str:
        is_spared = next(drawn) >= probability or (spare_tokens and word[1].startswith("["))
        return word[0] if is_spared else ""

    return " ".join(words.sub(kept, prompt).split())


@dataclass(frozen=True)
class Encoded:
    """The prompts of one batch.

    Attributes:
        conditioning: encoded texts.
        rows: of each of the stage's prompts its place in ``conditioning``.
    """

    conditioning: Conditioning
    rows: Tensor

    def of(self, texts: Tensor) -> Conditioning:
        """The prompts at these places; a single one, which serves all, where they are the same."""
        rows = self.rows[texts]
        return self.conditioning.select(rows[:1] if bool((rows == rows[0]).all()) else rows)


class Encodings:
    """Encodes a stage's prompts, and masks those that name a concept.

    What is masked is left out of the text before the encoder sees it (``masked``). While
    no token row is trained, ``masked_encodings`` independent maskings of each prompt are encoded
    once, and each batch draws one of them; else each batch encodes a fresh masking. Prompts
    without a concept's token (the prior's) stay whole (our choice: masking is to keep coefficients
    from leaning on single words of the concept's own prompt).

    Source: section on text token masking of arXiv:2502.14844.
    """

    def __init__(
        self,
        model: VideoModel,
        stage: Stage,
        words: Mapping[str, str],
        settings: LearnSettings,
        *,
        rows_are_trained: bool,
    ) -> None:
        """Encode what can be encoded once."""
        self._model, self._words, self._settings = model, words, settings
        prompts = [prompt for group in stage.groups for prompt in group.prompts]
        self.prompts = list(dict.fromkeys(prompts))
        place = {prompt: number for number, prompt in enumerate(self.prompts)}
        self.texts = [torch.tensor([place[p] for p in group.prompts]) for group in stage.groups]
        self._is_masked = [
            settings.token_masking > 0 and bool(placeholders(prompt)) for prompt in self.prompts
        ]
        self._variants: Tensor | None = None  # (prompts, masked encodings), places in _cached
        self._cached: Conditioning | None = None
        if not rows_are_trained:
            # From a generator of its own, so that a resumed stage draws the same ones.
            seed = zlib.crc32(f"masked prompts of {stage.name} {settings.seed}".encode())
            self._encode_once(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _encode_once(self, generator: torch.Generator) -> None:
        count = self._settings.masked_encodings if any(self._is_masked) else 1
        variants = [
            [self._text(place, generator) for _ in range(count)] if is_masked else [text] * count
            for place, (text, is_masked) in enumerate(
                zip([filled(p, self._words) for p in self.prompts], self._is_masked, strict=True)
            )
        ]
        texts = list(dict.fromkeys(text for own in variants for text in own))
        place = {text: number for number, text in enumerate(texts)}
        self._variants = torch.tensor([[place[text] for text in own] for own in variants])
        self._cached = Conditioning.joined(
            [
                self._model.encode_prompts(texts[start : start + _TEXTS_AT_ONCE])
                for start in range(0, len(texts), _TEXTS_AT_ONCE)
            ]
        )

    def draw(self, used: Sequence[Tensor], generator: torch.Generator) -> Encoded:
        """The prompts of one batch: each masked one in a masking drawn for it.

        Args:
            used: places of the prompts that the batch shows.
            generator: draws the maskings; without token masking it draws nothing.
        """
        if self._cached is not None and self._variants is not None:
            if not any(self._is_masked):
                return Encoded(self._cached, self._variants[:, 0])
            count, number = self._variants.shape
            drawn = torch.randint(number, (count, 1), generator=generator)
            return Encoded(self._cached, self._variants.gather(1, drawn).squeeze(1))
        shown = torch.cat(list(used)).unique()
        rows = torch.zeros(len(self.prompts), dtype=torch.long)
        rows[shown] = torch.arange(len(shown))
        texts = [self._text(place, generator) for place in shown.tolist()]
        return Encoded(self._model.encode_prompts(texts), rows)

    def _text(self, place: int, generator: torch.Generator) -> str:
        prompt = self.prompts[place]
        if self._is_masked[place]:
            prompt = masked(
                prompt,
                self._settings.token_masking,
                generator,
                spare_tokens=not self._settings.mask_special_tokens,
            )
        return filled(prompt, self._words) if prompt else ""
