"""The verdict of a check, as text and as HTML."""

import html
from dataclasses import dataclass
from typing import Any

from vae_course.visible.outcomes import Kind

__all__ = ["Verdict"]


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    Args:
        task: the task's name.
        kind: the kind of verdict.
        title: one line.
        message: the text for the student, as plain text.
        mistake: the known mistake's name, or None.
        case: the failing case with its numbers, as plain text. Not shown to students if the inputs are secret.
    """

    task: str
    kind: Kind
    title: str
    message: str = ""
    mistake: str | None = None
    case: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.kind is Kind.PASSED

    def __str__(self) -> str:
        return "\n".join([f"{self.task}: {self.title}", *self._rest()])

    def _rest(self):
        return [text for text in (self.message, self.case) if text]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        sign, colour = ("✓", "#1a7f37") if self.passed else ("✗", "#b35900")
        text = "\n".join(self._rest())
        rest = f'<div style="white-space: pre-wrap; margin-top: .3em">{_html(text)}</div>'
        box = f"border-left: 4px solid {colour}; padding: .3em .8em; margin: .2em 0"
        head = f"<b>{sign} {html.escape(self.task)}: {_html(self.title)}</b>"
        return {
            "text/plain": f"{sign} {self}",
            "text/html": f'<div role="status" style="{box}">{head}{rest if text else ""}</div>',
        }


def _html(text):
    """Escaped for HTML, with `code` in a code font."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
