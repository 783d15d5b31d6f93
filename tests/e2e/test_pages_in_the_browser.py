"""Every page in both themes and on a phone: nothing the browser or axe complains about, nothing that overflows."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from durable_engine.models import AuditEntry, Schedule, ScheduleRun
from tests.e2e.conftest import (
    PHONE,
    Complaints,
    assert_accessible,
    assert_sound,
    log_in,
)
from tests.factories import make_execution, make_function, make_user, make_worker
from tests.seeds import (
    Story,
    document_that_waits,
    group_of,
    order_that_failed,
    order_that_succeeded,
    payment_in_back_off,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EMPTY = [
    "/", "/executions/", "/bulk/", "/failures/", "/schedules/", "/workers/", "/audit/", "/functions/", "/keys/",
    "/settings/views/", "/approvals/", "/approvals/inbox/done/", "/approvals/callbacks/",
]  # fmt: skip
LONG = "a-name-that-is-as-long-as-names-may-be-0123456789-0123456789-012"


def group_with_somebody() -> Group:
    group = Group.objects.create(name="g" * 150)
    group.user_set.add(make_user("member"))
    return group


def seeded() -> list[str]:
    """Fill the database with what is hard to show, and return every page's address."""
    waiting, failed, backing_off = document_that_waits(name=LONG), order_that_failed(), payment_in_back_off()
    done = order_that_succeeded(tags={"customer": "x" * 120, "items": "7"})
    paused = Story().stand("PAUSED", pause_kind="divergence", pause_reason="operation 2\n" + "y" * 300)
    long = Story("f" * 140).failed_attempt("1", "n" * 256, 1, 1, 2, type="E" * 80, message="m" * 900)
    long.close("FAILED", 3, type="E" * 80, message="m" * 900)
    long_group = group_of("f" * 140, long, error_type="E" * 80, operation="n" * 256, frame="p/" * 250, count=1_234_567)
    schedule = Schedule.objects.create(
        name="s" * 40,
        function="f" * 140,
        cron="*/7 1-5 1,2,3 * MON-FRI",
        timezone="America/Argentina/Buenos_Aires",
        input="x" * 900,
        next_at=timezone.now(),
    )
    for minute, outcome in enumerate(("STARTED", "MISSED", "REFUSED", "SKIPPED", "WAITING")):
        at = timezone.now() - timedelta(minutes=minute)
        ScheduleRun.objects.create(schedule=schedule, due_at=at, outcome=outcome, note="n" * 300, count=1 + minute)
    make_worker(hostname="w" * 200, functions=["f" * 140 + ":7"], queues=["q" * 64])
    make_execution(queue="q" * 64, created_at=timezone.now() - timedelta(minutes=25))
    AuditEntry.objects.create(
        actor="a" * 256, channel="dashboard", action="x" * 64, reason="r" * 900, details={"k": "v" * 500}
    )
    pages = [
        (done, "detail"),
        (done, "history"),
        (failed, "steps"),
        (backing_off, "timeline"),
        (backing_off, "steps"),
        (paused, "detail"),
        (long, "detail"),
        (long, "steps"),
        (waiting, "stop"),
        (done, "input"),
    ]
    return [
        "/",
        "/executions/",
        "/executions/?status=FAILED&q=nothing",
        *(reverse(f"dashboard:execution-{name}", args=[story.id]) for story, name in pages),
        reverse("dashboard:failure-list"),
        reverse("dashboard:failure-detail", args=[long_group.id]),
        reverse("dashboard:failure-detail", args=[group_of("booking-saga", failed).id]),
        reverse("dashboard:failure-resolve", args=[long_group.id]),
        reverse("dashboard:settings"),
        reverse("dashboard:saved-view-list"),
        reverse("dashboard:storage"),
        reverse("dashboard:person-list"),
        reverse("dashboard:person-create"),
        reverse("dashboard:person-detail", args=[make_user("u" * 150, email="e" * 200 + "@example.com").pk]),
        reverse("dashboard:group-list"),
        reverse("dashboard:group-create"),
        reverse("dashboard:group-detail", args=[group_with_somebody().pk]),
        reverse("dashboard:password"),
        reverse("dashboard:worker-list"),
        reverse("dashboard:audit-list"),
        reverse("dashboard:schedule-list"),
        reverse("dashboard:schedule-detail", args=[schedule.id]),
        reverse("dashboard:schedule-edit", args=[schedule.id]),
        reverse("dashboard:schedule-create"),
        reverse("dashboard:schedule-delete", args=[schedule.id]),
        reverse("dashboard:function-list"),
        reverse("dashboard:function-detail", args=[make_function("f" * 140, 7, description="d" * 900).name]),
        reverse("dashboard:function-pause", args=["f" * 140]),
        reverse("dashboard:execution-start", args=["order-processing"]),
        reverse("approvals:inbox"),
        reverse("approvals:callback-decide", args=[waiting.id, "2"]),
        "/no/such/page/",
    ]


def test_every_page_is_accessible_in_both_themes_and_fits(page: Page, complaints: Complaints) -> None:
    complaints.expect("status of 404")
    page.goto("/login/")
    assert_accessible(page)
    log_in(page, superuser=True)
    assert_sound(page, seeded())


def test_empty_pages_are_accessible(page: Page) -> None:
    log_in(page, superuser=True)
    assert_sound(page, EMPTY)


def background(page: Page) -> object:
    return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def test_the_theme_is_kept_from_page_to_page(page: Page) -> None:
    log_in(page, superuser=True)
    page.goto("/")
    light = background(page)
    page.get_by_role("button", name="Switch between light and dark").click()
    dark = background(page)
    assert dark != light
    page.goto("/functions/")
    assert background(page) == dark
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_on_a_phone_the_menu_opens_without_a_script_and_closes_with_escape(
    browser: Browser, page: Page, live_server: LiveServer
) -> None:
    log_in(page, "Viewer")
    state = page.context.storage_state()
    context = browser.new_context(
        base_url=live_server.url, viewport=PHONE, color_scheme="light", java_script_enabled=False, storage_state=state
    )
    phone = context.new_page()
    phone.goto("/")
    entry = phone.get_by_role("navigation", name="Main").get_by_role("link", name="Functions")
    expect(entry).to_be_hidden()
    phone.get_by_role("button", name="Menu").click()
    expect(entry).to_be_visible()
    phone.keyboard.press("Escape")
    expect(entry).to_be_hidden()
    context.close()


def test_the_open_menu_of_a_phone_is_accessible(page: Page) -> None:
    page.set_viewport_size(PHONE)
    log_in(page, superuser=True)
    page.goto("/functions/")
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Functions")).to_have_attribute("aria-current", "page")
    assert_accessible(page)
