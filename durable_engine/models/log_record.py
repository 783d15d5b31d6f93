"""Log records: what handlers logged and printed, as far as the pages keep it."""

from __future__ import annotations

from django.db import models


class LogRecord(models.Model):
    """One line of one execution, written in batches beside its history; a crash may lose the last second of them.

    `at` is the worker's clock: it orders nothing, `position` does. `fields` are the extra fields as JSON text.
    """

    pk = models.CompositePrimaryKey("execution", "position")
    execution = models.ForeignKey(
        "durable_engine.Execution", models.CASCADE, related_name="log_records", db_index=False
    )
    position = models.IntegerField()  # 1, 2, 3 … in the order in which they were written
    at = models.DateTimeField()
    level = models.CharField(max_length=16)
    message = models.TextField()
    operation_id = models.CharField(max_length=64, null=True)
    operation_name = models.CharField(max_length=256, null=True)
    attempt = models.IntegerField(null=True)
    fields = models.TextField(null=True)

    class Meta:
        db_table = "durable_log_record"
        ordering = ["execution_id", "position"]

    def __str__(self) -> str:
        return f"{self.position} {self.level} {self.message[:40]}"
