"""Settings: frozen, keyword-only, with units and ranges."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from setseq.settings import Settings
from setseq.strengths import normal_strength


class LearnSettings(Settings):
    """How a concept is learned. Defaults are the paper's without regularizers, but for two.

    ``sequence_batch`` is 1 where the paper has 8: there is one clip, so that a batch of it only
    draws more noise, at eight times the memory (``accumulation`` does the same at the memory of
    one). ``token_mode`` is "literal" where the paper learns rows: words that the base knows need no
    training, and an exported LoRA then works in other programs. The regularizers are off, each one
    alone to be switched on, and the step counts are the paper's without them; the preset "paper"
    has its regularized figures.

    Source: arXiv:2502.14844.
    """

    rank: int = Field(default=8, ge=1, le=256, description="columns of the basis")
    set_steps: int = Field(default=150, ge=0, description="steps of the Set stage (single frames)")
    sequence_steps: int = Field(
        default=400, ge=0, description="steps of the Sequence stage (clips)"
    )
    set_batch: int = Field(default=8, ge=1, description="frames a step")
    sequence_batch: int = Field(default=1, ge=1, description="clips a step")
    accumulation: int = Field(default=1, ge=1, description="batches whose gradients make one step")
    learning_rate: float = Field(default=1e-4, gt=0, le=1, description="AdamW")
    learning_rate_decay: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="last share of each stage in which the rates fall straight to nothing; 0 is"
        " constant, as in paper",
    )
    sequence_rate: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="factor of learning_rate in Sequence, not of token_learning_rate; 1 in paper",
    )
    token_learning_rate: float = Field(default=1e-5, gt=0, le=1, description="of learned tokens")
    optimizer: Literal["adamw", "adamw8bit"] = Field(
        default="adamw",
        description="adamw8bit keeps its moments in a quarter of the memory, and needs"
        " bitsandbytes",
    )
    beta1: float = Field(default=0.9, ge=0, lt=1, description="AdamW")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="AdamW")
    weight_decay: float = Field(default=0.01, ge=0, le=1, description="AdamW; 0 for tokens always")
    clip_norm: float = Field(
        default=0.05,
        gt=0,
        description="largest norm of the layers' gradient, and of learned tokens' by itself",
    )
    set_time_mean: float = Field(
        default=0.0,
        ge=-10,
        le=10,
        description="mean of the logit of Set's training times, before the base's shift; above 0"
        " is towards noise",
    )
    set_time_std: float = Field(default=1.0, gt=0, description="its standard deviation")
    sequence_time_mean: float = Field(
        default=0.0, ge=-10, le=10, description="mean of the logit of Sequence's, likewise"
    )
    sequence_time_std: float = Field(default=1.0, gt=0, description="its standard deviation")
    temporal_difference: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="factor, in Sequence, of the squared error of how the velocity changes from a"
        " latent frame to the next; 0 for none",
    )
    frame_dense: bool = Field(
        default=False,
        description="where the clip has more frames a second than the base, learn from the frames"
        " between too: from resamplings that each begin a fraction of a frame later",
    )
    token_mode: Literal["literal", "learned"] = Field(
        default="literal",
        description="literal: the tokens are plain words, which learn nothing; learned: they have"
        " rows of their own in the text encoder, which a plain LoRA cannot carry",
    )
    token_start: Literal["zeros", "mean"] = Field(
        default="zeros",
        description="where learned rows start: zeros, as in paper; mean: the mean of the text"
        " encoder's own rows, where they are to move far",
    )
    identity_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of B1 that a step of Set drops; 0.8 in paper"
    )
    motion_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of B2 that a step of Sequence drops; paper 0.5"
    )
    rescale_dropout: bool = Field(
        default=True, description="what stays is multiplied by 1/(1 - dropout)"
    )
    prior: Literal["none", "videos", "velocity"] = Field(
        default="none",
        description="what the base knows, learned beside the concept: from videos that it makes"
        " once, or by matching its velocity, without videos",
    )
    prior_prompts: str = Field(
        default="auto",
        description="people, animals, objects, nature, toybox; auto: toybox on the toybox, else a"
        " mix of the others; or a file with a prompt a line, as 'look | motion'",
    )
    prior_count: int = Field(default=24, ge=1, le=1000, description="prompts of the prior")
    prior_share: float = Field(default=0.25, gt=0, lt=1, description="of a step, for the prior")
    prior_weight: float = Field(default=1.0, ge=0, le=100, description="factor of its loss")
    token_masking: float = Field(
        default=0.0, ge=0, lt=1, description="share of a prompt's words left out; 0.1 in paper"
    )
    masked_encodings: int = Field(
        default=64, ge=1, le=4096, description="masked encodings of a prompt, one drawn a step"
    )
    mask_special_tokens: bool = Field(
        default=False, description="let token masking leave out [v] and [u] too"
    )
    self_conditioning: float | Literal["auto"] = Field(
        default="auto",
        description="probability, 0 to 1, that a sample is learned with the model's own estimate of"
        " it; auto: 0.9 on bases that were trained so, else 0",
    )
    words: dict[str, str] = Field(
        default={}, description="own words for literal tokens, as v = 'sks'"
    )
    targets: str = Field(
        default="", description="regular expression of layers; empty: the base model's"
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="of the networks"
    )
    checkpoint_every: int = Field(
        default=100,
        ge=0,
        description="steps between checkpoints, one more after each stage; 0 for none",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of every random draw")

    @field_validator("self_conditioning", mode="before")
    @classmethod
    def _is_a_probability(cls, given: object) -> object:
        is_one = isinstance(given, int | float) and type(given) is not bool and 0 <= given <= 1
        if not is_one and given != "auto":
            raise ValueError("give a probability from 0 to 1, or 'auto'")
        return given

    @field_validator("targets")
    @classmethod
    def _is_a_pattern(cls, targets: str) -> str:
        try:
            re.compile(targets)
        except re.error as error:
            raise ValueError(f"it is no regular expression ({error}); correct it") from error
        return targets


class GenerateSettings(Settings):
    """How a video is generated. Sizes of None are the base model's."""

    num_steps: int = Field(default=30, ge=1, le=1000, description="Euler steps")
    guidance: float = Field(
        default=5.0, ge=1, le=50, description="classifier-free guidance; 1 is none"
    )
    identity: float | str = Field(
        default=1.0,
        description="identity strength, -4 to 4; or a schedule as '1.0 to 0.4' (over the sampling"
        " steps) or '1.0 to 0.4 over frames'",
    )
    motion: float | str = Field(default=1.0, description="motion strength, likewise")
    negative_prompt: str = Field(default="", description="what guidance leads away from")
    self_conditioning: bool = Field(
        default=True,
        description="feed each step the last one's estimate, where base or concept can read it;"
        " a concept brings along whether it was learned so",
    )
    num_frames: int | None = Field(default=None, ge=1, description="length")
    width: int | None = Field(default=None, ge=1, description="pixels")
    height: int | None = Field(default=None, ge=1, description="pixels")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="of the networks"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of the start noise")

    @field_validator("identity", "motion", mode="before")
    @classmethod
    def _is_a_strength(cls, given: Any) -> float | str:
        return normal_strength(given)


class WatchSettings(Settings):
    """How a learning is watched: pictures on the way, losses, and a report at its end."""

    preview_every: int = Field(
        default=0,
        ge=0,
        description="steps between generated previews; 0 for none, as they take time",
    )
    preview_prompt: str = Field(
        default="", description="a scene of your own for previews and report, with the tokens"
    )
    tracker: Literal["auto", "tensorboard", "wandb", "none"] = Field(
        default="auto", description="where losses go too; auto: TensorBoard where it is installed"
    )
    report: bool = Field(default=True, description="write report.html at the end")
    edits: tuple[str, ...] = Field(
        default=("in the desert at dusk", "in a snowy field at night"),
        description="what the report changes in the learned prompt, a video each; and what"
        " select = 'best' holds the prompts against",
    )
    select: Literal["last", "best"] = Field(
        default="last",
        description="the concept to keep: the last step's, or that of the step with the best"
        " trade-off between giving the clip back and following the edits (docs/watching.md)",
    )
    select_checks: int = Field(
        default=6,
        ge=1,
        le=100,
        description="steps of Sequence that are measured for it, evenly spaced, the end among them",
    )
    clip_model: str = Field(
        default="",
        description="the CLIP of these measurements: toybox, a folder, or a model id;"
        " empty: the base's natural one",
    )


class HardwareSettings(Settings):
    """Where and how the base's networks are held: what fits a card, and what is fast on it.

    ``device`` takes no Apple GPU by itself: nobody has tried one (our choice).
    """

    device: str = Field(
        default="auto",
        description="cpu, cuda, cuda:1, mps; auto: the GPU of CUDA or ROCm where there is one",
    )
    weights: Literal["auto", "fp32", "bf16", "int8", "fp8", "nf4"] = Field(
        default="auto",
        description="format of the denoiser's frozen weights; auto: bf16 on a GPU that computes in"
        " it, else fp32; int8 and fp8 need torchao, nf4 bitsandbytes, and what they stand beside"
        " is bf16",
    )
    offload: bool = Field(
        default=False,
        description="leave the weights of the denoiser's blocks in main memory, and send each to"
        " the GPU when it is needed; for fp32 and bf16",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="keep of each block only its input, and compute it again on the way back: a"
        " third more time, a fraction of the memory",
    )
    compile: bool = Field(
        default=False,
        description="compile the denoiser's blocks: minutes at the start of each stage, then faster"
        " steps; for fp32 and bf16 that are not offloaded",
    )
    attention: Literal[
        "auto",
        "native",
        "flash",
        "_flash_3",
        "flex",
        "xformers",
        "_native_cudnn",
        "_native_efficient",
        "_native_flash",
        "_native_math",
    ] = Field(
        default="auto",
        description="diffusers' backend of the denoiser's attention, those that can learn; auto:"
        " PyTorch's choice",
    )
    text_on_cpu: bool = Field(
        default=False,
        description="encode prompts on the CPU, where the text encoder is too large for the GPU;"
        " for literal tokens",
    )
    tiled_autoencoder: bool = Field(
        default=False,
        description="encode and decode large pictures tile by tile, which shows at the seams a"
        " little, where a whole picture takes too much memory",
    )

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            raise ValueError("give cpu, cuda, cuda:1, mps or auto")
        return device

    @field_validator("offload", "compile")
    @classmethod
    def _wants_plain_weights(cls, given: bool, info: ValidationInfo) -> bool:
        if given and info.data.get("weights") in ("int8", "fp8", "nf4"):
            raise ValueError(f"it does not go with weights = {info.data['weights']!r}; leave one")
        if given and info.field_name == "compile" and info.data.get("offload"):
            raise ValueError("it does not go with offload = true; leave one")
        return given


TABLES: Mapping[str, type[Settings]] = {  # of settings files
    "learn": LearnSettings,
    "generate": GenerateSettings,
    "watch": WatchSettings,
    "hardware": HardwareSettings,
}
