"""What changes while somebody looks: pages follow, and leave alone what the person opened, typed or reads."""

import re
from collections.abc import Callable

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from durable_engine.models import AuditEntry, Execution
from tests.e2e.conftest import Complaints, assert_accessible, log_in
from tests.seeds import Story, document_that_waits, order_that_succeeded, payment_in_back_off

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def url(story: Story, name: str = "execution-detail") -> str:
    return reverse(f"dashboard:{name}", args=[story.id])


def polls(page: Page) -> list[int]:
    """The statuses of the answers to polls from now on."""
    answers: list[int] = []
    page.on("response", lambda response: answers.append(response.status) if "/poll/" in response.url else None)
    return answers


def wait_until(page: Page, condition: Callable[[], bool], what: str) -> None:
    for _ in range(300):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(what)


def test_an_execution_is_followed_to_its_end_and_then_no_longer_asked_for(page: Page) -> None:
    log_in(page, superuser=True)
    story = Story()
    page.goto(url(story))
    expect(page.locator("[data-live]")).to_have_text("Live")
    story.step("1", "charge card", 1, 2)
    expect(page.locator("#timeline")).to_contain_text("charge card")
    story.close("SUCCEEDED", 3, result={"paid": True})
    expect(page.locator("#execution-head")).to_contain_text("Succeeded")
    # The result that was not there comes without a reload.
    expect(page.locator("#execution-outcome")).to_contain_text('"paid": true')
    expect(page.locator("[data-live]")).to_have_text("Finished, no longer updating")
    answers = polls(page)
    page.wait_for_timeout(4000)
    assert answers == []


def test_opened_steps_and_fetched_results_survive_a_refresh(page: Page) -> None:
    log_in(page, superuser=True)
    story = Story().step("1", "reserve", 0.1, 0.2, {"reservation": 7})
    page.goto(url(story, "execution-steps"))
    page.locator("#operation-1 summary").click()
    page.get_by_role("link", name="Show the result").click()
    expect(page.locator("#operation-1")).to_contain_text('"reservation": 7')
    story.step("2", "charge", 1, 2)
    expect(page.locator("#operation-2")).to_be_visible()
    expect(page.locator("#operation-1-details")).to_have_attribute("open", "")
    expect(page.locator("#operation-1")).to_contain_text('"reservation": 7')


def test_a_step_that_changes_stays_open_and_is_brought_up_to_date(page: Page) -> None:
    log_in(page, superuser=True)
    story = Story().add("StepStarted", 1, operation_id="1", name="charge", subtype="Step", attempt=1)
    page.goto(url(story, "execution-steps"))
    page.locator("#operation-1 summary").click()
    page.locator("#operation-1 summary").focus()
    story.add("StepSucceeded", 2, operation_id="1", name="charge", subtype="Step", attempt=1, payload="1")
    expect(page.locator("#operation-1 > details > summary")).to_contain_text("Succeeded")
    expect(page.locator("#operation-1-details")).to_have_attribute("open", "")


def test_nothing_is_asked_while_a_dialog_is_open_and_typed_text_stays(page: Page) -> None:
    log_in(page, superuser=True)
    story = document_that_waits()
    page.goto(url(story))
    page.get_by_role("link", name="Stop").click()
    dialog = page.get_by_role("dialog", name="Stop this execution?")
    expect(dialog).to_be_visible()
    assert_accessible(page)
    dialog.get_by_label("Reason").fill("ordered twice")
    answers = polls(page)
    page.wait_for_timeout(4000)
    assert answers == []
    expect(dialog.get_by_label("Reason")).to_have_value("ordered twice")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="Stop")).to_be_focused()


def test_stopping_through_the_dialog(page: Page) -> None:
    log_in(page, superuser=True)
    story = document_that_waits()
    page.goto(url(story))
    page.get_by_role("link", name="Stop").click()
    page.get_by_label("Reason").fill("ordered twice")
    page.get_by_role("button", name="Stop execution").click()
    expect(page.get_by_text("The execution was stopped.")).to_be_visible()
    expect(page.locator("#execution-head")).to_contain_text("Stopped")
    assert AuditEntry.objects.get().reason == "ordered twice"


def test_a_refused_action_shows_what_happened_and_keeps_the_reason(page: Page, complaints: Complaints) -> None:
    complaints.expect("status of 409")
    log_in(page, superuser=True)
    story = document_that_waits()
    page.goto(url(story))
    page.get_by_role("link", name="Stop").click()
    page.get_by_label("Reason").fill("ordered twice")
    story.close("SUCCEEDED", 100)
    page.get_by_role("button", name="Stop execution").click()
    expect(page.get_by_role("alert")).to_contain_text("changed since you looked")
    expect(page.get_by_label("Reason")).to_have_value("ordered twice")
    assert_accessible(page)


def test_retry_now_on_the_steps_page(page: Page) -> None:
    log_in(page, superuser=True)
    story = payment_in_back_off()
    page.goto(url(story, "execution-steps"))
    page.get_by_role("link", name="Retry now").click()
    page.get_by_role("button", name="Retry now").click()
    expect(page.get_by_text("The next attempt starts now.")).to_be_visible()
    assert Execution.objects.get(pk=story.id).status == "PENDING"


def test_the_list_refreshes_rows_in_place_and_only_announces_new_ones(page: Page) -> None:
    log_in(page, superuser=True)
    story = Story(name="first")
    page.goto("/executions/")
    row = page.locator(f"#execution-{story.id}")
    expect(row).to_contain_text("Running")
    Story(name="second", began=0)
    story.close("SUCCEEDED", 3)
    expect(row).to_contain_text("Succeeded")
    expect(page.locator("#new-rows")).to_have_text("+1 new")
    assert page.locator("#execution-rows tr").count() == 1
    assert_accessible(page)
    page.get_by_role("link", name="+1 new").click()
    expect(page.locator("#execution-rows tr")).to_have_count(2)


def test_the_list_is_not_asked_for_while_somebody_types_in_its_filter(page: Page) -> None:
    log_in(page, superuser=True)
    order_that_succeeded()
    page.goto("/executions/")
    page.get_by_role("searchbox").fill("ord")
    answers = polls(page)
    page.wait_for_timeout(4500)
    assert answers == []
    expect(page.locator("[data-live]")).to_have_text("Paused while you type")
    expect(page.get_by_role("searchbox")).to_have_value("ord")


def test_an_unchanged_page_is_answered_204_and_asked_for_less_and_less(page: Page) -> None:
    log_in(page, superuser=True)
    story = document_that_waits()
    answers = polls(page)
    page.goto(url(story))
    wait_until(page, lambda: len(answers) >= 3, "three polls")
    assert set(answers) == {204}


def test_polling_goes_on_after_the_server_was_away(page: Page, complaints: Complaints) -> None:
    complaints.expect("status of 503|net::ERR")
    log_in(page, superuser=True)
    story = Story()
    page.goto(url(story))
    page.route("**/poll/**", lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}))
    expect(page.locator("[data-live]")).to_contain_text("Disconnected, trying again in 1 s")
    page.unroute("**/poll/**")
    story.step("1", "charge card", 1, 2)
    expect(page.locator("#timeline")).to_contain_text("charge card")
    expect(page.locator("[data-live]")).to_have_text("Live")


def test_somebody_logged_out_elsewhere_lands_on_the_login_page(
    page: Page, context: BrowserContext, complaints: Complaints
) -> None:
    complaints.expect("status of 401")
    log_in(page, superuser=True)
    story = Story()
    page.goto(url(story))
    context.clear_cookies(name=re.compile("session"))
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_line_of_now_moves_without_asking_the_server(page: Page) -> None:
    log_in(page, superuser=True)
    page.goto(url(Story(began=100), "execution-timeline"))
    now = page.locator("svg .now")
    before = now.get_attribute("x1")
    wait_until(page, lambda: now.get_attribute("x1") != before, "the line to move")


def test_a_new_request_comes_into_the_open_inbox(page: Page) -> None:
    log_in(page, superuser=True)
    page.goto("/approvals/")
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    document_that_waits(name="contract-7")
    expect(page.locator("#callbacks")).to_contain_text("contract-7")


def test_approving_by_keyboard_alone(page: Page) -> None:
    log_in(page, "Approver", "Payload viewer")
    story = document_that_waits()
    page.goto("/approvals/")
    page.get_by_role("link", name="approve-document", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Comment").focus()
    page.keyboard.type("read it twice")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("You approved it.")).to_be_visible()
    assert Execution.objects.get(pk=story.id).status == "PENDING"
