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
# # 01 · A plain autoencoder overfits its latent space
#
# An autoencoder squeezes a picture into a few numbers, its *code*, and draws the picture again from the code. The space of all
# possible codes is its *latent space*. Two sayings are common:
#
# 1. an autoencoder draws well only at isolated points of that space: **nudge a code and the picture breaks**;
# 2. **a variational autoencoder (VAE) cures that**.
#
# **The question of this lesson: are these true, and by how much?** You will train both on the same real digits.
# You will nudge the codes of both, and read the damage in numbers.
#
# *You need:* to have trained a small PyTorch network; covariance, eigenvalues and log-probabilities at the level of a first course.
# *Time:* 90 minutes for the core, 35 more for the optional sections, a minute or two to run.
#
# You will be asked to predict some results. The stored outputs below would give them away, so first choose *Edit, Clear Outputs of All Cells*.

# %%
from vae_lessons import data, plotting
from vae_lessons.distributions import log_bernoulli
from vae_lessons.models import VAE
from vae_lessons.training import fit, one_cycle
from vae_lessons.widgets import Prediction

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.covariance import MinCovDet
from torch import nn

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)

# %%
plotting.machine("encoder", "z", "decoder")

# %% [markdown]
# This is a VAE. A plain autoencoder has only the three marked parts, and no noise: its encoder gives the code $z$ itself.
#
# ## 1. Two pixels and one number, by hand
#
# The smallest autoencoder: pictures of two pixels, codes of one number. Here are four pictures, with mean zero, and
# their covariance matrix $C$, the average of $x x^\top$.

# %%
points = np.array([[3, 1], [1, 3], [-3, -1], [-1, -3]], dtype=float)  # (N, D)
covariance = points.T @ points / len(points)
print(covariance)

# %% [markdown]
# Encode by measuring how far a picture lies along one direction $u$ of length 1: $z = u^\top x$. Decode by walking that far along $u$: $\hat x = z\,u$.
#
# Take $u$ along the diagonal. For $x = (3, 1)$ that is $z = (3 + 1)/\sqrt 2 = 2.828$, and back: $\hat x = (2, 2)$.

# %%
u = np.array([1, 1]) / np.sqrt(2)
codes = points @ u  # (N,)
rebuilt = codes[:, None] * u  # (N, D)
for x, z, x_hat in zip(points, codes, rebuilt, strict=True):
    print(f"picture {x}   code {z:6.3f}   rebuilt {x_hat.round(3)}")

# %% [markdown]
# $(3, 1)$ and $(1, 3)$ got the same code, so they are rebuilt as the same picture, halfway between them. Was the diagonal a good choice?
#
# - $\hat x$ is the foot of the perpendicular from $x$ on the line along $u$. So by Pythagoras $\lVert x\rVert^2 = z^2 + \lVert x - \hat x\rVert^2$.
# - No other encoder can do better with this decoder. All that it draws lies on the line, and the foot is the nearest point of the line.
# - Averaged over the pictures: error = total variance − variance of the codes. The *total variance* is the average of $\lVert x\rVert^2$.
#   It is the trace of $C$, and so the sum of all its eigenvalues.
# - The variance of the codes is the average of $(u^\top x)^2 = u^\top x x^\top u$, which is $u^\top C u$. It is largest when $u$ is the
#   eigenvector of $C$ with the largest eigenvalue, and then it equals that eigenvalue.
#
# **So the least error is the sum of the other eigenvalues**, and the best $u$ is the first *principal component*. We try all directions, in steps of a degree.

# %%
degrees = np.arange(180)
directions = np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])  # (2, 180)
total = (points**2).sum(1).mean()
error = total - ((points @ directions) ** 2).mean(0)  # (180,)
least, most = np.linalg.eigvalsh(covariance)
print(f"total variance {total:.1f}, eigenvalues {most:.1f} and {least:.1f}")
print(f"least error {error.min():.1f} at {degrees[error.argmin()]} degrees", end="; ")
print(f"measured on the diagonal {((points - rebuilt) ** 2).sum(1).mean():.1f}")

# %%
assert degrees[error.argmin()] == 45
np.testing.assert_allclose(((points - rebuilt) ** 2).sum(1).mean(), least)
np.testing.assert_allclose(error.min(), least)
print("The least error is the smaller eigenvalue, and the diagonal reaches it.")

# %% [markdown]
# A linear autoencoder keeps the direction in which the pictures differ most, and loses the rest: 10 − 8 = 2.
# (Section 11 trains one on digits.)
#
# ## 2. An autoencoder overfits
#
# Now the general case. The encoder and the decoder are each a stack of linear layers with ReLUs between them.


# %%
def mlp(*sizes):
    """Linear layers of the given sizes with ReLU between them, none after the last."""
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A plain autoencoder: one code per picture, no noise, no prior."""

    def __init__(self, n_pixels=784, n_latents=2, hidden=(256, 128, 64)):
        super().__init__()
        self.encoder = mlp(n_pixels, *hidden, n_latents)
        self.decoder = mlp(n_latents, *reversed(hidden), n_pixels)

    def encode(self, x):  # (B, D) -> (B, d)
        return self.encoder(x)

    def decode(self, z):  # (B, d) -> (B, D)
        return self.decoder(z)

    def forward(self, x):
        return self.decode(self.encode(x))


# %% [markdown]
# The data are real handwritten digits from MNIST, with $D$ = 28 × 28 = 784 pixels each. We make every pixel ink (1) or paper (0),
# because the formula below is a probability only for such pixels. Three sets of 1,000 digits have three different uses:
#
# - the *training* digits: the network learns from these. They are few on purpose, because overfitting shows soonest with little data;
# - the *choosing* digits: they decide when to stop the training;
# - the *held-out* digits: they take part in no decision. They score the finished models, unless we say otherwise.
#
# (2,000 more serve only to train the judge of section 4.)

# %%
(x_all, y_all), (x_held, y_held) = data.digits()
x_all, x_held = (x_all > 0.5).float(), (x_held > 0.5).float()
x_train, y_train = x_all[:1000], y_all[:1000]
x_choose, y_choose = x_all[1000:2000], y_all[1000:2000]
for name, y in (("training", y_train), ("choosing", y_choose), ("held out", y_held)):
    print(f"{name:10} digits of each class from 0 to 9: {y.bincount().tolist()}")

# %% [markdown]
# The decoder states for every pixel $i$ a probability of ink $\pi_i$. Given $z$, the pixels are taken to be independent. So their probabilities
# multiply, and the logarithms add. The log-probability of the true picture $x$ is the *Bernoulli log-likelihood*:
#
# $$\log p(x\mid z) = \sum_i \bigl[x_i\log\pi_i + (1-x_i)\log(1-\pi_i)\bigr].$$
#
# The network puts out log-odds, $\log\frac{\pi}{1-\pi}$ (*logits*), which may be any number. By hand, for two pixels: the decoder states
# 90 % ink for both. The first is ink, the second is paper. With natural logarithms the unit is the *nat*.

# %%
logits = torch.logit(torch.tensor([0.9, 0.9], dtype=torch.float64))
ink = torch.tensor([1.0, 0.0], dtype=torch.float64)
print(f"cost of the pixel predicted rightly {-np.log(0.9):.3f} nats, wrongly {-np.log(0.1):.3f} nats")
print(f"by hand {np.log(0.9) + np.log(0.1):.4f} nats, log_bernoulli {log_bernoulli(ink, logits).item():.4f} nats")
print(f"784 pixels guessed by flipping a coin: {784 * np.log(0.5):.1f} nats")

# %% [markdown]
# All our numbers will be **nats per picture, summed over the 784 pixels**, written as a cost, $-\log p(x\mid z)$: less is
# better. Zero would mean that the decoder was certain of every pixel, and right. A coin flip for each pixel costs 543.4.
#
# We train an autoencoder with a code of $d$ = 2 numbers, so that all of its latent space fits on a page. After each epoch we measure
# the cost of the choosing digits.


# %%
def cost(model, x):
    """Cost (B,) in nats of pictures (B, D), each drawn from its own code."""
    return -log_bernoulli(x, model.decoder(model.encode(x)))


def trained(kind, n_latents, loss, epochs, keep_best=None):
    """A new model trained on loss(model, x), and its history; with keep_best="cost", the weights of its best epoch."""
    torch.manual_seed(SEED)
    model = kind(784, n_latents, hidden=(256, 128, 64))

    def terms(x):
        if model.training:
            return {"loss": loss(model, x)}
        return {"cost": cost(model, x).mean()}

    # whatever is given to fit as held_out is scored after each epoch: here the choosing digits
    return model, fit(model, terms, x_train, epochs=epochs, held_out=[x_choose], keep_best=keep_best, seed=SEED)


def plain(model, x):
    return cost(model, x).mean()


# %% tags=["nbval-ignore-output"]
late, history = trained(Autoencoder, 2, plain, epochs=150)

# %%
best = int(np.argmin(history.held_out["cost"]))
figure, ax = plt.subplots(figsize=(6, 3.2))
epochs = range(1, len(history.train["loss"]) + 1)
ax.plot(epochs, history.train["loss"], label="the 1,000 training digits")
ax.plot(epochs, history.held_out["cost"], "--", label="1,000 choosing digits")
ax.plot(best + 1, history.held_out["cost"][best], "o", color="black", label="best epoch for choosing digits")
ax.set(xlabel="epoch", ylabel="cost (nats per picture)", ylim=(100, 260))
ax.legend()
plotting.show(
    figure,
    "Cost against epochs. On the training digits it falls all the way. On the choosing digits it falls with it at "
    "first, reaches its lowest point about two fifths of the way, then climbs while the training cost goes on down.",
)

# %% [markdown]
# This is ordinary overfitting: it shows on new pictures. (From section 4 on we test new codes.) A cure is *early stopping*, at the black dot,
# and a fair comparison with a VAE has to include it. So we train a second autoencoder, with the same seed, that stops there.
# The two are called *late* and *stopped*. Now the held-out digits score them.

# %% tags=["nbval-ignore-output"]
stopped, _ = trained(Autoencoder, 2, plain, epochs=best + 1)
print(f"epoch {best + 1} of {len(history.train['loss'])} is the best for choosing digits")
with torch.no_grad():
    costs = {
        name: [cost(m, x).mean().item() for x in (x_train, x_held)]
        for name, m in (("late", late), ("stopped", stopped))
    }
for name, (on_train, on_held) in costs.items():
    print(f"{name:8} training digits {on_train:6.1f}   held-out digits {on_held:6.1f} nats per picture")

# %%
assert costs["late"][1] - costs["late"][0] > 30
assert costs["late"][1] - costs["stopped"][1] > 5
print("If the model is trained to the end, held-out digits cost over 30 nats more than training digits;")
print("stopping early makes them over 5 nats cheaper.")

# %% [markdown]
# ## 3. The plane of codes
#
# Where do the codes lie, and what does the decoder draw in between? A circled number marks the median code of its class. Mind the scales of the axes.


# %%
@torch.no_grad()
def code_plane(model, alt, title):
    codes = model.encode(x_train)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5))
    plotting.scatter_classes(codes, y_train, ax=left)
    low, high = codes.quantile(0.01, 0), codes.quantile(0.99, 0)
    across, up = (torch.linspace(low[i].item(), high[i].item(), 15) for i in (0, 1))
    grid = torch.cartesian_prod(up.flip(0), across).flip(1)  # rows from top to bottom
    plotting.images(torch.sigmoid(model.decoder(grid)), ax=right, columns=15)
    left.set(xlabel="$z_1$", ylabel="$z_2$", title=f"{title}: codes of the training digits")
    left.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))  # leaves out the outermost 1 % on each side
    right.set_title("what it draws across the same plane")
    plotting.show(figure, alt)


code_plane(
    late,
    "Left: the codes of the training digits, a colour and marker for each class, and its number in a circle at its median. The outermost "
    "hundredth is left out. Most classes crowd together, the 1s lie far out, and wide stretches hold hardly a code. Right: pictures decoded on a grid "
    "over the same plane. A few classes take up most of it; where classes meet, the pictures change within a step or two.",
    "autoencoder, late",
)

# %% [markdown]
# Most classes crowd together, the 1s lie far out, and wide stretches hold hardly a code. The loss allows this:
# it scores the decoder only at the codes of the training digits, and the encoder may put them anywhere.
#
# ## 4. The nudge, and its unit
#
# Now the first saying. Take the code of a digit, move it a little, decode, and see what became of the digit.
# "A little" needs a unit. One network spreads its codes over tens, another over ones, so the same step means different things in them.
# We measure a nudge in the codes' own spread. A nudge of $r$ moves each coordinate by $r$ standard deviations of that
# coordinate over all codes, times normal noise ($\odot$ multiplies coordinate by coordinate):
#
# $$z' = z + r\,\operatorname{std}(z)\odot\varepsilon, \qquad \varepsilon \sim \mathcal N(0, I).$$


# %%
def nudge(z, r, generator):
    """Move the codes z (N, d) at random: each coordinate by r times its spread over the codes, times normal noise."""
    return z + r * z.std(0) * torch.randn(z.shape, generator=generator)


# %% [markdown]
# (The exercise uses this `nudge`.) Is its unit fair? Nothing in the loss fixes the axes of the code. Turn all codes by an angle, and turn them
# back before the decoder: every picture is drawn as before. So a fair nudge must not depend on the axes. Turn the codes, nudge, turn back: the step should have the same distribution as without the turn.
#
# In general the unit is a matrix $L$, and $z' = z + r\,L\,\varepsilon$. If $L$ is diagonal and holds the standard deviations, this is the nudge above. Another choice is the *Cholesky factor*: a triangular $L$ with $LL^\top$ = covariance of the
# codes (lesson 02 derives it). The step $L\varepsilon$ has covariance $LL^\top$. Take section 1's four points as codes, and turn them by 45°.

# %%
half = np.sqrt(0.5)
turn = np.array([[half, -half], [half, half]])  # by 45 degrees
turned = turn.T @ covariance @ turn  # the covariance of the turned codes
by_spread = turn @ np.diag(np.diag(turned)) @ turn.T  # the step's covariance in that unit, turned back
factor = np.linalg.cholesky(turned)
by_factor = turn @ factor @ factor.T @ turn.T
plain_step = np.diag(np.diag(covariance))  # the same without a turn
print("coordinate by coordinate: not turned", plain_step.tolist(), "turned", by_spread.round(3).tolist())
print("Cholesky factor:          not turned", covariance.tolist(), "turned", by_factor.round(3).tolist())

# %%
np.testing.assert_allclose(by_factor, covariance)
assert abs(by_spread - plain_step).max() > 2
print("Turning the axes changes the steps of the coordinate-wise unit, and not those of the Cholesky factor.")

# %% [markdown]
# The coordinate-wise unit depends on axes that mean nothing. From here on we nudge with the Cholesky factor.
#
# We measure two kinds of damage: the *rise* of the true digit's cost, and the loss of **agreement**, how
# often a judge sees the true digit in the drawn picture. The judge is a plain classifier, trained on all 4,000 digits that are not held out.
# It sees ink where $\pi_i > 1/2$ and paper elsewhere, so it never sees grey.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(SEED)
judge = mlp(784, 128, 10)


def cross_entropy(x, y):
    return {"loss": nn.functional.cross_entropy(judge(x), y)}


fit(judge, cross_entropy, x_all, y_all, epochs=10, seed=SEED)
accuracy = (judge(x_held).argmax(1) == y_held).float().mean().item()
print(f"the judge names {accuracy:.1%} of the real held-out digits rightly")


# %%
@torch.no_grad()
def nudge_each(codes, unit, decode, x, y, judge, sizes=(0.0, 0.1, 0.5), seed=SEED, repeats=10):
    """Cost and agreement (len(sizes), 2, N) of each picture x (N, D) of class y (N,) from codes + r eps L^T, L = unit."""
    rows = []
    for r in sizes:
        eps = torch.randn(repeats, *codes.shape, generator=torch.Generator().manual_seed(seed))  # the same for every r
        logits = decode(codes + r * eps @ unit.T)  # (repeats, N, D)
        agrees = judge((logits > 0).float()).argmax(-1) == y
        rows.append(torch.stack([-log_bernoulli(x, logits).mean(0), agrees.float().mean(0)]))
    return torch.stack(rows)


# %% [markdown]
# One objection remains: codes that lie far out inflate the covariance, and with it all nudges. So we also use a second unit.
# It comes from the covariance of the *bulk*: the codes without those that lie far from the rest, found by the minimum covariance
# determinant (Rousseeuw 1984; `MinCovDet` in scikit-learn). We call the Cholesky factor of all codes' covariance the *spread*, and that of the bulk the *bulk*.


# %%
def bulk(z):
    """The robust covariance of codes z (N, d), in `covariance_`, and which codes it rests on, in `support_`."""
    return MinCovDet(random_state=0).fit(z.detach().numpy())


def units(z):
    """Two units (d, d) of a nudge: Cholesky factors of the covariance of all codes z (N, d), and of their bulk."""
    covariances = {"spread": torch.cov(z.T), "bulk": torch.from_numpy(bulk(z).covariance_).float()}
    return {name: torch.linalg.cholesky(covariance) for name, covariance in covariances.items()}


# %%
damage = Prediction(
    "You nudge the late autoencoder's codes of training digits, and of held-out digits, by a tenth. Whose cost rises more?",
    ["that of the training digits", "that of the held-out digits", "both rise alike, within a tenth"],
)
damage.ask()

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    codes_train, codes_held = late.encode(x_train), late.encode(x_held)
sets = {"training": (codes_train, x_train, y_train), "held-out": (codes_held, x_held, y_held)}
nudged = {}
for unit, factor in units(codes_train).items():
    for name, (codes, x, y) in sets.items():
        nudged[unit, name] = nudge_each(codes, factor, late.decoder, x, y, judge).mean(-1)  # (sizes, 2)
        (cost_0, agree_0), (cost_1, agree_1), (cost_5, agree_5) = nudged[unit, name].tolist()
        print(f"{name:8} digits, {unit:6}   cost {cost_0:.0f}, rise at 0.1 {cost_1 - cost_0:5.1f}", end="")
        print(
            f", at 0.5 {cost_5 - cost_0:5.1f}   agreement at 0, 0.1, 0.5:",
            f"{agree_0:.2f}, {agree_1:.2f}, {agree_5:.2f}",
        )

# %%
rise = {key: (at[1, 0] - at[0, 0]).item() for key, at in nudged.items()}
ratio = rise["spread", "training"] / rise["spread", "held-out"]
damage.reveal(damage.choices[2 if abs(ratio - 1) < 0.1 else 0 if ratio > 1 else 1])
assert ratio > 1.3
assert rise["spread", "training"] > 10
assert rise["spread", "held-out"] > 5
print(
    "A nudge of a tenth of the spread raises the cost of training digits by over 10 nats, of held-out ones by over 5."
)

# %% [markdown]
# We call a model *brittle* if nudges raise its cost much. This one is more brittle on its training digits than on new ones. (Do not compare the agreement of the two sets:
# the judge has seen the training digits.) Now look at held-out digits. From row to row the steps keep their directions and grow longer.


# %%
unit, eps = units(codes_train)["spread"], torch.randn(10, 2, generator=torch.Generator().manual_seed(SEED))
pictures, labels = [x_held[:10]], ["true digit"]
for r in (0.0, 0.1, 0.2, 0.5):
    with torch.no_grad():
        pictures.append(torch.sigmoid(late.decoder(codes_held[:10] + r * eps @ unit.T)))
    labels.append(f"r = {r}" if r else "untouched code")
figure, ax = plt.subplots(figsize=(9, 4))
plotting.images(torch.cat(pictures), ax=ax, columns=10, row_labels=labels)
plotting.show(
    figure,
    "Ten held-out digits, one a column. Top row: the true digits. Below: what the late autoencoder draws from codes that are "
    "untouched, or nudged by 0.1, 0.2 and 0.5 of the spread. Several are taken for another digit even untouched. The rows for "
    "0.1 and 0.2 resemble the untouched one, apart from the 6. In the row for 0.5 several columns show another digit; the 3 is right only there.",
)

# %% [markdown]
# Two numbers are few: several digits are taken for another even from the untouched code. To the eye, a tenth of the spread changes few of these ten, and half a spread changes many.
# The cost is stricter than the eye: it counts every pixel that was predicted wrongly and with confidence.
#
# ## 5. Two rivals
#
# Early stopping is one remedy for overfitting. Here are two others, with the same layers and the same 1,000 digits:
#
# - The **denoising autoencoder** (Vincent et al. 2008) gets a damaged picture and has to draw the clean one. We flip each pixel with probability 0.1.
# - The **VAE**. Its encoder gives a mean and a variance for each code, and the decoder gets one sample of that Gaussian. The loss has a second term, the *KL*,
#   that keeps the codes near $\mathcal N(0, I)$, the *prior*. Lessons 02 to 07 take this apart. Today it is a black box that we only measure.
#
# Each model keeps the weights of its best epoch, among those trained here. All are measured with clean pictures. The *untouched* code of the VAE
# is the mean, without sampling.


# %%
class MeanVAE(VAE):
    """A VAE whose untouched code is the mean."""

    def encode(self, x):
        return self.q_z_given_x(x)[0]  # mean, log-variance


def denoising(model, x, share=0.1):
    flipped = torch.rand_like(x) < share
    return -log_bernoulli(x, model(torch.where(flipped, 1 - x, x))).mean()


def negative_elbo(model, x):  # reconstruction and KL; lesson 05 derives it
    return -model.elbo(x).elbo.mean()


# %% tags=["nbval-ignore-output"]
denoiser, denoiser_history = trained(Autoencoder, 2, denoising, epochs=150, keep_best="cost")
vae, vae_history = trained(MeanVAE, 2, negative_elbo, epochs=120, keep_best="cost")
print(f"best epochs: denoising {denoiser_history.best + 1}, VAE {vae_history.best + 1}")

# %%
code_plane(
    vae,
    "Left: the mean codes of the training digits in the VAE, between about -3 and 3 both ways. No class lies far out; "
    "several overlap in the middle. Right: pictures decoded across the same plane. The 1s and the 0s fill the left and right edges.",
    "VAE",
)

# %%
sturdiest = Prediction(
    "Held-out digits, codes nudged by a tenth of the spread: whose cost rises least?",
    ["that of the autoencoder stopped early", "that of the denoising autoencoder", "that of the VAE"],
)
sturdiest.ask()


# %%
@torch.no_grad()
def measure(model):
    """For each training or held-out digit, by name (N,): cost, and rise and agreement under nudges in both units."""
    z_train, z = model.encode(x_train), model.encode(x_held)
    found = {"cost, training": cost(model, x_train), "cost, held out": cost(model, x_held)}
    for name, unit in units(z_train).items():
        at = dict(zip((0, 0.1, 0.5), nudge_each(z, unit, model.decoder, x_held, y_held, judge), strict=True))
        found["agreement, untouched"] = at[0][1]
        for r in (0.1, 0.5):
            found[f"rise at {r}, {name}"] = at[r][0] - at[0][0]
            found[f"agreement at {r}, {name}"] = at[r][1]
    return found


def table(models, rows):
    """Print the mean of each row for models by name, with its standard error over digits."""
    print(" " * 26 + "".join(f"{name:>16}" for name in models))
    for row in rows:
        n = 3 if "agreement" in row else 1
        each = [(found[row].mean(), found[row].std() / len(found[row]) ** 0.5) for found in models.values()]
        print(f"{row:26}" + "".join(f"{mean:9.{n}f} ±{error:5.{n}f}" for mean, error in each))


# %% tags=["nbval-ignore-output"]
models = {"late": late, "stopped": stopped, "denoising": denoiser, "VAE": vae}
two = {name: measure(model) for name, model in models.items()}
table(two, ["cost, held out", "rise at 0.1, spread"])

# %%
rises = [two[name]["rise at 0.1, spread"].mean().item() for name in ("stopped", "denoising", "VAE")]
sturdiest.reveal(sturdiest.choices[int(np.argmin(rises))])

# %% [markdown]
# In the unit of the spread the VAE's cost rises least, and the denoising autoencoder's most.
#
# Is that an effect of the unit? Here are both units, and the agreement. Each mean is taken over the held-out digits, with its standard error.

# %% tags=["nbval-ignore-output"]
table(two, list(two["VAE"])[1:])

# %% [markdown]
# Early stopping has a price: the judge recognises fewer digits. Agreement goes on growing after the cost's best epoch, so when you compare it, look also at how long each model was trained.
#
# All models are measured on the same digits. What is easy or hard about a digit cancels in the *difference* of two models, so its standard error is
# smaller than with different digits.


# %%
def difference(one, other, row):
    """Mean of one minus other over the digits, and its standard error."""
    each = two[one][row] - two[other][row]
    return each.mean().item(), (each.std() / len(each) ** 0.5).item()


# %% tags=["nbval-ignore-output"]
for row in ("cost, held out", "agreement, untouched", "rise at 0.1, spread", "rise at 0.1, bulk", "rise at 0.5, bulk"):
    apart = {name: difference("stopped", name, row) for name in ("denoising", "VAE")}
    print(f"{row:22} stopped minus " + ", ".join(f"{k} {d:7.3f} ±{e:.3f}" for k, (d, e) in apart.items()))
larger = {}
for name, model in models.items():
    z = model.encode(x_train).detach()
    factors = units(z)
    # in two dimensions the determinant of a unit is an area; its square root is a length
    larger[name] = (factors["spread"].det() / factors["bulk"].det()).sqrt().item()
    outside = y_train[~torch.from_numpy(bulk(z).support_)].bincount(minlength=10).tolist()
    print(f"{name:10} spread / bulk {larger[name]:.1f}; outside the bulk, of each class from 0 to 9: {outside}")

# %%
mean = {name: {row: value.mean().item() for row, value in found.items()} for name, found in two.items()}
assert mean["VAE"]["rise at 0.1, spread"] < 0.9 * mean["stopped"]["rise at 0.1, spread"]
assert larger["stopped"] > 1.3 * larger["VAE"]
print("At a tenth of the spread the VAE's cost rises less than 0.9 times as much as the stopped autoencoder's.")

# %% [markdown]
# The answer depends on the unit. The stopped autoencoder has nearly all its 1s outside its bulk. They stretch its spread, and with it every nudge.
# The VAE's two units are nearly equal. Measured in the spread, its cost rises less than the stopped autoencoder's; measured in the bulk, it rises more in the stored run. (In one run on another machine it rose less there, so no check of this section asserts it. Section 6 asks five seeds.)
# Neither unit is the true one. A statement such as "the VAE is less brittle" needs its unit.
#
# ## 6. Five seeds, trained for longer
#
# One run can mislead, and a verdict may depend on when the training stopped. So a script (`benchmarks/long/01_until_it_stops.py`) trained the three kinds of model with five seeds. It took 300 epochs with two
# latents and 450 with sixteen. Its table is stored with the course. It holds every measure twice: "best" is the best epoch for the choosing digits, "end" the last.
# Costs and agreement are those of the held-out digits, unless a row says otherwise.

# %%
rows, about = data.long_run("01_until_it_stops")
print(about["command"], "|", about["seeds"], "seeds |", len(rows), "rows")


def over_seeds(row, n_latents, kind, moment="best"):
    """One measure of one kind of model, for each seed (5,)."""
    chosen = (r for r in rows if r["latents"] == n_latents and r["model"] == kind and r.get("moment") == moment)
    return np.array([r[row] for r in chosen])


def curve(n_latents, kind):
    """The measured epochs, and the cost of the choosing digits after each (5, epochs)."""
    chosen = [r for r in rows if r["latents"] == n_latents and r["model"] == kind and "choosing" in r]
    epochs = sorted({r["epoch"] for r in chosen})
    return epochs, np.array([[r["choosing"] for r in chosen if r["epoch"] == epoch] for epoch in epochs]).T


# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
for ax, n_latents in zip(axes, (2, 16), strict=True):
    for kind, style in (("autoencoder", "-"), ("denoising", "--"), ("VAE", "-.")):
        epochs, seeds = curve(n_latents, kind)
        ax.plot(epochs, seeds.mean(0), style, label=f"{kind}, mean of five seeds")
        ax.fill_between(epochs, seeds.min(0), seeds.max(0), alpha=0.2)
    ax.set(title=f"{n_latents} latents", xlabel="epoch", ylim=(110, 220))
axes[0].set_ylabel("cost of choosing digits (nats)")
axes[0].legend()
plotting.show(
    figure,
    "Cost of the choosing digits against epochs, for two latents on the left and sixteen on the right. Every curve falls, reaches a lowest point and climbs. "
    "Left: the plain autoencoder is lowest near epoch 55 and climbs by 40 nats until epoch 300; the VAE is lowest near 100 and climbs by 15; "
    "the denoising one is lowest after 120 and hardly climbs. Bands show the range of the seeds. Right: the plain autoencoder is lowest before "
    "epoch 100 and leaves the picture near 260. The VAE is lowest near 160, below both others, and climbs most slowly.",
)


# %%
def show_seeds(n_latents, measures, columns):
    """Print the mean over seeds of each measure with its standard error, for columns of (kind, moment)."""
    for first, headings in zip((f"{n_latents} latents", ""), zip(*columns, strict=True), strict=True):
        print(f"{first:24}" + "".join(f"{heading:>15}" for heading in headings))
    for row in measures:
        n = 3 if "agreement" in row else 1
        seeds = [over_seeds(row, n_latents, *column) for column in columns]
        print(f"{row:24}" + "".join(f"{s.mean():8.{n}f} ±{s.std(ddof=1) / len(s) ** 0.5:5.{n}f}" for s in seeds))


columns = [(kind, moment) for kind in ("autoencoder", "denoising", "VAE") for moment in ("best", "end")]
sizes = ("rise at 0.1", "rise at 0.5", "agreement at 0.1", "agreement at 0.5")
measures = ["epoch", "cost, training", "cost", "agreement", *(f"{u}: {at}" for u in ("spread", "bulk") for at in sizes)]
show_seeds(2, measures, columns)

# %% [markdown]
# The standard errors are over the seeds. A seed changes the weights and the noise, not the digits. In this lesson a difference *counts* if its mean over the seeds is over 2.78 times
# its standard error. (That is the 95 % bound of Student's $t$ for five seeds.) A difference that counts can be small. Of thirty such tests, one or two may count by luck.


# %%
def counts(row, n_latents, one, other):
    """1 or -1 if one (kind, moment) is higher or lower than the other by a difference that counts, else 0."""
    each = over_seeds(row, n_latents, *one) - over_seeds(row, n_latents, *other)
    error = each.std(ddof=1) / len(each) ** 0.5
    return int(np.sign(each.mean())) * (abs(each.mean()) > 2.78 * error)


best_ae, late_ae, best_dae, late_dae, best_vae, late_vae = columns
for r in (0.1, 0.5):
    assert counts(f"spread: rise at {r}", 2, best_vae, best_ae) == -1
    assert counts(f"bulk: rise at {r}", 2, best_vae, best_ae) == 1
assert (over_seeds("bulk: rise at 0.1", 2, *best_vae) - over_seeds("bulk: rise at 0.1", 2, *best_ae)).mean() < 1
assert counts("cost", 2, best_vae, best_ae) == -1
print("Two latents, best epochs: in the unit of the spread the VAE's cost rises less than the autoencoder's.")
print("In the unit of the bulk it rises more, by less than 1 nat at a tenth. The VAE's untouched cost is lower.")

# %%
for other in (best_ae, best_vae):
    assert counts("spread: rise at 0.1", 2, best_dae, other) == counts("bulk: rise at 0.1", 2, best_dae, other) == 1
assert counts("cost", 2, best_dae, best_ae) == -1
assert counts("agreement", 2, best_dae, best_ae) == counts("agreement", 2, best_dae, best_vae) == 1
print("Denoising lowers the autoencoder's cost. At its best epoch it is the most brittle of the three in both units.")

# %% [markdown]
# And training on, far beyond the best epoch?


# %%
def climb(n_latents, kind, times):
    """The cost of the choosing digits at so many times the best epoch, above its lowest point, for each seed (5,)."""
    epochs, seeds = curve(n_latents, kind)
    at = np.abs(np.array(epochs) - times * over_seeds("epoch", n_latents, kind).mean()).argmin()
    return seeds[:, at] - seeds.min(1)


for unit in ("spread", "bulk"):
    for other in (best_ae, late_vae):
        assert counts(f"{unit}: rise at 0.1", 2, late_ae, other) == 1
assert counts("cost", 2, late_ae, best_ae) == counts("agreement", 2, late_ae, best_ae) == 1
longer = {kind: over_seeds("cost", 2, kind, "end") - over_seeds("cost", 2, kind) for kind in ("autoencoder", "VAE")}
assert (longer["autoencoder"] - longer["VAE"]).min() > 10
climbs = [climb(2, kind, 2.75) for kind in ("autoencoder", "VAE")]
assert min(c.min() for c in climbs) > 5
difference = climbs[0] - climbs[1]
assert abs(difference.mean()) < 2.78 * difference.std(ddof=1) / 5**0.5
print("Trained on, the autoencoder costs more and is more brittle, in both units. Yet the judge recognises more.")
print("After 300 epochs the autoencoder's cost has climbed by over 10 nats more than the VAE's.")
print("A tenth of either unit then raises it more than the VAE's.")
print("At 2.75 times their best epochs both costs have climbed by over 5 nats. The difference does not count.")

# %% [markdown]
# So the autoencoder's cost suffers more than the VAE's after the same number of epochs. With two latents, at 2.75 times each one's best epoch, both have risen about equally.
# The denoising autoencoder's cost has hardly climbed by epoch 300, which is only 1.8 times its best epoch.
#
# ## 7. Sixteen numbers
#
# With sixteen latents, the training is longer than a lesson has time for, so we read it from the table.

# %%
keeps = Prediction(
    "Sixteen latents, each at its best epoch: who draws untouched held-out digits at the lowest cost?",
    ["the plain autoencoder", "the denoising autoencoder", "the VAE"],
)
keeps.ask()

# %%
show_seeds(16, measures, columns)

# %%
lowest = np.argmin([over_seeds("cost", 16, *column).mean() for column in (best_ae, best_dae, best_vae)])
keeps.reveal(keeps.choices[int(lowest)])

# %%
assert counts("cost", 16, best_vae, best_ae) == counts("cost", 16, best_vae, best_dae) == -1
for unit in ("spread", "bulk"):
    for r in (0.1, 0.5):
        assert counts(f"{unit}: rise at {r}", 16, best_vae, best_ae) == -1
assert counts("agreement", 16, best_vae, best_ae) == 1
assert counts("agreement", 16, late_vae, late_ae) == 0
assert counts("agreement", 16, late_dae, late_ae) == counts("agreement", 16, late_dae, late_vae) == 1
print("Sixteen latents, best epochs: the VAE draws held-out digits at a lower cost than the other two.")
print("Against the autoencoder, its cost rises less, at a tenth and a half of either unit. The judge recognises more;")
print("after the last epoch their difference in agreement does not count, and the denoising one leads.")

# %%
assert (over_seeds("cost", 16, *late_ae) - over_seeds("cost", 16, *best_ae)).min() > 150
assert counts("agreement", 16, late_ae, best_ae) == 1
assert (climb(16, "autoencoder", 2.75) - climb(16, "VAE", 2.75)).min() > 0
epochs, seeds = curve(16, "VAE")
assert (seeds - curve(16, "autoencoder")[1])[:, epochs.index(90)].min() > 4
print("Trained on to the end, the autoencoder's held-out digits cost over 150 nats more; the judge recognises more.")
print("At 2.75 times the best epoch its cost has climbed more than the VAE's, with every seed.")
print("At epoch 90, choosing digits cost the VAE over 4 nats more than the autoencoder.")

# %% [markdown]
# Cost and judge can disagree. The judge sees only which pixels are more likely ink, and not how sure the decoder is of them.
#
# With sixteen numbers, and VAE and autoencoder each at its best epoch, **the VAE has the lower cost and is less brittle, in both units**. The lead in cost
# is a few nats, and it takes patience. In the right panel of the figure above, whoever stops both at epoch 90 concludes the opposite.
#
# And the first saying, that a nudge breaks the picture? Both tables can answer.


# %%
def lost(r, n_latents, model):
    """The agreement that a nudge of r spreads destroys, for each seed (5,)."""
    return over_seeds("agreement", n_latents, *model) - over_seeds(f"spread: agreement at {r}", n_latents, *model)


for d in (2, 16):
    assert over_seeds("spread: rise at 0.1", d, *best_ae).max() < 7
    assert lost(0.1, d, best_ae).mean() < 0.05
    assert over_seeds("spread: rise at 0.1", d, *late_ae).min() > 10
    for model in (best_ae, best_dae, best_vae):
        assert lost(0.5, d, model).mean() > 0.1
print("A tenth of the spread: at its best epoch the autoencoder's cost rises by under 7 nats, and its agreement")
print("falls by under 0.05. Trained on to the end, its cost rises by over 10 nats.")
print("Half a spread: the agreement of all three kinds of model falls by over 0.1, at their best epochs.")

# %% [markdown]
# **The first saying is partly true.** At the best epochs of autoencoder and VAE, a tenth of the spread does little. Half a spread breaks many. (*Broken* means: no longer this digit, perhaps a good picture of another.)
# Trained far beyond its best epoch, the autoencoder's cost suffers from a tenth too; its agreement falls little more.
#
# **The second saying is partly true.** A VAE is no cure: half a spread breaks many of its pictures too. With each at its best epoch, it is less brittle than the autoencoder:
# in both units with sixteen latents, only in the spread with two.
#
# Both verdicts depend on the unit, on the moment at which the training stops, and on the measure.
#
# All this was tried with 1,000 training digits, one size of network, one strength of the denoising noise, and one weight of the KL. (Lesson 07 varies it.)
# It was not tried with other data.

# %% [markdown]
# ## 8. How much the axes matter (optional)
#
# Section 4 chose a unit that does not depend on the axes of the code. How much would they matter for the late autoencoder? We turn its codes by four angles, and nudge those of the held-out digits by a tenth.


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def rise_when_turned(angle, unit_of):
    """Mean rise of the cost at 0.1, in a unit measured after the codes were turned by an angle in degrees."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float32)
    unit, codes = unit_of(late.encode(x_train) @ turn), late.encode(x_held) @ turn
    at = nudge_each(codes, unit, lambda z: late.decoder(z @ turn.T), x_held, y_held, judge, sizes=(0.0, 0.1))
    return (at[1, 0] - at[0, 0]).mean().item()


by_coordinate = [rise_when_turned(angle, lambda z: z.std(0).diag()) for angle in (0, 30, 45, 60)]
by_cholesky = [rise_when_turned(angle, lambda z: torch.linalg.cholesky(torch.cov(z.T))) for angle in (0, 30, 45, 60)]
print("axes turned by                 0     30     45     60 degrees")
print("coordinate by coordinate " + "".join(f"{rise:7.1f}" for rise in by_coordinate))
print("Cholesky factor          " + "".join(f"{rise:7.1f}" for rise in by_cholesky))

# %%
assert max(by_cholesky) < 1.12 * min(by_cholesky)
print("With the Cholesky factor the rise is the same for every angle, within 12 %.")

# %% [markdown]
# In the coordinate-wise unit the rise changes with the angle.

# %% [markdown]
# ## 9. The encoder's fault or the decoder's? (optional)
#
# A code that scores badly may be the encoder's fault: the decoder could perhaps draw the digit well from another code.
# To find out, sample many codes blindly, without looking at the digit, from the Gaussian that has the codes' mean and covariance.


# %%
def sample_like(z, n, generator):
    """n codes from the Gaussian with the mean and covariance of z (N, d): mean + L eps, L L^T = cov(z)."""
    cholesky = torch.linalg.cholesky(torch.cov(z.T))
    return z.mean(0) + torch.randn(n, z.shape[1], generator=generator) @ cholesky.T


# %% [markdown]
# Then average the probability of the digit over $K$ such codes. (In lesson 00, $p(x)$ is the average over the prior. Here the codes come from the Gaussian fitted to the codes.)
#
# $$p(x) \approx \frac1K \sum_{k=1}^K p(x\mid z_k), \qquad \text{blind cost} = -\log p(x).$$
#
# By hand: of four codes one gives the picture probability 0.08 and the others give it
# nothing. The average is 0.02, and the blind cost is $-\log 0.02 = 3.91$ nats.


# %%
def log_average(x, logits):
    """log of the average probability of each picture x (N, D) over the drawings with logits (K, D): (N,)."""
    # log p(x|z) = x . logits - sum log(1 + exp(logits)), so that one matrix product serves all pairs
    log_p = x @ logits.T - nn.functional.softplus(logits).sum(1)  # (N, K)
    return log_p.logsumexp(1) - np.log(len(logits))


def blind_cost(x, logits):
    """Mean blind cost of pictures x (N, D) under the drawings with logits (K, D), in nats."""
    return -log_average(x, logits).mean().item()


# %%
one_in_four = torch.tensor([[0.08], [1e-9], [1e-9], [1e-9]], dtype=torch.float64)
by_hand = blind_cost(torch.ones(1, 1, dtype=torch.float64), torch.logit(one_in_four))
np.testing.assert_allclose(by_hand, -np.log(0.02), atol=1e-6)
print(f"by hand: {by_hand:.2f} nats")

# %% tags=["nbval-ignore-output"]
blind = {}
for name, model in models.items():
    with torch.no_grad():
        drawn = model.decoder(sample_like(model.encode(x_train), 10_000, torch.Generator().manual_seed(SEED)))
        own_minus_blind = cost(model, x_held) + log_average(x_held, drawn)
        fewer = cost(model, x_held) + log_average(x_held, drawn[:1000])
    standard_error = own_minus_blind.std() / len(x_held) ** 0.5
    blind[name] = (
        own_minus_blind.mean().item(),
        own_minus_blind.median().item(),
        (own_minus_blind > 0).float().mean().item(),
    )
    print(
        f"{name:10} own code minus blind: mean {blind[name][0]:6.1f} ±{standard_error:.1f}, median {blind[name][1]:5.1f} nats;",
        end="",
    )
    print(f"  blind is cheaper for {blind[name][2]:.0%} of digits;  with 1,000 codes: mean {fewer.mean():.1f}")

# %%
assert blind["VAE"][2] > 0.3
assert blind["late"][0] > 15
assert blind["late"][2] > 0.55
assert blind["late"][1] > 3
assert blind["late"][0] > 3 + max(blind["VAE"][0], blind["stopped"][0])
print(
    "For over 55 % of held-out digits the late autoencoder's blind cost is lower than the cost through their own code."
)
print("On average it is lower by over 15 nats. The VAE's is lower for over 30 % of them, and differs less on average.")

# %% [markdown]
# How can codes that were sampled blindly beat the digit's own code? An average of 10,000 probabilities is at most the largest of them. So for each of these digits
# some sampled code lets the decoder draw it at a lower cost than the code that the encoder chose.
# For them, at least part of the trouble is the encoder's choice of the code.
# The late autoencoder suffers most from it, and the VAE is not free of it.
#
# The estimate has a bias. The average of $K$ probabilities is right on average, but its negative logarithm is too high on average (lesson 05 proves it).
# So the true difference is larger still, and with 1,000 codes in place of 10,000 it comes out smaller, as printed. With sixteen numbers the bias spoils the
# measure: a blind code rarely lands near a given digit's. Lesson 10 shows this, and has the remedy.
#
# ## 10. Three tempting measures (optional)
#
# How good are the pictures drawn from sampled codes? A tempting measure is the distance to the nearest real digit: small means realistic. Before trusting it, give
# it something that is certainly not a digit: the average of all training digits, a grey cloud.


# %%
def to_nearest_real(pictures):
    """Mean Euclidean distance of pictures (N, D) to the nearest training digit."""
    return torch.cdist(pictures, x_train).min(1).values.mean().item()


cloud = x_train.mean(0, keepdim=True)
logits_cloud = torch.logit(cloud, eps=1e-3)
print(f"distance: real held-out digits {to_nearest_real(x_held):.1f}, the grey cloud {to_nearest_real(cloud):.1f}")
print(f"blind cost of held-out digits, if every drawing is the cloud: {blind_cost(x_held, logits_cloud):.0f} nats")
real = {sure: blind_cost(x_held, torch.logit(x_train, eps=1 - sure)) for sure in (0.999, 0.95)}
for sure, nats in real.items():
    print(f"the same, if it is a real training digit, its pixels stated with probability {sure}: {nats:.0f} nats")

# %%
assert to_nearest_real(cloud) < to_nearest_real(x_held) - 0.3
assert real[0.999] > 100 + blind_cost(x_held, logits_cloud)
assert real[0.95] < blind_cost(x_held, logits_cloud)
print("By distance the cloud beats real digits by over 0.3. By blind cost it beats them by over 100 nats if they are")
print("drawn with a certainty of 0.999, and loses if they are drawn with 0.95.")

# %% [markdown]
# By distance the grey cloud is *more* realistic than real digits are. Sharp pictures are far apart
# because their strokes miss each other; blur is near to everything. **Distance to the nearest real digit rewards blur.** The blind cost
# punishes something else: pixels that are stated wrongly and with too much certainty.
#
# The second measure looks at codes in place of pictures. How far do blindly sampled codes lie from the nearest code of a training digit,
# compared with the codes of held-out digits? Near 1, the samples land where codes are. Above 1, they land in holes or outside.


# %%
def hole_ratio(sampled, codes_train, codes_held):
    """How many times farther sampled codes lie from the training codes than codes of unseen digits do."""
    to_nearest = [torch.cdist(z, codes_train).min(1).values.median() for z in (sampled, codes_held)]
    return (to_nearest[0] / to_nearest[1]).item()


z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
print(f"control, all codes from one Gaussian: {hole_ratio(z[:2000], z[2000:3000], z[3000:]):.2f}")

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    for name, model in models.items():
        z_train, z_held = model.encode(x_train), model.encode(x_held)
        sampled = sample_like(z_train, 2000, torch.Generator().manual_seed(SEED))
        print(f"{name:10} hole ratio {hole_ratio(sampled, z_train, z_held):.2f}")

# %% [markdown]
# The trap: this ratio judges the Gaussian that we
# fitted as much as the model. Other ways of sampling codes might find fewer holes. So we conclude nothing about the models from it.
#
# The third measure is the *largest jump*. Walk in 19 equal steps from one held-out code to another. What share of all the change in the picture falls
# into the largest step? Perfectly even steps would have 1/19 = 0.053. Our digits come in rounds
# from 0 to 9, so digit $i$ and digit $i + 500$ are of the same class. Random pairs mostly are not.


# %%
def interpolate(z_start, z_end, steps):
    """Codes (steps, N, d) on the straight lines between codes (N, d), both ends included."""
    t = torch.linspace(0, 1, steps)[:, None, None]
    return (1 - t) * z_start + t * z_end


@torch.no_grad()
def largest_jump(model, order):
    """For each of 500 pairs of held-out digits (500,): share of the largest of 19 steps in the change of the picture."""
    z = model.encode(x_held)[order]
    change = torch.sigmoid(model.decoder(interpolate(z[:500], z[500:], 20))).diff(dim=0).norm(dim=-1)  # (19, 500)
    return change.max(0).values / change.sum(0)


# %% tags=["nbval-ignore-output"]
random_order = torch.randperm(1000, generator=torch.Generator().manual_seed(SEED))
jumps = {}
for name, model in models.items():
    jumps[name] = [largest_jump(model, order) for order in (random_order, torch.arange(1000))]
    shown = ", ".join(f"{jump.mean():.3f} ±{jump.std() / 500**0.5:.3f}" for jump in jumps[name])
    print(f"{name:10} random pairs, pairs of one class: {shown}")

# %%
for other in ("late", "stopped", "denoising"):
    apart = jumps[other][0] - jumps["VAE"][0]  # over the same random pairs
    assert apart.mean() > 3 * apart.std() / 500**0.5
    assert jumps[other][0].mean() > 1.1 * jumps[other][1].mean()
print("On random pairs the VAE's largest jump is smaller than that of each other model, by over 3 standard errors.")
print("For the other models random pairs jump more than pairs of one class, by over 10 %.")

# %% [markdown]
# By this measure, in this run, the VAE's paths are the smoothest. The trap is the choice of pairs: on pairs of one class the models differ less, as printed.

# %% [markdown]
# ## 11. A linear autoencoder on real digits (optional)
#
# Without hidden layers the encoder and the decoder are one matrix each (and a bias), and the autoencoder is *linear*. Principal component analysis (PCA) takes the two directions
# of most variance from the covariance matrix. The linear autoencoder knows nothing of covariances: it follows the gradient of its squared error from random weights.
# Its decoder's matrix has two columns. Every picture it can draw is a sum of multiples of them, a plane.

# %%
which = Prediction(
    "After training, what are the two columns of the decoder's matrix?",
    [
        "the first two principal components",
        "two other vectors in the plane of the components",
        "two vectors that leave that plane",
    ],
)
which.ask()

# %% tags=["nbval-ignore-output"]
torch.manual_seed(SEED)
centred = x_train - x_train.mean(0)
linear = Autoencoder(784, 2, hidden=())


def squared_error(x):
    return {"loss": (linear(x) - x).pow(2).sum(1).mean()}


linear_history = fit(linear, squared_error, centred, epochs=500, batch_size=1000, lr=one_cycle(0.1), seed=SEED)

# %% [markdown]
# Two questions, two numbers. *Same plane?* Two planes have two principal angles between them, both 0 when the planes
# are one (`scipy.linalg.subspace_angles`, against scikit-learn's PCA). *Same vectors?* The cosine of a column
# with a component is ±1 when they point the same way or oppositely. The vectors are the same only if one column matches the first component and the other the second.

# %% tags=["nbval-ignore-output"]
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

components = PCA(2, svd_solver="full").fit(centred.numpy()).components_  # (2, 784)
weights = linear.decoder[0].weight.detach().numpy()  # (784, 2)
angles = np.rad2deg(subspace_angles(weights, components.T))
cosines = np.abs(components @ (weights / np.linalg.norm(weights, axis=0)))  # (2, 2)
eigenvalues = np.linalg.eigvalsh(np.cov(centred.numpy().T, bias=True))  # ascending
print("angles between the planes:", angles.round(2), "degrees")
print("cosines of the two components (rows) with the two columns:\n", cosines.round(2))
print(f"error {linear_history.train['loss'][-1]:.4f}, sum of the other 782 eigenvalues {eigenvalues[:-2].sum():.4f}")

# %%
excess = linear_history.train["loss"][-1] / eigenvalues[:-2].sum() - 1
same_plane, same_vectors = angles.max() < 1, cosines.max(1).min() > 0.99
assert same_plane
assert not same_vectors
assert abs(excess) < 1e-3
which.reveal(which.choices[0 if same_vectors else 1 if same_plane else 2])
print("The planes agree within a degree, the error within a thousandth of PCA's; the vectors differ.")

# %% [markdown]
# Why not the components themselves? Because nothing in the loss prefers them. Replace the decoder's matrix $W$ by $WA$ with any
# invertible $A$, and the code $z$ by $A^{-1}z$: every picture is drawn as before.

# %%
A = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
with torch.no_grad():
    code, weight, bias = linear.encode(centred), linear.decoder[0].weight, linear.decoder[0].bias
    other_code = code @ torch.linalg.inv(A).T  # rows are pictures, hence the transposes
    torch.testing.assert_close(other_code @ (weight @ A).T + bias, linear.decode(code), atol=1e-4, rtol=0)
assert (other_code - code).abs().max() > 0.1
print("With other axes, the same pictures.")

# %% [markdown]
# The error fixes the plane, not the axes in it. This is the freedom that made the coordinate-wise nudge of section 4 arbitrary. Lesson 08 looks for what, if anything, picks a VAE's axes.
# **A linear autoencoder with squared error finds PCA's plane.**
#
# ## 12. Move through both planes (optional)
#
# An autoencoder and a VAE, smaller than above and trained before, to their best epoch or for 450 epochs. Click or drag in a plane, use the sliders, or send both points to the code of a held-out digit. Around the circle are ten points near it.

# %%
from vae_lessons.live import live_figure

live_figure("planes")

# %% [markdown]
# Go through both planes with a nudge of 0.1, then of 0.3. Where do the ten pictures stay one digit, and where do they fall apart? Look inside the clouds, at their edges, and in the empty places between them.
#
# ## Easy to forget
#
# - A nudge needs a unit. The same step is nothing for an autoencoder with codes in the tens, and large for a VAE
#   with codes of order one. Name your unit, and try a second one.
# - Compare models at their own best epochs, and name the measure that chose them: the best epoch by cost is not the best by agreement.
#   Choose the epoch on one set of pictures, and score on another.
# - Measure the damage from the untouched code. For a VAE that is the mean: a sample already contains noise.
# - Distance to the nearest real picture rewards blur.
# - Sum nats over the pixels of a picture.
#
# ## Summary
#
# - A linear autoencoder keeps the directions in which the pictures differ most. It finds their plane, not the principal components themselves.
# - *"It draws well only at isolated points; nudge a code and the picture breaks":* **partly true.** It depends on the nudge and on the training.
#   At its best epoch, a tenth of the spread raises the held-out cost by 5.0 nats with two latents, 4.8 with sixteen. Agreement falls by under 0.05.
#   After training to the end, the same nudge raises its cost by 21.4 and 25.4 nats. Half a spread breaks many pictures, in every model.
# - *"A VAE cures that":* **partly true.** At the best epochs and with sixteen latents, the VAE is less brittle than the autoencoder in both units.
#   With two latents it depends on the unit. A tenth of the spread raises the VAE's cost by 2.4 nats, against 5.0. A tenth of the bulk raises it by 1.9, against 1.3.
#   It is no cure: half a spread raises the VAE's cost by 46.5 nats with two latents, and by 63.3 with sixteen.
# - Trained equally long, far past the best epochs, the autoencoder's cost has risen more than the VAE's. At 2.75 times each one's best epoch, both have risen about equally with two latents, and the autoencoder's more with sixteen (choosing digits).
# - With sixteen latents, each at its best epoch, the VAE draws held-out digits at a lower cost than the autoencoder: 122.8 nats against 128.2. At the best epochs its lead in agreement counts, but the VAE's best epoch comes later.
#   After 450 epochs that lead does not count, and denoising leads.
# - With two latents, the denoising autoencoder has a lower cost than the plain one at its best epoch. There it is the most brittle of the three, and its untouched digits are recognised most. It needs three times as many epochs to reach its best.
#
# **Back:** [00 · Start here](00_start_here.ipynb). **Next:** [02 · Sampling from a Gaussian](02_gaussian_sampling.ipynb), the first part of the black box of section 5.
#
# ## Try it
#
# 1. Section 6 demands 2.78 standard errors. Set that number to 4. The check "Two latents, best epochs: in the unit of the spread" stops with an error: which of its differences no longer counts?
# 2. Is the blind cost of the *training* digits lower than the cost through their own codes? Predict first, then replace `x_held` by `x_train` where section 9 computes `own_minus_blind`. The check below it, which is
#    about held-out digits, will stop with an error.
# 3. Does the angle matter as much for the autoencoder that was stopped early? Replace `late` by `stopped` in section 8.
# 4. Train the plain autoencoder with noise added to its codes, a twentieth of their spread. You have built half a VAE. Which half? Put it into `models` and look at its rise in both units.
#
# **Exercise.** [Exercise 01](../work/ex01_autoencoder.ipynb) has functions for you to write, and checks each as you go.
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*; Rezende, Mohamed & Wierstra 2014: the VAE.
# - Vincent, Larochelle, Bengio & Manzagol 2008, *Extracting and Composing Robust Features with Denoising Autoencoders*.
# - Rousseeuw 1984, *Least Median of Squares Regression*: the minimum covariance determinant.
# - Baldi & Hornik 1989, *Neural Networks and Principal Component Analysis*.
# - Jordan 2018, *Variational autoencoders* (jeremyjordan.me); Raschka, STAT 453, lecture 17; dlcourse.ai: the sayings.
# - LeCun et al. 1998: the digits.
