"""Tokenizers and text encoders of the true classes, built without any download."""

import importlib
from typing import Any

import torch

from tests.tiny import WORDS

WIDTH = 16
diffusers: Any = importlib.import_module("diffusers")  # its classes, some of which are untyped


def t5_tokenizer() -> Any:
    """A T5 tokenizer that knows the words of the tests."""
    from transformers import T5Tokenizer

    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -9.0)]
    vocabulary += [("▁" + word, -2.0) for word in WORDS]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0)  # pyright: ignore[reportArgumentType]


def t5_encoder(vocabulary: int = len(WORDS) + 7) -> Any:
    """A T5EncoderModel of width 16 with random weights."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=vocabulary,  # with spare rows, as real T5 matrices have
        d_model=WIDTH,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        dropout_rate=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return T5EncoderModel(config).eval()


def word_tokenizer(instruction: str, start: int | None = None) -> Any:
    """A tokenizer that splits at spaces.

    Args:
        instruction: a text before each prompt.
        start: tokens before a prompt: as many begin tokens are put in front as it still takes;
            None puts neither begin nor end tokens.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.WhitespaceSplit()
    own = [word for word, _ in split.pre_tokenize_str(instruction)]
    words = ["<pad>", "<s>", "</s>", "<unk>", *dict.fromkeys([*WORDS, *own])]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = split  # pyright: ignore[reportAttributeAccessIssue]
    if start is not None:
        count = start - len(split.pre_tokenize_str(instruction))
        assert count >= 0
        tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore
            single="<s> " * count + "$A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<|eot_id|>"],
        padding_side="right",
    )
