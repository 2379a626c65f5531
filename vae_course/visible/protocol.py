"""What marking and a worker say to each other.

Steps go to the worker pickled, for they come from marking itself. Whatever comes back is JSON, with its length before
it: a student's code may have written it, so `decode` accepts nothing but these messages.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "CellRan",
    "ChildEnded",
    "Finished",
    "Message",
    "ObserveTask",
    "ProtocolError",
    "Ready",
    "Request",
    "RunCell",
    "Step",
    "StepBegun",
    "TaskFailed",
    "TaskObserved",
    "decode",
    "encode",
]

LENGTH = struct.Struct("!Q")
STOP = b"x"  # on the control socket: end the child


@dataclass(frozen=True)
class RunCell:
    """Run a cell.

    Args:
        number: of the step.
        source: the cell's code.
        answers: the tasks whose answer it is.
    """

    number: int
    source: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObserveTask:
    """Call the function that a task asks for, and send what it returns.

    Args:
        number: of the step.
        task: its name.
        function: the function's name.
        inputs: the pickled observer and cases; added when the step is sent.
    """

    number: int
    task: str
    function: str
    inputs: bytes = b""


Step = RunCell | ObserveTask


@dataclass(frozen=True)
class Request:
    """One submission, ready to run.

    Args:
        steps: in their order.
        library: functions of `vae_lessons` that are switched off.
        limits: what the submission may take, by name (`sandbox.Limits`).
    """

    steps: list[Step]
    library: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """The worker has imported everything."""


@dataclass(frozen=True)
class StepBegun:
    """The child begins a step."""

    number: int


@dataclass(frozen=True)
class CellRan:
    """The cell ran: the student's lines of its traceback, or None."""

    error: str | None


@dataclass(frozen=True)
class TaskObserved:
    """What a function returned: for each case, by label, an array as its dtype, shape and bytes in base64."""

    cases: list[dict[str, list]]


@dataclass(frozen=True)
class TaskFailed:
    """Why a function returned nothing to compare: a `Failure`."""

    kind: str
    message: str


@dataclass(frozen=True)
class Finished:
    """The child is through with its last step."""


@dataclass(frozen=True)
class ChildEnded:
    """The child has ended: its exit code (negative for a signal), how long it ran, its peak memory."""

    exit_code: int
    seconds: float
    bytes: int


Message = Ready | StepBegun | CellRan | TaskObserved | TaskFailed | Finished | ChildEnded
FIELDS: dict[type, dict[str, tuple[type, ...]]] = {
    Ready: {},
    StepBegun: {"number": (int,)},
    CellRan: {"error": (str, type(None))},
    TaskObserved: {"cases": (list,)},
    TaskFailed: {"kind": (str,), "message": (str,)},
    Finished: {},
    ChildEnded: {"exit_code": (int,), "seconds": (float,), "bytes": (int,)},
}
BY_NAME = {message.__name__: message for message in FIELDS}


class ProtocolError(Exception):
    """What came is no message."""


def encode(message: Message) -> bytes:
    """The message's length, then its name and fields as JSON."""
    text = json.dumps([type(message).__name__, vars(message)]).encode()
    return LENGTH.pack(len(text)) + text


def decode(buffer: bytearray, max_bytes: int) -> Iterator[Message]:
    """Take the complete messages out of the buffer's beginning.

    Args:
        buffer: what has come so far.
        max_bytes: of one message.

    Raises:
        ProtocolError: what stands there is no message. No exception but this one, whatever it is.
    """
    while len(buffer) >= LENGTH.size:
        length = LENGTH.unpack(buffer[: LENGTH.size])[0]
        if length > max_bytes:
            raise ProtocolError("too long")
        if len(buffer) < LENGTH.size + length:
            return
        text = bytes(buffer[LENGTH.size : LENGTH.size + length])
        del buffer[: LENGTH.size + length]
        yield _message(text)


def _message(text: bytes) -> Message:
    try:
        name, values = json.loads(text)
        kind = BY_NAME[name]
        fields: dict[str, Any] = {key: values[key] for key in FIELDS[kind]}
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ProtocolError("not a message") from None
    if any(type(value) not in FIELDS[kind][key] for key, value in fields.items()):
        raise ProtocolError("a field of another type")
    return kind(**fields)
