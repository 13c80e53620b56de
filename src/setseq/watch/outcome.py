"""What the choice of a step came to, as the report shows it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from setseq.evaluation.report import Table
from setseq.evaluation.tradeoff import Check, best


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a selection came to, for the report.

    Attributes:
        checks: All that were measured.
        steps: Of the stage.
        warnings: One line each.
    """

    checks: Sequence[Check] = ()
    steps: int = 0
    warnings: Sequence[str] = ()

    def curves(self) -> dict[str, list[float]]:
        """What was measured, by step; NaN where there was no check."""
        found = {name: [math.nan] * self.steps for name in ("score", "reconstruction", "adherence")}
        for check in self.checks:
            for name, values in found.items():
                values[check.step - 1] = getattr(check, name)
        return found if self.checks else {}

    def tables(self) -> tuple[Table, ...]:
        """A row for each check, the kept one marked."""
        if not self.checks:
            return ()
        kept = best(self.checks)
        return (
            Table(
                title="Which step was kept",
                headings=("step of Sequence", "reconstruction", "adherence", "score"),
                rows=tuple(
                    (
                        f"{check.step}{' (kept)' if check == kept else ''}",
                        *(f"{v:.3f}" for v in (check.reconstruction, check.adherence, check.score)),
                    )
                    for check in self.checks
                ),
                about="Reconstruction: how much of the base's own error is gone. Adherence: how"
                " much of the base's own edits is there. Score: their harmonic mean.",
            ),
        )
