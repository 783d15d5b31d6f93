"""Failures that look alike: one problem that somebody can mend, however many executions it hit."""

from __future__ import annotations

from django.db import models
from uuid_utils.compat import uuid7


class FailureKind(models.TextChoices):
    """How the members ended, or were held up."""

    FAILED = "FAILED", "Failed"
    TIMED_OUT = "TIMED_OUT", "Timed out"
    PAUSED = "PAUSED", "Paused"


class FailureGroupStatus(models.TextChoices):
    """What people have said about it."""

    OPEN = "OPEN", "Open"
    RESOLVED = "RESOLVED", "Resolved"  # opens again by itself at the next failure
    MUTED = "MUTED", "Muted"  # stays muted whatever fails


class FailureGroup(models.Model):
    """One fingerprint. Filled by a sweep."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fingerprint = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=10, choices=FailureKind.choices)
    function = models.CharField(max_length=140)
    operation = models.CharField(max_length=256, blank=True, default="")  # what failed, its numbers taken out
    error_type = models.CharField(max_length=256, blank=True, default="")
    frame = models.CharField(max_length=512, blank=True, default="")  # of the handler's own code
    message_shape = models.CharField(max_length=512, blank=True, default="")  # with its particulars taken out
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    first_version = models.PositiveIntegerField()
    last_version = models.PositiveIntegerField()
    count = models.BigIntegerField(default=0)
    status = models.CharField(max_length=10, choices=FailureGroupStatus.choices, default=FailureGroupStatus.OPEN)
    status_at = models.DateTimeField(null=True)
    status_by = models.CharField(max_length=256, blank=True, default="")
    reopened_at = models.DateTimeField(null=True)  # failed again after it was resolved

    class Meta:
        db_table = "durable_failure_group"
        indexes = [
            models.Index(fields=["status", "-last_seen", "-id"], name="durable_failure_group_list"),
        ]

    def __str__(self) -> str:
        return f"{self.function}: {self.error_type}"
