"""Dropout is on the entries of the coefficients, fresh each time, and gone when it is cleared."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from setseq.lora.inject import Injection, inject

DROPOUT = {"identity": 0.8, "motion": 0.5}


def _injection(width: int = 64) -> Injection:
    """Two layers, every coefficient 1."""
    model = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width))
    injection = inject(model, r"\d", rank=8, generator=_generator(0))
    with torch.no_grad():
        for layer in injection.layers.values():
            layer.identity.fill_(1)
            layer.motion.fill_(1)
    return injection


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _masks(injection: Injection) -> list[torch.Tensor]:
    return [mask for layer in injection.layers.values() for mask in layer.masks.values()]


@pytest.mark.parametrize(("part", "rate"), DROPOUT.items())
def test_single_entries_are_masked_at_the_rate_and_no_whole_row_or_column(part: str, rate: float):
    injection = _injection(512)
    injection.draw_masks(_generator(1), DROPOUT)
    for layer in injection.layers.values():
        mask = layer.masks[part]
        assert mask.shape == layer.identity.shape
        assert (mask == 0).float().mean().item() == pytest.approx(rate, abs=0.03)
        assert (mask == 0).float().mean(dim=0).max().item() < rate + 0.1
        assert (mask != 0).any(dim=1).float().mean().item() > 0.7


@given(rate=st.floats(0.01, 0.95), rescale=st.booleans())
def test_what_stays_is_rescaled_unless_the_raw_mask_is_asked_for(rate: float, rescale: bool):
    injection = _injection()
    injection.draw_masks(_generator(2), {"identity": rate}, rescale=rescale)
    kept = [mask[mask != 0] for mask in _masks(injection)]
    for values in kept:
        torch.testing.assert_close(
            values, torch.full_like(values, 1 / (1 - rate) if rescale else 1)
        )


def test_the_basis_is_never_dropped():
    injection = _injection()
    layer = injection.layers["0"]
    before = layer.basis.detach().clone()
    x = torch.randn(3, 64, generator=_generator(3))
    injection.draw_masks(_generator(1), DROPOUT, rescale=False)
    assert torch.equal(layer.basis, before)
    masked = layer.masks["identity"] + layer.masks["motion"]  # the coefficients are all 1
    torch.testing.assert_close(layer(x) - layer.base(x), x @ layer.basis.T @ masked.T)
    with pytest.raises(ValueError, match="basis"):
        injection.draw_masks(_generator(1), {"basis": 0.5})


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan")])
def test_a_rate_that_leaves_nothing_is_refused(rate: float):
    with pytest.raises(ValueError, match="cannot drop"):
        _injection().draw_masks(_generator(1), {"motion": rate})


def test_each_draw_and_each_layer_has_a_mask_of_its_own():
    injection, generator = _injection(), _generator(1)
    injection.draw_masks(generator, DROPOUT)
    first = _masks(injection)
    injection.draw_masks(generator, DROPOUT)
    for old, new in zip(first, _masks(injection), strict=True):
        assert not torch.equal(old, new)
    assert not torch.equal(first[0], first[2])


def test_the_generator_alone_decides_the_masks():
    one, other = _injection(), _injection()
    one.draw_masks(_generator(7), DROPOUT)
    torch.rand(5)  # the global state plays no part
    other.draw_masks(_generator(7), DROPOUT)
    for ours, theirs in zip(_masks(one), _masks(other), strict=True):
        assert torch.equal(ours, theirs)


def test_a_batch_shares_its_mask():
    injection = _injection()
    injection.draw_masks(_generator(1), DROPOUT)
    x = torch.randn(1, 64, generator=_generator(3)).expand(4, 64)
    y = injection.layers["0"](x)
    torch.testing.assert_close(y, y[:1].expand(4, -1))


def test_masked_entries_get_no_gradient():
    injection = _injection()
    injection.draw_masks(_generator(1), DROPOUT)
    layer = injection.layers["0"]
    layer(torch.randn(3, 64, generator=_generator(3))).pow(2).sum().backward()
    for part in DROPOUT:
        grad = getattr(layer, part).grad
        assert torch.equal(grad == 0, layer.masks[part] == 0)


def test_cleared_masks_and_rates_of_zero_leave_the_layers_bit_equal():
    injection = _injection()
    x = torch.randn(3, 64, generator=_generator(3))
    whole = injection.model(x)
    generator = _generator(1)
    injection.draw_masks(generator, DROPOUT)
    assert not torch.equal(injection.model(x), whole)
    injection.clear_masks()
    assert torch.equal(injection.model(x), whole)
    state = generator.get_state()
    injection.draw_masks(generator, {"identity": 0.0})
    assert torch.equal(injection.model(x), whole)
    assert torch.equal(generator.get_state(), state)


def test_a_part_without_a_rate_is_whole():
    injection = _injection()
    injection.draw_masks(_generator(1), {"identity": 0.9})
    injection.draw_masks(_generator(1), {"motion": 0.5})  # stage 2: the frozen identity is whole
    assert all(layer.masks.keys() == {"motion"} for layer in injection.layers.values())


def test_masks_are_no_part_of_a_concept_and_new_layers_have_none():
    injection = _injection()
    injection.draw_masks(_generator(1), DROPOUT)
    parts = {part: injection.tensors(part) for part in ("basis", "identity", "motion")}
    assert torch.equal(parts["identity"]["0"], torch.ones(64, 8))  # masks are no part of the values
    fresh = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    for layer in inject(fresh, r"\d", rank=8, generator=_generator(0)).layers.values():
        assert not layer.masks
