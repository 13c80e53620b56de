"""The methods of the paper's tables, ours among them, and a control: what each is, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from setseq.baselines.method import Method, learn_method, settings_of
from setseq.baselines.stages import (
    identity_stage,
    lora_stage,
    mixed_stage,
    motion_stage,
    token_stage,
    weight_stage,
)
from setseq.presets import load_preset
from setseq.training.recipe import Recipe

__all__ = ["METHODS", "UNREGULARIZED", "Method", "learn_method", "settings_of"]

# Our choice: under AdamW a number can grow from nothing to the size of its like in some 30 steps.
_TOKEN_RATE = 0.03
UNREGULARIZED: Mapping[str, Any] = {
    "identity_dropout": 0.0,
    "motion_dropout": 0.0,
    "prior": "none",
    "token_masking": 0.0,
    "self_conditioning": 0.0,
}
# What was learned without estimates of itself is shown without them.
_NO_ESTIMATES: Mapping[str, Any] = {"self_conditioning": False}
_LEARNED_TOKENS: Mapping[str, Any] = {
    "token_mode": "learned",
    "token_start": "mean",
    "words": {},
}

_TEXTUAL_INVERSION = Method(
    name="textual-inversion",
    title="Textual Inversion",
    original="Learns the embedding of one new word from a few pictures, starting from that of a"
    " coarse word; the model is frozen.",
    keeps="Only token rows are learned.",
    changes="Two words, [v] and [u], learned on the whole clip with its whole prompt, for a"
    " movement needs one. They start at the mean of the text encoder's rows, as no coarse word is"
    " given. The rate is 0.03 of those rows' root mean square a step, to fit every encoder. The"
    " concept's layers have rank 1 and stay zero: no strength acts, and a plain LoRA cannot"
    " hold it.",
    source="arXiv:2208.01618",
    recipe=Recipe(stages=(token_stage,)),
    settings={**UNREGULARIZED, **_LEARNED_TOKENS, "rank": 1},
    generate=_NO_ESTIMATES,
    token_rate=_TOKEN_RATE,
)
_DREAMBOOTH_LORA = Method(
    name="dreambooth-lora",
    title="DreamBooth-LoRA with prior preservation",
    original="Tunes the whole model on a few pictures of a subject under a rare word and, in equal"
    " parts, on pictures of its class that the model made before.",
    keeps="Prior preservation, in equal parts with weight 1.",
    changes="LoRA-8 (above) in place of all weights, as in the paper's comparison. The prior is the"
    " base's own videos of generic prompts, the ones that the method uses, not those of one class."
    " It takes half of each step, so that a step costs the same.",
    source="arXiv:2208.12242",
    recipe=Recipe(stages=(lora_stage,)),
    settings={
        **UNREGULARIZED,
        "rank": 8,
        "prior": "videos",
        "prior_share": 0.5,
        "prior_weight": 1.0,
    },
    generate=_NO_ESTIMATES,
)
_DREAMIX = Method(
    name="dreamix",
    title="Dreamix (on a DiT)",
    original="Tunes a video model on the clip and, with temporal attention masked, on its frames in"
    " no order, both losses mixed; then edits a noised, coarse copy of the clip.",
    keeps="Frames and clip mixed in one stage, one set of weights for both.",
    changes="One LoRA of the base's own rank in place of all weights, as in the paper's comparison."
    " A frame is a video of its own, so that there is no time to mask; it reads the static prompt."
    " Frames and clips are mixed in the proportion of the method's two stages, each with the times"
    " of its own stage, and either kind is half of the loss (the original weighs them by a constant"
    " that we do not know). Videos are made from noise, as for all methods, not from a copy of the"
    " clip.",
    source="arXiv:2302.01329",
    recipe=Recipe(stages=(mixed_stage,)),
    settings=UNREGULARIZED,
    generate=_NO_ESTIMATES,
)
_NEWMOVE = Method(
    name="newmove",
    title="NewMove (on a DiT)",
    original="Tunes a UNet's temporal layers and its spatial attention's keys and values on clips"
    " of a motion under a new word, beside real videos that regularize; noisy times are drawn"
    " more often.",
    keeps="The weights themselves are tuned, with other videos learned beside the clip.",
    changes="Keys and values of all attention, as a DiT has no layers of time alone. The other"
    " videos are the base's own of generic prompts, at the base's share, as no real ones are at"
    " hand. Times are drawn as for all methods. A tenth of the base's rate, which is one for LoRAs."
    " The concept holds the change of the weights on the identity matrix as basis: exact, but"
    " large.",
    source="arXiv:2312.04966",
    recipe=Recipe(stages=(weight_stage,), full_rank=True),
    settings={**UNREGULARIZED, "prior": "videos"},
    generate=_NO_ESTIMATES,
    rate=0.1,
    layers=r".*\.(to_[kv]|add_[kv]_proj)",
)
_DREAMVIDEO = Method(
    name="dreamvideo",
    title="DreamVideo (on a DiT)",
    original="Learns a subject from pictures, by textual inversion and then an identity adapter,"
    " and a motion adapter from videos, guided by a frame's appearance; both go into a UNet"
    " together.",
    keeps="A learned word and an identity adapter from single frames; then a motion adapter that"
    " shares nothing with it, from the clip, with the first two frozen.",
    changes="Both adapters are LoRAs of the base's own rank on the same layers, as a DiT has none"
    " of space or time alone. Word and identity adapter are learned in one stage. The motion"
    " adapter learns with the identity adapter in place, instead of a frame's guidance. The"
    " concept has both ranks side by side.",
    source="arXiv:2312.04433",
    recipe=Recipe(stages=(identity_stage, motion_stage), own_motion_basis=True),
    settings={**UNREGULARIZED, **_LEARNED_TOKENS},
    generate=_NO_ESTIMATES,
    token_rate=_TOKEN_RATE,
)


def _lora(rank: int, title: str) -> Method:
    return Method(
        name=f"lora-{rank}",
        title=title,
        original="Adds a low-rank update to frozen weights and trains nothing else.",
        keeps=f"One ordinary LoRA of rank {rank}.",
        changes="On the layers that the method adapts, in one stage on the whole clip with its"
        " whole prompt. All of it is identity: the motion strength has no effect.",
        source="arXiv:2106.09685",
        recipe=Recipe(stages=(lora_stage,)),
        settings={**UNREGULARIZED, "rank": rank},
        generate=_NO_ESTIMATES,
    )


def _ours(
    name: str,
    title: str,
    changes: str,
    settings: Mapping[str, Any] | None = None,
    generate: Mapping[str, Any] | None = None,
    token_rate: float | None = None,
    steps: tuple[float, float] = (1.0, 1.0),
) -> Method:
    return Method(
        name=name,
        title=title,
        original="A LoRA on single frames, then new coefficients on its frozen basis on the clip,"
        " with four regularizers.",
        keeps="Both stages, one basis and two sets of coefficients.",
        changes=changes,
        source="arXiv:2502.14844",
        settings=settings or {},
        generate=generate or {},
        token_rate=token_rate,
        steps=steps,
    )


def _of_preset(table: str, names: Iterable[str]) -> dict[str, Any]:
    """The paper's figures of some settings."""
    values = load_preset("paper").tables[table]
    return {name: values[name] for name in names}


_TWO_STAGE = _ours(
    "two-stage",
    "Two stages, no regularization",
    "Every regularizer is off, as in the paper's ablation.",
    UNREGULARIZED,
    _NO_ESTIMATES,
)
_FULL = _ours(
    "set-and-sequence",
    "Set-and-Sequence (base's)",
    "The settings are the base model's own, those of the regularizers too.",
)
_PAPERS = _ours(
    "set-and-sequence-paper",
    "Set-and-Sequence (paper's)",
    "The regularizers are as strong as in the paper (the preset `paper`), self-conditioning only on"
    " bases that were trained with it, and then in sampling too. Steps, rank and rates are the base"
    " model's own.",
    _of_preset("learn", (*UNREGULARIZED, "mask_special_tokens")),
    _of_preset("generate", _NO_ESTIMATES),
)
# What the prior needs to leave the concept whole in few steps.
_WITH_PRIOR: Mapping[str, Any] = {
    **UNREGULARIZED,
    **_LEARNED_TOKENS,
    "prior": "velocity",
    "prior_share": 0.12,
    "temporal_difference": 3.0,
}
_PRIOR = _ours(
    "set-and-sequence-prior",
    "Set-and-Sequence (prior)",
    "The one regularizer is the prior, by its velocity, and [v] and [u] are learned rows: plain"
    " words do not tell the concept from what the prior holds. Rows start and move as those of"
    " textual-inversion. The prior has 0.12 of a step, less than by default. It holds back movement"
    " most, so Sequence has 1.3 times the base's steps and Set 0.43 times, Sequence has twice the"
    " rate, and it learns changes from frame to frame with a weight of 3. The rank and the rate of"
    " Set are the base model's own.",
    {**_WITH_PRIOR, "sequence_rate": 2.0},
    _NO_ESTIMATES,
    token_rate=_TOKEN_RATE,
    steps=(0.43, 1.3),
)
_LORA_PRIOR = replace(
    _lora(8, "LoRA-8 (prior)"),
    name="lora-8-prior",
    changes="A control of ours, not the paper's: the prior, the learned words, the weight on"
    " changes and the number of steps are those of set-and-sequence-prior; the one stage, the rank"
    " and the rate are those of lora-8.",
    settings={**_WITH_PRIOR, "rank": 8},
    generate=_PRIOR.generate,
    token_rate=_PRIOR.token_rate,
    steps=_PRIOR.steps,
)
_ALL = (
    _TEXTUAL_INVERSION,
    _lora(1, "LoRA-1"),
    _lora(8, "LoRA-8 (DreamBooth-LoRA)"),
    _DREAMBOOTH_LORA,
    _DREAMIX,
    _NEWMOVE,
    _DREAMVIDEO,
    _TWO_STAGE,
    _FULL,
    _PAPERS,
    _PRIOR,
    _LORA_PRIOR,
)
METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})
