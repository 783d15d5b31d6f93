"""Every worked sequence: rewound to and forked from each of its operations; stopped before each of its events and
redriven; paused before each of them and resumed.

In memory only: which part of a history is copied is decided by one function for both stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine.core.prefix import rewound
from tests.conformance.batch_scenarios import BATCH_SCENARIOS
from tests.conformance.driver import MemoryDriver
from tests.conformance.scenarios import LEDGER, SCENARIOS, Scenario
from tests.conformance.test_histories import check_outcome

ALONE = [scenario for scenario in (*SCENARIOS, *BATCH_SCENARIOS) if scenario.outside is None]


def started(scenario: Scenario) -> MemoryDriver:
    driver = MemoryDriver()
    LEDGER.start(driver)
    driver.start(scenario.handler, scenario.input)
    return driver


def finished(scenario: Scenario) -> MemoryDriver:
    driver = started(scenario)
    driver.drive()
    return driver


def operations(scenario: Scenario) -> Iterator[str]:
    yield from dict.fromkeys(
        event.operation_id for event in finished(scenario).events if event.operation_id is not None
    )


def check(driver: MemoryDriver, scenario: Scenario) -> None:
    check_outcome(driver, scenario)
    assert [event.event_id for event in driver.events] == list(range(1, len(driver.events) + 1))
    outcomes = [event.operation_id for event in driver.events if event.event_type == "StepSucceeded"]
    polls = {event.operation_id for event in driver.events if event.subtype == "WaitForCondition"}
    assert len([each for each in outcomes if each not in polls]) == len({*outcomes} - polls)


@pytest.mark.parametrize("scenario", ALONE, ids=str)
def test_rewound_to_any_operation_it_ends_as_before(scenario: Scenario) -> None:
    for operation_id in operations(scenario):
        driver = finished(scenario)
        kept = {event.operation_id for event in driver.events} - {
            each.id for each in rewound(driver.events, operation_id).repeated
        }
        LEDGER.start(driver)
        driver.rewind(operation_id)
        before = {event.operation_id for event in driver.events}
        assert before <= kept
        driver.drive()
        check(driver, scenario)


@pytest.mark.parametrize("scenario", ALONE, ids=str)
def test_forked_from_any_operation_it_ends_as_before_and_the_original_is_as_it_was(scenario: Scenario) -> None:
    for operation_id in operations(scenario):
        driver = finished(scenario)
        original = list(driver.events)
        LEDGER.start(driver)
        driver.fork(operation_id)
        driver.drive()
        check(driver, scenario)
        driver.swap()
        assert list(driver.events) == original


def run_until_crash(driver: MemoryDriver, event_id: int) -> None:
    """Run until the process dies right before that event, and leave it at that."""
    driver.crash_at(event_id, before=True)
    plan = driver.runner._crash
    assert plan is not None
    while not plan.happened:
        for member in driver.execution.family():
            member.fire_due()
        ready = next((member for member in driver.execution.family() if member.status == "PENDING"), None)
        if ready is not None:
            driver.runner._invoke(ready)
        else:
            assert driver.runner._skip_to_next(driver.execution), driver.status


def stops() -> Iterator[Any]:
    for scenario in ALONE:
        yield from (
            pytest.param(scenario, number, id=f"{scenario}-{number}") for number in range(2, len(scenario.expected))
        )


@pytest.mark.parametrize(("scenario", "event_id"), list(stops()))
def test_stopped_before_any_event_and_redriven_it_ends_as_it_would_have(scenario: Scenario, event_id: int) -> None:
    driver = started(scenario)
    run_until_crash(driver, event_id)
    driver.stop()
    driver.redrive()
    driver.drive()
    check(driver, scenario)


@pytest.mark.parametrize("scenario", ALONE, ids=str)
def test_paused_before_any_event_and_resumed_it_ends_as_it_would_have(scenario: Scenario) -> None:
    for event_id in range(2, len(scenario.expected)):
        driver = started(scenario)
        run_until_crash(driver, event_id)
        driver.pause_it()
        paused = list(driver.events)
        driver.drive()
        assert (driver.status, list(driver.events)[: len(paused)]) == ("PAUSED", paused)
        # What it invoked is not paused, and tells it of its end.
        assert {event.event_type for event in driver.events[len(paused) :]} <= {"ChainedInvokeSucceeded"}
        driver.resume()
        driver.drive()
        check(driver, scenario)
