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
# A **variational autoencoder** (VAE) is a network that learns to draw. You show it a few thousand pictures. For each picture it finds a few numbers, the *latents*, from which
# it can draw the picture again. From other values of these numbers it draws other pictures.
#
# **The question of this lesson: what can a VAE do?** You train one on this computer, in less than a minute if no other program is running. Then you make three kinds of pictures with it: people who do not exist, a path from
# one face to another, and glasses on a face that never wore any.
#
# *You need:* Python, a little PyTorch, and a first course in probability. *Time:* 55 minutes for the core, 10 more for the optional sections, a minute to run.
#
# ## 1. Is everything installed?
#
# Click into the cell below and press **Shift+Enter**. That runs the cell and moves on to the next.

# %%
from vae_course import work
from vae_lessons import data, plotting
from vae_lessons.evaluation import LinearProbe
from vae_lessons.faces import render
from vae_lessons.latents import interpolate, sample_like
from vae_lessons.live import live_figure
from vae_lessons.models import GaussianVAE
from vae_lessons.training import fit, one_cycle
from vae_lessons.widgets import Prediction

import torch

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)
assert data.digits()[0][0].shape == (4000, 784)
work.lay_out()  # your copies of the exercises, where `make lab` has not made them
print("Python, PyTorch, the library and the data are all there. You are ready.")

# %% [markdown]
# If you read an error instead, run `make lab` in a terminal, in the course's folder, and open this notebook from there.
#
# - **Clear the outputs first:** *Edit, Clear Outputs of All Cells* in the menu. The stored outputs would give the answers away.
# - **Predictions.** Some cells ask you to predict a result. Choose before you run the next cells. A number that you did not expect is easier to remember.
# - **Claims.** The numbers that the text relies on are checked by `assert`. If one were false, its cell would stop with an error.
#   Last digits differ from computer to computer; the claims hold all the same.
# - **Exercises.** Each lesson from 01 on has a notebook with functions to write, in the folder `work/`. A check below each answer shows at once whether it is
#   right, and if not, why. Nothing in the course overwrites your answers.
# - **Optional** sections can be left out. To start over, take *Kernel, Restart Kernel and Run All Cells* from the menu.
#
# ## 2. The machine

# %%
plotting.machine()

# %% [markdown]
# Read the drawing from left to right. A picture $x$ goes into the **encoder**, a network. For each latent the encoder gives a mean $\mu$ and a standard deviation $\sigma$.
# They describe a normal distribution, $q(z\mid x)$, for the latents of this picture. With random noise $\varepsilon$, one vector $z$ is drawn from it, with one number for each latent. The **decoder**, a second network, turns $z$ into $p(x\mid z)$,
# a distribution over pictures. Its mean is the redrawn picture.
#
# The dashed boxes are the two terms of the **loss**, the number that training makes small. This lesson is about the whole machine, so no part is marked. Each later lesson colours the box that it is about.
#
# ## 3. The story behind the machine
#
# **How a picture comes about.** A VAE assumes that each picture was made in two steps.
#
# 1. Draw $d$ latents $z$ from $p(z) = \mathcal N(0, I)$: each has mean 0 and variance 1, independently of the others. This distribution is the **prior**. Nobody ever sees the $z$ of a picture.
# 2. Draw the picture $x$ from $p(x\mid z)$. For this step we use the decoder. It gives each pixel a mean grey, and the pixel is drawn around it with a little noise.
#
# The two steps together make a new picture. To learn a decoder, we need to know how probable it makes our training pictures.
#
# **How probable is a picture?** Any $z$ may have produced it, so all of them count:
#
# $$p(x) = \int p(x\mid z)\,p(z)\,dz$$
#
# In words: $p(x)$ is the average of $p(x\mid z)$ over all $z$ that the prior draws, a mixture of infinitely many simple distributions. This number is called the **evidence**.
# We want a decoder for which $\log p(x)$ is large, on average over our pictures.
#
# **Why we cannot compute it.** With a network as decoder, nobody knows a formula for the integral. A grid does not help: with ten latents and ten values for each, it has ten billion points.
# Drawing $z$ at random and averaging does not help either. Hardly any $z$ fits a given picture, as section 9 measures.
#
# **Which $z$ produced this picture?** Bayes' rule answers with the **posterior**, $p(z\mid x) = p(x\mid z)\,p(z)/p(x)$.
# It divides by the same integral, so it is out of reach too.
#
# **What the encoder is for.** It looks at the picture and proposes $z$ that may have produced it. Its distribution $q(z\mid x)$ *stands in for the posterior*.
# Averages over such $z$ can be estimated from a few draws. They do not give $\log p(x)$ itself, but a lower bound on it.
#
# **What the loss is.** The loss is minus this lower bound, as lesson 05 proves. Both networks are trained together, to make the loss small on average over the training pictures:
#
# $$\text{loss} = \underbrace{\mathbb E_{q(z\mid x)}\bigl[-\log p(x\mid z)\bigr]}_{\text{reconstruction}} \;+\; \underbrace{\mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z)\bigr)}_{\text{price of the latents}}$$
#
# - The **reconstruction** term is small if the decoder redraws the picture well. $\mathbb E_{q(z\mid x)}$ is the average over $z$ drawn from $q(z\mid x)$.
# - The **KL** term (Kullback-Leibler divergence) measures how far $q(z\mid x)$ is from the prior. It is the *price* of describing this picture by its own $z$. A narrow $q$, or one far from 0, is expensive.
#   Averaged over pictures, the KL is at least as large as the information (lesson 04) that $z$ carries about $x$.
#
# Both are counted in *nats*, the unit of information that goes with the natural logarithm.
#
# Minus the loss is called the **ELBO**, for *evidence lower bound*: it is never above the logarithm of the evidence. Training raises this bound.
#
# Here is a whole VAE for digits. You can take hold of everything in it: draw a digit, drag the dots of $z$, move $\mu$ and $\sigma$, and watch the picture and both terms of the loss.

# %%
live_figure("machine")

# %% [markdown]
# Three things to try:
#
# - Set the noise to twice, and press "Draw again" a few times. Does the picture stay the same digit?
# - Set $\mu$ to 0 and $\sigma$ to 1. The KL is now 0. What has become of the reconstruction?
# - Change $\beta$. In training, the KL was multiplied by it. Compare the width of the bands, the two terms, and the new pictures below.
#
# ## 4. The faces
#
# To measure what a model has learned, one has to know what is in its pictures. So a program of this course draws faces from nine known
# *factors*: smile, glasses, width of the face, skin, hair, background, distance of the eyes, brows, and a small shift of the head.

# %%
x, factors = data.faces(6000, seed=SEED)  # to train on
x_held, factors_held = data.faces(1000, seed=SEED + 1)  # held out: not used for training
plotting.show(plotting.images(x[:20]).figure, "Twenty grey faces with various skin, hair, mouths; some in glasses.")

# %% [markdown]
# Glasses are 0 or 1. The other factors lie between −1 and 1, for instance from a frown to a smile.
#
# A picture is 48 × 48 = 2,304 numbers, yet nine numbers made it. Can a network describe a face by ten numbers, without being told of any factor, and keep all nine?
#
# ## 5. Train a VAE
#
# The encoder and the decoder have one hidden layer each, and there are ten latents.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(SEED)
vae = GaussianVAE(n_pixels=2304, n_latents=10, hidden=(256,))


def loss_terms(batch):
    elbo, log_p_x_given_z, kl = vae.elbo(batch)
    return {"loss": -elbo.mean(), "reconstruction": -log_p_x_given_z.mean(), "kl": kl.mean()}


# one_cycle: the learning rate rises to 0.004, then falls to zero. The bar shows the terms on held-out faces.
history = fit(vae, loss_terms, x, epochs=20, lr=one_cycle(4e-3), held_out=[x_held], seed=SEED)


# %% [markdown]
# The reconstruction term is negative: it is minus the logarithm of a *density*, and a density may exceed 1. Its level depends on the unit of grey.
# With greys from 0 to 255 in place of 0 to 1, the density of each pixel is divided by 255. The term then grows by 2,304 log 255. Only differences mean something.
#
# The KL does not depend on that unit. It is 53 nats here: the latents carry at most that much information about a face, on average.
#
# Two short functions for what follows:


# %%
@torch.no_grad()
def encode(x):
    return vae.q_z_given_x(x)[0]  # the mean; the encoder also gives a log-variance


@torch.no_grad()
def draw(z):
    return vae.p_x_given_z(z).mean


# %% [markdown]
# Does the VAE redraw faces that it was not trained on?

# %%
faces = torch.cat([x_held[:10], draw(encode(x_held[:10]))])
figure = plotting.images(faces, row_labels=["held out", "redrawn"]).figure
plotting.show(figure, "Upper row: ten held-out faces. Lower row: the VAE's drawing of each, alike, a little blotchy.")

# %% [markdown]
# They look alike. To measure it, we need a *probe*: it reads each factor off a picture, as a weighted sum of the pixels. The weights come from a linear regression on the training faces
# and their factors. Then the probe reads the drawings. How much of each factor's variance does it still recover? ($R^2$: 1 is all of it, 0 is no better than always guessing the mean.)

# %% tags=["nbval-ignore-output"]
probe = LinearProbe(x, factors)
on_faces, on_drawings = probe.r2(x_held, factors_held), probe.r2(draw(encode(x_held)), factors_held)
for name in factors:
    print(f"{name:14} R2 {on_faces[name]:.2f} on held-out faces, {on_drawings[name]:.2f} on their drawings")

# %%
assert min(on_faces.values()) > 0.9
assert min(on_drawings.values()) > 0.85
print("All nine factors are kept: R2 above 0.85 for each.")

# %% [markdown]
# Ten numbers suffice.
#
# ## 6. First picture: people who do not exist
#
# By section 3, a picture is made by drawing $z$ from the prior $\mathcal N(0, I)$ and decoding it. We compare this with the *fitted normal*, which has the mean and the covariance of the training faces' latents.
#
# A training face either wears glasses or does not. A normal distribution has a single peak.

# %%
half_drawn = Prediction(
    "Of 1,000 faces from the fitted normal, how many have half-drawn glasses? (The probe reads between ¼ and ¾.)",
    ["hardly any, as among real faces: under 2 %", "some: 2 % to 15 %", "many: over 15 %"],
)
half_drawn.ask()

# %% [markdown]
# How good is a drawn face? The probe reads its factors, and `render` draws the exact face that has them. The **misfit** is the root mean square difference of the two pictures' greys, in points.
# A point is one percent of the range from black to white. Readings beyond −1 or 1 are set to −1 or 1, and glasses to none or full. So two things count as misfit: greys that no real face has, and half-drawn glasses. Real faces do not get 0, because the readings are not exact. What the misfit does not see is a lack of variety. So we print how much the width of the faces varies.
#
# We measure 1,000 pictures of each kind:
#
# - *held out*: faces not used in training; *blurred*: these, each pixel averaged with its neighbours; *redrawn*: these, redrawn by the VAE
# - *prior*, *fitted*: drawings from the prior and from the fitted normal; *moved*: from the prior, moved to the mean of the training faces' latents
# - *by glasses*: drawings from two normals, one fitted to the faces with glasses, one to those without
# - *by smile*: the same with smiling and frowning faces, a control


# %%
def misfit(pictures):
    read = probe.read(pictures)
    known = {name: values.clamp(-1, 1) for name, values in read.items()}
    known["glasses"] = (read["glasses"] > 0.5).float()
    return 100 * (pictures - render(known)).square().mean(1).sqrt()


def unclear(pictures):  # the share of pictures with half-drawn glasses
    return ((probe.read(pictures)["glasses"] - 0.5).abs() < 0.25).float().mean().item()


def spread_of_width(pictures):
    return probe.read(pictures)["width"].std().item()


def average(values):
    return f"{values.mean():.2f} ± {values.std() / len(values) ** 0.5:.2f}"  # ± one standard error


# %%
def by_group(group):  # a normal for this group of training faces, and one for the others
    generator = torch.Generator().manual_seed(SEED)
    return draw(torch.cat([sample_like(encode(x[half]), 500, generator) for half in (group, ~group)]))


# %%
wears = factors["glasses"] > 0.5
mean = encode(x).mean(0)  # of the training faces' latents
noise = torch.randn(1000, 10, generator=torch.Generator().manual_seed(SEED))
prior, moved_prior = draw(noise), draw(mean + noise)
fitted = draw(sample_like(encode(x), 1000, torch.Generator().manual_seed(SEED)))
blurred = torch.nn.functional.avg_pool2d(x_held.reshape(-1, 1, 48, 48), 3, 1, 1, count_include_pad=False).flatten(1)
sets = {"held out": x_held, "blurred": blurred, "redrawn": draw(encode(x_held)), "prior": prior, "fitted": fitted}
sets |= {"moved": moved_prior, "by glasses": by_group(wears), "by smile": by_group(factors["smile"] > 0)}
distance = mean.norm()  # of the mean latents from the origin

# %% tags=["nbval-ignore-output"]
half = {name: unclear(drawn) for name, drawn in sets.items()}
for name, drawn in sets.items():
    print(f"{name:10} misfit {average(misfit(drawn))}, half-drawn {half[name]:5.1%}, grey {drawn.mean():.2f},", end=" ")
    print(f"standard deviation of the width {spread_of_width(drawn):.2f}")
for name, drawn in {"prior": prior, "moved": moved_prior}.items():
    print(f"misfit, {name} minus fitted:", average(misfit(drawn) - misfit(fitted)))
print(f"mean latents: {distance:.1f} from the origin, where the average grey is {draw(torch.zeros(10)).mean():.2f}")
print(f"half the square of that: {distance**2 / 2:.1f} nats")

# %%
share = half["fitted"]
half_drawn.reveal(half_drawn.choices[0 if share < 0.02 else 1 if share < 0.15 else 2])
assert max(half["held out"], half["redrawn"]) < 0.02
assert min(half["prior"], share) > 0.15
assert half["by glasses"] < share / 2 < half["by smile"]
print("Half-drawn glasses: on over 15 % of faces from prior and fitted normal, on under 2 % of real and redrawn ones.")
print("With a normal for each group, those with glasses and those without, fewer than half as many faces have them.")
print("With a normal for each of two groups by smile, more than half as many faces have them.")

# %%
assert (misfit(prior) - misfit(fitted)).mean() > 1
assert distance > 2
assert prior.mean() < 0.85 * x.mean()
print("The fitted normal gives better faces than the prior: their misfit is lower by over 1 point.")
print("The mean of the training faces' latents is over 2 from the origin.")
print("Faces from the prior are too dark, by over 15 %.")
assert abs(moved_prior.mean() / x.mean() - 1) < 0.1
assert spread_of_width(moved_prior) < 0.7 * spread_of_width(fitted)
print("Moved to the mean latents, the prior gives faces as grey as real ones, within 10 %, but more alike in width.")

# %%
figure = plotting.images(torch.cat([x[:10], prior[:10], fitted[:10]]), row_labels=["real", "prior", "fitted"]).figure
plotting.show(figure, "Faces: real; prior, darker; fitted. Both lower rows show double outlines, half-drawn glasses.")

# %% [markdown]
# Blurred faces have a large misfit, so blur is not rewarded. The redrawn faces are the decoder's drawings from the latents of real faces.
#
# Draws from the prior lie elsewhere. Were the latents of 6,000 faces distributed like the prior, their mean would be within 0.1 of the origin. It is 3.1 away here.
# The prior's faces are dark because the decoder draws dark faces around the origin. Moving the prior to the mean of the latents lowers the misfit as much as the fitted normal does, and cures the grey. But these faces are too much alike in width. This suggests that the latents spread more than the prior.
#
# The loss would be lower without this offset. The KL contains $\frac12\mu^2$ for each latent. Subtract the mean from all latents, and let the decoder add it again. No drawing changes, and the KL falls by half the squared distance, 5 nats here. So training has not converged (lesson 08).
# The KL term pulls the $q(z\mid x)$ of each picture towards $\mathcal N(0, I)$. It does not follow that the latents of all pictures *together* are distributed like that.
# Three times the epochs do not remove the offset: the mean is then even farther away (section 10). Lessons 04 and 08 explain what the pull achieves.
#
# The fitted normal does not cure the glasses. Its single peak lies between the faces with glasses and those without.
# With a normal for each of these groups, few half-drawn glasses are left. With two normals for smiling and frowning faces, there are about as many as with one. The double outlines in the figure were not counted.
#
# ## 7. Second picture: a path
#
# Take the held-out faces with the deepest frown and the broadest smile. Walk in a straight line from the latents of one to those of the other. The upper row shows the drawings on this path, so it starts and ends with redrawn faces. The lower row is a cross-fade of the two real faces.

# %%
a, b = factors_held["smile"].argmin(), factors_held["smile"].argmax()  # the deepest frown, the broadest smile
walk = draw(interpolate(encode(x_held[a]), encode(x_held[b]), 7))
fade = interpolate(x_held[a], x_held[b], 7)
figure = plotting.images(torch.cat([walk, fade]), columns=7, row_labels=["latents", "pixels"]).figure
plotting.show(figure, "Frown to smile. Upper row: one mouth bends. Lower: in the middle both mouths, outlines show.")

# %% [markdown]
# How good is the face halfway? We take 500 random pairs of held-out faces, and measure the midpoint of their latents and that of their pixels.

# %% tags=["nbval-ignore-output"]
first, second = x_held[:500], x_held[500:]
halfway = {"latents": draw((encode(first) + encode(second)) / 2), "pixels": (first + second) / 2}
differ = factors_held["glasses"][:500] != factors_held["glasses"][500:]  # one of the two wears glasses
for name, drawn in halfway.items():
    for which, pairs in {"one wears glasses": differ, "both or neither": ~differ}.items():
        print(f"{name}, {which}: misfit {average(misfit(drawn[pairs]))}, half-drawn {unclear(drawn[pairs]):.1%}")
gain = misfit(halfway["pixels"]) - misfit(halfway["latents"])
print("misfit, pixels minus latents, all pairs:", average(gain))

# %%
assert min(gain[differ].mean(), gain[~differ].mean()) > 1.5
assert unclear(halfway["latents"][differ]) > 0.8
assert unclear(halfway["latents"][~differ]) < 0.1
print("Halfway between two faces, the misfit of the latents' drawing is over 1.5 points below the cross-fade's.")
print("If one of the two wears glasses, over 80 % of these drawings have half-drawn glasses; otherwise under 10 %.")

# %% [markdown]
# The cross-fade shows two outlines and two mouths. The path through the latents shows one outline and one mouth. But of the pairs in which one face wears glasses, nearly all have half-drawn glasses halfway. So has the cross-fade.
# Only midpoints were measured; lesson 08 measures the smoothness of whole paths.
#
# ## 8. Third picture: put glasses on a face
#
# Average the latents of all training faces with glasses, and those of all without. The difference is a direction among the latents, the
# *glasses vector*. Add it to the latents of people without glasses, and redraw them. In our data, who wears glasses is independent of the other eight factors.

# %%
side_effect = Prediction(
    "The glasses vector is added. By how much does it move the probe's reading of each of the other factors, on average?",
    ["each by less than a tenth of its range", "some by a tenth to a third", "some by more than a third"],
)
side_effect.ask()

# %%
glasses_vector = encode(x[wears]).mean(0) - encode(x[~wears]).mean(0)
bare = x_held[factors_held["glasses"] < 0.5]
before, after = draw(encode(bare)), draw(encode(bare) + glasses_vector)
chance = torch.randn(50, 10, generator=torch.Generator().manual_seed(SEED))  # random directions, for the same length
controls = [draw(encode(bare) + v * glasses_vector.norm() / v.norm()) for v in chance]


# %%
def seen(pictures):
    return (probe.read(pictures)["glasses"] > 0.5).float().mean().item()


def moved(pictures):  # the other factors run from -1 to 1, so their range is 2
    read, start = probe.read(pictures), probe.read(before)
    return {name: (read[name] - start[name]).abs().mean().item() / 2 for name in factors if name != "glasses"}


# %% tags=["nbval-ignore-output"]
print(f"glasses seen: redrawn {seen(before):.1%}, with the vector {seen(after):.1%}")
by_vector, by_chance = moved(after), [moved(control) for control in controls]
for name, share in by_vector.items():
    at_random = sum(by[name] for by in by_chance) / len(by_chance)
    print(f"{name:13} moved by {share:5.1%} of its range, by random directions {at_random:5.1%} on average")

# %%
most = max(by_vector.values())
side_effect.reveal(side_effect.choices[0 if most < 0.1 else 1 if most < 1 / 3 else 2])
assert seen(before) < 0.05
assert seen(after) > 0.95
assert most < 0.1
assert sum(by_vector.values()) < min(sum(by.values()) for by in by_chance) / 3
print("With the glasses vector the probe sees glasses on over 95 % of the people who wore none.")
print("On average over people, it moves each other factor by less than 10 % of its range.")
print("Each of 50 random directions of the same length moves them at least 3 times as much in total.")

# %%
rows = torch.cat([bare[:10], before[:10], after[:10]])
figure = plotting.images(rows, row_labels=["held out", "redrawn", "+ glasses"]).figure
plotting.show(figure, "Rows: ten people without glasses; redrawn; redrawn with the vector added, all with glasses.")

# %% [markdown]
# The same for a decoder that was trained before, at the speed of your hand:

# %%
live_figure("face")

# %% [markdown]
# In this section, labels were needed only for the direction and the probe. Lesson 09 repeats this with care, and shows
# data on which such a vector goes wrong.
#
# ## 9. What the encoder is for (optional)
#
# For each of 100 held-out faces, we compare the best of 1,000 latents, drawn without looking at the face, with one draw from $q(z\mid x)$.


# %%
@torch.no_grad()
def behind(z):  # by how many nats the best of the guesses z is behind one draw from q(z|x), for each face
    guesses = vae.p_x_given_z(z)
    best = torch.stack([guesses.log_prob(face).max() for face in x_held[:100]])
    return vae.elbo(x_held[:100]).log_p_x_given_z - best


# %% tags=["nbval-ignore-output"]
torch.manual_seed(SEED)
gaps = {"prior": behind(torch.randn(1000, 10)), "fitted": behind(sample_like(encode(x), 1000))}
for name, nats in gaps.items():
    print(f"best of 1,000 from {name}: log p(x|z) lower by {average(nats)} nats, by {nats.min():.0f} at least")

# %%
assert min(nats.min() for nats in gaps.values()) > 1000
print("For each of 100 faces, the best of 1,000 guesses is behind one draw from the encoder by over 1,000 nats.")

# %% [markdown]
# In the density, 1,000 nats are a factor with over 400 digits.
#
# The average of $p(x\mid z)$ over the guesses is at most its value at the best guess. But $\log p(x)$ is at least the ELBO, which is below the encoder's average $\log p(x\mid z)$ only by the KL.
# So the average over the prior's guesses misses nearly all of $p(x)$.
#
# ## 10. Three times as long (optional)
#
# With five seeds, we trained for 20 and for 60 epochs.
# *distance* is that of the latents' mean from the origin. The next five rows are misfits. *unclear* is a share of faces with half-drawn glasses, and *glasses_seen* of those with glasses after the vector. *most_moved* is how far the most-moved other factor moves, as a share of its range.

# %%
table, about = data.long_run("00_three_times_as_long")
print(about["command"])
misfits = ["redrawn", "prior", "fitted", "midpoint", "cross_fade"]
for name in ["distance", *misfits, "unclear_prior", "unclear_fitted", "glasses_seen", "most_moved"]:
    runs = [torch.tensor([row[name] for row in table if row["epochs"] == epochs]) for epochs in (20, 60)]
    print(f"{name:14} after 20 epochs {average(runs[0])}, after 60 {average(runs[1])}")

# %%
short, long = [[row for row in table if row["epochs"] == epochs] for epochs in (20, 60)]
assert len(short) == len(long) == 5
assert all(late["distance"] > early["distance"] for early, late in zip(short, long, strict=True))
print("With each of 5 seeds, the mean of the latents is farther from the origin after 60 epochs than after 20.")
assert all(row["prior"] - row["fitted"] > 1 and row["cross_fade"] - row["midpoint"] > 1.5 for row in table)
assert all(min(row["unclear_prior"], row["unclear_fitted"]) > 0.15 for row in table)
assert all(row["glasses_seen"] > 0.95 and row["most_moved"] < 0.1 for row in table)
print(
    "Each time, the fitted normal's misfit is over 1 point below the prior's, and halfway the latents' over 1.5 below."
)
print("Each time, over 15 % of drawings have half-drawn glasses, and the vector's bounds (95 % and 10 %) hold.")

# %% [markdown]
# ## 11. The course
#
# | | lesson | the question it answers | part of the machine |
# |---|---|---|---|
# | 00 | Start here | What can a VAE do? | the whole |
# | 01 | [A plain autoencoder overfits its latent space](01_autoencoder.ipynb) | Does it, and does a VAE cure it? | encoder and decoder without distributions |
# | 02 | [Sampling from a Gaussian](02_gaussian_sampling.ipynb) | How do we draw from $\mathcal N(\mu, \Sigma)$, and what does a vector $\sigma$ give up? | $q(z\mid x)$, drawing $z$ |
# | 03 | [The reparametrization trick](03_reparametrization.ipynb) | How do gradients pass through a random draw? | drawing $z$ |
# | 04 | [The KL divergence](04_kl_divergence.ipynb) | What pulls the latents towards $\mathcal N(0, I)$, and how far? | KL |
# | 05 | [Jensen's inequality and the ELBO](05_jensen_elbo.ipynb) | What does a VAE maximise, and what does that guarantee? | the loss as a whole |
# | 06 | [Reconstruction losses](06_reconstruction_losses.ipynb) | BCE or MSE, and what do they assume? | reconstruction |
# | 07 | [Training a VAE](07_training_a_vae.ipynb) | How do the two parts of the loss balance, and how does training go wrong? | both terms together |
# | 08 | [Inside the latent space](08_inside_the_latent_space.ipynb) | What do the latents mean, and are they independent? | $z$ |
# | 09 | [Latent arithmetic](09_latent_arithmetic.ipynb) | How well do smile and glasses vectors work? | $z$, decoder |
# | 10 | [How tight is the bound?](10_how_tight_is_the_bound.ipynb) | How far is the ELBO from $\log p(x)$? | $q(z\mid x)$ against the posterior |
# | 11 | [Convolutions, colour, and faces that we did not draw](11_convolutions.ipynb) | What does a VAE keep of other people's pictures? | encoder, decoder, reconstruction |
# | 12 | [Examine a VAE that you did not write](12_examine_a_vae.ipynb) | What does a loss, a model or a training loop really do? | both terms, and the draw |
#
# ## 12. Notation
#
# Come back to these tables when a symbol is new.
#
# The core, used in every lesson:
#
# | symbol | in code | shape | what it is |
# |---|---|---|---|
# | $x$ | `x` | (B, D) | a batch of B pictures of D pixels |
# | $N$, $B$, $D$, $d$ | | | how many pictures in the data, pictures in a batch, pixels, latents |
# | $z$ | `z` | (B, d) | the latents of the pictures, d numbers each; called *codes* in a plain autoencoder |
# | $p(z)$ | | | the *prior* of the latents, $\mathcal N(0, I)$; $I$ is the identity matrix |
# | $p_\theta(x\mid z)$, $p(x\mid z)$ | `p_x_given_z` | | the decoder's distribution of the picture given the latents; $\theta$: the decoder's weights |
# | $p(x)$, $p_\theta(x)$ | `log_p_x` for its logarithm | (B,) | the *evidence*: the average of $p(x\mid z)$ over the prior |
# | $p(z\mid x)$ | | | the *posterior*: the distribution of the latents given the picture |
# | $q_\phi(z\mid x)$, $q(z\mid x)$, $q$ | `q_z_given_x` | | the encoder's Gaussian, which stands in for the posterior; $\phi$: the encoder's weights |
# | $\mu$, $\log\sigma^2$ | `mu`, `log_var` | (B, d) | its mean, and the logarithm of its variance $\sigma^2$ |
# | $\varepsilon$ | `eps` | (B, d) | standard normal noise |
# | $\log p(x\mid z)$ | `log_p_x_given_z` | (B,) | log-likelihood of a picture given latents, in nats; minus the reconstruction term for one draw of $z$ |
# | $\mathrm{KL}(q\,\Vert\,p)$ | `kl` | (B,) | Kullback-Leibler divergence, in nats; from $q(z\mid x)$ to the prior, it is the price of a picture's latents |
# | ELBO, $\mathcal L(\theta,\phi;x)$ | `elbo` | (B,) | evidence lower bound: `log_p_x_given_z - kl`, averaged over draws of $z$ |
# | $x_n$, $z_j$ | | | the picture with number $n$, the latent with number $j$ |
# | $\mathbb E_q[f(z)]$, $\operatorname{Var}[f]$ | | | the average of $f$ over $z$ drawn from $q$; its variance |
#
# Later:
#
# | symbol | in code | shape | what it is | from lesson |
# |---|---|---|---|---|
# | $\hat x$ | | (B, D) | a redrawn picture | 01 |
# | $\Sigma$, $\Sigma^{-1}$ | | (d, d) | covariance matrix, and its inverse, the precision ($\Lambda$ in 02, $P$ in 10) | 02 |
# | $L$ | `scale_tril` | (d, d) | Cholesky factor of $\Sigma$: lower triangular, with $LL^\top = \Sigma$ | 02 |
# | $\rho$ | | | correlation of two latents | 02 |
# | $H(q)$, $H(q, p)$ | | | entropy and cross-entropy, in nats | 02, 04 |
# | $q(z)$ | | | the *aggregated posterior*: the mixture of $q(z\mid x)$ over all pictures | 04 |
# | $I(x; z)$ | | | mutual information of picture and latents, in nats | 04 |
# | $\sigma(t)$, $s(a)$ | `sigmoid` | | the logistic function $1/(1 + e^{-t})$, which has nothing to do with the standard deviation $\sigma$ | 05, 06 |
# | $K$, $w$ | `samples` | | number of draws of $z$ for one picture, and their weights $p(x\mid z)\,p(z)/q(z\mid x)$ | 05 |
# | $\mathcal L_K$ | | (B,) | the bound from $K$ draws | 05 |
# | $m$, $a$ | `logits` for $a$ | (B, D) | mean of a pixel, and its log-odds $\log\frac m{1-m}$ | 06 |
# | $\sigma$ of the pixels | `log_sigma` | | standard deviation of each pixel in a Gaussian $p(x\mid z)$ | 06 |
# | $\beta$ | `beta` | | weight of the KL in the loss; 1 in a VAE | 06 |
# | $R$, rate; distortion | `rate_distortion` | | the average KL; the average reconstruction term; minus the ELBO is their sum | 07 |
# | TC | | | total correlation: how far the latents are from independent of each other, in nats | 08 |
# | $W$, $b$ | | (D, d), (D,) | a linear decoder: the mean of the picture is $Wz + b$ | 08 |
#
# The symbols $x, z, \theta, \phi, \mu, \sigma, \varepsilon$ are those of Kingma & Welling 2014. Its equation 3 is the ELBO; equation 10 there estimates it for Gaussians, by a few draws of $z$.
#
# ## Easy to forget
#
# - The VAE never saw a factor. The probe did. It is our measuring instrument, not part of the model.
# - The pictures shown are the decoder's *means*. A sample of $p(x\mid z)$ would have noise on every pixel.
# - Here we saw only a lower bound on how probable the faces are under the model. Lessons 05 and 10 say more.
#
# ## Summary
#
# - Neither $p(x)$ nor the posterior has a known formula, so an encoder stands in for the posterior.
# - Without labels, ten numbers kept all nine factors of a face ($R^2$ above 0.85 each).
# - Faces from a normal fitted to real latents were better than those from the prior: the misfit was lower by over 1 point. Half-drawn glasses were common in both.
# - Halfway between two faces, the drawing from the latents had a lower misfit than the cross-fade, by over 1.5 points. If one of the two wore glasses, the drawing nearly always had half-drawn ones.
# - A difference of averages put glasses on over 95 % of the people. It moved each other factor by less than 10 % of its range, on average over people.
# - This was shown for drawn faces with independent factors and one small network.
#
# ## Try it
#
# 1. Walk *past* the second face: in section 7, end the walk at `2 * encode(x_held[b]) - encode(x_held[a])`. Where do faces stop being faces? Print `misfit(walk)`.
# 2. In section 8, add half of the glasses vector, `0.5 * glasses_vector`. The check there stops with an error, because the probe sees glasses on too few people. On how many? Then add it twice. Now the check on random directions stops: the other factors move twice as far.
# 3. Take glasses off: in a new cell, print `seen(draw(encode(x_held[factors_held["glasses"] > 0.5]) - glasses_vector))`. Does it work as reliably as putting them on?
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*; Rezende, Mohamed & Wierstra 2014, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models*.
# - Rybkin, Daniilidis & Levine 2021, *Simple and Effective VAE Training with Calibrated Decoders*: how the standard deviation of the pixels is set here.
#
# **Next:** [01 · A plain autoencoder overfits its latent space](01_autoencoder.ipynb)
