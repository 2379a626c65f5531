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
# # 06 · Reconstruction losses: BCE, MSE and what they assume
#
# A VAE's loss has two terms. Lesson 04 took apart the KL. The other is usually called "reconstruction", and code on the web
# fills it with binary cross-entropy (BCE) or mean squared error (MSE), summed or averaged, seemingly as a matter of taste.
#
# **The question of this lesson: BCE or MSE, and does it matter?** Each wants to be $-\log p(x\mid z)$ for some distribution $p$. You will find out which,
# read off what it assumes about pixels, and see how a careless choice of *scale* makes a network forget smiles.
#
# *You need:* the ELBO ([lesson 05](05_jensen_elbo.ipynb)), the KL divergence ([lesson 04](04_kl_divergence.ipynb)). The models of sections 3, 7 and 8 are
# the black box of [lesson 01](01_autoencoder.ipynb). *Time:* 125 minutes to read and try, about 40 seconds to run.

# %%
import math
from functools import partial

from vae_lessons import data, plotting
from vae_lessons.distributions import kl_normal, kl_to_standard_normal, sample_normal
from vae_lessons.evaluation import LinearProbe
from vae_lessons.models import VAE, Elbo
from vae_lessons.training import fit, mean_terms, one_cycle
from vae_lessons.widgets import Prediction, explore

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from torch import distributions, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


# %% [markdown]
# This lesson is about the reconstruction term. The machine, with that part marked:

# %%
plotting.machine("reconstruction")

# %% [markdown]
# ## 1. A likelihood without a ground truth for $z$
#
# The loss is minus the ELBO:
#
# $$-\mathcal L(x) = \underbrace{\mathbb E_{q(z\mid x)}\bigl[-\log p(x\mid z)\bigr]}_{\text{reconstruction}} + \mathrm{KL}\bigl(q(z\mid x)\,\Vert\,p(z)\bigr).$$
#
# "The negative log-likelihood with respect to the encoder's distribution": how is that possible, when nobody knows the true $z$ of a picture? Read the term
# from the inside out. The decoder turns a $z$ into a *distribution over pictures*. We ask it for the probability of one picture, $x$ itself. **The target is $x$.** The encoder
# only says over which $z$ to average. No true $z$ appears, so none is needed.
#
# By hand: two pixels, $x = (1, 0)$, and one latent. The decoder answers $z$ with the log-odds $(2z, -2z)$. With $s(a) = 1/(1+e^{-a})$, the sigmoid, a Bernoulli pixel
# with log-odds $a$ is ink with probability $s(a)$ and paper with $1 - s(a) = s(-a)$. So each pixel adds $x\log s(a) + (1-x)\log s(-a)$:


# %%
def log_bernoulli(x, logits):
    """log p(x), (...), in nats, of pixels x (..., D) with log-odds `logits` (..., D): minus the binary cross-entropy."""
    return (x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).sum(-1)


picture = f64([1, 0])
at_half = log_bernoulli(picture, f64([1, -1]))  # z = 0.5 gives the log-odds (1, -1)
by_hand = 2 * np.log(1 / (1 + np.exp(-1)))
np.testing.assert_allclose(at_half, by_hand)
print(f"log p(x | z = 0.5): by hand {by_hand:.4f}, log_bernoulli {at_half:.4f} nats")

# %% [markdown]
# Now let the encoder say $q(z\mid x) = \mathcal N(0.5, 0.5^2)$. The expectation by quadrature, and by drawing $z$, as a VAE does:


# %%
def decoder(z, w=2.0):  # (...) -> (..., 2)
    return w * torch.stack([z, -z], -1)


def integrand(z):
    return (
        np.exp(-0.5 * ((z - 0.5) / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi)) * log_bernoulli(picture, decoder(f64(z)))
    )


exact = quad(integrand, -6, 7)[0]
z = 0.5 + 0.5 * torch.randn(10_000, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
draws = log_bernoulli(picture, decoder(z))  # (10000,)
standard_error = draws.std() / math.sqrt(len(draws))
assert abs(draws.mean() - exact) < 4 * standard_error
print(f"E[log p(x|z)] by quadrature {exact:.3f} nats; 10,000 draws agree within 4 standard errors")

# %% [markdown]
# A VAE takes one draw per picture and step: noisy, but right on average ([lesson 03](03_reparametrization.ipynb)).
#
# To see that $z$ has no truth of its own, turn the decoder round: $(-2z, 2z)$. Which mean $\mu$ should the encoder choose for our picture? We compute the
# ELBO for all $\mu$ on a grid, with $\sigma = 0.5$. Gauss–Hermite quadrature replaces the integral by a weighted sum over 40 nodes.

# %%
nodes, weights = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(40))
weights = weights / weights.sum()  # now they average over a standard normal
mus = torch.linspace(-3, 3, 601, dtype=torch.float64)
kl = kl_normal(mus[:, None], f64([math.log(0.25)]), f64([0]), f64([0]))  # (601,)
best = {}
for w in (2.0, -2.0):
    expected = log_bernoulli(picture, decoder(mus[:, None] + 0.5 * nodes, w)) @ weights  # (601,)
    best[w] = (expected - kl).max(0)
    print(f"decoder ({w:+.0f} z, {-w:+.0f} z): best mean {mus[best[w].indices]:+.2f}, ELBO {best[w].values:.3f} nats")
assert mus[best[2.0].indices] > 0.5
torch.testing.assert_close(mus[best[2.0].indices], -mus[best[-2.0].indices])
torch.testing.assert_close(best[2.0].values, best[-2.0].values)

# %% [markdown]
# The same picture, the same ELBO, opposite latents. Encoder and decoder make up the meaning of $z$ between them; only $x$ is given.
#
# **From logits, not from probabilities.** Why does the network put out log-odds, and why `logsigmoid`? Ordinary networks count in 32-bit floats. Let the
# decoder be very sure, rightly and wrongly, and compare with the textbook formula typed in literally.


# %%
def log_bernoulli_naive(x, logits):
    p = torch.sigmoid(logits)
    return (x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(-1)


naive, stable = {}, {}
for x, a in ((0.0, 10.0), (0.0, 20.0), (1.0, 20.0), (1.0, -200.0)):
    x32, a32 = torch.tensor([x]), torch.tensor([a])
    naive[x, a], stable[x, a] = log_bernoulli_naive(x32, a32).item(), log_bernoulli(x32, a32).item()
    print(f"x = {x:.0f}, log-odds {a:6.0f}: naive {naive[x, a]:7.2f}   from logits {stable[x, a]:7.2f}")
assert naive[0.0, 20.0] == -math.inf
assert math.isnan(naive[1.0, 20.0])
np.testing.assert_allclose(stable[1.0, -200.0], -200)
pytorch = binary_cross_entropy_with_logits(f64([1, -1]), picture, reduction="sum")
torch.testing.assert_close(pytorch, -at_half)

# %% [markdown]
# At log-odds 20 the sigmoid is exactly 1 in 32-bit floats, so $\log(1 - p)$ becomes $-\infty$. Worse in the third line: the pixel is *right*, yet $0 \cdot (-\infty)$ is "not a number", and one such pixel
# ends the training. From logits, $\log s(a) = -\log(1 + e^{-a})$ is evaluated as $a$ where $a$ is very negative; nothing overflows.
#
# For pixels that are 0 or 1, $-$`log_bernoulli` is an honest negative log-likelihood. It is also PyTorch's "binary cross-entropy" (last line).
#
# ## 2. Grey pixels: the floor
#
# Most pictures are grey. The formula accepts $x = 0.2$ as readily as 0 or 1. What does it say of a *perfect* prediction? We write
# $p$ for the prediction, the sigmoid of the logit.


# %%
def bce(x, p):
    """Binary cross-entropy, in nats, of one pixel each: target x, prediction p, of one shape."""
    return -log_bernoulli(x[..., None], torch.logit(p)[..., None])


grey = f64([0, 0.2, 0.4, 0.5, 0.8])
floors = bce(grey, grey.clamp(1e-12, 1))
for x, floor in zip(grey, floors, strict=True):
    print(f"target {x:.1f}, predicted {x:.1f}: BCE {floor:.3f} nats")
torch.testing.assert_close(floors, torch.special.entr(grey) + torch.special.entr(1 - grey), atol=1e-9, rtol=0)
searched = minimize_scalar(lambda p: bce(f64(0.2), f64(p)).item(), bounds=(0.01, 0.99), method="bounded")
np.testing.assert_allclose([searched.x, searched.fun], [0.2, floors[1]], atol=1e-5)

# %% [markdown]
# A perfect 0.2 costs 0.500 nats, a perfect 0.4 costs 0.673, a perfect 0.5 costs 0.693. The search confirms that nothing does better than predicting the target. Why this floor?
# Add and subtract $x\log x + (1-x)\log(1-x)$:
#
# $$\underbrace{-x\log p - (1-x)\log(1-p)}_{\text{BCE}} = \underbrace{-x\log x-(1-x)\log(1-x)}_{\text{entropy of the target}} + \underbrace{x\log\tfrac xp+(1-x)\log\tfrac{1-x}{1-p}}_{\mathrm{KL}(\mathrm{Bernoulli}(x)\,\Vert\,\mathrm{Bernoulli}(p))} .$$
#
# The floor belongs to the picture; only the KL depends on the network. So a value of 0.55 means a mediocre prediction for a pixel of 0.2 and cannot happen for one of 0.4.
# **BCE values of different pictures cannot be compared**, though the gradients are those of the KL alone: the floor spoils reports, not training.
#
# What shapes training is the price of an error.

# %%
direction = Prediction(
    "The pixel is 0.2. Which error costs more under BCE, above the floor?",
    ["predicting 0.1", "predicting 0.3", "both the same, within a tenth"],
)
direction.ask()

# %%
target, predicted = f64([0.2, 0.2, 0.5, 0.5, 0.02]), f64([0.1, 0.3, 0.4, 0.6, 0.12])
excess = bce(target, predicted) - bce(target, target)
kl = distributions.kl_divergence(distributions.Bernoulli(target), distributions.Bernoulli(predicted))
torch.testing.assert_close(excess, kl)
for row in zip(target, predicted, excess, strict=True):
    print("target {:.2f}, predicted {:.2f}: {:.4f} nats above the floor".format(*row))

# %%
low, high = excess[:2]
direction.reveal(direction.choices[2 if abs(low / high - 1) < 0.1 else 0 if low > high else 1])
assert low > 1.5 * high
assert excess[4] > 3 * excess[2]
print("Always an error of 0.1, and prices that differ more than threefold.")

# %% [markdown]
# Predicting 0.1 claims near-certainty and is punished for it. Near black or white an error costs several times what it costs in the middle. To second order the
# price of an error $e = p - x$ is
#
# $$\mathrm{KL} \approx \frac{e^2}{2\,x(1-x)},$$
#
# a squared error divided by twice the *variance* $x(1-x)$ of a Bernoulli. BCE treats grey as a coin: mid-grey is uncertain and may be missed, black and white may not. Whether that suits your pictures
# is a question about your pictures. For ink on paper, perhaps; for a dim photograph, hardly.

# %%
e = 1e-3
second_order = e**2 / (2 * target * (1 - target))
torch.testing.assert_close(bce(target, target + e) - bce(target, target), second_order, rtol=0.05, atol=0)
grid = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)
figure, ax = plt.subplots(figsize=(6, 3.4))
for x, style in ((0.2, "-"), (0.4, "--"), (0.5, ":")):
    ax.plot(grid, bce(torch.full_like(grid, x), grid), style, label=f"target {x}")
ax.plot(grid, bce(grid, grid), color="black", lw=1, label="floor: prediction = target")
ax.plot([0.2, 0.4, 0.5], floors[1:4], "o", color="black")
ax.set(xlabel="prediction p", ylabel="BCE (nats)", ylim=(0, 2))
ax.legend(ncols=2)
plotting.show(
    figure,
    "BCE against the prediction for targets 0.2, 0.4 and 0.5. Each curve touches the dome-shaped floor at its own "
    "target, at 0.50, 0.67 and 0.69 nats, and rises to both sides, the more steeply the nearer to 0 or 1.",
)

# %% [markdown]
# ## 3. The floor of a real digit
#
# MNIST is nearly black and white, so surely the floor is negligible there? Add it up over the 784 pixels of a digit.

# %%
(x_grey, _), (held_grey, _) = data.digits()
wide = held_grey.double()
floor_of_digit = (torch.special.entr(wide) + torch.special.entr(1 - wide)).sum(1)  # (1000,)
between = ((wide > 0) & (wide < 1)).double().sum(1).mean()
print(f"grey pixels in a digit: {between:.0f} of 784; floor: {floor_of_digit.mean():.1f} nats per picture")

# %%
share = Prediction(
    "A VAE is trained on grey digits with BCE. What share of its '-ELBO' on held-out digits is floor, out of any model's reach?",
    ["less than a tenth", "a tenth to a quarter", "more than a quarter"],
)
share.ask()


# %%
def train_digits(x, held_out, loss, n_latents=20):
    """A 784-256-d VAE, trained with loss(log p(x|z), kl) of each picture, and its held-out terms in nats per picture."""
    torch.manual_seed(SEED)
    vae = VAE(784, n_latents, hidden=(256,))

    def terms(batch):
        _, log_p_x_given_z, kl = vae.elbo(batch)
        return {"loss": loss(log_p_x_given_z, kl), "reconstruction": -log_p_x_given_z.mean(), "kl": kl.mean()}

    fit(vae, terms, x, epochs=10, lr=one_cycle(4e-3), seed=SEED)
    return vae, mean_terms(terms, held_out, seed=SEED)


def sum_and_sum(log_p_x_given_z, kl):
    return (-log_p_x_given_z + kl).mean()  # the mean is over the batch only


# %% tags=["nbval-ignore-output"]
grey_vae, grey_terms = train_digits(x_grey, held_grey, sum_and_sum)
floor_share = floor_of_digit.mean().item() / grey_terms["loss"]
print(f"reported '-ELBO' {grey_terms['loss']:.1f} nats, of which floor {floor_share:.0%}")

# %%
share.reveal(share.choices[0 if floor_share < 0.1 else 1 if floor_share < 0.25 else 2])
assert 0.25 < floor_share < 0.5
print("Over a quarter of the reported number is a property of the data, not of the model.")

# %% [markdown]
# So "our VAE reaches so many nats on MNIST" means nothing until you know whether the digits were grey.
# Making every pixel 0 or 1 by a threshold, as lesson 01 does, takes the floor away and makes BCE honest, on a different data set.
#
# ## 4. BCE on grey pixels is no log-likelihood
#
# There is a deeper fault. If grey values between 0 and 1 are possible, $p(x\mid z)$ must be a *density*: its integral over $x$ must be 1. With the prediction $\lambda = s(a)$ fixed, integrate $e^{-\mathrm{BCE}}$ over $x$:
#
# $$\int_0^1 \lambda^x(1-\lambda)^{1-x}\,dx = (1-\lambda)\int_0^1 e^{ax}\,dx = (1-\lambda)\,\frac{e^a-1}{a} = \frac{2\lambda-1}{a} .$$
#
# First step: $\lambda/(1-\lambda) = e^a$. Last: $(1-\lambda)e^a = \lambda$. For $\lambda = \frac12$, $a = 0$, the integrand is constant, so the integral is $\frac12$.

# %%
for p in (0.01, 0.2, 0.5001, 0.9):
    area = quad(lambda x, p=p: p**x * (1 - p) ** (1 - x), 0, 1)[0]
    closed = (2 * p - 1) / (math.log(p) - math.log(1 - p))
    print(f"prediction {p:.2f}: the integral of exp(-BCE) is {area:.3f}, in closed form {closed:.3f}")
    np.testing.assert_allclose(area, closed, rtol=1e-6)
    assert area < 0.501

# %% [markdown]
# Never 1, at most a half, and different from prediction to prediction. Divide by it and you have a density, the **continuous Bernoulli** (Loaiza-Ganem & Cunningham 2019). Its normaliser is
#
# $$C(\lambda) = \frac{a}{2\lambda-1} = \frac{2\operatorname{artanh}(1-2\lambda)}{1-2\lambda} = \frac{a}{\tanh(a/2)}, \qquad C(\tfrac12) = 2,$$
#
# because $2\lambda - 1 = \tanh(a/2)$. At $a = 0$ a computer finds $0/0$, and close to it differences of nearly equal numbers. There we use the Taylor series
# $\log C = \log 2 + \frac{a^2}{12} - \frac{7a^4}{1440} + \frac{31a^6}{90720} - \dots$ The doubled `where` in the code keeps the $0/0$ out of the gradient, too.


# %%
def log_continuous_bernoulli(x, logits):
    """Log-density (...), in nats, of pixels x (..., D) in [0, 1]: log_bernoulli plus the log of its normaliser."""
    x, logits = torch.broadcast_tensors(x, logits)  # so that each pixel gets its normaliser
    near_zero = logits.abs() < 0.1
    a = torch.where(near_zero, torch.ones_like(logits), logits)  # any value that is safe
    far = torch.log(a / torch.tanh(a / 2))
    square = torch.where(near_zero, logits, torch.zeros_like(logits)) ** 2
    near = math.log(2) + square / 12 - 7 * square**2 / 1440 + 31 * square**3 / 90720
    return log_bernoulli(x, logits) + torch.where(near_zero, near, far).sum(-1)


# %%
for a in (-8.0, -0.11, -0.09, 0.0, 1e-6, 3.0):
    area = quad(lambda x, a=a: log_continuous_bernoulli(f64([x]), f64([a])).exp().item(), 0, 1)[0]
    np.testing.assert_allclose(area, 1, rtol=1e-10)
a = torch.linspace(-9, 9, 37, dtype=torch.float64)[:, None].requires_grad_()
ours = log_continuous_bernoulli(f64([0.3]), a)  # (37,)
theirs = distributions.ContinuousBernoulli(logits=a[:, 0]).log_prob(f64(0.3))
torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
assert (ours - log_bernoulli(f64([0.3]), a) >= math.log(2)).all()  # C is at least 2
(slope,) = torch.autograd.grad(ours.sum(), a)
assert slope.isfinite().all()
np.testing.assert_allclose(slope[18, 0], 0.3 - 0.5, atol=1e-12)  # at a = 0: target minus the mean 1/2
print("Integrates to 1 on both sides of the switch and at 0; equals torch.distributions; the gradient at 0 is finite.")

# %% [markdown]
# Two warnings. $\lambda$ is **not its mean**. The density is $e^{ax}$ up to a constant, so its mean is the derivative of $\log\int_0^1 e^{ax}dx = \log\frac{e^a-1}{a}$:
#
# $$\text{mean} = \frac{1}{1-e^{-a}} - \frac1a .$$
#
# Show the mean as the picture, not the sigmoid. And the price of the repair is visible: compare what BCE and the density say of the *same* decoder.


# %%
def mean_continuous_bernoulli(logits):
    near_zero = logits.abs() < 1e-3
    a = torch.where(near_zero, torch.ones_like(logits), logits)
    return torch.where(near_zero, 0.5 + logits / 12, -1 / torch.expm1(-a) - 1 / a)


# %%
for p in (0.2, 0.5, 0.9):
    a = torch.logit(f64(p))
    by_quadrature = quad(lambda x, a=a: x * log_continuous_bernoulli(f64([x]), a[None]).exp().item(), 0, 1)[0]
    np.testing.assert_allclose(mean_continuous_bernoulli(a), by_quadrature, atol=1e-9)
    print(f"lambda {p}: mean {by_quadrature:.3f}")

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    logits = grey_vae.decoder(grey_vae.q_z_given_x(held_grey)[0]).double()
    as_bce, as_density = log_bernoulli(wide, logits).mean(), log_continuous_bernoulli(wide, logits).mean()
print(f"minus BCE {as_bce:.0f}, log-density {as_density:.0f} nats per picture")

# %%
assert as_bce < 0 < as_density
assert as_density - as_bce > 784 * math.log(2)
print(f"The normalisers add more than 784 log 2 = {784 * math.log(2):.0f} nats: even the sign changes.")

# %% [markdown]
# Since $C \ge 2$, the difference is at least 543 nats for 784 pixels, what 784 coin flips cost in lesson 01. The number is not a
# correction to quote for a BCE-trained network: its $\lambda$ was fitted as if it were the mean. To report densities, train with the density.
#
# ## 5. Outside [0, 1]
#
# "Normalise to [0, 1]" is not cosmetic. A habit from classifiers is to *standardise*: subtract the mean, divide by the standard deviation. For one pixel $x$, with $\log s(a) = a + \log s(-a)$,
#
# $$\mathrm{BCE} = -xa - \log s(-a) = \log(1+e^a) - xa \;\approx\; \begin{cases}(1-x)\,a & a \text{ large and positive,}\\ -x\,a & a \text{ large and negative.}\end{cases}$$
#
# For $x > 1$ the first line falls without end as $a \to \infty$. For $x < 0$ the second does, as $a \to -\infty$: there it is $-|x|\,|a|$. Either way there is no best prediction.

# %%
standardised = (wide - x_grey.double().mean()) / x_grey.double().std()
outside = ((standardised < 0) | (standardised > 1)).double().mean()
print(f"standardised digits run from {standardised.min():.1f} to {standardised.max():.1f}; {outside:.0%} are outside")
assert outside > 0.8
assert (standardised[wide == 0] < 0).all()  # all the paper

# %%
x = f64([2, 2, 2, -0.4, -0.4, -0.4])
a = f64([10, 100, 1000, -10, -100, -1000]).requires_grad_()
loss = binary_cross_entropy_with_logits(a, x, reduction="none")
(slope,) = torch.autograd.grad(loss.sum(), a)
for row in zip(x.tolist(), a.tolist(), loss.tolist(), slope.tolist(), strict=True):
    print("x = {:4.1f}, logit {:6.0f}: BCE {:8.1f}, slope {:5.2f}".format(*row))
assert (slope[:3] <= -0.99).all()  # on and on upwards
assert (slope[3:] >= 0.39).all()  # on and on downwards

# %%
density = log_continuous_bernoulli(x[:, None], a[:, None])  # (6,)
assert density[2] > 900
assert density[5] > 300
print("The continuous Bernoulli's log-density grows without end just the same.")

# %% [markdown]
# PyTorch does not complain, the loss "improves" for ever, and the slope never comes to rest. The cure is to scale by the range that pixels *can* have (0 to 255), not by what each picture happens to
# contain, or to take a likelihood that lives on all real numbers. That is the next one.
#
# ## 6. Squared error is a Gaussian, and its σ is β
#
# Let each pixel be Gaussian around the decoder's prediction $m$, with one standard deviation $\sigma$ for all. For $D$ pixels, with SSE the *sum* of squared errors,
#
# $$-\log p(x\mid z) = \sum_{i=1}^D\Bigl[\frac{(x_i-m_i)^2}{2\sigma^2} + \tfrac12\log(2\pi\sigma^2)\Bigr] = \frac{\mathrm{SSE}}{2\sigma^2} + \frac D2\log(2\pi\sigma^2).$$
#
# For fixed $\sigma$ the last part is a constant. $\sigma^2 = \frac12$ leaves SSE; $\sigma^2 = 1$ leaves ½ SSE. Whoever writes "sum of squares + KL" has chosen $\sigma = 0.71$ for pixels
# between 0 and 1, said or not. By hand: two pixels, errors 0.3 and −0.1, SSE = 0.09 + 0.01 = 0.10.

# %%
x, m = f64([0.5, 0.2]), f64([0.2, 0.3])
sse = ((x - m) ** 2).sum()
for variance, factor in ((0.5, 1.0), (1.0, 0.5)):
    nll = -distributions.Normal(m, math.sqrt(variance)).log_prob(x).sum()
    constant = len(x) / 2 * math.log(2 * math.pi * variance)
    torch.testing.assert_close(nll, factor * sse + constant)
    print(f"variance {variance}: -log p = {nll:.4f} = {factor} SSE + {constant:.4f} nats")

# %% [markdown]
# **σ is β.** Multiply the loss $\frac{\mathrm{SSE}}{2\sigma^2} + \mathrm{KL}$ by $2\sigma^2$, which moves no minimum:
#
# $$\mathrm{SSE} + 2\sigma^2\,\mathrm{KL}, \qquad\text{so relative to SSE + KL:}\quad \beta = 2\sigma^2 .$$
#
# Higgins et al. 2017 made $\beta$, the weight of the KL, famous. **Relative to what?** Counted from $-\log p(x\mid z)$ + KL, each loss below has β = 1: it is minus the ELBO of a Gaussian with its own σ, up to
# a factor and a constant. Counted from SSE + KL, σ shows up as a β. "MSE + KL" averages the squares over the pixels, so $2\sigma^2 = D$.

# %%
D = 1024  # a picture of 32 x 32, as in section 8
for name, beta in (("1/2 SSE + KL", 2.0), ("SSE + KL", 1.0), ("MSE + KL", float(D)), ("100 SSE + KL", 0.01)):
    print(f"{name:13} beta {beta:7.2f} relative to SSE + KL; an ELBO (beta 1) with sigma {math.sqrt(beta / 2):6.2f}")
mean_square = nn.functional.mse_loss(m, x) + 3.0  # with a KL of 3 nats, and D = 2
torch.testing.assert_close(mean_square * 2, sse + 2 * 3.0)
assert math.sqrt(D / 2) > 22

# %% [markdown]
# "MSE + KL" tells the network that pixels between 0 and 1 have noise of $\sigma > 22$. Under so much noise nothing in the picture is worth a nat.
#
# What should σ be? It is a parameter of the likelihood, so let the likelihood choose. With SSE fixed, set the derivative to zero:
#
# $$\frac{d}{d\sigma}\Bigl[\frac{\mathrm{SSE}}{2\sigma^2} + D\log\sigma\Bigr] = -\frac{\mathrm{SSE}}{\sigma^3}+\frac D\sigma = 0 \;\Rightarrow\; \sigma^2 = \frac{\mathrm{SSE}}{D} = \mathrm{MSE}, \qquad -\log p = \frac D2\bigl[\log(2\pi\,\mathrm{MSE}) + 1\bigr].$$

# %%
errors = 0.1 * torch.randn(D, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
mse = (errors**2).mean()


def cost_of_sigma(sigma):
    return -distributions.Normal(f64(0), sigma).log_prob(errors).sum().item()


found = minimize_scalar(cost_of_sigma, bounds=(0.01, 1), method="bounded", options={"xatol": 1e-9})
np.testing.assert_allclose(found.x**2, mse, rtol=1e-5)
np.testing.assert_allclose(found.fun, D / 2 * (math.log(2 * math.pi * mse) + 1))
print("The best sigma^2 is the mean squared error, and the cost there is the closed form.")

# %% [markdown]
# Here the mean square has its rightful place: inside a logarithm, multiplied by $D/2$. A tenth of the error is worth $D\log 10$ nats, *whatever it was*. That is also the danger of a learned σ. For pictures that can be redrawn perfectly it runs to 0, the density grows without end, and at an error of 0 the gradient is
# $0/0$: keep σ above a floor, say one grey level, 1/255. Constant pixels (a black border) shrink the common σ; a σ of their own would go to 0.

# %%
for scale in (1.0, 0.1, 0.01, 0.001):
    smaller = distributions.Normal(f64(0), scale * mse.sqrt())  # sigma follows the errors
    cost = -smaller.log_prob(scale * errors).sum()
    print(f"errors times {scale:5}: cost {cost:6.0f} nats")
    np.testing.assert_allclose(cost, found.fun + D * math.log(scale))

# %%
perfect = torch.zeros(D, dtype=torch.float64, requires_grad=True)
variance = (perfect**2).mean().detach()
cost = (perfect**2).sum() / (2 * variance) + D / 2 * torch.log(2 * math.pi * variance)
assert torch.autograd.grad(cost, perfect)[0].isnan().all()
bordered = torch.cat([errors, torch.zeros(3 * D, dtype=torch.float64)])  # a constant border: 64 x 64
torch.testing.assert_close((bordered**2).mean().sqrt(), mse.sqrt() / 2)
print("A constant border that makes 32 x 32 pictures 64 x 64 halves sigma: 2 sigma^2 is a quarter.")

# %% [markdown]
# So one can set $\sigma^2$ to the MSE of each batch while training (Rybkin et al. 2021). Must the gradient then pass through σ? No: at its optimum
# the cost does not change with σ to first order, so that part of the gradient is zero. The cell compares both.

# %%
gradients = []
for through_sigma in (True, False):
    free = errors.clone().requires_grad_()
    variance = (free**2).mean() if through_sigma else (free**2).mean().detach()
    cost = (free**2).sum() / (2 * variance) + D / 2 * torch.log(variance)
    gradients += torch.autograd.grad(cost, free)
torch.testing.assert_close(*gradients)
print("The same gradient, whether it passes through sigma or not.")


# %%
def gaussian_pixels(mean, log_sigma):  # (..., D) and one number -> a distribution over pictures
    normal = distributions.Normal(mean, log_sigma.exp(), validate_args=False)
    return distributions.Independent(normal, 1, validate_args=False)  # sums over the D pixels


class GaussianVAE(VAE):
    """A VAE with Gaussian pixels and one sigma for all: the RMS error of the batch in training, its average after."""

    def __init__(self, n_pixels=2304, n_latents=16, hidden=(256,)):
        super().__init__(n_pixels, n_latents, hidden)
        self.register_buffer("log_sigma", torch.tensor(0.0))  # saved with the model, not trained by gradient

    def p_x_given_z(self, z):
        return gaussian_pixels(torch.sigmoid(self.decoder(z)), self.log_sigma)

    def elbo(self, x):  # (B, D) -> the ELBO and its two terms, each (B,)
        if not self.training:
            return super().elbo(x)
        mu, log_var = self.q_z_given_x(x)
        mean = self.p_x_given_z(sample_normal(mu, log_var)).mean
        log_sigma = 0.5 * (x - mean).detach().pow(2).mean().log()
        self.log_sigma.lerp_(log_sigma, 0.05)  # a running average, for evaluation
        log_p_x_given_z = gaussian_pixels(mean, log_sigma).log_prob(x)
        kl = kl_to_standard_normal(mu, log_var)
        return Elbo(log_p_x_given_z - kl, log_p_x_given_z, kl)


# %%
torch.manual_seed(SEED)
small = GaussianVAE(n_pixels=16, n_latents=2, hidden=(8,)).double().train()
x = torch.rand(5, 16, dtype=torch.float64)
with torch.random.fork_rng():
    z = sample_normal(*small.q_z_given_x(x))  # with the noise that comes next: the z that elbo will draw
mse = (x - torch.sigmoid(small.decoder(z))).pow(2).mean()
torch.testing.assert_close(-small.elbo(x).log_p_x_given_z.mean(), 8 * (torch.log(2 * math.pi * mse) + 1))
torch.testing.assert_close(small.log_sigma, 0.05 * 0.5 * torch.log(mse))
print("In training, its cost is D/2 [log(2 pi MSE) + 1], and log sigma moves a twentieth of the way.")

# %% [markdown]
# ### The three losses in one picture
#
# Write each loss as a function of the *mean* $m$ that its distribution gives the pixel. Then all three slopes have one form,
#
# $$\frac{d}{dm}\bigl[-\log p(x)\bigr] = \frac{m-x}{V(m)},$$
#
# where $V$ is the variance that the distribution has at mean $m$: $m(1-m)$ for the Bernoulli, $\sigma^2$ for the Gaussian, and something between 0 and $\frac1{12}$ for the continuous Bernoulli, whose logit we have to look up from its mean.
# **The losses differ only in the variance they assume.** They agree on the optimum: for several pictures that share a $z$, the slopes add to zero at $m$ = their average. All three blur.

# %%
a = torch.linspace(-60, 60, 4000, dtype=torch.float64)  # logits of the continuous Bernoulli; none of them is 0
cb_mean = mean_continuous_bernoulli(a)


def three_losses(figure, target, sigma):
    left, right = figure.subplots(1, 2)
    m = np.linspace(0.02, 0.98, 193)
    cb_loss = -log_continuous_bernoulli(f64([target]), a[:, None]).numpy()  # (4000,)
    cb_slope = np.gradient(cb_loss, cb_mean.numpy())
    gauss = (m - target) ** 2 / (2 * sigma**2) + 0.5 * math.log(2 * math.pi * sigma**2)
    bernoulli = -target * np.log(m) - (1 - target) * np.log(1 - m)
    left.plot(m, bernoulli, label="BCE")
    left.plot(cb_mean, cb_loss, "--", label="cont. Bernoulli")
    left.plot(m, gauss, ":", label="Gaussian")
    right.plot(m, (m - target) / (m * (1 - m)), cb_mean, cb_slope, "--", m, (m - target) / sigma**2, ":")
    for ax, name, limits in ((left, "loss (nats)", (-3, 6)), (right, "slope (nats)", (-25, 25))):
        ax.axvline(target, color="0.6", lw=1)
        ax.set(xlabel="predicted mean", ylabel=name, xlim=(0, 1), ylim=limits)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    lowest = [-(target * math.log(target) + (1 - target) * math.log(1 - target)), cb_loss.min(), gauss.min()]
    return "Lowest loss: BCE {:.2f}, continuous Bernoulli {:.2f}, Gaussian {:.2f} nats.".format(*lowest)


# %% [markdown]
# Move the target. The floor of BCE rises and falls; the densities go below zero, which densities may. Now change σ: the Gaussian's slope becomes steep
# or flat *against the KL*, while all other losses stay where they are. At which σ does the Gaussian resemble the continuous Bernoulli?
#
# Where curves cross: left, the two densities rate this pixel alike; a crossing with BCE, no density, means nothing. Right, all slopes meet at zero, at the target; any other
# crossing is a mean at which two losses assume the same variance and push equally hard.

# %%
explore(
    three_losses,
    target=ipw.FloatSlider(description="target", value=0.2, min=0.05, max=0.95, step=0.05),
    sigma=ipw.FloatSlider(description="sigma", value=0.3, min=0.05, max=1, step=0.05),
    stills=[
        {"target": target, "sigma": sigma}
        for target, sigma in (
            (0.2, 0.3),
            (0.35, 0.3),
            (0.5, 0.3),
            (0.8, 0.3),
            (0.2, 0.5),
            (0.2, 0.7),
            (0.2, 0.2),
            (0.2, 0.1),
        )
    ],
    alt="Loss and slope against the predicted mean for one target pixel. All three losses are lowest, "
    "and all slopes cross zero, at the target. With sigma 0.3 the slopes of the Gaussian and the continuous Bernoulli run together "
    "around mid-grey; with sigma 0.7 the Gaussian is almost flat, with 0.1 the steepest just above the target. BCE's slope is "
    "flatter than the continuous Bernoulli's.",
    size=(5.8, 3.0),
)

# %% [markdown]
# Around mid-grey σ = 0.3 resembles the continuous Bernoulli ($\sqrt{1/12} = 0.29$). It crosses BCE's slope at 0.1 and 0.9, where $m(1-m) = 0.3^2$; between them BCE is the more forgiving. σ = 0.7 is nearly flat; at σ = 0.1 the slope grows fastest at the target. Now the formula by
# autograd, for the three losses with mean 0.4 and three targets whose average is 0.4. (For the continuous Bernoulli, the slope per logit, divided by dm/da, is the slope per mean.)

# %%
targets = f64([0.1, 0.2, 0.9])
root = brentq(lambda logit: mean_continuous_bernoulli(f64(logit)).item() - 0.4, -50, 50)
logits = f64([root] * 3).requires_grad_()
(slope,) = torch.autograd.grad(-log_continuous_bernoulli(targets[:, None], logits[:, None]).sum(), logits)
(dm_da,) = torch.autograd.grad(mean_continuous_bernoulli(logits).sum(), logits)
torch.testing.assert_close(slope / dm_da, (0.4 - targets) / distributions.ContinuousBernoulli(logits=logits).variance)
assert abs(slope.sum()) < 1e-9
print("Continuous Bernoulli: the slopes are (m - x) / V and cancel at the average.")

# %%
m = f64([0.4] * 3).requires_grad_()
for loss, V in ((bce(targets, m), 0.4 * 0.6), (-distributions.Normal(m, 0.3).log_prob(targets), 0.3**2)):
    torch.testing.assert_close(*torch.autograd.grad(loss.sum(), m), (0.4 - targets) / V)
m, x = f64([0.1, 0.9]).requires_grad_(), f64([0.2, 0.2])  # where BCE's slope and that of sigma = 0.3 cross
pushes = [torch.autograd.grad(cost.sum(), m)[0] for cost in (bce(x, m), -distributions.Normal(m, 0.3).log_prob(x))]
torch.testing.assert_close(*pushes)
variance = distributions.ContinuousBernoulli(logits=a).variance  # at every mean of the figure
assert (variance < cb_mean * (1 - cb_mean)).all()
np.testing.assert_allclose(variance.max(), 1 / 12, rtol=1e-3)
print("The other two likewise. The continuous Bernoulli's V is below the Bernoulli's, and at most 1/12.")

# %% [markdown]
# One point in favour of BCE. With a sigmoid output $m = s(a)$, $dm/da = m(1-m)$. It cancels BCE's variance and leaves the slope $m - x$ per logit; squared error keeps the
# factor. A pixel that is confidently wrong gets a full push from BCE and hardly any from the Gaussian:

# %%
logit = f64(-10).requires_grad_()  # says paper; the pixel is ink
(from_bce,) = torch.autograd.grad(-log_bernoulli(f64([1]), logit[None]), logit)
(from_square,) = torch.autograd.grad((1 - torch.sigmoid(logit)) ** 2, logit)
print(f"slope per logit: BCE {from_bce:.4f}, squared error {from_square:.6f}")
assert from_bce < -0.99
assert abs(from_square) < 1e-4

# %% [markdown]
# ## 7. Sum or mean: a β that nobody typed
#
# `binary_cross_entropy(...)` and `mse_loss(...)` average over everything by default. The KL is often averaged as well. With $R$ the sum over $D$ pixels and KL the sum over $d$ latents,
#
# $$\frac RD + \frac{\mathrm{KL}}d = \frac1D\Bigl(R + \frac Dd\,\mathrm{KL}\Bigr), \qquad\qquad \frac RD + \mathrm{KL} = \frac1D\,(R + D\,\mathrm{KL}).$$
#
# Dividing everything by one number should be harmless. Dividing the terms by different numbers sets $\beta = D/d$, or $\beta = D$. This β is relative to $R$ + KL, for BCE on ink minus the ELBO.

# %%
sizes = [(784, 20), (784, 2), (784, 200), (3 * 32 * 32, 128), (3 * 64 * 64, 128)]
for D, d in sizes:
    print(f"{D:6} pixels, {d:3} latents: mean/mean gives beta {D / d:6.2f}, mean/sum gives {D}")
logits = torch.randn(3, 784, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
ink = (logits > 0.5).double()
mean_bce = binary_cross_entropy_with_logits(logits, ink)  # what the default does: over pixels and batch
torch.testing.assert_close(mean_bce, -log_bernoulli(ink, logits).mean() / 784)
assert math.isclose(784 / 20, 39.2)

# %% [markdown]
# What does that do? VAEs on binarised digits, for 10 epochs each: the correct loss, both slips, and the first slip once more in a VAE with 200 latents, where β is only 3.92. As a control, 200 latents once more with *both*
# terms divided by 784. If that works, β does the damage, not the number of latents or the scale of the loss.


# %%
def mean_and_mean(log_p_x_given_z, kl, n_latents=20):
    return (-log_p_x_given_z / 784 + kl / n_latents).mean()


def mean_and_sum(log_p_x_given_z, kl):
    return (-log_p_x_given_z / 784 + kl).mean()


def both_by_784(log_p_x_given_z, kl):
    return ((-log_p_x_given_z + kl) / 784).mean()


# %%
slip = Prediction(
    "Both terms are averaged, over pixels and over 20 latents. After training, how large is a digit's KL, summed over the latents, in nats?",
    ["more than 10", "from 1 to 10", "less than 1"],
)
slip.ask()

# %% tags=["nbval-ignore-output"]
slips = {"sum and sum": sum_and_sum, "mean and mean": mean_and_mean, "mean and sum": mean_and_sum}
x_ink, held_ink = (x_grey > 0.5).float(), (held_grey > 0.5).float()
trained = {name: train_digits(x_ink, held_ink, loss) for name, loss in slips.items()}
wide_slip = partial(mean_and_mean, n_latents=200)
trained["mean, d = 200"] = train_digits(x_ink, held_ink, wide_slip, n_latents=200)
trained["/784, d = 200"] = train_digits(x_ink, held_ink, both_by_784, n_latents=200)
ink_rate = x_ink.mean(0).clamp(1e-3, 1 - 1e-3)  # how often each pixel is ink
average_cost = -log_bernoulli(held_ink, torch.logit(ink_rate)).mean().item()
print("held-out digits, nats per picture, always summed")
for name, (_, terms) in trained.items():
    print(f"{name:14} reconstruction {terms['reconstruction']:6.1f}   KL {terms['kl']:6.2f}")
print(f"without any network: the average digit as prediction costs {average_cost:.1f}")

# %%
kl, cost = ({name: terms[part] for name, (_, terms) in trained.items()} for part in ("kl", "reconstruction"))
slip.reveal(slip.choices[0 if kl["mean and mean"] > 10 else 1 if kl["mean and mean"] > 1 else 2])
assert kl["sum and sum"] > 15
assert cost["sum and sum"] < 130
for name in ("mean and mean", "mean and sum"):
    assert kl[name] < 0.1
    assert abs(cost[name] - average_cost) < 4
print("Correct: over 15 nats of KL, and digits under 130 nats. Both slips: under 0.1 nats of KL,")
print("and digits that cost what the average digit costs, within 4 nats.")

# %%
assert 1 < kl["mean, d = 200"] < 10
assert cost["sum and sum"] + 25 < cost["mean, d = 200"] < average_cost - 10
print("The slip with 200 latents: between 1 and 10 nats of KL, digits over 25 nats dearer than with the correct loss.")
assert kl["/784, d = 200"] > 15
assert cost["sum and sum"] + 5 < cost["/784, d = 200"] < cost["mean, d = 200"] - 30
print("The control, 200 latents, both terms / 784: over 15 nats of KL, digits over 30 nats cheaper than with the slip.")

# %% [markdown]
# The pictures show the mean of $p(x\mid z)$, the ink probabilities, at the encoder's mean $z$: nothing is sampled.

# %%
rows = [held_ink[:10]]
with torch.no_grad():
    rows += [torch.sigmoid(vae.decoder(vae.q_z_given_x(held_ink[:10])[0])) for vae, _ in trained.values()]
assert max(rows[2].std(0).max(), rows[3].std(0).max()) < 0.05
assert rows[1].std(0).max() > 0.4
figure, ax = plt.subplots(figsize=(9, 5.3))
plotting.images(torch.cat(rows), ax=ax, columns=10, row_labels=["held out", *trained])
plotting.show(
    figure,
    "Top row: ten held-out digits. Second row, sums: most digits redrawn recognisably. Third and fourth row, the two "
    "slips with 20 latents: the same grey cloud ten times, much like the average of all digits. Fifth row, the slip with 200 latents: smeared digits, "
    "some of them taken for another. Last row, the control with 200 latents: most digits recognisable again.",
)

# %% [markdown]
# With a β of 39.2 the latents carry no information about the picture: *posterior collapse* ([lesson 07](07_training_a_vae.ipynb) has milder forms of it, and cures). And nothing raises an error. The decoder does the best that is possible without a $z$: the average of the data, at the price of the average digit, which we computed without any network.
#
# Not every network dies of it. With 200 latents the slip is a β of 3.92: something is learned, the pictures come out blurry, and one blames VAEs. The control has as many latents and as small a loss, but
# β = 1, and the digits are back. (The many latents are not quite free: in this short training the control's digits cost over 5 nats more than those with 20.)
#
# ## 8. What survives: σ decides which facts are worth a nat
#
# Now the same knob under its other name. Take the faces of [lesson 00](00_start_here.ipynb), whose nine factors are known, and train the Gaussian VAE with σ fixed at 0.71 ("SSE + KL"), 0.5, 0.25, 0.1, and learned.
# The linear probe of lesson 00 reads the factors off the redrawn faces (the mean of $p(x\mid z)$ at the encoder's mean, as above).

# %%
survive = Prediction(
    "Trained with 'SSE + KL': of how many of the nine factors does a probe explain less than a fifth on redrawn held-out faces?",
    ["none", "one to three", "four or more"],
)
survive.ask()

# %% [markdown]
# Now a forecast by arithmetic. Suppose a factor moves the pictures along one direction with variance $\tau^2$ (the sum over pixels). A model that ignores it has to explain it as noise, $\mathcal N(0, \sigma^2)$;
# a model that keeps it can give that direction its true spread, $\mathcal N(0, \tau^2)$. The average gain is the KL divergence between the two,
#
# $$\text{gain} = \mathrm{KL}\bigl(\mathcal N(0,\tau^2)\,\Vert\,\mathcal N(0,\sigma^2)\bigr) = \tfrac12\Bigl[\frac{\tau^2}{\sigma^2}-1-\log\frac{\tau^2}{\sigma^2}\Bigr] \text{ nats per picture if } \tau^2>\sigma^2 .$$
#
# If $\tau^2 \le \sigma^2$ there is none: the decoder's noise is already wider than the factor (Tipping & Bishop 1999, for linear decoders; Lucas et al. 2019). We estimate each $\tau^2$ by regressing the pixels on the factors.


# %%
def gain(variance, sigma):
    ratio = max(variance / sigma**2, 1.0)
    return 0.5 * (ratio - 1 - math.log(ratio))


check = kl_normal(f64([0]), f64([math.log(0.6)]), f64([0]), f64([2 * math.log(0.1)]))
np.testing.assert_allclose(gain(0.6, 0.1), check)
faces, factors = data.faces(3000, seed=SEED, size=32)
held_faces, held_factors = data.faces(1000, seed=SEED + 1, size=32)
values = torch.stack(list(factors.values()), 1).double()  # (3000, 9)
values = (values - values.mean(0)) / values.std(0)
effects = torch.linalg.lstsq(values, faces.double() - faces.double().mean(0)).solution  # (9, 1024)
variances = dict(zip(factors, effects.pow(2).sum(1).tolist(), strict=True))
order = sorted(factors, key=variances.get)  # from the least to the most visible factor
print("the most visible factors:", ", ".join(sorted(order[-3:])))

# %% tags=["nbval-ignore-output"]
sigmas = (math.sqrt(0.5), 0.5, 0.25, 0.1)
print("gain in nats    variance" + "".join(f"  sigma {sigma:.2f}" for sigma in sigmas))
for name in order:
    print(f"{name:14} {variances[name]:9.2f}" + "".join(f"{gain(variances[name], sigma):12.2f}" for sigma in sigmas))

# %%
subtle = {"smile", "brows", "eye_distance", "shift_x"}
assert set(order[:4]) == subtle
assert max(gain(variances[name], sigmas[0]) for name in subtle) < 0.1
assert min(gain(variances[name], 0.1) for name in subtle) > 10
mean_over_pixels = math.sqrt(1024 / 2)
assert gain(max(variances.values()), mean_over_pixels) == 0
print(f"'MSE + KL', sigma {mean_over_pixels:.1f}: not even the background is worth anything.")
print("At sigma 0.71 a smile, brows, eye distance or shift is worth less than 0.1 nats; at 0.1, over 10.")


# %%
class FixedSigmaVAE(GaussianVAE):
    """The same VAE with a sigma that stays as given."""

    def __init__(self, sigma, **sizes):
        super().__init__(**sizes)
        self.log_sigma.fill_(math.log(sigma))

    def elbo(self, x):
        return VAE.elbo(self, x)  # sigma is not fitted to the batch


def train_faces(sigma):
    torch.manual_seed(SEED)
    sizes = {"n_pixels": 1024, "n_latents": 10, "hidden": (256,)}
    vae = GaussianVAE(**sizes) if sigma == "learned" else FixedSigmaVAE(sigma, **sizes)

    def terms(x):
        elbo, _, kl = vae.elbo(x)
        return {"loss": -elbo.mean(), "kl": kl.mean()}

    fit(vae, terms, faces, epochs=12, batch_size=64, lr=one_cycle(4e-3), seed=SEED)
    return vae, mean_terms(terms, held_faces, seed=SEED)


# %% tags=["nbval-ignore-output"]
probe = LinearProbe(faces, factors)
redrawn, r2, held = {}, {}, {}
for sigma in (*sigmas, "learned"):
    vae, held[sigma] = train_faces(sigma)
    with torch.no_grad():
        redrawn[sigma] = vae.p_x_given_z(vae.q_z_given_x(held_faces)[0]).mean
    r2[sigma] = probe.r2(redrawn[sigma], held_factors)
    rms = (redrawn[sigma] - held_faces).pow(2).mean().sqrt()
    spread = vae.log_sigma.exp()
    print(f"sigma {spread:.3f}: RMS error {rms:.3f}, KL {held[sigma]['kl']:.1f}, ELBO {-held[sigma]['loss']:.0f} nats")

# %%
lost = [name for name in factors if r2[sigmas[0]][name] < 0.2]
survive.reveal(survive.choices[0 if not lost else 1 if len(lost) < 4 else 2])
assert max(r2[sigma][name] for name in subtle for sigma in sigmas[:2]) < 0.2
assert min(r2[sigmas[0]][name] for name in ("skin", "hair", "background")) > 0.6
assert r2[sigmas[0]]["glasses"] < 0.3 < 0.8 < r2[0.25]["glasses"]
at_quarter, at_tenth = (sorted(r2[sigma][name] for name in subtle) for sigma in (0.25, 0.1))
assert at_quarter[0] < 0.5 < at_quarter[3]
assert at_tenth[1] > 0.7
assert min(r2["learned"].values()) > 0.85
assert all(held["learned"]["loss"] < held[sigma]["loss"] - 150 for sigma in sigmas)
print("'SSE + KL' keeps background, hair and skin, and hardly a trace of smile, brows, eye distance or shift.")
print("At 0.25 glasses are back, and some of the subtle four; at 0.1 all of these but at most one.")
print("Learned sigma: every factor above 0.85, and a held-out ELBO higher by more than 150 nats than with any other.")

# %%
table = np.array([[r2[sigma][name] for sigma in r2] for name in reversed(order)])  # (9, 5)
figure, ax = plt.subplots(figsize=(6.5, 4.6))
ax.imshow(table.clip(0, 1), cmap="cividis", vmin=0, vmax=1, aspect="auto")
for (i, j), value in np.ndenumerate(table):
    ax.text(j, i, f"{max(value, 0):.2f}", ha="center", va="center", color="black" if value > 0.5 else "white")
ax.set_yticks(range(9), [f"{name} ({variances[name]:.1f})" for name in reversed(order)])
ax.set_xticks(range(5), ["0.71\nSSE + KL", "0.5", "0.25", "0.1", "learned"])
ax.set(xlabel="σ of the pixels", ylabel="factor (its variance, summed over pixels)")
ax.set_title("$R^2$ of a linear probe on redrawn held-out faces")
ax.spines[:].set_visible(False)
plotting.show(
    figure,
    "A table of R2 with a row for each factor, the most visible on top, and a column for each sigma, from large to learned. "
    "Background, hair and skin are kept in every column. The bottom four, among them smile and brows, are at zero for 0.71 and "
    "0.5, mixed for 0.25, kept but for at most one for 0.1, and all above 0.85 in the learned column.",
)

# %% [markdown]
# Same network, same data, same number of steps. The first four differ in one constant, and it decides what the network knows about people.
#
# - At 0.71 the forecast is right about the factors worth less than 0.1 nats: they are lost. So are, mostly, the glasses, worth little there. It is too kind at 0.5 and 0.25: there the subtle factors are worth something, but this short
#   training finds none of them at 0.5, and some at 0.25.
#   At 0.1 every factor is worth over 10 nats, and with some seeds one is still missed: what fails there is not the loss but the short search. Change `SEED` and see.
# - The ELBOs may be compared because all constants are kept. Values of SSE / (2σ²) + KL without the constant could not.
# - The learned σ does not *prefer* detail; it follows the errors. As they shrink, σ shrinks, $2\sigma^2$ (the β relative to SSE + KL) with it, and finer things become worth their nats. It also
#   divides the gradient by the current MSE, so that it grows relative to the errors as they shrink. Try it 2 looks into that.

# %%
figure, ax = plt.subplots(figsize=(8, 5.4))
labels = ["held out", *(f"σ = {sigma:.2f}" for sigma in sigmas), "σ learned"]
plotting.images(
    torch.cat([held_faces[:9], *(part[:9] for part in redrawn.values())]), ax=ax, columns=9, row_labels=labels
)
plotting.show(
    figure,
    "Nine held-out faces in the top row, redrawn in five rows below, from sigma 0.71 to learned. At 0.71 and 0.5 skin, hair and "
    "background are right, but all mouths are alike and glasses are faint smudges; from row to row glasses, then expressions and "
    "brows return. With the learned sigma the drawings resemble the faces closely.",
)

# %% [markdown]
# So: **BCE or MSE?**
#
# | your pixels | take | because |
# |---|---|---|
# | 0 or 1 | Bernoulli (BCE) from logits | it is the likelihood |
# | grey, bounded | Gaussian with learned σ, or continuous Bernoulli | densities; comparable; no scale to guess |
# | grey, and you only want pictures | BCE works: same optimum | but report no nats, and know that it fixes for you what an error costs against the KL |
# | unbounded, standardised | Gaussian with learned σ | BCE has no minimum |
#
# ## Easy to forget
#
# - BCE on grey pixels has a floor that depends on the picture. Compare models on the same pictures, or subtract it.
# - $e^{-\mathrm{BCE}}$ integrates to at most ½ per grey pixel. Not a likelihood, so not part of an ELBO.
# - The continuous Bernoulli's $\lambda$ is not its mean.
# - The default reduction is `mean`. Sum over pixels and latents, average over the batch only.
# - A Gaussian log-density may be positive. Keep $\frac D2\log(2\pi\sigma^2)$, or σ cannot be learned: without it, larger is always better.
#
# ## Summary
#
# - The reconstruction term is $-\log p(x\mid z)$, averaged over the encoder's $z$. The target is $x$; no true $z$ is needed, and none exists.
# - A perfect 0.2 costs 0.500 nats of BCE and a perfect 0.4 costs 0.673. The floor is the target's entropy, the excess a KL; on grey digits the floor was over a quarter of the reported number.
# - The continuous Bernoulli mends BCE with $C = a/\tanh(a/2)$; outside [0, 1] nothing mends it.
# - Squared error is a Gaussian; relative to SSE + KL, $\beta = 2\sigma^2$; the best $\sigma^2$ is the mean squared error.
# - `mean`/`mean` multiplies the weight of the KL by $D/d$: at 784 pixels and 20 latents, 39.2 and collapse.
# - With "SSE + KL" smiles, brows and eye distances vanished from 32 × 32 faces; with a learned σ all nine factors stayed.
#
# **Back:** [05 · Jensen's inequality and the ELBO](05_jensen_elbo.ipynb). **Next:** [07 · Training a VAE](07_training_a_vae.ipynb)
#
# ## Try it
#
# 1. Train the faces with σ = 0.5 for 80 epochs instead of 12. Which of the lost factors come back? Predict from the table of gains.
# 2. Fix σ at the value that the learned one ended with, from the first step on. It is "the right value": are the factors kept as well? (Watch how the size of the gradient changes
#    during training, and remember that Adam divides by its recent size.)
# 3. Try the mean/mean slip with 50 and with 100 latents (`partial(mean_and_mean, n_latents=50)`). Work out β first: do the latents carry any information?
# 4. Replace the digits' grey by a coin flip, `torch.bernoulli(x_grey)`, and train. How does the cost compare with that of the grey digits? Why is it so close?
# 5. Which σ does "BCE on mid-grey" correspond to? Use $V(\frac12)$.
#
# **Exercise.** [Exercise 06](../work/ex06_reconstruction_losses.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*: appendix C, Bernoulli and Gaussian decoders.
# - Loaiza-Ganem & Cunningham 2019, *The continuous Bernoulli: fixing a pervasive error in variational autoencoders*.
# - Rybkin, Daniilidis & Levine 2021, *Simple and Effective VAE Training with Calibrated Decoders*: σ, β and the optimal σ.
# - Higgins et al. 2017, *β-VAE*. Lucas et al. 2019, *Don't Blame the ELBO!*; Tipping & Bishop 1999, *Probabilistic Principal Component Analysis*: σ and collapse.
# - LeCun et al. 1998: the digits.
