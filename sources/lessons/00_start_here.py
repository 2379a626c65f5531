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
# # 00 · Start here
#
# A **variational autoencoder** (VAE) is a network that learns to draw. Show it a few thousand pictures, and it finds a few numbers,
# the *latents*, that tell them apart, and a way to draw a picture from any values of them.
#
# In this course you derive it, build it, break it, and measure what is said of it.
#
# **The question of this lesson: what can a VAE do?** You will train one in less than half a minute, on this computer, and have it make
# three pictures: people who do not exist, a path from one face to another, and a pair of glasses on a face that never wore any.
#
# *You need:* Python and a little PyTorch. *Time:* 20 minutes to read and try, under a minute to run.
#
# ## Is everything installed?
#
# Click into the cell below and press **Shift+Enter**. That runs it and moves on to the next.

# %%
from vae_course import work
from vae_lessons import data, plotting
from vae_lessons.evaluation import LinearProbe
from vae_lessons.latents import interpolate, sample_like
from vae_lessons.models import GaussianVAE
from vae_lessons.training import fit, one_cycle
from vae_lessons.widgets import Prediction

import matplotlib.pyplot as plt
import torch

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)
(digits, labels), _ = data.digits()
assert digits.shape == (4000, 784)
work.lay_out()  # your copies of the exercises, where `make lab` has not made them
print("Python, PyTorch, the library and the data are all there. You are ready.")

# %% [markdown]
# If you read an error instead, run `make lab` in a terminal, in the course's folder, and open this notebook from there.
#
# ## How the lessons work
#
# - **Clear the outputs first:** *Edit, Clear Outputs of All Cells* in the menu. What is stored here is for readers without Python; it would give the answers away.
# - **Predictions.** In each lesson you commit to a prediction before you run the cells that answer it. A number that you did not expect stays in your head.
#   Your choice is kept until the notebook's Python process (its *kernel*) stops, and it is only for you.
# - **Claims.** The numbers that the text relies on are checked by `assert` in a cell. If one were false, the cell would stop with an error.
#   What we say of the look of a picture is an impression; look for yourself. Last digits differ from computer to computer; the claims hold all the same.
# - **Exercises.** Each lesson from 01 on has a notebook of functions to write, in the folder `work/`. Under each answer stands a check that says at once whether it is
#   right, and if not, why. That folder is yours: nothing in the course overwrites what you wrote there.
# - **Try it** ends each lesson: change something, predict, run. To start over, take *Kernel, Restart Kernel and Run All Cells* from the menu.
#
# ## The faces
#
# To measure what a model learned, one has to know what is in its pictures. So the course draws its own faces, from nine known
# factors: smile, glasses, width of the face, skin, hair, background, distance of the eyes, brows, and a small shift of the head.

# %%
x, factors = data.faces(6000, seed=SEED)
x_held, factors_held = data.faces(1000, seed=SEED + 1)
figure, ax = plt.subplots(figsize=(9, 2))
plotting.images(x[:20], ax=ax, columns=10)
plotting.show(
    figure,
    "Twenty drawn faces in grey. They differ in skin, hair and background, in the width of the face and the distance of the "
    "eyes, in their brows and a little in where the head is; some smile, some frown, about half of them wear glasses.",
)
print(f"{len(x):,} faces to train on and {len(x_held):,} held out, each of {x.shape[1]:,} pixels")

# %%
print("the first face:", {name: round(values[0].item(), 1) for name, values in factors.items()})
print(f"{factors['glasses'].mean():.0%} of the faces wear glasses")
print("glasses are 0 or 1; the others run from", factors["smile"].min().round().item(), "to", end=" ")
print(factors["smile"].max().round().item())

# %% [markdown]
# A picture is 48 × 48 = 2,304 numbers, yet nine numbers made it. Can a network squeeze a face into ten, without being told of any factor, and lose none of the nine?
#
# ## Train a VAE
#
# Two networks with one hidden layer each: an *encoder* from pictures to ten latents, a *decoder* back. The loss has two parts, which the course takes apart in lessons 04 to 07: how badly the
# faces are redrawn, and how much the latents say about each face (the *KL* term). Both are counted in *nats*, the unit of information that
# goes with the natural logarithm; less is better. The first is minus the logarithm of a density, which may exceed 1, so do not be surprised that it is negative.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(SEED)
vae = GaussianVAE(n_pixels=2304, n_latents=10, hidden=(256,))


def loss_terms(batch):
    elbo, log_p_x_given_z, kl = vae.elbo(batch)  # elbo: log_p_x_given_z - kl; lesson 05 says why
    return {"loss": -elbo.mean(), "redrawing": -log_p_x_given_z.mean(), "kl": kl.mean()}


# one_cycle: the learning rate rises to 0.004, then falls to zero. The bar shows the terms on held-out faces.
history = fit(vae, loss_terms, x, epochs=20, lr=one_cycle(4e-3), held_out=[x_held], seed=SEED)


# %%
@torch.no_grad()
def encode(x):
    mu, _ = vae.q_z_given_x(x)  # the encoder gives a mean and a log-variance; today we use the mean
    return mu


@torch.no_grad()
def draw(z):
    return vae.p_x_given_z(z).mean


# %% [markdown]
# Does it redraw faces that it was not trained on?

# %%
figure, ax = plt.subplots(figsize=(9, 2))
faces = torch.cat([x_held[:10], draw(encode(x_held[:10]))])
plotting.images(faces, ax=ax, columns=10, row_labels=["held out", "redrawn"])
plotting.show(
    figure,
    "Upper row: ten held-out faces. Lower row: the VAE's drawing of each from its ten latents. They match in skin, hair, background "
    "and glasses; strong expressions come out a little weaker, and there are faint halos and blotches.",
)

# %% [markdown]
# "They match" is an impression. To measure it, a *probe* is fitted to read each factor off a picture by a weighted sum of its pixels. Shown the VAE's
# drawings instead of the faces themselves, how much of each factor's variance does it still recover? ($R^2$: 1 is all, 0 is no better than always guessing the mean.)

# %% tags=["nbval-ignore-output"]
probe = LinearProbe(x, factors)
on_faces, on_drawings = probe.r2(x_held, factors_held), probe.r2(draw(encode(x_held)), factors_held)
print(f"{'factor':14}{'R2 on held-out faces':>22}{'R2 on their drawings':>22}")
for name in factors:
    print(f"{name:14}{on_faces[name]:22.2f}{on_drawings[name]:22.2f}")

# %%
assert min(on_faces.values()) > 0.9
assert min(on_drawings.values()) > 0.8
print("All nine factors are kept: R2 above 0.8 for each.")

# %% [markdown]
# Ten numbers suffice, and nobody told the network that there is such a thing as a smile.
#
# ## First picture: people who do not exist
#
# Random latents should give new faces. The textbook recipe takes each latent from a standard normal distribution, $\mathcal N(0, 1)$, because that is what the KL term pulls them towards. Does the
# recipe give people like those it was trained on?

# %%
recipe = Prediction(
    "We draw 1,000 faces from standard normal latents. How does their average grey compare with that of the training faces?",
    ["darker by a tenth or more", "alike, within a tenth", "lighter by a tenth or more"],
)
recipe.ask()

# %%
standard = torch.randn(1000, 10, generator=torch.Generator().manual_seed(SEED))
fitted = sample_like(encode(x), 1000, torch.Generator().manual_seed(SEED))
figure, ax = plt.subplots(figsize=(9, 3))
rows = torch.cat([x[:10], draw(standard[:10]), draw(fitted[:10])])
plotting.images(rows, ax=ax, columns=10, row_labels=["real", "standard normal", "fitted normal"])
plotting.show(
    figure,
    "Three rows of ten faces. Top: real ones. Middle: drawn from standard normal latents, a good deal off in overall grey, with doubled outlines "
    "and half-drawn or white glasses. Bottom: drawn from a normal distribution fitted to the latents of the training "
    "faces, as varied in grey as the real ones, with fewer faults, though some glasses are still half drawn.",
)

# %% [markdown]
# The middle row is the recipe. The bottom row draws latents from the normal distribution that has the mean and covariance of the training faces' own latents. Measured:

# %% tags=["nbval-ignore-output"]
grey = {"real": x.mean().item(), "standard": draw(standard).mean().item(), "fitted": draw(fitted).mean().item()}
print("average grey:", {name: round(value, 3) for name, value in grey.items()})
print("mean of each latent over the training faces:", [round(m, 1) for m in encode(x).mean(0).tolist()])
print("its standard deviation:                     ", [round(s, 1) for s in encode(x).std(0).tolist()])

# %%
ratio = grey["standard"] / grey["real"]
recipe.reveal(recipe.choices[0 if ratio < 0.9 else 2 if ratio > 1.1 else 1])
assert abs(grey["fitted"] / grey["real"] - 1) < 0.05
assert encode(x).mean(0).norm() > 1
print("The latents of real faces are not where the recipe samples: their mean lies more than 1 away from the origin.")
print("Samples that are fitted to them have the real faces' average grey within 5 %.")

# %% [markdown]
# A first lesson in not believing recipes. In so short a training the KL term, some tens of nats against thousands, has not yet pulled the latents to where the recipe expects them. Lessons 07 and 08
# make that precise, and mend it.
#
# ## Second picture: a path
#
# Take the held-out faces with the deepest frown and the broadest smile, and walk in a straight line from the latents of one to those of the other. Below that, for comparison, a plain cross-fade of the two pictures.

# %%
a, b = factors_held["smile"].argmin(), factors_held["smile"].argmax()  # the deepest frown, the broadest smile
walk = draw(interpolate(encode(x_held[a]), encode(x_held[b]), 7))
fade = interpolate(x_held[a], x_held[b], 7)
figure, ax = plt.subplots(figsize=(9, 2.8))
plotting.images(torch.cat([walk, fade]), ax=ax, columns=7, row_labels=["latents", "pixels"])
plotting.show(
    figure,
    "Two rows from a deep frown to a broad smile. Upper row, through the latents: one head whose mouth bends from frown to "
    "smile. Lower row, cross-fade: in the middle a lighter and a darker head show at once, with two outlines and two mouths.",
)

# %% [markdown]
# Look at outlines and mouths. Above, one head with one mouth that bends. Below, the middle steps have two of each.
# Lesson 08 measures smoothness; lesson 09 asks which way to walk.
#
# ## Third picture: put glasses on a face
#
# Average the latents of all training faces with glasses, and of all without. The difference is a direction in latent space, the
# *glasses vector*. Add it to the latents of people without glasses, and redraw them.

# %%
side_effect = Prediction(
    "The glasses vector is added. By how much does it move the probe's reading of the other eight factors, on average over faces?",
    ["each by less than a tenth of its range", "some by a tenth to a third", "some by more than a third"],
)
side_effect.ask()

# %%
wears = factors["glasses"] > 0.5
glasses_vector = encode(x[wears]).mean(0) - encode(x[~wears]).mean(0)
bare = x_held[factors_held["glasses"] < 0.5]
before, after = draw(encode(bare)), draw(encode(bare) + glasses_vector)
figure, ax = plt.subplots(figsize=(9, 3))
rows = torch.cat([bare[:10], before[:10], after[:10]])
plotting.images(rows, ax=ax, columns=10, row_labels=["held out", "redrawn", "+ glasses vector"])
plotting.show(
    figure,
    "Ten held-out people without glasses. Top row: the faces. Middle row: the VAE's drawings of them. Bottom row: drawings "
    "after the glasses vector was added to their latents: the people of the middle row, now with glasses.",
)

# %% tags=["nbval-ignore-output"]
seen_before, seen_after = probe.read(before), probe.read(after)
share_before = (seen_before["glasses"] > 0.5).float().mean().item()
share_after = (seen_after["glasses"] > 0.5).float().mean().item()
print(f"the probe sees glasses on {share_before:.1%} before and on {share_after:.1%} after, of {len(bare)} faces")
moved = {name: (seen_after[name] - seen_before[name]).abs().mean().item() for name in factors if name != "glasses"}
for name, value in moved.items():
    print(f"{name:14} moved by {value:.2f} of its range of 2")

# %%
most = max(moved.values()) / 2  # the factors run from -1 to 1
side_effect.reveal(side_effect.choices[0 if most < 0.1 else 1 if most < 1 / 3 else 2])
assert share_before < 0.05
assert share_after > 0.95
assert most < 0.1
print("The probe sees glasses on over 95 % of those who wore none, and on average no other factor moved by a tenth.")

# %% [markdown]
# The latents were learned without labels; we used labels only to find the direction. Lesson 09 repeats this with care, and shows
# data on which the same vector goes wrong.
#
# ## The course
#
# | | lesson | the question it answers |
# |---|---|---|
# | 00 | Start here | What can a VAE do? |
# | 01 | [A plain autoencoder overfits its latent space](01_autoencoder.ipynb) | Does it, and does a VAE cure it? |
# | 02 | [Sampling from a Gaussian](02_gaussian_sampling.ipynb) | How do we draw from $\mathcal N(\mu, \Sigma)$, and what does a vector $\sigma$ give up? |
# | 03 | [The reparametrization trick](03_reparametrization.ipynb) | How do gradients pass through a random draw? |
# | 04 | [The KL divergence](04_kl_divergence.ipynb) | What pulls the latents towards $\mathcal N(0, I)$, and how far? |
# | 05 | [Jensen's inequality and the ELBO](05_jensen_elbo.ipynb) | What does a VAE maximise, and what does that guarantee? |
# | 06 | [Reconstruction losses](06_reconstruction_losses.ipynb) | BCE or MSE, and what do they assume? |
# | 07 | [Training a VAE](07_training_a_vae.ipynb) | How do the two parts of the loss balance, and how does training go wrong? |
# | 08 | [Inside the latent space](08_inside_the_latent_space.ipynb) | What do the latents mean, and are they independent? |
# | 09 | [Latent arithmetic](09_latent_arithmetic.ipynb) | How well do smile and glasses vectors work? |
# | 10 | [How tight is the bound?](10_how_tight_is_the_bound.ipynb) | How far is the ELBO from $\log p(x)$? |
#
# Each builds on those before it.
#
# ## Notation
#
# | symbol | in code | shape | what it is |
# |---|---|---|---|
# | $x$ | `x` | (B, D) | a batch of B pictures of D pixels |
# | $z$ | `z` | (B, d) | their latents, d numbers each; *codes* in a plain autoencoder |
# | $p(z)$ | | | the *prior*: how latents are distributed before a picture is seen, $\mathcal N(0, I)$ |
# | $p_\theta(x\mid z)$ | `p_x_given_z` | | the decoder: the distribution of the picture given the latents |
# | $q_\phi(z\mid x)$ | `q_z_given_x` | | the encoder: a Gaussian for the latents of a picture |
# | $\mu, \log\sigma^2$ | `mu`, `log_var` | (B, d) | its mean and the logarithm of its variance |
# | $\varepsilon$ | `eps` | (B, d) | standard normal noise |
# | $\log p_\theta(x\mid z)$ | `log_p_x_given_z` | (B,) | log-likelihood of a picture given latents, in nats |
# | $\mathrm{KL}(q_\phi(z\mid x)\,\Vert\,p(z))$ | `kl` | (B,) | what the latents say about a picture, in nats |
# | $\mathcal L(\theta,\phi;x)$ | `elbo` | (B,) | evidence lower bound: `log_p_x_given_z - kl`, averaged over draws of $z$ |
#
# The symbols are those of Kingma & Welling 2014; the last row is equation 10 of that paper.
#
# ## Easy to forget
#
# - The VAE never saw a factor. The probe did; it is our measuring instrument, not part of the model.
# - Pictures shown are the decoder's *means*. A sample of $p(x\mid z)$ would have noise on every pixel.
# - Nothing here says how *probable* the faces are under the model. Lessons 05 and 10 do.
#
# ## Summary
#
# A VAE learns, without labels, a few numbers that describe its pictures, and a way back. Here ten numbers kept all nine factors; random latents gave new faces, better ones where the
# real latents lie than where the recipe says; a difference of averages gave a direction with a meaning. The course is about why, and about when not.
#
# ## Try it
#
# 1. Walk *past* the second face: end the walk at `2 * encode(x_held[b]) - encode(x_held[a])`. Where do faces stop being faces?
# 2. Add half of the glasses vector, `0.5 * glasses_vector`, or twice. What does the probe read?
# 3. Subtract it from people who wear glasses, `x_held[factors_held["glasses"] > 0.5]`. Does it take them off as reliably as it puts them on?
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*; Rezende, Mohamed & Wierstra 2014, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models*.
# - Rybkin, Daniilidis & Levine 2021, *Simple and Effective VAE Training with Calibrated Decoders*: how the standard deviation of the pixels is set here.
#
# **Next:** [01 · A plain autoencoder overfits its latent space](01_autoencoder.ipynb)
