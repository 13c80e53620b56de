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

from setseq.toybox.autoencoder import ToyAutoencoder, from_blocks
from setseq.toybox.resume import OnStep, Resumable
from setseq.toybox.shards import Shards
from setseq.toybox.world import CHARACTER_ATTRIBUTES, SCENE_ATTRIBUTES, Scene

SLOTS = ("left", "right")
_MISSING = -100  # cross_entropy ignores it


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


class Judge(nn.Module):
    """A small convolutional reader of 17-frame clips.

    ``look`` describes single frames, ``motion`` what changes over time; the questions are answered
    from both.
    """

    def __init__(self, width: int = 48) -> None:
        """A judge that knows nothing yet."""
        super().__init__()
        self.frames = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 3 * width, 3, stride=2, padding=1),
            nn.GroupNorm(8, 3 * width),
            nn.SiLU(),
            nn.Conv2d(3 * width, 3 * width, 3, padding=1),
            nn.GroupNorm(8, 3 * width),
            nn.SiLU(),
        )
        self.look = nn.Sequential(
            nn.Conv2d(3 * width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 256),
        )
        self.squeeze = nn.Conv2d(3 * width, width, 1)
        self.motion = nn.Sequential(
            nn.Conv3d(width, 2 * width, (5, 3, 3), stride=(2, 1, 1), padding=(2, 1, 1)),
            nn.GroupNorm(8, 2 * width),
            nn.SiLU(),
            nn.Conv3d(2 * width, 2 * width, (5, 3, 3), stride=(2, 2, 2), padding=(2, 1, 1)),
            nn.GroupNorm(8, 2 * width),
            nn.SiLU(),
            nn.Conv3d(2 * width, width, (5, 3, 3), padding=(2, 1, 1)),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(width * 5 * 16, 256),
        )
        sizes = [len(values) for values in heads().values()]
        self.answer = nn.Sequential(
            nn.SiLU(), nn.Linear(512, 512), nn.SiLU(), nn.Linear(512, sum(sizes))
        )

    def describe(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Describes clips.

        Args:
            pixels: (b, 3, NUM_FRAMES, 64, 64) in [-1, 1].

        Returns:
            Look and motion, (b, 256) each. The look is the mean over frames.
        """
        frames = self.frames(pixels.transpose(1, 2).flatten(0, 1))
        look = self.look(frames).unflatten(0, (-1, pixels.shape[2])).mean(1)
        over_time = self.squeeze(frames).unflatten(0, (-1, pixels.shape[2])).transpose(1, 2)
        return look, self.motion(over_time)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of all answers, the questions one after another: (b, sum of their sizes)."""
        return self.answer(torch.cat(self.describe(pixels), 1))

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


def judge_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Mean cross entropy over all questions; target (b, questions), -100 where none is asked."""
    parts = scores.split([len(values) for values in heads().values()], 1)
    return torch.stack([F.cross_entropy(part, target[:, k]) for k, part in enumerate(parts)]).mean()


def train_judge(
    autoencoder: ToyAutoencoder,
    shards: Shards,
    renders: tuple[Tensor, Tensor],
    state: Path,
    *,
    steps: int,
    batch: int = 48,
    seed: int = 0,
    on_step: OnStep = lambda step, loss: None,
) -> Judge:
    """Trains a judge on renders, half of them as the autoencoder's code shows them.

    Args:
        autoencoder: Gives the shards' latents back as pictures (its linear part is enough).
        shards: Latents with their scenes.
        renders: Clean clips as uint8 (n, 3, f, h, w) and their labels (n, questions).
        state: File of the run's state; the run resumes from it.
        steps: Optimizer steps.
        batch: Clips in a step.
        seed: Of everything random.
        on_step: Called after each step with its number and loss.

    Returns:
        The trained judge, in eval mode.
    """
    torch.manual_seed(seed)
    judge = Judge()
    targets = torch.tensor([labels(scene) for scene in shards.scenes])
    std = torch.tensor(autoencoder.config["latents_std"]).view(1, -1, 1, 1, 1)
    patch, group = autoencoder.config["patch"], autoencoder.config["group"]

    def loss_at(generator: torch.Generator) -> Tensor:
        half = batch // 2
        coded = torch.randint(len(shards.clips), (half,), generator=generator)
        blocks = autoencoder.linear_decode(shards.clips[coded].float() * std)
        clean = torch.randint(len(renders[0]), (batch - half,), generator=generator)
        parts = [from_blocks(blocks, patch, group), renders[0][clean].float() / 127.5 - 1]
        pixels = torch.cat(parts)
        noise = torch.randn(pixels.shape, generator=generator)
        pixels = pixels + noise * (0.06 * torch.rand(batch, 1, 1, 1, 1, generator=generator))
        with torch.autocast("cpu", torch.bfloat16):
            scores = judge(pixels)
        return judge_loss(scores.float(), torch.cat([targets[coded], renders[1][clean]]))

    Resumable(judge, state, steps=steps, rate=1.5e-3).run(loss_at, seed=seed, on_step=on_step)
    return judge.eval().requires_grad_(False)


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
