"""Motion on a frozen basis: what a concept to start from brings stays as it is, bit by bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from setseq.concept import Concept
from setseq.config import LearnSettings
from setseq.errors import ConceptFileError, Interrupted, SettingsError, TrainingError
from setseq.lora.inject import inject
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.sampling import sample
from setseq.training import prior
from setseq.training.learn import learn_concept
from setseq.training.recipe import Recipe, sequence_of
from setseq.training.stages import TrainingClip
from setseq.training.starting import ADD_MOTION, start_settings
from tests.formats.test_native import ORIGIN

SETTINGS = {
    "rank": 3,
    "sequence_steps": 4,
    "learning_rate": 1e-2,
    "precision": "fp32",
    "checkpoint_every": 0,
}
WORDS = {"v1": "sks", "u1": "dax"}


def _start(model: VideoModel, targets: str = "", **changes) -> Concept:
    """A concept with an identity and a motion, as one that was learned before."""
    generator = torch.Generator().manual_seed(1)
    pattern = targets or model.lora_targets
    injection = inject(model.denoiser, pattern, rank=3, generator=generator)
    with torch.no_grad():
        for part in ("identity", "motion"):
            for value in injection.parameters(part).values():
                value.normal_(generator=generator).mul_(0.1)
    made = Concept(
        basis=injection.tensors("basis"),
        identity=injection.tensors("identity"),
        motion=injection.tensors("motion"),
        provenance=replace(ORIGIN, fingerprint=model.fingerprint, words=WORDS),
    )
    injection.remove()
    return replace(made, **changes)


def _learn(
    model: VideoModel,
    start: Concept,
    checkpoint: Path | None = None,
    on_step=lambda report: None,
    recipe: Recipe = ADD_MOTION,
    **given,
) -> Concept:
    pixels = torch.rand(3, 5, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1
    prompt = concept_prompt("a [v] character", "it is [u]")
    clip = TrainingClip(pixels=pixels, prompt=prompt, sha256="clip")
    settings = LearnSettings.resolve(start_settings(start), SETTINGS, given)
    return learn_concept(
        model,
        [clip],
        settings,
        recipe=recipe,
        start=start,
        checkpoint=checkpoint,
        on_step=on_step,
    )


def _equal(first, second) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_basis_and_identity_stay_bit_equal_and_all_of_the_motion_is_learned(tiny_model):
    start = _start(tiny_model)
    before = {name: value.clone() for name, value in tiny_model.denoiser.state_dict().items()}
    seen = []

    def on_step(report) -> None:
        parameters = tiny_model.denoiser.named_parameters()
        trained = {name for name, value in parameters if value.requires_grad}
        seen.append((report.stage, trained))

    learned = _learn(tiny_model, start, on_step=on_step)
    assert seen == [("sequence", {f"{name}.motion" for name in start.basis})] * 4
    assert _equal(learned.basis, start.basis)
    assert _equal(learned.identity, start.identity)
    assert learned.motion.keys() == start.motion.keys()
    assert all(value.any() for value in learned.motion.values())
    assert _equal(tiny_model.denoiser.state_dict(), before)


def test_the_starts_own_motion_is_not_taken_over(tiny_model):
    learned = _learn(tiny_model, _start(tiny_model), sequence_steps=0)
    assert not any(value.any() for value in learned.motion.values())


def test_a_start_that_covers_some_layers_gets_motion_on_these(tiny_model):
    start = _start(tiny_model, targets=r"blocks\.1\.attn2\..*|proj_out")
    learned = _learn(tiny_model, start)
    assert len(start.basis) == 5
    assert learned.motion.keys() == start.basis.keys()
    assert all(value.any() for value in learned.motion.values())


def test_learned_rows_go_on_from_those_of_the_start(tiny_model):
    rows = {"[v1]": torch.full((16,), 0.5), "[u1]": torch.full((16,), -0.5)}
    origin = _start(tiny_model).provenance
    origin = replace(origin, token_mode="learned", words={"v1": "[v1]", "u1": "[u1]"})
    start = _start(tiny_model, tokens=rows, provenance=origin)
    learned = _learn(tiny_model, start, sequence_steps=1, token_learning_rate=1e-5)
    assert learned.tokens.keys() == rows.keys()
    for word, row in rows.items():
        assert not torch.equal(learned.tokens[word], row)
        torch.testing.assert_close(learned.tokens[word], row, atol=1e-4, rtol=0)


def test_a_projection_of_the_start_is_kept(tiny_model):
    projection = torch.randn(24, 4, 1, 2, 2, generator=torch.Generator().manual_seed(3))
    origin = replace(_start(tiny_model).provenance, settings={"self_conditioning": 0.5})
    start = _start(tiny_model, self_conditioning=projection, provenance=origin)
    learned = _learn(tiny_model, start)
    assert learned.self_conditioning is not None
    assert torch.equal(learned.self_conditioning, projection)
    assert learned.provenance.settings["self_conditioning"] == 0.5


@pytest.mark.parametrize("form", ["videos", "velocity"])
def test_the_prior_is_the_base_alone_whatever_projection_the_start_brings(
    tiny_model, tmp_path, monkeypatch, form
):
    made: list[torch.Tensor] = []

    def noted(*given, **options) -> torch.Tensor:
        made.append(sample(*given, **options | {"num_steps": 2}))
        return made[-1]

    monkeypatch.setattr(prior, "sample", noted)
    projection = torch.randn(24, 4, 1, 2, 2, generator=torch.Generator().manual_seed(3))
    origin = replace(_start(tiny_model).provenance, settings={"self_conditioning": 0.5})
    start = _start(tiny_model, self_conditioning=projection, provenance=origin)
    given = {"prior": form, "prior_count": 1, "prior_share": 0.5, "sequence_batch": 2}
    seen = []
    for number in (1, 2):
        monkeypatch.setenv("SETSEQ_CACHE", str(tmp_path / str(number)))
        if number == 1:
            _learn(tiny_model, start, sequence_steps=1, **given)
        else:
            settings = LearnSettings.resolve(SETTINGS, given)
            prior.make_prior(tiny_model, (5, 16, 16), settings, precision="fp32")
        seen.append(list(made))
        made.clear()
    started, alone = seen
    assert len(started) == len(alone) > 0
    assert all(torch.equal(one, other) for one, other in zip(started, alone, strict=True))


def test_the_concept_says_what_it_started_from(tiny_model):
    start = _start(tiny_model)
    origin = _learn(tiny_model, start).provenance
    assert origin.settings["started from"]["fingerprint"] == start.provenance.fingerprint
    assert origin.settings["started from"]["clips"][0]["look"] == "a [v1] dog"
    assert origin.words == WORDS
    assert origin.settings["set_steps"] == 0


def test_a_stopped_one_goes_on_bitwise_and_only_from_its_own_start(tiny_folder, tmp_path):
    def stop(report) -> None:
        if report.step == 2:
            raise KeyboardInterrupt

    model, checkpoint = load_model(tiny_folder), tmp_path / "run.checkpoint"
    start = _start(model)
    whole = _learn(model, start)
    with pytest.raises(Interrupted):
        _learn(load_model(tiny_folder), start, checkpoint, stop)
    basis = {name: value + 1 for name, value in start.basis.items()}
    with pytest.raises(TrainingError, match="another training: its start was"):
        _learn(load_model(tiny_folder), replace(start, basis=basis), checkpoint)
    resumed = _learn(load_model(tiny_folder), start, checkpoint)
    assert _equal(resumed.motion, whole.motion)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"set_steps": 5}, "setting set_steps is 5, .* for which it is 0; leave it out"),
        ({"rank": 2}, "setting rank is 2, .* for which it is 3"),
        ({"targets": ".*"}, "setting targets is '.*"),
        ({"words": {"v": "zor"}}, "setting words is {'v1': 'zor'}, .* is {'v1': 'sks'}"),
        ({"words": {}, "token_mode": "learned"}, "setting token_mode is 'learned'"),
    ],
)
def test_settings_that_would_change_what_is_kept_are_refused(tiny_model, given, message):
    with pytest.raises(SettingsError, match=message):
        _learn(tiny_model, _start(tiny_model), **given)


def test_another_word_for_the_movement_is_allowed(tiny_model):
    words = {"v": "sks", "u": "wug"}
    learned = _learn(tiny_model, _start(tiny_model), sequence_steps=0, words=words)
    assert learned.provenance.words == {"v1": "sks", "u1": "wug"}


def test_a_start_of_another_base_is_refused(tiny_model):
    start = _start(tiny_model)
    other = replace(start, provenance=replace(start.provenance, fingerprint="00" * 32))
    with pytest.raises(ConceptFileError, match="with weights 000000000000, this is"):
        _learn(tiny_model, other)


def test_a_method_with_a_basis_of_its_own_is_refused(tiny_model):
    recipe = Recipe(stages=(sequence_of,), own_motion_basis=True)
    with pytest.raises(SettingsError, match="cannot go on from a concept"):
        _learn(tiny_model, _start(tiny_model), recipe=recipe)
