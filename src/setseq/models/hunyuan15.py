"""HunyuanVideo 1.5 text-to-video models (8.3B)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from setseq.models.base import Conditioning
from setseq.models.card import BaseCard
from setseq.models.frozen import refuse_longer, served
from setseq.models.hunyuan import HunyuanModel

TEXT_ROWS = 1000
GLYPH_ROWS = 256
_CLOSING_ROWS = 8  # at most, that end the prompt in the model's chat template


class Hunyuan15Model(HunyuanModel):
    """HunyuanVideo 1.5: latents of 4 x 16 x 16 pixels with 32 channels; two text encoders.

    The second one reads what a prompt has in quotation marks, to write it into the picture. Rows
    that the network masks (padding, and the picture that text to video starts without) are left
    out: the result is the same, and 2,000 tokens are spared. Its guidance is a second pass.
    """

    family = "hunyuan15"
    frame_strengths = True
    card = BaseCard(
        fps=24,
        width=848,
        height=480,
        num_frames=121,
        generate={"num_steps": 50, "guidance": 6.0},
    )

    @property
    def embeds_guidance(self) -> bool:
        """No: see the class."""
        return False

    @property
    def _autoencoder(self) -> Any:
        """One video at a time: the mask of its attention fits no batch (diffusers 0.42)."""
        autoencoder = super()._autoencoder
        autoencoder.enable_slicing()
        return autoencoder

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts within the pipeline's instruction.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        from diffusers.pipelines.hunyuan_video1_5.pipeline_hunyuan_video1_5 import (
            HunyuanVideo15Pipeline,
        )

        refuse_longer(self.tokenizer, prompts, TEXT_ROWS - _CLOSING_ROWS)
        text, mask = HunyuanVideo15Pipeline._get_mllm_prompt_embeds(
            self._text_encoder, self.tokenizer, list(prompts), self.hardware.text_device
        )
        glyphs, glyph_mask = HunyuanVideo15Pipeline._get_byt5_prompt_embeds(
            self.components["tokenizer_2"],
            self.components["text_encoder_2"],
            list(prompts),
            self.hardware.text_device,
        )
        rows, glyph_rows = _longest(mask), _longest(glyph_mask)
        return Conditioning(
            {
                "text": text[:, :rows],
                "mask": mask[:, :rows],
                "glyphs": glyphs[:, :glyph_rows],
                "glyph_mask": glyph_mask[:, :glyph_rows],
            }
        )

    def blank_prompt(self) -> Conditioning:
        """A prompt of zeros; see ``FrozenModel``."""
        config = self.components.config("transformer")
        return Conditioning(
            {
                "text": torch.zeros(1, TEXT_ROWS, config["text_embed_dim"]),
                "mask": torch.ones(1, TEXT_ROWS, dtype=torch.bool),
                "glyphs": torch.zeros(1, GLYPH_ROWS, config["text_embed_2_dim"]),
                "glyph_mask": torch.ones(1, GLYPH_ROWS, dtype=torch.bool),
            }
        )

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The predicted velocity, float32; the network predicts noise - data already."""
        text = served(conditioning, len(latents))
        network: Any = self.denoiser
        count, _, frames, height, width = latents.shape
        # A picture to start from, and where it stands: none, for text to video.
        channels = network.config.in_channels - latents.shape[1]
        nothing = latents.new_zeros(count, channels, frames, height, width)
        picture = torch.zeros(
            count, 1, network.config.image_embed_dim, dtype=self._dtype, device=latents.device
        )
        return network(
            hidden_states=torch.cat([latents, nothing], dim=1).to(self._dtype),
            timestep=time * 1000,
            encoder_hidden_states=text["text"].to(self._dtype),
            encoder_attention_mask=text["mask"],
            encoder_hidden_states_2=text["glyphs"].to(self._dtype),
            encoder_attention_mask_2=text["glyph_mask"],
            image_embeds=picture,
            return_dict=False,
        )[0].float()


def _longest(mask: Tensor) -> int:
    """Rows of the longest text, at least 1; padding follows the text."""
    return max(1, int(mask.sum(dim=1).max()))
