"""Executions and functions as JSON objects, the same for the API and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from durable_engine.queries.arns import execution_arn
from durable_engine.queries.callbacks import open_callbacks_of
from durable_engine.queries.executions import ExecutionRow, ExecutionSummary, input_of, outcome_of
from durable_engine.queries.relations import children_of
from durable_engine.queries.versions import VersionUse
from durable_engine.queries.waiting import waiting_for

Described = dict[str, Any]

MOST_CHILDREN: Final = 100


def execution_line(row: ExecutionRow) -> Described:
    """One execution of a list."""
    return {
        "id": row.id,
        "arn": execution_arn(row.function, row.name, row.id),
        "name": row.name,
        "function": row.function,
        "version": row.version,
        "status": row.status,
        "tags": dict(row.tags),
        "created_at": row.created_at,
        "closed_at": row.closed_at,
        "error_type": row.error_type,
        "error_message": row.error_message,
    }


def execution_object(
    execution: ExecutionSummary, callback_id_for: Callable[[UUID, str], str] | None = None
) -> Described:
    """One execution with its payloads and open callbacks; their ids only with `callback_id_for`."""
    outcome = outcome_of(execution.id)
    error = None if outcome is None or outcome.error is None else asdict(outcome.error)
    return {
        **execution_line(execution),
        "revision": execution.revision,
        "status_text": execution.status_text,
        "waiting_for": waiting_for(execution),
        "input": _value(input_of(execution.id)),
        "result": None if outcome is None else _value(outcome.result),
        "error": error,
        "pause_kind": execution.pause_kind,
        "pause_reason": execution.pause_reason,
        "parent": None
        if execution.parent_execution_id is None
        else {"id": execution.parent_execution_id, "operation_id": execution.parent_operation_id},
        "origin": None if execution.origin_id is None else {"id": execution.origin_id, "kind": execution.origin_kind},
        "superseded_by": execution.superseded_by,
        "continued_as": None if outcome is None else outcome.continued_as,
        "children": _children(execution.id),
        "callbacks": _callbacks(execution.id, callback_id_for),
    }


def version_line(use: VersionUse) -> Described:
    """One version of a function."""
    return {
        "function": use.function,
        "version": use.version,
        "newest": use.is_newest,
        "live_executions": use.live,
        "workers": use.workers,
        "missing": use.is_missing,
        "over": use.is_over,
    }


def _children(execution_id: UUID) -> list[Described]:
    return [
        {
            "id": child.id,
            "function": child.function,
            "version": child.version,
            "status": child.status,
            "operation_id": child.parent_operation_id,
        }
        for child in children_of(execution_id, limit=MOST_CHILDREN).items
    ]


def _callbacks(execution_id: UUID, callback_id_for: Callable[[UUID, str], str] | None) -> list[Described]:
    return [
        {
            **(
                {} if callback_id_for is None else {"callback_id": callback_id_for(execution_id, callback.operation_id)}
            ),
            "operation_id": callback.operation_id,
            "name": callback.name,
            "created_at": callback.created_at,
            "deadline": callback.deadline,
            "heartbeat_deadline": callback.heartbeat_deadline,
        }
        for callback in open_callbacks_of(execution_id)
    ]


def _value(text: str | None) -> Any:
    """The JSON value of a text; one that isn't JSON stays a text."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
