"""Videos of the prior on disk, each file named by the hash of all that decides its content."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from setseq.errors import TrainingError
from setseq.outputs import write_bytes

_FORMAT = "setseq-prior-1"


def cache_folder() -> Path:
    """Where files go that can be made again: SETSEQ_CACHE, or ``setseq`` in the user's cache."""
    if own := os.environ.get("SETSEQ_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "setseq"


def prior_folder() -> Path:
    """Where the prior's videos are kept."""
    return cache_folder() / "prior"


def cached_frames(about: Mapping[str, Any], make: Callable[[], Tensor]) -> Tensor:
    """Videos as they lie in the cache, or made and put there.

    Args:
        about: all that decides them, plain JSON values: "base", "prompts", "seeds" and so on.
        make: makes them, uint8 (n, f, h, w, 3).

    Raises:
        TrainingError: the file is damaged, or is about something else: another base, say.
        OutputError: it cannot be written.
    """
    text = json.dumps(about, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()
    path = prior_folder() / f"{name}.safetensors"
    if path.exists():
        return _read(path, json.loads(text))
    frames = make()
    write_bytes(path, save({"frames": frames.contiguous()}, {"format": _FORMAT, "about": text}))
    return frames


def _read(path: Path, about: Mapping[str, Any]) -> Tensor:
    way_out = "delete it, and it is made anew"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata, frames = file.metadata() or {}, file.get_tensor("frames")
        found = json.loads(metadata["about"])
        known = metadata["format"] == _FORMAT and isinstance(found, dict)
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(f"the prior's file {path} is damaged; {way_out}") from error
    if not known or frames.dtype != torch.uint8 or frames.ndim != 5:
        raise TrainingError(f"the prior's file {path} is of another kind; {way_out}")
    for name in sorted(found.keys() | about.keys()):
        if found.get(name) != about.get(name):
            was, now = (str(one.get(name))[:60] for one in (found, about))
            raise TrainingError(
                f"the prior's file {path} was made with {name} {was}, wanted is {now}; {way_out}"
            )
    return frames
