"""The recorded events, one page at a time, filtered and in either order."""

from dataclasses import dataclass
from typing import Any

from dashboard.history_params import LABELS, HistoryParams
from dashboard.history_rows import event_rows
from dashboard.seen import Seen
from durable_engine.queries.history import history

EVENTS_A_PAGE = 200


@dataclass(frozen=True, slots=True)
class KindChoice:
    """One of the filters by kind."""

    label: str
    url: str
    is_chosen: bool


def history_tab(seen: Seen) -> dict[str, Any]:
    """A page of events."""
    params = HistoryParams.of_request(seen.request.GET)
    # One more than is shown tells whether there is another page.
    events = history(
        seen.execution.id,
        include_data=False,
        after=params.after,
        limit=EVENTS_A_PAGE + 1,
        reverse=bool(params.order),
        event_types=params.event_types,
        operation_id=params.op,
    )
    rows = event_rows(events[:EVENTS_A_PAGE], seen.execution.created_at)
    return {
        "events": rows,
        "params": params,
        "kinds": _kinds(params),
        "order_url": params.query(order="" if params.order else "newest", after=0),
        "all_url": params.query(kind="", op="", after=0),
        "export_url": seen.url("history-file"),
        # Keyset pages go one way; the way back is the first page, or the browser's own.
        "newer_url": params.query(after=0) if params.after else "",
        "older_url": params.query(after=rows[-1].id) if len(events) > EVENTS_A_PAGE else "",
        "newer_label": "To the beginning" if not params.order else "To the newest",
        "older_label": "Earlier events" if params.order else "Later events",
    }


def _kinds(params: HistoryParams) -> list[KindChoice]:
    choices = [KindChoice("All", params.query(kind="", after=0), not params.kind)]
    return choices + [
        KindChoice(label, params.query(kind=kind, after=0), kind == params.kind) for kind, label in LABELS.items()
    ]
