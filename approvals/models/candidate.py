"""Who may decide a request: people, groups, holders of a permission, and colleagues somebody sent it on to."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q

from approvals.models.request import ApprovalRequest


class CandidateSource(models.TextChoices):
    """How somebody came to be asked."""

    AUTHOR = "AUTHOR", "Asked by the handler"
    ESCALATION = "ESCALATION", "Escalation"
    DELEGATION = "DELEGATION", "Sent on by a colleague"
    REASSIGNED = "REASSIGNED", "Reassigned"


class Candidate(models.Model):
    """One entry of the list of those asked. Never deleted: `removed_at` says when it ended.

    `on_behalf_of`: the colleague in whose place the person answers; both together count once.
    """

    request = models.ForeignKey(ApprovalRequest, models.CASCADE, related_name="candidates", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+", db_index=False)
    group = models.ForeignKey(Group, models.CASCADE, null=True, related_name="+", db_index=False)
    permission = models.CharField(max_length=255, null=True)
    on_behalf_of = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    label = models.CharField(max_length=255)  # name of the user, group or permission when it was added
    source = models.CharField(max_length=10, choices=CandidateSource.choices, default=CandidateSource.AUTHOR)
    level = models.PositiveSmallIntegerField(default=0)  # escalation level at which it was added
    # Pending and not removed: what the indexes of the inbox hold.
    is_open = models.BooleanField(default=True)
    added_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "approval_candidate"
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, group=None, permission=None)
                | Q(user=None, group__isnull=False, permission=None)
                | Q(user=None, group=None, permission__isnull=False),
                name="approval_candidate_one_kind",
            ),
        ]
        indexes = [
            models.Index(fields=["request"], name="approval_candidate_request"),
            models.Index(fields=["user", "request"], name="approval_candidate_user", condition=Q(is_open=True)),
            models.Index(fields=["group", "request"], name="approval_candidate_group", condition=Q(is_open=True)),
            models.Index(
                fields=["permission", "request"],
                name="approval_candidate_permission",
                condition=Q(is_open=True, permission__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.label
