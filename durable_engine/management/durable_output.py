"""What `manage.py durable` prints: JSON objects for scripts, text for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

Described = dict[str, Any]


def to_json(value: object, *, indent: int | None = 2) -> str:
    """Return JSON text; times in ISO 8601, UTC. With `indent` None, on one line."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)


def execution_table(rows: Sequence[Described]) -> str:
    """A table of executions."""
    if not rows:
        return "No executions."
    head = ("ID", "FUNCTION", "NAME", "STATUS", "STARTED (UTC)", "ERROR")
    return table([head, *map(_cells, rows)])


def execution_change(row: Described) -> str:
    """One execution that has started or changed, on a line."""
    at = row["closed_at"] or row["created_at"]
    name = "" if row["name"] == str(row["id"]) else row["name"]
    told = (f"{at:%H:%M:%S}", f"{row['status']:<9}", str(row["id"]), f"{row['function']}:{row['version']}", name)
    return "  ".join(filter(None, (*told, _error_of(row))))


def _cells(row: Described) -> tuple[str, ...]:
    return (
        str(row["id"]),
        f"{row['function']}:{row['version']}",
        "-" if row["name"] == str(row["id"]) else row["name"],
        row["status"],
        f"{row['created_at']:%Y-%m-%d %H:%M:%S}",
        _error_of(row),
    )


def _error_of(row: Described) -> str:
    return _one_line(f"{row['error_type']}: {row['error_message']}") if row["error_type"] else ""


def version_table(versions: Sequence[Described]) -> str:
    """A table of versions of functions."""
    if not versions:
        return "No functions: no worker has been started yet."
    lines = [
        (
            f"{use['function']}:{use['version']}",
            str(use["live_executions"]),
            str(use["workers"]),
            "nobody serves it" if use["missing"] else "nothing runs on it any more" if use["over"] else "",
        )
        for use in versions
    ]
    return table([("FUNCTION", "LIVE", "WORKERS", ""), *lines])


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
    if shown["parent"]:
        lines.append(("parent", f"{shown['parent']['id']} (operation {shown['parent']['operation_id']})"))
    if shown["origin"]:
        lines.append(("came of", f"{shown['origin']['id']} ({shown['origin']['kind']})"))
    if shown["superseded_by"]:
        lines.append(("goes on as", str(shown["superseded_by"])))
    lines += [
        ("child", f"{child['id']} {child['function']}:{child['version']} {child['status']}")
        for child in shown["children"]
    ]
    for callback in shown["callbacks"]:
        label = callback["name"] or f"operation {callback['operation_id']}"
        shown_id = callback.get("callback_id", "")
        lines += [("callback", f"{label} (operation {callback['operation_id']})"), ("", shown_id)]
    return "\n".join(f"{label:<10} {text}" for label, text in lines if text)


def history_text(events: Sequence[Described]) -> str:
    """Events for people, one a line."""
    return table([("#", "TIME (UTC)", "EVENT", "OPERATION", "NAME", "DETAILS"), *map(_event_cells, events)])


def event_line(event: Described) -> str:
    """One event of an execution that is followed."""
    number, at, kind, *others = _event_cells(event)
    return "  ".join(filter(None, (f"{number:>4}", at, f"{kind:<19}", *others)))


def _event_cells(event: Described) -> tuple[str, ...]:
    return (
        str(event["EventId"]),
        f"{event['EventTimestamp']:%H:%M:%S.%f}"[:-3],
        event["EventType"],
        event.get("Id", ""),
        event.get("Name", ""),
        _one_line(_compact(event[f"{event['EventType']}Details"])),
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows with their columns below each other, the first row as the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    message = f"{type(value).__name__} can't be written as JSON"
    raise TypeError(message)
