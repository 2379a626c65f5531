"""Each formula against an independent truth: quadrature, torch.distributions, Monte Carlo with its standard error."""

import math

import pytest
import torch
from scipy import integrate
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from vae_lessons import distributions as D


@pytest.fixture
def gaussians():
    g = torch.Generator().manual_seed(0)
    return [2 * torch.randn(50, 3, generator=g, dtype=torch.float64) for _ in range(4)]


def diagonal(mu, log_var):
    return Independent(Normal(mu, torch.exp(log_var / 2)), 1)


def test_log_normal_is_torch_distributions(gaussians):
    mu, log_var, x, _ = gaussians
    torch.testing.assert_close(D.log_normal(x, mu, log_var), diagonal(mu, log_var).log_prob(x))


def test_log_normal_integrates_to_one():
    def density(x):
        return D.log_normal(*(torch.tensor([v], dtype=torch.float64) for v in (x, 0.7, -1.3))).exp().item()

    assert integrate.quad(density, -10, 10)[0] == pytest.approx(1, abs=1e-9)


def test_log_bernoulli_is_torch_distributions():
    g = torch.Generator().manual_seed(1)
    logits = 5 * torch.randn(20, 7, generator=g)
    x = torch.bernoulli(torch.full((20, 7), 0.4), generator=g)
    torch.testing.assert_close(D.log_bernoulli(x, logits), Independent(Bernoulli(logits=logits), 1).log_prob(x))


def test_log_bernoulli_sums_to_one_over_all_binary_pictures():
    pictures = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).double()
    logits = torch.tensor([0.3, -2.0, 5.0, 0.0], dtype=torch.float64)
    assert D.log_bernoulli(pictures, logits).exp().sum().item() == pytest.approx(1)


def test_log_bernoulli_stays_finite_for_certain_logits():
    assert D.log_bernoulli(torch.tensor([1.0]), torch.tensor([-1000.0])).item() == -1000


def test_entropy_is_torch_distributions_and_minus_the_expected_log_density(gaussians):
    mu, log_var, *_ = gaussians
    torch.testing.assert_close(D.entropy_normal(log_var), diagonal(mu, log_var).entropy())


def test_kl_is_torch_distributions(gaussians):
    mu_q, log_var_q, mu_p, log_var_p = gaussians
    expected = kl_divergence(diagonal(mu_q, log_var_q), diagonal(mu_p, log_var_p))
    torch.testing.assert_close(D.kl_normal(mu_q, log_var_q, mu_p, log_var_p), expected)


def test_kl_to_standard_normal_is_quadrature():
    mu, log_var = (torch.tensor([v], dtype=torch.float64) for v in (0.8, -1.1))

    def integrand(z):
        z = torch.tensor([z], dtype=torch.float64)
        log_q, log_p = D.log_normal(z, mu, log_var), D.log_normal(z, mu * 0, mu * 0)
        return (log_q.exp() * (log_q - log_p)).item()

    by_quadrature = integrate.quad(integrand, -10, 10)[0]
    assert D.kl_to_standard_normal(mu, log_var).item() == pytest.approx(by_quadrature, abs=1e-9)


def test_kl_to_standard_normal_is_the_general_kl_and_never_negative(gaussians):
    mu, log_var, *_ = gaussians
    zero = torch.zeros_like(mu)
    kl = D.kl_to_standard_normal(mu, log_var)
    torch.testing.assert_close(kl, D.kl_normal(mu, log_var, zero, zero))
    assert (kl > 0).all()
    assert D.kl_to_standard_normal(zero, zero).abs().max() == 0


def test_samples_have_the_mean_and_variance_asked_for():
    n, mu, log_var = 100_000, torch.tensor([-1.0, 3.0]), torch.tensor([-2.0, 1.0])
    z = D.sample_normal(mu.expand(n, 2), log_var.expand(n, 2), torch.Generator().manual_seed(0))
    var = log_var.exp()
    assert ((z.mean(0) - mu).abs() < 5 * (var / n).sqrt()).all()
    assert ((z.var(0) - var).abs() < 5 * var * math.sqrt(2 / n)).all()  # Var[s^2] = 2 sigma^4 / n
    assert abs(torch.corrcoef(z.T)[0, 1]) < 5 / math.sqrt(n)


def test_samples_carry_gradients_of_mean_and_log_variance():
    mu = torch.zeros(4, requires_grad=True)
    log_var = torch.full((4,), 0.6, requires_grad=True)
    z = D.sample_normal(mu, log_var, torch.Generator().manual_seed(0))
    z.sum().backward()
    torch.testing.assert_close(mu.grad, torch.ones(4))
    torch.testing.assert_close(log_var.grad, 0.5 * z.detach())  # dz/dlog_var = sigma eps / 2, and mu = 0


def test_the_generator_decides_the_samples():
    zero = torch.zeros(5)
    draws = [D.sample_normal(zero, zero, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
