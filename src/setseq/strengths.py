"""Strengths that stay, or that change over the sampling steps or over the frames of a video."""

from dataclasses import dataclass
from typing import Literal

from setseq.errors import SettingsError

LIMIT = 4.0  # strengths lie in [-LIMIT, LIMIT]
_ALLOWED = (
    f"write a number from {-LIMIT:g} to {LIMIT:g}, or a schedule like '1.0 to 0.4' (over the"
    " sampling steps) or '1.0 to 0.4 over frames'"
)


@dataclass(frozen=True)
class Schedule:
    """A strength as a piecewise linear function of progress.

    Attributes:
        values: at least one; several are reached at equal distances, the first at the start.
        over: what progresses: the sampling steps, or the video's latent frames.
    """

    values: tuple[float, ...]
    over: Literal["steps", "frames"] = "steps"

    @property
    def is_constant(self) -> bool:
        """Whether it is one number in the end, that a plain LoRA can hold."""
        return len(set(self.values)) == 1

    def at(self, step: int, num_steps: int, frames: int) -> tuple[float, ...]:
        """The strengths during one sampling step: a single one, or one a latent frame.

        Args:
            step: number of the step, from 0; the last value is reached in the last step.
            num_steps: of the sampling, at least 1.
            frames: latent frames of the video, at least 1.
        """
        if self.is_constant:
            return self.values[:1]
        if self.over == "steps":
            return (self._value(step, num_steps),)
        return tuple(self._value(frame, frames) for frame in range(frames))

    def _value(self, place: int, count: int) -> float:
        """The value at a place of ``count`` equally spaced ones."""
        position = place / max(1, count - 1) * (len(self.values) - 1)
        left = min(int(position), len(self.values) - 1)
        right = min(left + 1, len(self.values) - 1)
        share = position - left
        return (1 - share) * self.values[left] + share * self.values[right]

    def __str__(self) -> str:
        text = " to ".join(map(str, self.values))
        return f"{text} over frames" if self.over == "frames" else text


def parse_strength(given: float | str) -> Schedule:
    """Read a strength: ``1``, ``"1.0 to 0.4"``, ``"0 to 1 to 0 over frames"``.

    Raises:
        ValueError: it is neither, with what is allowed; the settings make one line of it.
    """
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError(_ALLOWED)
    text, _, over = str(given).lower().partition(" over ")
    try:
        values = tuple(float(part) for part in text.split(" to "))
    except ValueError:
        raise ValueError(_ALLOWED) from None
    if not all(abs(value) <= LIMIT for value in values):  # nan is refused too
        raise ValueError(_ALLOWED)
    match over.strip():
        case "" | "steps":
            return Schedule(values)
        case "frames":
            return Schedule(values, "frames")
    raise ValueError(_ALLOWED)


def normal_strength(given: float | str) -> float | str:
    """The shortest form of a strength that means the same: a number where it is constant.

    Raises:
        ValueError: as ``parse_strength``.
    """
    schedule = parse_strength(given)
    return schedule.values[0] if schedule.is_constant else str(schedule)


def single_strength(name: str, given: float | str) -> float:
    """The number of a strength, for a file that can hold but one.

    Raises:
        SettingsError: it is a schedule, or no strength at all.
    """
    try:
        schedule = parse_strength(given)
    except ValueError as error:
        raise SettingsError(f"{name} strength is {given!r}; {error}") from None
    if not schedule.is_constant:
        raise SettingsError(
            f"{name} strength is {given!r}; a plain LoRA holds one number, not a schedule: export"
            " it once for each strength, or generate with `setseq generate`"
        )
    return schedule.values[0]
