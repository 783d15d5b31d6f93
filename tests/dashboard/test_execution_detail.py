import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, words
from tests.seeds import (
    Story,
    document_that_waits,
    order_that_failed,
    order_that_succeeded,
    payment_in_back_off,
)

TABS = ("execution-detail", "execution-timeline", "execution-steps", "execution-history")


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
    assert "charge card" in html


def test_the_failed_step_is_named_on_top_with_its_error(log_in: Callable[..., Client]) -> None:
    story = order_that_failed()
    html = log_in("Payload viewer").get(url(story)).content.decode()
    assert "Failed at “book hotel”" in html
    assert "NothingAvailable: no hotel left" in html
    assert f"{url(story, 'execution-steps')}#operation-1-2" in html


def test_a_paused_execution_says_why(log_in: Callable[..., Client]) -> None:
    story = Story().stand("PAUSED", pause_kind="divergence", pause_reason="operation 2: was a step\nis a wait")
    html = log_in("Viewer").get(url(story)).content.decode()
    assert "the code no longer matches the recorded history" in html
    assert "operation 2: was a step\nis a wait" in html


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
    assert "settlement · Succeeded: 10 s" in html
    assert 'class="now"' not in html


def test_history_lists_the_events_in_order(log_in: Callable[..., Client]) -> None:
    story = order_that_succeeded()
    html = log_in("Viewer").get(url(story, "execution-history")).content.decode()
    kinds = re.findall(r'<span class="tone-[a-z-]+">(\w+)</span>', html)
    assert kinds[:3] == ["ExecutionStarted", "StepStarted", "StepSucceeded"]
    assert kinds[-1] == "ExecutionSucceeded"


def test_a_long_history_has_pages(log_in: Callable[..., Client]) -> None:
    story = Story()
    for number in range(1, 110):
        story.step(str(number), f"step-{number}", number, number + 0.5)
    client = log_in("Viewer")
    first = client.get(url(story, "execution-history")).content.decode()
    assert 'id="event-200"' in first
    assert 'id="event-201"' not in first
    second = client.get(f"{url(story, 'execution-history')}?after=200").content.decode()
    assert 'id="event-201"' in second
    assert "Earlier events" in second


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
    assert "charge card" in html
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
