"""Moves in latent space: nudges, paths and samples of codes. They take and return codes and know no model."""

import torch
from torch import Tensor

__all__ = ["interpolate", "nudge", "sample_like"]


def nudge(z: Tensor, r: float, generator: torch.Generator | None = None) -> Tensor:
    """Move each code in a random direction by r times the codes' own spread: z + r * std(z) * eps, eps ~ N(0, I).

    The spread is taken for each coordinate, so equal r compares models whose codes have different scales.

    Args:
        z: (N, d) codes, N >= 2.
        r: the size of the nudge, in standard deviations of the codes.
        generator: where eps comes from; torch's global one if None.

    Returns:
        (N, d)

    Example:
        >>> nudge(torch.ones(3, 2), r=0.5)  # codes without spread stay
        tensor([[1., 1.],
                [1., 1.],
                [1., 1.]])
    """
    _check_codes(z)
    return z + r * z.std(0) * torch.randn(z.shape, generator=generator, dtype=z.dtype)


def sample_like(z: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw n new codes from the Gaussian that has the codes' mean and covariance: mean + L eps, with L L^T = cov(z).

    Args:
        z: (N, d) codes, N > d, whose covariance has full rank.
        n: how many to draw.
        generator: where eps comes from; torch's global one if None.

    Returns:
        (n, d)

    Example:
        >>> sample_like(torch.randn(50, 2), 7).shape
        torch.Size([7, 2])
    """
    _check_codes(z)
    cholesky, failed = torch.linalg.cholesky_ex(torch.cov(z.T).reshape(z.shape[1], z.shape[1]))
    if failed:
        raise ValueError(
            f"z: expected codes that vary in all their {z.shape[1]} directions; their covariance is singular"
        )
    eps = torch.randn(n, z.shape[1], generator=generator, dtype=z.dtype)
    return z.mean(0) + eps @ cholesky.T


def interpolate(z_start: Tensor, z_end: Tensor, steps: int = 8) -> Tensor:
    """Codes on the straight line from one code to another, both ends included.

    Args:
        z_start, z_end: (..., d), of one shape.
        steps: how many codes, at least 2.

    Returns:
        (steps, ..., d)

    Example:
        >>> interpolate(torch.tensor([0.0]), torch.tensor([1.0]), steps=3).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """
    if z_start.shape != z_end.shape:
        raise ValueError(f"z_start, z_end: expected one shape, got {tuple(z_start.shape)} and {tuple(z_end.shape)}")
    if steps < 2:
        raise ValueError(f"steps: expected at least 2, for the two ends, got {steps}")
    t = torch.linspace(0, 1, steps, dtype=z_start.dtype, device=z_start.device)
    t = t.reshape(-1, *[1] * z_start.dim())
    return (1 - t) * z_start + t * z_end


def _check_codes(z):
    if z.dim() != 2 or len(z) < 2:
        raise ValueError(f"z: expected codes of shape (N, d) with N >= 2, got {tuple(z.shape)}")
