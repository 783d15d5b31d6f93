"""The Postgres store behind the suite: the real claim, statements, sweeps and services, driven in one process."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import connections
from django.db.models import Min
from django.utils import timezone

from durable_engine.core.ports import Guard, InvocationStore, NewChild, NewEvent, NewTimer, RecordedEvent
from durable_engine.core.replay import run_invocation
from durable_engine.models import Callback, Event, Execution, Timer
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.callbacks import complete_callback_of, time_out_callback
from durable_engine.services.children import tell_parent
from durable_engine.services.copies import fork_execution, redrive_execution, rewind_execution
from durable_engine.services.executions import (
    StartedExecution,
    pause_execution,
    resume_execution,
    start_execution,
    stop_execution,
    time_out_execution,
)
from durable_engine.storage import leases, outside
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.flusher import FLUSHER
from durable_engine.testing.crashes import CrashingStore, CrashPlan, SimulatedCrash

SUITE = Actor("conformance suite", channel="python")
FIELDS = list(RecordedEvent._fields)


class _Invocation(PostgresInvocation):
    """Flushes a deferred start at once, or only with what follows: the suite wants to know which."""

    flushes_starts = False

    def defer(
        self,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        super().defer(event, timer, child, guard=guard)
        if self.flushes_starts:
            self.flush_deferred(time.monotonic() + 1)
        else:
            FLUSHER.forget(self)


class PostgresDriver:
    """One execution in Postgres."""

    def __init__(self) -> None:
        self.flushes_starts = False
        self._connections = ConnectionHolder()
        self._handler: DurableHandler | None = None
        self._execution_id: UUID | None = None
        self._other_id: UUID | None = None
        self._crash: CrashPlan | None = None
        self._stopping = False

    def close(self) -> None:
        """Close the engine connection."""
        self._connections.discard()

    def start(self, handler: DurableHandler, input: str = "{}") -> None:
        self._handler = handler
        with registry.isolated():
            registry.register(handler)
            self._execution_id = start_execution(handler.name, "{}", actor=SUITE, version=handler.version).id
        # Behind the service's back, which refuses an input that is not JSON: the suite also wants damaged rows.
        Event.objects.filter(execution_id=self._execution_id, event_id=1).update(payload=input)

    def drive(self) -> None:
        engine = self._connections.get()
        while True:
            family = self._family()
            if ready := next((member for member in family if member.status == "PENDING"), None):
                self._invoke(ready)
            elif not self._bring_forward(family):
                return
            outside.wake_due(engine, 10)

    def crash_at(self, event_id: int, *, before: bool) -> None:
        self._crash = CrashPlan(event_id, before=before)

    def complete_callback(self, name: str, *, result: str | None = None, error: str | None = None) -> None:
        failure = None if error is None else json.loads(error)
        callback = self._callback(name)
        complete_callback_of(callback.execution_id, callback.operation_id, succeed=result, error=failure, actor=SUITE)

    def expire_callback(self, name: str) -> None:
        callback = self._callback(name)
        deadlines = {"deadline": callback.deadline, "heartbeat_deadline": callback.heartbeat_deadline}
        first = min((at, field) for field, at in deadlines.items() if at is not None)[1]
        Callback.objects.filter(pk=callback.pk).update(**{first: timezone.now()})
        assert time_out_callback(callback.pk)

    def stop(self) -> None:
        stop_execution(self.execution.pk, actor=SUITE)

    def redrive(self) -> None:
        self._goes_on(lambda: redrive_execution(self.execution_id, actor=SUITE))

    def rewind(self, operation_id: str) -> None:
        self._goes_on(lambda: rewind_execution(self.execution_id, operation_id, actor=SUITE))

    def fork(self, operation_id: str) -> None:
        self._other_id = self.execution_id
        self._goes_on(lambda: fork_execution(self.execution_id, operation_id, actor=SUITE))

    def swap(self) -> None:
        self._other_id, self._execution_id = self._execution_id, self._other_id

    def pause_it(self) -> None:
        pause_execution(self.execution_id, actor=SUITE)

    def resume(self) -> None:
        resume_execution(self.execution_id, actor=SUITE)

    def stop_child(self) -> None:
        stop_execution(self._family()[-1].pk, actor=SUITE)

    def expire_child(self) -> None:
        child = self._family()[-1]
        Execution.objects.filter(pk=child.pk).update(expires_at=timezone.now())
        assert time_out_execution(child.pk)

    def let_time_pass(self) -> None:
        time.sleep(0.01)

    def follow(self) -> None:
        assert self.execution.superseded_by is not None
        self._execution_id = self.execution.superseded_by

    def ask_to_release(self) -> None:
        self._stopping = True

    @property
    def execution(self) -> Execution:
        return Execution.objects.get(pk=self.execution_id)

    @property
    def execution_id(self) -> UUID:
        assert self._execution_id is not None, "start() first"
        return self._execution_id

    @property
    def events(self) -> Sequence[RecordedEvent]:
        rows = Event.objects.filter(execution_id=self.execution_id).order_by("event_id").values_list(*FIELDS)
        return [RecordedEvent._make(row) for row in rows]

    @property
    def status(self) -> str:
        return self.execution.status

    @property
    def pause(self) -> tuple[str, str]:
        execution = self.execution
        return execution.pause_kind, execution.pause_reason

    @property
    def tags(self) -> dict[str, str]:
        tags: dict[str, str] = self.execution.tags
        return tags

    @property
    def status_text(self) -> str:
        return self.execution.status_text

    def _goes_on(self, act: Callable[[], StartedExecution]) -> None:
        assert self._handler is not None
        with registry.isolated():
            registry.register(self._handler)
            self._execution_id = act().id

    def _callback(self, name: str) -> Callback:
        return Callback.objects.get(execution__in=self._family(), name=name)

    def _family(self) -> list[Execution]:
        """The execution under test and all that it invoked, and those that they did."""
        members = [self.execution]
        for member in members:
            if member.superseded_by is not None:
                members += Execution.objects.filter(pk=member.superseded_by, origin_kind="continue")
            members += Execution.objects.filter(parent_execution_id=member.pk).order_by("created_at", "id")
        return members

    def _invoke(self, execution: Execution) -> None:
        is_root = execution.parent_execution_id is None
        handler = self._handler
        assert handler is not None
        if (execution.function, execution.version) != (handler.name, handler.version):
            handler = registry.get(execution.function, execution.version)
            assert handler is not None
        engine = self._connections.get()
        worker_id = leases.register_worker(engine, hostname="suite", pid=1, release="", functions=[], queues=[])
        served = [
            leases.Served(handler.name, handler.version, 900.0, None if handler.limit is None else handler.limit.count)
        ]
        claim = leases.claim(engine, worker_id=worker_id, served=served, queues=["durable"], execution_id=execution.pk)
        assert claim is not None, execution.__dict__
        invocation = _Invocation(
            self._connections,
            claim,
            callback_id=callback_id_for,
            should_release=self._should_release,
            hint=lambda *_: None,
        )
        invocation.flushes_starts = self.flushes_starts
        store: InvocationStore = invocation
        if self._crash is not None and is_root:
            store = CrashingStore(invocation, self._crash)
        try:
            result = run_invocation(
                handler,
                store,
                clock=time.monotonic,
                random=random.Random(0).random,
                on_thread_end=connections.close_all,
            )
        except SimulatedCrash:
            self._recover(worker_id, "exit code -9")
        except Exception as problem:  # noqa: BLE001 - what a worker does with it: the invocation crashed
            self._recover(worker_id, repr(problem))
        else:
            if result.ended == "released":
                self._stopping = False
            if result.ended == "closed" and invocation.has_parent:
                tell_parent(engine, execution.pk)

    def _should_release(self) -> bool:
        return self._stopping

    def _recover(self, worker_id: UUID, reason: str) -> None:
        leases.recover_worker(self._connections.get(), worker_id, reason, max_crashes=5, backoff_seconds=0)

    def _bring_forward(self, family: Sequence[Execution]) -> bool:
        """Let the next timer be due now, unless a callback's deadline comes first: the test decides about those."""
        suspended = [member for member in family if member.status == "SUSPENDED"]
        due = Timer.objects.filter(execution__in=suspended).aggregate(at=Min("due_at"))["at"]
        opened = Callback.objects.filter(execution__in=suspended, status="STARTED")
        deadlines = [at for pair in opened.values_list("deadline", "heartbeat_deadline") for at in pair if at]
        if due is None or any(at < due for at in deadlines):
            return False
        now = timezone.now()
        timers = Timer.objects.filter(execution__in=suspended, due_at=due)
        waiting = list(timers.values_list("execution_id", flat=True))
        timers.update(due_at=now)
        Execution.objects.filter(pk__in=waiting, status="SUSPENDED").update(wake_at=now)
        return True
