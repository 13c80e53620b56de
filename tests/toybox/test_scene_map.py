from dataclasses import replace

import pytest
import torch

from setseq.toybox.draw import draw_scene
from setseq.toybox.scene_map import SceneReader, scene_map
from setseq.toybox.world import CHARACTER_ATTRIBUTES, FPS, SHAPES, random_scene


def _bare(seed: int, number: int = 1):
    scene = random_scene(seed, num_characters=number)
    people = tuple(replace(one, accessory="none") for one in scene.characters)
    return replace(scene, characters=people, element="none", light="day", style="plain")


@pytest.mark.parametrize("seed", range(6))
def test_all_that_a_character_paints_is_on_the_map(seed):
    scene = _bare(seed)
    frames = [0, 5, 11]
    painted = (draw_scene(scene, frames) - draw_scene(replace(scene, characters=()), frames)).abs()
    cells = torch.nn.functional.avg_pool2d(painted.amax(1), 8) > 0.02
    truth = scene_map([scene], torch.tensor([[k / FPS for k in frames]]), 8)
    assert bool((truth.shown[0] | ~cells).all())


def test_most_of_a_picture_is_scenery():
    times = torch.zeros(40, 1)
    shown = scene_map([random_scene(k) for k in range(40)], times, 8).shown
    assert 0.15 < shown.float().mean() < 0.5


def test_each_side_has_the_attributes_of_its_own_character():
    scene = _bare(3, number=2)
    truth = scene_map([scene], torch.zeros(1, 1), 8)
    place = list(CHARACTER_ATTRIBUTES).index("shape")
    left, right = (truth.attributes[0, 0, 4, column, place] for column in (1, 6))
    assert [SHAPES[left], SHAPES[right]] == [one.shape for one in scene.characters]


def test_a_pose_is_seen_from_the_centre_of_the_body():
    scene = replace(_bare(0), camera="still")
    one = replace(scene.characters[0], motion="standing", x=0.125, y=-0.125)
    truth = scene_map([replace(scene, characters=(one,))], torch.zeros(1, 1), 8)
    assert torch.allclose(truth.poses[0, 0, 3, 4, :2], torch.zeros(2), atol=1e-6)


def test_a_reader_learns_from_tokens_that_know():
    torch.manual_seed(0)
    scenes = [random_scene(k) for k in range(8)]
    truth = scene_map(scenes, torch.zeros(8, 1), 4)
    known = torch.cat(
        [truth.shown[..., None].float(), truth.poses, truth.attributes.float()], -1
    ).flatten(1, 3)
    hidden = torch.nn.functional.pad(known, (0, 64 - known.shape[-1]))
    reader = SceneReader(64)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=3e-3)
    before = reader.loss(hidden, truth).item()
    for _ in range(60):
        optimizer.zero_grad()
        reader.loss(hidden, truth).backward()
        optimizer.step()
    assert reader.loss(hidden, truth).item() < 0.5 * before
