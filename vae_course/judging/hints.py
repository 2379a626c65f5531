"""Hints for those who are stuck: three steps for each task, from the idea to the shape of the code."""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from IPython.display import display

from vae_course.tasks import POINTS, exercise_of

__all__ = ["hints_of", "next_hint", "require_task"]

FOLDER = Path(__file__).parents[1] / "tasks" / "hints"
_given: dict[str, int] = {}  # by task: how many steps have been shown in this session


@cache
def hints_of(exercise: str) -> dict[str, tuple[str, ...]]:
    """The steps for each task of an exercise, as Markdown. In the file `# task` heads them, `---` parts them."""
    text = (FOLDER / f"{exercise}.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^# (\S+)\n", text, flags=re.M)
    return {
        name: tuple(step.strip() for step in re.split(r"^---\n", steps, flags=re.M))
        for name, steps in zip(parts[::2], parts[1::2], strict=True)
    }


def require_task(name: str) -> None:
    """Raise ValueError if there is no task of this name."""
    if name not in POINTS:
        close = get_close_matches(str(name), POINTS, n=1)
        raise ValueError(f"name: there is no task {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))


def next_hint(name: str) -> None:
    """Show one step more than the last time. See `vae_course.hint`."""
    require_task(name)
    steps = hints_of(exercise_of(name))[name]
    _given[name] = count = min(_given.get(name, 0) + 1, len(steps))
    titles = ("the idea", "a plan", "the shape of the code")
    heads = [f"**{name}, step {n} of {len(steps)}: {titles[n - 1]}**" for n in range(1, count + 1)]
    shown = [f"{head}\n\n{step}" for head, step in zip(heads, steps[:count], strict=True)]
    rest = "Run this cell again for the next step." if count < len(steps) else "That was the last step."
    text = "\n\n".join([*shown, f"*{rest} Hints cost no points.*"])
    display({"text/plain": text, "text/markdown": text}, raw=True)
