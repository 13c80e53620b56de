"""What the rest of the package knows of a text-to-video model: one small protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from setseq.errors import SettingsError
from setseq.models.hardware import Hardware
from setseq.models.self_conditioning import SelfConditioning
from setseq.models.tokens import TokenRows

Places = tuple[int | None, int | None, int | None]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The sizes that a model was made for, and how it compresses a video.

    Attributes:
        fps: frames a second of its videos.
        width: default picture width in pixels; ``height`` likewise.
        num_frames: default length; lengths are ``k * frame_step + 1``.
        temporal_factor: frames of a latent frame (the first latent frame holds one).
        spatial_factor: pixels of a latent's side.
        size_multiple: pixels that width and height must be multiples of.
        latent_channels: channels of a latent.
        latent_depth: latent frames of a token; latents are filled up to a multiple of it.
        decoded_together: latent frames that the autoencoder decodes together after the first.
        places: tokens along time, height and width that the network has positions for; None where
            there is no limit.
    """

    fps: float
    width: int
    height: int
    num_frames: int
    temporal_factor: int
    spatial_factor: int
    size_multiple: int
    latent_channels: int
    latent_depth: int = 1
    decoded_together: int = 1
    places: Places = (None, None, None)

    @property
    def frame_step(self) -> int:
        """Frames from one length that the model can make to the next."""
        return self.temporal_factor * self.decoded_together

    def latent_shape(
        self, num_frames: int | None = None, height: int | None = None, width: int | None = None
    ) -> tuple[int, int, int, int]:
        """The latents' (c, f, h, w) of a video of these sizes, each the default where None.

        Raises:
            SettingsError: the model cannot make such a video.
        """
        frames, high, wide = (
            num_frames or self.num_frames,
            height or self.height,
            width or self.width,
        )
        step = self.frame_step
        rest = (frames - 1) % step
        if frames < 1 or rest:
            raise SettingsError(
                f"{frames} frames do not fit the model: it makes {step} k + 1, as"
                f" {max(1, frames - rest)} or {frames - rest + step}"
            )
        self._check_places(frames, high, wide)
        for name, value in (("height", high), ("width", wide)):
            if value < 1 or value % self.size_multiple:
                raise SettingsError(
                    f"a {name} of {value} pixels does not fit the model: use a multiple of"
                    f" {self.size_multiple}"
                )
        factor = self.spatial_factor
        latent_frames = (frames - 1) // self.temporal_factor + 1
        latent_frames += -latent_frames % self.latent_depth
        return self.latent_channels, latent_frames, high // factor, wide // factor

    def _check_places(self, frames: int, height: int, width: int) -> None:
        longest, high, wide = self.places
        if longest is not None:
            longest = (longest * self.latent_depth - 1) * self.temporal_factor + 1
            longest -= (longest - 1) % self.frame_step
        pixels = self.size_multiple
        for what, value, most in (
            (f"{frames} frames", frames, longest),
            (f"a height of {height} pixels", height, high and high * pixels),
            (f"a width of {width} pixels", width, wide and wide * pixels),
        ):
            if most is not None and value > most:
                raise SettingsError(
                    f"{what} cannot be: the model has positions for {most} at most; give less"
                )


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts: named tensors, batch first, that only their own model can read.

    Attributes:
        tensors: name to (b, ...); of what has rows, (b, rows, ...), padding is hidden by "mask"
            (0) or "bias" (-inf), which is added to attention's logits.
    """

    tensors: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    @classmethod
    def joined(cls, parts: Sequence["Conditioning"]) -> "Conditioning":
        """All prompts of several; a text that has fewer rows gets some that no attention sees."""
        tensors = {}
        for name in parts[0].tensors:
            own = [part.tensors[name] for part in parts]
            if own[0].ndim > 1:
                rows = max(tensor.shape[1] for tensor in own)
                hidden = -torch.inf if name == "bias" else 0
                own = [_lengthened(tensor, rows, hidden) for tensor in own]
            tensors[name] = torch.cat(own)
        return cls(tensors)

    def select(self, index: Tensor | Sequence[int]) -> "Conditioning":
        """The prompts at these places, in this order; places may repeat."""
        index = torch.as_tensor(index)
        return Conditioning({k: v[index.to(v.device)] for k, v in self.tensors.items()})

    def guided(self, guidance: float) -> "Conditioning":
        """The same prompts at another embedded guidance; a model's own is 1, as learning needs."""
        changed = torch.full_like(self.tensors["guidance"], guidance)
        return Conditioning({**self.tensors, "guidance": changed})

    def to(self, device: torch.device) -> "Conditioning":
        """The same prompts on a device."""
        return Conditioning({k: v.to(device) for k, v in self.tensors.items()})

    def detach(self) -> "Conditioning":
        """The same values outside of any gradient graph."""
        return Conditioning({k: v.detach() for k, v in self.tensors.items()})


def _lengthened(tensor: Tensor, rows: int, value: float) -> Tensor:
    shape = (len(tensor), rows - tensor.shape[1], *tensor.shape[2:])
    return torch.cat([tensor, tensor.new_full(shape, value)], dim=1)


@dataclass(frozen=True, kw_only=True)
class BaseDefaults:
    """A base model's own defaults: what differs from those of the settings classes."""

    learn: Mapping[str, Any] = field(default_factory=dict)
    generate: Mapping[str, Any] = field(default_factory=dict)


class VideoModel(Protocol):
    """A frozen text-to-video model whose network predicts the path's velocity (see flow.py).

    Attributes:
        id: a short name, as "toybox".
        family: the architecture, as "wan"; it decides the layer names of exported files.
        fingerprint: SHA-256 of the weight and config files.
        hub: where they come from, "owner/name@revision"; "" where it is not known.
        denoiser: the network that carries concepts.
        lora_targets: regular expression for the full names of the layers that carry them.
        geometry: the sizes.
        embeds_guidance: whether guidance is a number that the network reads
            (``Conditioning.guided``) and no second pass.
        frame_strengths: whether strengths can differ from frame to frame: not where a network joins
            text and video before its layers.
        timestep_shift: of the training's timestep density.
        self_conditioned: whether the network can see an estimate: it was trained with one, or
            something in it was (``add_self_conditioning``).
        defaults: the model's own settings.
        hardware: where its networks are, and how they are held there.
    """

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def family(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def hub(self) -> str: ...  # noqa: D102
    @property
    def denoiser(self) -> nn.Module: ...  # noqa: D102
    @property
    def lora_targets(self) -> str: ...  # noqa: D102
    @property
    def geometry(self) -> Geometry: ...  # noqa: D102
    @property
    def embeds_guidance(self) -> bool: ...  # noqa: D102
    @property
    def frame_strengths(self) -> bool: ...  # noqa: D102
    @property
    def timestep_shift(self) -> float: ...  # noqa: D102
    @property
    def self_conditioned(self) -> bool: ...  # noqa: D102
    @property
    def defaults(self) -> BaseDefaults: ...  # noqa: D102
    @property
    def hardware(self) -> Hardware: ...  # noqa: D102
    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def linear_layers(self) -> Mapping[str, tuple[int, int]]:
        """Inputs and outputs of the denoiser's linear layers, by name, without reading weights."""
        ...

    def encode_video(self, pixels: Tensor) -> Tensor:
        """Pixels (b, 3, f, h, w) in [-1, 1] to normalised latents (b, c, f', h', w'), float32."""
        ...

    def decode_video(self, latents: Tensor) -> Tensor:
        """Normalised latents (b, c, f', h', w') to pixels (b, 3, f, h, w) in [-1, 1], float32."""
        ...

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts; gradients reach learned token rows. Raises PromptError when too long."""
        ...

    def velocity(
        self,
        latents: Tensor,
        time: Tensor,
        conditioning: Conditioning,
        estimate: Tensor | None = None,
    ) -> Tensor:
        """The predicted velocity (b, c, f, h, w), float32, at times (b,) in [0, 1].

        ``conditioning`` holds b prompts, or one that serves all. ``estimate``, for a model that is
        ``self_conditioned``: the clean latents, as far as they are known; zeros are none.
        """
        ...

    def sigmas(self, num_steps: int, shape: Sequence[int] | None = None) -> Tensor:
        """The sampling times from 1 (noise) to 0 (data), (num_steps + 1,), of its scheduler.

        ``shape``: of the latents (..., f, h, w), which some schedules follow; None is the default.
        """
        ...

    def release(self) -> None:
        """Let text encoders and autoencoder leave memory; they come back when they are needed."""
        ...

    def add_tokens(self, words: Sequence[str]) -> TokenRows:
        """Give words embedding rows of their own, zero at first, until ``remove()``."""
        ...

    def add_self_conditioning(self) -> SelfConditioning:
        """Let a network that was not trained with an estimate see one, until ``remove()``."""
        ...
