"""What AWS's model has no operation for: repairs, lists over all functions, tags."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from durable_engine.models import AuditEntry, Event, Execution, Timer
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.acts import EXECUTION_ACTS, OPERATION_ACTS
from durable_engine.services.callback_ids import callback_id_for
from tests.factories import add_event, make_back_off, make_callback, make_execution, make_timer
from tests.integration.api.conftest import V1

pytestmark = pytest.mark.django_db

INVALID = "InvalidParameterValueException"
# These two have methods of their own.
OF_EXECUTION = {name: act for name, act in EXECUTION_ACTS.items() if name not in {"delete", "tags"}}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    with registry.isolated():
        for version in (1, 2):
            registry.register(DurableHandler("orders", version, lambda event, context: None))
        yield


def failed(name: str = "order-7", **columns: Any) -> Execution:
    """One whose step succeeded before it failed."""
    execution = make_execution(name=name, input_text='{"order": 7}', **columns)
    about = {"operation_id": "1", "name": "charge", "subtype": "Step", "attempt": 1}
    add_event(execution, "StepStarted", **about)
    add_event(execution, "StepSucceeded", payload="1", **about)
    add_event(execution, "ExecutionFailed", error={"ErrorType": "E", "ErrorMessage": "boom"})
    execution.status, execution.closed_at = "FAILED", timezone.now()
    execution.save()
    return execution


class TestLooking:
    def test_a_list_is_narrowed_by_every_parameter(self, v1: V1) -> None:
        old = make_execution(name="one", status="FAILED", created_at=timezone.now() - timedelta(days=2))
        new = make_execution(name="two", tags={"team": "billing"}, function="refund", version=2)
        waiting = make_execution(name="three", status="SUSPENDED")
        make_callback(waiting)
        day_ago = (timezone.now() - timedelta(days=1)).isoformat()

        def names(**query: Any) -> list[str]:
            return [row["name"] for row in v1.get("executions", **query)["executions"]]

        assert names() == ["three", "two", "one"]
        assert names(status="FAILED") == ["one"]
        assert names(function="refund", version="2") == ["two"]
        assert names(tags="team=billing") == ["two"]
        assert names(until=day_ago) == ["one"]
        assert names(since=day_ago) == ["three", "two"]
        assert names(waiting="callback") == ["three"]
        assert names(text="tw") == ["two"]
        first = v1.get("executions", limit=2)
        assert [row["id"] for row in first["executions"]] == [str(waiting.pk), str(new.pk)]
        rest = v1.get("executions", limit=2, cursor=first["next"])
        assert ([row["id"] for row in rest["executions"]], rest["next"]) == ([str(old.pk)], None)

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({"status": "DONE"}, "status: 'DONE' is none of"),
            ({"stauts": "FAILED"}, "'stauts' is no parameter. There are function"),
            ({"limit": "0"}, "limit"),
            ({"tags": "billing"}, "KEY=VALUE"),
            ({"since": "yesterday"}, "is not a time"),
            ({"text": "a\x00"}, "NUL"),
        ],
    )
    def test_a_parameter_that_cannot_be_is_named(self, v1: V1, query: dict[str, str], words: str) -> None:
        status, value, code = v1.call("GET", "executions", **query)
        assert (status, code, words in value["message"]) == (400, INVALID, True)

    def test_an_execution_is_found_by_its_id_the_beginning_of_it_or_its_name(self, v1: V1) -> None:
        execution = make_execution(name="order-7", status="SUSPENDED", input_text='{"a": 1}')
        make_callback(execution, "2", name="approval")
        for text in (str(execution.pk), str(execution.pk)[:-4], "order-7"):
            shown = v1.get(f"executions/{text}")
            assert (shown["id"], shown["input"], shown["status"]) == (str(execution.pk), {"a": 1}, "SUSPENDED")
        assert shown["callbacks"][0]["callback_id"] == callback_id_for(execution.pk, "2")
        reader = V1(scopes=["read"])
        assert "callback_id" not in reader.get("executions/order-7")["callbacks"][0]
        assert v1.call("GET", "executions/nobody")[::2] == (404, "ResourceNotFoundException")
        assert v1.call("GET", "executions/a%00b")[0] == 404

    def test_a_callback_is_found_by_its_business_key(self, v1: V1) -> None:
        execution = make_execution()
        make_callback(execution, "2", key="order/7", key_function="orders")
        found = v1.get("functions/orders/callbacks/order/7")
        assert (found["execution_id"], found["callback_id"]) == (
            str(execution.pk),
            callback_id_for(execution.pk, "2"),
        )
        assert v1.call("GET", "functions/orders/callbacks/other")[0] == 404

    def test_versions_of_functions(self, v1: V1) -> None:
        make_execution(version=2)
        (line,) = v1.get("functions")["functions"]
        assert (line["function"], line["version"], line["live_executions"], line["missing"]) == ("orders", 2, 1, True)


class TestStart:
    def test_it_takes_everything_that_a_start_may_have(self, v1: V1) -> None:
        wanted: dict[str, Any] = {
            "function": "orders",
            "input": {"a": [1.5, None]},
            "name": "o-1",
            "version": 1,
            "tags": {"team": "billing"},
            "delay_seconds": 60,
            "priority": 5,
            "queue": "slow",
        }
        started = v1.post("executions", **wanted)
        execution = Execution.objects.get(pk=started["id"])
        assert (execution.tags, execution.priority, execution.queue, execution.version) == (
            {"team": "billing"},
            5,
            "slow",
            1,
        )
        assert started["created"] is True
        assert v1.post("executions", **wanted) == {**started, "created": False}
        assert v1.call("POST", "executions", {**wanted, "input": 2})[0] == 409

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "function is missing from the body."),
            ({"function": 7}, "function must be a string."),
            ({"function": "orders", "version": True}, "version must be an integer."),
            ({"function": "orders", "inptu": 1}, "'inptu' is no field of it. There are function, input"),
            ({"function": "orders", "tags": {"a": 1}}, "tags"),
        ],
    )
    def test_a_field_that_cannot_be_is_named(self, v1: V1, body: dict[str, Any], words: str) -> None:
        status, value, code = v1.call("POST", "executions", body)
        assert (status, code, words in value["message"]) == (400, INVALID, True), value
        assert not Execution.objects.exists()


class TestActs:
    def test_pause_resume_and_stop_say_what_it_is_now_and_the_audit_has_who_and_why(self, v1: V1) -> None:
        execution = make_execution(status="SUSPENDED")
        path = f"executions/{execution.pk}"
        assert v1.post(f"{path}/pause", reason="stocktaking")["status"] == "PAUSED"
        assert v1.post(f"{path}/resume")["status"] == "PENDING"
        assert v1.post(f"{path}/stop")["status"] == "STOPPED"
        assert v1.call("POST", f"{path}/stop", {})[::2] == (409, "ResourceConflictException")
        entry = AuditEntry.objects.get(action="pause_execution")
        assert (entry.reason, entry.channel, entry.actor.startswith("API key v1 (")) == ("stocktaking", "api", True)

    def test_whoever_saw_an_older_revision_is_refused_and_changes_nothing(self, v1: V1) -> None:
        execution = make_execution(status="SUSPENDED")
        path = f"executions/{execution.pk}"
        seen = v1.get(path)["revision"]
        now = v1.post(f"{path}/pause", revision=seen)["revision"]
        status, value, code = v1.call("POST", f"{path}/resume", {"revision": seen})
        assert (status, code) == (409, "StaleRevisionException")
        assert "it is PAUSED now" in value["message"]
        assert v1.post(f"{path}/resume", revision=now)["status"] == "PENDING"

    def test_redrive_rewind_fork_and_rerun_start_another_one(self, v1: V1) -> None:
        source = failed()
        fork = v1.post("executions/order-7/operations/charge/fork", name="order-7-b", input={"order": 8})
        rerun = v1.post("executions/order-7/rerun", name="order-7-c")
        redriven = v1.post("executions/order-7/redrive", version=2, reason="repaired")
        rewound = v1.post(f"executions/{failed('order-8').pk}/operations/1/rewind")
        kinds = {str(each.pk): each.origin_kind for each in Execution.objects.exclude(origin_id=None)}
        assert kinds == {
            fork["id"]: "fork",
            rerun["id"]: "rerun",
            redriven["id"]: "redrive",
            rewound["id"]: "rewind",
        }
        assert v1.get(f"executions/{fork['id']}")["input"] == {"order": 8}
        assert v1.get(f"executions/{redriven['id']}")["version"] == 2
        assert v1.get(f"executions/{source.pk}")["superseded_by"] == redriven["id"]
        status, value, _ = v1.call("POST", f"executions/{source.pk}/redrive", {})
        assert (status, "already" in value["message"]) == (409, True)

    def test_operations_are_retried_completed_and_skipped(self, v1: V1) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        add_event(execution, "WaitStarted", operation_id="2", details={"duration_seconds": 3600})
        make_timer(execution, "2", kind="wait")
        path = f"executions/{execution.pk}"
        v1.post(f"{path}/operations/charge/retry")
        v1.post(f"{path}/operations/2/skip")
        assert all(timer.due_at <= timezone.now() for timer in Timer.objects.all())
        v1.post(f"{path}/operations/charge/complete", result=5, reason="in cash")
        assert Event.objects.get(event_type="StepSucceeded").payload == "5"
        status, value, _ = v1.call("POST", f"{path}/operations/nothing/complete", {})
        assert (status, "no operation 'nothing'" in value["message"]) == (404, True)

    def test_every_step_in_back_off_is_retried(self, v1: V1) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution, "1")
        make_back_off(execution, "2", name="mail")
        v1.post(f"executions/{execution.pk}/retry")
        assert all(timer.due_at <= timezone.now() for timer in Timer.objects.all())

    def test_a_failure_is_given_by_hand(self, v1: V1) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        error = {"ErrorType": "Declined", "ErrorMessage": "no funds"}
        path = f"executions/{execution.pk}/operations/1/complete"
        assert v1.call("POST", path, {"error": error, "result": 1})[0] == 400
        v1.post(path, error=error)
        assert Event.objects.order_by("event_id").last().event_type == "StepFailed"  # type: ignore[union-attr]

    def test_tags_take_the_place_of_those_before(self, v1: V1) -> None:
        execution = make_execution(tags={"team": "billing", "old": "1"})
        status, value, _ = v1.call("PUT", f"executions/{execution.pk}/tags", {"tags": {"team": "sales"}})
        assert (status, value["status"]) == (200, "PENDING")
        execution.refresh_from_db()
        assert execution.tags == {"team": "sales"}
        assert AuditEntry.objects.get(action="change_tags").details == {"changed": ["old", "team"]}
        assert v1.call("PUT", f"executions/{execution.pk}/tags", {})[0] == 400
        assert v1.call("PUT", f"executions/{execution.pk}/tags", {"tags": {"": "x"}})[0] == 400

    def test_what_has_ended_is_deleted(self, v1: V1) -> None:
        execution = make_execution(status="FAILED")
        assert v1.call("DELETE", f"executions/{make_execution().pk}")[0] == 409
        status, value, _ = v1.call("DELETE", f"executions/{execution.pk}", reason="old")
        assert (status, value["status"]) == (200, "DELETED")
        assert AuditEntry.objects.get(action="delete_execution").reason == "old"
        assert not Execution.objects.filter(pk=execution.pk).exists()


class TestWhoMay:
    PATHS = (
        *(("POST", f"executions/{{}}/{name}", act.scope) for name, act in OF_EXECUTION.items()),
        *(("POST", f"executions/{{}}/operations/1/{name}", act.scope) for name, act in OPERATION_ACTS.items()),
        ("DELETE", "executions/{}", "stop"),
        ("PUT", "executions/{}/tags", "repair"),
        ("GET", "executions/{}", "read"),
        ("POST", "executions", "start"),
        ("GET", "executions", "read"),
        ("GET", "functions", "read"),
        ("GET", "functions/orders/callbacks/k", "callback"),
    )  # fmt: skip

    def test_without_the_scope_or_a_signature_nothing_is_done(self) -> None:
        execution = make_execution(status="SUSPENDED")
        scopes = {"start", "read", "stop", "repair", "callback", "checkpoint"}
        clients = {scope: V1(scopes=scopes - {scope}) for scope in scopes}
        before = AuditEntry.objects.count()
        for method, path, scope in self.PATHS:
            body: Any = None if method in {"GET", "DELETE"} else {}
            status, value, code = clients[scope].call(method, path.format(execution.pk), body)
            assert (status, code) == (403, "AccessDeniedException"), path
            assert scope in value["message"]
        assert AuditEntry.objects.count() == before

    def test_for_a_key_of_other_functions_it_does_not_exist(self) -> None:
        execution = make_execution(status="SUSPENDED", name="order-7")
        other = V1(functions=["refund"])
        for method, path, _ in self.PATHS:
            if "{}" in path:
                body: Any = {"tags": {}} if path.endswith("tags") else {} if method == "POST" else None
                assert other.call(method, path.format("order-7"), body)[0] == 404, path
        assert other.call("POST", "executions", {"function": "orders"})[0] == 403
        assert other.call("GET", "functions/orders/callbacks/k")[0] == 403
        assert other.call("GET", "executions", function="orders")[0] == 403
        assert other.call("GET", "executions")[0] == 403
        assert other.get("executions", function="refund")["executions"] == []
        assert other.get("functions")["functions"] == []
        execution.refresh_from_db()
        assert execution.status == "SUSPENDED"

    @pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"reason": NaN}'])
    def test_a_body_that_is_no_json_object_is_refused(self, v1: V1, body: bytes) -> None:
        execution = make_execution(status="SUSPENDED")
        assert v1.call("POST", f"executions/{execution.pk}/stop", body)[::2] == (400, INVALID)

    def test_another_method_or_path_is_refused_in_the_same_form(self, v1: V1) -> None:
        assert v1.call("PUT", "executions")[::2] == (405, "MethodNotAllowedException")
        assert v1.call("GET", "nothing")[::2] == (404, "UnknownOperationException")
