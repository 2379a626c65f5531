"""The tasks of exercise 12, a VAE that somebody else wrote."""

import copy
import itertools
import math
from functools import partial

import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, rounded_uniform
from vae_course.visible.callables import (
    COSTS,
    SIGMAS,
    CodeTerm,
    Draw,
    Linear,
    LinearEncoder,
    PixelLoss,
    Sampler,
    SquaresLoss,
)

__all__ = ["TASKS"]

LOG_2PI = math.log(2 * math.pi)


def latent_kl(mu, log_var):
    """KL of each latent from the standard normal distribution: (B, d)."""
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


def picture_kl(mu, log_var):
    """KL of each picture, in nats: (B,)."""
    return latent_kl(mu, log_var).sum(1)


# examine/reductions(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch)

PIXELS = ("bce", "squares")
WAYS = ("sum", "batch mean", "mean")


def draw_reductions(rng, pixels, reconstruction, kl):
    """Draw sizes of real code. No two of them, and no ratio of two, can be mistaken for another."""
    return {
        "pixels": pixels,
        "reconstruction": reconstruction,
        "kl": kl,
        "weight": float(rng.choice([0.1, 0.3, 3.0, 5.0])),
        "n_pixels": int(rng.choice([784, 1024, 2304, 12288])),
        "n_latents": int(rng.choice([10, 20, 24, 40])),
        "batch": int(rng.choice([50, 100, 144, 250])),
    }


def reductions(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    """Let each picture have one nat of each term, reduce both terms with PyTorch, and compare."""
    reduce = {"sum": torch.sum, "batch mean": lambda terms: terms.sum(1).mean(), "mean": torch.mean}
    one_nat = torch.full((batch, n_pixels), 1 / n_pixels, dtype=torch.float64)
    costs = 2 * one_nat if pixels == "squares" else one_nat  # with σ = 1, two squares of 1 are a nat
    latents = torch.full((batch, n_latents), 1 / n_latents, dtype=torch.float64)
    return weight * reduce[kl](latents) / reduce[reconstruction](costs)


def price(way, n, batch):
    """What a nat per picture adds to a term, relative to the batch mean; this is right."""
    return {"sum": batch, "batch mean": 1, "mean": 1 / n}[way]


HALVES = (1 / 2, 1, 2)  # of the weight, for squares; the first is right


def beta_by(
    of_pixels=price,
    of_latents=price,
    half=1 / 2,
    combine=lambda w, kl, rec: w * kl / rec,
    bce=1.0,
    sizes=lambda D, d: (D, d),
):
    """Return an answer made of these parts; the defaults are right.

    Args:
        of_pixels: the price of a nat of reconstruction, from the way, the number of pixels and the batch size.
        of_latents: the same for the KL.
        half: a factor for squares.
        combine: β from the weight and the prices of the KL and of the reconstruction, without that factor.
        bce: a factor for BCE.
        sizes: what is taken for D and d.
    """

    def answer(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
        n_pixels, n_latents = sizes(n_pixels, n_latents)
        rec, by_kl = of_pixels(reconstruction, n_pixels, batch), of_latents(kl, n_latents, batch)
        return combine(weight, by_kl, rec) * (half if pixels == "squares" else bce)

    return answer


def with_any_half(**parts):
    """Answers with these parts, with and without the ½ of a Gaussian."""
    return [beta_by(half=half, **parts) for half in HALVES]


def priced(sum=None, batch_mean=None, mean=None):
    """A price in which some ways of reducing have another price; the others are right."""

    def wrong_price(way, n, batch):
        other = {"sum": sum, "batch mean": batch_mean, "mean": mean}[way]
        return price(way, n, batch) if other is None else other(n, batch)

    return wrong_price


def counted(way, n, batch):
    """The price times the number of pixels or latents."""
    return n * price(way, n, batch)


def only_if_alike(half):
    """Return an answer that is right for terms reduced alike, and otherwise gives the typed weight."""
    right, typed = beta_by(half=half), beta_by(half=half, combine=lambda w, kl, rec: w)
    return lambda pixels, reconstruction, kl, *rest: (right if reconstruction == kl else typed)(
        pixels, reconstruction, kl, *rest
    )


def typed_if_averaged(half):
    """Return an answer that lets two means over everything cancel, and is right otherwise."""
    right, typed = beta_by(half=half), beta_by(half=half, combine=lambda w, kl, rec: w)
    return lambda pixels, reconstruction, kl, *rest: (typed if reconstruction == kl == "mean" else right)(
        pixels, reconstruction, kl, *rest
    )


def in_either(wrong_price):
    """Answers with a wrong price in both terms, or in one of them."""
    return [
        *with_any_half(of_pixels=wrong_price, of_latents=wrong_price),
        *with_any_half(of_pixels=wrong_price),
        *with_any_half(of_latents=wrong_price),
    ]


REDUCTIONS = Task(
    name="examine/reductions",
    draw=tuple(partial(draw_reductions, pixels=p, reconstruction=r, kl=k) for p in PIXELS for r in WAYS for k in WAYS),
    reference=reductions,
    cases=18,
    mistakes=(
        Mistake(
            "½ of a Gaussian forgotten",
            "You are right for BCE. For squares your β is twice the right one. Minus the log-density of a Gaussian "
            "with σ = 1 is (x − x̂)² / 2, so how many nats is a square of 1?",
            beta_by(half=1),
        ),
        Mistake(
            "½ of a Gaussian on the wrong side",
            "You are right for BCE. For squares your β is four times the right one. A sum of squares counts errors "
            "twice as heavily as minus a log-density with σ = 1. Does that make the KL heavier, or lighter?",
            beta_by(half=2),
        ),
        Mistake(
            "another factor for squares",
            "You are right for BCE. For squares you change the weight of the KL by something else than one half. Minus "
            "the log-density of a Gaussian with σ = 1 is (x − x̂)² / 2: how many nats is a square of 1?",
            beta_by(half=1 / 4),
            beta_by(half=4),
            lambda pixels, *rest: (
                1 / (2 * beta_by(half=1)(pixels, *rest)) if pixels == "squares" else beta_by()(pixels, *rest)
            ),
            lambda pixels, *rest: beta_by()(pixels, *rest) ** (-1 if pixels == "squares" else 1),
        ),
        Mistake(
            "½ for BCE as well",
            "You are right for squares. BCE is minus a log-probability as it stands: nothing is to be halved there.",
            beta_by(bce=1 / 2),
        ),
        Mistake(
            "σ returned",
            "For squares you return the root of the right number, or take a root on the way: that is the σ of lesson "
            "06. The task asks for β, the weight of the KL.",
            beta_by(half=math.sqrt(1 / 2)),
            lambda pixels, *rest: beta_by()(pixels, *rest) ** (0.5 if pixels == "squares" else 1),
            lambda *everything: beta_by()(*everything) ** 0.5,
        ),
        Mistake(
            "upside down",
            "With a mean over pixels and a sum over latents the KL outweighs everything: β should be large. Yours is "
            "small. Which of the two prices is divided by which?",
            *with_any_half(combine=lambda w, kl, rec: w * rec / kl),
            *with_any_half(combine=lambda w, kl, rec: rec / (w * kl)),
        ),
        Mistake(
            "pixels and latents exchanged",
            "A mean over everything divides the reconstruction by the number of pixels, and the KL by the number of "
            "latents. You have them the other way round: with BCE, both averaged, 784 pixels and 20 latents, β is "
            "39.2.",
            *with_any_half(sizes=lambda D, d: (d, D)),
        ),
        Mistake(
            "one size for both terms",
            "You divide by the same number in both terms. A mean over everything divides the reconstruction by the "
            "number of pixels, and the KL by the number of latents.",
            *with_any_half(sizes=lambda D, d: (D, D)),
            *with_any_half(sizes=lambda D, d: (d, d)),
        ),
        Mistake(
            "a mean over everything taken for a batch mean",
            'You treat "mean" like "batch mean" in one of the terms or in both. By what does a mean over a table of B '
            "pictures and D pixels divide the sum of the table?",
            *in_either(priced(mean=lambda n, batch: 1)),
        ),
        Mistake(
            "a mean over everything that forgets the pictures",
            'Your "mean" divides by the number of pixels or latents, and not by the number of pictures as well. It is '
            "as if the term were added up over the batch.",
            *in_either(priced(mean=lambda n, batch: batch / n)),
        ),
        Mistake(
            "a mean over everything divided by the batch too often",
            'Beside your "batch mean", your "mean" is smaller by the batch size and the number of pixels or latents. '
            "Both divide by the number of pictures, once.",
            *in_either(priced(mean=lambda n, batch: 1 / (n * batch))),
        ),
        Mistake(
            "a mean over everything in which only pictures count",
            'Your "mean" divides by the batch size only, or by it once more. Is a mean over a table of 100 pictures '
            "and 784 pixels the sum divided by 100?",
            *in_either(priced(mean=lambda n, batch: 1 / batch)),
        ),
        Mistake(
            "multiplied for divided",
            "In your β a mean makes a term heavier than a sum does. By averaging a term over its 784 pixels, does one "
            "make it larger or smaller?",
            *in_either(priced(mean=lambda n, batch: n)),
            *in_either(priced(sum=lambda n, batch: 1 / batch)),
            *with_any_half(of_pixels=lambda way, n, batch: 1 / price(way, n, batch)),
            *with_any_half(of_latents=lambda way, n, batch: 1 / price(way, n, batch)),
        ),
        Mistake(
            "only one term looked at",
            "You use how one of the terms is reduced, and not the other. β compares two prices.",
            *with_any_half(combine=lambda w, kl, rec: w * kl),
            *with_any_half(combine=lambda w, kl, rec: w / rec),
        ),
        Mistake(
            "numbers of terms compared",
            "With both terms summed over everything β is the typed weight, halved for squares, whatever D and d are. "
            "In yours it depends on how many pixels and latents there are. A nat is a nat, over however many latents "
            "it is spread.",
            *with_any_half(of_pixels=counted, of_latents=counted),
            *with_any_half(of_pixels=counted),
            *with_any_half(of_latents=counted),
            *with_any_half(of_pixels=counted, of_latents=counted, combine=lambda w, kl, rec: w * rec / kl),
            *with_any_half(combine=lambda w, kl, rec: w * kl / rec, sizes=lambda D, d: (d, D), of_pixels=counted),
        ),
        Mistake(
            "only terms that are reduced alike",
            "You are right where both terms are reduced in the same way. Where one is summed and the other averaged, "
            "your β takes no notice of it.",
            *(only_if_alike(half=half) for half in HALVES),
        ),
        Mistake(
            "two means cancelled",
            "Where both terms are averaged over everything your β takes no notice of it, as if two means cancelled. "
            "One of them divides by B · D, the other by B · d. What is left of that?",
            *(typed_if_averaged(half=half) for half in HALVES),
        ),
        Mistake(
            "the typed weight returned",
            "You return what was typed before the KL. A sum or a mean in front of either term changes what it weighs.",
            *with_any_half(combine=lambda w, kl, rec: w),
        ),
        Mistake(
            "sum taken for a batch mean",
            'You treat "sum" like "batch mean" in one of the terms or in both. The sum over a batch of 100 is 100 '
            "times its mean. That cancels only if the other term is summed over the batch as well.",
            *in_either(priced(sum=lambda n, batch: 1)),
        ),
        Mistake(
            "batch mean taken for a sum",
            'You treat "batch mean" like "sum" in one of the terms or in both. A batch mean has been divided by the '
            "number of pictures, and a sum has not.",
            *in_either(priced(batch_mean=lambda n, batch: batch)),
        ),
        Mistake(
            "batch mean taken for a mean over everything",
            'You treat "batch mean" like "mean" in one of the terms or in both. It averages over the pictures only: '
            "the pixels or latents of a picture are added up.",
            *in_either(priced(batch_mean=lambda n, batch: 1 / n)),
        ),
        Mistake(
            "the typed weight ignored",
            "The code multiplies its KL by `weight`, and your β does not depend on it in the same way.",
            *with_any_half(combine=lambda w, kl, rec: kl / rec),
            *with_any_half(combine=lambda w, kl, rec: kl / rec / w),
        ),
    ),
)


# Words: an answer that confuses some of them


def confused(truth, said):
    """Return an answer that gives the right word of each case, but for those kinds of case that `said` has."""
    return lambda *inputs: said.get(truth(*inputs), truth(*inputs))


# examine/likelihood(loss, x)

LIKELIHOODS = tuple(COSTS)
SPOKEN = {
    "bernoulli": "BCE of probabilities",
    "bernoulli logits": "BCE of log-odds",
    "sigmoid twice": "BCE after two sigmoids",
    "gaussian": "squares",
    "laplace": "absolute values",
}


def draw_likelihood(rng, kind, variant):
    """Draw a loss as it stands in a textbook, or with an unknown factor, constant and reduction; and grey pictures."""
    batch, pixels = int(rng.integers(2, 4)), int(rng.integers(4, 7))
    along = [("mean", "mean"), ("mean", "sum"), ("sum", "sum")][int(rng.integers(3))]
    others = {
        "plain": {},
        "small": {"along": ("mean", "mean"), "scale": float(rng.choice([0.02, 0.05])), "offset": 2.0},
        "large": {"along": along, "scale": float(rng.choice([20.0, 50.0])), "offset": -float(rng.integers(1, 4))},
    }
    grey = 0.05 * rng.integers(2, 18, size=(batch, pixels)) + rng.choice([0.01, 0.02, 0.03], size=(batch, pixels))
    return {
        "loss": PixelLoss(kind, **others[variant]),
        "x": torch.tensor(np.round(grey, 2), dtype=torch.float32),
    }


def likelihood(loss, x):
    """The word from the construction of the loss."""
    return loss.kind


def slope_at(cost, x, output):
    """The slope of a cost for one pixel."""
    output = torch.tensor([[output]], dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(cost(torch.full_like(output, x), output).sum(), output)[0].item()


def slopes_of(cost, x=0.3, outputs=(0.2, 0.4, 0.8)):
    """Slopes for one pixel at some outputs, each relative to the size of the first."""
    slopes = [slope_at(cost, x, output) for output in outputs]
    return ", ".join(f"{slope / abs(slopes[0]):.2f}" for slope in slopes)


def what_decides_likelihood(loss, x):
    """Three slopes of this loss, and what does not matter."""
    return (
        f"This loss was multiplied by {loss.scale:g}, and {loss.offset:g} was added. For one pixel x = 0.3 its slopes "
        f"at the outputs 0.2, 0.4 and 0.8 are as {slopes_of(loss)}. Which of the five has such slopes?"
    )


def slopes_matched(loss, x, distance, at=None):
    """The word whose slopes have the least distance from those of the loss, at one output or at many."""

    def slope(cost):
        output = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).view_as(x)
        output = (output if at is None else torch.full_like(x, at)).requires_grad_()
        return torch.autograd.grad(cost(x, output).sum(), output)[0].flatten()

    found = slope(loss)
    return min(LIKELIHOODS, key=lambda word: distance(found, slope(COSTS[word])))


def values_matched(loss, x, ways, low, high=None):
    """The word whose value, summed or averaged, is nearest to that of the loss, at one output or between two."""
    output = torch.linspace(low, low if high is None else high, x.numel(), dtype=x.dtype).view_as(x)
    value = loss(x, output)
    return min(LIKELIHOODS, key=lambda word: min(abs(value - over(COSTS[word](x, output))) for over in ways))


def by_pictures(costs):
    """Costs of pixels (B, D), summed over pixels and averaged over pictures."""
    return costs.sum(1).mean()


def no_cost_at_the_target(said, twice="sigmoid twice"):
    """Return an answer that says this of squares and absolute values unless the loss is 0 at output = x."""

    def answer(loss, x):
        if loss.kind in ("gaussian", "laplace"):
            return loss.kind if abs(float(loss(x, x))) < 1e-6 else said
        return twice if loss.kind == "sigmoid twice" else loss.kind

    return answer


def by_its_growth(loss, x):
    """Take a loss that doubles with the error for absolute values, and one that grows fourfold for squares."""
    if loss.kind not in ("gaussian", "laplace"):
        return loss.kind
    return "laplace" if loss(x, x + 0.2) / loss(x, x + 0.1) < 3 else "gaussian"


LEAST_AT_THE_TARGET = ("bernoulli", "gaussian", "laplace")


def confusions_of_likelihoods():
    """All answers worth a name: a kind of loss and the word for it, for all kinds that get a wrong one.

    They are wrong in one kind, or confuse kinds that are least at output = x among themselves and those that are not.
    """
    yield from ({kind: word} for kind, word in itertools.permutations(LIKELIHOODS, 2))
    for first, second in itertools.permutations(LIKELIHOODS, 2):
        yield {first: second, second: first}
    for one, other, word in itertools.permutations(LIKELIHOODS, 3):
        yield {one: word, other: word}
    rest = [kind for kind in LIKELIHOODS if kind not in LEAST_AT_THE_TARGET]
    for words in itertools.product(*[LEAST_AT_THE_TARGET] * 3, *[rest] * 2):
        yield {kind: word for kind, word in zip((*LEAST_AT_THE_TARGET, *rest), words, strict=True) if kind != word}


def likelihood_confusions():
    """Yield a mistake for each kind of loss and wrong word, with the answers in which it is the first that is wrong."""
    found = {frozenset(said.items()): said for said in confusions_of_likelihoods() if said}.values()
    for kind, word in itertools.permutations(LIKELIHOODS, 2):
        chosen = [said for said in found if min(said, key=LIKELIHOODS.index) == kind and said[kind] == word]
        yield Mistake(
            f"{SPOKEN[kind]} called {word!r}",
            f'You answer "{word}" where the loss has {SPOKEN[kind]}. For one pixel x = 0.3 the slopes at the '
            f"outputs 0.2, 0.4 and 0.8 are as {slopes_of(COSTS[kind])} for {SPOKEN[kind]}, and as "
            f"{slopes_of(COSTS[word])} for {SPOKEN[word]}. No factor turns one into the other.",
            *(confused(likelihood, said) for said in chosen),
        )


def sum_of_sizes(found, own):
    return (found - own).abs().sum()


def sum_of_sizes_of_means(found, own):
    return (found - own / len(own)).abs().sum()


LIKELIHOOD = Task(
    name="examine/likelihood",
    draw=tuple(
        partial(draw_likelihood, kind=kind, variant=variant)
        for variant in ("plain", "small", "large")
        for kind in LIKELIHOODS
    ),
    reference=likelihood,
    cases=15,
    decides=what_decides_likelihood,
    library=("vae_lessons.examine.examine_loss",),
    mistakes=(
        Mistake(
            "a factor decides",
            "Your word changes when the loss is multiplied by a number: you compare the size of its slopes with that "
            "of a sum or a mean. Nobody knows the factor. What about slopes does not depend on it?",
            *(
                partial(slopes_matched, distance=distance, at=at)
                for distance in (sum_of_sizes, sum_of_sizes_of_means)
                for at in (None, 0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
            ),
        ),
        Mistake(
            "a constant decides",
            "Your word changes when a number is added to the loss: you take a value of the loss for a cost. A loss "
            "need not be 0 for a perfect picture. What does a constant leave alone?",
            *(no_cost_at_the_target(said) for said in ("bernoulli", "bernoulli logits", "sigmoid twice")),
            *(no_cost_at_the_target(said, "bernoulli logits") for said in ("bernoulli", "bernoulli logits")),
            by_its_growth,
        ),
        Mistake(
            "values compared",
            "You compare values of the loss with those of a sum or a mean. Nobody knows the factor, nor the constant, "
            "and every value changes with both. What does a constant leave alone, and what of that does a factor leave "
            "alone as well?",
            *(
                partial(values_matched, ways=ways, low=low, high=high)
                for ways in ((torch.sum,), (torch.mean,), (torch.sum, torch.mean), (torch.sum, torch.mean, by_pictures))
                for low, high in (
                    *((at, None) for at in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)),
                    *((low, 1 - low) for low in (0.1, 0.05, 0.2, 0.01, 0.02, 0.3)),
                )
            ),
        ),
        *likelihood_confusions(),
    ),
)


# examine/draws(sample)

SAID_OF_DRAWS = {  # by the fault of a sampler
    "right": "right",
    "variance": "variance",
    "uniform": "uniform",
    "shared by pictures": "shared",
    "shared by latents": "shared",
    "frozen": "frozen",
    "none": "none",
}
HINTS_OF_DRAWS = {
    "variance": "You take draws for right that scale the noise by exp(log_var). With log_var = 0 nobody can see it. "
    "With log_var = −2 their standard deviation is 0.14, and not 0.37.",
    "uniform": "You take draws for right whose noise is uniform between 0 and 1. With mu = 0 all of them are above 0, "
    "half of them above σ/2, and none above σ.",
    "shared by pictures": "You take draws for right in which all pictures of a batch get the same noise. With mu = 0 "
    "and log_var = 0 the rows of one draw are equal. A call with a single picture cannot show it.",
    "shared by latents": "You take draws for right in which all latents of a picture get the same noise. With mu = 0 "
    "and log_var = 0 the columns of one draw are equal. A call with a single latent cannot show it.",
    "frozen": "You take draws for right that are the same at each call. Within one call they look perfect. How many "
    "calls does it take to see it?",
    "none": "You take mu itself for a draw. With log_var = 0 a draw should differ from mu by about 1.",
}
OTHER_HINTS_OF_DRAWS = {
    "variance": "You give another word to draws that scale the noise by exp(log_var): with log_var = −2 their standard "
    "deviation is 0.14. The noise itself is Gaussian, independent and new at each call.",
    "uniform": "You give another word to draws with uniform noise. With mu = 0 and log_var = 0 they lie between 0 and "
    "1, with a mean of 0.5 and a standard deviation of 0.29. Only the shape of the noise is wrong.",
    "shared by pictures": "You give another word to draws in which all pictures of a batch share their noise. Within a "
    "picture the latents differ, and the next call gives others.",
    "shared by latents": "You give another word to draws in which all latents of a picture share their noise. The "
    "pictures differ, and the next call gives others.",
    "frozen": "You give another word to draws that are the same at each call. They differ from mu, and the numbers "
    "within one call are independent.",
    "none": "You give another word where mu comes back. It is the same at each call, and equal in all rows, if mu is: "
    "what else is true of it, and of nothing else?",
}


def draw_draws(rng, fault):
    return {"sample": Sampler(fault, int(rng.integers(2**31)))}


def fault_of(sample):
    return sample.fault


def draws(sample):
    """The word from the construction of the sampler."""
    return SAID_OF_DRAWS[sample.fault]


def what_decides_draws(sample):
    """What 4,000 draws show."""
    sample = copy.deepcopy(sample)
    mu, log_var = torch.zeros(4_000, 2, dtype=torch.float64), torch.full((4_000, 2), -2.0, dtype=torch.float64)
    first, second = sample(mu, log_var), sample(mu, log_var)
    table = {
        "mean": first.mean(),
        "standard deviation": first.std(),
        "least": first.min(),
        "largest difference of two pictures": (first[0] - first).abs().max(),
        "of two latents": (first[:, 0] - first[:, 1]).abs().max(),
        "of two calls": (first - second).abs().max(),
    }
    numbers = ", ".join(f"{name} {value:.2f}" for name, value in table.items())
    return f"4,000 draws with mu = 0, log_var = −2: {numbers}. (exp(−1) is 0.37, exp(−2) is 0.14.)"


def said_of_draws(said):
    """Return an answer that is right but for samplers with these faults."""
    return lambda sample: said.get(sample.fault, SAID_OF_DRAWS[sample.fault])


def with_later(faults, number, most):
    """One of several faults alone, and with each choice of those after it, but at most so many."""
    first, *later = faults[number:]
    for count in range(most):
        yield from ((first, *more) for more in itertools.combinations(later, count))


def draw_confusions():
    """Yield mistakes: a fault overlooked, alone or with others; a fault called by another's name."""
    faults = tuple(HINTS_OF_DRAWS)
    for number, fault in enumerate(faults):
        yield Mistake(
            f"{NAMES_OF_FAULTS[fault]} overlooked",
            HINTS_OF_DRAWS[fault],
            *(said_of_draws(dict.fromkeys(some, "right")) for some in with_later(faults, number, most=5)),
        )
    for fault, hint in OTHER_HINTS_OF_DRAWS.items():
        words = sorted({*SAID_OF_DRAWS.values()} - {"right", SAID_OF_DRAWS[fault]})
        yield Mistake(
            f"{NAMES_OF_FAULTS[fault]} called something else",
            hint,
            *(said_of_draws({fault: word}) for word in words),
            *(said_of_draws({fault: word, other: "right"}) for word in words for other in faults if other != fault),
        )


NAMES_OF_FAULTS = {
    "variance": "exp(log_var) for σ",
    "uniform": "uniform noise",
    "shared by pictures": "noise shared by pictures",
    "shared by latents": "noise shared by latents",
    "frozen": "frozen noise",
    "none": "no noise",
}

DRAWS = Task(
    name="examine/draws",
    draw=tuple(
        partial(draw_draws, fault=fault)
        for fault in (*SAID_OF_DRAWS, *["right", "variance"] * 2)  # so many that a few draws cannot name all of them
    ),
    reference=draws,
    cases=44,
    decides=what_decides_draws,
    alike=fault_of,
    mistakes=(
        Mistake(
            "σ and σ² exchanged",
            "You turn down the draws with the right spread, and accept those that scale the noise by exp(log_var). "
            "With log_var = −2 the standard deviation should be exp(−1) = 0.37, and the variance exp(−2) = 0.14.",
            said_of_draws({"right": "variance", "variance": "right"}),
            said_of_draws({"right": "variance", "variance": "right", "shared by latents": "right"}),
            said_of_draws({"right": "variance", "variance": "right", "frozen": "right"}),
        ),
        Mistake(
            "right draws turned down",
            "You find a fault in draws that are right. With mu = 0 and log_var = −2, what are the mean and the "
            "standard deviation of many draws, and by how much may chance move them?",
            *(said_of_draws({"right": word}) for word in sorted({*SAID_OF_DRAWS.values()} - {"right"})),
        ),
        *draw_confusions(),
    ),
)


# examine/readings(draw, kl)

READINGS = tuple(SIGMAS)
NO_KL = "no KL"
FAULTS_OF_KL = {  # by fault: what is wrong, and a hint for those who accept it
    "sign": (
        "wrong sign",
        "One of the KLs has all its signs turned round. Its slopes are minus those of a KL, and training would drive "
        "mu away from 0. Does your comparison see a sign?",
    ),
    "sign of the logarithm": (
        "one wrong sign",
        "In one of the KLs the logarithm has the wrong sign: mu² + σ² + log σ². Its slope in mu is right, its slope in "
        "s is not: σ is driven to 0.",
    ),
    "no logarithm": (
        "the logarithm missing",
        "One of the KLs lacks its logarithm: mu² + σ². Its slope in mu is right, its slope in s is above 0 for every "
        "s, so that σ is driven to 0.",
    ),
    "another prior": (
        "½ at the logarithm only",
        "One of the KLs is mu² + σ² − ½ log σ²: the ½ stands at the logarithm only. It is a KL to another prior, "
        "N(0, ½). Its slopes are not in the same ratio as those of a KL to N(0, I). Do you compare the whole slope in "
        "s?",
    ),
    "no mean": (
        "mu² missing",
        "One of the KLs lacks mu². Its slope in s is right, but its slope in mu is 0, and nothing holds the codes near "
        "0. Do you look at both slopes?",
    ),
    "reversed": (
        "the other direction",
        "One of the KLs is KL(p ‖ q), averaged over the prior. It is 0 for mu = 0 and σ = 1 as well, but its slope in "
        "mu depends on σ. Do you look at more than one point?",
    ),
    "detached": (
        "a value without its slope",
        "One of the KLs has the right *values*, and its slope in s is 0: that s was detached. Training follows slopes. "
        "Do you compare slopes, or values?",
    ),
}


def draw_readings(rng, drawn, charged, fault=""):
    return {
        "draw": Draw(drawn),
        "kl": CodeTerm(charged, fault, float(rng.choice([0.05, 0.5, 2.0, 20.0])), float(rng.choice([-3.0, 1.0, 5.0]))),
    }


def readings(draw, kl):
    """The words from the construction of both."""
    return draw.reading, NO_KL if kl.fault else kl.reading


def slopes_of_kl(kl, mu=1.0, s=4.0):
    """The slopes in mu and in s for one latent."""
    mu, s = (torch.tensor([[value]], dtype=torch.float64, requires_grad=True) for value in (mu, s))
    return [slope.item() for slope in torch.autograd.grad(kl(mu, s), (mu, s), materialize_grads=True)]


def what_decides_readings(draw, kl):
    """A draw and two slopes."""
    one = torch.ones(1, 1, dtype=torch.float64)
    by_mu, by_s = slopes_of_kl(kl)
    far_mu, far_s = slopes_of_kl(kl, mu=2.0)
    return (
        f"With s = 4 and mu = 0, eps = 1 becomes z = {draw(0 * one, 4 * one, one).item():.2f}. With s = 4 the slopes "
        f"of the KL in mu and in s are {by_mu:.4g} and {by_s:.4g} at mu = 1, {far_mu:.4g} and {far_s:.4g} at mu = 2."
    )


def said_of_readings(drawn=None, charged=None, faults=None):
    """Return an answer that is right but for these readings of the draw and of the KL, and these faults of the KL."""

    def answer(draw, kl):
        first, second = readings(draw, kl)
        first = (drawn or {}).get(first, first)
        second = (faults or {}).get(kl.fault, second) if kl.fault else (charged or {}).get(second, second)
        return first, second

    return answer


def reading_confusions():
    """Yield a mistake for each two readings that are confused: in the draw, in the KL or in both, or exchanged."""
    at_4 = {word: SIGMAS[word](torch.tensor(4.0)).item() for word in READINGS}
    for kind, word in itertools.permutations(READINGS, 2):
        maps = [{kind: word}]
        if READINGS.index(kind) < READINGS.index(word):
            maps.append({kind: word, word: kind})
        yield Mistake(
            f"{kind} taken for {word}",
            f'At least once you answer "{word}" where s stands for the {kind}. With s = 4, σ is {at_4[kind]:.4g} if s '
            f"is the {kind}, and {at_4[word]:.4g} if it is the {word}; with s = 4 and mu = 1 the slope of the KL in s "
            f"is {ratio_of_slopes(kind):.4g} or {ratio_of_slopes(word):.4g} times that in mu."
            + (" At s = 1 nothing tells the two apart." if {kind, word} == {"sigma", "variance"} else ""),
            *(said_of_readings(drawn=said) for said in maps),
            *(said_of_readings(charged=said) for said in maps),
            *(said_of_readings(drawn=said, charged=said) for said in maps),
        )


def ratio_of_slopes(word):
    by_mu, by_s = slopes_of_kl(CodeTerm(word))
    return by_s / by_mu


def faults_accepted():
    """Yield a mistake for each fault of a KL that goes unnoticed, alone or with some others."""
    faults = tuple(FAULTS_OF_KL)
    for number, fault in enumerate(faults):
        what, hint = FAULTS_OF_KL[fault]
        yield Mistake(
            f"a KL with {what} accepted",
            hint,
            *(
                said_of_readings(faults=dict.fromkeys(some, "log-variance"))
                for some in with_later(faults, number, most=3)
            ),
        )


SIMILAR = (
    lambda found, own: torch.cosine_similarity(found, own, dim=0),
    lambda found, own: torch.cosine_similarity(found, own, dim=0).abs(),
    lambda found, own: -(found - own).norm(),
)
SOME_POINTS = (
    ((1.0, 0.5), (-2.0, 2.0), (0.5, 3.0)),
    ((1.0, 2.0),),
    ((1.0, 0.5),),
    ((0.5, 0.5), (1.0, 1.0), (2.0, 2.0)),
)


def best_of_four(draw, kl, similar, points):
    """The draw's word, and the reading whose slopes are most similar to those of the KL, however unlike they are."""

    def slopes(term):
        mu, s = (
            torch.tensor([numbers], dtype=torch.float64, requires_grad=True) for numbers in zip(*points, strict=True)
        )
        return torch.cat(torch.autograd.grad(term(mu, s), (mu, s)), 1)[0]

    found = slopes(kl)
    return draw.reading, max(READINGS, key=lambda word: similar(found, slopes(CodeTerm(word))))


def with_own_kl(own):
    """Return an answer that compares the slopes of the KL with those of this one, from mu, σ and log σ."""

    def answer(draw, kl):
        def slopes(term):
            mu, s = torch.tensor([[1.0, -2.0, 0.5], [0.5, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)[:, None]
            return torch.cat(torch.autograd.grad(term(mu, s), (mu, s)), 1)[0]

        found, charged = slopes(kl), NO_KL
        for word, sigma_of in SIGMAS.items():
            term = slopes(lambda mu, s, sigma_of=sigma_of: own(mu, sigma_of(s), sigma_of(s).log()).sum())
            if torch.cosine_similarity(found, term, dim=0) > 0.9999:
                charged = word
        return draw.reading, charged

    return answer


def right_kls_turned_down():
    """Yield a mistake for each reading whose KL is called none, alone or with that of a later reading."""
    for number, word in enumerate(READINGS):
        yield Mistake(
            f"a KL of {word} called no KL",
            f'You answer "no KL" where the KL is right, and s is the {word}. With s = 4 and mu = 1 its slope in s is '
            f"{ratio_of_slopes(word):.4g} times that in mu. Compare your own, for this s.",
            said_of_readings(charged={word: NO_KL}),
            *(said_of_readings(charged={word: NO_KL, later: NO_KL}) for later in READINGS[number + 1 :]),
        )


def no_kl_unless(rule):
    """Return an answer that says "no KL" also where this rule does not hold."""

    def answer(draw, kl):
        first, second = readings(draw, kl)
        return first, second if rule(draw, kl) else NO_KL

    return answer


READINGS_TASK = Task(
    name="examine/readings",
    draw=(
        *(partial(draw_readings, drawn=word, charged=word) for word in READINGS),
        *(partial(draw_readings, drawn=drawn, charged=word) for drawn, word in itertools.permutations(READINGS, 2)),
        *(
            partial(draw_readings, drawn=word, charged="log-variance", fault=fault)
            for word, fault in zip(itertools.cycle(READINGS), FAULTS_OF_KL)
        ),
    ),
    reference=readings,
    cases=23,
    decides=what_decides_readings,
    library=("vae_lessons.examine.examine_loss",),
    mistakes=(
        Mistake(
            "the KL's word copied from the draw",
            "Your second word always repeats the first. The draw and the KL are two pieces of code, and each may take "
            "s for something else: that is what you are to find out.",
            lambda draw, kl: (draw.reading, draw.reading),
            lambda draw, kl: (draw.reading, NO_KL if kl.fault else draw.reading),
        ),
        Mistake(
            "the draw's word copied from the KL",
            "Your first word always repeats the second. The draw shows by itself what it takes s for.",
            lambda draw, kl: (kl.reading, readings(draw, kl)[1]),
        ),
        Mistake(
            "both words exchanged",
            "Your two words come in the wrong order: the draw's first, then that of the KL.",
            lambda draw, kl: readings(draw, kl)[::-1],
        ),
        Mistake(
            "disagreement called no KL",
            'You answer "no KL" where the KL takes s for something else than the draw does. By itself it is a KL: say '
            "for which s. That the two do not fit shows when you compare the words.",
            no_kl_unless(lambda draw, kl: draw.reading == kl.reading),
            no_kl_unless(lambda draw, kl: kl.reading == "log-variance"),
        ),
        Mistake(
            "a factor called no KL",
            "Your second word depends on a factor before the KL. β, a mean in place of a sum, or a forgotten ½ "
            "multiply all of its slopes alike. What about slopes does not depend on a factor?",
            *(
                no_kl_unless(lambda draw, kl, limit=limit: limit(kl.scale))
                for limit in (
                    lambda scale: scale == 0.5,
                    lambda scale: scale == 2,
                    lambda scale: scale > 1,
                    lambda scale: scale < 1,
                    lambda scale: 0.1 < scale < 10,
                )
            ),
        ),
        Mistake(
            "always no KL",
            "You find no KL anywhere. Do you compare values, or slopes? A factor and a constant change every value. Of "
            "slopes they leave the ratio alone: for mu = 1 and s = 4, taken for the log-variance, the slopes in mu and "
            "in s are as 1 to 26.8. Are those of the KL with which you compare?",
            no_kl_unless(lambda draw, kl: False),
            with_own_kl(lambda mu, sigma, log: mu**2 + sigma - 2 * log),
        ),
        Mistake(
            "own KL wrong",
            "KLs that are right do not fit the one with which you compare. For mu = 1 and s = 4, taken for the "
            "log-variance, its slopes in mu and in s should be as 1 to 26.8. Compare it with lesson 04, section 2.",
            with_own_kl(lambda mu, sigma, log: mu**2 + sigma**2 - log),
            with_own_kl(lambda mu, sigma, log: mu**2 + sigma - log),
            with_own_kl(lambda mu, sigma, log: mu + sigma**2 - 2 * log),
            with_own_kl(lambda mu, sigma, log: mu**2 + sigma**2 + 2 * log),
            with_own_kl(lambda mu, sigma, log: mu**2 / 2 + sigma**2 - 2 * log),
            with_own_kl(lambda mu, sigma, log: mu**2 + sigma**2 / 2 - log),
            with_own_kl(lambda mu, sigma, log: (1 + mu**2) / sigma**2 + 2 * log),
        ),
        Mistake(
            "no KL never said",
            'Your second word is never "no KL". Seven of these have a wrong sign or ½, lack a part, run the other way, '
            "or send no gradient to s. Compare both slopes, at more than one point.",
            said_of_readings(faults=dict.fromkeys(FAULTS_OF_KL, "log-variance")),
            said_of_readings(faults=dict.fromkeys(FAULTS_OF_KL, "log sigma")),
            *(partial(best_of_four, similar=similar, points=points) for similar in SIMILAR for points in SOME_POINTS),
        ),
        Mistake(
            "tried only where the KL is least",
            "You look at the slopes of the KL at mu = 0 and σ = 1, where they are 0. So they are for two readings at a "
            "time, for a KL in the other direction, and whatever the sign. Go to points where the slopes are not 0.",
            *(
                said_of_readings(charged=charged, faults=dict.fromkeys(some, "log-variance"))
                for charged in (
                    {"log sigma": "log-variance", "variance": "sigma"},
                    {"log sigma": "log-variance", "sigma": "variance"},
                )
                for some in (
                    ("sign", "no mean", "reversed", "detached"),
                    ("no mean", "reversed", "detached"),
                    ("sign", "reversed"),
                    ("reversed",),
                )
            ),
        ),
        Mistake(
            "tried only at s = 1",
            "At s = 1, σ and σ² are the same number, and the KL has the slope 0 in s whether s is one or the other, or "
            "was detached. You confuse these. Look at other s as well.",
            *(
                said_of_readings(drawn=drawn, charged={word: other}, faults=dict.fromkeys(some, "log-variance") | one)
                for word, other in (("variance", "sigma"), ("sigma", "variance"))
                for drawn in (None, {word: other})
                for some in ((), ("sign",))
                for one in ({"detached": "sigma"}, {"detached": "variance"})
            ),
        ),
        *right_kls_turned_down(),
        *faults_accepted(),
        *reading_confusions(),
    ),
)


# examine/validation(mu, log_var, batches, noise, encoder, decoder)


def draw_validation(rng):
    """Draw batches of different sizes, codes of another batch, and numbers of pixels and latents that differ.

    Log-odds stay so small that a probability in single precision serves as well.
    """
    pixels, latents = int(rng.integers(6, 9)), int(rng.integers(2, 4))
    sizes = rng.permutation([2, 5, int(rng.integers(7, 9))]).tolist()
    while True:
        encoder = LinearEncoder(
            rounded_normal(rng, pixels, latents, scale=0.4), rounded_normal(rng, pixels, latents, scale=0.3)
        )
        decoder = Linear(rounded_normal(rng, latents, pixels, scale=0.8), rounded_normal(rng, pixels, scale=0.5))
        batches = [pictures(rng, size, pixels) for size in sizes]
        noise = [rounded_normal(rng, size, latents) for size in sizes]
        mu, log_var = encoder(pictures(rng, 4, pixels))
        if decoder(SAMPLE(*encoder(torch.cat(batches)), torch.cat(noise))).abs().max() < 7:
            inputs = {"mu": mu, "log_var": log_var, "batches": batches, "noise": noise}
            return inputs | {"encoder": encoder, "decoder": decoder}


def pictures(rng, *shape):
    """Pictures of ink (1) and paper (0), float32."""
    return torch.tensor(rng.integers(0, 2, size=shape), dtype=torch.float32)


def validation(mu, log_var, batches, noise, encoder, decoder):
    """Minus the ELBO of all pictures at once, from PyTorch's distributions; the codes of the training batch unused."""
    x, eps = torch.cat(batches).double(), torch.cat(noise).double()
    mean, log_variance = encoder(x)
    q = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    pixels = Independent(Bernoulli(logits=decoder(mean + q.stddev * eps)), 1)
    costs = (kl_divergence(q, p) - pixels.log_prob(x)).numpy()
    return costs.mean(), np.std(costs, ddof=1) / math.sqrt(len(costs))


def with_noise(sigma):
    """A draw with this σ, made from log_var."""
    return lambda mu, log_var, eps: mu + sigma(log_var) * eps


SAMPLE = with_noise(lambda log_var: (log_var / 2).exp())


def mean_decoded(mu, log_var, eps):
    return mu


def bce(x, logits):
    """BCE of each pixel: (B, D)."""
    return binary_cross_entropy_with_logits(logits, x, reduction="none")


def picture_bce(x, logits):
    return bce(x, logits).sum(1)


def own_kl(own, stale):
    return picture_kl(*own)


def stale_kl(own, stale):
    return picture_kl(*stale).mean()


def standard_error(values):
    return values.std() / len(values) ** 0.5


def pooled(costs, kls):
    """The mean over all pictures and its standard error: lists of (B,)."""
    total = torch.cat(costs) + torch.cat(kls)
    return total.mean(), standard_error(total)


def batch_means(costs, kls):
    return torch.stack([(cost + kl).mean() for cost, kl in zip(costs, kls, strict=True)])


def term_by_batches(costs, kls, at):
    """The sum of both means, the costs' (0) or the KLs' (1) over batches, the other's over pictures."""
    terms = (costs, kls)
    return torch.stack([batch.mean() for batch in terms[at]]).mean() + torch.cat(terms[1 - at]).mean()


def mean_of_means(costs, kls):
    return batch_means(costs, kls).mean(), pooled(costs, kls)[1]


def mean_and_error_of_means(costs, kls):
    means = batch_means(costs, kls)
    return means.mean(), standard_error(means)


def validated(z_of=SAMPLE, costs_of=picture_bce, kl_of=own_kl, pool=pooled):
    """Return an answer made of these parts; the defaults are right.

    Args:
        z_of: draws z from mu, log_var and eps.
        costs_of: the reconstruction cost of each picture, from x and logits.
        kl_of: the KL, from the codes of the batch and the stale ones.
        pool: both results, from lists of costs and KLs, a tensor (B,) for each batch.
    """

    def answer(mu, log_var, batches, noise, encoder, decoder):
        costs, kls = [], []
        for x, eps in zip(batches, noise, strict=True):
            own = encoder(x)
            costs.append(costs_of(x, decoder(z_of(*own, eps))))
            kls.append(kl_of(own, (mu, log_var)).expand(len(x)))
        return pool(costs, kls)

    return answer


def error_by(error):
    """Pool with another second result, from the costs of all pictures, their KLs, and both as lists."""
    return lambda costs, kls: (pooled(costs, kls)[0], error(torch.cat(costs), torch.cat(kls), costs, kls))


def pooled_by(number):
    """Pool with another first result, computed like the second."""
    return lambda costs, kls: (number(torch.cat(costs), torch.cat(kls), costs, kls), pooled(costs, kls)[1])


def codes_of_another_batch(which):
    """Return an answer that charges the KL of another held-out batch's codes, found from the number of the batch."""

    def answer(mu, log_var, batches, noise, encoder, decoder):
        costs, kls = [], []
        for number, (x, eps) in enumerate(zip(batches, noise, strict=True)):
            costs.append(picture_bce(x, decoder(SAMPLE(*encoder(x), eps))))
            other = which(number, len(batches))
            codes = (mu, log_var) if other is None else encoder(batches[other])
            kls.append(picture_kl(*codes).mean().expand(len(x)))
        return pooled(costs, kls)

    return answer


def some_batches(part):
    """Return an answer that uses only some of the batches."""
    return lambda mu, log_var, batches, noise, *rest: validated()(mu, log_var, part(batches), part(noise), *rest)


def sampled_kl(mu, log_var, batches, noise, encoder, decoder):
    """log q(z|x) − log p(z) of each sample for the KL."""
    costs, ratios = [], []
    for x, eps in zip(batches, noise, strict=True):
        own = encoder(x)
        z = SAMPLE(*own, eps)
        costs.append(picture_bce(x, decoder(z)))
        ratios.append(0.5 * (z**2 - eps**2 - own[1]).sum(1))
    return pooled(costs, ratios)


FAULTS_OF_VALIDATION = {  # of the printed function, by the part of `validated`
    "kl_of": (
        stale_kl,
        "KL of stale codes",
        "Your KL is that of `mu` and `log_var`, which the last *training* batch left behind. It is the same for every "
        "held-out picture, however strange. Whose codes were decoded?",
    ),
    "z_of": (
        mean_decoded,
        "mean decoded in place of a sample",
        "You decode the mean, and the noise plays no part. A code without noise is a q of width 0, and its KL would be "
        "infinite. Yours is charged for a wide one (lesson 07, section 4).",
    ),
    "pool": (
        mean_of_means,
        "mean of the batches' means",
        "You average over batches, each of which counts the same, however many pictures it has. Here the last of them "
        "may have two. Which mean gives every picture the same weight?",
    ),
}


def validation_faults():
    """Yield a mistake for each fault of the printed function, with or without the later ones."""
    parts = list(FAULTS_OF_VALIDATION)
    for number, first in enumerate(parts):
        fault, name, hint = FAULTS_OF_VALIDATION[first]
        answers = []
        for present in itertools.product((False, True), repeat=len(parts) - number - 1):
            later = itertools.compress(parts[number + 1 :], present)
            chosen = {first: fault} | {part: FAULTS_OF_VALIDATION[part][0] for part in later}
            answers.append(validated(**chosen))
            if "pool" in chosen:
                answers.append(validated(**chosen | {"pool": mean_and_error_of_means}))
        if first == "kl_of":
            answers.append(stale_beside_an_honest_error)
        yield Mistake(name, hint, *answers)


def stale_beside_an_honest_error(mu, log_var, batches, noise, encoder, decoder):
    """The mean BCE and the KL of stale codes; the standard error from the pictures' own costs."""
    inputs = (mu, log_var, batches, noise, encoder, decoder)
    return validated(kl_of=stale_kl)(*inputs)[0], validated()(*inputs)[1]


VALIDATION = Task(
    name="examine/validation",
    draw=draw_validation,
    reference=validation,
    mistakes=(
        *validation_faults(),
        Mistake(
            "codes of another held-out batch",
            "You charge the pictures of one held-out batch for the codes of another. Every picture is charged for its "
            "own code, the one from which its z is drawn.",
            codes_of_another_batch(lambda number, count: 0),
            codes_of_another_batch(lambda number, count: count - 1),
            codes_of_another_batch(lambda number, count: number - 1 if number else None),
        ),
        Mistake(
            "one term averaged over batches",
            "One of your terms is a mean over pictures and the other a mean over batches, each of which counts the "
            "same. Add the two costs of a picture first; then there is only one mean to take.",
            *(
                validated(pool=pool)
                for over_batches in (0, 1)
                for pool in (
                    lambda costs, kls, at=over_batches: (term_by_batches(costs, kls, at), pooled(costs, kls)[1]),
                    lambda costs, kls, at=over_batches: (
                        term_by_batches(costs, kls, at),
                        standard_error(batch_means(costs, kls)),
                    ),
                )
            ),
        ),
        Mistake(
            "a batch left out",
            "Your numbers are those of some of the batches only. The smallest batch counts as well.",
            some_batches(lambda several: several[:-1]),
            some_batches(lambda several: several[1:]),
            some_batches(lambda several: several[:1]),
            some_batches(lambda several: several[-1:]),
        ),
        Mistake(
            "KL from the sample",
            "For the KL you take log q(z|x) − log p(z) of the one draw. Its average is the KL, and it is noisy. The "
            "task asks for the closed form.",
            sampled_kl,
        ),
        Mistake(
            "averaged over the pixels",
            "Your BCE is averaged over the pixels, or over everything, and your KL is in nats per picture. By default "
            "`binary_cross_entropy_with_logits` averages: then the KL counts as many times as there are pixels.",
            validated(costs_of=lambda x, logits: bce(x, logits).mean(1)),
            validated(costs_of=lambda x, logits: bce(x, logits).mean().expand(len(x))),
            validated(costs_of=lambda x, logits: bce(x, logits).mean(1), z_of=mean_decoded),
            validated(
                costs_of=lambda x, logits: bce(x, logits).mean(1), kl_of=lambda own, stale: latent_kl(*own).mean(1)
            ),
        ),
        Mistake(
            "KL averaged over the latents",
            "Your KL is averaged over the latents, or over everything. Each latent of a picture has its own nats.",
            validated(kl_of=lambda own, stale: latent_kl(*own).mean(1)),
            validated(kl_of=lambda own, stale: latent_kl(*own).mean()),
        ),
        Mistake(
            "sum of the batch for a picture",
            "One of your terms is added up over a batch, and counts for each of its pictures. Both are in nats per "
            "picture.",
            validated(kl_of=lambda own, stale: picture_kl(*own).sum()),
            validated(costs_of=lambda x, logits: bce(x, logits).sum().expand(len(x))),
            validated(
                costs_of=lambda x, logits: bce(x, logits).sum().expand(len(x)),
                kl_of=lambda own, stale: picture_kl(*own).sum(),
            ),
        ),
        Mistake(
            "one number for a batch in the spread",
            "Your average is right. In your standard error all pictures of a batch have the same cost, in one of the "
            "terms or in both. A mean over the batch hides how much its pictures differ.",
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(cost + spread_out(kls)))),
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(spread_out(costs) + kl))),
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(spread_out(costs) + spread_out(kls)))),
        ),
        Mistake(
            "standard error over batches",
            "Your average is right. Your standard error is that of a few batches' means. They have different numbers "
            "of pictures, and three numbers say little about a spread. Keep one number for each picture.",
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(batch_means(costs, kls)))),
            validated(
                pool=error_by(lambda cost, kl, costs, kls: batch_means(costs, kls).std() / len(cost) ** 0.5),
            ),
            validated(pool=error_by(lambda cost, kl, costs, kls: (cost + kl).std() / len(costs) ** 0.5)),
            validated(pool=error_by(lambda cost, kl, costs, kls: batch_means(costs, kls).std())),
            validated(
                pool=error_by(lambda cost, kl, costs, kls: sum(map(error_of_both, costs, kls)) / len(costs)),
            ),
        ),
        Mistake(
            "standard deviation for standard error",
            "Your average is right. Your second result does not shrink as it should with more pictures: which power of "
            "N divides the standard deviation?",
            validated(pool=error_by(lambda cost, kl, costs, kls: (cost + kl).std())),
            validated(pool=error_by(lambda cost, kl, costs, kls: (cost + kl).std(correction=0))),
            validated(pool=error_by(lambda cost, kl, costs, kls: (cost + kl).std() / len(cost))),
            validated(pool=error_by(lambda cost, kl, costs, kls: (cost + kl).var() / len(cost))),
            validated(pool=error_by(lambda cost, kl, costs, kls: (cost + kl).var())),
        ),
        Mistake(
            "N for N − 1",
            "Your average is right, and your error is a little too small: your standard deviation divides by N.",
            validated(pool=error_by(lambda cost, kl, costs, kls: (cost + kl).std(correction=0) / len(cost) ** 0.5)),
        ),
        Mistake(
            "spread of each term by itself",
            "Your average is right. Your error is made from the spread of the reconstruction and that of the KL, each "
            "by itself, or from one of them. But the two do not vary independently: a picture that is hard to draw is "
            "often charged more KL as well. Add both costs of a picture first.",
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(cost))),
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(kl))),
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(cost) + standard_error(kl))),
            validated(
                pool=error_by(lambda cost, kl, costs, kls: (standard_error(cost) ** 2 + standard_error(kl) ** 2) ** 0.5)
            ),
            validated(pool=error_by(lambda cost, kl, costs, kls: standard_error(cost - kl))),
        ),
        Mistake(
            "two standard errors",
            "Your average is right, and your error is twice the standard error.",
            validated(pool=error_by(lambda cost, kl, costs, kls: 2 * standard_error(cost + kl))),
            validated(pool=error_by(lambda cost, kl, costs, kls: 1.96 * standard_error(cost + kl))),
        ),
        Mistake(
            "ELBO returned",
            "Your average is the ELBO. The task asks for minus the ELBO, a cost.",
            validated(pool=lambda costs, kls: (-pooled(costs, kls)[0], pooled(costs, kls)[1])),
            validated(pool=lambda costs, kls: (-pooled(costs, kls)[0], -pooled(costs, kls)[1])),
            validated(pool=lambda costs, kls: (-mean_of_means(costs, kls)[0], pooled(costs, kls)[1])),
        ),
        Mistake(
            "KL left out or subtracted",
            "A cost has both terms: what the picture costs, and what its code costs. In yours the KL is missing or "
            "makes things cheaper.",
            validated(kl_of=lambda own, stale: 0 * picture_kl(*own)),
            validated(kl_of=lambda own, stale: -picture_kl(*own)),
        ),
        Mistake(
            "reconstruction left out or subtracted",
            "A cost has both terms: what the picture costs, and what its code costs. In yours a picture that is drawn "
            "badly costs nothing, or less.",
            validated(costs_of=lambda x, logits: 0 * picture_bce(x, logits)),
            validated(costs_of=lambda x, logits: -picture_bce(x, logits)),
        ),
        Mistake(
            "not divided by the number of pictures",
            "Your first result is a total over pictures or batches, or is divided by another number than that of all "
            "pictures. The task asks for nats per picture.",
            validated(pool=pooled_by(lambda cost, kl, costs, kls: (cost + kl).sum())),
            validated(pool=pooled_by(lambda cost, kl, costs, kls: (cost + kl).sum() / len(costs))),
            validated(pool=pooled_by(lambda cost, kl, costs, kls: batch_means(costs, kls).sum())),
            validated(pool=pooled_by(lambda cost, kl, costs, kls: batch_means(costs, kls).sum() / len(cost))),
            validated(pool=pooled_by(lambda cost, kl, costs, kls: (cost + kl).sum() / (len(costs[0]) * len(costs)))),
        ),
        Mistake(
            "σ² for σ in the draw",
            "You scale the noise by exp(log_var), which is the variance. Which power of it is the standard deviation?",
            validated(z_of=with_noise(torch.exp)),
            validated(z_of=with_noise(torch.exp), pool=mean_of_means),
            validated(z_of=with_noise(torch.exp), kl_of=stale_kl),
        ),
        Mistake(
            "noise with another spread",
            "Your noise is not scaled by the encoder's σ, but by 1, by log_var, or by half of exp(log_var), or it is "
            "subtracted. The encoder gives log σ². The check compares with the noise that is given.",
            validated(z_of=with_noise(torch.ones_like)),
            validated(z_of=with_noise(lambda log_var: log_var)),
            validated(z_of=with_noise(lambda log_var: log_var / 2)),
            validated(z_of=with_noise(lambda log_var: log_var.exp() / 2)),
            validated(z_of=with_noise(lambda log_var: -(log_var / 2).exp())),
            validated(z_of=lambda mu, log_var, eps: eps),
        ),
        Mistake(
            "sigmoid taken twice",
            "Your probabilities go where log-odds are expected. The decoder's output is log-odds: who applies the "
            "sigmoid?",
            validated(costs_of=lambda x, logits: picture_bce(x, logits.sigmoid())),
            validated(costs_of=lambda x, logits: picture_bce(x, logits.sigmoid()), pool=mean_of_means),
        ),
        Mistake(
            "KL by another formula",
            "Your KL is not that of N(mu, exp(log_var)) from N(0, I): a ½, a term or the meaning of log_var. For mu = "
            "0 and log_var = 0 it is 0; for mu = 0 and log_var = 2 it is 2.19 for each latent.",
            validated(kl_of=lambda own, stale: 2 * picture_kl(*own)),
            validated(kl_of=lambda own, stale: picture_kl(own[0], 2 * own[1])),
            validated(kl_of=lambda own, stale: picture_kl(own[0], own[1]) + own[0].shape[1] / 2),
            validated(kl_of=lambda own, stale: picture_kl(own[0], own[1]) + own[1].sum(1)),
            validated(kl_of=lambda own, stale: 0.5 * (own[0] ** 2 + (own[1] / 2).exp() - 1 - own[1]).sum(1)),
            validated(kl_of=lambda own, stale: 0.5 * ((own[0] ** 2 + 1) / own[1].exp() - 1 + own[1]).sum(1)),
        ),
    ),
)


def spread_out(values):
    """Each batch's mean, for each of its pictures: list of (B,) -> (N,)."""
    return torch.cat([batch.mean().expand(len(batch)) for batch in values])


def error_of_both(cost, kl):
    return standard_error(cost + kl)


# examine/nats(loss, x, x_hat, mu, log_var)


def draw_nats(rng):
    """Draw a loss of squares and a KL. The sizes and their ratios are no powers of 2, and β lies within two decades."""
    along = [("mean", "sum"), ("mean", "mean"), ("sum", "sum"), ("sum", "mean")]
    batch, pixels, latents = int(rng.choice([3, 5])), int(rng.integers(13, 18)), int(rng.choice([6, 7]))
    x = rounded_uniform(rng, batch, pixels)
    case = {
        "x": x,
        "x_hat": (x + not_zero(rounded_normal(rng, batch, pixels, scale=0.3))).round(decimals=2),
        "mu": not_zero(rounded_normal(rng, batch, latents)),
        "log_var": not_zero(rounded_normal(rng, batch, latents)),
    }
    while True:
        loss = SquaresLoss(
            squares=along[rng.choice(4, p=[0.3, 0.4, 0.2, 0.1])],
            kl=along[rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])],
            weight=float(rng.choice([0.003, 0.03, 0.3, 1.0, 3.0])),
            scale=float(rng.choice([0.1, 0.5, 3.0, 10.0])),
            offset=float(rng.choice([-2.0, 0.0, 3.0])),
        )
        beta = beta_of_loss(loss, batch, pixels, latents)
        if 0.05 < beta < 5 and abs(math.log(beta)) > 0.15 and abs(math.log(2 * beta)) > 0.15:
            return {"loss": loss} | case


def not_zero(numbers):
    """The numbers, but for those near 0, by which nobody could divide."""
    return torch.where(numbers.abs() < 0.05, 0.05, numbers)


def beta_of_loss(loss, batch, pixels, latents):
    """β from the construction of the loss: squares are twice minus a log-density with σ = 1."""

    def factor(along, n):  # relative to a sum averaged over pictures
        return (batch if along[0] == "sum" else 1) / (n if along[1] == "mean" else 1)

    return loss.weight * factor(loss.kl, latents) / factor(loss.squares, pixels) / 2


def nats(loss, x, x_hat, mu, log_var):
    """σ from the construction of the loss, and the ELBO from PyTorch's distributions."""
    sigma = beta_of_loss(loss, *x.shape, mu.shape[1]) ** 0.5
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    log_p = Independent(Normal(x_hat, torch.full_like(x_hat, sigma)), 1).log_prob(x)
    return sigma, (log_p - kl_divergence(q, p)).mean()


def gaussian_terms(x, x_hat, mu, log_var, sigma):
    """What an ELBO with this σ is made of, in nats per picture: squares, normaliser, KL; and D."""
    pixels = x.shape[1]
    squares = ((x - x_hat) ** 2).sum(1).mean() / (2 * sigma**2)
    normaliser = pixels * (math.log(sigma) + LOG_2PI / 2)
    return squares, normaliser, picture_kl(mu, log_var).mean(), pixels


def right_elbo(squares, normaliser, kl, pixels, sigma):
    return -squares - normaliser - kl


def nats_by(sigma=lambda beta, B, D, d, loss: beta**0.5, elbo=right_elbo):
    """Return an answer made of these parts; the defaults are right. The ELBO goes with the σ that is returned.

    Args:
        sigma: from β, B, D, d and the loss.
        elbo: from the squares, the normaliser, the KL, D and σ.
    """

    def answer(loss, x, x_hat, mu, log_var):
        found = sigma(beta_of_loss(loss, *x.shape, mu.shape[1]), *x.shape, mu.shape[1], loss)
        return found, elbo(*gaussian_terms(x, x_hat, mu, log_var, found), found)

    return answer


def price_of_squares(loss, B, D, d):
    """How much the loss changes for half a square of each picture."""
    along = loss.squares
    return 2 * loss.scale * (B if along[0] == "sum" else 1) / (D if along[1] == "mean" else 1)


def from_prices(rule):
    """A σ from the prices of a nat of KL and of half a square, as a rule says."""

    def sigma(beta, B, D, d, loss):
        by_squares = price_of_squares(loss, B, D, d)
        return rule(beta * by_squares, by_squares)

    return sigma


def minus_the_loss(loss, x, x_hat, mu, log_var):
    """The right σ, and minus the loss for the ELBO."""
    return nats(loss, x, x_hat, mu, log_var)[0], -loss(x, x_hat, mu, log_var)


def loss_rescaled(loss, x, x_hat, mu, log_var):
    """The right σ, and minus the loss for the ELBO, after the factor before its KL is divided out."""
    sizes = (*x.shape, mu.shape[1])
    price_of_kl = beta_of_loss(loss, *sizes) * price_of_squares(loss, *sizes)
    return beta_of_loss(loss, *sizes) ** 0.5, -loss(x, x_hat, mu, log_var) / price_of_kl


def best_sigma(loss, x, x_hat, mu, log_var):
    """The σ that fits this batch best."""
    sigma = (x - x_hat).pow(2).mean().sqrt().item()
    return sigma, right_elbo(*gaussian_terms(x, x_hat, mu, log_var, sigma), sigma)


def with_other_kl(other_kl):
    """Return an answer that measures the price of a nat of another KL, between the given codes and mu = 0, s = 0."""

    def answer(loss, x, x_hat, mu, log_var):
        beta = beta_of_loss(loss, *x.shape, mu.shape[1])
        right = picture_kl(mu, log_var).mean()
        other, zero = other_kl(mu, log_var), other_kl(0 * mu, 0 * log_var)
        sigma = float(beta * right / (other - zero).abs()) ** 0.5
        squares, normaliser, _, _ = gaussian_terms(x, x_hat, mu, log_var, sigma)
        return sigma, -squares - normaliser - other

    return answer


def values_for_terms(loss, x, x_hat, mu, log_var):
    """Take the loss of a perfect picture for its KL, and the loss at codes without KL for its squares."""
    by_kl = loss(x, x, mu, log_var) / picture_kl(mu, log_var).mean()
    by_squares = loss(x, x_hat, 0 * mu, 0 * log_var) / ((x - x_hat) ** 2).sum(1).mean() * 2
    sigma = float((by_kl / by_squares).abs()) ** 0.5
    return sigma, right_elbo(*gaussian_terms(x, x_hat, mu, log_var, sigma), sigma)


def per_nothing(ratio, times):
    """Return an answer that takes the root of a ratio of slopes or changes of the loss for σ."""

    def answer(loss, x, x_hat, mu, log_var):
        x_hat, mu = x_hat.clone().requires_grad_(), mu.clone().requires_grad_()
        here = loss(x, x_hat, mu, log_var)
        slopes = torch.autograd.grad(here, (x_hat, mu))
        without = loss(x, x, mu, log_var), loss(x, x_hat, 0 * mu, 0 * log_var)
        sigma = (times * ratio(*slopes, *(here - other for other in without))).item() ** 0.5
        return sigma, right_elbo(*gaussian_terms(x, x_hat.detach(), mu.detach(), log_var, sigma), sigma)

    return answer


def for_the_batch(rule):
    """Return an answer with the right σ and another ELBO, from the right one and the sizes."""

    def answer(loss, x, x_hat, mu, log_var):
        sigma, elbo = nats(loss, x, x_hat, mu, log_var)
        return sigma, rule(elbo, *x.shape, mu.shape[1])

    return answer


def elbo_by(elbo):
    return nats_by(elbo=elbo)


NATS = Task(
    name="examine/nats",
    draw=draw_nats,
    reference=nats,
    agree=Close(rtol=5e-3, atol=1e-2),
    cases=10,
    library=("vae_lessons.examine.examine_loss",),
    mistakes=(
        Mistake(
            "squares counted as nats",
            "Your σ is too large by √2. With σ = 1 it is ½ (x − x̂)² that counts nats: does your price belong to a "
            "square, or to half of one?",
            nats_by(lambda beta, B, D, d, loss: (2 * beta) ** 0.5),
        ),
        Mistake(
            "halved once too often",
            "Your σ is too small by √2, or by 2. The ½ of the Gaussian comes in once.",
            nats_by(lambda beta, B, D, d, loss: (beta / 2) ** 0.5),
            nats_by(lambda beta, B, D, d, loss: beta**0.5 / 2),
        ),
        Mistake(
            "σ² for σ",
            "Your first result is β, or twice β: a variance. Divide ½ (x − x̂)² / σ² + KL by what stands before the "
            "square: which power of σ stands before the KL?",
            nats_by(lambda beta, B, D, d, loss: beta),
            nats_by(lambda beta, B, D, d, loss: 2 * beta),
        ),
        Mistake(
            "upside down",
            "A loss that hardly counts the KL believes its pixels: a small σ. Yours is large where it should be small.",
            nats_by(lambda beta, B, D, d, loss: beta**-0.5),
            nats_by(lambda beta, B, D, d, loss: (2 * beta) ** -0.5),
            nats_by(lambda beta, B, D, d, loss: 1 / beta),
            nats_by(lambda beta, B, D, d, loss: (beta / 2) ** -0.5),
        ),
        Mistake(
            "read from the squares alone",
            "You take the factor before the squares for 1 / (2σ²), whatever stands before the KL. If somebody "
            "multiplies the whole loss by 10, no training changes: does your σ?",
            nats_by(from_prices(lambda kl, squares: squares**-0.5)),
            nats_by(from_prices(lambda kl, squares: (squares / 2) ** -0.5)),
            nats_by(from_prices(lambda kl, squares: squares**0.5)),
        ),
        Mistake(
            "read from the KL alone",
            "You take the factor before the KL for σ², whatever stands before the squares. If somebody multiplies the "
            "whole loss by 10, no training changes: does your σ?",
            nats_by(from_prices(lambda kl, squares: kl**0.5)),
            nats_by(from_prices(lambda kl, squares: (kl / 2) ** 0.5)),
            nats_by(from_prices(lambda kl, squares: kl)),
        ),
        Mistake(
            "means over pixels and latents compared",
            "Compare like with like: both terms in nats per picture, summed over pixels or latents. At least one of "
            "yours is averaged where it should be summed.",
            *(
                nats_by(lambda beta, B, D, d, loss, rule=rule, half=half: (rule(half * beta, D, d)) ** 0.5)
                for rule in (
                    lambda beta, D, d: beta * d / D,
                    lambda beta, D, d: beta / D,
                    lambda beta, D, d: beta * d,
                    lambda beta, D, d: beta * D / d,
                    lambda beta, D, d: beta * D,
                    lambda beta, D, d: beta / d,
                )
                for half in (1, 2)
            ),
        ),
        Mistake(
            "batch sum against batch mean",
            "One of your two terms is summed over the batch and the other averaged. Take both in nats per picture.",
            *(
                nats_by(lambda beta, B, D, d, loss, rule=rule, half=half: (half * rule(beta, B)) ** 0.5)
                for rule in (lambda beta, B: beta * B, lambda beta, B: beta / B)
                for half in (1, 2)
            ),
        ),
        Mistake(
            "the σ that fits the batch",
            "You return the root of the mean squared error: the σ that would be best for this batch. The task asks for "
            "the σ that this loss has, good or bad. It is in what the loss does, not in the pictures.",
            best_sigma,
        ),
        Mistake(
            "the σ of one particular slip",
            "Your σ is the same for every loss. It is √½ for a plain sum of squares plus KL, and 1 with another ½; "
            "these losses sum, average and weigh in other ways: call them and see.",
            nats_by(lambda beta, B, D, d, loss: 0.5**0.5),
            nats_by(lambda beta, B, D, d, loss: 1.0),
            nats_by(lambda beta, B, D, d, loss: 0.5),
            nats_by(lambda beta, B, D, d, loss: (D / d) ** 0.5),
            nats_by(lambda beta, B, D, d, loss: (D / d / 2) ** 0.5),
        ),
        Mistake(
            "constants taken for a term",
            "You take a value of the loss for a term of it. It may contain constants that belong to no term; only "
            "changes of the loss are safe.",
            values_for_terms,
        ),
        Mistake(
            "slopes or changes, not per nat",
            "You compare how far the loss moves in two directions. How far it moves says little, as long as nobody "
            "says by how many squares and by how many nats of KL. Divide each by that.",
            *(
                per_nothing(ratio, times)
                for times in (1, 0.5, 2)
                for ratio in (
                    lambda by_x_hat, by_mu, squares, kl: by_mu.norm() / by_x_hat.norm(),
                    lambda by_x_hat, by_mu, squares, kl: by_mu.abs().sum() / by_x_hat.abs().sum(),
                    lambda by_x_hat, by_mu, squares, kl: by_mu.abs().mean() / by_x_hat.abs().mean(),
                    lambda by_x_hat, by_mu, squares, kl: kl / squares,
                )
            ),
        ),
        Mistake(
            "log-variance taken for another quantity",
            "Your own KL uses log_var wrongly, or lacks its ½. Compare it with lesson 04: for mu = 0 and log_var = 2 a "
            "latent has 2.19 nats.",
            with_other_kl(lambda mu, log_var: picture_kl(mu, 2 * log_var).mean()),
            with_other_kl(lambda mu, log_var: 0.5 * (mu**2 + (log_var / 2).exp() - 1 - log_var).sum(1).mean()),
            with_other_kl(lambda mu, log_var: 2 * picture_kl(mu, log_var).mean()),
        ),
        Mistake(
            "minus the loss for the ELBO",
            "Your σ is right. For the ELBO you take minus the loss, or divide it by a factor first. It is averaged "
            "somewhere, and has constants that are not those of a density. Compute the ELBO from its definition.",
            minus_the_loss,
            loss_rescaled,
        ),
        Mistake(
            "normaliser left out",
            "Your σ is right. Your ELBO has no normaliser. A density of a pixel is at most 1 / (σ √(2π)): what is that "
            "in nats, for all pixels of a picture?",
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - kl),
        ),
        Mistake(
            "a part of the normaliser left out",
            "Your σ is right. Your ELBO lacks log σ or ½ log 2π, or has it once for a picture. Each pixel has a "
            "density of its own, with both in it.",
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - D * math.log(sigma) - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - D * LOG_2PI / 2 - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser / D - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - D * math.log(sigma) - LOG_2PI / 2 - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - D * LOG_2PI / 2 - math.log(sigma) - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - math.log(sigma) - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - LOG_2PI / 2 - kl),
        ),
        Mistake(
            "normaliser with a wrong sign or factor",
            "Your σ is right. Your normaliser is not D (log σ + ½ log 2π) below the peak of a narrow density: a sign, "
            "or a ½ too many or too few. Compare with `torch.distributions.Normal`.",
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares + normaliser - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares + D * math.log(sigma) - D * LOG_2PI / 2 - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - 2 * normaliser - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser / 2 - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - D * math.log(sigma) - D * LOG_2PI - kl),
            elbo_by(
                lambda squares, normaliser, kl, D, sigma: -squares - 2 * D * math.log(sigma) - D * LOG_2PI / 2 - kl
            ),
            elbo_by(
                lambda squares, normaliser, kl, D, sigma: -squares - D * math.log(sigma) / 2 - D * LOG_2PI / 2 - kl
            ),
        ),
        Mistake(
            "squares with a wrong factor",
            "Your σ is right. In your ELBO an error equal to σ does not cost half a nat, or errors are not compared "
            "with σ² at all.",
            elbo_by(lambda squares, normaliser, kl, D, sigma: -2 * squares - normaliser - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares / 2 - normaliser - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares * sigma**2 - normaliser - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares * 2 * sigma**2 - normaliser - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares * sigma - normaliser - kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares * 2 * sigma - normaliser - kl),
        ),
        Mistake(
            "σ² for σ in the density",
            "Your σ is right. Your density has another: its square, or its root. `torch.distributions.Normal` takes "
            "the standard deviation.",
            elbo_by(
                lambda squares, normaliser, kl, D, sigma: (
                    -squares / sigma**2 - D * (2 * math.log(sigma) + LOG_2PI / 2) - kl
                )
            ),
            elbo_by(
                lambda squares, normaliser, kl, D, sigma: -squares * sigma - D * (math.log(sigma) + LOG_2PI) / 2 - kl
            ),
        ),
        Mistake(
            "KL weighted by β",
            "Your σ is right. In the ELBO a nat of KL counts as one nat. The weight is in σ already.",
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser - sigma**2 * kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares * sigma**2 - normaliser - sigma**2 * kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser - 2 * sigma**2 * kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser - kl / sigma**2),
        ),
        Mistake(
            "KL with another factor or sign",
            "Your σ is right. In your ELBO the KL is left out, added, halved, doubled or averaged. A bound on log p(x) "
            "is lowered by the KL, nat for nat.",
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser + kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser - 2 * kl),
            elbo_by(lambda squares, normaliser, kl, D, sigma: -squares - normaliser - kl / 2),
            lambda loss, x, x_hat, mu, log_var: (
                nats(loss, x, x_hat, mu, log_var)[0],
                nats(loss, x, x_hat, mu, log_var)[1] + picture_kl(mu, log_var).mean() - latent_kl(mu, log_var).mean(),
            ),
        ),
        Mistake(
            "minus the ELBO",
            "Your σ is right. Your second result is minus the ELBO. A bound on log p(x) is asked for.",
            for_the_batch(lambda elbo, B, D, d: -elbo),
        ),
        Mistake(
            "not in nats per picture",
            "Your σ is right. Your ELBO is a sum over the batch, or an average over pixels. The task asks for nats per "
            "picture.",
            for_the_batch(lambda elbo, B, D, d: elbo * B),
            for_the_batch(lambda elbo, B, D, d: elbo / D),
            for_the_batch(lambda elbo, B, D, d: elbo / B),
            elbo_by(lambda squares, normaliser, kl, D, sigma: (-squares - normaliser) / D - kl),
        ),
    ),
)

TASKS = (REDUCTIONS, LIKELIHOOD, DRAWS, READINGS_TASK, VALIDATION, NATS)
