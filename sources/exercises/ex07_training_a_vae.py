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
# # Exercise 07 · Training a VAE
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 85 minutes in all.
# It belongs to [lesson 07](../notebooks/07_training_a_vae.ipynb); everything you need is there. The first three ask for a computation, the last three for a judgement:
# a loss that is wrong, a table that is too good to be true, and runs that may have failed.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("training/elbo")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors unless the table says otherwise. All logarithms are natural. Costs are in nats per picture, summed over pixels and over latents.

# %%
from vae_course import check, hint, progress
from vae_course.visible.callables import Linear, LinearEncoder
from vae_lessons import plotting

import matplotlib.pyplot as plt
import torch
from torch.distributions import Bernoulli
from torch.nn import functional as F

# %% [markdown]
# ## 1. The bound, with one sample
#
# *2 points, 12 minutes.* Put the parts together: encode, draw, decode, score, charge. The noise is handed in, so that your result can be compared; the pixels are ink (1) or paper (0), with a Bernoulli likelihood.
# Every number that you will ever report of a VAE is an average of these.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, D)` | pictures, zeros and ones |
# | `eps` | `(B, d)` | samples of $\mathcal N(0, I)$ |
# | `encoder` | a function | `encoder(x)` gives `mu` and `log_var`, each `(B, d)` |
# | `decoder` | a function | `decoder(z)` gives the log-odds of ink, `(B, D)` |
# | *returns* | three of `(B,)` | the one-sample ELBO; $\log p(x\mid z)$; $\mathrm{KL}(q(z\mid x)\,\Vert\,p(z))$ |


# %%
def elbo(x, eps, encoder, decoder):
    """The one-sample ELBO of each picture, and its two parts log p(x|z) and KL, each (B,), in nats."""
    ### BEGIN SOLUTION
    mu, log_var = encoder(x)
    z = mu + (log_var / 2).exp() * eps
    log_p_x_given_z = Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_p_x_given_z - kl, log_p_x_given_z, kl
    ### END SOLUTION


# %%
check("training/elbo", elbo)

# %% [markdown]
# Your function on the two pixels of the lesson's first section, where the ELBO is −1.338 nats by quadrature. With the noise switched off it promises more than there is.

# %%
small_encoder = LinearEncoder(torch.tensor([[1.0], [0.0]]), torch.tensor([[-1.3863], [0.0]]))  # (1, 0): mean 1, σ ½
small_decoder = Linear(torch.tensor([[2.0, -1.0]]), torch.zeros(2))
many = torch.tensor([[1.0, 0.0]]).double().expand(200_000, 2)
noise = torch.randn(200_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
for name, eps in (("samples", noise), ("noise off", 0 * noise)):
    print(f"{name:10} {elbo(many, eps, small_encoder, small_decoder)[0].mean().item():.2f} nats")

# %% [markdown]
# ## 2. Free bits
#
# *2 points, 10 minutes.* If the KL comes too early it silences the latents before the decoder has learned to use them. Free bits stop that: a latent whose KL, averaged over the batch, is below a floor costs just the floor, so that it gains
# nothing by falling further; above the floor it costs what it costs. Return what all latents cost together. It stands in for the rate in a training loss, so gradients must flow through it.
#
# | argument | shape | meaning |
# |---|---|---|
# | `kl` | `(B, d)` | the KL of each picture and latent, in nats |
# | `floor` | a number | the nats that each latent has for free |
# | *returns* | `()` | the cost of all latents, in nats per picture |


# %%
def free_bits(kl, floor):
    """The rate with free bits: each latent costs its batch average, or `floor` if that is more."""
    ### BEGIN SOLUTION
    return kl.mean(0).clamp(min=floor).sum()
    ### END SOLUTION


# %%
check("training/free_bits", free_bits)

# %% [markdown]
# ## 3. How many latents are in use?
#
# *2 points, 10 minutes.* A latent can only tell pictures apart if its posterior mean differs from picture to picture. Count in two ways. First the *axes*: the latents whose mean has a variance over the pictures
# of more than the threshold. Then the *directions*: codes may vary along a direction that is parallel to no axis, so count the principal directions of the means along which the variance is more than the threshold.
# If the two counts differ much, the first alone would mislead you about a collapse.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu` | `(N, d)` | posterior means of N pictures |
# | `threshold` | a number | the variance above which something counts as in use |
# | *returns* | two whole numbers | axes in use; directions in use |


# %%
def units_in_use(mu, threshold):
    """How many axes and how many directions of the posterior means mu (N, d) vary by more than the threshold."""
    ### BEGIN SOLUTION
    covariance = torch.cov(mu.T)
    along = torch.linalg.eigvalsh(covariance)
    return (covariance.diagonal() > threshold).sum().item(), (along > threshold).sum().item()
    ### END SOLUTION


# %%
check("training/units", units_in_use)

# %% [markdown]
# ## 4. Repair a loss
#
# *3 points, 15 minutes.* A colleague hands you this loss. It never raises, never gives `nan`, and in training it falls. But the pictures are poor, and the latents carry little information.
#
# ```python
# def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
#     """Distortion + beta * rate, averaged over the batch; beta rises from 0 to 1 in the first `warm_up` steps."""
#     with torch.no_grad():  # drawing is not training
#         z = mu + torch.exp(0.5 * log_var) * eps
#     ink = torch.sigmoid(decoder(z))
#     distortion = F.binary_cross_entropy_with_logits(ink, x, reduction="none").sum(-1).mean()
#     rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean()
#     beta = step / warm_up
#     return distortion + beta * rate
# ```
#
# Write one that does what its docstring says, in nats per picture. The check looks at the loss and at its gradients with respect to `mu` and `log_var`. If something is still wrong, it tells you about one fault at a time.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu`, `log_var` | `(B, d)` each | the encoder's output |
# | `eps` | `(B, d)` | samples of $\mathcal N(0, I)$ |
# | `x` | `(B, D)` | pictures, zeros and ones |
# | `decoder` | a function | `decoder(z)` gives the log-odds of ink, `(B, D)` |
# | `step`, `warm_up` | whole numbers, at least 1 | the step of training, counted from 1; the step at which β arrives at 1, on a straight line from 0 at step 0 |
# | *returns* | `()` | the loss |


# %%
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    """Distortion + beta * rate, averaged over the batch; beta rises linearly from 0 to 1 in `warm_up` steps, and stays."""
    ### BEGIN SOLUTION
    z = mu + (log_var / 2).exp() * eps  # the draw must let gradients through
    log_p_x_given_z = Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)  # log-odds, and no sigmoid before
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)  # a sum over the latents
    return (min(1.0, step / warm_up) * kl - log_p_x_given_z).mean()  # the weight stops at 1
    ### END SOLUTION


# %%
check("training/repair", training_loss)

# %% [markdown]
# ## 5. Which runs are not done?
#
# *3 points, 15 minutes.* K copies of one model were trained on the same pictures, each for the loss $D + \beta R$ with a β of its own. Somebody recorded rate and distortion of each, on the training pictures, and wants to publish the curve.
# Some runs were stopped too early. You have no models and no data, only the table; but it holds proofs. For each run: **by how many nats, at the least, did its training miss the minimum of its own loss?** Give the most that
# the table proves, and 0 for a run about which it proves nothing. (All runs have the same architecture. In whatever place one of them ended, any other could have ended as well.)
#
# This is how one tells a bad β from a bad training.
#
# | argument | shape | meaning |
# |---|---|---|
# | `betas` | `(K,)` | the β of each run, in no particular order |
# | `rates`, `distortions` | `(K,)` each | $R$ and $D$ of each run at its end, in nats per picture |
# | *returns* | `(K,)` | nats of its own loss that each run is proved to have missed |


# %%
def shortfall(betas, rates, distortions):
    """By how many nats the table proves each run (K,) to be short of the minimum of its own loss."""
    ### BEGIN SOLUTION
    losses = distortions + betas[:, None] * rates  # (K, K): the loss of run i, of what run j reached
    return losses.diagonal() - losses.min(1).values
    ### END SOLUTION


# %%
check("training/shortfall", shortfall)

# %% [markdown]
# A made-up table. The line below each dot is as long as the nats that the run is proved to have missed.

# %%
betas = torch.tensor([0.25, 0.5, 1, 2, 4, 8], dtype=torch.float64)
rates = torch.tensor([33.3, 27.0, 22.2, 16.6, 14.0, 5.5], dtype=torch.float64)
distortions = torch.tensor([62.0, 72.5, 68.0, 76.0, 93.0, 124.3], dtype=torch.float64)
missed = shortfall(betas, rates, distortions)
figure, ax = plt.subplots(figsize=(6, 3.4))
ax.vlines(rates, distortions - missed, distortions, color="C1", linewidth=3)
ax.plot(rates, distortions, "ko")
for beta, R, D, nats in zip(*(column.tolist() for column in (betas, rates, distortions, missed)), strict=True):
    ax.annotate(f"β = {beta:g}", (R, D), xytext=(6, 5), textcoords="offset points")
    print(f"beta {beta:4}: missed at least {nats:4.1f} nats, ELBO {-D - R:7.1f}")
ax.set(xlabel="rate (nats)", ylabel="distortion (nats)", xlim=(0, 42))
plotting.show(
    figure,
    "Distortion against rate of six runs. Four lie near a falling convex curve. The runs with beta 0.5 and 4 lie above it, "
    "and a line leads down from each of them, as long as what it missed: about seven nats.",
)

# %% [markdown]
# ## 6. A ward round
#
# *3 points, 15 minutes.* The records of several runs lie before you, and nothing else. Say of each, in one word, how it *ended*:
#
# - `"diverged"`: training blew up. What is left is not finite, or tens of nats worse than one picture for all, with no latents at all;
# - `"collapsed"`: the decoder does not listen. Whatever the code says, it draws as well as one picture for all would do, and no better;
# - `"overfitting"`: since its best epoch on unseen digits it got better on training digits and worse on unseen ones;
# - `"healthy"`: none of these. It need not be the best VAE one could have.
#
# Differences of less than 1.5 nats are noise; every difference that matters here is more than 3. The loss that was recorded is the one that the run minimised: β may have been other than 1, and may have changed.
#
# | argument | shape | meaning |
# |---|---|---|
# | `loss` | `(R, E)` | of R runs, after each of E epochs: the loss minimised |
# | `train_elbo`, `held_elbo` | `(R, E)` each | the ELBO of training digits and of held-out digits (one sample) |
# | `rate` | `(R,)` | the rate of held-out digits at the end |
# | `blind` | a number | what a held-out digit costs if one picture has to do for all of them: the share of ink in each pixel |
# | *returns* | a list of R words | the diagnoses |


# %%
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    """One of "diverged", "collapsed", "overfitting", "healthy" for each of R runs."""
    ### BEGIN SOLUTION
    words = []
    for train, held, end_rate in zip(train_elbo, held_elbo, rate, strict=True):
        cost, best = -held[-1], held.argmax()
        if not cost < blind + 20:  # true of nan as well
            words.append("diverged")
        elif cost - end_rate > blind - 3:  # the distortion: has the code helped?
            words.append("collapsed")
        elif held[best] - held[-1] > 3 and train[-1] - train[best] > 3:  # since the best epoch
            words.append("overfitting")
        else:
            words.append("healthy")
    return words
    ### END SOLUTION


# %%
check("training/diagnose", diagnose)

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A colleague writes: "My VAE with the deep decoder collapsed, KL 0.1 nats. I added free bits, 0.5 nats for each of 16 latents. Now the KL is 8 nats and all 16 units are active, so the collapse is cured."
# In at most 120 words: why do these two numbers not show it, what would you measure instead, and on which digits? Name two causes that a collapse like this may have, and for each the cure that acts on it.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - *The numbers:* the floor is 16 × 0.5 = 8 nats, so the loss itself makes the KL 8 nats, used or not; active units count axes, and a direction or two spread over all axes (or mere noise of the means) makes all pass.
# - *What to measure:* held-out digits, one sample each: does the distortion fall below that of the one picture that fits all, and does the ELBO (with the full KL, β = 1, no floor) rise? Eigenvalues of the means' covariance may be named as well.
# - *Two causes, each with its cure:* the loss wants silence (β too large, or a mean beside a sum: mend β); the decoder is deaf from its initial weights (He's weights, fewer layers); the KL came before the decoder had learned to listen (warm-up, free bits).
#
# Half a point for the causes without cures. Half a point off for "raise the KL" as an aim in itself.
# <!-- END SOLUTION -->

# %%
progress("ex07_training_a_vae")
