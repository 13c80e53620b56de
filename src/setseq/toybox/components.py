"""The networks of the toybox's base model, and the pipeline folder that they make together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from setseq.errors import SettingsError
from setseq.models.folding import FoldedPadding, fold_padding, install_folded_padding
from setseq.models.self_conditioning import FILE, SelfConditioning, save_projection
from setseq.toybox.autoencoder import ToyAutoencoder
from setseq.toybox.tokenizer import build_tokenizer
from setseq.toybox.world import FPS, NUM_FRAMES, SIZE

if TYPE_CHECKING:
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

TIMESTEP_SHIFT = 1.2
PATCH = (1, 1, 1)  # latents in a token
# What models/registry.py reads beside the pipeline: sizes, and defaults. Our choice. The rate, its
# fall and the times of Sequence were measured on this base; dropout and self-conditioning on an
# earlier one (docs/toybox.md); two clips a step are what three minutes of two cores allow at 576
# tokens a clip.
CARD = {
    "id": "toybox",
    "fps": FPS,
    "width": SIZE,
    "height": SIZE,
    "num_frames": NUM_FRAMES,
    "learn": {
        "rank": 16,
        "learning_rate": 4e-3,
        "learning_rate_decay": 0.5,
        "clip_norm": 1.0,
        "set_steps": 140,
        "sequence_steps": 260,
        "set_batch": 17,
        "sequence_batch": 2,
        "sequence_time_mean": 0.9,
        "sequence_time_std": 1.5,
        "self_conditioning": 0.0,
    },
    "generate": {"num_steps": 12, "guidance": 3.0, "self_conditioning": False},
}
# The longest caption, and the longest look (what lone frames are told), so that shapes stay the
# same from step to step.
_PROMPT_ROWS, _LOOK_ROWS = 63, 39


@dataclass(frozen=True)
class Networks:
    """The transformer and the text encoder that it reads, with the tokenizer.

    Attributes:
        self_conditioning: The projection of the estimate, zero in new networks.
    """

    transformer: WanTransformer3DModel
    text_encoder: UMT5EncoderModel
    tokenizer: PreTrainedTokenizerFast
    folding: FoldedPadding
    self_conditioning: SelfConditioning

    def encode(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (b, rows) and their mask as folded rows (b, rows + 1, d) and their bias."""
        rows = self.text_encoder(ids, mask).last_hidden_state
        return fold_padding(rows * mask.unsqueeze(-1), [ids.shape[1]] * len(ids))

    def to(self, device: torch.device) -> Networks:
        """The networks themselves, moved to a device."""
        for network in (self.transformer, self.text_encoder, self.self_conditioning):
            nn.Module.to(network, device)  # those of the libraries have other types
        return self

    def velocity(
        self,
        latents: Tensor,
        time: Tensor,
        rows: Tensor,
        bias: Tensor,
        estimate: Tensor | None = None,
    ) -> Tensor:
        """The predicted velocity (b, c, f, h, w) at times (b,) in [0, 1]; zeros are no estimate."""
        self.folding.bias = bias.to(rows.dtype)
        self.self_conditioning.estimate = estimate
        return self.transformer(latents, time * 1000, rows, return_dict=False)[0]


def tokens_of_captions(
    tokenizer: PreTrainedTokenizerFast, captions: list[str], *, short: bool = False
) -> tuple[Tensor, Tensor]:
    """Captions as the text encoder reads them while the base is trained.

    Args:
        tokenizer: That of the networks.
        captions: b captions.
        short: Whether to keep only as much as the longest look has, for lone frames: what is cut
            off names a motion.

    Returns:
        Ids and mask, each (b, rows), with the same number of rows for all captions of a kind.
    """
    read = tokenizer(
        captions,
        padding="max_length",
        max_length=_LOOK_ROWS if short else _PROMPT_ROWS,
        truncation=True,
        return_tensors="pt",
    )
    return read["input_ids"], read["attention_mask"]


def build_networks(
    *, channels: int, width: int = 256, layers: int = 8, text_width: int = 192, text_layers: int = 3
) -> Networks:
    """New networks; draws from torch's seed, which the caller has set.

    Args:
        channels: Channels of the latents.
        width: Width of the transformer, a multiple of 64.
        layers: Blocks of the transformer.
        text_width: Width of the text encoder.
        text_layers: Layers of the text encoder.

    Returns:
        The networks. The key of an empty text row starts unattractive: the pipeline pads prompts
        with hundreds of such rows, which would drown the words at the start of training.
    """
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    tokenizer = build_tokenizer()
    config = UMT5Config(
        vocab_size=len(tokenizer),
        d_model=text_width,
        d_kv=48,
        d_ff=2 * text_width,
        num_layers=text_layers,
        num_heads=4,
        dropout_rate=0.0,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=32,
    )
    transformer = WanTransformer3DModel(
        patch_size=PATCH,
        num_attention_heads=width // 64,
        attention_head_dim=64,
        in_channels=channels,
        out_channels=channels,
        text_dim=text_width,
        freq_dim=128,
        ffn_dim=4 * width,
        num_layers=layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
    )
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            if "text_embedder" in name and name.endswith("bias"):
                parameter.zero_()
            elif name.endswith("attn2.to_k.bias"):
                parameter.fill_(-1e-3)
            elif name.endswith("attn2.to_q.bias"):
                parameter.fill_(0.5)
            elif name.endswith("attn2.to_v.bias"):
                parameter.zero_()
    folding = install_folded_padding(transformer)
    conditioning = SelfConditioning(transformer.patch_embedding)
    return Networks(transformer, UMT5EncoderModel(config), tokenizer, folding, conditioning)


# What of a transformer depends on the latents' channels and on the patch.
_OF_LATENTS = ("patch_embedding.", "proj_out.")


def _shape(weights: dict[str, Tensor], name: str) -> torch.Size | None:
    return weights[name].shape if name in weights else None


def load_weights(networks: Networks, folder: Path) -> None:
    """Takes over the weights of a trained base, to go on with it, also on a larger grammar.

    Args:
        networks: New networks with blocks of the same sizes. Their vocabulary may have grown; what
            enters and leaves the blocks stays new where the latents or the patch are others.
        folder: The base's pipeline folder. Rows of words that it does not know stay new.

    Raises:
        SettingsError: Its blocks have other sizes.
    """
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    weights = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    own = networks.transformer.state_dict()
    odd = {k for k in own.keys() | weights.keys() if _shape(own, k) != _shape(weights, k)}
    if any(not name.startswith(_OF_LATENTS) for name in odd):
        raise SettingsError(
            f"the base in {folder} has blocks of another number or size than the recipe's, as"
            f" {min(odd)!r} shows; go on with the recipe's own sizes, or start without a base"
        )
    known = {name: value.float() for name, value in weights.items() if name not in odd}
    networks.transformer.load_state_dict({**own, **known})
    text = load_file(folder / "text_encoder" / "model.safetensors")
    old_words = AutoTokenizer.from_pretrained(folder / "tokenizer").get_vocab()
    rows = networks.text_encoder.get_input_embeddings().weight.detach().clone()
    for word, place in networks.tokenizer.get_vocab().items():
        if word in old_words:
            rows[place] = text["shared.weight"][old_words[word]].float()
    known = {k: v.float() for k, v in text.items() if k != "shared.weight"}
    tied = dict.fromkeys(("shared.weight", "encoder.embed_tokens.weight"), rows)
    networks.text_encoder.load_state_dict(known | tied, strict=False)
    if (folder / FILE).exists():
        projection = load_file(folder / FILE)["projection.weight"]
        if projection.shape == networks.self_conditioning.weight.shape:
            networks.self_conditioning.load(projection)


def save_pipeline(networks: Networks, autoencoder: ToyAutoencoder, folder: Path) -> None:
    """Writes the networks as an ordinary diffusers Wan pipeline folder with float16 weights.

    Args:
        networks: The transformer and the text encoder; they become float16.
        autoencoder: The autoencoder; it becomes float16.
        folder: Where to write; it is made.
    """
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
        FlowMatchEulerDiscreteScheduler,
    )

    networks.folding.remove()
    networks.self_conditioning.remove()
    pipeline = WanPipeline(
        tokenizer=networks.tokenizer,  # pyright: ignore[reportArgumentType]
        text_encoder=networks.text_encoder,
        transformer=networks.transformer,
        vae=autoencoder,  # pyright: ignore[reportArgumentType]
        scheduler=FlowMatchEulerDiscreteScheduler(shift=TIMESTEP_SHIFT),
    )
    for network in (networks.transformer, networks.text_encoder, autoencoder):
        network.half()
    pipeline.save_pretrained(folder)
    config = json.loads((folder / "vae" / "config.json").read_text())
    config.pop("_name_or_path", None)  # where the run lay is nobody's business
    (folder / "vae" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    projection = networks.self_conditioning.state_dict()["projection.weight"]
    if projection.any():
        save_projection(projection, folder)
    (folder / "setseq.json").write_text(json.dumps(CARD, indent=2) + "\n")
