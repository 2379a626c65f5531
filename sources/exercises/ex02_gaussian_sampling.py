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
# # Exercise 02 · Sampling from a Gaussian
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 85 minutes in all.
# It belongs to [lesson 02](../notebooks/02_gaussian_sampling.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("gaussian/sample")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors. All logarithms are natural: the unit is the nat.

# %%
import math

from vae_course import check, hint, progress

import torch

# %% [markdown]
# ## 1. Several draws for each picture
#
# *2 points, 8 minutes.* The encoder emits `mu` and `log_var` $= \log\sigma^2$ for every picture of a batch. Turn the noise you are given into $K$ draws of $z$ for each picture.
# Every VAE does this at every step of its training, most with $K = 1$. Training goes *through* the draws, so gradients must flow back to `mu` and `log_var`.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu` | `(B, d)` | means |
# | `log_var` | `(B, d)` | logarithms of the variances |
# | `eps` | `(K, B, d)` | draws of $\mathcal N(0, I)$ |
# | *returns* | `(K, B, d)` | draws of $\mathcal N(\mu, \mathrm{diag}(\sigma^2))$, made from this noise in the lesson's way |


# %%
def sample(mu, log_var, eps):
    """K draws for each picture: (B, d), (B, d), (K, B, d) -> (K, B, d)."""
    ### BEGIN SOLUTION
    return mu + torch.exp(log_var / 2) * eps
    ### END SOLUTION


# %%
check("gaussian/sample", sample)

# %% [markdown]
# ## 2. Any Gaussian
#
# *2 points, 10 minutes.* Now with a covariance matrix. More than one matrix $L$ has $LL^\top = \Sigma$; take the lower triangular one with a positive diagonal, so that answers can be compared number by number.
# You need this for samples from the codes of a plain autoencoder (lesson 01), and for encoders that emit more than a vector.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu` | `(d,)` | the mean |
# | `covariance` | `(d, d)` | $\Sigma$ |
# | `eps` | `(N, d)` | draws of $\mathcal N(0, I)$, one a row |
# | *returns* | `(N, d)` | draws of $\mathcal N(\mu, \Sigma)$, one a row, $\mu + L\varepsilon$ for each row $\varepsilon$ |


# %%
def sample_full(mu, covariance, eps):
    """Draws of N(mu, covariance) from standard noise: (d,), (d, d), (N, d) -> (N, d)."""
    ### BEGIN SOLUTION
    return mu + eps @ torch.linalg.cholesky(covariance).mT  # noise in rows, hence the transpose
    ### END SOLUTION


# %%
check("gaussian/sample_full", sample_full)

# %% [markdown]
# ## 3. A sampler to repair
#
# *3 points, 12 minutes.* A colleague draws $n$ codes for every picture of a batch, each from that picture's $q(z\mid x) = \mathcal N(\mu, \mathrm{diag}(\sigma^2))$, all of them independent.
# The function has been in use for weeks: the means are right, and nothing ever crashed.


# %%
def colleagues_codes(mu, log_var, n, generator):
    noise = 2 * torch.rand((n, 1, mu.shape[1]), generator=generator, dtype=mu.dtype) - 1
    return mu + log_var.exp() * noise


# %%
mu = torch.tensor([[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0]], dtype=torch.float64)
log_var = torch.tensor([[-1.5, 0.8, -1.0], [0.7, -0.9, -2.0]], dtype=torch.float64)
drawn = colleagues_codes(mu, log_var, 4000, torch.Generator().manual_seed(0))
print("shape", tuple(drawn.shape))
print("means of the draws:", drawn.mean(0).numpy().round(1).tolist())
print("means wanted:      ", mu.tolist())

# %% [markdown]
# Find out what is wrong, with the tools of the lesson, then write it anew. Your function draws its own noise, from the generator that it is given and from nowhere else: the same
# seed has to give the same codes. A second call with the same generator has to give other codes, independent of the first ones.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu` | `(B, d)` | means |
# | `log_var` | `(B, d)` | logarithms of the variances |
# | `n` | a number | how many draws |
# | `generator` | | a `torch.Generator` |
# | *returns* | `(n, B, d)` | the draws, all independent |


# %%
def sample_codes(mu, log_var, n, generator):
    """n draws from each picture's q(z|x): (B, d), (B, d) -> (n, B, d)."""
    ### BEGIN SOLUTION
    eps = torch.randn((n, *mu.shape), generator=generator, dtype=mu.dtype)  # fresh for each draw, picture and latent
    return sample(mu, log_var, eps)
    ### END SOLUTION


# %%
check("gaussian/repair", sample_codes)

# %% [markdown]
# ## 4. How far out do draws lie?
#
# *2 points, 13 minutes.* The lesson found that $|\varepsilon|^2$ has mean $d$ and standard deviation $\sqrt{2d}$. A decoder sees $z = \mu + \sigma\varepsilon$ instead. Give the mean and the standard deviation of its squared
# distance from the origin, $|z|^2$, over the draws of each picture. If these do not look like $d$ and $\sqrt{2d}$ for your encoder, then samples of the prior go to places that the decoder has not been trained on.
# Give formulas in `mu` and `log_var`, not a simulation. (The averages of $\varepsilon$, $\varepsilon^2$, $\varepsilon^3$, $\varepsilon^4$ are 0, 1, 0, 3.)
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu` | `(B, d)` | means |
# | `log_var` | `(B, d)` | logarithms of the variances |
# | *returns* | `(B,)`, `(B,)` | mean of $\lvert z\rvert^2$; standard deviation of $\lvert z\rvert^2$ |


# %%
def squared_length(mu, log_var):
    """Mean and standard deviation of |z|^2 for z ~ N(mu, diag(exp(log_var))): (B, d), (B, d) -> (B,), (B,)."""
    ### BEGIN SOLUTION
    variance = log_var.exp()
    # z^2 = mu^2 + 2 mu sigma eps + sigma^2 eps^2; eps and eps^2 are uncorrelated, with variances 1 and 2
    spread = 4 * mu.square() * variance + 2 * variance.square()
    return (mu.square() + variance).sum(-1), spread.sum(-1).sqrt()
    ### END SOLUTION


# %%
check("gaussian/squared_length", squared_length)

# %% [markdown]
# Your formulas beside draws of your own sampler, for the two pictures above:

# %%
codes = torch.as_tensor(sample_codes(mu, log_var, 100_000, torch.Generator().manual_seed(0)))
squares = codes.square().sum(-1)  # (n, B)
for name, truth, found in zip(
    ("mean", "sd"), squared_length(mu, log_var), (squares.mean(0), squares.std(0)), strict=True
):
    print(f"{name:4}  formula {torch.as_tensor(truth).numpy().round(1)}  draws {found.numpy().round(1)}")

# %% [markdown]
# ## 5. The best that a vector can do
#
# *3 points, 15 minutes.* For a decoder that is held fixed, the true posterior of a picture is $p = \mathcal N(m, \Sigma)$, with correlations. Your encoder emits a mean and a vector `log_var`, so that
# its $q$ is diagonal. It is trained as VAEs are, until nothing changes. Its mean has become $m$. On which `log_var` has it settled? And by how many nats does this picture's bound on
# $\log p(x)$ lie below $\log p(x)$, for want of covariances?
#
# *A way to begin:* section 6 of the lesson has two answers to the first question. Which one is a VAE's, and why?
#
# | argument | shape | meaning |
# |---|---|---|
# | `covariance` | `(d, d)` | $\Sigma$, the covariance of the true posterior |
# | *returns* | `(d,)`, a number | `log_var` of the best $q$; the nats lost |


# %%
def best_log_var(covariance):
    """log sigma^2 (d,) of the diagonal q on which a VAE's encoder settles, and the nats that its bound loses."""
    ### BEGIN SOLUTION
    precision = torch.linalg.inv(covariance)
    log_var = -precision.diagonal().log()
    lost = 0.5 * (torch.logdet(covariance) - log_var.sum())  # the entropy that q misses
    return log_var, lost
    ### END SOLUTION


# %%
check("gaussian/best_log_var", best_log_var)

# %% [markdown]
# Two latents with variances 1, ever more correlated:

# %%
for rho in (0.0, 0.5, 0.9, 0.99):
    variances, lost = best_log_var(torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64))
    print(f"correlation {rho:4}: variances {torch.as_tensor(variances).exp().numpy().round(3)}, {lost:.2f} nats lost")

# %% [markdown]
# ## 6. Right, or only nearly?
#
# *3 points, 15 minutes.* $S$ samplers claim to draw from the same $\mathcal N(\mu, \Sigma)$. You have $N$ draws of each, and have to say for each which part of the claim, if any, is wrong:
#
# - `"mean"`: some latent has the wrong mean;
# - `"variance"`: all means are right, but some latent has the wrong variance;
# - `"covariance"`: means and variances are right, but some two latents have the wrong covariance;
# - `"fine"`: no such fault can be seen.
#
# Wrong means: farther from the claim than chance would ever explain in checks as many as these. Take the lesson's rule for that. The latents spread over very different scales, and $N$ may be a few hundred or several thousand.
# The same rule holds for variances and covariances. A sampler may have several faults; the first word that fits counts. No sampler is a close call: each moment lies within 4 standard errors, or beyond 7.
#
# | argument | shape | meaning |
# |---|---|---|
# | `z` | `(S, N, d)` | N draws of each sampler |
# | `mu` | `(d,)` | the mean that all of them claim |
# | `covariance` | `(d, d)` | the covariance that all of them claim |
# | *returns* | a list | S words from the list above |


# %%
def judge_samplers(z, mu, covariance):
    """What is wrong with each of S samplers of N(mu, covariance): (S, N, d), (d,), (d, d) -> a list of S words."""
    ### BEGIN SOLUTION
    words = []
    for draws in z - mu:  # (N, d)
        products = draws[:, :, None] * draws[:, None, :]  # (N, d, d), covariances on average
        misses = []
        for values, truth in ((draws, 0 * mu), (products, covariance)):
            error = values.std(0) / math.sqrt(len(values))
            misses.append((values.mean(0) - truth).abs() > 5 * error)
        if misses[0].any():
            words.append("mean")
        elif misses[1].diagonal().any():
            words.append("variance")
        else:
            words.append("covariance" if misses[1].any() else "fine")
    return words
    ### END SOLUTION


# %%
check("gaussian/samplers", judge_samplers)

# %% [markdown]
# What does it say of the colleague's sampler, and of yours? The latents of both pictures side by side:

# %%
everything = sample_codes(mu, log_var, 4000, torch.Generator().manual_seed(0))
pair = torch.stack([drawn.flatten(1), everything.flatten(1)])  # (2, N, B * d)
print("the colleague's and yours:", judge_samplers(pair, mu.flatten(), torch.diag(log_var.flatten().exp())))

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A reader of your code writes: "Your encoder emits a vector of variances, so your latents are independent. And to see what the decoder makes of a typical code, I decode the mean:
# it is where the density is highest." Your VAE has 64 latents. In at most 120 words: in which sense is the first sentence true, in which is it false, and what would you measure to tell; and why is the mean not a typical code?

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - True *given the picture*, under $q(z\mid x)$: its covariance is diagonal by construction. (Not under the true posterior, which $q$ only approximates.)
# - False over all pictures: $q(z)$ is a mixture, and its latents are as dependent as the means and widths make them. To tell, draw one code for each of many pictures and look at the correlations of the draws,
#   *and* at more than correlations (a latent's spread where another is large, as in the cross of four). Half a point if it stops at correlations.
# - Around the mean, draws of 64 latents fill a shell of radius about $8\,\sigma$ ($\sigma\sqrt d$, if all $\sigma$ are alike), and practically none comes near the mean: highest density, hardly any room. The decoder was trained on the shell.
#
# No point for "independence means zero correlation". Half a point off for a claim that contradicts these.
# <!-- END SOLUTION -->

# %%
progress("ex02_gaussian_sampling")
