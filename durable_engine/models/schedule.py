"""Schedules: when a function is to be started by itself."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class OverlapPolicy(models.TextChoices):
    """What happens at a due time while the execution of the one before is still live."""

    SKIP = "SKIP", "Skip this time"
    ALLOW = "ALLOW", "Start it beside the other"
    WAIT = "WAIT", "Start it once the other has ended"
    REPLACE = "REPLACE", "Stop the other, then start it"


class CatchUpPolicy(models.TextChoices):
    """What happens to due times that passed while no scheduler was at work."""

    LATEST = "LATEST", "Run the latest of them"
    NONE = "NONE", "Run none of them"
    ALL = "ALL", "Run all of them"


class Schedule(models.Model):
    """One rule and what it starts. Either `cron`, in `timezone`, or `every_seconds` counted from `anchor_at`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=40, unique=True)
    function = models.CharField(max_length=140)
    version = models.PositiveIntegerField(null=True)  # empty: the newest at the time
    input = models.TextField(default="{}")  # JSON text
    tags = models.JSONField(default=dict)

    cron = models.CharField(max_length=120, blank=True, default="")
    timezone = models.CharField(max_length=64, default="UTC")
    every_seconds = models.PositiveIntegerField(null=True)
    anchor_at = models.DateTimeField(db_default=Now())
    overlap = models.CharField(max_length=10, choices=OverlapPolicy.choices, default=OverlapPolicy.SKIP)
    catch_up = models.CharField(max_length=10, choices=CatchUpPolicy.choices, default=CatchUpPolicy.LATEST)

    next_at = models.DateTimeField(null=True)  # empty: the rule has no further time
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=256, blank=True, default="")
    pause_reason = models.TextField(blank=True, default="")
    revision = models.PositiveIntegerField(default=1)  # +1 at each edit
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=256, blank=True, default="")

    class Meta:
        db_table = "durable_schedule"
        constraints = [
            models.CheckConstraint(
                condition=(Q(cron="") & Q(every_seconds__gt=0)) | (~Q(cron="") & Q(every_seconds=None)),
                name="durable_schedule_rule",
            ),
        ]
        indexes = [
            # What is due next.
            models.Index(fields=["next_at"], name="durable_schedule_due", condition=Q(paused_at=None)),
            models.Index(fields=["function", "name"], name="durable_schedule_function"),
        ]

    def __str__(self) -> str:
        return self.name
