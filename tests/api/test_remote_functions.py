"""Functions that run elsewhere: handlers of the real, unmodified AWS SDK, in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from durable_engine.config.env import BASE_DIR
from durable_engine.embedded import process
from durable_engine.models import Execution, Worker
from durable_engine.services.remote_functions import delete_remote_function, put_remote_function
from tests.api.calls import callback_id, start, status, wait_for, waiting
from tests.api.site import OPERATOR, REGION, Site, make_key
from tests.api.test_paging import pages
from tests.faults.stack import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

FUNCTIONS = ("tour", "calls_greet", "fails", "large", "many", "raw")


class Host:
    """The process that runs the handlers."""

    def __init__(self, site: Site) -> None:
        pair = make_key("host", scopes=["checkpoint"])
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DJANGO_"))},
            "AWS_ENDPOINT_URL_LAMBDA": site.url,
            "AWS_ACCESS_KEY_ID": pair.key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": pair.secret,
            "AWS_DEFAULT_REGION": REGION,
            "PYTHONPATH": str(BASE_DIR),
        }
        self._log = site.home / "host.log"
        self._port = site.remote_port
        self.start()

    def start(self) -> None:
        """Start it; it takes invocations when it has imported the SDK."""
        handlers = [f"remote-{name.replace('_', '-')}=tests.api.remote.handlers:{name}" for name in FUNCTIONS]
        command = [sys.executable, "examples/remote_functions/host.py", str(self._port), *handlers]
        with self._log.open("ab") as log:
            self.process = process.spawn(command, output=log, env=self._env, cwd=BASE_DIR)

    def kill(self) -> None:
        """Kill it with -9."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def running_host(running_site: Site, django_db_blocker: DjangoDbBlocker) -> Iterator[Host]:
    with django_db_blocker.unblock(), running_site.entered():
        made = Host(running_site)
    yield made
    made.kill()


@pytest.fixture
def host(site: Site, running_host: Host) -> Host:
    """The process, running; starting one takes seconds, so that the tests share it."""
    if running_host.process.poll() is not None:
        running_host.start()
    return running_host


def lines(ledger: Path) -> list[str]:
    return ledger.read_text().splitlines() if ledger.exists() else []


def bodies(ledger: Path) -> list[str]:
    return [line.partition(" pid=")[0] for line in lines(ledger)]


def history(client: Any, arn: str) -> list[Any]:
    events: list[Any] = []
    for page in pages(client.get_durable_execution_history, DurableExecutionArn=arn, MaxItems=1000):
        events += page["Events"]
    assert [event["EventId"] for event in events] == list(range(1, len(events) + 1))
    return events


def test_a_handler_of_the_real_sdk_completes_also_when_its_process_is_killed_in_the_middle(
    host: Host, client: Any, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    arn = start(client, "remote-tour", {"ledger": str(ledger), "hold": True})
    until(lambda: "held" in bodies(ledger), "the step that holds has begun", 60)
    before = host.process.pid
    host.kill()
    host.start()
    until(lambda: bodies(ledger).count("held") == 2, "it runs again in a new process", 60)
    (tmp_path / "go").touch()
    waiting(client, arn)
    client.send_durable_execution_callback_success(CallbackId=callback_id(client, arn), Result=b'"fine"')

    result = json.loads(wait_for(client, arn, "SUCCEEDED")["Result"])
    assert result == {
        "one": "one",
        "again": "attempt 2",
        "squares": [1, 4, 9],
        "middle": "let go",
        "approval": '"fine"',
    }
    # What was recorded before the kill did not run again.
    assert bodies(ledger) == ["first", "flaky 1", "flaky 2", "held", "held"]
    assert {line.rpartition("=")[2] for line in lines(ledger)} == {str(before), str(host.process.pid)}

    events = history(client, arn)
    kinds = [event["EventType"] for event in events]
    assert kinds[:5] == ["ExecutionStarted", "StepStarted", "StepSucceeded", "WaitStarted", "InvocationCompleted"]
    assert kinds[-2:] == ["InvocationCompleted", "ExecutionSucceeded"]
    assert {"WaitSucceeded", "StepFailed", "ContextStarted", "ContextSucceeded", "CallbackSucceeded"} <= set(kinds)
    completed = [event["InvocationCompletedDetails"] for event in events if "InvocationCompletedDetails" in event]
    errors = [each["Error"]["Payload"]["ErrorType"] for each in completed if "Error" in each]
    assert errors == ["Runtime.ExitError"]


def test_it_invokes_a_function_that_runs_here(host: Host, client: Any) -> None:
    arn = start(client, "remote-calls-greet", {"name": "Ana"})

    assert json.loads(wait_for(client, arn, "SUCCEEDED")["Result"]) == {"greeting": "Hello Ana"}
    (started,) = [event for event in history(client, arn) if event["EventType"] == "ChainedInvokeStarted"]
    child = started["ChainedInvokeStartedDetails"]["DurableExecutionArn"]
    assert status(client, child) == "SUCCEEDED"


def test_a_failure_is_the_failure_of_the_execution(host: Host, client: Any) -> None:
    arn = start(client, "remote-fails", {"message": "no stock"})
    error = wait_for(client, arn, "FAILED")["Error"]
    assert (error["ErrorType"], error["ErrorMessage"]) == ("ValueError", "no stock")


def test_a_result_too_large_for_an_answer_is_recorded_by_a_checkpoint(host: Host, client: Any) -> None:
    size = 6 * 1024 * 1024 - 40
    arn = start(client, "remote-large", {"size": size})
    assert len(wait_for(client, arn, "SUCCEEDED")["Result"]) == size + 2


def test_a_state_of_several_pages_is_read_to_its_end(host: Host, client: Any) -> None:
    arn = start(client, "remote-many", {"steps": 60, "bytes": 120_000})

    until(lambda: status(client, arn) == "SUCCEEDED", "the end", 60)
    steps = [event for event in history(client, arn) if event["EventType"] == "StepSucceeded"]
    assert len(steps) == 60


def test_one_that_people_made_in_settings_is_invoked_by_workers_that_run_already(
    host: Host, site: Site, client: Any
) -> None:
    # The same handler under a name that no variable has.
    url = f"http://127.0.0.1:{site.remote_port}/2015-03-31/functions/remote-fails/invocations"
    put_remote_function("from-settings", url, actor=OPERATOR)
    arn = start(client, "from-settings", {"message": "no stock"})
    until(lambda: status(client, arn) == "FAILED", "a worker has looked and run it", 60)
    assert client.get_durable_execution(DurableExecutionArn=arn)["Error"]["ErrorMessage"] == "no stock"
    assert any("from-settings:1" in worker.functions for worker in Worker.objects.filter(lost_at=None))

    delete_remote_function("from-settings", 1, actor=OPERATOR)
    live = Worker.objects.filter(lost_at=None)
    until(lambda: not any("from-settings:1" in worker.functions for worker in live.all()), "workers forget it", 60)
    assert status(client, start(client, "from-settings")) == "RUNNING"


def test_while_the_process_is_away_executions_wait_and_nothing_is_counted_as_a_crash(host: Host, client: Any) -> None:
    host.kill()
    arn = start(client, "remote-fails", {"message": "later"})
    execution = Execution.objects.get(pk=arn.rpartition("/")[2])

    def was_put_off() -> bool:
        execution.refresh_from_db()
        return (execution.status, execution.fence > 0) == ("PENDING", True)

    until(was_put_off, "it waits for its handler")
    assert (execution.crash_count, execution.last_event_id) == (0, 1)
    Execution.objects.filter(pk=execution.pk).update(ready_at=execution.created_at)
    host.start()
    assert wait_for(client, arn, "FAILED")["Error"]["ErrorMessage"] == "later"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"Status": "PENDING"}, "Cannot return PENDING status with no pending operations."),
        ({"Status": "FAILED", "Result": "1"}, "Cannot provide a Result for FAILED status."),
        ({"Status": "SUCCEEDED", "Error": {"ErrorType": "x"}}, "Cannot provide an Error for SUCCEEDED status."),
        ({"Status": "DONE"}, "Status must be SUCCEEDED, FAILED or PENDING"),
        ({}, "Status must be"),
        ([1], "not a JSON object"),
    ],
)
def test_an_answer_that_cannot_be_fails_the_invocation_and_in_the_end_pauses_the_execution(
    host: Host, client: Any, given: object, problem: str
) -> None:
    arn = start(client, "remote-raw", {"answer": given})
    execution = Execution.objects.get(pk=arn.rpartition("/")[2])

    def is_paused() -> bool:
        execution.refresh_from_db()
        return execution.status == "PAUSED"

    until(is_paused, "paused", 60)
    assert execution.pause_kind == "crashes"
    assert problem in execution.pause_reason
    failed = [event for event in history(client, arn) if event["EventType"] == "InvocationCompleted"]
    assert len(failed) == execution.crash_count
    assert {event["InvocationCompletedDetails"]["Error"]["Payload"]["ErrorType"] for event in failed} == {
        "Runtime.InvalidAnswer"
    }


def test_one_that_is_stopped_meanwhile_stays_stopped(host: Host, client: Any, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    arn = start(client, "remote-tour", {"ledger": str(ledger), "hold": True})
    until(lambda: "held" in bodies(ledger), "the step that holds has begun", 60)
    client.stop_durable_execution(DurableExecutionArn=arn)
    events = len(history(client, arn))
    (tmp_path / "go").touch()

    # The worker is free for others, and what the handler still wants to record is refused.
    assert json.loads(wait_for(client, start(client, "remote-calls-greet", {"name": "Bo"}), "SUCCEEDED")["Result"])
    assert status(client, arn) == "STOPPED"
    assert len(history(client, arn)) == events
