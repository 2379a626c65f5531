"""The tasks of exercise 06, reconstruction losses."""

import itertools
import math
from functools import partial

import numpy as np
import torch
from scipy import stats
from scipy.special import entr, log_expit
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from vae_course.judging.common_mistakes import wrong_reductions
from vae_course.judging.task import Close, Mistake, Task, rounded_normal, rounded_uniform
from vae_course.visible.callables import SomeLoss
from vae_course.visible.observe import Gradients

__all__ = ["TASKS"]

LOG_2PI = math.log(2 * math.pi)


def sum_of_squares(error):
    """Squared errors of each picture, summed over its pixels: (B, D) -> (B,)."""
    return (error**2).sum(-1)


def pixel_costs(error, sigma):
    """Minus the log-density of each pixel: error² / (2σ²) + ½ log(2πσ²)."""
    return error**2 / (2 * sigma**2) + torch.as_tensor(sigma).log() + LOG_2PI / 2


def pixel_bce(x, logits):
    """Binary cross-entropy of each pixel: (B, D)."""
    return binary_cross_entropy_with_logits(logits, x, reduction="none")


def latent_kl(mu, log_var):
    """KL of each latent from the standard normal distribution: (B, d)."""
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


# reconstruction/gaussian(x, x_hat, sigma)


def draw_gaussian(rng):
    """Draw fewer pictures than pixels, so that each reduction gives a different shape."""
    batch = int(rng.integers(2, 4))
    pixels = batch + int(rng.integers(1, 4))
    return {
        "x": rounded_uniform(rng, batch, pixels),
        "x_hat": rounded_uniform(rng, batch, pixels),
        "sigma": float(np.round(rng.uniform(0.15, 0.8), 2)),
    }


def gaussian(x, x_hat, sigma):
    """SSE / (2σ²) + D/2 log(2πσ²) of each picture (lesson 06, section 5), from SciPy's density."""
    return torch.tensor(-stats.norm.logpdf(x.numpy(), x_hat.numpy(), sigma).sum(1))


def scaled_squares(x, x_hat, sigma):
    """SSE / (2σ²) of each picture: its cost without the normaliser."""
    return sum_of_squares(x - x_hat) / (2 * sigma**2)


def picture_normaliser(x, sigma):
    """D/2 log(2πσ²), the same for every picture."""
    return x.shape[1] * (math.log(sigma) + LOG_2PI / 2)


GAUSSIAN = Task(
    name="reconstruction/gaussian",
    draw=draw_gaussian,
    reference=gaussian,
    library=("vae_lessons.distributions.log_normal",),
    mistakes=(
        Mistake(
            "constants forgotten",
            "Your number differs from the right one by a constant. Let x_hat equal x: what is the logarithm of a "
            "Gaussian's density at its peak?",
            scaled_squares,
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + x.shape[1] * math.log(sigma),
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + x.shape[1] * LOG_2PI / 2,
        ),
        Mistake(
            "constant counted once for all pixels",
            "Your constant is that of one pixel. Each of the D pixels has a density of its own.",
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + math.log(sigma) + LOG_2PI / 2,
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + x.shape[1] * math.log(sigma) + LOG_2PI / 2,
        ),
        Mistake(
            "½ of the logarithm forgotten",
            "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + 2 * picture_normaliser(x, sigma),
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + x.shape[1] * (math.log(sigma) + LOG_2PI),
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + x.shape[1] * (2 * math.log(sigma) + LOG_2PI / 2),
        ),
        Mistake(
            "½ before the square forgotten",
            "An error of one σ should cost half a nat more than no error. What does it cost in your function?",
            lambda x, x_hat, sigma: 2 * scaled_squares(x, x_hat, sigma) + picture_normaliser(x, sigma),
        ),
        Mistake(
            "σ in place of σ²",
            "You use sigma where a variance belongs. Sigma has the unit of a pixel: which power of it has the unit of "
            "a squared error?",
            lambda x, x_hat, sigma: pixel_costs(x - x_hat, math.sqrt(sigma)).sum(-1),
            lambda x, x_hat, sigma: sum_of_squares(x - x_hat) / (2 * sigma) + picture_normaliser(x, sigma),
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) + picture_normaliser(x, math.sqrt(sigma)),
        ),
        Mistake(
            "σ² taken for the standard deviation",
            "You square sigma once too often: somewhere σ² is passed on as a standard deviation.",
            lambda x, x_hat, sigma: pixel_costs(x - x_hat, sigma**2).sum(-1),
        ),
        Mistake(
            "σ forgotten",
            "That is the plain sum of squares: sigma does not occur. For which sigma would it be right, up to a "
            "constant?",
            lambda x, x_hat, sigma: sum_of_squares(x - x_hat),
        ),
        Mistake(
            "constant with the wrong sign",
            "With your constant a very small sigma costs most when the prediction is perfect. Is a narrow density high "
            "or low at its peak?",
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) - picture_normaliser(x, sigma),
        ),
        Mistake(
            "only the squares averaged over the pixels",
            "Your squared errors are averaged over the pixels, and your constants are summed.",
            lambda x, x_hat, sigma: scaled_squares(x, x_hat, sigma) / x.shape[1] + picture_normaliser(x, sigma),
        ),
        Mistake(
            "log-likelihood for its negative",
            "Every number has the wrong sign: the task asks for the cost, minus the log-density.",
            lambda x, x_hat, sigma: -pixel_costs(x - x_hat, sigma).sum(-1),
        ),
        *wrong_reductions(
            lambda x, x_hat, sigma: pixel_costs(x - x_hat, sigma),
            "pixels",
            "Pixels are independent given z, so that their log-densities add up: what does a picture of twice the size "
            "cost?",
        ),
    ),
)


# reconstruction/excess(x, logits)


def draw_excess(rng):
    """Draw grey pixels, and black and white ones whose logits are 80 and −80, rightly and wrongly."""
    batch = int(rng.integers(2, 4))
    pixels = batch + int(rng.integers(2, 5))
    x, logits = rounded_uniform(rng, batch, pixels, low=0.05, high=0.95), rounded_normal(rng, batch, pixels, scale=2.0)
    x[:, :2] = torch.tensor([1.0, 0.0])
    logits[0, :2] = 80.0
    logits[1, :2] = -80.0
    return {"x": x, "logits": logits}


def excess(x, logits):
    """BCE minus the entropy of the target, KL(Bernoulli(x) ‖ Bernoulli(p)) (lesson 06, section 2), by SciPy."""
    x, logits = x.numpy(), logits.numpy()
    return (-x * log_expit(logits) - (1 - x) * log_expit(-logits) - entr(x) - entr(1 - x)).sum(1)


def pixel_floor(x):
    """The least possible BCE of each pixel: the entropy of the target."""
    return torch.special.entr(x) + torch.special.entr(1 - x)


def bce_of_probabilities(x, p):
    """BCE by the textbook formula, which is infinite or nan if p is rounded to 0 or 1."""
    return -(x * p.log() + (1 - x) * (1 - p).log())


def excess_of_clamped(x, logits, margin):
    """The excess, with probabilities clamped away from 0 and 1."""
    return (bce_of_probabilities(x, logits.sigmoid().clamp(margin, 1 - margin)) - pixel_floor(x)).sum(-1)


EXCESS = Task(
    name="reconstruction/excess",
    draw=draw_excess,
    reference=excess,
    mistakes=(
        Mistake(
            "floor not subtracted",
            "That is the BCE itself. What does it say of a grey pixel that is predicted perfectly? The task asks for "
            "what is above that.",
            lambda x, logits: pixel_bce(x, logits).sum(-1),
        ),
        Mistake(
            "sigmoid rounded to 1",
            "For log-odds of 80 the sigmoid is exactly 1 to a computer, and the logarithm of 1 − p says nothing any "
            "more. Stay with the logits; a wrong pixel at 80 costs 80 nats.",
            lambda x, logits: (bce_of_probabilities(x, logits.sigmoid()) - pixel_floor(x)).sum(-1),
            lambda x, logits: (binary_cross_entropy(logits.sigmoid(), x, reduction="none") - pixel_floor(x)).sum(-1),
            lambda x, logits: kl_divergence(Bernoulli(x), Bernoulli(logits=logits)).sum(-1),
            lambda x, logits: (
                torch.nan_to_num(bce_of_probabilities(x, logits.sigmoid())).sum(-1) - pixel_floor(x).sum(-1)
            ),
            partial(excess_of_clamped, margin=1e-6),
            partial(excess_of_clamped, margin=1e-7),
            lambda x, logits: bce_of_probabilities(x, logits.sigmoid()).sum(-1),
        ),
        Mistake(
            "0 · log 0 became nan",
            "Your floor is not a number where the target is 0 or 1: it contains 0 · log 0, whose limit is 0. What is "
            "the floor of a pixel that is not grey?",
            lambda x, logits: (pixel_bce(x, logits) - bce_of_probabilities(x, x)).sum(-1),
        ),
        Mistake(
            "floor of the prediction subtracted",
            "You subtract the entropy of the prediction. The floor belongs to the picture: it is what is left when the "
            "prediction is perfect.",
            lambda x, logits: (pixel_bce(x, logits) - pixel_floor(logits.sigmoid())).sum(-1),
        ),
        Mistake(
            "sigmoid of the target in the floor",
            "For the floor you passed the target in place of logits. A perfect prediction is a probability of x: what "
            "are its log-odds?",
            lambda x, logits: (pixel_bce(x, logits) - pixel_bce(x, x)).sum(-1),
        ),
        Mistake(
            "half of the floor forgotten",
            "Your floor is x log x alone. A pixel is ink or paper; the entropy of a coin has two terms.",
            lambda x, logits: (pixel_bce(x, logits) - torch.special.entr(x)).sum(-1),
        ),
        Mistake(
            "floor added",
            "A perfect prediction of a grey pixel should give 0; in your function the floor counts double.",
            lambda x, logits: (pixel_bce(x, logits) + pixel_floor(x)).sum(-1),
        ),
        Mistake(
            "sign flipped",
            "Your numbers are negative. The excess over the least possible cost never is.",
            lambda x, logits: -(pixel_bce(x, logits) - pixel_floor(x)).sum(-1),
        ),
        Mistake(
            "one floor for all pictures",
            "You subtract one floor from every picture. Each picture has its own: together they have the shape (B,).",
            lambda x, logits: pixel_bce(x, logits).sum(-1) - pixel_floor(x).sum(),
            lambda x, logits: pixel_bce(x, logits).sum(-1) - pixel_floor(x).sum(-1).mean(),
        ),
        *wrong_reductions(
            lambda x, logits: pixel_bce(x, logits) - pixel_floor(x),
            "pixels",
            "The cost of a picture is the sum over its pixels: what does a picture of twice the size cost?",
        ),
    ),
)


# reconstruction/held_out(x, x_hat, x_held, x_hat_held)


def draw_held_out(rng):
    """Draw training and held-out pictures.

    All sizes are different. All errors share an offset, so that their standard deviation is not their root mean square.
    Held-out errors are larger.
    """
    seen, held, pixels = (int(size) for size in rng.permutation([2, 3, 4]) + rng.integers(0, 2) * 3)
    x, x_held = rounded_uniform(rng, seen, pixels), rounded_uniform(rng, held, pixels)
    return {
        "x": x,
        "x_hat": x + 0.08 + rounded_normal(rng, seen, pixels, scale=0.1),
        "x_held": x_held,
        "x_hat_held": x_held + 0.08 + rounded_normal(rng, held, pixels, scale=0.25),
    }


def held_out(x, x_hat, x_held, x_hat_held):
    """σ² = MSE of the training pictures (lesson 06, section 6), and the held-out cost by SciPy's density."""
    x, x_hat, x_held, x_hat_held = (value.numpy() for value in (x, x_hat, x_held, x_hat_held))
    sigma = np.linalg.norm(x - x_hat) / math.sqrt(x.size)
    return sigma, -stats.norm.logpdf(x_held, x_hat_held, sigma).sum(1)


def root_mean_square(error):
    """The σ that the likelihood prefers."""
    return (error**2).mean().sqrt()


def with_sigma(choose):
    """Return an answer that chooses σ by a rule from training and held-out errors, and uses it in the cost."""

    def answer(x, x_hat, x_held, x_hat_held):
        sigma = choose(x - x_hat, x_held - x_hat_held)
        return sigma, pixel_costs(x_held - x_hat_held, sigma).sum(-1)

    return answer


def with_cost(cost):
    """Return an answer with the right σ and this formula for the cost of held-out errors."""

    def answer(x, x_hat, x_held, x_hat_held):
        sigma = root_mean_square(x - x_hat)
        return sigma, cost(sigma, x_held - x_hat_held)

    return answer


def right_sigma_squared(x, x_hat, x_held, x_hat_held):
    """σ² as the first result; the cost is right."""
    sigma = root_mean_square(x - x_hat)
    return sigma**2, pixel_costs(x_held - x_hat_held, sigma).sum(-1)


def sigma_of_each_picture(x, x_hat, x_held, x_hat_held):
    """One σ for each training picture as the first result; the cost is right."""
    cost = pixel_costs(x_held - x_hat_held, root_mean_square(x - x_hat)).sum(-1)
    return ((x - x_hat) ** 2).mean(-1).sqrt(), cost


def cost_of_training_pictures(x, x_hat, x_held, x_hat_held):
    """The right σ, and the cost of each training picture."""
    sigma = root_mean_square(x - x_hat)
    return sigma, pixel_costs(x - x_hat, sigma).sum(-1)


def fitted_cost(error, mean_square):
    """D/2 [log(2π MSE) + 1], the cost of pictures with the σ fitted to them (lesson 06, section 6)."""
    return error.shape[1] / 2 * (mean_square.log() + LOG_2PI + 1)


HELD_OUT = Task(
    name="reconstruction/held_out",
    draw=draw_held_out,
    reference=held_out,
    mistakes=(
        Mistake(
            "σ fitted to the held-out pictures",
            "Your σ knows the held-out pictures. A number that was fitted to them is no test on them: from which "
            "pictures may σ learn?",
            with_sigma(lambda seen, held: root_mean_square(held)),
            with_sigma(lambda seen, held: root_mean_square(torch.cat([seen, held]))),
        ),
        Mistake(
            "variance for standard deviation",
            "Your first result has the unit of a squared pixel. The task asks for σ; make sure that the cost uses σ as "
            "well.",
            right_sigma_squared,
            with_sigma(lambda seen, held: (seen**2).mean()),
        ),
        Mistake(
            "average error subtracted",
            "You measure the spread of the errors about their average. The Gaussian's mean is x_hat, right or wrong: "
            "an error that all pixels share is an error as well.",
            with_sigma(lambda seen, held: seen.std()),
            with_sigma(lambda seen, held: seen.std(correction=0)),
        ),
        Mistake(
            "mean absolute error for σ",
            "Your σ is the mean absolute error, which another distribution would ask for. The Gaussian counts squares.",
            with_sigma(lambda seen, held: seen.abs().mean()),
        ),
        Mistake(
            "squares summed over the pixels",
            "Your σ grows with the number of pixels or pictures. One σ serves each single pixel: what is averaged, and "
            "over how many?",
            with_sigma(lambda seen, held: sum_of_squares(seen).mean().sqrt()),
            with_sigma(lambda seen, held: (seen**2).sum().sqrt()),
        ),
        Mistake(
            "mean of the pictures' own σ",
            "You average root mean squares of single pictures. The root comes after the average: set the derivative of "
            "the whole cost to zero.",
            with_sigma(lambda seen, held: (seen**2).mean(-1).sqrt().mean()),
        ),
        Mistake(
            "more than one σ",
            "You found several σ, one for each picture or for each pixel position. Here one σ has to serve all pixels "
            "of all pictures, those not seen as well.",
            sigma_of_each_picture,
            with_sigma(lambda seen, held: (seen**2).mean(0).sqrt()),
        ),
        Mistake(
            "cost of the training pictures",
            "Your σ is right. The second result is what the pictures cost to which σ was fitted, each or on average. "
            "Held-out errors are not as small.",
            with_cost(lambda sigma, error: fitted_cost(error, sigma**2).expand(len(error))),
            cost_of_training_pictures,
        ),
        Mistake(
            "cost with each picture's own σ",
            "Your σ is right, but your cost does not use it: every held-out picture is judged with a σ of its own.",
            with_cost(lambda sigma, error: fitted_cost(error, (error**2).mean(-1))),
        ),
        Mistake(
            "normaliser wrong or missing",
            "Your σ is right. What does your cost say of a perfect prediction? Each of the D pixels has a density of "
            "its own: compare with minus the logarithm of the density at its peak.",
            with_cost(lambda sigma, error: sum_of_squares(error) / (2 * sigma**2)),
            with_cost(lambda sigma, error: (pixel_costs(error, sigma) - LOG_2PI / 2).sum(-1)),
            with_cost(lambda sigma, error: (pixel_costs(error, sigma) + sigma.log()).sum(-1)),
            with_cost(lambda sigma, error: sum_of_squares(error) / (2 * sigma**2) + sigma.log() + LOG_2PI / 2),
        ),
        Mistake(
            "wrong factor before the squares",
            "Your σ is right. An error of one σ should cost half a nat more than no error, whatever σ is.",
            with_cost(lambda sigma, error: (pixel_costs(error, sigma) + error**2 / (2 * sigma**2)).sum(-1)),
            with_cost(lambda sigma, error: (error**2 / (2 * sigma) + sigma.log() + LOG_2PI / 2).sum(-1)),
        ),
        Mistake(
            "log-likelihood for its negative",
            "Your σ is right. The second result has the wrong sign: the task asks for a cost.",
            with_cost(lambda sigma, error: -pixel_costs(error, sigma).sum(-1)),
        ),
        Mistake(
            "mean over the pixels",
            "Your σ is right. The cost of a picture is the sum over its pixels.",
            with_cost(lambda sigma, error: pixel_costs(error, sigma).mean(-1)),
        ),
        Mistake(
            "one number for the whole batch",
            "Your σ is right. The second result should have a number for each held-out picture.",
            with_cost(lambda sigma, error: pixel_costs(error, sigma).sum(-1).mean()),
            with_cost(lambda sigma, error: pixel_costs(error, sigma).sum()),
        ),
    ),
)


# reconstruction/better(x, logits, kl_a, x_hat, sigma, kl_b)


def log_densities(x, logits, x_hat, sigma):
    """log p(x|z) of each picture by the continuous Bernoulli and by the Gaussian decoder, in NumPy.

    The continuous Bernoulli's normaliser is a / tanh(a / 2) for the logit a, and 2 at a = 0 (lesson 06, section 4;
    Loaiza-Ganem & Cunningham 2019).
    """
    safe = np.where(logits == 0, 1.0, logits)
    log_c = np.where(logits == 0, math.log(2), np.log(safe / np.tanh(safe / 2)))
    a = x * log_expit(logits) + (1 - x) * log_expit(-logits) + log_c
    return a.sum(1), stats.norm.logpdf(x, x_hat, sigma).sum(1)


def clear_pairwise(pictures):
    """Clear if paired by picture, but not against the spread of single pictures."""
    return 3.2, 4.0


def clear_anyhow(pictures):
    """Clear even against the spread of single pictures."""
    return 2.6 * math.sqrt(pictures), 3.2 * math.sqrt(pictures)


def too_close(pictures):
    """Within two standard errors of zero."""
    return 1.1, 1.5


def draw_better(rng, standard_errors):
    """Draw two decoders whose mean ELBOs differ by a known number of standard errors.

    Some pictures are much harder than others for both, some logits are 0, and the noise of the difference is scaled to
    a standard deviation of 1, so that the standard error is known.

    Args:
        rng: the generator.
        standard_errors: computes the least and the greatest number of standard errors from the number of pictures.
    """
    pictures = int(rng.integers(6, 9))
    pixels = int(rng.integers(3, 6))
    x = rounded_uniform(rng, pictures, pixels, low=0.02, high=0.98)
    logits = rounded_normal(rng, pictures, pixels, scale=2.0)
    logits[np.arange(pictures), rng.integers(pixels, size=pictures)] = 0.0
    x_hat = x + rounded_normal(rng, pictures, pixels, scale=0.15)
    sigma = float(rng.choice([0.12, 0.15, 0.2]))
    log_a, log_b = log_densities(*(value.double().numpy() for value in (x, logits, x_hat)), sigma)
    kl_a = np.round(60 + 15 * rng.permutation(np.linspace(-2, 2, pictures)) + rng.normal(size=pictures), 2)
    noise = rng.normal(size=pictures)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    difference = rng.choice([-1, 1]) * rng.uniform(*standard_errors(pictures)) / math.sqrt(pictures) + noise
    kl_b = kl_a - log_a + log_b + difference
    return {
        "x": x,
        "logits": logits,
        "kl_a": torch.tensor(kl_a, dtype=torch.float32),
        "x_hat": x_hat,
        "sigma": sigma,
        "kl_b": torch.tensor(np.round(kl_b, 2), dtype=torch.float32),
    }


def better(x, logits, kl_a, x_hat, sigma, kl_b):
    """The mean of the paired differences, against two of its standard errors."""
    x, logits, kl_a, x_hat, kl_b = (value.numpy() for value in (x, logits, kl_a, x_hat, kl_b))
    log_a, log_b = log_densities(x, logits, x_hat, sigma)
    difference = (log_a - kl_a) - (log_b - kl_b)
    z = difference.mean() / stats.sem(difference)
    return "cannot tell" if abs(z) <= 2 else "A" if z > 0 else "B", difference.mean()


def log_normaliser(logits):
    """log C of the continuous Bernoulli for each pixel, with its limit log 2 at a logit of 0."""
    safe = torch.where(logits == 0, torch.ones_like(logits), logits)
    return torch.where(logits == 0, torch.full_like(logits, math.log(2)), (safe / torch.tanh(safe / 2)).log())


def naive_log_normaliser(logits):
    """log C without the limit: nan at a logit of 0."""
    return (logits / torch.tanh(logits / 2)).log()


def pixels_of_a(x, logits):
    """log p(x|z) of each pixel by the continuous Bernoulli decoder: (N, D)."""
    return log_normaliser(logits) - pixel_bce(x, logits)


def log_p_a(x, logits):
    """log p(x|z) of each picture by the continuous Bernoulli decoder: (N,)."""
    return pixels_of_a(x, logits).sum(-1)


def log_p_b(x, x_hat, sigma):
    """log p(x|z) of each picture by the Gaussian decoder: (N,)."""
    return -pixel_costs(x - x_hat, sigma).sum(-1)


def minus_bce(x, logits):
    """Minus the BCE of each picture, which is no log-density."""
    return -pixel_bce(x, logits).sum(-1)


def paired_error(a, b):
    """The standard error of the mean difference, with the models compared on the same pictures."""
    return (a - b).std() / math.sqrt(len(a))


def decided(a, b, error=paired_error):
    """The word and the mean difference for ELBOs a and b."""
    mean = (a - b).mean()
    return "cannot tell" if abs(mean) <= 2 * error(a, b) else "A" if mean > 0 else "B", mean


def elbos(x, logits, kl_a, x_hat, sigma, kl_b, of_a=log_p_a, of_b=log_p_b):
    """The ELBOs of both models for each picture, with these formulas for log p(x|z)."""
    return of_a(x, logits) - kl_a, of_b(x, x_hat, sigma) - kl_b


def decided_with(of_a=log_p_a, of_b=log_p_b):
    """Return an answer that uses these formulas for log p(x|z)."""
    return lambda *inputs: decided(*elbos(*inputs, of_a=of_a, of_b=of_b))


def decided_by(error):
    """Return an answer with the right ELBOs that uses this formula for the standard error."""
    return lambda *inputs: decided(*elbos(*inputs), error)


def naive_log_p_a(x, logits):
    """log p(x|z) by the continuous Bernoulli decoder, nan for a picture with a logit of 0."""
    return (naive_log_normaliser(logits) - pixel_bce(x, logits)).sum(-1)


def with_change(change):
    """Return an answer that changes the right word and the right mean difference."""
    return lambda *inputs: change(*decided(*elbos(*inputs)))


def difference_summed(*inputs):
    """The right word, and the sum of the differences of the ELBOs."""
    a, b = elbos(*inputs)
    return decided(a, b)[0], (a - b).sum()


BETTER = Task(
    name="reconstruction/better",
    draw=tuple(partial(draw_better, standard_errors=apart) for apart in (clear_pairwise, clear_anyhow, too_close)),
    reference=better,
    agree=Close(rtol=1e-3, atol=1e-3),
    cases=12,
    mistakes=(
        Mistake(
            "BCE for the continuous Bernoulli",
            "Your A is judged by minus the BCE, which is no log-density for grey pixels: exp(−BCE) integrates to less "
            "than 1. What makes it a density?",
            decided_with(minus_bce),
        ),
        Mistake(
            "BCE against squared errors",
            "Neither of your reconstruction terms is a log-density: both lack their normalisers, which differ from "
            "model to model. Without them the two have no common unit.",
            decided_with(minus_bce, lambda x, x_hat, sigma: -sum_of_squares(x - x_hat) / (2 * sigma**2)),
            decided_with(minus_bce, lambda x, x_hat, sigma: -sum_of_squares(x - x_hat)),
        ),
        Mistake(
            "normaliser of the continuous Bernoulli subtracted",
            "exp(−BCE) integrates to at most a half. Which sign must log C have, so that the integral becomes 1?",
            decided_with(lambda x, logits: (-pixel_bce(x, logits) - log_normaliser(logits)).sum(-1)),
        ),
        Mistake(
            "0/0 at a logit of 0",
            "Some pixels have the logit 0, where the normaliser's formula is 0/0. You got nan there, or left their "
            "normaliser out. What is the limit?",
            decided_with(naive_log_p_a),
            lambda *inputs: ("cannot tell", decided_with(naive_log_p_a)(*inputs)[1]),
            decided_with(
                lambda x, logits: (naive_log_normaliser(logits).nan_to_num() - pixel_bce(x, logits)).sum(-1),
            ),
        ),
        Mistake(
            "constants of the Gaussian forgotten",
            "Your B has no normaliser: between two different densities constants do not cancel.",
            decided_with(of_b=lambda x, x_hat, sigma: -sum_of_squares(x - x_hat) / (2 * sigma**2)),
            decided_with(of_b=lambda x, x_hat, sigma: (LOG_2PI / 2 - pixel_costs(x - x_hat, sigma)).sum(-1)),
        ),
        Mistake(
            "KL not subtracted",
            "In your ELBO a large KL costs nothing, or is even a merit. A model may draw better because its latents "
            "say more, and that has its price.",
            lambda x, logits, kl_a, x_hat, sigma, kl_b: decided(*elbos(x, logits, 0, x_hat, sigma, 0)),
            lambda x, logits, kl_a, x_hat, sigma, kl_b: decided(*elbos(x, logits, -kl_a, x_hat, sigma, -kl_b)),
        ),
        Mistake(
            "mean over the pixels",
            "You average the log-densities over the pixels, while the KL counts whole pictures. That is a β, and "
            "nobody typed it.",
            decided_with(
                lambda x, logits: pixels_of_a(x, logits).mean(-1),
                lambda x, x_hat, sigma: -pixel_costs(x - x_hat, sigma).mean(-1),
            ),
        ),
        Mistake(
            "the lower ELBO taken for the better",
            "Your word is turned round: the higher ELBO is the better one, and so is the lower loss. The number is A "
            "minus B of the ELBOs.",
            lambda *inputs: decided(*(-elbo for elbo in elbos(*inputs))),
            with_change(lambda word, mean: ({"A": "B", "B": "A"}.get(word, word), mean)),
        ),
        Mistake(
            "difference the other way round",
            "Your word is right. The task asks for A minus B.",
            with_change(lambda word, mean: (word, -mean)),
        ),
        Mistake(
            "the models' errors treated as independent",
            "Your difference is right. Its standard error is too large: some pictures are hard for both models, and "
            "that is no doubt about which is better. What varies from picture to picture if you compare the models on "
            "the same one?",
            decided_by(lambda a, b: ((a.var() + b.var()) / len(a)).sqrt()),
            decided_by(lambda a, b: (a.std() + b.std()) / math.sqrt(len(a))),
            decided_by(lambda a, b: a.std() / math.sqrt(len(a))),
        ),
        Mistake(
            "forgot √N in the standard error",
            "Your difference is right. You compare it with the spread of single pictures; how far may the mean of N "
            "differences be off?",
            decided_by(lambda a, b: (a - b).std()),
        ),
        Mistake(
            "standard error too small or left out",
            "Your difference is right, but you name a winner where the noise of a few held-out pictures could have "
            "decided. How far may the mean of N differences be off, and what does it take to halve that?",
            decided_by(lambda a, b: (a - b).std() / len(a)),
            decided_by(lambda a, b: paired_error(a, b) / 2),
            decided_by(lambda a, b: 0.0),
        ),
        Mistake(
            "no number where it cannot tell",
            "Your words are right. Return the mean difference also where it decides nothing.",
            with_change(lambda word, mean: (word, 0.0 if word == "cannot tell" else mean)),
        ),
        Mistake(
            "summed over the pictures",
            "Your words are right, and your number is that of all pictures together. The task asks for nats per "
            "picture.",
            difference_summed,
        ),
    ),
)


# reconstruction/hidden_beta(loss, x, logits, mu, log_var)


def draw_hidden_beta(rng):
    """Draw a loss that sums or averages each term along each axis, and weights, scales and shifts them.

    The sizes B, D and d are always different. The scale is rarely 1 and the offset often not 0.
    """
    batch = int(rng.integers(3, 5))
    latents = int(rng.choice([2, 5]))
    pixels = int(rng.integers(7, 12))
    along = [("mean", "sum"), ("mean", "mean"), ("sum", "sum"), ("sum", "mean")]
    return {
        "loss": SomeLoss(
            bce=along[rng.choice(4, p=[0.2, 0.5, 0.2, 0.1])],
            kl=along[rng.choice(4, p=[0.3, 0.4, 0.2, 0.1])],
            weight=float(rng.choice([0.5, 1.0, 2.0, 4.0])),
            scale=float(rng.choice([0.5, 1.0, 3.0, 10.0])),
            offset=float(rng.choice([-2.0, 0.0, 3.0])),
        ),
        "x": torch.tensor(rng.integers(0, 2, size=(batch, pixels)), dtype=torch.float32),
        "logits": rounded_normal(rng, batch, pixels),
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents),
    }


def hidden_beta(loss, x, logits, mu, log_var):
    """β from the construction of the loss (lesson 06, section 7)."""

    def factor(along, shape):  # relative to sums averaged over pictures
        return (shape[0] if along[0] == "sum" else 1) / (shape[1] if along[1] == "mean" else 1)

    return loss.weight * factor(loss.kl, mu.shape) / factor(loss.bce, x.shape)


def average_bce(x, logits):
    """The BCE, summed over pixels and averaged over the batch."""
    return pixel_bce(x, logits).sum(-1).mean()


def average_kl(mu, log_var):
    """The KL, summed over latents and averaged over the batch."""
    return latent_kl(mu, log_var).sum(-1).mean()


def from_slopes(rule):
    """Return an answer that applies a rule to the changes of the loss per nat of KL and of BCE, and to B, D, d."""

    def answer(loss, x, logits, mu, log_var):
        here, without_kl = loss(x, logits, mu, log_var), loss(x, logits, 0 * mu, 0 * log_var)
        by_kl = (here - without_kl) / average_kl(mu, log_var)
        nats = average_bce(x, 2 * logits) - average_bce(x, logits)
        by_bce = (loss(x, 2 * logits, mu, log_var) - here) / nats
        return rule(by_kl, by_bce, *x.shape, mu.shape[1])

    return answer


def from_values(rule):
    """Return an answer that applies a rule to the loss, the loss without KL, the KL and the BCE."""

    def answer(loss, x, logits, mu, log_var):
        here, without_kl = loss(x, logits, mu, log_var), loss(x, logits, 0 * mu, 0 * log_var)
        return rule(here, without_kl, average_kl(mu, log_var), average_bce(x, logits))

    return answer


def ratio_of_changes(loss, x, logits, mu, log_var):
    """The change of the loss when the KL goes to 0, divided by its change when the logits go to 0."""
    here = loss(x, logits, mu, log_var)
    return (here - loss(x, logits, 0 * mu, 0 * log_var)) / (here - loss(x, 0 * logits, mu, log_var))


def ratio_of_gradients(loss, x, logits, mu, log_var):
    """The norm of the gradient in mu, divided by that in the logits."""
    logits, mu = logits.clone().requires_grad_(), mu.clone().requires_grad_()
    by_logits, by_mu = torch.autograd.grad(loss(x, logits, mu, log_var), (logits, mu))
    return by_mu.norm() / by_logits.norm()


HIDDEN_BETA = Task(
    name="reconstruction/hidden_beta",
    draw=draw_hidden_beta,
    reference=hidden_beta,
    agree=Close(rtol=5e-3, atol=1e-4),
    cases=10,
    mistakes=(
        Mistake(
            "scale of the reconstruction ignored",
            "That is right for losses in which a nat of reconstruction counts as 1. Some of these multiply the whole "
            "loss by something, which moves no minimum: β is the price of a nat of KL *in nats of reconstruction*.",
            from_slopes(lambda kl, bce, B, D, d: kl),
            from_slopes(lambda kl, bce, B, D, d: kl * D),
        ),
        Mistake(
            "upside down",
            "You have one over β: a loss that hardly counts the KL should have a small β.",
            from_slopes(lambda kl, bce, B, D, d: bce / kl),
        ),
        Mistake(
            "means over pixels and latents compared",
            "Compare like with like: both terms in nats per picture, summed over pixels or latents. At least one of "
            "yours is averaged where it should be summed.",
            from_slopes(lambda kl, bce, B, D, d: kl * d / (bce * D)),
            from_slopes(lambda kl, bce, B, D, d: kl / (bce * D)),
            from_slopes(lambda kl, bce, B, D, d: kl * d / bce),
            from_slopes(lambda kl, bce, B, D, d: kl / (B * bce * D)),
            from_slopes(lambda kl, bce, B, D, d: kl * B * d / bce),
        ),
        Mistake(
            "batch sum against batch mean",
            "One of your two terms is summed over the batch and the other averaged. Take both in nats per picture.",
            from_slopes(lambda kl, bce, B, D, d: kl * B / bce),
            from_slopes(lambda kl, bce, B, D, d: kl / (bce * B)),
        ),
        Mistake(
            "½ of the KL forgotten",
            "Your β is half of the right one, for every loss. Is your own KL in nats? Compare it with lesson 04.",
            from_slopes(lambda kl, bce, B, D, d: kl / bce / 2),
        ),
        Mistake(
            "constants taken for a term",
            "You take a value of the loss for a term of it. It may contain constants that belong to no term; only "
            "changes of the loss are safe.",
            from_values(lambda here, without_kl, kl, bce: (here - without_kl) / kl / (without_kl / bce)),
            from_values(lambda here, without_kl, kl, bce: (here - bce) / kl),
            from_values(lambda here, without_kl, kl, bce: (here - without_kl) / without_kl),
        ),
        Mistake(
            "changes of the loss, not per nat",
            "You divided two changes of the loss. By how many nats did the KL change, and by how many the "
            "reconstruction?",
            ratio_of_changes,
            ratio_of_gradients,
        ),
        Mistake(
            "the β of one particular slip",
            "That is what one particular slip would give, whatever this loss does. Others sum, average or weigh in "
            "other ways: call it and see.",
            from_slopes(lambda kl, bce, B, D, d: D / d),
            from_slopes(lambda kl, bce, B, D, d: float(D)),
            from_slopes(lambda kl, bce, B, D, d: 1.0),
        ),
    ),
)


# reconstruction/repaired_loss(x, x_hat, log_sigma, mu, log_var)


def draw_repaired_loss(rng):
    """Draw different numbers of pictures and latents, or a sum over one could hide a mean over the other."""
    batch = int(rng.integers(2, 4))
    latents = int(rng.choice([size for size in (2, 3, 4) if size != batch]))
    pixels = int(rng.integers(4, 7))
    return {
        "x": rounded_uniform(rng, batch, pixels),
        "x_hat": rounded_uniform(rng, batch, pixels),
        "log_sigma": rounded_uniform(rng, low=-1.2, high=-0.3),
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents),
    }


def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    """Minus the ELBO of a VAE with Gaussian pixels, averaged over the batch, from PyTorch's distributions."""
    pixels = Independent(Normal(x_hat, log_sigma.exp().expand_as(x_hat)), 1)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return (kl_divergence(q, prior) - pixels.log_prob(x)).mean()


def squares_summed(error, log_sigma):
    """SSE / (2σ²) of each picture."""
    return sum_of_squares(error) / (2 * (2 * log_sigma).exp())


def squares_averaged(error, log_sigma):
    """MSE / (2σ²) of each picture."""
    return squares_summed(error, log_sigma) / error.shape[1]


def squares_of_the_batch(error, log_sigma):
    """The squared errors of the whole batch, counted for each picture."""
    return squares_summed(error, log_sigma) * len(error)


def squares_over_sigma(error, log_sigma):
    """SSE / (2σ) of each picture."""
    return sum_of_squares(error) / (2 * log_sigma.exp())


def pixel_normaliser(log_sigma):
    """½ log(2πσ²), for one pixel."""
    return log_sigma + LOG_2PI / 2


def kl_summed(mu, log_var):
    """The KL of each picture."""
    return latent_kl(mu, log_var).sum(-1)


def kl_averaged(mu, log_var):
    """The KL of each picture, averaged over its latents."""
    return latent_kl(mu, log_var).mean(-1)


def loss_of(
    squares=squares_summed,
    normaliser=pixel_normaliser,
    times=lambda n_pixels: n_pixels,
    kl=kl_summed,
    over_batch=torch.mean,
    kl_over_batch=torch.mean,
):
    """Return a loss made of these parts; the defaults are right.

    Args:
        squares: computes the cost of each picture's errors (B,) from the errors (B, D) and log σ.
        normaliser: computes the rest of the cost of a pixel from log σ.
        times: computes how often the normaliser counts from the number of pixels.
        kl: computes the KL of each picture (B,) from mu and log_var.
        over_batch: reduces the costs of the pictures to one number.
        kl_over_batch: the same for their KLs.
    """

    def answer(x, x_hat, log_sigma, mu, log_var):
        cost = squares(x - x_hat, log_sigma) + times(x.shape[1]) * normaliser(log_sigma)
        return over_batch(cost) + kl_over_batch(kl(mu, log_var))

    return answer


def count_once(n_pixels):
    """Count the normaliser once for all pixels."""
    return 1


def normaliser_without_2pi(log_sigma):
    """log σ, for one pixel."""
    return log_sigma


FAULTS = {  # of the printed loss, by the part of `loss_of`: the faulty part, name, hint if earlier parts are right
    "squares": (
        squares_averaged,
        "squared errors averaged over the pixels",
        "Your squared errors are averaged over the pixels, so that a picture costs as much as one pixel. What does "
        "`mse_loss` divide by?",
    ),
    "kl": (
        kl_averaged,
        "KL averaged over the latents",
        "Your KL is averaged over the latents. Independent latents each cost their own nats.",
    ),
    "kl_over_batch": (
        torch.sum,
        "KL summed over the batch",
        "Your KL grows with the size of the batch while the reconstruction does not: a β equal to the batch size.",
    ),
    "times": (
        count_once,
        "normaliser counted once for all pixels",
        "log σ is there once for a whole picture. Each pixel has a density of its own, with a normaliser of its own.",
    ),
    "normaliser": (
        normaliser_without_2pi,
        "log 2π forgotten",
        "Your loss differs from the right one by a constant. It harms no training, but the number is not minus an "
        "ELBO: what belongs to a Gaussian's normaliser besides σ?",
    ),
}


def combinations_of(parts):
    """Yield all combinations of these parts' faults, including none."""
    for present in itertools.product((True, False), repeat=len(parts)):
        yield {part: FAULTS[part][0] for part, still in zip(parts, present, strict=True) if still}


def faults_left():
    """Yield a mistake for each fault of the printed loss, with or without the later faults."""
    parts = list(FAULTS)
    for number, first in enumerate(parts):
        fault, name, hint = FAULTS[first]
        yield Mistake(
            name, hint, *(loss_of(**{first: fault}, **others) for others in combinations_of(parts[number + 1 :]))
        )


def with_the_best_sigma(x, x_hat, log_sigma, mu, log_var):
    """Minus the ELBO with σ² = MSE, the best for this batch (lesson 06, section 6)."""
    return fitted_cost(x, ((x - x_hat) ** 2).mean()) + average_kl(mu, log_var)


def sigma_detached(x, x_hat, log_sigma, mu, log_var):
    """The right value, with no gradient for log σ."""
    return repaired_loss(x, x_hat, log_sigma.detach(), mu, log_var)


REPAIRED_LOSS = Task(
    name="reconstruction/repaired_loss",
    draw=draw_repaired_loss,
    reference=repaired_loss,
    observe=Gradients(("x_hat", "log_sigma", "mu", "log_var")),
    cases=4,
    mistakes=(
        *faults_left(),
        Mistake(
            "squared errors summed over the batch",
            "Your squared errors grow with the size of the batch. Summing over everything is right for the pixels; the "
            "task asks for a mean over the pictures.",
            *(
                loss_of(squares=squares_of_the_batch, **others)
                for others in combinations_of(("kl_over_batch", "times", "normaliser"))
            ),
        ),
        Mistake(
            "divided by σ, not σ²",
            "An error equal to σ should cost half a nat, whatever σ is. Which power of σ stands below the squared "
            "error?",
            loss_of(squares=squares_over_sigma),
        ),
        Mistake(
            "the given σ not used",
            "You put in the best σ for this batch. The task asks for the loss with the σ that is given, from which it "
            "can be learned.",
            with_the_best_sigma,
        ),
        Mistake(
            "multiplied by B or divided by D",
            "Your loss is summed over the batch, or averaged over the pixels, as a whole. That hides no β and moves no "
            "minimum, but it is not in nats per picture.",
            loss_of(over_batch=torch.sum, kl_over_batch=torch.sum),
            lambda x, *rest: repaired_loss(x, *rest) / x.shape[1],
        ),
        Mistake(
            "½ of the normaliser forgotten",
            "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
            loss_of(normaliser=lambda log_sigma: 2 * log_sigma + LOG_2PI / 2),
            loss_of(normaliser=lambda log_sigma: 2 * log_sigma + LOG_2PI),
            loss_of(normaliser=lambda log_sigma: log_sigma + LOG_2PI),
        ),
        Mistake(
            "log σ with the wrong sign",
            "Your normaliser has the wrong sign: with it, a σ near zero would always pay. Is a narrow density high or "
            "low at its peak?",
            loss_of(normaliser=lambda log_sigma: LOG_2PI / 2 - log_sigma),
        ),
        Mistake(
            "KL subtracted",
            "Your loss rewards the encoder for leaving the prior. That was right in the printed loss.",
            loss_of(kl=lambda mu, log_var: -kl_summed(mu, log_var)),
        ),
        Mistake(
            "½ of the KL forgotten",
            "Your KL is twice what it should be. The ½ was right in the printed loss.",
            loss_of(kl=lambda mu, log_var: 2 * kl_summed(mu, log_var)),
        ),
        Mistake(
            "σ cut from the graph",
            "The value is right, but no gradient reaches log_sigma, so that σ would never be learned.",
            sigma_detached,
        ),
    ),
)

TASKS = (GAUSSIAN, EXCESS, HELD_OUT, BETTER, HIDDEN_BETA, REPAIRED_LOSS)
