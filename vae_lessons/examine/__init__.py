"""What a VAE loss, or a whole VAE, that somebody else wrote really is: measured by calling it, never by reading it."""

from vae_lessons.examine.losses import LossReport, examine_loss
from vae_lessons.examine.models import VAEReport, examine_vae

__all__ = ["LossReport", "VAEReport", "examine_loss", "examine_vae"]
