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
# # 03 · The reparametrization trick
#
# The encoder of a VAE gives a mean $\mu$ and a variance $\sigma^2$. One random $z$ is drawn from them, and the decoder turns $z$ into a picture. Training
# needs the gradient of the loss in $\mu$ and in $\sigma$, that is, with respect to them. But between the loss and these two stands a random draw.
#
# **The question of this lesson: how do gradients pass through a random draw?** It is often said that one cannot backpropagate through
# sampling, and that a trick makes it possible.
#
# *You need:* [lesson 02](02_gaussian_sampling.ipynb), `backward()`, and expectation and variance from a first course.
# *Time:* 85 minutes for the core, 55 more for the optional sections, half a minute to run. Clear the stored outputs first.

# %%
from vae_lessons import data, plotting
from vae_lessons.distributions import kl_normal, kl_to_standard_normal, log_bernoulli, log_normal, sample_normal
from vae_lessons.models import VAE
from vae_lessons.training import fit
from vae_lessons.widgets import Prediction, explore

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import integrate, stats
from torch.distributions import Bernoulli, Categorical, Exponential, Gamma, Normal, Uniform

SEED = 0  # the claims below were checked with seeds 0 to 4 (benchmarks/calibrate.py)
torch.set_default_dtype(torch.float64)  # sixteen digits, so that a formula that is right is seen to be right

# %%
plotting.machine("z")

# %% [markdown]
# This lesson is about the marked part: the draw $z$, and the way back from the decoder through $z$ to $\mu$ and $\sigma$.
#
# ## 1. A gradient we know
#
# Let $z \sim \mathcal N(\mu, \sigma^2)$, and let $f(z)$ be a cost that depends on $z$. In a VAE it is $f(z) = -\log p(x\mid z)$, the reconstruction term for a picture $x$. One draw gives a random cost. We
# want a small average cost, the expectation $\mathbb E[f(z)]$. It depends on $\mu$ and $\sigma$, so it has a gradient in them.
#
# The simplest case is $f(z) = z^2$. The variance is $\sigma^2 = \mathbb E[z^2] - \mu^2$, hence
#
# $$\mathbb E[z^2] = \mu^2 + \sigma^2, \qquad \frac{\partial}{\partial\mu}\mathbb E[z^2] = 2\mu, \qquad \frac{\partial}{\partial\sigma}\mathbb E[z^2] = 2\sigma .$$
#
# With $\mu = 1$ and $\sigma = \tfrac12$ the average is 1.25 and the gradient is 2 and 1. To check, we compute the integral $\int f(z)\,q(z)\,dz$, where $q$ is the
# density of $z$. Then we move $\mu$ or $\sigma$ by a small step to either side.

# %%
mu, sigma = 1.0, 0.5


def square(z):
    return z**2


def expectation(f, mu, sigma):
    """E[f(z)] for z ~ N(mu, sigma^2): an integral by the trapezoidal rule, 12 standard deviations to each side."""
    z = np.linspace(mu - 12 * sigma, mu + 12 * sigma, 20_001)
    return integrate.trapezoid(f(z) * stats.norm.pdf(z, mu, sigma), z)


# %%
h = 1e-3
in_mu = (expectation(square, mu + h, sigma) - expectation(square, mu - h, sigma)) / (2 * h)
in_sigma = (expectation(square, mu, sigma + h) - expectation(square, mu, sigma - h)) / (2 * h)
print(f"average {expectation(square, mu, sigma):.4f}, gradient in mu {in_mu:.4f}, in sigma {in_sigma:.4f}")
np.testing.assert_allclose([in_mu, in_sigma], [2 * mu, 2 * sigma], rtol=1e-6)

# %% [markdown]
# For a decoder nobody can compute such an integral. There are only draws. So the question becomes: **how does one estimate this gradient from random draws?**
#
# ## 2. A draw cuts the graph
#
# The obvious attempt is to draw $z$ with PyTorch's own normal distribution, to compute $f(z)$, and to call `backward()`. A tensor's `grad_fn` names the step that made it.

# %%
torch.manual_seed(SEED)
m = torch.tensor([1.0], requires_grad=True)
s = torch.tensor([0.5], requires_grad=True)
z = Normal(m, s).sample()
print("m requires grad:", m.requires_grad, "| z requires grad:", z.requires_grad, "| z.grad_fn:", z.grad_fn)
assert z.grad_fn is None

# %%
try:
    (z**2).sum().backward()
except RuntimeError as error:
    print("RuntimeError:", str(error).split(" and ")[0])
assert m.grad is None

# %% [markdown]
# `z` is a plain number. PyTorch has no record that it was made from `m` and `s`. So `backward()` raises an error.
#
# Now the smallest VAE. Its pictures have a single pixel, and its decoder has no weights: $p(x\mid z) = \mathcal N(x; z, 1)$. The
# prior is $\mathcal N(0, 1)$. For one picture, $x = 3$, we train $\mu$ and $\log\sigma^2$ themselves. Up to a constant, the loss is
#
# $$\mathbb E\bigl[\tfrac12 (x - z)^2\bigr] + \mathrm{KL}\bigl(\mathcal N(\mu,\sigma^2)\,\Vert\,\mathcal N(0,1)\bigr)
# = \tfrac12\bigl[(x-\mu)^2 + \sigma^2\bigr] + \tfrac12\bigl[\mu^2 + \sigma^2 - 1 - \log\sigma^2\bigr].$$
#
# (The KL measures how far $q$ is from the prior; lesson 04 derives it. The first bracket: $x - z$ has mean $x-\mu$ and variance $\sigma^2$, and $\mathbb E[(x-z)^2]$ is the squared mean plus the variance.)
# Set the derivatives to zero. In $\mu$: $(\mu - x) + \mu = 0$, so $\mu = x/2 = 1.5$. In $\sigma$: $\sigma + \sigma - 1/\sigma = 0$, so
# $\sigma^2 = \tfrac12$. We start near there, at $\mu = 2$, and train for 1,000 steps with `.sample()`.


# %%
def cost(x, z):
    """1/2 sum (x - z)^2: minus log N(x; z, 1) without its constant, in nats."""
    return 0.5 * ((x - z) ** 2).sum(-1)


def plain_draw(mu, log_var):
    return Normal(mu, torch.exp(0.5 * log_var)).sample()


def train_smallest(draw, x=3.0, steps=1000, lr=0.02):
    """Gradient descent on cost + KL, one draw a step; the means of mu and sigma^2 over the last half of the steps."""
    torch.manual_seed(SEED)
    q, path = torch.tensor([[2.0], [-1.0]], requires_grad=True), []  # mu and log_var
    for _ in range(steps):
        loss = cost(x, draw(*q)) + kl_to_standard_normal(*q)
        (slope,) = torch.autograd.grad(loss, q)
        with torch.no_grad():
            q -= lr * slope
        path.append([q[0].item(), q[1].exp().item()])
    return np.mean(path[steps // 2 :], axis=0)


# %%
treacherous = Prediction(
    "z comes from .sample(), the loss is cost + KL, x = 3. What happens?",
    [
        "PyTorch raises an error",
        "training runs and ends near mu = 1.5, sigma^2 = 0.5",
        "training runs and ends far from there",
    ],
)
treacherous.ask()

# %%
cut_mu, cut_var = train_smallest(plain_draw)
print(f"with .sample(): mu = {cut_mu:.2f}, sigma^2 = {cut_var:.2f}")
near = abs(cut_mu - 1.5) < 0.4 and abs(cut_var - 0.5) < 0.25
treacherous.reveal(treacherous.choices[1 if near else 2])

# %%
assert abs(cut_mu) < 0.01
assert abs(cut_var - 1) < 0.01
print("With .sample() training ends at the prior: mu = 0, sigma^2 = 1, within 0.01.")

# %% [markdown]
# There is no error, no warning, and the answer is wrong. Only the KL had a gradient. So $q$ went to the prior $\mathcal N(0, 1)$, and the picture was
# ignored. In a whole VAE the decoder still gets its own gradient. But its $z$ carries no information about the picture. Section 10 trains such a VAE on digits, and measures that it draws them no better than the average picture does.
#
# In *posterior collapse* (lesson 07) the KL goes to zero as well. There the gradient does pass, but the decoder learns to do without $z$. **If your KL goes to zero, first check whether your draw carries a gradient.**
#
# ## 3. Move the noise to the input
#
# Lesson 02 drew in another way: $z = \mu + \sigma\varepsilon$ with $\varepsilon\sim\mathcal N(0,1)$. The distribution of $z$ is the same. But now the
# randomness is an input, like data, and the way from the parameters to $z$ is plain arithmetic. Hold $\varepsilon$ fixed:
#
# $$\frac{\partial z}{\partial\mu} = 1, \qquad \frac{\partial z}{\partial\sigma} = \varepsilon .$$
#
# By hand, with $\mu = 1$, $\sigma = \tfrac12$ and $\varepsilon = -0.6$: $z = 0.7$, $f(z) = 0.49$ and $f'(z) = 2z = 1.4$. By the chain rule, the gradient is
# $1.4 \cdot 1 = 1.4$ in $\mu$ and $1.4\cdot(-0.6) = -0.84$ in $\sigma$.

# %%
eps = torch.tensor([-0.6])
in_mu, in_sigma = torch.autograd.grad(square(m + s * eps), (m, s))
print(f"autograd: {in_mu.item():.2f} in mu, {in_sigma.item():.2f} in sigma")
np.testing.assert_allclose([in_mu.item(), in_sigma.item()], [1.4, -0.84])

# %% [markdown]
# The exact values are 2 and 1. One draw's estimate may even have the wrong sign. Only the average over draws has to be right.
#
# What has changed for autograd? Each step knows the steps before it. We follow them back from $f(z)$, for both ways to draw.


# %%
def way_back(node, names, depth=0):
    """Print a step and, indented below it, the steps that it passes gradient to."""
    print("    " * depth + names.get(getattr(node, "variable", None), str(node and node.name())))
    for before, _ in getattr(node, "next_functions", ()):
        if before is not None:
            way_back(before, names, depth + 1)


names = {m: "mu", s: "sigma"}
print("with sample():")
way_back(square(Normal(m, s).sample()).grad_fn, names)
print("with mu + sigma * eps:")
way_back(square(m + s * eps).grad_fn, names)


# %%
def draw_way_back(ax, title, z, passes):
    """Boxes for the steps; arrows for the gradient on its way back, dashed where it does not pass."""
    places = {"mu": (-1.5, 0), "sigma": (0, 0), "noise": (1.5, 0), z: (0, 1), "f(z)": (0, 2)}
    for name, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.4", "fc": "#a6dcc5" if name in passes else "white", "ec": "0.4"}
        ax.text(x, y, name, ha="center", va="center", bbox=box, zorder=3)
        if name != "f(z)":
            style = {"ls": "-", "color": "C2", "lw": 2} if name in passes else {"ls": "--", "color": "0.5"}
            arrow = {"arrowstyle": "-|>", "shrinkB": 20 if x else 11} | style
            ax.annotate("", (x, y), places["f(z)" if name == z else z], arrowprops=arrow, zorder=1)
    ax.set(title=title, xlim=(-2, 2), ylim=(-0.3, 2.3))
    ax.set_axis_off()


# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6))
draw_way_back(left, "sample(): no step is recorded", "z = sample()", ())
draw_way_back(
    right, "mu + sigma * eps: the gradient arrives", "z = mu + sigma * eps", ("mu", "sigma", "z = mu + sigma * eps")
)
plotting.show(
    figure,
    "Two diagrams of the way back of the gradient. In both, arrows lead from f(z) down to z, and from z to mu, sigma "
    "and the noise. Left, with sample: every arrow is dashed, no gradient passes. Right, with mu plus sigma times eps: the "
    "arrows to z, mu and sigma are solid and their boxes are shaded; only the arrow to the noise is dashed.",
)

# %% [markdown]
# On the left PyTorch recorded no step, not even the one from $z$ to $f(z)$, since `z` needs no gradient. On the right the gradient reaches $\mu$ and $\sigma$. The noise needs none.
#
# This is the *reparametrization trick* (Kingma & Welling 2014; Rezende et al. 2014). Lesson 02's `sample_normal` draws like this. PyTorch calls such a draw `rsample()`, and the printed `grad_fn` shows the difference to `sample()`:


# %%
def rsample(mu, log_var):
    return Normal(mu, torch.exp(0.5 * log_var)).rsample()


for name, z in (("sample()", Normal(m, s).sample()), ("rsample()", Normal(m, s).rsample())):
    print(f"{name:9} requires grad: {z.requires_grad!s:5} grad_fn: {z.grad_fn and z.grad_fn.name()}")

# %% [markdown]
# Networks put out $\log\sigma^2$ instead of $\sigma$. That adds one factor to the chain rule. From $\sigma = e^{\frac12\log\sigma^2}$ follows $\partial\sigma/\partial\log\sigma^2 = \sigma/2$, so $\partial z/\partial\log\sigma^2 = \varepsilon\sigma/2$.

# %%
log_var = torch.tensor([2 * np.log(0.5)], requires_grad=True)
z = sample_normal(m, log_var, torch.Generator().manual_seed(SEED))
in_mu, in_log_var = torch.autograd.grad(z, (m, log_var))
print(f"dz/dmu = {in_mu.item():.0f}, dz/dlog_var = {in_log_var.item():.4f}")
torch.testing.assert_close(in_mu, torch.ones(1))
torch.testing.assert_close(in_log_var, (z - m).detach() / 2)  # eps sigma / 2

# %% [markdown]
# The smallest VAE once more. Only the draw differs: the loss, the start, the learning rate and the number of steps are the same.

# %%
new_mu, new_var = train_smallest(rsample)
print(f"with rsample(): mu = {new_mu:.2f}, sigma^2 = {new_var:.2f}; exact 1.50 and 0.50")

# %%
assert abs(new_mu - 1.5) < 0.15
assert abs(new_var - 0.5) < 0.1
np.testing.assert_allclose(train_smallest(sample_normal), [new_mu, new_var])  # the same draws
print("With rsample() training ends near the exact answer: within 0.15 in mu, within 0.1 in sigma^2.")

# %% [markdown]
# So "one cannot backpropagate through sampling" is half the truth. The gradient does not pass `sample()`. It does pass a draw that is written as arithmetic on noise.
#
# **In general**, for a full covariance $\Sigma = LL^\top$, lesson 02 drew $z = \mu + L\varepsilon$. Gradients reach every entry of $L$ on and below the diagonal. To test it, take a symmetric matrix $A$ and $f(z) = z^\top A z$. Then
# $\mathbb E[z^\top A z] = \mu^\top A\mu + \operatorname{tr}(A LL^\top)$. The trace is the sum of $l^\top A\,l$ over the columns $l$ of $L$. Each term has the gradient $2A\,l$ in its column, so the gradient in $L$ is $2AL$.


# %%
def check_mean(name, g, exact):
    """Print the mean of g (N,) and its standard error; require it within five of them from `exact`."""
    mean, error = g.mean().item(), g.std().item() / len(g) ** 0.5
    print(f"{name:34} {mean:6.2f} +- {error:.3f}, expected {exact:.2f}")
    assert abs(mean - exact) < 5 * error


# %%
A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
L = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
noise = torch.randn(200_000, 2, 1, generator=torch.Generator().manual_seed(SEED))
copies = L.repeat(200_000, 1, 1).requires_grad_()  # a copy for each draw, so that each gets its own gradient
z = torch.tensor([[1.0], [-1.0]]) + copies @ noise  # (N, 2, 1)
(z.mT @ A @ z).sum().backward()
for i, j in ((0, 0), (1, 0), (1, 1)):
    check_mean(f"in L[{i}, {j}]", copies.grad[:, i, j], (2 * A @ L)[i, j])

# %% [markdown]
# "+-" is one standard error: the standard deviation of one draw's estimate, divided by $\sqrt N$ for $N$ draws. As in lesson 02, a formula counts as confirmed within five standard errors.
#
# ## 4. Three ways to estimate a gradient
#
# There are three common estimators. Each is an average over draws.
#
# **Pathwise.** Write the average over $\varepsilon$. Its density does not contain $\mu$, so the derivative moves inside:
#
# $$\frac{\partial}{\partial\mu}\mathbb E_\varepsilon[f(\mu+\sigma\varepsilon)] = \mathbb E_\varepsilon[f'(z)\cdot 1], \qquad
# \frac{\partial}{\partial\sigma}\mathbb E_\varepsilon[f(\mu+\sigma\varepsilon)] = \mathbb E_\varepsilon[f'(z)\,\varepsilon].$$
#
# **Score function** (also called REINFORCE, Williams 1992). Leave $z$ alone and differentiate its density $q$:
#
# 1. $\frac{\partial}{\partial\mu}\int f(z)\,q(z)\,dz = \int f(z)\,\frac{\partial q(z)}{\partial\mu}\,dz$, as $f$ does not contain $\mu$.
# 2. $\frac{\partial \log q}{\partial\mu} = \frac1q\frac{\partial q}{\partial\mu}$, so $\frac{\partial q}{\partial\mu} = q\,\frac{\partial\log q}{\partial\mu}$. This is the log-derivative trick, and $\frac{\partial\log q}{\partial\mu}$ is called the *score*.
# 3. Hence $\int f\,\frac{\partial\log q}{\partial\mu}\,q\,dz = \mathbb E\bigl[f(z)\,\frac{\partial\log q}{\partial\mu}\bigr]$, which is an average over draws again.
# 4. From $\log q = -\tfrac12\log 2\pi - \log\sigma - \frac{(z-\mu)^2}{2\sigma^2}$, with $\varepsilon = \frac{z-\mu}\sigma$:
#    $\ \frac{\partial\log q}{\partial\mu} = \frac\varepsilon\sigma\ $ and $\ \frac{\partial\log q}{\partial\sigma} = -\frac1\sigma + \frac{(z-\mu)^2}{\sigma^3} = \frac{\varepsilon^2-1}\sigma$.
#
# This estimator needs no derivative of $f$, only its value. If all costs are positive, a descent step on one draw makes this $z$ less probable, *whatever* was drawn. So subtract the average cost
# first, as a *baseline* (section 7). A step on one draw then makes $z$ more probable if it is cheaper than the average. The expectation stays the same, because a constant times the score has mean zero: $\mathbb E[\varepsilon]/\sigma = 0$.
#
# Both estimators move a derivative inside an integral. With a Gaussian that is allowed for every $f$ that grows no faster than a power of $z$. For the pathwise one, $f'$ must grow no faster than a power either,
# and $f$ must have no jumps. (Kinks, as in a ReLU, do no harm: across a kink $f$ is still the integral of $f'$. Across a jump it is not.) Section 5 shows what a jump does. The steps in numbers:

# %%
grid = np.linspace(-5, 7, 20_001)
slope = (stats.norm.pdf(grid, mu + h, sigma) - stats.norm.pdf(grid, mu - h, sigma)) / (2 * h)  # of q, in mu
step1 = integrate.trapezoid(square(grid) * slope, grid)
step3 = expectation(lambda z: square(z) * (z - mu) / sigma**2, mu, sigma)
print(f"step 1: {step1:.4f}, step 3: {step3:.4f}, exact {2 * mu:.4f}")
np.testing.assert_allclose([step1, step3], 2 * mu, rtol=1e-5)

# %%
at = torch.tensor([0.7])  # step 4, at z = 0.7, where eps = -0.6
score = torch.autograd.grad(log_normal(at, m, 2 * torch.log(s)), (m, s))
print(f"score at z = 0.7: {score[0].item():.2f} in mu, {score[1].item():.2f} in sigma")
np.testing.assert_allclose([g.item() for g in score], [-0.6 / 0.5, (0.36 - 1) / 0.5])

# %% [markdown]
# **Finite differences.** Shift $\mu$ by $h$ to either side, subtract the two averages, and divide by $2h$. The two sides may have fresh noise each, or the same noise.
# For $z^2$ the average $\frac{(\mu+h)^2-(\mu-h)^2}{2h} = 2\mu$ has no bias. For most other $f$ there is a bias that vanishes with $h$. For $z^3$ it is $h^2$.
#
# Here are the three in code, with the noise as an argument. Each returns one estimate for each draw.


# %%
def pathwise_gradient(f, mu, sigma, eps):
    """Gradient of f(mu + sigma eps) in mu and in sigma, for each eps."""
    mu = torch.full_like(eps, mu, requires_grad=True)  # a copy for each draw
    sigma = torch.full_like(eps, sigma, requires_grad=True)
    f(mu + sigma * eps).sum().backward()
    return mu.grad, sigma.grad


def score_gradient(f, mu, sigma, eps, baseline=0.0):
    """(f(z) - baseline) times the gradient of log q(z) in mu and in sigma, for each eps."""
    weight = f(mu + sigma * eps) - baseline
    return weight * eps / sigma, weight * (eps**2 - 1) / sigma


def difference_gradient(f, mu, sigma, eps, eps_minus, h=0.1):
    """Central differences in mu and in sigma, with noise eps on one side and eps_minus on the other."""
    in_mu = (f(mu + h + sigma * eps) - f(mu - h + sigma * eps_minus)) / (2 * h)
    in_sigma = (f(mu + (sigma + h) * eps) - f(mu + (sigma - h) * eps_minus)) / (2 * h)
    return in_mu, in_sigma


# %%
eps, other = torch.randn(2, 500_000, generator=torch.Generator().manual_seed(SEED))
estimates = {
    "pathwise": pathwise_gradient(square, mu, sigma, eps),
    "score function": score_gradient(square, mu, sigma, eps),
    "differences, same noise": difference_gradient(square, mu, sigma, eps, eps),
    "differences, fresh noise": difference_gradient(square, mu, sigma, eps, other),
}
for name, (in_mu, in_sigma) in estimates.items():
    check_mean(f"{name}, in mu", in_mu, 2 * mu)
    check_mean(f"{name}, in sigma", in_sigma, 2 * sigma)

# %% [markdown]
# All agree with the exact gradient. **They differ in their spread**, the number behind "+-". The standard error of an average of $N$ draws falls with $\sqrt N$. So an estimator with 20 times the variance needs 20 times the draws for the same error.
#
# With the same noise on both sides, the differences for $z^2$ *are* the pathwise estimates: $[(z+h)^2 - (z-h)^2]/2h = 2z$. For any smooth $f$ the differences approach the pathwise estimates as $h\to0$. But differences need two evaluations of $f$ *for each
# parameter*. One call of `backward()` gives the gradient in all parameters.
#
# Now move $\mu$ and $\sigma$ yourself, for $f(z) = z^2$. Each panel is a histogram of 4,000 one-draw estimates in $\mu$, scaled to its highest bar. The differences have $h = 0.1$. The dashed line is the exact gradient. Make
# $\sigma$ small at $\mu = 2$. Which histograms close in on the line, and which one spreads?


# %%
def spread(figure, mu, sigma):
    few, fresh = eps[:4000], other[:4000]
    rows = {
        "pathwise": pathwise_gradient(square, mu, sigma, few)[0],
        "score function": score_gradient(square, mu, sigma, few)[0],
        "differences, fresh noise": difference_gradient(square, mu, sigma, few, fresh)[0],
    }
    axes = figure.subplots(3, 1, sharex=True)
    for i, (ax, (name, g)) in enumerate(zip(axes, rows.items(), strict=True)):
        height, edges = np.histogram(g, bins=61, range=(-30, 30))
        ax.stairs(height / max(height.max(), 1), edges, fill=True, color=f"C{i}", alpha=0.7)
        ax.axvline(2 * mu, color="black", ls="--", lw=1)
        ax.set(yticks=[], ylim=(0, 1.7), xlim=(-30, 30))
        ax.set_title(name, x=0.01, y=0.72, ha="left", fontsize=9)
        ax.text(29, 1.41, f"s.d. {g.std():.1f}", ha="right", fontsize=9)
    axes[-1].set_xlabel("one-draw estimate in mu")
    deviations = ", ".join(f"{name.split(',')[0]} {g.std():.2f}" for name, g in rows.items())
    return f"Exact gradient {2 * mu:.1f}. Standard deviations: {deviations}."


# %%
explore(
    spread,
    mu=ipw.FloatSlider(value=1.0, min=-3, max=3, step=0.1, description="mu"),
    sigma=ipw.FloatSlider(value=0.5, min=0.1, max=2, step=0.1, description="sigma"),
    stills=[{"mu": 2.0, "sigma": sigma} for sigma in (0.1, 0.2, 0.3, 0.5, 0.8, 1.1, 1.5, 2.0)],
    alt="Histograms of one-draw gradient estimates by three methods, one below the other, at mu 2 for growing sigma. "
    "The pathwise ones are a spike on the exact gradient at sigma 0.1 and widen to a bell. The score function's fill "
    "the whole width at sigma 0.1 and pile up near zero with long tails at sigma 1 and more. Differences with fresh "
    "noise are narrow at sigma 0.1 and fill the whole width at sigma 1 and more.",
)

# %% [markdown]
# At $\mu = 2$, $\sigma = 0.1$ the pathwise estimate is nearly exact from a single draw. The score function's estimates fill the panel, and many lie outside it. Differences with fresh noise come second.
# At $\sigma = 2$ the differences are the worst. There the score function's histogram *looks* narrowest, since most of its estimates are near 0. But its long tail gives it over twice the pathwise standard deviation.
#
# The score function's estimate $z^2\varepsilon/\sigma$ has the sign of $\varepsilon$, because $z^2\geq0$ and there is no baseline. So **half of all draws point
# the wrong way**, whatever the exact gradient is (unless it is 0). The average is right because the draws that point the right way give larger estimates on average. (The sharp left edge at $\sigma = 0.3$ is a minimum: the derivative in $\varepsilon$ of $(\mu+\sigma\varepsilon)^2\varepsilon/\sigma$ is 0 at
# $\varepsilon = -\mu/(3\sigma)$, where the estimate is $-4\mu^3/(27\sigma^2) = -13.2$. Only an $\varepsilon$ below $-8.9$ would give less.)

# %%
check_mean("share of score estimates below 0", (estimates["score function"][0] < 0).double(), 0.5)
lowest = score_gradient(square, 2.0, 0.3, eps)[0].min().item()
print(f"lowest of 500,000 score estimates at mu 2, sigma 0.3: {lowest:.1f}")

# %% [markdown]
# How noisy the differences are depends on $h$, because the noise is divided by $2h$. Here are the standard deviations from all 500,000 draws, with $h = 0.1$ and with $h = 3$. For $z^2$ the large step causes no bias. For $z^3$ it does: $h^2 = 9$.

# %%
deviations = {}
for width in (0.1, 2.0):
    deviations[width, "pathwise"] = pathwise_gradient(square, 2.0, width, eps)[0].std().item()
    deviations[width, "score"] = score_gradient(square, 2.0, width, eps)[0].std().item()
    for h in (0.1, 3.0):
        deviations[width, f"h = {h}"] = difference_gradient(square, 2.0, width, eps, other, h)[0].std().item()
print({f"sigma {width}, {name}": round(value, 2) for (width, name), value in deviations.items()})
cube = difference_gradient(lambda z: z**3, mu, sigma, eps, other, h=3.0)[0]
check_mean("z^3, differences, h = 3", cube, 3 * (mu**2 + sigma**2) + 3**2)

# %%
orders = {0.1: ("pathwise", "h = 0.1", "score"), 2.0: ("pathwise", "score", "h = 0.1")}
for width, (first, second, third) in orders.items():
    assert 2 * deviations[width, first] < deviations[width, second]
    assert 4 * deviations[width, second] < deviations[width, third]
    assert deviations[width, "pathwise"] / 2**0.5 < deviations[width, "h = 3.0"] < deviations[width, "pathwise"]
print("For z^2, mu = 2 and h = 0.1 the pathwise estimate has the least spread, at sigma = 0.1 and at sigma = 2.")
print("Fresh differences (h = 0.1) beat the score function at sigma = 0.1; at sigma = 2 they are worse.")
print("Fresh differences with h = 3 beat one pathwise estimate, at both sigma.")
print("Each of them uses two draws. An average of two pathwise estimates beats them, at both sigma.")

# %% [markdown]
# So the order depends on $\sigma$ and on $h$. For $z^2$ a larger step means less noise in $\mu$. For most other $f$ it also brings a bias, and a very large step can raise the noise again.
#
# ## 5. Which distributions allow it
#
# Pathwise gradients need a draw of the form $z = T(\varepsilon, \text{parameters})$. The distribution of the noise $\varepsilon$ has no parameters, and the function $T$ is smooth in them.
#
# - **Location and scale**: $z = \mu + \sigma\varepsilon$ for the normal, Laplace, logistic and Student's $t$ with fixed degrees of freedom. In many dimensions, $z = \mu + L\varepsilon$.
# - **Inverse distribution function**: if $F$ is the distribution function and $u$ is uniform on $(0,1)$, then $z = F^{-1}(u)$ has that distribution. For the exponential with rate $\lambda$,
#   $u = 1 - e^{-\lambda z}$, so $z = -\log(1-u)/\lambda$. With $u$ fixed, $\partial z/\partial\lambda = -z/\lambda$.
#
# To check: $\mathbb E[z] = 1/\lambda$ and $\mathbb E[z^2] = 2/\lambda^2$ have the gradients $-1/\lambda^2$ and $-4/\lambda^3$.

# %%
u = torch.rand(100_000, generator=torch.Generator().manual_seed(SEED))
rate = torch.full_like(u, 2.0, requires_grad=True)  # a copy for each draw
z = -torch.log(1 - u) / rate
check_mean("E[z] in the rate", torch.autograd.grad(z.sum(), rate, retain_graph=True)[0], -1 / 2**2)
check_mean("E[z^2] in the rate", torch.autograd.grad((z**2).sum(), rate)[0], -4 / 2**3)

# %% [markdown]
# **Not a Bernoulli.** Let $z = 1$ with probability $p$, else 0. One can write it with noise as an input: $z = 1$ if $u < p$, else 0. But that is a *step* in $p$. Autograd finds no path through a comparison.
# For $f(z) = (z-3)^2$, by hand: $\mathbb E[f] = p\,f(1) + (1-p)\,f(0) = 4p + 9(1-p)$, so the gradient in $p$ is $-5$.
#
# What do finite differences give, with the same $u$ on both sides? A draw flips from 0 to 1 only if $u$ lies between $p-h$ and $p+h$. All others give a difference of 0.

# %%
p = torch.tensor(0.3, requires_grad=True)
print("(u < p) requires grad:", (u < p).double().requires_grad)


def coin_cost(p):
    return ((u < p).double() - 3) ** 2


for h in (0.1, 0.01, 0.001):
    g = (coin_cost(0.3 + h) - coin_cost(0.3 - h)) / (2 * h)
    print(f"h = {h}: {(g != 0).double().mean():6.2%} of the draws flip, each gives {g.min():.0f}")
    check_mean("   average over all draws", g, -5)

# %% [markdown]
# The share that flips shrinks like $h$. What a flip contributes grows like $1/h$. So the expected value is $-5$ for every $h$. The printed averages scatter around it. Each rests on ever fewer draws, and its standard error grows. Now hold one draw *fixed* and let $h\to0$. As soon as $h$ is small enough, that draw
# does not flip: its derivative is 0. So the average of the derivatives is 0, while the derivative of the average is $-5$. With a jump, the average of the derivatives need not be the derivative of the average.
#
# The score function has no such problem. With
# $\log q = z\log p + (1-z)\log(1-p)$ the score is $\frac zp - \frac{1-z}{1-p} = \frac{z-p}{p(1-p)}$.


# %%
def coin_score(p, target, baseline=0.0):
    """Score-function estimates of the gradient of E[(z - target)^2] in p, for z ~ Bernoulli(p)."""
    z = (u < p).double()
    return ((z - target) ** 2 - baseline) * (z - p) / (p * (1 - p))


print(f"score function, in p: {coin_score(0.3, 3).mean():.2f}")

# %%
check_mean("score function, in p", coin_score(0.3, 3), (1 - 3) ** 2 - (0 - 3) ** 2)
shares = [((u < 0.3 + h) != (u < 0.3 - h)).double().mean().item() for h in (0.1, 0.01)]
assert abs(coin_score(0.3, 3).mean() + 5) < 0.25
assert 8 < shares[0] / shares[1] < 12
print("The score function finds the gradient -5, within 0.25.")
print("A step of 0.01 flips about a tenth of the draws that a step of 0.1 flips.")

# %% [markdown]
# A jump in $f$ does the same harm. Take a normal $z$ again and $f(z) = 1$ for $z > 0$, else 0. The average is $\Phi(\mu/\sigma)$, where
# $\Phi$ is the distribution function of $\mathcal N(0,1)$. Its gradient in $\mu$ is $\varphi(\mu/\sigma)/\sigma$, with the density $\varphi$. But $f'$ is 0 on both sides of the jump, so the pathwise estimate is 0 in every draw.


# %%
def is_positive(z):
    return (1 + torch.sign(z)) / 2  # PyTorch's sign() has the derivative 0


jump = stats.norm.pdf(mu / sigma) / sigma
check_mean("score function, f jumps", score_gradient(is_positive, mu, sigma, eps)[0], jump)
print("largest pathwise estimate:", pathwise_gradient(is_positive, mu, sigma, eps)[0].abs().max().item())
for family in (Normal, Uniform, Exponential, Gamma, Bernoulli, Categorical):
    print(f"{family.__name__:12} has rsample: {family.has_rsample}")

# %% [markdown]
# (The Gamma has no simple inverse. PyTorch differentiates it implicitly: Figurnov et al. 2018.) For a discrete $z$, four ways to a gradient are in use:
#
# - the exact sum over its values, where they are few;
# - the score function, which is unbiased but noisy;
# - a continuous relaxation, which replaces the step by a steep slope (Gumbel-softmax or concrete: Jang et al. 2017; Maddison et al. 2017);
# - a **straight-through gradient**: use the hard $z$ on the way forward, and on the way back act as if $z$ were $p$ (Bengio et al. 2013).
#
# The last two are biased. (The relaxation is not tried here.) We measure the straight-through gradient. The trick is one line: add a term that is zero but has a gradient. For $f(z) = (z-t)^2$ with a target $t$ each draw gives $2(z-t)$, so the average is $2p - 2t$.
# The exact gradient is $f(1) - f(0) = 1 - 2t$.


# %%
def straight_through(z, p):
    """The value of z, with the gradient of p."""
    return z + (p - p.detach())


def coin_straight_through(p, target):
    copies = torch.full_like(u, p, requires_grad=True)  # a copy for each draw
    z = straight_through((u < copies).double(), copies)
    ((z - target) ** 2).sum().backward()
    return copies.grad


for p, target in ((0.3, 3.0), (0.5, 3.0), (0.9, 3.0), (0.9, 0.6)):
    g = coin_straight_through(p, target)
    check_mean(f"p = {p}, target {target}", g, 2 * p - 2 * target)
    print(f"   true gradient {1 - 2 * target:.2f}, measured bias {g.mean() - (1 - 2 * target):.2f}")

# %% [markdown]
# The bias is $2p - 1$ for this $f$. It is zero at $p = \tfrac12$, and at most 1 in size. With $t = 3$ that is small beside $-5$. With $t = 0.6$ even the sign is wrong: the cost is least at $p = 1$, and the straight-through gradient drives $p$ down to 0.6.
#
# Why does anybody use it? Its noise is small. At $p = 0.3$, $t = 3$, compare the mean squared error of one draw: the variance plus the squared bias. The score function runs without a baseline, and with a baseline (section 4), here $\mathbb E[f] = 0.3\cdot4 + 0.7\cdot9 = 7.5$.


# %%
def squared_error(name, draws):
    """Mean squared error of an average of draws: the variance over their number, plus the squared bias."""
    return variances[name] / draws + biases[name] ** 2


p_, target, variances, biases = 0.3, 3.0, {}, {}
average_cost = p_ * (1 - target) ** 2 + (1 - p_) * target**2
for name, g in (
    ("straight-through", coin_straight_through(p_, target)),
    ("score function", coin_score(p_, target)),
    ("with baseline", coin_score(p_, target, average_cost)),
):
    variances[name], biases[name] = g.var().item(), g.mean().item() - (1 - 2 * target)
    print(f"{name:17} bias {biases[name]:5.2f}, variance {variances[name]:6.2f}, ", end="")
    print(f"mean squared error of one draw {squared_error(name, 1):6.2f}")

# %%
wrong_way = coin_straight_through(0.9, 0.6).mean() * (1 - 2 * 0.6)
hard = "straight-through"
for name, times, few, many in (("score function", 100, 600, 1500), ("with baseline", 12, 80, 160)):
    assert squared_error(name, 1) > times * squared_error(hard, 1)
    assert squared_error(name, few) > squared_error(hard, few)
    assert squared_error(name, many) < squared_error(hard, many)
assert abs(coin_straight_through(p_, target).mean() + 5.4) < 0.02
assert wrong_way < 0
print("At p = 0.3, target 3, straight-through gives -5.4 for -5: a bias of 8 %.")
print("The score function's squared error with one draw is over 100 times as large; with a baseline, over 12 times.")
print("Averaged over 600 draws straight-through is still nearer; over 1,500 the score function is.")
print(
    "With the baseline: averaged over 80 draws straight-through is still nearer; averaged over 160 the score function is."
)
print("At p = 0.9, target 0.6, straight-through has the wrong sign.")

# %% [markdown]
# An average of many draws removes variance, but no bias. The squared bias is $0.4^2 = 0.16$, and $144/900 = 0.16$. So without a baseline the biased estimate is the nearer one up to about 900 draws. With the baseline the limit is about 115 draws, as $19/115$ is about 0.16.
# (With $b = p\,f(0) + (1-p)\,f(1) = 5.5$ every draw gives exactly $-5$. But then both values of $f$ are known, and so is the exact sum.)
#
# The same line lets gradients through **rounding**, whose own slope is 0. A VQ-VAE (van den Oord et al. 2017) uses it. It replaces each latent vector by the nearest one of a learned list, and passes the gradient on as if nothing had been replaced. In one dimension, with
# the whole numbers as the list and the cost $(\text{rounded} - 3)^2$:

# %%
ends = {}
for name, rounding in (("round", torch.round), ("straight-through", lambda v: straight_through(v.round().detach(), v))):
    v = torch.tensor(0.2, requires_grad=True)
    for _ in range(30):
        (slope,) = torch.autograd.grad((rounding(v) - 3) ** 2, v)
        v = (v - 0.1 * slope).detach().requires_grad_()
    ends[name] = v.item()
    print(f"{name:17} v goes from 0.2 to {v.item():.1f}, which rounds to {v.round().item():.0f}")

# %%
assert ends["round"] == 0.2
assert abs(ends["straight-through"] - 3) < 0.5
print("With plain rounding nothing moves; with a straight-through gradient v moves until it rounds to 3.")

# %% [markdown]
# So never threshold or round inside a decoder *and expect a pathwise gradient*. Either choose one of the four ways, or let the decoder put out probabilities.
#
# ## 6. How many draws a picture?
#
# The gradient of a batch is an average over its $B$ pictures. At first each picture gets one draw. Let picture $i$ have mean $\mu_i$. Let the encoder add the same offset $a$ to all of
# them, where $a = 0$ at present: $z_i = a + \mu_i + \sigma\varepsilon_i$. With $f(z) = z^2$ the pathwise gradient in $a$ is $\frac1B\sum_i 2 z_i$. If the $\varepsilon_i$ are **independent**, its variance is $4\sigma^2/B$.
#
# With one $\varepsilon$ for all, the gradient is $\bigl(\frac1B\sum_i 2\mu_i\bigr) + 2\sigma\varepsilon$, with
# variance $4\sigma^2$ for any $B$. The slip is easily made. `torch.randn(d)` draws one number for each of $d$ latents, and PyTorch uses it for the whole batch without a warning. `torch.randn(B, d)` is right.


# %%
def check_variance(name, g, exact):
    """As `check_mean`, for the variance; the variance of a sample variance is (fourth moment - variance^2) / N."""
    variance, fourth = g.var().item(), ((g - g.mean()) ** 4).mean().item()
    error = ((fourth - variance**2) / len(g)) ** 0.5
    print(f"{name:34} variance {variance:8.3f} +- {error:.3f}, expected {exact:8.3f}")
    assert abs(variance - exact) < 5 * error


# %%
generator, repeats = torch.Generator().manual_seed(SEED), 4000
for B in (1, 16, 256):
    means = torch.randn(B, generator=generator)  # the same B pictures in all repeats
    noise = torch.randn(repeats, B, generator=generator)
    fresh, shared = ((2 * (means + sigma * e)).mean(1) for e in (noise, noise[:, :1]))  # (repeats,)
    check_variance(f"B = {B}, fresh noise", fresh, 4 * sigma**2 / B)
    check_variance(f"B = {B}, one eps for all", shared, 4 * sigma**2)

# %% [markdown]
# Fresh noise averages out over the batch; shared noise does not. Would more draws for each picture help? They take time in the decoder. Suppose you can afford 64 decodings a step, and the encoder's time does not matter.

# %%
budget = Prediction(
    "Each step takes a random batch and 64 decodings. Which gives the gradient with the lower variance?",
    ["64 pictures, one draw each", "8 pictures, 8 draws each", "both the same, within 10 %"],
)
budget.ask()

# %%
spent = {}
for B, draws in ((64, 1), (8, 8)):
    means = torch.randn(repeats, B, 1, generator=generator)
    noise = torch.randn(repeats, B, draws, generator=generator)
    spent[B] = (2 * (means + sigma * noise)).mean((1, 2))
    print(f"{B} pictures, {draws} a picture: variance {spent[B].var():.3f}")

ratio = spent[8].var() / spent[64].var()
budget.reveal(budget.choices[2 if abs(ratio - 1) < 0.1 else 0 if ratio > 1 else 1])

# %%
for B, draws in ((64, 1), (8, 8)):
    check_variance(f"{B} pictures, {draws} a picture", spent[B], (4 + 4 * sigma**2 / draws) / B)
assert ratio > 4
print("8 pictures with 8 draws each: over 4 times the variance of 64 pictures with one draw each.")

# %% [markdown]
# The pictures of a batch are random as well. Here $\mu_i\sim\mathcal N(0,1)$, anew for each batch. With $k$ draws a picture the variance is $\bigl(4\operatorname{Var}[\mu_i] + 4\sigma^2/k\bigr)/B$. More draws divide only the second term. More pictures divide both terms.
# The margin is wide because $\operatorname{Var}[\mu_i] = 1$ is larger than $\sigma^2 = \tfrac14$. (With $\operatorname{Var}[\mu_i] = 0$ the two ways would have the same variance.) So **decode more pictures rather than more draws**, unless encoding is expensive: 64 pictures are also 64 passes of the encoder.
# Kingma & Welling (2014) found one draw a picture enough with a batch of 100.
#
# ## 7. The variances in closed form (optional)
#
# In training, $\sigma$ changes. What does that do to the noise of the gradient?

# %%
narrow = Prediction(
    "mu = 1, sigma is halved from 0.5 to 0.25. What becomes of the variance of the score function's estimate in mu?",
    ["it falls, to a quarter or less", "it falls, but not so far", "it rises"],
)
narrow.ask()

# %%
half, full = (score_gradient(square, 1.0, s_, eps)[0].var().item() for s_ in (0.25, 0.5))
narrow.reveal(narrow.choices[2 if half >= full else 1 if half > 0.26 * full else 0])
print(f"measured {full:.0f} at sigma 0.5, {half:.0f} at sigma 0.25")

# %% [markdown]
# **Pathwise**, for $f(z) = z^2$ in $\mu$: the estimate is $2z$, so its variance is $4\sigma^2$. Halve $\sigma$, and it falls to a quarter.
#
# **Score function**: the estimate is $g = z^2\,\varepsilon/\sigma$ with $z = \mu + \sigma\varepsilon$. We need $\mathbb E[g^2]$.
#
# 1. $g^2 = z^4\varepsilon^2/\sigma^2$.
# 2. By the binomial theorem, $z^4\varepsilon^2 = \mu^4\varepsilon^2 + 4\mu^3\sigma\,\varepsilon^3 + 6\mu^2\sigma^2\varepsilon^4 + 4\mu\sigma^3\varepsilon^5 + \sigma^4\varepsilon^6$.
# 3. Odd powers of $\varepsilon$ average to zero. The even ones: $\mathbb E[\varepsilon^2], \mathbb E[\varepsilon^4], \mathbb E[\varepsilon^6] = 1, 3, 15$.
# 4. So $\mathbb E[g^2] = (\mu^4 + 18\mu^2\sigma^2 + 15\sigma^4)/\sigma^2$. Subtract $\mathbb E[g]^2 = 4\mu^2$:
#
# $$\operatorname{Var}[g] = \frac{\mu^4}{\sigma^2} + 14\mu^2 + 15\sigma^2, \qquad
# \frac{\operatorname{Var}[\text{score}]}{\operatorname{Var}[\text{pathwise}]} = \tfrac14\Bigl(r^4 + 14 r^2 + 15\Bigr), \quad r = \frac\mu\sigma .$$
#
# By hand at $\mu = 1$, $\sigma = \tfrac12$: $4 + 14 + 3.75 = 21.75$, against 1 pathwise.
#
# **With a baseline.** The score has mean zero, so any constant $b$ may be subtracted from $f$ without changing the average. Take $b = \mathbb E[f] = \mu^2+\sigma^2$. Then
# $z^2 - b = 2\mu\sigma\varepsilon + \sigma^2(\varepsilon^2-1)$ and $g = 2\mu\varepsilon^2 + \sigma(\varepsilon^3 - \varepsilon)$. The two parts have covariance zero, as one is even in $\varepsilon$ and the other odd. With
# $\operatorname{Var}[\varepsilon^2] = 3 - 1$ and $\operatorname{Var}[\varepsilon^3-\varepsilon] = 15 - 2\cdot3 + 1$, $\operatorname{Var}[g] = 8\mu^2 + 10\sigma^2$.
#
# **Finite differences with fresh noise.** The line above for $z^2 - b$ gives $\operatorname{Var}[z^2] = 4\mu^2\sigma^2 + 2\sigma^4$. Put $\mu+h$ and then $\mu-h$ in place of $\mu$: these are the variances of the two sides. Their sum, divided by $(2h)^2$, is $(2(\mu^2 + h^2)\sigma^2 + \sigma^4)/h^2$.
#
# Each formula, checked with draws at several $\sigma$:


# %%
def score_variance(mu, sigma):
    return mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2


def baseline_variance(mu, sigma):
    return 8 * mu**2 + 10 * sigma**2


def fresh_variance(mu, sigma, h=0.1):
    return (2 * (mu**2 + h**2) * sigma**2 + sigma**4) / h**2


# %%
for s_ in (0.125, 0.25, 0.5, 1.0, 2.0):
    print(f"sigma = {s_}")
    check_variance("   pathwise", pathwise_gradient(square, 1.0, s_, eps)[0], 4 * s_**2)
    check_variance("   score function", score_gradient(square, 1.0, s_, eps)[0], score_variance(1, s_))
    with_baseline = score_gradient(square, 1.0, s_, eps, baseline=1 + s_**2)[0]
    check_variance("   with baseline", with_baseline, baseline_variance(1, s_))
    check_variance("   fresh differences", difference_gradient(square, 1.0, s_, eps, other)[0], fresh_variance(1, s_))

# %% [markdown]
# Three of the four variances fall whenever $\sigma$ falls. The score function's without a baseline does not. Its term $\mu^4/\sigma^2$ comes from $\mu^2$, the part of the cost that is the same in every draw. A baseline removes it. Without a baseline the variance is least where $-2\mu^4/\sigma^3 + 30\sigma = 0$, at $\sigma = |\mu|/\sqrt[4]{15} = 0.51\,|\mu|$.
# **For $z^2$ without a baseline, and $\sigma$ below about half of $|\mu|$, a narrower $q$ means a noisier score-function gradient.** With the baseline it never does. A latent that carries much information about its picture has a narrow $q$.
#
# The variance of fresh differences grows like $1/h^2$ as $h$ falls. At a large $h$ it is near $2\sigma^2$, that of an average of two pathwise estimates.

# %%
widths = np.linspace(0.2, 2, 1801)
lowest = widths[np.argmin(score_variance(1.0, widths))]
print(f"least score-function variance at sigma = {lowest:.3f} |mu|")
measured = {s_: score_gradient(square, 1.0, s_, eps)[0].var().item() for s_ in (0.25, 0.5, 1.0)}
assert abs(lowest - 0.51) < 0.01
assert measured[0.25] > 1.2 * measured[0.5] < measured[1.0]
print("At mu = 1 the score function's variance is lower at sigma = 0.5 than at 0.25 and at 1.")

# %%
r = np.linspace(0, 10, 200)
figure, ax = plt.subplots(figsize=(6.5, 3.2))
ax.plot(r, score_variance(r, 1) / 4, "--", color="C1", label="score function")
ax.plot(r, baseline_variance(r, 1) / 4, "-.", color="C2", label="score function with baseline")
ax.axhline(1, color="C0", label="pathwise")
ax.set(yscale="log", xlabel="r = mu / sigma", ylabel="variance / pathwise variance")
ax.legend()
plotting.show(
    figure,
    "Variance divided by the pathwise variance, against mu over sigma, on a logarithmic axis. Pathwise is the "
    "line at 1. The score function rises from 3.75 to thousands at a ratio of 10; with a baseline it rises "
    "from 2.5 to about two hundred.",
)

# %% [markdown]
# **More dimensions.** A VAE has many latents. Let $f(z) = \sum_{i=1}^d z_i^2$, all with the same $\mu$ and $\sigma$. In $\mu_1$ the pathwise estimate is still $2z_1$, with variance $4\sigma^2$. The score
# function's estimate is $(z_1^2 + R)\,\varepsilon_1/\sigma$. Here $R$, the sum over the other latents, is noise that is independent of $\varepsilon_1$. Let $a = \mathbb E[z_i^2] = \mu^2+\sigma^2$ and $v = \operatorname{Var}[z_i^2] = 4\mu^2\sigma^2+2\sigma^4$.
#
# 1. $\mathbb E[R] = (d-1)a$, and $\mathbb E[R^2] = (d-1)v + (d-1)^2a^2$.
# 2. $\mathbb E[z_1^2\varepsilon_1^2] = \mu^2 + 3\sigma^2$ and $\mathbb E[\varepsilon_1^2] = 1$.
# 3. In $\mathbb E[(z_1^2 + R)^2\varepsilon_1^2]/\sigma^2$ the terms with $R$ add $\bigl(2(d-1)\,a\,(\mu^2+3\sigma^2) + (d-1)v + (d-1)^2a^2\bigr)/\sigma^2$.
#
# The sum grows with $d^2$. With the baseline $\mathbb E[f] = da$ the means drop out. Only $(d-1)v/\sigma^2$ is added, which is linear in $d$.

# %%
a, v = mu**2 + sigma**2, 4 * mu**2 * sigma**2 + 2 * sigma**4
generator = torch.Generator().manual_seed(SEED)
for d in (1, 4, 16):
    e = torch.randn(200_000, d, generator=generator)
    f, more = square(mu + sigma * e).sum(1), d - 1
    added = (2 * more * a * (mu**2 + 3 * sigma**2) + more * v + (more * a) ** 2) / sigma**2
    check_variance(f"d = {d}, pathwise", 2 * (mu + sigma * e[:, 0]), 4 * sigma**2)
    check_variance(f"d = {d}, score", f * e[:, 0] / sigma, score_variance(mu, sigma) + added)
    with_baseline = (f - d * a) * e[:, 0] / sigma
    check_variance(f"d = {d}, baseline", with_baseline, baseline_variance(mu, sigma) + more * v / sigma**2)

# %% [markdown]
# The score function sees only the total cost. From one draw it cannot find which of the $d$ latents caused it; only the average over many draws can. `backward()` finds it from one draw.
#
# ## 8. What variance does to training (optional)
#
# Back to the smallest VAE, now with $d$ pixels, each of value 3, and $d$ latents. All methods get the same loss, the same start ($\mu = 0$, $\sigma = 1$) and the same noise, one draw a step. A noisy gradient may only need a smaller
# learning rate. So each method gets **its own best learning rate** of eight. We run 40 repeats: the first 20 choose the rate, the other 20 give the result. A rate is not chosen if even one of the first 20 runs overflows with it.
#
# For the score function the loss contains a *surrogate*, whose
# gradient is the estimate: $f(z)\log q(z)$ with $f(z)$ and $z$ detached (`detach()` makes a tensor a constant for autograd).
#
# How good is the result? Lesson 05 will show that the least possible loss, with its constant, is $-\log p(x)$, minus the log-density of the picture. Here that is $-\log\mathcal N(x; 0, 2)$, because $x$ is $z$ plus noise, and each has variance 1. The loss lies above this by the *excess*
# $\mathrm{KL}(q\,\Vert\,\mathcal N(\tfrac x2, \tfrac12))$. This second normal is the optimum of section 2, where the excess is zero. We check at three points that loss and excess differ by $-\log p(x)$:


# %%
def excess(x, mu, log_var):
    return kl_normal(mu, log_var, x / 2, torch.full_like(mu, np.log(0.5)))


least = -stats.norm.logpdf(3, 0, np.sqrt(2))
for mu_, log_var_ in ((0.4, -0.7), (-2.0, 1.0), (1.5, np.log(0.5))):
    at = (torch.tensor([mu_]), torch.tensor([log_var_]))
    mean_cost = 0.5 * ((3 - mu_) ** 2 + np.exp(log_var_)) + 0.5 * np.log(2 * np.pi)  # E[-log N(x; z, 1)]
    loss, above = mean_cost + kl_to_standard_normal(*at).item(), excess(torch.tensor([3.0]), *at).item()
    print(f"loss {loss:.3f} = -log p(x) {least:.3f} + excess {above:.3f} nats")
    np.testing.assert_allclose(loss, least + above)


# %%
def train(d, method, rates, steps, repeats=40):
    """SGD with one draw a step; the mean excess over the last 100 steps, (rates, repeats)."""
    generator = torch.Generator().manual_seed(SEED)
    q, x, late = torch.zeros(2, len(rates), repeats, d, requires_grad=True), torch.tensor(3.0), 0.0
    for step in range(steps):
        mu, log_var = q
        z = mu + torch.exp(0.5 * log_var) * torch.randn(repeats, d, generator=generator)
        loss = cost(x, z)
        if method != "pathwise":
            weight, z = loss.detach(), z.detach()
            if method == "score function with baseline":
                weight = weight - 0.5 * ((x - mu) ** 2 + log_var.exp()).sum(-1).detach()
            loss = weight * log_normal(z, mu, log_var)
        (slope,) = torch.autograd.grad((loss + kl_to_standard_normal(mu, log_var)).sum(), q)
        with torch.no_grad():
            q -= torch.tensor(rates)[:, None, None] * slope
            late += excess(x, *q) / 100 if step >= steps - 100 else 0.0
    return late


# %% tags=["nbval-ignore-output"]
rates = [0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003]
methods = {"pathwise": "o-", "score function with baseline": "^-.", "score function": "s--"}
runs, best = {}, {}
for d, steps in ((1, 1000), (10, 1000), (10, 3000)):
    for method in methods:
        late = train(d, method, rates, steps)
        rate = late[:, :20].mean(1).nan_to_num(torch.inf).argmin()
        runs[d, steps, method], best[d, steps, method] = late[:, 20:].mean(1), late[rate, 20:].mean().item()
        error = late[rate, 20:].std() / 20**0.5
        print(f"d = {d:2}, {steps} steps, {method:28} best rate {rates[rate]:.4f}, ", end="")
        times = best[d, steps, method] / best[d, steps, "pathwise"]
        print(f"excess {best[d, steps, method]:.4f} +- {error:.4f} nats, {times:.0f} times pathwise's")

# %% [markdown]
# The figure shows the 20 runs that give the result, for every rate. A line ends where a run overflowed.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True)
for ax, d in zip(axes, (1, 10), strict=True):
    for (method, style), colour in zip(methods.items(), ("C0", "C2", "C1"), strict=True):
        ax.loglog(rates, runs[d, 1000, method], style, color=colour, label=method)
    ax.set(ylim=(1e-3, 100), xlabel="learning rate", title=f"d = {d}")
axes[0].set_ylabel("excess loss after 1,000 steps (nats)")
axes[0].legend(fontsize=9)
plotting.show(
    figure,
    "Excess loss after 1,000 steps against the learning rate, both logarithmic, one panel for one latent and one for "
    "ten. At small rates all three lines are the same. Pathwise reaches the lowest point of "
    "the three. With ten latents the score function with baseline stays far above it, and the one without still "
    "farther. Where training overflowed, at larger learning rates, the lines of the score functions end.",
)

# %%
plain, baseline = "score function", "score function with baseline"
assert best[1, 1000, plain] > 3 * best[1, 1000, "pathwise"]
for steps in (1000, 3000):
    assert best[10, steps, plain] > 50 * best[10, steps, "pathwise"]
    assert best[10, steps, baseline] > 8 * best[10, steps, "pathwise"]
    assert best[10, steps, plain] > 4 * best[10, steps, baseline]
print("Each at its own best learning rate, d = 1: the score function's excess is over 3 times pathwise's.")
print("d = 10: over 50 times, with a baseline over 8 times, after 1,000 and after 3,000 steps.")

# %% [markdown]
# A noisy gradient needs a small learning rate, and a small rate needs more steps. With ten latents the score function ends far from the optimum even at its best learning rate. With one latent the difference is smaller. This is plain gradient descent on one picture; other optimisers were not tried.
#
# ## 9. A function with ripples (optional)
#
# So far $f$ was $z^2$. Now $f(z) = \sin(kz)$, with slope $k\cos kz$. The larger $k$, the finer its ripples.

# %%
ripple = Prediction(
    "f(z) = sin(4 z), mu = 1, sigma = 0.5: which estimator of the gradient in mu has the lower variance?",
    ["pathwise", "the score function, without a baseline", "both alike within a factor of 2"],
)
ripple.ask()


# %%
def sine(k, c=0.0):
    return lambda z: torch.sin(k * z) + c


tame = score_gradient(sine(4), mu, sigma, eps)[0].var().item()
steep = pathwise_gradient(sine(4), mu, sigma, eps)[0].var().item()
print(f"variance: pathwise {steep:.2f}, score function {tame:.2f}")
ripple.reveal(ripple.choices[2 if 0.5 < steep / tame < 2 else 0 if steep < tame else 1])

# %% [markdown]
# So pathwise does not always win. It uses the slope *at* $z$. If the slope changes sign within the width of $q$, one draw's slope can be far from the average slope. For large $k\sigma$, both $\cos^2 kz$ and $\sin^2 kz$ average to $\tfrac12$. Then the pathwise variance is near $k^2/2$, and the score function's
# is near $1/(2\sigma^2)$: a ratio of $(k\sigma)^2$, here 4.
#
# But for large $k\sigma$ the average of $\sin kz$ is near zero. So here the score function needs no baseline. Add a constant $c$ to $f$. The exact gradient and the pathwise estimates do not change at all. For large $c$ the score function's variance grows like $c^2/\sigma^2$. Compare with quadrature, which is numerical integration:


# %%
def exact_variances(k, c):
    """Exact variances of one draw's estimate for sin(kz) + c: pathwise, score function, the same with baseline E[f]."""
    gradient = k * np.exp(-((k * sigma) ** 2) / 2) * np.cos(k * mu)  # of E[sin kz] = exp(-k^2 sigma^2 / 2) sin(k mu)
    b = np.exp(-((k * sigma) ** 2) / 2) * np.sin(k * mu) + c
    found = [expectation(lambda z: (k * np.cos(k * z)) ** 2, mu, sigma) - gradient**2]
    for base in (0, b):
        second = expectation(lambda z, o=c - base: ((np.sin(k * z) + o) * (z - mu) / sigma**2) ** 2, mu, sigma)
        found.append(second - gradient**2)
    return gradient, *found


# %%
for k in (1, 4, 20):
    for c in (0, 1, 10, 100):
        gradient, pathwise, score, with_baseline = exact_variances(k, c)
        print(f"k = {k:2}, c = {c:3}: exact variance {pathwise:6.2f} pathwise, {score:9.2f} score, ", end="")
        print(f"{with_baseline:.2f} with baseline")
check_variance(
    "score function, k = 4, c = 10", score_gradient(sine(4, 10.0), mu, sigma, eps)[0], exact_variances(4, 10)[2]
)

# %%
sure = {k: exact_variances(k, 10)[1:] for k in (1, 4, 20)}  # pathwise, score function, with baseline
sizes = {c: score_gradient(sine(4, c), mu, sigma, eps)[0].var().item() for c in (0.0, 10.0)}
assert steep > 3 * sizes[0]
assert sizes[10] > 40 * steep
assert sure[1][0] < sure[1][2]
assert all(sure[k][0] > 3 * sure[k][2] for k in (4, 20))
print("sin(4z): the pathwise variance is over 3 times the score function's.")
print("sin(4z) + 10: the score function's variance, without a baseline, is over 40 times the pathwise one.")
print(
    "With the baseline E[f], pathwise wins for sin(z); for sin(4z) and sin(20z) the score function wins: pathwise has over 3 times its variance."
)

# %% [markdown]
# **With a baseline, $k\sigma$ decides; without one, $c$ can.** With the baseline $\mathbb E[f]$, $c$ does not matter: pathwise wins for $k = 1$, the score function for $k = 4$ and $k = 20$. Without a baseline $c$ decides for $k = 4$ and $k = 20$, and pathwise wins for $k = 1$.
# ($\mathbb E[f]$ is a simple baseline, not the best. For $k = 4$, $c = 0$ it even raises the variance, from 1.87 to 2.17; Try it 5 finds the best one for $z^2$.)
#
# Is a lower variance of any use? At $k = 20$ the exact gradient is $20\,e^{-50}\cos 20$, about $10^{-21}$. Such fine ripples average out. Both estimators are unbiased, and both are **nothing but noise**. To see it, look at the sign of averages of 10,000 draws. The cell also computes how many draws would bring the standard error down to a tenth of the
# gradient.

# %%
signs = {}
for k in (4, 20):
    gradient, *variances = exact_variances(k, 0)
    print(f"k = {k}: exact gradient {gradient:.1e}")
    for method, variance in zip((pathwise_gradient, score_gradient), variances, strict=False):
        averages = method(sine(k), mu, sigma, eps)[0].reshape(50, 10_000).mean(1)
        signs[k, method.__name__] = (averages.sign() == np.sign(gradient)).sum().item()
        print(f"   {method.__name__:17} right sign in {signs[k, method.__name__]} of 50 averages; ", end="")
        print(f"draws needed: {100 * variance / gradient**2:.0e}")

# %%
assert all(signs[4, name] == 50 for name in ("pathwise_gradient", "score_gradient"))
assert all(10 < signs[20, name] < 40 for name in ("pathwise_gradient", "score_gradient"))
print("k = 4: all averages of 10,000 draws have the right sign, with both estimators.")
print("k = 20: the sign is a coin toss with both; over 10 and under 40 of 50 are right.")

# %% [markdown]
# A mean near zero with a small standard error shows only that the gradient is small. So at $k = 20$ the lower variance is of no use. Compare a gradient with its standard error before you compare estimators.
#
# ## 10. In a real VAE (optional)
#
# Now digits: a VAE with 8 latents, trained for five epochs on 4,000 digits (lesson 07 examines such a VAE). First the slip of section 2. A second VAE differs only in the draw: `.sample()` in place of `.rsample()`. All numbers are for the 1,000 held-out digits, which no network has seen. For comparison: the cost of
# a decoder that always draws the average training picture.


# %%
def train_vae(draw, digits):
    """A VAE with 8 latents, trained with the given draw."""
    torch.manual_seed(SEED)
    vae = VAE(784, 8, hidden=(256,)).float()

    def terms(x):
        mu, log_var = vae.q_z_given_x(x)
        log_p = log_bernoulli(x, vae.decoder(draw(mu, log_var)))
        return {"loss": (kl_to_standard_normal(mu, log_var) - log_p).mean()}

    fit(vae, terms, digits, epochs=5, seed=SEED, progress=False)
    return vae


# %% tags=["nbval-ignore-output"]
(digits, _), (held_out, _) = data.digits()
digits, held_out = (digits > 0.5).float(), (held_out > 0.5).float()
vaes = {"rsample()": train_vae(rsample, digits), "sample()": train_vae(plain_draw, digits)}
average = -log_bernoulli(held_out, torch.logit(digits.mean(0), eps=1e-3))  # (1000,)
print(f"average picture: {average.mean():.1f} nats")
gain, kl = {}, {}
for name, vae in vaes.items():
    with torch.no_grad():
        q = vae.q_z_given_x(held_out)
        gain[name] = average + log_bernoulli(held_out, vae.decoder(rsample(*q)))
        kl[name] = kl_to_standard_normal(*q).mean().item()
    error = gain[name].std() / 1000**0.5
    print(
        f"{name:10} KL {kl[name]:6.3f} nats, better than the average picture by {gain[name].mean():6.1f} +- {error:.1f}"
    )

# %%
assert kl["sample()"] < 0.01
assert gain["sample()"].mean() < 0
assert gain["rsample()"].mean() > 40
print("With .sample() the KL is under 0.01 nats, and the digits cost more than with the average picture.")
print("With .rsample() the reconstruction costs over 40 nats less than the average picture.")

# %% [markdown]
# With `.sample()` the VAE is even a few nats worse than the average picture. Its decoder got pure noise for $z$. A likely reason is that in five epochs it has not quite learnt to ignore the noise (Try it 4).
#
# Now the estimators, in the VAE that trained well. For 50 held-out pictures and 200 draws each we estimate the gradient of $\log p(x\mid z)$ in $\mu$ pathwise and by the score function. The score function runs without a
# baseline and with a simple one, the average over the picture's other draws.

# %%
in_nats = Prediction(
    "By what factor is the score function's variance larger than the pathwise one, without a baseline?",
    ["less than 10", "10 to 1,000", "more than 1,000"],
)
in_nats.ask()

# %% [markdown]
# The last line printed below checks that the pathwise estimate and the score function with its baseline have the same mean. It compares their difference with its standard error. If the means are equal, the average of the squared ratio is near 1.


# %%
def real_gradients(vae, x, eps):
    """One-draw gradients of log p(x|z) in mu for noise (N, B, d): pathwise, score function, with baseline."""
    with torch.no_grad():
        mu, log_var = vae.q_z_given_x(x)
    sigma, n = torch.exp(0.5 * log_var), len(eps)
    mu = mu.expand(n, *mu.shape).clone().requires_grad_()
    log_p = log_bernoulli(x, vae.decoder(mu + sigma * eps))  # (N, B)
    log_p.sum().backward()
    log_p = log_p.detach()[..., None]
    others = (n * log_p.mean(0) - log_p) / (n - 1)  # independent of this draw
    return mu.grad, log_p * eps / sigma, (log_p - others) * eps / sigma


# %% tags=["nbval-ignore-output"]
few, generator = held_out[:50], torch.Generator().manual_seed(SEED)
noise = torch.randn(200, 50, 8, generator=generator, dtype=few.dtype)
one_for_all = torch.randn(200, 1, 8, generator=generator, dtype=few.dtype).expand(200, 50, 8)
vae = vaes["rsample()"]
real = dict(zip(("pathwise", "score", "baseline"), real_gradients(vae, few, noise), strict=True))
variance = {name: g.var(0).mean(1) for name, g in real.items()}  # of each picture, mean over its latents
print("variance in one coordinate of mu:", {name: round(v.mean().item()) for name, v in variance.items()})
times = {name: variance[name] / variance["pathwise"] for name in ("score", "baseline")}
for name, ratio in times.items():
    print(f"{name}: times the pathwise variance, median {ratio.median():.0f}, least {ratio.min():.1f} of 50 pictures")
difference = real["pathwise"] - real["baseline"]
agreement = (difference.mean(0) / difference.std(0) * 200**0.5).pow(2).mean().item()
print(f"mean squared difference of the two means, in squared standard errors: {agreement:.2f}")

# %%
ratio = (variance["score"].mean() / variance["pathwise"].mean()).item()
in_nats.reveal(in_nats.choices[0 if ratio < 10 else 1 if ratio <= 1000 else 2])

# %%
assert 0.7 < agreement < 1.4
assert times["score"].median() > 3000
assert times["baseline"].median() > 5
assert times["baseline"].min() > 2
print("Pathwise and baseline estimates differ by about one standard error, as they should.")
print("The score function's variance is over 3,000 times the pathwise one, in the median picture.")
print("With a baseline it is over 5 times in the median picture, and over 2 times in each of the 50.")

# %% [markdown]
# The factor is in the thousands, because the score function multiplies the whole of $\log p(x\mid z)$, over a hundred nats, by noise. The baseline removes most of that, but not all.
#
# One could think that pathwise is less noisy because the slope hardly changes over the width of $q$. We can measure this: the pathwise variance *is* the variance of the slope over the draws. We compare its root with the slope's typical mean. The same cell measures the average gradient of the 50 pictures, with fresh noise and with one $\varepsilon$ for all.

# %% tags=["nbval-ignore-output"]
g = real["pathwise"]
squared_mean = g.mean(0) ** 2 - g.var(0) / len(g)  # (50, 8), without the noise's own part
groups = (g.var(0).reshape(5, -1).mean(1) / squared_mean.reshape(5, -1).mean(1)).sqrt()  # of 10 pictures each
slope_ratio, error = groups.mean().item(), groups.std() / 5**0.5
print(f"standard deviation of the slope over q: {slope_ratio:.2f} +- {error:.2f} of its typical mean")
batch = {
    name: g.mean(1).var(0).sum().item() for name, g in (("fresh", g), ("one", real_gradients(vae, few, one_for_all)[0]))
}
print(
    f"variance of the batch's average gradient: fresh noise {batch['fresh']:.2f}, one eps for all {batch['one']:.1f}, ",
    end="",
)
print(f"{batch['one'] / batch['fresh']:.0f} times")

# %%
assert 0.6 < slope_ratio < 2
assert batch["one"] > 15 * batch["fresh"]
print("The slope's standard deviation is between 0.6 and 2 times its typical mean: it is far from constant.")
print("One eps for the whole batch of 50 pictures: over 15 times the variance of fresh noise.")

# %% [markdown]
# So the slope varies a lot over $q$, and pathwise is the less noisy estimator all the same. A likely reason is that of section 7. For each latent, pathwise uses the slope in this latent. The score function uses the whole cost, to which all eight contribute. This was shown for one small VAE, five epochs and the gradient in $\mu$.
#
# The shared noise raises the variance 33 times here; the formula of section 6 would give 50. Nothing raises an error.
#
# ## Easy to forget
#
# - `sample()` cuts the graph, `rsample()` does not. A KL term hides the cut. Look at `z.grad_fn`.
# - $\sigma = e^{\frac12\log\sigma^2}$, not $e^{\log\sigma^2}$. Detaching $\varepsilon$ is right. Detaching $z$ is the cut again.
# - Noise has the shape of $\mu$: one draw for each picture *and* latent, anew in each step.
# - Pathwise and score function are both unbiased. They differ in variance. Straight-through is biased.
# - Pathwise needs an $f$ without jumps.
#
# ## Summary
#
# - $\mathbb E[f(z)]$ has a gradient in $\mu$ and $\sigma$. A draw by `sample()` loses it, and raises no error if the loss has another path. The smallest VAE then ends at the prior.
# - Written as $z = \mu + \sigma\varepsilon$, or $\mu + L\varepsilon$ in general, the draw passes the gradient on: $\partial z/\partial\mu = 1$ and $\partial z/\partial\sigma = \varepsilon$.
# - Pathwise and score function have the same mean where $f$ has no jumps. So have finite differences: for $z^2$ with any $h$, for other $f$ in the limit $h\to0$. For $z^2$ with $\mu = 1$, $\sigma = \tfrac12$ the score function has 21.75 times the pathwise variance, in $\mu$.
# - Where $f$ or $T$ jumps, the pathwise gradient is simply wrong. The score function is right. A straight-through gradient is biased: $-5.4$ for $-5$ in one example, with the wrong sign in another. In the first example its mean squared error is lower if both average 600 draws, but not with 1,500. Against the score function with the baseline $\mathbb E[f]$, straight-through is better with 80 draws and worse with 160.
# - The batch averages one fresh draw for each picture. A shared draw is not averaged. If encoding is cheap, use 64 decodings for 64 pictures. The more the pictures differ, the more this helps.
# - Optional sections: for a sum of $d$ equal squares the score function's variance grows with $d^2$, or with $d$ if it has a baseline. In training with ten latents, each method had the best of eight learning rates. After 1,000 steps the score function's excess loss was 159 times the pathwise one here, after 3,000 steps 223 times here. With each of the five seeds it is over 50 times as large, and with a baseline over 8 times.
# - In a small VAE on digits the score function's variance is 14,225 times the pathwise one here, in the median picture. It is over 3,000 times with each of the five seeds, and over 5 times with a baseline.
# - For $\sin kz$ pathwise had the lower variance with $k\sigma = \tfrac12$, the score function with a baseline with $k\sigma = 2$ and 10. At $k\sigma = 10$ both estimates are nothing but noise.
#
# **Back:** [02 · Sampling from a Gaussian](02_gaussian_sampling.ipynb). **Next:** [04 · The KL divergence](04_kl_divergence.ipynb)
#
# ## Try it
#
# 1. In `train_smallest`, section 2, replace `draw(*q)` by `draw(*q).detach()`. Predict where $\mu$ ends with `rsample`. (The check that `rsample()` ends near the exact answer then stops with an error: that is the answer.)
# 2. In section 5, set `p_ = 0.5` in the cell of the two errors. There the straight-through gradient has no bias, and the score function with the baseline has no variance. Show both by hand. (The check below that cell then stops with an error.)
# 3. Replace `eps, other = torch.randn(...)` in section 4 by noise that is uniform between $-\sqrt3$ and $\sqrt3$: mean 0, variance 1. Which estimator is wrong now? (The check of the score function in $\sigma$ stops with an error. Why does the one in $\mu$ pass? Compare the moments of $\varepsilon$ that the two need.)
# 4. In section 10, train for 15 epochs instead of 5. Does the verdict change? (It runs to the end.)
# 5. On paper: the baseline $\mathbb E[f]$ is not the best constant. Minimise $\mathbb E[(f-b)^2\varepsilon^2]$ over $b$ for $f = z^2$. Show that the best is $\mu^2+3\sigma^2$, with variance $8\mu^2+6\sigma^2$. Measure it with `score_gradient` in a new cell.
# 6. On paper: derive $\partial z/\partial\mu$ and $\partial z/\partial s$ for the logistic distribution, $z = \mu + s\log\frac{u}{1-u}$. Check them in a new cell on $\mathbb E[z^2] = \mu^2 + s^2\pi^2/3$.
#
# **Exercise.** [Exercise 03](../work/ex03_reparametrization.ipynb) asks you to write functions, and checks each as you go.
#
# ## Sources
#
# - Kingma & Welling 2014, *Auto-Encoding Variational Bayes*; Rezende, Mohamed & Wierstra 2014, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models*: the trick, and one draw a picture.
# - Williams 1992, *Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning*: REINFORCE and baselines.
# - Mohamed, Rosca, Figurnov & Mnih 2020, *Monte Carlo Gradient Estimation in Machine Learning*: pathwise, score-function and measure-valued gradients, with conditions and cases.
# - Bengio, Léonard & Courville 2013, *Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation*: straight-through. Van den Oord, Vinyals & Kavukcuoglu 2017, *Neural Discrete Representation Learning*: the VQ-VAE.
# - Jang, Gu & Poole 2017, *Categorical Reparameterization with Gumbel-Softmax*; Maddison, Mnih & Teh 2017, *The Concrete Distribution*: relaxations. Figurnov, Mohamed & Mnih 2018, *Implicit Reparameterization Gradients*.
