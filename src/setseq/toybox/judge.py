"""The judge: reads the attributes of a toybox scene off a clip, and describes looks and motions.

It stands in for a person who watches: trained on renders alone, it never sees a generated clip
before it is asked about one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from setseq.toybox.world import CHARACTER_ATTRIBUTES, SCENE_ATTRIBUTES, Scene

SLOTS = ("left", "right")
_MISSING = -100  # cross_entropy ignores it
_LOOK_FRAMES = [0, 5, 10, 16]


def heads() -> dict[str, tuple[str, ...]]:
    """Every question that the judge answers, with its possible answers, in a fixed order."""
    questions: dict[str, tuple[str, ...]] = {"count": ("one", "two"), **SCENE_ATTRIBUTES}
    for slot in SLOTS:
        questions |= {f"{slot}_{name}": values for name, values in CHARACTER_ATTRIBUTES.items()}
    return questions


def answers(scene: Scene) -> dict[str, str]:
    """The right answers for a scene; a lone character stands in the left slot."""
    right = {"count": "one" if len(scene.characters) == 1 else "two"}
    right |= {name: getattr(scene, name) for name in SCENE_ATTRIBUTES}
    for slot, character in zip(SLOTS, scene.characters, strict=False):
        right |= {f"{slot}_{name}": getattr(character, name) for name in CHARACTER_ATTRIBUTES}
    return right


def labels(scene: Scene) -> list[int]:
    """The answers as class numbers in the order of heads, -100 where there is no such character."""
    right = answers(scene)
    return [
        values.index(right[name]) if name in right else _MISSING for name, values in heads().items()
    ]


class _Residual(nn.Module):
    """Two normalised convolutions beside a shortcut, over pictures or over videos."""

    def __init__(self, width: int, *, video: bool) -> None:
        super().__init__()
        convolution = nn.Conv3d if video else nn.Conv2d
        self.layers = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            convolution(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            convolution(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class _Asking(nn.Module):
    """Attention in which each question has a query of its own and looks where it wants."""

    def __init__(self, width: int, *, places: int, questions: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.place = nn.Parameter(0.02 * torch.randn(1, places, width))
        self.query = nn.Parameter(torch.randn(1, questions, width))
        self.keys_values = nn.Linear(width, 2 * width)
        self.leave = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (b, places, width) to one row a question, (b, questions, width)."""
        keys_values = self.keys_values(self.norm(x) + self.place)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query.to(keys_values.dtype), *keys_values.chunk(2, -1))
        )
        found = F.scaled_dot_product_attention(query.expand(len(x), -1, -1, -1), key, value)
        found = found.transpose(1, 2).flatten(2)
        return found + self.leave(found)


class Judge(nn.Module):
    """A small reader of 17-frame clips.

    Looks are read from four frames, each alone, motions from all frames together, at a quarter of
    the resolution but with all their pixels.
    """

    def __init__(
        self,
        look_widths: tuple[int, int, int] = (32, 64, 128),
        motion_widths: tuple[int, int, int] = (48, 64, 96),
    ) -> None:
        """A judge that knows nothing yet, with widths from fine to coarse."""
        super().__init__()
        fine, middle, coarse = look_widths
        self.look = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, fine, 3, padding=1),
            _Residual(fine, video=False),
            nn.Conv2d(fine, middle, 3, stride=2, padding=1),
            _Residual(middle, video=False),
            _Residual(middle, video=False),
            nn.Conv2d(middle, coarse, 3, stride=2, padding=1),
            _Residual(coarse, video=False),
            _Residual(coarse, video=False),
        )
        first, second, third = motion_widths
        self.motion = nn.Sequential(
            nn.Conv3d(48, first, 3, padding=1),
            nn.GroupNorm(8, first),
            nn.SiLU(),
            nn.Conv3d(first, second, 3, stride=(1, 2, 2), padding=1),
            _Residual(second, video=True),
            nn.Conv3d(second, third, 3, stride=(2, 1, 1), padding=1),
            _Residual(third, video=True),
        )
        self._moves = [name.endswith("motion") for name in heads()]
        questions = sum(self._moves)
        self.ask_look = _Asking(coarse, places=64, questions=len(self._moves) - questions)
        self.ask_motion = _Asking(third, places=9 * 64, questions=questions)
        self.answers = nn.ModuleList(
            nn.Linear(third if moves else coarse, len(values))
            for values, moves in zip(heads().values(), self._moves, strict=True)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of all answers.

        Args:
            pixels: (b, 3, NUM_FRAMES, 64, 64) in [-1, 1].

        Returns:
            (b, sum of the questions' numbers of answers), the questions one after another.
        """
        frames = pixels.transpose(1, 2)
        few = frames[:, _LOOK_FRAMES].flatten(0, 1)
        looks = self.ask_look(self.look(few).flatten(2).transpose(1, 2))
        looks = looks.unflatten(0, (-1, len(_LOOK_FRAMES))).mean(1)
        over_time = F.pixel_unshuffle(frames, 4).transpose(1, 2)
        moves = self.ask_motion(self.motion(over_time).flatten(2).transpose(1, 2))
        rows = {False: iter(looks.unbind(1)), True: iter(moves.unbind(1))}
        parts = [
            answer(next(rows[moving]))
            for answer, moving in zip(self.answers, self._moves, strict=True)
        ]
        return torch.cat(parts, 1)

    @torch.no_grad()
    def read(self, pixels: Tensor) -> list[dict[str, str]]:
        """Answers every question for each clip.

        Args:
            pixels: (b, 3, NUM_FRAMES, 64, 64) in [-1, 1].

        Returns:
            For each clip, question to answer; slots of characters that are not there are left out.
        """
        readings: list[dict[str, str]] = []
        scores = self(pixels).split([len(values) for values in heads().values()], 1)
        for row in range(len(pixels)):
            reading = {
                name: values[int(score[row].argmax())]
                for (name, values), score in zip(heads().items(), scores, strict=True)
            }
            if reading["count"] == "one":
                reading = {k: v for k, v in reading.items() if not k.startswith("right_")}
            readings.append(reading)
        return readings


def load_judge(path: Path) -> Judge:
    """Reads a judge from a safetensors file, ready to judge."""
    judge = Judge()
    judge.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return judge.eval().requires_grad_(False)


def save_judge(judge: Judge, path: Path) -> None:
    """Writes the judge's weights in float16."""
    save_file(
        {name: tensor.half().contiguous() for name, tensor in judge.state_dict().items()}, path
    )


def accuracy(judge: Judge, pixels: Tensor, scenes: list[Scene]) -> Mapping[str, float]:
    """Share of right answers on clips, by attribute; characters of both slots count together.

    Args:
        judge: A trained judge.
        pixels: (n, 3, f, h, w) in [-1, 1].
        scenes: What each clip should show.

    Returns:
        Attribute to share, [0, 1]. A character that the judge does not see counts as wrong.
    """
    right: dict[str, list[bool]] = {}
    for start in range(0, len(scenes), 32):
        for reading, scene in zip(
            judge.read(pixels[start : start + 32]), scenes[start : start + 32], strict=True
        ):
            for name, value in answers(scene).items():
                right.setdefault(name.split("_", 1)[-1], []).append(reading.get(name) == value)
    return {name: sum(hits) / len(hits) for name, hits in right.items()}
