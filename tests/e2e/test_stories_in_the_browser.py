"""What people do with the dashboard from the morning's first look on, click by click from Home, with real processes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from durable_engine.client import start_execution
from durable_engine.models import AuditEntry, Execution, FailureGroup, Worker
from tests.e2e.conftest import SCHEDULER, WORKER, log_in, running
from tests.processes import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(240)]

PATIENCE_MS = 60_000
BROKEN = "order['parcel']['weight'] * 2"
FIXED = "order.get('parcel', {'weight': 1})['weight'] * 2"
HANDLER = '''
from durable_engine import DurableContext, RetryPresets, StepConfig, durable_execution


@durable_execution(name="send-parcel")
def send_parcel(order: dict, context: DurableContext) -> str:
    """Print a label, book a carrier, say what it costs."""
    label = context.step(lambda step: f"label of {order['order']}", name="print label")
    price = context.step(lambda step: price_of(order), name="book carrier", config=StepConfig(RetryPresets.none()))
    return f"{label}: {price} EUR"


def price_of(order):
    return PRICE
'''


def deploy(directory: Path, price: str) -> None:
    """Put the handler into an app of its own, as a deployment does."""
    package = directory / "parcels"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "durable_functions.py").write_text(HANDLER.replace("PRICE", price))


@contextmanager
def worker(env: dict[str, str]) -> Iterator[None]:
    """A worker that has registered its functions."""
    before = set(Worker.objects.values_list("id", flat=True))
    with running(WORKER, env):
        wait_for(Worker.objects.exclude(id__in=before).exists, "a worker", 60)
        yield


def go(page: Page, name: str) -> None:
    """Choose an entry of the main navigation."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


def badge(page: Page) -> Locator:
    return page.locator("#execution-head .badge")


def home(page: Page) -> None:
    page.get_by_role("link", name="Perdure").click()
    expect(page.get_by_role("heading", level=1, name="Home")).to_be_visible()


def test_a_failure_is_found_understood_mended_and_its_group_retried(
    transactional_db: None, process_env: dict[str, str], page: Page, tmp_path: Path
) -> None:
    path = f"{tmp_path}:{process_env['PYTHONPATH']}"
    env = process_env | {"REMAP_SIGTERM": "SIGQUIT", "DURABLE_APPS": "examples,parcels", "PYTHONPATH": path}
    deploy(tmp_path, BROKEN)
    log_in(page, "Administrator")
    page.goto("/")
    with running(SCHEDULER, env):
        with worker(env):
            go(page, "Functions")
            page.get_by_role("link", name="Start send-parcel").click()
            page.get_by_label("Input").fill('{"order": "A-1", "parcel": {"weight": 3}}')
            page.get_by_label("Name").fill("parcel-1")
            page.get_by_role("button", name="Start execution").click()
            expect(badge(page)).to_have_text("Succeeded", timeout=PATIENCE_MS)
            for number in (2, 3, 4):
                start_execution("send-parcel", {"order": f"A-{number}"}, name=f"parcel-{number}")
            wait_for(lambda: FailureGroup.objects.filter(count=3).exists(), "the group of the failures", 60)

            # Find it: Home names the group, the group its executions.
            home(page)
            page.locator("#failing").get_by_role("link", name="KeyError").click()
            expect(page.get_by_role("heading", name="KeyError")).to_be_visible()
            expect(page.locator(".failure-facts")).to_contain_text("book carrier")
            group = page.url
            # In the table: the newest one, whichever that is, has a link above it too.
            page.get_by_role("table").get_by_role("link", name="parcel-3", exact=True).click()

            # Understand it: which step, which line, and what was different when it worked.
            expect(page.locator("#execution-banner")).to_contain_text("Failed at “book carrier”")
            page.get_by_role("link", name="Go to the step").click()
            expect(page.locator("#operation-2")).to_contain_text("KeyError")
            expect(page.locator("#operation-2 pre").first).to_contain_text("order['parcel']['weight']")
            page.get_by_role("link", name="Compare with the last success").click()
            expect(page.get_by_text("First difference:")).to_be_visible()
            expect(page.locator(".compare-inputs")).to_contain_text("parcel")
            page.get_by_role("link", name="Go to it").click()
            expect(page.locator(".verdict-outcome").first).to_contain_text("book carrier")

        # Mend it and deploy.
        deploy(tmp_path, FIXED)
        with worker(env):
            # Retry all of them, the first one alone to see whether it helps.
            page.goto(group)
            page.get_by_role("link", name="Retry 3").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Reason").fill("weightless parcels cost the least")
            dialog.get_by_role("button", name="Show what would happen").click()
            expect(page.locator(".preview-act")).to_contain_text("3 would be acted on")
            page.get_by_label("Try the first few alone").fill("1")
            page.get_by_role("button", name="Redrive 3 of 3").click()
            expect(page.get_by_role("heading", name="1 of 3 are done")).to_be_visible(timeout=PATIENCE_MS)
            page.get_by_role("link", name="The execution that goes on").click()
            expect(badge(page)).to_have_text("Succeeded", timeout=PATIENCE_MS)
            page.go_back()
            page.get_by_role("button", name="Redrive the rest").click()
            expect(page.locator("#bulk-head")).to_contain_text("Done", timeout=PATIENCE_MS)
            expect(page.locator("#bulk-items")).to_contain_text("3 of 3 are through")

            # See it succeed.
            again = Execution.objects.filter(function="send-parcel", origin_kind="redrive", status="SUCCEEDED")
            wait_for(lambda: again.count() == 3, "all of them to succeed", 60)
            page.goto(group)
            expect(page.get_by_role("link", name="replaced")).to_have_count(3)
            expect(page.get_by_role("link", name="Retry 3")).to_have_count(0)
            page.get_by_role("link", name="Resolve").click()
            page.get_by_role("dialog").get_by_role("button", name="Resolve").click()
            home(page)
            expect(page.locator("#failing")).to_contain_text("No open group of failures")


def test_a_runaway_is_cancelled_a_stuck_callback_completed_and_a_schedule_kept(
    transactional_db: None, process_env: dict[str, str], page: Page
) -> None:
    env = process_env | {"REMAP_SIGTERM": "SIGQUIT"}
    log_in(page, "Administrator")
    page.goto("/")
    with worker(env):
        pass
    # Nothing is at work, so what is started by mistake does not get far.
    for number in range(101):
        start_execution("order-processing", {"order_id": f"A-{number}"}, name=f"order-{number}")
    home(page)
    go(page, "Executions")
    page.get_by_role("navigation", name="Filter by status").get_by_role("link", name="Pending").click()
    page.get_by_label("Action").select_option("stop")
    page.get_by_role("button", name="Preview for all 101 that match").click()
    expect(page.locator(".preview-act")).to_contain_text("101 would be acted on")
    page.get_by_label("Try the first few alone").fill("")
    page.get_by_label("Type 101").fill("101")
    page.get_by_label("Reason").fill("the wrong ones")
    page.get_by_role("button", name="Stop 101 of 101").click()
    expect(page.locator("#bulk-head")).to_contain_text("Running")
    home(page)
    go(page, "Executions")
    page.get_by_role("link", name="Bulk actions").click()
    page.get_by_role("link", name=re.compile("Stop")).first.click()
    page.get_by_role("button", name="Cancel what is left").click()
    expect(page.locator("#bulk-head")).to_contain_text("Cancelled")
    assert not Execution.objects.filter(status="STOPPED").exists()
    Execution.objects.exclude(name="order-0").delete()

    with worker(env), running(SCHEDULER, env):
        # A callback that nobody answers: the page says so, and somebody answers by hand.
        go(page, "Functions")
        page.get_by_role("link", name="Start document-approval").click()
        page.get_by_label("Timeout seconds").fill("3600")
        page.get_by_role("button", name="Start execution").click()
        banner = page.locator("#execution-banner")
        expect(banner).to_contain_text("Waiting for the callback", timeout=PATIENCE_MS)
        page.get_by_role("link", name="Go to the step").click()
        page.get_by_role("link", name="Complete by hand").click()
        dialog = page.get_by_role("dialog", name="Complete this operation by hand?")
        dialog.get_by_label("Result (JSON)").fill('{"approved": true, "by": "ana", "comment": "by telephone"}')
        dialog.get_by_label("Reason").fill("the author called")
        dialog.get_by_role("button", name="Complete operation").click()
        expect(page.get_by_text("The operation was completed.")).to_be_visible()
        expect(badge(page)).to_have_text("Succeeded", timeout=PATIENCE_MS)
        page.get_by_role("navigation", name="Parts of this execution").get_by_role("link", name="Overview").click()
        expect(page.locator("#execution-outcome")).to_contain_text("by telephone")
        assert AuditEntry.objects.filter(action="complete_operation", reason="the author called").exists()

        # A schedule: made after a look at its times, paused, resumed, started by hand.
        home(page)
        go(page, "Schedules")
        page.get_by_role("link", name="New schedule").first.click()
        page.get_by_label("Name").fill("nightly-orders")
        page.get_by_label("Function").select_option("order-processing")
        page.get_by_label("Input (JSON)").fill('{"order_id": "N-1"}')
        page.get_by_role("textbox", name="Cron expression").fill("30 2 * * *")
        page.get_by_label("Time zone").fill("Europe/Berlin")
        page.get_by_role("button", name="Show its next times").click()
        expect(page.locator(".schedule-check li")).to_have_count(8)
        page.get_by_role("button", name="Save schedule").click()
        expect(page.get_by_role("heading", name="nightly-orders")).to_be_visible()
        page.get_by_role("link", name="Pause", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Pause schedule").click()
        expect(page.get_by_text("None while it is paused.")).to_be_visible()
        page.get_by_role("link", name="Resume", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Resume schedule").click()
        expect(page.get_by_text("The schedule goes on.")).to_be_visible()
        page.get_by_role("link", name="Start now").click()
        page.get_by_role("dialog").get_by_role("button", name="Start now").click()
        expect(page.get_by_text("An execution was started.")).to_be_visible()
        expect(page.locator("#timeline")).to_contain_text("validate", timeout=PATIENCE_MS)
        go(page, "Schedules")
        page.get_by_role("link", name="nightly-orders").click()
        expect(page.get_by_text("by hand, ana")).to_be_visible()
