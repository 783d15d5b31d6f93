"""Start executions: one, or many in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from uuid_utils.compat import uuid7

from durable_engine import dispatch
from durable_engine.models import Execution
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.inputs import parse_input
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit_of_many
from durable_engine.services.exceptions import DurableServiceError, ExecutionAlreadyStarted, InvalidInput
from durable_engine.services.functions import KnownFunction, known_functions
from durable_engine.services.validation import JsonText, checked_delay, checked_input, checked_name, checked_tags
from durable_engine.storage.starts import NewExecution, insert_executions

MAX_BULK: Final = 10_000
# Each round needs retention to delete the name's owner between two statements; more than a few in a row is no accident.
NAME_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class StartRequest:
    """One execution to start. `input_text` is JSON text; `delay_seconds` from 0 to 366 days."""

    function: str
    input_text: str
    name: str | None = None
    version: int | None = None
    tags: Mapping[str, str] | None = None
    delay_seconds: float | None = None


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
    audited: bool = True,
) -> StartedExecution:
    """Start an execution in the caller's transaction; it runs after the commit.

    A name makes the start idempotent within its function: with the same input it returns the execution started before,
    whatever has become of it, until its retention is over. The version is the given one or the latest known, and stays.

    Raises:
        FunctionNotFound: no such function or version is known.
        InvalidInput: input, name, tags, version or delay can't be accepted; `field` says which.
        ExecutionAlreadyStarted: the name was started with another input.
    """
    request = StartRequest(function, input_text, name, version, tags, delay_seconds)
    return start_executions([request], actor=actor, audited=audited)[0]


def start_executions(requests: Iterable[StartRequest], *, actor: Actor, audited: bool = True) -> list[StartedExecution]:
    """Start all of them or none, with one INSERT statement; the answers are in the order of the requests.

    A name that occurs twice starts one execution. At most 10,000 at a time.

    Raises:
        FunctionNotFound, InvalidInput, ExecutionAlreadyStarted: as `start_execution`, for the first at fault.
    """
    wanted = list(requests)
    if len(wanted) > MAX_BULK:
        problem = f"{len(wanted):,} executions at once; at most {MAX_BULK:,} are accepted."
        raise InvalidInput("requests", problem, "Split the list.")
    functions = known_functions({(request.function, request.version) for request in wanted})
    rows = [_new_row(request, functions[request.function, request.version]) for request in wanted]
    with transaction.atomic():
        started, created = _insert(rows)
        if audited and created:
            record_audit_of_many(actor, "start_execution", [row.id for row in created])
        _announce(created)
    return started


def _new_row(request: StartRequest, function: KnownFunction) -> NewExecution:
    execution_id: UUID = uuid7()
    json_text = checked_input(request.input_text)
    _check_against_schema(function, json_text)
    timeout = function.execution_timeout_seconds
    return NewExecution(
        id=execution_id,
        function=function.name,
        version=function.version,
        name=str(execution_id) if request.name is None else checked_name(request.name),
        payload_hash=json_text.payload_hash,
        queue=function.queue,
        tags=json.dumps(checked_tags(request.tags)),
        input_text=json_text.text,
        details=None if timeout is None else json.dumps({"execution_timeout_seconds": timeout}),
        delay_seconds=checked_delay(request.delay_seconds),
        execution_timeout_seconds=timeout,
    )


def _check_against_schema(function: KnownFunction, json_text: JsonText) -> None:
    # Only this process's own handlers: another's types can't be had, and its worker checks again.
    if function.handler is None or function.handler.input is None:
        return
    try:
        parse_input(function.handler.input, json_text.value)
    except ValidationError as error:
        field, _, problem = str(error).partition(" ")
        raise InvalidInput(field.rstrip(":") or "input", f"{problem}.") from error


def _insert(rows: Sequence[NewExecution]) -> tuple[list[StartedExecution], list[NewExecution]]:
    """Insert what has a free name; find who owns the others.

    In that order, each in a statement of its own: only a later statement sees the row that made the insert do nothing.
    """
    results: dict[UUID, StartedExecution] = {}
    created: list[NewExecution] = []
    left = list(rows)
    for _ in range(NAME_ROUNDS):
        if not left:
            return [results[row.id] for row in rows], created
        inserted = insert_executions(left)
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
