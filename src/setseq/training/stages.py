"""The stages as descriptions: what each sees, what it trains, which prompts it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from setseq.config import LearnSettings
from setseq.errors import SettingsError
from setseq.models.base import VideoModel
from setseq.prompts import ConceptPrompt
from setseq.training.masks import clip_weights, frame_weights
from setseq.training.state import PROJECTION, TOKENS

CONCEPT = "concept"
# What each stage trains; see ``Stage.trains``.
SET_TRAINS = frozenset({"basis", "identity", TOKENS, PROJECTION})
SEQUENCE_TRAINS = frozenset({"motion", TOKENS})
# Frames that the autoencoder encodes together at most, and their pixels (two of 832x480).
_FRAMES_AT_ONCE, _PIXELS_AT_ONCE = 32, 2**20

Target = Literal["data", "base"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Samples of one kind, of one shape: the concept's own, another concept's, the prior's.

    Attributes:
        name: in reports.
        latents: all that it has, (n, c, f, h, w), kept in memory.
        prompts: n prompts with placeholders, one for each of the latents.
        share: of each step's samples, relative to the sum over the stage's groups.
        weight: factor of its samples' loss, at least 0.
        masks: weights of the loss by place, (n, 1, f, h, w), of mean 1; None is 1 everywhere.
        target: "data", the velocity of the path to the latents; "base", what the model predicts
            without the concept at the same point.
        times: mean and standard deviation of the logits of its own training times, where the stage
            joins kinds of different ones; None is the stage's.
    """

    name: str
    latents: Tensor
    prompts: tuple[str, ...]
    share: float = 1.0
    weight: float = 1.0
    masks: Tensor | None = None
    target: Target = "data"
    times: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One stage of the one loop.

    Attributes:
        name: "set", "sequence" or a baseline's own, in reports and checkpoints.
        groups: all that it can see.
        trains: parts that it trains: "basis", "identity", "motion", "tokens",
            "self_conditioning" where the concept has a projection of its own, and "motion_basis"
            where motion has a basis of its own.
        motion_strength: of every layer during the stage; at 0 the motion costs nothing.
        steps: optimizer steps.
        batch: samples a step, of all groups together (before accumulation).
        time_mean: mean of the logits of the training times, before the base's shift.
        time_std: their standard deviation.
        rate: factor of the layers' learning rate.
        temporal_difference: weight of the changes from frame to frame in the loss, see
            ``objective.flow_losses``.
        dropout: rates in [0, 1) of "identity" or "motion", whose entries are dropped anew each
            step. Source: Eq. 10, arXiv:2502.14844.
    """

    name: str
    groups: tuple[Group, ...]
    trains: frozenset[str]
    motion_strength: float
    steps: int
    batch: int
    time_mean: float = 0.0
    time_std: float = 1.0
    rate: float = 1.0
    temporal_difference: float = 0.0
    dropout: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingClip:
    """One clip of a concept, as the stages see it.

    Attributes:
        pixels: (3, f, h, w) in [-1, 1], of a size and length that the model can make.
        prompt: its two parts, with placeholders.
        sha256: hash of the file that it came from.
        start_s: where in that file it starts, in seconds; None where there is no file.
        mask: (1, f, h, w) in [0, 1], what to learn of each frame; None for all of it.
        between: (n, 3, f, h, w), what the file has between those frames, as clips that each begin
            a fraction of a frame later; None for none. Both stages see them as they see ``pixels``.
        between_masks: (n, 1, f, h, w), theirs, where there is a mask.
    """

    pixels: Tensor
    prompt: ConceptPrompt
    sha256: str = ""
    start_s: float | None = None
    mask: Tensor | None = None
    between: Tensor | None = None
    between_masks: Tensor | None = None

    @property
    def videos(self) -> Tensor:
        """All that is learned of it, (1 + n, 3, f, h, w)."""
        return _stacked(self.pixels, self.between)

    @property
    def masks(self) -> Tensor | None:
        """Those of ``videos``, (1 + n, 1, f, h, w)."""
        return None if self.mask is None else _stacked(self.mask, self.between_masks)


def set_stage(
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    others: Sequence[Group] = (),
) -> Stage:
    """Stage 1, Set: single frames in no order, static prompts; trains basis and identity.

    Each frame is encoded as a video of its own, so a step costs 1/T of a clip's step per sample.
    Several clips are seen equally often. Source: Eq. 3 to 5, arXiv:2502.14844.

    Args:
        model: encodes the clips.
        clips: of the concept or concepts.
        settings: steps, batch and dropout.
        others: groups beside them, each with its share of the whole, below 1 together.
    """
    groups = []
    for number, clip in enumerate(clips, 1):
        latents = torch.cat([encode_frames(model, pixels) for pixels in clip.videos])
        masks = clip.masks
        group = Group(
            name=_name(number, len(clips)),
            latents=latents,
            prompts=(clip.prompt.look,) * len(latents),
            masks=None
            if masks is None
            else frame_weights(torch.cat([*masks], dim=1), latents.shape[-2:]),
        )
        groups.append(group)
    return Stage(
        name="set",
        groups=beside(groups, others),
        trains=SET_TRAINS,
        motion_strength=0.0,
        steps=settings.set_steps,
        batch=settings.set_batch,
        time_mean=settings.set_time_mean,
        time_std=settings.set_time_std,
        dropout={"identity": settings.identity_dropout},
    )


def sequence_stage(
    model: VideoModel,
    clips: Sequence[TrainingClip],
    settings: LearnSettings,
    others: Sequence[Group] = (),
) -> Stage:
    """Stage 2, Sequence: whole clips, static and dynamic prompts; trains the motion alone.

    Args as for ``set_stage``. Source: Eq. 6 to 9, arXiv:2502.14844.
    """
    groups = []
    for number, clip in enumerate(clips, 1):
        latents = torch.cat([model.encode_video(pixels[None]) for pixels in clip.videos])
        size, factor = latents.shape[-3:], model.geometry.temporal_factor
        masks = clip.masks
        group = Group(
            name=_name(number, len(clips)),
            latents=latents,
            prompts=(clip.prompt.full,) * len(latents),
            masks=None
            if masks is None
            else torch.cat([clip_weights(mask, size, factor) for mask in masks]),
        )
        groups.append(group)
    return Stage(
        name="sequence",
        groups=beside(groups, others),
        trains=SEQUENCE_TRAINS,
        motion_strength=1.0,
        steps=settings.sequence_steps,
        batch=settings.sequence_batch,
        time_mean=settings.sequence_time_mean,
        time_std=settings.sequence_time_std,
        rate=settings.sequence_rate,
        temporal_difference=settings.temporal_difference,
        dropout={"motion": settings.motion_dropout},
    )


def beside(groups: Sequence[Group], others: Sequence[Group]) -> tuple[Group, ...]:
    """Groups that share evenly what the others, with shares of the whole, leave them.

    Raises:
        SettingsError: they leave nothing.
    """
    rest = left_over([(other.name, other.share) for other in others])
    return (*(replace(group, share=rest / len(groups)) for group in groups), *others)


def left_over(shares: Sequence[tuple[str, float]]) -> float:
    """The share of a step that these, each with its name, leave to the concept.

    Raises:
        SettingsError: they leave nothing.
    """
    rest = 1 - sum(share for _, share in shares)
    if rest <= 0:
        named = " and ".join(f"{name} ({share:g})" for name, share in shares)
        raise SettingsError(
            f"the shares of {named} leave nothing of a step for the concept; together they must be"
            " below 1"
        )
    return rest


def encode_frames(model: VideoModel, pixels: Tensor) -> Tensor:
    """Latents (f, c, 1, h', w') of a clip's frames (3, f, h, w), each encoded alone."""
    frames = pixels.transpose(0, 1).unsqueeze(2)
    parts = frames.split(frames_at_once(*pixels.shape[-2:]))
    return torch.cat([model.encode_video(part) for part in parts])


def frames_at_once(height: int, width: int) -> int:
    """Single frames of this size in pixels that are encoded together: many only of small ones."""
    return max(1, min(_FRAMES_AT_ONCE, _PIXELS_AT_ONCE // (height * width)))


def _stacked(first: Tensor, others: Tensor | None) -> Tensor:
    return first[None] if others is None else torch.cat([first[None], others])


def _name(number: int, count: int) -> str:
    return CONCEPT if count == 1 else f"{CONCEPT} {number}"
