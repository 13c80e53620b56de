"""A scene file: several concepts that are learned together, each from a clip of its own.

The file is TOML: a ``[[concept]]`` table for each clip, with tokens [v1] [u1], [v2] [u2] in their
order, an optional ``[scene]`` table of SceneSettings and an optional ``[learn]`` table of
LearnSettings. Paths are relative to the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from setseq.config import LearnSettings, Settings
from setseq.errors import PromptError, SetSeqError, SettingsError
from setseq.prompts import MAX_CONCEPTS, ConceptPrompt, concept_prompt, placeholders
from setseq.rewriting.scenery import split_scenery

_TABLES = ("[[concept]]", "[scene]", "[learn]")
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "clip": str,
    "look": str,
    "motion": str,
    "mask": str,
    "start": (int, float),
}
_REQUIRED = ("clip", "look", "motion")


class SceneSettings(Settings):
    """How concepts that are learned together are kept apart: by clips stitched from pairs."""

    stitched_share: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="of each step that sees stitched clips of all pairs; 0 for none",
    )
    background: Literal["auto", "keep", "mask", "difference", "rembg"] = Field(
        default="auto",
        description="of the stitched clips: kept, or removed by the concepts' masks, by difference"
        " from a still background, or by the rembg package; auto: by masks where all have one",
    )
    onto: Literal["each", "plain"] = Field(
        default="each",
        description="what subjects without backgrounds stand on: the background of either clip, in"
        " a stitched clip each, or grey",
    )


@dataclass(frozen=True, kw_only=True)
class SceneConcept:
    """One concept of a scene.

    Attributes:
        clip: a video file or a folder of images.
        prompt: its two parts, with the concept's own numbered tokens.
        mask: a mask video, white where the subject is; None for none.
        start_s: where the clip starts, in seconds.
    """

    clip: Path
    prompt: ConceptPrompt
    mask: Path | None = None
    start_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Several concepts that are learned together.

    Attributes:
        concepts: 2 to 6, in the order of their tokens.
        settings: of the stitched clips.
        learn: names of LearnSettings to values, over the base's and a preset's.
    """

    concepts: tuple[SceneConcept, ...]
    settings: SceneSettings = field(default_factory=SceneSettings)
    learn: Mapping[str, Any] = field(default_factory=dict)


def read_scene(path: Path) -> Scene:
    """Read a scene file and check all of it but the clips themselves.

    Raises:
        SettingsError: it is missing or no TOML, or a table or a key is wrong; the message names
            it.
        PromptError: a prompt lacks its token, or has that of another concept.
    """
    content = _toml(path)
    for name in content:
        if name not in ("concept", "scene", "learn"):
            raise SettingsError(f"{path} has {name!r}; allowed are the tables {_listed(_TABLES)}")
    entries = content.get("concept", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(f"{path}: concept is no list of tables; write [[concept]] before each")
    if not 2 <= len(entries) <= MAX_CONCEPTS:
        raise SettingsError(
            f"{path} has {len(entries)} [[concept]] tables; a scene has 2 to {MAX_CONCEPTS}"
            " (`setseq learn CLIP` learns a single clip)"
        )
    concepts = tuple(_concept(path, number, entry) for number, entry in enumerate(entries, 1))
    settings = SceneSettings.model_validate({})
    for name, kind in (("scene", SceneSettings), ("learn", LearnSettings)):
        try:
            found = kind.model_validate(content.get(name, {}))
        except SetSeqError as error:
            raise SettingsError(f"{path}, table [{name}]: {error}") from None
        settings = found if isinstance(found, SceneSettings) else settings
    if settings.background == "mask":
        for number, concept in enumerate(concepts, 1):
            if concept.mask is None:
                raise SettingsError(
                    f"{path}, table [scene]: background is 'mask', but [[concept]] {number} has"
                    " no mask; give every concept one, or use 'difference' or 'keep'"
                )
    return Scene(concepts=concepts, settings=settings, learn=content.get("learn", {}))


def side_by_side(
    left: ConceptPrompt, right: ConceptPrompt, *, scenery: str | None = None
) -> ConceptPrompt:
    """The prompt of a clip that shows two: both looks, then both motions, with their sides.

    Args:
        left: of the one on the left.
        right: of the one on the right.
        scenery: where both are, in place of what either look says of it, as "in a meadow"; None
            leaves each its own.
    """
    looks, motions = (
        [text.rstrip(" .!?,;:") for text in texts]
        for texts in ((left.look, right.look), (left.motion, right.motion))
    )
    if scenery is not None:
        looks = [split_scenery(look)[0] for look in looks]
    where = f" {scenery}" if scenery else ""
    return ConceptPrompt(
        look=f"{looks[0]} on the left and {looks[1]} on the right{where}",
        motion=f"on the left {motions[0]} and on the right {motions[1]}.",
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"no scene file at {path}; check the path") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}; correct it") from error


def _concept(path: Path, number: int, entry: Mapping[str, Any]) -> SceneConcept:
    place = f"{path}, [[concept]] {number}"
    for key, value in entry.items():
        if key not in _KEYS:
            raise SettingsError(f"{place}: unknown key {key!r}; allowed are {_listed(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool) or value == "":
            wanted = "a text in quotes" if _KEYS[key] is str else "a number of seconds"
            raise SettingsError(f"{place}: key {key!r} is {value!r}; give {wanted}")
    for key in _REQUIRED:
        if key not in entry:
            raise SettingsError(f"{place}: key {key!r} is missing; each concept needs {key}")
    start_s = float(entry.get("start", 0.0))
    if not 0 <= start_s < float("inf"):
        raise SettingsError(f"{place}: key 'start' is {start_s:g}; give seconds, at least 0")
    for key, letter in (("look", "v"), ("motion", "u")):
        others = {f"{letter}{k}" for k in range(1, MAX_CONCEPTS + 1)} - {f"{letter}{number}"}
        if taken := [name for name in placeholders(entry[key]) if name in others]:
            raise PromptError(
                f"{place}: key {key!r} has [{taken[0]}], the token of concept {taken[0][1:]};"
                f" this one's is [{letter}{number}]"
            )
    try:
        prompt = concept_prompt(entry["look"], entry["motion"], number=number)
    except PromptError as error:
        raise PromptError(f"{place}: {error}") from None
    return SceneConcept(
        clip=path.parent / entry["clip"],
        prompt=prompt,
        mask=path.parent / entry["mask"] if "mask" in entry else None,
        start_s=start_s,
    )


def _listed(names: Mapping[str, Any] | tuple[str, ...]) -> str:
    return ", ".join(names)
