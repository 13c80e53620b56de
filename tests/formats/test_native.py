"""Concept files are stable, checked, and whole or absent."""

import contextlib
import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from setseq.concept import ClipRecord, Concept, Provenance
from setseq.errors import ConceptFileError, OutputError
from setseq.formats.native import METADATA_KEY, load_concept, save_concept
from setseq.sampling import with_concept

ORIGIN = Provenance(
    base="toybox",
    family="wan",
    fingerprint="ab" * 32,
    clips=(ClipRecord(look="a [v1] dog", motion="it is [u1]", sha256="cd" * 32),),
    token_mode="literal",
    words={"v1": "zor", "u1": "dax"},
    settings={"rank": 2, "words": {}},
    seed=7,
    version="0.1.0",
)


def a_concept(**changes) -> Concept:
    generator = torch.Generator().manual_seed(0)
    sizes = {"blocks.0.attn1.to_q": (4, 4), "blocks.0.ffn.net.2": (8, 4)}

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    concept = Concept(
        basis={name: draw(2, ins) for name, (ins, _) in sizes.items()},
        identity={name: draw(outs, 2) for name, (_, outs) in sizes.items()},
        motion={name: draw(outs, 2) for name, (_, outs) in sizes.items()},
        provenance=ORIGIN,
    )
    return replace(concept, **changes)


def learned_concept() -> Concept:
    words = {"v1": "[v1]", "u1": "[u1]"}
    return a_concept(
        tokens={word: torch.ones(3) for word in words.values()},
        provenance=replace(ORIGIN, token_mode="learned", words=words),
    )


def _edited(path: Path, edit) -> None:
    """Apply ``edit(tensors, metadata)`` to a file."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(path)
    edit(tensors, metadata)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize("concept", [a_concept(), learned_concept()])
def test_saved_and_loaded_concepts_are_equal(tmp_path: Path, concept: Concept):
    save_concept(concept, tmp_path / "c.safetensors")
    loaded = load_concept(tmp_path / "c.safetensors")
    assert loaded.provenance == concept.provenance
    for part in ("basis", "identity", "motion", "tokens"):
        ours, theirs = getattr(concept, part), getattr(loaded, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_save_load_save_gives_the_same_bytes(tmp_path: Path, dtype):
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    size = save_concept(a_concept(), first, dtype=dtype)
    save_concept(load_concept(first), second, dtype=dtype)
    assert first.read_bytes() == second.read_bytes()
    assert size == first.stat().st_size


def test_the_key_set_is_pinned(tmp_path: Path):
    save_concept(learned_concept(), tmp_path / "c.safetensors")
    layers = ("blocks.0.attn1.to_q", "blocks.0.ffn.net.2")
    expected = {f"{part}/{name}" for part in ("basis", "identity", "motion") for name in layers}
    assert load_file(tmp_path / "c.safetensors").keys() == expected | {"token/[v1]", "token/[u1]"}


def test_a_missing_file_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(ConceptFileError, match=r"no concept file at .*setseq learn"):
        load_concept(tmp_path / "c.safetensors")


LAYER = "blocks.0.attn1.to_q"


def _replaced(old: str, new: str):
    """An edit of the metadata's text."""

    def edit(tensors, metadata) -> None:
        assert old in metadata[METADATA_KEY]
        metadata[METADATA_KEY] = metadata[METADATA_KEY].replace(old, new)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t, m: t.update({"extra": torch.ones(1)}), "unknown tensor 'extra'"),
        (lambda t, m: t.pop(f"motion/{LAYER}"), "basis and motion differ in layers"),
        (lambda t, m: t.update({f"motion/{LAYER}": torch.ones(9, 2)}), "do not fit each other"),
        (lambda t, m: t.update({f"basis/{LAYER}": torch.ones(3, 4)}), "another rank"),
        (lambda t, m: t[f"identity/{LAYER}"].fill_(float("inf")), "not finite"),
        (lambda t, m: t.update({f"basis/{LAYER}": torch.ones(2, 4).int()}), "has type"),
        (lambda t, m: t.update({"token/zor": torch.ones(3)}), "tokens and its prompts differ"),
        (lambda t, m: m.clear(), "is no concept file"),
        (lambda t, m: m.update({METADATA_KEY: "{"}), "provenance cannot be read"),
        (lambda t, m: m.update({METADATA_KEY: "[]"}), "provenance cannot be read"),
        (_replaced('"format_version": 2', '"format_version": 99'), "version 99.*upgrade"),
        (_replaced('"clips"', '"klips"'), "provenance cannot be read"),
        (_replaced('"base"', '"basis"'), "does not know 'base'"),
        (_replaced('"look"', '"lok"'), "does not know 'lok'"),
        (_replaced('"seed": 7', '"seed": "x"'), "provenance has a wrong seed"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, edit, message: str):
    path = tmp_path / "c.safetensors"
    save_concept(a_concept(), path)
    _edited(path, edit)
    with pytest.raises(ConceptFileError, match=message) as caught:
        load_concept(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_version_1_has_no_hub_id_and_is_read(tmp_path: Path):
    path = tmp_path / "c.safetensors"
    save_concept(a_concept(provenance=replace(ORIGIN, hub="owner/name@revision")), path)
    assert load_concept(path).provenance.hub == "owner/name@revision"
    _edited(path, _replaced('"hub": "owner/name@revision", ', ""))
    _edited(path, _replaced('"format_version": 2', '"format_version": 1'))
    assert load_concept(path).provenance == ORIGIN


@pytest.mark.parametrize("name", ["c.pt", "c.ckpt", "c.bin", "c.safetensors"])
def test_a_pickled_concept_is_refused_and_never_opened(tmp_path: Path, name: str):
    torch.save({"basis": torch.ones(1)}, tmp_path / name)
    with pytest.raises(
        ConceptFileError, match=rf"{name}: it is a pickle.*save it as \.safetensors"
    ):
        load_concept(tmp_path / name)


@given(cut=st.integers(0, 1500), noise=st.binary(min_size=1, max_size=8))
def test_damaged_bytes_never_end_in_another_error(tmp_path_factory, cut: int, noise: bytes):
    path = tmp_path_factory.mktemp("damage") / "c.safetensors"
    save_concept(a_concept(), path)
    content = path.read_bytes()
    path.write_bytes(content[:cut] + noise)
    with pytest.raises(ConceptFileError):
        load_concept(path)
    path.write_bytes(content[:cut] + noise + content[cut + len(noise) :])
    with contextlib.suppress(ConceptFileError):
        load_concept(path)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch):
    path = tmp_path / "c.safetensors"
    save_concept(a_concept(), path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left on device.*free some space"):
        save_concept(learned_concept(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize(
    ("hub", "way_out"),
    [("", "give that base with --base, or"), ("a/b@c", "give that base with --base a/b@c, or")],
)
def test_a_concept_for_other_weights_is_refused_with_both_fingerprints(tiny_model, hub, way_out):
    concept = a_concept(provenance=replace(ORIGIN, hub=hub))
    said = rf"'toybox' with weights abababababab, this is 'tiny' .*; {way_out} learn"
    with pytest.raises(ConceptFileError, match=said), with_concept(tiny_model, concept):
        pass
