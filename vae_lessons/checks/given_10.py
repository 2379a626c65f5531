"""An encoder and a decoder that exercise 10 hands to a student's function. Nothing here knows a right answer."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["GaussianEncoder", "LogitDecoder"]


@dataclass(frozen=True, eq=False)
class GaussianEncoder:
    """Pictures (B, D) ↦ mu and log_var, each (B, d)."""

    weight: Tensor
    log_var_weight: Tensor

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.weight.to(x.dtype), -0.5 + x @ self.log_var_weight.to(x.dtype)


@dataclass(frozen=True, eq=False)
class LogitDecoder:
    """Codes (..., d) ↦ logits of the pixels (..., D), through a hidden layer."""

    hidden: Tensor
    weight: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return torch.tanh(z @ self.hidden.to(z.dtype)) @ self.weight.to(z.dtype)
