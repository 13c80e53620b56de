from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from setseq.evaluation.tradeoff import Measured
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.watch import selection
from tests.evaluation.tiny_encoders import save_tiny_clip
from tests.surface import make_base, make_clip
from tests.watch.selecting import BASE


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a base, a clip, and a CLIP."""
    found = tmp_path_factory.mktemp("base")
    make_base(tiny_folder, found / "tiny")
    make_clip(found / "clip.mp4", num_frames=6)
    save_tiny_clip(found / "encoder")
    return found


@pytest.fixture(scope="module")
def base(folder: Path) -> VideoModel:
    return load_model(folder / "tiny")


@pytest.fixture
def fabricated(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets checks come out as it is told, and counts how often the base itself was measured."""

    def tell(pairs: Sequence[tuple[float, float]]) -> list[str]:
        measured: list[str] = []
        coming: Iterator[Measured] = (
            Measured(mse=0.1 * (1 - r), margins=(0.1 * a, 0.1 * a)) for r, a in pairs
        )

        def measure(*_: object, read: Any, **__: object) -> Measured:
            of_base = "zor" not in read("a [v1] character")
            measured.append("base" if of_base else "concept")
            return BASE if of_base else next(coming)

        monkeypatch.setattr(selection, "measure_held_out", measure)
        return measured

    return tell
