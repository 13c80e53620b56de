"""Base models by name: short names, hub ids in the local cache, and errors that say what to do."""

import re
from pathlib import Path

import pytest
import torch

from setseq import api
from setseq.config import LearnSettings
from setseq.errors import BaseModelError
from setseq.models import catalog, registry
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip
from tests.formats.test_layer_names import LAYERS
from tests.surface import run

HUB_ID = "someone/tiny-wan"
REVISION = "a" * 40


@pytest.fixture
def cached(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache, laid out as the hub does, with the tiny model in it."""
    repo = tmp_path / "models--someone--tiny-wan"
    (repo / "snapshots").mkdir(parents=True)
    (repo / "snapshots" / REVISION).symlink_to(tiny_folder)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(REVISION)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", [HUB_ID, f"{HUB_ID}@{REVISION}"])
def test_a_hub_id_is_found_in_the_local_cache_and_names_the_model(cached: Path, name: str):
    model = load_model(name)
    assert model.id == HUB_ID
    assert model.hub == f"{HUB_ID}@{REVISION}"
    assert load_model(model.hub).fingerprint == model.fingerprint


def test_a_concept_records_the_hub_id_with_its_revision_and_asks_for_it_again(cached: Path):
    clip = TrainingClip(pixels=torch.zeros(3, 1, 16, 16), prompt=concept_prompt("a [v]", "[u]"))
    settings = LearnSettings(set_steps=0, sequence_steps=0)
    concept = learn_concept(load_model(HUB_ID), [clip], settings)
    assert concept.provenance.hub == f"{HUB_ID}@{REVISION}"
    with pytest.raises(BaseModelError, match=f"name {HUB_ID}@{REVISION} with --base"):
        api.base_of(concept)


def test_a_short_name_stands_for_its_hub_id(cached: Path, monkeypatch: pytest.MonkeyPatch):
    tiny = catalog.KnownModel(
        name="tiny",
        hub_id=HUB_ID,
        family="wan",
        billions=0.001,
        size=(32, 32, 5, 8),
        frames="4 k + 1",
        multiple=16,
        licence="none",
    )
    monkeypatch.setattr(catalog, "KNOWN", (*catalog.KNOWN, tiny))
    assert load_model("tiny").id == "tiny"
    assert registry.is_downloaded(HUB_ID)
    assert not registry.is_downloaded("someone/else")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wan2.1-14b", "not on this computer; .*hf download Wan-AI/Wan2.1-T2V-14B-Diffusers"),
        ("someone/else", "'someone/else' is not on this computer; .*hf download someone/else"),
        (f"{HUB_ID}@other", f"hf download {HUB_ID} --revision other"),
        ("wan", "no base model at wan; .*`setseq models` lists them"),
        ("./somewhere/model", "no base model at somewhere/model; "),
    ],
)
def test_a_model_that_is_not_there_says_how_to_get_it(cached: Path, name: str, said: str):
    with pytest.raises(BaseModelError, match=said) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)


def test_every_known_model_is_of_a_family_that_is_there():
    names = [model.name for model in catalog.KNOWN]
    assert len(set(names)) == len(names)
    for model in catalog.KNOWN:
        assert model.family in set(LAYERS)
        assert re.fullmatch(r"\d k \+ 1", model.frames)


def test_the_command_lists_names_estimates_licences_and_what_is_downloaded(cached: Path):
    shown = run("models")
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    for model in catalog.KNOWN:
        assert model.name in text
    assert "an estimate" in text
    assert "Apache-2.0" in text
    assert "does not apply in the EU" in text
