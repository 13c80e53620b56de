"""What makes the method obey the prompt: a bench of variants, on concepts to choose by.

Each is the method, or LoRA-8, with something changed. They are learned, shown, measured and
compared as `setseq bench` does, on concepts that its table never shows. A stopped run goes on.

    python benchmarks/choosing.py FOLDER [--variants lora-8 plain prior ...]
        [--concepts dancer crab flower fish] [--seeds 2] [--processes 2]
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from setseq.baselines import METHODS, Method, learn_method
from setseq.bench.registry import Methods
from setseq.bench.run import run_bench
from setseq.bench.settings import BenchSettings
from setseq.errors import SetSeqError
from setseq.toybox.components import CARD

PLAIN, PRIOR, LORA = METHODS["two-stage"], METHODS["set-and-sequence-prior"], METHODS["lora-8"]
_STRONGER = {"identity": 1.15, "motion": 1.15}
_LITERAL = {"token_mode": "literal", "token_start": "zeros"}
_QUARTER_SHARE = {"prior_share": 0.25}
_NOISY = {"set_time_mean": 0.9, "set_time_std": 1.5}


def _variant(
    method: Method,
    settings: Mapping[str, Any] | None = None,
    generate: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Method:
    return replace(
        method,
        settings={**method.settings, **(settings or {})},
        generate={**method.generate, **(generate or {})},
        **fields,
    )


def _steps(of_set: int, of_sequence: int) -> tuple[float, float]:
    """These steps as factors of the toybox's own."""
    own = CARD["learn"]
    return of_set / own["set_steps"], of_sequence / own["sequence_steps"]


def variants() -> Methods:
    """All of them; a function of a module, so that other processes find it."""
    own_steps = _variant(PRIOR, _QUARTER_SHARE, steps=(1.0, 1.0))
    short_set = _variant(PRIOR, _QUARTER_SHARE, steps=_steps(60, 340))
    made = {
        "lora-8": LORA,
        "lora-8-weaker": _variant(LORA, generate={"identity": 0.9}),
        "lora-8-prior": METHODS["lora-8-prior"],
        "lora-8-prior-1.15": _variant(
            METHODS["lora-8-prior"], _QUARTER_SHARE, _STRONGER, steps=(1.0, 1.0)
        ),
        "plain": PLAIN,
        "more-motion": _variant(PLAIN, generate={"motion": 1.3}),
        "less-motion": _variant(PLAIN, generate={"motion": 0.8}),
        "rank-8": _variant(PLAIN, {"rank": 8}),
        "rank-8-rate-2": _variant(PLAIN, {"rank": 8, "sequence_rate": 2.0}),
        "rate-2": _variant(PLAIN, {"sequence_rate": 2.0}),
        "difference-3": _variant(PLAIN, {"temporal_difference": 3.0}),
        "difference-10": _variant(PLAIN, {"temporal_difference": 10.0}),
        "prior-plain-words": _variant(own_steps, _LITERAL, token_rate=None),
        "prior-rate-1": _variant(own_steps, {"sequence_rate": 1.0}),
        "prior-no-difference": _variant(own_steps, {"temporal_difference": 0.0}),
        "prior-rate-4": _variant(own_steps, {"sequence_rate": 4.0}),
        "prior-1": own_steps,
        "prior-1.15": _variant(own_steps, generate=_STRONGER),
        "prior-set-30": _variant(own_steps, steps=_steps(30, 370)),
        "prior-set-60": short_set,
        "prior-set-60-1.15": _variant(short_set, generate=_STRONGER),
        "prior-set-60-rank-32": _variant(short_set, {"rank": 32}),
        "prior-set-60-noisy": _variant(short_set, _NOISY),
        "prior-set-60-share-0.15": _variant(short_set, {"prior_share": 0.15}),
        "prior-set-100-share-0.12": _variant(PRIOR, steps=_steps(100, 300)),
        "prior-longer": _variant(PRIOR, steps=_steps(210, 585)),
        "prior": PRIOR,
        "prior-strong": _variant(PRIOR, generate=_STRONGER),
    }
    named = {name: replace(method, name=name, title=name) for name, method in made.items()}
    return Methods(known=named, learn=learn_method)


def main() -> None:
    """Run the bench of the variants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variants", nargs="+", default=[*variants().known])
    parser.add_argument("--concepts", nargs="+", default=["dancer", "crab", "flower", "fish"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--processes", type=int)
    given = parser.parse_args()
    own = {
        "methods": given.variants,
        "reference": given.variants[0],
        "use": "choosing",
        "choosing": given.concepts,
        "seeds": [*range(given.seeds)],
    }
    many: dict[str, Any] = {"methods": variants, "processes": given.processes, "on_note": print}
    try:
        print(run_bench(BenchSettings.resolve(own), given.folder, **many))
    except SetSeqError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
