"""The history: append only, gap-free, the truth from which operations are folded."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """One fact about one execution. Never updated; deleted only with its execution.

    `payload` is the exact text the serdes produced (`jsonb` would normalise numbers and refuse NUL); `error` is an
    error object as JSON text; `details` holds the small facts of the event type, in seconds where they are durations.
    """

    pk = models.CompositePrimaryKey("execution", "event_id")
    execution = models.ForeignKey("durable_engine.Execution", models.CASCADE, related_name="events", db_index=False)
    event_id = models.BigIntegerField()  # 1, 2, 3 … in the order things happened
    event_type = models.CharField(max_length=32)
    operation_id = models.CharField(max_length=64, null=True)
    parent_id = models.CharField(max_length=64, null=True)
    subtype = models.CharField(max_length=32, null=True)
    name = models.CharField(max_length=256, null=True)
    attempt = models.IntegerField(null=True)
    payload = models.TextField(null=True)
    error = models.TextField(null=True)
    details = models.JSONField(null=True)
    fence = models.BigIntegerField(null=True)  # the lease that wrote it; null for events from outside an invocation
    event_at = models.DateTimeField()

    class Meta:
        db_table = "durable_event"
        ordering = ["execution_id", "event_id"]

    def __str__(self) -> str:
        return f"{self.event_id} {self.event_type}"
