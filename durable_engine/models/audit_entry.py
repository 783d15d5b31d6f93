"""Who did what to which execution, when and why; written in the transaction of the action."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class AuditEntry(models.Model):
    """One action of one person or program. Never updated."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=256)  # kept when the user is deleted; "command line" and the like for programs
    channel = models.CharField(max_length=32)  # dashboard, approvals, command line, python
    action = models.CharField(max_length=64)  # the service: start_execution, stop_execution …
    # Not a foreign key: the entry outlives the execution's retention.
    execution_id = models.UUIDField(null=True)
    operation_id = models.CharField(max_length=64, null=True)
    reason = models.TextField(blank=True, default="")
    details = models.JSONField(default=dict)

    class Meta:
        db_table = "durable_audit_entry"
        ordering = ["-at", "-id"]
        # Carried here because no table of the engine holds people.
        permissions = [("manage_people", "Can make accounts and put them into groups")]
        indexes = [
            models.Index(fields=["execution_id", "-at"], name="durable_audit_execution"),
            models.Index(fields=["-at", "-id"], name="durable_audit_newest"),
            models.Index(fields=["action", "-at", "-id"], name="durable_audit_action"),
            models.Index(fields=["actor", "-at", "-id"], name="durable_audit_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action}"
