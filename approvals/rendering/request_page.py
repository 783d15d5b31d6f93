"""What the page of one request shows, put together from the request, its votes, its people and its history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from approvals.models import ApprovalEvent, ApprovalRequest, Candidate, CandidateSource, EventKind, Vote
from approvals.queries.requests import RequestView
from approvals.rendering.details import Piece, label_of, piece_of
from approvals.rendering.history import line_of
from approvals.rules import Action

TONES = {"approve": "succeeded", "reject": "failed", "answer": "running"}
STYLES = {"approve": "button-approve", "reject": "button-danger-fill", "answer": ""}
HISTORY_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ChoiceButton:
    """One button of the decision."""

    key: str
    label: str
    style: str
    needs_comment: bool


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One answer, as the list of people shows it."""

    person: str
    on_behalf_of: str
    label: str
    tone: str
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Awaited:
    """Somebody who is asked, and how that came about."""

    label: str
    note: str


@dataclass(frozen=True, slots=True)
class Said:
    """A comment, a question or a reply."""

    person: str
    label: str
    tone: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ItemAction:
    """Something else that can be done with the request: a form of its own, or at once."""

    label: str
    url: str
    is_post: bool = False
    style: str = ""


def context_of(view: RequestView) -> dict[str, Any]:
    """Return what the templates of a request show, apart from the form."""
    item = view.request
    return {
        "item": item,
        "state": state_of(view),
        "actions": view.actions,
        "item_actions": item_actions(item, view.actions),
        "votes": vote_rows(view.votes, choice_labels(item)),
        "awaited": awaited_people(view) if item.is_open else [],
        "quorum_text": quorum_text(item, view.votes),
        "expiry_note": expiry_note(item),
        "claim_text": claim_text(view),
        "said": said_in(view.events),
        "history": lines_of(item, view.events),
        "filled_in": filled_in(item, (item.result or {}).get("data") or {}),
        "server_now": timezone.now().isoformat(),
    }


def state_of(view: RequestView) -> str:
    """Return the state as pages show it: an open request may be overdue, or wait for a reply."""
    if not view.request.is_open:
        return view.request.state
    if view.request.asked_at is not None:
        return "QUESTION"
    return "OVERDUE" if view.is_overdue else "PENDING"


def choice_labels(request: ApprovalRequest) -> dict[str, str]:
    """Return the label of each choice, by key."""
    return {rule["key"]: button_label(rule) for rule in request.choices}


def button_label(rule: Mapping[str, Any]) -> str:
    """Return a choice's label; the two everybody knows are translated when the author left them as they are."""
    match rule["label"]:
        case "Approve":
            return _("Approve")
        case "Reject":
            return _("Reject")
    return str(rule["label"])


def buttons_of(request: ApprovalRequest) -> list[ChoiceButton]:
    """Return the buttons of a request."""
    return [
        ChoiceButton(rule["key"], button_label(rule), STYLES.get(rule["outcome"], ""), rule["comment"] == "required")
        for rule in request.choices
    ]


def comment_note(buttons: Sequence[ChoiceButton]) -> str:
    """Return which buttons ask for a comment, in words."""
    labels = [button.label for button in buttons if button.needs_comment]
    return _("“%(labels)s” asks for a comment.") % {"labels": "”, “".join(labels)} if labels else ""


def vote_rows(votes: Iterable[Vote], labels: Mapping[str, str]) -> list[VoteRow]:
    """Return the answers so far."""
    return [
        VoteRow(
            person=vote.voter_label,
            on_behalf_of=vote.on_behalf_of_label,
            label=labels.get(vote.choice, vote.choice),
            tone=TONES.get(vote.outcome, "pending"),
            comment=vote.comment,
            at=vote.created_at,
        )
        for vote in votes
    ]


def awaited_people(view: RequestView) -> list[Awaited]:
    """Return who is asked and has not answered, in the order they were asked."""
    answered = {person for vote in view.votes for person in (vote.voter_id, vote.seat_id)}
    found = [
        Awaited(entry.label, _candidate_note(entry))
        for entry in view.candidates
        if entry.user_id is None or not answered & {entry.user_id, entry.on_behalf_of_id}
    ]
    return list(dict.fromkeys(found))


def _candidate_note(entry: Candidate) -> str:
    kind = _("group") if entry.group_id is not None else _("right") if entry.permission is not None else ""
    match entry.source:
        case CandidateSource.DELEGATION:
            return _("in place of a colleague")
        case CandidateSource.ESCALATION:
            return _("escalated") if not kind else _("%(kind)s, escalated") % {"kind": kind}
        case CandidateSource.REASSIGNED:
            return _("reassigned") if not kind else _("%(kind)s, reassigned") % {"kind": kind}
    return kind


def filled_in(request: ApprovalRequest, data: Mapping[str, Any]) -> Piece | None:
    """Return what a form was filled in with under the labels of its fields, in their order; files as links."""
    schema = request.form or {}
    rules = schema.get("properties", {})
    labels = schema.get("labels") or {name: rule.get("title") or label_of(name) for name, rule in rules.items()}
    ordered = [name for name in labels if name in data] + [name for name in data if name not in labels]
    pairs = [(str(labels.get(name, name)), _field_piece(request, data[name])) for name in ordered]
    return Piece("pairs", pairs=pairs) if pairs else None


def _field_piece(request: ApprovalRequest, value: Any) -> Piece:
    if isinstance(value, Mapping) and "attachment" in value:
        url = reverse("approvals:request-attachment", args=[request.pk, value["attachment"]])
        return Piece("file", str(value.get("name", "")), url)
    return piece_of(value)


def quorum_text(request: ApprovalRequest, votes: Sequence[Vote]) -> str:
    """Return how many have to agree and how many have, in words."""
    quorum = request.policy.get("quorum", {})
    approve, groups = quorum.get("approve", 1), quorum.get("per_group") or {}
    given = sum(1 for vote in votes if vote.outcome == "approve")
    if groups:
        parts = ", ".join(
            _("%(count)s of %(group)s") % {"count": count, "group": name} for name, count in groups.items()
        )
        text = _("Needs %(parts)s.") % {"parts": parts}
    elif approve == "all":
        text = _("Everybody who is asked has to agree.")
    elif isinstance(approve, int):
        if approve == 1:
            return ""
        text = ngettext("%(count)d person has to agree.", "%(count)d people have to agree.", approve) % {
            "count": approve
        }
    else:
        text = _("%(part)s of those who are asked have to agree.") % {"part": approve}
    have = ngettext("%(count)d has so far.", "%(count)d have so far.", given) % {"count": given}
    return f"{text} {have}" if request.is_open else text


def expiry_note(request: ApprovalRequest) -> str:
    """Return what happens at the end of the time, in words."""
    match request.policy.get("on_expire", {}).get("kind"):
        case "reject":
            return _("Then it counts as rejected.")
        case "approve":
            return _("Then it counts as approved.")
        case "raise":
            return _("Then the process goes on without an answer.")
    return _("Then the process goes on with an answer made for this case.")


def claim_text(view: RequestView) -> str:
    """Return who works on it, in words."""
    who, request = view.standing, view.request
    if who.is_claimed_by_me:
        return _("You work on this; nobody else decides it meanwhile.")
    if who.is_claimed_by_other and request.claimed_by is not None:
        return _("%(person)s works on this.") % {"person": request.claimed_by.get_username()}
    return ""


def why_not(view: RequestView) -> str:
    """Return why somebody who looks at an open request can't decide it, in words."""
    who = view.standing
    if who.has_voted:
        return _("You have answered. The others are awaited.")
    if who.is_requester:
        return _("You asked for this, so others decide.")
    if who.was_excluded:
        return who.was_excluded
    if who.is_claimed_by_other:
        return claim_text(view)
    if who.stands_in:
        return _("There is nothing left to answer in your colleague's place.")
    return _("You may look at this; others decide.")


def said_in(events: Iterable[ApprovalEvent]) -> list[Said]:
    """Return what people said, oldest first."""
    looks = {
        EventKind.COMMENTED: ("", ""),
        EventKind.ASKED: (_("Question"), "paused"),
        EventKind.REPLIED: (_("Reply"), "running"),
    }
    return [
        Said(event.actor_label, *looks[EventKind(event.kind)], str(event.data.get("text", "")), event.at)
        for event in events
        if event.kind in looks
    ]


def lines_of(request: ApprovalRequest, events: Sequence[ApprovalEvent]) -> list[Any]:
    """Return the newest lines of the history, newest first."""
    labels = choice_labels(request)
    return [line_of(event, labels) for event in reversed(events)][:HISTORY_SHOWN]


def item_actions(request: ApprovalRequest, actions: frozenset[Action]) -> list[ItemAction]:
    """Return the buttons beside the facts: what this person may do other than decide."""

    def url(name: str) -> str:
        return reverse(f"approvals:request-{name}", args=[request.pk])

    known = (
        (Action.CLAIM, ItemAction(_("Work on it"), url("claim"), is_post=True)),
        (Action.RELEASE, ItemAction(_("Give it back"), url("release"), is_post=True)),
        (Action.DELEGATE, ItemAction(_("Send on"), url("delegate"))),
        (Action.REASSIGN, ItemAction(_("Reassign"), url("reassign"))),
        (Action.EXTEND, ItemAction(_("Give more time"), url("extend"))),
        (Action.WITHDRAW, ItemAction(_("Withdraw"), url("withdraw"), style="button-danger")),
        (Action.BREAK_GLASS, ItemAction(_("Decide in an emergency"), url("break-glass"), style="button-danger")),
    )
    return [action for needed, action in known if needed in actions]
