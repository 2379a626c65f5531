"""Moves in latent space: nudges, paths, samples, traversals, attribute vectors. They need codes but no model."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["attribute_vector", "interpolate", "matched_attribute_vector", "nudge", "sample_like", "slerp", "traverse"]


def nudge(z: Tensor, r: float, generator: torch.Generator | None = None) -> Tensor:
    """Move each code in a random direction by r times the codes' spread: z + r * std(z) * eps, eps ~ N(0, I).

    The spread is measured for each coordinate, so r is comparable between models whose codes have different scales.

    Args:
        z: (N, d) codes, N >= 2.
        r: the size of the nudge, in standard deviations of the codes.
        generator: source of eps; torch's global generator if None.

    Returns:
        (N, d)

    Example:
        >>> nudge(torch.ones(3, 2), r=0.5)  # codes without spread do not move
        tensor([[1., 1.],
                [1., 1.],
                [1., 1.]])
    """
    _check_codes(z)
    return z + r * z.std(0) * torch.randn(z.shape, generator=generator, dtype=z.dtype).to(z.device)


def sample_like(z: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw n new codes from the Gaussian that has the codes' mean and covariance: mean + L eps, with L L^T = cov(z).

    Args:
        z: (N, d) codes, N > d, whose covariance has full rank.
        n: number of codes to draw.
        generator: source of eps; torch's global generator if None.

    Returns:
        (n, d)

    Example:
        >>> sample_like(torch.randn(50, 2), 7).shape
        torch.Size([7, 2])
    """
    _check_codes(z)
    cholesky, failed = torch.linalg.cholesky_ex(torch.cov(z.T).reshape(z.shape[1], z.shape[1]))
    if failed:
        raise ValueError(f"z: expected codes that vary in all {z.shape[1]} directions, got a singular covariance")
    eps = torch.randn(n, z.shape[1], generator=generator, dtype=z.dtype).to(z.device)
    return z.mean(0) + eps @ cholesky.T


def interpolate(z_start: Tensor, z_end: Tensor, steps: int = 8) -> Tensor:
    """Codes on the straight line from one code to another, both ends included.

    Args:
        z_start, z_end: (..., d), of the same shape.
        steps: number of codes, at least 2.

    Returns:
        (steps, ..., d)

    Example:
        >>> interpolate(torch.tensor([0.0]), torch.tensor([1.0]), steps=3).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """
    t = _steps_between(z_start, z_end, steps)
    return (1 - t) * z_start + t * z_end


def slerp(z_start: Tensor, z_end: Tensor, steps: int = 8) -> Tensor:
    """Codes on an arc from one code to another: directions turn evenly, lengths change evenly (Shoemake 1985).

    The path is straight if the two have the same direction, or opposite directions, as then the arc is not unique.

    Args:
        z_start, z_end: (..., d), of the same shape, not zero.
        steps: number of codes, at least 2.

    Returns:
        (steps, ..., d)

    Example:
        >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), steps=3)[1].norm()  # halfway between 1 and 3
        tensor(2.0000)
    """
    t = _steps_between(z_start, z_end, steps)
    lengths = z_start.norm(dim=-1, keepdim=True), z_end.norm(dim=-1, keepdim=True)
    a, b = z_start / lengths[0], z_end / lengths[1]
    angle = torch.acos((a * b).sum(-1, keepdim=True).clamp(-1, 1))
    parallel = torch.sin(angle) < 1e-3  # the resolution of acos in float32
    angle = torch.where(parallel, 1.0, angle)  # the 1 is not used; it avoids 0 / 0
    direction = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    return torch.where(parallel, (1 - t) * z_start + t * z_end, direction * ((1 - t) * lengths[0] + t * lengths[1]))


def traverse(z: Tensor, index: int, values: Sequence[float]) -> Tensor:
    """Copies of the codes in which one coordinate takes each of the values in turn; the others do not change.

    Args:
        z: (..., d).
        index: the coordinate that changes.
        values: the values that it takes.

    Returns:
        (len(values), ..., d)

    Example:
        >>> traverse(torch.tensor([5.0, 6.0]), 1, [-1, 1])
        tensor([[ 5., -1.],
                [ 5.,  1.]])
    """
    codes = z.repeat(len(values), *[1] * z.dim())
    codes[..., index] = torch.as_tensor(values, dtype=z.dtype, device=z.device).reshape(-1, *[1] * (z.dim() - 1))
    return codes


def attribute_vector(z: Tensor, has: Tensor) -> Tensor:
    """The mean code of the pictures with an attribute minus the mean code of those without.

    Larsen et al. 2016, section 4.2. The vector includes whatever is correlated with the attribute in the data.

    Args:
        z: (N, d) codes.
        has: (N,) bool, at least one picture of each kind.

    Returns:
        (d,)

    Example:
        >>> attribute_vector(torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([False, False, True]))
        tensor([4.5000])
    """
    has = has.bool()
    if len(has) != len(z) or has.all() or not has.any():
        raise ValueError(f"has: expected {len(z)} truth values of both kinds, got {len(has)}, {int(has.sum())} true")
    return z[has].mean(0) - z[~has].mean(0)


def matched_attribute_vector(z: Tensor, has: Tensor, match: Tensor) -> Tensor:
    """An attribute vector between pictures that agree in another factor, so that it does not include this factor.

    The mean of `attribute_vector` within each stratum of `match` that holds both kinds, weighted by its size.

    Args:
        z: (N, d) codes.
        has: (N,) bool.
        match: (N,) whole numbers: the stratum of each picture.

    Returns:
        (d,)

    Example:
        >>> z, has = torch.tensor([[0.0], [1.0], [5.0], [9.0]]), torch.tensor([False, True, False, True])
        >>> matched_attribute_vector(z, has, torch.tensor([0, 0, 1, 1]))
        tensor([2.5000])
    """
    has = has.bool()
    strata = [match == value for value in match.unique()]
    mixed = [rows for rows in strata if has[rows].any() and not has[rows].all()]
    if not mixed:
        raise ValueError("match: expected a stratum with pictures of both kinds, got none")
    vectors = torch.stack([attribute_vector(z[rows], has[rows]) for rows in mixed])
    weights = torch.stack([rows.sum() for rows in mixed]).to(z.dtype)
    return weights @ vectors / weights.sum()


def _steps_between(z_start, z_end, steps):
    if z_start.shape != z_end.shape:
        raise ValueError(
            f"z_start, z_end: expected the same shape, got {tuple(z_start.shape)} and {tuple(z_end.shape)}"
        )
    if steps < 2:
        raise ValueError(f"steps: expected at least 2, for the two ends, got {steps}")
    t = torch.linspace(0, 1, steps, dtype=z_start.dtype, device=z_start.device)
    return t.reshape(-1, *[1] * z_start.dim())


def _check_codes(z):
    if z.dim() != 2 or len(z) < 2:
        raise ValueError(f"z: expected codes of shape (N, d) with N >= 2, got {tuple(z.shape)}")
