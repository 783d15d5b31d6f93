"""What has to be told to the outside: written with the fact it tells of, delivered later by the scheduler."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class OutboxStatus(models.TextChoices):
    """Where a message stands; all but the first are final."""

    PENDING = "PENDING", "Waiting"
    SENT = "SENT", "Sent"
    DROPPED = "DROPPED", "No longer needed"
    FAILED = "FAILED", "Given up"


class OutboxMessage(models.Model):
    """One message to one recipient. `next_try_at` is also the lease of whoever delivers it at the moment.

    The content is made at the time of delivery, by the app that `topic` names, from `payload`: what is out of date by
    then is not sent, and secrets are not stored.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    dedupe_key = models.CharField(max_length=255, unique=True)
    topic = models.CharField(max_length=64)
    channel = models.CharField(max_length=16)  # email, webhook, apprise
    recipient = models.CharField(max_length=254)  # an address, or the name of a configured endpoint
    payload = models.JSONField(default=dict)
    status = models.CharField(max_length=8, choices=OutboxStatus.choices, default=OutboxStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(db_default=Now())
    last_error = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "durable_outbox"
        constraints = [
            models.CheckConstraint(
                condition=Q(status="PENDING", finished_at=None) | ~Q(status="PENDING") & Q(finished_at__isnull=False),
                name="durable_outbox_finished_at",
            ),
        ]
        indexes = [
            # What is delivered next.
            models.Index(fields=["next_try_at"], name="durable_outbox_due", condition=Q(status="PENDING")),
            # What was given up, newest first, for people; and what retention removes.
            models.Index(fields=["-finished_at"], name="durable_outbox_finished", condition=~Q(status="PENDING")),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.topic} {self.status}"
