"""Tiny models that all tests share."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from tests.tiny import save_tiny_pipeline

# The tests are the same on every machine: they see no GPU, and nor does what they start. Those of
# tests/gpu are the exception (`make test-gpu`).
if os.environ.get("SETSEQ_TEST_GPU", "cpu") == "cpu":
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}
# In a shell's background Ctrl-C is ignored, and so it would be by every command that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples on every machine, however busy it is.
settings.register_profile("setseq", deadline=None, derandomize=True)
settings.load_profile("setseq")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random Wan pipeline; read it, do not change it."""
    return save_tiny_pipeline(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def tiny_model(tiny_folder: Path) -> VideoModel:
    """A fresh tiny random Wan model."""
    return load_model(tiny_folder)
