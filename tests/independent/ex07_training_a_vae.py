import math

import numpy as np
import scipy.optimize
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from independent import right, wrong


# ---------------------------------------------------------------- training/elbo
@right("training/elbo", "binary_cross_entropy_with_logits and the closed form of the KL")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(log_var / 2) * eps
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@right("training/elbo", "torch.distributions")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    q = Independent(Normal(mu, log_var.mul(0.5).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    z = q.base_dist.loc + q.base_dist.scale * eps
    score = Independent(Bernoulli(logits=decoder(z)), 1).log_prob(x)
    cost = kl_divergence(q, p)
    return score - cost, score, cost


@right("training/elbo", "loops over pictures, pixels and latents, logsigmoid of signed log-odds")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = torch.stack([mu[b] + torch.sqrt(torch.exp(log_var[b])) * eps[b] for b in range(len(mu))])
    logits = decoder(z)
    scores, costs = [], []
    for b in range(len(x)):
        score = 0
        for i in range(x.shape[1]):
            score = score + F.logsigmoid((2 * x[b, i] - 1) * logits[b, i])
        cost = 0
        for j in range(mu.shape[1]):
            cost = cost - 0.5 * (1 + log_var[b, j] - mu[b, j] * mu[b, j] - torch.exp(log_var[b, j]))
        scores.append(score)
        costs.append(cost)
    scores, costs = torch.stack(scores), torch.stack(costs)
    return scores - costs, scores, costs


@wrong("training/elbo", "noise scaled by the variance exp(log_var), not by sigma")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + log_var.exp() * eps
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "log_var taken for sigma when drawing")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + log_var * eps
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "decodes the mean, without noise")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    log_lik = -F.binary_cross_entropy_with_logits(decoder(mu), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "draws its own noise instead of using eps")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "adds the KL instead of subtracting it")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik + kl, log_lik, kl


@wrong("training/elbo", "returns the KL before the log-likelihood")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, kl, log_lik


@wrong("training/elbo", "returns costs: the negative ELBO and the distortion")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    bce = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return bce + kl, bce, kl


@wrong("training/elbo", "averages over pixels")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").mean(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "KL averaged over latents")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    log_lik = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "sigmoid first, then the loss that expects log-odds")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    ink = torch.sigmoid(decoder(z))
    log_lik = -F.binary_cross_entropy_with_logits(ink, x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "scores only the ink, not the paper")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    log_lik = (x * F.logsigmoid(decoder(z))).sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "one-sample estimate log q(z|x) - log p(z) in place of the KL")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    sigma = torch.exp(0.5 * log_var)
    z = mu + sigma * eps
    log_lik = Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)
    kl = (Normal(mu, sigma).log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "KL the other way round, KL(p || q)")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    log_lik = Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)
    kl = 0.5 * ((1 + mu**2) / log_var.exp() - 1 + log_var).sum(-1)
    return log_lik - kl, log_lik, kl


@wrong("training/elbo", "naive log(sigmoid) and log(1 - sigmoid): nan when the log-odds are large")
def elbo(x, eps, encoder, decoder):
    mu, log_var = encoder(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    p = 1 / (1 + torch.exp(-decoder(z)))
    log_lik = (x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return log_lik - kl, log_lik, kl


# ---------------------------------------------------------------- training/free_bits
@right("training/free_bits", "mean, clamp, sum")
def free_bits(kl, floor):
    return kl.mean(0).clamp(min=floor).sum()


@right("training/free_bits", "loop over latents with an if; a zero gradient below the floor")
def free_bits(kl, floor):
    total = 0.0 * kl.sum()
    for j in range(kl.shape[1]):
        average = sum(kl[b, j] for b in range(kl.shape[0])) / kl.shape[0]
        if average.item() > floor:
            total = total + average
        else:
            total = total + floor
    return total


@right("training/free_bits", "floor for all, plus relu of the excess, by einsum")
def free_bits(kl, floor):
    average = torch.einsum("bd->d", kl) / len(kl)
    return floor * kl.shape[1] + torch.einsum("d->", torch.relu(average - floor))


@wrong("training/free_bits", "floor for each picture before averaging")
def free_bits(kl, floor):
    return kl.clamp(min=floor).mean(0).sum()


@wrong("training/free_bits", "one floor for the total of all latents")
def free_bits(kl, floor):
    return kl.sum(1).mean().clamp(min=floor)


@wrong("training/free_bits", "floor times d for the total, so latents share their free nats")
def free_bits(kl, floor):
    return kl.sum(1).mean().clamp(min=floor * kl.shape[1])


@wrong("training/free_bits", "clamped from above: costs at most the floor")
def free_bits(kl, floor):
    return kl.mean(0).clamp(max=floor).sum()


@wrong("training/free_bits", "mean over latents instead of the sum")
def free_bits(kl, floor):
    return kl.mean(0).clamp(min=floor).mean()


@wrong("training/free_bits", "average over the latents of each picture: wrong axis")
def free_bits(kl, floor):
    return kl.mean(1).clamp(min=floor).sum()


@wrong("training/free_bits", "charges only the excess over the floor")
def free_bits(kl, floor):
    return torch.relu(kl.mean(0) - floor).sum()


@wrong("training/free_bits", "latents below the floor cost nothing")
def free_bits(kl, floor):
    average = kl.mean(0)
    return average[average >= floor].sum()


@wrong("training/free_bits", "sum over the batch before the floor")
def free_bits(kl, floor):
    return kl.sum(0).clamp(min=floor).sum() / len(kl)


@wrong("training/free_bits", "a number rebuilt by torch.tensor: no gradient")
def free_bits(kl, floor):
    return torch.tensor(sum(max(average, floor) for average in kl.mean(0).tolist()), dtype=kl.dtype)


@wrong("training/free_bits", "straight-through: the value is floored, the gradient is not")
def free_bits(kl, floor):
    average = kl.mean(0)
    return (average + (average.clamp(min=floor) - average).detach()).sum()


@wrong("training/free_bits", "the batch average is detached, so nothing flows")
def free_bits(kl, floor):
    with torch.no_grad():
        average = kl.mean(0)
    return torch.maximum(average, torch.full_like(average, floor)).sum()


@wrong("training/free_bits", "floor converted from bits to nats")
def free_bits(kl, floor):
    return kl.mean(0).clamp(min=floor * math.log(2)).sum()


@wrong("training/free_bits", "adds the floor to every latent")
def free_bits(kl, floor):
    return (kl.mean(0) + floor).sum()


# ---------------------------------------------------------------- training/units
@right("training/units", "var and eigvalsh of the covariance")
def units_in_use(mu, threshold):
    centred = mu - mu.mean(0)
    covariance = centred.T @ centred / len(mu)
    axes = int((covariance.diagonal() > threshold).sum())
    directions = int((torch.linalg.eigvalsh(covariance) > threshold).sum())
    return axes, directions


@right("training/units", "singular values of the centred means")
def units_in_use(mu, threshold):
    axes = (mu.var(0) > threshold).sum().item()
    spectrum = torch.linalg.svdvals(mu - mu.mean(0, keepdim=True)) ** 2 / (mu.shape[0] - 1)
    return axes, (spectrum > threshold).sum().item()


@right("training/units", "numpy, loops for the covariance")
def units_in_use(mu, threshold):
    values = mu.detach().double().numpy()
    n, d = values.shape
    middle = [sum(values[:, j]) / n for j in range(d)]
    covariance = np.zeros((d, d))
    for j in range(d):
        for k in range(d):
            covariance[j, k] = sum((values[:, j] - middle[j]) * (values[:, k] - middle[k])) / n
    axes = sum(1 for j in range(d) if covariance[j, j] > threshold)
    directions = sum(1 for value in np.linalg.eigvalsh(covariance) if value > threshold)
    return axes, directions


@wrong("training/units", "standard deviations instead of variances, in both counts")
def units_in_use(mu, threshold):
    axes = int((mu.std(0) > threshold).sum())
    values = torch.linalg.eigvalsh((mu - mu.mean(0)).T @ (mu - mu.mean(0)) / len(mu))
    return axes, int((values.clamp(min=0).sqrt() > threshold).sum())


@wrong("training/units", "mean squares, not centred, in both counts")
def units_in_use(mu, threshold):
    second = mu.T @ mu / len(mu)
    return int((second.diagonal() > threshold).sum()), int((torch.linalg.eigvalsh(second) > threshold).sum())


@wrong("training/units", "svd without centring, axes right")
def units_in_use(mu, threshold):
    directions = torch.linalg.svdvals(mu) ** 2 / len(mu)
    return int((mu.var(0) > threshold).sum()), int((directions > threshold).sum())


@wrong("training/units", "singular values compared with a variance")
def units_in_use(mu, threshold):
    directions = torch.linalg.svdvals(mu - mu.mean(0))
    return int((mu.var(0) > threshold).sum()), int((directions > threshold).sum())


@wrong("training/units", "squared singular values not divided by N")
def units_in_use(mu, threshold):
    directions = torch.linalg.svdvals(mu - mu.mean(0)) ** 2
    return int((mu.var(0) > threshold).sum()), int((directions > threshold).sum())


@wrong("training/units", "eigenvalues of the correlation matrix")
def units_in_use(mu, threshold):
    centred = mu - mu.mean(0)
    scaled = centred / (centred.std(0) + 1e-12)
    directions = torch.linalg.eigvalsh(scaled.T @ scaled / len(mu))
    return int((mu.var(0) > threshold).sum()), int((directions > threshold).sum())


@wrong("training/units", "directions by matrix_rank, whatever the threshold")
def units_in_use(mu, threshold):
    return int((mu.var(0) > threshold).sum()), int(torch.linalg.matrix_rank(mu - mu.mean(0)))


@wrong("training/units", "returns directions before axes")
def units_in_use(mu, threshold):
    centred = mu - mu.mean(0)
    values = torch.linalg.eigvalsh(centred.T @ centred / len(mu))
    return int((values > threshold).sum()), int((mu.var(0) > threshold).sum())


@wrong("training/units", "variance over the latents of each picture")
def units_in_use(mu, threshold):
    centred = mu - mu.mean(1, keepdim=True)
    values = torch.linalg.eigvalsh(centred @ centred.T / mu.shape[1])
    return int((mu.var(1) > threshold).sum()), int((values > threshold).sum())


@wrong("training/units", "directions in use taken to be the axes in use")
def units_in_use(mu, threshold):
    axes = int((mu.var(0) > threshold).sum())
    return axes, axes


@wrong("training/units", "threshold taken as a share of the total variance")
def units_in_use(mu, threshold):
    centred = mu - mu.mean(0)
    variance = mu.var(0)
    values = torch.linalg.eigvalsh(centred.T @ centred / len(mu))
    return int((variance / variance.sum() > threshold).sum()), int((values / values.sum() > threshold).sum())


@wrong("training/units", "axes by the mean absolute value")
def units_in_use(mu, threshold):
    centred = mu - mu.mean(0)
    values = torch.linalg.eigvalsh(centred.T @ centred / len(mu))
    return int((mu.abs().mean(0) > threshold).sum()), int((values > threshold).sum())


@wrong("training/units", "torch.linalg.eigvalsh of the entries: counts covariances above the threshold")
def units_in_use(mu, threshold):
    centred = mu - mu.mean(0)
    covariance = centred.T @ centred / len(mu)
    axes = int((covariance.diagonal() > threshold).sum())
    return axes, axes + int((torch.triu(covariance, 1).abs() > threshold).sum())


@wrong("training/units", "centres mu in place, so the caller's means are changed")
def units_in_use(mu, threshold):
    mu -= mu.mean(0)
    values = torch.linalg.eigvalsh(mu.T @ mu / len(mu))
    return int((mu.var(0) > threshold).sum()), int((values > threshold).sum())


# ---------------------------------------------------------------- training/repair
@right("training/repair", "the given loss with four repairs")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    beta = min(1.0, step / warm_up)
    return distortion + beta * rate


@right("training/repair", "torch.distributions with rsample-like drawing")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    q = Normal(mu, (log_var / 2).exp())
    z = q.loc + q.scale * eps
    log_lik = Independent(Bernoulli(logits=decoder(z)), 1).log_prob(x)
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)
    beta = step / warm_up if step < warm_up else 1.0
    return (-log_lik + beta * kl).mean()


@right("training/repair", "softplus, sums divided by B, loop over latents")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    batch = mu.shape[0]
    logits = decoder(torch.addcmul(mu, torch.sqrt(log_var.exp()), eps))
    distortion = (F.softplus(logits) - x * logits).sum() / batch
    rate = 0
    for j in range(mu.shape[1]):
        rate = rate + (mu[:, j].square() + torch.expm1(log_var[:, j]) - log_var[:, j]).sum() / (2 * batch)
    return distortion + float(np.clip(step / warm_up, 0, 1)) * rate


@wrong("training/repair", "unchanged")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    with torch.no_grad():
        z = mu + torch.exp(0.5 * log_var) * eps
    ink = torch.sigmoid(decoder(z))
    distortion = F.binary_cross_entropy_with_logits(ink, x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean()
    beta = step / warm_up
    return distortion + beta * rate


@wrong("training/repair", "still draws without gradients")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    with torch.no_grad():
        z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + min(1.0, step / warm_up) * rate


@wrong("training/repair", "still squashes twice")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    ink = torch.sigmoid(decoder(z))
    distortion = F.binary_cross_entropy_with_logits(ink, x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + min(1.0, step / warm_up) * rate


@wrong("training/repair", "rate still averaged over the latents")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean()
    return distortion + min(1.0, step / warm_up) * rate


@wrong("training/repair", "beta still grows beyond 1")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + step / warm_up * rate


@wrong("training/repair", "beta counts steps from 0: (step - 1) / warm_up")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + min(1.0, (step - 1) / warm_up) * rate


@wrong("training/repair", "beta jumps: whole-number division")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + min(1, step // warm_up) * rate


@wrong("training/repair", "max for min in the warm-up: beta is never below 1")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + max(1.0, step / warm_up) * rate


@wrong("training/repair", "cyclic warm-up: beta falls back to 0")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + (step % warm_up) / warm_up * rate


@wrong("training/repair", "distortion averaged over pixels, to match the averaged rate")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x)
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean()
    return distortion + min(1.0, step / warm_up) * rate


@wrong("training/repair", "sums over the batch, too")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum()
    return distortion + min(1.0, step / warm_up) * rate


@wrong("training/repair", "sigma detached: log_var gets no gradient from the distortion")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var).detach() * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + min(1.0, step / warm_up) * rate


@wrong("training/repair", "drops the half of log_var in the draw while repairing")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    return distortion + min(1.0, step / warm_up) * rate


@wrong("training/repair", "blends: (1 - beta) * distortion + beta * rate")
def training_loss(mu, log_var, eps, x, decoder, step, warm_up):
    z = mu + torch.exp(0.5 * log_var) * eps
    distortion = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1).mean()
    rate = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1).mean()
    beta = min(1.0, step / warm_up)
    return (1 - beta) * distortion + beta * rate


# ---------------------------------------------------------------- training/shortfall
@right("training/shortfall", "table of every place under every beta, by broadcasting")
def shortfall(betas, rates, distortions):
    table = distortions[None, :] + betas[:, None] * rates[None, :]
    return table.diagonal() - table.min(1).values


@right("training/shortfall", "double loop")
def shortfall(betas, rates, distortions):
    missed = []
    for beta, R, D in zip(betas.tolist(), rates.tolist(), distortions.tolist()):
        own = D + beta * R
        best = own
        for other_R, other_D in zip(rates.tolist(), distortions.tolist()):
            if other_D + beta * other_R < best:
                best = other_D + beta * other_R
        missed.append(own - best)
    return torch.tensor(missed, dtype=distortions.dtype)


@right("training/shortfall", "differences to every other run, the largest clamped at 0")
def shortfall(betas, rates, distortions):
    gain = torch.einsum("k,kj->kj", betas, rates.unsqueeze(1) - rates) + distortions.unsqueeze(1) - distortions
    return gain.amax(dim=1).clamp(min=0)


@wrong("training/shortfall", "each run's loss against the least of all losses, each with its own beta")
def shortfall(betas, rates, distortions):
    loss = distortions + betas * rates
    return loss - loss.min()


@wrong("training/shortfall", "minimum over the wrong axis: one place under all betas")
def shortfall(betas, rates, distortions):
    table = distortions[None, :] + betas[:, None] * rates[None, :]
    return table.diagonal() - table.min(0).values


@wrong("training/shortfall", "compares the ELBOs, as if beta were 1 for all")
def shortfall(betas, rates, distortions):
    cost = rates + distortions
    return cost - cost.min()


@wrong("training/shortfall", "beta on the distortion")
def shortfall(betas, rates, distortions):
    table = betas[:, None] * distortions[None, :] + rates[None, :]
    return table.diagonal() - table.min(1).values


@wrong("training/shortfall", "compares only with the neighbours in beta")
def shortfall(betas, rates, distortions):
    order = betas.argsort()
    b, R, D = betas[order], rates[order], distortions[order]
    missed = torch.zeros_like(D)
    for k in range(len(b)):
        for j in (k - 1, k + 1):
            if 0 <= j < len(b):
                missed[k] = max(missed[k].item(), (D[k] + b[k] * R[k] - D[j] - b[k] * R[j]).item())
    out = torch.zeros_like(D)
    out[order] = missed
    return out


@wrong("training/shortfall", "proof only by domination: another run with less rate and less distortion")
def shortfall(betas, rates, distortions):
    missed = torch.zeros_like(distortions)
    for k in range(len(betas)):
        for j in range(len(betas)):
            if rates[j] <= rates[k] and distortions[j] <= distortions[k]:
                gain = distortions[k] - distortions[j] + betas[k] * (rates[k] - rates[j])
                missed[k] = torch.maximum(missed[k], gain)
    return missed


@wrong("training/shortfall", "height above the lower convex hull at the run's own rate")
def shortfall(betas, rates, distortions):
    points = sorted(zip(rates.tolist(), distortions.tolist()))
    hull = []
    for p in points:
        while len(hull) > 1 and (hull[-1][0] - hull[-2][0]) * (p[1] - hull[-2][1]) <= (hull[-1][1] - hull[-2][1]) * (
            p[0] - hull[-2][0]
        ):
            hull.pop()
        hull.append(p)
    below = np.interp(rates.numpy(), [p[0] for p in hull], [p[1] for p in hull])
    return (distortions - torch.as_tensor(below, dtype=distortions.dtype)).clamp(min=0)


@wrong("training/shortfall", "best of the others only, so runs that are best get a negative number")
def shortfall(betas, rates, distortions):
    table = distortions[None, :] + betas[:, None] * rates[None, :]
    own = table.diagonal().clone()
    others = table.masked_fill(torch.eye(len(betas), dtype=torch.bool), float("inf"))
    return own - others.min(1).values


@wrong("training/shortfall", "sign: best minus own")
def shortfall(betas, rates, distortions):
    table = distortions[None, :] + betas[:, None] * rates[None, :]
    return table.min(1).values - table.diagonal()


@wrong("training/shortfall", "worst instead of best place: max - own")
def shortfall(betas, rates, distortions):
    table = distortions[None, :] + betas[:, None] * rates[None, :]
    return table.max(1).values - table.diagonal()


@wrong("training/shortfall", "answers in the order of beta")
def shortfall(betas, rates, distortions):
    order = betas.argsort()
    betas, rates, distortions = betas[order], rates[order], distortions[order]
    table = distortions[None, :] + betas[:, None] * rates[None, :]
    return table.diagonal() - table.min(1).values


@wrong("training/shortfall", "only monotonicity: rate above that of a run with a smaller beta")
def shortfall(betas, rates, distortions):
    missed = torch.zeros_like(rates)
    for k in range(len(betas)):
        smaller = rates[betas < betas[k]]
        if len(smaller):
            missed[k] = (rates[k] - smaller.min()).clamp(min=0) * betas[k]
    return missed


@wrong("training/shortfall", "adds up what all other runs prove instead of the largest")
def shortfall(betas, rates, distortions):
    table = distortions[None, :] + betas[:, None] * rates[None, :]
    return (table.diagonal()[:, None] - table).clamp(min=0).sum(1)


@wrong("training/shortfall", "compares with the single run of the best ELBO")
def shortfall(betas, rates, distortions):
    best = (rates + distortions).argmin()
    return (distortions - distortions[best] + betas * (rates - rates[best])).clamp(min=0)


# ---------------------------------------------------------------- training/diagnose
@right("training/diagnose", "loop with if, by distortion and comparison of all epochs with the last")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        end = [loss[r, -1].item(), train[-1].item(), held[-1].item(), rate[r].item()]
        distortion = -held[-1].item() - rate[r].item()
        if not all(math.isfinite(value) for value in end) or distortion > blind + 10:
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@right("training/diagnose", "vectorised with masks and torch.where")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    last = torch.stack([loss[:, -1].double(), train_elbo[:, -1].double(), held_elbo[:, -1].double(), rate.double()])
    finite = torch.isfinite(last).all(0)
    excess = -(held_elbo[:, -1] + rate) - blind
    fell = held_elbo - held_elbo[:, -1:] > 2
    rose = train_elbo[:, -1:] - train_elbo > 2
    code = torch.where((fell & rose).any(1), 2, 3)
    code = torch.where(excess > -2, 1, code)
    code = torch.where((excess > 12) | ~finite, 0, code)
    return [("diverged", "collapsed", "overfitting", "healthy")[c] for c in code.tolist()]


@right("training/diagnose", "numpy; best held-out epoch against the last")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    L, T, H, R = (np.asarray(a.detach().double()) for a in (loss, train_elbo, held_elbo, rate))
    answer = []
    for l, t, h, r in zip(L, T, H, R):
        if not np.isfinite([l[-1], t[-1], h[-1], r]).all():
            answer.append("diverged")
            continue
        gain = blind - (-h[-1] - r)  # what the code is good for
        best = int(np.argmax(np.where(np.isfinite(h), h, -np.inf)))
        if gain < -15:
            answer.append("diverged")
        elif gain < 2.5:
            answer.append("collapsed")
        elif h[best] - h[-1] > 2.5 and t[-1] - t[best] > 1.5:
            answer.append("overfitting")
        else:
            answer.append("healthy")
    return answer


@wrong("training/diagnose", "collapse judged by a small rate")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if (
            not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all()
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif rate[r] < 1:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "collapse judged by the ELBO, rate not taken off")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        if not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all() or -held[-1] > blind + 10:
            words.append("diverged")
        elif abs(-held[-1] - blind) < 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "diverged if the loss ever had a spike or was not finite")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if (
            not torch.isfinite(loss[r]).all()
            or not torch.isfinite(held).all()
            or (loss[r].diff() > 10).any()
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "diverged if the loss ends above its minimum, though beta may have risen")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if (
            not torch.isfinite(loss[r, -1])
            or not torch.isfinite(distortion)
            or loss[r, -1] > loss[r].min() + 3
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "overfitting judged by the gap between training and held-out at the end")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if (
            not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all()
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif train[-1] - held[-1] > 3:
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "overfitting whenever the held-out ELBO fell, whatever training digits did")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if (
            not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all()
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif held.max() - held[-1] > 2.2:
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "forgets nan: every comparison is false, so the run is healthy")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if distortion > blind + 10:
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "diverged only if not finite; tens of nats worse counts as collapsed")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all():
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "no allowance for noise: any fall and any rise count")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if (
            not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all()
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif distortion >= blind:
            words.append("collapsed")
        elif ((held > held[-1]) & (train[-1] > train)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "sign of the rate: distortion = -ELBO + rate")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] + rate[r]
        if (
            not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all()
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "training improvement judged by the recorded loss, although beta changes it")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        held = held_elbo[r]
        distortion = -held[-1] - rate[r]
        if not torch.isfinite(torch.stack([loss[r, -1], held[-1], rate[r]])).all() or distortion > blind + 10:
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (loss[r] - loss[r, -1] > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "looks at the last two epochs only for overfitting")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        distortion = -held[-1] - rate[r]
        if (
            not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all()
            or distortion > blind + 10
        ):
            words.append("diverged")
        elif distortion > blind - 2.2:
            words.append("collapsed")
        elif held[-1] < held[-2] and train[-1] > train[-2]:
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "anything worse than one picture has diverged, collapsed with a rate included")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        cost = -held[-1]
        if not torch.isfinite(torch.stack([loss[r, -1], train[-1], held[-1], rate[r]])).all() or cost > blind + 1.5:
            words.append("diverged")
        elif cost - rate[r] > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words


@wrong("training/diagnose", "judges collapse and divergence at the best epoch instead of the last")
def diagnose(loss, train_elbo, held_elbo, rate, blind):
    words = []
    for r in range(len(loss)):
        train, held = train_elbo[r], held_elbo[r]
        best = torch.nan_to_num(held, nan=-1e9, neginf=-1e9).max()
        if -best > blind + 10 + rate[r]:
            words.append("diverged")
        elif -best - rate[r] > blind - 2.2:
            words.append("collapsed")
        elif ((held - held[-1] > 2.2) & (train[-1] - train > 2.2)).any():
            words.append("overfitting")
        else:
            words.append("healthy")
    return words
