"""The trade-off of a concept while it is learned: its clip given back, other prompts obeyed.

Both sides are shares of what the base model does by itself, so that neither depends on the scale of
an encoder, nor on which other steps were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST_FALL = 0.02  # our choice, not measured: of adherence, less warns of nothing


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured on some videos of the own prompts and of held-out ones.

    Attributes:
        mse: Mean over the own prompts' videos, against their clips.
        margins: Edit margin of each held-out prompt, mean over its videos.
    """

    mse: float
    margins: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One step's place in the trade-off.

    Attributes:
        step: Steps of the stage done.
        reconstruction: How much of the base's own error is gone, [0, 1].
        adherence: How much of the base's own edits is there, [0, 1].
    """

    step: int
    reconstruction: float
    adherence: float

    @property
    def score(self) -> float:
        """Harmonic mean of both, [0, 1]: neither makes up for the lack of the other."""
        both = self.reconstruction + self.adherence
        return 2 * self.reconstruction * self.adherence / both if both else 0.0


def visible(base: Measured) -> tuple[bool, ...]:
    """Which held-out prompts can be judged: those whose edits CLIP sees in the base's videos."""
    return tuple(margin > 0 for margin in base.margins)


def placed(step: int, measured: Measured, base: Measured) -> Check:
    """Where a step stands.

    Definition: reconstruction is 1 less the MSE over that of the base alone under the same words;
    adherence is the mean edit margin over that of the base alone, of the prompts that are
    ``visible``; both are cut to [0, 1].
    Source: our choice; the trade-off is that of the paper's Tables 1 and 2, arXiv:2502.14844.
    Blind to: what MSE and C-T are blind to; identity in the held-out scenes.

    Args:
        step: Steps of the stage done.
        measured: With the concept as it is at that step.
        base: Without it, tokens left out; an MSE above 0, and at least one visible prompt.
    """
    seen = visible(base)
    margins = [
        sum(m for m, is_seen in zip(each.margins, seen, strict=True) if is_seen)
        for each in (measured, base)
    ]
    return Check(
        step=step,
        reconstruction=_cut(1 - measured.mse / base.mse),
        adherence=_cut(margins[0] / margins[1]),
    )


def best(checks: Sequence[Check]) -> Check:
    """The one of the highest score; of equal ones the earliest, which has learned least by heart.

    Args:
        checks: At least one. Where all score 0, nothing tells them apart, and it is the last.
    """
    if not any(check.score for check in checks):
        return max(checks, key=lambda check: check.step)
    return max(checks, key=lambda check: (check.score, -check.step))


def overfitting(checks: Sequence[Check]) -> Check | None:
    """Where the concept begins to be learned by heart, at the cost of the prompts.

    Definition: the check of the best adherence so far, once adherence was lower by 0.02 at least,
    and reconstruction higher, at two checks in a row (one may be chance), or at one where nothing
    is left of adherence.
    Source: our choice.

    Returns:
        That check, None where there is no overfitting.
    """
    most, in_a_row = None, 0
    for check in checks:
        if most is None or check.adherence >= most.adherence:
            most, in_a_row = check, 0
            continue
        is_lower = check.adherence <= most.adherence - LEAST_FALL
        is_worse = is_lower and check.reconstruction > most.reconstruction
        in_a_row = in_a_row + 1 if is_worse else 0
        if in_a_row == 2 or (is_worse and check.adherence == 0):
            return most
    return None


def check_steps(steps: int, count: int) -> tuple[int, ...]:
    """The steps of a stage that are checked: evenly spaced, its end among them.

    Args:
        steps: Of the stage, at least 0.
        count: Checks, at least 1.
    """
    found = {round(steps * k / count) for k in range(1, count + 1)}
    return tuple(sorted(found - {0}))


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
