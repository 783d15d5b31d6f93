"""What must hold in the tables alone: one gap-free history an execution, written by one holder after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tests.chaos.world import CLOSED, TERMINAL_EVENTS, EventRow, ExecutionRow, World

# A lost worker must be noticed within its lease and two ticks; the machine may be busy.
BUSY_MACHINE_SECONDS = 8.0


def histories_have_no_gap(world: World) -> Iterator[str]:
    """I4: event ids are 1, 2, 3 … to the row's last one; an operation begins once, after its parent, and ends once."""
    for execution, events in _histories(world):
        ids = [event.event_id for event in events]
        if ids != list(range(1, execution.last_event_id + 1)):
            last = max(ids, default=0)
            yield f"{execution.id}: {len(ids)} events up to {last}, the row says {execution.last_event_id}"
        if not events or events[0].event_type != "ExecutionStarted":
            yield f"{execution.id}: does not begin with ExecutionStarted"
        yield from _operation_problems(execution, events)


def _operation_problems(execution: ExecutionRow, events: list[EventRow]) -> Iterator[str]:
    begun: dict[str, EventRow] = {}
    ended: dict[str, EventRow] = {}
    for event in events:
        operation = event.operation_id
        if operation is None:
            continue
        place = f"{execution.id} event {event.event_id} {event.event_type} of {operation}"
        if operation in ended:
            yield f"{place}: the operation ended with event {ended[operation].event_id}"
        if event.event_type.endswith("Started"):
            if operation in begun and event.event_type != "StepStarted":
                yield f"{place}: the operation began with event {begun[operation].event_id}"
            begun.setdefault(operation, event)
        elif operation not in begun:
            yield f"{place}: the operation never began"
        if event.parent_id is not None and (event.parent_id not in begun or event.parent_id in ended):
            yield f"{place}: its parent {event.parent_id} was not open"
        if event.is_outcome:
            ended[operation] = event


def attempts_count_up(world: World) -> Iterator[str]:
    """I4: attempts of a step begin in order, each once, and each begun one that reports back does so once."""
    for execution, events in _histories(world):
        newest: dict[str, tuple[int, bool]] = {}  # operation -> attempt, whether it has reported back
        for event in events:
            if event.operation_id is None or event.attempt is None:
                continue
            attempt, reported = newest.get(event.operation_id, (0, True))
            is_start = event.event_type == "StepStarted"
            # Interrupted attempts that were not recorded count too, so an outcome may be of a later attempt.
            in_order = (
                reported and event.attempt == attempt + 1 if is_start else not reported and event.attempt >= attempt
            )
            if not in_order:
                what = f"{event.event_type} of attempt {event.attempt}"
                yield f"{execution.id} event {event.event_id}: {what} after {attempt}"
            newest[event.operation_id] = (event.attempt, not is_start)


def fences_only_rise(world: World) -> Iterator[str]:
    """I5: no event has a fence that was not granted, and who took an execution over wrote under a higher one."""
    for execution, events in _histories(world):
        taken_after = 0
        newest = 0
        for event in events:
            if event.fence is None:
                if event.event_type == "InvocationCompleted":  # written by who took the execution away
                    taken_after = newest
                continue
            if event.fence > execution.fence:
                yield f"{execution.id} event {event.event_id}: fence {event.fence}, granted were {execution.fence}"
            if taken_after and event.fence <= taken_after:
                yield f"{execution.id} event {event.event_id}: fence {event.fence} wrote after it was taken away"
            newest = max(newest, event.fence)


def holders_do_not_overlap(world: World) -> Iterator[str]:
    """I8: what was written under one fence precedes all that was written under a higher one."""
    for execution, events in _histories(world):
        fenced = [event for event in events if event.fence is not None]
        for before, after in itertools.pairwise(fenced):
            if (after.fence or 0) < (before.fence or 0):
                yield f"{execution.id} event {after.event_id}: fence {after.fence} after {before.fence}"


def timers_fire_once_and_not_early(world: World) -> Iterator[str]:
    """I9: a wait ends once, not before its time; a retry begins not before its delay is over."""
    for execution, events in _histories(world):
        due: dict[str, float] = {}
        for event in events:
            operation = event.operation_id or ""
            if event.event_type == "WaitStarted":
                due[operation] = event.at + float((event.details or {})["duration_seconds"])
            elif event.event_type == "StepFailed" and not event.is_outcome:
                due[operation] = event.at + float((event.details or {})["next_attempt_delay_seconds"])
            elif event.event_type in {"WaitSucceeded", "StepStarted"} and operation in due:
                early = due.pop(operation) - event.at
                if early > 1e-4:
                    yield f"{execution.id} event {event.event_id}: {event.event_type} {early * 1000:.3f} ms early"
            elif event.event_type == "WaitSucceeded":
                yield f"{execution.id} event {event.event_id}: a wait ended that was not due"


def nothing_sleeps_over_an_event(world: World) -> Iterator[str]:
    """I11: no execution is suspended though something it has not looked at happened, or though nothing can wake it."""
    open_callbacks = {row.execution_id for row in world.callbacks if row.status == "STARTED"}
    timers = {row.execution_id for row in world.timers}
    for execution, events in _histories(world):
        if execution.status != "SUSPENDED":
            continue
        last = events[-1]
        if last.event_type != "InvocationCompleted":
            yield f"{execution.id}: SUSPENDED over event {last.event_id} {last.event_type}"
        elif execution.id not in open_callbacks and execution.id not in timers:
            yield f"{execution.id}: SUSPENDED, and nothing can wake it"
        else:
            yield f"{execution.id}: still SUSPENDED, wake_at {execution.wake_at}"


def no_execution_is_stranded(world: World) -> Iterator[str]:
    """I12 and I13: after healing nothing waits for a worker or is held by one, and no lost one kept anything long."""
    for execution in world.executions.values():
        if execution.status in {"PENDING", "RUNNING"}:
            yield f"{execution.id}: still {execution.status}, worker {execution.worker_id}, ready {execution.ready_at}"
        elif execution.status == "PAUSED" and world.program_of(execution) is not None:
            yield f"{execution.id}: PAUSED as {execution.pause_kind}: {execution.pause_reason}"
    allowed = 2 * world.tick_seconds + BUSY_MACHINE_SECONDS
    for sample in world.samples:
        if sample.lost_for > allowed:
            yield f"{sample.execution_id}: held by a worker that was lost {sample.lost_for:.1f} s before"


def the_end_is_the_end(world: World) -> Iterator[str]:
    """I16: one terminal event, the last one, of the row's status; a closed execution has no timer, no open callback."""
    for execution, events in _histories(world):
        terminal = [event for event in events if event.event_type in TERMINAL_EVENTS]
        expected = [execution.status] if execution.status in CLOSED else []
        if [TERMINAL_EVENTS[event.event_type] for event in terminal] != expected:
            yield f"{execution.id}: is {execution.status}, its history ends with {[e.event_type for e in terminal]}"
        elif terminal and terminal[0] is not events[-1]:
            yield f"{execution.id}: event {events[-1].event_id} {events[-1].event_type} after its end"
    closed = {row.id for row in world.executions.values() if row.status in CLOSED}
    for timer in world.timers:
        if timer.execution_id in closed:
            yield f"{timer.execution_id}: is closed and has a {timer.kind} timer of {timer.operation_id}"
    for callback in world.callbacks:
        if callback.execution_id in closed and callback.status == "STARTED":
            yield f"{callback.execution_id}: is closed and its callback {callback.operation_id} is open"


def invocations_end_once(world: World) -> Iterator[str]:
    """Each invocation has one InvocationCompleted: no request id twice, and the last one right before the end."""
    for execution, events in _histories(world):
        seen: set[object] = set()
        for event in events:
            if event.event_type == "InvocationCompleted":
                request = (event.details or {}).get("request_id")
                if request in seen:
                    yield f"{execution.id} event {event.event_id}: invocation {request} completed twice"
                seen.add(request)
        if execution.status in {"SUCCEEDED", "FAILED"} and (
            len(events) < 2 or events[-2].event_type != "InvocationCompleted"
        ):
            yield f"{execution.id}: no InvocationCompleted before its end"


def times_follow_the_order(world: World) -> Iterator[str]:
    """I18: the order of a history is the order in which things happened."""
    for execution, events in _histories(world):
        for before, after in itertools.pairwise(events):
            if after.at < before.at:
                late = (before.at - after.at) * 1000
                yield f"{execution.id} event {after.event_id}: {late:.3f} ms before its forerunner"


def _histories(world: World) -> Iterator[tuple[ExecutionRow, list[EventRow]]]:
    for execution in world.executions.values():
        yield execution, world.events[execution.id]
