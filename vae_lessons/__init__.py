"""The small library behind a course on variational autoencoders.

Import the module you need, `from vae_lessons import data, models`: nothing is imported for you.
"""

__version__ = "1.0.0"
