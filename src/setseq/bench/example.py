"""A bench's settings as text: a TOML file that says what each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from setseq.bench.settings import BenchSettings, Edit, EncoderChoice, OwnConcept
from setseq.config import Settings
from setseq.settings_file import descriptions, toml_value

_SINGLE = ("learn", "generate", "hardware")


def bench_toml(settings: BenchSettings, *, title: str = "") -> str:
    """Every setting with what it is, as the text of a file that ``read_bench`` reads.

    Args:
        settings: What to write.
        title: A comment at the top.
    """
    about = descriptions(BenchSettings)
    lines = [*(f"# {line}".rstrip() for line in title.splitlines()), ""]
    tables = {"encoders", "method", "edit", "concept", *_SINGLE}
    for name in (name for name in about if name not in tables):
        lines += [f"# {about[name]}", f"{name} = {toml_value(getattr(settings, name))}"]
    lines += ["", "[encoders]", *_body(settings.encoders)]
    for name in _SINGLE:
        lines += ["", f"# {about[name]}", f"[{name}]", *_values(getattr(settings, name))]
    lines += ["", f"# {about['method']}, as [method.lora-8]"]
    for name, values in settings.method.items():
        lines += [f"[method.{name}]", *_values(values)]
    lines += ["", f"# {about['edit']}", *_explained(Edit)]
    for edit in settings.edit:
        lines += ["[[edit]]", *_values(edit.model_dump(exclude_defaults=True)), ""]
    lines += [f"# {about['concept']}, as [[concept]]", *_explained(OwnConcept)]
    for concept in settings.concept:
        lines += ["[[concept]]", *_values(concept.model_dump(exclude_defaults=True)), ""]
    return "\n".join(lines).strip("\n") + "\n"


def _body(settings: EncoderChoice) -> list[str]:
    return [
        line
        for name, about in descriptions(EncoderChoice).items()
        for line in (f"# {about}", f"{name} = {toml_value(getattr(settings, name))}")
    ]


def _values(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {toml_value(value)}" for name, value in values.items()]


def _explained(kind: type[Settings]) -> list[str]:
    return [f"#   {name}: {about}" for name, about in descriptions(kind).items()]
