"""The statements of bulk actions: freeze the set, take the next one, end what is through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection as django_connection
from django.db.models import QuerySet

from durable_engine.models import BulkAction, BulkItem, Execution
from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.visible import visible_sql


class NextItem(NamedTuple):
    """An item whose turn it is."""

    bulk_action_id: UUID
    position: int


_FREEZE = """
INSERT INTO durable_bulk_item (bulk_action_id, position, execution_id, function, name, status, message)
SELECT %s, row_number() OVER (), chosen.id, chosen.function, chosen.name, 'PENDING', ''
FROM ({chosen}) AS chosen(id, function, name)
"""
_LISTED = """
SELECT e.id, e.function, e.name FROM unnest(%s::uuid[]) WITH ORDINALITY AS u(id, place)
JOIN durable_execution e ON e.id = u.id ORDER BY u.place
"""


def freeze_listed(bulk_action: BulkAction, execution_ids: Sequence[UUID]) -> int:
    """Make the executions, in this order, the items of a bulk action; return how many of them exist."""
    return _freeze(bulk_action, visible_sql(_LISTED), [list(execution_ids)])


def freeze_matching(bulk_action: BulkAction, executions: QuerySet[Execution], limit: int) -> int:
    """Make the first `limit` executions of a query the items of a bulk action; return how many there are."""
    sql, params = executions.values_list("pk", "function", "name")[:limit].query.sql_with_params()
    return _freeze(bulk_action, sql, list(params))


def _freeze(bulk_action: BulkAction, chosen: str, params: list[Any]) -> int:
    with django_connection.cursor() as cursor:
        cursor.execute(_FREEZE.format(chosen=chosen), [bulk_action.pk, *params])
        return int(cursor.rowcount)


def next_items(connection: EngineConnection, limit: int) -> list[NextItem]:
    """Return items whose turn it is, of all bulk actions that run, a share of each. Unlocked: look again."""
    rows = connection.execute(
        "SELECT b.id, i.position FROM durable_bulk_action b, LATERAL ("
        "   SELECT position FROM durable_bulk_item"
        "   WHERE bulk_action_id = b.id AND status = 'PENDING' AND position <= coalesce(b.stop_after, b.total)"
        "   ORDER BY position LIMIT %(limit)s) i"
        " WHERE b.status = 'RUNNING' ORDER BY i.position LIMIT %(limit)s",
        {"limit": limit},
    )
    return [NextItem._make(row) for row in rows]


def lock_item(bulk_action_id: UUID, position: int) -> BulkItem | None:
    """Lock an item that still waits for its turn; None when somebody else is at it, has done it, or cancelled it."""
    items = BulkItem.objects.select_for_update(skip_locked=True, of=("self",))
    return items.filter(bulk_action_id=bulk_action_id, position=position, status="PENDING").first()


def settle(connection: EngineConnection) -> None:
    """End the bulk actions that are through, and hold those that have done their first few."""
    connection.execute(
        "UPDATE durable_bulk_action b SET"
        "   status = CASE WHEN EXISTS (SELECT FROM durable_bulk_item i"
        "     WHERE i.bulk_action_id = b.id AND i.status = 'PENDING') THEN 'HELD' ELSE 'DONE' END,"
        "   finished_at = CASE WHEN EXISTS (SELECT FROM durable_bulk_item i"
        "     WHERE i.bulk_action_id = b.id AND i.status = 'PENDING') THEN NULL ELSE clock_timestamp() END"
        " WHERE b.status = 'RUNNING' AND NOT EXISTS (SELECT FROM durable_bulk_item i"
        "   WHERE i.bulk_action_id = b.id AND i.status = 'PENDING' AND i.position <= coalesce(b.stop_after, b.total))"
    )


def cancel_items(bulk_action_id: UUID) -> int:
    """Cancel what waits for its turn; return how many. An item under way is waited for, and is done."""
    with django_connection.cursor() as cursor:
        cursor.execute(
            "UPDATE durable_bulk_item SET status = 'CANCELLED', done_at = clock_timestamp()"
            " WHERE bulk_action_id = %s AND status = 'PENDING'",
            [bulk_action_id],
        )
        return int(cursor.rowcount)


def delete_old_drafts(connection: EngineConnection, older_than_seconds: float) -> None:
    """Delete bulk actions that nobody started."""
    connection.execute(
        "WITH old AS MATERIALIZED (SELECT id FROM durable_bulk_action WHERE status = 'DRAFT'"
        "   AND created_at < statement_timestamp() - %s * interval '1 second' LIMIT 10 FOR UPDATE SKIP LOCKED),"
        " items AS (DELETE FROM durable_bulk_item i USING old WHERE i.bulk_action_id = old.id)"
        " DELETE FROM durable_bulk_action b USING old WHERE b.id = old.id",
        (older_than_seconds,),
    )
