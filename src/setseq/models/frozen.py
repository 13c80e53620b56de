"""What all base models share: a pipeline folder's components, frozen, behind ``VideoModel``."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from setseq.errors import BaseModelError, PromptError
from setseq.models.base import BaseDefaults, Conditioning, Geometry
from setseq.models.card import BaseCard
from setseq.models.components import Components
from setseq.models.hardware import Attention, Hardware, check_attention
from setseq.models.self_conditioning import FILE, SelfConditioning
from setseq.models.tokens import TokenRows, with_words


class FrozenModel(ABC):
    """A pipeline's components behind the ``VideoModel`` protocol; frozen, in eval mode.

    Nothing is read before it is needed: ``encode_video`` reads the autoencoder, ``encode_prompts``
    the text encoder, and whatever asks for the ``denoiser`` that; ``release`` lets the first two
    leave memory. So a model whose parts do not fit a card side by side can be used one by one.

    A family says below what it is, how it scales latents, encodes prompts and calls its network.
    """

    family: ClassVar[str]
    lora_targets: ClassVar[str]
    card: ClassVar[BaseCard]  # sizes and defaults of the family's best known model
    parts: ClassVar[tuple[str, ...]] = (
        "transformer",
        "text_encoder",
        "tokenizer",
        "vae",
        "scheduler",
    )
    networks: ClassVar[Mapping[str, str]] = {"": "transformer"}  # prefix in the denoiser to part
    alone: ClassVar["type[FrozenModel] | None"] = None  # the same with one of several networks
    text_encoders: ClassVar[tuple[str, ...]] = ("text_encoder",)
    frame_strengths: ClassVar[bool] = True
    attention: ClassVar[Attention] = "masked"

    def __init__(self, components: Components, card: BaseCard, *, id: str = "") -> None:
        """Read configurations, no weights; use ``registry.load_model``.

        Args:
            components: of a folder with all ``parts``.
            card: what the folder says of itself.
            id: a name where the card has none; the folder's when empty.
        """
        check_attention(components.hardware.settings.attention, self.attention, self.family)
        card = card.over(self.family_card(components))
        self.id = card.id or id or components.folder.resolve().name
        self.defaults = BaseDefaults(learn=card.learn, generate=card.generate)
        self.components = components
        self.geometry = self._geometry(card)
        self.tokenizer = components["tokenizer"]
        self._rows_in_use = 0

    @classmethod
    def family_card(cls, components: Components) -> BaseCard:
        """The sizes and defaults of this model where its own card says none."""
        return cls.card

    @abstractmethod
    def _geometry(self, card: BaseCard) -> Geometry: ...

    @abstractmethod
    def _normalised(self, latents: Tensor) -> Tensor:
        """The autoencoder's latents as the denoiser has them: about zero mean and unit variance."""

    @abstractmethod
    def _raw(self, latents: Tensor) -> Tensor:
        """The inverse of ``_normalised``."""

    @abstractmethod
    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts; gradients reach learned token rows. Raises PromptError when too long."""

    @abstractmethod
    def blank_prompt(self) -> Conditioning:
        """One encoded prompt of zeros, as long as a prompt can make it, of the network's shapes."""

    @abstractmethod
    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """What ``velocity`` returns, of a network that has been shown the estimate."""

    def velocity(
        self,
        latents: Tensor,
        time: Tensor,
        conditioning: Conditioning,
        estimate: Tensor | None = None,
    ) -> Tensor:
        """The predicted velocity (b, c, f, h, w), float32, at times (b,) in [0, 1]."""
        self._show_estimate(estimate)
        return self._predict(latents, time, conditioning.to(latents.device))

    @cached_property
    def denoiser(self) -> nn.Module:
        """The network that carries concepts, read when it is first asked for."""
        return self._made_denoiser()

    def _made_denoiser(self) -> nn.Module:
        return self.components["transformer"]

    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the denoiser's linear layers, by name, without reading weights."""
        return {
            prefix + name: (layer.in_features, layer.out_features)
            for prefix, part in self.networks.items()
            for name, layer in self.components.skeleton(part).named_modules()
            if isinstance(layer, nn.Linear)
        }

    @property
    def hub(self) -> str:
        """Where the model comes from, "owner/name@revision"; "" where it is not known."""
        return self.components.hub

    @property
    def hardware(self) -> Hardware:
        """How the networks are held."""
        return self.components.hardware

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.components.device

    @property
    def embeds_guidance(self) -> bool:
        """Whether guidance is a number that the network reads."""
        return False

    @property
    def timestep_shift(self) -> float:
        """The scheduler's shift, under the name that its class uses."""
        config = self._scheduler.config
        return float(config["shift"] if "shift" in config else config["flow_shift"])

    @property
    def self_conditioned(self) -> bool:
        """Whether the network can see an estimate."""
        return False

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names and bytes of the components' weights and configs; read once."""
        return _hash_components(self.components.folder)

    @torch.no_grad()
    def encode_video(self, pixels: Tensor) -> Tensor:
        """Pixels (b, 3, f, h, w) in [-1, 1] to the mode of the posterior, normalised."""
        autoencoder = self._autoencoder
        encoded = autoencoder.encode(pixels.to(self.device, autoencoder.dtype))
        return self._normalised(encoded.latent_dist.mode().float())

    @torch.no_grad()
    def decode_video(self, latents: Tensor) -> Tensor:
        """Normalised latents to pixels (b, 3, f, h, w) in [-1, 1]."""
        raw = self._raw(latents.to(self.device))
        return self._decoded(raw.to(self._autoencoder.dtype)).float().clamp(-1, 1)

    def _decoded(self, raw: Tensor) -> Tensor:
        return self._autoencoder.decode(raw, return_dict=False)[0]

    def sigmas(self, num_steps: int, shape: Sequence[int] | None = None) -> Tensor:
        """The scheduler's own sampling times, (num_steps + 1,), from 1 to 0."""
        self._scheduler.set_timesteps(num_steps)
        return self._scheduler.sigmas.clone()

    def add_tokens(self, words: Sequence[str]) -> TokenRows:
        """Give words embedding rows of their own, zero at first, until ``remove()``.

        They are rows of the first text encoder; a second one reads the words as plain text.
        """
        before = self.tokenizer
        self.tokenizer, ids = with_words(before, words)
        self._rows_in_use += 1

        def restore() -> None:
            self.tokenizer = before
            self._rows_in_use -= 1

        return TokenRows(words, ids, self._text_encoder, restore)

    def add_self_conditioning(self) -> SelfConditioning:
        """Let a network that was not trained with an estimate see one: not for this family.

        Raises:
            BaseModelError: always.
        """
        raise BaseModelError(
            f"{self.id!r} is a {self.family} model, and self-conditioning is for Wan models;"
            " learn with self_conditioning = 0"
        )

    def release(self) -> None:
        """Let the text encoders and the autoencoder leave memory until they are needed again.

        Text encoders stay while they carry learned token rows.
        """
        self.components.release("vae", *(() if self._rows_in_use else self.text_encoders))

    def _show_estimate(self, estimate: Tensor | None) -> None:
        """Make the estimate the network's for its next passes; most cannot see one."""
        if estimate is not None:
            raise ValueError("this model was not trained with an estimate")

    @property
    def _dtype(self) -> torch.dtype:
        return self.components.dtype

    @property
    def _text_encoder(self) -> Any:
        return self.components["text_encoder"]

    @property
    def _autoencoder(self) -> Any:
        return self.components["vae"]

    @property
    def _scheduler(self) -> Any:
        return self.components["scheduler"]

    def _tokenised(
        self, texts: Sequence[str], rows: int, *, component: str = "", cut: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Token ids and mask, (b, rows) each, padded to all the rows that the model reads.

        Args:
            texts: as the tokenizer is to read them.
            rows: tokens that the model reads, with the end token.
            component: another tokenizer than the first.
            cut: cut longer texts off, where the pipeline gives this encoder a summary only.

        Raises:
            PromptError: a text has more tokens, and ``cut`` is False.
        """
        tokenizer = self.components[component] if component else self.tokenizer
        if not cut:
            refuse_longer(tokenizer, texts, rows)
        tokens = tokenizer(
            list(texts), padding="max_length", max_length=rows, truncation=cut, return_tensors="pt"
        )
        device = self.hardware.text_device
        return tokens.input_ids.to(device), tokens.attention_mask.to(device)


def refuse_longer(tokenizer: Any, texts: Sequence[str], rows: int, *, start: int = 0) -> None:
    """Say what would be cut off a prompt that is longer than a model reads.

    Args:
        tokenizer: of the text encoder.
        texts: as it is to read them.
        rows: tokens that the model reads, the end token counted.
        start: tokens of an instruction before the prompt, which do not count.

    Raises:
        PromptError: a prompt has more tokens than ``rows``.
    """
    for text in texts:
        ids = tokenizer(text).input_ids
        count = len(ids) - start
        if count > rows:
            cut = tokenizer.decode(ids[start + rows - 1 :], skip_special_tokens=True)
            raise PromptError(
                f"the prompt has {count} tokens and the model reads {rows}; shorten it,"
                f" or this is cut off: {cut[:80]!r}"
            )


def served(conditioning: Conditioning, count: int) -> Mapping[str, Tensor]:
    """The tensors of ``count`` prompts, from as many or from one that serves all."""
    if len(conditioning) == count:
        return conditioning.tensors
    return {k: v.expand(count, *v.shape[1:]) for k, v in conditioning.tensors.items()}


def per_channel(values: Sequence[float] | Tensor, like: Tensor) -> Tensor:
    """Numbers of the channels, as (1, c, 1, 1, 1) beside latents (b, c, f, h, w)."""
    return torch.as_tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1, 1)


def _hash_components(folder: Path) -> str:
    digest = hashlib.sha256()
    files = [path for path in folder.glob("*/*") if path.suffix in (".safetensors", ".json")]
    files += [folder / FILE] if (folder / FILE).exists() else []
    for path in sorted(files):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
