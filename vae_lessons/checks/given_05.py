"""Functions that exercise 05 hands to a student's function. Nothing here knows a right answer.

A report takes three tables of shape (..., K), whose rows are probabilities of a small model: `p_z`, the prior of
K states; `p_x_given_z`, the probability of one picture given each state; `q`, the distribution that stands in for the
posterior. It returns numbers of shape (...), in nats.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BestState", "Joint", "LogPowerMean", "MidWay", "MostProbableState", "WeightedElbo"]


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
    """The mean of log p(x, z) − log q(z), half of the draws of z from q and half from the posterior."""

    share: float = 0.5

    def __call__(self, p_z: Tensor, p_x_given_z: Tensor, q: Tensor) -> Tensor:
        joint = p_z * p_x_given_z
        mixed = (1 - self.share) * q + self.share * joint / joint.sum(-1, keepdim=True)
        return torch.sum(mixed * (joint / q).log(), -1)
