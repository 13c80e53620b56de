"""The concept layer does the paper's arithmetic and leaves its base alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from setseq.lora.layer import PARTS, ConceptLinear

STRENGTHS = st.floats(-3, 3, allow_nan=False)


def _layer(
    seed: int = 0, filled: bool = True, double: bool = True, own_motion_basis: bool = False
) -> ConceptLinear:
    generator = torch.Generator().manual_seed(seed)
    base = nn.Linear(6, 5)
    with torch.no_grad():
        base.weight.normal_(generator=generator)
        base.bias.normal_(generator=generator)
    layer = ConceptLinear(base, rank=3, generator=generator, own_motion_basis=own_motion_basis)
    if filled:
        with torch.no_grad():
            layer.identity.normal_(generator=generator)
            layer.motion.normal_(generator=generator)
    return layer.double() if double else layer


def _x(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(9), dtype=dtype)


@given(s_i=STRENGTHS, s_m=STRENGTHS)
def test_output_equals_the_dense_weight_plus_update(s_i: float, s_m: float):
    layer = _layer()
    layer.identity_strength, layer.motion_strength = s_i, s_m
    update = (s_i * layer.identity + s_m * layer.motion) @ layer.basis
    dense = nn.functional.linear(_x(), layer.base.weight + update, layer.base.bias)
    torch.testing.assert_close(layer(_x()), dense)


@given(s_i=STRENGTHS, s_m=STRENGTHS)
def test_a_motion_with_a_basis_of_its_own_shares_nothing_with_the_identity(s_i: float, s_m: float):
    layer = _layer(own_motion_basis=True)
    layer.identity_strength, layer.motion_strength = s_i, s_m
    assert layer.motion_basis is not None
    update = s_i * layer.identity @ layer.basis + s_m * layer.motion @ layer.motion_basis
    dense = nn.functional.linear(_x(), layer.base.weight + update, layer.base.bias)
    torch.testing.assert_close(layer(_x()), dense)
    common = [layer.factor(part) for part in PARTS]
    torch.testing.assert_close((s_i * common[1] + s_m * common[2]) @ common[0], update)


def test_a_second_basis_is_another_one_and_does_not_change_the_first():
    one, two = _layer(filled=False), _layer(filled=False, own_motion_basis=True)
    assert torch.equal(one.basis, two.basis)
    assert two.motion_basis is not None
    assert not torch.equal(two.motion_basis, two.basis)


@given(s_i=STRENGTHS, s_m=STRENGTHS)
def test_strengths_act_linearly(s_i: float, s_m: float):
    layer, x = _layer(), _x()

    def change(identity: float, motion: float) -> torch.Tensor:
        layer.identity_strength, layer.motion_strength = identity, motion
        return layer(x) - layer.base(x)

    expected = s_i * change(1, 0) + s_m * change(0, 1)
    torch.testing.assert_close(change(s_i, s_m), expected)


def test_a_new_layer_is_bit_equal_to_its_base():
    layer = _layer(filled=False, double=False)
    assert torch.equal(layer(_x(torch.float32)), layer.base(_x(torch.float32)))


def test_strengths_of_zero_are_bit_equal_to_the_base():
    layer = _layer(double=False)
    layer.identity_strength = layer.motion_strength = 0.0
    assert torch.equal(layer(_x(torch.float32)), layer.base(_x(torch.float32)))


def test_the_basis_is_drawn_within_kaimings_bound_and_by_the_generator_alone():
    first, second = _layer(filled=False), _layer(filled=False)
    assert torch.equal(first.basis, second.basis)
    assert first.basis.abs().max() <= 6**-0.5
    assert first.basis.abs().max() > 0.5 * 6**-0.5


def test_one_coefficient_equals_peft_in_float64():
    peft = pytest.importorskip("peft")
    layer = _layer()
    layer.motion_strength = 0.0
    holder = nn.Sequential(nn.Linear(6, 5)).double()
    holder.load_state_dict({f"0.{k}": v for k, v in layer.base.state_dict().items()})
    config = peft.LoraConfig(r=3, lora_alpha=3, target_modules=["0"])
    wrapped = peft.get_peft_model(holder, config).double()
    with torch.no_grad():
        wrapped.base_model.model[0].lora_A["default"].weight.copy_(layer.basis)
        wrapped.base_model.model[0].lora_B["default"].weight.copy_(layer.identity)
    torch.testing.assert_close(layer(_x()), wrapped(_x()))


def test_a_half_precision_base_keeps_its_type_and_float32_coefficients():
    layer = _layer(double=False)
    layer.base.bfloat16()
    assert layer(_x(torch.bfloat16)).dtype == torch.bfloat16
    assert layer.motion.dtype == torch.float32


def test_autocast_casts_the_frozen_weight_as_torch_does_and_follows_its_changes():
    layer = _layer(filled=False, double=False)
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(layer(_x(torch.float32)), layer.base(_x(torch.float32)))
        with torch.no_grad():
            layer.base.weight.mul_(2)


def test_autocast_gives_half_precision_and_float32_gradients():
    layer = _layer(double=False)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(_x(torch.float32))
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.basis.grad is not None
    assert layer.basis.grad.dtype == torch.float32
