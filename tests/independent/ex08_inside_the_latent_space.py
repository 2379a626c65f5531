import math

import numpy as np
import scipy.linalg
import scipy.special
import scipy.stats
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal, kl_divergence

from independent import right, wrong


# ---------------------------------------------------------------- latent/traverse
@right("latent/traverse", "repeat and fill a column")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = mu[:, index].mean() + steps.to(z.dtype) * mu[:, index].std()
    return codes


@right("latent/traverse", "outer product with a one-hot row, nothing written in place")
def traverse(z, index, mu, steps):
    hot = torch.nn.functional.one_hot(torch.tensor(index), len(z)).to(z.dtype)
    column = mu[:, index]
    values = torch.add(column.mean(), steps * column.var(unbiased=True).sqrt())
    return z * (1 - hot) + torch.einsum("k,d->kd", values.to(z.dtype), hot)


@right("latent/traverse", "loops, mean and deviation by hand")
def traverse(z, index, mu, steps):
    column = mu[:, index].tolist()
    middle = math.fsum(column) / len(column)
    sigma = math.sqrt(math.fsum((m - middle) ** 2 for m in column) / (len(column) - 1))
    rows = []
    for s in steps.tolist():
        row = z.clone()
        row[index] = middle + s * sigma
        rows.append(row)
    return torch.stack(rows)


@wrong("latent/traverse", "starts from the picture's own code instead of the middle")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = z[index] + steps * mu[:, index].std()
    return codes


@wrong("latent/traverse", "prior units: the steps themselves")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = steps.to(z.dtype)
    return codes


@wrong("latent/traverse", "steps of the posterior means' deviation around 0")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = steps * mu[:, index].std()
    return codes


@wrong("latent/traverse", "steps of 1 around the middle")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = mu[:, index].mean() + steps
    return codes


@wrong("latent/traverse", "variance for standard deviation")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = mu[:, index].mean() + steps * mu[:, index].var()
    return codes


@wrong("latent/traverse", "deviation with N instead of N-1")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = mu[:, index].mean() + steps * mu[:, index].std(correction=0)
    return codes


@wrong("latent/traverse", "mean and deviation over all latents together")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index] = mu.mean() + steps * mu.std()
    return codes


@wrong("latent/traverse", "changes every latent")
def traverse(z, index, mu, steps):
    return mu.mean(0) + steps[:, None] * mu.std(0)


@wrong("latent/traverse", "the other latents are set to their means, not the picture's code")
def traverse(z, index, mu, steps):
    codes = mu.mean(0).repeat(len(steps), 1)
    codes[:, index] += steps * mu[:, index].std()
    return codes


@wrong("latent/traverse", "the other latents are set to 0")
def traverse(z, index, mu, steps):
    codes = torch.zeros(len(steps), len(z), dtype=z.dtype)
    codes[:, index] = mu[:, index].mean() + steps * mu[:, index].std()
    return codes


@wrong("latent/traverse", "overwrites z in place and returns views of it: all rows are the last step")
def traverse(z, index, mu, steps):
    rows = []
    for s in steps:
        z[index] = mu[:, index].mean() + s * mu[:, index].std()
        rows.append(z)
    return torch.stack(rows)


@wrong("latent/traverse", "right rows, but writes into the caller's z")
def traverse(z, index, mu, steps):
    rows = []
    for s in steps:
        z[index] = mu[:, index].mean() + s * mu[:, index].std()
        rows.append(z.clone())
    return torch.stack(rows)


@wrong("latent/traverse", "index counted from 1")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    codes[:, index - 1] = mu[:, index - 1].mean() + steps * mu[:, index - 1].std()
    return codes


@wrong("latent/traverse", "evenly spaced between the first and the last step, whatever lies between")
def traverse(z, index, mu, steps):
    codes = z.repeat(len(steps), 1)
    even = torch.linspace(steps[0].item(), steps[-1].item(), len(steps), dtype=z.dtype)
    codes[:, index] = mu[:, index].mean() + even * mu[:, index].std()
    return codes


# ---------------------------------------------------------------- latent/recentring
@right("latent/recentring", "closed form, KL of the moment-matched Gaussian")
def saved_by_recentring(mu, log_var):
    m = mu.mean(0)
    v = mu.var(0, correction=0) + log_var.exp().mean(0)
    return 0.5 * (v + m**2 - 1 - v.log())


@right("latent/recentring", "average KL before minus after, torch.distributions")
def saved_by_recentring(mu, log_var):
    sigma = torch.exp(log_var / 2)
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    m = mu.mean(0)
    s = (((mu - m) ** 2 + sigma**2).mean(0)).sqrt()
    before = kl_divergence(Normal(mu, sigma), prior)
    after = kl_divergence(Normal((mu - m) / s, sigma / s), prior)
    return (before - after).mean(0)


@right("latent/recentring", "loops in numpy, law of total variance")
def saved_by_recentring(mu, log_var):
    means, variances = mu.detach().double().numpy(), np.exp(log_var.detach().double().numpy())
    saved = []
    for j in range(means.shape[1]):
        first = sum(means[:, j]) / len(means)
        spread = sum((means[n, j] - first) ** 2 + variances[n, j] for n in range(len(means))) / len(means)
        saved.append(0.5 * first**2 + 0.5 * (spread - 1) - math.log(math.sqrt(spread)))
    return torch.tensor(saved, dtype=mu.dtype)


@wrong("latent/recentring", "spread of the means only, posterior variances forgotten")
def saved_by_recentring(mu, log_var):
    m, v = mu.mean(0), mu.var(0, correction=0)
    return 0.5 * (v + m**2 - 1 - v.log())


@wrong("latent/recentring", "average posterior variance only, spread of the means forgotten")
def saved_by_recentring(mu, log_var):
    m, v = mu.mean(0), log_var.exp().mean(0)
    return 0.5 * (v + m**2 - 1 - v.log())


@wrong("latent/recentring", "shift alone")
def saved_by_recentring(mu, log_var):
    return 0.5 * mu.mean(0) ** 2


@wrong("latent/recentring", "scale alone")
def saved_by_recentring(mu, log_var):
    v = (mu**2 + log_var.exp()).mean(0)
    return 0.5 * (v - 1 - v.log())


@wrong("latent/recentring", "shift forgotten in the KL: only the variance's part")
def saved_by_recentring(mu, log_var):
    v = mu.var(0, correction=0) + log_var.exp().mean(0)
    return 0.5 * (v - 1 - v.log())


@wrong("latent/recentring", "variance of the means with N-1")
def saved_by_recentring(mu, log_var):
    m = mu.mean(0)
    v = mu.var(0) + log_var.exp().mean(0)
    return 0.5 * (v + m**2 - 1 - v.log())


@wrong("latent/recentring", "exponential of the average log-variance")
def saved_by_recentring(mu, log_var):
    m = mu.mean(0)
    v = mu.var(0, correction=0) + log_var.mean(0).exp()
    return 0.5 * (v + m**2 - 1 - v.log())


@wrong("latent/recentring", "sigma added where the variance belongs")
def saved_by_recentring(mu, log_var):
    m = mu.mean(0)
    v = mu.var(0, correction=0) + torch.exp(0.5 * log_var).mean(0)
    return 0.5 * (v + m**2 - 1 - v.log())


@wrong("latent/recentring", "factor one half missing")
def saved_by_recentring(mu, log_var):
    m = mu.mean(0)
    v = mu.var(0, correction=0) + log_var.exp().mean(0)
    return v + m**2 - 1 - v.log()


@wrong("latent/recentring", "what remains after recentring, not what is saved")
def saved_by_recentring(mu, log_var):
    v = mu.var(0, correction=0) + log_var.exp().mean(0)
    return 0.5 * (v.log() - log_var.mean(0))


@wrong("latent/recentring", "the posterior's variance is not rescaled: only the means are standardised")
def saved_by_recentring(mu, log_var):
    m, s = mu.mean(0), mu.std(0, correction=0)
    before = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean(0)
    after = 0.5 * (((mu - m) / s) ** 2 + log_var.exp() - 1 - log_var).mean(0)
    return before - after


@wrong("latent/recentring", "scales by the deviation of the means, not the best scale")
def saved_by_recentring(mu, log_var):
    m, s = mu.mean(0), mu.std(0, correction=0)
    before = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).mean(0)
    new_log_var = log_var - 2 * s.log()
    after = 0.5 * (((mu - m) / s) ** 2 + new_log_var.exp() - 1 - new_log_var).mean(0)
    return before - after


@wrong("latent/recentring", "log of the variance for log of sigma: log counted twice")
def saved_by_recentring(mu, log_var):
    m = mu.mean(0)
    v = mu.var(0, correction=0) + log_var.exp().mean(0)
    return 0.5 * (v + m**2 - 1) - v.log()


@wrong("latent/recentring", "the sum over all latents")
def saved_by_recentring(mu, log_var):
    m = mu.mean(0)
    v = mu.var(0, correction=0) + log_var.exp().mean(0)
    return 0.5 * (v + m**2 - 1 - v.log()).sum()


# ---------------------------------------------------------------- latent/linear_vae
@right("latent/linear_vae", "sort, mean of the rest, half log of the ratio")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    return variance, values[:n_latents] - variance, 0.5 * torch.log(values[:n_latents] / variance)


@right("latent/linear_vae", "rates as KL from the posterior's mean square and variance, with torch.distributions")
def linear_vae(eigenvalues, n_latents):
    top = torch.topk(eigenvalues, n_latents).values
    variance = (eigenvalues.sum() - top.sum()) / (eigenvalues.numel() - n_latents)
    lengths = torch.sub(top, variance)
    posterior = variance / (lengths + variance)
    mean_square = top * lengths / (lengths + variance) ** 2
    q = Normal(mean_square.clamp(min=0).sqrt(), posterior.sqrt())
    return variance, lengths, kl_divergence(q, Normal(torch.zeros_like(top), torch.ones_like(top)))


@right("latent/linear_vae", "python lists and loops")
def linear_vae(eigenvalues, n_latents):
    ranked = sorted(eigenvalues.tolist(), reverse=True)
    noise = math.fsum(ranked[n_latents:]) / (len(ranked) - n_latents)
    lengths, rates = [], []
    for value in ranked[:n_latents]:
        lengths.append(value - noise)
        rates.append((math.log(value) - math.log(noise)) / 2)
    as_tensor = lambda numbers: torch.tensor(numbers, dtype=eigenvalues.dtype)
    return as_tensor(noise), as_tensor(lengths), as_tensor(rates)


@wrong("latent/linear_vae", "takes the eigenvalues as already sorted")
def linear_vae(eigenvalues, n_latents):
    variance = eigenvalues[n_latents:].mean()
    return variance, eigenvalues[:n_latents] - variance, 0.5 * torch.log(eigenvalues[:n_latents] / variance)


@wrong("latent/linear_vae", "sorted ascending: the smallest are kept as latents")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort().values
    variance = values[n_latents:].mean()
    kept = values[:n_latents]
    return variance, (kept - variance).abs(), 0.5 * torch.log(kept / variance).abs()


@wrong("latent/linear_vae", "right numbers, smallest eigenvalue first")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort().values
    variance = values[:-n_latents].mean()
    top = values[-n_latents:]
    return variance, top - variance, 0.5 * torch.log(top / variance)


@wrong("latent/linear_vae", "pixel variance averaged over all eigenvalues")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values.mean()
    top = values[:n_latents]
    return variance, (top - variance).clamp(min=0), 0.5 * torch.log(top / variance).clamp(min=0)


@wrong("latent/linear_vae", "pixel variance is the sum of the rest")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].sum()
    return variance, values[:n_latents] - variance, 0.5 * torch.log(values[:n_latents] / variance)


@wrong("latent/linear_vae", "lost variance divided by all D pixels instead of D - d")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].sum() / len(values)
    return variance, values[:n_latents] - variance, 0.5 * torch.log(values[:n_latents] / variance)


@wrong("latent/linear_vae", "squared lengths are the eigenvalues, noise not subtracted")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    return variance, values[:n_latents], 0.5 * torch.log(values[:n_latents] / variance)


@wrong("latent/linear_vae", "lengths, not squared lengths")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    return variance, (values[:n_latents] - variance).sqrt(), 0.5 * torch.log(values[:n_latents] / variance)


@wrong("latent/linear_vae", "rate without the half")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    return variance, values[:n_latents] - variance, torch.log(values[:n_latents] / variance)


@wrong("latent/linear_vae", "rate with lambda / sigma^2 added to 1: noise counted twice")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    return variance, values[:n_latents] - variance, 0.5 * torch.log1p(values[:n_latents] / variance)


@wrong("latent/linear_vae", "rate from the signal alone: (lambda - sigma^2) / sigma^2")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    lengths = values[:n_latents] - variance
    return variance, lengths, 0.5 * torch.log(lengths / variance)


@wrong("latent/linear_vae", "rate without the mean's part")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    shrunk = variance / values[:n_latents]
    return variance, values[:n_latents] - variance, 0.5 * (shrunk - 1 - shrunk.log())


@wrong("latent/linear_vae", "mean square of the posterior mean taken as 1, the prior's variance")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    shrunk = variance / values[:n_latents]
    return variance, values[:n_latents] - variance, 0.5 * (1 + shrunk - 1 - shrunk.log())


@wrong("latent/linear_vae", "sigma returned instead of sigma squared")
def linear_vae(eigenvalues, n_latents):
    values = eigenvalues.sort(descending=True).values
    variance = values[n_latents:].mean()
    return variance.sqrt(), values[:n_latents] - variance, 0.5 * torch.log(values[:n_latents] / variance)


# ---------------------------------------------------------------- latent/total_correlation
@right("latent/total_correlation", "Normal.log_prob of all pairs and logsumexp")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])  # (M, N, d)
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each, 1) - math.log(len(mu))
    return joint, (joint - margins.sum(-1)).mean()


@right("latent/total_correlation", "MixtureSameFamily for the joint and for each latent")
def total_correlation(mu, log_var, z):
    sigma = log_var.mul(0.5).exp()
    weights = Categorical(logits=torch.zeros(len(mu), dtype=mu.dtype))
    joint = MixtureSameFamily(weights, Independent(Normal(mu, sigma), 1)).log_prob(z)
    total = joint.clone()
    for j in range(mu.shape[1]):
        total = total - MixtureSameFamily(weights, Normal(mu[:, j], sigma[:, j])).log_prob(z[:, j])
    return joint, total.mean()


@right("latent/total_correlation", "numpy loop over draws, scipy logsumexp, the squares by hand")
def total_correlation(mu, log_var, z):
    m, lv, draws = (a.detach().double().numpy() for a in (mu, log_var, z))
    n = m.shape[0]
    log_q, ratio = np.empty(len(draws)), np.empty(len(draws))
    for k, draw in enumerate(draws):
        each = -0.5 * ((draw - m) ** 2 * np.exp(-lv) + lv + np.log(2 * np.pi))
        log_q[k] = scipy.special.logsumexp(each.sum(axis=1), b=1 / n)
        ratio[k] = log_q[k] - scipy.special.logsumexp(each, axis=0, b=1 / n).sum()
    return torch.as_tensor(log_q, dtype=z.dtype), torch.as_tensor(ratio.mean(), dtype=z.dtype)


@wrong("latent/total_correlation", "log N forgotten everywhere")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1)
    margins = torch.logsumexp(each, 1)
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "log N subtracted once from the sum of the marginals instead of once per latent")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each, 1).sum(-1) - math.log(len(mu))
    return joint, (joint - margins).mean()


@wrong("latent/total_correlation", "densities first, logarithm last: underflows")
def total_correlation(mu, log_var, z):
    density = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :]).exp()
    joint = density.prod(-1).mean(1).log()
    margins = density.mean(1).log()
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "average of the log-densities instead of the log of the average")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = each.sum(-1).mean(1)
    margins = torch.logsumexp(each, 1) - math.log(len(mu))
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "exp(log_var) passed as the standard deviation")
def total_correlation(mu, log_var, z):
    each = Normal(mu, log_var.exp()).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each, 1) - math.log(len(mu))
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "log(2 pi) left out of the density")
def total_correlation(mu, log_var, z):
    each = -0.5 * ((z[:, None, :] - mu) ** 2 / log_var.exp() + log_var)
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each, 1) - math.log(len(mu))
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "log-determinant left out of the density")
def total_correlation(mu, log_var, z):
    each = -0.5 * ((z[:, None, :] - mu) ** 2 / log_var.exp() + math.log(2 * math.pi))
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each, 1) - math.log(len(mu))
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "sign: marginals minus joint")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each, 1) - math.log(len(mu))
    return joint, (margins.sum(-1) - joint).mean()


@wrong("latent/total_correlation", "latents summed before the mixture, in the marginals too: always zero")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    return joint, (joint - margins).mean()


@wrong("latent/total_correlation", "KL to the prior N(0, I) instead of to the product of the marginals")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    return joint, (joint - Normal(0.0, 1.0).log_prob(z).sum(-1)).mean()


@wrong("latent/total_correlation", "marginals replaced by Gaussians with their moments")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    spread = (mu.var(0, correction=0) + log_var.exp().mean(0)).sqrt()
    margins = Normal(mu.mean(0), spread).log_prob(z)
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "mixture over the draws instead of the pictures: wrong axis")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 0) - math.log(len(z))
    margins = torch.logsumexp(each, 0) - math.log(len(z))
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "only the nearest picture: max instead of logsumexp")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = each.sum(-1).max(1).values - math.log(len(mu))
    margins = each.max(1).values - math.log(len(mu))
    return joint, (joint - margins.sum(-1)).mean()


@wrong("latent/total_correlation", "sum over the draws instead of the average")
def total_correlation(mu, log_var, z):
    each = Normal(mu, torch.exp(0.5 * log_var)).log_prob(z[:, None, :])
    joint = torch.logsumexp(each.sum(-1), 1) - math.log(len(mu))
    margins = torch.logsumexp(each, 1) - math.log(len(mu))
    return joint, (joint - margins.sum(-1)).sum()


# ---------------------------------------------------------------- latent/statements
@right("latent/statements", "Gauss-Hermite points of every component, average |log ratio|")
def statements(mu, covariance):
    mu, covariance = mu.double(), covariance.double()
    M, N, _ = mu.shape
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    nodes, weights = torch.tensor(nodes), torch.tensor(weights / weights.sum())
    grid = torch.cartesian_prod(nodes, nodes)
    mass = torch.cartesian_prod(weights, weights).prod(1)
    out = torch.zeros(M, 3, dtype=torch.bool)
    for m in range(M):
        out[m, 0] = covariance[m, :, 0, 1].abs().max() < 1e-3
        centred = mu[m] - mu[m].mean(0)
        out[m, 1] = (centred[:, 0] * centred[:, 1]).mean().abs() < 1e-3
        sigma = covariance[m].diagonal(dim1=-2, dim2=-1).sqrt()
        gap = 0
        for n in range(N):
            z = mu[m, n] + grid @ torch.linalg.cholesky(covariance[m, n]).T
            joint = torch.logsumexp(MultivariateNormal(mu[m], covariance[m]).log_prob(z[:, None]), 1) - math.log(N)
            margins = torch.logsumexp(Normal(mu[m], sigma).log_prob(z[:, None]), 1) - math.log(N)
            gap = gap + (mass * (joint - margins.sum(-1)).abs()).sum() / N
        out[m, 2] = bool(gap < 5e-3)
    return out


@right("latent/statements", "characteristic functions at many frequencies, numpy")
def statements(mu, covariance):
    mus, sigmas = mu.double().numpy(), covariance.double().numpy()
    out = np.zeros((len(mus), 3), dtype=bool)
    for k, (m, S) in enumerate(zip(mus, sigmas)):
        out[k, 0] = np.abs(S[:, 0, 1]).max() < 2e-3
        out[k, 1] = abs(np.cov(m.T, bias=True)[0, 1]) < 2e-3
        m = m - m.mean(0)
        spread = np.sqrt(m.var(0) + S.diagonal(axis1=1, axis2=2).mean(0))
        narrow = np.sqrt(S.diagonal(axis1=1, axis2=2).min(0))
        worst = 0.0
        t1, t2 = (np.geomspace(0.05 / spread[j], 4 / narrow[j], 60) for j in (0, 1))
        t1 = np.concatenate([-t1, t1])
        phi = lambda a, b: np.exp(
            1j * (a[..., None] * m[:, 0] + b[..., None] * m[:, 1])
            - 0.5
            * (
                a[..., None] ** 2 * S[:, 0, 0]
                + b[..., None] ** 2 * S[:, 1, 1]
                + 2 * a[..., None] * b[..., None] * S[:, 0, 1]
            )
        ).mean(-1)
        for b in t2:
            b_all = np.full_like(t1, b)
            worst = max(worst, np.abs(phi(t1, b_all) - phi(t1, 0 * b_all) * phi(0 * t1, b_all)).max())
        out[k, 2] = worst < 5e-4
    return torch.from_numpy(out)


@right("latent/statements", "seeded draws of the mixture; log density against the sum of its marginals' logs")
def statements(mu, covariance):
    mu, covariance = mu.double(), covariance.double()
    generator = torch.Generator().manual_seed(3)
    N = mu.shape[1]
    rows = []
    for m, S in zip(mu, covariance):
        first = bool((S[:, 0, 1].abs() < 5e-3).all())
        second = bool(torch.cov(m.T, correction=0)[0, 1].abs() < 5e-3)
        pick = torch.arange(4000) % N
        noise = torch.randn(4000, 2, dtype=torch.float64, generator=generator)
        z = m[pick] + torch.einsum("kij,kj->ki", torch.linalg.cholesky(S)[pick], noise)
        mixture = Categorical(logits=torch.zeros(N, dtype=torch.float64))
        ratio = MixtureSameFamily(mixture, MultivariateNormal(m, S)).log_prob(z)
        for j in (0, 1):
            ratio = ratio - MixtureSameFamily(mixture, Normal(m[:, j], S[:, j, j].sqrt())).log_prob(z[:, j])
        rows.append([first, second, bool(ratio.abs().mean() < 5e-3)])
    return torch.tensor(rows)


@wrong("latent/statements", "third = first and second")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    centred = mu - mu.mean(1, keepdim=True)
    second = centred.prod(-1).mean(1).abs() < 1e-3
    return torch.stack([first, second, first & second], 1)


@wrong("latent/statements", "third = first: diagonal posteriors mean independent latents")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    centred = mu - mu.mean(1, keepdim=True)
    second = centred.prod(-1).mean(1).abs() < 1e-3
    return torch.stack([first, second, first], 1)


@wrong("latent/statements", "third = second: uncorrelated means are independent latents")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    centred = mu - mu.mean(1, keepdim=True)
    second = centred.prod(-1).mean(1).abs() < 1e-3
    return torch.stack([first, second, second], 1)


@wrong("latent/statements", "third by the covariance of q(z): uncorrelated taken as independent")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    centred = mu - mu.mean(1, keepdim=True)
    between = centred.prod(-1).mean(1)
    third = (between + covariance[..., 0, 1].mean(1)).abs() < 1e-3
    return torch.stack([first, between.abs() < 1e-3, third], 1)


@wrong("latent/statements", "third by the independence of the means alone, posterior covariances ignored")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    centred = mu - mu.mean(1, keepdim=True)
    second = centred.prod(-1).mean(1).abs() < 1e-3
    t = torch.linspace(-3, 3, 13, dtype=mu.dtype)
    a = torch.exp(1j * t[:, None, None] * mu[None, ..., 0])
    b = torch.exp(1j * t[:, None, None] * mu[None, ..., 1])
    joint = torch.einsum("smn,tmn->mst", a, b) / mu.shape[1]
    product = torch.einsum("sm,tm->mst", a.mean(-1), b.mean(-1))
    third = (joint - product).abs().amax((1, 2)) < 1e-3
    return torch.stack([first, second, third], 1)


@wrong("latent/statements", "second by the covariance of z, posterior covariance included")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    centred = mu - mu.mean(1, keepdim=True)
    second = (centred.prod(-1).mean(1) + covariance[..., 0, 1].mean(1)).abs() < 1e-3
    third = []
    for m, S in zip(mu.double(), covariance.double()):
        pick = torch.arange(4000) % len(m)
        z = MultivariateNormal(m[pick], S[pick]).sample()
        joint = torch.logsumexp(MultivariateNormal(m, S).log_prob(z[:, None]), 1) - math.log(len(m))
        margins = torch.logsumexp(Normal(m, S.diagonal(dim1=1, dim2=2).sqrt()).log_prob(z[:, None]), 1) - math.log(
            len(m)
        )
        third.append((joint - margins.sum(1)).abs().mean() < 5e-3)
    return torch.stack([first, second, torch.stack(third)], 1)


@wrong("latent/statements", "second not centred: mean of the product of the means")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    second = mu.prod(-1).mean(1).abs() < 1e-3
    third = []
    for m, S in zip(mu.double(), covariance.double()):
        pick = torch.arange(4000) % len(m)
        z = MultivariateNormal(m[pick], S[pick]).sample()
        joint = torch.logsumexp(MultivariateNormal(m, S).log_prob(z[:, None]), 1) - math.log(len(m))
        margins = torch.logsumexp(Normal(m, S.diagonal(dim1=1, dim2=2).sqrt()).log_prob(z[:, None]), 1) - math.log(
            len(m)
        )
        third.append((joint - margins.sum(1)).abs().mean() < 5e-3)
    return torch.stack([first, second, torch.stack(third)], 1)


@wrong("latent/statements", "first by the average posterior covariance, where opposite signs cancel")
def statements(mu, covariance):
    first = covariance[..., 0, 1].mean(1).abs() < 1e-3
    second = (mu - mu.mean(1, keepdim=True)).prod(-1).mean(1).abs() < 1e-3
    third = []
    for m, S in zip(mu.double(), covariance.double()):
        pick = torch.arange(4000) % len(m)
        z = MultivariateNormal(m[pick], S[pick]).sample()
        joint = torch.logsumexp(MultivariateNormal(m, S).log_prob(z[:, None]), 1) - math.log(len(m))
        margins = torch.logsumexp(Normal(m, S.diagonal(dim1=1, dim2=2).sqrt()).log_prob(z[:, None]), 1) - math.log(
            len(m)
        )
        third.append((joint - margins.sum(1)).abs().mean() < 5e-3)
    return torch.stack([first, second, torch.stack(third)], 1)


@wrong("latent/statements", "first holds if any picture's covariance is diagonal")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).any(1)
    second = (mu - mu.mean(1, keepdim=True)).prod(-1).mean(1).abs() < 1e-3
    third = []
    for m, S in zip(mu.double(), covariance.double()):
        pick = torch.arange(4000) % len(m)
        z = MultivariateNormal(m[pick], S[pick]).sample()
        joint = torch.logsumexp(MultivariateNormal(m, S).log_prob(z[:, None]), 1) - math.log(len(m))
        margins = torch.logsumexp(Normal(m, S.diagonal(dim1=1, dim2=2).sqrt()).log_prob(z[:, None]), 1) - math.log(
            len(m)
        )
        third.append((joint - margins.sum(1)).abs().mean() < 5e-3)
    return torch.stack([first, second, torch.stack(third)], 1)


@wrong("latent/statements", "compares with exact zero, no allowance for rounding")
def statements(mu, covariance):
    first = (covariance[..., 0, 1] == 0).all(1)
    second = (mu - mu.mean(1, keepdim=True)).prod(-1).mean(1) == 0
    third = []
    for m, S in zip(mu.double(), covariance.double()):
        pick = torch.arange(4000) % len(m)
        z = MultivariateNormal(m[pick], S[pick]).sample()
        joint = torch.logsumexp(MultivariateNormal(m, S).log_prob(z[:, None]), 1) - math.log(len(m))
        margins = torch.logsumexp(Normal(m, S.diagonal(dim1=1, dim2=2).sqrt()).log_prob(z[:, None]), 1) - math.log(
            len(m)
        )
        third.append((joint - margins.sum(1)).abs().max() == 0)
    return torch.stack([first, second, torch.stack(third)], 1)


@wrong("latent/statements", "third by the correlation of few draws, with a threshold in the sampling noise")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    second = (mu - mu.mean(1, keepdim=True)).prod(-1).mean(1).abs() < 1e-3
    third = []
    for m, S in zip(mu.double(), covariance.double()):
        pick = torch.randint(len(m), (500,))
        z = MultivariateNormal(m[pick], S[pick]).sample()
        third.append(torch.corrcoef(z.T)[0, 1].abs() < 0.02)
    return torch.stack([first, second, torch.stack(third)], 1)


@wrong("latent/statements", "third by the average over pictures of the posterior's own mutual information")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    second = (mu - mu.mean(1, keepdim=True)).prod(-1).mean(1).abs() < 1e-3
    squared = covariance[..., 0, 1] ** 2 / (covariance[..., 0, 0] * covariance[..., 1, 1])
    third = (-0.5 * torch.log1p(-squared)).mean(1) < 0.01
    return torch.stack([first, second, third & second], 1)


@wrong("latent/statements", "tells fails instead of holds: all answers negated")
def statements(mu, covariance):
    first = (covariance[..., 0, 1].abs() < 1e-3).all(1)
    second = (mu - mu.mean(1, keepdim=True)).prod(-1).mean(1).abs() < 1e-3
    third = []
    for m, S in zip(mu.double(), covariance.double()):
        pick = torch.arange(4000) % len(m)
        z = MultivariateNormal(m[pick], S[pick]).sample()
        joint = torch.logsumexp(MultivariateNormal(m, S).log_prob(z[:, None]), 1) - math.log(len(m))
        margins = torch.logsumexp(Normal(m, S.diagonal(dim1=1, dim2=2).sqrt()).log_prob(z[:, None]), 1) - math.log(
            len(m)
        )
        third.append((joint - margins.sum(1)).abs().mean() < 5e-3)
    return ~torch.stack([first, second, torch.stack(third)], 1)


# ---------------------------------------------------------------- latent/turned
@right("latent/turned", "Procrustes by svd, then lstsq with a column of ones in both directions")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        U, _, Vt = torch.linalg.svd(a.T @ b)
        if (a @ U @ Vt - b).abs().max() < 0.01:
            words.append("turned")
            continue
        ones = torch.ones(len(a), 1, dtype=a.dtype)
        fits = True
        for source, goal in ((a, b), (b, a)):
            design = torch.cat([source, ones], 1)
            solution = torch.linalg.lstsq(design, goal, driver="gelsd").solution
            fits = fits and (design @ solution - goal).abs().max().item() < 0.01
        words.append("affine" if fits else "different")
    return words


@right("latent/turned", "fits A and c with numpy, then looks at A A^T, c and the rank of A")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double().numpy(), z_b.double().numpy()):
        d = a.shape[1]
        design = np.hstack([a, np.ones((len(a), 1))])
        coefficients = np.linalg.lstsq(design, b, rcond=None)[0]
        A, c = coefficients[:d], coefficients[d]
        if np.linalg.norm(design @ coefficients - b, axis=1).max() > 0.02:
            words.append("different")
        elif np.linalg.norm(a @ scipy.linalg.orthogonal_procrustes(a, b)[0] - b, axis=1).max() < 0.02:
            words.append("turned")
        elif np.linalg.svd(A, compute_uv=False).min() > 1e-3:
            words.append("affine")
        else:
            words.append("different")
    return words


@right(
    "latent/turned", "distances between pictures and to the origin for turned; projections on column spaces for affine"
)
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        origin = torch.zeros(1, a.shape[1], dtype=a.dtype)
        far_a, far_b = (torch.cat([origin, codes]) for codes in (a, b))
        distances = [(c[:, None] - c[None]).pow(2).sum(-1).sqrt() for c in (far_a, far_b)]
        same = bool((distances[0] - distances[1]).abs().max() < 4e-3)
        ok = True
        for source, goal in ((a, b), (b, a)):
            centred = source - source.mean(0)
            U, S, _ = torch.linalg.svd(centred, full_matrices=False)
            U = U[:, S > 1e-5 * S[0]]
            rest = goal - goal.mean(0)
            rest = rest - U @ (U.T @ rest)
            ok = ok and bool(rest.abs().max() < 0.01)
        words.append("turned" if same else "affine" if ok else "different")
    return words


@wrong("latent/turned", "rotations only: reflections count as affine")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        A, c = X[:-1], X[-1]
        if (design @ X - b).abs().max() > 0.01 or torch.linalg.svdvals(A).min() < 1e-3:
            words.append("different")
        elif (
            torch.allclose(A @ A.T, torch.eye(len(A), dtype=A.dtype), atol=1e-3)
            and c.abs().max() < 1e-2
            and torch.linalg.det(A) > 0
        ):
            words.append("turned")
        else:
            words.append("affine")
    return words


@wrong("latent/turned", "centres both codes first, so a shift passes as turned")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        a, b = a - a.mean(0), b - b.mean(0)
        U, _, Vt = torch.linalg.svd(a.T @ b)
        A = torch.linalg.lstsq(a, b).solution
        if (a @ U @ Vt - b).abs().max() < 0.01:
            words.append("turned")
        elif (a @ A - b).abs().max() < 0.01 and torch.linalg.svdvals(A).min() > 1e-3:
            words.append("affine")
        else:
            words.append("different")
    return words


@wrong("latent/turned", "fit without intercept: a shifted code is different")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        A = torch.linalg.lstsq(a, b).solution
        if (a @ A - b).abs().max() > 0.01 or torch.linalg.svdvals(A).min() < 1e-3:
            words.append("different")
        elif torch.allclose(A.T @ A, torch.eye(len(A), dtype=A.dtype), atol=1e-3):
            words.append("turned")
        else:
            words.append("affine")
    return words


@wrong("latent/turned", "never asks whether the map is invertible")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        A, c = X[:-1], X[-1]
        if (design @ X - b).abs().max() > 0.01:
            words.append("different")
        elif torch.allclose(A @ A.T, torch.eye(len(A), dtype=A.dtype), atol=1e-3) and c.abs().max() < 1e-2:
            words.append("turned")
        else:
            words.append("affine")
    return words


@wrong("latent/turned", "turned if |det A| = 1")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        A, c = X[:-1], X[-1]
        if (design @ X - b).abs().max() > 0.01 or torch.linalg.svdvals(A).min() < 1e-3:
            words.append("different")
        elif abs(abs(torch.linalg.det(A).item()) - 1) < 1e-3 and c.abs().max() < 1e-2:
            words.append("turned")
        else:
            words.append("affine")
    return words


@wrong("latent/turned", "orthogonal up to a scale: lengths of the columns not checked")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        A, c = X[:-1], X[-1]
        gram = A.T @ A
        if (design @ X - b).abs().max() > 0.01 or torch.linalg.svdvals(A).min() < 1e-3:
            words.append("different")
        elif (gram - torch.diag(gram.diagonal())).abs().max() < 1e-3 and c.abs().max() < 1e-2:
            words.append("turned")
        else:
            words.append("affine")
    return words


@wrong("latent/turned", "the shift is not looked at: turned if A is orthogonal")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        A = X[:-1]
        if (design @ X - b).abs().max() > 0.01 or torch.linalg.svdvals(A).min() < 1e-3:
            words.append("different")
        elif torch.allclose(A @ A.T, torch.eye(len(A), dtype=A.dtype), atol=1e-3):
            words.append("turned")
        else:
            words.append("affine")
    return words


@wrong("latent/turned", "average squared error instead of the largest: a few pictures that are off go unnoticed")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        U, _, Vt = torch.linalg.svd(a.T @ b)
        if ((a @ U @ Vt - b) ** 2).mean() < 0.01:
            words.append("turned")
        elif ((design @ X - b) ** 2).mean() < 0.01 and torch.linalg.svdvals(X[:-1]).min() > 1e-3:
            words.append("affine")
        else:
            words.append("different")
    return words


@wrong("latent/turned", "exact comparison, no allowance for rounding")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a, z_b):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        A, c = X[:-1], X[-1]
        if torch.equal(a @ A, b) and torch.equal(A.T @ A, torch.eye(len(A), dtype=A.dtype)):
            words.append("turned")
        elif torch.equal(a @ A + c, b):
            words.append("affine")
        else:
            words.append("different")
    return words


@wrong("latent/turned", "solves for the map from the first d+1 pictures and never tests it on the others")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        d = a.shape[1]
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)[: d + 1]
        X = torch.linalg.lstsq(design, b[: d + 1]).solution
        A, c = X[:-1], X[-1]
        if (design @ X - b[: d + 1]).abs().max() > 0.01 or torch.linalg.svdvals(A).min() < 1e-3:
            words.append("different")
        elif torch.allclose(A @ A.T, torch.eye(d, dtype=A.dtype), atol=1e-2) and c.abs().max() < 1e-2:
            words.append("turned")
        else:
            words.append("affine")
    return words


@wrong("latent/turned", "only signs and order of the latents: matched by correlation")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        d = a.shape[1]
        correlation = torch.corrcoef(torch.cat([a, b], 1).T)[:d, d:].abs()
        if (correlation.max(0).values > 0.999).all():
            scale = a.std(0).sort().values - b.std(0).sort().values
            words.append(
                "turned"
                if scale.abs().max() < 1e-2
                and (a.mean(0).abs().sort().values - b.mean(0).abs().sort().values).abs().max() < 1e-2
                else "affine"
            )
        else:
            words.append("different")
    return words


@wrong("latent/turned", "turned if the code's length is kept for every picture, different pictures not compared")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        design = torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)
        X = torch.linalg.lstsq(design, b).solution
        if (a.norm(dim=1) - b.norm(dim=1)).abs().max() < 0.01:
            words.append("turned")
        elif (design @ X - b).abs().max() < 0.01 and torch.linalg.svdvals(X[:-1]).min() > 1e-3:
            words.append("affine")
        else:
            words.append("different")
    return words


@wrong("latent/turned", "compares means and spectra of the covariances only, not picture by picture")
def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.double(), z_b.double()):
        spectrum_a = torch.linalg.eigvalsh(a.T @ a / len(a))
        spectrum_b = torch.linalg.eigvalsh(b.T @ b / len(b))
        if (spectrum_a - spectrum_b).abs().max() < 1e-2:
            words.append("turned")
        elif spectrum_b.min() > 1e-3:
            words.append("affine")
        else:
            words.append("different")
    return words
