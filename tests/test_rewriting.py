"""An edit in a few words changes the part of a learned prompt that it names, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setseq.errors import PromptError
from setseq.prompts import ConceptPrompt, concept_prompt, placeholders
from setseq.rewriting.rewrite import rewrite
from setseq.toybox.unseen import UNSEEN

CREATURE = concept_prompt("a [v] creature in a meadow on a sunny day", "it is [u] dancing.")
MAN = concept_prompt(
    "A [v] man in black track pants, gray shirt and cap near a road on a bridge with hands down"
    " and legs up.",
    "The man is performing [u] dancing motion with hands and legs.",
)
BALL = concept_prompt(
    "a pencil sketch of a [v] red ball with a hat by the sea with waves at night under the moon",
    "it is [u] flying. the camera is still.",
)
PAIR = concept_prompt(
    "a [v] dog with a hat and a black and white scarf wearing a glove on its hand", "it is [u]."
)
BARE = concept_prompt("a [v] dog without a hat", "it is [u].")
EDITS = (
    "without the cap",
    "in the desert at night",
    "wearing a hat",
    "pencil sketch",
    "an oil painting",
    "the camera zooms in",
    "older",
    "smiling",
    "a yellow belly",
    "while it rains",
    "next to a bonfire",
    "it is [u] jumping",
    "slowly",
)


def _rewritten(prompt: ConceptPrompt, edit: str) -> str:
    return rewrite(prompt, edit).prompt.replace("[v1]", "[v]").replace("[u1]", "[u]")


@pytest.mark.parametrize(
    ("edit", "look"),
    [
        ("in the desert at night", "a [v] creature in the desert at night"),
        ("in the rain", "a [v] creature in a meadow in the rain"),
        ("at night with stars", "a [v] creature in a meadow at night with stars"),
        ("golden hour", "a [v] creature in a meadow, golden hour"),
        ("place: Paris", "a [v] creature in Paris on a sunny day"),
        ("on a bridge near a road", "a [v] creature on a bridge near a road on a sunny day"),
        ("wearing a hat", "a [v] creature wearing a hat in a meadow on a sunny day"),
        ("a red scarf", "a [v] creature with a red scarf in a meadow on a sunny day"),
        ("blue shoes", "a [v] creature with blue shoes in a meadow on a sunny day"),
        ("a big nose", "a [v] creature with a big nose in a meadow on a sunny day"),
        (
            "wearing a scarf around its neck",
            "a [v] creature wearing a scarf around its neck in a meadow on a sunny day",
        ),
        ("next to a bonfire", "a [v] creature in a meadow next to a bonfire on a sunny day"),
        ("older", "a [v] older creature in a meadow on a sunny day"),
        ("very old", "a [v] very old creature in a meadow on a sunny day"),
        ("smiling", "a [v] smiling creature in a meadow on a sunny day"),
        ("looking much older", "a [v] much older creature in a meadow on a sunny day"),
        ("pencil sketch", "a [v] creature in a meadow on a sunny day, pencil sketch"),
        ("wearing make-up", "a [v] creature wearing make-up in a meadow on a sunny day"),
        ("on the moon", "a [v] creature on the moon on a sunny day"),
        ("it rains", "a [v] creature in a meadow while it rains"),
        (
            "in the desert, the sun is setting",
            "a [v] creature in the desert while the sun is setting",
        ),
        ("as an oil painting", "an oil painting of a [v] creature in a meadow on a sunny day"),
        ("style: ukiyo-e", "a [v] creature in a meadow on a sunny day, ukiyo-e"),
        (
            "pencil sketch, in the snow, wearing a hat",
            "a [v] creature wearing a hat in the snow on a sunny day, pencil sketch",
        ),
    ],
)
def test_the_look_changes_where_it_is_named(edit: str, look: str):
    assert _rewritten(CREATURE, edit) == f"{look}. it is [u] dancing."


@pytest.mark.parametrize(
    ("edit", "motion"),
    [
        ("jumping", "it is [u] jumping."),
        ("spinning around", "it is [u] spinning around."),
        ("[u] jumping", "it is [u] jumping."),
        ("it is jumping", "it is jumping."),
        ("they jump and turn around", "they jump and turn around."),
        ("slowly", "it is [u] dancing slowly."),
        ("in slow motion", "it is [u] dancing in slow motion."),
        ("the camera zooms in", "it is [u] dancing. the camera zooms in."),
    ],
)
def test_the_movement_changes_where_it_is_named(edit: str, motion: str):
    assert _rewritten(CREATURE, edit) == f"a [v] creature in a meadow on a sunny day. {motion}"


@pytest.mark.parametrize(
    ("prompt", "edit", "old", "new"),
    [
        (MAN, "in the desert", "near a road on a bridge", "in the desert"),
        (MAN, "red shirt", "gray shirt", "red shirt"),
        (MAN, "wearing a hat", "and cap near", "and cap wearing a hat near"),
        (MAN, "older", "[v] man", "[v] older man"),
        (MAN, "an oil painting", "A [v]", "An oil painting of a [v]"),
        (MAN, "at night", "legs up.", "legs up at night."),
        (BALL, "in the desert", "by the sea with waves", "in the desert"),
        (BALL, "at dusk", "at night under the moon", "at dusk"),
        (BALL, "blue", "red", "blue"),
        (BALL, "a red hat", "a hat", "a red hat"),
        (BALL, "an orange hat", "a hat", "an orange hat"),
        (BALL, "wearing a hat", "with a hat", "wearing a hat"),
        (BALL, "with glasses", "with a hat", "with glasses"),
        (BALL, "without a hat", "with a hat", "without a hat"),
        (MAN, "without the cap", ", gray shirt and cap", " and gray shirt without the cap"),
        (MAN, "wearing a red cap", ", gray shirt and cap", " and gray shirt wearing a red cap"),
        (MAN, "without a shirt", ", gray shirt and cap", " and cap without a shirt"),
        (
            MAN,
            "without pants",
            "black track pants, gray shirt and cap near",
            "gray shirt and cap without pants near",
        ),
        (
            PAIR,
            "without a hat",
            "a hat and a black and white scarf",
            "a black and white scarf without a hat",
        ),
        (PAIR, "without a scarf", "a hat and a black and white scarf", "a hat without a scarf"),
        (PAIR, "without the glove", "wearing a glove on its hand", "without the glove"),
        (BARE, "without glasses", "without a hat", "without a hat without glasses"),
        (BALL, "holding a glass", "with a hat", "with a hat holding a glass"),
        (BALL, "an oil painting", "a pencil sketch", "an oil painting"),
        (BALL, "the camera zooms in", "the camera is still", "the camera zooms in"),
        (BALL, "by the sea=>on a ship", "by the sea", "on a ship"),
    ],
)
def test_what_is_of_the_same_kind_is_replaced(prompt: ConceptPrompt, edit: str, old: str, new: str):
    before = prompt.full.replace("[v1]", "[v]").replace("[u1]", "[u]")
    assert old in before
    assert _rewritten(prompt, edit) == before.replace(old, new, 1)


def test_a_style_at_the_end_replaces_the_one_in_front():
    assert _rewritten(BALL, "neon lights").startswith("a [v] red ball with a hat by the sea")
    assert "under the moon, neon lights. it is" in _rewritten(BALL, "neon lights")


def test_a_whole_prompt_is_taken_as_it_is():
    assert rewrite(CREATURE, " a [v] dog  on a ship").prompt == "a [v1] dog on a ship"


def test_what_was_done_is_said():
    assert rewrite(CREATURE, "in the desert, wearing a hat").changes == (
        "place: 'in a meadow' -> 'in the desert'",
        "accessory: 'wearing a hat' added",
    )


@pytest.mark.parametrize("name", UNSEEN)
def test_every_prompt_of_the_toybox_is_understood(name: str):
    concept = UNSEEN[name]
    prompt = concept_prompt(concept.look, concept.motion)
    changes = rewrite(prompt, "in the desert at night").changes
    assert [change.partition(" added")[1] for change in changes] == ["", ""]


@given(st.sampled_from([CREATURE, MAN, BALL]), st.sampled_from(EDITS))
def test_an_edit_done_twice_is_done_once_and_tokens_stay(prompt: ConceptPrompt, edit: str):
    once = rewrite(prompt, edit).prompt
    assert placeholders(once) == placeholders(prompt.full)
    look, sentence, motion = re.split(r"\. (?=(it|The) )", once, maxsplit=1)
    assert motion.startswith(sentence)
    assert rewrite(ConceptPrompt(look, motion), edit).prompt == once


@given(st.sampled_from([CREATURE, MAN, BALL]), st.text(max_size=40))
def test_any_text_is_an_edit_or_an_error_of_one_line(prompt: ConceptPrompt, edit: str):
    try:
        result = rewrite(prompt, edit).prompt
    except PromptError as error:
        result = str(error)
    assert result.strip()
    assert "\n" not in result


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("", "the edit is empty"),
        (" , ", "the edit is empty"),
        ("place:", "empty after its kind"),
        ("weird", "cannot tell what 'weird' changes; put its kind in front .place, light"),
        ("the sea", "cannot tell"),
        ("as an old man", "cannot tell what 'as an old man' changes"),
        (
            "make it old",
            "tells somebody to make something; say what is seen then, as 'in the rain'",
        ),
        ("make it rain", "tells somebody to make"),
        ("turn around at night", "tells somebody to turn"),
        ("Please add a red scarf", "tells somebody to add"),
        ("in the desert, remove the hat", "tells somebody to remove"),
        ("in the desert and make it night", "tells somebody to make"),
        ("style: make it a sketch", "tells somebody to make"),
        ("20 years older", "cannot tell what '20 years older' changes"),
        ("change the shirt to red", "tells somebody to change"),
        ("=>on a ship", "looks for ''"),
        ("in a forest=>on a ship", "does not have"),
        ("meado=>ship", "does not have"),
    ],
)
def test_what_it_cannot_place_is_an_error_that_shows_the_way(edit: str, message: str):
    with pytest.raises(PromptError, match=message):
        rewrite(CREATURE, edit)
