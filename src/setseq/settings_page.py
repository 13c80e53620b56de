"""Every setting on one page: of a base and a preset as TOML, of all presets as Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setseq.config import TABLES
from setseq.models.base import BaseDefaults
from setseq.models.registry import TOYBOX, base_defaults
from setseq.presets import layered, load_preset, preset_names
from setseq.scene import SceneSettings
from setseq.settings_file import to_markdown, to_toml
from setseq.version import __version__

_INTRODUCTION = """\
# Settings

Every setting, its values, and what it is. This page is printed by `setseq settings --markdown`.

A setting comes from the last of these layers that gives it:

1. the default of its class,
2. the base model's own: the tables of `setseq.json` in its folder,
3. the preset: `--preset NAME`,
4. the settings file: `--config FILE`,
5. the options of the command.

```sh
setseq settings --preset fast > my.toml        # every setting, with what it is as a comment
setseq learn dancer.mp4 --config my.toml --look "a [v] creature" --motion "it is [u] dancing"
```

A settings file may leave out whatever it does not change; a name that is unknown is an error.
In Python, the same layers are `setseq.learn(..., preset="fast", settings={"rank": 4})`.

## Presets

"""

_PRESETS = """
`paper` gives figures of its own, whatever the base. The others are factors of the base's own
figures, and switches that fit every base: a rate or a rank fits one base and no other. The tables
show the toybox; an empty cell is the base's value, or else the default.

A scene of n concepts (`setseq learn scene.toml`) has (n + 1) / 2 times the `sequence_steps` of
the tables, unless a settings file or the scene gives them. Under `paper` it has 2000, the lower
end of the paper's 2,000 to 2,500 for several concepts; for athletic motion, which has as many
there, give them yourself.
"""

_SCENE = """
## [scene]

In a scene file (`setseq learn scene.toml`, [composition.md](composition.md)), not in a settings
file: how concepts that are learned together are kept apart.

"""


def toml(base: str | Path, preset: str | None, tables: Mapping[str, Mapping[str, Any]]) -> str:
    """All settings as they would be used, as the text of a settings file.

    Args:
        base: A base's name or folder; only its own settings are read.
        preset: A preset's name, or None.
        tables: Those of a settings file, over base and preset.

    Raises:
        SetSeqError: The base, the preset or a setting cannot be used.
    """
    own = base_defaults(base)
    chosen = [
        layered(kind, _table(own, name), preset, tables.get(name, {}))
        for name, kind in TABLES.items()
    ]
    name = "no preset" if preset is None else f"the preset {preset}"
    title = f"Settings of setseq {__version__} for the base {base}, {name}: for --config FILE."
    return to_toml(chosen, title=f"{title}\nWhat is deleted here is the base's or preset's again.")


def markdown() -> str:
    """The page docs/settings.md: every setting, under every preset, on the toybox."""
    own = base_defaults(TOYBOX)
    presets = [load_preset(name) for name in preset_names()]
    text = _INTRODUCTION + "".join(f"- `{p.name}`: {p.about}\n" for p in presets)
    text += _PRESETS
    for name, kind in TABLES.items():
        layer = _table(own, name)
        changed = {p.name: layered(kind, layer, p.name) for p in presets}
        text += f"\n## [{name}]\n\n{(kind.__doc__ or '').splitlines()[0]}\n\n"
        text += to_markdown(kind, {TOYBOX: kind.resolve(layer), **changed} if layer else {})
    return text + _SCENE + to_markdown(SceneSettings, {})


def _table(own: BaseDefaults, name: str) -> Mapping[str, Any]:
    return {"learn": own.learn, "generate": own.generate}.get(name, {})
