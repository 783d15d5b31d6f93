"""The end of an execution as the parameters of the statement that closes it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from durable_engine.core.ports import EventType, NewEvent, NewSuccessor, Outcome
from durable_engine.models.execution import OriginKind

_TERMINAL_EVENTS = {"SUCCEEDED": EventType.EXECUTION_SUCCEEDED, "FAILED": EventType.EXECUTION_FAILED}

# What an execution that continues as new passes on to the next one of what it was started with.
HANDED_ON: Final = ("invoke", "tenant_id", "trace_parent", "invoker_trace")


def of(
    outcome: Outcome, execution_id: UUID, first_details: Mapping[str, object]
) -> tuple[str, NewEvent, dict[str, Any]]:
    """Return the kind of statement, its terminal event, and its parameters.

    `first_details` are those of the execution's own first event: a successor keeps what they say of its parent.
    """
    new = outcome.successor
    details = None if new is None else {"continued_as": new.execution_id}
    event = NewEvent(
        _TERMINAL_EVENTS[outcome.status],
        time.monotonic(),
        payload=outcome.payload,
        error=outcome.error,
        details=details,
    )
    params = {
        "status": outcome.status,
        "error_type": outcome.error_type[:256],
        "error_message": outcome.error_message.replace("\x00", "")[:512],
    }
    if new is None:
        return "close", event, params
    return "continue", event, params | _successor(new, execution_id, first_details)


def _successor(new: NewSuccessor, origin_id: UUID, first_details: Mapping[str, object]) -> dict[str, Any]:
    details = {key: first_details[key] for key in HANDED_ON if key in first_details}
    details |= {"origin_id": str(origin_id), "origin_kind": OriginKind.CONTINUE.value}
    timeout = new.target.execution_timeout_seconds
    if timeout is not None:
        details["execution_timeout_seconds"] = timeout
    return {
        "next_id": UUID(new.execution_id),
        "next_function": new.target.function,
        "next_version": new.target.version,
        "next_queue": new.target.queue,
        "next_timeout": timeout,
        "next_input": new.input,
        "next_details": json.dumps(details),
    }
