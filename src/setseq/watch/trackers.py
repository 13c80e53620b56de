"""Where losses go besides the run's own file: accelerate's trackers, where they are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from setseq.errors import SettingsError

if TYPE_CHECKING:
    from accelerate.tracking import TensorBoardTracker, WandBTracker

Wanted = Literal["auto", "tensorboard", "wandb", "none"]
Name = Literal["tensorboard", "wandb"]
_PACKAGES: Mapping[Name, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
}


def chosen_tracker(wanted: Wanted) -> Name | None:
    """The tracker that a setting asks for, checked to be installed; None for none.

    Raises:
        SettingsError: It was asked for by its name and is not there.
    """
    if wanted == "none":
        return None
    name: Name = "tensorboard" if wanted == "auto" else wanted
    if any(importlib.util.find_spec(package) for package in _PACKAGES[name]):
        return name
    if wanted == "auto":
        return None
    raise SettingsError(
        f"the tracker {name} is not installed; run `pip install {name}`, or choose another with"
        " --tracker"
    )


class Tracker:
    """A run in a tracker."""

    def __init__(
        self, name: Name, folder: Path, settings: Mapping[str, Any], *, first_step: int
    ) -> None:
        """Start it.

        Args:
            name: Which, installed.
            folder: Of the run; local files go below it.
            settings: Of the learning.
            first_step: Where it starts or goes on; what TensorBoard has beyond is hidden.

        Raises:
            SettingsError: It cannot start; the message says why.
        """
        from accelerate import PartialState

        PartialState()  # accelerate's trackers ask it which process they are in
        self._inner = _tensorboard(folder, first_step) if name == "tensorboard" else _wandb(folder)
        try:
            self._inner.start()
            self._inner.store_init_configuration(_simple(settings))
        except Exception as error:  # whatever a network or a login leads the services to
            reason = " ".join(str(error).split()) or type(error).__name__
            raise SettingsError(
                f"the tracker {name} cannot start: {reason[:200]}; correct that, or choose another"
                " with --tracker"
            ) from error

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers of one step."""
        self._inner.log(dict(values), step=step)

    def show(self, picture: np.ndarray, *, step: int) -> None:
        """A picture, uint8 (h, w, 3)."""
        if self._inner.name == "tensorboard":
            self._inner.log_images({"preview": picture[None]}, step=step, dataformats="NHWC")
        else:
            self._inner.log_images({"preview": [picture]}, step=step)

    def finish(self) -> None:
        """Write what it still holds."""
        self._inner.finish()


def _tensorboard(folder: Path, first_step: int) -> TensorBoardTracker:
    from accelerate.tracking import TensorBoardTracker

    return TensorBoardTracker("tensorboard", folder, purge_step=first_step)


def _wandb(folder: Path) -> WandBTracker:
    from accelerate.tracking import WandBTracker

    return WandBTracker("setseq", name=folder.stem, dir=str(folder))


def _simple(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as trackers take them: numbers, words and switches; the rest as text."""
    return {k: v if isinstance(v, int | float | str) else str(v) for k, v in values.items()}
