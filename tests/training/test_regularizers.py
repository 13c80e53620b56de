"""Each regularizer in the loop: what it does, to what alone, and that it can go on after a stop."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from setseq.config import LearnSettings
from setseq.errors import BaseModelError, Interrupted, SettingsError, TrainingError
from setseq.flow import clean_estimate, noised, velocity_target
from setseq.formats.native import load_concept, save_concept
from setseq.lora.layer import ConceptLinear
from setseq.models.registry import load_model
from setseq.prompts import choose_words, concept_prompt
from setseq.sampling import draw_noise, sample, with_concept
from setseq.training import prior
from setseq.training.encodings import Encodings
from setseq.training.learn import learn_concept
from setseq.training.objective import flow_losses
from setseq.training.prior import make_prior
from setseq.training.stages import Group, Stage, TrainingClip
from setseq.training.stitched import Stitched

SETTINGS = {
    "rank": 2,
    "set_steps": 3,
    "sequence_steps": 3,
    "set_batch": 3,
    "sequence_batch": 2,
    "learning_rate": 1e-2,
    "precision": "fp32",
    "checkpoint_every": 0,
    "prior_count": 2,
    "prior_share": 0.4,
    "masked_encodings": 5,
}
ON = {
    "dropout": {"identity_dropout": 0.8, "motion_dropout": 0.5},
    "raw dropout": {"identity_dropout": 0.8, "motion_dropout": 0.5, "rescale_dropout": False},
    "prior videos": {"prior": "videos"},
    "prior velocity": {"prior": "velocity"},
    "token masking": {"token_masking": 0.3},
    "masking with rows": {"token_masking": 0.3, "token_mode": "learned"},
    "masking of rows": {
        "token_masking": 0.5,
        "token_mode": "learned",
        "mask_special_tokens": True,
    },
    "self-conditioning": {"self_conditioning": 0.6},
    "high noise": {"sequence_time_mean": 1.5},
    "temporal difference": {"temporal_difference": 1.0},
}
ON["everything"] = {k: v for name in ON if name != "prior velocity" for k, v in ON[name].items()}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETSEQ_CACHE", str(tmp_path / "cache"))
    read = prior.GenerateSettings.resolve
    monkeypatch.setattr(
        prior.GenerateSettings, "resolve", lambda *layers: read(*layers, {"num_steps": 2})
    )


def _clip(mask: torch.Tensor | None = None) -> TrainingClip:
    pixels = torch.rand(3, 5, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1
    prompt = concept_prompt("a red [v] character in the snow", "it is [u] bouncing")
    return TrainingClip(pixels=pixels, prompt=prompt, mask=mask)


def _learn(model, checkpoint=None, stop_at=None, clip=None, on_step=lambda report: None, **given):
    def step(report) -> None:
        on_step(report)
        if (report.stage, report.step) == stop_at:
            raise KeyboardInterrupt

    settings = LearnSettings.resolve(SETTINGS, given)
    return learn_concept(model, [clip or _clip()], settings, checkpoint=checkpoint, on_step=step)


def _tensors(concept) -> dict[str, torch.Tensor]:
    found = {
        f"{part}/{name}": value
        for part in ("basis", "identity", "motion", "tokens")
        for name, value in getattr(concept, part).items()
    }
    if concept.self_conditioning is not None:
        found["projection"] = concept.self_conditioning
    return found


def _are_equal(first, second) -> bool:
    ours, theirs = _tensors(first), _tensors(second)
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", ON)
def test_with_each_part_on_the_result_differs_and_a_stopped_training_goes_on_bitwise(
    tiny_folder, tmp_path, name
):
    whole = _learn(load_model(tiny_folder), **ON[name])
    mode = ON[name].get("token_mode", "literal")
    plain = _tensors(_learn(load_model(tiny_folder), token_mode=mode))
    assert any(not torch.equal(plain[k], _tensors(whole)[k]) for k in plain)
    for stop_at in (("set", 2), ("sequence", 1)):
        checkpoint = tmp_path / f"{stop_at[0]}.ckpt"
        with pytest.raises(Interrupted):
            _learn(load_model(tiny_folder), checkpoint, stop_at, **ON[name])
        assert _are_equal(whole, _learn(load_model(tiny_folder), checkpoint, **ON[name]))


@pytest.mark.parametrize("name", ON)
def test_with_each_part_on_the_model_is_bit_equal_to_before_and_each_stage_keeps_to_its_parts(
    tiny_model, name
):
    before = {k: v.clone() for k, v in tiny_model.denoiser.state_dict().items()}
    at_end: dict[str, dict[str, torch.Tensor]] = {}

    def keep(report) -> None:
        layers = [m for m in tiny_model.denoiser.modules() if isinstance(m, ConceptLinear)]
        at_end[report.stage] = {
            f"{part}/{number}": getattr(layer, part).detach().clone()
            for number, layer in enumerate(layers)
            for part in ("basis", "identity", "motion")
        }
        if tiny_model._self_conditioning is not None:
            at_end[report.stage]["projection"] = tiny_model._self_conditioning.weight.clone()

    _learn(tiny_model, on_step=keep, **ON[name])
    after = tiny_model.denoiser.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)
    changed = {
        k.split("/")[0]
        for k, value in at_end["set"].items()
        if not torch.equal(value, at_end["sequence"][k])
    }
    assert changed == {"motion"}
    assert not any(v.any() for k, v in at_end["set"].items() if k.startswith("motion"))
    if "self_conditioning" in ON[name]:
        assert at_end["set"]["projection"].any()


def test_masks_are_on_the_coefficients_of_their_stage_new_each_step_and_gone_after_it(
    tiny_model, monkeypatch
):
    seen: list[tuple[set[str], torch.Tensor]] = []
    velocity = tiny_model.velocity

    def spy(*args):
        layers = [m for m in tiny_model.denoiser.modules() if isinstance(m, ConceptLinear)]
        parts = {part for layer in layers for part in layer.masks}
        assert all(len(layer.masks) == 1 for layer in layers)
        seen.append((parts, torch.cat([next(iter(x.masks.values())).flatten() for x in layers])))
        return velocity(*args)

    def after(report) -> None:
        layers = [m for m in tiny_model.denoiser.modules() if isinstance(m, ConceptLinear)]
        assert all(layer.masks == {} for layer in layers)

    monkeypatch.setattr(tiny_model, "velocity", spy)
    _learn(tiny_model, on_step=after, accumulation=2, **ON["dropout"])
    assert [parts for parts, _ in seen] == [{"identity"}] * 6 + [{"motion"}] * 6
    masks = [mask for _, mask in seen]
    for first, second in zip(masks[::2], masks[1::2], strict=True):
        assert torch.equal(first, second)  # the batches of one step share a mask
    for earlier, later in zip(masks[::2], masks[2::2], strict=False):
        assert not torch.equal(earlier, later)
    rates = [float((mask == 0).float().mean()) for mask in masks[::2]]
    assert rates == pytest.approx([0.8] * 3 + [0.5] * 3, abs=0.05)
    assert masks[0].max() == pytest.approx(5)


def _seen_by_the_encoder(model, monkeypatch) -> set[int]:
    seen: set[int] = set()
    encoder = model._text_encoder
    forward = encoder.forward

    def spy(ids, *args, **kwargs):
        seen.update(ids.flatten().tolist())
        return forward(ids, *args, **kwargs)

    monkeypatch.setattr(encoder, "forward", spy)
    return seen


def _encodings(model, prompts: tuple[str, ...], *, rows_are_trained: bool, **given) -> Encodings:
    group = Group(name="g", latents=torch.zeros(len(prompts), 1), prompts=prompts)
    stage = Stage(
        name="set", groups=(group,), trains=frozenset(), motion_strength=0.0, steps=1, batch=1
    )
    settings = LearnSettings.resolve({"token_masking": 0.999999, **given})
    words = choose_words("literal")
    return Encodings(model, stage, words, settings, rows_are_trained=rows_are_trained)


WORDS_OF_BOTH = ("a", "red", "blue", "zor", "character")


@pytest.mark.parametrize("rows_are_trained", [False, True])
def test_a_masked_word_is_absent_from_what_the_encoder_and_the_model_see(
    tiny_model, monkeypatch, rows_are_trained
):
    seen = _seen_by_the_encoder(tiny_model, monkeypatch)
    prompts = ("a red [v1] character", "a blue [v1] character")
    encodings = _encodings(tiny_model, prompts, rows_are_trained=rows_are_trained)
    encoded = encodings.draw([torch.tensor([0, 1])], torch.Generator().manual_seed(0))
    first, second = (encoded.of(torch.tensor([place])).tensors for place in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    ids = {word: tiny_model.tokenizer.convert_tokens_to_ids("▁" + word) for word in WORDS_OF_BOTH}
    assert ids["zor"] in seen
    assert not {ids[word] for word in ("red", "blue", "character", "a")} & seen


def test_special_tokens_are_masked_only_where_asked_and_a_prompt_without_them_never(
    tiny_model, monkeypatch
):
    seen = _seen_by_the_encoder(tiny_model, monkeypatch)
    prompts = ("a red [v1]", "a blue character")
    _encodings(tiny_model, prompts, rows_are_trained=False, mask_special_tokens=True)
    zor, red, blue = (
        tiny_model.tokenizer.convert_tokens_to_ids("▁" + word) for word in ("zor", "red", "blue")
    )
    assert blue in seen
    assert not {zor, red} & seen


def test_each_step_draws_one_of_the_cached_maskings_and_rows_in_training_a_fresh_one(tiny_model):
    prompts = ("a red blue [v1] character in the snow",)
    for rows_are_trained in (False, True):
        encodings = _encodings(
            tiny_model,
            prompts,
            rows_are_trained=rows_are_trained,
            token_masking=0.5,
            masked_encodings=8,
        )
        generator, texts = torch.Generator().manual_seed(0), torch.tensor([0])
        drawn = [encodings.draw([texts], generator).of(texts).tensors for _ in range(12)]
        sums = {round(float(own["text"].sum()), 4) for own in drawn}
        assert 3 < len(sums) <= (12 if rows_are_trained else 8)


def test_the_priors_videos_are_made_once_and_mixed_in_without_tokens(tiny_model, monkeypatch):
    settings = LearnSettings.resolve(SETTINGS, ON["prior videos"], {"prior_weight": 0.5})
    made: list[int] = []

    def counted(model, texts, *args, **options):
        made.append(len(texts))
        return sample(model, texts, *args, **options)

    monkeypatch.setattr(prior, "sample", counted)
    first, again = (
        make_prior(tiny_model, (5, 16, 16), settings, precision="fp32") for _ in range(2)
    )
    assert made == [2]
    (frames,), (videos,) = first.frames, first.videos
    assert frames.latents.shape == (4, 4, 1, 2, 2)
    assert videos.latents.shape == (2, 4, 2, 2, 2)
    assert (frames.share, frames.weight, frames.target) == (0.4, 0.5, "data")
    assert torch.equal(videos.latents, again.videos[0].latents)
    assert not any("[" in prompt for prompt in (*frames.prompts, *videos.prompts))
    assert frames.prompts[0] + ". " == videos.prompts[0][: len(frames.prompts[0]) + 2]


def test_a_damaged_or_foreign_file_of_the_prior_is_refused(tiny_model, tmp_path, monkeypatch):
    settings = LearnSettings.resolve(SETTINGS, ON["prior videos"])
    make_prior(tiny_model, (5, 16, 16), settings, precision="fp32")
    (path,) = (tmp_path / "cache" / "prior").iterdir()
    content = path.read_bytes()
    changed = content.replace(tiny_model.fingerprint.encode(), b"0" * 64)
    path.write_bytes(changed)
    with pytest.raises(TrainingError, match=r"was made with base 0000.* delete it, and it is made"):
        _learn(tiny_model, **ON["prior videos"])
    path.write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="is damaged; delete it"):
        _learn(tiny_model, **ON["prior videos"])


def test_the_velocity_form_asks_for_what_the_base_predicts_and_nothing_of_a_new_concept(tiny_model):
    reports = []
    settings = {"prior": "velocity", "set_steps": 8, "sequence_steps": 0, "set_batch": 4}
    _learn(tiny_model, on_step=reports.append, **settings)
    losses = [report.losses["prior"] for report in reports]
    assert losses[0] < 1e-12  # the concept is still nothing
    assert losses[-1] > 1e-8
    assert all(report.losses["concept"] > 0.1 for report in reports)


def test_the_prior_of_velocity_holds_the_model_to_the_base(tiny_model):
    prompt = tiny_model.encode_prompts(["a person"])
    noise = draw_noise((4, 1, 2, 2), range(8))
    time = torch.full((8,), 0.7)

    @torch.no_grad()
    def drift(concept) -> float:
        plain = tiny_model.velocity(noise, time, prompt)
        with with_concept(tiny_model, concept, motion=0.0):
            return float((tiny_model.velocity(noise, time, prompt) - plain).square().mean())

    given = {"set_steps": 25, "sequence_steps": 0, "set_batch": 8}
    free = drift(_learn(tiny_model, **given))
    held = drift(_learn(tiny_model, prior="velocity", prior_weight=20.0, prior_share=0.5, **given))
    assert held < 0.5 * free


def test_a_sample_is_seen_with_the_estimate_of_a_first_pass_without_gradients(
    tiny_model, monkeypatch
):
    calls = []
    velocity = tiny_model.velocity

    def spy(latents, time, conditioning, estimate=None):
        predicted = velocity(latents, time, conditioning, estimate)
        calls.append((latents, time, estimate, predicted))
        return predicted

    monkeypatch.setattr(tiny_model, "velocity", spy)
    _learn(tiny_model, self_conditioning=1.0)
    assert len(calls) == 2 * 6
    for (point, time, nothing, first), (_, _, estimate, second) in zip(
        calls[::2], calls[1::2], strict=True
    ):
        assert nothing is None
        assert not first.requires_grad
        assert second.requires_grad
        torch.testing.assert_close(estimate, clean_estimate(point, first, time))
    calls.clear()
    _learn(tiny_model, self_conditioning="auto")
    assert len(calls) == 6
    assert all(estimate is None for _, _, estimate, _ in calls)


def test_a_projection_of_the_concepts_own_is_stored_and_read_and_leaves_no_trace(
    tiny_model, tmp_path
):
    concept = _learn(tiny_model, **ON["self-conditioning"])
    assert not tiny_model.self_conditioned
    path = tmp_path / "concept.safetensors"
    save_concept(concept, path)
    again = load_concept(path)
    assert _are_equal(concept, again)
    assert again.provenance.settings["self_conditioning"] == 0.6
    noise = draw_noise(tiny_model.geometry.latent_shape(5, 16, 16), [0])

    def draw(fed: bool) -> torch.Tensor:
        return sample(
            tiny_model, ["a zor"], noise, num_steps=3, guidance=1.0, self_conditioning=fed
        )

    with with_concept(tiny_model, again):
        fed, alone = draw(True), draw(False)
    with with_concept(tiny_model, replace(again, self_conditioning=None)):
        assert torch.equal(draw(True), alone)
    assert not torch.equal(fed, alone)
    assert not tiny_model.self_conditioned
    before = draw(True)
    with with_concept(tiny_model, again, identity=0.0, motion=0.0):
        assert torch.equal(draw(True), before)


def test_a_mask_weighs_the_errors_by_place_and_changes_what_is_learned(tiny_model):
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(2, 4, 2, 2, 2, generator=generator)
    noise = torch.randn(data.shape, generator=generator)
    weights = torch.rand(2, 1, 2, 2, 2, generator=generator)
    time, prompt = torch.tensor([0.3, 0.6]), tiny_model.encode_prompts(["a character"])
    with torch.no_grad():
        ours = flow_losses(tiny_model, data, noise, time, prompt, masks=weights)
        velocity = tiny_model.velocity(noised(data, noise, time), time, prompt)
    errors = (velocity - velocity_target(data, noise)).square() * weights
    torch.testing.assert_close(ours, errors.mean(dim=(1, 2, 3, 4)))
    mask = torch.zeros(1, 5, 16, 16)
    mask[..., :8] = 1
    plain, half = _learn(tiny_model), _learn(tiny_model, clip=_clip(mask))
    assert not _are_equal(plain, half)
    assert _are_equal(plain, _learn(tiny_model, clip=_clip(torch.ones_like(mask))))


def test_the_loss_is_the_weighted_mean_and_each_group_is_reported_alone(tiny_model):
    reports = []
    given = {"prior": "velocity", "prior_weight": 3.0, "set_batch": 5, "set_steps": 6}
    _learn(tiny_model, on_step=reports.append, **given)
    for report in (r for r in reports if r.stage == "set"):
        expected = (3 * report.losses["concept"] + 2 * 3.0 * report.losses["prior"]) / 5
        assert report.loss == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_learned_shows_before_the_priors_videos_are_made(tiny_model, monkeypatch):
    made: list[int] = []
    monkeypatch.setattr(prior, "sample", lambda *given, **options: made.append(1))
    stitched = Stitched(clips=[_clip()], share=0.6)
    settings = LearnSettings.resolve(SETTINGS, ON["prior videos"])
    with pytest.raises(SettingsError, match=r"shares of stitched \(0.6\) and prior \(0\.4\) leave"):
        learn_concept(tiny_model, [_clip()], settings, stitched=stitched)

    def refuse() -> None:
        raise BaseModelError("no estimate can be read")

    monkeypatch.setattr(tiny_model, "add_self_conditioning", refuse)
    with pytest.raises(BaseModelError, match="no estimate"):
        _learn(tiny_model, self_conditioning=0.9, **ON["prior videos"])
    assert not made
