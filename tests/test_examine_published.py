"""Losses after the pattern of published code: facts only, each written anew, with the answer worked out by hand.

The repository and file stand above each loss, the sizes beside it. D, d and B are pixels, latents and batch size.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vae_lessons.examine import examine_loss

NAN = math.nan
CASES = []


def published(likelihood, beta, sizes, kl="standard", says=(), **options):
    """Collects a loss, its answer, and D, d, B."""

    def collect(loss):
        CASES.append(pytest.param(loss, likelihood, beta, sizes, kl, says, options, id=loss.__name__))
        return loss

    return collect


def kl_each(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


# pytorch/examples, vae/main.py (the version with the continuous Bernoulli's normaliser)
@published("continuous bernoulli", 1, (784, 20, 128))
def pytorch_examples(recon_x, x, mu, logvar):
    x = x.reshape(-1, 784)
    near = (recon_x - 0.5).abs() < 0.01
    away = torch.where(near, torch.full_like(recon_x, 0.49), recon_x)
    exact = torch.log(2 * torch.atanh(1 - 2 * away) / (1 - 2 * away))
    u = recon_x - 0.5
    taylor = math.log(2) + 4 / 3 * u**2 + 104 / 45 * u**4
    bce = F.binary_cross_entropy(recon_x, x, reduction="sum")
    return bce - torch.where(near, taylor, exact).sum() + kl_each(mu, logvar).sum()


# AntixK/PyTorch-VAE, models/vanilla_vae.py: D = 3 * 64 * 64, with 144 of 162,770 pictures in a batch
@published(
    "gaussian", 144 / 162770 * 6144, (12288, 128, 144), says=["depends on the number of pixels"], M_N=144 / 162770
)
def pytorch_vae(*args, **kwargs):
    recons, pictures, mu, log_var = args
    kl = kl_each(mu, log_var).sum(1).mean()
    squares = F.mse_loss(recons, pictures)
    return {"loss": squares + kwargs["M_N"] * kl, "Reconstruction_Loss": squares.detach(), "KLD": -kl.detach()}


# ctallec/world-models, trainvae.py: the encoder gives log sigma
@published("gaussian", 0.5, (12288, 32, 32))
def world_models(recon_x, x, mu, logsigma):
    squares = F.mse_loss(recon_x, x, reduction="sum")
    return squares - 0.5 * torch.sum(1 + 2 * logsigma - mu**2 - torch.exp(2 * logsigma))


class Annealed:
    """YannDubs/disentangling-vae, disvae/models/losses.py: data first, and a count of the steps."""

    def __init__(self, distribution, beta=4, steps=0):
        self.distribution, self.beta, self.steps, self.count = distribution, beta, steps, 0

    def __call__(self, data, recon_data, mean, logvar, is_train=True, storer=None):
        self.count += is_train
        if self.distribution == "laplace":
            reconstruction = F.l1_loss(recon_data, data, reduction="sum")
        else:
            reconstruction = F.mse_loss(recon_data * 255, data * 255, reduction="sum") / 255
        ramp = 1 if self.steps == 0 or not is_train else min(self.count / self.steps, 1)
        return reconstruction / len(data) + ramp * self.beta * kl_each(mean, logvar).mean(0).sum()


annealed_laplace, annealed_gaussian = Annealed("laplace", steps=1000), Annealed("gaussian")
annealed_laplace.__name__, annealed_gaussian.__name__ = "disentangling_laplace", "disentangling_gaussian"
published("laplace", 4, (12288, 10, 64), says=["Two calls"])(annealed_laplace)
published("gaussian", 4 / 510, (12288, 10, 64))(annealed_gaussian)


# keras-team/keras-io, generative/vae.py: the mean over one channel, the sum over rows and columns, the mean over B
@published("bernoulli", 1, (784, 2, 128))
def keras_io(data, reconstruction, z_mean, z_log_var):
    eps = 1e-7
    p = reconstruction.reshape(-1, 28, 28, 1).clamp(eps, 1 - eps)
    y = data.reshape(-1, 28, 28, 1)
    crossentropy = -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean(-1)
    reconstruction_loss = crossentropy.sum((1, 2)).mean()
    kl_loss = (-0.5 * (1 + z_log_var - z_mean**2 - z_log_var.exp())).sum(1).mean()
    return {"loss": reconstruction_loss + kl_loss, "reconstruction_loss": reconstruction_loss, "kl_loss": kl_loss}


# hardmaru/WorldModelsExperiments, carracing/vae/vae.py: a floor of half a nat per latent, on the sum
@published("gaussian", 0.5, (12288, 32, 100), says=["depends on the KL"])
def car_racing(y, x, mu, logvar):
    squares = ((x - y) ** 2).sum(1).mean()
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1)
    return squares + torch.clamp(kl, min=0.5 * 32).mean()


class SigmaVAE(nn.Module):
    """orybkin/sigma-vae-pytorch, model.py, mode sigma_vae: one learned log sigma, softly clipped at -6."""

    def __init__(self):
        super().__init__()
        self.log_sigma = nn.Parameter(torch.zeros(1)[0])

    def loss_function(self, recon_x, x, mu, logvar):
        log_sigma = -6 + F.softplus(self.log_sigma + 6)
        rec = (0.5 * ((x - recon_x) / log_sigma.exp()) ** 2 + log_sigma + 0.5 * math.log(2 * math.pi)).sum()
        return rec, -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp())


soft_zero = -6 + math.log1p(math.exp(6))
published("gaussian", math.exp(2 * soft_zero), (2352, 20, 128), says=["constant"])(SigmaVAE().loss_function)


# orybkin/sigma-vae-pytorch, model.py, mode mse_vae: a mean beside a sum over batch and latents
@published("gaussian", 128 * 2352 / 2, (2352, 20, 128), says=["depends on the batch size"])
def mse_vae(recon_x, x, mu, logvar):
    return F.mse_loss(recon_x, x), -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp())


# 1Konny/Beta-VAE, solver.py, objective B: a capacity of 20 nats at the end; target before reconstruction
@published("bernoulli logits", 100, (4096, 10, 64), says=["depends on the KL"])
def capacity_b(x, x_recon, mu, logvar, gamma=100, C=20):
    recon = F.binary_cross_entropy_with_logits(x_recon, x, reduction="sum") / len(x)
    total = kl_each(mu, logvar).sum(1).mean(0, True)
    return recon + gamma * (total - C).abs()


# coolvision/vae_conv, vae_conv.py: `size_average` set after construction, which today's PyTorch does not read
bce_object = nn.BCELoss()
bce_object.size_average = False


@published("bernoulli", 3 * 64 * 12288, (12288, 2, 64), says=["depends on the batch size"])
def late_size_average(recon_x, x, mu, logvar):
    element = mu.pow(2).add_(logvar.exp()).mul_(-1).add_(1).add_(logvar)
    return bce_object(recon_x, x) + 3 * torch.sum(element).mul_(-0.5)


# aksub99/molecular-vae: 120 characters of 35 kinds; the names of the first two arguments are the wrong way round
@published("bernoulli", 35 / 292, (4200, 292, 600), says=["number of latents"], order=("recon", "x", "mu", "log_var"))
def molecules(x, x_decoded_mean, z_mean, z_log_var):
    xent = 120 * nn.BCELoss()(x.reshape(len(x), -1), x_decoded_mean.reshape(len(x), -1))
    return xent - 0.5 * torch.mean(1 + z_log_var - z_mean.pow(2) - z_log_var.exp())


# fastforwardlabs/vae-tf, vae.py: log sigma taken for the log-variance
@published("bernoulli", 1, (784, 2, 128), kl="of log-variance")
def log_sigma_in_place(observed_reconstruction, actual, mu, log_sigma):
    p = observed_reconstruction.clamp(1e-10, 1 - 1e-10)
    crossentropy = -(actual * torch.log(p) + (1 - actual) * torch.log(1 - p)).sum(1)
    kl = -0.5 * (1 + log_sigma - mu**2 - torch.exp(log_sigma)).sum(1)
    return (crossentropy + kl).mean()


# ethanluoyc/pytorch-vae, vae.py: sigma itself, averaged over latents
@published("gaussian", 49, (784, 8, 32), says=["number of latents"])
def sigma_averaged(decoded, inputs, z_mean, z_stddev):
    squared = z_stddev * z_stddev
    return nn.MSELoss()(decoded, inputs) + 0.5 * torch.mean(z_mean * z_mean + squared - torch.log(squared) - 1)


# davidADSP/GDL_code, models/VAE.py: 1000 times the mean of squares
@published("gaussian", 0.392, (784, 2, 32), shape=(1, 28, 28))
def thousand_times_the_mean(y_true, y_pred, mu, log_var):
    return 1000 * ((y_true - y_pred) ** 2).mean((1, 2, 3)) + kl_each(mu, log_var).sum(1)


# podgorskiy/VAE, VAE.py: both averaged, the KL times 0.1
@published("gaussian", 4.8, (49152, 512, 128))
def tenth_of_the_mean(recon_x, x, mu, logvar):
    kl = -0.5 * torch.mean(torch.mean(1 + logvar - mu.pow(2) - logvar.exp(), 1))
    return torch.mean((recon_x - x) ** 2), kl * 0.1


# A common pattern on GitHub: 1/2 is missing on the quadratic terms, which makes the prior N(0, 1/2)
@published("gaussian", 0.5, (784, 2, 32), kl="another prior", says=["tau = 0.7071"])
def half_missing_on_squares(x_hat, x, mu, sigma):
    return ((x - x_hat) ** 2).sum() + (sigma**2 + mu**2 - torch.log(sigma) - 1 / 2).sum()


# EugenHotaj/pytorch-generative, vae.py: logits, log of the standard deviation
@published("bernoulli logits", 1, (1024, 64, 128), shape=(1, 32, 32))
def log_std(logits, x, mean, log_std):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3))
    kl = 0.5 * (mean**2 + torch.exp(2 * log_std) - 1 - 2 * log_std).sum(1)
    return {"recon_loss": bce.mean(), "kl_div": kl.mean(), "loss": bce.mean() + kl.mean()}


@pytest.mark.parametrize(("loss", "likelihood", "beta", "sizes", "kl", "says", "options"), CASES)
def test_a_loss_after_published_code_is_what_its_authors_wrote(loss, likelihood, beta, sizes, kl, says, options):
    report = examine_loss(loss, *sizes, **options)
    assert (report.likelihood, report.kl) == (likelihood, kl), report
    assert report.beta == pytest.approx(beta, rel=0.01), report
    for words in says:
        assert words in " ".join(report.findings), report


# What people write, and what the first version of the report got wrong


def total_kl(mu, logvar):
    return kl_each(mu, logvar).sum() / len(mu)


def total_squares(recon, x):
    return 0.5 * (recon - x).square().sum() / len(x)


def warm_up_at_its_start(recon, x, mu, logvar, weight=0.0):
    squares, kl = total_squares(recon, x), total_kl(mu, logvar)
    return squares + weight * kl, squares, kl


def squares_to_rescaled_pictures(recon, x, mu, logvar):
    return total_squares(recon, 2 * x - 1) + total_kl(mu, logvar)


def bce_of_a_rescaled_output(recon, x, mu, logvar):
    return F.binary_cross_entropy((recon + 1) / 2, x, reduction="sum") / len(x) + total_kl(mu, logvar)


def ceiling_in_place_of_a_floor(recon, x, mu, logvar):
    return total_squares(recon, x) + kl_each(mu, logvar).mean(0).clamp(max=0.25).sum()


def normal_with_all_constants(recon, x, mu, logvar):
    log_p = torch.distributions.Normal(recon, 0.1).log_prob(x).sum(1)
    q = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(torch.zeros_like(mu), 2.0)).sum(1)
    return (kl - log_p).mean()


def absolute_values_with_a_scale(recon, x, mu, logvar, b=0.1):
    return ((recon - x).abs() / b + math.log(2 * b)).sum() / len(x) + total_kl(mu, logvar)


def test_a_weight_of_zero_is_seen_beside_the_single_terms():
    report = examine_loss(warm_up_at_its_start)
    assert (report.kl, report.beta) == ("none", 0)
    assert examine_loss(warm_up_at_its_start, weight=0.5).beta == pytest.approx(0.5)


@pytest.mark.parametrize("loss", [squares_to_rescaled_pictures, bce_of_a_rescaled_output])
def test_outputs_of_tanh_are_recognised(loss):
    report = examine_loss(loss)
    assert report.beta == pytest.approx(1)
    assert "Beta is meant on that scale" in str(report)


def test_a_ceiling_of_the_kl_is_no_missing_kl():
    assert "floor" in examine_loss(ceiling_in_place_of_a_floor).findings[0]


def test_a_whole_elbo_is_called_so():
    for loss, words in ((normal_with_all_constants, "sigma = 0.1"), (absolute_values_with_a_scale, "b = 0.1")):
        text = str(examine_loss(loss))
        assert "it is the whole -ELBO in nats" in text
        assert words in text


def test_a_sigma_that_is_learned_is_named():
    assert "log_sigma" in str(examine_loss(SigmaVAE().loss_function, 2352))


@pytest.mark.parametrize(
    ("loss", "options", "words"),
    [
        (nn.BCELoss, {}, "is a class"),
        (lambda recon, x, mu, logvar, mask: recon.sum(), {"mask": torch.ones(128, 784)}, "inside a lambda"),
        (lambda recon, x, mu, logvar, step: recon.sum(), {}, "step=1"),
    ],
)
def test_errors_say_what_to_do(loss, options, words):
    with pytest.raises(ValueError, match=words):
        examine_loss(loss, **options)


class LearnedSigma(nn.Module):
    """Squares over a learned variance, with log sigma for every pixel, or forgotten."""

    def __init__(self, forgotten):
        super().__init__()
        self.log_sigma, self.forgotten = nn.Parameter(torch.tensor(-1.0)), forgotten

    def forward(self, recon, x, mu, logvar):
        nll = total_squares(recon, x) * torch.exp(-2 * self.log_sigma)
        return nll + (0 if self.forgotten else x[0].numel() * self.log_sigma) + total_kl(mu, logvar)


def test_a_learned_sigma_needs_its_logarithm():
    assert "pushes log_sigma one way" in examine_loss(LearnedSigma(forgotten=True)).findings[0]
    assert "one way" not in str(examine_loss(LearnedSigma(forgotten=False)))


def test_the_constant_is_that_of_one_picture():
    report = examine_loss(lambda recon, x, mu, logvar: total_squares(recon, x) + 0.1 * total_kl(mu, logvar) + 100)
    assert any("100 per picture" in finding for finding in report.findings), report
    log_p = torch.distributions.Normal(0.0, 0.1).log_prob
    report = examine_loss(lambda r, x, mu, s: 0.1 * total_kl(mu, s) - log_p(x - r).sum() / len(x))
    assert "sigma = 0.1; beside it, the KL weighs 0.1" in str(report)


def test_squares_of_a_sigmoid_inside_are_recognised():
    report = examine_loss(lambda recon, x, mu, logvar: total_squares(recon.sigmoid(), x) + total_kl(mu, logvar))
    assert (report.likelihood, report.beta) == ("gaussian", pytest.approx(1))
