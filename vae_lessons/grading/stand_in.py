"""Inside the walls this stands in for `vae_lessons.checks`: students' notebooks import from it, and it knows nothing."""


def check(*_):
    """Nothing: what a submission's own checks say does not count."""


def progress(*_):
    """Nothing, too."""
