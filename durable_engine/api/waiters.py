"""Calls that wait for an execution to end. Few at a time: each holds a thread of the web process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.conf import settings

from durable_engine.api.errors import too_many
from durable_engine.queries.executions import ExecutionOutcome, outcome_of

FIRST_LOOK_SECONDS: Final = 0.01
LAST_LOOK_SECONDS: Final = 0.5

_lock = threading.Lock()
_waiting = 0


@contextmanager
def waiting_place() -> Iterator[None]:
    """Take one of the places for calls that wait; taken before anything is started.

    Raises:
        ApiError: TooManyRequestsException, all are taken.
    """
    global _waiting
    with _lock:
        if _waiting >= settings.DURABLE_API_WAITERS:
            raise too_many(
                f"{_waiting} calls already wait for results here, and no more may. Use InvocationType Event and ask "
                "with GetDurableExecution, or try again later."
            )
        _waiting += 1
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1


def wait_for_outcome(execution_id: UUID, seconds: float) -> ExecutionOutcome | None:
    """Return how the execution ended, or None when it has not after `seconds`.

    Of one that continued as new, how the last one ended.
    """
    deadline, delay = time.monotonic() + seconds, FIRST_LOOK_SECONDS
    while (outcome := outcome_of(execution_id)) is None or outcome.continued_as is not None:
        if outcome is not None and outcome.continued_as is not None:
            execution_id = outcome.continued_as
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(delay, left))
        delay = min(delay * 1.5, LAST_LOOK_SECONDS)
    return outcome
