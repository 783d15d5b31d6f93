"""A real browser on a real server. Anything the browser complains about fails the test that caused it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from durable_engine.models import Worker
from tests.browsers import ARGUMENTS, need_browser
from tests.processes import wait_for
from tests.seeds import person

ROOT = Path(__file__).parents[2]
WORKER = (
    "celery",
    "--quiet",
    "-A",
    "durable_engine.config",
    "worker",
    "-O",
    "fair",
    "--without-gossip",
    "--without-mingle",
)
SCHEDULER = ("django", "run_scheduler")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# A page that polls may be told late on a busy machine: the longest pause between polls (10 s) and as long again.
expect.set_options(timeout=20_000)
LAYOUT = ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"]  # differs by width
PHONE: ViewportSize = {"width": 390, "height": 844}
SMALLEST: ViewportSize = {"width": 320, "height": 568}
DESKTOP: ViewportSize = {"width": 1440, "height": 900}


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The machine's Chromium."""
    browser = playwright.chromium.launch(executable_path=need_browser(), args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser, live_server: LiveServer) -> Iterator[BrowserContext]:
    """A fresh profile, on a desktop, in the light theme."""
    context = browser.new_context(base_url=live_server.url, viewport=DESKTOP, color_scheme="light")
    context.set_default_timeout(30_000)
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


@contextmanager
def running(module: tuple[str, ...], env: Mapping[str, str]) -> Iterator[None]:
    """Run `python -m …` in a session of its own until the block ends."""
    process = subprocess.Popen([sys.executable, "-m", *module], env=env, cwd=ROOT, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def engine(transactional_db: None, process_env: dict[str, str]) -> Iterator[None]:
    """A worker and a scheduler on the database and the broker of the test."""
    env = process_env | {"REMAP_SIGTERM": "SIGQUIT"}
    with running(WORKER, env), running(SCHEDULER, env):
        wait_for(Worker.objects.filter(lost_at=None).exists, "a worker")
        yield


def log_in(page: Page, *groups: str, superuser: bool = False) -> None:
    """Make a person who is logged in already; what the form does is seen where people take turns."""
    user = person("ana", *groups)
    if superuser:
        user.is_superuser = True
        user.save()
    give_session(page, user)


def give_session(page: Page, user: User) -> None:
    """Give the browser the session of a person."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "domain": "localhost", "path": "/"}])


def assert_accessible(page: Page) -> None:
    """Fail with every violation of WCAG 2.2 AA that axe finds in the page as it stands."""
    _assert_no_violation(page, {"runOnly": WCAG})


def assert_contrast(page: Page) -> None:
    """Fail with every text that is too faint: what may differ in another theme."""
    _assert_no_violation(page, {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}})


def assert_sound(page: Page, addresses: Iterable[str]) -> None:
    """Open each page once and look at it as a desktop in the light, in the dark, and as phones.

    What cannot differ between them is looked at once. Afterwards the page's viewport and theme are those of the
    smallest phone.
    """
    for address in addresses:
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        page.goto(address)
        assert_accessible(page)
        assert_fits(page)
        page.emulate_media(color_scheme="dark")
        assert_contrast(page)
        page.set_viewport_size(PHONE)
        assert_fits(page)
        _assert_no_violation(page, {"runOnly": {"type": "rule", "values": LAYOUT}})
        page.set_viewport_size(SMALLEST)
        assert_fits(page)


def _assert_no_violation(page: Page, options: dict[str, Any]) -> None:
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(Axe().axe_script)
    results: Any = page.evaluate("(options) => axe.run(document, options)", {"resultTypes": ["violations"]} | options)
    found = [(each["id"], [node["target"] for node in each["nodes"]]) for each in results["violations"]]
    assert found == []


STICKING_OUT = """() => {
  const root = document.documentElement;
  const isClipping = (each) => getComputedStyle(each).overflowX !== "visible";
  const clips = (each) => each !== root && (isClipping(each) || clips(each.parentElement));
  const isWide = (each) => each.getBoundingClientRect().right > innerWidth + 1;
  const found = [...document.body.querySelectorAll("*")].filter((each) => isWide(each) && !clips(each.parentElement));
  return root.scrollWidth > innerWidth ? found.map((each) => each.outerHTML.slice(0, 120)) : null;
}"""


# Texts that are cut, or that run over what lies beside them.
TOO_LONG = """() => [...document.querySelectorAll(".button, .badge, .tabs a")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.getClientRects().length)
  .map((each) => each.textContent.trim())"""


def assert_fits(page: Page) -> None:
    """Fail when the page has to be scrolled sideways, with what sticks out, or a text is longer than its button."""
    found = page.evaluate(STICKING_OUT)
    assert found is None, f"{page.url} is too wide: {found[:4]}"
    assert page.evaluate(TOO_LONG) == [], f"{page.url} has texts that are too long for their button"
