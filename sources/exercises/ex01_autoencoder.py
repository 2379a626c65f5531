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
# # Exercise 01 · A plain autoencoder overfits its latent space
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 85 minutes in all.
# It belongs to [lesson 01](../notebooks/01_autoencoder.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("autoencoder/bernoulli_cost")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors. All logarithms are natural: the unit is the nat. Spreads are sample standard deviations, divided by $N-1$, as `torch.std` gives them.

# %%
import math

from vae_course import check, hint, progress
from vae_lessons import data, plotting

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

# %% [markdown]
# ## 1. What a picture costs
#
# *2 points, 10 minutes.* The decoder emits logits. What does each picture cost, $-\log p(x\mid z)$? This number is the reconstruction half of every loss in this course,
# and it must be right for a network that is very sure of itself: logits of ±200 occur, also wrong ones.
#
# | argument | shape | meaning |
# |---|---|---|
# | `logits` | `(B, D)` | log-odds of ink, any real number |
# | `x` | `(B, D)` | the pictures: 1 is ink, 0 is paper |
# | *returns* | `(B,)` | the cost of each picture in nats |


# %%
def bernoulli_cost(logits, x):
    """-log p(x) of Bernoulli pixels with these logits, in nats per picture: (B, D), (B, D) -> (B,)."""
    ### BEGIN SOLUTION
    # -log sigmoid(l) = log(1 + exp(-l)) for ink, log(1 + exp(l)) for paper
    return F.softplus(torch.where(x == 1, -logits, logits)).sum(1)
    ### END SOLUTION


# %%
check("autoencoder/bernoulli_cost", bernoulli_cost)

# %% [markdown]
# Three pictures of 784 pixels, all of them paper: one drawn by flipping coins, one drawn rightly, and one with a single pixel that the decoder wrongly swears is ink.

# %%
paper = torch.zeros(3, 784, dtype=torch.float64)
logits = torch.stack([paper[0], paper[0] - 20, paper[0] - 20])
logits[2, 0] = 200
for name, cost in zip(("coins", "right", "one pixel wrong"), bernoulli_cost(logits, paper), strict=True):
    print(f"{name:16} {cost:6.1f} nats")

# %% [markdown]
# ## 2. The best that straight lines can do
#
# *2 points, 12 minutes.* A linear autoencoder with $k$ latents and squared error ends up where principal component analysis (PCA) is from the start. So PCA tells you, in one line and
# without training, what a curved autoencoder has to beat. Rebuild each picture from its $k$ principal components.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(N, D)` | pictures of any brightness; not centred |
# | `k` | a number | how many components are kept |
# | *returns* | `(N, D)` | the rebuilt pictures, of all that have $k$ numbers the ones with the least squared error |


# %%
def pca_reconstruction(x, k):
    """Pictures (N, D) rebuilt from their k principal components: (N, D)."""
    ### BEGIN SOLUTION
    mean = x.mean(0)
    components = torch.linalg.svd(x - mean, full_matrices=False)[2][:k]  # (k, D), rows of length 1
    codes = (x - mean) @ components.T  # (N, k)
    return mean + codes @ components
    ### END SOLUTION


# %%
check("autoencoder/pca", pca_reconstruction)

# %% [markdown]
# Real digits, rebuilt from ever more components:

# %%
(digits, _), _ = data.digits()
digits = digits[:500].double()
sheet = [digits[:10]]
for k in (2, 16, 100):
    rebuilt = torch.as_tensor(pca_reconstruction(digits, k))
    sheet.append(rebuilt[:10].clamp(0, 1))
    error = (rebuilt - digits).square().sum(1).mean()
    print(f"k = {k:3}: squared error {error:4.1f} per picture")

# %%
figure, ax = plt.subplots(figsize=(8, 3.4))
plotting.images(torch.cat(sheet), ax=ax, columns=10, row_labels=["digits", "k = 2", "k = 16", "k = 100"])
plotting.show(
    figure,
    "Ten digits in four rows: as they are, and rebuilt from 2, 16 and 100 components. From 2 most are grey blots that look "
    "alike, from 16 they are blurred digits with grey haze around them, from 100 they are nearly the originals.",
)

# %% [markdown]
# ## 3. A nudge of the same length for everyone
#
# *2 points, 10 minutes.* The lesson moved a code by $r\,\operatorname{std}(z)\odot\varepsilon$. The more latents, the longer is $\varepsilon$: about $\sqrt d$ for $d$ of them. So a code of 16 numbers was moved
# about three times as far as a code of two. For a fairer comparison, move every code by *exactly* $r$, measured in spreads: for each row, $(z' - z)/\operatorname{std}(z)$ points along `eps`
# and has length $r$. The division is coordinate by coordinate, and $\operatorname{std}(z)$ is the spread of each latent over all codes.
#
# | argument | shape | meaning |
# |---|---|---|
# | `z` | `(N, d)` | the codes of all pictures |
# | `r` | a number | the length of the step, in spreads |
# | `eps` | `(N, d)` | a direction for each code, of any length |
# | *returns* | `(N, d)` | the nudged codes |


# %%
def nudge(z, r, eps):
    """Codes (N, d), each moved by r spreads in its own direction eps (N, d): (N, d)."""
    ### BEGIN SOLUTION
    direction = eps / eps.norm(dim=1, keepdim=True)  # rows of length 1
    return z + r * z.std(0) * direction
    ### END SOLUTION


# %%
check("autoencoder/nudge", nudge)

# %% [markdown]
# ## 4. A measurement that depends on the batch size
#
# *3 points, 15 minutes.* A colleague measures how brittle an autoencoder is: by how many nats a nudge raises what a picture costs. Here is the colleague's function. It runs, and its numbers look reasonable.


# %%
def colleagues_rise(encode, decode, x, eps, r, batch_size):
    rises = []
    for batch, noise in zip(x.split(batch_size), eps.split(batch_size), strict=True):
        z = encode(batch)
        logits = decode(z)
        logits_nudged = decode(z + r * z.std(0) * noise)
        target = torch.sigmoid(logits)
        rises.append((bernoulli_cost(logits_nudged, target) - bernoulli_cost(logits, target)).mean())
    return torch.stack(rises).mean()


# %% [markdown]
# But the batch size is there to save memory only, and the number moves with it. Twenty small pictures, an encoder and a decoder of one matrix each:

# %%
generator = torch.Generator().manual_seed(0)
x = torch.bernoulli(torch.full((20, 6), 0.5, dtype=torch.float64), generator=generator)
eps, directions = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((20, 2), (6, 2)))
directions = torch.linalg.qr(directions).Q  # (6, 2)


def encode(pictures):
    return (pictures - 0.5) @ directions


def decode(codes):
    return 6 * codes @ directions.T


# %%
for batch_size in (3, 6, 8, 20):
    number = colleagues_rise(encode, decode, x, eps, 0.5, batch_size)
    print(f"batches of {batch_size:2}: {number:.3f} nats per picture")

# %% [markdown]
# Write it anew, so that it measures what was meant: how much more do *the pictures* cost, in nats per picture and averaged over all pictures alike, once their codes have been
# nudged by $r\,\operatorname{std}(z)\odot\varepsilon$? The unit is the spread of each latent over all $N$ codes. The batch size is not the only thing that is wrong. You may call `bernoulli_cost`.
#
# | argument | shape | meaning |
# |---|---|---|
# | `encode` | `(B, D) -> (B, d)` | a function from pictures to codes |
# | `decode` | `(B, d) -> (B, D)` | a function from codes to logits |
# | `x` | `(N, D)` | pictures of ink (1) and paper (0) |
# | `eps` | `(N, d)` | noise, a row for each picture |
# | `r` | a number | size of the nudge |
# | `batch_size` | a number | how many pictures may be decoded at once: in the check, `decode` refuses more |
# | *returns* | a number | the rise in nats per picture |


# %%
def rise(encode, decode, x, eps, r, batch_size):
    """By how many nats per picture a nudge of r raises what the pictures x cost, on average."""
    ### BEGIN SOLUTION
    codes = torch.cat([encode(some) for some in x.split(batch_size)])
    nudged = codes + r * codes.std(0) * eps

    def costs(z):
        batches = [slice(first, first + batch_size) for first in range(0, len(x), batch_size)]
        return torch.cat([bernoulli_cost(decode(z[batch]), x[batch]) for batch in batches])

    return (costs(nudged) - costs(codes)).mean()
    ### END SOLUTION


# %%
check("autoencoder/rise", rise)

# %%
for batch_size in (3, 6, 8, 20):
    print(f"batches of {batch_size:2}: {rise(encode, decode, x, eps, 0.5, batch_size):.3f} nats per picture")

# %% [markdown]
# ## 5. What should be tried next?
#
# *3 points, 15 minutes.* You are given recorded runs: what training pictures and held-out pictures cost after each epoch. For each run, give the advice that fits, the first in this list that does:
#
# - `"stop earlier"`: at the end the held-out cost is more than 5 nats above its lowest level in this run;
# - `"train longer"`: the held-out cost is still falling at the end, by more than 2 nats in ten epochs;
# - `"more pictures"`: neither, and at the end held-out pictures cost over 5 nats more than training pictures;
# - `"larger model"`: none of these; the model does no better on pictures that it knows.
#
# The numbers are as they come from real training. They jitter by about half a nat from epoch to epoch, and now and then a single epoch is far too high or far too low, anywhere in a run.
# Both are chance, and should not change your advice. Without them, none of the runs is a close call. Four examples:

# %%
generator, epoch = torch.Generator().manual_seed(0), torch.arange(60)
learned = 60 * torch.exp(-epoch / 4)
held_examples = torch.stack([150 + learned, 140 + learned, 120 + learned + 0.7 * (60 - epoch), 130 + learned])
held_examples[0] += 0.5 * (epoch - 25).clamp(min=0)
train_examples = held_examples - torch.tensor([2.0, 20.0, 15.0, 1.0])[:, None]
train_examples[0] = 148 + learned - 0.3 * epoch
held_examples += 0.4 * torch.randn(4, 60, generator=generator)
train_examples += 0.4 * torch.randn(4, 60, generator=generator)
held_examples[3, 57] += 150

# %%
figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), sharey=True, layout="constrained")
for number, ax in enumerate(axes):
    ax.plot(train_examples[number], label="training")
    ax.plot(held_examples[number], "--", label="held out")
    ax.set(title=f"run {number}", xlabel="epoch", ylim=(100, 230))
axes[0].set_ylabel("cost (nats per picture)")
axes[0].legend()
plotting.show(
    figure,
    "Cost against epochs in four runs. Run 0: the held-out cost is lowest in the first half, then climbs while the training cost falls. "
    "Run 1: both are level, far apart. Run 2: both still fall at the end, far apart. Run 3: both are level and close together, "
    "but for one held-out epoch near the end that shoots out of the picture.",
)

# %% [markdown]
# | argument | shape | meaning |
# |---|---|---|
# | `train` | `(R, E)` | cost of the training pictures in nats, a row for each run, a column for each epoch; E is at least 60, often more |
# | `held` | `(R, E)` | the same for held-out pictures |
# | *returns* | a list | R words from the list above |


# %%
def advise(train, held):
    """What to try next, for each of R recorded runs of E epochs: (R, E), (R, E) -> a list of R words."""
    ### BEGIN SOLUTION
    words = []
    for t, h in zip(train, held, strict=True):
        level = h.unfold(0, 10, 1).median(1).values  # of any ten epochs in a row: one bad epoch cannot move it much
        if level[-1] - level.min() > 5:
            words.append("stop earlier")
        elif level[-11] - level[-1] > 2:
            words.append("train longer")
        elif level[-1] - t[-10:].median() > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words
    ### END SOLUTION


# %%
check("autoencoder/advise", advise)

# %%
for number, word in enumerate(advise(train_examples, held_examples)):
    print(f"run {number}: {word}")

# %% [markdown]
# ## 6. Which model is better, and is it certain?
#
# *3 points, 13 minutes.* Two autoencoders were trained on the same pictures and measured on the same held-out pictures. You have what each picture cost. Which of the two will cost less on
# *new* pictures, and by how much per picture? Report the difference with its standard error, that is, by how much the difference would vary if one drew other pictures of the same kind.
# (The mean of $N$ independent numbers has their standard deviation divided by $\sqrt N$ as standard error.) Name a winner only if the difference is more than five times its standard error, and else say `"cannot tell"`.
# Make the standard error as small as it honestly can be.
#
# | argument | shape | meaning |
# |---|---|---|
# | `train_a`, `train_b` | `(M,)` each | cost of each training picture under models a and b, in nats |
# | `held_a`, `held_b` | `(N,)` each | cost of each held-out picture, in the same order for both |
# | *returns* | a word, two numbers | `"a"`, `"b"` or `"cannot tell"`; how many nats more a new picture costs under a than under b; the standard error |


# %%
def compare(train_a, train_b, held_a, held_b):
    """The better model, the mean of cost a minus cost b in nats per picture, and its standard error."""
    ### BEGIN SOLUTION
    each = held_a - held_b  # what is easy or hard about a picture cancels
    difference, error = each.mean(), each.std() / math.sqrt(len(each))
    if abs(difference) <= 5 * error:
        return "cannot tell", difference, error
    return ("a" if difference < 0 else "b"), difference, error
    ### END SOLUTION


# %%
check("autoencoder/compare", compare)

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A report says: "Autoencoders reconstruct well only at isolated points of the latent space. We replaced ours by a VAE, with 16 latents in both. Its samples lie nearer to real
# digits (mean distance to the nearest training digit), and its reconstruction cost on training digits is nearly the same. So the VAE is the better autoencoder."
# In at most 120 words: say what you would measure for the first sentence and in which unit, what is wrong with each of the two pieces of evidence, and which comparison is missing.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - *The first sentence needs a measurement*: the rise of the cost (or the agreement of a judge) under nudges in units of the codes' own spread, against the untouched code.
#   A second unit, which far codes do not inflate, is worth saying. In the lesson the saying was partly true: at the best epoch a tenth of the spread cost about 5 nats, with two latents and with 16; half a spread broke many pictures.
# - *The evidence*: distance to the nearest real digit rewards blur (a grey cloud beats real digits); and training digits say nothing about new ones. Held-out digits are
#   needed, and for samples a measure such as the blind cost or a judge's. Half a point for only one of the two.
# - *What is missing*: the autoencoder stopped early (or with noise in its codes), each model at its own best epoch; or the remark that the verdict depends on the unit and on the
#   moment at which training stops. In the lesson the VAE with 16 latents, at its best epoch, had the lower cost on held-out digits. What it adds besides is a distribution to sample from and a bound.
#
# No point for "the VAE regularises the latent space" without a measurement. Half a point off for a claim that contradicts the lesson's numbers.
# <!-- END SOLUTION -->

# %%
progress("ex01_autoencoder")
