"""The inbox: what waits for a person, their groups, and others."""

import csv
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from approvals.queries.absences import absences_of
from approvals.queries.callbacks import CALLBACKS_SHOWN, FirstCallbacks, first_plain_callbacks
from approvals.queries.inbox import (
    Box,
    InboxFilters,
    Reader,
    first_waiting,
    functions_asking,
    inbox_counts,
    inbox_mark,
    reader_of,
)
from approvals.queries.inbox import inbox as inbox_page
from approvals.rendering import inbox_page as shown
from approvals.views.common import as_download, person_page, plain_cells, user_of
from durable_engine.queries.paging import MAX_LIMIT
from durable_engine.queries.saved_views import APPROVALS, views_for

LOOK_AGAIN_SECONDS = 30
MOST_EXPORTED = 5_000
EXPORTED = (
    *("closed_at", "state", "outcome", "title", "requester_label", "closed_by_label", "function", "execution_name"),
    *("name", "opened_at", "due_at", "id", "execution_id", "digest"),
)


@person_page
@require_safe
def inbox(request: HttpRequest, box: str = "") -> HttpResponse:
    """List the requests of one box, most urgent first; without a box, lead to the first in which something waits."""
    reader = None
    # Who answers plain callbacks finds them below the first list.
    if not box and not request.GET and not request.user.has_perm("durable_engine.decide_callback"):
        reader = reader_of(user_of(request))
        first = first_waiting(reader)
        if first is not Box.MINE:
            return redirect("approvals:inbox-box", first.value)
    asked = _Asked.of(request, box or Box.MINE, reader)
    # The mark before the rest: a change in between is shown again by the first poll instead of being missed.
    mark = _mark(asked.person, asked.box)
    return render(request, "approvals/inbox.html", _list(asked, mark) | _around(asked))


@person_page
@require_safe
def inbox_poll(request: HttpRequest, box: str = Box.MINE) -> HttpResponse:
    """Answer 204 after one read while nothing has happened to any request, else the rows if they have changed."""
    seen, _, seen_mark = request.GET.get("v", "").partition("-")
    mark = _mark(user_of(request), _box_or_404(box))
    if mark == seen_mark:
        return HttpResponse(status=204)
    context = _list(_Asked.of(request, box), mark)
    is_same = context["version"] == f"{seen}-{mark}"
    template = "approvals/inbox/_poll.html" if is_same else "approvals/inbox_poll.html"
    return render(request, template, context | {"oob": True})


@person_page
@require_safe
def done_export(request: HttpRequest) -> HttpResponse:
    """Give what is done, as it is filtered, as a table; the newest 5,000."""
    asked = _Asked.of(request, Box.DONE)
    response = as_download("", "text/csv; charset=utf-8", "approvals.csv")
    writer = csv.writer(response)
    writer.writerow(EXPORTED)
    cursor: str | None = None
    for _ in range(MOST_EXPORTED // MAX_LIMIT):
        page = inbox_page(asked.reader, Box.DONE, cursor, filters=asked.filters, limit=MAX_LIMIT)
        for row in page.items:
            writer.writerow(plain_cells(_exported(getattr(row, name)) for name in EXPORTED))
        cursor = page.next
        if cursor is None:
            break
    return response


def _exported(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose list is asked for, which one, and how it is narrowed."""

    person: User
    reader: Reader
    box: Box
    cursor: str | None
    filters: InboxFilters
    parts: dict[str, str]

    @classmethod
    def of(cls, request: HttpRequest, box: str, reader: Reader | None = None) -> "_Asked":
        chosen = _box_or_404(box)
        filters, due = shown.filters_from(request.GET)
        parts = shown.query_of(filters, due)
        person = user_of(request)
        return cls(person, reader or reader_of(person), chosen, request.GET.get("cursor"), filters, parts)


def _box_or_404(name: str) -> Box:
    try:
        return Box(name)
    except ValueError:
        raise Http404("There is no such list.") from None


def _mark(person: User, box: Box) -> str:
    """What changes when a request does, or a callback opens where they are shown; and now and then by itself.

    Time alone makes requests overdue and ends what people have taken; groups change and callbacks end without an event.
    """
    with_callbacks = box is Box.MINE and person.has_perm("durable_engine.decide_callback")
    return f"{inbox_mark(person, with_callbacks=with_callbacks)}.{int(time.time() // LOOK_AGAIN_SECONDS)}"


def _list(asked: _Asked, mark: str) -> dict[str, Any]:
    parts = asked.parts
    page = inbox_page(asked.reader, asked.box, asked.cursor, filters=asked.filters)
    rows = shown.rows_of(page.items)
    callbacks = _callbacks(asked)
    is_whole = not (parts or page.next or page.previous)
    tabs = shown.tabs(asked.box, inbox_counts(asked.reader, known={asked.box: len(rows)} if is_whole else None))
    tab = next(tab for tab in tabs if tab.is_chosen)
    seen = [f"{row.id}{row.version}" for row in rows] + [f"{each.id}" for each in callbacks.items]
    seen += [each.count for each in tabs]
    poll = reverse("approvals:inbox-poll", args=[asked.box.value])
    return {
        "tabs": tabs,
        "tab": tab,
        "elsewhere": None if rows or parts else shown.elsewhere(tab, tabs),
        "rows": rows,
        "can_choose": tab.may_choose and any(row.can_bulk for row in rows),
        "callbacks": callbacks.items,
        "has_more_callbacks": callbacks.has_more,
        "has_callbacks_unseen": callbacks.is_cut,
        "newer_url": shown.address("", parts | {"cursor": page.previous}) if page.previous else "",
        "older_url": shown.address("", parts | {"cursor": page.next}) if page.next else "",
        "is_filtered": bool(parts),
        "filters": asked.filters,
        "due": parts.get("due", ""),
        "export_url": shown.address(reverse("approvals:done-export"), parts),
        "poll_url": shown.address(poll, parts),
        "is_live": not asked.cursor,
        "version": f"{crc32('.'.join(seen).encode()):x}-{mark}",
        "server_now": timezone.now().isoformat(),
    }


def _around(asked: _Asked) -> dict[str, Any]:
    now = timezone.now()
    absences = [each for each in absences_of(asked.person.pk) if each.starts_at <= now]
    query = shown.kept_query(urlencode({"box": asked.box.value, **asked.parts}))
    views = shown.kept_views(views_for(asked.person.pk, APPROVALS), asked.person.pk, query)
    return {
        "section": "approvals",
        "views": views,
        "current_view": next((view for view in views if view.is_current), None),
        "query": query,
        "absence": absences[0] if absences else None,
        "functions": functions_asking(asked.reader),
        "due_choices": shown.due_choices(),
        "chips": shown.chips(asked.box, asked.parts),
        "may_supervise": asked.person.has_perm("approvals.supervise_approvalrequest"),
    }


def _callbacks(asked: _Asked) -> FirstCallbacks:
    """Plain callbacks, which ask nobody in particular, below the first page of what is asked of the person."""
    is_first = asked.box is Box.MINE and not asked.cursor and not asked.parts
    if not is_first or not asked.person.has_perm("durable_engine.decide_callback"):
        return FirstCallbacks(())
    return first_plain_callbacks(CALLBACKS_SHOWN)
