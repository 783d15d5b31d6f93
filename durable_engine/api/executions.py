"""Executions: look at one, at its history, at those of a function; stop one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone

from durable_engine.api.actions import Call, api_action
from durable_engine.api.errors import conflict, invalid_parameter, not_found
from durable_engine.api.markers import make_marker, read_marker
from durable_engine.api.parameters import (
    LONGEST_CLIENT_TOKEN,
    boolean,
    execution_of,
    function_of,
    json_object,
    max_items,
    moment,
    text_field,
)
from durable_engine.api.responses import json_response
from durable_engine.api.statuses import status_for_clients, statuses_named
from durable_engine.queries.arns import LATEST, execution_arn, function_arn
from durable_engine.queries.by_function import FunctionFilters, ListedExecution, executions_of_function
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.executions import ExecutionSummary, execution_summary, input_of, outcome_of
from durable_engine.queries.functions import function_named
from durable_engine.queries.history import history_page
from durable_engine.services import executions
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.deletions import delete_execution
from durable_engine.services.exceptions import ActionRefused
from durable_engine.services.validation import NAME

STOPPED: Final = "STOPPED"
PAUSED: Final = "PAUSED"
LONGEST_NAME: Final = 64
LONGEST_REASON: Final = 1024
SECONDS: Final = frozenset({"Duration", "ExecutionTimeout", "HeartbeatTimeout", "NextAttemptDelaySeconds", "Timeout"})


def found(call: Call, arn: str) -> ExecutionSummary:
    """Return the execution that an ARN names, if the key is for its function.

    Raises:
        ApiError: InvalidParameterValueException, AccessDeniedException or ResourceNotFoundException.
    """
    named = execution_of(arn)
    call.about = str(named.execution_id)
    call.caller.check_function(named.function)
    summary = execution_summary(named.execution_id)
    if summary is None or (summary.function, summary.name) != (named.function, named.name):
        raise not_found(f"There is no execution {arn}. It never existed, or its retention is over.")
    return summary


@api_action("GetDurableExecution", scope="read")
def execution_detail(call: Call, arn: str) -> HttpResponse:
    """One execution with input, result or error."""
    summary = found(call, arn)
    with_data = boolean(call.query, "IncludeExecutionData", default=True)
    details = {
        **_listed(summary),
        "Version": str(summary.version),
        "ExecutionDataIncluded": with_data,
        **(_data(summary) if with_data else {}),
        **_timing(summary),
    }
    return json_response(details)


@api_action("GetDurableExecutionHistory", scope="read")
def execution_history(call: Call, arn: str) -> HttpResponse:
    """A page of events. Callback ids are among them only for a key that may complete callbacks."""
    summary = found(call, arn)
    reverse = boolean(call.query, "ReverseOrder", default=False)
    listing = [summary.id, reverse]
    page = history_page(
        summary.id,
        include_data=boolean(call.query, "IncludeExecutionData", default=True),
        after=read_marker(call.query.get("Marker"), "GetDurableExecutionHistory", listing) or 0,
        limit=max_items(call.query),
        reverse=reverse,
        callback_id_for=callback_id_for if call.caller.has_scope("callback") else None,
    )
    answer: dict[str, Any] = {"Events": [_event_for_clients(event) for event in page.events]}
    if page.has_more:
        answer["NextMarker"] = make_marker("GetDurableExecutionHistory", listing, page.events[-1]["EventId"])
    return json_response(answer)


@api_action("ListDurableExecutionsByFunction", scope="read")
def execution_list(call: Call, function: str) -> HttpResponse:
    """A page of a function's executions, newest first; `ReverseOrder` turns it round."""
    wanted = function_of(function, call.query)
    call.caller.check_function(wanted.name)
    filters = FunctionFilters(
        function=wanted.name,
        version=wanted.version,
        name=_name_filter(call.query.get("DurableExecutionName")),
        statuses=(statuses := statuses_named(call.query.getlist("Statuses"))) or (),
        started_after=moment(call.query, "StartedAfter"),
        started_before=moment(call.query, "StartedBefore"),
    )
    oldest_first = boolean(call.query, "ReverseOrder", default=False)
    listing = [repr(filters), oldest_first]
    limit = max_items(call.query)
    after = read_marker(call.query.get("Marker"), "ListDurableExecutionsByFunction", listing)
    position = None if after is None else (datetime.fromisoformat(after[0]), UUID(after[1]))
    none_can_fit = statuses is not None and not statuses
    rows = (
        []
        if none_can_fit
        else executions_of_function(filters, after=position, limit=limit + 1, oldest_first=oldest_first)
    )
    if not rows and function_named(wanted.name) is None:
        raise not_found(f"Function not found: {function_arn(wanted.name)}")
    answer: dict[str, Any] = {"DurableExecutions": [_listed(row) for row in rows[:limit]]}
    if len(rows) > limit:
        last = rows[limit - 1]
        at = [last.created_at.isoformat(), str(last.id)]
        answer["NextMarker"] = make_marker("ListDurableExecutionsByFunction", listing, at)
    return json_response(answer)


@api_action("StopDurableExecution", scope="stop")
def execution_stop(call: Call, arn: str) -> HttpResponse:
    """End an execution. One that was stopped already stays as it is, and its time is told again."""
    summary = found(call, arn)
    error = json_object(call.body)
    try:
        executions.stop_execution(summary.id, actor=call.caller.actor, error=error or None)
    except ActionRefused as refused:
        now = execution_summary(summary.id)
        if now is None or now.status != STOPPED:
            raise invalid_parameter(str(refused)) from refused
    return json_response({"StopTimestamp": _closed_at(summary.id)})


@api_action("PauseDurableExecution", scope="stop")
def execution_pause(call: Call, arn: str) -> HttpResponse:
    """Let an execution do nothing until it is resumed."""
    fields = json_object(call.body)
    if fields.get("ExecutionTimeoutPaused", True) is not True:
        raise invalid_parameter("ExecutionTimeoutPaused must be true: a pause stops the execution timeout.")
    return _accepted(call, arn, fields, executions.pause_execution)


@api_action("ResumeDurableExecution", scope="stop")
def execution_resume(call: Call, arn: str) -> HttpResponse:
    """Let a paused execution go on."""
    return _accepted(call, arn, json_object(call.body), executions.resume_execution)


@api_action("DeleteDurableExecution", scope="stop")
def execution_delete(call: Call, arn: str) -> HttpResponse:
    """Delete an execution that has ended, with its history; its name is free again."""
    summary = found(call, arn)
    delete_execution(summary.id, actor=call.caller.actor)
    return json_response({"DeletionRequestTimestamp": timezone.now()}, 202)


def _accepted(call: Call, arn: str, fields: Mapping[str, Any], act: Callable[..., None]) -> HttpResponse:
    act(
        found(call, arn).id,
        actor=call.caller.actor,
        reason=text_field(fields, "Reason", longest=LONGEST_REASON) or "",
        client_token=text_field(fields, "ClientToken", longest=LONGEST_CLIENT_TOKEN),
    )
    return json_response({}, 202)


def _closed_at(execution_id: UUID) -> datetime:
    summary = execution_summary(execution_id)
    if summary is None or summary.closed_at is None:
        raise conflict("The execution was deleted meanwhile.")
    return summary.closed_at


def _listed(row: ListedExecution | ExecutionSummary) -> dict[str, Any]:
    listed = {
        "DurableExecutionArn": execution_arn(row.function, row.name, row.id),
        "DurableExecutionName": row.name,
        "FunctionArn": function_arn(row.function, LATEST),
        "Status": status_for_clients(row.status),
        "StartTimestamp": row.created_at,
    }
    return listed if row.closed_at is None else {**listed, "EndTimestamp": row.closed_at}


def _data(summary: ExecutionSummary) -> dict[str, Any]:
    data: dict[str, Any] = {"InputPayload": input_of(summary.id)}
    outcome = outcome_of(summary.id) if summary.is_closed else None
    if outcome is not None and outcome.result is not None:
        data["Result"] = outcome.result
    if outcome is not None and outcome.error is not None:
        data["Error"] = error_object(outcome.error)
    return data


def error_object(error: ErrorView) -> dict[str, Any]:
    """Return an error as the model's ErrorObject."""
    fields = {
        "ErrorType": error.type,
        "ErrorMessage": error.message,
        "ErrorData": error.data,
        "StackTrace": list(error.stack) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _timing(summary: ExecutionSummary) -> dict[str, Any]:
    timing: dict[str, Any] = {}
    if summary.expires_at is not None:
        seconds = (summary.expires_at - summary.created_at).total_seconds()
        timing["DurableConfig"] = {"ExecutionTimeout": max(1, round(seconds))}
        if not summary.is_closed:
            timing["ExpectedExecutionTimeoutTimestamp"] = summary.expires_at
    if summary.status == PAUSED:
        timing["PauseDetails"] = {
            "PauseRequestTimestamp": summary.paused_at,
            "Reason": summary.pause_reason[:1024],
            "ExecutionTimeoutPaused": True,
        }
    return timing


def _event_for_clients(event: dict[str, Any]) -> dict[str, Any]:
    """The model has whole seconds, and demands a timeout; 0 stands for none."""
    details = event[f"{event['EventType']}Details"]
    if event["EventType"] == "ExecutionStarted":
        details.setdefault("ExecutionTimeout", 0)
    for holder in (details, details.get("RetryDetails", {})):
        for name in SECONDS & holder.keys():
            holder[name] = math.ceil(holder[name])
    return event


def _name_filter(name: str | None) -> str | None:
    if name is not None and not NAME.fullmatch(name):
        raise invalid_parameter(f"DurableExecutionName: {name[:LONGEST_NAME]!r} is no name of an execution.")
    return name
