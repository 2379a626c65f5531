"""Losses in the many ways people write them, each with its answer, worked out by hand, against `examine_loss`.

Where nothing else is said: 784 pixels, 20 latents, batches of 128. The weight follows from two factors: the loss is
r times the negative log-likelihood plus k times the KL, both summed in a picture and averaged over the batch, and
beta = k / r. A sum over the batch has the factor 128, a mean over everything 1/784 (reconstruction) or 1/20 (KL), and
squares without 1/2 count twice.
"""

import collections
import functools
import itertools
import math
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import (
    Bernoulli,
    ContinuousBernoulli,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from vae_lessons.examine import examine_loss

PIXELS, LATENTS, BATCH = 784, 20, 128
NAN = math.nan
ANYTHING = object()  # not decided by what the function promises
PHRASES = [  # each has to be among the findings where it holds, and nowhere else
    "maximised",
    "no gradient",
    "depends on the KL",
    "depends on the batch size",
    "depends on the number of pixels",
    "two calls",
    "not finite",
    "sigmoid twice",
    "clamped",
]
CASES, ODD = [], []


def known(likelihood, beta, grows, /, kl="standard", says=(), may=(), name=None, **call):
    """Put a loss into the table, with its answer.

    `grows` has a letter each for the batch, pixels and latents: capital if the loss grows with it, small if it does
    not, - if that can't be told, . if it may be either. `says`: words of the findings. `may`: allowed words.
    `call`: what `examine_loss` is given.
    """

    def add(loss):
        answer = types.SimpleNamespace(likelihood=likelihood, beta=beta, grows=grows, kl=kl, says=says, may=may)
        CASES.append(pytest.param(loss, answer, call, id=name or loss.__name__))
        return loss

    return add


def odd(loss):
    """Put a loss into the table of those whose likelihood has none of the names."""
    ODD.append(pytest.param(loss, id=loss.__name__))
    return loss


def kl_terms(mu, log_var):
    return -0.5 * (1 + log_var - mu**2 - log_var.exp())


def kl_of_pictures(mu, log_var):
    return kl_terms(mu, log_var).sum(1)


def bce_sum(recon, x):
    return F.binary_cross_entropy(recon, x, reduction="sum")


# Made from parts: likelihood x reduction of either term x weight, in changing wrappers

LIKELIHOODS = {  # terms of each pixel, how many times the negative log-likelihood they are
    "bernoulli": (lambda p, x: F.binary_cross_entropy(p, x, reduction="none"), 1),
    "bernoulli logits": (lambda a, x: F.binary_cross_entropy_with_logits(a, x, reduction="none"), 1),
    "gaussian": (lambda m, x: (m - x) ** 2, 2),
    "laplace": (lambda m, x: (m - x).abs(), 1),
    "continuous bernoulli": (lambda p, x: -ContinuousBernoulli(probs=p).log_prob(x), 1),
    "continuous bernoulli logits": (lambda a, x: -ContinuousBernoulli(logits=a).log_prob(x), 1),
}
REDUCTIONS = {  # the reduction, its factor for the reconstruction, for the KL
    "sum": (torch.sum, BATCH, BATCH),
    "per-picture": (lambda terms: terms.flatten(1).sum(1).mean(), 1, 1),
    "mean": (torch.mean, 1 / PIXELS, 1 / LATENTS),
}


def usual_names(reconstruction, kl):
    def loss(recon_x, x, mu, logvar):
        return reconstruction(recon_x, x) + kl(mu, logvar)

    return loss


def keras_names(reconstruction, kl):
    return lambda y_true, y_pred, z_mean, z_log_var: reconstruction(y_pred, y_true) + kl(z_mean, z_log_var)


def star_args(reconstruction, kl):
    return lambda *args: reconstruction(*args[:2]) + kl(*args[2:])


def module(reconstruction, kl):
    class Loss(nn.Module):
        def forward(self, x, mu, log_var, x_hat):
            return reconstruction(x_hat, x) + kl(mu, log_var)

    return Loss()


def dictionary(reconstruction, kl):
    def loss(output, target, mean, log_var):
        terms = {"recon": reconstruction(output, target), "kl": kl(mean, log_var)}
        return {**terms, "loss": terms["recon"] + terms["kl"]}

    return loss


def total_first(reconstruction, kl):
    def loss(data, x_rec, mu, log_var):
        terms = reconstruction(x_rec, data), kl(mu, log_var)
        return sum(terms), *terms

    return loss


def two_terms(reconstruction, kl):
    return lambda recon, x, mu, logvar: (reconstruction(recon, x), kl(mu, logvar))


WRAPPERS = [usual_names, keras_names, star_args, module, dictionary, total_first, two_terms]


def made_from_parts():
    for n, (likelihood, reduction, kl_reduction) in enumerate(itertools.product(LIKELIHOODS, REDUCTIONS, REDUCTIONS)):
        terms, times = LIKELIHOODS[likelihood]
        over, r, _ = REDUCTIONS[reduction]
        kl_over, _, k = REDUCTIONS[kl_reduction]
        weight = (1, 4)[n % 2]
        wrap = WRAPPERS[n % len(WRAPPERS)]

        def reconstruction(recon, x, terms=terms, over=over):
            return over(terms(recon, x))

        def kl(mu, log_var, weight=weight, over=kl_over):
            return weight * over(kl_terms(mu, log_var))

        known(
            likelihood,
            weight * k / (times * r),
            ("B" if reduction == "sum" else "b")
            + ("p" if reduction == "mean" else "P")
            + ("l" if kl_reduction == "mean" else "L"),
            says=("depends on the batch size",) * ((reduction == "sum") != (kl_reduction == "sum"))
            + ("depends on the number of pixels",) * (reduction == "mean"),
            name=f"{likelihood}-{reduction}-kl-{kl_reduction}-{weight}-{wrap.__name__}",
        )(wrap(reconstruction, kl))


made_from_parts()


# Functions with the Bernoulli likelihood


@known("bernoulli", 1, "B-L")
def pytorch_example(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


@known("bernoulli", 1, "b-L", says=["depends on the batch size"])  # 784 * 128 / (128 * 784), at 128 only
def old_pytorch_example(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 784))
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    KLD /= 128 * 784
    return BCE + KLD


@known("bernoulli", 1, "bpL", says=["depends on the number of pixels"])  # pixels / 784
def kl_by_batch_times_784(recon_x, x, mu, logvar):
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / (x.size(0) * 784)
    return F.binary_cross_entropy(recon_x, x) + KLD


@known("bernoulli", 1, "bpL")  # both terms by the same number, whatever it is
def everything_by_the_number_of_values(recon, x, mu, logvar):
    return (bce_sum(recon, x) + kl_terms(mu, logvar).sum()) / x.numel()


@known("bernoulli", 1, "bPL")
def in_bits(recon, x, mu, logvar):
    return (bce_sum(recon, x) + kl_terms(mu, logvar).sum()) / len(x) / math.log(2)


@known("bernoulli", 1, "BPL")
def a_hundredth_of_it(recon, x, mu, logvar):
    return 0.01 * bce_sum(recon, x) + 0.01 * kl_terms(mu, logvar).sum()


@known("bernoulli", 1, "BPL")  # by a number that happens to be the batch size
def both_by_128(recon, x, mu, logvar):
    return bce_sum(recon, x) / 128 + kl_terms(mu, logvar).sum() / 128


@known("bernoulli", 1, "BPL", says=["depends on the batch size"])
def one_by_128(recon, x, mu, logvar):
    return bce_sum(recon, x) / 128 + kl_terms(mu, logvar).sum(1).mean()


@known("bernoulli", 1, "bPL")
def flattened(x_recon, x, mu, log_var):
    x, x_recon = x.view(x.size(0), -1), x_recon.view(x.size(0), -1)
    bce = F.binary_cross_entropy(x_recon, x, reduction="none").sum(dim=1)
    kld = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(dim=1)
    return (bce + kld).mean()


@known("bernoulli", 1, "bPL")
def handwritten_logs(x_hat, x, mu, logvar, eps=1e-8):
    nll = -(x * torch.log(x_hat + eps) + (1 - x) * torch.log(1 - x_hat + eps))
    kl = -0.5 * (1 + logvar - mu**2 - torch.exp(logvar))
    return nll.sum(-1).mean() + kl.sum(-1).mean()


@known("bernoulli", 1, "bPL", may=["clamped"])
def handwritten_logs_of_kept_probabilities(x_hat, x, mu, logvar):
    p = x_hat.clamp(1e-7, 1 - 1e-7)
    nll = -(x * p.log() + (1 - x) * (1 - p).log()).sum(1)
    return torch.mean(nll + kl_of_pictures(mu, logvar))


@known("bernoulli", 1, "bPL", says=["not finite"])
def handwritten_logs_without_eps(x_hat, x, mu, logvar):
    nll = -(x * torch.log(x_hat) + (1 - x) * torch.log(1 - x_hat))
    return nll.sum(1).mean() + kl_of_pictures(mu, logvar).mean()


@known("bernoulli", 1, "BPL")
def single_precision_inside(recon, x, mu, logvar):
    bce = F.binary_cross_entropy(recon.float(), x.float(), reduction="sum")
    return bce + kl_terms(mu.float(), logvar.float()).sum()


@known("bernoulli", 1, "bPL")
def bernoulli_of_grey_values(probs, x, mu, logvar):
    log_px = Bernoulli(probs=probs, validate_args=False).log_prob(x).sum(-1)
    return -(log_px - kl_of_pictures(mu, logvar)).mean()


@known("bernoulli logits", 1, "bPL")
def bernoulli_of_black_and_white_only(logits, x, mu, logvar):
    log_px = Bernoulli(logits=logits).log_prob(x).sum(-1)  # raises an error for grey values
    return -(log_px - kl_of_pictures(mu, logvar)).mean()


@known("bernoulli logits", 1, "bPL")
def logits_with_softplus(logits, target, mu, logvar):
    nll = (F.softplus(logits) - target * logits).sum(1)
    return (nll + kl_of_pictures(mu, logvar)).mean()


@known("bernoulli logits", 1, "BPL")
def sigmoid_inside(recon, x, mu, logvar):
    return bce_sum(torch.sigmoid(recon), x) + kl_terms(mu, logvar).sum()


@known("bernoulli logits", 1, "BPL", says=["not finite"])
def sigmoid_and_logs_inside(logits, x, mu, logvar):
    p = 1 / (1 + torch.exp(-logits))
    return -(x * p.log() + (1 - x) * (1 - p).log()).sum() + kl_terms(mu, logvar).sum()


@known("bernoulli logits", 1, "BPL", says=["sigmoid twice"])
def sigmoid_before_a_loss_of_logits(logits, x, mu, logvar):
    bce = F.binary_cross_entropy_with_logits(torch.sigmoid(logits), x, reduction="sum")
    return bce + kl_terms(mu, logvar).sum()


@known("bernoulli logits", 784, "bpL", says=["sigmoid twice", "depends on the number of pixels"])
def sigmoid_of_sigmoid(logits, x, mu, logvar):
    return F.binary_cross_entropy(logits.sigmoid().sigmoid(), x) + kl_of_pictures(mu, logvar).mean()


@known("bernoulli", 39.2, "bpl", says=["depends on the number of pixels"])  # 784 / 20
def means_of_everything(recon, x, mu, logvar):
    return F.binary_cross_entropy(recon, x) - 0.5 * torch.mean(1 + logvar - mu.pow(2) - logvar.exp())


@known("bernoulli", 128 * 784, "bpL", says=["depends on the batch size", "depends on the number of pixels"])
def mean_and_sum(recon, x, mu, logvar):
    return F.binary_cross_entropy(recon, x) - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


@known("bernoulli", 2, "BPL")
def forgotten_half(recon, x, mu, logvar):
    return bce_sum(recon, x) + torch.sum(mu**2 + logvar.exp() - 1 - logvar)


@known("bernoulli", 1, "BPL", says=["constant"])
def forgotten_one(recon, x, mu, logvar):
    return bce_sum(recon, x) - 0.5 * torch.sum(logvar - mu**2 - logvar.exp())


@known("bernoulli", 0, "bP-", kl="none")
def no_kl_at_all(recon, x, mu, logvar):
    return bce_sum(recon, x) / x.shape[0]


@known("bernoulli", 0, "BP-", kl="none")
def kl_of_weight_zero(recon, x, mu, logvar, beta=0.0):
    return bce_sum(recon, x) + beta * kl_terms(mu, logvar).sum()


# Functions with other likelihoods


@known("gaussian", 0.5, "BPL")
def summed_squares(recon, x, mu, logvar):
    return F.mse_loss(recon, x, reduction="sum") + kl_terms(mu, logvar).sum()


@known("gaussian", 1, "bPL")
def half_the_squares(recon, x, mu, logvar):
    return 0.5 * (recon - x).pow(2).sum(1).mean() + kl_of_pictures(mu, logvar).mean()


@known("gaussian", 0.784, "bpL", says=["depends on the number of pixels"])  # 784 / (2 * 500)
def squares_times_500(recon, x, mu, logvar):
    return 500 * F.mse_loss(recon, x) + kl_of_pictures(mu, logvar).mean()


@known("gaussian", 0.01, "bPL", says=["constant"])
def gaussian_with_sigma_and_all_constants(recon, x, mu, logvar, sigma=0.1):
    nll = 0.5 * ((x - recon) ** 2 / sigma**2 + math.log(2 * math.pi * sigma**2))
    return nll.sum(1).mean() + kl_of_pictures(mu, logvar).mean()


@known("gaussian", 1, "bPL", says=["constant"])
def normal_of_sigma_one(x_mean, x, mu, logvar):
    log_px = Normal(x_mean, 1.0).log_prob(x).sum(1)
    return -(log_px - kl_of_pictures(mu, logvar)).mean()


@known("gaussian", 0.25 * 784, "bpL", says=["depends on the number of pixels"])
def gaussian_nll_loss_of_variance_a_quarter(recon, x, mu, logvar):
    nll = nn.GaussianNLLLoss()(recon, x, torch.full_like(x, 0.25))
    return nll + kl_of_pictures(mu, logvar).mean()


@known("gaussian", NAN, "...", says=["sigma", "error"], may=["not finite", *PHRASES[2:5]])
def optimal_sigma(recon, x, mu, logvar):
    return 784 / 2 * torch.log(F.mse_loss(recon, x)) + kl_of_pictures(mu, logvar).mean()


@known("gaussian", NAN, "...", says=["sigma", "error"], may=["not finite", *PHRASES[2:5]])
def optimal_sigma_with_its_constants(recon, x, mu, logvar):
    log_sigma = ((x - recon) ** 2).mean().sqrt().log()
    nll = 0.5 * ((x - recon) / log_sigma.exp()) ** 2 + log_sigma + 0.5 * math.log(2 * math.pi)
    return nll.sum() + kl_terms(mu, logvar).sum()


@known("laplace", 1, "BPL")
def summed_absolute_values(recon, x, mu, logvar):
    return torch.abs(x - recon).sum() + kl_terms(mu, logvar).sum()


@known("laplace", 784, "bpL", says=["depends on the number of pixels"])
def mean_absolute_value(recon, x, mu, logvar):
    return F.l1_loss(recon, x) + kl_of_pictures(mu, logvar).mean()


@known("continuous bernoulli", 1, "bPL", may=["not finite", "clamped"])
def continuous_bernoulli_by_hand(recon, x, mu, logvar):
    p = recon.clamp(1e-6, 1 - 1e-6)
    q = torch.where((p - 0.5).abs() < 1e-3, 0.4, p)  # the fraction is 0/0 at 1/2, where its series is exact enough
    log_norm = torch.log(2 * torch.atanh(1 - 2 * q) / (1 - 2 * q))
    log_norm = torch.where(q == p, log_norm, math.log(2) + 4 / 3 * (p - 0.5) ** 2)
    log_px = x * p.log() + (1 - x) * (1 - p).log() + log_norm
    return -log_px.sum(1).mean() + kl_of_pictures(mu, logvar).mean()


# The KL in other words


@known("bernoulli", 1, "bPL")
def kl_of_torch(recon, x, mu, logvar):
    kl = kl_divergence(Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0))
    return bce_sum(recon, x) / len(x) + kl.sum(1).mean()


@known("bernoulli", 1, "bPL")
def kl_of_torch_independent(recon, x, mu, logvar):
    q = Independent(Normal(mu, (logvar / 2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return bce_sum(recon, x) / len(x) + kl_divergence(q, p).mean()


@known("gaussian", 0.5, "bPL")
def kl_of_full_covariances(recon, x, mu, logvar):
    q = MultivariateNormal(mu, scale_tril=torch.diag_embed(torch.exp(0.5 * logvar)))
    p = MultivariateNormal(torch.zeros_like(mu), scale_tril=torch.eye(mu.shape[1]).to(mu))
    return (x - recon).square().sum(1).mean() + kl_divergence(q, p).mean()


@known("bernoulli", 784 / 20, "bpl", says=["depends on the number of pixels"])
def kl_of_torch_mean(recon, x, mu, logvar):
    kl = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    return F.binary_cross_entropy(recon, x) + kl.mean()


@known("bernoulli", 1, "bPL")
def kl_from_sigma_inside(recon, x, mu, logvar):
    sigma = torch.exp(0.5 * logvar)
    kl = -torch.log(sigma) + (sigma**2 + mu**2) / 2 - 0.5
    return bce_sum(recon, x) / len(x) + kl.sum(1).mean()


@known("bernoulli", 1 / 20, "bPl")
def kl_mean_over_latents(recon, x, mu, logvar):
    return bce_sum(recon, x) / len(x) + kl_terms(mu, logvar).mean(dim=1).mean()


@known("bernoulli", 1, "BPL")
def sigma_by_name(x_hat, x, mu, sigma):
    return bce_sum(x_hat, x) - 0.5 * torch.sum(1 + torch.log(sigma**2) - mu**2 - sigma**2)


@known("bernoulli", 1, "BPL")
def std_by_name(x_hat, x, mu, std):
    return bce_sum(x_hat, x) + kl_divergence(Normal(mu, std), Normal(0.0, 1.0)).sum()


@known("gaussian", 0.5, "BPL")
def variance_by_name(x_hat, x, mean, var):
    return ((x - x_hat) ** 2).sum() + 0.5 * (mean**2 + var - var.log() - 1).sum()


@known("bernoulli", 1, "BPL")
def log_sigma_by_name(output, target, mean, log_sigma):
    kl = -0.5 * torch.sum(1 + 2 * log_sigma - mean.pow(2) - torch.exp(2 * log_sigma))
    return bce_sum(output, target) + kl


@known("bernoulli", 1, "BPL", kl="of log-variance")
def log_sigma_taken_for_log_variance(x, x_decoded_mean, z_mean, z_log_sigma):
    kl_loss = -0.5 * torch.sum(1 + z_log_sigma - torch.square(z_mean) - torch.exp(z_log_sigma))
    return bce_sum(x_decoded_mean, x) + kl_loss


@known("bernoulli", 1, "BPL", kl="of log-variance")
def sigma_taken_for_log_variance(recon, x, mu, sigma):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + sigma - mu.pow(2) - sigma.exp())


@known("bernoulli", 4, "BPL", kl="of variance")
def sigma_taken_for_variance(recon, x, mu, sigma):
    return bce_sum(recon, x) - 4 * 0.5 * torch.sum(1 + sigma.log() - mu.pow(2) - sigma)


@known("bernoulli", 1, "BPL", kl="of log sigma")
def log_variance_taken_for_log_sigma(recon, x, mu, logvar):
    return bce_sum(recon, x) + kl_divergence(Normal(mu, logvar.exp()), Normal(0.0, 1.0)).sum()


@known("bernoulli", 784, "bpL", kl="of log sigma", says=["depends on the number of pixels"])
def log_variance_taken_for_log_sigma_by_hand(recon, x, mu, log_var):
    kl = -0.5 * (1 + 2 * log_var - mu**2 - torch.exp(2 * log_var)).sum(dim=1)
    return F.binary_cross_entropy(recon, x) + kl.mean()


@known("bernoulli", 1, "BPL", kl="of sigma", may=["not finite"])
def log_variance_taken_for_sigma(recon, x, mu, log_var):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + torch.log(log_var**2) - mu**2 - log_var**2)


@known("bernoulli", 1, "BPL", kl="of variance", may=["not finite"])
def log_variance_taken_for_variance(recon, x, mu, logvar):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + torch.log(logvar) - mu**2 - logvar)


@known("bernoulli", 1, "BPL", kl="of log sigma")
def neutral_name_of_log_sigma(recon, x, mu, h):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + 2 * h - mu**2 - torch.exp(2 * h))


@known("bernoulli", -1, "BPL", kl="wrong sign", may=["maximised"])
def kl_with_a_lost_minus(recon, x, mu, logvar):
    return bce_sum(recon, x) + 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


@known("gaussian", -0.5, "bPL", kl="wrong sign", may=["maximised"])
def kl_subtracted(recon, x, mu, logvar):
    return ((recon - x) ** 2).sum(1).mean() - kl_of_pictures(mu, logvar).mean()


@known("bernoulli", NAN, "BPL", kl="reversed")
def kl_reversed(recon, x, mu, logvar):
    kl = kl_divergence(Normal(0.0, 1.0), Normal(mu, torch.exp(0.5 * logvar)))
    return bce_sum(recon, x) + kl.sum()


@known("gaussian", NAN, "bPL", kl="reversed")
def kl_reversed_by_hand(recon, x, mu, logvar):
    kl = 0.5 * (logvar + (1 + mu**2) * torch.exp(-logvar) - 1)
    return ((recon - x) ** 2).sum(1).mean() + kl.sum(1).mean()


@known("bernoulli", NAN, "BPL", kl="no mean")
def kl_without_mean(recon, x, mu, logvar):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + logvar - logvar.exp())


@known("bernoulli", NAN, "BPL", kl="no variance")
def kl_without_variance(recon, x, mu, logvar):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + logvar - mu.pow(2))


@known("gaussian", NAN, "bPL", kl="no variance")
def only_the_squared_mean(recon, x, mu, logvar):
    return ((recon - x) ** 2).sum(1).mean() + 0.5 * (mu**2).sum(1).mean()


@known("bernoulli", NAN, "BPL", kl="no log-variance")
def kl_without_log_variance(recon, x, mu, logvar):
    return bce_sum(recon, x) + 0.5 * torch.sum(mu.pow(2) + logvar.exp() - 1)


@known("bernoulli", 1, "BPL", kl="another prior")
def prior_of_sigma_two(recon, x, mu, logvar):
    kl = kl_divergence(Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 2.0))
    return bce_sum(recon, x) + kl.sum()


@known("bernoulli", 3, "bPL", kl="another prior")
def prior_of_variance_a_quarter_by_hand(recon, x, mu, logvar):
    kl = 0.5 * ((mu**2 + logvar.exp()) / 0.25 - 1 - logvar + math.log(0.25))
    return bce_sum(recon, x) / len(x) + 3 * kl.sum(1).mean()


@known("bernoulli", NAN, "BP.", kl="unknown")
def kl_with_the_mean_not_squared(recon, x, mu, logvar):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + logvar - mu.abs() - logvar.exp())


@known("bernoulli", NAN, "BP.", kl="unknown")
def kl_with_sigma_not_squared(recon, x, mu, logvar):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + logvar - mu**2 - torch.exp(0.5 * logvar))


@known("bernoulli", NAN, "BP.", kl="unknown")
def kl_with_variance_squared(recon, x, mu, logvar):
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp() ** 2)


@known("bernoulli", NAN, "BP.", kl="unknown")
def absolute_values_for_a_kl(recon, x, mu, logvar):
    return bce_sum(recon, x) + mu.abs().sum() + logvar.abs().sum()


# ELBOs to be maximised


@known("bernoulli", 1, "BPL", says=["maximised"])
def negated(recon, x, mu, logvar):
    return -(bce_sum(recon, x) + kl_terms(mu, logvar).sum())


@known("bernoulli", 1, "bPL", says=["maximised"])
def elbo(recon, x, mu, logvar):
    log_px = torch.sum(x * torch.log(recon + 1e-9) + (1 - x) * torch.log(1 - recon + 1e-9), dim=1)
    return torch.mean(log_px + 0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp(), dim=1))


@known("gaussian", 0.04, "bPL", says=["maximised"], may=["constant"])
def elbo_with_sigma(x, x_rec, mu, logvar):
    log_px = Normal(x_rec, 0.2).log_prob(x).sum(1)
    return (log_px - kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)).mean()


# Gradients that go missing. What the value says and what the gradients say differ, so no weight is asked for


@known("bernoulli", ANYTHING, "BP.", kl=ANYTHING, says=["no gradient"])
def mu_detached(recon, x, mu, logvar):
    return bce_sum(recon, x) + kl_terms(mu.detach(), logvar).sum()


@known("bernoulli", ANYTHING, "BP.", kl=ANYTHING, says=["no gradient"])
def log_variance_detached(recon, x, mu, logvar):
    return bce_sum(recon, x) + kl_terms(mu, logvar.detach()).sum()


@known("bernoulli", ANYTHING, "BP.", kl=ANYTHING, says=["no gradient"])
def kl_as_a_number(recon, x, mu, logvar):
    return bce_sum(recon, x) + kl_terms(mu, logvar).sum().item()


@known("gaussian", ANYTHING, "bP.", kl=ANYTHING, says=["no gradient"])
def kl_without_grad(recon, x, mu, logvar):
    with torch.no_grad():
        kl = kl_of_pictures(mu, logvar).mean()
    return ((x - recon) ** 2).sum(1).mean() + kl


@known(ANYTHING, ANYTHING, "..L", says=["no gradient"])
def reconstruction_detached(recon, x, mu, logvar):
    return bce_sum(recon.detach(), x) + kl_terms(mu, logvar).sum()


@known(ANYTHING, ANYTHING, "...", kl=ANYTHING, says=["no gradient"])
def made_a_tensor_anew(recon, x, mu, logvar):
    return torch.tensor((bce_sum(recon, x) + kl_terms(mu, logvar).sum()).item(), requires_grad=True)


# Weights that change


@known("bernoulli", 1, "bPL", says=["depends on the KL"], may=["clamped"])
def free_bits_of_each_latent(recon, x, mu, logvar, free_bits=0.5):
    kl = kl_terms(mu, logvar).mean(0)
    return bce_sum(recon, x) / len(x) + torch.clamp(kl, min=free_bits).sum()


@known("bernoulli", 1, "bPL", says=["depends on the KL"], may=["clamped"])
def free_bits_of_each_number(recon, x, mu, logvar):
    kl = torch.maximum(kl_terms(mu, logvar), torch.tensor(0.1))
    return bce_sum(recon, x) / len(x) + kl.sum(1).mean()


@known("gaussian", 2, "bP.", says=["depends on the KL"])
def free_nats_of_the_whole(recon, x, mu, logvar):
    kl = kl_of_pictures(mu, logvar).mean()
    return 0.5 * ((x - recon) ** 2).sum(1).mean() + 2 * F.relu(kl - 3.0)


@known("bernoulli", 30, "bP.", says=["depends on the KL"])
def capacity(recon, x, mu, logvar, gamma=30.0, C=5.0):
    return bce_sum(recon, x) / x.size(0) + gamma * (kl_of_pictures(mu, logvar).mean() - C).abs()


@known("gaussian", 500 * 784, "bp.", says=["depends on the KL", "depends on the number of pixels"])
def large_capacity(recon, x, mu, logvar):
    kl = torch.mean(-0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp(), dim=1), dim=0)
    return F.mse_loss(recon, x) + 1000 * torch.abs(kl - 25)


class WarmUp:
    """The weight grows from 0 to `beta` in 100 calls."""

    def __init__(self, beta):
        self.beta, self.calls = beta, 0

    def __call__(self, recon_x, x, mu, logvar):
        weight = self.beta * min(1.0, self.calls / 100)
        self.calls += 1
        return bce_sum(recon_x, x) + weight * kl_terms(mu, logvar).sum()


class WarmUpModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(self, recon, target, mu, log_var):
        self.step += 1
        weight = torch.clamp(self.step / 50, max=1)
        recon_loss = F.mse_loss(recon, target, reduction="sum") / target.size(0)
        return recon_loss + weight * kl_of_pictures(mu, log_var).mean()


known("bernoulli", 4, "BPL", says=["two calls"], name="warm_up")(WarmUp(4.0))
known("gaussian", 0.5, "bPL", says=["two calls"], name="warm_up_of_a_module")(WarmUpModule())


@known(ANYTHING, ANYTHING, "...", kl=ANYTHING, says=["two calls"], may=PHRASES)
def kl_of_one_draw(recon, x, mu, logvar):
    std = torch.exp(0.5 * logvar)
    z = mu + std * torch.randn_like(std)
    kl = Normal(mu, std).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    return bce_sum(recon, x) + kl.sum()


@known("bernoulli", 1, "BPL", says=["clamped"])
def log_variance_clamped(recon, x, mu, logvar):
    logvar = torch.clamp(logvar, -10, 10)
    return bce_sum(recon, x) - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


@known("gaussian", 0.5, "BPL", says=["clamped"])
def log_variance_clamped_narrowly(recon, x, mu, log_var):
    return ((recon - x) ** 2).sum() + kl_terms(mu, log_var.clamp(min=-6.0, max=2.0)).sum()


@known("laplace", 1, "BPL", says=["clamped"])
def log_variance_clamped_widely(recon, x, mu, logvar):
    return (recon - x).abs().sum() + kl_terms(mu, torch.clamp(logvar, -30.0, 20.0)).sum()


# Pictures with their shape


@known("bernoulli", 1, "bPL", shape=(1, 28, 28))
def summed_over_three_axes(recon, x, mu, logvar):
    bce = F.binary_cross_entropy(recon, x, reduction="none").sum(dim=(1, 2, 3))
    return (bce + kl_of_pictures(mu, logvar)).mean()


@known("bernoulli", 1, "bPL")  # flat pictures have no axes 2 and 3
def summed_over_three_axes_with_no_shape_told(recon, x, mu, logvar):
    bce = F.binary_cross_entropy(recon, x, reduction="none").sum(dim=(1, 2, 3))
    return (bce + kl_of_pictures(mu, logvar)).mean()


@known("gaussian", 0.5, "bPL", shape=(3, 32, 32), n_pixels=3072)
def squares_in_colour(x_hat, x, mu, log_var):
    return (x - x_hat).square().sum((1, 2, 3)).mean() + kl_of_pictures(mu, log_var).mean()


@known("gaussian", 0.5, "bPL", n_pixels=3072)
def squares_in_colour_with_no_shape_told(x_hat, x, mu, log_var):
    red, green, blue = ((x[:, c] - x_hat[:, c]).square().sum((1, 2)) for c in range(3))
    return (red + green + blue).mean() + kl_of_pictures(mu, log_var).mean()


@known("bernoulli logits", 600, "bpL", shape=(1, 20, 30), n_pixels=600, says=["depends on the number of pixels"])
def pictures_that_are_not_square(logits, x, mu, logvar):
    _, _, _, _ = x.shape
    return nn.BCEWithLogitsLoss()(logits, x) + kl_of_pictures(mu, logvar).mean()


@known("gaussian", 1536 * 0.00025, "bpL", shape=(3, 32, 32), n_pixels=3072, says=["depends on the number of pixels"])
def kl_weight_of_a_paper_in_colour(recons, input, mu, log_var, kld_weight=0.00025):
    kld = torch.mean(-0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp(), dim=1), dim=0)
    return F.mse_loss(recons, input) + kld_weight * kld


@known("bernoulli", 1, "BPL", shape=(1, 28, 28))
def flattened_from_its_shape(recon, x, mu, logvar):
    return bce_sum(recon.reshape(recon.size(0), -1), x.reshape(x.size(0), -1)) + kl_terms(mu, logvar).sum()


# Names and orders


@known("bernoulli", 1, "bPL")
def mean_and_log_variance_first(mu, logvar, x, recon):
    return bce_sum(recon, x) / len(x) + kl_of_pictures(mu, logvar).mean()


@known("bernoulli", 784, "bpL", says=["depends on the number of pixels"])
def target_first(target, output, mean, log_var):
    return nn.functional.binary_cross_entropy(output, target) + kl_of_pictures(mean, log_var).mean()


@known("bernoulli", 1, "bpL", says=["depends on the number of pixels"])  # pixels / 784
def keras_original_dim(y_true, y_pred, z_mean, z_log_var):
    reconstruction_loss = 784 * F.binary_cross_entropy(y_pred, y_true, reduction="none").mean(dim=-1)
    kl_loss = -0.5 * (1 + z_log_var - z_mean.square() - z_log_var.exp()).sum(dim=-1)
    return (reconstruction_loss + kl_loss).mean()


@known("bernoulli", 784 * 0.05, "bpl", says=["depends on the number of pixels"])  # 784 / 20
def keras_means(inputs, outputs, z_mean, z_log_var):
    kl_loss = -0.5 * torch.mean(1 + z_log_var - torch.square(z_mean) - torch.exp(z_log_var), dim=-1)
    return torch.mean(F.binary_cross_entropy(outputs, inputs, reduction="none").mean(-1) + kl_loss)


@known("bernoulli", 1, "BPL")
def names_that_tell_nothing(a, b, c, d):
    return bce_sum(a, b) - 0.5 * torch.sum(1 + d - c.pow(2) - d.exp())


@known("bernoulli", 1, "BPL", order=("x", "recon", "mu", "log_var"))
def names_that_tell_nothing_in_another_order(a, b, c, d):
    return bce_sum(b, a) - 0.5 * torch.sum(1 + d - c.pow(2) - d.exp())


@known("gaussian", 0.5, "BPL", order=("log_var", "mu", "x", "recon"))
def args_in_another_order(*args):
    log_var, mu, x, recon = args
    return ((x - recon) ** 2).sum() + kl_terms(mu, log_var).sum()


@known("bernoulli", 1, "BPL")
def keywords_only(*, recon, target, mu, logvar):
    return bce_sum(recon, target) + kl_terms(mu, logvar).sum()


@known("bernoulli", 4, "BPL", beta=4.0)
def required_beta(recon, x, mu, logvar, beta):
    return bce_sum(recon, x) + beta * kl_terms(mu, logvar).sum()


@known("bernoulli", 4, "BPL", beta=4.0)
def required_beta_in_the_midst(beta, x_hat, mu, logvar, x):
    return bce_sum(x_hat, x) + beta * kl_terms(mu, logvar).sum()


@known("bernoulli", 0.1, "BPL", kl_weight=0.1)
def default_that_is_replaced(recon, x, mu, logvar, kl_weight=1.0):
    return bce_sum(recon, x) + kl_weight * kl_terms(mu, logvar).sum()


@known("bernoulli", 1, "BPL")
def unused_keywords(recon, x, mu, logvar, z=None, **kwargs):
    return bce_sum(recon, x) + kl_terms(mu, logvar).sum()


@known("bernoulli", 0.5, "BPL")
def annotated(recon: torch.Tensor, x: torch.Tensor, mu: torch.Tensor, log_var: torch.Tensor) -> torch.Tensor:
    """Docstrings and hints change nothing."""
    return 2 * bce_sum(recon, x) + kl_terms(mu, log_var).sum()


def with_beta(beta):
    def loss_fn(recon, x, mu, logvar):
        return bce_sum(recon, x) / x.size(0) + beta * kl_of_pictures(mu, logvar).mean()

    return loss_fn


def wrapped(loss):
    @functools.wraps(loss)
    def inner(*args, **kwargs):
        return loss(*args, **kwargs)

    return inner


known("bernoulli", 6, "bPL", name="closure_over_beta")(with_beta(6))
known("bernoulli", 0.2, "BPL", name="partial")(functools.partial(required_beta, beta=0.2))
known("bernoulli", 1, "bPL", name="wrapped_with_another_order")(wrapped(mean_and_log_variance_first))
known("laplace", 2, "BPL", name="lambda")(lambda r, x, m, v: 0.5 * (x - r).abs().sum() + kl_terms(m, v).sum())
known("gaussian", 1, "bPL", name="lambda_of_args")(
    lambda *a: (0.5 * (a[0] - a[1]).square().sum(1) + kl_terms(a[2], a[3]).sum(1)).mean()
)


# Objects


class Model(nn.Module):
    """With its loss as a method, as in collections of VAEs."""

    def __init__(self):
        super().__init__()
        self.decoder = nn.Linear(2, 3)

    def loss_function(self, *args, **kwargs):
        recons, input, mu, log_var = args[0], args[1], args[2], args[3]
        kld_weight = kwargs["M_N"]  # the batch size by the number of pictures
        recons_loss = F.mse_loss(recons, input)
        kld_loss = torch.mean(-0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp(), dim=1), dim=0)
        loss = recons_loss + kld_weight * kld_loss
        return {"loss": loss, "Reconstruction_Loss": recons_loss.detach(), "KLD": -kld_loss.detach()}

    def criterion(self, x, x_hat, mu, log_var):
        return bce_sum(x_hat, x) + kl_terms(mu, log_var).sum()

    @staticmethod
    def static(x, x_hat, mu, log_var):
        return bce_sum(x_hat, x) + 3 * kl_terms(mu, log_var).sum()


known(
    "gaussian",
    784 / 2 * 128 / 60000,
    "bpL",
    says=["depends on the number of pixels"],
    name="method_with_kl_by_dataset_size",
    M_N=128 / 60000,
)(Model().loss_function)
known("bernoulli", 1, "BPL", name="method")(Model().criterion)
known("bernoulli", 3, "BPL", name="static_method")(Model.static)


class BCELoss(nn.Module):
    def __init__(self, beta=1.0):
        super().__init__()
        self.bce = nn.BCELoss(reduction="sum")
        self.beta = beta

    def forward(self, x_hat, x, mu, logvar):
        return (self.bce(x_hat, x) + self.beta * kl_terms(mu, logvar).sum()) / x.size(0)


class LogitsLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.reconstruction = nn.BCEWithLogitsLoss(reduction="none")

    def forward(self, logits, x, mu, logvar):
        return (self.reconstruction(logits, x).sum(-1) + kl_of_pictures(mu, logvar)).mean()


class MSELoss(nn.Module):
    criterion = nn.MSELoss()

    def forward(self, input, reconstruction, mu, logvar):
        return self.criterion(reconstruction, input) + kl_terms(mu, logvar).mean()


class L1Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.L1Loss(reduction="mean")
        self.register_buffer("weight", torch.tensor(0.001))

    def forward(self, recon, x, mu, logvar):
        return self.l1(recon, x) + self.weight * kl_of_pictures(mu, logvar).mean()


class LearnedSigma(nn.Module):
    def __init__(self, log_sigma=-1.0):
        super().__init__()
        self.log_sigma = nn.Parameter(torch.full((1,), log_sigma))

    def forward(self, recon, x, mu, log_var):
        nll = 0.5 * ((x - recon) / self.log_sigma.exp()) ** 2 + self.log_sigma
        return nll.sum(1).mean() + kl_of_pictures(mu, log_var).mean()


known("bernoulli", 2.5, "bPL", name="module_with_BCELoss")(BCELoss(2.5))
known("bernoulli logits", 1, "bPL", name="module_with_BCEWithLogitsLoss")(LogitsLoss())
known("gaussian", 19.6, "bpl", says=["depends on the number of pixels"], name="module_with_MSELoss")(MSELoss())
known("laplace", 0.784, "bpL", says=["depends on the number of pixels"], name="module_with_L1Loss")(L1Loss())
known("gaussian", math.exp(-2), "bPL", name="module_with_learned_sigma")(LearnedSigma())


# What is returned


Terms = collections.namedtuple("Terms", "loss reconstruction kl")


def terms_of(recon, x, mu, logvar):
    return bce_sum(recon, x), kl_terms(mu, logvar).sum()


@known("bernoulli", 1, ".PL")  # whoever calls it reduces the batch
def one_loss_for_each_picture(recon, x, mu, logvar):
    return F.binary_cross_entropy(recon, x, reduction="none").sum(1) + kl_of_pictures(mu, logvar)


@known("gaussian", 784 / 40, ".pl", says=["depends on the number of pixels"])
def one_loss_for_each_picture_of_means(recon, x, mu, logvar):
    return (recon - x).square().mean(1) + kl_terms(mu, logvar).mean(1)


@known("bernoulli", 1, "BPL")
def tensor_with_one_number(recon, x, mu, logvar):
    return sum(terms_of(recon, x, mu, logvar)).reshape(1)


@known("bernoulli", 1, "BPL")
def named_tuple(recon, x, mu, logvar):
    bce, kl = terms_of(recon, x, mu, logvar)
    return Terms(bce + kl, bce, kl)


@known("bernoulli", 1, "BPL")
def object_with_loss(recon, x, mu, logvar):
    bce, kl = terms_of(recon, x, mu, logvar)
    return types.SimpleNamespace(kl=kl, reconstruction=bce, loss=bce + kl)


@known("bernoulli", 1, "BPL")
def list_of_two_terms(recon, x, mu, logvar):
    return list(terms_of(recon, x, mu, logvar))


@known("bernoulli", 1, "BPL")
def kl_before_reconstruction(recon, x, mu, logvar):
    bce, kl = terms_of(recon, x, mu, logvar)
    return kl, bce


@known("bernoulli", 1, "BPL")
def total_and_kl(recon, x, mu, logvar):
    bce, kl = terms_of(recon, x, mu, logvar)
    return bce + kl, kl


@known("bernoulli", 1, "BPL")
def total_and_numbers(recon, x, mu, logvar):
    bce, kl = terms_of(recon, x, mu, logvar)
    return bce + kl, bce.item(), kl.item()


@known("bernoulli", 1, "BPL")
def dictionary_with_total_loss(recon, x, mu, logvar):
    bce, kl = terms_of(recon, x, mu, logvar)
    return {"kl_loss": kl, "reconstruction_loss": bce, "total_loss": bce + kl}


@known("bernoulli", 1, "BPL")
def dictionary_with_total(recon, x, mu, logvar):
    bce, kl = terms_of(recon, x, mu, logvar)
    return {"bce": bce.item(), "kl": kl.item(), "total": bce + kl}


# The test of the table


GROWS = ["grows_with_batch", "grows_with_pixels", "grows_with_latents"]


def expected(answer):
    """The fields of the report that the answer decides."""
    fields = {"likelihood": answer.likelihood, "kl": answer.kl, "beta": answer.beta}
    for field, letter in zip(GROWS, answer.grows, strict=True):
        fields[field] = {"-": None, ".": ANYTHING}.get(letter, letter.isupper())
    if answer.likelihood == "gaussian" and answer.beta is not ANYTHING and answer.beta > 0:
        fields["sigma"] = math.sqrt(answer.beta)
    elif answer.likelihood is not ANYTHING and answer.beta is not ANYTHING:
        fields["sigma"] = NAN
    return {field: right for field, right in fields.items() if right is not ANYTHING}


def differs(got, right):
    if isinstance(right, (str, bool)) or right is None:
        return type(got) is not type(right) or got != right
    return not isinstance(got, float) or got != pytest.approx(right, rel=0.01, abs=1e-9, nan_ok=True)


def wrong_words(findings, says, may):
    said = "\n".join(findings).lower()
    missing = [words for words in says if words.lower() not in said]
    too_much = [words for words in PHRASES if words.lower() in said and words not in {*says, *may}]
    return {"missing": missing, "too much": too_much}


@pytest.mark.parametrize(("loss", "answer", "call"), CASES)
def test_report_is_what_was_worked_out_by_hand(loss, answer, call):
    report = examine_loss(loss, **call)
    right = expected(answer)
    got = {field: getattr(report, field) for field in right}
    assert {field: (got[field], right[field]) for field in right if differs(got[field], right[field])} == {}, report
    assert wrong_words(report.findings, answer.says, answer.may) == {"missing": [], "too much": []}, report


@pytest.mark.parametrize("numbers", [(784, 20, 128), (100, 2, 16), (3600, 64, 7), (2, 1, 2)])
def test_weight_is_that_at_the_numbers_given(numbers):
    pixels, latents, batch = numbers

    def loss(recon, x, mu, logvar):
        return F.mse_loss(recon, x) + kl_terms(mu, logvar).mean()

    def summed(recon, x, mu, logvar):
        return F.mse_loss(recon, x) + kl_terms(mu, logvar).sum()

    assert examine_loss(loss, *numbers).beta == pytest.approx(pixels / latents / 2, rel=0.01)
    assert examine_loss(summed, *numbers).beta == pytest.approx(pixels * batch / 2, rel=0.01)


def test_plain_losses_have_no_constant():
    for loss in (flattened, half_the_squares, summed_absolute_values, logits_with_softplus):
        assert "constant" not in " ".join(examine_loss(loss).findings)


def test_findings_are_sentences_the_gravest_first():
    def loss(recon, x, mu, logvar):
        return -(bce_sum(recon, x) + kl_terms(mu, logvar).sum() + 1000)

    findings = examine_loss(loss).findings
    assert isinstance(findings, list)
    assert all(isinstance(finding, str) and finding.strip() for finding in findings)
    assert "maximised" in findings[0]
    assert any("constant" in finding for finding in findings[1:])


# Nothing that has none of the names is called by one of them


def with_kl(terms):
    """The loss of a reconstruction term, per picture, and the usual KL."""

    def loss(recon, x, mu, logvar):
        return terms(recon, x) + kl_of_pictures(mu, logvar).mean()

    loss.__name__ = terms.__name__
    return loss


@odd
@with_kl
def root_mean_square(recon, x):
    return torch.sqrt(F.mse_loss(recon, x))


@odd
@with_kl
def norm(recon, x):
    return torch.norm(recon - x)


@odd
@with_kl
def norm_of_each_picture(recon, x):
    return (recon - x).norm(dim=1).mean()


@odd
@with_kl
def huber(recon, x):
    return F.huber_loss(recon, x, reduction="sum", delta=0.3) / len(x)


@odd
@with_kl
def smooth_l1(recon, x):
    return F.smooth_l1_loss(recon, x, reduction="sum", beta=0.2) / len(x)


@odd
@with_kl
def smooth_l1_as_it_is(recon, x):  # half the squares, until a pixel is wrong by more than 1
    return F.smooth_l1_loss(recon, x, reduction="sum") / len(x)


@odd
@with_kl
def charbonnier(recon, x):
    return ((recon - x) ** 2 + 0.1**2).sqrt().sum(1).mean()


@odd
@with_kl
def log_cosh(recon, x):
    return torch.log(torch.cosh(3 * (recon - x))).sum(1).mean()


@odd
@with_kl
def fourth_power(recon, x):
    return ((recon - x) ** 4).sum(1).mean()


@odd
@with_kl
def student_t(recon, x):
    return torch.log1p((recon - x) ** 2 / 0.1).sum(1).mean()


@odd
@with_kl
def focal(recon, x):
    bce = F.binary_cross_entropy(recon, x, reduction="none")
    return ((1 - torch.exp(-bce)) ** 2 * bce).sum(1).mean()


@odd
@with_kl
def white_pixels_weigh_more(logits, x):
    weight = torch.tensor(3.0)
    return F.binary_cross_entropy_with_logits(logits, x, pos_weight=weight, reduction="sum") / len(x)


@odd
@with_kl
def cross_entropy_and_squares(recon, x):
    return (F.binary_cross_entropy(recon, x, reduction="sum") + F.mse_loss(recon, x, reduction="sum")) / len(x)


@odd
@with_kl
def squares_and_absolute_values(recon, x):
    return ((recon - x) ** 2 + 0.5 * (recon - x).abs()).sum(1).mean()


@odd
@with_kl
def cross_entropy_with_its_arguments_swapped(recon, x):
    return F.binary_cross_entropy(x.clamp(0.01, 0.99), recon, reduction="sum") / len(x)


@odd
@with_kl
def poisson(recon, x):
    return (recon - x * torch.log(recon.abs() + 1e-6)).sum(1).mean()


@odd
@with_kl
def cosine(recon, x):
    return 784 * (1 - F.cosine_similarity(recon, x, dim=1)).mean()


@odd
@with_kl
def differences_of_neighbours(recon, x):
    return ((recon.diff(dim=1) - x.diff(dim=1)) ** 2).sum(1).mean()


@odd
@with_kl
def squares_and_the_square_of_the_sum(recon, x):
    squares = ((recon - x) ** 2).sum(1).mean()
    return squares + ((recon.sum(1) - x.sum(1)) ** 2).mean()


@odd
@with_kl
def likeness_of_structure(recon, x):
    a, b = recon - recon.mean(1, keepdim=True), x - x.mean(1, keepdim=True)
    structure = (2 * (a * b).mean(1) + 0.01) / (a.square().mean(1) + b.square().mean(1) + 0.01)
    means = (2 * recon.mean(1) * x.mean(1) + 0.01) / (recon.mean(1) ** 2 + x.mean(1) ** 2 + 0.01)
    return 784 * (1 - structure * means).mean()


@odd
@with_kl
def softmax_over_pixels(recon, x):
    return -(x * F.log_softmax(recon, dim=1)).sum(1).mean()


@pytest.mark.parametrize("loss", ODD)
def test_nothing_unknown_is_called_known(loss):
    report = examine_loss(loss)
    assert report.likelihood == "unknown", report
    assert math.isnan(report.beta), report
    assert math.isnan(report.sigma), report


# Errors say what is wrong

REFUSALS = (TypeError, ValueError, RuntimeError)


def test_too_few_arguments():
    with pytest.raises(REFUSALS, match=r"(?i)argument|parameter"):
        examine_loss(lambda recon, x: bce_sum(recon, x))


def test_not_callable():
    with pytest.raises(REFUSALS, match=r"(?i)call|function"):
        examine_loss(torch.tensor(1.0))


def test_nothing_returned():
    def loss(recon, x, mu, logvar):
        bce_sum(recon, x) + kl_terms(mu, logvar).sum()

    with pytest.raises(REFUSALS, match="None"):
        examine_loss(loss)


def test_text_returned():
    with pytest.raises(REFUSALS, match="str"):
        examine_loss(lambda recon, x, mu, logvar: "0.3")


def test_dictionary_without_a_total_names_the_keys():
    def loss(recon, x, mu, logvar):
        return {"bce": f"{bce_sum(recon, x):.3f}", "kld": "0.1"}

    with pytest.raises(REFUSALS, match=r"(?s)loss.*total|total.*loss") as error:
        examine_loss(loss)
    assert "bce" in str(error.value)


def test_error_at_every_shape_is_passed_on():
    def loss(recon, x, mu, logvar):
        raise ValueError("the moon is not full")

    with pytest.raises(REFUSALS, match="the moon is not full"):
        examine_loss(loss)


def test_error_of_a_shape_given_is_passed_on():
    def loss(recon, x, mu, logvar):
        return bce_sum(recon, x.view(-1, 1, 17, 17)) + kl_terms(mu, logvar).sum()

    with pytest.raises(REFUSALS, match="17"):
        examine_loss(loss, shape=(1, 28, 28))


def test_missing_extra_argument_is_named():
    def loss(recon, x, mu, logvar, tightness):
        return bce_sum(recon, x) + tightness * kl_terms(mu, logvar).sum()

    with pytest.raises(REFUSALS, match="tightness"):
        examine_loss(loss)


def test_missing_keyword_of_args_is_named():
    with pytest.raises((*REFUSALS, KeyError), match="M_N"):
        examine_loss(Model().loss_function)


def test_unknown_extra_argument_is_named():
    with pytest.raises(REFUSALS, match="tightness"):
        examine_loss(summed_squares, tightness=3)


def test_order_with_an_unknown_role():
    with pytest.raises(REFUSALS, match="picture_of_a_cat"):
        examine_loss(names_that_tell_nothing, order=("x", "picture_of_a_cat", "mu", "log_var"))


# What belongs to the caller is left alone


def random_and_failing(recon, x, mu, logvar):
    torch.rand(3)
    raise ValueError("after a draw")


@pytest.mark.parametrize("loss", [summed_squares, kl_of_one_draw, random_and_failing])
def test_global_state_is_left_alone(loss):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        examine_loss(loss)
    except REFUSALS:
        assert loss is random_and_failing
    assert torch.equal(torch.get_rng_state(), before)
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (dtype, grad) == (torch.float32, True)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("grad", [None, 3.0])
def test_parameters_are_left_alone(training, grad):
    loss = LearnedSigma(0.5).train(training)
    loss.log_sigma.grad = None if grad is None else torch.tensor([grad])
    examine_loss(loss)
    assert loss.log_sigma.item() == 0.5
    assert loss.log_sigma.dtype == torch.float32
    assert loss.log_sigma.requires_grad
    assert loss.log_sigma.grad is None if grad is None else loss.log_sigma.grad.item() == grad
    assert loss.training is training


def test_parameters_of_a_method_are_left_alone():
    model = Model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    examine_loss(model.criterion)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_loss_is_measured_where_the_caller_needs_no_gradients():
    with torch.no_grad():
        report = examine_loss(summed_squares)
        assert not torch.is_grad_enabled()
    assert as_text(report) == as_text(examine_loss(summed_squares))


TWICE = [summed_squares, handwritten_logs_without_eps, capacity, optimal_sigma, mu_detached, huber, LearnedSigma()]


def as_text(report):
    """With nan equal to itself."""
    return {field: repr(getattr(report, field)) for field in ("likelihood", "beta", "sigma", "kl", *GROWS, "findings")}


@pytest.mark.parametrize("loss", TWICE)
def test_loss_examined_twice_gives_the_same_report(loss):
    first = as_text(examine_loss(loss))
    torch.rand(7)
    assert as_text(examine_loss(loss)) == first
