"""`manage.py durable`, as a script and as a person use it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from durable_engine.models import AuditEntry, Callback, Event, Execution
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.callback_ids import callback_id_for
from tests.factories import (
    add_event,
    event_types,
    make_back_off,
    make_callback,
    make_execution,
    make_function,
    make_worker,
)

pytestmark = pytest.mark.django_db


def handle(event: Any, context: Any) -> None:
    """Do nothing."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """One function to start."""
    with registry.isolated():
        registry.register(DurableHandler("orders", 1, handle))
        yield


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("durable", *arguments, stdout=out)
    return out.getvalue()


def run_json(*arguments: str) -> dict[str, Any]:
    answer = json.loads(run(*arguments, "--json"))
    assert isinstance(answer, dict)
    return answer


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as error:
        run(*arguments)
    return error.value


class TestStart:
    def test_it_answers_with_the_execution(self) -> None:
        answer = run_json(
            "start", "orders", "--input", '{"a": 1.50}', "--name", "o-1", "--tag", "team=billing", "--tag", "x=a=b"
        )
        assert (answer["name"], answer["function"], answer["version"], answer["status"]) == (
            "o-1",
            "orders",
            1,
            "PENDING",
        )
        assert (answer["input"], answer["result"], answer["error"], answer["callbacks"]) == ({"a": 1.5}, None, None, [])
        assert (answer["tags"], answer["created"]) == ({"team": "billing", "x": "a=b"}, True)
        assert str(Execution.objects.get().pk) == answer["id"]
        entry = AuditEntry.objects.get()
        assert (entry.channel, entry.action) == ("command line", "start_execution")
        assert entry.actor.startswith("command line (")

    def test_for_people_it_prints_the_id(self) -> None:
        printed = run("start", "orders", "--name", "o-1")
        assert printed.strip() == str(Execution.objects.get().pk)
        assert "was started before" in run("start", "orders", "--name", "o-1")

    def test_the_input_may_come_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "input.json").write_text('{"from": "file"}')
        assert run_json("start", "orders", "--input", f"@{tmp_path}/input.json")["input"] == {"from": "file"}
        assert refused("start", "orders", "--input", f"@{tmp_path}/nope").returncode == 2

    def test_it_can_wait_for_the_end(self) -> None:
        # The same name and input as an execution that has ended: nothing has to run.
        ended = make_execution(name="o-1", status="SUCCEEDED", result='{"ok": true}')
        assert run_json("start", "orders", "--name", "o-1", "--input", "{}", "--wait")["result"] == {"ok": True}
        failed = make_execution(name="o-2", status="FAILED", error={"ErrorType": "E", "ErrorMessage": "boom"})
        error = refused("start", "orders", "--name", "o-2", "--input", "{}", "--wait", "5")
        assert (error.returncode, "FAILED: E: boom" in str(error)) == (1, True)
        error = refused("start", "orders", "--wait", "0")
        assert (error.returncode, "is PENDING after 0 seconds" in str(error)) == (1, True)
        assert ended.pk != failed.pk

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (("ordrs",), 4, "Did you mean 'orders'?"),
            (("orders", "--input", "{bad"), 2, "input: is not valid JSON"),
            (("orders", "--name", "a b"), 2, "is not a name"),
            (("orders", "--version", "7"), 4, "no version 7"),
            (("orders", "--delay", "-1"), 2, "is not a delay"),
            (("orders", "--delay", "nan"), 2, "is not a delay"),
            (("orders", "--tag", "novalue"), 2, "KEY=VALUE"),
        ],
    )
    def test_bad_arguments_are_named(self, arguments: tuple[str, ...], code: int, words: str) -> None:
        error = refused("start", *arguments)
        assert (error.returncode, words in str(error)) == (code, True)

    def test_a_name_used_for_something_else_is_a_conflict(self) -> None:
        run("start", "orders", "--name", "o-1", "--input", "1")
        assert refused("start", "orders", "--name", "o-1", "--input", "2").returncode == 5


class TestLooking:
    def test_list(self) -> None:
        make_execution(name="one", status="FAILED", error={}, error_type="StepError", error_message="boom\nand more")
        make_execution(name="two")
        answer = run_json("list")
        assert [row["name"] for row in answer["executions"]] == ["two", "one"]
        assert "input" not in answer["executions"][0]
        assert [row["name"] for row in run_json("list", "--status", "FAILED")["executions"]] == ["one"]
        assert [row["name"] for row in run_json("list", "--limit", "1")["executions"]] == ["two"]
        assert run_json("list", "--function", "nope")["executions"] == []
        table = run("list").splitlines()
        assert len(table) == 3
        assert "StepError: boom and more" in table[2]
        assert run("list", "--function", "nope").strip() == "No executions."

    def test_show_has_what_a_script_needs_to_answer_a_callback(self) -> None:
        execution = make_execution(status="SUSPENDED", input_text='{"doc": "é"}')
        make_callback(execution, "2", name="approval", timeout_seconds=60)
        answer = run_json("show", str(execution.pk))
        (callback,) = answer["callbacks"]
        assert (callback["operation_id"], callback["name"]) == ("2", "approval")
        assert callback["callback_id"] == callback_id_for(execution.pk, "2")
        assert answer["waiting_for"].startswith("Waiting for the callback “approval”")
        assert '"doc": "é"' in run("show", str(execution.pk))

    def test_show_of_a_failure_has_the_error(self) -> None:
        error = {"ErrorType": "StepError", "ErrorMessage": "boom", "StackTrace": ["shop.py, line 3"]}
        execution = make_execution(status="FAILED", error=error)
        answer = run_json("show", str(execution.pk))
        assert (answer["error"]["type"], answer["error"]["message"]) == ("StepError", "boom")
        text = run("show", str(execution.pk))
        assert "StepError: boom" in text
        assert "shop.py, line 3" in text

    def test_show_names_the_executions_around_it(self) -> None:
        parent = make_execution()
        child = make_execution(function="charge", parent_execution_id=parent.pk, parent_operation_id="3")
        assert run_json("show", str(child.pk))["parent"] == {"id": str(parent.pk), "operation_id": "3"}
        (listed,) = run_json("show", str(parent.pk))["children"]
        assert listed == {
            "id": str(child.pk),
            "function": "charge",
            "version": 1,
            "status": "PENDING",
            "operation_id": "3",
        }
        assert f"{child.pk} charge:1 PENDING" in run("show", str(parent.pk))
        assert f"{parent.pk} (operation 3)" in run("show", str(child.pk))

    def test_a_result_that_is_not_json_stays_text(self) -> None:
        assert run_json("show", str(make_execution(status="SUCCEEDED", result="<xml/>").pk))["result"] == "<xml/>"

    def test_an_execution_is_found_by_name_and_by_the_beginning_of_its_id(self) -> None:
        execution = make_execution(name="o-1")
        for text in ("o-1", str(execution.pk)[:-4], execution.pk.hex):
            assert run_json("show", text)["id"] == str(execution.pk)
        make_execution(name="o-1", function="refund")
        error = refused("show", "o-1")
        assert (error.returncode, "fits several" in str(error)) == (5, True)
        assert refused("show", "nobody").returncode == 4

    def test_functions_says_which_versions_are_needed_and_not_served_and_which_are_over(self) -> None:
        make_function("orders", 1)
        make_function("orders", 3)
        make_function("archive")
        make_worker(functions=["orders:3"])
        make_worker(functions=["orders:2"], draining=True)
        make_execution(version=2, status="SUSPENDED")
        make_execution(version=3)
        make_execution(version=1, status="SUCCEEDED")
        lines = [" ".join(line.split()) for line in run("functions").splitlines()]
        assert [line for line in lines if line.startswith(("orders", "archive"))] == [
            "archive:1 0 0",
            "orders:3 1 1",
            "orders:2 1 0 nobody serves it",
            "orders:1 0 0 nothing runs on it any more",
        ]
        listed = run_json("functions")["functions"]
        assert [each["version"] for each in listed if each["missing"]] == [2]

    def test_history_is_in_the_form_of_aws_with_times_as_text(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        make_callback(execution, "2")
        answer = run_json("history", str(execution.pk))
        assert (answer["id"], answer["status"]) == (str(execution.pk), "SUSPENDED")
        kinds = [event["EventType"] for event in answer["events"]]
        assert kinds == ["ExecutionStarted", "StepStarted", "StepFailed", "CallbackStarted"]
        assert answer["events"][0]["EventTimestamp"].endswith("+00:00")
        assert answer["events"][3]["CallbackStartedDetails"]["CallbackId"] == callback_id_for(execution.pk, "2")
        lines = run("history", str(execution.pk)).splitlines()
        assert (len(lines), "StepFailed" in lines[3], "declined" in lines[3]) == (5, True, True)
        assert refused("history", "nobody").returncode == 4


class TestStop:
    def test_it_stops_once(self) -> None:
        execution = make_execution()
        assert run_json("stop", str(execution.pk), "--reason", "wrong")["status"] == "STOPPED"
        error = refused("stop", str(execution.pk))
        assert (error.returncode, "it has ended and is STOPPED" in str(error)) == (5, True)
        assert refused("stop", "01900000-0000-7000-8000-000000000000").returncode == 4


class TestCallback:
    def test_by_its_id(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_callback(execution, "2")
        callback_id = callback_id_for(execution.pk, "2")
        assert run_json("callback", callback_id, "--succeed", '{"approved": true}')["status"] == "PENDING"
        assert Event.objects.get(event_type="CallbackSucceeded").payload == '{"approved": true}'
        error = refused("callback", callback_id, "--fail", "late")
        assert (error.returncode, "SUCCEEDED by command line" in str(error)) == (5, True)
        forged = callback_id[:40] + ("A" if callback_id[40] != "A" else "B") + callback_id[41:]
        assert refused("callback", forged, "--fail", "x").returncode == 4

    def test_by_its_execution_when_only_one_is_open(self) -> None:
        execution = make_execution(status="SUSPENDED", name="contract")
        make_callback(execution, "2", name="legal")
        run("callback", "contract", "--fail", "no", "--error-type", "Rejected")
        error = json.loads(Event.objects.get(event_type="CallbackFailed").error or "")
        assert error == {"ErrorType": "Rejected", "ErrorMessage": "no"}
        answer = refused("callback", "contract", "--succeed", "1")
        assert (answer.returncode, "has no open callback" in str(answer)) == (5, True)

    def test_of_several_open_ones_one_must_be_named(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_callback(execution, "2", name="legal")
        make_callback(execution, "3", name="finance")
        error = refused("callback", str(execution.pk), "--succeed", "1")
        assert (error.returncode, "2 (legal), 3 (finance)" in str(error)) == (2, True)
        run("callback", str(execution.pk), "--operation", "3", "--succeed", "1")
        assert Callback.objects.get(operation_id="3").status == "SUCCEEDED"
        assert refused("callback", str(execution.pk), "--operation", "9", "--succeed", "1").returncode == 4

    def test_by_its_business_key(self) -> None:
        make_callback(make_execution(), key="order-7", key_function="orders")
        run("callback", "--key", "order-7", "--function", "orders", "--succeed", "1")
        assert Callback.objects.get().status == "SUCCEEDED"
        assert refused("callback", "--key", "order-7", "--succeed", "1").returncode == 2
        assert refused("callback", "--key", "order-7", "--function", "orders", "--succeed", "1").returncode == 4

    def test_a_result_that_is_not_json_completes_nothing(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_callback(execution, "2")
        error = refused("callback", str(execution.pk), "--succeed", "{approved")
        assert (error.returncode, "--succeed: is not valid JSON" in str(error)) == (2, True)
        assert Callback.objects.get().status == "STARTED"

    def test_a_heartbeat(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_callback(execution, "2", heartbeat_timeout_seconds=600)
        Callback.objects.update(heartbeat_deadline=timezone.now() + timedelta(seconds=60))
        run("callback", str(execution.pk), "--heartbeat")
        deadline = Callback.objects.get().heartbeat_deadline
        assert deadline is not None
        assert deadline > timezone.now() + timedelta(seconds=500)
        assert event_types(execution.pk)[-1] == "CallbackStarted"


@pytest.mark.django_db(transaction=True)
@pytest.mark.process
def test_a_script_reads_objects_from_stdout_and_kinds_of_errors_from_the_exit_code(process_env: dict[str, str]) -> None:
    execution = make_execution(name="o-1")
    add_event(execution, "ExecutionStarted")

    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", "durable", *arguments]
        return subprocess.run(command, env=process_env, capture_output=True, text=True, timeout=60, check=False)

    shown = manage("show", "o-1", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["id"]) == (0, str(execution.pk))
    missing = manage("show", "nobody", "--json")
    assert (missing.returncode, missing.stdout) == (4, "")
    assert "There is no execution nobody." in missing.stderr
    assert manage("start").returncode == 2
