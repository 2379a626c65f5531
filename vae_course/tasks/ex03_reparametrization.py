"""The tasks of exercise 03, the reparametrization trick."""

from functools import partial

import numpy as np
import torch
from torch.distributions import Normal

from vae_course.judging.common_mistakes import wrong_draws_from_noise, wrong_noise
from vae_course.judging.task import Mistake, SameMoments, Task, rounded_normal, rounded_uniform, wide
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
    draw=(draw_sample, wide(draw_sample, "log_var")),
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
        Mistake(
            "half the variance instead of its root",
            "You halve the variance, which is not its root. At log_var = 0 the noise should keep its length: "
            "does yours?",
            lambda mu, log_var, eps: mu + log_var.exp() / 2 * eps,
        ),
        Mistake(
            "a root too many",
            "Your noise is stretched by the root of σ. You take a root twice: count the halves.",
            lambda mu, log_var, eps: mu + (log_var / 4).exp() * eps,
        ),
        Mistake(
            "squared instead of the root",
            "Your noise is stretched by the square of the variance. Which power of the variance is a standard "
            "deviation?",
            lambda mu, log_var, eps: mu + (2 * log_var).exp() * eps,
        ),
        Mistake(
            "root of the logarithm",
            "You take the root of log_var, which may be negative. First get the variance from its logarithm, "
            "then its root.",
            lambda mu, log_var, eps: mu + log_var.abs().sqrt() * eps,
        ),
        Mistake(
            "mean forgotten",
            "Your samples lie around zero. Around what should they lie?",
            lambda mu, log_var, eps: sigma_of(log_var) * eps + 0 * mu,
            lambda mu, log_var, eps: sigma_of(log_var) * eps,
        ),
        *wrong_draws_from_noise(),
        Mistake(
            "the noise shared by the batch",
            "Only one row of `eps` is used. Each picture has its own noise.",
            lambda mu, log_var, eps: mu + sigma_of(log_var) * eps[:1],
        ),
        Mistake(
            "sign of the noise flipped",
            "Your samples have the right distribution, but lie on the other side of the mean: the task asks for "
            "this noise.",
            lambda mu, log_var, eps: mu - sigma_of(log_var) * eps,
        ),
        Mistake(
            "one spread for a picture",
            "You use one spread for all latents of a picture. `log_var` has one for each.",
            lambda mu, log_var, eps: mu + sigma_of(log_var.mean(-1, keepdim=True)) * eps,
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
    draw=(draw_pathwise, wide(draw_pathwise, "log_var")),
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
        Mistake(
            "σ² for σ in the second number",
            "The second number has σ² where the derivative of σ belongs. How does σ = exp(log_var / 2) change "
            "with log_var?",
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), log_var.exp() * eps),
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), log_var.exp() * eps / 2),
        ),
        Mistake(
            "σ forgotten in the second number",
            "Halving the gradient in σ is not all: by the chain rule a factor is missing. How does σ = "
            "exp(log_var / 2) change with log_var?",
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), eps / 2),
        ),
        Mistake(
            "slope taken at the noise",
            "You take the slope at eps. The draws are z.",
            lambda slope, mu, log_var, eps: chain_rule(slope(eps), sigma_of(log_var) * eps / 2),
            lambda slope, mu, log_var, eps: chain_rule(slope(eps), sigma_of(log_var) * eps),
            lambda slope, mu, log_var, eps: chain_rule(slope(eps), eps),
        ),
        Mistake(
            "z for z − μ",
            "In the second number you multiply by z itself. If log_var grows, mu stays where it is: which part "
            "of z moves?",
            lambda slope, mu, log_var, eps: chain_rule(
                at_z(slope, mu, log_var, eps), (mu + sigma_of(log_var) * eps) / 2
            ),
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), mu + sigma_of(log_var) * eps),
        ),
        Mistake(
            "the score function instead",
            "You multiply by the score, as if `slope` were f. You are given f′: by how much does f change when "
            "z moves by 1, and how much does z move?",
            lambda slope, mu, log_var, eps: scored(
                at_z(slope, mu, log_var, eps), eps / sigma_of(log_var), (eps**2 - 1) / 2
            ),
        ),
        Mistake(
            "log_var taken for σ",
            "Your z are spread by log_var itself. What is σ, given log σ²?",
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + log_var * eps), eps),
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + log_var * eps), log_var * eps / 2),
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + log_var * eps), log_var * eps),
        ),
        Mistake(
            "z spread by the variance",
            "Your z are spread by the variance. What is σ, given log σ²?",
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + log_var.exp() * eps), log_var.exp() * eps),
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + log_var.exp() * eps), eps),
            lambda slope, mu, log_var, eps: chain_rule(slope(mu + log_var.exp() * eps), sigma_of(log_var) * eps / 2),
        ),
        Mistake(
            "slope at the mean of the draws",
            "You take one slope, at the mean of the draws. The mean of the slopes is another number where f′ is "
            "curved.",
            lambda slope, mu, log_var, eps: chain_rule(
                slope((mu + sigma_of(log_var) * eps).mean()), sigma_of(log_var) * eps / 2
            ),
        ),
        Mistake(
            "a factor of σ in the first number",
            "When mu moves by 1, by how much does z move? Your first number says something else.",
            lambda slope, mu, log_var, eps: (
                (at_z(slope, mu, log_var, eps) / sigma_of(log_var)).mean(),
                (at_z(slope, mu, log_var, eps) * sigma_of(log_var) * eps / 2).mean(),
            ),
            lambda slope, mu, log_var, eps: (
                (at_z(slope, mu, log_var, eps) * sigma_of(log_var)).mean(),
                (at_z(slope, mu, log_var, eps) * sigma_of(log_var) * eps / 2).mean(),
            ),
            lambda slope, mu, log_var, eps: (
                (at_z(slope, mu, log_var, eps) * mu).mean(),
                (at_z(slope, mu, log_var, eps) * sigma_of(log_var) * eps / 2).mean(),
            ),
        ),
        Mistake(
            "divided by N − 1",
            "These are plain means over N draws: nothing was estimated from them before.",
            lambda slope, mu, log_var, eps: chain_rule(
                at_z(slope, mu, log_var, eps) * len(eps) / (len(eps) - 1), sigma_of(log_var) * eps / 2
            ),
        ),
        Mistake(
            "log_var as a factor",
            "log_var itself stands as a factor in your second number. What is the derivative of exp(x / 2)?",
            lambda slope, mu, log_var, eps: chain_rule(
                at_z(slope, mu, log_var, eps), log_var / 2 * sigma_of(log_var) * eps
            ),
            lambda slope, mu, log_var, eps: chain_rule(
                at_z(slope, mu, log_var, eps), log_var * sigma_of(log_var) * eps
            ),
            lambda slope, mu, log_var, eps: chain_rule(at_z(slope, mu, log_var, eps), log_var * eps),
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


def not_held_fixed(f, mu, log_var, eps):
    """Autograd's gradient of the mean of f(z) log q(z), through f or z as well."""
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = mu + (log_var / 2).exp() * eps
    loss = (f(z).detach() * Normal(mu, (log_var / 2).exp()).log_prob(z)).mean()
    return torch.autograd.grad(loss, (mu, log_var), materialize_grads=True)


def cost_not_held_fixed(f, mu, log_var, eps):
    """The same, with a gradient through the cost."""
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = mu + (log_var / 2).exp() * eps
    return torch.autograd.grad((f(z) * Normal(mu, (log_var / 2).exp()).log_prob(z)).mean(), (mu, log_var))


SCORE_FUNCTION = Task(
    name="gradient/score_function",
    draw=(draw_score_function, wide(draw_score_function, "log_var")),
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
        Mistake(
            "z not held fixed",
            "Autograd goes through z as well. In E[f(z) ∇log q(z)] the derivative is of log q at a fixed z. "
            "What has to happen to z before log q is taken?",
            not_held_fixed,
            cost_not_held_fixed,
        ),
        Mistake(
            "a baseline from the same draws",
            "You subtract the mean cost. The task asks for the plain estimate; and a mean that contains the "
            "draw itself makes the estimate biased.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps) - at_z(f, mu, log_var, eps).mean(), eps / sigma_of(log_var), (eps**2 - 1) / 2
            ),
        ),
        Mistake(
            "the cost standardised",
            "You subtract the mean cost and divide by its standard deviation. The estimate no longer has the "
            "scale of f.",
            lambda f, mu, log_var, eps: scored(
                (at_z(f, mu, log_var, eps) - at_z(f, mu, log_var, eps).mean()) / at_z(f, mu, log_var, eps).std(),
                eps / sigma_of(log_var),
                (eps**2 - 1) / 2,
            ),
            lambda f, mu, log_var, eps: scored(
                (at_z(f, mu, log_var, eps) - at_z(f, mu, log_var, eps).mean())
                / (at_z(f, mu, log_var, eps).std() + 1e-8),
                eps / sigma_of(log_var),
                (eps**2 - 1) / 2,
            ),
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps) / at_z(f, mu, log_var, eps).std(), eps / sigma_of(log_var), (eps**2 - 1) / 2
            ),
        ),
        Mistake(
            "gradient in σ²",
            "The second number is the gradient in the variance. The task asks for the one in its logarithm.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), eps / sigma_of(log_var), (eps**2 - 1) / (2 * log_var.exp())
            ),
        ),
        Mistake(
            "σ² taken for σ",
            "Your z are spread by the variance. What is σ, given log σ²?",
            lambda f, mu, log_var, eps: scored(f(mu + log_var.exp() * eps), eps / log_var.exp(), (eps**2 - 1) / 2),
            lambda f, mu, log_var, eps: scored(f(mu + log_var.exp() * eps), eps / sigma_of(log_var), (eps**2 - 1) / 2),
        ),
        Mistake(
            "mean cost times mean score",
            "You average cost and score separately. They belong to the same draw.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps).mean(), eps / sigma_of(log_var), (eps**2 - 1) / 2
            ),
        ),
        Mistake(
            "z for z − μ",
            "You use z where its distance from mu belongs. Write out log q(z).",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps),
                (mu + sigma_of(log_var) * eps) / log_var.exp(),
                ((mu + sigma_of(log_var) * eps) ** 2 / log_var.exp() - 1) / 2,
            ),
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), (mu + sigma_of(log_var) * eps) / log_var.exp(), (eps**2 - 1) / 2
            ),
        ),
        Mistake(
            "times σ, not divided",
            "Your first number is off by a factor of σ². Is the density more sensitive to mu where q is narrow, "
            "or where it is wide?",
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps * sigma_of(log_var), (eps**2 - 1) / 2),
        ),
        Mistake(
            "the chain rule of z in the second number",
            "The second number multiplies the cost by how z moves. That belongs to the pathwise gradient; here "
            "log q moves.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), eps / sigma_of(log_var), sigma_of(log_var) * eps / 2
            ),
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), eps / sigma_of(log_var), sigma_of(log_var) * eps
            ),
        ),
        Mistake(
            "f at the mean",
            "You take f at mu for every draw. The cost of a draw is f(z).",
            lambda f, mu, log_var, eps: scored(f(mu + 0 * eps), eps / sigma_of(log_var), (eps**2 - 1) / 2),
        ),
        Mistake(
            "log q itself, not its derivative",
            "You multiply by log q(z). Its derivatives are needed, in mu and in log_var.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), Normal(0.0, 1.0).log_prob(eps) - log_var / 2, (eps**2 - 1) / 2
            ),
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps),
                Normal(0.0, 1.0).log_prob(eps) - log_var / 2,
                Normal(0.0, 1.0).log_prob(eps) - log_var / 2,
            ),
        ),
        Mistake(
            "the logarithm of the cost",
            "You take the logarithm of f. In E[f(z) ∇log q(z)] there is one of q only.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps).abs().log(), eps / sigma_of(log_var), (eps**2 - 1) / 2
            ),
        ),
        Mistake(
            "f forgotten",
            "Your numbers are the mean scores, whatever f is.",
            lambda f, mu, log_var, eps: scored(torch.ones_like(eps), eps / sigma_of(log_var), (eps**2 - 1) / 2),
        ),
        Mistake(
            "gradient of q, not of log q",
            "You multiply by the density as well. Draws from q already come as often as q says.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps) * Normal(0.0, 1.0).log_prob(eps).exp() / sigma_of(log_var),
                eps / sigma_of(log_var),
                (eps**2 - 1) / 2,
            ),
        ),
        Mistake(
            "more than one slip in the scores",
            "Neither score is right. Take log q(z) = −(z − mu)²/(2σ²) − log σ + a constant, write σ as a "
            "function of log_var, and differentiate in each of the two.",
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), eps / log_var.exp(), (eps**2 - 1) / (2 * log_var.exp())
            ),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps, eps**2 - 1),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps, eps**2),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps, eps**2 / 2),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / log_var.exp(), eps**2 / 2),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / log_var.exp(), eps**2 - 1),
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), eps / log_var.exp(), (eps**2 - 1) / sigma_of(log_var)
            ),
        ),
        Mistake(
            "a slip in the second score",
            "The average of a score is 0. Is that of your second one, before f comes in? Differentiate −(z − "
            "mu)²/(2σ²) − log σ in log_var, term by term.",
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / sigma_of(log_var), eps**2 / 2 - 1),
            lambda f, mu, log_var, eps: scored(
                at_z(f, mu, log_var, eps), eps / sigma_of(log_var), (log_var.exp() * eps**2 - 1) / 2
            ),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / sigma_of(log_var), (eps - 1) / 2),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / sigma_of(log_var), (eps**2 + 1) / 2),
            lambda f, mu, log_var, eps: scored(at_z(f, mu, log_var, eps), eps / sigma_of(log_var), eps**2),
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


def centred_twice(f, mu, sigma, eps):
    """Take the others' mean off the cost, and off the noise."""
    others_noise = (eps.sum() - eps) / (len(eps) - 1)
    cost = f(mu + sigma * eps)
    others = (cost.sum() - cost) / (len(cost) - 1)
    return ((cost - others) * (eps - others_noise)).mean() / sigma


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
        Mistake(
            "one other draw for all",
            "Each baseline is the cost of a single draw. The task asks for more: the mean cost of all other draws.",
            partial(minus_baseline, lambda cost: cost.roll(-1)),
            partial(minus_baseline, lambda cost: cost.roll(1)),
        ),
        Mistake(
            "only the earlier draws",
            "Your baseline for a draw is the mean of those before it. The task asks for all others, also those "
            "after it.",
            partial(
                minus_baseline, lambda cost: torch.cat([0 * cost[:1], cost.cumsum(0)[:-1] / torch.arange(1, len(cost))])
            ),
        ),
        Mistake(
            "a median for the mean",
            "Your baseline is a median. The task asks for the mean cost of the others.",
            partial(
                minus_baseline,
                lambda cost: torch.stack([torch.cat([cost[:i], cost[i + 1 :]]).median() for i in range(len(cost))]),
            ),
            partial(minus_baseline, lambda cost: cost.median()),
            partial(
                minus_baseline,
                lambda cost: torch.stack(
                    [torch.cat([cost[:i], cost[i + 1 :]]).quantile(0.5) for i in range(len(cost))]
                ),
            ),
        ),
        Mistake(
            "a draw in its own baseline, divided by N − 1",
            "You divide by the number of others, but the sum still contains the draw's own cost.",
            partial(minus_baseline, lambda cost: cost.sum() / (len(cost) - 1)),
        ),
        Mistake(
            "cost divided by its spread",
            "You divide the costs by their standard deviation. The estimate no longer has the scale of f.",
            lambda f, mu, sigma, eps: (
                minus_baseline(lambda cost: cost.mean(), f, mu, sigma, eps) / f(mu + sigma * eps).std()
            ),
            lambda f, mu, sigma, eps: (
                minus_baseline(lambda cost: cost.mean(), f, mu, sigma, eps) / f(mu + sigma * eps).std(correction=0)
            ),
            lambda f, mu, sigma, eps: baseline(f, mu, sigma, eps) / float(f(mu + sigma * eps).std()),
            lambda f, mu, sigma, eps: baseline(f, mu, sigma, eps) / float(f(mu + sigma * eps).std(correction=0)),
            lambda f, mu, sigma, eps: (
                minus_baseline(lambda cost: cost.mean(), f, mu, sigma, eps) / (f(mu + sigma * eps).std() + 1e-8)
            ),
        ),
        Mistake(
            "too large by N/(N − 1)",
            "Your number is N/(N − 1) times the right one. Do you divide by N − 1, or subtract a mean, in two places?",
            centred_twice,
            lambda f, mu, sigma, eps: baseline(f, mu, sigma, eps) * len(eps) / (len(eps) - 1),
        ),
        Mistake(
            "baseline subtracted at the end",
            "You subtract the baseline from the product, or from the estimate. It is subtracted from the cost, "
            "before that is multiplied by the score.",
            lambda f, mu, sigma, eps: minus_baseline(lambda cost: 0.0, f, mu, sigma, eps) - f(mu + sigma * eps).mean(),
            lambda f, mu, sigma, eps: (f(mu + sigma * eps) * eps / sigma - f(mu + sigma * eps).mean()).mean(),
        ),
        Mistake(
            "baseline added",
            "You add the baseline. The cost has to be compared with that of the others.",
            partial(minus_baseline, lambda cost: -(cost.sum() - cost) / (len(cost) - 1)),
            partial(minus_baseline, lambda cost: -cost.mean()),
        ),
        Mistake(
            "divided by σ², not σ",
            "Your number is off by a factor of σ. The score in mu is (z − mu)/σ²; what is that in terms of eps?",
            lambda f, mu, sigma, eps: baseline(f, mu, sigma, eps) / float(sigma),
        ),
        Mistake(
            "times σ, not divided",
            "Your number is off by a factor of σ². Is the density more sensitive to mu where q is narrow, or "
            "where it is wide?",
            lambda f, mu, sigma, eps: baseline(f, mu, sigma, eps) * float(sigma) ** 2,
        ),
        Mistake(
            "sigma taken for log_var",
            "You treat `sigma` as a logarithm of the variance. In this task it is σ itself.",
            lambda f, mu, sigma, eps: baseline(f, mu, (sigma / 2).exp(), eps),
            lambda f, mu, sigma, eps: minus_baseline(lambda cost: cost.mean(), f, mu, (sigma / 2).exp(), eps),
            lambda f, mu, sigma, eps: baseline(f, mu, sigma.exp(), eps),
        ),
        Mistake(
            "sigma taken for the variance",
            "You take a root of `sigma`. In this task it is σ itself.",
            lambda f, mu, sigma, eps: baseline(f, mu, sigma.sqrt(), eps),
            lambda f, mu, sigma, eps: (
                minus_baseline(lambda cost: (cost.sum() - cost) / (len(cost) - 1), f, mu, sigma.sqrt(), eps)
                * sigma.sqrt()
                / sigma
            ),
        ),
        Mistake(
            "f evaluated at the noise",
            "You evaluate f at eps. The draws are z.",
            lambda f, mu, sigma, eps: baseline(f, torch.zeros_like(mu), torch.ones_like(sigma), eps) / float(sigma),
            lambda f, mu, sigma, eps: baseline(f, torch.zeros_like(mu), torch.ones_like(sigma), eps),
        ),
        Mistake(
            "the gradient in log_var",
            "You multiply by the score in log_var. The gradient in mu is asked for.",
            lambda f, mu, sigma, eps: (
                (f(mu + sigma * eps) - (f(mu + sigma * eps).sum() - f(mu + sigma * eps)) / (len(eps) - 1))
                * (eps**2 - 1)
                / 2
            ).mean(),
        ),
        Mistake(
            "f at the mean of the other draws",
            "You average the other draws, and take f there. The mean of their costs is another number where f "
            "is curved.",
            lambda f, mu, sigma, eps: minus_baseline(
                lambda cost: f(mu + sigma * (eps.sum() - eps) / (len(eps) - 1)), f, mu, sigma, eps
            ),
            lambda f, mu, sigma, eps: minus_baseline(lambda cost: f(mu + sigma * eps.mean()), f, mu, sigma, eps),
        ),
        Mistake(
            "another baseline",
            "Your baseline is the same number for all draws, and not the mean cost of the others. Some such "
            "baselines are good; the task asks for this one, so that answers can be compared.",
            partial(minus_baseline, lambda cost: cost[0]),
            partial(minus_baseline, lambda cost: cost.min()),
            partial(minus_baseline, lambda cost: cost.max()),
            lambda f, mu, sigma, eps: minus_baseline(
                lambda cost: (cost * eps**2).sum() / (eps**2).sum(), f, mu, sigma, eps
            ),
            partial(minus_baseline, lambda cost: cost.mean() * (len(cost) - 1) / len(cost)),
        ),
    ),
)


# gradient/repaired(mu, log_var, generator)


def draw_repaired(rng):
    """Draw log_var far below 0, so that σ² is much smaller than σ, and enough pictures to see the tails."""
    return {
        "mu": rounded_normal(rng, 16, 4),
        "log_var": rounded_uniform(rng, 16, 4, low=-2.0, high=-1.2),
        "generator": Seed(int(rng.integers(2**31))),
    }


def repaired(mu, log_var, generator):
    """z = μ + σε with noise of the shape of μ (lesson 03, sections 3 and 6)."""
    sigma = (log_var / 2).exp()
    return mu + sigma * torch.randn(mu.shape, generator=generator)


def with_noise(noise, mu, log_var, generator):
    """z = μ + σε with this noise."""
    return mu + sigma_of(log_var) * noise(mu.shape, generator)


def stretched(stretch, mu, log_var, generator):
    """z = μ + stretch(log σ²) ε."""
    return mu + stretch(log_var) * torch.randn(mu.shape, generator=generator)


REPAIRED = Task(
    name="gradient/repaired",
    draw=wide(draw_repaired, "log_var"),
    reference=repaired,
    observe=Draws(calls=250, gradients=("mu", "log_var")),
    agree=SameMoments(),
    cases=1,
    library=("vae_lessons.distributions.sample_normal",),
    mistakes=(
        *wrong_noise(with_noise),
        Mistake(
            "still no gradient",
            "No gradient gets through your samples, or it is 0 everywhere: the encoder would never learn. `no_grad` "
            "and `detach` do that, and so does a function that draws z by itself, given mean and spread. Can autograd "
            "see how z is made from mu, log_var and noise?",
            lambda mu, log_var, generator: stretched(sigma_of, mu, log_var, generator).detach(),
            lambda mu, log_var, generator: stretched(torch.exp, mu, log_var, generator).detach(),
        ),
        Mistake(
            "no gradient through σ",
            "No gradient reaches log_var: the encoder would never learn how wide to be.",
            lambda mu, log_var, generator: stretched(sigma_of, mu, log_var.detach(), generator),
        ),
        Mistake(
            "no gradient through μ",
            "No gradient reaches mu. Something on the way from mu to z cuts the graph.",
            lambda mu, log_var, generator: stretched(sigma_of, mu.detach(), log_var, generator),
        ),
        Mistake(
            "σ² taken for σ",
            "The samples have the wrong spread: compare the standard deviation of many samples with exp(log_var / 2).",
            partial(stretched, torch.exp),
        ),
        Mistake(
            "half the variance instead of its root",
            "Your samples have exp(log_var) / 2 for their standard deviation. Half a number is not its root: what is "
            "it at log_var = 0?",
            partial(stretched, lambda log_var: log_var.exp() / 2),
        ),
        Mistake(
            "log_var taken for σ",
            "The standard deviation of your samples is the size of log_var itself. At log_var = 0, where the variance "
            "is 1, do they vary?",
            partial(stretched, lambda log_var: log_var),
        ),
        Mistake(
            "root of the logarithm",
            "The standard deviation of your samples is the root of the size of log_var, which is a logarithm and may "
            "be negative. First get the variance from its logarithm, then its root.",
            partial(stretched, lambda log_var: log_var.abs().sqrt()),
        ),
        Mistake(
            "a root too many",
            "The standard deviation of your samples is the root of σ. Count the halves: which number is exp(log_var)?",
            partial(stretched, lambda log_var: (log_var / 4).exp()),
        ),
        Mistake(
            "sign of log_var flipped",
            "Where the variance should be small, your samples vary widely.",
            partial(stretched, lambda log_var: sigma_of(-log_var)),
        ),
        Mistake(
            "standard deviation 1 everywhere",
            "All your samples have standard deviation 1, whatever log_var says.",
            lambda mu, log_var, generator: stretched(torch.ones_like, mu, log_var, generator),
        ),
        Mistake(
            "mean forgotten",
            "Your samples lie around zero. Around what should they lie?",
            lambda mu, log_var, generator: stretched(sigma_of, 0 * mu, log_var, generator),
            lambda mu, log_var, generator: stretched(sigma_of, torch.zeros_like(mu), log_var, generator),
        ),
    ),
)


# gradient/choose(functions, mu, sigma, eps)

N_DRAWS = 4_000


def draw_choose(rng):
    """Draw functions of every kind and of several scales, in random order, so that each choice is clear.

    The noise has its mean 3.1 standard errors from 0: so far apart are the two means of a function with a large
    constant, by chance. A jump moves them by 8 or more.
    """
    mu, sigma = rounded_number(rng, -2.0, -1.6), rounded_number(rng, 0.7, 0.9)
    slope = rounded_number(rng, 0.5, 1.5)
    smooth = [
        Quadratic(rounded_number(rng, 0.5, 1.5), rounded_number(rng, -0.5, 0.5), rounded_number(rng, 0.5, 1.5)),
        Quadratic(0.0, slope, round(-slope * mu, 2)),  # 0 at mu, so that its two means agree
        Quadratic(rounded_number(rng, 0.5, 1.0), rounded_number(rng, -0.5, 0.5), rounded_number(rng, 12, 15)),
        Quadratic(rounded_number(rng, 0.01, 0.03), rounded_number(rng, -0.02, 0.02), rounded_number(rng, 0.25, 0.4)),
        Quadratic(0.02, 0.0, round(0.03 - 0.02 * mu**2, 3)),  # small at mu: both variances are far below 1
        Sine(rounded_number(rng, 0.2, 0.4)),
        Sine(rounded_number(rng, 12, 20)),
    ]
    jumps = [
        Step(rounded_number(rng, mu - 0.4, mu)),
        SlopedStep(rounded_number(rng, mu - 0.2, mu + 0.2), rounded_number(rng, 0.2, 0.5)),
        SlopedStep(rounded_number(rng, mu - 0.2, mu + 0.2), rounded_number(rng, -0.9, -0.7)),
    ]
    while True:
        noise = rng.normal(size=N_DRAWS)
        noise = (noise - noise.mean()) / noise.std() + rng.choice([-1, 1]) * 3.1 / N_DRAWS**0.5
        eps = torch.tensor(noise, dtype=torch.float32)
        by_chance = [gap_in_errors(f, mu, sigma, eps) for f in smooth]
        if (
            max(by_chance) < 3.6
            and min(by_chance[2:4]) > 2.4
            and all(gap_in_errors(f, mu, sigma, eps) > 8 for f in jumps)
        ):
            functions = smooth + jumps
            return {
                "functions": [functions[i] for i in rng.permutation(len(functions))],
                "mu": mu,
                "sigma": sigma,
                "eps": eps,
            }


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
    nodes = torch.linspace(-8, 8, 4_001, dtype=torch.float64)  # close enough together for the fastest sine
    weights = np.exp(-(nodes.numpy() ** 2) / 2)
    weights /= weights.sum()
    words = []
    for f in functions:
        slope, score = (np.asarray(estimate) for estimate in both_estimates(f, mu, sigma, nodes))
        variances = [weights @ estimate**2 - (weights @ estimate) ** 2 for estimate in (slope, score)]
        words.append("score" if isinstance(f, Step | SlopedStep) or variances[1] < variances[0] else "pathwise")
    return words


def standard_errors_apart(slope, score):
    """The difference between the two means in standard errors."""
    difference = slope - score
    return difference.mean().abs() / difference.std() * len(slope) ** 0.5


def biased_beyond(limit):
    """The smaller variance unless the means are apart by more than so many standard errors."""
    return lambda slope, score: standard_errors_apart(slope, score) <= limit and slope.var() < score.var()


def apart_by(tolerance):
    """The smaller variance unless the means are apart by more than a fixed number."""
    return lambda slope, score: (slope.mean() - score.mean()).abs() <= tolerance and slope.var() < score.var()


def apart_by_share(share):
    """The smaller variance unless the means are apart by more than a share of the score function's."""
    return lambda slope, score: (
        (slope.mean() - score.mean()).abs() <= share * score.mean().abs() and slope.var() < score.var()
    )


def what_decides(functions, mu, sigma, eps):
    """The difference of the means and the two standard deviations for each function."""
    lines = []
    for f in functions:
        slope, score = both_estimates(f, mu, sigma, eps)
        gap = standard_errors_apart(slope, score)
        lines.append(f"{f}: {gap:.1f} standard errors apart, {slope.std():.2f} and {score.std():.2f}")
    return "How far apart the two means are, and the standard deviations (pathwise, score): " + "; ".join(lines) + "."


def by_kind(*kinds):
    """The score function for functions of these classes."""
    return lambda functions, mu, sigma, eps: ["score" if isinstance(f, kinds) else "pathwise" for f in functions]


def pathwise_where(rule, functions, mu, sigma, eps):
    """The word "pathwise" if the rule holds for a function's two estimates, otherwise "score"."""
    return ["pathwise" if rule(*both_estimates(f, mu, sigma, eps)) else "score" for f in functions]


CHOOSE = Task(
    name="gradient/choose",
    draw=draw_choose,
    reference=choose,
    cases=3,
    decides=what_decides,
    mistakes=(
        Mistake(
            "pathwise although the means are apart",
            "You take the pathwise estimator even where the two means are eight or more standard errors apart. An "
            "estimator that always says 0 has no variance at all. What is a difference of two means to be compared "
            "with?",
            partial(pathwise_where, lambda slope, score: slope.var() < score.var()),
            partial(pathwise_where, biased_beyond(50.0)),
            *(partial(pathwise_where, apart_by(tolerance)) for tolerance in (0.5, 1.0)),
            *(partial(pathwise_where, apart_by_share(share)) for share in (0.5, 1.0)),
        ),
        Mistake(
            "always pathwise",
            'You never answer "score". Look at the variances for a function that oscillates within the width of q, '
            "and at the means for one that jumps.",
            partial(pathwise_where, lambda slope, score: True),
        ),
        Mistake(
            "pathwise turned down where it is right",
            'You answer "score" for smooth functions too, where both estimators are right and the pathwise one varies '
            "less. Why do you turn it down? If because their means differ: both are noisy, so by how much may chance "
            "make them differ?",
            partial(pathwise_where, lambda slope, score: False),
        ),
        Mistake(
            "the larger variance",
            "Where both are right on average you choose the estimator with the larger variance. Which of the two "
            "needs fewer draws?",
            partial(pathwise_where, lambda slope, score: slope.var() > score.var()),
            partial(
                pathwise_where,
                lambda slope, score: standard_errors_apart(slope, score) <= 5 and slope.var() > score.var(),
            ),
        ),
        Mistake(
            "the two words exchanged",
            "You give the wrong word for every function. Which of the two words belongs to which estimator?",
            partial(pathwise_where, lambda slope, score: not biased_beyond(5.0)(slope, score)),
        ),
        Mistake(
            "chance taken for bias",
            'You answer "score" for smooth functions whose two means are apart by no more than chance. Look at the '
            "functions with large values: by how much do means of 4,000 draws differ there, and how large is a "
            "standard error of the difference?",
            *(partial(pathwise_where, biased_beyond(limit)) for limit in (1.0, 1.5, 2.0, 2.5, 3.0)),
            *(partial(pathwise_where, apart_by(tolerance)) for tolerance in (0.02, 0.05, 0.1, 0.2, 0.25, 0.3)),
            *(partial(pathwise_where, apart_by_share(share)) for share in (0.02, 0.05, 0.1, 0.2, 0.25)),
        ),
        Mistake(
            "variances not compared",
            'You answer "score" for the functions that jump, and for no other. Where both estimators are right on '
            "average, the one with the smaller variance is asked for. Look at a function that oscillates fast.",
            partial(pathwise_where, lambda slope, score: standard_errors_apart(slope, score) <= 5),
            by_kind(Step, SlopedStep),
        ),
        Mistake(
            "every oscillation alike",
            'You answer "score" for every sine. Compare the two variances for one that changes slowly over the '
            "width of q.",
            by_kind(Step, SlopedStep, Sine),
            by_kind(Sine),
        ),
        Mistake(
            "a jump with a slope overlooked",
            'You answer "score" for the plain step, whose slope is 0. But a function can also have both a slope and a '
            "jump; then the pathwise mean is wrong without being 0. With what can you compare it?",
            partial(pathwise_where, lambda slope, score: slope.any() and slope.var() < score.var()),
        ),
        Mistake(
            "a constant slope taken for a jump",
            'You answer "score" for a straight line. Its slope is the same everywhere, and its pathwise estimate has '
            "no variance, rightly. What else tells that a function jumps?",
            partial(pathwise_where, lambda slope, score: 1e-6 < slope.var() < score.var()),
        ),
    ),
)

TASKS = (SAMPLE, PATHWISE, SCORE_FUNCTION, BASELINE, REPAIRED, CHOOSE)
