"""What the home page says: what needs a person, one sentence each, and how the processes are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from dashboard.failures import rows_of
from dashboard.schedule_pages import schedule_url
from dashboard.statuses import EXECUTION_STATUSES, SCHEDULE_OUTCOMES, WARNING, Status
from dashboard.throughput import throughput
from durable_engine.queries.attention import COUNT_CAP, Attention, attention_needed
from durable_engine.queries.failures import recent_groups
from durable_engine.queries.schedules import troubled_schedules

PAUSES = {
    "operator": ("paused by hand", "They go on when somebody resumes them."),
    "crashes": ("paused because their worker kept dying", "A step kills its process. Mend it, then resume them."),
    "divergence": (
        "paused because the code no longer matches",
        "Deploy code that fits what is recorded, then resume them.",
    ),
    "undecodable": ("paused at a value that can't be read", "Deploy code that can read it, then resume them."),
    "suspension": ("paused by a handler that swallowed the signal to suspend", "Mend the handler, then resume them."),
}
WAITING = EXECUTION_STATUSES["PENDING"]
PAUSED = EXECUTION_STATUSES["PAUSED"]
LOST = EXECUTION_STATUSES["TIMED_OUT"]
MISSING = Status("MISSING", "Missing", "failed", WARNING, "")
GROUPS_SHOWN = 5
FAILING = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that needs a person. `count` may be one above the cap; 0 says that the title needs none."""

    status: Status
    count: int
    title: str
    advice: str
    since: datetime | None
    url: str


def home_page() -> dict[str, Any]:
    """Return the context of the page."""
    attention = attention_needed()
    now = timezone.now()
    groups = rows_of(recent_groups(now - FAILING, GROUPS_SHOWN + 1))
    return {
        "section": "home",
        "items": [*items_of(attention), *_troubled_schedules(now)],
        "groups": groups[:GROUPS_SHOWN],
        "has_more_groups": len(groups) > GROUPS_SHOWN,
        "throughput": throughput(now),
        "attention": attention,
        "count_cap": COUNT_CAP,
        "server_now": now.isoformat(),
    }


def items_of(attention: Attention) -> Iterator[Item]:
    """Yield what needs a person, the most urgent first."""
    yield from _missing_processes(attention)
    if attention.silent.count:
        advice = "The scheduler gives them to another worker when its lease is over."
        title = "running on workers that are not heard of"
        yield Item(LOST, attention.silent.count, title, advice, attention.silent.since, _list_url(status="RUNNING"))
    for view in attention.waiting:
        waiting = view.waiting
        noun, verb = ("execution", "is") if waiting.count == 1 else ("executions", "are")
        title = f"{noun} of {waiting.function} {verb} ready to run, but {view.reason}"
        url = _list_url(status="PENDING", function=waiting.function)
        yield Item(WAITING, waiting.count, title, "", waiting.since, url)
    if attention.overdue.count:
        advice = "Their timers are due: a scheduler has to run."
        yield Item(
            LOST,
            attention.overdue.count,
            "asleep though their time has come",
            advice,
            attention.overdue.since,
            _list_url(status="SUSPENDED"),
        )
    for paused in attention.paused:
        title, advice = PAUSES.get(paused.kind, ("paused", ""))
        yield Item(PAUSED, paused.count, title, advice, paused.newest, _list_url(status="PAUSED"))


def _troubled_schedules(now: datetime) -> Iterator[Item]:
    for schedule, run in troubled_schedules(now - FAILING):
        status = SCHEDULE_OUTCOMES[run.outcome]
        title = f"Schedule {schedule.name}: its last time was {status.label.lower()}"
        yield Item(status, 0, title, run.note, run.due_at, schedule_url(schedule.id))


def _missing_processes(attention: Attention) -> Iterator[Item]:
    if not attention.workers:
        yield Item(MISSING, 0, "No worker is running", "Nothing runs until one is started.", None, "")
    if not attention.live_schedulers:
        last = attention.schedulers[0].last_seen if attention.schedulers else None
        advice = "Waits do not end, and nothing is recovered from a lost worker, until one is started."
        yield Item(MISSING, 0, "No scheduler is running", advice, last, "")


def _list_url(**filters: str) -> str:
    return f"{reverse('dashboard:execution-list')}?{urlencode(filters)}"
