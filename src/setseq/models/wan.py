"""Wan text-to-video models; the toybox's base is one of them. Two experts: wan22.py."""

import html
import re
from collections.abc import Sequence
from typing import Any

import ftfy
import torch
from torch import Tensor, nn

from setseq.errors import BaseModelError
from setseq.models.base import Conditioning, Geometry
from setseq.models.card import BaseCard
from setseq.models.components import Components
from setseq.models.folding import TEXT_ROWS, FoldedPadding, fold_padding, install_folded_padding
from setseq.models.frozen import FrozenModel, per_channel, refuse_longer
from setseq.models.self_conditioning import SelfConditioning


class WanModel(FrozenModel):
    """Wan 2.1 (1.3B, 14B), Wan 2.2 TI2V-5B, and the toybox.

    Prompts are encoded as ``WanPipeline`` does at 512 rows, with the padding folded (folding.py).
    The pipeline of TI2V-5B gives every token a time of its own; all are the same for text to video,
    so that one time a video is the same.
    """

    family = "wan"
    attention = "any"
    lora_targets = r"blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))"
    card = BaseCard(fps=16, width=832, height=480, num_frames=81)
    ti2v = BaseCard(fps=24, width=1280, height=704, num_frames=121)

    def __init__(self, components: Components, card: BaseCard, *, id: str = "") -> None:
        """As for all models; a projection for self-conditioning waits for the network."""
        super().__init__(components, card, id=id)
        network = components.config("transformer")
        width = network["num_attention_heads"] * network["attention_head_dim"]
        shape = (width, network["in_channels"], *network["patch_size"])
        self._projection = components.projection(shape)
        self._self_conditioning: SelfConditioning | None = None

    @classmethod
    def family_card(cls, components: Components) -> BaseCard:
        """The sizes of TI2V-5B are its own."""
        return cls.ti2v if components.index.get("expand_timesteps") else cls.card

    def _geometry(self, card: BaseCard) -> Geometry:
        autoencoder = self.components.config("vae")
        network = self.components.config("transformer")
        patch = network["patch_size"]
        if network["in_channels"] != autoencoder["z_dim"]:
            raise BaseModelError(
                f"{self.id!r} has a network for latents of {network['in_channels']} channels and"
                f" an autoencoder that makes {autoencoder['z_dim']}, as models that start from an"
                " image or a video do; give a text-to-video model"
            )
        factor = autoencoder["scale_factor_spatial"]
        self._mean, self._std = autoencoder["latents_mean"], autoencoder["latents_std"]
        return card.geometry(
            temporal_factor=autoencoder["scale_factor_temporal"],
            spatial_factor=factor,
            size_multiple=factor * patch[1],
            latent_channels=autoencoder["z_dim"],
            places=(network["rope_max_seq_len"],) * 3,
        )

    def _normalised(self, latents: Tensor) -> Tensor:
        return (latents - per_channel(self._mean, latents)) / per_channel(self._std, latents)

    def _raw(self, latents: Tensor) -> Tensor:
        return latents * per_channel(self._std, latents) + per_channel(self._mean, latents)

    def _made_denoiser(self) -> nn.Module:
        denoiser: Any = super()._made_denoiser()
        self._folding = install_folded_padding(denoiser)
        if self._projection is not None:
            self._self_conditioning = SelfConditioning(denoiser.patch_embedding)
            self._self_conditioning.load(self._projection)
            self._self_conditioning.requires_grad_(False)
        return denoiser

    @property
    def _patches(self) -> Any:
        return self.denoiser.patch_embedding

    @property
    def self_conditioned(self) -> bool:
        """Whether there is a projection that reads an estimate."""
        return self._projection is not None or self._self_conditioning is not None

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts as the pipeline does, cleaned; see the protocol.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        texts = [clean_prompt(prompt) for prompt in prompts]
        refuse_longer(self.tokenizer, texts, TEXT_ROWS)
        tokens = self.tokenizer(texts, padding="longest", return_tensors="pt")
        device = self.hardware.text_device
        ids, mask = tokens.input_ids.to(device), tokens.attention_mask.to(device)
        lengths = tokens.attention_mask.sum(dim=1).tolist()  # on the CPU: a GPU need not wait
        rows, bias = fold_padding(self._text_encoder(ids, mask).last_hidden_state, lengths)
        return Conditioning({"text": rows, "bias": bias})

    def blank_prompt(self) -> Conditioning:
        """A prompt of zeros; see ``FrozenModel``."""
        width = self.components.config("transformer")["text_dim"]
        return Conditioning(
            {"text": torch.zeros(1, TEXT_ROWS, width), "bias": torch.zeros(1, TEXT_ROWS)}
        )

    def _show_estimate(self, estimate: Tensor | None) -> None:
        _ = self.denoiser  # with which the projection comes
        if self._self_conditioning is not None:
            self._self_conditioning.estimate = estimate
        else:
            super()._show_estimate(estimate)

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """Wan's network predicts noise - data already."""
        denoiser = self.denoiser
        return self._predict_by(denoiser, self._folding, latents, time, conditioning)

    def _predict_by(
        self,
        network: nn.Module,
        folding: FoldedPadding,
        latents: Tensor,
        time: Tensor,
        conditioning: Conditioning,
    ) -> Tensor:
        folding.bias = conditioning.tensors["bias"]
        return network(
            hidden_states=latents.to(self._dtype),
            timestep=time * self._scheduler.config["num_train_timesteps"],
            encoder_hidden_states=conditioning.tensors["text"].to(self._dtype),
            return_dict=False,
        )[0].float()

    def add_self_conditioning(self) -> SelfConditioning:
        """Let a network that was not trained with an estimate see one, until ``remove()``.

        Raises:
            BaseModelError: there is a projection already.
        """
        if self.self_conditioned:
            raise BaseModelError(
                f"{self.id!r} has a projection for self-conditioning already; it cannot have two"
            )

        def forget() -> None:
            self._self_conditioning = None

        self._self_conditioning = SelfConditioning(self._patches, on_remove=forget)
        return self._self_conditioning


def clean_prompt(text: str) -> str:
    """Mend a prompt's characters, entities and spaces, as the Wan pipeline does."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", text).strip()
