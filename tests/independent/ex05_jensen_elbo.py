import math

import numpy as np
import scipy.optimize
import scipy.special
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Categorical, Independent, MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from independent import right, wrong


# ---------------------------------------------------------------- elbo/jensen_gap
@right("elbo/jensen_gap", "weighted sums")
def jensen_gap(weights, values):
    return (weights * values).sum().log() - (weights * values.log()).sum()


@right("elbo/jensen_gap", "Python loop with the math module")
def jensen_gap(weights, values):
    mean, mean_log = 0.0, 0.0
    for p, v in zip(weights.tolist(), values.tolist()):
        mean += p * v
        mean_log += p * math.log(v)
    return torch.tensor(math.log(mean) - mean_log, dtype=values.dtype)


@right("elbo/jensen_gap", "logsumexp of log-values with scipy")
def jensen_gap(weights, values):
    p = weights.detach().double().numpy()
    log_v = np.log(values.detach().double().numpy())
    return torch.tensor(scipy.special.logsumexp(log_v, b=p) - np.dot(p, log_v)).to(values.dtype)


@wrong("elbo/jensen_gap", "plain means, the probabilities are ignored")
def jensen_gap(weights, values):
    return values.mean().log() - values.log().mean()


@wrong("elbo/jensen_gap", "sign: E[log X] - log E[X]")
def jensen_gap(weights, values):
    return (weights * values.log()).sum() - (weights * values).sum().log()


@wrong("elbo/jensen_gap", "weighted mean inside the log, unweighted mean of logs")
def jensen_gap(weights, values):
    return torch.log(torch.sum(weights * values)) - torch.mean(torch.log(values))


@wrong("elbo/jensen_gap", "bits instead of nats (log2)")
def jensen_gap(weights, values):
    return torch.log2(weights @ values) - weights @ torch.log2(values)


@wrong("elbo/jensen_gap", "rule of thumb Var / (2 mean^2) instead of the gap")
def jensen_gap(weights, values):
    mean = (weights * values).sum()
    var = (weights * (values - mean) ** 2).sum()
    return var / (2 * mean**2)


@wrong("elbo/jensen_gap", "difference of arithmetic and geometric mean, not of their logs")
def jensen_gap(weights, values):
    return (weights * values).sum() - (weights * values.log()).sum().exp()


@wrong("elbo/jensen_gap", "forgot the outer log: E[X] - E[log X]")
def jensen_gap(weights, values):
    return (weights * values).sum() - (weights * values.log()).sum()


@wrong("elbo/jensen_gap", "ratio instead of difference")
def jensen_gap(weights, values):
    return (weights * values).sum().log() / (weights * values.log()).sum()


@wrong("elbo/jensen_gap", "weights inside the logarithm: sum of log(p x)")
def jensen_gap(weights, values):
    wv = weights * values
    return wv.sum().log() - wv.log().sum()


@wrong("elbo/jensen_gap", "changes values in place with log_()")
def jensen_gap(weights, values):
    first = (weights * values).sum().log()
    return first - (weights * values.log_()).sum()


@wrong("elbo/jensen_gap", "weighted products averaged over K: mean instead of sum")
def jensen_gap(weights, values):
    return (weights * values).mean().log() - (weights * values.log()).mean()


@wrong("elbo/jensen_gap", "log1p 'for stability' instead of log")
def jensen_gap(weights, values):
    return torch.log1p((weights * values).sum()) - (weights * torch.log1p(values)).sum()


@wrong("elbo/jensen_gap", "entropy of the weights mixed in: E[log(X/p)] as if values were joint probabilities")
def jensen_gap(weights, values):
    return (weights * values).sum().log() - (weights * (values / weights).log()).sum()


@wrong("elbo/jensen_gap", "gap returned per value, not summed")
def jensen_gap(weights, values):
    return (weights * values).sum().log() - weights * values.log()


# ---------------------------------------------------------------- elbo/exact
@right("elbo/exact", "joint, evidence, posterior")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(1, keepdim=True)
    q = q_z_given_x
    return (q * (joint.log() - q.log())).sum(1), (q * (q.log() - posterior.log())).sum(1)


@right("elbo/exact", "double loop over pictures and states with math")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    elbos, gaps = [], []
    prior = p_z.tolist()
    for likelihood, q in zip(p_x_given_z.tolist(), q_z_given_x.tolist()):
        evidence = sum(a * b for a, b in zip(prior, likelihood))
        elbo = gap = 0.0
        for a, b, c in zip(prior, likelihood, q):
            elbo += c * (math.log(b) - math.log(c / a))
            gap += c * math.log(c / (a * b / evidence))
        elbos.append(elbo)
        gaps.append(gap)
    return torch.tensor(elbos, dtype=p_z.dtype), torch.tensor(gaps, dtype=p_z.dtype)


@right("elbo/exact", "torch.distributions.Categorical with log-softmax posterior, einsum reconstruction")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    log_prior, log_lik, log_q = p_z.double().log(), p_x_given_z.double().log(), q_z_given_x.double().log()
    q = Categorical(logits=log_q)
    posterior = Categorical(logits=log_prior + log_lik)
    prior = Categorical(logits=log_prior.expand_as(log_lik))
    elbo = torch.einsum("nk,nk->n", log_q.exp(), log_lik) - kl_divergence(q, prior)
    return elbo.to(p_z.dtype), kl_divergence(q, posterior).to(p_z.dtype)


@wrong("elbo/exact", "results in the wrong order")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(1, keepdim=True)
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(1)
    gap = (q_z_given_x * (q_z_given_x / posterior).log()).sum(1)
    return gap, elbo


@wrong("elbo/exact", "gap is KL to the prior instead of to the posterior")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    q = q_z_given_x
    kl = (q * (q / p_z).log()).sum(1)
    return (q * p_x_given_z.log()).sum(1) - kl, kl


@wrong("elbo/exact", "KL in the wrong direction: KL(posterior || q)")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(1, keepdim=True)
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(1)
    return elbo, (posterior * (posterior / q_z_given_x).log()).sum(1)


@wrong("elbo/exact", "ELBO is only the reconstruction term")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(1, keepdim=True)
    elbo = (q_z_given_x * p_x_given_z.log()).sum(1)
    return elbo, (q_z_given_x * (q_z_given_x / posterior).log()).sum(1)


@wrong("elbo/exact", "KL to the prior added instead of subtracted in the ELBO")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    q = q_z_given_x
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(1, keepdim=True)
    elbo = (q * p_x_given_z.log()).sum(1) + (q * (q / p_z).log()).sum(1)
    return elbo, (q * (q / posterior).log()).sum(1)


@wrong("elbo/exact", "averages over the pictures, returns two numbers")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(1, keepdim=True)
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(1)
    gap = (q_z_given_x * (q_z_given_x / posterior).log()).sum(1)
    return elbo.mean(), gap.mean()


@wrong("elbo/exact", "sums over pictures (dim 0) instead of states")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(0)
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(0)
    return elbo, (q_z_given_x * (q_z_given_x / posterior).log()).sum(0)


@wrong("elbo/exact", "posterior not normalised: the 'KL' is minus the ELBO")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    elbo = (q_z_given_x * (joint.log() - q_z_given_x.log())).sum(1)
    gap = (q_z_given_x * (q_z_given_x.log() - joint.log())).sum(1)
    return elbo, gap


@wrong("elbo/exact", "posterior ignores the prior: normalised likelihood")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    posterior = p_x_given_z / p_x_given_z.sum(1, keepdim=True)
    elbo = (q_z_given_x * (p_z * p_x_given_z / q_z_given_x).log()).sum(1)
    return elbo, (q_z_given_x * (q_z_given_x / posterior).log()).sum(1)


@wrong("elbo/exact", "second result is log p(x), not the gap")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(1)
    return elbo, joint.sum(1).log()


@wrong("elbo/exact", "gap with the wrong sign: ELBO - log p(x)")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(1)
    return elbo, elbo - joint.sum(1).log()


@wrong("elbo/exact", "log of the expectation over q: log sum q w instead of sum q log w, so ELBO = log p(x)")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    elbo = (q_z_given_x * (joint / q_z_given_x)).sum(1).log()
    return elbo, joint.sum(1).log() - elbo


@wrong("elbo/exact", "torch.kl_div given probabilities where it wants logarithms")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    joint = p_z * p_x_given_z
    posterior = joint / joint.sum(1, keepdim=True)
    elbo = (q_z_given_x * (joint / q_z_given_x).log()).sum(1)
    return elbo, F.kl_div(posterior, q_z_given_x, reduction="none").sum(1)


@wrong("elbo/exact", "overwrites p_x_given_z in place with the joint")
def elbo_and_gap(p_z, p_x_given_z, q_z_given_x):
    p_x_given_z *= p_z
    posterior = p_x_given_z / p_x_given_z.sum(1, keepdim=True)
    elbo = (q_z_given_x * (p_x_given_z / q_z_given_x).log()).sum(1)
    return elbo, (q_z_given_x * (q_z_given_x / posterior).log()).sum(1)


# ---------------------------------------------------------------- elbo/k_sample_bound
@right("elbo/k_sample_bound", "logsumexp minus log K")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    return torch.logsumexp(log_w, 0) - math.log(log_w.shape[0])


@right("elbo/k_sample_bound", "subtract each column's largest weight by hand")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    top = log_w.max(dim=0).values
    return top + (log_w - top).exp().mean(0).log()


@right("elbo/k_sample_bound", "loop over draws with logaddexp")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    total = None
    for a, b, c in zip(log_p_x_given_z, log_p_z, log_q_z_given_x):
        total = a + b - c if total is None else torch.logaddexp(total, a + b - c)
    return total - math.log(len(log_p_z))


@wrong("elbo/k_sample_bound", "mean of the logs: the ELBO estimate")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    return (log_p_x_given_z + log_p_z - log_q_z_given_x).mean(0)


@wrong("elbo/k_sample_bound", "naive exp, mean, log: underflows to -inf")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    return (log_p_x_given_z + log_p_z - log_q_z_given_x).exp().mean(0).log()


@wrong("elbo/k_sample_bound", "forgot - log K")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    return torch.logsumexp(log_p_x_given_z + log_p_z - log_q_z_given_x, dim=0)


@wrong("elbo/k_sample_bound", "logsumexp over the pictures (dim 1)")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    return torch.logsumexp(log_w, dim=1) - math.log(log_w.shape[1])


@wrong("elbo/k_sample_bound", "divides the logsumexp by K")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    return torch.logsumexp(log_w, dim=0) / len(log_w)


@wrong("elbo/k_sample_bound", "log of the batch size subtracted instead of log K")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    return torch.logsumexp(log_w, dim=0) - math.log(log_w.shape[1])


@wrong("elbo/k_sample_bound", "adds log q instead of subtracting")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z + log_q_z_given_x
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


@wrong("elbo/k_sample_bound", "prior and q swapped: subtracts log p(z), adds log q")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z - log_p_z + log_q_z_given_x
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


@wrong("elbo/k_sample_bound", "only the likelihood averaged, no importance weights")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    return torch.logsumexp(log_p_x_given_z, dim=0) - math.log(len(log_p_z))


@wrong("elbo/k_sample_bound", "one largest weight for the whole batch: other pictures underflow")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    top = log_w.max()
    return top + (log_w - top).exp().mean(0).log()


@wrong("elbo/k_sample_bound", "takes the best draw: max of the log-weights")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    return (log_p_x_given_z + log_p_z - log_q_z_given_x).max(0).values


@wrong("elbo/k_sample_bound", "self-normalised average of the log-weights")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    return (log_w.softmax(0) * log_w).sum(0)


@wrong("elbo/k_sample_bound", "averaged over the batch to one number")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    return (torch.logsumexp(log_w, dim=0) - math.log(len(log_w))).mean()


@wrong("elbo/k_sample_bound", "changes log_p_x_given_z in place")
def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z
    log_w += log_p_z
    log_w -= log_q_z_given_x
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


# ---------------------------------------------------------------- elbo/common_xi
@right("elbo/common_xi", "closed form: root of the mean second moment")
def common_xi(m, s):
    second = m**2 + s**2
    xi = second.mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2)


@right("elbo/common_xi", "scipy: root of the summed derivative in double precision, then a loop")
def common_xi(m, s):
    mu, sd = m.double().tolist(), s.double().tolist()
    second = [a * a + b * b for a, b in zip(mu, sd)]
    low, high = math.sqrt(min(second)), math.sqrt(max(second))
    if high - low < 1e-12 * high:
        xi = high
    else:  # every derivative is -lambda'(xi) (E t^2 - xi^2) with the same lambda'
        xi = scipy.optimize.brentq(
            lambda u: sum(a - u * u for a in second), low * 0.99, high * 1.01, xtol=1e-14, rtol=1e-14
        )
    lam = (1 / (1 + math.exp(-xi)) - 0.5) / (2 * xi)
    bounds = [-math.log1p(math.exp(-xi)) + (a - xi) / 2 - lam * (b - xi * xi) for a, b in zip(mu, second)]
    return torch.tensor(xi, dtype=m.dtype), torch.tensor(bounds, dtype=m.dtype)


@right("elbo/common_xi", "norm of the stacked vector, bound written with softplus")
def common_xi(m, s):
    both = torch.cat([m, s]).double()
    xi = torch.linalg.vector_norm(both) / math.sqrt(m.numel())
    a, b = m.double(), s.double()
    bound = (
        -F.softplus(-xi)
        + 0.5 * (a - xi)
        - (torch.sigmoid(xi) - 0.5) / (2 * xi) * (a.square() + b.square() - xi.square())
    )
    return xi.to(m.dtype), bound.to(m.dtype)


@wrong("elbo/common_xi", "mean of the margins' own xi, instead of root mean square")
def common_xi(m, s):
    xi = (m**2 + s**2).sqrt().mean()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (m**2 + s**2 - xi**2)


@wrong("elbo/common_xi", "forgot the variance in xi")
def common_xi(m, s):
    xi = (m**2).mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (m**2 + s**2 - xi**2)


@wrong("elbo/common_xi", "square of the mean instead of mean of the squares")
def common_xi(m, s):
    xi = (m.mean() ** 2 + (s**2).mean()).sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (m**2 + s**2 - xi**2)


@wrong("elbo/common_xi", "takes s for the variance")
def common_xi(m, s):
    second = m**2 + s
    xi = second.mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2)


@wrong("elbo/common_xi", "common xi returned, but bounds with each margin's own xi")
def common_xi(m, s):
    own = (m**2 + s**2).sqrt()
    return (own**2).mean().sqrt(), logsigmoid(own) + (m - own) / 2


@wrong("elbo/common_xi", "last term of the bound dropped, as if it vanished for each margin")
def common_xi(m, s):
    xi = (m**2 + s**2).mean().sqrt()
    return xi, logsigmoid(xi) + (m - xi) / 2


@wrong("elbo/common_xi", "results in the wrong order")
def common_xi(m, s):
    second = m**2 + s**2
    xi = second.mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2), xi


@wrong("elbo/common_xi", "lambda twice too large: tanh(xi/2) / (2 xi)")
def common_xi(m, s):
    second = m**2 + s**2
    xi = second.mean().sqrt()
    lam = torch.tanh(xi / 2) / (2 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2)


@wrong("elbo/common_xi", "bound at the mean m, not its expectation: variance missing in the quadratic term")
def common_xi(m, s):
    xi = (m**2 + s**2).mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (m**2 - xi**2)


@wrong("elbo/common_xi", "sum of the second moments instead of the mean")
def common_xi(m, s):
    second = m**2 + s**2
    xi = second.sum().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2)


@wrong("elbo/common_xi", "returns xi squared")
def common_xi(m, s):
    second = m**2 + s**2
    xi = second.mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return second.mean(), logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2)


@wrong("elbo/common_xi", "sum of the bounds instead of one for each margin")
def common_xi(m, s):
    second = m**2 + s**2
    xi = second.mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, (logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2)).sum()


@wrong("elbo/common_xi", "coarse grid search between 0.1 and 5")
def common_xi(m, s):
    second = m**2 + s**2
    best = None
    for k in range(1, 51):
        xi = torch.tensor(k / 10, dtype=m.dtype)
        lam = torch.tanh(xi / 2) / (4 * xi)
        bounds = logsigmoid(xi) + (m - xi) / 2 - lam * (second - xi**2)
        if best is None or bounds.sum() > best[1].sum():
            best = xi, bounds
    return best


@wrong("elbo/common_xi", "sign of the quadratic term")
def common_xi(m, s):
    second = m**2 + s**2
    xi = second.mean().sqrt()
    lam = torch.tanh(xi / 2) / (4 * xi)
    return xi, logsigmoid(xi) + (m - xi) / 2 + lam * (second - xi**2)


# ---------------------------------------------------------------- elbo/directions
@right("elbo/directions", "random tables of many sharpnesses plus tempered posteriors as q")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    words = []
    tables = []
    for K in (2, 3, 6):
        for sharp in (0.3, 1.0, 3.0):
            log_prior = torch.log_softmax(
                (sharp * torch.randn(2000, K, generator=g, dtype=torch.float64)).clamp(-4, 4), 1
            )
            log_lik = (-0.01 - sharp * torch.randn(2000, K, generator=g, dtype=torch.float64).abs()).clamp(min=-6)
            candidates = [torch.log_softmax(sharp * torch.randn(2000, K, generator=g, dtype=torch.float64), 1)]
            candidates += [
                torch.log_softmax(a * log_prior + b * log_lik, 1)
                for a, b in ((1, 1), (1, 2), (1, 0), (0, 1), (0, 0), (1, 5), (1, 0.5), (2, 1), (1, -1))
            ]
            tables += [(log_prior.exp(), log_lik.exp(), 0.9999 * q.exp() + 0.0001 / K) for q in candidates]
    for report in reports:
        above = below = False
        for p, lik, q in tables:
            d = report(p.clone(), lik.clone(), q.clone()) - (p * lik).sum(1).log()
            above |= bool((d > 2e-5).any())
            below |= bool((d < -2e-5).any())
        words.append(
            {(False, False): "exact", (False, True): "lower", (True, False): "upper", (True, True): "neither"}[
                above, below
            ]
        )
    return words


@right("elbo/directions", "Dirichlet tables from torch.distributions, largest and smallest difference")
def directions(reports):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        M = 5000
        parts = []
        for alpha in (0.5, 1.0, 5.0):
            p = torch.distributions.Dirichlet(torch.full((4,), alpha, dtype=torch.float64)).sample((M,)).clamp(min=1e-5)
            lik = torch.distributions.Uniform(1e-4, 0.999).sample((M, 4)).double()
            free = (
                torch.distributions.Dirichlet(torch.full((4,), alpha, dtype=torch.float64)).sample((M,)).clamp(min=1e-5)
            )
            for q in (free, p, lik, p * lik, p * lik**2, p * lik**6, p * lik**0.5, p / lik):
                parts.append((p / p.sum(1, keepdim=True), lik, 0.9999 * q / q.sum(1, keepdim=True) + 0.0001 / 4))
    p, lik, q = (torch.cat(t) for t in zip(*parts))
    truth = torch.einsum("mk,mk->m", p, lik).log()
    answer = []
    for report in reports:
        difference = report(p, lik, q) - truth
        highest, lowest = difference.max().item(), difference.min().item()
        if highest > 1e-5:
            answer.append("neither" if lowest < -1e-5 else "upper")
        else:
            answer.append("lower" if lowest < -1e-5 else "exact")
    return answer


@right("elbo/directions", "numpy: grid of two-state models plus random three-state ones")
def directions(reports):
    grid = [0.001, 0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98, 0.999]
    a, b, c, d = (t.ravel() for t in np.meshgrid(grid, grid, grid, grid))
    two = (np.stack([a, 1 - a], 1), np.stack([b, c], 1), np.stack([d, 1 - d], 1))
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), 4000) * 0.99 + 0.01 / 3
    lik = rng.uniform(0.001, 0.99, (4000, 3)) ** rng.integers(1, 4, (4000, 1))
    mixed = rng.dirichlet(np.ones(3), 4000) * 0.99 + 0.01 / 3
    q = np.where(rng.random((4000, 1)) < 0.5, mixed, p * lik ** rng.uniform(0.3, 4, (4000, 1)))
    three = (p, lik, 0.9999 * q / q.sum(1, keepdims=True) + 0.0001 / 3)
    found = []
    for report in reports:
        signs = set()
        for tables in (two, three):
            prior, like, approx = (torch.from_numpy(t).clone() for t in tables)
            difference = report(prior, like, approx) - torch.log((prior * like).sum(1))
            signs |= {
                int(v)
                for v in torch.where(difference.abs() < 1e-5, torch.zeros_like(difference), difference).sign().unique()
            }
        found.append("neither" if {1, -1} <= signs else "upper" if 1 in signs else "lower" if -1 in signs else "exact")
    return found


@wrong("elbo/directions", "tries one single model")
def directions(reports):
    p, lik, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.2, 0.6]]), torch.tensor([[0.3, 0.7]])
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = (r(p, lik, q) - truth).item()
        out.append("exact" if abs(d) < 1e-5 else "lower" if d < 0 else "upper")
    return out


@wrong("elbo/directions", "prior and q are always uniform")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.full((1000, 4), 0.25)
    lik = torch.rand(1000, 4, generator=g) * 0.98 + 0.01
    q = torch.full((1000, 4), 0.25)
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        up, down = (d > 1e-4).any(), (d < -1e-4).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


@wrong("elbo/directions", "q is always the true posterior, where the ELBO looks exact")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.rand(1000, 4, generator=g) + 0.01
    p = p / p.sum(1, keepdim=True)
    lik = torch.rand(1000, 4, generator=g) * 0.98 + 0.01
    q = p * lik / (p * lik).sum(1, keepdim=True)
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        up, down = (d > 1e-4).any(), (d < -1e-4).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


@wrong("elbo/directions", "q is always the prior, so a KL to the prior is never seen")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(2000, 5, generator=g), 1)
    lik = torch.rand(2000, 5, generator=g) * 0.98 + 0.01
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = r(p, lik, p.clone()) - truth
        up, down = (d > 1e-4).any(), (d < -1e-4).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


@wrong("elbo/directions", "lower and upper interchanged: log p(x) below the report called 'lower'")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(2 * torch.randn(20000, 3, generator=g), 1)
    lik = torch.rand(20000, 3, generator=g) * 0.98 + 0.01
    q = torch.softmax(2 * torch.randn(20000, 3, generator=g), 1)
    q[:10000] = p[:10000] * lik[:10000] ** 2
    q = q / q.sum(1, keepdim=True)
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = truth - r(p, lik, q)
        up, down = (d > 1e-4).any(), (d < -1e-4).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


@wrong("elbo/directions", "no tolerance for rounding: compares with == and <")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(2 * torch.randn(20000, 3, generator=g), 1)
    lik = torch.rand(20000, 3, generator=g) * 0.98 + 0.01
    q = torch.softmax(2 * torch.randn(20000, 3, generator=g), 1)
    q[:10000] = p[:10000] * lik[:10000] ** 2
    q[:5000] = p[:5000] * lik[:5000]
    q = q / q.sum(1, keepdim=True)
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        value = r(p, lik, q)
        if (value == truth).all():
            out.append("exact")
        elif (value <= truth).all():
            out.append("lower")
        elif (value >= truth).all():
            out.append("upper")
        else:
            out.append("neither")
    return out


@wrong("elbo/directions", "judges by the average difference, so never says 'neither'")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    q = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    lik = torch.rand(5000, 4, generator=g) * 0.98 + 0.01
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = (r(p, lik, q) - truth).mean().item()
        out.append("exact" if abs(d) < 1e-5 else "lower" if d < 0 else "upper")
    return out


@wrong("elbo/directions", "log p(x) computed without the prior (mean of the likelihoods)")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    q = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    lik = torch.rand(5000, 4, generator=g) * 0.98 + 0.01
    truth = lik.mean(1).log()
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        up, down = (d > 1e-4).any(), (d < -1e-4).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


@wrong("elbo/directions", "compares with p(x) instead of log p(x)")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    q = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    lik = torch.rand(5000, 4, generator=g) * 0.98 + 0.01
    truth = (p * lik).sum(1)
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        up, down = (d > 1e-4).any(), (d < -1e-4).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


@wrong("elbo/directions", "asks for 'lower' before 'exact', so exact reports are called lower")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(2 * torch.randn(20000, 3, generator=g), 1)
    lik = torch.rand(20000, 3, generator=g) * 0.98 + 0.01
    q = torch.softmax(2 * torch.randn(20000, 3, generator=g), 1)
    q[:10000] = p[:10000] * lik[:10000] ** 2
    q = q / q.sum(1, keepdim=True)
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        if (d < 1e-4).all():
            out.append("lower")
        elif (d > -1e-4).all():
            out.append("upper")
        elif (d.abs() < 1e-4).all():
            out.append("exact")
        else:
            out.append("neither")
    return out


@wrong("elbo/directions", "picture equally probable in every state: all likelihoods equal")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(1000, 4, generator=g), 1)
    q = torch.softmax(torch.randn(1000, 4, generator=g), 1)
    lik = torch.full((1000, 4), 0.3)
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        up, down = (d > 1e-4).any(), (d < -1e-4).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


@wrong("elbo/directions", "majority vote: lower if over half of the models lie below, no 'neither'")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    q = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    lik = torch.rand(5000, 4, generator=g) * 0.98 + 0.01
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        if (d.abs() < 1e-4).float().mean() > 0.95:
            out.append("exact")
        else:
            out.append("lower" if (d < 0).float().mean() > 0.5 else "upper")
    return out


@wrong("elbo/directions", "answers from the function's name")
def directions(reports):
    known = {"reconstruction": "neither", "full_elbo": "lower", "half_the_kl": "neither"}
    return [known.get(getattr(r, "__name__", ""), "lower") for r in reports]


@wrong("elbo/directions", "tolerance of half a nat")
def directions(reports):
    g = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    q = torch.softmax(torch.randn(5000, 4, generator=g), 1)
    lik = torch.rand(5000, 4, generator=g) * 0.5 + 0.4
    truth = (p * lik).sum(1).log()
    out = []
    for r in reports:
        d = r(p, lik, q) - truth
        up, down = (d > 0.5).any(), (d < -0.5).any()
        out.append("neither" if up and down else "upper" if up else "lower" if down else "exact")
    return out


# ---------------------------------------------------------------- elbo/repaired_loss
@right("elbo/repaired_loss", "torch.distributions.Normal")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    log_p_z = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q_z = Normal(mu, sigma).log_prob(z).sum(-1)
    return -(log_p_x_given_z + log_p_z - log_q_z).mean()


@right("elbo/repaired_loss", "formulas by hand, constants cancel, log-determinant by change of variables")
def repaired_loss(x, mu, log_var, eps, decoder):
    z = mu + eps * torch.exp(0.5 * log_var)
    a = decoder(z)
    reconstruction = (F.softplus(a) - x * a).sum()
    difference = 0.5 * (z.square() - eps.square() - log_var).sum()  # log q - log p
    return (reconstruction + difference) / x.shape[0]


@right("elbo/repaired_loss", "Independent, Bernoulli and MultivariateNormal")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = log_var.exp().sqrt()
    z = mu + sigma * eps
    pixels = Independent(Bernoulli(logits=decoder(z), validate_args=False), 1)
    q = MultivariateNormal(mu, scale_tril=torch.diag_embed(sigma), validate_args=False)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return torch.stack([q.log_prob(z), -prior.log_prob(z), -pixels.log_prob(x)]).sum(0).mean()


@wrong("elbo/repaired_loss", "only the signs repaired: log-mean-exp over the batch left in")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    log_w = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    log_w = log_w + Normal(0.0, 1.0).log_prob(z).sum(-1) - Normal(mu, sigma).log_prob(z).sum(-1)
    return -(torch.logsumexp(log_w, 0) - math.log(len(x)))


@wrong("elbo/repaired_loss", "log q at eps without the log-determinant")
def repaired_loss(x, mu, log_var, eps, decoder):
    z = mu + (log_var / 2).exp() * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    log_p_z = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q_z = Normal(0.0, 1.0).log_prob(eps).sum(-1)
    return -(log_p_x_given_z + log_p_z - log_q_z).mean()


@wrong("elbo/repaired_loss", "variance given to Normal as scale")
def repaired_loss(x, mu, log_var, eps, decoder):
    z = mu + (log_var / 2).exp() * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    log_q_z = Normal(mu, log_var.exp()).log_prob(z).sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - log_q_z).mean()


@wrong("elbo/repaired_loss", "sum over the batch instead of mean")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - Normal(mu, sigma).log_prob(z).sum(-1)).sum()


@wrong("elbo/repaired_loss", "log q still added")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) + Normal(mu, sigma).log_prob(z).sum(-1)).mean()


@wrong("elbo/repaired_loss", "closed-form KL instead of the log-densities at z")
def repaired_loss(x, mu, log_var, eps, decoder):
    z = mu + (log_var / 2).exp() * eps
    bce = binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(-1)
    return (bce + kl).mean()


@wrong("elbo/repaired_loss", "sign forgotten: returns plus the ELBO")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    return (log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - Normal(mu, sigma).log_prob(z).sum(-1)).mean()


@wrong("elbo/repaired_loss", "z detached everywhere: no gradient through the decoder to mu")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = (mu + sigma * eps).detach()
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - Normal(mu, sigma).log_prob(z).sum(-1)).mean()


@wrong("elbo/repaired_loss", "Normal(mu, sigma).sample() drawn afresh: eps unused, gradients cut")
def repaired_loss(x, mu, log_var, eps, decoder):
    q = Normal(mu, (log_var / 2).exp())
    z = q.sample()
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - q.log_prob(z).sum(-1)).mean()


@wrong("elbo/repaired_loss", "eps replaced by fresh noise from randn_like")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * torch.randn_like(mu)
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - Normal(mu, sigma).log_prob(z).sum(-1)).mean()


@wrong("elbo/repaired_loss", "everything averaged over pixels and latents")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    bce = binary_cross_entropy_with_logits(decoder(z), x)
    return bce - Normal(0.0, 1.0).log_prob(z).mean() + Normal(mu, sigma).log_prob(z).mean()


@wrong("elbo/repaired_loss", "sigmoid before BCE with logits")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(torch.sigmoid(decoder(z)), x, reduction="none").sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - Normal(mu, sigma).log_prob(z).sum(-1)).mean()


@wrong("elbo/repaired_loss", "z detached inside log q only: value right, entropy gradient wrong")
def repaired_loss(x, mu, log_var, eps, decoder):
    sigma = (log_var / 2).exp()
    z = mu + sigma * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    log_q_z = Normal(mu, sigma).log_prob(z.detach()).sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - log_q_z).mean()


@wrong("elbo/repaired_loss", "log-determinant with the whole log_var instead of half")
def repaired_loss(x, mu, log_var, eps, decoder):
    z = mu + (log_var / 2).exp() * eps
    log_p_x_given_z = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    log_q_z = Normal(0.0, 1.0).log_prob(eps).sum(-1) - log_var.sum(-1)
    return -(log_p_x_given_z + Normal(0.0, 1.0).log_prob(z).sum(-1) - log_q_z).mean()


if __name__ == "__main__":
    from collections import Counter

    from answers import ANSWERS

    for key, count in Counter((a["task"], a["kind"]) for a in ANSWERS).items():
        print(*key, count)
