"""The results of a bench: a row a cell, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from setseq.bench.folder import Folder, read_json, write_json
from setseq.bench.plan import OWN, Plan

NOT_NOTED = "a device not noted"


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """The numbers of one video.

    Attributes:
        method: Key of the method.
        concept: Name of the concept.
        edit: Number of the edit, from 0; None under the concept's own prompt.
        seed: Of the start noise.
        training_seed: Of the learning.
        device: That sampled the video, by name.
        values: Metric to its value; None where it cannot be said.
    """

    method: str
    concept: str
    edit: int | None
    seed: int
    training_seed: int
    values: Mapping[str, float | None]
    device: str = ""


@dataclass(frozen=True, kw_only=True)
class LearningResult:
    """What a learning took.

    Attributes:
        values: "duration_s" in seconds and "peak_bytes", each None where it is not known.
        threads: Of the process.
        processes: That worked beside each other.
        device: That learned it, by name; of several, each in its turn.
        way: What it was learned and is shown with (``metrics.WAYS``).
    """

    method: str
    concept: str
    training_seed: int
    values: Mapping[str, float | None]
    threads: int
    processes: int
    device: str = ""
    way: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Results:
    """All of a bench.

    Attributes:
        manifest: What it is about.
        cells: What is done, in the order of the plan.
        learnings: Likewise.
        num_cells: All that there are to be.
    """

    manifest: Mapping[str, Any]
    cells: tuple[CellResult, ...]
    learnings: tuple[LearningResult, ...]
    num_cells: int


def gather(plan: Plan, folder: Folder) -> Results:
    """Read what is done of a bench.

    Raises:
        BenchError: A file is damaged.
    """
    cells, learnings, num_cells = [], [], 0
    for learning in plan.learnings():
        about = {
            "method": learning.method,
            "concept": learning.concept,
            "training_seed": learning.training_seed,
        }
        if folder.record(learning).exists():
            found = read_json(folder.record(learning))
            learnings.append(
                LearningResult(
                    **about,
                    values={name: found.get(name) for name in ("duration_s", "peak_bytes")},
                    threads=found.get("threads", 0),
                    processes=found.get("processes", 0),
                    device=found.get("device", ""),
                    way=found.get("way", {}),
                )
            )
        for cell in plan.cells(learning):
            num_cells += 1
            if folder.cell(cell).exists():
                values = read_json(folder.cell(cell))
                device = values.pop("device", "")
                place = {"edit": cell.edit, "seed": cell.seed, "device": device}
                cells.append(CellResult(**about, **place, values=values))
    return Results(
        manifest=read_json(folder.manifest),
        cells=tuple(cells),
        learnings=tuple(learnings),
        num_cells=num_cells,
    )


def write_results(results: Results, folder: Folder) -> None:
    """Write results.json: a row a cell, and a row a learning."""
    names = [edit["name"] for edit in results.manifest["edits"]]
    rows = [
        {
            "method": each.method,
            "concept": each.concept,
            "edit": OWN if each.edit is None else names[each.edit],
            "edit_index": each.edit,
            "seed": each.seed,
            "training_seed": each.training_seed,
            "device": each.device,
            **each.values,
        }
        for each in results.cells
    ]
    learnings = [
        {
            "method": each.method,
            "concept": each.concept,
            "training_seed": each.training_seed,
            **each.values,
            "threads": each.threads,
            "processes": each.processes,
            "device": each.device,
            "way": dict(each.way),
        }
        for each in results.learnings
    ]
    about = {name: results.manifest[name] for name in ("format", "version", "base", "fingerprint")}
    content = {**about, "cells": rows, "learnings": learnings}
    write_json(folder.results, content)
