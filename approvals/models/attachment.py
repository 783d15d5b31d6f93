"""Files sent with an answer, in the database: written in the transaction of the answer."""

from __future__ import annotations

from django.db import models
from uuid_utils.compat import uuid7

from approvals.models.request import ApprovalRequest
from approvals.models.vote import Vote


class Attachment(models.Model):
    """One file of one answer. The answer's data has its id, name, size and hash, never its content."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey(ApprovalRequest, models.CASCADE, related_name="attachments")
    vote = models.ForeignKey(Vote, models.CASCADE, related_name="attachments")
    field = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)  # as the sender said; never served as such
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()

    class Meta:
        db_table = "approval_attachment"

    def __str__(self) -> str:
        return self.name
