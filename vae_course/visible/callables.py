"""Functions that exercises pass to a student's function: decoders, losses, encoders."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

__all__ = [
    "AsIfUniform",
    "BestState",
    "CodeTerm",
    "Decoder",
    "Draw",
    "ElboPerPixel",
    "Few",
    "FitProbe",
    "GaussianEncoder",
    "Joint",
    "LargestWeight",
    "Lifted",
    "LikelyStates",
    "Linear",
    "LinearEncoder",
    "LogPowerMean",
    "LogitDecoder",
    "MidWay",
    "MostProbableState",
    "PixelLoss",
    "Quadratic",
    "Sampler",
    "Sine",
    "SlopedStep",
    "SomeLoss",
    "SquaresLoss",
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


@dataclass(frozen=True, eq=False, repr=False)
class Few:
    """A function of rows (..., n) that refuses more than a number of rows at once.

    Args:
        function: the function.
        limit: how many rows it takes.
    """

    function: Callable[[Tensor], Tensor]
    limit: int

    def __call__(self, rows: Tensor) -> Tensor:
        count = rows.shape[:-1].numel()
        if count > self.limit:
            raise ValueError(f"{count} at once, but there is room for {self.limit} only: look at batch_size again.")
        return self.function(rows)

    def __repr__(self) -> str:
        return f"{self.function!r}, at most {self.limit} rows at once"


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


@dataclass(frozen=True)
class ElboPerPixel:
    """The ELBO of a picture of two pixels, divided by their number."""

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        return (q * (p_z * p_x_given_z / q).log()).sum(-1) / 2


@dataclass(frozen=True)
class LikelyStates:
    """log p(x), summed only over the states to which q gives at least a tenth of its largest probability."""

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        likely = q >= 0.1 * q.amax(-1, keepdim=True)
        return (likely * p_z * p_x_given_z).sum(-1).log()


@dataclass(frozen=True)
class Lifted:
    """The ELBO and its gap, the gap multiplied by factor · KL(q ‖ p(z)): below log p(x) for a q near the prior."""

    factor: float

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        joint = p_z * p_x_given_z
        elbo = (q * (joint / q).log()).sum(-1)
        gap = joint.sum(-1).log() - elbo
        return elbo + self.factor * (q * (q / p_z).log()).sum(-1) * gap


@dataclass(frozen=True)
class LargestWeight:
    """The logarithm of the largest importance weight over the number of states."""

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        return ((p_z * p_x_given_z / q).amax(-1) / q.shape[-1]).log()


@dataclass(frozen=True)
class AsIfUniform:
    """log p(x) by importance weights, as if q, or else the prior, were uniform."""

    what: str = "q"

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        if self.what == "q":
            return (q.shape[-1] * (q * p_z * p_x_given_z).sum(-1)).log()
        return p_x_given_z.mean(-1).log()


# Exercises 06 and 12: losses


def _reduced(terms, along):
    """Terms (B, n), summed or averaged along axis 0 and along axis 1, as the two words say."""
    return getattr(getattr(terms, along[1])(1), along[0])(0)


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
        return self.scale * (_reduced(bce, self.bce) + self.weight * _reduced(kl, self.kl)) + self.offset

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


# Exercise 12: parts of VAEs that somebody else wrote

COSTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # of each pixel, from pictures and the decoder's output
    "bernoulli": lambda x, output: -(x * output.log() + (1 - x) * (1 - output).log()),
    "bernoulli logits": lambda x, output: binary_cross_entropy_with_logits(output, x, reduction="none"),
    "sigmoid twice": lambda x, output: binary_cross_entropy_with_logits(output.sigmoid(), x, reduction="none"),
    "gaussian": lambda x, output: (x - output) ** 2,
    "laplace": lambda x, output: (x - output).abs(),
}
SIGMAS: dict[str, Callable[[Tensor], Tensor]] = {  # by what an encoder's second output stands for: from it to σ
    "log-variance": lambda s: (s / 2).exp(),
    "log sigma": lambda s: s.exp(),
    "sigma": lambda s: s,
    "variance": lambda s: s.sqrt(),
}


@dataclass(frozen=True, repr=False)
class PixelLoss:
    """scale · cost + offset, the cost of the pixels summed or averaged along both axes.

    Args:
        kind: the likelihood, a key of `COSTS`.
        along: "sum" or "mean" over the pictures, and over the pixels.
        scale: a factor above 0.
        offset: a constant.
    """

    kind: str
    along: tuple[str, str] = ("sum", "sum")
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, x: Tensor, output: Tensor) -> Tensor:
        return self.scale * _reduced(COSTS[self.kind](x, output), self.along) + self.offset

    def __repr__(self) -> str:
        return "a loss that somebody wrote"


@dataclass(frozen=True, repr=False)
class SquaresLoss:
    """scale · (squared errors + weight · KL) + offset, each term summed or averaged along its two axes."""

    squares: tuple[str, str] = ("mean", "mean")
    kl: tuple[str, str] = ("mean", "mean")
    weight: float = 1.0
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, x: Tensor, x_hat: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
        squares = (x - x_hat) ** 2  # (B, D)
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var)  # (B, d)
        return self.scale * (_reduced(squares, self.squares) + self.weight * _reduced(kl, self.kl)) + self.offset

    def __repr__(self) -> str:
        return "a loss that somebody wrote"


@dataclass(frozen=True, repr=False)
class Draw:
    """z = mu + σ · eps, with σ made from the encoder's second output s, as `reading` says (`SIGMAS`)."""

    reading: str

    def __call__(self, mu: Tensor, s: Tensor, eps: Tensor) -> Tensor:
        return mu + SIGMAS[self.reading](s) * eps

    def __repr__(self) -> str:
        return "a draw that somebody wrote"


@dataclass(frozen=True, repr=False)
class CodeTerm:
    """scale · KL + offset of the encoder's outputs mu and s, or what was meant to be a KL.

    Args:
        reading: what s stands for, a key of `SIGMAS`.
        fault: what is wrong with it, if anything.
        scale: a factor above 0.
        offset: a constant.
    """

    reading: str
    fault: str = ""
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, mu: Tensor, s: Tensor) -> Tensor:
        if self.fault == "detached":  # the value as it should be, but no gradient for s
            s = s.detach() + 0 * s
        square, variance, logarithm = mu**2, SIGMAS[self.reading](s) ** 2, 2 * SIGMAS[self.reading](s).log()
        twice = {
            "sign": logarithm - square - variance,
            "sign of the logarithm": square + variance + logarithm,
            "no logarithm": square + variance,
            "another prior": 2 * square + 2 * variance - logarithm,
            "no mean": 0 * square + variance - logarithm,
            "reversed": (1 + square) / variance + logarithm,
        }.get(self.fault, square + variance - logarithm)
        return self.scale * twice.sum() / 2 + self.offset

    def __repr__(self) -> str:
        return "a KL that somebody wrote"


@dataclass(eq=False, repr=False)
class Sampler:
    """Draws z (B, d) from mu and log_var (B, d), with noise of its own. A copy begins where its original stands.

    Noise that is shared by pictures is a few numbers. Their mean is 0 and their standard deviation near 1, so that
    nothing but the sharing gives them away.

    Args:
        fault: what is wrong with the draws, if anything.
        seed: of the noise.
        calls: how often it has been called.
    """

    fault: str
    seed: int
    calls: int = 0

    def __call__(self, mu: Tensor, log_var: Tensor) -> Tensor:
        if self.fault == "none":
            return mu.clone()
        self.calls += self.fault != "frozen"
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * self.calls)
        shape = list(mu.shape)
        if self.fault in ("shared by pictures", "shared by latents"):
            shape[0 if self.fault == "shared by pictures" else -1] = 1
        draw = torch.rand if self.fault == "uniform" else torch.randn
        eps = draw(shape, generator=generator, dtype=mu.dtype)
        if self.fault == "shared by pictures" and eps.numel() > 1:
            near_1 = 0.95 + 0.1 * torch.rand((), generator=generator, dtype=mu.dtype)
            eps = near_1 * (eps - eps.mean()) / eps.std(correction=0)
        return mu + (log_var if self.fault == "variance" else log_var / 2).exp() * eps

    def __repr__(self) -> str:
        return "a sampler that somebody wrote"
