"""Concepts learned apart, as one: the exact sum, with tokens of their own."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from setseq.combine import combine
from setseq.concept import ClipRecord, Concept, Provenance
from setseq.describe import describe
from setseq.errors import ConceptFileError
from setseq.formats.native import load_concept, save_concept
from setseq.lora.inject import inject_concept

SIZES = {"first": (5, 3), "second": (4, 6)}  # (out, in)
ORIGIN = Provenance(
    base="toybox",
    family="wan",
    fingerprint="ab" * 32,
    clips=(ClipRecord(look="a [v1] dog", motion="it is [u1]"),),
    token_mode="literal",
    words={"v1": "zor", "u1": "dax"},
    settings={"rank": 2, "set_steps": 3, "sequence_steps": 4},
    seed=7,
    version="0.1.0",
)


def _concept(seed: int, *, rank: int = 2, **origin) -> Concept:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Concept(
        basis={name: draw(rank, ins) for name, (_, ins) in SIZES.items()},
        identity={name: draw(outs, rank) for name, (outs, _) in SIZES.items()},
        motion={name: draw(outs, rank) for name, (outs, _) in SIZES.items()},
        provenance=replace(ORIGIN, **origin),
    )


def _learned(seed: int) -> Concept:
    concept = _concept(seed, token_mode="learned", words={"v1": "[v1]", "u1": "[u1]"})
    rows = {word: torch.full((3,), float(seed)) for word in ("[v1]", "[u1]")}
    return replace(concept, tokens=rows)


def _dense(concept: Concept, identity: float, motion: float) -> dict[str, torch.Tensor]:
    """dW of each layer, from its parts."""
    return {
        name: (identity * concept.identity[name] + motion * concept.motion[name]) @ basis
        for name, basis in concept.basis.items()
    }


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=6),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_the_update_is_the_sum_of_the_parts_at_any_strengths(ranks, identity, motion):
    parts = [_concept(seed, rank=rank) for seed, rank in enumerate(ranks)]
    both = combine(parts)
    assert both.rank == sum(ranks)
    for name, (a, b) in both.merged(identity, motion).items():
        wanted = sum(_dense(part, identity, motion)[name] for part in parts)
        torch.testing.assert_close(b @ a, wanted)


def test_weights_scale_the_parts():
    parts = [_concept(1), _concept(2)]
    both = combine(parts, weights=[0.7, -0.3])
    first, second = (_dense(part, 1, 1) for part in parts)
    for name, update in _dense(both, 1, 1).items():
        torch.testing.assert_close(update, 0.7 * first[name] - 0.3 * second[name])


def test_a_model_that_carries_both_computes_with_the_dense_sum():
    parts = [_concept(1), _concept(2, rank=3)]
    model = torch.nn.ModuleDict({n: torch.nn.Linear(i, o) for n, (o, i) in SIZES.items()})
    x = torch.randn(7, 3, dtype=torch.float64)
    layer = model["first"]
    assert isinstance(layer, torch.nn.Linear)
    weight = layer.weight.detach().double()
    weight = weight + sum(_dense(p, 0.5, 1.5)["first"] for p in parts)
    wanted = torch.nn.functional.linear(x, weight, layer.bias.detach().double())
    injection = inject_concept(model, combine(parts))
    model.double()
    injection.load(combine(parts))
    injection.set_strengths(identity=0.5, motion=1.5)
    torch.testing.assert_close(model["first"](x).detach(), wanted)


def test_tokens_are_renumbered_and_literal_words_stay_those_that_were_learned():
    third = _concept(3, words={"v1": "sks", "u1": "run"})
    both = combine([combine([_concept(1), _concept(2)]), third])
    assert [clip.look for clip in both.provenance.clips] == [f"a [v{k}] dog" for k in (1, 2, 3)]
    assert both.provenance.clips[2].motion == "it is [u3]"
    assert both.provenance.words == {
        "v1": "zor", "u1": "dax", "v2": "zor", "u2": "dax", "v3": "sks", "u3": "run",
    }  # fmt: skip
    assert len(both.provenance.settings["combined"]) == 3


def test_learned_rows_move_to_the_tokens_of_their_own():
    both = combine([_learned(1), _learned(2)])
    assert both.provenance.words["u2"] == "[u2]"
    assert {word: float(row[0]) for word, row in both.tokens.items()} == {
        "[v1]": 1, "[u1]": 1, "[v2]": 2, "[u2]": 2,
    }  # fmt: skip


@pytest.mark.parametrize("make", [_concept, _learned])
def test_a_combined_file_is_read_back_and_inspected(tmp_path: Path, make):
    both = combine([make(1), make(2)])
    save_concept(both, tmp_path / "c.safetensors")
    loaded = load_concept(tmp_path / "c.safetensors")
    assert loaded.provenance == both.provenance
    assert loaded.tokens.keys() == both.tokens.keys()
    facts = describe(loaded)
    assert (facts["look 1"], facts["look 2"]) == ("a [v1] dog", "a [v2] dog")
    assert facts["rank"] == "4"
    assert facts["steps"] == "3 of Set, 4 of Sequence; 3 of Set, 4 of Sequence"
    assert facts["combined"] == "2 concepts learned apart, ranks side by side"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([_concept(1)], "cannot combine 1 concept"),
        ([_concept(k) for k in range(7)], "7 pairs of tokens, at most 6"),
        ([_concept(1), _concept(2, fingerprint="cd" * 32)], "the very same base"),
        ([_concept(1), _learned(2)], "literal tokens, concept 2 has learned ones"),
        (
            [_concept(1), replace(_concept(2), basis={"first": torch.ones(2, 3)})],
            "differ in layers, as 'second'",
        ),
    ],
)
def test_concepts_that_do_not_belong_together_are_refused_in_one_line(parts, message: str):
    with pytest.raises(ConceptFileError, match=message) as caught:
        combine(parts)
    assert "\n" not in str(caught.value)


def test_a_number_of_weights_that_is_not_that_of_the_concepts_is_refused():
    with pytest.raises(ConceptFileError, match="2 concepts have 1 weights"):
        combine([_concept(1), _concept(2)], weights=[1.0])


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e38, -101.0])
def test_a_weight_that_would_make_a_file_nobody_can_use_is_refused(weight: float):
    with pytest.raises(ConceptFileError, match=r"weight 2 is .*; give a number"):
        combine([_concept(1), _concept(2)], weights=[1.0, weight])
