"""What became of each due time of a schedule."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class RunOutcome(models.TextChoices):
    """What a schedule did at a due time."""

    STARTED = "STARTED", "Started"
    SKIPPED = "SKIPPED", "Skipped"  # the one before was still live
    WAITING = "WAITING", "Waiting"  # for the one before to end
    MISSED = "MISSED", "Missed"  # no scheduler was at work, and it is not caught up
    REFUSED = "REFUSED", "Refused"  # the start was: `note` says why


class ScheduleRun(models.Model):
    """One due time, or one start by hand. Written with the decision; a waiting one changes once."""

    pk = models.CompositePrimaryKey("schedule", "due_at")
    schedule = models.ForeignKey("durable_engine.Schedule", models.CASCADE, related_name="runs", db_index=False)
    due_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=RunOutcome.choices)
    decided_at = models.DateTimeField(db_default=Now())
    execution_id = models.UUIDField(null=True)  # not a foreign key: it may be deleted first
    count = models.PositiveIntegerField(default=1)  # how many due times a missed one stands for
    note = models.TextField(blank=True, default="")
    started_by = models.CharField(max_length=256, blank=True, default="")  # a person, by hand

    class Meta:
        db_table = "durable_schedule_run"
        indexes = [
            # Those that wait for the one before.
            models.Index(fields=["schedule"], name="durable_schedule_waiting", condition=Q(outcome="WAITING")),
            # Those that somebody should look at.
            models.Index(
                fields=["due_at"], name="durable_schedule_trouble", condition=Q(outcome__in=["REFUSED", "MISSED"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.due_at:%Y-%m-%d %H:%M:%S}"
