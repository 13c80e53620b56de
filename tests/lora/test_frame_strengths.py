"""Strengths that follow the frames: each token takes its frame's, what has no frame the mean."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from setseq.lora.inject import Injection, inject

STRENGTH = st.floats(-3, 3, allow_nan=False)
FRAMES, TOKENS = 3, 12  # 4 tokens a frame


def _injection() -> Injection:
    generator = torch.Generator().manual_seed(0)
    injection = inject(nn.Sequential(nn.Linear(6, 5)), "0", rank=3, generator=generator)
    layer = injection.layers["0"].double()
    with torch.no_grad():
        for value in (layer.base.weight, layer.base.bias, layer.identity, layer.motion):
            value.normal_(generator=generator)
    return injection


def _x(tokens: int = TOKENS) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, tokens, 6, generator=generator, dtype=torch.float64)


def _output(x: Tensor, identity: float | Tensor, motion: float | Tensor) -> Tensor:
    injection = _injection()
    injection.set_strengths(identity=identity, motion=motion, video_tokens=TOKENS)
    return injection.model(x)


@given(st.lists(STRENGTH, min_size=FRAMES, max_size=FRAMES), STRENGTH)
def test_each_frame_comes_out_as_under_its_own_strength(values: list[float], other: float):
    x = _x()
    for place, of_frame in enumerate(values):
        tokens = slice(4 * place, 4 * place + 4)
        by_identity = _output(x, torch.tensor(values, dtype=torch.float64), other)
        by_motion = _output(x, other, torch.tensor(values, dtype=torch.float64))
        torch.testing.assert_close(by_identity[:, tokens], _output(x, of_frame, other)[:, tokens])
        torch.testing.assert_close(by_motion[:, tokens], _output(x, other, of_frame)[:, tokens])


@given(STRENGTH, STRENGTH)
def test_the_same_strength_in_every_frame_is_that_strength(identity: float, motion: float):
    both = [torch.full((FRAMES,), value, dtype=torch.float64) for value in (identity, motion)]
    torch.testing.assert_close(_output(_x(), *both), _output(_x(), identity, motion))


def test_what_is_no_video_takes_the_mean():
    strengths = torch.tensor([0.0, 0.5, 2.5], dtype=torch.float64)
    for x in (_x(tokens=7), _x()[0, :5]):
        torch.testing.assert_close(_output(x, strengths, 1.0), _output(x, 1.0, 1.0))


def test_text_takes_the_mean_even_where_it_has_as_many_tokens_as_the_video():
    generator = torch.Generator().manual_seed(0)
    model = nn.ModuleDict(
        {"attn2": nn.ModuleDict({"to_k": nn.Linear(6, 5), "to_q": nn.Linear(6, 5)})}
    )
    injection = inject(model, r"attn2\.to_[kq]", rank=3, generator=generator)
    strengths = torch.tensor([0.0, 0.5, 2.5])
    injection.set_strengths(identity=strengths, motion=1.0, video_tokens=TOKENS)
    for name, by_frame in (("attn2.to_k", False), ("attn2.to_q", True)):
        layer = injection.layers[name]
        with torch.no_grad():
            layer.identity.normal_(generator=generator)
        expected = layer(_x().float())
        layer.identity_strength = 1.0
        assert torch.allclose(layer(_x().float()), expected) != by_frame


def test_half_precision_stays_half_precision():
    injection = _injection()
    injection.model.float()
    strengths = torch.tensor([0.0, 0.5, 2.5])
    injection.set_strengths(identity=strengths, motion=1.0, video_tokens=TOKENS)
    with torch.autocast("cpu", torch.bfloat16):
        assert injection.model(_x().float()).dtype == torch.bfloat16
