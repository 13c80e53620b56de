"""The loop trains what its stage says, and nothing else."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from setseq.config import LearnSettings
from setseq.errors import Interrupted, TrainingError
from setseq.flow import draw_times
from setseq.lora.inject import inject
from setseq.models.base import VideoModel
from setseq.prompts import choose_words, concept_prompt
from setseq.training import batches
from setseq.training.batches import draw_places
from setseq.training.loop import rate_factor, train
from setseq.training.objective import flow_losses
from setseq.training.stages import Stage, TrainingClip, sequence_stage, set_stage
from setseq.training.state import (
    Training,
    all_parameters,
    clip_gradients,
    make_optimizer,
    select_trained,
)

FAST = {"learning_rate": 1e-2, "precision": "fp32", "rank": 2, "set_batch": 3}


@pytest.fixture
def clip() -> TrainingClip:
    pixels = torch.rand(3, 5, 32, 32, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return TrainingClip(pixels=pixels, prompt=concept_prompt("a [v] character", "it is [u]"))


def training_of(model: VideoModel, **given) -> Training:
    settings = LearnSettings.resolve(FAST, given)
    injection = inject(
        model.denoiser,
        model.lora_targets,
        rank=settings.rank,
        generator=torch.Generator().manual_seed(settings.seed),
    )
    words = choose_words(settings.token_mode)
    learned = settings.token_mode == "learned"
    return Training(
        model=model,
        injection=injection,
        tokens=model.add_tokens(list(words.values())) if learned else None,
        words=words,
        settings=settings,
        run={},
    )


def stages_of(training: Training, clip: TrainingClip) -> dict[str, Stage]:
    model, settings = training.model, training.settings
    return {
        "set": set_stage(model, [clip], settings),
        "sequence": sequence_stage(model, [clip], settings),
    }


def _values(training: Training) -> dict[str, torch.Tensor]:
    weights = {f"base/{k}": v for k, v in training.model.denoiser.named_parameters()}
    own = {id(v) for v in all_parameters(training).values()}
    weights = {k: v for k, v in weights.items() if id(v) not in own}
    return {k: v.detach().clone() for k, v in (weights | all_parameters(training)).items()}


def _changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("mode", ["literal", "learned"])
@pytest.mark.parametrize(
    ("name", "parts"), [("set", {"basis", "identity"}), ("sequence", {"motion"})]
)
def test_each_stage_changes_exactly_its_parts(tiny_model, clip, name, parts, mode):
    training = training_of(tiny_model, token_mode=mode, set_steps=4, sequence_steps=4)
    stage = stages_of(training, clip)[name]
    before = _values(training)
    train(training, [stage])
    expected = {k for k in all_parameters(training) if k.split("/")[0] in parts}
    if mode == "learned":
        expected.add("tokens/rows")
    trainable = {
        k for k, v in all_parameters(training).items() if v.requires_grad and v.grad is not None
    }
    assert trainable == expected
    assert _changed(before, _values(training)) == expected


def test_the_default_targets_are_all_linear_maps_of_every_block(tiny_model):
    linear = {
        name
        for name, module in tiny_model.denoiser.blocks.named_modules(prefix="blocks")
        if isinstance(module, torch.nn.Linear)
    }
    assert set(training_of(tiny_model).injection.layers) == linear


def test_stage_two_starts_where_stage_one_ended(tiny_model, clip):
    training = training_of(tiny_model, set_steps=3)
    stage = stages_of(training, clip)["set"]
    train(training, [stage])
    conditioning = tiny_model.encode_prompts(["a character"])
    time = torch.tensor([0.5])
    with torch.no_grad():
        first = tiny_model.velocity(stage.groups[0].latents[:1], time, conditioning)
        training.injection.set_strengths(identity=1.0, motion=1.0)
        assert torch.equal(
            tiny_model.velocity(stage.groups[0].latents[:1], time, conditioning), first
        )


def test_the_set_stage_sees_every_frame_alone_and_the_static_prompt(tiny_model, clip):
    stages = stages_of(training_of(tiny_model), clip)
    assert stages["set"].groups[0].latents.shape == (5, 4, 1, 4, 4)
    assert set(stages["set"].groups[0].prompts) == {"a [v1] character"}
    assert stages["sequence"].groups[0].latents.shape == (1, 4, 2, 4, 4)
    assert stages["sequence"].groups[0].prompts == ("a [v1] character. it is [u1]",)


@torch.no_grad()
def test_the_set_loss_does_not_change_when_frames_are_permuted_with_their_noise(tiny_model, clip):
    generator = torch.Generator().manual_seed(0)
    data = stages_of(training_of(tiny_model), clip)["set"].groups[0].latents
    noise = torch.randn(data.shape, generator=generator)
    time = draw_times(len(data), shift=3.0, generator=generator)
    prompt = tiny_model.encode_prompts(["a character"])
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(
        flow_losses(tiny_model, data[order], noise[order], time[order], prompt).mean(),
        flow_losses(tiny_model, data, noise, time, prompt).mean(),
    )


@torch.no_grad()
def test_the_sequence_loss_changes_when_frames_are_permuted_with_their_noise(tiny_model, clip):
    generator = torch.Generator().manual_seed(0)
    data = stages_of(training_of(tiny_model), clip)["sequence"].groups[0].latents
    noise = torch.randn(data.shape, generator=generator)
    prompt = tiny_model.encode_prompts(["a character"])
    time = torch.tensor([0.5])
    forward = flow_losses(tiny_model, data, noise, time, prompt).mean()
    backward = flow_losses(tiny_model, data.flip(2), noise.flip(2), time, prompt).mean()
    assert abs(forward - backward) > 1e-4 * forward


def test_training_lowers_the_loss(tiny_model, clip):
    losses: list[float] = []
    training = training_of(tiny_model, set_steps=60, set_batch=20, learning_rate=3e-2)
    stage = stages_of(training, clip)["set"]
    reported = replace(training, on_step=lambda r: losses.append(r.loss))
    train(reported, [stage])
    assert len(losses) == 60
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


@pytest.mark.parametrize(
    ("decay", "factors"),
    [(0.0, [1, 1, 1, 1]), (0.5, [1, 1, 2 / 3, 1 / 3]), (1.0, [4 / 5, 3 / 5, 2 / 5, 1 / 5])],
)
def test_the_rates_fall_straight_in_the_last_share_of_a_stage(decay, factors):
    assert [rate_factor(done, 4, decay) for done in range(4)] == pytest.approx(factors)


def test_each_step_of_each_stage_takes_its_own_part_of_the_rates(tiny_model, clip, monkeypatch):
    used: list[list[float]] = []
    step = torch.optim.AdamW.step

    def spy(optimizer: torch.optim.AdamW, *given):
        used.append([group["lr"] for group in optimizer.param_groups])
        return step(optimizer, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    own = {"learning_rate": 1e-2, "token_learning_rate": 1e-3, "token_mode": "learned"}
    training = training_of(
        tiny_model, set_steps=2, sequence_steps=2, learning_rate_decay=1.0, **own
    )
    train(training, [*stages_of(training, clip).values()])
    falls = [pytest.approx([1e-2 * part, 1e-3 * part]) for part in (2 / 3, 1 / 3)]
    assert used == falls * 2


def test_sequence_has_a_factor_of_the_layers_rate_alone(tiny_model, clip):
    """The first step of AdamW is as long as its rate, whatever the gradient."""
    training = training_of(
        tiny_model, set_steps=1, sequence_steps=1, sequence_rate=3.0, token_mode="learned"
    )
    stages = stages_of(training, clip)
    longest = {}
    for name, part in (("set", "identity"), ("sequence", "motion")):
        before = _values(training)
        train(training, [stages[name]])
        moved = {key: (new - before[key]).abs().max() for key, new in _values(training).items()}
        longest[part] = max(each for key, each in moved.items() if key.startswith(f"{part}/"))
        assert moved["tokens/rows"] == pytest.approx(1e-5, rel=1e-2)
    assert longest == {
        "identity": pytest.approx(1e-2, rel=1e-2),
        "motion": pytest.approx(3e-2, rel=1e-2),
    }


def test_equal_batches_accumulated_weigh_like_one_of_them(tiny_model, clip, monkeypatch):
    def same_draws(count: int, batch: int, generator: torch.Generator) -> torch.Tensor:
        generator.manual_seed(0)  # the noise and the times that are drawn next
        return torch.arange(batch)

    monkeypatch.setattr(batches, "draw_places", same_draws)
    seen = []
    for accumulation in (1, 3):
        training = training_of(tiny_model, set_steps=1, accumulation=accumulation)
        reported = replace(
            training, on_step=lambda r: seen.append(torch.tensor([r.loss, r.gradient_norm]))
        )
        train(reported, [stages_of(training, clip)["set"]])
        training.injection.remove()
    torch.testing.assert_close(seen[1], seen[0])


def _clipped(model: VideoModel, clip: TrainingClip, factor: float) -> dict[str, torch.Tensor]:
    """The gradients of one step whose rows' gradient is ``factor`` times what it would be."""
    training = training_of(model, token_mode="learned", set_steps=1, clip_norm=1e-4)
    assert training.tokens is not None
    training.tokens.rows.register_hook(lambda gradient: gradient * factor)
    found, norms = {}, []

    def keep(report) -> None:
        norms.append(report.gradient_norm)
        for name, value in all_parameters(training).items():
            if value.grad is not None:
                found[name] = value.grad.clone()

    train(replace(training, on_step=keep), [stages_of(training, clip)["set"]])
    training.injection.remove()
    training.tokens.remove()
    return found | {"reported": torch.tensor(norms)}


def test_the_layers_clipped_gradients_do_not_depend_on_the_rows(tiny_model, clip):
    plain, steep = (_clipped(tiny_model, clip, factor) for factor in (1.0, 1e4))
    assert steep["reported"] > 100 * plain["reported"]  # all would be the rows'
    for found in (plain, steep):
        rows = found.pop("tokens/rows")
        torch.testing.assert_close(rows.norm(), torch.tensor(1e-4), atol=1e-7, rtol=0)
        del found["reported"]
        norm = torch.stack([value.norm() for value in found.values()]).norm()
        torch.testing.assert_close(norm, torch.tensor(1e-4), atol=1e-6, rtol=0)
    assert all(torch.equal(plain[name], steep[name]) for name in plain)
    assert plain.keys() == steep.keys()


def test_without_rows_all_gradients_are_clipped_and_reported_as_one(tiny_model, clip):
    training = training_of(tiny_model)
    trained = select_trained(training, stages_of(training, clip)["set"].trains)
    generator = torch.Generator().manual_seed(0)
    gradients = {k: torch.randn(v.shape, generator=generator) for k, v in trained.items()}

    def given() -> list[torch.nn.Parameter]:
        for name, value in trained.items():
            value.grad = gradients[name].clone()
        return list(trained.values())

    expected = torch.nn.utils.clip_grad_norm_(given(), 0.05)
    kept = [value.grad for value in trained.values()]
    given()
    assert torch.equal(clip_gradients(make_optimizer(trained, training.settings), 0.05), expected)
    for value, before in zip(trained.values(), kept, strict=True):
        assert value.grad is not None
        assert before is not None
        assert torch.equal(value.grad, before)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_values(tiny_model, clip):
    saved = []
    training = training_of(tiny_model, set_steps=5)
    stage = stages_of(training, clip)["set"]

    def poison(report) -> None:
        if report.step == 2:
            stage.groups[0].latents.fill_(float("nan"))

    failing = replace(training, on_step=poison, save=saved.append)
    with pytest.raises(TrainingError, match=r"loss is nan .* step 3 of the set .* no checkpoint"):
        train(failing, [stage])
    assert saved[-1].step == 2
    assert all(torch.isfinite(v).all() for v in all_parameters(training).values())


def test_ctrl_c_ends_the_step_saves_and_says_how_to_go_on(tiny_model, clip, tmp_path):
    saved = []
    training = training_of(tiny_model, set_steps=5)

    def interrupt(report) -> None:
        if report.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def save(snapshot):
        saved.append(snapshot)
        return tmp_path / "run.ckpt"

    stopped = replace(training, on_step=interrupt, save=save)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"after step 2 of 5 .*run\.ckpt: the same command goes"):
        train(stopped, [stages_of(training, clip)["set"]])
    assert saved[-1].step == 2
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_between_two_stages_is_held_until_the_next_step(tiny_model, clip, monkeypatch):
    saved = []
    training = training_of(tiny_model, set_steps=2, sequence_steps=2, checkpoint_every=0)
    stages = stages_of(training, clip)
    encode = tiny_model.encode_prompts

    def interrupt_before_the_sequence_stage(prompts):
        if prompts == ["a zor character. it is dax"]:
            os.kill(os.getpid(), signal.SIGINT)
        return encode(prompts)

    monkeypatch.setattr(tiny_model, "encode_prompts", interrupt_before_the_sequence_stage)
    stopped = replace(training, save=lambda s: saved.append((s.stage, s.step)))
    with pytest.raises(Interrupted, match="after step 1 of 2 of the sequence stage"):
        train(stopped, list(stages.values()))
    assert saved == [("sequence", 1)]


def test_the_state_is_saved_at_intervals_and_after_each_stage(tiny_model, clip):
    saved = []
    training = training_of(tiny_model, set_steps=3, sequence_steps=2, checkpoint_every=2)
    saving = replace(training, save=lambda s: saved.append((s.stage, s.step)))
    train(saving, list(stages_of(training, clip).values()))
    assert saved == [("set", 2), ("set", 3), ("sequence", 2)]


def test_no_place_is_drawn_twice_before_all_are_drawn():
    generator = torch.Generator().manual_seed(0)
    assert sorted(draw_places(5, 5, generator).tolist()) == [0, 1, 2, 3, 4]
    assert len(set(draw_places(5, 3, generator).tolist())) == 3
    assert draw_places(2, 5, generator).bincount().tolist() in ([3, 2], [2, 3])
