"""The report: one page that needs nothing else, with every video inside and no script."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from setseq.evaluation.chart import draw_chart
from setseq.outputs import write_bytes
from setseq.video.encode import encode_video

_SHOWN_HEIGHT = 256  # smaller videos are enlarged by a whole number, with hard pixel edges


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One video of the page.

    Attributes:
        title: A few words, as "At night".
        prompt: What it was generated from, with its tokens; of a reference, its two parts.
        frames: uint8 (f, h, w, 3).
    """

    title: str
    prompt: str
    frames: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers of the page, as text.

    Attributes:
        title: Heading, as "Scores".
        headings: Of the columns, the first of the rows' names.
        rows: As many cells each.
        about: How to read it, a sentence.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the page shows.

    Attributes:
        title: Heading of the page.
        pairs: Each clip, as the base model saw it, and the learned concept under its own prompt.
        edits: The concept in other scenes.
        fps: Frames a second of all videos.
        losses: Stage to part to its loss at each step; a part's step may be NaN.
        facts: Label to value, one line each: base model, seed, version, times.
        settings: Title of a table to its settings, name to value.
        notes: What happened to the clip before learning, in plain words.
        warnings: What a reader should know first, one line each.
        checks: What was measured while it learned to its value at each step of the last stage; NaN
            where it was not measured.
        tables: Scores.
    """

    title: str
    pairs: Sequence[tuple[Shown, Shown]]
    edits: Sequence[Shown]
    fps: float
    losses: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    checks: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tables: Sequence[Table] = ()


def write_report(path: str | Path, report: Report) -> Path:
    """Writes the page, beside its place first and then renamed.

    Args:
        path: Where to write, usually ending in .html.
        report: What to show.

    Returns:
        The path.

    Raises:
        OutputError: If a video cannot be encoded or the page not be written.
    """
    path = Path(path)
    write_bytes(path, render_report(report).encode())
    return path


def render_report(report: Report) -> str:
    """Returns the page as HTML: every text escaped, every video a data URI."""
    environment = Environment(
        loader=PackageLoader("setseq.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tokens"] = _marked_tokens
    return environment.get_template("report.html").render(
        report=report,
        video_uri=lambda shown: _video_uri(shown.frames, report.fps),
        charts={stage: draw_chart(losses) for stage, losses in report.losses.items() if losses},
        checked=draw_chart(report.checks, smoothing=1) if report.checks else None,
    )


def _video_uri(frames: np.ndarray, fps: float) -> str:
    scale = max(1, -(-_SHOWN_HEIGHT // frames.shape[1]))
    data = encode_video(frames, fps=fps, kind=".mp4", scale=scale)
    return "data:video/mp4;base64," + base64.b64encode(data).decode()


def _marked_tokens(prompt: str) -> Markup:
    """Escapes a prompt and marks its concept tokens, as [v] and [u2]."""
    return Markup(re.sub(r"\[[vu]\d?\]", r"<b>\g<0></b>", str(escape(prompt))))
