import random
from pathlib import Path

import torch
from torch import nn

from setseq.toybox.caption_reader import tokens_of, train_words
from setseq.toybox.captions import caption
from setseq.toybox.components import Networks, build_networks, load_weights
from setseq.toybox.judge import labels
from setseq.toybox.shipped import asset
from setseq.toybox.world import random_scene


def _networks() -> Networks:
    torch.manual_seed(0)
    return build_networks(channels=4, width=64, layers=1, text_width=32, text_layers=1)


def test_the_spans_of_a_caption_hold_what_is_said_of_each_character():
    for seed in range(200):
        scene = random_scene(seed, num_characters=2)
        said = caption(scene, random.Random(seed), drop=0.0)
        spans = said.spans()
        assert [who for _, _, who in spans] == [0, 1, 0, 1]
        for start, end, who in spans[:2]:
            assert scene.characters[who].color in said.text[start:end]
        assert [said.text[start:end] for start, end, _ in spans] == [*said.phrases, *said.moves]


def test_a_caption_without_a_motion_has_spans_of_the_look_alone():
    scene = random_scene(3, num_characters=1)
    rngs = (random.Random(seed) for seed in range(500))
    said = next(c for c in (caption(scene, rng, drop=0.5) for rng in rngs) if not c.moves)
    assert len(said.spans()) == 1


def test_every_token_is_told_whose_it_is():
    scene = random_scene(0, num_characters=2)
    networks, said = _networks(), caption(scene, random.Random(0), drop=0.0)
    ids, mask, whose = tokens_of(networks, [said])
    words = networks.tokenizer.convert_ids_to_tokens(ids[0].tolist())
    told = {
        who: [w for w, t in zip(words, whose[0].tolist(), strict=True) if t == who]
        for who in (0, 1)
    }
    for who, moves in enumerate(said.moves):
        assert len(told[who]) == len(said.phrases[who].split()) + len(moves.split())
    assert mask.all()
    assert whose[0, -1] == 2  # the end


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_learning_words_trains_the_text_encoder_alone(tmp_path: Path):
    networks = _networks()
    text, video = _weights(networks.text_encoder), _weights(networks.transformer)
    train_words(networks, tmp_path / "words.safetensors", steps=2, batch=4)
    learned = networks.text_encoder.state_dict()
    assert all(not torch.equal(text[name], learned[name]) for name in text)
    assert all(torch.equal(video[k], v) for k, v in networks.transformer.state_dict().items())


def test_words_that_are_learned_are_not_learned_again(tmp_path: Path):
    first, again, steps = _networks(), _networks(), []
    train_words(first, tmp_path / "words.safetensors", steps=2, batch=4)
    train_words(
        again,
        tmp_path / "words.safetensors",
        steps=2,
        batch=4,
        on_step=lambda step, loss: steps.append(step),
    )
    assert steps == []
    for name, tensor in first.text_encoder.state_dict().items():
        assert torch.equal(tensor, again.text_encoder.state_dict()[name])


def test_the_shipped_base_tells_whose_a_word_is():
    networks = build_networks(channels=24)
    load_weights(networks, asset("base"))
    texts = [
        "a red ball on the left and a blue star on the right in the forest",
        "a blue ball on the left and a red star on the right in the forest",
    ]
    tokens = networks.tokenizer(texts, return_tensors="pt")
    red = networks.tokenizer.convert_tokens_to_ids(["▁red", "red"])
    with torch.no_grad():
        rows = networks.text_encoder(tokens["input_ids"], tokens["attention_mask"])[0]
    one, other = (
        row[next(k for k, token in enumerate(ids.tolist()) if token in red)]
        for row, ids in zip(rows, tokens["input_ids"], strict=True)
    )
    assert (one - other).norm() > 0.2 * one.norm()


def test_two_captions_in_one_batch_have_a_target_each():
    scenes = [random_scene(k, num_characters=1 + k) for k in (0, 1)]
    target = torch.tensor([labels(scene) for scene in scenes])
    assert (target[0] < 0).sum() == 5  # nothing is asked of who is not there
    assert (target[1] >= 0).all()
