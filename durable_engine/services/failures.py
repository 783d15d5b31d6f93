"""What people say about a group of failures: resolved, muted, or open again. One transaction each, audited."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from durable_engine.models import FailureGroup, FailureGroupStatus
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.exceptions import ActionRefused, DurableServiceError
from durable_engine.services.validation import checked_reason
from durable_engine.storage.clock import ClockTimestamp


class FailureGroupNotFound(DurableServiceError):
    """No group has this id."""

    status_code = 404

    def __init__(self, group_id: UUID) -> None:
        super().__init__(f"There is no group of failures {group_id}.", field="group_id")


def resolve_group(group_id: UUID, *, actor: Actor, reason: str = "") -> None:
    """Say that the problem is mended. The group opens again by itself when something of it fails after this.

    Raises:
        FailureGroupNotFound: there is no such group.
        ActionRefused: it is resolved already.
        InvalidInput: the reason can't be accepted.
    """
    _set_status(group_id, FailureGroupStatus.RESOLVED, "resolve_failure_group", actor, reason)


def mute_group(group_id: UUID, *, actor: Actor, reason: str = "") -> None:
    """Say that nobody needs to look: the group goes on counting and stays out of sight until it is reopened.

    Raises:
        FailureGroupNotFound, ActionRefused, InvalidInput: as `resolve_group`.
    """
    _set_status(group_id, FailureGroupStatus.MUTED, "mute_failure_group", actor, reason)


def reopen_group(group_id: UUID, *, actor: Actor, reason: str = "") -> None:
    """Put a group back among those that somebody has to look at.

    Raises:
        FailureGroupNotFound, ActionRefused, InvalidInput: as `resolve_group`.
    """
    _set_status(group_id, FailureGroupStatus.OPEN, "reopen_failure_group", actor, reason)


@transaction.atomic
def _set_status(group_id: UUID, status: FailureGroupStatus, action: str, actor: Actor, reason: str) -> None:
    reason = checked_reason(reason)
    group = FailureGroup.objects.select_for_update().filter(pk=group_id).first()
    if group is None:
        raise FailureGroupNotFound(group_id)
    if group.status == status:
        by = f" by {group.status_by}" if group.status_by else ""
        message = f"The group is {status.label.lower()} already{by}."
        raise ActionRefused(message)
    FailureGroup.objects.filter(pk=group_id).update(
        status=status, status_at=ClockTimestamp(), status_by=actor.label[:256]
    )
    details = {"group": str(group_id), "function": group.function, "error_type": group.error_type, "was": group.status}
    record_audit(actor, action, reason=reason, details=details)
