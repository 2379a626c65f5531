"""Messages between marking and a worker.

Steps are sent to the worker pickled, because they come from marking itself. A reply is a line of lengths, a small JSON
text and, for the numbers in a function's results, bytes. A student's code may have written it, so `decode` accepts only
these messages, and reads no JSON that takes long.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "LENGTHS",
    "MAX_ERROR",
    "STOP",
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

LENGTHS = struct.Struct("!IQ")  # of the text and of the data
MAX_TEXT = 1 << 18  # bytes of JSON in one message
MAX_ERROR = 8000  # characters of an error that are sent
STOP = b"x"  # on the control socket: kill the child


@dataclass(frozen=True)
class RunCell:
    """Run a cell.

    Args:
        number: of the step.
        source: the cell's code.
        answers: the tasks that it answers.
    """

    number: int
    source: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObserveTask:
    """Call the function of a task, and send its results.

    Args:
        number: of the step.
        task: the task's name.
        function: the function's name.
        inputs: the observer and cases, pickled; added when the step is sent.
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
        steps: in order.
        library: functions of `vae_lessons` that are switched off.
        limits: the submission's limits, by name (`sandbox.Limits`).
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
    """The cell has run. `error` has the student's lines of the traceback, if there was one."""

    error: str | None


@dataclass(frozen=True)
class TaskObserved:
    """A function's results: for each case, the dtype and shape of each array by label; then all their bytes in turn."""

    cases: list[dict[str, list]]
    data: bytes = b""


@dataclass(frozen=True)
class TaskFailed:
    """Why there are no results to compare: the fields of a `Failure`."""

    kind: str
    message: str


@dataclass(frozen=True)
class Finished:
    """The child has finished its last step."""


@dataclass(frozen=True)
class ChildEnded:
    """The child has ended. The exit code is negative for a signal; `bytes` is its peak memory."""

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
    """The data received is not a message."""


def encode(message: Message) -> bytes:
    """The lengths, then the message's name and fields as JSON, then its data."""
    fields = dict(vars(message))
    data = fields.pop("data", b"")
    text = json.dumps([type(message).__name__, fields]).encode()
    return LENGTHS.pack(len(text), len(data)) + text + data


def decode(buffer: bytearray, max_bytes: int) -> Iterator[Message]:
    """Remove complete messages from the start of the buffer, and yield them.

    Args:
        buffer: the bytes received so far.
        max_bytes: the limit for the data of one message.

    Raises:
        ProtocolError: the bytes are not a message. No other exception is raised, whatever they are.
    """
    while len(buffer) >= LENGTHS.size:
        text, data = LENGTHS.unpack(buffer[: LENGTHS.size])
        if text > MAX_TEXT or data > max_bytes:
            raise ProtocolError("too long")
        end = LENGTHS.size + text
        if len(buffer) < end + data:
            return
        message = _message(bytes(buffer[LENGTHS.size : end]), bytes(buffer[end : end + data]))
        del buffer[: end + data]
        yield message


def _message(text: bytes, data: bytes) -> Message:
    try:
        name, values = json.loads(text)
        kind = BY_NAME[name]
        fields: dict[str, Any] = {key: values[key] for key in FIELDS[kind]}
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ProtocolError("not a message") from None
    if any(type(value) not in FIELDS[kind][key] for key, value in fields.items()):
        raise ProtocolError("a field has the wrong type")
    if data and kind is not TaskObserved:
        raise ProtocolError("data where there is none")
    return kind(**fields, **({"data": data} if kind is TaskObserved else {}))
