"""One change of one request: locked, collected, written at the end with its events and its messages, or not at all.

The lock makes writers wait for each other; the comparison with the revision in the writing statement is the guarantee
that none of them overtakes another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext_noop

from approvals.clock import moved
from approvals.models import (
    ActorKind,
    ApprovalEvent,
    ApprovalRequest,
    ApprovalTimer,
    Attachment,
    Candidate,
    EventKind,
    LinkToken,
    RequestState,
    Vote,
)
from approvals.queries.eligibility import actions_of
from approvals.rules import Action
from approvals.services.exceptions import AlreadyDecided, Conflict, NotAllowed, RequestNotFound
from approvals.services.notices import Notice, enqueue_notices
from approvals.storage import lock_request, write_change

# Requests without a due time come after all others of the inbox, oldest first.
NEVER = timedelta(days=3_650)


@dataclass(frozen=True, slots=True)
class Doer:
    """Who changes a request, as the history keeps it; `user` is None for programs and for Perdure itself."""

    label: str
    user: AbstractBaseUser | None = None
    kind: str = ActorKind.PERSON
    channel: str = "page"

    @classmethod
    def person(cls, user: AbstractBaseUser, channel: str = "page") -> Doer:
        """Return the doer for a logged-in person."""
        return cls(user.get_username(), user, ActorKind.PERSON, channel)


PERDURE = Doer("Perdure", None, ActorKind.SYSTEM, "")


class Change:
    """A locked request and what will be written about it. `now` is the database's clock at the time of locking."""

    def __init__(self, request: ApprovalRequest, now: datetime) -> None:
        self.request = request
        self.now = now
        self._seen_revision = request.revision
        self._columns: dict[str, Any] = {}
        self._events: list[ApprovalEvent] = []
        self._notices: list[Notice] = []
        self._closes = False
        self._vote: Vote | None = None
        self._attachments: list[Attachment] = []
        self._draft_of: int | None = None

    def set(self, **columns: Any) -> None:
        """Change columns of the request; the object shows them at once."""
        for name, value in columns.items():
            setattr(self.request, name, value)
        self._columns |= columns

    def record(self, kind: EventKind, doer: Doer, *, on_behalf_of: str = "", **data: Any) -> int:
        """Add a line to the history; returns its number."""
        self.request.revision += 1
        self._events.append(
            ApprovalEvent(
                request=self.request,
                seq=self.request.revision,
                at=self.now,
                kind=kind,
                actor_kind=doer.kind,
                actor_id=None if doer.user is None else doer.user.pk,
                actor_label=doer.label[:254],
                on_behalf_of_label=on_behalf_of[:254],
                channel=doer.channel,
                data=data,
            )
        )
        return self.request.revision

    def add_vote(self, vote: Vote, attachments: Iterable[Attachment] = ()) -> None:
        """Add somebody's answer, with its files; it has its id when the change is written."""
        self._vote = vote
        self._attachments = list(attachments)

    def forget_draft(self, user_id: int) -> None:
        """Delete what somebody has typed and not sent."""
        self._draft_of = user_id

    def notify(self, notice: Notice) -> None:
        """Tell people once the change is committed."""
        self._notices.append(notice)

    def require(self, user: AbstractBaseUser, action: Action) -> None:
        """Refuse unless the user may do this now.

        Raises:
            RequestNotFound: the request does not exist for them.
            AlreadyDecided: it is closed.
            NotAllowed: they may see it, and not do this.
        """
        allowed = actions_of(user, self.request, self.now)
        if Action.VIEW not in allowed:
            raise RequestNotFound(self.request.pk)
        if action not in allowed:
            if not self.request.is_open:
                raise already_decided(self.request, self.now)
            raise NotAllowed(action, REFUSALS[action])

    def close(self, state: RequestState, *, by: Doer, **columns: Any) -> None:
        """End the request for good: nobody is asked any longer, no timer fires, no link opens it."""
        has_timers = self._may_have_timers()
        self.set(
            state=state,
            closed_at=self.now,
            closed_by_id=None if by.user is None else by.user.pk,
            closed_by_label=by.label[:254] if by.kind != ActorKind.SYSTEM else "",
            claimed_by_id=None,
            claimed_until=None,
            asked_at=None,
            asked_by_id=None,
            **columns,
        )
        if has_timers:
            ApprovalTimer.objects.filter(request=self.request).delete()
        self._closes = True
        if self.request.policy.get("link") == "confirm":
            LinkToken.objects.filter(request=self.request, revoked_at=None).update(revoked_at=self.now)

    def _may_have_timers(self) -> bool:
        request = self.request
        return bool(request.due_at or request.expires_at or request.claimed_until or request.policy["timers"])

    def write(self) -> None:
        """Write what was collected.

        Raises:
            Conflict: somebody else changed the request since it was read.
        """
        if not self._events:
            return
        is_written = write_change(
            self.request,
            seen_revision=self._seen_revision,
            columns=self._columns,
            events=self._events,
            closes=self._closes,
            vote=self._vote,
            draft_of=self._draft_of,
        )
        if not is_written:
            raise Conflict("Somebody else changed the request at the same moment.", fix="Look at it again.")
        Attachment.objects.bulk_create(self._attachments)
        enqueue_notices(self.request, self._notices)


REFUSALS = {
    Action.VIEW: gettext_noop("You may not see this request."),
    Action.DECIDE: gettext_noop("You are not among the people who may decide this."),
    Action.CLAIM: gettext_noop("You can't take this request for yourself."),
    Action.RELEASE: gettext_noop("You don't hold this request."),
    Action.DELEGATE: gettext_noop("Only those who are asked themselves can send a request on."),
    Action.COMMENT: gettext_noop("You may not comment on this request."),
    Action.ASK: gettext_noop("Only those who may decide can ask the requester, one question at a time."),
    Action.REPLY: gettext_noop("Only the requester can reply, while a question is open."),
    Action.REASSIGN: gettext_noop("Reassigning needs the right to supervise approvals."),
    Action.EXTEND: gettext_noop("Extending needs the right to supervise approvals."),
    Action.WITHDRAW: gettext_noop("Only the requester and supervisors can withdraw a request."),
    Action.BREAK_GLASS: gettext_noop(
        "Deciding alone in an emergency needs a right of its own, and is never for one's own request."
    ),
}


@contextmanager
def changing(request_id: UUID, *, skip_locked: bool = False) -> Iterator[Change]:
    """Lock a request, let the caller collect a change, write it; all in one transaction.

    Raises:
        RequestNotFound: there is none, or with `skip_locked` somebody holds it.
        Conflict: somebody else changed the request since it was read.
    """
    with transaction.atomic():
        locked = lock_request(request_id, skip_locked=skip_locked)
        if locked is None:
            raise RequestNotFound(request_id)
        request, now = locked
        change = Change(request, moved(now))
        yield change
        change.write()


def already_decided(request: ApprovalRequest, now: datetime) -> AlreadyDecided:
    """Return the error that says who was first, and when."""
    at = request.closed_at
    seconds = 0.0 if at is None else max(0.0, (now - at).total_seconds())
    return AlreadyDecided(request.outcome or "cancelled", request.closed_by_label, at, seconds)


def urgent_at(opened_at: datetime, due_at: datetime | None, expires_at: datetime | None) -> datetime:
    """Return a request's place in the inbox."""
    return due_at or expires_at or opened_at + NEVER


def labels_of(entries: Sequence[Candidate]) -> list[str]:
    """Return the names of candidates, for the history."""
    return [entry.label for entry in entries]
