"""HunyuanVideo text-to-video models (13B). Version 1.5: hunyuan15.py."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from setseq.models.base import Conditioning, Geometry
from setseq.models.card import BaseCard
from setseq.models.frozen import FrozenModel, refuse_longer, served
from setseq.models.shift import shifted_sigmas

TEXT_ROWS = 256
CLIP_ROWS = 77
_SKIPPED_LAYERS = 2  # of the language model, from its end


class HunyuanModel(FrozenModel):
    """HunyuanVideo: latents of 4 x 8 x 8 pixels with 16 channels; two text encoders.

    Its network was distilled to read guidance as a number. Learning tells it 1, for the velocity
    of a clip is that of no guidance; sampling tells it what is asked for, in one pass. (Our choice,
    and the usual one of trainers.) Learned tokens are rows of the language model; CLIP, which
    reads the first 77 tokens, sees them as plain text.
    """

    family = "hunyuan"
    lora_targets = (
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)"
        r"|ff(_context)?\.net\.(0\.proj|2))"
        r"|single_transformer_blocks\.\d+\.(attn\.to_[qkv]|proj_mlp|proj_out)"
    )
    parts = (*FrozenModel.parts, "text_encoder_2", "tokenizer_2")
    text_encoders = ("text_encoder", "text_encoder_2")
    frame_strengths = False
    card = BaseCard(
        fps=24,
        width=1280,
        height=720,
        num_frames=129,
        generate={"num_steps": 50, "guidance": 6.0},
    )

    @property
    def embeds_guidance(self) -> bool:
        """Whether this network was distilled to read guidance; the published one was."""
        return bool(self.components.config("transformer")["guidance_embeds"])

    def _geometry(self, card: BaseCard) -> Geometry:
        autoencoder = self.components.config("vae")
        patch = self.components.config("transformer")["patch_size"]
        space = autoencoder["spatial_compression_ratio"]
        self._scaling: float = autoencoder["scaling_factor"]
        return card.geometry(
            temporal_factor=autoencoder["temporal_compression_ratio"],
            spatial_factor=space,
            size_multiple=space * patch,
            latent_channels=autoencoder["latent_channels"],
        )

    def sigmas(self, num_steps: int, shape: Sequence[int] | None = None) -> Tensor:
        """The pipeline's sampling times."""
        return shifted_sigmas(self._scheduler, num_steps, tokens=1)

    def _normalised(self, latents: Tensor) -> Tensor:
        return latents * self._scaling

    def _raw(self, latents: Tensor) -> Tensor:
        return latents / self._scaling

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts within the pipeline's instruction, of which the network sees nothing.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import (
            DEFAULT_PROMPT_TEMPLATE,
        )

        start: int = DEFAULT_PROMPT_TEMPLATE["crop_start"]
        texts = [DEFAULT_PROMPT_TEMPLATE["template"].format(prompt) for prompt in prompts]
        refuse_longer(self.tokenizer, texts, TEXT_ROWS, start=start)
        ids, mask = self._tokenised(texts, TEXT_ROWS + start, cut=True)
        layers = self._text_encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        summary, _ = self._tokenised(prompts, CLIP_ROWS, component="tokenizer_2", cut=True)
        return Conditioning(
            {
                "text": layers[-(_SKIPPED_LAYERS + 1)][:, start:],
                "mask": mask[:, start:],
                "pooled": self.components["text_encoder_2"](summary).pooler_output,
                "guidance": torch.ones(len(prompts), device=ids.device),
            }
        )

    def blank_prompt(self) -> Conditioning:
        """A prompt of zeros; see ``FrozenModel``."""
        config = self.components.config("transformer")
        return Conditioning(
            {
                "text": torch.zeros(1, TEXT_ROWS, config["text_embed_dim"]),
                "mask": torch.ones(1, TEXT_ROWS),
                "pooled": torch.zeros(1, config["pooled_projection_dim"]),
                "guidance": torch.ones(1),
            }
        )

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The predicted velocity, float32; the network predicts noise - data already."""
        text = served(conditioning, len(latents))
        network: Any = self.denoiser
        return network(
            hidden_states=latents.to(self._dtype),
            timestep=time * 1000,
            encoder_hidden_states=text["text"].to(self._dtype),
            encoder_attention_mask=text["mask"].to(self._dtype),
            pooled_projections=text["pooled"].to(self._dtype),
            guidance=text["guidance"].to(self._dtype) * 1000 if self.embeds_guidance else None,
            return_dict=False,
        )[0].float()
