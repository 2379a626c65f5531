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
# A VAE's encoder gives every picture $x$ a Gaussian over the latents $z$, $q(z\mid x) = \mathcal N(\mu, \sigma^2)$. New pictures are made from draws of the *prior* $p(z) = \mathcal N(0, I)$.
# One term of the loss, the KL, brings the two together. Two things are often said of this term:
#
# 1. It makes the distributions **as wide as possible**.
# 2. It pulls "our distribution" towards $\mathcal N(0, I)$.
#
# **The questions of this lesson.** Wide up to where? And *which* distribution? The second question has three parts. Which distribution does the loss pull? Which one should be near $\mathcal N(0, I)$ for sampling?
# How much larger is the average KL of the single $q(z\mid x)$ than the KL of their mixture?
#
# *You need:* expectations, integrals, a little PyTorch; sampling and entropy of a Gaussian from [lesson 02](02_gaussian_sampling.ipynb).
# *Time:* 90 minutes for the core, 50 more for the optional sections, a few seconds to run.

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
from scipy.stats import binom, norm
from scipy.stats import entropy as scipy_entropy
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)
torch.set_default_dtype(torch.float64)
plotting.machine("q", "kl")

# %% [markdown]
# This lesson is about the two marked parts: the distribution $q(z\mid x)$, and the KL term that pulls it.
#
# ## 1. The price of the wrong code
#
# Four symbols A, B, C, D arrive with probabilities $q$. To store them, each gets a *codeword* of zeros and ones. No codeword is the beginning of another, so a row of codewords can be read in one way only.
# A good code gives frequent symbols short codewords. The length in bits is $-\log_2$ of the probability: 1 bit for $\tfrac12$, 2 bits for $\tfrac14$, 3 bits for $\tfrac18$.
# A second code is made in the same way, but for other probabilities, $p$.

# %%
q = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 8])
p = torch.tensor([1 / 8, 1 / 2, 1 / 4, 1 / 8])
code_q, code_p = ["0", "10", "110", "111"], ["110", "0", "10", "111"]
for symbol, own, other, made_for_q, made_for_p in zip("ABCD", q, p, code_q, code_p, strict=True):
    print(f"{symbol}   q = {own:.3f}  {made_for_q:4}  p = {other:.3f}  {made_for_p}")

# %% [markdown]
# The symbols come from $q$. By hand, the bits per symbol with the right code and with the wrong one:
#
# - right: $\tfrac12\cdot1 + \tfrac14\cdot2 + \tfrac18\cdot3 + \tfrac18\cdot3 = 1.75$;
# - wrong: $\tfrac12\cdot3 + \tfrac14\cdot1 + \tfrac18\cdot2 + \tfrac18\cdot3 = 2.375$.
#
# The wrong code needs 0.625 bits more. We store 20,000 symbols and count.

# %%
drawn = np.random.default_rng(SEED).choice(4, size=20_000, p=q.numpy())
right, wrong = (np.array([len(word) for word in code])[drawn] for code in (code_q, code_p))  # (20000,)
errors = []  # distance from the value by hand, in standard errors
for name, bits, by_hand in (("right code", right, 1.75), ("wrong code", wrong, 2.375), ("extra", wrong - right, 0.625)):
    standard_error = bits.std() / math.sqrt(len(bits))
    errors.append(abs(bits.mean() - by_hand) / standard_error)
    print(f"{name:10}: {bits.mean():.3f} bits per symbol, standard error {standard_error:.3f}, by hand {by_hand}")

# %%
assert max(errors) < 5
print("The counts agree with the sums by hand, within 5 standard errors.")

# %% [markdown]
# These numbers have names. With natural logarithms the unit is the *nat*; a bit is $\log 2 = 0.693$ nats.
#
# $$\underbrace{H(q) = -\sum_i q_i\log q_i}_{\text{entropy: the right code}} \qquad
# \underbrace{H(q, p) = -\sum_i q_i\log p_i}_{\text{cross-entropy: the wrong code}}$$
#
# $$\mathrm{KL}(q\,\Vert\,p) = H(q, p) - H(q) = \sum_i q_i \log\frac{q_i}{p_i} = \mathbb E_{q}\bigl[\log q - \log p\bigr]$$
#
# The **KL divergence** (Kullback & Leibler 1951) is the extra length. It is also the mean, under $q$, of the log-ratio of the two probabilities.


# %%
def entropy(q):
    return -torch.xlogy(q, q).sum(-1)  # xlogy(q, p) = q log p, and 0 where q = 0


def cross_entropy(q, p):
    return -torch.xlogy(q, p).sum(-1)


def kl(q, p):
    return cross_entropy(q, p) - entropy(q)


print(f"KL(q || p) = {cross_entropy(q, p):.3f} - {entropy(q):.3f} = {kl(q, p):.3f} nats")
print(f"           = {kl(q, p) / math.log(2):.3f} bits;  KL(p || q) = {kl(p, q):.3f} nats")
np.testing.assert_allclose([kl(q, p), kl(p, q)], [scipy_entropy(q, p), scipy_entropy(p, q)])

# %% [markdown]
# Here every probability is a power of $\tfrac12$, so the lengths are whole numbers of bits. For other probabilities the lengths have to be rounded up. If one codeword stands for a long block of symbols, the extra length *per symbol* is close to the KL (Shannon 1948; section 13).
#
# **Two directions, two numbers**: $\mathrm{KL}(q\,\Vert\,p) \ne \mathrm{KL}(p\,\Vert\,q)$ above, so the KL is no distance. The extreme case is a distribution that uses only two of the symbols.

# %%
half = torch.tensor([1 / 2, 0, 1 / 2, 0])
print(f"KL(half || q) = {kl(half, q):.3f} nats,  KL(q || half) = {kl(q, half)}")

# %% [markdown]
# The second number is infinite. A code made for `half` gives B and D the probability 0, so their codewords would be infinitely long. For the first number, the symbols come from `half` and the code was made for `q`. B and D have codewords but never come. The harm is finite: C has 3 bits where 1 would do, in half of the cases, so 1 bit more per symbol.
#
# **A KL is never negative.** The proof rests on one inequality, $\log t \le t - 1$. Let $f(t) = t - 1 - \log t$. Its derivative $1 - 1/t$ is negative below $t = 1$ and positive above.
# So $f$ is smallest at $t = 1$, and there it is 0. Now put $t = p_i/q_i$, over the symbols with $q_i > 0$:
#
# $$-\mathrm{KL}(q\,\Vert\,p) = \sum_i q_i\log\frac{p_i}{q_i} \;\le\; \sum_i q_i\Bigl(\frac{p_i}{q_i} - 1\Bigr) = \sum_i p_i - \sum_i q_i \;\le\; 1 - 1 = 0 .$$
#
# The sum of $p_i$ may miss symbols with $q_i = 0$, so the last sign is "$\le$". Equality needs $t = 1$ for every symbol, that is $p = q$. We check each step on 1,000 random pairs.

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
# If your training log shows a negative KL, look for a mistake. Two things are no mistake: rounding, near zero, and a negative *estimate* from draws (section 3).
#
# ## 2. The formula in every VAE, line by line
#
# For densities the sum becomes an integral: $\mathrm{KL}(q\,\Vert\,p) = \int q(z)\,[\log q(z) - \log p(z)]\,dz$. The same proof holds, with integrals in place of sums.
# Take one latent, $q = \mathcal N(\mu, \sigma^2)$ and the prior $p = \mathcal N(0, 1)$:
#
# $$\begin{aligned}
# (1)\quad \log q(z) &= -\tfrac12\log 2\pi - \tfrac12\log\sigma^2 - \tfrac{(z-\mu)^2}{2\sigma^2}\\
# (2)\quad \log p(z) &= -\tfrac12\log 2\pi - \tfrac12 z^2\\
# (3)\quad \log q(z) - \log p(z) &= \tfrac12\Bigl[z^2 - \tfrac{(z-\mu)^2}{\sigma^2} - \log\sigma^2\Bigr] \qquad\text{the } 2\pi \text{ cancels}
# \end{aligned}$$
#
# We check at $\mu = 0.8$, $\sigma = 0.5$, at a few values of $z$, against scipy's densities.

# %%
mu, sigma = 0.8, 0.5
z = np.linspace(-2, 3, 11)
log_ratio = 0.5 * (z**2 - (z - mu) ** 2 / sigma**2 - math.log(sigma**2))
np.testing.assert_allclose(log_ratio, norm.logpdf(z, mu, sigma) - norm.logpdf(z))
print("line (3) holds at", len(z), "values of z")

# %% [markdown]
# Now the mean under $q$, term by term. The variance is $\sigma^2 = \mathbb E[(z-\mu)^2] = \mathbb E[z^2] - \mu^2$, so
#
# $$(4)\quad \mathbb E_q[z^2] = \mu^2 + \sigma^2, \qquad \mathbb E_q\Bigl[\tfrac{(z-\mu)^2}{\sigma^2}\Bigr] = \tfrac{\sigma^2}{\sigma^2} = 1, \qquad
# (5)\quad \boxed{\mathrm{KL} = \tfrac12\bigl[\mu^2 + \sigma^2 - 1 - \log\sigma^2\bigr]}$$
#
# The check is by *quadrature*, that is, numerical integration.


# %%
def mean_under_q(f):
    """E[f(z)] for z ~ N(mu, sigma^2), by quadrature."""
    return quad(lambda z: norm.pdf(z, mu, sigma) * f(z), mu - 12 * sigma, mu + 12 * sigma, epsabs=1e-12)[0]


by_quadrature = mean_under_q(lambda z: norm.logpdf(z, mu, sigma) - norm.logpdf(z))
by_formula = 0.5 * (mu**2 + sigma**2 - 1 - math.log(sigma**2))
print(f"(4) E[z^2] by quadrature {mean_under_q(np.square):.4f}, mu^2 + sigma^2 = {mu**2 + sigma**2:.4f}")
print(f"(5) KL by quadrature {by_quadrature:.4f}, by the formula {by_formula:.4f} nats")
np.testing.assert_allclose(mean_under_q(np.square), mu**2 + sigma**2)
np.testing.assert_allclose(by_quadrature, by_formula)

# %% [markdown]
# With $d$ latents and a vector $\sigma$, both $q$ and $p$ are products over the coordinates, so their logarithms are sums. The mean of a sum is the sum of the means. Hence **the KLs of the
# coordinates add up** (Kingma & Welling 2014, appendix B). An encoder's network puts out $\log\sigma^2$, so our function takes $\log\sigma^2$ rather than $\sigma$.


# %%
def kl_to_standard_normal(mu, log_var):
    """KL(N(mu, sigma^2) || N(0, I)) in nats, for mu and log_var (..., d) -> (...)."""
    return 0.5 * (mu**2 + torch.exp(log_var) - 1 - log_var).sum(-1)


# %%
generator = torch.Generator().manual_seed(SEED)
means, log_vars = torch.randn(2, 5, 3, generator=generator)  # each (5, 3): five pictures, three latents
posteriors = Independent(Normal(means, torch.exp(0.5 * log_vars)), 1)
prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
print("KL of five pictures:", kl_to_standard_normal(means, log_vars).numpy().round(2), "nats")
torch.testing.assert_close(kl_to_standard_normal(means, log_vars), kl_divergence(posteriors, prior))

# %% [markdown]
# ## 3. The same by sampling
#
# The KL is a mean under $q$, so draws of $z \sim q$ estimate it: average $\log q(z) - \log p(z)$. The estimate is *unbiased*, that is, right on average. It works for any pair
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
print(f"mean of the draws {draws.mean():.3f}, standard error {standard_error:.4f}; closed form {by_formula:.3f} nats")
negative = (draws < 0).double().mean().item()
print(f"standard deviation of one draw {draws.std():.2f} nats; negative: {negative:.1%} of the draws")
single.reveal(single.choices[0 if negative == 0 else 1 if negative < 0.05 else 2])

# %%
assert abs(draws.mean() - by_formula) < 5 * standard_error
assert negative > 0.1
assert 0.9 < draws.std() / by_formula < 1.2
print("The mean of the draws is the KL, within 5 standard errors. More than one draw in ten is negative.")

# %% [markdown]
# A draw is negative wherever $z$ is likelier under the prior than under $q$. For this $q$, one draw scatters by about as much as the KL itself.
#
# Formula (5), the *closed form*, needs no draws, so it has no scatter. VAEs usually use the closed form. The reconstruction still scatters. Whether the whole loss scatters less with the closed
# form depends on $q$ (section 12).
#
# ## 4. Wide up to where?
#
# A prediction first.

# %%
both_ways = Prediction(
    "Only the KL acts. One Gaussian starts with sigma = 0.1, another with sigma = 5. After 400 steps of gradient descent:",
    ["the narrow one ends at 1, the wide one stays wide", "both end at 1", "both are wider than 5"],
)
both_ways.ask()


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


# %%
narrow, wide = descend(kl_loss, 0.1), descend(kl_loss, 5.0)
print(f"under the KL: from 0.1 to {narrow[-1]:.4f}, from 5 to {wide[-1]:.4f}")
ends_at_one = [abs(path[-1] - 1) < 1e-3 for path in (narrow, wide)]
both_ways.reveal(both_ways.choices[1 if all(ends_at_one) else 0 if ends_at_one[0] else 2])

# %%
assert all(ends_at_one)
print("Under the KL alone, a narrow and a wide Gaussian both end at sigma = 1.")

# %% [markdown]
# The derivatives of formula (5) show why:
#
# $$\frac{\partial\,\mathrm{KL}}{\partial\mu} = \mu, \qquad \frac{\partial\,\mathrm{KL}}{\partial\sigma} = \tfrac12\Bigl[2\sigma - \frac{2}{\sigma}\Bigr] = \sigma - \frac1\sigma, \qquad
# \frac{\partial\,\mathrm{KL}}{\partial\log\sigma^2} = \tfrac12\bigl(\sigma^2 - 1\bigr).$$
#
# They vanish at $\mu = 0$ and at $\sigma = 1$, and nowhere else.

# %%
at_mu = torch.tensor([[-2.0], [0.0], [1.5]], requires_grad=True)  # (3, 1)
at_sigma = torch.tensor([[0.1], [1.0], [5.0]], requires_grad=True)
kl_to_standard_normal(at_mu, 2 * at_sigma.log()).sum().backward()
print("slope in mu   ", at_mu.grad.flatten().tolist())
print("slope in sigma", [round(slope, 3) for slope in at_sigma.grad.flatten().tolist()])
torch.testing.assert_close(at_mu.grad, at_mu.detach())
torch.testing.assert_close(at_sigma.grad, at_sigma.detach() - 1 / at_sigma.detach())

# %% [markdown]
# A narrow $q$ ($\sigma = 0.1$) has a negative slope and is widened. A wide one ($\sigma = 5$) is narrowed. The saying "as wide as possible" comes from one half of the formula.
# Section 1 has $\mathrm{KL} = H(q, p) - H(q)$. The entropy is $H(q) = \tfrac12[1 + \log 2\pi + \log\sigma^2]$. The cross-entropy is minus the mean of line (2):
# $H(q, p) = \tfrac12[\log 2\pi + \mu^2 + \sigma^2]$. Their difference is formula (5). What happens if only the entropy acts?


# %%
def cross_entropy_to_standard_normal(mu, log_var):
    return 0.5 * (math.log(2 * math.pi) + mu**2 + torch.exp(log_var)).sum(-1)


alone = descend(lambda log_var: -entropy_normal(log_var), 0.1)
crossed, own = cross_entropy_to_standard_normal(m, v).item(), entropy_normal(v).item()
print(f"cross-entropy {crossed:.3f} - entropy {own:.3f} = KL {crossed - own:.3f} nats")
print(f"under the entropy alone: from 0.1 to {alone[-1]:.0f} after 400 steps")

# %%
np.testing.assert_allclose(crossed - own, by_formula)
np.testing.assert_allclose(np.diff(np.log(alone)), 0.1 / 4)  # log sigma gains the same at every step
print("Under the entropy alone, log sigma grows by the same amount at each of the 400 steps.")

# %%
widths = torch.logspace(-1, 1, 201)[:, None]  # (201, 1)
log_var, zero = 2 * widths.log(), torch.zeros(201, 1)
figure, (ax, paths) = plt.subplots(1, 2, figsize=(10, 3.6))
ax.plot(widths, -entropy_normal(log_var), ":", color="C2", label="minus entropy")
ax.plot(widths, cross_entropy_to_standard_normal(zero, log_var), "-.", color="C3", label="cross-entropy")
ax.plot(widths, kl_to_standard_normal(zero, log_var), color="C0", label="their sum, the KL")
ax.plot(1, 0, "o", color="black")
ax.set(xscale="log", xlabel=r"$\sigma$ (with $\mu = 0$)", ylabel="nats", ylim=(-4, 6), title="The two parts of the KL")
ax.set_xticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
paths.plot(wide, color="C0", label="KL, from 5")
paths.plot(narrow, "--", color="C1", label="KL, from 0.1")
paths.plot(alone, ":", color="C2", label="entropy alone, from 0.1")
paths.set(yscale="log", ylim=(0.05, 100), xlabel="step", ylabel=r"$\sigma$", title="Gradient descent")
paths.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
for axes in (ax, paths):
    axes.legend(fontsize=9)
plotting.show(
    figure,
    "Left, three curves against sigma on a logarithmic axis: minus the entropy falls all the way; the cross-entropy is flat for "
    "small sigma and shoots up beyond 1; their sum, the KL, falls to zero at sigma = 1 and rises again. Right, sigma against steps: "
    "under the KL both paths end at 1, soon from 5, late from 0.1. Under the entropy alone sigma climbs without end.",
)

# %% [markdown]
# **"As wide as possible" is half the truth. The KL makes $q$ as wide as the prior, $\sigma = 1$ exactly.** Minus the entropy rewards width, the cross-entropy punishes it, and they balance at 1. Look also at the speeds. In $\log\sigma^2$ a
# narrow $q$ is pulled with at most ½, a wide one with $\tfrac12(\sigma^2 - 1)$, which is 12 at $\sigma = 5$.
#
# Why do real encoders not end at $\sigma = 1$? The decoder works better with precise latents. By Taylor's formula, small noise of variance $\sigma^2$ on a latent adds about $\tfrac a2\sigma^2$ nats to the reconstruction term. (The first-order term has mean zero.) Here $a$, the second derivative, is how sensitive this term is to the latent.
# Together with the KL the slope in $\sigma$ is $a\sigma + \sigma - 1/\sigma$. It is zero at $\sigma = 1/\sqrt{1 + a}$.


# %%
def total(sigma, a):
    return 0.5 * a * sigma**2 + 0.5 * (sigma**2 - 1 - math.log(sigma**2))


for a in (0, 3, 99):
    best = minimize_scalar(total, args=(a,), bounds=(1e-3, 10), method="bounded", options={"xatol": 1e-9}).x
    print(f"a = {a:2}: the best sigma is {best:.3f}, 1/sqrt(1 + a) = {1 / math.sqrt(1 + a):.3f}")
    np.testing.assert_allclose(best, 1 / math.sqrt(1 + a), atol=1e-6)

# %% [markdown]
# A latent that the decoder ignores ($a = 0$) goes to $\sigma = 1$. In this model the width of a latent shows how much the decoder uses it.
#
# Move the sliders. The arrow in the map is the pull, $(-\mu,\; 1/\sigma - \sigma)$, drawn at a third of its length, or shorter where that does not fit. Find places where it points straight down. Then find two
# Gaussians with the same KL, one narrow, one wide.

# %%
map_mu, map_sigma = torch.meshgrid(torch.linspace(-3, 3, 61), torch.linspace(0.1, 3, 59), indexing="xy")
map_kl = kl_to_standard_normal(map_mu[..., None], 2 * map_sigma[..., None].log())  # (59, 61)
line = np.linspace(-6, 6, 401)
white = {"fontsize": 8, "ha": "center", "va": "center", "bbox": {"color": "white", "pad": 1}}


def draw_pull(figure, mu, sigma):
    above, below = figure.subplots(2, 1)
    above.plot(line, norm.pdf(line), "--", color="black")
    above.fill_between(line, norm.pdf(line, mu, sigma), alpha=0.5)
    above.set(xlim=(-6, 6), ylim=(0, 1.6), xlabel="z", ylabel="density", title="q (filled) and the prior (dashed)")
    below.contour(map_mu, map_sigma, map_kl, levels=[0.5, 1, 2, 3, 4], colors="0.45", linewidths=1)
    for level in (0.5, 1, 2, 3, 4):  # at sigma = 1.5 the KL is mu^2 / 2 + 0.22
        below.text(math.sqrt(2 * (level - 0.22)), 1.5, level, **white)
    pull = np.array([-mu, 1 / sigma - sigma])
    shown = pull * min(1 / 3, 1.2 / max(np.hypot(*pull), 1e-9))
    below.annotate("", (mu + shown[0], sigma + shown[1]), (mu, sigma), arrowprops={"arrowstyle": "->", "lw": 2})
    below.plot(mu, sigma, "o", color="black")
    below.set(xlim=(-3, 3), ylim=(0, 3), xlabel=r"$\mu$", ylabel=r"$\sigma$", title="KL (nats)")
    value = 0.5 * (mu**2 + sigma**2 - 1 - math.log(sigma**2))
    return f"KL {value:.2f} nats; pull on mu {pull[0]:+.2f}, on sigma {pull[1]:+.2f}."


# %%
places = [(1.5, 0.5), (0.0, 0.5), (0.0, 2.5), (0.0, 1.8), (0.0, 1.4), (0.0, 1.0), (-1.0, 1.0), (-2.0, 1.0)]
explore(
    draw_pull,
    mu=ipw.FloatSlider(value=1.5, min=-3, max=3, step=0.1, description="mu"),
    sigma=ipw.FloatSlider(value=0.5, min=0.3, max=3, step=0.05, description="sigma"),
    stills=[{"mu": mu, "sigma": sigma} for mu, sigma in places],
    alt="The two densities, and below them a map of the KL with rings around mu 0, sigma 1, and an arrow that shows the pull. "
    "A narrow Gaussian to the right is pulled left and wider; a wide one in the middle straight down, narrower; one of "
    "width 1 to the left is pulled straight towards zero. At mu 0, sigma 1 q lies on the prior and is not pulled at all.",
    size=(4.5, 5.4),
)

# %% [markdown]
# The arrow points straight down where $\mu = 0$ and $\sigma > 1$. On a ring the KL is the same everywhere. The ring of 0.5 cuts the line $\mu = 0$ twice: there one Gaussian is narrow, the other wide.
#
# ## 5. Two Gaussians in general
#
# Let $p = \mathcal N(\mu_p, \sigma_p^2)$. Measure $z$ from $\mu_p$ in units of $\sigma_p$: $u = (z - \mu_p)/\sigma_p$. Both densities are multiplied by the same factor $\sigma_p$, so their ratio does not change, and nor does the KL. In
# the new unit $p$ is $\mathcal N(0, 1)$ and $q$ is $\mathcal N\bigl(\tfrac{\mu_q - \mu_p}{\sigma_p}, \tfrac{\sigma_q^2}{\sigma_p^2}\bigr)$. Formula (5) gives, summed over coordinates,
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
pytorchs = kl_divergence(Independent(Normal(mu_q, sigma_q), 1), Independent(Normal(mu_p, sigma_p), 1))
print("KL of five random pairs:", kl_normal(mu_q, log_var_q, mu_p, log_var_p).numpy().round(2), "nats")
torch.testing.assert_close(kl_normal(mu_q, log_var_q, mu_p, log_var_p), pytorchs)

# %% [markdown]
# PyTorch gives the same numbers. Section 9 treats correlated coordinates.
#
# ## 6. The direction
#
# The two directions differ for Gaussians too. Is it worse for $q$ to be half as wide as $p$, or twice as wide?

# %%
at_0, log_1, log_quarter = torch.zeros(1), torch.zeros(1), torch.tensor([math.log(1 / 4)])  # a mean, two log-variances
too_narrow, too_wide = kl_normal(at_0, log_quarter, at_0, log_1), kl_normal(at_0, log_1, at_0, log_quarter)
print(f"q half as wide as p: {too_narrow.item():.3f} nats; q twice as wide: {too_wide.item():.3f} nats")

# %% [markdown]
# Twice as wide is worse. Such a $q$ has mass where $p$ has little, and the log-ratio is averaged under $q$. To see the effect, we fit one Gaussian $q$ to a $p$ with two humps, once for each direction of the KL. All integrals are by quadrature.

# %%
grid, hump = np.linspace(-12, 12, 4801), 2.0  # the humps of p lie at -hump and +hump


def log_p_of_width(s):  # 70 % of the mass in the left hump, both of standard deviation s
    return np.logaddexp(math.log(0.7) + norm.logpdf(grid, -hump, s), math.log(0.3) + norm.logpdf(grid, hump, s))


def kl_on_grid(log_q, log_p):  # log-densities at the points of the grid
    return np.trapezoid(np.exp(log_q) * (log_q - log_p), grid)


def kl_q_p(parameters, s=0.6):  # parameters: mu, log sigma
    return kl_on_grid(norm.logpdf(grid, parameters[0], np.exp(parameters[1])), log_p_of_width(s))


def kl_p_q(parameters, s=0.6):
    return kl_on_grid(log_p_of_width(s), norm.logpdf(grid, parameters[0], np.exp(parameters[1])))


# %%
fits = {}  # name: mu, sigma, value reached
for name, objective, start in (
    ("KL(q || p), started left", kl_q_p, -1.5),
    ("KL(q || p), started right", kl_q_p, 1.5),
    ("KL(p || q)", kl_p_q, 0.0),
):
    best = minimize(objective, [start, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12})
    fits[name] = best.x[0], np.exp(best.x[1]), best.fun
    print("{:26} mu {:5.2f}, sigma {:.2f}, value reached {:.3f} nats".format(name, *fits[name]))

# %%
figure, ax = plt.subplots(figsize=(7.5, 3.2))
ax.fill_between(grid, np.exp(log_p_of_width(0.6)), color="0.85", label="p, two humps")
for (name, (centre, width, _)), style in zip(fits.items(), ("-", "--", ":"), strict=True):
    ax.plot(grid, norm.pdf(grid, centre, width), style, label=name)
ax.plot(grid, norm.pdf(grid, -0.5, 1.7), "-.", lw=1, color="black", label="across, N(-0.5, 1.7²)")
ax.set(xlim=(-6, 6), ylim=(0, 0.75), xlabel="z", ylabel="density")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plotting.show(
    figure,
    "A density with a tall hump on the left and a low one on the right. The two fits by KL(q || p) each sit on one hump "
    "and leave out the other. The fit by KL(p || q) is one low, wide bell over both, with its top between them. A second wide "
    "bell, called across, lies a little to the right of it.",
)

# %% [markdown]
# With $\mathrm{KL}(p\,\Vert\,q)$ the best Gaussian has the mean and variance of $p$: set the derivatives of $\mathbb E_p[\log q]$ to zero. The mean is $0.7(-2) + 0.3(2) = -0.8$. In each hump $\mathbb E[z^2] = 0.6^2 + 2^2$, so the variance is $0.36 + 4 - 0.8^2 = 3.72$.
#
# With $\mathrm{KL}(q\,\Vert\,p)$ a fit on a hump of weight $w$ has $p \approx w\,q$ wherever $q$ has mass. So the log-ratio is about $\log\tfrac1w$: $\log\tfrac1{0.7}$ on the left, $\log\tfrac1{0.3}$ on the right. Which hump the search finds depends on the start. Is a fit on one hump always better than a wide one?
# We compare it with a wide Gaussian chosen by hand, $\mathcal N(-0.5, 1.7^2)$. It lies across the valley (dash-dotted in the figure). Then we make the humps narrower.

# %%
print("sd of a hump   on the right hump   across the valley")
on_hump, across = [], []
for s in (0.6, 0.4, 0.2):
    on_hump.append(kl_q_p([hump, math.log(s)], s))
    across.append(kl_q_p([-0.5, math.log(1.7)], s))
    print(f"{s:8.1f} {on_hump[-1]:18.2f} {across[-1]:19.2f} nats")

# %%
(_, _, left), (at, wide_as, right), (centre, width, _) = fits.values()
np.testing.assert_allclose([centre, width**2], [-0.4 * hump, 0.36 + 0.84 * hump**2], atol=1e-4)
np.testing.assert_allclose([left, right], -np.log([0.7, 0.3]), atol=0.01)
for i, j in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
    assert kl_q_p([at + i / 10, math.log(wide_as) + j / 10]) > right
assert across[0] < right < across[1] < across[2] / 4
print(
    "The right hump is a local minimum: for humps of sd 0.6 the KL across the valley is lower, for 0.4 and 0.2 higher."
)

# %% [markdown]
# The fit on the right hump is a *local* minimum: eight small changes of its mean and width all make it worse. For humps of standard deviation 0.6 the Gaussian across the valley is a little better, 1.16 against 1.20 nats. Narrower humps leave the valley emptier. At 0.2 the KL across it is 16.6 nats, and
# on the hump still $\log\tfrac1{0.3} = 1.20$.
#
# $\mathrm{KL}(q\,\Vert\,p)$ is called **mode-seeking**. It is large if $q$ has mass where $p$ has next to none. It is moderate if $q$ leaves a hump out: on a hump of weight $w$ it is only $\log\tfrac1w$.
# $\mathrm{KL}(p\,\Vert\,q)$ is called **mass-covering**. It is large if $q$ leaves a hump out, so its fit also fills the valley.
#
# A VAE uses the first direction, because its bound contains it ([lesson 05](05_jensen_elbo.ipynb)). There are two such KLs, with different second arguments:
#
# | the KL | compares $q(z\mid x)$ with | where it appears |
# |---|---|---|
# | $\mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z)\bigr)$ | the prior | a term of the loss; the subject of this lesson |
# | $\mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z\mid x)\bigr)$ | the true posterior of the decoder | the gap between the bound and $\log p(x)$ ([lesson 05](05_jensen_elbo.ipynb)); not computed in training |
#
# The *true posterior* $p(z\mid x)$ is the distribution of $z$ given $x$ that follows from prior and decoder by Bayes' rule. In the first KL, $q$ is the first argument. So a $q(z\mid x)$ that covers only a small part of the prior has a moderate KL. In the other direction the KL would be much larger.
#
# ## 7. Slips, and their numbers
#
# Here are five common slips, for one picture with $d = 20$ latents, all with $\mu = 0.8$, $\sigma = 0.5$. Beside them stands the value at $\mu = 0$, $\sigma = 1$, where the KL should be 0.


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

# %% [markdown]
# **At $\mu = 0$, $\sigma = 1$ all five are 0, like the KL.** The last two, `exp(log_var)` as sigma and the wrong direction, equal the KL for every $\mu$ if $\sigma = 1$. So test with $\mu \ne 0$ and $\sigma \ne 1$. Forgetting ½ and taking the mean give the right function times 2 and times $1/d$. That is a hidden weight, the β of Higgins et al. 2017, whose effect [lesson 07](07_training_a_vae.ipynb) measures.
# The wrong sign rewards distance from the prior. The wrong direction is a KL, but another one. With `exp(log_var)` taken for $\sigma$ the result is no KL at all: descent on it ends at another $\sigma$, with a value below zero.


# %%
def confused_loss(log_var):
    return slips(torch.zeros(1), log_var)["exp(log_var) as sigma"]


confused = descend(confused_loss, 0.5)[-1]
value = confused_loss(torch.tensor([2 * math.log(confused)])).item()
print(f"with exp(log_var) as sigma, descent ends at sigma {confused:.3f} and a 'KL' of {value:.3f} nats per latent")

# %%
assert all(value == 0 for value in at_rest.values())
assert all(abs(value - numbers["correct"]) > 1 for name, value in numbers.items() if name != "correct")
np.testing.assert_allclose(numbers["forgotten 1/2"], 2 * numbers["correct"])
np.testing.assert_allclose(numbers["mean over the latents"], numbers["correct"] / 20)
np.testing.assert_allclose(confused, 0.5**0.25, atol=1e-6)  # where 2 sigma^4 = 1
print("Five slips agree with the KL at mu = 0, sigma = 1, and not at mu = 0.8, sigma = 0.5.")

# %% [markdown]
# ## 8. Which distribution?
#
# **What does the loss pull?** It contains $\mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z)\bigr)$ of one picture at a time. So it pulls *each* $q(z\mid x)$ towards $\mathcal N(0, I)$.
#
# **What does sampling need?** To make new pictures we draw $z \sim \mathcal N(0, I)$ and decode. During training the decoder met draws from the $q(z\mid x)$ of all pictures. Their mixture is the *aggregated posterior*:
#
# $$q(z) = \mathbb E_x\bigl[q(z\mid x)\bigr].$$
#
# A decoder is good only where it met such draws, or near them. Sampling needs *the mixture* $q(z)$ near $\mathcal N(0, I)$.
#
# The mean $\mathbb E_x$ may be taken over all pictures that might come: new samples should be like those. Or it is taken over the $N$ pictures that we have, $q(z) = \frac1N\sum_{n=1}^N q(z\mid x_n)$, which we can compute. What follows holds for both, unless it mentions $N$.
#
# **How large is the difference?** In the average KL, multiply the fraction in the logarithm by $q(z)/q(z) = 1$:
#
# $$\begin{aligned}
# \mathbb E_x\bigl[\mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z)\bigr)\bigr] &= \mathbb E_x\int q(z\mid x)\,\log\Bigl[\frac{q(z\mid x)}{q(z)}\cdot\frac{q(z)}{p(z)}\Bigr]dz\\
# &= \mathbb E_x\int q(z\mid x)\,\log\frac{q(z\mid x)}{q(z)}\,dz \;+\; \int \underbrace{\mathbb E_x\bigl[q(z\mid x)\bigr]}_{q(z)}\,\log\frac{q(z)}{p(z)}\,dz\\
# &= I(x; z) \;+\; \mathrm{KL}\bigl(q(z)\,\Vert\,p(z)\bigr).
# \end{aligned}$$
#
# In the second line the last logarithm does not depend on $x$, so the mean over $x$ applies to $q(z\mid x)$ alone (Hoffman & Johnson 2016). $I(x; z)$ is the **mutual information** of picture and latents: the average KL between $q(z\mid x)$ and the mixture. It is zero only if
# all $q(z\mid x)$ are the same. We call $\mathrm{KL}(q(z)\,\Vert\,p(z))$ the **mismatch**. The loss contains the average KL. Sampling needs a small mismatch, for the mixture over all pictures that might come. The difference of the two is exactly $I(x; z)$.
#
# **Does the loss help sampling?** Both parts are KLs, so neither is negative, and
#
# $$\mathrm{KL}\bigl(q(z)\,\Vert\,p(z)\bigr) \;\le\; \mathbb E_x\bigl[\mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z)\bigr)\bigr], \qquad I(x;z) \;\le\; \mathbb E_x\bigl[\mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z)\bigr)\bigr].$$
#
# The average KL is an **upper limit on the mismatch**. So a small average KL guarantees a small mismatch. But a *falling* average KL does not: the mismatch may rise meanwhile. The average KL is also an **upper limit on the information** that the latents carry about the picture. It is called the *rate*, or the *price* of the latents.
# It limits the information but does not measure it. If an encoder gives every picture $\mathcal N(1, 1)$, the average KL is ½ nat, and the latents carry no information.
#
# We check the three terms, each in a separate way, on four pictures with one latent.


# %%
def log_aggregated_posterior(z, mu, log_var):
    """log q(z), with q(z) = 1/N sum_n N(z; mu_n, sigma_n^2): z (M, d), mu and log_var (N, d) -> (M,)."""
    log_each = log_normal(z[:, None], mu, log_var)  # (M, N)
    return log_each.logsumexp(1) - math.log(len(mu))  # log of the mean of exp


four_mu = torch.tensor([[-1.5], [-0.4], [0.3], [1.2]])  # four pictures, one latent: (4, 1)
four_log_var = 2 * torch.tensor([[0.3], [0.6], [0.4], [0.5]]).log()
z_grid = torch.linspace(-16, 16, 20_001)[:, None]  # (20001, 1)
mixture_integral = torch.trapezoid(log_aggregated_posterior(z_grid, four_mu, four_log_var).exp(), z_grid[:, 0])
print(f"q(z) integrates to {mixture_integral:.6f}")

# %% [markdown]
# The average KL comes from formula (5), and $\mathrm{KL}(q(z)\,\Vert\,p)$ from quadrature. For the information there is a second formula. Let $P(n\mid z)$ be the probability that $z$ belongs to picture $n$. By Bayes' rule $q(z\mid x_n)/q(z) = N\,P(n\mid z)$. So
# $I(x; z) = \mathbb E\bigl[\log\tfrac{q(z\mid x_n)}{q(z)}\bigr] = \log N + \mathbb E[\log P(n\mid z)]$. The last term is minus the mean entropy of $P(n\mid z)$, hence not positive. So the information is at most $\log N$.


# %%
def split(mu, log_var):
    """Average KL, mutual information and KL(q(z) || p) of N Gaussians (N, 1), the last two by quadrature."""
    log_q = log_aggregated_posterior(z_grid, mu, log_var)
    given_z = log_normal(z_grid[:, None], mu, log_var).softmax(1)  # P(n | z): (M, N)
    information = math.log(len(mu)) - torch.trapezoid(log_q.exp() * entropy(given_z), z_grid[:, 0])
    log_ratio = log_q - log_normal(z_grid, torch.zeros(1), torch.zeros(1))
    mismatch = torch.trapezoid(log_q.exp() * log_ratio, z_grid[:, 0])
    return kl_to_standard_normal(mu, log_var).mean().item(), information.item(), mismatch.item()


average, information, mismatch = split(four_mu, four_log_var)
same_for_all = split(torch.ones(4, 1), torch.zeros(4, 1))  # every picture has N(1, 1)
print(f"average KL {average:.4f} = information {information:.4f} + KL(q(z) || p) {mismatch:.4f} nats")
print("N(1, 1) for every picture: {:.2f} = {:.2f} + {:.2f} nats".format(*(abs(part) for part in same_for_all)))

# %%
narrower = Prediction(
    "The means stay, the Gaussians get narrower, from sigma 0.5 to 0.02. The average KL grows. What grows with it?",
    ["only the information", "both, but in the end only the mismatch", "only the mismatch"],
)
narrower.ask()

# %%
narrowing = torch.logspace(-1.7, 0.2, 50)
parts = np.array([split(four_mu, torch.full((4, 1), 2 * math.log(s))) for s in narrowing])  # (50, 3)
at_1, at_half, at_tenth, at_end = (parts[(narrowing - s).abs().argmin()] for s in (1, 0.5, 0.1, 0.02))
for name, row in (("1", at_1), ("0.5", at_half), ("0.1", at_tenth), ("0.02", at_end)):
    print("sigma near {:4}: average KL {:.2f}, information {:.2f}, mismatch {:.2f} nats".format(name, *row))
print(f"the mismatch is least near sigma {narrowing[parts[:, 2].argmin()]:.2f}")
early, late = at_tenth - at_half > 0.01, at_end - at_tenth > 0.01  # which of the three grew
narrower.reveal(narrower.choices[2 if not early[1] else 1 if early[2] and late[2] and not late[1] else 0])

# %%
np.testing.assert_allclose([mixture_integral, information + mismatch], [1, average], atol=1e-9)
np.testing.assert_allclose(parts[:, 0], parts[:, 1] + parts[:, 2], atol=1e-8)
assert (parts[:, 1:] >= 0).all()
assert (parts[:, 1:] <= parts[:, :1] + 1e-9).all()
assert parts[:, 1].max() <= math.log(4) + 1e-9
np.testing.assert_allclose(same_for_all, [0.5, 0, 0.5], atol=1e-9)
print("The average KL is the information plus the mismatch at every width, so neither part is larger than it.")

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.4))
ax.plot(narrowing, parts[:, 0], label="average KL, the price")
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
    "The mismatch is least somewhere below width 1 and rises again on the wide side. The average KL is above both throughout.",
)

# %% [markdown]
# The average KL is least at $\sigma = 1$, as in section 4. There the mixture is still too wide, since the means differ as well. Going left from 1, the average KL rises at once. The mismatch first falls, to its least value near $\sigma = 0.54$.
#
# Wide Gaussians overlap, so that $z$ carries little information about the picture. Narrower ones carry more, until $z$ identifies one of the four pictures. The information then stays at $\log 4$ nats, and every further nat is mismatch. The mixture has become
# four spikes with holes between them, like the plain autoencoder's plane of [lesson 01](01_autoencoder.ipynb). With more pictures the limit is higher (sections 10 and 11).
#
# The loss pulls each $q(z\mid x)$ towards $\mathcal N(0, I)$, but we do not want it to arrive there. Then the KL would be 0, and so would the information. This is *posterior
# collapse* ([lesson 07](07_training_a_vae.ipynb)).
#
# Why pull towards the prior at all? New pictures are made from its draws. And with this KL the loss bounds $\log p(x)$, as [lesson 05](05_jensen_elbo.ipynb) shows.
#
# ## 9. Correlated coordinates (optional)
#
# With **full covariances** $\Sigma = LL^\top$ ($L$ lower triangular, [lesson 02](02_gaussian_sampling.ipynb)) $L_p$ takes the place that $\sigma_p$ has in section 5. Then $u = L_p^{-1}(z - \mu_p)$ turns $p$ into $\mathcal N(0, I)$ and $q$ into $\mathcal N(m, S)$ with
#
# $$m = L_p^{-1}(\mu_q - \mu_p), \qquad S = MM^\top, \qquad M = L_p^{-1}L_q .$$
#
# In line (3), $\sigma^2$ becomes the matrix $S$ and $\log\sigma^2$ becomes $\log\det S$: $\tfrac12\bigl[u^\top u - (u - m)^\top S^{-1}(u - m) - \log\det S\bigr]$. For the means we need the **trace trick**. A number is its own trace, and $\operatorname{tr}(AB) = \operatorname{tr}(BA)$. So
#
# $$\mathbb E\bigl[(u-m)^\top S^{-1}(u-m)\bigr] = \mathbb E\bigl[\operatorname{tr}\bigl(S^{-1}(u-m)(u-m)^\top\bigr)\bigr] = \operatorname{tr}\bigl(S^{-1}\,\underbrace{\mathbb E[(u-m)(u-m)^\top]}_{S}\bigr) = \operatorname{tr} I = d,$$
#
# because a trace is a sum, and the mean of a sum is the sum of the means. In the same way $\mathbb E[u^\top u] = \operatorname{tr}\mathbb E[uu^\top] = \operatorname{tr}(mm^\top + S) = m^\top m + \operatorname{tr} S$. Together:
#
# $$\mathrm{KL} = \tfrac12\bigl[m^\top m + \operatorname{tr} S - d - \log\det S\bigr], \qquad \operatorname{tr} S = \sum_{ij} M_{ij}^2, \qquad \log\det S = 2\sum_i\log M_{ii}.$$
#
# The last two hold because $\operatorname{tr} MM^\top$ adds all squares, and because $M$ is triangular: its determinant is the product of its diagonal, which is positive.


# %%
def kl_normal_full(mu_q, scale_tril_q, mu_p, scale_tril_p):
    """KL(q || p) of two Gaussians in nats: mu (..., d), scale_tril (..., d, d) with covariance L L^T -> (...)."""
    m = torch.linalg.solve_triangular(scale_tril_p, (mu_q - mu_p)[..., None], upper=False)[..., 0]  # (..., d)
    M = torch.linalg.solve_triangular(scale_tril_p, scale_tril_q, upper=False)  # (..., d, d)
    log_det = 2 * M.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return 0.5 * (m.square().sum(-1) + M.square().sum((-2, -1)) - m.shape[-1] - log_det)


correlated = torch.tensor([[1.0, 0.0], [0.8, 0.6]])  # L L^T = [[1, 0.8], [0.8, 1]]
at_zero = kl_normal_full(torch.zeros(2), correlated, torch.zeros(2), torch.eye(2))
by_hand_full = -0.5 * math.log(1 - 0.8**2)  # m = 0, trace = d = 2, det = 1 - 0.8^2
print(f"correlation 0.8 against N(0, I): {at_zero:.3f} nats, by hand {by_hand_full:.3f}")

# %% [markdown]
# The variances are 1. The correlation alone makes half a nat. Now we compare five random pairs with PyTorch's formula.

# %%
generator = torch.Generator().manual_seed(SEED)
lengths = 0.5 + torch.rand(2, 5, 3, generator=generator)  # the diagonals, positive
L_q, L_p = torch.randn(2, 5, 3, 3, generator=generator).tril(-1) + torch.diag_embed(lengths)  # each (5, 3, 3)
pairs = kl_divergence(MultivariateNormal(mu_q, scale_tril=L_q), MultivariateNormal(mu_p, scale_tril=L_p))  # (5,)
values = kl_normal_full(mu_q, L_q, mu_p, L_p)
diagonal = kl_normal_full(mu_q, torch.diag_embed(sigma_q), mu_p, torch.diag_embed(sigma_p))
torch.testing.assert_close(values, pairs)
torch.testing.assert_close(diagonal, kl_normal(mu_q, log_var_q, mu_p, log_var_p))
np.testing.assert_allclose(at_zero, by_hand_full)
print("The full formula agrees with PyTorch's, and with the diagonal one where the covariances are diagonal.")

# %% [markdown]
# These checks concern the formula. We also check its derivation: the two means, without the trace trick, for the first pair. The three points $-\sqrt3, 0, \sqrt3$ with weights $\tfrac16, \tfrac23, \tfrac16$ give the exact mean of any polynomial up to degree 5 under $\mathcal N(0, 1)$ (Gauss–Hermite quadrature). In three dimensions that makes 27 points.
# The quadratic form differs from point to point; only its weighted mean is $d$.

# %%
points = torch.tensor([-math.sqrt(3), 0.0, math.sqrt(3)])
nodes = torch.cartesian_prod(points, points, points)  # (27, 3)
weights = torch.cartesian_prod(*[torch.tensor([1 / 6, 2 / 3, 1 / 6])] * 3).prod(1)  # (27,)
q_full, p_full = (MultivariateNormal(m[0], scale_tril=L[0]) for m, L in ((mu_q, L_q), (mu_p, L_p)))
z = mu_q[0] + nodes @ L_q[0].T
quadratic = ((z - mu_q[0]) @ torch.linalg.inv(L_q[0] @ L_q[0].T) * (z - mu_q[0])).sum(1)  # (z - mu)^T Sigma^-1 (z - mu)
log_ratios = q_full.log_prob(z) - p_full.log_prob(z)
print(f"the quadratic form: from {quadratic.min().abs():.0f} to {quadratic.max():.0f}, mean {weights @ quadratic:.3f}")
print(f"mean of log q - log p {weights @ log_ratios:.3f}, by the formula {values[0]:.3f} nats")

# %%
torch.testing.assert_close(weights @ quadratic, torch.tensor(3.0))
torch.testing.assert_close(weights @ log_ratios, values[0])
print("By quadrature, the mean of the quadratic form is d, and the mean log-ratio is the formula's KL.")

# %% [markdown]
# ## 10. The same price, three encoders (optional)
#
# Here is a case of section 8 in closed form, for all pictures that might come. "Pictures" are numbers $x \sim \mathcal N(0, 1)$, and the encoder is $q(z\mid x) = \mathcal N(ax, s^2)$. Then $z = ax + s\varepsilon$ is Gaussian with variance $a^2 + s^2$, so $q(z) = \mathcal N(0, a^2 + s^2)$.
# Formula (5) with $\mathbb E[\mu^2] = a^2$ gives
#
# $$\underbrace{\tfrac12[a^2 + s^2 - 1 - \log s^2]}_{\text{average KL}} = \underbrace{\tfrac12\log\bigl(1 + \tfrac{a^2}{s^2}\bigr)}_{I(x;z)} + \underbrace{\tfrac12[a^2 + s^2 - 1 - \log(a^2 + s^2)]}_{\mathrm{KL}(q(z)\Vert p)} .$$
#
# With their factors, the logarithms on the right add up to $-\tfrac12\log s^2$. We check the average KL by quadrature over $x$, and the mismatch with PyTorch. For the information we use a third formula: it is the KL between the joint density $p(x)\,q(z\mid x)$ and the product $p(x)\,q(z)$. The ratio of these two densities is $q(z\mid x)/q(z)$.


# %%
def gaussian_split(a, s):
    average = 0.5 * (a**2 + s**2 - 1 - math.log(s**2))
    return average, 0.5 * math.log(1 + a**2 / s**2), 0.5 * (a**2 + s**2 - 1 - math.log(a**2 + s**2))


a, s = 0.7, 0.4


def kl_at(x):
    return norm.pdf(x) * kl_to_standard_normal(torch.tensor([a * x]), torch.tensor([math.log(s**2)])).item()


joint = torch.tensor([[1.0, 0.0], [a, s]])  # (x, z) = L (x, eps)
marginals = torch.diag(torch.tensor([1.0, math.sqrt(a**2 + s**2)]))
checks = [quad(kl_at, -12, 12)[0], kl_normal_full(torch.zeros(2), joint, torch.zeros(2), marginals).item()]
checks.append(kl_divergence(Normal(0.0, math.sqrt(a**2 + s**2)), Normal(0.0, 1.0)).item())
print("average KL {:.4f} = information {:.4f} + mismatch {:.4f} nats".format(*checks))
np.testing.assert_allclose(gaussian_split(a, s), checks)
np.testing.assert_allclose(checks[0], checks[1] + checks[2])

# %% [markdown]
# Now three encoders with **the same average KL, 1 nat**. In the first encoder the whole nat is information, in the second half of it, in the third nothing. From the wanted mismatch we compute the variance of $q(z)$,
# at most 1. Then we divide this variance into $a^2$ and $s^2$.


# %%
def encoder_for(information, mismatch):
    """(a, s) of the encoder with this mutual information and this KL(q(z) || p), both in nats."""
    v = 1.0  # variance of q(z)
    if mismatch > 0:
        v = brentq(lambda v: 0.5 * (v - 1 - math.log(v)) - mismatch, 1e-6, 1.0)
    s_squared = v * math.exp(-2 * information)  # from I = 1/2 log(v / s^2)
    return math.sqrt(v - s_squared), math.sqrt(s_squared)


# %%
same_price = [encoder_for(1, 0), encoder_for(0.5, 0.5), encoder_for(0, 1)]
covered = []
for a, s in same_price:
    reach = norm.ppf(0.995) * math.sqrt(a**2 + s**2)  # 99 % of q(z) lies within
    covered.append(norm.cdf(reach) - norm.cdf(-reach))
    print(f"a = {a:.2f}, s = {s:.2f}: z explains {a**2 / (a**2 + s**2):4.0%} of the variance of x;", end=" ")
    print(f"{covered[-1]:.1%} of prior samples fall where 99 % of q(z) lies")


# %%
def draw_encoders(encoders, alt):
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True)
    for ax, (a, s) in zip(axes, encoders, strict=True):
        ax.plot(line, norm.pdf(line, 0, math.sqrt(a**2 + s**2)), lw=6, alpha=0.5, color="C1", label="q(z), over all x")
        for x in (-1.5, -0.75, 0, 0.75, 1.5):
            ax.plot(line, norm.pdf(line, a * x, s), lw=1.2, color="C0", label="q(z|x), five x" if x == 0 else None)
        ax.plot(line, norm.pdf(line), ":", color="black", label="prior")
        average, information, mismatch = (abs(part) for part in gaussian_split(a, s))
        ax.set(xlim=(-3.5, 3.5), xlabel="z")
        ax.set_title(f"average KL {average:.2f} nats\n= I {information:.2f} + mismatch {mismatch:.2f}", fontsize=10)
    axes[0].set(ylabel="density")
    axes[2].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plotting.show(figure, alt)


draw_encoders(
    same_price,
    "Three panels, each with five bells q(z|x), their mixture q(z) and the prior. Left: five bells that overlap a little and whose "
    "mixture lies on the prior. Middle: bells closer together, mixture narrower than the prior. Right: one narrow "
    "bell for every x, and the mixture is that same bell. The mixture is over all x, not only the five. Above each, the same average KL of 1 nat, split differently.",
)

# %%
np.testing.assert_allclose([gaussian_split(*encoder)[0] for encoder in same_price], 1)
assert covered[0] > 0.98
assert covered[2] < 0.5
print("With one and the same average KL, over 98 % or under 50 % of the prior's samples fall where 99 % of q(z) lies.")

# %% [markdown]
# In the left encoder the mixture *is* the prior, and $z$ explains most of $x$. In the right one $z$ carries no information about $x$, and over half of the prior's samples fall where the decoder has hardly been. **The average KL is the same for both.**

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

# %%
assert all(abs(gaussian_split(a, s)[2]) < 1e-12 for a, s in on_prior)
assert spread > 1
print("With the mixture exactly on the prior, average KLs differ by more than a nat.")

# %%
draw_encoders(
    on_prior,
    "Three panels in which the mixture q(z) lies exactly on the prior. Left: every q(z|x) is the prior itself. "
    "Middle: five bells that overlap a good deal. Right: five narrow bells that hardly overlap. The average KL grows from 0 to 1.5 nats, all of it information.",
)

# %% [markdown]
# In all three, $q(z)$ is the prior. On the left every $q(z\mid x)$ equals the prior: posterior collapse. On the right each $q(z\mid x)$ is narrow, and yet the mismatch is zero. If the mixture is over all pictures that might come, narrow Gaussians can lie so densely that no holes are left.
#
# ## 11. Many latents, and the limit log N (optional)
#
# Now as many latents as a real VAE has, $d = 20$, and $N = 500$ pictures. Draw the means from $\mathcal N(0, 0.75)$ and give each picture the variance 0.25. Over infinitely many such pictures $q(z)$ would be $\mathcal N(0, 1)$ in each coordinate, and all of the average KL would be information (section 10).

# %%
finite = Prediction(
    "With these 500 pictures, how much of the average KL of about 14 nats is information about which picture it is?",
    ["all of it, within a nat", "about 10 nats", "less than 7 nats"],
)
finite.ask()

# %%
variance = 0.25  # of each picture's Gaussian, in every coordinate
generator = torch.Generator().manual_seed(SEED)
mu_n = math.sqrt(0.75) * torch.randn(500, 20, generator=generator)  # (N, d)
log_var_n = torch.full((500, 20), math.log(variance))
kl_n = kl_to_standard_normal(mu_n, log_var_n)  # (N,)
n = torch.randint(500, (2000,), generator=generator)  # 2,000 times a picture at random, and a z of it
z = sample_normal(mu_n[n], log_var_n[n], generator)  # (2000, d), draws of q(z)
log_q_z = log_aggregated_posterior(z, mu_n, log_var_n)
given_z = log_normal(z[:, None], mu_n, log_var_n).softmax(1)  # P(n | z): (2000, 500)
known = math.log(500) - entropy(given_z)  # its mean is the information; log_q_z is not used
ratio = log_normal(z, mu_n[n], log_var_n[n]) - log_q_z  # its mean is the information too
missed = log_q_z - log_normal(z, torch.zeros(20), torch.zeros(20))  # its mean is KL(q(z) || p)

# %%
print(f"average KL {kl_n.mean():.1f} nats")
rows = {
    "information": known,
    "mismatch": missed,
    "information + mismatch - average KL": known + missed - kl_n.mean(),
    "difference of two estimates of the information": known - ratio,
}
for name, draws in rows.items():
    print(f"{name:47} {draws.mean():6.3f} nats, standard error {draws.std() / math.sqrt(2000):.3f}")
print("the limit log N:", ", ".join(f"{math.log(n):.1f} for N = {n}" for n in (500, 4000, 60_000)))
finite.reveal(finite.choices[0 if known.mean() > kl_n.mean() - 1 else 2 if known.mean() < 7 else 1])

# %%
total_off, route_off = known + missed - kl_n.mean(), known - ratio
assert abs(total_off.mean()) < 5 * total_off.std() / math.sqrt(2000)
assert abs(route_off.mean()) < 0.05  # nats; few large values make up its mean, so its standard error is unsafe
assert known.max() <= math.log(500) + 1e-9
print("Information and mismatch, from separate routes, add up to the average KL within 5 standard errors.")

# %% [markdown]
# The information comes from the entropy of $P(n\mid z)$. It does not use our function for $\log q(z)$; the mismatch does use it. So their sum tests that function. The last row compares two estimates of the information: by $P(n\mid z)$, and by the mean of $\log q(z\mid x) - \log q(z)$. Its standard error is too small, since few large values make up the mean.
#
# The limit $\log N$ acts here. It depends on the number of pictures, not on the number of latents. A VAE whose average KL is 25 nats on 60,000 pictures has, over these pictures, a mismatch of at least $25 - 11 = 14$ nats, since $\log 60{,}000 = 11.0$. At least $e^{25}$ pictures would be needed for all 25 nats to be information.
#
# Is such a mismatch harmful? Not by itself. Over all pictures that might come, no such limit holds. In our example the mixture over all of them is exactly the prior. For sampling, this larger mixture should be near the prior. A decoder that draws well also *between* the training pictures' Gaussians may give good samples all the same.
# [Lesson 08](08_inside_the_latent_space.ipynb) measures these parts on a trained VAE.
#
# ## 12. Does the closed form make the loss less noisy? (optional)
#
# In closed form the KL term has no scatter. The whole loss may still scatter less with a sampled KL, because its scatter can cancel that of the reconstruction. Take a model in which all is known: $p(z) = \mathcal N(0, 1)$, $p(x\mid z) = \mathcal N(z, 1)$, one picture $x = 1$. The true posterior is $\mathcal N(\tfrac12, \tfrac12)$.
#
# Lesson 05's bound, the ELBO, is $\log p(x\mid z) - \mathrm{KL}$, averaged over $z \sim q$. We compare three ways to treat the KL, with the same draws:
#
# - "closed form": formula (5);
# - "sampled": $\log q(z) - \log p(z)$ at the drawn $z$;
# - "no score term": sampled, and the slope in $\mu$ leaves out the *score term*, the slope of $\log q(z)$ at fixed $z$ (Roeder et al. 2017).
#
# The score term has mean zero: $\int q\,\partial_\mu\log q\,dz = \partial_\mu\int q\,dz = \partial_\mu 1 = 0$. So the three ways agree on average, in the ELBO and in its slope.


# %%
def elbo_draws(mu, sigma, way):
    """The ELBO of x = 1 from one draw of z each, and its slope in mu: for all of `eps`, (M, 1) -> (M,), (M,)."""
    mu, zero = torch.full_like(eps, mu, requires_grad=True), torch.zeros(1)
    log_var = torch.tensor([2 * math.log(sigma)])
    z = mu + sigma * eps
    centre = mu.detach() if way == "no score term" else mu
    sampled = log_normal(z, centre, log_var) - log_normal(z, zero, zero)
    kl = kl_to_standard_normal(mu, log_var) if way == "closed form" else sampled
    elbo = log_normal(torch.ones(1), z, zero) - kl
    (slope,) = torch.autograd.grad(elbo.sum(), mu)
    return elbo.detach(), slope[:, 0]


# %%
eps = torch.randn(100_000, 1, generator=torch.Generator().manual_seed(SEED))
ways, scatter, shifts = ("closed form", "sampled", "no score term"), {}, []
print("standard deviation of one draw:         ELBO    slope in mu")
for name, mu_, sigma_ in (("true posterior", 0.5, 0.5**0.5), ("half as wide", 0.5, 0.5**1.5), ("far away", -1, 0.7)):
    draws = {way: elbo_draws(mu_, sigma_, way) for way in ways}
    for way in ways:
        scatter[name, way] = [part.std().item() for part in draws[way]]
        print("{:15} {:14} {:12.2f} {:14.2f}".format(name, way, *scatter[name, way]))
        for one, other in zip(draws[way], draws["closed form"], strict=True):
            shifts.append((one - other).mean().abs() / ((one - other).std() / math.sqrt(len(eps)) + 1e-12))

# %%
assert max(shifts) < 5  # all ways have the same mean
assert scatter["true posterior", "sampled"][0] < 1e-9 < 0.4 < scatter["true posterior", "closed form"][0]
for name in ("half as wide", "far away"):
    assert scatter[name, "closed form"][0] < 0.8 * scatter[name, "sampled"][0]
for name in ("true posterior", "half as wide", "far away"):  # the slope
    assert scatter[name, "sampled"][1] > 1.9 * scatter[name, "closed form"][1]
assert scatter["true posterior", "no score term"][1] < 1e-9
assert scatter["far away", "no score term"][1] < 0.1 * scatter["far away", "closed form"][1]
assert scatter["half as wide", "no score term"][1] > 2 * scatter["half as wide", "sampled"][1]
print("At the true posterior the sampled ELBO has no scatter; at two other q's the closed form has less.")
print("In the slope in mu, the sampled KL has over 1.9 times the closed form's scatter, at all three.")

# %% [markdown]
# First the ELBO itself. At the true posterior every draw of the sampled one equals $\log p(x)$, while the closed form leaves the scatter of the reconstruction. At the two other $q$ the closed form scatters less.
#
# Training uses slopes. In this model a sampled KL doubles the scatter of the slope in $\mu$, at the true posterior too. At the true posterior this slope has no scatter only if the score term is left out. Without that term the slope is a constant plus $(1/\sigma - 2\sigma)\varepsilon$; in closed form it is a constant minus $\sigma\varepsilon$. So the slope without the score term scatters less than the closed form's only for $0.58 < \sigma < 1$. The slope in $\sigma$ was not measured.
#
# Which case is a VAE? We measure the ELBO of 200 held-out digits before and after a short training.


# %% tags=["nbval-ignore-output"]
from vae_lessons.data import digits
from vae_lessons.models import VAE
from vae_lessons.training import fit

(x_train, _), (x_held, _) = digits()
x_train, x_held = (x_train > 0.5).float(), (x_held[:200] > 0.5).float()
torch.manual_seed(SEED)
vae = VAE(n_latents=10, hidden=(100,)).float()


@torch.no_grad()
def elbo_scatter():
    """Standard deviation of each picture's ELBO over 100 draws of z: with the closed form, and with a sampled KL."""
    mu, log_var = (part.expand(100, 200, 10) for part in vae.q_z_given_x(x_held))
    z = sample_normal(mu, log_var, torch.Generator().manual_seed(SEED))
    log_p = vae.log_p_x_given_z(x_held, z)  # (100, 200)
    return log_p.std(0), (log_p - log_normal(z, mu, log_var) + log_normal(z, torch.zeros(10), torch.zeros(10))).std(0)


before = elbo_scatter()
fit(vae, lambda x: {"loss": -vae.elbo(x).elbo.mean()}, x_train, epochs=6, lr=3e-3, seed=SEED, progress=False)
after = elbo_scatter()
for name, (closed, sampled) in (("untrained", before), ("trained", after)):
    print(f"{name:9}: closed form {closed.mean():.2f} nats, sampled {sampled.mean():.2f};", end=" ")
    print(f"sampled is lower for {(sampled < closed).double().mean():.0%} of the pictures")

# %%
assert (before[1] < before[0]).double().mean() < 0.45
assert (after[1] < after[0]).double().mean() > 0.8
print("Untrained, the closed form scatters less for most pictures; trained, the sampled KL does for over 80 %.")

# %% [markdown]
# Before training the two scatter nearly alike. After six epochs the loss with a sampled KL scatters less, for most pictures. A likely reason is that $q$ is then nearer to the true posterior. We tried one small VAE; how near $q$ is, and the slope, were not measured.
#
# ## 13. When the KL is a real length (optional)
#
# Take two symbols, with $q = (0.9, 0.1)$ and $p = (0.6, 0.4)$. Each symbol needs one bit, so the right and the wrong code are the same. Yet the KL is 0.33 bits. The extra length appears in *blocks*: give each row of $n$ symbols one codeword.
# Its length is $-\log_2$ of the row's probability, rounded up. Such a code exists (Shannon 1948). Rounding adds less than one bit to a block, so less than $\tfrac1n$ to a symbol.


# %%
def bits_per_symbol(rare, n):
    """Mean bits per symbol, with words for blocks of n made for a second symbol of probability `rare`; in truth 0.1."""
    count = np.arange(n + 1)  # of the second symbol in the block
    lengths = np.ceil(-count * np.log2(rare) - (n - count) * np.log2(1 - rare))
    return binom.pmf(count, n, 0.1) @ lengths / n


two_symbols = (kl(torch.tensor([0.9, 0.1]), torch.tensor([0.6, 0.4])) / math.log(2)).item()
extra = {n: bits_per_symbol(0.4, n) - bits_per_symbol(0.1, n) for n in (2, 10, 100, 1000)}
for n, bits in extra.items():
    print(f"blocks of {n:4}: {bits:.3f} bits more per symbol; KL {two_symbols:.3f} bits")

# %%
assert all(abs(bits - two_symbols) < 1 / n for n, bits in extra.items())
print("In blocks of n symbols, the extra length per symbol is the KL, up to 1/n.")

# %% [markdown]
# ## Easy to forget
#
# - The KL is *summed* over latents and averaged over pictures. Its unit is nats per picture.
# - The expectation is under the first argument.
# - The second number of $\mathcal N(\mu, \cdot)$ may be $\sigma$ or $\sigma^2$ in other notes. The code here holds $\log\sigma^2$.
# - A sampled KL may be negative, an exact one never.
# - A small KL is not a good sign by itself. Find out how much information the latents still carry.
# - Test a KL formula with $\mu \ne 0$ and $\sigma \ne 1$.
#
# ## Summary
#
# - KL = cross-entropy − entropy: the extra nats per symbol for using $p$'s code on symbols from $q$, in long blocks. Never negative, zero only for $p = q$, not symmetric.
# - For the encoder's output: $\tfrac12\sum(\mu^2 + \sigma^2 - 1 - \log\sigma^2)$.
# - *"As wide as possible"* holds for the entropy alone. The KL pulls $\mu$ to 0 with strength $\mu$, and $\sigma$ to exactly 1 from both sides.
# - *Which distribution?* The loss pulls each $q(z\mid x)$. Sampling needs the mixture $q(z)$, over all pictures that might come, near $\mathcal N(0, I)$. The difference is the information: average KL = $I(x; z)$ + $\mathrm{KL}(q(z)\,\Vert\,p)$.
# - Neither part is negative. So the average KL is an upper limit on the mismatch and on the information, and a measure of neither. With $N$ pictures the information is also at most $\log N$.
# - If every $q(z\mid x)$ is the prior, the KL is 0 and the latents carry no information.
#
# **Back:** [03 · The reparametrization trick](03_reparametrization.ipynb). **Next:** [05 · Jensen's inequality and the ELBO](05_jensen_elbo.ipynb)
#
# ## Try it
#
# 1. Move the humps of section 6 closer, with `hump = 1.0`. Does the fit that starts on the right still choose a hump? The claim after the table then stops with an error, because it belongs to `hump = 2.0`. Find the distance below which the fit leaves the right hump.
# 2. In section 4 descend in $\sigma$ instead of $\log\sigma^2$, in a new cell, from 0.1 and from 5. Which start is now the slow one, and why?
# 3. $\frac{p(z)}{q(z)} - 1 - \log\frac{p(z)}{q(z)}$, averaged over $z\sim q$, also estimates the KL. Why is no draw of it ever negative? (Section 1 has the reason.) In a new cell, compare its scatter with section 3's for $\sigma = 0.9$. At $\sigma = 0.5$ its variance is infinite, since $\int p^2/q$ is
# finite only for $\sigma^2 > \tfrac12$: the standard deviation that you measure there means nothing.
# 4. In section 11 double the standard deviations, with `variance = 1.0`. Which of the two parts shrinks more? (The 14 nats in the question of section 11 belong to `variance = 0.25`.)
#
# **Exercise.** [Exercise 04](../work/ex04_kl_divergence.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Kullback & Leibler 1951, *On Information and Sufficiency*; Shannon 1948.
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*, section 2.3 and appendix B.
# - Roeder, Wu & Duvenaud 2017, *Sticking the Landing*.
# - Hoffman & Johnson 2016, *ELBO surgery*.
# - Higgins et al. 2017, *β-VAE*.
