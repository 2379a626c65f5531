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
# # Exercise 09 · Latent arithmetic
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 85 minutes in all.
# It belongs to [lesson 09](../notebooks/09_latent_arithmetic.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("attribute/vector")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors unless the table says otherwise. $N$ counts pictures, $D$ pixels, $d$ latents. Readings and errors are recorded as in the lesson.

# %%
from vae_course import check, hint, progress
from vae_lessons import data, plotting
from vae_lessons.evaluation import LinearProbe
from vae_lessons.faces import draw_factors

import matplotlib.pyplot as plt
import torch

# %% [markdown]
# ## 1. A vector from a number
#
# *2 points, 8 minutes.* A smile is a number, not a yes or a no. People above `high` count as smiling, people below `low` as frowning, and nobody else counts. Return the smile vector of these codes.
# It matters because most attributes come in degrees, and where you cut decides what the vector means.
#
# | argument | shape | meaning |
# |---|---|---|
# | `z` | `(N, d)` | mean codes |
# | `values` | `(N,)` | the factor, for example the smile, of each person |
# | `low`, `high` | numbers | the two marks, `low < high`; no value lies on a mark |
# | *returns* | `(d,)` | what to add to a frowning person's code |


# %%
def attribute_vector(z, values, low, high):
    """From the mean code of those below low to the mean code of those above high: (N, d), (N,) -> (d,)."""
    ### BEGIN SOLUTION
    return z[values > high].mean(0) - z[values < low].mean(0)
    ### END SOLUTION


# %%
check("attribute/vector", attribute_vector)

# %% [markdown]
# ## 2. What comes along
#
# *2 points, 10 minutes.* You have no codes yet, only a table of labels, like the one that comes with CelebA. Before you compute the vector of an attribute, find out **which other attribute
# it will carry along the most**, and how much of it.
# Assume what the toy of lesson 09 assumes: each attribute moves a code by a step of its own, the same for everybody, and all these steps are about equally long. A vector may add
# another attribute or take it away; both count. It matters because a table of labels costs nothing to look at, and a trained VAE does.
#
# | argument | shape | meaning |
# |---|---|---|
# | `labels` | `(N, M)` | 1 where person $n$ has attribute $m$, else 0 |
# | `names` | tuple of $M$ `str` | the attributes |
# | `name` | `str` | the one whose vector will be made, as the plain difference of means |
# | *returns* | a `str` and a number | the attribute carried along; how many of its steps the vector holds, negative if it takes them away |


# %%
def carried_along(labels, names, name):
    """The attribute that the vector of `name` carries along the most, and how many of its steps the vector holds."""
    ### BEGIN SOLUTION
    column = names.index(name)
    has = labels[:, column] > 0.5
    steps = labels[has].mean(0) - labels[~has].mean(0)  # (M,), of which the vector is the sum
    sizes = steps.abs()
    sizes[column] = 0
    most = int(sizes.argmax())
    return names[most], steps[most]
    ### END SOLUTION


# %%
check("attribute/entangled", carried_along)

# %% [markdown]
# Your function on the ten people of section 8 of the lesson, and on faces selected as there.

# %%
ten = torch.tensor([[1, 1]] * 4 + [[1, 0]] + [[0, 1]] + [[0, 0]] * 4).float()
other, steps = carried_along(ten, ("glasses", "smile"), "glasses")
print(f"the ten: the glasses vector carries {steps:.2f} steps of {other}")

people = draw_factors(12_000, torch.Generator().manual_seed(0))
agrees = (people["glasses"] > 0.5) == (people["smile"] > 0)
kept = torch.rand(12_000, generator=torch.Generator().manual_seed(1)) < torch.where(agrees, 0.95, 0.05)
middle = {name: people[name].quantile(0.5) if name != "glasses" else 0.5 for name in people}
table = torch.stack([(people[name] > middle[name]).float() for name in people], dim=1)
for title, rows in (("all faces", table), ("selected faces", table[kept])):
    other, steps = carried_along(rows, tuple(people), "glasses")
    print(f"{title}: the glasses vector carries {steps:.2f} steps of {other}")

# %% [markdown]
# ## 3. Compare like with like
#
# *2 points, 12 minutes.* Two other attributes are unevenly spread. Match by both at once: a stratum is the people who agree in both columns of `match`. Average the strata's differences, each stratum weighted
# by the number of its pictures. A stratum that cannot be compared within itself is left out, and its people count for nothing. (At least one can be.)
#
# | argument | shape | meaning |
# |---|---|---|
# | `z` | `(N, d)` | mean codes |
# | `has` | `(N,)` | true where the person has the attribute |
# | `match` | `(N, 2)` | 0 or 1, a column for each of the two attributes to match by |
# | *returns* | `(d,)` | the matched vector |


# %%
def matched_vector(z, has, match):
    """With minus without, compared within the strata of both columns of match: (N, d), (N,), (N, 2) -> (d,)."""
    ### BEGIN SOLUTION
    kinds, stratum = match.unique(dim=0, return_inverse=True)
    total, people = torch.zeros_like(z[0]), 0
    for number in range(len(kinds)):
        yes, no = z[(stratum == number) & has], z[(stratum == number) & ~has]
        if len(yes) and len(no):
            total = total + (len(yes) + len(no)) * (yes.mean(0) - no.mean(0))
            people += len(yes) + len(no)
    return total / people
    ### END SOLUTION


# %%
check("attribute/matched", matched_vector)

# %% [markdown]
# ## 4. Repair an evaluation
#
# *3 points, 15 minutes.* A colleague writes: "Our glasses vector lifts the judge's mean reading of people without glasses by 1.0, one whole pair." This is how it was measured:


# %%
def colleagues_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[has].mean(0) - codes[~has].mean(0)
    probe = fit_probe(decode(codes), has.float())
    return probe(x).mean(), probe(decode(codes + glasses)).mean()


# %% [markdown]
# Repair it, so that the sentence may be printed about *new* people, and so that the judge has learned what glasses are independently of the VAE. The difference of the two numbers shall be the work of the vector alone. The VAE, `encode` and `decode`, was trained on the training faces; leave it as it is.
#
# | argument | shape | meaning |
# |---|---|---|
# | `x` | `(N, D)` | pictures, some of training faces, the others held out |
# | `has` | `(N,)` | true where the person wears glasses |
# | `train` | `(N,)` | true for a training face |
# | `encode` | `(n, D)` → `(n, d)` | pictures to mean codes |
# | `decode` | `(n, d)` → `(n, D)` | codes to mean pictures |
# | `fit_probe` | `(n, D)`, `(n,)` → function | fits a linear probe to pictures and labels; returns a function from pictures `(m, D)` to readings `(m,)` |
# | *returns* | two numbers | mean reading of new people without glasses, before the vector is added and after |


# %%
def vector_effect(x, has, train, encode, decode, fit_probe):
    """Mean readings of the drawings of new people without glasses, before the glasses vector is added and after."""
    ### BEGIN SOLUTION
    x_train, has_train = x[train], has[train]
    z_train = encode(x_train)
    vector = z_train[has_train].mean(0) - z_train[~has_train].mean(0)
    read = fit_probe(x_train, has_train.to(x.dtype))  # learns from real pictures
    z = encode(x[~train & ~has])  # new people, without glasses
    return read(decode(z)).mean(), read(decode(z + vector)).mean()
    ### END SOLUTION


# %%
check("attribute/effect", vector_effect)

# %% [markdown]
# Both functions on 600 drawn faces, 150 of them training faces. In place of a VAE stand 60 principal components, which need no training.

# %%
faces, factors = data.faces(600, seed=0)
train = torch.arange(600) < 150
mean = faces[train].mean(0)
_, _, axes = torch.linalg.svd(faces[train] - mean, full_matrices=False)


def encode(x):
    return (x - mean) @ axes[:60].T


def decode(z):
    return mean + z @ axes[:60]


def fit_probe(x, labels):
    probe = LinearProbe(x, {"glasses": labels})
    return lambda pictures: probe.read(pictures)["glasses"]


for title, function in (("colleague", colleagues_effect), ("repaired", vector_effect)):
    before, after = function(faces, factors["glasses"] > 0.5, train, encode, decode, fit_probe)
    print(f"{title:10} before {before:.2f}, after {after:.2f}")

# %% [markdown]
# ## 5. Which of the two?
#
# *3 points, 15 minutes.* The pixel vector or the VAE's change? The tool will be used **only on people whose head is off the middle**, to either side: `shift` below −1/3 or above 1/3.
# You have the recorded errors to the true picture, in thousandths, of the same faces by both methods. A method is better if its error is lower on average over the people the tool is for, and if the difference is at least two standard errors
# away from 0. Otherwise the record does not decide. Faces differ much in how hard they are; think about whose spread makes the standard error.
#
# It matters because a mean without its error picks a winner from noise, and a clumsy error hides a winner that is there.
#
# | argument | shape | meaning |
# |---|---|---|
# | `error_pixel` | `(N,)` | error of the pixel vector's picture |
# | `error_vae` | `(N,)` | error of the picture with the VAE's change, same faces, same order |
# | `shift` | `(N,)` | `shift_x` of the head, from −1 to 1 |
# | *returns* | a `str` and a number | `"pixel"`, `"VAE"` or `"undecided"`: which is better; by how much the VAE's error is lower on average, over the people the tool is for (negative if it is higher) |


# %%
def better_way(error_pixel, error_vae, shift):
    """The better method for heads off the middle, or "undecided", and by how much the VAE's error is lower."""
    ### BEGIN SOLUTION
    off_middle = shift.abs() > 1 / 3
    gains = (error_pixel - error_vae)[off_middle]  # one for each face: what makes a face hard drops out
    standard_error = gains.std() / len(gains) ** 0.5
    if gains.mean().abs() < 2 * standard_error:
        return "undecided", gains.mean()
    return "VAE" if gains.mean() > 0 else "pixel", gains.mean()
    ### END SOLUTION


# %%
check("attribute/better", better_way)

# %% [markdown]
# ## 6. When two strata are not enough
#
# *3 points, 15 minutes.* The selection favoured *broad* smiles among those with glasses. Then even among the smiling, those with glasses smile more, and matching smilers with smilers leaves some smile in the vector (Try it 3).
# But you know how much each person smiles. Assume that glasses and smile each move the code by a fixed step,
#
# $$z_n \approx c + \mathrm{has}_n\,v + \mathrm{other}_n\,u,$$
#
# with the same $c$, $v$, $u$ for everybody, and return the $v$ that fits all codes with the least sum of squares.
#
# | argument | shape | meaning |
# |---|---|---|
# | `z` | `(N, d)` | mean codes |
# | `has` | `(N,)` | true where the person wears glasses |
# | `other` | `(N,)` | the smile, from −1 to 1 |
# | *returns* | `(d,)` | the step $v$ of the glasses |


# %%
def adjusted_vector(z, has, other):
    """The step of the attribute at equal values of the other factor, by least squares: (N, d), (N,), (N,) -> (d,)."""
    ### BEGIN SOLUTION
    known = torch.stack([torch.ones_like(other), has.to(z.dtype), other], dim=1)  # (N, 3)
    return torch.linalg.lstsq(known, z).solution[1]
    ### END SOLUTION


# %%
check("attribute/adjusted", adjusted_vector)

# %% [markdown]
# The toy of the lesson with smiles in degrees: glasses move a code by $(2, 1)$, a unit of smile by $(-1, 2)$. (The cell needs task 3 as well.) The more the selection favours broad smiles, the more the *plain* glasses vector leans over.

# %%
steps = torch.tensor([[2.0, 1.0], [-1.0, 2.0]])
generator = torch.Generator().manual_seed(0)
has = torch.rand(4000, generator=generator) < 0.5
smile = 2 * torch.rand(4000, generator=generator) - 1
luck = torch.rand(4000, generator=generator)
z = torch.stack([has.float(), smile], dim=1) @ steps + 0.3 * torch.randn(4000, 2, generator=generator)
figure, ax = plt.subplots(figsize=(4.5, 3.4))
for bias, marker in ((0.0, "o"), (2.0, "s"), (4.0, "^")):
    kept = luck < torch.sigmoid(bias * smile * (2 * has.float() - 1))
    codes, who, smiles = z[kept], has[kept], smile[kept]
    ways = {
        "plain": codes[who].mean(0) - codes[~who].mean(0),
        "matched in two strata": matched_vector(codes, who, torch.stack([smiles > 0, smiles > 2], dim=1).long()),
        "adjusted": adjusted_vector(codes, who, smiles),
    }
    for number, (way, vector) in enumerate(ways.items()):
        ax.plot(*vector, marker, color=f"C{number}", label=way if marker == "o" else None)
ax.plot(*steps[0], "+", color="black", markersize=16, label="the true step")
ax.set(xlabel="first latent", ylabel="second latent", title="circle, square, triangle: growing bias")
ax.legend()
plotting.show(
    figure,
    "End points of glasses vectors made in three ways, for no, some and much bias, and the true step at (2, 1). With growing bias the plain vector moves far "
    "towards the smile, the one matched in two strata moves a little that way, and the adjusted one stays at the true step.",
)

# %% [markdown]
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* A report says: "We added our VAE's smile vector to frowning faces of the collection. A classifier, which we trained on the same collection, sees a smile on 98 % of the results. This proves that the VAE has learned
# what a smile is, apart from all else, as only a latent space with a KL term can." In at most 120 words: say what the 98 % do not tell about the pictures, which comparisons are missing, and how a vector can reach 98 % and still be no smile vector.

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - *The judge.* A share above a threshold does not see quality, exaggeration or what else changed; a linear judge can be moved by a pattern that shows no smile at all. Needed: side effects, the true picture where it is known (or a person's look), and faces that neither vector nor classifier has met.
# - *The comparisons.* Pixel vector and plain autoencoder (no KL term) reach such shares too, so the share says nothing about latent spaces or KL. Also: the drawing without the vector as the zero mark.
# - *The correlation.* Whatever is more frequent among the smiling (glasses, lipstick) is part of the difference of means. Needed: matched means, and a look at whether the VAE redraws the rare combinations.
#
# Two of the three parts of a point are enough for it. No point for "98 % may be chance" alone. Half a point off for a claim that contradicts the lesson, such as that a KL term is needed for vectors to exist.
# <!-- END SOLUTION -->

# %%
progress("ex09_latent_arithmetic")
