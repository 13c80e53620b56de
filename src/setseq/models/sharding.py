"""A frozen network spread over the processes that learn together (FSDP2)."""

from typing import Any

import torch
from torch import nn


def shard_blocks(network: nn.Module, device: torch.device) -> nn.Module:
    """Keep of each block only this process's part, and gather a block whole while it computes.

    Only the blocks, which are nearly all of a video transformer: what is around them (embeddings,
    the last projection) stays whole, as others read its weights. Concept layers come into the
    network afterwards, so that what is learned is whole in every process.

    PyTorch's ``fully_shard`` is called directly: accelerate's ``prepare`` refuses a model without
    an optimizer of its weights, which a frozen one does not have.

    Args:
        network: frozen, on the CPU; its blocks go to the device one by one, so that they never
            lie there all at once.
        device: of this process.

    Returns:
        The network itself.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for child in network.children():
        for block in child if isinstance(child, nn.ModuleList) else ():
            fully_shard(block, mesh=mesh)
    whole: set[nn.Parameter] = {p for p in network.parameters() if not isinstance(p, DTensor)}
    for parameter in whole:
        parameter.data = parameter.data.to(device)
    network.register_forward_hook(_own_output)
    fully_shard(network, mesh=mesh, ignored_params=whole)
    return network


def _own_output(network: nn.Module, given: Any, output: Any) -> Any:
    """The network's output as tensors of its own: FSDP2 warns of views, which it cannot follow."""
    return tuple(part.clone() for part in output) if isinstance(output, tuple) else output
