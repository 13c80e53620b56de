"""From a name or a folder to a model: the one place where strings become classes."""

import importlib
import importlib.resources
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from setseq.errors import BaseModelError
from setseq.models.base import BaseDefaults, Geometry, VideoModel

TOYBOX = "toybox"
CARD = "setseq.json"
_WAN_COMPONENTS = ("transformer", "text_encoder", "tokenizer", "vae", "scheduler")
_CLASSES = {  # class name in model_index.json to its module: nothing else is ever imported
    "WanTransformer3DModel": "diffusers.models.transformers.transformer_wan",
    "UMT5EncoderModel": "transformers",
    "AutoencoderKLWan": "diffusers.models.autoencoders.autoencoder_kl_wan",
    "ToyAutoencoder": "setseq.toybox.autoencoder",
    "FlowMatchEulerDiscreteScheduler": "diffusers.schedulers.scheduling_flow_match_euler_discrete",
    "UniPCMultistepScheduler": "diffusers.schedulers.scheduling_unipc_multistep",
}


class BaseCard(BaseModel):
    """What a pipeline folder does not say by itself: an optional ``setseq.json`` in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default="", description="short name; the folder's name when empty")
    fps: float = Field(default=16, gt=0, description="frames a second")
    width: int = Field(default=832, gt=0, description="pixels")
    height: int = Field(default=480, gt=0, description="pixels")
    num_frames: int = Field(default=81, gt=0, description="default length of a video")
    learn: dict[str, Any] = Field(default_factory=dict, description="defaults of LearnSettings")
    generate: dict[str, Any] = Field(default_factory=dict, description="of GenerateSettings")


def load_model(
    base: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> VideoModel:
    """Load a base model.

    Args:
        base: "toybox", the model inside the package, or a local diffusers pipeline folder.
        device: where its networks go.
        dtype: of its weights.

    Raises:
        BaseModelError: the folder is missing, incomplete, damaged, or of an unknown kind.
    """
    folder = _folder(base)
    index = _read_index(folder)
    if index.get("_class_name") != "WanPipeline":
        raise BaseModelError(
            f"{folder} holds a {index.get('_class_name')}; known pipelines: WanPipeline"
        )
    if index.get("boundary_ratio") is not None:
        raise BaseModelError(f"{folder} has two experts; use a Wan model with one transformer")
    return _load_wan(folder, index, _read_card(folder), device, dtype)


def base_defaults(base: str | Path) -> BaseDefaults:
    """A base model's own settings, read without loading its networks.

    Raises:
        BaseModelError: the folder is missing, is no pipeline, or has a wrong ``setseq.json``.
    """
    folder = _folder(base)
    _read_index(folder)
    card = _read_card(folder)
    return BaseDefaults(learn=card.learn, generate=card.generate)


def _folder(base: str | Path) -> Path:
    if base == TOYBOX:
        folder = Path(str(importlib.resources.files("setseq"))) / "toybox" / "assets" / "base"
    else:
        folder = Path(base).expanduser()
    if not folder.is_dir():
        raise BaseModelError(
            f"no base model at {folder}; give {TOYBOX!r} or a local diffusers pipeline folder"
            " (download one with `hf download MODEL --local-dir FOLDER`)"
        )
    return folder


def _read_index(folder: Path) -> dict[str, Any]:
    return _read_json(
        folder / "model_index.json",
        f"a diffusers pipeline folder has it: give that folder, or {TOYBOX!r}, or download a model"
        " with `hf download MODEL --local-dir FOLDER`",
    )


def _read_json(path: Path, purpose: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaseModelError(f"{path} is missing; {purpose}") from None
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{path} cannot be read: {_line(error)}") from error
    if not isinstance(content, dict):
        raise BaseModelError(f"{path} must hold a JSON object; {purpose}")
    return content


def _read_card(folder: Path) -> BaseCard:
    path = folder / CARD
    content = _read_json(path, "it holds the model's defaults") if path.exists() else {}
    try:
        return BaseCard.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BaseModelError(f"{path}: {place}: {first['msg']}; correct or delete it") from error


def _load_wan(
    folder: Path, index: dict[str, Any], card: BaseCard, device: str, dtype: torch.dtype
) -> VideoModel:
    from transformers import AutoTokenizer

    from setseq.models.wan import WanModel

    parts: dict[str, Any] = {}
    for name in _WAN_COMPONENTS:
        if not (folder / name).is_dir() or not index.get(name):
            raise BaseModelError(f"{folder} lacks its {name}; download the model again")
    try:
        parts["tokenizer"] = AutoTokenizer.from_pretrained(folder / "tokenizer")
        parts["scheduler"] = _class(folder, index, "scheduler").from_pretrained(
            folder / "scheduler"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaseModelError(f"{folder} cannot be loaded: {_line(error)}") from error
    for name in ("transformer", "text_encoder", "vae"):
        with _no_progress_bars():
            loaded = _load_network(_class(folder, index, name), folder / name, dtype)
        parts[name] = loaded.to(device)
    autoencoder, patch = parts["vae"].config, parts["transformer"].config.patch_size
    geometry = Geometry(
        fps=card.fps,
        width=card.width,
        height=card.height,
        num_frames=card.num_frames,
        temporal_factor=autoencoder.scale_factor_temporal,
        spatial_factor=autoencoder.scale_factor_spatial,
        size_multiple=autoencoder.scale_factor_spatial * patch[1],
        latent_channels=autoencoder.z_dim,
    )
    return WanModel(
        id=card.id or folder.resolve().name,
        folder=folder,
        denoiser=parts["transformer"],
        text_encoder=parts["text_encoder"],
        tokenizer=parts["tokenizer"],
        autoencoder=parts["vae"],
        scheduler=parts["scheduler"],
        geometry=geometry,
        defaults=BaseDefaults(learn=card.learn, generate=card.generate),
    )


def _class(folder: Path, index: dict[str, Any], component: str) -> Any:
    entry = index[component]
    name = entry[1] if isinstance(entry, list) and len(entry) == 2 else entry
    if not isinstance(name, str) or name not in _CLASSES:
        raise BaseModelError(f"{folder}: {component} is a {name}, which is no known class for it")
    return getattr(importlib.import_module(_CLASSES[name]), name)


def _load_network(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """Load one network; weights that are missing or unknown are an error, not a warning."""
    type_option = "dtype" if kind.__module__.startswith("transformers.") else "torch_dtype"
    options: dict[str, Any] = {type_option: dtype, "use_safetensors": True}
    try:
        network, info = kind.from_pretrained(
            folder, output_loading_info=True, local_files_only=True, **options
        )
    except Exception as error:  # the libraries raise whatever a damaged file leads them to
        raise BaseModelError(
            f"{folder} cannot be loaded: {_line(error)}; download the model again"
        ) from error
    odd = [*info["missing_keys"], *info["unexpected_keys"]]
    if odd:
        raise BaseModelError(
            f"{folder}: {len(odd)} weights are missing or unknown, as {sorted(odd)[0]!r};"
            " download the model again"
        )
    return network


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
