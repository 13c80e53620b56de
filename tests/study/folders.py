"""Bench folders as ``setseq bench`` writes them, for a study to be held on."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import setseq
from setseq.bench.folder import Folder, make_manifest
from setseq.bench.plan import make_plan
from setseq.bench.settings import BenchSettings
from setseq.study.session import Study, open_study
from setseq.video.io import encode_video, read_clip

TITLES = {
    "set-and-sequence": "Set-and-Sequence",
    "lora-8": "LoRA-8",
    "dreamix": "Dreamix",
    "two-stage": "Two stages",
}
EDITS = [
    {"name": "snow", "prompt": "a [v] creature in the snow"},
    {"name": "night", "prompt": "a [v] creature at night"},
]
CLIPS = Path(str(setseq.__file__)).parent / "toybox" / "assets" / "clips"


def make_bench(
    folder: Path,
    *,
    methods: Sequence[str] = tuple(TITLES),
    concepts: Sequence[str] = ("dancer", "robot"),
    seeds: Sequence[int] = (0, 1),
    training_seeds: Sequence[int] = (0,),
) -> Path:
    """Writes a bench folder whose videos are a few bytes, other ones in each file."""
    settings = BenchSettings.model_validate(
        {
            "methods": methods,
            "reference": methods[0],
            "table": concepts,
            "choosing": (),
            "edit": EDITS,
            "seeds": seeds,
            "training_seeds": training_seeds,
        }
    )
    plan = make_plan(settings)
    manifest = make_manifest(
        plan,
        titles=TITLES,
        clips=dict.fromkeys(concepts, "0" * 64),
        fingerprint="0" * 64,
        formats={"weights": "fp32", "precision": "fp32"},
        encoders={},
        fps=8.0,
        quick=False,
    )
    bench = Folder(folder)
    paths = [bench.reference(concept) for concept in concepts]
    for learning in plan.learnings():
        paths += [bench.video(cell) for cell in plan.cells(learning) if cell.edit is not None]
    for path in paths:
        name = path.relative_to(folder).as_posix()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(name.encode()).digest() * 4)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def make_playable(folder: Path) -> Path:
    """Writes a bench folder of two methods with videos that play: the toybox's clips, tinted."""
    make_bench(folder, methods=("set-and-sequence", "lora-8"))
    videos: dict[tuple[str, bool], bytes] = {}
    for path in folder.glob("**/*.mp4"):
        concept = path.stem if path.parent.name == "references" else path.parent.name
        is_tinted = "lora-8" in path.parts
        if (concept, is_tinted) not in videos:
            clip = read_clip(CLIPS / f"{concept}.mp4")
            frames = clip.frames // (2, 1, 1) if is_tinted else clip.frames
            videos[concept, is_tinted] = encode_video(frames.astype("uint8"), fps=clip.fps)
        path.write_bytes(videos[concept, is_tinted])
    return folder


def held(folder: Path, **given: object) -> Study:
    """A study on a folder."""
    return open_study(folder, given)
