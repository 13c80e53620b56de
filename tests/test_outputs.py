"""Files appear whole or not at all, and where they cannot, the advice fits the reason."""

import errno
import os
from pathlib import Path

import pytest

from setseq.errors import OutputError
from setseq.outputs import write_bytes


def test_missing_folders_are_made(tmp_path: Path):
    path = tmp_path / "new" / "deeper" / "file"
    write_bytes(path, b"content")
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_renamed_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    write_bytes(tmp_path / "file", b"content")
    assert synced == [7]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left on device.*; free some space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_no_question_of_space(tmp_path: Path):
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="check the path and its rights") as caught:
        write_bytes(tmp_path / "taken" / "file", b"content")
    assert "space" not in str(caught.value)
