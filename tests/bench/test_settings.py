import tomllib
from pathlib import Path
from typing import Any

import pytest

from setseq.baselines import METHODS
from setseq.bench.example import bench_toml
from setseq.bench.eyes import check_wanted
from setseq.bench.plan import make_plan
from setseq.bench.settings import BenchSettings, quick, read_bench
from setseq.config import Settings
from setseq.errors import PromptError, SettingsError
from setseq.toybox.unseen import UNSEEN
from tests.surface import LOOK, MOTION

EXAMPLE = Path(__file__).parents[2] / "examples" / "bench.toml"
OWN = {"name": "dog", "clip": "dog.mp4", "look": LOOK, "motion": MOTION}


def _with(**values: Any) -> BenchSettings:
    return BenchSettings.model_validate(values)


def test_the_example_has_every_default_and_what_it_is():
    title = EXAMPLE.read_text().split("\n\n")[0]
    comment = "\n".join(line.removeprefix("#").removeprefix(" ") for line in title.splitlines())
    assert EXAMPLE.read_text() == bench_toml(BenchSettings(), title=comment)
    assert read_bench(EXAMPLE) == BenchSettings()


def test_settings_come_back_from_their_file():
    settings = _with(
        concept=[{**OWN, "mask": "mask.mp4", "start": 1.5}],
        choosing=["dog"],
        learn={"rank": 4, "words": {"v": "sks"}},
        method={"lora-8": {"learning_rate": 0.001}},
        generate={"guidance": 3.0},
        encoders={"clip": "none"},
    )
    assert BenchSettings.model_validate(tomllib.loads(bench_toml(settings))) == settings


def test_every_setting_says_what_it_is():
    settings = BenchSettings()
    parts: list[Settings] = [settings, settings.encoders, settings.edit[0]]
    for part in parts:
        assert all(field.description for field in type(part).model_fields.values())


def test_the_default_concepts_are_the_shipped_ones_each_on_one_side():
    settings = BenchSettings()
    assert sorted([*settings.table, *settings.choosing]) == sorted(UNSEEN)
    assert len(settings.table) == len(settings.choosing) == 6


def test_the_default_methods_are_all_but_those_that_are_options_of_another():
    others = {"dreambooth-lora", "two-stage"}
    assert METHODS.keys() - set(BenchSettings().methods) == others
    assert set(BenchSettings().methods) <= METHODS.keys()


def test_the_judge_can_be_asked_for_every_default_edit():
    check_wanted(BenchSettings())
    with pytest.raises(PromptError, match="'x': the judge cannot be asked for place = 'moon'"):
        check_wanted(_with(edit=[{"name": "x", "prompt": "[v]", "wanted": {"place": "moon"}}]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reference": "lora-2"}, "reference 'lora-2' is none of methods"),
        ({"table": ["robot", "bee"], "choosing": ["bee"]}, "'bee' is in table and in choosing"),
        ({"table": []}, "table is empty"),
        ({"seeds": []}, "setting seeds"),
        ({"seeds": [0, 0]}, "names something twice"),
        ({"seeds": [-1]}, "setting seeds.0"),
        ({"methods": ["../x"]}, "setting methods.0"),
        ({"learn": {"ranks": 3}}, "unknown setting 'ranks'"),
        ({"learn": {"seed": 3}}, "seeds go to seeds"),
        ({"generate": {"guidance": 0}}, "setting guidance"),
        ({"method": {"lora-2": {}}}, r"\[method\.lora-2\] is for none of methods"),
        ({"method": {"lora-8": {"rank": 0}}}, "setting rank"),
        ({"edits": []}, "unknown setting 'edits'"),
        ({"edit": [{"name": "a", "prompt": "b"}, {"name": "a", "prompt": "c"}]}, "two .*edit"),
        ({"concept": [OWN, OWN]}, "two .*concept"),
        ({"encoders": {"eyes": "two"}}, "unknown setting 'eyes'"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, values: dict[str, Any], message: str):
    with pytest.raises(SettingsError, match=message) as caught:
        _with(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"edit": [{"name": "a", "prompt": "a [w] hat"}]},
        {"concept": [{**OWN, "look": "no token"}]},
    ],
)
def test_prompts_are_checked_too(values: dict[str, Any]):
    with pytest.raises(PromptError):
        _with(**values)


def test_clips_are_found_beside_the_file(tmp_path: Path):
    text = bench_toml(_with(concept=[OWN], table=["dog"]))
    (tmp_path / "bench.toml").write_text(text)
    [concept] = read_bench(tmp_path / "bench.toml").concept
    assert concept.clip == str(tmp_path / "dog.mp4")
    assert concept.mask == ""


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"no bench settings at .*none\.toml"):
        read_bench(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(SettingsError, match=r"bad\.toml cannot be read as TOML"):
        read_bench(tmp_path / "bad.toml")
    (tmp_path / "odd.toml").write_text("colour = 3")
    with pytest.raises(SettingsError, match=r"odd\.toml: unknown setting 'colour'"):
        read_bench(tmp_path / "odd.toml")


def test_quick_is_three_methods_two_concepts_two_edits_and_one_seed():
    small = quick(BenchSettings())
    assert small.methods == ("lora-8", "set-and-sequence", "set-and-sequence-prior")
    assert small.concepts == ("robot", "bee")
    assert (len(small.edit), small.seeds, small.training_seeds) == (2, (0,), (0,))
    assert small.preset == "fast"
    chosen = quick(_with(use="choosing", methods=["lora-1", "dreamix"], reference="dreamix"))
    assert (chosen.methods, chosen.concepts) == (("lora-1", "dreamix"), ("dancer", "crab"))


def test_quick_keeps_the_reference_and_what_was_set():
    settings = _with(reference="dreamix", learn={"prior_count": 3, "rank": 4})
    small = quick(settings)
    assert "dreamix" in small.methods
    assert small.learn == {"prior_count": 3, "rank": 4}


def test_an_edit_is_a_look_with_the_own_motion_a_whole_prompt_or_a_few_words():
    settings = _with(
        table=["robot"],
        edit=[
            {"name": "look", "prompt": "a [v] creature in the  snow"},
            {"name": "whole", "prompt": "a [v] creature is [u] walking at night"},
            {"name": "words", "prompt": "in the desert at night"},
        ],
    )
    assert make_plan(settings).cases["robot"].edits == (
        "a [v1] creature in the snow. it is [u1] walking.",
        "a [v1] creature is [u1] walking at night",
        "a [v1] creature in the desert at night. it is [u1] walking.",
    )


def test_words_that_change_nothing_known_name_the_edit():
    settings = _with(table=["robot"], edit=[{"name": "odd", "prompt": "flurbish"}])
    with pytest.raises(PromptError, match="edit 'odd' of concept 'robot'"):
        make_plan(settings)


def test_a_plan_goes_concept_by_concept_and_seed_by_seed_from_the_own_prompt_on():
    plan = make_plan(_with(methods=["lora-1", "set-and-sequence"], table=["robot", "bee"]))
    learnings = plan.learnings()
    assert [(each.concept, each.method) for each in learnings] == [
        ("robot", "lora-1"),
        ("robot", "set-and-sequence"),
        ("bee", "lora-1"),
        ("bee", "set-and-sequence"),
    ]
    cells = plan.cells(learnings[0])
    assert len(cells) == (1 + 6) * 3
    first_seed = [(edit, 0) for edit in (None, *range(6))]
    assert [(cell.edit, cell.seed) for cell in cells[:8]] == [*first_seed, (None, 1)]
