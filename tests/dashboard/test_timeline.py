from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from dashboard.timeline import Run, Segment, Timeline, build_timeline
from dashboard.timeline_axis import BELOW_LABELS, BESIDE_LABELS, axis_of
from dashboard.timeline_drawing import draw_timeline, legend_of
from durable_engine.queries.outline import FoldedSiblings, OutlineLine

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Attempt:
    number: int
    started_at: datetime | None
    ended_at: datetime | None = None
    status: str = "STARTED"
    retry_delay_seconds: float | None = None


@dataclass
class Operation:
    id: str = "1"
    type: str = "STEP"
    name: str | None = "charge"
    depth: int = 0
    status: str = "STARTED"
    started_at: datetime | None = START
    ended_at: datetime | None = None
    attempts: list[Attempt] = field(default_factory=list)


@dataclass
class Invocation:
    number: int
    started_at: datetime
    ended_at: datetime | None
    invocations: int = 1


def line(operation: Operation, position: int, **columns: Any) -> OutlineLine:
    started_at = operation.started_at or START
    values = {
        "name": operation.name,
        "depth": operation.depth,
        "status": operation.status,
        "first_event": position * 2 + 2,
        "last_event": position * 2 + 3,
        "events": 2,
        "started_at": started_at,
        "changed_at": operation.ended_at or started_at,
    }
    return OutlineLine(id=operation.id, position=position, **(values | columns))


def build(
    run: Run, operations: list[Operation], invocations: list[Invocation], now: datetime, **options: Any
) -> Timeline:
    lines = [line(operation, position) for position, operation in enumerate(operations)]
    by_id = {operation.id: operation for operation in operations}
    return build_timeline(run, lines, by_id, invocations, now, **({"total": len(lines)} | options))


def live(status: str = "RUNNING") -> Run:
    return Run(status, START, None)


def ended(seconds: float) -> Run:
    return Run("SUCCEEDED", START, at(seconds))


def kinds(segments: tuple[Segment, ...]) -> list[str]:
    return [segment.kind for segment in segments]


def test_attempts_back_off_and_the_wait_for_a_worker_are_segments_of_one_row() -> None:
    step = Operation(
        status="SUCCEEDED",
        ended_at=at(10),
        attempts=[
            Attempt(1, at(0), at(2), "FAILED", retry_delay_seconds=4),
            Attempt(2, at(8), at(10), "SUCCEEDED"),
        ],
    )
    row = build(ended(10), [step], [], at(99)).rows[1]
    assert kinds(row.segments) == ["failed", "backoff", "queued", "succeeded"]
    assert [round(segment.width / row.segments[0].width, 1) for segment in row.segments] == [1, 2, 1, 1]
    assert row.length == "10 s"


def test_bars_follow_each_other_without_gap_or_overlap() -> None:
    step = Operation(
        attempts=[Attempt(1, at(0), at(2), "FAILED", retry_delay_seconds=4), Attempt(2, at(6), None)],
    )
    row = build(live(), [step], [], at(9)).rows[1]
    for left, right in zip(row.segments, row.segments[1:], strict=False):
        assert left.x + left.width == pytest.approx(right.x, abs=0.01)


def test_back_off_that_still_runs_ends_now_not_in_the_future() -> None:
    step = Operation(status="PENDING", attempts=[Attempt(1, at(0), at(1), "FAILED", retry_delay_seconds=600)])
    timeline = build(live("SUSPENDED"), [step], [], at(5))
    backoff = timeline.rows[1].segments[-1]
    assert backoff.kind == "backoff"
    assert backoff.x + backoff.width == pytest.approx(timeline.now, abs=0.01)


def test_what_runs_reaches_the_line_of_now_and_is_live() -> None:
    timeline = build(live(), [Operation(attempts=[Attempt(1, at(1))])], [], at(5))
    running = timeline.rows[1].segments[-1]
    assert (running.kind, running.live) == ("running", True)
    assert running.x + running.width == pytest.approx(timeline.now, abs=0.01)


def test_a_closed_execution_has_no_now_and_ends_what_it_left_open() -> None:
    timeline = build(ended(5), [Operation(status="CANCELLED", attempts=[Attempt(1, at(1))])], [], at(500))
    assert timeline.now is None
    bar = timeline.rows[1].segments[-1]
    assert (bar.kind, bar.live) == ("stopped", False)
    assert bar.x + bar.width < 100


def test_the_execution_row_shows_queue_invocations_and_suspension() -> None:
    invocations = [Invocation(1, at(1), at(2)), Invocation(2, at(12), at(13))]
    row = build(ended(13), [], invocations, at(13)).rows[0]
    assert kinds(row.segments) == ["queued", "running", "suspended", "running"]


def test_a_suspended_execution_is_not_drawn_as_running() -> None:
    row = build(live("SUSPENDED"), [], [Invocation(1, at(0), at(1))], at(10)).rows[0]
    assert kinds(row.segments) == ["running", "suspended"]
    assert row.segments[-1].live


@pytest.mark.parametrize(
    ("type_", "status", "kind"),
    [
        ("WAIT", "STARTED", "waiting"),
        ("CALLBACK", "SUCCEEDED", "waiting"),
        ("CALLBACK", "TIMED_OUT", "failed"),
        ("CONTEXT", "STARTED", "context"),
        ("CONTEXT", "FAILED", "failed"),
    ],
)
def test_operations_without_attempts_are_one_bar(type_: str, status: str, kind: str) -> None:
    operation = Operation(type=type_, status=status)
    assert kinds(build(live(), [operation], [], at(3)).rows[1].segments) == [kind]


@pytest.mark.parametrize("seconds", [0, 0.001, 0.5, 3, 59, 61, 3599, 90_000, 40_000_000])
def test_the_axis_has_few_marks_within_its_span_and_leaves_room_after_now(seconds: float) -> None:
    for run in (live(), ended(seconds)):
        timeline = build(run, [], [], at(seconds))
        assert 1 <= len(timeline.axis.ticks) <= 8
        assert all(0 <= tick.x <= 100 for tick in timeline.axis.ticks)
        assert timeline.now is None or timeline.now < 100


def test_the_axis_of_a_live_execution_stays_while_time_goes_on() -> None:
    spans = {build(live(), [], [], at(seconds)).axis.rate for seconds in (31, 34, 38, 41)}
    assert spans == {round(100 / 45, 6)}


def test_a_clock_behind_the_database_does_not_draw_backwards() -> None:
    timeline = build(live(), [Operation(attempts=[Attempt(1, at(0.2))])], [Invocation(1, at(0.1), None)], at(-2))
    assert all(segment.width >= 0 for row in timeline.rows for segment in row.segments)


def test_lines_that_are_left_out_are_a_row_that_leads_to_them_and_their_time_is_squeezed() -> None:
    first, last = Operation("1", ended_at=at(1)), Operation("9", started_at=at(99), ended_at=at(100))
    first.attempts, last.attempts = [Attempt(1, at(0), at(1), "SUCCEEDED")], [Attempt(1, at(99), at(100), "SUCCEEDED")]
    lines = [line(first, 0), line(last, 8)]
    timeline = build_timeline(ended(100), lines, {"1": first, "9": last}, [], at(100), total=10)
    assert [row.left_out for row in timeline.rows] == [0, 0, 7, 0, 1]
    assert (timeline.rows[2].label, timeline.rows[2].start) == ("7 operations not shown", 1)
    (gap,) = timeline.axis.gaps
    assert gap.label == "1 min 38 s"
    assert timeline.rows[1].segments[0].width > 40
    assert "1 min 38 s not shown" in draw_timeline(timeline)


def test_a_window_has_an_axis_of_its_own_and_no_row_for_the_execution() -> None:
    operation = Operation("5", started_at=at(50), ended_at=at(51), attempts=[Attempt(1, at(50), at(51), "SUCCEEDED")])
    timeline = build(ended(100), [operation], [], at(100), is_window=True, total=10)
    assert [row.operation_id for row in timeline.rows] == ["5"]
    assert timeline.axis.start == at(50)
    assert timeline.rows[0].segments[0].width > 95


def test_folded_siblings_are_one_bar_from_the_first_to_the_last() -> None:
    folded = line(Operation("1"), 0, changed_at=at(8), status="SUCCEEDED", fold=FoldedSiblings(1200, 0.4, 2.0))
    timeline = build_timeline(ended(10), [folded], {}, [], at(10), total=1)
    row = timeline.rows[1]
    assert (row.members, row.group, row.length) == (1200, 2, "~400 ms each")
    assert kinds(row.segments) == ["folded"]
    assert "1,200 succeeded" in row.segments[0].title


def test_idle_time_is_squeezed_only_when_asked_to() -> None:
    steps = [
        Operation("1", ended_at=at(10), attempts=[Attempt(1, at(0), at(10), "SUCCEEDED")]),
        Operation("2", type="WAIT", started_at=at(10), ended_at=at(3610)),
        Operation("3", started_at=at(3610), ended_at=at(3620), attempts=[Attempt(1, at(3610), at(3620), "SUCCEEDED")]),
    ]
    plain = build(ended(3620), steps, [], at(3620))
    assert plain.can_squeeze
    assert plain.rows[1].segments[0].width < 1
    squeezed = build(ended(3620), steps, [], at(3620), squeeze=True)
    assert [gap.label for gap in squeezed.axis.gaps] == ["1 h 00 min"]
    assert squeezed.rows[1].segments[0].width > 30
    assert "1 h 00 min in which nothing ran" in draw_timeline(squeezed)


def test_a_squeezed_axis_keeps_the_order_of_moments_and_its_ends() -> None:
    axis = axis_of(
        START, at(100), at(100), [(at(0), at(5)), (at(40), at(45)), (at(95), at(100))], live=False, squeeze=True
    )
    places = [axis.x(at(seconds)) for seconds in range(101)]
    assert places == sorted(places)
    assert places[0] == 0
    assert 95 < places[-1] <= 100


def test_attempts_that_are_left_out_leave_no_bar_between() -> None:
    step = Operation(
        ended_at=at(100),
        attempts=[Attempt(1, at(0), at(1), "FAILED", retry_delay_seconds=1), Attempt(50, at(99), at(100), "SUCCEEDED")],
    )
    assert kinds(build(ended(100), [step], [], at(100)).rows[1].segments) == ["failed", "backoff", "succeeded"]


def test_the_picture_has_no_inline_style_and_escapes_names() -> None:
    operation = Operation(name='<script>"x"</script>', attempts=[Attempt(1, at(0), at(1), "SUCCEEDED")])
    svg = draw_timeline(build(live(), [operation], [], at(2)))
    assert "style=" not in svg
    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg


def test_the_legend_explains_what_is_drawn_and_no_more() -> None:
    timeline = build(ended(3), [Operation(type="WAIT", status="SUCCEEDED", ended_at=at(3))], [], at(3))
    assert [entry.kind for entry in legend_of(timeline)] == ["waiting"]
    busy = [Operation("1", ended_at=at(1)), Operation("2", started_at=at(99), ended_at=at(100))]
    busy[0].attempts, busy[1].attempts = (
        [Attempt(1, at(0), at(1), "SUCCEEDED")],
        [Attempt(1, at(99), at(100), "SUCCEEDED")],
    )
    squeezed = build(ended(100), busy, [], at(100), squeeze=True)
    assert [entry.kind for entry in legend_of(squeezed)] == ["succeeded", "squeezed"]


@pytest.mark.parametrize("seconds", [0.9, 3.3, 75, 100, 200, 620, 5000, 12_000, 500_000])
@pytest.mark.parametrize("width", [BESIDE_LABELS, BELOW_LABELS])
def test_labels_of_marks_do_not_touch_in_the_narrowest_drawing(seconds: float, width: int) -> None:
    ticks = [tick for tick in build(ended(seconds), [], [], at(seconds)).axis.ticks if tick.label]
    reaches = [tick.reach(width) for tick in ticks if width == BESIDE_LABELS or not tick.is_spare]
    assert len(reaches) >= 2
    assert all(before[1] < after[0] for before, after in pairwise(reaches))
