"""Every page in both themes and on a phone: nothing the browser or axe complains about, nothing that overflows."""

from collections.abc import Callable

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from tests.e2e.conftest import DESKTOP, PHONE, assert_accessible, assert_fits, log_in
from tests.seeds import Story, document_that_waits, order_that_failed, order_that_succeeded, payment_in_back_off

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]

LONG = "a-name-that-is-as-long-as-names-may-be-0123456789-0123456789-012"


def seeded() -> list[str]:
    """Fill the database with what is hard to show, and return every page's address."""
    waiting, failed, backing_off = document_that_waits(name=LONG), order_that_failed(), payment_in_back_off()
    done = order_that_succeeded(tags={"customer": "x" * 120})
    paused = Story().stand("PAUSED", pause_kind="divergence", pause_reason="operation 2\n" + "y" * 300)
    long = Story("f" * 140).step("1", "n" * 256, 1, 2).close("FAILED", 3, type="E" * 80, message="m" * 2000)
    tabs = ("execution-detail", "execution-timeline", "execution-steps", "execution-history")
    return [
        "/",
        "/?status=FAILED&q=nothing",
        *(reverse(f"dashboard:{tab}", args=[each.id]) for each in (done, failed, backing_off, long) for tab in tabs),
        reverse("dashboard:execution-detail", args=[paused.id]),
        reverse("dashboard:execution-stop", args=[waiting.id]),
        reverse("dashboard:execution-input", args=[done.id]),
        reverse("dashboard:function-list"),
        reverse("dashboard:execution-start", args=["order-processing"]),
        reverse("dashboard:execution-start", args=["order-processing"]) + "?as=json",
        reverse("approvals:inbox"),
        reverse("approvals:callback-decide", args=[waiting.id, "2"]),
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_accessible_and_fits(page: Page, theme: str, size: dict[str, int]) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.goto("/login/")
    assert_accessible(page)
    log_in(page, superuser=True)
    for address in seeded():
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert_accessible(page)
        assert_fits(page)


@pytest.mark.parametrize("address", ["/", "/functions/", "/approvals/"])
def test_empty_pages_are_accessible(page: Page, address: str) -> None:
    log_in(page, superuser=True)
    page.goto(address)
    assert_accessible(page)
    assert_fits(page)


def test_the_theme_is_kept_from_page_to_page(page: Page) -> None:
    log_in(page, superuser=True)
    background: Callable[[], object] = lambda: page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")  # noqa: E731
    light = background()
    page.get_by_role("button", name="Switch between light and dark").click()
    dark = background()
    assert dark != light
    page.goto("/functions/")
    assert background() == dark
    assert page.locator("html").get_attribute("data-theme") == "dark"
