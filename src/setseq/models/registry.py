"""From a name or a folder to a model: the one place where strings become classes."""

import importlib
import importlib.resources
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setseq.config import HardwareSettings
from setseq.errors import BaseModelError, SettingsError
from setseq.models.base import BaseDefaults, VideoModel
from setseq.models.blueprint import Blueprint
from setseq.models.card import BaseCard, read_card
from setseq.models.catalog import known
from setseq.models.components import Components, read_json
from setseq.models.hardware import Hardware, hardware_of
from setseq.models.published import PUBLISHED
from setseq.models.quantize import PACKAGES

TOYBOX = "toybox"
_PIPELINES = {  # class in model_index.json to our module and class
    "WanPipeline": ("wan", "WanModel"),
    "LTXPipeline": ("ltx", "LtxModel"),
    "LTX2Pipeline": ("ltx2", "Ltx2Model"),
    "CogVideoXPipeline": ("cogvideox", "CogVideoXModel"),
    "HunyuanVideoPipeline": ("hunyuan", "HunyuanModel"),
    "HunyuanVideo15Pipeline": ("hunyuan15", "Hunyuan15Model"),
    "MochiPipeline": ("mochi", "MochiModel"),
}
_TWO_EXPERTS = ("wan22", "Wan22Model")
_TRANSFORMERS, _AUTOENCODERS = "diffusers.models.transformers", "diffusers.models.autoencoders"
_SCHEDULERS = "diffusers.schedulers"
_CLASSES = {  # class of a component to its module: nothing else is ever imported
    "WanTransformer3DModel": f"{_TRANSFORMERS}.transformer_wan",
    "LTXVideoTransformer3DModel": f"{_TRANSFORMERS}.transformer_ltx",
    "LTX2VideoTransformer3DModel": f"{_TRANSFORMERS}.transformer_ltx2",
    "LTX2TextConnectors": "diffusers.pipelines.ltx2.connectors",
    "CogVideoXTransformer3DModel": f"{_TRANSFORMERS}.cogvideox_transformer_3d",
    "HunyuanVideoTransformer3DModel": f"{_TRANSFORMERS}.transformer_hunyuan_video",
    "HunyuanVideo15Transformer3DModel": f"{_TRANSFORMERS}.transformer_hunyuan_video15",
    "MochiTransformer3DModel": f"{_TRANSFORMERS}.transformer_mochi",
    "UMT5EncoderModel": "transformers",
    "T5EncoderModel": "transformers",
    "LlamaModel": "transformers",
    "Qwen2_5_VLTextModel": "transformers",
    "CLIPTextModel": "transformers",
    "Gemma3ForConditionalGeneration": "transformers",
    "AutoencoderKLWan": f"{_AUTOENCODERS}.autoencoder_kl_wan",
    "AutoencoderKLLTXVideo": f"{_AUTOENCODERS}.autoencoder_kl_ltx",
    "AutoencoderKLLTX2Video": f"{_AUTOENCODERS}.autoencoder_kl_ltx2",
    "AutoencoderKLCogVideoX": f"{_AUTOENCODERS}.autoencoder_kl_cogvideox",
    "AutoencoderKLHunyuanVideo": f"{_AUTOENCODERS}.autoencoder_kl_hunyuan_video",
    "AutoencoderKLHunyuanVideo15": f"{_AUTOENCODERS}.autoencoder_kl_hunyuanvideo15",
    "AutoencoderKLMochi": f"{_AUTOENCODERS}.autoencoder_kl_mochi",
    "ToyAutoencoder": "setseq.toybox.autoencoder",
    "FlowMatchEulerDiscreteScheduler": f"{_SCHEDULERS}.scheduling_flow_match_euler_discrete",
    "UniPCMultistepScheduler": f"{_SCHEDULERS}.scheduling_unipc_multistep",
    "CogVideoXDDIMScheduler": f"{_SCHEDULERS}.scheduling_ddim_cogvideox",
    "CogVideoXDPMScheduler": f"{_SCHEDULERS}.scheduling_dpm_cogvideox",
}


def load_model(
    base: str | Path,
    *,
    hardware: HardwareSettings = HardwareSettings(),  # noqa: B008 (frozen)
    sharded: bool = False,
) -> VideoModel:
    """Open a base model; its networks are read when they are first needed.

    Args:
        base: "toybox", the model inside the package; a local diffusers pipeline folder; a short
            name (catalog.py) or hub id, "owner/name" or "owner/name@revision", of a model that is
            in the hub's local cache.
        hardware: where its networks go, and how they are held there.
        sharded: spread its denoiser over the processes that learn together (processes.py).

    Raises:
        BaseModelError: the model is not there, incomplete, damaged, or of an unknown kind.
        SettingsError: the device is not there, or a package that the hardware's settings need.
    """
    if sharded and (hardware.offload or hardware.weights in PACKAGES):
        raise SettingsError(
            "a sharded base keeps its weights as they are; leave --shard out, or weights and"
            " offload in [hardware]"
        )
    folder, name, hub = _found(base)
    index = _read_index(folder)
    kind = _model_class(folder, index)
    components = _components(
        folder, index, kind, hardware=hardware_of(hardware), hub=hub, sharded=sharded
    )
    return kind(components, read_card(folder), id=name)


def load_blueprint(base: str | Path, hardware: HardwareSettings) -> tuple[Any, Blueprint, BaseCard]:
    """A base model's class, its parts without their weights, and its card.

    Args:
        base: as for ``load_model``; a short name need not be on this computer.
        hardware: whose device need not be there: everything is on the CPU, and takes no memory.

    Raises:
        BaseModelError: the model is not there, or of an unknown kind.
    """
    on_cpu = hardware_of(hardware.model_copy(update={"device": "cpu"}), is_dry=True)
    model = known(str(base))
    if model is not None and not Path(base).is_dir() and not is_downloaded(model.hub_id):
        return _published(model.name, on_cpu)
    folder, _, _ = _found(base)
    index = _read_index(folder)
    kind = _model_class(folder, index)
    parts = _component_classes(folder, index, kind)
    return kind, Blueprint(folder, index, parts, hardware=on_cpu), read_card(folder)


def blueprint_defaults(base: str | Path) -> Mapping[str, Any]:
    """A base model's own settings of learning; its files need not be here.

    Raises:
        BaseModelError: as for ``load_blueprint``.
    """
    kind, blueprint, card = load_blueprint(base, HardwareSettings())
    return card.over(kind.family_card(blueprint)).learn


def _published(name: str, hardware: Hardware) -> tuple[Any, Blueprint, BaseCard]:
    plan = PUBLISHED[name]
    index = {
        **plan.index,
        "_class_name": plan.pipeline,
        "transformer": plan.transformer,
        "transformer_2": plan.transformer,
        "vae": plan.vae,
        "scheduler": plan.scheduler,
    }
    source = Path(name)
    kind = _model_class(source, index)
    classes = {n: _class(source, index, n) for n in kind.parts if n in index}
    blueprint = Blueprint(
        None,
        index,
        {**dict.fromkeys(kind.parts), **classes},
        hardware=hardware,
        configs={
            "transformer": plan.transformer_config,
            "transformer_2": plan.transformer_config,
            "vae": plan.vae_config,
        },
        text_billions=plan.text_billions,
    )
    return kind, blueprint, BaseCard(id=name)


def base_defaults(base: str | Path) -> BaseDefaults:
    """A base model's own settings, read without loading its networks.

    Raises:
        BaseModelError: the folder is missing, is no pipeline, or has a wrong ``setseq.json``.
    """
    folder, _, _ = _found(base)
    index = _read_index(folder)
    kind = _model_class(folder, index)
    on_cpu = hardware_of(HardwareSettings(device="cpu"))
    components = _components(folder, index, kind, hardware=on_cpu)
    card = read_card(folder).over(kind.family_card(components))
    return BaseDefaults(learn=card.learn, generate=card.generate)


def is_downloaded(hub_id: str) -> bool:
    """Whether a model of the hub is in its local cache."""
    return _cached(hub_id, None) is not None


def _found(base: str | Path) -> tuple[Path, str, str]:
    """A base model's folder, the name that it is known by, and its hub id with its revision.

    A plain folder has neither name nor hub id.

    Raises:
        BaseModelError: it is nowhere on this computer.
    """
    if base == TOYBOX:
        inside = Path(str(importlib.resources.files("setseq"))) / "toybox" / "assets" / "base"
        return inside, TOYBOX, ""
    folder = Path(base).expanduser()
    if folder.is_dir():
        return folder, "", ""
    model = known(str(base))
    hub_id, _, revision = (model.hub_id if model else str(base)).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", hub_id) or hub_id.startswith("."):
        raise BaseModelError(
            f"no base model at {folder}; give {TOYBOX!r}, a short name (`setseq models` lists"
            " them), a hub id, or a local diffusers pipeline folder"
        )
    cached = _cached(hub_id, revision or None)
    if cached is None:
        wanted = f"{hub_id} --revision {revision}" if revision else hub_id
        raise BaseModelError(
            f"the base model {str(base)!r} is not on this computer; download it with"
            f" `hf download {wanted}`, or give the folder where it is"
        )
    # The cache names a snapshot's folder after its commit, whatever branch was asked for.
    return cached, model.name if model else hub_id, f"{hub_id}@{cached.name}"


def _cached(hub_id: str, revision: str | None) -> Path | None:
    """The folder of a model in the hub's cache on this computer; nothing is downloaded."""
    from huggingface_hub import try_to_load_from_cache

    index = try_to_load_from_cache(hub_id, "model_index.json", revision=revision)
    return Path(index).parent if isinstance(index, str) else None


def _read_index(folder: Path) -> dict[str, Any]:
    return read_json(
        folder / "model_index.json",
        f"a diffusers pipeline folder has it: give that folder, or {TOYBOX!r}, or download a model"
        " with `hf download MODEL --local-dir FOLDER`",
    )


def _model_class(folder: Path, index: dict[str, Any]) -> Any:
    name = index.get("_class_name")
    if not isinstance(name, str) or name not in _PIPELINES:
        raise BaseModelError(
            f"{folder} holds a {name}{_why_not(str(name), index)}; known pipelines:"
            f" {', '.join(_PIPELINES)}"
        )
    two = name == "WanPipeline" and index.get("boundary_ratio") is not None
    module, kind = _TWO_EXPERTS if two else _PIPELINES[name]
    return getattr(importlib.import_module(f"setseq.models.{module}"), kind)


def _why_not(name: str, index: dict[str, Any]) -> str:
    if "unet" in index:
        return ", a U-Net, which has no blocks of a video transformer to learn in"
    if re.search("Image(To|2)Video|I2V", name):
        return ", which starts from an image; concepts are learned in text-to-video models"
    return ""


def _components(
    folder: Path,
    index: dict[str, Any],
    kind: Any,
    *,
    hardware: Hardware,
    hub: str = "",
    sharded: bool = False,
) -> Components:
    """The components that a model of this kind is made of.

    Raises:
        BaseModelError: one is missing, cut off, or of an unknown class.
    """
    return Components(
        folder,
        index,
        _component_classes(folder, index, kind),
        hardware=hardware,
        hub=hub,
        sharded=sharded,
    )


def _component_classes(folder: Path, index: dict[str, Any], kind: Any) -> dict[str, Any]:
    classes = {}
    for name in kind.parts:
        if not (folder / name).is_dir() or not index.get(name):
            raise BaseModelError(f"{folder} lacks its {name}; download the model again")
        classes[name] = None if name.startswith("tokenizer") else _class(folder, index, name)
    return classes


def _class(folder: Path, index: dict[str, Any], component: str) -> Any:
    entry = index[component]
    name = entry[1] if isinstance(entry, list) and len(entry) == 2 else entry
    if not isinstance(name, str) or name not in _CLASSES:
        raise BaseModelError(f"{folder}: {component} is a {name}, which is no known class for it")
    return getattr(importlib.import_module(_CLASSES[name]), name)
