"""API keys: who may call the service API, with what rights. Secrets are encrypted, never hashed: SigV4 needs them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class ApiKey(models.Model):
    """One key pair. Rotation keeps the access key id and lets the secret before it live for a while."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    access_key_id = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=64)  # for people; the audit and the log name it
    secret = models.BinaryField()  # services.key_secrets
    previous_secret = models.BinaryField(null=True)
    previous_expires_at = models.DateTimeField(null=True)
    scopes = models.JSONField(default=list)  # services.api_keys.SCOPES
    # In whose name it acts on approvals: only with the scope approve.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    functions = models.JSONField(default=list)  # names, or beginnings that end in *; empty: all
    requests_per_second = models.PositiveIntegerField(null=True)  # empty: the setting's
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=256, blank=True, default="")
    rotated_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)  # to the minute

    class Meta:
        db_table = "durable_api_key"
        ordering = ["-created_at", "-id"]
        permissions = [("manage_apikey", "Can make, change, rotate and revoke API keys")]

    def __str__(self) -> str:
        return f"{self.name} ({self.access_key_id})"
