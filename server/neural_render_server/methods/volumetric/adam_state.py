"""The state of torch's Adam as tensors, so that training goes on bit for bit."""

from __future__ import annotations

import torch

from ..base import Tensors

_PREFIX = "adam"


def adam_tensors(optimizer: torch.optim.Adam) -> Tensors:
    """The moments and step counts of each parameter that has taken a step."""
    state = optimizer.state_dict()["state"]
    return {
        f"{_PREFIX}.{index}.{name}": tensor.detach().cpu().clone()
        for index, values in state.items()
        for name, tensor in values.items()
    }


def load_adam(optimizer: torch.optim.Adam, tensors: Tensors) -> None:
    """Take up what ``adam_tensors`` gave, for an optimiser of the same parameters in the same order."""
    state: dict[int, Tensors] = {}
    for key, tensor in tensors.items():
        if key.startswith(f"{_PREFIX}."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = tensor.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
