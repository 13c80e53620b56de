"""Learning from start to end, and going on after a stop as if there had been none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.errors import Interrupted, PromptError, TrainingError
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.sampling import draw_noise, sample, with_concept
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip

SETTINGS = {
    "rank": 2,
    "set_steps": 6,
    "sequence_steps": 4,
    "set_batch": 3,
    "learning_rate": 1e-2,
    "precision": "fp32",
    "checkpoint_every": 0,
}


def _clip(number: int = 1, seed: int = 5) -> TrainingClip:
    pixels = torch.rand(3, 5, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    prompt = concept_prompt(f"a [v{number}] character", f"it is [u{number}]", number=number)
    return TrainingClip(pixels=pixels, prompt=prompt, sha256=f"clip{seed}")


def _learn(model, checkpoint: Path | None = None, stop_at: tuple[str, int] | None = None, **given):
    def on_step(report) -> None:
        if (report.stage, report.step) == stop_at:
            raise KeyboardInterrupt

    settings = LearnSettings.resolve(SETTINGS, given)
    return learn_concept(model, [_clip()], settings, checkpoint=checkpoint, on_step=on_step)


def _assert_equal(first: Concept, second: Concept) -> None:
    for part in ("basis", "identity", "motion", "tokens"):
        ours, theirs = getattr(first, part), getattr(second, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("mode", ["literal", "learned"])
@pytest.mark.parametrize("stop_at", [("set", 3), ("set", 6), ("sequence", 2)])
def test_a_stopped_training_goes_on_bitwise(tiny_folder, tmp_path, stop_at, mode):
    whole = _learn(load_model(tiny_folder), token_mode=mode)
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted, match="the same command goes on"):
        _learn(load_model(tiny_folder), checkpoint, stop_at, token_mode=mode)
    resumed = _learn(load_model(tiny_folder), checkpoint, token_mode=mode)
    _assert_equal(whole, resumed)


@pytest.mark.parametrize("start", ["zeros", "mean"])
def test_learned_rows_start_where_the_settings_say(tiny_model, start):
    rows = _learn(
        tiny_model, token_mode="learned", token_start=start, set_steps=0, sequence_steps=0
    ).tokens
    own = tiny_model._text_encoder.get_input_embeddings().weight.detach()
    expected = own.mean(0) if start == "mean" else torch.zeros(own.shape[1])
    for row in rows.values():
        torch.testing.assert_close(row, expected)


def test_a_training_in_half_precision_goes_on_bitwise_too(tiny_folder, tmp_path):
    whole = _learn(load_model(tiny_folder), precision="bf16")
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        _learn(load_model(tiny_folder), checkpoint, ("sequence", 2), precision="bf16")
    _assert_equal(whole, _learn(load_model(tiny_folder), checkpoint, precision="bf16"))
    full = _learn(load_model(tiny_folder), precision="fp32")
    assert not all(torch.equal(whole.motion[name], full.motion[name]) for name in full.motion)


def test_a_resumed_training_keeps_its_precision_on_another_machine(
    tiny_folder, tmp_path, monkeypatch
):
    checkpoint = tmp_path / "run.ckpt"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    with pytest.raises(Interrupted):
        _learn(load_model(tiny_folder), checkpoint, ("set", 3), precision="auto")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    resumed = _learn(load_model(tiny_folder), checkpoint, precision="auto")
    assert resumed.provenance.settings["precision"] == "bf16"
    anew = _learn(load_model(tiny_folder), precision="auto")
    assert anew.provenance.settings["precision"] == "fp32"


def test_checkpoints_at_intervals_do_not_change_the_result(tiny_folder, tmp_path):
    plain = _learn(load_model(tiny_folder))
    saving = _learn(load_model(tiny_folder), tmp_path / "run.ckpt", checkpoint_every=2)
    _assert_equal(plain, saving)
    assert (tmp_path / "run.ckpt").exists()


def test_the_model_is_bit_equal_to_before(tiny_model):
    before = {k: v.clone() for k, v in tiny_model.denoiser.state_dict().items()}
    _learn(tiny_model, token_mode="learned")
    after = tiny_model.denoiser.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert tiny_model.tokenizer.tokenize("[v1]") != ["[v1]"]


def test_the_concept_says_where_it_comes_from(tiny_model):
    origin = _learn(tiny_model, seed=3).provenance
    assert origin.fingerprint == tiny_model.fingerprint
    assert origin.clips[0].look == "a [v1] character"
    assert origin.clips[0].sha256 == "clip5"
    assert origin.words == {"v1": "zor", "u1": "dax"}
    assert origin.settings["rank"] == 2
    assert origin.seed == 3


def test_seeds_decide_everything(tiny_folder):
    first, same, other = (
        _learn(load_model(tiny_folder), seed=seed, sequence_steps=0) for seed in (1, 1, 2)
    )
    _assert_equal(first, same)
    assert not all(torch.equal(first.basis[k], other.basis[k]) for k in first.basis)


def test_another_trainings_checkpoint_is_refused_with_what_differs(tiny_model, tmp_path):
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        _learn(tiny_model, checkpoint, ("set", 2))
    with pytest.raises(TrainingError, match=r"its rank was 2 and is now 3; delete it"):
        _learn(tiny_model, checkpoint, rank=3)
    assert _learn(tiny_model, checkpoint, learning_rate=1e-3, sequence_rate=2.0).rank == 2


def test_other_frames_of_the_same_file_are_another_training(tiny_model, tmp_path):
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        _learn(tiny_model, checkpoint, ("set", 2))
    later = replace(_clip(), pixels=_clip().pixels.flip(1))
    with pytest.raises(TrainingError, match="another training: its hash of the frames was"):
        learn_concept(tiny_model, [later], LearnSettings.resolve(SETTINGS), checkpoint=checkpoint)


def test_a_damaged_checkpoint_is_refused(tiny_model, tmp_path):
    checkpoint = tmp_path / "run.ckpt"
    checkpoint.write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="is damaged; delete it to start anew"):
        _learn(tiny_model, checkpoint)


def test_a_prompt_that_is_too_long_stops_before_the_work(tiny_model):
    prompt = concept_prompt("a [v] character " + "red " * 600, "it is [u]")
    clip = TrainingClip(pixels=torch.zeros(3, 1, 16, 16), prompt=prompt)
    with pytest.raises(PromptError, match="tokens and the model reads 512"):
        learn_concept(tiny_model, [clip], LearnSettings.resolve(SETTINGS))


def test_two_clips_become_one_concept_with_two_pairs_of_tokens(tiny_model):
    settings = LearnSettings.resolve(SETTINGS)
    concept = learn_concept(tiny_model, [_clip(1), _clip(2, seed=6)], settings)
    assert set(concept.provenance.words) == {"v1", "u1", "v2", "u2"}
    assert len(concept.provenance.clips) == 2


def test_a_concept_changes_samples_and_leaves_no_trace(tiny_model):
    concept = _learn(tiny_model, token_mode="learned")
    noise = draw_noise(tiny_model.geometry.latent_shape(1, 16, 16), [0])

    def draw() -> torch.Tensor:
        return sample(tiny_model, ["a [v1] character"], noise, num_steps=2, guidance=2.0)

    before = draw()
    with with_concept(tiny_model, concept):
        assert not torch.equal(draw(), before)
    assert torch.equal(draw(), before)


@pytest.mark.parametrize(("mode", "beside"), [("literal", set()), ("learned", {"text_encoder"})])
def test_what_has_encoded_the_clip_leaves_memory_before_the_denoiser_comes(
    tiny_folder, monkeypatch, mode, beside
):
    model: Any = load_model(tiny_folder)
    parts, load = {"transformer", "text_encoder", "vae"}, model.components._load
    seen = []

    def loads(name: str) -> Any:
        if name == "transformer":
            seen.append(parts & set(model.components._loaded))
        return load(name)

    monkeypatch.setattr(model.components, "_load", loads)
    settings = LearnSettings.resolve(SETTINGS, {"token_mode": mode})
    learn_concept(
        model,
        [_clip()],
        settings,
        on_step=lambda report: seen.append(parts & set(model.components._loaded)),
    )
    assert seen[0] == beside
    assert all(loaded == beside | {"transformer"} for loaded in seen[1:])
    assert len(seen) == 1 + settings.set_steps + settings.sequence_steps
