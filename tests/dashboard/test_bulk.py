"""One action on many executions through its pages: choose, preview, try on a few, watch, cancel."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import AuditEntry, BulkAction, BulkItem, Execution
from durable_engine.services.bulk import carry_out_item
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, words
from tests.seeds import Story, document_that_waits, order_that_failed, order_that_succeeded

LogIn = Callable[..., Client]
CREATE = "/bulk/new/"


def choose(client: Client, action: str, stories: list[Story], **fields: str) -> UUID:
    """Tick executions and ask for the preview; return the bulk action."""
    response = client.post(CREATE, {"action": action, "ids": [str(story.id) for story in stories]} | fields)
    assert response.status_code == 302, response.content
    match = re.fullmatch(r"/bulk/([0-9a-f-]{36})/", response["Location"])
    assert match is not None, response["Location"]
    return UUID(match.group(1))


def url(bulk_id: UUID, name: str = "detail") -> str:
    return reverse(f"dashboard:bulk-{name}", args=[bulk_id])


def carry_out(bulk_id: UUID) -> None:
    for position in BulkItem.objects.filter(bulk_action_id=bulk_id).values_list("position", flat=True):
        carry_out_item(bulk_id, position)


def status(bulk_id: UUID) -> str:
    return BulkAction.objects.get(pk=bulk_id).status


def test_ticked_executions_are_frozen_and_previewed_before_anything_is_done(log_in: LogIn) -> None:
    stories = [order_that_failed(), order_that_failed(), order_that_succeeded()]
    client = log_in("Operator")
    bulk_id = choose(client, "redrive", stories)
    html = words(client.get(url(bulk_id)).content.decode())
    assert "Redrive 3 executions" in html
    assert '<strong class="number">2</strong> would be acted on' in html
    assert '<strong class="number">1</strong> refused: The execution has succeeded' in html
    assert status(bulk_id) == "DRAFT"
    assert not AuditEntry.objects.exists()


def test_all_that_match_are_frozen_as_they_match_now(log_in: LogIn) -> None:
    order_that_failed(), order_that_failed()
    document_that_waits()
    client = log_in("Operator")
    response = client.post(CREATE, {"action": "redrive", "scope": "matching", "filters": "status=FAILED"})
    bulk_id = UUID(response["Location"].split("/")[2])
    order_that_failed()
    html = client.get(url(bulk_id)).content.decode()
    assert "Redrive 2 executions" in words(html)
    assert "status: FAILED" in html


def test_each_execution_shows_what_became_of_it(log_in: LogIn) -> None:
    failed, succeeded = order_that_failed(name="trip-1"), order_that_succeeded(name="order-1")
    client = log_in("Operator")
    bulk_id = choose(client, "redrive", [failed, succeeded])
    client.post(url(bulk_id, "start"), {"reason": "hotel opened"})
    carry_out(bulk_id)
    new = Execution.objects.get(origin_id=failed.id)
    html = words(client.get(url(bulk_id)).content.decode())
    assert reverse("dashboard:execution-detail", args=[new.pk]) in html
    assert "The execution has succeeded; nothing is left to do." in html
    assert AuditEntry.objects.get(execution_id=failed.id).reason == "hotel opened"
    refused = client.get(f"{url(bulk_id)}?status=REFUSED").content.decode()
    assert "order-1" in refused
    assert "trip-1" not in refused


def test_the_first_few_alone_then_the_rest(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "stop", [document_that_waits() for _ in range(3)])
    client.post(url(bulk_id, "start"), {"canary": "1"})
    assert BulkAction.objects.get(pk=bulk_id).stop_after == 1
    carry_out_item(bulk_id, 1)
    BulkAction.objects.filter(pk=bulk_id).update(status="HELD")
    assert "Go on with the rest?" in client.get(url(bulk_id)).content.decode()
    client.post(url(bulk_id, "continue"))
    assert status(bulk_id) == "RUNNING"


def test_cancelling_leaves_what_is_not_done(log_in: LogIn) -> None:
    client = log_in("Operator")
    stories = [document_that_waits() for _ in range(2)]
    bulk_id = choose(client, "stop", stories)
    client.post(url(bulk_id, "start"))
    client.post(url(bulk_id, "cancel"))
    assert status(bulk_id) == "CANCELLED"
    assert Execution.objects.filter(status="SUSPENDED").count() == 2
    assert "Cancelled" in client.get(url(bulk_id)).content.decode()


def test_many_executions_ask_for_the_number_to_be_typed(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.bulk.TYPED_ABOVE", 1)
    client = log_in("Operator")
    bulk_id = choose(client, "stop", [document_that_waits() for _ in range(2)])
    assert "Type 2 to say" in client.get(url(bulk_id)).content.decode()
    response = client.post(url(bulk_id, "start"), {"typed_total": "3", "reason": "kept"})
    assert response.status_code == 422
    assert "kept" in response.content.decode()
    assert status(bulk_id) == "DRAFT"
    # Leaving the field out does not go round it.
    assert client.post(url(bulk_id, "start")).status_code == 422
    assert client.post(url(bulk_id, "start"), {"typed_total": "2"}).status_code == 302


@pytest.mark.parametrize("canary", ["0", "-1", "x", "1.5", "9" * 30])
def test_a_number_of_first_ones_that_is_none_is_refused(log_in: LogIn, canary: str) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "stop", [document_that_waits(), document_that_waits()])
    assert client.post(url(bulk_id, "start"), {"canary": canary}).status_code == 422
    assert status(bulk_id) == "DRAFT"


def test_starting_twice_is_refused_with_what_it_is_now(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "stop", [document_that_waits()])
    client.post(url(bulk_id, "start"))
    response = client.post(url(bulk_id, "start"))
    assert response.status_code == 409
    assert "The bulk action is running." in response.content.decode()


@pytest.mark.parametrize(
    "fields", [{"action": "stop"}, {"action": "explode", "scope": "matching"}, {"action": "stop", "ids": "x"}]
)
def test_a_choice_that_cannot_be_acted_on_leads_back_to_the_list_with_the_reason(
    log_in: LogIn, fields: dict[str, str]
) -> None:
    order_that_succeeded()
    response = log_in("Operator").post(CREATE, fields | {"filters": "status=SUCCEEDED"}, follow=True)
    assert response.redirect_chain[0][0] == "/executions/?status=SUCCEEDED"
    assert 'class="message tone-failed"' in response.content.decode()
    assert not BulkAction.objects.exists()


@pytest.mark.parametrize("group", ["Viewer", "Payload viewer", "Approver"])
def test_people_without_the_right_of_the_action_neither_choose_nor_start(log_in: LogIn, group: str) -> None:
    bulk_id = choose(log_in("Operator"), "stop", [document_that_waits()])
    client = log_in(group)
    assert "data-tick" not in client.get("/executions/").content.decode()
    assert client.post(CREATE, {"action": "stop", "scope": "matching"}).status_code == 403
    for name in ("start", "continue", "cancel"):
        assert client.post(url(bulk_id, name)).status_code == 403
    assert status(bulk_id) == "DRAFT"


def test_an_operator_may_not_delete_many(log_in: LogIn) -> None:
    assert log_in("Operator").post(CREATE, {"action": "delete", "scope": "matching"}).status_code == 403


@pytest.mark.parametrize("name", ["start", "continue", "cancel"])
def test_nothing_is_changed_by_opening_an_address(log_in: LogIn, name: str) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "stop", [document_that_waits()])
    assert client.get(url(bulk_id, name)).status_code == 405
    assert client.get(CREATE).status_code == 405


def test_an_unknown_bulk_action_is_404(log_in: LogIn) -> None:
    missing = UUID("00000000-0000-7000-8000-000000000000")
    client = log_in("Operator")
    assert client.get(url(missing)).status_code == 404
    assert client.post(url(missing, "start")).status_code == 404


def test_a_poll_answers_204_after_one_query_until_something_is_done(
    log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "stop", [document_that_waits() for _ in range(2)])
    client.post(url(bulk_id, "start"))
    poll = element(client.get(url(bulk_id)).content.decode(), id="bulk-poll")
    address = f"{poll['data-url']}&v={poll['data-version']}"
    # Session, user, two for permissions.
    with django_assert_num_queries(4 + 1):
        assert client.get(address).status_code == 204
    carry_out_item(bulk_id, 1)
    html = client.get(address).content.decode()
    assert element(html, id="bulk-items")["hx-swap-oob"] == "true"
    assert "1 of 2 are through" in html


def test_the_list_of_bulk_actions_is_reached_from_the_executions(log_in: LogIn) -> None:
    client = log_in("Operator")
    assert "No bulk actions yet" in client.get("/bulk/").content.decode()
    bulk_id = choose(client, "stop", [document_that_waits()])
    assert 'href="/bulk/"' in client.get("/executions/").content.decode()
    assert url(bulk_id) in client.get("/bulk/").content.decode()


def test_a_page_costs_the_same_number_of_queries_for_many(
    log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Operator")
    few = choose(client, "stop", [document_that_waits()])
    many = choose(client, "stop", [Story(name=f"s-{number}") for number in range(30)])
    # Session, user, permissions; the bulk action with its counts, its items, the preview.
    for bulk_id in (few, many):
        with django_assert_num_queries(9):
            client.get(url(bulk_id))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    story = Story(hostile, name=hostile[:64])
    client = log_in("Operator")
    bulk_id = choose(client, "stop", [story])
    client.post(url(bulk_id, "start"), {"reason": hostile})
    for address in (url(bulk_id), "/bulk/"):
        assert executable_parts(client.get(address).content.decode()) == []
    filtered = client.post(CREATE, {"action": "stop", "scope": "matching", "filters": f"function={hostile}"})
    assert executable_parts(client.get(filtered["Location"]).content.decode()) == []
