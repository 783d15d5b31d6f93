"""Our side: the same files through the alias, on the test kit.

Run it with `python -S`: then no installed package can be found, AWS's among them.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

from durable_engine.aws import alias
from durable_engine.core.ports import EventType, RecordedEvent
from durable_engine.sdk import registry
from durable_engine.sdk.types import ErrorObject
from durable_engine.testing.runner import DurableFunctionTestRunner
from tests.compatibility import normal
from tests.compatibility.cases import CASES, Answer, Case

RESULTS = {EventType.EXECUTION_SUCCEEDED, EventType.CONTEXT_SUCCEEDED, EventType.STEP_SUCCEEDED}
RESULTS |= {EventType.CALLBACK_SUCCEEDED, EventType.CHAINED_INVOKE_SUCCEEDED}
INPUTS = {EventType.EXECUTION_STARTED, EventType.CHAINED_INVOKE_STARTED}
FACTS = {
    "duration_seconds": "Duration",
    "function": "FunctionName",
}


def run(case: Case) -> dict[str, Any]:
    def tell(answer: Answer) -> None:
        callback_id = runner.wait_for_callback(arn, answer.callback)
        if answer.error is None:
            runner.send_callback_success(callback_id, answer.result)
        else:
            runner.send_callback_failure(callback_id, ErrorObject.from_dict(answer.error))

    with DurableFunctionTestRunner(case.function()) as runner:
        for name in case.invokes:
            runner.register_durable_function(name, case.function(name))
        arn = runner.run_async(json.dumps(case.input))
        for answer in case.answers:
            tell(answer)
        if not case.answers:
            runner.advance(5)  # over the timeouts of callbacks that nobody answers
        result = runner.wait_for_result(arn)
        events = runner.execution(arn).events
    return {
        "status": result.status,
        "result": normal.payload(result.result),
        "error": normal.error(result.error.to_dict() if result.error else None),
        "history": normal.lanes([wire(event) for event in events]),
        "notes": case.noted(),
    }


def wire(event: RecordedEvent) -> Mapping[str, Any]:
    """Return an event with the names that it has on the wire, as far as they are compared."""
    facts = event.details or {}
    details: dict[str, Any] = {FACTS[name]: value for name, value in facts.items() if name in FACTS}
    if event.event_type in RESULTS:
        details["Result"] = {"Payload": event.payload}
    if event.event_type in INPUTS:
        details["Input"] = {"Payload": event.payload}
    if event.error is not None:
        details["Error"] = {"Payload": json.loads(event.error)}
    if event.event_type in {EventType.STEP_SUCCEEDED, EventType.STEP_FAILED}:
        delay = facts.get("next_attempt_delay_seconds")
        details["RetryDetails"] = {"CurrentAttempt": event.attempt, "NextAttemptDelaySeconds": delay}
    fields = {"Id": event.operation_id, "ParentId": event.parent_id, "SubType": event.subtype, "Name": event.name}
    present = {name: value for name, value in fields.items() if value is not None}
    return {"EventType": event.event_type.value if isinstance(event.event_type, EventType) else event.event_type} | {
        **present,
        f"{event.event_type}Details": details,
    }


def main() -> None:
    logging.disable(logging.CRITICAL)
    assert not alias.is_real_package_installed(), "start it with python -S"
    alias.install()
    outcomes: dict[str, Any] = {}
    with registry.isolated():
        for case in CASES:
            try:
                outcomes[case.name] = run(case)
            except Exception as problem:  # noqa: BLE001 - shown in the place of what it should have done
                outcomes[case.name] = {"problem": f"{type(problem).__name__}: {problem}"}
    json.dump({"cases": outcomes}, sys.stdout)


if __name__ == "__main__":
    main()
