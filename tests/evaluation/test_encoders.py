from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from setseq.errors import EncoderError, PromptError
from setseq.evaluation.adherence import edit_margin
from setseq.evaluation.choice import open_encoders
from setseq.evaluation.encoders import encoder_folder, load_clip_encoder, load_thing_encoder
from setseq.evaluation.measure import Asked, Controls, Encoders, evaluate
from setseq.toybox.encoders import save_encoder
from tests.evaluation.films import drawn, frozen, noise
from tests.evaluation.tiny_encoders import save_tiny_clip, save_tiny_things, tiny_things


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


def _dinov2() -> nn.Module:
    from transformers import Dinov2Config, Dinov2Model

    return Dinov2Model(
        Dinov2Config(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=16
        )
    )


@pytest.fixture(scope="module")
def things_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_things(tmp_path_factory.mktemp("things"))


@pytest.fixture(scope="module")
def encoders(clip_folder: Path, things_folder: Path) -> Encoders:
    return Encoders(clip=load_clip_encoder(clip_folder), things=load_thing_encoder(things_folder))


def test_a_clip_folder_gives_unit_vectors_of_pictures_and_words(encoders):
    pictures = encoders.clip.pictures(noise(frames=3, height=64, width=64).frames)
    words = encoders.clip.words(["a red ball", "a creature at the sea by night"])
    assert pictures.shape == (3, 128)
    assert words.shape == (2, 128)
    for rows in (pictures, words):
        assert torch.allclose(rows.norm(dim=1), torch.ones(len(rows)))


def test_clips_vectors_are_those_of_transformers_own_scores(encoders):
    network, frames = encoders.clip.network, noise(frames=2, height=64, width=64).frames
    prompts = ["a red ball", "a blue star on the sand"]
    tokens = encoders.clip.tokenizer(prompts, padding=True, return_tensors="pt")
    pixels = torch.from_numpy(frames).movedim(-1, 1).float() / 127.5 - 1
    with torch.no_grad():
        output = network(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            pixel_values=pixels,
        )
    ours = encoders.clip.pictures(frames) @ encoders.clip.words(prompts).T
    assert torch.allclose(ours * network.logit_scale.exp(), output.logits_per_image, atol=1e-4)


def test_a_prompts_vector_does_not_depend_on_its_neighbours(encoders):
    short, long = "a red ball", "a green striped star with a hat in the forest at night"
    together = encoders.clip.words([short, long])
    assert torch.allclose(together[:1], encoders.clip.words([short]), atol=1e-5)


def test_a_prompt_longer_than_clip_reads_is_refused(encoders):
    with pytest.raises(PromptError, match="reads 64"):
        encoders.clip.words(["a red ball " * 40])


@pytest.mark.parametrize("build", [_dinov2, tiny_things])
def test_transformers_and_convolutional_networks_load_through_one_path(build, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_encoder(build(), tmp_path)
    encoder = load_thing_encoder(tmp_path)
    frames = noise(frames=2, height=64, width=64).frames
    rows = encoder.pictures(frames)
    assert rows.ndim == 2
    assert torch.allclose(rows.norm(dim=1), torch.ones(2))
    assert torch.allclose(rows[1:], encoder.pictures(frames[1:]), atol=1e-5)


def test_a_transformer_is_read_by_its_class_token_so_that_it_needs_no_pooler(tmp_path):
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=64,
        patch_size=8,
    )
    save_encoder(ViTModel(config, add_pooling_layer=False), tmp_path)  # as DINO is published
    assert load_thing_encoder(tmp_path).pictures(noise(frames=2).frames).shape == (2, 16)


@pytest.mark.parametrize(
    ("fetch", "places", "said"),
    [
        (False, [True], "nothing is fetched unasked; add --fetch"),
        (True, [False, True], "cannot be"),
    ],
)
def test_a_model_that_is_nowhere_is_fetched_where_asked_and_else_says_which_folder_to_give(
    monkeypatch, fetch, places, said
):
    import huggingface_hub

    asked = []

    def absent(repo, *, allow_patterns, local_files_only):
        asked.append(local_files_only)
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", absent)
    with pytest.raises(EncoderError, match="hf download some/model --local-dir FOLDER") as caught:
        encoder_folder("some/model", toybox="clip", fetch=fetch)
    assert asked == places
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_in_the_cache_is_not_fetched_again(monkeypatch, tmp_path):
    import huggingface_hub

    def cached(repo, *, allow_patterns, local_files_only):
        assert local_files_only
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert encoder_folder("some/model", toybox="clip") == tmp_path


def test_a_folder_that_holds_no_encoder_is_refused_in_one_line(tmp_path):
    for load in (load_clip_encoder, load_thing_encoder):
        with pytest.raises(EncoderError, match="cannot be loaded as an encoder") as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_reconstruction_scores_best_against_itself(encoders):
    robot = drawn("robot")
    asked = Asked(prompt="a [v] creature in a city street by day. it is [u] walking.")
    itself, other = (evaluate(robot, video, asked, encoders) for video in (robot, drawn("bird")))
    assert itself.mse == 0
    assert itself.identity == pytest.approx(1.0, abs=1e-5)
    assert itself.motion == pytest.approx(1.0)
    assert itself.dynamic_degree == itself.reference_dynamic_degree
    assert other.mse > 0
    for name in ("identity", "motion"):
        worse, better = (scores.as_row()[name] for scores in (other, itself))
        assert worse is not None
        assert better is not None
        assert worse < better


def test_a_frozen_video_wins_consistency_and_is_found_out_by_dynamic_degree(encoders):
    robot = drawn("robot")
    scores = evaluate(robot, frozen(robot), Asked(prompt="a creature"), encoders)
    assert scores.temporal_consistency == pytest.approx(1.0)
    assert scores.dynamic_degree == 0
    assert scores.motion == 0


def test_what_was_not_asked_for_is_none_and_what_was_is_there(encoders):
    robot, bird = drawn("robot"), drawn("bird")
    plain = evaluate(robot, bird, Asked(prompt="a creature"), encoders)
    left_out = {
        "edit_margin",
        "judged_edit",
        "face_identity",
        "face_share",
        "token_leakage",
        "left_leakage",
        "right_leakage",
    }
    assert {name for name, value in plain.as_row().items() if value is None} == left_out
    full = evaluate(
        robot,
        bird,
        Asked(prompt="a creature at night", source="a creature by day"),
        encoders,
        Controls(without_tokens=bird, base=bird, neighbour=bird),
    )
    assert full.token_leakage == 0
    given = left_out - {"judged_edit", "face_identity", "face_share"}
    assert all(full.as_row()[name] is not None for name in given)


def test_a_video_of_another_length_size_and_rate_is_measured_too(encoders):
    robot = drawn("robot")
    larger = np.repeat(np.repeat(robot.frames, 2, 1), 2, 2)
    other = type(robot)(frames=np.repeat(larger, 2, 0)[:20], fps=16.0)
    scores = evaluate(robot, other, Asked(prompt="a creature"), encoders)
    assert scores.mse < 0.002
    assert scores.motion is not None
    assert scores.motion > 0.95


def test_the_toyboxs_judge_comes_when_asked_for_and_reads_its_attributes(
    clip_folder, things_folder
):
    loaded, missing = open_encoders(clip=clip_folder, things=things_folder, judge="toybox")
    assert missing == {}
    night = drawn("robot", light="night")
    asked = Asked(prompt="a creature at night", attributes={"light": "night"})
    assert evaluate(drawn("robot"), night, asked, loaded).judged_edit == 1
    with pytest.raises(EncoderError, match="no judge of the toybox"):
        open_encoders(judge=clip_folder / "config.json", needed=["judge"])


@pytest.mark.parametrize(
    ("name", "own"),
    [("robot", "a creature in the city by day"), ("bee", "a creature in a meadow in the rain")],
)
@pytest.mark.parametrize(
    ("edit", "scene"),
    [
        ("a creature in a snowy field by day", {"place": "snowfield", "light": "day"}),
        ("a creature by the sea with waves at sunset", {"place": "sea", "light": "dusk"}),
    ],
)
def test_the_shipped_clip_sees_an_edit_where_it_is_and_not_where_it_is_not(
    name: str, own: str, edit: str, scene: dict[str, str]
):
    clip = load_clip_encoder("toybox")
    edited, source = clip.words([edit, own])
    margins = [
        edit_margin(clip.pictures(video.frames), edited, source)
        for video in (drawn(name, **scene), drawn(name))
    ]
    assert margins[0] > 0.1
    assert margins[1] < -0.1
