"""What belongs to executions, narrowed with them."""

from __future__ import annotations

from django.db.models import Q

from durable_engine.models import Execution
from durable_engine.models.visible import visible_condition


def of_visible(field: str) -> Q:
    """Return the condition that the execution under this foreign key, or this id of one, may be seen."""
    if visible_condition() is None:
        return Q()
    return Q(**{f"{field}__in": Execution.objects.visible().order_by().values("pk")})
