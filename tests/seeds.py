"""Executions as the engine leaves them, written row by row, for tests of pages that need no worker."""

import json
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.models import Callback, Event, Execution, Failure, FailureCount, FailureGroup, Timer
from durable_engine.models.callback import callback_uuid

CLOSING = {
    "SUCCEEDED": "ExecutionSucceeded",
    "FAILED": "ExecutionFailed",
    "TIMED_OUT": "ExecutionTimedOut",
    "STOPPED": "ExecutionStopped",
}
STACK = (
    '  File "/app/orders/durable_functions.py", line 42, in charge\n    raise CardDeclined(card)\n',
    '  File "/app/.venv/lib/python3.11/site-packages/payments/client.py", line 118, in post\n    response.check()\n',
)


class Story:
    """One execution and its history. Times are seconds after its start, which lies `began` seconds ago."""

    def __init__(
        self,
        function: str = "order-processing",
        *,
        began: float = 60.0,
        input_text: str = '{"order_id": "A-1001"}',
        **columns: Any,
    ) -> None:
        self.start = timezone.now() - timedelta(seconds=began)
        execution_id = columns.pop("id", None) or uuid7()
        self.execution = Execution.objects.create(
            **{
                "id": execution_id,
                "function": function,
                "name": str(execution_id),
                "payload_hash": "",
                "created_at": self.start,
                "status": "RUNNING",
                "invocation_started_at": self.start,
                **columns,
            }
        )
        self._after = 0.0
        self.add("ExecutionStarted", 0.0, payload=input_text)

    @property
    def id(self) -> UUID:
        """The execution's id."""
        identity: UUID = self.execution.id
        return identity

    def at(self, seconds: float) -> datetime:
        """The moment that many seconds after the start."""
        return self.start + timedelta(seconds=seconds)

    def add(self, event_type: str, after: float, **columns: Any) -> "Story":
        """Append one event."""
        self._after = after
        self.execution.last_event_id += 1
        Event.objects.create(
            execution=self.execution,
            event_id=self.execution.last_event_id,
            event_type=event_type,
            event_at=self.at(after),
            **columns,
        )
        self.execution.last_event_at = self.at(after)
        self.execution.save()
        return self

    def step(
        self, operation_id: str, name: str, start: float, end: float, result: object = None, **columns: Any
    ) -> "Story":
        """A step that succeeded at its first attempt."""
        where = {"operation_id": operation_id, "name": name, "subtype": "Step", "attempt": 1, **columns}
        self.add("StepStarted", start, **where)
        return self.add("StepSucceeded", end, payload=json.dumps(result), **where)

    def steps(self, count: int, name: str = "step-{}", failing: tuple[int, ...] = ()) -> "Story":
        """Steps 1 to `count`, one a second and half a second long, written together; those in `failing` fail."""
        events = []
        for number in range(1, count + 1):
            where = {"operation_id": str(number), "name": name.format(number), "subtype": "Step", "attempt": 1}
            outcome: dict[str, Any] = {"event_type": "StepSucceeded", "payload": "null"}
            if number in failing:
                outcome = {"event_type": "StepFailed", "error": error_text()}
            for after, columns in ((number, {"event_type": "StepStarted"}), (number + 0.5, outcome)):
                self.execution.last_event_id += 1
                event_id = self.execution.last_event_id
                at = {"event_id": event_id, "event_at": self.at(after)}
                events.append(Event(execution=self.execution, **at, **where, **columns))
        Event.objects.bulk_create(events)
        self.execution.last_event_at = events[-1].event_at
        self.execution.save()
        return self

    def failed_attempt(
        self,
        operation_id: str,
        name: str,
        attempt: int,
        start: float,
        end: float,
        *,
        delay: float | None = None,
        **error: Any,
    ) -> "Story":
        """One attempt that failed; with `delay` seconds of back-off it will be repeated."""
        where = {"operation_id": operation_id, "name": name, "subtype": "Step", "attempt": attempt}
        self.add("StepStarted", start, **where)
        details = None if delay is None else {"next_attempt_delay_seconds": delay}
        return self.add("StepFailed", end, error=error_text(**error), details=details, **where)

    def wait(self, operation_id: str, name: str, start: float, seconds: float, *, over: bool = True) -> "Story":
        """A wait, over or not."""
        where = {
            "operation_id": operation_id,
            "name": name,
            "subtype": "Wait",
            "details": {"duration_seconds": seconds},
        }
        self.add("WaitStarted", start, **where)
        if over:
            return self.add("WaitSucceeded", start + seconds, **where)
        self.timer(operation_id, "wait", start + seconds)
        return self

    def timer(self, operation_id: str, kind: str, due: float) -> "Story":
        """The timer of the operation of the last event."""
        Timer.objects.create(
            execution=self.execution,
            operation_id=operation_id,
            kind=kind,
            due_at=self.at(due),
            event_id=self.execution.last_event_id,
        )
        return self

    def callback(
        self, operation_id: str, name: str, start: float, *, expires: float | None = None, **columns: Any
    ) -> Callback:
        """An open callback; `expires` is a number of seconds after its start."""
        details = None if expires is None else {"timeout_seconds": expires}
        where = {"operation_id": operation_id, "name": name, "subtype": "Callback", "details": details}
        self.add("CallbackStarted", start, **where)
        deadline = None if expires is None else self.at(start + expires)
        values = {"timeout_seconds": expires, "deadline": deadline, "created_at": self.at(start), **columns}
        return Callback.objects.create(
            id=callback_uuid(self.id, operation_id),
            execution=self.execution,
            operation_id=operation_id,
            name=name,
            **values,
        )

    def invocation(self, start: float, end: float, *, error: str | None = None) -> "Story":
        """The end of a pass of the handler that began at `start`."""
        details = {"request_id": str(uuid7()), "started_at": self.at(start).isoformat()}
        return self.add("InvocationCompleted", end, details=details, error=error)

    def stand(self, status: str, **columns: Any) -> "Story":
        """Set the status of a live execution."""
        for name, value in {"status": status, **columns}.items():
            setattr(self.execution, name, value)
        self.execution.save()
        return self

    def close(self, status: str, after: float, *, result: object = None, **error: Any) -> "Story":
        """The terminal event and the final status."""
        fields: dict[str, Any] = {"status": status, "closed_at": self.at(after)}
        if status == "SUCCEEDED":
            self.add(CLOSING[status], after, payload=json.dumps(result))
        else:
            text = error_text(**error)
            self.add(CLOSING[status], after, error=text)
            parsed = json.loads(text)
            fields |= {"error_type": parsed["ErrorType"], "error_message": parsed["ErrorMessage"][:512]}
        return self.stand(**fields)


def error_text(
    type: str = "CardDeclined", message: str = "card 4242 was declined", stack: tuple[str, ...] = STACK
) -> str:
    """An error object as JSON text."""
    return json.dumps({"ErrorType": type, "ErrorMessage": message, "StackTrace": list(stack)})


def person(username: str, *groups: str) -> User:
    """A user in these groups, with the password `secret`."""
    if not Group.objects.exists():
        # A test that commits empties every table at its end, the groups of the migration among them.
        import_module("durable_engine.migrations.0002_groups").create_groups(apps, None)
    user = User.objects.create_user(username, password="secret")
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def order_that_succeeded(**columns: Any) -> Story:
    """The order example, run to its end."""
    story = Story(began=columns.pop("began", 3600), **columns)
    story.step("1", "validate order", 0.3, 0.42, {"order_id": "A-1001", "amount": 42.5}).step(
        "2", "charge card", 0.44, 1.9, {"payment": "p-77"}
    )
    story.wait("3", "settlement", 1.92, 10).invocation(0.25, 1.95)
    story.step("4", "confirm order", 12.1, 12.5, "confirmed").invocation(12.05, 12.6)
    return story.close("SUCCEEDED", 12.6, result={"order_id": "A-1001", "status": "confirmed"})


def payment_in_back_off(**columns: Any) -> Story:
    """A step that failed twice and waits for its third attempt."""
    story = Story("flaky-payment", began=columns.pop("began", 8), input_text='{"amount": "19.90"}', **columns)
    story.step("1", "reserve", 0.2, 0.5, True)
    story.failed_attempt("2", "charge", 1, 0.6, 1.4, delay=2.0).invocation(0.15, 1.45)
    story.failed_attempt("2", "charge", 2, 3.6, 4.1, delay=120.0, message="gateway answered 503").timer(
        "2", "retry", 124.1
    )
    story.invocation(3.5, 4.2)
    return story.stand("SUSPENDED")


def order_that_failed(**columns: Any) -> Story:
    """An order whose payment failed for good, inside a child context."""
    story = Story("booking-saga", began=columns.pop("began", 900), **columns)
    story.add("ContextStarted", 0.2, operation_id="1", name="trip", subtype="RunInChildContext")
    story.step("1-1", "book flight", 0.3, 0.9, "flight-1", parent_id="1")
    where = {"operation_id": "1-2", "parent_id": "1", "name": "book hotel", "subtype": "Step", "attempt": 1}
    story.add("StepStarted", 1.0, **where).add(
        "StepFailed", 1.6, error=error_text("NothingAvailable", "no hotel left"), **where
    )
    story.add(
        "ContextFailed",
        1.7,
        operation_id="1",
        name="trip",
        subtype="RunInChildContext",
        error=error_text("NothingAvailable", "no hotel left"),
    )
    return story.invocation(0.1, 1.8).close("FAILED", 1.8, type="NothingAvailable", message="no hotel left")


def document_that_waits(**columns: Any) -> Story:
    """A document that waits for its approval."""
    text = '{"document": "Contract 2026-11", "author": "ana"}'
    story = Story("document-approval", began=columns.pop("began", 130), input_text=text, **columns)
    story.step("1", "prepare", 0.2, 0.8, {"pages": 3}).invocation(0.1, 1.0)
    story.callback("2", "approve-document", 0.9, expires=3600)
    return story.stand("SUSPENDED")


def group_of(function: str = "booking-saga", *members: Story, **columns: Any) -> FailureGroup:
    """A group of failures with these members, as the sweep writes it."""
    now = timezone.now()
    group = FailureGroup.objects.create(
        **{
            "fingerprint": uuid7().hex,
            "kind": "FAILED",
            "function": function,
            "operation": "book hotel",
            "error_type": "NothingAvailable",
            "frame": "orders/durable_functions.py in charge",
            "message_shape": "no hotel left",
            "first_seen": now - timedelta(hours=2),
            "last_seen": now,
            "first_version": 1,
            "last_version": 1,
            "count": max(len(members), 1),
            **columns,
        }
    )
    for story in members:
        at = story.execution.closed_at or story.execution.paused_at or now
        Failure.objects.create(group=group, execution=story.execution, at=at, version=story.execution.version)
    FailureCount.objects.create(
        group=group, starts_at=now.replace(minute=0, second=0, microsecond=0), count=max(len(members), 1)
    )
    return group
