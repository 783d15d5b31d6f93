"""The examples as a newcomer meets them: started from their forms, watched, decided, with real processes behind."""

import pytest
from playwright.sync_api import Page, expect

from durable_engine.models import AuditEntry
from tests.e2e.conftest import log_in

pytestmark = [pytest.mark.browser, pytest.mark.process]

PATIENCE_MS = 40_000


def start(page: Page, function: str) -> None:
    """Start a function from its form, with the values the form proposes."""
    page.goto("/functions/")
    page.get_by_role("link", name=f"Start {function}").click()
    page.get_by_role("button", name="Start execution").click()
    expect(page.get_by_role("heading", name=function)).to_be_visible()


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Parts of this execution").get_by_role("link", name=name).click()


def succeeded(page: Page, timeout: int = PATIENCE_MS) -> None:
    """The page follows by itself to the end; nothing is reloaded."""
    expect(page.locator("#execution-head .badge")).to_have_text("Succeeded", timeout=timeout)


def test_the_order_the_saga_and_the_pipeline_run_from_their_forms(engine: None, page: Page) -> None:
    log_in(page, "Administrator")
    start(page, "order-processing")
    expect(page.locator("#timeline")).to_contain_text("cooling-off", timeout=PATIENCE_MS)
    waiting = "Waiting for the timer of “cooling-off”"
    expect(page.locator("#execution-banner")).to_contain_text(waiting, timeout=PATIENCE_MS)
    succeeded(page)
    expect(page.locator("#execution-outcome")).to_contain_text("order A-1001 confirmed")
    open_tab(page, "Steps")
    for step in ("validate", "pay", "cooling-off", "confirm"):
        expect(page.locator("#operations")).to_contain_text(step)
    start(page, "booking-saga")
    succeeded(page)
    expect(page.locator("#timeline")).to_contain_text("cancel flight")
    page.goto("/functions/data-pipeline/start/")
    page.get_by_label("Seconds per batch").fill("0")
    page.get_by_role("button", name="Start execution").click()
    succeeded(page)
    expect(page.locator("#timeline")).to_contain_text("batch-4")


def test_the_flaky_payment_shows_its_attempts_and_retries_now(engine: None, page: Page) -> None:
    log_in(page, "Administrator")
    start(page, "flaky-payment")
    open_tab(page, "Steps")
    failing = page.locator("#execution-banner")
    expect(failing).to_contain_text("Step “charge” failed (attempt 1)", timeout=PATIENCE_MS)
    succeeded(page)
    attempts = page.locator("#operations .attempt")
    expect(attempts).to_have_count(2)
    expect(attempts.nth(0)).to_contain_text("ProviderUnavailable")
    expect(attempts.nth(0)).to_contain_text("payment provider did not answer (attempt 1)")
    expect(attempts.nth(0).locator("pre").first).to_contain_text("flaky_payment.py")
    expect(attempts.nth(1)).to_contain_text("Succeeded")
    open_tab(page, "Timeline")
    for kind in ("failed", "backoff", "succeeded"):
        assert page.locator(f"svg .bar-{kind}").count() > 0
    # The third attempt would begin 6 s after the second, the fourth 12 s after the third.
    page.goto("/functions/flaky-payment/start/")
    page.get_by_label("Failing attempts").fill("3")
    page.get_by_role("button", name="Start execution").click()
    open_tab(page, "Steps")
    expect(page.locator("#operations .attempt")).to_have_count(3, timeout=PATIENCE_MS)
    page.get_by_role("link", name="Retry now").click(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Retry now").click()
    succeeded(page)
    assert AuditEntry.objects.filter(action="retry_now").exists()


def test_a_click_on_approve_finishes_the_document(engine: None, page: Page) -> None:
    log_in(page, "Administrator")
    start(page, "document-approval")
    expect(page.locator("#execution-head .badge")).to_have_text("Suspended", timeout=PATIENCE_MS)
    execution = page.url
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Approvals").click()
    page.get_by_role("link", name="Review").click()
    expect(page.locator(".json-string", has_text="Quarterly report")).to_be_visible()
    page.get_by_label("Comment").fill("well written")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("You approved it.")).to_be_visible()
    page.goto(execution)
    expect(page.locator("#execution-head .badge")).to_have_text("Succeeded", timeout=PATIENCE_MS)
    for text in ('"outcome": "approved"', '"by": "ana"', '"comment": "well written"'):
        expect(page.locator("#execution-outcome")).to_contain_text(text)
