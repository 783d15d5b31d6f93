"""What pages outside of the approvals show of them, without importing them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import template
from django.utils import timezone

from approvals.queries.callbacks import first_plain_callbacks
from approvals.queries.inbox import Reader, pending_count
from approvals.queries.team import figures, stuck_count
from approvals.rendering.panels import gates_of, waiting_for_reader

register = template.Library()

SHOWN = 5
WEEK = timedelta(days=7)


@register.inclusion_tag("approvals/panels/waiting.html", takes_context=True)
def approvals_waiting(context: dict[str, Any]) -> dict[str, Any]:
    """A panel with what waits for the reader: requests first, then callbacks that anybody with the right may answer."""
    user = context["user"]
    reader = Reader.of(user)
    rows = waiting_for_reader(reader)
    room = SHOWN - len(rows)
    may_answer = user.has_perm("durable_engine.decide_callback") and room > 0
    callbacks = first_plain_callbacks(room).items if may_answer else []
    count = pending_count(reader) if len(rows) == SHOWN else len(rows)
    stuck = stuck_count() if user.has_perm("approvals.supervise_approvalrequest") else 0
    return {"rows": rows, "callbacks": callbacks, "more": count - len(rows), "stuck": stuck}


@register.inclusion_tag("approvals/panels/execution.html", takes_context=True)
def approvals_of_execution(context: dict[str, Any], execution_id: UUID, *, oob: bool = False) -> dict[str, Any]:
    """Who is awaited for an execution and since when, and who decided; nothing when it asks nobody."""
    gates, more = gates_of(execution_id, context["user"])
    return {"gates": gates, "more": more, "oob": oob}


@register.inclusion_tag("approvals/panels/figures.html", takes_context=True)
def approvals_figures(context: dict[str, Any], since: datetime | None = None, function: str = "") -> dict[str, Any]:
    """How many approvals are open and late, how long decisions take, and how often they are escalated.

    Of one function or all; what was closed counts from `since`, seven days ago by default. For people who may see
    every request.
    """
    if not context["user"].has_perm("approvals.view_approvalrequest"):
        return {"figures": None}
    length = WEEK if since is None else max(timezone.now() - since, timedelta())
    return {"figures": figures(length, function=function), "since": since}
