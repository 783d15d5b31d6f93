"""Keyset paging over (time, id), both ways, at the same cost at any depth."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
    """Some items of a list, and the cursors of the pages around it; None where there is none.

    `searched_to`: so far the list was looked through without filling the page, and the cursor leads on from there.
    """

    items: Sequence[ItemT]
    next: str | None
    previous: str | None
    searched_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: just after (or before) the row with this time and id."""

    at: datetime
    id: UUID
    backwards: bool

    def encode(self) -> str:
        parts = [self.at.isoformat(), str(self.id), int(self.backwards)]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Walk:
    """A list that an index serves, and how many of its rows may be looked through for a page."""

    rows: QuerySet[Any, Any]
    most: int

    def last(self, beyond: Q, field: str, order: Sequence[str]) -> tuple[datetime, UUID] | None:
        """Return time and id of the last row that may be looked at; None when there are no more than those."""
        reached = self.rows.filter(beyond).order_by(*order).values_list(field, "id")
        found = list(reached[self.most - 1 : self.most + 1])
        return found[0] if len(found) > 1 else None


def page_of(
    rows: QuerySet[ModelT, Any],
    cursor: str | None,
    limit: int,
    *,
    field: str,
    descending: bool,
    make: Callable[[Any], ItemT],
    walk: Walk | None = None,
) -> Page[ItemT]:
    """Return one page of `rows`, ordered by the NOT NULL time column `field`, then id.

    `walk` is for conditions that no index helps: `rows` are then looked for in a stretch of a list that one does help.

    `rows` yields objects or named tuples with `id` and `field`; `make` turns each into an item. A cursor that can't be
    read gives the first page, and so does one beyond which nothing is left: it comes from a URL that people edit,
    shorten and keep for years.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    start = _decode(cursor)
    backwards = start is not None and start.backwards
    is_falling = descending != backwards
    sign = "-" if is_falling else ""
    order = (f"{sign}{field}", f"{sign}id")
    beyond = Q() if start is None else _beyond(field, start, is_falling)
    last = None if walk is None else walk.last(beyond, field, order)
    within = Q() if last is None else _as_far_as(field, last, is_falling)
    found = list(rows.filter(beyond, within).order_by(*order)[: limit + 1])
    if not found and start is not None and last is None:
        return page_of(rows, None, limit, field=field, descending=descending, make=make, walk=walk)
    has_more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    has_next, has_previous = (True, has_more) if backwards else (has_more, start is not None)
    page = Page(
        items=[make(row) for row in found],
        next=_cursor_at(found[-1], field, backwards=False) if has_next and found else None,
        previous=_cursor_at(found[0], field, backwards=True) if has_previous and found else None,
    )
    if last is None or has_more:
        return page
    onward = _Cursor(*last, backwards).encode()
    if backwards:
        return replace(page, searched_to=last[0], previous=onward)
    return replace(page, searched_to=last[0], next=onward)


def _beyond(field: str, start: _Cursor, is_falling: bool) -> Q:
    # The first condition is implied by the second and looks redundant; without it Postgres scans the index from its
    # beginning instead of going to the place.
    side = "lt" if is_falling else "gt"
    return Q(**{f"{field}__{side}e": start.at}) & (
        Q(**{f"{field}__{side}": start.at}) | Q(**{field: start.at, f"id__{side}": start.id})
    )


def _as_far_as(field: str, last: tuple[datetime, UUID], is_falling: bool) -> Q:
    at, row_id = last
    side = "gt" if is_falling else "lt"
    return Q(**{f"{field}__{side}e": at}) & (Q(**{f"{field}__{side}": at}) | Q(**{field: at, f"id__{side}e": row_id}))


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
