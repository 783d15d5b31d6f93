"""How many failures of a group fell into an hour."""

from __future__ import annotations

from django.db import models


class FailureCount(models.Model):
    """One hour of one group, so that its course can be drawn without counting its members."""

    pk = models.CompositePrimaryKey("group", "starts_at")
    group = models.ForeignKey("durable_engine.FailureGroup", models.CASCADE, related_name="counts", db_index=False)
    starts_at = models.DateTimeField()
    count = models.BigIntegerField()

    class Meta:
        db_table = "durable_failure_count"

    def __str__(self) -> str:
        return f"{self.count} at {self.starts_at:%Y-%m-%d %H:%M}"
