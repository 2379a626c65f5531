"""A loss that exercise 06 hands to a student's function. Nothing here knows a right answer."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

__all__ = ["SomeLoss"]


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
