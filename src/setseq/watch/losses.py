"""The losses of every step, in a file of one JSON object a line that survives a stop."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from setseq.errors import OutputError
from setseq.outputs import write_bytes
from setseq.training.loop import StepReport

WHOLE = "all"  # the curve that the optimizer follows, where a stage has several parts


class LossLog:
    """Losses by stage and part; a learning that goes on goes on in the same file."""

    def __init__(self, path: Path, *, resumed: bool) -> None:
        """A log that goes on where a stopped learning does, or starts anew."""
        self.path = path
        self.records = read_losses(path) if resumed else []
        self._is_begun = False

    def add(self, report: StepReport) -> None:
        """Write one step down.

        Raises:
            OutputError: it cannot be written.
        """
        if not self._is_begun:
            self._begin(report)
        record = {
            "stage": report.stage,
            "step": report.step,
            "steps": report.steps,
            "loss": report.loss,
            "gradient_norm": report.gradient_norm,
            "losses": dict(report.losses),
        }
        self.records.append(record)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror or error}); free some space or"
                " check the rights, and run the same command again"
            ) from error

    def steps_before(self, stage: str) -> int:
        """Steps of all stages that ran before one."""
        return sum({r["stage"]: r["steps"] for r in self.records if r["stage"] != stage}.values())

    def curves(self) -> dict[str, dict[str, list[float]]]:
        """Stage to part to its loss at each step; NaN where a step had nothing of a part."""
        stages = list(dict.fromkeys(record["stage"] for record in self.records))
        return {
            stage: _curves([r for r in self.records if r["stage"] == stage]) for stage in stages
        }

    def _begin(self, first: StepReport) -> None:
        """Keep of an older file what came before this step; the rest will be learned again."""
        self._is_begun = True
        self.records = _before(first, self.records)
        lines = [json.dumps(record) + "\n" for record in self.records]
        write_bytes(self.path, "".join(lines).encode())


def read_losses(path: Path) -> list[dict[str, Any]]:
    """The records of a log, in their order; a last line that was cut off is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _before(first: StepReport, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What ran before a step: the stages before its own, and smaller steps of its own."""
    stages = list(dict.fromkeys(record["stage"] for record in records))
    earlier = stages[: stages.index(first.stage)] if first.stage in stages else stages
    return [
        record
        for record in records
        if record["stage"] in earlier
        or (record["stage"] == first.stage and record["step"] < first.step)
    ]


def _curves(records: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    length = max(record["step"] for record in records)
    parts = list(dict.fromkeys(part for record in records for part in record["losses"]))
    curves = {part: [math.nan] * length for part in ([WHOLE, *parts] if len(parts) > 1 else parts)}
    for record in records:
        for part, value in record["losses"].items():
            curves[part][record["step"] - 1] = value
        if len(parts) > 1:
            curves[WHOLE][record["step"] - 1] = record["loss"]
    return curves
