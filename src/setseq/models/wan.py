"""Wan text-to-video models from local diffusers folders; the toybox's base is one of them."""

import hashlib
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ftfy
import torch
from torch import Tensor, nn

from setseq.errors import BaseModelError, PromptError
from setseq.models.base import BaseDefaults, Conditioning, Geometry
from setseq.models.folding import TEXT_ROWS, fold_padding, install_folded_padding
from setseq.models.self_conditioning import FILE, SelfConditioning, load_self_conditioning
from setseq.models.tokens import TokenRows, with_words


class WanModel:
    """A Wan pipeline's components behind the ``VideoModel`` protocol; frozen, in eval mode.

    Prompts are encoded as ``WanPipeline`` does at 512 rows, with the padding folded (folding.py).
    """

    family = "wan"
    lora_targets = r"blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))"

    def __init__(
        self,
        *,
        id: str,
        folder: Path,
        denoiser: Any,
        text_encoder: Any,
        tokenizer: Any,
        autoencoder: Any,
        scheduler: Any,
        geometry: Geometry,
        defaults: BaseDefaults,
    ) -> None:
        """Freeze the components; use ``registry.load_model`` to load them."""
        self.id = id
        self.geometry = geometry
        self.defaults = defaults
        self.tokenizer = tokenizer
        self.denoiser: nn.Module = denoiser.eval().requires_grad_(False)
        self._folder = folder
        self._fingerprint: str | None = None
        self._text_encoder = text_encoder.eval().requires_grad_(False)
        self._autoencoder = autoencoder.eval().requires_grad_(False)
        self._scheduler = scheduler
        self._folding = install_folded_padding(self.denoiser)
        self._patches: Any = denoiser.patch_embedding
        self._self_conditioning = load_self_conditioning(folder, self._patches)
        self._dtype: torch.dtype = denoiser.dtype
        config = autoencoder.config
        self._mean = torch.tensor(config.latents_mean, device=self.device).view(1, -1, 1, 1, 1)
        self._std = torch.tensor(config.latents_std, device=self.device).view(1, -1, 1, 1, 1)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.denoiser.parameters()).device

    @property
    def timestep_shift(self) -> float:
        """The scheduler's shift, under the name that its class uses."""
        config = self._scheduler.config
        return float(config["shift"] if "shift" in config else config["flow_shift"])

    @property
    def self_conditioned(self) -> bool:
        """Whether there is a projection that reads an estimate."""
        return self._self_conditioning is not None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names and bytes of the components' weights and configs; read once."""
        if self._fingerprint is None:
            self._fingerprint = _hash_components(self._folder)
        return self._fingerprint

    @torch.no_grad()
    def encode_video(self, pixels: Tensor) -> Tensor:
        """Pixels (b, 3, f, h, w) in [-1, 1] to the mode of the posterior, normalised."""
        encoded = self._autoencoder.encode(pixels.to(self.device, self._autoencoder.dtype))
        return (encoded.latent_dist.mode().float() - self._mean) / self._std

    @torch.no_grad()
    def decode_video(self, latents: Tensor) -> Tensor:
        """Normalised latents to pixels (b, 3, f, h, w) in [-1, 1]."""
        latents = latents.to(self.device) * self._std + self._mean
        pixels = self._autoencoder.decode(latents.to(self._autoencoder.dtype), return_dict=False)[0]
        return pixels.float().clamp(-1, 1)

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts as the pipeline does, cleaned; see the protocol.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        texts = [clean_prompt(prompt) for prompt in prompts]
        tokens = self.tokenizer(texts, padding="longest", return_tensors="pt")
        ids, mask = tokens.input_ids, tokens.attention_mask
        lengths = mask.sum(dim=1).tolist()
        for row, length in zip(ids, lengths, strict=True):
            if length > TEXT_ROWS:
                cut = self.tokenizer.decode(row[TEXT_ROWS - 1 : length], skip_special_tokens=True)
                raise PromptError(
                    f"the prompt has {length} tokens and the model reads {TEXT_ROWS}; shorten it,"
                    f" or this is cut off: {cut[:80]!r}"
                )
        encoded = self._text_encoder(ids.to(self.device), mask.to(self.device)).last_hidden_state
        rows, bias = fold_padding(encoded, lengths)
        return Conditioning({"text": rows, "bias": bias})

    def velocity(
        self,
        latents: Tensor,
        time: Tensor,
        conditioning: Conditioning,
        estimate: Tensor | None = None,
    ) -> Tensor:
        """The predicted velocity, float32; Wan's network predicts noise - data already."""
        self._folding.bias = conditioning.tensors["bias"]
        if self._self_conditioning is not None:
            self._self_conditioning.estimate = estimate
        elif estimate is not None:
            raise ValueError("this model was not trained with an estimate")
        return self.denoiser(
            hidden_states=latents.to(self._dtype),
            timestep=time * self._scheduler.config["num_train_timesteps"],
            encoder_hidden_states=conditioning.tensors["text"].to(self._dtype),
            return_dict=False,
        )[0].float()

    def sigmas(self, num_steps: int) -> Tensor:
        """The scheduler's own sampling times, (num_steps + 1,), from 1 to 0."""
        self._scheduler.set_timesteps(num_steps)
        return self._scheduler.sigmas.clone()

    def add_tokens(self, words: Sequence[str]) -> TokenRows:
        """Give words embedding rows of their own, zero at first, until ``remove()``."""
        before = self.tokenizer
        self.tokenizer, ids = with_words(before, words)

        def restore() -> None:
            self.tokenizer = before

        return TokenRows(words, ids, self._text_encoder, restore)

    def add_self_conditioning(self) -> SelfConditioning:
        """Let a network that was not trained with an estimate see one, until ``remove()``.

        Raises:
            BaseModelError: there is a projection already.
        """
        if self._self_conditioning is not None:
            raise BaseModelError(
                f"{self.id!r} has a projection for self-conditioning already; it cannot have two"
            )

        def forget() -> None:
            self._self_conditioning = None

        self._self_conditioning = SelfConditioning(self._patches, on_remove=forget)
        return self._self_conditioning


def _hash_components(folder: Path) -> str:
    digest = hashlib.sha256()
    files = [path for path in folder.glob("*/*") if path.suffix in (".safetensors", ".json")]
    files += [folder / FILE] if (folder / FILE).exists() else []
    for path in sorted(files):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def clean_prompt(text: str) -> str:
    """Mend a prompt's characters, entities and spaces, as the Wan pipeline does."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", text).strip()
