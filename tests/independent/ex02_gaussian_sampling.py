import math

import numpy as np
import scipy.linalg
import scipy.stats
import torch
from torch.nn import functional as F

from independent import right, wrong

# ---------------------------------------------------------------- gaussian/sample


@wrong("gaussian/sample", "variance instead of standard deviation")
def sample(mu, log_var, eps):
    return mu + log_var.exp() * eps


@wrong("gaussian/sample", "log_var used as sigma")
def sample(mu, log_var, eps):
    return mu + log_var * eps


@wrong("gaussian/sample", "1/2 on the wrong side: 0.5 * exp(log_var)")
def sample(mu, log_var, eps):
    return mu + 0.5 * torch.exp(log_var) * eps


@wrong("gaussian/sample", "sign in the exponent: precision, 1 / sigma")
def sample(mu, log_var, eps):
    return mu + torch.exp(-0.5 * log_var) * eps


@wrong("gaussian/sample", "sigma detached: no gradient to log_var")
def sample(mu, log_var, eps):
    sigma = (0.5 * log_var).exp().detach()
    return mu + sigma * eps


@wrong("gaussian/sample", "under no_grad: no gradients at all")
def sample(mu, log_var, eps):
    with torch.no_grad():
        return mu + torch.exp(log_var / 2) * eps


@wrong("gaussian/sample", "torch.distributions draws its own noise, the given eps is not used")
def sample(mu, log_var, eps):
    return torch.distributions.Normal(mu, (0.5 * log_var).exp()).rsample((eps.shape[0],))


@wrong("gaussian/sample", "the same noise for all K draws")
def sample(mu, log_var, eps):
    z = mu + (0.5 * log_var).exp() * eps[0]
    return z.expand(eps.shape[0], *z.shape)


@wrong("gaussian/sample", "the K draws averaged: (B, D)")
def sample(mu, log_var, eps):
    return (mu + (0.5 * log_var).exp() * eps).mean(0)


@wrong("gaussian/sample", "draws in the second place: (B, K, D)")
def sample(mu, log_var, eps):
    return mu[:, None] + (0.5 * log_var).exp()[:, None] * eps.transpose(0, 1)


@wrong("gaussian/sample", "overwrites eps in place")
def sample(mu, log_var, eps):
    return eps.mul_((0.5 * log_var).exp()).add_(mu)


@wrong("gaussian/sample", "mean detached, made into a plain tensor")
def sample(mu, log_var, eps):
    return torch.as_tensor(mu.detach().numpy()) + (0.5 * log_var).exp() * eps


@wrong("gaussian/sample", "softplus instead of exp for sigma")
def sample(mu, log_var, eps):
    return mu + F.softplus(log_var).sqrt() * eps


@wrong("gaussian/sample", "log_var taken as log sigma and the noise scales the sum: (mu + sigma) * eps")
def sample(mu, log_var, eps):
    return (mu + (0.5 * log_var).exp()) * eps


@right("gaussian/sample", "the one-liner")
def sample(mu, log_var, eps):
    return mu + torch.exp(0.5 * log_var) * eps


@right("gaussian/sample", "AffineTransform of torch.distributions")
def sample(mu, log_var, eps):
    return torch.distributions.transforms.AffineTransform(mu, log_var.div(2).exp())(eps)


@right("gaussian/sample", "loop over the draws and pictures, diagonal matrices")
def sample(mu, log_var, eps):
    draws = []
    for noise in eps:
        rows = []
        for m, lv, e in zip(mu, log_var, noise):
            rows.append(torch.addmv(m, torch.diag(math.e ** (lv / 2)), e))
        draws.append(torch.stack(rows))
    return torch.stack(draws)


# ---------------------------------------------------------------- gaussian/sample_full


@wrong("gaussian/sample_full", "transpose forgotten: eps @ L for rows")
def sample_full(mu, covariance, eps):
    return mu + eps @ torch.linalg.cholesky(covariance)


@wrong("gaussian/sample_full", "multiplied with the covariance itself")
def sample_full(mu, covariance, eps):
    return mu + eps @ covariance


@wrong("gaussian/sample_full", "only the diagonal is used")
def sample_full(mu, covariance, eps):
    return mu + covariance.diagonal().sqrt() * eps


@wrong("gaussian/sample_full", "root of every entry of the matrix")
def sample_full(mu, covariance, eps):
    return mu + eps @ covariance.abs().sqrt().T


@wrong("gaussian/sample_full", "symmetric root instead of the triangular one")
def sample_full(mu, covariance, eps):
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    return mu + eps @ root


@wrong("gaussian/sample_full", "eigenvectors times root of eigenvalues: an L that is not triangular")
def sample_full(mu, covariance, eps):
    values, vectors = torch.linalg.eigh(covariance)
    return mu + eps @ (vectors * values.clamp(min=0).sqrt()).T


@wrong("gaussian/sample_full", "Cholesky of the precision matrix")
def sample_full(mu, covariance, eps):
    return mu + eps @ torch.linalg.cholesky(torch.linalg.inv(covariance)).T


@wrong("gaussian/sample_full", "mean forgotten")
def sample_full(mu, covariance, eps):
    return eps @ torch.linalg.cholesky(covariance).T


@wrong("gaussian/sample_full", "MultivariateNormal draws its own noise")
def sample_full(mu, covariance, eps):
    return torch.distributions.MultivariateNormal(mu, covariance).sample((len(eps),))


@wrong("gaussian/sample_full", "Cholesky of the correlation matrix, spreads forgotten")
def sample_full(mu, covariance, eps):
    s = covariance.diagonal().sqrt()
    return mu + eps @ torch.linalg.cholesky(covariance / torch.outer(s, s)).T


@wrong("gaussian/sample_full", "mean inside: (mu + eps) L^T")
def sample_full(mu, covariance, eps):
    return (mu + eps) @ torch.linalg.cholesky(covariance).T


@wrong("gaussian/sample_full", "0.01 added to the diagonal 'for stability'")
def sample_full(mu, covariance, eps):
    jitter = 1e-2 * torch.eye(len(mu), dtype=covariance.dtype)
    return mu + eps @ torch.linalg.cholesky(covariance + jitter).T


@wrong("gaussian/sample_full", "lower triangle of the covariance instead of its Cholesky factor")
def sample_full(mu, covariance, eps):
    return mu + eps @ torch.tril(covariance).T


@wrong("gaussian/sample_full", "draws as columns: (D, N)")
def sample_full(mu, covariance, eps):
    return mu[:, None] + torch.linalg.cholesky(covariance) @ eps.T


@right("gaussian/sample_full", "torch.linalg.cholesky, transposed")
def sample_full(mu, covariance, eps):
    return mu + eps @ torch.linalg.cholesky(covariance).mT


@right("gaussian/sample_full", "scale_tril of MultivariateNormal, einsum")
def sample_full(mu, covariance, eps):
    lower = torch.distributions.MultivariateNormal(mu, covariance_matrix=covariance, validate_args=False).scale_tril
    return torch.einsum("ij,nj->ni", lower, eps) + mu


@right("gaussian/sample_full", "Cholesky by hand in loops, row by row")
def sample_full(mu, covariance, eps):
    d = len(mu)
    lower = [[0.0] * d for _ in range(d)]
    for i in range(d):
        for j in range(i + 1):
            rest = float(covariance[i, j]) - sum(lower[i][k] * lower[j][k] for k in range(j))
            lower[i][j] = math.sqrt(rest) if i == j else rest / lower[j][j]
    matrix = torch.tensor(lower, dtype=eps.dtype)
    return torch.stack([mu + matrix.mv(row) for row in eps])


# ---------------------------------------------------------------- gaussian/repair


@wrong("gaussian/repair", "noise still uniform in [-1, 1]")
def sample_codes(mu, log_var, n, generator):
    noise = 2 * torch.rand((n, *mu.shape), generator=generator, dtype=mu.dtype) - 1
    return mu + (0.5 * log_var).exp() * noise


@wrong("gaussian/repair", "uniform noise scaled to variance 1: right variance, not Gaussian")
def sample_codes(mu, log_var, n, generator):
    noise = math.sqrt(3) * (2 * torch.rand((n, *mu.shape), generator=generator, dtype=mu.dtype) - 1)
    return mu + (0.5 * log_var).exp() * noise


@wrong("gaussian/repair", "all pictures still share their noise")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((n, 1, mu.shape[1]), generator=generator, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * noise


@wrong("gaussian/repair", "all n draws share their noise")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((1, *mu.shape), generator=generator, dtype=mu.dtype).expand(n, -1, -1)
    return mu + (0.5 * log_var).exp() * noise


@wrong("gaussian/repair", "all latents of a picture share their noise")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((n, mu.shape[0], 1), generator=generator, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * noise


@wrong("gaussian/repair", "still scaled by the variance")
def sample_codes(mu, log_var, n, generator):
    return mu + log_var.exp() * torch.randn((n, *mu.shape), generator=generator, dtype=mu.dtype)


@wrong("gaussian/repair", "generator not used: global random numbers")
def sample_codes(mu, log_var, n, generator):
    return mu + (0.5 * log_var).exp() * torch.randn((n, *mu.shape), dtype=mu.dtype)


@wrong("gaussian/repair", "generator set back to seed 0: every call gives the same noise")
def sample_codes(mu, log_var, n, generator):
    generator.manual_seed(0)
    return mu + (0.5 * log_var).exp() * torch.randn((n, *mu.shape), generator=generator, dtype=mu.dtype)


@wrong("gaussian/repair", "its seed is put into the global generator, which then draws")
def sample_codes(mu, log_var, n, generator):
    torch.manual_seed(generator.initial_seed())
    return mu + (0.5 * log_var).exp() * torch.randn((n, *mu.shape), dtype=mu.dtype)


@wrong("gaussian/repair", "shape (B, n, D)")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((mu.shape[0], n, mu.shape[1]), generator=generator, dtype=mu.dtype)
    return mu[:, None] + (0.5 * log_var).exp()[:, None] * noise


@wrong("gaussian/repair", "antithetic pairs eps, -eps: draws not independent")
def sample_codes(mu, log_var, n, generator):
    half = torch.randn(((n + 1) // 2, *mu.shape), generator=generator, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * torch.cat([half, -half])[:n]


@wrong("gaussian/repair", "noise standardised over the draws: mean exactly mu, draws not independent")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((n, *mu.shape), generator=generator, dtype=mu.dtype)
    if n > 1:
        noise = (noise - noise.mean(0)) / noise.std(0)
    return mu + (0.5 * log_var).exp() * noise


@wrong("gaussian/repair", "noise clamped to two sigma: tails cut off")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((n, *mu.shape), generator=generator, dtype=mu.dtype).clamp(-2, 2)
    return mu + (0.5 * log_var).exp() * noise


@wrong("gaussian/repair", "noise added to log_var's scale before the exponential: log-normal")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((n, *mu.shape), generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * log_var + noise) - torch.exp(0.5 * log_var + 0.5)


@right("gaussian/repair", "torch.randn with the generator")
def sample_codes(mu, log_var, n, generator):
    noise = torch.randn((n, *mu.shape), generator=generator, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * noise


@right("gaussian/repair", "torch.normal on expanded parameters, picture by picture")
def sample_codes(mu, log_var, n, generator):
    pictures = []
    for m, lv in zip(mu, log_var):
        pictures.append(torch.normal(m.repeat(n, 1), (lv / 2).exp().repeat(n, 1), generator=generator))
    return torch.stack(pictures, dim=1)


@right("gaussian/repair", "Box-Muller from uniform numbers")
def sample_codes(mu, log_var, n, generator):
    u = torch.rand((2, n, *mu.shape), generator=generator, dtype=torch.float64)
    gauss = (-2 * torch.log1p(-u[0])).sqrt() * torch.cos(2 * math.pi * u[1])
    return torch.addcmul(mu, (log_var / 2).exp(), gauss.to(mu.dtype))


# ---------------------------------------------------------------- gaussian/squared_length


@wrong("gaussian/squared_length", "the lesson's d and sqrt(2 d), whatever mu and log_var are")
def squared_length(mu, log_var):
    b, d = mu.shape
    return torch.full((b,), float(d), dtype=mu.dtype), torch.full((b,), math.sqrt(2 * d), dtype=mu.dtype)


@wrong("gaussian/squared_length", "mu left out of the mean: sum of variances only")
def squared_length(mu, log_var):
    v = log_var.exp()
    return v.sum(1), (2 * v**2 + 4 * mu**2 * v).sum(1).sqrt()


@wrong("gaussian/squared_length", "cross term 4 mu^2 sigma^2 left out")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu**2 + v).sum(1), (2 * v**2).sum(1).sqrt()


@wrong("gaussian/squared_length", "variance instead of standard deviation: root forgotten")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu**2 + v).sum(1), (2 * v**2 + 4 * mu**2 * v).sum(1)


@wrong("gaussian/squared_length", "standard deviations added instead of variances")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu**2 + v).sum(1), (2 * v**2 + 4 * mu**2 * v).sqrt().sum(1)


@wrong("gaussian/squared_length", "cross term 2 mu^2 sigma^2: the 2 not squared")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu**2 + v).sum(1), (2 * v**2 + 2 * mu**2 * v).sum(1).sqrt()


@wrong("gaussian/squared_length", "3 sigma^4 instead of 2: the squared mean not subtracted")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu**2 + v).sum(1), (3 * v**2 + 4 * mu**2 * v).sum(1).sqrt()


@wrong("gaussian/squared_length", "exp(log_var) taken for sigma and squared again")
def squared_length(mu, log_var):
    v = log_var.exp().square()
    return (mu**2 + v).sum(1), (2 * v**2 + 4 * mu**2 * v).sum(1).sqrt()


@wrong("gaussian/squared_length", "averages over the latents instead of sums")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu**2 + v).mean(1), (2 * v**2 + 4 * mu**2 * v).mean(1).sqrt()


@wrong("gaussian/squared_length", "sums over the pictures (dim 0)")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu**2 + v).sum(0), (2 * v**2 + 4 * mu**2 * v).sum(0).sqrt()


@wrong("gaussian/squared_length", "a simulation instead of formulas")
def squared_length(mu, log_var):
    eps = torch.randn((10_000, *mu.shape), dtype=mu.dtype)
    squares = (mu + (0.5 * log_var).exp() * eps).square().sum(-1)
    return squares.mean(0), squares.std(0)


@wrong("gaussian/squared_length", "sqrt(2 * mean): rule of the standard Gaussian carried over")
def squared_length(mu, log_var):
    mean = (mu**2 + log_var.exp()).sum(1)
    return mean, (2 * mean).sqrt()


@wrong("gaussian/squared_length", "mean and standard deviation in the wrong order")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (2 * v**2 + 4 * mu**2 * v).sum(1).sqrt(), (mu**2 + v).sum(1)


@wrong("gaussian/squared_length", "sigma instead of sigma^2 everywhere")
def squared_length(mu, log_var):
    s = (0.5 * log_var).exp()
    return (mu**2 + s).sum(1), (2 * s**2 + 4 * mu**2 * s).sum(1).sqrt()


@right("gaussian/squared_length", "direct formula")
def squared_length(mu, log_var):
    v = log_var.exp()
    return (mu.square() + v).sum(1), (2 * v.square() + 4 * mu.square() * v).sum(1).sqrt()


@right("gaussian/squared_length", "quadratic form with matrices and einsum")
def squared_length(mu, log_var):
    s = torch.diag_embed(torch.exp(log_var))
    mean = torch.einsum("bii->b", s) + torch.einsum("bi,bi->b", mu, mu)
    variance = 2 * torch.einsum("bij,bji->b", s, s) + 4 * torch.einsum("bi,bij,bj->b", mu, s, mu)
    return mean, torch.sqrt(variance)


@right("gaussian/squared_length", "Python loops, moments of a sum mu^2 + 2 mu sigma e + sigma^2 e^2")
def squared_length(mu, log_var):
    means, deviations = [], []
    for row_m, row_l in zip(mu.tolist(), log_var.tolist()):
        mean = variance = 0.0
        for m, lv in zip(row_m, row_l):
            sigma = math.exp(lv / 2)
            linear, quadratic = 2 * m * sigma, sigma**2
            mean += m**2 + quadratic * 1
            variance += linear**2 * 1 + quadratic**2 * (3 - 1)  # e and e^2 are uncorrelated
        means.append(mean)
        deviations.append(math.sqrt(variance))
    return torch.tensor(means, dtype=mu.dtype), torch.tensor(deviations, dtype=mu.dtype)


# ---------------------------------------------------------------- gaussian/best_log_var


@wrong("gaussian/best_log_var", "marginal variances, with KL(p || q)")
def best_log_var(covariance):
    log_var = covariance.diagonal().log()
    return log_var, 0.5 * (log_var.sum() - torch.logdet(covariance))


@wrong("gaussian/best_log_var", "marginal variances, with KL(q || p)")
def best_log_var(covariance):
    log_var = covariance.diagonal().log()
    trace = (torch.linalg.inv(covariance).diagonal() * log_var.exp()).sum()
    return log_var, 0.5 * (trace - len(covariance) + torch.logdet(covariance) - log_var.sum())


@wrong("gaussian/best_log_var", "right variances, but loss by KL(p || q)")
def best_log_var(covariance):
    precision = torch.linalg.inv(covariance).diagonal()
    log_var = -precision.log()
    trace = (covariance.diagonal() * precision).sum()
    return log_var, 0.5 * (trace - len(covariance) + log_var.sum() - torch.logdet(covariance))


@wrong("gaussian/best_log_var", "loss with the wrong sign")
def best_log_var(covariance):
    log_var = -torch.linalg.inv(covariance).diagonal().log()
    return log_var, 0.5 * (log_var.sum() - torch.logdet(covariance))


@wrong("gaussian/best_log_var", "log of the precision instead of the variance: sign of log_var")
def best_log_var(covariance):
    log_precision = torch.linalg.inv(covariance).diagonal().log()
    return log_precision, 0.5 * (torch.logdet(covariance) + log_precision.sum())


@wrong("gaussian/best_log_var", "log sigma instead of log sigma^2")
def best_log_var(covariance):
    log_var = -torch.linalg.inv(covariance).diagonal().log()
    return 0.5 * log_var, 0.5 * (torch.logdet(covariance) - log_var.sum())


@wrong("gaussian/best_log_var", "factor 1/2 of the KL divergence missing")
def best_log_var(covariance):
    log_var = -torch.linalg.inv(covariance).diagonal().log()
    return log_var, torch.logdet(covariance) - log_var.sum()


@wrong("gaussian/best_log_var", "variances returned, not their logarithms")
def best_log_var(covariance):
    variance = 1 / torch.linalg.inv(covariance).diagonal()
    return variance, 0.5 * (torch.logdet(covariance) - variance.log().sum())


@wrong("gaussian/best_log_var", "eigenvalues of the covariance: nothing seems to be lost")
def best_log_var(covariance):
    log_var = torch.linalg.eigvalsh(covariance).log()
    return log_var, 0.5 * (torch.logdet(covariance) - log_var.sum()).abs()


@wrong("gaussian/best_log_var", "squared diagonal of the Cholesky factor: conditioned on earlier latents only")
def best_log_var(covariance):
    log_var = 2 * torch.linalg.cholesky(covariance).diagonal().log()
    trace = (torch.linalg.inv(covariance).diagonal() * log_var.exp()).sum()
    return log_var, 0.5 * (trace - len(covariance) + torch.logdet(covariance) - log_var.sum())


@wrong("gaussian/best_log_var", "loss in bits")
def best_log_var(covariance):
    log_var = -torch.linalg.inv(covariance).diagonal().log()
    return log_var, 0.5 * (torch.logdet(covariance) - log_var.sum()) / math.log(2)


@wrong("gaussian/best_log_var", "one variance for all latents (isotropic q)")
def best_log_var(covariance):
    d = len(covariance)
    precision = torch.linalg.inv(covariance)
    log_var = torch.log(d / precision.trace()).expand(d)
    return log_var, 0.5 * (torch.logdet(covariance) - log_var.sum())


@wrong("gaussian/best_log_var", "trace term forgotten in the KL divergence: D / 2 too little")
def best_log_var(covariance):
    log_var = -torch.linalg.inv(covariance).diagonal().log()
    return log_var, 0.5 * (torch.logdet(covariance) - log_var.sum() - len(covariance))


@wrong("gaussian/best_log_var", "formula for two latents of variance 1, as in the example, for every pair")
def best_log_var(covariance):
    s = covariance.diagonal().sqrt()
    rho = (covariance / torch.outer(s, s))[0, -1]
    log_var = torch.log1p(-rho.square()).expand(len(covariance))
    return log_var, -0.5 * torch.log1p(-rho.square())


@right("gaussian/best_log_var", "inverse and slogdet")
def best_log_var(covariance):
    log_var = -torch.linalg.inv(covariance).diagonal().log()
    return log_var, 0.5 * (torch.linalg.slogdet(covariance).logabsdet - log_var.sum())


@right("gaussian/best_log_var", "torch.distributions: kl_divergence of two multivariate normals")
def best_log_var(covariance):
    zero = torch.zeros(len(covariance), dtype=covariance.dtype)
    p = torch.distributions.MultivariateNormal(zero, covariance, validate_args=False)
    variance = 1 / p.precision_matrix.diagonal()
    q = torch.distributions.MultivariateNormal(zero, torch.diag(variance), validate_args=False)
    return variance.log(), torch.distributions.kl_divergence(q, p).item()


@right("gaussian/best_log_var", "loop: conditional variance of each latent given all others, numpy and scipy")
def best_log_var(covariance):
    c = covariance.detach().double().numpy()
    logs = []
    for i in range(len(c)):
        rest = [j for j in range(len(c)) if j != i]
        explained = c[i, rest] @ scipy.linalg.solve(c[np.ix_(rest, rest)], c[rest, i], assume_a="pos") if rest else 0.0
        logs.append(math.log(c[i, i] - explained))
    logdet = 2 * float(np.log(np.diag(scipy.linalg.cholesky(c, lower=True))).sum())
    return torch.tensor(logs, dtype=covariance.dtype), (logdet - sum(logs)) / 2


# ---------------------------------------------------------------- gaussian/samplers


@wrong("gaussian/samplers", "fixed tolerance of 0.1: neither scale nor N considered")
def judge_samplers(z, mu, covariance):
    words = []
    for draws in z:
        c = torch.cov(draws.T).reshape(covariance.shape)
        off = (c - covariance).abs()
        if ((draws.mean(0) - mu).abs() > 0.1).any():
            words.append("mean")
        elif (off.diagonal() > 0.1).any():
            words.append("variance")
        elif (off > 0.1).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "two standard errors: chance trips it in so many checks")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    error = ((torch.outer(v, v) + covariance**2) / n).sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs() / error
        if ((draws.mean(0) - mu).abs() > 2 * (v / n).sqrt()).any():
            words.append("mean")
        elif (off.diagonal() > 2).any():
            words.append("variance")
        elif (off > 2).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "order: covariance asked before variance and mean")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    error = ((torch.outer(v, v) + covariance**2) / n).sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs() / error
        if (off > 5).any():
            words.append("covariance")
        elif (off.diagonal() > 5).any():
            words.append("variance")
        elif ((draws.mean(0) - mu).abs() > 5 * (v / n).sqrt()).any():
            words.append("mean")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "five standard deviations of one draw: sqrt(N) forgotten")
def judge_samplers(z, mu, covariance):
    v = covariance.diagonal()
    error = (torch.outer(v, v) + covariance**2).sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs() / error
        if ((draws.mean(0) - mu).abs() > 5 * v.sqrt()).any():
            words.append("mean")
        elif (off.diagonal() > 5).any():
            words.append("variance")
        elif (off > 5).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "sign: only means and variances that are too large are seen")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    error = ((torch.outer(v, v) + covariance**2) / n).sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance) / error
        if (draws.mean(0) - mu > 5 * (v / n).sqrt()).any():
            words.append("mean")
        elif (off.diagonal() > 5).any():
            words.append("variance")
        elif (off > 5).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "covariances never looked at")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    words = []
    for draws in z:
        if ((draws.mean(0) - mu).abs() > 5 * (v / n).sqrt()).any():
            words.append("mean")
        elif ((draws.var(0) - v).abs() > 5 * v * (2 / n) ** 0.5).any():
            words.append("variance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "only neighbouring latents compared for covariance")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    error = ((torch.outer(v, v) + covariance**2) / n).sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs() / error
        if ((draws.mean(0) - mu).abs() > 5 * (v / n).sqrt()).any():
            words.append("mean")
        elif (off.diagonal() > 5).any():
            words.append("variance")
        elif (off.diagonal(1) > 5).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "deviations averaged over the latents: a single wrong latent drowns")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    error = ((torch.outer(v, v) + covariance**2) / n).sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs() / error
        if ((draws.mean(0) - mu).abs() / (v / n).sqrt()).mean() > 5:
            words.append("mean")
        elif off.diagonal().mean() > 5:
            words.append("variance")
        elif off.mean() > 5:
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "five per cent relative tolerance, N not considered")
def judge_samplers(z, mu, covariance):
    s = covariance.diagonal().sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs() / torch.outer(s, s)
        if ((draws.mean(0) - mu).abs() / s > 0.05).any():
            words.append("mean")
        elif (off.diagonal() > 0.05).any():
            words.append("variance")
        elif (off > 0.05).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "standard error of the mean used for variances and covariances too")
def judge_samplers(z, mu, covariance):
    n, s = z.shape[1], covariance.diagonal().sqrt()
    error = 5 * s / n**0.5
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs()
        if ((draws.mean(0) - mu).abs() > error).any():
            words.append("mean")
        elif (off.diagonal() > error).any():
            words.append("variance")
        elif (off > error).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "one word for all samplers: any fault is given to every one")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    error = ((torch.outer(v, v) + covariance**2) / n).sqrt()
    off = torch.stack([(torch.cov(d.T).reshape(covariance.shape) - covariance).abs() / error for d in z])
    if ((z.mean(1) - mu).abs() > 5 * (v / n).sqrt()).any():
        word = "mean"
    elif (off.diagonal(dim1=1, dim2=2) > 5).any():
        word = "variance"
    elif (off > 5).any():
        word = "covariance"
    else:
        word = "fine"
    return [word] * len(z)


@wrong("gaussian/samplers", "correlation of the draws compared with the claimed covariance")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    words = []
    for draws in z:
        off = (torch.corrcoef(draws.T).reshape(covariance.shape) - covariance).abs()
        off = off - torch.diag(off.diagonal())
        if ((draws.mean(0) - mu).abs() > 5 * (v / n).sqrt()).any():
            words.append("mean")
        elif ((draws.var(0) - v).abs() > 5 * v * (2 / n) ** 0.5).any():
            words.append("variance")
        elif (off > 5 / n**0.5).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "statistics taken over the samplers (dim 0), not over the draws")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    pooled = z.mean(0)  # (N, D)
    words = []
    for draws in z:
        c = torch.cov(pooled.T).reshape(covariance.shape)
        off = (c - covariance).abs() / ((torch.outer(v, v) + covariance**2) / n).sqrt()
        if ((pooled.mean(0) - mu).abs() > 5 * (v / n).sqrt()).any():
            words.append("mean")
        elif (off.diagonal() > 5).any():
            words.append("variance")
        elif (off > 5).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@wrong("gaussian/samplers", "centres the draws in place: z is changed")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], covariance.diagonal()
    z -= mu
    error = ((torch.outer(v, v) + covariance**2) / n).sqrt()
    words = []
    for draws in z:
        off = (torch.cov(draws.T).reshape(covariance.shape) - covariance).abs() / error
        if (draws.mean(0).abs() > 5 * (v / n).sqrt()).any():
            words.append("mean")
        elif (off.diagonal() > 5).any():
            words.append("variance")
        elif (off > 5).any():
            words.append("covariance")
        else:
            words.append("fine")
    return words


@right("gaussian/samplers", "vectorised over the samplers, einsum, five standard errors")
def judge_samplers(z, mu, covariance):
    n, v = z.shape[1], torch.diagonal(covariance)
    centred = z - z.mean(1, keepdim=True)
    found = torch.einsum("sni,snj->sij", centred, centred) / (n - 1)
    far = (found - covariance).abs() > 5 * ((torch.outer(v, v) + covariance**2) / n).sqrt()
    mean = ((z.mean(1) - mu).abs() > 5 * (v / n).sqrt()).any(1)
    variance = torch.diagonal(far, dim1=1, dim2=2).any(1)
    other = far.flatten(1).any(1)
    return [
        "mean" if a else "variance" if b else "covariance" if c else "fine"
        for a, b, c in zip(mean.tolist(), variance.tolist(), other.tolist())
    ]


@right("gaussian/samplers", "plain loops over latents and pairs")
def judge_samplers(z, mu, covariance):
    count, n, d = z.shape
    answer = []
    for s in range(count):
        x = z[s] - mu  # the claimed mean is used: it is checked first
        word = "fine"
        for i in range(d):
            for j in range(i):
                scale = math.sqrt(float(covariance[i, i] * covariance[j, j] + covariance[i, j] ** 2) / n)
                if abs(float((x[:, i] * x[:, j]).mean() - covariance[i, j])) > 5 * scale:
                    word = "covariance"
        for i in range(d):
            if abs(float(x[:, i].square().mean() / covariance[i, i]) - 1) > 5 * math.sqrt(2 / n):
                word = "variance"
        for i in range(d):
            if abs(float(x[:, i].mean())) > 5 * math.sqrt(float(covariance[i, i]) / n):
                word = "mean"
        answer.append(word)
    return answer


@right("gaussian/samplers", "numpy on standardised draws: everything in units of sigma, correlations")
def judge_samplers(z, mu, covariance):
    claim = covariance.double().numpy()
    sigma = np.sqrt(np.diag(claim))
    rho = claim / np.outer(sigma, sigma)
    words = []
    for draws in z.double().numpy():
        u = (draws - mu.double().numpy()) / sigma
        n = len(u)
        if np.abs(u.mean(axis=0)).max() * math.sqrt(n) > 5:
            words.append("mean")
            continue
        score = (np.atleast_2d(np.cov(u, rowvar=False)) - rho) / np.sqrt((1 + rho**2) / n)
        if np.abs(np.diag(score)).max() > 5:
            words.append("variance")
        elif np.abs(score).max() > 5:
            words.append("covariance")
        else:
            words.append("fine")
    return words
