"""The toybox's autoencoder: a fixed linear code of small blocks, and a decoder that refines it.

Why not AutoencoderKLWan: trained from scratch for the hours that there are, it stays some 6 dB
behind a code that starts as principal components. This class has its interface (``encode``,
``decode`` and the config fields that WanPipeline reads), so that the pipeline folder loads in plain
diffusers wherever this package is installed.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from setseq.errors import SettingsError

_SURE = -30.0  # log variance of a deterministic code


def to_blocks(pixels: Tensor, patch: int, group: int) -> Tensor:
    """Cuts a video into blocks of ``group`` frames x ``patch`` x ``patch`` pixels.

    The first frame is repeated to fill a group of its own, so a lone frame has the very code that
    it has as the first frame of a clip.

    Args:
        pixels: (b, 3, f, h, w), f = k * group + 1.
        patch: Block side in pixels.
        group: Block length in frames.

    Returns:
        (b, k + 1, h / patch, w / patch, group * 3 * patch * patch).
    """
    b, c, f, h, w = pixels.shape
    padded = torch.cat([pixels[:, :, :1].expand(-1, -1, group - 1, -1, -1), pixels], 2)
    blocks = padded.reshape(
        b, c, (f + group - 1) // group, group, h // patch, patch, w // patch, patch
    )
    return blocks.permute(0, 2, 4, 6, 3, 1, 5, 7).flatten(4)


def from_blocks(blocks: Tensor, patch: int, group: int) -> Tensor:
    """The inverse of to_blocks; of the first group only its last frame is kept."""
    b, groups, rows, columns, _ = blocks.shape
    video = blocks.reshape(b, groups, rows, columns, group, 3, patch, patch)
    video = video.permute(0, 5, 1, 4, 2, 6, 3, 7)
    video = video.reshape(b, 3, groups * group, rows * patch, columns * patch)
    return video[:, :, group - 1 :]


class _Refine(nn.Module):
    """Two convolutions beside a shortcut, changing nothing at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def _with_neighbours(x: Tensor, groups: int) -> Tensor:
    """Each group's features beside those of the groups before and after it: (n, 3 c, h, w)."""
    video = x.unflatten(0, (-1, groups))
    before = torch.cat([video[:, :1], video[:, :-1]], 1)
    after = torch.cat([video[:, 1:], video[:, -1:]], 1)
    return torch.cat([before, video, after], 2).flatten(0, 1)


class ToyAutoencoder(ModelMixin, ConfigMixin):
    """Codes 8 x 8 pixels x 2 frames in z_dim numbers; the decoder sees neighbours too."""

    @register_to_config
    def __init__(
        self,
        z_dim: int = 48,
        patch: int = 8,
        group: int = 2,
        widths: tuple[int, int, int] = (160, 96, 64),
        latents_mean: tuple[float, ...] | None = None,
        latents_std: tuple[float, ...] | None = None,
        scale_factor_spatial: int = 8,
        scale_factor_temporal: int = 2,
    ) -> None:
        """An autoencoder with a zero code; fit it with fit_basis, then train the decoder.

        Args:
            z_dim: Channels of the code.
            patch: Block side in pixels, a multiple of 4.
            group: Frames in a block.
            widths: Channels of the decoder at 1/8, 1/4 and 1/2 of the picture's size.
            latents_mean: What WanPipeline adds to normalised latents, one number a channel.
            latents_std: What it multiplies them by.
            scale_factor_spatial: Equal to patch; the name that WanPipeline reads.
            scale_factor_temporal: Equal to group; the name that WanPipeline reads.
        """
        super().__init__()
        values = group * 3 * patch * patch
        self.basis = nn.Parameter(torch.zeros(z_dim, values), requires_grad=False)
        self.mean = nn.Parameter(torch.zeros(values), requires_grad=False)
        low, middle, high = widths
        self.enter = nn.Conv2d(3 * z_dim, low, 3, padding=1)
        self.low = nn.ModuleList(_Refine(low) for _ in range(3))
        self.mix = nn.Conv2d(3 * low, 4 * middle, 1)
        self.middle = nn.ModuleList(_Refine(middle) for _ in range(2))
        self.widen = nn.Conv2d(middle, 4 * high, 1)
        self.glance = nn.Conv2d(group * 12, high, 3, padding=1)
        self.high = nn.ModuleList(_Refine(high) for _ in range(2))
        self.leave = nn.Conv2d(high, group * 12, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias) if self.leave.bias is not None else None

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple:
        """Codes a video.

        Args:
            x: Pixels (b, 3, f, h, w) in [-1, 1], f = k * group + 1.
            return_dict: As everywhere in diffusers.

        Returns:
            A distribution of no width around the code, (b, z_dim, k + 1, h / patch, w / patch).
        """
        code = self.code(x)
        moments = torch.cat([code, torch.full_like(code, _SURE)], 1)
        posterior = DiagonalGaussianDistribution(moments)
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def code(self, x: Tensor) -> Tensor:
        """The code itself, (b, z_dim, k + 1, h / patch, w / patch), of pixels (b, 3, f, h, w)."""
        blocks = to_blocks(x, self.config["patch"], self.config["group"])
        return F.linear(blocks - self.mean, self.basis).permute(0, 4, 1, 2, 3)

    def linear_decode(self, z: Tensor) -> Tensor:
        """The blocks (b, k, rows, columns, n) that the code alone spans, without refinement."""
        return torch.matmul(z.permute(0, 2, 3, 4, 1), self.basis) + self.mean

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Decodes a code.

        Args:
            z: (b, z_dim, k + 1, h / patch, w / patch).
            return_dict: As everywhere in diffusers.

        Returns:
            Pixels (b, 3, k * group + 1, h, w), about [-1, 1].
        """
        sample = self.picture(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    def picture(self, z: Tensor) -> Tensor:
        """The decoded pixels themselves, (b, 3, k * group + 1, h, w)."""
        patch, group = self.config["patch"], self.config["group"]
        groups = z.shape[2]
        plain = from_blocks(self.linear_decode(z), patch, group)
        pictures = torch.cat([plain[:, :, :1].expand(-1, -1, group - 1, -1, -1), plain], 2)
        pictures = pictures.unflatten(2, (groups, group)).permute(0, 2, 3, 1, 4, 5)
        pictures = pictures.flatten(2, 3).flatten(0, 1)  # (b * groups, group * 3, h, w)
        halves = F.pixel_unshuffle(pictures, 2)
        rest = F.pixel_shuffle(self._refine(self.scaled(z), halves, groups), 2)
        rest = rest.unflatten(0, (-1, groups)).unflatten(2, (group, 3))
        rest = rest.permute(0, 3, 1, 2, 4, 5).flatten(2, 3)[:, :, group - 1 :]
        return plain + rest

    def scaled(self, z: Tensor) -> Tensor:
        """A code scaled as WanPipeline scales latents: (z - latents_mean) / latents_std."""
        if self.config["latents_std"] is None:
            return z
        shape = (1, -1, 1, 1, 1)
        mean = torch.tensor(self.config["latents_mean"], dtype=z.dtype, device=z.device).view(shape)
        std = torch.tensor(self.config["latents_std"], dtype=z.dtype, device=z.device).view(shape)
        return (z - mean) / std

    def _refine(self, z: Tensor, halves: Tensor, groups: int) -> Tensor:
        x = self.enter(_with_neighbours(z.transpose(1, 2).flatten(0, 1), groups))
        for block in self.low:
            x = block(x)
        x = F.pixel_shuffle(self.mix(_with_neighbours(x, groups)), 2)
        for block in self.middle:
            x = block(x)
        x = F.pixel_shuffle(self.widen(x), 2) + self.glance(halves)
        for block in self.high:
            x = block(x)
        return self.leave(F.silu(x))


def fit_basis(pixels: Tensor, *, z_dim: int, patch: int, group: int) -> ToyAutoencoder:
    """Makes an autoencoder whose code is the principal components of these videos' blocks.

    Args:
        pixels: (n, 3, f, h, w) in [-1, 1]; some hundred clips are enough.
        z_dim: How many components to keep.
        patch: Block side in pixels.
        group: Block length in frames.

    Returns:
        The autoencoder, its decoder still the transposed basis. The latents' scales are the square
        roots of the components' deviations, so that strong components stay stronger (our choice:
        full whitening would weigh the last component like the first).
    """
    blocks = to_blocks(pixels, patch, group).flatten(0, 3)
    mean = blocks.mean(0)
    centred = blocks - mean
    energies, vectors = torch.linalg.eigh((centred.T @ centred / len(centred)).double())
    basis = vectors.flip(1)[:, :z_dim].T.float().contiguous()
    deviations = energies.flip(0)[:z_dim].clamp_min(1e-12).sqrt()
    scales = (deviations * deviations.mean()).sqrt()
    model = ToyAutoencoder(
        z_dim=z_dim,
        patch=patch,
        group=group,
        latents_mean=(0.0,) * z_dim,
        latents_std=tuple(round(scale, 6) for scale in scales.tolist()),
        scale_factor_spatial=patch,
        scale_factor_temporal=group,
    )
    with torch.no_grad():
        model.basis.copy_(basis)
        model.mean.copy_(mean)
    return model


def truncated(autoencoder: ToyAutoencoder, z_dim: int) -> ToyAutoencoder:
    """The same autoencoder with the first ``z_dim`` components of its code.

    Principal components are nested, so this is the best code of that size. The decoder is taken
    over, to be trained on.

    Raises:
        SettingsError: It has fewer components.
    """
    config = dict(autoencoder.config)
    if z_dim > config["z_dim"]:
        raise SettingsError(
            f"the base's code has {config['z_dim']} components, the recipe wants {z_dim}; start"
            " without that base"
        )
    names = ("patch", "group", "widths", "scale_factor_spatial", "scale_factor_temporal")
    made = ToyAutoencoder(
        z_dim=z_dim,
        latents_mean=tuple(config["latents_mean"][:z_dim]),
        latents_std=tuple(config["latents_std"][:z_dim]),
        **{name: config[name] for name in names},
    )
    weights = autoencoder.state_dict()
    weights["basis"] = weights["basis"][:z_dim]
    entry = weights["enter.weight"]  # reads the groups before, here and after, side by side
    weights["enter.weight"] = entry.unflatten(1, (3, -1))[:, :, :z_dim].flatten(1, 2)
    made.load_state_dict(weights)
    return made
