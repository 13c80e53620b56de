"""The pages that a participant sees. No page names a method, nor a file of the bench folder."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from setseq.study.settings import QUESTIONS, StudySettings

_ENVIRONMENT = Environment(
    loader=PackageLoader("setseq.study"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ASSETS = {"study.css": "text/css; charset=utf-8", "study.js": "text/javascript; charset=utf-8"}


def asset(name: str) -> bytes:
    """The style or the script of the pages."""
    return files("setseq.study").joinpath("templates", name).read_bytes()


def welcome(settings: StudySettings, *, new: str, unknown: str | None = None) -> bytes:
    """The first page: what will be asked, and the ways in.

    Args:
        settings: Of the study.
        new: A name for whoever starts here.
        unknown: A name that somebody wanted to go on with, and that nobody has.
    """
    return _render("welcome.html", settings=settings, new=new, unknown=unknown)


def trial(
    settings: StudySettings,
    *,
    participant: str,
    position: int,
    total: int,
    prompt: str,
    chosen: dict[str, str],
) -> bytes:
    """The page of one pair; the videos are named by participant, position and side alone."""
    return _render(
        "trial.html",
        questions={name: QUESTIONS[name] for name in settings.questions},
        ties=settings.ties,
        participant=participant,
        position=position,
        total=total,
        prompt=prompt,
        chosen=chosen,
    )


def thanks(*, participant: str, total: int) -> bytes:
    """The last page."""
    return _render("thanks.html", participant=participant, total=total)


def refusal(message: str) -> bytes:
    """A page that says what is wrong."""
    return _render("refusal.html", message=message)


def _render(template: str, **values: Any) -> bytes:
    return _ENVIRONMENT.get_template(template).render(values).encode()
