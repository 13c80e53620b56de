"""Teaches the text encoder to read captions, before it stays as it is.

An encoder that learns with the transformer alone stays a bag of words: after 300,000 pictures a
word's row was the same to 1e-4 whoever it told of, and of two characters' attributes each side got
the other's as often as its own. Asked beside that, of every word, whom it tells of, it reads both
sides in a few hundred steps. So it learns to read first, as text encoders of real models do, and is
frozen then.

Source: our choice, by that measurement.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from setseq.toybox.captions import Caption, caption
from setseq.toybox.components import Networks
from setseq.toybox.judge import heads, labels
from setseq.toybox.judging import judge_loss
from setseq.toybox.resume import OnStep, Resumable
from setseq.toybox.world import random_scene

_NOBODY = 2  # whose a word is: 0 the left character's, 1 the right one's


class CaptionReader(nn.Module):
    """Answers the judge's questions from the rows of a caption, and tells whose each word is."""

    def __init__(self, width: int, *, heads_of: int = 4) -> None:
        """A new reader of rows of this width."""
        super().__init__()
        self._heads = heads_of
        sizes = [len(values) for values in heads().values()]
        self.query = nn.Parameter(torch.randn(len(sizes), width))
        self.keys_values = nn.Linear(width, 2 * width)
        self.answers = nn.ModuleList(nn.Linear(width, size) for size in sizes)
        self.whose = nn.Linear(width, _NOBODY + 1)

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """Scores of all answers as the judge's, (b, answers); rows (b, n, width), mask (b, n)."""
        parts = (*self.keys_values(rows).chunk(2, -1), self.query.to(rows.dtype).unsqueeze(0))
        key, value, query = (p.unflatten(-1, (self._heads, -1)).transpose(1, 2) for p in parts)
        found = F.scaled_dot_product_attention(
            query.expand(len(rows), -1, -1, -1), key, value, attn_mask=mask[:, None, None].bool()
        )
        asked = found.transpose(1, 2).flatten(2).unbind(1)
        scores = [answer(row) for answer, row in zip(self.answers, asked, strict=True)]
        return torch.cat(scores, 1)

    def loss(self, rows: Tensor, mask: Tensor, target: Tensor, whose: Tensor) -> Tensor:
        """Mean cross entropy of the answers, plus that of whose each word is.

        Args:
            rows: (b, n, width), a caption each.
            mask: (b, n), 1 where a row is a word.
            target: (b, questions), as judge.labels, -100 where nothing is asked.
            whose: (b, n), 0 for the left character, 1 for the right one, 2 for nobody.

        Returns:
            A number.
        """
        told = F.cross_entropy(self.whose(rows).float()[mask.bool()], whose[mask.bool()])
        return judge_loss(self(rows, mask).float(), target) + told


def tokens_of(networks: Networks, said: list[Caption]) -> tuple[Tensor, Tensor, Tensor]:
    """Captions as the text encoder reads them: ids, mask, and whose each token is, each (b, n)."""
    read = networks.tokenizer(
        [one.text for one in said],
        padding="longest",
        return_tensors="pt",
        return_offsets_mapping=True,
    )
    starts, ends = read["offset_mapping"].unbind(-1)
    whose = torch.full_like(read["input_ids"], _NOBODY)
    for row, one in enumerate(said):
        for start, end, who in one.spans():
            inside = (starts[row] >= start) & (ends[row] <= end) & (ends[row] > starts[row])
            whose[row, inside] = who
    return read["input_ids"], read["attention_mask"], whose


def train_words(
    networks: Networks,
    state: Path,
    *,
    steps: int,
    batch: int = 128,
    seed: int = 0,
    on_step: OnStep = lambda step, loss: None,
) -> None:
    """Trains the text encoder in place, beside a reader that is thrown away.

    Args:
        networks: The text encoder with its tokenizer.
        state: File of the run's state; the run resumes from it.
        steps: Optimizer steps.
        batch: Captions in a step, two in three of them of two characters.
        seed: Of everything random.
        on_step: Called after each step with its number and loss.
    """
    torch.manual_seed(seed)
    encoder = networks.text_encoder
    reader = CaptionReader(encoder.config.d_model).to(encoder.device)
    both = nn.ModuleDict({"text_encoder": encoder, "reader": reader})
    run = Resumable(both, state, steps=steps, rate=1e-3)

    def loss_at(generator: torch.Generator) -> Tensor:
        rng = random.Random(int(torch.randint(2**40, (1,), generator=generator)))
        scenes = [
            random_scene(rng.randrange(2**40), num_characters=rng.choice((1, 2, 2)))
            for _ in range(batch)
        ]
        drawn = tokens_of(networks, [caption(scene, rng) for scene in scenes])
        ids, mask, whose = (part.to(run.device) for part in drawn)
        target = torch.tensor([labels(scene) for scene in scenes], device=run.device)
        with torch.autocast(run.device.type, torch.bfloat16):
            rows = encoder(ids, mask).last_hidden_state
            return reader.loss(rows, mask, target, whose)

    run.run(loss_at, seed=seed, on_step=on_step)
