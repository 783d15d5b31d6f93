"""What `manage.py durable` prints: JSON objects for scripts, text for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from durable_engine.queries.callbacks import open_callbacks_of
from durable_engine.queries.executions import ExecutionRow, ExecutionSummary, input_of, outcome_of
from durable_engine.queries.waiting import waiting_for
from durable_engine.services.callback_ids import callback_id_for

Described = dict[str, Any]


def to_json(value: object) -> str:
    """Return JSON text; times in ISO 8601, UTC."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def execution_line(row: ExecutionRow) -> Described:
    """One execution of a list, as a JSON object."""
    return {
        "id": row.id,
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


def execution_object(execution: ExecutionSummary) -> Described:
    """One execution with its payloads and open callbacks, as a JSON object."""
    outcome = outcome_of(execution.id)
    error = None if outcome is None or outcome.error is None else asdict(outcome.error)
    return {
        "id": execution.id,
        "name": execution.name,
        "function": execution.function,
        "version": execution.version,
        "status": execution.status,
        "status_text": execution.status_text,
        "waiting_for": waiting_for(execution),
        "tags": dict(execution.tags),
        "created_at": execution.created_at,
        "closed_at": execution.closed_at,
        "input": _value(input_of(execution.id)),
        "result": None if outcome is None else _value(outcome.result),
        "error": error,
        "pause_kind": execution.pause_kind,
        "pause_reason": execution.pause_reason,
        "callbacks": [
            {
                "callback_id": callback_id_for(execution.id, callback.operation_id),
                "operation_id": callback.operation_id,
                "name": callback.name,
                "created_at": callback.created_at,
                "deadline": callback.deadline,
                "heartbeat_deadline": callback.heartbeat_deadline,
            }
            for callback in open_callbacks_of(execution.id)
        ],
    }


def execution_table(rows: Sequence[ExecutionRow]) -> str:
    """A table of executions."""
    if not rows:
        return "No executions."
    head = ("ID", "FUNCTION", "NAME", "STATUS", "STARTED (UTC)", "ERROR")
    lines = [
        (
            str(row.id),
            f"{row.function}:{row.version}",
            "-" if row.name == str(row.id) else row.name,
            row.status,
            f"{row.created_at:%Y-%m-%d %H:%M:%S}",
            _one_line(f"{row.error_type}: {row.error_message}") if row.error_type else "",
        )
        for row in rows
    ]
    return _table([head, *lines])


def execution_text(shown: Described) -> str:
    """One execution (of `execution_object`) for people."""
    lines = [
        ("execution", str(shown["id"])),
        ("name", shown["name"]),
        ("function", f"{shown['function']}:{shown['version']}"),
        ("status", shown["status"]),
        ("", shown["status_text"]),
        ("", shown["waiting_for"]),
        ("started", f"{shown['created_at']:%Y-%m-%d %H:%M:%S} UTC"),
        ("ended", f"{shown['closed_at']:%Y-%m-%d %H:%M:%S} UTC" if shown["closed_at"] else ""),
        ("tags", ", ".join(f"{key}={value}" for key, value in shown["tags"].items())),
        ("paused", shown["pause_reason"] or shown["pause_kind"]),
        ("input", _compact(shown["input"])),
        ("result", _compact(shown["result"]) if shown["status"] == "SUCCEEDED" else ""),
    ]
    if shown["error"]:
        lines.append(("error", f"{shown['error']['type']}: {shown['error']['message']}"))
        lines += [("", line.rstrip()) for line in shown["error"]["stack"]]
    for callback in shown["callbacks"]:
        label = callback["name"] or f"operation {callback['operation_id']}"
        lines += [("callback", f"{label} (operation {callback['operation_id']})"), ("", callback["callback_id"])]
    return "\n".join(f"{label:<10} {text}" for label, text in lines if text)


def history_text(events: Sequence[Described]) -> str:
    """Events for people, one a line."""
    lines = [
        (
            str(event["EventId"]),
            f"{event['EventTimestamp']:%H:%M:%S.%f}"[:-3],
            event["EventType"],
            event.get("Id", ""),
            event.get("Name", ""),
            _one_line(_compact(event[f"{event['EventType']}Details"])),
        )
        for event in events
    ]
    return _table([("#", "TIME (UTC)", "EVENT", "OPERATION", "NAME", "DETAILS"), *lines])


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    message = f"{type(value).__name__} can't be written as JSON"
    raise TypeError(message)
