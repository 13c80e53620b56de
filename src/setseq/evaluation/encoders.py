"""Pictures and words as vectors: transformers folders by model id, from the cache, or from disk.

Nothing is fetched unasked: the published ones are about 2 GB.
There is one path for all encoders: the toybox's own lie in folders of the same formats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.errors import EncoderError, PromptError
from setseq.toybox.shipped import asset

TOYBOX = "toybox"
CLIP_ID = "openai/clip-vit-large-patch14"
THINGS_ID = "facebook/dinov2-base"
_FILES = ["*.json", "*.txt", "*.safetensors"]
_BATCH = 32


def encoder_folder(source: str | Path, *, toybox: str, fetch: bool = False) -> Path:
    """Where an encoder lies.

    Args:
        source: "toybox", a folder, or a model id of the Hugging Face hub.
        toybox: The name of the toybox's own.
        fetch: Whether one that is not on this machine yet may be fetched.

    Raises:
        EncoderError: It is neither here nor to be had.
    """
    if source == TOYBOX:
        return asset(toybox)
    if Path(source).expanduser().is_dir():
        return Path(source).expanduser()
    if str(source).startswith((".", "~")) or Path(source).is_absolute():  # no model id does
        raise EncoderError(
            f"no encoder at {source}: there is no such folder; give the folder of a download, a"
            f" model id, or {TOYBOX!r}"
        )
    from huggingface_hub import snapshot_download

    for offline in (False, True) if fetch else (True,):  # online first: a cache may lack files
        try:
            return Path(
                snapshot_download(str(source), allow_patterns=_FILES, local_files_only=offline)
            )
        except (OSError, ValueError, RuntimeError):  # what the hub raises when it has not got it
            continue
    why = "cannot be fetched; " if fetch else "nothing is fetched unasked; add --fetch, or "
    raise EncoderError(
        f"no encoder {str(source)!r}: it is no folder, not in the cache, and {why}"
        f"give the folder of a download (`hf download {source} --local-dir FOLDER`), or {TOYBOX!r}"
    )


def _loaded(folder: Path, kinds: dict[str, Any]) -> dict[str, Any]:
    """Loads parts of a folder; what is damaged or of another kind is one line."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        return {name: load(folder) for name, load in kinds.items()}
    except Exception as error:  # the library raises whatever a damaged file leads it to
        line = " ".join(str(error).split())[:200] or type(error).__name__
        raise EncoderError(
            f"{folder} cannot be loaded as an encoder: {line}; download it again, or give another"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def _network(kind: Any, folder: Path, device: str) -> Any:
    network, info = kind.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    # Published ViTs, as DINO, have no pooler; nothing here reads a transformer's.
    if missing := sorted(k for k in info["missing_keys"] if not k.startswith("pooler.dense.")):
        raise ValueError(f"weights are missing, as {missing[0]!r}")
    return network.to(device).eval().requires_grad_(False)


def digest(network: torch.nn.Module) -> str:
    """SHA-256 of a network's weights, to tell an encoder from another of the same name."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.float().cpu().contiguous().numpy())
    return found.hexdigest()


@dataclass(frozen=True)
class ClipEncoder:
    """Pictures and words in one space, by any CLIPModel.

    Attributes:
        network: A CLIPModel.
        processor: Its image processor, which scales and crops.
        tokenizer: Its tokenizer.
    """

    network: Any
    processor: Any
    tokenizer: Any

    @torch.no_grad()
    def pictures(self, frames: np.ndarray) -> Tensor:
        """Unit vectors (f, d) of frames, uint8 (f, h, w, 3)."""
        rows = [
            self.network.visual_projection(self.network.vision_model(pixels).pooler_output)
            for pixels in _batches(self, frames)
        ]
        return F.normalize(torch.cat(rows), dim=1).cpu()

    @torch.no_grad()
    def words(self, prompts: Sequence[str]) -> Tensor:
        """Unit vectors (n, d) of prompts.

        Raises:
            PromptError: One is longer than the encoder reads, so that its end would not count.
        """
        tokens = self.tokenizer(list(prompts), padding=True, return_tensors="pt")
        longest = self.network.config.text_config.max_position_embeddings
        for prompt, mask in zip(prompts, tokens["attention_mask"], strict=True):
            if int(mask.sum()) > longest:
                raise PromptError(
                    f"the prompt {prompt[:40]!r}... is {int(mask.sum())} pieces long, this CLIP"
                    f" reads {longest}; measure with a shorter one, or without CLIP (none)"
                )
        known = {name: tokens[name].to(self.network.device) for name in _TEXT_INPUTS}
        found = self.network.text_projection(self.network.text_model(**known).pooler_output)
        return F.normalize(found, dim=1).cpu()


_TEXT_INPUTS = ("input_ids", "attention_mask")


@dataclass(frozen=True)
class ThingEncoder:
    """Pictures alone, by DINO, DINOv2 or any picture model that AutoModel knows.

    Attributes:
        network: The model.
        processor: Its image processor.
    """

    network: Any
    processor: Any

    @torch.no_grad()
    def pictures(self, frames: np.ndarray) -> Tensor:
        """Unit vectors (f, d) of frames, uint8 (f, h, w, 3).

        A transformer's is its class token, a convolutional network's its pooled map.
        """
        rows = []
        for pixels in _batches(self, frames):
            found = self.network(pixel_values=pixels)
            states = found.last_hidden_state
            rows.append(states[:, 0] if states.ndim == 3 else found.pooler_output.flatten(1))
        return F.normalize(torch.cat(rows), dim=1).cpu()


def _batches(encoder: ClipEncoder | ThingEncoder, frames: np.ndarray) -> list[Tensor]:
    """Frames as the image processor makes them, a few at a time, on the network's device."""
    return [
        encoder.processor(images=list(frames[start : start + _BATCH]), return_tensors="pt")[
            "pixel_values"
        ].to(encoder.network.device)
        for start in range(0, len(frames), _BATCH)
    ]


def load_clip_encoder(
    source: str | Path, *, device: str = "cpu", fetch: bool = False
) -> ClipEncoder:
    """Loads a CLIP.

    Args:
        source: "toybox", a folder, or a model id.
        device: Where it runs.
        fetch: As for ``encoder_folder``.

    Raises:
        EncoderError: It is missing or damaged.
    """
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    parts = _loaded(
        encoder_folder(source, toybox="clip", fetch=fetch),
        {
            "network": lambda folder: _network(CLIPModel, folder, device),
            "processor": AutoImageProcessor.from_pretrained,
            "tokenizer": AutoTokenizer.from_pretrained,
        },
    )
    return ClipEncoder(**parts)


def load_thing_encoder(
    source: str | Path, *, device: str = "cpu", fetch: bool = False
) -> ThingEncoder:
    """Loads an encoder for things that are not faces.

    Args:
        source: "toybox", a folder, or a model id.
        device: Where it runs.
        fetch: As for ``encoder_folder``.

    Raises:
        EncoderError: It is missing or damaged.
    """
    from transformers import AutoImageProcessor, AutoModel

    parts = _loaded(
        encoder_folder(source, toybox="identity", fetch=fetch),
        {
            "network": lambda folder: _network(AutoModel, folder, device),
            "processor": AutoImageProcessor.from_pretrained,
        },
    )
    return ThingEncoder(**parts)
