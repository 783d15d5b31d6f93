"""Which failures belong to which group."""

from __future__ import annotations

from django.db import models


class Failure(models.Model):
    """One execution that failed, or was paused by the engine, at a time. Written once, by the sweep.

    Without a constraint on the execution: it may be deleted, its failure was seen all the same.
    """

    pk = models.CompositePrimaryKey("execution", "at")
    execution = models.ForeignKey(
        "durable_engine.Execution", models.CASCADE, related_name="failures", db_constraint=False, db_index=False
    )
    at = models.DateTimeField()
    group = models.ForeignKey("durable_engine.FailureGroup", models.CASCADE, related_name="failures", db_index=False)
    version = models.PositiveIntegerField()

    class Meta:
        db_table = "durable_failure"
        indexes = [
            # The members of a group, newest first.
            models.Index(fields=["group", "-at", "-execution"], name="durable_failure_members"),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} at {self.at:%Y-%m-%d %H:%M:%S}"
