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
# # Exercise 08 · Inside the latent space
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 85 minutes in all.
# It belongs to [lesson 08](../notebooks/08_inside_the_latent_space.ipynb); everything you need is there. The last two ask for a judgement: which statements hold, and whether two encoders are one and the same.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("latent/traverse")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors unless the table says otherwise. All logarithms are natural: the unit is the nat.

# %%
import math

from vae_course import check, hint, progress
from vae_lessons import data

import torch
from torch.distributions import MultivariateNormal, Normal

# %% [markdown]
# ## 1. A traversal in the latent's own units
#
# *2 points, 8 minutes.* To see what a latent does, change it alone and decode. A fair traversal covers the range in which the decoder was trained: it goes through the mean of this latent's posterior means,
# in steps of their standard deviation (with $N-1$, as `std` computes it). Return the codes to decode, one row for each step.
#
# | argument | shape | meaning |
# |---|---|---|
# | `z` | `(d,)` | the code of one picture |
# | `index` | a whole number | the latent to change, counted from 0 |
# | `mu` | `(N, d)` | posterior means of N pictures |
# | `steps` | `(K,)` | how many standard deviations from that mean, such as −2 or 0.5, in any order |
# | *returns* | `(K, d)` | the codes along the way |


# %%
def traverse(z, index, mu, steps):
    """Codes (K, d): the picture's code z, with one latent at `steps` standard deviations from its mean."""
    ### BEGIN SOLUTION
    codes = z.repeat(len(steps), 1)
    codes[:, index] = mu[:, index].mean() + steps * mu[:, index].std()
    return codes
    ### END SOLUTION


# %%
check("latent/traverse", traverse)

# %% [markdown]
# ## 2. Nats for nothing
#
# *2 points, 10 minutes.* A trained encoder puts its codes off centre, or makes them too narrow: $q(z) = \frac1N\sum_n q(z\mid x_n)$ is not $\mathcal N(0, I)$. Part of the KL term pays for that.
# Shift and rescale each latent, $\tilde z_j = (z_j - m_j)/s_j$, and let the decoder undo it: not a pixel changes, and the KL term, averaged over the pictures, falls. With the best $m_j$ and $s_j$, by how much for each latent?
# This tells you how much of a reported rate says nothing about the pictures.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu`, `log_var` | `(N, d)` each | the encoder's output for all N pictures, each as probable as the others |
# | *returns* | `(d,)` | nats per picture that can be saved, for each latent |


# %%
def saved_by_recentring(mu, log_var):
    """Nats per picture, for each latent (d,), that the best shift and scale save of the average KL term."""
    ### BEGIN SOLUTION
    m = mu.mean(0)
    s2 = mu.var(0, correction=0) + log_var.exp().mean(0)  # spread of the means, and width of the posteriors
    return 0.5 * (m**2 + s2 - 1 - s2.log())
    ### END SOLUTION


# %%
check("latent/recentring", saved_by_recentring)

# %% [markdown]
# ## 3. What a linear VAE can say
#
# *3 points, 15 minutes.* A VAE with a linear decoder, Gaussian pixels of variance $\sigma^2$ (trained as well) and a diagonal $q$ needs no training: its optimum is known. All it takes are the eigenvalues of the
# data's covariance. Return the optimal $\sigma^2$, the squared length of each column of the decoder, and for each latent the rate: its KL to the prior, averaged over the pictures. It is a yardstick:
# a deeper VAE whose rates stay far below these has missed something.
#
# *A way to begin for the rates:* the lesson gives the posterior's mean and covariance. Along a principal axis, what is the average square of the mean?
#
# | argument | shape | meaning |
# |---|---|---|
# | `eigenvalues` | `(D,)` | of the data's covariance (D pixels), in no particular order, all positive |
# | `n_latents` | a whole number | the number of latents d, less than D |
# | *returns* | a number, `(d,)`, `(d,)` | $\sigma^2$; squared lengths of the columns; rates in nats. Largest eigenvalue first |


# %%
def linear_vae(eigenvalues, n_latents):
    """Optimum of a linear VAE: variance of the pixels (), squared lengths of the decoder's columns and rates, (d,) each."""
    ### BEGIN SOLUTION
    ordered = eigenvalues.sort(descending=True).values
    kept, variance = ordered[:n_latents], ordered[n_latents:].mean()
    # v = variance / eigenvalue is the posterior's variance and 1 - v the average square of its mean, so KL = -½ log v
    return variance, kept - variance, 0.5 * (kept / variance).log()
    ### END SOLUTION


# %%
check("latent/linear_vae", linear_vae)

# %% [markdown]
# Your function on real digits. The rates fall slowly: sixteen principal components are far from all there is to say.

# %%
(digits, _), _ = data.digits()
variance, lengths, rates = linear_vae(torch.linalg.eigvalsh(torch.cov(digits.double().T, correction=0)), 16)
print(f"pixel noise {float(variance):.4f}; rates of the first, fourth and sixteenth latent:", end=" ")
print(", ".join(f"{float(rates[j]):.2f}" for j in (0, 3, 15)), f"of {float(sum(rates)):.1f} nats in all")

# %% [markdown]
# ## 4. Total correlation, from draws
#
# *3 points, 15 minutes.* With more than two latents no grid is fine enough, but draws will do. Given the encoder's output for all N pictures and M draws of $q(z)$, return $\log q(z)$ of each draw, and the estimate of the
# total correlation $\mathrm{KL}(q(z)\,\Vert\,\prod_j q(z_j))$ that is an average over the draws. Work with logarithms throughout: with several hundred latents a density is smaller than any number that the computer holds. Total correlation is what some VAEs put an extra weight on,
# and this density is where their code goes wrong.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu`, `log_var` | `(N, d)` each | the encoder's output for all N pictures, each as probable as the others |
# | `z` | `(M, d)` | draws of $q(z) = \frac1N\sum_n q(z\mid x_n)$ |
# | *returns* | `(M,)` and a number | $\log q(z)$ of each draw; the total correlation in nats |


# %%
def total_correlation(mu, log_var, z):
    """log q(z) of the draws z (M, d), (M,), and the Monte Carlo estimate of the total correlation, in nats."""
    ### BEGIN SOLUTION
    log_each = Normal(mu, (log_var / 2).exp()).log_prob(z[:, None])  # (M, N, d)
    log_q = log_each.sum(-1).logsumexp(1) - math.log(len(mu))  # (M,): product over the latents, then mixture
    log_q_each = log_each.logsumexp(1) - math.log(len(mu))  # (M, d)
    return log_q, (log_q - log_q_each.sum(-1)).mean()
    ### END SOLUTION


# %%
check("latent/total_correlation", total_correlation)

# %% [markdown]
# The lesson's ring of eight, with two latents and with four more that say nothing. They add nothing.

# %%
generator = torch.Generator().manual_seed(0)
around = torch.arange(8, dtype=torch.float64) * math.pi / 4
ring = 2 * torch.stack([around.cos(), around.sin()], 1)
for silent in (0, 4):
    ring_mu = torch.cat([ring, torch.zeros(8, silent, dtype=torch.float64)], 1)
    ring_log_var = torch.cat([torch.full((8, 2), 0.2).log() * 2, torch.zeros(8, silent)], 1).double()
    picked = torch.randint(8, (20_000,), generator=generator)
    noise = torch.randn(20_000, 2 + silent, generator=generator, dtype=torch.float64)
    ring_z = ring_mu[picked] + (ring_log_var[picked] / 2).exp() * noise
    print(f"{2 + silent} latents: {total_correlation(ring_mu, ring_log_var, ring_z)[1].item():.2f} nats")

# %% [markdown]
# ## 5. Three statements
#
# *3 points, 15 minutes.* "The latents are independent." Which statement is meant? For each of M models with two latents and N pictures say which of these hold:
#
# 1. given any one picture, $z_1$ and $z_2$ are independent: every $q(z\mid x_n)$ is diagonal;
# 2. the posterior means are uncorrelated over the pictures: $\operatorname{Cov}(\mu_1, \mu_2) = 0$;
# 3. without knowing the picture, $z_1$ and $z_2$ are independent: $q(z) = q(z_1)\,q(z_2)$.
#
# The encoders may be of any kind, so $q(z\mid x_n) = \mathcal N(\mu_n, \Sigma_n)$ comes with a full covariance. A statement that holds here holds up to rounding (covariances below 0.00001); one that fails, fails by far
# (a covariance of over 0.01, plus or minus, or a total correlation of over 0.02 nats). Some implications between the three are true, and others are only believed: your function has to look.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu` | `(M, N, 2)` | of M models, the posterior means of N equally probable pictures |
# | `covariance` | `(M, N, 2, 2)` | the posterior covariances |
# | *returns* | `(M, 3)`, true or false | for each model, whether statements 1, 2 and 3 hold |


# %%
def statements(mu, covariance):
    """Whether q(z|x) is diagonal, the means are uncorrelated, q(z) factorises: (M, N, 2), (M, N, 2, 2) -> (M, 3) of bool."""
    ### BEGIN SOLUTION
    answers = []
    for means, Sigma in zip(mu.double(), covariance.double(), strict=True):
        diagonal = (Sigma[:, 0, 1].abs() < 1e-4).all()
        uncorrelated = torch.cov(means.T)[0, 1].abs() < 1e-4
        sigma = Sigma.diagonal(dim1=-2, dim2=-1).sqrt()
        places = torch.cat([means, means + sigma])  # (2N, 2)
        z = torch.cartesian_prod(*places.T)[:, None]  # (4N², 1, 2): near one picture's z1 and any other's z2
        log_q = MultivariateNormal(means, Sigma).log_prob(z).logsumexp(1) - math.log(len(means))
        log_q_each = Normal(means, sigma).log_prob(z).logsumexp(1) - math.log(len(means))
        answers.append(torch.stack([diagonal, uncorrelated, (log_q - log_q_each.sum(-1)).abs().max() < 1e-4]))
    return torch.stack(answers)
    ### END SOLUTION


# %%
check("latent/statements", statements)

# %% [markdown]
# ## 6. The same encoder, turned?
#
# *3 points, 15 minutes.* Two VAEs were trained on the same data, and their latents look nothing alike. Have they learned different things? For each of P pairs of encoders you have the codes of the same N pictures, row by row.
# Say of each pair, in one word, how the second code comes from the first:
#
# - `"turned"`: by a linear map that leaves the prior $\mathcal N(0, I)$ as it is. A decoder that first undoes it draws the same pictures, and nothing in the loss of a model with a full-covariance $q$ could tell the two apart;
# - `"affine"`: not so, but by some other invertible map $z \mapsto Az + c$. The same code in other units;
# - `"different"`: by no such map: none fits, or what fits cannot be undone.
#
# What holds, holds up to rounding (an error below 0.001); what fails is off by more than 0.05 for some picture. Before you say that a latent of one model "is" a latent of another, this is the question to ask.
#
# | argument | shape | meaning |
# |---|---|---|
# | `z_a`, `z_b` | `(P, N, d)` each | of P pairs, both encoders' codes of N pictures, with N more than twice d |
# | *returns* | a list of P words | `"turned"`, `"affine"` or `"different"` |


# %%
def turned(z_a, z_b):
    """For each of P pairs of codes, whether the second is the first "turned", "affine" or "different"."""
    ### BEGIN SOLUTION
    words = []
    for a, b in zip(z_a.double(), z_b.double(), strict=True):
        inputs = torch.cat([a, torch.ones(len(a), 1).double()], 1)
        found = torch.linalg.lstsq(inputs, b).solution  # (d + 1, d): A, and c in the last row
        A, c = found[:-1], found[-1]
        if (inputs @ found - b).abs().max() > 0.01 or torch.linalg.svdvals(A).min() < 0.01:  # no map, or no way back
            words.append("different")
        elif c.abs().max() < 0.01 and (A @ A.T - torch.eye(len(A))).abs().max() < 0.01:  # rotations and reflections
            words.append("turned")
        else:
            words.append("affine")
    return words
    ### END SOLUTION


# %%
check("latent/turned", turned)

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A paper says: "Our encoder's covariance is diagonal and the prior is $\mathcal N(0, I)$; therefore each latent variable represents an independent factor of the data."
# In at most 120 words: separate the claims in this sentence, give a counterexample against "independent", say why the prior cannot pick the axes and what does pick them in a linear VAE, and name a measurement that the authors should report.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - *Independent:* a diagonal $q(z\mid x)$ makes the latents independent given the picture, not in $q(z)$. A counterexample is named: two pictures with means $(1, 1)$ and $(-1, -1)$, the ring, or correlated means.
# - *Axes:* $\mathcal N(0, I)$ is the same after every rotation, so it prefers no axes. In a linear VAE the diagonal $q$ does: the bound is tight only where the decoder's columns are orthogonal, which gives the principal axes (and not "factors").
# - *Measurement:* a score against known factors (MIG, SAP) beside its value for rotations of a perfect code and for several initialisations; or, for independence alone, the total correlation of $q(z)$.
#
# Half a point for saying that independent latents need not be factors, without more. No point for "choose a larger β" alone.
# <!-- END SOLUTION -->

# %%
progress("ex08_inside_the_latent_space")
