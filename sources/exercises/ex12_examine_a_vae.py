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
# # Exercise 12 · A VAE that you did not write
#
# Six functions to write, easiest first, and one question to answer in words, which a person marks if you hand it in: about 85 minutes in all.
# It belongs to [lesson 12](../notebooks/12_examine_a_vae.ipynb); everything you need is there.
#
# **How it works.** Run the first code cell, which has the imports; if a cell later says that `check` is not defined, this one has not been run. Write your answer where it says
# `raise NotImplementedError`, run the cell, then run the check below it. A check calls your function on several inputs; run it as often as you like. If the answer is wrong it says
# how, and if it knows the mistake, it tells you more. Any right answer passes, however you write it, if it leaves its arguments as they are.
#
# **Stuck?** Run `hint("examine/reductions")` in a cell of your own, with the name that stands in the check. It gives one step at a time, three at most, and costs no points.
#
# All inputs are PyTorch tensors unless the table says otherwise. A batch has $B$ pictures of $D$ pixels, and a code has $d$ latents. The KL of a picture is that of $\mathcal N(\mu, \sigma^2)$ from $\mathcal N(0, I)$, summed over its latents.
# A *slope* is a derivative of a loss, as autograd finds it. All logarithms are natural.

# %%
from vae_course import check, hint, progress

import torch
from torch import nn
from torch.distributions import Normal
from torch.nn import functional as F

# %% [markdown]
# ## 1. Read the β
#
# *2 points, 8 minutes.* A loss is a reconstruction term plus a typed weight times a KL term. You can read how each term was reduced:
#
# - `"sum"`: added up over everything, all pictures of the batch and all their pixels or latents;
# - `"batch mean"`: added up over the pixels or latents of a picture, then averaged over the pictures;
# - `"mean"`: averaged over everything.
#
# The reconstruction adds up BCE or squared errors, $(x - \hat x)^2$ without a ½. Each number of the KL is right, ½ included. Which β does the code train? Let $R$ be minus the log-density of a picture, summed over its pixels. For BCE that is the BCE itself. For squares it is that of a Gaussian with
# $\sigma = 1$, up to a constant. Averaged over pictures,
#
# $$\text{loss} = c\,(R + \beta\,\mathrm{KL}) + \text{constant}.$$
#
# | argument | shape | meaning |
# |---|---|---|
# | `pixels` | a `str` | `"bce"` or `"squares"` |
# | `reconstruction`, `kl` | a `str` each | how the term was reduced: one of the three above |
# | `weight` | a `float` | what the KL term is multiplied by, after it was reduced |
# | `n_pixels`, `n_latents`, `batch` | an `int` each | $D$, $d$, $B$ |
# | *returns* | a number | $\beta$ |


# %%
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    """The β that a loss trains, from how its two terms are reduced."""

    ### BEGIN SOLUTION
    def price(way, n):  # what a nat for each picture adds to the term
        return {"sum": batch, "batch mean": 1, "mean": 1 / n}[way]

    beta = weight * price(kl, n_latents) / price(reconstruction, n_pixels)
    return beta / 2 if pixels == "squares" else beta
    ### END SOLUTION


# %%
check("examine/reductions", beta_of_code)

# %% [markdown]
# Seven ways in which people write the same loss, for digits of 784 pixels, 20 latents and batches of 128.

# %%
for pixels, reconstruction, kl, weight in (
    ("bce", "sum", "sum", 1.0),
    ("bce", "batch mean", "batch mean", 1.0),
    ("bce", "mean", "mean", 1.0),
    ("bce", "mean", "batch mean", 1.0),
    ("bce", "sum", "batch mean", 1.0),
    ("squares", "sum", "sum", 1.0),
    ("squares", "mean", "mean", 0.1),
):
    beta = float(beta_of_code(pixels, reconstruction, kl, weight, 784, 20, 128))
    print(f"{pixels:8} {reconstruction:10} + {weight:3} * KL {kl:10}  beta {beta:8.3f}")

# %% [markdown]
# Only the first two are minus an ELBO with probabilities of ink. The last one has a weight of 0.1, and a β near 2.
#
# ## 2. Which likelihood?
#
# *2 points, 12 minutes.* Now you cannot read the code. You are handed the reconstruction term *as a function*. It is one of these, then multiplied by an unknown $c > 0$, plus an unknown constant. Nor do you know whether it is summed or averaged, over the pixels of a picture and over the pictures:
#
# - `"bernoulli"`: BCE; the output is a probability;
# - `"bernoulli logits"`: BCE; the output is the log-odds, to which the loss applies a sigmoid;
# - `"sigmoid twice"`: BCE; the loss applies a sigmoid to the output, and then another one to the result;
# - `"gaussian"`: squared errors;
# - `"laplace"`: absolute values of the errors.
#
# You may call it as often as you like, with outputs of your own, and differentiate it. Stay between 0 and 1, where all five are defined. There the sigmoid of an output goes from 0.50 to 0.73 only; that is enough to tell them apart.
#
# | argument | shape | meaning |
# |---|---|---|
# | `loss` | function | `loss(x, output)`, each `(B, D)` and strictly between 0 and 1, `float32` or `float64`, returns a number |
# | `x` | `(B, D)`, `float32` | grey pictures. You may use others of this shape |
# | *returns* | a `str` | one of the five words |


# %%
def name_likelihood(loss, x):
    """Which of the five likelihoods a reconstruction term has, found from its slopes: a word."""
    ### BEGIN SOLUTION
    costs = {
        "bernoulli": lambda output: F.binary_cross_entropy(output, x),
        "bernoulli logits": lambda output: F.binary_cross_entropy_with_logits(output, x),
        "sigmoid twice": lambda output: F.binary_cross_entropy_with_logits(output.sigmoid(), x),
        "gaussian": lambda output: F.mse_loss(output, x),
        "laplace": lambda output: F.l1_loss(output, x),
    }

    def slopes(cost):
        output = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).view_as(x).requires_grad_()
        return torch.autograd.grad(cost(output), output)[0].flatten()

    found = slopes(lambda output: loss(x, output))
    return max(costs, key=lambda word: F.cosine_similarity(found, slopes(costs[word]), dim=0))
    ### END SOLUTION


# %%
check("examine/likelihood", name_likelihood)

# %% [markdown]
# Five losses of PyTorch, and what they are for a network whose last layer has no sigmoid.

# %%
generator = torch.Generator().manual_seed(0)
x = torch.randint(2, 99, (4, 6), generator=generator).double() / 100
losses = {
    "binary_cross_entropy(t, x)": lambda x, t: F.binary_cross_entropy(t, x),
    "binary_cross_entropy_with_logits(t, x)": lambda x, t: F.binary_cross_entropy_with_logits(t, x),
    "binary_cross_entropy_with_logits(sigmoid(t), x)": lambda x, t: F.binary_cross_entropy_with_logits(t.sigmoid(), x),
    "gaussian_nll_loss(t, x, 0.01)": lambda x, t: F.gaussian_nll_loss(t, x, torch.full_like(x, 0.01)),
    "7 * l1_loss(t, x) - 3": lambda x, t: 7 * F.l1_loss(t, x) - 3,
}
for code, loss in losses.items():
    print(f"{code:48} {name_likelihood(loss, x)}")

# %% [markdown]
# The third is common: the network ends in a sigmoid, and so does the loss. No pixel can then have a probability below 0.50 or above 0.73.
#
# ## 3. What is drawn?
#
# *2 points, 10 minutes.* You are handed a sampler as a function, with noise of its own. It claims to draw $z \sim \mathcal N(\mu, \sigma^2)$ from $\mu$ and $\log\sigma^2$, each number of $z$ independently, and anew at each call. It has one fault at most:
#
# - `"right"`: no fault;
# - `"variance"`: the noise is multiplied by $\exp(\log\sigma^2)$ in place of $\sigma$;
# - `"uniform"`: the noise is uniform between 0 and 1, and not Gaussian; it is multiplied by $\sigma$ all the same;
# - `"shared"`: all pictures of a batch get the same noise, or all latents of a picture do; the next call has other noise;
# - `"frozen"`: every call with the same shape has the same noise;
# - `"none"`: there is no noise, so that $z = \mu$.
#
# Call it as often as you like, with any $\mu$ and $\log\sigma^2$, and with other shapes from call to call. Decide by what chance cannot explain: draw many. The check has several samplers with each fault; whoever draws too few will mistake some of them.
#
# | argument | shape | meaning |
# |---|---|---|
# | `sample` | function | `sample(mu, log_var)`, each `(B, d)` with any $B$ and $d$, both `float32` or both `float64`; returns $z$, `(B, d)`, of the same dtype |
# | *returns* | a `str` | one of the six words |


# %%
def name_draws(sample):
    """What is wrong with the draws of a sampler, if anything: a word."""
    ### BEGIN SOLUTION
    mu, log_var = torch.zeros(5_000, 2), torch.full((5_000, 2), -2.0)  # σ = 0.37, σ² = 0.14
    z, again = sample(mu, log_var), sample(mu, log_var)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    if torch.equal(z[0], z[1]) or torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if z.mean() > 0.1:
        return "uniform"
    return "right" if z.std() > 0.25 else "variance"
    ### END SOLUTION


# %%
check("examine/draws", name_draws)

# %% [markdown]
# A sampler after the pattern of many programs: one module, in training mode and after `eval()`. And one with the bug that a single number of noise was meant to save time.


# %%
class Reparametrize(nn.Module):
    def forward(self, mu, log_var):
        return mu + (log_var / 2).exp() * torch.randn_like(mu) if self.training else mu


def one_number_a_picture(mu, log_var):
    return mu + (log_var / 2).exp() * torch.randn(len(mu), 1)


print("in training:", name_draws(Reparametrize()))
print("after eval():", name_draws(Reparametrize().eval()))
print("one number a picture:", name_draws(one_number_a_picture))

# %% [markdown]
# `eval()` switches this sampler off. What is then reported as a validation ELBO is none (lesson 07, section 4).
#
# ## 4. What is s?
#
# *3 points, 15 minutes.* An encoder has two outputs, $\mu$ and $s$. Somebody wrote the draw, and somebody else the KL. Each took $s$ for one of these:
#
# - `"log-variance"`: $s = \log\sigma^2$;
# - `"log sigma"`: $s = \log\sigma$;
# - `"sigma"`: $s = \sigma$;
# - `"variance"`: $s = \sigma^2$.
#
# Say for what each took it. The names in the code do not matter, and the four choices are equally good, if draw and KL agree. The KL is judged *by its slopes*, because training follows nothing else:
# an unknown factor above 0 and a constant change no verdict. If its slopes in $\mu$ and $s$ are not a positive number times those of $\mathrm{KL}(\mathcal N(\mu, \sigma^2)\,\Vert\,\mathcal N(0, I))$, for none of the four, answer `"no KL"`. That happens if a sign is wrong, a part is
# missing, one part has another factor than the others (so that the prior is another one), the KL is taken in the other direction, or no gradient reaches $s$. (The slope in $s$ is then 0. If $s$ is not in the graph at all, `torch.autograd.grad` stops with an error, or gives `None` with `allow_unused=True`.)
#
# Both are functions that you may call with tensors of your own, `float32` or `float64`, and differentiate. Keep $s$ between 0.1 and 4, where no part drowns another (at 0 a logarithm would be infinite). Slopes that fit then fit to five digits in `float32`, and to ten in `float64`. Those that do not fit nearly always miss by over a hundredth, over three or more latents with different $s$. Every number of $z$ depends on its own $\mu$, $s$ and $\varepsilon$ only, and the KL is a sum over all numbers.
#
# | argument | shape | meaning |
# |---|---|---|
# | `draw` | function | `draw(mu, s, eps)`, each `(B, d)` with any $B$ and $d$, returns $z = \mu + \sigma\varepsilon$, `(B, d)` |
# | `kl` | function | `kl(mu, s)`, each `(B, d)`, returns a number |
# | *returns* | two `str` | what the draw takes $s$ for, one of the four; what the KL takes it for, one of the four or `"no KL"` |


# %%
def name_readings(draw, kl):
    """What the draw and the KL each take the encoder's second output for: two words."""
    ### BEGIN SOLUTION
    sigma_of = {
        "log-variance": lambda s: torch.exp(s / 2),
        "log sigma": torch.exp,
        "sigma": lambda s: s,
        "variance": torch.sqrt,
    }
    mu = torch.tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    s = torch.tensor([[0.5, 2.0, 3.0]], requires_grad=True)

    def slopes(term):
        return torch.cat(torch.autograd.grad(term, (mu, s)), 1)

    noise = draw(torch.zeros_like(s), s, torch.ones_like(s))
    found, charged = slopes(kl(mu, s)), "no KL"
    for word, sigma in ((word, function(s)) for word, function in sigma_of.items()):
        if torch.allclose(noise, sigma):
            drawn = word
        own = slopes((mu**2 + sigma**2 - 2 * sigma.log()).sum())
        if F.cosine_similarity(found, own) > 0.9999:
            charged = word
    return drawn, charged
    ### END SOLUTION


# %%
check("examine/readings", name_readings)

# %% [markdown]
# Three pairs. The names of the variables would not have told.


# %%
def usual_kl(mu, log_var):
    return -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum()


pairs = {
    "exp(s / 2), usual KL": (lambda mu, s, eps: mu + (s / 2).exp() * eps, usual_kl),
    "exp(s), usual KL": (lambda mu, s, eps: mu + s.exp() * eps, usual_kl),
    "exp(s), KL of 2 s": (lambda mu, s, eps: mu + s.exp() * eps, lambda mu, s: usual_kl(mu, 2 * s)),
}
for name, pair in pairs.items():
    drawn, charged = name_readings(*pair)
    print(f"{name:21} drawn with {drawn}, charged for {charged}: {'agree' if drawn == charged else 'do not agree'}")
mu, s = torch.zeros(1, 1), torch.tensor([[-4.6]])
print(
    f"the second at s = -4.6: charged {usual_kl(mu, s):.2f} nats, and drawn as if it had paid {usual_kl(mu, 2 * s):.2f}"
)

# %% [markdown]
# In the second pair the encoder pays for a σ of 0.1 and gets one of 0.01. No picture looks wrong, and no loss is `nan`. But the ELBO that it reports is too high.
#
# ## 5. An honest validation
#
# *3 points, 15 minutes.* A training loop calls this function after each epoch, with the codes `mu` and `log_var` that its last *training* batch has left behind. Pixels are 0 or 1, and the decoder returns log-odds.
#
# ```python
# def validate(mu, log_var, batches, noise, encoder, decoder):
#     total = 0
#     for x in batches:
#         z = encoder(x)[0]
#         bce = binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / len(x)
#         kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
#         total += bce + kl
#     return total / len(batches)
# ```
#
# Write what was meant: minus the ELBO of the held-out pictures in nats per picture, with one draw of $z$ for each picture and the KL in closed form. More than one thing is wrong. Batches have different sizes, and each picture is to count the same. Return the standard error as well: of a mean over all $N$ pictures
# (from a standard deviation with $N - 1$). Both may be plain numbers or tensors, and an argument may stay unused.
#
# | argument | shape | meaning |
# |---|---|---|
# | `mu`, `log_var` | `(B, d)` each | the encoder's output for the last training batch |
# | `batches` | list of tensors `(B_i, D)` | the held-out pictures, of 0s and 1s |
# | `noise` | list of tensors `(B_i, d)` | draws from $\mathcal N(0, I)$: a row $\varepsilon$ for each held-out picture |
# | `encoder` | function | pictures `(B_i, D)` to `mu` and `log_var`, `(B_i, d)` each |
# | `decoder` | function | `z`, `(B_i, d)`, to log-odds `(B_i, D)` |
# | *returns* | two numbers | minus the ELBO; its standard error |


# %%
def validate(mu, log_var, batches, noise, encoder, decoder):
    """Minus the ELBO of held-out pictures, in nats per picture, and its standard error: two numbers."""
    ### BEGIN SOLUTION
    costs = []
    for x, eps in zip(batches, noise, strict=True):
        mu, log_var = encoder(x)
        logits = decoder(mu + (log_var / 2).exp() * eps)
        bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)  # (B_i,)
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1)
        costs.append(bce + kl)
    costs = torch.cat(costs)  # (N,)
    return costs.mean(), costs.std() / len(costs) ** 0.5
    ### END SOLUTION


# %%
check("examine/validation", validate)

# %% [markdown]
# The printed function and yours, on pictures of 64 pixels from a VAE with random weights, and on the same pictures with ink and paper exchanged.


# %%
def printed(mu, log_var, batches, noise, encoder, decoder):
    total = 0
    for x in batches:
        bce = F.binary_cross_entropy_with_logits(decoder(encoder(x)[0]), x, reduction="sum") / len(x)
        total += bce - 0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
    return total / len(batches)


generator = torch.Generator().manual_seed(0)
weights = torch.randn(4, 64, generator=generator, dtype=torch.float64)


def encoder(x):
    mu = (2 * x - 1) @ weights.T / 16 + x.mean(1, keepdim=True) ** 2
    return mu, torch.full_like(mu, -1.0)


def decoder(z):
    return z @ weights - 1.5


z = torch.randn(1_124, 4, generator=generator, dtype=torch.float64)
everything = torch.bernoulli(decoder(z).sigmoid(), generator=generator)
training, held = everything[:100], everything[100:]
noise = torch.randn(1_024, 4, generator=generator, dtype=torch.float64).split(300)
for name, pictures in (("held out", held), ("ink and paper exchanged", 1 - held)):
    given = (*encoder(training), pictures.split(300), noise, encoder, decoder)
    cost, error = validate(*given)
    print(f"{name:24} printed {printed(*given):6.1f}, honest {cost:6.1f} ± {error:.1f} nats per picture")

# %% [markdown]
# The printed number is over 4 nats too good each time, many times the standard error.
#
# ## 6. A loss in nats
#
# *3 points, 15 minutes.* A README says: "loss 0.04". You are handed the loss as a function, and know only that it is made of squared errors and a right KL. Where it sums and where it averages, and what it multiplies or adds, you are not told. Up to a factor above 0 and a constant, it is minus an ELBO with
# Gaussian pixels of *one* standard deviation $\sigma$ around $\hat x$. Find this σ. Then compute that ELBO for the batch: with this σ, all constants of the density, `x_hat` as decoded from one draw of $z$, the KL in closed form, in nats per picture, averaged over the batch.
#
# You may call the loss with any tensors of the same shapes as the ones given, and differentiate it. It computes in the dtype of its arguments, and those of the check are `float32`: a change in the seventh digit drowns in rounding.
#
# | argument | shape | meaning |
# |---|---|---|
# | `loss` | function | `loss(x, x_hat, mu, log_var)` returns a number |
# | `x`, `x_hat` | `(B, D)` each | pictures, and the decoder's predictions |
# | `mu`, `log_var` | `(B, d)` each | the encoder's output, $\mu$ and $\log\sigma_z^2$ |
# | *returns* | two numbers | $\sigma$ of the pixels; the ELBO |


# %%
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    """The σ of the pixels for which a loss is minus an ELBO, and this ELBO in nats per picture: two numbers."""

    ### BEGIN SOLUTION
    def kl(mu):
        return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1).mean()

    here = loss(x, x_hat, mu, log_var)
    by_squares = (loss(x, x + 1, mu, log_var) - loss(x, x, mu, log_var)) / x.shape[1]  # for a square in each picture
    by_kl = (loss(x, x_hat, mu + 2, log_var) - here) / (kl(mu + 2) - kl(mu))
    sigma = (by_kl / (2 * by_squares)).sqrt()  # squares are divided by 2σ²
    return sigma, Normal(x_hat, sigma).log_prob(x).sum(1).mean() - kl(mu)
    ### END SOLUTION


# %%
check("examine/nats", sigma_and_elbo)

# %% [markdown]
# Four losses on the same batch, for pictures of 784 pixels and 20 latents. The predictions miss by 0.1, so that a σ of 0.1 would be best.


# %%
def latent_kl(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


losses = {
    "mse sum + KL sum": lambda x, t, mu, s: F.mse_loss(t, x, reduction="sum") + latent_kl(mu, s).sum(),
    "mse mean + KL mean": lambda x, t, mu, s: F.mse_loss(t, x) + latent_kl(mu, s).mean(),
    "mse mean + KL batch mean": lambda x, t, mu, s: F.mse_loss(t, x) + latent_kl(mu, s).sum(1).mean(),
    "mse sum + 0.02 KL sum": lambda x, t, mu, s: F.mse_loss(t, x, reduction="sum") + 0.02 * latent_kl(mu, s).sum(),
}
x = torch.rand(128, 784, generator=generator, dtype=torch.float64)
x_hat = x + 0.1 * torch.randn(128, 784, generator=generator, dtype=torch.float64)
mu, log_var = torch.randn(2, 128, 20, generator=generator, dtype=torch.float64)
for code, loss in losses.items():
    sigma, elbo = sigma_and_elbo(loss, x, x_hat, mu, log_var)
    print(f"{code:25} loss {loss(x, x_hat, mu, log_var):8.2f}   sigma {sigma:5.2f}   ELBO {elbo:8.1f} nats per picture")

# %% [markdown]
# The order of the losses says nothing about the order of the ELBOs. Without a σ, a loss has no nats.
#
# ## 7. In words
#
# *3 points, 10 minutes, marked by a person.* From a README: "We minimise `mse_loss(x_hat, x) + 0.0001 * kl`. Pictures are 3 × 128 × 128 numbers from 0 to 1; `kl` is summed over 256 latents and averaged over the batch. With such a small weight this is almost a plain autoencoder, and the blur must come from the architecture.
# After `model.eval()` the validation loss is 0.013, so our ELBO is −0.013." In their code `eval()` makes the model decode $\mu$. In at most 120 words: which β and σ does this loss have (task 1 helps), and what follows for the first claim? Name two reasons why −0.013 is no ELBO. What would you report instead?

# %% [markdown] tags=["written"]
# <!-- BEGIN SOLUTION -->
# **Marking guide.** One point each, three at most:
#
# - *The weight.* β = 0.0001 · 49,152 / 2 = 2.5, so σ = 1.6: wider than the whole range of a pixel. The loss believes that pixels are almost all noise, and little in a picture is worth a nat. This is far from a plain autoencoder (β = 0), and explains blur by itself. (Full point for β or σ, with the consequence. Half a point for β = 4.9, without the ½.)
# - *No ELBO.* Two of these: it is averaged over pixels, and so not in nats per picture; the normaliser of the density is missing; the KL is weighted and the squares are not divided by 2σ², unless σ is chosen to fit; $\mu$ is decoded, though the KL of a wide $q$ is charged.
# - *To report.* Minus the ELBO on held-out pictures, in nats per picture, one draw of $z$, with all constants and a σ that was learned or is the root of the mean squared error; its standard error; reconstruction and KL apart. Three of these parts are enough.
#
# Half a point off for a claim that contradicts these, such as that a weight below 1 always means a weak KL.
# <!-- END SOLUTION -->

# %%
progress("ex12_examine_a_vae")
