"""Workers: one row a process that runs invocations; its heartbeat is the lease of all it holds."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class Worker(models.Model):
    """A process that claims executions. New at each process start, so an id never comes back to life."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hostname = models.CharField(max_length=256)
    pid = models.IntegerField()
    release = models.CharField(max_length=64, blank=True, default="")  # of Perdure
    functions = models.JSONField(default=list)  # ["order-processing:1", …]
    queues = models.JSONField(default=list)
    draining = models.BooleanField(default=False)
    started_at = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())
    lost_at = models.DateTimeField(null=True)
    exit_reason = models.CharField(max_length=256, blank=True, default="")

    class Meta:
        db_table = "durable_worker"

    def __str__(self) -> str:
        return f"{self.hostname}:{self.pid}"
