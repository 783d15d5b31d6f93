"""How texts, facts and moments look on the pages of approvals."""

from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from approvals.rendering import moments
from approvals.rendering.details import Piece, piece_of
from approvals.rendering.markdown import render_markdown
from approvals.rendering.states import look_of

register = template.Library()

NOTHING = "-"


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown as sanitised HTML."""
    return render_markdown(text)


@register.filter
def as_piece(value: Any) -> Piece:
    """A JSON value as what `request/_piece.html` lays out."""
    return piece_of(value)


@register.filter
def length_of_time(seconds: float | None) -> str:
    """A number of seconds in words, roughly; a dash for none."""
    return NOTHING if seconds is None else moments.length(seconds)


@register.filter
def percentage(part: float | None) -> str:
    """A part of 1 as a percentage; a dash for none."""
    return NOTHING if part is None else f"{part:.0%}"


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    """A moment relative to now in the page's language, with the absolute time on hover."""
    if moment is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}" data-when>{}</time>',
        moment.isoformat(),
        moments.absolute(moment),
        moments.in_words(moment),
    )


@register.simple_tag
def local(moment: datetime | None) -> SafeString | str:
    """A moment as date and time of day; scripts show it in the reader's time zone."""
    if moment is None:
        return ""
    return format_html('<time datetime="{}" data-local>{}</time>', moment.isoformat(), moments.absolute(moment))


@register.simple_tag
def state_badge(state: str, size: str = "") -> SafeString:
    """The badge of a request's state: glyph, word and colour; hovering says what it means."""
    look = look_of(state)
    return format_html(
        '<span class="badge tone-{}{}" title="{}">'
        '<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"></path></svg>{}</span>',
        look.tone,
        f" badge-{size}" if size else "",
        look.meaning,
        look.glyph,
        look.label,
    )
