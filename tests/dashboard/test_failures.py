from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import AuditEntry, BulkAction, BulkItem, Event, Execution, FailureGroup
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_function
from tests.html import element, elements, words
from tests.seeds import Story, group_of, order_that_failed

LogIn = Callable[..., Client]
LIST = "/failures/"


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return words(response.content.decode())


def page_of(group: FailureGroup) -> str:
    return f"/failures/{group.id}/"


class TestList:
    def test_groups_are_listed_the_one_that_failed_last_first(self, log_in: LogIn) -> None:
        group_of("older", last_seen=timezone.now() - timedelta(hours=1), count=1234)
        group_of("newer", operation="charge")
        html = text_of(log_in("Viewer"), LIST)
        assert html.index("newer") < html.index("older")
        for shown in ("NothingAvailable", "1,234", "at charge", "orders/durable_functions.py in charge"):
            assert shown in html

    def test_the_shape_of_the_message_is_a_payload(self, log_in: LogIn) -> None:
        group_of()
        assert "no hotel left" not in text_of(log_in("Viewer"), LIST)
        assert "no hotel left" in text_of(log_in("Payload viewer"), LIST)

    def test_what_a_new_version_brought_is_marked(self, log_in: LogIn) -> None:
        long_ago = timezone.now() - timedelta(days=30)
        make_function("orders", 1)
        make_function("orders", 3)
        group_of("orders", first_version=3, last_version=3, first_seen=long_ago)
        group_of("orders", first_version=1, last_version=3, first_seen=long_ago)
        html = text_of(log_in("Viewer"), LIST)
        assert html.count("new in v3") == 1
        assert "v1 to v3" in html

    def test_status_and_function_narrow_the_list(self, log_in: LogIn) -> None:
        group_of("open-one")
        group_of("muted-one", status="MUTED")
        client = log_in("Viewer")
        assert "muted-one</span>" not in text_of(client, LIST)
        muted = text_of(client, f"{LIST}?status=MUTED&function=muted-one")
        assert elements(muted, class_="row-link")
        assert not elements(text_of(client, f"{LIST}?function=muted-one"), class_="row-link")

    def test_the_empty_states_are_told_apart(self, log_in: LogIn) -> None:
        client = log_in("Viewer")
        assert "Nothing has failed" in text_of(client, LIST)
        group_of(status="RESOLVED")
        assert "No open failures" in text_of(client, LIST)
        assert "No group is muted" in text_of(client, f"{LIST}?status=MUTED")
        assert "Nothing of x is here" in text_of(client, f"{LIST}?function=x")

    def test_pages_lead_to_older_and_back(self, log_in: LogIn) -> None:
        for number in range(55):
            group_of(f"name-{number:02}", last_seen=timezone.now() - timedelta(minutes=number))
        client = log_in("Viewer")
        second = text_of(client, element(text_of(client, LIST), rel="next")["href"])
        assert "name-54" in second
        assert "name-49" not in second.partition("<table")[2]
        assert "name-00" in text_of(client, element(second, rel="prev")["href"]).partition("<table")[2]

    def test_the_number_of_queries_is_constant(
        self, log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = log_in("Viewer")
        group_of("f")
        # Session, user, two for permissions, the groups, a count for each status, the functions, bars, versions.
        with django_assert_num_queries(11):
            client.get(LIST)
        for number in range(20):
            group_of(f"f{number}")
        with django_assert_num_queries(11):
            client.get(LIST)

    @pytest.mark.parametrize("query", ["status=NONSENSE", "function=%00", "cursor=%00", "cursor=////"])
    def test_a_mangled_query_string_still_gives_a_page(self, log_in: LogIn, query: str) -> None:
        group_of()
        assert log_in("Viewer").get(f"{LIST}?{query}").status_code == 200

    def test_people_without_the_right_and_other_methods_are_refused(self, log_in: LogIn) -> None:
        assert log_in().get(LIST).status_code == 403
        assert log_in("Viewer").post(LIST).status_code == 405


class TestDetail:
    def test_it_shows_the_newest_error_the_course_and_every_execution(self, log_in: LogIn) -> None:
        old, new = order_that_failed(began=900, name="trip-1"), order_that_failed(began=300, name="trip-2")
        html = text_of(log_in("Payload viewer"), page_of(group_of("booking-saga", old, new)))
        assert html.index("trip-2") < html.index("trip-1")
        for shown in ("no hotel left", "in charge", "Last seven days", "2 failures"):
            assert shown in html

    def test_without_the_right_to_payloads_the_error_is_hidden(self, log_in: LogIn) -> None:
        html = text_of(log_in("Viewer"), page_of(group_of("booking-saga", order_that_failed())))
        assert "no hotel left" not in html
        assert "Hidden: your account may not see" in html

    def test_an_execution_that_was_redriven_leads_to_the_one_that_took_over(self, log_in: LogIn) -> None:
        old, new = order_that_failed(began=900, name="trip-1"), order_that_failed(began=300, name="trip-2")
        Execution.objects.filter(pk=old.id).update(superseded_by=new.id)
        html = text_of(log_in("Viewer"), page_of(group_of("booking-saga", old)))
        assert elements(html, href=f"/executions/{new.id}/")

    def test_a_deleted_execution_is_left_out_and_the_count_stays(self, log_in: LogIn) -> None:
        gone = order_that_failed(name="trip-1")
        group = group_of("booking-saga", gone, count=7)
        Event.objects.filter(execution=gone.id)._raw_delete("default")
        Execution.objects.filter(pk=gone.id)._raw_delete("default")
        html = text_of(log_in("Payload viewer"), page_of(group))
        assert "trip-1" not in html
        assert "kept no longer" in html
        assert ">7</dd>" in html

    def test_the_number_of_queries_is_constant(
        self, log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = log_in("Payload viewer")
        stories = [order_that_failed() for _ in range(12)]
        few, many = group_of("a", stories[0]), group_of("b", *stories[1:])
        # Session, user, two for permissions, the group, its course, its members, who stands, two for the newest error.
        for group in (few, many):
            with django_assert_num_queries(10):
                client.get(page_of(group))

    def test_a_group_that_does_not_exist_is_404(self, log_in: LogIn) -> None:
        assert log_in("Viewer").get("/failures/01a1ff22-55db-757b-bdda-59e7b76e822a/").status_code == 404


class TestActions:
    @pytest.mark.parametrize(
        ("verb", "before", "after"),
        [("resolve", "OPEN", "RESOLVED"), ("mute", "OPEN", "MUTED"), ("reopen", "MUTED", "OPEN")],
    )
    def test_an_operator_says_what_is_with_a_group_and_the_audit_keeps_it(
        self, log_in: LogIn, verb: str, before: str, after: str
    ) -> None:
        group = group_of(status=before)
        client = log_in("Operator")
        assert elements(text_of(client, page_of(group)), id=verb)
        url = f"{page_of(group)}{verb}/"
        assert "Reason" in text_of(client, url)
        assert FailureGroup.objects.get().status == before
        response = client.post(url, {"reason": "fixed in v4"})
        assert response["Location"] == page_of(group)
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.reason) == (f"{verb}_failure_group", "fixed in v4")
        changed = FailureGroup.objects.get()
        assert (changed.status, changed.status_by) == (after, "operator")

    def test_somebody_who_comes_second_is_told_by_whom_it_was_done(self, log_in: LogIn) -> None:
        group = group_of(status="RESOLVED", status_by="bob")
        response = log_in("Operator").post(f"{page_of(group)}resolve/", {"reason": "mine"})
        assert response.status_code == 409
        html = words(response.content.decode())
        assert "resolved already by bob" in html
        assert "mine" in html
        assert not AuditEntry.objects.exists()

    @pytest.mark.parametrize("verb", ["resolve", "mute", "reopen"])
    def test_a_viewer_may_not_and_sees_no_button(self, log_in: LogIn, verb: str) -> None:
        group = group_of()
        client = log_in("Viewer")
        assert client.post(f"{page_of(group)}{verb}/").status_code == 403
        assert not elements(text_of(client, page_of(group)), id=verb)

    def test_a_reason_that_is_too_long_changes_nothing(self, log_in: LogIn) -> None:
        response = log_in("Operator").post(f"{page_of(group_of())}mute/", {"reason": "x" * 3000})
        assert response.status_code == 422
        assert FailureGroup.objects.get().status == "OPEN"


class TestRetry:
    def test_what_still_stands_is_drawn_up_for_a_redrive_and_nothing_is_done(self, log_in: LogIn) -> None:
        make_function("booking-saga", 1)
        make_function("booking-saga", 2)
        old, new, redriven = order_that_failed(began=900), order_that_failed(began=300), order_that_failed()
        Execution.objects.filter(pk=redriven.id).update(superseded_by=new.id)
        group = group_of("booking-saga", old, new, redriven)
        client = log_in("Operator")
        assert "Retry 2" in text_of(client, page_of(group))
        assert "The version each ran with" in text_of(client, f"{page_of(group)}retry/")
        response = client.post(f"{page_of(group)}retry/", {"version": "2", "reason": "fixed"})
        action = BulkAction.objects.get()
        assert response["Location"] == f"/bulk/{action.id}/"
        assert (action.status, action.action, action.options, action.reason) == (
            "DRAFT",
            "redrive",
            {"version": 2},
            "fixed",
        )
        assert set(BulkItem.objects.values_list("execution_id", flat=True)) == {old.id, new.id}
        assert Execution.objects.count() == 3

    def test_paused_ones_are_resumed(self, log_in: LogIn) -> None:
        story = Story("booking-saga").stand("PAUSED", pause_kind="divergence", paused_at=timezone.now())
        group = group_of("booking-saga", story, kind="PAUSED", error_type="divergence")
        client = log_in("Operator")
        assert "Resume 1" in text_of(client, page_of(group))
        client.post(f"{page_of(group)}retry/", {})
        assert BulkAction.objects.get().action == "resume"

    def test_when_nothing_stands_any_more_it_says_so(self, log_in: LogIn) -> None:
        group = group_of("booking-saga")
        client = log_in("Operator")
        assert not elements(text_of(client, page_of(group)), id="retry")
        response = client.post(f"{page_of(group)}retry/", {})
        assert response.status_code == 422
        assert not BulkAction.objects.exists()

    def test_a_version_that_does_not_exist_is_refused_at_its_field(self, log_in: LogIn) -> None:
        make_function("booking-saga", 1)
        make_function("booking-saga", 2)
        group = group_of("booking-saga", order_that_failed())
        response = log_in("Operator").post(f"{page_of(group)}retry/", {"version": "77"})
        assert response.status_code == 422
        assert elements(response.content.decode(), id="id_version_error")

    def test_a_viewer_may_not(self, log_in: LogIn) -> None:
        group = group_of("booking-saga", order_that_failed())
        client = log_in("Viewer")
        assert client.post(f"{page_of(group)}retry/").status_code == 403
        assert not elements(text_of(client, page_of(group)), id="retry")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    story = order_that_failed(name=hostile[:64])
    group = group_of(
        hostile, story, operation=hostile, error_type=hostile, frame=hostile, message_shape=hostile, status_by=hostile
    )
    client = log_in("Payload viewer", "Operator")
    for url in (LIST, f"{LIST}?function={hostile}", page_of(group), f"{page_of(group)}mute/"):
        assert executable_parts(client.get(url).content.decode()) == []
