"""The tasks of exercise 07, training a VAE."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, wide
from vae_course.visible.callables import Linear, LinearEncoder
from vae_course.visible.observe import Gradients

__all__ = ["TASKS"]


def binary_pictures(rng, *shape):
    """Pictures of ink (1) and paper (0), float32."""
    return torch.tensor(rng.integers(0, 2, size=shape), dtype=torch.float32)


def log_bernoulli(x, logits):
    """log p of each pixel, from log-odds of ink."""
    return Bernoulli(logits=logits).log_prob(x)


def kl_terms(mu, log_var):
    """KL(N(μ, σ²) ‖ N(0, 1)) of each latent: ½ (μ² + σ² − 1 − log σ²)."""
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


# training/elbo(x, eps, encoder, decoder)


SURE = 25.0  # log-odds at which float32 rounds the probability to 1


def draw_elbo(rng):
    """Different numbers of pixels and latents, so that a mean over either cannot be mistaken for another result."""
    batch, pixels, latents = int(rng.integers(2, 5)), int(rng.integers(5, 8)), int(rng.integers(2, 4))
    return {
        "x": binary_pictures(rng, batch, pixels),
        "eps": rounded_normal(rng, batch, latents),
        "encoder": LinearEncoder(
            rounded_normal(rng, pixels, latents, scale=0.5), rounded_normal(rng, pixels, latents, scale=0.4)
        ),
        "decoder": Linear(rounded_normal(rng, latents, pixels), rounded_normal(rng, pixels)),
    }


def with_a_sure_pixel(draw):
    """The same, but for a pixel which the decoder is sure of; it is paper in one picture and ink in another."""

    def draw_sure(rng):
        case = draw(rng)
        case["x"][:2, 0] = torch.tensor([0.0, 1.0])
        case["decoder"].weight[:, 0] *= 0.1
        case["decoder"].bias[0] = SURE
        return case

    return draw_sure


def elbo(x, eps, encoder, decoder):
    """log p(x|z) − KL(q(z|x) ‖ p(z)) with z = μ + σ ε, and both terms (Kingma & Welling 2014)."""
    mu, log_var = encoder(x)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    p = Independent(Bernoulli(logits=decoder(mu + (log_var / 2).exp() * eps)), 1)
    log_p = p.log_prob(x)
    kl = kl_divergence(q, Independent(Normal(torch.zeros_like(mu), 1.0), 1))
    return log_p - kl, log_p, kl


def draw_with(noise):
    """A draw whose noise is `noise(sigma)` times eps."""
    return lambda mu, log_var, eps: mu + noise(log_var) * eps


SAMPLE = draw_with(lambda log_var: (log_var / 2).exp())


def pixel_sum(x, logits):
    return log_bernoulli(x, logits).sum(-1)


def latent_sum(mu, log_var):
    return kl_terms(mu, log_var).sum(-1)


def elbo_with(draw=SAMPLE, pixels=pixel_sum, rate=latent_sum, result=lambda log_p, kl: (log_p - kl, log_p, kl)):
    """An answer to training/elbo with some of its parts replaced."""

    def answer(x, eps, encoder, decoder):
        mu, log_var = encoder(x)
        return result(pixels(x, decoder(draw(mu, log_var, eps))), rate(mu, log_var))

    return answer


def sampled_kl(x, eps, encoder, decoder):
    """log q(z|x) − log p(z) of the sample."""
    mu, log_var = encoder(x)
    return 0.5 * ((mu + (log_var / 2).exp() * eps) ** 2 - eps**2 - log_var).sum(-1)


def elbo_with_sampled_kl(x, eps, encoder, decoder):
    """The log-ratio of the sample instead of the KL."""
    log_p, sampled = elbo(x, eps, encoder, decoder)[1], sampled_kl(x, eps, encoder, decoder)
    return log_p - sampled, log_p, sampled


def elbo_alone_with_sampled_kl(x, eps, encoder, decoder):
    """The log-ratio of the sample instead of the KL, but in the first result alone."""
    _, log_p, kl = elbo(x, eps, encoder, decoder)
    return log_p - sampled_kl(x, eps, encoder, decoder), log_p, kl


def elbo_from_joint(x, eps, encoder, decoder):
    """log p(x, z) of the sample as the first result."""
    mu, log_var = encoder(x)
    _, log_p, kl = elbo(x, eps, encoder, decoder)
    return log_p + Normal(0.0, 1.0).log_prob(SAMPLE(mu, log_var, eps)).sum(-1), log_p, kl


def reversed_kl(mu, log_var):
    return 0.5 * ((mu**2 + 1) / log_var.exp() - 1 + log_var).sum(-1)


def squared_error(x, logits):
    return (x - logits.sigmoid()) ** 2


def log_of_probability(x, logits, add=0.0, least=0.0):
    """log p of each pixel from its rounded probability."""
    p = logits.sigmoid().clamp(least, 1 - least)
    return x * (p + add).log() + (1 - x) * (1 - p + add).log()


ROUNDED = (
    log_of_probability,
    lambda x, logits: torch.where(x > 0.5, logits.sigmoid().log(), (1 - logits.sigmoid()).log()),
    lambda x, logits: -F.binary_cross_entropy(logits.sigmoid(), x, reduction="none"),
    lambda x, logits: Bernoulli(probs=logits.sigmoid()).log_prob(x),
    *(partial(log_of_probability, add=10.0**-power) for power in (10, 9, 8, 7, 6)),
    *(partial(log_of_probability, least=10.0**-power) for power in (7, 6, 5, 4, 3)),
)

WRONG_DRAWS = (
    (
        "mean decoded in place of a sample",
        "You decode the mean; eps plays no part. Which q would always give exactly z = mu, and what would "
        "its KL be? Yours is charged for a wide one.",
        (lambda mu, log_var, eps: mu,),
    ),
    (
        "encoder not asked for z",
        "You decode eps itself: a draw from the prior, whatever the picture. What is the encoder's share in z?",
        (lambda mu, log_var, eps: eps,),
    ),
    (
        "exp(log_var) taken for σ",
        "You take exp(log_var) for a standard deviation. The encoder gives log σ²: which power of exp(log_var) is "
        "the standard deviation?",
        (draw_with(torch.exp),),
    ),
    (
        "log_var taken for σ",
        "You scale the noise by log_var, by half of it or by its root; no exponential is taken. The encoder gives "
        "log σ²: how does one come from there to σ?",
        (
            draw_with(lambda log_var: log_var),
            draw_with(lambda log_var: log_var / 2),
            draw_with(lambda log_var: log_var.abs().sqrt()),
        ),
    ),
    (
        "½ outside the exponential",
        "You halve the variance. The root of exp(log_var) is another number: try log_var = 0, where σ should be 1.",
        (draw_with(lambda log_var: log_var.exp() / 2),),
    ),
    (
        "noise not scaled",
        "Your z is mu plus noise of variance 1, whatever the encoder says about its width.",
        (draw_with(torch.ones_like),),
    ),
    (
        "noise subtracted",
        "You subtract the noise. The draws have the right distribution, but they are not those of this eps, and the "
        "check compares picture by picture.",
        (draw_with(lambda log_var: -(log_var / 2).exp()),),
    ),
)
WRONG_PIXELS = (
    (
        "mean over the pixels",
        "Your log p(x|z) is the right one divided by the number of pixels. The probability of a picture "
        "is a product over its pixels; beside a KL in full nats this also changes β.",
        (lambda x, logits: log_bernoulli(x, logits).mean(-1),),
    ),
    (
        "sigmoid taken twice",
        "Probabilities went where log-odds are expected. The decoder's output is log-odds: who applies the sigmoid?",
        (lambda x, logits: pixel_sum(x, logits.sigmoid()),),
    ),
    (
        "only the ink counted",
        "Pixels of paper add nothing to your log p(x|z). A decoder that inks every pixel would be perfect.",
        (
            lambda x, logits: (x * F.logsigmoid(logits)).sum(-1),
            lambda x, logits: (x * F.log_softmax(logits, -1)).sum(-1),
        ),
    ),
    (
        "ink and paper exchanged",
        "You give paper the probability of ink. Log-odds of ink that are large and positive should make x = 1 cheap.",
        (lambda x, logits: pixel_sum(1 - x, logits),),
    ),
    (
        "squared error for the log-likelihood",
        "You measure squared distances between pixels and probabilities: the likelihood of Gaussian pixels. Here a "
        "pixel is ink with a probability. What is the probability of the pixel that was seen?",
        (
            lambda x, logits: -squared_error(x, logits).sum(-1),
            lambda x, logits: -squared_error(x, logits).sum(-1) / 2,
            lambda x, logits: -squared_error(x, logits).mean(-1),
        ),
    ),
    (
        "log-odds taken for probabilities",
        "The decoder's output went where probabilities are expected. It is negative for some pixels, and above 1 for "
        "others. What turns log-odds into a probability?",
        tuple(
            lambda x, logits, least=10.0**-power: (
                x * logits.clamp(least, 1 - least).log() + (1 - x) * (1 - logits.clamp(least, 1 - least)).log()
            ).sum(-1)
            for power in (8, 7, 6, 5, 4, 3)
        ),
    ),
    (
        "probability rounded before its logarithm",
        "One pixel has log-odds of about 25. In float32 its probability is exactly 1. The logarithm of what is left is "
        "then a wrong number or none at all. Which function takes the log-odds themselves?",
        tuple(lambda x, logits, log_p=log_p: log_p(x, logits).sum(-1) for log_p in ROUNDED),
    ),
)
WRONG_RATES = (
    (
        "mean over the latents",
        "Your KL is the right one divided by the number of latents. Each latent costs its own nats.",
        (lambda mu, log_var: kl_terms(mu, log_var).mean(-1),),
    ),
    (
        "exp(log_var) taken for σ",
        "You take exp(log_var) for a standard deviation. The encoder gives log σ²: which power of exp(log_var) is "
        "the standard deviation?",
        (lambda mu, log_var: latent_sum(mu, 2 * log_var),),
    ),
    (
        "forgot the ½",
        "Your KL is too large by the same factor everywhere. Compare with exercise 04.",
        (lambda mu, log_var: 2 * latent_sum(mu, log_var),),
    ),
    (
        "KL taken the other way round",
        "Your KL is KL(p ‖ q): an average over the prior. Over which of the two is z drawn here?",
        (reversed_kl,),
    ),
    (
        "a term or a sign of the KL is wrong",
        "Try your KL on one latent with mu = 0, and log_var = 0, 1 and −1. For the first, q is the prior: which number "
        "is expected? And of which sign are the others?",
        (
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - log_var).sum(-1),
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - 1 + log_var).sum(-1),
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() + 1 - log_var).sum(-1),
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - 1).sum(-1),
            lambda mu, log_var: 0.5 * (mu**2 + (log_var / 2).exp() - 1 - log_var).sum(-1),
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - 1 - log_var / 2).sum(-1),
        ),
    ),
    (
        "mu not squared",
        "Your KL is not the same for mu = 1 and mu = −1, with log_var = 0. Which of the two should cost more?",
        (lambda mu, log_var: 0.5 * (mu + log_var.exp() - 1 - log_var).sum(-1),),
    ),
)


def wrong_parts():
    """A mistake for each wrong part. A later part may have a common fault as well: one fault is told at a time."""
    pixels_too = tuple(functions[0] for _, _, functions in WRONG_PIXELS[:3])
    rates_too = tuple(functions[0] for _, _, functions in WRONG_RATES[:2])
    answers = {}
    for name, hint, draws in WRONG_DRAWS:
        answers[name, hint] = [elbo_with(draw) for draw in draws]
        answers[name, hint] += [elbo_with(draws[0], pixels) for pixels in pixels_too]
        answers[name, hint] += [elbo_with(draws[0], rate=rate) for rate in rates_too]
    for name, hint, functions in WRONG_PIXELS:
        answers[name, hint] = [elbo_with(pixels=pixels) for pixels in functions]
        answers[name, hint] += [elbo_with(pixels=functions[0], rate=rates_too[0])]
    for name, hint, rates in WRONG_RATES:
        answers.setdefault((name, hint), []).extend(elbo_with(rate=rate) for rate in rates)
    return (Mistake(name, hint, *functions) for (name, hint), functions in answers.items())


ELBO = Task(
    name="training/elbo",
    draw=(draw_elbo, with_a_sure_pixel(draw_elbo)),
    reference=elbo,
    cases=4,
    mistakes=(
        Mistake(
            "KL added",
            "Your second and third results are right, but you add them. A bound on log p(x) must lie below it: which "
            "way does the KL push?",
            elbo_with(result=lambda log_p, kl: (log_p + kl, log_p, kl)),
        ),
        Mistake(
            "KL not charged",
            "Your first and second results are the same. What does the ELBO charge for the latents?",
            elbo_with(result=lambda log_p, kl: (log_p, log_p, kl)),
        ),
        Mistake(
            "sign of the KL flipped",
            "Your third result is negative, and a KL divergence never is. When its sign is right, check that the ELBO "
            "still follows from the other two results.",
            elbo_with(result=lambda log_p, kl: (log_p + kl, log_p, -kl)),
            elbo_with(result=lambda log_p, kl: (log_p - kl, log_p, -kl)),
        ),
        Mistake(
            "a cost in place of a log-probability",
            "Some of your signs belong to the loss, which adds up costs. Asked are log p(x|z) and the ELBO. Can the "
            "logarithm of the probability of a picture of ink and paper be positive? Should the ELBO become small?",
            elbo_with(result=lambda log_p, kl: (kl - log_p, log_p, kl)),
            elbo_with(result=lambda log_p, kl: (log_p - kl, -log_p, kl)),
            elbo_with(result=lambda log_p, kl: (-log_p - kl, -log_p, kl)),
            elbo_with(result=lambda log_p, kl: (kl - log_p, -log_p, kl)),
        ),
        *wrong_parts(),
        Mistake(
            "KL estimated from the sample",
            "You charge the log-ratio at this one sample, right only on average. Asked is the KL itself, and "
            "it has a closed form: why add noise?",
            elbo_with_sampled_kl,
            elbo_alone_with_sampled_kl,
        ),
        Mistake(
            "log p(x, z) in place of the ELBO",
            "Your first result adds up log p(x|z) and log p(z). The KL compares two densities: where is the other one?",
            elbo_from_joint,
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,), in all three results. A mean or a sum over the "
            "batch hides which picture costs how much; take it later.",
            elbo_with(result=lambda log_p, kl: ((log_p - kl).mean(), log_p.mean(), kl.mean())),
            elbo_with(result=lambda log_p, kl: ((log_p - kl).sum(), log_p.sum(), kl.sum())),
        ),
    ),
)


# training/free_bits(kl, floor)


def draw_free_bits(rng):
    """A silent latent, an active one, and one that is active only for one picture: a floor affects each differently."""
    batch, latents = int(rng.integers(2, 4)), int(rng.integers(4, 6))
    kl = rng.uniform(0, 1, size=(batch, latents))
    kl[:, 0] *= 0.2  # silent
    kl[:, 1] = kl[:, 1] * 0.2 + 1.0  # active
    kl[:, 2] = np.where(np.arange(batch) == 0, 0.9, 0.03)  # active only for one picture
    return {"kl": torch.tensor(kl.round(2), dtype=torch.float32), "floor": round(rng.uniform(0.45, 0.65), 2) + 0.0013}


def free_bits(kl, floor):
    """Σⱼ max(floor, mean over the batch of KLⱼ) (Kingma et al. 2016)."""
    mean = kl.mean(0)
    return torch.where(mean > floor, mean, torch.full_like(mean, floor)).sum()


FREE_BITS = Task(
    name="training/free_bits",
    draw=draw_free_bits,
    reference=free_bits,
    observe=Gradients(("kl",)),
    mistakes=(
        Mistake(
            "floor for each picture",
            "You apply the floor picture by picture. A latent may tell nothing about most pictures and much about a "
            "few; the nats are given to the latent, for the batch as a whole.",
            lambda kl, floor: kl.clamp(min=floor).mean(0).sum(),
            lambda kl, floor: kl.clamp(min=floor).sum(),
            lambda kl, floor: kl.clamp(min=floor).mean(),
        ),
        Mistake(
            "min and max exchanged",
            "Busy latents stop paying in your version, and silent ones pay what they cost. It should be the "
            "other way round.",
            lambda kl, floor: kl.mean(0).clamp(max=floor).sum(),
            lambda kl, floor: kl.clamp(max=floor).mean(0).sum(),
        ),
        Mistake(
            "floor never reached",
            "Your number is the plain KL: the floor does nothing, or is compared with the sum over all latents, which "
            "is above it. What should a single latent below the floor gain by falling further?",
            lambda kl, floor: kl.mean(0).sum().clamp(min=floor),
            lambda kl, floor: kl.sum(-1).clamp(min=floor).mean(),
            lambda kl, floor: kl.mean(0).sum(),
        ),
        Mistake(
            "floor for the sum",
            "Your floor applies to the latents together. Then one busy latent uses up what was meant for all, and the "
            "others may stay silent.",
            lambda kl, floor: kl.mean(0).sum().clamp(min=floor * kl.shape[1]),
            lambda kl, floor: kl.sum(-1).clamp(min=floor * kl.shape[1]).mean(),
        ),
        Mistake(
            "free nats subtracted",
            "You charge only what is above the floor, and your number is too small. A busy latent pays for all of its "
            "nats; and what counts as busy is decided by its average over the batch.",
            lambda kl, floor: (kl.mean(0) - floor).clamp(min=0).sum(),
            lambda kl, floor: (kl - floor).clamp(min=0).mean(0).sum(),
        ),
        Mistake(
            "silent latents left out",
            "Your gradient is right, but the number jumps when a latent crosses the floor. Let its KL rise "
            "slowly past it: a loss should not leap.",
            lambda kl, floor: torch.where(kl.mean(0) > floor, kl.mean(0), 0.0).sum(),
        ),
        Mistake(
            "busy latents left out",
            "A latent above the floor adds nothing to your number. What should it cost?",
            lambda kl, floor: torch.where(kl.mean(0) < floor, floor, 0.0 * kl.mean(0)).sum(),
            lambda kl, floor: torch.where(kl.mean(0) < floor, kl.mean(0), 0.0).sum(),
        ),
        Mistake(
            "pictures and latents exchanged",
            "You average over the latents of each picture, and hold the pictures against the floor. Along which axis "
            "does the batch lie?",
            lambda kl, floor: kl.mean(1).clamp(min=floor).sum(),
            lambda kl, floor: kl.mean(1).clamp(min=floor).mean(),
        ),
        Mistake(
            "floor converted",
            "Your floor is larger or smaller than the one given, by the factor ln 2. Which unit does the table name?",
            lambda kl, floor: kl.mean(0).clamp(min=floor * np.log(2)).sum(),
            lambda kl, floor: kl.mean(0).clamp(min=floor / np.log(2)).sum(),
        ),
        Mistake(
            "floor divided among the latents",
            "You divide the floor by the number of latents. The table says whose floor it is.",
            lambda kl, floor: kl.mean(0).clamp(min=floor / kl.shape[1]).sum(),
        ),
        Mistake(
            "mean over the latents",
            "You average over the latents. Each has a floor of its own, and their costs are added.",
            lambda kl, floor: kl.mean(0).clamp(min=floor).mean(),
            lambda kl, floor: kl.mean().clamp(min=floor),
        ),
        Mistake(
            "summed over the pictures",
            "You add the pictures up before you compare. The floor is meant in nats per picture: with a "
            "larger batch, yours would do nothing.",
            lambda kl, floor: kl.sum(0).clamp(min=floor).sum(),
            lambda kl, floor: kl.sum(0).clamp(min=floor).sum() / len(kl),
        ),
        Mistake(
            "floor added",
            "You add a constant. It changes no gradient, so no latent is set free.",
            lambda kl, floor: kl.mean(0).sum() + floor * kl.shape[1],
            lambda kl, floor: kl.mean(0).sum() + floor,
        ),
        Mistake(
            "gradient left on below the floor",
            "Your number is right, but a latent below the floor is still pushed down: its gradient should be zero.",
            lambda kl, floor: kl.mean(0).sum() + (floor - kl.mean(0)).clamp(min=0).sum().detach(),
        ),
        Mistake(
            "gradient cut off",
            "Your number is right, but no gradient reaches the KL: a `detach`, `no_grad`, `.item()` or a new "
            "tensor stands in its way.",
            lambda kl, floor: kl.detach().mean(0).clamp(min=floor).sum(),
        ),
    ),
)


# training/units(mu, threshold)


def in_one_plane(rng, threshold):
    """One or two oblique directions."""
    latents, directions = int(rng.integers(5, 7)), int(rng.integers(1, 3))
    turn = oblique(rng, latents, directions)
    return rng.normal(size=(int(rng.integers(10, 14)), directions)) @ turn.T * 10 * threshold**0.5


def spread_over_axes(rng, threshold):
    """One direction in use, which is oblique to all axes, so that none of them is in use."""
    latents = 6
    along = rng.choice([-1, 1], size=latents) * rng.uniform(0.8, 1.2, size=latents)
    return rng.normal(size=(int(rng.integers(30, 40)), 1)) * along * (0.5 * threshold) ** 0.5


def of_several_sizes(rng, threshold):
    """Three oblique directions; most of the variance is along the first, and the others are in use as well."""
    scales = (threshold * np.array([400, 4, 4])) ** 0.5
    turn = oblique(rng, 5, 3)
    return rng.normal(size=(int(rng.integers(20, 30)), 3)) * scales @ turn.T


def oblique(rng, latents, directions):
    """Orthonormal columns, (latents, directions)."""
    return np.linalg.qr(rng.normal(size=(latents, directions)))[0]


def draw_units(rng, shape, threshold):
    """Means off centre, of which one latent's hardly differ. No variance is near the threshold or its square."""
    while True:
        mu = shape(rng, threshold)
        mu = mu + 0.3 * threshold**0.5 * rng.normal(size=mu.shape)
        mu = (mu + rng.choice([-1, 0, 1], size=mu.shape[1]) * rng.uniform(0.5, 1.5, size=mu.shape[1])).round(2)
        silent = 1.2 + 0.01 * (np.arange(len(mu)) == 0)
        mu = np.insert(mu, rng.integers(mu.shape[1] + 1), silent, axis=1)
        covariance = np.cov(mu.T)
        found = np.concatenate([np.diag(covariance), np.linalg.eigvalsh(covariance)])
        if all(np.abs(np.log(found / limit)).min() > 0.25 for limit in (threshold, threshold**2)):
            return {"mu": torch.tensor(mu, dtype=torch.float32), "threshold": threshold}


def units(mu, threshold):
    """Active units (Burda, Grosse & Salakhutdinov 2016), and principal directions by singular values."""
    mu = mu.numpy()
    centred = mu - mu.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    return int((mu.var(0, ddof=1) > threshold).sum()), int((singular**2 / (len(mu) - 1) > threshold).sum())


def number_above(found, threshold):
    return int((found > threshold).sum())


def principal_variances(mu):
    """Variances of the means along their principal directions: (N, d) -> (d,)."""
    return torch.linalg.eigvalsh(torch.cov(mu.T)).clamp(min=0)


def principal_mean_squares(mu):
    """The same about the origin instead of the centre."""
    return torch.linalg.eigvalsh(mu.T @ mu / len(mu))


def axes_in_use(mu, threshold):
    return number_above(mu.var(0), threshold)


def directions_in_use(mu, threshold):
    return number_above(principal_variances(mu), threshold)


FIXED = (0.01, 0.05, 0.1, 0.001, 1e-4, 1e-6, 0.0)  # thresholds that somebody may write down


def directions_for_share(mu, share):
    """How many directions it takes for this share of the variance."""
    found = principal_variances(mu).flip(0)
    return number_above(share - (found.cumsum(0) - found) / found.sum(), 0)


def shares_above(variances, threshold):
    return number_above(variances / variances.sum(), threshold)


def directions_of_axes_in_use(mu, threshold):
    axes = mu[:, mu.var(0) > threshold]
    found = torch.linalg.eigvalsh(torch.cov(axes.T).reshape(axes.shape[1], axes.shape[1]))
    return axes.shape[1], number_above(found, threshold)


UNITS = Task(
    name="training/units",
    draw=tuple(
        partial(draw_units, shape=shape, threshold=threshold)
        for threshold in (0.01, 0.6)
        for shape in (in_one_plane, spread_over_axes, of_several_sizes)
    ),
    reference=units,
    cases=12,
    library=("vae_lessons.evaluation.active_units",),
    mistakes=(
        Mistake(
            "standard deviation or range for variance",
            "You compare something else than a variance with the threshold: a standard deviation, a range or a mean "
            "distance. What becomes of each of those, and of a variance, if all means are doubled?",
            lambda mu, threshold: (number_above(mu.std(0), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (
                number_above(mu.std(0), threshold),
                number_above(principal_variances(mu).sqrt(), threshold),
            ),
            lambda mu, threshold: (axes_in_use(mu, threshold), number_above(principal_variances(mu).sqrt(), threshold)),
            lambda mu, threshold: (number_above(mu.amax(0) - mu.amin(0), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (
                number_above((mu - mu.mean(0)).abs().mean(0), threshold),
                directions_in_use(mu, threshold),
            ),
        ),
        Mistake(
            "threshold not used",
            "A part of your answer is the same for every threshold. Try your function on the same means with 0.01 "
            "and with 1.",
            lambda mu, threshold: (axes_in_use(mu, threshold), mu.shape[1]),
            *(
                lambda mu, threshold, limit=limit: (axes_in_use(mu, limit), directions_in_use(mu, limit))
                for limit in FIXED
            ),
            *(
                lambda mu, threshold, limit=limit: (axes_in_use(mu, threshold), directions_in_use(mu, limit))
                for limit in FIXED
            ),
            *(
                lambda mu, threshold, share=share: (axes_in_use(mu, threshold), directions_for_share(mu, share))
                for share in (0.9, 0.95, 0.99)
            ),
        ),
        Mistake(
            "share of the variance compared",
            "You divide by the total variance or by the largest one before you compare. The threshold is a variance, "
            "not a share: one very busy direction would make all others look silent.",
            lambda mu, threshold: (axes_in_use(mu, threshold), shares_above(principal_variances(mu), threshold)),
            lambda mu, threshold: (
                shares_above(mu.var(0), threshold),
                shares_above(principal_variances(mu), threshold),
            ),
            lambda mu, threshold: (
                axes_in_use(mu, threshold),
                number_above(principal_variances(mu) / principal_variances(mu).max(), threshold),
            ),
            lambda mu, threshold: (
                number_above(mu.var(0) / mu.var(0).max(), threshold),
                number_above(principal_variances(mu) / principal_variances(mu).max(), threshold),
            ),
        ),
        Mistake(
            "mean or mean square for variance",
            "You measure how far the means lie from the origin. A latent whose mean is 3 for every picture is far from "
            "it, and tells nothing.",
            lambda mu, threshold: (number_above((mu**2).mean(0), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (
                number_above((mu**2).mean(0), threshold),
                number_above(principal_mean_squares(mu), threshold),
            ),
            lambda mu, threshold: (number_above(mu.abs().mean(0), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (number_above(mu.mean(0).abs(), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (number_above((mu**2).mean(0) / 2, threshold), directions_in_use(mu, threshold)),
        ),
        Mistake(
            "what all pictures share counted as a direction",
            "Your first count is right. The second holds a direction in which all pictures agree. Take away, latent by "
            "latent, what they have in common; and look up which axis `torch.cov` takes for the variables.",
            lambda mu, threshold: (axes_in_use(mu, threshold), number_above(principal_mean_squares(mu), threshold)),
            lambda mu, threshold: (axes_in_use(mu, threshold), directions_in_use(mu.T, threshold)),
        ),
        Mistake(
            "sum of squares for variance",
            "The numbers behind your count grow with the number of pictures, or with its root; a variance does not.",
            lambda mu, threshold: (
                axes_in_use(mu, threshold),
                number_above(torch.linalg.svdvals(mu - mu.mean(0)) ** 2, threshold),
            ),
            lambda mu, threshold: (
                axes_in_use(mu, threshold),
                number_above(torch.linalg.svdvals(mu - mu.mean(0)), threshold),
            ),
            lambda mu, threshold: (
                number_above(((mu - mu.mean(0)) ** 2).sum(0), threshold),
                number_above(torch.linalg.svdvals(mu - mu.mean(0)) ** 2, threshold),
            ),
        ),
        Mistake(
            "pictures and latents exchanged",
            "You look at how the numbers of one picture differ. Asked is what differs from picture to picture.",
            lambda mu, threshold: (number_above(mu.var(1), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (number_above(mu.var(1), threshold), directions_in_use(mu.T, threshold)),
        ),
        Mistake(
            "correlation for covariance",
            "Your second count treats all axes as if they varied equally: a correlation matrix has forgotten "
            "how much. A silent latent then counts as much as a busy one.",
            lambda mu, threshold: (
                axes_in_use(mu, threshold),
                number_above(torch.linalg.eigvalsh(torch.corrcoef(mu.T)), threshold),
            ),
        ),
        Mistake(
            "entries of the covariance counted",
            "You count large entries of the covariance matrix. Two axes that vary together may make one direction: "
            "along which directions are the means uncorrelated?",
            *(
                lambda mu, threshold, count=count, correction=correction: (
                    axes_in_use(mu, threshold),
                    number_above(count(torch.cov(mu.T, correction=correction)), threshold),
                )
                for count in (lambda entries: entries, torch.abs, lambda entries: entries.abs().triu())
                for correction in (0, 1)
            ),
        ),
        Mistake(
            "directions sought among the axes in use",
            "You leave out latents before you look for directions. Many axes that vary a little, but together, may "
            "make a direction that varies much.",
            directions_of_axes_in_use,
        ),
        Mistake(
            "as many directions as axes",
            "Your first count is right. For the second: all means may lie near one straight line that is parallel to "
            "no axis. Along how many directions is the variance then above the threshold?",
            lambda mu, threshold: (axes_in_use(mu, threshold), axes_in_use(mu, threshold)),
        ),
        Mistake(
            "directions counted twice",
            "Both of your counts are the number of directions. The first asks of each latent by itself how much its "
            "mean varies.",
            lambda mu, threshold: (directions_in_use(mu, threshold), directions_in_use(mu, threshold)),
        ),
        Mistake(
            "the two counts exchanged",
            "Both counts are right, but in the other order: axes first.",
            lambda mu, threshold: (directions_in_use(mu, threshold), axes_in_use(mu, threshold)),
        ),
        Mistake(
            "what is not in use counted",
            "You count what lies below the threshold. Which of the two is in use?",
            lambda mu, threshold: (
                mu.shape[1] - axes_in_use(mu, threshold),
                mu.shape[1] - directions_in_use(mu, threshold),
            ),
        ),
    ),
)


# training/repair(mu, log_var, eps, x, decoder, step, warm_up)


def during_warm_up(rng, warm_up):
    """A step at which β is not yet 1, which exposes a β that jumps, is late or is always 1."""
    return int(rng.integers(1, warm_up - 1))


def after_warm_up(rng, warm_up):
    """A step at which β has been 1 for a while, which exposes a β that keeps growing."""
    return warm_up + int(rng.integers(2, 20))


def draw_repair(rng, step):
    """Different numbers of pictures, pixels and latents; `step` draws the step, given the length of the warm-up."""
    batch, pixels, latents = int(rng.integers(2, 4)), int(rng.integers(5, 7)), int(rng.integers(3, 5))
    warm_up = int(rng.integers(6, 30))
    return {
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents, scale=0.7),
        "eps": rounded_normal(rng, batch, latents),
        "x": binary_pictures(rng, batch, pixels),
        "decoder": Linear(rounded_normal(rng, latents, pixels), rounded_normal(rng, pixels)),
        "step": step(rng, warm_up),
        "warm_up": warm_up,
    }


def repair(mu, log_var, eps, x, decoder, step, warm_up):
    """The mean over the batch of β KL − log p(x|z), with β = min(1, step / warm_up)."""
    q = Normal(mu, (log_var / 2).exp())
    log_p = Bernoulli(logits=decoder(q.loc + q.scale * eps)).log_prob(x).sum(-1)
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), 1.0)).sum(-1)
    return (min(step / warm_up, 1.0) * kl - log_p).mean()


def sample(mu, sigma, eps):
    return mu + sigma * eps


def distortion_per_picture(x, logits):
    return -log_bernoulli(x, logits).sum(-1).mean()


def rate_per_picture(mu, log_var):
    return kl_terms(mu, log_var).sum(-1).mean()


def weight_of_rate(step, warm_up):
    return min(1.0, step / warm_up)


def loss_of(draw, distortion, rate, beta):
    """An answer to training/repair made of these four parts."""

    def answer(mu, log_var, eps, x, decoder, step, warm_up):
        z = draw(mu, (log_var / 2).exp(), eps)
        return distortion(x, decoder(z)) + beta(step, warm_up) * rate(mu, log_var)

    return answer


def weighted(total):
    """An answer to training/repair that puts the right parts together as `total(distortion, rate, beta)`."""

    def answer(mu, log_var, eps, x, decoder, step, warm_up):
        logits = decoder(sample(mu, (log_var / 2).exp(), eps))
        return total(distortion_per_picture(x, logits), rate_per_picture(mu, log_var), weight_of_rate(step, warm_up))

    return answer


class Fault(NamedTuple):
    """A fault in one part of the loss, with functions for that part that have it."""

    name: str
    hint: str
    functions: tuple[Callable, ...]


RIGHT_PARTS = (sample, distortion_per_picture, rate_per_picture, weight_of_rate)
FAULTS = (  # of each part: first the fault in the printed loss, then faults in its repair
    (
        Fault(
            "the draw is cut off from the encoder",
            "The loss may be right, but its gradient is not: whatever the decoder learns of the pictures, the encoder "
            "hears nothing of it. Follow the gradient from log p(x|z) back to mu and log_var.",
            (lambda mu, sigma, eps: (mu + sigma * eps).detach(),),
        ),
        Fault(
            "half of the draw is cut off",
            "Only one of mu and log_var hears from the decoder; the KL alone pulls at the other. Which part of "
            "mu + sigma * eps lets no gradient through?",
            (lambda mu, sigma, eps: mu + sigma.detach() * eps, lambda mu, sigma, eps: mu.detach() + sigma * eps),
        ),
        Fault(
            "exp(log_var) taken for σ",
            "The noise is scaled by the variance. That part was right in the function as printed.",
            (lambda mu, sigma, eps: mu + sigma**2 * eps,),
        ),
        Fault(
            "log_var taken for σ",
            "The noise is scaled by log_var or by half of it; no exponential is taken. That part was right in the "
            "function as printed.",
            (lambda mu, sigma, eps: mu + 2 * sigma.log() * eps, lambda mu, sigma, eps: mu + sigma.log() * eps),
        ),
        Fault(
            "mean decoded in place of a sample",
            "You decode the mean; eps plays no part. The gradient flows, but the decoder never learns to bear the "
            "noise that the KL takes for granted. How can a draw be made so that it lets gradients through?",
            (lambda mu, sigma, eps: mu,),
        ),
    ),
    (
        Fault(
            "sigmoid taken twice",
            "Could this decoder ever be sure of a pixel? Try log-odds of 100 for ink: what does your distortion "
            "charge?",
            (
                lambda x, logits: -log_bernoulli(x, logits.sigmoid()).sum(-1).mean(),
                lambda x, logits: -log_bernoulli(x, logits.sigmoid()).mean(),
            ),
        ),
        Fault(
            "mean over the pixels",
            "The distortion is a mean over pixels, as some losses are unless told otherwise. Which β would that "
            "amount to?",
            (lambda x, logits: -log_bernoulli(x, logits).mean(),),
        ),
        Fault(
            "distortion summed over the batch",
            "The distortion grows with the number of pictures. It should be in nats per picture.",
            (lambda x, logits: -log_bernoulli(x, logits).sum(),),
        ),
        Fault(
            "squared error for the distortion",
            "You measure squared distances between pixels and probabilities: the cost of Gaussian pixels. These are "
            "ink or paper, and the function as printed charged for that.",
            (
                lambda x, logits: squared_error(x, logits).sum(-1).mean(),
                lambda x, logits: squared_error(x, logits).sum(-1).mean() / 2,
                lambda x, logits: squared_error(x, logits).mean(),
            ),
        ),
        Fault(
            "picture and log-odds exchanged",
            "The cross-entropy takes two arguments, and you exchanged them. The order was right in the function as "
            "printed.",
            (
                lambda x, logits: F.binary_cross_entropy_with_logits(x, logits, reduction="none").sum(-1).mean(),
                lambda x, logits: (
                    F.binary_cross_entropy_with_logits(x, logits.sigmoid(), reduction="none").sum(-1).mean()
                ),
            ),
        ),
        Fault(
            "probability rounded before its logarithm",
            "One pixel has log-odds of about 25. In float32 its probability is exactly 1. The loss or its gradient is "
            "then a wrong number or none at all. Which function takes the log-odds themselves?",
            tuple(lambda x, logits, log_p=log_p: -log_p(x, logits).sum(-1).mean() for log_p in ROUNDED),
        ),
    ),
    (
        Fault(
            "mean over the latents",
            "Write the same latent into the code twice: the rate should double. What does your rate do?",
            (lambda mu, log_var: kl_terms(mu, log_var).mean(),),
        ),
        Fault(
            "rate summed over the batch",
            "The rate grows with the number of pictures. It should be in nats per picture.",
            (lambda mu, log_var: kl_terms(mu, log_var).sum(), lambda mu, log_var: kl_terms(mu, log_var).sum(0).mean()),
        ),
        Fault(
            "rate without its ½, or halved again",
            "Your rate is twice or half of what it was as printed, summed over the latents. Compare with exercise 04.",
            (
                lambda mu, log_var: 2 * rate_per_picture(mu, log_var),
                lambda mu, log_var: rate_per_picture(mu, log_var) / 2,
            ),
        ),
        Fault(
            "no gradient from the rate",
            "The loss may be right, but the rate has no part in its gradient. What lets nothing through there?",
            (lambda mu, log_var: rate_per_picture(mu, log_var).detach(),),
        ),
    ),
    (
        Fault(
            "β is never stopped",
            "Look at β at the first and at the last of 1,000 steps, with warm_up = 100. Which loss has the run been "
            "minimising since step 100?",
            (lambda step, warm_up: step / warm_up, lambda step, warm_up: max(1.0, step / warm_up)),
        ),
        Fault(
            "β jumps",
            "Print your β for every step of a short warm-up. It should climb in small steps, not wait and leap.",
            (lambda step, warm_up: min(1, step // warm_up),),
        ),
        Fault(
            "β is one step late",
            "At step `warm_up` your β is not yet 1. Steps are counted from 1, as the table says.",
            (lambda step, warm_up: min(1.0, (step - 1) / warm_up),),
        ),
        Fault(
            "no warm-up",
            "β is 1 from the first step. The warm-up itself was no mistake: it should rise to 1, and stay there.",
            (lambda step, warm_up: 1.0,),
        ),
        Fault(
            "β is one step early",
            "At step 1 of 10, what is your β? The table says at which step it would be 0.",
            (lambda step, warm_up: min(1.0, (step + 1) / warm_up),),
        ),
        Fault(
            "β falls",
            "Print your β for steps 1 to 20 with warm_up = 10. Nowhere on the way should it fall.",
            (
                lambda step, warm_up: 1 - min(1.0, step / warm_up),
                lambda step, warm_up: max(0.0, 1 - step / warm_up),
                lambda step, warm_up: step % warm_up / warm_up,
                lambda step, warm_up: step / warm_up if step <= warm_up else 0.0,
                lambda step, warm_up: 1 - abs(1 - step / warm_up % 2),
                lambda step, warm_up: min(1.0, warm_up / step),
            ),
        ),
        Fault(
            "β rises on another curve",
            "Your β ends at 1, but half way it is not ½. The table asks for a straight line.",
            (
                lambda step, warm_up: min(1.0, step / warm_up) ** 2,
                lambda step, warm_up: min(1.0, step / warm_up) ** 0.5,
                lambda step, warm_up: 0.5 - 0.5 * np.cos(np.pi * min(1.0, step / warm_up)),
            ),
        ),
        Fault(
            "β is not divided by the length of the warm-up",
            "Print your β for steps 1, 2 and 3 with warm_up = 10. How large is it at its largest?",
            (
                lambda step, warm_up: min(step, warm_up),
                lambda step, warm_up: step,
            ),
        ),
    ),
)


def faulty_losses():
    """Yield a mistake for each fault: earlier parts are right, and so are later ones, or as printed."""
    as_printed = [faults[0].functions[0] for faults in FAULTS]
    for place, faults in enumerate(FAULTS):
        before = RIGHT_PARTS[:place]
        after = list(product(*zip(RIGHT_PARTS[place + 1 :], as_printed[place + 1 :], strict=True)))
        for name, hint, functions in faults:
            first = [loss_of(*before, functions[0], *rest) for rest in after]
            others = [loss_of(*before, wrong, *RIGHT_PARTS[place + 1 :]) for wrong in functions[1:]]
            yield Mistake(name, hint, *first, *others)


REPAIR = Task(
    name="training/repair",
    draw=(
        partial(draw_repair, step=during_warm_up),
        with_a_sure_pixel(partial(draw_repair, step=after_warm_up)),
        wide(partial(draw_repair, step=after_warm_up), "log_var"),
    ),
    reference=repair,
    observe=Gradients(("mu", "log_var")),
    cases=4,
    mistakes=(
        *faulty_losses(),
        Mistake(
            "KL subtracted",
            "The loss falls when the KL grows. Training would drive the codes away from the prior without end.",
            loss_of(sample, distortion_per_picture, lambda mu, log_var: -rate_per_picture(mu, log_var), weight_of_rate),
        ),
        Mistake(
            "minus the loss",
            "That is what training should make large; the function is handed to an optimiser that makes it small.",
            lambda *inputs: -repair(*inputs),
        ),
        Mistake(
            "β on the distortion",
            "In the warm-up your β multiplies the distortion. Which of the two terms should come late? Read the "
            "docstring.",
            weighted(lambda distortion, rate, beta: beta * distortion + rate),
            weighted(lambda distortion, rate, beta: beta * (distortion + rate)),
            weighted(lambda distortion, rate, beta: (1 - beta) * distortion + beta * rate),
        ),
    ),
)


# training/shortfall(betas, rates, distortions)


def draw_shortfall(rng):
    """Runs on a convex curve, except three neighbours in β that lie above it, with the middle run highest.

    So the strongest evidence against the middle run comes from beyond its neighbours.
    """
    number = int(rng.integers(5, 7))
    betas = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0])[:number]
    rates = 4 * np.log(16 / betas)  # the minima on the curve 40 + 64 exp(-R / 4), whose slope is -beta
    distortions = 40 + 64 * np.exp(-rates / 4)
    middle = int(rng.integers(1, 4))  # three neighbours stopped early, the middle run earliest
    for run, least in ((middle - 1, 5), (middle, 10), (middle + 1, 5)):
        rates[run] += rng.uniform(-2, 2)
        distortions[run] += rng.uniform(least, least + 4)
    order = rng.permutation(number)
    betas, rates, distortions = betas[order], rates[order], distortions[order]
    table = {"betas": betas, "rates": rates.round(1), "distortions": distortions.round(1)}
    return {name: torch.tensor(column, dtype=torch.float32) for name, column in table.items()}


def shortfall(betas, rates, distortions):
    """maxⱼ (Dᵢ + βᵢ Rᵢ) − (Dⱼ + βᵢ Rⱼ) of each run i."""
    columns = list(zip(betas.tolist(), rates.tolist(), distortions.tolist(), strict=True))
    return np.array([max(D + beta * R - d - beta * r for _, r, d in columns) for beta, R, D in columns])


def own_losses(betas, rates, distortions):
    """The loss of run j at the β of run i: (K, K)."""
    return distortions + betas[:, None] * rates


def missed(losses):
    """Each run's own loss, on the diagonal, minus the least loss in its row: (K, K) -> (K,)."""
    return losses.diagonal() - losses.min(1).values


def missed_among(losses, compared):
    """The same if each run is compared only with some runs, (K, K) of bool, and with itself."""
    compared = compared | torch.eye(len(losses), dtype=torch.bool)
    return missed(losses.masked_fill(~compared, torch.inf))


def adjacent(place):
    """Which pairs of runs are neighbours, from their places (K,): (K, K) of bool."""
    return (place[:, None] - place).abs() <= 1


def following(place):
    """Which runs come right after which, from their places (K,): (K, K) of bool."""
    return place == place[:, None] + 1


def nearest(places):
    """Which run is nearest to which, from positions (K,): (K, K) of bool."""
    apart = (places[:, None] - places).abs().fill_diagonal_(torch.inf)
    return apart == apart.min(1, keepdim=True).values


def advantages(*table):
    """By how much run j would be better than run i for the loss of run i: (K, K)."""
    return own_losses(*table).diagonal()[:, None] - own_losses(*table)


def positive_least(found):
    """The least of the positive numbers in each row, or 0."""
    least = found.masked_fill(found < 1e-4, torch.inf).min(1).values
    return least.masked_fill(least.isinf(), 0.0)


def at_own_best(betas, rates, distortions, price):
    """Distance to the run that is best at the own β, with other prices for a nat of rate and of distortion."""
    best = own_losses(betas, rates, distortions).argmin(1)
    return price[0] * (rates - rates[best]) + price[1] * (distortions - distortions[best])


def above_hull(betas, rates, distortions, falling=False):
    """The height of each run above the lower convex hull of all runs, which may be kept from rising with the rate."""
    points = list(zip(rates.tolist(), distortions.tolist(), strict=True))
    if falling:
        points += [(rates.max().item(), distortion) for distortion in distortions.tolist()]

    def hull(R):
        segments = [(left, right) for left in points for right in points if left[0] <= R <= right[0]]
        return min(d + (e - d) * (R - r) / (s - r) if s > r else d for (r, d), (s, e) in segments)

    return np.array([D - hull(R) for R, D in points])


SHORTFALL = Task(
    name="training/shortfall",
    draw=draw_shortfall,
    reference=shortfall,
    agree=Close(atol=1e-3),
    cases=12,
    mistakes=(
        Mistake(
            "ELBOs compared",
            "You compare D + R. A run with β = 4 was never asked to make that small; judge it by what it was asked.",
            lambda betas, rates, distortions: (rates + distortions) - (rates + distortions).min(),
        ),
        Mistake(
            "losses of different β compared",
            "You compare each run's loss with other runs' losses, each at its own β. Those are different "
            "prices for the same nats: of course the run with the smallest β pays least.",
            lambda betas, rates, distortions: (distortions + betas * rates) - (distortions + betas * rates).min(),
        ),
        Mistake(
            "judged at other runs' β",
            "You ask how a run does at the β of other runs. It was trained for its own only.",
            lambda *table: (own_losses(*table) - own_losses(*table).diagonal()[:, None]).max(0).values,
            lambda *table: (own_losses(*table) - own_losses(*table).min(1).values[:, None]).max(0).values,
            lambda *table: own_losses(*table).diagonal() - own_losses(*table).min(0).values,
        ),
        Mistake(
            "not all runs compared",
            "Some of your numbers are too small. You compare each run with a part of the others, such as its "
            "neighbours or those of a larger β; a badly trained one proves nothing, and one farther off may.",
            lambda betas, *terms: missed_among(own_losses(betas, *terms), adjacent(betas.argsort().argsort())),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), adjacent(torch.arange(len(betas)))),
            lambda betas, rates, distortions: missed_among(
                own_losses(betas, rates, distortions), adjacent(rates.argsort().argsort())
            ),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), betas > betas[:, None]),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), betas < betas[:, None]),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), following(torch.arange(len(betas)))),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), following(torch.arange(len(betas))).T),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), following(betas.argsort().argsort())),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), following(betas.argsort().argsort()).T),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), nearest(betas)),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), nearest(betas.log())),
        ),
        Mistake(
            "all held against one run",
            "You choose one run and compare all others with it. Would the same run be the best at every β?",
            *(
                lambda betas, rates, distortions, choose=choose, least=least: (
                    own_losses(betas, rates, distortions).diagonal()
                    - own_losses(betas, rates, distortions)[:, choose(betas, rates, distortions).argmin()]
                ).clamp(min=least)
                for choose in (
                    lambda betas, rates, distortions: rates + distortions,
                    lambda betas, rates, distortions: betas * rates + distortions,
                    lambda betas, rates, distortions: distortions,
                    lambda betas, rates, distortions: rates,
                    lambda betas, rates, distortions: (betas - 1).abs(),
                )
                for least in (0, -torch.inf)
            ),
        ),
        Mistake(
            "another quantity than the own loss",
            "You pick the run that is best at this β, but then measure the distance in distortion, in rate or in ELBO. "
            "In what are the nats to be counted?",
            *(
                lambda *table, price=price: at_own_best(*table, price=price)
                for price in ((0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
            ),
        ),
        Mistake(
            "nats divided",
            "You divide what was missed by β, or by a loss. Asked are nats of the run's own loss.",
            lambda *table: missed(own_losses(*table)) / table[0],
            lambda *table: missed(own_losses(*table)) / own_losses(*table).diagonal(),
            lambda *table: missed(own_losses(*table)) / own_losses(*table).min(1).values,
        ),
        Mistake(
            "a loss in place of what it misses",
            "Your numbers are losses themselves, and so they are large. A run that no other beats should get 0.",
            lambda *table: own_losses(*table).min(1).values,
            lambda *table: own_losses(*table).diagonal(),
        ),
        Mistake(
            "β on the wrong term",
            "Your β multiplies the distortion. Which of the two does a large β make expensive?",
            lambda betas, rates, distortions: missed(own_losses(betas, distortions, rates)),
        ),
        Mistake(
            "runs of a higher rate not compared",
            "You hold a run only against runs whose rate is no higher. For some runs a little more rate would have "
            "been a bargain: it is the loss that counts.",
            lambda betas, rates, distortions: missed_among(
                own_losses(betas, rates, distortions),
                (rates <= rates[:, None]) & (distortions <= distortions[:, None]),
            ),
            lambda betas, rates, distortions: (
                distortions - torch.where(rates <= rates[:, None], distortions, torch.inf).min(1).values
            ),
        ),
        Mistake(
            "distance from the curve",
            "You measure how far each run lies above the curve of the others, at its own rate. That is too little if "
            "the run also ended at a rate that is wrong for its β.",
            above_hull,
            partial(above_hull, falling=True),
        ),
        Mistake(
            "runs sorted",
            "Your numbers are right, but you sorted the runs. Each number belongs in the place of its run.",
            lambda *table: missed(own_losses(*(column[table[0].argsort()] for column in table))),
            lambda *table: missed(own_losses(*(column[table[1].argsort()] for column in table))),
            lambda *table: missed(own_losses(*(column[table[2].argsort()] for column in table))),
        ),
        Mistake(
            "sign flipped",
            "Your numbers have the wrong sign: a shortfall counts the nats that were missed.",
            lambda *table: -missed(own_losses(*table)),
        ),
        Mistake(
            "not the strongest proof",
            "Each of the other runs may be a proof by itself. You add the proofs up, average them, or do not take the "
            "one that proves most.",
            lambda *table: advantages(*table).clamp(min=0).mean(1),
            lambda *table: advantages(*table).clamp(min=0).sum(1),
            lambda *table: advantages(*table).clamp(min=0).sum(1) / (len(table[0]) - 1),
            lambda *table: advantages(*table).mean(1),
            lambda *table: advantages(*table).mean(1).clamp(min=0),
            lambda *table: advantages(*table).sum(1),
            lambda *table: advantages(*table).sum(1) / (len(table[0]) - 1),
            lambda *table: advantages(*table).clamp(min=0).sum(1) / (advantages(*table) > 1e-4).sum(1).clamp(min=1),
            lambda *table: positive_least(advantages(*table)),
            lambda *table: advantages(*table).sort(1).values[:, -2],
            lambda *table: advantages(*table).sort(1).values[:, -2].clamp(min=0),
            lambda *table: advantages(*table).median(1).values.clamp(min=0),
        ),
        Mistake(
            "the worst run in place of the best",
            "You hold the runs against the place where the loss is largest. Does that prove that a smaller loss can be "
            "reached?",
            lambda *table: own_losses(*table).max(1).values - own_losses(*table).diagonal(),
            lambda *table: own_losses(*table).diagonal() - own_losses(*table).max(1).values,
            lambda *table: own_losses(*table).max(1).values - own_losses(*table).min(1).values,
        ),
        Mistake(
            "itself left out",
            "Some of your numbers are negative. A run that no other beats has proved shortfall 0.",
            lambda *table: (
                own_losses(*table).diagonal()
                - own_losses(*table).masked_fill(torch.eye(len(table[0]), dtype=torch.bool), torch.inf).min(1).values
            ),
        ),
    ),
)


# training/diagnose(loss, train_elbo, held_elbo, rate, blind)


class Run(NamedTuple):
    """The record of one run: loss, ELBO of training and of held-out digits, each (E,), and the rate at the end."""

    loss: np.ndarray
    train: np.ndarray
    held: np.ndarray
    rate: float
    blind: float

    @property
    def cost(self):
        """The cost of a held-out digit at the end."""
        return -self.held[-1]

    @property
    def distortion(self):
        """The same without the rate."""
        return self.cost - self.rate

    @property
    def fall(self):
        """By how much the held-out ELBO was better at its best epoch than at the end."""
        return self.held.max() - self.held[-1]

    @property
    def gain(self):
        """By how much the training ELBO has risen since then."""
        return self.train[-1] - self.train[self.held.argmax()]


def plain(train, gap, rate, blind, loss=None):
    """A run with the same gap at every epoch, and minus the training ELBO as its loss."""
    return Run(-train if loss is None else loss, train, train - gap, rate, blind)


def rising(rng, epochs, end, start=70.0, pace=1.5):
    """ELBOs that rise from about `start` nats below `end` to `end`."""
    time = np.linspace(0, 7, epochs)
    return end - start * (np.exp(-time / pace) - np.exp(-7 / pace)) + rng.uniform(-0.05, 0.05, size=epochs)


def beta_rising(train, rate):
    """The loss of a run whose β rises to 1, while its rate falls: it rises although the ELBO does so, too."""
    epochs = len(train)
    beta = np.arange(1, epochs + 1) / epochs
    return -train - (1 - beta) * np.linspace(60, rate, epochs)


def healthy(rng, epochs, blind):
    gap, rate = rng.uniform(3.2, 3.8), rng.uniform(18, 25)
    return plain(rising(rng, epochs, -rng.uniform(95, 105)), gap, rate, blind)


def healthy_with_large_gap(rng, epochs, blind):
    """Training digits gain far more than held-out ones, which still gain."""
    end = -rng.uniform(95, 105)
    run = plain(rising(rng, epochs, end, 90), 0.0, rng.uniform(18, 25), blind)
    return run._replace(held=rising(rng, epochs, end - rng.uniform(18, 20), 90, pace=2.0))


def healthy_in_warm_up(rng, epochs, blind):
    """The loss rises, because β does."""
    train, rate = np.linspace(-150, -rng.uniform(95, 105), epochs), rng.uniform(18, 25)
    return plain(train, 3.5, rate, blind, beta_rising(train, rate))


def healthy_at_low_rate(rng, epochs, blind):
    """β = 20: a small rate, well used."""
    rate = rng.uniform(2.5, 2.9)
    train = rising(rng, epochs, -(blind - rng.uniform(6.9, 7.3) + rate), 25)
    return plain(train, 0.3, rate, blind, -train + 19 * rate)


def healthy_at_high_rate(rng, epochs, blind):
    """β = 0.1: good pictures, and so high a rate that the ELBO is a little worse than that of one picture for all."""
    rate = rng.uniform(24, 28)
    train = rising(rng, epochs, -(blind + rng.uniform(3.8, 4.2)))
    return plain(train, 0.5, rate, blind, -train - 0.9 * rate)


def healthy_with_wobble(rng, epochs, blind):
    """The held-out ELBO falls in the last epoch, by less than the noise."""
    run = healthy(rng, epochs, blind)
    run.held[-1] = run.held[-2] - rng.uniform(0.6, 1.0)
    return run


def healthy_on_a_plateau(rng, epochs, blind):
    """From the middle on, training gains some nats, and held-out digits lose less than the noise."""
    run = plain(rising(rng, epochs, -rng.uniform(95, 105), 60, pace=2.0), 1.0, rng.uniform(18, 25), blind)
    run.held[epochs // 2 :] = run.held[epochs // 2] - np.linspace(0, rng.uniform(0.6, 1.0), epochs - epochs // 2)
    return run


def healthy_after_spike(rng, epochs, blind):
    """One early epoch is far worse than one picture for all."""
    run = healthy(rng, epochs, blind)
    run.train[2] = run.held[2] = -(blind + rng.uniform(100, 200))
    return run._replace(loss=-run.train)


def healthy_though_falling(rng, epochs, blind):
    """β is lowered in the last epochs: the loss falls, and both ELBOs fall by some nats."""
    train = rising(rng, epochs, -rng.uniform(98, 102), pace=1.0)
    train[-4:] = train[-5] - np.linspace(0, rng.uniform(9, 12), 5)[1:]
    return plain(train, 3.5, rng.uniform(50, 58), blind, -rising(rng, epochs, -62, pace=3.0))


def unused(rng, epochs, blind, rate, worse):
    """A run that pays this rate, and whose decoder is as good as one picture for all, but for noise."""
    train = rising(rng, epochs, -(blind + rate + worse), 40)
    return plain(train, 0.0, rate, blind)


def collapsed_silent(rng, epochs, blind):
    return unused(rng, epochs, blind, rng.uniform(0.02, 0.08), rng.uniform(0.7, 1.0))


def collapsed_and_paying(rng, epochs, blind):
    """The codes differ from the prior but carry no information."""
    return unused(rng, epochs, blind, rng.uniform(4.2, 5.0), -rng.uniform(0.7, 1.0))


def collapsed_late(rng, epochs, blind):
    """It was healthy before."""
    train, rate = rising(rng, epochs, -rng.uniform(95, 105), pace=1.0), rng.uniform(0.02, 0.08)
    train[-2:] = -(blind + rate - rng.uniform(0.7, 1.0))
    return plain(train, 0.0, rate, blind)


def overfitting_much(rng, epochs, blind):
    """The harm is done early, and the held-out ELBO is level since."""
    run = plain(rising(rng, epochs, -rng.uniform(78, 82), 60, pace=2.5), 1.0, rng.uniform(18, 25), blind)
    peak = epochs // 4
    level = run.held[peak] - rng.uniform(28, 32)
    run.held[peak:-4] = np.linspace(run.held[peak], level, epochs - peak - 3)[:-1]
    run.held[-4:] = level + np.linspace(0, 0.6, 4)
    return run


def overfitting_slightly(rng, epochs, blind):
    """Step by step less than the noise, and the gap at the end is smaller than that of a healthy run."""
    peak, end = epochs // 4, -rng.uniform(96, 100)
    train = np.concatenate([np.linspace(-150, end - 8, peak + 1), np.linspace(end - 8, end, epochs - peak)[1:]])
    run = plain(train, 1.0, rng.uniform(18, 25), blind)
    run.held[peak:] = run.held[peak] - np.linspace(0, rng.uniform(6.8, 7.0), epochs - peak)
    return run


def overfitting_in_warm_up(rng, epochs, blind):
    """The same, in a run whose loss rises, because β does."""
    run = overfitting_slightly(rng, epochs, blind)
    return run._replace(loss=beta_rising(run.train, run.rate))


def diverged_to_nan(rng, epochs, blind):
    run = healthy(rng, epochs, blind)
    run.loss[epochs // 2 :] = run.train[epochs // 2 :] = run.held[epochs // 2 :] = np.nan
    return run._replace(rate=np.nan)


def diverged_to_infinity(rng, epochs, blind):
    run = healthy(rng, epochs, blind)
    run.train[-2:] = run.held[-2:] = -np.inf
    return run._replace(loss=-run.train, rate=np.inf)


def diverged_from_the_start(rng, epochs, blind):
    """Always some tens of nats worse than one picture for all."""
    rate = rng.uniform(5, 10)
    train = -(blind + rate + rng.uniform(62, 75)) + rng.uniform(-1, 1, size=epochs)
    return plain(train, 0.5, rate, blind)


def diverged_late(rng, epochs, blind):
    """In the last epoch."""
    run = healthy(rng, epochs, blind)
    rate = rng.uniform(5, 30)
    run.train[-1] = run.held[-1] = -(blind + rate + rng.uniform(120, 200))
    return run._replace(loss=-run.train, rate=rate)


ROUNDS = (  # of every kind one; each exposes some wrong rule
    (healthy, healthy_at_low_rate, collapsed_silent, overfitting_much, diverged_to_nan),
    (healthy_with_large_gap, healthy_with_wobble, collapsed_and_paying, overfitting_slightly, diverged_from_the_start),
    (healthy_in_warm_up, healthy_at_high_rate, collapsed_late, overfitting_in_warm_up, diverged_late),
    (healthy_after_spike, healthy_on_a_plateau, healthy_though_falling, collapsed_silent, diverged_to_infinity),
)


def draw_diagnose(rng, kinds):
    """One run of each of these kinds, in any order."""
    epochs, blind = (8, 12)[rng.integers(2)], round(rng.uniform(195, 215), 1)
    *columns, _ = zip(*(kinds[kind](rng, epochs, blind) for kind in rng.permutation(len(kinds))), strict=True)
    columns = [torch.tensor(np.array(column).round(2), dtype=torch.float32) for column in columns]
    return dict(zip(("loss", "train_elbo", "held_elbo", "rate"), columns, strict=True)) | {"blind": blind}


def diagnose(loss, train_elbo, held_elbo, rate, blind):
    """Use the distortion, −ELBO − rate, and both ELBOs at the end and at the best epoch."""
    train, held, rate = train_elbo.numpy(), held_elbo.numpy(), rate.numpy()
    with np.errstate(invalid="ignore"):
        distortion = -held[:, -1] - rate
        runs, best = np.arange(len(held)), held.argmax(1)
        worse = held[runs, best] - held[:, -1] > 3
        better = train[:, -1] - train[runs, best] > 3
        words = np.where(worse & better, "overfitting", "healthy")
        words = np.where(distortion > blind - 3, "collapsed", words)
        return np.where(distortion < blind + 20, words, "diverged")


def numbers_that_decide(loss, train_elbo, held_elbo, rate, blind):
    """The numbers of each run by which one can tell how it ended."""
    runs = [
        Run(*record, blind) for record in zip(*(t.numpy() for t in (loss, train_elbo, held_elbo, rate)), strict=True)
    ]
    lines = [
        f"  run {number}: rate {run.rate:.1f}, distortion {run.distortion:.1f}; since the best held-out epoch, "
        f"held-out {-run.fall:+.1f} and training {run.gain:+.1f}"
        for number, run in enumerate(runs)
    ]
    return "\n".join([f"At the end, on held-out digits, in nats (one picture for all: {blind}):", *lines])


RULES = {
    "diverged": lambda run: not run.cost < run.blind + 20,
    "collapsed": lambda run: run.distortion > run.blind - 3,
    "overfitting": lambda run: run.fall > 3 and run.gain > 3,
}


def diagnose_with(*order, **changed):
    """An answer to training/diagnose with some rules replaced, or with the rules in another order."""
    rules = RULES | changed

    def answer(loss, train_elbo, held_elbo, rate, blind):
        records = zip(*(column.numpy() for column in (loss, train_elbo, held_elbo, rate)), strict=True)
        with np.errstate(invalid="ignore"):
            runs = [Run(*record, blind) for record in records]
            return [next((word for word in order or rules if rules[word](run)), "healthy") for run in runs]

    return answer


AS_GOOD = {"collapsed": lambda run: abs(run.distortion - run.blind) < 3}  # not if far worse
WRONG_RULES = {
    "diverged": (
        (
            "a recovered run called diverged",
            "One run had a bad epoch and recovered. Its end is what counts.",
            (
                lambda run: not -run.held.min() < run.blind + 20,
                lambda run: not np.isfinite(run.loss).all() or (np.diff(run.loss) > 10).any() or RULES["diverged"](run),
                lambda run: not np.isfinite(run.loss).all() or (np.diff(run.loss) > 95).any() or RULES["diverged"](run),
            ),
        ),
        (
            "a few nats taken for an explosion",
            "You call a run diverged that ends no more than a few nats worse than one picture for all. Compare with "
            "what the list says of a run that diverged.",
            (
                *(lambda run, limit=limit: not run.cost < run.blind + limit for limit in (0, 1.5, 3)),
                lambda run: not run.distortion < run.blind,
            ),
        ),
        (
            "best epoch in place of the end",
            "You judge a run by its best epoch. Some runs were good and then were lost: how did they *end*?",
            (
                lambda run: not -np.nanmax(run.held) < run.blind + 20,
                lambda run: not -np.nanmax(run.held) < run.blind + 20 + np.nan_to_num(run.rate),
            ),
        ),
        (
            "nan passes every comparison",
            "One run ends with nan. Every comparison with nan is false: what does your function say of such a run?",
            (lambda run: run.cost > run.blind + 20, lambda run: run.distortion > run.blind + 20),
        ),
        (
            "loss taken for the ELBO",
            "You go by the recorded loss. In some runs it rises or falls because β does. Compare what does not change "
            "its meaning from epoch to epoch.",
            (
                lambda run: not run.loss[-1] - run.loss.min() < 3,
                lambda run: not run.loss[-1] - run.loss.min() < 3 or RULES["diverged"](run),
                lambda run: not run.loss[-1] < run.loss[0],
                lambda run: not run.loss[-1] < run.loss[0] or RULES["diverged"](run),
                lambda run: not run.loss[-1] < run.blind + 20,
            ),
        ),
    ),
    "collapsed": (
        (
            "a collapse that costs nats overlooked",
            "One run pays some nats of rate, and you do not call it collapsed. Does its decoder draw any better than "
            "one picture for all?",
            (lambda run: run.rate < 1, lambda run: abs(run.cost - run.blind) < 2),
        ),
        (
            "a rate well spent called collapsed",
            "One run has a rate of two or three nats, and its digits cost several nats less than one picture for all. "
            "You call it collapsed: what do you go by?",
            (lambda run: run.rate < 10, lambda run: run.distortion > run.blind - 10, lambda run: run.rate < 3.5),
        ),
        (
            "collapse judged by the ELBO",
            "One run pays a high rate, and its ELBO is a little worse than that of one picture for all. You call it "
            "collapsed. Its codes cost much; what does its decoder do with them?",
            (lambda run: run.cost > run.blind - 3, lambda run: run.cost > run.blind),
        ),
        (
            "rate added once more",
            "You add the rate to −ELBO. Which of the two holds the other already?",
            (lambda run: run.cost + run.rate > run.blind - 2,),
        ),
        (
            "noise taken for a gain",
            "Some collapsed runs draw better than one picture for all by less than a nat or so. That much is noise.",
            (lambda run: run.distortion >= run.blind,),
        ),
        (
            "no run collapses",
            "You call no run collapsed. In some of them the decoder draws as well as one picture for all, but for "
            "noise.",
            (lambda run: False,),
        ),
    ),
    "overfitting": (
        (
            "gap taken for overfitting",
            "You go by the gap between training and held-out digits. Every model that has learned something has one. "
            "What would you see on held-out digits alone if more training had done harm?",
            (
                *(lambda run, limit=limit: run.train[-1] - run.held[-1] > limit for limit in (3, 5, 12, 16.5)),
                lambda run: run.train[-1] - run.held[-1] - (run.train - run.held).min() > 3,
            ),
        ),
        (
            "a fall of both called overfitting",
            "In some run both ELBOs got worse, of training digits as well. You call that overfitting. Which part of "
            "its definition is not met?",
            (
                lambda run: run.fall > 3,
                lambda run: run.fall > 3 and run.train[-1] - run.train[0] > 3,
            ),
        ),
        (
            "noise taken for overfitting",
            "On unseen digits some run loses less than a nat or so since its best epoch. That much is noise here, and "
            "you call it overfitting.",
            (
                lambda run: run.fall > 0 and run.gain > 0,
                lambda run: run.fall > 0,
                lambda run: run.fall > 0.5 and run.gain > 0.5,
                lambda run: run.fall > 0 and run.gain > 3,
            ),
        ),
        (
            "only the last epochs looked at",
            "In one run the harm was done early, and the held-out ELBO has been level since. You compare the end with "
            "the epochs just before it.",
            (
                *(
                    lambda run, back=back, limit=limit, least=least: (
                        run.held[-1 - back] - run.held[-1] > limit and run.train[-1] - run.train[-1 - back] > least
                    )
                    for back, limit in ((1, 0), (2, 0), (2, 1.5), (3, 0), (3, 1.5))
                    for least in (0, -np.inf)
                ),
                lambda run: run.held[-1] < run.held[-2] < run.held[-3],
                lambda run: run.held[-1] < run.held[-2] < run.held[-3] and run.train[-1] > run.train[-3],
            ),
        ),
        (
            "small harm overlooked",
            "One run loses about seven nats on unseen digits, while training digits gain. You do not call it "
            "overfitting. How large must a difference be to matter here?",
            (lambda run: run.fall > 10 and run.gain > 3, lambda run: run.fall > 10),
        ),
        (
            "loss taken for the training ELBO",
            "You go by the recorded loss. In some runs it rises or falls because β does. Compare what does not change "
            "its meaning from epoch to epoch.",
            (
                lambda run: run.fall > 3 and run.loss[run.held.argmax()] - run.loss[-1] > 3,
                lambda run: run.loss[-1] - run.loss.min() > 3,
            ),
        ),
        (
            "no run overfits",
            "No run overfits by your rule. Which epoch do you compare the end with, and what would you see there?",
            (lambda run: False,),
        ),
    ),
}


FREQUENT = {
    "collapsed": (lambda run: run.rate < 1, lambda run: run.cost > run.blind - 3),
    "overfitting": (
        lambda run: run.train[-1] - run.held[-1] > 3,
        lambda run: run.train[-1] - run.held[-1] > 5,
        lambda run: run.fall > 3,
        lambda run: run.fall > 0 and run.gain > 0,
    ),
}


def wrong_rules():
    """A mistake for each wrong rule. Its first form also beside a frequent wrong rule for a later word."""
    words = list(WRONG_RULES)
    answers = {}
    for place, word in enumerate(words):
        later = [{other: rule} for other in words[place + 1 :] for rule in FREQUENT[other]]
        for name, hint, rules in WRONG_RULES[word]:
            found = answers.setdefault((name, hint), [])
            found.extend(diagnose_with(**{word: rule}) for rule in rules)
            found.extend(diagnose_with(**{word: rules[0]}, **rest) for rest in later)
    return (Mistake(name, hint, *functions) for (name, hint), functions in answers.items())


DIAGNOSE = Task(
    name="training/diagnose",
    draw=tuple(partial(draw_diagnose, kinds=kinds) for kinds in ROUNDS),
    reference=diagnose,
    cases=8,
    decides=numbers_that_decide,
    mistakes=(
        Mistake(
            "a finite end not called diverged",
            "Some run ends tens of nats worse than one picture for all, and you do not call it diverged. Which of your "
            "questions is asked first, and what does it ask?",
            *(
                diagnose_with(diverged=rule, **rest)
                for rule in (
                    lambda run: not np.isfinite(run.cost),
                    lambda run: not run.cost < run.blind + 100,
                    lambda run: False,
                )
                for rest in ({}, AS_GOOD)
            ),
            diagnose_with("collapsed", "diverged", "overfitting"),
        ),
        Mistake(
            "best epoch throughout",
            "You judge a run by its best epoch. Some runs were good and then were lost: how did they *end*?",
            diagnose_with(
                diverged=lambda run: not -np.nanmax(run.held) < run.blind + 20,
                collapsed=lambda run: -np.nanmax(run.held) - run.rate > run.blind - 3,
            ),
        ),
        Mistake(
            "rate added once more, for both words",
            "You add the rate to −ELBO. Which of the two holds the other already?",
            diagnose_with(
                diverged=lambda run: not run.cost + run.rate < run.blind + 15,
                collapsed=lambda run: run.cost + run.rate > run.blind - 2,
            ),
        ),
        *wrong_rules(),
        Mistake(
            "overfitting asked about first",
            "A run that blew up or collapsed was better before. That alone makes it no case of overfitting: which of "
            "your questions has to come first?",
            diagnose_with("overfitting", "diverged", "collapsed", overfitting=lambda run: run.fall > 3),
            diagnose_with("diverged", "overfitting", "collapsed", overfitting=lambda run: run.fall > 3),
        ),
    ),
)

TASKS = (ELBO, FREE_BITS, UNITS, REPAIR, SHORTFALL, DIAGNOSE)
