"""The encoder that exercise 07 hands to a student's function. Nothing here knows a right answer."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["LinearEncoder"]


@dataclass(frozen=True, eq=False)
class LinearEncoder:
    """x (B, D) ↦ mu (B, d) and log_var (B, d), both linear in x."""

    mu: Tensor  # (D, d)
    log_var: Tensor  # (D, d)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.mu.to(x.dtype), x @ self.log_var.to(x.dtype)
