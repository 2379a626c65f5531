"""What every run of pytest here needs, `make test` or not."""

import os
from collections import Counter

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: threads of several workers would wait in each
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # other's way (benchmarks/README.md, "Beside busy programs")
TIERS = "what takes longer, the browser and other machines (`make test-all`)"


def pytest_collection_modifyitems(items):
    """Keep the cells of a notebook together, in their order, with `--dist loadgroup`."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.name + item.path.parent.name))


def pytest_terminal_summary(terminalreporter, config):
    """Say in one line what was left out, and how to get it."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    reasons = Counter(found[2].removeprefix("Skipped: ") for found in skipped if isinstance(found, tuple))
    left = [f"{count} tests: {reason}" for reason, count in reasons.items()]
    if config.option.markexpr == "not long":
        left.insert(0, TIERS)
    if left:
        terminalreporter.write_line("Left out: " + "; ".join(left))
