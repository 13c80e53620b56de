"""The optimizer's state comes back as it was, where the parameters are."""

import torch
from torch import nn

from setseq.training.checkpoint import moments_of, restore_moments


def test_moments_follow_their_parameter_to_its_device():
    value = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([value], fused=True)
    value.grad = torch.ones(2)
    optimizer.step()
    moments = moments_of(optimizer, {"a": value})
    elsewhere = nn.Parameter(torch.empty(2, device="meta"))
    other = torch.optim.AdamW([elsewhere])
    restore_moments(other, {"a": elsewhere}, moments)
    state = other.state[elsewhere]
    assert state.keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert all(moment.device.type == "meta" for moment in state.values())


def test_restored_moments_are_equal_and_copies():
    value = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([value], fused=True)
    value.grad = torch.ones(2)
    optimizer.step()
    moments = moments_of(optimizer, {"a": value})
    again = nn.Parameter(torch.ones(2))
    other = torch.optim.AdamW([again], fused=True)
    restore_moments(other, {"a": again}, moments)
    for kind, moment in other.state[again].items():
        assert torch.equal(moment, moments[f"{kind}/a"])
        assert moment.data_ptr() != moments[f"{kind}/a"].data_ptr()
