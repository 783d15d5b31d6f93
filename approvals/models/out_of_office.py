"""When somebody is away, and who stands in."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7


class OutOfOffice(models.Model):
    """A person's absence. The substitute may act on their behalf and is told of new requests."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    substitute = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    note = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # back earlier than planned

    class Meta:
        db_table = "approval_out_of_office"
        constraints = [
            models.CheckConstraint(
                condition=Q(substitute=None) | ~Q(user=F("substitute")), name="approval_absence_two_people"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="approval_absence_ends_later"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} until {self.ends_at}"
