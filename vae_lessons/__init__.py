"""The small library behind a course on variational autoencoders.

Import the module you need, as in `from vae_lessons import data, models`; the package itself imports none.
"""

import os

__version__ = "1.0.0"

# torch's threads wait for each other in a busy loop. If other programs are busy, that takes processor time from the
# threads they wait for, so let them sleep sooner (benchmarks/README.md, "Beside busy programs"). OpenMP reads this when
# torch is loaded, so import vae_lessons before torch.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
