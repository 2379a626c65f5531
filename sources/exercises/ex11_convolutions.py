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
# # Exercise 11 · Convolutions and portraits
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 85 minutes in all.
# It belongs to [lesson 11](../notebooks/11_convolutions.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("convolutions/output_size")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors unless the table says otherwise. A picture in colour has three numbers for each pixel. Flat, it has all its red first, then its green, then its blue: `x.view(-1, 3, 64, 64)` restores the portraits.
# $D$ counts the *numbers* of a picture, so that a portrait has $D = 3 \cdot 64 \cdot 64$. All logarithms are natural unless a task asks for bits.

# %%
from vae_course import check, hint, progress
from vae_lessons import data, plotting
from vae_lessons.evaluation import LinearProbe

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

portraits, attributes = data.portraits("test")
print(f"{len(portraits):,} portraits of {portraits.shape[1]:,} numbers")

# %% [markdown]
# ## 1. From side to side
#
# *2 points, 8 minutes.* A decoder has to end at the side of the pictures. Before you train one, count. All maps are square, and layers follow one another. Each has a kernel of $k \times k$, a stride $s$ and a padding $p$, as PyTorch understands them:
#
# - `"conv"` surrounds the map with $p$ rows and columns of zeros on every side. It then lays its kernel on the first place, and on every $s$-th place after it where the whole kernel still fits. Each place gives one number.
# - `"transposed"` goes the other way. Each number of the map lays one kernel into the result, each $s$ places after the one before. Then $p$ rows and columns are cut off on every side. (There is no output padding.)
#
# | argument | shape | meaning |
# |---|---|---|
# | `side` | an `int` | side of the map that enters the first layer |
# | `layers` | tuple of $L$ tuples | `(kind, k, s, p)` of each layer: a `str` and three `int` |
# | *returns* | list of $L$ `int` | the side after each layer |


# %%
def sides(side, layers):
    """The side of the map after each of the layers (kind, kernel, stride, padding): L whole numbers."""
    ### BEGIN SOLUTION
    found = []
    for kind, kernel, stride, padding in layers:
        if kind == "conv":
            side = (side + 2 * padding - kernel) // stride + 1
        else:
            side = (side - 1) * stride + kernel - 2 * padding
        found.append(side)
    return found
    ### END SOLUTION


# %%
check("convolutions/output_size", sides)

# %% [markdown]
# Four layers down and four up, with three kernels, all with stride 2.

# %%
for kernel, padding in ((4, 1), (3, 1), (6, 2)):
    down, up = (("conv", kernel, 2, padding),) * 4, (("transposed", kernel, 2, padding),) * 4
    print(f"kernel {kernel}, padding {padding}: 64 down to {sides(64, down)}, up to {sides(4, up)}")

# %% [markdown]
# On the way down all three are alike, because a remainder is rounded away. On the way up the kernel of 3 does not come back to 64.
#
# ## 2. Twice as large
#
# *2 points, 10 minutes.* Nearest-neighbour upsampling doubles both sides of a map. Each number becomes a square of 2 × 2 equal numbers, and every channel stays by itself. Below is what a colleague wrote for it. Its author tested
# that the shape is right, that the mean stays the same, and that a picture of one colour stays one. All three hold.


# %%
def colleagues_upsample(x):
    b, c, side, _ = x.shape
    wide = x.reshape(b, c, side * side, 1).repeat(1, 1, 2, 2)  # every number twice, in both directions
    return wide.reshape(b, c, 2 * side, 2 * side)


pair = portraits[[4, 14]].view(-1, 3, 64, 64)
figure, axes = plt.subplots(1, 4, figsize=(8, 2.2))
for ax, picture in zip(axes, [*pair, *colleagues_upsample(pair)], strict=True):
    ax.imshow(picture.permute(1, 2, 0))
    ax.set_title(f"{picture.shape[1]} × {picture.shape[2]}")
    ax.set_axis_off()
plotting.show(
    figure,
    "Two portraits of 64 by 64 pixels, and what the colleague's function makes of them, 128 by 128. Each result shows the whole head twice, one copy "
    "below the other, and each copy is half as high as it is wide.",
)

# %% [markdown]
# Repair it. It has to work for maps that are not square and for any number of channels, and gradients must flow to `x`.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(B, C, H, W)` | maps |
# | *returns* | `(B, C, 2H, 2W)` | each number of `x` as a square of 2 × 2 |


# %%
def upsample(x):
    """Nearest-neighbour upsampling by 2: (B, C, H, W) -> (B, C, 2H, 2W)."""
    ### BEGIN SOLUTION
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    ### END SOLUTION


# %%
check("convolutions/upsampling", upsample)

# %% [markdown]
# The face alone, which is not square, before and after. Both should look the same, but for the numbers on the axes.

# %%
face = pair[:, :, 15:45, 18:50]
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for ax, picture in zip(axes, [*face, *upsample(face)], strict=True):
    ax.imshow(picture.permute(1, 2, 0))
    ax.set_title(f"{picture.shape[1]} × {picture.shape[2]}")
plotting.show(
    figure,
    "Two faces of 30 rows and 32 columns of pixels, cut out of portraits, and the same two faces after upsampling, with 60 rows and 64 columns. "
    "They look the same; only the numbers on the axes have doubled.",
)

# %% [markdown]
# ## 3. What the mouth is worth
#
# *2 points, 12 minutes.* A VAE with one $\sigma$ pays $\frac12 (x - \hat x)^2 / \sigma^2$ nats for each number that it gets wrong by $x - \hat x$. How much of that lies in a box of pixels, such as the mouth? Add up over the pixels of the box and all three colours, and
# take the mean over the pictures. The share compares this mean with the same mean for the whole pictures. (Leave the constants out: they do not depend on the drawing.)
#
# | argument | shape | meaning |
# |---|---|---|
# | `x`, `x_hat` | `(B, D)` each | flat square pictures in three colours, $D = 3 S^2$, and their predictions |
# | `sigma` | a `float` | standard deviation of every number |
# | `rows` | two `int` | the box has rows `rows[0]`, …, `rows[1] - 1`, counted from 0 at the top, as in a slice |
# | `columns` | two `int` | the same for columns, from the left |
# | *returns* | two numbers | nats per picture in the box; their share of the nats per picture of whole pictures, from 0 to 1 |


# %%
def nats_in_box(x, x_hat, sigma, rows, columns):
    """Nats per picture of the squared error inside a box, and their share of the whole: two numbers."""
    ### BEGIN SOLUTION
    side = round((x.shape[1] / 3) ** 0.5)
    nats = ((x - x_hat) ** 2 / (2 * sigma**2)).mean(0).view(3, side, side)  # the mean over pictures
    inside = nats[:, slice(*rows), slice(*columns)].sum()
    return inside, inside / nats.sum()
    ### END SOLUTION


# %%
check("convolutions/nats_by_region", nats_in_box)

# %% [markdown]
# Two boxes on portraits that are redrawn from 16 principal components. These stand in place of a VAE; they are fitted to the first 500 portraits, and redraw the others.

# %%
mean = portraits[:500].mean(0)
_, _, axes = torch.linalg.svd(portraits[:500] - mean, full_matrices=False)
redrawn = mean + (portraits - mean) @ axes[:16].T @ axes[:16]
seen, new, seen_hat, new_hat = *portraits.split(500), *redrawn.split(500)
sigma = (seen - seen_hat).pow(2).mean().sqrt().item()
boxes = {"mouth": ((34, 42), (29, 43)), "glasses": ((19, 33), (17, 47))}
for name, (rows, columns) in boxes.items():
    nats, share = nats_in_box(new, new_hat, sigma, rows, columns)
    pixels = (rows[1] - rows[0]) * (columns[1] - columns[0]) / 64**2
    print(f"{name:8} {pixels:5.1%} of the pixels, {nats:5.0f} nats per picture, {share:5.1%} of all nats")

# %% [markdown]
# A person looks first at what these two boxes hold. More than six nats in ten lie outside both of them.
#
# ## 4. A σ for each number
#
# *3 points, 15 minutes.* The background of a portrait is easy, and its glasses are hard. One $\sigma$ treats both alike. Give each of the $D$ numbers a $\sigma$ of its own: the one that the likelihood of the *training* pictures prefers, but never one below `floor`. (Why is a floor needed?)
# Then ask what it gains on *held-out* pictures: the mean over them of $\log p(x\mid z)$ with these $\sigma$, less the same mean with one $\sigma$ for all numbers, the best one for the training pictures. Densities have all their constants. The one $\sigma$ knows nothing of the floor; it lies above it.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x`, `x_hat` | `(N, D)` each | training pictures and their predictions, the means of the Gaussians |
# | `x_held`, `x_hat_held` | `(M, D)` each | held-out pictures and their predictions |
# | `floor` | a `float` | the least $\sigma$ that is allowed |
# | *returns* | `(D,)`, a number | $\sigma$ of each number; nats gained per held-out picture, negative if it is a loss |


# %%
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    """The best σ of each number of a picture, and the mean gain in nats per held-out picture: (D,), a number."""
    ### BEGIN SOLUTION
    squares = (x - x_hat) ** 2
    each, one = squares.mean(0).sqrt().clamp_min(floor), squares.mean().sqrt()
    with_each = torch.distributions.Normal(x_hat_held, each).log_prob(x_held)
    with_one = torch.distributions.Normal(x_hat_held, one).log_prob(x_held)
    return each, (with_each - with_one).sum(1).mean()
    ### END SOLUTION


# %%
check("convolutions/sigma_per_pixel", sigma_for_each)

# %% [markdown]
# On the portraits of task 3, with the floor at 16, 4 and 1 of the 256 steps of a pixel, and the $\sigma$ of each pixel as a picture, with the lowest floor.

# %%
figure, ax = plt.subplots(figsize=(3.6, 3))
for floor in (16 / 256, 4 / 256, 1 / 256):
    each, gain = sigma_for_each(seen, seen_hat, new, new_hat, floor)
    print(f"floor {floor:.4f}: a σ for each number gains {gain:6.0f} nats per picture of {len(each):,} numbers")
shown = ax.imshow(each.view(3, 64, 64).mean(0), cmap="cividis")
figure.colorbar(shown, label="σ, mean over the colours")
plotting.show(
    figure,
    "A map of sigma for each pixel of the portraits. It is lowest in the background and in the shadow below the chin, higher on hair, skin and clothes "
    "and on the edges of collars, and highest, near 0.2, on the glasses, the eyes and the mouth.",
)

# %% [markdown]
# What is drawn badly gets a large $\sigma$, and errors there become cheap. So this gains many nats, and does not draw a better mouth.
#
# ## 5. Bits per dimension
#
# *3 points, 15 minutes.* Papers on pictures report *bits per dimension*: how many bits a code needs on average for one number of a picture, a whole number $v$ from 0 to 255. A VAE has a density, and a density needs numbers that are not whole. So noise $u$, uniform on $[0, 1)$, is added,
# and the VAE was trained and tested on
#
# $$x = \mathrm{low} + (\mathrm{high} - \mathrm{low})\,\frac{v + u}{256}.$$
#
# The probability of $v$ is the integral of the density of $x$ over the small cube of all $x$ that $v$ can become. Averaging the ELBO over $u$ gives a lower bound on the logarithm of *the mean density* in that cube. Many programs have low 0 and high 1, others −1 and 1: the bits must not depend on it.
#
# For each picture you have $K$ estimates of its ELBO, each with new $u$ and new $z$. Return the bits per dimension, averaged over estimates and pictures, and their standard error. The $N$ pictures are a sample of all pictures, and the standard error is that of a mean over $N$ pictures
# (from a standard deviation with $N - 1$). Pictures differ much more than the estimates of one picture do.
#
# | argument | shape | meaning |
# |---|---|---|
# | `elbo` | `(N, K)` | estimates of the ELBO of each picture, a density of $x$, in nats per picture |
# | `n_numbers` | an `int` | $D$, how many numbers a picture has |
# | `low`, `high` | a `float` each | the ends of the range of $x$ |
# | *returns* | two numbers | bits per dimension; their standard error |


# %%
def bits_per_dimension(elbo, n_numbers, low, high):
    """Bits per number of an 8-bit picture from K ELBOs (N, K) for each picture, and their standard error."""
    ### BEGIN SOLUTION
    log_volume = n_numbers * torch.log(torch.tensor((high - low) / 256))  # of the cube of a picture
    nats = -(elbo.mean(1) + log_volume)  # (N,): minus a bound on log P(v)
    bits = nats / n_numbers / torch.log(torch.tensor(2.0))
    return bits.mean(), bits.std() / len(bits) ** 0.5
    ### END SOLUTION


# %%
check("convolutions/bits_per_dimension", bits_per_dimension)

# %% [markdown]
# Two densities without latents, which any VAE should beat, so that the ELBO is the log-density itself: one is the same for all pictures, the other is a Gaussian with the mean and the $\sigma$ of each number of the training portraits.

# %%
each = seen.double().std(0).clamp_min(4 / 256)
generator = torch.Generator().manual_seed(0)
noise = torch.rand(2, *new.shape, generator=generator, dtype=torch.float64)
x = ((255 * new + noise) / 256).permute(1, 0, 2)  # (N, K, D), from 0 to 1
elbos = {
    ("all alike", 0.0, 1.0): torch.zeros(500, 2),
    ("Gaussian", 0.0, 1.0): torch.distributions.Normal(mean, each).log_prob(x).sum(-1),
    ("Gaussian", -1.0, 1.0): torch.distributions.Normal(2 * mean - 1, 2 * each).log_prob(2 * x - 1).sum(-1),
}
for (name, low, high), elbo in elbos.items():
    bits, error = bits_per_dimension(elbo, new.shape[1], low, high)
    print(
        f"{name:9} from {low:2.0f} to {high:.0f}: ELBO {elbo.mean():6,.0f} nats, {bits:.2f} ± {error:.2f} bits per dimension"
    )

# %% [markdown]
# Eight bits for each number are what the file without compression has. The two Gaussians are the same model: its ELBO depends on the range, and its bits do not.
#
# ## 6. The judge that always says no
#
# *3 points, 15 minutes.* A classifier, the *judge*, is to say how many people still wear glasses on redrawn pictures. A judge that was trained on sharp pictures may err on others, in one direction only: on blurred pictures it may deny all glasses. Few people wear earrings, so that a judge who denies them all
# is right most of the time. So look at two rates, for each version of the pictures and the attribute in column `k`: how often the judge is right on pictures **with** the attribute, and how often on pictures **without** it. The judge says "with" where its log-odds are above 0.
# A version *fools* the judge if one of the two rates, or both, are below `bar`. A rate that equals the bar is not below it.
#
# | argument | shape | meaning |
# |---|---|---|
# | `judge` | function | `judge(pictures)`: pictures `(N, D)` to log-odds `(N, K)`, a column for each attribute; none is exactly 0 |
# | `labels` | `(N, K)` | 1 where the person has the attribute, else 0. Both occur in each column |
# | `k` | an `int` | the column of the attribute in question |
# | `versions` | `dict` of $V$ tensors `(N, D)` | by name: the same people, in the same order, true, blurred, grey and so on |
# | `bar` | a `float` | the rate that is asked for |
# | *returns* | `(V, 2)`, `(V,)` | for each version in order: rate on pictures with and on pictures without, from 0 to 1; `True` where the version fools the judge |


# %%
def fooled(judge, labels, k, versions, bar):
    """How often the judge is right, with and without attribute k, for each version; and whether that fools it."""
    ### BEGIN SOLUTION
    has = labels[:, k] > 0.5
    rates = []
    for pictures in versions.values():
        says_with = judge(pictures)[:, k] > 0
        right = (says_with == has).double()
        rates.append(torch.stack([right[has].mean(), right[~has].mean()]))
    rates = torch.stack(rates)
    return rates, (rates < bar).any(1)
    ### END SOLUTION


# %%
check("convolutions/fooled", fooled)

# %% [markdown]
# A simple judge, linear and fitted to the first 500 portraits as they are, and five versions of the other 500. Compare the plain accuracy in the last column with the two rates.


# %%
def blurred(x, width):
    kernel = torch.exp(-torch.arange(-6.0, 7).pow(2) / (2 * width**2)).to(x.dtype)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(x.view(-1, 3, 64, 64), (6, 6, 6, 6), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.mT, groups=3).flatten(1)


asked = ["Eyeglasses", "Earrings"]
labels = torch.stack([attributes[name] for name in asked], 1).double()
probe = LinearProbe(seen.double(), dict(zip(asked, labels[:500].T, strict=True)), ridge=100.0)


def judge(pictures):
    return torch.stack(list(probe.read(pictures).values()), 1) - 0.5


true = new.double()
versions = {
    "true": true,
    "blurred": blurred(true, 1.5),
    "grey": true.view(-1, 3, 4096).mean(1).repeat(1, 3),
    "darker": 0.6 * true,
    "redrawn": new_hat.double(),
}

# %%
for k, name in enumerate(asked):
    rates, fools = fooled(judge, labels[500:], k, versions, 0.75)
    share = labels[500:, k].mean()
    print(f"{name}, {share:.0%} have them")
    for version, (yes, no), fooling in zip(versions, rates, fools, strict=True):
        plain = share * yes + (1 - share) * no
        print(
            f"  {version:8} with {yes:4.0%}, without {no:4.0%}{', fooled' if fooling else '':8} (plain accuracy {plain:4.0%})"
        )

# %% [markdown]
# On blurred portraits this judge denies glasses that are there. On grey and on darker ones it sees glasses that are not there. And it can hardly see an earring even on true portraits, although it is right on more than 70 % of all pictures, whatever the version.
#
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* Of the portraits of a collection, 28 in 100 wear earrings. A report says: "Our convolutional VAE reaches 3.2 bits per dimension on held-out portraits, our fully connected one 3.4. A classifier, trained on the true portraits, was asked about earrings on the pictures that the
# convolutional VAE redraws, and is right on 72 %, which is far better than guessing. So convolutions keep earrings." In at most 120 words: say how a VAE that draws no earring at all can reach 72 %, why the bits per dimension say next to nothing about earrings, and what you would measure to learn whether convolutions keep earrings.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - *The 72 %.* That is what a judge scores who denies all earrings: 100 − 28. It cannot be told apart from a VAE without a single earring. Two rates are needed, on people with and on people without.
# - *The bits.* They are a mean over all numbers of a picture. Earrings are a few of its pixels, so that a VAE may lose all of them for far less than a hundredth of the bits; the 0.2 bits may come from background, clothes and sharp outlines. (Full point also for the nats or the share in a box, as in task 3.)
# - *The measurement.* Both rates for *both* VAEs on the same held-out people, with the standard error of the difference; the judge checked on true pictures that are spoilt as a VAE spoils them (blurred), so that what it denies is missing and not merely blurred; equal training or number of weights. Two of these parts are enough.
#
# Half a point off for a claim that contradicts these, such as that fewer bits always mean that more details are kept.
# <!-- END SOLUTION -->

# %%
progress("ex11_convolutions")
