"""How statuses, times, durations and long texts look on every page."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard import durations
from dashboard.preferences import shows_dates
from dashboard.stack import frames_text, library_frames, own_frames
from dashboard.statuses import Status, execution_status, operation_status

register = template.Library()
CODE = re.compile(r"`([^`]+)`")


@register.simple_tag
def execution_badge(code: str, size: str = "") -> SafeString:
    """The badge of an execution's status: glyph, word and colour; hovering says what it means."""
    return _badge(execution_status(code), size)


@register.simple_tag
def operation_badge(operation_type: str, code: str) -> SafeString:
    """The badge of an operation's status."""
    return _badge(operation_status(operation_type, code), "")


@register.simple_tag
def status_badge(status: Status) -> SafeString:
    """The badge of any status."""
    return _badge(status, "")


@register.simple_tag
def status_glyph(status: Status) -> SafeString:
    """The glyph of a status alone; its word must stand beside it."""
    return _glyph(status.glyph)


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """A moment relative to now with the date on hover, or the other way round for those who want dates."""
    if moment is None:
        return ""
    text = durations.relative((timezone.now() - moment).total_seconds())
    if shows_dates():
        return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), text, _absolute(moment))
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>', moment.isoformat(), _absolute(moment), text
    )


@register.simple_tag
def at(moment: datetime | None) -> SafeString | str:
    """A moment as date and time of day, in the zone that the reader chose."""
    if moment is None:
        return ""
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), _absolute(moment))


@register.simple_tag
def span(start: datetime | None, end: datetime | None) -> SafeString | str:
    """The time from start to end; without an end it goes on counting in the browser."""
    if start is None:
        return ""
    if end is not None:
        return durations.in_words((end - start).total_seconds())
    text = durations.in_words(int((timezone.now() - start).total_seconds()))
    return format_html('<span data-since="{}">{}</span>', start.isoformat(), text)


@register.filter
def duration(seconds: float | None) -> str:
    """A number of seconds in words."""
    return "" if seconds is None else durations.in_words(float(seconds))


@register.filter
def middle(text: str | None, length: int = 32) -> SafeString | str:
    """A long text cut in its middle, the whole of it on hover."""
    if text is None:
        return ""
    text = str(text)
    if len(text) <= length:
        return text
    head = length // 2
    tail = length - 1 - head
    return format_html('<span class="middle" title="{}">{}…{}</span>', text, text[:head], text[-tail:])


@register.filter
def own_stack(frames: Sequence[str]) -> str:
    """The frames of a stack trace that are the application's own, as one text."""
    return frames_text(own_frames(frames))


@register.filter
def library_stack(frames: Sequence[str]) -> str:
    """The other frames, as one text; empty when there are none."""
    return frames_text(library_frames(frames))


@register.filter
def action_words(action: str) -> str:
    """The name of a service in words: `Redrive execution`."""
    return action.replace("_", " ").capitalize()


@register.filter
def paragraphs(text: str) -> list[SafeString]:
    """The paragraphs of a docstring, each on one line, with what stands in backticks as code."""
    return [_with_code(" ".join(paragraph.split())) for paragraph in text.split("\n\n") if paragraph.strip()]


def _with_code(text: str) -> SafeString:
    parts = CODE.split(text)
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", p) if n % 2 else p,) for n, p in enumerate(parts))
    )


@register.filter
def first_paragraph(text: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(text.partition("\n\n")[0].split())


@register.simple_tag
def clock(moment: datetime | None) -> SafeString | str:
    """A moment as time of day, with its date on hover."""
    if moment is None:
        return ""
    text = f"{timezone.localtime(moment):%H:%M}"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), _absolute(moment), text)


@register.filter
def percent(share: float | None) -> str:
    """A share of one in percent: `0.4 %`; an empty text when there is none."""
    if share is None:
        return ""
    return f"{share * 100:.0f} %" if share in {0, 1} or share >= 0.1 else f"{share * 100:.1f} %"


@register.filter
def thousands(count: int) -> str:
    """A whole number with its thousands set apart: `20,000`."""
    return f"{count:,}"


@register.filter
def capped(count: int, cap: int = 10_000) -> str:
    """A count that was not counted beyond `cap`: `10,000+`."""
    return f"{cap:,}+" if count > cap else f"{count:,}"


# Of a few dozen statuses, on every line of every list.
@lru_cache(maxsize=256)
def _badge(status: Status, size: str) -> SafeString:
    return format_html(
        '<span class="badge tone-{}{}" title="{}">{}{}</span>',
        status.tone,
        f" badge-{size}" if size else "",
        status.meaning,
        _glyph(status.glyph),
        status.label,
    )


@lru_cache(maxsize=256)
def _glyph(path: str) -> SafeString:
    return format_html('<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"></path></svg>', path)


def _absolute(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.get_current_timezone()):%Y-%m-%d %H:%M:%S %Z}"
