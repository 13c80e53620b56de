"""Presets: the paper's figures, and others that fit every base."""

import tomllib

import pytest

from setseq.config import GenerateSettings, LearnSettings, WatchSettings
from setseq.errors import SettingsError
from setseq.presets import Preset, layered, load_preset, preset_names

# What was found for one base and holds for no other.
BOUND_TO_A_BASE = {
    "rank",
    "learning_rate",
    "token_learning_rate",
    "clip_norm",
    "weight_decay",
    "beta1",
    "beta2",
    "targets",
    "words",
    "set_batch",
    "sequence_batch",
}


def test_the_presets_are_these():
    assert preset_names() == ["fast", "paper", "quality"]


def test_the_paper_preset_has_the_papers_figures_on_every_base():
    base = {"rank": 16, "learning_rate": 0.002, "set_steps": 5, "clip_norm": 1.0, "beta2": 0.5}
    base |= {"learning_rate_decay": 0.5, "sequence_time_mean": 0.9, "sequence_time_std": 1.5}
    base |= {"sequence_rate": 2.0, "token_start": "mean", "temporal_difference": 3.0}
    settings = layered(LearnSettings, base, "paper")
    expected = {
        "learning_rate": 1e-4,
        "learning_rate_decay": 0.0,
        "sequence_time_mean": 0.0,
        "sequence_time_std": 1.0,
        "beta1": 0.9,
        "beta2": 0.99,
        "weight_decay": 0.01,
        "clip_norm": 0.05,
        "set_batch": 8,
        "sequence_batch": 8,
        "token_learning_rate": 1e-5,
        "token_mode": "learned",
        "token_start": "zeros",
        "sequence_rate": 1.0,
        "temporal_difference": 0.0,
        "rank": 8,
        "set_steps": 600,
        "sequence_steps": 900,
        "identity_dropout": 0.8,
        "motion_dropout": 0.5,
        "rescale_dropout": True,
        "prior": "videos",
        "token_masking": 0.1,
        "mask_special_tokens": True,  # the paper exempts no token
        "self_conditioning": "auto",  # 0.9 where the base was trained with it
    }
    assert {name: getattr(settings, name) for name in expected} == expected
    shown = layered(GenerateSettings, {"guidance": 2.5, "self_conditioning": False}, "paper")
    assert (shown.guidance, shown.self_conditioning) == (8, True)


@pytest.mark.parametrize("name", [name for name in preset_names() if name != "paper"])
def test_the_other_presets_set_nothing_that_is_bound_to_a_base(name: str):
    preset = load_preset(name)
    touched = {*preset.tables.get("learn", {}), *preset.scale.get("learn", {})}
    assert not touched & BOUND_TO_A_BASE


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_has_a_purpose_and_values_that_are_allowed(name: str):
    preset = load_preset(name)
    assert preset.about
    assert {*preset.tables, *preset.scale} <= {"learn", "generate"}
    for kind in (LearnSettings, GenerateSettings, WatchSettings):
        layered(kind, {}, name)
    layered(LearnSettings, {}, name, preset.scene)


def test_factors_are_of_the_bases_own_values():
    preset = Preset(name="x", about="", scale={"learn": {"set_steps": 0.5, "learning_rate": 2.0}})
    layer = preset.layer(LearnSettings, LearnSettings(set_steps=181, learning_rate=0.25))
    assert layer == {"set_steps": 90, "learning_rate": 0.5}
    assert preset.layer(LearnSettings, LearnSettings(set_steps=1))["set_steps"] == 1
    assert preset.layer(LearnSettings, LearnSettings(set_steps=0))["set_steps"] == 0


def test_later_layers_win_over_the_preset():
    base = {"rank": 16, "seed": 1, "set_steps": 4}
    settings = layered(LearnSettings, base, "paper", {"rank": 3, "seed": 2}, {"seed": None})
    assert (settings.rank, settings.seed, settings.set_steps) == (3, 2, 600)


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="'best'; there are fast, paper, quality"):
        layered(LearnSettings, {}, "best")


def test_presets_are_data_of_the_package():
    import importlib.resources

    folder = importlib.resources.files("setseq.presets")
    for name in preset_names():
        assert tomllib.loads((folder / f"{name}.toml").read_text())["about"]
