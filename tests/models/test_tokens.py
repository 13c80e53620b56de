"""Learned token rows stand in for words and leave no trace."""

import pytest
import torch


def test_only_the_rows_get_gradients_and_they_reach_the_prompt(tiny_model):
    tokens = tiny_model.add_tokens(["[v1]", "[u1]"])
    text = tiny_model.encode_prompts(["a [v1] character."]).tensors["text"]
    text.square().sum().backward()
    assert tokens.rows.grad is not None
    assert tokens.rows.grad[0].any()
    assert not tokens.rows.grad[1].any()
    assert all(p.grad is None for p in tiny_model._text_encoder.parameters())


@torch.no_grad()
def test_a_row_with_a_known_words_values_encodes_as_that_word(tiny_model):
    word = tiny_model.encode_prompts(["a red character"]).tensors["text"]
    weight = tiny_model._text_encoder.get_input_embeddings().weight
    index = tiny_model.tokenizer("red").input_ids[0]
    tokens = tiny_model.add_tokens(["[v1]"])
    tokens.rows.copy_(weight[index : index + 1])
    row = tiny_model.encode_prompts(["a [v1] character"]).tensors["text"]
    torch.testing.assert_close(row, word)


@torch.no_grad()
def test_removal_restores_weights_key_set_and_tokenizer(tiny_model):
    prompt = ["a [v1] red character"]
    before = tiny_model.encode_prompts(prompt).tensors["text"]
    keys = set(tiny_model._text_encoder.state_dict())
    tokens = tiny_model.add_tokens(["[v1]"])
    assert not torch.equal(tiny_model.encode_prompts(prompt).tensors["text"], before)
    tokens.remove()
    assert torch.equal(tiny_model.encode_prompts(prompt).tensors["text"], before)
    assert set(tiny_model._text_encoder.state_dict()) == keys


@torch.no_grad()
def test_prompts_without_the_words_are_bit_equal(tiny_model):
    before = tiny_model.encode_prompts(["a blue character"]).tensors["text"]
    tiny_model.add_tokens(["[v1]"])
    assert torch.equal(tiny_model.encode_prompts(["a blue character"]).tensors["text"], before)


def test_rows_can_start_at_the_mean_of_the_encoders_own_and_know_their_scale(tiny_model):
    weight = tiny_model._text_encoder.get_input_embeddings().weight.detach()
    tokens = tiny_model.add_tokens(["[v1]", "[u1]"])
    assert tokens.scale == pytest.approx(float(weight.square().mean().sqrt()))
    assert not tokens.rows.any()
    tokens.start_at_mean()
    torch.testing.assert_close(tokens.rows.detach(), weight.mean(0).expand(2, -1))
