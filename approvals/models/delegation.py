"""A colleague who may answer in somebody's place, for a time and for some functions or all."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7


class Delegation(models.Model):
    """From when until when `to_user` may act on behalf of `from_user`. It is not passed on further."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    from_user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    to_user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)  # empty: until it is ended by hand
    functions = ArrayField(models.CharField(max_length=140), default=list, blank=True)  # empty: all
    reason = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)  # by hand, earlier than planned

    class Meta:
        db_table = "approval_delegation"
        constraints = [
            models.CheckConstraint(condition=~Q(from_user=F("to_user")), name="approval_delegation_two_people"),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="approval_delegation_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.from_user_id} to {self.to_user_id}"
