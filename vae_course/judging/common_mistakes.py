"""Mistakes common to several tasks: the reduction over pixels or latents, and the noise of draws."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vae_course.judging.task import Mistake

__all__ = ["limited_log_variance", "wrong_draws_from_noise", "wrong_noise", "wrong_reductions"]


def wrong_reductions(terms: Callable[..., Tensor], dimensions: str, why_sum: str) -> tuple[Mistake, ...]:
    """A mean instead of a sum, one number for the whole batch, and a sum over the wrong axis.

    Args:
        terms: computes the terms to sum over the last axis, (B, n), from a task's inputs.
        dimensions: what n counts, such as "pixels".
        why_sum: why the right answer is a sum, as a hint for students who average.
    """
    return (
        Mistake(
            f"mean over the {dimensions}",
            f"You average over the {dimensions}. {why_sum}",
            lambda *inputs: terms(*inputs).mean(-1),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also added or averaged over the pictures.",
            lambda *inputs: terms(*inputs).sum(),
            lambda *inputs: terms(*inputs).sum(-1).mean(),
            lambda *inputs: terms(*inputs).mean(),
        ),
        Mistake(
            "summed over the wrong axis",
            f"You summed over the pictures and kept the {dimensions}. Which axis counts the {dimensions}?",
            lambda *inputs: terms(*inputs).sum(0),
        ),
    )


def limited_log_variance(right: Callable, *positions: int) -> Mistake:
    """Log-variances cut off at some limits, as some do for stability.

    Args:
        right: the right answer.
        positions: of the log-variances among the arguments.
    """

    def limited(*inputs, low, high):
        return right(*(value.clamp(low, high) if place in positions else value for place, value in enumerate(inputs)))

    limits = ((-4, 4), (-5, 5), (-6, 2), (-8, 8), (-10, 10), (-10, 2), (-20, 2), (-5, 2))
    return Mistake(
        "log_var cut off",
        "Your numbers are right where log_var is moderate. Somewhere you limit it: nothing keeps an encoder from "
        "log_var = −11, and then σ is 0.004. What is unstable about that number?",
        *(partial(limited, low=low, high=high) for low, high in limits),
    )


def wrong_draws_from_noise() -> tuple[Mistake, ...]:
    """Wrong answers to μ + σ ε, from mu, log_var and eps."""

    def sigma(log_var):
        return (log_var / 2).exp()

    return (
        Mistake(
            "mu and log_var exchanged",
            "You take log_var for the mean and make the spread from mu. Which of the two does a draw lie around?",
            lambda mu, log_var, eps: log_var + sigma(mu) * eps,
        ),
        Mistake(
            "the sum stretched, too",
            "With eps = 0 every draw should be its mean. Write down yours: what is multiplied by what?",
            lambda mu, log_var, eps: (mu + eps) * sigma(log_var),
            lambda mu, log_var, eps: (mu + sigma(log_var)) * eps,
            lambda mu, log_var, eps: mu * eps + sigma(log_var),
            lambda mu, log_var, eps: mu * eps + log_var.exp(),
            lambda mu, log_var, eps: (mu + eps) * log_var.exp(),
        ),
        Mistake(
            "softplus for the exponential",
            "You make the spread by a softplus. The encoder's number is a logarithm: which function undoes one?",
            lambda mu, log_var, eps: mu + softplus(log_var) * eps,
            lambda mu, log_var, eps: mu + softplus(log_var).sqrt() * eps,
            lambda mu, log_var, eps: mu + softplus(log_var / 2) * eps,
        ),
    )


def wrong_noise(draws: Callable[..., Tensor]) -> tuple[Mistake, ...]:
    """Noise that is not repeatable, not new at each call, shared, or not Gaussian: the faults that `Draws` tells apart.

    Args:
        draws: the right answer, but with noise from a function of a shape (..., B, d) and a generator, its first
            argument.
    """

    def without_generator(shape, generator):
        return torch.randn(shape)

    def from_the_start(shape, generator):
        return torch.randn(shape, generator=torch.Generator().manual_seed(generator.initial_seed()))

    def shared_by_pictures(shape, generator):
        return torch.randn((*shape[:-2], 1, shape[-1]), generator=generator).expand(shape)

    def shared_by_latents(shape, generator):
        return torch.randn((*shape[:-1], 1), generator=generator).expand(shape)

    def uniform(shape, generator):
        return torch.rand(shape, generator=generator)

    def clamped(shape, generator):
        return torch.randn(shape, generator=generator).clamp(-2.5, 2.5)

    return (
        Mistake(
            "other draws from the same seed",
            "A new generator with the same seed does not give the same draws again. All noise has to come from the "
            "generator that the function is given. Where does yours come from?",
            partial(draws, without_generator),
        ),
        Mistake(
            "the same numbers at every call",
            "Your function was called twice with one generator, or with two of different seeds: the numbers were the "
            "same. Every call needs new noise. Which generator makes yours, and in which state does it begin?",
            partial(draws, from_the_start),
        ),
        Mistake(
            "pictures that are not independent",
            "The draws of different pictures are correlated, although the pictures have nothing to do with each other. "
            "Compute the correlation of two of them. How many random numbers does a batch of shape (B, d) need?",
            partial(draws, shared_by_pictures),
        ),
        Mistake(
            "latents that are not independent",
            "The latents of a picture are correlated in your draws. q(z|x) with a vector σ has no correlations. How "
            "many random numbers does a batch of shape (B, d) need?",
            partial(draws, shared_by_latents),
        ),
        Mistake(
            "noise with a hard edge",
            "None of your draws lies farther than two standard deviations from the mean. Of the draws of a Gaussian, "
            "about one in twenty does. From which distribution is your noise, and is anything done to it after that?",
            partial(draws, uniform),
        ),
        Mistake(
            "noise that is not Gaussian",
            "Plot a histogram of your draws of one latent, and count how many lie beyond 1, 2 and 3 standard "
            "deviations: that is not a Gaussian. From which distribution is your noise, and what is done to it after?",
            partial(draws, clamped),
        ),
    )
