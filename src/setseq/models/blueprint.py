"""A pipeline without its files: networks of the true shapes, made of fake tensors (dry_run.py)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from setseq.models.components import NETWORK, Components, configuration, read_json
from setseq.models.dry_run import hollow, trim_blocks
from setseq.models.hardware import Hardware, prepare, prepare_autoencoder


class Blueprint(Components):
    """Components whose networks take no memory, from configurations alone.

    To be used among ``dry_run.fake_tensors``.

    Attributes:
        kept: how many modules each list of blocks of the denoiser keeps, by its name.
        text_billions: parameters of all text encoders, where no configuration tells; else 0.
    """

    def __init__(
        self,
        folder: Path | None,
        index: Mapping[str, Any],
        kinds: Mapping[str, Any],
        *,
        hardware: Hardware,
        configs: Mapping[str, Mapping[str, Any]] | None = None,
        text_billions: float = 0.0,
        kept: Mapping[str, int] | None = None,
    ) -> None:
        """Read nothing.

        Args:
            folder: where configurations are; None where ``configs`` has them.
            index: as of ``model_index.json``.
            kinds: component to its class; a tokenizer's is None.
            hardware: decides the format of the weights; the device is always the CPU.
            configs: by component what differs from its class's defaults.
            text_billions: of text encoders without a configuration.
            kept: of each list of blocks; None and lists that are not named stay whole.
        """
        self.folder = folder or Path("no folder")
        self.index, self.hardware, self.hub, self.sharded = index, hardware, "", False
        self.kept, self.text_billions = dict(kept or {}), text_billions
        self._kinds, self._configs = dict(kinds), None if folder else dict(configs or {})
        self._loaded = {}

    def projection(self, shape: Sequence[int]) -> torch.Tensor | None:
        """None: it is small, and its file has true numbers."""
        return None

    def with_kept(self, kept: Mapping[str, int]) -> "Blueprint":
        """The same with shorter lists of blocks; nothing that was made is taken over."""
        return Blueprint(
            self.folder if self._configs is None else None,
            self.index,
            self._kinds,
            hardware=self.hardware,
            configs=self._configs,
            text_billions=self.text_billions,
            kept=kept,
        )

    def config(self, name: str) -> dict[str, Any]:
        """A network's configuration with its class's defaults."""
        if self._configs is None:
            return super().config(name)
        return configuration(self._kinds[name], self._configs.get(name, {}))

    def text_bytes(self) -> int:
        """Of the text encoders' weights, and of what stands between them and the network."""
        size = self.dtype_of("text_encoder").itemsize
        if self.text_billions:
            return round(self.text_billions * 1e9 * size)
        names = [name for name in self._kinds if name.startswith(("text_encoder", "connectors"))]
        return size * sum(_parameters(self._text_skeleton(name)) for name in names)

    def _text_skeleton(self, name: str) -> nn.Module:
        kind = self._kinds[name]
        with torch.device("meta"):
            if not kind.__module__.startswith("transformers."):
                return self.skeleton(name)
            content = read_json(self.folder / name / "config.json", NETWORK)
            return kind(kind.config_class.from_dict(content))

    def _load(self, name: str) -> Any:
        if name.startswith("tokenizer"):
            return SimpleNamespace(padding_side="left", pad_token="", eos_token="")
        kind = self._kinds[name]
        if hasattr(kind, "set_timesteps"):
            with unset_fake_temporarily():  # its few numbers count
                return super()._load(name) if self._configs is None else kind()
        with unset_fake_temporarily():  # where nothing is counted, and all blocks cost no time
            network = self.skeleton(name)
            if name.startswith("transformer"):
                trim_blocks(network, self.kept)
            self._cast(network, self.dtype_of(name))
        network = hollow(network).eval().requires_grad_(False)
        if name.startswith("transformer"):
            return prepare(network, self.hardware, is_dry=True)
        return prepare_autoencoder(network, self.hardware) if name == "vae" else network

    def _cast(self, network: nn.Module, dtype: torch.dtype) -> None:
        """As loading does: some modules stay float32 whatever is asked for."""
        spared = set(getattr(network, "_keep_in_fp32_modules", None) or ())
        for name, value in network.named_parameters():
            if spared.isdisjoint(name.split(".")):
                value.data = value.data.to(dtype)


def _parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())
