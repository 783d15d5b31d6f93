"""The machine's own browser: Playwright's is not downloaded."""

from __future__ import annotations

import os
import shutil

import pytest

# The first, a Debian package, is without the pages of a window of its own, which take as much of a processor as ours.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def find_browser() -> str | None:
    """Return the path of a Chromium on PATH, the leanest there is."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def need_browser() -> str:
    """Return it. Without one, the test is skipped, or fails where REQUIRE_BROWSER is set."""
    found = find_browser()
    if found is None:
        problem = "no Chromium on PATH; `apt-get install chromium` makes the browser tests run"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(problem)
        pytest.skip(problem)
    return found
