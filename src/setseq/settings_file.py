"""Settings as text: TOML that says what each setting is, and tables for the documentation."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from setseq.config import TABLES, Settings
from setseq.errors import SettingsError

_HUGE = 2**31  # bounds beyond are of no interest to a reader
_WIDTH = 98


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """Read a settings file: the tables of ``TABLES``, each of them optional.

    Returns:
        The tables' names to their values, to be given to ``layered`` as a layer.

    Raises:
        SettingsError: the file is missing, is no TOML, or has something unknown in it.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"no settings file at {path}; `setseq settings > {path.name}` writes one"
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}; correct it") from error
    found: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for name, table in content.items():
        if name not in found or not isinstance(table, dict):
            allowed = ", ".join(f"[{known}]" for known in TABLES)
            raise SettingsError(f"{path} has {name!r}; allowed are the tables {allowed}")
        try:
            TABLES[name].resolve(table)
        except SettingsError as error:
            raise SettingsError(f"{path}, table [{name}]: {error}") from None
        found[name] = table
    return found


def to_toml(settings: Iterable[Settings], *, title: str = "") -> str:
    """Every setting with what it is, as the text of a file that ``read_toml`` reads.

    Args:
        settings: one of each kind that the file is to have; what is None is only mentioned.
        title: a comment at the top.
    """
    lines = [f"# {line}" for line in title.splitlines()]
    kinds = {kind: name for name, kind in TABLES.items()}
    for group in settings:
        lines += ["", f"[{kinds[type(group)]}]"]
        for name, about in descriptions(type(group)).items():
            lines += [f"# {line}" for line in _wrapped(about)]
            value = getattr(group, name)
            lines.append(f"# {name} =" if value is None else f"{name} = {toml_value(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def to_markdown(kind: type[Settings], columns: Mapping[str, Settings]) -> str:
    """A table of every setting of a kind: its default, its value in each column, and what it is.

    Args:
        kind: the settings' class.
        columns: heading to settings, a base's own first; what a column does not change is empty.
    """
    rows = [" | ".join(["| setting | default", *columns, "what it is |"])]
    rows.append("|---" * (len(columns) + 3) + "|")
    default = kind.resolve({})
    for name, about in descriptions(kind).items():
        cells, before = [_cell(default, name)], _cell(default, name)
        for number, settings in enumerate(columns.values()):
            text = _cell(settings, name)
            cells.append("" if text == before else text)
            before = text if number == 0 else before
        rows.append(" | ".join([f"| `{name}`", *cells, about.replace("|", "\\|") + " |"]))
    return "\n".join(rows) + "\n"


def _cell(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return "" if value is None else f"`{toml_value(value)}`"


def descriptions(kind: type[Settings]) -> dict[str, str]:
    """What each setting of a kind is, with the values that it may have."""
    schema = kind.model_json_schema()["properties"]
    return {
        name: f"{field.description} [{allowed}]"
        if (allowed := _allowed(schema[name]))
        else str(field.description)
        for name, field in kind.model_fields.items()
    }


def _allowed(schema: Mapping[str, Any]) -> str:
    """The values that a JSON schema allows, in words; empty where there is nothing to say."""
    if "anyOf" in schema:
        found = [_allowed(option) for option in schema["anyOf"] if option.get("type") != "null"]
        words = " or ".join(found) if all(found) else ""  # a kind without bounds: see the text
        is_optional = any(option.get("type") == "null" for option in schema["anyOf"])
        return ", ".join(part for part in (words, "may be left out" if is_optional else "") if part)
    if "enum" in schema:
        return ", ".join(toml_value(value) for value in schema["enum"])
    if "const" in schema:
        return toml_value(schema["const"])
    if schema.get("type") == "boolean":
        return "true or false"
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    lower = (
        f"at least {low:g}" if low is not None else f"above {above:g}" if above is not None else ""
    )
    upper = f"at most {high:g}" if high is not None else ""
    if below is not None and below < _HUGE:
        upper = f"below {below:g}"
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return ", ".join(part for part in (lower, upper) if part)


def toml_value(value: Any) -> str:
    """One value as TOML writes it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_toml_key(k)} = {toml_value(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def _toml_key(key: str) -> str:
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= _WIDTH:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
