"""How far a bench is, and how long it will take: by the pace of learning steps and of cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from setseq.bench.plan import Cell, Learning
from setseq.bench.work import Learned, Shown, Stepped


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a bench is.

    Attributes:
        learned: Learnings that are done, of ``learnings``.
        shown: Cells that are done, of ``cells``.
        share: Of the work of all that there is, as far as it can be foreseen, [0, 1].
        left_s: Seconds left at the pace so far; None before there is one.
        latest: What was just done, in plain words; empty where only time passed.
    """

    learned: int
    learnings: int
    shown: int
    cells: int
    share: float
    left_s: float | None
    latest: str = ""


OnProgress = Callable[[Progress], None]


@dataclass(kw_only=True)
class Tally:
    """Counts what is done and foresees the rest.

    Attributes:
        steps_each: Method to the steps of one of its learnings.
        processes: Learnings beside each other.
        learnings: Those that are not done yet.
        cells: Likewise.
        on_progress: Called after each event.
        num_learnings: All that there are, done or not.
        num_cells: Likewise.
    """

    steps_each: Mapping[str, int]
    processes: int
    learnings: set[Learning]
    cells: set[Cell]
    on_progress: OnProgress
    num_learnings: int
    num_cells: int
    _steps: dict[Learning, int] = field(default_factory=dict)
    _spent: list[float] = field(default_factory=lambda: [0.0, 0.0])  # learning, showing
    _counts: list[int] = field(default_factory=lambda: [0, 0])  # steps, cells

    def take(self, event: Stepped | Learned | Shown) -> None:
        """Counts one event and tells of it."""
        latest = ""
        if isinstance(event, Stepped):
            self._steps[event.learning] = self._steps.get(event.learning, 0) + event.steps
            self._add(0, event.steps, event.seconds)
        elif isinstance(event, Learned):
            self.learnings.discard(event.learning)
            if not event.again:
                latest = f"{event.learning.concept} by {event.learning.method} is learned"
        else:
            self.cells.discard(event.cell)
            self._add(1, 1, event.seconds)
        self.on_progress(self.state(latest))

    def state(self, latest: str = "") -> Progress:
        """How far it is now."""
        left_s = self._left_s()
        share = 0.0
        if left_s is not None:
            done_s = sum(self._spent)
            share = done_s / (done_s + left_s * self.processes) if left_s else 1.0
        return Progress(
            learned=self.num_learnings - len(self.learnings),
            learnings=self.num_learnings,
            shown=self.num_cells - len(self.cells),
            cells=self.num_cells,
            share=share,
            left_s=left_s,
            latest=latest,
        )

    def _add(self, kind: int, count: int, seconds: float) -> None:
        self._counts[kind] += count
        self._spent[kind] += seconds

    def _left_s(self) -> float | None:
        steps = sum(
            max(0, self.steps_each[each.method] - self._steps.get(each, 0))
            for each in self.learnings
        )
        left = 0.0
        for kind, count in enumerate((steps, len(self.cells))):
            if not count:
                continue
            if self._counts[kind]:
                left += count * self._spent[kind] / self._counts[kind]
            elif kind == 0:
                return None
        return left / self.processes
