"""C-T and edit success: does the video show what its prompt says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.errors import ClipError, PromptError
from setseq.evaluation.footage import Footage
from setseq.video.views import to_pixels

if TYPE_CHECKING:
    from setseq.toybox.judge import Judge


def text_agreement(frames: Tensor, words: Tensor) -> float:
    """C-T: does the video show what the prompt says?

    Definition: cosine of the prompt's CLIP embedding and the mean of all frames' CLIP embeddings
    (unit length each), the concept tokens left out of the prompt.
    Source: the paper's C-T (Tables 1 and 2), arXiv:2502.14844.
    Range: [-1, 1], higher is better; real CLIPs stay in about 0.15 to 0.35, so only differences of
    the same prompts by the same encoder mean something.
    Blind to: who is seen, the order of frames and any motion, all that CLIP's picture encoder crops
    away at the edges of wide videos, and which word belongs to which thing.

    Args:
        frames: CLIP embeddings (f, d).
        words: CLIP embedding of the prompt, (d,).
    """
    mean = F.normalize(frames, dim=1).mean(0)
    return float(torch.cosine_similarity(mean, words, dim=0))


def edit_margin(frames: Tensor, edited: Tensor, source: Tensor) -> float:
    """Whether an edit is there: nearer to the edited prompt than to the clip's own.

    Definition: C-T of the edited prompt less C-T of the source prompt; the edit counts as done
    above 0.
    Source: our choice; in the manner of the CLIP margins that text-guided editing is judged by.
    Range: [-2, 2], higher is better; small numbers are usual, since most of both prompts agree.
    Blind to: everything that C-T is blind to, to edits that CLIP has no eyes for, and to a video
    that shows the edit and has lost the concept: read it beside identity.

    Args:
        frames: CLIP embeddings of the edited video (f, d).
        edited: CLIP embedding of the prompt that it was generated from, (d,).
        source: CLIP embedding of the clip's own prompt, (d,).
    """
    return text_agreement(frames, edited) - text_agreement(frames, source)


def judged_edit(judge: Judge, generated: Footage, wanted: Mapping[str, str]) -> float:
    """Edit success on the toybox: the share of wanted attributes that the judge reads off.

    Definition: right answers over questions asked, as {"light": "night", "left_accessory": "hat"}.
    Source: our choice; ``setseq.toybox.judge``.
    Range: [0, 1], higher is better.
    Blind to: everything outside the toybox's grammar; as right as the judge is (docs/toybox.md).

    Args:
        judge: A trained judge.
        generated: A clip of the toybox's size, length and rate.
        wanted: Question to the right answer, at least one; questions as in ``judge.heads()``.

    Raises:
        PromptError: The judge knows no such question or answer.
        ClipError: The clip is not of the toybox's size and length.
    """
    from setseq.toybox.judge import heads
    from setseq.toybox.world import NUM_FRAMES, SIZE

    questions = heads()
    for name, value in wanted.items():
        if value not in questions.get(name, ()):
            known = ", ".join(questions.get(name, tuple(questions)))
            raise PromptError(f"the judge cannot be asked for {name} = {value!r}; known: {known}")
    if generated.frames.shape[:3] != (NUM_FRAMES, SIZE, SIZE):
        raise ClipError(
            f"the judge reads {NUM_FRAMES} frames of {SIZE}x{SIZE}, not "
            f"{len(generated.frames)} of {generated.frames.shape[2]}x{generated.frames.shape[1]};"
            " use a clip of the toybox, or ask for no attributes"
        )
    reading = judge.read(to_pixels(generated.frames)[None])[0]
    return sum(reading.get(name) == value for name, value in wanted.items()) / len(wanted)
