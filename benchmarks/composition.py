"""Two concepts in one scene: learned together, with and without stitched clips, or learned apart.

Learns all three, shows each in the same scenes in both orders, and reads every half of every clip:
how alike it is to the concept that belongs there, and to the one that does not. Files that are
already in the folder are not learned again.

    python benchmarks/composition.py FOLDER [--pair dancer crab] [--set-steps 180]
        [--sequence-steps 260] [--seeds 4]

Writes a contact sheet for each way, and composition.md with the table.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from setseq import api
from setseq.concept import Concept
from setseq.models.base import VideoModel
from setseq.prompts import choose_words, concept_prompt, renumbered
from setseq.scene import Scene, SceneConcept, SceneSettings
from setseq.toybox.concepts import shipped_clip
from setseq.toybox.evaluate import asset
from setseq.toybox.judge import Judge, load_judge
from setseq.toybox.likeness import identity_likeness, motion_likeness
from setseq.toybox.unseen import UNSEEN, draw_mask
from setseq.video.sheet import write_sheet
from setseq.video.stitch import Side, stitch
from setseq.video.views import to_pixels

PLACES = ("in a meadow on a sunny day", "in the desert at dusk")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read off one half of one clip.

    Attributes:
        identity: likeness of looks with the concept that belongs there.
        other: likewise with the other one: what leaks.
        motion: likeness of movement with the concept that belongs there.
        error: mean squared error against it, pixels in [0, 1], where it stands.
    """

    identity: float
    other: float
    motion: float
    error: float


def moved_prompts(names: Sequence[str], numbers: Sequence[int], place: str) -> str:
    """The prompt of both in one place, the first on the left, with tokens of these numbers."""
    verbs = [UNSEEN[name].motion.removeprefix("it is ").rstrip(".") for name in names]
    left, right = (renumbered(verb, k - 1) for verb, k in zip(verbs, numbers, strict=True))
    return (
        f"a [v{numbers[0]}] creature on the left and a [v{numbers[1]}] creature on the right"
        f" {place}. the left one is {left} and the right one is {right}."
    )


def halves(clips: Tensor) -> tuple[Tensor, Tensor]:
    """The left and the right halves of clips (n, 3, f, h, w), widened to whole ones."""
    quarter = clips.shape[-1] // 4

    def widened(half: Tensor) -> Tensor:
        flat = half.flatten(0, 2).unsqueeze(1)
        return F.pad(flat, (quarter, quarter, 0, 0), mode="replicate").view(
            *half.shape[:-1], half.shape[-1] + 2 * quarter
        )

    left, right = clips.chunk(2, dim=-1)
    return widened(left), widened(right)


def read(judge: Judge, pair: Sequence[str], clips: Tensor) -> list[Reading]:
    """Reads both halves of clips that show the pair in this order."""
    sides = [Side(pixels=shipped_clip(n), mask=draw_mask(n).transpose(0, 1)) for n in pair]
    ideal = stitch(*sides, onto="first")
    assert ideal.mask is not None
    wanted, found = halves(ideal.pixels[None]), halves(clips)
    where = ideal.mask.chunk(2, dim=-1)
    shown = [half.chunk(2, dim=-1) for half in (ideal.pixels, clips)]
    readings = []
    for k in (0, 1):
        own = identity_likeness(judge, wanted[k], found[k])
        other = identity_likeness(judge, wanted[1 - k], found[k])
        motion = motion_likeness(wanted[k], found[k])
        squares = ((shown[1][k] - shown[0][k][None]) / 2).square() * where[k]
        error = squares.flatten(1).sum(1) / (3 * where[k].sum())
        readings += [
            Reading(identity=float(a), other=float(b), motion=float(c), error=float(d))
            for a, b, c, d in zip(own, other, motion, error, strict=True)
        ]
    return readings


def said(report: api.StepReport) -> None:
    if report.step % 50 == 0:
        print(f"{report.stage}: {report.step} of {report.steps}", flush=True)


def learned(path: Path, learn: Callable[[Path], Concept]) -> Concept:
    """The concept in a file, learned first where there is none; a stopped learning goes on."""
    if not path.exists():
        begun, state = time.perf_counter(), path.with_suffix(".checkpoint")
        api.save_concept(learn(state), path)
        state.unlink(missing_ok=True)
        print(f"{path.name}: learned in {time.perf_counter() - begun:.0f} s", flush=True)
    return api.load_concept(path)


def together(pair: Sequence[str], model: VideoModel, share: float, state: Path, args) -> Concept:
    concepts = [
        SceneConcept(
            clip=asset("clips") / f"{name}.mp4",
            prompt=concept_prompt(
                renumbered(UNSEEN[name].look, k - 1),
                renumbered(UNSEEN[name].motion, k - 1),
                number=k,
            ),
        )
        for k, name in enumerate(pair, 1)
    ]
    scene = Scene(
        concepts=tuple(concepts),
        settings=SceneSettings(stitched_share=share, background=args.background),
        learn={"set_steps": args.set_steps},
    )
    steps = args.sequence_steps * (len(pair) + 1) // 2
    return api.learn_scene(
        scene, base=model, settings={"sequence_steps": steps}, checkpoint=state, on_step=said
    )


def apart(name: str, number: int, model: VideoModel, state: Path, args) -> Concept:
    """One concept under the words of its number, so that it can be told apart when combined."""
    words = choose_words("literal", concepts=number)
    return api.learn(
        asset("clips") / f"{name}.mp4",
        look=UNSEEN[name].look,
        motion=UNSEEN[name].motion,
        base=model,
        settings={
            "set_steps": args.set_steps,
            "sequence_steps": args.sequence_steps,
            "words": {"v": words[f"v{number}"], "u": words[f"u{number}"]},
        },
        checkpoint=state,
        on_step=said,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Composition of two concepts.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pair", nargs=2, default=["dancer", "crab"], choices=sorted(UNSEEN))
    parser.add_argument("--set-steps", type=int, default=180)
    parser.add_argument("--sequence-steps", type=int, default=260)
    parser.add_argument("--background", default="keep", choices=("keep", "difference"))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", choices=("apart", "together", "stitched"), help="one way alone")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    model, judge = api.load_model("toybox"), load_judge(asset("judge.safetensors"))
    pair = args.pair

    def combined(_state: Path) -> Concept:
        parts = [
            learned(
                args.folder / f"{name}.safetensors",
                lambda state, n=name, k=k: apart(n, k, model, state, args),
            )
            for k, name in enumerate(pair, 1)
        ]
        return api.combine(parts)

    ways: dict[str, Callable[[Path], Concept]] = {
        "apart": combined,
        "together": lambda state: together(pair, model, 0.0, state, args),
        "stitched": lambda state: together(pair, model, 0.2, state, args),
    }
    lines = [
        "| way | right on both sides | identity | leak | motion | MSE |",
        "|---|---|---|---|---|---|",
    ]
    for way, learn in ways.items():
        if args.only not in (None, way):
            continue
        concept = learned(args.folder / f"{way}.safetensors", learn)
        readings, rows = [], []
        for numbers in ((1, 2), (2, 1)):
            names = [pair[k - 1] for k in numbers]
            prompts = [moved_prompts(names, numbers, place) for place in PLACES]
            videos = [
                video
                for seed in range(args.seeds)
                for video in api.generate(concept, prompts, seed=seed, base=model)
            ]
            readings.append(read(judge, names, torch.stack([to_pixels(v) for v in videos])))
            rows += [(p, v) for p, v in zip(prompts * args.seeds, videos, strict=True)]
        write_sheet(args.folder / f"{way}.png", rows)
        lines.append(row(way, readings))
        print("\n".join(lines), flush=True)
    (args.folder / "composition.md").write_text("\n".join(lines) + "\n")


def row(way: str, orders: Sequence[Sequence[Reading]]) -> str:
    """A row of the table: means over all halves; a clip is right when both its halves are."""
    right = []
    for readings in orders:
        left, other_side = readings[: len(readings) // 2], readings[len(readings) // 2 :]
        right += [
            all(half.identity > max(half.other, 0.5) for half in clip)
            for clip in zip(left, other_side, strict=True)
        ]
    flat = [reading for readings in orders for reading in readings]
    means = [
        sum(getattr(r, name) for r in flat) / len(flat)
        for name in ("identity", "other", "motion", "error")
    ]
    shown = [f"{sum(right)} of {len(right)}", *(f"{m:.2f}" for m in means[:3]), f"{means[3]:.4f}"]
    return f"| {way} | {' | '.join(shown)} |"


if __name__ == "__main__":
    main()
