"""Callbacks whose handler asked nobody in particular: whoever has the right answers them with the generic form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from approvals.models import ApprovalRequest
from durable_engine.models import Callback, CallbackStatus
from durable_engine.queries.callbacks import CallbackView, pending_callbacks
from durable_engine.queries.paging import Page

CALLBACKS_SHOWN: Final = 20  # below the first page of the inbox
# So many open callbacks are looked through for those: no index knows which of them ask somebody.
MOST_SEARCHED: Final = 1_000


@dataclass(frozen=True, slots=True)
class FirstCallbacks:
    """The beginning of the list. `has_more` says that there may be more, `is_cut` that not all open ones were seen."""

    items: Sequence[CallbackView]
    has_more: bool = False
    is_cut: bool = False


def plain_callbacks(cursor: str | None = None, limit: int = 50) -> Page[CallbackView]:
    """Return a page of the open callbacks without an approval request, oldest first, in one query."""
    return pending_callbacks(cursor, limit, only=_asks_nobody())


def first_plain_callbacks(limit: int) -> FirstCallbacks:
    """Return the first of them among the 1,000 open callbacks that opened first, in two queries."""
    opened = _open().order_by("created_at", "id").values_list("created_at", flat=True)
    edge = next(iter(opened[MOST_SEARCHED : MOST_SEARCHED + 1]), None)
    # Looked up before, as a value: of a query inside Postgres would expect so much that it reads all of them.
    within = Q() if edge is None else Q(created_at__lt=edge)
    page = pending_callbacks(None, limit, only=_asks_nobody() & within)
    is_cut = page.next is None and edge is not None
    return FirstCallbacks(page.items, page.next is not None or is_cut, is_cut)


def newest_open() -> QuerySet[Callback, Any]:
    """Return when the open callback that opened last did; not yet asked for."""
    return _open().order_by("-created_at", "-id").values("created_at")[:1]


def _open() -> QuerySet[Callback]:
    return Callback.objects.filter(status=CallbackStatus.STARTED)


def _asks_nobody() -> Q:
    return ~Q(Exists(ApprovalRequest.objects.filter(callback_key=OuterRef("pk"))))
