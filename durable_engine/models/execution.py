"""One durable run of a handler with one input: the hot, narrow row that decides who may write."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from durable_engine.models.visible import visible_condition


class ExecutionStatus(models.TextChoices):
    """Where an execution stands; the last four are final."""

    PENDING = "PENDING", "Pending"
    RUNNING = "RUNNING", "Running"
    SUSPENDED = "SUSPENDED", "Suspended"
    PAUSED = "PAUSED", "Paused"
    SUCCEEDED = "SUCCEEDED", "Succeeded"
    FAILED = "FAILED", "Failed"
    TIMED_OUT = "TIMED_OUT", "Timed out"
    STOPPED = "STOPPED", "Stopped"


CLOSED_STATUSES = (
    ExecutionStatus.SUCCEEDED,
    ExecutionStatus.FAILED,
    ExecutionStatus.TIMED_OUT,
    ExecutionStatus.STOPPED,
)
LIVE_STATUSES = (
    ExecutionStatus.PENDING,
    ExecutionStatus.RUNNING,
    ExecutionStatus.SUSPENDED,
    ExecutionStatus.PAUSED,
)


class OriginKind(models.TextChoices):
    """How an execution came of another one."""

    REDRIVE = "redrive", "Redriven"  # goes on from what failed
    REWIND = "rewind", "Rewound"  # goes on from before a chosen operation
    FORK = "fork", "Forked"  # a copy under a name of its own
    RERUN = "rerun", "Run again"  # shares nothing but the input
    CONTINUE = "continue", "Continued"  # by the handler itself, in its place and with an empty history


class ExecutionQuerySet(models.QuerySet["Execution"]):
    """Executions, of which people may see only some."""

    def visible(self) -> Self:
        """Leave only what the person of this request may see. Outside of requests, and without a rule, that is all."""
        condition = visible_condition()
        return self if condition is None else self.filter(condition)


class Execution(models.Model):
    """The state of one execution. Its input, result and full error live in its first and last events.

    Checkpoints touch only unindexed columns, so that they stay heap-only updates: keep every index partial on
    `status` or on a column that changes only when the status does.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    function = models.CharField(max_length=140)
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=64)
    payload_hash = models.CharField(
        max_length=64
    )  # sha256 of the input as canonical JSON: decides whether a name is reused
    status = models.CharField(max_length=10, choices=ExecutionStatus.choices, default=ExecutionStatus.PENDING)
    queue = models.CharField(max_length=64, default="durable")
    priority = models.SmallIntegerField(default=0)  # higher is claimed first
    concurrency_key = models.CharField(max_length=400, null=True)  # what its limit counts it under; set when claimed
    tags = models.JSONField(default=dict)
    status_text = models.CharField(max_length=256, blank=True, default="")

    # Who may write, and how far the history reaches.
    fence = models.BigIntegerField(
        default=0
    )  # +1 at each grant of the lease: a stale holder's number no longer matches
    batch = models.BigIntegerField(
        default=0
    )  # +1 at each checkpoint of one lease: tells a lost reply from a lost lease
    last_event_id = models.BigIntegerField(default=0)
    signal = models.BigIntegerField(default=0)  # +1 at each outside event: suspending compares it
    worker_id = models.UUIDField(null=True)
    invocation_id = models.UUIDField(null=True)
    invocation_started_at = models.DateTimeField(null=True)
    invocation_deadline = models.DateTimeField(null=True)
    # Of the newest checkpoint of a handler that runs elsewhere: a request that is repeated gets its answer again.
    checkpoint_client_token = models.CharField(max_length=64, null=True)
    crash_count = models.PositiveSmallIntegerField(default=0)
    batch_started_at = models.DateTimeField(null=True)  # time of the first event of the newest checkpoint
    last_event_at = models.DateTimeField(null=True)

    # When something has to happen.
    ready_at = models.DateTimeField(null=True)  # PENDING: not to be claimed before
    dispatched_at = models.DateTimeField(null=True)  # PENDING: when a hint was last sent; empty: the sweep sends it
    wake_at = models.DateTimeField(null=True)  # SUSPENDED: earliest due time of its timers
    expires_at = models.DateTimeField(null=True)  # execution timeout

    # Who waits for its end.
    parent_execution_id = models.UUIDField(null=True)
    parent_operation_id = models.CharField(max_length=64, null=True)
    parent_notified = models.BooleanField(
        db_default=False
    )  # its outcome is in the parent's history, or nobody wants to know it any more

    # How it was paused, and how it ended.
    paused_at = models.DateTimeField(null=True)
    pause_kind = models.CharField(
        max_length=32, blank=True, default=""
    )  # operator, crashes, divergence, undecodable, suspension
    pause_reason = models.TextField(blank=True, default="")
    superseded_by = models.UUIDField(null=True)  # who took over the name; the newest one of a name has none
    origin_id = models.UUIDField(null=True)  # which execution it came of; not a foreign key: it may be deleted first
    origin_kind = models.CharField(max_length=10, choices=OriginKind.choices, blank=True, db_default="")
    closed_at = models.DateTimeField(null=True)
    error_type = models.CharField(max_length=256, blank=True, default="")
    error_message = models.CharField(max_length=512, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        db_table = "durable_execution"
        ordering = ["-created_at", "-id"]
        permissions = [
            ("view_payload", "Can see inputs, results and errors of executions"),
            ("start_execution", "Can start executions"),
            ("stop_execution", "Can stop executions"),
            ("reveal_payload", "Can reveal masked fields of payloads, which is audited"),
            ("operate_execution", "Can pause, resume and retry executions"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["function", "name"], condition=Q(superseded_by=None), name="durable_execution_name"
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, status__in=["PENDING", "RUNNING", "SUSPENDED", "PAUSED"])
                | Q(closed_at__isnull=False, status__in=["SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"]),
                name="durable_execution_closed_at",
            ),
        ]
        indexes = [
            # What a worker claims next.
            models.Index(
                fields=["queue", "-priority", "ready_at"], name="durable_execution_ready", condition=Q(status="PENDING")
            ),
            # What waits for a place of its concurrency limit.
            models.Index(
                fields=["concurrency_key", "-priority", "created_at"],
                name="durable_execution_blocked",
                condition=Q(status="PENDING", ready_at=None, concurrency_key__isnull=False),
            ),
            # The due-timer sweep.
            models.Index(
                fields=["wake_at"],
                name="durable_execution_wake",
                condition=Q(status="SUSPENDED", wake_at__isnull=False),
            ),
            # Ready, or ready later, and nobody has sent a hint: the undispatched sweep.
            models.Index(
                "ready_at",
                name="durable_execution_undispatched",
                condition=Q(status="PENDING", dispatched_at=None),
            ),
            # What a lost worker held.
            models.Index(fields=["worker_id"], name="durable_execution_running", condition=Q(status="RUNNING")),
            # The execution-timeout sweep.
            models.Index(
                fields=["expires_at"],
                name="durable_execution_expires",
                condition=Q(closed_at=None, expires_at__isnull=False),
            ),
            # Ended, and the one who waits for it has not been told: the sweep for unnotified parents.
            models.Index(
                fields=["closed_at"],
                name="durable_execution_untold",
                condition=Q(parent_execution_id__isnull=False, parent_notified=False, closed_at__isnull=False),
            ),
            # The children of an execution.
            models.Index(
                fields=["parent_execution_id", "created_at", "id"],
                name="durable_execution_children",
                condition=Q(parent_execution_id__isnull=False),
            ),
            # What ended first: retention.
            models.Index(
                fields=["function", "closed_at"], name="durable_execution_ended", condition=Q(closed_at__isnull=False)
            ),
            # Lists: newest first, alone, by status, by function.
            models.Index(fields=["-created_at", "-id"], name="durable_execution_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="durable_execution_status"),
            models.Index(fields=["function", "-created_at", "-id"], name="durable_execution_function"),
            # Lists by the beginning of a name, whatever the database's collation.
            models.Index(fields=["name"], opclasses=["varchar_pattern_ops"], name="durable_execution_name_prefix"),
            # What has ended, in that order: rollups, groups of failures.
            models.Index(
                fields=["closed_at", "id"], name="durable_execution_closed", condition=Q(closed_at__isnull=False)
            ),
            # What was paused, in that order: groups of failures.
            models.Index(fields=["paused_at", "id"], name="durable_execution_paused", condition=Q(status="PAUSED")),
            # What came of an execution.
            models.Index(fields=["origin_id"], name="durable_execution_origin", condition=Q(origin_id__isnull=False)),
            GinIndex(fields=["tags"], opclasses=["jsonb_path_ops"], name="durable_execution_tags"),
        ]

    def __str__(self) -> str:
        return f"{self.function}/{self.name}"

    @property
    def is_closed(self) -> bool:
        """Whether the status is final."""
        return self.status in CLOSED_STATUSES
