"""``setseq evaluate``: a concept's scores under its own prompt and under held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from setseq.commands.grids import OwnBase, Seeds, split_seeds
from setseq.commands.options import (
    ClipModel,
    ConceptFile,
    Config,
    Fetch,
    Preset,
    config_tables,
    read_prompts,
)
from setseq.outputs import new_folder
from setseq.terminal import Bars, say, show_table

if TYPE_CHECKING:
    from setseq.evaluation.trial import Trial, TrialPrompt


def evaluate(
    concept: ConceptFile,
    clip: Annotated[Path, typer.Option(help="The clip that it was learned from.")],
    prompts: Annotated[
        Path, typer.Option(help="A text file, a scene a line: prompts with [v], or edits as words.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of scores.json, table.md and report.html.")
    ] = Path("scores"),
    seeds: Seeds = None,
    clip_model: ClipModel = None,
    identity_model: Annotated[
        str | None,
        typer.Option(
            help="Of identity and leakage: toybox, a folder, a model id (DINOv2), or none."
        ),
    ] = None,
    faces: Annotated[
        Path | None, typer.Option(help="A folder with detector.onnx and recognizer.onnx, for ID.")
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="CoTracker 3's weights, to follow points; else OpenCV does.")
    ] = None,
    fetch: Fetch = False,
    start: Annotated[
        float | None,
        typer.Option(min=0, help="Where the clip starts, in seconds; else as it was learned."),
    ] = None,
    preset: Preset = None,
    config: Config = None,
    base: OwnBase = None,
) -> None:
    """Measure a concept: how its clip is given back, and how held-out prompts are followed."""
    from setseq import api

    texts = read_prompts(prompts)
    tables = config_tables(config)
    loaded = api.load_concept(concept)
    with new_folder(out), Bars() as bars:
        trial = api.evaluate(
            loaded,
            clip,
            texts,
            seeds=split_seeds(seeds),
            clip_model=clip_model,
            identity_model=identity_model,
            faces=faces,
            points=points,
            fetch=fetch,
            start_s=start,
            preset=preset,
            settings=tables["generate"],
            base=api.base_of(loaded, base, tables["hardware"]),
            on_prompts=_say_prompts,
            on_step=lambda done, total: bars.step("Generate", done, total),
        )
    _show(trial, clip)
    for path in api.save_trial(trial, out):
        say(str(path))


def _say_prompts(prompts: Sequence[TrialPrompt]) -> None:
    for number, asked in enumerate(prompts):
        say(f"{number or 'own'}: {asked.prompt}")


def _show(trial: Trial, clip: Path) -> None:
    """What is to be known of the scores; their table, prompts by the numbers of the list above."""
    from setseq.api import score_table

    for line in (*(f"{clip}: {line}" for line in trial.said), *trial.choice.left_out):
        say(line)
    table = score_table(trial)
    names = ["own", *(str(number) for number in range(1, len(trial.rows))), "mean", "clip"]
    rows = zip(names, table.rows, strict=False)  # the clip's is there where its speed is
    show_table(("", *table.headings[1:]), [(name, *row[1:]) for name, row in rows])
