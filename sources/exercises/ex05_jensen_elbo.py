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
# # Exercise 05 · Jensen's inequality and the ELBO
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 90 minutes in all.
# It belongs to [lesson 05](../notebooks/05_jensen_elbo.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("elbo/jensen_gap")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors. All logarithms are natural: the unit is the nat.

# %%
import math

from vae_course import check, hint, progress

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

# %% [markdown]
# ## 1. What Jensen gives away
#
# *2 points, 8 minutes.* A positive quantity $X$ takes the value $x_i$ with probability $p_i$. How far is the mean of its logarithm below the logarithm of its mean?
# With $X$ the importance weight $p(x,z)/q(z)$ and $z$ drawn from $q$, this is what a VAE loses by training on the ELBO.
#
# | argument | shape | meaning |
# |---|---|---|
# | `weights` | `(K,)` | probabilities of the values, summing to 1 |
# | `values` | `(K,)` | the values, all positive |
# | *returns* | `()` | Jensen's gap in nats |


# %%
def jensen_gap(weights, values):
    """log E[X] − E[log X] in nats, for X with these values and probabilities: a number."""
    ### BEGIN SOLUTION
    return (weights * values).sum().log() - (weights * values.log()).sum()
    ### END SOLUTION


# %%
check("elbo/jensen_gap", jensen_gap)

# %% [markdown]
# Four variables, each with two values, and all with mean 1 and variance 1. The rule of thumb, Var / (2 mean²), says half a nat for every one of them.

# %%
for d in (0.99, 0.8, 0.5, 0.2):  # how far the lower value lies below the mean
    p, v = torch.tensor([1, d**2]) / (1 + d**2), torch.tensor([1 - d, 1 + 1 / d])
    print(f"values {v[0]:.2f} and {v[1]:.2f}: variance {(p * (v - 1) ** 2).sum():.2f}, gap {jensen_gap(p, v):.2f} nats")

# %% [markdown]
# The gap is large where a value may come near zero: a weight near zero is a $z$ that $q$ draws and that cannot have made the picture.
#
# ## 2. ELBO and gap, exactly
#
# *2 points, 12 minutes.* A model with a latent $z$ of $K$ states, and $N$ pictures. An encoder offers a $q(z\mid x_n)$ for each. With so few states everything can be computed:
# return the ELBO of each picture, and its distance from $\log p(x_n)$ *as a KL divergence*. All entries are positive.
# In a real VAE you will only ever see the first of the two numbers.
#
# | argument | shape | meaning |
# |---|---|---|
# | `p_z` | `(K,)` | the prior |
# | `p_x_given_z` | `(N, K)` | probability of picture $n$ given state $k$ |
# | `q_z_given_x` | `(N, K)` | a row of probabilities for each picture |
# | *returns* | `(N,)`, `(N,)` | the ELBOs; the KL divergences that fill the gaps |


# %%
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    """ELBO of every picture and the KL divergence between it and log p(x), in nats: (N,), (N,)."""
    ### BEGIN SOLUTION
    joint = p_z * p_x_given_z  # (N, K)
    posterior = joint / joint.sum(-1, keepdim=True)
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(-1)
    gap = (q_z_given_x * (q_z_given_x / posterior).log()).sum(-1)
    return elbo, gap
    ### END SOLUTION


# %%
check("elbo/exact", elbo_and_gap)

# %% [markdown]
# ## 3. K draws, safely
#
# *2 points, 12 minutes.* For $K$ draws of $z$ from each picture's $q(z\mid x)$ somebody has stored three log-densities. Return the estimate of the $K$-sample bound $\mathcal L_K$ of each picture. This is the number that
# papers report as "test log-likelihood". The pictures are of all sizes: some lose two nats, others over a thousand, and your function must cope with both.
#
# | argument | shape | meaning |
# |---|---|---|
# | `log_p_x_given_z` | `(K, B)` | log-probability of each picture given each of its draws |
# | `log_p_z` | `(K, B)` | log-density of the draws under the prior |
# | `log_q_z_given_x` | `(K, B)` | log-density of the draws under the encoder's distribution |
# | *returns* | `(B,)` | the $K$-sample estimate for each picture, in nats |


# %%
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    """Estimate of the K-sample bound of log p(x), from three tables (K, B) -> (B,)."""
    ### BEGIN SOLUTION
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    return log_w.logsumexp(0) - math.log(len(log_w))
    ### END SOLUTION


# %%
check("elbo/k_sample_bound", k_sample_bound)

# %% [markdown]
# ## 4. One ξ for all
#
# *3 points, 15 minutes.* In section 17 of the lesson (optional) every uncertain margin $t_i \sim \mathcal N(m_i, s_i^2)$ got a $\xi$ of its own. Now there may be only **one $\xi > 0$ for the whole batch**. Choose the one that makes
# the *sum* of the bounds on $\mathbb E[\log\sigma(t_i)]$ as large as possible, and return it with the bound of every margin.
# The same happens in a VAE: one encoder has to serve all pictures, and none of them gets exactly the $q$ that would be best for it.
#
# *A way to begin:* the lesson has the derivative of one bound by $\xi$. What must the derivatives of all add up to? It gives a formula: no search is needed.
#
# | argument | shape | meaning |
# |---|---|---|
# | `m` | `(B,)` | means of the margins |
# | `s` | `(B,)` | their standard deviations |
# | *returns* | `()`, `(B,)` | the best common $\xi$; the lower bound on $\mathbb E[\log\sigma(t_i)]$ of each margin, with this $\xi$ |


# %%
def common_xi(m, s):
    """The one ξ with the largest sum of Jaakkola–Jordan bounds, and the bound of every margin in nats: (), (B,)."""
    ### BEGIN SOLUTION
    square = m**2 + s**2  # E[t²] of each margin
    xi = square.mean().sqrt()
    slope = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - slope * (square - xi**2)
    ### END SOLUTION


# %%
check("elbo/common_xi", common_xi)

# %% [markdown]
# What does sharing cost? Your function on a batch, and on each margin alone.

# %%
m, s = torch.tensor([0.1, 1.0, -2.0, 5.0]), torch.tensor([0.3, 0.5, 1.0, 0.5])
shared, bounds = common_xi(m, s)
for i in range(len(m)):
    own, bound = common_xi(m[i : i + 1], s[i : i + 1])
    print(f"margin {m[i]:4.1f} ± {s[i]:.1f}: bound {bounds[i]:.3f} with the shared xi {shared:.2f}", end=", ")
    print(f"{bound[0]:.3f} with its own {own:.2f}")

# %% [markdown]
# ## 5. What does this number bound?
#
# *3 points, 18 minutes.* Papers print many numbers beside the words "log-likelihood". Some can't exceed $\log p(x)$, some can't fall below it, and some can do both. Your function is handed such numbers
# *as functions*, and has to find out by experiment which is which.
#
# Each `report(p_z, p_x_given_z, q)` takes three tensors of shape `(M, K)` and returns `(M,)`. Every row is a model of its own with $K$ states and one picture: the prior, the probability of the picture given each
# state, and the distribution $q$ that somebody uses for the posterior. You choose $M$, $K$ and the tables. All entries must be positive; rows of `p_z` and `q` sum to 1; those of `p_x_given_z` need not, but their entries lie below 1.
# For models like these you know $\log p(x)$. Rounding may move a number by some $10^{-6}$.
#
# For each report answer with one of four words:
#
# - `"exact"`: it equals $\log p(x)$, whatever $q$;
# - `"lower"`: it never exceeds $\log p(x)$, and is sometimes below;
# - `"upper"`: it is never below, and sometimes above;
# - `"neither"`: it can be either.
#
# | argument | type | meaning |
# |---|---|---|
# | `reports` | list of functions | as described |
# | *returns* | list of `str` | for each of them `"exact"`, `"lower"`, `"upper"` or `"neither"`, in the same order |


# %%
def directions(reports):
    """Which kind of bound on log p(x) each report is: a list of "exact", "lower", "upper" or "neither"."""
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(0)
    a, b, c = 1.5 * torch.randn(3, 2000, 3, generator=generator, dtype=torch.float64)
    p_z, p_x_given_z, q = a.softmax(-1), b.sigmoid(), c.softmax(-1)
    words = []
    for report in reports:
        excess = report(p_z, p_x_given_z, q) - (p_z * p_x_given_z).sum(-1).log()
        above, below = (excess > 1e-6).any(), (excess < -1e-6).any()
        words.append(("neither" if below else "upper") if above else "lower" if below else "exact")
    return words
    ### END SOLUTION


# %%
check("elbo/directions", directions)

# %% [markdown]
# Now for three numbers that get printed often. Is "reconstruction" a bound? And with half the KL?


# %%
def reconstruction(p_z, p_x_given_z, q):
    return (q * p_x_given_z.log()).sum(-1)


def full_elbo(p_z, p_x_given_z, q):
    return reconstruction(p_z, p_x_given_z, q) - (q * (q / p_z).log()).sum(-1)


def half_the_kl(p_z, p_x_given_z, q):
    return (reconstruction(p_z, p_x_given_z, q) + full_elbo(p_z, p_x_given_z, q)) / 2


numbers = [reconstruction, full_elbo, half_the_kl]
for number, found in zip(numbers, directions(numbers), strict=True):
    print(f"{number.__name__:15} {found}")

# %% [markdown]
# ## 6. The loss that falls for ever
#
# *3 points, 15 minutes.* A colleague has written the loss below. The training loop *minimises* what it returns. The curve falls as never before, and the samples get worse.
# Every tensor has the shape it should have, and nothing raises an error.
#
# ```python
# def loss(x, mu, log_var, eps, decoder):
#     z = mu + (log_var / 2).exp() * eps  # (B, d)
#     log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)  # (B,)
#     log_p_z = Normal(0.0, 1.0).log_prob(z).sum(-1)
#     log_q_z = Normal(0.0, 1.0).log_prob(eps).sum(-1)
#     log_w = log_p_x_given_z + log_p_z + log_q_z
#     return log_w.exp().mean().log()
# ```
#
# Write the loss that was meant: minus the ELBO in nats per picture, averaged over the batch, estimated from the *one* draw of $z$ that `eps` gives each picture, with the three log-densities evaluated at this $z$
# (no closed form for any part). More than one thing is wrong. Gradients must flow to `mu` and `log_var`.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, P)` | pictures of 0s and 1s |
# | `mu`, `log_var` | `(B, d)` each | the encoder's output, $q(z\mid x) = \mathcal N(\mu, \mathrm{diag}(\sigma^2))$ |
# | `eps` | `(B, d)` | samples of $\mathcal N(0, I)$, one for each picture |
# | `decoder` | function | from `z`, `(B, d)`, to the pixels' log-odds, `(B, P)` |
# | *returns* | `()` | the loss |


# %%
def repaired_loss(x, mu, log_var, eps, decoder):
    """Minus the ELBO in nats per picture, from one draw of z for each; a number to be minimised."""
    ### BEGIN SOLUTION
    sigma = torch.exp(log_var / 2)
    z = mu + sigma * eps
    reconstruction = binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)  # -log p(x|z)
    q, prior = torch.distributions.Normal(mu, sigma), torch.distributions.Normal(torch.zeros_like(mu), 1.0)
    kl = (q.log_prob(z) - prior.log_prob(z)).sum(-1)  # its estimate from one draw
    return (reconstruction + kl).mean()
    ### END SOLUTION


# %%
check("elbo/repaired_loss", repaired_loss)

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* From a report: "We fitted models A and B to the same pictures, with different encoders. On held-out pictures A's ELBO is −97 nats and B's is −95, both far beyond their standard errors. As the ELBO is a lower
# bound on the log-likelihood, B is the better model. And since training raised the ELBO at every step, it raised the likelihood at every step."
# In at most 120 words: say for each of the two conclusions why it does not follow, what the numbers do guarantee, and what one could compute to decide between A and B.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - The first conclusion: the ELBO is $\log p(x)$ minus $\mathrm{KL}(q\,\|\,p(z\mid x))$, and the two gaps may differ by more than 2 nats. A better encoder (or a posterior that is easier to match) raises the ELBO at the same likelihood.
# - The second: a step may raise the ELBO by closing the gap while $\log p(x)$ falls; at the optimum of $\theta$ the ELBO trades likelihood for a small gap. Guaranteed is only that the average $\log p(x)$ is at least −97 and −95.
# - A way to decide: bounds with many draws ($\mathcal L_K$ for growing $K$, the same $K$ for both, until they stop rising), a better $q$ fitted to each held-out picture, or the exact likelihood where $z$ is small enough; better still, an upper
#   bound on A's likelihood below B's lower bound.
#
# No point for "the ELBO is only a bound" without naming the gap. Half a point off for a claim that contradicts these, such as "the true likelihood may be lower than the ELBO".
# <!-- END SOLUTION -->

# %%
progress("ex05_jensen_elbo")
