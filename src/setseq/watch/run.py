"""One learning, watched from its start to its report, in a folder of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from setseq.concept import Concept
from setseq.config import GenerateSettings, WatchSettings
from setseq.errors import SettingsError
from setseq.learning import Started
from setseq.presets import layered
from setseq.prompts import check_prompt, choose_words, filled, shown_prompt
from setseq.training.learn import probability
from setseq.training.loop import StepReport
from setseq.watch.losses import LossLog
from setseq.watch.outcome import Outcome
from setseq.watch.previews import Previews
from setseq.watch.results import (
    Results,
    Scene,
    default_scenes,
    write_results,
)
from setseq.watch.selection import Selection, forget
from setseq.watch.trackers import Name, Tracker, chosen_tracker


class Watch:
    """Writes losses, previews and a report of one learning into a folder; changes nothing of it.

    To be used as ``with Watch(folder) as watch: concept = learn(..., on_start=watch.start,
    on_step=watch.step)``, and then ``concept = watch.choose(concept)``, ``watch.report(concept)``.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        settings: Mapping[str, Any] | None = None,
        preset: str | None = None,
        sampling: Mapping[str, Any] | None = None,
        fetch: bool = False,
        on_note: Callable[[str], None] = lambda line: None,
        on_check: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """A watch that begins with ``start``.

        Args:
            folder: Where everything goes; made where it is missing.
            settings: Names of WatchSettings to values.
            preset: As for ``api.generate``: of previews and report.
            sampling: Names of GenerateSettings to values, likewise.
            fetch: Fetch the CLIP that chooses the best step, where it is not on this machine.
            on_note: Called with a line for the user: what was measured, warnings.
            on_check: Called with sampling steps done and in all, of each check for the best step.

        Raises:
            SettingsError: A setting cannot be used, or a tracker is not installed.
        """
        self.folder = Path(folder)
        self.settings = WatchSettings.resolve(settings or {})
        self._preset, self._sampling = preset, dict(sampling or {})
        self._fetch, self._on_note, self._on_check = fetch, on_note, on_check
        layered(GenerateSettings, {}, preset, self._sampling)
        self._tracker_name: Name | None = chosen_tracker(self.settings.tracker)
        self._tracker: Tracker | None = None
        self._started: Started | None = None
        self._selection: Selection | None = None

    def __enter__(self) -> Watch:
        """The watch itself; ``start`` begins."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the tracker write what it holds."""
        if self._tracker is not None:
            self._tracker.finish()

    def start(self, started: Started) -> None:
        """Get ready; to be given to ``learn`` as ``on_start``.

        Raises:
            PromptError: The preview prompt or an edit cannot be used.
            SetSeqError: The best step is to be kept, and it cannot be told which it is.
        """
        self._started, self._begun = started, time.perf_counter()
        self.losses = LossLog(self.folder / "losses.jsonl", resumed=started.resumed)
        words = choose_words(
            started.settings.token_mode,
            concepts=len(started.clips),
            words=started.settings.words,
        )
        self._scenes = default_scenes(started.prompts, self.settings)
        for shown in self._scenes:  # before the learning, not in the report after it
            check_prompt(shown.prompt, words)
        model = started.model
        own = {
            shown_prompt(p.full, len(started.prompts)): filled(p.full, words)
            for p in started.prompts
        }
        if scene := self.settings.preview_prompt:
            own[scene] = check_prompt(scene, words)
        fed = probability(model, started.settings) > 0
        defaults = {**model.defaults.generate, "self_conditioning": fed}
        self.sampling = layered(GenerateSettings, defaults, self._preset, self._sampling)
        self._previews = Previews(
            model=model,
            prompts=own,
            settings=self.sampling,
            every=self.settings.preview_every,
            folder=self.folder / "previews",
        )
        candidates = self.folder / "candidates"
        if self.settings.select == "best":
            self._selection = Selection(
                candidates,
                started,
                self.settings,
                self.sampling,
                words=words,
                fetch=self._fetch,
                on_note=self._on_note,
                on_progress=self._on_check,
            )
        elif not started.resumed:
            forget(candidates)
        if not started.resumed:  # else the first step says where it goes on
            self._open_tracker(started, first_step=1)

    def step(self, report: StepReport) -> None:
        """Write a step down, and preview it where one is due; to be given as ``on_step``."""
        self.losses.add(report)
        preview = self._previews.write(report) if self._previews.is_due(report) else None
        if self._selection is not None:
            self._selection.step(report)
        self._track(report, self.losses.steps_before(report.stage) + report.step, preview)

    @property
    def checking_s(self) -> float:
        """Seconds that the checks for the best step took in this run, which are no learning."""
        return 0.0 if self._selection is None else self._selection.spent_s

    def choose(self, concept: Concept) -> Concept:
        """The concept to keep: the last step's, as given, or the best where the settings say so."""
        return concept if self._selection is None else self._selection.choose(concept)

    def report(
        self,
        concept: Concept,
        *,
        title: str = "",
        scenes: Sequence[Scene] = (),
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Path:
        """Generate the clips' own scenes and others, and write them with all else into a page.

        Args:
            concept: What was learned.
            title: Of the page; there is one without.
            scenes: What to show it in; where there is none, the settings' edits of its own prompts.
            on_progress: Called with sampling steps done and in all.

        Returns:
            The page, report.html in the folder.

        Raises:
            SetSeqError: A scene cannot be used, or a file not be written.
        """
        if self._started is None:
            raise SettingsError("there is nothing to report: the learning has not started")
        return write_results(
            self.folder,
            Results(
                started=self._started,
                concept=concept,
                curves=self.losses.curves(),
                learning_s=time.perf_counter() - self._begun - self.checking_s,
                checking_s=self.checking_s,
                watch=self.settings,
                sampling=self.sampling,
                outcome=Outcome() if self._selection is None else self._selection.outcome(),
            ),
            title=title or _title(len(self._started.clips)),
            scenes=scenes or self._scenes,
            on_progress=on_progress,
        )

    def _open_tracker(self, started: Started, *, first_step: int) -> None:
        if self._tracker_name is not None and self._tracker is None:
            settings = started.settings.model_dump()
            self._tracker = Tracker(
                self._tracker_name, self.folder, settings, first_step=first_step
            )

    def _track(self, report: StepReport, step: int, preview: Path | None) -> None:
        if self._started is not None:
            self._open_tracker(self._started, first_step=step)
        if self._tracker is None:
            return
        values = {"loss": report.loss, "gradient norm": report.gradient_norm, **report.losses}
        self._tracker.log({f"{report.stage}/{k}": v for k, v in values.items()}, step=step)
        if preview is not None:
            self._tracker.show(np.asarray(Image.open(preview)), step=step)


def _title(clips: int) -> str:
    return (
        "A concept, learned from one clip" if clips == 1 else f"{clips} concepts, learned together"
    )
