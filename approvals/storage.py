"""The statements that an answer consists of: the lock of its request, who is asked, and the writing.

Written by hand, because they are most of what it costs: the ORM takes longer to put them together than Postgres to run
them. Everything else about approvals goes through the ORM, but for one search along a line of executions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection

from approvals.models import ApprovalEvent, ApprovalRequest, Candidate, Vote

_FIELDS: Final = tuple(ApprovalRequest._meta.concrete_fields)
_NAMES: Final = tuple(field.attname for field in _FIELDS)
_BY_NAME: Final = {name: field for field in _FIELDS for name in (field.name, field.attname)}
# What the driver gives out as text: JSON.
_CONVERTED: Final = tuple((index, field) for index, field in enumerate(_FIELDS) if hasattr(field, "from_db_value"))

_COLUMNS: Final = ", ".join(str(field.column) for field in _FIELDS)
_LOCK: Final = f"SELECT {_COLUMNS}, clock_timestamp() FROM approval_request WHERE id = %s FOR UPDATE"
_EVENT: Final = "(%s::int, %s::timestamptz, %s::text, %s::text, %s::bigint, %s::text, %s::text, %s::text, %s::jsonb)"
_WRITE: Final = """
WITH r AS (
  UPDATE approval_request SET {columns} WHERE id = %s AND revision = %s RETURNING id
), e AS (
  INSERT INTO approval_event (request_id, seq, at, kind, actor_kind, actor_id, actor_label, on_behalf_of_label, channel,
                              data)
  SELECT r.id, v.* FROM r, (VALUES {events}) AS v
), c AS (
  UPDATE approval_candidate SET is_open = false FROM r WHERE request_id = r.id AND is_open AND %s
), d AS (
  DELETE FROM approval_draft USING r WHERE request_id = r.id AND user_id = %s
), v AS ({vote})
SELECT (SELECT id FROM v) FROM r
"""
_VOTE: Final = """
  INSERT INTO approval_vote (request_id, operation_id, voter_id, voter_label, on_behalf_of_id, on_behalf_of_label,
    seat_id, choice, outcome, groups, data, comment, channel, digest, separate_in, created_at)
  SELECT r.id, %s::text, %s::bigint, %s::text, %s::bigint, %s::text, %s::bigint, %s::text, %s::text, %s::text[],
    %s::jsonb, %s::text, %s::text, %s::text, %s::uuid, %s::timestamptz FROM r RETURNING id
"""
_NO_VOTE: Final = "SELECT NULL::bigint AS id"

_CANDIDATE_NAMES: Final = tuple(field.attname for field in Candidate._meta.concrete_fields)
_CANDIDATES: Final = f"""
SELECT {", ".join(f"c.{field.column}" for field in Candidate._meta.concrete_fields)},
  EXISTS (SELECT FROM {get_user_model().groups.through._meta.db_table} m
          WHERE m.user_id = %s AND m.group_id = c.group_id)
FROM approval_candidate c WHERE c.request_id = %s
"""

# A callback that was copied is as old as its execution: one statement wrote both. A younger one was begun there, and
# its own handler asks. The execution between two may have gone on before its people could be asked.
_UNASKED: Final = """
WITH RECURSIVE line AS (
  SELECT c.id AS callback_key, c.operation_id, x.origin_id
  FROM durable_callback c JOIN durable_execution x ON x.id = c.execution_id AND x.created_at = c.created_at
  WHERE c.status = 'STARTED' AND x.closed_at IS NULL AND x.origin_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM approval_request r WHERE r.callback_key = c.id)
  UNION ALL
  SELECT line.callback_key, line.operation_id, x.origin_id
  FROM line JOIN durable_execution x ON x.id = line.origin_id
  JOIN durable_callback c
    ON c.execution_id = x.id AND c.operation_id = line.operation_id AND c.created_at = x.created_at
  WHERE x.origin_id IS NOT NULL AND NOT EXISTS (SELECT FROM approval_request r WHERE r.callback_key = c.id)
)
SELECT line.callback_key, r.id
FROM line JOIN approval_request r ON r.execution_id = line.origin_id AND r.operation_id = line.operation_id LIMIT %s
"""


def unasked_copies(limit: int) -> list[tuple[UUID, UUID]]:
    """Return open callbacks that were copied and whose people nobody has asked, each with the request to ask again."""
    with connection.cursor() as cursor:
        cursor.execute(_UNASKED, [limit])
        return [(callback_key, request_id) for callback_key, request_id in cursor.fetchall()]


def lock_request(request_id: UUID, *, skip_locked: bool = False) -> tuple[ApprovalRequest, datetime] | None:
    """Lock a request until the end of the transaction; return it as it now stands, and the database's time.

    None when there is none, or with `skip_locked` when somebody holds it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK + (" SKIP LOCKED" if skip_locked else ""), [request_id])
        row = cursor.fetchone()
    if row is None:
        return None
    values = list(row)
    now: datetime = values.pop()
    for index, field in _CONVERTED:
        values[index] = field.from_db_value(values[index], None, connection)
    return ApprovalRequest.from_db(connection.alias, _NAMES, values), now


def candidates_of(request_id: UUID, *, reader: int) -> tuple[list[Candidate], set[int]]:
    """Return everybody who is or was asked, and the ids of those entries whose group has the user `reader`."""
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, [reader, request_id])
        rows = cursor.fetchall()
    entries = [Candidate.from_db(connection.alias, _CANDIDATE_NAMES, row[:-1]) for row in rows]
    return entries, {entry.pk for entry, row in zip(entries, rows, strict=True) if row[-1]}


def write_change(
    request: ApprovalRequest,
    *,
    seen_revision: int,
    columns: Mapping[str, Any],
    events: Sequence[ApprovalEvent],
    closes: bool,
    vote: Vote | None = None,
    draft_of: int | None = None,
) -> bool:
    """Write columns, events and an answer of a request whose revision is still the one seen; False when it is not.

    In the same statement, with `closes` nobody is asked any longer, and the draft of the user `draft_of` is deleted.
    The answer gets its id.
    """
    named = {"revision": request.revision, **columns}
    fields = {_BY_NAME[name]: value for name, value in named.items()}
    given: list[Any] = [field.get_db_prep_save(value, connection) for field, value in fields.items()]
    given += [request.pk, seen_revision]
    for event in events:
        given += (event.seq, event.at, event.kind, event.actor_kind, event.actor_id, event.actor_label)
        given += (event.on_behalf_of_label, event.channel, json.dumps(event.data))
    given += [closes, draft_of]
    if vote is not None:
        given += (vote.operation_id, vote.voter_id, vote.voter_label, vote.on_behalf_of_id, vote.on_behalf_of_label)
        given += (vote.seat_id, vote.choice, vote.outcome, vote.groups, json.dumps(vote.data), vote.comment)
        given += (vote.channel, vote.digest, vote.separate_in, vote.created_at)
    statement = _WRITE.format(
        columns=", ".join(f"{field.column} = %s" for field in fields),
        events=", ".join([_EVENT] * len(events)),
        vote=_NO_VOTE if vote is None else _VOTE,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        row = cursor.fetchone()
    if vote is not None and row is not None:
        (vote.pk,) = row
    return row is not None
