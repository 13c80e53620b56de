"""Grids of edits: a learned prompt rewritten in a few words each, by several seeds or strengths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from setseq.concept import Concept
from setseq.config import GenerateSettings
from setseq.errors import PromptError, SettingsError
from setseq.models.base import VideoModel
from setseq.outputs import write_bytes
from setseq.presets import layered
from setseq.prompts import ConceptPrompt, check_prompt, shown_prompt
from setseq.rewriting.rewrite import rewrite
from setseq.sampling import own_settings, sampled_frames, with_concept
from setseq.video.encode import write_video
from setseq.video.sheet import draw_grid, write_grid

Strengths = float | str | Sequence[float | str]
OnStep = Callable[[int, int], None]  # sampling steps done and in all
RESTYLE_STRENGTHS = (1.0, 0.8, 0.6, 0.4)

_CELL_HEIGHT = 128  # smaller videos are enlarged by a whole number


@dataclass(frozen=True)
class Row:
    """One edit of a grid.

    Attributes:
        edit: as it was asked for.
        prompt: the whole prompt that it makes, as a user would write it.
        changes: what the edit did to the learned prompt.
    """

    edit: str
    prompt: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One way to sample every edit of a grid: its heading, and its settings."""

    title: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Grid:
    """Videos of every edit (rows) under every seed or strength (columns).

    Attributes:
        rows: the edits.
        columns: what differs across.
        videos: for each row and column, uint8 (f, h, w, 3).
        fps: frames a second.
    """

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    videos: tuple[tuple[np.ndarray, ...], ...]
    fps: float


def plan_rows(
    concept: Concept, edits: Sequence[str | Row], *, clip: int = 1, original: bool = False
) -> tuple[Row, ...]:
    """The prompts that edits make of a learned one.

    Args:
        concept: what was learned, with the prompts of its clips.
        edits: see ``rewrite``; rows that were planned before stay what they are.
        clip: whose prompt is edited, where there are several, from 1.
        original: begin with the learned prompt itself, to compare with.

    Raises:
        PromptError: there is no edit, it cannot be told what one changes, or a token is unknown.
    """
    origin = concept.provenance
    if not edits:
        raise PromptError("there is no edit; give at least one, as 'in the desert at night'")
    if not origin.clips:
        raise PromptError(
            "the concept has no prompt to be edited; import it with --look and --motion, or give"
            " whole scenes to `setseq generate`"
        )
    if not 1 <= clip <= len(origin.clips):
        raise PromptError(f"there is no clip {clip}; the concept has 1 to {len(origin.clips)}")
    learned = ConceptPrompt(origin.clips[clip - 1].look, origin.clips[clip - 1].motion)
    count = len(origin.words) // 2
    rows = [Row("as learned", shown_prompt(learned.full, count))] if original else []
    for edit in edits:
        if isinstance(edit, Row):
            rows.append(edit)
            continue
        edited = rewrite(learned, edit)
        check_prompt(edited.prompt, origin.words)
        rows.append(Row(edit, shown_prompt(edited.prompt, count), edited.changes))
    return tuple(rows)


def as_styles(styles: str | Sequence[str]) -> list[str]:
    """Words that are styles, as edits; whole prompts and replacements stay what they are."""
    texts = [styles] if isinstance(styles, str) else styles
    return [
        text if not text.strip() or "=>" in text or "[v" in text else f"style: {text}"
        for text in texts
    ]


def plan_columns(
    *,
    seeds: int | Sequence[int] = (),
    identity: Strengths = (),
    motion: Strengths = (),
) -> tuple[Column, ...]:
    """What differs across a grid: at most one of these may have several values.

    Args:
        seeds: of the start noise; none is that of the settings.
        identity: identity strengths or schedules, likewise.
        motion: motion strengths or schedules, likewise.

    Raises:
        SettingsError: several have, or a value is out of its range.
    """
    found = {"seed": _several(seeds), "identity": _several(identity), "motion": _several(motion)}
    given = {name: values for name, values in found.items() if values}
    several = [name for name, values in given.items() if len(values) > 1]
    if len(several) > 1:
        raise SettingsError(
            f"{' and '.join(several)} have several values each; a grid has room for one of them"
            " across, give the others one value"
        )
    across = several[0] if several else next(iter(given), "seed")
    fixed = {name: values[0] for name, values in given.items() if name != across}
    columns = [{**fixed, across: value} for value in given.get(across, (None,))]
    for column in columns:
        GenerateSettings.resolve(column)
    return tuple(Column(_title(column, across), column) for column in columns)


def fill_grid(
    model: VideoModel,
    concept: Concept,
    rows: Sequence[Row],
    columns: Sequence[Column],
    *,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    on_step: OnStep = lambda done, total: None,
) -> Grid:
    """Generate every cell.

    Args:
        model: the base that the concept was learned on.
        concept: what to show.
        rows: the prompts.
        columns: the settings across; they win over the others.
        preset: as for ``api.generate``.
        settings: names of GenerateSettings to values, likewise.
        on_step: called with sampling steps done and in all, over all cells.

    Raises:
        SetSeqError: a setting or the concept cannot be used.
    """
    own = own_settings(model, concept)
    chosen = [
        layered(GenerateSettings, own, preset, settings or {}, column.settings)
        for column in columns
    ]
    words = concept.provenance.words
    total = len(rows) * sum(each.num_steps for each in chosen)
    done, videos = 0, []
    with with_concept(model, concept) as injection:
        for row in rows:
            text = check_prompt(row.prompt, words)
            cells = []
            for each in chosen:
                cells += sampled_frames(
                    model,
                    [text],
                    each,
                    injection=injection,
                    on_step=lambda step, _, before=done: on_step(before + step, total),
                )
                done += each.num_steps
            videos.append(tuple(cells))
    return Grid(tuple(rows), tuple(columns), tuple(videos), model.geometry.fps)


def save_grid(grid: Grid, path: str | Path) -> list[Path]:
    """Write a grid as one labelled picture, or as a folder with that, every clip and the prompts.

    Args:
        grid: what to write.
        path: ending in .png, or else a folder, which gets grid.png, grid.mp4 (all cells at once),
            prompts.txt and an .mp4 for each cell.

    Returns:
        The files.

    Raises:
        OutputError: one cannot be written.
    """
    path = Path(path)
    titles = [f"{row.edit}: {row.prompt}" for row in grid.rows]
    headings = [column.title for column in grid.columns]
    if path.suffix.lower() == ".png":
        return [write_grid(path, titles, headings, grid.videos, cell_height=_CELL_HEIGHT)]
    files = [write_grid(path / "grid.png", titles, headings, grid.videos, cell_height=_CELL_HEIGHT)]
    count = min(len(video) for cells in grid.videos for video in cells)
    moving = [
        draw_grid(
            titles,
            headings,
            [[video[[frame]] for video in cells] for cells in grid.videos],
            frames=1,
            cell_height=_CELL_HEIGHT,
        )
        for frame in range(count)
    ]
    files.append(write_video(path / "grid.mp4", np.stack(moving), fps=grid.fps))
    write_bytes(path / "prompts.txt", "".join(f"{row.prompt}\n" for row in grid.rows).encode())
    files.append(path / "prompts.txt")
    for number, (row, cells) in enumerate(zip(grid.rows, grid.videos, strict=True), 1):
        for column, video in zip(grid.columns, cells, strict=True):
            name = f"{number}-{_slug(row.edit)}-{_slug(column.title)}".rstrip("-")
            scale = max(1, -(-_CELL_HEIGHT // video.shape[1]))
            files.append(write_video(path / f"{name}.mp4", video, fps=grid.fps, scale=scale))
    return files


def _several(values: int | float | str | Sequence[int | float | str]) -> tuple[Any, ...]:
    return (values,) if isinstance(values, int | float | str) else tuple(values)


def _title(column: Mapping[str, Any], across: str) -> str:
    """The heading of a column: what differs first, then what was given beside it."""
    names = [across, *(name for name in column if name != across)]
    return ", ".join(f"{name} {column[name]}" for name in names if column[name] is not None)


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9.]+", text.lower()))[:48].strip("-.")
