"""Each regularizer alone, all together, and none: what they do to a concept and to its edits.

Learns unseen toybox concepts under each variant, regenerates them and edits them by prompt, and
reads the clips: likeness of looks and of movement with the reference, the paper's MSE, and the
share of edits (place, light, style) that the judge sees as asked. What was measured is not done
again.

    python benchmarks/regularizers.py FOLDER [--concepts dancer crab flower]
        [--variants none "none, longer" ...] [--learnings 3] [--seeds 2] [--base toybox]

Writes regularizers.json and regularizers.md to the folder.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from measuring import Job, measured, run_jobs

from setseq.baselines.methods import UNREGULARIZED
from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.presets import load_preset
from setseq.toybox.concepts import learn_unseen, shipped_clip
from setseq.toybox.judge import load_judge
from setseq.toybox.shipped import asset
from setseq.toybox.unseen import UNSEEN
from setseq.training.learn import AUTO_SELF_CONDITIONING

CONCEPTS = ("dancer", "crab", "flower")  # of those for choosing settings
PAPER = load_preset("paper").tables["learn"]
DROPOUTS = ("identity_dropout", "motion_dropout")
ESTIMATES = {"self_conditioning": AUTO_SELF_CONDITIONING}


def _paper(*names: str) -> dict[str, Any]:
    """The paper's figures of some regularizers."""
    return {name: PAPER[name] for name in names}


# Each over UNREGULARIZED: a base's own settings may have some regularizers on.
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "dropout": _paper(*DROPOUTS),
    "mild dropout": {"identity_dropout": 0.3, "motion_dropout": 0.2},
    "prior videos": {"prior": "videos"},
    "prior velocity": {"prior": "velocity"},
    "token masking": _paper("token_masking", "mask_special_tokens"),
    "self-conditioning": ESTIMATES,
    "all": {**_paper(*DROPOUTS, "prior", "token_masking", "mask_special_tokens"), **ESTIMATES},
}
# Of all rows, whatever the base's own are by now.
STEPS = {"set_steps": 140, "sequence_steps": 260}
# The paper learns longer with regularizers than without, by about this factor in all.
LONGER = 2.7
LONG = tuple(f"{name}, longer" for name in ("none", "dropout", "mild dropout", "all"))


def settings_of(model: VideoModel, variant: str, *, seed: int) -> LearnSettings:
    """The base's own settings with the steps and the regularizers of a variant and no other."""
    regularizers = VARIANTS[variant.removesuffix(", longer")]
    factor = LONGER if variant in LONG else 1
    steps = {name: round(factor * count) for name, count in STEPS.items()}
    layers = (model.defaults.learn, UNREGULARIZED, regularizers, steps, {"seed": seed})
    return LearnSettings.resolve(*layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--concepts", nargs="+", default=CONCEPTS, choices=list(UNSEEN))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=[*VARIANTS, *LONG])
    parser.add_argument("--learnings", type=int, default=3, help="seeds of the learning")
    parser.add_argument("--seeds", type=int, default=2, help="videos of each prompt")
    parser.add_argument("--base", default="toybox")
    args = parser.parse_args()
    model, judge = load_model(args.base), load_judge(asset("judge.safetensors"))
    jobs = []
    for seed in range(args.learnings):  # a whole table early, which further seeds make firmer
        for name, variant in product(args.concepts, args.variants):
            settings = settings_of(model, variant, seed=seed)
            measure = partial(
                measured,
                model,
                judge,
                name,
                partial(learn_unseen, model, name, settings),
                references=shipped_clip(name)[None],
                seeds=args.seeds,
            )
            jobs.append(Job(variant=variant, name=f"{name}, seed {seed}", measure=measure))
    about = {
        "base": model.fingerprint,
        "seeds": args.seeds,
        "learn": settings_of(model, "none", seed=0).model_dump(mode="json"),
        "generate": dict(model.defaults.generate),
    }
    run_jobs(args.folder, "regularizers", jobs, about)


if __name__ == "__main__":
    main()
