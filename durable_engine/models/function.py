"""The registry of durable functions that workers have served."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Function(models.Model):
    """One version of one durable function, as the last worker that served it described it."""

    name = models.CharField(max_length=140)
    version = models.PositiveIntegerField(default=1)
    description = models.TextField(blank=True, default="")
    config = models.JSONField(default=dict)  # timeouts, queue, input schema: what the decorator was given
    fingerprint = models.CharField(max_length=64, blank=True, default="")  # of the handler's source
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "durable_function"
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="durable_function_name_version")]
        ordering = ["name", "-version"]

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"
