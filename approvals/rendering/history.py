"""The history of a request as sentences, one for each event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from approvals.models import ActorKind, ApprovalEvent, EventKind
from approvals.rendering.states import look_of


@dataclass(frozen=True, slots=True)
class Line:
    """One event for people: when, who, what happened, and what they said."""

    seq: int
    at: datetime
    kind: str
    actor: str
    text: str
    said: str = ""
    channel: str = ""


def line_of(event: ApprovalEvent, labels: Mapping[str, str]) -> Line:
    """Return the sentence of an event; `labels` are those of the request's choices, by key."""
    sentence = _SENTENCES.get(event.kind, _unknown)
    facts = _Facts(event, labels)
    said = str(event.data.get("comment") or event.data.get("text") or event.data.get("reason") or "")
    return Line(event.seq, event.at, event.kind, facts.actor, sentence(facts), said, event.channel)


class _Facts:
    """What the sentences are made of."""

    def __init__(self, event: ApprovalEvent, labels: Mapping[str, str]) -> None:
        self.event = event
        self.data: Mapping[str, Any] = event.data
        self.actor = _("Perdure") if event.actor_kind == ActorKind.SYSTEM else event.actor_label
        if event.on_behalf_of_label:
            self.actor = _("%(person)s for %(other)s") % {"person": self.actor, "other": event.on_behalf_of_label}
        key = str(event.data.get("choice") or "")
        self.choice = labels.get(key, key)

    @property
    def who(self) -> Mapping[str, str]:
        """The actor, for the placeholder of a sentence."""
        return {"person": self.actor}

    def named(self, name: str) -> str:
        """A list of people or groups of the event's data, as text."""
        value = self.data.get(name) or []
        return value if isinstance(value, str) else ", ".join(str(each) for each in value)


def _opened(facts: _Facts) -> str:
    return _("Opened; asked: %(people)s") % {"people": facts.named("assignees")}


def _voted(facts: _Facts) -> str:
    return _("%(person)s answered: %(choice)s") % {"person": facts.actor, "choice": facts.choice}


def _decided(facts: _Facts) -> str:
    state = look_of(str(facts.data.get("state") or facts.event.kind)).label
    if facts.event.actor_kind == ActorKind.SYSTEM:
        return str(state)
    return _("%(state)s, with the answer of %(person)s") % {"state": state, "person": facts.actor}


def _expired(facts: _Facts) -> str:
    return _("Nobody decided in time")


def _delegated(facts: _Facts) -> str:
    return _("%(person)s sent it on to %(other)s") % {"person": facts.actor, "other": facts.named("to")}


def _reassigned(facts: _Facts) -> str:
    names = {"person": facts.actor, "people": facts.named("to")}
    if facts.data.get("replace", True):
        return _("%(person)s gave it to %(people)s") % names
    return _("%(person)s also asked %(people)s") % names


def _escalated(facts: _Facts) -> str:
    people = {"people": facts.named("people") or facts.named("to")}
    match facts.data.get("action"):
        case "notify":
            return _("Escalated: told %(people)s") % people
        case "replace":
            return _("Escalated: %(people)s decide now") % people
    return _("Escalated: %(people)s may decide too") % people


def _health(facts: _Facts) -> str:
    if facts.data.get("health") == "OK":
        return _("It can be decided again")
    return str(look_of(str(facts.data.get("health"))).label)


def _unknown(facts: _Facts) -> str:
    return f"{facts.actor}: {facts.event.get_kind_display()}"


_SENTENCES: Mapping[str, Callable[[_Facts], str]] = {
    EventKind.OPENED: _opened,
    EventKind.VOTED: _voted,
    EventKind.DECIDED: _decided,
    EventKind.EXPIRED: _expired,
    EventKind.DELEGATED: _delegated,
    EventKind.REASSIGNED: _reassigned,
    EventKind.ESCALATED: _escalated,
    EventKind.HEALTH: _health,
    EventKind.NOTIFIED: lambda facts: _("People were told"),
    EventKind.CLAIMED: lambda facts: _("%(person)s works on it") % facts.who,
    EventKind.RELEASED: lambda facts: _("%(person)s gave it back") % facts.who,
    EventKind.COMMENTED: lambda facts: _("%(person)s commented") % facts.who,
    EventKind.ASKED: lambda facts: _("%(person)s asked the requester a question") % facts.who,
    EventKind.REPLIED: lambda facts: _("%(person)s replied") % facts.who,
    EventKind.EXTENDED: lambda facts: _("%(person)s gave it more time") % facts.who,
    EventKind.REMINDED: lambda facts: _("People were reminded"),
    EventKind.OVERDUE: lambda facts: _("It became overdue"),
    EventKind.BROKE_GLASS: lambda facts: _("%(person)s decided alone in an emergency") % facts.who,
    EventKind.WITHDRAWN: lambda facts: _("%(person)s withdrew it") % facts.who,
    EventKind.CANCELLED: lambda facts: _("Its process has ended"),
}
