import math

import numpy as np
import scipy.stats
import torch

from independent import right, wrong

# ---------------------------------------------------------------- 1 gradient/sample


@wrong("gradient/sample", "exp(log_var) used as the standard deviation")
def sample(mu, log_var, eps):
    return mu + torch.exp(log_var) * eps


@wrong("gradient/sample", "log_var itself multiplies the noise")
def sample(mu, log_var, eps):
    return mu + log_var * eps


@wrong("gradient/sample", "half outside the exponential: 0.5 * exp(log_var)")
def sample(mu, log_var, eps):
    std = 0.5 * torch.exp(log_var)
    return mu + std * eps


@wrong("gradient/sample", "log_var taken for log sigma^(1/2): exp(2 log_var)")
def sample(mu, log_var, eps):
    return mu + (2 * log_var).exp() * eps


@wrong("gradient/sample", "under no_grad: right values, no gradients")
def sample(mu, log_var, eps):
    with torch.no_grad():
        return mu + (log_var / 2).exp() * eps


@wrong("gradient/sample", "sigma detached: no gradient to log_var")
def sample(mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var).detach()
    return mu + sigma * eps


@wrong("gradient/sample", "mu detached: no gradient to mu")
def sample(mu, log_var, eps):
    return mu.detach() + torch.exp(0.5 * log_var) * eps


@wrong("gradient/sample", "ignores eps and draws with rsample")
def sample(mu, log_var, eps):
    return torch.distributions.Normal(mu, torch.exp(0.5 * log_var)).rsample()


@wrong("gradient/sample", "ignores eps and draws with torch.normal: gradients are zero")
def sample(mu, log_var, eps):
    return torch.normal(mu, torch.exp(0.5 * log_var))


@wrong("gradient/sample", "changes eps in place")
def sample(mu, log_var, eps):
    eps *= torch.exp(0.5 * log_var)
    return eps + mu


@wrong("gradient/sample", "one row of noise shared by the whole batch")
def sample(mu, log_var, eps):
    return mu + torch.exp(0.5 * log_var) * eps[0]


@wrong("gradient/sample", "sign of log_var: divides by sigma")
def sample(mu, log_var, eps):
    return mu + torch.exp(-0.5 * log_var) * eps


@wrong("gradient/sample", "softplus of log_var as the standard deviation")
def sample(mu, log_var, eps):
    return mu + torch.nn.functional.softplus(log_var) * eps


@wrong("gradient/sample", "mean and sigma exchanged")
def sample(mu, log_var, eps):
    return torch.exp(0.5 * log_var) + mu * eps


@right("gradient/sample", "addcmul with sqrt of the variance")
def sample(mu, log_var, eps):
    return torch.addcmul(mu, log_var.exp().sqrt(), eps)


@right("gradient/sample", "loop over rows and columns, stacked")
def sample(mu, log_var, eps):
    rows = []
    for b in range(mu.shape[0]):
        row = []
        for d in range(mu.shape[1]):
            row.append(mu[b, d] + math.e ** (log_var[b, d] / 2) * eps[b, d])
        rows.append(torch.stack(row))
    return torch.stack(rows)


@right("gradient/sample", "AffineTransform of torch.distributions")
def sample(mu, log_var, eps):
    transform = torch.distributions.AffineTransform(loc=mu, scale=torch.exp(0.5 * log_var))
    return transform(eps)


# ---------------------------------------------------------------- 2 gradient/pathwise


@wrong("gradient/pathwise", "half forgotten: dz/dlog_var = sigma eps")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps)
    return s.mean(), (s * sigma * eps).mean()


@wrong("gradient/pathwise", "second is the gradient in sigma, not in log_var")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps)
    return s.mean(), (s * eps).mean()


@wrong("gradient/pathwise", "second is the gradient in sigma^2")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps)
    return s.mean(), (s * eps / (2 * sigma)).mean()


@wrong("gradient/pathwise", "exp(log_var) used as sigma everywhere")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = log_var.exp()
    s = slope(mu + sigma * eps)
    return s.mean(), (s * 0.5 * sigma * eps).mean()


@wrong("gradient/pathwise", "sigma^2 in place of sigma in the chain rule only")
def pathwise_gradient(slope, mu, log_var, eps):
    z = mu + (log_var / 2).exp() * eps
    s = slope(z)
    return s.mean(), (s * 0.5 * log_var.exp() * eps).mean()


@wrong("gradient/pathwise", "slope taken at eps in place of z")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(eps)
    return s.mean(), (0.5 * s * sigma * eps).mean()


@wrong("gradient/pathwise", "slope taken at mu only")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu)
    return s, (0.5 * s * sigma * eps).mean()


@wrong("gradient/pathwise", "sums over the draws")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps)
    return s.sum(), (0.5 * s * sigma * eps).sum()


@wrong("gradient/pathwise", "results in the wrong order")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps)
    return (0.5 * s * sigma * eps).mean(), s.mean()


@wrong("gradient/pathwise", "product of the means in place of the mean of the product")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps).mean()
    return s, s * 0.5 * sigma * eps.mean()


@wrong("gradient/pathwise", "multiplies the slope with z/2, mu not taken off")
def pathwise_gradient(slope, mu, log_var, eps):
    z = mu + torch.exp(0.5 * log_var) * eps
    s = slope(z)
    return s.mean(), (s * z / 2).mean()


@wrong("gradient/pathwise", "takes the slope for f and applies the score function")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps)
    return (s * eps / sigma).mean(), (s * 0.5 * (eps**2 - 1)).mean()


@wrong("gradient/pathwise", "one value for each draw, not averaged")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    s = slope(mu + sigma * eps)
    return s, 0.5 * s * sigma * eps


@wrong("gradient/pathwise", "draws fresh noise in place of eps")
def pathwise_gradient(slope, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    eps = torch.randn_like(eps)
    s = slope(mu + sigma * eps)
    return s.mean(), (0.5 * s * sigma * eps).mean()


@right("gradient/pathwise", "Python loop over the draws, plain floats")
def pathwise_gradient(slope, mu, log_var, eps):
    m, sigma = float(mu), math.exp(float(log_var) / 2)
    in_mu = in_log_var = 0.0
    for e in eps.tolist():
        z = torch.tensor(m + sigma * e, dtype=eps.dtype)
        s = float(slope(z))
        in_mu += s
        in_log_var += s * sigma * e / 2
    return in_mu / len(eps), in_log_var / len(eps)


@right("gradient/pathwise", "through z - mu = sigma eps, dot products")
def pathwise_gradient(slope, mu, log_var, eps):
    z = mu + log_var.exp().sqrt() * eps
    s = slope(z)
    n = eps.numel()
    return torch.dot(s, torch.ones_like(s)) / n, torch.dot(s, z - mu) / (2 * n)


@right("gradient/pathwise", "vector-Jacobian product of autograd through z")
def pathwise_gradient(slope, mu, log_var, eps):
    with torch.enable_grad():
        m = mu.detach().clone().requires_grad_()
        lv = log_var.detach().clone().requires_grad_()
        z = m + torch.exp(0.5 * lv) * eps.detach()
        s = slope(z.detach()).detach()
        g_m, g_lv = torch.autograd.grad(z, (m, lv), grad_outputs=s / len(eps))
    return g_m, g_lv


# ---------------------------------------------------------------- 3 gradient/score_function


@wrong("gradient/score_function", "score in mu is eps, division by sigma forgotten")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps)
    return (cost * eps).mean(), (cost * 0.5 * (eps**2 - 1)).mean()


@wrong("gradient/score_function", "score in mu is eps / sigma^2 (z - mu not replaced by sigma eps)")
def score_gradient(f, mu, log_var, eps):
    cost = f(mu + torch.exp(0.5 * log_var) * eps)
    return (cost * eps / log_var.exp()).mean(), (cost * 0.5 * (eps**2 - 1)).mean()


@wrong("gradient/score_function", "half forgotten in the score of log_var")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps)
    return (cost * eps / sigma).mean(), (cost * (eps**2 - 1)).mean()


@wrong("gradient/score_function", "second is the gradient in sigma")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps)
    return (cost * eps / sigma).mean(), (cost * (eps**2 - 1) / sigma).mean()


@wrong("gradient/score_function", "-1 forgotten: derivative of the normaliser left out")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps)
    return (cost * eps / sigma).mean(), (0.5 * cost * eps**2).mean()


@wrong("gradient/score_function", "sign: derivative of log q in z rather than in mu")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps)
    return -(cost * eps / sigma).mean(), (cost * 0.5 * (eps**2 - 1)).mean()


@wrong("gradient/score_function", "exp(log_var) used as sigma")
def score_gradient(f, mu, log_var, eps):
    sigma = log_var.exp()
    cost = f(mu + sigma * eps)
    return (cost * eps / sigma).mean(), (cost * 0.5 * (eps**2 - 1)).mean()


@wrong("gradient/score_function", "z / sigma^2 as the score, mu not subtracted")
def score_gradient(f, mu, log_var, eps):
    var = log_var.exp()
    z = mu + var.sqrt() * eps
    cost = f(z)
    return (cost * z / var).mean(), (cost * 0.5 * (z**2 / var - 1)).mean()


@wrong("gradient/score_function", "z not detached in log q: autograd through the draws as well")
def score_gradient(f, mu, log_var, eps):
    m = mu.detach().clone().requires_grad_()
    lv = log_var.detach().clone().requires_grad_()
    z = m + torch.exp(0.5 * lv) * eps
    log_q = torch.distributions.Normal(m, torch.exp(0.5 * lv)).log_prob(z)
    cost = f(z.detach())
    return torch.autograd.grad((cost * log_q).mean(), (m, lv))


@wrong("gradient/score_function", "product of means: mean cost times mean score")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps).mean()
    return cost * (eps / sigma).mean(), cost * (0.5 * (eps**2 - 1)).mean()


@wrong("gradient/score_function", "subtracts the mean cost of all draws: biased, and not asked for")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps)
    cost = cost - cost.mean()
    return (cost * eps / sigma).mean(), (cost * 0.5 * (eps**2 - 1)).mean()


@wrong("gradient/score_function", "finite differences of f: a pathwise estimate")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    z = mu + sigma * eps
    h = 1e-3
    slope = (f(z + h) - f(z - h)) / (2 * h)
    return slope.mean(), (slope * 0.5 * sigma * eps).mean()


@wrong("gradient/score_function", "results in the wrong order")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(mu + sigma * eps)
    return (cost * 0.5 * (eps**2 - 1)).mean(), (cost * eps / sigma).mean()


@wrong("gradient/score_function", "f called on the noise, not on z")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(0.5 * log_var)
    cost = f(eps)
    return (cost * eps / sigma).mean(), (cost * 0.5 * (eps**2 - 1)).mean()


@right("gradient/score_function", "autograd of Normal.log_prob at fixed draws")
def score_gradient(f, mu, log_var, eps):
    with torch.enable_grad():
        m = mu.detach().clone().requires_grad_()
        lv = log_var.detach().clone().requires_grad_()
        z = (m + torch.exp(0.5 * lv) * eps).detach()
        cost = f(z).detach()
        log_q = torch.distributions.Normal(m, torch.exp(0.5 * lv)).log_prob(z)
        g_m, g_lv = torch.autograd.grad((cost * log_q).mean(), (m, lv))
    return g_m, g_lv


@right("gradient/score_function", "scores stacked as a matrix, einsum over the draws")
def score_gradient(f, mu, log_var, eps):
    var = log_var.exp()
    z = mu + var.sqrt() * eps
    scores = torch.stack([(z - mu) / var, ((z - mu) ** 2 / var - 1) / 2])
    both = torch.einsum("gn,n->g", scores, f(z)) / eps.shape[0]
    return both[0], both[1]


@right("gradient/score_function", "loop over the draws")
def score_gradient(f, mu, log_var, eps):
    sigma = torch.exp(log_var / 2)
    first, second = torch.zeros_like(mu), torch.zeros_like(mu)
    for e in eps:
        cost = f(mu + sigma * e)
        first = first + cost * e / sigma
        second = second + cost * (e * e - 1) / 2
    return first / len(eps), second / len(eps)


# ---------------------------------------------------------------- 4 gradient/baseline


@wrong("gradient/baseline", "baseline is the mean of all draws, the own one included")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    return ((cost - cost.mean()) * eps / sigma).mean()


@wrong("gradient/baseline", "no baseline at all (right on average)")
def gradient_with_baseline(f, mu, sigma, eps):
    return (f(mu + sigma * eps) * eps / sigma).mean()


@wrong("gradient/baseline", "sum of the others divided by N")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    baseline = (cost.sum() - cost) / len(eps)
    return ((cost - baseline) * eps / sigma).mean()


@wrong("gradient/baseline", "own cost not taken off, sum divided by N - 1")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    baseline = cost.sum() / (len(eps) - 1)
    return ((cost - baseline) * eps / sigma).mean()


@wrong("gradient/baseline", "sum of the others, not their mean")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    return ((cost - (cost.sum() - cost)) * eps / sigma).mean()


@wrong("gradient/baseline", "baseline f(mu)")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    return ((cost - f(mu)) * eps / sigma).mean()


@wrong("gradient/baseline", "baseline is the previous draw only (roll)")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    return ((cost - cost.roll(1)) * eps / sigma).mean()


@wrong("gradient/baseline", "running mean of the earlier draws only")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    total = torch.zeros_like(mu)
    for i in range(len(eps)):
        baseline = cost[:i].mean() if i > 0 else 0.0
        total = total + (cost[i] - baseline) * eps[i] / sigma
    return total / len(eps)


@wrong("gradient/baseline", "median of the others in place of their mean")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    n = len(eps)
    baseline = torch.stack([torch.cat([cost[:i], cost[i + 1 :]]).median() for i in range(n)])
    return ((cost - baseline) * eps / sigma).mean()


@wrong("gradient/baseline", "division by sigma forgotten")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    baseline = (cost.sum() - cost) / (len(eps) - 1)
    return ((cost - baseline) * eps).mean()


@wrong("gradient/baseline", "sigma taken for log_var")
def gradient_with_baseline(f, mu, sigma, eps):
    std = torch.exp(0.5 * sigma)
    cost = f(mu + std * eps)
    baseline = (cost.sum() - cost) / (len(eps) - 1)
    return ((cost - baseline) * eps / std).mean()


@wrong("gradient/baseline", "costs standardised (divided by their standard deviation) as in RL code")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    advantage = (cost - cost.mean()) / (cost.std() + 1e-8)
    return (advantage * eps / sigma).mean()


@wrong("gradient/baseline", "baseline subtracted after multiplication with the score")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    baseline = (cost.sum() - cost) / (len(eps) - 1)
    return (cost * eps / sigma - baseline).mean()


@wrong("gradient/baseline", "divides the final sum by N - 1 as well")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    baseline = (cost.sum() - cost) / (len(eps) - 1)
    return ((cost - baseline) * eps / sigma).sum() / (len(eps) - 1)


@right("gradient/baseline", "double loop over draws and others")
def gradient_with_baseline(f, mu, sigma, eps):
    costs = [f(mu + sigma * e) for e in eps]
    n = len(costs)
    total = 0
    for i in range(n):
        others = [costs[j] for j in range(n) if j != i]
        total = total + (costs[i] - sum(others) / (n - 1)) * eps[i] / sigma
    return total / n


@right("gradient/baseline", "matrix with zero diagonal")
def gradient_with_baseline(f, mu, sigma, eps):
    z = mu + sigma * eps
    cost = f(z)
    n = eps.shape[0]
    others = (1 - torch.eye(n, dtype=cost.dtype)) / (n - 1)
    return torch.dot(cost - others @ cost, (z - mu) / sigma**2) / n


@right("gradient/baseline", "sample covariance of cost and score (the same number)")
def gradient_with_baseline(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    return torch.cov(torch.stack([cost, eps / sigma]), correction=1)[0, 1]


# ---------------------------------------------------------------- 5 gradient/repaired


@wrong("gradient/repaired", "only no_grad removed and sigma repaired: noise still shared by the batch")
def sample_repaired(mu, log_var, generator):
    eps = torch.randn(mu.shape[-1], generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * log_var) * eps


@wrong("gradient/repaired", "variance still used as standard deviation")
def sample_repaired(mu, log_var, generator):
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + log_var.exp() * eps


@wrong("gradient/repaired", "no_grad kept")
def sample_repaired(mu, log_var, generator):
    with torch.no_grad():
        eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
        return mu + (0.5 * log_var).exp() * eps


@wrong("gradient/repaired", "randn_like: noise from the global generator")
def sample_repaired(mu, log_var, generator):
    return mu + (0.5 * log_var).exp() * torch.randn_like(mu)


@wrong("gradient/repaired", "one number for each picture, shared by its latents")
def sample_repaired(mu, log_var, generator):
    eps = torch.randn(mu.shape[0], 1, generator=generator, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * eps


@wrong("gradient/repaired", "sigma computed inside no_grad, so no gradient to log_var")
def sample_repaired(mu, log_var, generator):
    with torch.no_grad():
        eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
        sigma = (0.5 * log_var).exp()
    return mu + sigma * eps


@wrong("gradient/repaired", "generator reseeded with 0 in every call: always the same noise")
def sample_repaired(mu, log_var, generator):
    generator.manual_seed(0)
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * eps


@wrong("gradient/repaired", "new generator with the initial seed: the second call repeats the first")
def sample_repaired(mu, log_var, generator):
    fresh = torch.Generator().manual_seed(generator.initial_seed())
    eps = torch.randn(mu.shape, generator=fresh, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * eps


@wrong("gradient/repaired", "torch.normal(mu, sigma): gradients are zero")
def sample_repaired(mu, log_var, generator):
    return torch.normal(mu, (0.5 * log_var).exp(), generator=generator)


@wrong("gradient/repaired", "uniform noise (torch.rand)")
def sample_repaired(mu, log_var, generator):
    eps = torch.rand(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + (0.5 * log_var).exp() * eps


@wrong("gradient/repaired", "Normal(...).rsample(): generator ignored")
def sample_repaired(mu, log_var, generator):
    return torch.distributions.Normal(mu, (0.5 * log_var).exp()).rsample()


@wrong("gradient/repaired", "seeds the global generator from the given one's seed")
def sample_repaired(mu, log_var, generator):
    torch.manual_seed(generator.initial_seed())
    return mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)


@wrong("gradient/repaired", "square root of log_var's exponential taken twice")
def sample_repaired(mu, log_var, generator):
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.sqrt(torch.exp(0.5 * log_var)) * eps


@wrong("gradient/repaired", "result detached and requires_grad set again: looks differentiable")
def sample_repaired(mu, log_var, generator):
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + (0.5 * log_var).exp() * eps
    return z.detach().requires_grad_()


@right("gradient/repaired", "empty_like(...).normal_, sqrt of the variance")
def sample_repaired(mu, log_var, generator):
    eps = torch.empty_like(mu, requires_grad=False).normal_(generator=generator)
    return torch.addcmul(mu, eps, log_var.exp().sqrt())


@right("gradient/repaired", "loop over the pictures")
def sample_repaired(mu, log_var, generator):
    samples = []
    for m, lv in zip(mu, log_var):
        eps = torch.randn(m.shape[0], generator=generator)
        samples.append(m + torch.exp(lv / 2) * eps.to(m.dtype))
    return torch.stack(samples)


@right("gradient/repaired", "Box-Muller from uniform numbers of the generator")
def sample_repaired(mu, log_var, generator):
    u = torch.rand((2, *mu.shape), generator=generator, dtype=torch.float64)
    eps = torch.sqrt(-2 * torch.log(1 - u[0])) * torch.cos(2 * math.pi * u[1])
    return mu + torch.exp(0.5 * log_var) * eps.to(mu.dtype)


# ---------------------------------------------------------------- 6 gradient/choose


@wrong("gradient/choose", "smaller variance only, bias ignored")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        words.append("pathwise" if slope.var() < score.var() else "score")
    return words


@wrong("gradient/choose", "always pathwise")
def choose(functions, mu, sigma, eps):
    return ["pathwise" for _ in functions]


@wrong("gradient/choose", "score only where all slopes are zero: misses the step with a slope")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        if (slope == 0).all():
            words.append("score")
        else:
            words.append("pathwise" if slope.var() < score.var() else "score")
    return words


@wrong("gradient/choose", "constant slope taken for a jump: wrong on linear functions")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        if slope.std() < 1e-6:
            words.append("score")
        else:
            words.append("pathwise" if slope.var() < score.var() else "score")
    return words


@wrong("gradient/choose", "means must agree to torch.isclose's tolerance: chance counts as bias")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        same = torch.isclose(slope.mean(), score.mean(), rtol=1e-3, atol=1e-3)
        words.append("pathwise" if same and slope.var() < score.var() else "score")
    return words


@wrong("gradient/choose", "fixed tolerance of 0.1 for the means, whatever the noise")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        biased = abs(slope.mean() - score.mean()) > 0.1
        words.append("score" if biased or score.var() < slope.var() else "pathwise")
    return words


@wrong("gradient/choose", "one standard error counts as bias: a third of false alarms")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        difference = slope - score
        biased = difference.mean().abs() > difference.std() / math.sqrt(len(eps))
        words.append("score" if biased or score.var() < slope.var() else "pathwise")
    return words


@wrong("gradient/choose", "compares with the standard deviation, not the standard error: sees no bias")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        difference = slope - score
        biased = difference.mean().abs() > 3 * difference.std()
        words.append("score" if biased or score.var() < slope.var() else "pathwise")
    return words


@wrong("gradient/choose", "comparison turned round: takes the larger variance")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        difference = slope - score
        biased = difference.mean().abs() > 4 * difference.std() / math.sqrt(len(eps))
        words.append("score" if biased or score.var() > slope.var() else "pathwise")
    return words


@wrong("gradient/choose", "checks the bias only: every smooth function gets pathwise")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        difference = slope - score
        biased = difference.mean().abs() > 4 * difference.std() / math.sqrt(len(eps))
        words.append("score" if biased else "pathwise")
    return words


@wrong("gradient/choose", "by class: every Sine oscillates, so score; Quadratic pathwise")
def choose(functions, mu, sigma, eps):
    return ["pathwise" if type(f).__name__ == "Quadratic" else "score" for f in functions]


@wrong("gradient/choose", "changes eps in place when making z")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = eps.mul_(sigma).add_(mu).clone().requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        difference = slope - score
        biased = difference.mean().abs() > 4 * difference.std() / math.sqrt(len(eps))
        words.append("score" if biased or score.var() < slope.var() else "pathwise")
    return words


@wrong("gradient/choose", "division by sigma forgotten in its own score function: everything looks biased")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps
        difference = slope - score
        biased = difference.mean().abs() > 4 * difference.std() / math.sqrt(len(eps))
        words.append("score" if biased or score.var() < slope.var() else "pathwise")
    return words


@wrong("gradient/choose", "one word for all functions, from their summed variances")
def choose(functions, mu, sigma, eps):
    total_path, total_score, biased = 0.0, 0.0, False
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        difference = slope - score
        biased = biased or bool(difference.mean().abs() > 4 * difference.std() / math.sqrt(len(eps)))
        total_path, total_score = total_path + slope.var(), total_score + score.var()
    word = "score" if biased or total_score < total_path else "pathwise"
    return [word] * len(functions)


@right("gradient/choose", "paired differences, four standard errors")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).detach().requires_grad_()
        cost = f(z)
        (slope,) = torch.autograd.grad(cost.sum(), z)
        score = cost.detach() * eps / sigma
        difference = slope - score
        error = difference.std() / len(eps) ** 0.5
        if difference.mean().abs() > 4 * error:
            words.append("score")
        elif slope.var() <= score.var():
            words.append("pathwise")
        else:
            words.append("score")
    return words


@right("gradient/choose", "numpy, the two standard errors combined, five of them")
def choose(functions, mu, sigma, eps):
    def decide(f):
        z = (mu + sigma * eps).detach().requires_grad_()
        cost = f(z)
        cost.sum().backward()
        a = z.grad.numpy().astype(np.float64)
        b = (cost.detach().numpy() * eps.numpy() / sigma).astype(np.float64)
        error = np.hypot(scipy.stats.sem(a), scipy.stats.sem(b))
        candidates = {"score": b.var(ddof=1)}
        if abs(a.mean() - b.mean()) <= 5 * error:
            candidates["pathwise"] = a.var(ddof=1)
        return min(candidates, key=candidates.get)

    return [decide(f) for f in functions]


@right("gradient/choose", "t-test of scipy on the differences")
def choose(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).double().detach().requires_grad_()
        cost = f(z)
        slope = torch.autograd.grad(cost.sum(), z)[0].numpy()
        score = (cost.detach() * eps.double() / sigma).numpy()
        p_value = scipy.stats.ttest_rel(slope, score).pvalue
        right_on_average = p_value > 1e-5
        words.append("pathwise" if right_on_average and np.std(slope) < np.std(score) else "score")
    return words
