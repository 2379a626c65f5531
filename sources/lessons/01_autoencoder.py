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
# An autoencoder squeezes a picture into a few numbers, its *code*, and draws the picture again from the code.
# Two things are said of it so often that hardly anyone checks them:
#
# 1. it draws well only from the codes it has seen: **nudge a code and the picture breaks**;
# 2. **a variational autoencoder (VAE) cures that**.
#
# **The question of this lesson: are these true, and by how much?** You will train both on the same real digits,
# nudge both by the same amount and read the damage in numbers. One part of the folklore will stand, one will not.
#
# *You need:* to have trained a small PyTorch network once. *Time:* 60 minutes to read and try, under a minute to run.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import nn

from vae_lessons import data, plotting
from vae_lessons.distributions import log_bernoulli
from vae_lessons.models import VAE
from vae_lessons.training import fit, one_cycle
from vae_lessons.widgets import Prediction

SEED = 0  # change it and run everything again: the claims below must survive that

# %% [markdown]
# ## 1. Two pixels and one number, by hand
#
# The smallest autoencoder: pictures of two pixels, codes of one number. Here are four pictures, with mean zero, and
# their covariance matrix, the average of $x x^\top$.

# %%
points = np.array([[3, 1], [1, 3], [-3, -1], [-1, -3]], dtype=float)  # (N, 2)
covariance = points.T @ points / len(points)
print(covariance)

# %% [markdown]
# Encode by measuring how far a picture lies along one direction $u$ of length 1, decode by walking that far along $u$:
#
# $$z = u^\top x, \qquad \hat x = z\,u .$$
#
# Take $u$ along the diagonal. For $x = (3, 1)$ that is $z = (3 + 1)/\sqrt 2 = 2.828$, and back: $\hat x = (2, 2)$.

# %%
u = np.array([1, 1]) / np.sqrt(2)
codes = points @ u  # (N,)
rebuilt = codes[:, None] * u  # (N, 2)
for x, z, x_hat in zip(points, codes, rebuilt, strict=True):
    print(f"picture {x}   code {z:6.3f}   rebuilt {x_hat.round(3)}")

# %% [markdown]
# $(3, 1)$ and $(1, 3)$ got the same code, so they are rebuilt as the same picture, halfway between them. That is all
# an autoencoder can do with too few numbers: keep what pictures share, lose what tells them apart.
#
# Was the diagonal a good choice? $\hat x$ is the foot of the perpendicular from $x$ on the line, so by Pythagoras
# $\lVert x\rVert^2 = z^2 + \lVert x - \hat x\rVert^2$. Averaged over the pictures: **the error is what is left of the
# total variance after the variance of the codes is taken away.** The least error has the direction of most variance,
# the first *principal component*. We try all directions, in steps of a degree.

# %%
degrees = np.arange(180)
directions = np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])  # (2, 180)
error = (points**2).sum(1).mean() - ((points @ directions) ** 2).mean(0)  # (180,)
least, most = np.linalg.eigvalsh(covariance)
print(f"least error {error.min():.3f} at {degrees[error.argmin()]} degrees; on the diagonal we measure", end=" ")
print(f"{((points - rebuilt) ** 2).sum(1).mean():.3f}; eigenvalues {most:.3f} and {least:.3f}")
assert degrees[error.argmin()] == 45
np.testing.assert_allclose(error.min(), least)

# %% [markdown]
# The best direction is the diagonal, and the error left is the smaller eigenvalue of the covariance matrix: the
# variance in the direction that the code gave up.
#
# ## 2. A linear autoencoder on real digits
#
# Now the general code. An encoder and a decoder, each a stack of linear layers with ReLUs between them. Without
# hidden layers nothing is left but two matrices, and the autoencoder is *linear*.


# %%
def mlp(*sizes):
    """Linear layers of the given sizes with ReLU between them, none after the last."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A plain autoencoder: one code per picture, no noise, no prior."""

    def __init__(self, n_pixels=784, n_latents=2, hidden=(256, 64)):
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
# The data: real handwritten digits of 28 × 28 = 784 pixels. We make every pixel ink (1) or paper (0), so that
# "the probability of a picture" will be an honest probability. 1,000 digits to train on, 1,000 others held out, and
# 4,000 for a classifier that will act as a judge. The 1,000 are few on purpose: overfitting shows soonest with little data.

# %%
(x_all, y_all), (x_held, y_held) = data.digits()
x_all, x_held = (x_all > 0.5).float(), (x_held > 0.5).float()
x_train, y_train = x_all[:1000], y_all[:1000]
figure, ax = plt.subplots(figsize=(7, 1.6))
plotting.images(x_train[:20], ax=ax, columns=10)
plotting.show(figure, "Twenty handwritten digits in two rows, white ink on black: each digit from 0 to 9 twice.")
print("train", tuple(x_train.shape), "held out", tuple(x_held.shape), "judge", tuple(x_all.shape))

# %% [markdown]
# Principal component analysis (PCA) finds the two directions of most variance from the covariance matrix. The linear
# autoencoder knows nothing of covariances: it follows the gradient of its squared error from random weights.

# %%
which = Prediction(
    "After training, what are the two columns of the decoder's matrix?",
    [
        "the first two principal components",
        "other vectors, that span the same plane",
        "other vectors, that span another plane",
    ],
)
which.ask()

# %% tags=["nbval-ignore-output"]
torch.manual_seed(SEED)
centred = x_train - x_train.mean(0)
linear = Autoencoder(784, 2, hidden=())


def squared_error(x):
    return {"loss": (linear(x) - x).pow(2).sum(1).mean()}


linear_history = fit(linear, squared_error, centred, epochs=1000, batch_size=1000, lr=one_cycle(0.1), seed=SEED)

# %% [markdown]
# Two questions, two numbers. *Same plane?* The principal angles between two planes tell: both are 0 when the planes
# are one (`scipy.linalg.subspace_angles`, against scikit-learn's PCA). *Same vectors?* The cosine of a column of the
# decoder's matrix with a component is ±1 when they point the same way.

# %% tags=["nbval-ignore-output"]
components = PCA(2, svd_solver="full").fit(centred.numpy()).components_  # (2, 784)
columns = linear.decoder[0].weight.detach().numpy()  # (784, 2)
angles = np.rad2deg(subspace_angles(columns, components.T))
cosines = np.abs(components @ (columns / np.linalg.norm(columns, axis=0)))  # (2, 2)
print("angles between the planes:", angles.round(2), "degrees")
print("cosines of the components (rows) with the columns:\n", cosines.round(2))

# %% [markdown]
# And the squared error? PCA's is known: the sum of all eigenvalues of the covariance matrix but the two largest, as
# in the hand-made case.

# %%
eigenvalues = np.linalg.eigvalsh(np.cov(centred.numpy().T, bias=True))  # ascending
excess = linear_history.train["loss"][-1] / eigenvalues[:-2].sum() - 1
same_plane, same_vectors = angles.max() < 1, cosines.max(1).min() > 0.99
assert same_plane
assert not same_vectors
assert abs(excess) < 1e-3
print("The planes agree within a degree, the error within a thousandth of PCA's; the vectors differ.")
which.reveal(which.choices[0 if same_vectors else 1 if same_plane else 2])

# %% [markdown]
# Why not the components themselves? Because nothing asks for them. Replace the decoder's matrix $W$ by $WA$ with any
# invertible $A$, and the encoder's by $A^{-1}$ times what it was: every picture is rebuilt exactly as before. The error
# fixes the plane, not the axes in it. Remember this freedom: lesson 08 asks what, if anything, picks a VAE's axes.
#
# **PCA is the linear autoencoder.** What we train from here on is PCA with curved planes.
#
# ## 3. A real autoencoder, and overfitting of the ordinary kind
#
# With hidden layers the decoder can bend the plane of codes through the space of pictures. What should it output? We
# let it state a probability of ink for every pixel, and score it by the probability that it gave to the picture that
# really was there: the *Bernoulli likelihood*. By hand, for two pixels: the decoder says 90 % ink for both; the first
# is ink, the second is paper.

# %%
logits = torch.logit(torch.tensor([0.9, 0.9], dtype=torch.float64))  # log-odds: what the network outputs
ink = torch.tensor([1.0, 0.0], dtype=torch.float64)
by_hand = np.log(0.9) + np.log(1 - 0.9)
print(f"by hand: {by_hand:.4f} nats      log_bernoulli: {log_bernoulli(ink, logits).item():.4f} nats")
print(f"784 pixels guessed by flipping a coin: {784 * np.log(0.5):.1f} nats")

# %% [markdown]
# A pixel that was rightly called costs 0.105 nats, a wrong one 2.303. All our numbers will be **nats per picture,
# summed over the 784 pixels**, and written as a cost, $-\log p(x\mid z)$: less is better. Zero would mean that every
# pixel was called with certainty; 543.4 is a coin flip for each.
#
# We train an autoencoder with a code of 2 numbers, so that all of its latent space fits on a page.


# %% tags=["nbval-ignore-output"]
def train_autoencoder(n_latents, epochs):
    torch.manual_seed(SEED)
    model = Autoencoder(784, n_latents, hidden=(256, 128, 64))

    def cost(x):
        return {"loss": -log_bernoulli(x, model(x)).mean()}

    return model, fit(model, cost, x_train, epochs=epochs, held_out=[x_held], seed=SEED)


autoencoder, history = train_autoencoder(n_latents=2, epochs=150)

# %%
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(history.train["loss"], label="the 1,000 training digits")
ax.plot(history.held_out["loss"], "--", label="1,000 held-out digits")
ax.set(xlabel="epoch", ylabel="cost (nats per picture)", ylim=(100, 260))
ax.legend()
plotting.show(
    figure,
    "Cost against epochs. On the training digits it falls all the way. On held-out digits it falls with it at "
    "first, reaches its lowest point about a third of the way, then climbs again while the training cost goes on down.",
)

# %% tags=["nbval-ignore-output"]
cost_train, cost_held = history.train["loss"][-1], history.held_out["loss"][-1]
best = min(history.held_out["loss"])
print(f"train {cost_train:.1f}   held out {cost_held:.1f}   held out at its best epoch {best:.1f}   nats per picture")

# %%
assert cost_held - cost_train > 20
assert cost_held - best > 5
print("Held-out digits cost over 20 nats more than training digits; stopping earlier would have saved over 5.")

# %% [markdown]
# That is overfitting as you know it: the network learned the 1,000 digits, not digits. Note the last number. **Some of
# what follows could be had by stopping early**, and a fair comparison has to say so. We let it run on, as one does who
# watches only the training loss.
#
# ## 4. The plane of codes and its holes
#
# Where do the codes lie, and what does the decoder draw in between?


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def code_plane(codes, decode, alt, title):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5))
    plotting.scatter_classes(codes, y_train, ax=left)
    low, high = codes.quantile(0.01, 0), codes.quantile(0.99, 0)
    across, up = (torch.linspace(low[i].item(), high[i].item(), 15) for i in (0, 1))
    grid = torch.cartesian_prod(up.flip(0), across).flip(1)  # rows from top to bottom
    plotting.images(torch.sigmoid(decode(grid)), ax=right, columns=15)
    left.set(xlabel="$z_1$", ylabel="$z_2$", title=f"{title}: codes of the training digits")
    left.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    right.set_title("what it draws across the same plane")
    plotting.show(figure, alt)


with torch.no_grad():
    codes_train, codes_held = autoencoder.encode(x_train), autoencoder.encode(x_held)
code_plane(
    codes_train,
    autoencoder.decode,
    "Left: the codes of the training digits, a colour and marker for each class. They form long thin arms that "
    "radiate from a crowded centre, with wide empty wedges between the arms. Right: the pictures decoded on a grid "
    "over the same plane. Inside the arms they are clean digits; between the arms many are broken or mixed strokes.",
    "autoencoder",
)

# %% [markdown]
# The codes are arms and clumps with empty wedges between them. Nothing in the loss asked for anything else: the decoder
# is paid for the codes it gets, and the encoder may put them anywhere.
#
# A number for the holes. Draw new codes from the simplest distribution that fits, a Gaussian with the codes' mean and
# covariance, and ask how far each lies from the nearest code of a training digit. Compare with codes of real digits
# that the network has not seen. Without holes the ratio of the two medians would be near 1.


# %%
def sample_like(z, n, generator):
    """n codes from the Gaussian with the mean and covariance of z (N, d): mean + L eps, L L^T = cov(z)."""
    cholesky = torch.linalg.cholesky(torch.cov(z.T))
    return z.mean(0) + torch.randn(n, z.shape[1], generator=generator) @ cholesky.T


def hole_ratio(sampled, codes_train, codes_held):
    """How many times farther sampled codes lie from the training codes than codes of unseen digits do."""
    to_nearest = [torch.cdist(z, codes_train).min(1).values.median() for z in (sampled, codes_held)]
    return (to_nearest[0] / to_nearest[1]).item()


# %% tags=["nbval-ignore-output"]
generator = torch.Generator().manual_seed(SEED)
sampled = sample_like(codes_train, 2000, generator)
holes = hole_ratio(sampled, codes_train, codes_held)
print(f"sampled codes lie {holes:.2f} times as far from the training codes as codes of unseen digits")

# %%
assert holes > 1.3
print("Sampled codes fall into holes: over 1.3 times as far from any training code as the code of an unseen digit.")

# %% [markdown]
# ## 5. The nudge
#
# Now the claim itself. Take the code of a held-out digit, move it a little, decode, and see what became of the digit.
# "A little" needs a unit, or the comparison with another network is void: one network spreads its codes over tens, another
# over ones. We take the codes' own spread. A nudge of $r$ moves each coordinate by $r$ standard deviations of that
# coordinate over all codes, times normal noise:
#
# $$z' = z + r\,\operatorname{std}(z)\odot\varepsilon, \qquad \varepsilon \sim \mathcal N(0, I).$$


# %%
def nudge(z, r, generator):
    """Move each code (N, d) in a random direction by r times the codes' own spread."""
    return z + r * z.std(0) * torch.randn(z.shape, generator=generator)


# %%
example = torch.tensor([[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]])  # spread: 2 and 20
moved = nudge(example, 0.1, torch.Generator().manual_seed(0))
print("spread", example.std(0).tolist())
print("moved by", (moved - example).round(decimals=2).tolist())

# %% [markdown]
# Steps of the order of 0.2 in the first coordinate and of 2 in the second: a tenth of each one's spread.
#
# Two measurements of the damage: the cost of the true digit under the decoder's new answer, and **agreement**, how
# often a judge sees the true digit in the drawn picture. The judge is a plain classifier trained on all 4,000 training digits. A drawn
# picture is given to it as ink wherever ink is the likelier, so that grey haze cannot please it.

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
def nudge_test(codes, decode, sizes=(0.0, 0.05, 0.1, 0.2, 0.5), repeats=10):
    """Cost and agreement (len(sizes), 2) of held-out digits, decoded from codes nudged by each size."""
    generator, rows = torch.Generator().manual_seed(SEED), []
    for r in sizes:
        logits = torch.stack([decode(nudge(codes, r, generator)) for _ in range(repeats)])  # (repeats, N, D)
        agreement = (judge((logits > 0).float()).argmax(-1) == y_held).float().mean()
        rows.append([-log_bernoulli(x_held, logits).mean().item(), agreement.item()])
    return np.array(rows)


# %%
damage = Prediction(
    "You nudge by a tenth of the spread. What does the cost of a held-out digit do, in nats?",
    ["it rises by less than 5", "it rises by 5 to 50", "it rises by more than 50"],
)
damage.ask()

# %% tags=["nbval-ignore-output"]
sizes = (0.0, 0.05, 0.1, 0.2, 0.5)
plain = nudge_test(codes_held, autoencoder.decode)
print("nudge   cost (nats)   agreement")
for r, (nats, agreement) in zip(sizes, plain, strict=True):
    print(f"{r:5.2f}   {nats:11.1f}   {agreement:9.2f}")

# %%
rise, lost = plain[2, 0] - plain[0, 0], plain[0, 1] - plain[2, 1]
damage.reveal(damage.choices[0 if rise < 5 else 1 if rise <= 50 else 2])
assert 7 < rise < 50
assert lost > 0.02
print("A nudge of a tenth costs over 7 nats and over 2 points of agreement.")

# %% [markdown]
# So the first half of the folklore stands, for a code of two numbers: a tenth of the spread, a distance that you can hardly see
# in the picture above, already costs as much as many epochs of training gained. Here is what it looks like.


# %%
def show_nudged(codes, decode, alt, digits=10):
    """Rows: the true digits, then what is drawn from codes nudged by each size."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        rows = [torch.sigmoid(decode(nudge(codes, r, generator)[:digits])) for r in sizes]
    figure, ax = plt.subplots(figsize=(7, 4.2))
    plotting.images(torch.cat([x_held[:digits], *rows]), ax=ax, columns=digits)
    for row, label in enumerate(["true", *[f"r = {r}" for r in sizes]]):
        ax.text(-6, 30 * row + 14, label, ha="right", va="center")
    plotting.show(figure, alt)


show_nudged(
    codes_held,
    autoencoder.decode,
    "Ten held-out digits, one a column. Top row: the true digits. Below: what the autoencoder draws from the untouched "
    "code and from codes nudged by 0.05, 0.1, 0.2 and 0.5 of the spread. The small nudges change some digits into "
    "others or smear them, and at 0.5 hardly any column still shows its digit.",
)

# %% [markdown]
# ## 6. New digits from the autoencoder? A measure that lies, and one that does not
#
# Sampling and blending are what one would like a latent space for. Here are digits drawn from codes that were sampled
# from the fitted Gaussian, and the way from one digit to another along the straight line between their codes.


# %%
def interpolate(z_start, z_end, steps):
    """Codes (steps, d) on the straight line between two codes (d,), both ends included."""
    t = torch.linspace(0, 1, steps)[:, None]
    return (1 - t) * z_start + t * z_end


with torch.no_grad():
    paths = torch.cat([interpolate(codes_held[i], codes_held[j], 10) for i, j in ((0, 1), (3, 7), (4, 6))])
    drawn, on_paths = torch.sigmoid(autoencoder.decode(sampled)), torch.sigmoid(autoencoder.decode(paths))
figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5))
plotting.images(drawn[:30], ax=top)
plotting.images(on_paths, ax=bottom)
top.set_title("sampled")
bottom.set_title("from one held-out digit (left) to another (right)")
plotting.show(
    figure,
    "Top: thirty digits decoded from sampled codes; most look like digits, several are broken or between two classes. "
    "Bottom: three rows, each a path between two digits. The picture does not change evenly: it stays, turns "
    "into some third digit or a smear, and jumps again.",
)

# %% [markdown]
# How good are the samples? A tempting measure is the distance to the nearest real digit: small means realistic. Before trusting it, give
# it something that is certainly not a digit: the average of all training digits, a grey cloud.


# %%
def to_nearest_real(pictures):
    """Mean Euclidean distance of pictures (N, 784) to the nearest training digit."""
    return torch.cdist(pictures, x_train).min(1).values.mean().item()


cloud = x_train.mean(0, keepdim=True)
print(f"real held-out digits {to_nearest_real(x_held):.1f}   the grey cloud {to_nearest_real(cloud):.1f}")
assert to_nearest_real(cloud) < to_nearest_real(x_held)

# %% [markdown]
# By this measure the grey cloud is *more* realistic than real digits are. Distances between sharp pictures are large
# because strokes miss each other; blur is near to everything. **Distance to the nearest real digit rewards blur**, and any model
# that blurs will seem to win by it. We shall not use it.
#
# A measure that cannot be fooled so: treat the model as a *generator* and ask how probable it makes digits that it
# has never seen. Draw many codes blindly, without looking at the digit, and average the probability of the digit over them:
#
# $$\log p(x) \approx \log \frac1K \sum_{k=1}^K p(x\mid z_k), \qquad z_k \text{ sampled}.$$
#
# Blur pays for every pixel that it is unsure of; holes pay because samples wasted in them explain no digit. By hand: if
# of four codes one gives the picture probability 0.08 and the others give it nothing, the average is 0.02, and the
# cost $-\log 0.02 = 3.91$ nats. In two dimensions 10,000 codes cover the plane; section 8 says why this fails with sixteen.


# %%
@torch.no_grad()
def blind_cost(x, logits):
    """Mean of -log of the average probability of each picture x (N, D) over the draws with logits (K, D), in nats."""
    # log p(x|z) = x . logits - sum log(1 + exp(logits)), so that one matrix product serves all pairs
    log_p = x @ logits.T - nn.functional.softplus(logits).sum(1)  # (N, K)
    return -(log_p.logsumexp(1) - np.log(len(logits))).mean().item()


one_in_four = torch.tensor([[0.08], [1e-9], [1e-9], [1e-9]], dtype=torch.float64)
print(f"by hand: {blind_cost(torch.ones(1, 1, dtype=torch.float64), torch.logit(one_in_four)):.2f} nats")

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    plain_blind = blind_cost(x_held, autoencoder.decode(sample_like(codes_train, 10_000, generator)))
print(f"through its own code: {plain[0, 0]:.1f} nats      blindly, from 10,000 samples: {plain_blind:.1f} nats")

# %%
assert plain_blind < plain[0, 0] - 5
print("Blind sampling explains held-out digits better than the autoencoder's own codes for them, by over 5 nats.")

# %% [markdown]
# Read that again, it is the surprise of this lesson. Codes drawn *blindly* explain unseen digits better than the codes that the encoder gives
# them. So the decoder can draw these digits well enough; **it is the encoder that puts them in the wrong place**, and in a plane where
# a small step changes everything, nearly the right place is not good enough. The overfitting sits between the two.
#
# ## 7. The promise: the same with a VAE
#
# A VAE of the same size: the same layers, trained for as long on the same 1,000 digits. Its encoder gives a mean and a
# variance for each code, the decoder gets one random draw, and the loss has a second term that keeps the codes near
# a standard Gaussian. Lessons 02 to 07 take it apart; today it is a black box that we only measure.


# %% tags=["nbval-ignore-output"]
def train_vae(n_latents, epochs):
    torch.manual_seed(SEED)
    model = VAE(784, n_latents, hidden=(256, 128, 64))

    def cost(x):
        elbo, log_p_x_given_z, kl = model.elbo(x)
        return {"loss": -elbo.mean(), "reconstruction": -log_p_x_given_z.mean(), "kl": kl.mean()}

    return model, fit(model, cost, x_train, epochs=epochs, held_out=[x_held], seed=SEED)


vae, vae_history = train_vae(n_latents=2, epochs=150)

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    means_train, means_held = vae.q_z_given_x(x_train)[0], vae.q_z_given_x(x_held)[0]
code_plane(
    means_train,
    vae.decoder,
    "Left: the mean codes of the training digits in the VAE. They fill a round disc about the origin, the classes "
    "side by side like slices, with no empty wedges. Right: pictures decoded across the same plane; nearly everywhere "
    "there is a digit, and neighbours turn into each other gradually.",
    "VAE",
)

# %%
better = Prediction(
    "Nudged by a tenth of their spread, the VAE's codes cost more as well. How much, against the autoencoder's rise?",
    ["less than half as much", "about the same", "more"],
)
better.ask()


# %%
def side_by_side(plain, promised):
    """Print two results of nudge_test next to each other; `rise` is the cost above that of the untouched code."""
    print("        ----- autoencoder -----   --------- VAE ---------")
    print("nudge      cost    rise   agree      cost    rise   agree")
    for r, row in zip(sizes, np.hstack([plain, promised]), strict=True):
        nats, agree, vae_nats, vae_agree = row
        rises = nats - plain[0, 0], vae_nats - promised[0, 0]
        print(f"{r:5.2f}   {nats:7.1f} {rises[0]:7.1f} {agree:7.2f}   {vae_nats:7.1f} {rises[1]:7.1f} {vae_agree:7.2f}")


# %% tags=["nbval-ignore-output"]
promised = nudge_test(means_held, vae.decoder)
side_by_side(plain, promised)

# %%
rises = [table[2, 0] - table[0, 0] for table in (plain, promised)]
ratio = rises[1] / rises[0]
better.reveal(better.choices[0 if ratio < 0.5 else 1 if ratio < 1.2 else 2])
assert (promised[1:, 0] < plain[1:, 0]).all()
print("At every nudge the held-out digits cost less with the VAE.")

# %% [markdown]
# **The promise is kept where it was made**: nudged by a tenth of the spread, the VAE's cost rises less than half as much. The reason is in the
# way it was trained: its decoder never saw the same code twice, always a random draw near it, so that it had to draw the digit from everywhere around.
# Now the other measures, side by side.

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    prior = torch.randn(10_000, 2, generator=generator)
    vae_blind = blind_cost(x_held, vae.decoder(prior))
vae_holes = hole_ratio(prior[:2000], means_train, means_held)
vae_train, vae_held = (side["reconstruction"][-1] for side in (vae_history.train, vae_history.held_out))
print("                                 autoencoder     VAE")
print(f"reconstruction, train                  {cost_train:5.1f}   {vae_train:5.1f}")
print(f"reconstruction, held out               {cost_held:5.1f}   {vae_held:5.1f}")
print(f"hole ratio of sampled codes            {holes:5.2f}   {vae_holes:5.2f}")
print(f"blind cost of held-out digits          {plain_blind:5.1f}   {vae_blind:5.1f}")

# %%
assert vae_held - vae_train < 0.75 * (cost_held - cost_train)
assert vae_holes < 1.15
assert abs(vae_blind - plain_blind) < 15
print("The VAE's gap between train and held out is smaller, and its sampled codes fall into no holes.")
print("As blind generators of held-out digits the two are within 15 nats of each other.")

# %% [markdown]
# Line by line:
#
# - **Train against held out.** The VAE draws its training digits *worse* than the autoencoder: it spends fewer nats on
#   each picture. In return what it learned carries over; the gap is smaller.
# - **Holes.** A code sampled from the VAE's prior lies about as near to the codes of training digits as the code of an unseen digit does.
# - **Blind cost.** About the same. Sampling digits from a two-number autoencoder with a fitted Gaussian is *not* hopeless; whoever
#   told you that it yields garbage had not measured it, or had more latent dimensions. Which brings us to the second half.
#
# ## 8. Sixteen numbers: where the folklore fails
#
# Two latent numbers make good maps and poor models. With sixteen the same two networks, on the same digits:

# %% tags=["nbval-ignore-output"]
autoencoder16, history16 = train_autoencoder(n_latents=16, epochs=100)
vae16, vae_history16 = train_vae(n_latents=16, epochs=100)

# %%
keeps = Prediction(
    "Sixteen latents, nudge of half the spread. Whose pictures still show the true digit to the judge more often?",
    ["the VAE's, by 5 points or more", "neither: within 5 points", "the autoencoder's, by 5 points or more"],
)
keeps.ask()

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    plain16 = nudge_test(autoencoder16.encode(x_held), autoencoder16.decode)
    promised16 = nudge_test(vae16.q_z_given_x(x_held)[0], vae16.decoder)
side_by_side(plain16, promised16)

# %%
kept, kept_vae = plain16[-1, 1], promised16[-1, 1]
keeps.reveal(keeps.choices[0 if kept_vae - kept >= 0.05 else 2 if kept - kept_vae >= 0.05 else 1])
rises16 = [table[-1, 0] - table[0, 0] for table in (plain16, promised16)]
assert rises16[1] < 0.75 * rises16[0]
print("The VAE's cost still rises less than three quarters as much as the autoencoder's, at half the spread.")

# %% [markdown]
# Cost and class tell opposite stories. The VAE's cost still rises less; it is the smoother decoder. But **the autoencoder
# keeps the digit recognisable more often**, untouched and nudged alike. It was free to spend as many nats on each
# picture as it liked and to spread its codes far apart; the VAE had to pay for them. How much it paid is its KL term, and
# what the price buys is the gap between train and held-out:

# %% tags=["nbval-ignore-output"]
print("                              autoencoder     VAE")
print(
    f"reconstruction, train               {history16.train['loss'][-1]:5.1f}   {vae_history16.train['reconstruction'][-1]:5.1f}"
)
print(
    f"reconstruction, held out            {history16.held_out['loss'][-1]:5.1f}   {vae_history16.held_out['reconstruction'][-1]:5.1f}"
)
print(f"KL paid, held out                     --    {vae_history16.held_out['kl'][-1]:5.1f}")

# %%
gap16 = history16.held_out["loss"][-1] - history16.train["loss"][-1]
vae_gap16 = vae_history16.held_out["reconstruction"][-1] - vae_history16.train["reconstruction"][-1]
assert vae_gap16 < 0.5 * gap16
assert history16.held_out["loss"][-1] < vae_history16.held_out["reconstruction"][-1]
print("The VAE's gap between train and held out is less than half the autoencoder's,")
print("and yet the autoencoder draws held-out digits at a lower cost.")

# %% [markdown]
# So with sixteen numbers "a VAE solves the autoencoder's overfitting" is only partly true. The *gap* shrinks; the pictures do
# not improve. A VAE is not a better autoencoder. **It is a generator whose encoder is a by-product**: with a prior that
# one can sample from, and a loss that, unlike the autoencoder's, is a bound on the probability of unseen data. Lessons 05 and 10
# make that measurable with many latents, where the blind cost of section 6 breaks down: in sixteen dimensions hardly any of
# 10,000 blind draws lands near a given digit, so its estimate is far too pessimistic.
#
# ## Easy to forget
#
# - A nudge needs a unit. The same absolute step is nothing for an autoencoder with codes in the tens and ruin for a VAE
#   with codes of order one. Say which unit you use.
# - Compare with the untouched code. A model that draws everything badly has little left to lose by a nudge.
# - Distance to the nearest real picture rewards blur.
# - "The autoencoder overfits" means two things: worse pictures of unseen digits (stopping early cures much of it), and
#   a decoder that makes no sense between codes (stopping early does not ask for any).
# - Summed nats per picture, not averages per pixel: 10 nats mean a factor of 22,000 in probability.
#
# ## Summary
#
# - A linear autoencoder finds the plane of the principal components, not the components.
# - With two latent numbers and 1,000 digits the folklore holds: nudged by a tenth of the spread, the autoencoder's cost rises more
#   than twice as much as the VAE's; its plane has holes, the VAE's has none.
# - Its decoder is better than its encoder: codes drawn blindly explain unseen digits better than the encoder's own codes.
# - With sixteen the autoencoder keeps a nudged digit's class *better*. What the VAE gains is a smoother decoder, a smaller gap, and a
#   prior to sample from.
#
# **Next:** lesson 02 draws samples from a Gaussian, the first of the parts that the black box of section 7 is made of.
#
# ## Try it
#
# 1. Stop the autoencoder of section 3 at its best epoch. Which of the two kinds of overfitting is cured?
# 2. Train on all 4,000 digits instead of 1,000. Which rows of the tables move, and which hardly?
# 3. Take one hidden layer away, `hidden=(256, 128)`. Is the decoder as easily upset? Why might depth matter here?
# 4. Train the plain autoencoder with noise added to its codes, a tenth of their spread. You have built half a VAE. Which half?
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*: the VAE.
# - Rezende, Mohamed & Wierstra 2014, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models*: the same, found independently.
# - Baldi & Hornik 1989, *Neural Networks and Principal Component Analysis*: the linear autoencoder's error has no other minima than PCA's plane.
# - Jordan 2018, *Variational autoencoders* (jeremyjordan.me); Raschka, STAT 453, lecture 17; dlcourse.ai: the statements that this lesson tests.
# - LeCun et al. 1998: the digits.
