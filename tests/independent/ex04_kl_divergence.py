import math

import numpy as np
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F

from independent import right, wrong

# ---------------------------------------------------------------- 1 kl/discrete


@wrong("kl/discrete", "0 log 0 gives nan")
def kl_discrete(q, p):
    return (q * (q.log() - p.log())).sum()


@wrong("kl/discrete", "direction: KL(p || q)")
def kl_discrete(q, p):
    return (p * (p / q).log()).sum()


@wrong("kl/discrete", "base 2: bits, not nats")
def kl_discrete(q, p):
    keep = q > 0
    return (q[keep] * torch.log2(q[keep] / p[keep])).sum()


@wrong("kl/discrete", "mean over the symbols in place of the sum")
def kl_discrete(q, p):
    return torch.xlogy(q, q / p).mean()


@wrong("kl/discrete", "cross-entropy: q's own entropy not taken off")
def kl_discrete(q, p):
    return -(q * p.log()).sum()


@wrong("kl/discrete", "sign: log p - log q")
def kl_discrete(q, p):
    keep = q > 0
    return (q[keep] * (p[keep] / q[keep]).log()).sum()


@wrong("kl/discrete", "F.kl_div with q and p exchanged")
def kl_discrete(q, p):
    return F.kl_div(q.log(), p, reduction="sum")


@wrong("kl/discrete", "F.kl_div given p, not log p")
def kl_discrete(q, p):
    return F.kl_div(p, q, reduction="sum")


@wrong("kl/discrete", "absolute value of each symbol's log ratio")
def kl_discrete(q, p):
    keep = q > 0
    return (q[keep] * (q[keep] / p[keep]).log().abs()).sum()


@wrong("kl/discrete", "replaces zeros of q in place")
def kl_discrete(q, p):
    q[q == 0] = 1e-10
    return (q * (q / p).log()).sum()


@wrong("kl/discrete", "infinite as soon as a symbol never comes")
def kl_discrete(q, p):
    if (q == 0).any():
        return torch.tensor(float("inf"))
    return (q * (q / p).log()).sum()


@wrong("kl/discrete", "drops symbols that never come and normalises p again")
def kl_discrete(q, p):
    keep = q > 0
    q, p = q[keep], p[keep]
    p = p / p.sum()
    return (q * (q / p).log()).sum()


@wrong("kl/discrete", "KL(p || q) with the zeros of q skipped")
def kl_discrete(q, p):
    keep = q > 0
    return (p[keep] * (p[keep] / q[keep]).log()).sum()


@wrong("kl/discrete", "softmax applied to probabilities")
def kl_discrete(q, p):
    log_q, log_p = torch.log_softmax(q, 0), torch.log_softmax(p, 0)
    return (log_q.exp() * (log_q - log_p)).sum()


@right("kl/discrete", "scipy's rel_entr")
def kl_discrete(q, p):
    total = scipy.special.rel_entr(q.detach().numpy(), p.detach().numpy()).sum()
    return torch.tensor(float(total), dtype=q.dtype)


@right("kl/discrete", "Python loop, zeros skipped")
def kl_discrete(q, p):
    total = 0.0
    for a, b in zip(q.tolist(), p.tolist()):
        if a > 0:
            total += a * (math.log(a) - math.log(b))
    return total


@right("kl/discrete", "F.kl_div with sum")
def kl_discrete(q, p):
    return F.kl_div(p.log(), q, reduction="sum")


# ---------------------------------------------------------------- 2 kl/standard_normal


@wrong("kl/standard_normal", "sign: negative of the KL")
def kl_to_standard_normal(mu, log_var):
    return 0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(dim=1)


@wrong("kl/standard_normal", "factor 1/2 forgotten")
def kl_to_standard_normal(mu, log_var):
    return (mu**2 + log_var.exp() - 1 - log_var).sum(dim=1)


@wrong("kl/standard_normal", "mean over the latents in place of the sum")
def kl_to_standard_normal(mu, log_var):
    return -0.5 * torch.mean(1 + log_var - mu.pow(2) - log_var.exp(), dim=1)


@wrong("kl/standard_normal", "sum over the batch too: one number")
def kl_to_standard_normal(mu, log_var):
    return -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())


@wrong("kl/standard_normal", "sum over the batch, one number for each latent (dim=0)")
def kl_to_standard_normal(mu, log_var):
    return -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp(), dim=0)


@wrong("kl/standard_normal", "averaged over the batch as in a training loss")
def kl_to_standard_normal(mu, log_var):
    return (-0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp(), dim=1)).mean()


@wrong("kl/standard_normal", "log sigma in place of log sigma^2 in the last term (halved twice)")
def kl_to_standard_normal(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - 0.5 * log_var).sum(dim=1)


@wrong("kl/standard_normal", "standard deviation in place of the variance")
def kl_to_standard_normal(mu, log_var):
    return 0.5 * (mu**2 + torch.exp(0.5 * log_var) - 1 - log_var).sum(dim=1)


@wrong("kl/standard_normal", "mu not squared")
def kl_to_standard_normal(mu, log_var):
    return 0.5 * (mu + log_var.exp() - 1 - log_var).sum(dim=1)


@wrong("kl/standard_normal", "-1 outside the sum over the latents")
def kl_to_standard_normal(mu, log_var):
    return 0.5 * ((mu**2 + log_var.exp() - log_var).sum(dim=1) - 1)


@wrong("kl/standard_normal", "direction: KL(N(0, I) || q)")
def kl_to_standard_normal(mu, log_var):
    q = torch.distributions.Normal(mu, torch.exp(0.5 * log_var))
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(p, q).sum(dim=1)


@wrong("kl/standard_normal", "torch.distributions given the variance as scale")
def kl_to_standard_normal(mu, log_var):
    q = torch.distributions.Normal(mu, log_var.exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(q, p).sum(dim=1)


@wrong("kl/standard_normal", "log_var left in place of its exponential")
def kl_to_standard_normal(mu, log_var):
    return 0.5 * (mu**2 + log_var - 1 - log_var.abs().log()).sum(dim=1)


@wrong("kl/standard_normal", "squares mu in place")
def kl_to_standard_normal(mu, log_var):
    return -0.5 * (1 + log_var - mu.detach().pow_(2) - log_var.exp()).sum(dim=1)


@right("kl/standard_normal", "torch.distributions, Independent")
def kl_to_standard_normal(mu, log_var):
    D = torch.distributions
    q = D.Independent(D.Normal(mu, torch.exp(0.5 * log_var)), 1)
    p = D.Independent(D.Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return D.kl_divergence(q, p)


@right("kl/standard_normal", "einsum for the squares, expm1 for the variances")
def kl_to_standard_normal(mu, log_var):
    squares = torch.einsum("bd,bd->b", mu, mu)
    widths = (torch.expm1(log_var) - log_var).sum(-1)
    return (squares + widths) / 2


@right("kl/standard_normal", "loop over pictures and latents")
def kl_to_standard_normal(mu, log_var):
    result = []
    for m, lv in zip(mu, log_var):
        kl = torch.zeros((), dtype=mu.dtype)
        for d in range(m.shape[0]):
            kl = kl + 0.5 * (m[d] * m[d] + lv[d].exp()) - 0.5 * lv[d] - 0.5
        result.append(kl)
    return torch.stack(result)


# ---------------------------------------------------------------- 3 kl/normals


@wrong("kl/normals", "direction: KL(p || q)")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    return 0.5 * (log_var_q - log_var_p + (log_var_p.exp() + (mu_q - mu_p) ** 2) / log_var_q.exp() - 1).sum(dim=1)


@wrong("kl/normals", "distance of the means not divided by p's variance")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    return 0.5 * (log_var_p - log_var_q + (log_var_q - log_var_p).exp() + (mu_q - mu_p) ** 2 - 1).sum(dim=1)


@wrong("kl/normals", "distance of the means divided by q's variance")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    return 0.5 * (log_var_p - log_var_q + (log_var_q - log_var_p).exp() + (mu_q - mu_p) ** 2 / log_var_q.exp() - 1).sum(
        dim=1
    )


@wrong("kl/normals", "sign of the log ratio")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    return 0.5 * (log_var_q - log_var_p + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1).sum(dim=1)


@wrong("kl/normals", "-1 forgotten")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    return 0.5 * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp()).sum(dim=1)


@wrong("kl/normals", "log sigma formula with log_var: log ratio not halved")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    return (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / (2 * log_var_p.exp()) - 0.5).sum(dim=1)


@wrong("kl/normals", "difference of the KLs to the standard normal")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    kl_q = 0.5 * (mu_q**2 + log_var_q.exp() - 1 - log_var_q).sum(dim=1)
    kl_p = 0.5 * (mu_p**2 + log_var_p.exp() - 1 - log_var_p).sum(dim=1)
    return kl_q - kl_p


@wrong("kl/normals", "torch.distributions given variances as scales")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    q = torch.distributions.Normal(mu_q, log_var_q.exp())
    p = torch.distributions.Normal(mu_p, log_var_p.exp())
    return torch.distributions.kl_divergence(q, p).sum(dim=1)


@wrong("kl/normals", "divided by p's standard deviation in place of its variance")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    sigma_p = torch.exp(0.5 * log_var_p)
    return 0.5 * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / sigma_p - 1).sum(dim=1)


@wrong("kl/normals", "mean over the latents")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    q = torch.distributions.Normal(mu_q, (0.5 * log_var_q).exp())
    p = torch.distributions.Normal(mu_p, (0.5 * log_var_p).exp())
    return torch.distributions.kl_divergence(q, p).mean(dim=1)


@wrong("kl/normals", "Monte Carlo estimate in place of the closed form")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    q = torch.distributions.Normal(mu_q, (0.5 * log_var_q).exp())
    p = torch.distributions.Normal(mu_p, (0.5 * log_var_p).exp())
    z = q.sample((1000,))
    return (q.log_prob(z) - p.log_prob(z)).sum(dim=-1).mean(dim=0)


@wrong("kl/normals", "symmetrised: mean of both directions")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    q = torch.distributions.Normal(mu_q, (0.5 * log_var_q).exp())
    p = torch.distributions.Normal(mu_p, (0.5 * log_var_p).exp())
    kl = torch.distributions.kl_divergence
    return 0.5 * (kl(q, p) + kl(p, q)).sum(dim=1)


@wrong("kl/normals", "log q - log p evaluated at q's mean only")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    q = torch.distributions.Normal(mu_q, (0.5 * log_var_q).exp())
    p = torch.distributions.Normal(mu_p, (0.5 * log_var_p).exp())
    return (q.log_prob(mu_q) - p.log_prob(mu_q)).sum(dim=1)


@wrong("kl/normals", "changes mu_q in place")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    mu_q -= mu_p
    return 0.5 * (log_var_p - log_var_q + (log_var_q.exp() + mu_q**2) / log_var_p.exp() - 1).sum(dim=1)


@right("kl/normals", "torch.distributions")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    q = torch.distributions.Normal(mu_q, (0.5 * log_var_q).exp())
    p = torch.distributions.Normal(mu_p, (0.5 * log_var_p).exp())
    return torch.distributions.kl_divergence(q, p).sum(-1)


@right("kl/normals", "standardised by p, then the KL to N(0, I)")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    mu = (mu_q - mu_p) * torch.exp(-0.5 * log_var_p)
    log_ratio = log_var_q - log_var_p
    return -0.5 * (1 + log_ratio - mu.square() - log_ratio.exp()).sum(dim=1)


@right("kl/normals", "cross-entropy minus entropy, einsum")
def kl_normals(mu_q, log_var_q, mu_p, log_var_p):
    precision = (-log_var_p).exp()
    second = log_var_q.exp() + (mu_q - mu_p) ** 2
    dims = mu_q.shape[1]
    cross = 0.5 * (dims * math.log(2 * math.pi) + log_var_p.sum(1) + torch.einsum("bd,bd->b", second, precision))
    entropy = 0.5 * (dims * math.log(2 * math.pi * math.e) + log_var_q.sum(1))
    return cross - entropy


# ---------------------------------------------------------------- 4 kl/estimate


@wrong("kl/estimate", "standard deviation, not divided by sqrt(N)")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1)
    return values.mean(), values.std()


@wrong("kl/estimate", "standard deviation divided by N")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1)
    return values.mean(), values.std() / len(eps)


@wrong("kl/estimate", "standard deviation with N, not N - 1 (numpy's default)")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1).detach().numpy()
    return float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))


@wrong("kl/estimate", "variance in place of the standard deviation")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1)
    return values.mean(), values.var() / len(eps)


@wrong("kl/estimate", "mean over the latents too, not their sum")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = q.log_prob(z) - p.log_prob(z)
    return values.mean(), values.std() / math.sqrt(values.numel())


@wrong("kl/estimate", "densities evaluated at eps: draws from the prior")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    values = (q.log_prob(eps) - p.log_prob(eps)).sum(dim=1)
    return values.mean(), values.std() / math.sqrt(len(eps))


@wrong("kl/estimate", "prior evaluated at eps, q at z")
def estimate_kl(mu, log_var, eps):
    sigma = (0.5 * log_var).exp()
    q = torch.distributions.Normal(mu, sigma)
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    values = (q.log_prob(mu + sigma * eps) - p.log_prob(eps)).sum(dim=1)
    return values.mean(), values.std() / math.sqrt(len(eps))


@wrong("kl/estimate", "variance used as scale")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, log_var.exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + log_var.exp() * eps
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1)
    return values.mean(), values.std() / math.sqrt(len(eps))


@wrong("kl/estimate", "closed form as the estimate")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1)
    return torch.distributions.kl_divergence(q, p).sum(), values.std() / math.sqrt(len(eps))


@wrong("kl/estimate", "draws its own samples, eps ignored")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = q.sample((len(eps),))
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1)
    return values.mean(), values.std() / math.sqrt(len(eps))


@wrong("kl/estimate", "standard errors of the latents added up")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = q.log_prob(z) - p.log_prob(z)
    return values.mean(dim=0).sum(), (values.std(dim=0) / math.sqrt(len(eps))).sum()


@wrong("kl/estimate", "normaliser of q forgotten: -log sigma missing")
def estimate_kl(mu, log_var, eps):
    z = mu + (0.5 * log_var).exp() * eps
    log_q = -0.5 * (eps**2).sum(dim=1)
    log_p = -0.5 * (z**2).sum(dim=1)
    values = log_q - log_p
    return values.mean(), values.std() / math.sqrt(len(eps))


@wrong("kl/estimate", "sign: log p - log q")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = (p.log_prob(z) - q.log_prob(z)).sum(dim=1)
    return values.mean(), values.std() / math.sqrt(len(eps))


@wrong("kl/estimate", "divided by sqrt(D): wrong axis counted")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + (0.5 * log_var).exp() * eps
    values = (q.log_prob(z) - p.log_prob(z)).sum(dim=1)
    return values.mean(), values.std() / math.sqrt(eps.shape[1])


@right("kl/estimate", "MultivariateNormal")
def estimate_kl(mu, log_var, eps):
    q = torch.distributions.MultivariateNormal(mu, torch.diag(log_var.exp()))
    p = torch.distributions.MultivariateNormal(torch.zeros_like(mu), torch.eye(len(mu), dtype=mu.dtype))
    z = mu + log_var.exp().sqrt() * eps
    values = q.log_prob(z) - p.log_prob(z)
    return values.mean(), values.std(unbiased=True) / values.numel() ** 0.5


@right("kl/estimate", "log-densities by hand, 2 pi cancels")
def estimate_kl(mu, log_var, eps):
    z = mu + torch.exp(log_var / 2) * eps
    ratio = 0.5 * (z.square() - eps.square() - log_var).sum(-1)
    n = ratio.shape[0]
    mean = ratio.sum() / n
    return mean, torch.sqrt(((ratio - mean) ** 2).sum() / (n - 1) / n)


@right("kl/estimate", "scipy.stats: logpdf and sem, loop over the samples")
def estimate_kl(mu, log_var, eps):
    m, s = mu.detach().double().numpy(), np.exp(log_var.detach().double().numpy() / 2)
    values = []
    for e in eps.detach().double().numpy():
        z = m + s * e
        values.append(scipy.stats.norm.logpdf(z, m, s).sum() - scipy.stats.norm.logpdf(z).sum())
    return float(np.mean(values)), float(scipy.stats.sem(values))


# ---------------------------------------------------------------- 5 kl/closest_normal


@wrong("kl/closest_normal", "only the mean of the variances: spread of the means forgotten")
def closest_normal(weights, means, variances):
    return (weights * means).sum(), (weights * variances).sum()


@wrong("kl/closest_normal", "only the spread of the means: variances of the parts forgotten")
def closest_normal(weights, means, variances):
    m = (weights * means).sum()
    return m, (weights * (means - m) ** 2).sum()


@wrong("kl/closest_normal", "variance of a weighted sum of variables: weights squared")
def closest_normal(weights, means, variances):
    return (weights * means).sum(), (weights**2 * variances).sum()


@wrong("kl/closest_normal", "second moment, square of the mean not taken off")
def closest_normal(weights, means, variances):
    m = (weights * means).sum()
    return m, (weights * (variances + means**2)).sum()


@wrong("kl/closest_normal", "weights ignored: plain averages")
def closest_normal(weights, means, variances):
    m = means.mean()
    return m, variances.mean() + ((means - m) ** 2).mean()


@wrong("kl/closest_normal", "the heaviest part: mode seeking, the other direction")
def closest_normal(weights, means, variances):
    k = weights.argmax()
    return means[k], variances[k]


@wrong("kl/closest_normal", "product of Gaussians: weighted precisions (least mean KL(q || part))")
def closest_normal(weights, means, variances):
    precision = (weights / variances).sum()
    return (weights * means / variances).sum() / precision, 1 / precision


@wrong("kl/closest_normal", "returns the standard deviation")
def closest_normal(weights, means, variances):
    m = (weights * means).sum()
    return m, (weights * (variances + (means - m) ** 2)).sum().sqrt()


@wrong("kl/closest_normal", "standard deviations averaged, then squared, plus spread of the means")
def closest_normal(weights, means, variances):
    m = (weights * means).sum()
    return m, (weights * variances.sqrt()).sum() ** 2 + (weights * (means - m) ** 2).sum()


@wrong("kl/closest_normal", "results in the wrong order")
def closest_normal(weights, means, variances):
    m = (weights * means).sum()
    return (weights * (variances + (means - m) ** 2)).sum(), m


@wrong("kl/closest_normal", "variances squared, as if they were standard deviations")
def closest_normal(weights, means, variances):
    m = (weights * means).sum()
    return m, (weights * (variances**2 + (means - m) ** 2)).sum()


@wrong("kl/closest_normal", "spread of the means unweighted with N - 1 (means.var())")
def closest_normal(weights, means, variances):
    return (weights * means).sum(), (weights * variances).sum() + means.var()


@wrong("kl/closest_normal", "mean and variance of random samples of the mixture")
def closest_normal(weights, means, variances):
    k = torch.multinomial(weights, 10_000, replacement=True)
    z = means[k] + variances[k].sqrt() * torch.randn(10_000)
    return z.mean(), z.var()


@wrong("kl/closest_normal", "mean taken off the averaged second moment without squaring")
def closest_normal(weights, means, variances):
    m = (weights * means).sum()
    return m, (weights * (variances + means**2)).sum() - m


@right("kl/closest_normal", "second moment minus squared mean, dot products in double precision")
def closest_normal(weights, means, variances):
    w, m, v = weights.double(), means.double(), variances.double()
    mean = w @ m
    return mean, w @ (v + m * m) - mean * mean


@right("kl/closest_normal", "MixtureSameFamily of torch.distributions")
def closest_normal(weights, means, variances):
    D = torch.distributions
    mixture = D.MixtureSameFamily(D.Categorical(probs=weights), D.Normal(means, variances.sqrt()))
    return mixture.mean, mixture.variance


@right("kl/closest_normal", "loop: within plus between, floats")
def closest_normal(weights, means, variances):
    parts = list(zip(weights.tolist(), means.tolist(), variances.tolist()))
    mean = sum(w * m for w, m, _ in parts)
    within = sum(w * v for w, _, v in parts)
    between = sum(w * (m - mean) ** 2 for w, m, _ in parts)
    return mean, within + between


# ---------------------------------------------------------------- 6 kl/split


@wrong("kl/split", "average KL to the prior in place of the mutual information")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    average = (q_z_given_x * (q_z_given_x / p_z).log()).sum(dim=1).mean()
    return average, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "second is the total, not KL(q(z) || p(z))")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    information = (q_z_given_x * (q_z_given_x / q_z).log()).sum(dim=1).mean()
    return information, (q_z_given_x * (q_z_given_x / p_z).log()).sum(dim=1).mean()


@wrong("kl/split", "results in the wrong order")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    information = (q_z_given_x * (q_z_given_x / q_z).log()).sum(dim=1).mean()
    return (q_z * (q_z / p_z).log()).sum(), information


@wrong("kl/split", "direction: KL(p(z) || q(z))")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    information = (q_z_given_x * (q_z_given_x / q_z).log()).sum(dim=1).mean()
    return information, (p_z * (p_z / q_z).log()).sum()


@wrong("kl/split", "direction inside the information: KL(q(z) || q(z|x))")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    information = (q_z * (q_z / q_z_given_x).log()).sum(dim=1).mean()
    return information, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "information summed over the pictures, not averaged")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    information = (q_z_given_x * (q_z_given_x / q_z).log()).sum()
    return information, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "mean over the states as well")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    information = (q_z_given_x * (q_z_given_x / q_z).log()).mean()
    return information, (q_z * (q_z / p_z).log()).mean()


@wrong("kl/split", "mean over the wrong axis (dim=1), only runs on square tables")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=1)
    information = (q_z_given_x * (q_z_given_x / q_z).log()).sum(dim=1).mean()
    return information, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "q(z) summed over the pictures without 1/N")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.sum(dim=0)
    information = (q_z_given_x * (q_z_given_x / q_z).log()).sum(dim=1).mean()
    return information, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "bits, not nats")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    information = (q_z_given_x * torch.log2(q_z_given_x / q_z)).sum(dim=1).mean()
    return information, (q_z * torch.log2(q_z / p_z)).sum()


@wrong("kl/split", "p(x) = 1/N missing in the product of the marginals: off by log N")
def split_kl(q_z_given_x, p_z):
    n = q_z_given_x.shape[0]
    joint = q_z_given_x / n
    q_z = joint.sum(dim=0)
    information = (joint * (joint / q_z).log()).sum()
    return information, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "entropy of the prior in place of the entropy of q(z)")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    prior_entropy = -(p_z * p_z.log()).sum()
    conditional = -(q_z_given_x * q_z_given_x.log()).sum(dim=1).mean()
    return prior_entropy - conditional, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "sign: H(z|x) - H(z)")
def split_kl(q_z_given_x, p_z):
    q_z = q_z_given_x.mean(dim=0)
    entropy = -(q_z * q_z.log()).sum()
    conditional = -(q_z_given_x * q_z_given_x.log()).sum(dim=1).mean()
    return conditional - entropy, (q_z * (q_z / p_z).log()).sum()


@wrong("kl/split", "divides the table in place")
def split_kl(q_z_given_x, p_z):
    n = q_z_given_x.shape[0]
    joint = q_z_given_x
    joint /= n
    q_z = joint.sum(dim=0)
    information = (joint * (joint * n / q_z).log()).sum()
    return information, (q_z * (q_z / p_z).log()).sum()


@right("kl/split", "entropies: H(z) - H(z|x), Categorical")
def split_kl(q_z_given_x, p_z):
    C = torch.distributions.Categorical
    q_z = q_z_given_x.mean(0)
    information = C(probs=q_z).entropy() - C(probs=q_z_given_x).entropy().mean()
    return information, torch.distributions.kl_divergence(C(probs=q_z), C(probs=p_z))


@right("kl/split", "scipy's entropy, information as total minus mismatch")
def split_kl(q_z_given_x, p_z):
    table, prior = q_z_given_x.detach().double().numpy(), p_z.detach().double().numpy()
    mismatch = scipy.special.rel_entr(table.mean(axis=0), prior).sum()
    total = scipy.special.rel_entr(table, prior[None, :]).sum() / table.shape[0]
    return float(total - mismatch), float(mismatch)


@right("kl/split", "loops over pictures and states")
def split_kl(q_z_given_x, p_z):
    table, prior = q_z_given_x.tolist(), p_z.tolist()
    n, k = len(table), len(prior)
    q_z = [sum(row[j] for row in table) / n for j in range(k)]
    information = 0.0
    for row in table:
        for j in range(k):
            information += row[j] / n * math.log(row[j] / q_z[j])
    mismatch = sum(a * math.log(a / b) for a, b in zip(q_z, prior))
    return information, mismatch
