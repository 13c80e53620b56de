"""Self-conditioning: a network that also sees an estimate of the clean latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save
from torch import Tensor, nn

from setseq.errors import BaseModelError, ConceptFileError
from setseq.formats.tensor_file import TensorFileError, read_tensors
from setseq.outputs import write_bytes

FILE = "self_conditioning.safetensors"  # beside model_index.json; plain diffusers passes it over


class SelfConditioning(nn.Module):
    """A projection of the estimate that is added to what a patch embedding returns.

    It stands beside the network, not in it: a forward hook adds it, so that the network's weights
    and key set do not change, and ``remove()`` leaves no trace. Without a bias, an estimate of
    zeros is the same as none, and a new projection, which is zero, changes nothing.

    Attributes:
        projection: as the patch embedding, without a bias; zero at first.
        estimate: (b, c, f, h, w) normalised latents for the next forward passes, or None.
        is_on: whether the projection is added; off, the network is as without it, to the bit.

    Source: section on self-conditioning of arXiv:2502.14844; the zero projection is our choice,
    for the open models have no such input.
    """

    def __init__(self, patch_embedding: Any, on_remove: Callable[[], None] = lambda: None) -> None:
        """Hook a video network's patch embedding, a Conv3d."""
        super().__init__()
        projection = nn.Conv3d(
            patch_embedding.in_channels,
            patch_embedding.out_channels,
            kernel_size=patch_embedding.kernel_size,
            stride=patch_embedding.stride,
            bias=False,
            device="meta",  # where nothing is drawn
        )
        self.projection = projection.to_empty(device=patch_embedding.weight.device)
        nn.init.zeros_(self.projection.weight)
        self.estimate: Tensor | None = None
        self.is_on = True
        self._on_remove = on_remove
        self._handle = patch_embedding.register_forward_hook(self._add)

    def _add(self, _module: nn.Module, _args: tuple[Any, ...], output: Tensor) -> Tensor:
        if self.estimate is None or not self.is_on:
            return output
        estimate = self.estimate.to(self.projection.weight.dtype)
        return output + self.projection(estimate).to(output.dtype)

    @property
    def weight(self) -> nn.Parameter:
        """The projection's values, (width, c, *patch)."""
        return cast(nn.Parameter, self.projection.weight)

    @torch.no_grad()
    def load(self, projection: Tensor) -> None:
        """Copy values into the projection.

        Raises:
            ConceptFileError: they are of another network.
        """
        if projection.shape != self.weight.shape:
            raise ConceptFileError(
                f"the concept's projection for self-conditioning has shape"
                f" {tuple(projection.shape)}, the model wants {tuple(self.weight.shape)}; use the"
                " base model it was learned on"
            )
        self.weight.copy_(projection)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Leave the projection out for the time of a ``with`` block."""
        before, self.is_on = self.is_on, False
        try:
            yield
        finally:
            self.is_on = before

    def remove(self) -> None:
        """Take the hook out: the network is as before."""
        self._handle.remove()
        self._on_remove()


def save_projection(projection: Tensor, folder: Path) -> None:
    """Write the projection of a base that was trained with it into its pipeline folder.

    Args:
        projection: (width, c, *patch).
        folder: where model_index.json is.

    Raises:
        OutputError: it cannot be written.
    """
    stored = projection.detach().float().cpu().contiguous()
    write_bytes(folder / FILE, save({"projection.weight": stored}))


def read_projection(folder: Path, shape: Sequence[int]) -> Tensor | None:
    """The projection of a base that was trained with it, None for all other bases.

    Args:
        folder: where model_index.json is.
        shape: (width, c, *patch), as the network beside it wants it.

    Raises:
        BaseModelError: the file is damaged, or made for another network.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        _, tensors = read_tensors(path)
    except TensorFileError as error:
        raise BaseModelError(
            f"{path} is damaged: {error}; download or make the model again"
        ) from error
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    expected = {"projection.weight": tuple(shape)}
    if shapes != expected:
        raise BaseModelError(
            f"{path} holds {shapes}, the network beside it wants {expected}; download or make the"
            " model again, or delete the file to go without self-conditioning"
        )
    return tensors["projection.weight"]
