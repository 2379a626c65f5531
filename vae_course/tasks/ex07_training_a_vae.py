"""The tasks of exercise 07, training a VAE."""

from functools import partial
from itertools import product

import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from vae_course.judging.task import Close, Mistake, Task, rounded_normal
from vae_course.visible.callables import Linear, LinearEncoder
from vae_course.visible.observe import Gradients

__all__ = ["TASKS"]


def pictures(rng, *shape):
    """Pictures of ink (1) and paper (0), float32."""
    return torch.tensor(rng.integers(0, 2, size=shape), dtype=torch.float32)


# training/elbo(x, eps, encoder, decoder)


def draw_elbo(rng):
    batch, pixels, latents = int(rng.integers(2, 5)), int(rng.integers(5, 8)), int(rng.integers(2, 4))
    return {
        "x": pictures(rng, batch, pixels),
        "eps": rounded_normal(rng, batch, latents),
        "encoder": LinearEncoder(
            rounded_normal(rng, pixels, latents, scale=0.5), rounded_normal(rng, pixels, latents, scale=0.4)
        ),
        "decoder": Linear(rounded_normal(rng, latents, pixels), rounded_normal(rng, pixels)),
    }


def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    p = Independent(Bernoulli(logits=decoder(mu + (log_var / 2).exp() * eps)), 1)
    log_p = p.log_prob(x)
    kl = kl_divergence(q, Independent(Normal(torch.zeros_like(mu), 1.0), 1))
    return log_p - kl, log_p, kl


def log_ink(x, logits):
    return -binary_cross_entropy_with_logits(logits, x, reduction="none")


def kls(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


def wrong_elbo(
    draw=lambda mu, log_var, eps: mu + (log_var / 2).exp() * eps,
    pixels=lambda x, logits: log_ink(x, logits).sum(-1),
    rate=lambda mu, log_var: kls(mu, log_var).sum(-1),
    result=lambda log_p, kl: (log_p - kl, log_p, kl),
):
    """An answer to training/elbo with some of its parts replaced."""

    def answer(x, eps, encoder, decoder):
        mu, log_var = encoder(x)
        return result(pixels(x, decoder(draw(mu, log_var, eps))), rate(mu, log_var))

    return answer


def rate_by_sample(x, eps, encoder, decoder):
    """The closed form of the KL, and log q(z|x) - log p(z) of the sample as well."""
    log_p, kl = elbo(x, eps, encoder, decoder)[1:]
    _, log_var = encoder(x)
    z = encoder(x)[0] + (log_var / 2).exp() * eps
    sampled = 0.5 * (z**2 - eps**2 - log_var).sum(-1)
    return log_p - kl - sampled, log_p, kl


def sampled_kl(x, eps, encoder, decoder):
    """log q(z|x) - log p(z) of the sample in place of the KL."""
    log_p = elbo(x, eps, encoder, decoder)[1]
    mu, log_var = encoder(x)
    sampled = 0.5 * ((mu + (log_var / 2).exp() * eps) ** 2 - eps**2 - log_var).sum(-1)
    return log_p - sampled, log_p, sampled


ONE_NUMBER = (
    "There should be one number for each picture, shape (B,), in all three results. A mean over the batch hides which "
    "picture costs how much; take it later."
)

ELBO = Task(
    name="training/elbo",
    draw=draw_elbo,
    reference=elbo,
    mistakes=(
        Mistake(
            "mean decoded in place of a sample",
            "You decode the mean; eps plays no part. Which q would always give exactly z = mu, and what would "
            "its KL be? Yours is charged for a wide one.",
            wrong_elbo(draw=lambda mu, log_var, eps: mu),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "The noise is scaled by the variance. What power of exp(log_var) is a standard deviation?",
            wrong_elbo(draw=lambda mu, log_var, eps: mu + log_var.exp() * eps),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You treat exp(log_var) as a standard deviation, in the draw and in the KL. The encoder emits log σ².",
            wrong_elbo(
                draw=lambda mu, log_var, eps: mu + log_var.exp() * eps,
                rate=lambda mu, log_var: kls(mu, 2 * log_var).sum(-1),
            ),
        ),
        Mistake(
            "noise not scaled",
            "Your z is mu plus noise of variance 1, whatever the encoder says about its width.",
            wrong_elbo(draw=lambda mu, log_var, eps: mu + eps),
        ),
        Mistake(
            "one noise for the whole batch",
            "All your pictures share the first row of the noise. Each needs a draw of its own, or their "
            "errors never average out over the batch.",
            wrong_elbo(draw=lambda mu, log_var, eps: mu + (log_var / 2).exp() * eps[0]),
        ),
        Mistake(
            "KL added",
            "Both terms are right, but you add them. A bound on log p(x) must lie below: which way does the "
            "KL push it?",
            wrong_elbo(result=lambda log_p, kl: (log_p + kl, log_p, kl)),
        ),
        Mistake(
            "sign of the KL flipped",
            "Your third result is negative, and your ELBO is too large by twice its size. A KL divergence is "
            "never negative.",
            wrong_elbo(result=lambda log_p, kl: (log_p + kl, log_p, -kl)),
        ),
        Mistake(
            "sign of the KL flipped",
            "Your ELBO is right. Your third result is what is added to get it; asked is the KL itself.",
            wrong_elbo(result=lambda log_p, kl: (log_p - kl, log_p, -kl)),
        ),
        Mistake(
            "the loss, not the ELBO",
            "Both terms are right, and your first result is what training minimises. The ELBO itself is to be large.",
            wrong_elbo(result=lambda log_p, kl: (kl - log_p, log_p, kl)),
        ),
        Mistake(
            "distortion given as log p(x|z)",
            "Your second result is positive. Can the logarithm of the probability of a picture of ink and paper be?",
            wrong_elbo(result=lambda log_p, kl: (log_p - kl, -log_p, kl)),
            wrong_elbo(result=lambda log_p, kl: (-log_p - kl, -log_p, kl)),
        ),
        Mistake(
            "distortion given as log p(x|z)",
            "Your results are costs: all signs belong to the loss. Asked are the ELBO and log p(x|z).",
            wrong_elbo(result=lambda log_p, kl: (kl - log_p, -log_p, kl)),
        ),
        Mistake(
            "mean over the pixels",
            "Your log p(x|z) is the right one divided by the number of pixels. The probability of a picture "
            "is a product over its pixels; beside a KL in full nats this also changes β.",
            wrong_elbo(pixels=lambda x, logits: log_ink(x, logits).mean(-1)),
        ),
        Mistake(
            "mean over the latents",
            "Your KL is the right one divided by the number of latents. Each latent costs its own nats.",
            wrong_elbo(rate=lambda mu, log_var: kls(mu, log_var).mean(-1)),
        ),
        Mistake(
            "means over pixels and latents",
            "Both terms are means, one over pixels and one over latents. In nats per picture both are sums.",
            wrong_elbo(
                pixels=lambda x, logits: log_ink(x, logits).mean(-1), rate=lambda mu, log_var: kls(mu, log_var).mean(-1)
            ),
        ),
        Mistake(
            "sigmoid taken twice",
            "Probabilities went where log-odds are expected. The decoder's output is log-odds: who applies "
            "the sigmoid?",
            wrong_elbo(pixels=lambda x, logits: log_ink(x, logits.sigmoid()).sum(-1)),
        ),
        Mistake(
            "only the ink counted",
            "Pixels of paper add nothing to your log p(x|z). A decoder that inks every pixel would be perfect.",
            wrong_elbo(pixels=lambda x, logits: (x * logits.sigmoid().log()).sum(-1)),
        ),
        Mistake(
            "squared error for log p(x|z)",
            "That is a squared error, the Gaussian's. Pixels that are ink or paper have a Bernoulli likelihood.",
            wrong_elbo(pixels=lambda x, logits: -((x - logits.sigmoid()) ** 2).sum(-1)),
            wrong_elbo(pixels=lambda x, logits: -((x - logits) ** 2).sum(-1)),
        ),
        Mistake(
            "forgot the ½",
            "Your KL is too large by one and the same factor everywhere. Compare with exercise 04.",
            wrong_elbo(rate=lambda mu, log_var: 2 * kls(mu, log_var).sum(-1)),
        ),
        Mistake(
            "KL estimated from the sample",
            "Your KL is the log-ratio at this one sample, right only on average. Asked is the KL itself, and "
            "it has a closed form: why add noise?",
            sampled_kl,
        ),
        Mistake(
            "the KL term counted twice",
            "The closed form is subtracted, and so are the log-densities of the sample, whose average is the "
            "same number. One of them will do.",
            rate_by_sample,
        ),
        Mistake(
            "the KL term counted twice",
            "Both terms are right; your ELBO holds the second one twice.",
            wrong_elbo(result=lambda log_p, kl: (log_p - 2 * kl, log_p, kl)),
        ),
        Mistake(
            "one number for the whole batch",
            ONE_NUMBER,
            wrong_elbo(result=lambda log_p, kl: ((log_p - kl).mean(), log_p.mean(), kl.mean())),
            wrong_elbo(result=lambda log_p, kl: ((log_p - kl).sum(), log_p.sum(), kl.sum())),
            wrong_elbo(result=lambda log_p, kl: (log_p - kl.mean(), log_p, kl.mean())),
        ),
        Mistake(
            "results in another order",
            "Your numbers are right, but in another order: the ELBO first, then log p(x|z), then the KL.",
            wrong_elbo(result=lambda log_p, kl: (log_p, kl, log_p - kl)),
        ),
    ),
)


# training/free_bits(kl, floor)


def draw_free_bits(rng):
    batch, latents = int(rng.integers(2, 4)), int(rng.integers(4, 6))
    kl = rng.uniform(0, 1, size=(batch, latents))
    kl[:, 0] *= 0.2  # silent
    kl[:, 1] = kl[:, 1] * 0.2 + 1.0  # busy
    kl[:, 2] = np.where(np.arange(batch) == 0, 0.9, 0.03)  # silent but for one picture
    return {"kl": torch.tensor(kl.round(2), dtype=torch.float32), "floor": round(rng.uniform(0.45, 0.65), 2) + 0.0013}


def free_bits(kl, floor):
    mean = kl.mean(0)
    return torch.where(mean > floor, mean, torch.full_like(mean, floor)).sum()


PER_PICTURE = (
    "You apply the floor picture by picture. A latent may tell nothing about most pictures and much about a few; "
    "the nats are given to the latent, for the batch as a whole."
)
FOR_THE_SUM = (
    "Your floor applies to the latents together. Then one busy latent uses up what was meant for all, and the others may "
    "stay silent."
)
NEVER_REACHED = (
    "Your number is the plain KL: the floor does nothing, or is compared with the sum over all latents, which is above "
    "it. What should a single latent below the floor gain by falling further?"
)
NOT_SUMMED = "Asked is one number for the batch: what all latents cost together."

FREE_BITS = Task(
    name="training/free_bits",
    draw=draw_free_bits,
    reference=free_bits,
    observe=Gradients(("kl",)),
    mistakes=(
        Mistake(
            "floor for each picture",
            PER_PICTURE,
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
            NEVER_REACHED,
            lambda kl, floor: kl.mean(0).sum().clamp(min=floor),
            lambda kl, floor: kl.sum(-1).clamp(min=floor).mean(),
            lambda kl, floor: kl.mean(0).sum(),
        ),
        Mistake(
            "floor for the sum",
            FOR_THE_SUM,
            lambda kl, floor: kl.mean(0).sum().clamp(min=floor * kl.shape[1]),
            lambda kl, floor: kl.sum(-1).clamp(min=floor * kl.shape[1]).mean(),
        ),
        Mistake(
            "free nats subtracted",
            "Your gradient is right, but the number is too small: a busy latent is charged all of its nats, "
            "not only what is above the floor.",
            lambda kl, floor: (kl.mean(0) - floor).clamp(min=0).sum(),
        ),
        Mistake(
            "silent latents left out",
            "Your gradient is right, but the number jumps when a latent crosses the floor. Let its KL rise "
            "slowly past it: a loss should not leap.",
            lambda kl, floor: torch.where(kl.mean(0) > floor, kl.mean(0), 0.0).sum(),
        ),
        Mistake(
            "mean over the latents",
            "Your number is the right one divided by the number of latents.",
            lambda kl, floor: kl.mean(0).clamp(min=floor).mean(),
        ),
        Mistake(
            "mean over the latents",
            "You average over pictures and latents, and then apply the floor. Each latent has a floor of its "
            "own, and their costs are added.",
            lambda kl, floor: kl.mean().clamp(min=floor),
        ),
        Mistake(
            "free nats subtracted",
            "You subtract the floor, and picture by picture. A latent above the floor is charged all of its "
            "nats; and the floor is compared with its average over the batch.",
            lambda kl, floor: (kl - floor).clamp(min=0).mean(0).sum(),
        ),
        Mistake(
            "summed over the pictures",
            "You add the pictures up before you compare. The floor is meant in nats per picture: with a "
            "larger batch, yours would do nothing.",
            lambda kl, floor: kl.sum(0).clamp(min=floor).sum(),
        ),
        Mistake(
            "not summed over the latents",
            NOT_SUMMED,
            lambda kl, floor: kl.mean(0).clamp(min=floor),
        ),
        Mistake(
            "floor added",
            "A constant that is added to a loss changes no gradient, so nobody is set free.",
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
    threshold = (0.01, 0.02)[rng.integers(2)]
    while True:  # until nothing is near the threshold
        number, latents, directions = int(rng.integers(10, 14)), int(rng.integers(5, 7)), int(rng.integers(1, 3))
        turn, _ = np.linalg.qr(rng.normal(size=(latents, directions)))
        turn[rng.integers(latents)] = 0  # one axis that no direction touches
        mu = rng.normal(size=(number, directions)) @ turn.T + 0.05 * rng.normal(size=(number, latents))
        mu = (mu + rng.choice([-1, 0, 1], size=latents) * rng.uniform(0.5, 1.5, size=latents)).round(2)
        covariance = np.cov(mu.T)
        found = np.concatenate([np.diag(covariance), np.linalg.eigvalsh(covariance)])
        if np.abs(np.log(found / threshold)).min() > 0.4 and found[:latents].min() > 4e-4:
            return {"mu": torch.tensor(mu, dtype=torch.float32), "threshold": threshold}


def units(mu, threshold):
    mu = mu.numpy()
    centred = mu - mu.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    return int((mu.var(0, ddof=1) > threshold).sum()), int((singular**2 / (len(mu) - 1) > threshold).sum())


def count(found, threshold):
    return int((found > threshold).sum())


def axes(mu, threshold):
    return count(mu.var(0), threshold)


def directions(mu, threshold):
    return count(torch.linalg.eigvalsh(torch.cov(mu.T)), threshold)


SECOND_MOMENT = (
    "You measure how far the means lie from the origin. A latent whose mean is 3 for every picture is far from it, and "
    "tells nothing."
)
NOT_SQUARED = (
    "You compare a standard deviation with the threshold, which is a variance. Small numbers shrink when squared."
)
EVERY_DIRECTION = (
    "The second count is too large: each direction's variance is to be above the threshold. Are your numbers variances, "
    "or their roots, or something that is merely not zero?"
)
SHARED = (
    "Your first count is right. The second holds a direction in which all pictures agree. Take away, latent by latent, "
    "what they have in common; and look up which axis `torch.cov` takes for the variables."
)
WRONG_AXIS = "You look at how the numbers of one picture differ. Asked is what differs from picture to picture."

UNITS = Task(
    name="training/units",
    draw=draw_units,
    reference=units,
    cases=8,
    library=("vae_lessons.evaluation.active_units",),
    mistakes=(
        Mistake(
            "standard deviation for variance",
            NOT_SQUARED,
            lambda mu, threshold: (count(mu.std(0), threshold), directions(mu, threshold)),
            lambda mu, threshold: (
                count(mu.std(0), threshold),
                count(torch.linalg.eigvalsh(torch.cov(mu.T)).clamp(min=0).sqrt(), threshold),
            ),
        ),
        Mistake(
            "every direction counted",
            EVERY_DIRECTION,
            lambda mu, threshold: (
                axes(mu, threshold),
                count(torch.linalg.eigvalsh(torch.cov(mu.T)).clamp(min=0).sqrt(), threshold),
            ),
            lambda mu, threshold: (axes(mu, threshold), mu.shape[1]),
        ),
        Mistake(
            "mean square for variance",
            SECOND_MOMENT,
            lambda mu, threshold: (count((mu**2).mean(0), threshold), directions(mu, threshold)),
            lambda mu, threshold: (
                count((mu**2).mean(0), threshold),
                count(torch.linalg.eigvalsh(mu.T @ mu / len(mu)), threshold),
            ),
        ),
        Mistake(
            "what all pictures share counted as a direction",
            SHARED,
            lambda mu, threshold: (axes(mu, threshold), count(torch.linalg.eigvalsh(mu.T @ mu / len(mu)), threshold)),
            lambda mu, threshold: (axes(mu, threshold), directions(mu.T, threshold)),
        ),
        Mistake(
            "sum of squares for variance",
            "Your first count is right. The numbers behind the second grow with the number of pictures; a "
            "variance does not.",
            lambda mu, threshold: (
                axes(mu, threshold),
                count(torch.linalg.svdvals(mu - mu.mean(0)) ** 2, threshold),
            ),
        ),
        Mistake(
            "pictures and latents exchanged",
            WRONG_AXIS,
            lambda mu, threshold: (count(mu.var(1), threshold), directions(mu, threshold)),
            lambda mu, threshold: (count(mu.var(1), threshold), directions(mu.T, threshold)),
        ),
        Mistake(
            "correlation for covariance",
            "Your second count treats all axes as if they varied equally: a correlation matrix has forgotten "
            "how much. A silent latent then counts as much as a busy one.",
            lambda mu, threshold: (
                axes(mu, threshold),
                count(torch.linalg.eigvalsh(torch.corrcoef(mu.T)), threshold),
            ),
        ),
        Mistake(
            "axes counted twice",
            "Your first count is right. For the second: all means may lie near one straight line that is "
            "parallel to no axis.",
            lambda mu, threshold: (axes(mu, threshold), axes(mu, threshold)),
        ),
        Mistake(
            "the two counts exchanged",
            "Both counts are right, but in the other order: axes first.",
            lambda mu, threshold: (directions(mu, threshold), axes(mu, threshold)),
        ),
        Mistake(
            "latents that are silent counted",
            "You count what does not vary. Asked is what does.",
            lambda mu, threshold: (mu.shape[1] - axes(mu, threshold), mu.shape[1] - directions(mu, threshold)),
        ),
    ),
)


# training/repair(mu, log_var, eps, x, decoder, step, warm_up)


def draw_repair(rng, late):
    batch, pixels, latents = int(rng.integers(2, 4)), int(rng.integers(5, 7)), int(rng.integers(2, 4))
    warm_up = int(rng.integers(6, 30))
    return {
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents, scale=0.7),
        "eps": rounded_normal(rng, batch, latents),
        "x": pictures(rng, batch, pixels),
        "decoder": Linear(rounded_normal(rng, latents, pixels), rounded_normal(rng, pixels)),
        "step": warm_up + int(rng.integers(2, 20)) if late else int(rng.integers(1, warm_up - 1)),
        "warm_up": warm_up,
    }


def repaired(mu, log_var, eps, x, decoder, step, warm_up):
    q = Normal(mu, (log_var / 2).exp())
    log_p = Bernoulli(logits=decoder(q.loc + q.scale * eps)).log_prob(x).sum(-1)
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), 1.0)).sum(-1)
    return (min(step / warm_up, 1.0) * kl - log_p).mean()


FAULTS = {  # of each part: what is right, and what may be left of the fault, with the hint
    "draw": [
        (None, lambda mu, sigma, eps: mu + sigma * eps, None),
        (
            "the draw is cut off from the encoder",
            lambda mu, sigma, eps: (mu + sigma * eps).detach(),
            "The loss may be right, but its gradient is not: whatever the decoder learns of the pictures, the encoder "
            "hears nothing of it. Follow the gradient from log p(x|z) back to mu and log_var.",
        ),
        (
            "σ is cut off from the loss",
            lambda mu, sigma, eps: mu + sigma.detach() * eps,
            "mu hears from the decoder, log_var does not: only the KL pulls at it, and noise will fill the code. Which "
            "part of mu + sigma * eps lets no gradient through?",
        ),
        (
            "μ is cut off from the loss",
            lambda mu, sigma, eps: mu.detach() + sigma * eps,
            "log_var hears from the decoder, mu does not. Which part of mu + sigma * eps lets no gradient through?",
        ),
    ],
    "pixels": [
        (None, lambda x, logits: -log_ink(x, logits).sum(-1).mean(), None),
        (
            "sigmoid taken twice",
            lambda x, logits: -log_ink(x, logits.sigmoid()).sum(-1).mean(),
            "Could this decoder ever be sure of a pixel? Try log-odds of 100 for ink: what does your distortion charge?",
        ),
        (
            "mean over the pixels",
            lambda x, logits: -log_ink(x, logits).mean(),
            "The distortion is a mean over pixels, as some losses are unless told otherwise. Which β would that amount to?",
        ),
        (
            "distortion summed over the batch",
            lambda x, logits: -log_ink(x, logits).sum(),
            "The distortion grows with the number of pictures. It should be in nats per picture.",
        ),
    ],
    "rate": [
        (None, lambda mu, log_var: kls(mu, log_var).sum(-1).mean(), None),
        (
            "mean over the latents",
            lambda mu, log_var: kls(mu, log_var).mean(),
            "Write the same latent into the code twice: the rate should double. What does your rate do?",
        ),
        (
            "rate summed over the batch",
            lambda mu, log_var: kls(mu, log_var).sum(),
            "The rate grows with the number of pictures. It should be in nats per picture.",
        ),
    ],
    "beta": [
        (None, lambda step, warm_up: min(1.0, step / warm_up), None),
        (
            "β is never stopped",
            lambda step, warm_up: step / warm_up,
            "Look at β at the last of 1,000 steps, with warm_up = 100. Which loss has the run been minimising since step 100?",
        ),
        (
            "β is never stopped",
            lambda step, warm_up: max(1.0, step / warm_up),
            "β is never below 1 in your version, and goes on growing. Try the first step, and the last.",
        ),
        (
            "β jumps",
            lambda step, warm_up: min(1, step // warm_up),
            "Print your β for every step of a short warm-up. It should climb in small steps, not wait and leap.",
        ),
        (
            "β is one step late",
            lambda step, warm_up: min(1.0, (step - 1) / warm_up),
            "At step `warm_up` your β is not yet 1. Steps are counted from 1, as the table says.",
        ),
        (
            "no warm-up",
            lambda step, warm_up: 1.0,
            "β is 1 from the first step. The warm-up itself was no mistake: it should rise to 1, and stay there.",
        ),
    ],
}


def faulty(draw, pixels, rate, beta):
    def answer(mu, log_var, eps, x, decoder, step, warm_up):
        z = draw(mu, (log_var / 2).exp(), eps)
        return pixels(x, decoder(z)) + beta(step, warm_up) * rate(mu, log_var)

    return answer


def left_over(*parts):
    """A mistake, named after the first fault that is left."""
    name, _, hint = next(part for part in parts if part[0])
    return Mistake(name, hint, faulty(*(function for _, function, _ in parts)))


def faults():
    """What is left of the printed faults, in every combination; then what may go wrong in their repair."""
    parts = list(FAULTS.values())
    for chosen in product((0, 1), repeat=len(parts)):
        if any(chosen):
            yield left_over(*(part[number] for part, number in zip(parts, chosen, strict=True)))
    for place, part in enumerate(parts):
        for new in part[2:]:
            after = parts[place + 1 :]  # repaired, or still as printed; after the draw, only all of it
            for rest in product((0, 1), repeat=len(after)) if place else ((0, 0, 0), (1, 1, 1)):
                yield left_over(
                    *(other[0] for other in parts[:place]),
                    new,
                    *(other[number] for other, number in zip(after, rest, strict=True)),
                )


REPAIR = Task(
    name="training/repair",
    draw=(partial(draw_repair, late=False), partial(draw_repair, late=True)),  # during and after the warm-up
    reference=repaired,
    observe=Gradients(("mu", "log_var")),
    cases=4,
    mistakes=(
        *faults(),
        Mistake(
            "KL subtracted",
            "The loss falls when the KL grows. Training would drive the codes away from the prior without end.",
            lambda *a: repaired(*a[:5], a[5], a[6]) - 2 * min(1.0, a[5] / a[6]) * kls(a[0], a[1]).sum(-1).mean(),
        ),
        Mistake(
            "minus the loss",
            "That is what training should make large; the function is handed to an optimiser that makes it small.",
            lambda *a: -repaired(*a),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "The noise is scaled by the variance. That part was right in the function as printed.",
            lambda mu, log_var, eps, *rest: repaired(mu, log_var, (log_var / 2).exp() * eps, *rest),
        ),
    ),
)


# training/shortfall(betas, rates, distortions)


def draw_shortfall(rng):
    number = int(rng.integers(5, 7))
    betas = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0])[:number]
    rates = 4 * np.log(16 / betas)  # the minima on the curve 40 + 64 exp(-R / 4), whose slope is -beta
    distortions = 40 + 64 * np.exp(-rates / 4)
    middle = int(rng.integers(1, 4))  # three neighbours were stopped early, the middle one most
    for run, least in ((middle - 1, 5), (middle, 10), (middle + 1, 5)):
        rates[run] += rng.uniform(-2, 2)
        distortions[run] += rng.uniform(least, least + 4)
    order = rng.permutation(number)
    betas, rates, distortions = betas[order], rates[order], distortions[order]
    table = {"betas": betas, "rates": rates.round(1), "distortions": distortions.round(1)}
    return {name: torch.tensor(column, dtype=torch.float32) for name, column in table.items()}


def shortfall(betas, rates, distortions):
    columns = list(zip(betas.tolist(), rates.tolist(), distortions.tolist(), strict=True))
    return np.array([max(D + beta * R - d - beta * r for _, r, d in columns) for beta, R, D in columns])


def own_losses(betas, rates, distortions):
    """(K, K): what run j would pay, by the loss of run i."""
    return distortions + betas[:, None] * rates


def beaten(losses, compared):
    """By how much each run is beaten by the runs compared with, (K, K) of bool, and itself."""
    compared = compared | torch.eye(len(losses), dtype=torch.bool)
    return losses.diagonal() - losses.masked_fill(~compared, torch.inf).min(1).values


def neighbours(betas):
    place = betas.argsort().argsort()
    return (place[:, None] - place).abs() <= 1


def listed(betas):
    place = torch.arange(len(betas))
    return (place[:, None] - place).abs() <= 1


ONLY_NEIGHBOURS = (
    "Some of your numbers are too small. You compare each run with its neighbours only; a badly trained neighbour proves "
    "nothing, and one farther off may."
)

FROM_THE_CURVE = (
    "You measure how far each run lies above the curve of the others, at its own rate. That is too little if the run also "
    "ended at a rate that is wrong for its β."
)


def above_hull(betas, rates, distortions):
    """How far each run lies above the lower convex hull of all of them."""
    points = list(zip(rates.tolist(), distortions.tolist(), strict=True))
    return np.array(
        [
            D
            - min(d + (e - d) * (R - r) / (s - r) if s > r else d for r, d in points for s, e in points if r <= R <= s)
            for R, D in points
        ]
    )


SHORTFALL = Task(
    name="training/shortfall",
    draw=draw_shortfall,
    reference=shortfall,
    agree=Close(atol=1e-3),
    cases=12,
    mistakes=(
        Mistake(
            "ELBOs compared",
            "You compare D + R. A run with β = 4 was never asked to make that small; hold it to what it was asked.",
            lambda betas, rates, distortions: (rates + distortions) - (rates + distortions).min(),
        ),
        Mistake(
            "losses of different β compared",
            "You compare each run's loss with other runs' losses, each at its own β. Those are different "
            "prices for the same nats: of course the run with the smallest β pays least.",
            lambda betas, rates, distortions: (distortions + betas * rates) - (distortions + betas * rates).min(),
        ),
        Mistake(
            "judged at the other run's β",
            "You ask whether a run is beaten at the other's β. It was trained for its own.",
            lambda *table: (own_losses(*table) - own_losses(*table).diagonal()[:, None]).max(0).values,
        ),
        Mistake(
            "judged at the other run's β",
            "You ask how a run fares at every β of the table. It was trained for its own only.",
            lambda *table: (own_losses(*table) - own_losses(*table).min(1).values[:, None]).max(0).values,
        ),
        Mistake(
            "neighbours only",
            ONLY_NEIGHBOURS,
            lambda *table: beaten(own_losses(*table), neighbours(table[0])),
            lambda *table: beaten(own_losses(*table), listed(table[0])),
        ),
        Mistake(
            "β on the wrong term",
            "Your β multiplies the distortion. Which of the two does a large β make dear?",
            lambda betas, rates, distortions: beaten(
                own_losses(betas, distortions, rates), torch.ones(len(betas), len(betas), dtype=torch.bool)
            ),
        ),
        Mistake(
            "only worse in both terms counted",
            "Some of your numbers are too small. You count a run as beaten only by runs that are better in "
            "both terms. A better bargain may be dearer in one.",
            lambda betas, rates, distortions: beaten(
                own_losses(betas, rates, distortions),
                (rates <= rates[:, None]) & (distortions <= distortions[:, None]),
            ),
        ),
        Mistake(
            "only worse in both terms counted",
            "You ask how much distortion could be saved without more rate. For some runs a little more rate "
            "would have been a bargain: it is the loss that counts.",
            lambda betas, rates, distortions: (
                distortions - torch.where(rates <= rates[:, None], distortions, torch.inf).min(1).values
            ),
        ),
        Mistake(
            "distance from the curve",
            FROM_THE_CURVE,
            above_hull,
        ),
        Mistake(
            "sorted by β",
            "Your numbers are right, but you sorted the runs. Each number belongs in the place of its run.",
            lambda *table: beaten(
                own_losses(*(column[table[0].argsort()] for column in table)),
                torch.ones(len(table[0]), len(table[0]), dtype=torch.bool),
            ),
        ),
        Mistake(
            "yes or no for nats",
            "You found the right runs. By how many nats of its own loss is each of them beaten?",
            lambda betas, rates, distortions: (
                own_losses(betas, rates, distortions).diagonal() - own_losses(betas, rates, distortions).min(1).values
                > 1e-3
            ),
        ),
        Mistake(
            "sign flipped",
            "Your numbers have the wrong sign: a shortfall counts the nats that were missed.",
            lambda *table: own_losses(*table).min(1).values - own_losses(*table).diagonal(),
        ),
        Mistake(
            "average for the strongest proof",
            "You average over the runs compared with. Each of them is a proof by itself; which one proves most?",
            lambda *table: (own_losses(*table).diagonal()[:, None] - own_losses(*table)).clamp(min=0).mean(1),
        ),
        Mistake(
            "average for the strongest proof",
            "You add over the runs compared with. Each of them is a proof by itself; which one proves most?",
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


def rising(rng, end, start=70.0, pace=1.5):
    """ELBOs of eight epochs that rise from `start` nats below to `end`."""
    return end - start * np.exp(-EPOCHS / pace) + start * np.exp(-7 / pace) + rng.uniform(-0.1, 0.1, size=8)


def draw_run(rng, kind, blind):
    """Loss, train and held-out ELBO (8,) each, and the rate at the end, of a run of some kind."""
    end, rate, loss = -rng.uniform(95, 105), rng.uniform(18, 25), None
    train = rising(rng, end)
    held = train - rng.uniform(3, 6) * (EPOCHS + 1) / 8
    if kind == "large gap":  # and held-out digits still gain
        train, held = rising(rng, end + 12, 90), rising(rng, end - rng.uniform(3, 6), 90, pace=2.0)
    elif kind == "warm-up":  # the loss rises, because beta does
        rates = np.linspace(60, rate, 8)
        train = np.linspace(-150, end, 8)
        held = train - 4
        loss = -train - (1 - (EPOCHS + 1) / 8) * rates
    elif kind == "little said":  # beta 20: a small rate, well used
        rate = rng.uniform(2.8, 4.0)
        train = rising(rng, -(blind - 30 + rate), 25)
        held = train - rng.uniform(0.5, 1)
        loss = -train + 19 * rate
    elif kind == "wobble":
        held[-1] = held[-2] - rng.uniform(0.5, 1.0)
    elif kind == "spike":  # recovered
        train[3] = held[3] = -(blind + rng.uniform(100, 200))
    elif kind == "silent":
        rate = rng.uniform(0.0, 0.1)
        train = rising(rng, -(blind + rate), 40)
        held = train + rng.uniform(-1, 1)
    elif kind == "paid for nothing":  # the codes lie off the prior and tell nothing
        rate = rng.uniform(3.0, 6.0)
        train = rising(rng, -(blind + rate), 40)
        held = train + rng.uniform(-1, 1)
    elif kind in ("worse", "slightly worse"):
        large = kind == "worse"
        train = rising(rng, -80 if large else -98, 60, pace=1.5 if large else 0.9)
        peak = 3 if large else 4
        last = train[-1] - (rng.uniform(30, 35) if large else rng.uniform(7, 8))
        held = train - 1
        held[peak:] = np.linspace(held[peak], last, 8 - peak)
    elif kind == "nan":
        train[5:] = held[5:] = rate = np.nan
    elif kind == "never better":
        rate = rng.uniform(5, 30)
        train = -(blind + rng.uniform(80, 300)) + rng.uniform(-1, 1, size=8)
        held = train - 1
    elif kind == "rate exploded":
        rate = rng.uniform(200, 900)
        train = rising(rng, -(blind - rng.uniform(20, 40) + rate), 200)
        held = train - 1
    elif kind == "broke late":
        rate = rng.uniform(5, 30)
        train[6:] = held[6:] = -(blind + rate + rng.uniform(60, 200))
    return -train if loss is None else loss, train, held, rate


KINDS = (
    *("plain", "large gap", "warm-up", "little said", "wobble", "spike"),  # healthy
    *("silent", "paid for nothing", "worse", "slightly worse"),
    *("nan", "never better", "rate exploded", "broke late"),
)


def draw_diagnose(rng):
    blind = float(rng.uniform(195, 215).__round__(1))
    runs = [draw_run(rng, KINDS[kind], blind) for kind in rng.permutation(len(KINDS))]
    columns = [torch.tensor(np.array(column).round(2), dtype=torch.float32) for column in zip(*runs, strict=True)]
    return dict(zip(("loss", "train_elbo", "held_elbo", "rate"), columns, strict=True)) | {"blind": blind}


def diagnose(loss, train_elbo, held_elbo, rate, blind):
    held, rate = held_elbo.numpy(), rate.numpy()
    with np.errstate(invalid="ignore"):
        distortion = -held[:, -1] - rate
        broken = ~(-held[:, -1] < blind + 20)
        words = np.where(held.max(1) - held[:, -1] > 3, "overfitting", "healthy")
        words = np.where(distortion > blind - 8, "collapsed", words)
        return np.where(broken, "diverged", words)


def rule(
    diverged=lambda loss, train, held, rate, blind: not -held[-1] < blind + 20,
    collapsed=lambda loss, train, held, rate, blind: -held[-1] - rate > blind - 8,
    overfitting=lambda loss, train, held, rate, blind: held.max() - held[-1] > 3,
    order=("diverged", "collapsed", "overfitting"),
):
    """A doctor with some rules replaced."""
    rules = {"diverged": diverged, "collapsed": collapsed, "overfitting": overfitting}

    def answer(loss, train_elbo, held_elbo, rate, blind):
        runs = zip(loss, train_elbo, held_elbo, rate, strict=True)
        return [next((word for word in order if rules[word](*run, blind)), "healthy") for run in runs]

    return answer


def fallen(column):
    return lambda *run: run[column].max() - run[column][-1] > 3


def gap(limit):
    return lambda loss, train, held, rate, blind: train[-1] - held[-1] > limit


GAP = (
    "You go by the gap between training and held-out digits. Every model that has learned something has one. What would "
    "you see on held-out digits alone if more training had done harm?"
)
ONLY_NAN = (
    "You only look for numbers that are not finite. Finite is not trained: some of these runs end far worse than a "
    "picture that never looks at the code."
)
BY_RATE = (
    "You call a run collapsed by its rate. A few nats can be well spent, and many can be spent on nothing: what does "
    "the decoder do with them?"
)
STILL_PAYS = (
    "One run still pays some nats of rate, for codes that nobody listens to, and you call it healthy. Neither the rate "
    "nor the ELBO alone tells what the decoder makes of the code."
)
BY_LOSS = (
    "You go by the recorded loss. In one healthy run it rises because something else in it was meant to rise. Compare "
    "what does not change its meaning from epoch to epoch."
)
DEAR_SILENCE = (
    "You call a run diverged because it is a few nats worse than one picture for all. Its pictures cost just as much as "
    "that one does: what are the other nats, and is that an explosion?"
)
NOISE = "You take a last step down of less than a nat for overfitting. That much is noise here."
SPIKE = "One run had a bad epoch and recovered. Its end is what counts."

DIAGNOSE = Task(
    name="training/diagnose",
    draw=draw_diagnose,
    reference=diagnose,
    cases=3,
    mistakes=(
        Mistake(
            "gap taken for overfitting",
            GAP,
            *(rule(overfitting=gap(limit)) for limit in (2, 5, 6.5, 10, 20)),
            *(
                rule(collapsed=collapsed, diverged=diverged, overfitting=gap(limit))
                for limit in (6.5, 10)
                for collapsed in (lambda *run: run[3] < 0.5,)
                for diverged in (lambda *run: not run[2][-1].isfinite(), lambda *run: not -run[2][-1] < run[4] + 20)
            ),
            *(
                rule(overfitting=lambda *run, limit=limit: run[1][-1] - run[2][-1] - (run[1] - run[2]).min() > limit)
                for limit in (0, 3, 5, 10)
            ),
        ),
        Mistake(
            "a dear silence called diverged",
            DEAR_SILENCE,
            *(rule(diverged=lambda *run, limit=limit: not -run[2][-1] < run[4] + limit) for limit in (0, 2)),
        ),
        Mistake(
            "only nan counted as diverged",
            ONLY_NAN,
            rule(diverged=lambda *run: not run[2][-1].isfinite()),
            rule(diverged=lambda *run: not run[2][-1].isfinite(), collapsed=lambda *run: run[3] < 0.5),
        ),
        Mistake(
            "distortion alone for divergence",
            "One run draws its digits well and pays hundreds of nats of rate for that. Would you call it trained?",
            rule(diverged=lambda *run: not -run[2][-1] - run[3] < run[4] + 20),
        ),
        Mistake(
            "rate taken for collapse",
            BY_RATE,
            *(rule(collapsed=lambda *run, limit=limit: run[3] < limit) for limit in (4.5, 10)),
        ),
        Mistake(
            "a collapse that still pays, missed",
            STILL_PAYS,
            rule(collapsed=lambda *run: run[3] < 0.5),
            rule(collapsed=lambda *run: abs(-run[2][-1] - run[4]) < 2),
        ),
        Mistake(
            "loss taken for ELBO",
            BY_LOSS,
            rule(overfitting=lambda *run: run[0][-1] - run[0].min() > 3),
            rule(diverged=lambda *run: not run[0][-1] - run[0].min() < 3),
            rule(diverged=lambda *run: not run[0][-1] < run[4] + 20),
        ),
        Mistake(
            "judged on training digits",
            "No run overfits by your rule. Overfitting is what training digits cannot show.",
            rule(overfitting=fallen(1)),
        ),
        Mistake(
            "no run overfits",
            "No run overfits by your rule. Overfitting is what training digits cannot show.",
            rule(overfitting=lambda *run: False),
        ),
        Mistake(
            "noise taken for overfitting",
            NOISE,
            rule(overfitting=lambda *run: run[2][-1] < run[2][-2] - 0.3),
            rule(overfitting=lambda *run: run[2][-1] < run[2][-2]),
            rule(overfitting=lambda *run: run[2].argmax() < 7),
        ),
        Mistake(
            "a recovered run called diverged",
            SPIKE,
            rule(diverged=lambda *run: not -run[2].min() < run[4] + 20),
        ),
        Mistake(
            "divergence taken for overfitting",
            "One run was good on held-out digits and then broke. What did its training digits do at the same time?",
            rule(order=("overfitting", "diverged", "collapsed")),
        ),
        Mistake(
            "divergence taken for collapse",
            "A run that draws worse than one picture for all is no longer only deaf: it would gain by doing "
            "nothing. Which of your questions comes first?",
            rule(order=("collapsed", "diverged", "overfitting")),
        ),
    ),
)

TASKS = (ELBO, FREE_BITS, UNITS, REPAIR, SHORTFALL, DIAGNOSE)
