from pathlib import Path

import pytest

from tests.bench import fake
from tests.surface import make_base, make_clip


@pytest.fixture(scope="session")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tiny_folder, tmp_path_factory.mktemp("bench-base") / "tiny")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("bench-clip") / "square.mp4")


@pytest.fixture
def calls() -> list[tuple[str, int]]:
    fake.CALLS.clear()
    return fake.CALLS
