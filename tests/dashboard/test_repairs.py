"""Redrive, rewind, fork, run again, complete by hand, skip and delete, through their pages."""

import json
import re
from collections.abc import Callable
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from durable_engine.models import AuditEntry, Execution
from durable_engine.queries.executions import input_of
from durable_engine.queries.operations import operations_of
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_function
from tests.html import element, words
from tests.seeds import Story, document_that_waits, order_that_failed, order_that_succeeded, payment_in_back_off

LogIn = Callable[..., Client]


def url(story: Story, name: str, *more: object) -> str:
    return reverse(f"dashboard:{name}", args=[story.id, *more])


def came_of(story: Story, kind: str) -> Execution:
    return Execution.objects.get(origin_id=story.id, origin_kind=kind)


def audited(story: Story) -> list[str]:
    return list(AuditEntry.objects.filter(execution_id=story.id).values_list("action", flat=True))


def wait_under_way() -> Story:
    return Story().wait("1", "cool down", 1, 3600, over=False).stand("SUSPENDED")


def test_redriving_leads_to_the_execution_that_goes_on(log_in: LogIn) -> None:
    story = order_that_failed(name="trip-1")
    client = log_in("Operator")
    html = words(client.get(url(story, "execution-redrive")).content.decode())
    assert "2 operations are kept" in html
    assert "book hotel" in html
    response = client.post(url(story, "execution-redrive"), {"reason": "hotel opened"}, follow=True)
    new = came_of(story, "redrive")
    assert response.redirect_chain == [(reverse("dashboard:execution-detail", args=[new.pk]), 302)]
    assert (new.name, new.status) == ("trip-1", "PENDING")
    assert AuditEntry.objects.filter(execution_id=story.id).get().reason == "hotel opened"


def test_a_redriven_execution_cannot_be_redriven_again_and_its_page_says_so(log_in: LogIn) -> None:
    story = order_that_failed()
    client = log_in("Operator")
    client.post(url(story, "execution-redrive"))
    response = client.post(url(story, "execution-redrive"), {"reason": "again"})
    assert response.status_code == 409
    assert "goes on as execution" in words(response.content.decode())
    assert 'id="action-redrive"' not in client.get(url(story, "execution-detail")).content.decode()


def test_rewinding_to_an_operation_of_an_ended_execution(log_in: LogIn) -> None:
    story = order_that_succeeded()
    response = log_in("Operator").post(url(story, "operation-rewind", "2"), {"reason": "wrong amount"})
    new = came_of(story, "rewind")
    assert response["Location"] == reverse("dashboard:execution-detail", args=[new.pk])
    assert [operation.name for operation in operations_of(new.pk)] == ["validate order"]
    assert audited(story) == ["rewind_execution"]


def test_rewinding_what_runs_is_refused_with_what_to_do_first(log_in: LogIn) -> None:
    response = log_in("Operator").post(url(document_that_waits(), "operation-rewind", "1"), {"reason": "r"})
    assert response.status_code == 409
    assert "Pause or stop it first." in response.content.decode()


def test_forking_leaves_the_original_and_takes_a_name_and_an_input(log_in: LogIn) -> None:
    story = document_that_waits()
    text = '{"title": "Contract 8", "author": "bo"}'
    fields = {"name": "second-try", "input": text, "reason": "what if"}
    log_in("Operator").post(url(story, "operation-fork", "2"), fields)
    fork = came_of(story, "fork")
    assert (fork.name, input_of(fork.pk)) == ("second-try", text)
    assert Execution.objects.get(pk=story.id).status == "SUSPENDED"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": "{not json"}, "input"),
        ({"name": "no spaces"}, "name"),
        ({"name": "taken"}, "taken"),
        ({"version": "99"}, "version"),
    ],
)
def test_what_is_typed_wrong_in_a_fork_is_kept_and_named(log_in: LogIn, fields: dict[str, str], message: str) -> None:
    Story("document-approval", name="taken")
    story = document_that_waits()
    make_function("document-approval", 1)
    make_function("document-approval", 2)
    response = log_in("Operator").post(url(story, "operation-fork", "2"), {"version": "1", "reason": "kept"} | fields)
    assert response.status_code in {409, 422}
    html = response.content.decode()
    assert message in html
    assert "kept" in html
    assert not Execution.objects.filter(origin_id=story.id).exists()


def test_another_version_can_be_chosen_where_there_is_one(log_in: LogIn) -> None:
    story = order_that_failed()
    client = log_in("Operator")
    assert "Version" not in client.get(url(story, "execution-redrive")).content.decode()
    make_function("booking-saga", 1)
    make_function("booking-saga", 2)
    assert "1, as before" in client.get(url(story, "execution-redrive")).content.decode()
    client.post(url(story, "execution-redrive"), {"version": "2"})
    assert came_of(story, "redrive").version == 2


def test_running_again_with_the_same_input(log_in: LogIn) -> None:
    story = order_that_succeeded(tags={"customer": "ana"})
    log_in("Operator").post(url(story, "execution-rerun"), {"name": "again-1"})
    new = came_of(story, "rerun")
    assert (new.name, input_of(new.pk), new.tags) == ("again-1", input_of(story.id), {"customer": "ana"})


def test_running_again_with_an_edited_input_begins_with_the_recorded_one(log_in: LogIn) -> None:
    text = '{"title": "Contract 8", "author": "bo", "timeout_seconds": 30}'
    story = document_that_waits()
    story.execution.events.filter(event_id=1).update(payload=text)
    client = log_in("Operator", "Payload viewer")
    address = url(story, "execution-rerun-edited")
    assert address in client.get(url(story, "execution-rerun")).content.decode()
    html = client.get(address).content.decode()
    assert element(html, name="input-title")["value"] == "Contract 8"
    fields = {"as": "fields", "input-title": "Contract 9", "input-author": "bo", "input-timeout_seconds": "30"}
    client.post(address, fields | {"name": "again-9"})
    new = came_of(story, "rerun")
    assert (new.name, json.loads(input_of(new.pk) or "")["title"]) == ("again-9", "Contract 9")


def test_an_input_that_the_fields_cannot_hold_is_edited_as_its_text(log_in: LogIn) -> None:
    story = Story("document-approval", input_text='{"unknown": 12345678901234567890123}')
    html = log_in("Operator", "Payload viewer").get(url(story, "execution-rerun-edited")).content.decode()
    assert "12345678901234567890123" in html
    assert "input-title" not in html


def test_a_recorded_input_is_shown_in_the_form_only_to_people_who_may_see_payloads(log_in: LogIn) -> None:
    story = document_that_waits()
    client = log_in("Operator")
    assert client.get(url(story, "execution-rerun-edited")).status_code == 403
    assert "Change the input first" not in client.get(url(story, "execution-rerun")).content.decode()


def test_an_edited_input_that_does_not_fit_is_refused_at_its_field(log_in: LogIn) -> None:
    story = Story("document-approval", input_text='{"title": "T"}')
    client = log_in("Operator", "Payload viewer")
    fields = {"as": "json", "text": '{"timeout_seconds": -1}'}
    response = client.post(f"{url(story, 'execution-rerun-edited')}?as=json", fields)
    assert response.status_code == 422
    assert not Execution.objects.filter(origin_id=story.id).exists()


def test_a_step_in_back_off_is_completed_with_a_result(log_in: LogIn) -> None:
    story = payment_in_back_off()
    fields = {"outcome": "result", "result": '{"payment": "by phone"}', "reason": "paid by phone"}
    response = log_in("Operator").post(url(story, "operation-complete", "2"), fields)
    assert response.status_code == 302
    charge = next(each for each in operations_of(story.id) if each.id == "2")
    assert charge.status == "SUCCEEDED"
    assert audited(story) == ["complete_operation"]


def test_a_callback_is_completed_with_an_error(log_in: LogIn) -> None:
    story = document_that_waits()
    fields = {"outcome": "error", "error_type": "Refused", "error_message": "not this year"}
    log_in("Operator").post(url(story, "operation-complete", "2"), fields)
    callback = next(each for each in operations_of(story.id) if each.id == "2")
    assert callback.error is not None
    assert (callback.status, callback.error.type, callback.error.message) == ("FAILED", "Refused", "not this year")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"outcome": "error"}, "Say what went wrong"),
        ({"outcome": "result", "result": "{not json"}, "result"),
        ({"outcome": "maybe"}, "Select a valid choice"),
        ({}, "required"),
    ],
)
def test_an_outcome_that_cannot_be_accepted_is_refused_at_its_field(
    log_in: LogIn, fields: dict[str, str], message: str
) -> None:
    story = payment_in_back_off()
    response = log_in("Operator").post(url(story, "operation-complete", "2"), fields | {"reason": "kept"})
    assert response.status_code == 422
    assert message in response.content.decode()
    assert "kept" in response.content.decode()
    assert audited(story) == []


def test_a_wait_is_skipped(log_in: LogIn) -> None:
    story = wait_under_way()
    client = log_in("Operator")
    assert "Skip this wait" in client.get(url(story, "execution-steps")).content.decode()
    response = client.post(url(story, "operation-skip", "1"), {"reason": "no need"})
    assert response.status_code == 302
    assert audited(story) == ["skip_wait"]
    assert Execution.objects.get(pk=story.id).status == "PENDING"


def test_deleting_leads_to_the_list_and_the_audit_stays(log_in: LogIn) -> None:
    story = order_that_failed()
    response = log_in("Administrator").post(url(story, "execution-delete"), {"reason": "test data"})
    assert response["Location"] == reverse("dashboard:execution-list")
    assert not Execution.objects.filter(pk=story.id).exists()
    assert audited(story) == ["delete_execution"]


def test_deleting_what_is_live_is_refused_and_the_menu_says_why(log_in: LogIn) -> None:
    story = document_that_waits()
    client = log_in("Administrator")
    assert "only one that has ended can be deleted" in client.get(url(story, "execution-detail")).content.decode()
    assert client.post(url(story, "execution-delete")).status_code == 409


ACTIONS = {
    "execution-redrive": "operate_execution",
    "execution-rerun": "start_execution",
    "execution-delete": "delete_execution",
    "operation-rewind": "operate_execution",
    "operation-fork": "start_execution",
    "operation-complete": "operate_execution",
    "operation-skip": "operate_execution",
}


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("group", ["Viewer", "Payload viewer", "Approver", "Operator", "Administrator"])
def test_only_people_with_the_right_may_act(log_in: LogIn, name: str, group: str) -> None:
    story = order_that_failed()
    address = url(story, name, *(["1-2"] if name.startswith("operation") else []))
    client = log_in(group)
    allowed = group == "Administrator" or (group == "Operator" and name != "execution-delete")
    assert client.get(address).status_code == (200 if allowed else 403)
    if not allowed:
        assert client.post(address).status_code == 403
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", [name for name in ACTIONS if name != "operation-skip"])
def test_what_changed_since_the_person_looked_is_told_instead_of_acted_on(log_in: LogIn, name: str) -> None:
    is_complete = name == "operation-complete"
    story = document_that_waits() if is_complete else order_that_failed()
    client = log_in("Administrator")
    address = url(story, name, *(["2" if is_complete else "1-2"] if name.startswith("operation") else []))
    match = re.search(r'name="seen_revision" value="([^"]+)"', client.get(address).content.decode())
    assert match is not None
    story.stand(story.execution.status, signal=7)
    fields = {"seen_revision": match.group(1), "outcome": "result", "reason": "typed with care"}
    response = client.post(address, fields)
    assert response.status_code == 409
    assert "changed since you looked" in response.content.decode()
    assert "typed with care" in response.content.decode()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", ["operation-rewind", "operation-fork", "operation-complete", "operation-skip"])
def test_an_operation_that_does_not_exist_is_404(log_in: LogIn, name: str) -> None:
    assert log_in("Operator").get(url(order_that_failed(), name, "99")).status_code == 404


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_stay_texts_in_dialogs(log_in: LogIn, hostile: str) -> None:
    story = Story("booking-saga", name=hostile[:64]).step("1", hostile, 1, 2)
    story.close("FAILED", 3, type=hostile, message=hostile)
    client = log_in("Administrator")
    for name, more in (("execution-redrive", ()), ("operation-rewind", ("1",)), ("operation-fork", ("1",))):
        assert executable_parts(client.get(url(story, name, *more)).content.decode()) == []


def test_an_execution_that_is_deleted_while_its_dialog_is_open_is_404(log_in: LogIn) -> None:
    missing = UUID("00000000-0000-7000-8000-000000000000")
    assert log_in("Operator").post(reverse("dashboard:execution-redrive", args=[missing])).status_code == 404
