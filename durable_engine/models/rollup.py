"""What happened in a minute, in an hour and so far, by function and version: read instead of executions."""

from __future__ import annotations

from django.db import models


class Rollup(models.Model):
    """Counts of one function version in one span of time. Filled by a sweep, never by the transaction that closes.

    Starts count in the span in which they were started; all else in the span in which the execution ended.
    """

    pk = models.CompositePrimaryKey("width_seconds", "starts_at", "function", "version")
    width_seconds = models.PositiveIntegerField()  # 60, 3600, or 0 for all time, which starts at the epoch
    starts_at = models.DateTimeField()
    function = models.CharField(max_length=140)
    version = models.PositiveIntegerField()
    started = models.BigIntegerField(default=0)
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    timed_out = models.BigIntegerField(default=0)
    stopped = models.BigIntegerField(default=0)
    seconds_sum = models.FloatField(default=0.0)  # of all that ended, from start to end
    # {"bin": count}: how many took from 1.1**bin to 1.1**(bin+1) milliseconds, so percentiles are right within 5 %.
    durations = models.JSONField(default=dict)

    class Meta:
        db_table = "durable_rollup"

    def __str__(self) -> str:
        return f"{self.function}:{self.version} at {self.starts_at:%Y-%m-%d %H:%M}"
