"""Every family can do everything: the matrix of real base models, on tiny ones of true classes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from setseq.concept import Concept
from setseq.config import GenerateSettings, HardwareSettings, LearnSettings
from setseq.errors import Interrupted, PromptError, SettingsError
from setseq.formats.peft_keys import export_lora
from setseq.importing import import_lora
from setseq.lora.inject import PARTS, inject
from setseq.models.base import Conditioning, VideoModel
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.sampling import draw_noise, sample, sampled_frames, with_concept
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip
from tests.formats.test_native import ORIGIN
from tests.models import (
    tiny_cogvideox,
    tiny_hunyuan,
    tiny_hunyuan15,
    tiny_ltx,
    tiny_ltx2,
    tiny_mochi,
    tiny_wan,
)
from tests.models.families import Family

FAMILIES = [
    tiny_wan.FAMILY,
    tiny_wan.FAMILY_A14B,
    tiny_wan.FAMILY_TI2V,
    tiny_ltx.FAMILY,
    tiny_ltx2.FAMILY,
    tiny_cogvideox.FAMILY,
    tiny_cogvideox.FAMILY_15,
    tiny_hunyuan.FAMILY,
    tiny_hunyuan15.FAMILY,
    tiny_mochi.FAMILY,
]
# Mochi asks for float32 within an autocast, which only says on a CPU that it is so already.
pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")
PROMPT = "a zor character in the snow"
SETTINGS = LearnSettings(
    rank=2,
    set_steps=2,
    sequence_steps=2,
    learning_rate=1e-2,
    clip_norm=1.0,
    precision="fp32",
    checkpoint_every=0,
)


@pytest.fixture(scope="module", params=FAMILIES, ids=str)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(scope="module")
def folder(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family.save(tmp_path_factory.mktemp(family.name) / "base")


@pytest.fixture
def model(folder: Path) -> VideoModel:
    return load_model(folder)


@pytest.fixture(scope="module")
def pipeline(family: Family, folder: Path) -> Any:
    """The real pipeline; a test that changes it puts it back."""
    made = family.pipeline().from_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    return made


def _clip(family: Family) -> TrainingClip:
    generator = torch.Generator().manual_seed(5)
    pixels = torch.rand(3, family.frames, family.size, family.size, generator=generator) * 2 - 1
    prompt = concept_prompt("a [v] character", "it is [u]")
    return TrainingClip(pixels=pixels, prompt=prompt, sha256="clip")


def _learn(
    family: Family,
    model: VideoModel,
    checkpoint: Path | None = None,
    on_step: Callable[[Any], None] = lambda report: None,
    **changes: Any,
) -> Concept:
    batches = {"set_batch": family.batch, "sequence_batch": family.batch}
    settings = SETTINGS.model_copy(update=batches | changes)
    return learn_concept(model, [_clip(family)], settings, checkpoint=checkpoint, on_step=on_step)


def _noise(family: Family, model: VideoModel) -> torch.Tensor:
    return draw_noise(model.geometry.latent_shape(family.frames, family.size, family.size), [0])


def _theirs(family: Family, pipeline: Any, model: VideoModel) -> torch.Tensor:
    """The pipeline's latents from the same noise."""
    latents = pipeline(
        prompt=[PROMPT],
        height=family.size,
        width=family.size,
        num_frames=family.frames,
        num_inference_steps=family.steps,
        latents=family.packed(_noise(family, model)),
        output_type="latent",
        return_dict=False,
        **family.guided(pipeline, family.guidance),
        **family.call,
    )[0]
    return family.unpacked(latents, model.geometry)


def _ours(family: Family, model: VideoModel) -> torch.Tensor:
    noise = _noise(family, model)
    return sample(model, [PROMPT], noise, num_steps=family.steps, guidance=family.guidance)


def _strong(model: VideoModel) -> Concept:
    """A strong random concept on every layer."""
    generator = torch.Generator().manual_seed(1)
    injection = inject(model.denoiser, model.lora_targets, rank=3, generator=generator)
    with torch.no_grad():
        for part in ("identity", "motion"):
            for value in injection.parameters(part).values():
                value.normal_(generator=generator).mul_(0.3)
    basis, identity, motion = (injection.tensors(part) for part in PARTS)
    injection.remove()
    origin = replace(ORIGIN, family=model.family, fingerprint=model.fingerprint)
    return Concept(basis=basis, identity=identity, motion=motion, provenance=origin)


def _unlearned(part: Any) -> set[str]:
    return {name for name, value in part.items() if not value.any()}


def test_the_set_stage_learns_from_single_frames(family, model):
    concept = _learn(family, model, set_steps=1, sequence_steps=0)
    assert len(concept.basis) == family.layers
    assert _unlearned(concept.identity) == set(family.idle)
    assert _unlearned(concept.motion) == concept.motion.keys()


def test_the_sequence_stage_learns_from_the_clip(family, model):
    concept = _learn(family, model, set_steps=0, sequence_steps=1)
    assert _unlearned(concept.motion) == set(family.idle)
    assert _unlearned(concept.identity) == concept.identity.keys()


def test_gradient_checkpointing_changes_no_bit_of_what_is_learned(family, folder, model):
    plain = _learn(family, model, set_steps=1, sequence_steps=1)
    thrifty = load_model(folder, hardware=HardwareSettings(gradient_checkpointing=True))
    learned = _learn(family, thrifty, set_steps=1, sequence_steps=1)
    for part in PARTS:
        one, other = getattr(plain, part), getattr(learned, part)
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("backend", ["_native_math", "_native_flash"])
def test_a_backend_of_attention_learns_or_is_refused_before_a_network_is_read(
    family, folder, backend
):
    chosen = HardwareSettings(attention=backend)
    if backend not in family.backends:
        with pytest.raises(SettingsError, match=f"setting attention is '{backend}', .*; give auto"):
            load_model(folder, hardware=chosen)
        return
    concept = _learn(family, load_model(folder, hardware=chosen), set_steps=0, sequence_steps=1)
    assert _unlearned(concept.motion) == set(family.idle)
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    active, _ = _AttentionBackendRegistry.get_active_backend()
    assert active == "native"  # for everything else


def test_both_stages_go_on_bitwise_after_a_stop_and_leave_the_model_as_it_was(
    family, folder, model, tmp_path
):
    def stop(report: Any) -> None:
        if (report.stage, report.step) == ("sequence", 1):
            raise KeyboardInterrupt

    before = {name: value.clone() for name, value in model.denoiser.state_dict().items()}
    whole = _learn(family, model)
    after = model.denoiser.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        _learn(family, load_model(folder), checkpoint, stop)
    resumed = _learn(family, load_model(folder), checkpoint)
    for part in PARTS:
        one, other = getattr(whole, part), getattr(resumed, part)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_concept_generates_a_video_of_the_right_size_even_where_parts_left_memory(family, model):
    settings = GenerateSettings(
        num_steps=2,
        num_frames=family.frames,
        width=family.size,
        height=family.size,
        precision="fp32",
    )
    with with_concept(model, _strong(model)):
        (video,) = sampled_frames(model, [PROMPT], settings)
        assert video.shape == (family.frames, family.size, family.size, 3)
        model.release()
        (again,) = sampled_frames(model, [PROMPT], settings)
    assert (video == again).all()


def test_a_lone_frame_has_one_latent_frame_and_comes_back_in_its_size(family, model):
    frame = torch.zeros(1, 3, 1, family.size, family.size)
    latents = model.encode_video(frame)
    assert latents.shape[1:] == model.geometry.latent_shape(1, family.size, family.size)
    assert model.decode_video(latents).shape == frame.shape


def test_a_prompt_over_the_encoders_limit_says_what_is_cut_off(family, model):
    with pytest.raises(PromptError, match=r"tokens and the model reads \d+; .* cut off: '.*red"):
        model.encode_prompts([PROMPT + " red" * 1100 + " blue"])


def test_prompts_encoded_apart_and_joined_are_as_if_encoded_together(family, model):
    prompts = ["red", "a red character in the snow. it is bouncing"]
    together = model.encode_prompts(prompts)
    joined = Conditioning.joined([model.encode_prompts([prompt]) for prompt in prompts])
    noise = torch.randn(2, *model.geometry.latent_shape(family.frames, family.size, family.size))
    for place in range(2):
        expected, found = (
            model.velocity(noise[[place]], torch.tensor([0.5]), given.select([place]))
            for given in (together, joined)
        )
        assert torch.allclose(found, expected, atol=1e-5)


def test_the_sampler_equals_the_real_pipeline(family, model, pipeline):
    ours = _ours(family, model)
    torch.testing.assert_close(ours, _theirs(family, pipeline, model), atol=1e-5, rtol=0)


def test_exported_files_in_the_real_pipeline_equal_the_concept_in_ours(
    family, model, pipeline, tmp_path
):
    concept = _strong(model)
    plain = _ours(family, model)
    with with_concept(model, concept):
        ours = _ours(family, model)
    assert (ours - plain).abs().max() > 0.1
    for program in family.programs:
        export_lora(concept, tmp_path / "lora.safetensors", program=program)
        family.load_lora(pipeline, tmp_path)
        try:
            theirs = _theirs(family, pipeline, model)
        finally:
            family.unload_lora(pipeline)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_layers_are_known_without_reading_the_network(family, model):
    before = set(model.components._loaded)
    found = model.linear_layers()
    assert set(model.components._loaded) == before
    assert found == {
        name: (layer.in_features, layer.out_features)
        for name, layer in model.denoiser.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }


@pytest.mark.parametrize("program", ["diffusers", "comfyui", "kohya"])
def test_an_exported_file_comes_back_as_the_same_change_of_every_layer(
    family, model, tmp_path, program
):
    concept = _strong(model)
    files = list(export_lora(concept, tmp_path / "lora.safetensors", program=program))
    back = import_lora(files, base=model)
    assert back.basis.keys() == concept.basis.keys()
    assert back.rank == concept.rank
    assert not any(value.any() for value in back.motion.values())
    assert back.provenance.settings["layers"] == {"imported": family.layers, "of": family.layers}
    for name, (a, b) in concept.merged().items():
        torch.testing.assert_close(back.identity[name] @ back.basis[name], b @ a)
    again = export_lora(back, tmp_path / "again.safetensors", program=program)
    assert [one.read_bytes() for one in again] == [one.read_bytes() for one in files]


def test_the_pipeline_has_no_loader_for_token_files(family):
    assert not hasattr(family.pipeline(), "load_textual_inversion")
