"""Slots: who takes up the places of concurrency limits."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Slot(models.Model):
    """One place of one limit, and who took it last.

    Nothing ever releases it: it is taken while its execution runs under the fence that took it, or, `until_closed`, is
    live. So a dead worker leaks nothing, and a late one can give nothing back twice.
    """

    pk = models.CompositePrimaryKey("limit_key", "number")
    limit_key = models.CharField(max_length=400)  # the function, or function/key
    number = models.PositiveIntegerField()  # 1, 2, 3 …; whoever counts or takes places of a limit locks number 1
    execution_id = models.UUIDField(null=True)
    fence = models.BigIntegerField(null=True)
    until_closed = models.BooleanField(db_default=False)
    taken_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "durable_slot"

    def __str__(self) -> str:
        return f"{self.limit_key} {self.number}"
