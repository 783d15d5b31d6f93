"""Keyset paging over (time, id), both ways, at the same cost at any depth."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

ModelT = TypeVar("ModelT", bound=Model)
ItemT = TypeVar("ItemT")

MAX_CURSOR_LENGTH = 200
MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[ItemT]):
    """Some items of a list, and the cursors of the pages around it; None where there is none."""

    items: Sequence[ItemT]
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: just after (or before) the row with this time and id."""

    at: datetime
    id: UUID
    backwards: bool

    def encode(self) -> str:
        parts = [self.at.isoformat(), str(self.id), int(self.backwards)]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def page_of(
    rows: QuerySet[ModelT, Any],
    cursor: str | None,
    limit: int,
    *,
    field: str,
    descending: bool,
    make: Callable[[Any], ItemT],
) -> Page[ItemT]:
    """Return one page of `rows`, ordered by the NOT NULL time column `field`, then id.

    `rows` yields objects or named tuples with `id` and `field`; `make` turns each into an item. A cursor that can't be
    read gives the first page, and so does one beyond which nothing is left: it comes from a URL that people edit,
    shorten and keep for years.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    start = _decode(cursor)
    backwards = start is not None and start.backwards
    is_falling = descending != backwards
    wanted = rows if start is None else rows.filter(_beyond(field, start, is_falling))
    sign = "-" if is_falling else ""
    found = list(wanted.order_by(f"{sign}{field}", f"{sign}id")[: limit + 1])
    if not found and start is not None:
        return page_of(rows, None, limit, field=field, descending=descending, make=make)
    has_more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    has_next, has_previous = (True, has_more) if backwards else (has_more, start is not None)
    return Page(
        items=[make(row) for row in found],
        next=_cursor_at(found[-1], field, backwards=False) if has_next else None,
        previous=_cursor_at(found[0], field, backwards=True) if has_previous else None,
    )


def _beyond(field: str, start: _Cursor, is_falling: bool) -> Q:
    # The first condition is implied by the second and looks redundant; without it Postgres scans the index from its
    # beginning instead of going to the place.
    side = "lt" if is_falling else "gt"
    return Q(**{f"{field}__{side}e": start.at}) & (
        Q(**{f"{field}__{side}": start.at}) | Q(**{field: start.at, f"id__{side}": start.id})
    )


def _cursor_at(row: Any, field: str, *, backwards: bool) -> str:
    return _Cursor(getattr(row, field), row.id, backwards).encode()


def _decode(cursor: str | None) -> _Cursor | None:
    if not cursor or len(cursor) > MAX_CURSOR_LENGTH:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        at, row_id, backwards = json.loads(raw)
        start = _Cursor(datetime.fromisoformat(at), UUID(row_id), bool(backwards))
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError):
        return None
    # A time without its zone can't be compared.
    return None if start.at.tzinfo is None else start
