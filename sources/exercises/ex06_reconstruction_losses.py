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
# # Exercise 06 · Reconstruction losses
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 90 minutes in all.
# It belongs to [lesson 06](../notebooks/06_reconstruction_losses.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("reconstruction/gaussian")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors unless the table says otherwise. All logarithms are natural: the unit is the nat. The cost of a picture is the sum over its pixels.

# %%
import math

from vae_course import check, hint, progress
from vae_lessons import plotting

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

# %% [markdown]
# ## 1. Squared error, with everything that belongs to it
#
# *2 points, 8 minutes.* The decoder predicts $\hat x$, and each pixel is Gaussian around it with the same $\sigma$. What does each picture cost, with all constants kept?
# Only with them may the number be compared with another density's, and only with them can $\sigma$ be learned.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, D)` | pictures; some have more than a hundred pixels |
# | `x_hat` | `(B, D)` | the decoder's predictions |
# | `sigma` | a `float` | standard deviation of every pixel |
# | *returns* | `(B,)` | $-\log p(x\mid z)$ of each picture |


# %%
def nll_gaussian(x, x_hat, sigma):
    """Minus the log-density of each picture under N(x_hat, sigma²) for each pixel, in nats: (B, D), (B, D) -> (B,)."""
    ### BEGIN SOLUTION
    sse = ((x - x_hat) ** 2).sum(-1)
    return sse / (2 * sigma**2) + x.shape[-1] / 2 * math.log(2 * math.pi * sigma**2)
    ### END SOLUTION


# %%
check("reconstruction/gaussian", nll_gaussian)

# %% [markdown]
# ## 2. Above the floor
#
# *2 points, 12 minutes.* BCE on grey pixels has a floor that no prediction gets below. Return what each picture costs *above* its floor: the part that the network can do something about.
# Pixels may be anything from 0 to 1, both ends included, and the decoder may be very sure of itself: logits of ±80 occur, rightly and wrongly.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, D)` | pictures, pixels from 0 to 1 |
# | `logits` | `(B, D)` | log-odds from the decoder |
# | *returns* | `(B,)` | BCE of each picture less the least BCE that is possible for it |


# %%
def excess_bce(x, logits):
    """BCE in nats of each picture above its floor: (B, D), (B, D) -> (B,)."""
    ### BEGIN SOLUTION
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    floor = torch.special.entr(x) + torch.special.entr(1 - x)  # 0 for x = 0 and for x = 1
    return (bce - floor).sum(-1)
    ### END SOLUTION


# %%
check("reconstruction/excess", excess_bce)

# %% [markdown]
# Three pictures of 100 pixels, each predicted with the same error of 0.05, and what BCE says about them with and without the floor.

# %%
for name, grey in (("nearly white", 0.1), ("dim", 0.2), ("mid-grey", 0.45)):
    x = torch.full((1, 100), grey)
    logits = torch.logit(x + 0.05)
    whole = binary_cross_entropy_with_logits(logits, x, reduction="sum")
    print(f"{name:13} BCE {whole:5.1f} nats, above the floor {excess_bce(x, logits).item():.2f}")

# %% [markdown]
# The picture with the highest BCE is the one that is predicted best.
#
# ## 3. A σ that has seen nothing of the test
#
# *2 points, 12 minutes.* Let the likelihood choose $\sigma$: one number for all pixels of all training pictures. Then report honestly: what do held-out pictures cost with this $\sigma$?
#
# | argument | shape | meaning |
# |---|---|---|
# | `x`, `x_hat` | `(N, D)` each | training pictures and their predictions |
# | `x_held`, `x_hat_held` | `(M, D)` each | held-out pictures and their predictions |
# | *returns* | `()`, `(M,)` | $\sigma$; $-\log p(x\mid z)$ of each held-out picture |


# %%
def held_out_cost(x, x_hat, x_held, x_hat_held):
    """The best σ for the training pictures, and the Gaussian cost of each held-out picture with it, in nats: (), (M,)."""
    ### BEGIN SOLUTION
    sigma = ((x - x_hat) ** 2).mean().sqrt()
    squares = ((x_held - x_hat_held) ** 2).sum(-1)
    return sigma, squares / (2 * sigma**2) + x.shape[-1] / 2 * torch.log(2 * math.pi * sigma**2)
    ### END SOLUTION


# %%
check("reconstruction/held_out", held_out_cost)

# %% [markdown]
# An overfitted network has smaller errors on the pictures it was trained on. What does its $\sigma$ cost on new ones?

# %%
generator = torch.Generator().manual_seed(0)
train, held = torch.zeros(50, 64), torch.zeros(50, 64)
train_hat, held_hat = (error * torch.randn(50, 64, generator=generator) for error in (0.05, 0.1))
sigma, cost = held_out_cost(train, train_hat, held, held_hat)
sigmas = torch.linspace(0.03, 0.25, 45).tolist()
figure, ax = plt.subplots(figsize=(6, 3.2))
for name, pictures, hats, style in (("training", train, train_hat, "--"), ("held out", held, held_hat, "-")):
    ax.plot(sigmas, [nll_gaussian(pictures, hats, s).mean().item() for s in sigmas], style, label=name)
ax.plot(sigma, cost.mean(), "o", color="black", label="σ from training, cost held out")
ax.set(xlabel="σ", ylabel="nats per picture", ylim=(-110, 60))
ax.legend()
plotting.show(
    figure,
    "Cost per picture against sigma. The training curve has its lowest point near 0.05, the curve of held-out pictures "
    "near 0.1 and rises steeply to the left of it. A dot marks the held-out cost with the sigma from training: "
    "it lies far up on the steep part.",
)

# %% [markdown]
# A $\sigma$ that is too small is dear: the network is sure of itself, and wrong.
#
# ## 4. Which decoder is better?
#
# *3 points, 15 minutes.* Two VAEs were trained on the same grey pictures, and both are evaluated on the same $N$ held-out ones, with one draw of $z$ for each picture and model. A has a **continuous Bernoulli** decoder, B a **Gaussian** one.
# Decide which has the higher ELBO in nats per picture, and by how much. There are few pictures, and some are hard for everybody. So say `"cannot tell"` if the mean difference is within two standard errors of zero. For a standard deviation divide by $N-1$.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(N, D)` | held-out pictures, pixels between 0 and 1 |
# | `logits` | `(N, D)` | A's decoder output; some are exactly 0 |
# | `kl_a` | `(N,)` | A's KL of each picture, in nats |
# | `x_hat` | `(N, D)` | B's prediction |
# | `sigma` | a `float` | B's standard deviation of every pixel |
# | `kl_b` | `(N,)` | B's KL of each picture |
# | *returns* | a `str`, a number | `"A"`, `"B"` or `"cannot tell"`; the mean difference of the ELBOs, A less B |


# %%
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    """Which of two models has the higher ELBO ("A", "B" or "cannot tell"), and by how many nats per picture."""
    ### BEGIN SOLUTION
    log_p_a = torch.distributions.ContinuousBernoulli(logits=logits).log_prob(x).sum(-1)
    log_p_b = torch.distributions.Normal(x_hat, sigma).log_prob(x).sum(-1)
    difference = (log_p_a - kl_a) - (log_p_b - kl_b)  # (N,), picture by picture
    mean, error = difference.mean(), difference.std() / math.sqrt(len(difference))
    if abs(mean) <= 2 * error:
        return "cannot tell", mean
    return ("A" if mean > 0 else "B"), mean
    ### END SOLUTION


# %%
check("reconstruction/better", better_decoder)

# %% [markdown]
# ## 5. The β that nobody typed
#
# *3 points, 15 minutes.* You are handed a VAE's loss *as a function*, and cannot read its code. It is made of a BCE and a KL, but where it sums and where it averages, over pixels, latents or pictures, and what else it multiplies or adds, you are not told.
# Find its β. Let $R$ be the BCE and $\mathrm{KL}$ the divergence from $\mathcal N(0, I)$, both in nats per picture: summed over pixels or latents, averaged over the batch. Then for batches of this size
#
# $$\text{loss} = c\,(R + \beta\,\mathrm{KL}) + \text{constant}$$
#
# with unknown $c > 0$ and constant. You may call the loss as often as you like, with any tensors of the same shapes as the ones given, and differentiate it.
# It computes in the 32 bits of its inputs: a change in the seventh digit drowns in rounding.
#
# | argument | shape | meaning |
# |---|---|---|
# | `loss` | function | `loss(x, logits, mu, log_var)` returns a number |
# | `x` | `(B, D)` | pictures of 0s and 1s |
# | `logits` | `(B, D)` | log-odds from the decoder |
# | `mu`, `log_var` | `(B, d)` each | the encoder's output |
# | *returns* | `()` | $\beta$ |


# %%
def hidden_beta(loss, x, logits, mu, log_var):
    """β of a loss, relative to BCE + KL in nats per picture, for batches of the size given."""

    ### BEGIN SOLUTION
    def terms(logits, mu, log_var):
        bce = binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1).mean()
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
        return bce, kl

    def price(first, second, term):  # how much the loss changes for a nat of one term
        return (loss(x, *second) - loss(x, *first)) / (terms(*second)[term] - terms(*first)[term])

    here = (logits, mu, log_var)
    other_pictures = (torch.zeros_like(logits) + 3, mu, log_var)
    other_codes = (logits, torch.zeros_like(mu) + 2, torch.zeros_like(log_var))
    return price(here, other_codes, 1) / price(here, other_pictures, 0)
    ### END SOLUTION


# %%
check("reconstruction/hidden_beta", hidden_beta)

# %% [markdown]
# Three losses as they are found in the wild, for 64 digits of 784 pixels and 20 latents.


# %%
def means(x, logits, mu, log_var):
    kl = -0.5 * torch.mean(1 + log_var - mu**2 - log_var.exp())
    return binary_cross_entropy_with_logits(logits, x) + kl


def mean_and_sum(x, logits, mu, log_var):
    kl = -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp(), dim=1)
    return binary_cross_entropy_with_logits(logits, x) + kl.mean()


def sum_and_mean(x, logits, mu, log_var):
    kl = -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp(), dim=1)
    return binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl.mean()


generator = torch.Generator().manual_seed(0)
x = torch.randint(0, 2, (64, 784), generator=generator).double()
logits, (mu, log_var) = (
    torch.randn(64, 784, generator=generator).double(),
    torch.randn(2, 64, 20, generator=generator).double(),
)
for loss in (means, mean_and_sum, sum_and_mean):
    print(f"{loss.__name__:13} beta {float(hidden_beta(loss, x, logits, mu, log_var)):8.3f}")

# %% [markdown]
# The last is the slip in the other direction: BCE summed over the batch as well, KL averaged over it. The latents come nearly for free.
#
# ## 6. A loss that would not learn smiles
#
# *3 points, 15 minutes.* The loss below was written for a VAE with Gaussian pixels and a learned $\sigma$. It trains without an error, and $\sigma$ ends at the root of the mean squared error, as it should.
# All faces come out alike.
#
# ```python
# def loss(x, x_hat, log_sigma, mu, log_var):
#     variance = torch.exp(2 * log_sigma)
#     reconstruction = mse_loss(x_hat, x) / (2 * variance) + log_sigma
#     kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).mean(1).sum()
#     return reconstruction + kl
# ```
#
# Write what was meant: minus the ELBO in nats per picture, averaged over the batch, all constants kept. `x_hat` was decoded from one draw of $z$; take the KL in closed form.
# More than one thing is wrong. Gradients must flow to `x_hat`, `log_sigma`, `mu` and `log_var`.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, D)` | pictures |
# | `x_hat` | `(B, D)` | the decoder's prediction |
# | `log_sigma` | `()` | logarithm of the one $\sigma$ of all pixels, a parameter of the model |
# | `mu`, `log_var` | `(B, d)` each | the encoder's output |
# | *returns* | `()` | the loss |


# %%
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    """Minus the ELBO of a VAE with Gaussian pixels, in nats per picture, averaged over the batch: a number."""
    ### BEGIN SOLUTION
    n_pixels = x.shape[1]
    squares = mse_loss(x_hat, x, reduction="none").sum(-1)  # (B,)
    cost = squares / (2 * torch.exp(2 * log_sigma)) + n_pixels * (log_sigma + math.log(2 * math.pi) / 2)
    divergence = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)  # (B,)
    return (cost + divergence).mean()
    ### END SOLUTION


# %%
check("reconstruction/repaired_loss", repaired_loss)

# %% [markdown]
# How far off was the printed loss? It takes a nat of KL as seriously as how many nats of reconstruction? For faces of 1,024 pixels and 10 latents, from its gradients divided by yours:


# %%
def printed_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = mse_loss(x_hat, x) / (2 * torch.exp(2 * log_sigma)) + log_sigma
    return reconstruction - 0.5 * (1 + log_var - mu**2 - log_var.exp()).mean(1).sum()


generator = torch.Generator().manual_seed(1)
for n_pictures in (16, 64, 256):
    x, x_hat = torch.rand(2, n_pictures, 1024, generator=generator)
    mu, log_var = torch.randn(2, n_pictures, 10, generator=generator)
    x_hat.requires_grad_(), mu.requires_grad_()
    slopes = [
        torch.autograd.grad(loss(x, x_hat, torch.tensor(-2.0), mu, log_var), (x_hat, mu))
        for loss in (printed_loss, repaired_loss)
    ]
    by_x_hat, by_mu = (printed.norm() / yours.norm() for printed, yours in zip(*slopes, strict=True))
    print(f"batches of {n_pictures:3}: {by_mu / by_x_hat:8,.0f} nats")

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A student compares two repositories on the same grey 28 × 28 digits: "The first minimises `mse_loss(x_hat, x) + kl` with the KL summed over latents, and ends at 0.06. The second minimises summed BCE + KL and ends at 104.
# So the first is far better. Still, its samples all look like the average digit; VAEs are blurry."
# In at most 120 words: say why the two numbers cannot be compared, what the first loss assumes about the pixels and how that explains the samples, and what you would report for both.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - Not comparable: 0.06 is not in nats per picture (a mean over pixels, no $\frac12\log 2\pi\sigma^2$). And BCE on grey pixels has a floor, the entropy of the targets, and is no log-density (its exponential does not integrate to 1). Either of the two reasons, given precisely, is enough.
# - The mean over 784 pixels is a $\beta$ of 784 against "sum of squares + KL", or $\sigma = \sqrt{784/2} \approx 20$ for pixels between 0 and 1. Under so much noise nothing in a digit is worth a nat: the KL collapses, and the decoder draws the average.
#   It is the loss, not "VAEs".
# - To report: minus the ELBO in nats per picture, on the same held-out pictures, of densities with all constants (Gaussian with a learned $\sigma$, continuous Bernoulli), KL and reconstruction apart; or binary pixels for both, and BCE.
#
# Half a point off for a claim that contradicts these, such as "MSE is always worse than BCE".
# <!-- END SOLUTION -->

# %%
progress("ex06_reconstruction_losses")
