"""What clients were told, against what the tables hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.world import CALLBACK_OUTCOMES, Request, World


def acknowledged_starts_exist_once(world: World) -> Iterator[str]:
    """I1: every start acknowledged has exactly one execution; one of unknown outcome has none or one."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for execution in world.executions.values():
        by_name[execution.name].append(execution.id)
    for name, requests in world.requests_of("start").items():
        found = by_name.get(name, [])
        told = {request.execution_id for request in requests if request.outcome == "ok"}
        if told and found != [next(iter(told))]:
            yield f"{name}: clients were told {sorted(told)}, the table has {found}"
        elif len(found) > 1:
            yield f"{name}: {len(found)} executions"
        elif found and not any(request.outcome in {"ok", "info"} for request in requests):
            yield f"{name}: exists though every start was refused"


def equal_starts_are_one_execution(world: World) -> Iterator[str]:
    """I2: starts of one name with the same input return one id and the first input; with another one are refused."""
    for name, requests in world.requests_of("start").items():
        told = {request.execution_id for request in requests if request.outcome == "ok"}
        if len(told) > 1:
            yield f"{name}: starts returned {sorted(told)}"
        inputs = {request.input for request in requests if request.outcome == "ok"}
        if len(inputs) > 1:
            yield f"{name}: starts with {len(inputs)} different inputs were all accepted"
        for execution_id in told:
            recorded = world.events[execution_id][0].payload if world.events[execution_id] else None
            if recorded not in inputs:
                yield f"{name}: its first event holds another input"


def closed_stays_closed(world: World) -> Iterator[str]:
    """I3: an execution seen closed keeps its status, result and history for ever."""
    for sample in world.samples:
        if sample.closed is None:
            continue
        execution = world.executions.get(sample.execution_id)
        if execution is None:
            yield f"{sample.execution_id}: was closed, and is gone"
            continue
        now = (execution.status, execution.closed_at, execution.last_event_id, execution.fence, execution.batch)
        if now != sample.closed:
            yield f"{sample.execution_id}: was closed as {sample.closed}, is now {now}"


def first_completion_wins(world: World) -> Iterator[str]:
    """I10: a callback has at most one outcome, that of the one completer who was told ok; the others were told so."""
    outcomes: dict[str, list[str]] = defaultdict(list)
    for events in world.events.values():
        for event in events:
            if event.event_type in CALLBACK_OUTCOMES:
                status = CALLBACK_OUTCOMES[event.event_type]
                text = f"{status} {event.payload}" if status == "SUCCEEDED" else status
                outcomes[f"{event.execution_id}/{event.operation_id}"].append(text)
    requests = world.requests_of("complete")
    for callback in world.callbacks:
        key = f"{callback.execution_id}/{callback.operation_id}"
        yield from _callback_problems(key, callback.status, outcomes.pop(key, []), requests)
    for key in outcomes:
        yield f"{key}: has an outcome and no callback"


def _callback_problems(key: str, status: str, outcomes: list[str], requests: dict[str, list[Request]]) -> Iterator[str]:
    if len(outcomes) > 1:
        yield f"{key}: outcomes {outcomes}"
    if [status] != [outcome.split(" ")[0] for outcome in outcomes] and not (
        status in {"STARTED", "CANCELLED"} and not outcomes
    ):
        yield f"{key}: the callback is {status}, its events say {outcomes}"
    completions = requests.get(key, [])
    accepted = [request.answer for request in completions if request.outcome == "ok"]
    unknown = [request.answer for request in completions if request.outcome == "info"]
    if len(accepted) > 1:
        yield f"{key}: {len(accepted)} completers were told ok: {accepted}"
    elif accepted and accepted != outcomes:
        yield f"{key}: a completer was told ok with {accepted[0]!r}, the history says {outcomes}"
    for request in completions:
        if request.outcome == "fail" and request.answer not in ("", status):
            yield f"{key}: a completer was told that it is {request.answer}, it is {status}"
    if not accepted and outcomes and outcomes[0] != "TIMED_OUT" and outcomes[0] not in unknown:
        yield f"{key}: the outcome {outcomes[0]!r} was asked for by nobody"


def stopped_is_what_clients_were_told(world: World) -> Iterator[str]:
    """I16: a stop that was acknowledged leaves STOPPED; a refused one leaves what the client was told."""
    for execution_id, requests in world.requests_of("stop").items():
        execution = world.executions.get(execution_id)
        status = execution.status if execution else "gone"
        accepted = sum(request.outcome == "ok" for request in requests)
        if accepted > 1:
            yield f"{execution_id}: {accepted} stops were acknowledged"
        if accepted and status != "STOPPED":
            yield f"{execution_id}: a stop was acknowledged, and it is {status}"
        if status == "STOPPED" and all(request.outcome == "fail" for request in requests):
            yield f"{execution_id}: is STOPPED though every stop was refused"
