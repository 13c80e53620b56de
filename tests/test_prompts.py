"""Prompts in two parts, and the words that stand for a concept."""

import pytest

from setseq.errors import PromptError
from setseq.prompts import TokenMode, check_prompt, choose_words, concept_prompt, filled

WORDS = choose_words("literal")


def test_the_motion_part_is_appended_to_the_look():
    prompt = concept_prompt(" a [v]  creature on a beach", "it is [u].")
    assert prompt.look == "a [v1] creature on a beach"
    assert prompt.full == "a [v1] creature on a beach. it is [u1]."
    assert concept_prompt("A [v] man.", "He is [u].").full == "A [v1] man. He is [u1]."


@pytest.mark.parametrize(
    ("look", "motion", "message"),
    [
        ("", "it is [u]", "look prompt is empty"),
        ("a [v] dog", " \n", "motion prompt is empty"),
        ("a dog", "it is [u]", r"lacks \[v\]"),
        ("a [v] dog", "it runs", r"lacks \[u\]"),
        ("a [v] [u] dog", "it is [u]", r"has \[u1\], which is not its token"),
        ("a [v] dog", "it is [u] and [x]", r"has \[x\]"),
        ("a [v2] dog", "it is [u]", r"lacks \[v\]"),
    ],
)
def test_a_wrong_part_is_refused(look: str, motion: str, message: str):
    with pytest.raises(PromptError, match=message):
        concept_prompt(look, motion)


def test_the_motion_may_name_the_look_again():
    assert concept_prompt("a [v] dog", "the [v] dog is [u]").motion == "the [v1] dog is [u1]"


def test_a_second_concept_has_tokens_of_its_own():
    assert concept_prompt("a [v2] dog", "it is [u2]", number=2).look == "a [v2] dog"
    with pytest.raises(PromptError, match=r"lacks \[v2\]"):
        concept_prompt("a [v] dog", "it is [u2]", number=2)


def test_literal_words_replace_placeholders():
    assert filled("a [v] dog, [u1]", WORDS) == "a zor dog, dax"


def test_learned_tokens_stand_for_themselves():
    assert filled("a [v] dog, [u]", choose_words("learned")) == "a [v1] dog, [u1]"


def test_own_words_are_taken_and_checked():
    assert choose_words("literal", words={"v": "sks"})["v1"] == "sks"
    for words, message in (
        ({"w": "sks"}, r"\[w\] is no token; known: \[v\], \[u\]"),
        ({"v": " "}, "use a plain word"),
        ({"v": "dax"}, "different words"),
    ):
        with pytest.raises(PromptError, match=message):
            choose_words("literal", words=words)


@pytest.mark.parametrize("mode", ["literal", "learned"])
@pytest.mark.parametrize("concepts", [0, 7])
def test_more_concepts_than_there_are_tokens_for_are_refused(mode: TokenMode, concepts: int):
    with pytest.raises(PromptError, match=f"{concepts} concepts .* use 1 to 6"):
        choose_words(mode, concepts=concepts)
    assert len(choose_words(mode, concepts=6)) == 12


def test_an_unknown_token_lists_the_known_ones():
    with pytest.raises(PromptError, match=r"\[v2\].* known: \[v\], \[u\]"):
        filled("a [v2] dog", WORDS)


def test_a_prompt_for_a_concept_must_name_it():
    with pytest.raises(PromptError, match="no concept token"):
        check_prompt("a dog", WORDS)
    with pytest.raises(PromptError, match="prompt is empty"):
        check_prompt(" ", WORDS)
    assert check_prompt("a [v] dog", WORDS) == "a zor dog"
