"""Moments in words, in the language of the page: `in 57 minutes`, `3 days ago`.

The words and their rounding are those of the browser's `Intl.RelativeTimeFormat`, with which `approvals-when.js` keeps
them true.
"""

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext, ngettext

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def in_words(moment: datetime) -> str:
    """Return how far away a moment is from now."""
    seconds = int((moment - timezone.now()).total_seconds())
    size = abs(seconds)
    if size < MINUTE:
        return gettext("in less than a minute") if seconds > 0 else gettext("just now")
    count, ahead, behind = _unit(size)
    return (ahead if seconds > 0 else behind)(count) % {"count": count}


def length(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    size = int(seconds)
    if size < 2 * MINUTE:
        return ngettext("%(count)d second", "%(count)d seconds", size) % {"count": size}
    if size < 2 * HOUR:
        return ngettext("%(count)d minute", "%(count)d minutes", size // MINUTE) % {"count": size // MINUTE}
    if size < 2 * DAY:
        return ngettext("%(count)d hour", "%(count)d hours", size // HOUR) % {"count": size // HOUR}
    return ngettext("%(count)d day", "%(count)d days", size // DAY) % {"count": size // DAY}


def absolute(moment: datetime) -> str:
    """Return date and time of day with its zone; the browser shows them in the reader's own."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"


def _unit(size: int) -> tuple[int, Callable[[int], str], Callable[[int], str]]:
    if size < HOUR:
        return (
            size // MINUTE,
            lambda count: ngettext("in %(count)d minute", "in %(count)d minutes", count),
            lambda count: ngettext("%(count)d minute ago", "%(count)d minutes ago", count),
        )
    if size < 2 * DAY:
        return (
            size // HOUR,
            lambda count: ngettext("in %(count)d hour", "in %(count)d hours", count),
            lambda count: ngettext("%(count)d hour ago", "%(count)d hours ago", count),
        )
    return (
        size // DAY,
        lambda count: ngettext("in %(count)d day", "in %(count)d days", count),
        lambda count: ngettext("%(count)d day ago", "%(count)d days ago", count),
    )
