"""Every example, run by real processes, leaves exactly the history that `histories/<name>.json` holds.

In those files `"*"` stands for any text, and `<key N>` for what the example derives from the idempotency key of
operation N.
"""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest
from django.core.management import call_command

from durable_engine.models import Execution, Worker
from tests.processes import wait_for

pytestmark = [pytest.mark.process, pytest.mark.servers]

HISTORIES = Path(__file__).parent / "histories"
ROOT = Path(__file__).parents[2]
YES = '{"approved": true, "by": "reviewer", "comment": "well written"}'
NO = '{"approved": false, "by": "reviewer", "comment": "page 3 is missing"}'

# history file: function, input, answer of the callback
CASES: dict[str, tuple[str, str, str | None]] = {
    "order-processing": ("order-processing", "{}", None),
    "flaky-payment": ("flaky-payment", "{}", None),
    "document-approval-approved": ("document-approval", "{}", YES),
    "document-approval-rejected": ("document-approval", "{}", NO),
    "document-approval-expired": ("document-approval", '{"timeout_seconds": 1}', None),
    "data-pipeline": ("data-pipeline", '{"records": 5, "batch_size": 2, "seconds_per_batch": 0}', None),
    "booking-saga": ("booking-saga", "{}", None),
    "conditional-branch": ("conditional-branch", '{"amount": "250.00"}', None),
    "job-monitor": ("job-monitor", '{"silence_seconds": 3600}', '{"frames": 240}'),
    "report-polling": ("report-polling", '{"ready_at_look": 3, "first_delay_seconds": 0.2}', None),
}
KILLED = '{"records": 4, "batch_size": 2, "seconds_per_batch": 4}'

History = list[dict[str, Any]]


@pytest.fixture
def processes(transactional_db: None, process_env: dict[str, str]) -> Iterator[None]:
    """A worker and a scheduler on the test's database and broker."""
    env = process_env | {"DURABLE_WORKER_CONCURRENCY": "4", "REMAP_SIGTERM": "SIGQUIT"}
    worker = "celery --quiet -A durable_engine.config worker -O fair --without-gossip --without-mingle".split()
    with running(worker, env), running(["django", "run_scheduler"], env):
        yield


def test_each_example_leaves_the_history_that_the_rules_ask_for(processes: None, subtests: pytest.Subtests) -> None:
    ids = {case: durable("start", function, "--input", text)["id"] for case, (function, text, _) in CASES.items()}
    for case, (_, _, answer) in CASES.items():
        if answer is not None:
            wait_for(partial(waits_for_its_callback, ids[case]), f"the callback of {case}")
            durable("callback", ids[case], "--succeed", answer)

    for case, id in ids.items():
        with subtests.test(case):
            wait_until_ended(id, case)
            history = durable("history", id)["events"]
            assert comparable(history, id) == expected(case)
            check_times(history)


def test_a_pipeline_whose_process_is_killed_goes_on_at_the_batch_it_died_in(processes: None) -> None:
    id = durable("start", "data-pipeline", "--input", KILLED)["id"]
    wait_for(lambda: has_started(id, "2-1"), "the first step of the second batch")

    os.kill(pid_of_worker(id), signal.SIGKILL)
    wait_until_ended(id, "the killed pipeline")

    assert comparable(durable("history", id)["events"], id) == expected("data-pipeline-killed")


def durable(action: str, *arguments: str) -> Any:
    """Run `manage.py durable … --json` and return what it printed."""
    output = io.StringIO()
    call_command("durable", action, *arguments, "--json", stdout=output)
    return json.loads(output.getvalue())


def wait_until_ended(id: str, what: str) -> None:
    def has_ended() -> bool:
        status = durable("show", id)["status"]
        assert status in {"PENDING", "RUNNING", "SUSPENDED", "SUCCEEDED"}, f"{what} is {durable('show', id)}"
        return bool(status == "SUCCEEDED")

    wait_for(has_ended, f"the end of {what}", seconds=60)


def waits_for_its_callback(id: str) -> bool:
    shown = durable("show", id)
    # Suspended: the answer may come sooner, but then its event stands before those of the submitter.
    return shown["status"] == "SUSPENDED" and bool(shown["callbacks"])


def has_started(id: str, operation: str) -> bool:
    events = durable("history", id)["events"]
    return any(event["EventType"] == "StepStarted" and event["Id"] == operation for event in events)


def pid_of_worker(id: str) -> int:
    execution = Execution.objects.get(pk=id)
    assert execution.worker_id, f"no worker runs it: it is {execution.status}"
    return Worker.objects.get(pk=execution.worker_id).pid


def expected(case: str) -> History:
    history: History = json.loads((HISTORIES / f"{case}.json").read_text())
    return history


def comparable(history: History, id: str) -> History:
    """Return the events with what differs between two runs replaced, and without the time of the event itself."""
    operations = {event["Id"] for event in history if "Id" in event}
    text = json.dumps([{key: value for key, value in event.items() if key != "EventTimestamp"} for event in history])
    for operation in operations:
        key = uuid5(NAMESPACE_OID, f"{id}:{operation}").hex
        text = text.replace(key[:12], f"<key {operation}>").replace(key[:8], f"<key {operation}>")
    events: History = json.loads(text)
    for event in events:
        mask(event[f"{event['EventType']}Details"], event["EventType"])
    return events


def mask(details: dict[str, Any], event_type: str) -> None:
    for name in ("StartTimestamp", "EndTimestamp", "RequestId", "ScheduledEndTimestamp", "CallbackId"):
        if details.get(name):
            details[name] = "*"
    error = details.get("Error", {}).get("Payload", {})
    if error.get("StackTrace"):
        if event_type == "StepFailed":
            assert "examples/durable_functions" in error["StackTrace"][0], "the example's own frame comes first"
        error["StackTrace"] = "*"
    # The engine's own sentences, not those of an example.
    if event_type in {"CallbackTimedOut", "ContextFailed", "InvocationCompleted"} and error.get("ErrorMessage"):
        error["ErrorMessage"] = "*"


def check_times(history: History) -> None:
    """Time never goes back, and nothing happens before it is due."""
    times = [datetime.fromisoformat(event["EventTimestamp"]) for event in history]
    assert times == sorted(times)
    for due, happened in waits_and_retries(history):
        assert happened >= due


def waits_and_retries(history: History) -> Iterator[tuple[datetime, datetime]]:
    """Yield, for each wait and each retry, when it was due at the earliest and when it happened."""
    due: dict[str, datetime] = {}
    for event in history:
        at = datetime.fromisoformat(event["EventTimestamp"])
        details = event[f"{event['EventType']}Details"]
        if event["EventType"] in {"WaitSucceeded", "StepStarted"} and event["Id"] in due:
            yield due.pop(event["Id"]), at
        delay = details.get("RetryDetails", {}).get("NextAttemptDelaySeconds")
        if event["EventType"] == "WaitStarted":
            delay = details["Duration"]
        if delay is not None:
            due[event["Id"]] = at + timedelta(seconds=delay)


@contextmanager
def running(module: list[str], env: Mapping[str, str]) -> Iterator[None]:
    """Run `python -m …` in a session of its own until the block ends."""
    process = subprocess.Popen([sys.executable, "-m", *module], env=env, cwd=ROOT, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
