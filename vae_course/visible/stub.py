"""What stands in for `vae_course` in the sandbox, so that notebooks find what they import. It judges nothing."""


def check(*_):
    """Do nothing: a submission's own checks do not count."""


def progress(*_):
    """Do nothing."""
