"""What the study answers to a request. Nothing but what the plan names is ever sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from setseq.study import pages
from setseq.study.plan import Comparison
from setseq.study.session import Study, new_participant
from setseq.study.wire import RefusedError, Reply, Request

_NAME = r"[a-z0-9]{4}-[a-z0-9]{4}"
_PAIR = rf"/s/({_NAME})/([1-9]\d{{0,5}})"


def respond(study: Study, request: Request) -> Reply:
    """Answer a request.

    Raises:
        RefusedError: There is no such page, or the form is not one of its own.
    """
    matches = [
        (method, answer, match)
        for method, pattern, answer in _ROUTES
        if (match := re.fullmatch(pattern, request.path))
    ]
    for method, answer, match in matches:
        if method == request.method:
            return answer(study, match.groups(), request.form)
    if matches:
        raise RefusedError(405, "This page cannot be used that way.")
    raise RefusedError(404, "There is no such page in this study.")


def _welcome(study: Study, _: tuple[str, ...], __: Mapping[str, str]) -> Reply:
    return Reply(body=pages.welcome(study.settings, new=new_participant()))


def _asset(_: Study, found: tuple[str, ...], __: Mapping[str, str]) -> Reply:
    return Reply(kind=pages.ASSETS[found[0]], body=pages.asset(found[0]))


def _join(study: Study, _: tuple[str, ...], form: Mapping[str, str]) -> Reply:
    participant = _named(form)
    if participant is None:
        raise RefusedError(400, "This is no participant's code; start from the first page.")
    study.join(participant)
    return Reply(status=303, location=f"/s/{participant}")


def _resume(study: Study, _: tuple[str, ...], form: Mapping[str, str]) -> Reply:
    participant = _named(form)
    if participant and study.answers.count(participant):
        return Reply(status=303, location=f"/s/{participant}")
    said = form.get("participant", "")
    page = pages.welcome(study.settings, new=new_participant(), unknown=said)
    return Reply(status=404, body=page)


def _go_on(study: Study, found: tuple[str, ...], _: Mapping[str, str]) -> Reply:
    (participant,) = found
    total = study.answers.count(participant)
    if not total:
        raise RefusedError(404, "There is no such participant in this study.")
    position = study.first_open(participant)
    if position is not None:
        return Reply(status=303, location=f"/s/{participant}/{position}")
    return Reply(body=pages.thanks(participant=participant, total=total))


def _show(study: Study, found: tuple[str, ...], _: Mapping[str, str]) -> Reply:
    participant, position = found[0], int(found[1])
    prompt = _trial(study, participant, position)[1]
    first_open = study.first_open(participant)
    if first_open is not None and position > first_open:
        return Reply(status=303, location=f"/s/{participant}/{first_open}")
    return Reply(
        body=pages.trial(
            study.settings,
            participant=participant,
            position=position,
            total=study.answers.count(participant),
            prompt=prompt,
            chosen=study.answers.chosen(participant, position),
        )
    )


def _submit(study: Study, found: tuple[str, ...], form: Mapping[str, str]) -> Reply:
    _answer(study, found, form)
    return Reply(status=303, location=f"/s/{found[0]}")


def _answer(study: Study, found: tuple[str, ...], form: Mapping[str, str]) -> Reply:
    participant, position = found[0], int(found[1])
    _trial(study, participant, position)
    for question, choice in form.items():
        if question not in study.settings.questions or choice not in study.settings.choices:
            raise RefusedError(400, "This is no answer to a question of this study.")
    study.answers.record(participant, position, form)
    return Reply(status=204)


def _video(study: Study, found: tuple[str, ...], _: Mapping[str, str]) -> Reply:
    trial = _trial(study, found[0], int(found[1]))[0]
    return Reply(kind="video/mp4", file=study.files(trial)[found[2]])


def _trial(study: Study, participant: str, position: int) -> tuple[Comparison, str]:
    trial = study.answers.trial(participant, position)
    if trial is None:
        raise RefusedError(404, "There is no such pair in this study.")
    return trial


def _named(form: Mapping[str, str]) -> str | None:
    """The participant that a form names: in any case, with or without its dash."""
    letters = re.sub(r"[\s-]", "", form.get("participant", "")).lower()
    name = f"{letters[:4]}-{letters[4:]}"
    return name if re.fullmatch(_NAME, name) else None


_Answer = Callable[[Study, tuple[str, ...], Mapping[str, str]], Reply]
_ROUTES: tuple[tuple[str, str, _Answer], ...] = (
    ("GET", r"/", _welcome),
    ("GET", r"/(study\.(?:css|js))", _asset),
    ("POST", r"/join", _join),
    ("POST", r"/resume", _resume),
    ("GET", rf"/s/({_NAME})", _go_on),
    ("GET", _PAIR, _show),
    ("POST", _PAIR, _submit),
    ("POST", rf"{_PAIR}/answers", _answer),
    ("GET", rf"{_PAIR}/(reference|a|b)\.mp4", _video),
)
