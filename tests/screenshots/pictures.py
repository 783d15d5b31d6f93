"""The pages that are kept as pictures, in both themes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from django.urls import reverse
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tests.browsers import find_browser
from tests.screenshots.scene import Scene

MOST_BYTES: Final = 150 * 1024
SIZE: Final[ViewportSize] = {"width": 1280, "height": 720}
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def pages_of(scene: Scene) -> Mapping[str, str]:
    """The name of each picture and the address of its page."""
    return {
        "home": reverse("dashboard:home"),
        "executions": reverse("dashboard:execution-list"),
        "failed": reverse("dashboard:execution-steps", args=[scene.failed]),
        "timeline": reverse("dashboard:execution-timeline", args=[scene.pipeline]),
        "failures": reverse("dashboard:failure-detail", args=[scene.group]),
        "compare": reverse("dashboard:execution-compare", args=[scene.failed]),
        "metrics": reverse("dashboard:metrics"),
        "approvals": reverse("approvals:inbox"),
    }


def take(home: Path, scene: Scene, directory: Path) -> list[Path]:
    """Log in as the administrator and keep a picture of every page; return the files."""
    run = json.loads((home / "run.json").read_text())
    files = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--font-render-hinting=none"]
        )
        for theme in THEMES:
            context = browser.new_context(
                base_url=run["url"], viewport=SIZE, color_scheme=theme, reduced_motion="reduce"
            )
            page = context.new_page()
            _log_in(page, run["admin_user"], run["admin_password"])
            for name, address in pages_of(scene).items():
                files.append(directory / f"{name}-{theme}.png")
                _take(page, address, files[-1])
            context.close()
        browser.close()
    return files


def _log_in(page: Page, user: str, password: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")


def _take(page: Page, address: str, file: Path) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    if "/metrics/" in address:
        expect(page.locator("[data-chart] .main-svg .xy").first).to_be_visible(timeout=30_000)
    page.screenshot(path=file, animations="disabled")
