import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import setseq
from setseq import api
from setseq.config import GenerateSettings
from setseq.errors import BaseModelError, ConceptFileError, PromptError, SettingsError
from setseq.forecast import FAITHFUL_LOSS, autoencoder_fidelity
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.presets import layered
from setseq.sampling import sampled_frames, with_concept
from tests.surface import LOOK, MOTION, SCENE, make_base, make_clip
from tests.tiny import save_tiny_pipeline


@pytest.fixture(scope="module")
def base(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> VideoModel:
    return load_model(make_base(tiny_folder, tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def concept(base: VideoModel, clip: Path) -> setseq.Concept:
    return setseq.learn(clip, look=LOOK, motion=MOTION, base=base)


def test_the_public_names_are_these_and_all_of_them_import():
    assert setseq.__all__ == [
        "Concept",
        "GenerateSettings",
        "HardwareSettings",
        "LearnSettings",
        "SetSeqError",
        "Watch",
        "__version__",
        "export",
        "generate",
        "import_lora",
        "inspect",
        "learn",
        "load_concept",
        "load_model",
        "preflight",
        "save_concept",
        "write_video",
    ]
    for name in setseq.__all__:
        assert getattr(setseq, name) is not None


def test_importing_the_package_does_not_import_torch():
    code = "import setseq, setseq.cli, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_of_a_call_win_over_those_of_the_base(base: VideoModel, clip: Path):
    concept = setseq.learn(
        clip, look=LOOK, motion=MOTION, base=base, seed=5, settings={"rank": 3, "set_steps": None}
    )
    assert concept.rank == 3
    assert concept.provenance.seed == 5
    assert concept.provenance.settings["set_steps"] == 3


def test_the_same_seed_learns_the_same_concept(
    base: VideoModel, clip: Path, concept: setseq.Concept
):
    again = setseq.learn(clip, look=LOOK, motion=MOTION, base=base)
    for name, value in concept.identity.items():
        assert torch.equal(again.identity[name], value)
        assert torch.equal(again.motion[name], concept.motion[name])


def test_videos_have_the_size_of_the_base(base: VideoModel, concept: setseq.Concept):
    [video] = setseq.generate(concept, SCENE, base=base)
    assert video.shape == (5, 32, 32, 3)
    assert video.dtype == np.uint8


def test_settings_of_generating_are_those_of_the_base_then_the_calls_then_its_options(
    base: VideoModel, concept: setseq.Concept
):
    [plain] = setseq.generate(concept, SCENE, base=base)
    settings = {"negative_prompt": "red snow", "seed": 7}
    [given] = setseq.generate(concept, SCENE, base=base, settings=settings)
    [own_seed] = setseq.generate(concept, SCENE, base=base, settings=settings, seed=0)
    [negative] = setseq.generate(
        concept, SCENE, base=base, settings={"negative_prompt": "red snow"}
    )
    assert np.array_equal(own_seed, negative)
    assert not np.array_equal(negative, plain)
    assert not np.array_equal(given, negative)


def test_a_scene_comes_out_the_same_alone_and_among_others(
    base: VideoModel, concept: setseq.Concept
):
    other = "a [v] character. it is red"
    [alone] = setseq.generate(concept, SCENE, base=base, seed=3)
    among = setseq.generate(concept, [other, SCENE], base=base, seed=3)
    assert np.array_equal(among[1], alone)


def test_at_strengths_0_the_concept_changes_nothing(base: VideoModel, concept: setseq.Concept):
    text = api.checked_prompts(concept, SCENE)[0]
    conditioning = base.encode_prompts([text])
    latents, time = torch.ones(1, *base.geometry.latent_shape()), torch.tensor([0.5])
    plain = base.velocity(latents, time, conditioning)
    with with_concept(base, concept, identity=0, motion=0):
        assert torch.equal(base.velocity(latents, time, conditioning), plain)
    with with_concept(base, concept):
        assert not torch.equal(base.velocity(latents, time, conditioning), plain)
    assert torch.equal(base.velocity(latents, time, conditioning), plain)


def _with_a_random_projection(concept: setseq.Concept) -> setseq.Concept:
    projection = torch.randn(24, 4, 1, 2, 2, generator=torch.Generator().manual_seed(3))
    return replace(concept, self_conditioning=projection)


def test_generated_at_strengths_0_it_is_the_base_bit_for_bit_whatever_its_projection(
    base: VideoModel, concept: setseq.Concept
):
    projected = _with_a_random_projection(concept)
    [text] = api.checked_prompts(concept, SCENE)
    settings = layered(GenerateSettings, base.defaults.generate, None, {"num_steps": 3})
    [plain] = sampled_frames(base, [text], settings)
    for identity, motion, same in ((0, 0, True), (0, 1, False), ("0 to 0 over frames", 0, True)):
        [video] = setseq.generate(
            projected, SCENE, base=base, steps=3, identity=identity, motion=motion
        )
        assert np.array_equal(video, plain) is same
    grid = api.edit(
        projected, SCENE, identity=(0, 1), motion=0, base=base, settings={"num_steps": 3}
    )
    off, on = grid.videos[0]
    assert np.array_equal(off, plain)
    assert not np.array_equal(on, plain)


def test_a_projection_is_off_just_while_both_strengths_are_0(
    base: VideoModel, concept: setseq.Concept
):
    with with_concept(base, _with_a_random_projection(concept), identity=0, motion=0) as injection:
        assert injection.projection is not None
        assert not injection.projection.is_on
        injection.set_strengths(identity=0.0, motion=torch.tensor([0.0, 0.5]), video_tokens=2)
        assert injection.projection.is_on
        injection.set_strengths(identity=0.0, motion=torch.zeros(2), video_tokens=2)
        assert not injection.projection.is_on
    assert not base.self_conditioned


def test_learned_tokens_are_put_in_and_taken_out(base: VideoModel, clip: Path):
    settings = {"token_mode": "learned", "token_learning_rate": 0.1}
    concept = setseq.learn(clip, look=LOOK, motion=MOTION, base=base, settings=settings)
    assert all(row.abs().max() > 0 for row in concept.tokens.values())
    before = base.encode_prompts(["a [v1] character"]).tensors["text"]
    with with_concept(base, concept):
        assert not torch.equal(base.encode_prompts(["a [v1] character"]).tensors["text"], before)
    assert torch.equal(base.encode_prompts(["a [v1] character"]).tensors["text"], before)


def test_a_concept_needs_the_weights_that_it_was_learned_on(
    concept: setseq.Concept, tmp_path: Path
):
    other = make_base(save_tiny_pipeline(tmp_path / "other", seed=1), tmp_path / "tiny")
    with pytest.raises(ConceptFileError, match="with weights"):
        setseq.generate(concept, SCENE, base=other)
    with pytest.raises(BaseModelError, match="--base"):
        setseq.generate(concept, SCENE)


@pytest.mark.parametrize("prompts", [[], "", "a red character", "a [w] character"])
def test_prompts_that_cannot_show_the_concept_are_refused(
    base: VideoModel, concept: setseq.Concept, prompts: str | list[str]
):
    with pytest.raises(PromptError):
        setseq.generate(concept, prompts, base=base)


def test_what_is_wrong_shows_before_the_base_is_loaded(clip: Path):
    with pytest.raises(PromptError):
        setseq.learn(clip, look="a character", motion=MOTION, base="no such base")
    with pytest.raises(SettingsError):
        setseq.learn(clip, look=LOOK, motion=MOTION, base="no such base", settings={"rank": 0})


def test_inspect_tells_prompts_sizes_and_origin(concept: setseq.Concept):
    facts = setseq.inspect(concept)
    assert facts["look"] == "a [v] character in the snow"
    assert facts["base model"].startswith("tiny (wan")
    assert facts["rank"] == "2"
    assert facts["steps"] == "3 of Set, 3 of Sequence"


def test_preflight_measures_and_leaves_the_base_as_it_was(base: VideoModel, clip: Path):
    before = {name: value.clone() for name, value in base.denoiser.state_dict().items()}
    report = setseq.preflight(clip, base=base)
    assert report.fitted == (5, 32, 32)
    assert [stage.steps for stage in report.stages] == [3, 3]
    assert 0 < report.duration_s < 60
    assert report.peak_bytes > 2**20
    after = base.denoiser.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_preflight_warns_where_the_autoencoder_cannot_show_the_clip(base: VideoModel, clip: Path):
    report = setseq.preflight(clip, base=base)  # random weights show nothing
    assert report.worst_psnr_db <= report.psnr_db < 24
    assert len(report.warnings) == 1
    assert f"{report.psnr_db:.1f} dB" in report.warnings[0]


@pytest.mark.parametrize(("contrast", "is_shown"), [(0.8, True), (0.1, False)])
def test_a_pale_clip_must_keep_its_variation_too(
    base: VideoModel, monkeypatch: pytest.MonkeyPatch, contrast: float, is_shown: bool
):
    pixels = contrast * torch.linspace(-1, 1, 32).expand(1, 3, 5, 32, 32)
    monkeypatch.setattr(base, "decode_video", lambda latents: pixels + 0.04)
    fidelity = autoencoder_fidelity(base, pixels)
    assert fidelity.psnr_db == pytest.approx(34, abs=0.1)
    assert (fidelity.lost < FAITHFUL_LOSS) == is_shown


@pytest.mark.parametrize(
    ("learned", "shown_with"),
    [
        ({"self_conditioning": 0.9}, {"self_conditioning": True}),
        ({"self_conditioning": 0.0}, {"self_conditioning": False}),
        (
            {"combined": [{"self_conditioning": 0.0}, {"self_conditioning": 0.9}]},
            {"self_conditioning": True},
        ),
        ({"imported": ["a file"]}, {}),
    ],
)
def test_a_concept_is_shown_with_estimates_where_it_was_learned_with_them(
    concept: setseq.Concept, learned: dict[str, object], shown_with: dict[str, bool]
):
    origin = replace(concept.provenance, settings=learned)
    assert replace(concept, provenance=origin).shown_with == shown_with


def test_estimates_reach_the_sampler_as_the_concept_says_unless_a_setting_does(
    base: VideoModel, concept: setseq.Concept, monkeypatch: pytest.MonkeyPatch
):
    seen: list[bool] = []

    def sampled(model, prompts, settings, **_):
        seen.append(settings.self_conditioning)
        return []

    monkeypatch.setattr(api, "sampled_frames", sampled)
    for chance in (0.9, 0.0):
        origin = replace(concept.provenance, settings={"self_conditioning": chance})
        learned = replace(concept, provenance=origin)
        setseq.generate(learned, SCENE, base=base)
        setseq.generate(learned, SCENE, base=base, settings={"self_conditioning": not chance})
    assert seen == [True, False, False, True]
