"""The history of a request: who did what, when, and what they saw. Only ever added to; a trigger refuses the rest."""

from __future__ import annotations

from django.db import models

from approvals.models.request import ApprovalRequest


class EventKind(models.TextChoices):
    """What happened."""

    OPENED = "OPENED", "Opened"
    NOTIFIED = "NOTIFIED", "People told"
    CLAIMED = "CLAIMED", "Claimed"
    RELEASED = "RELEASED", "Released"
    DELEGATED = "DELEGATED", "Sent on"
    REASSIGNED = "REASSIGNED", "Reassigned"
    VOTED = "VOTED", "Answered"
    COMMENTED = "COMMENTED", "Commented"
    ASKED = "ASKED", "Question to the requester"
    REPLIED = "REPLIED", "Reply of the requester"
    EXTENDED = "EXTENDED", "Extended"
    REMINDED = "REMINDED", "Reminded"
    ESCALATED = "ESCALATED", "Escalated"
    OVERDUE = "OVERDUE", "Overdue"
    HEALTH = "HEALTH", "Health changed"
    BROKE_GLASS = "BROKE_GLASS", "Decided in an emergency"
    DECIDED = "DECIDED", "Decided"
    EXPIRED = "EXPIRED", "Expired"
    WITHDRAWN = "WITHDRAWN", "Withdrawn"
    CANCELLED = "CANCELLED", "Cancelled"


class ActorKind(models.TextChoices):
    """Who acted."""

    PERSON = "PERSON", "Person"
    SERVICE = "SERVICE", "Program"
    SYSTEM = "SYSTEM", "Perdure"


class ApprovalEvent(models.Model):
    """One line of the history. `seq` counts from 1 without gaps; `data` has the facts of its kind."""

    request = models.ForeignKey(ApprovalRequest, models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=EventKind.choices)
    actor_kind = models.CharField(max_length=8, choices=ActorKind.choices, default=ActorKind.PERSON)
    # Not a foreign key: deleting a user would have to change the line.
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=254)
    on_behalf_of_label = models.CharField(max_length=254, blank=True, default="")
    channel = models.CharField(max_length=16, blank=True, default="")
    data = models.JSONField(default=dict)

    class Meta:
        db_table = "approval_event"
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["request", "seq"], name="approval_event_seq")]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind} {self.actor_label}"
