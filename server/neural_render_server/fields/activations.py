"""Activations of density."""

from __future__ import annotations

from typing import Any

import torch

# Pre-activations beyond this would overflow the gradient (Instant-NGP, released code).
EXP_LIMIT = 15.0


class _TruncatedExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return torch.exp(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] * torch.exp(x.clamp(-EXP_LIMIT, EXP_LIMIT))


def truncated_exp(x: torch.Tensor) -> torch.Tensor:
    """exp(x) whose gradient is that of the argument clamped to [-15, 15] (Instant-NGP, released code)."""
    result: torch.Tensor = _TruncatedExp.apply(x)  # type: ignore[no-untyped-call]
    return result
