import json
import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, elements, words
from tests.seeds import (
    Story,
    document_that_waits,
    order_that_failed,
    order_that_succeeded,
    payment_in_back_off,
)

STEP_TABS = ("execution-detail", "execution-timeline", "execution-steps", "execution-history")
TABS = (*STEP_TABS, "execution-relations", "execution-data", "execution-logs")


def url(story: Story, name: str = "execution-detail", *more: object) -> str:
    return reverse(f"dashboard:{name}", args=[story.id, *more])


def poll_url(html: str) -> str:
    poll = element(html, id="execution-poll")
    assert "data-poll" in poll
    return f"{poll['data-url']}&v={poll['data-version']}"


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_is_a_page_of_its_own(log_in: Callable[..., Client], tab: str) -> None:
    story = order_that_succeeded(name="order-1")
    html = log_in("Viewer").get(url(story, tab)).content.decode()
    assert "order-1" in html
    assert "Succeeded" in html
    assert ("charge card" in html) == (tab in STEP_TABS)


def test_an_attempt_that_failed_as_the_one_before_does_not_repeat_its_error(
    log_in: Callable[..., Client],
) -> None:
    story = Story()
    for number in (1, 2):
        story.failed_attempt("1", "charge", number, number, number + 0.5, delay=0.5)
    html = log_in("Payload viewer").get(url(story, "execution-steps")).content.decode()
    assert "The same error as attempt 1." in html
    assert html.count("card 4242 was declined") == 1


def test_the_failed_step_is_named_on_top_with_its_error(log_in: Callable[..., Client]) -> None:
    story = order_that_failed()
    html = log_in("Payload viewer").get(url(story)).content.decode()
    assert "Failed at “book hotel”" in html
    assert "NothingAvailable: no hotel left" in html
    assert f"{url(story, 'execution-steps')}?op=1-2#operation-1-2" in html


def test_a_failed_step_says_what_it_raised_and_not_only_that_it_failed(log_in: Callable[..., Client]) -> None:
    story = Story().failed_attempt("1", "charge", 1, 0.1, 0.2, type="KeyError", message="'order'")
    story.close("FAILED", 0.3, type="StepError", message="'order'")
    page = log_in("Payload viewer").get(url(story)).content.decode()
    assert "KeyError: &#x27;order&#x27;" in page
    assert "StepError" not in page


def test_a_paused_execution_says_why(log_in: Callable[..., Client]) -> None:
    story = Story().stand("PAUSED", pause_kind="divergence", pause_reason="operation 2: was a step\nis a wait")
    html = log_in("Viewer").get(url(story)).content.decode()
    assert "the code no longer matches the recorded history" in html
    assert "operation 2: was a step\nis a wait" in html


def test_who_invoked_it_and_what_it_invoked_are_links(log_in: Callable[..., Client]) -> None:
    parent = Story().stand("SUSPENDED")
    child = Story(parent_execution_id=parent.id, parent_operation_id="1-2")
    details = {"function": "charge", "version": 1, "execution_id": str(child.id)}
    parent.add("ChainedInvokeStarted", 1, operation_id="1-2", subtype="ChainedInvoke", name="pay", details=details)
    viewer = log_in("Viewer")

    below = viewer.get(url(parent, "execution-steps")).content.decode()
    above = viewer.get(url(child)).content.decode()

    assert f'href="{url(child)}"' in below
    assert "Runs charge as" in below
    assert f'href="{url(parent, "execution-steps")}#operation-1-2"' in above
    assert "Invoked by" in above


def test_tags_of_any_name_are_shown(log_in: Callable[..., Client]) -> None:
    html = log_in("Viewer").get(url(Story(tags={"items": "seven", "team": "billing"}))).content.decode()
    assert "<dt>items</dt>" in html
    assert "seven" in html


def test_a_suspended_execution_says_what_it_waits_for(log_in: Callable[..., Client]) -> None:
    html = log_in("Viewer").get(url(document_that_waits())).content.decode()
    assert "Waiting for the callback “approve-document”" in html


def test_steps_show_every_attempt_with_its_error_its_stack_and_the_next_time(log_in: Callable[..., Client]) -> None:
    story = payment_in_back_off()
    html = log_in("Payload viewer", "Operator").get(url(story, "execution-steps")).content.decode()
    assert "Attempt 1" in html
    assert "Attempt 2" in html
    assert "card 4242 was declined" in html
    assert "gateway answered 503" in html
    # Own frames first, as they were recorded.
    assert html.index("orders/durable_functions.py") < html.index("site-packages/payments")
    assert "then waits 2 s" in words(html)
    assert "Next attempt due" in html
    assert url(story, "operation-retry", "2") in html


def test_messages_and_stacks_are_hidden_from_people_who_may_not_see_payloads(log_in: Callable[..., Client]) -> None:
    story, failed = payment_in_back_off(), order_that_failed()
    client = log_in("Operator")
    for address in [url(each, tab) for each in (story, failed) for tab in TABS]:
        html = client.get(address).content.decode()
        for secret in ("card 4242", "gateway answered", "durable_functions.py", "no hotel left"):
            assert secret not in html, (address, secret)
    assert "CardDeclined" in client.get(url(story, "execution-steps")).content.decode()


def test_timeline_tells_attempts_back_off_and_waits_apart(log_in: Callable[..., Client]) -> None:
    client = log_in("Viewer")
    html = client.get(url(payment_in_back_off(), "execution-timeline")).content.decode()
    assert html.count("bar-failed") >= 2
    assert "Back-off after attempt 1: 2 s" in html
    assert 'class="now"' in html
    html = client.get(url(order_that_succeeded(), "execution-timeline")).content.decode()
    assert ">settlement<" in html
    assert "<title>Succeeded</title>" in html
    assert 'class="now"' not in html


def long_story(count: int = 260, failing: int = 150) -> Story:
    return Story(began=1000).steps(count, failing=(failing,))


def test_of_a_long_execution_the_first_last_and_failed_operations_are_shown_with_links_to_the_rest(
    log_in: Callable[..., Client],
) -> None:
    story, client = long_story(), log_in("Viewer")
    html = client.get(url(story, "execution-steps")).content.decode()
    shown = re.findall(r'id="operation-(\d+)"', html)
    assert [shown[0], shown[49], shown[50], shown[51], shown[-1]] == ["1", "50", "150", "211", "260"]
    assert "99 operations not shown here" in html
    middle = client.get(f"{url(story, 'execution-steps')}?start=50").content.decode()
    assert re.findall(r'id="operation-(\d+)"', middle) == [str(number) for number in range(51, 151)]
    assert "51 to 150 of 260" in middle
    later = client.get(url(story, "execution-steps") + element(middle, rel="next")["href"]).content.decode()
    assert 'id="operation-151"' in later
    assert (
        'id="operation-150"'
        in client.get(url(story, "execution-steps") + element(later, rel="prev")["href"]).content.decode()
    )


def test_the_timeline_of_a_long_execution_has_a_minimap_that_leads_to_places(log_in: Callable[..., Client]) -> None:
    story, client = long_story(), log_in("Viewer")
    html = client.get(url(story, "execution-timeline")).content.decode()
    assert "49 operations not shown" in html
    stops = [
        each["href"] for each in elements(html, tag="a") if each.get("aria-label", "").startswith("Show what began")
    ]
    window = client.get(stops[-1]).content.decode()
    assert 'class="minimap-view"' in window
    assert "step-260" in window


@pytest.mark.parametrize(("query", "count"), [("show=failed", 1), ("q=step-25", 11), ("q=no+such+name", 0)])
def test_operations_are_found_by_status_and_by_name(log_in: Callable[..., Client], query: str, count: int) -> None:
    html = log_in("Viewer").get(f"{url(long_story(), 'execution-steps')}?{query}").content.decode()
    assert len(re.findall(r'id="operation-\d+"', html)) == count
    assert ("No operation matches" in html) == (count == 0)


def test_siblings_of_one_name_are_folded_and_unfolded_by_a_link(log_in: Callable[..., Client]) -> None:
    story, client = Story().steps(20, "row"), log_in("Viewer")
    html = client.get(url(story, "execution-steps")).content.decode()
    assert "row \N{MULTIPLICATION SIGN} 20" in html
    assert 'id="operation-1"' not in html
    (link,) = [each["href"] for each in elements(html, class_="operation-summary folded")]
    unfolded = client.get(url(story, "execution-steps") + link).content.decode()
    assert len(elements(unfolded, class_="operation depth-0")) == 20


def test_an_operation_that_is_linked_to_is_open_whatever_window_it_is_in(log_in: Callable[..., Client]) -> None:
    story, client = long_story(), log_in("Viewer")
    html = client.get(f"{url(story, 'execution-steps')}?op=120").content.decode()
    assert "open" in element(html, id="operation-120-details")
    # The browser scrolls to it, without a script too; a refresh leaves the focus where it is.
    assert (
        html.index('id="operation-120-details"') < html.index(" autofocus") < html.index('id="operation-121-details"')
    )
    assert " autofocus" not in client.get(f"{url(story, 'execution-poll')}?tab=steps&op=120").content.decode()
    assert "open" not in element(html, id="operation-121-details")


@pytest.mark.parametrize("query", ["start=x", "start=-1", f"start={'9' * 30}", "op=%00", "q=%00", "group=x", "show=x"])
@pytest.mark.parametrize("tab", TABS)
def test_a_mangled_window_still_gives_a_page(log_in: Callable[..., Client], tab: str, query: str) -> None:
    assert log_in("Viewer").get(f"{url(order_that_succeeded(), tab)}?{query}").status_code == 200


def test_a_refresh_has_the_window_and_filter_of_its_page(log_in: Callable[..., Client]) -> None:
    story, client = long_story(), log_in("Viewer")
    address = poll_url(client.get(f"{url(story, 'execution-steps')}?show=failed").content.decode())
    story.step("999", "one more", 300, 301)
    html = client.get(address).content.decode()
    assert 'id="operation-150"' in html
    assert 'id="operation-999"' not in html


def test_history_lists_the_events_in_order(log_in: Callable[..., Client]) -> None:
    story = order_that_succeeded()
    html = log_in("Viewer").get(url(story, "execution-history")).content.decode()
    kinds = re.findall(r'<span class="tone-[a-z-]+">(\w+)</span>', html)
    assert kinds[:3] == ["ExecutionStarted", "StepStarted", "StepSucceeded"]
    assert kinds[-1] == "ExecutionSucceeded"


def test_a_long_history_has_pages(log_in: Callable[..., Client]) -> None:
    story = Story()
    story.steps(109)
    client = log_in("Viewer")
    first = client.get(url(story, "execution-history")).content.decode()
    assert 'id="event-200"' in first
    assert 'id="event-201"' not in first
    second = client.get(f"{url(story, 'execution-history')}?after=200").content.decode()
    assert 'id="event-201"' in second
    assert "To the beginning" in second


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("kind=failed", ["StepFailed", "StepFailed"]),
        ("kind=invocation", ["InvocationCompleted", "InvocationCompleted"]),
        ("op=1", ["StepStarted", "StepSucceeded"]),
        ("op=2&kind=failed&order=newest", ["StepFailed", "StepFailed"]),
        ("kind=wait", []),
    ],
)
def test_history_is_filtered_by_kind_and_by_operation(
    log_in: Callable[..., Client], query: str, kinds: list[str]
) -> None:
    html = log_in("Viewer").get(f"{url(payment_in_back_off(), 'execution-history')}?{query}").content.decode()
    assert re.findall(r'<span class="tone-[a-z-]+">(\w+)</span>', html) == kinds
    assert ("No such events" in html) == (not kinds)


def test_history_is_read_from_its_end_too(log_in: Callable[..., Client]) -> None:
    story, client = Story().steps(150), log_in("Viewer")
    html = client.get(f"{url(story, 'execution-history')}?order=newest").content.decode()
    assert re.findall(r'id="event-(\d+)"', html)[:2] == ["301", "300"]
    older = client.get(url(story, "execution-history") + element(html, rel="next")["href"]).content.decode()
    assert re.findall(r'id="event-(\d+)"', older)[0] == "101"


def test_the_whole_history_is_downloaded_with_payloads_only_for_people_who_may_see_them(
    log_in: Callable[..., Client],
) -> None:
    story = payment_in_back_off()
    texts = {}
    for group in ("Viewer", "Payload viewer"):
        response = log_in(group).get(url(story, "execution-history-file"))
        assert response["Content-Disposition"] == f'attachment; filename="{story.id}-history.json"'
        texts[group] = response.getvalue().decode()
    assert "card 4242" not in texts["Viewer"]
    assert "19.90" not in texts["Viewer"]
    document = json.loads(texts["Payload viewer"])
    assert (document["DurableExecutionName"], document["IncludesData"]) == (str(story.id), True)
    assert [event["EventId"] for event in document["Events"]] == list(range(1, story.execution.last_event_id + 1))
    assert document["Events"][0]["ExecutionStartedDetails"]["Input"]["Payload"] == '{"amount": "19.90"}'


def test_relations_lead_to_parents_children_and_what_it_came_of(log_in: Callable[..., Client]) -> None:
    parent, first = Story("orders", name="order-7"), order_that_failed(name="trip-1")
    story = Story("booking-saga", name="trip-2", parent_execution_id=parent.id, parent_operation_id="3")
    story.stand("RUNNING", origin_id=first.id, origin_kind="redrive")
    child = Story("hotel", name="room-1", parent_execution_id=story.id, parent_operation_id="1-2")
    fork = Story("booking-saga", name="trip-3", origin_id=story.id, origin_kind="fork")
    html = words(log_in("Viewer").get(url(story, "execution-relations")).content.decode())
    for label, other in (("Invoked by", parent), ("Redriven from", first), ("Forked as", fork), ("room-1", child)):
        assert label in html
        assert url(other) in html
    assert f"{url(story, 'execution-steps')}?op=1-2" in html
    assert f"{url(story)}" in log_in("Viewer", "Operator").get(url(first, "execution-relations")).content.decode()


def test_a_deleted_parent_is_said_to_be_deleted(log_in: Callable[..., Client]) -> None:
    gone = "00000000-0000-7000-8000-000000000000"
    html = log_in("Viewer").get(url(Story(parent_execution_id=gone), "execution-relations")).content.decode()
    assert gone in html
    assert "deleted" in html


def test_what_people_did_is_shown_to_those_who_may_read_the_audit(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    log_in("Operator").post(url(story, "execution-pause"), {"reason": "month end"})
    assert "month end" in log_in("Administrator").get(url(story, "execution-relations")).content.decode()
    assert "What people did" not in log_in("Viewer").get(url(story, "execution-relations")).content.decode()


@pytest.mark.parametrize("after", ["x", "-1", "9" * 40, "%00"])
def test_a_mangled_page_number_gives_the_first_page(log_in: Callable[..., Client], after: str) -> None:
    html = log_in("Viewer").get(f"{url(order_that_succeeded(), 'execution-history')}?after={after}").content.decode()
    assert 'id="event-1"' in html


def test_an_unknown_execution_is_404(log_in: Callable[..., Client]) -> None:
    client = log_in("Administrator")
    for name in (*TABS, "execution-poll", "execution-input", "execution-result", "execution-stop"):
        address = reverse(f"dashboard:{name}", args=["00000000-0000-7000-8000-000000000000"])
        assert client.get(address).status_code == 404, name


@pytest.mark.parametrize("tab", TABS)
def test_anonymous_people_are_sent_to_the_login_page(client: Client, db: None, tab: str) -> None:
    address = url(order_that_succeeded(), tab)
    assert client.get(address)["Location"] == f"{reverse('login')}?next={address}"


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: Callable[..., Client], tab: str, hostile: str) -> None:
    story = Story(hostile, name=hostile[:64], tags={hostile: hostile}, status_text=hostile, input_text=f'"{hostile}"')
    story.failed_attempt("1", hostile, 1, 0.1, 0.2, delay=5.0, type=hostile, message=hostile, stack=(hostile,))
    story.failed_attempt("1", hostile, 2, 5.2, 5.3, type=hostile, message=hostile, stack=(hostile,))
    story.close("FAILED", 6, type=hostile, message=hostile, stack=(hostile,))
    client = log_in("Payload viewer", "Operator")
    assert executable_parts(client.get(url(story, tab)).content.decode()) == []
    tab_name = tab.removeprefix("execution-").replace("detail", "overview")
    assert executable_parts(client.get(f"{url(story, 'execution-poll')}?tab={tab_name}").content.decode()) == []


@pytest.mark.parametrize("tab", TABS)
def test_the_number_of_queries_does_not_depend_on_the_number_of_steps(
    log_in: Callable[..., Client], django_assert_max_num_queries: DjangoAssertNumQueries, tab: str
) -> None:
    story = Story()
    for number in range(1, 31):
        story.step(str(number), f"step-{number}", number, number + 0.5)
    client = log_in("Viewer")
    client.get(url(story, tab))
    with django_assert_max_num_queries(13):
        client.get(url(story, tab))


def test_poll_of_an_unchanged_execution_is_one_read_and_204(
    log_in: Callable[..., Client], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    story = document_that_waits()
    client = log_in("Viewer")
    address = poll_url(client.get(url(story)).content.decode())
    # Session, user, two for the permissions of user and groups, and the one read of the execution.
    with django_assert_num_queries(5):
        assert client.get(address).status_code == 204


@pytest.mark.parametrize("tab", TABS)
def test_poll_sends_the_changed_regions_until_the_end(log_in: Callable[..., Client], tab: str) -> None:
    story = Story()
    client = log_in("Viewer")
    address = poll_url(client.get(url(story, tab)).content.decode())
    story.step("1", "charge card", 1, 2)
    html = client.get(address).content.decode()
    assert element(html, id="execution-head")["hx-swap-oob"] == "true"
    assert ("charge card" in html) == (tab in STEP_TABS)
    assert "data-poll" in element(html, id="execution-poll")
    story.close("SUCCEEDED", 3)
    html = client.get(address).content.decode()
    assert "Succeeded" in html
    assert "data-poll" not in element(html, id="execution-poll")


def test_poll_of_somebody_logged_out_is_401(client: Client, db: None) -> None:
    response = client.get(url(order_that_succeeded(), "execution-poll"), headers={"HX-Request": "true"})
    assert response.status_code == 401


def test_people_are_offered_only_what_they_may_do(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    assert "action-stop" not in log_in("Viewer").get(url(story)).content.decode()
    html = log_in("Operator").get(url(story)).content.decode()
    assert "action-stop" in html
    assert "action-pause" in html
    assert "action-resume" not in html


def test_an_ended_execution_offers_no_action(log_in: Callable[..., Client]) -> None:
    html = log_in("Operator").get(url(order_that_succeeded())).content.decode()
    assert "action-stop" not in html
    assert "action-pause" not in html
