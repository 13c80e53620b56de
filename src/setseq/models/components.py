"""The parts of a pipeline folder: each is read when it is first needed, and can be let go again."""

import gc
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import nn

from setseq.errors import BaseModelError
from setseq.models.hardware import Hardware, prepare, prepare_autoencoder, switch
from setseq.models.self_conditioning import read_projection
from setseq.models.sharding import shard_blocks

NETWORK = "it describes the network; download the model again"


class Components:
    """The networks, tokenizers and scheduler of one pipeline folder.

    Attributes:
        folder: the pipeline's folder.
        index: what its ``model_index.json`` says.
        hardware: where networks go, and how they are held there.
        hub: where the folder comes from, "owner/name@revision"; "" where it is not known.
        sharded: whether transformers are spread over the processes that learn together.
    """

    def __init__(
        self,
        folder: Path,
        index: Mapping[str, Any],
        kinds: Mapping[str, Any],
        *,
        hardware: Hardware,
        hub: str = "",
        sharded: bool = False,
    ) -> None:
        """Read no weights yet, but look that each file of them is whole.

        Args:
            folder: the pipeline's folder.
            index: the content of its ``model_index.json``.
            kinds: component to its class; a tokenizer's is None.
            hardware: where networks go, and how.
            hub: "owner/name@revision" of a folder in the hub's cache.
            sharded: spread transformers over the processes that learn together.

        Raises:
            BaseModelError: a file of weights is missing or cut off.
        """
        self.folder, self.index = folder, index
        self.hardware, self.hub, self.sharded = hardware, hub, sharded
        self._kinds = dict(kinds)
        self._loaded: dict[str, Any] = {}
        for name, kind in self._kinds.items():
            if hasattr(kind, "from_pretrained") and not hasattr(kind, "set_timesteps"):
                _check_weights(folder / name)

    @property
    def device(self) -> torch.device:
        """Where networks go."""
        return self.hardware.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the denoiser's input."""
        return self.hardware.dtype

    def __getitem__(self, name: str) -> Any:
        """A component, loaded if it is not; networks are frozen and in eval mode."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def config(self, name: str) -> dict[str, Any]:
        """A network's configuration with its class's defaults, without reading the network.

        Raises:
            BaseModelError: it cannot be read.
        """
        content = read_json(self.folder / name / "config.json", NETWORK)
        return configuration(self._kinds[name], content)

    def skeleton(self, name: str) -> nn.Module:
        """A network without its weights, on the meta device, in no time and no memory."""
        with torch.device("meta"):
            return self._kinds[name].from_config(self.config(name))

    def projection(self, shape: Sequence[int]) -> torch.Tensor | None:
        """What the network was trained with for self-conditioning; see ``read_projection``."""
        return read_projection(self.folder, shape)

    def release(self, *names: str) -> None:
        """Let networks leave memory; each is read again when it is next needed."""
        for name in names:
            self._loaded.pop(name, None)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def dtype_of(self, name: str) -> torch.dtype:
        """The format of a network's weights."""
        return torch.float32 if name == "vae" else self.hardware.dtype

    def _load(self, name: str) -> Any:
        if name.startswith("tokenizer"):
            from transformers import AutoTokenizer

            return _loaded_from(self.folder / name, AutoTokenizer)
        kind = self._kinds[name]
        if hasattr(kind, "set_timesteps"):
            return _loaded_from(self.folder / name, kind)
        with _no_progress_bars():
            network = load_network(kind, self.folder / name, self.dtype_of(name))
        network = network.eval().requires_grad_(False)
        if name == "vae":
            return prepare_autoencoder(network, self.hardware).to(self.device)
        if not name.startswith("transformer"):
            return network.to(self.hardware.text_device)
        if self.sharded:
            return switch(shard_blocks(network, self.device), self.hardware)
        return prepare(network, self.hardware)


def configuration(kind: Any, content: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the defaults of its class, which a file need not repeat."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **content}


def read_json(path: Path, purpose: str) -> dict[str, Any]:
    """A file's JSON object.

    Args:
        path: the file.
        purpose: what it is for, to be said where it is missing.

    Raises:
        BaseModelError: it is missing, cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaseModelError(f"{path} is missing; {purpose}") from None
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise BaseModelError(f"{path} must hold a JSON object; {purpose}")
    return content


def load_network(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """Load one network; weights that are missing or unknown are an error, not a warning.

    Raises:
        BaseModelError: a file is missing, damaged, or made for another class.
    """
    type_option = "dtype" if kind.__module__.startswith("transformers.") else "torch_dtype"
    options: dict[str, Any] = {type_option: dtype, "use_safetensors": True}
    try:
        network, info = kind.from_pretrained(
            folder, output_loading_info=True, local_files_only=True, **options
        )
    except Exception as error:  # the libraries raise whatever a damaged file leads them to
        raise _unloadable(folder, error) from error
    odd = [*info["missing_keys"], *info["unexpected_keys"]]
    if odd:
        raise BaseModelError(
            f"{folder}: {len(odd)} weights are missing or unknown, as {sorted(odd)[0]!r};"
            " download the model again"
        )
    return network


def one_line(error: BaseException) -> str:
    """An exception's message in one line of at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def _check_weights(folder: Path) -> None:
    """Read the headers of a network's files, which say how long each file must be."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise BaseModelError(
            f"{folder} has no .safetensors file; download the model again (pickled weights are"
            " never read)"
        )
    for path in files:
        try:
            with safetensors.safe_open(path, framework="pt"):
                pass
        except (OSError, safetensors.SafetensorError) as error:
            raise _unloadable(folder, error) from error


def _loaded_from(folder: Path, kind: Any) -> Any:
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unloadable(folder, error) from error


def _unloadable(folder: Path, error: BaseException) -> BaseModelError:
    return BaseModelError(f"{folder} cannot be loaded: {one_line(error)}; download the model again")


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
