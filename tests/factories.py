"""Rows as the engine writes them, with every column open to an override."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.models import Callback, Event, Execution, Function, Timer, Worker, callback_uuid
from durable_engine.models.execution import CLOSED_STATUSES
from durable_engine.services.validation import checked_input

TERMINAL_EVENTS = {
    "SUCCEEDED": "ExecutionSucceeded",
    "FAILED": "ExecutionFailed",
    "TIMED_OUT": "ExecutionTimedOut",
    "STOPPED": "ExecutionStopped",
}


def make_execution(
    *, input_text: str = "{}", result: str | None = None, error: Mapping[str, object] | None = None, **columns: Any
) -> Execution:
    """An execution with its ExecutionStarted event; a closed status also gets its terminal event."""
    now = timezone.now()
    execution_id = columns.pop("id", None) or uuid7()
    created_at = columns.get("created_at", now)
    defaults: dict[str, Any] = {
        "function": "orders",
        "name": str(execution_id),
        "payload_hash": checked_input(input_text).payload_hash,
        "status": "PENDING",
        "ready_at": created_at,
        "created_at": created_at,
        "last_event_at": created_at,
    }
    if columns.get("status") in CLOSED_STATUSES:
        defaults["closed_at"] = now
    execution = Execution.objects.create(id=execution_id, **(defaults | columns))
    add_event(execution, "ExecutionStarted", payload=input_text, event_at=created_at)
    if execution.is_closed:
        text = None if error is None else json.dumps(error)
        add_event(execution, TERMINAL_EVENTS[execution.status], payload=result, error=text)
    return execution


def add_event(execution: Execution, event_type: str, **columns: Any) -> Event:
    """Append an event, a hundredth of a second after the one before it. `error` may be an object."""
    execution.last_event_id += 1
    execution.last_event_at = columns.setdefault(
        "event_at", (execution.last_event_at or execution.created_at) + timedelta(milliseconds=10)
    )
    if isinstance(columns.get("error"), dict):
        columns["error"] = json.dumps(columns["error"])
    event = Event.objects.create(
        execution=execution, event_id=execution.last_event_id, event_type=event_type, **columns
    )
    execution.save(update_fields=["last_event_id", "last_event_at"])
    return event


def make_timer(execution: Execution, operation_id: str = "1", **columns: Any) -> Timer:
    """A pending timer, due in an hour, of the newest event."""
    defaults = {
        "kind": "retry",
        "due_at": timezone.now() + timedelta(hours=1),
        "event_id": execution.last_event_id,
    }
    return Timer.objects.create(execution=execution, operation_id=operation_id, **(defaults | columns))


def make_back_off(execution: Execution, operation_id: str = "1", *, name: str = "charge", **timer: Any) -> Timer:
    """A step that failed once and waits for its next attempt."""
    about = {"operation_id": operation_id, "name": name, "subtype": "Step", "attempt": 1}
    add_event(execution, "StepStarted", **about)
    error = {"ErrorType": "ValueError", "ErrorMessage": "declined", "StackTrace": ["File orders.py, line 3"]}
    add_event(execution, "StepFailed", error=error, details={"next_attempt_delay_seconds": 3600}, **about)
    return make_timer(execution, operation_id, **timer)


def make_callback(execution: Execution, operation_id: str = "1", **columns: Any) -> Callback:
    """An open callback with its CallbackStarted event; `timeout_seconds` and its like set the deadlines."""
    timeout, heartbeat = columns.get("timeout_seconds"), columns.get("heartbeat_timeout_seconds")
    name = columns.pop("name", "approval")
    facts = {"timeout_seconds": timeout, "heartbeat_timeout_seconds": heartbeat}
    event = add_event(
        execution,
        "CallbackStarted",
        operation_id=operation_id,
        parent_id=columns.get("parent_id"),
        name=name,
        subtype="Callback",
        details={fact: value for fact, value in facts.items() if value is not None} or None,
    )
    now = timezone.now()
    defaults = {
        "created_at": event.event_at,
        "deadline": None if timeout is None else now + timedelta(seconds=timeout),
        "heartbeat_deadline": None if heartbeat is None else now + timedelta(seconds=heartbeat),
    }
    return Callback.objects.create(
        id=callback_uuid(execution.pk, operation_id),
        execution=execution,
        operation_id=operation_id,
        name=name,
        **(defaults | columns),
    )


def make_running(execution: Execution, worker: Worker | None = None, **columns: Any) -> Execution:
    """Let a worker hold the execution, as a claim does."""
    worker = worker or make_worker()
    values = {
        "status": "RUNNING",
        "fence": execution.fence + 1,
        "worker_id": worker.pk,
        "invocation_id": uuid7(),
        "invocation_started_at": timezone.now(),
        "invocation_deadline": timezone.now() + timedelta(minutes=15),
        "crash_count": 1,
        "ready_at": None,
    }
    for column, value in (values | columns).items():
        setattr(execution, column, value)
    execution.save()
    return execution


def make_worker(**columns: Any) -> Worker:
    """A live worker that serves version 1 of `orders`."""
    defaults = {"hostname": "host", "pid": 4711, "functions": ["orders:1"], "queues": ["durable"]}
    return Worker.objects.create(**(defaults | columns))


def make_function(name: str = "orders", version: int = 1, **columns: Any) -> Function:
    """A function as a worker registered it."""
    config = {"queue": "durable"} | columns.pop("config", {})
    return Function.objects.create(name=name, version=version, config=config, **columns)


def make_user(
    username: str = "ana", *, permissions: Iterable[str] = (), groups: Iterable[str] = (), **columns: Any
) -> User:
    """A person with the password `secret`; `permissions` are code names of the engine's."""
    user = User.objects.create_user(username, password="secret", **columns)
    wanted = list(permissions)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="durable_engine", codename__in=wanted))
    user.groups.set([Group.objects.get(name=name) for name in groups])
    return user


def event_types(execution_id: UUID) -> list[str]:
    """The history, as event types, checked for gaps."""
    events = list(
        Event.objects.filter(execution_id=execution_id).order_by("event_id").values_list("event_id", "event_type")
    )
    assert [event_id for event_id, _ in events] == list(range(1, len(events) + 1))
    return [event_type for _, event_type in events]
