"""One action on many executions: what was asked for, by whom, and how far it is."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class BulkStatus(models.TextChoices):
    """Where a bulk action stands; the last two are final."""

    DRAFT = "DRAFT", "Not started"  # its executions are chosen; a person looks at what it would do
    RUNNING = "RUNNING", "Running"
    HELD = "HELD", "Waiting for a decision"  # the first few are done; a person decides whether it goes on
    DONE = "DONE", "Done"
    CANCELLED = "CANCELLED", "Cancelled"


class BulkAction(models.Model):
    """An action and the frozen set of executions it is for, which are rows of `BulkItem`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    action = models.CharField(max_length=16)  # one of `services.bulk.PERMISSIONS`
    options = models.JSONField(default=dict)  # of the action: `queries.bulk_options.BulkOptions`
    selection = models.JSONField(default=dict)  # for people: the filter that chose, or nothing for a list of ids
    reason = models.TextField(blank=True, default="")
    status = models.CharField(max_length=10, choices=BulkStatus.choices, default=BulkStatus.DRAFT)
    total = models.PositiveIntegerField(default=0)
    stop_after = models.PositiveIntegerField(null=True)  # position of the last one before it is held
    # Each execution's audit entry is theirs.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=256)
    channel = models.CharField(max_length=32)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "durable_bulk_action"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="durable_bulk_newest"),
            # The sweep that carries them out.
            models.Index(fields=["created_at"], name="durable_bulk_running", condition=Q(status="RUNNING")),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.total} executions {self.status}"
