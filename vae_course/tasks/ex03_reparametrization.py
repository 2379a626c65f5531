"""The tasks of exercise 03, the reparametrization trick."""

from functools import partial

import numpy as np
import torch
from torch.distributions import Normal

from vae_course.judging.task import Mistake, SameMoments, Task, rounded_normal, rounded_uniform
from vae_course.visible.callables import Quadratic, Sine, SlopedStep, Step
from vae_course.visible.observe import Draws, Gradients, Seed

__all__ = ["TASKS"]


def rounded_number(rng, low, high):
    """Draw a float between the two, rounded to two decimals."""
    return round(float(rng.uniform(low, high)), 2)


def sigma_of(log_var):
    """σ = exp(½ log σ²)."""
    return (log_var / 2).exp()


def at_z(f, mu, log_var, eps):
    """The function at every z = μ + σε."""
    return f(mu + sigma_of(log_var) * eps)


# gradient/sample(mu, log_var, eps)


def draw_sample(rng):
    """Draw more latents than pictures, so that the axes cannot be confused."""
    batch, latents = int(rng.integers(1, 4)), int(rng.integers(4, 6))
    return {name: rounded_normal(rng, batch, latents) for name in ("mu", "log_var", "eps")}


def sample(mu, log_var, eps):
    """z = μ + σε (lesson 03, section 3)."""
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
            "no gradient through σ",
            "Your samples are right, but no gradient reaches log_var: the encoder would never learn how wide "
            "to be. Something on the way from log_var to z cuts the graph.",
            lambda mu, log_var, eps: mu + sigma_of(log_var).detach() * eps,
        ),
        Mistake(
            "no gradient at all",
            "Your samples are right, but autograd does not see that they depend on mu and log_var. Look for "
            "`no_grad`, `detach`, `.data` or `Normal(...).sample()`.",
            lambda mu, log_var, eps: (mu + sigma_of(log_var) * eps).detach(),
        ),
        Mistake(
            "no gradient through μ",
            "Your samples are right, but no gradient reaches mu. Something on the way from mu to z cuts the graph.",
            lambda mu, log_var, eps: mu.detach() + sigma_of(log_var) * eps,
        ),
        Mistake(
            "σ forgotten",
            "All your z have standard deviation 1, whatever log_var says.",
            lambda mu, log_var, eps: mu + eps,
        ),
        Mistake(
            "sign of log_var flipped",
            "Your noise shrinks where log_var grows.",
            lambda mu, log_var, eps: mu + sigma_of(-log_var) * eps,
        ),
    ),
)


# gradient/pathwise(slope, mu, log_var, eps)


def draw_pathwise(rng):
    """Draw a curved slope, so that its average over z is not its value at mu."""
    slope = Quadratic(rounded_number(rng, 0.5, 1.5), rounded_number(rng, -1, 1), rounded_number(rng, -1, 1))
    return {
        "slope": slope,
        "mu": rounded_uniform(rng, low=-1.5, high=1.5),
        "log_var": rounded_uniform(rng, low=-1.5, high=1.0),
        "eps": rounded_normal(rng, int(rng.integers(3, 8))),
    }


def pathwise(slope, mu, log_var, eps):
    """Autograd's gradient of the mean of f′(z) · z, with f′(z) held fixed."""
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = mu + (log_var / 2).exp() * eps
    return torch.autograd.grad((slope(z).detach() * z).mean(), (mu, log_var))


def chain_rule(slopes, z_by_log_var):
    """The means of f′(z) · 1 and of f′(z) · ∂z/∂log σ² (lesson 03, sections 3 and 4)."""
    return slopes.mean(), (slopes * z_by_log_var).mean()


PATHWISE = Task(
    name="gradient/pathwise",
    draw=draw_pathwise,
    reference=pathwise,
    mistakes=(
        Mistake(
            "gradient in σ, not in log σ²",
            "Your first number is right; the second is the gradient in σ. The network emits log_var: how does "
            "z move when log_var moves a little?",
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), eps),
        ),
        Mistake(
            "forgot the ½ of σ = exp(log_var / 2)",
            "Your first number is right, the second too large by a factor. Differentiate exp(log_var / 2) once more.",
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), sigma_of(log_var) * eps),
        ),
        Mistake(
            "gradient in σ²",
            "Your first number is right; the second is the gradient in the variance. The task asks for the one in "
            "its logarithm.",
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), eps / (2 * sigma_of(log_var))),
        ),
        Mistake(
            "noise forgotten in the second number",
            "Your first number is right. For the second: by how much z moves depends on the noise of that draw.",
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), sigma_of(log_var) / 2),
        ),
        Mistake(
            "slope taken at the mean",
            "You take the slope at mu. What is drawn is z: the slope is needed there.",
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + 0 * eps), sigma_of(log_var) * eps / 2),
        ),
        Mistake(
            "sum for mean",
            "Both numbers grow with the number of draws. An estimate of an expectation does not.",
            lambda slope, mu, log_var, eps: chain_rule(
                len(eps) * at_z(slope, mu, log_var, eps), sigma_of(log_var) * eps / 2
            ),
        ),
        Mistake(
            "σ² taken for σ",
            "Your z are spread by the variance. What is σ, given log σ²?",
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + log_var.exp() * eps), log_var.exp() * eps / 2),
        ),
        Mistake(
            "mean of the slope times mean of the noise",
            "Your first number is right. In the second you average the two factors separately; slope and noise "
            "belong to the same draw.",
            lambda slope, mu, log_var, eps: chain_rule(
                at_z(slope, mu, log_var, eps), (sigma_of(log_var) * eps / 2).mean()
            ),
        ),
    ),
)


# gradient/score_function(f, mu, log_var, eps)


def draw_score_function(rng):
    """Draw a quadratic with a constant above 0, which changes only the score-function estimate."""
    f = Quadratic(rounded_number(rng, 0.5, 1.5), rounded_number(rng, -1, 1), rounded_number(rng, 0.5, 1.5))
    return {"f": f} | {key: value for key, value in draw_pathwise(rng).items() if key != "slope"}


def score_function(f, mu, log_var, eps):
    """Autograd's gradient of the mean of f(z) log q(z), with z held fixed (Williams 1992; lesson 03, section 4)."""
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = (mu + (log_var / 2).exp() * eps).detach()
    return torch.autograd.grad((f(z) * Normal(mu, (log_var / 2).exp()).log_prob(z)).mean(), (mu, log_var))


def scored(cost, in_mu, in_log_var):
    """The means of the cost times each of the two scores; the right scores are ε/σ and (ε² − 1)/2."""
    return (cost * in_mu).mean(), (cost * in_log_var).mean()


SCORE_FUNCTION = Task(
    name="gradient/score_function",
    draw=draw_score_function,
    reference=score_function,
    mistakes=(
        Mistake(
            "gradient in σ, not in log σ²",
            "Your first number is right; the second is the gradient in σ. Write log q(z) with log_var and "
            "differentiate that.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), eps / sigma_of(log_var), (eps**2 - 1) / sigma_of(log_var)
            ),
        ),
        Mistake(
            "forgot the ½ of log σ = log_var / 2",
            "Your first number is right, the second too large by a factor. How does log σ occur in log q(z), "
            "and what is it in log_var?",
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / sigma_of(log_var), eps**2 - 1),
        ),
        Mistake(
            "forgot the normalising constant of q",
            "Your first number is right. The average of a score is 0; is that of your second one, before f "
            "comes in? One term of log q(z) contains σ outside the square.",
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / sigma_of(log_var), eps**2 / 2),
        ),
        Mistake(
            "divided by σ², not σ",
            "Your first number is off by a factor of σ. The score in mu is (z − mu)/σ²; what is that in terms of eps?",
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / log_var.exp(), (eps**2 - 1) / 2),
        ),
        Mistake(
            "not divided by σ",
            "Your first number is off by a factor of σ. Where q is narrow, a small shift of mu changes the "
            "density a lot.",
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps, (eps**2 - 1) / 2),
        ),
        Mistake(
            "f evaluated at the noise",
            "You evaluate f at eps. The draws are z.",
            lambda f, mu, log_var, eps: scored(f(eps), eps / sigma_of(log_var), (eps**2 - 1) / 2),
        ),
        Mistake(
            "sum for mean",
            "Both numbers grow with the number of draws. An estimate of an expectation does not.",
            lambda f, mu, log_var, eps: scored(
                len(eps) * at_z(f, mu, log_var, eps), eps / sigma_of(log_var), (eps**2 - 1) / 2
            ),
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
    """Draw as for the score function, but σ itself."""
    case = draw_score_function(rng)
    return {"f": case["f"], "mu": case["mu"], "sigma": rounded_uniform(rng, low=0.3, high=1.8), "eps": case["eps"]}


def baseline(f, mu, sigma, eps):
    """The baseline of each draw is the mean cost of all others (lesson 03, section 10), one draw at a time."""
    cost, eps = np.asarray(f(mu + sigma * eps)), np.asarray(eps)
    others = [np.delete(cost, i).mean() for i in range(len(cost))]
    return np.mean((cost - others) * eps) / float(sigma)


def minus_baseline(baseline_of, f, mu, sigma, eps):
    """The score-function estimate in μ, with the baseline that `baseline_of` computes from all costs."""
    cost = f(mu + sigma * eps)
    return ((cost - baseline_of(cost)) * eps).mean() / sigma


BASELINE = Task(
    name="gradient/baseline",
    draw=draw_baseline,
    reference=baseline,
    mistakes=(
        Mistake(
            "a draw in its own baseline",
            "Your baseline for a draw contains that draw itself, so it depends on its noise, and the average "
            "is too small by a factor (N − 1)/N. Which draws are independent of draw i?",
            partial(minus_baseline, lambda cost: cost.mean()),
        ),
        Mistake(
            "no baseline",
            "That is the plain estimator: right on average, with all its variance. Subtract from each cost "
            "what the others cost.",
            partial(minus_baseline, lambda cost: 0.0),
        ),
        Mistake(
            "sum of the others for their mean",
            "You subtract the sum of the other costs. It grows with the number of draws, and so does the variance.",
            partial(minus_baseline, lambda cost: cost.sum() - cost),
        ),
        Mistake(
            "the others divided by N",
            "How many other draws are there?",
            partial(minus_baseline, lambda cost: (cost.sum() - cost) / len(cost)),
        ),
        Mistake(
            "f at the mean as a baseline",
            "f(mu) is a valid baseline, and the estimate stays unbiased, but the task asks for another: take it "
            "from the other draws.",
            lambda f, mu, sigma, eps: minus_baseline(lambda cost: f(mu), f, mu, sigma, eps),
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
            "Your number has the wrong sign: draws that cost much should become less probable, and cheap ones more.",
            lambda f, mu, sigma, eps: -baseline(f, mu, sigma, eps),
        ),
    ),
)


# gradient/repaired(mu, log_var, generator)


def draw_repaired(rng):
    """Draw log_var far below 0, so that σ² is much smaller than σ."""
    return {
        "mu": rounded_normal(rng, 2, 3),
        "log_var": rounded_uniform(rng, 2, 3, low=-2.0, high=-1.2),
        "generator": Seed(int(rng.integers(2**31))),
    }


def repaired(mu, log_var, generator):
    """z = μ + σε with noise of the shape of μ (lesson 03, sections 3 and 6)."""
    sigma = (log_var / 2).exp()
    return mu + sigma * torch.randn(mu.shape, generator=generator)


def own_noise(mu, generator):
    """The right noise: separate for every latent of every picture."""
    return torch.randn(mu.shape, generator=generator)


def shared_noise(mu, generator):
    """The same noise for all pictures, as in the broken function."""
    return torch.randn(mu.shape[-1], generator=generator)


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
            "Your samples may be right, but no gradient gets through: the encoder would never learn. What cuts "
            "the graph?",
            lambda mu, log_var, generator: (mu + sigma_of(log_var) * own_noise(mu, generator)).detach(),
            lambda mu, log_var, generator: (mu + log_var.exp() * own_noise(mu, generator)).detach(),
            lambda mu, log_var, generator: (mu + sigma_of(log_var) * shared_noise(mu, generator)).detach(),
            lambda mu, log_var, generator: (mu + log_var.exp() * shared_noise(mu, generator)).detach(),
        ),
        Mistake(
            "noise shared by the batch",
            "All pictures of a batch get the same noise. Each sample by itself looks right, but their errors no "
            "longer average out. How many random numbers does a batch of shape (B, d) need?",
            lambda mu, log_var, generator: mu + sigma_of(log_var) * shared_noise(mu, generator),
            lambda mu, log_var, generator: mu + log_var.exp() * shared_noise(mu, generator),
        ),
        Mistake(
            "σ² taken for σ",
            "The samples have the wrong spread: compare the standard deviation of many samples with exp(log_var / 2).",
            lambda mu, log_var, generator: mu + log_var.exp() * own_noise(mu, generator),
        ),
        Mistake(
            "noise shared by the latents",
            "All latents of a picture get the same noise, so that they move together. How many random numbers "
            "does a batch of shape (B, d) need?",
            lambda mu, log_var, generator: mu + sigma_of(log_var) * torch.randn((len(mu), 1), generator=generator),
            lambda mu, log_var, generator: mu + sigma_of(log_var) * torch.randn((1,), generator=generator),
        ),
        Mistake(
            "uniform noise",
            "Your noise is never negative. `torch.rand` is uniform on [0, 1]; which function draws from N(0, 1)?",
            lambda mu, log_var, generator: mu + sigma_of(log_var) * torch.rand(mu.shape, generator=generator),
        ),
        Mistake(
            "generator forgotten",
            "The same generator does not give the same samples again: your noise comes from elsewhere. "
            "Results that nobody can repeat cannot be debugged.",
            lambda mu, log_var, generator: mu + sigma_of(log_var) * torch.randn_like(mu),
        ),
        Mistake(
            "no gradient through σ",
            "No gradient reaches log_var: the encoder would never learn how wide to be.",
            lambda mu, log_var, generator: mu + sigma_of(log_var).detach() * own_noise(mu, generator),
        ),
        Mistake(
            "no noise",
            "Your function returns the same every time. Without noise, what would log_var be for?",
            lambda mu, log_var, generator: mu + 0 * log_var,
        ),
    ),
)


# gradient/choose(functions, mu, sigma, eps)

N_DRAWS = 4_000


def draw_choose(rng):
    """Draw a function of every kind, in random order: smooth, slow or fast oscillation, jump, slope and jump."""
    functions = [
        Quadratic(rounded_number(rng, 0.5, 1.5), rounded_number(rng, -0.5, 0.5), rounded_number(rng, 0.5, 1.5)),
        Sine(rounded_number(rng, 0.2, 0.4)),
        Sine(rounded_number(rng, 12, 20)),
        Step(rounded_number(rng, -0.3, 0.3)),
        SlopedStep(rounded_number(rng, 0.2, 0.8), rounded_number(rng, 0.2, 0.6)),
    ]
    while True:  # until the noise gives unbiased estimates that agree, so that the choice is clear
        eps = torch.tensor(rng.normal(size=N_DRAWS), dtype=torch.float32)
        if all(gap_in_errors(f, 0.5, 0.8, eps) < 2 for f in functions[:3]):
            order = rng.permutation(5)
            return {"functions": [functions[i] for i in order], "mu": 0.5, "sigma": 0.8, "eps": eps}


def both_estimates(f, mu, sigma, eps):
    """One gradient in mu for each draw: pathwise, score function."""
    z = (mu + sigma * eps).requires_grad_()
    cost = f(z)
    (slope,) = torch.autograd.grad(cost.sum(), z)
    return slope, cost.detach() * eps / sigma


def gap_in_errors(f, mu, sigma, eps):
    """The difference between the means of the two estimates, in standard errors."""
    slope, score = both_estimates(f, mu, sigma, eps)
    difference = slope - score
    return abs(difference.mean() / (difference.std() / len(eps) ** 0.5)).item()


def choose(functions, mu, sigma, eps):
    """Compare the variances by quadrature, except for a jump, where the pathwise estimate is wrong."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(201)
    nodes, weights = torch.tensor(nodes), weights / weights.sum()
    words = []
    for f in functions:
        slope, score = (np.asarray(estimate) for estimate in both_estimates(f, mu, sigma, nodes))
        variances = [weights @ estimate**2 - (weights @ estimate) ** 2 for estimate in (slope, score)]
        words.append("score" if isinstance(f, Step | SlopedStep) or variances[1] < variances[0] else "pathwise")
    return words


def pathwise_where(rule, functions, mu, sigma, eps):
    """The word "pathwise" if the rule holds for a function's two estimates, otherwise "score"."""
    return ["pathwise" if rule(*both_estimates(f, mu, sigma, eps)) else "score" for f in functions]


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
            partial(pathwise_where, lambda slope, score: slope.var() < score.var()),
        ),
        Mistake(
            "always pathwise",
            "The pathwise estimator is usually the better one. Look at the variances for a function that "
            "oscillates within the width of q, and at the means for one that jumps.",
            partial(pathwise_where, lambda slope, score: True),
        ),
        Mistake(
            "always the score function",
            "The score function is always unbiased, but for a smooth f it pays with variance. Compare the two "
            "where both are right.",
            partial(pathwise_where, lambda slope, score: False),
        ),
        Mistake(
            "the larger variance",
            "You choose the estimator with the larger variance.",
            partial(pathwise_where, lambda slope, score: slope.var() > score.var()),
        ),
        Mistake(
            "only a slope of zero distrusted",
            "You see that a slope of 0 everywhere is suspicious. But a function can also have both a slope and a "
            "jump; then the pathwise mean is wrong without being 0. With what can you compare it?",
            partial(pathwise_where, lambda slope, score: slope.any() and slope.var() < score.var()),
        ),
    ),
)

TASKS = (SAMPLE, PATHWISE, SCORE_FUNCTION, BASELINE, REPAIRED, CHOOSE)
