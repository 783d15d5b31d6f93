"""What one person answered. The constraints are the guarantee that nobody counts twice."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from approvals.models.request import ApprovalRequest


class Vote(models.Model):
    """One answer of one person to one request; never changed.

    A *seat* is the person for whom an answer counts: the voter, or the colleague for whom they acted. A person acts
    once, and a seat counts once.
    """

    request = models.ForeignKey(ApprovalRequest, models.CASCADE, related_name="votes", db_index=False)
    operation_id = models.CharField(max_length=64)  # made by the sender: the same one again is the same answer
    voter = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    voter_label = models.CharField(max_length=254)
    on_behalf_of = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    on_behalf_of_label = models.CharField(max_length=254, blank=True, default="")
    # Of `on_behalf_of` or else `voter`. Not a foreign key: it must still count when the account is deleted.
    seat_id = models.BigIntegerField()
    choice = models.CharField(max_length=32)
    outcome = models.CharField(max_length=10)  # approve, reject, answer
    groups = ArrayField(models.CharField(max_length=150), default=list)  # of the seat, among those asked
    data = models.JSONField(default=dict)
    comment = models.TextField(blank=True, default="")
    channel = models.CharField(max_length=16)  # page, link, api, bulk, break glass
    digest = models.CharField(max_length=64)  # what they saw
    # The execution, when nobody may decide twice in it.
    separate_in = models.UUIDField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "approval_vote"
        constraints = [
            models.UniqueConstraint(fields=["operation_id"], name="approval_vote_operation"),
            models.UniqueConstraint(fields=["request", "voter"], name="approval_vote_voter"),
            models.UniqueConstraint(fields=["request", "seat_id"], name="approval_vote_seat"),
            models.UniqueConstraint(
                fields=["separate_in", "voter"],
                condition=Q(separate_in__isnull=False),
                name="approval_vote_separate_voter",
            ),
            models.UniqueConstraint(
                fields=["separate_in", "seat_id"],
                condition=Q(separate_in__isnull=False),
                name="approval_vote_separate_seat",
            ),
        ]
        indexes = [
            # Done, and waiting for others.
            models.Index(fields=["voter", "-created_at"], name="approval_vote_done"),
        ]

    def __str__(self) -> str:
        return f"{self.voter_label}: {self.choice}"
