"""Running a network without its memory: every tensor has a shape and no numbers.

PyTorch's fake tensors go through the very code that real ones go through, with autograd,
checkpointing and autocast, and a dispatch mode counts which storages are alive. So the count is
that of the code, not of a formula about it. Tensors say that they are on the CPU, whatever the
target is; what differs between devices is said in footprint.py.

One thing of a GPU is counted: the kernels of its convolutions want the channels last, so that they
copy a convolution's input and output into that order while it runs. Measured on one GPU, where
encoding a clip took 5.57 GB: 5.51 with these copies, 4.08 without (docs/models.md).
"""

import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_aten = torch.ops.aten


class DryRun(TorchDispatchMode):
    """Counts the bytes that are alive while operations run on fake tensors.

    Where the course of a program depends on numbers, which are not there, everything is taken to
    be true: a mask masks nothing, so that what it selects is as large as it can be.

    Attributes:
        live: bytes that are alive now.
        peak: the most that were alive at once.
    """

    def __init__(self) -> None:
        """Count from nothing; ``hold`` says what is there before."""
        super().__init__()
        self.live = self.peak = 0
        self._sizes: dict[int, int] = {}

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that were made outside."""
        for tensor in tensors:
            self._add(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count what it leaves behind."""
        out = _run(func, args, kwargs or {})
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        if func is _aten.convolution.default:
            self.peak = max(self.peak, self.live + args[0].nbytes + out.nbytes)
        return out

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.live -= self._sizes.pop(key)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if func is _aten._local_scalar_dense.default and args[0].dtype == torch.bool:
        return True
    if func is _aten.nonzero.default:
        return args[0].new_empty(args[0].numel(), args[0].ndim, dtype=torch.long)
    if func is _aten.index.Tensor:
        args = (args[0], _as_places(args[1]), *args[2:])
    return func(*args, **kwargs)


def _as_places(indices: Iterable[Tensor | None]) -> list[Tensor | None]:
    """Masks among indices as the places of all their entries."""
    found: list[Tensor | None] = []
    for index in indices:
        if index is None or index.dtype != torch.bool:
            found.append(index)
        else:
            places = [index.new_empty(index.numel(), dtype=torch.long) for _ in range(index.ndim)]
            found.extend(places)
    return found


@contextmanager
def fake_tensors() -> Iterator[FakeTensorMode]:
    """Make every new tensor of the block a fake one."""
    with warnings.catch_warnings():
        # The layers' cache asks where a weight lies, which a fake one answers with a warning.
        warnings.filterwarnings("ignore", message="Accessing the data pointer of FakeTensor")
        # Mochi asks for float32 within an autocast, of which a CPU says that it is so already.
        warnings.filterwarnings("ignore", message="In CPU autocast")
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            yield mode


def hollow(network: nn.Module) -> nn.Module:
    """A network on the meta device with fake tensors of the CPU in the place of its own.

    To be called among ``fake_tensors``.
    """
    for module in network.modules():
        for name, value in list(module._parameters.items()):
            if value is not None:
                fake = torch.empty(value.shape, dtype=value.dtype)
                module._parameters[name] = nn.Parameter(fake, requires_grad=False)
        for name, value in list(module._buffers.items()):
            if value is not None:
                module._buffers[name] = torch.empty(value.shape, dtype=value.dtype)
    return network


def block_lists(network: nn.Module) -> dict[str, int]:
    """The lists of modules that a network has directly in it, and their lengths."""
    children = network.named_children()
    return {name: len(child) for name, child in children if isinstance(child, nn.ModuleList)}


def trim_blocks(network: nn.Module, kept: Mapping[str, int]) -> None:
    """Shorten lists of blocks to their first ones and the last, which may differ from the others.

    Args:
        network: whose direct lists of modules are shortened.
        kept: by name of a list, how many it keeps.
    """
    for name, count in kept.items():
        blocks = [*network.get_submodule(name).children()]
        setattr(network, name, nn.ModuleList([*blocks[: count - 1], blocks[-1]]))
