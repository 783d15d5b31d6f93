"""What every tab of the execution page is made from."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from durable_engine.queries.executions import ExecutionSummary


@dataclass(frozen=True, slots=True)
class Seen:
    """The request and the execution as it was read for it."""

    request: HttpRequest
    execution: ExecutionSummary

    def may(self, permission: str) -> bool:
        """Whether the person has a right of the engine, by its code name."""
        return bool(self.request.user.has_perm(f"durable_engine.{permission}"))

    def url(self, name: str) -> str:
        """The address of a page of this execution, by the name that follows `execution-`."""
        return reverse(f"dashboard:execution-{name}", args=[self.execution.id])

    @property
    def until(self) -> datetime:
        """When the execution ended, now for a live one; never before it began."""
        return max(self.execution.closed_at or timezone.now(), self.execution.created_at)
