"""Several concepts in one file: learned together, with and without stitched clips, or apart.

Learns each way, shows every ordered pair of the concepts side by side in two places, and reads both
halves of every clip: how alike each is to the concept that belongs there, in looks and in movement,
and how alike to the one that does not, as the renderer draws them in that place. What was learned
or measured is not done again.

    python benchmarks/composition.py FOLDER [--concepts dancer crab [flower ...]] [--ways apart ...]
        [--seeds 2] [--base toybox]

Writes a contact sheet for each way, composition.json, and composition.md with the table.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path

import torch
from measuring import Job, Row, run_jobs
from torch import Tensor
from torch.nn import functional as F

from setseq import api
from setseq.concept import Concept
from setseq.evaluation.footage import Footage
from setseq.evaluation.motion import motion_fidelity
from setseq.models.base import VideoModel
from setseq.prompts import choose_words, concept_prompt, renumbered
from setseq.scene import Scene, SceneConcept, SceneSettings, side_by_side
from setseq.toybox.judge import Judge, load_judge
from setseq.toybox.likeness import identity_likeness
from setseq.toybox.preview import frames_of
from setseq.toybox.shipped import asset
from setseq.toybox.unseen import UNSEEN, draw_mask, draw_unseen
from setseq.toybox.world import FPS
from setseq.video.encode import write_video
from setseq.video.sheet import write_sheet
from setseq.video.stitch import Side, stitch
from setseq.video.views import to_frames, to_pixels

# What a prompt says, and what the renderer calls it: the dancer's own place, and one of nobody.
PLACES = {
    "in a meadow on a sunny day": ("meadow", "day"),
    "in a snowy field on a sunny day": ("snowfield", "day"),
}


@dataclass(frozen=True, kw_only=True)
class Way:
    """How several concepts get into one file.

    Attributes:
        scene: of those learned together; None for those learned apart.
        masked: whether each clip has its mask beside it.
    """

    scene: SceneSettings | None
    masked: bool = False


WAYS = {
    "apart": Way(scene=None),
    "together": Way(scene=SceneSettings(stitched_share=0.0)),
    "stitched": Way(scene=SceneSettings(background="keep", stitched_share=0.2)),
    "cut-outs": Way(scene=SceneSettings(background="difference", stitched_share=0.2)),
    "masks": Way(scene=SceneSettings(background="mask", stitched_share=0.2), masked=True),
    "masks, half stitched": Way(
        scene=SceneSettings(background="mask", stitched_share=0.5), masked=True
    ),
}
# A half is right when it is more like its own concept than the other one, and at least so much.
LEAST_IDENTITY, LEAST_MOTION = 0.5, 0.3


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read off one half of one clip.

    Attributes:
        identity: likeness of looks with the concept that belongs there.
        identity_leak: likewise with the other one.
        motion: motion fidelity to the concept that belongs there.
        motion_leak: likewise with the other one, had it been there.
        error: mean squared error against it, pixels in [0, 1], where it stands.
    """

    identity: float
    identity_leak: float
    motion: float
    motion_leak: float
    error: float

    @property
    def looks_right(self) -> bool:
        return self.identity > max(self.identity_leak, LEAST_IDENTITY)

    @property
    def moves_right(self) -> bool:
        return self.motion > max(self.motion_leak, LEAST_MOTION)


def moved_prompt(names: Sequence[str], numbers: Sequence[int], place: str) -> str:
    """The prompt of two in one place, the first on the left, with tokens of these numbers."""
    left, right = (
        concept_prompt(f"a [v{k}] creature", renumbered(UNSEEN[name].motion, k - 1), number=k)
        for name, k in zip(names, numbers, strict=True)
    )
    return side_by_side(left, right, scenery=place).full


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


def ideal(pair: Sequence[str], place: str, light: str) -> tuple[Tensor, Tensor]:
    """The pair in a place, pixels (3, f, h, w) in [-1, 1], and where they stand."""
    sides = []
    for name in pair:
        pixels = draw_unseen(name, place=place, light=light).transpose(0, 1) * 2 - 1
        sides.append(Side(pixels=pixels, mask=draw_mask(name).transpose(0, 1)))
    both = stitch(*sides, onto="left")
    assert both.mask is not None
    return both.pixels, both.mask


def read(
    judge: Judge, pair: Sequence[str], clips: Tensor, *, place: str, light: str
) -> list[tuple[Reading, Reading]]:
    """Reads both halves of clips (n, 3, f, h, w) that show the pair in this order and place."""
    pixels, mask = ideal(pair, place, light)
    swapped, _ = ideal(pair[::-1], place, light)
    own, other, found = halves(pixels[None]), halves(swapped[None]), halves(clips)
    where, drawn, shown = (x.chunk(2, dim=-1) for x in (mask, pixels, clips))
    sides = []
    for k in (0, 1):
        squares = ((shown[k] - drawn[k][None]) / 2).square() * where[k]
        columns = (
            identity_likeness(judge, own[k], found[k]),
            identity_likeness(judge, other[k], found[k]),
            _fidelity(own[k], found[k]),
            _fidelity(other[k], found[k]),
            squares.flatten(1).sum(1) / (3 * where[k].sum()),
        )
        sides.append(
            [
                Reading(identity=i, identity_leak=il, motion=m, motion_leak=ml, error=e)
                for i, il, m, ml, e in torch.stack(columns, 1).tolist()
            ]
        )
    return list(zip(*sides, strict=True))


def _fidelity(reference: Tensor, clips: Tensor) -> Tensor:
    """Motion fidelity of each clip: wherever in its half something moves, and whenever it began."""
    wanted, *found = (Footage(frames=to_frames(pixels), fps=FPS) for pixels in (*reference, *clips))
    moves = [motion_fidelity(wanted, each) for each in found]
    return torch.tensor([each.mean if each else float("nan") for each in moves])


def row(clips: Sequence[tuple[Reading, Reading]]) -> Row:
    """Shares of the clips in which both halves are right, and means over all halves."""

    def mean(name: str) -> float:
        return sum(getattr(half, name) for clip in clips for half in clip) / (2 * len(clips))

    looks = [all(half.looks_right for half in clip) for clip in clips]
    whole = [
        ok and all(half.moves_right for half in clip) for ok, clip in zip(looks, clips, strict=True)
    ]
    return {
        "looks right on both sides": sum(looks) / len(clips),
        "looks and motion right": sum(whole) / len(clips),
        "identity": mean("identity"),
        "identity leak": mean("identity_leak"),
        "motion": mean("motion"),
        "motion leak": mean("motion_leak"),
        "mse": mean("error"),
    }


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


def together(
    names: Sequence[str],
    model: VideoModel,
    scene: SceneSettings,
    masks: Sequence[Path | None],
    state: Path,
) -> Concept:
    """All concepts learned in one, with the base's own settings."""
    concepts = [
        SceneConcept(
            clip=asset("clips") / f"{name}.mp4",
            prompt=concept_prompt(
                renumbered(UNSEEN[name].look, k - 1),
                renumbered(UNSEEN[name].motion, k - 1),
                number=k,
            ),
            mask=mask,
        )
        for k, (name, mask) in enumerate(zip(names, masks, strict=True), 1)
    ]
    whole = Scene(concepts=tuple(concepts), settings=scene)
    return api.learn_scene(whole, base=model, checkpoint=state, on_step=said)


def written_mask(name: str, folder: Path) -> Path:
    """A concept's mask as a video."""
    path = folder / f"{name}-mask.mp4"
    frames = frames_of(draw_mask(name).expand(-1, 3, -1, -1))
    write_video(path, frames, fps=FPS, lossless=True)
    return path


def alone(name: str, number: int, model: VideoModel, state: Path) -> Concept:
    """One concept under the words of its number, so that it can be told apart when combined."""
    words = choose_words("literal", concepts=number)
    return api.learn(
        asset("clips") / f"{name}.mp4",
        look=UNSEEN[name].look,
        motion=UNSEEN[name].motion,
        base=model,
        settings={"words": {"v": words[f"v{number}"], "u": words[f"u{number}"]}},
        checkpoint=state,
        on_step=said,
    )


def concept_of(way: str, model: VideoModel, names: Sequence[str], folder: Path) -> Concept:
    """All concepts in one, made in this way; its parts stay in the folder."""
    scene = WAYS[way].scene
    if scene is None:
        parts = [
            learned(folder / f"{name}-{k}.safetensors", partial(alone, name, k, model))
            for k, name in enumerate(names, 1)
        ]
        return api.combine(parts)
    masks = [written_mask(name, folder) if WAYS[way].masked else None for name in names]
    path = folder / f"{_stem(way, names)}.safetensors"
    return learned(path, partial(together, names, model, scene, masks))


def _stem(way: str, names: Sequence[str]) -> str:
    return "-".join([*names, *way.replace(",", "").split()])


def measured(way: str, model: VideoModel, judge: Judge, args: argparse.Namespace) -> Row:
    """Makes the concepts in this way, shows all ordered pairs of them, and reads the clips."""
    concept = concept_of(way, model, args.concepts, args.folder)
    readings, shown = [], []
    for numbers in permutations(range(1, len(args.concepts) + 1), 2):
        pair = [args.concepts[k - 1] for k in numbers]
        for words, (place, light) in PLACES.items():
            prompt = moved_prompt(pair, numbers, words)
            videos = [
                video
                for seed in range(args.seeds)
                for video in api.generate(concept, prompt, seed=seed, base=model)
            ]
            clips = torch.stack([to_pixels(v) for v in videos])
            readings += read(judge, pair, clips, place=place, light=light)
            shown += [(prompt, video) for video in videos]
    write_sheet(args.folder / f"{_stem(way, args.concepts)}.png", shown)
    return row(readings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concepts", nargs="+", default=["dancer", "crab"], choices=sorted(UNSEEN))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--seeds", type=int, default=2, help="videos of each prompt")
    parser.add_argument("--base", default="toybox")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    model, judge = api.load_model(args.base), load_judge(asset("judge.safetensors"))
    name = " + ".join(args.concepts)
    jobs = [
        Job(variant=way, name=name, measure=partial(measured, way, model, judge, args))
        for way in args.ways
    ]
    about = {
        "base": model.fingerprint,
        "seeds": args.seeds,
        "places": list(PLACES),
        "learn": dict(model.defaults.learn),
        "generate": dict(model.defaults.generate),
    }
    run_jobs(args.folder, "composition", jobs, about)


if __name__ == "__main__":
    main()
