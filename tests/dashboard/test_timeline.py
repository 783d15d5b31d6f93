from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.timeline import MOST_ROWS, Run, Segment, build_timeline
from dashboard.timeline_svg import legend_of, timeline_svg

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
    started_at: datetime
    ended_at: datetime | None


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
    row = build_timeline(ended(10), [step], [], at(99)).rows[1]
    assert kinds(row.segments) == ["failed", "backoff", "queued", "succeeded"]
    assert [round(segment.width / row.segments[0].width, 1) for segment in row.segments] == [1, 2, 1, 1]
    assert row.length == "10 s"


def test_bars_follow_each_other_without_gap_or_overlap() -> None:
    step = Operation(
        attempts=[Attempt(1, at(0), at(2), "FAILED", retry_delay_seconds=4), Attempt(2, at(6), None)],
    )
    row = build_timeline(live(), [step], [], at(9)).rows[1]
    for left, right in zip(row.segments, row.segments[1:], strict=False):
        assert left.x + left.width == pytest.approx(right.x, abs=0.01)


def test_back_off_that_still_runs_ends_now_not_in_the_future() -> None:
    step = Operation(status="PENDING", attempts=[Attempt(1, at(0), at(1), "FAILED", retry_delay_seconds=600)])
    timeline = build_timeline(live("SUSPENDED"), [step], [], at(5))
    backoff = timeline.rows[1].segments[-1]
    assert backoff.kind == "backoff"
    assert backoff.x + backoff.width == pytest.approx(timeline.now, abs=0.01)


def test_what_runs_reaches_the_line_of_now_and_is_live() -> None:
    timeline = build_timeline(live(), [Operation(attempts=[Attempt(1, at(1))])], [], at(5))
    running = timeline.rows[1].segments[-1]
    assert (running.kind, running.live) == ("running", True)
    assert running.x + running.width == pytest.approx(timeline.now, abs=0.01)


def test_a_closed_execution_has_no_now_and_ends_what_it_left_open() -> None:
    timeline = build_timeline(ended(5), [Operation(status="CANCELLED", attempts=[Attempt(1, at(1))])], [], at(500))
    assert timeline.now is None
    bar = timeline.rows[1].segments[-1]
    assert (bar.kind, bar.live) == ("stopped", False)
    assert bar.x + bar.width < 100


def test_the_execution_row_shows_queue_invocations_and_suspension() -> None:
    invocations = [Invocation(at(1), at(2)), Invocation(at(12), at(13))]
    row = build_timeline(ended(13), [], invocations, at(13)).rows[0]
    assert kinds(row.segments) == ["queued", "running", "suspended", "running"]


def test_a_suspended_execution_is_not_drawn_as_running() -> None:
    row = build_timeline(live("SUSPENDED"), [], [Invocation(at(0), at(1))], at(10)).rows[0]
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
    assert kinds(build_timeline(live(), [operation], [], at(3)).rows[1].segments) == [kind]


@pytest.mark.parametrize("seconds", [0, 0.001, 0.5, 3, 59, 61, 3599, 90_000, 40_000_000])
def test_the_axis_has_few_marks_within_its_span_and_leaves_room_after_now(seconds: float) -> None:
    for run in (live(), ended(seconds)):
        timeline = build_timeline(run, [], [], at(seconds))
        assert 1 <= len(timeline.ticks) <= 8
        assert all(0 <= tick.x <= 100 for tick in timeline.ticks)
        assert timeline.now is None or timeline.now < 100


def test_the_axis_of_a_live_execution_stays_while_time_goes_on() -> None:
    spans = {build_timeline(live(), [], [], at(seconds)).span_seconds for seconds in (31, 34, 38, 41)}
    assert spans == {45.0}


def test_a_clock_behind_the_database_does_not_draw_backwards() -> None:
    timeline = build_timeline(live(), [Operation(attempts=[Attempt(1, at(0.2))])], [Invocation(at(0.1), None)], at(-2))
    assert all(segment.width >= 0 for row in timeline.rows for segment in row.segments)


def test_of_a_long_run_the_first_and_the_last_are_shown_and_the_rest_counted() -> None:
    operations = [Operation(id=str(number), name=f"step-{number}") for number in range(1000)]
    timeline = build_timeline(live(), operations, [], at(5))
    assert len(timeline.rows) == MOST_ROWS + 1
    assert timeline.left_out == 1000 - MOST_ROWS
    assert timeline.rows[1].label == "step-0"
    assert timeline.rows[-1].label == "step-999"


def test_the_picture_has_no_inline_style_and_escapes_names() -> None:
    operation = Operation(name='<script>"x"</script>', attempts=[Attempt(1, at(0), at(1), "SUCCEEDED")])
    svg = timeline_svg(build_timeline(live(), [operation], [], at(2)))
    assert "style=" not in svg
    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg


def test_the_legend_explains_what_is_drawn_and_no_more() -> None:
    timeline = build_timeline(ended(3), [Operation(type="WAIT", status="SUCCEEDED", ended_at=at(3))], [], at(3))
    assert [entry.kind for entry in legend_of(timeline)] == ["waiting"]
