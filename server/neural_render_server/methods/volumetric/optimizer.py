"""The optimiser of a field: Adam on every parameter, and the average that renders."""

from __future__ import annotations

import torch
from torch import nn

from ...kernels.hash_optimizer import AdamRates, adam
from ..base import Tensors


class FieldOptimizer:
    """Optimises ``field`` in place and keeps ``averaged``, a module of the same shape, at its average.

    Parameters named ``*table`` are hash tables; all others get the L2 penalty ``decay``.
    """

    def __init__(self, field: nn.Module, averaged: nn.Module, decay: float) -> None:
        self._field = field
        self._decay = decay
        self._steps = 0
        self._values = dict(field.named_parameters())
        self._averages = dict(averaged.named_parameters())
        for name, value in self._values.items():
            value.grad = torch.zeros_like(value)
            self._averages[name].data.copy_(value.data)
        self._moments = {name: value.data.new_zeros(2, *value.shape) for name, value in self._values.items()}

    def step(self, rate: float) -> None:
        """Move all parameters by their ``grad`` and set it to 0."""
        self._steps += 1
        for name, value in self._values.items():
            rates = AdamRates(rate, 0.0 if name.endswith("table") else self._decay)
            assert value.grad is not None
            average = self._averages[name].data
            adam(value.data, value.grad, self._moments[name], average, self._steps, rates)

    def tensors(self) -> Tensors:
        """The parameters, their moments and the step count."""
        state: Tensors = {"adam.steps": torch.tensor([self._steps])}
        for name, value in self._values.items():
            state[f"values.{name}"] = value.data
            state[f"moments.{name}"] = self._moments[name]
        return state

    def load(self, tensors: Tensors) -> None:
        self._steps = int(tensors["adam.steps"][0])
        for name, value in self._values.items():
            value.data.copy_(tensors[f"values.{name}"])
            self._moments[name].copy_(tensors[f"moments.{name}"])
