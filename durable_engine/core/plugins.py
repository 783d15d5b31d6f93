"""Tells the plugins of a handler what happens in one invocation. What they raise is logged and goes no further."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from durable_engine.core.history import EFFECTS, NEW, PENDING, STARTED, History, OperationState
from durable_engine.core.ports import NewEvent, Outcome, RecordedEvent, Snapshot
from durable_engine.sdk import registry
from durable_engine.sdk.plugin import (
    InvocationEndInfo,
    InvocationStartInfo,
    OperationChangeInfo,
    OperationEndInfo,
    OperationInfo,
    OperationStartInfo,
    UserFunctionEndInfo,
    UserFunctionOutcome,
    UserFunctionStartInfo,
)
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.trace_parent import own_trace
from durable_engine.sdk.types import ErrorObject, InvocationStatus, OperationStatus, OperationType

I = TypeVar("I", bound=OperationInfo)  # noqa: E741 - a type variable

LIVE = (NEW, STARTED, PENDING)
# Outcomes that nobody records from inside an invocation.
OUTSIDE = ("Wait", "Callback", "ChainedInvoke")
STARTS = frozenset(event_type for event_type, (_, status) in EFFECTS.items() if status == STARTED)
# What a plugin raises to end its thread or process is no failure of the plugin.
CONTROL = (KeyboardInterrupt, SystemExit, GeneratorExit)

logger = logging.getLogger("perdure.plugins")


class Invocation(Protocol):
    """What is looked at of the invocation that plugins are told about."""

    handler: DurableHandler
    arn: str
    history: History
    operations: dict[str, OperationState]


class Plugins:
    """The plugins of one invocation. Its methods are called outside the invocation's lock, by any of its threads.

    An operation is announced once, and its end once; which those are is kept here under a lock that is never held while
    a plugin runs.
    """

    def __init__(self, invocation: Invocation, snapshot: Snapshot, times: Mapping[int, datetime]) -> None:
        self._invocation = invocation
        self._lock = threading.Lock()
        self._earlier = frozenset(invocation.operations)
        self._announced: set[str] = set()
        self._ended: set[str] = set()
        self._starts: dict[str, datetime] = {}
        self._ends: dict[str, datetime] = {}
        self._plugins: list[object] = []
        for event in snapshot.events:
            self._note_time(event, times.get(event.event_id))
        fresh = _ended_meanwhile(snapshot.events)
        # Told when the handler comes to them; what ended in earlier invocations was told there.
        self._untold = {id for id in fresh if invocation.operations[id].status not in LIVE}
        self._ended.update(
            id for id, state in invocation.operations.items() if state.status not in LIVE and id not in self._untold
        )
        self._start = InvocationStartInfo(
            snapshot.invocation_id,
            invocation.arn,
            invocation.history.passes == 0,
            times.get(1),
            execution_input=_input_of(invocation),
            operations=_Operations(self, invocation),
            trace_parent=invocation.history.trace_parent,
            invoker_trace=invocation.history.invoker_trace,
            updated_operations={id: self.info(OperationInfo, invocation.operations[id]) for id in fresh},
        )

    @property
    def trace(self) -> str:
        """Where the spans of this execution are, for those that it invokes."""
        return self._start.trace_parent or str(own_trace(self._invocation.arn))

    def start(self) -> None:
        """Make the plugins and tell them that the invocation begins, and what changed since the last one."""
        given = registry.plugins_of(self._invocation.handler)
        self._plugins = [made for each in given if (made := self._made(each)) is not None]
        self._tell("on_invocation_start", lambda: self._start)
        if self._start.updated_operations:
            self._tell_change(list(self._start.updated_operations))

    def finish(
        self,
        status: InvocationStatus,
        error: ErrorObject | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        """Tell that the invocation has ended."""
        for id in sorted(self._untold - self._ended):
            self._end(self._invocation.operations[id])
        start = self._start
        self._tell(
            "on_invocation_end",
            lambda: InvocationEndInfo(
                start.request_id,
                start.execution_arn,
                start.is_first_invocation,
                start.execution_start_time,
                execution_input=start.execution_input,
                operations=start.operations,
                trace_parent=start.trace_parent,
                invoker_trace=start.invoker_trace,
                status=status,
                error=error,
                execution_result=None if outcome is None else outcome.payload,
            ),
        )

    def met(self, state: OperationState) -> None:
        """The handler came to an operation that is recorded."""
        if state.status in LIVE:
            self.begun(state)
        else:
            self._end(state)

    def begun(self, state: OperationState) -> None:
        """An operation begins, or goes on."""
        if self._first(self._announced, state.id):
            self._starts.setdefault(state.id, datetime.now(UTC))
            self._tell("on_operation_start", lambda: self.info(OperationStartInfo, state))

    def recorded(self, state: OperationState, events: Sequence[NewEvent]) -> None:
        """Something about an operation was recorded by this invocation."""
        now = datetime.now(UTC)
        for event in events:
            self._note_time(event, now)
        self.begun(state)
        if state.status not in LIVE:
            self._end(state)
        self._tell_change([state.id])

    def came_in(self, events: Sequence[RecordedEvent]) -> None:
        """Something was recorded from outside."""
        now = datetime.now(UTC)
        ids = [event.operation_id for event in events if event.operation_id is not None]
        for event in events:
            self._note_time(event, now)
        for id in ids:
            state = self._invocation.operations[id]
            # One that is still being recorded by another thread is told there, after its start.
            if state.status not in LIVE and (id in self._announced or id in self._earlier):
                self._end(state)
        if ids:
            self._tell_change(ids)

    @contextmanager
    def user_function(
        self, state: OperationState, attempt: int | None = None, *, is_replay_children: bool = False
    ) -> Iterator[None]:
        """Tell of a call of the author's function, in the thread that makes it."""
        kept = {"is_replay_children": is_replay_children}
        self._tell("on_user_function_start", lambda: self.info(UserFunctionStartInfo, state, attempt, **kept))
        outcome, error = UserFunctionOutcome.INCOMPLETE, None
        try:
            yield
            outcome = UserFunctionOutcome.SUCCEEDED
        except Exception as raised:
            outcome, error = UserFunctionOutcome.FAILED, ErrorObject.from_exception(raised)
            raise
        finally:
            ended = {**kept, "outcome": outcome, "end_time": datetime.now(UTC), "error": error}
            self._tell("on_user_function_end", lambda: self.info(UserFunctionEndInfo, state, attempt, **ended))

    def info(self, cls: type[I], state: OperationState, attempt: int | None = None, **more: Any) -> I:
        """Describe an operation as it stands."""
        is_over = state.status not in LIVE
        fields = {
            "end_time": self._ends.get(state.id) if is_over else None,
            "result": state.payload if is_over else None,
            "error": _error_of(state),
            "attempt": attempt or state.attempt or None,
        }
        return cls(
            state.id,
            OperationType(state.type),
            state.subtype,
            state.name,
            state.parent_id,
            self._starts.get(state.id),
            state.id in self._earlier,
            OperationStatus(state.status or STARTED),
            **(fields | more),
        )

    def _made(self, given: object) -> object | None:
        made: object | None = given
        try:
            if isinstance(given, type):
                made = given()
            elif (make := getattr(given, "create_plugin", None)) is not None:
                made = make(self._start)
            return made
        except CONTROL:
            raise
        except BaseException:
            logger.exception("a plugin could not be made by %r; the execution goes on without it", given)
            return None

    def _end(self, state: OperationState) -> None:
        if self._first(self._ended, state.id):
            self._ends.setdefault(state.id, datetime.now(UTC))
            self._tell("on_operation_end", lambda: self.info(OperationEndInfo, state))

    def _tell_change(self, ids: Sequence[str]) -> None:
        operations = self._invocation.operations

        def change() -> OperationChangeInfo:
            updated = {id: self.info(OperationInfo, operations[id]) for id in ids}
            return OperationChangeInfo(self._start.execution_arn, updated, self._start.operations)

        self._tell("on_operation_change", change)

    def _tell(self, hook: str, make: Callable[[], object]) -> None:
        for plugin in self._plugins:
            try:
                getattr(plugin, hook)(make())
            except CONTROL:
                raise
            except BaseException:
                name = type(plugin).__qualname__
                logger.exception("%s of the plugin %s raised; the execution goes on", hook, name)

    def _first(self, known: set[str], id: str) -> bool:
        with self._lock:
            is_first = id not in known
            known.add(id)
            return is_first

    def _note_time(self, event: NewEvent | RecordedEvent, at: datetime | None) -> None:
        if event.operation_id is None or at is None:
            return
        self._starts.setdefault(event.operation_id, at)
        if event.event_type not in STARTS:
            self._ends[event.operation_id] = at


class _Operations(Mapping[str, OperationInfo]):
    """The operations as they stand when one is looked at: a copy of all of them at each change would cost too much."""

    def __init__(self, plugins: Plugins, invocation: Invocation) -> None:
        self._plugins = plugins
        self._invocation = invocation

    def __getitem__(self, id: str) -> OperationInfo:
        return self._plugins.info(OperationInfo, self._invocation.operations[id])

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._invocation.operations))

    def __len__(self) -> int:
        return len(self._invocation.operations)


def _ended_meanwhile(events: Sequence[RecordedEvent]) -> list[str]:
    """Return the operations about which something came in from outside after the last thing a handler did."""
    found: dict[str, None] = {}
    for event in reversed(events):
        if event.event_type == "InvocationCompleted":
            continue  # what came in right before the end of an invocation may not have been seen by it
        if event.operation_id is None or not event.event_type.startswith(OUTSIDE) or event.event_type in STARTS:
            break
        found[event.operation_id] = None
    return list(reversed(found))


def _input_of(invocation: Invocation) -> Any:
    started = invocation.history.input
    try:
        return json.loads(started.payload) if started is not None and started.payload else {}
    except ValueError:
        return None


def _error_of(state: OperationState) -> ErrorObject | None:
    try:
        return ErrorObject.from_text(state.error)
    except (ValueError, AttributeError):
        return None
