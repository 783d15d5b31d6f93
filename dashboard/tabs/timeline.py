"""The timeline, and its short form on the overview."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.minimap import Minimap, minimap_of, view_of
from dashboard.outline_params import OutlineParams
from dashboard.outline_view import OutlineView, view_outline
from dashboard.seen import Seen
from dashboard.templatetags.display import at
from dashboard.timeline import Run, Timeline, build_timeline
from dashboard.timeline_drawing import Places, draw_timeline, legend_of
from durable_engine.queries.outline import InvocationSpan, Outline

LINES = 200
OVERVIEW_LINES = 40


@dataclass(frozen=True, slots=True)
class _RunningInvocation:
    """The invocation that has not ended."""

    number: int
    started_at: Any
    ended_at: None = None
    invocations: int = 1


def timeline_tab(seen: Seen) -> dict[str, Any]:
    """The whole timeline: a window of lines, its filters, and the minimap of a long execution."""
    params = OutlineParams.of_request(seen.request.GET)
    context = _timeline(seen, params, LINES)
    return context | {"minimap": _minimap(seen, context["outline"], LINES)}


def timeline_window(seen: Seen) -> dict[str, Any]:
    """A window of lines with its filters, for a page that has the minimap already."""
    return _timeline(seen, OutlineParams.of_request(seen.request.GET), LINES)


def overview_tab(seen: Seen) -> dict[str, Any]:
    """The beginning and the end of the timeline, beside input and result."""
    context = _timeline(seen, OutlineParams(), OVERVIEW_LINES)
    return context | {"minimap": _minimap(seen, context["outline"], OVERVIEW_LINES)}


def _timeline(seen: Seen, params: OutlineParams, size: int) -> dict[str, Any]:
    execution = seen.execution
    view = view_outline(seen, params, size)
    # A filter keeps the axis of the whole, so that one sees when things happened; a window has its own.
    timeline = build_timeline(
        Run(execution.status, execution.created_at, execution.closed_at),
        view.outline.chosen,
        view.operations,
        _invocations(seen, view.outline),
        seen.until,
        total=0 if params.is_narrowed and not view.outline.lines else view.outline.lines,
        is_window=view.is_window,
        squeeze=params.gaps == "squeezed",
    )
    return {
        "outline": view,
        "timeline": timeline,
        "chart": _chart(seen, view, timeline),
        "view": view_of(view.outline, execution.created_at, seen.until, is_window=view.is_window),
        "timeline_url": seen.url("timeline"),
        "steps_url": seen.url("steps"),
        "squeeze_url": params.query(gaps="" if params.gaps else "squeezed"),
        "is_squeezed": bool(params.gaps),
        "legend": legend_of(timeline),
    }


def _chart(seen: Seen, view: OutlineView, timeline: Timeline) -> SafeString:
    address = seen.url("timeline")
    places = Places(
        steps_url=seen.url("steps"),
        group_url=lambda first_event: address + view.group_url(first_event),
        window_url=lambda position: address + view.window_url(position),
    )
    return draw_timeline(
        timeline, places, format_html("<span>From {}</span>", at(timeline.axis.start)) if view.is_window else ""
    )


def _minimap(seen: Seen, view: OutlineView, size: int) -> Minimap | None:
    if view.outline.lines <= size:
        return None
    address = seen.url("timeline")
    return minimap_of(
        view.outline,
        seen.execution.created_at,
        seen.until,
        lambda position: address + view.window_url(position),
        is_window=view.is_window,
    )


def _invocations(seen: Seen, outline: Outline) -> Sequence[InvocationSpan | _RunningInvocation]:
    execution = seen.execution
    if execution.status != "RUNNING" or execution.invocation_started_at is None:
        return outline.invocations
    number = sum(each.invocations for each in outline.invocations) + 1
    return [*outline.invocations, _RunningInvocation(number, execution.invocation_started_at)]
