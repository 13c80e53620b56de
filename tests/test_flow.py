"""The path and its densities."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from setseq.flow import clean_estimate, draw_times, noised, shifted, velocity_target


def _pair(shape=(3, 2, 4)):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))


def test_time_zero_is_data_and_time_one_is_noise():
    data, noise = _pair()
    assert torch.equal(noised(data, noise, torch.zeros(3).double()), data)
    assert torch.equal(noised(data, noise, torch.ones(3).double()), noise)


@given(time=st.floats(0, 1))
def test_the_target_is_the_paths_derivative_and_leads_back_to_the_data(time: float):
    data, noise = _pair()
    at = torch.full((3,), time, dtype=torch.float64)
    step = torch.full((3,), 1e-3, dtype=torch.float64)
    point, target = noised(data, noise, at), velocity_target(data, noise)
    torch.testing.assert_close((noised(data, noise, at + step) - point) / 1e-3, target)
    torch.testing.assert_close(clean_estimate(point, target, at), data)


@given(shift=st.floats(0.2, 8))
def test_the_shift_keeps_both_ends_and_the_order(shift: float):
    time = shifted(torch.linspace(0, 1, 11), shift)
    torch.testing.assert_close(time[[0, -1]], torch.tensor([0.0, 1.0]))
    assert (time.diff() > 0).all()


def test_drawn_times_follow_the_shifted_logit_normal():
    generator = torch.Generator().manual_seed(0)
    time = draw_times(4096, shift=3.0, generator=generator)
    assert time.min() > 0
    assert time.max() < 1
    torch.testing.assert_close(time.median(), torch.tensor(0.75), atol=5e-3, rtol=0)
    singles = torch.cat([draw_times(1, shift=1.0, generator=generator) for _ in range(2000)])
    torch.testing.assert_close(singles.logit().std(), torch.tensor(1.0), atol=0.1, rtol=0)


def test_equal_generators_draw_equal_times():
    drawn = [draw_times(5, shift=2.0, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*drawn)
