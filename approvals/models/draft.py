"""What somebody has typed and not sent."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from approvals.models.request import ApprovalRequest


class Draft(models.Model):
    """One person's unsent answer to one request; not validated. Files are not kept."""

    request = models.ForeignKey(ApprovalRequest, models.CASCADE, related_name="drafts", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    data = models.JSONField(default=dict)
    comment = models.TextField(blank=True, default="")
    saved_at = models.DateTimeField()

    class Meta:
        db_table = "approval_draft"
        constraints = [models.UniqueConstraint(fields=["request", "user"], name="approval_draft_once")]

    def __str__(self) -> str:
        return f"draft of {self.user_id}"
