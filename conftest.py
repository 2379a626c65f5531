"""Configuration of every pytest run, with or without `make test`."""

import os
import re
from collections import Counter
from contextlib import suppress

if "PYTEST_XDIST_WORKER" in os.environ:  # torch, once imported: one thread in each worker
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # (benchmarks/README.md, "Beside busy programs")
collect_ignore = ["vae_lessons/checks.py"]  # importing it is an error: it says where `check` is now
TIERS = "tests that take longer, or need a browser or other machines (`make test-all`)"


def pytest_configure():
    """If a notebook's kernel fails to start because another program took one of its ports, try again."""
    import nbval.kernel

    start = nbval.kernel.start_new_kernel

    def start_with_retries(startup_timeout=60, **options):
        for timeout in (startup_timeout / 2, startup_timeout):
            with suppress(RuntimeError):
                return start(timeout, **options)
        return start(2 * startup_timeout, **options)

    nbval.kernel.start_new_kernel = start_with_retries


def pytest_xdist_make_scheduler(config, log):
    """Distribute tests one by one, but keep together what one run or one page serves.

    That is: a notebook's cells, attacks that are marked in one run, a lesson's variants, a lesson in the browser.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, *_, parameters = re.split(r"::|\[", nodeid.rstrip("]"))
            if file.endswith((".ipynb", "test_grading_hostile.py", "test_site.py")):
                return file
            lesson = file.endswith(("test_variants.py", "test_lessons.py")) and re.match(r"\d\d(?=[-_])", parameters)
            return f"{file}[{lesson[0]}]" if lesson else nodeid

    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_terminal_summary(terminalreporter, config):
    """Print in one line which tests were left out, and how to run them."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    reasons = Counter(entry[2].removeprefix("Skipped: ") for entry in skipped if isinstance(entry, tuple))
    reasons.pop("all tests skipped by +SKIP option", None)  # examples in docstrings that are not run
    left = [f"{count} test{'s' * (count > 1)}: {reason}" for reason, count in reasons.items()]
    if config.option.markexpr == "not long" and config.getoption("nbval", False):  # as `make test` does
        left.insert(0, TIERS)
    if left:
        terminalreporter.write_line("Left out: " + "; ".join(left))
