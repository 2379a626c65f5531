"""The small library behind a course on variational autoencoders.

Import the module you need, `from vae_lessons import data, models`: nothing is imported for you.
"""

import os

__version__ = "1.0.0"

# torch's threads wait for each other in a loop, which takes the processor from those they wait for where other programs
# are busy. Let them fall asleep sooner (benchmarks/README.md, "Beside busy programs"). OpenMP reads this when torch is
# loaded, so import vae_lessons before torch.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
