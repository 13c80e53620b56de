"""The judge: reads the attributes of a toybox scene off a clip, and describes looks and motions.

It stands in for a person who watches: trained on renders alone, it never sees a generated clip
before it is asked about one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from setseq.errors import EncoderError
from setseq.outputs import write_bytes
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
    """Two normalised convolutions beside a shortcut, over pictures or over time."""

    def __init__(self, width: int, *, over_time: bool = False) -> None:
        super().__init__()
        kind, size = (nn.Conv1d, 5) if over_time else (nn.Conv2d, 3)
        self.layers = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            kind(width, width, size, padding=size // 2),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            kind(width, width, size, padding=size // 2),
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

    Looks are read from four frames, each alone: where each question looks, and as a whole. Motions
    are read from a short description of every frame, which sees what changed since the frame
    before, and from how that goes on over time.
    """

    def __init__(
        self, widths: tuple[int, int, int] = (32, 64, 128), motion_width: int = 96
    ) -> None:
        """A judge that knows nothing yet, with widths from fine to coarse."""
        super().__init__()
        fine, middle, coarse = widths
        self.look = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, fine, 3, padding=1),
            _Residual(fine),
            nn.Conv2d(fine, middle, 3, stride=2, padding=1),
            _Residual(middle),
            _Residual(middle),
            nn.Conv2d(middle, coarse, 3, stride=2, padding=1),
            _Residual(coarse),
            _Residual(coarse),
        )
        self.whole = nn.Sequential(
            nn.GroupNorm(8, coarse),
            nn.SiLU(),
            nn.Conv2d(coarse, coarse, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(16 * coarse, 2 * coarse),
            nn.SiLU(),
        )
        self.pose = nn.Sequential(
            nn.Conv2d(96, middle, 3, padding=1),
            _Residual(middle),
            nn.Conv2d(middle, motion_width, 3, stride=2, padding=1),
            _Residual(motion_width),
            nn.Conv2d(motion_width, motion_width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(16 * motion_width, 2 * motion_width),
        )
        self.course = nn.Sequential(
            *(_Residual(2 * motion_width, over_time=True) for _ in range(3))
        )
        self._moves = [name.endswith("motion") for name in heads()]
        self.ask = _Asking(coarse, places=64, questions=self._moves.count(False))
        self.answers = nn.ModuleList(
            nn.Linear(4 * motion_width if moves else 3 * coarse, len(values))
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
        looks, moves = iter(self._looks(frames).unbind(1)), self._motion(frames)
        parts = [
            answer(moves if moving else next(looks))
            for answer, moving in zip(self.answers, self._moves, strict=True)
        ]
        return torch.cat(parts, 1)

    def _looks(self, frames: Tensor) -> Tensor:
        """What (b, f, 3, 64, 64) shows, a row a question: (b, questions, features)."""
        seen = self.look(frames[:, _LOOK_FRAMES].flatten(0, 1))
        asked = self.ask(seen.flatten(2).transpose(1, 2))
        whole = self.whole(seen).unsqueeze(1).expand(-1, asked.shape[1], -1)
        return torch.cat([asked, whole], 2).unflatten(0, (-1, len(_LOOK_FRAMES))).mean(1)

    def _motion(self, frames: Tensor) -> Tensor:
        """How (b, f, 3, 64, 64) moves, as (b, features): the mean and the maximum over time."""
        blocks = F.pixel_unshuffle(frames, 4)
        changes = 3 * F.pad(blocks.diff(dim=1), (0, 0, 0, 0, 0, 0, 1, 0))
        poses = self.pose(torch.cat([blocks, changes], 2).flatten(0, 1))
        course = self.course(poses.unflatten(0, (len(frames), -1)).transpose(1, 2))
        return torch.cat([course.mean(2), course.amax(2)], 1)

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


def _weights(path: Path) -> dict[str, Tensor]:
    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise _no_judge(path, error) from error


def _no_judge(path: Path, error: Exception) -> EncoderError:
    line = " ".join(str(error).split())[:200]
    return EncoderError(
        f"{path} is no judge of the toybox: {line}; give the judge.safetensors of a run of"
        " `setseq toybox train`, or leave it out for the one that ships"
    )


def load_judge(path: Path) -> Judge:
    """Reads a judge from a safetensors file, ready to judge.

    Raises:
        EncoderError: The file is missing, damaged, or a judge of another grammar.
    """
    judge = Judge()
    try:
        judge.load_state_dict(_weights(path))
    except RuntimeError as error:
        raise _no_judge(path, error) from error
    return judge.eval().requires_grad_(False)


def grown_judge(path: Path) -> Judge:
    """A judge to train on, with what a file knows, also where the grammar has grown since.

    Args:
        path: A judge. Where its answers are as many as now they stay; other questions start new.

    Raises:
        EncoderError: The file is missing or damaged.
    """
    judge = Judge()
    own = judge.state_dict()
    known = _weights(path).items()
    own |= {k: v for k, v in known if k in own and own[k].shape == v.shape}
    judge.load_state_dict(own)
    return judge


def save_judge(judge: Judge, path: Path) -> None:
    """Writes the judge's weights in float16, whole or not at all."""
    weights = {name: tensor.half().contiguous() for name, tensor in judge.state_dict().items()}
    write_bytes(path, save(weights))


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
