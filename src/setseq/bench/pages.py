"""The pages of a bench: tables.md, report.html and gallery.html; no script, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from setseq.bench.folder import Folder
from setseq.bench.plan import Cell, Learning
from setseq.bench.results import NOT_NOTED, Results
from setseq.bench.scatter import scatters
from setseq.bench.tables import tables, to_markdown
from setseq.outputs import write_bytes
from setseq.prompts import ConceptPrompt, shown_prompt

if TYPE_CHECKING:
    from setseq.baselines import Method

_SHIPPED_ROLES = {
    "table": "Settings were not to be chosen by these concepts",
    "choosing": "These concepts are for choosing settings: what stands here is no result",
}


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One row of the gallery: the same prompt in all methods.

    Attributes:
        title: Which edit.
        prompt: Of this concept.
        videos: For each method the video's place from the page, None where it is not there.
    """

    title: str
    prompt: str
    videos: tuple[str | None, ...]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """All of one concept in the gallery.

    Attributes:
        concept: Its name.
        reference: Its clip's place from the page.
        strips: Its own prompt first, then the edits.
    """

    concept: str
    reference: str
    strips: tuple[Strip, ...]


def write_pages(results: Results, folder: Folder, methods: Mapping[str, Method]) -> Path:
    """Write tables.md, report.html and gallery.html.

    Args:
        results: What is done.
        folder: Where to, with the videos.
        methods: Key to what the page says of it.

    Returns:
        The report.

    Raises:
        OutputError: A page cannot be written.
    """
    write_bytes(folder.tables, markdown(results).encode())
    write_bytes(folder.gallery, render_gallery(results, folder).encode())
    write_bytes(folder.report, render_report(results, methods).encode())
    return folder.report


def markdown(results: Results) -> str:
    """All tables as Markdown, under what they are about."""
    lines = [f"# {_title(results)}", ""]
    lines += [f"- {label}: {value}" for label, value in facts(results).items()]
    lines += ["", *(to_markdown(table) for table in tables(results))]
    return "\n".join(lines).rstrip("\n") + "\n"


def render_report(results: Results, methods: Mapping[str, Method]) -> str:
    """The report as HTML, every text escaped."""
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=_title(results),
            facts=facts(results),
            tables=tables(results),
            scatters=scatters(results),
            seeds=len(results.manifest["seeds"]) * len(results.manifest["training_seeds"]),
            methods=[methods[name] for name in results.manifest["methods"]],
        )
    )


def render_gallery(results: Results, folder: Folder) -> str:
    """The gallery as HTML: its videos lie beside it."""
    return (
        _environment()
        .get_template("gallery.html")
        .render(
            title=f"Gallery: {_title(results)}",
            methods=list(results.manifest["methods"].values()),
            seed=results.manifest["seeds"][0],
            shelves=[
                _shelf(name, results.manifest, folder) for name in results.manifest["concepts"]
            ],
        )
    )


def facts(results: Results) -> dict[str, str]:
    """What the numbers are about, label to value."""
    manifest = results.manifest
    settings = manifest["settings"]
    use = manifest["use"]
    found = {
        "base": f"{manifest['base']}, weights {manifest['fingerprint'][:12]}",
        "package": f"setseq {manifest['version']}",
        "concepts": f"{', '.join(manifest['concepts'])}. {_SHIPPED_ROLES[use]}.",
        "for choosing settings": ", ".join(settings["choosing"]) or "none",
        "for the table": ", ".join(settings["table"]) or "none",
        "cells": f"{len(results.cells)} of {results.num_cells}: {len(manifest['methods'])} methods,"
        f" {len(manifest['concepts'])} concepts, {len(manifest['edits'])} edits and their own"
        " prompts",
        "seeds": f"{_listed(manifest['seeds'])} of the start noise,"
        f" {_listed(manifest['training_seeds'])} of the learning",
        "measured by": ", ".join(f"{k} {v}" for k, v in manifest["encoders"].items()),
    }
    ways = Counter((each.device, each.processes, each.threads) for each in results.learnings)
    if ways:
        found["learned on"] = "; ".join(
            f"{device or NOT_NOTED}, in {processes} processes of {threads} threads: {count}"
            for (device, processes, threads), count in sorted(ways.items())
        )
    if devices := Counter(each.device for each in results.cells):
        found["shown on"] = "; ".join(
            f"{device or NOT_NOTED}: {count}" for device, count in sorted(devices.items())
        )
    if manifest["quick"]:
        found["quick"] = "few cells and half the learning: a first look, no result"
    return found


def _title(results: Results) -> str:
    return f"Bench of {len(results.manifest['methods'])} methods on {results.manifest['base']}"


def _listed(values: list[Any]) -> str:
    return ", ".join(str(value) for value in values)


def _shelf(concept: str, manifest: Mapping[str, Any], folder: Folder) -> Shelf:
    about = manifest["concepts"][concept]
    own = ConceptPrompt(look=about["look"], motion=about["motion"]).full
    rows: list[tuple[int | None, str, str]] = [(None, "Its own scene", own)]
    for number, edit in enumerate(manifest["edits"]):
        rows.append((number, edit["name"], about["prompts"][number]))
    strips = []
    for edit, title, prompt in rows:
        cells = [
            Cell(
                Learning(method, concept, manifest["training_seeds"][0]), edit, manifest["seeds"][0]
            )
            for method in manifest["methods"]
        ]
        strips.append(
            Strip(
                title=title,
                prompt=shown_prompt(prompt, 1),
                videos=tuple(_place(folder.video(cell), folder) for cell in cells),
            )
        )
    return Shelf(
        concept=concept,
        reference=_place(folder.reference(concept), folder) or "",
        strips=tuple(strips),
    )


def _place(path: Path, folder: Folder) -> str | None:
    return path.relative_to(folder.root).as_posix() if path.exists() else None


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("setseq.bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
