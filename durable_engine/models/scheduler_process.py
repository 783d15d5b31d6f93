"""Schedulers: one row a process that sweeps. Nothing depends on it; people see by it that somebody sweeps."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class SchedulerProcess(models.Model):
    """A scheduler, as it last said that it lives."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hostname = models.CharField(max_length=256)
    pid = models.IntegerField()
    release = models.CharField(max_length=64, blank=True, default="")  # of Perdure
    started_at = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True)
    slowest_round_seconds = models.FloatField(default=0.0)  # since the time before last that it said so

    class Meta:
        db_table = "durable_scheduler"

    def __str__(self) -> str:
        return f"{self.hostname}:{self.pid}"
