"""What time will do to a pending request: remind, escalate, mark overdue, expire, release a claim."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from approvals.models.request import ApprovalRequest


class TimerKind(models.TextChoices):
    """What the timer does."""

    REMIND = "remind", "Remind"
    ESCALATE = "escalate", "Escalate"
    DUE = "due", "Overdue"
    EXPIRE = "expire", "Expire"
    UNCLAIM = "unclaim", "End of a claim"


class ApprovalTimer(models.Model):
    """One moment. Gone when it has fired or the request is closed."""

    request = models.ForeignKey(ApprovalRequest, models.CASCADE, related_name="timers", db_index=False)
    kind = models.CharField(max_length=8, choices=TimerKind.choices)
    seq = models.PositiveSmallIntegerField(default=0)
    fire_at = models.DateTimeField()
    # While a question is open the clock stands still.
    is_held = models.BooleanField(default=False)
    payload = models.JSONField(default=dict)

    class Meta:
        db_table = "approval_timer"
        constraints = [models.UniqueConstraint(fields=["request", "kind", "seq"], name="approval_timer_once")]
        indexes = [models.Index(fields=["fire_at"], name="approval_timer_due", condition=Q(is_held=False))]

    def __str__(self) -> str:
        return f"{self.kind} at {self.fire_at}"
