"""Which step's concept to keep: some steps of the Sequence stage, measured on held-out prompts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from setseq.concept import Concept
from setseq.config import GenerateSettings, WatchSettings
from setseq.errors import EncoderError, SettingsError, TrainingError
from setseq.evaluation.choice import natural_encoder
from setseq.evaluation.encoders import ClipEncoder, load_clip_encoder
from setseq.evaluation.footage import Footage
from setseq.evaluation.heldout import HeldOut, measure_held_out
from setseq.evaluation.tradeoff import (
    Check,
    Measured,
    best,
    check_steps,
    overfitting,
    placed,
    visible,
)
from setseq.formats.native import load_concept, save_concept
from setseq.learning import Started
from setseq.outputs import write_bytes
from setseq.prompts import filled, without_tokens
from setseq.rewriting.rewrite import rewrite
from setseq.training.checkpoint import first_difference
from setseq.training.loop import StepReport
from setseq.watch.outcome import Outcome

STAGE = "sequence"
SCORES = "scores.json"
FORMAT = "setseq-candidates-2"
_STEPS = 12  # our choice: sampling steps of a check, at most; the result's own where they are fewer
_SEEDS = 2  # our choice: start noises of each prompt of a check


def forget(folder: Path) -> None:
    """Leave older candidates as mere concept files, which no other learning takes over."""
    (folder / SCORES).unlink(missing_ok=True)


class Selection:
    """Candidates of one learning: a concept file for each check, and scores.json beside them.

    It changes nothing of the learning: the videos' noise has seeds of its own.
    """

    def __init__(
        self,
        folder: Path,
        started: Started,
        settings: WatchSettings,
        sampling: GenerateSettings,
        *,
        words: Mapping[str, str],
        fetch: bool = False,
        on_note: Callable[[str], None] = lambda line: None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Get ready: what the base does by itself is measured, or read where the learning goes on.

        Args:
            folder: Of the candidates.
            started: What the learning is about; its model carries no concept yet.
            settings: The edits, the number of checks, and the CLIP.
            sampling: Of the result; a check takes at most 12 of its steps, at full strengths.
            words: Placeholder to word.
            fetch: Fetch the CLIP where it is not on this machine.
            on_note: Called with a line for the user.
            on_progress: Called with sampling steps of a check done and in all.

        Raises:
            SettingsError: There is nothing to choose from, or nothing to choose by.
            EncoderError: There is no CLIP.
            TrainingError: The candidates that are there are of another learning, or were measured
                otherwise.
        """
        steps = started.settings.sequence_steps
        _check_settings(settings, steps)
        self.folder, self.started, self.words = folder, started, words
        self.on_note, self.on_progress = on_note, on_progress
        self.due = check_steps(steps, settings.select_checks)
        self.clip, clip_name = _clip(started, settings, fetch=fetch)
        self.sampling = sampling.model_copy(
            update={"num_steps": min(_STEPS, sampling.num_steps), "identity": 1.0, "motion": 1.0}
        )
        self.seeds = tuple(range(sampling.seed, sampling.seed + _SEEDS))
        self.asked = _asked(started, settings)
        self._about = self._described(clip_name)
        self.checks: list[Check] = []
        self.spent_s = 0.0  # of all measuring in this run
        self._is_begun = False
        self.base = self._begin()

    def _described(self, clip_name: str) -> dict[str, Any]:
        """What the candidates are of, and what they are measured by."""
        return {
            "learning": self.started.run(),
            "clip model": clip_name,
            "prompts": [prompt for each in self.asked for prompt in (each.own, *each.edits)],
            "sampling": self.sampling.model_dump(),
            "seeds": list(self.seeds),
        }

    def _begin(self) -> Measured:
        """What the base does by itself, as it was measured before where the learning goes on."""
        if self.started.resumed and self._path.exists():
            return self._read()
        self._clear()
        base = self._measure(without_tokens)
        self._check_visible(base)
        self._write(base)
        return base

    def step(self, report: StepReport) -> None:
        """Measure the concept as it is, where a check is due; to be called after every step.

        Raises:
            OutputError: A candidate cannot be written.
        """
        if not self._is_begun:  # what was measured beyond the checkpoint is measured again
            self._is_begun = True
            before = report.step if report.stage == STAGE else 0
            self.checks = [check for check in self.checks if check.step < before]
        if report.stage != STAGE or report.step not in self.due or report.concept is None:
            return
        concept = report.concept()
        origin = concept.provenance
        marked = {**origin.settings, "kept_step": report.step}
        concept = replace(concept, provenance=replace(origin, settings=marked))
        save_concept(concept, self._file(report.step))
        measured = self._measure(lambda prompt: filled(prompt, self.words))
        warned = self.warnings()
        self.checks.append(placed(report.step, measured, self.base))
        self._write(self.base)
        self.on_note(f"checked {self._said(self.checks[-1])}")
        for warning in self.warnings()[len(warned) :]:
            self.on_note(f"WARNING: {warning}")

    def choose(self, last: Concept) -> Concept:
        """The concept of the step with the best trade-off.

        Args:
            last: That of the last step: kept where no step was checked, as when a learning without
                checks had ended and goes on.
        """
        if not self.checks:
            self.on_note("no step was checked, so the last one is kept")
            return last
        kept = best(self.checks)
        self.on_note(f"kept: {self._said(kept)}")
        return load_concept(self._file(kept.step))

    def warnings(self) -> tuple[str, ...]:
        """What the checks so far warn of, a line each."""
        turn = overfitting(self.checks)
        if turn is None:
            return ()
        return (
            f"overfitting after step {turn.step} of {self.started.settings.sequence_steps} of"
            " Sequence: other prompts are followed less than then, while the clip is given back"
            " better; fewer steps, more dropout or a prior help",
        )

    def outcome(self) -> Outcome:
        """All of it, for the report."""
        steps = self.started.settings.sequence_steps
        return Outcome(checks=tuple(self.checks), steps=steps, warnings=self.warnings())

    @property
    def _path(self) -> Path:
        return self.folder / SCORES

    def _file(self, step: int) -> Path:
        digits = len(str(self.started.settings.sequence_steps))
        return self.folder / f"{STAGE}-{step:0{digits}d}.safetensors"

    def _said(self, check: Check) -> str:
        return (
            f"step {check.step} of {self.started.settings.sequence_steps} of Sequence:"
            f" reconstruction {check.reconstruction:.3f}, adherence {check.adherence:.3f},"
            f" score {check.score:.3f}"
        )

    def _measure(self, read: Callable[[str], str]) -> Measured:
        begun = time.perf_counter()
        measured = measure_held_out(
            self.started.model,
            self.asked,
            self.clip,
            self.sampling,
            seeds=self.seeds,
            read=read,
            on_step=self.on_progress,
        )
        self.spent_s += time.perf_counter() - begun
        return measured

    def _check_visible(self, base: Measured) -> None:
        if not any(visible(base)):
            edits = [edit for each in self.asked for edit in each.edits]
            raise SettingsError(
                f"select is 'best', but CLIP sees none of the edits in what the base makes of them"
                f" by itself, as {edits[0]!r} (margin {base.margins[0]:.4f}); give other"
                " edits in [watch], another --clip-model, or select last"
            )

    def _clear(self) -> None:
        for path in (self._path, *self.folder.glob(f"{STAGE}-*.safetensors")):
            path.unlink(missing_ok=True)

    def _write(self, base: Measured) -> None:
        content = {
            "format": FORMAT,
            "about": self._about,
            "base": asdict(base),
            "checks": [{**asdict(check), "score": check.score} for check in self.checks],
        }
        write_bytes(self._path, (json.dumps(content, indent=1) + "\n").encode())

    def _read(self) -> Measured:
        """The checks of the stopped learning, and what the base does by itself."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            is_known, about = content["format"] == FORMAT, content["about"]
            base = Measured(
                mse=float(content["base"]["mse"]), margins=tuple(content["base"]["margins"])
            )
            names = ("step", "reconstruction", "adherence")
            self.checks = [Check(**{k: row[k] for k in names}) for row in content["checks"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self._path} is damaged; start anew with --no-resume") from error
        way_out = f"move {self.folder} away to go on without them, or start anew with --no-resume"
        if not is_known:
            raise TrainingError(f"{self._path} is of another package version; {way_out}")
        if difference := first_difference(about, json.loads(json.dumps(self._about))):
            raise TrainingError(
                f"{self._path}: the candidates are of another learning, or were measured otherwise,"
                f" so that they cannot be compared: {difference}; go back to what it was,"
                f" {way_out}"
            )
        return base


def _check_settings(settings: WatchSettings, steps: int) -> None:
    if not settings.edits:
        raise SettingsError(
            "select is 'best', which holds prompts against edits, and edits in [watch] is empty;"
            " give at least one, or select last"
        )
    if steps == 0:
        raise SettingsError(
            "select is 'best', which chooses among steps of Sequence, and sequence_steps is 0;"
            " give some, or select last"
        )


def _clip(started: Started, settings: WatchSettings, *, fetch: bool) -> tuple[ClipEncoder, str]:
    """The CLIP, and where it is from."""
    model = started.model
    source = settings.clip_model or natural_encoder(model.id, "clip")
    try:
        return load_clip_encoder(source, device=str(model.device), fetch=fetch), source
    except EncoderError as error:
        raise EncoderError(
            f"select is 'best', and how prompts are followed is measured with a CLIP: {error}, with"
            " --clip-model; or select last"
        ) from error


def _asked(started: Started, settings: WatchSettings) -> list[HeldOut]:
    fps = started.model.geometry.fps
    return [
        HeldOut(
            reference=Footage(frames=clip.frames, fps=fps),
            own=prompt.full,
            edits=tuple(rewrite(prompt, edit).prompt for edit in settings.edits),
        )
        for clip, prompt in zip(started.clips, started.prompts, strict=True)
    ]
