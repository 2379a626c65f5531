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

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, rounded_uniform
from vae_course.visible.callables import SomeLoss
from vae_course.visible.observe import Gradients

__all__ = ["TASKS"]

LOG_2PI = math.log(2 * math.pi)
BATCH = "There should be one number for each picture, shape (B,). You also added or averaged over the pictures."
AXIS = "You summed over the pictures and kept the pixels. Which axis counts the pixels in shape (B, D)?"
PIXELS = "You average over the pixels. Pixels are independent given z, so that their log-densities add up: what does a picture of twice the size cost?"


# reconstruction/gaussian(x, x_hat, sigma)


def draw_gaussian(rng):
    batch = int(rng.integers(2, 4))
    pixels = batch + int(rng.integers(1, 4))
    return {
        "x": rounded_uniform(rng, batch, pixels),
        "x_hat": rounded_uniform(rng, batch, pixels),
        "sigma": float(np.round(rng.uniform(0.15, 0.8), 2)),
    }


def gaussian(x, x_hat, sigma):
    return torch.tensor(-stats.norm.logpdf(x.numpy(), x_hat.numpy(), sigma).sum(1))


def nll(x, x_hat, sigma):
    """(B, D): the cost of each pixel."""
    return (x - x_hat) ** 2 / (2 * sigma**2) + math.log(sigma) + LOG_2PI / 2


def sse(x, x_hat):
    return ((x - x_hat) ** 2).sum(-1)


CONSTANT = "Your number differs from the right one by a constant. Let x_hat equal x: what is the logarithm of a Gaussian's density at its peak?"
CONSTANT_D = "Your constant is that of one pixel. Each of the D pixels has a density of its own."

GAUSSIAN = Task(
    name="reconstruction/gaussian",
    draw=draw_gaussian,
    reference=gaussian,
    library=("vae_lessons.distributions.log_normal",),
    mistakes=(
        Mistake(
            "constants forgotten",
            CONSTANT,
            lambda x, m, s: sse(x, m) / (2 * s**2),
            lambda x, m, s: (nll(x, m, s) - LOG_2PI / 2).sum(-1),
            lambda x, m, s: (nll(x, m, s) - math.log(s)).sum(-1),
        ),
        Mistake(
            "constant counted once for all pixels",
            CONSTANT_D,
            lambda x, m, s: sse(x, m) / (2 * s**2) + math.log(s) + LOG_2PI / 2,
            lambda x, m, s: sse(x, m) / (2 * s**2) + x.shape[1] * math.log(s) + LOG_2PI / 2,
        ),
        Mistake(
            "log 2π counted double",
            "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
            lambda x, m, s: (nll(x, m, s) + LOG_2PI / 2).sum(-1),
        ),
        Mistake(
            "½ of the logarithm forgotten",
            "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
            lambda x, m, s: (nll(x, m, s) + LOG_2PI / 2 + math.log(s)).sum(-1),
        ),
        Mistake(
            "log σ² for log σ",
            "The logarithm of σ is counted double: log σ² is 2 log σ, and the normaliser holds σ once.",
            lambda x, m, s: (nll(x, m, s) + math.log(s)).sum(-1),
        ),
        Mistake(
            "log(2πσ) for log(2πσ²)",
            "Your normaliser is the root of 2πσ. Which power of σ has the unit of x²?",
            lambda x, m, s: (nll(x, m, s) - math.log(s) / 2).sum(-1),
        ),
        Mistake(
            "½ before the square forgotten",
            "An error of one σ should cost half a nat more than no error. What does it cost in yours?",
            lambda x, m, s: (nll(x, m, s) + (x - m) ** 2 / (2 * s**2)).sum(-1),
        ),
        Mistake(
            "σ taken for the variance",
            "You treat sigma as a variance. It has the unit of a pixel: an error equal to sigma should cost "
            "half a nat.",
            lambda x, m, s: nll(x, m, math.sqrt(s)).sum(-1),
        ),
        Mistake(
            "σ² taken for the standard deviation",
            "You square sigma once too often: somewhere σ² is handed on as a standard deviation.",
            lambda x, m, s: nll(x, m, s**2).sum(-1),
        ),
        Mistake(
            "constant with the wrong sign",
            "With your constant a very small sigma costs most when the prediction is perfect. Is a narrow "
            "density high or low at its peak?",
            lambda x, m, s: 2 * sse(x, m) / (2 * s**2) - nll(x, m, s).sum(-1),
        ),
        Mistake(
            "divided by σ, not σ²",
            "Squared errors are divided by a standard deviation. An error equal to sigma should cost half a "
            "nat, whatever sigma is.",
            lambda x, m, s: sse(x, m) / (2 * s) + x.shape[1] * (math.log(s) + LOG_2PI / 2),
        ),
        Mistake(
            "errors not squared",
            "Errors of twice the size cost twice as much in yours. In the exponent of a Gaussian they are squared.",
            lambda x, m, s: ((x - m).abs() / s + math.log(s) + LOG_2PI / 2).sum(-1),
        ),
        Mistake(
            "σ forgotten",
            "That is the plain sum of squares: sigma does not occur. For which sigma would it be right, up to "
            "a constant?",
            lambda x, m, s: sse(x, m),
        ),
        Mistake(
            "mean over the pixels",
            PIXELS,
            lambda x, m, s: nll(x, m, s).mean(-1),
        ),
        Mistake(
            "only the squares averaged over the pixels",
            "Your squared errors are averaged over the pixels, and your constants are summed.",
            lambda x, m, s: nll(x, m, s).sum(-1) + (1 / x.shape[1] - 1) * sse(x, m) / (2 * s**2),
        ),
        Mistake(
            "log-likelihood for its negative",
            "Every number has the wrong sign: asked is the cost, minus the log-density.",
            lambda x, m, s: -nll(x, m, s).sum(-1),
        ),
        Mistake(
            "one number for the whole batch",
            BATCH,
            lambda x, m, s: nll(x, m, s).sum(),
            lambda x, m, s: nll(x, m, s).sum(-1).mean(),
            lambda x, m, s: nll(x, m, s).mean(),
        ),
        Mistake(
            "summed over the wrong axis",
            AXIS,
            lambda x, m, s: nll(x, m, s).sum(0),
        ),
        Mistake(
            "not summed over the pixels",
            "You have the cost of each pixel. A picture costs the sum: shape (B,).",
            nll,
        ),
    ),
)


# reconstruction/excess(x, logits)


def draw_excess(rng):
    batch = int(rng.integers(2, 4))
    pixels = batch + int(rng.integers(2, 5))
    x, logits = rounded_uniform(rng, batch, pixels, low=0.05, high=0.95), rounded_normal(rng, batch, pixels, scale=2.0)
    x[:, :2] = torch.tensor([1.0, 0.0])
    logits[0, :2] = 80.0  # sure of ink, rightly and wrongly
    logits[1, :2] = -80.0
    return {"x": x, "logits": logits}


def excess(x, logits):
    x, logits = x.numpy(), logits.numpy()
    return (-x * log_expit(logits) - (1 - x) * log_expit(-logits) - entr(x) - entr(1 - x)).sum(1)


def bce(x, logits):
    return binary_cross_entropy_with_logits(logits, x, reduction="none")


def floor(x):
    return torch.special.entr(x) + torch.special.entr(1 - x)


def naive_bce(x, p):
    return -(x * p.log() + (1 - x) * (1 - p).log())


SIGMOID = (
    "For a log-odds of 80 the sigmoid is exactly 1 to a computer, and the logarithm of 1 − p says nothing any more. "
    "Stay with the logits; a wrong pixel at 80 costs 80 nats."
)
FLOOR = (
    "That is the BCE itself. What does it say of a grey pixel that is predicted perfectly? Asked is what is above that."
)

EXCESS = Task(
    name="reconstruction/excess",
    draw=draw_excess,
    reference=excess,
    mistakes=(
        Mistake(
            "floor not subtracted",
            FLOOR,
            lambda x, a: bce(x, a).sum(-1),
        ),
        Mistake(
            "the sigmoid rounded to 1",
            SIGMOID,
            lambda x, a: (naive_bce(x, a.sigmoid()) - floor(x)).sum(-1),
            lambda x, a: (binary_cross_entropy(a.sigmoid(), x, reduction="none") - floor(x)).sum(-1),
            lambda x, a: kl_divergence(Bernoulli(x), Bernoulli(logits=a)).sum(-1),
            lambda x, a: torch.nan_to_num(naive_bce(x, a.sigmoid())).sum(-1) - floor(x).sum(-1),
            *(
                lambda x, a, eps=eps: (naive_bce(x, a.sigmoid().clamp(eps, 1 - eps)) - floor(x)).sum(-1)
                for eps in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
            ),
        ),
        Mistake(
            "the sigmoid rounded to 1, and the floor left in",
            SIGMOID,
            lambda x, a: naive_bce(x, a.sigmoid()).sum(-1),
        ),
        Mistake(
            "0 · log 0 became nan",
            "Your floor is not a number where the target is 0 or 1: it holds 0 · log 0, whose limit is 0. "
            "What is the floor of a pixel that is not grey?",
            lambda x, a: (bce(x, a) - naive_bce(x, x)).sum(-1),
        ),
        Mistake(
            "floor of the prediction subtracted",
            "You subtract the entropy of the prediction. The floor belongs to the picture: it is what is left "
            "when the prediction is perfect.",
            lambda x, a: (bce(x, a) - floor(a.sigmoid())).sum(-1),
        ),
        Mistake(
            "sigmoid of the target in the floor",
            "For the floor you gave the target in place of logits. A perfect prediction is a probability of "
            "x: what are its log-odds?",
            lambda x, a: (bce(x, a) - bce(x, x)).sum(-1),
        ),
        Mistake(
            "the floor of mid-grey for all pixels",
            "log 2 is the floor of a pixel of 0.5. A pixel of 1 has another.",
            lambda x, a: (bce(x, a) - math.log(2)).sum(-1),
        ),
        Mistake(
            "KL of the wrong direction",
            "You weigh the logarithms by the prediction. In BCE it is the target that says how often ink comes.",
            lambda x, a: (lambda p: torch.special.xlogy(p, p / x) + torch.special.xlogy(1 - p, (1 - p) / (1 - x)))(
                a.sigmoid()
            ).sum(-1),
            lambda x, a: (lambda p: p * (p / x).log() + (1 - p) * ((1 - p) / (1 - x)).log())(a.sigmoid()).sum(-1),
        ),
        Mistake(
            "half of the floor forgotten",
            "Your floor is x log x alone. A pixel is ink or paper; the entropy of a coin has two terms.",
            lambda x, a: (bce(x, a) - torch.special.entr(x)).sum(-1),
        ),
        Mistake(
            "floor added",
            "A perfect prediction of a grey pixel should come out at 0; in yours the floor counts double.",
            lambda x, a: (bce(x, a) + floor(x)).sum(-1),
        ),
        Mistake(
            "sign flipped",
            "Your numbers are negative. The excess over the least possible cost never is.",
            lambda x, a: -(bce(x, a) - floor(x)).sum(-1),
        ),
        Mistake(
            "sigmoid taken twice",
            "You took the sigmoid of the logits and gave it to a function that takes another. A log-odds of "
            "80 should be able to predict ink.",
            lambda x, a: (bce(x, a.sigmoid()) - floor(x)).sum(-1),
        ),
        Mistake(
            "mean over the pixels",
            PIXELS,
            lambda x, a: (bce(x, a) - floor(x)).mean(-1),
        ),
        Mistake(
            "mean over the pixels in one of the two terms",
            "One of BCE and floor is averaged over the pixels in yours, and the other summed.",
            lambda x, a: bce(x, a).sum(-1) - floor(x).mean(-1),
            lambda x, a: bce(x, a).mean(-1) - floor(x).sum(-1),
        ),
        Mistake(
            "one floor for all pictures",
            "You subtract one floor from every picture. Each has its own, of shape (B,) in all.",
            lambda x, a: bce(x, a).sum(-1) - floor(x).sum(),
            lambda x, a: bce(x, a).sum(-1) - floor(x).sum(-1).mean(),
        ),
        Mistake(
            "one number for the whole batch",
            BATCH,
            lambda x, a: (bce(x, a) - floor(x)).sum(),
            lambda x, a: (bce(x, a) - floor(x)).sum(-1).mean(),
            lambda x, a: (bce(x, a) - floor(x)).mean(),
        ),
        Mistake(
            "summed over the wrong axis",
            AXIS,
            lambda x, a: (bce(x, a) - floor(x)).sum(0),
        ),
        Mistake(
            "bits instead of nats",
            "Your number is right in bits. This course counts in nats.",
            lambda x, a: (bce(x, a) - floor(x)).sum(-1) / math.log(2),
        ),
        Mistake(
            "squared error for the price",
            "That is a squared error. BCE prices an error by how near the pixel is to black or white.",
            lambda x, a: sse(x, a.sigmoid()),
        ),
    ),
)


# reconstruction/held_out(x, x_hat, x_held, x_hat_held)


def draw_held_out(rng):
    seen, held, pixels = (int(size) for size in rng.permutation([2, 3, 4]) + rng.integers(0, 2) * 3)
    x, x_held = rounded_uniform(rng, seen, pixels), rounded_uniform(rng, held, pixels)
    return {
        "x": x,
        "x_hat": x + 0.08 + rounded_normal(rng, seen, pixels, scale=0.1),
        "x_held": x_held,
        "x_hat_held": x_held + 0.08 + rounded_normal(rng, held, pixels, scale=0.25),
    }


def held_out(x, x_hat, x_held, x_hat_held):
    x, x_hat, x_held, x_hat_held = (value.numpy() for value in (x, x_hat, x_held, x_hat_held))
    sigma = np.linalg.norm(x - x_hat) / math.sqrt(x.size)
    return sigma, -stats.norm.logpdf(x_held, x_hat_held, sigma).sum(1)


def with_sigma(choose):
    """σ by some rule from the errors, and the held-out cost with it."""

    def answer(x, x_hat, x_held, x_hat_held):
        sigma = torch.as_tensor(choose(x - x_hat, x_held - x_hat_held))
        error = x_held - x_hat_held
        return sigma, (error**2 / (2 * sigma**2) + sigma.log() + LOG_2PI / 2).sum(-1)

    return answer


def rms(error, *_):
    return (error**2).mean().sqrt()


def with_cost(cost):
    """The right σ, and the held-out cost by some formula of σ and the held-out errors."""

    def answer(x, x_hat, x_held, x_hat_held):
        sigma = rms(x - x_hat)
        return sigma, cost(sigma, x_held - x_hat_held)

    return answer


def pixel_costs(sigma, error):
    return error**2 / (2 * sigma**2) + sigma.log() + LOG_2PI / 2


LEAK = "Your σ knows the held-out pictures. A number that was fitted to them is no test on them: which pictures may σ learn from?"
COUNT = "Your σ grows with the number of pixels or pictures. One σ serves each single pixel: what is averaged, and over how many?"

HELD_OUT = Task(
    name="reconstruction/held_out",
    draw=draw_held_out,
    reference=held_out,
    mistakes=(
        Mistake(
            "σ fitted to the held-out pictures",
            LEAK,
            with_sigma(lambda seen, held: rms(held)),
            with_sigma(lambda seen, held: rms(torch.cat([seen, held]))),
            with_sigma(lambda seen, held: (held**2).mean(-1, keepdim=True).sqrt()),
        ),
        Mistake(
            "variance for standard deviation",
            "Your cost is right, and your first number is σ². Asked is σ.",
            lambda *given: (lambda sigma, cost: (sigma**2, cost))(*with_sigma(rms)(*given)),
        ),
        Mistake(
            "variance taken for σ",
            "Your σ has the unit of a squared pixel, and you square it again in the cost.",
            with_sigma(lambda seen, held: (seen**2).mean()),
        ),
        Mistake(
            "average error subtracted",
            "You measure the spread of the errors about their average. The Gaussian's mean is x_hat, right or "
            "wrong: an error that all pixels share is an error as well.",
            with_sigma(lambda seen, held: seen.std()),
            with_sigma(lambda seen, held: seen.std(correction=0)),
        ),
        Mistake(
            "divided by one less",
            "You divide by the number of pixels less one. Asked is the σ that the likelihood prefers; set its "
            "derivative to zero.",
            with_sigma(lambda seen, held: (seen**2).sum().sqrt() / math.sqrt(seen.numel() - 1)),
        ),
        Mistake(
            "mean absolute error for σ",
            "Your σ is the mean absolute error, which another distribution would ask for. The Gaussian counts squares.",
            with_sigma(lambda seen, held: seen.abs().mean()),
        ),
        Mistake(
            "squares summed over the pixels",
            COUNT,
            with_sigma(lambda seen, held: (seen**2).sum(-1).mean().sqrt()),
            with_sigma(lambda seen, held: (seen**2).sum().sqrt()),
        ),
        Mistake(
            "mean of the pictures' own σ",
            "You average root mean squares of single pictures. The root comes after the average: set the "
            "derivative of the whole cost to zero.",
            with_sigma(lambda seen, held: (seen**2).mean(-1).sqrt().mean()),
        ),
        Mistake(
            "a ½ too many in σ",
            "Your σ² is half of what it should be. Keep the ½ before log σ² as well when you set the "
            "derivative to zero.",
            with_sigma(lambda seen, held: rms(seen) / math.sqrt(2)),
        ),
        Mistake(
            "cost of pictures that σ was fitted to",
            "Your σ is right. D/2 [log(2π MSE) + 1] is the average cost of the pictures that σ was fitted to. "
            "Held-out errors are not as small.",
            with_cost(
                lambda sigma, error: error.shape[1] / 2 * (2 * sigma.log() + LOG_2PI + 1) * torch.ones(len(error))
            ),
        ),
        Mistake(
            "cost with each picture's own σ",
            "Your σ is right, but your cost does not use it: every held-out picture is judged with a σ of its own.",
            with_cost(
                lambda sigma, error: error.shape[1] / 2 * ((error**2).mean(-1).log() + LOG_2PI + 1),
            ),
        ),
        Mistake(
            "constants forgotten",
            "Your σ is right. With this cost a larger σ would always be better: which term holds it back?",
            with_cost(lambda sigma, error: (error**2).sum(-1) / (2 * sigma**2)),
        ),
        Mistake(
            "constants forgotten",
            "Your σ is right. Your cost lacks a constant: with all constants kept, it can be compared with "
            "other densities.",
            with_cost(lambda sigma, error: (error**2 / (2 * sigma**2) + sigma.log()).sum(-1)),
        ),
        Mistake(
            "½ before the square forgotten",
            "Your σ is right. An error of one σ should cost half a nat more than no error.",
            with_cost(lambda sigma, error: (pixel_costs(sigma, error) + error**2 / (2 * sigma**2)).sum(-1)),
        ),
        Mistake(
            "divided by σ, not σ²",
            "Your σ is right. In the cost, squared errors are divided by a standard deviation.",
            with_cost(lambda sigma, error: (error**2 / (2 * sigma) + sigma.log() + LOG_2PI / 2).sum(-1)),
        ),
        Mistake(
            "log σ² for log σ",
            "Your σ is right. In the cost its logarithm is counted double: log σ² is 2 log σ.",
            with_cost(lambda sigma, error: (pixel_costs(sigma, error) + sigma.log()).sum(-1)),
        ),
        Mistake(
            "constant counted once for all pixels",
            "Your σ is right. " + CONSTANT_D,
            with_cost(lambda sigma, error: (error**2).sum(-1) / (2 * sigma**2) + sigma.log() + LOG_2PI / 2),
        ),
        Mistake(
            "log-likelihood for its negative",
            "Your σ is right. The second result has the wrong sign: asked is a cost.",
            with_cost(lambda sigma, error: -pixel_costs(sigma, error).sum(-1)),
        ),
        Mistake(
            "mean over the pixels",
            "Your σ is right. The cost of a picture is the sum over its pixels.",
            with_cost(lambda sigma, error: pixel_costs(sigma, error).mean(-1)),
        ),
        Mistake(
            "one number for the whole batch",
            "Your σ is right. The second result should have a number for each held-out picture.",
            with_cost(lambda sigma, error: pixel_costs(sigma, error).sum(-1).mean()),
            with_cost(lambda sigma, error: pixel_costs(sigma, error).sum()),
        ),
        Mistake(
            "a σ for each picture",
            "You found a σ for each picture. One σ has to serve all pixels of all pictures, those not seen as well.",
            lambda x, x_hat, x_held, x_hat_held: (
                ((x - x_hat) ** 2).mean(-1).sqrt(),
                pixel_costs(rms(x - x_hat), x_held - x_hat_held).sum(-1),
            ),
        ),
        Mistake(
            "a σ for each pixel",
            "You found a σ for each pixel position. That is a richer model; here one σ serves them all.",
            with_sigma(lambda seen, held: (seen**2).mean(0).sqrt()),
        ),
        Mistake(
            "cost of the training pictures",
            "Your σ is right. The second result is the cost of the pictures that it was fitted to, not of the "
            "held-out ones.",
            lambda x, x_hat, x_held, x_hat_held: (
                rms(x - x_hat),
                pixel_costs(rms(x - x_hat), x - x_hat).sum(-1),
            ),
        ),
    ),
)


# reconstruction/better(x, logits, kl_a, x_hat, sigma, kl_b)


def log_densities(x, logits, x_hat, sigma):
    """log p(x|z) of every picture by both decoders, in numpy."""
    safe = np.where(logits == 0, 1.0, logits)
    log_c = np.where(logits == 0, math.log(2), np.log(safe / np.tanh(safe / 2)))
    a = x * log_expit(logits) + (1 - x) * log_expit(-logits) + log_c
    return a.sum(1), stats.norm.logpdf(x, x_hat, sigma).sum(1)


def draw_two(rng, kind):
    """Two decoders that differ clearly if compared picture by picture (in two ways), or not at all."""
    pictures = int(rng.integers(6, 9))
    pixels = int(rng.integers(3, 6))
    x = rounded_uniform(rng, pictures, pixels, low=0.02, high=0.98)
    logits = rounded_normal(rng, pictures, pixels, scale=2.0)
    logits[np.arange(pictures), rng.integers(pixels, size=pictures)] = 0.0
    x_hat = x + rounded_normal(rng, pictures, pixels, scale=0.15)
    sigma = float(rng.choice([0.12, 0.15, 0.2]))
    log_a, log_b = log_densities(*(value.double().numpy() for value in (x, logits, x_hat)), sigma)
    kl_a = np.round(60 + 15 * rng.permutation(np.linspace(-2, 2, pictures)) + rng.normal(size=pictures), 2)
    low, high = {
        "clear": (3.2, 4.0),
        "far": (2.6 * math.sqrt(pictures), 3.2 * math.sqrt(pictures)),
        "close": (1.1, 1.5),
    }[kind]
    noise = rng.normal(size=pictures)
    noise = (noise - noise.mean()) / noise.std(ddof=1)  # spread 1, so that the standard error is known
    difference = rng.choice([-1, 1]) * rng.uniform(low, high) / math.sqrt(pictures) + noise
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
    x, logits, kl_a, x_hat, kl_b = (value.numpy() for value in (x, logits, kl_a, x_hat, kl_b))
    log_a, log_b = log_densities(x, logits, x_hat, sigma)
    difference = (log_a - kl_a) - (log_b - kl_b)
    z = difference.mean() / stats.sem(difference)
    return "cannot tell" if abs(z) <= 2 else "A" if z > 0 else "B", difference.mean()


def log_c(logits):
    safe = torch.where(logits == 0, torch.ones_like(logits), logits)
    return torch.where(logits == 0, torch.full_like(logits, math.log(2)), (safe / torch.tanh(safe / 2)).log())


def terms_a(x, logits):
    return -bce(x, logits) + log_c(logits)


def paired(a, b):
    return (a - b).std() / math.sqrt(len(a))


def decided(a, b, error=paired):
    mean = (a - b).mean()
    return "cannot tell" if abs(mean) <= 2 * error(a, b) else "A" if mean > 0 else "B", mean


def elbos(x, logits, kl_a, x_hat, sigma, kl_b):
    return terms_a(x, logits).sum(-1) - kl_a, -nll(x, x_hat, sigma).sum(-1) - kl_b


def decided_by(error):
    return lambda *given: decided(*elbos(*given), error)


NORMALISER = (
    "Your A is judged by minus the BCE, which is no log-density for grey pixels: exp(−BCE) integrates to less than 1. "
    "What makes it a density?"
)
PAIRED = (
    "Your difference is right. Its standard error is too large: some pictures are hard for both models, and that is no doubt about "
    "which is better. What varies from picture to picture if you compare the models on the same one?"
)

DOUBT = (
    "Your difference is right, but you name a winner where the noise of a few held-out pictures could have decided. How far may the mean of "
    "N differences be off, and what does it take to halve that?"
)

BETTER = Task(
    name="reconstruction/better",
    draw=tuple(partial(draw_two, kind=kind) for kind in ("clear", "far", "close")),
    reference=better,
    agree=Close(rtol=1e-3, atol=1e-3),
    cases=12,
    mistakes=(
        Mistake(
            "BCE for the continuous Bernoulli",
            NORMALISER,
            lambda x, a, kl_a, m, s, kl_b: decided(-bce(x, a).sum(-1) - kl_a, -nll(x, m, s).sum(-1) - kl_b),
        ),
        Mistake(
            "BCE and squares without their constants",
            "Neither of your reconstruction terms is a log-density: both lack their normalisers, and these "
            "differ from model to model.",
            lambda x, a, kl_a, m, s, kl_b: decided(-bce(x, a).sum(-1) - kl_a, -sse(x, m) / (2 * s**2) - kl_b),
        ),
        Mistake(
            "BCE against the sum of squares",
            "You compare a BCE with a sum of squares. They have no common unit before both are log-densities.",
            lambda x, a, kl_a, m, s, kl_b: decided(-bce(x, a).sum(-1) - kl_a, -sse(x, m) - kl_b),
        ),
        Mistake(
            "normaliser of the continuous Bernoulli subtracted",
            "exp(−BCE) integrates to at most a half. Which sign must log C have, so that the integral becomes 1?",
            lambda x, a, kl_a, m, s, kl_b: decided(
                (-bce(x, a) - log_c(a)).sum(-1) - kl_a, -nll(x, m, s).sum(-1) - kl_b
            ),
        ),
        Mistake(
            "0/0 at a logit of 0",
            "Your number is not a number: some pixel has the logit 0, where the normaliser's formula is 0/0. "
            "What is its limit?",
            lambda x, a, kl_a, m, s, kl_b: decided(
                (-bce(x, a) + (a / torch.tanh(a / 2)).log()).sum(-1) - kl_a, -nll(x, m, s).sum(-1) - kl_b
            ),
            lambda x, a, kl_a, m, s, kl_b: (
                "cannot tell",
                decided((-bce(x, a) + (a / torch.tanh(a / 2)).log()).sum(-1) - kl_a, -nll(x, m, s).sum(-1) - kl_b)[1],
            ),
        ),
        Mistake(
            "nothing counted at a logit of 0",
            "Some pixels have the logit 0, and you left their normaliser out. Its formula is 0/0 there; what "
            "is the limit?",
            lambda x, a, kl_a, m, s, kl_b: decided(
                (-bce(x, a) + (a / torch.tanh(a / 2)).log().nan_to_num()).sum(-1) - kl_a, -nll(x, m, s).sum(-1) - kl_b
            ),
        ),
        Mistake(
            "squared error for the Gaussian",
            "Your B is judged by a squared error, which does not know sigma. What is the log-density?",
            lambda x, a, kl_a, m, s, kl_b: decided(terms_a(x, a).sum(-1) - kl_a, -sse(x, m) - kl_b),
            lambda x, a, kl_a, m, s, kl_b: decided(terms_a(x, a).sum(-1) - kl_a, -sse(x, m) / x.shape[1] - kl_b),
        ),
        Mistake(
            "sigma squared once too often or too rarely",
            "Your A is right. In B, check what is a standard deviation and what is a variance.",
            lambda x, a, kl_a, m, s, kl_b: decided(terms_a(x, a).sum(-1) - kl_a, -nll(x, m, s**2).sum(-1) - kl_b),
            lambda x, a, kl_a, m, s, kl_b: decided(
                terms_a(x, a).sum(-1) - kl_a, -nll(x, m, math.sqrt(s)).sum(-1) - kl_b
            ),
        ),
        Mistake(
            "constants of the Gaussian forgotten",
            "Your B has no normaliser: between two different densities constants do not cancel.",
            lambda x, a, kl_a, m, s, kl_b: decided(terms_a(x, a).sum(-1) - kl_a, -sse(x, m) / (2 * s**2) - kl_b),
            lambda x, a, kl_a, m, s, kl_b: decided(
                terms_a(x, a).sum(-1) - kl_a, (LOG_2PI / 2 - nll(x, m, s)).sum(-1) - kl_b
            ),
        ),
        Mistake(
            "KL forgotten",
            "You compare reconstructions. A model may draw better because its latents say more, and that has "
            "its price.",
            lambda x, a, kl_a, m, s, kl_b: decided(terms_a(x, a).sum(-1), -nll(x, m, s).sum(-1)),
        ),
        Mistake(
            "KL added",
            "In your ELBO a large KL is a merit.",
            lambda x, a, kl_a, m, s, kl_b: decided(terms_a(x, a).sum(-1) + kl_a, -nll(x, m, s).sum(-1) + kl_b),
        ),
        Mistake(
            "mean over the pixels",
            "You average the log-densities over the pixels, while the KL counts whole pictures. That is a β, "
            "and nobody typed it.",
            lambda x, a, kl_a, m, s, kl_b: decided(terms_a(x, a).mean(-1) - kl_a, -nll(x, m, s).mean(-1) - kl_b),
        ),
        Mistake(
            "losses for ELBOs",
            "Both your word and the sign of your number are turned round: the ELBO is better if it is higher.",
            lambda *given: decided(*(-elbo for elbo in elbos(*given))),
        ),
        Mistake(
            "the lower ELBO taken for the better",
            "Your number is right, and your word is turned round: the ELBO is better if it is higher.",
            lambda *given: (lambda verdict, mean: ({"A": "B", "B": "A"}.get(verdict, verdict), mean))(
                *decided(*elbos(*given))
            ),
        ),
        Mistake(
            "difference the other way round",
            "Your word is right. Asked is A minus B.",
            lambda *given: (lambda verdict, mean: (verdict, -mean))(*decided(*elbos(*given))),
        ),
        Mistake(
            "the models' errors treated as independent",
            PAIRED,
            decided_by(lambda a, b: ((a.var() + b.var()) / len(a)).sqrt()),
            decided_by(lambda a, b: (a.std() + b.std()) / math.sqrt(len(a))),
            decided_by(lambda a, b: a.std() / math.sqrt(len(a))),
        ),
        Mistake(
            "forgot √N in the standard error",
            "Your difference is right. You hold it against the spread of single pictures; how far may the "
            "mean of N differences be off?",
            decided_by(lambda a, b: (a - b).std()),
        ),
        Mistake(
            "standard error divided by N, not √N",
            DOUBT,
            decided_by(lambda a, b: (a - b).std() / len(a)),
        ),
        Mistake(
            "one standard error for two",
            DOUBT,
            decided_by(lambda a, b: paired(a, b) / 2),
        ),
        Mistake(
            "no doubt considered",
            DOUBT,
            decided_by(lambda a, b: 0.0),
        ),
        Mistake(
            "no number where it cannot tell",
            "Your words are right. Return the mean difference also where it decides nothing.",
            lambda *given: (lambda verdict, mean: (verdict, 0.0 if verdict == "cannot tell" else mean))(
                *decided(*elbos(*given))
            ),
        ),
        Mistake(
            "summed over the pictures",
            "Your words are right, and your number is that of all pictures together. Asked are nats per picture.",
            lambda *given: (lambda verdict, mean: (verdict, mean * len(given[0])))(*decided(*elbos(*given))),
        ),
    ),
)


# reconstruction/hidden_beta(loss, x, logits, mu, log_var)


def draw_hidden(rng):
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
    def factor(along, shape):  # what a mean over pictures of sums is multiplied by
        return (shape[0] if along[0] == "sum" else 1) / (shape[1] if along[1] == "mean" else 1)

    return loss.weight * factor(loss.kl, mu.shape) / factor(loss.bce, x.shape)


def kl_terms(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


def measured(loss, x, logits, mu, log_var):
    """Slopes of the loss by KL and by BCE, both summed over a picture and averaged over the batch; loss, KL and BCE."""
    zero = torch.zeros_like(mu)
    cost, kl = bce(x, logits).sum(-1).mean(), kl_terms(mu, log_var).sum(-1).mean()
    at, without_kl = loss(x, logits, mu, log_var), loss(x, logits, zero, zero)
    doubled = bce(x, 2 * logits).sum(-1).mean()
    return (at - without_kl) / kl, (loss(x, 2 * logits, mu, log_var) - at) / (doubled - cost), at, without_kl, kl, cost


def from_slopes(rule):
    def answer(loss, x, logits, mu, log_var):
        slopes = measured(loss, x, logits, mu, log_var)
        return rule(*slopes[:2], *x.shape, mu.shape[1])

    return answer


def from_values(rule):
    return lambda *given: rule(*measured(*given)[2:])


def gradient_norms(loss, x, logits, mu, log_var):
    logits, mu = logits.clone().requires_grad_(), mu.clone().requires_grad_()
    by_logits, by_mu = torch.autograd.grad(loss(x, logits, mu, log_var), (logits, mu))
    return by_mu.norm() / by_logits.norm()


PER_NAT = "You divided two changes of the loss. By how many nats did the KL change, and by how many the reconstruction?"
SCALE = (
    "That is right for losses in which a nat of reconstruction counts as 1. Some of these multiply the whole loss by something, which moves no "
    "minimum: β is the price of a nat of KL *in nats of reconstruction*."
)
OFFSET = "You take a value of the loss for a term of it. There may be constants in it that belong to no term; only changes of the loss are safe."
SIZES = "Compare like with like: both terms in nats per picture, summed over pixels or latents. One of yours is averaged where it should be summed."
BATCHES = "One of your two terms is summed over the batch and the other averaged. Take both in nats per picture."
GUESS = "That is what one particular slip would give, without a look at this loss. Others sum, average or weigh in other ways: call it and see."

HIDDEN_BETA = Task(
    name="reconstruction/hidden_beta",
    draw=draw_hidden,
    reference=hidden_beta,
    agree=Close(rtol=5e-3, atol=1e-4),
    cases=10,
    mistakes=(
        Mistake(
            "scale of the reconstruction ignored",
            SCALE,
            from_slopes(lambda kl, cost, B, D, d: kl),
            from_slopes(lambda kl, cost, B, D, d: kl * D),
        ),
        Mistake(
            "upside down",
            "You have one over β: a loss that hardly counts the KL should have a small β.",
            from_slopes(lambda kl, cost, B, D, d: cost / kl),
        ),
        Mistake(
            "means over pixels and latents compared",
            SIZES,
            from_slopes(lambda kl, cost, B, D, d: kl * d / (cost * D)),
            from_slopes(lambda kl, cost, B, D, d: kl / (cost * D)),
            from_slopes(lambda kl, cost, B, D, d: kl * d / cost),
            from_slopes(lambda kl, cost, B, D, d: kl / (B * cost * D)),
            from_slopes(lambda kl, cost, B, D, d: kl * B * d / cost),
        ),
        Mistake(
            "batch sum against batch mean",
            BATCHES,
            from_slopes(lambda kl, cost, B, D, d: kl * B / cost),
            from_slopes(lambda kl, cost, B, D, d: kl / (cost * B)),
        ),
        Mistake(
            "½ of the KL forgotten",
            "Your β is half of the right one, for every loss. Is your own KL in nats? Compare it with lesson 04.",
            from_slopes(lambda kl, cost, B, D, d: kl / cost / 2),
        ),
        Mistake(
            "constants taken for a term",
            OFFSET,
            from_values(lambda at, without, kl, cost: (at - without) / kl / (without / cost)),
            from_values(lambda at, without, kl, cost: (at - cost) / kl),
            from_values(lambda at, without, kl, cost: (at - without) / without),
        ),
        Mistake(
            "the two terms themselves compared",
            "You divided the KL by the reconstruction, which says nothing about the loss. How does the loss "
            "react when one of them changes?",
            from_values(lambda at, without, kl, cost: kl / cost),
        ),
        Mistake(
            "changes of the loss, not per nat",
            PER_NAT,
            lambda loss, x, logits, mu, log_var: (
                (loss(x, logits, mu, log_var) - loss(x, logits, 0 * mu, 0 * log_var))
                / (loss(x, logits, mu, log_var) - loss(x, 0 * logits, mu, log_var))
            ),
            gradient_norms,
        ),
        Mistake(
            "always D / d",
            GUESS,
            from_slopes(lambda kl, cost, B, D, d: D / d),
        ),
        Mistake(
            "always D",
            GUESS,
            from_slopes(lambda kl, cost, B, D, d: float(D)),
        ),
        Mistake(
            "always 1",
            GUESS,
            from_slopes(lambda kl, cost, B, D, d: 1.0),
        ),
    ),
)


# reconstruction/repaired_loss(x, x_hat, log_sigma, mu, log_var)


def draw_repair(rng):
    batch = int(rng.integers(2, 4))
    latents = int(
        rng.choice([size for size in (2, 3, 4) if size != batch])
    )  # or a sum over one hides a mean over the other
    pixels = int(rng.integers(4, 7))
    return {
        "x": rounded_uniform(rng, batch, pixels),
        "x_hat": rounded_uniform(rng, batch, pixels),
        "log_sigma": rounded_uniform(rng, low=-1.2, high=-0.3),
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents),
    }


def minus_elbo(x, x_hat, log_sigma, mu, log_var):
    pixels = Independent(Normal(x_hat, log_sigma.exp().expand_as(x_hat)), 1)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return (kl_divergence(q, prior) - pixels.log_prob(x)).mean()


def flawed(
    squares="sum",
    once=False,
    latents=False,
    batch=False,
    constant=False,
    power=2,
    logs=1.0,
    log_2pi=0.5,
    half=0.5,
    sign=1.0,
    reduce=torch.mean,
    cut=False,
):
    """The loss with some of its five faults left in, or with new ones."""

    def answer(x, x_hat, log_sigma, mu, log_var):
        log_sigma = log_sigma.detach() if cut else log_sigma
        batch_size, pixels = x.shape
        errors = ((x - x_hat) ** 2).sum(-1) / (2 * log_sigma.exp() ** power)  # (B,)
        errors = errors * {"sum": 1, "mean": 1 / pixels, "batch": batch_size}[squares]
        normaliser = logs * log_sigma + (0 if constant else log_2pi * LOG_2PI)
        kl = half * (mu**2 + log_var.exp() - 1 - log_var).sum(-1) / (mu.shape[1] if latents else 1)
        return reduce(errors + normaliser * (1 if once else pixels)) + sign * (kl.sum() if batch else reduce(kl))

    return answer


FAULTS = {
    "squares": (
        "squared errors averaged over the pixels",
        "Your squared errors are averaged over the pixels, so that a picture costs as much as one pixel. What does `mse_loss` divide by?",
    ),
    "latents": (
        "KL averaged over the latents",
        "Your KL is averaged over the latents. Independent latents each cost their own nats.",
    ),
    "batch": (
        "KL summed over the batch",
        "Your KL grows with the size of the batch while the reconstruction does not: a β equal to the batch size.",
    ),
    "once": (
        "normaliser counted once for all pixels",
        "log σ is there once for a whole picture. Each pixel has a density of its own, with a normaliser of its own.",
    ),
    "constant": (
        "log 2π forgotten",
        "Your loss differs from the right one by a constant. It harms no training, but the number is not minus an ELBO: what belongs to a "
        "Gaussian's normaliser besides σ?",
    ),
}
SQUARES_OF_BATCH = "Your squared errors grow with the size of the batch. Summing over everything is right for the pixels; asked is a mean over the pictures."


def leftovers():
    """All ways to leave some of the five faults in; each is named by the first that is left."""
    for left in itertools.product((True, False), repeat=len(FAULTS)):
        faults = dict(zip(FAULTS, left, strict=True))
        if any(left):
            first = next(name for name, still in faults.items() if still)
            faults["squares"] = "mean" if faults["squares"] else "sum"
            yield Mistake(FAULTS[first][0], FAULTS[first][1], flawed(**faults))


def squares_of_the_batch():
    """`reduction="sum"` and nothing else for the squares, with some of the other faults."""
    for batch, once, constant in itertools.product((True, False), repeat=3):
        answer = flawed(squares="batch", batch=batch, once=once, constant=constant)
        yield Mistake("squared errors summed over the batch", SQUARES_OF_BATCH, answer)


def best_sigma(x, x_hat, log_sigma, mu, log_var):
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return x.shape[1] / 2 * (((x - x_hat) ** 2).mean().log() + LOG_2PI + 1) + kl


REPAIRED_LOSS = Task(
    name="reconstruction/repaired_loss",
    draw=draw_repair,
    reference=minus_elbo,
    observe=Gradients(("x_hat", "log_sigma", "mu", "log_var")),
    cases=4,
    mistakes=(
        *leftovers(),
        *squares_of_the_batch(),
        Mistake(
            "divided by σ, not σ²",
            "An error equal to σ should cost half a nat, whatever σ is. Which power of σ stands below the "
            "squared error?",
            flawed(power=1),
        ),
        Mistake(
            "the given σ not used",
            "You put in the best σ for this batch. Asked is the loss for the σ that is given, from which it "
            "can be learned.",
            best_sigma,
        ),
        Mistake(
            "summed over the batch",
            "Both your terms are summed over the batch. That hides no β, but asked are nats per picture.",
            flawed(reduce=torch.sum),
        ),
        Mistake(
            "not averaged over the batch",
            "A loss is one number: you return one for each picture.",
            flawed(reduce=lambda values: values),
        ),
        Mistake(
            "divided by everything",
            "That is the right loss divided by the number of pixels. It moves no minimum, but it is not nats "
            "per picture.",
            lambda x, *rest: minus_elbo(x, *rest) / x.shape[1],
        ),
        Mistake(
            "log σ² for log σ",
            "The logarithm of σ is counted double. What does the root in a Gaussian's normaliser become in "
            "its logarithm?",
            flawed(logs=2.0),
        ),
        Mistake(
            "½ of the normaliser forgotten",
            "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
            flawed(logs=2.0, log_2pi=1.0),
        ),
        Mistake(
            "½ of log 2π forgotten",
            "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
            flawed(log_2pi=1.0),
        ),
        Mistake(
            "log σ with the wrong sign",
            "Your normaliser has the wrong sign: with it, a σ near zero would always pay. Is a narrow density "
            "high or low at its peak?",
            flawed(logs=-1.0),
        ),
        Mistake(
            "KL subtracted",
            "Your loss rewards the encoder for leaving the prior. That was right in the printed loss.",
            flawed(sign=-1.0),
        ),
        Mistake(
            "½ of the KL forgotten",
            "Your KL is twice what it should be. The ½ was right in the printed loss.",
            flawed(half=1.0),
        ),
        Mistake(
            "σ cut from the graph",
            "The value is right, but no gradient reaches log_sigma, so that σ would never be learned.",
            flawed(cut=True),
        ),
    ),
)

TASKS = (GAUSSIAN, EXCESS, HELD_OUT, BETTER, HIDDEN_BETA, REPAIRED_LOSS)
