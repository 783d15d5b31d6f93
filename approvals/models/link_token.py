"""Links in mails that lead to one request without a login. Only their hashes are stored."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from uuid_utils.compat import uuid7

from approvals.models.request import ApprovalRequest


class LinkToken(models.Model):
    """One link for one person and one request. Opening it changes nothing; an answer given through it uses it up."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    sha256 = models.CharField(max_length=64, unique=True)
    request = models.ForeignKey(ApprovalRequest, models.CASCADE, related_name="links")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "approval_link_token"

    def __str__(self) -> str:
        return f"link of {self.user_id}"
