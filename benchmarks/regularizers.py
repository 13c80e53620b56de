"""Each regularizer alone, all together, and none: what they do to a concept and to its edits.

Learns unseen toybox concepts under each variant, regenerates them and edits them by prompt, and
reads the clips: likeness of looks and of movement with the reference, the paper's MSE, and the
share of edits (place, light, style) that the judge sees as asked. What was measured is not done
again.

    python benchmarks/regularizers.py FOLDER [--concepts dancer crab] [--variants none dropout ...]
        [--seeds 2] [--base toybox]

Writes regularizers.json and regularizers.md to the folder.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.outputs import write_bytes
from setseq.prompts import concept_prompt, filled
from setseq.sampling import with_concept
from setseq.toybox.concepts import learn_unseen, shipped_clip
from setseq.toybox.evaluate import asset, generate_clips
from setseq.toybox.judge import Judge, load_judge
from setseq.toybox.likeness import identity_likeness, motion_likeness
from setseq.toybox.unseen import UNSEEN

VARIANTS: dict[str, dict[str, Any]] = {
    "none": {"self_conditioning": 0.0},
    "dropout": {"self_conditioning": 0.0, "identity_dropout": 0.8, "motion_dropout": 0.5},
    "mild dropout": {"self_conditioning": 0.0, "identity_dropout": 0.3, "motion_dropout": 0.2},
    "prior videos": {"self_conditioning": 0.0, "prior": "videos"},
    "prior velocity": {"self_conditioning": 0.0, "prior": "velocity"},
    "token masking": {"self_conditioning": 0.0, "token_masking": 0.1},
    "self-conditioning": {"self_conditioning": 0.9},
    "all": {
        "self_conditioning": 0.9,
        "identity_dropout": 0.8,
        "motion_dropout": 0.5,
        "prior": "videos",
        "token_masking": 0.1,
    },
}
# Scenes for a creature that was seen in another one: the words, and what the judge should read.
EDITS: dict[str, dict[str, str]] = {
    "a [v] creature in a snowy field by day": {"place": "snowfield", "light": "day"},
    "a [v] creature in the city at night": {"place": "city", "light": "night"},
    "a [v] creature in the forest in the rain": {"place": "forest", "light": "rain"},
    "a [v] creature by the sea with waves at sunset": {"place": "sea", "light": "dusk"},
    "a pencil sketch of a [v] creature in the desert": {
        "place": "desert",
        "style": "pencil",
    },
}


def shown(model: VideoModel, concept: Concept, prompts: list[str], seeds: int) -> torch.Tensor:
    """Clips (prompts * seeds, 3, f, h, w) in [-1, 1], the seeds of a prompt side by side."""
    texts = [filled(p, concept.provenance.words) for p in prompts for _ in range(seeds)]
    with with_concept(model, concept):
        return generate_clips(model, texts, seeds=[*range(seeds)] * len(prompts), batch=4)


def measured(
    model: VideoModel, judge: Judge, name: str, overrides: dict[str, Any], seeds: int
) -> dict[str, float]:
    """Learns one concept under one variant and reads it."""
    begun = time.perf_counter()
    settings = LearnSettings.resolve(model.defaults.learn, overrides)
    concept = learn_unseen(model, name, settings)
    took = time.perf_counter() - begun
    motion = UNSEEN[name].motion
    own = shown(model, concept, [concept_prompt(UNSEEN[name].look, motion).full], seeds)
    edited = shown(model, concept, [f"{look}. {motion}" for look in EDITS], seeds)
    reference = shipped_clip(name)[None]
    wanted = [want for want in EDITS.values() for _ in range(seeds)]
    hits = [
        reading[question] == answer
        for reading, want in zip(judge.read(edited), wanted, strict=True)
        for question, answer in want.items()
    ]
    return {
        "identity": float(identity_likeness(judge, reference, own).mean()),
        "motion": float(motion_likeness(reference, own).mean()),
        "mse": float(((own - reference) / 2).square().mean()),
        "edit identity": float(identity_likeness(judge, reference, edited).mean()),
        "edit motion": float(motion_likeness(reference, edited).mean()),
        "edits obeyed": sum(hits) / len(hits),
        "learning s": took,
    }


def markdown(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Means over concepts, a row a variant."""
    columns = list(next(iter(next(iter(results.values())).values())))
    lines = [f"| variant | concepts | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for variant, by_concept in results.items():
        values = [
            sum(row[column] for row in by_concept.values()) / len(by_concept) for column in columns
        ]
        cells = [
            f"{v:.4f}" if c == "mse" else f"{v:.2f}" for c, v in zip(columns, values, strict=True)
        ]
        lines.append(f"| {variant} | {len(by_concept)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concepts", nargs="+", default=["dancer", "crab"], choices=list(UNSEEN))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--base", default="toybox")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / "regularizers.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    model, judge = load_model(args.base), load_judge(asset("judge.safetensors"))
    for name in args.concepts:
        for variant in args.variants:
            if name in results.get(variant, {}):
                continue
            row = measured(model, judge, name, VARIANTS[variant], args.seeds)
            results.setdefault(variant, {})[name] = row
            print(name, variant, {key: round(value, 4) for key, value in row.items()}, flush=True)
            write_bytes(path, json.dumps(results, indent=2).encode())
            write_bytes(args.folder / "regularizers.md", markdown(results).encode())


if __name__ == "__main__":
    main()
