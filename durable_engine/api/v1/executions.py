"""Start executions with everything a start may have, list them over all functions, look at one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from durable_engine.api.documented import ANY, MOMENT, NUMBER, OBJECT, TEXT, WHOLE, Documented, Schema
from durable_engine.api.errors import access_denied, invalid_parameter
from durable_engine.api.parameters import moment
from durable_engine.api.v1.actions import Asked, v1_action
from durable_engine.models import ExecutionStatus
from durable_engine.queries.arns import execution_arn
from durable_engine.queries.described import execution_line, execution_object
from durable_engine.queries.executions import list_executions
from durable_engine.queries.filters import WAITING, ExecutionFilters
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.functions import MAX_VERSION, reference_of
from durable_engine.services.starts import StartRequest, start_executions

TAG: Final = "Executions"
DEFAULT_PAGE: Final = 50
LONGEST_PAGE: Final = 1000

_FILTERS: Final[dict[str, Schema]] = {
    "function": TEXT,
    "status": {**TEXT, "enum": ExecutionStatus.values},
    "text": {**TEXT, "description": "The beginning of a name or of an id."},
    "version": WHOLE,
    "tags": {**TEXT, "description": "KEY=VALUE pairs, separated by commas; an execution has all of them."},
    "since": {**MOMENT, "description": "Started then or later."},
    "until": {**MOMENT, "description": "Started before."},
    "waiting": {**TEXT, "enum": sorted(WAITING), "description": "What a live one waits for."},
    "limit": {**WHOLE, "minimum": 1, "maximum": LONGEST_PAGE, "default": DEFAULT_PAGE},
    "cursor": {**TEXT, "description": "Next, of the page before."},
}


@v1_action(
    "ListExecutions",
    scope="read",
    documented=Documented(TAG, "List executions of all functions, the newest first", "ExecutionPage", query=_FILTERS),
)
def execution_list(asked: Asked) -> object:
    """A page of executions. A key that is for some functions has to name one of them."""
    query = asked.query
    function = query.get("function") or None
    caller = asked.call.caller
    if function is not None:
        caller.check_function(function)
    elif caller.key is not None and caller.key.functions:
        raise access_denied(f"{caller.actor.label} is not for all functions: name one with the parameter function.")
    filters = ExecutionFilters(
        status=_one_of(query, "status", ExecutionStatus.values),
        function=function,
        text=query.get("text") or None,
        version=_whole(query, "version", MAX_VERSION),
        tags=_tags(query.get("tags", "")),
        since=_moment(asked, "since"),
        until=_moment(asked, "until"),
        waiting=_one_of(query, "waiting", WAITING),
    )
    limit = _whole(query, "limit", LONGEST_PAGE) or DEFAULT_PAGE
    page = list_executions(filters, query.get("cursor"), limit)
    return {"executions": [execution_line(row) for row in page.items], "next": page.next}


@v1_action(
    "GetExecution",
    scope="read",
    documented=Documented(TAG, "Show an execution: what it waits for, its data, its relations", "Execution"),
)
def execution_detail(asked: Asked, execution: str) -> object:
    """One execution; ids of its open callbacks only for a key that may complete callbacks."""
    may_complete = asked.call.caller.has_scope("callback")
    return execution_object(asked.execution(execution), callback_id_for if may_complete else None)


@v1_action(
    "StartExecution",
    scope="start",
    documented=Documented(
        TAG,
        "Start an execution, also later, with tags, a priority, a queue",
        "Started",
        status=201,
        body={
            "function": TEXT,
            "input": {**ANY, "description": "Any JSON value; null unless given."},
            "name": {**TEXT, "description": "Makes the start idempotent within the function."},
            "version": WHOLE,
            "tags": {**OBJECT, "additionalProperties": TEXT},
            "delay_seconds": NUMBER,
            "priority": WHOLE,
            "queue": TEXT,
            "concurrency_key": TEXT,
        },
        required=("function",),
    ),
)
def execution_start(asked: Asked) -> object:
    """Start an execution, or find the one of that name."""
    body = dict(asked.body)
    function, version = reference_of(body.pop("function"), body.pop("version", None))
    asked.call.caller.check_function(function)
    text = json.dumps(body.pop("input", None), ensure_ascii=False)
    request = StartRequest(function, text, version=version, **body)
    started = start_executions([request], actor=asked.call.caller.actor)[0]
    asked.call.about = str(started.id)
    return started_object(started.id, function, started.name, created=started.created)


def started_object(execution_id: object, function: str, name: str, *, created: bool) -> dict[str, Any]:
    """Return what a start is answered with."""
    arn = execution_arn(function, name, str(execution_id))
    return {"id": execution_id, "arn": arn, "name": name, "created": created}


def _one_of(query: Any, name: str, known: Any) -> str | None:
    value: str | None = query.get(name) or None
    if value is not None and value not in known:
        raise invalid_parameter(f"{name}: {value[:40]!r} is none of {', '.join(sorted(known))}.")
    return value


def _whole(query: Any, name: str, most: int) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= most):
        raise invalid_parameter(f"{name}: {text[:40]!r} is not a whole number from 1 to {most}.")
    return int(text)


def _tags(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if wrong := [key for key, equals, _ in pairs if not (key and equals)]:
        raise invalid_parameter(f"tags: {wrong[0][:60]!r} is not KEY=VALUE.")
    return tuple((key, value) for key, _, value in pairs)


def _moment(asked: Asked, name: str) -> datetime | None:
    return moment(asked.call.query, name)
