"""Many executions at once by clicking from Home, carried out by a real scheduler."""

import json

import pytest
from playwright.sync_api import Page, expect

from durable_engine.models import AuditEntry, Event, Execution
from tests.e2e.conftest import SCHEDULER, Complaints, assert_accessible, assert_contrast, log_in, running
from tests.seeds import document_that_waits, order_that_failed, order_that_succeeded

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(240)]

PATIENCE_MS = 60_000


def to_executions(page: Page, status: str) -> None:
    """From Home to the executions with a status."""
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Executions", exact=True).click()
    page.get_by_role("navigation", name="Filter by status").get_by_role("link", name=status).click()


def test_failed_ones_are_rewound_to_an_operation_that_is_named(
    transactional_db: None, process_env: dict[str, str], page: Page
) -> None:
    failed = [order_that_failed(name=f"trip-{number}") for number in range(3)]
    order_that_succeeded()
    log_in(page, "Operator")
    to_executions(page, "Failed")
    page.get_by_label("Action").select_option("rewind")
    page.get_by_role("button", name="Preview for all 3 that match").click()

    # First it asks on which operation, and offers those that there are.
    expect(page.get_by_role("heading", name="On which operation?")).to_be_visible()
    assert [option.get_attribute("value") for option in page.locator("datalist option").all()] == ["trip"]
    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    assert_contrast(page)
    page.emulate_media(color_scheme="light")
    page.get_by_label("Name of the operation").fill("book hotel")
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.locator(".preview-refused")).to_contain_text("is inside another operation")
    page.get_by_text("Change what it does").click()
    assert_accessible(page)
    page.get_by_label("Name of the operation").fill("trip")
    page.get_by_label("Kind").select_option("context")
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.locator(".preview-act")).to_contain_text("3 would be acted on")
    expect(page.locator("#bulk-head")).to_contain_text("trip (context)")
    page.get_by_label("Try the first few alone").fill("1")
    page.get_by_label("Reason").fill("hotel opened")
    page.get_by_role("button", name="Rewind 3 of 3").click()

    # One alone, then the rest.
    with running(SCHEDULER, process_env):
        expect(page.get_by_role("heading", name="1 of 3 are done")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Rewind the rest").click()
        expect(page.locator("#bulk-items")).to_contain_text("3 of 3 are through", timeout=PATIENCE_MS)
    page.get_by_role("link", name="The execution that goes on").first.click()
    page.get_by_role("link", name="Relations").click()
    expect(page.locator("#relations")).to_contain_text("Rewound from")
    new = Execution.objects.filter(origin_kind="rewind")
    assert {each.origin_id for each in new} == {story.id for story in failed}
    entries = AuditEntry.objects.filter(action="rewind_execution", reason="hotel opened", operation_id="1")
    assert entries.count() == 6  # of both ends


def test_what_waits_is_completed_by_hand_for_many(
    transactional_db: None, process_env: dict[str, str], page: Page, complaints: Complaints
) -> None:
    complaints.expect("422")
    waiting = [document_that_waits() for _ in range(2)]
    log_in(page, "Operator", "Payload viewer")
    to_executions(page, "Suspended")
    page.locator("[data-tick]").nth(0).check()
    page.locator("[data-tick]").nth(1).check()
    page.get_by_label("Action").select_option("complete")
    page.get_by_role("button", name="Preview for the ticked ones").click()
    page.get_by_label("Name of the operation").fill("approve-document")
    page.get_by_label("Result (JSON)").fill("{approved")
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.locator("#id_result_error")).to_contain_text("not valid JSON")
    assert_accessible(page)
    page.get_by_label("Result (JSON)").fill('{"approved": true, "by": "telephone"}')
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.locator(".preview-act")).to_contain_text("2 would be acted on")
    page.get_by_text("The result", exact=True).click()
    expect(page.locator(".bulk-value pre")).to_contain_text("telephone")
    assert_accessible(page)
    page.get_by_role("button", name="Complete by hand 2 of 2").click()
    with running(SCHEDULER, process_env):
        expect(page.locator("#bulk-items")).to_contain_text("2 of 2 are through", timeout=PATIENCE_MS)
    given = Event.objects.filter(event_type="CallbackSucceeded", execution_id__in=[story.id for story in waiting])
    assert [json.loads(event.payload or "")["by"] for event in given] == ["telephone"] * 2
