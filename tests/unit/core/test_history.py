from __future__ import annotations

import pytest

from durable_engine.core.history import FAILED, PENDING, STARTED, SUCCEEDED, History
from durable_engine.core.ports import EventType, NewEvent, RecordedEvent


def step(event_id: int, event_type: str, **fields: object) -> RecordedEvent:
    return RecordedEvent(event_id, event_type, "1", None, "Step", "a", **fields)  # type: ignore[arg-type]


ERROR = '{"ErrorType": "Runtime.ExitError"}'


def test_a_step_goes_through_its_states() -> None:
    history = History()
    seen = []
    for event in [
        step(2, "StepStarted", attempt=1),
        step(3, "StepFailed", attempt=1, error="{}", details={"next_attempt_delay_seconds": 0}),
        step(4, "StepStarted", attempt=2),
        step(5, "StepSucceeded", attempt=2, payload="1"),
    ]:
        history.apply(event, event.event_id)
        state = history.operations["1"]
        seen.append((state.status, state.attempt, state.payload, state.error, state.event_id))

    assert seen == [
        (STARTED, 1, None, None, 2),
        (PENDING, 1, None, "{}", 3),
        (STARTED, 2, None, None, 4),
        (SUCCEEDED, 2, "1", None, 5),
    ]


def test_a_failure_without_a_delay_is_final() -> None:
    history = History([step(2, "StepStarted", attempt=1), step(3, "StepFailed", attempt=1, error="{}")])

    assert history.operations["1"].status == FAILED


def test_a_poll_that_goes_on_is_pending() -> None:
    history = History([step(3, "StepSucceeded", attempt=1, payload="1", details={"next_attempt_delay_seconds": 5})])

    assert history.operations["1"].status == PENDING
    assert history.operations["1"].payload == "1"


def test_interruptions_are_the_invocations_that_ended_with_an_error_since_the_start() -> None:
    history = History(
        [
            RecordedEvent(1, "ExecutionStarted", payload="{}"),
            RecordedEvent(2, "InvocationCompleted", error=ERROR),
            step(3, "StepStarted", attempt=1),
            RecordedEvent(4, "InvocationCompleted", error=ERROR),
            RecordedEvent(5, "InvocationCompleted"),
            RecordedEvent(6, "InvocationCompleted", error=ERROR),
        ]
    )
    state = history.operations["1"]

    assert history.interruptions(state) == 2
    assert history.clean_passes_since(state) == 1
    assert history.input is not None
    assert history.input.payload == "{}"


def test_an_outside_event_keeps_the_name_and_place_of_its_operation() -> None:
    history = History(
        [
            RecordedEvent(2, "CallbackStarted", "3-1", "3", "Callback", "answer"),
            RecordedEvent(3, "CallbackTimedOut", "3-1", error="{}"),
        ]
    )
    state = history.operations["3-1"]

    assert (state.name, state.parent_id, state.status) == ("answer", "3", "TIMED_OUT")


def test_every_event_type_is_known_to_the_fold() -> None:
    for event_type in EventType:
        history = History()
        history.apply(NewEvent(event_type, 0.0, operation_id="1"))
        assert ("1" in history.operations) is not event_type.value.startswith(("Execution", "Invocation"))


def test_an_operation_event_without_an_id_is_refused() -> None:
    with pytest.raises(ValueError, match="event 7, StepStarted, has no operation id"):
        History([RecordedEvent(7, "StepStarted")])
