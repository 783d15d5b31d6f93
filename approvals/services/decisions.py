"""`decide`: the only writer of people's answers. Pages, links, bulk, the API and emergencies all end here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError
from django.utils.translation import gettext as _

from approvals.evaluation import Ballot, Verdict, evaluate, needs_electorate
from approvals.models import ApprovalRequest, Attachment, EventKind, LinkToken, RequestState, Vote
from approvals.queries.eligibility import Lookup, electorate_of
from approvals.rules import Action, Standing, allowed_actions
from approvals.services.changes import REFUSALS, Change, Doer, already_decided, changing
from approvals.services.closing import STATES, conclude, decision_of
from approvals.services.exceptions import (
    AlreadyVoted,
    ClaimedByOther,
    Conflict,
    InvalidAnswer,
    NotAllowed,
    OperationIdReused,
    RequestExpired,
    RequestNotFound,
    StaleSubject,
)
from approvals.services.forms import Answer, FileOf, answer_of
from approvals.services.texts import checked_words

LONGEST_OPERATION_ID = 64
BREAK_GLASS = "break glass"


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of an answer.

    `request` is the row as it now stands. `is_final`: the answer decided the request and the execution goes on;
    otherwise it was counted and more are needed. `is_repeat`: it had been counted before, by the same operation id.
    """

    request: ApprovalRequest
    vote: Vote
    is_final: bool
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class _Sent:
    """An answer as it came in."""

    actor: AbstractBaseUser
    choice: str
    data: Mapping[str, Any] | None
    files: Mapping[str, Any] | None
    comment: str
    operation_id: str
    digest: str
    channel: str
    on_behalf_of: int | None


def decide(
    request_id: UUID,
    *,
    actor: AbstractBaseUser,
    choice: str,
    operation_id: str,
    digest: str,
    data: Mapping[str, Any] | None = None,
    files: Mapping[str, Any] | None = None,
    comment: str = "",
    channel: str = "page",
    on_behalf_of: int | None = None,
    link: LinkToken | None = None,
) -> Decided:
    """Count one person's answer and, if it decides, complete the callback: all in one transaction.

    `choice` is the key of one of `request.choices`. `operation_id` is made by the sender, once for each answer (a
    hidden field of the page): the same one again gives the same result and counts nothing. `digest` is
    `request.digest` as the person saw it. `data` and `files` are the form's fields by their own names
    (`forms.form_data(request.POST)`). `channel`: page, link, api or bulk. `on_behalf_of` is the user id of the
    colleague for whom the person acts; None acts for oneself, or for the only colleague who is asked.

    Raises:
        RequestNotFound: there is none, or not for this person.
        AlreadyDecided: somebody was first; says who and when. ExecutionEnded: the execution ended or was answered.
        RequestExpired: the time is over. StaleSubject: they saw something else. AlreadyVoted: they have answered.
        ClaimedByOther: a colleague works on it. NotAllowed: they are not asked, or excluded.
        InvalidAnswer: choice, comment, operation id or form fields; the request stays open.
        OperationIdReused: the id belongs to another answer. Conflict: changed at the same moment; look again.
    """
    sent = _Sent(actor, choice, data, files, comment, _checked_id(operation_id), digest, channel, on_behalf_of)
    try:
        with changing(request_id) as change:
            return _decide(change, sent, link)
    except IntegrityError as error:
        raise _of_constraint(error) from error


def break_glass(
    request_id: UUID, *, actor: AbstractBaseUser, choice: str, reason: str, operation_id: str, digest: str
) -> Decided:
    """Decide alone, without quorum, claim or being asked: with a right of its own, a reason, and a mark that stays.

    Never for one's own request. Everybody who was asked is told.

    Raises:
        RequestNotFound, AlreadyDecided, ExecutionEnded, RequestExpired, StaleSubject, NotAllowed, OperationIdReused,
        Conflict: as `decide`.
        InvalidAnswer: no reason, or no such choice. A form is not asked for, and `data` stays empty.
    """
    sent = _Sent(actor, choice, None, None, reason, _checked_id(operation_id), digest, BREAK_GLASS, None)
    try:
        with changing(request_id) as change:
            return _break_glass(change, sent)
    except IntegrityError as error:
        raise _of_constraint(error) from error


def _decide(change: Change, sent: _Sent, link: LinkToken | None) -> Decided:
    request = change.request
    # Each answer is an event: with no more than its opening there is none to look for.
    votes = list(Vote.objects.filter(request=request).order_by("pk")) if request.revision > 1 else []
    if repeat := _repeat(change, votes, sent):
        return repeat
    lookup = Lookup(request, change.now, votes, sent.actor.pk)
    standing = lookup.standing(sent.actor, to_decide=sent.on_behalf_of is None)
    _check_open(change, standing)
    seat, seat_label, groups = _seat(change, lookup, standing, sent)
    _check_channel(request, sent, link)
    _check_digest(request, sent)
    rule, answer = _checked_answer(request, sent)
    vote = _cast(change, sent, rule, answer, seat=seat, seat_label=seat_label, groups=groups)
    votes.append(vote)
    _use_up(change, sent, link)
    verdict = _verdict(request, votes)
    if verdict is not None:
        decision = decision_of(request, votes, verdict.outcome, vote)
        doer = Doer.person(sent.actor, sent.channel)
        told = {each.voter_id for each in votes}
        conclude(change, decision, by=doer, state=STATES[verdict.outcome], kind=EventKind.DECIDED, told=told)
    return Decided(request, vote, is_final=verdict is not None, is_repeat=False)


def _break_glass(change: Change, sent: _Sent) -> Decided:
    request = change.request
    votes = list(Vote.objects.filter(request=request).order_by("pk"))
    if repeat := _repeat(change, votes, sent):
        return repeat
    change.require(sent.actor, Action.BREAK_GLASS)
    _check_time(change)
    _check_digest(request, sent)
    rule, comment = _choice(request, sent.choice), checked_words(sent.comment, "reason", required=True)
    own = next((vote for vote in votes if sent.actor.pk in (vote.voter_id, vote.seat_id)), None)
    doer = Doer.person(sent.actor, BREAK_GLASS)
    vote = _vote(change, sent, rule, Answer(), comment=comment, seat=sent.actor.pk, seat_label="", groups=frozenset())
    if own is None:
        change.add_vote(vote)
        votes.append(vote)
    change.record(EventKind.BROKE_GLASS, doer, choice=rule["key"], reason=comment, operation_id=sent.operation_id)
    outcome = {"approve": "approved", "reject": "rejected"}.get(rule["outcome"], "answered")
    decision = decision_of(request, votes, outcome, vote, is_break_glass=True)
    told = {*electorate_of(request), *(each.voter_id for each in votes)}
    conclude(change, decision, by=doer, state=STATES[outcome], kind=EventKind.DECIDED, told=told)
    return Decided(request, vote, is_final=True, is_repeat=False)


def _repeat(change: Change, votes: list[Vote], sent: _Sent) -> Decided | None:
    """The same answer again: a double click, a reload, a client that lost the reply."""
    vote = next((vote for vote in votes if vote.operation_id == sent.operation_id), None)
    if vote is None:
        return None
    if vote.voter_id != sent.actor.pk or vote.choice != sent.choice:
        raise OperationIdReused
    return Decided(change.request, vote, is_final=not change.request.is_open, is_repeat=True)


def _check_open(change: Change, standing: Standing) -> None:
    if Action.VIEW not in allowed_actions(standing):
        raise RequestNotFound(change.request.pk)
    _check_time(change)


def _check_time(change: Change) -> None:
    request = change.request
    if not request.is_open:
        if request.state == RequestState.EXPIRED and request.closed_at is not None:
            raise RequestExpired(request.closed_at, (change.now - request.closed_at).total_seconds())
        raise already_decided(request, change.now)
    # While a question to the requester is open the clock stands still.
    if request.asked_at is None and request.expires_at is not None and request.expires_at <= change.now:
        raise RequestExpired(request.expires_at, (change.now - request.expires_at).total_seconds())


def _seat(change: Change, lookup: Lookup, standing: Standing, sent: _Sent) -> tuple[int, str, frozenset[str]]:
    """Return for whom the answer counts: user id, name if it is a colleague, and groups."""
    if standing.has_voted:
        mine = (vote for vote in lookup.votes if sent.actor.pk in (vote.voter_id, vote.seat_id))
        vote = next(mine)
        who = "You" if vote.voter_id == sent.actor.pk else vote.voter_label
        raise AlreadyVoted(who, (change.now - vote.created_at).total_seconds())
    _check_claim(change, standing)
    if standing.stands_in and not standing.may_act:
        _check_colleagues(change, lookup, sent)
    if Action.DECIDE not in allowed_actions(standing):
        raise NotAllowed(Action.DECIDE, standing.was_excluded or REFUSALS[Action.DECIDE])
    own = sent.actor.pk
    if sent.on_behalf_of == own or (sent.on_behalf_of is None and standing.is_candidate):
        if not standing.is_candidate:
            raise NotAllowed(Action.DECIDE, standing.was_excluded or REFUSALS[Action.DECIDE])
        return own, "", standing.groups
    return _principal(lookup, standing, sent)


def _check_colleagues(change: Change, lookup: Lookup, sent: _Sent) -> None:
    """Somebody answers for a colleague who has just answered: they are told by whom, not that nobody asked them."""
    colleagues = lookup.colleagues(sent.actor.pk)
    vote = next((vote for vote in lookup.votes if vote.seat_id in colleagues or vote.voter_id in colleagues), None)
    if vote is not None:
        raise AlreadyVoted(vote.voter_label, (change.now - vote.created_at).total_seconds())


def _principal(lookup: Lookup, standing: Standing, sent: _Sent) -> tuple[int, str, frozenset[str]]:
    principals = standing.principals
    chosen = next(iter(principals)) if sent.on_behalf_of is None else sent.on_behalf_of
    if sent.on_behalf_of is None and len(principals) > 1:
        names = ", ".join(principals.values())
        raise InvalidAnswer.of(on_behalf_of=_("You may answer for %(names)s. Choose for whom.") % {"names": names})
    if chosen not in principals:
        raise NotAllowed(Action.DECIDE, "You may not answer this for that colleague.")
    return chosen, principals[chosen], lookup.seat(chosen)[1]


def _check_claim(change: Change, standing: Standing) -> None:
    request = change.request
    if standing.is_claimed_by_other and standing.may_act and request.claimed_until is not None:
        holder = request.claimed_by.get_username() if request.claimed_by is not None else "A colleague"
        raise ClaimedByOther(holder, request.claimed_until)


def _check_channel(request: ApprovalRequest, sent: _Sent, link: LinkToken | None) -> None:
    """Ways that a handler has to open for its request."""
    if sent.channel == "bulk" and (not request.policy["bulk"] or request.form is not None):
        raise NotAllowed(Action.DECIDE, "This one has to be decided on its own page.")
    if sent.channel == "link" and link is None:
        raise NotAllowed(Action.DECIDE, "A link answers only with its token.")


def _check_digest(request: ApprovalRequest, sent: _Sent) -> None:
    if sent.digest != request.digest:
        raise StaleSubject(request.digest)


def _checked_answer(request: ApprovalRequest, sent: _Sent) -> tuple[dict[str, Any], Answer]:
    rule = _choice(request, sent.choice)
    _comment(rule, sent.comment)
    if not rule["with_form"]:
        # Who rejects need not fill in what approval asks for; what they typed of it is not kept.
        return rule, Answer()
    return rule, answer_of(request.form, sent.data, sent.files)


def _choice(request: ApprovalRequest, key: str) -> dict[str, Any]:
    for rule in request.choices:
        if rule["key"] == key:
            found: dict[str, Any] = rule
            return found
    known = ", ".join(rule["key"] for rule in request.choices)
    raise InvalidAnswer.of(choice=f"Choose one of {known}." if known else "There is nothing to choose.")


def _comment(rule: Mapping[str, Any], comment: str) -> str:
    text = checked_words(comment, "comment")
    if rule["comment"] == "required" and not text:
        raise InvalidAnswer.of(comment=_("Say why."))
    return text


def _cast(
    change: Change,
    sent: _Sent,
    rule: Mapping[str, Any],
    answer: Answer,
    *,
    seat: int,
    seat_label: str,
    groups: frozenset[str],
) -> Vote:
    comment = _comment(rule, sent.comment)
    vote = _vote(change, sent, rule, answer, comment=comment, seat=seat, seat_label=seat_label, groups=groups)
    change.add_vote(vote, (_attachment(vote, each) for each in answer.files))
    change.record(
        EventKind.VOTED,
        Doer.person(sent.actor, sent.channel),
        on_behalf_of=seat_label,
        choice=rule["key"],
        outcome=rule["outcome"],
        comment=comment,
        data=answer.data,
        digest=sent.digest,
        seat_id=seat,
        operation_id=sent.operation_id,
    )
    return vote


def _attachment(vote: Vote, file: FileOf) -> Attachment:
    return Attachment(
        id=file.id,
        request=vote.request,
        vote=vote,
        field=file.field,
        name=file.name,
        content_type=file.content_type,
        size=file.size,
        sha256=file.sha256,
        content=file.content,
    )


def _vote(
    change: Change,
    sent: _Sent,
    rule: Mapping[str, Any],
    answer: Answer,
    *,
    comment: str,
    seat: int,
    seat_label: str,
    groups: frozenset[str],
) -> Vote:
    request = change.request
    return Vote(
        request=request,
        operation_id=sent.operation_id,
        voter_id=sent.actor.pk,
        voter_label=sent.actor.get_username()[:254],
        on_behalf_of_id=seat if seat_label else None,
        on_behalf_of_label=seat_label[:254],
        seat_id=seat,
        choice=rule["key"],
        outcome=rule["outcome"],
        groups=sorted(groups),
        data=answer.data,
        comment=comment,
        channel=sent.channel,
        digest=sent.digest,
        separate_in=request.execution_id if request.is_separate and sent.channel != BREAK_GLASS else None,
        created_at=change.now,
    )


def _use_up(change: Change, sent: _Sent, link: LinkToken | None) -> None:
    """What served this answer, or belonged to it unsent, goes with it."""
    if sent.channel != "api":
        change.forget_draft(sent.actor.pk)
    if link is not None:
        # Looked at again here: it may have been used or revoked since it was opened.
        valid = LinkToken.objects.filter(
            pk=link.pk, request=change.request, user=sent.actor.pk, used_at=None, revoked_at=None
        )
        if not valid.update(used_at=change.now):
            raise Conflict("This link was used before, or leads nowhere any longer.", fix="Sign in to answer.")
    if change.request.claimed_by_id == sent.actor.pk:
        change.set(claimed_by_id=None, claimed_until=None)


def _verdict(request: ApprovalRequest, votes: list[Vote]) -> Verdict | None:
    quorum = request.policy["quorum"]
    ballots = [Ballot(vote.seat_id, vote.outcome, vote.choice, frozenset(vote.groups)) for vote in votes]
    return evaluate(quorum, ballots, electorate_of(request) if needs_electorate(quorum) else None)


def _checked_id(operation_id: object) -> str:
    if not isinstance(operation_id, str) or not 8 <= len(operation_id) <= LONGEST_OPERATION_ID:
        raise InvalidAnswer.of(
            operation_id=f"Give a text of 8 to {LONGEST_OPERATION_ID} characters, new for each answer."
        )
    if not operation_id.isascii() or not operation_id.isprintable():
        raise InvalidAnswer.of(operation_id="Use printable ASCII characters.")
    return operation_id


def _of_constraint(error: IntegrityError) -> Exception:
    """Two answers at the same moment to different requests: the constraints tell what the look-ups could not."""
    text = str(error)
    if "approval_vote_operation" in text:
        return OperationIdReused()
    if "approval_vote_separate" in text:
        return NotAllowed(
            Action.DECIDE, "You decided another request of the same process, and each needs somebody else."
        )
    if "approval_vote_" in text:
        return Conflict("You answered this a moment ago; everybody counts once.")
    return error
