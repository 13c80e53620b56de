import random
import re
import tomllib

import pytest
import torch

from setseq.toybox.bodies import BODIES, EXTENT
from setseq.toybox.captions import caption
from setseq.toybox.concepts import shipped_clip
from setseq.toybox.draw import draw_scene
from setseq.toybox.preview import frames_of
from setseq.toybox.shipped import asset
from setseq.toybox.tokenizer import build_tokenizer, vocabulary
from setseq.toybox.unseen import UNSEEN, draw_mask, draw_unseen
from setseq.toybox.world import (
    CHARACTER_ATTRIBUTES,
    NUM_FRAMES,
    SCENE_ATTRIBUTES,
    SHAPES,
    random_scene,
)
from setseq.video.views import to_frames


def test_a_scene_is_the_same_for_the_same_seed():
    assert torch.equal(draw_scene(random_scene(7)), draw_scene(random_scene(7)))


def test_a_lone_frame_is_the_frame_of_the_clip():
    scene = random_scene(3)
    torch.testing.assert_close(draw_scene(scene, [5])[0], draw_scene(scene)[5])


def test_pixels_stay_in_range():
    for seed in range(20):
        pixels = draw_scene(random_scene(seed))
        assert pixels.shape == (NUM_FRAMES, 3, 64, 64)
        assert pixels.min() >= 0
        assert pixels.max() <= 1


def test_every_value_of_every_attribute_is_drawn():
    scenes = [random_scene(seed) for seed in range(600)]
    for name, values in SCENE_ATTRIBUTES.items():
        assert {getattr(scene, name) for scene in scenes} == set(values)
    characters = [character for scene in scenes for character in scene.characters]
    for name, values in CHARACTER_ATTRIBUTES.items():
        assert {getattr(character, name) for character in characters} == set(values)


def test_a_full_caption_names_colour_shape_and_side():
    scene = next(s for s in map(random_scene, range(99)) if len(s.characters) == 2)
    text = caption(scene, random.Random(0), drop=0.0).look
    left, right = text.split(" on the left and ")
    assert scene.characters[0].color in left
    assert scene.characters[1].color in right
    assert " on the right" in right


def test_every_word_of_a_caption_is_one_token():
    words = set(vocabulary())
    rng = random.Random(1)
    for seed in range(5000, 5300):
        assert set(re.findall(r"[a-z]+", caption(random_scene(seed), rng).text)) <= words


def test_the_tokenizer_reloads_as_it_was_saved(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    text = "A Zor zebra, dancing. The [v] one"
    assert AutoTokenizer.from_pretrained(tmp_path)(text).input_ids == tokenizer(text).input_ids


def test_capitals_are_read_as_small_letters():
    tokenizer = build_tokenizer()
    assert tokenizer("A Red Ball").input_ids == tokenizer("a red ball").input_ids


@pytest.mark.parametrize("name", UNSEEN)
def test_an_unseen_concept_moves_and_names_its_two_tokens(name):
    pixels = draw_unseen(name)
    assert (pixels[1:] - pixels[:-1]).abs().amax((1, 2, 3)).min() > 0.1
    assert "[v]" in UNSEEN[name].look
    assert "[u]" in UNSEEN[name].motion


def test_every_unseen_concept_ships_as_a_clip():
    assert {path.stem for path in asset("clips").glob("*.mp4")} == UNSEEN.keys()


def test_the_prompts_ship_beside_the_clips_and_are_those_that_are_used():
    shipped = tomllib.loads((asset("clips") / "prompts.toml").read_text())
    used = {name: {"look": c.look, "motion": c.motion} for name, c in UNSEEN.items()}
    assert shipped == used


@pytest.mark.parametrize("name", UNSEEN)
def test_a_shipped_clip_is_what_the_generator_draws(name):
    shipped = to_frames(shipped_clip(name)).astype(int)
    assert abs(shipped - frames_of(draw_unseen(name))).max() <= 1  # other machines round otherwise


@pytest.mark.parametrize("name", UNSEEN)
def test_an_unseen_concept_stays_whole_in_the_picture(name):
    mask = draw_mask(name)
    assert max(mask[..., (0, -1), :].max(), mask[..., (0, -1)].max()) == 0


def test_no_two_unseen_concepts_are_in_the_same_scene():
    scenes = [(concept.place, concept.light) for concept in UNSEEN.values()]
    assert len(set(scenes)) == len(scenes)


def test_prompts_of_unseen_concepts_are_made_of_known_words():
    words = set(vocabulary()) | {"v", "u"}
    for concept in UNSEEN.values():
        assert set(re.findall(r"[a-z]+", f"{concept.look} {concept.motion}")) <= words


@pytest.mark.parametrize("name", UNSEEN)
def test_a_mask_is_where_the_clip_changes_with_the_concept_and_nowhere_else(name):
    mask = draw_mask(name)
    here, there = (draw_unseen(name, light="day", place=place) for place in ("city", "snowfield"))
    assert mask.shape == (17, 1, 64, 64)
    assert 0.03 < mask.mean() < 0.6
    covered = (mask > 0.999).expand(-1, 3, -1, -1)
    assert torch.allclose(here[covered], there[covered], atol=1e-3)
    assert (here - there).abs().mean(1, keepdim=True)[mask < 0.01].mean() > 0.05


@pytest.mark.parametrize("shape", SHAPES)
def test_a_body_reaches_no_further_than_its_extent(shape: str):
    line = torch.linspace(-2, 2, 401)
    u, v = torch.meshgrid(line, line, indexing="xy")
    inside = BODIES[shape](u, v) < 0
    reach = torch.maximum(u.abs(), v.abs())[inside].max()
    assert 0.8 < reach <= EXTENT
