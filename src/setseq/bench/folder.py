"""A bench's folder: what lies where, what is done, and that nothing of another bench gets in."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from setseq.bench.plan import OWN, Case, Cell, Learning, Plan
from setseq.errors import BenchError
from setseq.outputs import check_folder, write_bytes
from setseq.version import __version__

FORMAT = 1
_PARTS = _REFERENCES, _CONCEPTS, _VIDEOS, _CELLS = "references", "concepts", "videos", "cells"
# What may differ from run to run: cells of more methods and seeds lie beside the others.
_MAY_GROW = {"methods", "seeds", "training_seeds", "reference"}
# The manifest has the hash of each clip, a learning's record the settings of its method.
_BY_CONTENT = {"concept", "method"}
# A bench may go on on another device; what that must not change is in the manifest's formats.
_OF_THE_MACHINE = {"hardware"}


@dataclass(frozen=True)
class Folder:
    """The places of a bench. A file that is there is whole, and never made again."""

    root: Path

    @property
    def manifest(self) -> Path:
        """What the bench is about."""
        return self.root / "manifest.json"

    @property
    def results(self) -> Path:
        """All numbers."""
        return self.root / "results.json"

    @property
    def tables(self) -> Path:
        """The tables as Markdown."""
        return self.root / "tables.md"

    @property
    def report(self) -> Path:
        """The page of tables and plots."""
        return self.root / "report.html"

    @property
    def gallery(self) -> Path:
        """The page of videos."""
        return self.root / "gallery.html"

    def owns(self, path: Path) -> bool:
        """Whether a path is a place of the bench itself, where nothing else is to be written."""
        root, place = self.root.resolve(), path.resolve()
        own = (self.manifest, self.results, self.tables, self.report, self.gallery)
        if place in [each.resolve() for each in own]:
            return True
        return place.is_relative_to(root) and place.relative_to(root).parts[0] in _PARTS

    def reference(self, concept: str) -> Path:
        """A concept's clip, as the base sees it."""
        return self.root / _REFERENCES / f"{concept}.mp4"

    def concept(self, learning: Learning) -> Path:
        """A learned concept's file."""
        name = f"{learning.concept}{_suffix(learning)}.safetensors"
        return self.root / _CONCEPTS / learning.method / name

    def record(self, learning: Learning) -> Path:
        """Time and memory of a learning."""
        return self.concept(learning).with_suffix(".json")

    def checkpoint(self, learning: Learning) -> Path:
        """The state of a learning that is under way."""
        return self.concept(learning).with_suffix(".checkpoint")

    def stopped(self, learning: Learning) -> Path:
        """What a stopped learning took so far."""
        return self.concept(learning).with_suffix(".stopped.json")

    def video(self, cell: Cell) -> Path:
        """A cell's video: ``videos/METHOD/CONCEPT/EDIT-SEED.mp4``, EDIT a number or "own"."""
        return self._of(cell, _VIDEOS, "mp4")

    def cell(self, cell: Cell) -> Path:
        """A cell's numbers."""
        return self._of(cell, _CELLS, "json")

    def unseen(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of some cells that have neither numbers nor a video that could be measured."""
        return [c for c in cells if not (self.cell(c).exists() or self.video(c).exists())]

    def is_learned(self, learning: Learning) -> bool:
        """Whether a concept and its record are there."""
        return self.concept(learning).exists() and self.record(learning).exists()

    def check_learned(self, learning: Learning, settings: Mapping[str, Any], digest: str) -> None:
        """Make sure that what is learned was learned with these settings, by this very method.

        Raises:
            BenchError: It was learned with others, or by another of the name.
        """
        if not self.record(learning).exists():
            return
        record = read_json(self.record(learning))
        if record.get("method") != digest:
            raise BenchError(
                f"{self.concept(learning)} was learned by another {learning.method} than this"
                f" package's; give a new folder, or delete {self.root}/*/{learning.method}"
            )
        found = record.get("settings", {})
        for name, value in settings.items():
            if found.get(name) != value:
                raise BenchError(
                    f"{self.concept(learning)} was learned with {name} {found.get(name)!r}, now"
                    f" it is {value!r}; go back to that, give a new folder, or delete"
                    f" {self.root}/*/{learning.method}"
                )

    def _of(self, cell: Cell, kind: str, suffix: str) -> Path:
        learning, edit = cell.learning, OWN if cell.edit is None else cell.edit
        name = f"{edit}-{cell.seed}{_suffix(learning)}.{suffix}"
        return self.root / kind / learning.method / learning.concept / name


def _suffix(learning: Learning) -> str:
    """Nothing for training seed 0, as most benches have it alone."""
    return f".t{learning.training_seed}" if learning.training_seed else ""


def make_manifest(
    plan: Plan,
    *,
    titles: Mapping[str, str],
    clips: Mapping[str, str],
    fingerprint: str,
    formats: Mapping[str, str],
    encoders: Mapping[str, str],
    fps: float,
    quick: bool,
) -> dict[str, Any]:
    """What a bench is about, plain JSON values.

    Args:
        plan: What there is to do.
        titles: Method to its title.
        clips: Concept to the hash of its clip and mask.
        fingerprint: Of the base.
        formats: Numbers that the base computes in (``devices.formats_of``).
        encoders: What is measured with what; "none" is left out.
        fps: Frames a second of the videos.
        quick: Whether the settings were made small.
    """
    settings = plan.settings
    values = settings.model_dump(mode="json")
    concepts = {name: _about(case, clips[name]) for name, case in plan.cases.items()}
    fixed = {k: v for k, v in values.items() if k not in _MAY_GROW | _BY_CONTENT | _OF_THE_MACHINE}
    about = json.dumps([fixed, concepts], sort_keys=True)
    return {
        "format": FORMAT,
        "version": __version__,
        "base": settings.base,
        "fingerprint": fingerprint,
        "settings_hash": hashlib.sha256(about.encode()).hexdigest(),
        "formats": dict(formats),
        "encoders": dict(encoders),
        "packages": {name: _version(name) for name in ("torch", "diffusers", "transformers")},
        "quick": quick,
        "use": settings.use,
        "fps": fps,
        "methods": {name: titles[name] for name in settings.methods},
        "reference": settings.reference,
        "concepts": concepts,
        "edits": [{"name": edit.name, "prompt": edit.prompt} for edit in settings.edit],
        "seeds": list(settings.seeds),
        "training_seeds": list(settings.training_seeds),
        "settings": values,
    }


def _version(package: str) -> str:
    with contextlib.suppress(PackageNotFoundError):
        return version(package)
    return "not installed"


def _about(case: Case, sha256: str) -> dict[str, Any]:
    """What the manifest says of a concept."""
    return {
        "look": case.prompt.look,
        "motion": case.prompt.motion,
        "clip": case.clip.name,
        "sha256": sha256,
        "start_s": case.start_s,
        "prompts": list(case.edits),
    }


def open_folder(root: Path, manifest: Mapping[str, Any]) -> Folder:
    """A folder to put a bench into, new or of the very same bench.

    Raises:
        BenchError: It holds another bench, or other files.
        OutputError: It cannot be written to.
    """
    folder = Folder(check_folder(root))
    if folder.manifest.exists():
        _check_same(folder, read_json(folder.manifest), manifest)
    elif any(root.iterdir()):
        raise BenchError(f"{root} holds other files and no manifest.json; give a new folder")
    write_json(folder.manifest, manifest)
    return folder


def _check_same(folder: Folder, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    root = folder.root
    if found.get("format") != wanted["format"]:
        raise BenchError(
            f"{root} has bench format {found.get('format')!r}, this package writes"
            f" {wanted['format']}; give a new folder"
        )
    for name, what, way_out in (
        ("version", "package version", "install that version, or give a new folder"),
        ("fingerprint", "base weights", "name that base, or give a new folder"),
        ("settings_hash", "settings", "go back to them, or give a new folder"),
    ):
        if found.get(name) != wanted[name]:
            was, now = str(found.get(name))[:12], str(wanted[name])[:12]
            raise BenchError(
                f"{root} was made with {what} {was}, now they are {now}, and cells of two benches"
                f" cannot be compared; {way_out}"
            )
    if found.get("formats") != wanted["formats"]:
        raise BenchError(
            f"{root} was computed in {_listed(found.get('formats'))}, now it is"
            f" {_listed(wanted['formats'])}; set weights in [hardware] as they were and"
            " use a machine of that precision, or give a new folder"
        )
    if found.get("encoders") != wanted["encoders"] and (root / _CELLS).exists():
        raise BenchError(
            f"{root} was measured by {_listed(found.get('encoders'))}, now there are"
            f" {_listed(wanted['encoders'])}; delete {root / _CELLS} to measure all videos again"
            " (nothing is learned or shown again), or give a new folder"
        )


def _listed(encoders: Any) -> str:
    if not isinstance(encoders, Mapping):
        return "nothing"
    return ", ".join(f"{name} {source}" for name, source in encoders.items())


def write_json(path: Path, content: Any) -> None:
    """Write plain values, beside the place first and then renamed."""
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read what ``write_json`` wrote.

    Raises:
        BenchError: The file is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchError(f"{path} is damaged ({error}); delete it and run again") from error
    if not isinstance(found, dict):
        raise BenchError(f"{path} is damaged (no table of values); delete it and run again")
    return found
