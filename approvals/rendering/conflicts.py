"""What a person is told when their answer was not counted: who was first, when, and that nothing is lost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from approvals.models import ApprovalRequest, RequestState
from approvals.services.exceptions import (
    AlreadyDecided,
    AlreadyVoted,
    ClaimedByOther,
    ExecutionEnded,
    RequestExpired,
    StaleSubject,
)
from durable_engine.services.exceptions import DurableServiceError


@dataclass(frozen=True, slots=True)
class Conflict:
    """A headline, a sentence of what happened instead, and whether what was typed still stands on the page."""

    title: str
    text: str
    keeps_text: bool = True


def conflict_of(error: DurableServiceError, request: ApprovalRequest) -> Conflict:
    """Return how to tell it."""
    title = _("Your answer was not counted.")
    match error:
        case AlreadyDecided():
            return conflict_of_closed(request)
        case RequestExpired():
            return Conflict(_("The time for an answer is over."), title)
        case ExecutionEnded():
            return Conflict(_("Nobody waits for this answer any longer."), title)
        case AlreadyVoted(voter="You"):
            return Conflict(title, _("You have answered already; everybody counts once."))
        case AlreadyVoted():
            facts = {"person": error.voter, "when": seconds_ago(error.seconds_ago)}
            return Conflict(_("%(person)s answered this %(when)s.") % facts, title)
        case StaleSubject():
            return Conflict(_("What is asked has changed."), _("Read it again below, then decide."))
        case ClaimedByOther():
            text = _("Wait, or ask them to give it back.")
            return Conflict(_("%(person)s is working on this.") % {"person": error.claimed_by}, text)
    # The refusals of the table of rights are in the catalogue.
    return Conflict(title, _(error.problem))


def conflict_of_closed(request: ApprovalRequest) -> Conflict:
    """Return how to tell that somebody was first."""
    passed = 0.0 if request.closed_at is None else (timezone.now() - request.closed_at).total_seconds()
    facts = {"person": request.closed_by_label, "when": seconds_ago(passed)}
    return Conflict(_CLOSINGS.get(request.state, _otherwise)(facts), _("Your answer was not counted."))


def _otherwise(facts: Mapping[str, str]) -> str:
    return _("This was closed %(when)s.") % facts


def _by_a_person(sentence: Callable[[Mapping[str, str]], str]) -> Callable[[Mapping[str, str]], str]:
    return lambda facts: (sentence if facts["person"] else _otherwise)(facts)


_CLOSINGS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    RequestState.APPROVED: _by_a_person(lambda facts: _("%(person)s approved this %(when)s.") % facts),
    RequestState.REJECTED: _by_a_person(lambda facts: _("%(person)s rejected this %(when)s.") % facts),
    RequestState.ANSWERED: _by_a_person(lambda facts: _("%(person)s answered this %(when)s.") % facts),
    RequestState.CANCELLED: _by_a_person(lambda facts: _("%(person)s withdrew this %(when)s.") % facts),
    RequestState.EXPIRED: lambda facts: _("The time for an answer ended %(when)s.") % facts,
}


def seconds_ago(seconds: float) -> str:
    """Return how long ago something was; by the second when it has just happened."""
    if seconds < 2:
        return _("just now")
    if seconds < 120:
        count = int(seconds)
        return ngettext("%(count)d second ago", "%(count)d seconds ago", count) % {"count": count}
    if seconds < 7_200:
        count = int(seconds // 60)
        return ngettext("%(count)d minute ago", "%(count)d minutes ago", count) % {"count": count}
    count = int(seconds // 3_600)
    return ngettext("%(count)d hour ago", "%(count)d hours ago", count) % {"count": count}
