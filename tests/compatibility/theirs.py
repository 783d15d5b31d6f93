"""The AWS side: each case on the local runner of AWS's testing package. Runs in the scratch environment."""

from __future__ import annotations

import json
import logging
import sys
import time
from importlib.metadata import version
from typing import Any

from tests.compatibility import normal
from tests.compatibility.cases import CASES, Answer, Case

SECONDS = 60


def run(case: Case) -> dict[str, Any]:
    from aws_durable_execution_sdk_python.lambda_service import ErrorObject
    from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

    def events() -> Any:
        return runner._executor.get_execution_history(arn, include_execution_data=True).to_dict()["Events"]

    def settle() -> None:
        """Wait until the invocation that an answer causes has ended, so that the next one causes another."""
        deadline = time.monotonic() + SECONDS
        while events()[-1]["EventType"] not in ("InvocationCompleted", "ExecutionSucceeded", "ExecutionFailed"):
            assert time.monotonic() < deadline, "the execution does not go on"
            time.sleep(0.01)

    def tell(answer: Answer) -> None:
        callback_id = runner.wait_for_callback(arn, name=answer.callback, timeout=SECONDS)
        if answer.error is None:
            runner.send_callback_success(callback_id, answer.result)
        else:
            runner.send_callback_failure(callback_id, ErrorObject.from_dict(dict(answer.error)))
        settle()

    with DurableFunctionTestRunner(case.function(), poll_interval=0.01) as runner:
        for name in case.invokes:
            runner.register_durable_function(name, case.function(name))
        arn = runner.run_async(input=json.dumps(case.input), execution_name=case.name.replace("_", "-"))
        for answer in case.answers:
            tell(answer)
        result = runner.wait_for_result(arn, timeout=SECONDS)
        history = normal.lanes(events())
    return {
        "status": result.status.value,
        "result": normal.payload(result.result),
        "error": normal.error(result.error.to_dict() if result.error else None),
        "history": history,
        "notes": case.noted(),
    }


def main() -> None:
    logging.disable(logging.CRITICAL)
    outcomes: dict[str, Any] = {}
    for case in CASES:
        try:
            outcomes[case.name] = run(case)
        except Exception as problem:  # noqa: BLE001 - shown in the place of what it should have done
            outcomes[case.name] = {"problem": f"{type(problem).__name__}: {problem}"}
    packages = ("aws-durable-execution-sdk-python", "aws-durable-execution-sdk-python-testing")
    json.dump({"versions": {name: version(name) for name in packages}, "cases": outcomes}, sys.stdout)


if __name__ == "__main__":
    main()
