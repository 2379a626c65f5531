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
# possible codes is its *latent space*. Two things are often said of it:
#
# 1. it draws well only at isolated points of that space: **nudge a code and the picture breaks**;
# 2. **a variational autoencoder (VAE) cures that**.
#
# **The question of this lesson: are these true, and by how much?** You will train both on the same real digits,
# nudge both by the same fraction of their spread, and read the damage in numbers. The answers will be less tidy than the sayings.
#
# *You need:* to have trained a small PyTorch network; covariance, eigenvalues and log-probabilities at the level of a first course.
# *Time:* 60 minutes to read and try, about a minute to run.
#
# The stored outputs below would give the answers away. Take *Edit, Clear Outputs of All Cells* from the menu first.

# %%
from vae_lessons import data, plotting
from vae_lessons.distributions import log_bernoulli
from vae_lessons.models import VAE
from vae_lessons.training import fit, one_cycle
from vae_lessons.widgets import Prediction

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import nn

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)

# %% [markdown]
# ## 1. Two pixels and one number, by hand
#
# The smallest autoencoder: pictures of two pixels, codes of one number. Here are four pictures, with mean zero, and
# their covariance matrix $C$, the average of $x x^\top$.

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
# $(3, 1)$ and $(1, 3)$ got the same code, so they are rebuilt as the same picture, halfway between them. Was the diagonal a good choice?
#
# - $\hat x$ is the foot of the perpendicular from $x$ on the line, so by Pythagoras $\lVert x\rVert^2 = z^2 + \lVert x - \hat x\rVert^2$.
# - Averaged over the pictures: error = total variance − variance of the codes.
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
assert degrees[error.argmin()] == 45
np.testing.assert_allclose(error.min(), least)

# %% [markdown]
# 10 − 8 = 2: a linear autoencoder keeps the direction in which the pictures differ most, and loses the rest.
#
# ## 2. A linear autoencoder on real digits
#
# Now the general code. An encoder and a decoder, each a stack of linear layers with ReLUs between them. Without
# hidden layers each is one matrix (and a bias), and the autoencoder is *linear*.


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
# The data: real handwritten digits from MNIST, 28 × 28 = 784 pixels each. We make every pixel ink (1) or paper (0), so that
# "the probability of a picture" will be an honest probability. 1,000 digits to train on and 1,000 others *held out*: the network never
# learns from those. The 1,000 are few on purpose, because overfitting shows soonest with little data. They are part of 4,000 on which we train a
# classifier later, to act as a judge.

# %%
(x_all, y_all), (x_held, y_held) = data.digits()
x_all, x_held = (x_all > 0.5).float(), (x_held > 0.5).float()
x_train, y_train = x_all[:1000], y_all[:1000]
figure, ax = plt.subplots(figsize=(8, 1.8))
plotting.images(x_train[:20], ax=ax, columns=10)
plotting.show(figure, "Twenty handwritten digits in two rows, white ink on black: each digit from 0 to 9 twice.")
print("train", tuple(x_train.shape), "held out", tuple(x_held.shape), "judge", tuple(x_all.shape))

# %% [markdown]
# Principal component analysis (PCA) takes the two directions of most variance from the covariance matrix. The linear
# autoencoder knows nothing of covariances: it follows the gradient of its squared error from random weights. Its decoder's matrix has two columns;
# every picture it can draw is a sum of multiples of them, a plane.

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


linear_history = fit(linear, squared_error, centred, epochs=1000, batch_size=1000, lr=one_cycle(0.1), seed=SEED)

# %% [markdown]
# Two questions, two numbers. *Same plane?* Two planes have two principal angles between them, both 0 when the planes
# are one (`scipy.linalg.subspace_angles`, against scikit-learn's PCA). *Same vectors?* The cosine of a column
# with a component is ±1 when they point the same way or oppositely; both columns have to do so, each with its own component.

# %% tags=["nbval-ignore-output"]
components = PCA(2, svd_solver="full").fit(centred.numpy()).components_  # (2, 784)
columns = linear.decoder[0].weight.detach().numpy()  # (784, 2)
angles = np.rad2deg(subspace_angles(columns, components.T))
cosines = np.abs(components @ (columns / np.linalg.norm(columns, axis=0)))  # (2, 2)
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
# Why not the components themselves? Because nothing asks for them. Replace the decoder's matrix $W$ by $WA$ with any
# invertible $A$, and the code $z$ by $A^{-1}z$: every picture is drawn as before.

# %%
A = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
with torch.no_grad():
    code, weight, bias = linear.encode(centred), linear.decoder[0].weight, linear.decoder[0].bias
    mixed = (code @ torch.linalg.inv(A).T) @ (weight @ A).T + bias  # rows are pictures, hence the transposes
    torch.testing.assert_close(mixed, linear.decode(code), atol=1e-4, rtol=0)
print("With other axes, the same pictures.")

# %% [markdown]
# The error fixes the plane, not the axes in it. Remember this freedom: lesson 08 asks what, if anything, picks a VAE's axes.
# **A linear autoencoder with squared error finds PCA's plane.** What follows bends that plane, and scores pictures in another way.
#
# ## 3. A real autoencoder, and overfitting of the ordinary kind
#
# With hidden layers the decoder can bend the plane of codes through the space of pictures. It states for every pixel $i$ a
# probability of ink $\pi_i$, and is scored by the probability it gave to the picture that really was there, the *Bernoulli likelihood*:
#
# $$\log p(x\mid z) = \sum_i \bigl[x_i\log\pi_i + (1-x_i)\log(1-\pi_i)\bigr].$$
#
# The network puts out log-odds, $\log\frac{\pi}{1-\pi}$ (*logits*), which may be any number. By hand, for two pixels: the decoder says
# 90 % ink for both; the first is ink, the second is paper. With natural logarithms the unit is the *nat*.

# %%
logits = torch.logit(torch.tensor([0.9, 0.9], dtype=torch.float64))
ink = torch.tensor([1.0, 0.0], dtype=torch.float64)
print(f"a pixel called rightly {-np.log(0.9):.3f} nats, one called wrongly {-np.log(0.1):.3f} nats")
print(f"by hand {np.log(0.9) + np.log(0.1):.4f} nats, log_bernoulli {log_bernoulli(ink, logits).item():.4f} nats")
print(f"784 pixels guessed by flipping a coin: {784 * np.log(0.5):.1f} nats")

# %% [markdown]
# All our numbers will be **nats per picture, summed over the 784 pixels**, written as a cost, $-\log p(x\mid z)$: less is
# better. Zero would mean that every pixel was called with certainty; 543.4 is a coin flip for each.
#
# We train an autoencoder with a code of 2 numbers, so that all of its latent space fits on a page.


# %% tags=["nbval-ignore-output"]
def train_autoencoder(n_latents, epochs):
    torch.manual_seed(SEED)
    model = Autoencoder(784, n_latents)

    def cost(x):
        return {"loss": -log_bernoulli(x, model(x)).mean()}

    return model, fit(model, cost, x_train, epochs=epochs, held_out=[x_held], seed=SEED)


autoencoder, history = train_autoencoder(n_latents=2, epochs=150)

# %%
best = int(np.argmin(history.held_out["loss"]))
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(history.train["loss"], label="the 1,000 training digits")
ax.plot(history.held_out["loss"], "--", label="1,000 held-out digits")
ax.plot(best, history.held_out["loss"][best], "o", color="black", label="best epoch for held-out digits")
ax.set(xlabel="epoch", ylabel="cost (nats per picture)", ylim=(100, 260))
ax.legend()
plotting.show(
    figure,
    "Cost against epochs. On the training digits it falls all the way. On held-out digits it falls with it at "
    "first, reaches its lowest point about a third of the way, then climbs while the training cost goes on down.",
)

# %% [markdown]
# That is overfitting as you know it. And you know a cure: stop at the black dot. A fair comparison with a VAE has to include it, so we train a
# second autoencoder that stops there, and carry both along.

# %% tags=["nbval-ignore-output"]
stopped, stopped_history = train_autoencoder(n_latents=2, epochs=best + 1)
print(f"epoch {best + 1} of {len(history.train['loss'])} is the best for held-out digits")
for name, h in (("trained to the end", history), ("stopped early", stopped_history)):
    print(f"{name:20} train {h.train['loss'][-1]:6.1f}   held out {h.held_out['loss'][-1]:6.1f} nats per picture")

# %%
gap = history.held_out["loss"][-1] - history.train["loss"][-1]
assert gap > 30
assert history.held_out["loss"][-1] - stopped_history.held_out["loss"][-1] > 5
print("Trained to the end, held-out digits cost over 30 nats more than training digits;")
print("stopping early makes them over 5 nats cheaper.")

# %% [markdown]
# ## 4. The plane of codes
#
# Where do the codes lie, and what does the decoder draw in between?


# %%
@torch.no_grad()
def code_plane(codes, decode, alt, title):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5))
    plotting.scatter_classes(codes, y_train, ax=left)
    low, high = codes.quantile(0.01, 0), codes.quantile(0.99, 0)
    across, up = (torch.linspace(low[i].item(), high[i].item(), 15) for i in (0, 1))
    grid = torch.cartesian_prod(up.flip(0), across).flip(1)  # rows from top to bottom
    plotting.images(torch.sigmoid(decode(grid)), ax=right, columns=15)
    left.set(xlabel="$z_1$", ylabel="$z_2$", title=f"{title}: codes of the training digits")
    left.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))  # leaves out the outermost 1 % on each side
    right.set_title("what it draws across the same plane")
    plotting.show(figure, alt)


with torch.no_grad():
    codes_train, codes_held = autoencoder.encode(x_train), autoencoder.encode(x_held)
code_plane(
    codes_train,
    autoencoder.decode,
    "Left: the codes of the training digits, a colour and marker for each class; the axes differ in scale and leave out "
    "the outermost hundredth. Most classes crowd near one centre, a few are flung far out, and wide stretches hold hardly a "
    "code. Right: pictures decoded on a grid over the same plane. A few classes take up most of it, unchanged over long "
    "distances; where classes meet, they change within a step or two.",
    "autoencoder",
)

# %% [markdown]
# A crowded centre, a few classes flung far out, and wide stretches with hardly a code. Nothing in the loss asked for
# anything else: the decoder is paid for the codes it gets, and the encoder may put them anywhere.
#
# ## 5. The nudge
#
# Now the first saying. Take the code of a digit, move it a little, decode, and see what became of the digit.
# "A little" needs a unit, or the comparison with another network is void: one spreads its codes over tens, another
# over ones. We take the codes' own spread. A nudge of $r$ moves each coordinate by $r$ standard deviations of that
# coordinate over all codes, times normal noise ($\odot$ multiplies coordinate by coordinate):
#
# $$z' = z + r\,\operatorname{std}(z)\odot\varepsilon, \qquad \varepsilon \sim \mathcal N(0, I).$$


# %%
def nudge(z, r, generator):
    """Move the codes z (N, d) at random: each coordinate by r times its spread over the codes, times normal noise."""
    return z + r * z.std(0) * torch.randn(z.shape, generator=generator)


# %%
example = torch.tensor([[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]])
moved = nudge(example, 0.1, torch.Generator().manual_seed(0))
print("spread of the two coordinates", example.std(0).tolist())
for step in (moved - example).tolist():
    print("moved by", ", ".join(f"{value:5.2f}" for value in step))

# %% [markdown]
# Steps of the order of 0.2 in the first coordinate and of 2 in the second: a tenth of each one's spread.
#
# Two measures of the damage: the cost of the true digit under the decoder's new answer, and **agreement**, how
# often a judge sees the true digit in the drawn picture. The judge is a plain classifier trained on all 4,000 training digits. A drawn
# picture is given to it as ink wherever ink is the likelier, so that grey haze cannot please it.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(SEED)
judge = mlp(784, 128, 10)


def cross_entropy(x, y):
    return {"loss": nn.functional.cross_entropy(judge(x), y)}


fit(judge, cross_entropy, x_all, y_all, epochs=10, seed=SEED)
accuracy = (judge(x_held).argmax(1) == y_held).float().mean().item()
print(f"the judge names {accuracy:.1%} of the real held-out digits rightly: no drawing can be expected to do better")

# %%
sizes = (0.0, 0.05, 0.1, 0.2, 0.5)


@torch.no_grad()
def nudge_test(codes, decode, x, y, judge, sizes=sizes, seed=SEED, repeats=10):
    """Cost and agreement (len(sizes), 2) of pictures x (N, D) of classes y (N,), decoded from nudged codes (N, d)."""
    generator, rows = torch.Generator().manual_seed(seed), []
    for r in sizes:
        logits = torch.stack([decode(nudge(codes, r, generator)) for _ in range(repeats)])  # (repeats, N, D)
        agreement = (judge((logits > 0).float()).argmax(-1) == y).float().mean()
        rows.append([-log_bernoulli(x, logits).mean().item(), agreement.item()])
    return np.array(rows)


# %%
damage = Prediction(
    "You nudge the codes of the training digits, and of held-out digits, by a tenth of the spread. Whose cost rises more?",
    ["that of the training digits", "that of the held-out digits", "both rise alike, within a tenth"],
)
damage.ask()

# %% tags=["nbval-ignore-output"]
on_train = nudge_test(codes_train, autoencoder.decode, x_train, y_train, judge)
on_held = nudge_test(codes_held, autoencoder.decode, x_held, y_held, judge)
print("        --- training digits ---   --- held-out digits ---")
print("nudge      cost    rise   agree      cost    rise   agree")
for r, (cost, agree), (cost_held, agree_held) in zip(sizes, on_train, on_held, strict=True):
    rises = cost - on_train[0, 0], cost_held - on_held[0, 0]
    print(f"{r:5.2f}   {cost:7.1f} {rises[0]:7.1f} {agree:7.2f}   {cost_held:7.1f} {rises[1]:7.1f} {agree_held:7.2f}")

# %%
rise_train, rise_held = on_train[2, 0] - on_train[0, 0], on_held[2, 0] - on_held[0, 0]
damage.reveal(damage.choices[2 if abs(rise_train / rise_held - 1) < 0.1 else 0 if rise_train > rise_held else 1])
assert rise_train > 12
assert rise_train > 1.3 * rise_held
assert rise_held > 6
print("A nudge of a tenth costs training digits over 12 nats and held-out digits over 6.")

# %% [markdown]
# So there is something in the first saying, for a code of two numbers. The codes that the network was trained on are the most
# brittle: each sits at a spot made for it. A nat is a factor of $e$ in probability, so even the smaller rise makes the true digit hundreds of times less probable.
# But "breaks" is too strong. Look at held-out digits, with the same random direction in every row, only longer.


# %%
@torch.no_grad()
def show_nudged(named, alt, digits=10, sizes=(0.0, 0.1, 0.2, 0.5)):
    """Ten held-out digits, then, for each (name, codes, decode), what is drawn from codes nudged ever farther."""
    pictures, labels = [x_held[:digits]], ["true digit"]
    for name, codes, decode in named:
        for r in sizes:
            nudged = nudge(codes, r, torch.Generator().manual_seed(SEED))[:digits]  # the same noise for every r
            pictures.append(torch.sigmoid(decode(nudged)))
            labels.append(f"{name}, r = {r}" if r else f"{name}, untouched")
    figure, ax = plt.subplots(figsize=(9, 0.8 * len(labels)))
    plotting.images(torch.cat(pictures), ax=ax, columns=digits, row_labels=labels)
    plotting.show(figure, alt)


show_nudged(
    [("autoencoder", codes_held, autoencoder.decode)],
    "Ten held-out digits, one a column. Top row: the true digits. Below: what the autoencoder draws from the untouched "
    "code and from codes nudged by 0.1, 0.2 and 0.5 of the spread. Several digits are blurred or taken for another "
    "even untouched: two numbers are few. A tenth changes little to the eye; at a half most columns show another digit.",
)

# %% [markdown]
# ## 6. Sampling from it: a measure to avoid, and one to keep
#
# To invent digits one needs new codes. The simplest way: draw them from the Gaussian that has the codes' mean and covariance (lesson 02 derives the line with
# the Cholesky factor $L$, a triangular matrix with $LL^\top$ = covariance). And to blend two digits, walk straight from one code to the other.


# %%
def sample_like(z, n, generator):
    """n codes from the Gaussian with the mean and covariance of z (N, d): mean + L eps, L L^T = cov(z)."""
    cholesky = torch.linalg.cholesky(torch.cov(z.T))
    return z.mean(0) + torch.randn(n, z.shape[1], generator=generator) @ cholesky.T


def interpolate(z_start, z_end, steps):
    """Codes (steps, N, d) on the straight lines between codes (N, d), both ends included."""
    t = torch.linspace(0, 1, steps)[:, None, None]
    return (1 - t) * z_start + t * z_end


# %% [markdown]
# How good are samples? A tempting measure is the distance to the nearest real digit: small means realistic. Before trusting it, give
# it something that is certainly not a digit: the average of all training digits, a grey cloud.


# %%
def to_nearest_real(pictures):
    """Mean Euclidean distance of pictures (N, 784) to the nearest training digit."""
    return torch.cdist(pictures, x_train).min(1).values.mean().item()


cloud = x_train.mean(0, keepdim=True)
print(f"real held-out digits {to_nearest_real(x_held):.1f}   the grey cloud {to_nearest_real(cloud):.1f}")
assert to_nearest_real(cloud) < to_nearest_real(x_held)

# %% [markdown]
# By this measure the grey cloud is *more* realistic than real digits are. Sharp pictures are far apart
# because their strokes miss each other; blur is near to everything. **Distance to the nearest real digit rewards blur**, and a model
# that blurs seems to win by it. We shall not use it.
#
# A better measure treats the model as a *generator* and asks how probable it makes digits that it
# has never seen. Sample many codes blindly, without looking at the digit, and average the probability of the digit over them:
#
# $$p(x) \approx \frac1K \sum_{k=1}^K p(x\mid z_k), \qquad \text{blind cost} = -\log p(x).$$
#
# Blur pays for every pixel that it is unsure of. By hand: if of four codes one gives the picture probability 0.08 and the others give it
# nothing, the average is 0.02, and the blind cost is $-\log 0.02 = 3.91$ nats.


# %%
@torch.no_grad()
def blind_cost(x, logits):
    """Mean of -log of the average probability of each picture x (N, D) over the draws with logits (K, D), in nats."""
    # log p(x|z) = x . logits - sum log(1 + exp(logits)), so that one matrix product serves all pairs
    log_p = x @ logits.T - nn.functional.softplus(logits).sum(1)  # (N, K)
    return -(log_p.logsumexp(1) - np.log(len(logits))).mean().item()


one_in_four = torch.tensor([[0.08], [1e-9], [1e-9], [1e-9]], dtype=torch.float64)
by_hand = blind_cost(torch.ones(1, 1, dtype=torch.float64), torch.logit(one_in_four))
np.testing.assert_allclose(by_hand, -np.log(0.02), atol=1e-6)
print(f"by hand: {by_hand:.2f} nats; the grey cloud: {blind_cost(x_held, torch.logit(cloud, eps=1e-3)):.0f} nats")

# %% [markdown]
# The cloud, which won by distance, does badly. Now the autoencoder. Does the number of samples matter, and how does the
# blind cost compare with the cost through the digit's own code?

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    sampled = sample_like(codes_train, 10_000, torch.Generator().manual_seed(SEED))
    drawn = autoencoder.decode(sampled)
blind = {n: blind_cost(x_held, drawn[:n]) for n in (1000, 10_000)}
print(f"blind, from 1,000 samples {blind[1000]:.1f}, from 10,000 samples {blind[10_000]:.1f} nats")
print(f"through its own code {on_held[0, 0]:.1f} nats")

# %%
assert abs(blind[1000] - blind[10_000]) < 3
assert blind[10_000] < on_held[0, 0] - 15
print(
    "The number of samples hardly matters. Blindly, held-out digits cost over 15 nats less than through their own code."
)

# %% [markdown]
# A surprise. How can looking away help? The average of 10,000 probabilities is at most the largest of them. So for a typical digit there
# *is* a code, among those sampled, from which the decoder draws it far better than from the code that the encoder chose. **The decoder can draw unseen digits;
# the encoder puts many of them in the wrong place**, and where a small step changes much, nearly right is costly. That is how an autoencoder overfits its latent space.
#
# ## 7. The second saying: a VAE
#
# A VAE of the same layers, trained for as long on the same 1,000 digits. Its encoder gives a mean and a
# variance for each code, the decoder gets one random draw from that Gaussian, and the loss has a second term, the *KL*, that keeps the codes near
# $\mathcal N(0, I)$, the *prior*. Lessons 02 to 07 take this apart; today it is a black box that we only measure.


# %% tags=["nbval-ignore-output"]
def train_vae(n_latents, epochs):
    torch.manual_seed(SEED)
    model = VAE(784, n_latents, hidden=(256, 128, 64))

    def cost(x):
        elbo, log_p_x_given_z, kl = model.elbo(x)
        return {"loss": -elbo.mean(), "reconstruction": -log_p_x_given_z.mean(), "kl": kl.mean()}

    fit(model, cost, x_train, epochs=epochs, held_out=[x_held], seed=SEED)
    return model


vae = train_vae(n_latents=2, epochs=150)

# %%
with torch.no_grad():
    means_train, means_held = (vae.q_z_given_x(x)[0] for x in (x_train, x_held))  # q_z_given_x: mean, log-variance
code_plane(
    means_train,
    vae.decoder,
    "Left: the mean codes of the training digits in the VAE, now between about -3 and 3 in both directions. No class is "
    "flung far out, though some form clumps and overlap others in the middle. Right: pictures decoded across the same plane. "
    "Most classes have a region of their own; some are hard to find.",
    "VAE",
)

# %%
cured = Prediction(
    "Held-out digits, codes nudged by a tenth: which of the two autoencoders' rises does the VAE's come closer to?",
    ["that of the one trained to the end", "that of the one stopped early"],
)
cured.ask()

# %% [markdown]
# We decode every model's *untouched* code, the mean for the VAE, so that like is compared with like. Two more measures. **Reach**: how far codes sampled from the fitted
# Gaussian lie from the nearest code of a training digit, divided by the same for held-out digits. Near 1, samples land where codes are;
# above 1, in holes or outside. **Jump**: walk in 19 steps between two held-out codes; what part of all the change in the picture falls into the largest
# step? Perfectly even steps would have 1/19 = 0.053.


# %%
def hole_ratio(sampled, codes_train, codes_held):
    """How many times farther sampled codes lie from the training codes than codes of unseen digits do."""
    to_nearest = [torch.cdist(z, codes_train).min(1).values.median() for z in (sampled, codes_held)]
    return (to_nearest[0] / to_nearest[1]).item()


def largest_jump(decode, z_start, z_end):
    """Largest share of one of 19 equal steps in the change of the picture, averaged over pairs of codes (N, d)."""
    path = torch.sigmoid(decode(interpolate(z_start, z_end, 20)))  # (20, N, D)
    change = path.diff(dim=0).norm(dim=-1)  # (19, N)
    return (change.max(0).values / change.sum(0)).mean().item()


gaussian = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
reach = hole_ratio(gaussian[:2000], gaussian[2000:3000], gaussian[3000:])
print(f"control, all codes from one Gaussian: reach {reach:.2f}")
assert abs(reach - 1) < 0.1


# %%
@torch.no_grad()
def measure(encode, decode):
    """All measures of one model, by name."""
    z_train, z_held = encode(x_train), encode(x_held)
    train = nudge_test(z_train, decode, x_train, y_train, judge, sizes=(0.0, 0.1, 0.5))
    held = nudge_test(z_held, decode, x_held, y_held, judge, sizes=(0.0, 0.1, 0.5))
    sampled = sample_like(z_train, 10_000, torch.Generator().manual_seed(SEED))
    return {
        "cost, training digits": train[0, 0],
        "cost, held-out digits": held[0, 0],
        "gap between the two": held[0, 0] - train[0, 0],
        "rise at 0.1, training": train[1, 0] - train[0, 0],
        "rise at 0.1, held out": held[1, 0] - held[0, 0],
        "rise at 0.5, held out": held[2, 0] - held[0, 0],
        "agreement, untouched": held[0, 1],
        "agreement at 0.1": held[1, 1],
        "agreement at 0.5": held[2, 1],
        "reach of samples": hole_ratio(sampled[:2000], z_train, z_held),
        "largest jump": largest_jump(decode, z_held[:500], z_held[500:]),
        "blind cost": blind_cost(x_held, decode(sampled)),
    }


# %%
def compare(*models):
    """Measure (name, encode, decode) of several models and print them side by side; returns the measures."""
    results = [measure(encode, decode) for _, encode, decode in models]
    print(" " * 24 + "".join(f"{name:>15}" for name, _, _ in models))
    for row in results[0]:
        digits = 1 if results[0][row] > 2 else 3
        print(f"{row:24}" + "".join(f"{result[row]:15.{digits}f}" for result in results))
    return results


# %% tags=["nbval-ignore-output"]
end, early, var = compare(
    ("autoencoder", autoencoder.encode, autoencoder.decode),
    ("stopped early", stopped.encode, stopped.decode),
    ("VAE", lambda x: vae.q_z_given_x(x)[0], vae.decoder),
)

# %%
rises = [result["rise at 0.1, held out"] for result in (end, early, var)]
cured.reveal(cured.choices[int(abs(rises[2] - rises[1]) < abs(rises[2] - rises[0]))])
assert rises[2] < rises[0] / 2
assert var["gap between the two"] < 0.8 * end["gap between the two"]
assert early["gap between the two"] < var["gap between the two"]
assert var["gap between the two"] > 15
assert rises[2] < 1.5 * rises[1]
print("Nudged by a tenth, the VAE's cost rises less than half as much as the autoencoder's.")
print("Its gap is smaller than the autoencoder's, but over 15 nats, and larger than that of the one stopped early.")

# %%
assert abs(var["cost, held-out digits"] - early["cost, held-out digits"]) < 8
assert var["cost, training digits"] < early["cost, training digits"] - 8
assert var["agreement, untouched"] > early["agreement, untouched"]
assert var["blind cost"] < early["blind cost"] - 4
assert abs(var["blind cost"] - end["blind cost"]) < 8
assert end["cost, training digits"] < var["cost, training digits"]
assert end["blind cost"] < early["blind cost"]
assert min(end["reach of samples"], early["reach of samples"]) > 1.3
assert var["reach of samples"] < min(end["reach of samples"], early["reach of samples"])
assert var["largest jump"] < min(end["largest jump"], early["largest jump"])
print(
    "Held-out digits cost the VAE as much as the one stopped early, within 8 nats, but the judge recognises more of them."
)
print("As a generator of unseen digits it beats the one stopped early by over 4 nats and equals the other within 8.")
print("Its samples land nearer to codes of real digits, and its paths jump less, than with either autoencoder.")

# %% [markdown]
# Read the table column by column.
#
# - **Trained to the end**, the autoencoder draws best what it knows, and is brittle.
# - **Stopped early**, it is robust because it has learned less: training digits cost far more, the judge recognises fewer, and
#   as a generator it is the worst. Stopping cures the gap, not the latent space: its samples reach as far into nowhere.
# - **The VAE** has trained to the end and yet is about as robust as the one that stopped, with samples that land among the codes, and the smoothest paths.
#   It still overfits: its gap is over 15 nats.
#
# A likely reason for the robustness: its decoder never saw exactly one code for a digit, but random draws around it, and had to draw the digit from everywhere there.
# (Try it 4 tests that.) The nudge, drawn:

# %%
show_nudged(
    [("autoencoder", codes_held, autoencoder.decode), ("VAE", means_held, vae.decoder)],
    "Ten held-out digits, one a column: the true digits, then four rows by the autoencoder and four by the VAE, from codes "
    "untouched and nudged by 0.1, 0.2 and 0.5. The VAE's digits are softer and change less from row to row up to 0.2. "
    "At 0.5 most columns of both show another digit than the true one.",
)

# %% [markdown]
# Is all that an effect of the unit? A few codes flung far out inflate the standard deviation, and with it the autoencoder's nudges. So we repeat the nudge of a
# tenth in a unit that outliers cannot inflate: the distance between the quartiles, divided by 1.349, which for a Gaussian is the standard deviation.


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def rise_in_quartile_units(codes, decode, r=0.1, repeats=10):
    generator = torch.Generator().manual_seed(SEED)
    unit = (codes.quantile(0.75, 0) - codes.quantile(0.25, 0)) / 1.349
    noise = torch.randn(repeats, *codes.shape, generator=generator)
    cost = -log_bernoulli(x_held, decode(torch.stack([codes, *(codes + r * unit * noise)]))).mean(1)
    return (cost[1:].mean() - cost[0]).item()


robust_rises = rise_in_quartile_units(codes_held, autoencoder.decode), rise_in_quartile_units(means_held, vae.decoder)
print(f"rise at 0.1 in this unit: autoencoder {robust_rises[0]:.1f}, VAE {robust_rises[1]:.1f} nats")

# %%
assert robust_rises[0] > 1.3 * robust_rises[1]
print("Smaller, but still there: the autoencoder's cost rises over 1.3 times as much as the VAE's.")

# %% [markdown]
# ## 8. Sixteen numbers
#
# Two latent numbers make good maps and poor models. Here are the same two networks with sixteen, on the same digits. (Fewer epochs: with more numbers
# they learn faster. The blind cost means little now: hardly any of 10,000 blind codes lands near a given digit's in sixteen dimensions. Lesson 10 has the remedy.)

# %% tags=["nbval-ignore-output"]
autoencoder16, _ = train_autoencoder(n_latents=16, epochs=100)
vae16 = train_vae(n_latents=16, epochs=100)

# %%
keeps = Prediction(
    "Sixteen latents, nudge of half the spread: in whose pictures does the judge still see the true digit more often?",
    ["in the VAE's", "in the autoencoder's", "in both alike, within 2 points"],
)
keeps.ask()

# %% tags=["nbval-ignore-output"]
end16, var16 = compare(
    ("autoencoder", autoencoder16.encode, autoencoder16.decode),
    ("VAE", lambda x: vae16.q_z_given_x(x)[0], vae16.decoder),
)

# %%
lead = end16["agreement at 0.5"] - var16["agreement at 0.5"]
keeps.reveal(keeps.choices[2 if abs(lead) < 0.02 else 1 if lead > 0 else 0])
assert lead > 0.02
assert end16["agreement, untouched"] > var16["agreement, untouched"]
assert end16["rise at 0.1, held out"] < 5
assert end16["agreement, untouched"] - end16["agreement at 0.1"] < 0.03
print("With sixteen numbers a nudge of a tenth costs the autoencoder less than 5 nats and 3 points of agreement,")
print("and at half the spread the judge recognises its digits more often than the VAE's, by over 2 points.")

# %%
assert var16["rise at 0.5, held out"] < 0.8 * end16["rise at 0.5, held out"]
assert var16["gap between the two"] < 0.6 * end16["gap between the two"]
assert abs(var16["cost, held-out digits"] - end16["cost, held-out digits"]) < 12
print("The VAE's cost rises less, and its gap is less than 0.6 times the autoencoder's;")
print("untouched held-out digits cost both the same within 12 nats.")

# %% [markdown]
# **With sixteen numbers the first saying is wrong**: a nudge of a tenth does next to nothing to the autoencoder. With more numbers each
# carries less of the picture. And the second is half true. The VAE's decoder is smoother in nats and its gap much smaller; but it does
# not draw held-out digits better, and the autoencoder, which may use its code as it likes, keeps the class of a digit more often,
# untouched and nudged alike. The VAE had to pay for what its codes say, and said less.
#
# A VAE is not a better autoencoder. What it adds is a distribution to sample from and a bound on the probability of data; lessons 05, 07 and 10 measure those.
#
# ## Easy to forget
#
# - A nudge needs a unit. The same absolute step is nothing for an autoencoder with codes in the tens and ruin for a VAE
#   with codes of order one. Say which unit you use, and try a second one.
# - Compare with the untouched code, and with the mean code of a VAE. A random draw from its encoder has been nudged already.
# - Compare with early stopping. Much of what is credited to VAEs, one gets by it.
# - Distance to the nearest real picture rewards blur.
# - Summed nats per picture, not averages per pixel.
#
# ## Summary
#
# - A linear autoencoder finds the plane of the principal components, not the components.
# - *"It draws well only at isolated points":* with two latent numbers a nudge of a tenth of the spread costs training digits over 12 nats, held-out digits over 6; with sixteen, less than 5.
# - *"A VAE cures that":* with two numbers its rise is less than half, its samples land among the codes, its paths are smoother. It still overfits, and stopping
#   the autoencoder early gives as cheap held-out digits, though at the price of having learned less.
# - With sixteen numbers the autoencoder keeps a nudged digit's class more often than the VAE.
# - The trouble sits between encoder and decoder: the decoder can draw digits for which the encoder gives a wrong code.
#
# **Back:** [00 · Start here](00_start_here.ipynb). **Next:** [02 · Sampling from a Gaussian](02_gaussian_sampling.ipynb), the first part of the black box of section 7.
#
# ## Try it
#
# 1. Train on all 4,000 digits instead of 1,000. Which rows of the tables move, and which hardly?
# 2. Take one hidden layer away, `hidden=(256, 128)`. Is the decoder as easily upset? Why might depth matter here?
# 3. Is the blind cost of the *training* digits lower than that of held-out digits? Predict first, then replace `x_held` by `x_train` in section 6.
# 4. Train the plain autoencoder with noise added to its codes, a tenth of their spread. You have built half a VAE. Which half, and does the table change?
#
# **Exercise.** [Exercise 01](../work/ex01_autoencoder.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*; Rezende, Mohamed & Wierstra 2014, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models*: the VAE.
# - Baldi & Hornik 1989, *Neural Networks and Principal Component Analysis*: the linear autoencoder's error has no other minima than PCA's plane.
# - Jordan 2018, *Variational autoencoders* (jeremyjordan.me); Raschka, STAT 453, lecture 17; dlcourse.ai: where the sayings can be met.
# - LeCun et al. 1998: the digits.
