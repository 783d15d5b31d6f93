"""Where the spans of an execution hang, as W3C Trace Context writes it. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from uuid import UUID

_FORM: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LAST_64_BITS: Final = 2**64 - 1
_LAST_32_BITS: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A trace, a span in it, and whether it is sampled."""

    trace_id: int
    span_id: int
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"


def parsed_trace(text: str | None) -> TraceParent | None:
    """Read what `str` of a TraceParent gives, and any other `traceparent` header; None for anything else."""
    match = _FORM.fullmatch(text or "")
    if match is None:
        return None
    found = TraceParent(int(match[1], 16), int(match[2], 16), bool(int(match[3], 16) & 1))
    return found if found.trace_id and found.span_id else None


def own_trace(execution_arn: str, ratio: float = 1.0) -> TraceParent:
    """Return the trace of an execution that was started outside of any span: the same wherever it is asked for.

    Its id is the execution's. `ratio` is the part of all executions that is sampled.
    """
    try:
        number = UUID(execution_arn.rpartition("/")[2]).int
    except ValueError:
        number = int.from_bytes(blake2b(execution_arn.encode(), digest_size=16).digest(), "big")
    # Of the ids that are made in one millisecond only the last 32 bits are random.
    return TraceParent(number or 1, number & _LAST_64_BITS or 1, (number & _LAST_32_BITS) < ratio * 2**32)
