"""What the benchmarks of learning on the toybox share: reading a concept, going on after a stop."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from setseq.concept import Concept
from setseq.models.base import VideoModel
from setseq.outputs import write_bytes
from setseq.prompts import concept_prompt, filled
from setseq.sampling import with_concept
from setseq.toybox.evaluate import generate_clips
from setseq.toybox.judge import Judge
from setseq.toybox.likeness import identity_likeness, motion_likeness
from setseq.toybox.unseen import UNSEEN

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

Row = dict[str, float]
Results = dict[str, dict[str, Row]]  # variant, then what was learned


@dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement: a variant on one concept (and seed), and what makes its row."""

    variant: str
    name: str
    measure: Callable[[], Row]


def run_jobs(
    folder: Path, stem: str, jobs: Iterable[Job], about: dict[str, Any]
) -> dict[str, dict[str, Row]]:
    """Measure what was not measured before; writes STEM.json and STEM.md after each.

    Args:
        folder: of the results; what is there already is not measured again.
        stem: name of both files.
        jobs: in their order.
        about: what all rows have in common, as the base and the steps: rows that were made with
            others must not stand in one table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.json"
    before = json.loads(path.read_text()) if path.exists() else {"about": about, "results": {}}
    if before.get("about") != about:
        raise SystemExit(
            f"{path} was measured with {before.get('about')}, this is {about}; give another folder"
        )
    results: Results = before["results"]
    for job in jobs:
        if job.name in results.get(job.variant, {}):
            continue
        row = job.measure()
        results.setdefault(job.variant, {})[job.name] = row
        print(job.name, job.variant, {k: round(v, 4) for k, v in row.items()}, flush=True)
        text = json.dumps({"about": about, "results": results}, indent=2)
        write_bytes(path, text.encode())
        write_bytes(folder / f"{stem}.md", markdown(results).encode())
    return results


def markdown(results: Results) -> str:
    """Means over all that was learned under a variant, a row each."""
    measured = [row for rows in results.values() for row in rows.values()]
    columns = [name for name in measured[0] if all(name in row for row in measured)]
    lines = [f"| variant | learned | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for variant, rows in results.items():
        means = [sum(row[column] for row in rows.values()) / len(rows) for column in columns]
        cells = [
            f"{mean:.4f}" if column.startswith("mse") else f"{mean:.2f}"
            for column, mean in zip(columns, means, strict=True)
        ]
        lines.append(f"| {variant} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def measured(
    model: VideoModel,
    judge: Judge,
    name: str,
    learn: Callable[[], Concept],
    *,
    references: Tensor,
    seeds: int,
) -> Row:
    """Learn an unseen concept, regenerate it and edit it by prompt, and read the clips.

    Args:
        model: the base.
        judge: reads them.
        name: of the unseen concept.
        learn: learns it; the processor's seconds for it are the last column.
        references: (n, 3, f, h, w) in [-1, 1]; the first is the clip to be regenerated. Where
            there are others, as the same clip a fraction of a frame later, "any" columns compare
            with whichever is nearest.
        seeds: videos of each prompt.
    """
    begun = time.process_time()
    concept = learn()
    took = time.process_time() - begun
    motion = UNSEEN[name].motion
    own = _shown(model, concept, [concept_prompt(UNSEEN[name].look, motion).full], seeds)
    edited = _shown(model, concept, [f"{look}. {motion}" for look in EDITS], seeds)
    motions = _motions(references, own)
    edit_motions = _motions(references, edited)
    errors = ((own[None] - references[:, None]) / 2).square().flatten(2).mean(2)  # (n, seeds)
    wanted = [want for want in EDITS.values() for _ in range(seeds)]
    hits = [
        reading[question] == answer
        for reading, want in zip(judge.read(edited), wanted, strict=True)
        for question, answer in want.items()
    ]
    reference = references[:1]
    row = {
        "identity": float(identity_likeness(judge, reference, own).mean()),
        "motion": float(motions[0].mean()),
        "mse": float(errors[0].mean()),
    }
    if len(references) > 1:
        row["motion, any"] = float(motions.amax(0).mean())
        row["mse, any"] = float(errors.amin(0).mean())
        row["edit motion, any"] = float(edit_motions.amax(0).mean())
    return row | {
        "edit identity": float(identity_likeness(judge, reference, edited).mean()),
        "edit motion": float(edit_motions[0].mean()),
        "edits obeyed": sum(hits) / len(hits),
        "learning CPU s": took,
    }


def _motions(references: Tensor, clips: Tensor) -> Tensor:
    """Likeness (n, clips) of the movement of each clip with each of the n references."""
    return torch.stack([motion_likeness(each[None], clips) for each in references])


def _shown(model: VideoModel, concept: Concept, prompts: list[str], seeds: int) -> Tensor:
    """Clips (prompts * seeds, 3, f, h, w) in [-1, 1], the seeds of a prompt side by side.

    What was learned with self-conditioning is shown with it, all else without.
    """
    texts = [filled(p, concept.provenance.words) for p in prompts for _ in range(seeds)]
    with with_concept(model, concept):
        return generate_clips(
            model,
            texts,
            seeds=[*range(seeds)] * len(prompts),
            batch=4,
            self_conditioning=concept.shown_with["self_conditioning"],
        )
