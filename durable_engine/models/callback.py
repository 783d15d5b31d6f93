"""Callbacks: what somebody outside has to answer."""

from __future__ import annotations

from uuid import UUID, uuid5

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Names the ids of callbacks; changing it would orphan every open callback.
CALLBACK_NAMESPACE = UUID("6f9b0c1e-5d0b-5b52-9a52-0c6d7b1f4e8a")


def callback_uuid(execution_id: UUID, operation_id: str) -> UUID:
    """Return the row id of an operation's callback: the same on every replay, so nothing is stored to find it."""
    return uuid5(CALLBACK_NAMESPACE, f"{execution_id}/{operation_id}")


class CallbackStatus(models.TextChoices):
    """Where a callback stands; all but the first are final."""

    STARTED = "STARTED", "Waiting"
    SUCCEEDED = "SUCCEEDED", "Succeeded"
    FAILED = "FAILED", "Failed"
    TIMED_OUT = "TIMED_OUT", "Timed out"
    CANCELLED = "CANCELLED", "Cancelled"  # its execution closed first


class Callback(models.Model):
    """One callback operation. Its outcome is an event; this row decides who was first and when it expires."""

    id = models.UUIDField(
        primary_key=True, editable=False
    )  # uuid5(execution id, operation id): the same on every replay
    execution = models.ForeignKey("durable_engine.Execution", models.CASCADE, related_name="callbacks", db_index=False)
    operation_id = models.CharField(max_length=64)
    parent_id = models.CharField(max_length=64, null=True)
    name = models.CharField(max_length=256, null=True)
    # Set together: the business key, unique within the function while the callback is open.
    key_function = models.CharField(max_length=140, null=True)
    key = models.CharField(max_length=256, null=True)
    status = models.CharField(max_length=10, choices=CallbackStatus.choices, default=CallbackStatus.STARTED)
    timeout_seconds = models.FloatField(null=True)
    heartbeat_timeout_seconds = models.FloatField(null=True)
    deadline = models.DateTimeField(null=True)
    heartbeat_deadline = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    completed_at = models.DateTimeField(null=True)
    # Open when its execution was redriven or rewound: the callback that its id completes since then.
    moved_to = models.UUIDField(null=True)
    completed_by = models.CharField(max_length=256, blank=True, default="")

    class Meta:
        db_table = "durable_callback"
        permissions = [("decide_callback", "Can approve, reject and complete callbacks")]
        constraints = [
            models.UniqueConstraint(fields=["execution", "operation_id"], name="durable_callback_operation"),
            models.UniqueConstraint(
                fields=["key_function", "key"],
                name="durable_callback_key",
                condition=Q(status="STARTED", key__isnull=False),
            ),
        ]
        indexes = [
            # The deadline sweep looks at whichever comes first.
            models.Index(fields=["deadline"], name="durable_callback_deadline", condition=Q(status="STARTED")),
            models.Index(
                fields=["heartbeat_deadline"], name="durable_callback_heartbeat", condition=Q(status="STARTED")
            ),
            # The inbox: open ones, oldest first.
            models.Index(fields=["created_at", "id"], name="durable_callback_open", condition=Q(status="STARTED")),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.operation_id} {self.status}"
