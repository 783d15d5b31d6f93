"""Every page in both themes and on a phone: nothing the browser or axe complains about, nothing that overflows."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, ViewportSize

from tests.e2e.conftest import DESKTOP, PHONE, Complaints, assert_accessible, assert_contrast, assert_fits, log_in
from tests.seeds import Story, document_that_waits, order_that_failed, order_that_succeeded, payment_in_back_off

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "a-name-that-is-as-long-as-names-may-be-0123456789-0123456789-012"


def seeded() -> list[str]:
    """Fill the database with what is hard to show, and return every page's address."""
    waiting, failed, backing_off = document_that_waits(name=LONG), order_that_failed(), payment_in_back_off()
    done = order_that_succeeded(tags={"customer": "x" * 120, "items": "7"})
    paused = Story().stand("PAUSED", pause_kind="divergence", pause_reason="operation 2\n" + "y" * 300)
    long = Story("f" * 140).failed_attempt("1", "n" * 256, 1, 1, 2, type="E" * 80, message="m" * 900)
    long.close("FAILED", 3, type="E" * 80, message="m" * 900)
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
        "/?status=FAILED&q=nothing",
        *(reverse(f"dashboard:execution-{name}", args=[story.id]) for story, name in pages),
        reverse("dashboard:function-list"),
        reverse("dashboard:execution-start", args=["order-processing"]),
        reverse("approvals:inbox"),
        reverse("approvals:callback-decide", args=[waiting.id, "2"]),
        "/no/such/page/",
    ]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_accessible_in_both_themes_and_fits(
    page: Page, complaints: Complaints, size: ViewportSize
) -> None:
    complaints.expect("status of 404")
    page.set_viewport_size(size)
    page.goto("/login/")
    assert_accessible(page)
    log_in(page, superuser=True)
    for address in seeded():
        page.emulate_media(color_scheme="light")
        page.goto(address)
        assert_accessible(page)
        assert_fits(page)
        page.emulate_media(color_scheme="dark")
        assert_contrast(page)


@pytest.mark.parametrize("address", ["/", "/functions/", "/approvals/"])
def test_empty_pages_are_accessible(page: Page, address: str) -> None:
    log_in(page, superuser=True)
    page.goto(address)
    assert_accessible(page)
    assert_fits(page)


def background(page: Page) -> object:
    return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def test_the_theme_is_kept_from_page_to_page(page: Page) -> None:
    log_in(page, superuser=True)
    light = background(page)
    page.get_by_role("button", name="Switch between light and dark").click()
    dark = background(page)
    assert dark != light
    page.goto("/functions/")
    assert background(page) == dark
    assert page.locator("html").get_attribute("data-theme") == "dark"
