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
from urllib.parse import urlsplit
from uuid import NAMESPACE_OID, uuid5

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from durable_engine.models import Execution, Worker
from tests.conftest import remove_keys
from tests.processes import wait_for

pytestmark = pytest.mark.process

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
}
KILLED = '{"records": 6, "batch_size": 2, "seconds_per_batch": 2}'

History = list[dict[str, Any]]


@pytest.fixture(scope="module")
def processes(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """One worker and one scheduler for this module, on the test's database and broker."""
    with django_db_blocker.unblock():
        remove_keys()
        name = connection.settings_dict["NAME"]
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
            "DATABASE_URL": urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl(),
            "PYTHONPATH": str(ROOT),
            "DURABLE_WORKER_CONCURRENCY": "4",
            "REMAP_SIGTERM": "SIGQUIT",
        }
        worker = [
            *"celery --quiet -A durable_engine.config worker -O fair".split(),
            *"--without-gossip --without-mingle".split(),
        ]
        with running(worker, env), running(["django", "run_scheduler"], env):
            yield
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE durable_execution, durable_worker, durable_function, durable_audit_entry CASCADE")
        connection.close()


@pytest.fixture(scope="module")
def ended(processes: None) -> dict[str, str]:
    """Start every example at once, answer what waits for an answer, and return the ids once all have ended."""
    ids = {case: durable("start", function, "--input", text)["id"] for case, (function, text, _) in CASES.items()}
    for case, (_, _, answer) in CASES.items():
        if answer is not None:
            wait_for(partial(has_open_callback, ids[case]), f"the callback of {case}")
            durable("callback", ids[case], "--succeed", answer)
    for case, id in ids.items():
        wait_until_ended(id, case)
    return ids


@pytest.mark.parametrize("case", CASES)
def test_each_example_leaves_the_history_that_the_rules_ask_for(case: str, ended: Mapping[str, str]) -> None:
    history = durable("history", ended[case])["events"]

    assert comparable(history, ended[case]) == expected(case)


@pytest.mark.parametrize("case", CASES)
def test_times_never_go_back_and_nothing_happens_before_it_is_due(case: str, ended: Mapping[str, str]) -> None:
    history = durable("history", ended[case])["events"]
    times = [datetime.fromisoformat(event["EventTimestamp"]) for event in history]

    assert times == sorted(times)
    for due, event_time in waits_and_retries(history):
        assert event_time >= due


def test_the_failed_attempt_keeps_its_stack_with_the_example_first(ended: Mapping[str, str]) -> None:
    history = durable("history", ended["flaky-payment"])["events"]
    stack = history[2]["StepFailedDetails"]["Error"]["Payload"]["StackTrace"]

    assert "flaky_payment.py" in stack[0]
    assert any("ask_provider" in frame for frame in stack)


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


def has_open_callback(id: str) -> bool:
    return bool(durable("show", id)["callbacks"])


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
        error["StackTrace"] = "*"
    # The engine's own sentences, not those of an example.
    if event_type in {"CallbackTimedOut", "ContextFailed", "InvocationCompleted"} and error.get("ErrorMessage"):
        error["ErrorMessage"] = "*"


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
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
