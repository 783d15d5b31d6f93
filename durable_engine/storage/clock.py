"""The database clock in ORM expressions: the only one that decides what is due."""

from __future__ import annotations

from django.db.models import DateTimeField, Func


class ClockTimestamp(Func):
    """The time at which the expression is evaluated. `Now()` is the time the transaction or statement began."""

    function = "clock_timestamp"
    arity = 0
    output_field = DateTimeField()
