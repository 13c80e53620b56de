"""Measures what the base model can do, by the judge, on prompts drawn from the grammar."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from setseq.config import GenerateSettings
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.sampling import draw_noise, sample
from setseq.toybox.autoencoder import ToyAutoencoder
from setseq.toybox.captions import caption
from setseq.toybox.decoder import psnr_by_frame
from setseq.toybox.judge import CHARACTER_ATTRIBUTES, Judge, accuracy, answers, load_judge
from setseq.toybox.shards import clip_pixels
from setseq.toybox.shipped import asset
from setseq.toybox.world import Scene, random_scene

HELD_OUT_SEED = 400_000_000
PROMPT_SEED = 500_000_000

# Known words bear more guidance than learned concepts, which the base's own defaults are for.
GUIDANCE, NUM_STEPS = 5.0, 25

# The bars of docs/toybox.md: share of right answers that a good base reaches.
BARS = {
    "place": 0.90,
    "color": 0.90,
    "shape": 0.90,
    "count": 0.90,
    "pattern": 0.80,
    "accessory": 0.80,
    "motion": 0.80,
    "light": 0.80,
    "style": 0.70,
}
BAR_SIDES = 0.75
BAR_PSNR = 27.0
BAR_JUDGE = 0.97


@dataclass(frozen=True, kw_only=True)
class BaseReport:
    """What was measured.

    Attributes:
        psnr: dB by frame number, (f,), on held-out renders.
        judge: Share of right readings on held-out renders, by attribute.
        base: Share of right readings on generated clips, by attribute.
        sides: Share of right readings of characters' attributes in clips of two characters.
        num_prompts: Prompts generated.
        seed: First seed of the prompts.
        guidance: Of the sampling.
        self_conditioned: Whether each sampling step was fed the last one's estimate.
    """

    psnr: Tensor
    judge: dict[str, float]
    base: dict[str, float]
    sides: float
    num_prompts: int
    seed: int
    guidance: float
    self_conditioned: bool

    def rows(self) -> list[tuple[str, str, str, str]]:
        """The table: what, measured, bar, whether it is reached."""
        lines: list[tuple[str, float, float, str]] = [
            ("autoencoder, all frames (dB)", float(self.psnr.mean()), BAR_PSNR, ".1f"),
            ("autoencoder, first frame (dB)", float(self.psnr[0]), BAR_PSNR, ".1f"),
            ("autoencoder, last frame (dB)", float(self.psnr[-1]), BAR_PSNR, ".1f"),
            (
                "autoencoder, last less second (dB)",
                float(self.psnr[-1] - self.psnr[1]),
                -0.5,
                ".1f",
            ),
        ]
        lines += [(f"judge on renders: {k}", v, BAR_JUDGE, ".1%") for k, v in self.judge.items()]
        lines += [(f"base: {k}", v, BARS[k], ".1%") for k, v in self.base.items()]
        lines.append(("base: attributes on the right side", self.sides, BAR_SIDES, ".1%"))
        return [
            (what, format(value, form), format(bar, form), "yes" if value >= bar else "no")
            for what, value, bar, form in lines
        ]

    def markdown(self) -> str:
        """The table as Markdown, under a line that says how it was measured."""
        fed = "with" if self.self_conditioned else "without"
        head = (
            f"{self.num_prompts} random prompts from seed {self.seed}, guidance {self.guidance:g},"
        )
        head += f" {fed} self-conditioning.\n\n"
        head += "| what | measured | bar | reached |\n|---|---|---|---|\n"
        return head + "".join(f"| {' | '.join(row)} |\n" for row in self.rows())


def prompts_of(seed: int, count: int) -> tuple[list[Scene], list[str]]:
    """Random scenes and prompts that name everything in them."""
    scenes = [random_scene(seed + k) for k in range(count)]
    return scenes, [
        caption(scene, random.Random(seed + k), drop=0.0).text for k, scene in enumerate(scenes)
    ]


def generate_clips(
    model: VideoModel,
    prompts: Sequence[str],
    *,
    seeds: Sequence[int],
    guidance: float | None = None,
    num_steps: int | None = None,
    self_conditioning: bool | None = None,
    batch: int = 8,
    on_clip: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Generates one clip a prompt with the package's own sampler.

    Args:
        model: The base, with or without a concept in it.
        prompts: As the model reads them.
        seeds: Of the noise, one a prompt.
        guidance: None, here and below, is the base's own default.
        num_steps: Of the sampling.
        self_conditioning: Whether each step is fed the last one's estimate.
        batch: Clips that are generated together.
        on_clip: Called with the number of clips generated so far.

    Returns:
        Pixels (n, 3, f, h, w) in [-1, 1].
    """
    settings = GenerateSettings.resolve(
        model.defaults.generate,
        {"guidance": guidance, "num_steps": num_steps, "self_conditioning": self_conditioning},
    )
    clips = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        latents = sample(
            model,
            part,
            draw_noise(model.geometry.latent_shape(), seeds[start : start + batch]),
            num_steps=settings.num_steps,
            guidance=settings.guidance,
            precision=settings.precision,
            self_conditioning=settings.self_conditioning,
        )
        clips.append(model.decode_video(latents).clamp(-1, 1).cpu())
        on_clip(start + len(part))
    return torch.cat(clips)


def _sides(judge: Judge, pixels: Tensor, scenes: list[Scene]) -> float:
    hits: list[bool] = []
    for start in range(0, len(scenes), 32):
        readings = judge.read(pixels[start : start + 32])
        for reading, scene in zip(readings, scenes[start : start + 32], strict=True):
            right = answers(scene)
            if len(scene.characters) == 2:
                names = [k for k in right if k.split("_", 1)[-1] in CHARACTER_ATTRIBUTES]
                hits += [reading.get(name) == right[name] for name in names]
    return sum(hits) / max(1, len(hits))


def evaluate_base(
    base: str | Path,
    judge_path: Path,
    *,
    num_prompts: int = 256,
    num_renders: int = 512,
    seed: int = PROMPT_SEED,
    guidance: float = GUIDANCE,
    self_conditioning: bool = True,
    on_clip: Callable[[int], None] = lambda done: None,
) -> tuple[BaseReport, Tensor, list[str]]:
    """Measures a base model.

    Args:
        base: "toybox" or the folder of another training run.
        judge_path: The judge's weights.
        num_prompts: Random prompts to generate.
        num_renders: Held-out renders that the judge is tested on; 64 of them test the autoencoder.
        seed: First seed of the prompts and of the noise.
        guidance: Of the sampling.
        self_conditioning: Whether each step is fed the last one's estimate, if the base reads it.
        on_clip: Called with the number of clips generated so far.

    Returns:
        The report, the generated clips (n, 3, f, h, w) in [-1, 1], and their prompts.
    """
    model, judge = load_model(str(base)), load_judge(judge_path)
    held_out = [random_scene(HELD_OUT_SEED + k) for k in range(num_renders)]
    renders = torch.stack([clip_pixels(scene) for scene in held_out])
    scenes, prompts = prompts_of(seed, num_prompts)
    fed = self_conditioning and model.self_conditioned
    seeds = range(seed, seed + num_prompts)
    clips = generate_clips(
        model,
        prompts,
        seeds=seeds,
        guidance=guidance,
        num_steps=NUM_STEPS,
        self_conditioning=fed,
        on_clip=on_clip,
    )
    folder = Path(str(base)) if Path(str(base)).is_dir() else asset("base")
    report = BaseReport(
        psnr=psnr_by_frame(ToyAutoencoder.from_pretrained(folder / "vae").float(), renders[:64]),
        judge=dict(accuracy(judge, renders, held_out)),
        base=dict(accuracy(judge, clips, scenes)),
        sides=_sides(judge, clips, scenes),
        num_prompts=num_prompts,
        seed=seed,
        guidance=guidance,
        self_conditioned=fed,
    )
    return report, clips, prompts
