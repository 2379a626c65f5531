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
# # 04 · The KL divergence
#
# A VAE's encoder gives every picture a Gaussian, $q(z\mid x) = \mathcal N(\mu, \sigma^2)$, and a second loss is put on it. People say of this loss:
#
# 1. it makes the distributions **as wide as possible**;
# 2. it pulls "our distribution" towards $\mathcal N(0, I)$.
#
# **The question of this lesson: wide up to where, and *which* distribution?** The second answer will be: not the one that the formula is written for.
#
# *You need:* expectations, integrals, a little PyTorch; sampling and entropy of a Gaussian from [lesson 02](02_gaussian_sampling.ipynb).
# *Time:* 70 minutes to read and try, a few seconds to run.

# %%
import math

from vae_lessons import plotting
from vae_lessons.distributions import entropy_normal, log_normal, sample_normal
from vae_lessons.widgets import Prediction, explore

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.integrate import quad
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.stats import entropy as scipy_entropy
from scipy.stats import norm
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## 1. The price of the wrong code
#
# Four symbols A, B, C, D arrive with probabilities $q$. To store them, each gets a *codeword* of zeros and ones. A good code makes
# frequent symbols short: a symbol of probability $\tfrac12$ gets 1 bit, of $\tfrac14$ 2 bits, in general $-\log_2$ of its probability. Someone has built the code for other probabilities, $p$.

# %%
q = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 8])
p = torch.tensor([1 / 8, 1 / 2, 1 / 4, 1 / 8])
code_q, code_p = ["0", "10", "110", "111"], ["110", "0", "10", "111"]  # no codeword begins another
for symbol, own, other, made_for_q, made_for_p in zip("ABCD", q, p, code_q, code_p, strict=True):
    print(f"{symbol}   q = {own:.3f}  {made_for_q:4}  p = {other:.3f}  {made_for_p}")
assert [len(word) for word in code_q] == (-q.log2()).tolist()
assert [len(word) for word in code_p] == (-p.log2()).tolist()

# %% [markdown]
# Symbols come from $q$. By hand, bits per symbol with the right code and with the wrong one:
#
# - right: $\tfrac12\cdot1 + \tfrac14\cdot2 + \tfrac18\cdot3 + \tfrac18\cdot3 = 1.75$;
# - wrong: $\tfrac12\cdot3 + \tfrac14\cdot1 + \tfrac18\cdot2 + \tfrac18\cdot3 = 2.375$.
#
# The wrong code costs 0.625 bits more. We store 20,000 symbols and count.

# %%
drawn = np.random.default_rng(SEED).choice(4, size=20_000, p=q.numpy())
for name, code, by_hand in (("right code", code_q, 1.75), ("wrong code", code_p, 2.375)):
    bits = np.array([len(word) for word in code])[drawn]  # (20000,)
    standard_error = bits.std() / math.sqrt(len(bits))
    print(f"{name}: {bits.mean():.2f} bits per symbol, standard error {standard_error:.3f}, by hand {by_hand}")
    assert abs(bits.mean() - by_hand) < 4 * standard_error

# %% [markdown]
# These numbers have names. With natural logarithms the unit is the *nat*; a bit is $\log 2 = 0.693$ nats.
#
# $$\underbrace{H(q) = -\sum_i q_i\log q_i}_{\text{entropy: the right code}} \qquad
# \underbrace{H(q, p) = -\sum_i q_i\log p_i}_{\text{cross-entropy: the wrong code}}$$
#
# $$\mathrm{KL}(q\,\Vert\,p) = H(q, p) - H(q) = \sum_i q_i \log\frac{q_i}{p_i} = \mathbb E_{q}\bigl[\log q - \log p\bigr]$$
#
# The **KL divergence** (Kullback & Leibler 1951) is the extra length, and also the mean under $q$ of the log-ratio of the two probabilities.


# %%
def entropy(q):
    return -torch.xlogy(q, q).sum(-1)  # xlogy(q, p) = q log p, and 0 where q = 0


def cross_entropy(q, p):
    return -torch.xlogy(q, p).sum(-1)


# %%
def kl(q, p):
    return cross_entropy(q, p) - entropy(q)


print(
    f"KL(q || p) = {cross_entropy(q, p):.3f} - {entropy(q):.3f} = {kl(q, p):.3f} nats = {kl(q, p) / math.log(2):.3f} bits"
)
print(f"KL(p || q) = {kl(p, q):.3f} nats")
np.testing.assert_allclose([kl(q, p), kl(p, q)], [scipy_entropy(q, p), scipy_entropy(p, q)])

# %% [markdown]
# Two directions, two numbers: it is no distance. In the extreme, a symbol that $p$ deems impossible makes the code infinitely long; a symbol that never comes adds no term of its own; the room kept for it only makes the other codewords longer, a finite cost. (That KL(half ‖ q) equals KL(p ‖ q) above is a coincidence.)

# %%
half = torch.tensor([1 / 2, 1 / 2, 0, 0])
print(f"KL(half || q) = {kl(half, q):.3f} nats,  KL(q || half) = {kl(q, half)}")
assert kl(q, half) == math.inf

# %% [markdown]
# **It is never negative.** The proof rests on one inequality, $\log t \le t - 1$. Let $f(t) = t - 1 - \log t$. Its derivative $1 - 1/t$ is negative below $t = 1$ and positive above, so
# $f$ is smallest at $t = 1$, and there it is 0. Now put $t = p_i/q_i$, over the symbols with $q_i > 0$:
#
# $$-\mathrm{KL}(q\,\Vert\,p) = \sum_i q_i\log\frac{p_i}{q_i} \;\le\; \sum_i q_i\Bigl(\frac{p_i}{q_i} - 1\Bigr) = \sum_i p_i - \sum_i q_i \;\le\; 1 - 1 = 0 .$$
#
# Equality needs $t = 1$ for every symbol, that is $p = q$. (The last sum of $p_i$ may miss symbols with $q_i = 0$, hence "$\le 1$".) Each step, on 1,000 random pairs:

# %%
rng = np.random.default_rng(SEED)
many_q, many_p = (torch.tensor(rng.dirichlet(np.ones(4), size=1000)) for _ in range(2))  # (1000, 4)
t = many_p / many_q
assert (t.log() <= t - 1).all()
torch.testing.assert_close((many_q * (t - 1)).sum(1), torch.zeros(1000), atol=1e-12, rtol=0)
assert kl(many_q, many_p).min() > 0
assert kl(many_q, many_q).abs().max() < 1e-12
print("Positive for 1,000 random pairs, zero for each distribution with itself.")

# %% [markdown]
# A negative KL in your log means that something is wrong, unless it is not the KL itself (section 3).
#
# ## 2. The formula in every VAE, line by line
#
# For densities the sum becomes an integral: $\mathrm{KL}(q\,\Vert\,p) = \int q(z)\,[\log q(z) - \log p(z)]\,dz$. The proof above goes through with it.
# Take one latent, $q = \mathcal N(\mu, \sigma^2)$ and the prior $p = \mathcal N(0, 1)$:
#
# $$\begin{aligned}
# (1)\quad \log q(z) &= -\tfrac12\log 2\pi - \tfrac12\log\sigma^2 - \tfrac{(z-\mu)^2}{2\sigma^2}\\
# (2)\quad \log p(z) &= -\tfrac12\log 2\pi - \tfrac12 z^2\\
# (3)\quad \log q(z) - \log p(z) &= \tfrac12\Bigl[z^2 - \tfrac{(z-\mu)^2}{\sigma^2} - \log\sigma^2\Bigr] \qquad\text{the } 2\pi \text{ cancels}
# \end{aligned}$$
#
# We check at $\mu = 0.8$, $\sigma = 0.5$, at a handful of $z$, against scipy's densities.

# %%
mu, sigma = 0.8, 0.5
z = np.linspace(-2, 3, 11)
log_q = -0.5 * math.log(2 * math.pi) - 0.5 * math.log(sigma**2) - (z - mu) ** 2 / (2 * sigma**2)
log_p = -0.5 * math.log(2 * math.pi) - 0.5 * z**2
log_ratio = 0.5 * (z**2 - (z - mu) ** 2 / sigma**2 - math.log(sigma**2))
np.testing.assert_allclose([log_q, log_p], [norm.logpdf(z, mu, sigma), norm.logpdf(z)])
np.testing.assert_allclose(log_ratio, log_q - log_p)
print("lines (1), (2) and (3) hold at", len(z), "values of z")

# %% [markdown]
# Now the mean under $q$, term by term. The variance is $\sigma^2 = \mathbb E[(z-\mu)^2] = \mathbb E[z^2] - \mu^2$, so
#
# $$(4)\quad \mathbb E_q[z^2] = \mu^2 + \sigma^2, \qquad \mathbb E_q\Bigl[\tfrac{(z-\mu)^2}{\sigma^2}\Bigr] = \tfrac{\sigma^2}{\sigma^2} = 1, \qquad
# (5)\quad \boxed{\mathrm{KL} = \tfrac12\bigl[\mu^2 + \sigma^2 - 1 - \log\sigma^2\bigr]}$$


# %%
def mean_under_q(f):
    """E[f(z)] for z ~ N(mu, sigma^2), by quadrature."""

    def integrand(z):
        return norm.pdf(z, mu, sigma) * f(z)

    return quad(integrand, mu - 12 * sigma, mu + 12 * sigma, epsabs=1e-12)[0]


print(f"(4) E[z^2] by quadrature {mean_under_q(np.square):.4f}, mu^2 + sigma^2 = {mu**2 + sigma**2:.4f}")
np.testing.assert_allclose(mean_under_q(np.square), mu**2 + sigma**2)


def squared_in_units_of_sigma(z):
    return ((z - mu) / sigma) ** 2


np.testing.assert_allclose(mean_under_q(squared_in_units_of_sigma), 1)


# %%
def log_q_minus_log_p(z):
    return norm.logpdf(z, mu, sigma) - norm.logpdf(z)


by_hand = 0.5 * (mu**2 + sigma**2 - 1 - math.log(sigma**2))
print(f"(5) KL by quadrature {mean_under_q(log_q_minus_log_p):.4f}, by the formula {by_hand:.4f} nats")
np.testing.assert_allclose(mean_under_q(log_q_minus_log_p), by_hand)

# %% [markdown]
# With $d$ latents and a vector $\sigma$, $q$ and $p$ are products over the coordinates, so their logarithms are sums, and the mean of a sum is the sum of the means: **the KLs of the
# coordinates add up** (Kingma & Welling 2014, appendix B). A network emits $\log\sigma^2$, so that is the argument.


# %%
def kl_to_standard_normal(mu, log_var):
    """KL(N(mu, sigma^2) || N(0, I)) in nats, for mu and log_var (..., d) -> (...)."""
    return 0.5 * (mu**2 + torch.exp(log_var) - 1 - log_var).sum(-1)


by_function = kl_to_standard_normal(torch.ones(3), torch.zeros(3))
print(f"three latents at mu = 1, sigma = 1: {by_function:.1f} nats, by hand 3 * 1/2")

# %%
generator = torch.Generator().manual_seed(SEED)
means, log_vars = torch.randn(2, 5, 3, generator=generator)  # each (5, 3): five pictures, three latents
posteriors = Independent(Normal(means, torch.exp(0.5 * log_vars)), 1)
prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
torch.testing.assert_close(kl_to_standard_normal(means, log_vars), kl_divergence(posteriors, prior))
print("KL of five pictures:", kl_to_standard_normal(means, log_vars).numpy().round(2), "nats")

# %% [markdown]
# ## 3. The same by sampling
#
# The KL is a mean under $q$, so draws of $z \sim q$ estimate it: average $\log q(z) - \log p(z)$. That is *unbiased*, right on average, for any pair
# of densities that you can evaluate, even where no formula exists. But look at single draws, for our $\mu = 0.8$, $\sigma = 0.5$.

# %%
single = Prediction(
    "A KL is never negative. How many single draws of log q(z) - log p(z), with z from q, are negative?",
    ["none", "less than one in twenty", "more than one in twenty"],
)
single.ask()

# %%
m, v = torch.tensor([mu]), torch.tensor([2 * math.log(sigma)])  # mean and log-variance, (1,)
z = sample_normal(m.expand(40_000, 1), v.expand(40_000, 1), torch.Generator().manual_seed(SEED))
draws = log_normal(z, m, v) - log_normal(z, torch.zeros(1), torch.zeros(1))  # (40000,)
standard_error = draws.std() / math.sqrt(len(draws))
print(f"mean of the draws {draws.mean():.2f}, standard error {standard_error:.4f}; closed form {by_hand:.3f} nats")
print(f"standard deviation of one draw {draws.std():.2f} nats")
assert abs(draws.mean() - by_hand) < 4 * standard_error

# %%
negative = (draws < 0).double().mean().item()
single.reveal(single.choices[0 if negative == 0 else 1 if negative < 0.05 else 2])
assert negative > 0.1
assert 0.9 < draws.std() / by_hand < 1.2
print("More than one in ten is negative, and one draw scatters by about as much as the KL itself, here.")

# %% [markdown]
# A draw is negative wherever $z$ happens to be likelier under the prior; the mean is not. The closed form has no scatter, which is why a VAE uses it where one exists.
#
# ## 4. Wide up to where?
#
# A prediction first. It needs no formula, only a picture of what such a loss wants.

# %%
both_ways = Prediction(
    "Only the KL acts. One Gaussian starts with sigma = 0.1, another with sigma = 5. After 400 steps of gradient descent:",
    ["the narrow one ends at 1, the wide one stays wide", "both end at 1", "both are wider than 5"],
)
both_ways.ask()

# %% [markdown]
# What does the KL do to $\mu$ and to $\sigma$? Differentiate the box:
#
# $$\frac{\partial\,\mathrm{KL}}{\partial\mu} = \mu, \qquad \frac{\partial\,\mathrm{KL}}{\partial\sigma} = \tfrac12\Bigl[2\sigma - \frac{2}{\sigma}\Bigr] = \sigma - \frac1\sigma, \qquad
# \frac{\partial\,\mathrm{KL}}{\partial\log\sigma^2} = \tfrac12\bigl(\sigma^2 - 1\bigr).$$
#
# The two pulls do not mix: the one on $\mu$ knows nothing of $\sigma$. They vanish at $\mu = 0$ and at $\sigma = 1$, and nowhere else.

# %%
mu_leaf = torch.tensor([[-2.0], [0.0], [1.5]], requires_grad=True)  # (3, 1)
sigma_leaf = torch.tensor([[0.1], [1.0], [5.0]], requires_grad=True)
kl_to_standard_normal(mu_leaf, 2 * sigma_leaf.log()).sum().backward()
print("slope in mu   ", mu_leaf.grad.flatten().tolist())
print("slope in sigma", [round(slope, 3) for slope in sigma_leaf.grad.flatten().tolist()])
torch.testing.assert_close(mu_leaf.grad, mu_leaf.detach())
torch.testing.assert_close(sigma_leaf.grad, sigma_leaf.detach() - 1 / sigma_leaf.detach())
log_var_leaf = (2 * sigma_leaf.detach().log()).requires_grad_()
kl_to_standard_normal(torch.zeros(1), log_var_leaf).sum().backward()
print("slope in log sigma^2", [round(slope, 3) for slope in log_var_leaf.grad.flatten().tolist()])
torch.testing.assert_close(log_var_leaf.grad, 0.5 * (sigma_leaf.detach() ** 2 - 1))

# %% [markdown]
# A narrow $q$ ($\sigma = 0.1$) has a negative slope and is widened; a wide one ($\sigma = 5$) is narrowed. Where does "as wide as possible" come from, then? From half of the formula.
# Section 1 says $\mathrm{KL} = H(q, p) - H(q)$. Here the entropy is $H(q) = \tfrac12[1 + \log 2\pi + \log\sigma^2]$, and the cross-entropy, minus the mean of line (2), is
# $H(q, p) = \tfrac12[\log 2\pi + \mu^2 + \sigma^2]$.


# %%
def cross_entropy_to_standard_normal(mu, log_var):
    return 0.5 * (math.log(2 * math.pi) + mu**2 + torch.exp(log_var)).sum(-1)


crossed, own = cross_entropy_to_standard_normal(m, v).item(), entropy_normal(v).item()
print(f"cross-entropy {crossed:.3f} - entropy {own:.3f} = KL {crossed - own:.3f} nats")


# %%
def minus_log_p(z):
    return -norm.logpdf(z)


np.testing.assert_allclose(cross_entropy_to_standard_normal(m, v), mean_under_q(minus_log_p))
difference = cross_entropy_to_standard_normal(means, log_vars) - entropy_normal(log_vars)
torch.testing.assert_close(difference, kl_to_standard_normal(means, log_vars))
print("The cross-entropy agrees with quadrature, and the difference is the KL for all five pictures.")

# %%
widths = torch.logspace(-1, 1, 201)[:, None]  # (201, 1)
log_var, zero = 2 * widths.log(), torch.zeros(201, 1)
figure, ax = plt.subplots(figsize=(6, 3.4))
ax.plot(widths, -entropy_normal(log_var), "--", label="minus entropy: rewards width, without end")
ax.plot(widths, cross_entropy_to_standard_normal(zero, log_var), ":", label="cross-entropy: punishes width")
ax.plot(widths, kl_to_standard_normal(zero, log_var), label="their sum, the KL")
ax.plot(1, 0, "o", color="black")
ax.set(xscale="log", xlabel=r"$\sigma$ (with $\mu = 0$)", ylabel="nats", ylim=(-4, 6))
ax.set_xticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
ax.legend(loc="upper left", bbox_to_anchor=(0, 1.25))
plotting.show(
    figure,
    "Three curves against sigma on a logarithmic axis. Minus the entropy falls all the way. The cross-entropy is flat for "
    "small sigma and shoots up beyond 1. Their sum, the KL, falls to zero at sigma = 1, marked by a dot, and rises again.",
)

# %% [markdown]
# The entropy asks for width, the cross-entropy forbids leaving the prior, and they balance at 1. Now let one of them act alone, by gradient descent on $\log\sigma^2$ and on nothing else.


# %%
def descend(loss, sigma_start, steps=400, lr=0.1):
    """Gradient descent on log_var; returns sigma after each step."""
    log_var = torch.tensor([2 * math.log(sigma_start)], requires_grad=True)
    path = [sigma_start]
    for _ in range(steps):
        (slope,) = torch.autograd.grad(loss(log_var), log_var)
        log_var = (log_var - lr * slope).detach().requires_grad_()
        path.append(torch.exp(0.5 * log_var).item())
    return path


def kl_loss(log_var):
    return kl_to_standard_normal(torch.zeros(1), log_var)


def entropy_loss(log_var):
    return -entropy_normal(log_var)


# %%
narrow, wide = descend(kl_loss, 0.1), descend(kl_loss, 5.0)
alone = descend(entropy_loss, 0.1)
print(f"KL: from 0.1 to {narrow[-1]:.4f}, from 5 to {wide[-1]:.4f}. Entropy alone: from 0.1 to {alone[-1]:.0f}")
ends_at_one = [abs(path[-1] - 1) < 1e-3 for path in (narrow, wide)]
both_ways.reveal(both_ways.choices[1 if all(ends_at_one) else 0 if ends_at_one[0] else 2])
assert all(ends_at_one)
assert alone[-1] > 1000
np.testing.assert_allclose(np.diff(np.log(alone)), 0.1 / 4)  # log sigma gains the same at every step

# %%
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(wide, label="KL, from 5")
ax.plot(narrow, "--", label="KL, from 0.1")
ax.plot(alone, ":", label="entropy alone, from 0.1")
ax.axhline(1, color="black", lw=0.8)
ax.set(yscale="log", ylim=(0.03, 100), xlabel="step", ylabel=r"$\sigma$")
ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
ax.legend(loc="lower right")
plotting.show(
    figure,
    "Sigma on a logarithmic axis against steps of gradient descent. Under the KL both paths, from 5 and from 0.1, end at "
    "1; the one from 5 gets there within a few dozen steps, the one from 0.1 takes over a hundred. "
    "Under the entropy alone sigma climbs in a straight line out of the picture.",
)

# %% [markdown]
# **"As wide as possible" is half the truth: as wide as the prior, $\sigma = 1$ exactly.** Look also at the speeds. In $\log\sigma^2$ a
# narrow $q$ is pulled with at most ½, a wide one with $\tfrac12(\sigma^2 - 1)$, which is 12 at $\sigma = 5$. [Lesson 07](07_training_a_vae.ipynb) meets networks that blow up there.
#
# Why then do real encoders not end at $\sigma = 1$? Because the decoder wants precise latents. Suppose noise of variance $\sigma^2$ on a latent costs it $\tfrac a2\sigma^2$ nats. The sum
# has slope $a\sigma + \sigma - 1/\sigma$, zero at $\sigma = 1/\sqrt{1 + a}$.


# %%
def total(sigma, a):
    return 0.5 * a * sigma**2 + 0.5 * (sigma**2 - 1 - math.log(sigma**2))


for a in (0, 3, 99):
    best = minimize_scalar(total, args=(a,), bounds=(1e-3, 10), method="bounded", options={"xatol": 1e-9}).x
    print(f"a = {a:2}: the best sigma is {best:.3f}, 1/sqrt(1 + a) = {1 / math.sqrt(1 + a):.3f}")
    np.testing.assert_allclose(best, 1 / math.sqrt(1 + a), atol=1e-6)

# %% [markdown]
# A latent that the decoder ignores ($a = 0$) goes to $\sigma = 1$; one that it needs stays narrow. In this model the width of a latent tells how much the decoder uses it.
#
# Move the sliders. The arrow in the map is the pull, $(-\mu,\; 1/\sigma - \sigma)$, at a third of its length where that fits. Find places where it points straight down; then two different
# Gaussians with the same KL, one narrow, one wide.

# %%
map_mu, map_sigma = torch.meshgrid(torch.linspace(-3, 3, 61), torch.linspace(0.1, 3, 59), indexing="xy")
map_kl = kl_to_standard_normal(map_mu[..., None], 2 * map_sigma[..., None].log())  # (59, 61)
line = np.linspace(-6, 6, 401)


def draw_pull(figure, mu, sigma):
    above, below = figure.subplots(2, 1)
    above.plot(line, norm.pdf(line), "--", color="black")
    above.fill_between(line, norm.pdf(line, mu, sigma), alpha=0.5)
    above.set(xlim=(-6, 6), ylim=(0, 1.6), xlabel="z", ylabel="density", title="q (filled) and the prior (dashed)")
    below.contour(map_mu, map_sigma, map_kl, levels=[0.1, 0.5, 1, 2, 3, 4, 5], colors="0.45", linewidths=1)
    for level in (0.5, 2, 4):  # at sigma = 1 the KL is mu^2 / 2
        below.text(
            -math.sqrt(2 * level), 1, level, fontsize=8, ha="center", va="center", bbox={"color": "white", "pad": 1}
        )
    pull = np.array([0 - mu, 1 / sigma - sigma])
    shown = pull * min(1 / 3, 1.2 / max(np.hypot(*pull), 1e-9))
    below.annotate("", (mu + shown[0], sigma + shown[1]), (mu, sigma), arrowprops={"arrowstyle": "->", "lw": 2})
    below.plot(mu, sigma, "o", color="black")
    below.set(xlim=(-3, 3), ylim=(0, 3), xlabel=r"$\mu$", ylabel=r"$\sigma$", title="KL (nats)")
    value = 0.5 * (mu**2 + sigma**2 - 1 - math.log(sigma**2))
    return f"KL {value:.2f} nats; pull on mu {pull[0]:+.2f}, on sigma {pull[1]:+.2f}."


# %%
explore(
    draw_pull,
    mu=ipw.FloatSlider(value=1.5, min=-3, max=3, step=0.1, description="mu"),
    sigma=ipw.FloatSlider(value=0.5, min=0.3, max=3, step=0.05, description="sigma"),
    stills=[
        {"mu": mu, "sigma": sigma}
        for mu, sigma in (
            (1.5, 0.5),
            (0.0, 0.5),
            (0.0, 2.5),
            (0.0, 1.8),
            (0.0, 1.4),
            (0.0, 1.0),
            (-1.0, 1.0),
            (-2.0, 1.0),
        )
    ],
    alt="The two densities, and below them a map of the KL with rings around mu 0, sigma 1, and an arrow that shows the pull. "
    "A narrow Gaussian to the right is pulled left and wider; a wide one in the middle straight down, narrower; one of "
    "width 1 to the left is pulled straight towards zero. At mu 0, sigma 1 q lies on the prior and is not pulled at all.",
    size=(4.5, 5.4),
)

# %% [markdown]
# At $(\mu, \sigma) = (1.5, 0.5)$ it is too narrow and off centre; at $(0, 2.5)$ too wide; at $(-2, 1)$ only off centre; at $(0, 1)$ at rest, where the KL is 0.
#
# ## 5. Two Gaussians in general
#
# Let $p = \mathcal N(\mu_p, \sigma_p^2)$. Measure $z$ from $\mu_p$ in units of $\sigma_p$: $u = (z - \mu_p)/\sigma_p$. Both densities get multiplied by the same factor $\sigma_p$, so their ratio, and the KL, stay. In
# the new unit $p$ is $\mathcal N(0, 1)$ and $q$ is $\mathcal N\bigl(\tfrac{\mu_q - \mu_p}{\sigma_p}, \tfrac{\sigma_q^2}{\sigma_p^2}\bigr)$. The box of section 2 gives, summed over coordinates,
#
# $$\mathrm{KL}(q\,\Vert\,p) = \tfrac12\sum\Bigl[\frac{\sigma_q^2}{\sigma_p^2} + \frac{(\mu_q-\mu_p)^2}{\sigma_p^2} - 1 - \log\frac{\sigma_q^2}{\sigma_p^2}\Bigr].$$


# %%
def kl_normal(mu_q, log_var_q, mu_p, log_var_p):
    """KL(q || p) of two diagonal Gaussians in nats, all arguments (..., d) -> (...)."""
    log_ratio = log_var_q - log_var_p
    return 0.5 * (torch.exp(log_ratio) + (mu_q - mu_p) ** 2 * torch.exp(-log_var_p) - 1 - log_ratio).sum(-1)


# %%
mu_q, log_var_q, mu_p, log_var_p = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(SEED))  # each (5, 3)
sigma_q, sigma_p = torch.exp(0.5 * log_var_q), torch.exp(0.5 * log_var_p)
in_units_of_p = kl_to_standard_normal((mu_q - mu_p) / sigma_p, log_var_q - log_var_p)
pytorchs = kl_divergence(Independent(Normal(mu_q, sigma_q), 1), Independent(Normal(mu_p, sigma_p), 1))
torch.testing.assert_close(kl_normal(mu_q, log_var_q, mu_p, log_var_p), in_units_of_p)
torch.testing.assert_close(kl_normal(mu_q, log_var_q, mu_p, log_var_p), pytorchs)
print("In units of p, and by torch.distributions: the same KL for five random pairs.")

# %% [markdown]
# With **full covariances** $\Sigma = LL^\top$ ($L$ lower triangular, [lesson 02](02_gaussian_sampling.ipynb)) the unit is $L_p$: $u = L_p^{-1}(z - \mu_p)$ turns $p$ into $\mathcal N(0, I)$ and $q$ into $\mathcal N(m, S)$ with
#
# $$m = L_p^{-1}(\mu_q - \mu_p), \qquad S = MM^\top, \qquad M = L_p^{-1}L_q .$$
#
# In line (3), $\sigma^2$ becomes the matrix $S$ and $\log\sigma^2$ becomes $\log\det S$: $\tfrac12\bigl[u^\top u - (u - m)^\top S^{-1}(u - m) - \log\det S\bigr]$. For the means we need the **trace trick**: a number is its own trace, and $\operatorname{tr}(AB) = \operatorname{tr}(BA)$. So
#
# $$\mathbb E\bigl[(u-m)^\top S^{-1}(u-m)\bigr] = \mathbb E\bigl[\operatorname{tr}\bigl(S^{-1}(u-m)(u-m)^\top\bigr)\bigr] = \operatorname{tr}\bigl(S^{-1}\,\underbrace{\mathbb E[(u-m)(u-m)^\top]}_{S}\bigr) = \operatorname{tr} I = d,$$
#
# because a trace is a sum, and the mean of a sum is the sum of the means. In the same way $\mathbb E[u^\top u] = \operatorname{tr}\mathbb E[uu^\top] = \operatorname{tr}(mm^\top + S) = m^\top m + \operatorname{tr} S$. Together:
#
# $$\mathrm{KL} = \tfrac12\bigl[m^\top m + \operatorname{tr} S - d - \log\det S\bigr], \qquad \operatorname{tr} S = \sum_{ij} M_{ij}^2, \qquad \log\det S = 2\sum_i\log M_{ii}.$$
#
# The last two: $\operatorname{tr} MM^\top$ adds all squares; $M$ is triangular, so its determinant is the product of its diagonal, which is positive.


# %%
def kl_normal_full(mu_q, scale_tril_q, mu_p, scale_tril_p):
    """KL(q || p) of two Gaussians in nats: mu (..., D), scale_tril (..., D, D) with covariance L L^T -> (...)."""
    m = torch.linalg.solve_triangular(scale_tril_p, (mu_q - mu_p)[..., None], upper=False)[..., 0]  # (..., D)
    M = torch.linalg.solve_triangular(scale_tril_p, scale_tril_q, upper=False)  # (..., D, D)
    log_det = 2 * M.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return 0.5 * (m.square().sum(-1) + M.square().sum((-2, -1)) - m.shape[-1] - log_det)


# %%
correlated = torch.tensor([[1.0, 0.0], [0.8, 0.6]])  # L L^T = [[1, 0.8], [0.8, 1]]
at_zero = kl_normal_full(torch.zeros(2), correlated, torch.zeros(2), torch.eye(2))
by_hand_full = -0.5 * math.log(1 - 0.8**2)  # m = 0, trace = d = 2, det = 1 - 0.8^2
print(f"correlation 0.8 against N(0, I): {at_zero:.3f} nats, by hand {by_hand_full:.3f}")
np.testing.assert_allclose(at_zero, by_hand_full)

# %% [markdown]
# Unit variances, and yet half a nat for the correlation. Now random pairs, against PyTorch's formula and the diagonal case.

# %%
generator = torch.Generator().manual_seed(SEED)
L_q, L_p = torch.randn(2, 3, 3, generator=generator).tril(-1) + torch.eye(3)  # each (3, 3)
q_full, p_full = MultivariateNormal(mu_q[0], scale_tril=L_q), MultivariateNormal(mu_p[0], scale_tril=L_p)
value = kl_normal_full(mu_q[0], L_q, mu_p[0], L_p)
torch.testing.assert_close(value, kl_divergence(q_full, p_full))
diagonal = kl_normal_full(mu_q, torch.diag_embed(sigma_q), mu_p, torch.diag_embed(sigma_p))
torch.testing.assert_close(diagonal, kl_normal(mu_q, log_var_q, mu_p, log_var_p))
print("The full formula agrees with PyTorch's, and with the diagonal one where the covariances are diagonal.")

# %% [markdown]
# And the trace trick itself? $\log q - \log p$ is quadratic in $z$, so its mean depends on the mean and covariance of $z$ alone. The eight points $\mu_q + L_q(\pm1, \pm1, \pm1)$ have those of $q$. Averages over them are therefore exact.

# %%
corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)  # (8, 3), mean 0, covariance I
z = mu_q[0] + corners @ L_q.T
quadratic = ((z - mu_q[0]) @ torch.linalg.inv(L_q @ L_q.T) * (z - mu_q[0])).sum(1)  # (z - mu)^T Sigma^-1 (z - mu)
log_ratios = q_full.log_prob(z) - p_full.log_prob(z)
print(f"mean of the quadratic form {quadratic.mean():.3f} = d")
print(f"mean of log q - log p {log_ratios.mean():.3f}, by the formula {value:.3f} nats")
torch.testing.assert_close(quadratic.mean(), torch.tensor(3.0))
torch.testing.assert_close(log_ratios.mean(), value)

# %% [markdown]
# ## 6. The direction
#
# Section 1 found two numbers for one pair. For Gaussians too: is it worse to be half as wide as $p$, or twice as wide?

# %%
at_0, log_1, log_quarter = torch.zeros(1), torch.zeros(1), torch.tensor([math.log(1 / 4)])  # a mean, two log-variances
too_narrow, too_wide = kl_normal(at_0, log_quarter, at_0, log_1), kl_normal(at_0, log_1, at_0, log_quarter)
print(f"q half as wide as p: {too_narrow.item():.3f} nats; q twice as wide: {too_wide.item():.3f} nats")
assert too_wide > 2 * too_narrow

# %% [markdown]
# Too wide costs more: then $q$ puts mass where $p$ has little, and the log-ratio is averaged under $q$. To see what this does, fit one Gaussian $q$ to a $p$ with two humps, by minimising either direction, with integrals by quadrature.

# %%
grid = np.linspace(-10, 10, 4001)
log_p_grid = np.logaddexp(np.log(0.7) + norm.logpdf(grid, -2, 0.6), np.log(0.3) + norm.logpdf(grid, 2, 0.6))


def kl_on_grid(log_q, log_p):  # log-densities at the points of the grid
    return np.trapezoid(np.exp(log_q) * (log_q - log_p), grid)


def kl_q_p(parameters):  # parameters: mu, log sigma
    return kl_on_grid(norm.logpdf(grid, parameters[0], np.exp(parameters[1])), log_p_grid)


def kl_p_q(parameters):
    return kl_on_grid(log_p_grid, norm.logpdf(grid, parameters[0], np.exp(parameters[1])))


# %%
fits = {}  # name: mu, sigma, least value
for name, objective, start in (
    ("KL(q || p), started left", kl_q_p, -1.5),
    ("KL(q || p), started right", kl_q_p, 1.5),
    ("KL(p || q)", kl_p_q, 0.0),
):
    best = minimize(objective, [start, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12})
    fits[name] = best.x[0], np.exp(best.x[1]), best.fun
    print("{:26} mu {:5.2f}, sigma {:.2f}, least value {:.3f} nats".format(name, *fits[name]))

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.2))
ax.fill_between(grid, np.exp(log_p_grid), color="0.85", label="p, two humps")
for (name, (centre, width, _)), style in zip(fits.items(), ("-", "--", ":"), strict=True):
    ax.plot(grid, norm.pdf(grid, centre, width), style, label=name)
ax.set(xlim=(-6, 6), ylim=(0, 0.75), xlabel="z", ylabel="density")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plotting.show(
    figure,
    "A density with a tall hump on the left and a low one on the right. The two fits by KL(q || p) each sit on one hump "
    "and ignore the other. The fit by KL(p || q) is one low, wide bell over both, with its top between them.",
)

# %% [markdown]
# Three checks. With $\mathrm{KL}(p\,\Vert\,q)$ the best Gaussian has the mean and variance of $p$ (set the derivatives of $\mathbb E_p[\log q]$ to zero): mean $0.7(-2) + 0.3(2) = -0.8$, variance $0.36 + 4 - 0.64 = 3.72$.
# On its hump, $q$ meets $p \approx 0.7\,q$ or $0.3\,q$, so the log-ratio is about $\log\tfrac1{0.7}$ or $\log\tfrac1{0.3}$ everywhere. And what would samples be like?

# %%
(_, _, left), (_, _, right), (centre, width, _) = fits.values()
np.testing.assert_allclose([centre, width**2], [-0.8, 3.72], atol=1e-4)
np.testing.assert_allclose([left, right], -np.log([0.7, 0.3]), atol=0.01)
valley = (grid > -0.5) & (grid < 0.5)
in_p = np.trapezoid(np.exp(log_p_grid)[valley], grid[valley])
in_q = norm.cdf(0.5, centre, width) - norm.cdf(-0.5, centre, width)
print(f"between -0.5 and 0.5 lie {in_p:.1%} of p, and {in_q:.1%} of the Gaussian that covers both humps")
assert in_q > 20 * in_p

# %% [markdown]
# $\mathrm{KL}(q\,\Vert\,p)$ is **mode-seeking**: it is punished without limit for mass where $p$ has next to none, and only mildly, by $\log\frac1{0.7}$ or $\log\frac1{0.3}$, for leaving a hump out; which hump depends on the start. $\mathrm{KL}(p\,\Vert\,q)$ is **mass-covering**: it is punished for every hump left out,
# and fills the valley. A VAE uses the first, whose mean is taken under $q(z\mid x)$, from which we can sample. Hence one picture's $q(z\mid x)$ may sit in a small part of the prior, at a price; it must
# hardly reach outside.
#
# ## 7. Slips, and their numbers
#
# What the usual slips would make of one picture with $d = 20$ latents, all with $\mu = 0.8$, $\sigma = 0.5$, and at the point where the KL should be 0:


# %%
def slips(mu, log_var):
    terms = mu**2 + log_var.exp() - 1 - log_var
    return {
        "correct": 0.5 * terms.sum(-1),
        "forgotten 1/2": terms.sum(-1),
        "mean over the latents": 0.5 * terms.mean(-1),
        "wrong sign": -0.5 * terms.sum(-1),
        "exp(log_var) as sigma": 0.5 * (mu**2 + log_var.exp() ** 2 - 1 - log_var).sum(-1),
        "wrong direction": kl_normal(torch.zeros_like(mu), torch.zeros_like(mu), mu, log_var),
    }


numbers = slips(torch.full((20,), mu), torch.full((20,), 2 * math.log(sigma)))
at_rest = slips(torch.zeros(20), torch.zeros(20))
for name, value in numbers.items():
    print(f"{name:22} {value:8.2f} nats;  at mu = 0, sigma = 1: {abs(at_rest[name]):.0f}")
    assert at_rest[name] == 0

# %% [markdown]
# **At $\mu = 0$, $\sigma = 1$ every one of them is 0.** Test away from rest. Forgetting ½ and taking the mean give the right function times 2 and times $1/d$: a hidden weight, the β of Higgins et al. 2017, whose effect [lesson 07](07_training_a_vae.ipynb) measures.
# The wrong sign rewards distance from the prior. The fifth is not even a KL: descent on it ends elsewhere, below zero.

# %%
np.testing.assert_allclose(numbers["forgotten 1/2"], 2 * numbers["correct"])
np.testing.assert_allclose(numbers["mean over the latents"], numbers["correct"] / 20)
assert numbers["wrong direction"] > 2 * numbers["correct"]


def confused_loss(log_var):
    return slips(torch.zeros(1), log_var)["exp(log_var) as sigma"]


confused = descend(confused_loss, 0.5)[-1]
value = confused_loss(torch.tensor([2 * math.log(confused)])).item()
print(f"with exp(log_var) as sigma, descent ends at sigma {confused:.3f} and a 'KL' of {value:.3f} nats per latent")
assert value < -0.05

# %% [markdown]
# ## 8. Which distribution?
#
# The KL of the loss compares $q(z\mid x)$ with the prior, for one picture $x$ at a time. Is *that* what should be $\mathcal N(0, I)$? To make new pictures we draw $z \sim \mathcal N(0, I)$ and decode. During training the decoder
# met the $z$ of all pictures, mixed. That mixture is the *aggregated posterior*:
#
# $$q(z) = \frac1N\sum_{n=1}^N q(z\mid x_n).$$
#
# A decoder has learned only what to draw where it has been; [lesson 00](00_start_here.ipynb) showed faces drawn from elsewhere. So **it is the mixture $q(z)$ that we want near $\mathcal N(0, I)$**. How does the average KL, which is what we pay, relate to it?
# Multiply and divide by $q(z)$ inside the logarithm:
#
# $$\begin{aligned}
# \frac1N\sum_n \mathrm{KL}\bigl(q(z\mid x_n)\,\Vert\,p(z)\bigr) &= \frac1N\sum_n\int q(z\mid x_n)\,\log\Bigl[\frac{q(z\mid x_n)}{q(z)}\cdot\frac{q(z)}{p(z)}\Bigr]dz\\
# &= \frac1N\sum_n\int q(z\mid x_n)\,\log\frac{q(z\mid x_n)}{q(z)}\,dz \;+\; \int \underbrace{\frac1N\sum_n q(z\mid x_n)}_{q(z)}\,\log\frac{q(z)}{p(z)}\,dz\\
# &= I(x; z) \;+\; \mathrm{KL}\bigl(q(z)\,\Vert\,p(z)\bigr).
# \end{aligned}$$
#
# In the second line the last logarithm is the same for all $n$, so the sum moves onto $q(z\mid x_n)$. (Hoffman & Johnson 2016.) $I(x; z)$ is the **mutual information**: how much, on average, knowing the picture tells about $z$, and $z$ about the
# picture. Two parts, then: **what the latents say, and how far their mixture is from the prior.**


# %%
def log_aggregated_posterior(z, mu, log_var):
    """log q(z), with q(z) = 1/N sum_n N(z; mu_n, sigma_n^2): z (M, d), mu and log_var (N, d) -> (M,)."""
    log_each = log_normal(z[:, None], mu, log_var)  # (M, N)
    return log_each.logsumexp(1) - math.log(len(mu))  # log of the mean of exp


four_mu = torch.tensor([[-1.5], [-0.4], [0.3], [1.2]])  # four pictures, one latent: (4, 1)
four_log_var = 2 * torch.tensor([[0.3], [0.6], [0.4], [0.5]]).log()
z_grid = torch.linspace(-16, 16, 20_001)[:, None]  # (20001, 1)
log_q = log_aggregated_posterior(z_grid, four_mu, four_log_var)
print(f"q(z) integrates to {torch.trapezoid(log_q.exp(), z_grid[:, 0]):.6f}")
components = Normal(four_mu[:, 0], torch.exp(0.5 * four_log_var[:, 0]))
mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(torch.ones(4)), components)
torch.testing.assert_close(log_q, mixture.log_prob(z_grid[:, 0]))

# %% [markdown]
# All three terms by separate ways. The average KL by the box. $\mathrm{KL}(q(z)\,\Vert\,p)$ by quadrature. And the information by its other face: before you see $z$, your doubt as to which of $N$ pictures it belongs to is $\log N$ nats; after, it is
# the entropy of the probabilities $P(n\mid z)$ of the pictures given $z$. The mean drop is $I$, because by Bayes' rule $q(z\mid x_n)/q(z) = N\,P(n\mid z)$.


# %%
def split(mu, log_var):
    """Average KL, mutual information and KL(q(z) || p) of N Gaussians (N, 1), the last two by quadrature."""
    line = z_grid[:, 0]
    log_q = log_aggregated_posterior(z_grid, mu, log_var)
    given_z = log_normal(z_grid[:, None], mu, log_var).softmax(1)  # probability of each picture given z: (M, N)
    information = math.log(len(mu)) - torch.trapezoid(log_q.exp() * entropy(given_z), line)
    mismatch = torch.trapezoid(log_q.exp() * (log_q - log_normal(z_grid, torch.zeros(1), torch.zeros(1))), line)
    return kl_to_standard_normal(mu, log_var).mean().item(), information.item(), mismatch.item()


average, information, mismatch = split(four_mu, four_log_var)
print(f"average KL {average:.4f} = information {information:.4f} + KL(q(z) || p) {mismatch:.4f} nats")
np.testing.assert_allclose(average, information + mismatch, atol=1e-9)

# %% [markdown]
# The identity holds. And the information can never exceed $\log N$, since $q(z) \ge \tfrac1N q(z\mid x_n)$ makes each log-ratio at most $\log N$. Watch what happens as the four Gaussians, with fixed means, get narrower.

# %%
narrowing = torch.logspace(-1.7, 0.2, 50)
parts = np.array([split(four_mu, torch.full((4, 1), 2 * math.log(s))) for s in narrowing])  # (50, 3)
np.testing.assert_allclose(parts[:, 0], parts[:, 1] + parts[:, 2], atol=1e-8)
assert parts[:, 1].max() <= math.log(4) + 1e-9
narrow, at_least = parts[narrowing < 0.1], narrowing[parts[:, 2].argmin()].item()
print(f"sigma below 0.1: information over {math.floor(100 * narrow[:, 1].min()) / 100}, log 4 = {math.log(4):.3f} nats")
print(f"the mismatch is least, {parts[:, 2].min():.2f} nats, near sigma = {at_least:.1f}")
assert narrow[:, 1].min() > 0.99 * math.log(4)

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.4))
ax.plot(narrowing, parts[:, 0], label="average KL, what we pay")
ax.plot(narrowing, parts[:, 1], "--", label="information I(x; z)")
ax.plot(narrowing, parts[:, 2], ":", label="KL(q(z) || p), the mismatch")
ax.axhline(math.log(4), color="black", lw=0.8)
ax.text(1.1, math.log(4) + 0.08, "log 4")
ax.set(xscale="log", xlabel=r"$\sigma$ of each of the four", ylabel="nats", ylim=(0, 4.2))
ax.set_xticks([0.02, 0.1, 0.5, 1], ["0.02", "0.1", "0.5", "1"])
ax.legend()
plotting.show(
    figure,
    "Three curves against the width of four Gaussians. Going from wide to narrow, the information rises and then stays at the "
    "line log 4, while the average KL keeps climbing; from there on all that is added is mismatch between mixture and prior. "
    "The mismatch is least somewhere below width 1 and rises again on the wide side.",
)

# %% [markdown]
# From the right: wide Gaussians overlap and say little. Narrower ones say more, until $z$ tells the four pictures apart. Beyond that, every further nat is pure mismatch: spikes with holes between them, the plain autoencoder's plane of [lesson 01](01_autoencoder.ipynb).
#
# ## 9. The same payment, three encoders
#
# A second case, in closed form. "Pictures" $x \sim \mathcal N(0, 1)$, encoder $q(z\mid x) = \mathcal N(ax, s^2)$. Then $z = ax + s\varepsilon$ is Gaussian with variance $a^2 + s^2$, so $q(z) = \mathcal N(0, a^2 + s^2)$. The box with $\mathbb E[\mu^2] = a^2$ gives
#
# $$\underbrace{\tfrac12[a^2 + s^2 - 1 - \log s^2]}_{\text{average KL}} = \underbrace{\tfrac12\log\bigl(1 + \tfrac{a^2}{s^2}\bigr)}_{I(x;z)} + \underbrace{\tfrac12[a^2 + s^2 - 1 - \log(a^2 + s^2)]}_{\mathrm{KL}(q(z)\Vert p)} .$$
#
# (The logarithms on the right add up to $-\log s^2$.) Three independent checks: quadrature over $x$; the KL between the joint Gaussian of $(x, z)$ and the product of its margins, which is another definition of mutual information; and PyTorch's KL.


# %%
def gaussian_split(a, s):
    average = 0.5 * (a**2 + s**2 - 1 - math.log(s**2))
    return average, 0.5 * math.log(1 + a**2 / s**2), 0.5 * (a**2 + s**2 - 1 - math.log(a**2 + s**2))


a, s = 0.7, 0.4


def kl_at(x):
    return norm.pdf(x) * kl_to_standard_normal(torch.tensor([a * x]), torch.tensor([math.log(s**2)])).item()


joint = torch.tensor([[1.0, 0.0], [a, s]])  # (x, z) = L (x, eps)
margins = torch.diag(torch.tensor([1.0, math.sqrt(a**2 + s**2)]))
checks = [quad(kl_at, -12, 12)[0], kl_normal_full(torch.zeros(2), joint, torch.zeros(2), margins)]
checks.append(kl_divergence(Normal(0.0, math.sqrt(a**2 + s**2)), Normal(0.0, 1.0)))
np.testing.assert_allclose(gaussian_split(a, s), checks)
np.testing.assert_allclose(checks[0], checks[1] + checks[2])
print(f"average KL {checks[0]:.4f} = information {checks[1]:.4f} + mismatch {checks[2]:.4f} nats")

# %% [markdown]
# Now three encoders that pay **the same average KL, 1 nat**, and get different things for it: all information, half and half, none. For a wanted mismatch solve for the variance of $q(z)$
# (narrower than the prior), then split it into $a^2$ and $s^2$.


# %%
def encoder_for(information, mismatch):
    """(a, s) of the encoder with this mutual information and this KL(q(z) || p), both in nats."""

    def excess(v):
        return 0.5 * (v - 1 - math.log(v)) - mismatch

    v = brentq(excess, 1e-6, 1.0) if mismatch > 0 else 1.0  # variance of q(z)
    s_squared = v * math.exp(-2 * information)  # from I = 1/2 log(v / s^2)
    return math.sqrt(v - s_squared), math.sqrt(s_squared)


# %%
same_price = [encoder_for(1, 0), encoder_for(0.5, 0.5), encoder_for(0, 1)]
covered = []
for a, s in same_price:
    np.testing.assert_allclose(gaussian_split(a, s)[0], 1)
    reach = norm.ppf(0.995) * math.sqrt(a**2 + s**2)  # 99 % of q(z) lies within
    covered.append(norm.cdf(reach) - norm.cdf(-reach))
    print(f"a = {a:.2f}, s = {s:.2f}: z explains {a**2 / (a**2 + s**2):4.0%} of the variance of x;", end=" ")
    print(f"{covered[-1]:.1%} of prior samples fall where 99 % of q(z) lies")


# %%
def draw_encoders(encoders, alt):
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True)
    for ax, (a, s) in zip(axes, encoders, strict=True):
        for x in (-1.5, -0.75, 0, 0.75, 1.5):
            ax.plot(line, norm.pdf(line, a * x, s), lw=1, color="C5", label="q(z|x), five x" if x == 0 else None)
        ax.plot(line, norm.pdf(line, 0, math.sqrt(a**2 + s**2)), color="C1", label="q(z)")
        ax.plot(line, norm.pdf(line), "--", color="black", label="prior")
        average, information, mismatch = (abs(part) for part in gaussian_split(a, s))
        ax.set(xlim=(-3.5, 3.5), xlabel="z", title=f"KL {average:.2f} = I {information:.2f} + {mismatch:.2f} nats")
    axes[0].set(ylabel="density")
    axes[2].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plotting.show(figure, alt)


draw_encoders(
    same_price,
    "Three panels, each with five bells q(z|x), their mixture q(z) and the prior. Left: five bells that overlap a little and whose "
    "mixture lies on the prior. Middle: bells closer together, mixture narrower than the prior. Right: one narrow "
    "bell for every x, and the mixture is that same bell. The mixture is over all x, not only the five. Above each, the same average KL of 1 nat, split differently.",
)
assert covered[0] > 0.98
assert covered[2] < 0.5

# %% [markdown]
# The left encoder spends its nat well: its mixture *is* the prior, and $z$ explains most of $x$. The right one gets nothing: $z$ says nothing of $x$, and over half of the prior's samples fall where the decoder has hardly been. **The average KL alone does not tell them apart.**

# %%
same_mixture = Prediction(
    "Now three encoders whose mixture q(z) is N(0, 1) exactly. Can their average KLs differ?",
    ["no, they are all zero", "no, they are equal but above zero", "yes, by more than a nat"],
)
same_mixture.ask()

# %%
on_prior = [encoder_for(information, 0) for information in (0, 0.5, 1.5)]
averages = [gaussian_split(a, s)[0] for a, s in on_prior]
spread = max(averages) - min(averages)
same_mixture.reveal(same_mixture.choices[2 if spread > 1 else 0 if max(averages) < 1e-9 else 1])
assert all(abs(gaussian_split(a, s)[2]) < 1e-12 for a, s in on_prior)

# %%
draw_encoders(
    on_prior,
    "Three panels in which the mixture q(z) lies exactly on the prior. Left: every q(z|x) is the prior itself. "
    "Middle: five bells that overlap a good deal. Right: five narrow bells that hardly overlap. The average KL grows from 0 to 1.5 nats, all of it information.",
)

# %% [markdown]
# All three would give perfect samples *of $z$*. On the left every $q(z\mid x)$ equals the prior, so the KL is at its minimum 0, and so is the information: **the latents say nothing**. This is *posterior
# collapse* (lesson 07). So we do not want each $q(z\mid x)$ to reach $\mathcal N(0, I)$. The KL of a picture is the **price, or *rate*,** of what its latents say; on average, the mismatch is paid on top.
#
# ## 10. With many latents
#
# Finally as many latents as a real VAE has, $d = 20$, and $N = 500$ pictures. Draw the means from $\mathcal N(0, 0.75)$ and give each the variance 0.25. By section 9, were there infinitely many pictures, $q(z)$ would be $\mathcal N(0, 1)$ in each coordinate, and all of the average KL information.

# %%
finite = Prediction(
    "With these 500 pictures, how much of the average KL of about 14 nats is information about which picture it is?",
    ["all of it, within a nat", "about 10 nats", "less than 7 nats"],
)
finite.ask()

# %%
generator = torch.Generator().manual_seed(SEED)
mu_n = math.sqrt(0.75) * torch.randn(500, 20, generator=generator)  # (N, d)
log_var_n = torch.full((500, 20), math.log(0.25))
z = sample_normal(mu_n, log_var_n, generator)  # one z for each picture, together a sample of q(z)

log_q_z = log_aggregated_posterior(z, mu_n, log_var_n)
said = log_normal(z, mu_n, log_var_n) - log_q_z  # its mean estimates the information
missed = log_q_z - log_normal(z, torch.zeros(20), torch.zeros(20))  # and this KL(q(z) || p)
average = kl_to_standard_normal(mu_n, log_var_n).mean()
for name, draws in (("information", said), ("mismatch", missed)):
    print(f"{name}: {draws.mean():.2f} nats, standard error {draws.std() / math.sqrt(500):.2f}")
print(f"average KL {average:.1f}, log N = {math.log(500):.2f} nats")

# %%
finite.reveal(finite.choices[0 if said.mean() > average - 1 else 2 if said.mean() < 7 else 1])
error = (said + missed).std() / math.sqrt(500)
assert abs((said + missed).mean() - average) < 4 * error
assert said.max() <= math.log(500) + 1e-9
assert missed.mean() > 5
assert 13 < average < 15
for n in (500, 4000, 60_000):
    print(f"N = {n:6}: at most {math.log(n):.1f} nats can be information")

# %% [markdown]
# The bound $\log N$ bites. A VAE that spends 25 nats a picture on 60,000 pictures has, over these pictures, a mismatch of about $25 - 11 = 14$ nats at the least, however well it was trained: 60,000 small clouds do not fill 20 dimensions.
# (Over the endless stream of pictures of which the 60,000 are a sample, no such bound holds; and it is this stream's mixture that samples should match. A decoder that draws well *between* the clouds can bridge the gaps.) [Lesson 08](08_inside_the_latent_space.ipynb) measures these parts on a trained VAE.
#
# Why near $\mathcal N(0, I)$ at all? Because there we can sample, and because with this KL, as
# [lesson 05](05_jensen_elbo.ipynb) shows, the loss bounds $\log p(x)$.
#
# ## Easy to forget
#
# - The KL is *summed* over latents and averaged over pictures. Its unit is nats per picture.
# - The expectation is under the first argument. $\mathrm{KL}(q\,\Vert\,p)$ punishes $q$ outside $p$ without limit, and $p$ outside $q$ only mildly.
# - $\mathcal N(\mu, \sigma)$ in people's notes: say whether the second is $\sigma$ or $\sigma^2$; the code here holds $\log\sigma^2$.
# - An exact KL is never negative, a sampled one may be.
# - A small KL is not a good sign by itself: ask what the latents still say.
# - A slip that is right at $\mu = 0$, $\sigma = 1$ passes careless tests.
#
# ## Summary
#
# - KL = cross-entropy − entropy: extra nats for using $p$'s code on $q$'s symbols. Never negative, zero only for $p = q$, not symmetric.
# - For the encoder's output: $\tfrac12\sum(\mu^2 + \sigma^2 - 1 - \log\sigma^2)$.
# - *"As wide as possible"* holds for the entropy alone. The KL pulls $\mu$ to 0 with strength $\mu$, and $\sigma$ to exactly 1 from both sides.
# - *Which distribution?* The mixture $q(z)$ should be near $\mathcal N(0, I)$, so that prior samples decode well. Average KL = information + $\mathrm{KL}(q(z)\,\Vert\,p)$, and information is at most $\log N$.
# - If every $q(z\mid x)$ is the prior, the KL is 0 and the latents say nothing.
#
# **Back:** [03 · The reparametrization trick](03_reparametrization.ipynb). **Next:** [05 · Jensen's inequality and the ELBO](05_jensen_elbo.ipynb)
#
# ## Try it
#
# 1. Move the humps of section 6 closer, to ±1. Does the mode-seeking fit still choose a hump? Predict the distance at which it gives up.
# 2. Descend in $\sigma$ instead of $\log\sigma^2$ in section 4, from 0.1 and from 5. Which start is now the slow one, and why?
# 3. $\frac{p(z)}{q(z)} - 1 - \log\frac{p(z)}{q(z)}$, averaged over $z\sim q$, also estimates the KL. Why is no draw of it ever negative (section 1 has the reason)? Compare its scatter with section 3's for $\sigma = 0.9$ and $\sigma = 0.5$.
# 4. In section 10 double the standard deviations. Which of the two parts shrinks more?
#
# **Exercise.** [Exercise 04](../work/ex04_kl_divergence.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Kullback & Leibler 1951, *On Information and Sufficiency*; Shannon 1948, *A Mathematical Theory of Communication*: code lengths.
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*, appendix B: the formula.
# - Hoffman & Johnson 2016, *ELBO surgery: yet another way to carve up the variational evidence lower bound*: the identity and the bound $\log N$.
# - Higgins et al. 2017, *β-VAE*: the weight β. Lucas et al. 2019, *Don't Blame the ELBO*: posterior collapse.
