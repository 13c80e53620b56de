"""The loss of one bundle of samples: flow matching, to data or to what the base predicts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from setseq.flow import clean_estimate, noised, velocity_target
from setseq.models.base import Conditioning, VideoModel
from setseq.training.batches import Bundle
from setseq.training.state import Training


def flow_losses(
    model: VideoModel,
    data: Tensor,
    noise: Tensor,
    time: Tensor,
    conditioning: Conditioning,
    *,
    estimate: Tensor | None = None,
    target: Tensor | None = None,
    masks: Tensor | None = None,
    temporal_difference: float = 0.0,
) -> Tensor:
    """Mean squared error of the predicted velocity of each sample; draws nothing.

    Beside it, with a weight w, that of its changes between neighbouring latent frames. With the
    error e = v - target of frames f and weights m by place,

        ``mean_f(m_f e_f^2) + w mean_f(min(m_f, m_f+1) (e_f+1 - e_f)^2)``.

    An error that all frames share (a wrong shade) adds nothing to the second part; one that comes
    and goes from frame to frame (a limb left where it was) counts up to four times. A change
    weighs no more than the lighter of its two frames, so that what a mask hides in either is not
    learned. A sample of one latent frame has no changes.

    Args:
        model: predicts the velocity.
        data: latents (b, c, f, h, w).
        noise: as ``data``.
        time: (b,).
        conditioning: b prompts, or one for all.
        estimate: of the clean latents, for a self-conditioned model.
        target: the velocity to be met; None is that of the path.
        masks: weights by place, (b, 1, f, h, w).
        temporal_difference: w, at least 0.

    Returns:
        (b,). Source: Eq. 1, 5, 9, arXiv:2502.14844; the second part is our choice, for movements
        so fast that the first one is small already where a limb is merely blurred.
    """
    velocity = model.velocity(noised(data, noise, time), time, conditioning, estimate)
    errors = velocity - (velocity_target(data, noise) if target is None else target)
    losses = _weighted_squares(errors, masks)
    if temporal_difference == 0 or errors.shape[2] == 1:
        return losses
    pairs = None if masks is None else torch.minimum(masks[:, :, 1:], masks[:, :, :-1])
    return losses + temporal_difference * _weighted_squares(errors.diff(dim=2), pairs)


def _weighted_squares(errors: Tensor, masks: Tensor | None) -> Tensor:
    squares = errors.square()
    return (squares if masks is None else squares * masks).flatten(1).mean(1)


def bundle_losses(
    training: Training,
    bundle: Bundle,
    conditioning: Conditioning,
    *,
    temporal_difference: float = 0.0,
) -> Tensor:
    """The losses (b,) of a bundle, in as many passes as its target and self-conditioning need.

    How many that are does not depend on which samples of a batch are here: where the base is
    sharded, each pass is made by all processes together.

    Where the target is the base's velocity, that is taken with both strengths at 0, so that the
    masks on the coefficients are not seen either.
    """
    model, time = training.model, bundle.time
    point = noised(bundle.data, bundle.noise, time)
    chosen = None if bundle.estimated is None else bundle.estimated.nonzero().squeeze(1)
    estimate = target = None
    with torch.no_grad():
        if bundle.target == "base":
            with _concept_off(training):
                target = model.velocity(point, time, conditioning)
                if chosen is not None:
                    estimate = _spread(clean_estimate(point, target, time), chosen)
                    if training.projection is None:  # the base itself reads estimates
                        target = model.velocity(point, time, conditioning, estimate)
        elif chosen is not None:
            shown = chosen if len(chosen) else torch.zeros(1, dtype=torch.long)
            own = conditioning if len(conditioning) == 1 else conditioning.select(shown)
            place = shown.to(point.device)
            first = model.velocity(point[place], time[place], own)
            estimate = torch.zeros_like(point)
            if len(chosen):
                estimate[place] = clean_estimate(point[place], first, time[place])
    return flow_losses(
        model,
        bundle.data,
        bundle.noise,
        time,
        conditioning,
        estimate=estimate,
        target=target,
        masks=bundle.masks,
        temporal_difference=temporal_difference,
    )


def _spread(estimate: Tensor, chosen: Tensor) -> Tensor:
    """The estimate where it was chosen, zeros (which are none) elsewhere."""
    kept = torch.zeros(len(estimate), device=estimate.device)
    kept[chosen.to(estimate.device)] = 1
    return estimate * kept.view(-1, *[1] * (estimate.ndim - 1))


@contextmanager
def _concept_off(training: Training) -> Iterator[None]:
    """The frozen base alone, for the time of the block."""
    layer = next(iter(training.injection.layers.values()))
    identity, motion = layer.identity_strength, layer.motion_strength
    training.injection.set_strengths(identity=0.0, motion=0.0)
    try:
        yield
    finally:
        training.injection.set_strengths(identity=identity, motion=motion)
