"""The baselines' stages, made from the method's own two by changing what they are to change.

A method of one stage runs as many optimizer steps as the method's two stages together, and each
step sees as many whole clips as one of Sequence. The mixed stage has frames and clips in the
proportion of the two stages, and as many of both as whole samples a step allow: at most half a
sample a step more or fewer.
"""

from dataclasses import replace
from functools import partial

from setseq.lora.layer import MOTION_BASIS
from setseq.training.recipe import Materials, sequence_of, set_of
from setseq.training.stages import Stage
from setseq.training.state import TOKENS

_LORA = frozenset({"basis", "identity", TOKENS})


def clip_stage(given: Materials, *, trains: frozenset[str]) -> Stage:
    """One stage on whole clips with their whole prompts, for all steps; the motion stays zero."""
    settings = given.settings
    return replace(
        sequence_of(given),
        name="clip",
        trains=trains,
        motion_strength=0.0,
        steps=settings.set_steps + settings.sequence_steps,
        rate=1.0,
        dropout={"identity": settings.identity_dropout},
    )


def mixed_stage(given: Materials) -> Stage:
    """Single frames and whole clips in one stage, in the proportion of the two stages.

    Either kind is half of the loss, however many samples it has. Each keeps the times of its own
    stage, and clips the weight of changes between frames.
    A frame is a video of its own, so that no attention joins it with another: what Dreamix needs a
    mask on temporal attention for.
    """
    sequence = sequence_of(given)
    parts = {"frames": set_of(given), "clips": sequence}
    steps = sum(stage.steps for stage in parts.values())
    seen = {kind: stage.steps * stage.batch for kind, stage in parts.items()}
    total = max(1, sum(seen.values()))
    kinds = sum(count > 0 for count in seen.values())
    groups = [
        replace(
            group,
            name=f"{group.name} {kind}",
            share=group.share * seen[kind] / total,
            weight=group.weight * total / (kinds * seen[kind]) if steps else group.weight,
            times=(stage.time_mean, stage.time_std),
        )
        for kind, stage in parts.items()
        for group in stage.groups
        if seen[kind] or not steps
    ]
    return Stage(
        name="mixed",
        groups=tuple(groups),
        trains=_LORA,
        motion_strength=0.0,
        steps=steps,
        batch=max(1, round(total / max(1, steps))),
        temporal_difference=sequence.temporal_difference,
        dropout={"identity": given.settings.identity_dropout},
    )


def identity_stage(given: Materials) -> Stage:
    """Tokens and a LoRA on single frames."""
    return replace(set_of(given), name="identity", trains=_LORA)


def motion_stage(given: Materials) -> Stage:
    """Another LoRA beside it, on whole clips; the first one and the tokens are frozen."""
    return replace(
        sequence_of(given), name="motion", trains=frozenset({MOTION_BASIS, "motion"}), rate=1.0
    )


token_stage = partial(clip_stage, trains=frozenset({TOKENS}))
lora_stage = partial(clip_stage, trains=_LORA)
weight_stage = partial(clip_stage, trains=frozenset({"identity", TOKENS}))
