"""Each formula against an independent result: quadrature, torch.distributions, Monte Carlo with standard errors."""

import math

import pytest
import torch
from scipy import integrate
from torch.distributions import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

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


def test_samples_have_gradients_in_mean_and_log_variance():
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


@pytest.fixture
def full():
    g = torch.Generator().manual_seed(3)
    scale_tril = torch.linalg.cholesky(
        torch.stack([a @ a.T for a in torch.randn(2, 20, 3, 5, generator=g, dtype=torch.float64).flatten(0, 1)])
    ).reshape(2, 20, 3, 3)
    return torch.randn(2, 20, 3, generator=g, dtype=torch.float64), scale_tril


def test_a_full_gaussian_is_torch_distributions(full):
    (mu, x), (scale_tril, _) = full
    expected = MultivariateNormal(mu, scale_tril=scale_tril)
    torch.testing.assert_close(D.log_normal_full(x, mu, scale_tril), expected.log_prob(x))
    torch.testing.assert_close(D.entropy_normal_full(scale_tril), expected.entropy())


def test_kl_of_full_gaussians_is_torch_distributions(full):
    (mu_q, mu_p), (l_q, l_p) = full
    expected = kl_divergence(MultivariateNormal(mu_q, scale_tril=l_q), MultivariateNormal(mu_p, scale_tril=l_p))
    torch.testing.assert_close(D.kl_normal_full(mu_q, l_q, mu_p, l_p), expected)


def test_samples_of_a_full_gaussian_have_its_mean_and_covariance_and_pass_gradients(full):
    mu, scale_tril = full[0][0, 0], full[1][0, 0].clone().requires_grad_()
    z = D.sample_normal_full(mu.expand(200_000, 3), scale_tril, torch.Generator().manual_seed(4))
    covariance = (scale_tril @ scale_tril.T).detach()
    deviation = covariance.diagonal().sqrt()
    assert ((z.mean(0) - mu).abs() < 5 * deviation / math.sqrt(len(z))).all()
    # the standard error of a sample covariance is at most sqrt(2) sigma_i sigma_j / sqrt(N)
    bound = 5 * math.sqrt(2 / len(z)) * deviation[:, None] * deviation
    assert ((torch.cov(z.T) - covariance).abs() < bound).all()
    z.sum().backward()
    assert (scale_tril.grad.tril() != 0).any()


def test_diagonal_and_full_covariance_agree(gaussians):
    mu, log_var, x, _ = gaussians
    torch.testing.assert_close(
        D.log_normal_full(x, mu, torch.diag_embed(torch.exp(log_var / 2))), D.log_normal(x, mu, log_var)
    )


def test_the_aggregated_posterior_is_a_mixture(gaussians):
    mu, log_var, z, _ = gaussians
    weights = Categorical(torch.ones(len(mu), dtype=torch.float64))
    expected = MixtureSameFamily(weights, diagonal(mu, log_var)).log_prob(z[:7])
    torch.testing.assert_close(D.log_aggregated_posterior(z[:7], mu, log_var), expected)


@pytest.mark.parametrize("logit", [-8.0, -1.0, -0.011, -0.009, 0.0, 1e-6, 0.009, 0.011, 3.0])
def test_the_continuous_bernoulli_integrates_to_one(logit):
    def density(x):
        x, t = (torch.tensor([v], dtype=torch.float64) for v in (x, logit))
        return D.log_continuous_bernoulli(x, t).exp().item()

    assert integrate.quad(density, 0, 1)[0] == pytest.approx(1, abs=1e-9)


def test_the_continuous_bernoulli_is_torch_distributions():
    g = torch.Generator().manual_seed(5)
    x, logits = torch.rand(20, 7, generator=g).double(), 5 * torch.randn(20, 7, generator=g).double()
    expected = Independent(ContinuousBernoulli(logits=logits), 1).log_prob(x)
    torch.testing.assert_close(D.log_continuous_bernoulli(x, logits), expected)
    broadcast = D.log_continuous_bernoulli(x, logits[0])
    torch.testing.assert_close(broadcast[3], D.log_continuous_bernoulli(x[3], logits[0]))


def test_the_continuous_bernoulli_passes_finite_gradients_near_zero():
    logits = torch.tensor([0.0, 1e-8, -0.02], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    assert torch.autograd.gradcheck(D.log_continuous_bernoulli, (x, logits))
