"""What is wrong with the noise of draws, seen from the draws alone, whatever their means and variances should be."""

import math

import numpy as np

__all__ = ["FINE", "fault_of_noise"]

FINE = "independent and Gaussian"
ERRORS = 6.0  # standard errors of a share; by chance, less than once in 100 million
ERRORS_OF_MANY = 6.7  # standard errors of a correlation; thousands are looked at
FARTHEST = 7.0  # standard deviations; of 100,000 draws one lies farther with probability 3e-7
SMALLEST_EIGENVALUE = 0.02  # of a correlation matrix; from independent draws, three times as many as coordinates: 0.18
MOST_COORDINATES = 2_000  # all pairs are looked at
TOO_ALIKE = 1e-3  # standard errors: so close no independent draws come in every coordinate


def fault_of_noise(draws: np.ndarray, following: np.ndarray | None = None) -> str:
    """The first fault of the noise in a few words, or `FINE`.

    Args:
        draws: the draws along the first axis, pictures and latents along the others.
        following: as many draws, from a later call.
    """
    flat = draws.reshape(len(draws), -1).astype(np.float64)
    if flat.shape[1] > MOST_COORDINATES:
        return FINE  # no task asks for so many: the shape is wrong
    moves = flat.std(0) > 1e-6
    if not moves.any():
        return "the same for all draws"
    z = _standardised(flat[:, moves])
    later = None if following is None else following.reshape(len(following), -1)[:, moves].astype(np.float64)
    if _depend(z) or (later is not None and (later.std(0) > 0).all() and _too_alike(flat[:, moves], later, z)):
        return "draws that depend on one another"
    picture = np.repeat(np.arange(flat.shape[1] // draws.shape[-1]), draws.shape[-1])[moves]
    same_picture = picture[:, None] == picture
    correlated = np.abs(z.T @ z) > ERRORS_OF_MANY * math.sqrt(len(z))
    if correlated[~same_picture].any():
        return "correlated pictures"
    groups = [z[:, picture == number] for number in np.unique(picture)]
    if correlated[same_picture & ~np.eye(len(picture), dtype=bool)].any() or any(map(_tied, groups)):
        return "correlated latents"
    if _tied(z):
        return "correlated pictures"
    return _shape(z if later is None else np.concatenate([z, _standardised(later)], axis=1))


def _tied(z):
    """Whether some weighted sum of the coordinates hardly varies, as after subtracting their mean."""
    count = z.shape[1]
    return len(z) > 3 * count and np.linalg.eigvalsh(z.T @ z / len(z))[0] < SMALLEST_EIGENVALUE


def _standardised(draws):
    return (draws - draws.mean(0)) / draws.std(0)


def _depend(z):
    """Whether any coordinate is correlated with itself some draws later."""
    n = len(z)
    power = np.abs(np.fft.rfft(z, axis=0)) ** 2
    at_lag = np.fft.irfft(power, n, axis=0)[1 : n // 2 + 1]
    at_half = math.sqrt(2) if n % 2 == 0 else 1.0  # there every pair counts twice
    at_lag[-1] /= at_half
    return bool((np.abs(at_lag) > ERRORS_OF_MANY * math.sqrt(n)).any())


def _too_alike(draws, later, z):
    """Whether all means or all variances of two calls agree much better than chance allows."""
    n = len(draws)
    means = np.abs(draws.mean(0) - later.mean(0)) / draws.std(0)
    variances = np.abs(later.var(0) / draws.var(0) - 1) / (z**2).std(0).clip(1e-6)
    return not np.array_equal(draws, later) and any(
        (gap < TOO_ALIKE / math.sqrt(n)).all() for gap in (means, variances)
    )


def _shape(z):
    """Compare the shares of draws beyond 0, and beyond 1, 2 and 3 standard deviations, with a Gaussian's."""
    shares = [(z > 0).mean(), *((np.abs(z) > limit).mean() for limit in (1, 2, 3))]
    wanted = [0.5, *(math.erfc(limit / math.sqrt(2)) for limit in (1, 2, 3))]
    if shares[2] == 0 and z.size > 1_000:
        return "a hard edge"
    ties = sum(((z == edge).sum(0) > 1).sum() for edge in (z.max(0), z.min(0)))
    errors = [math.sqrt(share * (1 - share) / z.size) for share in wanted]
    wrong = [abs(s - w) > ERRORS * error for s, w, error in zip(shares, wanted, errors, strict=True)]
    wrong.append(np.abs(z).max() > FARTHEST)
    return "not Gaussian" if any(wrong) or ties > 1 else FINE  # the draws farthest out are equal where noise is clamped
