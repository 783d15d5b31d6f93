"""Functions that run elsewhere, as people told in Settings; others come from DURABLE_REMOTE_FUNCTIONS."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RemoteFunction(models.Model):
    """One version of a function, and the URL at which workers invoke it. Every worker serves it."""

    name = models.CharField(max_length=140)
    version = models.PositiveIntegerField(default=1)
    url = models.CharField(max_length=500)
    queue = models.CharField(max_length=64)
    invocation_timeout_seconds = models.FloatField()
    execution_timeout_seconds = models.FloatField(null=True)  # empty: none
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=256, blank=True, default="")

    class Meta:
        db_table = "durable_remote_function"
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="durable_remote_function_name_version")]
        ordering = ["name", "-version"]
        permissions = [("manage_remotefunction", "Can say where remote functions run")]

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"
