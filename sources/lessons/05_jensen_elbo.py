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
# We would like to train a model by making the data probable. With latents that means an integral over every $z$, and no network can do that integral.
# So a VAE maximises something else, the **evidence lower bound** (ELBO), which never exceeds the log-probability.
#
# **The question of this lesson: what does a VAE maximise, and what does that guarantee?** We take a model so small that the integral *can* be
# done, and watch the bound, its gap, and what training on it gets wrong.
#
# *You need:* expectations and derivatives; from [04 · The KL divergence](04_kl_divergence.ipynb) that $\mathrm{KL}(q\Vert p) \ge 0$, and zero only for $q = p$.
# *Time:* 70 minutes to read and try, some ten seconds to run.
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
from scipy import integrate, optimize, stats
from scipy.special import digamma, log_expit, logsumexp

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)

# %% [markdown]
# ## 1. Two numbers
#
# Take 0.2 and 0.8. Average, then take the logarithm; or take logarithms, then average.

# %%
pair = np.array([0.2, 0.8])
print(f"log of the mean:   log {pair.mean():.1f} = {np.log(pair.mean()):.3f}")
print(f"mean of the logs: ({np.log(0.2):.3f} {np.log(0.8):+.3f}) / 2 = {np.log(pair).mean():.3f}")
print(f"gap: {np.log(pair.mean()) - np.log(pair).mean():.3f} nats")

# %% [markdown]
# The mean of the logs is lower. The logarithm bends downwards, so the straight line between two points of its curve, the *chord*,
# lies below the curve. The mean of the logs sits on the chord, straight above the mean of the numbers.
#
# Move the two sliders. What closes the gap? There are three ways. (The dotted line is for the proof below.)


# %%
def chord(figure, low, weight):
    mean, mean_log = (1 - weight) * low + weight * 2, (1 - weight) * np.log(low) + weight * np.log(2)
    gap = np.log(mean) - mean_log
    ax, t = figure.subplots(), np.linspace(0.03, 2.3, 200)
    ax.plot(t, np.log(t), label="log")
    ax.plot([low, 2], np.log([low, 2]), "o--", label="chord")
    ax.plot(t, np.log(mean) + (t - mean) / mean, ":", label="tangent at the mean")
    ax.plot([mean, mean], [mean_log, np.log(mean)], color="black", lw=4, label="gap")
    ax.set(xlim=(0, 2.3), ylim=(-3.2, 1.6), xlabel="number", ylabel="logarithm (nats)")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return f"Log of the mean {np.log(mean):.2f}, mean of the logs {mean_log:.2f}, gap {gap:.2f} nats."


# %%
explore(
    chord,
    low=ipw.FloatSlider(description="smaller", min=0.05, max=2, step=0.05, value=0.2),
    weight=ipw.FloatSlider(description="weight of 2", min=0, max=1, step=0.05, value=0.5),
    stills=[
        {"low": low, "weight": weight}
        for low, weight in (
            (0.1, 0.5),
            (0.1, 0.7),
            (0.1, 0.9),
            (0.1, 1.0),
            (0.5, 0.5),
            (1.2, 0.5),
            (2.0, 0.5),
            (0.1, 0.0),
        )
    ],
    alt="The logarithm with a chord from a smaller number to 2, and the tangent at their mean. "
    "The chord lies below the curve, the tangent above it. A black bar marks the gap at the mean: long for 0.1 "
    "and 2 with equal weights, shorter when 2 has nine tenths of the weight, hardly visible for 1.2 and 2, and "
    "gone when all the weight is on one of them or the smaller number is 2 as well.",
)

# %% [markdown]
# Between 0.1 and 2 with equal weights the gap is wide (its size stands below the picture). An uneven weight narrows it, and so does a smaller number nearer to 2. The three ways to close it: equal numbers, all weight on the one, all on the other. Each
# time nothing varies any more.
#
# ## 2. Jensen's inequality, with its proof
#
# Let $X$ be any positive random quantity with mean $m = \mathbb E[X]$. Jensen (1906), for the logarithm:
#
# $$\log \mathbb E[X] \;\ge\; \mathbb E[\log X].$$
#
# **Proof.** Draw the tangent at $m$. How far is it above the curve at $t$? Call that
#
# $$h(t) = \log m + \frac{t-m}{m} - \log t, \qquad h(m) = 0, \qquad h'(t) = \frac1m - \frac1t .$$
#
# The slope is negative left of $m$ and positive right of it, so $h \ge 0$, and zero only at $m$. Average over $X$: the middle term has
# mean zero, so
#
# $$\mathbb E[h(X)] = \log m - \mathbb E[\log X] \;\ge\; 0 . \qquad\blacksquare$$
#
# Three gifts come with it. *The gap* is exactly the average of $h$. It is zero (the bound is **tight**) only if $X$ never leaves $m$: **if $X$ is constant**.
# And for small steps $h(t) \approx \frac{(t-m)^2}{2m^2}$ (the square term in Taylor's series of $-\log$), so *the gap is about* $\operatorname{Var}(X)/(2m^2)$.
#
# A test case with a known answer: $X$ of a gamma distribution with shape $k$ and scale 1 has mean $k$, variance $k$ and $\mathbb E[\log X] = \psi(k)$, the digamma function.


# %%
def h_times_density(t, X):
    m = X.mean()
    return (np.log(m) + (t - m) / m - np.log(t)) * X.pdf(t)


rule_off_by = {}
for k in (1, 10, 100):
    X, gap, rule = stats.gamma(k), np.log(k) - digamma(k), k / (2 * k**2)
    mean_h = integrate.quad(h_times_density, 0, k + 40 * np.sqrt(k), args=(X,), points=[k])[0]
    np.testing.assert_allclose(mean_h, gap, rtol=1e-6)
    rule_off_by[k] = abs(rule / gap - 1)
    print(f"k = {k:3}: gap {gap:.4f}, average of h {mean_h:.4f}, Var/(2 mean^2) {rule:.4f}")
assert rule_off_by[100] < 0.01
assert rule_off_by[1] > 0.1

# %% [markdown]
# The rule of thumb is within a hundredth for $k = 100$ and off by more than a tenth for $k = 1$, where $X$ varies as much as its mean is large. Remember it for section 10.
#
# The commonest slip follows at once. If the probability of a picture is an average over draws of $z$, the average belongs *inside* the logarithm; over pictures, outside. And since $e^{-1000}$ is zero to a computer,
# one factors out the largest term, which is what `logsumexp` does.

# %%
log_p = np.array([[-1000.0, -1003.0], [-1005.0, -1001.0]])  # (K draws, N pictures), in nats
right = (logsumexp(log_p, axis=0) - np.log(len(log_p))).mean()
print(f"log of the mean over draws, then mean over pictures: {right:.2f}")
print(f"the slip, a mean over everything:                    {log_p.mean():.2f}")
with np.errstate(divide="ignore"):
    print(f"without factoring out the largest: {np.log(np.exp(log_p).mean(0)).mean()}")
assert right > log_p.mean() + 1

# %% [markdown]
# ## 3. A bound you have met: logistic regression
#
# A linear classifier computes a *margin* $t = y\,w^\top x$ for a point $x$ with label $y = \pm 1$; it is right when $t > 0$. One would like to minimise
# the share of errors, but that is flat almost everywhere. Logistic regression minimises $-\log_2 \sigma(t) = \log_2(1 + e^{-t})$ instead, with $\sigma(t) = 1/(1+e^{-t})$. In base 2 it is
# an **upper bound** on the error: for $t \le 0$, $e^{-t} \ge 1$ makes it at least $\log_2 2 = 1$; for $t > 0$ it is at least 0.


# %%
def bits(t):
    return torch.nn.functional.softplus(-t) / np.log(2)  # softplus(u) = log(1 + e^u)


def wrong(t):
    return (t <= 0).double()  # a tie counts as an error


t = torch.linspace(-4, 4, 801, dtype=torch.float64)
assert (bits(t) >= wrong(t)).all()
for example in (-2.0, 0.0, 2.0):
    margin = torch.tensor(example, dtype=torch.float64)
    print(f"margin {example:4}: error {wrong(margin):.0f}, upper bound {bits(margin):.3f}")

# %% [markdown]
# Data: two overlapping clouds of 100 points in the plane, and ten points far out on the right that carry the label of the left cloud. A third input, always 1, gives the boundary its offset. We follow the gradient of the bound.

# %%
rng = np.random.default_rng(SEED)
clouds = [rng.normal((1.2, 0), 1, (100, 2)), rng.normal((-1.2, 0), 1, (100, 2)), rng.normal((8, 4), 0.3, (10, 2))]
inputs = torch.tensor(np.column_stack([np.concatenate(clouds), np.ones(210)]))  # (210, 3)
y = torch.tensor([1.0] * 100 + [-1.0] * 110, dtype=torch.float64)
print(tuple(inputs.shape), "inputs,", int((y > 0).sum()), "points with label +1")


# %%
def descend(loss, points, steps=100, rate=0.3):
    """Gradient descent on the mean loss of the margins of `points`; returns all weights (steps + 1, 3)."""
    w, path = torch.zeros(3, dtype=torch.float64), []
    for _ in range(steps + 1):
        path.append(w)
        w = w.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(y[points] * (inputs[points] @ w)).mean(), w)
        w = (w - rate * gradient).detach()
    return torch.stack(path)


# %%
falls = Prediction(
    "The bound falls at every one of 100 steps. What does the share of errors do?",
    ["it never rises", "it rises, by 5 percentage points at most", "it rises by more than that"],
)
falls.ask()

# %%
path = descend(bits, slice(None))
margins = y * (path @ inputs.T)  # (steps + 1, 210)
bound, errors = bits(margins).mean(1), wrong(margins).mean(1)
for step in (0, 1, 10, 100):
    print(f"step {step:3}: upper bound {bound[step]:.3f}, share of errors {errors[step]:.3f}")
assert (bound.diff() < 0).all()
assert (errors <= bound).all()

# %%
above = (errors[-1] - errors.min()).item()
falls.reveal(falls.choices[0 if (errors.diff() <= 0).all() else 1 if above <= 0.05 else 2])
assert above > 0.05
assert errors[1] < errors.min() + 0.05

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
left.plot(t, bits(t), label="logistic loss (bits)")
left.plot(t, wrong(t), "--", label="error (0 or 1)")
left.set(xlabel="margin t", ylabel="loss of one point", ylim=(0, 4))
right.plot(bound, label="mean logistic loss (bits)")
right.plot(errors, "--", label="share of errors")
right.set(xlabel="step", ylabel="mean over the points", xscale="symlog", ylim=(0, 1.05))
left.legend(), right.legend()
plotting.show(
    figure,
    "Left: the logistic loss falls smoothly from left to right and stays above the step of the 0/1 error; they "
    "touch at margin zero. Right: during descent the mean loss falls all the way from 1. The share of errors "
    "stays below it, drops at once to about its lowest, and then climbs again.",
)

# %% [markdown]
# The bound kept its promise: at no step were there more errors than it says. It promised no more. Its optimum is not the optimum of the error: to make ten hopeless points *less* wrong, it turns the line and gives up
# others. Fit without the ten, and count on all 210:

# %%
without = y * (inputs @ descend(bits, slice(0, 200))[-1])
print(f"fitted to all points:    bound {bound[-1]:.2f}, share of errors {errors[-1]:.2f}")
print(f"fitted without the ten:  bound {bits(without).mean():.2f}, share of errors {wrong(without).mean():.2f}")
assert bits(without).mean() > bound[-1] + 0.3
assert wrong(without).mean() < errors[-1] - 0.05

# %% [markdown]
# A worse bound, a better classifier. Keep two sentences in mind: **a bound certifies a value; its optimum may lie elsewhere.** Both return for the ELBO.
#
# ## 4. A bound with a free parameter
#
# The second bound is a lower one, on the log-likelihood $\log\sigma(t)$ itself (Jaakkola & Jordan 2000). It is quadratic in $t$, and has a free parameter $\xi$ (xi):
#
# $$\log\sigma(t) \;\ge\; \log\sigma(\xi) + \frac{t-\xi}{2} - \lambda(\xi)\,(t^2-\xi^2), \qquad \lambda(\xi) = \frac{\tanh(\xi/2)}{4\xi}.$$
#
# **Line 1.** Multiply numerator and denominator of $\sigma(t) = 1/(1+e^{-t})$ by $e^{t/2}$ and take logs: $\log\sigma(t) = \frac t2 + g(t^2)$, where
# $g(u) = -\log\bigl(e^{\sqrt u/2} + e^{-\sqrt u/2}\bigr)$. The sum does not change when $t$ becomes $-t$, so it is a function of $u = t^2$.
#
# **Line 2.** With $\sqrt u = t$, the derivative of $-\log(e^{t/2}+e^{-t/2})$ by $t$ is $-\frac12\tanh\frac t2$, and $\frac{du}{dt} = 2t$. Hence $g'(u) = -\frac{\tanh(t/2)}{4t} = -\lambda(t)$.


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
# **Line 3.** $g$ is convex (bends upwards): $g'$ rises with $u$, because $\tanh(s)/s$ falls with $s = t/2$. Its derivative is $\frac{2s - \sinh 2s}{2s^2\cosh^2 s}$, and $\sinh 2s > 2s$.
#
# **Line 4.** A convex curve lies above its tangents, just as the logarithm lies below its own. The tangent at $u = \xi^2$: $g(t^2) \ge g(\xi^2) - \lambda(\xi)(t^2-\xi^2)$.
#
# **Line 5.** Add $\frac t2$, and put in $g(\xi^2) = \log\sigma(\xi) - \frac\xi2$ from line 1. That is the bound. It is **tight where the tangent touches, at $t = \pm\xi$**.


# %%
s = np.linspace(0.01, 6, 600)
by_hand = (2 * s - np.sinh(2 * s)) / (2 * s**2 * np.cosh(s) ** 2)
assert (by_hand < 0).all()
torch_s = torch.tensor(s, requires_grad=True)
(autograd,) = torch.autograd.grad((torch.tanh(torch_s) / torch_s).sum(), torch_s)
np.testing.assert_allclose(by_hand, autograd.numpy(), atol=1e-9)
print(f"line 3: from s = {s[0]} to {s[-1]:.0f} the derivative agrees with autograd, and is below zero")


# %%
def quadratic(t, xi):
    return log_expit(xi) + (t - xi) / 2 - lam(xi) * (t**2 - xi**2)


t = np.linspace(-6, 6, 241)
for xi in (0.5, 2.0, 4.0):
    assert (quadratic(t, xi) <= log_expit(t) + 1e-12).all()
    np.testing.assert_allclose(quadratic(np.array([-xi, xi]), xi), log_expit([-xi, xi]))
    print(f"xi = {xi}: gap at t = 1 {log_expit(1) - quadratic(1, xi):.3f}, at t = +-xi 0")

# %%
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

# %% [markdown]
# Why bother? Suppose the weights are uncertain, so that the margin is Gaussian, $t \sim \mathcal N(m, s^2)$. The mean of $\log\sigma(t)$ has no closed form, but the bound's has: it needs only $\mathbb E[t] = m$ and
# $\mathbb E[t^2] = m^2+s^2$. Now choose $\xi$ to make it largest. Its derivative by $\xi$ is
#
# $$\underbrace{\sigma(-\xi) - \tfrac12 + 2\xi\lambda(\xi)}_{=\,0,\ \text{since}\ \sigma(-\xi) - \frac12 = -\frac12\tanh\frac\xi2} - \lambda'(\xi)\,\bigl(\mathbb E[t^2]-\xi^2\bigr).$$
#
# By line 3, $\lambda(\xi) = \frac{\tanh s}{8s}$ with $s = \frac\xi2$ falls, so $-\lambda' > 0$: the bound rises as long as $\xi^2 < \mathbb E[t^2]$ and falls beyond. The best $\xi$ is $\sqrt{\mathbb E[t^2]}$. Two data points, two margins, and the truth by quadrature:


# %%
def expected_bound(m, s, xi):
    return log_expit(xi) + (m - xi) / 2 - lam(xi) * (m**2 + s**2 - xi**2)


def log_sigma_times_density(t, m, s):
    return log_expit(t) * stats.norm.pdf(t, m, s)


# %%
xis = np.linspace(0.05, 6, 1191)
assert (np.diff(lam(xis)) < 0).all()
print(f"lambda falls from {lam(xis[0]):.3f} at xi = {xis[0]:.2f} to {lam(xis[-1]):.3f} at {xis[-1]:.0f}")
for m, s in ((0.5, 0.5), (3.0, 1.0)):
    truth = integrate.quad(log_sigma_times_density, m - 9 * s, m + 9 * s, args=(m, s))[0]
    best_xi = np.sqrt(m**2 + s**2)
    at_best, at_two = expected_bound(m, s, best_xi), expected_bound(m, s, 2.0)
    rises = np.diff(expected_bound(m, s, xis)) > 0
    np.testing.assert_array_equal(rises[xis[1:] < best_xi], True)
    np.testing.assert_array_equal(rises[xis[:-1] > best_xi], False)
    assert at_two < at_best < truth
    print(f"m = {m}, s = {s}: truth {truth:.3f}; bound {at_best:.3f} with xi = {best_xi:.2f}, {at_two:.3f} with xi = 2")

# %% [markdown]
# This is the pattern of all *variational* methods. An intractable quantity; a tractable bound with a free parameter; **the parameter is optimised for each data point**, since each wants its own $\xi$. In a
# VAE the free parameter is not a number but a whole distribution, $q(z\mid x)$, one for each picture.
#
# ## 5. The ELBO by hand: a latent coin
#
# The smallest latent-variable model: $z$ is a fair coin, $p(z) = \frac12$; the one pixel $x$ is ink with probability 0.2 if $z = 0$ and 0.8 if $z = 1$. We see ink. Then $p(x) = \frac12\cdot 0.2 + \frac12\cdot 0.8 = 0.5$, and the *posterior*, what $z$ probably was, is
# $p(z\mid x) = p(x,z)/p(x) = (0.2, 0.8)$. Take any distribution $q(z)$ that is positive for every $z$, at first $q = (\frac12,\frac12)$.
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
print(f"log sum p(x, z)        {np.log(joint.sum()):.3f}")
print(f"log sum q p(x, z) / q  {np.log((q * joint / q).sum()):.3f}")
print(f"log mean of w          {np.log((q * weights).sum()):.3f}   with w = {weights}")
print(f"mean of log w = ELBO  {coin_elbo:.3f}")
np.testing.assert_allclose(coin_elbo, np.log(pair).mean())

# %% [markdown]
# The numbers of section 1 again: the weights are 0.2 and 0.8.
#
# **Second derivation, with an equals sign.** It says *what* Jensen gave away.
#
# $$\begin{aligned}
# \log p(x) &= \mathbb E_q[\log p(x)] && \text{(no } z \text{ in it: a constant)}\\
# &= \mathbb E_q\Bigl[\log \tfrac{p(x,z)}{p(z\mid x)}\Bigr] && \text{(product rule: } p(x,z) = p(x)\,p(z\mid x))\\
# &= \mathbb E_q\Bigl[\log \tfrac{p(x,z)}{q(z)}\Bigr] + \mathbb E_q\Bigl[\log \tfrac{q(z)}{p(z\mid x)}\Bigr] && \text{(multiply and divide by } q)\\
# &= \mathrm{ELBO} + \mathrm{KL}\bigl(q(z)\,\Vert\,p(z\mid x)\bigr) && \text{(definition of KL)}
# \end{aligned}$$

# %%
posterior = joint / joint.sum()
kl_coin = (q * np.log(q / posterior)).sum()
lines = [np.log(0.5), (q * np.log(joint / posterior)).sum(), (q * np.log(joint / q)).sum() + kl_coin]
print("the lines:", np.round(lines, 3), f"  ELBO {coin_elbo:.3f} + KL {kl_coin:.3f}")
np.testing.assert_allclose(lines, np.log(0.5))
print(f"q = posterior: weights {joint / posterior}, ELBO {(posterior * np.log(joint / posterior)).sum():.3f}")

# %% [markdown]
# **The gap is the KL divergence from $q$ to the posterior.** With $q$ equal to the posterior every weight is $p(x)$: the variable is constant, Jensen is tight, as section 2 said.
#
# ## 6. A pixel that saturates
#
# Now a continuous $z$, still one pixel: $p(z) = \mathcal N(0, 1)$ and $p_\theta(x\mid z) = \mathcal N\bigl(x;\ \tanh(3z),\ \theta^2\bigr)$. The decoder is the curve $\tanh(3z)$, from dark (−1) to bright (+1); $\theta$ is the noise of the
# pixel, 0.4 for now. All logs of densities below are in nats. By hand, for the pixel $x = 0.8$ and $z = 0$: $\log p(z) = -\frac12\log 2\pi = -0.919$; the pixel is two standard deviations off, so
# $\log p(x\mid z) = -0.919 - \log 0.4 - \frac12\,2^2 = -2.003$.


# %%
def log_gaussian(value, mean, sd):
    return -0.5 * np.log(2 * np.pi) - np.log(sd) - 0.5 * ((value - mean) / sd) ** 2


def log_p_x_given_z(x, z, theta):
    return log_gaussian(x, np.tanh(3 * z), theta)


def log_joint(x, z, theta):
    return log_gaussian(z, 0, 1) + log_p_x_given_z(x, z, theta)


print(f"log p(x|z) {log_p_x_given_z(0.8, 0.0, 0.4):.3f}, log p(x, z) {log_joint(0.8, 0.0, 0.4):.3f}")
np.testing.assert_allclose(log_joint(0.8, 0.0, 0.4), stats.norm.logpdf(0) + stats.norm.logpdf(0.8, 0, 0.4))

# %% [markdown]
# Sums over $z$ become integrals, on a fine grid. The definitions are those of the coin. `log_q` holds $\log q(z)$ at the points of the grid.

# %%
grid = np.linspace(-10, 10, 2001)


def area(values):  # (..., 2001) -> (...): the integral over z
    return np.trapezoid(values, grid)


def log_p_x(x, theta):
    """log of the integral of p(x, z) over z."""
    return np.log(area(np.exp(log_joint(x, grid, theta))))


def elbo(x, log_q, theta):
    """E_q[log p(x, z) - log q(z)]."""
    return area(np.exp(log_q) * (log_joint(x, grid, theta) - log_q))


def kl(log_q, log_p):
    return area(np.exp(log_q) * (log_q - log_p))


# %% [markdown]
# Is the grid good enough? scipy's adaptive quadrature knows nothing of it, nor its densities of ours.


# %%
def joint_density(z, x, theta):
    return stats.norm.pdf(z) * stats.norm.pdf(x, np.tanh(3 * z), theta)


x, theta = 0.8, 0.4
exact, evidence = log_p_x(x, theta), integrate.quad(joint_density, -8, 8, args=(x, theta), points=[0, 1])[0]
np.testing.assert_allclose(exact, np.log(evidence), rtol=1e-6)
print(f"log p(x) {exact:.4f}, by scipy {np.log(evidence):.4f}")

# %% [markdown]
# ## 7. The gap, seen
#
# Move the mean and the width of $q = \mathcal N(\mu, \sigma^2)$ until it covers the posterior as well as it can. The lower picture shows the ELBO for every mean at the chosen width, the log-probability as a flat line, and the
# gap as a bar. Can you close it?

# %%
log_posterior = log_joint(x, grid, theta) - exact
print(f"area under the posterior {area(np.exp(log_posterior)):.6f}")
centres = np.linspace(-1, 2.5, 71)


# %%
def slide_q(figure, mu, sigma):
    top, bottom = figure.subplots(2, 1, sharex=True)
    log_q = log_gaussian(grid, mu, sigma)
    top.plot(grid, np.exp(log_posterior))
    top.plot(grid, np.exp(log_q), "--")
    top.set(ylabel="density", ylim=(0, 2), xlim=(-1, 2.5), title="posterior, and q (dashed)")
    value, gap = elbo(x, log_q, theta), kl(log_q, log_posterior)
    top.text(-0.95, 1.9, f"   ELBO {value:.2f}\n+ KL {gap:.2f}\n= {value + gap:.2f}", va="top", fontsize="small")
    bottom.plot(centres, elbo(x, log_gaussian(grid, centres[:, None], sigma), theta), "--", color="C1", label="ELBO")
    bottom.axhline(exact, color="C0", label="log p(x)")
    bottom.plot([mu, mu], [value, exact], color="black", lw=4, label="gap")
    bottom.set(xlabel="z, and the mean of q", ylabel="nats", ylim=(-6.5, 0.2))
    figure.legend(fontsize="small", ncols=3, loc="outside lower center")
    return (
        f"ELBO {value:.2f}, KL to the posterior {gap:.2f}, their sum {value + gap:.2f} nats; log p(x) is {exact:.2f}."
    )


# %%
explore(
    slide_q,
    mu=ipw.FloatSlider(description="mean of q", min=-1, max=2.5, step=0.05, value=0),
    sigma=ipw.FloatSlider(description="width of q", min=0.2, max=1.5, step=0.02, value=1),
    stills=[
        {"mu": mu, "sigma": sigma}
        for mu, sigma in (
            (0.0, 1.0),
            (0.5, 0.6),
            (1.0, 0.2),
            (0.85, 0.3),
            (0.85, 0.8),
            (0.85, 1.2),
            (0.85, 0.6),
            (0.85, 0.46),
        )
    ],
    size=(4.5, 4.5),
    alt="Above, the skewed posterior, which rises steeply near zero and falls slowly towards "
    "two, and a dashed Gaussian q; below, the dashed ELBO against the mean of q, under the flat line of "
    "log p(x). With q the prior the black gap is long; with a narrow or a wide q it is shorter; with the best "
    "Gaussian it is short, but not zero.",
)

# %% [markdown]
# At mean 0 and width 1, $q$ is the prior; at mean 1 and width 0.2 it is too narrow, at 0.85 and 1.2 too wide, and at 0.85 and 0.46 nearly the best Gaussian; ELBO and KL stand beside the curves. You cannot close the gap: the posterior is skewed (every $z$ well above zero draws a bright pixel, none below zero does), and a Gaussian is not.
#
# Now the claim itself. As $q$ moves, the ELBO and the KL both change; **their sum does not**. On one grid that could not fail, as both use the same points. So scipy integrates
# each by itself, over points of its own choice.


# %%
def elbo_density(z, q):
    return q.pdf(z) * (np.log(joint_density(z, x, theta)) - q.logpdf(z))


def kl_density(z, q):
    return q.pdf(z) * (q.logpdf(z) - np.log(joint_density(z, x, theta) / evidence))


print("  mean  width     ELBO       KL      sum")
for mu, sigma in ((0, 1), (0.85, 1), (0.85, 0.46), (0.85, 0.2), (-0.5, 0.46)):
    q, log_q, ends = stats.norm(mu, sigma), log_gaussian(grid, mu, sigma), (mu - 9 * sigma, mu + 9 * sigma)
    value = integrate.quad(elbo_density, *ends, args=(q,), points=[0])[0]
    gap = integrate.quad(kl_density, *ends, args=(q,), points=[0])[0]
    np.testing.assert_allclose([elbo(x, log_q, theta), kl(log_q, log_posterior)], [value, gap], rtol=1e-6)
    np.testing.assert_allclose(value + gap, exact, rtol=1e-6)
    print(f"{mu:6.2f} {sigma:6.2f} {value:8.3f} {gap:8.3f} {value + gap:8.3f}")

# %% [markdown]
# This is why one may train the encoder on the ELBO without ever knowing the posterior: for fixed $\theta$, raising the ELBO *is* lowering $\mathrm{KL}(q\Vert p(z\mid x))$. Nothing forces $q$ to be Gaussian: for the coin, the posterior itself closed the gap. How near does a Gaussian come?


# %%
def minus_elbo(parameters):
    mu, log_sigma = parameters
    return -elbo(x, log_gaussian(grid, mu, np.exp(log_sigma)), theta)


best = optimize.minimize(minus_elbo, [0.5, -0.5])
mu, sigma, best_elbo = best.x[0], np.exp(best.x[1]), -best.fun
print(f"best Gaussian: mean {mu:.2f}, width {sigma:.2f}, ELBO {best_elbo:.3f}, gap {exact - best_elbo:.3f} nats")
assert exact - best_elbo > 0.1

# %% [markdown]
# ## 8. Reconstruction minus regularisation
#
# A VAE's loss is usually introduced as two parts: *draw the picture well* and *keep $q$ near the prior*. Where do they come from? From splitting one joint probability, $p(x,z) = p(x\mid z)\,p(z)$:
#
# $$\mathrm{ELBO} = \mathbb E_q\Bigl[\log\frac{p(x\mid z)\,p(z)}{q(z)}\Bigr] = \underbrace{\mathbb E_q[\log p(x\mid z)]}_{\text{reconstruction}} - \underbrace{\mathbb E_q\Bigl[\log\frac{q(z)}{p(z)}\Bigr]}_{\mathrm{KL}(q\Vert p(z))}.$$


# %%
def two_parts(x, mu, sigma, theta):
    log_q = log_gaussian(grid, mu, sigma)
    reconstruction = area(np.exp(log_q) * log_p_x_given_z(x, grid, theta))
    return reconstruction, kl(log_q, log_gaussian(grid, 0, 1))


# %%
print("q              reconstruction  KL to prior     ELBO")
for name, (m, s) in {"prior": (0.0, 1.0), "narrow": (0.85, 0.1), "best Gaussian": (mu, sigma)}.items():
    reconstruction, kl_prior = two_parts(x, m, s, theta)
    closed_form = kl_to_standard_normal(*torch.tensor([[m], [2 * np.log(s)]], dtype=torch.float64)).item()
    np.testing.assert_allclose(kl_prior, closed_form, atol=1e-9)
    np.testing.assert_allclose(reconstruction - kl_prior, elbo(x, log_gaussian(grid, m, s), theta))
    print(f"{name:14} {reconstruction:14.2f} {kl_prior:12.2f} {reconstruction - kl_prior:8.2f}")

# %% [markdown]
# The prior pays no KL and draws badly; the narrow $q$ draws best and pays too much for it; the best one balances. **Both come from the likelihood of the data**, and their weights, 1 and 1, come with them:
# weigh them otherwise (β-VAE, [lesson 07](07_training_a_vae.ipynb)) and the sum is a different objective. Do not confuse the two KLs: the one to the *prior* is part of the ELBO and can be computed; the one to the *posterior* is its gap and cannot.
#
# ## 9. Without quadrature: one draw
#
# With 20 latents there is no grid. But the ELBO is a mean over $q$, and a mean can be estimated: draw $z \sim q$, compute $\log w = \log p(x,z) - \log q(z)$.

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
error = estimates.std(ddof=1) / np.sqrt(len(estimates))
share = (estimates > exact).mean()
exceed.reveal(exceed.choices[0 if share == 0 else 1 if share < 0.1 else 2])
print(f"mean of 10,000 draws: {estimates.mean():.2f}; ELBO by quadrature {best_elbo:.2f}; log p(x) {exact:.2f}")

# %%
assert abs(estimates.mean() - best_elbo) < 4 * error
assert 0.2 < share < 0.4
assert estimates.mean() + 4 * error < exact
print(f"{share:.0%} of the draws lie above log p(x); their mean is within 4 standard errors of the ELBO.")

# %% [markdown]
# **The guarantee holds on average.** One draw may overshoot, and so may one minibatch. A reported ELBO is a certificate only with its standard error: $\log p(x)$ is at least the mean of many draws, up to their noise.
#
# ## 10. More draws, a tighter bound
#
# Average $K$ weights *before* taking the logarithm (Burda et al. 2016):
#
# $$\mathcal L_K = \mathbb E\Bigl[\log \frac1K\sum_{k=1}^K w_k\Bigr], \qquad z_k \sim q \text{ independently}; \qquad \mathcal L_1 = \mathrm{ELBO}.$$
#
# The mean of the $w_k$ still has expectation $p(x)$, so by Jensen $\mathcal L_K \le \log p(x)$. And **it never falls with $K$**. The mean of $K$ weights is the average, over which weight
# one leaves out, of the means of the other $K-1$. Jensen on that average of $K$ numbers:
#
# $$\log \bar w_{1..K} = \log\frac1K\sum_i \bar w_{\text{without } i} \;\ge\; \frac1K\sum_i \log \bar w_{\text{without } i}.$$
#
# On the right each term has expectation $\mathcal L_{K-1}$. So $\mathcal L_K \ge \mathcal L_{K-1}$. The line holds for every single draw, which we can check:

# %%
w = np.exp(estimates).reshape(2000, 5)
left_out = (w.sum(1, keepdims=True) - w) / 4  # (2000, 5): the mean of the other four
np.testing.assert_allclose(left_out.mean(1), w.mean(1))
log_mean, mean_logs = np.log(w.mean(1)), np.log(left_out).mean(1)
assert (log_mean >= mean_logs).all()
print("K = 5 weights    ", w[0].round(3))
print("means without one", left_out[0].round(3))
print(f"log of the mean {log_mean[0]:.4f} >= mean of the logs {mean_logs[0]:.4f}; so in all 2,000")


# %%
def k_sample_bound(log_w):  # (..., K) -> (...): unbiased for L_K
    return logsumexp(log_w, axis=-1) - np.log(log_w.shape[-1])


# %%
noise, gaps = np.random.default_rng(SEED).standard_normal((40_000, 50)), {}
for name, width in (("best Gaussian", sigma), ("twice as wide", 2 * sigma)):
    log_w = log_weight(x, mu + width * noise, mu, width, theta)
    values = np.array([exact - k_sample_bound(log_w[:, :K]) for K in (1, 5, 50)])  # (3, 40000)
    gaps[name] = np.stack([values.mean(1), values.std(1, ddof=1) / 200], axis=1)  # (3, 2), with standard errors
    for K, (gap, error) in zip((1, 5, 50), gaps[name], strict=True):
        print(f"{name}, K = {K:2}: gap {gap:.4f} +- {error:.4f} nats")

# %% [markdown]
# By the rule of thumb of section 2 ten times the draws leave a tenth of the gap, as $\bar w$ has variance $\operatorname{Var}(w)/K$. From 5 to 50 the wide $q$ roughly obeys, the best Gaussian does not: its
# $\operatorname{Var}(w)$ is infinite. Far out $p(x,z)$ falls off like the prior, so $q\,w^2 = p(x,z)^2/q$ goes like $e^{-z^2 + (z-\mu)^2/2\sigma^2}$, which grows when $\sigma^2 < \frac12$. Over wider and wider ranges:


# %%
def square_of_weight_times_density(z, q):
    return joint_density(z, x, theta) ** 2 / q.pdf(z)


for name, width in (("best Gaussian", sigma), ("twice as wide", 2 * sigma)):
    q = stats.norm(mu, width)
    squares = [integrate.quad(square_of_weight_times_density, -R, R, args=(q,), points=[0, 1])[0] for R in (3, 4, 5)]
    print(f"{name}: E[w^2] / p(x)^2 up to |z| = 3, 4, 5:", " ".join(f"{v / evidence**2:.2g}" for v in squares))
rule = (squares[-1] / evidence**2 - 1) / (2 * 50)  # of the wide q: Var(w) / (2 K p(x)^2)
print(f"rule of thumb for the wide q, K = 50: {rule:.4f} nats")

# %%
best, wide = gaps["best Gaussian"], gaps["twice as wide"]
for table in (best, wide):
    assert (np.diff(table[:, 0]) < -8 * table[:-1, 1]).all()
assert abs(wide[2, 0] - rule) < 4 * wide[2, 1]
assert best[1, 0] / best[2, 0] < 6 < 7.5 < wide[1, 0] / wide[2, 0]
assert wide[0, 0] > 3 * best[0, 0]
assert best[2, 0] - wide[2, 0] > 4 * np.hypot(best[2, 1], wide[2, 1])
print("Gap of the wide q: over 3 times that of the best at K = 1, smaller at K = 50, divided by over 7.5 from K = 5.")

# %% [markdown]
# A $q$ with thinner tails than the posterior can win at $K = 1$ and lose at 50: the few draws that would count most hardly ever come. [Lesson 10](10_how_tight_is_the_bound.ipynb) goes on from here.
#
# ## 11. Which bound, in which direction?
#
# Multiply $\mathrm{ELBO} \le \log p(x)$ by −1: $-\mathrm{ELBO} \ge -\log p(x)$. So each row has two names for one thing:
#
# | seen from the loss $-\log p(x)$ | seen from $\log p(x)$ | what it says about the loss |
# |---|---|---|
# | *minimise* an *upper* bound | *maximise* a *lower* bound | a ceiling comes down; the loss stays under it |
# | *minimise* a *lower* bound | *maximise* an *upper* bound | nothing: a floor sinks; above it the loss may go anywhere |
#
# A VAE, like logistic regression, is in the first row. To see the second fail, take section 3's loss, which is convex, so that its tangent at $t = 0$ is a floor: $\log_2(1+e^{-t}) \ge 1 - \frac{t}{2\log 2}$. Minimise the floor.


# %%
def floor(t):
    return 1 - t / (2 * np.log(2))


# %%
down = descend(floor, slice(None), steps=400)
margins = y * (down @ inputs.T)
floors, losses = floor(margins).mean(1), bits(margins).mean(1)
assert (floors <= losses).all()
assert (floors.diff() < 0).all()
for step in (0, 1, 10, 100, 400):
    print(f"step {step:3}: lower bound {floors[step]:7.2f}, logistic loss {losses[step]:6.2f} bits")
assert floors[-1] < -20
assert losses.min() < losses[0] < losses[-1] / 10

# %% [markdown]
# The floor sinks, and the loss, after a short dip, rises to dozens of bits. No step broke the inequality; the inequality just says nothing here.
#
# ## 12. Is training on the bound stricter?
#
# In one sense yes: $\mathrm{ELBO} = \log p_\theta(x) - \mathrm{KL}(q\Vert p_\theta(z\mid x))$ demands of the decoder that the data be probable *and* that the second term be small.
# But is stricter closer to the truth? We measure. 500 pixels from our model with true noise $\theta = 0.4$; then we pretend not to know $\theta$ and fit it twice, by exact likelihood and by the ELBO.

# %%
pull = Prediction(
    "The ELBO uses the best Gaussian q for every pixel and every theta. Against the likelihood's choice, it wants",
    ["less noise, by over a tenth", "the same within a tenth", "more noise, by over a tenth"],
)
pull.ask()

# %% [markdown]
# For every pixel and every $\theta$ we need the best $q$. No encoder, so that nothing else can be blamed: we try 7,260 Gaussians for each pixel. The expectation of $\log p_\theta(x\mid z)$ needs only the means of $\tanh(3z)$ and of its square under $q$,
# because $\mathbb E_q(x - f)^2 = x^2 - 2x\,\mathbb E_q f + \mathbb E_q f^2$.

# %%
rng = np.random.default_rng(SEED)
pixels = np.tanh(3 * rng.standard_normal(500)) + 0.4 * rng.standard_normal(500)  # (N,)
mus, sigmas = (a.ravel() for a in np.meshgrid(np.linspace(-3, 3, 121), np.geomspace(0.05, 1.2, 60)))  # (7260,) each
nodes, node_weights = np.polynomial.hermite_e.hermegauss(80)  # Gauss-Hermite quadrature for standard normal noise
f = np.tanh(3 * (mus[:, None] + sigmas[:, None] * nodes))
mean_f, mean_f2 = (power @ node_weights / node_weights.sum() for power in (f, f**2))
kl_table = 0.5 * (mus**2 + sigmas**2 - 1 - 2 * np.log(sigmas))
print(f"{len(pixels)} pixels, {len(mus):,} Gaussians; under the first, KL to the prior {kl_table[0]:.2f}")


# %%
def best_q(x, theta):
    """The largest ELBO of each pixel (N,) over all Gaussians of the table, and which Gaussian that is."""
    squared = x[:, None] ** 2 - 2 * x[:, None] * mean_f + mean_f2  # (N, 7260)
    table = -0.5 * np.log(2 * np.pi) - np.log(theta) - squared / (2 * theta**2) - kl_table
    return table.max(1), table.argmax(1)


# %% [markdown]
# Two checks: against the grid's `elbo` for three pixels, and against the optimiser of section 7.

# %%
values, which = best_q(pixels[:3], 0.4)
on_grid = elbo(pixels[:3, None], log_gaussian(grid, mus[which, None], sigmas[which, None]), 0.4)
np.testing.assert_allclose(values, on_grid, rtol=1e-4)
np.testing.assert_allclose(best_q(np.array([x]), theta)[0], best_elbo, atol=2e-3)
print("ELBO by table", values.round(3), "by grid", on_grid.round(3))

# %% [markdown]
# For every $\theta$: the exact log-likelihood per pixel, the ELBO, and the $K$-sample bounds for $K = 5$ and 50. Those need draws: 20 repeats, each of 50 draws a pixel, with the same noise for all $\theta$. (Their $q$ is the best for $K = 1$.)

# %%
thetas = np.arange(0.3, 0.76, 0.025)
noise = rng.standard_normal((20, 500, 50))
curves = {"exact": [], "ELBO": [], "K = 5": [], "K = 50": []}
for th in thetas:
    value, which = best_q(pixels, th)
    m, s = mus[which, None], sigmas[which, None]  # (N, 1)
    log_w = log_weight(pixels[:, None], m + s * noise, m, s, th)  # (20, N, 50)
    curves["exact"].append(log_p_x(pixels[:, None], th).mean())
    curves["ELBO"].append(value.mean())
    curves["K = 5"].append(k_sample_bound(log_w.reshape(20, 500, 10, 5)).mean((1, 2)))
    curves["K = 50"].append(k_sample_bound(log_w).mean(1))
curves = {name: np.array(curve) for name, curve in curves.items()}  # (19,), and (19, 20) for the repeats
print("at theta = 0.4:", {name: curve[4].mean().round(3).item() for name, curve in curves.items()})


# %%
def peak(curve):
    """Where a curve over `thetas` is highest: the top of the parabola through its three highest points."""
    i = curve.argmax()
    below, top, after = curve[i - 1 : i + 2]
    return thetas[i] + 0.5 * (thetas[1] - thetas[0]) * (below - after) / (below - 2 * top + after)


optimum = {name: np.array([peak(c) for c in np.atleast_2d(curve.T)]) for name, curve in curves.items()}
for name, tops in optimum.items():
    spread = f" +- {tops.std(ddof=1) / np.sqrt(len(tops)):.3f}" if len(tops) > 1 else ""
    print(f"{name:6} is highest at theta = {tops.mean():.2f}{spread}")

# %%
ratio = optimum["ELBO"][0] / optimum["exact"][0]
pull.reveal(pull.choices[0 if ratio < 0.9 else 2 if ratio > 1.1 else 1])
five, fifty = optimum["K = 5"], optimum["K = 50"]
steps = {
    "ELBO to K = 5": optimum["ELBO"][0] - five,
    "5 to 50": five - fifty,
    "50 to exact": fifty - optimum["exact"][0],
}
for name, step in steps.items():  # the same noise in both, so compared repeat by repeat
    assert step.mean() > 4 * step.std(ddof=1) / np.sqrt(20), name
assert ratio > 1.25
print("The ELBO's noise is over a quarter too large; K = 5 and K = 50 shrink the bias, each by over 4 standard errors.")

# %%
figure, ax = plt.subplots(figsize=(7, 3.6))
for (name, curve), style in zip(curves.items(), ("-", "--", ":", "-."), strict=True):
    average = curve if curve.ndim == 1 else curve.mean(1)
    (line,) = ax.plot(thetas, average, style, label="log p(x), exact" if name == "exact" else name)
    ax.plot(optimum[name].mean(), average.max(), "o", color=line.get_color())
ax.set(xlabel=r"noise $\theta$ of the decoder", ylabel="nats per pixel, mean over 500")
ax.axvline(0.4, color="grey", lw=1, label="true noise")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plotting.show(
    figure,
    "Four hills over the noise of the decoder. The exact log-likelihood is the highest curve and peaks near "
    "the true noise 0.4. Below it lie, in this order, the bounds for K = 50, K = 5 and the ELBO; the lower the "
    "curve, the farther right its peak, up to more than 0.5 for the ELBO. The curves draw closer to one "
    "another to the right.",
)

# %% [markdown]
# Same data, same model, the best Gaussian for each pixel, and still the ELBO wants a noisier decoder. The gap tells why. It falls all the way to the right, as the next cell asserts: with more noise the posteriors are smeared, and a Gaussian fits them better. The ELBO trades probability of the data for posteriors that are
# easy to match (Turner & Sahani 2011 found the same in time series).

# %%
i, j = curves["exact"].argmax(), curves["ELBO"].argmax()
gap = curves["exact"] - curves["ELBO"]
for name, k in (("likelihood's", i), ("ELBO's", j)):
    print(f"at the {name:12} optimum: log p {curves['exact'][k]:.2f}, ELBO {curves['ELBO'][k]:.2f}, gap {gap[k]:.2f}")
assert (np.diff(gap) < 0).all()
assert curves["ELBO"][j] - curves["ELBO"][i] > 0.015
assert curves["exact"][i] - curves["exact"][j] > 0.02
print("From one optimum to the other the ELBO rises by over 0.015 nats, and log p falls by over 0.02.")

# %% [markdown]
# A better ELBO and a worse model, as in section 3. So, to the question:
#
# - **Guaranteed:** the average $\log p(x)$ is at least the ELBO, whatever $q$ is. A bad $q$ can only make you look worse than you are, on average over draws.
# - **Not guaranteed:** that the better of two ELBOs belongs to the better model, or that the ELBO's optimum is the likelihood's. The difference is the gap, and the gap depends on $\theta$.
# - The bias shrank with $K$; it did not vanish at $K = 50$. It is gone if $q$ can be the posterior; whether a larger family always means less bias, try for yourself (Try it 3).
#
# ## Easy to forget
#
# - The ELBO is a property of the pair $(\theta, q)$. Two models with different encoders may differ in gap as well as in likelihood.
# - `elbo` is what one maximises; the loss is `-elbo`. Losses have no lower bound of zero here: log-densities may be positive.
# - The average over draws of $z$: inside the log for $\mathcal L_K$, outside for the ELBO. The average over pictures: always outside.
# - Jensen's gap vanishes when the *weights* are constant, not when $q$ is narrow.
#
# ## Summary
#
# - The mean of logs is at most the log of the mean. The gap is about $\operatorname{Var}/(2\,\mathrm{mean}^2)$ and zero only for a constant.
# - $\log p(x) = \mathrm{ELBO} + \mathrm{KL}(q\Vert p(z\mid x))$: the sum stayed the same for every $q$ we tried; for $q$ the posterior the gap was 0.
# - Reconstruction and regularisation are the two factors of one joint density.
# - Maximising a lower bound on $\log p(x)$ is minimising an upper bound on the loss, as logistic regression does with the error. Minimising a lower bound on a loss guarantees nothing.
# - One-draw estimates exceed $\log p(x)$ at times; the guarantee is for their mean.
# - The optimum of a bound is biased towards where the bound is tight: noise over a quarter too large here; less with $K = 5$, less again with $K = 50$.
#
# **Back:** [04 · The KL divergence](04_kl_divergence.ipynb). **Next:** [06 · Reconstruction losses](06_reconstruction_losses.ipynb) looks at what stands in the first of the two parts.
#
# ## Try it
#
# 1. In section 6, set `theta = 1.0` and run section 7 again. Predict first: is the best Gaussian's gap smaller or larger? And at 0.2?
# 2. $\mathbb E_{p(z\mid x)}[\log w]$, with the expectation under the *posterior*, is an **upper** bound on $\log p(x)$. Show it by the second derivation with `kl(log_posterior, log_q)` and check it on the grid. Then maximise it over the mean of $q$. What happens, and which row of section 11's table is that?
# 3. Restrict $q$ in section 12 to one width, `np.geomspace(0.2, 0.2, 60)`, then to 0.3. Does the ELBO's optimum move towards less noise or more? Is the smaller family more biased?
# 4. In section 10, try widths of $q$ from 0.3 to 2. Which has the best ELBO, which the best bound for $K = 5$, for $K = 50$? Why do they part?
# 5. Take the ten far points of section 3 to (3, 1). Does the optimum of the bound still have more errors than the fit without them?
#
# **Exercise.** [Exercise 05](../work/ex05_jensen_elbo.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Jensen 1906, *Sur les fonctions convexes et les inégalités entre les valeurs moyennes*.
# - Jaakkola & Jordan 2000, *Bayesian parameter estimation via variational methods*: the quadratic bound.
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*, section 2.2; Rezende, Mohamed & Wierstra 2014: the ELBO of a VAE.
# - Burda, Grosse & Salakhutdinov 2016, *Importance Weighted Autoencoders*, theorem 1: the bound with K draws.
# - Turner & Sahani 2011, *Two problems with variational expectation maximisation for time-series models*: the pull of the gap on the optimum.
