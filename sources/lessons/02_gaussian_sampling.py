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
# variance. The decoder gets **one random draw** $z$ from the Gaussian that they describe. (*Latents* are the $d$ numbers $z_1,\dots,z_d$ between encoder and decoder.)
#
# In most code the variances are a vector $\sigma^2$. A Gaussian in general has a covariance *matrix* instead. Two things are often said about this vector:
#
# 1. it means that the off-diagonal entries of the matrix are **taken as zero**;
# 2. so the latents **are independent**.
#
# **The question of this lesson: how do we draw from a Gaussian, and what does a vector $\sigma$ give up?** We also see
# in what sense statement 2 is true.
#
# *You need:* means, variances and covariance matrices; determinants and eigenvalues; lesson 01 for the motivation. *Time:* 90 minutes for the core, 15 more for the optional sections, seconds to run.
#
# To hide the answers, first choose *Edit, Clear Outputs of All Cells* from the menu.

# %%
import math

from vae_lessons import plotting
from vae_lessons.widgets import Prediction, explore

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import integrate, stats
from torch.distributions import MultivariateNormal, Normal, kl_divergence

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)
torch.set_default_dtype(torch.float64)  # sixteen digits, so that a formula that is right is seen to be right

# %%
plotting.machine("q", "z")

# %% [markdown]
# This lesson is about the two marked parts: the Gaussian $q(z\mid x)$ that the encoder gives for a picture $x$, and the draw $z$ from it.
# (The *prior* $\mathcal N(0, I)$ is the distribution of the latents before a picture is seen.)
#
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
# Why has $z$ the right distribution? Write $\mathbb E$ for the average over $\varepsilon$.
#
# - Mean: $\mathbb E[\mu+\sigma\varepsilon] = \mu + \sigma\,\mathbb E[\varepsilon] = \mu$.
# - Variance: $\mathbb E[(z-\mu)^2] = \sigma^2\,\mathbb E[\varepsilon^2] = \sigma^2$.
# - Shape: $z\le t$ exactly when $\varepsilon\le (t-\mu)/\sigma$, so the two events have the same probability. Differentiate this probability with respect to $t$. The density of $z$ at $t$ is the
#   density of $\varepsilon$ at $(t-\mu)/\sigma$, **divided by $\sigma$**. (A stretched curve is wider. The area below it must stay 1, so it is lower.)
#
# This is the bell curve that tables list for $\mathcal N(\mu, \sigma^2)$:

# %%
t = np.array([1.5, 2.0, 3.0])
ours = stats.norm.pdf((t - mu) / sigma) / sigma
print("density of eps, divided by sigma:", ours.round(4))
np.testing.assert_allclose(ours, np.exp(-((t - mu) ** 2) / (2 * sigma**2)) / math.sqrt(2 * math.pi * sigma**2))

# %% [markdown]
# Do draws agree with these formulas? An average of $N$ draws is itself random. It misses the truth by about its *standard error*, the standard deviation of one
# draw divided by $\sqrt N$. To test that, take 10,000 averages of 100 draws each:

# %%
averages = (mu + sigma * torch.randn(10_000, 100, generator=torch.Generator().manual_seed(SEED))).mean(1)
print(f"the averages spread by {averages.std():.4f}; sigma / sqrt(100) = {sigma / math.sqrt(100):.4f}")
once = {k: f"once in {1 / (2 * stats.norm.sf(k)):,.0f}" for k in (2, 5)}
print(f"in theory they are off by more than 2 standard errors {once[2]}, by more than 5 {once[5]}")

# %%
assert abs(averages.std() / (sigma / 10) - 1) < 0.04
print("Averages of 100 draws spread by sigma / 10, within 4 %.")

# %% [markdown]
# In this lesson a formula counts as confirmed if an average of draws lies **within 5 standard errors** of it. A limit of 2 would reject one right formula in 22.
# The whole lesson uses two small functions:


# %%
def mean_and_error(values):
    """The mean over draws (N, ...) and its standard error."""
    return values.mean(0), values.std(0) / math.sqrt(len(values))


def confirm(name, draws, truth):
    """Print the mean of draws (N,) beside the truth, and insist that it lies within 5 standard errors."""
    mean, error = mean_and_error(draws)
    print(f"{name}: truth {truth:.4f}, sampled {mean:.4f}, standard error {error:.4f}")
    assert abs(mean - truth) < 5 * error


# %%
generator = torch.Generator().manual_seed(SEED)
z = mu + sigma * torch.randn(100_000, generator=generator)
confirm("mean    ", z, mu)
confirm("variance", (z - mu) ** 2, sigma**2)

# %% [markdown]
# Such a check has a limit. Five standard errors of this variance are about 0.006, which is 2 % of it. A fault of 1 % could pass unseen.
#
# Is a draw needed at all? Why not give the decoder the mean? A function averaged over draws differs from the function of the mean. Take $f(z) = z^2$.
# Since $\mathbb E[z^2] = \mu^2+\sigma^2$, the average of $f$ is 4.25, and $f$ at the mean is 4.


# %%
def f(z):
    return z**2


average, error = mean_and_error(f(z))
confirm("average of f", f(z), mu**2 + sigma**2)
print(f"f at the mean: {f(mu):.2f}, which is {(average - f(mu)) / error:.0f} standard errors away")

# %%
assert average - f(mu) > 20 * error
print("The average of z squared is over 20 standard errors above the square of the mean.")

# %% [markdown]
# A VAE's loss contains such an average: the log-likelihood of the picture, averaged over the draws $z$ of its encoder (lesson 05). **One**
# draw is a noisy estimate, but right on average. Each time training uses a picture, it draws new noise.
#
# ## 2. σ, σ² or log σ²?
#
# The variance must be positive, but the last layer of a network puts out any real number. So VAEs read that number as $\log\sigma^2$:

# %%
print("output   read as log sigma^2: variance   sigma   read as sigma")
for output in (-8.0, -2.0, 0.0, 1.0):
    verdict = "allowed" if output > 0 else "not allowed"
    print(f"{output:6.1f} {math.exp(output):30.6f} {math.exp(output / 2):7.4f}   {verdict}")

# %% [markdown]
# Every output gives a valid variance, and $-8$ gives a tiny one. (Some code takes another positive function, such as softplus, $\log(1+e^a)$.)
#
# There is a second reason. The loss has a KL term, which keeps $q(z\mid x)$ near $\mathcal N(0, I)$. For one latent it is (lesson 04)
# $\tfrac12(\mu^2+\sigma^2-1-\log\sigma^2)$. Its slope is $\tfrac12(\sigma^2-1)$ with respect to $\log\sigma^2$, and $\sigma-1/\sigma$ with respect to $\sigma$.
# When $\sigma$ is small, the first is close to $-\tfrac12$ and the second is huge. What is $\sigma$ after one step of gradient descent with learning rate 0.1?


# %%
def kl_slopes(sigma):
    """Slopes of PyTorch's own KL(N(0, sigma^2) || N(0, 1)): with respect to log sigma^2, and to sigma."""
    log_var, s = torch.tensor([2 * math.log(sigma), sigma]).requires_grad_().unbind()
    kl_by_log_var = kl_divergence(Normal(0.0, torch.exp(0.5 * log_var)), Normal(0.0, 1.0))
    kl_by_sigma = kl_divergence(Normal(0.0, s), Normal(0.0, 1.0))
    return [torch.autograd.grad(kl, at)[0].item() for kl, at in ((kl_by_log_var, log_var), (kl_by_sigma, s))]


print("  sigma   slope in log sigma^2   then sigma is   slope in sigma   then sigma is")
for s in (0.001, 0.1, 1.0, 3.0, 20.0):
    by_log_var, by_sigma = kl_slopes(s)
    steps = s * math.exp(-0.05 * by_log_var), s - 0.1 * by_sigma
    print(f"{s:7} {by_log_var:22.3f} {steps[0]:15.4f} {by_sigma:16.2f} {steps[1]:15.4f}")

# %%
for s in np.logspace(-6, 2, 50):
    assert np.allclose(kl_slopes(s), [0.5 * (s**2 - 1), s - 1 / s])
    assert kl_slopes(s)[0] > -0.5 - 1e-9
assert kl_slopes(0.001)[1] < -900
print("In log sigma^2 the slope is never below -1/2. In sigma it is below -900 at sigma = 0.001.")

# %% [markdown]
# From $\sigma = 0.001$ the step in $\sigma$ overshoots to about 100. The step in $\log\sigma^2$ adds about 0.05 to $\log\sigma^2$: it makes $\sigma$ 2.5 % larger. At large $\sigma$ it is the other way round, since
# the slope in $\log\sigma^2$ grows with $\sigma^2$: the step from $\sigma = 20$ overshoots to 0.0009. So this second reason holds for small $\sigma$ and plain gradient descent. With Adam, which divides each slope by its size, it counts for less.
#
# The logarithm of the density, too, uses $\log\sigma^2$ as it stands: $\;\log\mathcal N(z;\mu,\sigma^2) = -\tfrac12\bigl[\log 2\pi + \log\sigma^2 + (z-\mu)^2/\sigma^2\bigr]$.
# The logarithm is natural, and its unit is called the *nat*. Here are the functions for vectors of independent coordinates. Their densities multiply, so the logarithms add up.


# %%
def sample_normal(mu, log_var, generator=None):
    """Draw z = mu + sigma * eps; mu, log_var (..., d) -> (..., d). Fresh noise for every entry."""
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(0.5 * log_var) * eps


def log_normal(x, mu, log_var):
    """Log-density in nats, summed over the coordinates: (..., d) -> (...)."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (x - mu) ** 2 * torch.exp(-log_var)).sum(-1)


# %%
point, centre, spread = torch.tensor([[1.0, 3.0], [0.0, 2.0], [1.0, 0.1]])
ours = log_normal(point, centre, 2 * spread.log()).item()
print(f"log-density of a point in two dimensions: {ours:.4f} nats")
np.testing.assert_allclose(ours, stats.norm(centre, spread).logpdf(point).sum())

# %% [markdown]
# Reading outputs as $\log\sigma^2$ invites a classic slip. The half in $\sigma = e^{\frac12\log\sigma^2}$ is easily forgotten.

# %%
slip = Prediction(
    "sigma should be 0.1, but the code draws mu + exp(log_var) * eps, without the half. How far do its draws spread?",
    ["0.05, half as far", "0.2, twice as far", "0.01, a tenth as far", "0.32, over three times as far"],
)
slip.ask()

# %%
eps = torch.randn(100_000, generator=torch.Generator().manual_seed(SEED))  # the same noise in every row
drawn = {}
for meant in (0.1, 1.0, 2.0):
    log_var = 2 * math.log(meant)
    drawn[meant] = (math.exp(log_var) * eps).std().item()  # the slip
    print(f"sigma meant {meant}, drawn {drawn[meant]:.2f}")
nearest = np.abs(np.log(np.array([0.05, 0.2, 0.01, 0.32]) / drawn[0.1])).argmin()
slip.reveal(slip.choices[nearest])

# %%
for meant, spread_drawn in drawn.items():
    assert abs(spread_drawn / meant**2 - 1) < 0.02
print("Without the half, draws spread by sigma squared, within 2 %.")

# %% [markdown]
# That is too little for $\sigma < 1$, and too much for $\sigma > 1$. At $\log\sigma^2 = 0$ nothing is wrong, so a test with `log_var = torch.zeros(...)` passes. Test with another value.
#
# ## 3. A covariance matrix, by hand
#
# Two latents can also vary *together*. Their variances and their covariance make up the matrix $\Sigma$, say
# $\Sigma = \begin{pmatrix}4&2\\2&2\end{pmatrix}$: variances 4 and 2, covariance 2. How do we draw from $\mathcal N(\mu, \Sigma)$? As before, stretch and shift
# standard noise. Now the noise is a vector $\varepsilon\sim\mathcal N(0, I)$, and a matrix $L$ stretches it: $z = \mu + L\varepsilon$.
#
# Averaging entry by entry, $\mathbb E[z] = \mu + L\,\mathbb E[\varepsilon] = \mu$. The covariance matrix is the average of
# $(z-\mu)(z-\mu)^\top = L\varepsilon\,(L\varepsilon)^\top = L\,\varepsilon\varepsilon^\top L^\top$. So it is $L\,\mathbb E[\varepsilon\varepsilon^\top]\,L^\top = L\,I\,L^\top = \mathbf{LL^\top}$.
#
# We need a "square root" of $\Sigma$: a matrix $L$ with $LL^\top = \Sigma$. Try a lower triangular one, $L = \begin{pmatrix}a&0\\b&c\end{pmatrix}$.
# Multiplied out, $LL^\top = \begin{pmatrix}a^2&ab\\ab&b^2+c^2\end{pmatrix}$.
#
# $a^2 = 4$ gives $a = 2$; $ab = 2$ gives $b = 1$; $b^2+c^2 = 2$ gives $c = 1$. Solving entry by entry in this way works in any dimension. The result is the **Cholesky factor**.

# %%
Sigma = torch.tensor([[4.0, 2.0], [2.0, 2.0]])
a = math.sqrt(Sigma[0, 0])
b = Sigma[0, 1].item() / a
c = math.sqrt(Sigma[1, 1] - b**2)
L = torch.linalg.cholesky(Sigma)
print("by hand", [[a, 0.0], [b, c]], "  torch", L.tolist())
torch.testing.assert_close(L, torch.tensor([[a, 0.0], [b, c]]))

# %% [markdown]
# Row 1 of $L$ shows that $z_1$ moves with $\varepsilon_1$ alone. By row 2, $z_2$ moves with the *same* $\varepsilon_1$, which makes the covariance, and with noise $\varepsilon_2$ of its own.
# For a positive $c = \sqrt{\Sigma_{22} - \Sigma_{12}^2/\Sigma_{11}}$ we need $\Sigma_{12}^2 < \Sigma_{11}\Sigma_{22}$. In other words, the correlation $\rho = \Sigma_{12}/\sqrt{\Sigma_{11}\Sigma_{22}}$ must lie strictly between $-1$ and 1.
#
# By hand, with $\mu = (0, 1)$ and $\varepsilon = (1, -1)$: $z = (0 + 2\cdot 1,\; 1 + 1\cdot 1 - 1\cdot 1) = (2, 1)$. In general:


# %%
def sample_normal_full(mu, scale_tril, generator=None):
    """Draw z = mu + L eps; mu (..., d), scale_tril = L (..., d, d) lower triangular -> (..., d)."""
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + (scale_tril @ eps[..., None])[..., 0]  # [..., None] makes eps a column, [..., 0] undoes it


mu = torch.tensor([0.0, 1.0])
print("by hand:", (mu + L @ torch.tensor([1.0, -1.0])).tolist())
z = sample_normal_full(mu.expand(100_000, 2), L, torch.Generator().manual_seed(SEED))

# %%
products = (z - mu)[:, :, None] * (z - mu)[:, None, :]  # (N, 2, 2), the covariance matrix on average
found, error = mean_and_error(products)
print("covariance of the draws", found.numpy().round(3).tolist())
print("its standard errors    ", error.numpy().round(3).tolist())
for i in (0, 1):
    confirm(f"mean of z{i + 1}", z[:, i], mu[i])

# %%
assert ((found - Sigma).abs() < 5 * error).all()
print("Every entry of the covariance of the draws is within 5 standard errors of Sigma.")

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
print("right: L L^T =", (L @ L.T).tolist(), "  wrong: L^T L =", (L.T @ L).tolist())
confirm("variance of z1 with the slip", wrong[:, 0] ** 2, (L.T @ L)[0, 0])

# %%
axes_right, axes_wrong = torch.linalg.eigvalsh(Sigma), torch.linalg.eigvalsh(wrong.T.cov())
print("variances along the axes:", axes_right.numpy().round(2), "with the slip", axes_wrong.numpy().round(2))
same_shape = torch.allclose(axes_right, axes_wrong, rtol=0.05)
same_matrix = torch.allclose(Sigma, wrong.T.cov(), rtol=0.05)
transposed.reveal(transposed.choices[0 if same_matrix else 1 if same_shape else 2])

# %%
variance, error = mean_and_error(wrong[:, 0] ** 2)
assert torch.allclose(axes_right, axes_wrong, rtol=0.05)
assert variance - Sigma[0, 0] > 20 * error
print("With the slip the variances along the axes of the ellipse stay the same, within 5 %.")
print("The variance of z1 is over 20 standard errors too large.")

# %% [markdown]
# $LL^\top$ and $L^\top L$ always have the same eigenvalues. Let $L^\top L\,v = \lambda v$ with $v\ne 0$. Multiply by $L$ from the left: $LL^\top(Lv) = \lambda\,(Lv)$, and $Lv\ne 0$ because $L$ has an inverse. The eigenvalues are the variances along the axes of the ellipse.
# (The axes are the *principal components* of lesson 01.) So the ellipse is only turned. Total
# variance and determinant are still right, so they cannot show the fault. Compare the covariance *entry by entry*.
#
# ## 4. It is a Gaussian: the density
#
# Mean and covariance do not determine a distribution. The density does. In one dimension we divided by $\sigma$, because lengths grow by $\sigma$. In $d$ dimensions $L$
# makes volumes grow by $|\det L|$. The determinant of a triangular matrix is the product of its diagonal (here $2\cdot 1 = 2$). So, with $\varepsilon = L^{-1}(z-\mu)$,
#
# $$\log p(z) = \log\mathcal N(\varepsilon; 0, I) - \log|\det L| = -\tfrac12\sum_i\bigl(\log 2\pi + \varepsilon_i^2\bigr) - \sum_i\log L_{ii} .$$
#
# It is the textbook's formula, since $\sum_i\varepsilon_i^2 = (z-\mu)^\top\Sigma^{-1}(z-\mu)$ and $\det\Sigma = (\det L)^2$. We check it by hand, then with two libraries:


# %%
def log_normal_full(x, mu, scale_tril):
    """Log-density of N(mu, L L^T) in nats; x, mu (..., d), scale_tril = L (..., d, d) -> (...)."""
    eps = torch.linalg.solve_triangular(scale_tril, (x - mu)[..., None], upper=False)[..., 0]  # L eps = x - mu
    log_det = scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return -0.5 * (math.log(2 * math.pi) + eps**2).sum(-1) - log_det


at = torch.tensor([2.0, 1.0])  # where eps = (1, -1)
by_hand = -math.log(2 * math.pi) - 0.5 * (1 + 1) - math.log(2)
print(f"by hand {by_hand:.4f} nats, log_normal_full {log_normal_full(at, mu, L).item():.4f} nats")
np.testing.assert_allclose(log_normal_full(at, mu, L), by_hand)

# %%
generator = torch.Generator().manual_seed(SEED)
B = torch.randn(5, 5, generator=generator)
Sigma5, mu5 = B @ B.T + torch.eye(5), torch.randn(5, generator=generator)  # a covariance matrix in 5 dimensions
L5 = torch.linalg.cholesky(Sigma5)
x = sample_normal_full(mu5.expand(10_000, 5), L5, generator)
ours = log_normal_full(x, mu5, L5)
assert torch.allclose(ours, MultivariateNormal(mu5, Sigma5).log_prob(x))
assert np.allclose(ours, stats.multivariate_normal(mu5.numpy(), Sigma5.numpy()).logpdf(x.numpy()))
print("10,000 log-densities in five dimensions agree with torch.distributions and with scipy.")

# %% [markdown]
# ### Move it
#
# The figure shows 150 draws, always from the same noise, and the curve inside which 95 % of all draws lie. This curve is a circle of noise, multiplied by $L$. The thick lines are the columns of
# $L$: where $\varepsilon = (1, 0)$ and $(0, 1)$ go. Move $\rho$ slowly from 0 to 0.95. Which line turns, and which keeps its direction? What happens to the length of the second line?

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
    stills=[{"rho": rho, "sigma_1": 1.5, "sigma_2": 1.5} for rho in (-0.9, -0.6, 0.0, 0.3, 0.6, 0.9)]
    + [{"rho": 0.0, "sigma_1": 2.0, "sigma_2": 0.7}],
    alt="A cloud of draws with the ellipse that holds 95 % of them, and the two columns of L. With negative rho the ellipse and the first "
    "column fall to the right, with positive rho they rise. The farther rho is from 0, the narrower the ellipse. The second column is always "
    "upright, and short where the ellipse is narrow. In the last still, with rho 0 and sigmas 2 and 0.7, the ellipse is flat and lies along the axes.",
    size=(4.0, 3.8),
)

# %% [markdown]
# With $\rho = 0$ the ellipse lies along the axes, however long or flat it is. **A vector $\sigma$ can make these ellipses, and no others.** With any other $\rho$ the first column
# leans. The second column stays upright and shrinks to the length $\sigma_2\sqrt{1-\rho^2}$. This is the standard deviation that $z_2$ still has once $z_1$ is known. A known $z_1$ fixes $\varepsilon_1$, so only $\varepsilon_2$ is then random.
#
# The draws show statement 1 as well. Take the vector $\sigma = (2, 0.7)$ of the last still:

# %%
log_var = 2 * torch.tensor([2.0, 0.7]).log()
z_vector = sample_normal(mu.expand(100_000, 2), log_var, torch.Generator().manual_seed(SEED)) - mu
found, error = mean_and_error(z_vector[:, :, None] * z_vector[:, None, :])
print("covariance of the draws", found.numpy().round(3).tolist())
assert ((found - torch.diag(log_var.exp())).abs() < 5 * error).all()
print("A vector sigma draws with covariance zero, within 5 standard errors.")

# %% [markdown]
# ## 5. Entropy: how much room a Gaussian takes
#
# The **entropy** $H = -\mathbb E[\log p(z)]$ measures, in nats, how widely a distribution is spread. A uniform density on a stretch of width $w$ is $1/w$ there, so its entropy is $\log w$. For a Gaussian, insert the log-density of section 2. There $(z-\mu)^2/\sigma^2$ is 1 on average, so
# $H = \tfrac12[\log 2\pi + \log\sigma^2 + 1] = \tfrac12\log(2\pi e\,\sigma^2)$. The integral, computed numerically, confirms it:


# %%
def integrand(t, sigma):
    return -stats.norm.pdf(t, scale=sigma) * stats.norm.logpdf(t, scale=sigma)


entropies = {}
for sigma in (2.0, 0.5, 0.1):
    formula = 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    integral, _ = integrate.quad(integrand, -10 * sigma, 10 * sigma, args=(sigma,))
    print(f"sigma {sigma}: {formula:7.4f} nats, by integral {integral:7.4f}; uniform width {math.exp(formula):.3f}")
    entropies[sigma] = formula, integral

# %%
for sigma, (formula, integral) in entropies.items():
    assert abs(formula - integral) < 1e-6
    assert abs(math.exp(formula) / sigma - 4.13) < 0.01
print("Formula and integral agree. A uniform stretch of the same entropy is about 4.13 sigma wide.")

# %% [markdown]
# If that stretch is narrower than 1, its logarithm is negative, and so is the entropy. In $d$ dimensions
# change the sign of section 4's log-density and average it, with $\mathbb E[\varepsilon_i^2] = 1$ for each $i$. Here $|\Sigma|$ is the determinant:
#
# $$H = \sum_i\Bigl[\tfrac12(\log 2\pi + 1) + \log L_{ii}\Bigr] = \tfrac12\log\bigl((2\pi e)^d|\Sigma|\bigr).$$


# %%
def entropy_normal(log_var):
    """Entropy in nats of a Gaussian with independent coordinates: (..., d) -> (...)."""
    return 0.5 * (1 + math.log(2 * math.pi) + log_var).sum(-1)


def entropy_normal_full(scale_tril):
    """Entropy in nats of N(mu, L L^T), whatever mu: (..., d, d) -> (...)."""
    log_diagonal = scale_tril.diagonal(dim1=-2, dim2=-1).log()
    return (0.5 * (1 + math.log(2 * math.pi)) + log_diagonal).sum(-1)


# %%
confirm("entropy in 2 dimensions", -log_normal_full(z, mu, L), entropy_normal_full(L))
confirm("entropy in 5 dimensions", -log_normal_full(x, mu5, L5), entropy_normal_full(L5))
torch.testing.assert_close(entropy_normal_full(L5), MultivariateNormal(mu5, Sigma5).entropy())
torch.testing.assert_close(entropy_normal(spread.log() * 2), entropy_normal_full(torch.diag(spread)))

# %% [markdown]
# The narrower $q(z\mid x)$, the lower its entropy. A VAE's KL term contains minus this entropy. So below $\sigma = 1$ it grows as $q$ narrows (lesson 04).
#
# ## 6. What a vector σ gives up
#
# A full $L$ for $d$ latents needs $d(d+1)/2$ outputs of the network, in place of $d$:

# %%
print({f"{d} latents": f"{d} numbers for sigma, {d * (d + 1) // 2} for L" for d in (2, 16, 100)})

# %% [markdown]
# So a vector $\sigma$ saves many outputs. What is lost? Suppose that the right Gaussian is $p = \mathcal N(0, \Sigma)$, with variances 1 and correlation 0.9. We may only use a diagonal
# $q = \mathcal N(m, \operatorname{diag}(v))$. Which $q$ is best depends on the measure. The usual one is the Kullback–Leibler divergence, the subject of [lesson 04](04_kl_divergence.ipynb):
#
# $$\mathrm{KL}(q\,\Vert\,p) = \mathbb E_q[\log q(z) - \log p(z)],$$
#
# where $\mathbb E_q$ averages over draws of $q$. It is never negative, and zero only if $q = p$. The other direction is $\mathrm{KL}(p\,\Vert\,q) = \mathbb E_p[\log p(z) - \log q(z)]$. Each direction has its own best $q$.

# %%
best_q = Prediction(
    "p has variances 1 and correlation 0.9. Which variances has the diagonal q with the least KL(q||p)?",
    ["1, as p has", "a little less, 0.5 to 0.95", "much less, below 0.5", "more than 1"],
)
best_q.ask()

# %% [markdown]
# Let $\Lambda = \Sigma^{-1}$, the *precision* matrix. If $q$ has the mean $m\ne 0$, then $\mathbb E_q[z^\top\Lambda z]$ grows by $m^\top\Lambda m$, so KL(q‖p) grows by half of that. In the same way KL(p‖q) grows by $\tfrac12\sum_i m_i^2/v_i$. So the best mean is 0 in both directions. Now the variances.
#
# **KL(q‖p)** is the sum of two parts.
#
# - $\mathbb E_q[\log q] = -H(q) = -\tfrac12\sum_i\log v_i + \text{const}$.
# - $-\mathbb E_q[\log p] = \tfrac12\,\mathbb E_q[z^\top\Lambda z] + \text{const} = \tfrac12\sum_i\Lambda_{ii}v_i + \text{const}$. (Under $q$ the products $z_iz_j$ average to 0 for $i\ne j$, and to $v_i$ for $i=j$.)
# - Differentiate their sum with respect to $v_i$: $\;\tfrac12(\Lambda_{ii} - 1/v_i) = 0$, so $\;v_i = 1/\Lambda_{ii}$.
#
# **KL(p‖q)** depends on $v$ only through $-\mathbb E_p[\log q] = \tfrac12\sum_i\bigl(\log v_i + \Sigma_{ii}/v_i\bigr) + \text{const}$.
#
# - Differentiate: $\;\tfrac12(1/v_i - \Sigma_{ii}/v_i^2) = 0$, so $\;v_i = \Sigma_{ii}$, **the variances of $p$ itself**.
#
# Next, an optimiser looks for both, with PyTorch's own formula for the KL.


# %%
def minimise(cost):
    """The mean (2,) and log-variances (2,) where a cost is least, by Adam, from a start away from both answers."""
    m, log_v = torch.tensor([0.5, -0.3], requires_grad=True), torch.full((2,), -1.0, requires_grad=True)
    optimizer = torch.optim.Adam([m, log_v], lr=0.1)
    for _ in range(800):
        optimizer.zero_grad()
        cost(m, log_v).backward()
        optimizer.step()
    return m.detach(), log_v.detach()


def diagonal(m, log_v):
    return MultivariateNormal(m, torch.diag(log_v.exp()))


# %%
rho = 0.9
p = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, rho], [rho, 1.0]]))
q_qp = diagonal(*minimise(lambda m, log_v: kl_divergence(diagonal(m, log_v), p)))
q_pq = diagonal(*minimise(lambda m, log_v: kl_divergence(p, diagonal(m, log_v))))
kl_qp, kl_pq = kl_divergence(q_qp, p).item(), kl_divergence(p, q_pq).item()
print(f"least KL(q||p): variances {q_qp.variance.numpy().round(3)}, KL {kl_qp:.3f} nats")
print(f"least KL(p||q): variances {q_pq.variance.numpy().round(3)}, KL {kl_pq:.3f} nats")
v = q_qp.variance.max().item()
best_q.reveal(best_q.choices[3 if v > 1.05 else 0 if v > 0.95 else 1 if v > 0.5 else 2])

# %%
assert torch.allclose(q_qp.variance, 1 / torch.linalg.inv(p.covariance_matrix).diagonal(), rtol=1e-4)
assert torch.allclose(q_pq.variance, p.covariance_matrix.diagonal(), rtol=1e-4)
assert max(q_qp.mean.abs().max(), q_pq.mean.abs().max()) < 1e-4
print("The optimiser finds 1 / Lambda_ii for KL(q||p), Sigma_ii for KL(p||q), and mean 0 for both.")

# %% [markdown]
# Here $1/\Lambda_{ii} = 1 - 0.9^2 = 0.19$. In general $1/\Lambda_{ii}$ is **the variance that $z_i$ still has once all the other latents are known**. To see it, hold the others fixed. As a function of
# $z_i$ alone, $\log p$ is $-\tfrac12\Lambda_{ii}z_i^2$ plus a linear term. That is a Gaussian with variance $1/\Lambda_{ii}$. This is never larger than $\Sigma_{ii}$ (section 10 has a proof and draws). So **the best diagonal $q$ under KL(q‖p)
# underestimates the variance, or matches it where there is no correlation.**

# %%
figure, ax = plt.subplots(figsize=(5, 4.6))
for gaussian, style, label in ((p, "-", "p"), (q_qp, "--", "least KL(q||p)"), (q_pq, ":", "least KL(p||q)")):
    ax.plot(*(gaussian.scale_tril.numpy() @ circle), style, label=label)
ax.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-3, 3), ylim=(-3, 3.6), aspect="equal")
ax.legend(loc="upper left", fontsize="small")
plotting.show(
    figure,
    "Curves that hold 95 % of three Gaussians. p: a long narrow ellipse along the diagonal. The q of least KL(q||p): a small circle that "
    "sticks out a little on both sides of p and is far from its ends. The q of least KL(p||q): a large circle that reaches as far as the ends "
    "of p in each coordinate and covers wide corners where p has nothing.",
)

# %% [markdown]
# KL(q‖p) averages over draws of $q$. It grows when $q$ puts draws where $p$ has little density, so its best $q$ stays mostly inside. KL(p‖q) averages over draws of $p$.
# It grows when $p$ has draws where $q$ has little density, so its best $q$ covers most of $p$. (Section 10 counts how many draws miss.)
#
# How large is the least KL(q‖p)? At that $q$, $\mathbb E_q[z^\top\Lambda z] = \sum_i\Lambda_{ii}v_i = d$. Under $p$ it is $\operatorname{tr}(\Lambda\Sigma) = d$ too. Now $\log p$ is $-\tfrac12 z^\top\Lambda z$ plus a constant.
# So $\mathbb E_q[\log p] = \mathbb E_p[\log p] = -H(p)$. Then $\mathbb E_q[\log q] - \mathbb E_q[\log p] = H(p) - H(q)$: the KL is **the entropy that $q$ misses**.

# %%
missing = entropy_normal_full(p.scale_tril) - entropy_normal(q_qp.variance.log())
print(f"KL(q||p) {kl_qp:.3f} nats, H(p) - H(q) {missing:.3f} nats")
assert abs(missing - kl_qp) < 1e-4
print("At the best q, the KL is the entropy that q misses.")

# %% [markdown]
# ### The two KLs of a VAE
#
# Given a decoder, Bayes's rule gives the distribution of the latents of a picture: the *true posterior* $p(z\mid x) = p(x\mid z)\,p(z)/p(x)$.
# Here $p(z) = \mathcal N(0, I)$ is the prior. A VAE has two KLs of the form KL(q‖p). Do not mix them up:
#
# | | what it is | where $p$ comes from | lesson |
# |---|---|---|---|
# | $\mathrm{KL}(q(z\mid x)\,\Vert\,p(z\mid x))$ | the **gap** between $\log p(x)$ and the bound. The bound is −loss, so the gap is $\log p(x)$ + loss | $p(z\mid x)$ is the true posterior, usually out of reach | 05 |
# | $\mathrm{KL}(q(z\mid x)\,\Vert\,p(z))$ | the **KL term of the loss** | $p(z)$ is the prior, which we choose | 04 |
#
# The prior has no correlations, so a diagonal $q$ can equal it. It cannot equal a posterior with correlations, and then the gap is not zero. Since loss = gap − $\log p(x)$, with a fixed decoder the $q$ of least loss is the $q$ of least gap. To test that, minimise the *loss* of one picture, with
# a fixed decoder, and see which variances come out. Our picture has a single pixel, $x = 0.7$. The decoder gives it the mean $z_1+z_2$ and the standard deviation $\tfrac13$.
# By Bayes's rule $\log p(z\mid x) = \log p(z) + \log p(x\mid z) + \text{const} = -\tfrac12(z_1^2 + z_2^2) - \tfrac92(x - z_1 - z_2)^2 + \text{const}$.
# (Here $\tfrac92 = \tfrac12/(\tfrac13)^2$.) Multiply out: $z_1^2$ and $z_2^2$ have the factor $-\tfrac12\cdot 10$, and $z_1z_2$ has $-9$.
# This is a Gaussian with $\Lambda = \begin{pmatrix}10&9\\9&10\end{pmatrix}$. Its correlation is $-0.9$: the picture shows only the sum of the latents, so when one is larger, the other has to be smaller.
#
# We need the exact average over the noise. The reconstruction term is quadratic in $z$, so only the noise's mean and covariance matter. Averaged over the four points $(\pm1, \pm1)$ they are also 0 and $I$.

# %%
pixel, corners = 0.7, torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


def loss(m, log_v):
    """The loss of a VAE for this picture, in nats: reconstruction plus KL to the prior."""
    z = m + torch.exp(0.5 * log_v) * corners  # (4, 2)
    reconstruction = -Normal(z.sum(-1), 1 / 3).log_prob(torch.tensor(pixel)).mean()
    kl = kl_divergence(Normal(m, torch.exp(0.5 * log_v)), Normal(0.0, 1.0)).sum()
    return reconstruction + kl


Lambda = torch.tensor([[10.0, 9.0], [9.0, 10.0]])
posterior = MultivariateNormal(torch.linalg.solve(Lambda, torch.full((2,), 9 * pixel)), precision_matrix=Lambda)
settled = minimise(loss)
print("variances of the posterior", posterior.variance.numpy().round(3))
print("variances of least loss   ", settled[1].exp().numpy().round(3))

# %%
assert torch.allclose(settled[1].exp(), torch.tensor(1 / 10), rtol=1e-3)
assert torch.allclose(posterior.variance, torch.tensor(10 / 19))
print("The loss is least at variances of 0.1 = 1 / Lambda_ii; those of the posterior are 10 / 19.")

# %% [markdown]
# Is the gap really $\log p(x)$ + loss? The pixel is $z_1+z_2$ plus noise, so $p(x)$ is a Gaussian with variance $1+1+\tfrac19$.

# %%
log_p_x = Normal(0.0, math.sqrt(2 + 1 / 9)).log_prob(torch.tensor(pixel))
other = torch.tensor([0.3, -1.0]), torch.tensor([0.5, -2.0])
for name, (m, log_v) in {"least loss": settled, "the prior": torch.zeros(2, 2), "another q": other}.items():
    gap = kl_divergence(diagonal(m, log_v), posterior)
    print(f"{name}: loss + log p(x) {loss(m, log_v) + log_p_x:.3f} nats, KL to the posterior {gap:.3f} nats")
    assert torch.allclose(loss(m, log_v) + log_p_x, gap, rtol=1e-6)
print("At three choices of q, the loss exceeds -log p(x) by the KL to the posterior.")

# %% [markdown]
# **So with a given decoder, a VAE's loss chooses the direction KL(q‖p), with the true posterior as $p$.** The draws of $q$ mostly stay inside this posterior, but spread too little: again 0.19 of the variance.
# (Measured on one picture, with two latents and a linear decoder. Lesson 05 derives the gap for every decoder.)
#
# In training the decoder changes too. It can change so that its posteriors have little correlation. If they are also close to Gaussian, a diagonal $q$ then fits them (Rolínek et al. 2019; lesson 08). With more latents the gap can be far larger (section 10).
#
# ## 7. Are the latents independent, then?
#
# Given a picture $x$, the latents are independent under $q(z\mid x)$, by construction. A density with diagonal $\Sigma$ is a product over the coordinates, as `log_normal` computes it. But a VAE
# has many pictures, each with a Gaussian of its own. Take the smallest case: two pictures, with means $(1, 1)$ and $(-1, -1)$, and $\sigma = 0.5$ in both coordinates. Choose one by tossing a coin, draw $z$, and forget which it was.
#
# Now the covariance by hand. By the *law of total covariance* it is the average of the covariances within pictures, plus the covariance of the means.
# Each variance is $0.25 + 1$, and the covariance is $0 + 1$. The correlation is $1/1.25 = 0.8$.


# %%
def draw_mixture(means, sigma, n=20_000):
    """Pick one of the means (K, 2) for each draw, and draw around it with a diagonal Gaussian: z (n, 2), picked (n,)."""
    generator = torch.Generator().manual_seed(SEED)
    picked = torch.randint(len(means), (n,), generator=generator)
    log_var = torch.full((n, 2), 2 * math.log(sigma))
    return sample_normal(means[picked], log_var, generator), picked


two = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
z_two, picked_two = draw_mixture(two, 0.5)
by_law = 0.25 * torch.eye(2) + two.T @ two / 2  # the two means average to zero
rho_law = (by_law[0, 1] / by_law.diagonal().prod().sqrt()).item()
first, second, overall = (torch.corrcoef(z.T)[0, 1] for z in (z_two[picked_two == 0], z_two[picked_two == 1], z_two))
_, error = mean_and_error(torch.stack([torch.corrcoef(part.T)[0, 1] for part in z_two.split(1000)]))
print(f"correlation within each picture {first:.2f} and {second:.2f}, standard error {1 / math.sqrt(10_000):.2f}")
print(f"over both {overall:.3f}, by the law {rho_law:.3f}; standard error {error:.3f}, from 20 parts of the draws")

# %%
assert max(abs(first), abs(second)) < 0.05
assert abs(overall - rho_law) < 0.02
print("Within each picture the correlation is below 0.05; over both it is that of the law, within 0.02.")

# %% [markdown]
# Next, take four pictures whose means form a cross. As a control, the code shuffles $z_2$ among the draws, which removes every dependence on $z_1$.

# %%
mixture = Prediction(
    "Means (1.5, 0), (-1.5, 0), (0, 1.5) and (0, -1.5), sigma = 0.4. If you learn z1, what changes in your forecast of z2?",
    ["nothing", "its average", "its spread", "both"],
)
mixture.ask()


# %%
four = 1.5 * torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
z_four, picked_four = draw_mixture(four, 0.4)


def by_z1(z1, z2):
    """Mean and standard deviation of z2 where z1 < -1, where |z1| < 0.5, and where z1 > 1: two arrays (3,)."""
    groups = [z2[z1 < -1], z2[z1.abs() < 0.5], z2[z1 > 1]]
    return np.array([g.mean().item() for g in groups]), np.array([g.std().item() for g in groups])


confirm("covariance, four pictures", z_four[:, 0] * z_four[:, 1], 0.0)
shuffled = z_four[torch.randperm(len(z_four), generator=torch.Generator().manual_seed(SEED)), 1]
results = {"as drawn": by_z1(*z_four.T), "z2 shuffled": by_z1(z_four[:, 0], shuffled)}
for name, (means, spreads) in results.items():
    print(f"{name:11}: z2 has means {means.round(2)} and spreads {spreads.round(2)}")
means, spreads = results["as drawn"]
moved, widened = np.ptp(means) > 0.2, spreads.max() > 1.5 * spreads.min()
mixture.reveal(mixture.choices[moved + 2 * widened])

# %%
ratio = {name: spreads[1] / max(spreads[0], spreads[2]) for name, (_, spreads) in results.items()}
assert np.ptp(means) < 0.15
assert ratio["as drawn"] > 3
assert abs(ratio["z2 shuffled"] - 1) < 0.1
print("Uncorrelated, yet z2 spreads over 3 times as far where z1 is near zero. Shuffled, it does not.")

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

# %% [markdown]
# **So statement 2 is half true.** Given $x$ the latents are independent under $q$. Over all pictures they are as dependent as the means and widths make them. In the left mixture their correlation is 0.8.
# In the right one they are *uncorrelated and still dependent*: a known $z_1$ changes the spread of $z_2$. A vector $\sigma$ prevents neither.
# We made these mixtures up. [Lesson 08](08_inside_the_latent_space.ipynb) examines those of trained VAEs, and what else might push them towards independence.
#
# ## 8. Many dimensions
#
# Many VAEs have 10 to 100 latents. How far from the mean does a draw land there?

# %%
distances = Prediction(
    "Without the nearest and the farthest 2.5 %, draws from N(0, 1) lie 0.03 to 2.24 from the origin. And draws from N(0, I) in 100 dimensions?",
    ["0.03 to 2.24, too", "0.3 to 22.4", "4.6 to 15.4", "8.6 to 11.4"],
)
distances.ask()

# %% [markdown]
# The squared length of standard noise is $|\varepsilon|^2 = \varepsilon_1^2+\dots+\varepsilon_d^2$. Each term has mean
# $\mathbb E[\varepsilon^2] = 1$ and variance $\mathbb E[\varepsilon^4]-1 = 3 - 1 = 2$. (Integration by parts gives $\mathbb E[\varepsilon^4] = 3\,\mathbb E[\varepsilon^2]$.) The terms are independent, so their variances add up: $|\varepsilon|^2$ has **mean $d$ and standard deviation $\sqrt{2d}$**.
#
# And the length $|\varepsilon|$ itself? Near $d$ the square root has the slope $1/(2\sqrt d)$. So the length is about $\sqrt d$, with a
# standard deviation of about $\sqrt{2d}/(2\sqrt d) = \sqrt{1/2}\approx 0.71$, **for all but small $d$**.

# %%
generator = torch.Generator().manual_seed(SEED)
draws = {d: torch.randn(10_000, d, generator=generator) for d in (1, 2, 16, 100)}  # fresh noise for each d
radius = {d: eps.norm(dim=1) for d, eps in draws.items()}
for d, r in radius.items():
    confirm(f"d = {d:3}, squared length", r**2, float(d))
    confirm("         its variance  ", (r**2 - d) ** 2, 2.0 * d)
    print(f"         length {r.mean():.2f}, square root of d {math.sqrt(d):.2f}; standard deviation {r.std():.2f}")

# %%
middle = {d: stats.chi(d).ppf([0.025, 0.975]) for d in radius}  # exact limits
low, high = np.quantile(radius[100], [0.025, 0.975])
offered = np.array([[0.03, 2.24], [0.3, 22.4], [4.6, 15.4], [8.6, 11.4]])
distances.reveal(distances.choices[np.abs(offered - [low, high]).sum(1).argmin()])
print("exact: 1 dimension", middle[1].round(2), "and 100 dimensions", middle[100].round(2))

# %%
for d in (16, 100):
    assert abs(radius[d].mean() / math.sqrt(d) - 1) < 0.03
    assert abs(radius[d].std() - stats.chi(d).std()) < 0.03
assert max(stats.chi(d).std() for d in range(1, 1001)) < math.sqrt(0.5)
assert np.allclose([low, high], middle[100], atol=0.1)
print("In 16 and 100 dimensions the mean length is the square root of d, within 3 %.")
print("Its standard deviation is below the square root of 1/2, by the exact formula, from 1 to 1,000 dimensions.")

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

# %% [markdown]
# The draws fill a *shell* of radius $\sqrt d$ and of a thickness that hardly grows. The density *is* highest at the origin. But the area of a sphere of radius $r$ grows as $r^{d-1}$, and the share of draws at distance $r$ is density times area.
#
# The same holds around the mean of every $q(z\mid x)$. If all its $\sigma$ are alike, draws lie about $\sigma\sqrt d$ away from the mean. How often does a draw come nearer to the mean than one $\sigma$? The distribution of the length gives the exact answer:

# %%
near = {d: (stats.chi(d).cdf(1), (radius[d] < 1).double().mean().item()) for d in (1, 2, 16, 100)}
for d, (exact, share) in near.items():
    print(f"d = {d:3}: nearer than one sigma with probability {exact:.2g}; {share:.1%} of 10,000 draws")

# %%
assert all(abs(exact - share) < 0.025 for exact, share in near.values())
assert near[16][0] < 1e-6
print("With 16 latents fewer than 1 draw in a million comes nearer to the mean than one sigma.")

# %% [markdown]
# **So with many latents that the decoder uses, of similar $\sigma$, training practically never gives the decoder a $z$ near the mean.** Draws come from the shell around it. Lessons 00 and 01 decode the mean all the same, to show one picture without noise. The loss averages over draws.
# The loss at the mean can differ from this average, as in section 1. Lesson 07 measures the difference.
#
# ## 9. Other square roots (optional)
#
# Any $A$ with $AA^\top = \Sigma$ gives draws $\mu + A\varepsilon$ of $\mathcal N(\mu, \Sigma)$. Let the columns of $V$ be the eigenvectors of $\Sigma$, the principal components, and let $\lambda$ be the eigenvalues. Two more roots:
#
# - $V\operatorname{diag}(\sqrt\lambda)$ draws each principal component by itself, with its own variance, and then turns the axes.
# - $V\operatorname{diag}(\sqrt\lambda)\,V^\top$ is the symmetric root.

# %%
eigenvalues, V = torch.linalg.eigh(Sigma)
roots = {"Cholesky": L, "principal": V @ eigenvalues.sqrt().diag(), "symmetric": V @ eigenvalues.sqrt().diag() @ V.T}
eps = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(SEED))  # the same noise for every root
for name, A in roots.items():
    spreads = (eps @ A.T).T.cov().numpy().round(2).tolist()
    lengths = (A @ torch.tensor([1.0, -1.0])).norm().item()
    print(f"{name}: covariance of the draws {spreads}; noise (1, -1) lands {lengths:.2f} from the mean")

# %%
for A in roots.values():
    Q = torch.linalg.inv(L) @ A
    assert torch.allclose(A @ A.T, Sigma)
    assert torch.allclose(Q @ Q.T, torch.eye(2))
print("All three roots give Sigma. Each is L times a rotation or a reflection.")

# %% [markdown]
# The same noise lands elsewhere with each root, yet the distribution is the same. For $Q = L^{-1}A$ we get $QQ^\top = L^{-1}AA^\top(L^{-1})^\top = L^{-1}LL^\top(L^\top)^{-1} = I$, so $Q$ is a rotation or a reflection.
# $A = LQ$ turns the noise before $L$ stretches it. The density of $\varepsilon$ depends on $|\varepsilon|$ only, so turning the noise changes nothing. Cholesky's root is merely
# the handiest, because its determinant is the product of its diagonal. This freedom comes back in lesson 08: if $\mathcal N(0, I)$ has no preferred axes, what picks those of a VAE?
#
# ## 10. What q misses, counted, and with more latents (optional)
#
# In section 6 the best $q$ under KL(q‖p), the narrow $q$, stays mostly inside $p$. The best one under KL(p‖q), the wide $q$, covers most of $p$. We count how many draws of the one fall outside the 95 % ellipse of the other:


# %%
def share_outside(sampled, region, generator):
    """Which part of draws from one Gaussian lies outside the curve that holds 95 % of another."""
    draws = sample_normal_full(torch.zeros(100_000, 2), sampled.scale_tril, generator)
    eps = torch.linalg.solve_triangular(region.scale_tril, draws.T, upper=False)  # (2, N)
    return ((eps**2).sum(0) > stats.chi2(2).ppf(0.95)).double().mean().item()


generator = torch.Generator().manual_seed(SEED)
outside = {}
for name, q in (("p itself", p), ("least KL(q||p)", q_qp), ("least KL(p||q)", q_pq)):
    outside[name] = share_outside(q, p, generator), share_outside(p, q, generator)
    print(f"{name:15}: {outside[name][0]:.1%} of its draws miss p, {outside[name][1]:.1%} of p's draws miss it")
print(f"standard error at most {0.5 / math.sqrt(100_000):.1%}")

# %%
assert max(outside["p itself"]) < 0.06
assert outside["least KL(q||p)"][0] < 0.12 < 0.4 < outside["least KL(q||p)"][1]
assert outside["least KL(p||q)"][1] < 0.1 < 0.4 < outside["least KL(p||q)"][0]
print("The narrow q: under 12 % of its draws miss p, but over 40 % of p's draws miss it.")
print("The wide q: over 40 % of its draws miss p, but under 10 % of p's draws miss it.")

# %% [markdown]
# Does the lost entropy, $H(p) - H(q)$, grow with the number of latents? Take two kinds of $p$. In the first, every pair of latents has correlation 0.9.
# The second is the posterior of section 6's decoder, with the sum of all $d$ latents as the mean of the pixel. Its $\Lambda$ has 10 on the diagonal and 9 elsewhere, so its correlations are negative.

# %%
table = {}
print(" d   correlations   variance, best / true   KL(q||p)   H(p) - H(q)   KL(p||q)")
for d in (2, 3, 10):
    alike = 0.1 * torch.eye(d) + 0.9
    for sign, covariance in {"positive": alike, "negative": torch.linalg.inv(10 * alike)}.items():
        p_d = MultivariateNormal(torch.zeros(d), covariance)
        v = 1 / p_d.precision_matrix.diagonal()
        q_d, wide = (MultivariateNormal(torch.zeros(d), torch.diag(w)) for w in (v, p_d.variance))
        qp, pq = kl_divergence(q_d, p_d), kl_divergence(p_d, wide)
        missing = entropy_normal_full(p_d.scale_tril) - entropy_normal(v.log())
        print(f"{d:2}   {sign} {v[0] / p_d.variance[0]:26.3f} {qp:10.3f} {missing:13.3f} {pq:10.3f}")
        table[d, sign] = qp, missing, pq

# %%
for qp, missing, _ in table.values():
    assert torch.allclose(qp, missing)
for sign, slow, fast in (("positive", 0, 2), ("negative", 2, 0)):
    assert 2 < table[10, sign][slow] / table[2, sign][slow] < 3
    assert table[10, sign][fast] > 10 * table[2, sign][fast]
print("From 2 to 10 latents with correlations of 0.9, KL(q||p) more than doubles, and KL(p||q) grows over 10 times.")
print("With the decoder of section 6 KL(q||p) grows over 10 times, and KL(p||q) more than doubles.")

# %% [markdown]
# **Yes, in both: $H(p) - H(q)$ grows. The examples differ in which KL grows faster.** The second $\Sigma$ is proportional to the first one's inverse, and the two KLs change places. (Its correlations are negative, and weaker with more latents.) For the decoder of section 6, the KL that grows faster is KL(q‖p), the gap.
#
# In two dimensions the sign makes no difference: with variances 1, $|\Sigma| = 1-\rho^2$ and both directions give $-\frac12\log(1-\rho^2)$. For the narrow $q$, $H(p) - H(q) = \frac12\log|\Sigma| - \frac12\sum_i\log v_i$ with $v_i = 1-\rho^2$.
# For the wide $q$ the quadratic terms cancel on average, and $-\frac12\log|\Sigma|$ remains.
#
# Section 6 said that $1/\Lambda_{ii}$ is the variance of $z_i$ once the others are known. In draws of its $p$, with $z_2$ known to be near 1:

# %%
z_p = sample_normal_full(torch.zeros(400_000, 2), p.scale_tril, torch.Generator().manual_seed(SEED))
z1_known = z_p[(z_p[:, 1] - 1).abs() < 0.02, 0]
print(f"{len(z1_known):,} draws have z2 between 0.98 and 1.02")
confirm("variance of z1 among them", (z1_known - z1_known.mean()) ** 2, 1 - rho**2)

# %% [markdown]
# Section 6 also said that $1/\Lambda_{ii}$ never exceeds $\Sigma_{ii}$. The *law of total variance* proves it. Let $\hat z_i$ be the mean of $z_i$ with the others known. It depends on them, so it varies. By that law $\Sigma_{ii} = 1/\Lambda_{ii} + \operatorname{Var}(\hat z_i)$, and the last term is not negative. How much is lost depends on the matrix.
# We take $\Sigma = BB^\top/n$ with random $B$ of 5 rows and $n$ columns. With 5 columns the latents are strongly correlated, with 50 weakly.

# %%
ratios = {}
for n in (5, 50):
    B = torch.randn(1000, 5, n, generator=torch.Generator().manual_seed(SEED))
    many = B @ B.mT / n  # (1000, 5, 5)
    ratios[n] = 1 / (torch.linalg.inv(many).diagonal(dim1=1, dim2=2) * many.diagonal(dim1=1, dim2=2))  # (1000, 5)
    print(f"n = {n:2}: best variance / true one, median {ratios[n].median():.2f}, largest {ratios[n].max():.4f}")

# %%
assert max(r.max() for r in ratios.values()) <= 1 + 1e-9
assert ratios[5].median() < 0.2 < 0.8 < ratios[50].median()
print("Of 10,000 variances none is overestimated. The median is below 0.2 with n = 5, and above 0.8 with n = 50.")

# %% [markdown]
# ## 11. Two draws and their midpoint (optional)
#
# Two draws of $\mathcal N(0, I)$ in $d$ dimensions are **nearly orthogonal**. Turn the axes so that the first draw lies along one of them. The cosine is then one coordinate of a random unit vector. The squares of its $d$ coordinates add up to 1, so each square is $1/d$ on average.
# The cosine is about $\pm 1/\sqrt d$.
#
# Their **midpoint** $\frac12(\varepsilon+\varepsilon')$ has variance $\frac14 + \frac14 = \frac12$ in each coordinate. So its length is about $\sqrt{d/2}$, well inside the shell.

# %%
one, other = draws[100][:5000], draws[100][5000:]
midpoint = (one + other).norm(dim=1) / 2
confirm("cosine squared, 1/d ", torch.cosine_similarity(one, other) ** 2, 1 / 100)
confirm("midpoint squared, d/2", midpoint**2, 50.0)
inside = (radius[100] < midpoint.mean()).double().mean().item()
print(f"midpoints lie at {midpoint.mean():.2f}; of 10,000 draws {inside:.2%} lie as near to the origin as that")
print(f"exact probability of a draw within the square root of 50: {stats.chi(100).cdf(math.sqrt(50)):.1g}")

# %%
assert inside < 0.001
assert stats.chi(100).cdf(math.sqrt(50)) < 0.001
print("In 100 dimensions under 0.1 % of the draws lie as near to the origin as a typical midpoint of two.")

# %% [markdown]
# Walk straight from one latent to another, as [lesson 00](00_start_here.ipynb) did. If the latents fill $\mathcal N(0, I)$ in 100 dimensions, the middle of the walk is nearer to the origin than
# practically all draws. The decoder saw next to nothing there. Whether that harms the pictures, and whether a walk along the shell is better, has to be measured. [Lesson 09](09_latent_arithmetic.ipynb) does it.
#
# ## Easy to forget
#
# - $\sigma = e^{\frac12\log\sigma^2}$. Test with a `log_var` other than 0.
# - `eps @ L.T` for draws in rows. Test the covariance entry by entry.
# - $\log 2\pi$ counts once for each dimension. It cancels in a KL, but not in a likelihood.
# - Fresh noise for every picture and every latent: `eps` has the shape of `mu`.
# - `scale_tril` is $L$, not $\Sigma$. `MultivariateNormal(mu, Sigma)` takes a covariance unless you name another argument.
# - A check with draws cannot see a fault that is smaller than its standard errors.
# - The mean has the highest density, and is not a typical draw.
#
# ## Summary
#
# - $z = \mu+\sigma\varepsilon$. In general $z = \mu + L\varepsilon$ with $LL^\top = \Sigma$.
# - A network emits $\log\sigma^2$: any real number is valid, tiny variances included, and the slope of the KL term is never below $-\frac12$ (it has no upper limit).
# - *"A vector $\sigma$ takes the off-diagonals as zero":* yes. $q(z\mid x)$ is an ellipse along the axes.
# - With a given decoder, a VAE's loss is least for the diagonal $q$ of least KL(q‖p), with the true posterior as $p$. If $p$ is Gaussian, this $q$ has the variances $1/\Lambda_{ii}$: 0.19 of the true ones with two latents of correlation 0.9. The KL is then 0.83 nats, the entropy that $q$ misses.
# - Under KL(p‖q) the best $q$ has the variances of $p$.
# - *"So the latents are independent":* given $x$, under $q$, yes. Over all pictures, not in general: two diagonal Gaussians made a mixture with correlation 0.8.
# - Entropy of a Gaussian: $\frac12\log((2\pi e)^d|\Sigma|)$, negative if narrow.
# - In many dimensions, draws of $\mathcal N(0, I)$ lie close to a shell of radius $\sqrt d$, nearly at right angles to each other. Midpoints lie inside it, at about $\sqrt{d/2}$.
#
# **Back:** [01 · A plain autoencoder overfits its latent space](01_autoencoder.ipynb). **Next:** [03 · The reparametrization trick](03_reparametrization.ipynb): a draw is random. How does a gradient get through it?
#
# ## Try it
#
# 1. Run the lesson with `SEED = 2`. In section 1, how many standard errors is the variance off? Is the code wrong, or is that chance? Decide which test would answer this, and do it.
# 2. Share the noise, in a cell of your own: draw one `eps` of shape (d,) and use it for a whole batch of pictures. Is the distribution of each $z$ still right? What is not?
# 3. In section 6, set `rho` to 0.5, then to 0.99. Predict the variances of the best $q$ under KL(q‖p) first. The cell of section 10 that checks the shares of draws stops with an error at 0.5, because its limits belong to 0.9.
# 4. Give `torch.linalg.cholesky` the matrix [[1, 2], [2, 1]] in a cell of your own. Why does it fail, and what would the correlation be?
# 5. Change the two means of section 7 to $(1, -1)$ and $(-1, 1)$, then to $(1, 0)$ and $(-1, 0)$. Predict both correlations.
# 6. Three draws instead of two in section 11: how long is their average? Check it in a cell of your own, and state the rule for $n$.
#
# **Exercise.** [Exercise 02](../work/ex02_gaussian_sampling.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*, appendix C.
# - Rezende, Mohamed & Wierstra 2014.
# - Bishop 2006, *Pattern Recognition and Machine Learning*, section 10.1.
# - Rolínek, Zietlow & Martius 2019, *Variational Autoencoders Pursue PCA Directions (by Accident)*.
