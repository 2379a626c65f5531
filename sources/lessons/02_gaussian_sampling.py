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
# # 02 · Sampling from a Gaussian
#
# A plain encoder turns a picture into a point. The encoder of a variational autoencoder (VAE) gives two numbers for each latent, a mean and a
# variance; the decoder gets **one random draw** from the Gaussian that they describe. In most code the variances are a vector $\sigma^2$,
# where a Gaussian in general has a covariance *matrix*, and one reads:
#
# 1. a vector $\sigma$ means that the off-diagonal entries are **taken as zero**;
# 2. so the latents **are independent**.
#
# **The question of this lesson: how do we draw from a Gaussian, and what does a vector $\sigma$ give up?** You will draw from any
# Gaussian there is, measure what is lost without a matrix, and see in what sense statement 2 is true.
#
# *You need:* means, variances and covariance matrices; determinants; lesson 01 for the why. *Time:* 60 minutes to read and try, seconds to run.
#
# To keep the answers from yourself, take *Edit, Clear Outputs of All Cells* from the menu first.

# %%
import math

from vae_lessons import plotting
from vae_lessons.widgets import Prediction, explore

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import integrate, stats
from torch.distributions import MultivariateNormal, kl_divergence

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)
torch.set_default_dtype(torch.float64)  # sixteen digits, so that a formula that is right is seen to be right

# %% [markdown]
# ## 1. One number, by hand
#
# Computers draw *standard normal* noise $\varepsilon\sim\mathcal N(0, 1)$, with mean 0 and variance 1 (`torch.randn`). For another mean $\mu$ and standard
# deviation $\sigma$, stretch it and shift it:
#
# $$z = \mu + \sigma\,\varepsilon .$$
#
# With $\mu = 2$ and $\sigma = 0.5$, three draws of the noise:

# %%
mu, sigma = 2.0, 0.5
for eps in (-1.0, 0.0, 2.0):
    print(f"eps = {eps:4.1f}   z = 2 + 0.5 * {eps:4.1f} = {mu + sigma * eps:.1f}")

# %% [markdown]
# Why has $z$ the right distribution? Write E for the average over $\varepsilon$.
#
# - Mean: $\mathrm E[\mu+\sigma\varepsilon] = \mu + \sigma\,\mathrm E[\varepsilon] = \mu$.
# - Variance: $\mathrm E[(z-\mu)^2] = \sigma^2\,\mathrm E[\varepsilon^2] = \sigma^2$.
# - Shape: $z\le t$ exactly when $\varepsilon\le (t-\mu)/\sigma$. Differentiate that probability with respect to $t$, and the density of $z$ at $t$ is the
#   density of $\varepsilon$ at $(t-\mu)/\sigma$, **divided by $\sigma$**: what is stretched gets thinner.
#
# The last line gives the bell curve that tables list for $\mathcal N(\mu, \sigma^2)$:

# %%
t = np.array([1.5, 2.0, 3.0])
ours = stats.norm.pdf((t - mu) / sigma) / sigma
print("density of eps, divided by sigma:", ours.round(4))
np.testing.assert_allclose(ours, stats.norm(mu, sigma).pdf(t))

# %% [markdown]
# Do draws agree? An average of $N$ draws is itself random. It misses the truth by about its *standard error*, the standard deviation of one
# draw divided by $\sqrt N$. We call a formula confirmed if a sample is **within 5 standard errors** of it. (The lesson makes over twenty such checks, and should not
# fail by chance for one of its readers in a few hundred.) Two small functions serve throughout.


# %%
def mean_and_error(values):
    """The mean over draws (N, ...) and its standard error."""
    return values.mean(0), values.std(0) / math.sqrt(len(values))


def confirm(name, draws, truth):
    """Print the mean of draws (N,) beside the truth, and insist that it lies within 5 standard errors."""
    mean, error = mean_and_error(draws)
    print(f"{name}: truth {truth:.4f}, sampled {mean:.4f}, standard error {error:.4f}")
    assert abs(mean - truth) < 5 * error


for k in (2, 4, 5):
    print(f"chance misses {k} standard errors once in {1 / (2 * stats.norm.sf(k)):,.0f} times")

# %%
generator = torch.Generator().manual_seed(SEED)
z = mu + sigma * torch.randn(100_000, generator=generator)
confirm("mean    ", z, mu)
confirm("variance", (z - mu) ** 2, sigma**2)

# %% [markdown]
# Is a draw needed at all? Why not give the decoder the mean? Because a function averaged over draws is not the function of the mean. Take $f(z) = z^2$:
# since $\mathrm E[z^2] = \mu^2+\sigma^2$, its average is 4.25, and at the mean it is 4.

# %%
confirm("average of z squared", z**2, mu**2 + sigma**2)
average, error = mean_and_error(z**2)
print(f"square of the mean {mu**2:.2f}, which is {(average - mu**2) / error:.0f} standard errors away")
assert average - mu**2 > 20 * error

# %% [markdown]
# A VAE's loss asks for such an average, of the log-likelihood of the picture under all $z$ that its encoder allows (lesson 05). **One** draw
# is right on average, if noisy; every visit to a picture draws anew.
#
# ## 2. σ, σ² or log σ²?
#
# The variance must be positive. The last layer of a network puts out any real number. So VAEs read that number as $\log\sigma^2$:

# %%
print("output   as log sigma^2:  variance     sigma   as sigma:  log sigma")
for output in (-8.0, -2.0, 0.0, 1.0):
    as_sigma = f"{math.log(output):.2f}" if output > 0 else "undefined"
    print(f"{output:6.1f} {math.exp(output):26.6f} {math.exp(output / 2):9.4f} {as_sigma:>22}")

# %% [markdown]
# Every output is a valid variance, and an ordinary $-8$ is a tiny one. There is a second reason. The logarithm of the density,
#
# $$\log\mathcal N(z;\mu,\sigma^2) = -\tfrac12\Bigl[\log 2\pi + \log\sigma^2 + \frac{(z-\mu)^2}{\sigma^2}\Bigr],$$
#
# uses $\log\sigma^2$ as it stands. Its derivative with respect to $\log\sigma^2$ is $\tfrac12(\varepsilon^2-1)$, with $\varepsilon = (z-\mu)/\sigma$; with respect to $\sigma$ it is
# $(\varepsilon^2-1)/\sigma$, which for a given $\varepsilon$ explodes when $\sigma$ is small. Here are the general functions, for vectors of independent coordinates
# (the logs of their densities add up), and then autograd's word on the derivatives.


# %%
def sample_normal(mu, log_var, generator=None):
    """Draw z = mu + sigma * eps; mu, log_var (..., D) -> (..., D). Fresh noise for every entry."""
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(0.5 * log_var) * eps


def log_normal(x, mu, log_var):
    """Log-density in nats, summed over the coordinates: (..., D) -> (...)."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (x - mu) ** 2 * torch.exp(-log_var)).sum(-1)


point, centre, spread = torch.tensor([[1.0, 3.0], [0.0, 2.0], [1.0, 0.1]])
ours = log_normal(point, centre, 2 * spread.log()).item()
print(f"log-density of a point in two dimensions: {ours:.4f} nats")
np.testing.assert_allclose(ours, stats.norm(centre, spread).logpdf(point).sum())

# %%
for scale in (1.0, 0.1, 0.001):
    at = torch.tensor([2 * scale])  # eps = 2
    log_var, s = torch.tensor([2 * math.log(scale)]).requires_grad_(), torch.tensor([scale]).requires_grad_()
    (by_log_var,) = torch.autograd.grad(log_normal(at, torch.zeros(1), log_var), log_var)
    (by_sigma,) = torch.autograd.grad(log_normal(at, torch.zeros(1), 2 * s.log()), s)
    print(f"sigma {scale:5}: slope in log sigma^2 {by_log_var.item():.2f}, in sigma {by_sigma.item():8.2f}")
    np.testing.assert_allclose([by_log_var.item(), by_sigma.item()], [1.5, 3 / scale])

# %% [markdown]
# In $\log\sigma^2$ a gradient step means the same at every scale: *multiply* the variance by so much. (Some code uses another positive function, such as
# softplus; that is allowed too.) The price is a classic slip. $\sigma = e^{\frac12\log\sigma^2}$, and the half gets lost.

# %%
slip = Prediction(
    "sigma should be 0.1, but the code draws mu + exp(log_var) * eps, without the half. How far do its draws spread?",
    ["0.05, half as far", "0.2, twice as far", "0.01, a tenth as far", "0.32, over three times as far"],
)
slip.ask()

# %%
drawn = {}
for meant in (0.1, 1.0, 2.0):
    eps = torch.randn(100_000, generator=torch.Generator().manual_seed(SEED))
    drawn[meant] = (math.exp(2 * math.log(meant)) * eps).std().item()  # log_var = 2 log sigma
    print(f"sigma meant {meant}, drawn {drawn[meant]:.2f}")

# %%
nearest = np.abs(np.log(np.array([0.05, 0.2, 0.01, 0.32]) / drawn[0.1])).argmin()
slip.reveal(slip.choices[nearest])
for meant, spread_drawn in drawn.items():
    assert abs(spread_drawn / meant**2 - 1) < 0.02

# %% [markdown]
# The draws spread by $\sigma^2$: too little for $\sigma < 1$, too much above. At $\log\sigma^2 = 0$ nothing is wrong, so a test with `log_var = torch.zeros(...)` passes. Test with another value.
#
# ## 3. A covariance matrix, by hand
#
# Two latents can also vary *together*. Their variances and their covariance make up the matrix $\Sigma$, say
# $\Sigma = \begin{pmatrix}4&2\\2&5\end{pmatrix}$: variances 4 and 5, covariance 2. How do we draw from $\mathcal N(\mu, \Sigma)$? As before, stretch and shift
# standard noise, now a vector $\varepsilon\sim\mathcal N(0, I)$ stretched by a matrix $L$:
#
# $$z = \mu + L\varepsilon .$$
#
# Averaging entry by entry, $\mathrm E[z] = \mu + L\,\mathrm E[\varepsilon] = \mu$. The covariance matrix is the average of
# $(z-\mu)(z-\mu)^\top$, and since $(L\varepsilon)(L\varepsilon)^\top = L\,\varepsilon\varepsilon^\top L^\top$,
#
# $$\operatorname{Cov}(z) = L\,\mathrm E[\varepsilon\varepsilon^\top]\,L^\top = L\,I\,L^\top = LL^\top .$$
#
# So we need a "square root" of $\Sigma$: a matrix $L$ with $LL^\top = \Sigma$. Try a lower triangular one, and multiply out:
#
# $$\begin{pmatrix}a&0\\b&c\end{pmatrix}\begin{pmatrix}a&b\\0&c\end{pmatrix} = \begin{pmatrix}a^2&ab\\ab&b^2+c^2\end{pmatrix}.$$
#
# $a^2 = 4$ gives $a = 2$; $ab = 2$ gives $b = 1$; $b^2+c^2 = 5$ gives $c = 2$. Solving entry by entry in this way works in any dimension: the **Cholesky factor**.

# %%
Sigma = torch.tensor([[4.0, 2.0], [2.0, 5.0]])
a = math.sqrt(Sigma[0, 0])
b = Sigma[0, 1].item() / a
c = math.sqrt(Sigma[1, 1] - b**2)
L = torch.linalg.cholesky(Sigma)
print("by hand", [[a, 0.0], [b, c]], "  torch", L.tolist())
torch.testing.assert_close(L, torch.tensor([[a, 0.0], [b, c]]))

# %% [markdown]
# Read it by rows: $z_1$ moves with $\varepsilon_1$ alone; $z_2$ takes one share of the *same* $\varepsilon_1$, which makes the covariance, and two of its own $\varepsilon_2$. The
# number $c$ is positive when $\Sigma_{22} > \Sigma_{12}^2/\Sigma_{11}$, that is, when the correlation $\rho = \Sigma_{12}/\sqrt{\Sigma_{11}\Sigma_{22}}$ lies strictly between $-1$ and 1.
#
# By hand, with $\mu = (0, 1)$ and $\varepsilon = (1, -1)$: $z = (0 + 2\cdot 1,\; 1 + 1\cdot 1 - 2\cdot 1) = (2, 0)$. In general:


# %%
def sample_normal_full(mu, scale_tril, generator=None):
    """Draw z = mu + L eps; mu (..., D), scale_tril = L (..., D, D) lower triangular -> (..., D)."""
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + (scale_tril @ eps[..., None])[..., 0]  # [..., None] makes eps a column, [..., 0] undoes it


mu = torch.tensor([0.0, 1.0])
print("by hand:", (mu + L @ torch.tensor([1.0, -1.0])).tolist())
z = sample_normal_full(mu.expand(100_000, 2), L, torch.Generator().manual_seed(SEED))
print("drawn:", tuple(z.shape))

# %%
for i, j in ((0, 0), (0, 1), (1, 1)):
    confirm(f"covariance of z{i + 1} and z{j + 1}", (z[:, i] - mu[i]) * (z[:, j] - mu[j]), Sigma[i, j])
for i in (0, 1):
    confirm(f"mean of z{i + 1}", z[:, i], mu[i])

# %% [markdown]
# ### L and its transpose
#
# With many draws as the *rows* of a matrix, $z^\top = \mu^\top + \varepsilon^\top L^\top$, so the code is `mu + eps @ L.T`. People forget the `.T`.

# %%
transposed = Prediction(
    "With eps @ L instead of eps @ L.T, which ellipse do the draws fill?",
    ["the right one", "one of the same size and shape, turned", "one of another size or shape"],
)
transposed.ask()

# %%
eps = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(SEED))
wrong = eps @ L  # covariance L^T L
print("right:  L L^T =", (L @ L.T).tolist())
print("wrong:  L^T L =", (L.T @ L).tolist())
confirm("variance of z1 with the slip", wrong[:, 0] ** 2, (L.T @ L)[0, 0])
variance, error = mean_and_error(wrong[:, 0] ** 2)
assert abs(variance - Sigma[0, 0]) > 10 * error

# %%
axes_right, axes_wrong = torch.linalg.eigvalsh(L @ L.T), torch.linalg.eigvalsh(L.T @ L)
same_shape = torch.allclose(axes_right, axes_wrong)
same_matrix = torch.allclose(L @ L.T, L.T @ L)
print("variances along the axes of the ellipse:", axes_right.numpy().round(3), axes_wrong.numpy().round(3))
transposed.reveal(transposed.choices[0 if same_matrix else 1 if same_shape else 2])

# %% [markdown]
# $LL^\top$ and $L^\top L$ always have the same eigenvalues, so the ellipse keeps its axes' lengths and only lies wrongly. Total
# variance, determinant and entropy are all as they should be: a test has to compare the covariance *entry by entry*.
#
# ### Other square roots
#
# Any $A$ with $AA^\top = \Sigma$ would have served. The symmetric square root, for one: keep the eigenvectors of $\Sigma$, take roots of its eigenvalues.

# %%
eigenvalues, V = torch.linalg.eigh(Sigma)
A = V @ torch.diag(eigenvalues.sqrt()) @ V.T
Q = torch.linalg.inv(L) @ A
torch.testing.assert_close(A @ A.T, Sigma)
torch.testing.assert_close(Q @ Q.T, torch.eye(2))
noise = torch.tensor([1.0, -1.0])
print("A =", A.numpy().round(3).tolist())
print("the same noise gives", (L @ noise).tolist(), "with L and", (A @ noise).numpy().round(3).tolist(), "with A")

# %% [markdown]
# Each noise lands elsewhere, yet the distribution is the same. For $Q = L^{-1}A$ we get $QQ^\top = L^{-1}\Sigma L^{-\top} = I$: a rotation (or reflection),
# and $A = LQ$ rotates the noise before $L$ stretches it. The density of $\varepsilon$ depends on $|\varepsilon|$ only, which a rotation keeps, so rotating it changes nothing. Cholesky's root is merely
# the handiest, as the next section shows. This freedom comes back in lesson 08: if $\mathcal N(0, I)$ has no preferred axes, what picks those of a VAE?
#
# ## 4. It is a Gaussian: the density
#
# Mean and covariance do not fix a distribution. The density does. In one dimension we divided by $\sigma$, because lengths grow by $\sigma$. In $D$ dimensions $L$
# makes volumes grow by $|\det L|$, and the determinant of a triangular matrix is simply the product of its diagonal (here $2\cdot 2 = 4$). So, with $\varepsilon = L^{-1}(z-\mu)$,
#
# $$\log p(z) = \log\mathcal N(\varepsilon; 0, I) - \log|\det L| = -\tfrac12\sum_i\bigl(\log 2\pi + \varepsilon_i^2\bigr) - \sum_i\log L_{ii} .$$
#
# It is the textbook's formula, since $\sum_i\varepsilon_i^2 = (z-\mu)^\top\Sigma^{-1}(z-\mu)$ and $\det\Sigma = (\det L)^2$. Libraries that know nothing of our $L$ should agree:


# %%
def log_normal_full(x, mu, scale_tril):
    """Log-density of N(mu, L L^T) in nats; x, mu (..., D), scale_tril = L (..., D, D) -> (...)."""
    eps = torch.linalg.solve_triangular(scale_tril, (x - mu)[..., None], upper=False)[..., 0]  # L eps = x - mu
    log_det = scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return -0.5 * (math.log(2 * math.pi) + eps**2).sum(-1) - log_det


at = torch.tensor([2.0, 0.0])  # where eps = (1, -1)
by_hand = -math.log(2 * math.pi) - 0.5 * (1 + 1) - math.log(4)
print(f"by hand {by_hand:.4f} nats, log_normal_full {log_normal_full(at, mu, L).item():.4f} nats")
np.testing.assert_allclose(log_normal_full(at, mu, L), by_hand)

# %%
generator = torch.Generator().manual_seed(SEED)
B = torch.randn(5, 5, generator=generator)
Sigma5, mu5 = B @ B.T + torch.eye(5), torch.randn(5, generator=generator)  # a covariance matrix in 5 dimensions
L5 = torch.linalg.cholesky(Sigma5)
x = sample_normal_full(mu5.expand(10_000, 5), L5, generator)
ours = log_normal_full(x, mu5, L5)
torch.testing.assert_close(ours, MultivariateNormal(mu5, Sigma5).log_prob(x))
np.testing.assert_allclose(ours, stats.multivariate_normal(mu5.numpy(), Sigma5.numpy()).logpdf(x.numpy()))
print("10,000 log-densities in five dimensions agree with torch.distributions and with scipy.")

# %% [markdown]
# ### Move it
#
# Below, 150 draws whose noise stays the same, and the curve inside which 95 % of all draws lie: a circle of noise, sent through $L$. The thick lines are the columns of
# $L$: where $\varepsilon = (1, 0)$ and $(0, 1)$ go. Move $\rho$ slowly from 0 to 0.95. Which line turns, which keeps its direction, and what becomes of the second one's length?

# %%
angle = np.linspace(0, 2 * np.pi, 200)
circle = math.sqrt(stats.chi2(2).ppf(0.95)) * np.stack([np.cos(angle), np.sin(angle)])  # holds 95 % of the noise
noise = torch.randn(150, 2, generator=torch.Generator().manual_seed(SEED)).numpy()


def draw(figure, rho, sigma_1, sigma_2):
    L = np.array([[sigma_1, 0], [rho * sigma_2, sigma_2 * math.sqrt(1 - rho**2)]])
    ax = figure.subplots()
    ax.plot(*(L @ noise.T), ".", color="grey", alpha=0.6)
    ax.plot(*(L @ circle), color="C0")
    for column, style, colour in ((0, "-", "C1"), (1, (0, (1.5, 0.6)), "C2")):
        ax.plot([0, L[0, column]], [0, L[1, column]], ls=style, color=colour, lw=3, label=f"column {column + 1} of L")
        ax.plot(*L[:, column], "o", color=colour)
    ax.set(xlim=(-6, 6), ylim=(-6, 6), xticks=range(-6, 7, 2), xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    shown = f"L = [[{L[0, 0]:.2f}, 0], [{L[1, 0]:.2f}, {L[1, 1]:.2f}]], its determinant {L[0, 0] * L[1, 1]:.2f}"
    return shown + "; its columns are {:.2f} and {:.2f} long.".format(*np.linalg.norm(L, axis=0))


# %%
explore(
    draw,
    rho=ipw.FloatSlider(description="rho", value=0.5, min=-0.95, max=0.95, step=0.05),
    sigma_1=ipw.FloatSlider(description="sigma 1", value=1.5, min=0.2, max=2.2, step=0.1),
    sigma_2=ipw.FloatSlider(description="sigma 2", value=1.5, min=0.2, max=2.2, step=0.1),
    stills=[{"rho": rho, "sigma_1": 1.5, "sigma_2": 1.5} for rho in (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)]
    + [{"rho": 0.0, "sigma_1": 2.0, "sigma_2": 0.7}],
    alt="A cloud of draws with the ellipse that holds 95 % of them, and the two columns of L. With rho 0 the ellipse and both columns lie along the "
    "axes; it is a circle if the sigmas are equal. As rho grows towards 0.9 the ellipse narrows around the rising diagonal: the first column turns "
    "upwards, the second stays upright and shrinks. With negative rho ellipse and first column fall to the right.",
    size=(4.0, 3.8),
)

# %% [markdown]
# With $\rho = 0$ you see what **a vector $\sigma$ can make, and nothing else**: ellipses along the axes, however long or flat. With any other $\rho$ the first column
# leans over, and the second, always upright, shrinks to $\sigma_2\sqrt{1-\rho^2}$: the part of $z_2$ that $z_1$ does not tell.
#
# ## 5. Entropy: how much room a Gaussian takes
#
# The **entropy** $H = -\mathrm E[\log p(z)]$ says how spread out a distribution is, in nats. For a uniform density on a stretch of width $w$ it is $\log w$. For a Gaussian, insert the log-density of section 2; $(z-\mu)^2/\sigma^2$ is 1 on average:
#
# $$H = \tfrac12\bigl[\log 2\pi + \log\sigma^2 + 1\bigr] = \tfrac12\log(2\pi e\,\sigma^2).$$
#
# First against the integral, by quadrature:


# %%
def integrand(t, sigma):
    return -stats.norm.pdf(t, scale=sigma) * stats.norm.logpdf(t, scale=sigma)


for sigma in (2.0, 0.5, 0.1):
    integral, _ = integrate.quad(integrand, -10 * sigma, 10 * sigma, args=(sigma,))
    formula = 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    print(
        f"sigma {sigma}: formula {formula:7.4f} nats, quadrature {integral:7.4f}, uniform width {math.exp(formula):.3f}"
    )
    np.testing.assert_allclose(formula, integral)

# %% [markdown]
# A Gaussian is as uncertain as a uniform stretch about 4.13 $\sigma$ wide. Entropy is negative when that is narrower than 1: nothing is wrong then. In $D$ dimensions
# take minus the log-density of section 4, with $\mathrm E[\varepsilon_i^2] = 1$ for each $i$; $|\Sigma|$ is the determinant:
#
# $$H = \sum_i\Bigl[\tfrac12(\log 2\pi + 1) + \log L_{ii}\Bigr] = \tfrac12\log\bigl((2\pi e)^D|\Sigma|\bigr).$$


# %%
def entropy_normal(log_var):
    """Entropy in nats of a Gaussian with independent coordinates: (..., D) -> (...)."""
    return 0.5 * (1 + math.log(2 * math.pi) + log_var).sum(-1)


def entropy_normal_full(scale_tril):
    """Entropy in nats of N(mu, L L^T), whatever mu: (..., D, D) -> (...)."""
    log_diagonal = scale_tril.diagonal(dim1=-2, dim2=-1).log()
    return (0.5 * (1 + math.log(2 * math.pi)) + log_diagonal).sum(-1)


confirm("entropy in 2 dimensions", -log_normal_full(z, mu, L), entropy_normal_full(L))
confirm("entropy in 5 dimensions", -log_normal_full(x, mu5, L5), entropy_normal_full(L5))
torch.testing.assert_close(entropy_normal_full(L5), MultivariateNormal(mu5, Sigma5).entropy())
torch.testing.assert_close(entropy_normal(spread.log() * 2), entropy_normal_full(torch.diag(spread)))

# %% [markdown]
# For a VAE: the narrower $q(z\mid x)$, the lower its entropy; minus this entropy is a part of what the latents cost in the KL term (lesson 04).
#
# ## 6. What a vector σ gives up
#
# A network that emits a full $L$ for $d$ latents has to fill a triangle.

# %%
for d in (2, 16, 100):
    print(f"{d:3} latents: a vector sigma has {d:3} numbers, a matrix L {d * (d + 1) // 2:4}")

# %% [markdown]
# So the saving is large. What does it cost? Suppose the Gaussian we ought to have is $p = \mathcal N(0, \Sigma)$, with variances 1 and correlation 0.9, and we may only use a diagonal
# $q = \mathcal N(0, \operatorname{diag}(v))$. Which is the best? That depends on the measure. The usual one is the Kullback–Leibler divergence, the subject of [lesson 04](04_kl_divergence.ipynb):
#
# $$\mathrm{KL}(q\,\Vert\,p) = \mathrm E_q[\log q(z) - \log p(z)],$$
#
# never negative, zero only if $q = p$. It has two directions, and each has its own best $q$.

# %%
best_q = Prediction(
    "p has variances 1 and correlation 0.9. Which variances has the diagonal q with the least KL(q||p)?",
    ["1, as p has", "a little less, 0.5 to 0.95", "much less, below 0.5", "more than 1"],
)
best_q.ask()

# %% [markdown]
# **KL(q‖p).** Let $\Lambda = \Sigma^{-1}$, the *precision* matrix.
#
# - $\mathrm E_q[\log q] = -H(q) = -\tfrac12\sum_i\log v_i + \text{const}$.
# - $-\mathrm E_q[\log p] = \tfrac12\,\mathrm E_q[z^\top\Lambda z] + \text{const} = \tfrac12\sum_i\Lambda_{ii}v_i + \text{const}$, because under $q$ the products $z_iz_j$ average to 0 for $i\ne j$ and to $v_i$ for $i=j$.
# - The sum, differentiated with respect to $v_i$: $\;\tfrac12(\Lambda_{ii} - 1/v_i) = 0$, so $\;v_i = 1/\Lambda_{ii}$.
#
# **KL(p‖q).** Only $-\mathrm E_p[\log q] = \tfrac12\sum_i\bigl(\log v_i + \Sigma_{ii}/v_i\bigr) + \text{const}$ depends on $v$.
#
# - Differentiated: $\;\tfrac12(1/v_i - \Sigma_{ii}/v_i^2) = 0$, so $\;v_i = \Sigma_{ii}$: **the variances of $p$ itself**.
#
# The mean 0 of $p$ is best in both: a mean $m$ for $q$ would add $\tfrac12 m^\top\Lambda m$ to the first and $\tfrac12\sum_i m_i^2/v_i$ to the second.
#
# Now let gradient descent find both, with PyTorch's own formula for the KL and without ours.

# %%
zero = torch.zeros(2)
p = MultivariateNormal(zero, torch.tensor([[1.0, 0.9], [0.9, 1.0]]))


def descend(direction):
    """Follow the gradient of a KL over log v, from v = e; returns the best diagonal Gaussian found."""
    log_v = torch.ones(2, requires_grad=True)
    for _ in range(100):
        q = MultivariateNormal(zero, torch.diag(log_v.exp()))
        kl = kl_divergence(q, p) if direction == "q||p" else kl_divergence(p, q)
        (gradient,) = torch.autograd.grad(kl, log_v)
        log_v = (log_v - gradient).detach().requires_grad_()
    return MultivariateNormal(zero, torch.diag(log_v.detach().exp()))


# %%
q_qp, q_pq = descend("q||p"), descend("p||q")
torch.testing.assert_close(q_qp.variance, 1 / p.precision_matrix.diagonal())
torch.testing.assert_close(q_pq.variance, p.covariance_matrix.diagonal())
print(f"least KL(q||p): variances {q_qp.variance.numpy().round(3)}, KL {kl_divergence(q_qp, p).item():.3f} nats")
print(f"least KL(p||q): variances {q_pq.variance.numpy().round(3)}, KL {kl_divergence(p, q_pq).item():.3f} nats")
np.testing.assert_allclose([kl_divergence(q_qp, p), kl_divergence(p, q_pq)], -0.5 * math.log(1 - 0.9**2), rtol=1e-6)
v = q_qp.variance.max().item()
best_q.reveal(best_q.choices[3 if v > 1.05 else 0 if v > 0.95 else 1 if v > 0.5 else 2])

# %%
m = torch.tensor([0.5, -0.3])
added = kl_divergence(MultivariateNormal(m, q_qp.covariance_matrix), p) - kl_divergence(q_qp, p)
added_pq = kl_divergence(p, MultivariateNormal(m, q_pq.covariance_matrix)) - kl_divergence(p, q_pq)
torch.testing.assert_close(added, 0.5 * m @ p.precision_matrix @ m)
torch.testing.assert_close(added_pq, 0.5 * (m**2 / q_pq.variance).sum())
print(f"a mean of (0.5, -0.3) would add {added.item():.3f} and {added_pq.item():.3f} nats, as the formulas say")

# %% [markdown]
# $0.19 = 1 - 0.9^2$. In general $1/\Lambda_{ii}$ is the variance that is left to $z_i$ once all the others are known, and never exceeds $\Sigma_{ii}$ (both checked below). **The best diagonal $q$ under KL(q‖p)
# underestimates the variance, or matches it where there is no correlation.** The picture says why.

# %%
figure, ax = plt.subplots(figsize=(5, 4.6))
for gaussian, style, label in ((p, "-", "p"), (q_qp, "--", "least KL(q||p)"), (q_pq, ":", "least KL(p||q)")):
    ax.plot(*(gaussian.scale_tril.numpy() @ circle), style, label=label)
ax.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-3, 3), ylim=(-3, 3.6), aspect="equal")
ax.legend(loc="upper left", fontsize="small")
plotting.show(
    figure,
    "Curves that hold 95 % of three Gaussians. p: a long narrow ellipse along the diagonal. The q of least KL(q||p): a small circle, a "
    "third or more wider than p is across and far from its ends. The q of least KL(p||q): a large circle that reaches as far as the ends "
    "of p in each coordinate and covers wide corners where p has nothing.",
)

# %% [markdown]
# KL(q‖p) averages over draws of $q$: it punishes $q$ for being where $p$ is not, so $q$ stays mostly inside. KL(p‖q) averages over draws of $p$:
# it punishes $q$ for missing places where $p$ is. Counted, with draws of each:

# %%
generator = torch.Generator().manual_seed(SEED)


def share_outside(sampled, region):
    """Which part of draws from one Gaussian lies outside the curve that holds 95 % of another."""
    draws = sample_normal_full(torch.zeros(100_000, 2), sampled.scale_tril, generator)
    eps = torch.linalg.solve_triangular(region.scale_tril, draws.T, upper=False)  # (2, N)
    return ((eps**2).sum(0) > stats.chi2(2).ppf(0.95)).double().mean().item()


outside = {}
for name, q in (("least KL(q||p)", q_qp), ("least KL(p||q)", q_pq)):
    outside[name] = share_outside(q, p), share_outside(p, q)
    print(f"{name}: {outside[name][0]:.0%} of its draws miss p, {outside[name][1]:.0%} of p's draws miss it")
assert outside["least KL(q||p)"][0] < 0.12
assert outside["least KL(q||p)"][1] > 0.4
assert outside["least KL(p||q)"][0] > 0.4

# %% [markdown]
# **A VAE uses KL(q‖p)**: the gap between its bound and $\log p(x)$ is $\mathrm{KL}(q(z\mid x)\,\Vert\,p(z\mid x))$, with the true posterior as $p$
# ([lesson 05](05_jensen_elbo.ipynb)). Where the posterior is correlated, the encoder's draws are safe but too narrow. How much entropy is missing, and does it grow with the dimension? Let every pair of latents have correlation 0.9.

# %%
print(" d   variance   KL(q||p)   H(p) - H(q)   KL(p||q)")
for d in (2, 3, 10):
    p_d = MultivariateNormal(torch.zeros(d), 0.1 * torch.eye(d) + 0.9)
    v = 1 / p_d.precision_matrix.diagonal()
    q_d, wide = (MultivariateNormal(torch.zeros(d), torch.diag(w)) for w in (v, p_d.variance))
    qp, pq = kl_divergence(q_d, p_d), kl_divergence(p_d, wide)
    missing = entropy_normal_full(p_d.scale_tril) - entropy_normal(v.log())
    print(f"{d:2} {v[0]:10.3f} {qp:10.3f} {missing:13.3f} {pq:10.3f}")
    torch.testing.assert_close(missing, qp)  # at its best q, KL(q||p) is the entropy that q misses
    torch.testing.assert_close(entropy_normal(p_d.variance.log()) - entropy_normal_full(p_d.scale_tril), pq)

# %% [markdown]
# At the best $q$ the KL *is* the missing entropy: there $\mathrm E_q[z^\top\Lambda z] = \sum_i\Lambda_{ii}v_i = d$, just as under $p$, so all that differs between the two log-densities on average is their
# normaliser. The other $q$ has too much entropy, again by its KL. (In two dimensions both are $-\frac12\log(1-\rho^2)$; in more they part.)
#
# Can such a variance come out too large? No. Let $e_i$ be the $i$-th unit vector, $u = \Sigma^{1/2}e_i$ and $w = \Sigma^{-1/2}e_i$ (symmetric roots). Then by the Cauchy–Schwarz inequality
# $1 = (e_i^\top e_i)^2 = (u^\top w)^2 \le |u|^2\,|w|^2 = \Sigma_{ii}\Lambda_{ii}$. We try a thousand matrices, and compute the variance of $z_1$ given the rest in another way, by regression on the rest.

# %%
B = torch.randn(1000, 5, 5, generator=torch.Generator().manual_seed(SEED))
many = B @ B.mT + 0.1 * torch.eye(5)  # (1000, 5, 5)
ratio = 1 / (torch.linalg.inv(many).diagonal(dim1=1, dim2=2) * many.diagonal(dim1=1, dim2=2))  # (1000, 5)
to_rest = many[:, 0, None, 1:]  # (1000, 1, 4): covariances of z1 with the rest
left = many[:, 0, 0] - (to_rest @ torch.linalg.inv(many[:, 1:, 1:]) @ to_rest.mT)[:, 0, 0]
torch.testing.assert_close(ratio[:, 0] * many[:, 0, 0], left)
assert ratio.max() <= 1 + 1e-9
assert ratio.median() < 1 / 3
print("5,000 variances: none is overestimated; half of them come out at less than a third of the true one.")

# %% [markdown]
# One caution. A trained VAE is not handed a fixed posterior. The decoder learns along with the encoder and can turn the latent axes until its posteriors fit a diagonal $q$ (Rolínek et al. 2019; lesson 08). So this is the price for a *given* decoder.
#
# ## 7. Are the latents independent, then?
#
# Given a picture $x$, under $q(z\mid x)$: yes, by construction. A density with diagonal $\Sigma$ is a product over the coordinates, as `log_normal` computes it. But a VAE
# has many pictures, each with a Gaussian of its own. Take the smallest case: two pictures, with means $(1, 1)$ and $(-1, -1)$, and $\sigma = 0.5$ in both coordinates. Choose one by a coin, draw $z$, and forget which it was.
#
# By hand, the *law of total covariance*: the covariance is the average of the covariances within pictures, plus the covariance of the means,
#
# $$\operatorname{Cov}(z) = \begin{pmatrix}0.25&0\\0&0.25\end{pmatrix} + \begin{pmatrix}1&1\\1&1\end{pmatrix},\qquad
# \text{correlation} = \frac{1}{1.25} = 0.8 .$$
#
# Now four pictures, in a cross.

# %%
mixture = Prediction(
    "Means (1.5, 0), (-1.5, 0), (0, 1.5) and (0, -1.5), sigma = 0.4. What does knowing z1 tell you of z2?",
    ["nothing", "where it lies on average", "how widely it is spread", "both"],
)
mixture.ask()


# %%
def draw_mixture(means, sigma, n=20_000):
    """Pick one of the means (K, 2) for each draw, and draw around it with a diagonal Gaussian: z (n, 2), picked (n,)."""
    generator = torch.Generator().manual_seed(SEED)
    picked = torch.randint(len(means), (n,), generator=generator)
    log_var = torch.full((n, 2), 2 * math.log(sigma))
    return sample_normal(means[picked], log_var, generator), picked


z_two, picked_two = draw_mixture(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), 0.5)
z_four, picked_four = draw_mixture(1.5 * torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), 0.4)
confirm("covariance, two pictures", z_two[:, 0] * z_two[:, 1], 1.0)
confirm("covariance, four pictures", z_four[:, 0] * z_four[:, 1], 0.0)

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.5, 4.2))
for ax, z, picked, title in zip(axes, (z_two, z_four), (picked_two, picked_four), ("two", "four"), strict=True):
    for k, marker in enumerate("o^sv"[: int(picked.max()) + 1]):
        ax.plot(*z[:1500][picked[:1500] == k].T, marker, ms=3, alpha=0.5)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="$z_1$", ylabel="$z_2$", title=f"{title} pictures", aspect="equal")
plotting.show(
    figure,
    "Two scatter plots; every picture is a round cloud with a colour and marker of its own. Left: two clouds, one at the lower left and "
    "one at the upper right. Right: four clouds, to the left and right and above and below an empty centre.",
)

# %%
within, overall = (torch.corrcoef(z.T)[0, 1].item() for z in (z_two[picked_two == 0], z_two))
z1, z2 = z_four.T
groups = [z2[z1 < -1], z2[z1.abs() < 0.5], z2[z1 > 1]]
means, spreads = ([measure(group).item() for group in groups] for measure in (torch.mean, torch.std))
moved, widened = max(means) - min(means) > 0.2, max(spreads) > 1.5 * min(spreads)
mixture.reveal(mixture.choices[moved + 2 * widened])
print("spread of z2 where z1 < -1, |z1| < 0.5, z1 > 1:", np.round(spreads, 2))
print(f"correlation of the two pictures {overall:.1f}")
assert abs(within) < 0.05
assert abs(overall - 0.8) < 0.02
assert max(means) - min(means) < 0.1
assert spreads[1] > 2 * max(spreads[0], spreads[2])

# %% [markdown]
# **So statement 2 is half true.** Given $x$ the latents are independent under $q$; over all pictures, they are as dependent as the means and widths make them. In the left mixture they are correlated, 0.8.
# In the right one they are *uncorrelated and still dependent*: knowing $z_1$ changes the spread of $z_2$ more than twofold. Nothing in a vector $\sigma$ forbids either.
# What else in a VAE might push the mixture towards independence is the matter of [lesson 08](08_inside_the_latent_space.ipynb).
#
# ## 8. Many dimensions
#
# VAEs have 10 or 100 latents. How far from the mean does a draw land there?

# %%
distances = Prediction(
    "Of draws from N(0, 1), 95 % lie 0.03 to 2.24 from the origin. And of those from N(0, I) in 100 dimensions?",
    ["0.03 to 2.24, too", "0.3 to 22.4", "4.6 to 15.4", "8.6 to 11.4"],
)
distances.ask()

# %% [markdown]
# The squared length of standard noise is $|\varepsilon|^2 = \varepsilon_1^2+\dots+\varepsilon_d^2$. Each term has mean
# $\mathrm E[\varepsilon^2] = 1$ and variance $\mathrm E[\varepsilon^4]-1 = 2$; independent terms add up. So $|\varepsilon|^2$ has **mean $d$ and standard deviation $\sqrt{2d}$**.

# %%
fourth, _ = integrate.quad(lambda e: e**4 * stats.norm.pdf(e), -20, 20)
print(f"average of eps to the fourth power {fourth:.4f}, so that eps squared has variance {fourth - 1:.4f}")
np.testing.assert_allclose(fourth, 3)

# %%
draws = {d: torch.randn(10_000, d, generator=torch.Generator().manual_seed(SEED)) for d in (1, 2, 16, 100)}
radius = {d: eps.norm(dim=1) for d, eps in draws.items()}
for d, r in radius.items():
    confirm(f"d = {d:3}, squared length", r**2, float(d))
    confirm("         its variance  ", (r**2 - d) ** 2, 2.0 * d)
middle = {d: stats.chi(d).ppf([0.025, 0.975]) for d in radius}  # exact limits
low, high = np.quantile(radius[100], [0.025, 0.975])
offered = np.array([[0.03, 2.24], [0.3, 22.4], [4.6, 15.4], [8.6, 11.4]])
distances.reveal(distances.choices[np.abs(offered - [low, high]).sum(1).argmin()])
print("exact: 1 dimension", middle[1].round(2), "and 100 dimensions", middle[100].round(2))
np.testing.assert_allclose([low, high], middle[100], atol=0.1)

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
grid = np.linspace(0, 14, 400)
for (d, r), style in zip(radius.items(), ("-", "--", "-.", ":"), strict=True):
    _, _, bars = ax.hist(r.numpy(), bins=40, density=True, alpha=0.25)
    ax.plot(grid, stats.chi(d).pdf(grid), style, color=bars[0].get_facecolor()[:3], label=f"d = {d}")
ax.set(xlabel="distance from the origin, $|z|$", ylabel="share of draws per unit", xlim=(0, 14))
ax.legend()
plotting.show(
    figure,
    "Histograms of the length of standard normal draws. In one dimension it is highest at zero. In 2, 16 and 100 dimensions the "
    "hump moves to about 1, 4 and 10, and is about equally wide each time; for 100 nothing lies near zero. Exact curves lie on the histograms.",
)

# %%
for d in (16, 100):
    print(
        f"d = {d:3}: mean length {radius[d].mean():.2f}, square root of d {math.sqrt(d):.2f}, sd {radius[d].std():.2f}"
    )
    assert abs(radius[d].mean() / math.sqrt(d) - 1) < 0.03
    assert abs(radius[d].std() - math.sqrt(0.5)) < 0.03
    assert stats.chi(d).std() < math.sqrt(0.5)
print(f"Of the 10,000 draws in 100 dimensions, {int((radius[100] < 5).sum())} lie nearer than 5.")
assert radius[100].min() > 5

# %% [markdown]
# The draws fill a *shell* of radius $\sqrt d$ and a thickness that hardly grows (the standard deviation stays below $\sqrt{1/2}\approx 0.71$). The density *is* highest at the origin;
# but there is next to no room there, and a share of draws is density times room. The same holds around the mean of every $q(z\mid x)$: draws lie about $\sigma\sqrt d$ away from it, if all its $\sigma$ are alike. With 16 latents:

# %%
nearest = (0.5 * draws[16]).norm(dim=1).min().item()  # sigma = 0.5: how far z = mu + sigma eps lies from mu
assert nearest > 0.5
print("Of 10,000 draws around a mean with sigma = 0.5 in 16 dimensions, none comes as near to it as sigma.")

# %% [markdown]
# **So with many latents the decoder hardly ever sees the mean itself**, only the shell around it. Two more facts, each with its reason:
#
# - Two draws are **nearly orthogonal**. Turn the axes so that one lies along the first: the cosine is then the first coordinate of a random unit vector. The $d$ squared coordinates add up to 1, so each is $1/d$ on average: the cosine is about $\pm 1/\sqrt d$.
# - Their **midpoint** $\frac12(\varepsilon+\varepsilon')$ has variance $\frac14 + \frac14 = \frac12$ in each coordinate, so its length is about $\sqrt{d/2}$: well inside the shell.

# %%
one, other = draws[100][:5000], draws[100][5000:]
cosine = torch.cosine_similarity(one, other)
middle = (one + other).norm(dim=1) / 2
confirm("cosine squared, 1/d ", cosine**2, 1 / 100)
confirm("midpoint squared, d/2", middle**2, 50.0)
inside = (radius[100] < math.sqrt(50)).double().mean().item()
print(f"midpoints lie at {middle.mean():.2f}; of 10,000 draws {inside:.2%} lie as near to the origin as that")
assert inside < 0.001

# %% [markdown]
# Walk straight from one latent to another, as [lesson 00](00_start_here.ipynb) did. If the latents fill $\mathcal N(0, I)$ in 100 dimensions, halfway you are nearer to the origin than
# more than 999 draws in a thousand, and the decoder was hardly trained there. Whether that harms the pictures, and whether a walk along the shell is better, has to be measured: [lesson 09](09_latent_arithmetic.ipynb) does.
#
# ## Easy to forget
#
# - $\sigma = e^{\frac12\log\sigma^2}$. Test with a `log_var` other than 0.
# - `eps @ L.T` for draws in rows. Test the covariance entry by entry.
# - $\log 2\pi$ counts once for each dimension. It cancels in a KL, not in a likelihood.
# - Fresh noise for every picture and every latent: `eps` has the shape of `mu`.
# - `scale_tril` is $L$, not $\Sigma$. `MultivariateNormal(mu, Sigma)` takes a covariance unless told otherwise.
# - The mean has the highest density and is not a typical draw.
#
# ## Summary
#
# - $z = \mu+\sigma\varepsilon$; in general $z = \mu + L\varepsilon$ with $LL^\top = \Sigma$, and any other square root gives the same distribution.
# - A network emits $\log\sigma^2$: any real number will do, tiny variances included, and a gradient step means the same at every scale.
# - *"A vector $\sigma$ takes the off-diagonals as zero":* yes. $q(z\mid x)$ is an ellipse along the axes. Under KL(q‖p), which a VAE uses, the best of them has variances $1/\Lambda_{ii}$, 0.19 instead of 1 at correlation 0.9, and misses as much entropy as its KL; under KL(p‖q) it has the variances of $p$.
# - *"So the latents are independent":* given $x$, under $q$. Two diagonal Gaussians made a mixture with correlation 0.8.
# - Entropy of a Gaussian: $\frac12\log((2\pi e)^D|\Sigma|)$, negative if narrow.
# - In $d$ dimensions draws lie on a shell of radius $\sqrt d$, nearly at right angles to each other; midpoints fall inside, at $\sqrt{d/2}$.
#
# **Back:** [01 · A plain autoencoder overfits its latent space](01_autoencoder.ipynb). **Next:** [03 · The reparametrization trick](03_reparametrization.ipynb): a draw is random. How does a gradient get through it?
#
# ## Try it
#
# 1. Run section 1 with `SEED = 2`. Is the variance wrong, or is it chance? Decide what would tell the two apart, then do it.
# 2. Share the noise: draw one `eps` of shape (D,) and use it for a whole batch of pictures. Is the distribution of each $z$ still right? What is not?
# 3. In section 6, set the correlation to 0, 0.5, 0.99. Predict the variances of the best $q$ under KL(q‖p) first.
# 4. Give `torch.linalg.cholesky` the matrix [[1, 2], [2, 1]]. Why does it fail, and what would the correlation be?
# 5. Change the two means of section 7 to $(1, -1)$ and $(-1, 1)$, then to $(1, 0)$ and $(-1, 0)$. Predict both correlations.
# 6. Three draws instead of two in section 8: how long is their average? Check it, and state the rule for $n$.
#
# **Exercise.** [Exercise 02](../work/ex02_gaussian_sampling.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*: the Gaussian encoder with diagonal covariance (appendix C).
# - Rezende, Mohamed & Wierstra 2014, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models*: also covariances that are not diagonal.
# - Bishop 2006, *Pattern Recognition and Machine Learning*, section 10.1: the best factorised Gaussian under both directions of the KL.
# - Rolínek, Zietlow & Martius 2019, *Variational Autoencoders Pursue PCA Directions (by Accident)*.
