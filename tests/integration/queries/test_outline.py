"""Outlines: the same operations in the same order as the whole fold, folded and cut to windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.core.history import EFFECTS
from durable_engine.queries.operation_windows import operation_of, operations_in
from durable_engine.queries.operations import operations_of
from durable_engine.queries.outline import Outline, OutlineWindow, outline_of
from tests.seeds import Story, document_that_waits, order_that_failed, order_that_succeeded, payment_in_back_off

pytestmark = pytest.mark.django_db

STORIES = [order_that_succeeded, payment_in_back_off, order_that_failed, document_that_waits]


def outline(story: Story, **window: Any) -> Outline:
    execution = story.execution
    until = execution.closed_at or timezone.now()
    return outline_of(
        story.id,
        OutlineWindow(**window),
        started_at=execution.created_at,
        until=until,
        closed=execution.closed_at is not None,
    )


def ids(found: Outline) -> list[str]:
    return [line.id for line in found.chosen]


def interleaved() -> Story:
    """Two branches whose steps alternate."""
    story = Story()
    for branch in ("1", "2"):
        story.add("ContextStarted", 0.1, operation_id=branch, name=f"branch {branch}", subtype="RunInChildContext")
    for number in range(1, 4):
        for branch in ("1", "2"):
            story.step(f"{branch}-{number}", f"part {number}", number, number + 0.5, parent_id=branch)
    return story


def many(count: int, name: str = "step-{}", failing: tuple[int, ...] = ()) -> Story:
    return Story().steps(count, name, failing)


@pytest.mark.parametrize("make", [*STORIES, interleaved])
def test_a_window_has_the_same_operations_in_the_same_order_as_the_whole_fold(make: Any) -> None:
    story = make()
    found = outline(story)
    whole = operations_of(story.id)
    window = operations_in(story.id, found.chosen, closed=story.execution.closed_at is not None)
    assert [window[line.id] for line in found.chosen] == whole
    assert found.operations == len(whole)


@pytest.mark.parametrize("event_type", EFFECTS)
def test_every_event_of_an_operation_has_the_effect_that_replay_gives_it(event_type: str) -> None:
    story = Story().add(event_type, 1, operation_id="1", subtype="Any")
    assert [line.status for line in outline(story).chosen] == [EFFECTS[event_type][1]]


@pytest.mark.parametrize("make", [*STORIES, interleaved])
def test_statuses_are_counted_as_the_fold_has_them(make: Any) -> None:
    story = make()
    statuses = [operation.status for operation in operations_of(story.id)]
    assert outline(story).counts == {status: statuses.count(status) for status in statuses}


def test_what_a_closed_execution_left_open_is_cancelled() -> None:
    story = document_that_waits()
    story.close("STOPPED", 5)
    found = outline(story)
    assert found.counts == {"SUCCEEDED": 1, "CANCELLED": 1}
    assert [line.status for line in found.chosen] == ["SUCCEEDED", "CANCELLED"]


def test_of_many_operations_the_first_the_last_and_the_failed_are_shown() -> None:
    found = outline(many(60, failing=(30,)), size=20)
    assert [line.position for line in found.chosen] == [*range(10), 29, *range(50, 60)]
    assert found.first_failed == 29
    assert found.lines == 60


def test_a_window_begins_where_it_is_asked_to() -> None:
    story = many(60)
    assert ids(outline(story, size=20, start=25)) == [str(number) for number in range(26, 46)]
    assert ids(outline(story, size=20, start=1000)) == []


def test_a_window_around_an_operation_has_it_and_what_came_before() -> None:
    found = outline(many(200), size=50, around="120")
    assert ids(found)[0] == "100"
    assert "120" in ids(found)


def test_siblings_of_one_name_that_succeeded_are_one_line_and_failed_ones_lines_of_their_own() -> None:
    story = many(20, name="row", failing=(7,))
    found = outline(story)
    assert [(line.id, line.status) for line in found.chosen] == [("1", "SUCCEEDED"), ("7", "FAILED")]
    fold = found.chosen[0].fold
    assert fold is not None
    assert (fold.members, fold.median_seconds, fold.longest_seconds) == (19, 0.5, 0.5)
    assert found.chosen[0].changed_at == story.at(20.5)
    assert found.operations == 20
    members = outline(story, group=found.chosen[0].first_event)
    assert [line.fold for line in members.chosen] == [None] * 19
    assert len(outline(story, fold=False).chosen) == 20


def test_five_siblings_of_one_name_stay_apart_and_so_do_those_of_other_parents() -> None:
    assert len(outline(many(5, name="row")).chosen) == 5
    assert len(outline(interleaved()).chosen) == 8


def test_what_a_folded_context_did_is_folded_with_it() -> None:
    story = Story()
    for number in range(1, 8):
        where = {"operation_id": str(number), "name": "item", "subtype": "RunInChildContext"}
        story.add("ContextStarted", number, **where)
        story.step(f"{number}-1", "work", number + 0.1, number + 0.2, parent_id=str(number))
        story.add("ContextSucceeded", number + 0.3, **where)
    assert ids(outline(story)) == ["1"]
    assert outline(story).operations == 14
    assert outline(story, fold=False).lines == 14


def test_only_what_failed_or_is_open_or_has_a_text_in_its_name() -> None:
    story = many(12, failing=(3,))
    story.wait("13", "50% done_", 20, 500, over=False)
    assert ids(outline(story, show="failed")) == ["3"]
    assert ids(outline(story, show="open")) == ["13"]
    assert ids(outline(story, text="STEP-1")) == ["1", "10", "11", "12"]
    assert ids(outline(story, text="% DONE_")) == ["13"]
    assert ids(outline(story, text="p_")) == []


def test_the_minimap_counts_every_operation_where_it_began() -> None:
    story = many(100, failing=(100,))
    story.close("FAILED", 101)
    found = outline(story)
    assert sum(part.operations for part in found.slices) == 100
    (failed,) = [part for part in found.slices if part.status == "FAILED"]
    assert failed.slice == max(part.slice for part in found.slices)
    assert found.stops[0] == (0, 0)
    assert [position for _, position in found.stops] == sorted(position for _, position in found.stops)


def test_an_execution_without_operations_has_an_empty_outline() -> None:
    found = outline(Story())
    assert (found.operations, found.lines, found.first_failed, list(found.chosen)) == (0, 0, None, [])


def test_an_interrupted_attempt_is_told_in_a_window_too() -> None:
    story = Story()
    about = {"operation_id": "1", "name": "charge", "subtype": "Step"}
    story.add("StepStarted", 1, attempt=1, **about).invocation(0.5, 2, error='{"ErrorType": "Runtime.ExitError"}')
    story.add("StepSucceeded", 5, attempt=2, payload="1", **about).invocation(4, 6)
    story.step("2", "ship", 6, 7)
    (whole, _) = operations_of(story.id)
    window = operations_in(story.id, outline(story).chosen, closed=False)
    assert window["1"] == whole
    assert [attempt.status for attempt in whole.attempts] == ["INTERRUPTED", "SUCCEEDED"]
    assert operation_of(story.id, "1") == whole


def test_of_very_many_attempts_the_first_and_the_last_are_kept_and_the_rest_counted() -> None:
    story = Story()
    for number in range(1, 61):
        story.failed_attempt("1", "poll", number, number, number + 0.5, delay=0.5)
    operation = operation_of(story.id, "1")
    assert operation is not None
    numbers = [attempt.number for attempt in operation.attempts]
    assert numbers == [1, 2, 3, *range(41, 61)]
    assert all(attempt.status == "FAILED" for attempt in operation.attempts)
    assert operation.attempt_count == 60
    assert operations_in(story.id, outline(story).chosen, closed=False)["1"] == operation


def test_an_operation_that_does_not_exist_is_none() -> None:
    story = order_that_succeeded()
    assert operation_of(story.id, "99") is None
    assert operation_of(story.id, "\x00") is None


def test_a_window_costs_the_same_number_of_queries_at_any_length(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for count in (3, 300):
        story = many(count, failing=(1,))
        # A savepoint around the planner's settings and the one statement.
        with django_assert_num_queries(4):
            found = outline(story)
        with django_assert_num_queries(2):
            operations_in(story.id, found.chosen, closed=False)


def test_operations_that_name_each_other_as_parents_do_not_hang_the_outline() -> None:
    story = Story().step("1", "fine", 0.1, 0.2)
    story.step("2", "loop", 1, 2, parent_id="3").step("3", "loop", 2, 3, parent_id="2")
    assert ids(outline(story)) == ["1"]
    assert story.at(3) - story.at(0) == timedelta(seconds=3)
