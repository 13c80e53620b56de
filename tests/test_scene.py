"""Scene files: what they hold, and one line that names the table and the key of what is wrong."""

from pathlib import Path

import pytest

from setseq.errors import SetSeqError
from setseq.prompts import concept_prompt
from setseq.scene import read_scene, side_by_side

GOOD = """
[scene]
stitched_share = 0.3

[[concept]]
clip = "clips/dancer.mp4"
look = "a [v1] creature in a meadow"
motion = "it is [u1] dancing."

[[concept]]
clip = "/videos/crab.mp4"
look = "a [v2] creature on the sand."
motion = "the [v2] creature is [u2]"
mask = "crab-mask.mp4"
start = 1.5

[learn]
rank = 4
"""


def _read(folder: Path, text: str):
    (folder / "scene.toml").write_text(text)
    return read_scene(folder / "scene.toml")


def test_a_scene_file_is_read_with_paths_relative_to_it(tmp_path: Path):
    scene = _read(tmp_path, GOOD)
    first, second = scene.concepts
    assert first.clip == tmp_path / "clips" / "dancer.mp4"
    assert (first.mask, first.start_s) == (None, 0.0)
    assert second.clip == Path("/videos/crab.mp4")
    assert (second.mask, second.start_s) == (tmp_path / "crab-mask.mp4", 1.5)
    assert second.prompt.full == "a [v2] creature on the sand. the [v2] creature is [u2]"
    assert scene.settings.stitched_share == 0.3
    assert scene.learn == {"rank": 4}


def test_the_first_concept_may_leave_its_number_out(tmp_path: Path):
    scene = _read(tmp_path, GOOD.replace("[v1]", "[v]").replace("[u1]", "[u]"))
    assert scene.concepts[0].prompt.look == "a [v1] creature in a meadow"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[scene]", "[scenes]", r"has 'scenes'; allowed are the tables \[\[concept\]\]"),
        ("stitched_share = 0.3", "stitched_share = 1.5", r"table \[scene\]: .*stitched_share"),
        ("stitched_share", "share", r"table \[scene\]: unknown setting 'share'"),
        ("stitched_share = 0.3", "background = 'mask'", r"\[\[concept\]\] 1 has no mask"),
        ("rank = 4", "rank = 0", r"table \[learn\]: setting rank is 0"),
        ("start = 1.5", "start = -1", r"\[\[concept\]\] 2: key 'start' is -1"),
        ("start = 1.5", "start = 'a'", r"\[\[concept\]\] 2: key 'start' is 'a'; give a number"),
        ("start = 1.5", "begin = 1", r"\[\[concept\]\] 2: unknown key 'begin'; allowed are clip"),
        ('clip = "clips/dancer.mp4"', "", r"\[\[concept\]\] 1: key 'clip' is missing"),
        ('"clips/dancer.mp4"', "7", r"\[\[concept\]\] 1: key 'clip' is 7; give a text"),
        ("[v2] creature on", "[v1] creature on", r"2: key 'look' has \[v1\], the token of concept"),
        ("[u2]", "[u1]", r"2: key 'motion' has \[u1\]"),
        ("a [v2] creature on", "a creature on", r"\[\[concept\]\] 2: .*lacks \[v2\]"),
        ("rank = 4", "rank 4", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, old: str, new: str, message: str):
    assert old in GOOD
    with pytest.raises(SetSeqError, match=message) as caught:
        _read(tmp_path, GOOD.replace(old, new))
    assert "scene.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 \\[\\[concept\\]\\] tables; a scene has 2 to 6"),
        ("[concept]\nclip = 'a'", "write \\[\\[concept\\]\\] before each"),
        ("concept = [1, 2]", "write \\[\\[concept\\]\\] before each"),
        ("[[concept]]\n" * 7, "7 \\[\\[concept\\]\\] tables"),
    ],
)
def test_a_scene_has_two_to_six_concepts(tmp_path: Path, text: str, message: str):
    with pytest.raises(SetSeqError, match=message):
        _read(tmp_path, text)


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(SetSeqError, match="no scene file at"):
        read_scene(tmp_path / "absent.toml")


def test_the_prompt_of_a_stitched_clip_names_both_with_their_sides():
    first = concept_prompt("a [v] creature in a meadow.", "it is [u] dancing.")
    second = concept_prompt("a [v2] dog", "it runs [u2]", number=2)
    assert side_by_side(first, second).full == (
        "a [v1] creature in a meadow on the left and a [v2] dog on the right."
        " on the left it is [u1] dancing and on the right it runs [u2]."
    )
    assert side_by_side(second, first).look.startswith("a [v2] dog on the left")


def test_both_stand_in_the_scenery_that_is_given_and_in_no_other():
    first = concept_prompt("a [v] creature in a meadow at dusk", "it is [u] dancing.")
    second = concept_prompt("a [v2] dog in a red scarf, on the sand", "it runs [u2]", number=2)
    assert side_by_side(first, second, scenery="in the snow").look == (
        "a [v1] creature on the left and a [v2] dog in a red scarf on the right in the snow"
    )
    assert side_by_side(first, second, scenery="").look.endswith("scarf on the right")
