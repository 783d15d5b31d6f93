"""Redrive, rewind and fork in memory, by the rules of `durable_engine.core.prefix`."""

from __future__ import annotations

from durable_engine.core.ports import EventType
from durable_engine.core.prefix import Prefix, RecordedOperation, forked, redriven, rewound
from durable_engine.testing.memory_execution import MemoryExecution, NotPossible


def redrive(source: MemoryExecution) -> MemoryExecution:
    """Return a new execution that goes on from what failed.

    Raises:
        NotPossible: it is live or has succeeded.
    """
    if not source.is_closed or source.status == "SUCCEEDED":
        raise NotPossible(f"the execution is {source.status}")
    return _copy(source, redriven(source.events))


def rewind(source: MemoryExecution, operation_id: str) -> MemoryExecution:
    """Return a new execution that goes on from before an operation; a paused one is stopped by this.

    Raises:
        NotPossible: it is live and not paused.
        UnknownOperation: there is no such operation.
    """
    if not source.is_closed and source.status != "PAUSED":
        raise NotPossible(f"the execution is {source.status}")
    prefix = rewound(source.events, operation_id)
    source.stop("Execution rewound")
    return _copy(source, prefix)


def fork(source: MemoryExecution, operation_id: str) -> MemoryExecution:
    """Return a copy under a name of its own that goes on from before an operation; the original is not touched.

    Raises:
        UnknownOperation: there is no such operation.
    """
    copy = _copy(source, forked(source.events, operation_id))
    copy.name = copy.id
    return copy


def _copy(source: MemoryExecution, prefix: Prefix) -> MemoryExecution:
    copy = MemoryExecution(
        source.handler,
        source.input,
        source.clock,
        source.name,
        tags=dict(source.tags),
        functions=source.functions,
        tenant_id=source.tenant_id,
        lock=source.lock,
    )
    copy.events.clear()
    copy.event_times.clear()
    for number, event_id in enumerate(prefix.event_ids, start=1):
        copy.record(source.events[event_id - 1]._replace(event_id=number), source.event_times[event_id - 1])
    for operation in prefix.open:
        _open_again(copy, source, operation)
    return copy


def _open_again(copy: MemoryExecution, source: MemoryExecution, operation: RecordedOperation) -> None:
    newest, facts = operation.last, operation.last.details or {}
    began = source.event_times[newest.event_id - 1]
    if newest.event_type == EventType.WAIT_STARTED:
        copy.timers[operation.id] = began + _seconds(facts["duration_seconds"])
    elif operation.backs_off:
        copy.timers[operation.id] = began + _seconds(facts["next_attempt_delay_seconds"])
    elif newest.event_type == EventType.CALLBACK_STARTED:
        copy.callbacks[operation.id] = source.callbacks[operation.id].opened_again(copy.clock())
    elif newest.event_type == EventType.CHAINED_INVOKE_STARTED:
        copy.take_child(source, operation.id)


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
