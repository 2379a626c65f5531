"""Functions that exercises pass to a student's function: decoders, losses, encoders."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

__all__ = [
    "BestState",
    "Decoder",
    "FitProbe",
    "GaussianEncoder",
    "Joint",
    "Linear",
    "LinearEncoder",
    "LogPowerMean",
    "LogitDecoder",
    "MidWay",
    "MostProbableState",
    "Quadratic",
    "Sine",
    "SlopedStep",
    "SomeLoss",
    "Step",
    "WeightedElbo",
]


@dataclass(frozen=True, eq=False, repr=False)
class Linear:
    """z weight + bias, for rows z: (..., n) -> (..., m), in the dtype of z.

    Args:
        weight: (n, m).
        bias: (m,).
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return z @ self.weight.to(z.dtype) + self.bias.to(z.dtype)

    def __repr__(self) -> str:
        n, m = self.weight.shape
        return f"a linear layer from {n} numbers to {m}"


@dataclass(frozen=True)
class Quadratic:
    """z ↦ a z² + b z + c."""

    a: float
    b: float
    c: float

    def __call__(self, z: Tensor) -> Tensor:
        return self.a * z**2 + self.b * z + self.c


@dataclass(frozen=True)
class Sine:
    """z ↦ sin(frequency · z)."""

    frequency: float

    def __call__(self, z: Tensor) -> Tensor:
        return torch.sin(self.frequency * z)


@dataclass(frozen=True)
class Step:
    """z ↦ 1 where z > at, else 0. Autograd finds the derivative 0 everywhere."""

    at: float

    def __call__(self, z: Tensor) -> Tensor:
        return torch.where(z > self.at, 1 + 0 * z, 0 * z)


@dataclass(frozen=True)
class SlopedStep:
    """z ↦ slope · z, and 1 more where z > at."""

    at: float
    slope: float

    def __call__(self, z: Tensor) -> Tensor:
        return self.slope * z + Step(self.at)(z)


# Exercise 05: reports. A report takes three tables of shape (..., K), whose rows are probabilities of a small model:
# `p_z`, the prior of K states; `p_x_given_z`, the probability of one picture given each state; `q`, which stands in for
# the posterior. It returns numbers of shape (...), in nats.


@dataclass(frozen=True)
class WeightedElbo:
    """E_q[log p(x|z)] − beta · KL(q ‖ p(z))."""

    beta: float

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        return (q * (p_x_given_z.log() - self.beta * (q / p_z).log())).sum(-1)


@dataclass(frozen=True)
class LogPowerMean:
    """log E_q[w^power] / power of the importance weights w = p(x, z) / q(z)."""

    power: float

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        log_w = (p_z * p_x_given_z / q).log()
        return (q.log() + self.power * log_w).logsumexp(-1) / self.power


@dataclass(frozen=True)
class Joint:
    """The mean of log p(x, z) over q, without the entropy of q."""

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        return (q * (p_z * p_x_given_z).log()).sum(-1)


@dataclass(frozen=True)
class BestState:
    """log p(x|z) at the state that explains the picture best."""

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        return p_x_given_z.log().amax(-1)


@dataclass(frozen=True)
class MostProbableState:
    """log p(x|z) at the state that q finds most probable."""

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        return p_x_given_z.log().gather(-1, q.argmax(-1, keepdim=True)).squeeze(-1)


@dataclass(frozen=True)
class MidWay:
    """The mean of log p(x, z) − log q(z), with z drawn half from q and half from the posterior."""

    share: float = 0.5

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        joint = p_z * p_x_given_z
        mixed = (1 - self.share) * q + self.share * joint / joint.sum(-1, keepdim=True)
        return torch.sum(mixed * (joint / q).log(), -1)


# Exercise 06: a loss


@dataclass(frozen=True, repr=False)
class SomeLoss:
    """scale · (BCE + weight · KL) + offset, each term summed or averaged along its two axes.

    The axes are 0, over pictures, and 1, over the pixels or the latents of a picture.
    """

    bce: tuple[str, str] = ("mean", "mean")
    kl: tuple[str, str] = ("mean", "mean")
    weight: float = 1.0
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, x: Tensor, logits: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
        bce = binary_cross_entropy_with_logits(logits, x, reduction="none")  # (B, D)
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var)  # (B, d)
        bce, kl = (getattr(getattr(term, along[1])(1), along[0])(0) for term, along in ((bce, self.bce), (kl, self.kl)))
        return self.scale * (bce + self.weight * kl) + self.offset

    def __repr__(self) -> str:
        return "a loss that somebody wrote"


# Exercise 07: an encoder


@dataclass(frozen=True, eq=False)
class LinearEncoder:
    """x (B, D) ↦ mu (B, d) and log_var (B, d), both linear in x."""

    mu: Tensor  # (D, d)
    log_var: Tensor  # (D, d)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.mu.to(x.dtype), x @ self.log_var.to(x.dtype)


# Exercise 09: a decoder, and a probe for pictures


@dataclass(frozen=True, eq=False)
class Decoder:
    """Codes (N, d) ↦ mean pictures (N, D): sigmoid(z weight + bias)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z @ self.weight.to(z.dtype) + self.bias.to(z.dtype))


@dataclass(frozen=True)
class FitProbe:
    """Fits a linear probe to pictures (N, D) and labels (N,). Returns a function from pictures to predicted labels."""

    ridge: float

    def __call__(self, x: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
        pictures, targets = x.double(), labels.double()
        centre, level = pictures.mean(0), targets.mean()
        gram = (pictures - centre).T @ (pictures - centre) + self.ridge * torch.eye(x.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(gram, (pictures - centre).T @ (targets - level))

        def predict(x):
            return ((x.double() - centre) @ weights + level).to(x.dtype)

        return predict


# Exercise 10: an encoder and a decoder


@dataclass(frozen=True, eq=False)
class GaussianEncoder:
    """Pictures (B, D) ↦ mu and log_var, each (B, d)."""

    weight: Tensor
    log_var_weight: Tensor

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.weight.to(x.dtype), -0.5 + x @ self.log_var_weight.to(x.dtype)


@dataclass(frozen=True, eq=False)
class LogitDecoder:
    """Codes (..., d) ↦ logits of the pixels (..., D), through a hidden layer."""

    hidden: Tensor
    weight: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return torch.tanh(z @ self.hidden.to(z.dtype)) @ self.weight.to(z.dtype)
