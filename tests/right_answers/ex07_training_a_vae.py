"""Right answers to exercise 07, written in other ways than the solution."""

import math

import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence
from torch.nn import functional as F


def elbo_distributions(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    q = MultivariateNormal(mu, torch.diag_embed(log_var.exp()))
    prior = MultivariateNormal(torch.zeros_like(mu), torch.eye(mu.shape[1], dtype=mu.dtype))
    z = mu + torch.einsum("bij,bj->bi", q.scale_tril, eps)
    log_p = Independent(Bernoulli(logits=decoder(z)), 1).log_prob(x)
    kl = kl_divergence(q, prior)
    return log_p - kl, log_p, kl


def elbo_loop(x, eps, encoder, decoder):
    rows = []
    for picture, noise in zip(x, eps, strict=True):
        mu, log_var = (row.squeeze(0) for row in encoder(picture[None]))
        z = mu + log_var.exp().sqrt() * noise
        ink = torch.sigmoid(decoder(z).double()).tolist()
        log_p = sum(math.log(p if pixel else 1 - p) for p, pixel in zip(ink, picture.tolist(), strict=True))
        kl = sum(0.5 * (m * m + math.exp(s) - 1 - s) for m, s in zip(mu.tolist(), log_var.tolist(), strict=True))
        rows.append((log_p - kl, log_p, kl))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def elbo_cross_entropy(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    distortion = F.binary_cross_entropy_with_logits(decoder(mu + (0.5 * log_var).exp() * eps), x, reduction="none")
    rate = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp(), dim=1)
    return -(distortion.sum(1) + rate), -distortion.sum(1), rate


def free_bits_maximum(kl, floor):
    return torch.maximum(kl.mean(dim=0), torch.tensor(floor, dtype=kl.dtype)).sum()


def free_bits_relu(kl, floor):
    return F.relu(torch.einsum("bd->d", kl) / len(kl) - floor).sum() + floor * kl.shape[1]


def free_bits_loop(kl, floor):
    total = 0.0
    for latent in kl.T:
        cost = latent.sum() / len(latent)
        total = total + max(cost, floor)
    return total


def units_numpy(mu, threshold):
    mu = mu.numpy()
    in_use = mu.std(axis=0, ddof=1) ** 2 > threshold
    return in_use.sum(), np.sum(np.linalg.eigvalsh(np.cov(mu, rowvar=False)) > threshold)


def units_singular_values(threshold, *, mu):
    centred = mu - mu.mean(0, keepdim=True)
    along = torch.linalg.svdvals(centred).square() / (len(mu) - 1)
    squares = centred.square().sum(0) / (len(mu) - 1)
    return torch.tensor([(squares > threshold).sum(), (along > threshold).sum()]).unbind()


def units_projected(mu, threshold):
    """Variances of the codes along the principal directions, counted in a loop."""
    numbers = mu.double().numpy()
    _, directions = np.linalg.eigh(np.cov(numbers.T))
    along = numbers @ directions
    return [sum(1 for column in table.T if np.var(column) > threshold) for table in (numbers, along)]


def units_large_sample(mu, threshold):
    centred = mu - mu.mean(0)
    return (mu.var(0, correction=0) > threshold).sum(), (
        torch.linalg.eigvals(centred.T @ centred / len(mu)).real > threshold
    ).sum()


def repair_cross_entropy(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / len(x)
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean() * mu.shape[1]
    return distortion + (step / warm_up if step < warm_up else 1) * rate


def repair_distributions(mu, log_var, eps, x, decoder, step, warm_up):
    q = Independent(Normal(mu, log_var.exp().sqrt()), 1)
    z = torch.addcmul(mu, q.base_dist.scale, eps)
    log_p = -(x * F.softplus(-decoder(z)) + (1 - x) * F.softplus(decoder(z))).sum(1)
    rate = kl_divergence(q, Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1))
    return -torch.mean(log_p - np.clip(step / warm_up, 0, 1) * rate)


def repair_scaled_means(mu, log_var, eps, x, decoder, step, warm_up):
    logits = decoder(mu + torch.exp(log_var / 2) * eps)
    pixels, latents = x.shape[1], mu.shape[1]
    rate = kl_divergence(Normal(mu, torch.exp(log_var / 2)), Normal(0.0, 1.0)).mean() * latents
    return pixels * F.binary_cross_entropy_with_logits(logits, x) + min(step, warm_up) / warm_up * rate


def shortfall_loop(betas, rates, distortions):
    missed = torch.zeros(len(betas))
    for i in range(len(betas)):
        for j in range(len(betas)):
            proved = (distortions[i] - distortions[j]) + betas[i] * (rates[i] - rates[j])
            missed[i] = max(missed[i], proved)
    return missed


def shortfall_numpy(betas, rates, distortions):
    b, r, d = (np.asarray(column, dtype=np.float64) for column in (betas, rates, distortions))
    reached = np.stack([r, d])
    prices = np.stack([b, np.ones_like(b)])
    losses = prices.T @ reached
    return np.diag(losses) - losses.min(axis=1)


def diagnose_masks(loss, train_elbo, held_elbo, rate, blind):
    end = held_elbo[:, -1]
    diverged = ~torch.isfinite(end) | (end + rate + blind < -15)
    collapsed = end + rate + blind < 2
    fell, rose = held_elbo - end[:, None] > 2, train_elbo[:, -1:] - train_elbo > 2
    return [
        "diverged" if a else "collapsed" if b else "overfitting" if c else "healthy"
        for a, b, c in zip(diverged, collapsed, (fell & rose).any(1), strict=True)
    ]


def diagnose_smoothed(loss, train_elbo, held_elbo, rate, blind):
    """Means over three epochs, the least allowance for noise, and the gap at the best epoch against that at the end."""
    words = []
    for t, h, r in zip(train_elbo.tolist(), held_elbo.tolist(), rate.tolist(), strict=True):
        if not math.isfinite(h[-1]) or -h[-1] > blind + 50:
            words.append("diverged")
        elif abs(-h[-1] - r - blind) < 1.5:
            words.append("collapsed")
        else:
            t, h = (np.convolve(curve, np.ones(3) / 3, "valid") for curve in (t, h))
            best = h.argmax()
            overfits = h[best] - h[-1] > 1.5 and (t - h)[-1] - (t - h)[best] > 3 and t[-1] > t[best] + 1.5
            words.append("overfitting" if overfits else "healthy")
    return words


def diagnose_train_at_its_best(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for t, h, r in zip(train_elbo, held_elbo, rate, strict=True):
        if not (h[-1] > -blind - 20 and t[-1] > -blind - 20):
            words.append("diverged")
        elif -h[-1] - r > blind - 4.5:
            words.append("collapsed")
        else:
            overfits = h[-1] < h.max() - 1.5 and t[-1] > t.max() - 1.5
            words.append("overfitting" if overfits else "healthy")
    return words


def diagnose_other_order(loss, train_elbo, held_elbo, rate, blind):
    """Overfitting by both curves, collapse before divergence, and different limits."""
    held, train, words = held_elbo.numpy(), train_elbo.numpy(), []
    for h, t, r in zip(held, train, rate.tolist(), strict=True):
        best = 0 if np.isnan(h).any() else int(h.argmax())
        distortion = -float(h[-1]) - r
        if abs(distortion - blind) < 2 and r < 20:
            words.append("Collapsed")
        elif np.isnan(h[-1]) or -h[-1] > blind + 40:
            words.append("Diverged")
        elif h[best] - h[-1] > 3 and t[-1] > t[best]:
            words.append("Overfitting")
        else:
            words.append("Healthy")
    return np.array(words)


RIGHT = {
    "training/elbo": (elbo_distributions, elbo_loop, elbo_cross_entropy),
    "training/free_bits": (free_bits_maximum, free_bits_relu, free_bits_loop),
    "training/units": (units_numpy, units_singular_values, units_projected, units_large_sample),
    "training/repair": (repair_cross_entropy, repair_distributions, repair_scaled_means),
    "training/shortfall": (shortfall_loop, shortfall_numpy),
    "training/diagnose": (diagnose_masks, diagnose_smoothed, diagnose_train_at_its_best, diagnose_other_order),
}
