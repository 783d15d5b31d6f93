"""`manage.py durable` on executions that need a hand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.models import AuditEntry, Event, Execution, Timer
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.executions import stop_execution
from tests.factories import add_event, make_back_off, make_execution, make_timer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Two versions of one function."""
    with registry.isolated():
        for version in (1, 2):
            registry.register(DurableHandler("orders", version, lambda event, context: None))
        yield


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("durable", *arguments, stdout=out)
    return out.getvalue().strip()


def run_json(*arguments: str) -> dict[str, Any]:
    answer = json.loads(run(*arguments, "--json"))
    assert isinstance(answer, dict)
    return answer


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as error:
        run(*arguments)
    return error.value


def stopped(name: str = "order-7") -> Execution:
    execution = make_execution(name=name, input_text='{"order": 7}')
    about = {"operation_id": "1", "name": "charge", "subtype": "Step", "attempt": 1}
    add_event(execution, "StepStarted", **about)
    add_event(execution, "StepSucceeded", payload="1", **about)
    stop_execution(execution.pk, actor=PYTHON_CODE)
    return execution


class TestGoingOn:
    def test_redrive_prints_the_execution_that_goes_on(self) -> None:
        source = stopped()
        new = Execution.objects.get(pk=run("redrive", "order-7", "--reason", "card renewed", "--version", "2"))
        assert (new.origin_id, new.version) == (source.pk, 2)
        entry = AuditEntry.objects.get(execution_id=new.pk)
        assert (entry.reason, entry.channel) == ("card renewed", "command line")

    def test_a_name_means_the_newest_of_its_executions(self) -> None:
        source = stopped()
        new_id = run("redrive", "order-7")
        assert run_json("show", "order-7")["id"] == new_id
        assert run_json("show", new_id)["origin"] == {"id": str(source.pk), "kind": "redrive"}
        shown = run_json("show", str(source.pk))
        assert shown["superseded_by"] == new_id
        assert f"goes on as {new_id}" in run("show", str(source.pk))

    def test_rewind_takes_an_operation_by_its_id_or_name(self) -> None:
        stopped()
        answer = run_json("rewind", "order-7", "charge")
        assert (answer["status"], answer["origin"]["kind"]) == ("PENDING", "rewind")
        assert Event.objects.filter(execution_id=answer["id"]).count() == 1

    def test_fork_and_rerun_take_a_name_and_an_input(self) -> None:
        stopped()
        fork = run_json("fork", "order-7", "1", "--name", "order-7-b", "--input", '{"order": 8}')
        assert (fork["name"], fork["input"], fork["origin"]["kind"]) == ("order-7-b", {"order": 8}, "fork")
        rerun = run_json("rerun", "order-7", "--name", "order-7-c")
        assert (rerun["name"], rerun["input"], rerun["version"]) == ("order-7-c", {"order": 7}, 2)


class TestInPlace:
    def test_pause_and_resume(self) -> None:
        execution = make_execution(status="SUSPENDED")
        assert run("pause", str(execution.pk)).endswith("is PAUSED")
        assert run_json("resume", str(execution.pk))["status"] == "PENDING"

    def test_retry_and_complete_a_step(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        run("retry", str(execution.pk), "charge")
        assert Timer.objects.get().due_at <= timezone.now()
        run("complete", str(execution.pk), "charge", "--succeed", "5")
        assert Event.objects.get(event_type="StepSucceeded").payload == "5"

    def test_complete_with_an_error(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        run("complete", str(execution.pk), "1", "--fail", "no funds", "--error-type", "Declined")
        error = json.loads(Event.objects.get(event_id=4).error or "")
        assert error == {"ErrorType": "Declined", "ErrorMessage": "no funds"}

    def test_skip_a_wait(self) -> None:
        execution = make_execution(status="SUSPENDED")
        add_event(execution, "WaitStarted", operation_id="1", details={"duration_seconds": 3600})
        make_timer(execution, kind="wait")
        run("skip", str(execution.pk), "1")
        assert Timer.objects.get().due_at <= timezone.now()

    def test_delete(self) -> None:
        execution = make_execution(status="FAILED")
        assert str(execution.pk) in run_json("delete", str(execution.pk))["done"]
        assert not Execution.objects.exists()


class TestRefusals:
    def test_what_does_not_apply_has_its_own_exit_code(self) -> None:
        execution = make_execution(status="SUSPENDED")
        error = refused("redrive", str(execution.pk))
        assert (error.returncode, "SUSPENDED" in str(error)) == (5, True)

    def test_what_does_not_exist_too(self) -> None:
        assert refused("redrive", "nobody").returncode == 4
        assert refused("rewind", str(make_execution().pk), "nothing").returncode == 4

    def test_a_name_that_several_operations_have_is_not_enough(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution, "1")
        make_back_off(execution, "2")
        error = refused("retry", str(execution.pk), "charge")
        assert error.returncode == 2
        assert "['1', '2']" in str(error)

    def test_a_result_that_is_not_json_completes_nothing(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        assert refused("complete", str(execution.pk), "1", "--succeed", "yes").returncode == 2
        assert Timer.objects.exists()


class TestBulk:
    def test_a_set_is_chosen_looked_at_and_started(self) -> None:
        make_execution(status="FAILED")
        make_execution(status="FAILED", superseded_by=uuid7())
        make_execution(status="SUSPENDED")
        drawn_up = run_json("bulk", "create", "redrive", "--status", "FAILED")
        assert (drawn_up["status"], drawn_up["total"], drawn_up["left"]["would_act"]) == ("DRAFT", 2, 1)
        assert run("bulk", "start", drawn_up["id"], "--canary", "1").startswith("bulk action")
        assert run_json("bulk", "show", drawn_up["id"])["status"] == "RUNNING"
        assert "2 cancelled" in run("bulk", "cancel", drawn_up["id"])

    def test_an_operation_is_told_by_its_name(self) -> None:
        stopped("order-7"), stopped("order-8")
        drawn_up = run_json(
            "bulk", "create", "rewind", "--status", "STOPPED", "--operation", "charge", "--version", "2"
        )
        assert (drawn_up["left"]["would_act"], drawn_up["options"]) == (2, {"operation": "charge", "version": 2})
        assert "operation: charge" in run("bulk", "start", drawn_up["id"])
        assert refused("bulk", "create", "rewind", "--status", "STOPPED").returncode == 2

    def test_many_run_again_with_another_input(self) -> None:
        stopped()
        drawn_up = run_json("bulk", "create", "rerun", "--status", "STOPPED", "--input", '{"order": 8}')
        assert drawn_up["options"] == {"input_text": '{"order": 8}'}

    def test_an_outcome_is_given_by_hand(self) -> None:
        make_back_off(make_execution(status="SUSPENDED"))
        to_complete = ("bulk", "create", "complete", "--status", "SUSPENDED", "--operation", "charge", "--kind", "step")
        assert run_json(*to_complete, "--succeed", "[1]")["options"]["result_text"] == "[1]"
        assert run_json(*to_complete, "--fail", "no")["options"]["error"] == {"ErrorMessage": "no"}
        assert refused(*to_complete, "--succeed", "{").returncode == 2
        assert refused("bulk", "create", "stop", "--status", "SUSPENDED", "--operation", "charge").returncode == 2

    def test_names_and_ids_choose_too(self) -> None:
        first, second = make_execution(name="order-7"), make_execution()
        assert run_json("bulk", "create", "stop", "order-7", str(second.pk))["total"] == 2
        assert refused("bulk", "create", "stop", str(first.pk), "nobody").returncode == 4

    def test_what_does_not_exist_is_not_found(self) -> None:
        assert refused("bulk", "start", str(uuid7())).returncode == 4
