"""The one table of a request's states on pages: word, tone, glyph and meaning. Tones are those of `tokens.css`."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

CLOCK = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M8 5v3.2l2.2 1.6"
CHECK = "M3 8.6l3.3 3.3L13 4.7"
CROSS = "M4 4l8 8M12 4l-8 8"
HOURGLASS = "M4.5 2.5h7M4.5 13.5h7M5 2.5c0 3 3 3.6 3 5.5s-3 2.5-3 5.5M11 2.5c0 3-3 3.6-3 5.5s3 2.5 3 5.5"
SLASH = "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M4.2 4.2l7.6 7.6"
SPEECH = "M2.5 3.5h11v7h-6l-3 2.5v-2.5h-2z"
ALERT = "M8 2.5l6 11h-12zM8 6.5v3.5M8 12v.1"


@dataclass(frozen=True, slots=True)
class Look:
    """How one state is shown. It is told by its word and its glyph; the colour only helps."""

    label: str | Promise
    tone: str
    glyph: str
    meaning: str | Promise


STATES: Mapping[str, Look] = {
    "PENDING": Look(_("Open"), "waiting", CLOCK, _("Waits for somebody's decision.")),
    "OVERDUE": Look(_("Overdue"), "timed-out", HOURGLASS, _("Should have been decided by now.")),
    "QUESTION": Look(_("Question open"), "paused", SPEECH, _("The clock stands still until the requester replies.")),
    "APPROVED": Look(_("Approved"), "succeeded", CHECK, _("Enough people agreed.")),
    "REJECTED": Look(_("Rejected"), "failed", CROSS, _("It was refused.")),
    "ANSWERED": Look(_("Answered"), "succeeded", CHECK, _("It was answered.")),
    "EXPIRED": Look(_("Expired"), "timed-out", HOURGLASS, _("Nobody decided in time.")),
    "CANCELLED": Look(_("Withdrawn"), "stopped", SLASH, _("It was taken back, or its process has ended.")),
    "UNSATISFIABLE": Look(_("Nobody can decide"), "failed", ALERT, _("Too few of those asked may decide.")),
    "NOTIFY_FAILING": Look(_("Mail fails"), "timed-out", ALERT, _("People could not be told.")),
}


def look_of(state: str) -> Look:
    """Return how a state is shown; an unknown one is shown by its code."""
    return STATES.get(state) or Look(state.capitalize(), "pending", CLOCK, "")
