"""A set of filters of a list that somebody keeps, alone or for everybody."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class SavedView(models.Model):
    """The filters as the query string of the list, which `page` names: executions or approvals."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    page = models.CharField(max_length=20, default="executions", db_default="executions")
    name = models.CharField(max_length=80)
    query = models.TextField(blank=True)
    is_shared = models.BooleanField(default=False)  # everybody who may see the list sees it
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "durable_saved_view"
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["owner", "page", "name"], name="durable_saved_view_name")]
        indexes = [models.Index(fields=["name"], name="durable_saved_view_shared", condition=models.Q(is_shared=True))]

    def __str__(self) -> str:
        return self.name
