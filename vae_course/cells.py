"""Notices when the cell that defines an answer fails, so that a check does not judge the answer from before."""

import re
import sys
from typing import Any

__all__ = ["failed_definition", "watch"]

DEFINITION = re.compile(r"^(?:async )?def (\w+)", re.M)
_before: dict[str, Any] = {}  # what the names that the running cell defines stood for when it began
_failed: dict[str, str] = {}  # names that a cell failed to define, and its error


def watch() -> None:
    """Follow the cells that run from now on, if there is a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return

    def begun(info):
        _before.clear()
        _before.update({name: shell.user_ns.get(name) for name in DEFINITION.findall(info.raw_cell or "")})

    def ended(result):
        error = result.error_before_exec or result.error_in_exec
        for name, before in _before.items():
            if error is not None and shell.user_ns.get(name) is before:
                _failed[name] = f"{type(error).__name__}: {error}"
            else:
                _failed.pop(name, None)

    shell.events.register("pre_run_cell", begun)
    shell.events.register("post_run_cell", ended)


def failed_definition(name: str) -> str | None:
    """The error of the cell that was last to define this function, if it failed before it did."""
    return _failed.get(name)
