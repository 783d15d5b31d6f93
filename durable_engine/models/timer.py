"""Timers: what a suspended execution waits for, by the database clock."""

from __future__ import annotations

from django.db import models


class TimerKind(models.TextChoices):
    """What falls due."""

    WAIT = "wait", "Wait"
    RETRY = "retry", "Retry"
    CONDITION = "condition", "Condition"


class Timer(models.Model):
    """One pending timer of one operation; the row is gone once it has fired.

    Written in the statement that writes the event which asks for it, so a timer without its event, or an event whose
    timer was never written, cannot exist.
    """

    pk = models.CompositePrimaryKey("execution", "operation_id")
    execution = models.ForeignKey("durable_engine.Execution", models.CASCADE, related_name="timers", db_index=False)
    operation_id = models.CharField(max_length=64)
    kind = models.CharField(max_length=10, choices=TimerKind.choices)
    event_id = models.BigIntegerField()  # the event that asked for it
    due_at = models.DateTimeField()

    class Meta:
        db_table = "durable_timer"

    def __str__(self) -> str:
        return f"{self.kind} {self.operation_id} due {self.due_at:%Y-%m-%d %H:%M:%S}"
