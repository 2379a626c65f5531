# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercise 03 · The reparametrization trick
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 100 minutes in all.
# It belongs to [lesson 03](../notebooks/03_reparametrization.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("gradient/sample")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# Inputs are PyTorch tensors unless the table says otherwise. `log_var` is $\log\sigma^2$, as an encoder emits it.

# %%
from vae_course import check, hint, progress
from vae_course.visible.callables import Quadratic, Sine, SlopedStep, Step

import torch

# %% [markdown]
# ## 1. A sample that lets gradients through
#
# *2 points, 8 minutes.* Turn noise into samples of $\mathcal N(\mu, \sigma^2)$, so that gradients reach `mu` and `log_var`. This line stands between every VAE's encoder and decoder;
# the check looks at the samples and at the gradients.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu`, `log_var` | `(B, d)` each | the encoder's output |
# | `eps` | `(B, d)` | noise from $\mathcal N(0, 1)$ |
# | *returns* | `(B, d)` | $z$ |


# %%
def sample(mu, log_var, eps):
    """z ~ N(mu, exp(log_var)) from noise, three tensors (B, d) -> (B, d)."""
    ### BEGIN SOLUTION
    return mu + (log_var / 2).exp() * eps
    ### END SOLUTION


# %%
check("gradient/sample", sample)

# %% [markdown]
# ## 2. The pathwise gradient, by hand
#
# *2 points, 15 minutes.* Lesson 03 took the gradient in $\mu$ and $\sigma$. Your network emits `log_var`. Work out by the chain rule how $z$ moves with `mu` and with `log_var`, and estimate
#
# $$\frac{\partial}{\partial\mu}\mathbb E[f(z)] \qquad\text{and}\qquad \frac{\partial}{\partial\log\sigma^2}\mathbb E[f(z)]$$
#
# by averages over the draws. You are given $f'$ as a function, so autograd is not needed (it is what you are rebuilding).
#
# | argument | shape | meaning |
# |---|---|---|
# | `slope` | a function | $f'$; takes a tensor, returns one of the same shape |
# | `mu`, `log_var` | `()` each | of one latent |
# | `eps` | `(N,)` | noise from $\mathcal N(0, 1)$ |
# | *returns* | two numbers | the estimates of the two gradients |


# %%
def pathwise_gradient(slope, mu, log_var, eps):
    """Pathwise estimates of the gradient of E[f(z)] in mu and in log_var."""
    ### BEGIN SOLUTION
    sigma = (log_var / 2).exp()
    at_z = slope(mu + sigma * eps)  # (N,)
    return at_z.mean(), (at_z * sigma * eps / 2).mean()  # dz/dlog_var = sigma eps / 2
    ### END SOLUTION


# %%
check("gradient/pathwise", pathwise_gradient)

# %% [markdown]
# ## 3. The score function
#
# *2 points, 15 minutes.* Now $f$ is a black box: you may call it, but it has no derivative that you could ask for. Estimate the same two gradients from
# $\mathbb E\bigl[f(z)\,\nabla\log q(z)\bigr]$. Discrete latents, and rewards that come from outside the network, often leave you no other unbiased way.
#
# | argument | shape | meaning |
# |---|---|---|
# | `f` | a function | takes a tensor, returns one of the same shape |
# | `mu`, `log_var` | `()` each | of one latent |
# | `eps` | `(N,)` | noise; the draws are $z = \mu + \sigma\varepsilon$ |
# | *returns* | two numbers | the estimates of the gradients in `mu` and in `log_var` |


# %%
def score_gradient(f, mu, log_var, eps):
    """Score-function estimates of the gradient of E[f(z)] in mu and in log_var."""
    ### BEGIN SOLUTION
    sigma = (log_var / 2).exp()
    cost = f(mu + sigma * eps)  # (N,)
    return (cost * eps / sigma).mean(), (cost * (eps**2 - 1) / 2).mean()
    ### END SOLUTION


# %%
check("gradient/score_function", score_gradient)

# %% [markdown]
# ## 4. A baseline from the other draws
#
# *3 points, 15 minutes.* Subtracting a constant from $f$ leaves the score-function estimate right and can make it far less noisy. A good constant is the average of $f$ (the average *cost*), which nobody
# knows; with several draws you can estimate it. For draw $i$ use the mean cost of **all other draws**, and estimate the gradient in $\mu$.
#
# | argument | shape | meaning |
# |---|---|---|
# | `f` | a function | takes a tensor, returns one of the same shape |
# | `mu`, `sigma` | `()` each | of one latent; this time $\sigma$ itself |
# | `eps` | `(N,)` | noise, $N \ge 2$ |
# | *returns* | a number | the estimate of the gradient in $\mu$ |


# %%
def gradient_with_baseline(f, mu, sigma, eps):
    """Score-function estimate of the gradient of E[f(z)] in mu, each draw's baseline taken from the others."""
    ### BEGIN SOLUTION
    cost = f(mu + sigma * eps)  # (N,)
    others = (cost.sum() - cost) / (len(cost) - 1)
    return ((cost - others) * eps / sigma).mean()
    ### END SOLUTION


# %%
check("gradient/baseline", gradient_with_baseline)

# %% [markdown]
# What it gains over task 3 (whose function this cell needs): 2,000 estimates of the same gradient from 10 draws each, with $f(z) = z^2 + 10$.

# %%
generator = torch.Generator().manual_seed(0)
noise = torch.randn(2_000, 10, generator=generator, dtype=torch.float64)
mu, sigma = torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
lifted = Quadratic(1.0, 0.0, 10.0)
plain = torch.tensor([float(score_gradient(lifted, mu, 2 * sigma.log(), eps)[0]) for eps in noise])
better = torch.tensor([float(gradient_with_baseline(lifted, mu, sigma, eps)) for eps in noise])
for name, found in (("plain", plain), ("with baseline", better)):
    print(f"{name:14} mean {found.mean():.1f} (exact: 2), standard deviation {found.std():.1f}")

# %% [markdown]
# ## 5. Repair a sampler
#
# *3 points, 15 minutes.* This function is called by a VAE's `forward`. The VAE trains, but badly. There are **three faults**, and none of them raises an error.
#
# ```python
# def sample_broken(mu, log_var, generator):
#     with torch.no_grad():
#         eps = torch.randn(mu.shape[-1], generator=generator)
#         return mu + log_var.exp() * eps
# ```
#
# Write the repaired function. Its noise has to come from the generator it is given, so that a run can be repeated. A second call with the same
# generator has to give another sample.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu`, `log_var` | `(B, d)` each | the encoder's output |
# | `generator` | `torch.Generator` | the source of all noise |
# | *returns* | `(B, d)` | a sample $z$ for each picture |


# %%
def sample_repaired(mu, log_var, generator):
    """A sample of N(mu, exp(log_var)) for every picture and latent: (B, d), (B, d) -> (B, d)."""
    ### BEGIN SOLUTION
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)  # a number for every picture and latent
    return mu + (log_var / 2).exp() * eps
    ### END SOLUTION


# %%
check("gradient/repaired", sample_repaired)

# %% [markdown]
# ## 6. Choose an estimator
#
# *3 points, 20 minutes.* You are given functions $f$ and may try both estimators of the gradient in $\mu$ on them. For each $f$ say which one to use: the one with the **smaller variance among those
# that are right on average**. Functions may be smooth, may oscillate fast, may jump. You see noisy means only, so decide by what is more than chance: more than five standard errors.
# The functions have different scales. No choice is a close call. Here is code for both estimators, one value for each draw:


# %%
def both_estimators(f, mu, sigma, eps):
    """Gradients of E[f(z)] in mu, one for each draw: pathwise (N,), score function (N,)."""
    z = (mu + sigma * eps).requires_grad_()
    cost = f(z)
    (slope,) = torch.autograd.grad(cost.sum(), z)
    return slope, cost.detach() * eps / sigma


pathwise, score = both_estimators(Quadratic(1.0, 0.0, 0.0), 1.0, 0.5, noise.flatten())
print(f"f(z) = z²: pathwise {pathwise.mean():.1f}, score function {score.mean():.1f}, exact 2")

# %% [markdown]
# | argument | shape | meaning |
# |---|---|---|
# | `functions` | a list of functions | `Quadratic(a, b, c)`, $az^2+bz+c$; `Sine(k)`, $\sin kz$; `Step(c)`, 1 where $z > c$, else 0; `SlopedStep(c, s)`, the same plus $sz$ |
# | `mu`, `sigma` | two floats | of one latent |
# | `eps` | `(N,)` | noise, $N$ = 4,000 |
# | *returns* | a list of words | for each function `"pathwise"` or `"score"` |


# %%
def choose(functions, mu, sigma, eps):
    """For each function the estimator with the least variance among those that are right on average."""
    ### BEGIN SOLUTION
    words = []
    for f in functions:
        pathwise, score = both_estimators(f, mu, sigma, eps)
        difference = pathwise - score
        biased = difference.mean().abs() > 5 * difference.std() / len(eps) ** 0.5  # the score function never is
        words.append("score" if biased or score.var() < pathwise.var() else "pathwise")
    return words
    ### END SOLUTION


# %%
check("gradient/choose", choose)

# %%
for f in (Sine(0.3), Sine(15.0), Step(0.0), SlopedStep(0.5, 0.5)):
    pathwise, score = both_estimators(f, 0.5, 0.8, noise.flatten())
    print(
        f"{f}: standard deviations {pathwise.std():.2f} and {score.std():.2f}: {choose([f], 0.5, 0.8, noise.flatten())[0]}"
    )

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A fellow student says: "One cannot backpropagate through sampling. The trick makes the sampling deterministic, and that is why VAEs need Gaussians."
# In at most 120 words: correct the three statements. Say what is still random after the trick, what exactly the gradient passes through, and what a distribution needs so that the trick works for it,
# with an example besides the Gaussian and one for which it fails.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - $z$ is as random as before; the randomness has moved into $\varepsilon$, which does not depend on the parameters.
# - With $\varepsilon$ held fixed, $z = \mu + \sigma\varepsilon$ is a differentiable function of $\mu$ and $\sigma$, and the gradient passes through that. (The score function gives a gradient without it, so "cannot" is too strong.)
# - Needed is a differentiable map from parameter-free noise to $z$: location-scale families or an inverse CDF (uniform, exponential, Laplace, logistic, ...). It fails for discrete ones such as Bernoulli, where $z$ jumps.
#
# No point for naming the formula without saying what is random in it.
# <!-- END SOLUTION -->

# %%
progress("ex03_reparametrization")
