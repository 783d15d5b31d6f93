"""`python -m tests.screenshots`: start the product, let it work, and keep pictures of its pages in docs/images."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs/images"


def main() -> int:
    """Make all of them; 1 when one is larger than a page of documentation should load."""
    home = Path(tempfile.mkdtemp(prefix="perdure-pictures-"))
    try:
        _configure(home)
        # Only now: they import models.
        from tests.screenshots.pictures import MOST_BYTES, take
        from tests.screenshots.scene import play

        with _product(home):
            files = take(home, play(), IMAGES)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for file in files:
        size = file.stat().st_size
        sys.stdout.write(f"{file.relative_to(ROOT)}  {size // 1024} KiB{'  TOO LARGE' if size > MOST_BYTES else ''}\n")
    return int(any(file.stat().st_size > MOST_BYTES for file in files))


def _configure(home: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("DURABLE_", "PERDURE_"))]:
        del os.environ[name]
    os.environ |= {
        "PERDURE_HOME": str(home),
        "PERDURE_LOCAL": "1",
        "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
        # Playwright keeps an event loop in this thread, where Django would refuse its database.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    }
    django.setup()


@contextmanager
def _product(home: Path) -> Iterator[None]:
    """`manage.py up`, until the block ends."""
    from tests.processes import wait_for

    process = subprocess.Popen([sys.executable, "manage.py", "up"], cwd=ROOT, start_new_session=True)
    try:
        wait_for(lambda: (home / "run.json").exists() or process.poll() is not None, "the product to start", 120)
        assert process.poll() is None, "the product did not start"
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


if __name__ == "__main__":
    sys.exit(main())
