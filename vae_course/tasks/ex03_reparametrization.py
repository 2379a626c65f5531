"""The tasks of exercise 03, the reparametrization trick."""

import numpy as np
import torch
from torch.distributions import Normal

from vae_course.judging.task import Mistake, SameMoments, Task, rounded_normal, rounded_uniform
from vae_course.visible.callables import Quadratic, Sine, SlopedStep, Step
from vae_course.visible.observe import Draws, Gradients, Seed

__all__ = ["TASKS"]


def number(rng, low, high):
    return round(float(rng.uniform(low, high)), 2)


# gradient/sample(mu, log_var, eps)


def draw_sample(rng):
    batch, latents = int(rng.integers(1, 4)), int(rng.integers(4, 6))
    return {name: rounded_normal(rng, batch, latents) for name in ("mu", "log_var", "eps")}


def sample(mu, log_var, eps):
    return mu + log_var.exp().sqrt() * eps


SAMPLE = Task(
    name="gradient/sample",
    draw=draw_sample,
    reference=sample,
    observe=Gradients(("mu", "log_var")),
    library=("vae_lessons.distributions.sample_normal",),
    mistakes=(
        Mistake(
            "σ² taken for σ",
            "Your noise is scaled by the variance. With log_var = 2 the standard deviation is e, not e².",
            lambda mu, log_var, eps: mu + log_var.exp() * eps,
        ),
        Mistake(
            "log_var taken for σ",
            "You scale the noise by log_var itself, which may be negative. What has to be done to log σ² to get σ?",
            lambda mu, log_var, eps: mu + log_var * eps,
        ),
        Mistake(
            "σ does not let the gradient through",
            "Your samples are right, but no gradient reaches log_var: the encoder would never learn how wide "
            "to be. Something on the way from log_var to z cuts the graph.",
            lambda mu, log_var, eps: mu + (log_var / 2).exp().detach() * eps,
        ),
        Mistake(
            "no gradient at all",
            "Your samples are right, but they do not depend on mu and log_var for autograd. Look for "
            "`no_grad`, `detach`, `.data` or `Normal(...).sample()`.",
            lambda mu, log_var, eps: (mu + (log_var / 2).exp() * eps).detach(),
        ),
        Mistake(
            "μ does not let the gradient through",
            "Your samples are right, but no gradient reaches mu. Something on the way from mu to z cuts the graph.",
            lambda mu, log_var, eps: mu.detach() + (log_var / 2).exp() * eps,
        ),
        Mistake(
            "the noise shifted by μ, not z",
            "With mu = 3 and σ = 2 your z has mean 6. Scale first, then shift.",
            lambda mu, log_var, eps: (log_var / 2).exp() * (mu + eps),
        ),
        Mistake(
            "σ forgotten",
            "All your z have standard deviation 1, whatever log_var says.",
            lambda mu, log_var, eps: mu + eps,
        ),
        Mistake(
            "sign of log_var",
            "Your noise shrinks where log_var grows.",
            lambda mu, log_var, eps: mu + (-log_var / 2).exp() * eps,
        ),
    ),
)


# gradient/pathwise(slope, mu, log_var, eps)


def draw_pathwise(rng):
    slope = Quadratic(number(rng, 0.5, 1.5), number(rng, -1, 1), number(rng, -1, 1))
    return {
        "slope": slope,
        "mu": rounded_uniform(rng, low=-1.5, high=1.5),
        "log_var": rounded_uniform(rng, low=-1.5, high=1.0),
        "eps": rounded_normal(rng, int(rng.integers(3, 8))),
    }


def pathwise(slope, mu, log_var, eps):
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = mu + (log_var / 2).exp() * eps
    return torch.autograd.grad((slope(z).detach() * z).mean(), (mu, log_var))


def along(slope, mu, log_var, eps):
    """Slope at every z, and σ."""
    sigma = (log_var / 2).exp()
    return slope(mu + sigma * eps), sigma


def in_both(slope, factor):
    return slope.mean(), (slope * factor).mean()


PATHWISE = Task(
    name="gradient/pathwise",
    draw=draw_pathwise,
    reference=pathwise,
    mistakes=(
        Mistake(
            "gradient in σ, not in log σ²",
            "Your first number is right; the second is the gradient in σ. The network emits log_var: how does "
            "z move when log_var moves a little?",
            lambda slope, mu, log_var, eps: in_both(along(slope, mu, log_var, eps)[0], eps),
        ),
        Mistake(
            "forgot the ½ of σ = exp(log_var / 2)",
            "Your first number is right, the second too large by a factor. Differentiate exp(log_var / 2) once more.",
            lambda slope, mu, log_var, eps: (lambda s, sigma: in_both(s, sigma * eps))(*along(slope, mu, log_var, eps)),
        ),
        Mistake(
            "gradient in σ²",
            "Your first number is right; the second is the gradient in the variance. It is asked in its logarithm.",
            lambda slope, mu, log_var, eps: (lambda s, sigma: in_both(s, eps / (2 * sigma)))(
                *along(slope, mu, log_var, eps)
            ),
        ),
        Mistake(
            "noise forgotten in the second number",
            "Your first number is right. For the second: by how much z moves depends on the noise of that draw.",
            lambda slope, mu, log_var, eps: (lambda s, sigma: in_both(s, sigma / 2))(*along(slope, mu, log_var, eps)),
        ),
        Mistake(
            "slope taken at the mean",
            "You ask for the slope at mu. What is drawn is z: the slope is needed there.",
            lambda slope, mu, log_var, eps: in_both(slope(mu + 0 * eps), (log_var / 2).exp() * eps / 2),
        ),
        Mistake(
            "sum for mean",
            "Both numbers grow with the number of draws. An estimate of an expectation does not.",
            lambda slope, mu, log_var, eps: (lambda s, sigma: (s.sum(), (s * sigma * eps / 2).sum()))(
                *along(slope, mu, log_var, eps)
            ),
        ),
        Mistake(
            "σ² taken for σ",
            "Your z are spread by the variance. What is σ, given log σ²?",
            lambda slope, mu, log_var, eps: (lambda s: in_both(s, log_var.exp() * eps / 2))(
                slope(mu + log_var.exp() * eps)
            ),
        ),
        Mistake(
            "mean of the slope times mean of the noise",
            "Your first number is right. In the second you average the two factors apart; slope and noise "
            "belong to the same draw.",
            lambda slope, mu, log_var, eps: (lambda s, sigma: (s.mean(), s.mean() * (sigma * eps / 2).mean()))(
                *along(slope, mu, log_var, eps)
            ),
        ),
    ),
)


# gradient/score_function(f, mu, log_var, eps)


def draw_score(rng):
    f = Quadratic(number(rng, 0.5, 1.5), number(rng, -1, 1), number(rng, 0.5, 1.5))
    return {"f": f} | {key: value for key, value in draw_pathwise(rng).items() if key != "slope"}


def score_function(f, mu, log_var, eps):
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = (mu + (log_var / 2).exp() * eps).detach()
    return torch.autograd.grad((f(z) * Normal(mu, (log_var / 2).exp()).log_prob(z)).mean(), (mu, log_var))


def tried(f, mu, log_var, eps):
    """f at every z, and σ."""
    sigma = (log_var / 2).exp()
    return f(mu + sigma * eps), sigma


def scored(cost, in_mu, in_log_var):
    return (cost * in_mu).mean(), (cost * in_log_var).mean()


def whole_gradient(f, mu, log_var, eps):
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = mu + (log_var / 2).exp() * eps
    density = Normal(mu, (log_var / 2).exp()).log_prob(z.detach())
    return torch.autograd.grad((f(z) * density + f(z)).mean(), (mu, log_var))


SCORE = Task(
    name="gradient/score_function",
    draw=draw_score,
    reference=score_function,
    mistakes=(
        Mistake(
            "gradient in σ, not in log σ²",
            "Your first number is right; the second is the gradient in σ. Write log q(z) with log_var and "
            "differentiate that.",
            lambda f, mu, log_var, eps: (lambda c, s: scored(c, eps / s, (eps**2 - 1) / s))(
                *tried(f, mu, log_var, eps)
            ),
        ),
        Mistake(
            "forgot the ½ of log σ = log_var / 2",
            "Your first number is right, the second too large by a factor. How does log σ stand in log q(z), "
            "and what is it in log_var?",
            lambda f, mu, log_var, eps: (lambda c, s: scored(c, eps / s, eps**2 - 1))(*tried(f, mu, log_var, eps)),
        ),
        Mistake(
            "forgot the normalising constant of q",
            "Your first number is right. The average of a score is 0; is that of your second one, before f "
            "comes in? One term of log q(z) contains σ outside the square.",
            lambda f, mu, log_var, eps: (lambda c, s: scored(c, eps / s, eps**2 / 2))(*tried(f, mu, log_var, eps)),
        ),
        Mistake(
            "divided by σ², not σ",
            "Your first number is off by a factor of σ. The score in mu is (z − mu)/σ²; what is that in terms of eps?",
            lambda f, mu, log_var, eps: (lambda c, s: scored(c, eps / s**2, (eps**2 - 1) / 2))(
                *tried(f, mu, log_var, eps)
            ),
        ),
        Mistake(
            "not divided by σ",
            "Your first number is off by a factor of σ. Where q is narrow, a small shift of mu changes the "
            "density a lot.",
            lambda f, mu, log_var, eps: (lambda c, s: scored(c, eps, (eps**2 - 1) / 2))(*tried(f, mu, log_var, eps)),
        ),
        Mistake(
            "sign flipped",
            "Both numbers have the wrong sign. A draw above mu becomes more probable when mu moves up.",
            lambda f, mu, log_var, eps: (lambda c, s: scored(c, -eps / s, (1 - eps**2) / 2))(
                *tried(f, mu, log_var, eps)
            ),
        ),
        Mistake(
            "f evaluated at the noise",
            "You ask what eps costs. Drawn is z.",
            lambda f, mu, log_var, eps: (lambda s: scored(f(eps), eps / s, (eps**2 - 1) / 2))((log_var / 2).exp()),
        ),
        Mistake(
            "sum for mean",
            "Both numbers grow with the number of draws. An estimate of an expectation does not.",
            lambda f, mu, log_var, eps: (lambda c, s: ((c * eps / s).sum(), (c * (eps**2 - 1) / 2).sum()))(
                *tried(f, mu, log_var, eps)
            ),
        ),
        Mistake(
            "the pathwise gradient added on top",
            "Your estimate counts the gradient twice: once through the density, and once through f(z) itself. "
            "In the score-function estimator z is a fixed number.",
            whole_gradient,
        ),
        Mistake(
            "the pathwise gradient instead",
            "That is the pathwise estimate of the same gradient. Here f is a black box: it may have no "
            "derivative, and gives its value only.",
            lambda f, mu, log_var, eps: pathwise(Quadratic(0.0, 2 * f.a, f.b), mu, log_var, eps),
        ),
    ),
)


# gradient/baseline(f, mu, sigma, eps)


def draw_baseline(rng):
    case = draw_score(rng)
    return {"f": case["f"], "mu": case["mu"], "sigma": rounded_uniform(rng, low=0.3, high=1.8), "eps": case["eps"]}


def baseline(f, mu, sigma, eps):
    cost, eps = np.asarray(f(mu + sigma * eps)), np.asarray(eps)
    others = [np.delete(cost, i).mean() for i in range(len(cost))]
    return np.mean((cost - others) * eps) / float(sigma)


def costs(f, mu, sigma, eps):
    return f(mu + sigma * eps)


BASELINE = Task(
    name="gradient/baseline",
    draw=draw_baseline,
    reference=baseline,
    mistakes=(
        Mistake(
            "a draw in its own baseline",
            "Your baseline for a draw contains that draw itself, so it depends on its noise, and the average "
            "is too small by a factor (N − 1)/N. Which draws are independent of draw i?",
            lambda f, mu, sigma, eps: ((c := costs(f, mu, sigma, eps)) - c.mean()).mul(eps).mean() / sigma,
        ),
        Mistake(
            "no baseline",
            "That is the plain estimator: right on average, with all its variance. Subtract from each cost "
            "what the others cost.",
            lambda f, mu, sigma, eps: (costs(f, mu, sigma, eps) * eps).mean() / sigma,
        ),
        Mistake(
            "sum of the others for their mean",
            "You subtract the sum of the other costs. It grows with the number of draws, and so does the variance.",
            lambda f, mu, sigma, eps: ((c := costs(f, mu, sigma, eps)) - (c.sum() - c)).mul(eps).mean() / sigma,
        ),
        Mistake(
            "the others divided by N",
            "How many other draws are there?",
            lambda f, mu, sigma, eps: (
                ((c := costs(f, mu, sigma, eps)) - (c.sum() - c) / len(c)).mul(eps).mean() / sigma
            ),
        ),
        Mistake(
            "f at the mean as a baseline",
            "f(mu) is a fair baseline, and unbiased, but not the one asked for: take it from the other draws.",
            lambda f, mu, sigma, eps: ((costs(f, mu, sigma, eps) - f(mu)) * eps).mean() / sigma,
        ),
        Mistake(
            "σ forgotten",
            "Your number is off by a factor of σ: the score in mu is eps/σ.",
            lambda f, mu, sigma, eps: baseline(f, mu, sigma, eps) * float(sigma),
        ),
        Mistake(
            "sum for mean",
            "Your number grows with the number of draws. An estimate of an expectation does not.",
            lambda f, mu, sigma, eps: baseline(f, mu, sigma, eps) * len(eps),
        ),
        Mistake(
            "sign flipped",
            "Your number has the wrong sign: dear draws should become less probable, cheap ones more.",
            lambda f, mu, sigma, eps: -baseline(f, mu, sigma, eps),
        ),
    ),
)


# gradient/repaired(mu, log_var, generator)


def draw_repaired(rng):
    return {
        "mu": rounded_normal(rng, 2, 3),
        "log_var": rounded_uniform(rng, 2, 3, low=-2.0, high=-1.2),
        "generator": Seed(int(rng.integers(2**31))),
    }


def repaired(mu, log_var, generator):
    sigma = (log_var / 2).exp()
    return mu + sigma * torch.randn(mu.shape, generator=generator)


def noise(shape, generator, draw=torch.randn):
    return draw(shape, generator=generator)


def half_repaired(scale, shape, cut):
    """The broken function with some of its faults mended."""

    def drawn(mu, log_var, generator):
        eps = noise(mu.shape[-1:] if shape == "shared" else mu.shape, generator)
        z = mu + (log_var.exp() if scale == "variance" else (log_var / 2).exp()) * eps
        return z.detach() if cut else z

    return drawn


NO_GRADIENT = (
    "Your samples may be right, but no gradient gets through: the encoder would never learn. What cuts the graph?"
)
SHARED = (
    "All pictures of a batch get the same noise. Each sample by itself looks right, but their errors no longer average out. "
    "How many random numbers does a batch of shape (B, D) need?"
)
VARIANCE = "The samples are spread wrongly: compare the standard deviation of many samples with exp(log_var / 2)."

REPAIRED = Task(
    name="gradient/repaired",
    draw=draw_repaired,
    reference=repaired,
    observe=Draws(repeats=250, gradients=("mu", "log_var")),
    agree=SameMoments(),
    cases=1,
    library=("vae_lessons.distributions.sample_normal",),
    mistakes=(
        Mistake(
            "still no gradient",
            NO_GRADIENT,
            half_repaired("sigma", "own", True),
            half_repaired("variance", "own", True),
            half_repaired("sigma", "shared", True),
            half_repaired("variance", "shared", True),
        ),
        Mistake(
            "noise shared by the batch",
            SHARED,
            half_repaired("sigma", "shared", False),
            half_repaired("variance", "shared", False),
        ),
        Mistake(
            "σ² taken for σ",
            VARIANCE,
            half_repaired("variance", "own", False),
        ),
        Mistake(
            "noise shared by the latents",
            "All latents of a picture get the same noise, so that they move together. How many random numbers "
            "does a batch of shape (B, D) need?",
            lambda mu, log_var, generator: mu + (log_var / 2).exp() * noise((len(mu), 1), generator),
        ),
        Mistake(
            "one number for the whole batch",
            "A single random number moves all latents of all pictures. How many does a batch of shape (B, D) need?",
            lambda mu, log_var, generator: mu + (log_var / 2).exp() * noise((1,), generator),
        ),
        Mistake(
            "uniform noise",
            "Your noise is never negative. `torch.rand` is uniform on [0, 1]; which function draws from N(0, 1)?",
            lambda mu, log_var, generator: mu + (log_var / 2).exp() * noise(mu.shape, generator, torch.rand),
        ),
        Mistake(
            "generator forgotten",
            "The same generator does not give the same samples again: your noise comes from elsewhere. "
            "Results that nobody can repeat cannot be debugged.",
            lambda mu, log_var, generator: mu + (log_var / 2).exp() * torch.randn_like(mu),
        ),
        Mistake(
            "σ does not let the gradient through",
            "No gradient reaches log_var: the encoder would never learn how wide to be.",
            lambda mu, log_var, generator: mu + (log_var / 2).exp().detach() * noise(mu.shape, generator),
        ),
        Mistake(
            "no noise",
            "Your function returns the same every time. Without noise, what would log_var be for?",
            lambda mu, log_var, generator: mu + 0 * log_var,
        ),
    ),
)


# gradient/choose(functions, mu, sigma, eps)

FEW = 4_000


def draw_choose(rng):
    functions = [
        Quadratic(number(rng, 0.5, 1.5), number(rng, -0.5, 0.5), number(rng, 0.5, 1.5)),
        Sine(number(rng, 0.2, 0.4)),
        Sine(number(rng, 12, 20)),
        Step(number(rng, -0.3, 0.3)),
        SlopedStep(number(rng, 0.2, 0.8), number(rng, 0.2, 0.6)),
    ]
    while True:  # noise on which the unbiased estimates agree, so that the choice is clear
        eps = torch.tensor(rng.normal(size=FEW), dtype=torch.float32)
        if all(gap(f, 0.5, 0.8, eps) < 2 for f in functions[:3]):
            order = rng.permutation(5)
            return {"functions": [functions[i] for i in order], "mu": 0.5, "sigma": 0.8, "eps": eps}


def estimates(f, mu, sigma, eps):
    """One gradient in mu for each draw: pathwise, score function."""
    z = (mu + sigma * eps).requires_grad_()
    cost = f(z)
    (slope,) = torch.autograd.grad(cost.sum(), z)
    return slope, cost.detach() * eps / sigma


def gap(f, mu, sigma, eps):
    """Difference of the two means in standard errors."""
    one, other = estimates(f, mu, sigma, eps)
    return abs((one - other).mean() / ((one - other).std() / len(eps) ** 0.5)).item()


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(201)


def choose(functions, mu, sigma, eps):
    """By quadrature; a step has no slope to speak of."""
    words, weights, nodes = [], WEIGHTS / WEIGHTS.sum(), torch.tensor(NODES)
    for f in functions:
        slope, score = (np.asarray(one) for one in estimates(f, mu, sigma, nodes))
        variances = [weights @ one**2 - (weights @ one) ** 2 for one in (slope, score)]
        words.append("score" if isinstance(f, Step | SlopedStep) or variances[1] < variances[0] else "pathwise")
    return words


def by(rule):
    def chosen(functions, mu, sigma, eps):
        return [rule(*estimates(f, mu, sigma, eps)) for f in functions]

    return chosen


CHOOSE = Task(
    name="gradient/choose",
    draw=draw_choose,
    reference=choose,
    cases=3,
    mistakes=(
        Mistake(
            "the smaller variance, right or wrong",
            "An estimator that always says 0 has no variance at all. One of the functions has a gradient "
            "which one of the estimators cannot see: how would the two means tell you?",
            by(lambda slope, score: "pathwise" if slope.var() < score.var() else "score"),
        ),
        Mistake(
            "always pathwise",
            "The pathwise estimator is usually the better one. Look at the variances for a function that "
            "oscillates within the width of q, and at the means for one that jumps.",
            by(lambda slope, score: "pathwise"),
        ),
        Mistake(
            "always the score function",
            "The score function is always unbiased, but for a smooth f it pays with variance. Compare the two "
            "where both are right.",
            by(lambda slope, score: "score"),
        ),
        Mistake(
            "the larger variance",
            "You choose the estimator with the larger variance.",
            by(lambda slope, score: "pathwise" if slope.var() > score.var() else "score"),
        ),
        Mistake(
            "only a slope of zero distrusted",
            "You see that a slope of 0 everywhere is suspicious. A function can have a slope and jump as "
            "well; then the pathwise mean is wrong without being 0. With what can you compare it?",
            by(lambda slope, score: "pathwise" if slope.any() and slope.var() < score.var() else "score"),
        ),
        Mistake(
            "unbiased, but never mind the variance",
            "You see the jump. For one of the smooth functions, though, the pathwise estimates are far more "
            "spread than the others.",
            by(lambda slope, score: "pathwise" if slope.any() else "score"),
        ),
    ),
)

TASKS = (SAMPLE, PATHWISE, SCORE, BASELINE, REPAIRED, CHOOSE)
