"""How far each sweep that reads closed executions has come."""

from __future__ import annotations

from django.db import models


class Feed(models.Model):
    """One reader of a stream of rows ordered by (time, id): everything up to here is in what it writes.

    The position moves in the transaction that writes, so each row counts once, whatever crashes.
    """

    name = models.CharField(max_length=32, primary_key=True)
    reached_at = models.DateTimeField()
    reached_id = models.UUIDField()

    class Meta:
        db_table = "durable_feed"

    def __str__(self) -> str:
        return self.name
