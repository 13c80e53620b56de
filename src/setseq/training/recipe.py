"""What a training is made of, as data: its stages, and what of a layer they can train."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from setseq.config import LearnSettings
from setseq.models.base import VideoModel
from setseq.training.stages import Group, Stage, TrainingClip, sequence_stage, set_stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Materials:
    """What stages are made from.

    Attributes:
        model: the base model.
        clips: of the concept or concepts.
        settings: of the training.
        frames: groups of single frames that are learned beside the clips' (the prior's, stitched
            ones), each with its share of the whole, below 1 together.
        videos: likewise whole clips.
    """

    model: VideoModel
    clips: Sequence[TrainingClip]
    settings: LearnSettings
    frames: Sequence[Group] = ()
    videos: Sequence[Group] = ()


StageMaker = Callable[[Materials], Stage]


def set_of(given: Materials) -> Stage:
    """Stage 1 of the method."""
    return set_stage(given.model, given.clips, given.settings, given.frames)


def sequence_of(given: Materials) -> Stage:
    """Stage 2 of the method."""
    return sequence_stage(given.model, given.clips, given.settings, given.videos)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a concept is learned, as far as no setting says it. The defaults are the method itself.

    Attributes:
        name: of another method, for the provenance and the checkpoints; "" is the method itself.
        stages: in their order.
        full_rank: train whole weights: the rank is the width of the layers' inputs and the basis
            the identity matrix, so that the coefficients are the change of the weight. No stage may
            train the basis then.
        own_motion_basis: motion has a basis of its own, part "motion_basis". The concept holds the
            ranks side by side.
    """

    name: str = ""
    stages: tuple[StageMaker, ...] = (set_of, sequence_of)
    full_rank: bool = False
    own_motion_basis: bool = False


SET_AND_SEQUENCE = Recipe()
