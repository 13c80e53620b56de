"""Each option for fast, erratic movements alone, all together, and none: what they do to a concept.

Learns the fast one of the toybox's concepts for choosing settings (bee, the other fast one, is kept
for the bench's table) from a clip of three times the base's frame rate, with several seeds;
regenerates it and edits it by prompt, and reads the clips as benchmarks/regularizers.py does. "any"
columns compare with whichever resampling of the clip is nearest: with frame-dense sampling the same
prompt stands for all of them. What was measured is not done again.

    python benchmarks/erratic.py FOLDER [--concepts crab] [--variants off longer ...]
        [--learnings 3] [--seeds 2] [--steps-factor 1.0] [--base toybox]

Writes erratic.json and erratic.md to the folder, and the clips that it learns from.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring import Job, Row, measured, run_jobs

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.learning import fitted_clip, training_clip
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.toybox.judge import Judge, load_judge
from setseq.toybox.preview import frames_of
from setseq.toybox.shipped import asset
from setseq.toybox.unseen import UNSEEN, draw_unseen
from setseq.toybox.world import FPS, NUM_FRAMES
from setseq.training.learn import learn_concept
from setseq.video.io import write_video

VARIANTS: dict[str, dict[str, Any]] = {
    "off": {},
    "high noise": {"sequence_time_mean": 1.6, "sequence_time_std": 1.0},
    "temporal difference": {"temporal_difference": 1.0},
    "frame-dense": {"frame_dense": True},
    "longer": {"sequence_steps": 2.0},  # times the base's
}
VARIANTS["all"] = {name: value for own in VARIANTS.values() for name, value in own.items()}
CONCEPTS = ("crab",)  # of those for choosing settings: bee, as fast, is for the table
RATE = 3  # times the base's frames a second


def fast_clip(folder: Path, name: str) -> Path:
    """The scene of a concept's shipped clip, drawn at RATE times the frame rate."""
    path = folder / f"{name}-{RATE * FPS:g}fps.mp4"
    if not path.exists():
        pixels = draw_unseen(name, frames=[k / RATE for k in range(RATE * NUM_FRAMES)])
        frames = frames_of(pixels)
        write_video(path, frames, fps=RATE * FPS, lossless=True)
    return path


def settings_of(
    model: VideoModel, variant: Mapping[str, Any], *, seed: int, steps_factor: float
) -> LearnSettings:
    """The base's own settings under a variant, with all steps scaled."""
    own = LearnSettings.resolve(model.defaults.learn)
    factors = {"set_steps": 1.0, "sequence_steps": variant.get("sequence_steps", 1.0)}
    steps = {
        name: max(1, round(getattr(own, name) * factor * steps_factor))
        for name, factor in factors.items()
    }
    return LearnSettings.resolve(model.defaults.learn, variant, steps, {"seed": seed})


def measure(
    model: VideoModel, judge: Judge, name: str, clip: Path, settings: LearnSettings, seeds: int
) -> Row:
    """Learns one concept under one variant and one seed, and reads it."""

    def learn() -> Concept:
        fitted = fitted_clip(model, clip, dense=settings.frame_dense)
        prompt = concept_prompt(UNSEEN[name].look, UNSEEN[name].motion)
        return learn_concept(model, [training_clip(model, fitted, prompt)], settings)

    every = fitted_clip(model, clip, dense=True)
    references = torch.cat([each.pixels for each in (every, *every.between)])
    return measured(model, judge, name, learn, references=references, seeds=seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concepts", nargs="+", default=CONCEPTS, choices=list(UNSEEN))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--learnings", type=int, default=3, help="seeds of the learning")
    parser.add_argument("--seeds", type=int, default=2, help="videos of each prompt")
    parser.add_argument("--steps-factor", type=float, default=1.0, help="of the base's own steps")
    parser.add_argument("--base", default="toybox")
    args = parser.parse_args()
    model, judge = load_model(args.base), load_judge(asset("judge.safetensors"))
    jobs = []
    for seed in range(args.learnings):  # a whole table early, which further seeds make firmer
        for name in args.concepts:
            clip = fast_clip(args.folder, name)
            for variant in args.variants:
                settings = settings_of(
                    model, VARIANTS[variant], seed=seed, steps_factor=args.steps_factor
                )
                row = partial(measure, model, judge, name, clip, settings, args.seeds)
                jobs.append(Job(variant=variant, name=f"{name}, seed {seed}", measure=row))
    about = {
        "base": model.fingerprint,
        "seeds": args.seeds,
        "steps factor": args.steps_factor,
        "learn": dict(model.defaults.learn),
        "generate": dict(model.defaults.generate),
    }
    run_jobs(args.folder, "erratic", jobs, about)


if __name__ == "__main__":
    main()
