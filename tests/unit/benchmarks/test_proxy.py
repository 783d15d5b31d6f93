"""The proxy counts statements however the bytes of a connection are cut."""

import struct
from collections.abc import Iterator

import pytest

from benchmarks.proxy import MessageCounter


def message(type_: bytes, body: bytes) -> bytes:
    """Return a message of a client after the first one."""
    return type_ + struct.pack("!I", len(body) + 4) + body


STARTUP = struct.pack("!II", 21, 196608) + b"user\0me\0\0\0\0\0\0"
# A simple query, and one of the extended protocol: parse, bind, describe, execute, sync. The body of the first holds
# bytes that would be messages elsewhere.
TALK = [
    STARTUP,
    message(b"Q", b"select 'E\0\0\0\4'\0"),
    message(b"P", b"\0select 1\0\0\0"),
    message(b"B", b"\0\0\0\0\0\0\0\0"),
    message(b"D", b"P\0"),
    message(b"E", b"\0\0\0\0\0"),
    message(b"S", b""),
    message(b"X", b""),
]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut bytes into pieces."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_queries_and_executions_are_counted_in_pieces_of_any_size(size: int) -> None:
    counter = MessageCounter()

    assert sum(counter.statements_in(piece) for piece in pieces(b"".join(TALK), size)) == 2


def test_what_prepares_a_statement_is_no_statement() -> None:
    counter = MessageCounter()

    assert counter.statements_in(b"".join([STARTUP, message(b"P", b"a\0select 1\0\0\0"), message(b"S", b"")])) == 0
