"""What every run of pytest here needs, `make test` or not."""

import os
from collections import Counter
from contextlib import suppress

if "PYTEST_XDIST_WORKER" in os.environ:  # torch, when it is loaded: as many threads as there are workers, and no more
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # (benchmarks/README.md, "Beside busy programs")
TIERS = "what takes longer, the browser and other machines (`make test-all`)"


def pytest_configure():
    """Start a notebook's kernel again where another program has taken one of the ports that were chosen for it."""
    import nbval.kernel

    start = nbval.kernel.start_new_kernel

    def start_again(startup_timeout=60, **named):
        for patience in (startup_timeout / 2, startup_timeout):
            with suppress(RuntimeError):
                return start(patience, **named)
        return start(2 * startup_timeout, **named)

    nbval.kernel.start_new_kernel = start_again


def pytest_xdist_make_scheduler(config, log):
    """Share tests out one by one, but keep together a notebook's cells, and all attacks that are marked in one run."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            return file if file.endswith((".ipynb", "test_grading_hostile.py")) else nodeid

    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_terminal_summary(terminalreporter, config):
    """Say in one line what was left out, and how to get it."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    reasons = Counter(found[2].removeprefix("Skipped: ") for found in skipped if isinstance(found, tuple))
    reasons.pop("all tests skipped by +SKIP option", None)  # examples in docstrings that are only to be read
    left = [f"{count} test{'s' * (count > 1)}: {reason}" for reason, count in reasons.items()]
    if config.option.markexpr == "not long" and config.getoption("nbval", False):  # as `make test` does
        left.insert(0, TIERS)
    if left:
        terminalreporter.write_line("Left out: " + "; ".join(left))
