"""Messages of a worker arrive as they were sent; whatever else arrives is refused."""

import json

import pytest

from vae_course.visible.protocol import (
    LENGTHS,
    CellRan,
    ChildEnded,
    Finished,
    ProtocolError,
    Ready,
    StepBegun,
    TaskFailed,
    TaskObserved,
    decode,
    encode,
)

MESSAGES = [
    Ready(),
    StepBegun(3),
    CellRan(None),
    CellRan("ValueError: é"),
    TaskObserved([{"result": ["<f8", [1]]}], b"\0\0\0\0\0\0\xf0?"),
    TaskFailed("raised", "oh"),
    Finished(),
    ChildEnded(-9, 0.5, 1 << 20),
]


def test_messages_arrive_as_they_were_sent_even_byte_by_byte():
    received, buffer = [], bytearray()
    for byte in b"".join(map(encode, MESSAGES)):
        buffer.append(byte)
        received += decode(buffer, 1 << 16)
    assert received == MESSAGES
    assert not buffer


def framed(text: bytes, data: bytes = b"") -> bytearray:
    return bytearray(LENGTHS.pack(len(text), len(data)) + text + data)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        {},
        ["StepBegun"],
        ["StepBegun", {}],
        ["StepBegun", {"number": "3"}],
        ["StepBegun", {"number": True}],
        ["StepBegun", [3]],
        [["StepBegun"], {"number": 3}],
        ["Request", {"steps": []}],
        ["TaskObserved", {"cases": {}}],
        ["TaskFailed", {"kind": "raised", "message": None}],
        ["__class__", {}],
    ],
)
def test_other_values_are_refused(value):
    with pytest.raises(ProtocolError):
        list(decode(framed(json.dumps(value).encode()), 1 << 16))


@pytest.mark.parametrize(
    "data",
    [
        framed(b"\xff" * 64),
        framed(b"[" * 100_000),
        framed(b"1" * 10_000),
        bytearray(b"\xff" * 64),
        framed(b" " * ((1 << 20) + 1)),
    ],
    ids=["not text", "deep nesting", "long number", "no length", "too long"],
)
def test_data_that_is_no_message_is_refused(data):
    with pytest.raises(ProtocolError):
        list(decode(data, 1 << 20))
