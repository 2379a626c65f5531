"""The tasks of exercise 07, training a VAE."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from vae_course.judging.task import Close, Mistake, Task, rounded_normal
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


def elbo(x, eps, encoder, decoder):
    """log p(x|z) − KL(q(z|x) ‖ p(z)) with z = μ + σ ε, and both terms (Kingma & Welling 2014)."""
    mu, log_var = encoder(x)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    p = Independent(Bernoulli(logits=decoder(mu + (log_var / 2).exp() * eps)), 1)
    log_p = p.log_prob(x)
    kl = kl_divergence(q, Independent(Normal(torch.zeros_like(mu), 1.0), 1))
    return log_p - kl, log_p, kl


def elbo_with(
    draw=lambda mu, log_var, eps: mu + (log_var / 2).exp() * eps,
    pixels=lambda x, logits: log_bernoulli(x, logits).sum(-1),
    rate=lambda mu, log_var: kl_terms(mu, log_var).sum(-1),
    result=lambda log_p, kl: (log_p - kl, log_p, kl),
):
    """An answer to training/elbo with some of its parts replaced."""

    def answer(x, eps, encoder, decoder):
        mu, log_var = encoder(x)
        return result(pixels(x, decoder(draw(mu, log_var, eps))), rate(mu, log_var))

    return answer


def elbo_with_sampled_kl(x, eps, encoder, decoder):
    """log q(z|x) − log p(z) of the sample instead of the KL."""
    log_p = elbo(x, eps, encoder, decoder)[1]
    mu, log_var = encoder(x)
    sampled = 0.5 * ((mu + (log_var / 2).exp() * eps) ** 2 - eps**2 - log_var).sum(-1)
    return log_p - sampled, log_p, sampled


ELBO = Task(
    name="training/elbo",
    draw=draw_elbo,
    reference=elbo,
    mistakes=(
        Mistake(
            "mean decoded in place of a sample",
            "You decode the mean; eps plays no part. Which q would always give exactly z = mu, and what would "
            "its KL be? Yours is charged for a wide one.",
            elbo_with(draw=lambda mu, log_var, eps: mu),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You take exp(log_var) for a standard deviation. The encoder gives log σ²: which power of exp(log_var) is "
            "the standard deviation?",
            elbo_with(draw=lambda mu, log_var, eps: mu + log_var.exp() * eps),
            elbo_with(
                draw=lambda mu, log_var, eps: mu + log_var.exp() * eps,
                rate=lambda mu, log_var: kl_terms(mu, 2 * log_var).sum(-1),
            ),
        ),
        Mistake(
            "noise not scaled",
            "Your z is mu plus noise of variance 1, whatever the encoder says about its width.",
            elbo_with(draw=lambda mu, log_var, eps: mu + eps),
        ),
        Mistake(
            "KL added",
            "Both terms are right, but you add them. A bound on log p(x) must lie below it: which way does the "
            "KL push?",
            elbo_with(result=lambda log_p, kl: (log_p + kl, log_p, kl)),
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
        Mistake(
            "mean over the pixels",
            "Your log p(x|z) is the right one divided by the number of pixels. The probability of a picture "
            "is a product over its pixels; beside a KL in full nats this also changes β.",
            elbo_with(pixels=lambda x, logits: log_bernoulli(x, logits).mean(-1)),
        ),
        Mistake(
            "mean over the latents",
            "Your KL is the right one divided by the number of latents. Each latent costs its own nats.",
            elbo_with(rate=lambda mu, log_var: kl_terms(mu, log_var).mean(-1)),
        ),
        Mistake(
            "sigmoid taken twice",
            "Probabilities went where log-odds are expected. The decoder's output is log-odds: who applies "
            "the sigmoid?",
            elbo_with(pixels=lambda x, logits: log_bernoulli(x, logits.sigmoid()).sum(-1)),
        ),
        Mistake(
            "only the ink counted",
            "Pixels of paper add nothing to your log p(x|z). A decoder that inks every pixel would be perfect.",
            elbo_with(pixels=lambda x, logits: (x * logits.sigmoid().log()).sum(-1)),
        ),
        Mistake(
            "forgot the ½",
            "Your KL is too large by the same factor everywhere. Compare with exercise 04.",
            elbo_with(rate=lambda mu, log_var: 2 * kl_terms(mu, log_var).sum(-1)),
        ),
        Mistake(
            "KL estimated from the sample",
            "Your KL is the log-ratio at this one sample, right only on average. Asked is the KL itself, and "
            "it has a closed form: why add noise?",
            elbo_with_sampled_kl,
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
        ),
        Mistake(
            "min and max exchanged",
            "Busy latents stop paying in your version, and silent ones pay what they cost. It should be the "
            "other way round.",
            lambda kl, floor: kl.mean(0).clamp(max=floor).sum(),
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
        ),
        Mistake(
            "floor added",
            "You add a constant. It changes no gradient, so no latent is set free.",
            lambda kl, floor: kl.mean(0).sum() + floor * kl.shape[1],
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


def draw_units(rng):
    """Means off centre, along one or two oblique directions: counts of axes, directions and mean squares differ."""
    threshold = (0.01, 0.02)[rng.integers(2)]
    while True:  # until nothing is near the threshold
        number, latents, directions = int(rng.integers(10, 14)), int(rng.integers(5, 7)), int(rng.integers(1, 3))
        turn, _ = np.linalg.qr(rng.normal(size=(latents, directions)))
        turn[rng.integers(latents)] = 0  # one axis orthogonal to all directions
        mu = rng.normal(size=(number, directions)) @ turn.T + 0.05 * rng.normal(size=(number, latents))
        mu = (mu + rng.choice([-1, 0, 1], size=latents) * rng.uniform(0.5, 1.5, size=latents)).round(2)
        covariance = np.cov(mu.T)
        found = np.concatenate([np.diag(covariance), np.linalg.eigvalsh(covariance)])
        if np.abs(np.log(found / threshold)).min() > 0.4 and found[:latents].min() > 4e-4:
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


UNITS = Task(
    name="training/units",
    draw=draw_units,
    reference=units,
    cases=8,
    library=("vae_lessons.evaluation.active_units",),
    mistakes=(
        Mistake(
            "standard deviation for variance",
            "You compare a standard deviation with the threshold, which is a variance. Small numbers shrink when "
            "squared.",
            lambda mu, threshold: (number_above(mu.std(0), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (
                number_above(mu.std(0), threshold),
                number_above(principal_variances(mu).sqrt(), threshold),
            ),
        ),
        Mistake(
            "every direction counted",
            "The second count is too large: each direction's variance must be above the threshold. Are your numbers "
            "variances, or their roots, or something that is merely not zero?",
            lambda mu, threshold: (
                axes_in_use(mu, threshold),
                number_above(principal_variances(mu).sqrt(), threshold),
            ),
            lambda mu, threshold: (axes_in_use(mu, threshold), mu.shape[1]),
        ),
        Mistake(
            "mean square for variance",
            "You measure how far the means lie from the origin. A latent whose mean is 3 for every picture is far from "
            "it, and tells nothing.",
            lambda mu, threshold: (number_above((mu**2).mean(0), threshold), directions_in_use(mu, threshold)),
            lambda mu, threshold: (
                number_above((mu**2).mean(0), threshold),
                number_above(principal_mean_squares(mu), threshold),
            ),
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
            "Your first count is right. The numbers behind the second grow with the number of pictures; a "
            "variance does not.",
            lambda mu, threshold: (
                axes_in_use(mu, threshold),
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
            "axes counted twice",
            "Your first count is right. For the second: all means may lie near one straight line that is "
            "parallel to no axis.",
            lambda mu, threshold: (axes_in_use(mu, threshold), axes_in_use(mu, threshold)),
        ),
        Mistake(
            "the two counts exchanged",
            "Both counts are right, but in the other order: axes first.",
            lambda mu, threshold: (directions_in_use(mu, threshold), axes_in_use(mu, threshold)),
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
    batch, pixels, latents = int(rng.integers(2, 4)), int(rng.integers(5, 7)), int(rng.integers(2, 4))
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
    ),
    (
        Fault(
            "sigmoid taken twice",
            "Could this decoder ever be sure of a pixel? Try log-odds of 100 for ink: what does your distortion "
            "charge?",
            (lambda x, logits: -log_bernoulli(x, logits.sigmoid()).sum(-1).mean(),),
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
            (lambda mu, log_var: kl_terms(mu, log_var).sum(),),
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
    ),
)


def faulty_losses():
    """Yield a mistake for each fault: earlier parts are right, each later part is right or as printed."""
    as_printed = [faults[0].functions[0] for faults in FAULTS]
    for place, faults in enumerate(FAULTS):
        before = RIGHT_PARTS[:place]
        after = list(product(*zip(RIGHT_PARTS[place + 1 :], as_printed[place + 1 :], strict=True)))
        for name, hint, functions in faults:
            yield Mistake(name, hint, *(loss_of(*before, wrong, *rest) for wrong in functions for rest in after))


REPAIR = Task(
    name="training/repair",
    draw=(partial(draw_repair, step=during_warm_up), partial(draw_repair, step=after_warm_up)),
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
            "exp(log_var) taken for σ",
            "The noise is scaled by the variance. That part was right in the function as printed.",
            loss_of(
                lambda mu, sigma, eps: mu + sigma**2 * eps, distortion_per_picture, rate_per_picture, weight_of_rate
            ),
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


def above_hull(betas, rates, distortions):
    """The height of each run above the lower convex hull of all runs."""
    points = list(zip(rates.tolist(), distortions.tolist(), strict=True))

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
        ),
        Mistake(
            "neighbours only",
            "Some of your numbers are too small. You compare each run with its neighbours only; a badly trained "
            "neighbour proves nothing, and one farther off may.",
            lambda betas, *terms: missed_among(own_losses(betas, *terms), adjacent(betas.argsort().argsort())),
            lambda betas, *terms: missed_among(own_losses(betas, *terms), adjacent(torch.arange(len(betas)))),
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
        ),
        Mistake(
            "sorted by β",
            "Your numbers are right, but you sorted the runs. Each number belongs in the place of its run.",
            lambda *table: missed(own_losses(*(column[table[0].argsort()] for column in table))),
        ),
        Mistake(
            "sign flipped",
            "Your numbers have the wrong sign: a shortfall counts the nats that were missed.",
            lambda *table: -missed(own_losses(*table)),
        ),
        Mistake(
            "proofs averaged or added up",
            "You average or add over the runs compared with. Each of them is a proof by itself; which one proves most?",
            lambda *table: (own_losses(*table).diagonal()[:, None] - own_losses(*table)).clamp(min=0).mean(1),
            lambda *table: (own_losses(*table).diagonal()[:, None] - own_losses(*table)).clamp(min=0).sum(1),
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

EPOCHS = np.arange(8)


class Run(NamedTuple):
    """The record of one run: loss, ELBO of training and of held-out digits, each (8,), and the rate at the end."""

    loss: np.ndarray | torch.Tensor | None
    train: np.ndarray | torch.Tensor
    held: np.ndarray | torch.Tensor
    rate: float | torch.Tensor
    blind: float

    @property
    def cost(self):
        """The cost of a held-out digit at the end."""
        return -self.held[-1]


def rising(rng, end, start=70.0, pace=1.5):
    """ELBOs of eight epochs that rise from about `start` nats below `end` to `end`."""
    return end - start * np.exp(-EPOCHS / pace) + start * np.exp(-7 / pace) + rng.uniform(-0.1, 0.1, size=8)


def healthy(rng, run, end):
    return run


def healthy_with_large_gap(rng, run, end):
    """Training digits gain far more than held-out ones, which still gain."""
    return run._replace(train=rising(rng, end + 12, 90), held=rising(rng, end - rng.uniform(3, 6), 90, pace=2.0))


def healthy_in_warm_up(rng, run, end):
    """The loss rises, because β does."""
    rates, train = np.linspace(60, run.rate, 8), np.linspace(-150, end, 8)
    return run._replace(loss=-train - (1 - (EPOCHS + 1) / 8) * rates, train=train, held=train - 4)


def healthy_at_low_rate(rng, run, end):
    """β = 20: a small rate, well used."""
    rate = rng.uniform(2.8, 4.0)
    train = rising(rng, -(run.blind - 30 + rate), 25)
    held = train - rng.uniform(0.5, 1)
    return run._replace(loss=-train + 19 * rate, train=train, held=held, rate=rate)


def healthy_with_wobble(rng, run, end):
    """The ELBO falls in the last epoch, by less than the noise."""
    run.held[-1] = run.held[-2] - rng.uniform(0.5, 1.0)
    return run


def healthy_after_spike(rng, run, end):
    """One epoch is far worse than drawing the same picture for all."""
    run.train[3] = run.held[3] = -(run.blind + rng.uniform(100, 200))
    return run


def codes_unused(rng, run, rate):
    """A run that pays this rate, and whose decoder is as good as the same picture for all."""
    train = rising(rng, -(run.blind + rate), 40)
    return run._replace(train=train, held=train + rng.uniform(-1, 1), rate=rate)


def collapsed_silent(rng, run, end):
    return codes_unused(rng, run, rng.uniform(0.0, 0.1))


def collapsed_and_paying(rng, run, end):
    """The codes differ from the prior but carry no information."""
    return codes_unused(rng, run, rng.uniform(3.0, 6.0))


def worse_after(train, peak, last):
    """Held-out ELBOs that follow the training ELBOs up to an epoch, and then fall to `last`."""
    held = train - 1
    held[peak:] = np.linspace(held[peak], last, 8 - peak)
    return held


def overfitting_much(rng, run, end):
    train = rising(rng, -80, 60)
    return run._replace(train=train, held=worse_after(train, 3, train[-1] - rng.uniform(30, 35)))


def overfitting_slightly(rng, run, end):
    """The gap at the end is smaller than that of a healthy run."""
    train = rising(rng, -98, 60, pace=0.9)
    return run._replace(train=train, held=worse_after(train, 4, train[-1] - rng.uniform(7, 8)))


def diverged_to_nan(rng, run, end):
    run.train[5:] = run.held[5:] = np.nan
    return run._replace(rate=np.nan)


def diverged_from_the_start(rng, run, end):
    """Always far worse than the same picture for all."""
    rate = rng.uniform(5, 30)
    train = -(run.blind + rng.uniform(80, 300)) + rng.uniform(-1, 1, size=8)
    return run._replace(train=train, held=train - 1, rate=rate)


def diverged_in_rate(rng, run, end):
    """Good pictures, at a rate of hundreds of nats."""
    rate = rng.uniform(200, 900)
    train = rising(rng, -(run.blind - rng.uniform(20, 40) + rate), 200)
    return run._replace(train=train, held=train - 1, rate=rate)


def diverged_late(rng, run, end):
    rate = rng.uniform(5, 30)
    run.train[6:] = run.held[6:] = -(run.blind + rate + rng.uniform(60, 200))
    return run._replace(rate=rate)


KINDS = (
    healthy,
    healthy_with_large_gap,
    healthy_in_warm_up,
    healthy_at_low_rate,
    healthy_with_wobble,
    healthy_after_spike,
    collapsed_silent,
    collapsed_and_paying,
    overfitting_much,
    overfitting_slightly,
    diverged_to_nan,
    diverged_from_the_start,
    diverged_in_rate,
    diverged_late,
)


def draw_run(rng, kind, blind):
    """A healthy run, changed into this kind. The loss is minus the training ELBO unless the kind sets it."""
    end, rate = -rng.uniform(95, 105), rng.uniform(18, 25)
    train = rising(rng, end)
    held = train - rng.uniform(3, 6) * (EPOCHS + 1) / 8
    run = kind(rng, Run(None, train, held, rate, blind), end)
    return run if run.loss is not None else run._replace(loss=-run.train)


def draw_diagnose(rng):
    """One run of every kind; each kind exposes some wrong rule."""
    blind = round(rng.uniform(195, 215), 1)
    *columns, _ = zip(*(draw_run(rng, KINDS[kind], blind) for kind in rng.permutation(len(KINDS))), strict=True)
    columns = [torch.tensor(np.array(column).round(2), dtype=torch.float32) for column in columns]
    return dict(zip(("loss", "train_elbo", "held_elbo", "rate"), columns, strict=True)) | {"blind": blind}


def diagnose(loss, train_elbo, held_elbo, rate, blind):
    """Use the held-out ELBO at the end and at its best, and the distortion, −ELBO − rate."""
    held, rate = held_elbo.numpy(), rate.numpy()
    with np.errstate(invalid="ignore"):
        distortion = -held[:, -1] - rate
        broken = ~(-held[:, -1] < blind + 20)
        words = np.where(held.max(1) - held[:, -1] > 3, "overfitting", "healthy")
        words = np.where(distortion > blind - 8, "collapsed", words)
        return np.where(broken, "diverged", words)


def diagnose_with(
    diverged=lambda run: not run.cost < run.blind + 20,
    collapsed=lambda run: run.cost - run.rate > run.blind - 8,
    overfitting=lambda run: run.held.max() - run.held[-1] > 3,
    order=("diverged", "collapsed", "overfitting"),
):
    """An answer to training/diagnose with some rules replaced, or with the rules in another order."""
    rules = {"diverged": diverged, "collapsed": collapsed, "overfitting": overfitting}

    def answer(loss, train_elbo, held_elbo, rate, blind):
        runs = [Run(*record, blind) for record in zip(loss, train_elbo, held_elbo, rate, strict=True)]
        return [next((word for word in order if rules[word](run)), "healthy") for run in runs]

    return answer


DIAGNOSE = Task(
    name="training/diagnose",
    draw=draw_diagnose,
    reference=diagnose,
    cases=3,
    mistakes=(
        Mistake(
            "gap taken for overfitting",
            "You go by the gap between training and held-out digits. Every model that has learned something has one. "
            "What would you see on held-out digits alone if more training had done harm?",
            *(
                diagnose_with(overfitting=lambda run, limit=limit: run.train[-1] - run.held[-1] > limit)
                for limit in (2, 5, 6.5, 10)
            ),
            diagnose_with(overfitting=lambda run: run.train[-1] - run.held[-1] - (run.train - run.held).min() > 3),
        ),
        Mistake(
            "a collapse that costs nats called diverged",
            "You call a run diverged because it is a few nats worse than one picture for all. Its pictures cost just "
            "as much as that one does: what are the other nats, and is that an explosion?",
            *(diagnose_with(diverged=lambda run, limit=limit: not run.cost < run.blind + limit) for limit in (0, 2)),
        ),
        Mistake(
            "only nan counted as diverged",
            "You only look for numbers that are not finite. Finite is not trained: some of these runs end far worse "
            "than a picture that never looks at the code.",
            diagnose_with(diverged=lambda run: not run.cost.isfinite()),
            diagnose_with(diverged=lambda run: not run.cost.isfinite(), collapsed=lambda run: run.rate < 0.5),
        ),
        Mistake(
            "distortion alone for divergence",
            "One run draws its digits well and pays hundreds of nats of rate for that. Would you call it trained?",
            diagnose_with(diverged=lambda run: not run.cost - run.rate < run.blind + 20),
        ),
        Mistake(
            "collapse judged by rate or ELBO alone",
            "You call a run collapsed by its rate, or by its ELBO. A few nats of rate can be well spent, and many can "
            "be spent on nothing: what does the decoder do with them?",
            *(diagnose_with(collapsed=lambda run, limit=limit: run.rate < limit) for limit in (0.5, 4.5, 10)),
            diagnose_with(collapsed=lambda run: abs(run.cost - run.blind) < 2),
        ),
        Mistake(
            "loss taken for ELBO",
            "You go by the recorded loss. In one healthy run it rises because something else in it was meant to rise. "
            "Compare what does not change its meaning from epoch to epoch.",
            diagnose_with(overfitting=lambda run: run.loss[-1] - run.loss.min() > 3),
            diagnose_with(diverged=lambda run: not run.loss[-1] - run.loss.min() < 3),
            diagnose_with(diverged=lambda run: not run.loss[-1] < run.blind + 20),
        ),
        Mistake(
            "no run overfits",
            "No run overfits by your rule. Overfitting is what training digits cannot show.",
            diagnose_with(overfitting=lambda run: run.train.max() - run.train[-1] > 3),
            diagnose_with(overfitting=lambda run: False),
        ),
        Mistake(
            "noise taken for overfitting",
            "You take a last step down of less than a nat for overfitting. That much is noise here.",
            diagnose_with(overfitting=lambda run: run.held[-1] < run.held[-2] - 0.3),
            diagnose_with(overfitting=lambda run: run.held[-1] < run.held[-2]),
            diagnose_with(overfitting=lambda run: run.held.argmax() < 7),
        ),
        Mistake(
            "a recovered run called diverged",
            "One run had a bad epoch and recovered. Its end is what counts.",
            diagnose_with(diverged=lambda run: not -run.held.min() < run.blind + 20),
        ),
        Mistake(
            "divergence asked about too late",
            "A run that blew up may look like something else as well: it was better before, and it draws no better "
            "than one picture for all. Which of your questions has to come first?",
            diagnose_with(order=("overfitting", "diverged", "collapsed")),
            diagnose_with(order=("collapsed", "diverged", "overfitting")),
        ),
    ),
)

TASKS = (ELBO, FREE_BITS, UNITS, REPAIR, SHORTFALL, DIAGNOSE)
