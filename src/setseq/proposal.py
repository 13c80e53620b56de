"""Which settings of the hardware fit a card: tried from the fastest to the most thrifty."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from setseq.config import HardwareSettings, LearnSettings
from setseq.footprint import Footprint, Size, encoding_bytes, predict
from setseq.precision import Precision
from setseq.settings_file import toml_value

# From fast and exact to slow or coarse (our choice). Quantized before offloaded: the same step in a
# little more time, and not many gigabytes over the bus in each.
_LADDER: tuple[dict[str, Any], ...] = (
    {"weights": "bf16"},
    {"weights": "bf16", "gradient_checkpointing": True},
    {"weights": "int8", "gradient_checkpointing": True},
    {"weights": "nf4", "gradient_checkpointing": True},
    {"weights": "bf16", "gradient_checkpointing": True, "offload": True},
)
# Of the encoding, which is over when the denoiser is read: each only where it is needed.
_ENCODING: tuple[dict[str, Any], ...] = (
    {},
    {"tiled_autoencoder": True},
    {"text_on_cpu": True},
    {"tiled_autoencoder": True, "text_on_cpu": True},
)


_WORDS = {
    "gradient_checkpointing": "checkpointing",
    "tiled_autoencoder": "tiles",
    "text_on_cpu": "text on the CPU",
}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to hold a base, and what it is predicted to take.

    Attributes:
        hardware: names of HardwareSettings to values.
        footprint: of learning so.
        fits: whether that is within the card's memory.
    """

    hardware: dict[str, Any]
    footprint: Footprint
    fits: bool

    @property
    def name(self) -> str:
        """The settings in a few words."""
        words = [_WORDS.get(key, key) for key, value in self.hardware.items() if value is True]
        return ", ".join([self.hardware["weights"], *words])

    @property
    def line(self) -> str:
        """The settings as a table of a settings file, in one line."""
        return f"hardware = {toml_value(self.hardware)}"


class Ladder:
    """The ways to hold a base from the fastest on; what was predicted serves every card."""

    def __init__(
        self,
        base: str | Path,
        settings: LearnSettings,
        *,
        size: Size | None = None,
        precision: Precision = "bf16",
    ) -> None:
        """Predict nothing yet.

        Args:
            base: as for ``footprint.predict``.
            settings: of the learning.
            size: of the clip; None is the base's own.
            precision: that the networks compute in.
        """
        self._step = cache(
            lambda place: predict(
                base,
                settings,
                HardwareSettings.model_validate(_LADDER[place]),
                size=size or Size(),
                precision=precision,
                encoding=0,
            )
        )
        self._encoding = cache(
            lambda place: encoding_bytes(
                base,
                settings,
                HardwareSettings.model_validate({"weights": "bf16", **_ENCODING[place]}),
                size or Size(),
            )
        )

    def options(self, memory_gb: float) -> Iterator[Option]:
        """The ways, each with those settings for encoding alone that it needs to fit.

        Args:
            memory_gb: of the card, in 10^9 bytes.

        Raises:
            SetSeqError: the base is unknown, or makes no such clip.
        """
        limit = memory_gb * 1e9
        for place, step in enumerate(_LADDER):
            found = self._step(place)
            more: dict[str, Any] = {}
            for number, chosen in enumerate(_ENCODING):
                more, found = chosen, self._step(place).with_encoding(self._encoding(number))
                if found.on_card <= limit or self._step(place).on_card > limit:
                    break
            yield Option(hardware={**step, **more}, footprint=found, fits=found.on_card <= limit)

    def proposed(self, memory_gb: float) -> Option | None:
        """The first way that fits, None where none does."""
        return next((option for option in self.options(memory_gb) if option.fits), None)

    def least(self) -> int:
        """Bytes of the smallest card that any of the ways fits."""
        encoding = min(self._encoding(place) for place in range(len(_ENCODING)))
        steps = (self._step(place) for place in range(len(_LADDER)))
        return min(step.with_encoding(encoding).on_card for step in steps)
