"""The end of a child execution becomes the outcome of the invoke that started it.

In a transaction of its own, after the child's close: a close never waits for another execution's row. Whoever closed
the child does it at once; the scheduler's sweep does it for who died in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection as django_connection

from durable_engine.models import Execution
from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.failpoints import hit
from durable_engine.storage.outside import WAKE


class Told(NamedTuple):
    """The parent that was told, and whether it became ready by it and wants a hint."""

    execution_id: UUID
    queue: str
    wants_hint: bool


# The parent is locked before the child: the order everywhere. `parent` and `child` are joined, so its row is locked
# before the update of the child gets its first row; `child` then decides who tells, by looking at the flag again.
# A parent that ended first, or is gone, is not told; the flag still goes up, because there is nothing left to tell.
_TELL = f"""
WITH parent AS MATERIALIZED (
  SELECT p.id, p.closed_at IS NULL AS is_live FROM durable_execution p
  WHERE p.id = (SELECT parent_execution_id FROM durable_execution WHERE id = %(id)s) FOR UPDATE
), child AS (
  UPDATE durable_execution x SET parent_notified = true
  FROM (VALUES (1)) AS one(n) LEFT JOIN parent ON true
  WHERE x.id = %(id)s AND x.closed_at IS NOT NULL AND NOT x.parent_notified
    -- A redrive may have given the child to another parent while we waited for this one.
    AND (parent.id IS NULL OR x.parent_execution_id = parent.id)
  RETURNING x.id, x.status, x.last_event_id, x.parent_operation_id, parent.id AS parent_id, parent.is_live
), outcome AS (
  SELECT child.parent_id, child.parent_operation_id AS operation_id, first.details -> 'invoke' AS invoke,
         last.payload, last.error,
         CASE child.status WHEN 'SUCCEEDED' THEN 'ChainedInvokeSucceeded' WHEN 'FAILED' THEN 'ChainedInvokeFailed'
              WHEN 'TIMED_OUT' THEN 'ChainedInvokeTimedOut' ELSE 'ChainedInvokeStopped' END AS event_type
  FROM child
  JOIN durable_event first ON first.execution_id = child.id AND first.event_id = 1
  JOIN durable_event last ON last.execution_id = child.id AND last.event_id = child.last_event_id
  WHERE child.is_live
), e AS (
  UPDATE durable_execution SET last_event_id = last_event_id + 1,
    last_event_at = greatest(last_event_at, clock_timestamp()), {WAKE}
  FROM outcome WHERE durable_execution.id = outcome.parent_id
  RETURNING durable_execution.id, last_event_id, last_event_at, status, queue
), ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, parent_id, subtype, name, payload, error,
                             event_at)
  SELECT e.id, e.last_event_id, o.event_type, o.operation_id, o.invoke ->> 'parent_id', 'ChainedInvoke',
         o.invoke ->> 'name', o.payload, o.error, e.last_event_at
  FROM e, outcome o
)
SELECT id, queue, status = 'PENDING' FROM e
"""

_UNTOLD = """
SELECT id FROM durable_execution
WHERE parent_execution_id IS NOT NULL AND NOT parent_notified AND closed_at IS NOT NULL ORDER BY closed_at LIMIT %s
"""


def tell_parent(connection: EngineConnection, child_id: UUID) -> Told | None:
    """Give the parent of an ended execution its outcome, once. None: there was nobody to tell, or nothing left to.

    Safe to call at any time, by anybody, repeatedly, of any execution.
    """
    hit("parent.before")
    row = connection.execute(_TELL, {"id": child_id}).fetchone()
    hit("parent.committed")
    return None if row is None else Told._make(row)


def tell_parent_from_outside(child_id: UUID) -> Told | None:
    """As `tell_parent`, on Django's connection and in the caller's transaction, if there is one."""
    with django_connection.cursor() as cursor:
        cursor.execute(_TELL, {"id": child_id})
        row: Any = cursor.fetchone()
    return None if row is None else Told._make(row)


def lock_children(parent_id: UUID, operation_ids: Sequence[str]) -> set[str]:
    """Lock the children of these invokes of a locked execution; return the invokes that have one."""
    theirs = Execution.objects.filter(parent_execution_id=parent_id, parent_operation_id__in=operation_ids)
    locked: dict[UUID, str | None] = {}
    # One that went on as another execution while we waited for it is nobody's child any more, and only a later
    # statement sees the one that is.
    while theirs.count() > len(locked):
        rows = theirs.select_for_update(of=("self",)).order_by("pk")
        locked = dict(rows.values_list("pk", "parent_operation_id"))
    return set(filter(None, locked.values()))


def move_children(source_id: UUID, successor_id: UUID, operation_ids: Sequence[str]) -> list[UUID]:
    """Let an execution that goes on as another one hear there of what it invoked; return what has ended meanwhile.

    In the caller's transaction, which has locked the source and the children. An end that came too late for the source
    is told again.
    """
    if not operation_ids:
        return []
    moved = Execution.objects.filter(parent_execution_id=source_id, parent_operation_id__in=operation_ids)
    ended = list(moved.filter(closed_at__isnull=False).values_list("pk", flat=True))
    moved.update(parent_execution_id=successor_id, parent_notified=False)
    return ended


def untold(connection: EngineConnection, limit: int) -> list[UUID]:
    """Executions that ended and whose parent does not know it yet. Unlocked: telling looks again."""
    return [child_id for (child_id,) in connection.execute(_UNTOLD, (limit,))]


def disown(parent: Execution, operation_id: str) -> None:
    """Let a locked parent not be told how the child of this invoke ends: it has its outcome from somebody else."""
    lock_children(parent.pk, [operation_id])
    children = Execution.objects.filter(parent_execution_id=parent.pk, parent_operation_id=operation_id)
    children.update(parent_notified=True)
