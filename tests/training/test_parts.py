"""The pure parts of a step: how a batch is split, which words are left out, what masks weigh."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from setseq.errors import PromptError, SettingsError
from setseq.training.batches import split_batch
from setseq.training.encodings import masked
from setseq.training.masks import clip_weights, frame_weights
from setseq.training.prior_prompts import DOMAINS, prior_prompts
from setseq.training.stages import Group, beside

# Two words; a sign parts letters within the first one.
PERSIAN = "\u0645\u06cc\u200c\u062f\u0648\u062f \u0633\u06af"
PROMPT = "a red [v1] creature, in the north-east meadow. it is [u1]"


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=5), st.integers(1, 9))
def test_a_split_batch_is_always_full(shares: list[float], batch: int):
    counts = split_batch(shares, batch, torch.Generator().manual_seed(0))
    assert sum(counts) == batch
    assert all(c <= s / sum(shares) * batch + 1 for c, s in zip(counts, shares, strict=True))


def test_the_shares_are_met_in_the_mean_even_where_a_step_has_one_sample():
    generator = torch.Generator().manual_seed(0)
    counts = [split_batch([0.75, 0.25], 1, generator) for _ in range(4000)]
    share = sum(second for _, second in counts) / len(counts)
    assert share == pytest.approx(0.25, abs=0.02)


def test_one_group_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert split_batch([1.0], 5, generator) == [5]
    assert torch.equal(generator.get_state(), before)


def test_the_concept_gets_what_the_others_leave():
    def group(share: float) -> Group:
        return Group(name="g", latents=torch.zeros(1), prompts=("a",), share=share)

    groups = beside([group(1), group(1)], [group(0.2), group(0.4)])
    assert [g.share for g in groups] == pytest.approx([0.2, 0.2, 0.2, 0.4])
    with pytest.raises(SettingsError, match=r"shares of g \(0.2\) and g \(0.8\) leave nothing"):
        beside([group(1)], [group(0.2), group(0.8)])


def test_masking_leaves_out_whole_words_and_spares_tokens_and_punctuation():
    generator = torch.Generator().manual_seed(0)
    assert masked(PROMPT, 0.0, generator) == PROMPT
    assert masked(PROMPT, 1.0, generator) == "[v1],. [u1]"
    assert masked(PROMPT, 1.0, generator, spare_tokens=False) == ",."
    seen = {masked(PROMPT, 0.3, generator) for _ in range(50)}
    assert len(seen) > 20
    words = set(PROMPT.replace(",", " ").replace(".", " ").split())
    for text in seen:
        assert set(text.replace(",", " ").replace(".", " ").split()) <= words


def test_each_word_is_left_out_with_the_probability():
    generator = torch.Generator().manual_seed(0)
    kept = sum("meadow" in masked("a meadow", 0.1, generator) for _ in range(3000))
    assert kept / 3000 == pytest.approx(0.9, abs=0.02)


def test_writings_without_spaces_lose_signs_not_sentences():
    left = masked("一只红色的猫", 0.5, torch.Generator().manual_seed(1))
    assert 0 < len(left) < 6


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("हिन्दी में एक लाल कुत्ता", ["हिन्दी", "में", "एक", "लाल", "कुत्ता"]),
        ("กำลังวิ่ง เล่น", ["กำ", "ลั", "ง", "วิ่", "ง", "เล่", "น"]),
        ("e\u0301te\u0301 rouge", ["e\u0301te\u0301", "rouge"]),
        (PERSIAN, PERSIAN.split()),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),
    ],
)
def test_vowel_marks_and_accents_go_with_their_letters(prompt: str, words: list[str]):
    assert masked(prompt, 1.0, torch.Generator().manual_seed(0)) == ""
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        left = masked(prompt, 0.5, generator).replace(" ", "")
        rest = iter(words)
        while left:  # what is left is some of the words, whole, in their order
            word = next(rest)
            left = left.removeprefix(word)


def test_masks_weigh_frames_alone_and_keep_the_scale_of_the_loss():
    mask = torch.zeros(1, 5, 8, 8)
    mask[:, 2, :4, :4] = 1
    alone = frame_weights(mask, (2, 2))
    assert alone.shape == (5, 1, 1, 2, 2)
    assert alone.mean() == pytest.approx(1)
    assert alone[2, 0, 0, 0, 0] == 20
    assert alone.count_nonzero() == 1


def test_a_latent_frame_weighs_what_any_of_its_frames_shows():
    mask = torch.zeros(1, 9, 8, 8)
    mask[:, 3, :4, :4] = 1
    whole = clip_weights(mask, (3, 2, 2), 4)
    assert whole.shape == (1, 1, 3, 2, 2)
    assert whole.mean() == pytest.approx(1)
    assert whole[0, 0, 1, 0, 0] == 12
    assert whole.count_nonzero() == 1


def test_copies_in_front_of_the_latents_weigh_as_the_first_frame():
    mask = torch.zeros(1, 9, 8, 8)
    mask[:, 0, :4, :4] = 1
    filled_up = clip_weights(mask, (4, 2, 2), 4)
    assert filled_up.shape == (1, 1, 4, 2, 2)
    assert filled_up.mean() == pytest.approx(1)
    assert filled_up[0, 0, :, 0, 0].tolist() == [8, 8, 0, 0]


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_domain_has_two_dozen_prompts_of_two_parts(domain: str):
    prompts = prior_prompts(domain, base="other", count=24)
    assert len(set(prompts)) == 24
    assert all(prompt.look and prompt.motion for prompt in prompts)


def test_auto_is_the_toyboxs_own_on_the_toybox_and_a_mix_elsewhere():
    assert prior_prompts("auto", base="toybox", count=5) == prior_prompts(
        "toybox", base="wan", count=5
    )
    mix = prior_prompts("auto", base="wan", count=8)
    for domain in ("people", "animals", "objects", "nature"):
        assert sum(p in prior_prompts(domain, base="", count=24) for p in mix) == 2


def test_a_file_of_prompts_is_read_and_its_errors_name_the_line(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("# mine\n\na red ball | it rolls\na box|it falls\n")
    found = prior_prompts(str(path), base="", count=3)
    assert [prompt.full for prompt in found] == [
        "a red ball. it rolls",
        "a box. it falls",
        "a red ball. it rolls",
    ]
    for text, message in (
        ("a ball", "line 1: 'a ball' has not two parts"),
        ("a [v] ball | it rolls", r"line 1: has \[v1\]; the prior is learned without"),
        ("# none", "has no prompt"),
    ):
        path.write_text(text)
        with pytest.raises(PromptError, match=message):
            prior_prompts(str(path), base="", count=1)
    with pytest.raises(PromptError, match=r"no prior prompts at .*poeple.* or auto, people"):
        prior_prompts("poeple", base="", count=1)
