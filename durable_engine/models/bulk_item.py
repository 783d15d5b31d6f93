"""One execution of a bulk action, and what became of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class BulkItemStatus(models.TextChoices):
    """What became of it; all but the first are final."""

    PENDING = "PENDING", "Waiting"
    DONE = "DONE", "Done"
    REFUSED = "REFUSED", "Refused"  # the action does not apply to it
    FAILED = "FAILED", "Failed"  # an error of the engine
    CANCELLED = "CANCELLED", "Cancelled"  # the bulk action was, before it came to this one


class BulkItem(models.Model):
    """Its outcome is written in the transaction of the action itself, so each is acted on once."""

    pk = models.CompositePrimaryKey("bulk_action", "position")
    bulk_action = models.ForeignKey("durable_engine.BulkAction", models.CASCADE, related_name="items", db_index=False)
    position = models.PositiveIntegerField()  # 1, 2, 3 …
    # Not a foreign key, and the name beside it: the outcome outlives the execution.
    execution_id = models.UUIDField()
    function = models.CharField(max_length=140)
    name = models.CharField(max_length=64)
    status = models.CharField(max_length=10, choices=BulkItemStatus.choices, default=BulkItemStatus.PENDING)
    message = models.TextField(blank=True, default="")  # why it was refused or failed
    result_id = models.UUIDField(null=True)  # the execution that came of it
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "durable_bulk_item"
        ordering = ["bulk_action_id", "position"]
        indexes = [
            # What is left to do, and pages of one outcome.
            models.Index(fields=["bulk_action", "status", "position"], name="durable_bulk_item_status"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["bulk_action", "execution_id"], name="durable_bulk_item_execution"),
            models.CheckConstraint(
                condition=Q(status="PENDING", done_at=None) | (~Q(status="PENDING") & Q(done_at__isnull=False)),
                name="durable_bulk_item_done_at",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.function}/{self.name} {self.status}"
