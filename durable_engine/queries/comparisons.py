"""What comparing two executions needs: the last one that succeeded, and whether recorded results are the same."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import F
from django.db.models.functions import MD5

from durable_engine.models import Event, Execution, ExecutionStatus
from durable_engine.queries.executions import ExecutionSummary


def last_success_before(execution: ExecutionSummary) -> UUID | None:
    """Return the newest execution of the same function that succeeded and began before this one; None without one."""
    rows = Execution.objects.visible().filter(
        function=execution.function, status=ExecutionStatus.SUCCEEDED, created_at__lt=execution.created_at
    )
    return rows.order_by("-created_at", "-id").values_list("pk", flat=True).first()


def digests_of(execution_id: UUID, event_ids: Sequence[int]) -> dict[int, str]:
    """Return a text for the payload of each of these events that is the same when the payload is. In one query.

    The database makes them, so that payloads stay where they are.
    """
    rows = Event.objects.filter(execution_id=execution_id, event_id__in=event_ids, payload__isnull=False)
    return dict(rows.annotate(digest=MD5(F("payload"))).values_list("event_id", "digest"))
