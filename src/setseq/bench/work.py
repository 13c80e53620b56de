"""One learning of a bench and its cells: learn once, show every edit, measure, keep each file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from setseq.bench.devices import device_name, load_base, shown_at_once
from setseq.bench.eyes import measure, opened
from setseq.bench.folder import Folder, read_json, write_json
from setseq.bench.memory import PeakMemory
from setseq.bench.metrics import WAYS
from setseq.bench.plan import Case, Cell, Learning, Plan
from setseq.bench.registry import Methods
from setseq.bench.results import NOT_NOTED
from setseq.bench.settings import EncoderChoice
from setseq.concept import Concept
from setseq.config import GenerateSettings, LearnSettings
from setseq.evaluation.footage import Footage
from setseq.evaluation.measure import Asked, Encoders
from setseq.formats.native import load_concept, save_concept
from setseq.learning import fitted_clip, training_clip
from setseq.models.base import VideoModel
from setseq.presets import layered
from setseq.prompts import check_prompt, without_tokens
from setseq.sampling import sampled_frames, with_concept
from setseq.training.loop import StepReport
from setseq.training.stages import TrainingClip
from setseq.video.encode import write_video
from setseq.video.io import read_clip
from setseq.video.views import FittedClip


@dataclass(frozen=True)
class Stepped:
    """Steps of a learning that were done, and the seconds that they took."""

    learning: Learning
    steps: int
    seconds: float


@dataclass(frozen=True)
class Learned:
    """A learning that is done; ``again`` where its file was there already."""

    learning: Learning
    seconds: float | None
    again: bool = False


@dataclass(frozen=True)
class Shown:
    """A cell that is done, and the seconds that it took."""

    cell: Cell
    seconds: float


Tell = Callable[[Stepped | Learned | Shown], None]


@dataclass(kw_only=True, eq=False)
class Bench:
    """What one process needs to do learnings: a model, eyes, methods.

    Attributes:
        plan: What there is to do.
        folder: Where it goes.
        model: The base.
        encoders: What measures.
        methods: What learns.
        processes: How many work beside each other, for the record.
    """

    plan: Plan
    folder: Folder
    model: VideoModel
    encoders: Encoders
    methods: Methods
    processes: int = 1
    _clips: dict[str, FittedClip] = field(default_factory=dict)
    _is_warm: bool = False

    def clip(self, concept: str) -> FittedClip:
        """A concept's clip, as the base sees it."""
        if concept not in self._clips:
            case = self.plan.cases[concept]
            self._clips[concept] = fitted_clip(self.model, case.clip, start_s=case.start_s)
        return self._clips[concept]

    def learn_settings(self, learning: Learning) -> LearnSettings:
        """All layers together: base, preset, those of all methods, those of this one.

        Raises:
            SettingsError: A setting cannot be used.
        """
        settings = self.plan.settings
        own = settings.method.get(learning.method, {})
        seed = {"seed": learning.training_seed}
        defaults = self.model.defaults.learn
        layers = (settings.learn, own, seed)
        return layered(LearnSettings, defaults, settings.preset or None, *layers)

    def num_steps(self, learning: Learning) -> int:
        """Steps of one learning, both stages together."""
        method = self.methods.known[learning.method]
        return sum(method.steps_of(self.learn_settings(learning)))

    def generate_settings(self, method: str, seed: int) -> GenerateSettings:
        """Likewise, of the sampling: what the method itself decides comes last."""
        settings, defaults = self.plan.settings, self.model.defaults.generate
        layers = (settings.generate, self.methods.known[method].generate, {"seed": seed})
        return layered(GenerateSettings, defaults, settings.preset or None, *layers)

    def do(self, learning: Learning, tell: Tell) -> None:
        """Does what is not there yet of a learning and its cells.

        Raises:
            SetSeqError: It cannot be learned or shown, or Ctrl-C.
        """
        cells = [c for c in self.plan.cells(learning) if not self.folder.cell(c).exists()]
        unseen = self.folder.unseen(cells)
        concept = None
        if unseen or not self.folder.record(learning).exists():
            concept = self._concept(learning, tell)
        for cell in cells:
            if cell not in unseen:
                self._measure([cell], time.perf_counter(), NOT_NOTED, tell)
        if concept is not None:
            self._show(concept, unseen, tell)

    def _show(self, concept: Concept, cells: Sequence[Cell], tell: Tell) -> None:
        """Makes the videos of some cells of one learning, and measures them."""
        with with_concept(self.model, concept) as injection:
            for some in self._together(cells):
                begun = time.perf_counter()
                learning = some[0].learning
                case, clip = self.plan.cases[learning.concept], self.clip(learning.concept)
                settings = self.generate_settings(learning.method, some[0].seed)
                words = concept.provenance.words
                texts = [check_prompt(case.text(cell.edit), words) for cell in some]
                videos = sampled_frames(
                    self.model, texts, settings, injection=injection, at_once=len(some)
                )
                for cell, frames in zip(some, videos, strict=True):
                    write_video(self.folder.video(cell), frames, fps=clip.fps)
                self._measure(some, begun, device_name(self.model.device), tell)

    def _measure(self, cells: Sequence[Cell], begun: float, device: str, tell: Tell) -> None:
        """Measures the videos as their files show them, so that it can be done again at any time.

        Args:
            cells: Whose videos are there.
            begun: When the work on these cells began.
            device: What the videos were made on.
            tell: Is told of each.
        """
        for cell in cells:
            case, clip = self.plan.cases[cell.learning.concept], self.clip(cell.learning.concept)
            frames = read_clip(self.folder.video(cell)).frames
            row = measure(
                self.encoders,
                Footage(frames=clip.frames, fps=clip.fps),
                Footage(frames=frames, fps=clip.fps),
                self._asked(case, cell),
            )
            write_json(self.folder.cell(cell), {"device": device, **row})
        for cell in cells:
            tell(Shown(cell, (time.perf_counter() - begun) / len(cells)))

    def _together(self, cells: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
        """Cells that are sampled together: of one seed, in their order."""
        for seed in dict.fromkeys(cell.seed for cell in cells):
            own = [cell for cell in cells if cell.seed == seed]
            settings = self.generate_settings(own[0].learning.method, seed)
            count = shown_at_once(self.model, settings)
            yield from (own[start : start + count] for start in range(0, len(own), count))

    def _asked(self, case: Case, cell: Cell) -> Asked:
        if cell.edit is None:
            return Asked(prompt=case.text(None))
        wanted = self.plan.settings.edit[cell.edit].wanted
        return Asked(prompt=case.text(cell.edit), source=case.text(None), attributes=wanted)

    def _concept(self, learning: Learning, tell: Tell) -> Concept:
        path = self.folder.concept(learning)
        if self.folder.is_learned(learning):
            concept = load_concept(path)
            tell(Learned(learning, None, again=True))
            return concept
        concept, record = self._learn(learning, tell)
        write_json(self.folder.record(learning), record)
        save_concept(concept, path)
        for rest in (self.folder.checkpoint(learning), self.folder.stopped(learning)):
            rest.unlink(missing_ok=True)
        tell(Learned(learning, record["duration_s"]))
        return concept

    def _learn(self, learning: Learning, tell: Tell) -> tuple[Concept, dict[str, Any]]:
        """Learns a concept, or goes on from its checkpoint.

        Returns:
            The concept, and its record: settings; device; seconds, over all runs that it took, or
            None where a run was cut off or they had several devices; most bytes, or None there and
            where the system does not say.
        """
        checkpoint, settings = self.folder.checkpoint(learning), self.learn_settings(learning)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        self._warm_up(learning.concept)
        before = self._taken_before(learning)
        pace, memory = _Pace(learning, tell), PeakMemory(self.model.device)
        device = device_name(self.model.device)
        is_one = before["device"] in (None, device)
        # Of a CPU what it worked, which other programs beside it do not change.
        clock = time.process_time if self.model.device.type == "cpu" else time.perf_counter
        begun = clock()

        def on_prior(done: int, total: int) -> None:  # is made once, for all
            nonlocal begun
            begun = clock()

        def taken() -> dict[str, Any]:
            spent, peak = before["duration_s"], memory.read()
            peaks = [value for value in (peak, before["peak_bytes"]) if value is not None]
            if spent is not None:
                spent += clock() - begun
            return {
                "duration_s": spent if is_one else None,
                "peak_bytes": max(peaks, default=None) if is_one else None,
                "device": device if is_one else f"{before['device']}, then {device}",
            }

        try:
            concept = self.methods.learn(
                self.methods.known[learning.method],
                self.model,
                [self._training_clip(learning.concept, settings)],
                settings,
                checkpoint=checkpoint,
                on_prior=on_prior,
                on_step=pace.step,
            )
        except BaseException:
            if checkpoint.exists():
                with contextlib.suppress(OSError):
                    write_json(self.folder.stopped(learning), taken())
            raise
        about = {
            "method": self.methods.known[learning.method].digest,
            "threads": torch.get_num_threads(),
            "processes": self.processes,
            "way": self._way(learning.method, concept),
        }
        return concept, {**taken(), **about, "settings": settings.model_dump(mode="json")}

    def _way(self, method: str, concept: Concept) -> dict[str, Any]:
        """How it was learned and is shown, as far as methods differ in it; plain values."""
        learned = concept.provenance.settings
        shown = self.generate_settings(method, 0)
        estimates = concept.self_conditioning is not None or self.model.self_conditioned
        return {
            **{name: learned[name] for name in WAYS if name in learned},
            "shown_with_estimates": shown.self_conditioning and estimates,
        }

    def _warm_up(self, concept: str) -> None:
        """Loads what is loaded late, so that the first learning of a process does not pay for it.

        Networks are read when they are first needed, and the judge then looks at many renders.
        """
        if self._is_warm:
            return
        clip, prompt = self.clip(concept), self.plan.cases[concept].text(None)
        self.model.encode_video(clip.pixels)
        self.model.encode_prompts([without_tokens(prompt)])
        self.model.denoiser.eval()
        own = Footage(frames=clip.frames, fps=clip.fps)
        measure(self.encoders, own, own, Asked(prompt=prompt))
        self._is_warm = True

    def _taken_before(self, learning: Learning) -> dict[str, Any]:
        """What earlier runs of a learning took; unknown where one left no word."""
        note = self.folder.stopped(learning)
        if not self.folder.checkpoint(learning).exists():
            return {"duration_s": 0.0, "peak_bytes": None, "device": None}
        if not note.exists():
            return {"duration_s": None, "peak_bytes": None, "device": NOT_NOTED}
        found = read_json(note)
        note.unlink()  # should this run be cut off, the sum would be wrong
        return {name: found.get(name) for name in ("duration_s", "peak_bytes", "device")}

    def _training_clip(self, concept: str, settings: LearnSettings) -> TrainingClip:
        case, clip = self.plan.cases[concept], self.clip(concept)
        if settings.frame_dense:
            clip = fitted_clip(self.model, case.clip, start_s=case.start_s, dense=True)
        return training_clip(self.model, clip, case.prompt, mask=case.mask)


class _Pace:
    """Tells of steps about once a second, not of each."""

    def __init__(self, learning: Learning, tell: Tell) -> None:
        self._learning, self._tell = learning, tell
        self._steps, self._since = 0, time.perf_counter()

    def step(self, report: StepReport) -> None:
        self._steps += 1
        now = time.perf_counter()
        if now - self._since >= 1 or report.step == report.steps:
            self._tell(Stepped(self._learning, self._steps, now - self._since))
            self._steps, self._since = 0, now


def open_bench(
    plan: Plan, folder: Folder, choice: EncoderChoice, methods: Methods, *, processes: int
) -> Bench:
    """Loads the base and the encoders of one process."""
    encoders, _ = opened(choice)
    return Bench(
        plan=plan,
        folder=folder,
        model=load_base(plan.settings),
        encoders=encoders,
        methods=methods,
        processes=processes,
    )
