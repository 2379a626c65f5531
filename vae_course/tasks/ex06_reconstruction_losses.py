"""The tasks of exercise 06, reconstruction losses."""

import itertools
import math
from functools import partial

import numpy as np
import torch
from scipy import stats
from scipy.special import entr, log_expit
from torch.distributions import Bernoulli, Independent, Laplace, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, logsigmoid

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, rounded_uniform, wide
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


def draw_gaussian(rng, more_pixels, sigmas):
    """Draw fewer pictures than pixels, so that each reduction gives a different shape.

    Args:
        rng: the generator.
        more_pixels: how many pixels there are more than pictures, at least and at most. With many and a small σ the
            product of a picture's densities underflows, though each of them does not.
        sigmas: the least and the greatest σ.
    """
    batch = int(rng.integers(2, 4))
    pixels = batch + int(rng.integers(*more_pixels, endpoint=True))
    return {
        "x": rounded_uniform(rng, batch, pixels),
        "x_hat": rounded_uniform(rng, batch, pixels),
        "sigma": float(np.round(rng.uniform(*sigmas), 3)),
    }


def draw_below_zero(rng):
    """Draw a σ so small, and predictions so near, that the densities are above 1: the cost is negative."""
    case = draw_gaussian(rng, (2, 4), (0.05, 0.08))
    return case | {"x_hat": (case["x"] + rounded_normal(rng, *case["x"].shape, scale=0.04)).clamp(0, 1)}


def gaussian(x, x_hat, sigma):
    """SSE / (2σ²) + D/2 log(2πσ²) of each picture (lesson 06, section 5), from SciPy's density."""
    return torch.tensor(-stats.norm.logpdf(x.numpy(), x_hat.numpy(), sigma).sum(1))


def scaled_squares(error, sigma):
    """SSE / (2σ²) of each picture: its cost without the normaliser."""
    return sum_of_squares(error) / (2 * sigma**2)


def squares_weighed(weight):
    """Return the sum of squares of each picture, times a weight computed from σ."""
    return lambda error, sigma: weight(sigma) * sum_of_squares(error)


def mean_squares_weighed(weight):
    """Return the mean square of each picture, times a weight computed from σ."""
    return lambda error, sigma: weight(sigma) * (error**2).mean(-1)


def absolute_errors_weighed(weight):
    """Return the sum of absolute errors of each picture, times a weight computed from σ."""
    return lambda error, sigma: weight(sigma) * error.abs().sum(-1)


def normaliser_of(log_sigmas, logs_of_2pi):
    """Return a normaliser: so many log σ and so many ½ log 2π, computed from the shape (B, D) of the pictures."""
    return lambda shape, log_sigma: log_sigmas(*shape) * log_sigma + logs_of_2pi(*shape) * LOG_2PI / 2


def times_pixels(factor):
    """Return a count: this often for each pixel."""
    return lambda B, D: factor * D


def once(B, D):
    """Count once for a picture."""
    return 1


picture_normaliser = normaliser_of(times_pixels(1), times_pixels(1))
NO_NORMALISER = normaliser_of(times_pixels(0), times_pixels(0))
WITHOUT_2PI = normaliser_of(times_pixels(1), times_pixels(0))
WITHOUT_SIGMA = normaliser_of(times_pixels(0), times_pixels(1))
COUNTED_ONCE = normaliser_of(once, once)
DOUBLED = normaliser_of(times_pixels(2), times_pixels(2))
NEGATIVE = normaliser_of(times_pixels(-1), times_pixels(-1))


def cost_of(squares=scaled_squares, normaliser=picture_normaliser):
    """Return the cost of each picture from its errors and σ, made of these parts; the defaults are right."""
    return lambda error, sigma: squares(error, sigma) + normaliser(error.shape, torch.as_tensor(sigma).log())


def with_any_normaliser(*squares):
    """Return costs with these squares, and the right normaliser or a wrong one."""
    some = (picture_normaliser, NO_NORMALISER, WITHOUT_2PI, COUNTED_ONCE, DOUBLED)
    return [cost_of(one, normaliser) for one in squares for normaliser in some]


WRONG_COSTS = (  # names, hints, and costs of each picture from its errors and σ
    (
        "constants forgotten",
        "Your number differs from the right one by a constant. Let the prediction equal the picture: what is the "
        "logarithm of a Gaussian's density at its peak?",
        cost_of(normaliser=NO_NORMALISER),
        cost_of(normaliser=WITHOUT_2PI),
        cost_of(normaliser=WITHOUT_SIGMA),
        lambda error, sigma: cost_of()(error, sigma) - error.shape[1] * math.log(2) / 2,
        lambda error, sigma: cost_of()(error, sigma) - error.shape[1] * math.log(math.pi) / 2,
    ),
    (
        "constant counted once for all pixels",
        "A constant that belongs to each pixel is there once for a whole picture. Each of the D pixels has a density "
        "of its own.",
        cost_of(normaliser=COUNTED_ONCE),
        cost_of(normaliser=normaliser_of(times_pixels(1), once)),
        cost_of(normaliser=normaliser_of(once, times_pixels(1))),
        cost_of(normaliser=normaliser_of(once, times_pixels(0))),
        cost_of(normaliser=normaliser_of(times_pixels(0), once)),
        cost_of(normaliser=normaliser_of(lambda B, D: 2, lambda B, D: 2)),
    ),
    (
        "constants multiplied by the number of pictures",
        "Your constants grow with the number of pictures in the batch. How many densities are multiplied in the "
        "density of one picture?",
        cost_of(normaliser=normaliser_of(lambda B, D: B, lambda B, D: B)),
        cost_of(normaliser=normaliser_of(lambda B, D: B * D, lambda B, D: B * D)),
    ),
    (
        "½ of the logarithm forgotten",
        "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
        cost_of(normaliser=DOUBLED),
        cost_of(normaliser=normaliser_of(times_pixels(1), times_pixels(2))),
        cost_of(normaliser=normaliser_of(times_pixels(2), times_pixels(1))),
        cost_of(normaliser=normaliser_of(times_pixels(2), times_pixels(0))),
        cost_of(normaliser=normaliser_of(times_pixels(0), times_pixels(2))),
    ),
    (
        "logarithm of the normaliser forgotten",
        "Your number holds σ or the root of 2πσ² itself where a logarithm belongs. A density is a product; what does "
        "its first factor become when you take the logarithm?",
        lambda error, sigma: scaled_squares(error, sigma) + error.shape[1] * sigma * math.sqrt(2 * math.pi),
        lambda error, sigma: scaled_squares(error, sigma) + sigma * math.sqrt(2 * math.pi),
        lambda error, sigma: scaled_squares(error, sigma) + error.shape[1] * (sigma + LOG_2PI / 2),
        lambda error, sigma: scaled_squares(error, sigma) - error.shape[1] / (sigma * math.sqrt(2 * math.pi)),
    ),
    (
        "constant with the wrong sign",
        "Your constant, or a part of it, has the wrong sign. Let the prediction be perfect: is a narrow density high "
        "or low at its peak, and what does that cost?",
        cost_of(normaliser=NEGATIVE),
        cost_of(normaliser=normaliser_of(times_pixels(-1), times_pixels(1))),
        cost_of(normaliser=normaliser_of(times_pixels(1), times_pixels(-1))),
        cost_of(normaliser=normaliser_of(times_pixels(-1), times_pixels(0))),
    ),
    (
        "σ in place of σ²",
        "You use σ where a variance belongs. σ has the unit of a pixel: which power of it has the unit of a squared "
        "error?",
        lambda error, sigma: pixel_costs(error, sigma**0.5).sum(-1),
        cost_of(normaliser=normaliser_of(times_pixels(0.5), times_pixels(1))),
        cost_of(normaliser=normaliser_of(times_pixels(0.5), times_pixels(0))),
        *with_any_normaliser(squares_weighed(lambda sigma: 0.5 / sigma), squares_weighed(lambda sigma: 1 / sigma)),
        lambda error, sigma: sum_of_squares(error) / (2 * sigma) + error.shape[1] / 2 * torch.as_tensor(sigma).log(),
    ),
    (
        "σ² taken for the standard deviation",
        "You square σ once too often: somewhere σ² is taken for a standard deviation.",
        lambda error, sigma: pixel_costs(error, sigma**2).sum(-1),
        *with_any_normaliser(squares_weighed(lambda sigma: 0.5 / sigma**4)),
    ),
    (
        "wrong factor before the squares",
        "An error of one σ should cost half a nat more than no error. What does it cost in your function?",
        *with_any_normaliser(squares_weighed(lambda sigma: 1 / sigma**2)),
        *with_any_normaliser(squares_weighed(lambda sigma: 0.25 / sigma**2)),
    ),
    (
        "squares not divided by σ²",
        "In your function an error of 0.1 costs the same more than no error, whether σ is 0.1 or 1. Which σ makes it "
        "a large error?",
        *with_any_normaliser(squares_weighed(lambda sigma: 1), squares_weighed(lambda sigma: 0.5)),
        *with_any_normaliser(mean_squares_weighed(lambda sigma: 1), mean_squares_weighed(lambda sigma: 0.5)),
    ),
    (
        "squares multiplied by σ²",
        "In your function an error costs more if σ is larger. Is an error of 0.1 more surprising under a wide density "
        "or under a narrow one?",
        *with_any_normaliser(squares_weighed(lambda sigma: sigma**2 / 2)),
    ),
    (
        "mean over the pixels",
        "You average over the pixels. Pixels are independent given z, so that their log-densities add up: what does a "
        "picture of twice the size cost?",
        *with_any_normaliser(
            mean_squares_weighed(lambda sigma: 0.5 / sigma**2), mean_squares_weighed(lambda sigma: 1 / sigma**2)
        ),
        lambda error, sigma: pixel_costs(error, sigma**0.5).mean(-1),
        lambda error, sigma: pixel_costs(error, sigma**2).mean(-1),
    ),
    (
        "absolute errors for squares",
        "The errors enter your function without a square: an error twice as large adds only twice as much. How does a "
        "Gaussian's exponent grow with the error?",
        *with_any_normaliser(
            absolute_errors_weighed(lambda sigma: 0.5 / sigma**2),
            absolute_errors_weighed(lambda sigma: 1 / sigma),
            absolute_errors_weighed(lambda sigma: 0.5 / sigma),
            absolute_errors_weighed(lambda sigma: 1),
        ),
        lambda error, sigma: -Laplace(torch.zeros_like(error), sigma).log_prob(error).sum(-1),
    ),
    (
        "errors added before they are squared",
        "You square the sum of a picture's errors. In your function an error of 0.1 and one of −0.1 cancel: do they in "
        "a sum of costs?",
        *with_any_normaliser(lambda error, sigma: error.sum(-1) ** 2 / (2 * sigma**2)),
    ),
    (
        "log-likelihood for its negative",
        "In your function a picture that is predicted badly has a smaller number than one that is predicted well. The "
        "task asks for a cost, minus the log-density.",
        lambda error, sigma: -pixel_costs(error, sigma).sum(-1),
        lambda error, sigma: -pixel_costs(error, sigma).mean(-1),
        lambda error, sigma: -scaled_squares(error, sigma),
        lambda error, sigma: -cost_of(normaliser=WITHOUT_2PI)(error, sigma),
        lambda error, sigma: -cost_of(normaliser=WITHOUT_SIGMA)(error, sigma),
        lambda error, sigma: -cost_of(normaliser=COUNTED_ONCE)(error, sigma),
    ),
    (
        "squares with the wrong sign",
        "In your function a larger error makes a picture cheaper. The minus before the logarithm of the density "
        "belongs to both of its factors.",
        lambda error, sigma: (
            picture_normaliser(error.shape, torch.as_tensor(sigma).log()) - scaled_squares(error, sigma)
        ),
    ),
)


def of_pictures(cost):
    """Return an answer that computes this cost from the pictures and their predictions."""
    return lambda x, x_hat, sigma: cost(x - x_hat, sigma)


def other_shapes(*terms):
    """Yield mistakes whose result has another shape than (B,), from the costs of each pixel (B, D)."""
    yield Mistake(
        "one number for the whole batch",
        "There should be one number for each picture, shape (B,). You also added or averaged over the pictures.",
        *(partial(_reduced, of_pixels, torch.sum) for of_pixels in terms),
        *(partial(_reduced, of_pixels, torch.mean) for of_pixels in terms),
        *(partial(_reduced, of_pixels, lambda costs: costs.sum(-1).mean()) for of_pixels in terms),
    )
    yield Mistake(
        "summed over the wrong axis",
        "You added or averaged over the pictures and kept the pixels. Which axis counts the pixels?",
        *(partial(_reduced, of_pixels, lambda costs: costs.sum(0)) for of_pixels in terms),
        *(partial(_reduced, of_pixels, lambda costs: costs.mean(0)) for of_pixels in terms),
    )
    yield Mistake(
        "not summed over the pixels",
        "You return a number for each pixel, shape (B, D). The cost of a picture is one number.",
        *terms,
    )


def _reduced(terms, reduce, *inputs):
    return reduce(terms(*inputs))


def density_multiplied(x, x_hat, sigma):
    """Minus the logarithm of the product of the pixels' densities, which underflows."""
    return -Normal(x_hat, sigma).log_prob(x).exp().prod(-1).log()


GAUSSIAN = Task(
    name="reconstruction/gaussian",
    draw=(
        partial(draw_gaussian, more_pixels=(1, 3), sigmas=(0.15, 0.8)),
        partial(draw_gaussian, more_pixels=(120, 140), sigmas=(0.08, 0.09)),
        draw_below_zero,
    ),
    reference=gaussian,
    library=("vae_lessons.distributions.log_normal",),
    mistakes=(
        *(Mistake(name, hint, *map(of_pictures, costs)) for name, hint, *costs in WRONG_COSTS),
        Mistake(
            "a negative cost changed",
            "Where the cost of a picture is below zero you return another number. A probability is at most 1, but is a "
            "density, if σ is small?",
            lambda x, x_hat, sigma: gaussian(x, x_hat, sigma).clamp(min=0),
            lambda x, x_hat, sigma: gaussian(x, x_hat, sigma).abs(),
        ),
        Mistake(
            "logarithm taken of a product that underflows",
            "Your result is infinite for a picture of many pixels: the product of their densities is 0 to a computer. "
            "What becomes of a product if you take logarithms first?",
            density_multiplied,
            lambda x, x_hat, sigma: density_multiplied(x.double(), x_hat.double(), sigma),
        ),
        Mistake(
            "the given σ not used",
            "You estimate σ from these pictures, or take it to be 1. The task asks for the cost with the σ that is "
            "given.",
            lambda x, x_hat, sigma: pixel_costs(x - x_hat, root_mean_square(x - x_hat)).sum(-1),
            lambda x, x_hat, sigma: fitted_cost(x - x_hat, ((x - x_hat) ** 2).mean(-1)),
            lambda x, x_hat, sigma: pixel_costs(x - x_hat, (x - x_hat).std()).sum(-1),
        ),
        Mistake(
            "cross-entropy for squared errors",
            "That is the binary cross-entropy, the cost of coin flips. These pixels are Gaussian around x_hat.",
            lambda x, x_hat, sigma: binary_cross_entropy(x_hat, x, reduction="none").sum(-1),
            lambda x, x_hat, sigma: pixel_bce(x, x_hat).sum(-1),
        ),
        Mistake(
            "sigmoid of the prediction",
            "You pass x_hat through a sigmoid. It is the decoder's prediction of the pixels already.",
            lambda x, x_hat, sigma: pixel_costs(x - x_hat.sigmoid(), sigma).sum(-1),
        ),
        *other_shapes(
            *(
                lambda x, x_hat, sigma, normaliser=normaliser: (
                    (x - x_hat) ** 2 / (2 * sigma**2) + normaliser((1, 1), math.log(sigma))
                )
                for normaliser in (picture_normaliser, NO_NORMALISER, WITHOUT_2PI)
            ),
        ),
    ),
)


# reconstruction/excess(x, logits)


def draw_excess(rng, sure):
    """Draw grey pixels, and in some cases black and white ones, whose logits are 80 and −80, or not.

    Args:
        rng: the generator.
        sure: logits of a white and of a black pixel in the first two pictures, or an empty tuple.
    """
    batch = int(rng.integers(2, 4))
    pixels = batch + int(rng.integers(2, 5))
    x, logits = rounded_uniform(rng, batch, pixels, low=0.05, high=0.95), rounded_normal(rng, batch, pixels, scale=2.0)
    if sure:
        x[:, :2] = torch.tensor([1.0, 0.0])
        logits[:2, :2] = torch.tensor(sure)
    return {"x": x, "logits": logits}


def excess(x, logits):
    """BCE minus the entropy of the target, KL(Bernoulli(x) ‖ Bernoulli(p)) (lesson 06, section 2), by SciPy."""
    x, logits = x.numpy(), logits.numpy()
    return (-x * log_expit(logits) - (1 - x) * log_expit(-logits) - entr(x) - entr(1 - x)).sum(1)


def pixel_floor(x):
    """The least possible BCE of each pixel: the entropy of the target."""
    return torch.special.entr(x) + torch.special.entr(1 - x)


def bce_of_probabilities(x, p, margin=0.0):
    """BCE by the textbook formula, with a margin added in the logarithms: without, infinite or nan for p = 0 or 1."""
    return -(x * (p + margin).log() + (1 - x) * (1 - p + margin).log())


def no_floor(x):
    """No floor."""
    return torch.zeros_like(x)


def nan_floor(x):
    """The floor by the textbook formula, nan for black and white pixels."""
    return bce_of_probabilities(x, x)


def excess_with(bce=pixel_bce, floor=pixel_floor):
    """Return an answer that subtracts this floor from this BCE, pixel by pixel."""
    return lambda x, logits: (bce(x, logits) - floor(x)).sum(-1)


def less_floor(floor):
    """Return an answer that subtracts a floor, computed from x (B, D) and the right BCE (B, D), from each picture."""
    return lambda x, logits: pixel_bce(x, logits).sum(-1) - floor(x, pixel_bce(x, logits))


def of_clamped(x, logits, margin):
    """BCE of probabilities clamped away from 0 and 1."""
    return bce_of_probabilities(x, logits.sigmoid().clamp(margin, 1 - margin))


def clamped_floor(x, margin):
    """The floor of pixels clamped away from 0 and 1."""
    return pixel_floor(x.clamp(margin, 1 - margin))


def rounded_bces():
    """Yield formulas for the BCE that go by the sigmoid, or cut the logits, and are wrong where they are ±80."""
    yield lambda x, logits: bce_of_probabilities(x, logits.sigmoid())
    yield lambda x, logits: bce_of_probabilities(x, logits.sigmoid()).nan_to_num()
    yield lambda x, logits: bce_of_probabilities(x, logits.sigmoid()).nan_to_num(posinf=0.0)
    yield lambda x, logits: binary_cross_entropy(logits.sigmoid(), x, reduction="none")
    for margin in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12):
        yield partial(of_clamped, margin=margin)
        yield lambda x, logits, margin=margin: bce_of_probabilities(x, logits.sigmoid(), margin)
    for most in (5, 10, 15, 20, 30, 50):
        yield lambda x, logits, most=most: pixel_bce(x, logits.clamp(-most, most))


EXCESS = Task(
    name="reconstruction/excess",
    draw=(
        partial(draw_excess, sure=((80.0, 80.0), (-80.0, -80.0))),
        partial(draw_excess, sure=((80.0, -80.0), (1.5, -0.5))),
        partial(draw_excess, sure=()),
    ),
    reference=excess,
    mistakes=(
        Mistake(
            "floor not subtracted",
            "That is the BCE itself. What does it say of a grey pixel that is predicted perfectly? The task asks for "
            "what is above that.",
            excess_with(floor=no_floor),
        ),
        Mistake(
            "wrong where the decoder is sure",
            "A pixel of 0 with log-odds of 80 costs 80 nats, and yours costs another number: to a computer the sigmoid "
            "of 80 is exactly 1. What can you compute from the logits themselves?",
            *(excess_with(bce, floor) for bce in rounded_bces() for floor in (pixel_floor, no_floor)),
            *(
                excess_with(partial(of_clamped, margin=margin), partial(clamped_floor, margin=margin))
                for margin in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
            ),
            lambda x, logits: kl_divergence(Bernoulli(x), Bernoulli(logits=logits)).sum(-1),
            lambda x, logits: kl_divergence(Bernoulli(x), Bernoulli(logits.sigmoid())).sum(-1),
        ),
        Mistake(
            "floor is nan for black and white pixels",
            "Your floor is not a number where the target is 0 or 1. What is the least possible cost of a pixel that is "
            "not grey?",
            excess_with(floor=nan_floor),
        ),
        Mistake(
            "black and white pixels left out",
            "Pixels that are exactly 0 or 1 count nothing in your function. Their floor is 0, but is their cost?",
            lambda x, logits: ((pixel_bce(x, logits) - pixel_floor(x)) * ((x > 0) & (x < 1))).sum(-1),
            lambda x, logits: (pixel_bce(x, logits) - nan_floor(x)).nan_to_num().sum(-1),
            lambda x, logits: (pixel_bce(x, logits) - nan_floor(x)).nansum(-1),
        ),
        Mistake(
            "pixels kept away from 0 and 1",
            "You change the pixels to avoid the logarithm of 0, and for black and white ones the result is no longer "
            "exact. What is the limit of x log x at 0?",
            *(excess_with(floor=partial(clamped_floor, margin=margin)) for margin in (0.05, 1e-2, 1e-3)),
            *(
                excess_with(floor=lambda x, margin=margin: pixel_bce(x, torch.logit(x, eps=margin)))
                for margin in (0.05, 1e-2, 1e-3)
            ),
            *(
                lambda x, logits, margin=margin: excess_with()(x.clamp(margin, 1 - margin), logits)
                for margin in (0.05, 1e-2, 1e-3, 1e-4)
            ),
        ),
        Mistake(
            "floor of the prediction subtracted",
            "You subtract the entropy of the prediction. The floor belongs to the picture: it is what is left when the "
            "prediction is perfect.",
            lambda x, logits: (pixel_bce(x, logits) - pixel_floor(logits.sigmoid())).sum(-1),
            lambda x, logits: (pixel_bce(x, logits) - Bernoulli(logits=logits).entropy()).sum(-1),
        ),
        Mistake(
            "sigmoid of the target in the floor",
            "For the floor you passed the target in place of logits. A perfect prediction is a probability of x: what "
            "are its log-odds?",
            excess_with(floor=lambda x: pixel_bce(x, x)),
        ),
        Mistake(
            "one term of the floor missing or wrong",
            "Your floor is not the same for a pixel of 0.1 and one of 0.9. A pixel is ink or paper: how many terms has "
            "the entropy of a coin?",
            excess_with(floor=torch.special.entr),
            excess_with(floor=lambda x: torch.special.entr(1 - x)),
            excess_with(floor=lambda x: torch.special.entr(x) - torch.special.entr(1 - x)),
            excess_with(floor=lambda x: -torch.xlogy(x, x).nan_to_num()),
        ),
        Mistake(
            "floor added",
            "A perfect prediction of a grey pixel should give 0; in your function the floor counts double.",
            excess_with(floor=lambda x: -pixel_floor(x)),
        ),
        Mistake(
            "sign flipped",
            "Your numbers are negative. The excess over the least possible cost never is.",
            lambda x, logits: -(pixel_bce(x, logits) - pixel_floor(x)).sum(-1),
        ),
        Mistake(
            "floor without the BCE",
            "That is the floor alone, which does not depend on the prediction.",
            lambda x, logits: pixel_floor(x).sum(-1),
        ),
        Mistake(
            "one floor for all pictures",
            "You subtract one floor from every picture. Each picture has its own: together they have the shape (B,).",
            less_floor(lambda x, bce: pixel_floor(x).sum()),
            less_floor(lambda x, bce: pixel_floor(x).sum(-1).mean()),
            less_floor(lambda x, bce: pixel_floor(x).mean()),
            less_floor(lambda x, bce: pixel_floor(x).sum(-1).min()),
        ),
        Mistake(
            "least BCE of this batch for the floor",
            "You subtract the least BCE that occurs in this batch. The floor is the least that any prediction could "
            "reach for this picture: which prediction of a pixel of 0.3 is best?",
            less_floor(lambda x, bce: bce.sum(-1).min()),
            less_floor(lambda x, bce: bce.min(0).values.sum()),
            less_floor(lambda x, bce: bce.min() * x.shape[1]),
            less_floor(lambda x, bce: bce.min(-1).values * x.shape[1]),
            less_floor(lambda x, bce: bce.min(-1).values),
            less_floor(lambda x, bce: bce.min()),
        ),
        Mistake(
            "floor of another picture",
            "You subtract a floor that takes no account of each pixel's own grey. What is the least possible cost of a "
            "black pixel, and of a mid-grey one?",
            less_floor(lambda x, bce: x.shape[1] * math.log(2)),
            less_floor(lambda x, bce: x.shape[1] * pixel_floor(x.mean(-1))),
            less_floor(lambda x, bce: pixel_floor(x.mean(-1))),
            less_floor(lambda x, bce: x.shape[1] * pixel_floor(x.mean())),
            less_floor(lambda x, bce: pixel_bce(x, torch.zeros_like(x)).sum(-1) * 0.5),
        ),
        Mistake(
            "sum for one, mean for the other",
            "One of your two terms is summed over the pixels and the other averaged. What is the excess of a picture "
            "that is predicted perfectly?",
            less_floor(lambda x, bce: pixel_floor(x).mean(-1)),
            lambda x, logits: pixel_bce(x, logits).mean(-1) - pixel_floor(x).sum(-1),
        ),
        Mistake(
            "ratio for difference",
            "You divide by the floor. The task asks for a cost in nats that is left above it.",
            lambda x, logits: pixel_bce(x, logits).sum(-1) / pixel_floor(x).sum(-1),
            lambda x, logits: (pixel_bce(x, logits) / pixel_floor(x)).sum(-1),
            lambda x, logits: pixel_bce(x, logits).sum(-1) / pixel_floor(x).sum(-1) - 1,
        ),
        Mistake(
            "one term in bits",
            "One of your two terms is in bits and the other in nats: which logarithms do you use?",
            excess_with(floor=lambda x: pixel_floor(x) / math.log(2)),
            excess_with(bce=lambda x, logits: pixel_bce(x, logits) / math.log(2)),
        ),
        Mistake(
            "the divergence the other way round",
            "You take the logarithms' average under the prediction. Who tosses the coin in a cross-entropy, the "
            "picture or the decoder?",
            lambda x, logits: kl_divergence(Bernoulli(logits=logits), Bernoulli(x)).sum(-1),
            lambda x, logits: kl_divergence(Bernoulli(logits.sigmoid()), Bernoulli(x)).sum(-1),
            lambda x, logits: (bce_of_probabilities(logits.sigmoid(), x) - pixel_floor(logits.sigmoid())).sum(-1),
            lambda x, logits: (bce_of_probabilities(logits.sigmoid(), x) - nan_floor(logits.sigmoid())).sum(-1),
            lambda x, logits: (
                binary_cross_entropy(x, logits.sigmoid(), reduction="none") - pixel_floor(logits.sigmoid())
            ).sum(-1),
        ),
        Mistake(
            "target and prediction exchanged",
            "Your cross-entropy takes the pictures for the prediction. Which of its two arguments is which?",
            excess_with(bce=lambda x, logits: pixel_bce(logits, x)),
            excess_with(bce=lambda x, logits: pixel_bce(logits.sigmoid(), x)),
            excess_with(bce=lambda x, logits: binary_cross_entropy(x, logits.sigmoid(), reduction="none")),
            excess_with(lambda x, logits: pixel_bce(logits, x), no_floor),
        ),
        Mistake(
            "sigmoid taken twice",
            "Your cross-entropy gets probabilities where it expects log-odds, and takes their sigmoid again.",
            excess_with(bce=lambda x, logits: pixel_bce(x, logits.sigmoid())),
            excess_with(lambda x, logits: pixel_bce(x, logits.sigmoid()), no_floor),
        ),
        Mistake(
            "pixels rounded to black and white",
            "You round the pixels to 0 and 1, and then there is no floor. The pictures are grey: what does a pixel of "
            "0.4 cost?",
            lambda x, logits: pixel_bce(x.round(), logits).sum(-1),
            lambda x, logits: pixel_bce((x > 0.5).float(), logits).sum(-1),
            lambda x, logits: pixel_bce(x.round(), logits).sum(-1) - pixel_floor(x).sum(-1),
            lambda x, logits: (pixel_bce(x, logits) - pixel_bce(x.round(), logits)).sum(-1),
        ),
        Mistake(
            "only one term of the BCE",
            "A pixel counts in your BCE only as far as it is white, or only as far as it is black. What does a black "
            "pixel cost that is predicted white, and the other way round?",
            excess_with(bce=lambda x, logits: -x * logsigmoid(logits)),
            excess_with(bce=lambda x, logits: -(1 - x) * logsigmoid(-logits)),
            excess_with(bce=lambda x, logits: -x * logsigmoid(logits), floor=torch.special.entr),
        ),
        Mistake(
            "squared errors for the BCE",
            "You measure squared differences of the pixels and probabilities. The task asks for nats of BCE.",
            lambda x, logits: sum_of_squares(x - logits.sigmoid()),
            lambda x, logits: sum_of_squares(x - logits.sigmoid()) / 2,
            excess_with(bce=lambda x, logits: (x - logits.sigmoid()) ** 2),
        ),
        Mistake(
            "entropies compared",
            "You subtract two entropies. A picture and its opposite have the same entropy: what happens to your number "
            "if every pixel is predicted as 1 − x?",
            lambda x, logits: (pixel_floor(logits.sigmoid()) - pixel_floor(x)).sum(-1),
            lambda x, logits: (pixel_floor(x) - pixel_floor(logits.sigmoid())).sum(-1),
        ),
        Mistake(
            "normaliser of the continuous Bernoulli included",
            "You add or subtract the normaliser that makes exp(−BCE) a density. The task asks for BCE less its floor.",
            excess_with(bce=lambda x, logits: pixel_bce(x, logits) - log_normaliser(logits)),
            excess_with(lambda x, logits: pixel_bce(x, logits) - log_normaliser(logits), no_floor),
        ),
        Mistake(
            "mean over the pixels",
            "You average over the pixels. The cost of a picture is the sum over its pixels: what does a picture of "
            "twice the size cost?",
            lambda x, logits: (pixel_bce(x, logits) - pixel_floor(x)).mean(-1),
            lambda x, logits: pixel_bce(x, logits).mean(-1),
        ),
        *other_shapes(
            lambda x, logits: pixel_bce(x, logits) - pixel_floor(x),
            pixel_bce,
            lambda x, logits: pixel_bce(x, logits) - nan_floor(x),
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


def with_cost_of(cost):
    """Return an answer with the right σ and this cost of errors and σ."""
    return with_cost(lambda sigma, error: cost(error, sigma))


def with_sigma_of_pictures(choose, x, x_hat, x_held, x_hat_held):
    """σ by a rule from the training pictures and their predictions, and the cost with it."""
    sigma = choose(x, x_hat)
    return sigma, pixel_costs(x_held - x_hat_held, sigma).sum(-1)


def held_out_cost_of(x, x_hat, error):
    """The right σ, and the cost of these errors with it."""
    sigma = root_mean_square(x - x_hat)
    return sigma, pixel_costs(error, sigma).sum(-1)


def constants_by_training_pictures(x, x_hat, x_held, x_hat_held, times=1):
    """The right σ, and a cost whose normaliser is multiplied by the number of training pictures."""
    sigma = root_mean_square(x - x_hat)
    return sigma, scaled_squares(x_held - x_hat_held, sigma) + times * len(x) * pixel_normaliser(sigma.log())


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
            with_sigma(lambda seen, held: held.std()),
            with_sigma(lambda seen, held: (root_mean_square(seen) + root_mean_square(held)) / 2),
            lambda x, x_hat, x_held, x_hat_held: (
                root_mean_square(x_held - x_hat_held),
                pixel_costs(x_held - x_hat_held, root_mean_square(x - x_hat)).sum(-1),
            ),
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
            "You measure the spread of the errors about an average of them. The Gaussian's mean is x_hat, right or "
            "wrong: an error that all pixels share is an error as well.",
            with_sigma(lambda seen, held: seen.std()),
            with_sigma(lambda seen, held: seen.std(correction=0)),
            with_sigma(lambda seen, held: seen.std(-1).mean()),
            with_sigma(lambda seen, held: seen.std(-1, correction=0).mean()),
            with_sigma(lambda seen, held: seen.std(0).mean()),
            with_sigma(lambda seen, held: seen.std(0, correction=0).mean()),
            with_sigma(lambda seen, held: seen.var(-1).mean().sqrt()),
            with_sigma(lambda seen, held: seen.var(0).mean().sqrt()),
            with_sigma(lambda seen, held: seen.var(0, correction=0).mean().sqrt()),
            with_sigma(lambda seen, held: seen.var()),
            with_sigma(lambda seen, held: seen.var(correction=0)),
        ),
        Mistake(
            "spread of the pictures for that of the errors",
            "Your σ is the spread of the pictures or of the predictions. How wide must the Gaussian around x_hat be to "
            "hold x?",
            *(
                partial(with_sigma_of_pictures, choose)
                for choose in (
                    lambda x, x_hat: x.std(),
                    lambda x, x_hat: x.std(correction=0),
                    lambda x, x_hat: x_hat.std(),
                    lambda x, x_hat: (x**2).mean().sqrt(),
                    lambda x, x_hat: x.std(0).mean(),
                    lambda x, x_hat: root_mean_square(x - x.mean(0)),
                )
            ),
        ),
        Mistake(
            "errors not squared for σ",
            "Your σ is made of errors that are not squared. The Gaussian counts squares; which average of them is best "
            "for it?",
            with_sigma(lambda seen, held: seen.abs().mean()),
            with_sigma(lambda seen, held: seen.mean()),
            with_sigma(lambda seen, held: -seen.mean()),
            with_sigma(lambda seen, held: seen.mean().abs()),
            with_sigma(lambda seen, held: seen.abs().max()),
            with_sigma(lambda seen, held: seen.abs().sum(-1).mean()),
            with_sigma(lambda seen, held: seen.abs().mean().sqrt()),
        ),
        Mistake(
            "squares summed over the pixels",
            "Your σ grows with the number of pixels or pictures. One σ serves each single pixel: what is averaged, and "
            "over how many?",
            with_sigma(lambda seen, held: sum_of_squares(seen).mean().sqrt()),
            with_sigma(lambda seen, held: (seen**2).sum().sqrt()),
            with_sigma(lambda seen, held: ((seen**2).sum() / seen.shape[1]).sqrt()),
            with_sigma(lambda seen, held: sum_of_squares(seen).sqrt().mean()),
            with_sigma(lambda seen, held: sum_of_squares(seen).mean()),
            with_sigma(lambda seen, held: (seen**2).sum()),
        ),
        Mistake(
            "divided by another number",
            "Your σ² is the right sum of squares, divided by another number than that of all the squares in it. No "
            "mean was estimated here. Set the derivative of the whole cost to zero.",
            with_sigma(lambda seen, held: ((seen**2).sum() / (seen.numel() - 1)).sqrt()),
            with_sigma(lambda seen, held: ((seen**2).sum() / (seen.numel() - seen.shape[1])).sqrt()),
            with_sigma(lambda seen, held: ((seen**2).sum() / (seen.numel() - len(seen))).sqrt()),
            with_sigma(lambda seen, held: ((seen**2).mean() / 2).sqrt()),
            with_sigma(lambda seen, held: ((seen**2).mean() * 2).sqrt()),
            with_sigma(lambda seen, held: ((seen**2).sum() / held.numel()).sqrt()),
            with_sigma(lambda seen, held: root_mean_square(seen) / math.sqrt(len(seen))),
            with_sigma(lambda seen, held: root_mean_square(seen) / math.sqrt(seen.numel())),
        ),
        Mistake(
            "mean of several σ",
            "You average several σ, or take the one in the middle. The root comes after the average: set the "
            "derivative of the whole cost to zero.",
            with_sigma(lambda seen, held: (seen**2).mean(-1).sqrt().mean()),
            with_sigma(lambda seen, held: (seen**2).mean(0).sqrt().mean()),
            with_sigma(lambda seen, held: (seen**2).mean(-1).sqrt().median()),
            with_sigma(lambda seen, held: (seen**2).mean(-1).log().mean().div(2).exp()),
        ),
        Mistake(
            "median of the squares",
            "You take the median of squares. Large errors count in the likelihood: set the derivative of the whole "
            "cost to zero.",
            with_sigma(lambda seen, held: (seen**2).median().sqrt()),
            with_sigma(lambda seen, held: torch.quantile(seen**2, 0.5).sqrt()),
            with_sigma(lambda seen, held: torch.quantile((seen**2).mean(-1), 0.5).sqrt()),
        ),
        Mistake(
            "more than one σ",
            "You found several σ, one for each picture or for each pixel position. Here one σ has to serve all pixels "
            "of all pictures, those not seen as well.",
            sigma_of_each_picture,
            with_sigma(lambda seen, held: (seen**2).mean(0).sqrt()),
            with_sigma(lambda seen, held: seen.std(0)),
            with_sigma(lambda seen, held: seen.std(0, correction=0)),
            lambda x, x_hat, x_held, x_hat_held: (
                ((x_held - x_hat_held) ** 2).mean(-1).sqrt(),
                fitted_cost(x_held, ((x_held - x_hat_held) ** 2).mean(-1)),
            ),
        ),
        Mistake(
            "cost of the training pictures",
            "Your σ is right. The second result is what the pictures cost to which σ was fitted, each or on average. "
            "Held-out errors are not as small.",
            with_cost(lambda sigma, error: fitted_cost(error, sigma**2).expand(len(error))),
            with_cost(lambda sigma, error: fitted_cost(error, sigma**2)),
            cost_of_training_pictures,
        ),
        Mistake(
            "cost with another σ",
            "Your σ is right, but your cost does not use it: the held-out pictures are judged with a σ fitted to them, "
            "or with none.",
            with_cost(lambda sigma, error: fitted_cost(error, (error**2).mean(-1))),
            with_cost(lambda sigma, error: pixel_costs(error, root_mean_square(error)).sum(-1)),
            with_cost(lambda sigma, error: pixel_costs(error, 1.0).sum(-1)),
            with_cost(lambda sigma, error: sum_of_squares(error)),
            with_cost(lambda sigma, error: (error**2).mean(-1)),
        ),
        *(
            Mistake(f"{name} in the cost", f"Your σ is right. {hint}", *map(with_cost_of, costs))
            for name, hint, *costs in WRONG_COSTS
            if name != "squares not divided by σ²"
        ),
        Mistake(
            "number of training pictures for that of pixels",
            "Your σ is right. Your constants in the cost grow with the number of training pictures. How many pixels "
            "has a held-out picture?",
            constants_by_training_pictures,
            lambda *inputs: constants_by_training_pictures(*inputs, times=inputs[0].shape[1]),
        ),
        Mistake(
            "held-out pictures compared with something else",
            "Your σ is right. The errors in your cost are not those of the held-out predictions.",
            lambda x, x_hat, x_held, x_hat_held: held_out_cost_of(x, x_hat, x_held - x.mean(0)),
            lambda x, x_hat, x_held, x_hat_held: held_out_cost_of(x, x_hat, x_held - x_hat.mean(0)),
            lambda x, x_hat, x_held, x_hat_held: held_out_cost_of(x, x_hat, x_held - x_held.mean(0)),
            lambda x, x_hat, x_held, x_hat_held: held_out_cost_of(x, x_hat, x_held),
        ),
        Mistake(
            "one number for the whole batch",
            "Your σ is right. The second result should have a number for each held-out picture.",
            *(
                with_cost(lambda sigma, error, reduce=reduce, cost=cost: reduce(cost(error, sigma)))
                for cost in (cost_of(), cost_of(normaliser=NO_NORMALISER), cost_of(normaliser=WITHOUT_2PI))
                for reduce in (torch.mean, torch.sum)
            ),
            with_cost(lambda sigma, error: pixel_costs(error, sigma).mean()),
        ),
        Mistake(
            "one number for each pixel",
            "Your σ is right. The second result should be one number for each held-out picture, added over its pixels.",
            with_cost(lambda sigma, error: pixel_costs(error, sigma)),
            with_cost(lambda sigma, error: pixel_costs(error, sigma).sum(0)),
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


APART = (  # standard errors between the mean difference and zero, from the number of pictures; standard deviations
    (lambda n: (0.1, 0.4), (0.5, -4.0)),  # nearly equal
    (lambda n: (1.1, 1.5), (4.0, -0.5)),  # too close
    (lambda n: (1.97, 1.985), (0.5, -4.0)),  # just too close
    (lambda n: (2.02, 2.06), (4.0, -0.5)),  # just apart
    (lambda n: (3.2, 4.0), (0.5, -4.0)),  # clear if paired by picture, but not against the spread of single pictures
    (lambda n: (2.6 * math.sqrt(n), 3.2 * math.sqrt(n)), (4.0, -0.5)),  # clear even against that
)


def draw_better(rng, standard_errors, spread):
    """Draw two decoders whose mean ELBOs differ by a known number of standard errors.

    Some pictures are much harder than others for both, some logits are 0, and the noise of the difference is scaled to
    a known standard deviation, so that the standard error is known.

    Args:
        rng: the generator.
        standard_errors: computes the least and the greatest number of standard errors from the number of pictures.
        spread: the standard deviation of the differences, times the sign of their mean.
    """
    pictures = int(rng.integers(6, 11))
    pixels = int(rng.integers(3, 6))
    x = rounded_uniform(rng, pictures, pixels, low=0.02, high=0.98)
    logits = rounded_normal(rng, pictures, pixels, scale=2.0)
    logits[np.arange(pictures), rng.integers(pixels, size=pictures)] = 0.0
    x_hat = x + rounded_normal(rng, pictures, pixels, scale=0.15)
    sigma = float(rng.choice([0.12, 0.15, 0.2]))
    log_a, log_b = log_densities(*(value.double().numpy() for value in (x, logits, x_hat)), sigma)
    kl_a = np.round(90 + 18 * rng.permutation(np.linspace(-2, 2, pictures)) + rng.normal(size=pictures), 2)
    noise = rng.normal(size=pictures)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    difference = spread * (rng.uniform(*standard_errors(pictures)) / math.sqrt(pictures) + noise)
    kl_b = kl_a - log_a + log_b + difference
    return {
        "x": x,
        "logits": logits,
        "kl_a": torch.tensor(kl_a, dtype=torch.float32),
        "x_hat": x_hat,
        "sigma": sigma,
        "kl_b": torch.tensor(np.round(kl_b, 3), dtype=torch.float32),
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


def minus_scaled_squares(x, x_hat, sigma):
    """Minus SSE / (2σ²) of each picture, which lacks its constants."""
    return -scaled_squares(x - x_hat, sigma)


def minus_squares(x, x_hat, sigma):
    """Minus the sum of squares of each picture."""
    return -sum_of_squares(x - x_hat)


def b_with(cost):
    """Return B's log p(x|z) by this cost of errors and σ."""
    return lambda x, x_hat, sigma: -cost(x - x_hat, sigma)


def a_with(log_c):
    """Return A's log p(x|z) with this logarithm of the normaliser, computed from the logits."""
    return lambda x, logits: (log_c(logits) - pixel_bce(x, logits)).sum(-1)


def paired_error(a, b):
    """The standard error of the mean difference, with the models compared on the same pictures."""
    return (a - b).std() / math.sqrt(len(a))


def no_error(a, b):
    """No uncertainty."""
    return 0.0


def spread_of_differences(a, b):
    """The standard deviation of single differences."""
    return (a - b).std()


def independent_error(a, b):
    """The standard error of the mean difference of two independent sets of pictures."""
    return ((a.var() + b.var()) / len(a)).sqrt()


def decided(a, b, error=paired_error):
    """The word and the mean difference for ELBOs a and b."""
    mean = (a - b).mean()
    return "cannot tell" if abs(mean) <= 2 * error(a, b) else "A" if mean > 0 else "B", mean


def elbos(x, logits, kl_a, x_hat, sigma, kl_b, of_a=log_p_a, of_b=log_p_b, weights=(1, 1)):
    """The ELBOs of both models for each picture, with these formulas for log p(x|z) and these weights of the KLs."""
    return of_a(x, logits) - weights[0] * kl_a, of_b(x, x_hat, sigma) - weights[1] * kl_b


def decided_with(*errors, **parts):
    """Yield an answer for each formula of the standard error, with these parts of the ELBOs."""
    for error in errors or (paired_error,):
        yield lambda *inputs, error=error: decided(*elbos(*inputs, **parts), error)


def decided_by(error):
    """Return an answer with the right ELBOs that uses this formula for the standard error."""
    return lambda *inputs: decided(*elbos(*inputs), error)


def with_change(change):
    """Return an answer that changes the right word and the right mean difference."""
    return lambda *inputs: change(*decided(*elbos(*inputs)))


def from_elbos(rule):
    """Return an answer that applies a rule to the right ELBOs."""
    return lambda *inputs: rule(*elbos(*inputs))


def called(score, mean):
    """The word by the sign of a score, and a mean."""
    return "A" if score > 0 else "B", mean


def decided_by_part(of_part):
    """Return an answer whose standard error comes from a part of the ELBOs: from log p(x|z) (N,) or KL (N,) of both."""

    def answer(x, logits, kl_a, x_hat, sigma, kl_b):
        a, b = elbos(x, logits, kl_a, x_hat, sigma, kl_b)
        error = of_part(a + kl_a, b + kl_b, kl_a, kl_b).std() / math.sqrt(len(a))
        return decided(a, b, lambda a, b: error)

    return answer


def better_decides(x, logits, kl_a, x_hat, sigma, kl_b):
    """The mean difference and its standard error, as a sentence."""
    a, b = elbos(x, logits, kl_a, x_hat, sigma, kl_b)
    mean, error = (a - b).mean(), paired_error(a, b)
    return f"The mean difference of the ELBOs is {mean:.3f} nats, and its standard error {error:.3f}."


ALL_ERRORS = (paired_error, no_error, independent_error)

BETTER = Task(
    name="reconstruction/better",
    draw=tuple(
        partial(draw_better, standard_errors=apart, spread=spread) for apart, spreads in APART for spread in spreads
    ),
    reference=better,
    agree=Close(rtol=1e-3, atol=1e-3),
    cases=12,
    decides=better_decides,
    mistakes=(
        Mistake(
            "BCE for the continuous Bernoulli",
            "Your A is judged by minus the BCE, which is no log-density for grey pixels: exp(−BCE) integrates to less "
            "than 1. What makes it a density?",
            *decided_with(*ALL_ERRORS, of_a=minus_bce),
        ),
        Mistake(
            "BCE against squared errors",
            "Neither of your reconstruction terms is a log-density: both lack their normalisers, which differ from "
            "model to model. Without them the two have no common unit.",
            *decided_with(*ALL_ERRORS, of_a=minus_bce, of_b=minus_scaled_squares),
            *decided_with(*ALL_ERRORS, of_a=minus_bce, of_b=minus_squares),
            *decided_with(of_a=minus_bce, of_b=lambda x, x_hat, sigma: minus_squares(x, x_hat, sigma) / 2),
            *decided_with(of_a=minus_bce, of_b=lambda x, x_hat, sigma: minus_squares(x, x_hat, sigma) / x.shape[1]),
        ),
        Mistake(
            "floor of the BCE subtracted",
            "You took the floor from A's BCE. What is left is no log-density: a perfect prediction of any picture "
            "would have density 1.",
            *decided_with(of_a=lambda x, logits: -excess_with()(x, logits)),
        ),
        Mistake(
            "normaliser of the continuous Bernoulli subtracted",
            "exp(−BCE) integrates to at most a half. Which sign must log C have, so that the integral becomes 1?",
            *decided_with(of_a=lambda x, logits: (-pixel_bce(x, logits) - log_normaliser(logits)).sum(-1)),
        ),
        Mistake(
            "0/0 at a logit of 0",
            "Some pixels have the logit 0, where the normaliser's formula is 0/0. You got nan there, or left their "
            "normaliser or the pixels out. What is the limit?",
            *decided_with(of_a=a_with(naive_log_normaliser)),
            lambda *inputs: ("cannot tell", next(decided_with(of_a=a_with(naive_log_normaliser)))(*inputs)[1]),
            *decided_with(*ALL_ERRORS, of_a=a_with(lambda logits: naive_log_normaliser(logits).nan_to_num())),
        ),
        Mistake(
            "normaliser of the continuous Bernoulli wrong",
            "At a logit of 0 the continuous Bernoulli is the uniform density on [0, 1]: log p(x|z) is 0 for every x. "
            "At other logits it integrates to 1. Is that so in your function?",
            *decided_with(of_a=a_with(lambda logits: log_normaliser(logits) - math.log(2))),
            *decided_with(of_a=a_with(lambda logits: torch.where(logits == 0, 1, log_normaliser(logits)))),
            *decided_with(of_a=a_with(lambda logits: log_normaliser(logits) / logits.shape[1])),
            *decided_with(of_a=a_with(lambda logits: log_normaliser(logits).exp())),
            *decided_with(of_a=a_with(lambda logits: torch.full_like(logits, math.log(2)))),
        ),
        Mistake(
            "constants of the Gaussian forgotten",
            "Your B has no normaliser, or not all of it: between two different densities constants do not cancel.",
            *decided_with(*ALL_ERRORS, of_b=minus_scaled_squares),
            *decided_with(of_b=b_with(cost_of(normaliser=WITHOUT_2PI))),
            *decided_with(of_b=b_with(cost_of(normaliser=WITHOUT_SIGMA))),
            *decided_with(of_b=b_with(cost_of(normaliser=COUNTED_ONCE))),
            *decided_with(*ALL_ERRORS, of_b=minus_squares),
            *decided_with(of_b=lambda x, x_hat, sigma: minus_squares(x, x_hat, sigma) / 2),
            *decided_with(of_b=lambda x, x_hat, sigma: minus_squares(x, x_hat, sigma) / x.shape[1]),
        ),
        Mistake(
            "Gaussian density wrong",
            "Your B is not judged by the Gaussian's log-density with the standard deviation σ. Test yours alone: "
            "`torch.distributions.Normal` gives the right one.",
            *decided_with(of_b=lambda x, x_hat, sigma: log_p_b(x, x_hat, sigma**2)),
            *decided_with(of_b=lambda x, x_hat, sigma: log_p_b(x, x_hat, sigma**0.5)),
            *decided_with(of_b=b_with(cost_of(squares_weighed(lambda sigma: 1 / sigma**2)))),
            *decided_with(of_b=b_with(cost_of(squares_weighed(lambda sigma: 0.5 / sigma)))),
            *decided_with(of_b=b_with(cost_of(normaliser=DOUBLED))),
            *decided_with(of_b=b_with(cost_of(normaliser=NEGATIVE))),
            *decided_with(of_b=lambda x, x_hat, sigma: log_p_b(x, x_hat.sigmoid(), sigma)),
        ),
        Mistake(
            "the wrong density for A",
            "You judge A by a Gaussian. Its decoder is a continuous Bernoulli, and an ELBO holds the model's own "
            "log-density.",
            lambda x, logits, kl_a, x_hat, sigma, kl_b: decided(
                log_p_b(x, logits.sigmoid(), sigma) - kl_a, log_p_b(x, x_hat, sigma) - kl_b
            ),
        ),
        Mistake(
            "KL not subtracted",
            "In your ELBOs, or in one of them, a large KL costs nothing, or is even a merit. A model may draw better "
            "because its latents say more, and that has its price.",
            *decided_with(*ALL_ERRORS, weights=(0, 0)),
            *decided_with(*ALL_ERRORS, weights=(-1, -1)),
            *decided_with(weights=(1, 0)),
            *decided_with(weights=(0, 1)),
            *decided_with(weights=(1, -1)),
            *decided_with(weights=(-1, 1)),
            *decided_with(of_a=minus_bce, weights=(0, 0)),
            *decided_with(of_a=minus_bce, weights=(-1, -1)),
            *decided_with(of_a=minus_bce, of_b=minus_scaled_squares, weights=(0, 0)),
        ),
        Mistake(
            "log-densities left out",
            "You compare the KLs alone. They are only the price of the codes: what do the pictures cost, given the "
            "codes?",
            lambda x, logits, kl_a, x_hat, sigma, kl_b: decided(-kl_a, -kl_b),
            lambda x, logits, kl_a, x_hat, sigma, kl_b: decided(kl_a, kl_b),
        ),
        Mistake(
            "mean over the pixels",
            "You average the log-densities over the pixels, while the KL counts whole pictures. That is a β, and "
            "nobody typed it.",
            *decided_with(
                *ALL_ERRORS,
                of_a=lambda x, logits: pixels_of_a(x, logits).mean(-1),
                of_b=lambda x, x_hat, sigma: -pixel_costs(x - x_hat, sigma).mean(-1),
            ),
            *decided_with(
                of_a=lambda x, logits: minus_bce(x, logits) / x.shape[1],
                of_b=lambda x, x_hat, sigma: -pixel_costs(x - x_hat, sigma).mean(-1),
            ),
        ),
        Mistake(
            "the lower ELBO taken for the better",
            "Your word is turned round: the higher ELBO is the better one, and so is the lower loss. The number is A "
            "minus B of the ELBOs.",
            lambda *inputs: decided(*(-elbo for elbo in elbos(*inputs))),
            with_change(lambda word, mean: ({"A": "B", "B": "A"}.get(word, word), mean)),
            from_elbos(lambda a, b: called(-(a - b).mean(), (b - a).mean())),
            from_elbos(lambda a, b: called(-(a - b).mean(), (a - b).mean())),
        ),
        Mistake(
            "difference the other way round",
            "Your word is right. The task asks for A minus B.",
            with_change(lambda word, mean: (word, -mean)),
        ),
        Mistake(
            "size of the difference",
            "Your word is right, and your number is never negative. The task asks for A minus B, with its sign.",
            with_change(lambda word, mean: (word, abs(mean))),
        ),
        Mistake(
            "the models' errors treated as independent",
            "Your difference is right. Its standard error is too large: some pictures are hard for both models, and "
            "that is no doubt about which is better. What varies from picture to picture if you compare the models on "
            "the same one?",
            decided_by(independent_error),
            decided_by(lambda a, b: (a.std() + b.std()) / math.sqrt(len(a))),
            decided_by(lambda a, b: a.std() / math.sqrt(len(a))),
            decided_by(lambda a, b: (a.var() + b.var()).sqrt()),
        ),
        Mistake(
            "standard error too large",
            "Your difference is right, but you cannot tell even where it is more than three standard errors from zero. "
            "How far may the mean of N differences be off, if one of them may be off by their standard deviation?",
            decided_by(spread_of_differences),
            decided_by(lambda a, b: 2 * paired_error(a, b)),
        ),
        Mistake(
            "limit far below two standard errors",
            "Your difference is right, but you name a winner where it is only 1.1 to 1.5 standard errors from zero. "
            "Print the limit that you compare it with. How does it depend on N, and how many standard errors is it?",
            decided_by(lambda a, b: (a - b).std() / len(a)),
            decided_by(lambda a, b: paired_error(a, b) / 2),
        ),
        Mistake(
            "limit a little below two standard errors",
            "Your difference is right, but you name a winner where it is just within two standard errors of zero. "
            "Which multiple do you take? And in the standard deviation, by what do you divide the sum of squares?",
            decided_by(lambda a, b: 0.9 * paired_error(a, b)),
            decided_by(lambda a, b: (a - b).std(correction=0) / math.sqrt(len(a))),
        ),
        Mistake(
            "limit above two standard errors",
            "Your difference is right, but you cannot tell where it is a little more than two standard errors from "
            "zero. How many does the task ask for, and of what?",
            decided_by(lambda a, b: 1.3 * paired_error(a, b)),
        ),
        Mistake(
            "always decided",
            "Your difference is right, but you name a winner even where the mean difference is nearly zero. How far "
            "may the mean of N differences be off by chance?",
            decided_by(no_error),
            from_elbos(lambda a, b: called((a > b).sum() - len(a) / 2, (a - b).mean())),
        ),
        Mistake(
            "another limit than two standard errors",
            "Your difference is right. What you compare it with is not two standard errors of the mean of the N "
            "differences. Print both for two cases. Is yours in nats, is it fixed, and from which numbers do you "
            "compute it?",
            decided_by_part(lambda p_a, p_b, kl_a, kl_b: p_a - p_b),
            decided_by_part(lambda p_a, p_b, kl_a, kl_b: kl_a - kl_b),
            decided_by(lambda a, b: (a - b).var() / math.sqrt(len(a))),
            decided_by(lambda a, b: (a - b).var() / len(a)),
            decided_by(lambda a, b: (a - b).var()),
            *(decided_by(lambda a, b, limit=limit: limit / 2) for limit in (0.1, 0.5, 1.0, 2.0)),
        ),
        Mistake(
            "one sign of the difference forgotten",
            "Your difference is right. Your word is wrong for one of its signs: what do you answer if A's ELBO is "
            "clearly lower, and if it is a little lower?",
            from_elbos(
                lambda a, b: ("A" if (a - b).mean() > 2 * paired_error(a, b) else "cannot tell", (a - b).mean())
            ),
            from_elbos(lambda a, b: ("A" if (a - b).mean() > 2 * paired_error(a, b) else "B", (a - b).mean())),
            from_elbos(lambda a, b: ("B" if (a - b).mean() < -2 * paired_error(a, b) else "A", (a - b).mean())),
            from_elbos(
                lambda a, b: ("B" if (a - b).mean() < -2 * paired_error(a, b) else "cannot tell", (a - b).mean())
            ),
            from_elbos(
                lambda a, b: (
                    "B" if (a - b).mean() <= 0 else "A" if (a - b).mean() > 2 * paired_error(a, b) else "cannot tell",
                    (a - b).mean(),
                )
            ),
        ),
        Mistake(
            "median for mean",
            "You take a median over the pictures. The task asks for the mean difference.",
            from_elbos(lambda a, b: (decided(a, b)[0], (a - b).median())),
            from_elbos(lambda a, b: (decided(a, b)[0], torch.quantile(a - b, 0.5))),
            from_elbos(lambda a, b: (decided(a, b)[0], a.median() - b.median())),
            from_elbos(
                lambda a, b: (
                    "cannot tell"
                    if abs((a - b).median()) <= 2 * paired_error(a, b)
                    else called((a - b).median(), 0)[0],
                    (a - b).median(),
                )
            ),
        ),
        Mistake(
            "no number where it cannot tell",
            "Your words are right. Return the mean difference also where it decides nothing.",
            with_change(lambda word, mean: (word, 0.0 if word == "cannot tell" else mean)),
            with_change(lambda word, mean: (word, math.nan if word == "cannot tell" else mean)),
        ),
        Mistake(
            "number in another unit",
            "Your words are right. Your number is not the mean difference in nats per picture. Did you divide it by a "
            "standard error, or return that?",
            from_elbos(lambda a, b: (decided(a, b)[0], (a - b).mean() / paired_error(a, b))),
            from_elbos(lambda a, b: (decided(a, b)[0], paired_error(a, b))),
            from_elbos(lambda a, b: (decided(a, b)[0], 2 * paired_error(a, b))),
        ),
        Mistake(
            "summed over the pictures",
            "Your number is that of all pictures together. The task asks for nats per picture.",
            from_elbos(lambda a, b: (decided(a, b)[0], (a - b).sum())),
            from_elbos(lambda a, b: called((a - b).sum(), (a - b).sum())),
            from_elbos(
                lambda a, b: (
                    "cannot tell" if abs((a - b).sum()) <= 2 * paired_error(a, b) else called((a - b).sum(), 0)[0],
                    (a - b).sum(),
                )
            ),
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


def ratio_of_changes(change):
    """Return an answer: the loss's change when the KL goes to 0, divided by its change when the logits change."""

    def answer(loss, x, logits, mu, log_var):
        here = loss(x, logits, mu, log_var)
        return (here - loss(x, logits, 0 * mu, 0 * log_var)) / (here - loss(x, change(logits), mu, log_var))

    return answer


def ratio_of_gradients(size):
    """Return an answer: the size of the gradient in mu, divided by that in the logits."""

    def answer(loss, x, logits, mu, log_var):
        logits, mu = logits.clone().requires_grad_(), mu.clone().requires_grad_()
        by_logits, by_mu = torch.autograd.grad(loss(x, logits, mu, log_var), (logits, mu))
        return size(by_mu) / size(by_logits)

    return answer


def with_value_at(point):
    """Yield answers that take the loss's value at a point for the BCE there, with or without the KL there.

    Args:
        point: computes logits from x and the given logits.
    """

    def price_of_bce(loss, x, logits, mu, log_var):
        return loss(x, point(x, logits), 0 * mu, 0 * log_var) / average_bce(x, point(x, logits))

    def by_change(loss, x, logits, mu, log_var):
        here, without_kl = loss(x, logits, mu, log_var), loss(x, logits, 0 * mu, 0 * log_var)
        by_kl = (here - without_kl) / average_kl(mu, log_var)
        return by_kl / price_of_bce(loss, x, logits, mu, log_var)

    def by_value(loss, x, logits, mu, log_var):
        perfect = 50 * (2 * x - 1)
        by_kl = loss(x, perfect, mu, log_var) / average_kl(mu, log_var)
        return by_kl / price_of_bce(loss, x, logits, mu, log_var)

    return by_change, by_value


def rest_taken_for_kl(loss, x, logits, mu, log_var):
    """The price of BCE from a change, and the rest of the loss taken for the KL."""
    here = loss(x, logits, mu, log_var)
    by_bce = (loss(x, 2 * logits, mu, log_var) - here) / (average_bce(x, 2 * logits) - average_bce(x, logits))
    return (here / by_bce - average_bce(x, logits)) / average_kl(mu, log_var)


def perfect_taken_for_kl(loss, x, logits, mu, log_var):
    """The price of BCE from a change, and the loss of perfect pictures taken for the KL."""
    by_bce = from_slopes(lambda kl, bce, B, D, d: bce)(loss, x, logits, mu, log_var)
    return loss(x, 50 * (2 * x - 1), mu, log_var) / average_kl(mu, log_var) / by_bce


def with_batch(change):
    """Return the right method, for a batch of another size."""

    def answer(loss, *tensors):
        return from_slopes(lambda kl, bce, B, D, d: kl / bce)(loss, *(change(tensor) for tensor in tensors))

    return answer


def zero_logits_for_no_bce(loss, x, logits, mu, log_var):
    """The BCE at logits of 0 taken for 0."""
    here = loss(x, logits, mu, log_var)
    by_kl = from_slopes(lambda kl, bce, B, D, d: kl)(loss, x, logits, mu, log_var)
    return by_kl / ((here - loss(x, 0 * logits, mu, log_var)) / average_bce(x, logits))


def zero_means_for_no_kl(loss, x, logits, mu, log_var):
    """The KL at means of 0 taken for 0, whatever the variances are."""
    by_bce = from_slopes(lambda kl, bce, B, D, d: bce)(loss, x, logits, mu, log_var)
    change = loss(x, logits, mu, log_var) - loss(x, logits, 0 * mu, log_var)
    return change / average_kl(mu, log_var) / by_bce


def with_other_kl(other_kl):
    """Return an answer that divides by the change of another KL when means and log-variances go to 0."""

    def answer(loss, x, logits, mu, log_var):
        by_bce = from_slopes(lambda kl, bce, B, D, d: bce)(loss, x, logits, mu, log_var)
        change = loss(x, logits, mu, log_var) - loss(x, logits, 0 * mu, 0 * log_var)
        return change / (other_kl(mu, log_var) - other_kl(0 * mu, 0 * log_var)) / by_bce

    return answer


def kl_of_log_sigma(mu, log_var):
    """The KL with the log-variance read as log σ."""
    return average_kl(mu, 2 * log_var)


def kl_of_sigma(mu, log_var):
    """The KL with exp(log_var / 2) in place of the variance."""
    return 0.5 * (mu**2 + (log_var / 2).exp() - 1 - log_var).sum(-1).mean()


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
            from_slopes(lambda kl, bce, B, D, d: kl * d),
            from_slopes(lambda kl, bce, B, D, d: kl / B),
        ),
        Mistake(
            "price of the reconstruction alone",
            "You found how much the loss changes for a nat of reconstruction, or one over that. Which other price "
            "does β compare it with?",
            from_slopes(lambda kl, bce, B, D, d: bce),
            from_slopes(lambda kl, bce, B, D, d: 1 / bce),
        ),
        Mistake(
            "upside down",
            "A loss that hardly counts the KL should have a small β. Yours has a large one.",
            from_slopes(lambda kl, bce, B, D, d: bce / kl),
            from_slopes(lambda kl, bce, B, D, d: bce * D / (kl * d)),
            from_slopes(lambda kl, bce, B, D, d: bce * D / kl),
            from_slopes(lambda kl, bce, B, D, d: bce / (kl * d)),
        ),
        Mistake(
            "share of the KL",
            "Your β never exceeds 1: it is the KL's share of the sum of both prices. β is the price of a nat of KL in "
            "nats of reconstruction.",
            from_slopes(lambda kl, bce, B, D, d: kl / (kl + bce)),
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
            from_slopes(lambda kl, bce, B, D, d: kl * D / (bce * d)),
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
            "log-variance taken for another quantity",
            "Your own KL uses log_var wrongly. Compare it with lesson 04: which power of σ is the exponential of "
            "log_var?",
            with_other_kl(kl_of_log_sigma),
            with_other_kl(kl_of_sigma),
        ),
        Mistake(
            "zero taken for no cost",
            "Logits of 0 are not a BCE of 0, and means of 0 are not a KL of 0 if the variances are not 1. By how many "
            "nats did each term change?",
            zero_logits_for_no_bce,
            zero_means_for_no_kl,
        ),
        Mistake(
            "constants taken for a term",
            "You take a value of the loss for a term of it. It may contain constants that belong to no term; only "
            "changes of the loss are safe.",
            from_values(lambda here, without_kl, kl, bce: (here - without_kl) / kl / (without_kl / bce)),
            from_values(lambda here, without_kl, kl, bce: (here - bce) / kl),
            from_values(lambda here, without_kl, kl, bce: (here - without_kl) / without_kl),
            from_values(lambda here, without_kl, kl, bce: here / (bce + kl)),
            *with_value_at(lambda x, logits: logits),
            *with_value_at(lambda x, logits: 0 * logits),
            rest_taken_for_kl,
            perfect_taken_for_kl,
        ),
        Mistake(
            "changes of the loss, not per nat",
            "You divided two changes of the loss. By how many nats did the KL change, and by how many the "
            "reconstruction?",
            *map(
                ratio_of_changes, (lambda old: 0 * old, lambda old: 2 * old, lambda old: old + 1, lambda old: old + 3)
            ),
            *map(ratio_of_gradients, (torch.norm, torch.sum, torch.mean)),
            *map(ratio_of_gradients, (lambda gradient: gradient.abs().sum(), lambda gradient: gradient.abs().mean())),
        ),
        Mistake(
            "batch of another size",
            "You call the loss with fewer or more pictures than were given. A loss that sums over the batch has "
            "another β there: keep the size.",
            with_batch(lambda tensor: tensor[:1]),
            with_batch(lambda tensor: torch.cat([tensor, tensor])),
            with_batch(lambda tensor: tensor[:2]),
        ),
        Mistake(
            "the β of one particular slip",
            "That is what one particular slip would give, whatever this loss does. Others sum, average or weigh in "
            "other ways: call it and see.",
            from_slopes(lambda kl, bce, B, D, d: D / d),
            from_slopes(lambda kl, bce, B, D, d: d / D),
            from_slopes(lambda kl, bce, B, D, d: float(D)),
            from_slopes(lambda kl, bce, B, D, d: float(B)),
            from_slopes(lambda kl, bce, B, D, d: 1 / B),
            from_slopes(lambda kl, bce, B, D, d: 1.0),
        ),
    ),
)


# reconstruction/repaired_loss(x, x_hat, log_sigma, mu, log_var)


def draw_repaired_loss(rng):
    """Draw different numbers of pictures and latents, or a sum over one could hide a mean over the other."""
    batch = int(rng.integers(2, 4))
    latents = int(rng.choice([size for size in (3, 4, 5) if size != batch]))
    pixels = int(rng.integers(4, 7))
    return {
        "x": rounded_uniform(rng, batch, pixels),
        "x_hat": rounded_uniform(rng, batch, pixels),
        "log_sigma": rounded_uniform(rng, low=-1.2, high=-0.3),
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents),
    }


def draw_negative_loss(rng):
    """Draw near predictions and a small σ: densities above 1, and a loss below zero."""
    case = draw_repaired_loss(rng)
    x_hat = (case["x"] + rounded_normal(rng, *case["x"].shape, scale=0.02)).clamp(0, 1)
    return case | {
        "x_hat": x_hat,
        "log_sigma": torch.tensor(-3.5),
        "mu": case["mu"] / 4,
        "log_var": case["log_var"] / 4,
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


def squares_plain(error, log_sigma):
    """SSE of each picture, without σ."""
    return sum_of_squares(error)


def squares_doubled(error, log_sigma):
    """SSE / σ² of each picture."""
    return 2 * squares_summed(error, log_sigma)


def half_of_log_sigma(log_sigma):
    """½ log(2πσ), for one pixel."""
    return log_sigma / 2 + LOG_2PI / 2


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


def with_known_faults(**wrong):
    """Yield losses with these wrong parts, alone and together with faults of the printed loss."""
    others = [
        {},
        {"kl": kl_averaged, "kl_over_batch": torch.sum},
        {"normaliser": normaliser_without_2pi},
    ]
    for other in others:
        if not other.keys() & wrong.keys():
            yield loss_of(**wrong, **other)


def cut_off(*names):
    """Return the right loss, cut off from these arguments."""

    def answer(**inputs):
        return repaired_loss(**{name: value.detach() if name in names else value for name, value in inputs.items()})

    return lambda x, x_hat, log_sigma, mu, log_var: answer(
        x=x, x_hat=x_hat, log_sigma=log_sigma, mu=mu, log_var=log_var
    )


def sigma_cut_in_squares(x, x_hat, log_sigma, mu, log_var):
    """The right value, with a gradient for log σ from the normaliser alone."""
    return loss_of(squares=lambda error, log_sigma: squares_summed(error, log_sigma.detach()))(
        x, x_hat, log_sigma, mu, log_var
    )


def sigma_cut_in_normaliser(x, x_hat, log_sigma, mu, log_var):
    """The right value, with a gradient for log σ from the squares alone."""
    return loss_of(normaliser=lambda log_sigma: pixel_normaliser(log_sigma.detach()))(x, x_hat, log_sigma, mu, log_var)


def no_mean(costs):
    """The costs of the pictures as they are."""
    return costs


WITHOUT_NORMALISER = {"times": lambda n_pixels: 0}

REPAIRED_LOSS = Task(
    name="reconstruction/repaired_loss",
    draw=(draw_repaired_loss, wide(draw_repaired_loss, "log_var"), draw_negative_loss),
    reference=repaired_loss,
    observe=Gradients(("x_hat", "log_sigma", "mu", "log_var")),
    cases=3,
    mistakes=(
        *faults_left(),
        Mistake(
            "reconstruction summed over the batch",
            "Your squared errors grow with the size of the batch. Summing over everything is right for the pixels; the "
            "task asks for a mean over the pictures.",
            *(
                loss_of(squares=squares_of_the_batch, **others)
                for others in combinations_of(("kl_over_batch", "times", "normaliser"))
            ),
            loss_of(over_batch=torch.sum),
            loss_of(over_batch=torch.sum, kl=kl_averaged),
            loss_of(over_batch=torch.sum, normaliser=normaliser_without_2pi),
        ),
        Mistake(
            "σ in place of σ²",
            "An error equal to σ should cost half a nat, whatever σ is, and the normaliser holds log σ once for each "
            "pixel. `log_sigma` is the logarithm of σ: what is the variance?",
            *with_known_faults(squares=squares_over_sigma, normaliser=half_of_log_sigma),
            *with_known_faults(squares=squares_over_sigma, normaliser=lambda log_sigma: log_sigma / 2),
            *with_known_faults(squares=squares_over_sigma),
            *with_known_faults(normaliser=half_of_log_sigma),
        ),
        Mistake(
            "wrong factor before the squares",
            "An error equal to σ should cost half a nat more than no error, whatever σ is. What does it cost in your "
            "function?",
            *with_known_faults(squares=squares_doubled),
            *with_known_faults(squares=lambda error, log_sigma: squares_summed(error, log_sigma) / 2),
            *with_known_faults(squares=lambda error, log_sigma: squares_summed(error, 2 * log_sigma)),
        ),
        Mistake(
            "squares not divided by σ²",
            "Your squared errors do not depend on log_sigma. Is an error of 0.1 large or small? What does that depend "
            "on?",
            *with_known_faults(squares=squares_plain),
            *with_known_faults(squares=squares_plain, **WITHOUT_NORMALISER),
            *with_known_faults(squares=lambda error, log_sigma: sum_of_squares(error) / 2),
            *with_known_faults(squares=lambda error, log_sigma: sum_of_squares(error) / 2, **WITHOUT_NORMALISER),
            *with_known_faults(squares=lambda error, log_sigma: (error**2).mean(-1)),
            *with_known_faults(squares=lambda error, log_sigma: (error**2).mean(-1), **WITHOUT_NORMALISER),
        ),
        Mistake(
            "no normaliser",
            "In your loss a larger σ makes errors cheaper and costs nothing. Where would training drive log_sigma?",
            *with_known_faults(**WITHOUT_NORMALISER),
            *with_known_faults(squares=squares_averaged, **WITHOUT_NORMALISER),
        ),
        Mistake(
            "a constant of the density counted once",
            "One of the constants of the density, ½ log 2π or log σ, is there once for a whole picture. Each pixel has "
            "a density of its own, with both in it.",
            *(
                lambda x, x_hat, log_sigma, mu, log_var, answer=answer: (
                    answer(x, x_hat, log_sigma, mu, log_var) + LOG_2PI / 2
                )
                for answer in (
                    loss_of(normaliser=normaliser_without_2pi),
                    loss_of(normaliser=normaliser_without_2pi, kl=kl_averaged),
                    loss_of(normaliser=normaliser_without_2pi, kl_over_batch=torch.sum),
                )
            ),
            lambda x, x_hat, log_sigma, mu, log_var: (
                loss_of(normaliser=lambda log_sigma: LOG_2PI / 2)(x, x_hat, log_sigma, mu, log_var) + log_sigma
            ),
        ),
        Mistake(
            "the given σ not used",
            "You put in the best σ for this batch. The task asks for the loss with the σ that is given, from which it "
            "can be learned.",
            with_the_best_sigma,
            lambda x, x_hat, log_sigma, mu, log_var: repaired_loss(
                x, x_hat, root_mean_square(x - x_hat).log(), mu, log_var
            ),
            lambda x, x_hat, log_sigma, mu, log_var: repaired_loss(
                x, x_hat, root_mean_square(x - x_hat).detach().log(), mu, log_var
            ),
        ),
        Mistake(
            "multiplied by B or divided by D",
            "Your loss is summed over the batch, or averaged over the pixels, as a whole. It is not in nats per "
            "picture.",
            *(
                loss_of(over_batch=torch.sum, kl_over_batch=torch.sum, **others)
                for others in combinations_of(("times", "normaliser"))
            ),
            lambda x, *rest: repaired_loss(x, *rest) / x.shape[1],
            lambda x, *rest: repaired_loss(x, *rest) / x.numel(),
        ),
        Mistake(
            "not averaged over the batch",
            "You return one number for each picture, shape (B,). A loss is one number: what should be done with them?",
            *(
                loss_of(over_batch=no_mean, kl_over_batch=no_mean, **others)
                for others in combinations_of(("kl", "times", "normaliser"))
            ),
            loss_of(over_batch=no_mean),
            loss_of(kl_over_batch=no_mean),
        ),
        Mistake(
            "½ of the normaliser forgotten",
            "The normaliser of one pixel is the root of 2πσ². What does the root become in the logarithm?",
            *with_known_faults(normaliser=lambda log_sigma: 2 * log_sigma + LOG_2PI / 2),
            *with_known_faults(normaliser=lambda log_sigma: 2 * log_sigma + LOG_2PI),
            *with_known_faults(normaliser=lambda log_sigma: log_sigma + LOG_2PI),
            *with_known_faults(normaliser=lambda log_sigma: 2 * log_sigma),
        ),
        Mistake(
            "normaliser with the wrong sign",
            "Your normaliser, or a part of it, has the wrong sign. Is a narrow density high or low at its peak, and "
            "what does that cost?",
            *with_known_faults(normaliser=lambda log_sigma: LOG_2PI / 2 - log_sigma),
            *with_known_faults(normaliser=lambda log_sigma: log_sigma - LOG_2PI / 2),
            *with_known_faults(normaliser=lambda log_sigma: -log_sigma - LOG_2PI / 2),
            *with_known_faults(normaliser=lambda log_sigma: -log_sigma),
        ),
        Mistake(
            "reconstruction rewarded for errors",
            "In your loss a larger error costs less. Which sign has minus the ELBO before log p(x|z), and which before "
            "the KL?",
            lambda x, x_hat, log_sigma, mu, log_var: (
                2 * average_kl(mu, log_var) - repaired_loss(x, x_hat, log_sigma, mu, log_var)
            ),
            lambda x, x_hat, log_sigma, mu, log_var: -repaired_loss(x, x_hat, log_sigma, mu, log_var),
            loss_of(squares=lambda error, log_sigma: -squares_summed(error, log_sigma)),
        ),
        Mistake(
            "KL subtracted",
            "Your loss rewards the encoder for leaving the prior. That was right in the printed loss.",
            *with_known_faults(kl=lambda mu, log_var: -kl_summed(mu, log_var)),
            loss_of(kl=lambda mu, log_var: -kl_averaged(mu, log_var)),
        ),
        Mistake(
            "KL left out",
            "Nothing in your loss depends on mu and log_var. What keeps the codes near the prior?",
            *with_known_faults(kl=lambda mu, log_var: 0 * mu.sum(-1)),
        ),
        Mistake(
            "a negative loss changed",
            "Where the loss is below zero you return another number, or cut its gradient. A density may be above 1, so "
            "that minus its logarithm may be negative.",
            lambda *inputs: loss_of()(*inputs).clamp(min=0),
            lambda *inputs: loss_of()(*inputs).abs(),
        ),
        Mistake(
            "½ of the KL forgotten",
            "Your KL is twice what it should be. The ½ was right in the printed loss.",
            *with_known_faults(kl=lambda mu, log_var: 2 * kl_summed(mu, log_var)),
            loss_of(kl=lambda mu, log_var: 2 * kl_averaged(mu, log_var)),
        ),
        Mistake(
            "KL by another formula",
            "Your KL is not that of the printed loss before its sums and means. For mu = 0 and log_var = 0 it should "
            "be 0, and larger on both sides of either: is it?",
            *with_known_faults(kl=lambda mu, log_var: kl_summed(mu, 2 * log_var)),
            *with_known_faults(kl=lambda mu, log_var: kl_summed(mu, log_var) + mu.shape[1] / 2),
            *with_known_faults(kl=lambda mu, log_var: kl_summed(mu, log_var) + log_var.sum(-1)),
            *with_known_faults(kl=lambda mu, log_var: kl_summed(mu, log_var) - log_var.exp().sum(-1)),
            *with_known_faults(kl=lambda mu, log_var: 0.5 * (mu**2).sum(-1)),
            *with_known_faults(kl=lambda mu, log_var: kl_summed(mu, log_var) + (mu - mu**2).sum(-1) / 2),
        ),
        Mistake(
            "cut from the graph",
            "The value is right, but not every gradient: for at least one argument it is 0 or lacks a part. Where do "
            "you detach, convert to a `float`, or make a new tensor?",
            cut_off("log_sigma"),
            sigma_cut_in_squares,
            sigma_cut_in_normaliser,
            cut_off("x_hat"),
            cut_off("mu", "log_var"),
            cut_off("mu"),
            cut_off("log_var"),
            cut_off("x_hat", "log_sigma"),
            cut_off("x_hat", "log_sigma", "mu", "log_var"),
        ),
    ),
)

TASKS = (GAUSSIAN, EXCESS, HELD_OUT, BETTER, HIDDEN_BETA, REPAIRED_LOSS)
