"""Learnings of which the best step is kept, with checks that come out as they are told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from setseq import api
from setseq.concept import Concept
from setseq.evaluation.tradeoff import Measured
from setseq.models.base import VideoModel
from setseq.watch.run import Watch
from tests.surface import LOOK, MOTION

PARTS = ("basis", "identity", "motion", "tokens")
BASE = Measured(mse=0.1, margins=(0.1, 0.1))
# Reconstruction and adherence of four checks; the third is the best.
HEALTHY = ((0.3, 0.6), (0.5, 0.7), (0.7, 0.8), (0.4, 0.8))
OVERFIT = ((0.3, 0.9), (0.6, 0.8), (0.7, 0.5), (0.8, 0.3))


def watching(
    folder: Path,
    run: Path,
    *,
    on_note: Callable[[str], None] = lambda line: None,
    on_check: Callable[[int, int], None] = lambda done, total: None,
    **settings: Any,
) -> Watch:
    best = {"select": "best", "clip_model": str(folder / "encoder"), "tracker": "none"}
    given = {**best, "select_checks": 4, **settings}
    return Watch(run, settings=given, on_note=on_note, on_check=on_check)


def learning(base: VideoModel, folder: Path, watch: Watch | None = None, **given: Any) -> Concept:
    settings = {"sequence_steps": 8, **given.pop("settings", {})}
    return api.learn(
        folder / "clip.mp4",
        look=LOOK,
        motion=MOTION,
        base=base,
        settings=settings,
        on_start=watch.start if watch else lambda started: None,
        on_step=given.pop("on_step", watch.step if watch else lambda report: None),
        **given,
    )


def equal(one: Concept, other: Concept) -> bool:
    return all(
        getattr(one, part).keys() == getattr(other, part).keys()
        and all(torch.equal(v, getattr(other, part)[k]) for k, v in getattr(one, part).items())
        for part in PARTS
    )
