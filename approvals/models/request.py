"""What people are asked: one row is one callback of one execution."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from approvals.models.ordered_json import OrderedJSONField


class RequestState(models.TextChoices):
    """Where a request stands; all but the first are final."""

    PENDING = "PENDING", "Pending"
    APPROVED = "APPROVED", "Approved"
    REJECTED = "REJECTED", "Rejected"
    ANSWERED = "ANSWERED", "Answered"
    EXPIRED = "EXPIRED", "Expired"
    CANCELLED = "CANCELLED", "Cancelled"


class RequestHealth(models.TextChoices):
    """Whether a pending request can end well by itself."""

    OK = "OK", "OK"
    UNSATISFIABLE = "UNSATISFIABLE", "Nobody can decide it"
    NOTIFY_FAILING = "NOTIFY_FAILING", "People could not be told"


class ApprovalRequest(models.Model):
    """One question. What was asked and how it is decided is kept as it was when it opened.

    `revision` counts the events: each change adds at least one, in the same transaction.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Of the engine. No foreign keys: the record of who decided outlives the execution's retention.
    callback_key = models.UUIDField(unique=True)
    execution_id = models.UUIDField()
    operation_id = models.CharField(max_length=64)
    function = models.CharField(max_length=140)
    execution_name = models.CharField(max_length=64)
    name = models.CharField(max_length=256)  # of the operation: "manager"

    # What people see. `digest` names exactly this.
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")  # Markdown, as the author wrote it
    details = OrderedJSONField(default=dict)
    form = OrderedJSONField(null=True)  # see sdk/form_schema.py
    choices = models.JSONField(default=list)  # [{key, label, outcome, comment}]
    digest = models.CharField(max_length=64)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requester_label = models.CharField(max_length=254, blank=True, default="")

    # How it is decided.
    policy = models.JSONField(default=dict)  # see sdk/spec.py
    # Users that may not decide: the requester and `exclude`.
    excluded_ids = ArrayField(models.BigIntegerField(), default=list)
    # Users that may look, because an escalation told them.
    watcher_ids = ArrayField(models.BigIntegerField(), default=list)
    is_separate = models.BooleanField(default=False)  # nobody may decide twice in this execution

    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.PENDING)
    outcome = models.CharField(max_length=10, blank=True, default="")  # approved, rejected, answered, expired
    choice = models.CharField(max_length=32, blank=True, default="")
    result = models.JSONField(null=True)  # what the handler received
    revision = models.PositiveIntegerField(default=0)

    opened_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    # The order of the inbox: when it is due, or ends; long after the opening when neither is known.
    urgent_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    closed_by_label = models.CharField(max_length=254, blank=True, default="")
    close_reason = models.TextField(blank=True, default="")
    is_break_glass = models.BooleanField(default=False)

    claimed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    claimed_until = models.DateTimeField(null=True)
    # A question to the requester is open since then: the clocks stand still.
    asked_at = models.DateTimeField(null=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    escalation_level = models.PositiveSmallIntegerField(default=0)
    health = models.CharField(max_length=16, choices=RequestHealth.choices, default=RequestHealth.OK)
    health_reason = models.CharField(max_length=300, blank=True, default="")
    checked_at = models.DateTimeField(db_default=Now())  # when it was last looked at whether anybody can decide it

    class Meta:
        db_table = "approval_request"
        permissions = [
            ("supervise_approvalrequest", "Can reassign, extend and withdraw every approval request"),
            ("break_glass", "Can decide an approval request alone in an emergency"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(closed_at=None, state="PENDING") | Q(closed_at__isnull=False) & ~Q(state="PENDING"),
                name="approval_request_closed_at",
            ),
        ]
        indexes = [
            # The inbox and the team view: what is pending, most urgent first.
            models.Index(fields=["urgent_at", "id"], name="approval_request_urgent", condition=Q(state="PENDING")),
            models.Index(
                fields=["requester", "urgent_at", "id"],
                name="approval_request_requester",
                condition=Q(state="PENDING"),
            ),
            models.Index(fields=["claimed_by"], name="approval_request_claimed", condition=Q(state="PENDING")),
            models.Index(
                fields=["urgent_at", "id"],
                name="approval_request_unhealthy",
                condition=Q(state="PENDING") & ~Q(health="OK"),
            ),
            models.Index(fields=["checked_at"], name="approval_request_checked", condition=Q(state="PENDING")),
            models.Index(fields=["execution_id"], name="approval_request_execution"),
            models.Index(fields=["-closed_at", "-id"], name="approval_request_closed", condition=~Q(state="PENDING")),
            GinIndex(fields=["watcher_ids"], name="approval_request_watchers", fastupdate=False),
        ]

    def __str__(self) -> str:
        return f"{self.title} {self.state}"

    @property
    def is_open(self) -> bool:
        """Whether it can still be decided."""
        return self.state == RequestState.PENDING
