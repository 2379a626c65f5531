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
# # 05 · Jensen's inequality and the ELBO
#
# We would like to train a model by making the data probable. With latents, this probability is an integral over every $z$. For a network nobody can compute it.
# So a VAE maximises the **evidence lower bound** (ELBO) instead, which never exceeds the log-probability of the data.
#
# **The question of this lesson: what does a VAE maximise, and what does that guarantee?** We take a model so small that the integral *can* be
# computed. Then we can measure how far the bound is from the truth, and what training on the bound gets wrong.
#
# *You need:* expectations and derivatives; from [04 · The KL divergence](04_kl_divergence.ipynb) that $\mathrm{KL}(q\Vert p) \ge 0$, and zero only for $q = p$.
# *Time:* 90 minutes for the core, 35 more for the optional sections, half a minute to run.
#
# The stored outputs would give the answers away: *Edit, Clear Outputs of All Cells* first.

# %%
from vae_lessons import plotting
from vae_lessons.distributions import kl_to_standard_normal
from vae_lessons.widgets import Prediction, explore

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import optimize, stats
from scipy.special import digamma, log_expit, logsumexp, rel_entr
from torch.distributions import Normal, kl_divergence

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)

# %%
plotting.machine("reconstruction", "kl")

# %% [markdown]
# This lesson is about the loss: why it has these two terms, and what their sum bounds.
#
# ## 1. Two numbers
#
# Take 0.2 and 0.8. Average, then take the logarithm. Or take logarithms, then average.

# %%
pair = np.array([0.2, 0.8])
print(f"log of the mean:   log {pair.mean():.1f} = {np.log(pair.mean()):.3f}")
print(f"mean of the logs: ({np.log(0.2):.3f} {np.log(0.8):+.3f}) / 2 = {np.log(pair).mean():.3f}")

# %% [markdown]
# The mean of the logs is lower, by 0.223 nats. The logarithm bends downwards, so the straight line between two points of its curve, the *chord*,
# lies below the curve. Go along the chord to the point above 0.5, the mean of the numbers. Its height is the mean of the logs. Its vertical distance from the curve is **Jensen's gap**.
#
# Move the sliders. In which three ways can you close the gap? Set *smaller* to 0.1: at which weight is it widest? (The dotted line is for the proof below.)


# %%
def chord(figure, low, weight):
    mean, mean_log = (1 - weight) * low + weight * 2, (1 - weight) * np.log(low) + weight * np.log(2)
    gap = np.log(mean) - mean_log
    ax, t = figure.subplots(), np.linspace(0.03, 2.3, 200)
    ax.plot(t, np.log(t), label="log")
    ax.plot([low, 2], np.log([low, 2]), "o--", label="chord")
    ax.plot(t, np.log(mean) + (t - mean) / mean, ":", label="tangent at the mean")
    ax.plot([mean, mean], [mean_log, np.log(mean)], color="black", lw=4, label="Jensen's gap")
    ax.set(xlim=(0, 2.3), ylim=(-3.2, 1.6), xlabel="number", ylabel="logarithm (nats)")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return f"Log of the mean {np.log(mean):.2f}, mean of the logs {mean_log:.2f}, gap {gap:.2f} nats."


# %%
pairs = [(0.1, 0.3), (0.5, 0.5), (1.2, 0.5), (2.0, 0.5), (0.1, 0.1), (0.1, 0.0), (0.1, 0.5), (0.1, 0.9), (0.1, 1.0)]
explore(
    chord,
    low=ipw.FloatSlider(description="smaller", min=0.05, max=2, step=0.05, value=0.2),
    weight=ipw.FloatSlider(description="weight of 2", min=0, max=1, step=0.05, value=0.5),
    stills=[{"low": low, "weight": weight} for low, weight in pairs],
    alt="The logarithm with a chord from a smaller number to 2, below the curve, and the tangent at their mean, above it. "
    "A black bar marks the gap at the mean. It is long for 0.1 and 2 when 2 has the weight 0.3, shorter at 0.9, and "
    "hardly visible for 1.2 and 2. It is gone when all the weight is on one number, or both numbers are 2.",
)

# %%
share = np.array([0.1, 0.28, 0.3, 0.5, 0.9])  # weights of 2; the other number is 0.1
gaps = np.log(0.1 * (1 - share) + 2 * share) - (np.log(0.1) * (1 - share) + np.log(2) * share)
print("weight of 2:", share, "  Jensen's gap (nats):", gaps.round(3))

# %% [markdown]
# For 0.1 and 2 the gap is widest at a weight of about 0.28, not at one half. There the tangent is parallel to the chord. The gap narrows towards either end of the weights, and when the smaller number moves towards 2.
# It closes in three ways: equal numbers, all weight on one number, or all on the other. Each time only one number is left.
#
# ## 2. Jensen's inequality, with its proof
#
# A function $f$ is **concave** if every chord lies below its curve or on it: the logarithm, the square root, $-t^2$. It is **convex** if every chord lies above or on it: $e^t$, $t^2$, $-\log t$.
# Let $X$ be any random quantity with mean $m = \mathbb E[X]$. Jensen (1906):
#
# $$f(\mathbb E[X]) \ge \mathbb E[f(X)] \ \text{ for every concave } f, \qquad f(\mathbb E[X]) \le \mathbb E[f(X)] \ \text{ for every convex } f.$$
#
# **Proof.** Let $f$ be concave. Draw its tangent at $m$, with slope $c$. The slope of a concave curve never rises. Right of $m$ it is at most $c$, so there the curve climbs no faster than the tangent. Left of $m$ it is at least $c$. So if we walk to the left, the curve ends no higher than the tangent, whether $c$ is positive or negative. On both sides it stays below the tangent or on it.
# (At a corner, take any line that touches the curve there and lies above it.) So the distance $h(t) = f(m) + c\,(t-m) - f(t)$ is never negative. Average it over $X$. The middle term has mean zero, so $\mathbb E[h(X)] = f(m) - \mathbb E[f(X)] \ge 0$. For a convex $f$, apply this to $-f$. $\blacksquare$
#
# **When is it an equality?** Jensen's gap $f(m) - \mathbb E[f(X)]$ is the average of $h$. It is zero only if $X$ always falls where the curve touches the tangent. There are two ways. Either $X$ is **constant**, or
# $f$ is a **straight line** over the whole range of $X$ (the word is *affine*). The logarithm is straight nowhere. So for the logarithm the bound is **tight**, that is, has a gap of zero, only if $X$ is constant.

# %%
X, chance = np.array([0.2, 0.5, 1.4]), np.array([0.3, 0.3, 0.4])  # three values, and their probabilities
functions = {
    "log t": np.log,
    "min(t, 1)": lambda t: np.minimum(t, 1),
    "min(t, 2)": lambda t: np.minimum(t, 2),
    "2t + 1": lambda t: 2 * t + 1,
    "exp t": np.exp,
}
jensen = {name: f(chance @ X) - chance @ f(X) for name, f in functions.items()}
print("Jensen's gap:", ", ".join(f"{name} {gap:.3f}" for name, gap in jensen.items()))

# %%
assert min(jensen[name] for name in ("log t", "min(t, 1)")) > 0.02
assert max(abs(jensen[name]) for name in ("min(t, 2)", "2t + 1")) < 1e-12
assert jensen["exp t"] < -0.02
print("The log and min(t, 1) have a positive gap, the convex function a negative one; two are straight here: no gap.")

# %% [markdown]
# The curve $\min(t, 2)$ has a corner at 2, but $X$ never goes there: over the range of $X$ the function is a straight line.
#
# How large is the gap? For the logarithm, if $X$ stays close to $m$, $h(t) \approx \frac{(t-m)^2}{2m^2}$ (the square term in Taylor's series of $-\log$), so **the gap is about** $\operatorname{Var}(X)/(2m^2)$.
# (Section 14 checks the rule.)
#
# ## 3. A bound you have met: logistic regression
#
# A linear classifier computes a *margin* $t = y\,w^\top x$ for a point $x$ with label $y = \pm 1$. It is right when $t > 0$. One would like to minimise
# the share of errors, but that is flat almost everywhere. Logistic regression minimises the *logistic loss* $-\log_2 \sigma(t) = \log_2(1 + e^{-t})$ instead, with $\sigma(t) = 1/(1+e^{-t})$. In base 2 it is
# an **upper bound** on the error. For $t \le 0$, $e^{-t} \ge 1$ makes it at least $\log_2 2 = 1$. For $t > 0$ it is at least 0.


# %%
def bits(t):
    return np.logaddexp(0, -t) / np.log(2)  # log2(1 + e^-t)


def wrong(t):
    return (t < 0) + 0.5 * (t == 0)  # a tie counts as half an error


# %% [markdown]
# Data: two overlapping clouds of 100 points, and ten points far out on the right with the label of the left cloud. A third input, always 1, gives the line its offset. Line A is fitted to all points, line B without the ten. The length of $w$ changes the loss but not the line. To be fair to B, we keep its line and choose the length with the lowest loss on all points.

# %%
rng = np.random.default_rng(SEED)
clouds = [rng.normal((1.2, 0), 1, (100, 2)), rng.normal((-1.2, 0), 1, (100, 2)), rng.normal((8, 4), 0.3, (10, 2))]
inputs = np.column_stack([np.concatenate(clouds), np.ones(210)])  # (210, 3)
y = np.array([1.0] * 100 + [-1.0] * 110)


def fit(points):  # the weights (3,) with the smallest mean loss on these points
    return optimize.minimize(lambda w: bits(y[points] * (inputs[points] @ w)).mean(), np.zeros(3)).x


# %%
fewer = Prediction(
    "Line A has the lowest mean logistic loss on all 210 points: a bound on the errors. Which line has fewer errors?",
    ["A, its bound is lower", "the same within 2 percentage points", "B, though its bound is higher"],
)
fewer.ask()

# %%
b = fit(slice(0, 200))
length = optimize.minimize_scalar(lambda c: bits(c * y * (inputs @ b)).mean(), bounds=(0, 5), method="bounded").x
lines = {"A, fitted to all": fit(slice(None)), "B, fitted without the ten": length * b}
bound, errors = ({name: loss(y * (inputs @ w)).mean() for name, w in lines.items()} for loss in (bits, wrong))
for name in lines:
    print(f"{name:26} on all 210: upper bound {bound[name]:.2f}, share of errors {errors[name]:.2f}")

# %%
(bound_a, bound_b), (errors_a, errors_b) = bound.values(), errors.values()
fewer.reveal(fewer.choices[0 if errors_a < errors_b - 0.02 else 2 if errors_a > errors_b + 0.02 else 1])
assert bound_b > bound_a + 0.05
assert errors_a > errors_b + 0.05
assert errors_a <= bound_a
assert errors_b <= bound_b
print("Line B's bound is worse by over 0.05 bits, and its errors are fewer by over 5 points of a hundred.")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
t = np.linspace(-4, 4, 801)
left.plot(t, bits(t), label="logistic loss (bits)")
left.plot(t, wrong(t), "--", label="error (0 or 1)")
left.set(xlabel="margin t", ylabel="loss of one point", ylim=(0, 4))
for label, marker, colour in ((1, "o", "C0"), (-1, "x", "C1")):
    right.scatter(*inputs[y == label, :2].T, s=14, marker=marker, color=colour, alpha=0.7, label=f"label {label:+}")
for (name, w), style in zip(lines.items(), ("-", "--"), strict=True):
    right.axline((0, -w[2] / w[1]), slope=-w[0] / w[1], color="black", ls=style, label=name)
right.set(xlabel="first input", ylabel="second input", xlim=(-4.5, 9.5), ylim=(-4, 6.5))
right.set_title("label +1 is predicted right of B, below A", fontsize="medium")
left.legend(), right.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
plotting.show(
    figure,
    "Left: the logistic loss falls smoothly and stays above the step of the 0/1 error; just left of margin zero both "
    "are 1. Right: circles around 1.2, crosses around minus 1.2, and ten crosses far off at (8, 4). Dashed line B stands "
    "upright between the clouds. Solid line A runs from bottom left to top right through both clouds, and passes nearly "
    "two units above the ten, which stay on its wrong side.",
)

# %% [markdown]
# Both bounds kept their promise: the share of errors is not above them. They promise no more. B has the higher bound, and is the better classifier. A point far on the wrong side has a huge logistic loss, but is only one error. To make ten hopeless points *less* wrong, line A turns and gives up
# others. **A bound says that the error is at most this value. The line with the lowest bound need not have the fewest errors.** The same will happen with the ELBO. (Section 17, optional, has a bound with a free parameter.)
#
# ## 4. The ELBO by hand: a latent coin
#
# The smallest latent-variable model: $z$ is a fair coin, $p(z) = \frac12$. The one pixel $x$ is ink with probability 0.2 if $z = 0$, and 0.8 if $z = 1$. We see ink. Then $p(x) = \frac12\cdot 0.2 + \frac12\cdot 0.8 = 0.5$. The *posterior*, that is, how probable each $z$ is now that we have seen $x$, is
# $p(z\mid x) = p(x,z)/p(x) = (0.2, 0.8)$. Take any distribution $q(z)$ that is positive for every $z$, at first $q = (\frac12,\frac12)$. (It may differ for each $x$, so other lessons write $q(z\mid x)$. In lesson 04, $q(z)$ was the mixture over all pictures. Here it belongs to this one $x$.)
#
# **First derivation, by Jensen.** $\mathbb E_q$ means: averaged over $z$ drawn from $q$.
#
# $$\begin{aligned}
# \log p(x) &= \log \textstyle\sum_z p(x,z) && \text{(sum rule)}\\
# &= \log \textstyle\sum_z q(z)\,\frac{p(x,z)}{q(z)} && \text{(multiply and divide by } q)\\
# &= \log \mathbb E_q[w], \quad w = \tfrac{p(x,z)}{q(z)} && (w \text{ is the \textit{importance weight})}\\
# &\ge \mathbb E_q[\log w] = \mathrm{ELBO} && \text{(Jensen)}
# \end{aligned}$$

# %%
joint = np.array([0.5 * 0.2, 0.5 * 0.8])  # p(x, z) for z = 0, 1
q = np.array([0.5, 0.5])
weights = joint / q
coin_elbo = (q * np.log(weights)).sum()
print(f"log p(x) = log mean of w  {np.log((q * weights).sum()):.3f}   with w = {weights}")
print(f"ELBO = mean of log w      {coin_elbo:.3f}")

# %% [markdown]
# The numbers of section 1 again: the weights are 0.2 and 0.8. So the distance $\log p(x) - \mathrm{ELBO}$ is Jensen's gap for $X = w$. We call it **the gap of the ELBO**.
#
# **Second derivation, with an equals sign.** It shows *what* the gap is.
#
# $$\begin{aligned}
# \log p(x) &= \mathbb E_q[\log p(x)] && \text{(no } z \text{ in it: a constant)}\\
# &= \mathbb E_q\Bigl[\log \tfrac{p(x,z)}{p(z\mid x)}\Bigr] && \text{(product rule: } p(x,z) = p(x)\,p(z\mid x))\\
# &= \mathbb E_q\Bigl[\log \tfrac{p(x,z)}{q(z)}\Bigr] + \mathbb E_q\Bigl[\log \tfrac{q(z)}{p(z\mid x)}\Bigr] && \text{(multiply and divide by } q)\\
# &= \mathrm{ELBO} + \mathrm{KL}\bigl(q(z)\,\Vert\,p(z\mid x)\bigr) && \text{(definition of KL)}
# \end{aligned}$$

# %%
posterior = np.array([0.2, 0.8])
kl_coin = (q * np.log(q / posterior)).sum()
print(f"ELBO {coin_elbo:.3f} + KL to the posterior {kl_coin:.3f} = {coin_elbo + kl_coin:.3f} = log 0.5")
print(f"q = posterior: weights {joint / posterior}, ELBO {(posterior * np.log(joint / posterior)).sum():.3f}")

# %% [markdown]
# **The gap of the ELBO is the KL divergence from $q$ to the posterior.** With $q$ equal to the posterior every weight is $p(x)$. The weight is constant, and Jensen is tight, as section 2 said.
#
# ## 5. One pixel, one Gaussian latent
#
# Now a continuous $z$, still one pixel: $p(z) = \mathcal N(0, 1)$ and $p_\theta(x\mid z) = \mathcal N\bigl(x;\ \tanh(3z),\ \theta^2\bigr)$. The decoder is the curve $\tanh(3z)$, from dark (−1) to bright (+1). The parameter $\theta$ is the noise of the
# pixel, 0.4 for now. All logs of densities below are in nats. By hand, for the pixel $x = 0.8$ and $z = 0$: $\log p(z) = -\frac12\log 2\pi = -0.919$. The pixel is two standard deviations off, so
# $\log p(x\mid z) = -0.919 - \log 0.4 - \frac12\,2^2 = -2.003$.


# %%
def log_gaussian(value, mean, sd):
    return -0.5 * np.log(2 * np.pi) - np.log(sd) - 0.5 * ((value - mean) / sd) ** 2


def log_p_x_given_z(x, z, theta):
    return log_gaussian(x, np.tanh(3 * z), theta)


def log_joint(x, z, theta):
    return log_gaussian(z, 0, 1) + log_p_x_given_z(x, z, theta)


print(f"log p(x|z) {log_p_x_given_z(0.8, 0.0, 0.4):.3f}, log p(x, z) {log_joint(0.8, 0.0, 0.4):.3f}")

# %% [markdown]
# Sums over $z$ become integrals, computed on a fine grid (*quadrature*). The definitions are those of the coin. `log_q` holds $\log q(z)$ at the points of the grid.

# %%
grid = np.linspace(-10, 10, 2001)


def area(values):  # (..., 2001) -> (...): the integral over z
    return np.trapezoid(values, grid)


def log_p_x(x, theta):
    return np.log(area(np.exp(log_joint(x, grid, theta))))


def elbo(x, log_q, theta):
    return area(np.exp(log_q) * (log_joint(x, grid, theta) - log_q))


def kl(log_q, log_p):
    return area(np.exp(log_q) * (log_q - log_p))


# %% [markdown]
# For a check without these formulas we **simulate the model**: draw four million $z$, draw an $x$ for each, and keep the $z$ of pixels near 0.8.
# The share that we keep, divided by the interval's width 0.04, estimates $p(x)$. The kept $z$ are draws from the posterior.

# %%
x, theta = 0.8, 0.4
exact = log_p_x(x, theta)
rng = np.random.default_rng(SEED)
z = rng.standard_normal(4_000_000)
near = np.abs(np.tanh(3 * z) + theta * rng.standard_normal(len(z)) - x) < 0.02
kept = z[near]
counted, counted_error = np.log(near.mean() / 0.04), 1 / np.sqrt(len(kept))
print(f"kept {len(kept):,}; log p(x): counted {counted:.3f} +- {counted_error:.3f}, by the grid {exact:.3f}")

# %% [markdown]
# ## 6. The gap, seen
#
# Move the mean and the width of $q = \mathcal N(\mu, \sigma^2)$ until it covers the posterior as well as it can. The lower picture shows the ELBO for every mean at the chosen width, and $\log p(x)$ as a flat line. A bar marks the
# gap of the ELBO. Can you close it?

# %%
log_posterior = log_joint(x, grid, theta) - exact
centres = np.linspace(-1, 2.5, 71)


def slide_q(figure, mu, sigma):
    top, bottom = figure.subplots(2, 1)
    log_q = log_gaussian(grid, mu, sigma)
    top.hist(kept, 70, range=(-1, 2.5), density=True, color="0.8")
    top.plot(grid, np.exp(log_posterior))
    top.plot(grid, np.exp(log_q), "--")
    top.set(xlabel="z", ylabel="density", ylim=(0, 2), xlim=(-1, 2.5), title="posterior (grey: simulated), q dashed")
    value, gap = elbo(x, log_q, theta), kl(log_q, log_posterior)
    top.text(-0.95, 1.9, f"   ELBO {value:.2f}\n+ KL {gap:.2f}\n= {value + gap:.2f}", va="top", fontsize="small")
    bottom.plot(centres, elbo(x, log_gaussian(grid, centres[:, None], sigma), theta), "-.", color="C2", label="ELBO")
    bottom.axhline(exact, color="C3", label="log p(x)")
    bottom.plot([mu, mu], [value, exact], color="black", lw=4, label="gap of the ELBO")
    bottom.set(xlabel="mean of q", ylabel="nats", ylim=(-6.5, 0.2), xlim=(-1, 2.5))
    figure.legend(fontsize="small", ncols=3, loc="outside lower center")
    return f"ELBO {value:.2f}, KL to the posterior {gap:.2f}, sum {value + gap:.2f} nats; log p(x) is {exact:.2f}."


# %%
shown = [(0.0, 1.0), (0.5, 0.6), (1.0, 0.2), (0.85, 0.3), (0.85, 1.2), (0.85, 0.6), (0.85, 0.46)]
explore(
    slide_q,
    mu=ipw.FloatSlider(description="mean of q", min=-1, max=2.5, step=0.05, value=0),
    sigma=ipw.FloatSlider(description="width of q", min=0.2, max=1.5, step=0.02, value=1),
    stills=[{"mu": mu, "sigma": sigma} for mu, sigma in shown],
    size=(4.5, 4.9),
    alt="Above, the skewed posterior, which rises steeply near zero and falls slowly towards two, over the histogram of "
    "simulated values, and a dashed Gaussian q. Below, the dash-dotted ELBO against the mean of q, under the flat line of "
    "log p(x). The black gap is long for q the prior, shorter for a narrow or wide q, shortest at 0.85 and 0.46.",
)

# %% [markdown]
# At mean 0.85 and width 0.46, $q$ is nearly the best Gaussian. Still the gap is not closed. The posterior is skewed, and a Gaussian is symmetric. Every $z$ well above zero draws a bright pixel, so there the posterior falls slowly, as the prior does. A $z$ below zero draws a dark pixel, so there it falls steeply.
#
# As $q$ moves, the ELBO and the KL both change, but **their sum does not**. The figure cannot test this, since it computes both from the same curve. So we take the KL to the *simulated* posterior: the counts of the kept $z$ in bins.

# %%
edges = np.r_[-np.inf, np.linspace(-0.2, 2.8, 61), np.inf]  # bins of width 0.05, and all beyond
counts = np.histogram(kept, edges)[0]
off = {}
for mu, sigma in ((0.85, 0.3), (1.2, 0.3), (0.6, 0.2)):
    q_bins, value = np.diff(stats.norm.cdf(edges, mu, sigma)), elbo(x, log_gaussian(grid, mu, sigma), theta)
    gap = rel_entr(q_bins, counts / len(kept)).sum()  # sum of q log(q/p)
    error = np.sqrt((q_bins**2 / counts).sum() - 1 / len(kept))  # log(count / n) has variance 1/count - 1/n
    off[mu] = (value + gap - exact, error)
    print(f"q of mean {mu:4}, width {sigma}: ELBO {value:.3f} + KL {gap:.3f} = {value + gap:.3f} +- {error:.3f}")

# %%
assert abs(counted - exact) < 4 * counted_error
assert all(abs(difference) < 4 * error for difference, error in off.values())
print("ELBO plus KL to the simulated posterior is log p(x), within 4 standard errors, for three different q.")

# %% [markdown]
# So one can train the encoder on the ELBO without knowing the posterior. For fixed $\theta$ the sum is fixed, so raising the ELBO *is* lowering $\mathrm{KL}(q\Vert p(z\mid x))$. How near can a Gaussian come?


# %%
def best_gaussian(x, theta):  # its mean, width and ELBO
    def minus_elbo(parameters):
        return -elbo(x, log_gaussian(grid, parameters[0], np.exp(parameters[1])), theta)

    best = optimize.minimize(minus_elbo, [0.5, -0.5])
    return best.x[0], np.exp(best.x[1]), -best.fun


mu, sigma, best_elbo = best_gaussian(x, theta)
print(f"best Gaussian: mean {mu:.2f}, width {sigma:.2f}, ELBO {best_elbo:.3f}, gap {exact - best_elbo:.3f} nats")

# %% [markdown]
# ## 7. From three terms to reconstruction minus regularisation
#
# A VAE's loss is usually introduced as two parts: *draw the picture well* and *keep $q$ near the prior*. Here is where they come from. Since $p(x,z) = p(x\mid z)\,p(z)$, the weight has $\log w = \log p(x\mid z) + \log p(z) - \log q(z)$. The ELBO is its mean:
#
# $$\mathrm{ELBO} = \underbrace{\mathbb E_q[\log p(x\mid z)]}_{\text{reconstruction}} + \underbrace{\mathbb E_q[\log p(z)] + \overbrace{\mathbb E_q[-\log q(z)]}^{\text{entropy } H(q)}}_{-\mathrm{KL}(q\Vert p(z))}.$$
#
# By the definition of the KL, the last two are minus the KL to the prior. Is the entropy needed? We take the best mean, 0.85, and four widths.


# %%
def three_terms(x, mu, sigma, theta):
    q = np.exp(log_gaussian(grid, mu, sigma))
    expected_log_prior = -0.5 * np.log(2 * np.pi) - 0.5 * (mu**2 + sigma**2)
    return area(q * log_p_x_given_z(x, grid, theta)), expected_log_prior, 0.5 * np.log(2 * np.pi * np.e * sigma**2)


terms = {width: three_terms(x, mu, width, theta) for width in (1.0, sigma, 0.1, 0.01)}
print("width of q   E log p(x|z)  E log p(z)  sum of both   entropy     ELBO")
for width, (rec, prior, entropy) in terms.items():
    print(f"{width:10.2f} {rec:14.2f} {prior:11.2f} {rec + prior:12.2f} {entropy:9.2f} {rec + prior + entropy:8.2f}")

# %%
for width, (rec, prior, entropy) in terms.items():
    closed_form = kl_to_standard_normal(*torch.tensor([[mu], [2 * np.log(width)]], dtype=torch.float64)).item()
    np.testing.assert_allclose(-(prior + entropy), closed_form)
    np.testing.assert_allclose(rec - closed_form, elbo(x, log_gaussian(grid, mu, width), theta))
both = {width: rec + prior for width, (rec, prior, _) in terms.items()}
assert both[0.01] > both[sigma] + 0.2 > both[1.0] + 0.2
assert both[0.01] + terms[0.01][2] < best_elbo - 2
print("At width 0.01, reconstruction plus prior is over 0.2 nats higher than at the best width, the ELBO over 2 lower.")

# %% [markdown]
# **Without the entropy, a very narrow $q$ would be the best:** $\log p(x,z)$ is highest at one $z$. Its average over $q$ is at most this value, and only a $q$ squeezed onto this $z$ comes near it. The entropy keeps $q$ wide. The KL term has the weight 1. With another weight (β-VAE, [lesson 07](07_training_a_vae.ipynb)) the sum is a different objective.
# Do not confuse the two KLs. The KL to the *prior* is part of the ELBO, and has a closed form. The KL to the *posterior* is the gap of the ELBO, and in a real VAE nobody can compute it.
#
# ## 8. Without quadrature: one draw
#
# With 20 latents there is no grid. But the ELBO is a mean over $q$, and a mean can be estimated: draw $z \sim q$, and compute $\log w = \log p(x,z) - \log q(z)$.

# %%
exceed = Prediction(
    "Single draws of log w, with q the best Gaussian: how many lie above log p(x)?",
    ["none, it is a lower bound", "some, but fewer than one in ten", "more than one in ten"],
)
exceed.ask()


# %%
def log_weight(x, z, mu, sigma, theta):
    return log_joint(x, z, theta) - log_gaussian(z, mu, sigma)


z = mu + sigma * np.random.default_rng(SEED).standard_normal(10_000)
estimates = log_weight(x, z, mu, sigma, theta)
error, share = estimates.std(ddof=1) / 100, (estimates > exact).mean()
print(f"mean of 10,000 draws {estimates.mean():.2f} +- {error:.2f}; ELBO by quadrature {best_elbo:.2f}")
print(f"{share:.1%} of the draws lie above log p(x) = {exact:.2f}")

# %%
exceed.reveal(exceed.choices[0 if share == 0 else 1 if share < 0.1 else 2])
assert abs(estimates.mean() - best_elbo) < 4 * error
assert share > 0.2
assert estimates.mean() < exact - 4 * error
print("Over 20 % of the draws lie above log p(x); their mean lies below it, within 4 standard errors of the ELBO.")

# %% [markdown]
# **The guarantee holds on average.** One draw may lie above, and so may the mean of a minibatch. Only the true ELBO is sure to be at most $\log p(x)$. So report an estimate with its standard error.
#
# ## 9. More draws, a tighter bound
#
# Average $K$ weights *before* taking the logarithm (Burda et al. 2016):
# $\mathcal L_K = \mathbb E\bigl[\log \frac1K\sum_{k=1}^K w_k\bigr]$ with independent $z_k \sim q$. So $\mathcal L_1$ is the ELBO.
#
# The mean of the $w_k$ still has expectation $p(x)$, so by Jensen $\mathcal L_K \le \log p(x)$. It never falls with $K$ (proof in the optional section 14). Its gap, $\log p(x) - \mathcal L_K$, is again Jensen's, now for the mean of $K$ weights.
# That mean varies less, so the gap should be smaller. (`logsumexp` factors out the largest weight, because $e^{-1000}$ is zero to a computer.) We try the best Gaussian, and one of twice its width.


# %%
def k_sample_bound(log_w):  # (..., K) -> (...): unbiased for L_K
    return logsumexp(log_w, axis=-1) - np.log(log_w.shape[-1])


# %%
draws = np.random.default_rng(SEED).standard_normal((40_000, 50))


def gaps_of(width, log_p=exact):  # for q = N(mu, width^2) and K = 1, 5, 50: gap and standard error, (3, 2)
    log_w = log_weight(x, mu + width * draws, mu, width, theta)
    values = np.array([log_p - k_sample_bound(log_w[:, :K]) for K in (1, 5, 50)])  # (3, 40000)
    return np.stack([values.mean(1), values.std(1, ddof=1) / 200], axis=1)


best, wide = gaps_of(sigma), gaps_of(2 * sigma)
for name, table in (("best Gaussian", best), ("twice as wide", wide)):
    print(f"{name}: gap", ", ".join(f"{g:.4f} +- {e:.4f}" for g, e in table), "for K = 1, 5, 50")

# %%
assert abs(best[0, 0] - (exact - best_elbo)) < 4 * best[0, 1]
for table in (best, wide):
    assert (np.diff(table[:, 0]) < -8 * table[:-1, 1]).all()
    assert (table[:, 0] > 0).all()
assert wide[0, 0] > 3 * best[0, 0]
assert best[2, 0] - wide[2, 0] > 4 * np.hypot(best[2, 1], wide[2, 1])
print("More draws narrow both gaps. The wide q's is over 3 times the best's at K = 1, and smaller at K = 50.")

# %% [markdown]
# (By section 6 the gap at $K = 1$ is 0.170. The estimate happens to lie 2.5 standard errors below it, as one in 160 does.)
#
# **The best $q$ for one draw is not the best for fifty.** A narrow $q$ hardly ever draws some of the $z$ that the posterior allows. When it does, the weight is large. With fifty draws, the $q$ of twice the width has the smaller gap here; one that is far too wide loses again (Try it 4). (Sections 14 and 15 say more.)
#
# ## 10. Which bound, in which direction?
#
# Multiply $\mathrm{ELBO} \le \log p(x)$ by −1: $-\mathrm{ELBO} \ge -\log p(x)$. So there are two names for one thing in each row of this table:
#
# | seen from the loss $-\log p(x)$ | seen from $\log p(x)$ | what it means for the loss |
# |---|---|---|
# | *minimise* an *upper* bound | *maximise* a *lower* bound | a ceiling comes down; the loss stays under it |
# | *minimise* a *lower* bound | *maximise* an *upper* bound | nothing: a floor sinks; above it the loss may go anywhere |
#
# A VAE is in the first row. So is logistic regression, if you read "error" for "loss". To see the second row fail, we take section 3's logistic loss. There it was the bound; now it is the loss, and we put a lower bound under it. It is convex, so its tangent at $t = 0$ is a floor: $\log_2(1+e^{-t}) \ge 1 - \frac{t}{2\log 2}$. The floor's mean is linear in the line's weights, so gradient descent follows one direction for ever.


# %%
def floor(t):
    return 1 - t / (2 * np.log(2))


downhill = (y[:, None] * inputs).mean(0)  # the mean floor falls for ever along this direction
floors, losses = [], []
for step in (0, 1, 10, 100):
    t = y * (inputs @ (step * downhill))
    floors.append(floor(t).mean()), losses.append(bits(t).mean())
    print(f"step {step:3}: lower bound {floors[-1]:7.2f}, logistic loss {losses[-1]:6.2f} bits")

# %%
assert all(low <= loss for low, loss in zip(floors, losses, strict=True))
assert floors[-1] < -20
assert losses[-1] > 10 * losses[0]
print("The floor sinks below -20 bits, and the loss ends at more than 10 times its start.")

# %% [markdown]
# The inequality held at every step. But it sets no upper limit to the loss, and a floor below zero shows nothing: the loss is never negative.
#
# ## 11. One bound for each q
#
# Until now $\theta$ was fixed and $q$ moved. Now we hold $q$ fixed and move $\theta$. For each $q$ the ELBO is another curve over $\theta$. None of them is above $\log p_\theta(x)$. A curve touches it where the gap is zero: at a $\theta$ for which $q$ is the posterior.
#
# The data: 500 pixels from our model with noise $\theta = 0.4$. All values are means over the pixels. Each pixel has its own $q$.

# %%
rng = np.random.default_rng(SEED)
pixels = np.tanh(3 * rng.standard_normal(500)) + 0.4 * rng.standard_normal(500)  # (N,)
column, thetas = pixels[:, None], np.arange(0.3, 0.76, 0.025)
log_likelihood = np.array([log_p_x(column, th).mean() for th in thetas])


def posteriors(theta):  # log p(z|x) of every pixel on the grid: (N, 2001)
    return log_joint(column, grid, theta) - log_p_x(column, theta)[:, None]


def elbo_curve(log_q):
    return np.array([elbo(column, log_q, th).mean() for th in thetas])


# %% [markdown]
# This gives an algorithm, **expectation–maximisation** (EM). *E-step:* set every $q$ to the posterior at the present $\theta$, so that the bound touches. *M-step:* keep $q$, and move $\theta$ to the top of that bound. Here the top is known: set the derivative by $\theta$ to zero, and
# $\theta^2$ is the mean of $(x - \tanh 3z)^2$ under $q$. The figure shows the bounds of the first three steps. The likelihood cannot fall. Before the M-step it equals the bound, the M-step raises the bound, and the likelihood is never below the bound.

# %%
path, q_of_step = [0.7], []
for _ in range(20):
    q_of_step.append(posteriors(path[-1]))  # E-step
    squares = area(np.exp(q_of_step[-1]) * (column - np.tanh(3 * grid)) ** 2)
    path.append(np.sqrt(squares.mean()))  # M-step
top = optimize.minimize_scalar(lambda th: -log_p_x(column, th).mean(), bounds=(0.2, 0.8), method="bounded").x
print("EM:", " ".join(f"{th:.3f}" for th in path[:9]), f"... {path[-1]:.3f}; the likelihood's optimum: {top:.3f}")

# %%
touching = {f"posterior at {path[k]:.2f}": (elbo_curve(q_of_step[k]), path[k]) for k in (0, 1, 2)}
figure, ax = plt.subplots(figsize=(7, 3.8))
ax.plot(thetas, log_likelihood, color="black", label=r"$\log p_\theta(x)$")
for (name, (curve, at)), style in zip(touching.items(), ("--", "-.", ":"), strict=True):
    (line,) = ax.plot(thetas, curve, style, label=f"ELBO, q = {name}")
    ax.plot(at, log_p_x(column, at).mean(), "o", color=line.get_color())
ax.set(xlabel=r"noise $\theta$ of the decoder", ylabel="nats per pixel, mean of 500", ylim=(-1.6, -1.2))
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")
plotting.show(
    figure,
    "The log-likelihood over theta is a flat hill. Three ELBO curves lie below it. Each touches it at one dot, at theta "
    "0.7, 0.58 and 0.5, and has its top left of that dot. The first two have it at the theta of the next dot.",
)

# %%
for k in (0, 1, 2):
    np.testing.assert_allclose(elbo(column, q_of_step[k], path[k]), log_p_x(column, path[k]), atol=1e-5)
    assert (elbo_curve(q_of_step[k]) < log_likelihood + 1e-9).all()
assert (np.diff([log_p_x(column, th).mean() for th in path]) > -1e-12).all()
assert abs(path[-1] - top) < 0.001
print("Each bound touches where its q is the posterior, and is nowhere above; EM climbs to the likelihood's optimum.")

# %% [markdown]
# At the dot the bound and the likelihood also have the same slope, since one touches the other from below. When EM stops, the bound is flat at its dot, so the likelihood is flat there too. With exact posteriors, training on the bound loses nothing. A VAE does both steps at once, with gradients, and **its $q$ is usually not the posterior.** What does that change?
#
# ## 12. Does training on the bound find the same model?
#
# The ELBO is stricter than the likelihood: $\mathrm{ELBO} = \log p_\theta(x) - \mathrm{KL}(q\Vert p_\theta(z\mid x))$ is large only if the data are probable *and* the second term is small.
# Does that lead closer to the truth? We pretend not to know the noise $\theta$ of the 500 pixels, and fit it twice: by exact likelihood, and by the ELBO.

# %%
pull = Prediction(
    "The ELBO uses the best Gaussian q for every pixel and every theta. Where is its optimum, against the likelihood's?",
    ["at less noise, by over a tenth", "at the same within a tenth", "at more noise, by over a tenth"],
)
pull.ask()

# %% [markdown]
# For every pixel and every $\theta$ we need the best $q$. An encoder could be imperfect, so we use none: we try 7,260 Gaussians for each pixel. The expectation of $\log p_\theta(x\mid z)$ needs only the means of $f = \tanh(3z)$ and of $f^2$ under $q$,
# because $\mathbb E_q(x - f)^2 = x^2 - 2x\,\mathbb E_q f + \mathbb E_q f^2$. Gauss–Hermite quadrature computes these means: weighted sums over 80 points, made for Gaussians.

# %%
mus, sigmas = (a.ravel() for a in np.meshgrid(np.linspace(-3, 3, 121), np.geomspace(0.05, 1.2, 60)))  # (7260,) each
nodes, node_weights = np.polynomial.hermite_e.hermegauss(80)  # for standard normal noise
f = np.tanh(3 * (mus[:, None] + sigmas[:, None] * nodes))
mean_f, mean_f2 = (power @ node_weights / node_weights.sum() for power in (f, f**2))
kl_table = 0.5 * (mus**2 + sigmas**2 - 1 - 2 * np.log(sigmas))


def best_q(x, theta):
    """The largest ELBO of each pixel (N,) over all Gaussians of the table, and which Gaussian that is."""
    squared = x[:, None] ** 2 - 2 * x[:, None] * mean_f + mean_f2  # (N, 7260)
    table = -0.5 * np.log(2 * np.pi) - np.log(theta) - squared / (2 * theta**2) - kl_table
    return table.max(1), table.argmax(1)


# %%
best_elbos = np.array([best_q(pixels, th)[0].mean() for th in thetas])
elbo_top = optimize.minimize_scalar(lambda th: -best_q(pixels, th)[0].mean(), bounds=(0.2, 0.9), method="bounded").x
log_p_at = {th: log_p_x(column, th).mean() for th in (top, elbo_top)}
elbo_at = {th: best_q(pixels, th)[0].mean() for th in (top, elbo_top)}
for name, th in (("exact likelihood", top), ("ELBO", elbo_top)):
    gap = log_p_at[th] - elbo_at[th]
    print(f"{name:16} is highest at {th:.3f}: log p {log_p_at[th]:.3f}, ELBO {elbo_at[th]:.3f}, gap {gap:.3f}")

# %%
pull.reveal(pull.choices[0 if elbo_top < 0.9 * top else 2 if elbo_top > 1.1 * top else 1])
_, which = best_q(pixels[:3], 0.4)
on_grid = elbo(column[:3], log_gaussian(grid, mus[which, None], sigmas[which, None]), 0.4)
np.testing.assert_allclose(best_q(pixels[:3], 0.4)[0], on_grid, rtol=1e-4)
assert elbo_top > 1.2 * top
assert (np.diff(log_likelihood - best_elbos) < 0).all()
assert elbo_at[elbo_top] > elbo_at[top] + 0.01
assert log_p_at[elbo_top] < log_p_at[top] - 0.01
print("The ELBO's noise is over a fifth too large. There the ELBO is over 0.01 higher than at the optimum of log p,")
print("and log p is over 0.01 lower.")

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.6))
for name, curve, at, style in (("log p(x), exact", log_likelihood, top, "k-"), ("ELBO", best_elbos, elbo_top, "C1--")):
    ax.plot(thetas, curve, style, label=f"{name}: top at {at:.2f}")
    ax.plot(at, curve.max(), style[:-1].rstrip("-") + "o")
ax.axvline(0.4, color="grey", lw=1, label="true noise")
ax.set(xlabel=r"noise $\theta$ of the decoder", ylabel="nats per pixel, mean of 500")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")
plotting.show(
    figure,
    "Two hills over the noise. The exact log-likelihood peaks near the true noise 0.4. The dashed ELBO lies below it and "
    "peaks farther right, beyond 0.5. The two curves come closer towards the right.",
)

# %% [markdown]
# The ELBO's optimum has more noise than the likelihood's. This difference of the optima is its **bias**. At the ELBO's optimum the ELBO is higher than at the likelihood's, and $\log p$ is lower. So the gap is smaller there. By the same argument it is never larger, in any model. The ELBO trades probability of the data for posteriors that $q$
# can match (Turner & Sahani 2011 found the same in time series). In the figure the average gap falls as the noise grows. A likely reason: the posterior comes nearer to the prior, a Gaussian. If the gap rises with the noise, the bias is towards less noise (Try it 3). To the question:
#
# - **Guaranteed:** the average $\log p(x)$ is at least the ELBO, whatever $q$ is. A bad $q$ only makes the model look worse than it is, on average over draws.
# - **Not guaranteed:** that the better of two ELBOs belongs to the better model, or that the ELBO's optimum is the likelihood's. The ELBO and $\log p$ differ by the gap, which depends on $\theta$.
# - This was shown for one latent, one parameter, and 500 pixels with true noise 0.4. In section 15 more draws shrink the bias. Lesson 10 goes on with digits.
#
# ## 13. How a VAE trains: two gradients
#
# Section 12 searched a table for each pixel. A VAE's **encoder** is one function, with parameters $\phi$, that returns $\mu$ and $\sigma$ for *every* picture. All pictures share it: this is **amortised** inference. The algorithm (Kingma & Welling 2014), for each batch:
#
# 1. The encoder computes $\mu_\phi(x)$ and $\sigma_\phi(x)$.
# 2. Draw $\varepsilon \sim \mathcal N(0, 1)$, and set $z = \mu + \sigma\varepsilon$ (lesson 03).
# 3. Estimate the ELBO: $\log p_\theta(x\mid z) - \mathrm{KL}(q_\phi(z\mid x)\Vert p(z))$.
# 4. Compute both gradients of its mean over the batch, and step uphill with both.
#
# $$\nabla_\theta\,\mathrm{ELBO} = \mathbb E_\varepsilon\bigl[\nabla_\theta \log p_\theta(x\mid z)\bigr], \qquad \nabla_\phi\,\mathrm{ELBO} = \mathbb E_\varepsilon\Bigl[\tfrac{\partial}{\partial z} \log p_\theta(x\mid z)\ \nabla_\phi z\Bigr] - \nabla_\phi\,\mathrm{KL}.$$
#
# $\theta$ occurs only in the decoder. $\phi$ acts through $\mu$ and $\sigma$, so by the chain rule the gradients by $\mu$ and $\sigma$ give the one by $\phi$. One backward pass computes all. Are they right? We compare their mean over 100,000 draws with finite differences of the ELBO by quadrature, for the pixel 0.8.


# %%
def elbo_estimate(x, theta, mu, sigma, eps):
    z = mu + sigma * eps
    return Normal(torch.tanh(3 * z), theta).log_prob(x) - kl_divergence(Normal(mu, sigma), Normal(0.0, 1.0))


def by_quadrature(theta, mu, sigma):
    return elbo(x, log_gaussian(grid, mu, sigma), theta)


point, n = np.array([0.4, 0.5, 0.6]), 100_000  # theta, mu, sigma
copies = [
    torch.full((n,), value, dtype=torch.float64, requires_grad=True) for value in point
]  # one for each draw's gradient
eps = torch.randn(n, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
gradients = torch.autograd.grad(elbo_estimate(torch.tensor(x), *copies, eps).sum(), copies)
z_scores = []
for name, gradient, step in zip(("theta", "mu", "sigma"), gradients, 1e-4 * np.eye(3), strict=True):
    truth, error = (by_quadrature(*point + step) - by_quadrature(*point - step)) / 2e-4, gradient.std() / np.sqrt(n)
    z_scores.append(abs(gradient.mean() - truth) / error)
    print(f"gradient by {name:5}: {gradient.mean():.3f} +- {error:.3f}, by quadrature {truth:.3f}")

# %%
assert max(z_scores) < 4
print("Both gradients of one-draw estimates have the right mean, within 4 standard errors.")

# %% [markdown]
# (Section 16 runs the algorithm on the 500 pixels, and measures what sharing one encoder loses.)
#
# ## 14. More about K draws (optional)
#
# **Why $\mathcal L_K$ never falls.** Take $K = 3$. The mean of three weights is the average of three means of two:
#
# $$\frac{w_1+w_2+w_3}{3} = \frac13\Bigl(\frac{w_2+w_3}{2} + \frac{w_1+w_3}{2} + \frac{w_1+w_2}{2}\Bigr).$$
#
# By Jensen, the log of the left side is at least the average of the logs of the three on the right. Each of those has expectation $\mathcal L_2$. So $\mathcal L_3 \ge \mathcal L_2$, and in the same way $\mathcal L_K \ge \mathcal L_{K-1}$. The inequality holds for every single set of draws, so we can check it draw by draw.

# %%
w = np.exp(estimates).reshape(2000, 5)
left_out = (w.sum(1, keepdims=True) - w) / 4  # (2000, 5): the mean of the other four
log_mean, mean_logs = np.log(w.mean(1)), np.log(left_out).mean(1)
print("K = 5 weights    ", w[0].round(3))
print("means without one", left_out[0].round(3))
print(f"log of the mean {log_mean[0]:.4f} >= mean of the logs {mean_logs[0]:.4f}")

# %%
np.testing.assert_allclose(left_out.mean(1), w.mean(1))
assert (log_mean >= mean_logs).all()
print("The log of the mean of five is at least the mean of the logs of the means of four, in all 2,000 sets.")

# %% [markdown]
# **The rule of thumb of section 2**, $\operatorname{Var}(X)/(2m^2)$, on a test case with a known answer: let $X$ have a gamma distribution with shape $k$ and scale 1. Then its mean and its variance are $k$, and $\mathbb E[\log X] = \psi(k)$, the digamma function.


# %%
rule_off_by = {}
for k in (1, 10, 100):
    gap, rule = np.log(k) - digamma(k), k / (2 * k**2)
    by_scipy = np.log(k) - stats.gamma(k).expect(np.log)
    rule_off_by[k] = abs(rule / gap - 1)
    print(f"k = {k:3}: Jensen's gap {gap:.4f}, by quadrature {by_scipy:.4f}, Var/(2 mean^2) {rule:.4f}")
    np.testing.assert_allclose(by_scipy, gap, rtol=1e-6)

# %%
assert rule_off_by[100] < 0.01
assert rule_off_by[1] > 0.1
print("The rule of thumb is within a hundredth for k = 100, and off by more than a tenth for k = 1.")

# %% [markdown]
# For $k = 1$ the standard deviation is as large as the mean, and the rule is poor.
#
# **A common slip.** The probability of a picture is an average over draws of $z$, so that average belongs *inside* the logarithm. The average over pictures belongs *outside*. And since $e^{-1000}$ is zero to a computer,
# one factors out the largest term first, which is what `logsumexp` does.

# %%
log_p = np.array([[-1000.0, -1003.0], [-1005.0, -1001.0]])  # (K draws, N pictures), in nats
right = (logsumexp(log_p, axis=0) - np.log(len(log_p))).mean()
print(f"log of the mean over draws, then mean over pictures: {right:.2f}")
print(f"the slip, a mean of logs over everything:            {log_p.mean():.2f}")
with np.errstate(divide="ignore"):
    print(f"without factoring out the largest: {np.log(np.exp(log_p).mean(0)).mean()}")

# %% [markdown]
# **How fast does the gap shrink?** The mean of $K$ weights has variance $\operatorname{Var}(w)/K$. So by the rule ten times the draws leave a tenth of the gap. Here $\operatorname{Var}(w)$ is infinite for $\sigma^2 \le \frac12$. $\operatorname{Var}(w)$ is the integral of $q\,w^2 = p(x,z)^2/q$, minus $p(x)^2$. Far out $\tanh(3z)$ is constant, so $p(x,z)^2$ falls like the squared prior, $e^{-z^2}$. Dividing by $q$ multiplies by $e^{(z-\mu)^2/2\sigma^2}$. For $\sigma^2 \le \frac12$ the product does not fall to zero on at least one side, so the integral is infinite.
# Does that spoil the rule? We try five widths. The last column measures something else: how much of the posterior lies where $q$ is less than a tenth as dense.

# %%
ratios, missed = {}, {}
for width in (0.45, 0.55, 0.65, 0.75, 0.9):
    table = gaps_of(width)
    ratios[width] = table[1, 0] / table[2, 0]
    missing = np.exp(log_gaussian(grid, mu, width)) < 0.1 * np.exp(log_posterior)
    missed[width] = area(np.exp(log_posterior) * missing)
    variance = "finite  " if width**2 > 0.5 else "infinite"
    error = ratios[width] * np.hypot(*(table[1:, 1] / table[1:, 0]))  # rather too large: the two gaps share draws
    print(f"width {width:.2f}: gap {table[1, 0]:.4f} (K = 5), {table[2, 0]:.4f} (K = 50), ", end="")
    print(f"ratio {ratios[width]:4.1f} +- {error:.1f}; variance {variance}; posterior missed {missed[width]:.4f}")

# %%
assert ratios[0.45] < 6
assert min(ratios[0.65], ratios[0.75], ratios[0.9]) > 7.5
assert missed[0.45] > 10 * missed[0.65]
print("From K = 5 to 50 the gap is divided by less than 6 at width 0.45, and by more than 7.5 at 0.65, 0.75 and 0.9.")

# %% [markdown]
# So an infinite variance is **a warning sign, and not enough to spoil the rule** for up to 50 draws. At 0.65 the variance is infinite too, and the ratio is about that of 0.75 and 0.9. The ratio goes with the part of the posterior that $q$ misses, about a fortieth at 0.45 and far less at 0.65. Width 0.55 lies between, in both. But other things change with the width too, so this does not show the cause. (Only one pixel was tried.)
#
# ## 15. Do more draws reduce the bias? (optional)
#
# Section 12 measured the ELBO's bias, its optimum minus the likelihood's. Now we put the $K$-sample bounds for $K = 5$ and 50 in place of the ELBO. They need draws: 20 repeats of 50 draws for each pixel, with the same noise for all $\theta$. Section 9 showed that the best width depends on $K$. So we try several
# factors for the widths. The first ten repeats choose the factor for each $K$ and $\theta$, and the other ten are scored.

# %%
noise, factors = rng.standard_normal((20, 500, 50)), (1, 1.25, 1.5, 2, 2.5)
tried = {K: np.empty((len(factors), len(thetas), 20)) for K in (5, 50)}
for j, th in enumerate(thetas):
    which = best_q(pixels, th)[1][:, None]
    for i, factor in enumerate(factors):
        m, width = mus[which], factor * sigmas[which]  # (N, 1) each
        log_w = log_weight(column, m + width * noise, m, width, th)  # (20, N, 50)
        for K, table in tried.items():
            table[i, j] = k_sample_bound(log_w.reshape(20, 500, -1, K)).mean((1, 2))


# %%
def peak(curve):
    """Where a curve over `thetas` is highest: the top of the parabola through its three highest points."""
    i = curve.argmax()
    below, highest, after = curve[i - 1 : i + 2]
    return thetas[i] + 0.5 * (thetas[1] - thetas[0]) * (below - after) / (below - 2 * highest + after)


tops = {}
print(f"exact likelihood {top:.3f}, ELBO {elbo_top:.3f}")
for K, table in tried.items():
    chosen = table[:, :, :10].mean(2).argmax(0)  # a factor for each theta
    for name, scored in (("the ELBO's widths", table[0]), ("own widths", table[chosen, range(len(thetas))])):
        tops[K, name] = np.array([peak(scored[:, repeat]) for repeat in range(10, 20)])
        middle, error = tops[K, name].mean(), tops[K, name].std(ddof=1) / np.sqrt(10)
        print(f"K = {K:2}, {name:17}: optimum {middle:.3f} +- {error:.3f}, bias {middle - top:.3f}")

# %%
fixed_5, own_5, fixed_50, own_50 = tops.values()
a_quarter_less = 0.75 * fixed_50 + 0.25 * top
for step in (elbo_top - fixed_5, fixed_5 - fixed_50, fixed_5 - own_5, a_quarter_less - own_50):
    assert step.mean() > 4 * step.std(ddof=1) / np.sqrt(10)  # the same noise in both, so compared repeat by repeat
print("More draws shrink the bias. At K = 50, widths chosen for K = 50 make the bias smaller by over a quarter.")

# %% [markdown]
# So part of the bias that is left at $K = 50$ comes from widths that were chosen for one draw. (All widths were rescaled by one factor. A Gaussian chosen for each pixel and $K$ was not tried.)
#
# ## 16. What a shared encoder loses (optional)
#
# We run the algorithm of section 13 on the 500 pixels, with two encoders: a straight line (four parameters), and a small network. Both learn $\theta$ too.


# %%
def train(encoder, steps):
    """Steps 1 to 4, with Adam; returns theta, and mu and sigma for every pixel."""
    batch, g = torch.tensor(column), torch.Generator().manual_seed(SEED)
    log_theta = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([log_theta, *encoder.parameters()], lr=0.01)
    for _ in range(steps):
        mu, log_sigma = encoder(batch).T
        eps = torch.randn(len(batch), generator=g, dtype=torch.float64)
        loss = -elbo_estimate(batch[:, 0], log_theta.exp(), mu, log_sigma.exp(), eps).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        mu, log_sigma = encoder(batch).T.numpy()
    return log_theta.exp().item(), mu[:, None], np.exp(log_sigma)[:, None]


# %% tags=["nbval-ignore-output"]
def reached_by(theta, mu, sigma):
    """Means over the pixels: ELBO, gap of the best Gaussians, and what the encoder adds to it."""
    best, value = best_q(pixels, theta)[0].mean(), elbo(column, log_gaussian(grid, mu, sigma), theta).mean()
    return value, log_p_x(column, theta).mean() - best, best - value


lost = {}
for name, steps in (("line", 1000), ("line", 3000), ("network", 1000), ("network", 3000)):
    torch.manual_seed(SEED)
    line, hidden = torch.nn.Linear(1, 2), torch.nn.Linear(1, 32)
    encoder = line if name == "line" else torch.nn.Sequential(hidden, torch.nn.Tanh(), torch.nn.Linear(32, 2))
    fitted = train(encoder.double(), steps)
    lost[name, steps] = fitted[0], *reached_by(*fitted)
    noise, value, family, added = lost[name, steps]
    print(f"{name}, {steps} steps: theta {noise:.2f}, ELBO {value:.3f}, gap {family:.3f} + {added:.3f}")

# %%
for steps in (1000, 3000):
    assert lost["network", steps][1] > lost["line", steps][1] + 0.01
    assert lost["line", steps][3] > 0.03
    assert lost["network", steps][0] > 1.1 * top
assert lost["network", 3000][3] < lost["line", 3000][3] - 0.02
print("The line adds over 0.03 nats to the gap, after 1,000 steps and after 3,000. After 3,000 the network adds less,")
print("by over 0.02. The network's noise is over a tenth too large.")

# %% [markdown]
# The gap is printed in two parts. The first is the gap of the family, here Gaussians. The second is what the encoder adds, the *amortisation* gap: by sharing, and by training that is not finished. The line's second part does not fall with three times the steps. So hardly any of it comes from unfinished training: no line returns the best $\mu$ and $\sigma$ of every pixel. The network's is near zero after 3,000 steps, so on these pixels it loses little by sharing. Its $\theta$ is about as biased as in section 12. [Lesson 10](10_how_tight_is_the_bound.ipynb) measures both parts on digits.
#
# ## 17. A bound with a free parameter: Jaakkola–Jordan (optional)
#
# Here is another bound on logistic regression, a lower one on the log-likelihood $\log\sigma(t)$ itself (Jaakkola & Jordan 2000). It is quadratic in $t$, and has a free parameter $\xi$ (xi):
#
# $$\log\sigma(t) \;\ge\; \log\sigma(\xi) + \frac{t-\xi}{2} - \lambda(\xi)\,(t^2-\xi^2), \qquad \lambda(\xi) = \frac{\tanh(\xi/2)}{4\xi}.$$
#
# **Line 1.** Multiply numerator and denominator of $\sigma(t) = 1/(1+e^{-t})$ by $e^{t/2}$ and take logs: $\log\sigma(t) = \frac t2 + g(t^2)$, where
# $g(u) = -\log\bigl(e^{\sqrt u/2} + e^{-\sqrt u/2}\bigr)$. The sum of the two exponentials does not change when $t$ becomes $-t$, so it is a function of $u = t^2$.
#
# **Line 2.** Take $t > 0$, so that $\sqrt u = t$. The derivative of $-\log(e^{t/2}+e^{-t/2})$ by $t$ is $-\frac12\tanh\frac t2$, and $\frac{du}{dt} = 2t$. Hence $g'(u) = -\frac{\tanh(t/2)}{4t} = -\lambda(t)$.


# %%
def g(u):
    return -torch.log(torch.exp(u.sqrt() / 2) + torch.exp(-u.sqrt() / 2))


def lam(xi):
    return np.tanh(xi / 2) / (4 * xi)


u = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)  # t = 2
(slope,) = torch.autograd.grad(g(u), u)
print(f"line 1: log sigma(2) = {log_expit(2):.4f}, 2/2 + g(4) = {1 + g(u).item():.4f}")
print(f"line 2: g'(4) = {slope.item():.4f}, -lambda(2) = {-lam(2):.4f}")
np.testing.assert_allclose([1 + g(u).item(), slope.item()], [log_expit(2), -lam(2)])

# %% [markdown]
# **Line 3.** $g$ is convex. For this, $g'$ has to rise with $u$, so $\tanh(r)/r$ has to fall, where $r = t/2$. The derivative of $\tanh(r)/r$ by $r$ is $\frac{2r - \sinh 2r}{2r^2\cosh^2 r}$. It is negative, since $\sinh 2r > 2r$.
#
# **Line 4.** A convex curve lies above its tangents (section 2). The tangent at $u = \xi^2$: $g(t^2) \ge g(\xi^2) - \lambda(\xi)(t^2-\xi^2)$.
#
# **Line 5.** Add $\frac t2$, and put in $g(\xi^2) = \log\sigma(\xi) - \frac\xi2$ from line 1. That is the bound. It is **tight where the tangent touches, at $t = \pm\xi$**.


# %%
def quadratic(t, xi):
    return log_expit(xi) + (t - xi) / 2 - lam(xi) * (t**2 - xi**2)


t = np.linspace(-6, 6, 241)
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(t, log_expit(t), color="black", label=r"$\log\sigma(t)$")
for xi, style in ((0.5, "--"), (2.0, "-."), (4.0, ":")):
    (line,) = ax.plot(t, quadratic(t, xi), style, label=rf"bound, $\xi$ = {xi}")
    ax.plot([-xi, xi], log_expit([-xi, xi]), "o", color=line.get_color())
ax.set(xlabel="margin t", ylabel="log-likelihood (nats)", ylim=(-7, 0.5))
ax.legend(loc="lower right")
plotting.show(
    figure,
    "The curve log sigma of t rises to zero. Three parabolas lie below it, for xi 0.5, 2 and 4; each touches it at two "
    "points marked by dots, at minus xi and plus xi, and the wider parabolas touch farther out.",
)

# %%
r = np.linspace(0.01, 6, 600)
assert (2 * r - np.sinh(2 * r) < 0).all()
assert (np.diff(np.tanh(r) / r) < 0).all()
for xi in (0.5, 2.0, 4.0):
    assert (quadratic(t, xi) <= log_expit(t) + 1e-12).all()
    np.testing.assert_allclose(quadratic(np.array([-xi, xi]), xi), log_expit([-xi, xi]))
print("tanh(r)/r falls; the three parabolas lie below the curve and touch it at plus and minus xi.")

# %% [markdown]
# What is it good for? Suppose the weights are uncertain, so that the margin is Gaussian, $t \sim \mathcal N(m, \tau^2)$. The mean of $\log\sigma(t)$ has no closed form. The bound's mean has one: it needs only $\mathbb E[t] = m$ and
# $\mathbb E[t^2] = m^2+\tau^2$. Now choose $\xi$ to make it largest. Its derivative by $\xi$ is
#
# $$\underbrace{\sigma(-\xi) - \tfrac12 + 2\xi\lambda(\xi)}_{=\,0,\ \text{since}\ \sigma(-\xi) - \frac12 = -\frac12\tanh\frac\xi2} - \lambda'(\xi)\,\bigl(\mathbb E[t^2]-\xi^2\bigr).$$
#
# By line 3, $\lambda$ falls, so $-\lambda' > 0$. The bound rises as long as $\xi^2 < \mathbb E[t^2]$, and falls beyond. The best $\xi$ is $\sqrt{\mathbb E[t^2]}$. Two data points, two margins, and the truth by quadrature:


# %%
def expected_bound(m, tau, xi):
    return log_expit(xi) + (m - xi) / 2 - lam(xi) * (m**2 + tau**2 - xi**2)


xis, results = np.linspace(0.05, 6, 1191), []
for m, tau in ((0.5, 0.5), (3.0, 1.0)):
    truth, best_xi = stats.norm(m, tau).expect(log_expit), np.sqrt(m**2 + tau**2)
    at_best, at_two = expected_bound(m, tau, best_xi), expected_bound(m, tau, 2.0)
    results.append((truth, at_best, at_two, best_xi - xis[expected_bound(m, tau, xis).argmax()]))
    print(f"m {m}, tau {tau}: truth {truth:.3f}; bound {at_best:.3f} with xi = {best_xi:.2f}, {at_two:.3f} with xi = 2")

# %%
for truth, at_best, at_two, off_by in results:
    assert at_two < at_best < truth
    assert abs(off_by) < 0.01
print("The best xi of 1,191 tried is the square root of E[t^2], within 0.01, for both margins.")

# %% [markdown]
# This is a pattern that many *variational* methods share. There is an intractable quantity, and a tractable bound with a free parameter. One makes the bound as tight as one can. Here each data point has its own $\xi$. For the ELBO the free parameter is a whole distribution, $q$. It may be chosen anew for each picture, as in section 12, or by one encoder for all, as in section 13.
#
# ## Easy to forget
#
# - The ELBO is a property of the pair $(\theta, q)$. Two models with different encoders may differ in gap as well as in likelihood.
# - `elbo` is what one maximises; the loss is `-elbo`. The loss has no lower bound of zero here: log-densities may be positive.
# - The average over draws of $z$ is inside the log for $\mathcal L_K$, and outside for the ELBO. The average over pictures is always outside.
# - The gap of the ELBO vanishes when the *importance weights* are constant, not when $q$ is narrow.
#
# ## Summary
#
# - For a concave function, $\mathbb E[f(X)] \le f(\mathbb E[X])$, with equality if $X$ is constant, or $f$ straight over its range. For the log and a small spread, the gap is about $\operatorname{Var}/(2\,\mathrm{mean}^2)$.
# - $\log p(x) = \mathrm{ELBO} + \mathrm{KL}(q\Vert p(z\mid x))$: confirmed with a simulated posterior. The gap is zero only if $q$ is the posterior.
# - The ELBO has three terms: reconstruction, prior, and the entropy of $q$. The last two together are minus the KL to the prior.
# - Maximising a lower bound on $\log p(x)$ is minimising an upper bound on the loss, as logistic regression does with the error. Minimising a lower bound on a loss guarantees nothing.
# - The guarantee is for the mean of estimates. Over 20 % of single ones exceeded $\log p(x)$.
# - For fixed $q$, the ELBO is a curve over $\theta$ that touches $\log p_\theta(x)$ where $q$ is the posterior. EM climbs from one curve to the next.
# - At the ELBO's optimum the gap is never larger than at the likelihood's. In our model the ELBO's noise was over a fifth too large. More draws shrank this bias, most of all with widths chosen for them.
# - A VAE takes both gradients from one backward pass. Its encoder is shared by all pictures (amortised), which can add to the gap.
#
# **Back:** [04 · The KL divergence](04_kl_divergence.ipynb). **Next:** [06 · Reconstruction losses](06_reconstruction_losses.ipynb) looks at the first of the two terms.
#
# ## Try it
#
# 1. Compare `best_gaussian(0.8, 1.0)` with `log_p_x(0.8, 1.0)`. Predict first: is the gap smaller or larger than the 0.170 at $\theta = 0.4$? And at 0.2, 0.15 and 0.1? (Below 0.1 the search may fail: it finds widths finer than the grid.)
# 2. $\mathbb E_{p(z\mid x)}[\log w]$, with the expectation under the *posterior*, is an **upper** bound on $\log p(x)$. Show it by the second derivation with `kl(log_posterior, log_q)`, and check it on the grid. Then maximise it over the mean of $q$. What happens, and which row of section 10's table is that?
# 3. Restrict $q$ in section 12 to one width: write `np.full(60, 0.2)` for `np.geomspace(0.05, 1.2, 60)`. Does the ELBO's optimum move towards less noise or more? Is its bias larger? (The check below the table is about all widths, and stops with an error. Those of sections 15 and 16 may stop too.)
# 4. In section 9, try other widths: put `gaps_of(0.3)` for `gaps_of(2 * sigma)`, then others up to 2. Which has the best ELBO, which the best bound for $K = 5$, for $K = 50$? (The check below the table is about the width $2\sigma$, and stops with an error for most others.)
# 5. Move the ten far points of section 3 from `(8, 4)` to `(3, 1)`. Has line A still more errors than line B? (The check stops with an error: the bounds of the two lines now differ by less than 0.05.)
#
# **Exercise.** [Exercise 05](../work/ex05_jensen_elbo.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Jensen 1906, *Sur les fonctions convexes et les inégalités entre les valeurs moyennes*.
# - Jaakkola & Jordan 2000, *Bayesian parameter estimation via variational methods*.
# - Neal & Hinton 1998, *A view of the EM algorithm that justifies incremental, sparse, and other variants*.
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*, section 2.2; Rezende, Mohamed & Wierstra 2014.
# - Burda, Grosse & Salakhutdinov 2016, *Importance Weighted Autoencoders*, theorem 1.
# - Turner & Sahani 2011, *Two problems with variational expectation maximisation for time-series models*.
# - Cremer, Li & Duvenaud 2018, *Inference Suboptimality in Variational Autoencoders*.
