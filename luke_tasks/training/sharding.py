"""Weights shared out over processes (FSDP2, `torch.distributed.fsdp.fully_shard`), and put together again.

Torch's own functions and not Accelerate's plugin: that one leaves processes on the CPU out, and so could not be tested
there, and it names a sharded optimizer's state otherwise than an unsharded one's, while a checkpoint here is the same
whoever wrote it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from luke_tasks.heads.head import HeadOutput, Model


def shard(model: Model, device: torch.device, world_size: int) -> None:
    """Leave each process its share of every weight, along the first dimension.

    A layer's weights are gathered when it runs. All others, the tables of word and entity embeddings among them, are
    one more unit, which stays gathered from the start of a forward pass to the end of its backward pass: the head of
    masked language modelling reads the tables at its end.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    _see_into_head_output()
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")  # nothing here writes into logits
    mesh = init_device_mesh(device.type, (world_size,))
    for layer in _layers(model.encoder):
        fully_shard(layer, mesh=mesh)
    sharded: Any = fully_shard(model, mesh=mesh)
    if hasattr(sharded, "set_reduce_scatter_unused_params"):  # torch >= 2.13
        # A batch without entities gives their weights no gradient, while another process waits for one.
        sharded.set_reduce_scatter_unused_params(True)


def _layers(encoder: nn.Module) -> Iterator[nn.Module]:
    """The layers of a transformer: the members of its longest list of modules."""
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    yield from max(lists, key=len, default=nn.ModuleList())


def _see_into_head_output() -> None:
    """FSDP looks for the tensors whose backward pass begins in what a model gives; tell it where they are."""
    from torch.utils import _pytree as pytree

    if HeadOutput not in pytree.SUPPORTED_NODES:
        pytree.register_pytree_node(
            HeadOutput, lambda output: ([output.logits, output.loss], None), lambda values, _: HeadOutput(*values)
        )


def whole(value: Any) -> Any:
    """A state dict with every shared tensor put together, on the CPU. All processes must ask at once."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(whole(item) for item in value)
    if _is_shared(value):
        return value.full_tensor().cpu()
    return value


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters and buffers, whole and on the CPU. All processes must ask at once."""
    return {name: whole(tensor.detach()).contiguous().cpu() for name, tensor in model.state_dict().items()}


def shared_as(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor in the form of `parameter`: this process's share, where that is shared out."""
    if not _is_shared(parameter):
        return value
    from torch.distributed.tensor import distribute_tensor

    like: Any = parameter
    value = value.to(like.device_mesh.device_type)
    shared: Tensor = distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
    return shared


def shared_optimizer_state(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimizer's whole state dict, its tensors in the form of the optimizer's own parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    found = {
        number: {name: shared_as(value, parameters[number])
                 if isinstance(value, Tensor) and value.shape == parameters[number].shape else value
                 for name, value in of_parameter.items()}
        for number, of_parameter in state["state"].items()
    }  # fmt: skip
    return {**state, "state": found}


def _is_shared(value: Any) -> bool:
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(value, DTensor)
