from pathlib import Path

import pytest

from setseq import api
from tests.surface import LOOK, MOTION, make_base, make_clip


@pytest.fixture(scope="module")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def learned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    concept = api.learn(make_clip(folder / "clip.mp4"), look=LOOK, motion=MOTION, base=base)
    api.save_concept(concept, folder / "concept.safetensors")
    return folder / "concept.safetensors"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a good clip and several bad things in it."""
    monkeypatch.chdir(tmp_path)
    clip = make_clip(tmp_path / "clip.mp4").read_bytes()
    make_clip(tmp_path / "short.mp4", num_frames=2)
    (tmp_path / "cut.mp4").write_bytes(clip[: len(clip) // 2])
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "notes.txt").write_text("this is no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xff")
    return tmp_path
