"""LTX-2 (19B), a text-to-video model that makes sound too: here its picture alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from setseq.models.base import Conditioning
from setseq.models.card import BaseCard
from setseq.models.components import Components
from setseq.models.frozen import FrozenModel, served
from setseq.models.ltx import LtxModel

TEXT_ROWS = 1024


class Ltx2Model(LtxModel):
    r"""LTX-2: latents of 8 x 32 x 32 pixels with 128 channels, each one token, as LTX-Video's.

    Its network has a stream for the picture and one for the sound, which see each other in every
    block. A clip's sound is not learned here (our choice: a concept is a look and a movement), so
    the streams are isolated, as the network can be told to be: the picture's velocity is then that
    of a video without sound. The sound's stream gets one token of silence, whose result is thrown
    away. The pipeline samples both together; it isolates them in the extra pass of its guidance
    between picture and sound only. A learned concept goes into the picture's layers, which are the
    same in both modes.

    Concepts stand in the picture's own layers (``attn1``, ``attn2``, ``ff``). The sound's
    (``audio_*``) and those between the streams (``audio_to_video_attn``, ``video_to_audio_attn``)
    have no say in what is learned, and would only stay zero.

    Gemma's states of all layers go through ``connectors`` to the 1,024 rows that the network reads;
    these leave memory with the text encoder. What fills the rows behind a prompt is learned, so
    there is nothing to mask or to cut.
    """

    family = "ltx2"
    parts = (*FrozenModel.parts, "connectors")
    text_encoders = ("text_encoder", "connectors")
    card = BaseCard(
        fps=24,
        width=768,
        height=512,
        num_frames=121,
        generate={"num_steps": 40, "guidance": 4.0},
    )

    def __init__(self, components: Components, card: BaseCard, *, id: str = "") -> None:
        """As for all models; the tokenizer pads on the left, whatever its file says."""
        super().__init__(components, card, id=id)
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts as the pipeline does, for the picture's stream.

        Raises:
            PromptError: a prompt is longer than the model reads.
        """
        ids, mask = self._tokenised([prompt.strip() for prompt in prompts], TEXT_ROWS)
        states = self._text_encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        layers = torch.stack(states, dim=-1).flatten(2)
        text, _, mask = self.components["connectors"](layers, mask, padding_side="left")
        return Conditioning({"text": text, "mask": mask})

    def blank_prompt(self) -> Conditioning:
        """A prompt of zeros; see ``FrozenModel``."""
        config = self.components.config("transformer")
        own = config["num_attention_heads"] * config["attention_head_dim"]
        width = config["caption_channels"] if config["use_prompt_embeddings"] else own
        return Conditioning(
            {"text": torch.zeros(1, TEXT_ROWS, width), "mask": torch.ones(1, TEXT_ROWS)}
        )

    def _predict(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """The predicted velocity, float32; the network predicts noise - data already."""
        text = served(conditioning, len(latents))
        frames, height, width = latents.shape[2:]
        network: Any = self.denoiser
        predicted = network(
            hidden_states=latents.flatten(2).transpose(1, 2).to(self._dtype),
            encoder_hidden_states=text["text"].to(self._dtype),
            encoder_attention_mask=text["mask"],
            timestep=time * 1000,
            sigma=time * 1000,
            num_frames=frames,
            height=height,
            width=width,
            fps=self.geometry.fps,
            isolate_modalities=True,
            return_dict=False,
            **self._silence(network.config, len(latents)),
        )[0]
        return predicted.float().transpose(1, 2).unflatten(2, (frames, height, width))

    def _silence(self, config: Any, count: int) -> dict[str, Any]:
        """One token of sound and one of its text, both zero, which the picture never sees."""
        own = config.audio_num_attention_heads * config.audio_attention_head_dim
        width = config.caption_channels if config.use_prompt_embeddings else own

        def nothing(channels: int) -> Tensor:
            return torch.zeros(count, 1, channels, dtype=self._dtype, device=self.device)

        return {
            "audio_hidden_states": nothing(config.audio_in_channels),
            "audio_encoder_hidden_states": nothing(width),
            "audio_num_frames": 1,
        }
