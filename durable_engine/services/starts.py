"""Start executions: one, or many in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from django.db import transaction
from uuid_utils.compat import uuid7

from durable_engine import dispatch
from durable_engine.models import Execution
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.inputs import parse_input
from durable_engine.sdk.limits import limit_key
from durable_engine.services.actors import Actor
from durable_engine.services.audit import audit_facts
from durable_engine.services.exceptions import (
    DurableServiceError,
    ExecutionAlreadyStarted,
    FunctionPaused,
    InvalidInput,
)
from durable_engine.services.functions import KnownFunction, known_functions, reference_of
from durable_engine.services.validation import (
    JsonText,
    checked_delay,
    checked_input,
    checked_name,
    checked_priority,
    checked_queue,
    checked_tags,
    checked_tenant,
)
from durable_engine.storage.audit import AuditFacts
from durable_engine.storage.starts import NewExecution, insert_executions
from durable_engine.tracing import current_trace

MAX_BULK: Final = 10_000
# Each round needs retention to delete the name's owner between two statements; more than a few in a row is no accident.
NAME_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class StartRequest:
    """One execution to start. `input_text` is JSON text; `delay_seconds` from 0 to 366 days.

    `tenant_id` is shown to the handler as `context.execution_context.tenant_id`. Of what is ready, a higher `priority`
    (from -1000 to 1000) goes first. `queue` and `concurrency_key` replace what the function says.
    """

    function: str
    input_text: str
    name: str | None = None
    version: int | None = None
    tags: Mapping[str, str] | None = None
    delay_seconds: float | None = None
    tenant_id: str | None = None
    priority: int | None = None
    queue: str | None = None
    concurrency_key: str | None = None


@dataclass(frozen=True, slots=True)
class StartedExecution:
    """The execution a start led to; `created` is False when the name had been started before with the same input."""

    id: UUID
    name: str
    created: bool


def start_execution(
    function: str,
    input_text: str,
    *,
    actor: Actor,
    name: str | None = None,
    version: int | None = None,
    tags: Mapping[str, str] | None = None,
    delay_seconds: float | None = None,
    priority: int | None = None,
    queue: str | None = None,
    concurrency_key: str | None = None,
    audited: bool = True,
) -> StartedExecution:
    """Start an execution in the caller's transaction; it runs after the commit.

    The function may be named as `name:version`, or by an ARN of any region and account.

    A name makes the start idempotent within its function: with the same input it returns the execution started before,
    whatever has become of it, until its retention is over. The version is the given one or the latest known, and stays.

    Of what is ready in a queue, a higher `priority` (from -1000 to 1000, 0 unless given) goes first. `queue` replaces
    the function's, `concurrency_key` what its limit would count the execution under.

    Raises:
        FunctionNotFound: no such function or version is known.
        FunctionPaused: it is paused in such a way that it takes no new executions.
        InvalidInput: an argument can't be accepted; `field` says which.
        ExecutionAlreadyStarted: the name was started with another input.
    """
    request = StartRequest(
        function,
        input_text,
        name,
        version,
        tags,
        delay_seconds,
        priority=priority,
        queue=queue,
        concurrency_key=concurrency_key,
    )
    return start_executions([request], actor=actor, audited=audited)[0]


def start_executions(requests: Iterable[StartRequest], *, actor: Actor, audited: bool = True) -> list[StartedExecution]:
    """Start all of them or none, with one INSERT statement; the answers are in the order of the requests.

    A name that occurs twice starts one execution. At most 10,000 at a time.

    Raises:
        FunctionNotFound, InvalidInput, ExecutionAlreadyStarted: as `start_execution`, for the first at fault.
    """
    wanted = [_resolved(request) for request in requests]
    if len(wanted) > MAX_BULK:
        problem = f"{len(wanted):,} executions at once; at most {MAX_BULK:,} are accepted."
        raise InvalidInput("requests", problem, "Split the list.")
    functions = known_functions({(request.function, request.version) for request in wanted})
    rows = [_new_row(request, functions[request.function, request.version]) for request in wanted]
    audit = audit_facts(actor, "start_execution") if audited else None
    # Of one alone, the statement is the transaction.
    with transaction.atomic() if len(rows) > 1 else nullcontext():
        started, created = _insert(rows, audit)
        _announce(created)
    return started


def _resolved(request: StartRequest) -> StartRequest:
    function, version = reference_of(request.function, request.version)
    return request if function == request.function else replace(request, function=function, version=version)


def _new_row(request: StartRequest, function: KnownFunction) -> NewExecution:
    if function.refuses_starts:
        raise FunctionPaused(function.name, function.refuses_starts)
    execution_id: UUID = uuid7()
    json_text = checked_input(request.input_text)
    check_against_schema(function, json_text)
    timeout = function.execution_timeout_seconds
    details = {
        "execution_timeout_seconds": timeout,
        "tenant_id": checked_tenant(request.tenant_id),
        "trace_parent": current_trace(),
    }
    known = {name: value for name, value in details.items() if value is not None}
    return NewExecution(
        id=execution_id,
        function=function.name,
        version=function.version,
        name=str(execution_id) if request.name is None else checked_name(request.name),
        payload_hash=json_text.payload_hash,
        queue=function.queue if request.queue is None else checked_queue(request.queue),
        priority=checked_priority(request.priority),
        concurrency_key=_concurrency_key(request, function),
        tags=json.dumps(checked_tags(request.tags)),
        input_text=json_text.text,
        details=json.dumps(known) if known else None,
        delay_seconds=checked_delay(request.delay_seconds),
        execution_timeout_seconds=timeout,
    )


def _concurrency_key(request: StartRequest, function: KnownFunction) -> str | None:
    if request.concurrency_key is None:
        return None
    if function.max_concurrency is None:
        problem = f"{function.name!r} has no limit that it could count for."
        raise InvalidInput("concurrency_key", problem, "Give @durable_execution(max_concurrency=…), or leave it out.")
    try:
        return limit_key(function.name, request.concurrency_key)
    except ValidationError as error:
        raise InvalidInput("concurrency_key", str(error).removeprefix("concurrency_key: ") + ".") from error


def check_against_schema(function: KnownFunction, json_text: JsonText) -> None:
    """Refuse an input that the handler, as far as this process has it, would refuse.

    Raises:
        InvalidInput: naming the field at fault.
    """
    # Only this process's own handlers: another's types can't be had, and its worker checks again.
    if function.handler is None or function.handler.input is None:
        return
    try:
        parse_input(function.handler.input, json_text.value)
    except ValidationError as error:
        field, _, problem = str(error).partition(" ")
        raise InvalidInput(field.rstrip(":") or "input", f"{problem}.") from error


def _insert(
    rows: Sequence[NewExecution], audit: AuditFacts | None
) -> tuple[list[StartedExecution], list[NewExecution]]:
    """Insert what has a free name; find who owns the others.

    In that order, each in a statement of its own: only a later statement sees the row that made the insert do nothing.
    """
    results: dict[UUID, StartedExecution] = {}
    created: list[NewExecution] = []
    left = list(rows)
    for _ in range(NAME_ROUNDS):
        if not left:
            return [results[row.id] for row in rows], created
        inserted = insert_executions(left, audit)
        created += [row for row in left if row.id in inserted]
        results |= {row.id: StartedExecution(row.id, row.name, created=True) for row in left if row.id in inserted}
        left = [row for row in left if row.id not in inserted]
        # Who is gone again was deleted by retention in between: the name is free, so insert once more.
        results |= _owners(left)
        left = [row for row in left if row.id not in results]
    names = ", ".join(f"{row.function}/{row.name}" for row in left[:3])
    raise DurableServiceError(f"{names}: the name was taken and freed again at every try.", fix="Start it again.")


def _owners(rows: Sequence[NewExecution]) -> dict[UUID, StartedExecution]:
    if not rows:
        return {}
    owners = {
        (function, name): (owner_id, payload_hash)
        for owner_id, function, name, payload_hash in Execution.objects.filter(
            superseded_by=None, function__in={row.function for row in rows}, name__in={row.name for row in rows}
        ).values_list("id", "function", "name", "payload_hash")
    }
    results = {}
    for row in rows:
        if (owner := owners.get((row.function, row.name))) is None:
            continue
        owner_id, payload_hash = owner
        if payload_hash != row.payload_hash:
            raise ExecutionAlreadyStarted(row.function, row.name, owner_id)
        results[row.id] = StartedExecution(owner_id, row.name, created=False)
    return results


def _announce(created: Sequence[NewExecution]) -> None:
    for queue in sorted({row.queue for row in created}):
        ready = [row.id for row in created if row.queue == queue and row.delay_seconds == 0]
        dispatch.publish_on_commit(ready, queue=queue)
    if delays := [row.delay_seconds for row in created if row.delay_seconds > 0]:
        soonest = min(delays)
        transaction.on_commit(lambda: dispatch.poke_scheduler(soonest), robust=True)
