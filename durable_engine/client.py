"""What application code calls: start executions, ask how they stand, wait for results, answer callbacks, stop.

Inside `transaction.atomic()` every call is part of the transaction: an execution started there runs if it commits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from durable_engine.queries import executions as execution_queries
from durable_engine.queries import history as history_queries
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.executions import ExecutionRow, ExecutionSummary
from durable_engine.queries.filters import ExecutionFilters
from durable_engine.queries.paging import Page
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services import callbacks, executions, schedules
from durable_engine.services.actors import PYTHON_CODE, Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.exceptions import DurableServiceError, ExecutionNotFound, InvalidInput
from durable_engine.services.starts import StartedExecution, StartRequest

FIRST_LOOK_SECONDS: Final = 0.02
LAST_LOOK_SECONDS: Final = 1.0


class ExecutionNotSucceeded(DurableServiceError):
    """The execution ended without a result: `status` is FAILED, TIMED_OUT or STOPPED, `error` says why."""

    status_code = 409

    def __init__(self, execution_id: UUID, status: str, error: ErrorView | None) -> None:
        cause = f": {error.type}: {error.message}" if error else ""
        super().__init__(f"Execution {execution_id} is {status}{cause}")
        self.execution_id = execution_id
        self.status = status
        self.error = error


class ResultNotReady(DurableServiceError, TimeoutError):
    """The execution was still live when the time to wait was over. It goes on."""

    status_code = 408


@dataclass(frozen=True, slots=True)
class StartSpec:
    """One execution for `start_executions`; the fields are the arguments of `start_execution`."""

    function: str | DurableHandler
    input: Any = None
    name: str | None = None
    version: int | None = None
    tags: Mapping[str, str] | None = None
    delay: float | timedelta | Duration | None = None
    priority: int | None = None
    queue: str | None = None
    concurrency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionHandle:
    """A started execution. `created` is False when its name had been started before with the same input."""

    id: UUID
    name: str
    created: bool

    @property
    def status(self) -> str:
        """The status now: PENDING, RUNNING, SUSPENDED, PAUSED, SUCCEEDED, FAILED, TIMED_OUT or STOPPED."""
        return self.refresh().status

    def refresh(self) -> ExecutionSummary:
        """Return the execution as it stands now.

        Raises:
            ExecutionNotFound: its retention is over.
        """
        return get_execution(self.id)

    def result(self, timeout: float | timedelta | Duration | None = None) -> Any:
        """Wait until the execution has ended and return its result, decoded from JSON.

        Of an execution that continued as new it is the result of the last one. A result that isn't JSON (a serdes of
        the handler's own) is returned as text. `timeout` in seconds; None waits as long as it takes.

        Raises:
            ExecutionNotSucceeded: it ended as FAILED, TIMED_OUT or STOPPED.
            ResultNotReady: it was still live at the timeout (a TimeoutError).
            ExecutionNotFound: its retention is over.
        """
        return _result(self.id, _seconds("timeout", timeout))


def start_execution(
    function: str | DurableHandler,
    input: Any = None,
    *,
    name: str | None = None,
    version: int | None = None,
    tags: Mapping[str, str] | None = None,
    delay: float | timedelta | Duration | None = None,
    priority: int | None = None,
    queue: str | None = None,
    concurrency_key: str | None = None,
    actor: Actor = PYTHON_CODE,
) -> ExecutionHandle:
    """Start an execution; `input` is any value that JSON can hold, `delay` seconds or a duration.

    A name makes the start idempotent: the same input returns the execution started before. Of what is ready in a queue
    a higher `priority` goes first. `queue` and `concurrency_key` replace what the function says.

    Raises:
        FunctionNotFound: no such function or version is known.
        InvalidInput: an argument can't be accepted; `field` says which.
        ExecutionAlreadyStarted: the name was started with another input.
    """
    spec = StartSpec(function, input, name, version, tags, delay, priority, queue, concurrency_key)
    return start_executions([spec], actor=actor)[0]


def start_executions(specs: Iterable[StartSpec], *, actor: Actor = PYTHON_CODE) -> list[ExecutionHandle]:
    """Start all of them or none, with one statement; the handles are in the order of the specs.

    Raises:
        FunctionNotFound, InvalidInput, ExecutionAlreadyStarted: as `start_execution`, for the first at fault.
    """
    started = executions.start_executions([_request(spec) for spec in specs], actor=actor)
    return [_handle(each) for each in started]


def invoke(
    function: str | DurableHandler,
    input: Any = None,
    timeout: float | timedelta | Duration | None = None,
    *,
    name: str | None = None,
    actor: Actor = PYTHON_CODE,
) -> Any:
    """Start an execution and wait for its result; with a `name`, wait for the one started before.

    Raises:
        DurableServiceError: called inside a transaction, where the execution could not run before the commit.
        FunctionNotFound, InvalidInput, ExecutionAlreadyStarted: as `start_execution`.
        ExecutionNotSucceeded, ResultNotReady: as `ExecutionHandle.result`.
    """
    if transaction.get_connection().in_atomic_block:
        raise DurableServiceError(
            "invoke() inside transaction.atomic() would wait for an execution that runs only after the commit.",
            fix="Call it outside, or use start_execution() and ask for the result later.",
        )
    return start_execution(function, input, name=name, actor=actor).result(timeout)


def get_execution(execution_id: UUID | str) -> ExecutionSummary:
    """Return an execution as it stands, without input and result.

    Raises:
        ExecutionNotFound: there is none with this id.
    """
    summary = execution_queries.execution_summary(_uuid(execution_id))
    if summary is None:
        raise ExecutionNotFound(execution_id)
    return summary


def list_executions(
    *,
    status: str | None = None,
    function: str | None = None,
    text: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ExecutionRow]:
    """Return a page of executions, newest first; pass `page.next` as the cursor of the following page."""
    return execution_queries.list_executions(ExecutionFilters(status, function, text), cursor, limit)


def history(execution_id: UUID | str, *, include_data: bool = True) -> list[dict[str, Any]]:
    """Return the events of an execution in the form AWS clients read, callback ids included.

    Raises:
        ExecutionNotFound: there is none with this id.
    """
    key = _uuid(execution_id)
    events = history_queries.history(key, include_data=include_data, callback_id_for=callback_id_for)
    if not events:
        raise ExecutionNotFound(execution_id)
    return events


def stop_execution(execution_id: UUID | str, *, reason: str = "", actor: Actor = PYTHON_CODE) -> None:
    """End an execution as STOPPED, for good.

    Raises:
        ExecutionNotFound: there is none with this id.
        ActionRefused: it has ended already.
    """
    executions.stop_execution(_uuid(execution_id), actor=actor, reason=reason)


def send_callback_success(
    callback_id: str | None = None,
    result: Any = None,
    *,
    key: str | None = None,
    function: str | DurableHandler | None = None,
    actor: Actor = PYTHON_CODE,
) -> None:
    """Complete a callback. Text is sent as it is, None as no result, anything else as JSON.

    It is named by its id, or by its business key and the function of its execution.

    Raises:
        CallbackNotFound: the id is forged or damaged, or no open callback of the function has the key.
        CallbackClosed: it is completed, timed out, or its execution has ended.
        InvalidInput: the result is over 256 KiB or can't be written as JSON.
    """
    text = result if result is None or isinstance(result, str) else _json("result", result)
    callbacks.complete_callback(_callback_id(callback_id, key, function), succeed=text, actor=actor)


def send_callback_failure(
    callback_id: str | None = None,
    message: str = "",
    *,
    key: str | None = None,
    function: str | DurableHandler | None = None,
    error_type: str | None = None,
    data: str | None = None,
    actor: Actor = PYTHON_CODE,
) -> None:
    """Complete a callback as failed; the handler gets the message, the type and the data.

    Raises:
        CallbackNotFound, CallbackClosed, InvalidInput: as `send_callback_success`.
    """
    fields = {"ErrorType": error_type, "ErrorMessage": message, "ErrorData": data}
    error = {name: value for name, value in fields.items() if value is not None}
    callbacks.complete_callback(_callback_id(callback_id, key, function), error=error, actor=actor)


def send_callback_heartbeat(
    callback_id: str | None = None, *, key: str | None = None, function: str | DurableHandler | None = None
) -> None:
    """Say that the work behind a callback goes on, which moves its heartbeat deadline.

    Raises:
        CallbackNotFound, CallbackClosed: as `send_callback_success`.
    """
    callbacks.heartbeat_callback(_callback_id(callback_id, key, function))


def put_schedule(
    name: str,
    function: str | DurableHandler,
    input: Any = None,
    *,
    cron: str = "",
    every: float | timedelta | Duration | None = None,
    timezone: str = "UTC",
    version: int | None = None,
    tags: Mapping[str, str] | None = None,
    overlap: str = "SKIP",
    catch_up: str = "LATEST",
    actor: Actor = PYTHON_CODE,
) -> UUID:
    """Make the schedule of this name, or change it if it does something else; a deploy may call it again and again.

    Either `cron`, five fields in `timezone`, or `every`, whole seconds or a duration. `overlap` says what happens while
    the execution before is live (SKIP, ALLOW, WAIT, REPLACE), `catch_up` what to do about times at which no scheduler
    was at work (LATEST, NONE, ALL).

    Raises:
        FunctionNotFound: no such function or version is known.
        InvalidInput: an argument can't be accepted; `field` says which.
    """
    seconds = _seconds("every", every)
    spec = schedules.ScheduleSpec(
        function=function.name if isinstance(function, DurableHandler) else function,
        cron=cron,
        every_seconds=int(seconds) if seconds is not None and float(seconds).is_integer() else seconds,  # type: ignore[arg-type]
        timezone=timezone,
        version=version,
        input_text=_json("input", input),
        tags=tags,
        overlap=overlap,
        catch_up=catch_up,
    )
    return schedules.put_schedule(name, spec, actor=actor)


def _callback_id(callback_id: str | None, key: str | None, function: str | DurableHandler | None) -> str:
    if callback_id is not None:
        if key is not None or function is not None:
            raise InvalidInput("key", "the callback id says which callback it is.", "Give one of the two.")
        return callback_id
    if key is None or function is None:
        raise InvalidInput("callback_id", "is missing.", "Give it, or key= and function=.")
    name = function.name if isinstance(function, DurableHandler) else function
    return callback_id_for(*callbacks.callback_with_key(name, key))


def _request(spec: StartSpec) -> StartRequest:
    function = spec.function.name if isinstance(spec.function, DurableHandler) else spec.function
    version = spec.version
    if version is None and isinstance(spec.function, DurableHandler):
        version = spec.function.version
    return StartRequest(
        function=function,
        input_text=_json("input", spec.input),
        name=spec.name,
        version=version,
        tags=spec.tags,
        delay_seconds=_seconds("delay", spec.delay),
        priority=spec.priority,
        queue=spec.queue,
        concurrency_key=spec.concurrency_key,
    )


def _handle(started: StartedExecution) -> ExecutionHandle:
    return ExecutionHandle(started.id, started.name, started.created)


def _result(execution_id: UUID, timeout: float | None) -> Any:
    deadline = None if timeout is None else time.monotonic() + timeout
    delay = FIRST_LOOK_SECONDS
    while (outcome := execution_queries.outcome_of(execution_id)) is None or outcome.continued_as is not None:
        if outcome is not None and outcome.continued_as is not None:
            execution_id = outcome.continued_as
            continue
        summary = get_execution(execution_id)
        left = LAST_LOOK_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise ResultNotReady(f"Execution {execution_id} is {summary.status} after {timeout:g} seconds of waiting.")
        time.sleep(min(delay, left))
        delay = min(delay * 1.5, LAST_LOOK_SECONDS)
    if outcome.status != "SUCCEEDED":
        raise ExecutionNotSucceeded(execution_id, outcome.status, outcome.error)
    return _decoded(outcome.result)


def _decoded(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _json(field: str, value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        fix = "Use None, bool, int, float, str, list and dict with text keys."
        raise InvalidInput(field, f"can't be written as JSON: {error}.", fix) from error


def _seconds(field: str, value: float | timedelta | Duration | None) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Duration):
        return value.to_seconds()
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InvalidInput(field, f"{value!r} is not a duration.", "Give seconds, a timedelta or a Duration.")
    return value


def _uuid(execution_id: UUID | str) -> UUID:
    if isinstance(execution_id, UUID):
        return execution_id
    try:
        return UUID(execution_id)
    except ValueError:
        raise ExecutionNotFound(execution_id) from None
