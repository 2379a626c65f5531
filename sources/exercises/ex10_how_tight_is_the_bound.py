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
# # Exercise 10 · How tight is the bound?
#
# Six functions to write, easiest first, and one question to answer in words: just under 90 minutes in all.
# It belongs to [lesson 10](../notebooks/10_how_tight_is_the_bound.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("bound/log_p_x")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors unless the table says otherwise. All logarithms are natural, and all results in nats per picture unless another unit is asked for. $B$ counts pictures, $K$ draws, $D$ pixels, $d$ latents.

# %%
import math

from vae_course import check, hint, progress
from vae_lessons import plotting

import matplotlib.pyplot as plt
import torch
from torch.distributions import MultivariateNormal, Normal
from torch.nn.functional import binary_cross_entropy_with_logits

# %% [markdown]
# ## 1. From draws to log p(x)
#
# *2 points, 10 minutes.* For each picture, $K$ latents were drawn from the encoder's $q(z\mid x)$. Three logarithms of each draw were recorded. Return the importance-sampled estimate of $\log p(x)$ for each picture.
# The pictures are large, with likelihoods from $e^{-900}$ down to $e^{-2000}$, and your function has to stand that. It matters because this is the number by which VAEs are compared in print.
#
# | argument | shape | meaning |
# |---|---|---|
# | `log_p_x_given_z` | `(K, B)` | $\log p(x\mid z)$, from the decoder |
# | `log_p_z` | `(K, B)` | $\log p(z)$, from the prior |
# | `log_q` | `(K, B)` | $\log q(z\mid x)$, from the encoder |
# | *returns* | `(B,)` | the estimate for each picture |


# %%
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    """The logarithm of the mean importance weight of each picture: three tensors (K, B) -> (B,)."""
    ### BEGIN SOLUTION
    log_weights = log_p_x_given_z + log_p_z - log_q
    return log_weights.logsumexp(0) - math.log(len(log_weights))
    ### END SOLUTION


# %%
check("bound/log_p_x", log_p_x)

# %% [markdown]
# ## 2. A point of the curve
#
# *2 points, 12 minutes.* You have recorded $N$ log-weights for each picture, and want the bound with $k$ draws, $\mathcal L_k$, for some $k$ smaller than $N$: a point of the curve that shows whether the bound still climbs. As in task 1, log-weights may be as low as −2000. All $N$ draws shall be used, in
# groups of $k$ consecutive ones (rows 0 to $k-1$, rows $k$ to $2k-1$, and so on; $k$ divides $N$). Return the bound as a mean over the pictures, and its standard error over the pictures, with the sample standard deviation (divided by $B-1$).
#
# | argument | shape | meaning |
# |---|---|---|
# | `log_weights` | `(N, B)` | $\log p(x\mid z) + \log p(z) - \log q(z\mid x)$ for each draw |
# | `k` | `int` | draws that the bound is for |
# | *returns* | two numbers | the estimate of $\mathcal L_k$; its standard error over pictures |


# %%
def bound_with_k(log_weights, k):
    """L_k from groups of k consecutive draws, averaged over pictures, and its standard error: (N, B) -> two numbers."""
    ### BEGIN SOLUTION
    groups = log_weights.unflatten(0, (-1, k))  # (N / k, k, B)
    bounds = (groups.logsumexp(1) - math.log(k)).mean(0)  # (B,)
    return bounds.mean(), bounds.std() / len(bounds) ** 0.5
    ### END SOLUTION


# %%
check("bound/climb", bound_with_k)

# %% [markdown]
# Your function on log-weights that are drawn so that $\log p(x) = 0$ exactly, with a spread of 1 nat and of 4 nats: a mild misfit of $q$, and a bad one.

# %%
generator = torch.Generator().manual_seed(0)
noise = torch.randn(4096, 20, generator=generator, dtype=torch.float64)
counts = [2**power for power in range(0, 12, 1)]
figure, ax = plt.subplots(figsize=(5, 3.2))
for spread, name, marker in ((1.0, "1 nat", "o"), (4.0, "4 nats", "s")):
    log_weights = spread * noise - spread**2 / 2  # the expectation of their exponentials is 1
    curve = [bound_with_k(log_weights, k)[0] for k in counts]
    ax.semilogx(counts, curve, marker + "-", label=f"spread of {name}")
    print(f"spread of {name}: L_1 = {curve[0]:.2f}, L_64 = {curve[6]:.2f}, L_2048 = {curve[-1]:.2f} nats")
ax.axhline(0, color="black", linestyle="--", label="log p(x)")
ax.set(xlabel="k, draws for each picture", ylabel="nats")
ax.legend()
plotting.show(
    figure,
    "The bound against the number of draws, from 1 to 2,048, for two sets of weights. With a spread of 1 nat it starts half a nat below the truth and has all but "
    "arrived after some tens of draws. With a spread of 4 nats it starts 8 nats below, climbs ever more slowly, and has not arrived at the end.",
)

# %% [markdown]
# ## 3. Which number goes into the report?
#
# *2 points, 12 minutes.* One trained decoder, several encoders that were tried with it, binary pictures, and a log file with several numbers. A better encoder may reach a higher bound with fewer draws. Each row is a dictionary:
#
# - `pictures`: `"training"` or `"held-out"`;
# - `quantity`: `"bound"` (logged as $\mathcal L_K$), `"minus bound"` (the same as a loss), or `"reconstruction"` (the mean of $\log p(x\mid z)$ alone);
# - `z`: what the decoder was given, a `"sample"` of $q(z\mid x)$ or its `"mean"`;
# - `draws`: $K$; `unit`: `"nats per picture"`, `"nats per pixel"`, `"bits per picture"` or `"bits per pixel"`; `value`: the number.
#
# Which row supports the strongest true sentence of the form "on new pictures, $\log p(x)$ is on average at least …"? (No two rows tie.) Return its place in the list, the number for that sentence in nats per picture,
# and the same in *bits per dimension*, as papers have it: what the picture costs at most to encode, in bits (1 bit is $\log 2 = 0.693$ nats), divided by the number of pixels. (Take the averages as exact; standard errors were task 2.)
#
# | argument | shape | meaning |
# |---|---|---|
# | `rows` | list of `dict` | the log file |
# | `n_pixels` | `int` | $D$ |
# | *returns* | an `int` and two numbers | the row's index, from 0; nats per picture; bits per dimension |


# %%
def honest_report(rows, n_pixels):
    """The row with the best number that may be reported, that number in nats per picture, and in bits per dimension."""
    ### BEGIN SOLUTION
    bounds = {}
    for index, row in enumerate(rows):
        if row["pictures"] == "training" or row["z"] == "mean" or row["quantity"] == "reconstruction":
            continue
        unit, per = row["unit"].split(" per ")
        nats = row["value"] * (math.log(2) if unit == "bits" else 1) * (n_pixels if per == "pixel" else 1)
        bounds[index] = -nats if row["quantity"] == "minus bound" else nats
    best = max(bounds, key=bounds.get)  # all are below log p(x), so that the highest says most
    return best, bounds[best], -bounds[best] / math.log(2) / n_pixels
    ### END SOLUTION


# %%
check("bound/report", honest_report)

# %% [markdown]
# ## 4. Repair an evaluation
#
# *3 points, 13 minutes.* A colleague's VAE was trained with a KL weight of 0.25 for better pictures, and evaluated with the code of its training loop, "without the noise, so that the result is reproducible". It is reported as the ELBO.


# %%
def colleagues_elbo(x, encode, decode, beta=0.25):
    mean, log_variance = encode(x)
    loss = binary_cross_entropy_with_logits(decode(mean), x, reduction="none").mean(1)
    kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1)
    return -(loss + beta * kl).mean()


# %% [markdown]
# Return the ELBO instead, for each picture in nats, as the average over $K$ draws whose noise you are given. Take the KL by its formula; only the reconstruction needs the draws. (`binary_cross_entropy_with_logits` wants two tensors of the same shape: `x.expand_as(logits)`.)
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, D)` | binary pictures |
# | `eps` | `(K, B, d)` | samples of $\mathcal N(0, I)$ |
# | `encode` | `(B, D)` → two of `(B, d)` | pictures to `mu` and `log_var` |
# | `decode` | `(..., d)` → `(..., D)` | codes to logits of the pixels |
# | *returns* | `(B,)` | the ELBO of each picture |


# %%
def held_out_elbo(x, eps, encode, decode):
    """The ELBO of each picture in nats, averaged over the K draws: (B, D), (K, B, d) -> (B,)."""
    ### BEGIN SOLUTION
    mu, log_var = encode(x)
    logits = decode(mu + (log_var / 2).exp() * eps)  # (K, B, D)
    cost = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -cost - 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1)
    ### END SOLUTION


# %%
check("bound/elbo", held_out_elbo)

# %% [markdown]
# ## 5. Which proposal?
#
# *3 points, 15 minutes.* The latent has $S$ states, as in section 1 of the lesson, and there are $M$ encoders to draw from, each a row of `proposals`. Choose the one for importance sampling of this picture, with the weights $w = p(z)\,p(x\mid z)/q(z)$ of lesson 10: its mean weight, with $z$ drawn from it, has to be $p(x)$: not nearly, but up to the computer's rounding. (A proposal that misses some states misses at least 0.0001 of $p(x)$.)
# Among all such proposals its weights shall have the least variance; no two tie. Then predict how far $\mathcal L_K$ with this proposal lies below $\log p(x)$, by the lesson's rule for small variances (section 1), even where the variance is not small. At least one proposal qualifies.
# It matters because a proposal that is wrong in the wrong way gives a confident number that is false, and nothing in the numbers shows it.
#
# | argument | shape | meaning |
# |---|---|---|
# | `prior` | `(S,)` | $p(z)$, all positive |
# | `likelihood` | `(S,)` | $p(x\mid z)$ of the picture; may be 0 |
# | `proposals` | `(M, S)` | in each row a $q(z)$; entries may be 0 |
# | `k` | `int` | draws $K$ |
# | *returns* | an `int` and a number | the row of the proposal, from 0; the predicted gap in nats |


# %%
def choose_proposal(prior, likelihood, proposals, k):
    """The unbiased proposal whose weights have the least variance, and the predicted gap of its bound with k draws."""
    ### BEGIN SOLUTION
    joint = prior * likelihood  # (S,), which sums to p(x)
    fair = ((proposals > 0) | (joint == 0)).all(1)  # every state that is possible can be drawn
    squares = torch.where(proposals > 0, joint**2 / proposals, 0)  # which sum to the mean of w²
    variance = squares.sum(1) - joint.sum() ** 2
    variance[~fair] = math.inf
    best = int(variance.argmin())
    return best, variance[best] / (2 * k * joint.sum() ** 2)
    ### END SOLUTION


# %%
check("bound/proposal", choose_proposal)

# %% [markdown]
# ## 6. Family or encoder?
#
# *3 points, 15 minutes.* A linear VAE, $p(z) = \mathcal N(0, I)$ and $p(x\mid z) = \mathcal N(Wz + b, \sigma^2 I)$, with an encoder of diagonal Gaussians that was trained badly. Split the gap between $\log p(x)$ and the ELBO exactly: what do diagonal Gaussians lose at best (the least $\mathrm{KL}(q\,\|\,p(z\mid x))$ over all of them),
# and what does this encoder lose in addition? It matters because the first is repaired by another family of $q$, the second by another encoder or more training pictures for it.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, D)` | pictures |
# | `weight` | `(D, d)` | the decoder's $W$ |
# | `mean` | `(D,)` | the decoder's $b$ |
# | `log_sigma` | `()` | $\log\sigma$ of the decoder's noise |
# | `mu`, `log_var` | `(B, d)` each | the encoder's output for the pictures |
# | *returns* | `()` and `(B,)` | the family gap, which is the same for every picture (why?); each picture's amortisation gap |


# %%
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    """The family gap of a linear VAE and each picture's amortisation gap, in nats."""
    ### BEGIN SOLUTION
    variance = (2 * log_sigma).exp()
    precision = weight.T @ weight / variance + torch.eye(weight.shape[1])  # of every posterior
    family = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
    centre = torch.linalg.solve(precision, weight.T @ (x - mean).T / variance).T  # (B, d)
    away = mu - centre
    ratios = precision.diagonal() * log_var.exp()  # the encoder's variances over the best ones
    amortisation = 0.5 * ((ratios - 1 - ratios.log()).sum(1) + (away @ precision * away).sum(1))
    return family, amortisation
    ### END SOLUTION


# %%
check("bound/split", split_gap)

# %% [markdown]
# Two of your functions meet: on a linear VAE, the exact $\log p(x)$ minus both gaps is the ELBO, and more draws climb back.

# %%
generator = torch.Generator().manual_seed(0)
weight, mean = torch.randn(8, 2, generator=generator).double(), torch.ones(8).double()
log_sigma = torch.tensor(-0.3).double()
x = mean + torch.randn(6, 8, generator=generator).double() @ torch.diag(torch.linspace(0.5, 2, 8).double())
mu, log_var = 0.3 * (x - mean) @ weight / 2, torch.full((6, 2), -1.5).double()
exact = MultivariateNormal(mean, weight @ weight.T + (2 * log_sigma).exp() * torch.eye(8).double()).log_prob(x)
family, amortisation = split_gap(x, weight, mean, log_sigma, mu, log_var)

z = mu + (log_var / 2).exp() * torch.randn(20_000, 6, 2, generator=generator).double()
log_likelihood = Normal(z @ weight.T + mean, log_sigma.exp()).log_prob(x).sum(-1)
log_prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
log_q = Normal(mu, (log_var / 2).exp()).log_prob(z).sum(-1)
elbo = (log_likelihood + log_prior - log_q).mean(0)
print(f"family gap {family:.2f} nats")
print("amortisation gap      ", amortisation.numpy().round(1))
print("exact minus both gaps ", (exact - family - amortisation).numpy().round(1))
print("ELBO by 20,000 draws  ", elbo.numpy().round(1))
print("log p(x) by 20,000    ", torch.as_tensor(log_p_x(log_likelihood, log_prior, log_q)).numpy().round(1))
print("log p(x) exactly      ", exact.numpy().round(1))

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* On the same held-out binary digits, model A has an ELBO of −98.0 nats per picture and model B of −99.5; the standard error of the difference is 0.2. The report concludes: "A assigns the digits a higher likelihood than B."
# In at most 120 words: say why this does not follow, describe in one sentence each two different ways in which B may have the higher $\log p(x)$ after all, and say what you would measure to decide, and when that measurement would still leave the question open.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - *One-sided.* The ELBO is below $\log p(x)$ by a gap that differs between models: a high ELBO proves a high $\log p(x)$, a lower one proves nothing. (The difference is significant; that is not the point.)
# - *Two ways.* B's encoder may be the worse one on new digits (amortisation gap; it may have overfitted beside a good decoder), and B's posteriors may be such that no diagonal Gaussian fits (family gap; for example a model that was trained on a bound with several draws). Both are needed.
# - *Measurement.* The bound with $K$ draws against $K$, for both on the same digits (or a grid for two latents; or a new encoder, or a better $q$ for each picture, with the decoders fixed). Open as long as the curves still climb by as much as they differ, and a flat curve is no proof either, since it may miss states that the encoder hardly proposes.
#
# No point for "more test data" or for "compare the reconstructions". Half a point off for a claim that contradicts these.
# <!-- END SOLUTION -->

# %%
progress("ex10_how_tight_is_the_bound")
