"""Named sets of settings, one TOML file each, and the order in which settings win."""

import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from setseq.config import TABLES, Settings
from setseq.errors import SettingsError

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One named set of settings.

    Attributes:
        name: As it is asked for.
        about: What it is for, in a few words.
        tables: Table ("learn", "generate") to the values that it sets, whatever the base.
        scale: Table to factors of the base's own values: what fits every base.
        scene: Values of LearnSettings over these where several concepts are learned together.
    """

    name: str
    about: str
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scale: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scene: Mapping[str, Any] = field(default_factory=dict)

    def layer(self, kind: type[Settings], own: Settings) -> dict[str, Any]:
        """The values that it sets on a base whose settings of this kind are ``own``."""
        table = _table_of(kind)
        scaled = {k: _scaled(getattr(own, k), f) for k, f in self.scale.get(table, {}).items()}
        return {**scaled, **self.tables.get(table, {})}


def preset_names() -> list[str]:
    """The names of all presets, sorted."""
    files = importlib.resources.files(__name__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_preset(name: str) -> Preset:
    """Read a preset.

    Raises:
        SettingsError: There is none of that name.
    """
    if name not in preset_names():
        raise SettingsError(
            f"no preset is named {name!r}; there are {', '.join(preset_names())}, and a file of"
            " your own goes to --config"
        )
    text = importlib.resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    about, scale, scene = (content.pop(key, {}) for key in ("about", "scale", "scene"))
    return Preset(name=name, about=about, tables=content, scale=scale, scene=scene)


def layered(
    kind: type[S], base: Mapping[str, Any], preset: str | None, *later: Mapping[str, Any]
) -> S:
    """Settings from all layers: class defaults < base < preset < ``later``, in their order.

    Args:
        kind: One of the settings classes of ``TABLES``.
        base: The base model's own values.
        preset: A preset's name, or None.
        later: A settings file, then options; None means not given.

    Raises:
        SettingsError: An unknown preset or setting, or a value out of its range.
    """
    own = kind.resolve(base)
    chosen = {} if preset is None else load_preset(preset).layer(kind, own)
    return kind.resolve(base, chosen, *later)


def _table_of(kind: type[Settings]) -> str:
    return next(name for name, known in TABLES.items() if known is kind)


def _scaled(value: float, factor: float) -> float:
    """A count stays a count, and only what is switched off stays 0."""
    if isinstance(value, int):
        return max(1, round(value * factor)) if value else 0
    return value * factor
