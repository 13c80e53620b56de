"""The toybox's own encoders for the metrics, in the formats of the published ones.

A CLIP (transformers' CLIPModel, a tokenizer and an image processor in one folder), trained on
single frames and captions; and an identity encoder (transformers' ResNetModel and its image
processor), trained with an ArcFace loss to know random looks again, thousands and thousands of
them, in any place, light, style and stance, with an accessory or without. Both are small: they
know this world alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from setseq.toybox.captions import caption, unnamed_caption
from setseq.toybox.draw import draw_scene
from setseq.toybox.looks import draw_look, random_look
from setseq.toybox.resume import OnStep, Resumable
from setseq.toybox.settings import EncoderSettings
from setseq.toybox.tokenizer import build_tokenizer
from setseq.toybox.world import ACCESSORIES, NUM_FRAMES, SIZE, random_scene

if TYPE_CHECKING:
    from transformers import CLIPModel, PreTrainedTokenizerFast, ResNetModel

LOOK_SEED = 700_000_000  # first of the looks that the identity encoder learns
_MAX_WORDS = 64
IDENTITY_SIZE = 96  # larger than drawn, for a ResNet's stem makes it four times smaller at once
_CREATURES = 0.35  # share of CLIP's pictures that show a look which no word names


def build_clip(
    *, width: int = 128, layers: int = 4, text_width: int = 128, text_layers: int = 2
) -> tuple[CLIPModel, PreTrainedTokenizerFast]:
    """A CLIP for pictures of the toybox's size, with new weights from torch's seed."""
    from transformers import CLIPConfig, CLIPModel

    tokenizer = build_tokenizer()
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": text_width,
        "intermediate_size": 2 * text_width,
        "num_hidden_layers": text_layers,
        "num_attention_heads": text_width // 32,
        "max_position_embeddings": _MAX_WORDS,
        "hidden_act": "gelu",
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 32,
        "image_size": SIZE,
        "patch_size": 8,
        "hidden_act": "gelu",
    }
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=128)
    tokenizer.model_max_length = _MAX_WORDS
    # Its backward pass takes a third of the time that the fused attention's takes on a processor.
    model = CLIPModel._from_config(config, attn_implementation="eager")
    return model, tokenizer


def build_identity(*, widths: tuple[int, ...] = (32, 64, 128, 256), depth: int = 1) -> ResNetModel:
    """An identity encoder with new weights from torch's seed, for pictures of IDENTITY_SIZE."""
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=list(widths),
        depths=[depth] * len(widths),
        layer_type="basic",
    )
    network = ResNetModel(config)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def save_encoder(
    network: nn.Module,
    folder: Path,
    tokenizer: PreTrainedTokenizerFast | None = None,
    *,
    size: int = SIZE,
) -> None:
    """Writes an encoder as an ordinary transformers folder, weights in float16.

    Args:
        network: A transformers model; it becomes float16.
        folder: Where to write; it is made.
        tokenizer: Of a CLIP.
        size: Side in pixels that pictures are scaled to.
    """
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    network.half().save_pretrained(folder)  # pyright: ignore[reportCallIssue]
    processor.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def captioned_picture(rng: random.Random) -> tuple[Tensor, str]:
    """Draws a picture with its caption.

    Returns:
        Pixels (3, SIZE, SIZE) in [-1, 1], and the words. About a third of the pictures show a look
        that no word names, as those that concepts are learned from; one caption in four says how
        it moves, which a picture cannot show, so that CLIP learns to ignore it.
    """
    scene = random_scene(rng.randrange(2**40))
    drop = rng.choice((0.0, 0.1, 0.4))
    if rng.random() < _CREATURES:
        accessory, look = rng.choice(ACCESSORIES), random_look(rng.randrange(2**40))
        picture = draw_look(look, scene, rng, accessory=accessory, count=1)
        words = unnamed_caption(scene, rng, accessory, drop=drop)
    else:
        picture = draw_scene(scene, [rng.randrange(NUM_FRAMES)])
        said = caption(scene, rng, drop=drop)
        words = said.text if rng.random() < 0.25 else said.look
    return picture[0] * 2 - 1, words


def _roughened(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures with some noise and blur, since what a base generates is never quite clean."""
    count = len(pixels)
    blurred = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = torch.rand(count, 1, 1, 1, generator=generator).square()
    grain = 0.08 * torch.rand(count, 1, 1, 1, generator=generator)
    rough = torch.lerp(pixels, blurred, share)
    return rough + grain * torch.randn(pixels.shape, generator=generator)


def _rng(generator: torch.Generator) -> random.Random:
    return random.Random(int(torch.randint(2**62, (1,), generator=generator)))


def train_clip(
    state: Path, settings: EncoderSettings, *, on_step: OnStep = lambda step, loss: None
) -> tuple[CLIPModel, PreTrainedTokenizerFast]:
    """Trains CLIP by its own contrastive loss; every picture is drawn anew.

    Args:
        state: File of the run's state; the run resumes from it.
        settings: For how long, on what.
        on_step: Called after each step with its number and loss.

    Returns:
        The trained model in eval mode, and its tokenizer.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model, tokenizer = build_clip()

    def loss_at(generator: torch.Generator) -> Tensor:
        rng = _rng(generator)
        pictures, words = zip(
            *(captioned_picture(rng) for _ in range(settings.clip_batch)), strict=True
        )
        tokens = tokenizer(
            list(words), padding=True, truncation=True, max_length=_MAX_WORDS, return_tensors="pt"
        )
        with torch.autocast("cpu", torch.bfloat16):
            output = model(
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                pixel_values=_roughened(torch.stack(pictures), generator),
            )
        return contrastive_loss(output.logits_per_text.float())

    run = Resumable(model, state, steps=settings.clip_steps, rate=1e-3)
    run.run(loss_at, seed=settings.seed, on_step=on_step)
    return model.eval().requires_grad_(False), tokenizer


def contrastive_loss(logits: Tensor) -> Tensor:
    """CLIP's loss of (n, n) logits: each row and each column has its answer on the diagonal."""
    answers = torch.arange(len(logits))
    return (F.cross_entropy(logits, answers) + F.cross_entropy(logits.T, answers)) / 2


def arcface_loss(cosines: Tensor, *, margin: float, scale: float = 16.0) -> Tensor:
    """Additive angular margin loss of pictures against one direction a look.

    Args:
        cosines: (n, n) in [-1, 1], each row's own look on the diagonal.
        margin: Added to the angle between a picture and its own look, in radians.
        scale: Of the cosines before the softmax.

    Source: Deng et al., "ArcFace", CVPR 2019, Eq. 3. Our choice: a look's direction is that of
    another picture of it, instead of a learned row; so every step brings new looks, without end.
    """
    own = cosines.diagonal().clamp(-1 + 1e-6, 1 - 1e-6)
    harder = torch.cos((own.acos() + margin).clamp(max=math.pi))
    return contrastive_loss(scale * torch.diagonal_scatter(cosines, harder))


def look_pictures(seeds: list[int], rng: random.Random) -> Tensor:
    """Draws looks, two pictures each, nothing but the look the same in both.

    Args:
        seeds: Of the looks.
        rng: Draws scenery, stances and accessories.

    Returns:
        (2, n, 3, SIZE, SIZE) in [-1, 1].
    """
    pictures = []
    for seed in seeds * 2:
        scene = random_scene(rng.randrange(2**40))
        accessory = rng.choice(ACCESSORIES) if rng.random() < 0.3 else "none"
        pictures.append(draw_look(random_look(seed), scene, rng, accessory=accessory, count=1))
    return torch.cat(pictures).unflatten(0, (2, -1)) * 2 - 1


def train_identity(
    state: Path, settings: EncoderSettings, *, on_step: OnStep = lambda step, loss: None
) -> ResNetModel:
    """Trains the identity encoder; from the middle of the steps on the margin grows from nought.

    Our choice: while no look is told from another yet, a margin pulls all pictures together, and
    the training stays where they are all alike.

    Args:
        state: File of the run's state; the run resumes from it.
        settings: For how long, on what.
        on_step: Called after each step with its number and loss.

    Returns:
        The trained encoder in eval mode.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = build_identity()
    run = Resumable(network, state, steps=settings.identity_steps, rate=2e-3)

    def loss_at(generator: torch.Generator) -> Tensor:
        rng = _rng(generator)
        seeds = [LOOK_SEED + rng.randrange(settings.looks) for _ in range(settings.identity_batch)]
        drawn = _roughened(look_pictures(seeds, rng).flatten(0, 1), generator)
        pixels = F.interpolate(drawn, size=IDENTITY_SIZE, mode="bicubic", antialias=True)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(pixels.to(memory_format=torch.channels_last)).pooler_output
        one, other = F.normalize(found.flatten(1).float(), dim=1).chunk(2)
        margin = settings.margin * max(0.0, 2 * run.step / settings.identity_steps - 1)
        return arcface_loss(one @ other.T, margin=margin)

    run.run(loss_at, seed=settings.seed, on_step=on_step)
    return network.eval().requires_grad_(False)


def train_encoders(
    folder: Path,
    settings: EncoderSettings,
    *,
    on_progress: Callable[[str, int, int, float], None] = lambda part, done, total, loss: None,
) -> list[Path]:
    """Trains both encoders, or goes on with them, and writes their folders.

    Args:
        folder: The run; made where it is missing.
        settings: For how long, on what.
        on_progress: Called with part, done, total and loss.

    Returns:
        The folders ``identity`` and ``clip`` within the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = train_identity(
        folder / "identity.safetensors",
        settings,
        on_step=lambda step, loss: on_progress("identity", step, settings.identity_steps, loss),
    )
    save_encoder(identity, folder / "identity", size=IDENTITY_SIZE)
    clip, tokenizer = train_clip(
        folder / "clip.safetensors",
        settings,
        on_step=lambda step, loss: on_progress("clip", step, settings.clip_steps, loss),
    )
    save_encoder(clip, folder / "clip", tokenizer)
    return [folder / "identity", folder / "clip"]
