import random
import signal
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from setseq.errors import SettingsError
from setseq.toybox.autoencoder import ToyAutoencoder, fit_basis
from setseq.toybox.components import (
    Networks,
    build_networks,
    load_weights,
    save_pipeline,
    tokens_of_captions,
)
from setseq.toybox.draw import draw_scene
from setseq.toybox.judge import Judge, answers, heads, labels
from setseq.toybox.judging import judge_loss
from setseq.toybox.lessons import Lesson, Lessons
from setseq.toybox.pretrain import Pretraining, pretrain
from setseq.toybox.resume import Resumable, rate_at
from setseq.toybox.scene_map import scene_map
from setseq.toybox.settings import PretrainSettings
from setseq.toybox.shards import Shards, clip_pixels, normalised, shard_path, write_shard
from setseq.toybox.world import FPS, random_scene


@pytest.fixture
def shards(tmp_path):
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "clips": torch.randn(6, 4, 3, 4, 4, generator=generator).half(),
        "frames": torch.randn(6, 2, 4, 4, 4, generator=generator).half(),
    }
    save_file(tensors, shard_path(tmp_path, 0))
    return Shards(tmp_path, 1)


def _pretraining(
    steps: int,
    *,
    self_conditioning: float = 0.5,
    character_weight: float = 3.0,
    reading_weight: float = 0.3,
) -> Pretraining:
    torch.manual_seed(0)
    networks = build_networks(channels=4, width=64, layers=1, text_width=32, text_layers=1)
    settings = PretrainSettings(
        steps=steps,
        frame_steps=2,
        clips=2,
        frames=3,
        cooldown=1.0,
        self_conditioning=self_conditioning,
        character_weight=character_weight,
        reading_weight=reading_weight,
    )
    return Pretraining(networks, settings)


def _lessons(run: Pretraining, shards: Shards, count: int) -> list[Lesson]:
    drawn = Lessons(shards, run.networks, run.settings)
    return [drawn[step] for step in range(count)]


def test_pretraining_resumes_bitwise(tmp_path, shards):
    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()
    once = _pretraining(6)
    pretrain(once, shards, tmp_path / "once")
    first = _pretraining(6)
    for lesson in _lessons(first, shards, 3):
        first.advance(lesson)
    first.save(tmp_path / "twice" / "base.safetensors")
    second = _pretraining(6)
    pretrain(second, shards, tmp_path / "twice")
    for a, b in zip(
        once.networks.transformer.parameters(),
        second.networks.transformer.parameters(),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_ctrl_c_ends_the_step_and_keeps_it(tmp_path, shards):
    def stop_at_two(step: int, _loss: float) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    run = _pretraining(6)
    with pytest.raises(KeyboardInterrupt):
        pretrain(run, shards, tmp_path, on_step=stop_at_two)
    resumed = _pretraining(6)
    resumed.load(tmp_path / "base.safetensors")
    assert run.step == resumed.step == 2


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_lessons_drawn_ahead_by_other_processes_are_the_same(shards):
    run = _pretraining(3)
    drawn = Lessons(shards, run.networks, run.settings)
    ahead = list(drawn.from_step(1, workers=2))
    assert len(ahead) == 2
    for lesson, other in zip(ahead, [drawn[1], drawn[2]], strict=True):
        for name in ("latents", "noise", "times", "fed", "ids", "mask"):
            assert torch.equal(getattr(lesson, name), getattr(other, name))
        for name in ("shown", "poses", "attributes"):
            assert torch.equal(getattr(lesson.truth, name), getattr(other.truth, name))


def test_lessons_reach_other_processes_without_the_networks(shards):
    run = _pretraining(3)
    names = vars(Lessons(shards, run.networks, run.settings)).values()
    assert not any(isinstance(value, (Networks, nn.Module)) for value in names)


def test_pretraining_leaves_the_text_encoder_as_it_is(shards):
    run = _pretraining(6)
    before = {k: v.clone() for k, v in run.networks.text_encoder.state_dict().items()}
    block = _block_weight(run.networks).clone()
    for lesson in _lessons(run, shards, 3):
        run.advance(lesson)
    for name, tensor in run.networks.text_encoder.state_dict().items():
        assert torch.equal(before[name], tensor)
    assert not torch.equal(block, _block_weight(run.networks))


def test_a_resumable_run_takes_up_where_it_stopped(tmp_path):
    def loss(network):
        return lambda g: network(torch.randn(4, 3, generator=g)).square().mean()

    def network():
        torch.manual_seed(1)
        return nn.Linear(3, 1)

    once, stopped, resumed = network(), network(), network()
    Resumable(once, tmp_path / "a", steps=8, rate=0.1).run(
        loss(once), seed=0, on_step=lambda step, value: None
    )

    def stop(step, value):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Resumable(stopped, tmp_path / "b", steps=8, rate=0.1).run(
            loss(stopped), seed=0, on_step=stop, save_every=2
        )
    Resumable(resumed, tmp_path / "b", steps=8, rate=0.1).run(
        loss(resumed), seed=0, on_step=lambda step, value: None
    )
    assert torch.equal(once.weight, resumed.weight)


def test_the_rate_rises_stays_and_falls_to_nothing():
    rates = [rate_at(step, 100, warmup=10, cooldown=0.3) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[50] == 1.0
    assert rates[100] == 0.0


def _block_weight(networks: Networks) -> torch.Tensor:
    return networks.transformer.get_parameter("blocks.0.ffn.net.2.weight").detach()


def _clips(count: int) -> torch.Tensor:
    return torch.stack([clip_pixels(random_scene(k)) for k in range(count)])


def test_lone_frames_and_clips_come_with_a_caption_each(shards):
    rows, rng = torch.tensor([0, 3, 5]), random.Random(0)
    lone, clips = (shards.batch(rows, rng, lone=flag) for flag in (True, False))
    assert (lone.latents.shape, lone.times_s.shape) == ((3, 4, 1, 4, 4), (3, 1))
    assert (clips.latents.shape, clips.times_s.shape) == ((3, 4, 3, 4, 4), (3, 3))
    assert len(lone.words) == len(clips.words) == 3


def test_a_lone_frame_comes_with_the_time_that_it_was_drawn_at(tmp_path):
    torch.manual_seed(0)
    write_shard(fit_basis(_clips(4), z_dim=96, patch=8, group=2), tmp_path, 0, 4)
    shards = Shards(tmp_path, 1)
    batch = shards.batch(torch.arange(4), random.Random(1), lone=True)
    code = fit_basis(_clips(4), z_dim=96, patch=8, group=2)
    for latents, scene, time in zip(batch.latents, batch.scenes, batch.times_s, strict=True):
        drawn = draw_scene(scene, [float(time[0]) * FPS]).movedim(1, 0)[None] * 2 - 1
        torch.testing.assert_close(normalised(code, drawn)[0], latents, atol=0.02, rtol=0)


def test_the_reader_teaches_the_blocks_before_it(shards):
    def first_weights(reading: float) -> torch.Tensor:
        run = _pretraining(4, reading_weight=reading)
        run.advance(_lessons(run, shards, 1)[0])
        return _block_weight(run.networks)

    assert not torch.equal(first_weights(0.3), first_weights(0.0))


def test_an_error_where_a_character_is_counts_as_often_as_its_weight_says(shards):
    batch = shards.batch(torch.tensor([0]), random.Random(0), lone=False)
    maps = scene_map(batch.scenes, batch.times_s, 4).shown
    shown = maps[0, 0]
    body, scenery = (tuple(place.nonzero()[0].tolist()) for place in (shown, ~shown))

    def share(place: tuple[int, ...]) -> float:
        errors = torch.zeros(1, 4, 3, 4, 4)
        errors[:, :, 0, place[0], place[1]] = 1.0
        return _pretraining(4, character_weight=3.0)._weighted(errors, maps).item()

    assert share(body) == pytest.approx(3 * share(scenery))


def test_the_map_has_the_order_of_the_transformers_tokens():
    networks = _small_networks(0)
    seen: list[torch.Tensor] = []
    networks.transformer.get_submodule("blocks.0").register_forward_pre_hook(
        lambda _block, args: seen.append(args[0])
    )
    latents = torch.zeros(1, 4, 3, 4, 4)
    lit = latents.clone()
    lit[:, :, 1, 2, 3] = 1.0
    for video in (latents, lit):
        words = networks.encode(*tokens_of_captions(networks.tokenizer, ["a ball"]))
        networks.velocity(video, torch.tensor([0.5]), *words)
    changed = (seen[0] != seen[1]).any(-1)
    assert torch.equal(changed, lit.any(1).flatten(1))


def test_a_base_of_other_blocks_is_refused(tmp_path):
    save_pipeline(_small_networks(0), ToyAutoencoder(z_dim=4, latents_mean=(0.0,) * 4), tmp_path)
    torch.manual_seed(0)
    wide = build_networks(channels=4, width=128, layers=1, text_width=32, text_layers=1)
    with pytest.raises(SettingsError, match="blocks of another number or size"):
        load_weights(wide, tmp_path)


def test_a_base_of_other_latents_gives_its_blocks(tmp_path):
    wide, narrow = _small_networks(0, channels=6), _small_networks(1)
    with torch.no_grad():
        wide.self_conditioning.projection.weight.normal_()
    block = _block_weight(wide).half().float()
    own = narrow.transformer.patch_embedding.weight.detach().clone()
    save_pipeline(wide, ToyAutoencoder(z_dim=6, latents_mean=(0.0,) * 6), tmp_path)
    load_weights(narrow, tmp_path)
    assert torch.equal(_block_weight(narrow), block)
    assert torch.equal(narrow.transformer.patch_embedding.weight, own)


def test_labels_follow_the_order_of_the_questions():
    scene = random_scene(2)
    for (name, values), label in zip(heads().items(), labels(scene), strict=True):
        if label >= 0:
            assert values[label] == answers(scene)[name]


def test_a_lone_characters_scene_asks_nothing_of_the_right_slot():
    scene = next(s for s in map(random_scene, range(99)) if len(s.characters) == 1)
    asked = [n for n, label in zip(heads(), labels(scene), strict=True) if label >= 0]
    assert not any(name.startswith("right_") for name in asked)


def test_the_judges_loss_falls_with_the_right_answer():
    target = torch.tensor([labels(random_scene(1))])
    scores = torch.zeros(1, sum(len(v) for v in heads().values()))
    better, place = scores.clone(), 0
    for values, label in zip(heads().values(), target[0].tolist(), strict=True):
        if label >= 0:
            better[0, place + label] = 5.0
        place += len(values)
    assert judge_loss(better, target) < judge_loss(scores, target)


def test_a_question_that_no_clip_asks_costs_nothing():
    target = torch.full((2, len(heads())), -100)
    scores = torch.randn(2, sum(len(v) for v in heads().values()))
    assert judge_loss(scores, target) == 0


def test_the_order_of_frames_changes_motions_alone():
    torch.manual_seed(0)
    judge, clip = Judge().eval(), torch.rand(1, 3, 17, 64, 64)
    order = list(range(17))
    order[1:5], order[6:10] = order[6:10], order[1:5]  # frames that no look is read from
    sizes = [len(values) for values in heads().values()]
    before, after = (judge(x).split(sizes, 1) for x in (clip, clip[:, :, order]))
    for name, a, b in zip(heads(), before, after, strict=True):
        assert torch.equal(a, b) != name.endswith("motion")


def _small_networks(seed: int, channels: int = 4):
    torch.manual_seed(seed)
    return build_networks(channels=channels, width=64, layers=1, text_width=32, text_layers=1)


def test_a_base_folder_gives_its_weights_back(tmp_path):
    trained, fresh = _small_networks(0), _small_networks(1)
    save_pipeline(trained, ToyAutoencoder(z_dim=4, latents_mean=(0.0,) * 4), tmp_path)
    load_weights(fresh, tmp_path)
    for part in ("transformer", "text_encoder"):
        old, new = (dict(getattr(n, part).named_parameters()) for n in (trained, fresh))
        assert old.keys() == new.keys()
        assert all(torch.equal(old[name].float(), new[name]) for name in old)


def test_a_projection_that_was_trained_lies_beside_the_pipeline_and_comes_back(tmp_path):
    trained, fresh = _small_networks(0), _small_networks(1)
    vae = ToyAutoencoder(z_dim=4, latents_mean=(0.0,) * 4)
    save_pipeline(_small_networks(0), vae, tmp_path / "without")
    with torch.no_grad():
        trained.self_conditioning.projection.weight.normal_()
    save_pipeline(trained, vae, tmp_path / "with")
    load_weights(fresh, tmp_path / "with")
    assert not (tmp_path / "without" / "self_conditioning.safetensors").exists()
    ours, theirs = (n.self_conditioning.projection.weight for n in (fresh, trained))
    assert torch.equal(ours, theirs)


def test_pretraining_teaches_the_projection_unless_no_row_sees_an_estimate(shards):
    for share, taught in ((0.5, True), (0.0, False)):
        run = _pretraining(4, self_conditioning=share)
        for lesson in _lessons(run, shards, 2):
            run.advance(lesson)
        assert run.networks.self_conditioning.projection.weight.any() == taught


def test_diffusers_loads_and_runs_the_folder_that_is_written(tmp_path):
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline

    vae = ToyAutoencoder(z_dim=4, latents_mean=(0.0,) * 4, latents_std=(1.0,) * 4)
    save_pipeline(_small_networks(0), vae, tmp_path)
    pipeline = WanPipeline.from_pretrained(tmp_path, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    output: Any = pipeline(
        "a red ball", height=32, width=32, num_frames=5, num_inference_steps=2, output_type="np"
    )
    assert output.frames.shape == (1, 5, 32, 32, 3)
