"""The two statements that every change of a request consists of: its lock, and its writing.

Written by hand, because they are most of what an answer costs: the ORM takes longer to put them together than Postgres
to run them. Everything else about approvals goes through the ORM.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from approvals.models import ApprovalEvent, ApprovalRequest

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
)
SELECT count(*) FROM r
"""


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


def write_change(
    request: ApprovalRequest,
    *,
    seen_revision: int,
    columns: Mapping[str, Any],
    events: Sequence[ApprovalEvent],
    closes: bool,
) -> bool:
    """Write columns and events of a request whose revision is still the one that was seen; False when it is not.

    `closes`: nobody is asked any longer, in the same statement.
    """
    named = {"revision": request.revision, **columns}
    fields = {_BY_NAME[name]: value for name, value in named.items()}
    given: list[Any] = [field.get_db_prep_save(value, connection) for field, value in fields.items()]
    given += [request.pk, seen_revision]
    for event in events:
        given += (event.seq, event.at, event.kind, event.actor_kind, event.actor_id, event.actor_label)
        given += (event.on_behalf_of_label, event.channel, json.dumps(event.data))
    given.append(closes)
    statement = _WRITE.format(
        columns=", ".join(f"{field.column} = %s" for field in fields), events=", ".join([_EVENT] * len(events))
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        (written,) = cursor.fetchone()
    return bool(written)
