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
# # Exercise 04 · The KL divergence
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 80 minutes in all.
# It belongs to [lesson 04](../notebooks/04_kl_divergence.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("kl/discrete")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors. All logarithms are natural: the unit is the nat.

# %%
import math

from vae_course import check, hint, progress

import torch

# %% [markdown]
# ## 1. The price of the wrong code
#
# *2 points, 8 minutes.* Symbols come with probabilities $q$, the code was made for probabilities $p$. How many nats per symbol does that cost over the right code?
# It matters because every KL divergence is this sum or its limit. Some symbols may never come, $q_i = 0$; $p_i$ is never 0.
#
# | argument | shape | meaning |
# |---|---|---|
# | `q` | `(K,)` | probabilities of the symbols |
# | `p` | `(K,)` | probabilities that the code was made for |
# | *returns* | `()` | $\mathrm{KL}(q\,\|\,p)$ in nats |


# %%
def kl_discrete(q, p):
    """KL(q ‖ p) of two discrete distributions, in nats: a number."""
    ### BEGIN SOLUTION
    seen = q > 0  # 0 log 0 is 0
    return (q[seen] * (q[seen] / p[seen]).log()).sum()
    ### END SOLUTION


# %%
check("kl/discrete", kl_discrete)

# %% [markdown]
# ## 2. The VAE's regulariser
#
# *2 points, 10 minutes.* The encoder emits `mu` and `log_var` $= \log\sigma^2$ for every picture of a batch. What does each picture's $q(z\mid x) = \mathcal N(\mu, \mathrm{diag}(\sigma^2))$
# cost against the prior $\mathcal N(0, I)$? This is the second half of every VAE's loss, and the line of code with the most mistakes in the literature.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu` | `(B, d)` | means |
# | `log_var` | `(B, d)` | logarithms of the variances |
# | *returns* | `(B,)` | $\mathrm{KL}(q(z\mid x)\,\|\,\mathcal N(0, I))$, one number for each picture |


# %%
def kl_to_standard_normal(mu, log_var):
    """KL(N(mu, diag(exp(log_var))) ‖ N(0, I)) in nats: (B, d), (B, d) -> (B,)."""
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    ### END SOLUTION


# %%
check("kl/standard_normal", kl_to_standard_normal)

# %% [markdown]
# ## 3. Two Gaussians
#
# *2 points, 12 minutes.* The same with any diagonal Gaussian in place of the prior. You need it for learned priors, for two encoders that disagree, for hierarchies of latents.
# Start from $\mathbb E_q[\log q(z) - \log p(z)]$, and test your function against the one above before you run the check.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu_q`, `log_var_q` | `(B, d)` each | the distribution that $z$ is drawn from |
# | `mu_p`, `log_var_p` | `(B, d)` each | the distribution that it is compared with |
# | *returns* | `(B,)` | $\mathrm{KL}(q\,\|\,p)$ |


# %%
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    """KL(q ‖ p) of diagonal Gaussians in nats: four tensors (B, d) -> (B,)."""
    ### BEGIN SOLUTION
    squared = log_var_q.exp() + (mu_q - mu_p) ** 2  # E_q of the squared distance from p's mean
    return 0.5 * (log_var_p - log_var_q + squared / log_var_p.exp() - 1).sum(-1)
    ### END SOLUTION


# %%
check("kl/normals", kl_normals)

# %% [markdown]
# ## 4. When there is no formula
#
# *2 points, 12 minutes.* For most pairs of distributions no closed form exists; an average over samples always does. Make draws $z$ of $q$ for one picture from
# the noise you are given, and estimate $\mathrm{KL}(q(z)\,\|\,\mathcal N(0, I))$ by the average of $\log q(z) - \log p(z)$ over them, with $p$ the prior. Say how far the estimate may be off: its standard error, with the sample standard deviation (divided by $N-1$).
# Use log-densities (`torch.distributions` will do), not the formula of task 2.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu`, `log_var` | `(d,)` each | the encoder's output for one picture |
# | `eps` | `(N, d)` | samples of $\mathcal N(0, I)$ |
# | *returns* | two numbers | the estimate of the KL; its standard error |


# %%
def estimate_kl(mu, log_var, eps):
    """Monte Carlo estimate of KL(N(mu, diag(exp(log_var))) ‖ N(0, I)) and its standard error, in nats."""
    ### BEGIN SOLUTION
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps  # (N, d), samples of q
    q, p = torch.distributions.Normal(mu, sigma), torch.distributions.Normal(torch.zeros_like(mu), 1.0)
    ratio = (q.log_prob(z) - p.log_prob(z)).sum(-1)  # (N,)
    return ratio.mean(), ratio.std() / math.sqrt(len(ratio))
    ### END SOLUTION


# %%
check("kl/estimate", estimate_kl)

# %% [markdown]
# ## 5. One Gaussian for many
#
# *3 points, 15 minutes.* The encoder's distributions, taken together, are a mixture of Gaussians; here $z$ is one number, and the mixture is called $p(z) = \sum_k w_k\,\mathcal N(m_k, v_k)$. A colleague wants to replace it by *one* Gaussian $q$,
# and to choose the $q$ with the least $\mathrm{KL}(p\,\|\,q)$: mind the direction. Decide which $q$ that is, and return its mean and variance. There is a formula without any optimiser.
#
# *A way to begin:* write down the part of $\mathrm{KL}(p\,\|\,q)$ that depends on $q$, and set its derivatives with respect to $q$'s mean and variance to zero.
#
# | argument | shape | meaning |
# |---|---|---|
# | `weights` | `(K,)` | probabilities $w_k$ of the parts, summing to 1 |
# | `means` | `(K,)` | their means $m_k$ |
# | `variances` | `(K,)` | their variances $v_k$ |
# | *returns* | two numbers | mean and variance of the best $q$ |


# %%
def closest_normal(weights, means, variances):
    """Mean and variance of the Gaussian q with the least KL(p ‖ q), for a mixture p of Gaussians."""
    ### BEGIN SOLUTION
    mean = (weights * means).sum()
    within = (weights * variances).sum()
    between = (weights * (means - mean) ** 2).sum()
    return mean, within + between
    ### END SOLUTION


# %%
check("kl/closest_normal", closest_normal)

# %% [markdown]
# ## 6. What the average KL is made of
#
# *3 points, 15 minutes.* Somebody reports "a KL of 12 nats" and concludes that the code knows a lot about the picture. It may, or the codes may only lie far from the prior.
# Take the number apart. To keep it exact, $z$ has only $K$ states here: row $n$ of the table is $q(z\mid x_n)$. The $N$ pictures are equally probable, so that $q(z) = \frac1N\sum_n q(z\mid x_n)$, and all entries are positive.
# The prior is $p(z)$ again, as in the lesson.
#
# | argument | shape | meaning |
# |---|---|---|
# | `q_z_given_x` | `(N, K)` | a row of probabilities for each picture |
# | `p_z` | `(K,)` | the prior |
# | *returns* | two numbers | the mutual information of $x$ and $z$; $\mathrm{KL}(q(z)\,\|\,p(z))$ |


# %%
def split_kl(q_z_given_x, p_z):
    """Mutual information and KL(q(z) ‖ p(z)) in nats; their sum is the average KL(q(z|x) ‖ p(z))."""
    ### BEGIN SOLUTION
    q_z = q_z_given_x.mean(0)  # (K,), the mixture
    information = (q_z_given_x * (q_z_given_x / q_z).log()).sum(-1).mean()
    mismatch = (q_z * (q_z / p_z).log()).sum()
    return information, mismatch
    ### END SOLUTION


# %%
check("kl/split", split_kl)

# %% [markdown]
# Your function on two encoders with the same average KL. The first tells pictures apart; the second gives every picture the same code, in the wrong place.

# %%
telling = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
deaf = torch.tensor([[0.8, 0.1, 0.1]] * 3)
prior = torch.full((3,), 1 / 3)
for name, table in (("tells pictures apart", telling), ("deaf", deaf)):
    information, mismatch = split_kl(table, prior)
    print(f"{name:20}  mutual information {information:.3f}, KL(q(z) || p(z)) {mismatch:.3f} nats")

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A blog says: "The KL term makes the encoder's distributions as wide as possible, so that the latent space becomes a standard normal."
# In at most 120 words: say what is wrong with "as wide as possible", what the KL term asks of *one* picture's $q(z\mid x)$, what has to be close to the prior if pictures are to be drawn from it,
# and why an encoder that satisfies the KL term perfectly would be useless.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - The pull on $\sigma$ ends at $\sigma = 1$: narrower *and* wider distributions cost (it may be shown by the derivative $\sigma - 1/\sigma$).
# - The term is counted for each $q(z\mid x)$ by itself, while sampling needs the *mixture* $q(z)$ to be close to the prior; the two are different demands.
# - Where every $q(z\mid x)$ equals $\mathcal N(0, I)$, the mutual information is 0: the decoder learns nothing of the picture from $z$ (posterior collapse).
#
# No point for "it regularises" without saying what is pulled where. Half a point off for a claim that contradicts these.
# <!-- END SOLUTION -->

# %%
progress("ex04_kl_divergence")
