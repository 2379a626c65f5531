import math

import pytest
import torch
from scipy import integrate

from vae_lessons.distributions import log_bernoulli, log_normal
from vae_lessons.models import VAE, Autoencoder, GaussianVAE, mlp


@pytest.fixture
def x():
    return torch.bernoulli(torch.full((16, 9), 0.4), generator=torch.Generator().manual_seed(3))


def small(cls, n_latents=1, seed=0):
    torch.manual_seed(seed)
    return cls(9, n_latents, hidden=(8,))


@pytest.mark.parametrize("cls", [Autoencoder, VAE, GaussianVAE])
def test_every_parameter_gets_a_gradient(cls, x):
    model = small(cls, n_latents=2)
    output = model(x) if cls is Autoencoder else model.elbo(x).elbo
    output.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_shapes(x):
    vae = small(VAE, n_latents=3)
    mu, log_var = vae.q_z_given_x(x)
    assert mu.shape == log_var.shape == (16, 3)
    assert vae.p_x_given_z(torch.zeros(5, 2, 3)).mean.shape == (5, 2, 9)
    assert [part.shape for part in vae.elbo(x)] == [(16,)] * 3


def test_elbo_is_its_two_parts(x):
    elbo, log_p_x_given_z, kl = small(VAE).elbo(x)
    torch.testing.assert_close(elbo, log_p_x_given_z - kl)


def test_log_p_x_given_z_is_a_probability():
    vae = small(VAE, n_latents=2).double()
    pictures = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 9)
    z = torch.tensor([0.3, -1.0], dtype=torch.float64)
    assert vae.p_x_given_z(z).log_prob(pictures).exp().sum().item() == pytest.approx(1)


def test_mean_elbo_is_log_p_x_minus_the_kl_to_the_true_posterior(x):
    """log p(x) = ELBO + KL(q || p(z|x)), both by quadrature over the one latent; the ELBO by Monte Carlo."""
    vae, one = small(VAE).double().requires_grad_(False), x[:1].double()
    z = torch.linspace(-9, 9, 20_001, dtype=torch.float64)[:, None]
    log_joint = log_bernoulli(one, vae.decoder(z)) + log_normal(z, *torch.zeros(2, 1, dtype=torch.float64))
    log_q = log_normal(z, *vae.q_z_given_x(one))

    def integral(values):
        return integrate.simpson(values, x=z[:, 0]).item()

    assert integral(log_q.exp()) == pytest.approx(1, abs=1e-9)
    log_p_x = math.log(integral(log_joint.exp()))
    kl_to_posterior = integral(log_q.exp() * (log_q - log_joint + log_p_x))
    torch.manual_seed(0)
    draws = vae.elbo(one.expand(200_000, -1)).elbo
    standard_error = (draws.std() / math.sqrt(len(draws))).item()
    assert kl_to_posterior > 20 * standard_error  # or the test could not tell a wrong gap
    assert draws.mean().item() == pytest.approx(log_p_x - kl_to_posterior, abs=5 * standard_error)


def test_the_gaussian_vae_uses_the_sigma_that_maximises_the_likelihood(x):
    vae, z = small(GaussianVAE), torch.zeros(16, 1)
    mean = vae.p_x_given_z(z).mean
    log_likelihood = vae.log_p_x_given_z(x, z).mean().item()
    for sigma in torch.linspace(0.2, 0.9, 71):
        assert log_likelihood >= log_normal(x, mean, 2 * sigma.log().expand(9)).mean().item() - 1e-4
    mse = (x - mean).pow(2).mean().item()
    assert log_likelihood == pytest.approx(-9 / 2 * (math.log(2 * math.pi * mse) + 1), rel=1e-5)


def test_the_gaussian_vae_gradient_is_that_of_the_log_mean_squared_error(x):
    vae, z = small(GaussianVAE), torch.randn(16, 1, generator=torch.Generator().manual_seed(0))
    vae.log_p_x_given_z(x, z).mean().backward()
    by_likelihood = [p.grad.clone() for p in vae.decoder.parameters()]
    vae.zero_grad()
    (-9 / 2 * (x - vae.decoder(z).sigmoid()).pow(2).mean().log()).backward()
    for one, other in zip(by_likelihood, vae.decoder.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)


def test_the_gaussian_vae_keeps_its_sigma_for_evaluation(x):
    vae, z = small(GaussianVAE), torch.zeros(16, 1)
    for _ in range(200):
        vae.log_p_x_given_z(x, z)
    vae.eval()
    mean = vae.p_x_given_z(z).mean
    assert vae.log_sigma.exp().item() == pytest.approx((x - mean).pow(2).mean().sqrt().item(), rel=1e-3)
    expected = log_normal(x, mean, 2 * vae.log_sigma.expand(9))
    torch.testing.assert_close(vae.log_p_x_given_z(x, z), expected)


def test_without_hidden_layers_the_autoencoder_is_linear():
    autoencoder = Autoencoder(9, 2, hidden=())
    a, b = torch.randn(2, 9)
    together = autoencoder(a) + autoencoder(b) - autoencoder(torch.zeros(9))
    torch.testing.assert_close(autoencoder(a + b), together)


@pytest.mark.parametrize("sizes", [(784,), (), (784, 0, 2)])
def test_wrong_sizes_are_named(sizes):
    with pytest.raises(ValueError, match="sizes: expected"):
        mlp(*sizes)


def test_the_fast_log_likelihood_is_that_of_the_distribution(x):
    vae, z = small(VAE, n_latents=2), torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(vae.log_p_x_given_z(x, z), vae.p_x_given_z(z).log_prob(x))
