"""Opens a request: in the submitter's step, once for each callback, and never to nobody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from approvals.clock import database_now
from approvals.evaluation import can_be_met, needed
from approvals.models import (
    ApprovalRequest,
    ApprovalTimer,
    Attachment,
    Candidate,
    EventKind,
    RequestHealth,
    RequestState,
    TimerKind,
)
from approvals.queries.eligibility import electorate_of_entries
from approvals.sdk.exceptions import ApprovalError, ApprovalNotOpened
from approvals.sdk.spec import ApprovalSpec
from approvals.services.changes import PERDURE, Change, changing, labels_of, urgent_at
from approvals.services.exceptions import NobodyCanDecide
from approvals.services.notices import Notice
from approvals.services.people import candidates_of, user_id_of, user_ids_of
from durable_engine.queries.callbacks import CallbackView, callback_by_key
from durable_engine.services.callback_ids import parse_callback_id
from durable_engine.services.exceptions import CallbackNotFound, DurableServiceError


class DatabaseRequests:
    """Where handlers open requests: set by the app at its start."""

    def open(self, callback_id: str, name: str, spec: ApprovalSpec) -> str:
        """Open the request of a callback and return its id; the same one when it exists.

        Raises:
            ApprovalNotOpened: the people don't exist, or could never reach the quorum.
        """
        try:
            return str(open_request(parse_callback_id(callback_id), name, spec).pk)
        except DurableServiceError as error:
            raise ApprovalNotOpened(str(error)) from error

    def attachment(self, attachment_id: str) -> bytes:
        """Return the content of a file that came with an answer.

        Raises:
            ApprovalError: there is none with this id.
        """
        try:
            content = Attachment.objects.filter(pk=UUID(attachment_id)).values_list("content", flat=True).first()
        except ValueError:
            content = None
        if content is None:
            raise ApprovalError(f"there is no attachment {attachment_id[:64]!r}")
        return bytes(content)

    def withdraw(self, callback_id: str, reason: str) -> None:
        """Take the question back, unless it is decided."""
        from approvals.services.withdrawing import withdraw_by_handler

        withdraw_by_handler(parse_callback_id(callback_id), reason)


@transaction.atomic
def open_request(
    callback_key: UUID, name: str, spec: ApprovalSpec, *, copied_from: ApprovalRequest | None = None
) -> ApprovalRequest:
    """Open the request of a callback, tell the people, set the timers; returns the one there is when it was opened.

    A submitter may run twice, even at once: the callback's key is unique, and the second waits for the first.
    `copied_from`: the request of the execution that this one goes on from. It is asked again in any case, and shown as
    undecidable when its people are gone: no handler is there to be told.

    Raises:
        CallbackNotFound: there is no such callback.
        NobodyCanDecide: the people don't exist, or could never reach the quorum, nor could the fallback.
    """
    callback = callback_by_key(callback_key)
    if callback is None:
        raise CallbackNotFound
    now = database_now()
    row = _row(callback, name, spec, now)
    ApprovalRequest.objects.bulk_create([row], ignore_conflicts=True)
    with changing(ApprovalRequest.objects.values_list("pk", flat=True).get(callback_key=callback_key)) as change:
        if change.request.pk == row.pk:
            _fill(change, spec, copied_from)
    return change.request


def _row(callback: CallbackView, name: str, spec: ApprovalSpec, now: datetime) -> ApprovalRequest:
    subject, policy = spec.subject, spec.policy
    due_at, expires_at = _after(now, policy["due_seconds"]), _after(now, policy["expires_seconds"])
    requester_id = user_id_of(subject["requester"]) if subject["requester"] else None
    excluded = user_ids_of(policy["exclude"])
    if requester_id is not None and not policy["requester_may_decide"]:
        excluded = sorted({*excluded, requester_id})
    return ApprovalRequest(
        callback_key=callback.id,
        execution_id=callback.execution_id,
        operation_id=callback.operation_id,
        function=callback.function,
        execution_name=callback.execution_name,
        name=name,
        title=subject["title"],
        description=subject["description"],
        details=subject["details"],
        form=subject["form"],
        choices=subject["choices"],
        digest=spec.digest,
        requester_id=requester_id,
        requester_label=subject["requester"],
        policy=dict(policy),
        excluded_ids=excluded,
        is_separate=policy["separate"],
        opened_at=now,
        checked_at=now,
        due_at=due_at,
        expires_at=expires_at,
        urgent_at=urgent_at(now, due_at, expires_at),
    )


def _fill(change: Change, spec: ApprovalSpec, copied_from: ApprovalRequest | None) -> None:
    request, policy, problem = change.request, spec.policy, ""
    try:
        entries = _satisfying(request, policy, change.now)
    except NobodyCanDecide as error:
        if copied_from is None:
            raise
        entries, problem = [], str(error)[:300]
    Candidate.objects.bulk_create(entries)
    ApprovalTimer.objects.bulk_create(timers_of(request))
    facts = {} if copied_from is None else {"copied_from": str(copied_from.pk)}
    seq = change.record(
        EventKind.OPENED,
        PERDURE,
        digest=request.digest,
        assignees=labels_of(entries),
        state=RequestState.PENDING.value,
        **facts,
    )
    change.notify(Notice("requested", seq))
    if problem:
        change.set(health=RequestHealth.UNSATISFIABLE, health_reason=problem)
        change.record(EventKind.HEALTH, PERDURE, health=RequestHealth.UNSATISFIABLE.value, reason=problem)


def _satisfying(request: ApprovalRequest, policy: Mapping[str, Any], now: datetime) -> list[Candidate]:
    """Return the assignees if they can reach the quorum, otherwise the fallback."""
    try:
        entries = candidates_of(policy["assignees"], request, now)
        check_satisfiable(request, entries)
    except NobodyCanDecide:
        if not policy["fallback"]:
            raise
        entries = candidates_of(policy["fallback"], request, now)
        check_satisfiable(request, entries)
    return entries


def check_satisfiable(request: ApprovalRequest, entries: list[Candidate]) -> None:
    """Refuse people who could never approve the request, even if all of them agreed.

    Raises:
        NobodyCanDecide: says how many there are and how many are needed.
    """
    quorum = request.policy["quorum"]
    electorate = electorate_of_entries(entries, excluded=request.excluded_ids)
    if electorate and can_be_met(quorum, (), electorate):
        return
    wanted = needed(quorum, len(electorate))
    groups = "".join(f", {count} of them of {group}" for group, count in (quorum.get("per_group") or {}).items())
    raise NobodyCanDecide(
        f"{len(electorate)} active people may decide this (without the requester and the excluded), and it takes "
        f"{wanted}{groups}.",
        "Ask more people, lower the quorum, or give fallback=.",
    )


def timers_of(request: ApprovalRequest) -> list[ApprovalTimer]:
    """Return the timers of a new request, unsaved."""
    found = []
    for seq, timer in enumerate(request.policy["timers"]):
        payload = {key: timer[key] for key in ("action", "people") if key in timer}
        found.append(
            _timer(request, TimerKind(timer["kind"]), _after(request.opened_at, timer["after_seconds"]), seq, payload)
        )
    found.append(_timer(request, TimerKind.DUE, request.due_at))
    found.append(_timer(request, TimerKind.EXPIRE, request.expires_at))
    return [timer for timer in found if timer is not None]


def _timer(
    request: ApprovalRequest,
    kind: TimerKind,
    fire_at: datetime | None,
    seq: int = 0,
    payload: Mapping[str, Any] | None = None,
) -> ApprovalTimer | None:
    if fire_at is None:
        return None
    return ApprovalTimer(request=request, kind=kind, seq=seq, fire_at=fire_at, payload=dict(payload or {}))


def _after(start: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else start + timedelta(seconds=seconds)
