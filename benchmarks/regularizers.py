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
from functools import partial
from pathlib import Path
from typing import Any

from measuring import Job, measured, run_jobs

from setseq.config import LearnSettings
from setseq.models.registry import load_model
from setseq.toybox.concepts import learn_unseen, shipped_clip
from setseq.toybox.evaluate import asset
from setseq.toybox.judge import load_judge
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concepts", nargs="+", default=["dancer", "crab"], choices=list(UNSEEN))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--base", default="toybox")
    args = parser.parse_args()
    model, judge = load_model(args.base), load_judge(asset("judge.safetensors"))
    jobs = []
    for name in args.concepts:
        for variant in args.variants:
            settings = LearnSettings.resolve(model.defaults.learn, VARIANTS[variant])
            measure = partial(
                measured,
                model,
                judge,
                name,
                partial(learn_unseen, model, name, settings),
                references=shipped_clip(name)[None],
                seeds=args.seeds,
            )
            jobs.append(Job(variant=variant, name=name, measure=measure))
    about = {"base": model.fingerprint, "seeds": args.seeds}
    run_jobs(args.folder, "regularizers", jobs, about)


if __name__ == "__main__":
    main()
