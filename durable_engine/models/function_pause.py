"""Functions that people paused: nothing of them is claimed until somebody resumes them."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class FunctionPause(models.Model):
    """One paused function, in all its versions. Claims look at this table; usually it is empty."""

    function = models.CharField(max_length=140, primary_key=True)
    paused_at = models.DateTimeField(db_default=Now())
    paused_by = models.CharField(max_length=256)
    reason = models.TextField(blank=True, default="")
    refuses_starts = models.BooleanField(default=False)  # or takes them, and they wait

    class Meta:
        db_table = "durable_function_pause"

    def __str__(self) -> str:
        return self.function
