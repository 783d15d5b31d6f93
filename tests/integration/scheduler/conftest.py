"""Executions in every state a sweep looks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine import dispatch
from durable_engine.models import Event, Execution
from durable_engine.scheduler.grace import OutageGrace
from durable_engine.scheduler.sweep import Round
from durable_engine.storage.connection import ConnectionHolder

LEASE_SECONDS = 2.0


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def this_round(transactional_db: None, broker_url: str, clock: Clock) -> Iterator[Round]:
    """What a sweep is given; its grace is not over yet."""
    dispatch._start_over()
    holder = ConnectionHolder()
    yield Round(holder.get(), OutageGrace(LEASE_SECONDS, clock))
    holder.discard()


@pytest.fixture
def execution(transactional_db: None) -> Callable[..., Execution]:
    """Make an execution; fields that end in `_at` or `deadline` are seconds from now."""

    def make(status: str, **fields: Any) -> Execution:
        now = timezone.now()
        for name, value in fields.items():
            if isinstance(value, int | float) and name.endswith(("_at", "deadline")):
                fields[name] = now + timedelta(seconds=value)
        if status == "RUNNING":
            fields = {"worker_id": uuid7(), "invocation_id": uuid7(), "invocation_started_at": now} | fields
        made = Execution.objects.create(
            function="orders",
            name=uuid7().hex,
            payload_hash="",
            status=status,
            last_event_id=1,
            last_event_at=now,
            **fields,
        )
        Event.objects.create(execution=made, event_id=1, event_type="ExecutionStarted", payload="{}", event_at=now)
        return made

    return make


def status_of(execution_id: UUID) -> str:
    return Execution.objects.values_list("status", flat=True).get(pk=execution_id)
