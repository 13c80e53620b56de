"""What a trial leaves behind: scores.json, table.md, and a page with every prompt's video."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setseq.evaluation.report import Report, Shown, Table, write_report
from setseq.evaluation.trial import Means, Trial
from setseq.outputs import write_bytes
from setseq.version import __version__

FORMAT = "setseq-scores-1"
ABOUT = (
    "Each row is the mean over the seeds. MSE and leakage are of the concept's own prompt alone,"
    " the margin is of held-out prompts alone. Speed is to be like the clip's; the frozen video"
    " with the best TC has none."
)
# Metric, its heading (the arrow says which way is better) and its digits.
_COLUMNS = (
    ("mse", "MSE ↓", 4),
    ("identity", "identity ↑", 3),
    ("face_identity", "ID ↑", 3),
    ("face_share", "faces", 2),
    ("motion", "motion ↑", 3),
    ("dynamic_degree", "speed", 3),
    ("clip_text", "C-T ↑", 3),
    ("edit_margin", "margin ↑", 3),
    ("temporal_consistency", "TC ↑", 4),
    ("token_leakage", "leakage ↓", 3),
)


def score_table(trial: Trial) -> Table:
    """A row for each prompt, one of means, the clip's speed; columns of what was measured."""
    named = [(row.asked.title, row.means) for row in trial.rows]
    named.append(("mean of held-out", trial.means))
    shown = [column for column in _COLUMNS if any(m[column[0]] is not None for _, m in named)]
    speed = trial.rows[0].scores[0].reference_dynamic_degree
    if speed is not None:
        named.append(("the clip", dict.fromkeys(trial.means) | {"dynamic_degree": speed}))
    return Table(
        title="Scores",
        headings=("prompt", *(heading for _, heading, _ in shown)),
        rows=tuple(
            (name, *(_cell(means[key], digits) for key, _, digits in shown))
            for name, means in named
        ),
        about=ABOUT,
    )


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def save_trial(trial: Trial, folder: str | Path) -> list[Path]:
    """Writes the scores of every seed, the table, and the page.

    Args:
        trial: What was measured.
        folder: Where to; made where it is missing.

    Returns:
        scores.json, table.md and report.html, each whole or not at all.

    Raises:
        OutputError: One cannot be written.
    """
    folder = Path(folder)
    paths = [folder / name for name in ("scores.json", "table.md", "report.html")]
    write_bytes(paths[0], (json.dumps(_record(trial), indent=1) + "\n").encode())
    write_bytes(paths[1], _markdown(trial).encode())
    write_report(paths[2], _page(trial))
    return paths


def _record(trial: Trial) -> dict[str, Any]:
    origin = trial.concept.provenance
    return {
        "format": FORMAT,
        "setseq": __version__,
        "concept": {
            "base": origin.base,
            "fingerprint": origin.fingerprint,
            "seed": origin.seed,
            "clips": [clip.sha256 for clip in origin.clips],
        },
        "encoders": trial.choice.names,
        "left_out": list(trial.choice.left_out),
        "notes": list(trial.notes),
        "alignment": trial.alignment,
        "sampling": trial.sampling.model_dump(exclude={"seed"}),
        "rows": [
            {
                "title": row.asked.title,
                "prompt": row.asked.prompt,
                "is_own": row.is_own,
                "seeds": [
                    {"seed": seed, **scores.as_row()}
                    for seed, scores in zip(trial.seeds, row.scores, strict=True)
                ],
                "means": _rounded(row.means),
            }
            for row in trial.rows
        ],
        "means of held-out": _rounded(trial.means),
    }


def _rounded(means: Means) -> Mapping[str, float | None]:
    """Means without digits that only say in which order was added."""
    return {name: None if value is None else round(value, 9) for name, value in means.items()}


def _markdown(trial: Trial) -> str:
    table = score_table(trial)
    lines = ["| " + " | ".join(table.headings) + " |"]
    lines.append("|---" + "|---:" * (len(table.headings) - 1) + "|")
    lines += ["| " + " | ".join(_safe(cell) for cell in row) + " |" for row in table.rows]
    lines += ["", ABOUT, ""]
    lines += [f"- {row.asked.title}: `{row.asked.prompt}`" for row in trial.rows]
    lines += ["", *(f"- {label}: {value}" for label, value in _facts(trial).items())]
    lines += [f"- {line}" for line in (*trial.said, *trial.choice.left_out)]
    return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


def _facts(trial: Trial) -> dict[str, str]:
    origin, sampling = trial.concept.provenance, trial.sampling
    return {
        "base model": f"{origin.base} ({origin.fingerprint[:12]})",
        "sampling": f"{sampling.num_steps} steps, guidance {sampling.guidance:g}",
        "seeds": ", ".join(str(seed) for seed in trial.seeds),
        **trial.choice.names,
        "setseq": __version__,
    }


def _page(trial: Trial) -> Report:
    own, *others = trial.rows
    return Report(
        title="A concept, measured",
        pairs=(
            (
                Shown(title="The clip", prompt=own.asked.prompt, frames=trial.reference.frames),
                Shown(title="Reconstruction", prompt=own.asked.prompt, frames=own.video),
            ),
        ),
        edits=[
            Shown(title=row.asked.title, prompt=row.asked.prompt, frames=row.video)
            for row in others
        ],
        fps=trial.reference.fps,
        facts=_facts(trial),
        notes=trial.said,
        warnings=trial.choice.left_out,
        tables=(score_table(trial),),
    )
