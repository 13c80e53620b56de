"""The vocabulary of the toybox and the tokenizer made from it."""

from __future__ import annotations

import random
import re
import string
from typing import TYPE_CHECKING

from setseq.toybox.captions import LOOK_NAMES, MOTION_NAMES, caption
from setseq.toybox.world import random_scene

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Words that people use in prompts and that a larger grammar may teach later.
_SPARE_WORDS = """
one two three the of to its up down over under behind near front big small tiny large tall short
long thin round happy sad angry old young smiling dancing dance walking walk running jumping jump
hopping flying swimming rolling waving wiggling fast slow slowly quickly wild lively smooth body
bodies head face eyes eye arms arm legs leg feet tail wings wing ears horns antenna beak fin shell
top bottom half colors colored black brown grey gray gold silver cyan robot bird fish crab snail
cat dog bunny bear man woman person people monster ghost snowman worm octopus bee flower tree
house mountain river bridge road beach moon space kitchen room garden sky cloud clouds fog wind
storm fire ice morning evening bright dark light watercolor paint painting oil cartoon clay pixel
comic scarf crown umbrella balloon flag holding carrying zigzag figure eight spiral loop path
motion move moves moving performing doing stepping bobbing stretching squashing leaning somersault
back forth around across left right side sides here there no not video clip picture photo scene
camera pans zooms out view close far away
"""


def vocabulary() -> list[str]:
    """Every word of the captions, the spare words and the names, in a fixed order."""
    rng = random.Random(0)
    words: set[str] = {*_SPARE_WORDS.split(), *LOOK_NAMES, *MOTION_NAMES}
    for seed in range(4000):
        words |= set(re.findall(r"[a-z]+", caption(random_scene(seed), rng).text))
    return sorted(words)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer like T5's with one piece a known word, and letters for all other words.

    Returns:
        The tokenizer; capitals are read as small letters (which is why it is no plain T5Tokenizer:
        that class forgets the normalizer when it is loaded again).
    """
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast, T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)]
    pieces += [(f"▁{word}", -2.0) for word in vocabulary() if len(word) > 1 or word == "a"]
    marks = string.ascii_lowercase + string.digits + ".,;:!?'-()[]"
    pieces += [(mark, -3.0 if mark in ".,[]" else -8.0) for mark in marks]
    backend = T5Tokenizer(vocab=pieces, extra_ids=0).backend_tokenizer
    backend.normalizer = normalizers.Lowercase()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
