"""Functions that exercises hand to a student's function. Nothing here knows a right answer."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Linear", "Quadratic", "Sine", "SlopedStep", "Step"]


@dataclass(frozen=True, eq=False, repr=False)
class Linear:
    """z weight + bias, for rows z: (..., n) -> (..., m), in the dtype of z.

    Args:
        weight: (n, m).
        bias: (m,).
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return z @ self.weight.to(z.dtype) + self.bias.to(z.dtype)

    def __repr__(self) -> str:
        n, m = self.weight.shape
        return f"a linear layer from {n} numbers to {m}"


@dataclass(frozen=True)
class Quadratic:
    """z ↦ a z² + b z + c."""

    a: float
    b: float
    c: float

    def __call__(self, z: Tensor) -> Tensor:
        return self.a * z**2 + self.b * z + self.c


@dataclass(frozen=True)
class Sine:
    """z ↦ sin(frequency · z)."""

    frequency: float

    def __call__(self, z: Tensor) -> Tensor:
        return torch.sin(self.frequency * z)


@dataclass(frozen=True)
class Step:
    """z ↦ 1 where z > at, else 0. Autograd finds the derivative 0 everywhere."""

    at: float

    def __call__(self, z: Tensor) -> Tensor:
        return torch.where(z > self.at, 1 + 0 * z, 0 * z)


@dataclass(frozen=True)
class SlopedStep:
    """z ↦ slope · z, and 1 more where z > at."""

    at: float
    slope: float

    def __call__(self, z: Tensor) -> Tensor:
        return self.slope * z + Step(self.at)(z)
