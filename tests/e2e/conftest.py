"""A real browser on a real server. Anything the browser complains about fails the test that caused it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from tests.seeds import person

CHROMIUM = Path("/usr/bin/chromium")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1440, "height": 900}


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The machine's Chromium, or the one Playwright has installed."""
    path = str(CHROMIUM) if CHROMIUM.exists() else None
    if path is None and not Path(playwright.chromium.executable_path).exists():
        pytest.skip("no Chromium: install one, or run `playwright install chromium`")
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser, live_server: LiveServer) -> Iterator[BrowserContext]:
    """A fresh profile, on a desktop, in the light theme."""
    context = browser.new_context(base_url=live_server.url, viewport=DESKTOP, color_scheme="light")
    context.set_default_timeout(15_000)
    yield context
    context.close()


class Complaints:
    """What the console said. An answer that the test provokes on purpose is announced with `expect`."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._expected: list[str] = []

    def expect(self, pattern: str) -> None:
        """Accept console errors that match from now on."""
        self._expected.append(pattern)

    def hear(self, message: ConsoleMessage) -> None:
        """Take down an error or a warning; a violated content security policy is an error."""
        if message.type in {"error", "warning"}:
            self.found.append(f"{message.type}: {message.text}")

    def unexpected(self) -> list[str]:
        """What was said and not expected."""
        return [text for text in self.found if not any(re.search(pattern, text) for pattern in self._expected)]


@pytest.fixture
def complaints() -> Complaints:
    """What the browser complained about so far."""
    return Complaints()


@pytest.fixture
def page(context: BrowserContext, complaints: Complaints) -> Iterator[Page]:
    """A page; the test fails at its end when the console has an error or a warning."""
    page = context.new_page()
    page.on("console", complaints.hear)
    page.on("pageerror", lambda error: complaints.found.append(f"exception: {error}"))
    yield page
    page.close()
    assert complaints.unexpected() == []


def log_in(page: Page, *groups: str, superuser: bool = False) -> None:
    """Make a person and log in by the form."""
    user = person("ana", *groups)
    if superuser:
        user.is_superuser = True
        user.save()
    page.goto("/login/")
    page.get_by_label("Username").fill("ana")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def assert_accessible(page: Page) -> None:
    """Fail with every violation of WCAG 2.2 AA that axe finds in the page as it stands."""
    _assert_no_violation(page, {"runOnly": WCAG})


def assert_contrast(page: Page) -> None:
    """Fail with every text that is too faint: what may differ in another theme."""
    _assert_no_violation(page, {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}})


def _assert_no_violation(page: Page, options: dict[str, Any]) -> None:
    results: Any = Axe().run(page, options=options)
    found = [(each["id"], [node["target"] for node in each["nodes"]]) for each in results.response["violations"]]
    assert found == []


def assert_fits(page: Page) -> None:
    """Fail when the page has to be scrolled sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
