"""What the handler logged and printed, one page at a time."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from dashboard.durations import offset
from dashboard.log_params import LEVELS, LogParams
from dashboard.payloads import indented
from dashboard.seen import Seen
from durable_engine.models import LogRecord
from durable_engine.queries.log_records import last_position, log_records
from durable_engine.queries.masking import masked, masked_keys_of

RECORDS_A_PAGE = 200
TONES = {"ERROR": "failed", "CRITICAL": "failed", "WARNING": "timed-out"}


@dataclass(frozen=True, slots=True)
class LogRow:
    """One record. `extra` are its extra fields as indented JSON, without the traceback and where it was printed to."""

    position: int
    at: datetime
    offset: str
    stream: str
    level: str
    tone: str
    message: str
    operation_id: str
    name: str
    attempt: int | None
    extra: str
    exception: str


@dataclass(frozen=True, slots=True)
class LevelChoice:
    """One of the filters by level."""

    label: str
    url: str
    is_chosen: bool


def logs_tab(seen: Seen) -> dict[str, Any]:
    """A page of records, for people who may see payloads: a log line may carry any of them."""
    params = LogParams.of_request(seen.request.GET)
    most = settings.DURABLE_LOG_RECORDS
    context: dict[str, Any] = {"params": params, "most_records": most, "is_allowed": seen.may("view_payload")}
    if not context["is_allowed"]:
        return context
    # One more than is shown tells whether there is another page.
    found = log_records(
        seen.execution.id,
        after=params.after,
        limit=RECORDS_A_PAGE + 1,
        reverse=bool(params.order),
        levels=params.levels,
        operation_id=params.op,
    )
    keys = masked_keys_of(seen.execution.function, seen.execution.version)
    rows = [_row(record, seen.execution.created_at, keys) for record in found[:RECORDS_A_PAGE]]
    return context | {
        "records": rows,
        "is_full": bool(rows) and last_position(seen.execution.id) >= most,
        "levels": _levels(params),
        "order_url": params.query(order="" if params.order else "newest", after=0),
        "all_url": params.query(level="", op="", after=0),
        "newer_url": params.query(after=0) if params.after else "",
        "older_url": params.query(after=rows[-1].position) if len(found) > RECORDS_A_PAGE else "",
        "newer_label": "To the beginning" if not params.order else "To the newest",
        "older_label": "Earlier records" if params.order else "Later records",
    }


def _row(record: LogRecord, started_at: datetime, keys: Collection[str]) -> LogRow:
    hidden = frozenset(keys)
    extra = json.loads(masked(record.fields, hidden)) if record.fields else {}
    exception, stream = str(extra.pop("exception", "")), str(extra.pop("stream", ""))
    return LogRow(
        position=record.position,
        at=record.at,
        # A worker's clock may be behind that of the database.
        offset=offset(max((record.at - started_at).total_seconds(), 0.0)),
        stream=stream,
        level=record.level,
        tone=TONES.get(record.level, "pending"),
        message=masked(record.message, hidden),
        operation_id=record.operation_id or "",
        name=record.operation_name or "",
        attempt=record.attempt,
        extra=indented(json.dumps(extra, ensure_ascii=False)) if extra else "",
        exception=masked(exception, hidden),
    )


def _levels(params: LogParams) -> list[LevelChoice]:
    choices = [LevelChoice("All", params.query(level="", after=0), not params.level)]
    return choices + [
        LevelChoice(label, params.query(level=key, after=0), key == params.level) for key, (label, _) in LEVELS.items()
    ]
