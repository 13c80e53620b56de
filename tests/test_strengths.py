"""Strengths are numbers or schedules, and say in one line when they are neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setseq.config import GenerateSettings
from setseq.errors import SettingsError
from setseq.settings_file import read_toml, to_toml
from setseq.strengths import Schedule, parse_strength

VALUES = st.floats(-4, 4, allow_nan=False)
SCHEDULES = st.builds(
    Schedule,
    st.lists(VALUES, min_size=1, max_size=4).map(tuple),
    st.sampled_from(["steps", "frames"]),
)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("1", Schedule((1.0,))),
        (0.5, Schedule((0.5,))),
        ("-0.5", Schedule((-0.5,))),
        ("1.0 to 0.4", Schedule((1.0, 0.4))),
        (" 1.0  to .4 over Steps ", Schedule((1.0, 0.4))),
        ("1.0 to 0.4 over frames", Schedule((1.0, 0.4), "frames")),
        ("0 to 1 to 0 over frames", Schedule((0.0, 1.0, 0.0), "frames")),
    ],
)
def test_these_forms_are_read(text: float | str, schedule: Schedule):
    assert parse_strength(text) == schedule


@given(SCHEDULES)
def test_a_schedule_is_read_back_from_its_text(schedule: Schedule):
    assert parse_strength(str(schedule)) == schedule


@given(SCHEDULES, st.integers(2, 40), st.integers(2, 20), st.data())
def test_values_go_from_the_first_to_the_last_and_stay_between(
    schedule: Schedule, num_steps: int, frames: int, data: st.DataObject
):
    step = data.draw(st.integers(0, num_steps - 1))
    low, high = min(schedule.values), max(schedule.values)
    assert all(low - 1e-9 <= v <= high + 1e-9 for v in schedule.at(step, num_steps, frames))
    if schedule.over == "steps":
        ends = schedule.at(0, num_steps, frames) + schedule.at(num_steps - 1, num_steps, frames)
    else:
        at = schedule.at(step, num_steps, frames)
        ends = at[0], at[-1]
    assert ends == pytest.approx((schedule.values[0], schedule.values[-1]))


def test_a_line_is_straight_and_a_detour_reaches_its_middle():
    assert Schedule((1.0, 0.0)).at(1, 5, 3) == (0.75,)
    assert Schedule((0.0, 1.0, 0.0), "frames").at(0, 9, 5) == (0.0, 0.5, 1.0, 0.5, 0.0)
    assert Schedule((1.0, 0.4)).at(0, 1, 1) == (1.0,)


@given(VALUES, st.integers(1, 4), st.sampled_from(["steps", "frames"]))
def test_the_settings_make_a_number_of_a_constant_schedule(value: float, count: int, over: str):
    text = " to ".join([str(value)] * count) + f" over {over}"
    assert GenerateSettings.resolve({"identity": text}).identity == value
    assert isinstance(GenerateSettings.resolve({"identity": text}).identity, float)


@given(SCHEDULES)
def test_schedules_survive_a_settings_file(tmp_path_factory, schedule: Schedule):
    settings = GenerateSettings(identity=str(schedule), motion=0.5)
    path = tmp_path_factory.getbasetemp() / "schedule.toml"
    path.write_text(to_toml([settings]))
    assert GenerateSettings.resolve(read_toml(path)["generate"]) == settings


@pytest.mark.parametrize(
    "given",
    [
        "",
        "strong",
        "1 to",
        "to 1",
        "1.0 -> 0.4",
        "1 to 0.4 over time",
        "1 to 0.4 over",
        "over frames",
        "nan",
        "1 to inf",
        "4.1",
        -5,
        "1 to 5 over frames",
        True,
        [1.0, 0.4],
    ],
)
def test_what_is_no_strength_is_one_line_that_shows_the_forms(given):
    with pytest.raises(SettingsError, match=r"setting motion is .*'1\.0 to 0\.4 over frames'") as e:
        GenerateSettings.resolve({"motion": given})
    assert "\n" not in str(e.value)
