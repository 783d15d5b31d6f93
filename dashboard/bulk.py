"""What the pages of bulk actions show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils import timezone

from dashboard.bulk_options import OptionsForm, options_form, options_shown
from dashboard.statuses import BULK_ITEM_STATUSES, BULK_STATUSES, Status
from durable_engine.queries.bulk import BulkActionView, BulkItemView, bulk_items, bulk_preview
from durable_engine.services.bulk import PERMISSIONS

ITEMS_A_PAGE = 100
LABELS = {
    "redrive": "Redrive",
    "retry": "Retry now",
    "skip": "Skip waits",
    "complete": "Complete by hand",
    "rewind": "Rewind",
    "fork": "Fork",
    "pause": "Pause",
    "resume": "Resume",
    "rerun": "Run again",
    "stop": "Stop",
    "delete": "Delete",
}
EFFECTS = {
    "redrive": "New executions go on from what failed, under the same names. What is completed is kept.",
    "retry": "Steps that wait out a back-off make their next attempt at once.",
    "skip": "Waits that are under way are over at once.",
    "complete": "The open operation of this name gets the outcome that you give it, for good. Nothing that it does "
    "outside is done or undone.",
    "rewind": "New executions go on from just before the last operation of this name, under the same names. It and "
    "what followed it run again. Paused ones are stopped by this.",
    "fork": "Copies go on from just before the last operation of this name, under names of their own. The executions "
    "are not touched.",
    "pause": "They do nothing until somebody resumes them. Steps that are running are cut off and run again then.",
    "resume": "They go on from their last checkpoint.",
    "rerun": "New executions of the same functions start from the beginning with the same inputs.",
    "stop": "They end as Stopped, for good. Steps that are running may finish what they do outside.",
    "delete": "They and their histories are gone, for good. The audit stays.",
}
# What the execution is that came of one, where it isn't the one that goes on.
RESULTS = {"rerun": "The new execution", "fork": "The copy"}
DESTRUCTIVE = frozenset({"stop", "delete"})
TYPED_ABOVE = 100  # more executions than that: the person types the number
CANARY_ABOVE = 20
CANARY = 10


@dataclass(frozen=True, slots=True)
class OutcomeChoice:
    """One filter of the items, with its count and its part of the bar in percent."""

    status: Status | None
    count: int
    url: str
    is_chosen: bool
    x: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One execution of a bulk action."""

    item: BulkItemView
    status: Status


def choices_for(user: User | AnonymousUser) -> list[tuple[str, str]]:
    """The actions that a person may do to many, with their words."""
    return [(key, label) for key, label in LABELS.items() if user.has_perm(PERMISSIONS[key])]


def bulk_page(
    action: BulkActionView,
    user: User | AnonymousUser,
    *,
    status: str,
    after: int,
    form: OptionsForm | None = None,
) -> dict[str, Any]:
    """Return the context of one bulk action's page, or of its refresh. `form` is what was typed of its options."""
    chosen = status if status in BULK_ITEM_STATUSES else ""
    items = bulk_items(action.id, after=after, limit=ITEMS_A_PAGE + 1, status=chosen or None)
    rows = [ItemRow(item, BULK_ITEM_STATUSES[item.status]) for item in items[:ITEMS_A_PAGE]]
    may_act = user.has_perm(PERMISSIONS[action.action])
    form = (form or options_form(action)) if may_act else None
    options = options_shown(action, user, with_names=form is not None)
    is_undecided = action.status in {"DRAFT", "HELD"} and options.is_complete
    return {
        "section": "executions",
        "bulk": action,
        "label": LABELS.get(action.action, action.action),
        "effect": EFFECTS.get(action.action, ""),
        "status": BULK_STATUSES[action.status],
        "selection": _selection(action),
        "options": options,
        "value_label": "The result" if action.action == "complete" else "The input",
        "form": form,
        "result_label": RESULTS.get(action.action, "The execution that goes on"),
        "may_act": may_act,
        "is_destructive": action.action in DESTRUCTIVE,
        "preview": bulk_preview(action.id) if is_undecided else None,
        "suggested_canary": CANARY if action.total > CANARY_ABOVE else "",
        "typed_total": action.total if asks_for_total(action) else None,
        "choices": _choices(action, chosen),
        "rows": rows,
        "newer_url": _query(chosen, 0) if after else "",
        "newer_label": "To the beginning",
        "older_url": _query(chosen, rows[-1].item.position) if len(items) > ITEMS_A_PAGE else "",
        "older_label": "Further",
        "version": bulk_version(action),
        "poll_url": f"{reverse('dashboard:bulk-poll', args=[action.id])}{_query(chosen, after)}",
        "is_live": action.status == "RUNNING",
        "server_now": timezone.now().isoformat(),
    }


def asks_for_total(action: BulkActionView) -> bool:
    """Whether a person has to type how many executions they mean."""
    return action.total > TYPED_ABOVE


def bulk_version(action: BulkActionView) -> str:
    """What changes when anything shown of a bulk action does."""
    return f"{crc32(repr((action.status, sorted(action.counts.items()))).encode()):x}"


def _selection(action: BulkActionView) -> Sequence[str]:
    """In words, which executions were chosen."""
    return [f"{name}: {value}" for name, value in action.selection.items()]


def _choices(action: BulkActionView, chosen: str) -> list[OutcomeChoice]:
    choices = [OutcomeChoice(None, action.total, _query("", 0), not chosen)]
    x = 0.0
    for code in ("DONE", "REFUSED", "FAILED", "CANCELLED", "PENDING"):
        if count := action.counts.get(code, 0):
            width = count / max(action.total, 1) * 100
            status, place = BULK_ITEM_STATUSES[code], (round(x, 3), round(width, 3))
            choices.append(OutcomeChoice(status, count, _query(code, 0), code == chosen, *place))
            x += width
    return choices


def _query(status: str, after: int) -> str:
    parts = [f"status={status}" if status else "", f"after={after}" if after else ""]
    return "?" + "&".join(filter(None, parts))
