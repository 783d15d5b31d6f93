from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from durable_engine.sdk import DurableContext, Duration
from tests.unit.core.conftest import Run


def types(execution: Any) -> list[str]:
    return [event.event_type for event in execution.events]


@pytest.mark.parametrize("duration", [Duration(2.5), timedelta(milliseconds=2500)])
def test_fractions_of_a_second_and_timedeltas_are_recorded_as_seconds(run: Run, duration: Any) -> None:
    execution = run(lambda event, context: context.wait(duration))

    assert [event.details for event in execution.events if event.operation_id] == [{"duration_seconds": 2.5}] * 2


def test_nothing_runs_between_the_start_of_a_wait_and_its_end(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        context.wait(Duration(60), "cool down")
        return "rested"

    execution = run(handler)

    assert types(execution)[1:4] == ["WaitStarted", "InvocationCompleted", "WaitSucceeded"]
    assert execution.event_times[3] - execution.event_times[1] == 60
    assert execution.events[-1].payload == '"rested"'


def test_a_wait_of_another_length_after_a_deploy_keeps_the_end_it_was_given(run: Run) -> None:
    lengths = iter([60.0, 1.0])

    execution = run(lambda event, context: context.wait(Duration(next(lengths)), "cool down"))

    assert execution.status == "SUCCEEDED"
    assert execution.event_times[3] - execution.event_times[1] == 60


@pytest.mark.parametrize(
    "duration", [timedelta(0), timedelta(seconds=-1), timedelta(days=367), float("nan"), float("inf"), "10"], ids=str
)
def test_an_impossible_duration_fails_before_anything_is_recorded(run: Run, duration: Any) -> None:
    execution = run(lambda event, context: context.wait(duration))

    error = json.loads(execution.events[-1].error or "")
    assert (execution.status, types(execution)[1]) == ("FAILED", "InvocationCompleted")
    assert error["ErrorType"] == "ValidationError"
    assert error["ErrorMessage"].startswith("duration")
