"""What people do with a request besides deciding it: take it, send it on, talk about it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from approvals.models import (
    ApprovalRequest,
    ApprovalTimer,
    Candidate,
    CandidateSource,
    EventKind,
    TimerKind,
)
from approvals.queries.eligibility import Lookup, actions_of
from approvals.rules import Action
from approvals.services.changes import Change, Doer, changing
from approvals.services.closing import move_deadline
from approvals.services.exceptions import ClaimedByOther, InvalidAnswer, NotAllowed
from approvals.services.notices import Notice
from approvals.services.people import user_id_of
from approvals.services.texts import checked_words

CLAIM_HOURS = 4


def claim_request(request_id: UUID, *, actor: AbstractBaseUser, channel: str = "page") -> ApprovalRequest:
    """Take a request for oneself for four hours: nobody else decides it meanwhile. Again: four hours from now.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, or takes more than one answer.
        ClaimedByOther: a colleague was first.
    """
    with changing(request_id) as change:
        request = change.request
        held = request.claimed_until is not None and request.claimed_until > change.now
        if held and request.claimed_by_id == actor.pk:
            change.require(actor, Action.RELEASE)
        else:
            if held and Action.VIEW in actions_of(actor, request, change.now):
                holder = request.claimed_by.get_username() if request.claimed_by is not None else "A colleague"
                raise ClaimedByOther(holder, request.claimed_until)  # type: ignore[arg-type]  # held
            change.require(actor, Action.CLAIM)
        until = change.now + timedelta(hours=CLAIM_HOURS)
        change.set(claimed_by_id=actor.pk, claimed_until=until)
        change.record(EventKind.CLAIMED, Doer.person(actor, channel), until=until.isoformat())
        ApprovalTimer.objects.update_or_create(
            request=request, kind=TimerKind.UNCLAIM, seq=0, defaults={"fire_at": until, "is_held": False}
        )
    return change.request


def release_request(request_id: UUID, *, actor: AbstractBaseUser, channel: str = "page") -> ApprovalRequest:
    """Give a claimed request back to everybody who is asked; a supervisor may do it for another.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, or not theirs to release.
    """
    with changing(request_id) as change:
        change.require(actor, Action.RELEASE)
        end_claim(change, Doer.person(actor, channel))
    return change.request


def end_claim(change: Change, doer: Doer) -> None:
    """Release the claim in a change that is under way."""
    holder = change.request.claimed_by.get_username() if change.request.claimed_by is not None else ""
    change.set(claimed_by_id=None, claimed_until=None)
    change.record(EventKind.RELEASED, doer, held_by=holder)
    ApprovalTimer.objects.filter(request=change.request, kind=TimerKind.UNCLAIM).delete()


def delegate_request(
    request_id: UUID, *, actor: AbstractBaseUser, to: str, comment: str = "", channel: str = "page"
) -> ApprovalRequest:
    """Send a request on to a colleague (a user name), who answers on behalf of `actor`; either of them counts once.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, or they are not asked themselves.
        InvalidAnswer: there is no such colleague, or they may not decide this.
    """
    words = checked_words(comment, "comment")
    with changing(request_id) as change:
        change.require(actor, Action.DELEGATE)
        request = change.request
        colleague = _colleague(change, actor, to)
        username = colleague.get_username()
        Candidate.objects.create(
            request=request,
            user_id=colleague.pk,
            on_behalf_of_id=actor.pk,
            label=username,
            source=CandidateSource.DELEGATION,
            added_at=change.now,
        )
        if request.claimed_by_id == actor.pk:
            end_claim(change, Doer.person(actor, channel))
        seq = change.record(EventKind.DELEGATED, Doer.person(actor, channel), to=username, comment=words)
        change.notify(Notice("delegated", seq, [colleague.pk]))
    return change.request


def _colleague(change: Change, actor: AbstractBaseUser, name: str) -> AbstractBaseUser:
    user_id = user_id_of(name.strip()) if name.strip() and "\x00" not in name else None
    users = get_user_model()._default_manager.filter(is_active=True)
    colleague = None if user_id is None else users.filter(pk=user_id).first()
    if colleague is None:
        raise InvalidAnswer.of(to=_("There is no active user named “%(name)s”.") % {"name": name})
    if colleague.pk == actor.pk:
        raise InvalidAnswer.of(to=_("That is you."))
    lookup, person = Lookup(change.request, change.now), {"person": colleague.get_username()}
    if lookup.barred(colleague.pk):
        raise InvalidAnswer.of(to=_("%(person)s may not decide this: excluded, or the requester.") % person)
    already = any(entry.user_id == colleague.pk and entry.on_behalf_of_id == actor.pk for entry in lookup.entries)
    if already:
        raise InvalidAnswer.of(to=_("%(person)s has it from you already.") % person)
    return colleague


def comment_on_request(
    request_id: UUID, *, actor: AbstractBaseUser, text: str, channel: str = "page"
) -> ApprovalRequest:
    """Add a comment to the history, open or closed; those who take part are told.

    Raises:
        RequestNotFound: there is none, or not for this person.
        InvalidAnswer: empty or too long.
    """
    words = checked_words(text, "text", required=True)
    with changing(request_id) as change:
        change.require(actor, Action.COMMENT)
        seq = change.record(EventKind.COMMENTED, Doer.person(actor, channel), text=words)
        change.notify(Notice("comment", seq, _talking(change), but_not=(actor.pk,)))
    return change.request


def ask_requester(request_id: UUID, *, actor: AbstractBaseUser, text: str, channel: str = "page") -> ApprovalRequest:
    """Ask the requester something; until they reply, the clocks of the request stand still.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, no requester, or a question is open.
        InvalidAnswer: empty or too long.
    """
    words = checked_words(text, "text", required=True)
    with changing(request_id) as change:
        change.require(actor, Action.ASK)
        request = change.request
        change.set(asked_at=change.now, asked_by_id=actor.pk)
        ApprovalTimer.objects.filter(request=request).update(is_held=True)
        # The engine's own timeout stands behind the request's: it must not fall while the question is open.
        move_deadline(request, None)
        seq = change.record(EventKind.ASKED, Doer.person(actor, channel), text=words)
        change.notify(Notice("question", seq, [request.requester_id] if request.requester_id else []))
    return change.request


def reply_to_question(
    request_id: UUID, *, actor: AbstractBaseUser, text: str, channel: str = "page"
) -> ApprovalRequest:
    """Reply to the open question; the clocks go on, moved by the time they stood still.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, or no question is open.
        InvalidAnswer: empty or too long.
    """
    words = checked_words(text, "text", required=True)
    with changing(request_id) as change:
        change.require(actor, Action.REPLY)
        asked_by = change.request.asked_by_id
        resume_clocks(change)
        seq = change.record(EventKind.REPLIED, Doer.person(actor, channel), text=words)
        told = {*_talking(change), *filter(None, [asked_by])}
        change.notify(Notice("reply", seq, sorted(told), but_not=(actor.pk,)))
    return change.request


def resume_clocks(change: Change) -> None:
    """Let the clocks of a request go on, as if the time since the question had not passed."""
    request = change.request
    if request.asked_at is None:
        raise NotAllowed(Action.REPLY, "No question is open.")
    stood_still = change.now - request.asked_at
    for timer in ApprovalTimer.objects.filter(request=request):
        timer.fire_at += stood_still
        timer.is_held = False
        timer.save(update_fields=["fire_at", "is_held"])
    moved = {
        name: value + stood_still
        for name in ("due_at", "expires_at", "claimed_until")
        if (value := getattr(request, name)) is not None
    }
    change.set(asked_at=None, asked_by_id=None, urgent_at=request.urgent_at + stood_still, **moved)
    move_deadline(request, request.expires_at)


def _talking(change: Change) -> list[int]:
    """Who takes part: the requester, those who voted, watch, hold it, or have said something."""
    request = change.request
    said = request.events.exclude(actor_id=None).values_list("actor_id", flat=True)
    found = {*said, *request.watcher_ids, request.requester_id, request.claimed_by_id}
    return sorted(user_id for user_id in found if user_id is not None)
