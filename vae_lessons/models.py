"""A plain autoencoder and variational autoencoders, all on flat pictures (B, D).

The defaults are small enough for a laptop: 784 pixels, one or two hidden layers, a few latents.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, LowRankMultivariateNormal, Normal

from vae_lessons.distributions import kl_to_standard_normal, sample_normal

__all__ = ["VAE", "Autoencoder", "ConvVAE", "Elbo", "GaussianVAE", "LatentVariableModel", "LinearVAE", "mlp", "ppca"]


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them and none after the last.

    Args:
        sizes: at least two: inputs, hidden layers, outputs.

    Example:
        >>> mlp(784, 400, 20)(torch.zeros(1, 784)).shape
        torch.Size([1, 20])
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes: expected at least two positive layer sizes, got {sizes}")
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A plain autoencoder: one code per picture, no noise, no prior.

    Args:
        n_pixels: D, the number of pixels of a flat picture.
        n_latents: d, the size of the code.
        hidden: sizes of the encoder's hidden layers; the decoder has them in reverse. With `()` both are
            single linear maps, and the best code spans the space of the principal components.
    """

    def __init__(self, n_pixels: int = 784, n_latents: int = 2, hidden: Sequence[int] = (256, 64)):
        super().__init__()
        self.encoder = mlp(n_pixels, *hidden, n_latents)
        self.decoder = mlp(n_latents, *reversed(hidden), n_pixels)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, d) of pictures (B, D)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """The decoder's raw output (B, D) for codes (B, d): log-odds of the pixels, if trained with log_bernoulli."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Elbo(NamedTuple):
    """The evidence lower bound of each picture and its two parts, each (B,), in nats: elbo = log_p_x_given_z - kl."""

    elbo: Tensor
    log_p_x_given_z: Tensor
    kl: Tensor


class LatentVariableModel(nn.Module):
    """A model p(x, z) = p(x|z) p(z) with p(z) = N(0, I), and an encoder that gives a diagonal Gaussian q(z|x).

    A subclass defines `q_z_given_x` and `p_x_given_z`. Everything else is the same for all models.
    """

    def q_z_given_x(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, each (B, d), of the approximate posterior q(z|x) of pictures (B, D)."""
        raise NotImplementedError

    def p_x_given_z(self, z: Tensor) -> Distribution:
        """The distribution of the picture given z (..., d): `.mean` is (..., D), `.log_prob(x)` is (...) in nats."""
        raise NotImplementedError

    def log_p_x_given_z(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z), (B,), in nats, of pictures (B, D) given z (B, d)."""
        return self.p_x_given_z(z).log_prob(x)

    def elbo(self, x: Tensor) -> Elbo:
        """One-sample estimate of the evidence lower bound on log p(x), for each picture.

        ELBO = E_q[log p(x|z)] - KL(q(z|x) || p(z)). The expectation is estimated with one z ~ q(z|x); the KL is exact
        (Kingma & Welling 2014, equation 10 with L = 1). Noise comes from torch's global generator.

        Args:
            x: (B, D), with values in the support of p(x|z): 0 or 1 for Bernoulli pixels. With grey x the
                Bernoulli term is minus a cross-entropy, and the sum is not a bound on a density.

        Returns:
            Elbo of (B,) tensors.
        """
        mu, log_var = self.q_z_given_x(x)
        z = sample_normal(mu, log_var)
        log_p_x_given_z = self.log_p_x_given_z(x, z)
        kl = kl_to_standard_normal(mu, log_var)
        return Elbo(log_p_x_given_z - kl, log_p_x_given_z, kl)


class VAE(LatentVariableModel):
    """A variational autoencoder with a standard normal prior, a diagonal Gaussian q(z|x) and Bernoulli pixels.

    Kingma & Welling 2014, section 3 and appendix C.

    Args:
        n_pixels: D, the number of pixels of a flat picture.
        n_latents: d, the size of z.
        hidden: sizes of the encoder's hidden layers; the decoder has them in reverse.
    """

    def __init__(self, n_pixels: int = 784, n_latents: int = 20, hidden: Sequence[int] = (400,)):
        super().__init__()
        self.encoder = mlp(n_pixels, *hidden, 2 * n_latents)
        self.decoder = mlp(n_latents, *reversed(hidden), n_pixels)

    def q_z_given_x(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, dim=-1)
        return mu, log_var

    def p_x_given_z(self, z: Tensor) -> Distribution:
        return Independent(Bernoulli(logits=self.decoder(z), validate_args=False), 1, validate_args=False)


class GaussianVAE(VAE):
    """A VAE with Gaussian pixels around the decoder's picture, with one standard deviation for all pixels.

    In training mode `elbo` sets sigma^2 to the mean squared error of the batch, the value that maximises the batch's
    likelihood (Rybkin et al. 2021, equation 5). The running average of log sigma, `log_sigma`, is used in
    `p_x_given_z` and `log_p_x_given_z`, and by `elbo` in evaluation mode.
    """

    def __init__(self, n_pixels: int = 2304, n_latents: int = 16, hidden: Sequence[int] = (256,)):
        super().__init__(n_pixels, n_latents, hidden)
        self.register_buffer("log_sigma", torch.tensor(0.0))

    def p_x_given_z(self, z: Tensor) -> Distribution:
        return _gaussian_pixels(torch.sigmoid(self.decoder(z)), self.log_sigma)

    def elbo(self, x: Tensor) -> Elbo:
        """As for every model; in training mode with the sigma that fits the batch best, which updates `log_sigma`."""
        if not self.training:
            return super().elbo(x)
        mu, log_var = self.q_z_given_x(x)
        mean = self.p_x_given_z(sample_normal(mu, log_var)).mean
        # at its maximum over sigma the likelihood has no slope in sigma, so sigma needs no gradient
        log_sigma = 0.5 * (x - mean).detach().pow(2).mean().log()
        self.log_sigma.lerp_(log_sigma, 0.05)
        log_p_x_given_z = _gaussian_pixels(mean, log_sigma).log_prob(x)
        kl = kl_to_standard_normal(mu, log_var)
        return Elbo(log_p_x_given_z - kl, log_p_x_given_z, kl)


class ConvVAE(GaussianVAE):
    """A `GaussianVAE` with convolutions, for square pictures in colour or grey, flattened like all others.

    Each layer of the encoder halves the sides, and each layer of the decoder doubles them (after Radford et al. 2016).
    Batch normalisation makes it learn faster: in training mode each picture's ELBO depends on the rest of the batch.

    Args:
        size: side of the pictures, in pixels, a multiple of 2 ** len(channels).
        n_latents: d, the size of z.
        colours: 3, or 1 for grey; D = colours * size * size.
        channels: of the encoder's layers; the decoder has them in reverse.

    Example:
        >>> ConvVAE(size=16, n_latents=8).p_x_given_z(torch.zeros(5, 8)).mean.shape
        torch.Size([5, 768])
    """

    def __init__(
        self, size: int = 64, n_latents: int = 64, colours: int = 3, channels: Sequence[int] = (16, 32, 64, 128)
    ):
        side, rest = divmod(size, 2 ** len(channels))
        if rest or side < 1 or not channels:
            raise ValueError(
                f"size: expected a multiple of {2 ** len(channels)}, since each of the {len(channels)} layers of "
                f"`channels` (at least one) halves the side, got {size}"
            )
        super().__init__(colours * size * size, n_latents, hidden=())
        down, up = [nn.Unflatten(-1, (colours, size, size))], []
        for n_in, n_out in pairwise((colours, *channels)):
            down += [nn.Conv2d(n_in, n_out, kernel_size=4, stride=2, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
            doubles = nn.ConvTranspose2d(n_out, n_in, kernel_size=4, stride=2, padding=1)
            up = [nn.BatchNorm2d(n_out), nn.ReLU(), doubles, *up]
        inner = channels[-1] * side * side
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(inner, 2 * n_latents))
        self.decoder = nn.Sequential(
            nn.Linear(n_latents, inner), nn.Unflatten(-1, (channels[-1], side, side)), *up, nn.Flatten()
        )

    def p_x_given_z(self, z: Tensor) -> Distribution:
        mean = torch.sigmoid(self.decoder(z.reshape(-1, z.shape[-1])))  # convolutions want (B, channels, H, W)
        return _gaussian_pixels(mean.view(*z.shape[:-1], -1), self.log_sigma)


class LinearVAE(LatentVariableModel):
    """A VAE without hidden layers, whose log p(x) is known exactly: probabilistic PCA with an encoder.

    p(x|z) = N(W z + b, sigma^2 I) and q(z|x) = N(V x + c, diag(s^2)), with one s for all pictures (Lucas et al. 2019).

    Args:
        n_pixels: D.
        n_latents: d.
    """

    def __init__(self, n_pixels: int, n_latents: int):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(n_pixels, n_latents), nn.Linear(n_latents, n_pixels)
        self.log_var = nn.Parameter(torch.zeros(n_latents))
        self.log_sigma = nn.Parameter(torch.tensor(0.0))

    @classmethod
    def from_ppca(cls, weight: Tensor, mean: Tensor, variance: Tensor) -> "LinearVAE":
        """The linear VAE with the p(x|z) of a probabilistic PCA, and the best encoder with a diagonal q(z|x).

        The posterior is N(P^-1 W^T (x - mean) / variance, P^-1) with the precision P = W^T W / variance + I (Tipping &
        Bishop 1999, equation 7). q(z|x) gets its mean, and the variances 1 / P_jj, which minimise KL(q || p). If W's
        columns are orthogonal, like those of `ppca`, P is diagonal and q is the posterior itself.

        Args:
            weight, mean, variance: W (D, d), (D,) and a scalar, as `ppca` returns them.

        Returns:
            A model with the dtype of `weight`.

        Example:
            >>> x = torch.tensor([[3.0, 1], [1, 3], [-3, -1], [-1, -3]])
            >>> model = LinearVAE.from_ppca(*ppca(x, 1))
            >>> round(model.log_var.exp().item(), 6)  # smaller over larger eigenvalue of the covariance: 2 / 8
            0.25
        """
        model = cls(*weight.shape).to(weight)
        precision = weight.T @ weight / variance + torch.eye(weight.shape[1]).to(weight)
        with torch.no_grad():
            model.decoder.weight.copy_(weight)
            model.decoder.bias.copy_(mean)
            model.log_sigma.copy_(variance.log() / 2)
            model.encoder.weight.copy_(torch.linalg.solve(precision, weight.T / variance))
            model.encoder.bias.copy_(-model.encoder.weight @ mean)
            model.log_var.copy_(-precision.diagonal().log())
        return model

    def q_z_given_x(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu = self.encoder(x)
        return mu, self.log_var.expand_as(mu)

    def p_x_given_z(self, z: Tensor) -> Distribution:
        return _gaussian_pixels(self.decoder(z), self.log_sigma)

    def log_p_x(self, x: Tensor) -> Tensor:
        """Exact log p(x), (B,), in nats, of pictures (B, D): log N(x; b, W W^T + sigma^2 I)."""
        noise = (2 * self.log_sigma).exp().expand(x.shape[-1])
        marginal = LowRankMultivariateNormal(self.decoder.bias, self.decoder.weight, noise, validate_args=False)
        return marginal.log_prob(x)


def ppca(x: Tensor, n_latents: int) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilistic PCA by maximum likelihood: x ~ N(mean, W W^T + variance I) (Tipping & Bishop 1999, section 3.2).

    W = U_d (Lambda_d - variance I)^(1/2), where U_d and Lambda_d hold the first eigenvectors and eigenvalues of the
    data's covariance, and `variance` is the mean of the other eigenvalues. Any rotation of W's columns is as good.

    Args:
        x: (N, D) pictures.
        n_latents: d < D.

    Returns:
        weight (D, d), with columns in order of decreasing eigenvalue; mean (D,); variance, a scalar.

    Example:
        >>> weight, mean, variance = ppca(torch.tensor([[3.0, 1], [1, 3], [-3, -1], [-1, -3]]), 1)
        >>> mean, variance  # the smaller eigenvalue of the covariance
        (tensor([0., 0.]), tensor(2.))
    """
    if not 0 < n_latents < x.shape[1]:
        raise ValueError(
            f"n_latents: expected 1 to {x.shape[1] - 1}, fewer than the {x.shape[1]} pixels, got {n_latents}"
        )
    mean = x.mean(0)
    eigenvalues, eigenvectors = torch.linalg.eigh(torch.cov(x.T, correction=0))  # ascending
    eigenvalues, eigenvectors = eigenvalues.flip(0), eigenvectors.flip(1)
    variance = eigenvalues[n_latents:].mean()
    weight = eigenvectors[:, :n_latents] * (eigenvalues[:n_latents] - variance).clamp(min=0).sqrt()
    return weight, mean, variance


def _gaussian_pixels(mean, log_sigma):
    """N(mean, sigma^2 I) over pictures, (..., D), with one sigma for all pixels."""
    return Independent(Normal(mean, log_sigma.exp(), validate_args=False), 1, validate_args=False)
