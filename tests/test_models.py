import copy
import math

import pytest
import torch
from scipy import integrate
from sklearn.decomposition import PCA
from torch.distributions import MultivariateNormal, kl_divergence

from vae_lessons.distributions import log_bernoulli, log_normal, sample_normal
from vae_lessons.models import VAE, Autoencoder, ConvVAE, GaussianVAE, LinearVAE, mlp, ppca


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


def with_the_z_of_its_elbo(vae, x):
    """A VAE's ELBO of pictures x, and the z that it drew for it."""
    torch.manual_seed(5)
    z = sample_normal(*vae.q_z_given_x(x))
    torch.manual_seed(5)
    return vae.elbo(x), z


def test_in_training_the_gaussian_vaes_elbo_has_the_sigma_that_maximises_the_likelihood(x):
    vae = small(GaussianVAE)
    elbo, z = with_the_z_of_its_elbo(vae, x)
    mean, log_likelihood = vae.p_x_given_z(z).mean, elbo.log_p_x_given_z.mean().item()
    for sigma in torch.linspace(0.2, 0.9, 71):
        assert log_likelihood >= log_normal(x, mean, 2 * sigma.log().expand(9)).mean().item() - 1e-4
    mse = (x - mean).pow(2).mean().item()
    assert log_likelihood == pytest.approx(-9 / 2 * (math.log(2 * math.pi * mse) + 1), rel=1e-5)
    torch.testing.assert_close(elbo.elbo, elbo.log_p_x_given_z - elbo.kl)


def test_the_gaussian_vae_gradient_is_that_of_the_log_mean_squared_error(x):
    vae = small(GaussianVAE)
    elbo, z = with_the_z_of_its_elbo(vae, x)
    elbo.log_p_x_given_z.mean().backward()
    by_likelihood = [p.grad.clone() for p in vae.decoder.parameters()]
    vae.zero_grad()
    (-9 / 2 * (x - vae.decoder(z.detach()).sigmoid()).pow(2).mean().log()).backward()
    for one, other in zip(by_likelihood, vae.decoder.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)


def test_the_gaussian_vae_keeps_its_sigma_for_evaluation(x):
    vae = small(GaussianVAE)
    for _ in range(200):
        elbo, z = with_the_z_of_its_elbo(vae, x)
    mean = vae.p_x_given_z(z).mean
    assert vae.log_sigma.exp().item() == pytest.approx((x - mean).pow(2).mean().sqrt().item(), rel=1e-3)
    vae.log_sigma.fill_(-0.5)  # unlike the batch's
    vae.eval()
    elbo, z = with_the_z_of_its_elbo(vae, x)
    torch.testing.assert_close(elbo.log_p_x_given_z, log_normal(x, mean, torch.tensor(-1.0).expand(9)))
    assert vae.log_sigma == -0.5


def test_without_hidden_layers_the_autoencoder_is_linear():
    autoencoder = Autoencoder(9, 2, hidden=())
    a, b = torch.randn(2, 9)
    together = autoencoder(a) + autoencoder(b) - autoencoder(torch.zeros(9))
    torch.testing.assert_close(autoencoder(a + b), together)


@pytest.mark.parametrize("sizes", [(784,), (), (784, 0, 2)])
def test_wrong_sizes_are_named(sizes):
    with pytest.raises(ValueError, match="sizes: expected"):
        mlp(*sizes)


def test_the_log_likelihood_of_bernoulli_pixels(x):
    vae, z = small(VAE, n_latents=2), torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(vae.log_p_x_given_z(x, z), log_bernoulli(x, vae.decoder(z)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("cls", [VAE, GaussianVAE, LinearVAE])
def test_log_p_x_given_z_is_p_x_given_zs_and_changes_nothing(cls, training, x):
    torch.manual_seed(0)
    model, z = cls(9, 2).train(training), torch.randn(16, 2)
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(model.log_p_x_given_z(x, z), model.p_x_given_z(z).log_prob(x))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.fixture
def correlated():
    g = torch.Generator().manual_seed(6)
    mix = torch.randn(6, 6, generator=g, dtype=torch.float64)
    return torch.randn(400, 6, generator=g, dtype=torch.float64) @ mix + torch.arange(6.0, dtype=torch.float64)


def test_the_linear_vaes_log_p_x_is_that_of_its_gaussian(correlated):
    torch.manual_seed(2)
    model = LinearVAE(6, 2).double()
    w = model.decoder.weight
    expected = MultivariateNormal(model.decoder.bias, w @ w.T + torch.eye(6))  # log_sigma starts at 0
    torch.testing.assert_close(model.log_p_x(correlated), expected.log_prob(correlated))


def test_probabilistic_pca_is_scikit_learns(correlated):
    weight, mean, variance = ppca(correlated, 2)
    pca = PCA(2, svd_solver="full").fit(correlated.numpy())
    n = len(correlated)
    assert variance.item() == pytest.approx(pca.noise_variance_ * (n - 1) / n)
    covariance = weight @ weight.T + variance * torch.eye(6)
    torch.testing.assert_close(covariance, torch.from_numpy(pca.get_covariance() * (n - 1) / n))
    torch.testing.assert_close(mean, torch.from_numpy(pca.mean_))


def test_no_parameters_are_likelier_than_probabilistic_pcas(correlated):
    model = LinearVAE.from_ppca(*ppca(correlated, 2))
    loss = -model.log_p_x(correlated).mean()
    loss.backward()
    for parameter in (model.decoder.weight, model.decoder.bias, model.log_sigma):
        assert parameter.grad.abs().max() < 1e-8
    g = torch.Generator().manual_seed(8)
    for _ in range(20):
        other = copy.deepcopy(model)
        for parameter in other.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=g, dtype=torch.float64)
        assert -other.log_p_x(correlated).mean() > loss


def test_the_linear_vaes_elbo_is_exact_on_the_principal_axes(correlated):
    model = LinearVAE.from_ppca(*ppca(correlated, 2)).requires_grad_(False)
    torch.manual_seed(0)
    elbo = torch.stack([model.elbo(correlated).elbo.mean() for _ in range(2000)])
    standard_error = elbo.std() / math.sqrt(len(elbo))
    assert abs(elbo.mean() - model.log_p_x(correlated).mean()) < 5 * standard_error


def test_off_the_principal_axes_no_diagonal_encoder_is_better_than_the_one_by_formula(correlated):
    weight, mean, variance = ppca(correlated, 2)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    model = LinearVAE.from_ppca(weight @ turn, mean, variance)
    w = model.decoder.weight.detach()
    precision = w.T @ w / variance + torch.eye(2)
    posterior = MultivariateNormal((correlated - mean) @ w / variance @ precision.inverse(), precision_matrix=precision)
    mu, log_var = model.q_z_given_x(correlated)
    q = MultivariateNormal(mu, scale_tril=(log_var / 2).exp().diag_embed())
    gap = kl_divergence(q, posterior)
    assert gap.min() > 0.01  # or the test could not tell a full covariance from a diagonal one
    torch.testing.assert_close(gap, (0.5 * (precision.diagonal().log().sum() - precision.logdet())).expand(400))
    gap.sum().backward()
    for parameter in (*model.encoder.parameters(), model.log_var):
        assert parameter.grad.abs().max() < 1e-8
    wider = MultivariateNormal(mu, scale_tril=1.02 * q.scale_tril)
    assert kl_divergence(wider, posterior).sum() > gap.sum()


@pytest.mark.parametrize("n_latents", [0, 6])
def test_probabilistic_pca_needs_fewer_latents_than_pixels(correlated, n_latents):
    with pytest.raises(ValueError, match="n_latents: expected 1 to 5, fewer than the 6 pixels"):
        ppca(correlated, n_latents)


@pytest.mark.parametrize(("size", "colours", "channels"), [(8, 3, (4, 6, 5)), (12, 1, (4, 6))])
def test_the_convolutional_vae_takes_and_gives_flat_pictures(size, colours, channels):
    torch.manual_seed(0)
    vae = ConvVAE(size, 2, colours, channels)
    x = torch.rand(7, colours * size * size)
    mu, log_var = vae.q_z_given_x(x)
    assert mu.shape == log_var.shape == (7, 2)
    assert vae.p_x_given_z(torch.zeros(5, 3, 2)).mean.shape == (5, 3, x.shape[1])
    assert vae.eval().p_x_given_z(torch.zeros(2)).mean.shape == x.shape[1:]
    vae.train()
    elbo = vae.elbo(x).elbo
    assert elbo.shape == (7,)
    elbo.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vae.parameters())


def test_the_convolutional_vaes_pictures_are_not_mixed_up():
    torch.manual_seed(0)
    vae, z = ConvVAE(8, 2, 3, (4, 6)).eval(), torch.randn(4, 5, 2)
    together = vae.p_x_given_z(z).mean
    alone = torch.stack([torch.stack([vae.p_x_given_z(code).mean for code in row]) for row in z])
    torch.testing.assert_close(together, alone)


def test_a_pixel_of_the_convolutional_decoder_depends_on_its_neighbourhood_only():
    torch.manual_seed(0)
    vae = ConvVAE(16, 2, 1, (4, 6)).double().eval()
    features = torch.zeros(1, 6, 4, 4, dtype=torch.float64, requires_grad=True)  # what the first layer gives
    picture = vae.decoder[4:](features + 1).view(16, 16)
    picture[0, 0].backward()
    assert features.grad[0, :, 2:].abs().max() == features.grad[0, :, :, 2:].abs().max() == 0


@pytest.mark.parametrize(("size", "channels"), [(10, (4, 4)), (0, (4,)), (64, ()), (4, (4, 4, 4))])
def test_the_convolutional_vae_names_a_wrong_size(size, channels):
    with pytest.raises(ValueError, match="size: expected a multiple of"):
        ConvVAE(size, channels=channels)
