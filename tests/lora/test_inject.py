"""Concept layers go in and come out without a trace."""

import pytest
import torch
from torch import nn

from setseq.concept import Concept, Provenance
from setseq.errors import BaseModelError, ConceptFileError
from setseq.lora.inject import Injection, inject, inject_concept

ORIGIN = Provenance(
    base="b",
    family="wan",
    fingerprint="f",
    clips=(),
    token_mode="literal",
    words={},
    settings={},
    seed=0,
    version="0",
)


def _model() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4)), nn.Linear(4, 2)
        )


def _inject(model: nn.Module, targets: str = r"0\.\d") -> Injection:
    return inject(model, targets, rank=2, generator=torch.Generator().manual_seed(1))


def _concept(injection: Injection) -> Concept:
    with torch.no_grad():
        for layer in injection.layers.values():
            layer.identity.fill_(0.5)
            layer.motion.fill_(-0.25)
    return Concept(
        basis=injection.tensors("basis"),
        identity=injection.tensors("identity"),
        motion=injection.tensors("motion"),
        provenance=ORIGIN,
    )


X = torch.linspace(-1, 1, 12).view(3, 4)


def test_injection_leaves_the_output_bit_equal():
    model = _model()
    before = model(X)
    _inject(model)
    assert torch.equal(model(X), before)


def test_exactly_the_matching_linear_layers_are_wrapped():
    assert set(_inject(_model()).layers) == {"0.0", "0.2"}
    assert set(_inject(_model(), r"1").layers) == {"1"}


def test_removal_restores_key_set_and_bits():
    model = _model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    injection = _inject(model)
    _concept(injection)
    injection.remove()
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[k], before[k]) for k in before)


def test_no_match_is_an_error_that_names_layers():
    with pytest.raises(BaseModelError, match=r"matches 'nothing'.*0\.0"):
        _inject(_model(), "nothing")


def test_a_second_injection_is_refused():
    model = _model()
    _inject(model)
    with pytest.raises(BaseModelError, match="already carries"):
        _inject(model, "1")


def test_a_concept_moves_to_a_fresh_model():
    first, second = _model(), _model()
    concept = _concept(_inject(first))
    injection = inject_concept(second, concept)
    assert torch.equal(second(X), first(X))
    injection.remove()
    assert torch.equal(second(X), _model()(X))


def test_at_full_rank_the_coefficients_are_the_change_of_the_weights():
    model = _model()
    injection = inject(model, r"0\.\d", rank=None, generator=torch.Generator().manual_seed(1))
    concept = _concept(injection)
    torch.testing.assert_close(model(X), _changed_model(concept)(X))
    # The widest input has 6 numbers; what the other layer has beyond its own 4 counts nothing.
    assert concept.rank == 6
    assert torch.equal(concept.basis["0.0"], torch.eye(6, 4))
    model(X).sum().backward()
    gradient = injection.layers["0.0"].identity.grad
    assert gradient is not None
    assert gradient[:, :4].any()
    assert not gradient[:, 4:].any()


def _changed_model(concept: Concept) -> nn.Sequential:
    """A model with weights of its own that are those of the base and the concept's change."""
    model = _model()
    with torch.no_grad():
        for name, (basis, coefficients) in concept.merged().items():
            linear = model.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            linear.weight += coefficients[:, : linear.in_features]
            assert torch.equal(coefficients @ basis, coefficients[:, : linear.in_features])
    return model


def test_the_merged_pair_equals_both_coefficients():
    model = _model()
    injection = _inject(model)
    merged = _concept(injection).merged(0.5, 2.0)
    injection.set_strengths(identity=0.5, motion=2.0)
    for name, layer in injection.layers.items():
        basis, coefficients = merged[name]
        x = torch.ones(1, layer.base.in_features)
        torch.testing.assert_close(layer(x) - layer.base(x), x @ (coefficients @ basis).T)


def test_a_concept_of_other_shapes_is_refused_and_the_model_stays_clean():
    concept = _concept(_inject(_model()))
    other = nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 5)))
    keys = set(other.state_dict())
    with pytest.raises(ConceptFileError, match="has shape"):
        inject_concept(other, concept)
    assert set(other.state_dict()) == keys


def test_a_concept_with_layers_that_the_model_lacks_is_refused():
    concept = _concept(_inject(_model()))
    with pytest.raises(ConceptFileError, match="first difference"):
        inject_concept(nn.Sequential(nn.Sequential(nn.Linear(4, 6))), concept)
