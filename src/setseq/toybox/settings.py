"""Everything that decides what the recipe makes, without importing anything heavy."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """How the base model is trained.

    Attributes:
        steps: Optimizer steps in all.
        frame_steps: How many of them, at the start, see single frames only.
        clip_share: Share of clip steps after that, [0, 1].
        clips: Clips in a batch.
        frames: Single frames in a batch.
        matrix_lr: Learning rate of Muon, on the blocks' matrices.
        other_lr: Learning rate of AdamW, on everything else.
        warmup: First steps, in which both rates rise.
        cooldown: Last share of the steps, in which both rates fall to nothing.
        self_conditioning: Share of each batch that sees an estimate of the clean latents, [0, 1].
        character_weight: Factor of the loss where a character may be, over that of the scenery,
            which covers most of a picture and is learned first.
        reading_weight: Factor of the loss of the scene reader (scene_map.py); 0 for none.
        reading_block: Block after which it reads the hidden tokens, counted from 1.
        ema: Decay of the averaged weights, which are what is kept.
        seed: Of everything random, in every part of the recipe.
    """

    steps: int = 6000
    frame_steps: int = 2000
    clip_share: float = 0.6
    clips: int = 8
    frames: int = 64
    matrix_lr: float = 0.006
    other_lr: float = 5e-4
    warmup: int = 60
    cooldown: float = 0.3
    self_conditioning: float = 0.2
    character_weight: float = 6.0
    reading_weight: float = 0.15
    reading_block: int = 3
    ema: float = 0.999
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the result.

    Attributes:
        shards: Training set in shards of clips.
        clips_per_shard: Clips in a shard; 1,024 take 35 MB on disk and in memory.
        basis_clips: Clips that the linear code is fitted to.
        renders: Clean clips kept in memory for the decoder, 0.2 MB each.
        decoder_steps: Steps of the decoder's training.
        judge_steps: Steps of the judge's training.
        words_steps: Steps in which the text encoder learns to read captions.
        channels: Channels of the latents.
        width: Width of the transformer, a multiple of 64.
        layers: Blocks of the transformer.
        pretrain: How the transformer is trained.
    """

    shards: int = 48
    clips_per_shard: int = 1024
    basis_clips: int = 500
    renders: int = 4000
    decoder_steps: int = 1800
    judge_steps: int = 3600
    words_steps: int = 600
    channels: int = 24
    width: int = 256
    layers: int = 8
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """How the two encoders are trained.

    Attributes:
        clip_steps: Steps of CLIP.
        clip_batch: Pictures with captions in a step.
        identity_steps: Steps of the identity encoder.
        identity_batch: Looks in a step, each seen twice.
        looks: How many looks the identity encoder's training draws from.
        margin: Of the ArcFace loss in the end, in radians.
        seed: Of everything random.
    """

    clip_steps: int = 2400
    clip_batch: int = 64
    identity_steps: int = 2800
    identity_batch: int = 64
    looks: int = 1_000_000
    margin: float = 0.3
    seed: int = 0
