"""What pages take at a size: a list of a million executions, one of twenty thousand steps, and their refreshes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.visitor import UnexpectedAnswer, Visited, Visitor
from durable_engine.models import Execution
from durable_engine.storage.generated import WIDE

DAYS: Final = 30
FILTERS: Final = (
    "status=FAILED",
    "status=SUSPENDED&function=load-cleanup",
    "function=load-orders&since=7d",
    "tag=customer:c-17",
    "tag=region:eu&status=FAILED",
    "q=load-019",
    "since=1h",
    "until=2020-01-01T00:00:00",
    "waiting=timer",
    "waiting=retry",
    "waiting=callback",
    "waiting=child",
    "version=2",
    "root=1",
)
POLL: Final = re.compile(r'data-url="([^"]+)"\s+data-version="([^"]*)"')
NEXT: Final = re.compile(r'href="([^"]+)"\s+rel="next"')


def measure(bench: Bench) -> list[Figure]:
    """Open the pages as somebody with every right."""
    count, steps = bench.pick(1_000_000, 2_000), bench.pick(20_000, 300)
    wide = _generate(count, steps)
    visitor = Visitor(User.objects.create_superuser("bench-viewer"))
    times = bench.pick(20, 2)
    return [*_list_figures(visitor, count, times), *_execution_figures(visitor, wide, steps, times), _poll(visitor)]


def _generate(executions: int, steps: int) -> UUID:
    with connection.cursor() as cursor:
        call_command("generate_load", executions=executions, steps=steps, days=DAYS, verbosity=0)
        cursor.execute("SET statement_timeout = 0")
        # As autovacuum leaves them after a while.
        cursor.execute("VACUUM ANALYZE durable_execution, durable_event, durable_timer, durable_failure")
        cursor.execute("RESET statement_timeout")
    return Execution.objects.values_list("pk", flat=True).get(function=WIDE)


def _list_figures(visitor: Visitor, count: int, times: int) -> Iterator[Figure]:
    address = reverse("dashboard:execution-list")
    first = visitor.open(address, times)
    deep = visitor.open(_deep(visitor, address), times)
    narrowed = {each: visitor.open(f"{address}?{each}", times) for each in FILTERS}
    slowest = max(narrowed, key=lambda each: narrowed[each].milliseconds)
    rows = f"50 of {count:,}"
    yield _time("dashboard_list_first_ms", first, rows)
    yield _time("dashboard_list_deep_ms", deep, f"{rows}, as old as they come")
    yield _time("dashboard_list_filtered_ms", narrowed[slowest], f"the slowest of {len(FILTERS)} filters: {slowest}")
    yield _size("dashboard_list_kib", max([first, deep, *narrowed.values()], key=lambda each: each.kib))


def _deep(visitor: Visitor, address: str) -> str:
    """The address of a page near the end of the list: its place is that of a page of the oldest ones."""
    oldest = Execution.objects.order_by("created_at").values_list("created_at", flat=True)[200]
    page = visitor.open(f"{address}?until={oldest:%Y-%m-%dT%H:%M:%S}", 1)
    found = NEXT.search(page.text)
    if found is None:
        raise UnexpectedAnswer("a list of 200 has no second page")
    return re.sub(r"until=[^&]*&", "", unescape(found[1]))


def _execution_figures(visitor: Visitor, wide: UUID, steps: int, times: int) -> Iterator[Figure]:
    page = visitor.open(reverse("dashboard:execution-detail", args=[wide]), times)
    timeline = visitor.open(reverse("dashboard:execution-timeline", args=[wide]), times)
    window = visitor.open(f"{reverse('dashboard:execution-window', args=[wide])}?start={steps // 2}", times)
    largest = max(page, timeline, key=lambda each: each.kib)
    yield _time("execution_page_20k_ms", page, f"{steps:,} steps; its timeline {timeline.milliseconds:.0f} ms")
    yield _size("execution_page_20k_kib", largest, "the larger of the page and its timeline")
    yield _size("timeline_window_kib", window, f"200 lines, in {window.milliseconds:.0f} ms")


def _poll(visitor: Visitor) -> Figure:
    live = Execution.objects.filter(closed_at=None).values_list("pk", flat=True)[0]
    pages = {
        "home": reverse("dashboard:home"),
        "list": reverse("dashboard:execution-list"),
        "execution": reverse("dashboard:execution-detail", args=[live]),
        "inbox": reverse("approvals:inbox"),
    }
    counts = {name: visitor.queries(_poll_of(visitor, address), 204) for name, address in pages.items()}
    how = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Figure("poll_unchanged_queries", max(counts.values()), "", None, f"beyond session and user: {how}")


def _poll_of(visitor: Visitor, address: str) -> str:
    found = POLL.search(visitor.open(address, 1).text)
    if found is None:
        raise UnexpectedAnswer(f"{address} is not refreshed")
    url = unescape(found[1])
    return f"{url}{'&' if '?' in url else '?'}v={found[2]}"


def _time(name: str, page: Visited, how: str) -> Figure:
    return Figure(name, page.milliseconds, "ms", None, f"{how}; {page.cpu_milliseconds:.0f} ms of this process")


def _size(name: str, page: Visited, how: str = "the largest") -> Figure:
    return Figure(name, page.kib, "KiB", None, f"{how}; {len(page.text) / 1024:.0f} KiB before compression")
