"""Every method of the comparison trains what it is to train, in the one loop, and nothing else."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from setseq.baselines import METHODS, Method, settings_of
from setseq.config import GenerateSettings, LearnSettings
from setseq.describe import describe
from setseq.errors import Interrupted, OutputError, TrainingError
from setseq.formats.native import load_concept, save_concept
from setseq.formats.peft_keys import plain_lora
from setseq.models.registry import load_model
from setseq.presets import load_preset
from setseq.settings_file import read_toml
from setseq.training.learn import learn_concept
from setseq.training.objective import flow_losses
from setseq.training.recipe import Materials
from setseq.training.state import ROWS, StepReport
from tests.baselines.runs import (
    SETTINGS,
    Run,
    assert_equal,
    clip,
    learn,
    predicted,
    quick_prior,
    velocity,
    watched,
)
from tests.times import noted_times

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LORA = {"basis", "identity"}
# Stage to the parts that it trains, in the order of the stages.
TRAINED: dict[str, dict[str, set[str]]] = {
    "textual-inversion": {"clip": {"tokens"}},
    "lora-1": {"clip": LORA},
    "lora-8": {"clip": LORA},
    "dreambooth-lora": {"clip": LORA},
    "dreamix": {"mixed": LORA},
    "newmove": {"clip": {"identity"}},
    "dreamvideo": {"identity": {*LORA, "tokens"}, "motion": {"motion_basis", "motion"}},
    "two-stage": {"set": LORA, "sequence": {"motion"}},
    "set-and-sequence": {"set": LORA, "sequence": {"motion"}},
    "set-and-sequence-paper": {"set": LORA, "sequence": {"motion"}},
    "set-and-sequence-prior": {"set": {*LORA, "tokens"}, "sequence": {"motion", "tokens"}},
    "lora-8-prior": {"clip": {*LORA, "tokens"}},
}
EVERY = pytest.mark.parametrize("name", TRAINED)
ONE_STAGE = pytest.mark.parametrize(
    "name", [k for k, stages in TRAINED.items() if len(stages) == 1]
)
WITH_PRIOR = {
    "dreambooth-lora": "videos",
    "newmove": "videos",
    "set-and-sequence-paper": "videos",
    "set-and-sequence-prior": "velocity",
    "lora-8-prior": "velocity",
}


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        quick_prior(patch, tmp_path_factory.mktemp("cache"))
        yield


def _of_equal_steps(name: str) -> Method:
    """A method with as many steps as all: few are few enough."""
    return replace(METHODS[name], steps=(1.0, 1.0))


@pytest.fixture(scope="module")
def run_of(tiny_folder: Path) -> Callable[[str], Run]:
    """A short learning of each method, run once."""
    runs: dict[str, Run] = {}

    def run_of(name: str) -> Run:
        if name not in runs:
            runs[name] = watched(_of_equal_steps(name), load_model(tiny_folder))
        return runs[name]

    return run_of


def test_the_methods_are_those_of_the_papers_tables_and_a_control():
    assert list(METHODS) == list(TRAINED)
    assert all(method.name == name for name, method in METHODS.items())


@EVERY
def test_each_stage_trains_exactly_its_parts_and_leaves_the_rest_bit_equal(name, run_of):
    stages = run_of(name).stages
    assert [seen.stage.name for seen in stages] == list(TRAINED[name])
    for seen, parts in zip(stages, TRAINED[name].values(), strict=True):
        expected = {key for key in seen.before if key.partition("/")[0] in parts}
        assert seen.trained == expected
        assert seen.changed == expected


@EVERY
def test_every_method_runs_as_many_steps_as_the_method_itself(name, run_of):
    assert len(run_of(name).reports) == SETTINGS.set_steps + SETTINGS.sequence_steps


def test_only_those_with_prior_and_words_divide_the_steps_otherwise():
    own = LearnSettings(set_steps=140, sequence_steps=260)  # the toybox's
    steps = {name: method.steps_of(own) for name, method in METHODS.items()}
    others = {name: each for name, each in steps.items() if each != (140, 260)}
    assert others == {"set-and-sequence-prior": (60, 338), "lora-8-prior": (60, 338)}


def test_a_method_multiplies_steps_stage_by_stage_and_then_decides_them(tiny_model):
    plain = METHODS["two-stage"]
    method = replace(plain, steps=(2.0, 0.5))
    reports: list[StepReport] = []
    learn(method, tiny_model, on_step=reports.append)
    assert [report.stage for report in reports] == ["set"] * 6 + ["sequence"]
    assert method.digest != plain.digest
    assert method.decides - plain.decides == {"set_steps", "sequence_steps"}


def test_the_control_differs_from_the_method_in_stages_rank_and_rate_alone(tiny_model):
    ours, control = METHODS["set-and-sequence-prior"], METHODS["lora-8-prior"]
    one, other = (settings_of(each, tiny_model, SETTINGS) for each in (ours, control))
    changed = {k for k, v in one.model_dump().items() if v != getattr(other, k)}
    assert changed == {"rank", "sequence_rate"}
    assert (control.generate, control.token_rate) == (ours.generate, ours.token_rate)
    assert control.recipe == METHODS["lora-8"].recipe


@EVERY
def test_the_concept_predicts_what_the_trained_network_did(name, run_of, tiny_model):
    run = run_of(name)
    assert torch.equal(velocity(tiny_model, run.concept), run.at_the_end)


@EVERY
def test_a_saved_concept_predicts_the_same_and_leaves_no_trace(name, run_of, tiny_model, tmp_path):
    concept = run_of(name).concept
    alone = predicted(tiny_model, concept.provenance.words)
    save_concept(concept, tmp_path / "c.safetensors")
    again = load_concept(tmp_path / "c.safetensors")
    assert_equal(concept, again)
    shown = velocity(tiny_model, again)
    assert torch.equal(shown, velocity(tiny_model, concept))
    assert not torch.equal(shown, alone)
    assert torch.equal(predicted(tiny_model, concept.provenance.words), alone)


@EVERY
def test_a_stopped_training_goes_on_bitwise(name, run_of, tiny_folder, tmp_path):
    checkpoint = tmp_path / "run.ckpt"
    for stop_at in (2, 2):  # in the first stage, then in the last
        with pytest.raises(Interrupted):
            learn(_of_equal_steps(name), load_model(tiny_folder), checkpoint, stop_at)
    resumed = learn(_of_equal_steps(name), load_model(tiny_folder), checkpoint)
    if len(TRAINED[name]) == 1:
        whole = run_of(name).concept
    else:  # a run that was watched draws anew in its second stage
        whole = learn(_of_equal_steps(name), load_model(tiny_folder))
    assert_equal(whole, resumed)


def test_another_methods_checkpoint_is_refused(tiny_model, tmp_path):
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        learn(METHODS["lora-8"], tiny_model, checkpoint, 1)
    same_but_for_the_name = replace(METHODS["lora-8"], name="lora-eight")
    with pytest.raises(TrainingError, match=r"its method was 'lora-8' and is now 'lora-eight'"):
        learn(same_but_for_the_name, tiny_model, checkpoint)


def test_the_concept_says_which_method_and_stages_it_comes_from(run_of):
    facts = describe(run_of("dreamvideo").concept)
    assert facts["method"] == "dreamvideo"
    assert facts["steps"] == "3 of identity, 2 of motion"
    assert facts["rank"] == str(2 * SETTINGS.rank)


@ONE_STAGE
def test_methods_of_one_stage_have_no_motion(name, run_of, tiny_model):
    concept = run_of(name).concept
    assert not any(value.any() for value in concept.motion.values())
    still, moving = (velocity(tiny_model, concept, motion=strength) for strength in (0.0, 1.0))
    assert torch.equal(still, moving)


@pytest.mark.parametrize(("name", "rank"), [("lora-1", 1), ("lora-8", 8), ("dreamix", 2)])
def test_loras_have_their_rank_and_can_be_exported(name, rank, run_of):
    concept = run_of(name).concept
    assert concept.rank == concept.provenance.settings["rank"] == rank
    assert len(plain_lora(concept)[""]) == 2 * len(concept.basis)


@EVERY
def test_no_baseline_is_regularized_but_by_a_prior_of_its_own(name, tiny_model):
    own = settings_of(METHODS[name], tiny_model, SETTINGS)
    assert own.prior == WITH_PRIOR.get(name, "none")
    if not name.startswith("set-and-sequence"):
        assert own.identity_dropout == own.motion_dropout == own.token_masking == 0
        assert own.self_conditioning == 0


@EVERY
def test_what_is_learned_without_estimates_is_shown_without_them(name, tiny_model):
    own = settings_of(METHODS[name], tiny_model, SETTINGS)
    shown = GenerateSettings.resolve({"self_conditioning": True}, METHODS[name].generate)
    assert shown.self_conditioning == (own.self_conditioning != 0)


def test_the_papers_regularizers_are_those_of_its_preset(tiny_model):
    method, preset = METHODS["set-and-sequence-paper"], load_preset("paper").tables
    assert method.settings.items() <= preset["learn"].items()
    assert method.generate.items() <= preset["generate"].items()
    assert {"identity_dropout", "token_masking", "mask_special_tokens"} <= method.settings.keys()


def test_the_full_method_learns_with_the_given_settings(tiny_model):
    assert settings_of(METHODS["set-and-sequence"], tiny_model, SETTINGS) == SETTINGS


def test_the_papers_regularizers_leave_rank_and_rate_to_the_base(tiny_model):
    paper = settings_of(METHODS["set-and-sequence-paper"], tiny_model, SETTINGS)
    assert (paper.identity_dropout, paper.motion_dropout, paper.token_masking) == (0.8, 0.5, 0.1)
    assert (paper.rank, paper.learning_rate) == (SETTINGS.rank, SETTINGS.learning_rate)


@pytest.mark.parametrize("name", ["set-and-sequence", "two-stage"])
def test_ours_among_the_methods_is_what_the_command_learns(name, tiny_folder):
    model = load_model(tiny_folder)
    ours = learn_concept(model, [clip()], settings_of(METHODS[name], model, SETTINGS))
    assert_equal(learn(METHODS[name], load_model(tiny_folder)), ours)


def test_textual_inversion_starts_at_the_mean_row_and_moves_at_the_scale_of_rows(
    run_of, tiny_model
):
    own = tiny_model._text_encoder.get_input_embeddings().weight.detach()
    run = run_of("textual-inversion")
    (seen,) = run.stages
    torch.testing.assert_close(seen.before[ROWS], own.mean(0).expand(2, -1))
    moved = (seen.after[ROWS] - seen.before[ROWS]).abs().max() / own.square().mean().sqrt()
    assert 0.03 < moved <= 5 * 0.0301  # five steps of AdamW
    assert not any(value.any() for value in run.concept.identity.values())


def test_textual_inversion_lowers_the_loss(tiny_model):
    generator = torch.Generator().manual_seed(0)
    data = tiny_model.encode_video(clip().pixels[None]).expand(16, -1, -1, -1, -1)
    noise = torch.randn(data.shape, generator=generator)
    time = torch.rand(16, generator=generator)

    @torch.no_grad()
    def loss(steps: int) -> float:
        with torch.enable_grad():
            concept = learn(
                METHODS["textual-inversion"],
                tiny_model,
                set_steps=0,
                sequence_steps=steps,
                sequence_batch=8,
            )
        rows = tiny_model.add_tokens(list(concept.tokens))
        rows.load(concept.tokens)
        prompt = tiny_model.encode_prompts(["a [v1] character. it is [u1]"])
        rows.remove()
        return float(flow_losses(tiny_model, data, noise, time, prompt).mean())

    assert loss(40) < loss(0)


def test_textual_inversion_is_no_plain_lora(run_of, tmp_path):
    from setseq.formats.peft_keys import export_lora

    with pytest.raises(OutputError, match="learned tokens"):
        export_lora(run_of("textual-inversion").concept, tmp_path / "lora.safetensors")


def test_dreamix_sees_as_many_frames_and_clips_as_the_two_stages(tiny_model):
    (seen,) = watched(METHODS["dreamix"], tiny_model, set_steps=6, sequence_steps=3).stages
    frames, clips = seen.stage.groups
    assert frames.latents.shape[:3] == (5, 4, 1)
    assert set(frames.prompts) == {"a [v1] character"}
    assert clips.latents.shape[:3] == (1, 4, 2)
    assert clips.prompts == ("a [v1] character. it is [u1]",)
    # 6 x 3 frames and 3 x 2 clips in 9 steps
    assert frames.share == pytest.approx(18 / 24)
    assert clips.share == pytest.approx(6 / 24)
    for group in (frames, clips):  # half of the loss each
        assert group.share * group.weight == pytest.approx(1 / 2)
    assert (seen.stage.steps, seen.stage.batch) == (9, 3)


def test_dreamix_without_frames_or_without_steps_is_still_a_stage(tiny_model):
    (seen,) = watched(METHODS["dreamix"], tiny_model, set_steps=0).stages
    assert [(g.name, g.weight) for g in seen.stage.groups] == [("concept clips", 1.0)]
    concept = learn(METHODS["dreamix"], tiny_model, set_steps=0, sequence_steps=0)
    assert not any(value.any() for value in concept.identity.values())


def test_dreambooths_prior_is_half_of_each_step_in_the_mean(run_of):
    (seen,) = run_of("dreambooth-lora").stages
    concept, videos = seen.stage.groups
    assert (concept.share, videos.share, videos.weight) == (0.5, 0.5, 1.0)
    assert "[" not in "".join(videos.prompts)


def test_newmoves_concept_is_the_change_of_the_weights_of_keys_and_values(run_of, tiny_model):
    run = run_of("newmove")
    assert run.concept.basis.keys() == {
        f"blocks.{block}.{attention}.to_{letter}"
        for block in range(2)
        for attention in ("attn1", "attn2")
        for letter in "kv"
    }
    with torch.no_grad():
        for name, change in run.concept.identity.items():
            linear = tiny_model.denoiser.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            assert torch.equal(run.concept.basis[name], torch.eye(linear.in_features))
            assert change.any()
            linear.weight += change
    torch.testing.assert_close(predicted(tiny_model, run.concept.provenance.words), run.at_the_end)


def test_newmove_narrows_a_users_own_layers_and_has_a_rate_of_its_own(tiny_model):
    targets = r"blocks\.0\.attn1\..*|blocks\.1\.ffn\..*"
    concept = learn(METHODS["newmove"], tiny_model, targets=targets)
    assert concept.basis.keys() == {"blocks.0.attn1.to_k", "blocks.0.attn1.to_v"}
    own = settings_of(METHODS["newmove"], tiny_model, SETTINGS)
    assert own.learning_rate == pytest.approx(SETTINGS.learning_rate / 10)


def test_dreamvideos_adapters_stand_side_by_side_with_zeros_between(run_of):
    run = run_of("dreamvideo")
    after_identity, after_motion = (seen.after for seen in run.stages)
    looks, moves = slice(None, SETTINGS.rank), slice(SETTINGS.rank, None)
    for name, basis in run.concept.basis.items():
        identity, motion = run.concept.identity[name], run.concept.motion[name]
        assert torch.equal(basis[looks], after_identity[f"basis/{name}"])
        assert torch.equal(basis[moves], after_motion[f"motion_basis/{name}"])
        assert torch.equal(identity[:, looks], after_identity[f"identity/{name}"])
        assert torch.equal(motion[:, moves], after_motion[f"motion/{name}"])
        assert not identity[:, moves].any()
        assert not motion[:, looks].any()
        assert identity.any()
        assert motion.any()


def test_the_mixture_keeps_the_times_of_each_kind_and_the_weight_of_changes(
    tiny_model, monkeypatch
):
    seen = noted_times(tiny_model, monkeypatch)
    given = {"set_time_mean": -1.0, "sequence_time_mean": 1.5, "sequence_time_std": 0.25}
    batches = {"set_batch": 64, "sequence_batch": 64, "set_steps": 2, "sequence_steps": 2}
    run = watched(METHODS["dreamix"], tiny_model, **given, **batches, temporal_difference=0.5)
    frames, clips = (torch.cat(seen[length]) for length in (1, 2))
    assert float(frames.mean()) == pytest.approx(-1.0, abs=0.25)
    assert float(frames.std()) == pytest.approx(1.0, abs=0.25)
    assert float(clips.mean()) == pytest.approx(1.5, abs=0.1)
    assert float(clips.std()) == pytest.approx(0.25, abs=0.1)
    assert run.stages[0].stage.temporal_difference == 0.5


@EVERY
def test_only_the_methods_own_sequence_has_its_factor_of_the_rate(name, tiny_model):
    method = METHODS[name]
    own = settings_of(method, tiny_model, SETTINGS).model_copy(update={"sequence_rate": 3.0})
    given = Materials(model=tiny_model, clips=[clip()], settings=own)
    rates = {stage.name: stage.rate for stage in (make(given) for make in method.recipe.stages)}
    assert rates == {stage: 3.0 if stage == "sequence" else 1.0 for stage in TRAINED[name]}


def test_the_example_learns_and_shows_as_the_method_with_the_prior_does():
    example = read_toml(ROOT / "examples" / "prior.toml")
    model, method = load_model("toybox"), METHODS["set-and-sequence-prior"]
    own = LearnSettings.resolve(model.defaults.learn)
    told = LearnSettings.resolve(model.defaults.learn, example["learn"])
    learned = settings_of(method, model, own)
    assert told.token_learning_rate == pytest.approx(learned.token_learning_rate, rel=1e-2)
    same = {"token_learning_rate": learned.token_learning_rate}
    assert told.model_copy(update=same) == learned
    shown = GenerateSettings.resolve(model.defaults.generate, example.get("generate", {}))
    assert shown == GenerateSettings.resolve(model.defaults.generate, method.generate)


def test_the_page_counts_what_is_seen_on_the_toybox_as_its_settings_say():
    model = load_model("toybox")
    own = LearnSettings.resolve(model.defaults.learn)
    length = model.geometry.latent_shape(None, None, None)[1]
    steps, clips = own.set_steps + own.sequence_steps, own.sequence_steps * own.sequence_batch
    frames = own.set_steps * own.set_batch
    batch = round((frames + clips) / steps)
    page = " ".join((DOCS / "baselines.md").read_text(encoding="utf-8").split())
    for said in (
        f"a clip is {length} latent frames, by its settings of {own.set_steps} steps with"
        f" {own.set_batch} frames and {own.sequence_steps} with {own.sequence_batch} clips",
        f"{steps * own.sequence_batch * length:,} latent frames against"
        f" {frames + clips * length:,} of ours",
        f"there {batch} in place of {(frames + clips) / steps:.2f}, in all {batch * steps:,}"
        f" samples in place of {frames + clips:,}",
    ):
        assert said in page


def test_a_method_can_be_handed_to_another_process():
    for method in METHODS.values():
        assert pickle.loads(pickle.dumps(method)).title == method.title


def test_the_page_says_of_each_method_what_the_code_says():
    page = (DOCS / "baselines.md").read_text(encoding="utf-8")
    for method in METHODS.values():
        row = (method.title, method.original, method.keeps, method.changes, method.source)
        assert f"| `{method.name}` | {' | '.join(row)} |" in page
